#!/usr/bin/env python3
"""Writes tests/vectors/crypto-{rpc,record,packet,ratchet,sas}.json.

A second implementation of these parts of the protocol, from its text and from the RFCs and drafts
that it names, on Python's hashlib and hmac alone. It shares nothing with the C code and libsodium,
so vectors that both agree on are more than a snapshot of either. Slow, not constant time: for
vectors only. Usage: python3 tests/vectors/reference.py [FOLDER]
"""
import hashlib
import hmac
import json
import os
import re
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def blake(n, *parts, key=b""):
    return hashlib.blake2b(b"".join(parts), digest_size=n, key=key).digest()


def le(v, n):
    return v.to_bytes(n, "little")


def some(label, n):
    """The vectors' inputs: bytes that look random and are always the same."""
    return hashlib.shake_256(b"bauta vectors " + label.encode()).digest(n)


def xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b))


# ---- SipHash-2-4 ------------------------------------------------------------------------------
M64 = (1 << 64) - 1


def rotl64(x, n):
    return (x << n | x >> (64 - n)) & M64


def siphash24(key, msg):
    k0, k1 = struct.unpack("<QQ", key)
    v = [k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D,
         k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573]

    def rounds(n):
        for _ in range(n):
            v[0] = (v[0] + v[1]) & M64
            v[1] = rotl64(v[1], 13) ^ v[0]
            v[0] = rotl64(v[0], 32)
            v[2] = (v[2] + v[3]) & M64
            v[3] = rotl64(v[3], 16) ^ v[2]
            v[0] = (v[0] + v[3]) & M64
            v[3] = rotl64(v[3], 21) ^ v[0]
            v[2] = (v[2] + v[1]) & M64
            v[1] = rotl64(v[1], 17) ^ v[2]
            v[2] = rotl64(v[2], 32)

    tail = len(msg) % 8
    padded = msg + bytes(7 - tail) + bytes([len(msg) & 255])
    for i in range(0, len(padded), 8):
        m = int.from_bytes(padded[i:i + 8], "little")
        v[3] ^= m
        rounds(2)
        v[0] ^= m
    v[2] ^= 0xFF
    rounds(4)
    return le(v[0] ^ v[1] ^ v[2] ^ v[3], 8)


# ---- ChaCha20, HChaCha20, Poly1305 (RFC 8439, draft-irtf-cfrg-xchacha) --------------------------
def chacha_rounds(s):
    def quarter(a, b, c, d):
        for x, y, z, n in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            s[x] = (s[x] + s[y]) & 0xFFFFFFFF
            t = s[z] ^ s[x]
            s[z] = (t << n | t >> (32 - n)) & 0xFFFFFFFF
    for _ in range(10):
        for q in ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
                  (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
            quarter(*q)


SIGMA = struct.unpack("<4I", b"expand 32-byte k")


def chacha20(key, nonce, counter, data):
    out = b""
    for i in range(0, len(data), 64):
        start = list(SIGMA) + list(struct.unpack("<8I", key)) + [counter + i // 64]
        start += struct.unpack("<3I", nonce)
        s = list(start)
        chacha_rounds(s)
        stream = struct.pack("<16I", *((a + b) & 0xFFFFFFFF for a, b in zip(s, start)))
        out += xor(data[i:i + 64], stream)
    return out


def hchacha20(key, nonce16):
    s = list(SIGMA) + list(struct.unpack("<8I", key)) + list(struct.unpack("<4I", nonce16))
    chacha_rounds(s)
    return struct.pack("<8I", *s[0:4], *s[12:16])


def poly1305(key, msg):
    r = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    acc = 0
    for i in range(0, len(msg), 16):
        acc = (acc + int.from_bytes(msg[i:i + 16] + b"\1", "little")) * r % ((1 << 130) - 5)
    return le((acc + int.from_bytes(key[16:], "little")) & ((1 << 128) - 1), 16)


def chacha_poly_seal(key, nonce, aad, text):
    ct = chacha20(key, nonce, 1, text)
    pad = lambda x: x + bytes(-len(x) % 16)
    tag = poly1305(chacha20(key, nonce, 0, bytes(32)),
                   pad(aad) + pad(ct) + le(len(aad), 8) + le(len(ct), 8))
    return ct + tag


def xchacha_poly_seal(key, nonce, aad, text):
    return chacha_poly_seal(hchacha20(key, nonce[:16]), bytes(4) + nonce[16:], aad, text)


# ---- AEGIS-256 (draft-irtf-cfrg-aegis-aead), tag of 32 bytes ------------------------------------
def aes_sbox():
    box, p, q = [0] * 256, 1, 1
    box[0] = 0x63
    while True:
        p = (p ^ p << 1 ^ (0x11B if p & 0x80 else 0)) & 0xFF
        q ^= q << 1
        q ^= q << 2
        q ^= q << 4
        q &= 0xFF
        if q & 0x80:
            q ^= 0x09
        rot = lambda x, n: (x << n | x >> (8 - n)) & 0xFF
        box[p] = q ^ rot(q, 1) ^ rot(q, 2) ^ rot(q, 3) ^ rot(q, 4) ^ 0x63
        if p == 1:
            return box


SBOX = aes_sbox()


def aes_round(block, key):
    t = [SBOX[block[(i + 4 * (i % 4)) % 16]] for i in range(16)]
    x2 = lambda b: (b << 1 ^ (0x1B if b & 0x80 else 0)) & 0xFF
    out = []
    for c in range(0, 16, 4):
        a = t[c:c + 4]
        for i in range(4):
            out.append(x2(a[i]) ^ x2(a[(i + 1) % 4]) ^ a[(i + 1) % 4] ^ a[(i + 2) % 4]
                       ^ a[(i + 3) % 4])
    return xor(bytes(out), key)


def aegis256_seal(key, nonce, aad, text):
    c0 = bytes.fromhex("000101020305080d1522375990e97962")
    c1 = bytes.fromhex("db3d18556dc22ff12011314273b528dd")
    k0, k1, n0, n1 = key[:16], key[16:], nonce[:16], nonce[16:]
    s = [xor(k0, n0), xor(k1, n1), c1, c0, xor(k0, c0), xor(k1, c1)]

    def update(m):
        s[:] = [aes_round(s[5], xor(s[0], m))] + [aes_round(s[i - 1], s[i]) for i in range(1, 6)]

    for _ in range(4):
        for m in (k0, k1, xor(k0, n0), xor(k1, n1)):
            update(m)
    blocks = lambda x: [x[i:i + 16] for i in range(0, len(x), 16)]
    pad = lambda x: x + bytes(-len(x) % 16)
    for b in blocks(pad(aad)):
        update(b)
    ct = b""
    for b in blocks(text):
        z = xor(xor(s[1], s[4]), xor(s[5], bytes(x & y for x, y in zip(s[2], s[3]))))
        ct += xor(b, z)
        update(pad(b))
    t = xor(s[3], le(len(aad) * 8, 8) + le(len(text) * 8, 8))
    for _ in range(7):
        update(t)
    return ct + xor(xor(s[0], s[1]), s[2]) + xor(xor(s[3], s[4]), s[5])


# ---- X25519 (RFC 7748) --------------------------------------------------------------------------
P25519 = (1 << 255) - 19


def x25519(k, u):
    n = int.from_bytes(k, "little") & ~7 & ((1 << 255) - 1) | 1 << 254
    x1 = int.from_bytes(u, "little") & ((1 << 255) - 1)
    x2, z2, x3, z3, swap = 1, 0, x1, 1, 0
    for t in range(254, -1, -1):
        bit = n >> t & 1
        if swap ^ bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a, b * b, d * a, c * b
        e = aa - bb
        x3, z3 = (da + cb) ** 2 % P25519, x1 * (da - cb) ** 2 % P25519
        x2, z2 = aa * bb % P25519, e * (aa + 121665 * e) % P25519
    if swap:
        x2, z2 = x3, z3
    return le(x2 * pow(z2, P25519 - 2, P25519) % P25519, 32)


BASE = le(9, 32)

# ---- ML-KEM-768 (FIPS 203) and X-Wing (draft-connolly-cfrg-xwing-kem) ---------------------------
Q, K = 3329, 3


def bitrev7(i):
    return int(f"{i:07b}"[::-1], 2)


ZETA = [pow(17, bitrev7(i), Q) for i in range(128)]
GAMMA = [pow(17, 2 * bitrev7(i) + 1, Q) for i in range(128)]


def ntt(f):
    f, i, n = list(f), 1, 128
    while n >= 2:
        for start in range(0, 256, 2 * n):
            for j in range(start, start + n):
                t = ZETA[i] * f[j + n] % Q
                f[j + n], f[j] = (f[j] - t) % Q, (f[j] + t) % Q
            i += 1
        n //= 2
    return f


def ntt_inv(f):
    f, i, n = list(f), 127, 2
    while n <= 128:
        for start in range(0, 256, 2 * n):
            for j in range(start, start + n):
                t = f[j]
                f[j], f[j + n] = (t + f[j + n]) % Q, ZETA[i] * (f[j + n] - t) % Q
            i -= 1
        n *= 2
    return [x * 3303 % Q for x in f]


def ntt_mul(a, b):
    out = []
    for i in range(128):
        a0, a1, b0, b1 = a[2 * i], a[2 * i + 1], b[2 * i], b[2 * i + 1]
        out += [(a0 * b0 + a1 * b1 * GAMMA[i]) % Q, (a0 * b1 + a1 * b0) % Q]
    return out


def add(*fs):
    return [sum(c) % Q for c in zip(*fs)]


def sample_ntt(seed):
    stream, out, i = hashlib.shake_128(seed).digest(3 * 1024), [], 0
    while len(out) < 256:
        a, b, c = stream[i:i + 3]
        i += 3
        for d in (a + 256 * (b % 16), b // 16 + 16 * c):
            if d < Q and len(out) < 256:
                out.append(d)
    return out


def cbd2(seed, n):
    bits = int.from_bytes(hashlib.shake_256(seed + bytes([n])).digest(128), "little")
    out = []
    for i in range(256):
        b = bits >> 4 * i
        out.append(((b & 1) + (b >> 1 & 1) - (b >> 2 & 1) - (b >> 3 & 1)) % Q)
    return out


def encode(f, d):
    return sum(x << d * i for i, x in enumerate(f)).to_bytes(32 * d, "little")


def decode(data, d):
    v = int.from_bytes(data, "little")
    return [v >> d * i & ((1 << d) - 1) for i in range(256)]


def compress(f, d):
    return [((x << d + 1) + Q) // (2 * Q) % (1 << d) for x in f]


def decompress(f, d):
    return [(2 * Q * x + (1 << d)) >> d + 1 for x in f]


def matrix(rho):
    return [[sample_ntt(rho + bytes([j, i])) for j in range(K)] for i in range(K)]


def mlkem_keygen(d):
    g = hashlib.sha3_512(d + bytes([K])).digest()
    rho, sigma = g[:32], g[32:]
    a = matrix(rho)
    s = [ntt(cbd2(sigma, i)) for i in range(K)]
    e = [ntt(cbd2(sigma, K + i)) for i in range(K)]
    t = [add(e[i], *(ntt_mul(a[i][j], s[j]) for j in range(K))) for i in range(K)]
    return b"".join(encode(x, 12) for x in t) + rho, s


def mlkem_encaps(pk, m):
    g = hashlib.sha3_512(m + hashlib.sha3_256(pk).digest()).digest()
    ss, r = g[:32], g[32:]
    t, a = [decode(pk[384 * i:384 * (i + 1)], 12) for i in range(K)], matrix(pk[384 * K:])
    y = [ntt(cbd2(r, i)) for i in range(K)]
    e1 = [cbd2(r, K + i) for i in range(K)]
    e2 = cbd2(r, 2 * K)
    u = [add(ntt_inv(add(*(ntt_mul(a[j][i], y[j]) for j in range(K)))), e1[i]) for i in range(K)]
    v = add(ntt_inv(add(*(ntt_mul(t[j], y[j]) for j in range(K)))), e2,
            decompress(decode(m, 1), 1))
    ct = b"".join(encode(compress(x, 10), 10) for x in u) + encode(compress(v, 4), 4)
    return ct, ss


def mlkem_message(ct, s):
    """The decrypted message of a true ciphertext (no implicit rejection)."""
    u = [decompress(decode(ct[320 * i:320 * (i + 1)], 10), 10) for i in range(K)]
    v = decompress(decode(ct[320 * K:], 4), 4)
    w = ntt_inv(add(*(ntt_mul(s[i], ntt(u[i])) for i in range(K))))
    return encode(compress([(x - y) % Q for x, y in zip(v, w)], 1), 1)


def xwing_expand(seed):
    x = hashlib.shake_256(seed).digest(96)
    return x[:32], x[64:]


def xwing_pk(seed):
    d, sk_x = xwing_expand(seed)
    return mlkem_keygen(d)[0] + x25519(sk_x, BASE)


def xwing_combine(ss_m, ss_x, ct_x, pk_x):
    return hashlib.sha3_256(ss_m + ss_x + ct_x + pk_x + b"\\.//^\\").digest()


def xwing_enc(pk, eseed):
    ct_m, ss_m = mlkem_encaps(pk[:1184], eseed[:32])
    ct_x, pk_x = x25519(eseed[32:], BASE), pk[1184:]
    return ct_m + ct_x, xwing_combine(ss_m, x25519(eseed[32:], pk_x), ct_x, pk_x)


def xwing_dec(seed, ct):
    d, sk_x = xwing_expand(seed)
    pk_m, s = mlkem_keygen(d)
    again, ss_m = mlkem_encaps(pk_m, mlkem_message(ct[:1088], s))
    assert again == ct[:1088]
    return xwing_combine(ss_m, x25519(sk_x, ct[1088:]), ct[1088:], x25519(sk_x, BASE))


# ---- the protocol -------------------------------------------------------------------------------
def net(name):
    return bytes([len(name)]) + name.encode()


def mask_request(datagram, mask_key):
    sample = datagram[-16:]
    counter = int.from_bytes(sample[12:], "little")
    return chacha20(mask_key, sample[:12], counter, datagram[:48]) + datagram[48:]


def rpc_vectors():
    requests, answers, pushes, tokens, lights, stamps = [], [], [], [], [], []
    for n, (network, body_len) in enumerate((("main", 616), ("lab", 104), ("x" * 63, 0), ("a", 9))):
        label = f"rpc {n} "
        client, server = some(label + "client", 32), some(label + "server", 32)
        e, server_pk = x25519(client, BASE), x25519(server, BASE)
        mask_key = blake(32, b"bauta mask", net(network), server_pk)
        k = blake(64, b"bauta rpc 1", net(network), e, server_pk, key=x25519(client, server_pk))
        c2s, s2c = k[:32], k[32:]
        token, nonce = some(label + "token", 8), some(label + "nonce", 24)
        body = some(label + "body", body_len)
        header = blake(8, b"rpc", key=mask_key) + token + e
        sealed = xchacha_poly_seal(c2s, nonce, header, body)
        datagram = mask_request(header + nonce + sealed, mask_key)
        requests.append(dict(network=network, client_secret=client, server_secret=server, e=e,
                             server=server_pk, mask_key=mask_key, c2s=c2s, s2c=s2c, token=token,
                             nonce=nonce, body=body, datagram=datagram))
        reply, push_key = some(label + "reply", 8), some(label + "push key", 32)
        i, j = n, (0, 7, 256, 0xFFFFFFFF)[n]
        for rows, name, index, aid, extra in (
                (answers, "answer", i, blake(8, reply, bytes([i]), key=s2c), dict(reply=reply)),
                (pushes, "push", j, blake(8, le(j, 4), key=push_key), dict(push_key=push_key))):
            nonce, body = some(label + name + " nonce", 24), some(label + name, body_len + 16)
            rows.append(dict(s2c=s2c, **extra, i=index, id=aid, nonce=nonce, body=body,
                             datagram=aid + nonce + xchacha_poly_seal(s2c, nonce, aid, body)))
        mask_key, nonce = some(label + "light mask", 32), some(label + "light nonce", 24)
        lights.append(dict(mask_key=mask_key, e=e, nonce=nonce,
                           id=blake(8, b"bauta light id", nonce, key=mask_key),
                           s2c=blake(32, b"bauta light", e, key=mask_key)))
        unix_s = 1795000000 + 601 * n
        stamp_nonce = some(label + "stamp", 24)
        slot = unix_s // 1200
        if slot % 2 != stamp_nonce[23] % 2:
            slot += -1 if unix_s % 1200 < 600 else 1
        h = blake(16, b"bauta stamp", mask_key, e, stamp_nonce, slot.to_bytes(8, "little"))
        stamps.append(dict(mask_key=mask_key, e=e, nonce=stamp_nonce, unix_s=unix_s,
                           bits=64 - int.from_bytes(h[:8], "big").bit_length(),
                           tag=h[8:]))
        secret, where = some(label + "secret", 16), some(label + "where", (6, 18, 7, 19)[n])
        tokens.append(dict(secret=secret, where=where, e=e, token=siphash24(secret, where + e)))
    return dict(request=requests, answer=answers, push=pushes, token=tokens, light=lights, stamp=stamps)


def record_vectors():
    records, owners = [], []
    for n in range(3):
        label = f"record {n} "
        plain, rec_id = some(label + "plain", 392), some(label + "id", 16)
        nonce = some(label + "n", 24)
        seal_key, place = some(label + "seal", 32), some(label + "place", 32)
        sealed = xchacha_poly_seal(seal_key, nonce, b"bauta record 1" + place + rec_id, plain)
        records.append(dict(plain=plain, rec_id=rec_id, nonce=nonce, seal_key=seal_key, place=place,
                            record=rec_id + nonce + sealed))
        record = records[-1]["record"]
        e, salt = some(label + "e", 32), some(label + "salt", 16)
        owners.append(dict(e=e, salt=salt, rec_id=blake(16, b"bauta record id", e, salt),
                           place=place, record=record,
                           m=blake(32, b"bauta announce", place, record)))
    return dict(record=records, owner=owners)


def packet_keys(aead, k_dir):
    return dict(key=blake(32, b"bauta key", key=k_dir),
                iv=blake(32 if aead == "aegis256" else 12, b"bauta iv", key=k_dir),
                hp=blake(16, b"bauta hp", key=k_dir))


def packet_seal(aead, keys, phase, pn, cid, recv_mask, body):
    field = le(phase << 62 | pn, 8)
    nonce = keys["iv"][:-8] + xor(keys["iv"][-8:], field)
    seal = aegis256_seal if aead == "aegis256" else chacha_poly_seal
    sealed = seal(keys["key"], nonce, cid + field, body)
    sample = sealed[-16:]
    header = xor(cid, siphash24(recv_mask, sample)) + xor(field, siphash24(keys["hp"], sample))
    return header + sealed


def packet_vectors():
    masks, packets = [], []
    for n, size in enumerate((64, 192, 704, 1232)):
        d, key = some(f"mask {n}", size), some(f"mask key {n}", 32)
        if n == 1:  # the counter's last value
            d = d[:-4] + b"\xff" * 4
        masks.append(dict(datagram=d, request_key=key, request_masked=mask_request(d, key),
                          field_key=key[:16],
                          field_masked=xor(d[:8], siphash24(key[:16], d[-16:]))))
    for aead in ("chacha20poly1305", "aegis256"):
        for n, (size, pn) in enumerate(((0, 0), (1, 1), (15, 255), (160, 1 << 32),
                                        (1184, (1 << 62) - 1))):
            label = f"packet {aead} {n} "
            k_dir, recv_mask = some(label + "k", 32), some(label + "mask", 16)
            cid, body, phase = some(label + "cid", 8), some(label + "body", size), n % 4
            keys = packet_keys(aead, k_dir)
            packets.append(dict(aead=aead, k_dir=k_dir, **keys, recv_mask=recv_mask, cid=cid,
                                phase=phase, pn=str(pn), body=body,
                                packet=packet_seal(aead, keys, phase, pn, cid, recv_mask, body)))
    return dict(mask=masks, packet=packets)


def noise_hkdf3(ck, ikm):
    h = lambda k, m: hmac.new(k, m, hashlib.blake2b).digest()
    temp = h(ck, ikm)
    out1 = h(temp, b"\1")
    out2 = h(temp, out1 + b"\2")
    return out1, out2, h(temp, out2 + b"\3")


def word_list():
    with open(os.path.join(HERE, "..", "..", "crypto", "sas_words.c")) as f:
        words = re.findall(r'"([a-z]+)"', f.read().split("words[SAS_WORD_LIST]")[1])
    assert len(words) == len(set(w[:4] for w in words)) == 2048
    return words


def sas(th, commit, n_i, n_r):
    v = int.from_bytes(blake(64, b"bauta sas", th, commit, n_i, n_r), "big") >> (512 - 66)
    return [v >> 11 * (5 - i) & 2047 for i in range(6)]


def ratchet_vectors():
    runs, words = [], word_list()
    for aead in ("chacha20poly1305", "aegis256"):
        label = f"ratchet {aead} "
        k_ir, k_ri, h = some(label + "ir", 32), some(label + "ri", 32), some(label + "h", 64)
        root, th = blake(32, b"bauta root 0", h, key=k_ir + k_ri), h
        run = dict(aead=aead, k_ir=k_ir, k_ri=k_ri, h=h, root_0=root,
                   i_to_r=packet_keys(aead, k_ir), r_to_i=packet_keys(aead, k_ri), step=[])
        for n in range(1, 4):
            at = f"{label}{n} "
            seed1, seed2 = some(at + "seed 1", 32), some(at + "seed 2", 64)
            cid1, cid2 = some(at + "cid 1", 8), some(at + "cid 2", 8)
            pk = xwing_pk(seed1)
            ct, ss = xwing_enc(pk, seed2)
            assert xwing_dec(seed1, ct) == ss
            th = blake(32, b"bauta ratchet", th, le(n, 4), pk, ct)
            outs = [o[:32] for o in noise_hkdf3(root, ss + th)]
            root = outs[0]
            step = dict(n=n, seed_1=seed1, cid_1=cid1, seed_2=seed2, cid_2=cid2, ss=ss, th=th,
                        root=root, k_ir=outs[1], k_ri=outs[2], i_to_r=packet_keys(aead, outs[1]),
                        r_to_i=packet_keys(aead, outs[2]), ratchet1=cid1 + pk, ratchet2=cid2 + ct)
            if n == 1:
                n_r, n_i = some(at + "n_r", 32), some(at + "n_i", 32)
                commit = blake(32, b"bauta sas c", th, n_r)
                indices = sas(th, commit, n_i, n_r)
                step["ratchet2"] += commit
                step.update(n_r=n_r, n_i=n_i, ratchet3=n_i, ratchet4=n_r)
                run.update(indices=indices, words=[words[i] for i in indices])
            run["step"].append(step)
        runs.append(run)
    return dict(run=runs)


def sas_vectors():
    words, rows = word_list(), []
    for n in range(4):
        th, n_i, n_r = some(f"sas th {n}", 32), some(f"sas i {n}", 32), some(f"sas r {n}", 32)
        commit = blake(32, b"bauta sas c", th, n_r)
        indices = sas(th, commit, n_i, n_r)
        rows.append(dict(th=th, n_i=n_i, n_r=n_r, commit=commit, indices=indices,
                         words=[words[i] for i in indices]))
    return dict(list_blake2b_32=blake(32, "".join(w + "\n" for w in words).encode()), sas=rows)


def self_test():
    """The primitives against the examples of their own papers."""
    k16, m15 = bytes(range(16)), bytes(range(15))
    assert siphash24(k16, m15) == le(0xA129CA6149BE45E5, 8)
    text = (b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the "
            b"future, sunscreen would be it.")
    sealed = chacha_poly_seal(bytes(range(0x80, 0xA0)), bytes.fromhex("070000004041424344454647"),
                              bytes.fromhex("50515253c0c1c2c3c4c5c6c7"), text)
    assert sealed[-16:].hex() == "1ae10b594f09e26a7e902ecbd0600691"
    sealed = xchacha_poly_seal(bytes(range(0x80, 0xA0)), bytes(range(0x40, 0x58)),
                               bytes.fromhex("50515253c0c1c2c3c4c5c6c7"), text)
    assert sealed[-16:].hex() == "c0875924c1c7987947deafd8780acf49"
    key = bytes.fromhex("10010000000000000000000000000000" + "00" * 16)
    nonce = bytes.fromhex("10000200000000000000000000000000" + "00" * 16)
    sealed = aegis256_seal(key, nonce, b"", bytes(16))
    assert sealed[:16].hex() == "754fc3d8c973246dcc6d741412a4b236"
    assert sealed[16:].hex() == "1181a1d18091082bf0266f66297d167d2e68b845f61a3b0527d31fc7b7b89f13"
    u = x25519(bytes.fromhex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"),
               bytes.fromhex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c"))
    assert u.hex() == "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"


DOCS = {
    "rpc": "Requests, answers, pushes, tokens, token answers without key exchange, and stamps. body is the plaintext, datagram what goes out.",
    "record": "Sealed records, whose their ids are, and what the work of an announcement is about.",
    "packet": "Masks on bare bytes, and channel packets; pn is decimal and without phase bits.",
    "ratchet": "Ratchet steps: the inputs, the messages, what both ends hold after them.",
    "sas": "Verification words. list_blake2b_32 is over all words, each followed by a line feed.",
}


def plain(v):
    if isinstance(v, dict):
        return {k: plain(x) for k, x in v.items()}
    if isinstance(v, list):
        return [plain(x) for x in v]
    return v.hex() if isinstance(v, bytes) else v


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else HERE
    self_test()
    for name, make in (("rpc", rpc_vectors), ("record", record_vectors), ("packet", packet_vectors),
                       ("ratchet", ratchet_vectors), ("sas", sas_vectors)):
        with open(os.path.join(folder, f"crypto-{name}.json"), "w") as f:
            rows = plain(make())
            json.dump(dict(comment=DOCS[name] + " Byte strings are hex.", **rows), f, indent=1)
            f.write("\n")


if __name__ == "__main__":
    main()
