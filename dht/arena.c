#include "dht/arena.h"

#include <assert.h>
#include <sodium.h>
#include <stdbool.h>
#include <string.h>

// Chunks start small, so that an idle node stays small, and double up to this.
#define CHUNK_BYTES_MIN (4u * 1024)
#define CHUNK_BYTES_MAX (64u * 1024)
#define CLASS_BYTES_MIN 32u

struct arena_chunk {
    struct arena_chunk *next;
    size_t bytes; // the whole chunk, this header included
};

// Header rounded up so that what follows is aligned to 16.
#define CHUNK_HEADER ((sizeof(struct arena_chunk) + 15) & ~(size_t)15)

// Classes: 32, 48, 64, 96, 128, 192, ... (two an octave). Sets *index; returns the rounded size.
static size_t class_round(size_t bytes, unsigned *index)
{
    size_t size = CLASS_BYTES_MIN;
    unsigned i = 0;
    for (; size < bytes; i++)
        size = (i % 2 == 0) ? size / 2 * 3 : size / 3 * 4;
    *index = i;
    return size;
}

void arena_init(struct arena *a, size_t cap_bytes, void *(*refill)(void *, size_t),
                void (*release)(void *, void *, size_t), void *ctx)
{
    memset(a, 0, sizeof *a);
    a->cap_bytes = cap_bytes;
    a->refill = refill;
    a->release = release;
    a->ctx = ctx;
}

// Room of `size` bytes from the newest chunk, or from a fresh one.
static void *cut(struct arena *a, size_t size)
{
    if (a->cut_bytes < size) {
        size_t want = a->held_bytes < CHUNK_BYTES_MIN ? CHUNK_BYTES_MIN : a->held_bytes;
        if (want > CHUNK_BYTES_MAX)
            want = CHUNK_BYTES_MAX;
        if (want < size + CHUNK_HEADER)
            want = size + CHUNK_HEADER;
        if (want > a->cap_bytes - a->held_bytes)
            want = size + CHUNK_HEADER;
        if (want > a->cap_bytes - a->held_bytes)
            return NULL;
        struct arena_chunk *chunk = a->refill(a->ctx, want);
        if (chunk == NULL)
            return NULL;
        chunk->next = a->chunks;
        chunk->bytes = want;
        a->chunks = chunk;
        a->held_bytes += want;
        if (want - CHUNK_HEADER - size >= a->cut_bytes) {
            a->cut = (uint8_t *)chunk + CHUNK_HEADER;
            a->cut_bytes = want - CHUNK_HEADER;
        } else {
            return (uint8_t *)chunk + CHUNK_HEADER;
        }
    }
    void *p = a->cut;
    a->cut += size;
    a->cut_bytes -= size;
    return p;
}

void *arena_take(struct arena *a, size_t bytes)
{
    unsigned index;
    if (bytes > ARENA_TAKE_BYTES_MAX)
        return NULL;
    size_t size = class_round(bytes, &index);
    void *p;
    if (index < ARENA_CLASSES && a->free_list[index] != NULL) {
        p = a->free_list[index];
        memcpy(&a->free_list[index], p, sizeof(void *));
    } else {
        p = cut(a, size);
        if (p == NULL)
            return NULL;
    }
    a->used_bytes += size;
    memset(p, 0, size);
    return p;
}

void arena_give(struct arena *a, void *p, size_t bytes)
{
    if (p == NULL)
        return;
    unsigned index;
    size_t size = class_round(bytes, &index);
    assert(index < ARENA_CLASSES && a->used_bytes >= size);
    sodium_memzero(p, size);
    a->used_bytes -= size;
    memcpy(p, &a->free_list[index], sizeof(void *));
    a->free_list[index] = p;
}

void arena_end(struct arena *a)
{
    while (a->chunks != NULL) {
        struct arena_chunk *chunk = a->chunks;
        size_t bytes = chunk->bytes;
        a->chunks = chunk->next;
        sodium_memzero(chunk, bytes);
        a->release(a->ctx, chunk, bytes);
    }
    arena_init(a, a->cap_bytes, a->refill, a->release, a->ctx);
}
