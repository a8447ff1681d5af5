// A small network in virtual time for tests of dht/: N nodes on 127.0.0.1, one queue of datagrams with
// a fixed delay, seeded randomness, optional loss.
#ifndef BAUTA_TESTS_DHT_NET_H
#define BAUTA_TESTS_DHT_NET_H

#include "dht/internal.h"
#include "tests/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NET_DELAY_US USEC_PER_MS
#define NET_PORT 2000u

struct net_datagram {
    usec_t at;
    uint64_t seq;
    struct path from, to;
    uint16_t len;
    uint8_t data[CLASS_FULL];
};
struct net_rng {
    uint64_t state;
};
struct net_node {
    struct dht *dht;
    struct arena arena;
    struct net_rng rng;
    struct path path;
    struct path
        exit; // its `via` and the address at which others see what goes by that; family 0: none
    bool dead;
    struct dht_event event[512]; // kept, with copies of their data
    unsigned events;
};
struct network {
    unsigned n;
    struct net_node *node;
    struct arena book_arena;
    struct contact_book *book;
    struct record_book *records;
    struct outbox *out;
    struct net_datagram **heap; // by (at, seq)
    size_t queued, cap;
    uint64_t seq;
    usec_t now;
    unsigned loss_percent;
    struct net_rng rng;
    uint64_t delivered, bytes;
    // What a test wants to see or change on the wire; false: drop it.
    bool (*tap)(struct network *, struct net_datagram *, void *ctx);
    void *tap_ctx;
};

static inline uint64_t net_next(struct net_rng *r)
{
    uint64_t z = (r->state += UINT64_C(0x9e3779b97f4a7c15)); // splitmix64
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static inline void net_fill(void *ctx, void *buf, size_t len)
{
    uint8_t *p = buf;
    for (size_t i = 0; i < len; i++)
        p[i] = (uint8_t)(net_next(ctx) >> 32);
}

static inline void net_start(struct network *w, unsigned n, uint64_t seed)
{
    memset(w, 0, sizeof *w);
    w->node = calloc(n, sizeof *w->node);
    w->out = calloc(1, sizeof *w->out);
    assert_non_null(w->node);
    assert_non_null(w->out);
    w->rng.state = seed;
    w->now = 1000 * USEC_PER_S;
    memory_arena(&w->book_arena, 64u << 20);
    w->book = contact_book_new(&w->book_arena, 100000);
    w->records = record_book_new(&w->book_arena, 4096);
    assert_non_null(w->book);
}

static inline void net_config(struct network *w, struct net_node *x, struct dht_config *c,
                              bool server)
{
    memset(c, 0, sizeof *c);
    assert_int_equal(net_init(&c->net, "test"), 0);
    c->rng = (struct rng){net_fill, &x->rng};
    c->arena = &x->arena;
    c->out = w->out;
    c->book = w->book;
    c->records = w->records;
    net_fill(&x->rng, c->secret, 32);
    c->server = c->listed = server;
    c->lab = true;
    c->store_bytes_max = 1u << 20;
}

static inline unsigned net_add(struct network *w, bool server)
{
    struct net_node *x = &w->node[w->n];
    struct dht_config c;
    x->rng.state = net_next(&w->rng);
    x->path = path_v4((const uint8_t[4]){127, 0, 0, 1}, (uint16_t)(NET_PORT + w->n));
    memory_arena(&x->arena, 16u << 20);
    net_config(w, x, &c, server);
    assert_int_equal(dht_init(&x->dht, &c), 0);
    dht_clock(x->dht, w->now, INT64_C(1700000000000000));
    return w->n++;
}

static inline struct contact net_contact(const struct network *w, unsigned i)
{
    struct contact c;
    memset(&c, 0, sizeof c);
    memcpy(c.pk, w->node[i].dht->pk, 32);
    c.path = w->node[i].path;
    return c;
}

static inline bool net_before(const struct net_datagram *a, const struct net_datagram *b)
{
    return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

static inline void net_queue(struct network *w, const struct net_datagram *g)
{
    if (w->queued == w->cap) {
        w->cap = w->cap == 0 ? 64 : 2 * w->cap;
        w->heap = realloc(w->heap, w->cap * sizeof *w->heap);
        assert_non_null(w->heap);
    }
    struct net_datagram *x = malloc(sizeof *x);
    assert_non_null(x);
    *x = *g;
    x->seq = w->seq++;
    size_t i = w->queued++;
    for (; i > 0 && net_before(x, w->heap[(i - 1) / 2]); i = (i - 1) / 2)
        w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = x;
}

static inline struct net_datagram *net_pop(struct network *w)
{
    struct net_datagram *top = w->heap[0], *x = w->heap[--w->queued];
    size_t i = 0;
    for (;;) {
        size_t c = 2 * i + 1;
        if (c >= w->queued)
            break;
        if (c + 1 < w->queued && net_before(w->heap[c + 1], w->heap[c]))
            c++;
        if (!net_before(w->heap[c], x))
            break;
        w->heap[i] = w->heap[c];
        i = c;
    }
    if (w->queued > 0)
        w->heap[i] = x;
    return top;
}

// Takes what a node has produced: datagrams to the queue, events to its list.
static inline void net_drain(struct network *w, unsigned i)
{
    struct net_node *x = &w->node[i];
    for (uint32_t k = 0; k < w->out->count; k++) {
        const struct outbox_slot *s = &w->out->slot[k];
        struct net_datagram g;
        assert_int_equal(class_of(s->len), s->len);
        g.at = w->now + NET_DELAY_US;
        assert_true(s->path.via == VIA_UDP || s->path.via == x->exit.via);
        g.from = s->path.via == VIA_UDP ? x->path : x->exit;
        g.to = s->path;
        g.from.via = g.to.via = VIA_UDP;
        g.len = s->len;
        memcpy(g.data, s->data, s->len);
        if (w->tap != NULL && !w->tap(w, &g, w->tap_ctx))
            continue;
        if (w->loss_percent > 0 && net_next(&w->rng) % 100 < w->loss_percent)
            continue;
        net_queue(w, &g);
    }
    w->out->count = 0;
    struct dht_event e;
    while (dht_event(x->dht, &e)) {
        if (x->events == sizeof x->event / sizeof x->event[0])
            continue;
        if (e.n > 0) {
            uint8_t *copy = malloc(e.n * RECORD_BYTES);
            memcpy(copy, e.records, e.n * RECORD_BYTES);
            e.records = copy;
        }
        if (e.blob_len > 0) {
            uint8_t *copy = malloc(e.blob_len);
            memcpy(copy, e.blob, e.blob_len);
            e.blob = copy;
        }
        x->event[x->events++] = e;
    }
}

static inline void net_forget_events(struct network *w, unsigned i)
{
    struct net_node *x = &w->node[i];
    for (unsigned k = 0; k < x->events; k++) {
        if (x->event[k].n > 0)
            free((void *)(uintptr_t)x->event[k].records);
        else if (x->event[k].blob_len > 0)
            free((void *)(uintptr_t)x->event[k].blob);
    }
    x->events = 0;
}

// The first event of a kind and id (0: any), or NULL.
static inline const struct dht_event *net_event(const struct network *w, unsigned i,
                                                enum dht_event_kind kind, uint32_t id)
{
    for (unsigned k = 0; k < w->node[i].events; k++)
        if (w->node[i].event[k].kind == kind && (id == 0 || w->node[i].event[k].id == id))
            return &w->node[i].event[k];
    return NULL;
}

static inline bool net_deliver(struct network *w, struct net_datagram *g)
{
    unsigned to = g->to.port - NET_PORT;
    for (unsigned i = 0; i < w->n; i++)
        if (w->node[i].exit.family != 0 && w->node[i].exit.port == g->to.port) {
            g->from.via = w->node[i].exit.via;
            to = i;
        }
    if (to >= w->n || w->node[to].dead || w->node[to].dht == NULL)
        return false;
    w->delivered++;
    w->bytes += g->len;
    (void)dht_receive(w->node[to].dht, w->now, &g->from, g->data, g->len);
    net_drain(w, to);
    return true;
}

// One step of virtual time: the next datagram or timer, not beyond `until`.
static inline bool net_step(struct network *w, usec_t until)
{
    usec_t at = w->queued > 0 ? w->heap[0]->at : USEC_NEVER;
    unsigned who = w->n;
    for (unsigned i = 0; i < w->n; i++) {
        if (w->node[i].dead || w->node[i].dht == NULL)
            continue;
        usec_t due = dht_deadline(w->node[i].dht);
        if (due < at) {
            at = due;
            who = i;
        }
    }
    if (at > until) {
        w->now = until;
        return false;
    }
    w->now = at > w->now ? at : w->now;
    if (who < w->n) {
        (void)dht_expire(w->node[who].dht, w->now, 16);
        net_drain(w, who);
        return true;
    }
    struct net_datagram *g = net_pop(w);
    (void)net_deliver(w, g);
    free(g);
    return true;
}

static inline void net_run(struct network *w, usec_t for_us)
{
    usec_t until = w->now + for_us;
    while (net_step(w, until))
        continue;
}

// Until the event comes; NULL after the time given.
static inline const struct dht_event *net_wait(struct network *w, unsigned i,
                                               enum dht_event_kind kind, uint32_t id, usec_t for_us)
{
    usec_t until = w->now + for_us;
    const struct dht_event *e;
    while ((e = net_event(w, i, kind, id)) == NULL && net_step(w, until))
        continue;
    return e;
}

static inline void net_end(struct network *w)
{
    for (unsigned i = 0; i < w->n; i++) {
        net_forget_events(w, i);
        dht_free(w->node[i].dht);
        assert_int_equal(w->node[i].arena.used_bytes, 0); // nothing leaks
        arena_end(&w->node[i].arena);
    }
    assert_int_equal(book_count(w->book), 0);
    contact_book_end(w->book);
    assert_int_equal(record_book_count(w->records), 0);
    record_book_end(w->records);
    arena_end(&w->book_arena);
    while (w->queued > 0)
        free(net_pop(w));
    free(w->heap);
    free(w->node);
    free(w->out);
}

#endif
