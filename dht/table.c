#include "dht/table.h"

#include <assert.h>
#include <string.h>

#define TABLE_SLOTS_MAX (TABLE_BUCKETS * TABLE_K)

unsigned id_common_bits(const uint8_t a[static 32], const uint8_t b[static 32])
{
    for (unsigned i = 0; i < 32; i++) {
        uint8_t x = a[i] ^ b[i];
        if (x == 0)
            continue;
        unsigned n = 8 * i;
        for (; (x & 0x80) == 0; x = (uint8_t)(x << 1))
            n++;
        return n;
    }
    return 256;
}

bool id_nearer(const uint8_t a[static 32], const uint8_t b[static 32],
               const uint8_t target[static 32])
{
    for (unsigned i = 0; i < 32; i++) {
        uint8_t x = a[i] ^ target[i], y = b[i] ^ target[i];
        if (x != y)
            return x < y;
    }
    return false;
}

static void count_prefix(const struct path *a, const struct path *b, unsigned *fine,
                         unsigned *coarse)
{
    struct prefix fa = path_fine(a), fb = path_fine(b), ca = path_coarse(a), cb = path_coarse(b);
    *fine += memcmp(&fa, &fb, sizeof fa) == 0;
    *coarse += memcmp(&ca, &cb, sizeof ca) == 0;
}

bool prefix_room(const struct contact_book *book, const book_ref *set, size_t n,
                 const struct path *path, unsigned fine_max, unsigned coarse_max)
{
    unsigned fine = 0, coarse = 0;
    for (size_t i = 0; i < n; i++)
        count_prefix(&book_at(book, set[i])->contact.path, path, &fine, &coarse);
    return fine < fine_max && coarse < coarse_max;
}

void table_init(struct table *t, struct arena *arena, struct contact_book *book, bool prefix_limits,
                const uint8_t centre[static 32])
{
    memset(t, 0, sizeof *t);
    t->arena = arena;
    t->book = book;
    t->prefix_limits = prefix_limits;
    memcpy(t->centre, centre, 32);
}

static void bucket_end(struct table *t, struct table_bucket *b)
{
    for (unsigned i = 0; i < b->n; i++)
        book_drop(t->book, b->slot[i].ref);
    for (unsigned i = 0; i < b->spares; i++)
        book_drop(t->book, b->spare[i]);
    arena_give(t->arena, b->slot, b->cap * sizeof *b->slot);
    arena_give(t->arena, b->spare, TABLE_SPARES * sizeof *b->spare);
    memset(b, 0, sizeof *b);
}

void table_end(struct table *t)
{
    for (unsigned i = 0; i < TABLE_BUCKETS; i++)
        bucket_end(t, &t->bucket[i]);
}

static struct table_bucket *bucket_of(const struct table *t, const uint8_t id[static 32])
{
    unsigned i = id_common_bits(t->centre, id);
    return (struct table_bucket *)&t->bucket[i < TABLE_BUCKETS ? i : TABLE_BUCKETS - 1];
}

// Prefix limits of bucket and table; `except` is the slot that would be replaced.
static bool room_by_prefix(const struct table *t, const struct table_bucket *b,
                           const struct path *path, const struct table_slot *except)
{
    if (!t->prefix_limits)
        return true;
    unsigned fine = 0, coarse = 0, all_fine = 0, all_coarse = 0;
    for (unsigned i = 0; i < TABLE_BUCKETS; i++)
        for (unsigned j = 0; j < t->bucket[i].n; j++) {
            const struct table_slot *s = &t->bucket[i].slot[j];
            if (s == except)
                continue;
            const struct path *p = &book_at(t->book, s->ref)->contact.path;
            count_prefix(p, path, &all_fine, &all_coarse);
            if (&t->bucket[i] == b)
                count_prefix(p, path, &fine, &coarse);
        }
    return fine < TABLE_BUCKET_FINE_MAX && coarse < TABLE_BUCKET_COARSE_MAX &&
           all_fine < TABLE_FINE_MAX && all_coarse < TABLE_COARSE_MAX;
}

static struct table_slot *find(const struct table *t, const uint8_t pk[static 32],
                               struct table_bucket **bucket)
{
    for (unsigned i = 0; i < TABLE_BUCKETS; i++) {
        const struct table_bucket *b = &t->bucket[i];
        for (unsigned j = 0; j < b->n; j++)
            if (memcmp(book_at(t->book, b->slot[j].ref)->contact.pk, pk, 32) == 0) {
                *bucket = (struct table_bucket *)b;
                return &b->slot[j];
            }
    }
    return NULL;
}

static bool alive(const struct table_slot *s)
{
    return s->failures < TABLE_DEAD_FAILURES;
}

// The most unresponsive of a bucket, or NULL.
static struct table_slot *worst(const struct table_bucket *b)
{
    struct table_slot *w = NULL;
    for (unsigned i = 0; i < b->n; i++)
        if (!alive(&b->slot[i]) && (w == NULL || b->slot[i].failures > w->failures))
            w = &b->slot[i];
    return w;
}

static void spare_remove(struct table *t, struct table_bucket *b, unsigned i)
{
    book_drop(t->book, b->spare[i]);
    b->spares--;
    memmove(&b->spare[i], &b->spare[i + 1], (b->spares - i) * sizeof *b->spare);
}

static void spare_add(struct table *t, struct table_bucket *b, book_ref ref)
{
    if (b->spare == NULL)
        b->spare = arena_take(t->arena, TABLE_SPARES * sizeof *b->spare);
    if (b->spare == NULL)
        return;
    for (unsigned i = 0; i < b->spares; i++)
        if (b->spare[i] == ref) {
            spare_remove(t, b, i);
            break;
        }
    if (b->spares == TABLE_SPARES)
        spare_remove(t, b, TABLE_SPARES - 1);
    memmove(b->spare + 1, b->spare, b->spares * sizeof *b->spare);
    b->spare[0] = book_keep(t->book, ref);
    b->spares++;
}

static void slot_remove(struct table *t, struct table_bucket *b, struct table_slot *s)
{
    t->live -= alive(s);
    book_drop(t->book, s->ref);
    size_t i = (size_t)(s - b->slot);
    b->n--;
    memmove(&b->slot[i], &b->slot[i + 1], (b->n - i) * sizeof *b->slot);
}

static void slot_set(struct table *t, struct table_slot *s, book_ref ref, uint32_t now_s)
{
    s->ref = book_keep(t->book, ref);
    s->seen_s = now_s;
    s->failures = 0;
    t->live++;
}

// A free slot at the end of the bucket, or NULL when it is full.
static struct table_slot *slot_new(struct table *t, struct table_bucket *b)
{
    if (b->n == TABLE_K)
        return NULL;
    if (b->n == b->cap) {
        uint8_t cap = (uint8_t)(b->cap == 0 ? 4 : 2 * b->cap);
        struct table_slot *slot = arena_take(t->arena, cap * sizeof *slot);
        if (slot == NULL)
            return NULL;
        if (b->n > 0)
            memcpy(slot, b->slot, b->n * sizeof *slot);
        arena_give(t->arena, b->slot, b->cap * sizeof *slot);
        b->slot = slot;
        b->cap = cap;
    }
    return &b->slot[b->n++];
}

enum table_result table_answered(struct table *t, book_ref ref, uint32_t now_s, book_ref *check)
{
    const struct book_entry *e = book_at(t->book, ref);
    struct table_bucket *b;
    *check = 0;
    struct table_slot *s = find(t, e->contact.pk, &b);
    if (s != NULL && s->ref == ref) {
        t->live += !alive(s);
        s->failures = 0;
        s->seen_s = b->traffic_s = now_s;
        return TABLE_KNOWN;
    }
    // The same key from another address: somebody may only pass our datagrams on to it, to push the
    // true address out. A live one stays; it is pinged if it was silent, and gives way if it is gone.
    if (s != NULL && alive(s) &&
        !path_equal(&book_at(t->book, s->ref)->contact.path, &e->contact.path)) {
        if (now_s - s->seen_s > TABLE_CHECK_AFTER_S)
            *check = s->ref;
        return TABLE_SPARE;
    }
    if (s != NULL) // another puzzle, or the old address is dead: the last one that works counts
        slot_remove(t, b, s);
    b = bucket_of(t, e->id);
    struct table_slot *dead = worst(b);
    if (dead != NULL && b->n == TABLE_K && room_by_prefix(t, b, &e->contact.path, dead)) {
        slot_remove(t, b, dead);
    } else if (!room_by_prefix(t, b, &e->contact.path, NULL)) {
        return TABLE_REFUSED;
    }
    s = slot_new(t, b);
    if (s != NULL) {
        slot_set(t, s, ref, now_s);
        b->traffic_s = now_s;
        return TABLE_ADDED;
    }
    spare_add(t, b, ref);
    const struct table_slot *oldest = NULL;
    for (unsigned i = 0; i < b->n; i++)
        if (oldest == NULL || b->slot[i].seen_s < oldest->seen_s)
            oldest = &b->slot[i];
    if (oldest != NULL && now_s - oldest->seen_s > TABLE_CHECK_AFTER_S)
        *check = oldest->ref;
    return TABLE_SPARE;
}

bool table_failed(struct table *t, const uint8_t pk[static 32], const struct path *path)
{
    struct table_bucket *b;
    struct table_slot *s = find(t, pk, &b);
    if (s == NULL || !path_equal(&book_at(t->book, s->ref)->contact.path, path))
        return false;
    bool was_alive = alive(s);
    if (s->failures < UINT8_MAX)
        s->failures++;
    if (alive(s))
        return true;
    t->live -= was_alive;
    uint32_t seen_s = s->seen_s;
    if (b->spares > 0) {
        for (unsigned i = 0; i < b->spares; i++) {
            book_ref ref = b->spare[i];
            if (!room_by_prefix(t, b, &book_at(t->book, ref)->contact.path, s))
                continue;
            slot_remove(t, b, s);
            slot_set(t, slot_new(t, b), ref, seen_s);
            spare_remove(t, b, i);
            return false;
        }
    }
    if (s->failures >= TABLE_GONE_FAILURES)
        slot_remove(t, b, s);
    return false;
}

bool table_wants(const struct table *t, const uint8_t id[static 32], const struct path *path)
{
    const struct table_bucket *b = bucket_of(t, id);
    const struct table_slot *dead = worst(b);
    if (b->n == TABLE_K && dead == NULL)
        return false;
    return room_by_prefix(t, b, path, b->n == TABLE_K ? dead : NULL);
}

bool table_has(const struct table *t, const uint8_t pk[static 32], const struct path *path)
{
    struct table_bucket *b;
    const struct table_slot *s = find(t, pk, &b);
    return s != NULL && alive(s) && path_equal(&book_at(t->book, s->ref)->contact.path, path);
}

unsigned table_depth(const struct table *t)
{
    unsigned depth = TABLE_BUCKETS;
    while (depth > 0 && t->bucket[depth - 1].n == 0)
        depth--;
    return depth;
}

unsigned table_bucket_size(const struct table *t, unsigned bucket)
{
    return t->bucket[bucket].n;
}

book_ref table_oldest(const struct table *t, unsigned bucket)
{
    const struct table_bucket *b = &t->bucket[bucket];
    const struct table_slot *oldest = NULL;
    for (unsigned i = 0; i < b->n; i++)
        if (oldest == NULL || b->slot[i].seen_s < oldest->seen_s)
            oldest = &b->slot[i];
    return oldest == NULL ? 0 : oldest->ref;
}

uint32_t table_quiet_s(const struct table *t, unsigned bucket, uint32_t now_s)
{
    uint32_t at_s = t->bucket[bucket].traffic_s;
    return at_s < now_s ? now_s - at_s : 0;
}

void table_touch(struct table *t, unsigned bucket, uint32_t at_s)
{
    t->bucket[bucket].traffic_s = at_s;
}

size_t table_nearest(const struct table *t, const uint8_t target[static 32], book_ref *out,
                     size_t max)
{
    size_t n = 0;
    for (unsigned i = 0; i < TABLE_BUCKETS; i++)
        for (unsigned j = 0; j < t->bucket[i].n; j++) {
            const struct table_slot *s = &t->bucket[i].slot[j];
            if (!alive(s))
                continue;
            const uint8_t *id = book_at(t->book, s->ref)->id;
            size_t k = n;
            while (k > 0 && id_nearer(id, book_at(t->book, out[k - 1])->id, target))
                k--;
            if (k == max)
                continue;
            size_t moved = (n < max ? n : max - 1) - k;
            memmove(out + k + 1, out + k, moved * sizeof *out);
            out[k] = s->ref;
            n += n < max;
        }
    return n;
}

size_t table_list(const struct table *t, book_ref *out, size_t max)
{
    size_t n = 0;
    for (unsigned i = 0; i < TABLE_BUCKETS; i++)
        for (unsigned j = 0; j < t->bucket[i].n && n < max; j++)
            if (alive(&t->bucket[i].slot[j]))
                out[n++] = t->bucket[i].slot[j].ref;
    return n;
}

void table_recentre(struct table *t, const uint8_t centre[static 32])
{
    if (memcmp(t->centre, centre, 32) == 0)
        return;
    struct table_bucket old[TABLE_BUCKETS];
    memcpy(old, t->bucket, sizeof old);
    memset(t->bucket, 0, sizeof t->bucket);
    memcpy(t->centre, centre, 32);
    t->live = 0;
    for (unsigned i = 0; i < TABLE_BUCKETS; i++) {
        for (unsigned j = 0; j < old[i].n; j++) {
            const struct table_slot *s = &old[i].slot[j];
            book_ref check;
            if (table_answered(t, s->ref, s->seen_s, &check) == TABLE_ADDED)
                for (unsigned f = 0; f < s->failures; f++) {
                    const struct contact *c = &book_at(t->book, s->ref)->contact;
                    (void)table_failed(t, c->pk, &c->path);
                }
        }
        bucket_end(t, &old[i]);
    }
}
