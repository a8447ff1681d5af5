// The seeded numbers of the tests of pairing.
#ifndef BAUTA_TESTS_UNIT_MEET_RANDOM_H
#define BAUTA_TESTS_UNIT_MEET_RANDOM_H

#include <stddef.h>
#include <stdint.h>

static inline uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline void fill(void *ctx, void *buf, size_t len)
{
    uint8_t *at = buf;
    for (size_t i = 0; i < len; i++)
        at[i] = (uint8_t)next_random(ctx);
}

#endif
