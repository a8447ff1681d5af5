#include "tools/sim/prf.h"

#include "tools/sim/mix.h"

void sim_prf_init(struct sim_prf *p, uint64_t seed)
{
    struct mix_state s = {MIX_A, MIX_B};
    mix_absorb(&s, seed, 0);
    p->key[0] = mix_word(&s, 0);
    p->key[1] = mix_word(&s, 1);
}

uint64_t sim_prf_u64(const struct sim_prf *p, enum sim_purpose purpose, uint32_t a, uint32_t b,
                     uint64_t counter)
{
    struct mix_state s = {p->key[0], p->key[1]};
    mix_absorb(&s, (uint64_t)purpose << 32 | a, counter);
    s.a ^= b;
    return mix_word(&s, 0);
}

uint64_t sim_prf_below(const struct sim_prf *p, enum sim_purpose purpose, uint32_t a, uint32_t b,
                       uint64_t counter, uint32_t n)
{
    uint64_t v = sim_prf_u64(p, purpose, a, b, counter);
    return ((v >> 32) * n + ((v & UINT32_MAX) * n >> 32)) >> 32;
}

void sim_prf_key(const struct sim_prf *p, uint32_t node, uint32_t session, uint8_t out[static 32])
{
    for (unsigned i = 0; i < 4; i++)
        mix_store(out + 8 * i, sim_prf_u64(p, SIM_PRF_KEY, node, session, i));
}

void sim_stream_init(struct sim_stream *s, const struct sim_prf *p, uint32_t node)
{
    *s = (struct sim_stream){.prf = p, .node = node};
}

void sim_stream_fill(void *ctx, void *buf, size_t len)
{
    struct sim_stream *s = ctx;
    uint8_t *out = buf, word[8];
    while (len > 0) {
        size_t begin = s->at % 8, n = 8 - begin < len ? 8 - begin : len;
        mix_store(word, sim_prf_u64(s->prf, SIM_PRF_NODE, s->node, 0, s->at / 8));
        memcpy(out, word + begin, n);
        out += n;
        len -= n;
        s->at += n;
    }
}
