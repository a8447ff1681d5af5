"""A small internet of network namespaces: one core, on it public hosts and homes behind routers, each with
address prefixes of its own (another /16, another /32 of IPv6). All addresses look public, and nothing of it is
connected with anything outside.

    net = Internet()
    server = net.host("server")                       a public host; server.v4, server.v6
    a, b = net.homes(nat.kind("port-restricted"))     a.host: its namespace; a.way: what its packets pass
    net.close()
"""
import os
import shutil
import subprocess
import tempfile
import time

import nat
from netns import GIVE_UP_S, Failure, Namespace, veth

SITES_MAX = 255


class Host:
    """A namespace with one person's or server's computer."""

    def __init__(self, space, v4, v6):
        self.space, self.v4, self.v6 = space, v4, v6
        self.name = space.name

    def within(self):
        return self.space.within()


class Home:
    """A host and what stands between it and the core."""

    def __init__(self, kind, host, way, outside):
        self.kind, self.host, self.way = kind, host, way
        self.outside = outside  # addresses by which the world sees it
        self.renumber = None    # () -> new address outside; where that is possible


class Internet:
    def __init__(self, delay=None, build="build"):
        """`delay`: one way, on each site's line to the core ("10ms"), by build/bauta-lab-link."""
        self.delay, self.link = delay, os.path.join(build, "bauta-lab-link")
        self.spaces, self.links, self.daemons, self.hosts, self.sites, self.subnets = [], [], [], [], 0, 0
        self.folder = None  # for the daemons' files
        try:
            self.core = self.space("core")
            self.core.forward()
        except BaseException:
            self.close()
            raise

    def space(self, name):
        s = Namespace(name)
        self.spaces.append(s)
        return s

    def close(self):
        for d in self.daemons:
            d.kill()  # what it has opened goes with the namespace
            d.wait(GIVE_UP_S)
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
        for link in self.links:
            link.stdin.close()
            link.stdout.close()
            link.wait(GIVE_UP_S)
        for s in reversed(self.spaces):
            s.close()
        self.spaces, self.links, self.daemons, self.folder = [], [], [], None

    # ---- lines -------------------------------------------------------------------------------------

    def _line(self, space, name, near4, far4, near6, far6):
        """From the core (near) to a site (far), addresses with their prefixes; IPv4 or IPv6 may be None."""
        if self.delay is None:
            veth(self.core, name, space, name)
            for end, addresses in ((self.core, (near4, near6)), (space, (far4, far6))):
                end.ip(*["addr add %s dev %s%s" % (a, name, " nodad" if ":" in a else "")
                         for a in addresses if a])
            return
        argv = [self.link, "--a", self.core.file, "--b", space.file, "--device", name, "--until-eof",
                "--delay", self.delay, "--address-a", near4 or "none", "--address-b", far4 or "none"]
        if near6:
            argv += ["--address6-a", near6, "--address6-b", far6]
        p = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
        self.links.append(p)
        if "ready" not in p.stdout.readline():
            raise Failure("no line to %s" % space.name)

    def _site(self, space, v4, v6):
        """Joins a namespace to the core. Its interface, and its addresses: IPv4 or None, IPv6 or None."""
        self.sites += 1
        n = self.sites
        if n > SITES_MAX:
            raise Failure("too many sites")
        name = "w%d" % n
        a4, a6 = "20.%d.0.2" % n, "2a10:%x::2" % n
        self._line(space, name, "20.%d.0.1/24" % n if v4 else None, a4 + "/24" if v4 else None,
                   "2a10:%x::1/64" % n if v6 else None, a6 + "/64" if v6 else None)
        if v4:
            space.ip("route add default via 20.%d.0.1" % n)
        if v6:
            space.ip("route add default via 2a10:%x::1" % n)
            self.core.ip("route add 2a10:%x::/32 via %s" % (n, a6))
        return name, a4 if v4 else None, a6 if v6 else None

    # ---- who lives there ---------------------------------------------------------------------------

    def host(self, name, v4=True, v6=True):
        s = self.space(name)
        _, a4, a6 = self._site(s, v4, v6)
        h = Host(s, a4, a6)
        self.hosts.append(h)
        return h

    def _subnet(self):
        self.subnets += 1
        return self.subnets

    def _host_in(self, router, name, number, kind, v6, bridge=None):
        """A host on a port of its router, or on the router's bridge (its subnet), with the others there."""
        s = self.space(name)
        lan, subnet = "lan%d" % number, bridge or self._subnet()
        veth(router, lan, s, "eth0")
        a4, a6 = "192.168.%d.%d" % (subnet, 2 + number) if kind.v4 else None, None
        if bridge:
            router.ip("link set %s master lan" % lan)
        elif kind.v4:
            router.ip("addr add 192.168.%d.1/24 dev %s" % (subnet, lan))
        if kind.v4:
            s.ip("addr add %s/24 dev eth0" % a4, "route add default via 192.168.%d.1" % subnet)
        if kind.v6:
            prefix = v6.split("::")[0] + ":0:%x::" % (1 + number)
            router.ip("addr add %s1/64 dev %s nodad" % (prefix, lan))
            a6 = prefix + "2"
            s.ip("addr add %s/64 dev eth0 nodad" % a6, "route add default via %s1" % prefix)
        h = Host(s, a4, a6)
        self.hosts.append(h)
        return h

    def homes(self, kind):
        """Two homes of a kind, named KIND.a and KIND.b."""
        names = [kind.name + ".a", kind.name + ".b"]
        if not kind.translated:
            hosts = [self.host(n, v6=kind.v6) for n in names]
            return [Home(kind, h, [h.space, self.core], [h.v4]) for h in hosts]
        if kind.together in ("router", "lan"):
            return self._one_router(kind, names)
        if kind.carrier:
            carriers = [self._carrier(kind, kind.name + ".carrier")] * 2 if kind.together == "carrier" else [
                self._carrier(kind, n + ".carrier") for n in names]
            return [self._behind(kind, n, carriers[i], i) for i, n in enumerate(names)]
        return [self._home(kind, n) for n in names]

    def _router(self, kind, name, hairpin, inside, rules=None):
        """A router on the core: its namespace and addresses. `rules`: of another kind than its homes are."""
        r = self.space(name)
        r.forward()
        wan, a4, a6 = self._site(r, kind.v4, kind.v6)
        if kind.v4:
            r.nft(nat.translation(rules or kind, wan, a4, inside, hairpin))
        r.nft(nat.firewall(rules or kind, wan))
        return r, a4, a6

    def _home(self, kind, name):
        r, a4, a6 = self._router(kind, name + ".router", False, "192.168.0.0/16")
        host = self._host_in(r, name, 0, kind, a6)
        home = Home(kind, host, [host.space, r, self.core], [a for a in (a4, host.v6) if a])
        if kind.maps:
            self._miniupnpd(r)
        home.renumber = lambda: self._renumber(home, r)
        return home

    def _miniupnpd(self, router):
        self.folder = self.folder or tempfile.mkdtemp(prefix="bauta-lab-")
        file = os.path.join(self.folder, router.name)
        with open(file, "w", encoding="ascii") as f:
            f.write(nat.DAEMON % {"wan": "w%d" % self.sites, "lan": "lan0", "file": file})
        router.nft(nat.MAPPING)
        with open(file + ".log", "w", encoding="ascii") as log:
            d = subprocess.Popen(router.within() + ["miniupnpd", "-d", "-f", file, "-P", file + ".pid"],
                                 stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        self.daemons.append(d)
        end = time.monotonic() + GIVE_UP_S
        while True:
            with open(file + ".log", encoding="utf-8", errors="replace") as log:
                said = log.read()
            if "HTTP listening on port" in said and "Listening for NAT-PMP" in said:
                return
            if d.poll() is not None or time.monotonic() > end:
                raise Failure("miniupnpd: %s" % said[-300:])
            time.sleep(0.01)

    def _one_router(self, kind, names):
        r, a4, a6 = self._router(kind, kind.name + ".router", kind.together == "router", "192.168.0.0/16")
        bridge = None
        if kind.together == "lan":
            bridge = self._subnet()
            r.ip("link add lan type bridge", "addr add 192.168.%d.1/24 dev lan" % bridge, "link set lan up")
        hosts = [self._host_in(r, name, i, kind, a6, bridge) for i, name in enumerate(names)]
        return [Home(kind, h, [h.space, r, self.core], [a4]) for h in hosts]

    def _carrier(self, kind, name):
        rules = nat.Kind("carrier's", ports="hashed")
        return self._router(kind, name, kind.together == "carrier", "100.64.0.0/10", rules)[:2]

    def _behind(self, kind, name, carrier, number):
        """A home whose router has an address of the carrier's own network."""
        c, outside = carrier
        lan = "lan%d" % number
        r = self.space(name + ".router")
        r.forward()
        veth(c, lan, r, "wan")
        a4 = "100.64.%d.2" % number
        c.ip("addr add 100.64.%d.1/24 dev %s" % (number, lan))
        r.ip("addr add %s/24 dev wan" % a4, "route add default via 100.64.%d.1" % number)
        r.nft(nat.translation(kind, "wan", a4, "192.168.0.0/16", False) + nat.firewall(kind, "wan"))
        host = self._host_in(r, name, 0, kind, None)
        return Home(kind, host, [host.space, r, c, self.core], [outside])

    def _renumber(self, home, router):
        """Its provider gives it another IPv4 address, in another prefix; open holes are gone with the old one."""
        old = home.outside[0]
        self.sites += 1
        name, n, site = "w" + old.split(".")[1], self.sites, home.kind
        new = "20.%d.0.2" % n
        self.core.ip("addr add 20.%d.0.1/24 dev %s" % (n, name), "addr del %s/24 dev %s" % (
            old[:-1] + "1", name))
        router.ip("addr add %s/24 dev %s" % (new, name), "addr del %s/24 dev %s" % (old, name),
                  "route replace default via 20.%d.0.1" % n)
        router.nft("flush ruleset\n" + nat.translation(site, name, new, "192.168.0.0/16", False) +
                   nat.firewall(site, name))
        home.outside.append(new)
        return new
