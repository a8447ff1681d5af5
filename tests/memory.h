// Arenas of the tests, on one pool of chunks from the heap.
#ifndef BAUTA_TESTS_MEMORY_H
#define BAUTA_TESTS_MEMORY_H

#include "dht/arena.h"

#include <stdlib.h>

static inline void *memory_refill(void *ctx, size_t bytes)
{
    (void)ctx;
    return malloc(bytes);
}

static inline void memory_release(void *ctx, void *chunk, size_t bytes)
{
    (void)ctx;
    (void)bytes;
    free(chunk);
}

static inline void memory_arena(struct arena *a, size_t cap_bytes)
{
    static struct pool pool;
    if (pool.refill == NULL)
        pool_init(&pool, memory_refill, memory_release, NULL);
    arena_init(a, &pool, cap_bytes);
}

#endif
