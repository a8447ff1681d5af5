#include "dht/rtt.h"

#include <string.h>

#define WAYS 2u
#define UNIT_US 8u
#define SRTT_MANTISSA 8u // bits, below an exponent of 4
#define VAR_MANTISSA 4u
#define VAR_BITS (4u + VAR_MANTISSA)
#define VAR_MASK ((1u << VAR_BITS) - 1)

// ---- packed values --------------------------------------------------------------------------------

// Small numbers as they are; larger ones as (2^mantissa + m) << (exponent - 1), rounded.
static uint32_t pack(uint32_t us, unsigned mantissa)
{
    uint32_t n = (us + UNIT_US / 2) / UNIT_US, one = 1u << mantissa, exponent = 1;
    if (n < one)
        return n;
    while ((n + (1u << (exponent - 1)) / 2) >> (exponent - 1) >= 2 * one)
        exponent++;
    n = (n + (1u << (exponent - 1)) / 2) >> (exponent - 1);
    return exponent << mantissa | (n - one);
}

static uint32_t unpack(uint32_t packed, unsigned mantissa)
{
    uint32_t exponent = packed >> mantissa, n = packed & ((1u << mantissa) - 1);
    if (exponent > 0)
        n = (n | 1u << mantissa) << (exponent - 1);
    return n * UNIT_US;
}

static rtt_value value_of(uint32_t srtt_us, uint32_t rttvar_us)
{
    uint32_t srtt = pack(srtt_us, SRTT_MANTISSA);
    return (srtt == 0 ? 1 : srtt) << VAR_BITS | pack(rttvar_us, VAR_MANTISSA);
}

static uint32_t srtt_of(rtt_value v)
{
    return unpack(v >> VAR_BITS, SRTT_MANTISSA);
}

static uint32_t rttvar_of(rtt_value v)
{
    return unpack(v & VAR_MASK, VAR_MANTISSA);
}

rtt_value rtt_value_add(rtt_value v, uint32_t us)
{
    if (us > RPC_LATE_US)
        us = (uint32_t)RPC_LATE_US;
    if (v == 0)
        return value_of(us, us / 2);
    uint32_t srtt = srtt_of(v), var = rttvar_of(v);
    uint32_t delta = us > srtt ? us - srtt : srtt - us;
    return value_of(srtt - srtt / 8 + us / 8, var - var / 4 + delta / 4);
}

usec_t rtt_value_smoothed(rtt_value v)
{
    return v == 0 ? USEC_NEVER : srtt_of(v);
}

static usec_t clamp(usec_t t)
{
    return t < RPC_RTO_MIN_US ? RPC_RTO_MIN_US : t > RPC_RTO_MAX_US ? RPC_RTO_MAX_US : t;
}

usec_t rtt_value_timeout(rtt_value v)
{
    return clamp((usec_t)srtt_of(v) + 4 * (usec_t)rttvar_of(v));
}

// ---- servers outside of the table -----------------------------------------------------------------

void rtt_init(struct rtt *r, struct arena *arena)
{
    memset(r, 0, sizeof *r);
    r->arena = arena;
}

void rtt_end(struct rtt *r)
{
    arena_give(r->arena, r->entry, r->cap * sizeof *r->entry);
    rtt_init(r, r->arena);
}

static uint32_t short_tag(uint64_t tag)
{
    uint32_t t = (uint32_t)(tag >> 32);
    return t == 0 ? 1 : t;
}

static struct rtt_entry *set_of(const struct rtt *r, uint32_t tag)
{
    return &r->entry[(tag & (r->cap / WAYS - 1)) * WAYS];
}

static struct rtt_entry *find(const struct rtt *r, uint32_t tag)
{
    if (r->cap == 0)
        return NULL;
    struct rtt_entry *set = set_of(r, tag);
    for (unsigned i = 0; i < WAYS; i++)
        if (set[i].tag == tag)
            return &set[i];
    return NULL;
}

// The more recently used stands first; the last one of a set gives way.
static void insert(struct rtt *r, struct rtt_entry e)
{
    struct rtt_entry *set = set_of(r, e.tag);
    if (set[WAYS - 1].tag != 0)
        r->evicted++;
    memmove(set + 1, set, (WAYS - 1) * sizeof *set);
    set[0] = e;
}

static void grow(struct rtt *r)
{
    unsigned cap = r->cap == 0 ? RTT_ENTRIES_MIN : 2u * r->cap;
    struct rtt_entry *entry =
        cap > RTT_ENTRIES_MAX ? NULL : arena_take(r->arena, cap * sizeof *entry);
    if (entry == NULL)
        return;
    struct rtt_entry *old = r->entry;
    unsigned old_cap = r->cap;
    r->entry = entry;
    r->cap = (uint16_t)cap;
    for (unsigned i = old_cap; i-- > 0;)
        if (old[i].tag != 0)
            insert(r, old[i]);
    arena_give(r->arena, old, old_cap * sizeof *old);
    r->evicted = 0;
}

rtt_value rtt_get(const struct rtt *r, uint64_t tag)
{
    const struct rtt_entry *e = find(r, short_tag(tag));
    return e == NULL ? 0 : e->value;
}

void rtt_put(struct rtt *r, uint64_t tag, rtt_value value)
{
    struct rtt_entry fresh = {short_tag(tag), value};
    struct rtt_entry *e = find(r, fresh.tag);
    if (e != NULL) {
        *e = value == 0 ? (struct rtt_entry){0, 0} : fresh;
        return;
    }
    if (value == 0)
        return;
    if (r->cap == 0 || (r->evicted > r->cap / 4 && r->cap < RTT_ENTRIES_MAX))
        grow(r);
    if (r->cap > 0)
        insert(r, fresh);
}

void rtt_sample(struct rtt *r, uint32_t us)
{
    if (us > RPC_LATE_US)
        us = (uint32_t)RPC_LATE_US;
    r->sample[r->samples++ % RTT_SAMPLES] = (uint16_t)pack(us, SRTT_MANTISSA);
    if (r->samples == 2 * RTT_SAMPLES)
        r->samples = RTT_SAMPLES;
}

// Of the node's own samples; USEC_NEVER: there are too few.
static usec_t share(const struct rtt *r, unsigned percent)
{
    unsigned n = r->samples < RTT_SAMPLES ? r->samples : RTT_SAMPLES;
    unsigned want = n - n * percent / 100, have = 0;
    if (n < RTT_SAMPLES_MIN || want == 0)
        return USEC_NEVER;
    // The few largest, largest first. Packed ones are ordered as what they stand for.
    uint16_t top[RTT_SAMPLES];
    for (unsigned i = 0; i < n; i++) {
        if (have == want && r->sample[i] <= top[want - 1])
            continue;
        unsigned j = have < want ? have++ : want - 1;
        for (; j > 0 && top[j - 1] < r->sample[i]; j--)
            top[j] = top[j - 1];
        top[j] = r->sample[i];
    }
    return clamp(unpack(top[want - 1], SRTT_MANTISSA));
}

usec_t rtt_timeout(const struct rtt *r, rtt_value value)
{
    usec_t own = value != 0 ? rtt_value_timeout(value) : share(r, 95);
    return own != USEC_NEVER ? own : RPC_RTO_UNKNOWN_US;
}

usec_t rtt_patience(const struct rtt *r, rtt_value value)
{
    usec_t own = value != 0 ? clamp((usec_t)srtt_of(value) + rttvar_of(value)) : share(r, 75);
    return own != USEC_NEVER ? own : RPC_PATIENCE_UNKNOWN_US;
}
