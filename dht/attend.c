// Attends and introductions, our side: keeping handles registered, blobs to and fro, and the series of
// pushes that bring them.
#include "crypto/bytes.h"
#include "dht/internal.h"

#include <assert.h>
#include <sodium.h>

// ---- series of pushes -----------------------------------------------------------------------------

static void open_up_to(struct dht *d, struct series *s, uint32_t high)
{
    for (; s->high < high; s->high++) {
        uint8_t id[8];
        rpc_push_id(id, s->push_key, s->high);
        if (ids_open(&d->ids, id_of(id), ID_PUSH, s, 0, s->high) != 0)
            return;
    }
}

static void close_below(struct dht *d, struct series *s, uint32_t low)
{
    for (; s->low < low && s->low < s->high; s->low++) {
        uint8_t id[8];
        rpc_push_id(id, s->push_key, s->low);
        ids_close(&d->ids, id_of(id));
    }
}

static void series_close(struct dht *d, struct series *s)
{
    if (s->open)
        close_below(d, s, s->high);
    sodium_memzero(s, sizeof *s);
}

static void series_open(struct dht *d, struct series *s, const struct ekey *ekey,
                        const struct session *with, bool is_attend, uint32_t owner)
{
    memset(s, 0, sizeof *s);
    s->open = true;
    ekey_keys(d, ekey, with, &s->keys);
    s->is_attend = is_attend;
    s->owner = owner;
    rng_fill(&d->config.rng, s->push_key, sizeof s->push_key);
    open_up_to(d, s, PUSH_AHEAD);
}

// Its ids lead to where it lives now.
static void series_move(struct dht *d, struct series *to, struct series *from)
{
    *to = *from;
    for (uint32_t i = to->low; i < to->high; i++) {
        uint8_t id[8];
        rpc_push_id(id, to->push_key, i);
        const struct id_entry *e = ids_find(&d->ids, id_of(id));
        if (e != NULL && e->owner == from)
            ((struct id_entry *)e)->owner = to;
    }
    sodium_memzero(from, sizeof *from);
}

static struct attend *attend_find(const struct dht *d, uint32_t id)
{
    struct attend *a = d->attends;
    while (a != NULL && a->id != id)
        a = a->next;
    return a;
}

static struct intro_out *intro_find(const struct dht *d, uint32_t id)
{
    struct intro_out *x = d->intros;
    while (x != NULL && x->id != id)
        x = x->next;
    return x;
}

static void tell_push(struct dht *d, const struct series *s, const struct wire_push *p)
{
    struct dht_event *e = NULL;
    if (s->is_attend) {
        const struct attend *a = attend_find(d, s->owner);
        if (a != NULL && p->kind == PUSH_OFFER)
            e = dht_push_event(d, DHT_OFFER, a->id, a->user, p->blob, p->blob_len);
    } else {
        const struct intro_out *x = intro_find(d, s->owner);
        if (x != NULL && p->kind == PUSH_BACK && memcmp(x->link, p->link, DHT_LINK_BYTES) == 0)
            e = dht_push_event(d, DHT_BACK, x->id, x->user, p->blob, p->blob_len);
    }
    if (e != NULL)
        memcpy(e->link, p->link, DHT_LINK_BYTES);
}

int push_receive(struct dht *d, const struct path *from, struct series *s,
                 const struct id_entry *entry, uint8_t *datagram, size_t len)
{
    uint32_t i = entry->i;
    uint64_t id = entry->id;
    uint8_t *body;
    size_t body_len;
    struct wire_push p;
    uint16_t second = (uint16_t)(d->now / USEC_PER_S);
    if (s->second != second)
        s->pushes = 0;
    s->second = second;
    if (s->pushes ==
        PUSHES_PER_S) { // what its introducer sends beyond that is lost, and its series with it
        d->count.dropped_rate++;
        return BAUTA_ELIMIT;
    }
    s->pushes++;
    (void)from; // the key and the id prove it; an introducer may be seen from several addresses
    int rc = rpc_answer_open(datagram, len, &s->keys, &body, &body_len);
    if (rc != 0) {
        *(rc == BAUTA_EAUTH ? &d->count.dropped_auth : &d->count.dropped_format) += 1;
        return rc;
    }
    if (wire_push_decode(&p, body, body_len) != 0) {
        d->count.dropped_format++;
        return BAUTA_EFORMAT;
    }
    d->count.pushes_in++;
    ids_close(&d->ids, id); // each id is good once
    if (i >= s->next) {
        s->next = i + 1;
        open_up_to(d, s, s->next + PUSH_AHEAD);
        if (s->next > PUSH_BEHIND)
            close_below(d, s, s->next - PUSH_BEHIND);
    }
    tell_push(d, s, &p);
    return 0;
}

// ---- attends --------------------------------------------------------------------------------------

static void attend_arm(struct dht *d, struct attend *a)
{
    usec_t at = a->busy ? USEC_NEVER : a->renew_at;
    timers_arm(&d->timers, &a->timer, a->old_until < at ? a->old_until : at);
}

static bool serves_there(const struct dht *d, const struct attend *a)
{
    return upkeep_serves(d, dht_entry(d, a->ref)->contact.path.family);
}

// Each server that is asked takes a flow in a router, and where those are few the flow that was silent
// longest is closed: that to an introducer, of which nothing is heard until somebody comes.
void attends_found(struct dht *d)
{
    d->finds++;
    for (struct attend *a = d->attends; a != NULL; a = a->next) {
        if (a->busy || !a->confirmed || d->finds - a->finds < ATTEND_RENEW_FINDS ||
            a->renew_at <= d->now || serves_there(d, a))
            continue;
        a->renew_at = d->now;
        attend_arm(d, a);
    }
}

static int attend_send(struct dht *d, struct attend *a, uint16_t ttl_s)
{
    a->finds = d->finds;
    struct place *p = place_find(d, a->place);
    const struct session *s = p == NULL ? NULL : ekey_session(d, &p->ekey, a->ref);
    if (s == NULL)
        return BAUTA_ESPACE;
    struct wire_request q;
    memset(&q, 0, sizeof q);
    q.kind = RPC_ATTEND;
    memcpy(q.handle, a->handle, DHT_HANDLE_BYTES);
    q.ttl_s = ttl_s;
    if (ttl_s > 0) {
        if (a->series.open && a->confirmed) { // it stays open for what is under way
            series_close(d, &a->old);
            series_move(d, &a->old, &a->series);
            a->old_until = USEC_NEVER;
        }
        if (!a->series.open) // else the last try may have got there: it is repeated as it was
            series_open(d, &a->series, &p->ekey, s, true, a->id);
        a->confirmed = false;
        memcpy(q.push_key, a->series.push_key, 32);
    }
    struct call_spec spec = {.owner_kind = ttl_s > 0 ? CALL_ATTEND : CALL_NOBODY,
                             .owner = a->id,
                             .place = a->place,
                             .ref = a->ref,
                             .ekey = &p->ekey};
    return call_start(d, &spec, &q, NULL);
}

static void attend_free(struct dht *d, struct attend *a)
{
    struct attend **at = &d->attends;
    while (*at != a) {
        assert(*at != NULL);
        at = &(*at)->next;
    }
    *at = a->next;
    d->attend_count--;
    calls_forget(d, CALL_ATTEND, a->id);
    calls_forget(d, CALL_ANSWER, a->id);
    series_close(d, &a->series);
    series_close(d, &a->old);
    timers_remove(&d->timers, &a->timer);
    book_drop(d->config.book, a->ref);
    arena_give(d->config.arena, a, sizeof *a);
}

int dht_attend_open(struct dht *d, usec_t now, uint32_t place, const struct contact *introducer,
                    const uint8_t handle[static DHT_HANDLE_BYTES], uint32_t user, uint32_t *attend)
{
    d->now = now;
    if (place_find(d, place) == NULL)
        return BAUTA_EUNKNOWN;
    if (!dht_contact_ok(d, introducer, true))
        return BAUTA_EFORMAT;
    if (d->attend_count >= ATTENDS_MAX)
        return BAUTA_ELIMIT;
    book_ref ref = dht_hold(d, introducer);
    struct attend *a = arena_take(d->config.arena, sizeof *a);
    if (ref == 0 || a == NULL || timers_add(&d->timers, &a->timer, TIMER_ATTEND, a) != 0) {
        book_drop(d->config.book, ref);
        arena_give(d->config.arena, a, sizeof *a);
        return BAUTA_ESPACE;
    }
    a->id = dht_next_id(d);
    a->user = user;
    a->place = place;
    a->ref = ref;
    a->renew_at = a->old_until = USEC_NEVER;
    memcpy(a->handle, handle, DHT_HANDLE_BYTES);
    a->next = d->attends;
    d->attends = a;
    d->attend_count++;
    int rc = attend_send(d, a, ATTEND_TTL_S);
    if (rc != 0) {
        attend_free(d, a);
        return rc;
    }
    a->busy = true;
    *attend = a->id;
    return 0;
}

void attend_answered(struct dht *d, struct call *c, const struct wire_answer *answer)
{
    struct attend *a = attend_find(d, c->owner);
    if (a == NULL)
        return;
    if (c->kind != RPC_ATTEND) {
        return; // a relay_back has arrived, or its link is gone; the other end will tell
    }
    a->busy = false;
    if (answer->status != RPC_OK) {
        attend_failed(d, c);
        return;
    }
    a->failures = 0;
    a->confirmed = true;
    a->seen = answer->seen;
    a->has_seen = true;
    a->old_until = a->old.open ? d->now + RPC_LATE_US : USEC_NEVER;
    a->renew_at =
        d->now + (serves_there(d, a) ? ATTEND_RENEW_SERVER_US
                                     : rng_between(&d->config.rng, ATTEND_RENEW_CLIENT_MIN_US,
                                                   ATTEND_RENEW_CLIENT_MAX_US));
    attend_arm(d, a);
    if (!a->told) {
        a->told = true;
        (void)dht_push_event(d, DHT_ATTENDING, a->id, a->user, NULL, 0);
    }
}

void attend_failed(struct dht *d, struct call *c)
{
    struct attend *a = attend_find(d, c->owner);
    if (a == NULL || c->kind != RPC_ATTEND)
        return;
    a->busy = false;
    if (++a->failures >= ATTEND_FAILURES_MAX) {
        (void)dht_push_event(d, DHT_ATTEND_LOST, a->id, a->user, NULL, 0);
        attend_free(d, a);
        return;
    }
    a->renew_at = d->now + ATTEND_RETRY_US;
    attend_arm(d, a);
}

void attend_timer(struct dht *d, struct attend *a)
{
    if (a->old_until <= d->now) {
        series_close(d, &a->old);
        a->old_until = USEC_NEVER;
    }
    if (!a->busy && a->renew_at <= d->now) {
        a->renew_at = d->now + ATTEND_RETRY_US;
        a->busy = attend_send(d, a, ATTEND_TTL_S) == 0;
    }
    attend_arm(d, a);
}

void dht_attend_renew(struct dht *d, usec_t now, uint32_t attend)
{
    d->now = now;
    struct attend *a = attend_find(d, attend);
    if (a == NULL)
        return;
    a->told = false;
    if (a->busy) // it is under way, and goes again until an answer finds us
        return;
    a->renew_at = now;
    attend_timer(d, a);
}

// An introducer that asks much and acknowledges nothing must not use up all calls of the node.
static void answers_make_room(struct dht *d, const struct attend *a)
{
    struct call *oldest = NULL; // the newest stands first
    unsigned n = 0;
    for (struct call *c = d->calls; c != NULL; c = c->next)
        if (c->owner_kind == CALL_ANSWER && c->owner == a->id) {
            n++;
            oldest = c;
        }
    if (n >= ATTEND_ANSWERS_MAX && oldest != d->current)
        call_free(d, oldest);
}

int dht_attend_answer(struct dht *d, usec_t now, uint32_t attend,
                      const uint8_t link[static DHT_LINK_BYTES], const uint8_t *blob, size_t len)
{
    d->now = now;
    const struct attend *a = attend_find(d, attend);
    struct place *p = a == NULL ? NULL : place_find(d, a->place);
    if (p == NULL)
        return BAUTA_EUNKNOWN;
    if (len > WIRE_ANSWER_BLOB_MAX)
        return BAUTA_ELIMIT;
    struct wire_request q;
    memset(&q, 0, sizeof q);
    answers_make_room(d, a);
    q.kind = RPC_RELAY_BACK;
    memcpy(q.handle, a->handle, DHT_HANDLE_BYTES);
    memcpy(q.link, link, DHT_LINK_BYTES);
    q.blob = blob;
    q.blob_len = (uint16_t)len;
    struct call_spec spec = {.owner_kind = CALL_ANSWER,
                             .owner = a->id,
                             .place = a->place,
                             .ref = a->ref,
                             .ekey = &p->ekey,
                             .class_min = CLASS_CHAT};
    return call_start(d, &spec, &q, NULL);
}

bool dht_attend_seen(const struct dht *d, uint32_t attend, struct path *seen)
{
    const struct attend *a = attend_find(d, attend);
    if (a == NULL || !a->has_seen)
        return false;
    *seen = a->seen;
    return true;
}

void dht_attend_close(struct dht *d, usec_t now, uint32_t attend)
{
    d->now = now;
    struct attend *a = attend_find(d, attend);
    if (a == NULL)
        return;
    (void)attend_send(d, a, 0); // the introducer declines by itself from now on
    attend_free(d, a);
}

// ---- introductions --------------------------------------------------------------------------------

static void intro_out_free(struct dht *d, struct intro_out *x)
{
    struct intro_out **at = &d->intros;
    while (*at != x)
        at = &(*at)->next;
    *at = x->next;
    d->intro_count--;
    calls_forget(d, CALL_INTRO, x->id);
    series_close(d, &x->series);
    book_drop(d->config.book, x->ref);
    arena_give(d->config.arena, x, sizeof *x);
}

static int introduce(struct dht *d, struct intro_out *x, const uint8_t *blob, size_t len)
{
    struct place *p = place_find(d, x->place);
    if (p == NULL)
        return BAUTA_EUNKNOWN;
    struct wire_request q;
    memset(&q, 0, sizeof q);
    q.kind = RPC_INTRODUCE;
    memcpy(q.handle, x->handle, DHT_HANDLE_BYTES);
    memcpy(q.link, x->link, DHT_LINK_BYTES);
    memcpy(q.push_key, x->series.push_key, 32);
    q.blob = blob;
    q.blob_len = (uint16_t)len;
    struct call_spec spec = {.owner_kind = CALL_INTRO,
                             .owner = x->id,
                             .place = x->place,
                             .ref = x->ref,
                             .ekey = &p->ekey,
                             .class_min = CLASS_MEDIUM};
    return call_start(d, &spec, &q, NULL);
}

int dht_introduce_open(struct dht *d, usec_t now, uint32_t place, const struct contact *introducer,
                       const uint8_t handle[static DHT_HANDLE_BYTES], const uint8_t *blob,
                       size_t len, uint32_t user, uint32_t *intro)
{
    d->now = now;
    struct place *p = place_find(d, place);
    if (p == NULL)
        return BAUTA_EUNKNOWN;
    // The stranger may have chosen ourselves: then the datagram goes out and comes in again.
    if (len > WIRE_INTRODUCE_BLOB_MAX)
        return BAUTA_ELIMIT;
    if (!path_reachable(&introducer->path, d->config.lab) ||
        !node_puzzle_ok(&d->config.net, introducer->pk, introducer->puzzle_nonce,
                        d->config.puzzle_bits))
        return BAUTA_EFORMAT;
    if (d->intro_count >= INTROS_MAX)
        return BAUTA_ELIMIT;
    book_ref ref = dht_hold(d, introducer);
    struct intro_out *x = arena_take(d->config.arena, sizeof *x);
    const struct session *s = ref == 0 || x == NULL ? NULL : ekey_session(d, &p->ekey, ref);
    if (s == NULL) {
        book_drop(d->config.book, ref);
        arena_give(d->config.arena, x, sizeof *x);
        return BAUTA_ESPACE;
    }
    x->id = dht_next_id(d);
    x->user = user;
    x->place = place;
    x->ref = ref;
    memcpy(x->handle, handle, DHT_HANDLE_BYTES);
    rng_fill(&d->config.rng, x->link, DHT_LINK_BYTES);
    x->next = d->intros;
    d->intros = x;
    d->intro_count++;
    series_open(d, &x->series, &p->ekey, s, false, x->id);
    int rc = introduce(d, x, blob, len);
    if (rc != 0) {
        intro_out_free(d, x);
        return rc;
    }
    *intro = x->id;
    return 0;
}

int dht_introduce_send(struct dht *d, usec_t now, uint32_t intro, const uint8_t *blob, size_t len)
{
    d->now = now;
    struct intro_out *x = intro_find(d, intro);
    if (x == NULL)
        return BAUTA_EUNKNOWN;
    if (len > WIRE_INTRODUCE_BLOB_MAX)
        return BAUTA_ELIMIT;
    return introduce(d, x, blob, len);
}

usec_t dht_introduce_rto(const struct dht *d, uint32_t intro)
{
    const struct intro_out *x = intro_find(d, intro);
    return x == NULL ? RPC_RTO_UNKNOWN_US : dht_rto(d, x->ref);
}

void intro_failed(struct dht *d, struct call *c)
{
    const struct intro_out *x = intro_find(d, c->owner);
    if (x != NULL)
        (void)dht_push_event(d, DHT_INTRO_FAILED, x->id, x->user, NULL, 0);
}

void dht_introduce_close(struct dht *d, usec_t now, uint32_t intro)
{
    d->now = now;
    struct intro_out *x = intro_find(d, intro);
    if (x != NULL)
        intro_out_free(d, x);
}

void attends_place_gone(struct dht *d, uint32_t place)
{
    for (struct attend *a = d->attends, *next; a != NULL; a = next) {
        next = a->next;
        if (a->place == place)
            dht_attend_close(d, d->now, a->id);
    }
    for (struct intro_out *x = d->intros, *next; x != NULL; x = next) {
        next = x->next;
        if (x->place == place)
            intro_out_free(d, x);
    }
}

size_t dht_introduce_blob_max(void)
{
    return WIRE_INTRODUCE_BLOB_MAX;
}

size_t dht_answer_blob_max(void)
{
    return WIRE_ANSWER_BLOB_MAX;
}
