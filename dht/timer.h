// An intrusive binary heap of deadlines. Ties go by who was armed first, never by address.
#ifndef BAUTA_DHT_TIMER_H
#define BAUTA_DHT_TIMER_H

#include "dht/arena.h"
#include "dht/machine.h"

struct timer {
    usec_t at;
    uint64_t seq; // order of arming, for ties
    uint32_t pos; // in the heap, from 1; 0: not armed
    uint8_t kind; // the owner's type, for the dispatcher
    void *owner;
};
struct timers {
    struct arena *arena;
    struct timer **heap;
    uint32_t n, cap, owners;
    uint64_t seq;
};

void timers_init(struct timers *, struct arena *);
void timers_end(struct timers *);
// Reserves room for a timer, so that arming never fails. 0, BAUTA_ESPACE.
int timers_add(struct timers *, struct timer *, uint8_t kind, void *owner);
void timers_remove(struct timers *, struct timer *);         // disarms too
void timers_arm(struct timers *, struct timer *, usec_t at); // USEC_NEVER disarms
usec_t timers_next(const struct timers *);
// Disarms and returns the earliest timer that is due, or NULL.
struct timer *timers_due(struct timers *, usec_t now);

#endif
