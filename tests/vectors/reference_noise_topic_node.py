#!/usr/bin/env python3
"""Writes crypto-topic.json, crypto-node.json and noise-psk.json beside itself.

An implementation of its own, from the specifications and with Python's standard library alone, so
that the vectors check bauta's code rather than repeat it. Takes a few minutes: Argon2id with 64 MiB
in Python is slow.
"""
import hashlib
import hmac
import json
import os
import struct
import unicodedata

M32, M64 = 2**32 - 1, 2**64 - 1


def le(v, n):
    return v.to_bytes(n, "little")


def blake(n, data, key=b""):
    return hashlib.blake2b(data, digest_size=n, key=key).digest()


def filled(label, n):
    """n bytes that anybody can see were not chosen."""
    return hashlib.shake_256(b"bauta test vector " + label.encode()).digest(n)


def net(name):
    return bytes([len(name)]) + name.encode()


# ---- X25519 (RFC 7748) --------------------------------------------------------------------------
P = 2**255 - 19
BASE = le(9, 32)


def x25519(k, u):
    k = bytearray(k)
    k[0] &= 248
    k[31] = k[31] & 127 | 64
    k = int.from_bytes(k, "little")
    x1 = int.from_bytes(u, "little") & (2**255 - 1)
    x2, z2, x3, z3, swap = 1, 0, x1, 1, 0
    for t in reversed(range(255)):
        bit = k >> t & 1
        if swap ^ bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a % P, b * b % P, d * a % P, c * b % P
        e = aa - bb
        x3, z3 = (da + cb) ** 2 % P, x1 * (da - cb) ** 2 % P
        x2, z2 = aa * bb % P, e * (aa + 121665 * e) % P
    if swap:
        x2, z2 = x3, z3
    return le(x2 * pow(z2, P - 2, P) % P, 32)


# ---- ChaCha20-Poly1305 (RFC 8439) -----------------------------------------------------------------
def chacha_block(key, counter, nonce):
    s = list(struct.unpack("<4I8II3I", b"expand 32-byte k" + key + le(counter, 4) + nonce))
    w = s[:]

    def quarter(a, b, c, d):
        for x, y, z, r in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            w[x] = w[x] + w[y] & M32
            v = w[z] ^ w[x]
            w[z] = (v << r | v >> 32 - r) & M32

    for _ in range(10):
        for i in range(4):
            quarter(i, i + 4, i + 8, i + 12)
        for i in range(4):
            quarter(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return struct.pack("<16I", *((x + y) & M32 for x, y in zip(w, s)))


def aead(key, n, ad, text):
    nonce = bytes(4) + le(n, 8)
    stream = b"".join(chacha_block(key, 1 + i, nonce) for i in range(len(text) // 64 + 1))
    out = bytes(a ^ b for a, b in zip(text, stream))
    pad = lambda x: x + bytes(-len(x) % 16)
    mac = pad(ad) + pad(out) + le(len(ad), 8) + le(len(out), 8)
    once = chacha_block(key, 0, nonce)
    r = int.from_bytes(once[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    acc = 0
    for i in range(0, len(mac), 16):
        acc = (acc + int.from_bytes(mac[i:i + 16] + b"\1", "little")) * r % (2**130 - 5)
    return out + le(acc + int.from_bytes(once[16:32], "little") & 2**128 - 1, 16)


# ---- Argon2id (RFC 9106), one lane --------------------------------------------------------------------
def permute(v, idx):
    """BLAKE2's round with multiplications over 16 words of v."""
    w = [v[i] for i in idx]
    for a, b, c, d in ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
                       (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
        wa, wb, wc, wd = w[a], w[b], w[c], w[d]
        wa = wa + wb + 2 * (wa & M32) * (wb & M32) & M64
        wd ^= wa
        wd = wd >> 32 | wd << 32 & M64
        wc = wc + wd + 2 * (wc & M32) * (wd & M32) & M64
        wb ^= wc
        wb = wb >> 24 | wb << 40 & M64
        wa = wa + wb + 2 * (wa & M32) * (wb & M32) & M64
        wd ^= wa
        wd = wd >> 16 | wd << 48 & M64
        wc = wc + wd + 2 * (wc & M32) * (wd & M32) & M64
        wb ^= wc
        w[a], w[b], w[c], w[d] = wa, wb >> 63 | wb << 1 & M64, wc, wd
    for i, x in zip(idx, w):
        v[i] = x


ROWS = [range(16 * i, 16 * i + 16) for i in range(8)]
COLUMNS = [[2 * i + 16 * j + k for j in range(8) for k in (0, 1)] for i in range(8)]


def compress(x, y):
    r = [a ^ b for a, b in zip(x, y)]
    z = r[:]
    for idx in ROWS + COLUMNS:
        permute(z, idx)
    return [a ^ b for a, b in zip(z, r)]


def h_prime(n, data):
    data = le(n, 4) + data
    if n <= 64:
        return blake(n, data)
    out, v = b"", blake(64, data)
    while n - len(out) > 64:
        out += v[:32]
        rest = n - len(out)
        v = blake(min(rest, 64), v)
    return out + v


def argon2id(password, salt, kib, passes, tag=32):
    h0 = le(1, 4) + le(tag, 4) + le(kib, 4) + le(passes, 4) + le(0x13, 4) + le(2, 4)
    for field in (password, salt, b"", b""):
        h0 += le(len(field), 4) + field
    h0 = blake(64, h0)
    q = kib // 4 * 4
    segment = q // 4
    words = lambda b: list(struct.unpack("<128Q", b))
    mem = [words(h_prime(1024, h0 + le(0, 4) + le(0, 4))),
           words(h_prime(1024, h0 + le(1, 4) + le(0, 4)))] + [None] * (q - 2)
    zero = [0] * 128
    for p in range(passes):
        for s in range(4):
            independent = p == 0 and s < 2
            counter, address = 0, None
            for i in range(segment):
                at = s * segment + i
                if independent and i % 128 == 0:
                    counter += 1
                    block = [p, 0, s, q, passes, 2, counter] + [0] * 121
                    address = compress(zero, compress(zero, block))
                if p == 0 and at < 2:
                    continue
                j = address[i % 128] if independent else mem[at - 1][0]
                area = at - 1 if p == 0 else q - segment + i - 1
                j1 = j & M32
                back = area - 1 - (area * (j1 * j1 >> 32) >> 32)
                start = 0 if p == 0 or s == 3 else (s + 1) * segment
                new = compress(mem[at - 1], mem[(start + back) % q])
                mem[at] = new if p == 0 else [a ^ b for a, b in zip(new, mem[at])]
    return h_prime(tag, struct.pack("<128Q", *mem[q - 1]))


# ---- topics ---------------------------------------------------------------------------------------------
SPACE = set([*range(9, 14), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F,
             0x205F, 0x3000])
# Default_Ignorable_Code_Point, DerivedCoreProperties.txt
IGNORABLE = set([0xAD, 0x34F, 0x61C, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810),
                 *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0x3164,
                 *range(0xFE00, 0xFE10), 0xFEFF, 0xFFA0, *range(0xFFF0, 0xFFF9),
                 *range(0x1BCA0, 0x1BCA4), *range(0x1D173, 0x1D17B), *range(0xE0000, 0xE1000)])


def fold(s):
    while True:
        t = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", s).casefold())
        t = "".join(c for c in t if ord(c) not in IGNORABLE)
        t = " ".join("".join(" " if ord(c) in SPACE else c for c in t).split(" ")).strip(" ")
        while "  " in t:
            t = t.replace("  ", " ")
        t = unicodedata.normalize("NFKC", t)
        if t == s:
            return s
        s = t


def normalised(raw, topic):
    """(result, None) or (None, error)"""
    try:
        s = raw.decode("utf-8")
    except UnicodeDecodeError:
        return None, "format"
    s = fold(s) if topic else unicodedata.normalize("NFC", s)
    if any(unicodedata.category(c) == "Cc" for c in s) or topic and not s:
        return None, "format"
    out = s.encode()
    return (out, None) if len(out) <= (128 if topic else 256) else (None, "limit")


TEXTS = [
    "Chess", "  chess ", "CHESS\tand\n\ntea", "\u00a0tea\u3000\u2003time\u0085\u2028\u1680", "\u200bchess\ufeff",
    "Stra\u00dfe", "STRASSE", "STRA\u1e9eE", "\u0130stanbul", "I\u0307stanbul", "D\u0131\u015f", "DI\u015e", "\u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2",
    "\u03a3\u038a\u03a3\u03a5\u03a6\u039f\u03a3", "e\u0301", "\u00e9", "\u00c9", "q\u0323\u0307", "q\u0307\u0323", "\ufb01sh", "\uff23\uff28\uff25\uff33\uff33", "\u2460\u00b2",
    "\u212b", "\u1112\u1161\u11ab", "\ud55c", "\u30ab\u3099", "\uff76\uff9e", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f44d\U0001f3fd",
    "\u2764\ufe0f", "a\u00adb", "a\u202eb", "\u1e9b\u0323", "\u0345\u03b1", "\u1fb3", "\u1fbc", "\ufdfa", "\u00a8", "a \u00a8", "\u0149",
    "\u0587", "\u13a0\uab70", "\u10a0\u2d00", "#", "##", "\u0344", "\u0958", "\U0001d15e", "x\u0327\u0301\u0315",
    "", " \t\u00a0\u2029", "\u200d\u200d", "\u00ad", "a\0b", "a\x1bb", "a\x7f", "a\x9fb", "\x1c",
    "a" * 127, "a" * 128, "a" * 129, "\u00e9" * 64, "\u00e9" * 64 + "a", "e\u0301" * 64, "a" * 127 + "\u00e9",
    " " * 400 + "a" * 128 + " " * 400, "\ufdfa" * 3, "\ufdfa" * 4, "\ufdfa" * 300, "\u00df" * 64, "\u00df" * 65,
]
BROKEN = ["80", "c0af", "c328", "e28228", "eda080", "f4908080", "f8888080", "61c3", "e282", "f09f98", "ff", "fe",
          "c080", "e08080", "f0808080", "edbfbf"]
PASSES = ["", "Secret", " two  words ", "e\u0301", "\u212b", "\ufb01", "\u00df", "a\u200db", "a\tb", "a\0",
          "p" * 256, "p" * 257, "\u00e9" * 128, "e\u0301" * 128, "e\u0301" * 128 + "a"]
SPLITS = ["topic", "topic##pass", "a##b##c", "##pass", "topic##", "##", "#", "", "a#b", "a###b", "a####b"]


def topic_vectors():
    raws = [t.encode() for t in TEXTS] + [bytes.fromhex(h) for h in BROKEN]
    rows = {"normalise": [(r, True) for r in raws], "pass": [(p.encode(), False) for p in PASSES]}
    rows["pass"] += [(bytes.fromhex(h), False) for h in BROKEN]
    out = {"about": "Topics. Texts are UTF-8 in hex; 'note' shows them. Where 'out' is missing, 'error' says "
                    "what is wrong: format (bad UTF-8, a control character, empty) or limit (too long)."}
    for name, list_ in rows.items():
        out[name] = []
        for raw, topic in list_:
            want, error = normalised(raw, topic)
            row = {"in": raw.hex()}
            row.update({"error": error} if error else {"out": want.hex()})
            row["note"] = ascii(raw.decode("utf-8", "replace"))[1:-1][:60]
            out[name].append(row)
    out["split"] = []
    for text in SPLITS:
        topic, mark, password = text.rpartition("##")
        out["split"].append({"in": text.encode().hex(), "topic": (topic if mark else text).encode().hex(),
                             "pass": (password if mark else "").encode().hex(), "note": text})
    out["secret"] = []
    for network, day, topic, password in (("bauta", 20000, "chess", ""), ("bauta", 20001, "chess", "Secret"),
                                          ("lab", 0xFFFFFFFF, "stra\u00dfe", "\u00e9")):
        topic = fold(topic).encode()
        password = unicodedata.normalize("NFC", password).encode()
        salt = blake(16, b"bauta topic v1" + net(network) + le(day, 4))
        text = le(len(topic), 2) + topic + le(len(password), 2) + password
        out["secret"].append({"network": network, "day": day, "topic": topic.hex(), "pass": password.hex(),
                              "salt": salt.hex(), "input": text.hex(),
                              "secret": argon2id(text, salt, 65536, 2).hex()})
    out["keys"] = []
    for secret, epoch, depth, bits in ((bytes.fromhex(out["secret"][0]["secret"]), 480000, 0, 0),
                                       (filled("topic secret", 32), 480001, 16, 0xBEEF),
                                       (filled("topic secret", 32), 2**40 + 1, 3, 5)):
        where = le(epoch, 8) + bytes([depth]) + le(bits, 4)
        row = {"secret": secret.hex(), "epoch": epoch, "depth": depth, "bits": bits}
        for name in ("place", "seal", "psk"):
            row[name] = blake(32, name.encode() + where, secret).hex()
        out["keys"].append(row)
    return out


# ---- nodes ------------------------------------------------------------------------------------------------
def zero_bits(h):
    return 8 * len(h) - int.from_bytes(h, "big").bit_length()


def node_vectors():
    out = {"about": "Server keys, ids and puzzles. Bytes are hex. 'puzzle': the first nonce, counted up from 0 as "
                    "LE64, whose hash has 'bits' leading zero bits. 'pow': the first nonce, counted up as a "
                    "little-endian number from 'start', that satisfies 'effort'; 'value' is the u64 compared with "
                    "2^64 / effort, 'effort_max' the largest effort that this solution satisfies."}
    pairs = []
    for i in range(3):
        seed = filled("node seed %d" % i, 32)
        pairs.append({"seed": seed.hex(), "public": x25519(seed, BASE).hex()})
    out["key_pair"] = pairs
    out["mask_key"], out["id"], out["puzzle"], out["pow"] = [], [], [], []
    for i, network in enumerate(("bauta", "lab", "n" * 63)):
        pk = bytes.fromhex(pairs[i]["public"])
        out["mask_key"].append({"network": network, "public": pk.hex(),
                                "mask_key": blake(32, b"bauta mask" + net(network) + pk).hex()})
        for family, prefix in ((4, bytes([203, 0, 113])), (6, bytes.fromhex("20010db80042"))):
            nonce = filled("puzzle nonce %d" % family, 8)
            row = {"network": network, "public": pk.hex(), "puzzle_nonce": nonce.hex(), "family": family,
                   "prefix": prefix.hex()}
            row["id"] = blake(32, b"bauta node" + net(network) + pk + nonce + bytes([family]) + prefix).hex()
            out["id"].append(row)
        for bits in ((0, 22), (9,), (16,))[i]:
            head, count = b"bauta puzzle" + net(network) + pk, 0
            while zero_bits(blake(32, head + le(count, 8))) < bits:
                count += 1
            h = blake(32, head + le(count, 8))
            out["puzzle"].append({"network": network, "public": pk.hex(), "bits": bits,
                                  "puzzle_nonce": le(count, 8).hex(), "hash": h.hex(), "zero_bits": zero_bits(h)})
    for i, effort in enumerate((1, 2, 7, 16)):
        m, rec = blake(32, b"msg1 %d" % i), filled("rec_id %d" % i, 16)
        start = b"\xff" * 16 if i == 2 else filled("pow start %d" % i, 16)  # wraps to 0
        count = int.from_bytes(start, "little")
        while True:
            nonce = le(count % 2**128, 16)
            sol = argon2id(b"bauta pow" + m + nonce, rec, 256, 1)
            value = int.from_bytes(blake(8, sol + nonce + m), "little")
            if value * effort <= 2**64:
                break
            count += 1
        out["pow"].append({"m": m.hex(), "rec_id": rec.hex(), "effort": effort, "start": start.hex(),
                           "nonce": nonce.hex(), "solution": sol.hex(), "value": le(value, 8).hex(),
                           "effort_max": 2**64 // value})
    return out


# ---- Noise with several psks, which no public collection has ----------------------------------------------
PATTERNS = {"NN": ("", "", "e", "e ee"), "XX": ("", "", "e", "e ee s es", "s se"),
            "IK": ("", "s", "e es s ss", "e ee se"), "KX": ("s", "", "e", "e ee se s es"), "X": ("", "s", "e es s ss"),
            "XK": ("", "s", "e es", "e ee", "s se")}


class Noise:
    def __init__(self, name, initiator, prologue, s, e, rs, psks):
        self.i, self.s, self.e, self.rs, self.re, self.psks = initiator, s, e, rs, None, list(psks)
        self.k, self.n, self.psk_mode = None, 0, bool(psks)
        self.h = self.ck = name.encode().ljust(64, b"\0")
        self.mix_hash(prologue)

    def mix_hash(self, data):
        self.h = blake(64, self.h + data)

    def hkdf(self, ikm, n):
        mac = lambda key, data: hmac.new(key, data, hashlib.blake2b).digest()
        temp, out = mac(self.ck, ikm), [b""]
        for i in range(n):
            out.append(mac(temp, out[-1] + bytes([i + 1])))
        return out[1:]

    def mix_key(self, ikm):
        self.ck, k = self.hkdf(ikm, 2)
        self.k, self.n = k[:32], 0

    def seal(self, text):
        if self.k is None:
            out = text
        else:
            out = aead(self.k, self.n, self.h, text)
            self.n += 1
        self.mix_hash(out)
        return out

    def shared(self, token):
        if not self.i:
            token = token[::-1] if token in ("es", "se") else token
        own, remote = (self.e if token[0] == "e" else self.s), (self.re if token[1] == "e" else self.rs)
        self.mix_key(x25519(own, remote))


def both(parties, sender, token):
    """One token at both ends; returns what it puts on the wire."""
    a, b = parties[sender], parties[1 - sender]
    wire = b""
    if token == "e":
        wire = x25519(a.e, BASE)
        b.re = wire
        for p in parties:
            p.mix_hash(wire)
            if p.psk_mode:
                p.mix_key(wire)
    elif token == "s":
        b.rs = x25519(a.s, BASE)
        wire = a.seal(b.rs)
        b.n += b.k is not None
        b.mix_hash(wire)
    elif token == "psk":
        for p in parties:
            p.ck, h, k = p.hkdf(p.psks.pop(0), 3)
            p.mix_hash(h)
            p.k, p.n = k[:32], 0
    else:
        for p in parties:
            p.shared(token)
    assert parties[0].h == parties[1].h and parties[0].k == parties[1].k and parties[0].ck == parties[1].ck
    return wire


def noise_vector(pattern, places):
    pre_i, pre_r, *messages = PATTERNS[pattern]
    name = "Noise_%s%s_25519_ChaChaPoly_BLAKE2b" % (pattern, "+".join("psk%d" % p for p in places))
    key = {k: filled("%s %s" % (name, k), 32) for k in ("is", "ie", "rs", "re")}
    psks = [filled("%s psk %d" % (name, p), 32) for p in places]
    pub = {k: x25519(v, BASE) for k, v in key.items()}
    prologue = b"bauta"
    parties = [Noise(name, True, prologue, key["is"], key["ie"], pub["rs"] if pre_r else None, psks),
               Noise(name, False, prologue, key["rs"], key["re"], pub["is"] if pre_i else None, psks)]
    v = {"protocol_name": name, "init_prologue": prologue.hex(), "resp_prologue": prologue.hex(),
         "init_psks": [p.hex() for p in psks], "resp_psks": [p.hex() for p in psks],
         "init_ephemeral": key["ie"].hex()}
    tokens = " ".join(messages[0::2]).split(), " ".join(messages[1::2]).split()
    if pre_i or "s" in tokens[0]:
        v["init_static"] = key["is"].hex()
    if pre_r or "s" in tokens[1]:
        v["resp_static"] = key["rs"].hex()
    if len(messages) > 1:
        v["resp_ephemeral"] = key["re"].hex()
    if pre_r:
        v["init_remote_static"] = pub["rs"].hex()
    if pre_i:
        v["resp_remote_static"] = pub["is"].hex()
    for p in parties:
        for known, k in ((pre_i, "is"), (pre_r, "rs")):
            if known:
                p.mix_hash(pub[k])
    v["messages"] = []
    for i, row in enumerate(messages):
        row = (["psk"] if i == 0 and 0 in places else []) + row.split() + (["psk"] if i + 1 in places else [])
        wire = b"".join(both(parties, i % 2, t) for t in row)
        payload = filled("%s payload %d" % (name, i), 10 * i)
        wire += parties[i % 2].seal(payload)
        reader = parties[1 - i % 2]
        reader.mix_hash(wire[-len(payload) - 16:] if reader.k is not None else payload)
        reader.n += reader.k is not None
        assert parties[0].h == parties[1].h
        v["messages"].append({"payload": payload.hex(), "ciphertext": wire.hex()})
    v["handshake_hash"] = parties[0].h.hex()
    keys = [k[:32] for k in parties[0].hkdf(b"", 2)]
    count = [0, 0]
    for i in range(len(messages), len(messages) + 4):
        way = 0 if len(messages) == 1 else i % 2
        payload = filled("%s payload %d" % (name, i), 10 * i)
        v["messages"].append({"payload": payload.hex(), "ciphertext": aead(keys[way], count[way], b"", payload).hex()})
        count[way] += 1
    return v


def noise_vectors():
    rows = (("NN", (0, 2)), ("XX", (0, 3)), ("XX", (0, 1, 2, 3)), ("XX", (1,)), ("IK", (1, 2)), ("IK", (0, 1, 2)),
            ("KX", (0, 2)), ("X", (0, 1)), ("XK", (0, 3)), ("XK", (2,)))
    return {"about": "Noise with several psks and with psks at unusual places, in the form of the public vectors.",
            "vectors": [noise_vector(p, places) for p, places in rows]}


def check():
    """Known answers of the RFCs, so that the vectors rest on something."""
    k = bytes.fromhex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4")
    u = bytes.fromhex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c")
    assert x25519(k, u).hex() == "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"
    key = bytes.fromhex("1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0")
    block = chacha_block(bytes(range(32)), 1, bytes.fromhex("000000090000004a00000000"))
    assert block.hex().startswith("10f1e7e4d13b5915500fdd1fa32071c4")
    text = b"Internet-Drafts are draft documents valid for a maximum of six months"
    assert len(aead(key, 5, b"ad", text)) == len(text) + 16


def main():
    check()
    here = os.path.dirname(os.path.abspath(__file__))
    for name, make in (("noise-psk", noise_vectors), ("crypto-node", node_vectors), ("crypto-topic", topic_vectors)):
        with open(os.path.join(here, name + ".json"), "w") as f:
            json.dump(make(), f, indent=1)
            f.write("\n")


if __name__ == "__main__":
    main()
