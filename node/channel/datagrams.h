// Unreliable datagrams of the application: a queue of those that wait to go out, and where those of the packet
// that came last stand in it.
#ifndef BAUTA_NODE_CHANNEL_DATAGRAMS_H
#define BAUTA_NODE_CHANNEL_DATAGRAMS_H

#include "dht/arena.h"
#include "node/channel/limits.h"

#include <stdbool.h>
#include <stdint.h>

struct chan_datagram {
    const uint8_t *data;
    uint16_t len;
};
struct chan_datagrams { // all zero: empty
    uint8_t *ring;      // of `cap` bytes: len[2] and data of each, none of them across its end
    uint32_t cap, head, tail;
    uint32_t count;
    uint32_t dropped; // that found no room
    uint8_t in_count, in_next;
    struct chan_datagram *in; // CHAN_DATAGRAMS_IN, from the arena with the first that comes
};

// Room for `len` bytes behind all others, to be filled at once; NULL: the queue is full, or no memory.
uint8_t *chan_datagrams_put(struct chan_datagrams *, struct arena *, size_t len);
// The first one, or NULL. chan_datagrams_pop: it is done with.
const uint8_t *chan_datagrams_first(const struct chan_datagrams *, uint16_t *len);
void chan_datagrams_pop(struct chan_datagrams *);
void chan_datagrams_clear(struct chan_datagrams *);

// What a packet brought; chan_datagrams_turn forgets what the one before it did.
void chan_datagrams_turn(struct chan_datagrams *);
void chan_datagrams_came(struct chan_datagrams *, struct arena *, const uint8_t *data, size_t len);
bool chan_datagrams_next(struct chan_datagrams *, struct chan_datagram *);

// Gives back what only a busy channel needs; chan_datagrams_free: everything.
void chan_datagrams_tidy(struct chan_datagrams *, struct arena *);
void chan_datagrams_free(struct chan_datagrams *, struct arena *);

#endif
