// The server's side: requests are recognised, checked in the order of their cost, and answered.
#include "crypto/bytes.h"
#include "dht/internal.h"

#include <sodium.h>

struct request {
    const struct path *from;
    struct rpc_header header;
    struct rpc_keys keys;
    uint64_t source;
    size_t len; // of the datagram
    bool token_ok;
    struct wire_request q;
};

int server_new(struct dht *d)
{
    struct server *s = arena_take(d->config.arena, sizeof *s);
    if (s == NULL)
        return BAUTA_ESPACE;
    d->server = s;
    gate_init(&s->gate, d->config.arena);
    guard_init(&s->guard, d->config.arena, &d->config.rng, d->config.prefix_limits);
    int rc = timers_add(&d->timers, &s->timer, TIMER_SERVER, d);
    if (rc != 0) {
        guard_end(&s->guard);
        gate_end(&s->gate);
        arena_give(d->config.arena, s, sizeof *s);
        d->server = NULL;
        return rc;
    }
    uint32_t bytes =
        d->config.store_bytes_max == 0 ? STORE_BYTES_DEFAULT : d->config.store_bytes_max;
    store_init(&s->store, d->config.arena, d->config.records, &d->config.rng, bytes);
    intro_init(&s->intro, d->config.arena, &d->config.rng, d->config.out, d->config.prefix_limits);
    s->sweep_at = s->rest_at = USEC_NEVER;
    return 0;
}

void server_free(struct dht *d)
{
    struct server *s = d->server;
    if (s == NULL)
        return;
    timers_remove(&d->timers, &s->timer);
    openings_end(d);
    intro_end(&s->intro);
    store_end(&s->store);
    guard_end(&s->guard);
    gate_end(&s->gate);
    arena_give(d->config.arena, s, sizeof *s);
    d->server = NULL;
}

static void arm(struct dht *d)
{
    struct server *s = d->server;
    usec_t at = intro_deadline(&s->intro);
    at = at < s->sweep_at ? at : s->sweep_at;
    timers_arm(&d->timers, &s->timer, at < s->rest_at ? at : s->rest_at);
}

void server_timer(struct dht *d)
{
    struct server *s = d->server;
    intro_run(&s->intro, d->now);
    if (s->sweep_at <= d->now)
        s->sweep_at = store_sweep(&s->store, d->now) ? d->now + STORE_SWEEP_US : USEC_NEVER;
    if (s->rest_at <= d->now) {
        bool gate = gate_rest(&s->gate, d->now), guard = guard_rest(&s->guard, d->now);
        s->rest_at = gate || guard ? d->now + TOKEN_PERIOD_US : USEC_NEVER;
    }
    arm(d);
}

// ---- answers --------------------------------------------------------------------------------------

static void answer_init(struct dht *d, const struct request *r, struct wire_answer *a)
{
    memset(a, 0, sizeof *a);
    a->count = 1;
    a->kind = r->q.kind;
    a->seen = *r->from;
    memcpy(a->puzzle_nonce, d->config.puzzle_nonce, PUZZLE_NONCE_BYTES);
    a->listed = d->config.listed;
    a->minute = d->unix_us > 0 ? (uint32_t)(d->unix_us / 60000000) : 0;
    guard_token_next(&d->server->guard, d->now, r->from, r->header.e, a->token);
}

// A slot whose body has been written: pads, seals, sends. Never more bytes than came in, unless the token
// is good.
static void send_body(struct dht *d, const struct request *r, struct outbox_slot *slot,
                      size_t body_len, uint8_t index)
{
    slot->len = class_of((uint32_t)(body_len + ANSWER_OVERHEAD));
    if (!r->token_ok && slot->len > UNPROVEN_ANSWER_FACTOR * r->len)
        return;
    memset(slot->data + ANSWER_BODY_AT + body_len, 0, slot->len - ANSWER_OVERHEAD - body_len);
    slot->path = *r->from;
    uint8_t id[8], nonce[RPC_NONCE_BYTES];
    rpc_answer_id(id, &r->keys, r->q.reply, index);
    rng_fill(&d->config.rng, nonce, sizeof nonce);
    rpc_answer_seal(slot->data, slot->len - ANSWER_OVERHEAD, id, &r->keys, nonce);
    d->count.answers_out++;
    d->count.bytes_out += slot->len;
    outbox_commit(d->config.out);
}

static void answer(struct dht *d, const struct request *r, const struct wire_answer *a)
{
    struct outbox_slot *slot = outbox_room(d->config.out);
    size_t body_len;
    if (slot != NULL &&
        wire_answer_encode(a, slot->data + ANSWER_BODY_AT, WIRE_BODY_MAX, &body_len) == 0)
        send_body(d, r, slot, body_len, a->index);
}

static void answer_status(struct dht *d, const struct request *r, enum rpc_status status)
{
    struct wire_answer a;
    answer_init(d, r, &a);
    a.status = status;
    answer(d, r, &a);
}

static void answer_full(struct dht *d, const struct request *r, const struct store_view *v)
{
    struct wire_answer a;
    answer_init(d, r, &a);
    a.status = RPC_FULL;
    a.hint = v->hint;
    a.live = v->live;
    answer(d, r, &a);
}

// ---- find -----------------------------------------------------------------------------------------

struct found {
    const struct book_entry *entry[2 * FIND_CONTACTS_TOKEN];
    uint64_t fine[2 * FIND_CONTACTS_TOKEN], coarse[2 * FIND_CONTACTS_TOKEN];
    unsigned n;
};

static uint64_t prefix_number(const struct path *p, unsigned v4_bytes, unsigned v6_bytes)
{
    uint64_t x = p->family;
    for (unsigned i = 0; i < (p->family == 4 ? v4_bytes : v6_bytes); i++)
        x = x << 8 | p->ip[i];
    return x;
}

// Result sets hold two of a fine prefix, three of a coarse one (PROTOCOL 3).
static bool prefix_fits(struct found *f, unsigned from, const struct path *p)
{
    unsigned fine = 0, coarse = 0;
    f->fine[f->n] = prefix_number(p, 3, 6);
    f->coarse[f->n] = prefix_number(p, 2, 4);
    for (unsigned i = from; i < f->n; i++) {
        fine += f->fine[i] == f->fine[f->n];
        coarse += f->coarse[i] == f->coarse[f->n];
    }
    return fine < ANSWER_FINE_MAX && coarse < ANSWER_COARSE_MAX;
}

// The nearest live servers of one family but the asker itself. Who may be gone is named only where there are
// not enough others: a dead one costs each who asks it a timeout.
static void find_nearest(struct dht *d, const struct request *r, unsigned family, unsigned max,
                         struct found *f)
{
    book_ref near[2 * FIND_CONTACTS_TOKEN];
    const struct table *t = d->table[family];
    if (t == NULL)
        return;
    size_t n = table_nearest_sure(t, r->q.target, upkeep_seconds(d), near, 2 * max);
    unsigned from = f->n;
    for (size_t i = 0; i < n && f->n - from < max; i++) {
        const struct book_entry *e = dht_entry(d, near[i]);
        if (path_equal(&e->contact.path, r->from) || e->contact.path.via != VIA_UDP ||
            (d->config.prefix_limits && !prefix_fits(f, from, &e->contact.path)))
            continue;
        f->entry[f->n++] = e;
    }
}

// Of two families, the first of which has `split`: the nearer one first, so that neither crowds the other
// out where not all fit.
static void merge(struct found *f, unsigned split, const uint8_t target[static 32])
{
    const struct book_entry *all[2 * FIND_CONTACTS_TOKEN];
    memcpy(all, f->entry, f->n * sizeof(const struct book_entry *));
    for (unsigned i = 0, j = split, k = 0; k < f->n; k++) {
        bool first = j == f->n || (i < split && region_distance(all[i]->id, target) <=
                                                    region_distance(all[j]->id, target));
        f->entry[k] = all[first ? i++ : j++];
    }
}

// How many of the contacts from `i` on fit a datagram.
static unsigned fits(const struct found *f, unsigned i, size_t room)
{
    unsigned k = i;
    for (; k < f->n && k - i < WIRE_CONTACTS_MAX; k++) {
        size_t bytes =
            f->entry[k]->contact.path.family == 4 ? WIRE_CONTACT_V4_BYTES : WIRE_CONTACT_V6_BYTES;
        if (bytes > room)
            break;
        room -= bytes;
    }
    return k - i;
}

static bool place_is_full(struct dht *d, const struct request *r)
{
    struct store *s = &d->server->store;
    struct store_view v;
    if (r->q.bits < 256)
        return false;
    store_view(s, d->now, r->q.target, r->source, NULL, &v);
    if (v.hint == 0)
        return false;
    store_arrival(s, d->now, r->q.target, r->source);
    answer_full(d, r, &v);
    return true;
}

static void on_find(struct dht *d, const struct request *r)
{
    if (place_is_full(d, r))
        return;
    struct found f;
    unsigned max = r->token_ok ? FIND_CONTACTS_TOKEN : FIND_CONTACTS_BARE;
    f.n = 0;
    if ((r->q.want & WIRE_WANT_V4) != 0)
        find_nearest(d, r, 0, max, &f);
    unsigned split = f.n;
    if ((r->q.want & WIRE_WANT_V6) != 0)
        find_nearest(d, r, 1, max, &f);
    merge(&f, split, r->q.target);
    if (!r->token_ok && f.n > max)
        f.n = max;
    struct wire_answer a;
    answer_init(d, r, &a);
    // As many as fit, one datagram without a token, up to two with one.
    size_t unproven = UNPROVEN_ANSWER_FACTOR * r->len;
    size_t cap = (r->token_ok               ? CLASS_FULL
                  : unproven < CLASS_MEDIUM ? unproven
                                            : CLASS_MEDIUM) -
                 ANSWER_OVERHEAD;
    size_t head = WIRE_FOUND_BYTES_MAX - WIRE_PATH_V6_BYTES +
                  (r->from->family == 4 ? WIRE_PATH_V4_BYTES : WIRE_PATH_V6_BYTES);
    unsigned first = fits(&f, 0, cap - head);
    a.count = r->token_ok && first < f.n ? RPC_FIND_DATAGRAMS_MAX : 1;
    for (unsigned i = 0; a.index < a.count; a.index++) {
        struct outbox_slot *slot = outbox_room(d->config.out);
        struct wire_part p;
        if (slot == NULL || wire_part_begin(&p, &a, slot->data + ANSWER_BODY_AT, cap) != 0)
            return;
        while (i < f.n && wire_part_contact(&p, &f.entry[i]->contact))
            i++;
        send_body(d, r, slot, p.len, a.index);
    }
}

// ---- places ---------------------------------------------------------------------------------------

// An announce is answered by as many holders as the place has, so where many come each of them hands out
// only so many records a second; who seeks asks few of them and gets all that there is.
static unsigned sample_size(struct dht *d, const struct request *r, const struct store_view *v)
{
    if (r->q.kind == RPC_SEEK || v->arrivals <= STORE_SAMPLE_PER_S)
        return v->sample;
    return rng_below(&d->config.rng, v->arrivals) < STORE_SAMPLE_PER_S ? 1 : 0;
}

static void answer_sample(struct dht *d, const struct request *r, const uint8_t *except)
{
    struct store_sample s;
    struct store_view v;
    struct wire_answer a;
    store_view(&d->server->store, d->now, r->q.target, r->source, NULL, &v);
    store_sample(&d->server->store, d->now, r->q.target, except, sample_size(d, r, &v), &s);
    answer_init(d, r, &a);
    a.count =
        (uint8_t)(s.n == 0 ? 1 : (s.n + WIRE_RECORDS_PER_DATAGRAM - 1) / WIRE_RECORDS_PER_DATAGRAM);
    a.live = v.live;
    a.hint = v.hint;
    a.effort = v.effort;
    for (unsigned i = 0; a.index < a.count; a.index++) {
        struct outbox_slot *slot = outbox_room(d->config.out);
        struct wire_part p;
        if (slot == NULL ||
            wire_part_begin(&p, &a, slot->data + ANSWER_BODY_AT, WIRE_BODY_MAX) != 0)
            return;
        while (i < s.n && wire_part_record(&p, s.record[i]))
            i++;
        send_body(d, r, slot, p.len, a.index);
    }
}

// A rec_id belongs to one request key, and that this key's owner speaks is what opened the request: who
// has copied a record from another holder can neither announce nor withdraw it here before its owner.
static bool owns(const struct request *r, const uint8_t rec_id[static RECORD_ID_BYTES])
{
    uint8_t own[RECORD_ID_BYTES];
    record_id(own, r->header.e, r->q.salt);
    return sodium_memcmp(own, rec_id, sizeof own) == 0;
}

enum proof { PROOF_GOOD, PROOF_BAD, PROOF_LATER };

// The cheap test first, then one Argon2id out of a budget. What is claimed counts for nothing.
static enum proof check_proof(struct dht *d, const struct request *r)
{
    uint8_t m[32];
    record_pow_message(m, r->q.target, r->q.record);
    if (!pow_cheap(m, r->q.nonce, r->q.sol, r->q.effort))
        return PROOF_BAD;
    if (!guard_work(&d->server->guard, d->now, r->source))
        return PROOF_LATER;
    if (pow_check(m, r->q.record, r->q.nonce, r->q.sol, r->q.effort))
        return PROOF_GOOD;
    guard_work_wrong(&d->server->guard, r->source);
    return PROOF_BAD;
}

// A record that is not here yet, at a place that wants work. True: it may be stored.
static bool proven(struct dht *d, const struct request *r, const struct store_view *v)
{
    enum proof proof = r->q.effort >= v->effort ? check_proof(d, r) : PROOF_BAD;
    if (proof == PROOF_BAD && v->hint > 0) {
        answer_full(d, r, v);
    } else if (proof == PROOF_BAD) {
        struct wire_answer a;
        answer_init(d, r, &a);
        a.status = RPC_EFFORT;
        a.effort = v->effort;
        answer(d, r, &a);
    } // later: it asks again by itself
    return proof == PROOF_GOOD;
}

// Stores, then samples, in one step: of two that come, the second always gets the first.
static void on_announce(struct dht *d, const struct request *r)
{
    struct server *s = d->server;
    struct store_view v;
    struct store_announce a = {
        .place = r->q.target,
        .record = r->q.record,
        .source = r->source,
        .version = r->q.version,
        .ttl_s = r->q.ttl_s,
    };
    if (!owns(r, r->q.record)) {
        answer_status(d, r, RPC_LOCKED);
        return;
    }
    store_view(&s->store, d->now, a.place, a.source, a.record, &v);
    if (!v.known) {
        store_arrival(&s->store, d->now, a.place, a.source);
        if (v.effort > 0 && !proven(d, r, &v))
            return;
        a.effort = v.effort > 0 ? r->q.effort : 0;
    }
    int rc = store_announce(&s->store, d->now, &a);
    if (rc == 0)
        answer_sample(d, r, r->q.record);
    else if (rc == BAUTA_ESTATE)
        answer_status(d, r, RPC_GONE);
    else
        answer_full(d, r, &v);
    if (s->sweep_at == USEC_NEVER)
        s->sweep_at = d->now + STORE_SWEEP_US;
}

static void on_withdraw(struct dht *d, const struct request *r)
{
    struct server *s = d->server;
    int rc = owns(r, r->q.rec_id) ? store_withdraw(&s->store, d->now, r->q.target, r->q.rec_id,
                                                   r->source, r->token_ok)
                                  : BAUTA_EAUTH;
    answer_status(d, r,
                  rc == BAUTA_EAUTH      ? RPC_LOCKED
                  : rc == BAUTA_EUNKNOWN ? RPC_UNKNOWN
                                         : RPC_OK);
    if (s->sweep_at == USEC_NEVER && r->token_ok)
        s->sweep_at = d->now + STORE_SWEEP_US;
}

// ---- channels to us ---------------------------------------------------------------------------------

static void on_open(struct dht *d, const struct request *r)
{
    struct opening *o = d->config.opens ? opening_new(d) : NULL;
    struct dht_event *e =
        o != NULL ? dht_push_event(d, DHT_OPEN, o->id, 0, r->q.blob, r->q.blob_len) : NULL;
    if (e == NULL) {
        answer_status(d, r, RPC_UNKNOWN);
        return;
    }
    e->path = *r->from;
    o->from = *r->from;
    o->len = r->len;
    o->token_ok = r->token_ok;
    o->header = r->header;
    o->keys = r->keys;
    memcpy(o->reply, r->q.reply, sizeof o->reply);
}

static void open_answer(struct dht *d, uint32_t id, enum rpc_status status, const uint8_t *blob,
                        size_t len)
{
    struct server *s = d->server;
    for (unsigned i = 0; s != NULL && s->opening != NULL && i < OPENINGS_MAX; i++) {
        struct opening *o = &s->opening[i];
        if (o->id != id || id == 0)
            continue;
        struct request r = {.from = &o->from,
                            .header = o->header,
                            .keys = o->keys,
                            .len = o->len,
                            .token_ok = o->token_ok,
                            .q.kind = RPC_OPEN};
        memcpy(r.q.reply, o->reply, sizeof o->reply);
        struct wire_answer a;
        answer_init(d, &r, &a);
        a.status = status;
        a.blob = blob;
        a.blob_len = (uint16_t)len;
        answer(d, &r, &a);
        sodium_memzero(&r, sizeof r);
        sodium_memzero(o, sizeof *o);
        return;
    }
}

void dht_open_answer(struct dht *d, usec_t now, uint32_t id, const uint8_t *blob, size_t len)
{
    d->now = now;
    assert(len <= WIRE_OPEN_BLOB_MAX);
    open_answer(d, id, RPC_OK, blob, len);
}

void dht_open_refuse(struct dht *d, usec_t now, uint32_t id)
{
    d->now = now;
    open_answer(d, id, RPC_UNKNOWN, NULL, 0);
}

size_t dht_open_blob_max(void)
{
    return WIRE_OPEN_BLOB_MAX;
}

// ---- dispatch -------------------------------------------------------------------------------------

static bool changes_state(enum rpc_kind kind)
{
    return kind == RPC_ANNOUNCE || kind == RPC_WITHDRAW || kind == RPC_ATTEND ||
           kind == RPC_INTRODUCE || kind == RPC_RELAY_BACK || kind == RPC_DIAL_BACK ||
           kind == RPC_OPEN;
}

static void dispatch(struct dht *d, const struct request *r)
{
    uint64_t out_before = d->count.bytes_out;
    struct intro *intro = &d->server->intro;
    struct intro_from from = {r->from, r->header.e, &r->keys, r->source};
    struct wire_answer a;
    if (!r->token_ok &&
        (r->q.kind == RPC_ANNOUNCE || r->q.kind == RPC_SEEK || r->q.kind == RPC_ATTEND ||
         r->q.kind == RPC_DIAL_BACK || r->q.kind == RPC_OPEN)) {
        answer_status(d, r, RPC_NEED_TOKEN);
        return;
    }
    switch (r->q.kind) {
    case RPC_PING:
        dialback_pinged(d, r->from);
        answer_init(d, r, &a);
        answer(d, r, &a);
        break;
    case RPC_FIND:
        on_find(d, r);
        break;
    case RPC_ANNOUNCE:
        on_announce(d, r);
        break;
    case RPC_WITHDRAW:
        on_withdraw(d, r);
        break;
    case RPC_SEEK:
        answer_sample(d, r, r->q.rec_id);
        break;
    case RPC_ATTEND:
        answer_init(d, r, &a);
        a.status = intro_attend(intro, d->now, &from, &r->q);
        a.ttl_s = r->q.ttl_s;
        answer(d, r, &a);
        break;
    case RPC_INTRODUCE:
        answer_status(d, r, intro_introduce(intro, d->now, &from, &r->q));
        break;
    case RPC_RELAY_BACK:
        answer_status(d, r, intro_relay_back(intro, d->now, &from, &r->q));
        break;
    case RPC_DIAL_BACK:
        answer_status(d, r, dialback_request(d, r->from, r->source, &r->q));
        break;
    case RPC_OPEN:
        on_open(d, r);
        break;
    }
    // The ping that a newcomer gets counts: answer and ping are no more than the request was, or else
    // a spoofed source would draw more than it costs.
    size_t out = (size_t)(d->count.bytes_out - out_before) + CLASS_SMALL;
    if (r->q.has_self && r->q.kind != RPC_DIAL_BACK && r->from->via == VIA_UDP &&
        (r->token_ok || out <= UNPROVEN_ANSWER_FACTOR * r->len))
        upkeep_candidate(d, r->from, &r->q, r->token_ok);
}

// Wakes the timer by which a server gives back what requests made it take.
static void rest_later(struct dht *d)
{
    if (d->server->rest_at != USEC_NEVER)
        return;
    d->server->rest_at = d->now + TOKEN_PERIOD_US;
    arm(d);
}

// Too many requests: the token goes out sealed under what both know without one.
static void answer_light(struct dht *d, const struct request *r,
                         const uint8_t nonce[static RPC_NONCE_BYTES])
{
    uint64_t unix_s = d->unix_us > 0 ? (uint64_t)d->unix_us / 1000000 : 0;
    struct gate *gate = &d->server->gate;
    if (!gate_open(gate, d->now, d->mask_key, r->header.e, nonce, unix_s))
        return;
    if (gate->spent != NULL)
        rest_later(d);
    struct outbox_slot *slot = outbox_room(d->config.out);
    if (slot == NULL)
        return;
    uint8_t id[8], fresh[RPC_NONCE_BYTES];
    struct rpc_keys keys;
    memset(slot->data + ANSWER_BODY_AT, 0, CLASS_TINY - ANSWER_OVERHEAD);
    guard_token_next(&d->server->guard, d->now, r->from, r->header.e, slot->data + ANSWER_BODY_AT);
    slot->len = CLASS_TINY;
    slot->path = *r->from;
    rpc_light_id(id, d->mask_key, nonce);
    rpc_light_keys(&keys, d->mask_key, r->header.e);
    rng_fill(&d->config.rng, fresh, sizeof fresh);
    rpc_answer_seal(slot->data, CLASS_TINY - ANSWER_OVERHEAD, id, &keys, fresh);
    d->count.answers_out++;
    d->count.bytes_out += slot->len;
    outbox_commit(d->config.out);
}

// Opens it: cached keys, else one DH. Only keys under which something has opened are remembered.
static int open_request(struct dht *d, struct request *r, uint8_t *datagram, size_t len)
{
    struct guard *g = &d->server->guard;
    uint8_t *body;
    size_t body_len;
    struct rpc_root root;
    bool cached = guard_keys(g, r->source, r->header.e, &root);
    if (!cached && !guard_dh(g, d->now, r->source, r->token_ok)) {
        if (!r->token_ok)
            answer_light(d, r, datagram + RPC_HEADER_BYTES);
        return BAUTA_ELIMIT;
    }
    if (!cached && rpc_root_derive(&root, d->config.secret, r->header.e) != 0)
        return BAUTA_EAUTH;
    rpc_root_keys(&r->keys, &root, &d->config.net, r->header.e, d->pk);
    int rc = rpc_request_open(datagram, len, &r->keys, &body, &body_len);
    if (rc == 0) {
        guard_grow(g);
        if (!cached)
            guard_keys_remember(g, r->source, r->header.e, &root);
    }
    sodium_memzero(&root, sizeof root);
    if (rc != 0)
        return rc;
    rest_later(d);
    return wire_request_decode(&r->q, body, body_len);
}

static unsigned from_family(const struct path *from)
{
    return from->family == 4 ? 0 : 1;
}

static int receive(struct dht *d, struct request *r, uint8_t *datagram, size_t len)
{
    struct server *s = d->server;
    uint8_t nonce[RPC_NONCE_BYTES];
    memcpy(nonce, datagram + RPC_HEADER_BYTES, sizeof nonce);
    int rc = open_request(d, r, datagram, len);
    if (rc != 0) {
        *(rc == BAUTA_EAUTH    ? &d->count.dropped_auth
          : rc == BAUTA_ELIMIT ? &d->count.dropped_rate
                               : &d->count.dropped_format) += 1;
        return rc;
    }
    rc = guard_once(&s->guard, d->now, nonce, r->source, changes_state(r->q.kind));
    if (rc != 0) {
        *(rc == BAUTA_EREPLAY ? &d->count.dropped_replay : &d->count.dropped_rate) += 1;
        return rc;
    }
    d->count.requests_in++;
    if (!d->upkeep.answers && r->q.kind != RPC_PING)
        return 0; // a candidate
    d->upkeep.asked_at[from_family(r->from)] = d->now;
    if (r->token_ok) // it has got an answer of ours: this family works
        d->upkeep.heard_family[from_family(r->from)] = true;
    dispatch(d, r);
    arm(d);
    return 0;
}

int server_receive(struct dht *d, const struct path *from, uint8_t *datagram, size_t len)
{
    struct request r;
    if (len < RPC_REQUEST_OVERHEAD ||
        rpc_request_unmask_as(&r.header, datagram, len, d->mask_key, d->request_id) != 0) {
        d->count.dropped_unknown++;
        return BAUTA_EUNKNOWN;
    }
    if (class_of((uint32_t)len) != len) {
        d->count.dropped_format++;
        return BAUTA_EFORMAT;
    }
    r.from = from;
    r.len = len;
    r.token_ok = guard_token(&d->server->guard, d->now, from, r.header.e, r.header.token);
    bool flooded = !r.token_ok && gate_arrived(&d->server->gate, d->now);
    r.source = flooded ? 0 : guard_source(&d->server->guard, from);
    if (flooded || !guard_rate(&d->server->guard, d->now, from, r.source, r.token_ok)) {
        if (!r.token_ok) // somebody else may have forged this prefix; his token puts him before all that
            answer_light(d, &r, datagram + RPC_HEADER_BYTES);
        d->count.dropped_rate++;
        return BAUTA_ELIMIT;
    }
    int rc = receive(d, &r, datagram, len);
    sodium_memzero(&r.keys, sizeof r.keys);
    return rc;
}
