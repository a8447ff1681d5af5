"""A volunteer's relay: those who hide meet through it, it can die or leave under them, and nothing tells of them."""

import http.client
import os
import re
import signal
import socket
import time

from harness import SLOW, Failure, check, equal, meet, seek

HIDDEN = "127.77.%d.1:0"  # nobody else has such an address


def relay(w, contacts, *args, wait=True):
    w.count += 1
    control = w.path("c%d" % w.count)
    full = ["relay", "--lab", "--listen", "127.0.0.1:0", "--control", control]
    for c in contacts:
        full += ["--bootstrap", c]
    p = w.popen(full + list(args))
    p.control = control
    if wait:
        p.contact = p.out.wait("ready ").split(" ", 1)[1]
        p.status = w.connect(p)
    return p


def relays(w, n, *args):
    """Two servers and n relays; all of these are in the directory."""
    contacts = w.bootstraps(2)
    all_of = []
    for _ in range(n):
        all_of.append(relay(w, contacts + [r.contact for r in all_of], *args))
    for r in all_of:
        until(r, lambda s: s["announced"], "a place in the directory")
    return contacts, all_of


def until(r, test, what):
    """Asks a relay until it says so: what it does at its own pace brings no event."""
    end = time.monotonic() + 60 * SLOW
    while not test(r.status.call("status")["relay"]):
        if time.monotonic() > end:
            raise Failure("no %s: %r" % (what, r.status.call("status")["relay"]))
        time.sleep(0.05)


def hidden(w, all_of, number=1, *args):
    return w.person([r.contact for r in all_of], *args, privacy="relayed", listen=HIDDEN % number)


def talk(a, ea, b, eb, words):
    for c, e, other, oe in ((a, ea, b, eb), (b, eb, a, ea)):
        for text in words:
            number = c.call("say", encounter=e, text=text)["id"]
            equal(other.event("message", encounter=oe)["text"], text, "the text")
            c.event("delivered", encounter=e, id=number)


def busiest(all_of):
    return max(all_of, key=lambda r: (r.status.call("status")["relay"]["clients"],
                                      r.status.call("status")["relay"]["forwarded_in"]))


def get(at, path="/metrics", method="GET", **headers):
    host, port = at.rsplit(":", 1)
    c = http.client.HTTPConnection(host, int(port), timeout=30 * SLOW)
    c.request(method, path, headers=headers)
    r = c.getresponse()
    body = r.read().decode()
    c.close()
    return r.status, body


def free_port():
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    port = s.getsockname()[1]
    s.close()
    return "127.0.0.1:%d" % port


def test_two_who_hide_meet(w):
    _, all_of = relays(w, 3)
    a, b = hidden(w, all_of, 1), hidden(w, all_of, 2)
    ea, eb, ma, mb = meet(a, b, "masks")
    equal((ma["path"], mb["path"]), ("relayed", "relayed"), "path")
    talk(a, ea, b, eb, ["one", "two", "\U0001f3ad" * 2000])
    for c in (a, b):
        s = c.call("status")
        check(s["relays"]["open"] and s["relays"]["tunnels"] >= 1, "relays in use: %r" % s["relays"])
        equal(s["encounters"][0]["path"], "relayed", "path in status")
        check("relay" not in s, "a person's node is no relay")
    s = [r.status.call("status") for r in all_of]
    check(sum(x["relay"]["clients"] for x in s) >= 2, "clients: %r" % s)
    check(sum(x["relay"]["forwarded_in_bytes"] for x in s) > 8000, "what was said went through them")
    check(all(x["relay"]["clients_max"] == 1000 and not x["relay"]["draining"] for x in s), "what they are")
    code = all_of[0].status.error("seek", {"topics": ["masks"]})
    equal(code, -32002, "a relay talks to nobody")
    a.call("end", encounter=ea)
    equal(b.event("ended", encounter=eb)["reason"], "left", "the end")


def test_path_by_agreement(w):
    """One asks, the other agrees, and the words go on; the node that everything goes over TCP for can't."""
    _, all_of = relays(w, 3)
    a, b = hidden(w, all_of, 1), hidden(w, all_of, 2)
    ea, eb, _, _ = meet(a, b, "unmask")
    talk(a, ea, b, eb, ["hidden"])
    for path, one, e, other, oe in (("direct", a, ea, b, eb), ("relayed", b, eb, a, ea)):
        one.call("path", encounter=e, path=path)
        equal(other.event("path_wanted", encounter=oe)["path"], path, "what is asked for")
        before = other.call("status")["encounters"][0]["path"]
        check(before != path, "nothing has changed yet: %r" % before)
        talk(a, ea, b, eb, ["before"])
        other.call("path", encounter=oe, path=path)
        for c, x in ((one, e), (other, oe)):
            equal(c.event("path", encounter=x)["path"], path, "how it runs")
            equal(c.call("status")["encounters"][0]["path"], path, "path in status")
        talk(a, ea, b, eb, ["after", "still " * 1000])
    a.call("end", encounter=ea)
    equal(b.event("ended", encounter=eb)["reason"], "left", "the end")
    equal(a.error("path", {"encounter": ea, "path": "direct"}), -32001, "of a conversation that is over")


def test_who_hides_meets_who_does_not(w):
    _, all_of = relays(w, 2)
    a, b = hidden(w, all_of), w.person([r.contact for r in all_of])
    ea, eb, ma, _ = meet(a, b, "one mask")
    equal(ma["path"], "relayed", "path of who hides")
    talk(a, ea, b, eb, ["hello"])


def test_two_hops(w):
    _, all_of = relays(w, 4)
    a, b = hidden(w, all_of, 1, "--hops", "2"), hidden(w, all_of, 2)
    seek(a, "nobody else's topic")  # the tunnel for conversations is opened for the first search
    end = time.monotonic() + 60 * SLOW
    while not a.call("status")["relays"]["open"] and time.monotonic() < end:
        time.sleep(0.05)
    ea, eb, ma, _ = meet(a, b, "two masks")
    equal(ma["path"], "relayed", "path")
    talk(a, ea, b, eb, ["hello"])
    check(a.call("status")["relays"]["tunnels"] >= 2, "two hops take two tunnels")


def lives_on(w, a, ea, b, eb, end_of_relay):
    """Both speak while the relay ends, and after it; all arrives once and in order."""
    sent = {a: [], b: []}

    def say(c, e, n):
        for _ in range(n):
            text = "%d" % len(sent[c])
            sent[c].append((text, c.call("say", encounter=e, text=text)["id"]))
    for c, e in ((a, ea), (b, eb)):
        say(c, e, 10)
    end_of_relay()
    for c, e in ((a, ea), (b, eb)):
        say(c, e, 10)
    for c, e, other in ((a, ea, b), (b, eb, a)):
        for _, number in sent[c]:
            c.event("delivered", encounter=e, id=number, give_up_s=90 * SLOW)
    for c, e, other in ((a, ea, b), (b, eb, a)):
        got = [p["text"] for m, p in other.events if m == "message"]
        equal(got, [t for t, _ in sent[c]], "what arrived")
        equal([m for m, _ in c.events if m in ("undelivered", "ended")], [], "losses")


def in_conversation(w, n=4):
    _, all_of = relays(w, n)
    a, b = hidden(w, all_of, 1), hidden(w, all_of, 2)
    ea, eb, _, _ = meet(a, b, "staying")
    for c in (a, b):  # a spare one stands ready
        end = time.monotonic() + 60 * SLOW
        while c.call("status")["relays"]["tunnels"] < 2 and time.monotonic() < end:
            time.sleep(0.05)
    return all_of, a, ea, b, eb


def test_relay_killed_in_conversation(w):
    all_of, a, ea, b, eb = in_conversation(w)
    victim = busiest(all_of)

    def kill():
        victim.send_signal(signal.SIGKILL)
        victim.wait()
    lives_on(w, a, ea, b, eb, kill)


def test_relay_leaves_in_conversation(w):
    all_of, a, ea, b, eb = in_conversation(w)
    leaver = busiest(all_of)

    def leave():
        leaver.send_signal(signal.SIGTERM)
        equal(w.end(leaver)[0], 0, "exit status")
    lives_on(w, a, ea, b, eb, leave)


def test_without_relays_it_waits_and_says_so(w):
    contacts = w.bootstraps(2)
    a = w.person(contacts, privacy="relayed", listen=HIDDEN % 1)
    seek(a, "nobody carries this")
    check("relay" in a.event("warning", code="no_relay")["text"].lower(), "the warning")
    s = a.call("status")
    equal((s["relays"]["open"], s["encounters"][0]["state"]), (False, "seeking"), "it waits")


def test_second_signal_ends_at_once(w):
    _, all_of = relays(w, 1, "--drain", "3600")
    a = hidden(w, all_of)
    seek(a, "a client that stays")
    r = all_of[0]
    until(r, lambda s: s["clients"] >= 1, "client")
    r.send_signal(signal.SIGTERM)
    until(r, lambda s: s["draining"], "drain")
    r.send_signal(signal.SIGTERM)
    equal(w.end(r)[0], 0, "exit status")


def test_key_and_volume_are_kept(w):
    contacts = w.bootstraps(1)
    state = ["--state", w.path("state"), "--volume", "1"]
    r = relay(w, contacts, *state)
    contact = r.contact
    key_of = contact.rsplit("/", 1)[1]
    r.status.call("stop")
    equal(w.end(r)[0], 0, "stop")
    for name in os.listdir(w.path("state")):
        equal(os.stat(w.path("state/" + name)).st_mode & 0o777, 0o600, name)
    month = time.strftime("%Y%m", time.gmtime())
    with open(w.path("state/relay.volume")) as f:
        check(re.fullmatch(month + r" \d+\n", f.read()), "the month and bytes, nothing else")

    with open(w.path("state/relay.volume"), "w") as f:
        f.write("%s 999999999999\n" % month)
    r = relay(w, contacts, *state)
    equal(r.contact.rsplit("/", 1)[1], key_of, "the key is kept")
    s = r.status.call("status")["relay"]
    equal((s["draining"], s["volume_left_bytes"]), (True, 0), "the month is used up")
    r.status.call("stop")
    w.end(r)

    with open(w.path("state/relay.volume"), "w") as f:
        f.write("202001 999999999999\n")
    with open(w.path("state/relay.key"), "rb") as f:
        key = f.read()
    with open(w.path("state/relay.key"), "wb") as f:  # made eight days ago
        f.write(key[:40] + (int(time.time()) - 8 * 86400).to_bytes(8, "little"))
    r = relay(w, contacts, *state)
    check(r.contact.rsplit("/", 1)[1] != key_of, "a key of last week is over")
    s = r.status.call("status")["relay"]
    equal((s["draining"], s["volume_left_bytes"]), (False, 10 ** 9), "another month")
    r.status.call("stop")
    w.end(r)

    for name, what in (("relay.key", b"short"), ("relay.volume", b"202613 5\n"), ("relay.volume", b"202612")):
        with open(w.path("state/" + name), "rb") as f:
            good = f.read()
        with open(w.path("state/" + name), "wb") as f:
            f.write(what)
        w.refused(["relay", "--lab", "--listen", "127.0.0.1:0", "--control", w.path("x")] + state, 1, name)
        with open(w.path("state/" + name), "wb") as f:
            f.write(good)


def test_metrics(w):
    at = free_port()
    r = relay(w, w.bootstraps(1), "--metrics", at)
    status, text = get(at)
    equal(status, 200, "metrics")
    for line in text.splitlines():
        check(re.fullmatch(r'# (HELP|TYPE) bauta_\w+ .+|bauta_\w+(\{\w+="[\w.-]+"\})? \d+', line), "line %r" % line)
    names = re.findall(r"^(bauta_\w+)", text, re.M)
    typed = re.findall(r"^# TYPE (\w+) (?:counter|gauge)$", text, re.M)
    equal(set(names), set(typed), "each has its type")
    equal(len(typed), len(set(typed)), "each type once")
    check("bauta_relay_clients 0\n" in text and "bauta_relay_clients_max 1000\n" in text, "clients: %r" % text)
    end = time.monotonic() + 60 * SLOW
    while get(at, "/healthz") != (200, "ok\n") and time.monotonic() < end:
        time.sleep(0.05)
    equal(get(at, "/healthz"), (200, "ok\n"), "health")
    equal(get(at, "/")[0], 404, "another page")
    equal(get(at, method="POST")[0], 405, "another method")
    equal(get(at, Host="evil.example")[0], 421, "another host")
    equal(get(at, Cookie="x" * 5000)[0], 431, "a head too long")
    w.refused(["relay", "--lab", "--listen", "127.0.0.1:0", "--control", w.path("x"), "--metrics", at], 1, at)

    host, port = at.rsplit(":", 1)
    idle = [socket.create_connection((host, int(port))) for _ in range(40)]
    equal(get(at)[0], 200, "idle connections keep nobody out")
    for s in idle[:20]:
        s.settimeout(30 * SLOW)
        try:
            equal(s.recv(1), b"", "an idle connection is closed")
        except ConnectionResetError:
            pass
    for s in idle:
        s.close()
    slow = socket.create_connection((host, int(port)))
    slow.settimeout(30 * SLOW)
    slow.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n")
    equal(slow.recv(1), b"", "one that never ends its request is closed")
    slow.close()
    r.send_signal(signal.SIGTERM)
    equal(w.end(r)[0], 0, "exit status")


def test_nothing_tells_of_clients(w):
    """Whatever a relay prints, writes, or answers: no address of a client, in text or bytes, and no key."""
    at = free_port()
    contacts = w.bootstraps(2)
    all_of = [relay(w, contacts, "--state", w.path("state0"), "--metrics", at)]
    all_of.append(relay(w, contacts + [all_of[0].contact], "--state", w.path("state1")))
    for r in all_of:
        until(r, lambda s: s["announced"], "a place in the directory")
    people = [hidden(w, all_of, n) for n in range(1, 4)]
    encounters = [seek(c, "spoken softly") for c in people[:2]]
    for c, e in zip(people, encounters):
        c.event("matched", encounter=e)
    seek(people[2], "nobody else seeks this")
    talk(people[0], encounters[0], people[1], encounters[1], ["quiet words"])
    said = [get(at)[1], get(at, "/healthz")[1]]
    said += [repr(r.status.call("status")) for r in all_of]
    said += [repr(r.status.call("contacts")) for r in all_of]
    people[0].process.send_signal(signal.SIGKILL)
    for r in all_of:
        r.send_signal(signal.SIGTERM)
    for r in all_of:
        status, out, err = w.end(r)
        equal((status, err), (0, []), "the end")
        said += out
    data = ["\n".join(said).encode()]
    for name in ("state0", "state1"):
        for file in os.listdir(w.path(name)):
            with open(os.path.join(w.path(name), file), "rb") as f:
                data.append(f.read())
    check(len(data) >= 5, "state files were read")
    for d in data:
        for bad in (b"127.77.", b"\x7f\x4d", b"quiet words", b"spoken softly", b"nobody else"):
            check(bad not in d, "%r in %r" % (bad, d[:400]))
