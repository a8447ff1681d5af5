"""Nodes on one bridge, each in a network namespace of its own, find each other without being told of anybody."""

import base64
import json
import queue
import subprocess
import threading

from harness import GIVE_UP_S, SLOW, check, equal, meet
from test_move import Network, say, why_not

GROUPS = ("239.255.71.113", "ff12::6261:7574:6100")
PORT = 47113
BEACON_BYTES = 192

# Every UDP datagram that a host sends, as a line of JSON.
CAPTURE = """
import json, socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(3))
print("there", flush=True)
while True:
    frame, at = s.recvfrom(65536)
    if at[2] == socket.PACKET_OUTGOING or not at[0].startswith("v"):
        continue
    kind, ip = frame[12:14], frame[14:]
    if kind == b"\\x08\\x00" and ip[9] == 17:
        family, source, to, hops, udp = socket.AF_INET, ip[12:16], ip[16:20], ip[8], ip[(ip[0] & 15) * 4:]
    elif kind == b"\\x86\\xdd" and ip[6] == 17:
        family, source, to, hops, udp = socket.AF_INET6, ip[8:24], ip[24:40], ip[7], ip[40:]
    else:
        continue
    print(json.dumps([at[0], socket.inet_ntop(family, source), socket.inet_ntop(family, to),
                      int.from_bytes(udp[2:4], "big"), hops, udp[8:].hex()]), flush=True)
"""


class Bridge(Network):
    """With an observer who sees what each host sends."""

    def __init__(self):
        super().__init__()
        self.seen = []
        self.news = queue.Queue()
        self.observer = subprocess.Popen(self.within(self.hub) + ["python3", "-c", CAPTURE], stdout=subprocess.PIPE,
                                         text=True)
        equal(self.observer.stdout.readline(), "there\n", "an observer")
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.observer.stdout:
            self.news.put(json.loads(line))

    def port(self, pid):
        return "v%d" % (1 + [h.pid for h in self.holders].index(pid))

    def look(self):
        while not self.news.empty():
            self.seen.append(self.news.get())

    def beacons(self, pid):
        self.look()
        return [bytes.fromhex(d[5]) for d in self.seen if d[0] == self.port(pid) and d[3] == PORT]

    def wait_beacons(self, pid, more):
        """So many more than there are now."""
        wanted = len(self.beacons(pid)) + more
        while len(self.beacons(pid)) < wanted:
            try:
                self.seen.append(self.news.get(timeout=GIVE_UP_S))
            except queue.Empty:
                raise AssertionError("no beacon") from None

    def close(self):
        self.observer.terminate()
        self.observer.wait(GIVE_UP_S)
        super().close()


def status(control):
    return control.call("status")


def wait_status(control, test, what):
    """Asks until it is so: the control socket has no event for it."""
    pause = threading.Event()
    for _ in range(int(GIVE_UP_S / 0.05)):
        s = status(control)
        if test(s):
            return s
        pause.wait(0.05 * SLOW)
    raise AssertionError("never: %s; %r" % (what, s))


def start(w, net, number, *args, **kinds):
    pid = net.host("10.78.%d.2" % number)
    control = w.person([], *args, listen="0.0.0.0:%d" % (6000 + number), within=net.within(pid), **kinds)
    control.pid = pid
    return control


def random_looking(datagrams):
    """Sizes, and as far as so few can show it: no byte stands still, half of the bits differ."""
    check(len(datagrams) >= 6, "enough of them")
    for i, a in enumerate(datagrams):
        equal(len(a), BEACON_BYTES, "size")
        for b in datagrams[:i]:
            differ = bin(int.from_bytes(a, "big") ^ int.from_bytes(b, "big")).count("1")
            check(500 < differ < 1036, "%d of 1536 bits differ" % differ)  # 13 standard deviations
    for at in range(BEACON_BYTES):
        check(len({d[at] for d in datagrams}) > 1, "byte %d stands still" % at)


def test_a_newcomer_joins_through_a_beacon(w):
    if why_not():
        print("lan: not tested: %s" % why_not())
        return
    net = Bridge()
    try:
        silent = [start(w, net, 1, "--no-lan"), start(w, net, 2, privacy="relayed")]
        for s in silent:
            check(not status(s)["reach"]["lan"]["on"], "LAN discovery is off")
        # Who knows nobody asks. Another network's name: nobody understands him.
        stranger = start(w, net, 3, "--network", "another")
        net.wait_beacons(stranger.pid, 4)
        # Switched off while it is alone and asks; what the kernel had already is seen before the next answer.
        turns = start(w, net, 4, "--network", "turns")
        net.wait_beacons(turns.pid, 2)
        turns.call("privacy", mode="relayed")
        check(not status(turns)["reach"]["lan"]["on"], "off at run time")
        net.wait_beacons(stranger.pid, 1)
        before = len(net.beacons(turns.pid))
        net.wait_beacons(stranger.pid, 2)
        equal(len(net.beacons(turns.pid)), before, "beacons of who hides his address")
        turns.call("privacy", mode="direct")
        net.wait_beacons(turns.pid, 1)

        a = start(w, net, 5)
        net.wait_beacons(a.pid, 1)
        b = start(w, net, 6)
        for one in (a, b):
            wait_status(one, lambda s: s["dht"]["contacts"] == 1, "they know each other")
        c = start(w, net, 7)
        wait_status(c, lambda s: s["dht"]["contacts"] == 2, "the third knows both")
        ea, eb, _, _ = meet(a, c, "neighbours")
        say(a, ea, c, eb, "no one told us")

        wait_status(stranger, lambda s: s["reach"]["lan"]["dropped"] > 0, "the stranger hears them")
        equal(status(stranger)["reach"]["lan"]["heard"], 0, "beacons that the stranger can open")
        equal(status(stranger)["dht"]["contacts"], 0, "whom the stranger knows")
        check(status(b)["reach"]["lan"]["heard"] > 0, "a beacon was heard")
        for s in silent:
            equal(net.beacons(s.pid), [], "beacons of who keeps silent")
            equal(status(s)["dht"]["contacts"], 0, "whom the silent know")

        net.look()
        ours = [one for one in (a, b, c, stranger, turns)]
        everything = [d for one in ours for d in net.beacons(one.pid)]
        random_looking(everything)
        for control in (a, b, c):
            text = control.process.contact.split("/")[1].upper()
            key = base64.b32decode(text + "=" * (-len(text) % 8))
            check(not any(key in d for d in everything), "a key in the clear")
        for d in net.seen:
            if d[3] == PORT:
                check(d[2] in GROUPS and d[4] == 1, "to the group, one hop: %r" % (d[:5],))
                check(d[1].startswith(("10.78.", "fe80:")), "from an address of the link: %r" % (d[:5],))
        check({d[2] for d in net.seen if d[3] == PORT} == set(GROUPS), "both families are spoken")
    finally:
        net.close()


def test_another_link(w):
    """Who comes to another link speaks there at once, and is found."""
    if why_not():
        print("lan: not tested: %s" % why_not())
        return
    net = Bridge()
    try:
        a = start(w, net, 1)
        net.wait_beacons(a.pid, 1)
        pid = net.holder()
        b = w.person([], listen="0.0.0.0:6002", within=net.within(pid))
        equal(status(b)["dht"]["contacts"], 0, "whom it knows without a link")
        name = "v%d" % len(net.holders)
        net.ip(net.hub, "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", str(pid))
        net.ip(net.hub, "link", "set", name, "master", "br0", "up")
        net.ip(pid, "link", "set", "eth0", "up")
        net.ip(pid, "addr", "add", "10.78.2.2/16", "dev", "eth0")
        wait_status(b, lambda s: s["dht"]["contacts"] == 1, "they know each other")
        wait_status(a, lambda s: s["dht"]["contacts"] == 1, "both do")
    finally:
        net.close()


# Random datagrams of the right size, of wrong ones, and one that was heard, over and over.
FLOOD = """
import os, socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("10.78.9.9"))
heard = bytes.fromhex(sys.argv[1])
for i in range(20000):
    s.sendto((os.urandom(192), os.urandom(i % 1400), heard, heard)[i % 4], ("239.255.71.113", 47113))
"""


def test_a_flood(w):
    if why_not():
        print("lan: not tested: %s" % why_not())
        return
    net = Bridge()
    try:
        a = start(w, net, 1)
        net.wait_beacons(a.pid, 2)
        flooder = net.host("10.78.9.9")
        subprocess.run(net.within(flooder) + ["python3", "-c", FLOOD, net.beacons(a.pid)[0].hex()], check=True,
                       timeout=GIVE_UP_S)
        s = wait_status(a, lambda s: s["reach"]["lan"]["dropped"] > 0, "some were looked at")
        lan = s["reach"]["lan"]
        # At most 64 a second, and what is dropped behind them in the same wake-up.
        check(lan["heard"] + lan["dropped"] < 2000, "few of 20,000: %r" % (lan,))
        equal(s["dht"]["contacts"], 0, "nobody was named but the node itself")
        b = start(w, net, 2)
        wait_status(b, lambda s: s["dht"]["contacts"] == 1, "a newcomer joins all the same")
    finally:
        net.close()
