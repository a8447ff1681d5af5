#include "dht/record_book.h"

#include "crypto/bytes.h"

#include <assert.h>
#include <sodium.h>

#define BLOCK_ENTRIES 16u // nothing big is ever moved or taken at once
#define HEADS_MIN 16u
#define HEADS_MAX (ARENA_TAKE_BYTES_MAX / sizeof(record_ref))

struct entry {
    uint64_t hash;
    uint32_t refs;
    record_ref next; // of the same head, or the next free one
    uint8_t record[RECORD_BYTES];
};

struct record_book {
    struct arena *arena;
    struct entry **block;
    record_ref *head;
    uint32_t heads; // a power of two; 0: none yet
    uint32_t made, count, max;
    record_ref free_list;
    bool seeded;
    uint8_t seed[crypto_shorthash_KEYBYTES];
};

static size_t list_bytes(const struct record_book *b)
{
    return (b->max / BLOCK_ENTRIES + 1) * sizeof(struct entry *);
}

struct record_book *record_book_new(struct arena *arena, uint32_t records_max)
{
    struct record_book *b = arena_take(arena, sizeof *b);
    if (b == NULL)
        return NULL;
    b->arena = arena;
    b->max = records_max;
    b->block = arena_take(arena, list_bytes(b));
    if (b->block == NULL) {
        arena_give(arena, b, sizeof *b);
        return NULL;
    }
    return b;
}

void record_book_end(struct record_book *b)
{
    if (b == NULL)
        return;
    for (uint32_t i = 0; i <= b->max / BLOCK_ENTRIES; i++)
        arena_give(b->arena, b->block[i], BLOCK_ENTRIES * sizeof(struct entry));
    arena_give(b->arena, b->block, list_bytes(b));
    arena_give(b->arena, b->head, b->heads * sizeof *b->head);
    arena_give(b->arena, b, sizeof *b);
}

void record_book_seed(struct record_book *b, const struct rng *rng)
{
    if (b->seeded)
        return;
    rng_fill(rng, b->seed, sizeof b->seed);
    b->seeded = true;
}

static struct entry *entry(const struct record_book *b, record_ref ref)
{
    assert(ref > 0 && ref <= b->made);
    return &b->block[(ref - 1) / BLOCK_ENTRIES][(ref - 1) % BLOCK_ENTRIES];
}

const uint8_t *record_book_at(const struct record_book *b, record_ref ref)
{
    const struct entry *e = entry(b, ref);
    assert(e->refs > 0);
    return e->record;
}

uint32_t record_book_count(const struct record_book *b)
{
    return b->count;
}

// Twice the heads. Without memory the chains just grow.
static bool grow(struct record_book *b)
{
    uint32_t heads = b->heads == 0 ? HEADS_MIN : 2 * b->heads;
    record_ref *head = heads > HEADS_MAX ? NULL : arena_take(b->arena, heads * sizeof *head);
    if (head == NULL)
        return b->heads > 0;
    for (record_ref ref = 1; ref <= b->made; ref++) {
        struct entry *e = entry(b, ref);
        if (e->refs == 0)
            continue;
        e->next = head[e->hash & (heads - 1)];
        head[e->hash & (heads - 1)] = ref;
    }
    arena_give(b->arena, b->head, b->heads * sizeof *b->head);
    b->head = head;
    b->heads = heads;
    return true;
}

// A free entry, or a new one; 0 without room.
static record_ref room(struct record_book *b)
{
    record_ref ref = b->free_list;
    if (ref != 0) {
        b->free_list = entry(b, ref)->next;
        return ref;
    }
    uint32_t block = b->made / BLOCK_ENTRIES;
    if (b->made == b->max)
        return 0;
    if (b->block[block] == NULL)
        b->block[block] = arena_take(b->arena, BLOCK_ENTRIES * sizeof(struct entry));
    return b->block[block] == NULL ? 0 : ++b->made;
}

record_ref record_book_hold(struct record_book *b, const uint8_t record[static RECORD_BYTES])
{
    uint8_t out[crypto_shorthash_BYTES];
    crypto_shorthash(out, record, RECORD_BYTES, b->seed);
    struct rd r = rd_init(out, sizeof out);
    uint64_t hash = rd_le64(&r);
    if (b->count >= b->heads && !grow(b))
        return 0;
    record_ref *head = &b->head[hash & (b->heads - 1)];
    for (record_ref ref = *head; ref != 0; ref = entry(b, ref)->next) {
        struct entry *e = entry(b, ref);
        if (e->hash == hash && memcmp(e->record, record, RECORD_BYTES) == 0) {
            e->refs++;
            return ref;
        }
    }
    record_ref ref = room(b);
    if (ref == 0)
        return 0;
    struct entry *e = entry(b, ref);
    memcpy(e->record, record, RECORD_BYTES);
    e->hash = hash;
    e->refs = 1;
    e->next = *head;
    *head = ref;
    b->count++;
    return ref;
}

void record_book_drop(struct record_book *b, record_ref ref)
{
    if (ref == 0)
        return;
    struct entry *e = entry(b, ref);
    assert(e->refs > 0);
    if (--e->refs > 0)
        return;
    record_ref *at = &b->head[e->hash & (b->heads - 1)];
    while (*at != ref)
        at = &entry(b, *at)->next;
    *at = e->next;
    sodium_memzero(e, sizeof *e);
    e->next = b->free_list;
    b->free_list = ref;
    b->count--;
}
