// What is done at the holders of a place: announcing, renewing, sampling, withdrawing.
#include "crypto/bytes.h"
#include "dht/internal.h"

#include <sodium.h>

// ---- what is told ---------------------------------------------------------------------------------

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

// Medians of what those say who are full. With `most`: only if they are most of all. True if it was told.
bool publish_tell_full(struct dht *d, struct place *p, bool most)
{
    uint32_t hint[HOLDERS_MAX], live[HOLDERS_MAX];
    unsigned full = 0, all = 0;
    for (unsigned i = 0; i < p->holders; i++) {
        const struct holder *h = &p->holder[i];
        all += h->in_region;
        if (!h->in_region || !h->full)
            continue;
        hint[full] = h->hint;
        live[full++] = h->live;
    }
    if (full == 0 || (most && 2 * full <= all))
        return false;
    struct dht_event *e = dht_push_event(d, DHT_FULL, p->id, p->user, NULL, 0);
    sort_u32(hint, full);
    sort_u32(live, full);
    if (e != NULL) {
        e->hint = (uint8_t)hint[full / 2];
        e->count = live[full / 2];
    }
    p->full = true;
    return true;
}

// How far the announce has come.
struct progress {
    unsigned all, hold, full, waiting, late, efforts;
    uint32_t effort[HOLDERS_MAX];
};

static void progress_of(const struct place *p, struct progress *x)
{
    x->all = x->hold = x->full = x->waiting = x->late = x->efforts = 0;
    for (unsigned i = 0; i < p->holders; i++) {
        const struct holder *h = &p->holder[i];
        x->waiting += h->busy && !h->late;
        x->late += h->busy && h->late;
        x->hold += h->version_acked == p->version;
        if (!h->in_region)
            continue;
        x->all++;
        x->full += h->full;
        if (h->effort > p->proof.effort)
            x->effort[x->efforts++] = h->effort;
    }
}

static void tell_effort(struct dht *d, struct place *p, struct progress *x)
{
    if (2 * x->efforts <= x->all || p->told_effort == p->version)
        return;
    sort_u32(x->effort, x->efforts);
    struct dht_event *e = dht_push_event(d, DHT_EFFORT, p->id, p->user, NULL, 0);
    if (e != NULL)
        e->count = x->effort[x->efforts * 3 / 4];
    p->told_effort = p->version;
}

// Once for each announce, when so many hold the record that every reader comes to one of them: all that
// answer, or most of them while others are slow; before the look-up has ended, as many as a region has.
void publish_tell(struct dht *d, struct place *p)
{
    struct progress x;
    if (!p->announcing || p->full || p->told_stored == p->version)
        return;
    progress_of(p, &x);
    if (p->found) {
        if (x.all == 0 || x.waiting > 0 || (x.late > 0 && 4 * x.hold < 3 * x.all))
            return;
    } else if (x.hold < REGION_LIVE) {
        return;
    }
    if (x.full > 0 && publish_tell_full(d, p, true))
        return;
    tell_effort(d, p, &x);
    if (x.hold == 0 && x.efforts > 0)
        return;
    p->told_stored = p->version;
    if (p->announced_at != USEC_NEVER) {
        struct dht_lookup_stat stat = {
            .took_us = d->now - p->announced_at, .ok = x.hold > 0, .stored = true, .place = p->id};
        dht_note_stat(d, &stat);
        p->announced_at = USEC_NEVER;
    }
    struct dht_event *e = dht_push_event(d, DHT_STORED, p->id, p->user, NULL, 0);
    if (e != NULL)
        e->count = x.hold;
}

// ---- announcing -----------------------------------------------------------------------------------

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
    h->late = false;
    h->busy = call_start(d, &spec, &q, NULL) == 0;
    if (!h->busy && h->failures < UINT8_MAX)
        h->failures++;
}

// Is there anything to announce to it?
static bool is_due(const struct place *p, const struct holder *h, bool renew)
{
    return p->announcing && !p->full && h->in_region && !h->busy && !h->refuses && !h->full &&
           h->effort <= p->proof.effort && (renew || h->version_acked != p->version);
}

void publish_to(struct dht *d, struct place *p, struct holder *h)
{
    if (is_due(p, h, false))
        announce_to(d, p, h);
}

void publish_due(struct dht *d, struct place *p, bool renew)
{
    for (unsigned i = 0; i < p->holders; i++)
        if (is_due(p, &p->holder[i], renew))
            announce_to(d, p, &p->holder[i]);
    publish_tell(d, p);
}

static void plan_renewal(struct dht *d, struct place *p)
{
    usec_t ttl = p->ttl_s * USEC_PER_S;
    p->renew_at = d->now + rng_between(&d->config.rng, ttl / 2, ttl * 3 / 4);
    p->loss_step = RELOOK_LOSS_US;
}

// Who was full is asked again by then.
void publish_renew(struct dht *d, struct place *p)
{
    plan_renewal(d, p);
    for (unsigned i = 0; i < p->holders && !p->full; i++)
        p->holder[i].full = false;
    publish_due(d, p, true);
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

static void drop_record(struct dht *d, struct place *p)
{
    if (p->own != 0)
        record_book_drop(d->config.records, p->own);
    else
        arena_give(d->config.arena, (void *)(uintptr_t)p->record, RECORD_BYTES);
    p->record = NULL;
    p->own = 0;
}

// In the book, where holders of the same process have it too; strangers' records can fill that, so a copy
// is good as well.
static bool keep_record(struct dht *d, struct place *p, const uint8_t record[static RECORD_BYTES])
{
    uint8_t *copy = NULL;
    record_ref own = 0;
    if (d->config.records != NULL) {
        record_book_seed(d->config.records, &d->config.rng);
        own = record_book_hold(d->config.records, record);
    }
    if (own == 0) {
        copy = arena_take(d->config.arena, RECORD_BYTES);
        if (copy == NULL)
            return false;
        memcpy(copy, record, RECORD_BYTES);
    }
    drop_record(d, p);
    p->own = own;
    p->record = own != 0 ? record_book_at(d->config.records, own) : copy;
    return true;
}

// Withdraws at all that may hold it.
void publish_withdraw(struct dht *d, struct place *p)
{
    if (p->record == NULL)
        return;
    calls_forget(d, CALL_HOLDER, p->id);
    for (unsigned i = 0; i < p->holders; i++) {
        struct holder *h = &p->holder[i];
        if (h->version_sent > 0 && !h->refuses)
            withdraw_from(d, p, h);
        h->busy = h->late = h->refuses = false;
        h->effort = 0;
        h->version_sent = h->version_acked = 0;
        h->expires = 0;
    }
    drop_record(d, p);
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
        publish_withdraw(d, p);
    if (!take_salt(p, record))
        return BAUTA_EFORMAT;
    // The same record with a proof is news only to those who wanted one.
    bool news = p->version == 0 || !p->announcing || p->record == NULL ||
                memcmp(p->record, record, RECORD_BYTES) != 0;
    if (news && !keep_record(d, p, record))
        return BAUTA_ESPACE;
    p->ttl_s = (uint16_t)(ttl_s < TTL_S_MIN ? TTL_S_MIN : ttl_s > TTL_S_MAX ? TTL_S_MAX : ttl_s);
    p->proof = proof != NULL ? *proof : (struct dht_proof){.effort = 0};
    p->version += news;
    if (news)
        p->announced_at = now;
    p->told_stored = p->told_effort = 0;
    p->announcing = true;
    if (p->full) { // perhaps not any more
        p->full = false;
        for (unsigned i = 0; i < p->holders; i++)
            p->holder[i].full = false;
        p->relook_at = d->now;
    }
    plan_renewal(d, p);
    publish_due(d, p, false);
    if (p->relook_at == USEC_NEVER && p->lookup == 0 && !p->waiting)
        p->relook_at = d->now + RELOOK_MIN_US;
    place_arm(d, p);
    return 0;
}

int dht_place_withdraw(struct dht *d, usec_t now, uint32_t id)
{
    d->now = now;
    struct place *p = place_find(d, id);
    if (p == NULL)
        return BAUTA_EUNKNOWN;
    publish_withdraw(d, p);
    place_arm(d, p);
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
    e->answered = true;
    return e;
}

void publish_sample(struct dht *d, struct place *p, const struct call *c, bool announced)
{
    struct dht_event *e = c == NULL ? push_sample(d, p, NULL, 0, 0)
                                    : push_sample(d, p, c->record, c->records, c->live);
    if (e == NULL)
        return;
    e->answered = c != NULL;
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
    store_sample(&d->server->store, d->now, p->place, p->record != NULL ? p->record : nobody,
                 DHT_SAMPLE_RECORDS_MAX, &s);
    if (s.n == 0)
        return;
    for (unsigned i = 0; i < s.n; i++)
        memcpy(records + i * RECORD_BYTES, s.record[i], RECORD_BYTES);
    struct store_view v;
    store_view(&d->server->store, d->now, p->place, 0, NULL, &v);
    (void)push_sample(d, p, records, s.n, v.live);
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
        publish_sample(d, p, NULL, false);
}

// At random ones of those that are known. Returns how many it asked.
static unsigned seek(struct dht *d, struct place *p, unsigned holders)
{
    book_ref set[HOLDERS_MAX];
    unsigned n = 0, asked = 0;
    for (unsigned i = 0; i < p->holders; i++)
        if (p->holder[i].in_region)
            set[n++] = p->holder[i].ref;
    for (; asked < holders && n > 0; asked++) {
        unsigned i = (unsigned)rng_below(&d->config.rng, n);
        seek_at(d, p, set[i]);
        set[i] = set[--n];
    }
    return asked;
}

void publish_seeks(struct dht *d, struct place *p, struct holder *h)
{
    if (p->seeks == 0)
        return;
    if (h == NULL) { // the look-up has ended
        if (seek(d, p, p->seeks) > 0)
            p->seeks = 0;
        return;
    }
    p->seeks--;
    seek_at(d, p, h->ref);
}

int dht_place_seek(struct dht *d, usec_t now, uint32_t id, unsigned holders)
{
    d->now = now;
    struct place *p = place_find(d, id);
    if (p == NULL)
        return BAUTA_EUNKNOWN;
    unsigned asked = seek(d, p, holders);
    // What is missing is asked as soon as somebody is known.
    if ((asked == 0 || p->lookup != 0) && p->seeks < holders - asked)
        p->seeks = holders - asked;
    return 0;
}

// ---- answers --------------------------------------------------------------------------------------

// It refused what was sent once: nothing is there to be withdrawn. A second datagram on its way might
// still be taken.
static void never_stored(struct holder *h, const struct call *c)
{
    if (c->sendings == 1 && h->version_acked == 0)
        h->version_sent = 0;
}

static void announced(struct dht *d, struct place *p, const struct call *c,
                      const struct wire_answer *a)
{
    struct holder *h = place_holder(d, p, c->ref);
    if (h == NULL)
        return;
    h->busy = h->late = false;
    h->failures = 0;
    h->full = false;
    if (a == NULL || a->status == RPC_OK) {
        h->effort = 0;
        h->version_acked = h->version_sent;
        h->expires = d->now + p->ttl_s * USEC_PER_S;
        publish_sample(d, p, c, true);
        if (h->version_acked != p->version)
            publish_to(d, p, h); // it was replaced while this was on its way
    } else if (a->status == RPC_FULL) {
        h->full = true;
        h->hint = a->hint;
        h->live = a->live;
        never_stored(h, c);
    } else if (a->status == RPC_EFFORT) {
        h->effort = a->effort;
        never_stored(h, c);
    } else {
        h->refuses = true;
        h->version_acked = 0;
    }
    publish_tell(d, p);
}

// Who took nobody when the record went out takes it as soon as it is heard that it has room again: of two
// who announced while half of the holders were full, each has some to itself.
static void has_room(struct dht *d, struct place *p, const struct call *c)
{
    struct holder *h = place_holder(d, p, c->ref);
    if (h == NULL || !h->full || c->hint > 0)
        return;
    h->full = false;
    publish_to(d, p, h);
}

void publish_answered(struct dht *d, struct call *c, const struct wire_answer *a, bool done)
{
    struct place *p = place_find(d, c->owner);
    if (p == NULL || !done)
        return;
    if (c->kind == RPC_SEEK) {
        publish_sample(d, p, c, false);
        has_room(d, p, c);
    } else
        announced(d, p, c, a);
    tell_own_sample(d, p);
}

void publish_late(struct dht *d, struct call *c)
{
    struct place *p = place_find(d, c->owner);
    struct holder *h = p == NULL ? NULL : place_holder(d, p, c->ref);
    if (h == NULL || c->kind != RPC_ANNOUNCE)
        return;
    h->late = true;
    publish_tell(d, p);
}
