#include "dht/store.h"

#include "crypto/bytes.h"
#include "dht/table.h"

#include <assert.h>
#include <sodium.h>

#define STONE_COST sizeof(struct store_stone)

void store_init(struct store *s, struct arena *arena, struct record_book *book,
                const struct rng *rng, size_t bytes_max)
{
    memset(s, 0, sizeof *s);
    s->arena = arena;
    s->book = book;
    s->rng = rng;
    s->bytes_max = bytes_max;
    map_init(&s->places, arena);
    map_init(&s->sources, arena);
    rng_fill(rng, s->hash_key, sizeof s->hash_key);
    record_book_seed(book, rng);
}

size_t store_bytes(const struct store *s)
{
    return (size_t)s->records * STORE_RECORD_COST + (size_t)s->stones * STONE_COST;
}

static uint32_t seconds_up(usec_t t)
{
    return (uint32_t)((t + USEC_PER_S - 1) / USEC_PER_S);
}

static uint32_t tag_of(const uint8_t rec_id[static RECORD_ID_BYTES])
{
    struct rd r = rd_init(rec_id, 4);
    return rd_le32(&r);
}

// ---- sources --------------------------------------------------------------------------------------

static struct store_source *find_source(const struct store *s, uint64_t source)
{
    return (struct store_source *)map_first(&s->sources, source);
}

static struct store_source *need_source(struct store *s, uint64_t source)
{
    struct store_source *x = find_source(s, source);
    if (x != NULL)
        return x;
    x = arena_take(s->arena, sizeof *x);
    if (x != NULL && map_put(&s->sources, &x->node, source) != 0) {
        arena_give(s->arena, x, sizeof *x);
        x = NULL;
    }
    return x;
}

static void drop_source(struct store *s, struct store_source *x)
{
    if (x == NULL || x->records > 0 || x->stones > 0)
        return;
    map_remove(&s->sources, &x->node);
    arena_give(s->arena, x, sizeof *x);
}

static void uncount(struct store *s)
{
    for (uint32_t i = 0; i < s->sources.heads; i++)
        while (s->sources.head[i] != NULL) {
            struct store_source *x = (struct store_source *)s->sources.head[i];
            map_remove(&s->sources, &x->node);
            arena_give(s->arena, x, sizeof *x);
        }
    map_end(&s->sources);
    s->counted = false;
}

static bool count_place(struct store *s, const struct store_place *p)
{
    for (unsigned i = 0; i < p->live + p->buried; i++) {
        bool live = i < p->live;
        struct store_source *x =
            need_source(s, live ? p->record[i].source : p->stone[i - p->live].source);
        if (x == NULL)
            return false;
        x->records += live;
        x->stones += !live;
    }
    return true;
}

// One look through all of it, once no source can be told to be within its share without counting.
static bool count_sources(struct store *s)
{
    bool ok = true;
    for (uint32_t i = 0; !s->counted && ok && i < s->places.heads; i++)
        for (struct map_node *x = s->places.head[i]; ok && x != NULL; x = x->next)
            ok = count_place(s, (const struct store_place *)x);
    if (!ok)
        uncount(s);
    s->counted = ok;
    return ok;
}

// May one more record, or a tombstone, be beyond what its source may have, whoever it is?
static bool shares_matter(const struct store *s, uint32_t records, uint32_t stones)
{
    size_t bytes = (size_t)records * STORE_RECORD_COST;
    return bytes > s->bytes_max / STORE_SOURCE_SHARE ||
           bytes + stones * STONE_COST > s->bytes_max || stones > STORE_SOURCE_STONES_MAX;
}

// ---- places ---------------------------------------------------------------------------------------

static void remove_record(struct store *s, struct store_place *p, unsigned i)
{
    struct store_source *from = s->counted ? find_source(s, p->record[i].source) : NULL;
    record_book_drop(s->book, p->record[i].ref);
    p->live--;
    s->records--;
    memmove(&p->record[i], &p->record[i + 1], (p->live - i) * sizeof p->record[0]);
    if (from != NULL)
        from->records--;
    drop_source(s, from);
}

static void remove_stone(struct store *s, struct store_place *p, unsigned i)
{
    struct store_source *from = s->counted ? find_source(s, p->stone[i].source) : NULL;
    p->stone[i] = p->stone[--p->buried];
    s->stones--;
    if (from != NULL)
        from->stones--;
    drop_source(s, from);
}

// Nothing is kept of a place without records and tombstones.
static void drop_if_empty(struct store *s, struct store_place *p)
{
    if (p->live > 0 || p->buried > 0)
        return;
    map_remove(&s->places, &p->node);
    arena_give(s->arena, p->record, p->cap * sizeof *p->record);
    arena_give(s->arena, p->stone, p->stones_cap * sizeof *p->stone);
    arena_give(s->arena, p->heat, sizeof *p->heat);
    arena_give(s->arena, p, sizeof *p);
}

void store_end(struct store *s)
{
    for (uint32_t i = 0; i < s->places.heads; i++)
        while (s->places.head[i] != NULL) {
            struct store_place *p = (struct store_place *)s->places.head[i];
            while (p->live > 0)
                remove_record(s, p, p->live - 1u);
            while (p->buried > 0)
                remove_stone(s, p, p->buried - 1u);
            drop_if_empty(s, p);
        }
    uncount(s);
    map_end(&s->places);
}

static void expire(struct store *s, usec_t now, struct store_place *p)
{
    for (unsigned i = p->live; i > 0; i--)
        if (p->record[i - 1].expires_s * USEC_PER_S <= now)
            remove_record(s, p, i - 1);
    for (unsigned i = p->buried; i > 0; i--)
        if (p->stone[i - 1].expires_s * USEC_PER_S <= now)
            remove_stone(s, p, i - 1);
    if (p->heat != NULL && now / USEC_PER_S > p->second + 1u) {
        arena_give(s->arena, p->heat, sizeof *p->heat);
        p->heat = NULL;
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
    if (s->places.n == 0)
        return NULL;
    struct map_node *x = map_first(&s->places, place_hash(s, place));
    while (x != NULL && memcmp(((struct store_place *)x)->place, place, 32) != 0)
        x = map_next(x);
    return (struct store_place *)x;
}

static struct store_place *need_place(struct store *s, const uint8_t place[static 32])
{
    struct store_place *p = find_place(s, place);
    if (p != NULL)
        return p;
    p = arena_take(s->arena, sizeof *p);
    if (p == NULL)
        return NULL;
    memcpy(p->place, place, 32);
    if (map_put(&s->places, &p->node, place_hash(s, place)) != 0) {
        arena_give(s->arena, p, sizeof *p);
        return NULL;
    }
    return p;
}

// Doubles an array of a place, up to a limit that is a power of two.
static void *roomier(struct store *s, void *old, uint16_t *cap, uint16_t n, size_t each,
                     uint16_t max)
{
    if (n < *cap)
        return old;
    uint16_t more = *cap == 0 ? 1 : (uint16_t)(2 * *cap);
    void *p = more > max ? NULL : arena_take(s->arena, more * each);
    if (p == NULL)
        return NULL;
    if (n > 0)
        memcpy(p, old, n * each);
    arena_give(s->arena, old, *cap * each);
    *cap = more;
    return p;
}

// live, if it is not here.
static unsigned find_record(const struct store *s, const struct store_place *p,
                            const uint8_t rec_id[static RECORD_ID_BYTES])
{
    uint32_t tag = tag_of(rec_id);
    unsigned i = 0;
    while (i < p->live &&
           (p->record[i].tag != tag ||
            memcmp(record_book_at(s->book, p->record[i].ref), rec_id, RECORD_ID_BYTES) != 0))
        i++;
    return i;
}

static bool buried(const struct store_place *p, const uint8_t rec_id[static RECORD_ID_BYTES])
{
    for (unsigned i = 0; i < p->buried; i++)
        if (memcmp(p->stone[i].rec_id, rec_id, sizeof p->stone[i].rec_id) == 0)
            return true;
    return false;
}

// ---- how full it is -------------------------------------------------------------------------------

// How many records of each source stand at one place. Sources are keyed hashes: nobody chooses a slot.
struct tally {
    unsigned slots; // a power of two, twice the records or more
    uint64_t source[2 * STORE_PLACE_RECORDS_MAX];
    uint16_t here[2 * STORE_PLACE_RECORDS_MAX]; // 0: a free slot
};

static unsigned tally_slot(const struct tally *t, uint64_t source)
{
    unsigned i = (unsigned)source & (t->slots - 1);
    while (t->here[i] > 0 && t->source[i] != source)
        i = (i + 1) & (t->slots - 1);
    return i;
}

static uint16_t tally_of(const struct tally *t, uint64_t source)
{
    return t->here[tally_slot(t, source)];
}

static void tally_place(struct tally *t, const struct store_place *p)
{
    for (t->slots = 2; t->slots < 2u * p->live; t->slots *= 2)
        ;
    memset(t->here, 0, t->slots * sizeof t->here[0]);
    for (unsigned i = 0; i < p->live; i++) {
        unsigned slot = tally_slot(t, p->record[i].source);
        t->source[slot] = p->record[i].source;
        t->here[slot]++;
    }
}

// Of each other source no more than this one would have with one more: somebody who fills a place from a
// few prefixes makes it full for himself, not for others.
static unsigned fill_for(const struct store_place *p, uint64_t source)
{
    struct tally t;
    tally_place(&t, p);
    unsigned fill = 0, most = tally_of(&t, source) + 1u;
    for (unsigned i = 0; i < t.slots; i++)
        fill += t.here[i] <= most ? t.here[i] : most;
    return fill;
}

static uint32_t effort_for(unsigned fill)
{
    if (fill < STORE_EFFORT_FROM)
        return 0;
    return STORE_EFFORT_MIN << (fill - STORE_EFFORT_FROM) / STORE_EFFORT_STEP;
}

static void tick(struct store_place *p, usec_t now)
{
    uint32_t second = (uint32_t)(now / USEC_PER_S);
    if (second == p->second)
        return;
    bool next = second == p->second + 1;
    p->arrivals_before = next ? p->arrivals : 0;
    p->arrivals = 0;
    if (p->heat != NULL) {
        if (next)
            memcpy(p->heat->before, p->heat->now, sizeof p->heat->before);
        else
            memset(p->heat->before, 0, sizeof p->heat->before);
        memset(p->heat->now, 0, sizeof p->heat->now);
    }
    p->second = second;
}

// What came in a second, an outlier cut: one prefix, or a few, can't make a place look hot.
static unsigned heat_sum(const uint16_t part[static STORE_HEAT_PARTS])
{
    uint16_t sorted[STORE_HEAT_PARTS] = {0};
    for (unsigned i = 0; i < STORE_HEAT_PARTS; i++) {
        unsigned k = i;
        for (; k > 0 && sorted[k - 1] > part[i]; k--)
            sorted[k] = sorted[k - 1];
        sorted[k] = part[i];
    }
    unsigned most = STORE_HEAT_OUTLIER * (sorted[STORE_HEAT_PARTS / 2 - 1] + 1u), sum = 0;
    for (unsigned i = 0; i < STORE_HEAT_PARTS; i++)
        sum += sorted[i] < most ? sorted[i] : most;
    return sum;
}

static unsigned arrivals_of(const struct store_place *p)
{
    if (p->heat == NULL)
        return p->arrivals > p->arrivals_before ? p->arrivals : p->arrivals_before;
    unsigned now = heat_sum(p->heat->now), before = heat_sum(p->heat->before);
    return now > before ? now : before;
}

void store_arrival(struct store *s, usec_t now, const uint8_t place[static 32], uint64_t source)
{
    struct store_place *p = find_place(s, place);
    if (p == NULL)
        return;
    tick(p, now);
    uint8_t at = (source >> 40) % STORE_HEAT_PARTS;
    if (p->heat == NULL && p->arrivals + p->arrivals_before > 0) {
        p->heat = arena_take(s->arena, sizeof *p->heat);
        if (p->heat != NULL) {
            p->heat->now[p->part] = p->arrivals;
            p->heat->before[p->part] = p->arrivals_before;
        }
    }
    if (p->arrivals < UINT16_MAX)
        p->arrivals++;
    if (p->heat != NULL) {
        uint16_t *part = &p->heat->now[at];
        *part = (uint16_t)(*part + (*part < UINT16_MAX));
    } else {
        p->part = at;
    }
}

void store_view(struct store *s, usec_t now, const uint8_t place[static 32], uint64_t source,
                const uint8_t *rec_id, struct store_view *v)
{
    memset(v, 0, sizeof *v);
    struct store_place *p = find_place(s, place);
    if (p == NULL)
        return;
    expire(s, now, p);
    tick(p, now);
    v->live = p->live;
    v->known = rec_id != NULL && find_record(s, p, rec_id) < p->live;
    unsigned fill = p->live < STORE_EFFORT_FROM ? p->live : fill_for(p, source);
    unsigned arrivals = arrivals_of(p);
    v->fill = (uint16_t)fill;
    v->arrivals = arrivals;
    v->effort = effort_for(fill);
    v->sample = arrivals > STORE_SAMPLE_BUSY_PER_S       ? STORE_SAMPLE_FULL
                : arrivals > STORE_SAMPLE_BUSY_PER_S / 2 ? 2 * STORE_SAMPLE_FULL
                                                         : DHT_SAMPLE_RECORDS_MAX;
    if (fill >= STORE_PLACE_FULL || arrivals > STORE_FULL_PER_S) {
        v->effort = v->effort > STORE_EFFORT_FULL ? v->effort : STORE_EFFORT_FULL;
        v->sample = STORE_SAMPLE_FULL;
        while (arrivals > 32u << v->hint || fill > 128u << v->hint)
            v->hint++;
    }
    drop_if_empty(s, p);
}

// ---- making room ----------------------------------------------------------------------------------

// The most represented source at a full place, there the least work, then the oldest; but only one that
// has more than the newcomer's source would have, or as much with less work.
static bool evict(struct store *s, struct store_place *p, uint64_t source, uint32_t effort)
{
    struct tally t;
    unsigned victim = p->live, most = 0;
    tally_place(&t, p);
    for (unsigned i = 0; i < p->live; i++) {
        unsigned here = tally_of(&t, p->record[i].source);
        if (here > most || (here == most && p->record[i].effort < p->record[victim].effort)) {
            victim = i;
            most = here;
        }
    }
    if (victim == p->live)
        return false;
    unsigned own = tally_of(&t, source);
    bool fair = most > own + 1u || (most >= own && p->record[victim].effort < effort);
    if (fair)
        remove_record(s, p, victim);
    return fair;
}

struct victim {
    struct store_place *place;
    unsigned i;
    uint32_t has; // of that source, in the whole store
};

// Of some records from a random spot of the map on (of a small store all): one of the source that holds
// most in the whole store, there of the farthest place.
static struct victim heaviest(struct store *s)
{
    struct victim v = {NULL, 0, 0};
    uint32_t heads = s->places.heads, seen = 0;
    uint32_t from = s->records > STORE_LOOK_MAX ? (uint32_t)rng_below(s->rng, heads) : 0;
    for (uint32_t h = 0; h < heads && seen < STORE_LOOK_MAX; h++)
        for (struct map_node *x = s->places.head[(from + h) % heads]; x != NULL; x = x->next) {
            struct store_place *p = (struct store_place *)x;
            for (unsigned i = 0; i < p->live; i++) {
                seen++;
                uint32_t has = find_source(s, p->record[i].source)->records;
                if (has > v.has || (has == v.has && v.place != p &&
                                    id_nearer(v.place->place, p->place, s->centre)))
                    v = (struct victim){p, i, has};
            }
        }
    return v;
}

// Makes room in the whole store: no source pushes out others beyond an equal share. Among equals the
// farthest place gives way. `mine` counts the newcomer already, or is NULL where shares do not matter yet;
// its place stays.
static bool make_room(struct store *s, struct store_place *keep, const struct store_source *mine)
{
    if (mine == NULL)
        return true;
    if ((size_t)mine->records * STORE_RECORD_COST > s->bytes_max / STORE_SOURCE_SHARE)
        return false;
    while (store_bytes(s) + STORE_RECORD_COST > s->bytes_max) {
        struct victim v = heaviest(s);
        if (v.place == NULL)
            return false;
        bool farther = id_nearer(keep->place, v.place->place, s->centre);
        if (v.has < mine->records || (v.has == mine->records && !farther))
            return false;
        remove_record(s, v.place, v.i);
        if (v.place != keep)
            drop_if_empty(s, v.place);
    }
    return true;
}

// ---- announcing and withdrawing -------------------------------------------------------------------

static int add_record(struct store *s, const struct store_announce *a, struct store_place *p,
                      struct store_source *mine)
{
    bool ok = true;
    if (p->live >= STORE_PLACE_RECORDS_MAX)
        ok = evict(s, p, a->source, a->effort);
    ok = ok && make_room(s, p, mine);
    void *bigger =
        !ok ? NULL
            : roomier(s, p->record, &p->cap, p->live, sizeof *p->record, STORE_PLACE_RECORDS_MAX);
    record_ref ref = bigger == NULL ? 0 : record_book_hold(s->book, a->record);
    if (bigger != NULL)
        p->record = bigger;
    if (ref == 0)
        return BAUTA_ELIMIT;
    p->record[p->live++] = (struct store_record){
        .source = a->source, .ref = ref, .tag = tag_of(a->record), .effort = a->effort};
    if (mine != NULL)
        mine->records++;
    s->records++;
    return 0;
}

static int put_record(struct store *s, const struct store_announce *a, struct store_place *p,
                      struct store_source *mine, uint32_t expires_s)
{
    unsigned i = find_record(s, p, a->record);
    if (i == p->live) {
        int rc = buried(p, a->record) ? BAUTA_ESTATE : add_record(s, a, p, mine);
        if (rc != 0)
            return rc;
        i = p->live - 1u;
    }
    struct store_record *x = &p->record[i];
    if (a->version < x->version)
        return 0;
    record_ref ref = record_book_hold(s->book, a->record);
    if (ref == 0)
        return BAUTA_ELIMIT;
    record_book_drop(s->book, x->ref);
    x->ref = ref;
    x->version = a->version;
    x->expires_s = expires_s;
    if (mine != NULL && x->source != a->source) { // its owner has moved
        struct store_source *old = find_source(s, x->source);
        mine->records++;
        old->records--;
        drop_source(s, old);
    }
    x->source = a->source;
    return 0;
}

int store_announce(struct store *s, usec_t now, const struct store_announce *a)
{
    uint16_t ttl_s = a->ttl_s < TTL_S_MIN ? TTL_S_MIN : a->ttl_s > TTL_S_MAX ? TTL_S_MAX : a->ttl_s;
    struct store_place *p = need_place(s, a->place);
    if (p == NULL)
        return BAUTA_ELIMIT;
    expire(s, now, p);
    uint32_t expires_s = seconds_up(now + ttl_s * USEC_PER_S);
    bool ok = !shares_matter(s, s->records + 1, s->stones) || count_sources(s);
    struct store_source *mine = ok && s->counted ? need_source(s, a->source) : NULL;
    int rc = BAUTA_ELIMIT;
    if (mine != NULL) {
        mine->records++; // it stays while room is made, and counts the newcomer
        rc = put_record(s, a, p, mine, expires_s);
        mine->records--;
        drop_source(s, mine);
    } else if (ok && !s->counted) {
        rc = put_record(s, a, p, NULL, expires_s);
    }
    drop_if_empty(s, p);
    return rc;
}

static void bury(struct store *s, usec_t now, struct store_place *p,
                 const uint8_t rec_id[static RECORD_ID_BYTES], uint64_t source)
{
    if (s->stones >= STORE_STONES_MAX || store_bytes(s) + STONE_COST > s->bytes_max ||
        (shares_matter(s, s->records, s->stones + 1) && !count_sources(s)))
        return;
    struct store_source *mine = s->counted ? need_source(s, source) : NULL;
    bool ok = mine != NULL ? mine->stones < STORE_SOURCE_STONES_MAX : !s->counted;
    void *bigger = !ok ? NULL
                       : roomier(s, p->stone, &p->stones_cap, p->buried, sizeof *p->stone,
                                 STORE_PLACE_STONES_MAX);
    if (bigger != NULL) {
        p->stone = bigger;
        struct store_stone *x = &p->stone[p->buried++];
        memcpy(x->rec_id, rec_id, sizeof x->rec_id);
        x->expires_s = seconds_up(now) + STORE_STONE_S;
        x->source = source;
        s->stones++;
        if (mine != NULL)
            mine->stones++;
    }
    drop_source(s, mine);
}

int store_withdraw(struct store *s, usec_t now, const uint8_t place[static 32],
                   const uint8_t rec_id[static RECORD_ID_BYTES], uint64_t source, bool bury_unknown)
{
    struct store_place *p = bury_unknown ? need_place(s, place) : find_place(s, place);
    if (p == NULL)
        return BAUTA_EUNKNOWN;
    expire(s, now, p);
    unsigned i = find_record(s, p, rec_id);
    bool known = i < p->live, was_buried = buried(p, rec_id);
    if (known)
        remove_record(s, p, i);
    if ((known || bury_unknown) && !was_buried)
        bury(s, now, p, rec_id, source);
    drop_if_empty(s, p);
    return known || was_buried ? 0 : BAUTA_EUNKNOWN;
}

// ---- samples --------------------------------------------------------------------------------------

struct picker {
    const struct store_place *p;
    uint16_t set[STORE_PLACE_RECORDS_MAX]; // what is left
    unsigned n;
    uint64_t chosen[DHT_SAMPLE_RECORDS_MAX]; // their sources
    unsigned chosen_n;
    bool repeat; // sources that are in the sample already
    struct tally tally;
};

// 0: not now. Else the least handed out weigh the same, or each source does, however many it has.
static unsigned weight(const struct picker *k, unsigned i, bool least, unsigned fewest)
{
    const struct store_record *x = &k->p->record[k->set[i]];
    unsigned taken = 0; // of the same source
    for (unsigned j = 0; j < k->chosen_n; j++)
        taken += k->chosen[j] == x->source;
    if (taken > 0 && !k->repeat)
        return 0;
    if (least)
        return x->handed <= fewest;
    unsigned here = tally_of(&k->tally, x->source);
    return 65536u / (here > taken ? here - taken : 1u);
}

// Sources that are not in the sample yet come first.
static unsigned pick(struct store *s, struct picker *k, bool least)
{
    unsigned fewest = UINT16_MAX, total = 0, i = 0;
    for (i = 0; least && i < k->n; i++)
        if (weight(k, i, true, UINT16_MAX) > 0 && k->p->record[k->set[i]].handed < fewest)
            fewest = k->p->record[k->set[i]].handed;
    for (i = 0; i < k->n; i++)
        total += weight(k, i, least, fewest);
    if (total == 0) { // every source is
        k->repeat = true;
        return pick(s, k, least);
    }
    unsigned at = (unsigned)rng_below(s->rng, total);
    for (i = 0; i + 1 < k->n && at >= weight(k, i, least, fewest); i++)
        at -= weight(k, i, least, fewest);
    return i;
}

void store_sample(struct store *s, usec_t now, const uint8_t place[static 32],
                  const uint8_t except[static RECORD_ID_BYTES], unsigned max,
                  struct store_sample *out)
{
    out->n = 0;
    struct store_place *p = find_place(s, place);
    if (p == NULL)
        return;
    expire(s, now, p);
    struct picker k;
    unsigned own = find_record(s, p, except);
    k.p = p;
    k.n = k.chosen_n = 0;
    k.repeat = false;
    tally_place(&k.tally, p);
    for (unsigned i = 0; i < p->live; i++)
        if (i != own)
            k.set[k.n++] = (uint16_t)i;
    unsigned own_slot = own < p->live ? tally_slot(&k.tally, p->record[own].source) : 0;
    if (own < p->live && k.tally.here[own_slot] > 1) // a slot is never freed
        k.tally.here[own_slot]--;
    while (out->n < max && k.n > 0) {
        unsigned i = pick(s, &k, out->n < max / 2);
        struct store_record *x = &p->record[k.set[i]];
        k.set[i] = k.set[--k.n];
        x->handed = (uint16_t)(x->handed + (x->handed < UINT16_MAX));
        k.chosen[k.chosen_n++] = x->source;
        out->record[out->n++] = record_book_at(s->book, x->ref);
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
    // Far below, so that each count is paid for by as many records.
    if (s->counted && !shares_matter(s, 2 * s->records, 2 * s->stones))
        uncount(s);
    if (s->places.n == 0) // a quiet store holds no memory
        map_end(&s->places);
    return s->places.n > 0;
}
