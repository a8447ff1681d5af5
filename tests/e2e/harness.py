"""Real processes of bauta, driven through what a person or a program would use: command line, control
socket, pipes. Every wait is for an event, with a generous bound that only says when to give up."""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BAUTA = os.path.join(ROOT, os.environ.get("BAUTA", "build/bauta"))
SLOW = 5.0 if "asan" in BAUTA else 1.0  # sanitizers make every step slower
GIVE_UP_S = 60.0 * SLOW
# Who starts the tests under nohup hands an ignored SIGHUP down, which a node then ignores as well.
signal.signal(signal.SIGHUP, signal.SIG_DFL)


class Failure(Exception):
    pass


def check(truth, what):
    if not truth:
        raise Failure(what)


def equal(got, want, what):
    if got != want:
        raise Failure("%s: got %r, wanted %r" % (what, got, want))


class Lines:
    """Lines of a stream as they come, read by a thread."""

    def __init__(self, stream):
        self.stream = stream
        self.lines = []
        self.at = 0
        self.ended = False
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        for line in self.stream:
            with self.changed:
                self.lines.append(line.rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def wait(self, part, give_up_s=None):
        """The next line that holds `part`; those before it are passed over."""
        end = time.monotonic() + (give_up_s or GIVE_UP_S)
        with self.changed:
            while True:
                while self.at < len(self.lines):
                    line = self.lines[self.at]
                    self.at += 1
                    if part in line:
                        return line
                left = end - time.monotonic()
                if self.ended or left <= 0:
                    why = "the stream ended" if self.ended else "timeout"
                    raise Failure("no line with %r (%s); lines: %r" % (part, why, self.lines[-20:]))
                self.changed.wait(left)

    def all(self):
        self.thread.join(GIVE_UP_S)
        with self.changed:
            return list(self.lines)


class Control:
    """One connection to a control socket. All share one condition, so that a test can wait for any."""

    changed = threading.Condition()

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(path)
        self.answers = {}
        self.strays = []  # answers with id null
        self.events = []
        self.next_id = 0
        self.ended = False
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        buf = b""
        while True:
            try:
                part = self.sock.recv(65536)
            except OSError:
                part = b""
            if not part:
                break
            buf += part
            *lines, buf = buf.split(b"\n")
            with self.changed:
                for line in lines:
                    o = json.loads(line.decode("utf-8"))
                    if "method" in o:
                        self.events.append((o["method"], o["params"]))
                    elif o.get("id") is None:
                        self.strays.append(o)
                    else:
                        self.answers[o["id"]] = o
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def until(self, test, what, give_up_s=None):
        """Waits until test() gives something; called with the lock held."""
        end = time.monotonic() + (give_up_s or GIVE_UP_S)
        with self.changed:
            while True:
                got = test()
                if got:
                    return got
                left = end - time.monotonic()
                if left <= 0 or self.ended:
                    raise Failure("no %s (%s); events: %r" % (
                        what, "the node is gone" if self.ended else "timeout", self.events[-10:]))
                self.changed.wait(left)

    def send_raw(self, data):
        self.sock.sendall(data)

    def send(self, method, params=None):
        self.next_id += 1
        o = {"jsonrpc": "2.0", "id": self.next_id, "method": method}
        if params is not None:
            o["params"] = params
        self.send_raw(json.dumps(o).encode() + b"\n")
        return self.next_id

    def answer(self, number):
        return self.until(lambda: self.answers.get(number), "answer %r" % (number,))

    def call(self, method, **params):
        o = self.answer(self.send(method, params))
        if "error" in o:
            raise Failure("%s: %r" % (method, o["error"]))
        return o["result"]

    def error(self, method, params=None):
        o = self.answer(self.send(method, params))
        check("error" in o, "%s: an error was due, got %r" % (method, o))
        check(len(o["error"]["message"]) > 5, "an error needs a message")
        return o["error"]["code"]

    def stray(self, give_up_s=None):
        return self.until(lambda: self.strays.pop(0) if self.strays else None, "answer without id", give_up_s)

    def event(self, method, give_up_s=None, **fields):
        """The first event of that kind with those fields, whenever it came; it is taken out."""
        def find():
            for i, (m, p) in enumerate(self.events):
                if m == method and all(p.get(k) == v for k, v in fields.items()):
                    del self.events[i]
                    return p
            return None
        return self.until(find, "event %s %r" % (method, fields), give_up_s)

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)  # close alone waits for the thread that is reading
        except OSError:
            pass
        self.sock.close()


class World:
    """What one test starts, and cleans up."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="bauta-")
        self.processes = []
        self.controls = []
        self.count = 0

    def path(self, name):
        return os.path.join(self.dir, name)

    def popen(self, args, env=None, stdin=subprocess.PIPE, within=()):
        full = dict(os.environ)
        full.pop("XDG_RUNTIME_DIR", None)
        full["TMPDIR"] = self.dir
        full.update(env or {})
        p = subprocess.Popen(list(within) + [BAUTA] + args, stdin=stdin, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, encoding="utf-8", errors="surrogateescape",
                             env=full, cwd=self.dir)
        p.out = Lines(p.stdout)
        p.err = Lines(p.stderr)
        self.processes.append(p)
        return p

    def end(self, p):
        """Waits for a process; returns exit status, lines of standard output, lines of standard error."""
        try:
            p.wait(GIVE_UP_S)
        except subprocess.TimeoutExpired:
            raise Failure("%r did not end; it said %r" % (p.args[1:3], p.out.lines[-10:]))
        return p.returncode, p.out.all(), p.err.all()

    def run(self, args, stdin="", env=None):
        p = self.popen(args, env)
        try:
            p.stdin.write(stdin)
            p.stdin.close()
        except BrokenPipeError:
            pass
        return self.end(p)

    def refused(self, args, status, part, **more):
        """It ends at once, with one line on standard error."""
        got, out, err = self.run(args, **more)
        equal(got, status, "%r: exit status (%r)" % (args, err))
        equal(len(err), 1, "%r: lines on standard error %r" % (args, err))
        equal(out, [], "%r: standard output" % (args,))
        check(part in err[0], "%r: %r should say %r" % (args, err[0], part))

    def start(self, *args, command="run", lab=True, listen="127.0.0.1:0", privacy="direct", bootstrap=(), within=()):
        """A node's process; `listen`: one address, several, or None for the node's own choice."""
        self.count += 1
        control = self.path("c%d" % self.count)
        full = [command] + ["--lab"] * lab + ["--control", control]
        for at in [listen] if isinstance(listen, str) else listen or ():
            full += ["--listen", at]
        if command == "run":
            full += ["--web", "off"] + (["--privacy", privacy] if privacy else [])
        for b in bootstrap:
            full += ["--bootstrap", b]
        p = self.popen(full + list(args), within=within)
        p.control = control
        return p

    def node(self, *args, **kinds):
        p = self.start(*args, **kinds)
        p.contact = p.out.wait("ready ").split(" ", 1)[1]
        return p

    def connect(self, p):
        c = Control(p.control)
        self.controls.append(c)
        return c

    def bootstraps(self, n=3):
        contacts = []
        for _ in range(n):
            contacts.append(self.node(bootstrap=contacts).contact)
        return contacts

    def person(self, contacts, *args, **kinds):
        p = self.node(*args, bootstrap=contacts, **kinds)
        c = self.connect(p)
        c.call("subscribe")
        c.process = p
        return c

    def close(self):
        for c in self.controls:
            c.close()
        for p in self.processes:
            if p.poll() is None:
                p.send_signal(signal.SIGTERM)
        for p in self.processes:
            try:
                p.wait(10 * SLOW)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
            for s in (p.stdin, p.stdout, p.stderr):
                try:
                    if s is not None:
                        s.close()
                except (BrokenPipeError, ValueError, OSError):
                    pass
        shutil.rmtree(self.dir, ignore_errors=True)

    def crashed(self):
        """What no process may do, whatever the test was about."""
        for p in self.processes:
            if p.returncode not in (None, 0, 1, 2, -signal.SIGKILL, -signal.SIGTERM):
                return "%r ended with %d: %r" % (p.args[1:4], p.returncode, p.err.lines[-5:])
            if any("Sanitizer" in line or "runtime error" in line for line in p.err.lines):
                return "%r: %r" % (p.args[1:4], p.err.lines[:12])
        return None


def seek(control, *topics):
    return control.call("seek", topics=list(topics))["encounter"]


def meet(a, b, topic):
    """Both seek, and have found each other. Returns both encounters and matched events."""
    ea, eb = seek(a, topic), seek(b, topic)
    ma, mb = a.event("matched", encounter=ea), b.event("matched", encounter=eb)
    equal(ma["words"], mb["words"], "the words of both ends")
    return ea, eb, ma, mb
