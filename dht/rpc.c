// Our own requests: sealing, retransmission, and the way back of their answers (PROTOCOL 2).
#include "crypto/bytes.h"
#include "crypto/stamp.h"
#include "dht/internal.h"

#include <sodium.h>

// ---- request keys ---------------------------------------------------------------------------------

void ekey_new(struct dht *d, struct ekey *k)
{
    uint8_t seed[32];
    memset(k, 0, sizeof *k);
    rng_fill(&d->config.rng, seed, sizeof seed);
    key_pair(k->pk, k->sk, seed);
    sodium_memzero(seed, sizeof seed);
}

void ekey_end(struct dht *d, struct ekey *k)
{
    for (unsigned i = 0; i < k->n; i++)
        book_drop(d->config.book, k->session[i].ref);
    arena_give(d->config.arena, k->session, k->cap * sizeof *k->session);
    sodium_memzero(k, sizeof *k);
}

struct session *ekey_find(struct dht *d, const struct ekey *k, book_ref ref)
{
    const uint8_t *pk = dht_entry(d, ref)->contact.pk;
    for (unsigned i = 0; i < k->n; i++)
        if (k->session[i].ref == ref ||
            memcmp(dht_entry(d, k->session[i].ref)->contact.pk, pk, 32) == 0)
            return &k->session[i];
    return NULL;
}

static bool sessions_resize(struct dht *d, struct ekey *k, uint16_t cap)
{
    struct session *s = cap == 0 ? NULL : arena_take(d->config.arena, cap * sizeof *s);
    if (s == NULL && cap > 0)
        return false;
    if (s != NULL && k->n > 0)
        memcpy(s, k->session, k->n * sizeof *s);
    arena_give(d->config.arena, k->session, k->cap * sizeof *s);
    k->session = s;
    k->cap = cap;
    return true;
}

void ekey_use(struct dht *d, struct ekey *k, book_ref ref)
{
    struct session *s = ekey_find(d, k, ref);
    if (s != NULL)
        s->used = ++k->uses;
}

void ekey_trim(struct dht *d, struct ekey *k, uint32_t uses)
{
    uint16_t kept = 0;
    if (k->n == 0)
        return;
    for (unsigned i = 0; i < k->n; i++) {
        if (k->session[i].used > uses)
            k->session[kept++] = k->session[i];
        else
            book_drop(d->config.book, k->session[i].ref);
    }
    sodium_memzero(k->session + kept, (size_t)(k->n - kept) * sizeof *k->session);
    k->n = kept;
    if (k->cap > kept + 4)
        (void)sessions_resize(d, k, kept);
}

// A free session, or the least recently used one.
static struct session *session_room(struct dht *d, struct ekey *k)
{
    if (k->n == k->cap && k->cap < SESSIONS_MAX)
        (void)sessions_resize(d, k, (uint16_t)(k->cap + (k->cap < 8 ? 4 : k->cap / 2)));
    if (k->n < k->cap)
        return &k->session[k->n++];
    struct session *oldest = NULL;
    for (unsigned i = 0; i < k->n; i++)
        if (oldest == NULL || k->session[i].used < oldest->used)
            oldest = &k->session[i];
    if (oldest != NULL)
        book_drop(d->config.book, oldest->ref);
    return oldest;
}

struct session *ekey_session(struct dht *d, struct ekey *k, book_ref ref)
{
    struct session *s = ekey_find(d, k, ref);
    if (s == NULL) {
        struct rpc_root root;
        const uint8_t *pk = dht_entry(d, ref)->contact.pk;
        if (rpc_root_derive(&root, k->sk, pk) != 0)
            return NULL;
        s = session_room(d, k);
        if (s == NULL) {
            sodium_memzero(&root, sizeof root);
            return NULL;
        }
        memset(s, 0, sizeof *s);
        s->ref = book_keep(d->config.book, ref);
        s->root = root;
        sodium_memzero(&root, sizeof root);
    }
    s->used = ++k->uses;
    return s;
}

void ekey_keys(struct dht *d, const struct ekey *k, const struct session *s, struct rpc_keys *keys)
{
    rpc_root_keys(keys, &s->root, &d->config.net, k->pk, dht_entry(d, s->ref)->contact.pk);
}

// The e of a call's owner, while there is one.
static struct ekey *call_ekey(struct dht *d, const struct call *c)
{
    if (c->place != 0) {
        struct place *p = place_find(d, c->place);
        return p == NULL ? NULL : &p->ekey;
    }
    struct lookup *l = c->owner_kind == CALL_LOOKUP ? lookup_find(d, c->owner) : NULL;
    return l == NULL ? NULL : &l->ekey;
}

// ---- sending --------------------------------------------------------------------------------------

static void sending_close(struct dht *d, struct sending *s)
{
    for (unsigned i = 0; i < s->ids; i++)
        ids_close(&d->ids, s->id[i]);
    s->ids = 0;
}

static uint8_t ids_wanted(const struct call *c)
{
    switch (c->kind) {
    case RPC_ANNOUNCE:
    case RPC_SEEK:
        return RPC_ANSWER_DATAGRAMS_MAX;
    case RPC_FIND:
        return RPC_FIND_DATAGRAMS_MAX;
    default:
        return 1;
    }
}

// Who has never answered anything may be made up, address and all: the padding that lets an answer bring
// many contacts is sent there once, and again only what the question itself takes.
static uint16_t sending_len(const struct dht *d, const struct call *c, unsigned k)
{
    bool known = c->has_token || dht_rtt(d, c->ref) != USEC_NEVER;
    if (k == 0 || known || c->kind != RPC_FIND)
        return c->datagram_len;
    return class_of((uint32_t)c->body_len + RPC_REQUEST_OVERHEAD);
}

// A first datagram that was not answered: its server may have too many, and gives tokens for stamps.
static void stamp(struct dht *d, const struct call *c, unsigned k,
                  uint8_t nonce[static RPC_NONCE_BYTES])
{
    k += c->asked;
    uint32_t tries = k == 1 ? RPC_STAMP_TRIES_SECOND : RPC_STAMP_TRIES_THIRD;
    if (k == 0 || c->has_token || d->unix_us <= 0)
        return;
    if (d->now - d->stamps_since >= USEC_PER_S) {
        d->stamps_since = d->now;
        d->stamp_tries = 0;
    }
    if (d->stamp_tries + tries > RPC_STAMP_TRIES_PER_S)
        return;
    d->stamp_tries += tries;
    stamp_make(nonce, c->mask_key, c->header.e, (uint64_t)d->unix_us / 1000000, tries);
}

// The introducer of somebody whom only the other address family leads to, and what is asked about places there.
static bool goes_elsewhere(const struct dht *d, const struct call *c, const struct contact *to)
{
    bool introduces = c->owner_kind == CALL_INTRO && d->other_via != VIA_NONE &&
                      !dht_heard_family(d, to->path.family);
    bool place = c->owner_kind == CALL_LOOKUP || c->owner_kind == CALL_HOLDER;
    return c->via == VIA_UDP && (introduces || (place && dht_by_other_way(d, to->path.family)));
}

bool call_apart(const struct dht *d, const struct call *c)
{
    bool elsewhere = d->via == VIA_UDP && (c->via & VIA_TUNNEL) != 0;
    return c->owner_kind == CALL_DIAL || c->owner_kind == CALL_ASK || elsewhere;
}

// Seals it anew, with a new nonce and a new reply. What can't be sent counts as lost.
static void send_once(struct dht *d, struct call *c)
{
    unsigned k = c->sendings++;
    struct sending *s = &c->sending[k];
    s->at = d->now;
    uint8_t *reply = c->body + 1;
    rng_fill(&d->config.rng, reply, 8);
    uint8_t nonce[RPC_NONCE_BYTES];
    rng_fill(&d->config.rng, nonce, sizeof nonce);
    stamp(d, c, k, nonce);
    uint8_t wanted = ids_wanted(c), light = !c->has_token || k > 0 ? 1 : 0;
    for (uint8_t i = 0; i < wanted + light; i++) {
        uint8_t id[8];
        if (i < wanted)
            rpc_answer_id(id, &c->keys, reply, i);
        else // a server with too much to do answers a first datagram with a token only
            rpc_light_id(id, c->mask_key, nonce);
        uint8_t index = i < wanted ? i : ANSWER_LIGHT;
        if (ids_open(&d->ids, id_of(id), ID_ANSWER, c, (uint8_t)k, index) != 0)
            break;
        s->id[s->ids++] = id_of(id);
    }
    const struct contact *to = &dht_entry(d, c->ref)->contact;
    if (!c->own_via) // whoever is known over TCP alone is asked so, unless all has to go another way
        c->via = d->via == VIA_UDP ? to->path.via : d->via;
    if (goes_elsewhere(d, c, to))
        c->via = d->other_via;
    bool may = s->ids > 0 && c->via != VIA_NONE;
    struct outbox_slot *slot = may ? outbox_room(d->config.out) : NULL;
    if (slot == NULL)
        return;
    slot->len = sending_len(d, c, k);
    memset(slot->data, 0, slot->len);
    memcpy(slot->data + RPC_BODY_AT, c->body, c->body_len);
    slot->path = to->path;
    if (c->via != VIA_UDP) // else by TCP, if that is how we were told of it
        slot->path.via = c->via;
    slot->to_server = true;
    memcpy(slot->server, to->pk, sizeof slot->server);
    if (slot->path.via == VIA_UDP)
        dht_contacted(d, &slot->path);
    if (memcmp(c->header.token, (uint8_t[RPC_TOKEN_BYTES]){0}, RPC_TOKEN_BYTES) == 0)
        rng_fill(&d->config.rng, c->header.token, RPC_TOKEN_BYTES);
    rpc_request_seal(slot->data, slot->len - RPC_REQUEST_OVERHEAD, &c->header, c->mask_key,
                     &c->keys, nonce);
    d->count.requests_out++;
    d->count.bytes_out += slot->len;
    outbox_commit(d->config.out);
}

// Does somebody go on without its answer, before it counts as lost?
static bool wants_late(const struct call *c)
{
    return !c->late && (c->owner_kind == CALL_LOOKUP || c->owner_kind == CALL_HOLDER);
}

// The first sending, or the first one with a token that was asked for.
static void send_first(struct dht *d, struct call *c)
{
    for (unsigned i = 0; i < RPC_SENDINGS_MAX; i++)
        sending_close(d, &c->sending[i]);
    c->sendings = 0;
    c->rto = dht_rto(d, c->ref);
    send_once(d, c);
    usec_t wait = wants_late(c) ? dht_patience(d, c->ref) : c->rto;
    timers_arm(&d->timers, &c->timer, d->now + (wait < c->rto ? wait : c->rto));
}

void call_free(struct dht *d, struct call *c)
{
    for (unsigned i = 0; i < RPC_SENDINGS_MAX; i++)
        sending_close(d, &c->sending[i]);
    timers_remove(&d->timers, &c->timer);
    *(c->prev != NULL ? &c->prev->next : &d->calls) = c->next;
    if (c->next != NULL)
        c->next->prev = c->prev;
    d->call_count--;
    book_drop(d->config.book, c->ref);
    arena_give(d->config.arena, c->body, c->body_len);
    arena_give(d->config.arena, c->record, DHT_SAMPLE_RECORDS_MAX * RECORD_BYTES);
    arena_give(d->config.arena, c, sizeof *c);
}

// A call that only waits for a late answer gives way to a new one.
static bool make_room(struct dht *d)
{
    if (d->call_count < RPC_CALLS_MAX)
        return true;
    for (struct call *c = d->calls; c != NULL; c = c->next)
        if (c->failed && c != d->current) {
            call_free(d, c);
            return true;
        }
    return false;
}

static int set_keys(struct dht *d, struct call *c, struct ekey *ekey)
{
    struct ekey own;
    bool fresh = ekey == NULL;
    if (fresh) {
        ekey_new(d, &own);
        ekey = &own;
    }
    const struct session *s = ekey_session(d, ekey, c->ref);
    if (s != NULL) {
        ekey_keys(d, ekey, s, &c->keys);
        node_mask_key(c->mask_key, &d->config.net, dht_entry(d, c->ref)->contact.pk);
        memcpy(c->header.e, ekey->pk, 32);
        c->has_token = s->has_token;
        if (s->has_token)
            memcpy(c->header.token, s->token, RPC_TOKEN_BYTES);
    }
    int rc = s == NULL ? BAUTA_EAUTH : 0;
    if (fresh)
        ekey_end(d, &own);
    return rc;
}

int call_start(struct dht *d, const struct call_spec *spec, const struct wire_request *q,
               struct call **out)
{
    uint8_t body[CLASS_FULL];
    size_t len;
    if (!make_room(d))
        return BAUTA_ELIMIT;
    int rc = wire_request_encode(q, body, sizeof body, &len);
    if (rc != 0)
        return rc;
    struct call *c = arena_take(d->config.arena, sizeof *c);
    uint8_t *copy = arena_take(d->config.arena, len);
    if (c == NULL || copy == NULL || timers_add(&d->timers, &c->timer, TIMER_CALL, c) != 0) {
        arena_give(d->config.arena, copy, len);
        arena_give(d->config.arena, c, sizeof *c);
        return BAUTA_ESPACE;
    }
    memcpy(copy, body, len);
    sodium_memzero(body, len);
    c->body = copy;
    c->body_len = (uint16_t)len;
    c->kind = q->kind;
    c->owner_kind = spec->owner_kind;
    c->owner = spec->owner;
    c->place = spec->place;
    c->tag = spec->tag;
    c->asked = spec->asked;
    c->own_via = spec->own_via;
    c->via = spec->via;
    c->sendings_max = spec->sendings_max == 0 ? RPC_SENDINGS_MAX : spec->sendings_max;
    c->ref = book_keep(d->config.book, spec->ref);
    uint32_t want = (uint32_t)len + RPC_REQUEST_OVERHEAD;
    c->datagram_len = class_of(want > spec->class_min ? want : spec->class_min);
    c->next = d->calls;
    if (c->next != NULL)
        c->next->prev = c;
    d->calls = c;
    d->call_count++;
    rc = set_keys(d, c, spec->ekey);
    if (rc != 0) {
        call_free(d, c);
        return rc;
    }
    c->order = (uint32_t)d->count.requests_out;
    send_first(d, c);
    if (c->kind == RPC_FIND)
        attends_found(d);
    if (out != NULL)
        *out = c;
    return 0;
}

void calls_forget(struct dht *d, enum call_owner kind, uint32_t owner)
{
    for (struct call *c = d->calls; c != NULL; c = c->next)
        if (c->owner_kind == kind && c->owner == owner)
            c->owner_kind = CALL_NOBODY;
}

// ---- time -----------------------------------------------------------------------------------------

// Sent at 0, RTO, 3 RTO; failed 2 RTO after the last; then open for a late answer.
static void on_time(struct dht *d, struct call *c)
{
    if (c->got != 0) { // the rest of its answer is lost
        dht_call_answered(d, c, NULL, true);
        call_free(d, c);
        return;
    }
    if (c->failed) {
        call_free(d, c);
        return;
    }
    if (c->sendings == 1 && wants_late(c)) {
        c->late = true;
        usec_t at = c->sending[0].at + c->rto;
        timers_arm(&d->timers, &c->timer, at > d->now ? at : d->now);
        dht_call_late(d, c);
        return;
    }
    if (c->sendings < c->sendings_max) {
        bool first = !c->slow;
        c->slow = true;
        send_once(d, c);
        timers_arm(&d->timers, &c->timer, d->now + 2 * c->rto);
        if (first)
            dht_call_slow(d, c);
        return;
    }
    c->failed = true;
    d->count.timeouts++;
    usec_t late = c->sending[c->sendings - 1].at + RPC_LATE_US;
    timers_arm(&d->timers, &c->timer, late > d->now ? late : d->now);
    if (!call_apart(d, c))
        upkeep_unheard(d, c);
    dht_call_failed(d, c);
}

void call_timer(struct dht *d, struct call *c)
{
    d->current = c;
    on_time(d, c);
    d->current = NULL;
}

// ---- answers --------------------------------------------------------------------------------------

static void take_token(struct dht *d, const struct call *c, const struct wire_answer *a)
{
    struct ekey *k = call_ekey(d, c);
    struct session *s = k == NULL ? NULL : ekey_find(d, k, c->ref);
    if (s == NULL || memcmp(k->pk, c->header.e, 32) != 0)
        return;
    memcpy(s->token, a->token, RPC_TOKEN_BYTES);
    s->has_token = true;
}

static void take_records(struct dht *d, struct call *c, const struct wire_answer *a)
{
    if (a->status != RPC_OK || (c->kind != RPC_ANNOUNCE && c->kind != RPC_SEEK))
        return;
    c->live = a->live;
    c->hint = a->hint;
    if (a->n == 0 || c->records + a->n > DHT_SAMPLE_RECORDS_MAX)
        return;
    if (c->record == NULL)
        c->record = arena_take(d->config.arena, DHT_SAMPLE_RECORDS_MAX * RECORD_BYTES);
    if (c->record == NULL)
        return;
    memcpy(c->record + c->records * RECORD_BYTES, a->records, (size_t)a->n * RECORD_BYTES);
    c->records = (uint8_t)(c->records + a->n);
}

static void need_token(struct dht *d, struct call *c, const struct wire_answer *a)
{
    if (c->token_rounds++ >= RPC_TOKEN_ROUNDS_MAX) {
        d->current = c;
        if (!c->failed) {
            if (!call_apart(d, c))
                upkeep_unheard(d, c); // it answers, but it is of no use
            dht_call_failed(d, c);
        }
        d->current = NULL;
        call_free(d, c);
        return;
    }
    memcpy(c->header.token, a->token, RPC_TOKEN_BYTES);
    c->has_token = true;
    if (!c->failed)
        send_first(d, c);
}

// The server has too much to do for a key exchange: only a token came, which puts us before all who have none.
static int receive_light(struct dht *d, struct call *c, uint8_t *datagram, size_t len)
{
    struct rpc_keys keys;
    struct wire_answer a;
    uint8_t *body;
    size_t body_len;
    memset(&a, 0, sizeof a);
    rpc_light_keys(&keys, c->mask_key, c->header.e);
    int rc = rpc_answer_open(datagram, len, &keys, &body, &body_len);
    if (rc == 0 && body_len < RPC_TOKEN_BYTES)
        rc = BAUTA_EFORMAT;
    if (rc != 0 || c->got != 0) {
        d->count.dropped_auth++;
        return rc != 0 ? rc : BAUTA_EREPLAY;
    }
    d->count.answers_in++;
    memcpy(a.token, body, RPC_TOKEN_BYTES);
    take_token(d, c, &a);
    need_token(d, c, &a);
    return 0;
}

int call_receive(struct dht *d, const struct path *from, struct call *c,
                 const struct id_entry *entry, uint8_t *datagram, size_t len)
{
    uint8_t *body, sub = entry->sub;
    size_t body_len;
    struct wire_answer a;
    struct path at = dht_entry(d, c->ref)->contact.path;
    if (c->via != VIA_UDP)
        at.via = c->via;
    if (!path_equal(from, &at)) {
        d->count.dropped_auth++;
        return BAUTA_EAUTH;
    }
    if (entry->i == ANSWER_LIGHT)
        return receive_light(d, c, datagram, len);
    int rc = rpc_answer_open(datagram, len, &c->keys, &body, &body_len);
    if (rc != 0) {
        *(rc == BAUTA_EAUTH ? &d->count.dropped_auth : &d->count.dropped_format) += 1;
        return rc;
    }
    if (wire_answer_decode(&a, body, body_len) != 0 || a.kind != c->kind || a.index != entry->i ||
        a.count > ids_wanted(c)) {
        d->count.dropped_format++;
        return BAUTA_EFORMAT;
    }
    if (c->got != 0 && (c->got_sending != sub || (c->got >> a.index & 1) != 0)) {
        d->count.dropped_replay++; // another sending's answer came first, or this one came twice
        return BAUTA_EREPLAY;
    }
    d->count.answers_in++;
    if (c->got == 0 && !call_apart(d, c))
        dht_rtt_sample(d, c->ref, d->now - c->sending[sub].at);
    take_token(d, c, &a);
    if (a.status == RPC_NEED_TOKEN) {
        need_token(d, c, &a);
        return 0;
    }
    c->got |= (uint8_t)(1u << a.index);
    c->got_sending = sub;
    c->expect = (uint8_t)((1u << a.count) - 1);
    take_records(d, c, &a);
    bool done = c->got == c->expect;
    d->current = c;
    dht_call_answered(d, c, &a, done);
    d->current = NULL;
    if (done) {
        call_free(d, c);
    } else {
        usec_t wait = c->rto < RPC_PART_WAIT_MAX_US ? c->rto : RPC_PART_WAIT_MAX_US;
        timers_arm(&d->timers, &c->timer, d->now + wait);
    }
    return 0;
}
