// The simulator's cheap hash: products of 64-bit words, the two halves folded. It spreads well and is
// the same on every machine; nobody's secret depends on it.
#ifndef BAUTA_SIM_MIX_H
#define BAUTA_SIM_MIX_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

__extension__ typedef unsigned __int128 mix_u128;

// Odd, with as many ones as zeroes (of wyhash).
#define MIX_A UINT64_C(0xa0761d6478bd642f)
#define MIX_B UINT64_C(0xe7037ed1a0b428db)
#define MIX_C UINT64_C(0x8ebc6af09c88c6e3)
#define MIX_D UINT64_C(0x589965cc75374cc3)

static inline uint64_t mix(uint64_t a, uint64_t b)
{
    mix_u128 r = (mix_u128)a * b;
    return (uint64_t)r ^ (uint64_t)(r >> 64);
}

// Little-endian. Compilers make one move of each; a loop over bytes they do not see through.
static inline uint64_t mix_le(uint64_t v)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return __builtin_bswap64(v);
#else
    return v;
#endif
}

static inline uint64_t mix_load(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return mix_le(v);
}

static inline void mix_store(uint8_t *p, uint64_t v)
{
    v = mix_le(v);
    memcpy(p, &v, sizeof v);
}

struct mix_state {
    uint64_t a, b;
};

static inline void mix_absorb(struct mix_state *s, uint64_t v, uint64_t w)
{
    s->a = mix(v ^ MIX_A, w ^ s->a);
    s->b = mix(w ^ MIX_B, v ^ s->b);
}

// One more message: its length counts, so that what follows can't be mistaken for a part of it.
static inline void mix_bytes(struct mix_state *s, const uint8_t *p, size_t len)
{
    size_t left = len;
    if (left >= 64) {
        // Four chains that don't wait for each other.
        uint64_t c0 = s->a, c1 = s->b, c2 = s->a ^ MIX_C, c3 = s->b ^ MIX_D;
        for (; left >= 64; left -= 64, p += 64) {
            c0 = mix(mix_load(p) ^ MIX_A, mix_load(p + 8) ^ c0);
            c1 = mix(mix_load(p + 16) ^ MIX_B, mix_load(p + 24) ^ c1);
            c2 = mix(mix_load(p + 32) ^ MIX_C, mix_load(p + 40) ^ c2);
            c3 = mix(mix_load(p + 48) ^ MIX_D, mix_load(p + 56) ^ c3);
        }
        mix_absorb(s, c0, c1);
        mix_absorb(s, c2, c3);
    }
    for (; left >= 16; left -= 16, p += 16)
        mix_absorb(s, mix_load(p), mix_load(p + 8));
    uint8_t tail[16] = {0};
    if (left > 0)
        memcpy(tail, p, left);
    mix_absorb(s, mix_load(tail) ^ len, mix_load(tail + 8));
}

// The i-th word of as many as are wanted.
static inline uint64_t mix_word(const struct mix_state *s, uint64_t i)
{
    return mix(s->a ^ (i + 1) * MIX_C, s->b ^ (i + 1) * MIX_D) ^ s->b;
}

static inline void mix_out(const struct mix_state *s, uint8_t *out, size_t len)
{
    uint64_t i = 0;
    for (; len >= 8; len -= 8, out += 8)
        mix_store(out, mix_word(s, i++));
    if (len == 0)
        return;
    uint8_t word[8];
    mix_store(word, mix_word(s, i));
    memcpy(out, word, len);
}

#endif
