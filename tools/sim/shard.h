// One run on several threads. Its nodes are dealt out over shards, by number; each shard is a struct sim
// of its own, with queue, memory, books and counters, and is the `s` of all that its nodes do. The
// first is the run's own. All shards run through the same window of virtual time at once; it is shorter than
// any datagram's way, so what one sends to another arrives after it, and waits in a mailbox until then.
// A node's events come in the order in which they come on one thread, so the digest is the same.
//
// Shared, and not written within a window: hosts' list, sites' list, where addresses lead, the index of
// recall. What no node does (sim_at) happens on one thread, between two windows, with all counters summed.
#ifndef BAUTA_SIM_SHARD_H
#define BAUTA_SIM_SHARD_H

#include "tools/sim/sim_internal.h"

// Of a run without shards: always itself.
static inline struct sim *shard_of(const struct sim *s, uint32_t node)
{
    struct sim *head = s->head;
    return head->shards < 2 || node == SIM_NOBODY ? head : head->shard[node % head->shards];
}
// As sim_queue_push, for whichever shard its destination is in.
void shard_push(struct sim *, usec_t at_us, uint32_t destination, enum sim_class, uint32_t source,
                uint32_t sequence, void *payload);
// All events up to `until_us`.
void shard_run(struct sim *, usec_t until_us);
void shard_free(struct sim *); // all but the first

#endif
