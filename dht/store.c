#include "dht/store.h"

#include "crypto/bytes.h"
#include "dht/table.h"

#include <assert.h>
#include <sodium.h>

void store_init(struct store *s, struct arena *arena, const struct rng *rng, size_t bytes_max)
{
    memset(s, 0, sizeof *s);
    s->arena = arena;
    s->rng = rng;
    s->bytes_max = bytes_max;
    map_init(&s->places, arena);
    rng_fill(rng, s->hash_key, sizeof s->hash_key);
}

static void *take(struct store *s, size_t bytes)
{
    if (s->bytes + bytes > s->bytes_max)
        return NULL;
    void *p = arena_take(s->arena, bytes);
    if (p != NULL)
        s->bytes += bytes;
    return p;
}

static void give(struct store *s, void *p, size_t bytes)
{
    s->bytes -= bytes;
    arena_give(s->arena, p, bytes);
}

static void remove_record(struct store *s, struct store_place *p, struct store_record **at)
{
    struct store_record *x = *at;
    *at = x->next;
    p->live--;
    s->records--;
    give(s, x, sizeof *x);
}

static void remove_place(struct store *s, struct store_place *p)
{
    while (p->records != NULL)
        remove_record(s, p, &p->records);
    while (p->stones != NULL) {
        struct store_stone *x = p->stones;
        p->stones = x->next;
        give(s, x, sizeof *x);
    }
    map_remove(&s->places, &p->node);
    give(s, p, sizeof *p);
}

void store_end(struct store *s)
{
    for (uint32_t i = 0; i < s->places.heads; i++)
        while (s->places.head[i] != NULL)
            remove_place(s, (struct store_place *)s->places.head[i]);
    map_end(&s->places);
}

static void expire(struct store *s, usec_t now, struct store_place *p)
{
    for (struct store_record **at = &p->records; *at != NULL;)
        if ((*at)->expires <= now)
            remove_record(s, p, at);
        else
            at = &(*at)->next;
    for (struct store_stone **at = &p->stones; *at != NULL;) {
        struct store_stone *x = *at;
        if (x->expires <= now) {
            *at = x->next;
            p->buried--;
            give(s, x, sizeof *x);
        } else {
            at = &x->next;
        }
    }
}

static uint64_t place_hash(const struct store *s, const uint8_t place[static 32])
{
    uint8_t out[crypto_shorthash_BYTES];
    crypto_shorthash(out, place, 32, s->hash_key);
    struct rd r = rd_init(out, sizeof out);
    return rd_le64(&r);
}

static struct store_place *find_place(const struct store *s, const uint8_t place[static 32])
{
    struct map_node *x = map_first(&s->places, place_hash(s, place));
    while (x != NULL && memcmp(((struct store_place *)x)->place, place, 32) != 0)
        x = map_next(x);
    return (struct store_place *)x;
}

// The place farthest from us of some, taken from a random spot of the map on, if that is farther than
// `place`. Of a small store all are looked at.
static struct store_place *farthest(struct store *s, const uint8_t place[static 32])
{
    struct store_place *far = NULL;
    uint32_t heads = s->places.heads, seen = 0;
    uint32_t from = heads > STORE_LOOK_MAX ? (uint32_t)rng_below(s->rng, heads) : 0;
    for (uint32_t i = 0; i < heads && seen < STORE_LOOK_MAX; i++)
        for (struct map_node *x = s->places.head[(from + i) % heads]; x != NULL; x = x->next) {
            struct store_place *p = (struct store_place *)x;
            seen++;
            if (id_nearer(far == NULL ? place : far->place, p->place, s->centre))
                far = p;
        }
    return far;
}

static void *take_for(struct store *s, size_t bytes, const uint8_t place[static 32])
{
    void *p;
    while ((p = take(s, bytes)) == NULL) {
        struct store_place *far = farthest(s, place);
        if (far == NULL)
            return NULL;
        remove_place(s, far);
    }
    return p;
}

static struct store_place *make_place(struct store *s, const uint8_t place[static 32])
{
    struct store_place *p = take_for(s, sizeof *p, place);
    if (p == NULL)
        return NULL;
    memcpy(p->place, place, 32);
    if (map_put(&s->places, &p->node, place_hash(s, place)) != 0) {
        give(s, p, sizeof *p);
        return NULL;
    }
    return p;
}

// Nothing is kept of a place without records and tombstones.
static void drop_if_empty(struct store *s, struct store_place *p)
{
    if (p->records == NULL && p->stones == NULL)
        remove_place(s, p);
}

static struct store_record **find_record(struct store_place *p,
                                         const uint8_t rec_id[static RECORD_ID_BYTES])
{
    struct store_record **at = &p->records;
    while (*at != NULL && memcmp((*at)->record, rec_id, RECORD_ID_BYTES) != 0)
        at = &(*at)->next;
    return at;
}

static bool buried(const struct store_place *p, const uint8_t rec_id[static RECORD_ID_BYTES])
{
    for (const struct store_stone *x = p->stones; x != NULL; x = x->next)
        if (memcmp(x->rec_id, rec_id, RECORD_ID_BYTES) == 0)
            return true;
    return false;
}

// How many of a set are of the same source as each of them. A full place costs 32,768 comparisons of
// numbers that lie side by side.
static void count_sources(struct store_record *const *set, unsigned n, uint16_t *same)
{
    uint64_t source[STORE_PLACE_RECORDS_MAX];
    for (unsigned i = 0; i < n; i++) {
        source[i] = set[i]->source;
        same[i] = 1;
        for (unsigned j = 0; j < i; j++)
            if (source[j] == source[i]) {
                same[i]++;
                same[j]++;
            }
    }
}

// A full place evicts from the most represented source, then the lowest effort, then the oldest.
static void evict(struct store *s, struct store_place *p)
{
    struct store_record *set[STORE_PLACE_RECORDS_MAX] = {NULL}, **victim = NULL;
    uint16_t same[STORE_PLACE_RECORDS_MAX];
    unsigned most = 0, n = 0;
    for (struct store_record *x = p->records; x != NULL; x = x->next)
        set[n++] = x;
    count_sources(set, n, same);
    n = 0;
    for (struct store_record **at = &p->records; *at != NULL; at = &(*at)->next, n++)
        if (victim == NULL || same[n] > most ||
            (same[n] == most && (*at)->effort < (*victim)->effort)) {
            most = same[n];
            victim = at;
        }
    if (victim != NULL)
        remove_record(s, p, victim);
}

static void count_arrival(struct store_place *p, usec_t now)
{
    usec_t second = now / USEC_PER_S;
    if (second != p->second) {
        p->arrivals_before = second == p->second + 1 ? p->arrivals : 0;
        p->arrivals = 0;
        p->second = second;
    }
    if (p->arrivals < UINT16_MAX)
        p->arrivals++;
}

static int put_record(struct store *s, usec_t now, const struct store_announce *a,
                      struct store_place *p, usec_t expires)
{
    struct store_record **at = find_record(p, a->record);
    struct store_record *x = *at;
    if (x != NULL) {
        if (a->version < x->version)
            return 0;
    } else {
        if (buried(p, a->record))
            return BAUTA_ESTATE;
        count_arrival(p, now);
        if (p->live >= STORE_PLACE_RECORDS_MAX)
            evict(s, p);
        x = take_for(s, sizeof *x, a->place);
        if (x == NULL)
            return BAUTA_ELIMIT;
        at = &p->records; // the newest last; the list may have changed
        while (*at != NULL)
            at = &(*at)->next;
        *at = x;
        p->live++;
        s->records++;
    }
    memcpy(x->record, a->record, RECORD_BYTES);
    x->version = a->version;
    x->expires = expires;
    x->source = a->source;
    x->effort = a->effort;
    return 0;
}

int store_announce(struct store *s, usec_t now, const struct store_announce *a)
{
    uint16_t ttl_s = a->ttl_s < TTL_S_MIN ? TTL_S_MIN : a->ttl_s > TTL_S_MAX ? TTL_S_MAX : a->ttl_s;
    struct store_place *p = find_place(s, a->place);
    if (p == NULL)
        p = make_place(s, a->place);
    if (p == NULL)
        return BAUTA_ELIMIT;
    expire(s, now, p);
    int rc = put_record(s, now, a, p, now + ttl_s * USEC_PER_S);
    drop_if_empty(s, p);
    return rc;
}

// Its time is the longest that the record could have had.
static void bury(struct store *s, struct store_place *p,
                 const uint8_t rec_id[static RECORD_ID_BYTES], usec_t expires)
{
    struct store_stone *x = p->buried < STORE_PLACE_STONES_MAX ? take(s, sizeof *x) : NULL;
    if (x == NULL)
        return;
    memcpy(x->rec_id, rec_id, RECORD_ID_BYTES);
    x->expires = expires;
    x->next = p->stones;
    p->stones = x;
    p->buried++;
}

int store_withdraw(struct store *s, usec_t now, const uint8_t place[static 32],
                   const uint8_t rec_id[static RECORD_ID_BYTES], bool bury_unknown)
{
    struct store_place *p = find_place(s, place);
    if (p == NULL && bury_unknown)
        p = make_place(s, place);
    if (p == NULL)
        return BAUTA_EUNKNOWN;
    expire(s, now, p);
    int rc = 0;
    struct store_record **at = find_record(p, rec_id);
    if (buried(p, rec_id)) {
        rc = 0;
    } else if (*at == NULL) {
        rc = BAUTA_EUNKNOWN;
        if (bury_unknown)
            bury(s, p, rec_id, now + TTL_S_MAX * USEC_PER_S);
    } else {
        usec_t expires = (*at)->expires;
        remove_record(s, p, at);
        bury(s, p, rec_id, expires);
    }
    drop_if_empty(s, p);
    return rc;
}

static uint8_t depth_hint(const struct store_place *p)
{
    unsigned arrivals = p->arrivals > p->arrivals_before ? p->arrivals : p->arrivals_before;
    if (p->live < STORE_PLACE_FULL && arrivals <= STORE_FULL_PER_S)
        return 0;
    uint8_t h = 0;
    while (arrivals > 32u << h || p->live > 128u << h)
        h++;
    return h;
}

// Picks one of what is left: sources that are not in the sample yet come first; among them the least
// handed out, or a random source and then a random one of its records. Ties go by chance.
static struct store_record *pick(struct store *s, struct store_record **set, const uint16_t *same,
                                 unsigned n, struct store_record *const *chosen, unsigned n_chosen,
                                 bool least)
{
    unsigned best = UINT32_MAX, ties = 0;
    struct store_record *at = NULL;
    for (unsigned pass = 0; pass < 2 && at == NULL; pass++)
        for (unsigned i = 0; i < n; i++) {
            if (set[i] == NULL)
                continue;
            unsigned taken = 0; // of the same source
            for (unsigned j = 0; j < n_chosen; j++)
                taken += chosen[j]->source == set[i]->source;
            if (pass == 0 && taken > 0)
                continue;
            // A source with many records is not likelier than one with one.
            unsigned weight = least ? set[i]->handed : same[i] - taken;
            bool take_it;
            if (least) {
                ties = weight < best || at == NULL ? 1 : ties + (weight == best);
                take_it =
                    weight < best || at == NULL || (weight == best && rng_below(s->rng, ties) == 0);
                best = weight < best ? weight : best;
            } else {
                // Weighted reservoir with weight 1 / weight, in units of 2^16.
                unsigned unit = 65536u / weight;
                ties += unit;
                take_it = rng_below(s->rng, ties) < unit;
            }
            if (take_it)
                at = set[i];
        }
    return at;
}

void store_sample(struct store *s, usec_t now, const uint8_t place[static 32],
                  const uint8_t except[static RECORD_ID_BYTES], struct store_sample *out)
{
    memset(out, 0, sizeof *out);
    struct store_place *p = find_place(s, place);
    if (p == NULL)
        return;
    expire(s, now, p);
    out->live = p->live;
    out->hint = depth_hint(p);
    struct store_record *set[STORE_PLACE_RECORDS_MAX], *chosen[DHT_SAMPLE_RECORDS_MAX];
    uint16_t same[STORE_PLACE_RECORDS_MAX];
    unsigned n = 0;
    for (struct store_record *x = p->records; x != NULL; x = x->next)
        if (memcmp(x->record, except, RECORD_ID_BYTES) != 0)
            set[n++] = x;
    count_sources(set, n, same);
    for (unsigned k = 0; k < DHT_SAMPLE_RECORDS_MAX; k++) {
        bool least = k < DHT_SAMPLE_RECORDS_MAX / 2;
        struct store_record *x = pick(s, set, same, n, chosen, k, least);
        if (x == NULL)
            break;
        for (unsigned i = 0; i < n; i++)
            if (set[i] == x)
                set[i] = NULL;
        x->handed++;
        chosen[k] = x;
        out->record[out->n++] = x->record;
    }
    drop_if_empty(s, p);
}

bool store_sweep(struct store *s, usec_t now)
{
    uint32_t part = s->places.heads / STORE_SWEEP_SHARE + 1;
    for (uint32_t i = 0; i < part && s->places.heads > 0; i++) {
        s->sweep_at = (s->sweep_at + 1) & (s->places.heads - 1);
        for (struct map_node *x = s->places.head[s->sweep_at], *next; x != NULL; x = next) {
            next = x->next;
            expire(s, now, (struct store_place *)x);
            drop_if_empty(s, (struct store_place *)x);
        }
    }
    return s->places.n > 0;
}
