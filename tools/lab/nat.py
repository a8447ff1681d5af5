"""The kinds of home that the lab has: what their routers do (RFC 4787's words), as rules for nftables, and
which two of them can have a direct path at all."""
from dataclasses import dataclass

OPEN_S = 120  # how long a hole stays open without a datagram out (RFC 4787, REQ-5); conntrack's own too
INDEPENDENT = ("kept", "hashed")


@dataclass(frozen=True)
class Kind:
    name: str
    v4: bool = True
    translated: bool = True  # IPv4 behind a NAT
    # The port outside. kept: the own one, for all remotes. hashed: another, for all remotes. counted: the
    # own one for the first remote, for each further one the next of a counter. random: one a remote.
    ports: str = "kept"
    filtering: str = "port"  # who gets in: none (anybody), address, port (those who were talked to)
    v6: bool = False         # never translated; a firewall that lets in answers only
    out: str = "all"         # what may leave: all, no-udp, tcp-443
    carrier: bool = False    # a carrier's NAT (hashed, port) before the router's own
    maps: bool = False       # opens ports for who asks: a real miniupnpd, NAT-PMP and UPnP
    # Where two of this kind live: apart, router (behind the same one, its local network keeps them apart, and it
    # hairpins), lan (on one local network, no hairpin), carrier (one carrier's NAT, which hairpins).
    together: str = "apart"
    only_itself: bool = False  # beside others it is a kind that is there already

    def joins(self):
        """Can it reach servers over UDP?"""
        return self.out == "all"


KINDS = (
    Kind("public", translated=False, filtering="none"),
    Kind("full-cone", filtering="none"),
    Kind("address-restricted", filtering="address"),
    Kind("port-restricted"),
    Kind("symmetric-kept", ports="counted"),
    Kind("symmetric-random", ports="random"),
    Kind("carrier", carrier=True),
    Kind("hairpin", together="router"),
    Kind("upnp", maps=True),
    Kind("dual-stack", v6=True),
    Kind("ipv6-only", v4=False, v6=True),
    Kind("udp-blocked", out="no-udp"),
    Kind("tcp-443", out="tcp-443"),
    Kind("one-lan", together="lan", only_itself=True),
    Kind("one-carrier", carrier=True, together="carrier", only_itself=True),
)


def kind(name):
    return next(k for k in KINDS if k.name == name)


def pairs():
    """All that can be told apart: the order of the two does not matter."""
    many = [k for k in KINDS if not k.only_itself]
    return ([(a, b) for i, a in enumerate(many) for b in many[i:]] +
            [(k, k) for k in KINDS if k.only_itself])


# Ways to a direct path that the program surely takes. `prediction` and `birthday` are searches, which may fail.
HAS = ("local", "open", "mapping", "punch", "hairpin")


def way(a, b):
    """How two of these kinds can get a direct path at all, and why: (way or None, reason).
    local: over the local network; open: one end takes in what comes; mapping: so it does at a port that its router was
    asked for; punch: both send to the address that servers see; hairpin: the same, turned round by the router;
    prediction: a port that no server saw can be told before; birthday: many sockets at the end with random ports,
    many ports tried by the other."""
    if not (a.joins() and b.joins()):
        return None, "UDP does not get out"
    if a is b and a.together == "lan":
        return "local", "one local network"
    if a is b and a.together in ("router", "carrier"):
        return "hairpin", "one outside address, and the %s hairpins" % a.together
    if a.v6 and b.v6:
        return "punch", "IPv6, and firewalls that let answers in"
    if not (a.v4 and b.v4):
        return None, "no address family in common"
    if "none" in (a.filtering, b.filtering):
        return "open", "one end takes in what comes"
    return _ports(a, b)


def _ports(a, b):
    fixed = [k.ports in INDEPENDENT for k in (a, b)]
    if all(fixed):
        return "punch", "both have one port for all"
    if any(fixed):
        still, moving = (a, b) if fixed[0] else (b, a)
        if still.filtering == "address":
            return "punch", "the port that no server saw gets in, too"
        if still.maps:
            return "mapping", "a router opens the port that it is asked for"
        if moving.ports == "counted":
            return "prediction", "the next port can be told before"
        return "birthday", "one side's port is random"
    if a.ports == b.ports == "counted":
        return "prediction", "both next ports can be told before"
    return None, "a random port, and at the other end another port for each remote"


# ---- rules ----------------------------------------------------------------------------------------

HASHED = ("jhash ip saddr . udp sport mod 4096 seed 0x1", range(16384, 65536, 12))
COUNTED = ("numgen inc mod 2048", range(40000, 42048))


def _port(choice):
    """The number that an expression gives as a port: it has the machine's byte order, and a port the network's."""
    expression, ports = choice
    return ": %s map { %s }" % (expression, ", ".join("%d : %d" % x for x in enumerate(ports)))


def _source(k, wan):
    """The port outside, for what begins inside."""
    udp = "oifname %s meta l4proto udp" % wan
    if k.ports == "hashed":
        return ["%s masquerade to %s" % (udp, _port(HASHED))]
    if k.ports == "counted":
        return ["%s ip saddr . udp sport != @own masquerade" % udp, "%s masquerade to %s" % (udp, _port(COUNTED))]
    if k.ports == "random":
        return ["%s masquerade fully-random" % udp]
    return []


def translation(k, wan, address, inside, hairpin):
    """Table of a router whose outside is interface `wan` with `address`, and whose inside is `inside`."""
    get_in = {"none": "iifname %s dnat to udp dport map @holes" % wan,
              "address": "iifname %s udp dport . ip saddr @talked dnat to udp dport map @holes" % wan,
              "port": ""}[k.filtering]
    turn = ("iifname != %s ip daddr %s dnat to udp dport map @holes" % (wan, address)) if hairpin else ""
    back = ("oifname != %s ip saddr %s ct status dnat meta l4proto udp %%s" % (wan, inside)) if hairpin else ""
    source = _source(k, wan) + ["oifname %s masquerade" % wan]  # which forgets all when the address changes
    if hairpin:
        port = _port(HASHED) if k.ports == "hashed" else ""
        source.append(back % ("snat to %s %s" % (address, port)))
    # After the translation: the outside port, and whose it is inside. Each datagram out keeps the hole open.
    out = "ip saddr %s meta l4proto udp" % address
    return """table ip nat {
  map holes { type inet_service : ipv4_addr . inet_service; flags timeout; timeout %(s)ds; size 65535; }
  set talked { type inet_service . ipv4_addr; flags dynamic,timeout; timeout %(s)ds; size 65535; }
  set own { type ipv4_addr . inet_service; flags dynamic,timeout; timeout %(s)ds; size 65535; }
  chain in {
    type nat hook prerouting priority dstnat;
    %(get_in)s
    %(turn)s
  }
  chain out {
    type nat hook postrouting priority srcnat;
    %(source)s
  }
  chain note {
    type filter hook postrouting priority srcnat + 100;
    %(out)s ct direction original update @holes { udp sport : ct original ip saddr . ct original proto-src }
    %(out)s ct direction reply update @holes { udp sport : ct reply ip saddr . ct reply proto-src }
    %(out)s update @talked { udp sport . ip daddr }
    %(out)s ct direction original update @own { ct original ip saddr . ct original proto-src }
  }
}
""" % {"s": OPEN_S, "get_in": get_in, "turn": turn, "source": "\n    ".join(source), "out": out}


# The chains that miniupnpd fills; what it lets in is translated, thus accepted.
MAPPING = """table inet upnp {
  chain miniupnpd { }
  chain prerouting_miniupnpd { }
  chain postrouting_miniupnpd { }
  chain in { type nat hook prerouting priority dstnat - 1; jump prerouting_miniupnpd; }
  chain out { type nat hook postrouting priority srcnat - 1; jump postrouting_miniupnpd; }
}
"""
DAEMON = """ext_ifname=%(wan)s
listening_ip=%(lan)s
http_port=5000
enable_natpmp=yes
enable_upnp=yes
ipv6_disable=yes
secure_mode=yes
min_lifetime=2
max_lifetime=86400
upnp_table_name=upnp
upnp_nat_table_name=upnp
upnp_forward_chain=miniupnpd
upnp_nat_chain=prerouting_miniupnpd
upnp_nat_postrouting_chain=postrouting_miniupnpd
lease_file=%(file)s.leases
uuid=6a0b1d2c-1111-2222-3333-444455556666
allow 1024-65535 192.168.0.0/16 1024-65535
deny 0-65535 0.0.0.0/0 0-65535
"""


def firewall(k, wan):
    """What a router lets through: answers, and what may leave. What comes uninvited is dropped without a word; a router
    that noted it would take another port for the answer of its own host."""
    out = {"all": "iifname != %s oifname %s accept" % (wan, wan),
           "no-udp": "iifname != %s oifname %s meta l4proto != udp accept" % (wan, wan),
           "tcp-443": "iifname != %s oifname %s tcp dport 443 accept" % (wan, wan)}[k.out]
    # Where the kernel shows bridged packets to this table, too.
    bridged = "iifname lan oifname lan accept" if k.together == "lan" else ""
    return """table inet firewall {
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    ct status dnat accept
    %s
    %s
  }
  chain input {
    type filter hook input priority filter; policy drop;
    ct state established,related accept
    meta l4proto { icmp, icmpv6 } accept
    %s
  }
}
""" % (out, bridged, "iifname != %s accept" % wan if k.maps else "")
