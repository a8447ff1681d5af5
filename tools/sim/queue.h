// The simulator's event queue, in the order that makes a run the same everywhere: (time, destination,
// class, source, source's sequence number).
//
// A calendar: buckets of about a millisecond for the second that runs, buckets of about a second for
// the quarter of an hour after it, a heap beyond. A bucket is put in order when its time comes. What
// is pushed into a bucket that is open already goes to a small heap beside it.
#ifndef BAUTA_SIM_QUEUE_H
#define BAUTA_SIM_QUEUE_H

#include "dht/machine.h"

enum sim_class { SIM_COMMAND, SIM_DATAGRAM, SIM_JOB, SIM_WAKE };

struct sim_event {
    usec_t at_us;
    uint32_t destination;
    uint32_t sequence;     // of the source
    uint64_t class_source; // class << 32 | source
    void *payload;         // owned by the queue's user
};

#define SIM_QUEUE_SLOTS 1024u // of each ring; a power of two

struct sim_queue_chunk;
struct sim_queue_ring {
    struct sim_queue_chunk *slot[SIM_QUEUE_SLOTS];
    uint64_t used[SIM_QUEUE_SLOTS / 64]; // one bit a slot
};
struct sim_queue_heap {
    struct sim_event *e;
    size_t count, room;
};

struct sim_queue { // all zero: empty
    size_t count;
    struct sim_event *run; // the open bucket, in order
    struct sim_event *raw; // the same, before
    size_t run_at, run_count, run_room;
    struct sim_queue_heap late; // pushed no later than the open bucket ends
    uint64_t bucket;            // all before it, in units of a near slot, is in run and late
    uint64_t epoch;             // of which `near` holds the buckets, in units of a far slot
    struct sim_queue_ring near, far;
    struct sim_queue_heap beyond;
    struct sim_queue_chunk *spare;
};

static inline enum sim_class sim_event_class(const struct sim_event *e)
{
    return (enum sim_class)(e->class_source >> 32);
}
static inline uint32_t sim_event_source(const struct sim_event *e)
{
    return (uint32_t)e->class_source;
}

void sim_queue_push(struct sim_queue *, usec_t at_us, uint32_t destination, enum sim_class,
                    uint32_t source, uint32_t sequence, void *payload);
const struct sim_event *sim_queue_first(struct sim_queue *); // NULL: empty
bool sim_queue_pop(struct sim_queue *, struct sim_event *);
// One that comes about `ahead` events after the first, to have its memory fetched; NULL: not known.
static inline const struct sim_event *sim_queue_ahead(const struct sim_queue *q, size_t ahead)
{
    return ahead < q->run_count - q->run_at ? &q->run[q->run_at + ahead] : NULL;
}
void sim_queue_free(struct sim_queue *); // payloads are the user's

#endif
