"""Nodes in the lab's internet (tools/lab/internet.py): without --lab, since all addresses there look public."""

import os
import sys
import time

import harness

sys.path.insert(0, os.path.join(harness.ROOT, "tools/lab"))
from internet import Internet  # noqa: E402

PORT = 4000
BOOTSTRAPS = 3  # of servers, and as many relays, that everybody is told
FEW_CONTACTS = 3  # a node that knows so many servers has joined


class LabNet(Internet):
    def __init__(self, world, delay=None):
        self.w, self.contacts, self.over_tcp = world, [], []
        super().__init__(delay, os.path.dirname(harness.BAUTA))

    def public(self, command, count, name, *args):
        """Servers or relays on public hosts, started together: their puzzles take a while. Their processes, with
        `at`: the host, and `contacts`: as --bootstrap takes them, IPv4 first."""
        started, known = [], list(self.contacts)
        for i in range(count):
            h = self.host("%s%d" % (name, i + 1))
            more = ["--tcp", h.v4 + ":443", "--drain", "1"] if command == "relay" else []
            p = self.w.start(*args, *more, command=command, lab=False, bootstrap=known, within=h.within(),
                             listen=["%s:%d" % (h.v4, PORT), "[%s]:%d" % (h.v6, PORT)])
            p.at = h
            started.append(p)
        for p in started:
            key = p.out.wait("ready ").split("/", 1)[1]
            p.contacts = ["%s:%d/%s" % (p.at.v4, PORT, key), "[%s]:%d/%s" % (p.at.v6, PORT, key)]
        self.contacts += [c for p in started[:BOOTSTRAPS] for c in p.contacts]
        if command == "relay":  # where nothing but a web server's port is let out
            self.over_tcp += ["tcp://%s:443/%s" % (p.at.v4, p.contacts[0].split("/", 1)[1]) for p in started[:1]]
        for p in started:  # those that started together have to hear of each other
            self.w.connect(p).call("add_contacts", contacts=self.contacts)
        return started

    def node(self, home, *args, **kinds):
        """A person's node, which listens where it likes and joins through the first servers."""
        p = self.w.start(*args, lab=False, listen=None, within=home.host.within(),
                         **dict({"bootstrap": self.contacts + self.over_tcp}, **kinds))
        p.home = home
        return p

    def person(self, process):
        """Control of a node that is ready; its events come."""
        process.out.wait("ready ")
        c = self.w.connect(process)
        c.call("subscribe")
        c.process = process
        return c

    def joined(self, control, give_up_s=None):
        """Waits until it knows servers. False: it does not get to know any."""
        end = time.monotonic() + (give_up_s or harness.GIVE_UP_S)
        while control.call("status")["dht"]["contacts"] < FEW_CONTACTS:
            if time.monotonic() > end:
                return False
            time.sleep(0.05)
        return True
