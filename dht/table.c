#include "dht/table.h"

#include "crypto/bytes.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

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

// ---- slots ----------------------------------------------------------------------------------------

#define ROWS_STEP 4u
#define SLOTS_STEP 4u
#define SEEN_MASK 0xffffffu
#define FAILURES_MAX 7u
#define HEAD_BITS 24u
#define HEAD_MASK 0xffffffu

static uint64_t lead_of(const uint8_t id[static 32])
{
    uint64_t x = 0;
    for (unsigned i = 0; i < 8; i++)
        x = x << 8 | id[i];
    return x;
}

// Leading bits that all ids of a bucket share. The last one holds whatever shares 31 bits or more.
static unsigned implied_bits(unsigned row)
{
    return row < TABLE_BUCKETS - 1 ? row + 1 : TABLE_BUCKETS - 1;
}

static uint32_t head_of(unsigned row, const uint8_t id[static 32])
{
    return (uint32_t)(lead_of(id) >> (64 - HEAD_BITS - implied_bits(row))) & HEAD_MASK;
}

// The first implied_bits + HEAD_BITS bits of a slot's id, then zeroes.
static uint64_t slot_lead(uint64_t centre, unsigned row, const struct table_slot *s)
{
    unsigned implied = implied_bits(row);
    uint64_t flipped = row < TABLE_BUCKETS - 1 ? centre ^ UINT64_C(1) << (63 - row) : centre;
    return (flipped >> (64 - implied) << (64 - implied)) | (uint64_t)s->head
                                                               << (64 - HEAD_BITS - implied);
}

static uint8_t key_of(const uint8_t pk[static 32])
{
    return pk[0];
}

static uint8_t tag_of(const struct table *t, const struct prefix *p)
{
    uint8_t out[crypto_shorthash_BYTES];
    crypto_shorthash(out, p->bytes, sizeof p->bytes, t->hash_key);
    return out[0];
}

static bool alive(const struct table_slot *s)
{
    return s->failures < TABLE_DEAD_FAILURES;
}

// Seconds since it answered; the counter of 24 bits may have gone round.
static uint32_t silence_s(const struct table_slot *s, uint32_t now_s)
{
    return (now_s - s->seen_s) & SEEN_MASK;
}

// ---- rows -----------------------------------------------------------------------------------------

void table_init(struct table *t, struct arena *arena, struct contact_book *book, bool prefix_limits,
                const uint8_t *hash_key, const uint8_t centre[static 32])
{
    memset(t, 0, sizeof *t);
    t->arena = arena;
    t->book = book;
    t->hash_key = hash_key;
    t->prefix_limits = prefix_limits;
    memcpy(t->centre, centre, 32);
}

static void rows_end(struct table *t, struct table_row *row, unsigned rows)
{
    for (unsigned i = 0; i < rows; i++) {
        struct table_row *b = &row[i];
        for (unsigned j = 0; j < b->n; j++)
            book_drop(t->book, b->slot[j].ref);
        for (unsigned j = 0; j < b->spares; j++)
            book_drop(t->book, b->spare[j]);
        arena_give(t->arena, b->slot, b->cap * sizeof *b->slot);
        arena_give(t->arena, b->spare, TABLE_SPARES * sizeof *b->spare);
    }
    arena_give(t->arena, row, rows * sizeof *row);
}

void table_end(struct table *t)
{
    rows_end(t, t->row, t->rows);
    t->row = NULL;
    t->rows = 0;
    t->live = 0;
}

static unsigned row_number(const struct table *t, const uint8_t id[static 32])
{
    unsigned i = id_common_bits(t->centre, id);
    return i < TABLE_BUCKETS ? i : TABLE_BUCKETS - 1;
}

static struct table_row *row_of(const struct table *t, const uint8_t id[static 32])
{
    unsigned i = row_number(t, id);
    return i < t->rows ? &t->row[i] : NULL;
}

// The row, with room for it made. NULL without memory.
static struct table_row *row_made(struct table *t, unsigned i)
{
    if (i >= t->rows) {
        unsigned rows = (i / ROWS_STEP + 1) * ROWS_STEP;
        struct table_row *row = arena_take(t->arena, rows * sizeof *row);
        if (row == NULL)
            return NULL;
        if (t->rows > 0)
            memcpy(row, t->row, t->rows * sizeof *row);
        arena_give(t->arena, t->row, t->rows * sizeof *row);
        t->row = row;
        t->rows = (uint8_t)rows;
    }
    return &t->row[i];
}

// Prefix limits of bucket and table; `except` is the slot that would be replaced.
static bool room_by_prefix(const struct table *t, const struct table_row *b,
                           const struct path *path, const struct table_slot *except)
{
    if (!t->prefix_limits)
        return true;
    struct prefix my_coarse = path_coarse(path), my_fine = path_fine(path);
    uint8_t coarse_tag = tag_of(t, &my_coarse), fine_tag = tag_of(t, &my_fine);
    unsigned fine = 0, coarse = 0, all_fine = 0, all_coarse = 0;
    for (unsigned i = 0; i < t->rows; i++) {
        unsigned row_fine = 0, row_coarse = 0;
        for (unsigned j = 0; j < t->row[i].n; j++) {
            const struct table_slot *s = &t->row[i].slot[j];
            if (s->coarse != coarse_tag || s == except)
                continue;
            const struct path *p = &book_at(t->book, s->ref)->contact.path;
            struct prefix c = path_coarse(p);
            if (memcmp(&c, &my_coarse, sizeof c) != 0)
                continue;
            row_coarse++;
            if (s->fine != fine_tag)
                continue;
            struct prefix f = path_fine(p);
            row_fine += memcmp(&f, &my_fine, sizeof f) == 0;
        }
        all_fine += row_fine;
        all_coarse += row_coarse;
        if (&t->row[i] == b) {
            fine = row_fine;
            coarse = row_coarse;
        }
    }
    return fine < TABLE_BUCKET_FINE_MAX && coarse < TABLE_BUCKET_COARSE_MAX &&
           all_fine < TABLE_FINE_MAX && all_coarse < TABLE_COARSE_MAX;
}

static struct table_slot *find(const struct table *t, const uint8_t pk[static 32],
                               struct table_row **row)
{
    uint8_t key = key_of(pk);
    for (unsigned i = 0; i < t->rows; i++) {
        struct table_row *b = &t->row[i];
        for (unsigned j = 0; j < b->n; j++)
            if (b->slot[j].key == key &&
                memcmp(book_at(t->book, b->slot[j].ref)->contact.pk, pk, 32) == 0) {
                *row = b;
                return &b->slot[j];
            }
    }
    return NULL;
}

// The slot of this very contact.
static struct table_slot *find_ref(const struct table *t, book_ref ref, struct table_row **row)
{
    struct table_row *b = row_of(t, book_at(t->book, ref)->id);
    for (unsigned j = 0; b != NULL && j < b->n; j++)
        if (b->slot[j].ref == ref) {
            *row = b;
            return &b->slot[j];
        }
    return NULL;
}

// The most unresponsive of a bucket, or NULL.
static struct table_slot *worst(const struct table_row *b)
{
    struct table_slot *w = NULL;
    for (unsigned i = 0; i < b->n; i++)
        if (!alive(&b->slot[i]) && (w == NULL || b->slot[i].failures > w->failures))
            w = &b->slot[i];
    return w;
}

// A public one whose slot somebody at that path may take, or NULL.
static struct table_slot *public_one(const struct table *t, const struct table_row *b,
                                     const struct path *path)
{
    unsigned all = 0;
    for (unsigned i = 0; i < b->n; i++)
        all += b->slot[i].public;
    for (unsigned i = 0; b->n == TABLE_K && all <= TABLE_PUBLIC_FEW && i < b->n; i++)
        if (b->slot[i].public && room_by_prefix(t, b, path, &b->slot[i]))
            return &b->slot[i];
    return NULL;
}

// Of seconds modulo 2^24: who is behind by less than half a turn is older.
static struct table_slot *silent_longest(const struct table_row *b)
{
    struct table_slot *oldest = NULL;
    for (unsigned i = 0; i < b->n; i++)
        if (oldest == NULL || ((b->slot[i].seen_s - oldest->seen_s) & SEEN_MASK) > SEEN_MASK / 2)
            oldest = &b->slot[i];
    return oldest;
}

static void spare_remove(struct table *t, struct table_row *b, unsigned i)
{
    book_drop(t->book, b->spare[i]);
    b->spares--;
    memmove(&b->spare[i], &b->spare[i + 1], (b->spares - i) * sizeof *b->spare);
    if (b->spares == 0) {
        arena_give(t->arena, b->spare, TABLE_SPARES * sizeof *b->spare);
        b->spare = NULL;
    }
}

static void spare_add(struct table *t, struct table_row *b, book_ref ref)
{
    book_keep(t->book, ref);
    for (unsigned i = 0; i < b->spares; i++)
        if (b->spare[i] == ref) {
            spare_remove(t, b, i);
            break;
        }
    if (b->spares == TABLE_SPARES)
        spare_remove(t, b, TABLE_SPARES - 1);
    if (b->spare == NULL)
        b->spare = arena_take(t->arena, TABLE_SPARES * sizeof *b->spare);
    if (b->spare == NULL) {
        book_drop(t->book, ref);
        return;
    }
    memmove(b->spare + 1, b->spare, b->spares * sizeof *b->spare);
    b->spare[0] = ref;
    b->spares++;
}

// Room for `cap` slots, at least as many as there are. False without memory.
static bool slots_resize(struct table *t, struct table_row *b, unsigned cap)
{
    struct table_slot *slot = cap == 0 ? NULL : arena_take(t->arena, cap * sizeof *slot);
    if (slot == NULL && cap > 0)
        return false;
    if (slot != NULL && b->slot != NULL)
        memcpy(slot, b->slot, b->n * sizeof *slot);
    arena_give(t->arena, b->slot, b->cap * sizeof *slot);
    b->slot = slot;
    b->cap = (uint8_t)cap;
    return true;
}

static void slot_remove(struct table *t, struct table_row *b, struct table_slot *s)
{
    t->live -= alive(s);
    book_drop(t->book, s->ref);
    size_t i = (size_t)(s - b->slot);
    b->n--;
    memmove(&b->slot[i], &b->slot[i + 1], (b->n - i) * sizeof *b->slot);
    if (b->n + 2 * SLOTS_STEP <= b->cap || b->n == 0)
        (void)slots_resize(t, b, (b->n + SLOTS_STEP - 1) / SLOTS_STEP * SLOTS_STEP);
}

static void slot_set(struct table *t, struct table_slot *s, book_ref ref, uint32_t now_s)
{
    const struct book_entry *e = book_at(t->book, ref);
    struct prefix p = path_coarse(&e->contact.path), q = path_fine(&e->contact.path);
    uint8_t coarse = tag_of(t, &p), fine = tag_of(t, &q);
    memset(s, 0, sizeof *s);
    s->head = head_of(row_number(t, e->id), e->id) & HEAD_MASK;
    s->ref = book_keep(t->book, ref);
    s->coarse = coarse;
    s->fine = fine;
    s->seen_s = now_s & SEEN_MASK;
    s->key = key_of(e->contact.pk);
    t->live++;
}

// A free slot at the end of the bucket, or NULL when it is full.
static struct table_slot *slot_new(struct table *t, struct table_row *b)
{
    if (b->n == TABLE_K || (b->n == b->cap && !slots_resize(t, b, b->cap + SLOTS_STEP)))
        return NULL;
    return &b->slot[b->n++];
}

enum table_result table_answered(struct table *t, book_ref ref, uint32_t now_s, book_ref *check)
{
    const struct book_entry *e = book_at(t->book, ref);
    struct table_row *b;
    *check = 0;
    struct table_slot *s = find_ref(t, ref, &b);
    if (s != NULL) {
        t->live += !alive(s);
        s->failures = 0;
        s->seen_s = now_s & SEEN_MASK;
        b->traffic_s = now_s;
        return TABLE_KNOWN;
    }
    s = find(t, e->contact.pk, &b);
    // The same key from another address: somebody may only pass our datagrams on to it, to push the
    // true address out. A live one stays; it is pinged if it was silent, and gives way if it is gone.
    if (s != NULL && alive(s) &&
        !path_equal(&book_at(t->book, s->ref)->contact.path, &e->contact.path)) {
        if (silence_s(s, now_s) > TABLE_CHECK_AFTER_S)
            *check = s->ref;
        return TABLE_SPARE;
    }
    if (s != NULL) // another puzzle, or the old address is dead: the last one that works counts
        slot_remove(t, b, s);
    b = row_made(t, row_number(t, e->id));
    if (b == NULL)
        return TABLE_REFUSED;
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
    const struct table_slot *oldest = silent_longest(b);
    if (oldest != NULL && silence_s(oldest, now_s) > TABLE_CHECK_AFTER_S)
        *check = oldest->ref;
    return TABLE_SPARE;
}

bool table_relieve(struct table *t, book_ref ref, uint32_t now_s)
{
    const struct book_entry *e = book_at(t->book, ref);
    struct table_row *b = row_of(t, e->id), *there;
    struct table_slot *s = b == NULL ? NULL : public_one(t, b, &e->contact.path);
    if (s == NULL || find(t, e->contact.pk, &there) != NULL)
        return false;
    book_ref public = book_keep(t->book, s->ref);
    for (unsigned i = 0; i < b->spares; i++)
        if (b->spare[i] == ref) {
            spare_remove(t, b, i);
            break;
        }
    slot_remove(t, b, s);
    s = slot_new(t, b);
    if (s != NULL)
        slot_set(t, s, ref, now_s);
    spare_add(t, b, public);
    book_drop(t->book, public);
    return s != NULL;
}

void table_public_set(struct table *t, book_ref ref, bool is_public)
{
    struct table_row *b;
    struct table_slot *s = find_ref(t, ref, &b);
    if (s != NULL)
        s->public = is_public;
}

bool table_public(const struct table *t, book_ref ref)
{
    struct table_row *b;
    const struct table_slot *s = find_ref(t, ref, &b);
    return s != NULL && s->public;
}

bool table_failed(struct table *t, const uint8_t pk[static 32], const struct path *path)
{
    struct table_row *b;
    struct table_slot *s = find(t, pk, &b);
    if (s == NULL || !path_equal(&book_at(t->book, s->ref)->contact.path, path))
        return false;
    bool was_alive = alive(s);
    if (s->failures < FAILURES_MAX)
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
            s = slot_new(t, b);
            if (s != NULL)
                slot_set(t, s, ref, seen_s);
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
    const struct table_row *b = row_of(t, id);
    const struct table_slot *dead = b == NULL ? NULL : worst(b);
    if (b == NULL)
        return room_by_prefix(t, NULL, path, NULL);
    if (b->n == TABLE_K && dead == NULL)
        return public_one(t, b, path) != NULL;
    return room_by_prefix(t, b, path, b->n == TABLE_K ? dead : NULL);
}

bool table_has(const struct table *t, book_ref ref)
{
    struct table_row *b;
    const struct table_slot *s = find_ref(t, ref, &b);
    return s != NULL && alive(s);
}

// ---- who is near ----------------------------------------------------------------------------------

struct near {
    uint64_t distance; // its leading bits
    book_ref ref;
    uint8_t known; // how many of them
    bool doubtful;
};

static bool nearer(const struct table *t, const struct near *a, const struct near *b,
                   const uint8_t target[static 32])
{
    unsigned shift = 64u - (a->known < b->known ? a->known : b->known);
    uint64_t x = a->distance >> shift, y = b->distance >> shift;
    if (x != y)
        return x < y;
    return id_nearer(book_at(t->book, a->ref)->id, book_at(t->book, b->ref)->id, target);
}

// Sorts the live ones of a row into near[from .. *n), of which `max` fit.
static void near_add(const struct table *t, unsigned row, const uint8_t target[static 32],
                     uint32_t now_s, struct near *near, size_t from, size_t *n, size_t max)
{
    uint64_t centre = lead_of(t->centre), goal = lead_of(target);
    unsigned known = implied_bits(row) + HEAD_BITS;
    const struct table_row *b = &t->row[row];
    for (unsigned j = 0; j < b->n; j++) {
        const struct table_slot *s = &b->slot[j];
        if (!alive(s))
            continue;
        uint64_t distance = (slot_lead(centre, row, s) ^ goal) >> (64 - known) << (64 - known);
        bool doubtful = s->failures > 0 || silence_s(s, now_s) > TABLE_SILENT_S;
        struct near x = {distance, s->ref, (uint8_t)known, doubtful};
        size_t k = *n;
        while (k > from && nearer(t, &x, &near[k - 1], target))
            k--;
        if (k == max)
            continue;
        size_t moved = (*n < max ? *n : max - 1) - k;
        memmove(near + k + 1, near + k, moved * sizeof *near);
        near[k] = x;
        *n += *n < max;
    }
}

// Who is in the target's own bucket is nearer to it than everybody else, then all deeper buckets
// together, then the shallower ones one by one.
static size_t nearest(const struct table *t, const uint8_t target[static 32], uint32_t now_s,
                      struct near *near, size_t max)
{
    size_t n = 0;
    unsigned own = row_number(t, target);
    assert(max <= TABLE_NEAREST_MAX);
    for (unsigned i = own < 2 ? 0 : own - 2; i < t->rows; i++) // in a large process all are cold
        for (unsigned j = 0; j < t->row[i].n; j += 64 / sizeof(struct table_slot))
            __builtin_prefetch(&t->row[i].slot[j]);
    if (own < t->rows)
        near_add(t, own, target, now_s, near, 0, &n, max);
    size_t from = n;
    for (unsigned i = own + 1; from < max && i < t->rows; i++)
        near_add(t, i, target, now_s, near, from, &n, max);
    for (unsigned i = own < t->rows ? own : t->rows; n < max && i-- > 0;)
        near_add(t, i, target, now_s, near, n, &n, max);
    return n;
}

size_t table_nearest(const struct table *t, const uint8_t target[static 32], book_ref *out,
                     size_t max)
{
    struct near near[TABLE_NEAREST_MAX];
    size_t n = nearest(t, target, 0, near, max);
    for (size_t i = 0; i < n; i++)
        out[i] = near[i].ref;
    return n;
}

size_t table_nearest_sure(const struct table *t, const uint8_t target[static 32], uint32_t now_s,
                          book_ref *out, size_t max)
{
    struct near near[TABLE_NEAREST_MAX];
    size_t n = nearest(t, target, now_s, near, max), k = 0;
    for (unsigned doubtful = 0; doubtful < 2; doubtful++)
        for (size_t i = 0; i < n; i++)
            if (near[i].doubtful == (doubtful != 0))
                out[k++] = near[i].ref;
    for (size_t i = 0; i < n; i++)
        book_fetch(t->book, out[i]);
    return n;
}

size_t table_list(const struct table *t, book_ref *out, size_t max)
{
    size_t n = 0;
    for (unsigned i = 0; i < t->rows; i++)
        for (unsigned j = 0; j < t->row[i].n && n < max; j++)
            if (alive(&t->row[i].slot[j]))
                out[n++] = t->row[i].slot[j].ref;
    return n;
}

// ---- the rest -------------------------------------------------------------------------------------

unsigned table_depth(const struct table *t)
{
    unsigned depth = t->rows;
    while (depth > 0 && t->row[depth - 1].n == 0)
        depth--;
    return depth;
}

unsigned table_bucket_size(const struct table *t, unsigned bucket)
{
    return bucket < t->rows ? t->row[bucket].n : 0;
}

unsigned table_bucket_live(const struct table *t, unsigned bucket)
{
    unsigned live = 0;
    for (unsigned i = 0; bucket < t->rows && i < t->row[bucket].n; i++)
        live += alive(&t->row[bucket].slot[i]);
    return live;
}

book_ref table_oldest(const struct table *t, unsigned bucket)
{
    const struct table_slot *oldest = bucket < t->rows ? silent_longest(&t->row[bucket]) : NULL;
    return oldest == NULL ? 0 : oldest->ref;
}

uint32_t table_quiet_s(const struct table *t, unsigned bucket, uint32_t now_s)
{
    uint32_t at_s = bucket < t->rows ? t->row[bucket].traffic_s : 0;
    return at_s < now_s ? now_s - at_s : 0;
}

void table_touch(struct table *t, unsigned bucket, uint32_t at_s)
{
    if (bucket < t->rows)
        t->row[bucket].traffic_s = at_s;
}

bool table_rtt(const struct table *t, book_ref ref, uint32_t *rtt)
{
    struct table_row *b;
    const struct table_slot *s = find_ref(t, ref, &b);
    *rtt = s == NULL ? 0 : s->rtt;
    return s != NULL;
}

void table_rtt_set(struct table *t, book_ref ref, uint32_t rtt)
{
    struct table_row *b;
    struct table_slot *s = find_ref(t, ref, &b);
    if (s != NULL)
        s->rtt = rtt & 0xfffff;
}

void table_recentre(struct table *t, const uint8_t centre[static 32])
{
    if (memcmp(t->centre, centre, 32) == 0)
        return;
    struct table_row *row = t->row;
    unsigned rows = t->rows;
    t->row = NULL;
    t->rows = 0;
    t->live = 0;
    memcpy(t->centre, centre, 32);
    for (unsigned i = 0; i < rows; i++)
        for (unsigned j = 0; j < row[i].n; j++) {
            const struct table_slot *s = &row[i].slot[j];
            struct table_row *b;
            book_ref check;
            if (table_answered(t, s->ref, s->seen_s, &check) != TABLE_ADDED)
                continue;
            struct table_slot *moved = find_ref(t, s->ref, &b);
            moved->failures = s->failures;
            moved->public = s->public;
            moved->rtt = s->rtt;
            t->live -= !alive(moved);
            b->traffic_s =
                row[i].traffic_s > b->traffic_s || b->n == 1 ? row[i].traffic_s : b->traffic_s;
        }
    rows_end(t, row, rows);
}
