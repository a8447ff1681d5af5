// What one machine may take of the process's memory: an account with a cap on the shared pool.
#ifndef BAUTA_DHT_ARENA_H
#define BAUTA_DHT_ARENA_H

#include "dht/pool.h"

#define ARENA_TAKE_BYTES_MAX POOL_BLOCK_BYTES_MAX

struct arena {
    struct pool *pool;
    size_t cap_bytes;
    size_t
        used_bytes; // what is taken at the moment, rounded up to the pool's blocks; at most the cap
};

void arena_init(struct arena *, struct pool *, size_t cap_bytes);
// Zeroed, aligned to 16; NULL at the cap, without memory, or above ARENA_TAKE_BYTES_MAX.
void *arena_take(struct arena *, size_t bytes);
// `bytes` as taken. Wipes. NULL is fine.
void arena_give(struct arena *, void *p, size_t bytes);
// Everything that was taken has been given back: asserts it.
void arena_end(struct arena *);

#endif
