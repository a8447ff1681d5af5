// Joining and staying: bootstraps, the own address and centre, newcomers, dead contacts, refresh.
#include "crypto/bytes.h"
#include "dht/internal.h"

#include <sodium.h>

static uint32_t seconds(const struct dht *d)
{
    return (uint32_t)(d->now / USEC_PER_S);
}

int upkeep_new(struct dht *d)
{
    struct upkeep *u = &d->upkeep;
    u->bootstrap_at = u->centre_at = u->refresh_at = u->joined_at = USEC_NEVER;
    u->bootstrap_step = BOOTSTRAP_RETRY_MIN_US;
    u->centre_step = CENTRE_RETRY_MIN_US;
    return timers_add(&d->timers, &u->timer, TIMER_UPKEEP, d);
}

void upkeep_free(struct dht *d)
{
    arena_give(d->config.arena, d->upkeep.bootstrap, BOOTSTRAPS_MAX * sizeof(struct contact));
    for (unsigned f = 0; f < 2; f++)
        if (d->table[f] != NULL) {
            table_end(d->table[f]);
            arena_give(d->config.arena, d->table[f], sizeof *d->table[f]);
        }
    timers_remove(&d->timers, &d->upkeep.timer);
}

void upkeep_arm(struct dht *d)
{
    const struct upkeep *u = &d->upkeep;
    usec_t at = u->bootstrap_at < u->centre_at ? u->bootstrap_at : u->centre_at;
    timers_arm(&d->timers, &d->upkeep.timer, u->refresh_at < at ? u->refresh_at : at);
}

static void put_self(const struct dht *d, struct wire_request *q)
{
    if (!d->config.server)
        return;
    q->has_self = true;
    memcpy(q->pk, d->pk, 32);
    memcpy(q->puzzle_nonce, d->config.puzzle_nonce, PUZZLE_NONCE_BYTES);
}

static void ping(struct dht *d, book_ref ref, enum call_owner owner, uint8_t sendings)
{
    struct wire_request q;
    memset(&q, 0, sizeof q);
    q.kind = RPC_PING;
    struct call_spec spec = {
        .owner_kind = owner, .ref = ref, .class_min = CLASS_SMALL, .sendings_max = sendings};
    if (call_start(d, &spec, &q, NULL) == 0 && owner == CALL_VERIFY)
        d->upkeep.verifying++;
}

// ---- bootstraps -----------------------------------------------------------------------------------

// A server asks with so many bytes that answer and verifying ping are no more (PROTOCOL 2).
static uint16_t first_find_class(const struct dht *d)
{
    return d->config.server ? CLASS_FULL : CLASS_MEDIUM;
}

static void bootstrap(struct dht *d)
{
    struct upkeep *u = &d->upkeep;
    u->bootstrap_at = USEC_NEVER;
    if (u->bootstraps == 0 || dht_live(d) > 0)
        return;
    for (unsigned i = 0; i < u->bootstraps; i++) {
        struct wire_request q;
        memset(&q, 0, sizeof q);
        q.kind = RPC_FIND;
        q.want = WIRE_WANT_V4 | WIRE_WANT_V6;
        q.bits = 256;
        rng_fill(&d->config.rng, q.target, 32);
        put_self(d, &q);
        book_ref ref = dht_hold(d, &u->bootstrap[i]);
        struct call_spec spec = {.owner_kind = CALL_BOOTSTRAP,
                                 .ref = ref,
                                 .class_min = first_find_class(d),
                                 .sendings_max = 1}; // it is retried anyhow
        if (ref != 0)
            (void)call_start(d, &spec, &q, NULL);
        book_drop(d->config.book, ref);
    }
    u->bootstrap_at = d->now + u->bootstrap_step;
    u->bootstrap_step = 2 * u->bootstrap_step > BOOTSTRAP_RETRY_MAX_US ? BOOTSTRAP_RETRY_MAX_US
                                                                       : 2 * u->bootstrap_step;
}

int dht_bootstrap(struct dht *d, usec_t now, const struct contact *c)
{
    struct upkeep *u = &d->upkeep;
    d->now = now;
    if (d->config.server && memcmp(c->pk, d->pk, 32) == 0)
        return 0; // ourselves: nothing to ask
    if (u->bootstrap == NULL)
        u->bootstrap = arena_take(d->config.arena, BOOTSTRAPS_MAX * sizeof *u->bootstrap);
    if (u->bootstrap == NULL || u->bootstraps == BOOTSTRAPS_MAX)
        return BAUTA_ELIMIT;
    for (unsigned i = 0; i < u->bootstraps; i++)
        if (memcmp(u->bootstrap[i].pk, c->pk, 32) == 0 &&
            path_equal(&u->bootstrap[i].path, &c->path))
            return 0;
    u->bootstrap[u->bootstraps++] = *c;
    if (dht_live(d) == 0) {
        u->bootstrap_step = BOOTSTRAP_RETRY_MIN_US;
        u->bootstrap_at = now;
        upkeep_arm(d);
    }
    return 0;
}

// ---- the own address and centre -------------------------------------------------------------------

static void look_at_centre(struct dht *d)
{
    struct upkeep *u = &d->upkeep;
    u->centre_at = u->lookup != 0 ? d->now + CENTRE_RETRY_MIN_US : USEC_NEVER;
    if (u->lookup != 0 || dht_live(d) == 0)
        return;
    u->looks = (uint8_t)(u->looks + (u->looks < UINT8_MAX));
    u->fill = u->looks == FILL_FIRST_LOOK || u->looks == FILL_SECOND_LOOK ? 0 : TABLE_BUCKETS;
    u->centre_at = d->now + u->centre_step + rng_below(&d->config.rng, u->centre_step / 4);
    u->centre_step =
        2 * u->centre_step > CENTRE_RETRY_MAX_US ? CENTRE_RETRY_MAX_US : 2 * u->centre_step;
    if (u->centre_step == CENTRE_RETRY_MAX_US) // a family may have come meanwhile
        memset(u->unheard_family, 0, sizeof u->unheard_family);
    bool wide = d->now - u->joined_at < CENTRE_WIDE_FOR_US;
    unsigned family = d->table[0] != NULL && d->table[0]->live > 0 ? 0 : 1;
    uint8_t target[32];
    memcpy(target, d->centre[family], 32);
    if (!u->own_centre[family]) // random bytes that would tell one run from all others
        dht_blur(d, target, dht_zone_bits(d));
    (void)lookup_start(d, target, NULL, wide ? first_find_class(d) : CLASS_CHAT);
}

static void recentre(struct dht *d, unsigned f, const struct path *seen)
{
    struct upkeep *u = &d->upkeep;
    uint8_t id[32];
    node_id(id, &d->config.net, d->pk, d->config.puzzle_nonce, seen->family, path_id_prefix(seen));
    u->own_centre[f] = true;
    u->centre_seen[f] = *seen;
    if (memcmp(id, d->centre[f], 32) == 0)
        return;
    memcpy(d->centre[f], id, 32);
    if (d->table[f] != NULL)
        table_recentre(d->table[f], id);
    if (d->server != NULL)
        memcpy(d->server->store.centre, id, 32);
    u->centre_step = CENTRE_RETRY_MIN_US;
    u->centre_at = d->now;
    u->looks = 0;
    upkeep_arm(d);
}

static void count_votes(const struct upkeep *u, const struct path *seen, unsigned *exact,
                        unsigned *prefix)
{
    struct prefix b = path_fine(seen);
    *exact = *prefix = 0;
    for (unsigned i = 0; i < SEEN_VOTES; i++) {
        const struct vote *w = &u->vote[i];
        if (w->who == 0 || w->seen.family != seen->family)
            continue;
        struct prefix a = path_fine(&w->seen);
        *exact += path_equal(&w->seen, seen);
        *prefix += memcmp(&a, &b, sizeof a) == 0;
    }
}

// What servers say our address is; two that agree are believed, one where there is only one. What is
// believed stays until more say otherwise: else two liars could move the table about at every answer.
static void vote(struct dht *d, const struct call *c, const struct path *seen)
{
    struct upkeep *u = &d->upkeep;
    uint64_t who = dht_tag(d, dht_entry(d, c->ref)->contact.pk);
    struct vote *v = NULL;
    for (unsigned i = 0; i < SEEN_VOTES && v == NULL; i++)
        if (u->vote[i].who == who && u->vote[i].seen.family == seen->family)
            v = &u->vote[i];
    if (v == NULL)
        v = &u->vote[u->vote_next++ % SEEN_VOTES];
    v->who = who;
    v->seen = *seen;
    unsigned f = seen->family == 4 ? 0 : 1;
    unsigned exact, prefix, old_exact = 0, old_prefix = 0, unused;
    count_votes(u, seen, &exact, &prefix);
    if (u->seen.family == seen->family && !path_equal(&u->seen, seen))
        count_votes(u, &u->seen, &old_exact, &unused);
    struct prefix new = path_fine(seen), old = path_fine(&u->centre_seen[f]);
    if (u->own_centre[f] && memcmp(&new, &old, sizeof new) != 0)
        count_votes(u, &u->centre_seen[f], &unused, &old_prefix);
    unsigned need = dht_live(d) <= 1 ? 1 : SEEN_AGREE;
    if (exact >= need && exact > old_exact)
        u->seen = *seen;
    if (prefix >= need && prefix > old_prefix && d->config.server)
        recentre(d, f, seen);
}

// ---- who is alive ---------------------------------------------------------------------------------

static struct table *table_for(struct dht *d, uint8_t family)
{
    unsigned f = family == 4 ? 0 : 1;
    if (d->table[f] == NULL) {
        d->table[f] = arena_take(d->config.arena, sizeof *d->table[f]);
        if (d->table[f] != NULL)
            table_init(d->table[f], d->config.arena, d->config.book, d->config.prefix_limits,
                       d->centre[f]);
    }
    return d->table[f];
}

static void first_heard(struct dht *d)
{
    struct upkeep *u = &d->upkeep;
    if (u->joined_at == USEC_NEVER)
        u->joined_at = d->now;
    u->bootstrap_at = USEC_NEVER;
    u->bootstrap_step = BOOTSTRAP_RETRY_MIN_US;
    u->centre_step = CENTRE_RETRY_MIN_US;
    u->centre_at = d->now;
    if (u->refresh_at == USEC_NEVER)
        u->refresh_at = d->now + REFRESH_TICK_US + rng_below(&d->config.rng, REFRESH_TICK_US);
    upkeep_arm(d);
}

bool upkeep_family_works(const struct dht *d, uint8_t family)
{
    unsigned f = family == 4 ? 0 : 1;
    return d->upkeep.heard_family[f] || d->upkeep.unheard_family[f] < FAMILY_FAILURES_MAX;
}

book_ref upkeep_heard(struct dht *d, struct call *c, const struct wire_answer *a)
{
    struct contact contact = dht_entry(d, c->ref)->contact;
    if (a->status == RPC_OK && (c->kind == RPC_PING || c->kind == RPC_FIND))
        memcpy(contact.puzzle_nonce, a->puzzle_nonce, PUZZLE_NONCE_BYTES);
    if (c->owner_kind == CALL_VERIFY && d->upkeep.verifying > 0 && !c->failed)
        d->upkeep.verifying--;
    d->upkeep.heard_family[contact.path.family == 4 ? 0 : 1] = true;
    if (!dht_contact_ok(d, &contact, true))
        return 0;
    book_ref ref = dht_hold(d, &contact), check;
    struct table *t = ref == 0 ? NULL : table_for(d, contact.path.family);
    if (t == NULL)
        return ref;
    bool first = dht_live(d) == 0;
    enum table_result added = table_answered(t, ref, seconds(d), &check);
    if (a->status == RPC_OK &&
        (c->kind == RPC_PING || c->kind == RPC_FIND || c->kind == RPC_ATTEND))
        vote(d, c, &a->seen);
    if (first && dht_live(d) > 0)
        first_heard(d);
    if (added == TABLE_SPARE && check != 0)
        ping(d, check, CALL_CHECK, 0);
    return ref;
}

void upkeep_unheard(struct dht *d, struct call *c)
{
    struct upkeep *u = &d->upkeep;
    const struct contact *contact = &dht_entry(d, c->ref)->contact;
    if (c->owner_kind == CALL_VERIFY && u->verifying > 0)
        u->verifying--;
    unsigned family = contact->path.family == 4 ? 0 : 1;
    if (!u->heard_family[family] && u->unheard_family[family] < FAMILY_FAILURES_MAX &&
        c->owner_kind != CALL_BOOTSTRAP && c->owner_kind != CALL_VERIFY)
        u->unheard_family[family]++; // of newcomers anybody can make up as many as he likes
    struct table *t = d->table[family];
    if (t == NULL)
        return;
    // One failure may be bad luck: ask once more before it stops being handed out.
    if (table_failed(t, contact->pk, &contact->path) && c->owner_kind != CALL_CHECK)
        ping(d, c->ref, CALL_CHECK, 0);
    if (dht_live(d) == 0 && u->bootstraps > 0 && u->bootstrap_at == USEC_NEVER) {
        u->bootstrap_at = d->now + u->bootstrap_step;
        upkeep_arm(d);
    }
}

// ---- newcomers ------------------------------------------------------------------------------------

static bool being_verified(const struct dht *d, const struct contact *c)
{
    for (const struct call *x = d->calls; x != NULL; x = x->next) {
        if (x->owner_kind != CALL_VERIFY || x->failed)
            continue;
        const struct contact *y = &dht_entry(d, x->ref)->contact;
        if (memcmp(y->pk, c->pk, 32) == 0 && path_equal(&y->path, &c->path))
            return true;
    }
    return false;
}

// Pings it if the table wants it. Without proof that the address is its own it gets one datagram only.
static void try_contact(struct dht *d, const struct contact *c, bool proven)
{
    unsigned max = proven ? VERIFY_MAX : VERIFY_UNPROVEN_MAX;
    if (d->upkeep.verifying >= max || !dht_contact_ok(d, c, true) || being_verified(d, c))
        return;
    struct table *t = table_for(d, c->path.family);
    if (t == NULL || table_has(t, c->pk, &c->path))
        return;
    book_ref ref = dht_hold(d, c);
    if (ref == 0)
        return;
    if (table_wants(t, dht_entry(d, ref)->id, &c->path))
        ping(d, ref, CALL_VERIFY, proven ? 0 : 1);
    book_drop(d->config.book, ref);
}

void upkeep_candidate(struct dht *d, const struct path *from, const struct wire_request *q,
                      bool proven)
{
    struct contact c;
    memset(&c, 0, sizeof c);
    memcpy(c.pk, q->pk, 32);
    memcpy(c.puzzle_nonce, q->puzzle_nonce, PUZZLE_NONCE_BYTES);
    c.path = *from;
    try_contact(d, &c, proven);
}

// A random id that shares exactly `bits` with the centre.
static void random_in_bucket(struct dht *d, const uint8_t centre[static 32], unsigned bits,
                             uint8_t target[static 32])
{
    memcpy(target, centre, 32);
    dht_blur(d, target, bits);
    uint8_t bit = (uint8_t)(0x80u >> bits % 8);
    target[bits / 8] = (uint8_t)((target[bits / 8] & (uint8_t)~bit) | (~centre[bits / 8] & bit));
}

// The farther half of a network is in bucket 0, and look-ups of the own centre never go there: without
// contacts in each of the farther buckets no look-up would find its way. The deepest few buckets have
// too few servers to be filled, and the look-up of the centre has met them anyway.
static void fill_farther(struct dht *d)
{
    struct upkeep *u = &d->upkeep;
    const struct table *t = d->table[d->table[0] != NULL && d->table[0]->live > 0 ? 0 : 1];
    unsigned deepest = 0;
    for (unsigned i = 0; t != NULL && i < TABLE_BUCKETS; i++)
        deepest = t->bucket[i].n > 0 ? i : deepest;
    while (u->fill + FILL_SPARE_BUCKETS < deepest) {
        unsigned i = u->fill++;
        if (t->bucket[i].n >= TABLE_K / 2)
            continue;
        uint8_t target[32];
        random_in_bucket(d, t->centre, i, target);
        (void)lookup_start(d, target, NULL, first_find_class(d));
        return;
    }
}

// The own look-up has asked the nearest; of the others that it heard of some may fill farther buckets.
void upkeep_looked_up(struct dht *d, const struct lookup *l)
{
    d->upkeep.lookup = 0;
    for (unsigned i = 0, tried = 0; i < l->n && tried < LOOKUP_PINGS_MAX; i++) {
        unsigned before = d->upkeep.verifying;
        if (l->cand[i].state == CAND_NEW)
            try_contact(d, &dht_entry(d, l->cand[i].ref)->contact, false);
        tried += d->upkeep.verifying > before;
    }
    fill_farther(d);
}

// ---- refresh --------------------------------------------------------------------------------------

static void refresh_bucket(struct dht *d, struct table *t, unsigned i)
{
    struct wire_request q;
    memset(&q, 0, sizeof q);
    q.kind = RPC_FIND;
    q.want = WIRE_WANT_V4 | WIRE_WANT_V6;
    q.bits = 256;
    random_in_bucket(d, t->centre, i, q.target);
    put_self(d, &q);
    book_ref near;
    if (table_nearest(t, q.target, &near, 1) == 0)
        return;
    struct call_spec spec = {.owner_kind = CALL_REFRESH, .ref = near, .class_min = CLASS_CHAT};
    (void)call_start(d, &spec, &q, NULL);
}

static void refresh(struct dht *d)
{
    unsigned left = REFRESH_PER_TICK;
    for (unsigned f = 0; f < 2; f++) {
        unsigned deepest = 0;
        for (unsigned i = 0; d->table[f] != NULL && i < TABLE_BUCKETS; i++)
            deepest = d->table[f]->bucket[i].n > 0 ? i : deepest;
        for (unsigned i = 0; d->table[f] != NULL && i <= deepest && left > 0; i++) {
            struct table_bucket *b = &d->table[f]->bucket[i];
            if (seconds(d) - b->traffic_s < REFRESH_AFTER_S)
                continue;
            b->traffic_s = seconds(d);
            refresh_bucket(d, d->table[f], i);
            left--;
        }
    }
    d->upkeep.refresh_at = d->now + REFRESH_TICK_US;
}

void upkeep_answered(struct dht *d, struct call *c, const struct wire_answer *a, book_ref corrected)
{
    (void)corrected;
    if (c->owner_kind != CALL_REFRESH || a->status != RPC_OK)
        return;
    struct contact other;
    unsigned tried = 0;
    for (size_t at = 0; tried < REFRESH_PINGS_MAX && wire_answer_contact(a, &at, &other);) {
        unsigned before = d->upkeep.verifying;
        try_contact(d, &other, false);
        tried += d->upkeep.verifying > before;
    }
}

void upkeep_timer(struct dht *d)
{
    struct upkeep *u = &d->upkeep;
    if (u->bootstrap_at <= d->now)
        bootstrap(d);
    if (u->centre_at <= d->now)
        look_at_centre(d);
    if (u->refresh_at <= d->now)
        refresh(d);
    upkeep_arm(d);
}
