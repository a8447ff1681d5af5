// Which channel of a node, and which of its key phases, a packet's cid belongs to (PROTOCOL 1).
#ifndef BAUTA_NODE_CHANNEL_CIDS_H
#define BAUTA_NODE_CHANNEL_CIDS_H

#include "crypto/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cid_slot {
    uint8_t cid[CID_BYTES];
    uint16_t owner; // whose channel, as who added it counts; 0: free
    uint8_t phase;
};
// Cids are random and our own, so their bytes are the hash and nobody can aim at a slot.
struct cids {
    struct cid_slot *slot; // `slots` of them, a power of two
    uint32_t slots, used, used_max;
};

bool cids_add(struct cids *, const uint8_t cid[static CID_BYTES], uint16_t owner, uint8_t phase);
const struct cid_slot *cids_find(const struct cids *, const uint8_t cid[static CID_BYTES]);
void cids_drop(struct cids *, const uint8_t cid[static CID_BYTES]);
// Each owns what the other did.
void cids_swap_owner(struct cids *, uint16_t a, uint16_t b);
void cids_drop_owner(struct cids *, uint16_t owner);

#endif
