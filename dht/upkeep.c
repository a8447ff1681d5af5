// Staying: who is alive, which address families work, and the timer of all upkeep.
#include "crypto/bytes.h"
#include "dht/internal.h"

uint32_t upkeep_seconds(const struct dht *d)
{
    return (uint32_t)(d->now / USEC_PER_S);
}

usec_t upkeep_about(struct dht *d, usec_t us)
{
    return d->now + us - us / 4 + rng_below(&d->config.rng, us / 2);
}

int upkeep_new(struct dht *d)
{
    struct upkeep *u = &d->upkeep;
    u->bootstrap_at = u->centre_at = u->refresh_at = u->fill_at = u->dial_at = USEC_NEVER;
    u->joined_at = u->reach_at[0] = u->reach_at[1] = USEC_NEVER;
    u->bootstrap_step = BOOTSTRAP_RETRY_MIN_US;
    u->centre_step = CENTRE_RETRY_MIN_US;
    u->serves[0] = u->serves[1] = u->answers = d->config.server && d->config.listed;
    return timers_add(&d->timers, &u->timer, TIMER_UPKEEP, d);
}

void upkeep_free(struct dht *d)
{
    struct upkeep *u = &d->upkeep;
    for (unsigned i = 0; i < u->bootstraps; i++)
        book_drop(d->config.book, u->bootstrap[i]);
    arena_give(d->config.arena, u->bootstrap, BOOTSTRAPS_MAX * sizeof *u->bootstrap);
    join_forget_imports(d);
    cache_end(d);
    reach_end(d);
    book_drop(d->config.book, u->walk);
    for (unsigned f = 0; f < 2; f++) {
        dialback_end(d, f);
        if (d->table[f] != NULL) {
            table_end(d->table[f]);
            arena_give(d->config.arena, d->table[f], sizeof *d->table[f]);
        }
    }
    timers_remove(&d->timers, &u->timer);
}

void upkeep_arm(struct dht *d)
{
    const struct upkeep *u = &d->upkeep;
    const usec_t all[] = {u->bootstrap_at, u->centre_at,   u->refresh_at, u->fill_at,
                          u->dial_at,      u->reach_at[0], u->reach_at[1]};
    usec_t at = USEC_NEVER;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        at = all[i] < at ? all[i] : at;
    timers_arm(&d->timers, &d->upkeep.timer, at);
}

void upkeep_timer(struct dht *d)
{
    struct upkeep *u = &d->upkeep;
    if (u->bootstrap_at <= d->now)
        join_bootstrap(d);
    if (u->centre_at <= d->now)
        join_look(d);
    if (u->fill_at <= d->now)
        refresh_fill(d);
    if (u->refresh_at <= d->now)
        refresh_tick(d);
    if (u->dial_at <= d->now)
        dialback_timer(d);
    reach_timer(d);
    upkeep_arm(d);
}

bool upkeep_serves(const struct dht *d, uint8_t family)
{
    return d->upkeep.serves[family == 4 ? 0 : 1];
}

bool upkeep_serves_any(const struct dht *d)
{
    return d->upkeep.serves[0] || d->upkeep.serves[1];
}

// A server asks with so many bytes that answer and verifying ping are no more (PROTOCOL 2).
uint16_t upkeep_first_class(const struct dht *d)
{
    return upkeep_serves_any(d) ? CLASS_FULL : CLASS_MEDIUM;
}

void upkeep_put_self(const struct dht *d, book_ref to, struct wire_request *q)
{
    if (!upkeep_serves(d, dht_entry(d, to)->contact.path.family))
        return;
    q->has_self = true;
    memcpy(q->pk, d->pk, 32);
    memcpy(q->puzzle_nonce, d->config.puzzle_nonce, PUZZLE_NONCE_BYTES);
}

void upkeep_ping(struct dht *d, book_ref ref, enum call_owner owner, uint8_t sendings)
{
    struct wire_request q;
    memset(&q, 0, sizeof q);
    q.kind = RPC_PING;
    struct call_spec spec = {
        .owner_kind = owner, .ref = ref, .class_min = CLASS_SMALL, .sendings_max = sendings};
    if (call_start(d, &spec, &q, NULL) == 0 && owner == CALL_VERIFY)
        d->upkeep.verifying++;
}

// ---- who is alive ---------------------------------------------------------------------------------

struct table *upkeep_table(struct dht *d, uint8_t family)
{
    unsigned f = family == 4 ? 0 : 1;
    if (d->table[f] == NULL) {
        d->table[f] = arena_take(d->config.arena, sizeof *d->table[f]);
        if (d->table[f] != NULL)
            table_init(d->table[f], d->config.arena, d->config.book, d->config.prefix_limits,
                       d->hash_key, d->centre[f]);
    }
    return d->table[f];
}

bool dht_heard_family(const struct dht *d, uint8_t family)
{
    return d->upkeep.heard_family[family == 4 ? 0 : 1];
}

bool upkeep_family_works(const struct dht *d, uint8_t family)
{
    unsigned f = family == 4 ? 0 : 1;
    return d->upkeep.heard_family[f] || d->upkeep.unheard_family[f] < FAMILY_FAILURES_MAX;
}

book_ref upkeep_corrected(struct dht *d, const struct call *c, const struct wire_answer *a)
{
    struct contact contact = dht_entry(d, c->ref)->contact;
    if (a->status == RPC_OK && (c->kind == RPC_PING || c->kind == RPC_FIND))
        memcpy(contact.puzzle_nonce, a->puzzle_nonce, PUZZLE_NONCE_BYTES);
    if (!dht_contact_ok(d, &contact, true))
        return 0;
    bool same = memcmp(contact.puzzle_nonce, dht_entry(d, c->ref)->contact.puzzle_nonce,
                       PUZZLE_NONCE_BYTES) == 0;
    return same ? book_keep(d->config.book, c->ref) : dht_hold(d, &contact);
}

book_ref upkeep_heard(struct dht *d, struct call *c, const struct wire_answer *a)
{
    const struct path path = dht_entry(d, c->ref)->contact.path;
    unsigned f = path.family == 4 ? 0 : 1;
    if (c->owner_kind == CALL_VERIFY && d->upkeep.verifying > 0 && !c->failed)
        d->upkeep.verifying--;
    d->upkeep.heard_family[f] = true;
    if (c->via == VIA_UDP && path.via == VIA_UDP)
        d->upkeep.heard_udp = true;
    book_ref ref = upkeep_corrected(d, c, a), check;
    struct table *t = ref == 0 ? NULL : upkeep_table(d, path.family);
    if (t == NULL)
        return ref;
    bool first = dht_live(d) == 0, first_of_family = t->live == 0;
    const struct lookup *l = c->owner_kind == CALL_LOOKUP ? lookup_find(d, c->owner) : NULL;
    bool told = a->status == RPC_OK && (c->kind == RPC_PING || c->kind == RPC_FIND);
    enum table_result added = TABLE_KNOWN;
    // Of those that a look-up meets only the nearest at its end count as newcomers: of all whom liars
    // name they would be too many.
    if (l == NULL || dht_live(d) < LOOKUP_NEAR || table_has(t, ref))
        added = table_answered(t, ref, upkeep_seconds(d), &check);
    if (told && added == TABLE_SPARE && !a->listed && table_relieve(t, ref, upkeep_seconds(d)))
        added = TABLE_ADDED;
    if (told)
        table_public_set(t, ref, a->listed);
    if (a->status == RPC_OK &&
        (c->kind == RPC_PING || c->kind == RPC_FIND || c->kind == RPC_ATTEND)) {
        upkeep_vote(d, c, &a->seen);
        reach_heard(d, c, &a->seen);
    }
    if (first && dht_live(d) > 0)
        join_heard(d);
    if (first_of_family && t->live > 0)
        dialback_begin(d, f);
    if (added == TABLE_SPARE && check != 0)
        upkeep_ping(d, check, CALL_CHECK, 0);
    return ref;
}

void upkeep_met(struct dht *d, book_ref ref, bool listed)
{
    const struct contact *c = &dht_entry(d, ref)->contact;
    struct table *t = upkeep_table(d, c->path.family);
    book_ref check;
    if (t == NULL)
        return;
    enum table_result added = table_answered(t, ref, upkeep_seconds(d), &check);
    if (added == TABLE_SPARE && !listed && table_relieve(t, ref, upkeep_seconds(d)))
        added = TABLE_ADDED;
    table_public_set(t, ref, listed);
    if (added == TABLE_SPARE && check != 0)
        upkeep_ping(d, check, CALL_CHECK, 0);
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
        upkeep_ping(d, c->ref, CALL_CHECK, 0);
    if (dht_live(d) == 0)
        join_again(d);
}
