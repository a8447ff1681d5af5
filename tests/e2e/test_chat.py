"""The plain chat through pipes, as a script or a screen reader has it, and the demonstration."""

import os
import signal
import subprocess

from harness import BAUTA, GIVE_UP_S, check, equal


def chat(w, node, *args):
    return w.popen(["chat", "--plain", "--control", node.control] + list(args))


def type_line(p, text):
    p.stdin.write(text + "\n")
    p.stdin.flush()


def test_two_chat(w):
    contacts = w.bootstraps(2)
    a = chat(w, w.node(bootstrap=contacts), "night trains")
    b = chat(w, w.node(bootstrap=contacts))
    b.out.wait("What do you want to talk about?")
    type_line(b, "jazz, Night Trains")
    b.out.wait("Looking for someone who also wants to talk about jazz or Night Trains.")
    for p in (a, b):
        p.out.wait("Connected. Nobody but the two of you can read this.")
        p.alias = p.out.wait("You talk with").split("with ")[1].split(" about")[0]
    type_line(a, "do you still take them?")
    equal(b.out.wait("do you still"), "%s: do you still take them?" % b.alias, "what arrives")
    a.out.wait("Delivered.")
    type_line(b, "every winter \x1b[31m\u202e, to Lisbon")
    b.out.wait("Not sent")  # control characters are refused where they are typed
    type_line(b, "every winter \u202eto Lisbon")
    equal(a.out.wait("every winter"), "%s: every winter \\u{202E}to Lisbon" % a.alias, "a direction override")
    type_line(a, "//slash")
    equal(b.out.wait("slash"), "%s: /slash" % b.alias, "a line that begins with /")
    type_line(a, "x" * 20000)
    a.out.wait("Not sent")
    type_line(a, "/verify")
    type_line(b, "/verify")
    equal(a.out.wait("six words"), b.out.wait("six words"), "the words")
    type_line(a, "/help")
    a.out.wait("/block")
    type_line(a, "/nothing")
    a.out.wait("no such command")
    type_line(a, "/quit")
    equal(w.end(a)[0], 0, "after /quit")
    b.out.wait("They left.")
    type_line(b, "anybody?")
    b.out.wait("Not sent")
    type_line(b, "/next")
    b.out.wait("Looking for")
    b.send_signal(signal.SIGINT)
    equal(w.end(b)[0], 0, "after an interrupt")
    equal(b.err.all(), [], "standard error")


def test_script(w):
    """All of the input is there at once: lines wait for somebody, and arrive before the end."""
    contacts = w.bootstraps(2)
    other = w.person(contacts)
    p = chat(w, w.node(bootstrap=contacts))
    p.stdin.write("script topic\n" + "".join("line %d\n" % i for i in range(200)))
    p.stdin.close()
    p.out.wait("Looking for")
    e = other.call("seek", topics=["script topic"])["encounter"]
    for i in range(200):
        equal(other.event("message", encounter=e)["text"], "line %d" % i, "in order")
    equal(other.event("ended", encounter=e)["reason"], "left", "the script leaves")
    status, out, err = w.end(p)
    equal((status, err), (0, []), "exit")
    equal(sum(line == "Delivered." for line in out), 200, "deliveries")


def test_block_and_seek(w):
    contacts = w.bootstraps(2)
    other = w.person(contacts)
    p = chat(w, w.node(bootstrap=contacts), "one")
    e = other.call("seek", topics=["one"])["encounter"]
    p.out.wait("Connected")
    type_line(p, "/seek two")
    equal(other.event("ended", encounter=e)["reason"], "left", "seek leaves")
    p.out.wait("talk about two.")
    e = other.call("seek", topics=["two"])["encounter"]
    p.out.wait("Connected")
    other.event("matched", encounter=e)
    type_line(p, "/block")
    other.event("ended", encounter=e)
    p.out.wait("What do you want to talk about?")
    type_line(p, "/end")
    p.out.wait("There is no conversation")
    p.stdin.close()
    equal(w.end(p)[0], 0, "end of input")


def test_privacy_question_and_own_node(w):
    """Without a running node chat starts one, asks the question, and leaves nothing behind."""
    contacts = w.bootstraps(2)
    other = w.person(contacts)
    p = w.popen(["chat", "own node", "--plain", "--lab", "--control", w.path("own"), "--listen", "127.0.0.1:0",
                 "--bootstrap", contacts[0]])
    p.out.wait("Should the stranger be able to see your internet address?")
    type_line(p, "what?")
    p.out.wait("Type hide or direct.")
    type_line(p, "hide")
    p.out.wait("Looking for someone")
    p.out.wait("No relay")
    type_line(p, "/privacy direct")
    p.out.wait("You are not looking any more")
    type_line(p, "own node")
    p.out.wait("Looking for someone")
    e = other.call("seek", topics=["own node"])["encounter"]
    p.out.wait("Connected")
    other.event("matched", encounter=e)
    other.call("say", encounter=e, text="two\nlines")
    check(p.out.wait(": two").endswith(": two"), "first line")
    check(p.out.wait(": lines").endswith(": lines"), "second line, with the name again")
    p.send_signal(signal.SIGINT)
    equal(other.event("ended", encounter=e)["reason"], "left", "the interrupt is polite")
    equal(w.end(p)[0], 0, "exit")
    check(not os.path.exists(w.path("own")), "its control socket is removed")


def test_terminal(w):
    """On a terminal nothing waits: a line that nobody can get is refused at once, and Ctrl-C leaves."""
    n = w.node()
    master, slave = os.openpty()
    p = w.popen(["chat", "nobody yet", "--control", n.control], stdin=slave)
    os.close(slave)
    p.out.wait("Looking for")
    os.write(master, b"hello?\n")
    p.out.wait("Not sent: nobody is connected yet.")
    for text in (b"y" * 4095, b"y" * 6000):  # the terminal keeps 4095 bytes: nobody may get half a text
        os.write(master, text + b"\n")
        p.out.wait("Not sent: a line may have 4094 bytes here.")
    os.write(master, b"y" * 4094 + b"\n")
    p.out.wait("Not sent: nobody is connected yet.")
    os.write(master, b"/privacy Hide \n")
    p.out.wait("That holds from now on.")
    p.out.wait("You are not looking any more")
    os.write(master, b"the sea\n")
    p.out.wait("talk about the sea.")
    p.out.wait("No relay")
    os.write(master, b"/privacy  direct\n")
    p.out.wait("You are not looking any more")
    os.write(master, b"the sea\n")
    p.out.wait("talk about the sea.")
    os.write(master, b"/end\n")
    p.out.wait("What do you want to talk about?")
    os.write(master, b"the weather\n")
    p.out.wait("talk about the weather.")
    os.write(master, b"/quit\n")
    equal(w.end(p)[0], 0, "after /quit")
    os.close(master)
    equal(w.connect(n).call("status")["encounters"], [], "its encounters are ended")


def test_a_stranger_without_receipts(w):
    """Who takes what is said and never confirms it holds nobody: neither commands nor the end of input."""
    contacts = w.bootstraps(2)
    n = w.node(bootstrap=contacts)
    for how in ("seek", "leave"):
        other = w.person(contacts)
        master, slave = os.openpty()
        p = w.popen(["chat", how, "--control", n.control], stdin=slave)
        os.close(slave)
        other.event("matched", encounter=other.call("seek", topics=[how])["encounter"])
        p.out.wait("Connected")
        idle = w.connect(other.process)
        other.close()  # nobody listens there any more, so its node confirms nothing
        w.connect(other.process).call("status")  # it has noticed
        for _ in range(2):
            idle.call("status")  # it has noticed
        lines = 70 if how == "seek" else 1
        for i in range(lines):
            os.write(master, b"line %d\n" % i)
        if how == "seek":
            os.write(master, b"/help\n")
            p.out.wait("/block")
            os.write(master, b"/seek something else\n")
            p.out.wait("Not delivered: 70 of your lines.")
            p.out.wait("talk about something else.")
        os.write(master, b"\x04")
        if how == "leave":
            p.out.wait("Not delivered: 1 of your lines.")
        equal(w.end(p)[0], 0, "the end of input")
        os.close(master)


def test_file_as_input(w):
    n = w.node()
    with open(w.path("lines"), "w") as f:
        f.write("/help\n/end\n/quit")
    with open(w.path("lines")) as f:
        p = w.popen(["chat", "--plain", "--control", n.control], stdin=f)
    status, out, err = w.end(p)
    equal((status, err), (0, []), "exit")
    check(any(line.startswith("/block") for line in out), "help: %r" % out)
    with open(os.devnull) as f:
        equal(w.end(w.popen(["chat", "--plain", "x", "--control", n.control], stdin=f))[0], 0, "no input")


def test_running_node_is_another(w):
    """Options for a node of one's own are not dropped without a word where one runs already."""
    n = w.node("--network", "one")
    w.refused(["chat", "--plain", "--control", n.control, "--network", "two", "x"], 1, "network one")
    status, out, err = w.run(["chat", "--plain", "--control", n.control, "--network", "one", "--lab"])
    equal((status, err), (0, []), "exit")
    check(out[0].startswith("Note: a node is running here already."), "a note: %r" % out)
    status, out, err = w.run(["chat", "--plain", "--control", n.control, "--privacy", "direct"])
    equal((status, out, err), (0, ["What do you want to talk about?"], []), "no note")


def test_lonely_node_says_so(w):
    alone = ["chat", "--plain", "--listen", "127.0.0.1:0", "--control", w.path("own")]
    status, out, err = w.run(alone)
    equal((status, err), (0, []), "exit")
    check(out[0].startswith("Note: no --bootstrap was given"), "a note: %r" % out)
    for option in ("--lab", "--public"):  # others may come to it
        out = w.run(alone + [option])[1]
        check(out[0].startswith("Should the stranger"), "no note with %s: %r" % (option, out))


def test_nobody_reads(w):
    n = w.node()
    r, closed = os.pipe()
    os.close(r)
    p = subprocess.run([BAUTA, "chat", "--plain", "--control", n.control, "x"], stdin=subprocess.DEVNULL, stdout=closed,
                       stderr=subprocess.PIPE, text=True, timeout=GIVE_UP_S)
    os.close(closed)
    equal((p.returncode, p.stderr.count("\n")), (1, 1), p.stderr)
    equal(w.connect(n).call("status")["encounters"], [], "the goodbye is said all the same")


def test_not_utf8(w):
    n = w.node()
    for line in ("\udcff", "/seek jazz, \udcff"):
        _, out, _ = w.run(["chat", "--plain", "--control", n.control], stdin=line + "\n")
        equal(out[1:], ["That is not UTF-8 text."], repr(line))


def test_node_goes_away(w):
    n = w.node()
    p = chat(w, n, "alone")
    p.out.wait("Looking for")
    n.send_signal(signal.SIGKILL)
    status, _, err = w.end(p)
    equal((status, len(err)), (1, 1), "chat ends with a line: %r" % err)


def test_demo(w):
    d = w.popen(["demo", "--control", w.path("demo")])
    d.control = w.path("demo")
    d.out.wait("Ready.")
    w.refused(["demo", "--control", w.path("demo")], 1, "already")
    # A suggested topic, then one that nobody could foresee, then somebody else on it.
    for topic in ("night trains", "glass eels and their long way home"):
        p = chat(w, d)
        p.out.wait("What do you want to talk about?")
        type_line(p, topic)
        p.out.wait("Connected")
        alias = p.out.wait("You talk with").split("with ")[1].split(" about")[0]
        p.out.wait(alias + ": ")  # it says hello
        type_line(p, "I like the sound of rain because it is old")
        p.out.wait("Delivered.")
        p.out.wait(alias + ": ")
        type_line(p, "/next")
        p.out.wait("Connected")
        p.out.wait(": ")
        p.stdin.close()
        equal(w.end(p)[0], 0, "chat")
    d.send_signal(signal.SIGINT)
    equal(w.end(d)[0], 0, "demo")
    check(not os.path.exists(w.path("demo")), "its control socket is removed")
