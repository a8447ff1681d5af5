// Cover traffic: while it is on, a datagram of one size leaves at each tick, whether there is something to say or
// not, and words leave in no other (README.md, "Cover", says what it hides, what it does not, and what it costs).
// Ticks are jittered, because a bare interval timer shows in its small delays how busy its host is (Fu, Graham,
// Bettati, Zhao, Xuan: Analytical and Empirical Analysis of Countermeasures to Traffic Analysis Attacks, ICPP 2003).
// The jitter is a function of a key and the tick's number, so nothing that happens meanwhile moves it.
#ifndef BAUTA_NODE_CHANNEL_COVER_H
#define BAUTA_NODE_CHANNEL_COVER_H

#include "dht/machine.h"
#include "node/channel/channel.h"
#include "node/channel/limits.h"

#define CHAN_COVER_KEY_BYTES 16u

struct chan_cover {
    enum channel_cover level;
    bool heard_bulk; // a full packet came since the last tick
    usec_t at;       // of the next tick; USEC_NEVER: off
    uint64_t ticks;  // since it was switched on
    uint8_t key[CHAN_COVER_KEY_BYTES];
};

void chan_cover_init(struct chan_cover *);
// The first tick is an interval from now.
void chan_cover_set(struct chan_cover *, usec_t now, enum channel_cover, const struct rng *);
static inline bool chan_cover_on(const struct chan_cover *v)
{
    return v->level != CHANNEL_COVER_OFF;
}
// A tick has left, or could not: sets the next one.
void chan_cover_tick(struct chan_cover *, usec_t now);

#endif
