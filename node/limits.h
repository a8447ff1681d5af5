// Limits of node, with their reasons. Those of its layers stand in their own limits.h.
#ifndef BAUTA_NODE_LIMITS_H
#define BAUTA_NODE_LIMITS_H

#include "node/meet/meet.h"

// One for each encounter, and as many that are only saying goodbye.
#define NODE_CONVERSATIONS_MAX (2 * MEET_ENCOUNTERS_MAX)
// A conversation has at most a live phase, the one before, the next, and phase 0.
#define NODE_CIDS_MAX (4 * NODE_CONVERSATIONS_MAX)
// Open addressing at half load; a power of two.
#define NODE_CID_SLOTS 256u
#define NODE_TOPIC_TEXT_BYTES_MAX 1024u // as typed, before normalising shortens it
#define NODE_WARNINGS_MAX 8u
// What is read from a stream at a time, between two events.
#define NODE_READ_BYTES 4096u
// Sends of one channel before the next channel gets its turn.
#define NODE_CHANNEL_BATCHES 8u
#define NODE_CHANNEL_BYTES 65536u // and bytes: one whole batch of full packets
#define NODE_STORE_BYTES_DEFAULT (64u * 1024 * 1024)
#define NODE_NETWORK_DEFAULT "bauta"

#endif
