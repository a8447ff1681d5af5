"""The lab's link between two network namespaces, as tools/lab/compare makes it: what its counters say is
what arrives. Nothing is asserted of the clock but that no packet comes before its time."""

import importlib.machinery
import importlib.util
import os
import socket
import struct
import subprocess
import sys
import threading
import time

from harness import BAUTA, GIVE_UP_S, ROOT, check, equal

sys.path.insert(0, os.path.join(ROOT, "tools/lab"))
from netns import socket_in  # noqa: E402

PACKET = 1250  # with its headers, 0.5 ms at 20 Mbit/s
HEADERS = 28


def compare():
    loader = importlib.machinery.SourceFileLoader("lab_compare", os.path.join(ROOT, "tools/lab/compare"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("lab_compare", loader))
    loader.exec_module(module)
    return module


def why_not():
    if not os.path.exists("/dev/net/tun"):
        return "no /dev/net/tun"
    if subprocess.run(["unshare", "--net", "true"], stderr=subprocess.DEVNULL, check=False).returncode:
        return "no right to make network namespaces"
    return None


def arrivals(out, into, to, count):
    """Sends `count` packets; (number, when sent, when it came) of each that came. The link keeps the
    order, so what comes behind them says that all are through."""
    seen, done = [], threading.Event()

    def sink():
        while True:
            data = into.recv(2048)
            number, sent = struct.unpack_from("<QQ", data)
            if number >= count:
                done.set()
                return
            seen.append((number, sent, time.monotonic_ns()))

    t = threading.Thread(target=sink, daemon=True)
    t.start()
    for i in range(count):
        out.sendto(struct.pack("<QQ", i, time.monotonic_ns()).ljust(PACKET - HEADERS, b"."), to)
    give_up = time.monotonic() + GIVE_UP_S
    while not done.wait(0.02):  # these may get lost too
        check(time.monotonic() < give_up, "the link carries nothing any more")
        out.sendto(struct.pack("<QQ", count, 0), to)
    return seen


def through(how, count):
    """What came of `count` packets from a to b, and the link's counters."""
    lab = compare()
    link = lab.Link(os.path.dirname(BAUTA), how, 1)
    try:
        out, into = (socket_in(f) for f in link.files)
        into.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        into.bind((lab.ADDRESS[1], 0))
        seen = arrivals(out, into, into.getsockname(), count)
    finally:
        link.close()
    return seen, link.counters["from_a"]


def test_link_loses_and_doubles(_world):
    if why_not():
        print("lab: not tested: %s" % why_not())
        return
    count = 5000
    seen, n = through({"delay": "30ms", "loss": "10%", "duplicate": "4%"}, count)
    equal(n["no_room"] + n["refused"] + max(n["device_dropped"], 0), 0, "lost by the host")
    check(n["packets_in"] > count, "packets that went in: %d" % n["packets_in"])
    check(373 <= n["lost"] <= 627, "10 %% of %d lost: %d" % (count, n["lost"]))
    check(105 <= n["duplicated"] <= 255, "4 %% of the rest doubled: %d" % n["duplicated"])
    equal(n["packets_out"] + n["on_the_way"], n["packets_in"] - n["lost"] + n["duplicated"], "balance")
    distinct = len({number for number, _, _ in seen})
    check(count - n["lost"] <= distinct < count, "%d arrived, %d lost" % (distinct, n["lost"]))
    early = [number for number, sent, came in seen if came - sent < 30000000]
    check(not early, "%d came sooner than after 30 ms" % len(early))
    numbers = [number for number, _, _ in seen]
    equal(numbers, sorted(numbers), "the order")


def test_link_has_a_rate_and_a_queue(_world):
    if why_not():
        print("lab: not tested: %s" % why_not())
        return
    count, queue, cost_ns = 600, 100 * PACKET, 500000
    seen, n = through({"delay": "5ms", "rate": "20M", "queue": str(queue)}, count)
    equal(n["lost"] + n["duplicated"] + n["reordered"], 0, "nothing but the queue")
    equal(n["packets_out"] + n["on_the_way"], n["packets_in"] - n["queue_full"], "balance")
    check(n["queue_bytes_max"] <= queue, "at most %d bytes waited" % n["queue_bytes_max"])
    check(len(seen) >= min(count, 100), "what the queue holds came: %d" % len(seen))
    check(count - len(seen) <= n["queue_full"], "%d came, %d dropped" % (len(seen), n["queue_full"]))
    # No faster than the rate: the k-th can't be there before k packets were sent out one after the other.
    first = min(sent for _, sent, _ in seen)
    for k, (_, _, came) in enumerate(seen):
        check(came - first >= 5000000 + (k + 1) * cost_ns, "the packet at place %d was too fast" % k)
