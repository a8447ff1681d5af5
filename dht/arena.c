#include "dht/arena.h"

#include <assert.h>

void arena_init(struct arena *a, struct pool *pool, size_t cap_bytes)
{
    *a = (struct arena){.pool = pool, .cap_bytes = cap_bytes};
}

void *arena_take(struct arena *a, size_t bytes)
{
    size_t size = pool_block_bytes(bytes);
    if (size > a->cap_bytes || a->used_bytes > a->cap_bytes - size)
        return NULL;
    void *p = pool_take(a->pool, bytes);
    if (p != NULL)
        a->used_bytes += size;
    return p;
}

void arena_give(struct arena *a, void *p, size_t bytes)
{
    if (p == NULL)
        return;
    size_t size = pool_block_bytes(bytes);
    assert(a->used_bytes >= size);
    a->used_bytes -= size;
    pool_give(a->pool, p, bytes);
}

void arena_end(struct arena *a)
{
    assert(a->used_bytes == 0);
    a->cap_bytes = 0;
}
