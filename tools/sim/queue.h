// The simulator's event queue: a 4-ary heap in the order that makes a run the same everywhere:
// (time, destination, class, source, source's sequence number).
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

struct sim_queue {
    struct sim_event *heap;
    size_t count, room;
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
const struct sim_event *sim_queue_first(const struct sim_queue *); // NULL: empty
bool sim_queue_pop(struct sim_queue *, struct sim_event *);
void sim_queue_free(struct sim_queue *); // the array; payloads are the user's

// realloc that ends the program when memory is short: a simulation can't go on without.
void *sim_grow(void *old, size_t count, size_t each_bytes);

#endif
