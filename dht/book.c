#include "dht/book.h"

#include "crypto/nodekey.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

// Entries and hash heads live in blocks, so that nothing big is ever moved or taken at once.
#define BLOCK_ENTRIES 32u
#define SEGMENT_HEADS 256u

struct contact_book {
    struct arena *arena;
    struct book_entry **block;
    book_ref **segment;
    uint32_t blocks_max, segments_max; // sizes of the two lists
    uint32_t heads;                    // a power of two
    uint32_t made, count, max;
    book_ref free_list;
    bool seeded;
    uint8_t seed[crypto_shorthash_KEYBYTES];
};

struct contact_book *contact_book_new(struct arena *arena, uint32_t contacts_max)
{
    struct contact_book *b = arena_take(arena, sizeof *b);
    if (b == NULL)
        return NULL;
    b->arena = arena;
    b->max = contacts_max;
    b->blocks_max = contacts_max / BLOCK_ENTRIES + 1;
    b->segments_max = 1;
    while (b->segments_max * SEGMENT_HEADS < contacts_max)
        b->segments_max *= 2;
    b->heads = SEGMENT_HEADS;
    b->block = arena_take(arena, b->blocks_max * sizeof(struct book_entry *));
    b->segment = arena_take(arena, b->segments_max * sizeof(book_ref *));
    if (b->segment != NULL)
        b->segment[0] = arena_take(arena, SEGMENT_HEADS * sizeof(book_ref));
    if (b->block == NULL || b->segment == NULL || b->segment[0] == NULL) {
        contact_book_end(b);
        return NULL;
    }
    return b;
}

void contact_book_end(struct contact_book *b)
{
    if (b == NULL)
        return;
    for (uint32_t i = 0; b->block != NULL && i < b->blocks_max; i++)
        arena_give(b->arena, b->block[i], BLOCK_ENTRIES * sizeof(struct book_entry));
    for (uint32_t i = 0; b->segment != NULL && i < b->segments_max; i++)
        arena_give(b->arena, b->segment[i], SEGMENT_HEADS * sizeof(book_ref));
    arena_give(b->arena, b->block, b->blocks_max * sizeof(struct book_entry *));
    arena_give(b->arena, b->segment, b->segments_max * sizeof(book_ref *));
    arena_give(b->arena, b, sizeof *b);
}

void book_seed(struct contact_book *b, const struct rng *rng)
{
    if (b->seeded)
        return;
    rng_fill(rng, b->seed, sizeof b->seed);
    b->seeded = true;
}

uint64_t book_net_tag(const struct net *net)
{
    uint8_t out[8];
    uint64_t tag;
    struct piece piece = {net->bytes, net->len};
    hash_pieces(out, sizeof out, NULL, 0, &piece, 1);
    memcpy(&tag, out, sizeof tag);
    return tag;
}

static struct book_entry *entry(const struct contact_book *b, book_ref ref)
{
    assert(ref > 0 && ref <= b->made);
    return &b->block[(ref - 1) / BLOCK_ENTRIES][(ref - 1) % BLOCK_ENTRIES];
}

const struct book_entry *book_at(const struct contact_book *b, book_ref ref)
{
    const struct book_entry *e = entry(b, ref);
    assert(e->refs > 0);
    return e;
}

static uint64_t hash_of(const struct contact_book *b, uint64_t net_tag, const struct contact *c)
{
    struct {
        uint8_t pk[32], nonce[PUZZLE_NONCE_BYTES];
        struct path path;
        uint64_t net;
    } key;
    uint8_t out[crypto_shorthash_BYTES];
    uint64_t h;
    memset(&key, 0, sizeof key);
    memcpy(key.pk, c->pk, 32);
    memcpy(key.nonce, c->puzzle_nonce, PUZZLE_NONCE_BYTES);
    key.path = c->path;
    key.net = net_tag;
    crypto_shorthash(out, (const uint8_t *)&key, sizeof key, b->seed);
    memcpy(&h, out, sizeof h);
    return h;
}

static book_ref *head_of(const struct contact_book *b, uint64_t hash)
{
    uint32_t i = (uint32_t)hash & (b->heads - 1);
    return &b->segment[i / SEGMENT_HEADS][i % SEGMENT_HEADS];
}

static bool same(const struct book_entry *e, uint64_t net_tag, const struct contact *c)
{
    return e->net == net_tag && memcmp(e->contact.pk, c->pk, 32) == 0 &&
           memcmp(e->contact.puzzle_nonce, c->puzzle_nonce, PUZZLE_NONCE_BYTES) == 0 &&
           path_equal(&e->contact.path, &c->path);
}

// Twice the heads; entries are hashed anew. Without memory the chains just grow.
static void grow(struct contact_book *b)
{
    uint32_t segments = b->heads / SEGMENT_HEADS;
    if (2 * segments > b->segments_max)
        return;
    for (uint32_t i = segments; i < 2 * segments; i++) {
        if (b->segment[i] == NULL)
            b->segment[i] = arena_take(b->arena, SEGMENT_HEADS * sizeof(book_ref));
        if (b->segment[i] == NULL)
            return;
    }
    for (uint32_t i = 0; i < segments; i++)
        memset(b->segment[i], 0, SEGMENT_HEADS * sizeof(book_ref));
    b->heads *= 2;
    for (book_ref ref = 1; ref <= b->made; ref++) {
        struct book_entry *e = entry(b, ref);
        if (e->refs == 0)
            continue;
        book_ref *head = head_of(b, hash_of(b, e->net, &e->contact));
        e->next = *head;
        *head = ref;
    }
}

static book_ref hold(struct contact_book *b, const struct net *net, uint64_t net_tag,
                     const struct contact *c, uint64_t hash)
{
    for (book_ref ref = *head_of(b, hash); ref != 0; ref = entry(b, ref)->next)
        if (same(entry(b, ref), net_tag, c)) {
            entry(b, ref)->refs++;
            return ref;
        }
    book_ref ref = b->free_list;
    if (ref != 0) {
        b->free_list = entry(b, ref)->next;
    } else {
        uint32_t block = b->made / BLOCK_ENTRIES;
        if (b->made == b->max)
            return 0;
        if (b->block[block] == NULL)
            b->block[block] = arena_take(b->arena, BLOCK_ENTRIES * sizeof(struct book_entry));
        if (b->block[block] == NULL)
            return 0;
        ref = ++b->made;
    }
    struct book_entry *e = entry(b, ref);
    e->contact = *c;
    e->net = net_tag;
    e->refs = 1;
    node_id(e->id, net, c->pk, c->puzzle_nonce, c->path.family, path_id_prefix(&c->path));
    book_ref *head = head_of(b, hash);
    e->next = *head;
    *head = ref;
    if (++b->count > b->heads)
        grow(b);
    return ref;
}

book_ref book_hold(struct contact_book *b, const struct net *net, uint64_t net_tag,
                   const struct contact *c)
{
    return hold(b, net, net_tag, c, hash_of(b, net_tag, c));
}

const struct book_entry *book_by_path(const struct contact_book *b, uint64_t net_tag,
                                      const struct path *path)
{
    for (book_ref ref = 1; ref <= b->made; ref++) {
        const struct book_entry *e = entry(b, ref);
        const struct path *at = &e->contact.path;
        if (e->refs > 0 && e->net == net_tag && at->family == path->family &&
            at->port == path->port && memcmp(at->ip, path->ip, sizeof at->ip) == 0)
            return e;
    }
    return NULL;
}

void book_fetch(const struct contact_book *b, book_ref ref)
{
    const struct book_entry *e = entry(b, ref);
    __builtin_prefetch(e);
    __builtin_prefetch(&e->id);
    __builtin_prefetch(&e->next);
}

void book_hold_all(struct contact_book *b, const struct net *net, uint64_t net_tag,
                   const struct contact *c, size_t n, book_ref *out)
{
    uint64_t hash[BOOK_HOLD_MAX];
    assert(n <= BOOK_HOLD_MAX);
    for (size_t i = 0; i < n; i++) {
        hash[i] = hash_of(b, net_tag, &c[i]);
        __builtin_prefetch(head_of(b, hash[i]));
    }
    for (size_t i = 0; i < n; i++)
        if (*head_of(b, hash[i]) != 0)
            book_fetch(b, *head_of(b, hash[i]));
    for (size_t i = 0; i < n; i++)
        out[i] = hold(b, net, net_tag, &c[i], hash[i]);
}

book_ref book_keep(struct contact_book *b, book_ref ref)
{
    if (ref != 0)
        entry(b, ref)->refs++;
    return ref;
}

void book_drop(struct contact_book *b, book_ref ref)
{
    if (ref == 0)
        return;
    struct book_entry *e = entry(b, ref);
    assert(e->refs > 0);
    if (--e->refs > 0)
        return;
    book_ref *at = head_of(b, hash_of(b, e->net, &e->contact));
    while (*at != ref)
        at = &entry(b, *at)->next;
    *at = e->next;
    memset(e, 0, sizeof *e);
    e->next = b->free_list;
    b->free_list = ref;
    b->count--;
}

uint32_t book_count(const struct contact_book *b)
{
    return b->count;
}
