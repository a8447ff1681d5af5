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
    int rc = guard_init(&s->guard, d->config.arena, &d->config.rng, d->config.prefix_limits);
    if (rc == 0)
        rc = timers_add(&d->timers, &s->timer, TIMER_SERVER, d);
    if (rc != 0) {
        guard_end(&s->guard);
        arena_give(d->config.arena, s, sizeof *s);
        d->server = NULL;
        return rc;
    }
    uint32_t bytes =
        d->config.store_bytes_max == 0 ? STORE_BYTES_DEFAULT : d->config.store_bytes_max;
    store_init(&s->store, d->config.arena, &d->config.rng, bytes);
    intro_init(&s->intro, d->config.arena, &d->config.rng, d->config.out, d->config.prefix_limits);
    s->sweep_at = USEC_NEVER;
    return 0;
}

void server_free(struct dht *d)
{
    struct server *s = d->server;
    if (s == NULL)
        return;
    timers_remove(&d->timers, &s->timer);
    intro_end(&s->intro);
    store_end(&s->store);
    guard_end(&s->guard);
    arena_give(d->config.arena, s, sizeof *s);
    d->server = NULL;
}

static void arm(struct dht *d)
{
    struct server *s = d->server;
    usec_t at = intro_deadline(&s->intro);
    timers_arm(&d->timers, &s->timer, at < s->sweep_at ? at : s->sweep_at);
}

void server_timer(struct dht *d)
{
    struct server *s = d->server;
    intro_run(&s->intro, d->now);
    if (s->sweep_at <= d->now)
        s->sweep_at = store_sweep(&s->store, d->now) ? d->now + STORE_SWEEP_US : USEC_NEVER;
    arm(d);
}

static void answer_init(struct dht *d, const struct request *r, struct wire_answer *a)
{
    memset(a, 0, sizeof *a);
    a->count = 1;
    a->kind = r->q.kind;
    a->seen = *r->from;
    memcpy(a->puzzle_nonce, d->config.puzzle_nonce, PUZZLE_NONCE_BYTES);
    a->listed = d->config.listed;
    a->minute = d->unix_us > 0 ? (uint32_t)(d->unix_us / 60000000) : 0;
    guard_token(&d->server->guard, d->now, r->from, r->header.e, a->token);
}

// Never more bytes than came in, unless the token is good.
static void answer(struct dht *d, const struct request *r, const struct wire_answer *a)
{
    struct outbox_slot *slot = outbox_room(d->config.out);
    if (slot == NULL)
        return;
    size_t body_len;
    memset(slot->data, 0, sizeof slot->data);
    if (wire_answer_encode(a, slot->data + ANSWER_BODY_AT, WIRE_BODY_MAX, &body_len) != 0)
        return;
    slot->len = class_of((uint32_t)(body_len + ANSWER_OVERHEAD));
    if (!r->token_ok && slot->len > UNPROVEN_ANSWER_FACTOR * r->len)
        return;
    slot->path = *r->from;
    uint8_t id[8], nonce[RPC_NONCE_BYTES];
    rpc_answer_id(id, &r->keys, r->q.reply, a->index);
    rng_fill(&d->config.rng, nonce, sizeof nonce);
    rpc_answer_seal(slot->data, slot->len - ANSWER_OVERHEAD, id, &r->keys, nonce);
    d->count.answers_out++;
    d->count.bytes_out += slot->len;
    outbox_commit(d->config.out);
}

static void answer_status(struct dht *d, const struct request *r, enum rpc_status status)
{
    struct wire_answer a;
    answer_init(d, r, &a);
    a.status = status;
    answer(d, r, &a);
}

// ---- find -----------------------------------------------------------------------------------------

// The nearest live servers of one family but the asker itself.
static unsigned nearest(struct dht *d, const struct request *r, unsigned family, unsigned max,
                        struct contact *out)
{
    if (d->table[family] == NULL)
        return 0;
    book_ref near[FIND_CONTACTS_TOKEN + 1];
    size_t n = table_nearest(d->table[family], r->q.target, near, max + 1);
    unsigned taken = 0;
    for (size_t i = 0; i < n && taken < max; i++) {
        const struct contact *c = &dht_entry(d, near[i])->contact;
        if (!path_equal(&c->path, r->from))
            out[taken++] = *c;
    }
    return taken;
}

static void on_find(struct dht *d, const struct request *r)
{
    struct contact all[2 * FIND_CONTACTS_TOKEN];
    unsigned max = r->token_ok ? FIND_CONTACTS_TOKEN : FIND_CONTACTS_BARE;
    unsigned n = 0;
    if ((r->q.want & WIRE_WANT_V4) != 0)
        n += nearest(d, r, 0, max, all);
    if ((r->q.want & WIRE_WANT_V6) != 0)
        n += nearest(d, r, 1, max, all + n);
    if (!r->token_ok && n > max)
        n = max;
    // As many as fit, one datagram without a token, up to two with one.
    size_t unproven = UNPROVEN_ANSWER_FACTOR * r->len;
    size_t room = (r->token_ok               ? CLASS_FULL
                   : unproven < CLASS_MEDIUM ? unproven
                                             : CLASS_MEDIUM) -
                  ANSWER_OVERHEAD;
    uint8_t contacts[RPC_FIND_DATAGRAMS_MAX][CLASS_FULL];
    struct wire_answer part[RPC_FIND_DATAGRAMS_MAX];
    unsigned parts = 0, i = 0;
    do {
        struct wire_answer *a = &part[parts];
        struct wire_part p;
        answer_init(d, r, a);
        if (wire_part_begin(&p, a, contacts[parts], room) != 0)
            return;
        size_t head = p.len;
        while (i < n && wire_part_contact(&p, &all[i]))
            i++;
        a->n = contacts[parts][p.n_at];
        a->contacts = contacts[parts] + head;
        a->contacts_len = (uint16_t)(p.len - head);
        parts++;
    } while (r->token_ok && i < n && parts < RPC_FIND_DATAGRAMS_MAX);
    for (unsigned k = 0; k < parts; k++) {
        part[k].index = (uint8_t)k;
        part[k].count = (uint8_t)parts;
        answer(d, r, &part[k]);
    }
}

// ---- places ---------------------------------------------------------------------------------------

static void answer_sample(struct dht *d, const struct request *r, const uint8_t *except)
{
    struct store_sample s;
    store_sample(&d->server->store, d->now, r->q.target, except, &s);
    unsigned parts =
        s.n == 0 ? 1 : (s.n + WIRE_RECORDS_PER_DATAGRAM - 1) / WIRE_RECORDS_PER_DATAGRAM;
    for (unsigned k = 0; k < parts; k++) {
        struct wire_answer a;
        uint8_t records[WIRE_RECORDS_PER_DATAGRAM * RECORD_BYTES];
        answer_init(d, r, &a);
        a.index = (uint8_t)k;
        a.count = (uint8_t)parts;
        a.live = s.live;
        a.hint = s.hint;
        a.records = records;
        for (unsigned i = k * WIRE_RECORDS_PER_DATAGRAM; i < s.n && a.n < WIRE_RECORDS_PER_DATAGRAM;
             i++)
            memcpy(records + (size_t)a.n++ * RECORD_BYTES, s.record[i], RECORD_BYTES);
        answer(d, r, &a);
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

// Stores, then samples, in one step: of two that come, the second always gets the first.
static void on_announce(struct dht *d, const struct request *r)
{
    struct server *s = d->server;
    struct store_announce a = {
        .place = r->q.target,
        .record = r->q.record,
        .source = r->source,
        .version = r->q.version,
        .effort = r->q.effort,
        .ttl_s = r->q.ttl_s,
    };
    int rc = owns(r, r->q.record) ? store_announce(&s->store, d->now, &a) : BAUTA_EAUTH;
    if (rc == 0) {
        answer_sample(d, r, r->q.record);
    } else {
        answer_status(d, r,
                      rc == BAUTA_EAUTH    ? RPC_LOCKED
                      : rc == BAUTA_ESTATE ? RPC_GONE
                                           : RPC_FULL);
    }
    if (s->sweep_at == USEC_NEVER)
        s->sweep_at = d->now + STORE_SWEEP_US;
}

static void on_withdraw(struct dht *d, const struct request *r)
{
    struct server *s = d->server;
    int rc = owns(r, r->q.rec_id)
                 ? store_withdraw(&s->store, d->now, r->q.target, r->q.rec_id, r->token_ok)
                 : BAUTA_EAUTH;
    answer_status(d, r,
                  rc == BAUTA_EAUTH      ? RPC_LOCKED
                  : rc == BAUTA_EUNKNOWN ? RPC_UNKNOWN
                                         : RPC_OK);
    if (s->sweep_at == USEC_NEVER && r->token_ok)
        s->sweep_at = d->now + STORE_SWEEP_US;
}

// ---- dispatch -------------------------------------------------------------------------------------

static bool changes_state(enum rpc_kind kind)
{
    return kind == RPC_ANNOUNCE || kind == RPC_WITHDRAW || kind == RPC_ATTEND ||
           kind == RPC_INTRODUCE || kind == RPC_RELAY_BACK || kind == RPC_DIAL_BACK;
}

static void dispatch(struct dht *d, const struct request *r)
{
    uint64_t out_before = d->count.bytes_out;
    struct intro *intro = &d->server->intro;
    struct intro_from from = {r->from, r->header.e, &r->keys, r->source};
    struct wire_answer a;
    if (!r->token_ok && (r->q.kind == RPC_ANNOUNCE || r->q.kind == RPC_SEEK ||
                         r->q.kind == RPC_ATTEND || r->q.kind == RPC_DIAL_BACK)) {
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
    }
    // The ping that a newcomer gets counts: answer and ping are no more than the request was, or else
    // a spoofed source would draw more than it costs.
    size_t out = (size_t)(d->count.bytes_out - out_before) + CLASS_SMALL;
    if (r->q.has_self && r->q.kind != RPC_DIAL_BACK &&
        (r->token_ok || out <= UNPROVEN_ANSWER_FACTOR * r->len))
        upkeep_candidate(d, r->from, &r->q, r->token_ok);
}

// Opens it: cached keys, else one DH. Only keys under which something has opened are remembered.
static int open_request(struct dht *d, struct request *r, uint8_t *datagram, size_t len)
{
    struct guard *g = &d->server->guard;
    uint8_t *body;
    size_t body_len;
    bool cached = guard_keys(g, r->source, r->header.e, &r->keys);
    if (!cached && rpc_keys_derive(&r->keys, d->config.secret, r->header.e, &d->config.net,
                                   r->header.e, d->pk) != 0)
        return BAUTA_EAUTH;
    int rc = rpc_request_open(datagram, len, &r->keys, &body, &body_len);
    if (rc != 0)
        return rc;
    guard_grow(g);
    if (!cached)
        guard_keys_remember(g, r->source, r->header.e, &r->keys);
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
        *(rc == BAUTA_EAUTH ? &d->count.dropped_auth : &d->count.dropped_format) += 1;
        return rc;
    }
    r->token_ok = guard_token_ok(&s->guard, d->now, r->from, r->header.e, r->header.token);
    rc = guard_once(&s->guard, d->now, nonce, changes_state(r->q.kind));
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
        rpc_request_unmask(&r.header, datagram, len, d->mask_key) != 0) {
        d->count.dropped_unknown++;
        return BAUTA_EUNKNOWN;
    }
    if (class_of((uint32_t)len) != len) {
        d->count.dropped_format++;
        return BAUTA_EFORMAT;
    }
    r.from = from;
    r.len = len;
    r.source = guard_source(&d->server->guard, from);
    if (!guard_rate(&d->server->guard, d->now, r.source)) {
        d->count.dropped_rate++;
        return BAUTA_ELIMIT;
    }
    int rc = receive(d, &r, datagram, len);
    sodium_memzero(&r.keys, sizeof r.keys);
    return rc;
}
