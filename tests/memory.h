// Arenas of the tests: chunks straight from the heap, so that the sanitizers see each of them.
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
    arena_init(a, cap_bytes, memory_refill, memory_release, NULL);
}

#endif
