// handshake: both ends' work of Noise IKpsk1 and of the first ratchet step, on one core.
#include "crypto/nodekey.h"
#include "crypto/noise.h"
#include "crypto/ratchet.h"
#include "tools/bench/bench.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define MEASURE_S 2.0
#define PAYLOAD_BYTES 128u // of the size of a card or of candidates

static uint8_t secret_i[32], secret_r[32], public_i[32], public_r[32], psk[32];

// One IKpsk1 between the two statics. Returns 0.
static int noise_once(struct noise_cipher *ir, struct noise_cipher *ri, uint8_t h[static 64])
{
    struct noise_spec spec;
    struct noise i, r;
    uint8_t e[32], payload[PAYLOAD_BYTES] = {0}, msg[512], out[512];
    size_t len, got;
    struct noise_keys ki = {.s = secret_i, .rs = public_r, .psk = {psk}};
    struct noise_keys kr = {.s = secret_r, .psk = {psk}};
    if (noise_spec_parse(&spec, "Noise_IKpsk1_25519_ChaChaPoly_BLAKE2b") != 0 ||
        noise_init(&i, &spec, true, NULL, 0, &ki) != 0 ||
        noise_init(&r, &spec, false, NULL, 0, &kr) != 0)
        return -1;
    randombytes_buf(e, sizeof e);
    if (noise_write(&i, e, payload, sizeof payload, msg, sizeof msg, &len) != 0 ||
        noise_read(&r, msg, len, out, sizeof out, &got) != 0)
        return -1;
    randombytes_buf(e, sizeof e);
    if (noise_write(&r, e, payload, sizeof payload, msg, sizeof msg, &len) != 0 ||
        noise_read(&i, msg, len, out, sizeof out, &got) != 0)
        return -1;
    memcpy(h, i.h, 64);
    return noise_split(&i, ir, ri);
}

static int ratchet_once(struct ratchet *a, struct ratchet *b)
{
    struct packet_keys send, recv;
    uint8_t cid[CID_BYTES], peer[CID_BYTES], seed[64], n[32];
    uint8_t m1[RATCHET1_BYTES], m2[RATCHET2_FIRST_BYTES], m3[RATCHET3_BYTES], m4[RATCHET4_BYTES];
    size_t len2, len3;
    randombytes_buf(cid, sizeof cid);
    randombytes_buf(seed, sizeof seed);
    randombytes_buf(n, sizeof n);
    if (ratchet_start(a, cid, seed, m1) != 0 ||
        ratchet_on1(b, m1, sizeof m1, cid, seed, n, m2, &len2, peer, &send, &recv) != 0 ||
        ratchet_on2(a, m2, len2, n, m3, &len3, peer, &send, &recv) != 0)
        return -1;
    if (len3 == 0)
        return 0;
    return ratchet_on3(b, m3, len3, m4) != 0 ? -1 : ratchet_on4(a, m4, sizeof m4);
}

static int both_once(struct ratchet *i, struct ratchet *r)
{
    struct noise_cipher ir, ri;
    struct packet_keys send, recv;
    uint8_t h[64];
    if (noise_once(&ir, &ri, h) != 0)
        return -1;
    ratchet_init(i, true, PACKET_AEGIS256, ir.k, ri.k, h, &send, &recv);
    ratchet_init(r, false, PACKET_AEGIS256, ir.k, ri.k, h, &send, &recv);
    return ratchet_once(i, r);
}

int bench_handshake(const struct bench_options *o)
{
    (void)o;
    uint8_t seed[32];
    randombytes_buf(seed, sizeof seed);
    key_pair(public_i, secret_i, seed);
    randombytes_buf(seed, sizeof seed);
    key_pair(public_r, secret_r, seed);
    randombytes_buf(psk, sizeof psk);

    struct ratchet i, r;
    unsigned handshakes = 0, steps = 0;
    double start = bench_cpu_s(), spent;
    do {
        if (both_once(&i, &r) != 0)
            return 1;
        handshakes++;
        spent = bench_cpu_s() - start;
    } while (spent < MEASURE_S);
    double per_s = handshakes / spent;

    start = bench_cpu_s();
    do {
        bool mine = ratchet_mine(&i);
        if (ratchet_once(mine ? &i : &r, mine ? &r : &i) != 0)
            return 1;
        steps++;
        spent = bench_cpu_s() - start;
    } while (spent < MEASURE_S);
    printf("{\"mode\": \"handshake\", \"per_s\": %.0f, \"ratchet_per_s\": %.0f}\n", per_s,
           steps / spent);
    return 0;
}
