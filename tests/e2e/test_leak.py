"""Where the address of a person shows, in a whole life from start to exit: every namespace of a lab is captured, and
whoever is not on the person's own way may have seen the address only if it is the own relay."""

import ipaddress
import signal
import socket
import time

from harness import GIVE_UP_S, Failure, check, equal, seek
from labnet import LabNet

import nat  # noqa: E402 (labnet has said where)
import netns  # noqa: E402
from capture import Capture  # noqa: E402

TOPIC = "what nobody may know"
SERVERS = 4
RELAYS = 4
OWN_RELAYS = 2  # of a person: the one that it was told of and joined through, and the one that it chose


class Life:
    """A person whose address is looked for, a stranger, servers, relays, and a host that has no business with them."""

    def __init__(self, w, relays=0, person="port-restricted", stranger="public"):
        self.w, self.net, self.capture = w, LabNet(w), None
        try:
            self.servers = self.net.public("run", SERVERS, "server", "--public")
            self.relays = self.net.public("relay", relays, "relay")
            self.idle = self.net.host("idle")
            homes = self.net.homes(nat.kind(person))
            self.home = homes[0]
            self.other = homes[1] if stranger == person else self.net.homes(nat.kind(stranger))[1]
            self.capture = Capture(self.net.spaces)
            self.capture.watch(self.addresses())
        except BaseException:
            self.net.close()
            raise

    def addresses(self):
        """All by which the person could be found; of two in one home those inside."""
        return ([] if self.shared() else self.home.outside) + [
            a for a in (self.home.host.v4, self.home.host.v6) if a]

    def shared(self):
        return self.home.outside == self.other.outside

    def seen(self):
        """Who has seen it, but for its own host, routers and the core."""
        return self.capture.seen(self.addresses(), [s.name for s in self.home.way])

    def away(self):
        """Relays that have seen it."""
        return [r for r in self.relays if r.at.name in self.seen()]

    def person(self, home, privacy):
        """Control of a node. Who has relays joins through them: a server would see the address."""
        contacts = [c for r in self.relays for c in r.contacts] or self.net.contacts
        return self.net.person(self.net.node(home, privacy=privacy, bootstrap=contacts))

    def start(self, home, privacy):
        """The same, once it knows servers."""
        c = self.person(home, privacy)
        check(self.net.joined(c), "it gets to know servers")
        return c

    def exit(self, *controls):
        for c in controls:
            c.process.send_signal(signal.SIGTERM)
            equal(self.w.end(c.process)[0], 0, "exit status")

    def move(self):
        self.capture.watch([self.home.renumber()])

    def probe(self):
        """A malicious other end: from its host it sends to all that it has heard of, and hopes for an answer."""
        name = self.other.host.name
        for port in (4000, 4001, 33434):
            for a in (a for a in self.capture.senders(name) if ipaddress.ip_address(a).is_global):
                s = self.other.host.space.socket(socket.AF_INET6 if ":" in a else socket.AF_INET)
                s.sendto(b"who are you?" * 20, (a, port))
                s.close()

    def settle(self):
        equal(self.capture.close(), 0, "packets that the capture had no room for")

    def close(self):
        if self.capture is not None:
            self.capture.close()
        self.net.close()


def life(w, test, **kinds):
    if netns.why_not():
        print("leak: not tested: %s" % netns.why_not())
        return
    x = Life(w, **kinds)
    try:
        test(x)
    finally:
        w.close()
        x.close()


def meet(a, b, path):
    """Both seek and meet; their encounters. `path`: what the first is told. The other end may see nothing but an
    address like any other."""
    ea, eb = seek(a, TOPIC), seek(b, TOPIC)
    equal(a.event("matched", encounter=ea)["path"], path, "path")
    b.event("matched", encounter=eb)
    return ea, eb


def talk(a, ea, b, eb, text):
    for one, e, other, oe in ((a, ea, b, eb), (b, eb, a, ea)):
        number = one.call("say", encounter=e, text=text)["id"]
        equal(other.event("message", encounter=oe)["text"], text, "text")
        one.event("delivered", encounter=e, id=number)


def until(test, what):
    """What the capture sees is nobody's event, so it is looked at again and again."""
    end = time.monotonic() + GIVE_UP_S
    while not test():
        if time.monotonic() > end:
            raise Failure("never: %s" % what)
        time.sleep(0.01)


# ---- the detector itself ----------------------------------------------------------------------------

def test_detector_finds_a_direct_node(w):
    """What it would say of somebody who does not hide, all through a life."""
    def each(x):
        a, b = x.start(x.home, "direct"), x.start(x.other, "direct")
        ea, eb = meet(a, b, "direct")
        talk(a, ea, b, eb, "here I am")
        x.exit(a)
        equal(b.event("ended", encounter=eb)["reason"], "left", "reason")
        x.exit(b)
        x.settle()
        seen = x.seen()
        check(x.other.host.name in seen, "the stranger has seen it: %r" % list(seen))
        check(any("sent udp" in f for f in seen[x.other.host.name]), "and has sent there")
        check(any(s.at.name in seen for s in x.servers), "servers have seen it")
        check("idle" not in seen, "who had nothing to do with it has not: %r" % seen.get("idle"))
        try:
            hidden(x, RELAYS)
        except Failure:
            return
        raise Failure("such a life would be taken for a hidden one")
    life(w, each)


def test_detector_finds_addresses_in_the_clear(w):
    """Written into a datagram by a third one, or quoted by a router."""
    def each(x):
        a, idle, server = x.home.outside[0], x.idle, x.servers[0].at
        listener = server.space.socket()  # without it an answer quotes the text back
        listener.bind((server.v4, 4999))
        for text in (a.encode(), b"..\4" + ipaddress.ip_address(a).packed + b"\0\1"):
            before = str(x.seen())
            s = idle.space.socket()
            s.sendto(b"look who is there: " + text, (server.v4, 4999))
            s.close()
            until(lambda: str(x.seen()) != before, "%r is found" % text)
        listener.close()
        equal(list(x.seen()), [server.name], "who could read it")
        # A datagram to a closed port: the answer quotes it, and is itself from there.
        s = x.home.host.space.socket()
        s.sendto(b"hello", (idle.v4, 4999))
        s.close()
        until(lambda: any("received udp" in f for f in x.seen().get("idle", ())), "the datagram is found")
        until(lambda: any("sent icmp" in f for f in x.seen()["idle"]), "its answer is found")
        x.settle()
        equal(sorted(x.seen()), ["idle", server.name], "nobody else")
    life(w, each)


# ---- who hides ----------------------------------------------------------------------------------------

def test_without_a_relay_nobody_is_found(w):
    """No silent downgrade: the stranger waits on the very topic, and never hears of the address."""
    def each(x):
        b = x.start(x.other, "direct")
        eb = seek(b, TOPIC)
        b.event("progress", encounter=eb, stage="searching")
        a = x.person(x.home, "relayed")
        seek(a, TOPIC)
        a.event("warning", code="no_relay")
        x.exit(a, b)
        check(not any(m == "matched" for m, _ in a.events + b.events), "nobody is found")
        x.settle()
        check(x.capture.packets(x.other.host.name) > 0, "the stranger's host was captured")
        seen = x.seen()
        equal([n for n in seen if not n.startswith("server")], [], "seen beyond the servers: %r" % seen)
    life(w, each)


def with_relays(w, test, **kinds):
    life(w, test, relays=RELAYS, **kinds)


def hidden(x, relays):
    """At the end of a life: nobody but so many relays."""
    x.settle()
    seen = x.seen()
    check(x.capture.packets(x.other.host.name) > 0, "the stranger's host was captured")
    leaks = {n: f[:3] for n, f in seen.items() if n not in [r.at.name for r in x.relays]}
    equal(leaks, {}, "seen beyond the relays")
    check((0 if x.shared() else 1) <= len(x.away()) <= relays, "relays that saw it: %r" % [r.at.name for r in x.away()])


def kill_own_relays(x):
    """Whichever of them is in use: the spare one hasn't seen the address yet."""
    own = x.away()
    check(1 <= len(own) <= OWN_RELAYS, "own relays: %r" % [r.at.name for r in own])
    for r in own:
        r.send_signal(signal.SIGKILL)
        r.wait()


def test_relayed_life(w):
    """Start, meeting, talk, exit; the other end is seen by everybody and probes what it hears of. Both have IPv6,
    over which nothing would stand in the way."""
    def each(x):
        b, a = x.start(x.other, "direct"), x.start(x.home, "relayed")
        ea, eb = meet(a, b, "relayed")
        talk(a, ea, b, eb, "masked")
        x.probe()
        talk(a, ea, b, eb, "still masked")
        a.call("next", encounter=ea)
        equal(b.event("ended", encounter=eb)["reason"], "left", "reason")
        x.exit(a, b)
        hidden(x, OWN_RELAYS)
    with_relays(w, each, person="dual-stack", stranger="dual-stack")


def both_relayed(w, kind):
    def each(x):
        b, a = x.start(x.other, "relayed"), x.start(x.home, "relayed")
        ea, eb = meet(a, b, "relayed")
        talk(a, ea, b, eb, "two masks")
        x.exit(a)
        equal(b.event("ended", encounter=eb)["reason"], "left", "reason")
        x.exit(b)
        hidden(x, OWN_RELAYS)
    with_relays(w, each, person=kind, stranger=kind)


def test_both_relayed(w):
    both_relayed(w, "dual-stack")


def test_both_relayed_on_one_lan(w):
    """Neither hears of the other that it is next door."""
    both_relayed(w, "one-lan")


def test_relayed_life_with_losses(w):
    """The own relay dies, then the person's address changes: the conversation goes on, nothing shows."""
    def each(x):
        b, a = x.start(x.other, "direct"), x.start(x.home, "relayed")
        ea, eb = meet(a, b, "relayed")
        talk(a, ea, b, eb, "before")
        kill_own_relays(x)
        talk(a, ea, b, eb, "through another relay")
        x.move()
        talk(a, ea, b, eb, "from another address")
        x.probe()
        x.exit(a)
        equal(b.event("ended", encounter=eb)["reason"], "left", "reason")
        x.exit(b)
        hidden(x, RELAYS)  # after a loss it is a matter of which answers first
    with_relays(w, each)


def test_all_relays_die(w):
    """Then nothing goes on, and nothing goes another way."""
    def each(x):
        b, a = x.start(x.other, "direct"), x.start(x.home, "relayed")
        ea, eb = meet(a, b, "relayed")
        talk(a, ea, b, eb, "before")
        for r in x.relays:
            r.send_signal(signal.SIGKILL)
            r.wait()
        a.event("ended", encounter=ea)
        seek(b, TOPIC)
        if "error" not in a.answer(a.send("next", {"encounter": ea})):
            a.event("warning")
        x.exit(a, b)
        hidden(x, RELAYS)
    with_relays(w, each)
