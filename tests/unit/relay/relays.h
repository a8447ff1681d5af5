// Relays and randomness for the tests of node/relay.
#ifndef BAUTA_TESTS_UNIT_RELAY_RELAYS_H
#define BAUTA_TESTS_UNIT_RELAY_RELAYS_H

#include "node/relay/offer.h"

static inline uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15)); // splitmix64
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline void random_fill(void *ctx, void *buf, size_t len)
{
    uint8_t *at = buf;
    for (size_t i = 0; i < len; i++)
        at[i] = (uint8_t)next_random(ctx);
}

static inline void relay_seed(uint8_t seed[static 32], uint32_t number)
{
    memset(seed, 0, 32);
    seed[0] = (uint8_t)number;
    seed[1] = (uint8_t)(number >> 8);
    seed[2] = (uint8_t)(number >> 16);
    seed[3] = 0xee;
}

// On prefix 1.prefix of IPv4, at 4000.
static inline struct relay_offer relay_numbered(uint32_t number, uint32_t prefix)
{
    uint8_t seed[32];
    const uint8_t ip[4] = {(uint8_t)(1 + prefix / 250), (uint8_t)(1 + prefix % 250),
                           (uint8_t)(number >> 8), (uint8_t)number};
    struct relay_offer o = {.contacts = 1, .free = 8, .capacity_kBps = 1000};
    relay_seed(seed, number);
    relay_public(o.ed_pk, o.contact[0].pk, seed);
    o.contact[0].path = path_v4(ip, 4000);
    return o;
}

// Adds an IPv6 address on 2001:prefix.
static inline void relay_add_v6(struct relay_offer *o, uint16_t prefix)
{
    const uint8_t ip[16] = {0x24, 1, (uint8_t)(prefix >> 8), (uint8_t)prefix, [15] = 1};
    o->contact[1] = o->contact[0];
    o->contact[1].path = path_v6(ip, 4000);
    o->contacts = 2;
}

#endif
