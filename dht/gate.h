// Who gets a token when there is too much to do for key exchanges (PROTOCOL 2): in a flood of first
// datagrams, whose addresses may be forged, none of them costs a key exchange any more. A token answer costs two
// microseconds, and while there are enough of them everybody gets one. Before they are used up a stamp
// (crypto/stamp.h) is asked for, the heavier the more stamps come; it follows the load down again.
#ifndef BAUTA_DHT_GATE_H
#define BAUTA_DHT_GATE_H

#include "dht/arena.h"
#include "dht/limits.h"

#include <assert.h>
#include <stdbool.h>

// What flows in runs out at a steady rate; counted as the time that it takes.
struct gate {
    struct arena *arena;
    usec_t at;            // when these were true, in microseconds:
    uint32_t arrivals_us; // of first datagrams
    uint32_t answers_us;  // token answers
    uint32_t stamped_us;  // of them, those for a stamp
    uint8_t bits;         // of a stamp
    usec_t follow_at;     // not heavier before, lighter from then on
    uint64_t *spent;      // bits: stamps that have got their token; while there are any
    usec_t spent_until, flooded_until;
};
static_assert(sizeof(struct gate) <= 64, "every server has one");

void gate_init(struct gate *, struct arena *);
void gate_end(struct gate *);
// A first datagram has come. True: there are too many for key exchanges.
bool gate_arrived(struct gate *, usec_t now);
// May it get a token that costs no exchange? With one or more left for everybody, or for a stamp.
bool gate_open(struct gate *, usec_t now, const uint8_t mask_key[static 32],
               const uint8_t e[static 32], const uint8_t *nonce, uint64_t unix_s);
// Gives back what a quiet server does not need. True while it holds anything.
bool gate_rest(struct gate *, usec_t now);

#endif
