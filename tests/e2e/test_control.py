"""The control socket: errors, limits, clients that misbehave; and datagrams that do."""

import json
import os
import random
import signal
import socket
import stat

from harness import Control, Failure, GIVE_UP_S, SLOW, check, equal, meet, seek


def test_errors(w):
    p = w.node()
    c = w.connect(p)
    equal(c.error("nothing"), -32601, "wrong method")
    equal(c.error("say", [1, "x"]), -32602, "positional")
    equal(c.error("say", {"encounter": 1}), -32602, "missing")
    equal(c.error("say", {"encounter": 77, "text": "x"}), -32602, "unknown encounter")
    for raw, code in ((b"{nonsense\n", -32700), (b'{"jsonrpc":"2.0","id":1,"method":"\xff"}\n', -32700),
                      (b"[]\n", -32600), (b"7\n", -32600)):
        c.send_raw(raw)
        equal(c.stray()["error"]["code"], code, repr(raw))
    for topics in ([], [""], ["   "], ["\u200b"], ["x" * 129], "jazz", [5], list("abcdefghi")):
        equal(c.error("seek", {"topics": topics}), -32602, "topics %r" % (topics,))
    e = seek(c, "waiting")
    equal(c.error("say", {"encounter": e, "text": "x"}), -32001, "say before matched")
    equal(c.error("say", {"encounter": e, "text": "x" * 20480}), -32602, "20 KB of text")
    equal(c.error("verify", {"encounter": e}), -32001, "verify before matched")
    equal(c.call("next", encounter=e), {}, "next while seeking")
    c.call("status")


def test_long_lines(w):
    c = w.connect(w.node())
    c.send_raw(b"x" * (300 * 1024) + b"\n")
    equal(c.stray()["error"]["code"], -32600, "a line of 300 KiB")
    c.call("status")
    equal(c.strays, [], "it is answered once")
    # Exactly the limit is taken: 256 KiB without the line's end.
    line = json.dumps({"jsonrpc": "2.0", "id": 5000, "method": "status"}).encode()
    c.send_raw(line + b" " * (256 * 1024 - len(line)) + b"\n")
    check("result" in c.answer(5000), "256 KiB")
    c.send_raw(line + b" " * (256 * 1024 - len(line) + 1) + b"\n")
    equal(c.stray()["error"]["code"], -32600, "256 KiB and one byte")


def test_many_clients(w):
    p = w.node()
    a, b = w.connect(p), w.connect(p)
    a.call("subscribe")
    e = seek(b, "for both")
    equal(a.event("seeking", encounter=e)["topics"], ["for both"], "another client's encounter")
    equal(b.events, [], "no events without subscribe")
    # It outlives the connection that made it.
    b.close()
    check(any(x["encounter"] == e for x in a.call("status")["encounters"]), "the encounter goes on")
    # A request in pieces, a last one without its end, and one with a carriage return.
    c = w.connect(p)
    for byte in b'{"jsonrpc":"2.0","id":1,"method":"status"}\r\n':
        c.send_raw(bytes([byte]))
    check("result" in c.answer(1), "in pieces")
    c.send_raw(b'{"jsonrpc":"2.0","id":2,"method":"status"}')
    c.sock.shutdown(socket.SHUT_WR)
    check("result" in c.answer(2), "without its end")
    # A notification is not answered, yet done.
    a.send_raw(json.dumps({"jsonrpc": "2.0", "method": "end", "params": {"encounter": e}}).encode() + b"\n")
    a.event("ended", encounter=e)
    equal(a.strays, [], "answers to a notification")


def test_client_that_does_not_read(w):
    p = w.node()
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.connect(p.control)
    request = b'{"jsonrpc":"2.0","id":1,"method":"status"}\n' * 256
    try:
        for _ in range(1000):
            s.sendall(request)
        raise Failure("the node holds 256,000 answers for somebody who doesn't read")
    except (BrokenPipeError, ConnectionResetError):
        pass
    finally:
        s.close()
    check(w.connect(p).call("status")["memory"]["held_bytes"] < 64 << 20, "it lives on")


def test_a_flood_waits_for_its_reader(w):
    """A stranger who writes faster than one reads can't have one's client dropped: nothing is lost."""
    contacts = w.bootstraps(2)
    a, b = w.person(contacts), w.person(contacts)
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.connect(a.process.control)
    s.sendall(b'{"jsonrpc":"2.0","id":1,"method":"subscribe"}\n')
    s.settimeout(GIVE_UP_S)
    check(b'"result":{}' in s.recv(100), "subscribed")
    _, eb, _, _ = meet(a, b, "waterfalls")
    a.close()  # from here on only `s` is there, and does not read
    said = 0
    while said < 300:  # of 32 KB each as JSON
        o = b.answer(b.send("say", {"encounter": eb, "text": "\n" * 16000}))
        if "result" in o:
            said += 1
            continue
        equal(o["error"]["code"], -32004, "too much waits")
        try:
            b.event("delivered", give_up_s=SLOW)
        except Failure:
            break  # it has come to a stop: as it should, long before all is said
    check(said < 300, "the writer has to wait")
    got = 0
    lines = s.makefile("rb")
    while got < said:
        line = lines.readline()
        check(line, "dropped after %d of %d messages" % (got, said))
        got += b'"method":"message"' in line
    lines.close()
    s.close()


def test_stop_twice(w):
    """Whatever comes after the node has gone, in the same write, is for nobody."""
    p = w.node()
    c = w.connect(p)
    line = b'{"jsonrpc":"2.0","id":%d,"method":"%s"}\n'
    c.send_raw(line % (1, b"stop") * 2 + line % (2, b"status") * 20)
    equal(w.end(p)[0], 0, "exit status")
    check("result" in c.answers.get(1, {}), "stop is answered")


def test_end_does_not_wait_for_clients(w):
    """A client with unread answers, one in the middle of a line, and one that only listens."""
    p = w.node()
    deaf, half, quiet = (socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(3))
    for s in (deaf, half, quiet):
        s.connect(p.control)
    deaf.sendall(b'{"jsonrpc":"2.0","id":1,"method":"status"}\n' * 1000)
    half.sendall(b'{"jsonrpc":')
    c = w.connect(p)
    c.call("status")
    p.send_signal(signal.SIGTERM)
    equal(w.end(p)[0], 0, "exit status")
    for s in (deaf, half, quiet):
        s.close()


def test_socket_file(w):
    p = w.node()
    equal(stat.S_IMODE(os.stat(p.control).st_mode), 0o600, "mode")
    # The default place, in a folder of one's own.
    d = w.popen(["run", "--lab", "--listen", "127.0.0.1:0"])
    d.out.wait("ready ")
    folder = w.path("bauta-%d" % os.getuid())
    equal(stat.S_IMODE(os.stat(folder).st_mode), 0o700, "mode of the folder")
    status, out, _ = w.run(["ctl", "status"])
    equal(status, 0, "ctl finds it")
    equal(json.loads(out[0])["network"], "bauta", "ctl status")
    status, out, _ = w.run(["status"])
    equal(status, 0, "status")
    check(any("privacy" in line for line in out), "status as text: %r" % out)


def test_somebody_elses_socket(w):
    """Who makes the default folder first can't play the node: nobody tells him a topic."""
    folder = w.path("bauta-%d" % os.getuid())
    os.mkdir(folder)
    os.chmod(folder, 0o755)  # not one's own alone, as any folder of somebody else
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.bind(os.path.join(folder, "control"))
    s.listen(8)
    s.setblocking(False)
    for args in (["chat", "a topic", "--plain"], ["status"], ["ctl", "seek", '{"topics":["a topic"]}'], ["run", "--lab"]):
        w.refused(args, 1, "not yours alone")
    try:
        s.accept()
        raise Failure("somebody connected")
    except BlockingIOError:
        pass
    s.close()


def test_ctl(w):
    p = w.node(privacy=None)
    at = ["--control", p.control]
    status, out, err = w.run(["ctl", "seek", '{"topics":["jazz"]}'] + at)
    equal((status, out), (1, []), "seek without a choice of privacy")
    check("privacy" in err[0] and len(err) == 1, "it says how to choose: %r" % err)
    equal(w.run(["ctl", "privacy", '{"mode":"relayed"}'] + at)[:2], (0, ["{}"]), "privacy")
    equal(w.run(["ctl", "seek", '{"topics":["jazz"]}'] + at)[:2], (0, ['{"encounter":1}']), "it waits for a relay")
    equal(w.run(["ctl", "privacy", '{"mode":"direct"}'] + at)[:2], (0, ["{}"]), "privacy")
    equal(w.run(["ctl", "seek", "-"] + at, stdin='{"topics":["jazz"]}')[:2], (0, ['{"encounter":2}']), "seek")
    s = w.popen(["ctl", "subscribe"] + at)
    equal(s.out.wait("{"), "{}", "the result first")
    equal(w.run(["ctl", "end", '{"encounter":2}'] + at)[:2], (0, ["{}"]), "end")
    equal(json.loads(s.out.wait("ended"))["params"], {"encounter": 1, "reason": "privacy"}, "what nobody heard")
    equal(json.loads(s.out.wait("ended"))["params"]["encounter"], 2, "a streamed event")
    for args in (["ctl", "nothing"], ["ctl", "say", "[1]"], ["ctl", "say", "{"], ["ctl", "seek", '{"topics":[""]}']):
        status, out, err = w.run(args + at)
        equal((status, out, len(err)), (1, [], 1), repr(args))
    equal(w.run(["ctl", "stop"] + at)[:2], (0, ["{}"]), "stop")
    equal(w.end(p)[0], 0, "stopped")
    equal(w.end(s)[0], 0, "subscribe ends with the node")
    w.refused(["ctl", "status"] + at, 1, "no node is running")
    w.refused(["status"] + at, 1, "no node is running")


def test_random_datagrams_are_dropped(w):
    p = w.node()
    c = w.connect(p)
    host, port = p.contact.split("/")[0].rsplit(":", 1)
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", 0))
    chance = random.Random(7)
    sizes = [1, 31, 32, 48, 64, 192, 320, 704, 1232, 1400, 9000]
    sent = 0
    before = sum(c.call("status")["dropped"].values())
    for _ in range(40):
        for size in sizes:
            s.sendto(chance.randbytes(size), (host, int(port)))
            sent += 1
        c.call("status")  # so that no socket buffer overflows
    after = sum(c.call("status")["dropped"].values())
    equal(after - before, sent, "each is dropped and counted")
    s.setblocking(False)
    try:
        s.recv(1)
        raise Failure("the node answered nonsense")
    except BlockingIOError:
        pass
    s.close()
