// One DHT node: its parts joined.
#include "crypto/bytes.h"
#include "dht/internal.h"

#include <sodium.h>

uint32_t dht_next_id(struct dht *d)
{
    if (++d->next_id == 0)
        d->next_id = 1;
    return d->next_id;
}

uint64_t dht_tag(const struct dht *d, const uint8_t pk[static 32])
{
    uint8_t out[crypto_shorthash_BYTES];
    crypto_shorthash(out, pk, 32, d->hash_key);
    uint64_t tag = id_of(out);
    return tag == 0 ? 1 : tag;
}

// In the table for who has a slot there; what the cache knew moves there with the next sample.
static rtt_value rtt_value_of(const struct dht *d, book_ref ref)
{
    const struct contact *c = &dht_entry(d, ref)->contact;
    const struct table *t = d->table[c->path.family == 4 ? 0 : 1];
    rtt_value v = 0;
    if (t != NULL && table_rtt(t, ref, &v) && v != 0)
        return v;
    return rtt_get(&d->rtt, dht_tag(d, c->pk));
}

void dht_rtt_sample(struct dht *d, book_ref ref, usec_t took)
{
    uint32_t us = took > RPC_LATE_US ? (uint32_t)RPC_LATE_US : (uint32_t)took;
    const struct contact *c = &dht_entry(d, ref)->contact;
    struct table *t = d->table[c->path.family == 4 ? 0 : 1];
    rtt_value old = 0;
    bool listed = t != NULL && table_rtt(t, ref, &old);
    uint64_t tag = old != 0 ? 0 : dht_tag(d, c->pk);
    rtt_value v = rtt_value_add(old != 0 ? old : rtt_get(&d->rtt, tag), us);
    rtt_sample(&d->rtt, us);
    if (listed)
        table_rtt_set(t, ref, v);
    if (old == 0)
        rtt_put(&d->rtt, tag, listed ? 0 : v);
}

usec_t dht_rto(const struct dht *d, book_ref ref)
{
    return rtt_timeout(&d->rtt, rtt_value_of(d, ref));
}

usec_t dht_patience(const struct dht *d, book_ref ref)
{
    return rtt_patience(&d->rtt, rtt_value_of(d, ref));
}

usec_t dht_rtt(const struct dht *d, book_ref ref)
{
    return rtt_value_smoothed(rtt_value_of(d, ref));
}

bool dht_contact_ok(const struct dht *d, const struct contact *c, bool with_nonce)
{
    if (!path_reachable(&c->path, d->config.lab))
        return false;
    if (d->server != NULL && memcmp(c->pk, d->pk, 32) == 0)
        return false;
    if (!upkeep_family_works(d, c->path.family) && !dht_by_other_way(d, c->path.family))
        return false;
    return !with_nonce ||
           node_puzzle_ok(&d->config.net, c->pk, c->puzzle_nonce, d->config.puzzle_bits);
}

book_ref dht_hold(struct dht *d, const struct contact *c)
{
    return book_hold(d->config.book, &d->config.net, d->net_tag, c);
}

bool dht_key_at(const struct dht *d, const struct path *path, uint8_t pk[static 32])
{
    const struct book_entry *e = book_by_path(d->config.book, d->net_tag, path);
    if (e != NULL)
        memcpy(pk, e->contact.pk, 32);
    return e != NULL;
}

const struct book_entry *dht_entry(const struct dht *d, book_ref ref)
{
    return book_at(d->config.book, ref);
}

uint32_t dht_live(const struct dht *d)
{
    return (d->table[0] == NULL ? 0 : d->table[0]->live) +
           (d->table[1] == NULL ? 0 : d->table[1]->live);
}

int dht_server_start(struct dht *d)
{
    uint8_t sk[32];
    key_pair(d->pk, sk, d->config.secret);
    memcpy(d->config.secret, sk, 32);
    sodium_memzero(sk, sizeof sk);
    node_mask_key(d->mask_key, &d->config.net, d->pk);
    rpc_id(d->request_id, d->mask_key);
    return server_new(d);
}

int dht_init(struct dht **out, const struct dht_config *config)
{
    struct dht *d = arena_take(config->arena, sizeof *d);
    if (d == NULL)
        return BAUTA_ESPACE;
    d->config = *config;
    d->other_via = VIA_NONE;
    d->net_tag = book_net_tag(&config->net);
    book_seed(config->book, &config->rng);
    rng_fill(&config->rng, d->hash_key, sizeof d->hash_key);
    rng_fill(&config->rng, d->centre, sizeof d->centre);
    timers_init(&d->timers, config->arena);
    ids_init(&d->ids, config->arena);
    rtt_init(&d->rtt, config->arena);
    int rc = upkeep_new(d);
    if (rc == 0 && config->server)
        rc = dht_server_start(d);
    if (rc != 0) {
        timers_end(&d->timers);
        arena_give(config->arena, d, sizeof *d);
        return rc;
    }
    *out = d;
    return 0;
}

void dht_free(struct dht *d)
{
    if (d == NULL)
        return;
    struct arena *arena = d->config.arena;
    while (d->places != NULL)
        dht_place_close(d, d->now, d->places->id);
    while (d->asks != NULL)
        dht_ask_close(d, d->now, d->asks->id);
    while (d->calls != NULL)
        call_free(d, d->calls);
    while (d->lookups != NULL)
        lookup_cancel(d, d->lookups->id);
    server_free(d);
    upkeep_free(d);
    struct dht_event event;
    while (dht_event(d, &event))
        continue;
    arena_give(arena, d->stat, LOOKUP_STATS * sizeof *d->stat);
    rtt_end(&d->rtt);
    ids_end(&d->ids);
    timers_end(&d->timers);
    arena_give(arena, d, sizeof *d); // wipes
}

void dht_clock(struct dht *d, usec_t now, int64_t unix_us)
{
    d->now = now;
    d->unix_us = unix_us;
}

// ---- datagrams ------------------------------------------------------------------------------------

bool dht_is_answer(const struct dht *d, const uint8_t *datagram, size_t len)
{
    return len >= DATAGRAM_BYTES_MIN && ids_find(&d->ids, id_of(datagram)) != NULL;
}

static int receive_known(struct dht *d, const struct path *from, const struct id_entry *entry,
                         uint8_t *datagram, size_t len)
{
    if (class_of((uint32_t)len) != len) {
        d->count.dropped_format++;
        return BAUTA_EFORMAT;
    }
    if (entry->kind == ID_ANSWER)
        return call_receive(d, from, entry->owner, entry, datagram, len);
    if (from->via != d->via && d->via != VIA_UDP) { // not the way that the introducer was told
        d->count.dropped_unknown++;
        return BAUTA_EUNKNOWN;
    }
    if (d->event_count >= EVENTS_MAX) { // as if the network had lost it
        d->count.dropped_rate++;
        return BAUTA_ELIMIT;
    }
    return push_receive(d, from, entry->owner, entry, datagram, len);
}

int dht_receive(struct dht *d, usec_t now, const struct path *from, uint8_t *datagram, size_t len)
{
    d->now = now;
    d->count.bytes_in += len;
    if (len < DATAGRAM_BYTES_MIN) {
        d->count.dropped_format++;
        return BAUTA_EFORMAT;
    }
    const struct id_entry *entry = ids_find(&d->ids, id_of(datagram));
    if (entry != NULL)
        return receive_known(d, from, entry, datagram, len);
    if (d->server != NULL && d->via == VIA_UDP)
        return server_receive(d, from, datagram, len);
    d->count.dropped_unknown++;
    return BAUTA_EUNKNOWN;
}

// ---- calls ----------------------------------------------------------------------------------------

void dht_call_answered(struct dht *d, struct call *c, const struct wire_answer *a, bool done)
{
    // `a` is NULL when the rest of an answer has not come: the contact was heard before.
    // Whom we asked for somebody else's sake, or whom only another way leads to, is no contact yet.
    bool apart = call_apart(d, c), place = c->owner_kind == CALL_LOOKUP;
    book_ref corrected = 0;
    if (a != NULL && !apart)
        corrected = upkeep_heard(d, c, a);
    else if (a != NULL && place)
        corrected = upkeep_corrected(d, c, a);
    if (a != NULL && a->status == RPC_OK && c->kind == RPC_FIND)
        dialback_heard(d, a);
    if (a != NULL && !apart && a->status == RPC_OK && (c->kind == RPC_PING || c->kind == RPC_FIND))
        cache_heard(d, corrected, a->listed);
    switch (c->owner_kind) {
    case CALL_LOOKUP:
        if (a != NULL)
            lookup_answered(d, c, a, corrected);
        break;
    case CALL_HOLDER:
        publish_answered(d, c, a, done);
        break;
    case CALL_LATE:
        if (a != NULL)
            place_late(d, c, a, corrected);
        break;
    case CALL_ATTEND:
    case CALL_ANSWER:
        if (a != NULL)
            attend_answered(d, c, a);
        break;
    case CALL_INTRO:
        if (a != NULL && a->status != RPC_OK)
            intro_failed(d, c);
        break;
    case CALL_REFRESH:
        if (a != NULL)
            refresh_heard(d, c, a);
        break;
    case CALL_ASK:
        if (a != NULL)
            ask_answered(d, c, a);
        break;
    case CALL_BOOTSTRAP:
        if (a != NULL && a->status == RPC_OK && path_private(&dht_entry(d, c->ref)->contact.path) &&
            !d->config.lab)
            join_named(d, a);
        break;
    case CALL_DIAL:
    case CALL_NOBODY:
    case CALL_TOKEN:
    case CALL_VERIFY:
    case CALL_CHECK:
        break;
    }
    book_drop(d->config.book, corrected);
    if (a != NULL && dht_live(d) > 0)
        place_wake(d);
}

void dht_call_late(struct dht *d, struct call *c)
{
    if (c->owner_kind == CALL_LOOKUP)
        lookup_late(d, c);
    else if (c->owner_kind == CALL_HOLDER)
        publish_late(d, c);
}

void dht_call_slow(struct dht *d, struct call *c)
{
    if (c->owner_kind == CALL_LOOKUP)
        lookup_slow(d, c);
}

void dht_call_failed(struct dht *d, struct call *c)
{
    switch (c->owner_kind) {
    case CALL_LOOKUP:
        lookup_failed(d, c);
        break;
    case CALL_HOLDER:
        place_failed(d, c);
        break;
    case CALL_ATTEND:
    case CALL_ANSWER:
        attend_failed(d, c);
        break;
    case CALL_INTRO:
        intro_failed(d, c);
        break;
    case CALL_ASK:
        ask_failed(d, c);
        break;
    default:
        break;
    }
}

// ---- time -----------------------------------------------------------------------------------------

bool dht_expire(struct dht *d, usec_t now, unsigned budget)
{
    d->now = now;
    for (; budget > 0; budget--) {
        struct timer *t = timers_due(&d->timers, now);
        if (t == NULL)
            return false;
        switch ((enum timer_kind)t->kind) {
        case TIMER_CALL:
            call_timer(d, t->owner);
            break;
        case TIMER_PLACE:
            place_timer(d, t->owner);
            break;
        case TIMER_ATTEND:
            attend_timer(d, t->owner);
            break;
        case TIMER_UPKEEP:
            upkeep_timer(d);
            break;
        case TIMER_LOOKUP:
            lookup_timer(d, t->owner);
            break;
        case TIMER_SERVER:
            server_timer(d);
            break;
        }
    }
    return timers_next(&d->timers) <= now;
}

usec_t dht_deadline(const struct dht *d)
{
    return timers_next(&d->timers);
}

// ---- events ---------------------------------------------------------------------------------------

struct dht_event *dht_push_event(struct dht *d, enum dht_event_kind kind, uint32_t id,
                                 uint32_t user, const void *data, size_t extra)
{
    size_t bytes = sizeof(struct queued_event) + extra;
    struct queued_event *q = arena_take(d->config.arena, bytes);
    if (q == NULL)
        return NULL;
    q->bytes = bytes;
    q->event.kind = kind;
    q->event.id = id;
    q->event.user = user;
    if (data != NULL) {
        memcpy(q + 1, data, extra);
        q->event.blob = (const uint8_t *)(q + 1);
        q->event.blob_len = extra;
    }
    *(d->last_event != NULL ? &d->last_event->next : &d->first_event) = q;
    d->last_event = q;
    d->event_count++;
    return &q->event;
}

bool dht_event(struct dht *d, struct dht_event *out)
{
    if (d->shown_event != NULL)
        arena_give(d->config.arena, d->shown_event, d->shown_event->bytes);
    struct queued_event *q = d->first_event;
    d->shown_event = q;
    if (q == NULL)
        return false;
    d->first_event = q->next;
    if (d->first_event == NULL)
        d->last_event = NULL;
    d->event_count--;
    *out = q->event;
    return true;
}

// ---- status ---------------------------------------------------------------------------------------

void dht_status(const struct dht *d, struct dht_status *s)
{
    *s = d->count;
    s->server = upkeep_serves_any(d);
    s->candidate = d->server != NULL && !s->server;
    s->contacts = dht_live(d);
    uint64_t size = dht_size(d);
    s->size_estimate = (size > 0 ? (uint32_t)size : s->contacts) + (d->config.server || size == 0);
    s->places = d->place_count;
    s->lookups_running = d->lookup_count;
    s->seen = d->upkeep.seen[d->upkeep.seen_last];
    memcpy(s->seen_of, d->upkeep.seen, sizeof s->seen_of);
    if (d->server != NULL) {
        s->records_held = d->server->store.records;
        s->handles_held = d->server->intro.handles.n;
        s->links_held = d->server->intro.links.n;
        s->pushes_out = d->server->intro.pushes_out;
        s->bytes_out += d->server->intro.bytes_out;
    }
}

// The last ones stay.
void dht_note_stat(struct dht *d, const struct dht_lookup_stat *s)
{
    if (d->stat_count == LOOKUP_STATS) {
        d->stat_first = (d->stat_first + 1) % LOOKUP_STATS;
        d->stat_count--;
    }
    if (d->stat == NULL)
        d->stat = arena_take(d->config.arena, LOOKUP_STATS * sizeof *d->stat);
    if (d->stat != NULL)
        d->stat[(d->stat_first + d->stat_count++) % LOOKUP_STATS] = *s;
}

bool dht_lookup_stat(struct dht *d, struct dht_lookup_stat *s)
{
    if (d->stat_count == 0)
        return false;
    *s = d->stat[d->stat_first];
    d->stat_first = (d->stat_first + 1) % LOOKUP_STATS;
    if (--d->stat_count == 0) {
        arena_give(d->config.arena, d->stat, LOOKUP_STATS * sizeof *d->stat);
        d->stat = NULL;
    }
    return true;
}
