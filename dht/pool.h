// Memory of one process, shared by all its arenas. Chunks come from the driver (`refill`), are cut into
// blocks of size classes, and what one node gives back the next one takes: peaks of joining or talking
// are held once, not by each node for ever. Given-back memory is wiped, since it may have held keys.
#ifndef BAUTA_DHT_POOL_H
#define BAUTA_DHT_POOL_H

#include <stddef.h>
#include <stdint.h>

#define POOL_CLASSES 128u // 16 B to 4 MiB: multiples of 16 to 128, then eight classes an octave
#define POOL_BLOCK_BYTES_MAX (1u << 22)

struct pool_chunk;

struct pool {
    void *(*refill)(void *ctx, size_t bytes); // aligned to 16; NULL when there is none
    void (*release)(void *ctx, void *chunk, size_t bytes);
    void *ctx;
    size_t held_bytes; // what the chunks add up to
    size_t used_bytes; // of it, in blocks that are taken
    struct pool_chunk *chunks;
    uint8_t *cut; // the rest of the newest chunk
    size_t cut_bytes;
    void *free_list[POOL_CLASSES];
};

void pool_init(struct pool *, void *(*refill)(void *, size_t),
               void (*release)(void *, void *, size_t), void *ctx);
// What a block of `bytes` really takes; SIZE_MAX above POOL_BLOCK_BYTES_MAX.
size_t pool_block_bytes(size_t bytes);
// Zeroed, aligned to 16; NULL without memory or above POOL_BLOCK_BYTES_MAX.
void *pool_take(struct pool *, size_t bytes);
// `bytes` as taken. Wipes.
void pool_give(struct pool *, void *block, size_t bytes);
// Releases all chunks. Everything was given back.
void pool_end(struct pool *);

#endif
