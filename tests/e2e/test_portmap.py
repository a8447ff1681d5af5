"""A port at the router: a real miniupnpd, and routers that lie, hang or flood. Each person's computer, each router
and the internet are network namespaces."""

import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import gateway
from harness import GIVE_UP_S, SLOW, Lines, check, equal, meet
from test_move import Network, say

HERE = os.path.dirname(os.path.abspath(__file__))
# More than a run of the port mapper may take (PORTMAP_RUN_MS), and what the machine needs for it.
RUN_S = 12.0
LIMITS = {"Max cpu time": 4, "Max file size": 0, "Max processes": 0, "Max open files": 16, "Max core file size": 0}

RULES = """
table inet filter {
  chain miniupnpd { }
  chain prerouting_miniupnpd { }
  chain postrouting_miniupnpd { }
  chain forward { type filter hook forward priority 0; policy drop;
    ct state established,related accept
    iifname lan accept
    jump miniupnpd
  }
  chain prerouting { type nat hook prerouting priority -100; jump prerouting_miniupnpd
  }
  chain postrouting { type nat hook postrouting priority 100; jump postrouting_miniupnpd;
    oifname wan masquerade random,fully-random
  }
}
"""

DAEMON = """
ext_ifname=wan
listening_ip=lan
http_port=5000
enable_natpmp=%s
enable_upnp=%s
ipv6_disable=yes
secure_mode=yes
min_lifetime=2
max_lifetime=86400
upnp_table_name=filter
upnp_nat_table_name=filter
upnp_forward_chain=miniupnpd
upnp_nat_chain=prerouting_miniupnpd
upnp_nat_postrouting_chain=postrouting_miniupnpd
lease_file=%s
uuid=6a0b1d2c-1111-2222-3333-444455556666
allow 1024-65535 192.168.0.0/16 1024-65535
deny 0-65535 0.0.0.0/0 0-65535
"""


class Town(Network):
    """The internet is a bridge, 5.5.0.0/16; on it are routers with a home behind each."""

    def __init__(self):
        super().__init__()
        self.ip(self.hub, "addr", "add", "5.5.0.1/16", "dev", "br0")
        self.daemons = []
        self.homes = 0

    def home(self, online=True):
        """A router and a computer behind it; their namespaces, and the router's address outside."""
        self.homes += 1
        n = self.homes
        router, computer = self.holder(), self.holder()
        outside, inside, own = "5.5.1.%d" % n, "192.168.%d.1" % n, "192.168.%d.2" % n
        if online:
            self.ip(self.hub, "link", "add", "h%d" % n, "type", "veth", "peer", "name", "wan", "netns", str(router))
            self.ip(self.hub, "link", "set", "h%d" % n, "master", "br0", "up")
            self.ip(router, "addr", "add", outside + "/16", "dev", "wan")
            self.ip(router, "link", "set", "wan", "up")
        self.ip(router, "link", "add", "lan", "type", "veth", "peer", "name", "eth0", "netns", str(computer))
        self.ip(router, "addr", "add", inside + "/24", "dev", "lan")
        self.ip(router, "link", "set", "lan", "up")
        self.ip(computer, "addr", "add", own + "/24", "dev", "eth0")
        self.ip(computer, "link", "set", "eth0", "up")
        self.ip(computer, "route", "add", "default", "via", inside)
        if online:
            self.sh(router, "echo 1 >/proc/sys/net/ipv4/ip_forward")
            subprocess.run(self.within(router) + ["nft", "-f", "-"], input=RULES, text=True, check=True,
                           timeout=GIVE_UP_S)
        return router, computer, outside, inside

    def sh(self, pid, text):
        # /proc/sys/net is that of the process's namespace.
        subprocess.run(self.within(pid) + ["sh", "-c", text], check=True, timeout=GIVE_UP_S)

    def start(self, pid, argv):
        p = subprocess.Popen(self.within(pid) + argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, errors="replace")
        p.out = Lines(p.stdout)
        self.daemons.append(p)
        return p

    def upnpd(self, w, router, natpmp, upnp):
        path = w.path("upnpd%d" % router)
        with open(path, "w", encoding="ascii") as f:
            f.write(DAEMON % (natpmp, upnp, path + ".leases"))
        p = self.start(router, ["miniupnpd", "-d", "-f", path, "-P", path + ".pid"])
        p.out.wait("HTTP listening on port" if upnp == "yes" else "Listening for NAT-PMP")
        return p

    def gateway(self, router, kind, address, external):
        p = self.start(router, [sys.executable, os.path.join(HERE, "gateway.py"), kind, address, external])
        p.out.wait("http there")
        return p

    def close(self):
        for p in self.daemons:
            p.stdin.close()
            p.send_signal(signal.SIGTERM)
        for p in self.daemons:
            try:
                p.wait(10)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
            p.stdout.close()
        super().close()


def why_not(*programs):
    for program in ("ip", "nsenter", "nft") + programs:
        if shutil.which(program) is None:
            return "no %s" % program
    rights = "ip link add v0 type veth peer name v1 && ip link add br0 type bridge"
    if subprocess.run(["unshare", "--net", "sh", "-c", rights], stderr=subprocess.DEVNULL,
                      check=False).returncode:
        return "no right to make network namespaces"
    rules = subprocess.run(["unshare", "--net", "nft", "-f", "-"], input=RULES, text=True, stderr=subprocess.DEVNULL,
                           check=False)
    return "no nftables in namespaces" if rules.returncode else None


def until(test, what, give_up_s=GIVE_UP_S):
    """Waits for what can only be asked for, with short breaks."""
    end = time.monotonic() + give_up_s
    pause = threading.Event()
    while True:
        got = test()
        if got:
            return got
        check(time.monotonic() < end, "no %s" % what)
        pause.wait(0.05)


def mapping(c):
    return c.call("status")["reach"]["mapping"]


def mapped(c):
    return until(lambda: mapping(c), "mapping")


def mapper(c):
    return c.call("status")["reach"]["mapper"]


def socket_in(pid):
    """A UDP socket of another network namespace: made by a thread that goes there and ends."""
    made = []

    def make():
        fd = os.open("/proc/%d/ns/net" % pid, os.O_RDONLY)
        import ctypes
        ctypes.CDLL(None, use_errno=True).setns(fd, 0)
        os.close(fd)
        made.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))

    t = threading.Thread(target=make)
    t.start()
    t.join()
    return made[0]


def reached(sock, c, external):
    """Whether a datagram that nobody asked for arrives. It is too short for anything, and so counted."""
    host, port = external.rsplit(":", 1)
    before = c.call("status")["dropped"]["short"]

    def arrived():
        sock.sendto(b"?", (host, int(port)))
        return c.call("status")["dropped"]["short"] > before

    until(arrived, "datagram through %s" % external)


def servers(w, town):
    contacts = []
    for port in (5001, 5002, 5003):
        contacts.append(w.node(listen="5.5.0.1:%d" % port, bootstrap=contacts,
                               within=town.within(town.hub)).contact)
    return contacts


# ---- a real router ------------------------------------------------------------------------------------


def with_daemon(w, natpmp, upnp, protocol):
    why = why_not("miniupnpd")
    if why:
        print("portmap: not tested: %s" % why)
        return
    town = Town()
    try:
        contacts = servers(w, town)
        router, computer, outside, _ = town.home()
        daemon = town.upnpd(w, router, natpmp, upnp)
        c = w.person(contacts, "--upnp-lease", "8", listen="0.0.0.0:6001", within=town.within(computer))
        first = mapped(c)
        equal((first["protocol"], first["external"]), (protocol, outside + ":6001"), "mapping")
        check(0 <= first["lease_s"] <= 8, "lease %r" % first)
        # Who was never written to reaches the node: only the mapping lets that in.
        stranger = socket_in(town.hub)
        reached(stranger, c, first["external"])
        # Renewed: each time after 3.2 s or more, so a whole lease is over then, and it never was gone.
        runs = mapper(c)["runs"]
        until(lambda: check(mapping(c), "the mapping went") or mapper(c)["runs"] >= runs + 3, "renewals")
        reached(stranger, c, first["external"])
        # Hidden: it goes at once. Direct: it comes back.
        c.call("privacy", mode="relayed")
        equal(mapping(c), None, "mapping of who hides")
        rules = town.within(router) + ["nft", "list", "chain", "inet", "filter", "prerouting_miniupnpd"]
        held = lambda: b"6001" in subprocess.run(rules, stdout=subprocess.PIPE, check=True).stdout
        until(lambda: not held(), "removed rule")
        c.call("privacy", mode="direct")
        mapped(c)
        check(held(), "the router has a rule")
        # A polite exit closes it: the rule is gone with the process, not a lease later.
        c.process.send_signal(signal.SIGTERM)
        w.end(c.process)
        check(not held(), "the rule outlived the node")
        equal(daemon.poll(), None, "the router")
        stranger.close()
    finally:
        town.close()


def test_miniupnpd_upnp(w):
    with_daemon(w, "no", "yes", "upnp")


def test_miniupnpd_natpmp(w):
    with_daemon(w, "yes", "no", "nat-pmp")


def test_the_computer_moves(w):
    """Another address on the home network: the port leads there, and who talks goes on."""
    why = why_not("miniupnpd")
    if why:
        print("portmap: not tested: %s" % why)
        return
    town = Town()
    try:
        contacts = servers(w, town)
        router, computer, outside, inside = town.home()
        town.upnpd(w, router, "yes", "yes")
        a = w.person(contacts, listen="0.0.0.0:6001", within=town.within(computer))
        b = w.person(contacts, listen="5.5.0.1:6001", within=town.within(town.hub))
        mapped(a)
        ea, eb, _, _ = meet(a, b, "moving")
        say(a, ea, b, eb, "before")
        town.ip(computer, "addr", "del", "192.168.1.2/24", "dev", "eth0")
        town.ip(computer, "addr", "add", "192.168.1.77/24", "dev", "eth0")
        town.ip(computer, "route", "add", "default", "via", inside)
        rules = town.within(router) + ["nft", "list", "chain", "inet", "filter", "prerouting_miniupnpd"]
        until(lambda: b"192.168.1.77:6001" in subprocess.run(rules, stdout=subprocess.PIPE, check=True).stdout, "new rule")
        until(lambda: mapper(a)["runs"] >= 2, "run")
        stranger = socket_in(town.hub)
        reached(stranger, a, mapped(a)["external"])
        stranger.close()
        say(a, ea, b, eb, "after")
        say(b, eb, a, ea, "after, back")
    finally:
        town.close()


def test_after_a_crash_the_lease_ends_it(w):
    why = why_not("miniupnpd")
    if why:
        print("portmap: not tested: %s" % why)
        return
    town = Town()
    try:
        router, computer, _, _ = town.home()
        town.upnpd(w, router, "yes", "yes")
        c = w.person([], "--upnp-lease", "4", listen="0.0.0.0:6001", within=town.within(computer))
        mapped(c)
        c.process.send_signal(signal.SIGKILL)
        c.process.wait()
        rules = town.within(router) + ["nft", "list", "chain", "inet", "filter", "prerouting_miniupnpd"]
        until(lambda: b"6001" not in subprocess.run(rules, stdout=subprocess.PIPE, check=True).stdout, "end of the lease")
    finally:
        town.close()


def test_two_behind_the_strictest_nat(w):
    """Both routers draw a port for each destination and let nobody in: only a mapping leads through."""
    why = why_not("miniupnpd")
    if why:
        print("portmap: not tested: %s" % why)
        return
    town = Town()
    try:
        contacts = servers(w, town)
        people = []
        for i in range(2):
            router, computer, _, _ = town.home()
            if i == 0:
                town.upnpd(w, router, "yes", "yes")
            people.append(w.person(contacts, listen="0.0.0.0:600%d" % i, within=town.within(computer)))
        mapped(people[0])
        equal(mapping(people[1]), None, "mapping without a router that can")
        ea, eb, _, _ = meet(people[0], people[1], "routers")
        say(people[0], ea, people[1], eb, "hello")
        say(people[1], eb, people[0], ea, "hello back")
    finally:
        town.close()


# ---- routers that are not as they should ----------------------------------------------------------------


class Case:
    def __init__(self, w, town, kind, *more):
        router, computer, _, inside = town.home(online=False)
        self.gateway = town.gateway(router, kind, inside, "5.5.9.9")
        if "elsewhere" in kind or "names" in kind:  # what a stranger's word could have our program ask
            self.trap = town.gateway(computer, "deaf", "127.0.0.1", "5.5.9.9")
        self.c = w.person([], *more, listen="0.0.0.0:6001", within=town.within(computer))
        self.kind = kind

    def children(self):
        pid = self.c.process.pid
        with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as f:
            return [int(n) for n in f.read().split()]

    def over(self):
        return until(lambda: mapper(self.c)["runs"] >= 1 and mapper(self.c), self.kind + ": end of the run",
                     GIVE_UP_S + RUN_S)

    def asked(self, what):
        return [line for line in self.gateway.out.lines if line.startswith(what)]


def in_town(test):
    def run(w):
        why = why_not()
        if why:
            print("portmap: not tested: %s" % why)
            return
        town = Town()
        try:
            test(w, town)
        finally:
            town.close()
    return run


@in_town
def test_right_ones(w, town):
    cases = {kind: Case(w, town, kind) for kind in RIGHT}
    for kind, case in cases.items():
        m = mapped(case.c)
        equal(m["protocol"], "nat-pmp" if kind in ("right", "other_port") else "upnp", kind)
        check(3590 <= m["lease_s"] <= 3600, "%s: lease %r" % (kind, m))
        port = int(m["external"].split(":")[1])
        equal(m["external"].split(":")[0], "5.5.9.9", kind)
        if kind == "taken":
            check(port != 6001 and port >= 1024, "another port: %r" % m)
        else:
            equal(port, 40404 if kind == "other_port" else 6001, kind)
    described = cases["right_upnp"].asked("description")
    equal(len(described), 1, "descriptions")
    check("bauta" not in described[0], "the router is told who asks: %r" % described)
    # Both ways of asking are closed again.
    for kind in ("right", "right_upnp"):
        c = cases[kind].c
        c.process.send_signal(signal.SIGTERM)
        w.end(c.process)
    cases["right"].gateway.out.wait("natpmp unmap 6001")
    cases["right_upnp"].gateway.out.wait("DeletePortMapping 6001")


@in_town
def test_off_when_not_wanted(w, town):
    """No process for it is ever started, and nothing is asked."""
    cases = [Case(w, town, "right", "--no-upnp"), Case(w, town, "right", "--privacy", "relayed")]
    for case in cases:
        case.c.call("status")
    # What is on makes its run in the meantime.
    mapped(Case(w, town, "right").c)
    for case in cases:
        equal(mapper(case.c)["runs"], 0, "runs")
        equal(case.children(), [], "processes")
        equal(mapping(case.c), None, "mapping")
        check(not case.asked("natpmp map") and not case.asked("search"), "nothing was asked")


# Thousands of answers to a search are too many to matter: the router's own is among them.
RIGHT = ("right", "right_upnp", "other_port", "taken", "ssdp_thousands")
LIARS = ("private_natpmp", "private_upnp", "low_port", "no_lease")
SILENT = ("deaf", "words_upnp", "for_ever", "refuses", "garbage_natpmp", "garbage_http", "hangs_http", "drips_http",
          "megabytes", "endless_xml", "soap_megabytes", "soap_elsewhere", "ssdp_for_ever", "ssdp_elsewhere", "ssdp_names")


@in_town
def test_hostile_ones(w, town):
    """All at once. None gets a mapping, none outlives its bounds, and each node answers all the while."""
    cases = [Case(w, town, kind) for kind in LIARS + SILENT]
    equal(sorted(gateway.KINDS), sorted(LIARS + SILENT + RIGHT), "kinds")
    for case in cases:
        counters = case.over()
        equal(mapping(case.c), None, case.kind)
        liar = case.kind in LIARS
        equal((counters["lied"] > 0, counters["failed"] > 0), (liar, not liar), "%s: %r" % (case.kind, counters))
        until(lambda c=case: not c.children(), case.kind + ": end of its process", GIVE_UP_S + RUN_S)
    by = {case.kind: case for case in cases}
    for kind in ("drips_http", "ssdp_for_ever"):
        check(mapper(by[kind].c)["killed"] >= 1, kind + ": killed")
    for kind in ("private_natpmp", "low_port", "no_lease"):
        by[kind].gateway.out.wait("natpmp unmap")
    for kind in ("private_upnp", "for_ever"):
        by[kind].gateway.out.wait("DeletePortMapping")
    for kind in ("megabytes", "endless_xml", "soap_megabytes"):
        by[kind].gateway.out.at = 0
        if kind == "soap_megabytes":
            by[kind].gateway.out.wait("GetExternalIPAddress")
        sent = int(by[kind].gateway.out.wait("sent").split()[1])
        if SLOW == 1.0:  # the sanitizers allow no bound on memory
            check(0 < sent < 80 << 20, "%s: %d bytes were taken" % (kind, sent))
    # Nobody but the router is asked, and no name is looked up.
    for kind in ("ssdp_elsewhere", "ssdp_names", "soap_elsewhere"):
        equal([l for l in by[kind].trap.out.lines if l != "http there"], [], kind + ": asked of this computer")
    for kind in ("ssdp_elsewhere", "ssdp_names"):
        check(by[kind].asked("search"), kind + ": a search")
        check(not by[kind].asked("get"), kind + ": nothing is fetched")
    check(by["soap_elsewhere"].asked("get"), "the description is fetched")
    equal([c.call("status")["reach"]["mapping"] for c in (case.c for case in cases)], [None] * len(cases), "mappings")


@in_town
def test_confined(w, town):
    """What the process that speaks with a router could do, while one keeps it waiting."""
    case = Case(w, town, "hangs_http")
    case.gateway.out.wait("get")
    child = case.children()
    equal(len(child), 1, "processes")
    proc = "/proc/%d/" % child[0]
    with open(proc + "limits", encoding="ascii") as f:
        limits = f.read().split("\n")
    for name, most in LIMITS.items():
        line = [l for l in limits if l.startswith(name + " ")]
        equal(line[0][len(name):].split()[0], str(most), name)
    if SLOW == 1.0:
        line = [l for l in limits if l.startswith("Max address space")]
        equal(line[0].split()[3], str(64 << 20), "address space")
    with open(proc + "environ", "rb") as f:
        equal(f.read(), b"", "environment")
    with open(proc + "cmdline", "rb") as f:
        equal(f.read(), b"bauta\0port-mapper\0", "command line")
    with open(proc + "status", encoding="ascii") as f:
        status = dict(l.split(":\t", 1) for l in f.read().split("\n") if ":\t" in l)
    equal((status["NoNewPrivs"], status["Seccomp"]), ("1", "2"), "privileges and system calls")
    check(status["Uid"].split()[0] != "0", "user %r" % status["Uid"])
    files = {n: os.readlink(proc + "fd/" + n) for n in os.listdir(proc + "fd")}
    equal(files.pop("2"), "/dev/null", "standard error")
    check(len(files) == 3 and all(v.startswith("socket:") for v in files.values()), "files %r" % files)
    # It goes with the node.
    case.c.process.send_signal(signal.SIGKILL)
    case.c.process.wait()
    until(lambda: not os.path.exists(proc + "fd/0"), "end of the process")
