// Memory of people: whom I blocked (for the run of the node), whom an encounter has met, and which
// addresses were probed in the last minute.
#ifndef BAUTA_NODE_MEET_BLOCK_H
#define BAUTA_NODE_MEET_BLOCK_H

#include "dht/arena.h"
#include "dht/path.h"
#include "node/meet/limits.h"

#include <stdbool.h>

// A ring of fixed items that grows by blocks from the arena up to `max`, then overwrites the oldest.
#define MEMORY_BLOCK_ITEMS 32u
struct memory_block {
    struct memory_block *next;
    uint8_t item[MEMORY_BLOCK_ITEMS][32];
};
struct memory {
    struct memory_block *first;
    uint32_t n, max, oldest;
};
void memory_init(struct memory *, uint32_t max);
bool memory_has(const struct memory *, const uint8_t item[static 32]);
// False where the arena is at its cap.
bool memory_add(struct memory *, struct arena *, const uint8_t item[static 32]);
void memory_free(struct memory *, struct arena *);

struct block {
    struct memory people;    // pseudonyms
    struct memory addresses; // exact address and port
    struct {
        uint8_t address[32];
        usec_t at;
    } probed[PROBED_ADDRESSES_MAX];
    uint32_t probes;
};
void block_init(struct block *);
void block_free(struct block *, struct arena *);
// Nobody is blocked and no probe counts any more: nothing is lost with it.
bool block_idle(const struct block *, usec_t now);
void block_person(struct block *, struct arena *, const uint8_t pk[static 32]);
void block_address(struct block *, struct arena *, const struct path *);
bool block_has_person(const struct block *, const uint8_t pk[static 32]);
bool block_has_address(const struct block *, const struct path *);
// May this address be probed within the minute's budget? Counts it if so.
bool block_probe(struct block *, usec_t now, const struct path *);

#endif
