#!/usr/bin/env python3
"""Writes meet-wire.json: a second implementation of node/meet's layouts, on the standard library alone."""
import json
import os
import struct
from hashlib import blake2b


def run(start, n):
    return bytes((start + i) % 256 for i in range(n))


def card(languages, purposes, formats, avoid):
    text = b"".join(l.encode() for l in languages)
    return text.ljust(6, b"\0") + struct.pack("<HBHB", purposes, formats, avoid, 0)


def path(ip, port):
    return bytes([4 if len(ip) == 4 else 6]) + ip + struct.pack("<H", port)


def contact(pk, nonce, ip, port):
    return bytes([4 if len(ip) == 4 else 6]) + pk + nonce + ip + struct.pack("<H", port)


def reach(cid, mask, observed, candidates):
    return cid + mask + bytes([1 if observed else 0, len(candidates)]) + b"".join(candidates)


V4 = bytes([80, 1, 2, 3])
V6 = bytes.fromhex("20010470000000000000000000000001")


def record_row(name, introducers, the_card):
    plain = run(1, 32) + struct.pack("<QI", 1700006400, 7) + run(50, 16) + card(*the_card) + run(90, 16)
    plain += bytes([len(introducers)])
    listed = []
    for i, (ip, port) in enumerate(introducers):
        pk, nonce, handle = run(100 + i, 32), run(140 + i, 8), run(160 + i, 16)
        plain += contact(pk, nonce, ip, port) + handle
        listed.append({"pk": pk.hex(), "puzzle_nonce": nonce.hex(), "ip": ip.hex(), "port": port,
                       "handle": handle.hex()})
    plain = plain.ljust(392, b"\0")
    return {"name": name, "pseudonym": run(1, 32).hex(), "expiry_s": 1700006400, "effort": 7,
            "seed": run(50, 16).hex(), "languages": list(the_card[0]), "purposes": the_card[1],
            "formats": the_card[2], "avoid": the_card[3], "random": run(90, 16).hex(),
            "introducers": listed, "plaintext": plain.hex(),
            "hash": blake2b(plain, digest_size=32).hexdigest()}


def reach_fields(observed, candidates):
    return {"cid": run(10, 8).hex(), "recv_mask": run(20, 16).hex(), "observed": observed,
            "candidates": [{"ip": ip.hex(), "port": port} for ip, port in candidates]}


def main():
    many = [(V4, 5000), (V6, 5001), (V6[:15] + b"\x02", 5002), (bytes([9, 9, 9, 9]), 65535)]
    generation = 0x01020304
    rows = {
        "about": "Layouts of node/meet, see node/meet/README.md. Bytes in hex; ip has 4 or 16 bytes.",
        "records": [
            record_row("one introducer", [(V4, 4000)], ([], 0, 0, 0)),
            record_row("three introducers", [(V6, 1), (V4, 65535), (V6, 4001)],
                       (["en", "de"], 0x81, 0x05, 0x18)),
        ],
        "envelopes": [{
            "rec_id": run(3, 16).hex(), "effort": 9, "nonce": run(33, 16).hex(), "sol": run(60, 32).hex(),
            "msg1": run(120, 120).hex(),
            "blob": (run(3, 16) + struct.pack("<I", 9) + run(33, 16) + run(60, 32) + run(120, 120)).hex(),
        }],
        "msg1": [{
            "generation": generation, "capabilities": 1, "languages": ["fr"], "purposes": 2, "formats": 1,
            "avoid": 128,
            "payload": (struct.pack("<IB", generation, 1) + card(["fr"], 2, 1, 128)).ljust(24, b"\0").hex(),
        }],
        "msg2": [],
        "confirm": [],
        "retract": [],
    }
    for verdict, aead, observed, candidates in [(1, 1, True, many), (1, 0, False, []), (2, 0, False, None),
                                                (3, 0, False, None)]:
        head = struct.pack("<BBI", verdict, aead, generation)
        row = {"verdict": verdict, "aead": aead, "generation": generation}
        if candidates is not None:
            head += reach(run(10, 8), run(20, 16), observed, [path(*c) for c in candidates])
            row.update(reach_fields(observed, candidates))
        row["payload"] = head.ljust(128, b"\0").hex()
        rows["msg2"].append(row)
    for observed, candidates in [(True, many), (True, [(V6, 2000 + i) for i in range(6)])]:
        body = struct.pack("<I", generation) + reach(run(10, 8), run(20, 16), observed,
                                                     [path(*c) for c in candidates])
        row = {"generation": generation, **reach_fields(observed, candidates)}
        row["payload"] = body.ljust(144, b"\0").hex()
        rows["confirm"].append(row)
    for ck in (run(7, 64), run(200, 64)):
        key = blake2b(b"bauta retract", key=ck, digest_size=32).digest()
        tag = blake2b(struct.pack("<I", generation), key=key, digest_size=16)
        rows["retract"].append({"ck": ck.hex(), "generation": generation, "tag": tag.hexdigest()})
    lower, higher, psk = run(1, 32), run(2, 32), run(77, 32)
    weight = blake2b(lower + higher + psk, digest_size=8).digest()
    rows["weight"] = [{"a": higher.hex(), "b": lower.hex(), "psk": psk.hex(), "weight_le": weight.hex()}]
    where = os.path.join(os.path.dirname(os.path.abspath(__file__)), "meet-wire.json")
    with open(where, "w", encoding="ascii") as f:
        json.dump(rows, f, indent=1)
        f.write("\n")


main()
