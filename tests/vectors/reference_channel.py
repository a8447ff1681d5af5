#!/usr/bin/env python3
"""Writes channel-wire.json: the frames of node/channel/README.md, encoded from their fields, and sealed packets.

A second implementation; it shares no code with the C. `python3 tests/vectors/reference_channel.py [FOLDER]`
"""
import json
import os
import sys

from reference import HERE, packet_keys, packet_seal

ABOUT = ("Frames and sealed packets of the channel. Numbers as in node/channel/README.md; bytes in hex. "
         "ACK ranges are [lowest, highest], both acknowledged.")


def le(v, n):
    return v.to_bytes(n, "little")


def ack(f):
    """largest, delay, how many more ranges, the first one's length less 1; then gaps and lengths, downwards."""
    ranges = f["ranges"]
    low, high = ranges[0]
    out = le(high, 8) + le(f["delay_us"], 4) + le(len(ranges) - 1, 1) + le(high - low, 2)
    for lo, hi in ranges[1:]:
        out += le(low - hi - 1, 2) + le(hi - lo + 1, 2)
        low = lo
    return out


def data_of(f):
    return bytes.fromhex(f["data"])


ENCODERS = {
    0: lambda f: bytes(3),
    1: lambda f: b"",
    2: ack,
    3: lambda f: le(f["stream"], 1) + le(f["offset"], 6) + le(len(data_of(f)), 2) + data_of(f),
    4: lambda f: le(f["stream"], 1) + le(f["limit"], 6),
    5: lambda f: le(len(data_of(f)), 2) + data_of(f),
    6: data_of,
    7: data_of,
    8: lambda f: (le(f["step"], 4) + le(f["message"], 1) + le(f["offset"], 2) +
                  le(len(data_of(f)), 2) + data_of(f)),
    9: lambda f: le(f["kind"], 1) + le(f["code"], 2),
    10: lambda f: le(f["step"], 4) + data_of(f),
    11: lambda f: ack(f) + le(f["ect"], 4) + le(f["ce"], 4),
    12: lambda f: le(f["version"], 2) + le(len(data_of(f)), 1) + data_of(f),
    13: lambda f: le(len(data_of(f)), 1) + data_of(f),
}

RANGES = [[996, 1000], [983, 992], [981, 981]]
FRAMES = [
    ("padding", dict(type=0)),
    ("ping", dict(type=1)),
    ("ack", dict(type=2, delay_us=2500, ranges=RANGES)),
    ("stream", dict(type=3, stream=5, offset=0x0102030405, data=b"hello".hex())),
    ("max_data", dict(type=4, stream=5, limit=1 << 40)),
    ("max_data of the channel", dict(type=4, stream=255, limit=65536)),
    ("datagram", dict(type=5, data=b"abc".hex())),
    ("path_challenge", dict(type=6, data=bytes(range(8)).hex())),
    ("path_response", dict(type=7, data=bytes(range(8, 16)).hex())),
    ("ratchet", dict(type=8, step=7, message=2, offset=1100, data="09080706")),
    ("ask for a step", dict(type=8, step=7, message=0, offset=0, data="")),
    ("close", dict(type=9, kind=0, code=0x0201)),
    ("new_cid", dict(type=10, step=7, data=bytes(range(0x10, 0x18)).hex())),
    ("ack_ecn", dict(type=11, delay_us=2500, ranges=RANGES, ect=298, ce=3)),
    ("meeting_point", dict(type=12, version=0x0102, data=b"hello".hex())),
    ("reunion", dict(type=13, data=b"hello".hex())),
]


def packet(aead):
    """A probe: one PATH_CHALLENGE, padded to 64 bytes."""
    k_dir, cid, mask = bytes(range(aead, aead + 32)), bytes(range(0xC0, 0xC8)), bytes(range(0x30, 0x40))
    body = (b"\x06" + bytes(range(8))).ljust(64 - 16 - (32 if aead else 16), b"\0")
    cipher = "aegis256" if aead else "chacha20poly1305"
    sealed = packet_seal(cipher, packet_keys(cipher, k_dir), 1, 5, cid, mask, body)
    return dict(aead=aead, k_dir=k_dir.hex(), cid=cid.hex(), recv_mask=mask.hex(), phase=1, pn=5, body=body.hex(),
                packet=sealed.hex())


def rows(items):
    return ",\n".join("    " + json.dumps(i) for i in items)


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else HERE
    frames = [dict(name=name, frame=(le(f["type"], 1) + ENCODERS[f["type"]](f)).hex(), **f) for name, f in FRAMES]
    with open(os.path.join(folder, "channel-wire.json"), "w") as out:
        out.write('{\n  "about": %s,\n  "frames": [\n%s\n  ],\n  "packets": [\n%s\n  ]\n}\n' %
                  (json.dumps(ABOUT), rows(frames), rows([packet(0), packet(1)])))


if __name__ == "__main__":
    main()
