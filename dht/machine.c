#include "dht/machine.h"

#include <assert.h>

uint64_t rng_u64(const struct rng *r)
{
    uint8_t b[8];
    uint64_t v = 0;
    rng_fill(r, b, sizeof b);
    for (unsigned i = 0; i < 8; i++)
        v |= (uint64_t)b[i] << (8 * i);
    return v;
}

uint64_t rng_below(const struct rng *r, uint64_t n)
{
    assert(n >= 1);
    uint64_t limit = UINT64_MAX - UINT64_MAX % n;
    uint64_t v;
    do
        v = rng_u64(r);
    while (v >= limit);
    return v % n;
}

usec_t rng_between(const struct rng *r, usec_t lo, usec_t hi)
{
    assert(lo <= hi);
    return lo + rng_below(r, hi - lo + 1);
}

struct outbox_slot *outbox_room(struct outbox *o)
{
    if (o->count == OUTBOX_SLOTS) {
        o->dropped++;
        return NULL;
    }
    o->slot[o->count].to_server = false;
    return &o->slot[o->count];
}

void outbox_commit(struct outbox *o)
{
    assert(o->count < OUTBOX_SLOTS);
    assert(o->slot[o->count].len > 0 && o->slot[o->count].len <= CLASS_FULL);
    o->count++;
}
