"""Captures what every namespace of a lab receives and sends, and tells where an address was seen.

An address counts as seen at a place that received a packet from it, sent one to it, or got a packet with it inside
in the clear: quoted by ICMP, as text, or as the wire formats write addresses (a family byte before it). What is
sealed can't be looked into; what leads a packet of a third party to somebody shows when the packet is sent."""
import ipaddress
import os
import selectors
import socket
import struct
import threading

ETH_P_ALL = 0x0003
ETH_P_IP, ETH_P_IPV6 = 0x0800, 0x86DD
SOL_PACKET, PACKET_STATISTICS, SO_RCVBUFFORCE = 263, 6, 33
BUFFER_BYTES = 32 << 20
ICMP_ERRORS = {1: (3, 4, 5, 11, 12), 58: (1, 2, 3, 4)}
PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6"}


def parse(packet):
    """(protocol, source, destination, source port, destination port, payload) of an IP packet, or None."""
    if len(packet) >= 20 and packet[0] >> 4 == 4:
        at, proto, src, dst = 4 * (packet[0] & 15), packet[9], packet[12:16], packet[16:20]
        first = struct.unpack_from(">H", packet, 6)[0] & 0x1FFF == 0
    elif len(packet) >= 40 and packet[0] >> 4 == 6:
        at, proto, src, dst, first = 40, packet[6], packet[8:24], packet[24:40], True
    else:
        return None
    ports = (0, 0)
    if proto in (6, 17) and first and len(packet) >= at + 4:
        ports = struct.unpack_from(">HH", packet, at)
    return (proto, src, dst) + ports + (packet[at:],)


def forms(packed):
    """How an address may stand in the clear."""
    text = str(ipaddress.ip_address(packed)).encode()
    return [bytes([4 if len(packed) == 4 else 6]) + packed, text] + ([packed] if len(packed) == 16 else [])


class Capture:
    """Listens from when it is made. `spaces`: namespaces (netns.Namespace)."""

    def __init__(self, spaces):
        self.lock, self.flows, self.watched, self.inside = threading.Lock(), {}, {}, {}
        self.selector, self.sockets, self.lost = selectors.DefaultSelector(), [], 0
        self.wake_out, self.wake_in = os.pipe()
        self.selector.register(self.wake_out, selectors.EVENT_READ, None)
        for space in spaces:
            s = space.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
            try:
                s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
            except OSError:  # only for who is root of the whole machine
                s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
            s.setblocking(False)
            self.sockets.append(s)
            self.selector.register(s, selectors.EVENT_READ, space.name)
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def watch(self, addresses):
        """From now on these are also looked for inside of packets."""
        with self.lock:
            for a in addresses:
                packed = ipaddress.ip_address(a).packed
                self.watched[packed] = forms(packed)

    def _take(self, place, packet, sent):
        p = parse(packet)
        if p is None:
            return
        proto, src, dst, sport, dport, payload = p
        key = (place, sent, proto, src, dst, sport, dport)
        self.flows[key] = self.flows.get(key, 0) + 1
        if sent:
            return
        quoted = None
        if proto in ICMP_ERRORS and payload and payload[0] in ICMP_ERRORS[proto]:
            quoted = parse(payload[8:])
        for a, spellings in self.watched.items():
            if (quoted and a in quoted[1:3]) or any(s in payload for s in spellings):
                self.inside[(place, a)] = self.inside.get((place, a), 0) + 1

    def _read(self):
        ending = False
        while True:
            ready = self.selector.select(0 if ending else None)
            some = False
            for key, _ in ready:
                if key.data is None:
                    ending = True
                    continue
                for _ in range(64):
                    try:
                        packet, (_, proto, kind, _, _) = key.fileobj.recvfrom(2048)
                    except BlockingIOError:
                        break
                    some = True
                    if proto in (ETH_P_IP, ETH_P_IPV6):
                        with self.lock:
                            self._take(key.data, packet, kind == socket.PACKET_OUTGOING)
            if ending and not some:
                return

    def close(self):
        """Reads what has been captured to its end. Returns how many packets the kernel had no room for: any at all and
        what was seen proves nothing."""
        if self.thread is not None:
            os.write(self.wake_in, b".")
            self.thread.join()
            self.thread = None
            for s in self.sockets:
                self.lost += struct.unpack("II", s.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1]
                s.close()
            self.selector.close()
            os.close(self.wake_in)
            os.close(self.wake_out)
        return self.lost

    def packets(self, place):
        """How many that place received."""
        with self.lock:
            return sum(n for k, n in self.flows.items() if k[0] == place and not k[1])

    def senders(self, place):
        """Addresses from which it received anything."""
        with self.lock:
            return {str(ipaddress.ip_address(k[3])) for k in self.flows if k[0] == place and not k[1]}

    def seen(self, addresses, but=()):
        """Where any of the addresses was seen, places in `but` left out: {place: what, each as one line}."""
        want = {ipaddress.ip_address(a).packed for a in addresses}
        found = {}
        with self.lock:
            for (place, sent, proto, src, dst, sport, dport), n in self.flows.items():
                if place in but or (dst if sent else src) not in want:
                    continue
                found.setdefault(place, []).append("%s %s %s %d -> %s %d, %d packets" % (
                    "sent" if sent else "received", PROTOCOLS.get(proto, proto), ipaddress.ip_address(src), sport,
                    ipaddress.ip_address(dst), dport, n))
            for (place, a), n in self.inside.items():
                if place not in but and a in want:
                    found.setdefault(place, []).append("%s in the clear inside of %d packets" % (
                        ipaddress.ip_address(a), n))
        return found
