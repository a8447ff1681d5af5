// Memory of a machine that runs without a host: chunks from the heap.
#ifndef BAUTA_TOOLS_BENCH_POOL_H
#define BAUTA_TOOLS_BENCH_POOL_H

#include "dht/pool.h"

#include <stdlib.h>

static inline void *bench_refill(void *ctx, size_t bytes)
{
    (void)ctx;
    return malloc(bytes);
}

static inline void bench_release(void *ctx, void *chunk, size_t bytes)
{
    (void)ctx;
    (void)bytes;
    free(chunk);
}

static inline void bench_pool(struct pool *p)
{
    pool_init(p, bench_refill, bench_release, NULL);
}

#endif
