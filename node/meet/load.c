#include "node/meet/load.h"

#include <string.h>

void load_init(struct load *l)
{
    memset(l, 0, sizeof *l);
    l->decay_at = USEC_NEVER;
}

// False: there is more in it than the burst.
static bool pour(struct load_bucket *b, usec_t now, unsigned n)
{
    uint64_t gone = now - b->at, price = USEC_PER_S / LOAD_OFFERS_S;
    b->level_us = b->level_us > gone ? b->level_us - gone : 0;
    b->at = now;
    uint64_t level = b->level_us + n * price;
    // What spills over is not remembered: the bucket is a rate, not a sum.
    b->level_us = level > LOAD_BURST * price ? LOAD_BURST * price : level;
    return level <= LOAD_BURST * price;
}

void load_offer(struct load *l, usec_t now, bool admitted)
{
    (void)pour(&l->offers, now, 1);
    if (!admitted || pour(&l->admitted, now, 1) ||
        (l->raised_at != 0 && now < l->raised_at + LOAD_RAISE_GAP_US))
        return;
    uint32_t to = l->effort == 0 ? LOAD_EFFORT_FIRST : l->effort * LOAD_RAISE_FACTOR;
    l->effort = to < SEARCH_EFFORT_MAX ? to : SEARCH_EFFORT_MAX;
    l->raised_at = now;
    l->decay_at = now + LOAD_DECAY_US;
    // Those who offered before they could know of it don't count against it.
    l->admitted.level_us = 0;
}

void load_step(struct load *l, usec_t now)
{
    if (l->decay_at > now)
        return;
    l->decay_at = now + LOAD_DECAY_US;
    // While they come as thick as ever the effort is what keeps them out.
    (void)pour(&l->offers, now, 0);
    if (l->offers.level_us > LOAD_BURST / 2 * (USEC_PER_S / LOAD_OFFERS_S))
        return;
    l->effort = l->effort * 3 / 4;
    if (l->effort < LOAD_EFFORT_FIRST / 2) {
        l->effort = 0;
        l->decay_at = USEC_NEVER;
    }
}

usec_t load_deadline(const struct load *l)
{
    return l->decay_at;
}
