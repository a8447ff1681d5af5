// A sorted set of disjoint ranges [lo, hi): holes in streams. Two ranges stand in place, more come
// from the arena, up to CHAN_RANGES_MAX.
#ifndef BAUTA_NODE_CHANNEL_RANGES_H
#define BAUTA_NODE_CHANNEL_RANGES_H

#include "dht/arena.h"
#include "node/channel/wire.h"

struct chan_ranges {
    struct chan_range own[2];
    struct chan_range *far; // NULL: own
    uint16_t count, cap;    // cap 0 stands for 2
};

static inline struct chan_range *chan_ranges_at(struct chan_ranges *s)
{
    return s->far != NULL ? s->far : s->own;
}
// Adds [lo, hi), lo < hi, joining what touches. False: no room, nothing changed.
bool chan_ranges_add(struct chan_ranges *s, struct arena *a, uint64_t lo, uint64_t hi);
// Like add, but where there is no room widens a neighbour: the set then covers more than was asked.
void chan_ranges_cover(struct chan_ranges *s, struct arena *a, uint64_t lo, uint64_t hi);
// Takes [lo, hi) out; where a split finds no room, the upper part stays whole (covers more).
void chan_ranges_cut(struct chan_ranges *s, struct arena *a, uint64_t lo, uint64_t hi);
void chan_ranges_free(struct chan_ranges *s, struct arena *a);

#endif
