"""The lab's routers do what their kinds say (tools/lab/nat.py): plain sockets ask servers how they look from there,
and who gets in."""
import os
import shutil
import socket
import struct
import sys

from harness import GIVE_UP_S, ROOT, check, equal

sys.path.insert(0, os.path.join(ROOT, "tools/lab"))
import nat  # noqa: E402
import netns  # noqa: E402
from internet import Internet  # noqa: E402

QUIET_S = 0.25  # what has not come until then is taken for dropped, where something else came meanwhile


class Lab:
    """Two public hosts with two sockets each."""

    def __init__(self):
        self.net = Internet()
        self.servers = [self.net.host("server%d" % i) for i in range(2)]
        self.sockets = []
        self.at = [self.udp(s.space, (s.v4, p)) for s in self.servers for p in (4001, 4002)]

    def udp(self, space, bind, family=socket.AF_INET):
        s = space.socket(family)
        s.settimeout(GIVE_UP_S)
        s.bind(bind)
        self.sockets.append(s)
        return s

    def close(self):
        for s in self.sockets:
            s.close()
        self.net.close()


def outside(s, server):
    """How a socket looks from a server, each datagram being a question with an answer."""
    s.sendto(b"who am I", server.getsockname()[:2])
    data, at = server.recvfrom(64)
    equal(data, b"who am I", "the datagram at the server")
    server.sendto(b"answer", at)
    equal(s.recvfrom(64)[0], b"answer", "the answer")
    return at


def comes(s, sender, to, known):
    """Does a datagram get in? What a known one sends behind it says that it has had its time."""
    sender.sendto(b"uninvited", to)
    known[0].sendto(b"behind", known[1])
    got = []
    while b"behind" not in got:
        got.append(s.recvfrom(64)[0])
    if b"uninvited" not in got:
        s.settimeout(QUIET_S)  # the two came over different lines
        try:
            got.append(s.recvfrom(64)[0])
        except socket.timeout:
            pass
        s.settimeout(GIVE_UP_S)
    return b"uninvited" in got


def look(lab, home, port):
    """Outside addresses towards four remotes, and who of those that it has not talked to gets in: another port of a known
    address, an unknown address."""
    first, second = lab.udp(home.host.space, ("0.0.0.0", port)), lab.udp(home.host.space, ("0.0.0.0", port + 1))
    at = [outside(first, s) for s in lab.at]
    alone = outside(second, lab.at[0])
    known = (lab.at[0], alone)
    return at, comes(second, lab.at[1], alone, known), comes(second, lab.at[2], alone, known)


def kinds(w, test):
    if netns.why_not():
        print("nat: not tested: %s" % netns.why_not())
        return
    lab = Lab()
    try:
        test(lab)
    finally:
        lab.close()


def check_kind(lab, kind):
    home = lab.net.homes(kind)[0]
    at, other_port, other_address = look(lab, home, 5000)
    ports = [p for _, p in at]
    equal({ip for ip, _ in at}, set(home.outside[:1]), "%s: outside addresses" % kind.name)
    what = "%s: outside ports %r" % (kind.name, ports)
    if kind.carrier:
        check(len(set(ports)) == 1 and ports[0] != 5000, what)
    elif kind.ports == "kept":
        equal(set(ports), {5000}, what)
    elif kind.ports == "counted":
        equal(ports, [5000] + list(range(ports[1], ports[1] + 3)), what)
        check(ports[1] != 5001, what)
    else:
        check(len(set(ports)) == 4 and 5000 not in ports[1:], what)
    equal((other_port, other_address), {"none": (True, True), "address": (True, False),
                                        "port": (False, False)}[kind.filtering], "%s: who gets in" % kind.name)


def test_kinds_of_mapping_and_filtering(w):
    def each(lab):
        for kind in nat.KINDS:
            if kind.v4 and kind.joins() and not kind.only_itself and not kind.maps:
                check_kind(lab, kind)
    kinds(w, each)


def test_behind_one_router(w):
    """Hairpins turn round what goes to their own outside address; a local network needs none."""
    def each(lab):
        for name, through in (("hairpin", True), ("one-carrier", True), ("one-lan", False)):
            a, b = lab.net.homes(nat.kind(name))
            sa, sb = (lab.udp(h.host.space, ("0.0.0.0", 5100 + i)) for i, h in enumerate((a, b)))
            at_a, at_b = outside(sa, lab.at[0]), outside(sb, lab.at[0])
            equal(at_a[0], at_b[0], "%s: one address outside" % name)
            sb.sendto(b"opens", at_a)
            if name != "one-lan":
                check(not comes(sa, sb, a.host.v4 and (a.host.v4, 5100), (lab.at[0], at_a)),
                      "%s: the inside addresses are apart" % name)
            if through:
                sa.sendto(b"round", at_b)
                got = sb.recvfrom(64)
                while got[0] != b"round":
                    got = sb.recvfrom(64)
                equal(got[1], at_a, "%s: it comes from the outside address" % name)
            else:
                sa.sendto(b"straight", (b.host.v4, 5101))
                equal(sb.recvfrom(64), (b"straight", (a.host.v4, 5100)), "%s: over the local network" % name)
    kinds(w, each)


def test_what_gets_out(w):
    def each(lab):
        for name, ports in (("udp-blocked", (443, 4001)), ("tcp-443", (443,))):
            home = lab.net.homes(nat.kind(name))[0]
            s = lab.udp(home.host.space, ("0.0.0.0", 5200))
            s.sendto(b"lost", lab.at[0].getsockname())
            for port in (443, 4001):
                listener = lab.servers[0].space.socket(socket.AF_INET, socket.SOCK_STREAM)
                lab.sockets.append(listener)
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind((lab.servers[0].v4, port))
                listener.listen()
                c = home.host.space.socket(socket.AF_INET, socket.SOCK_STREAM)
                lab.sockets.append(c)
                c.settimeout(GIVE_UP_S if port in ports else QUIET_S)
                try:
                    c.connect((lab.servers[0].v4, port))
                    reached = True
                except socket.timeout:
                    reached = False
                listener.close()
                equal(reached, port in ports, "%s: TCP to port %d" % (name, port))
            # What went through came after the datagram, which is not there.
            lab.at[0].settimeout(QUIET_S)
            try:
                raise AssertionError("%s: UDP gets out: %r" % (name, lab.at[0].recvfrom(64)))
            except socket.timeout:
                lab.at[0].settimeout(GIVE_UP_S)
    kinds(w, each)


def test_a_port_that_was_asked_for(w):
    """NAT-PMP (RFC 6886) with the real daemon."""
    def each(lab):
        home = lab.net.homes(nat.kind("upnp"))[0]
        s = lab.udp(home.host.space, ("0.0.0.0", 5500))
        s.sendto(struct.pack(">BBHHHI", 0, 1, 0, 5500, 6500, 60), (home.host.v4.rsplit(".", 1)[0] + ".1", 5351))
        _, op, result, _, inside, port, _ = struct.unpack(">BBHIHHI", s.recvfrom(64)[0])
        equal((op, result, inside), (129, 0, 5500), "the answer")
        lab.at[0].sendto(b"hello", (home.outside[0], port))
        equal(s.recvfrom(64), (b"hello", lab.at[0].getsockname()), "what came in")
    if shutil.which("miniupnpd") is None:
        print("nat: ports that are asked for are not tested: no miniupnpd")
        return
    kinds(w, each)


def test_ipv6_lets_answers_in(w):
    def each(lab):
        for name in ("dual-stack", "ipv6-only"):
            home = lab.net.homes(nat.kind(name))[0]
            at = [lab.udp(s.space, (s.v6, 4006), socket.AF_INET6) for s in lab.servers]
            s = lab.udp(home.host.space, (home.host.v6, 5300), socket.AF_INET6)
            seen = outside(s, at[0])
            equal(seen[:2], (home.host.v6, 5300), "%s: not translated" % name)
            check(not comes(s, at[1], seen, (at[0], seen)), "%s: nobody else gets in" % name)
            for x in at:
                x.close()
    kinds(w, each)


def test_a_new_address_closes_the_holes(w):
    def each(lab):
        home = lab.net.homes(nat.kind("port-restricted"))[0]
        s = lab.udp(home.host.space, ("0.0.0.0", 5400))
        old = outside(s, lab.at[0])
        new = home.renumber()
        equal(outside(s, lab.at[0])[0], new, "the new address")
        check(old[0] != new and not comes(s, lab.at[0], old, (lab.at[0], (new, 5400))), "the old one is gone")
    kinds(w, each)
