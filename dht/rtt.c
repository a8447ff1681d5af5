#include "dht/rtt.h"

#include <string.h>

#define WAYS 2u

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

static struct rtt_entry *set_of(const struct rtt *r, uint64_t tag)
{
    return &r->entry[((uint32_t)tag & (r->cap / WAYS - 1)) * WAYS];
}

static struct rtt_entry *find(const struct rtt *r, uint64_t tag)
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
static struct rtt_entry *insert(struct rtt *r, uint64_t tag)
{
    struct rtt_entry *set = set_of(r, tag);
    if (set[WAYS - 1].tag != 0)
        r->evicted++;
    memmove(set + 1, set, (WAYS - 1) * sizeof *set);
    memset(set, 0, sizeof *set);
    set->tag = tag;
    return set;
}

static void grow(struct rtt *r)
{
    uint32_t cap = r->cap == 0 ? RTT_ENTRIES_MIN : 2 * r->cap;
    struct rtt_entry *entry =
        cap > RTT_ENTRIES_MAX ? NULL : arena_take(r->arena, cap * sizeof *entry);
    if (entry == NULL)
        return;
    struct rtt_entry *old = r->entry;
    uint32_t old_cap = r->cap;
    r->entry = entry;
    r->cap = cap;
    for (uint32_t i = old_cap; i-- > 0;)
        if (old[i].tag != 0)
            *insert(r, old[i].tag) = old[i];
    arena_give(r->arena, old, old_cap * sizeof *old);
    r->evicted = 0;
}

void rtt_sample(struct rtt *r, uint64_t tag, usec_t took)
{
    uint32_t us = took > RPC_LATE_US ? (uint32_t)RPC_LATE_US : (uint32_t)took;
    r->sample_us[r->samples++ % RTT_SAMPLES] = us;
    if (r->samples == 2 * RTT_SAMPLES)
        r->samples = RTT_SAMPLES;
    struct rtt_entry *e = find(r, tag);
    if (e == NULL) {
        if (r->cap == 0 || r->evicted > r->cap / 4)
            grow(r);
        if (r->cap == 0)
            return;
        e = insert(r, tag);
        e->srtt_us = us;
        e->rttvar_us = us / 2;
        return;
    }
    uint32_t delta = us > e->srtt_us ? us - e->srtt_us : e->srtt_us - us;
    e->rttvar_us = e->rttvar_us - e->rttvar_us / 4 + delta / 4;
    e->srtt_us = e->srtt_us - e->srtt_us / 8 + us / 8;
}

static usec_t clamp(usec_t t)
{
    return t < RPC_RTO_MIN_US ? RPC_RTO_MIN_US : t > RPC_RTO_MAX_US ? RPC_RTO_MAX_US : t;
}

usec_t rtt_timeout(const struct rtt *r, uint64_t tag)
{
    const struct rtt_entry *e = find(r, tag);
    if (e != NULL)
        return clamp((usec_t)e->srtt_us + 4 * (usec_t)e->rttvar_us);
    uint32_t n = r->samples < RTT_SAMPLES ? r->samples : RTT_SAMPLES;
    if (n < RTT_SAMPLES_MIN)
        return RPC_RTO_UNKNOWN_US;
    uint32_t sorted[RTT_SAMPLES];
    for (uint32_t i = 0; i < n; i++) {
        uint32_t j = i;
        for (; j > 0 && sorted[j - 1] > r->sample_us[i]; j--)
            sorted[j] = sorted[j - 1];
        sorted[j] = r->sample_us[i];
    }
    return clamp(sorted[n * 95 / 100]);
}

usec_t rtt_smoothed(const struct rtt *r, uint64_t tag)
{
    const struct rtt_entry *e = find(r, tag);
    return e == NULL ? USEC_NEVER : e->srtt_us;
}
