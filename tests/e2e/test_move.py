"""Both ends of a conversation get other addresses at once, each in a network namespace of its own; servers
stand between them. Real sockets, real interfaces."""

import shutil
import subprocess

from harness import GIVE_UP_S, check, equal, meet


class Network:
    """A bridge with the servers' address on it, and hosts that hang on it."""

    def __init__(self):
        self.holders = []
        self.hub = self.holder()
        self.ip(self.hub, "link", "add", "br0", "type", "bridge")
        self.ip(self.hub, "addr", "add", "10.77.0.1/16", "dev", "br0")
        self.ip(self.hub, "link", "set", "br0", "up")

    def holder(self):
        # The end of its standard input ends it, and the namespace with it.
        child = subprocess.Popen(["unshare", "--net", "sh", "-c", "ip link set lo up; echo there; exec cat"],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.holders.append(child)
        equal(child.stdout.readline(), "there\n", "a namespace")
        return child.pid

    def within(self, pid):
        return ["nsenter", "--net=/proc/%d/ns/net" % pid]

    def ip(self, pid, *argv):
        subprocess.run(self.within(pid) + ["ip"] + list(argv), check=True, timeout=GIVE_UP_S)

    def host(self, address):
        pid = self.holder()
        name = "v%d" % len(self.holders)
        self.ip(self.hub, "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", str(pid))
        self.ip(self.hub, "link", "set", name, "master", "br0", "up")
        self.ip(pid, "link", "set", "eth0", "up")
        self.ip(pid, "addr", "add", address + "/16", "dev", "eth0")
        return pid

    def move(self, pid, before, after):
        self.ip(pid, "addr", "del", before + "/16", "dev", "eth0")
        self.ip(pid, "addr", "add", after + "/16", "dev", "eth0")

    def close(self):
        for child in reversed(self.holders):
            child.stdin.close()
            child.stdout.close()
            child.wait(GIVE_UP_S)


def why_not():
    if shutil.which("ip") is None or shutil.which("nsenter") is None:
        return "no ip or nsenter"
    rights = "ip link add v0 type veth peer name v1 && ip link add br0 type bridge"
    if subprocess.run(["unshare", "--net", "sh", "-c", rights], stderr=subprocess.DEVNULL,
                      check=False).returncode:
        return "no right to make network namespaces"
    return None


def say(one, encounter, other, at, text):
    number = one.call("say", encounter=encounter, text=text)["id"]
    equal(other.event("message", encounter=at)["text"], text, "text")
    one.event("delivered", encounter=encounter, id=number)


def test_both_move_at_once(w):
    if why_not():
        print("move: not tested: %s" % why_not())
        return
    net = Network()
    try:
        hub = net.within(net.hub)
        contacts = []
        for port in (5001, 5002, 5003):
            contacts.append(w.node(listen="10.77.0.1:%d" % port, bootstrap=contacts, within=hub).contact)
        hosts = [net.host("10.77.1.2"), net.host("10.77.2.2")]
        a, b = [w.person(contacts, listen="0.0.0.0:%d" % (6001 + i), within=net.within(hosts[i]))
                for i in range(2)]
        ea, eb, _, _ = meet(a, b, "moving houses")
        say(a, ea, b, eb, "before")
        for turn in range(2):
            net.move(hosts[0], "10.77.1.%d" % (2 + turn), "10.77.1.%d" % (3 + turn))
            net.move(hosts[1], "10.77.2.%d" % (2 + turn), "10.77.2.%d" % (3 + turn))
            say(a, ea, b, eb, "after %d" % turn)
            say(b, eb, a, ea, "back %d" % turn)
        check(not [e for e in a.events + b.events if e[0] in ("ended", "undelivered")], "nothing is lost")
    finally:
        net.close()
