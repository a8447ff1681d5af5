#include "tools/sim/prf.h"

#include "crypto/bytes.h"

#include <sodium.h>

void sim_prf_init(struct sim_prf *p, uint64_t seed)
{
    uint8_t le[8];
    struct wr w = wr_init(le, sizeof le);
    wr_le64(&w, seed);
    p->seed = seed;
    crypto_generichash(p->key, sizeof p->key, le, sizeof le, NULL, 0);
}

uint64_t sim_prf_u64(const struct sim_prf *p, enum sim_purpose purpose, uint32_t a, uint32_t b,
                     uint64_t counter)
{
    uint8_t in[20], out[crypto_shorthash_BYTES];
    struct wr w = wr_init(in, sizeof in);
    wr_le32(&w, (uint32_t)purpose);
    wr_le32(&w, a);
    wr_le32(&w, b);
    wr_le64(&w, counter);
    crypto_shorthash(out, in, sizeof in, p->key);
    struct rd r = rd_init(out, sizeof out);
    return rd_le64(&r);
}

uint64_t sim_prf_below(const struct sim_prf *p, enum sim_purpose purpose, uint32_t a, uint32_t b,
                       uint64_t counter, uint32_t n)
{
    uint64_t v = sim_prf_u64(p, purpose, a, b, counter);
    return ((v >> 32) * n + ((v & UINT32_MAX) * n >> 32)) >> 32;
}

void sim_prf_key(const struct sim_prf *p, const char *purpose, uint32_t node,
                 uint8_t out[static 32])
{
    uint8_t le[12];
    struct wr w = wr_init(le, sizeof le);
    wr_le64(&w, p->seed);
    wr_le32(&w, node);
    crypto_generichash_state st;
    crypto_generichash_init(&st, p->key, sizeof p->key, 32);
    crypto_generichash_update(&st, (const uint8_t *)purpose, strlen(purpose));
    crypto_generichash_update(&st, le, sizeof le);
    crypto_generichash_final(&st, out, 32);
}

void sim_stream_init(struct sim_stream *s, const struct sim_prf *p, uint32_t node)
{
    *s = (struct sim_stream){0};
    sim_prf_key(p, "rng", node, s->key);
}

void sim_stream_fill(void *ctx, void *buf, size_t len)
{
    static const uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];
    struct sim_stream *s = ctx;
    struct wr w = wr_init(buf, len);
    while (w.left > 0) {
        if (s->left == 0) {
            memset(s->buf, 0, sizeof s->buf);
            crypto_stream_chacha20_xor_ic(s->buf, s->buf, sizeof s->buf, nonce, s->block++, s->key);
            s->left = sizeof s->buf;
        }
        size_t n = w.left < s->left ? w.left : s->left;
        wr_bytes(&w, s->buf + sizeof s->buf - s->left, n);
        s->left = (uint8_t)(s->left - n);
    }
}
