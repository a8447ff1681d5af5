#include "dht/pool.h"

#include <assert.h>
#include <sodium.h>
#include <stdbool.h>
#include <string.h>

// Chunks start small, so that a process with one idle node stays small, and grow by a quarter of what
// is held.
#define CHUNK_BYTES_MIN ((size_t)4 * 1024)
#define CHUNK_BYTES_MAX ((size_t)256 * 1024)
#define DIRECT_BYTES_MIN                                                                           \
    ((size_t)32 * 1024) // such blocks have a chunk each, released when given back
#define BLOCK_ALIGN ((size_t)16)
#define BLOCK_BYTES_MIN ((size_t)16)
#define LINEAR_BYTES_MAX ((size_t)128) // multiples of 16 up to here
#define LINEAR_OCTAVE 7u
#define LINEAR_CLASSES 8u
#define OCTAVE_CLASSES 8u

// Sanitizers see each block as it was asked for, not the chunk it was cut from.
#if defined(__SANITIZE_ADDRESS__)
#define POOL_POISON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POOL_POISON 1
#endif
#endif
#ifdef POOL_POISON
void __asan_poison_memory_region(const volatile void *, size_t);   // NOLINT: the runtime's names
void __asan_unpoison_memory_region(const volatile void *, size_t); // NOLINT
#define HIDE(p, bytes) __asan_poison_memory_region(p, bytes)
#define SHOW(p, bytes) __asan_unpoison_memory_region(p, bytes)
#else
#define HIDE(p, bytes) ((void)(p), (void)(bytes))
#define SHOW(p, bytes) ((void)(p), (void)(bytes))
#endif

struct pool_chunk {
    struct pool_chunk *next, *prev;
    size_t bytes; // the whole chunk, this header included
};

#define CHUNK_HEADER ((sizeof(struct pool_chunk) + BLOCK_ALIGN - 1) & ~(BLOCK_ALIGN - 1))

// The size that `bytes` are rounded up to, and its class.
static size_t class_round(size_t bytes, unsigned *class)
{
    if (bytes <= LINEAR_BYTES_MAX) {
        unsigned i = bytes == 0 ? 0 : (unsigned)((bytes - 1) / BLOCK_ALIGN);
        *class = i;
        return (i + 1) * BLOCK_ALIGN;
    }
    unsigned octave = 63u - (unsigned)__builtin_clzll((unsigned long long)(bytes - 1));
    unsigned shift = octave - 3; // an eighth of the octave
    size_t eighth = (bytes - 1) >> shift;
    *class = LINEAR_CLASSES + (octave - LINEAR_OCTAVE) * OCTAVE_CLASSES +
             (unsigned)(eighth & (OCTAVE_CLASSES - 1));
    return (eighth + 1) << shift;
}

size_t pool_block_bytes(size_t bytes)
{
    unsigned class;
    return bytes > POOL_BLOCK_BYTES_MAX ? SIZE_MAX : class_round(bytes, &class);
}

void pool_init(struct pool *p, void *(*refill)(void *, size_t),
               void (*release)(void *, void *, size_t), void *ctx)
{
    memset(p, 0, sizeof *p);
    p->refill = refill;
    p->release = release;
    p->ctx = ctx;
}

static uint8_t *chunk_new(struct pool *p, size_t bytes)
{
    struct pool_chunk *chunk = p->refill(p->ctx, bytes);
    if (chunk == NULL)
        return NULL;
    *chunk = (struct pool_chunk){.next = p->chunks, .bytes = bytes};
    if (p->chunks != NULL)
        p->chunks->prev = chunk;
    p->chunks = chunk;
    p->held_bytes += bytes;
    return (uint8_t *)chunk + CHUNK_HEADER;
}

static void chunk_end(struct pool *p, struct pool_chunk *chunk)
{
    size_t bytes = chunk->bytes;
    *(chunk->prev != NULL ? &chunk->prev->next : &p->chunks) = chunk->next;
    if (chunk->next != NULL)
        chunk->next->prev = chunk->prev;
    p->held_bytes -= bytes;
    SHOW((uint8_t *)chunk, bytes);
    sodium_memzero(chunk, bytes);
    p->release(p->ctx, chunk, bytes);
}

static void free_put(struct pool *p, unsigned class, uint8_t *block, size_t size)
{
    memcpy(block, &p->free_list[class], sizeof p->free_list[class]);
    p->free_list[class] = block;
    HIDE(block, size);
}

// What is left of the newest chunk becomes free blocks, the biggest that fit.
static void cut_up_the_rest(struct pool *p)
{
    while (p->cut_bytes >= BLOCK_BYTES_MIN) {
        unsigned class;
        size_t size = class_round(p->cut_bytes, &class);
        if (size > p->cut_bytes) { // the class below
            unsigned shift =
                class < LINEAR_CLASSES ? 4 : 4 + (class - LINEAR_CLASSES) / OCTAVE_CLASSES;
            size -= (size_t)1 << shift;
            class --;
        }
        SHOW(p->cut, size);
        memset(p->cut, 0, size);
        free_put(p, class, p->cut, size);
        p->cut += size;
        p->cut_bytes -= size;
    }
}

// Room of `size` bytes from the newest chunk, or from a fresh one.
static uint8_t *cut(struct pool *p, size_t size)
{
    if (p->cut_bytes < size) {
        size_t want = p->held_bytes / 4;
        want = want < CHUNK_BYTES_MIN   ? CHUNK_BYTES_MIN
               : want > CHUNK_BYTES_MAX ? CHUNK_BYTES_MAX
                                        : want & ~(CHUNK_BYTES_MIN - 1);
        if (want < size + CHUNK_HEADER)
            want = (size + CHUNK_HEADER + CHUNK_BYTES_MIN - 1) & ~(CHUNK_BYTES_MIN - 1);
        uint8_t *fresh = chunk_new(p, want);
        if (fresh == NULL)
            return NULL;
        cut_up_the_rest(p);
        p->cut = fresh;
        p->cut_bytes = want - CHUNK_HEADER;
        HIDE(p->cut, p->cut_bytes);
    }
    uint8_t *block = p->cut;
    p->cut += size;
    p->cut_bytes -= size;
    SHOW(block, size);
    memset(block, 0, size);
    return block;
}

void *pool_take(struct pool *p, size_t bytes)
{
    unsigned class;
    if (bytes > POOL_BLOCK_BYTES_MAX)
        return NULL;
    size_t size = class_round(bytes, &class);
    uint8_t *block;
    if (size >= DIRECT_BYTES_MIN) {
        block = chunk_new(p, size + CHUNK_HEADER);
        if (block != NULL)
            memset(block, 0, size);
    } else if (p->free_list[class] != NULL) {
        block = p->free_list[class];
        SHOW(block, size);
        memcpy(&p->free_list[class], block, sizeof p->free_list[class]);
        memset(block, 0, sizeof p->free_list[class]); // the rest was wiped when it was given back
    } else {
        block = cut(p, size);
    }
    if (block == NULL)
        return NULL;
    HIDE(block, size);
    SHOW(block, bytes);
    p->used_bytes += size;
    return block;
}

void pool_give(struct pool *p, void *block, size_t bytes)
{
    unsigned class;
    size_t size = class_round(bytes, &class);
    assert(class < POOL_CLASSES && p->used_bytes >= size);
    p->used_bytes -= size;
    if (size >= DIRECT_BYTES_MIN) {
        chunk_end(p, (struct pool_chunk *)(void *)((uint8_t *)block - CHUNK_HEADER));
        return;
    }
    sodium_memzero(block, bytes); // only what was asked for was ever written
    SHOW((uint8_t *)block, size);
    free_put(p, class, block, size);
}

void pool_end(struct pool *p)
{
    assert(p->used_bytes == 0);
    while (p->chunks != NULL)
        chunk_end(p, p->chunks);
    pool_init(p, p->refill, p->release, p->ctx);
}
