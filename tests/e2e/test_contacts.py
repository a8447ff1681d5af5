"""Contacts of an earlier run, and contacts handed from one node to another."""

import os
import signal
import stat

from harness import GIVE_UP_S, Failure, check, equal, meet


def joined(c, at_least=1):
    """Waits until it knows so many servers: status tells, no event does."""
    import time
    end = time.monotonic() + GIVE_UP_S
    while time.monotonic() < end:
        if c.call("status")["dht"]["contacts"] >= at_least:
            return
        time.sleep(0.05)
    raise Failure("it knows fewer than %d servers" % at_least)


def test_contacts_are_kept_only_with_state(w):
    contacts = w.bootstraps(4)
    state = w.path("state")
    a = w.person(contacts[:1], "--state", state)
    joined(a, 4)
    a.process.send_signal(signal.SIGINT)
    equal(w.end(a.process)[0], 0, "exit status")
    name = os.path.join(state, "contacts")
    equal(stat.S_IMODE(os.stat(name).st_mode), 0o600, "mode of the file")
    with open(name) as f:
        lines = f.read().split("\n")
    equal(lines.pop(), "", "it ends with a newline")
    check(set(contacts) <= set(lines), "the file knows the servers: %r" % lines)
    equal(len(lines), len(set(lines)), "each once")
    # Without a bootstrap it comes back, whatever else was written into the file.
    with open(name, "r+") as f:
        text = f.read()
        f.seek(0)
        f.write("nonsense\n127.0.0.1:1/" + "a" * 52 + "\n\n" + "x" * 300 + "\n" + text)
    b = w.person([], "--state", state)
    joined(b, 4)
    c = w.person(contacts[:1])
    meet(b, c, "back again")
    plain = w.person(contacts[:1])
    joined(plain)
    plain.process.send_signal(signal.SIGINT)
    equal(w.end(plain.process)[0], 0, "exit status")
    check(not os.path.exists(os.path.join(w.dir, "contacts")), "nothing is written without --state")


def test_bootstraps_are_asked_when_the_kept_are_silent(w):
    contacts = w.bootstraps(2)
    state = w.path("state")
    os.mkdir(state, 0o700)
    with open(os.path.join(state, "contacts"), "w") as f:
        for port in range(40000, 40080):
            f.write("127.0.0.1:%d/%s\n" % (port, "a" * 52))
    a = w.person(contacts, "--state", state)
    joined(a, 2)


def test_unreadable_contacts(w):
    state = w.path("state")
    os.makedirs(os.path.join(state, "contacts"))
    p = w.node("--state", state)
    check("contacts" in p.err.wait("contacts"), "it says so, and starts")
    w.connect(p).call("status")


def test_export_and_import(w):
    contacts = w.bootstraps(3)
    a = w.person(contacts)
    joined(a, 3)
    known = a.call("contacts")["contacts"]
    check(set(contacts) <= set(known), "contacts %r" % known)
    b = w.person([])
    equal(b.call("contacts"), {"contacts": []}, "nobody yet")
    equal(b.call("add_contacts", contacts=known), {"taken": len(known)}, "all are taken")
    joined(b, 3)
    meet(a, b, "handed over")
    for params in ({}, {"contacts": "x"}, {"contacts": ["x"]}, {"contacts": [1]}, {"contacts": known[:1] * 65},
                   {"contacts": [], "more": 1}):
        equal(b.error("add_contacts", params), -32602, repr(params))
    equal(b.error("contacts", {"all": True}), -32602, "no parameters")


def test_default_node_is_a_candidate(w):
    """Without --lab and --public it is ready at once, and wants to serve once its puzzle is solved."""
    p = w.popen(["run", "--lab-strict", "--listen", "127.0.0.1:0", "--control", w.path("c")])
    p.control = w.path("c")
    equal(p.out.wait("ready "), "ready -", "it is ready before its puzzle is solved")
    c = w.connect(p)
    import time
    end = time.monotonic() + GIVE_UP_S
    while not c.call("status")["dht"]["candidate"]:
        check(time.monotonic() < end, "the puzzle is solved")
        time.sleep(0.05)
    equal(c.call("status")["dht"]["server"], False, "nobody has dialled it back")
    q = w.popen(["run", "--lab-strict", "--listen", "127.0.0.1:0", "--control", w.path("d")])
    q.out.wait("ready ")
    q.send_signal(signal.SIGTERM)
    equal(w.end(q)[0], 0, "it ends in the middle of the puzzle")
