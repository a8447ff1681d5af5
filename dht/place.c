// Places, our side: the look-up that finds the holders, announcing, renewing, sampling, withdrawing.
#include "crypto/bytes.h"
#include "dht/internal.h"

#include <sodium.h>

struct place *place_find(const struct dht *d, uint32_t id)
{
    struct place *p = d->places;
    while (p != NULL && p->id != id)
        p = p->next;
    return p;
}

static void arm(struct dht *d, struct place *p)
{
    usec_t at = p->relook_at < p->renew_at ? p->relook_at : p->renew_at;
    timers_arm(&d->timers, &p->timer, at);
}

static void look_up(struct dht *d, struct place *p)
{
    p->relook_at = USEC_NEVER;
    if (p->lookup != 0)
        return;
    p->waiting = dht_live(d) == 0;
    if (p->waiting)
        return;
    uint32_t id = p->id;
    uint32_t lookup = lookup_start(d, p->place, p, CLASS_MEDIUM);
    p = place_find(d, id);
    if (p != NULL && lookup == 0 && p->lookup == 0 && p->relook_at == USEC_NEVER)
        p->relook_at = d->now + RELOOK_MIN_US; // no room for it now
    if (p != NULL)
        arm(d, p);
}

int dht_place_open(struct dht *d, usec_t now, const uint8_t place[static 32], uint32_t user,
                   uint32_t *id)
{
    d->now = now;
    if (d->place_count >= PLACES_MAX)
        return BAUTA_ELIMIT;
    struct place *p = arena_take(d->config.arena, sizeof *p);
    if (p == NULL)
        return BAUTA_ESPACE;
    if (timers_add(&d->timers, &p->timer, TIMER_PLACE, p) != 0) {
        arena_give(d->config.arena, p, sizeof *p);
        return BAUTA_ESPACE;
    }
    p->id = dht_next_id(d);
    p->user = user;
    memcpy(p->place, place, 32);
    ekey_new(d, &p->ekey);
    p->relook_at = p->renew_at = USEC_NEVER;
    p->relook_step = RELOOK_MIN_US;
    p->loss_step = RELOOK_LOSS_US;
    p->next = d->places;
    d->places = p;
    d->place_count++;
    *id = p->id;
    look_up(d, p);
    if (p->waiting) { // it is told at once that nobody is known, and goes on by itself
        p->told_found = true;
        (void)dht_push_event(d, DHT_PLACE_FOUND, p->id, p->user, NULL, 0);
    }
    return 0;
}

void place_wake(struct dht *d)
{
    for (struct place *p = d->places, *next; p != NULL; p = next) {
        next = p->next;
        if (p->waiting)
            look_up(d, p);
    }
}

// ---- announcing -----------------------------------------------------------------------------------

static void sort_u32(uint32_t *x, unsigned n)
{
    for (unsigned i = 1; i < n; i++) {
        uint32_t y = x[i];
        unsigned k = i;
        for (; k > 0 && x[k - 1] > y; k--)
            x[k] = x[k - 1];
        x[k] = y;
    }
}

// Most of the holders are full: medians of what they say. True if that was told.
static bool tell_full(struct dht *d, const struct place *p)
{
    uint32_t hint[HOLDERS_MAX], live[HOLDERS_MAX];
    unsigned full = 0, all = 0;
    for (unsigned i = 0; i < p->holders; i++) {
        const struct holder *h = &p->holder[i];
        if (!h->in_region)
            continue;
        all++;
        if (h->full) {
            hint[full] = h->hint;
            live[full++] = h->live;
        }
    }
    struct dht_event *e =
        2 * full > all ? dht_push_event(d, DHT_FULL, p->id, p->user, NULL, 0) : NULL;
    if (e == NULL)
        return false;
    sort_u32(hint, full);
    sort_u32(live, full);
    e->hint = (uint8_t)hint[full / 2];
    e->count = live[full / 2];
    return true;
}

// Tells once for each announce that every holder has answered or failed.
static void tell_stored(struct dht *d, struct place *p)
{
    if (!p->announcing || !p->found || p->told_stored == p->version)
        return;
    uint32_t hold = 0;
    for (unsigned i = 0; i < p->holders; i++) {
        if (p->holder[i].busy)
            return;
        hold += p->holder[i].version_acked == p->version;
    }
    if (hold == 0 && p->holders == 0)
        return;
    p->told_stored = p->version;
    if (tell_full(d, p))
        return;
    struct dht_event *e = dht_push_event(d, DHT_STORED, p->id, p->user, NULL, 0);
    if (e != NULL)
        e->count = hold;
}

static void announce_to(struct dht *d, struct place *p, struct holder *h)
{
    struct wire_request q;
    memset(&q, 0, sizeof q);
    q.kind = RPC_ANNOUNCE;
    memcpy(q.target, p->place, 32);
    q.ttl_s = p->ttl_s;
    q.version = h->version_sent = p->version;
    memcpy(q.salt, p->salt, RECORD_SALT_BYTES);
    q.effort = p->proof.effort;
    memcpy(q.nonce, p->proof.nonce, sizeof q.nonce);
    memcpy(q.sol, p->proof.sol, sizeof q.sol);
    q.record = p->record;
    struct call_spec spec = {.owner_kind = CALL_HOLDER,
                             .owner = p->id,
                             .place = p->id,
                             .tag = p->version,
                             .ref = h->ref,
                             .ekey = &p->ekey};
    h->busy = call_start(d, &spec, &q, NULL) == 0;
    if (!h->busy && h->failures < UINT8_MAX)
        h->failures++;
}

static void announce_due(struct dht *d, struct place *p, bool renew)
{
    if (!p->announcing || !p->found)
        return;
    for (unsigned i = 0; i < p->holders; i++) {
        struct holder *h = &p->holder[i];
        if (h->in_region && !h->busy && !h->refuses && (renew || h->version_acked != p->version))
            announce_to(d, p, h);
    }
    tell_stored(d, p);
}

static void plan_renewal(struct dht *d, struct place *p)
{
    usec_t ttl = p->ttl_s * USEC_PER_S;
    p->renew_at = d->now + rng_between(&d->config.rng, ttl / 2, ttl * 3 / 4);
    p->loss_step = RELOOK_LOSS_US;
}

static void withdraw_from(struct dht *d, struct place *p, struct holder *h)
{
    struct wire_request q;
    memset(&q, 0, sizeof q);
    q.kind = RPC_WITHDRAW;
    memcpy(q.target, p->place, 32);
    memcpy(q.rec_id, p->record, RECORD_ID_BYTES);
    memcpy(q.salt, p->salt, RECORD_SALT_BYTES);
    struct call_spec spec = {
        .owner_kind = CALL_NOBODY, .place = p->id, .ref = h->ref, .ekey = &p->ekey};
    (void)call_start(d, &spec, &q, NULL);
}

// Withdraws at all that may hold it.
static void withdraw(struct dht *d, struct place *p)
{
    if (p->record == NULL)
        return;
    calls_forget(d, CALL_HOLDER, p->id);
    for (unsigned i = 0; i < p->holders; i++) {
        struct holder *h = &p->holder[i];
        if (h->version_sent > 0 && !h->refuses)
            withdraw_from(d, p, h);
        h->busy = h->refuses = false;
        h->version_sent = h->version_acked = 0;
        h->expires = 0;
    }
    arena_give(d->config.arena, p->record, RECORD_BYTES);
    p->record = NULL;
    p->announcing = false;
    p->renew_at = USEC_NEVER;
}

// Records carry ids that belong to this place's e: the one that was drawn last, or the one in use.
static bool take_salt(struct place *p, const uint8_t rec_id[static RECORD_ID_BYTES])
{
    uint8_t own[RECORD_ID_BYTES];
    record_id(own, p->ekey.pk, p->next_salt);
    if (memcmp(own, rec_id, sizeof own) == 0) {
        memcpy(p->salt, p->next_salt, sizeof p->salt);
        return true;
    }
    record_id(own, p->ekey.pk, p->salt);
    return memcmp(own, rec_id, sizeof own) == 0;
}

int dht_place_record_id(struct dht *d, uint32_t id, uint8_t rec_id[static RECORD_ID_BYTES])
{
    struct place *p = place_find(d, id);
    if (p == NULL)
        return BAUTA_EUNKNOWN;
    rng_fill(&d->config.rng, p->next_salt, sizeof p->next_salt);
    record_id(rec_id, p->ekey.pk, p->next_salt);
    return 0;
}

int dht_place_announce(struct dht *d, usec_t now, uint32_t id,
                       const uint8_t record[static RECORD_BYTES], uint32_t ttl_s,
                       const struct dht_proof *proof)
{
    d->now = now;
    struct place *p = place_find(d, id);
    if (p == NULL)
        return BAUTA_EUNKNOWN;
    if (p->record != NULL && memcmp(p->record, record, RECORD_ID_BYTES) != 0)
        withdraw(d, p);
    if (!take_salt(p, record))
        return BAUTA_EFORMAT;
    if (p->record == NULL)
        p->record = arena_take(d->config.arena, RECORD_BYTES);
    if (p->record == NULL)
        return BAUTA_ESPACE;
    memcpy(p->record, record, RECORD_BYTES);
    p->ttl_s = (uint16_t)(ttl_s < TTL_S_MIN ? TTL_S_MIN : ttl_s > TTL_S_MAX ? TTL_S_MAX : ttl_s);
    p->proof = proof != NULL ? *proof : (struct dht_proof){.effort = 0};
    p->version++;
    p->announcing = true;
    plan_renewal(d, p);
    announce_due(d, p, false);
    if (p->relook_at == USEC_NEVER && p->lookup == 0 && !p->waiting)
        p->relook_at = d->now + RELOOK_MIN_US;
    arm(d, p);
    return 0;
}

int dht_place_withdraw(struct dht *d, usec_t now, uint32_t id)
{
    d->now = now;
    struct place *p = place_find(d, id);
    if (p == NULL)
        return BAUTA_EUNKNOWN;
    withdraw(d, p);
    arm(d, p);
    return 0;
}

// ---- seeking --------------------------------------------------------------------------------------

static struct dht_event *push_sample(struct dht *d, struct place *p, const uint8_t *records,
                                     size_t n, uint32_t count)
{
    struct dht_event *e =
        dht_push_event(d, DHT_SAMPLE, p->id, p->user, n == 0 ? NULL : records, n * RECORD_BYTES);
    if (e == NULL)
        return NULL;
    e->records = e->blob;
    e->blob = NULL;
    e->blob_len = 0;
    e->n = n;
    e->count = count;
    return e;
}

static void tell_sample(struct dht *d, struct place *p, const struct call *c, bool announced)
{
    struct dht_event *e = c == NULL ? push_sample(d, p, NULL, 0, 0)
                                    : push_sample(d, p, c->record, c->records, c->live);
    if (e == NULL)
        return;
    e->announced = announced;
    e->hint = c == NULL ? 0 : c->hint;
    e->full = e->hint > 0;
}

// Two servers alone hold nothing but each other's records. Then, and only then, a node reads its own
// store too; the introduction leads through itself, over its own address.
static void tell_own_sample(struct dht *d, struct place *p)
{
    static const uint8_t nobody[RECORD_ID_BYTES] = {0};
    uint8_t records[DHT_SAMPLE_RECORDS_MAX * RECORD_BYTES];
    struct store_sample s;
    if (!upkeep_serves_any(d) || dht_live(d) > 1)
        return;
    store_sample(&d->server->store, d->now, p->place, p->record != NULL ? p->record : nobody, &s);
    if (s.n == 0)
        return;
    for (unsigned i = 0; i < s.n; i++)
        memcpy(records + i * RECORD_BYTES, s.record[i], RECORD_BYTES);
    (void)push_sample(d, p, records, s.n, s.live);
}

static void seek_at(struct dht *d, struct place *p, book_ref ref)
{
    struct wire_request q;
    memset(&q, 0, sizeof q);
    q.kind = RPC_SEEK;
    memcpy(q.target, p->place, 32);
    if (p->record != NULL)
        memcpy(q.rec_id, p->record, RECORD_ID_BYTES);
    struct call_spec spec = {
        .owner_kind = CALL_HOLDER, .owner = p->id, .place = p->id, .ref = ref, .ekey = &p->ekey};
    if (call_start(d, &spec, &q, NULL) != 0)
        tell_sample(d, p, NULL, false);
}

static void seek(struct dht *d, struct place *p, unsigned holders)
{
    book_ref set[HOLDERS_MAX];
    unsigned n = 0;
    for (unsigned i = 0; i < p->holders; i++)
        if (p->holder[i].in_region)
            set[n++] = p->holder[i].ref;
    for (; holders > 0 && n > 0; holders--) {
        unsigned i = (unsigned)rng_below(&d->config.rng, n);
        seek_at(d, p, set[i]);
        set[i] = set[--n];
    }
}

int dht_place_seek(struct dht *d, usec_t now, uint32_t id, unsigned holders)
{
    d->now = now;
    struct place *p = place_find(d, id);
    if (p == NULL)
        return BAUTA_EUNKNOWN;
    bool any = false;
    for (unsigned i = 0; i < p->holders; i++)
        any |= p->holder[i].in_region;
    if (any)
        seek(d, p, holders);
    else if (p->seeks < holders)
        p->seeks = holders;
    return 0;
}

// ---- holders --------------------------------------------------------------------------------------

static struct holder *holder_find(struct dht *d, struct place *p, book_ref ref)
{
    const uint8_t *pk = dht_entry(d, ref)->contact.pk;
    for (unsigned i = 0; i < p->holders; i++)
        if (memcmp(dht_entry(d, p->holder[i].ref)->contact.pk, pk, 32) == 0)
            return &p->holder[i];
    return NULL;
}

static void holder_remove(struct dht *d, struct place *p, unsigned i)
{
    book_drop(d->config.book, p->holder[i].ref);
    p->holders--;
    memmove(&p->holder[i], &p->holder[i + 1], (p->holders - i) * sizeof p->holder[0]);
}

static void set_region(struct dht *d, struct place *p, const book_ref *region, size_t n)
{
    for (unsigned i = 0; i < p->holders; i++)
        p->holder[i].in_region = false;
    for (size_t i = 0; i < n; i++) {
        struct holder *h = holder_find(d, p, region[i]);
        if (h == NULL && p->holders < HOLDERS_MAX) {
            h = &p->holder[p->holders++];
            memset(h, 0, sizeof *h);
            h->ref = book_keep(d->config.book, region[i]);
        }
        if (h == NULL)
            continue;
        if (h->ref != region[i]) { // the same server under another address
            book_drop(d->config.book, h->ref);
            h->ref = book_keep(d->config.book, region[i]);
        }
        h->in_region = true;
        h->failures = 0;
    }
    // Who is not in the region any more is remembered while it may still hold the record.
    for (unsigned i = 0; i < p->holders;) {
        const struct holder *h = &p->holder[i];
        if (!h->in_region && (h->version_sent == 0 || (h->expires <= d->now && !h->busy)))
            holder_remove(d, p, i);
        else
            i++;
    }
}

void place_looked_up(struct dht *d, struct place *p, struct lookup *l)
{
    book_ref region[LOOKUP_REGION];
    size_t n = lookup_region(d, l, region, LOOKUP_REGION);
    p->lookup = 0;
    if (n > 0)
        set_region(d, p, region, n);
    p->found = p->found || n > 0;
    if (!p->told_found || (p->told_count == 0 && n > 0)) {
        struct dht_event *e = dht_push_event(d, DHT_PLACE_FOUND, p->id, p->user, NULL, 0);
        p->told_found = true;
        p->told_count = (uint32_t)n;
        if (e != NULL)
            e->count = (uint32_t)n;
    }
    if (n >= LOOKUP_REGION) {
        p->relook_at = d->now + RELOOK_FULL_US + rng_below(&d->config.rng, RELOOK_FULL_US / 4);
    } else {
        p->relook_at = d->now + p->relook_step + rng_below(&d->config.rng, p->relook_step / 4);
        p->relook_step = 2 * p->relook_step > RELOOK_MAX_US ? RELOOK_MAX_US : 2 * p->relook_step;
    }
    announce_due(d, p, false);
    if (p->seeks > 0 && n > 0) {
        unsigned seeks = p->seeks;
        p->seeks = 0;
        seek(d, p, seeks);
    }
    arm(d, p);
}

size_t dht_place_region(const struct dht *d, uint32_t id, struct contact *out, size_t max)
{
    const struct place *p = place_find(d, id);
    size_t n = 0;
    book_ref near[HOLDERS_MAX];
    for (unsigned i = 0; p != NULL && i < p->holders; i++) {
        if (!p->holder[i].in_region)
            continue;
        size_t k = n++;
        for (; k > 0 && id_nearer(dht_entry(d, p->holder[i].ref)->id, dht_entry(d, near[k - 1])->id,
                                  p->place);
             k--)
            near[k] = near[k - 1];
        near[k] = p->holder[i].ref;
    }
    for (size_t i = 0; i < n && i < max; i++)
        out[i] = dht_entry(d, near[i])->contact;
    return n < max ? n : max;
}

// ---- answers --------------------------------------------------------------------------------------

static void announced(struct dht *d, struct place *p, const struct call *c,
                      const struct wire_answer *a)
{
    struct holder *h = holder_find(d, p, c->ref);
    if (h == NULL)
        return;
    h->busy = false;
    h->failures = 0;
    if (a != NULL && a->status != RPC_OK) {
        h->refuses = a->status != RPC_FULL;
        h->full = a->status == RPC_FULL;
        h->hint = a->hint;
        h->live = a->live;
        h->version_acked = a->status == RPC_FULL ? h->version_acked : 0;
    } else {
        h->full = false;
        h->version_acked = h->version_sent;
        h->expires = d->now + p->ttl_s * USEC_PER_S;
        tell_sample(d, p, c, true);
        if (h->version_acked != p->version && h->in_region)
            announce_to(d, p, h); // it was replaced while this was on its way
    }
    tell_stored(d, p);
}

void place_answered(struct dht *d, struct call *c, const struct wire_answer *a, bool done)
{
    struct place *p = place_find(d, c->owner);
    if (p == NULL || !done)
        return;
    if (c->kind == RPC_SEEK)
        tell_sample(d, p, c, false);
    else
        announced(d, p, c, a);
    tell_own_sample(d, p);
}

void place_failed(struct dht *d, struct call *c)
{
    struct place *p = place_find(d, c->owner);
    if (p == NULL)
        return;
    struct holder *h = holder_find(d, p, c->ref);
    if (c->kind == RPC_SEEK)
        tell_sample(d, p, NULL, false);
    if (h != NULL) {
        if (c->kind == RPC_ANNOUNCE) {
            h->busy = false;
            h->version_acked = 0; // a renewal that failed is tried again after the look-up
        }
        // It may have got there all the same; until then it counts as holding it for the withdrawal.
        h->expires = d->now + p->ttl_s * USEC_PER_S;
        if (++h->failures >= HOLDER_FAILURES_MAX)
            h->in_region = false;
    }
    // A holder that answers questions but never stores must not keep us looking up for ever.
    if (p->relook_at > d->now + p->loss_step) {
        p->relook_at = d->now + p->loss_step;
        p->loss_step = 2 * p->loss_step > RELOOK_MAX_US ? RELOOK_MAX_US : 2 * p->loss_step;
    }
    tell_stored(d, p);
    arm(d, p);
}

void place_timer(struct dht *d, struct place *p)
{
    uint32_t id = p->id;
    if (p->renew_at <= d->now) {
        plan_renewal(d, p);
        announce_due(d, p, true);
    }
    if (p->relook_at <= d->now)
        look_up(d, p);
    p = place_find(d, id);
    if (p != NULL)
        arm(d, p);
}

// ---- introducers ----------------------------------------------------------------------------------

// A ping with the place's e, so that the attend that follows has its token.
static void fetch_token(struct dht *d, struct place *p, book_ref ref)
{
    const struct session *s = ekey_find(d, &p->ekey, ref);
    if (s != NULL && s->has_token)
        return;
    struct wire_request q;
    memset(&q, 0, sizeof q);
    q.kind = RPC_PING;
    struct call_spec spec = {
        .owner_kind = CALL_TOKEN, .owner = p->id, .place = p->id, .ref = ref, .ekey = &p->ekey};
    (void)call_start(d, &spec, &q, NULL);
}

struct known {
    book_ref ref;
    bool outside;
};

static bool add_known(struct dht *d, struct known *known, size_t *n, size_t max, book_ref ref)
{
    const uint8_t *pk = dht_entry(d, ref)->contact.pk;
    for (size_t i = 0; i < *n; i++)
        if (memcmp(dht_entry(d, known[i].ref)->contact.pk, pk, 32) == 0)
            return false;
    if (*n < max)
        known[(*n)++] = (struct known){ref, true};
    return true;
}

// Everybody who may be an introducer, nearest to the place first, with the region marked: the holders
// once they are known, else the nearest eight of what is known.
static size_t gather(struct dht *d, struct place *p, struct known *known, size_t max)
{
    book_ref all[TABLE_K * 2];
    size_t n = 0;
    for (unsigned i = 0; i < p->holders; i++)
        if (p->holder[i].in_region)
            (void)add_known(d, known, &n, max, p->holder[i].ref);
    for (unsigned f = 0; f < 2; f++) {
        size_t count = d->table[f] == NULL ? 0 : table_nearest(d->table[f], p->place, all, TABLE_K);
        for (size_t i = 0; i < count; i++)
            (void)add_known(d, known, &n, max, all[i]);
        count = d->table[f] == NULL ? 0 : table_list(d->table[f], all, TABLE_K * 2);
        for (size_t i = 0; i < count; i++)
            (void)add_known(d, known, &n, max, all[i]);
    }
    for (size_t i = 1; i < n; i++) {
        struct known x = known[i];
        size_t k = i;
        for (; k > 0 &&
               id_nearer(dht_entry(d, x.ref)->id, dht_entry(d, known[k - 1].ref)->id, p->place);
             k--)
            known[k] = known[k - 1];
        known[k] = x;
    }
    for (size_t i = 0; i < n; i++) {
        const struct holder *h = holder_find(d, p, known[i].ref);
        known[i].outside = p->found ? h == NULL : i >= LOOKUP_REGION;
    }
    return n;
}

size_t dht_place_introducers(struct dht *d, uint32_t id,
                             struct contact out[static DHT_INTRODUCERS_MAX])
{
    struct place *p = place_find(d, id);
    struct known known[TABLE_K * 8];
    book_ref chosen[DHT_INTRODUCERS_MAX], ladder[TABLE_K * 8];
    size_t n = 0;
    if (p == NULL)
        return 0;
    size_t all = gather(d, p, known, sizeof known / sizeof known[0]), outside = 0;
    for (size_t i = 0; i < all; i++)
        if (known[i].outside)
            ladder[outside++] = known[i].ref;
    for (size_t i = outside; i > 1; i--) { // in random order
        size_t j = (size_t)rng_below(&d->config.rng, i);
        book_ref x = ladder[i - 1];
        ladder[i - 1] = ladder[j];
        ladder[j] = x;
    }
    for (unsigned step = 0; step < 2; step++) // (a) of different coarse prefixes, (b) any
        for (size_t i = 0; i < outside && n < DHT_INTRODUCERS_MAX; i++) {
            if (ladder[i] == 0)
                continue;
            const struct path *path = &dht_entry(d, ladder[i])->contact.path;
            if (step == 0 && d->config.prefix_limits &&
                !prefix_room(d->config.book, chosen, n, path, UINT32_MAX, 1))
                continue;
            chosen[n++] = ladder[i];
            ladder[i] = 0;
        }
    if (n == 0) // (c) inside, farthest first
        for (size_t i = all; i > 0 && n < DHT_INTRODUCERS_MAX; i--)
            chosen[n++] = known[i - 1].ref;
    for (size_t i = 0; i < n; i++) {
        out[i] = dht_entry(d, chosen[i])->contact;
        fetch_token(d, p, chosen[i]);
    }
    return n;
}

void dht_place_close(struct dht *d, usec_t now, uint32_t id)
{
    d->now = now;
    struct place *p = place_find(d, id);
    if (p == NULL)
        return;
    attends_place_gone(d, id);
    withdraw(d, p);
    calls_forget(d, CALL_HOLDER, id);
    if (p->lookup != 0)
        lookup_cancel(d, p->lookup);
    struct place **at = &d->places;
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    d->place_count--;
    while (p->holders > 0)
        holder_remove(d, p, p->holders - 1u);
    timers_remove(&d->timers, &p->timer);
    ekey_end(d, &p->ekey);
    arena_give(d->config.arena, p, sizeof *p);
}
