// The bytes of a stream between two offsets, in blocks of CHAN_BLOCK_BYTES that come when they are
// written to and go when they are released.
#ifndef BAUTA_NODE_CHANNEL_BLOCKS_H
#define BAUTA_NODE_CHANNEL_BLOCKS_H

#include "dht/arena.h"
#include "node/channel/limits.h"

struct chan_blocks {
    uint8_t **slot; // block i stands at slot[i % cap]; NULL while nothing is held
    uint32_t cap;   // power of two
    uint32_t held;
    uint64_t first; // no block below this one is held
};

// Copies in as much as memory allows; returns how many bytes, counted from the start. Offsets below
// the released one are not allowed.
size_t chan_blocks_write(struct chan_blocks *b, struct arena *a, uint64_t offset,
                         const uint8_t *src, size_t len);
void chan_blocks_read(const struct chan_blocks *b, uint64_t offset, uint8_t *dst, size_t len);
// Nothing below `offset` is needed any more; `empty`: nothing at all is.
void chan_blocks_release(struct chan_blocks *b, struct arena *a, uint64_t offset, bool empty);
void chan_blocks_free(struct chan_blocks *b, struct arena *a);

#endif
