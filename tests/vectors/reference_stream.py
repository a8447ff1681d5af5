#!/usr/bin/env python3
"""Writes tests/vectors/node-stream.json: heads of frames on TCP, from node/README.md. Usage: as reference.py."""
import json
import os
import sys

from reference import HERE, blake, chacha20, le, plain, some, xor

# Both ends of what may be, and enough frames that their heads need a second block of key stream.
LENGTHS = [32, 64, 192, 320, 704, 1232, 1472, 33] * 5


def main():
    rows = []
    for n in range(2):
        key, nonce = some(f"stream key {n}", 32), some(f"stream nonce {n}", 24)
        row = dict(key=key, nonce=nonce)
        for direction, name in enumerate(("to_server", "to_client")):
            mask_key = blake(32, nonce, bytes([direction]), key=key)
            mask = b"".join(chacha20(mask_key, bytes(12), i, bytes(64)) for i in range(2))
            row[name] = [dict(len=v, head=xor(le(v, 2), mask[2 * i:2 * i + 2]))
                         for i, v in enumerate(LENGTHS)]
        rows.append(row)
    folder = sys.argv[1] if len(sys.argv) > 1 else HERE
    with open(os.path.join(folder, "node-stream.json"), "w") as f:
        json.dump(dict(comment="Heads of the frames of a TCP connection, in each direction one after the other. "
                       "Byte strings are hex.", stream=plain(rows)), f, indent=1)
        f.write("\n")


if __name__ == "__main__":
    main()
