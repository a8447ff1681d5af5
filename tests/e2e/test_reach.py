"""What `status` says of the translation before a node: real NATs of the kernel, in network namespaces."""

import shutil
import subprocess

from harness import GIVE_UP_S, check, equal
from test_lan import wait_status
from test_move import Network, why_not as no_namespaces

SERVERS = 7


def why_not():
    return no_namespaces() or (None if shutil.which("nft") else "no nft")


class Routed(Network):
    """A router on the bridge, and a host behind it."""

    def __init__(self):
        super().__init__()
        for i in range(2, 1 + SERVERS):
            self.ip(self.hub, "addr", "add", "10.77.0.%d/16" % i, "dev", "br0")
        self.router = self.host("10.77.9.9")
        self.inside = self.holder()
        self.ip(self.router, "link", "add", "lan", "type", "veth", "peer", "name", "eth0", "netns", str(self.inside))
        self.ip(self.router, "addr", "add", "192.168.9.1/24", "dev", "lan")
        self.ip(self.router, "link", "set", "lan", "up")
        self.ip(self.inside, "link", "set", "eth0", "up")
        self.ip(self.inside, "addr", "add", "192.168.9.2/24", "dev", "eth0")
        self.ip(self.inside, "route", "add", "default", "via", "192.168.9.1")
        subprocess.run(self.within(self.router) + ["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"], check=True,
                       timeout=GIVE_UP_S)

    def rules(self, text):
        subprocess.run(self.within(self.router) + ["nft", "-f", "-"], input=text, text=True, check=True,
                       timeout=GIVE_UP_S)


def nat(rule, more=""):
    return "table ip t { chain out { type nat hook postrouting priority 100; oifname eth0 %s; }\n%s}" % (rule, more)


# Whoever inside sends to the outside address comes back in by the same port, from that address.
HAIRPIN = """chain in { type nat hook prerouting priority -100;
    ip daddr 10.77.9.9 udp dport 6001 dnat to 192.168.9.2:6001; }
chain back { type nat hook postrouting priority 99; iifname lan oifname lan masquerade; }
"""


def look(w, rules, **expected):
    net = Routed()
    try:
        if rules:
            net.rules(rules)
        hub = net.within(net.hub)
        contacts = []
        for i in range(SERVERS):
            contacts.append(w.node("--no-lan", listen="10.77.0.%d:5001" % (1 + i), bootstrap=contacts[:3],
                                   within=hub).contact)
        pid = net.inside if rules else net.host("10.77.8.8")
        a = w.person(contacts[:3], "--no-lan", listen="0.0.0.0:6001", within=net.within(pid))
        hairpin = expected.pop("hairpin", "unknown")
        s = wait_status(a, lambda s: s["reach"]["nat"]["v4"]["mapping"] != "unknown" and
                        s["reach"]["nat"]["v4"]["hairpin"] == hairpin, "the kind of translation is told")
        got = s["reach"]["nat"]["v4"]
        check(got["observers"] >= 5, "many see it: %r" % (got,))
        equal({k: got[k] for k in expected}, expected, "as servers see it: %r" % (got,))
        equal(s["reach"]["nat"]["v6"]["mapping"], "unknown", "nobody speaks IPv6 here")
    finally:
        net.close()


def test_kinds_of_translation(w):
    if why_not():
        print("reach: not tested: %s" % why_not())
        return
    look(w, None, mapping="none", seen="10.77.8.8:6001", port_preserving=True, same_address=True, port_step=0)
    look(w, nat("masquerade"), mapping="independent", seen="10.77.9.9:6001", port_preserving=True, hairpin="no")
    look(w, nat("masquerade", HAIRPIN), mapping="independent", seen="10.77.9.9:6001", hairpin="yes")
    look(w, nat("ip protocol udp masquerade to :20000-60000 random"), mapping="dependent", same_address=True,
         port_preserving=False, port_step=0)
