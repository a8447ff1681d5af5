"""Starting and stopping: options, ports, state, signals."""

import os
import signal
import socket
import stat
import subprocess

from harness import BAUTA, GIVE_UP_S, check, equal, meet

KEY = "a" * 52


def test_usage_errors(w):
    w.refused([], 2, "command")
    w.refused(["run", "--nothing"], 2, "--nothing")
    w.refused(["nothing"], 2, "nothing")
    w.refused(["run", "--bootstrap", "127.0.0.1:1/xyz"], 2, "--bootstrap")
    w.refused(["run", "--bootstrap", "127.0.0.1:99999/" + KEY], 2, "--bootstrap")
    w.refused(["run", "--listen", "somewhere"], 2, "--listen")
    w.refused(["run", "--web", "127.0.0.1:0"], 2, "--web")
    w.refused(["run", "--privacy", "maybe"], 2, "--privacy")
    w.refused(["run", "--lab", "--lab-strict"], 2, "--lab")
    for lease in ("", "119", "86401", "99999999999999999999", "1h", "-1"):
        w.refused(["run", "--upnp-lease", lease], 2, "--upnp-lease")
    w.refused(["run", "--lab", "--upnp-lease", "3"], 2, "--upnp-lease")
    w.refused(["run", "--network", "x" * 64], 2, "")
    w.refused(["relay", "--cap", "5"], 2, "--cap")
    w.refused(["relay", "--clients", "5000"], 2, "1 to 4096")
    w.refused(["relay", "--metrics", "0.0.0.0:9464"], 2, "loopback")
    w.refused(["relay", "--privacy", "direct"], 2, "--privacy")
    w.refused(["run", "--public", "--privacy", "relayed"], 2, "--public")
    w.refused(["run", "--hops", "3"], 2, "1 to 2")
    w.refused(["ctl"], 2, "METHOD")
    w.refused(["chat", "--plain", ""], 2, "topic")
    w.refused(["chat", "--plain", "  "], 2, "topic")
    w.refused(["chat", "--plain", "x" * 129], 2, "topic")


def test_help(w):
    for args in (["--help"], ["help"], ["help", "run"], ["run", "--help"], ["help", "chat"], ["chat", "-h"], ["--version"]):
        status, out, err = w.run(args)
        equal((status, err), (0, []), repr(args))
        check(out, repr(args))


def test_closed_streams(w):
    """A standard stream that is closed gives its number to no socket."""
    n = w.node()
    for stream in ("0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"):
        command = '"$0" "$@" ' + stream
        p = subprocess.run(["sh", "-c", command, BAUTA, "chat", "--plain", "--control", n.control, "x"],
                           stdin=subprocess.DEVNULL, capture_output=True, timeout=GIVE_UP_S)
        equal((p.returncode, p.stderr), (0, b""), stream)
    equal(w.connect(n).call("status")["encounters"], [], "the node lives")


def test_busy_port(w):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", 0))
    at = "127.0.0.1:%d" % s.getsockname()[1]
    w.refused(["run", "--lab", "--listen", at, "--control", w.path("c")], 1, at)
    check(not os.path.exists(w.path("c")), "no socket is left")
    s.close()


def test_unusable_paths(w):
    with open(w.path("file"), "w") as f:
        f.write("not a folder")
    listen = ["run", "--lab", "--listen", "127.0.0.1:0"]
    control = ["--control", w.path("c")]
    w.refused(listen + control + ["--state", w.path("file")], 1, "state")
    w.refused(listen + control + ["--state", w.path("no/such")], 1, "state")
    w.refused(listen + ["--control", w.path("no/such/socket")], 1, "no/such")
    w.refused(listen + ["--control", w.path("x" * 120)], 1, "too long")
    w.refused(listen + ["--control", w.path("file")], 1, "file")
    equal(open(w.path("file")).read(), "not a folder", "a file is not taken for a socket")
    w.refused(listen + control + ["--config", w.path("none")], 1, "--config")
    for text, part in (("listen = nowhere\n", "--listen"), ("colour = red\n", "colour"), ("lab = perhaps\n", "lab"),
                       ("[other]\nlab = yes\n", "other"), ("lab\n", "line 1")):
        with open(w.path("conf"), "w") as f:
            f.write(text)
        w.refused(["run", "--config", w.path("conf")] + control, 2, part)
    os.mkdir(w.path("state"))
    with open(w.path("state/privacy"), "w") as f:
        f.write("perhaps\n")
    w.refused(listen + control + ["--state", w.path("state")], 1, "damaged")


def test_config_file(w):
    with open(w.path("conf"), "w") as f:
        f.write("; a comment\n[node]\nlisten = 127.0.0.1:0\nlab = yes\nprivacy = relayed\nnetwork = apart\n")
    p = w.popen(["run", "--config", w.path("conf"), "--control", w.path("c"), "--privacy", "direct"])
    p.control = w.path("c")
    p.contact = p.out.wait("ready ")
    s = w.connect(p).call("status")
    equal((s["network"], s["privacy"]), ("apart", "direct"), "the command line wins over the file")


def test_second_node_and_stale_socket(w):
    p = w.node()
    w.refused(["run", "--lab", "--listen", "127.0.0.1:0", "--control", p.control], 1, "already")
    w.connect(p).call("status")
    p.send_signal(signal.SIGKILL)
    p.wait()
    check(os.path.exists(p.control), "a killed node leaves its socket")
    again = w.popen(["run", "--lab", "--listen", "127.0.0.1:0", "--control", p.control])
    again.out.wait("ready ")


def test_signals(w):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        p = w.node()
        p.send_signal(number)
        equal(w.end(p), (0, ["ready " + p.contact], []), "after %r" % number)
        check(not os.path.exists(p.control), "the socket is removed")


def test_interrupt_says_goodbye(w):
    contacts = w.bootstraps(2)
    a, b = w.person(contacts), w.person(contacts)
    _, eb, _, _ = meet(a, b, "leaving")
    a.process.send_signal(signal.SIGINT)
    equal(b.event("ended", encounter=eb)["reason"], "left", "an interrupted node leaves politely")
    equal(w.end(a.process)[0], 0, "exit status")


def test_client_and_wildcard(w):
    p = w.popen(["run", "--lab-strict", "--listen", "127.0.0.1:0", "--control", w.path("c")])
    equal(p.out.wait("ready "), "ready -", "a node that is no server")
    q = w.node("--no-upnp", listen="0.0.0.0:0")
    check(q.contact.startswith("127.0.0.1:"), "a wildcard is shown as %r" % q.contact)
    c = w.person([q.contact])
    c.call("status")


def test_without_listen(w):
    """Every address of this computer, both families."""
    p = w.popen(["run", "--lab", "--no-upnp", "--privacy", "direct", "--control", w.path("c")])
    p.control = w.path("c")
    p.contact = p.out.wait("ready ").split(" ")[1]
    check(p.contact.startswith("127.0.0.1:"), p.contact)
    listen = w.connect(p).call("status")["reach"]["listen"]
    check(any(x.startswith("0.0.0.0:") for x in listen), "listens at %r" % listen)
    a, b = w.person([p.contact]), w.person([p.contact])
    meet(a, b, "everywhere")


def test_ipv6(w):
    try:
        s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        s.bind(("::1", 0))
        s.close()
    except OSError:
        return  # this computer has no IPv6
    first = w.node(listen="[::1]:0")
    check(first.contact.startswith("[::1]:"), first.contact)
    a = w.person([first.contact], listen="[::1]:0")
    b = w.person([first.contact], listen="[::1]:0")
    ea, eb, _, _ = meet(a, b, "six")
    a.call("say", encounter=ea, text="over IPv6")
    equal(b.event("message", encounter=eb)["text"], "over IPv6", "text")


def test_bootstrap_by_name(w):
    first = w.node(listen="127.0.0.1:0")
    host, key = first.contact.split("/")
    c = w.person(["localhost:%s/%s" % (host.rsplit(":", 1)[1], key)])
    d = w.person([first.contact])
    meet(c, d, "names")


def test_public_key_is_kept(w):
    args = ["run", "--lab-strict", "--public", "--listen", "127.0.0.1:0", "--control", w.path("c"),
            "--state", w.path("state")]
    keys = []
    for _ in range(2):
        p = w.popen(args)
        keys.append(p.out.wait("ready ").split("/")[1])
        p.send_signal(signal.SIGINT)
        equal(w.end(p)[0], 0, "exit status")
    equal(keys[0], keys[1], "the key after a restart")
    equal(stat.S_IMODE(os.stat(w.path("state")).st_mode), 0o700, "mode of the folder")
    equal(stat.S_IMODE(os.stat(w.path("state/server.key")).st_mode), 0o600, "mode of the key")


def test_privacy_is_kept_only_with_state(w):
    p = w.node("--state", w.path("state"), privacy=None)
    c = w.connect(p)
    equal(c.error("seek", {"topics": ["x"]}), -32002, "never chosen")
    c.call("privacy", mode="direct")
    c.call("seek", topics=["x"])
    equal(os.listdir(w.path("state")), ["privacy"], "what is kept")
    equal(stat.S_IMODE(os.stat(w.path("state/privacy")).st_mode), 0o600, "mode")
    c.call("stop")
    equal(w.end(p)[0], 0, "stop")
    q = w.node("--state", w.path("state"), privacy=None)
    equal(w.connect(q).call("status")["privacy"], "direct", "remembered")
    equal(w.connect(w.node(privacy=None)).call("status")["privacy"], "unchosen", "not elsewhere")
    before = set(os.listdir(w.dir))
    n = w.node()
    w.connect(n).call("seek", topics=["nothing on disk"])
    equal(set(os.listdir(w.dir)) - before, {os.path.basename(n.control)}, "files of a running node")
