"""TCP as a way to a server, and everything through a SOCKS5 proxy: real ones (microsocks, dante) and one that lies."""

import os
import shutil
import socket
import subprocess
import threading
import time

from harness import GIVE_UP_S, check, equal, meet
from test_relay import relays, talk


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def tcp_server(w):
    """A server that takes TCP too; its contact over TCP, with a name where one is given."""
    port = free_port()
    p = w.node("--tcp", "127.0.0.1:%d" % port)
    p.key = p.contact.split("/")[1]
    p.tcp = "127.0.0.1:%d/%s" % (port, p.key)
    p.tcp_port = port
    return p


def proxied(w, proxy, bootstrap, *args):
    w.count += 1
    control = w.path("c%d" % w.count)
    p = w.popen(["run", "--lab", "--privacy", "direct", "--control", control, "--proxy", proxy,
                 "--bootstrap", bootstrap] + list(args))
    p.control = control
    equal(p.out.wait("ready "), "ready -", "a node behind a proxy serves nobody")
    c = w.connect(p)
    c.call("subscribe")
    c.process = p
    return c


def until(test, what):
    end = time.monotonic() + GIVE_UP_S
    while not test():
        check(time.monotonic() < end, "no " + what)
        time.sleep(0.05)  # status tells, no event does


def answered(c):
    until(lambda: c.call("status")["traffic"]["datagrams_in"] > 0, "answer: %r" % c.process.err.lines)


def udp_sockets(p):
    """Those that the process has; None where the system does not let us look."""
    inodes = set()
    try:
        for fd in os.listdir("/proc/%d/fd" % p.pid):
            link = os.readlink("/proc/%d/fd/%s" % (p.pid, fd))
            if link.startswith("socket:["):
                inodes.add(link[8:-1])
    except OSError:
        return None
    found = []
    for name in ("udp", "udp6"):
        try:
            with open("/proc/net/" + name, encoding="ascii") as f:
                found += [line for line in f.readlines()[1:] if line.split()[9] in inodes]
        except FileNotFoundError:
            pass
    return found


def accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def installed(name):
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin")
    if not path:
        print("proxy: not tested: no %s here" % name)
    return path


class Daemon:
    """A real proxy, for the time of one test."""

    def __init__(self, args, port):
        self.process = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        until(lambda: accepts(port) or self.process.poll() is not None, "proxy at %d" % port)
        check(self.process.poll() is None, "%r ended" % args)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


class Socks:
    """A SOCKS5 server in a few lines: `answer(kind, host, port)` is the address to connect to, or the reply's bytes. It
    notes what it was asked for, and with which user."""

    def __init__(self, answer, method=0, port=0):
        self.answer, self.method = answer, method
        self.asked, self.users, self.offered = [], [], []
        self.listener = socket.create_server(("127.0.0.1", port))
        self.port = self.listener.getsockname()[1]
        self.open = [self.listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                s = self.listener.accept()[0]
            except OSError:
                return
            self.open.append(s)
            threading.Thread(target=self._serve, args=(s,), daemon=True).start()

    @staticmethod
    def _exactly(s, n):
        data = b""
        while len(data) < n:
            more = s.recv(n - len(data))
            if not more:
                raise OSError("it went away")
            data += more
        return data

    def _serve(self, s):
        try:
            self._greet(s)
        except OSError:
            pass

    def _greet(self, s):
        self.offered.append(self._exactly(s, self._exactly(s, 2)[1]))
        s.sendall(bytes([5, self.method]))
        if self.method == 2:
            user = self._exactly(s, self._exactly(s, 2)[1])
            self.users.append((user, self._exactly(s, self._exactly(s, 1)[0])))
            s.sendall(b"\x01\x00")
        kind = self._exactly(s, 4)[3]
        host = self._exactly(s, self._exactly(s, 1)[0] if kind == 3 else 4 if kind == 1 else 16)
        port = int.from_bytes(self._exactly(s, 2), "big")
        self.asked.append((kind, host, port))
        to = self.answer(kind, host, port)
        if isinstance(to, bytes):
            s.sendall(to)
            return
        try:
            out = socket.create_connection(to)
        except OSError:
            s.sendall(b"\x05\x05\x00\x01" + bytes(6))
            return
        self.open.append(out)
        s.sendall(b"\x05\x00\x00\x03\x04name\x00\x07")
        threading.Thread(target=self._pass, args=(out, s), daemon=True).start()
        self._pass(s, out)

    @staticmethod
    def _pass(a, b):
        try:
            while True:
                data = a.recv(65536)
                if not data:
                    break
                b.sendall(data)
        except OSError:
            pass
        for s in (a, b):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for s in self.open:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()


def straight(_kind, host, port):
    return (socket.inet_ntoa(host), port)


# ---- tests --------------------------------------------------------------------------------------------

def test_join_over_tcp(w):
    server = tcp_server(w)
    for name in ("127.0.0.1", "localhost"):
        contact = "tcp://%s:%d/%s" % (name, server.tcp_port, server.key)
        c = w.person([contact], "--lab")
        c.process.err.lines.clear()
        until(lambda c=c: c.call("status")["dht"]["lookups_ok"] > 0, "answered look-up over TCP")
        equal(c.process.err.lines, [], "standard error")


def test_usage(w):
    good = ["run", "--proxy", "socks5://localhost:9050"]
    w.refused(["run", "--proxy", "http://localhost:1"], 2, "--proxy takes socks5://")
    w.refused(["run", "--proxy", "socks5://user:secret@proxy.example:1"], 2, "numeric address or localhost")
    for more in (["--public"], ["--listen", "127.0.0.1:0"], ["--public", "--tcp", "127.0.0.1:1"]):
        w.refused(good + more, 2, "--proxy excludes")
    w.refused(["run", "--tcp", "127.0.0.1:1"], 2, "--tcp is for servers")
    w.refused(["run", "--public", "--tcp", "here:1"], 2, "--tcp takes ADDR:PORT")
    w.refused(["run", "--bootstrap", "tcp://nowhere"], 2, "--bootstrap takes")
    _, _, err = w.run(["run", "--proxy", "socks5://user:secret@proxy.example:1"])
    check("secret" not in err[0], "the password is shown: %r" % err)


def test_names_go_to_the_proxy(w):
    """Bootstraps by name are asked of the proxy as names, at the first node and after its end; there is no UDP."""
    server = tcp_server(w)
    with Socks(lambda kind, host, port: ("127.0.0.1", server.tcp_port), method=2) as proxy:
        url = "socks5://127.0.0.1:%d" % proxy.port
        a = proxied(w, url, "relay.invalid:443/" + server.key)
        answered_by_name(a, proxy, server)
        equal(udp_sockets(a.process) or [], [], "UDP sockets of a node behind a proxy")
        check(udp_sockets(server) is None or udp_sockets(server), "the test sees no UDP socket anywhere")
        b = proxied(w, url, "tcp://relay.invalid:443/" + server.key)
        until(lambda: len(set(proxy.users)) == 2, "connection of the second")
        equal(set(proxy.offered), {b"\x02\x00"}, "ways to log in")
        for user, password in proxy.users:
            check(len(user) == 32 and len(password) == 32 and user != password, "random names: %r" % (user,))
        b.call("stop")


def test_one_of_two_is_not_there(w):
    """That is the target's fault, and not told again and again while the other one works."""
    server, other, nobody = tcp_server(w), tcp_server(w), free_port()
    with Socks(straight) as proxy:
        c = proxied(w, "socks5://127.0.0.1:%d" % proxy.port, server.tcp,
                    "--bootstrap", "tcp://127.0.0.1:%d/%s" % (nobody, other.key))
        answered(c)
        until(lambda: sum(port == nobody for _, _, port in proxy.asked) >= 3, "third question for who is not there")
        check(len([x for x in c.process.err.lines if "proxy" in x]) <= 2, "lines: %r" % c.process.err.lines)


def answered_by_name(c, proxy, server):
    until(lambda: (3, b"relay.invalid", 443) in proxy.asked, "question for the name: %r" % proxy.asked)
    until(lambda: c.call("status")["traffic"]["datagrams_in"] > 0, "answer of the server")
    equal({(kind, host) for kind, host, _ in proxy.asked if kind == 3}, {(3, b"relay.invalid")}, "names")


def test_microsocks(w):
    if not installed("microsocks"):
        return
    server, port = tcp_server(w), free_port()
    with Daemon(["microsocks", "-i", "127.0.0.1", "-p", str(port), "-u", "ann", "-P", "a:b@c"], port):
        good = proxied(w, "socks5://ann:a%%3ab%%40c@localhost:%d" % port, server.tcp)
        answered(good)
        equal(good.process.err.lines, [], "standard error")
        bad = proxied(w, "socks5://ann:wrong@localhost:%d" % port, server.tcp)
        check("does not accept the user name and password" in bad.process.err.wait("bauta: "), "what it says")
        equal(bad.event("warning", code="proxy")["text"],
              "The proxy does not accept the user name and password.", "the warning")
    # Down: said once; up again: said once, and it goes on by itself.
    good.process.err.wait("The proxy does not answer.")
    with Daemon(["microsocks", "-i", "127.0.0.1", "-p", str(port), "-u", "ann", "-P", "a:b@c"], port):
        good.process.err.wait("The proxy works.")
    equal([x for x in good.process.err.lines if "works" not in x and "answer" not in x], [], "other lines")


DANTE = """
internal: 127.0.0.1 port = %d
external: 127.0.0.1
clientmethod: none
socksmethod: none
logoutput: %s
client pass { from: 127.0.0.0/8 to: 0.0.0.0/0 }
socks pass { from: 127.0.0.0/8 to: 127.0.0.0/8 port = %d command: connect }
"""


def test_dante(w):
    if not installed("danted"):
        return
    server, other, port = tcp_server(w), tcp_server(w), free_port()
    with open(w.path("danted.conf"), "w", encoding="ascii") as f:
        f.write(DANTE % (port, w.path("danted.log"), server.tcp_port))
    with Daemon([installed("danted"), "-f", w.path("danted.conf"), "-p", w.path("danted.pid")], port):
        c = proxied(w, "socks5://127.0.0.1:%d" % port, server.tcp)
        answered(c)
        equal(c.process.err.lines, [], "standard error")
        refused = proxied(w, "socks5://127.0.0.1:%d" % port, other.tcp)
        check("rules forbid" in refused.process.err.wait("bauta: "), "what it says")


def test_a_proxy_that_lies(w):
    """Whatever it answers, the node says one line, lives, and uses no other way."""
    server = tcp_server(w)
    replies = {
        b"HTTP/1.1 400 Bad Request\r\n\r\n": "does not speak SOCKS5",
        b"\x05\x01\x00\x01" + bytes(6): "reaches none of the servers",
        b"\x05\x07\x00\x01" + bytes(6): "can't make the connections",
        b"\x05\x00\x00\x09" + bytes(600): "does not speak SOCKS5",
        # Success, and then it plays the server: a million bytes that are no frames.
        b"\x05\x00\x00\x01" + bytes(6) + os.urandom(1000000): None,
    }
    for reply, line in replies.items():
        with Socks(lambda *_, r=reply: r) as proxy:
            c = proxied(w, "socks5://127.0.0.1:%d" % proxy.port, server.tcp)
            if line:
                check(line in c.process.err.wait("bauta: "), "%r for %r" % (c.process.err.lines, reply[:4]))
            until(lambda p=proxy: p.asked, "question")
            equal(c.call("status")["dht"]["contacts"], 0, "servers that it knows")
            c.call("stop")
            equal(w.end(c.process)[0], 0, "exit status")
    equal(w.connect(server).call("status")["traffic"]["datagrams_in"], 0, "what came to the server past the proxy")


def test_without_its_proxy_nothing_is_sent(w):
    server, port = tcp_server(w), free_port()
    contact = "127.0.0.1:%s" % server.contact.split(":", 1)[1]  # over UDP it would be there
    c = proxied(w, "socks5://127.0.0.1:%d" % port, contact)
    check("does not answer" in c.process.err.wait("bauta: "), "what it says")
    c.call("seek", topics=["hidden"])
    until(lambda: c.call("status")["dropped"]["out_refused"] >= 3, "refused sends")
    equal(w.connect(server).call("status")["traffic"]["datagrams_in"], 0, "what came to the server")
    equal(len([x for x in c.process.err.lines if "proxy" in x]), 1, "lines about the proxy")
    # When it comes, the node comes in, over TCP to the same address and port: there is none, so that it says so.
    with Socks(straight, port=port):
        c.process.err.wait("reaches none of the servers")


def test_two_behind_proxies_talk(w):
    """Each through a proxy to a relay on TCP: they meet, talk, and go on when all connections break."""
    _, all_of = relays(w, 2)
    with Socks(straight) as one, Socks(straight) as two:
        people = []
        for proxy in (one, two):
            people.append(proxied(w, "socks5://127.0.0.1:%d" % proxy.port, all_of[0].contact,
                                  "--bootstrap", all_of[1].contact))
        a, b = people
        ea, eb, ma, mb = meet(a, b, "masks")
        equal((ma["path"], mb["path"]), ("relayed", "relayed"), "the path")
        talk(a, ea, b, eb, ["over TCP"])
        for s in one.open[1:] + two.open[1:]:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        talk(a, ea, b, eb, ["over others"])
        for c in people:
            equal(udp_sockets(c.process) or [], [], "UDP sockets")
        ports = {int(r.contact.split("/")[0].rsplit(":", 1)[1]) for r in all_of}
        equal({port for _, _, port in one.asked + two.asked} - ports, set(), "other targets than the relays")
