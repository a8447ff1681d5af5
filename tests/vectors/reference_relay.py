#!/usr/bin/env python3
"""Writes relay-offer.json: a second implementation of a relay's key and its offers, on the standard library alone."""
import json
import os
import struct
from hashlib import blake2b, sha512

# ---- Ed25519 (RFC 8032), affine: slow and plain ---------------------------------------------------
P = (1 << 255) - 19
L = (1 << 252) + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def inv(x):
    return pow(x, P - 2, P)


def recover_x(y, sign):
    xx = (y * y - 1) * inv(D * y * y + 1) % P
    x = pow(xx, (P + 3) // 8, P)
    if (x * x - xx) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    return P - x if x & 1 != sign else x


B = (recover_x(4 * inv(5) % P, 0), 4 * inv(5) % P)


def add(p, q):
    (x1, y1), (x2, y2) = p, q
    t = D * x1 * x2 * y1 * y2 % P
    return ((x1 * y2 + x2 * y1) * inv(1 + t) % P, (y1 * y2 + x1 * x2) * inv(1 - t) % P)


def mul(n, p):
    q = (0, 1)
    while n:
        if n & 1:
            q = add(q, p)
        p, n = add(p, p), n >> 1
    return q


def pack(p):
    return (p[1] | (p[0] & 1) << 255).to_bytes(32, "little")


def clamp(h):
    return int.from_bytes(h, "little") & ((1 << 254) - 8) | 1 << 254


def keys(seed):
    """ed_pk, the X25519 secret, the X25519 public key."""
    h = sha512(seed).digest()
    a = clamp(h[:32])
    point = mul(a, B)
    u = (1 + point[1]) * inv(1 - point[1]) % P
    return pack(point), a.to_bytes(32, "little"), u.to_bytes(32, "little")


def sign(seed, msg):
    h = sha512(seed).digest()
    a, ed_pk = clamp(h[:32]), keys(seed)[0]
    r = int.from_bytes(sha512(h[32:] + msg).digest(), "little") % L
    big_r = pack(mul(r, B))
    k = int.from_bytes(sha512(big_r + ed_pk + msg).digest(), "little") % L
    return big_r + ((r + k * a) % L).to_bytes(32, "little")


# ---- offers ---------------------------------------------------------------------------------------
def run(start, n):
    return bytes((start + i) % 256 for i in range(n))


NAME = b"vectors"
NET = bytes([len(NAME)]) + NAME
V4 = bytes([80, 1, 2, 3])
V6 = bytes.fromhex("20010470000000000000000000000001")


def place(epoch, slot):
    return blake2b(b"bauta relays" + NET + struct.pack("<QB", epoch, slot), digest_size=32).digest()


def offer_row(name, seed, slot, paths, tcp, tcp_port, free, capacity):
    epoch = 472222
    issued, expiry = epoch * 3600 + 17, (epoch + 1) * 3600 + 900
    ed_pk, _, pk = keys(seed)
    nonce = run(140, 8)
    body = struct.pack("<BB", 1, 1 if tcp else 0) + ed_pk + nonce
    body += struct.pack("<QQIBHB", issued, expiry, capacity, free, tcp_port, len(paths))
    for ip, port in paths:
        body += bytes([4 if len(ip) == 4 else 6]) + ip + struct.pack("<H", port)
    at = place(epoch, slot)
    sig = sign(seed, b"bauta relay offer 1" + NET + at + body)
    return {"name": name, "seed": seed.hex(), "epoch": epoch, "slot": slot, "ed_pk": ed_pk.hex(), "pk": pk.hex(),
            "puzzle_nonce": nonce.hex(), "issued_s": issued, "expiry_s": expiry, "capacity_kBps": capacity,
            "free": free, "tcp": tcp, "tcp_port": tcp_port,
            "contacts": [{"ip": ip.hex(), "port": port} for ip, port in paths],
            "signature": sig.hex(), "plaintext": (body + sig).ljust(392, b"\0").hex()}


def main():
    rows = {"about": "A relay's key, the places of its directory, its offers; see node/relay/README.md. Hex; ip "
                     "has 4 or 16 bytes.",
            "network": NAME.decode(), "keys": [], "slots": []}
    for seed in (run(0, 32), run(77, 32), bytes(32)):
        ed_pk, secret, pk = keys(seed)
        msg = run(9, 40)
        rows["keys"].append({"seed": seed.hex(), "ed_pk": ed_pk.hex(), "secret": secret.hex(), "pk": pk.hex(),
                             "msg": msg.hex(), "signature": sign(seed, msg).hex()})
    for epoch, slot in ((0, 0), (472222, 0), (472222, 15), (472223, 15)):
        at = place(epoch, slot)
        rows["slots"].append({"epoch": epoch, "slot": slot, "place": at.hex(),
                              "seal": blake2b(b"bauta relays seal" + NET + at, digest_size=32).hexdigest()})
    rows["offers"] = [
        offer_row("IPv4, UDP only", run(0, 32), 3, [(V4, 4000)], False, 0, 8, 1),
        offer_row("IPv6, TCP on 443 alone", run(1, 32), 0, [(V6, 1024)], False, 443, 0, 1250),
        offer_row("both, TCP at both", run(2, 32), 15, [(V4, 65535), (V6, 4001)], True, 443, 5, 12500000),
    ]
    where = os.path.join(os.path.dirname(os.path.abspath(__file__)), "relay-offer.json")
    with open(where, "w", encoding="ascii") as f:
        json.dump(rows, f, indent=1)
        f.write("\n")


main()
