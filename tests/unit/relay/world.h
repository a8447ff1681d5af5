// A relay, servers, clients with a tunnel and bare peers in virtual time: one queue with a fixed delay, no NATs. Each
// exit of the relay's is a port of its own on the relay's address.
#ifndef BAUTA_TESTS_RELAY_WORLD_H
#define BAUTA_TESTS_RELAY_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sodium.h>

#include "crypto/bytes.h"
#include "crypto/nodekey.h"
#include "node/relay/internal.h"
#include "node/relay/tunnel.h"
#include "tests/memory.h"

#define UNUSED __attribute__((unused))
#define WORLD_HOSTS 8u
#define WORLD_DELAY_US (10 * USEC_PER_MS)
#define WORLD_PORT 2000u
#define WORLD_EXIT_PORT 30000u // + the number of an exit's socket, its low bits
#define WORLD_USER 0x70000u
#define WORLD_VIA PATH_VIA_TUNNEL(1, 1)

struct world_rng {
    uint64_t state;
};
struct flight {
    struct flight *next;
    usec_t at;
    struct path from, to;
    size_t len;
    uint8_t data[CHANNEL_PACKET_BYTES_MAX];
};
struct host {
    struct arena arena;
    struct dht *dht;
    struct relay *relay;
    struct tunnel *tunnel;
    struct cids cids;
    struct cid_slot slot[256];
    uint8_t mask[MASK_KEY_BYTES], secret[32];
    struct path path;
    bool dead;
    // of a tunnel
    bool ready, closed, refused, draining;
    uint32_t drain_s, consents;
    struct path consented;
    // of a bare peer: what came, and from where
    uint64_t got, got_bytes;
    struct path got_from;
    uint8_t last[CHANNEL_PACKET_BYTES_MAX];
    size_t last_len;
    struct consent *consent; // it answers questions under this key
    // events of the DHT
    unsigned pongs;
    struct path seen;
};
struct world {
    usec_t now;
    unsigned hosts;
    struct host host[WORLD_HOSTS];
    struct flight *first;
    struct outbox out;
    struct arena book_arena;
    struct contact_book *book;
    struct record_book *records;
    struct world_rng rng;
    uint64_t sent_from[WORLD_HOSTS];
    uint32_t closed_vias;
    uint8_t buf[1 << 17];
    bool (*tap)(struct world *, struct flight *, void *);
    void *tap_ctx;
};

static UNUSED void world_fill(void *ctx, void *buf, size_t len)
{
    struct world_rng *r = ctx;
    for (size_t i = 0; i < len; i++) {
        uint64_t z = (r->state += UINT64_C(0x9e3779b97f4a7c15));
        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        ((uint8_t *)buf)[i] = (uint8_t)(z >> 40);
    }
}

static UNUSED struct world *world_new(uint64_t seed)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->rng.state = seed;
    w->now = 1000 * USEC_PER_S;
    memory_arena(&w->book_arena, 16u << 20);
    w->book = contact_book_new(&w->book_arena, 10000);
    w->records = record_book_new(&w->book_arena, 64);
    return w;
}

static UNUSED struct host *world_host(struct world *w, bool has_dht, bool server)
{
    struct host *h = &w->host[w->hosts];
    h->path =
        path_v4((const uint8_t[4]){10, (uint8_t)w->hosts, 0, 1}, (uint16_t)(WORLD_PORT + w->hosts));
    w->hosts++;
    memory_arena(&h->arena, 16u << 20);
    h->cids = (struct cids){h->slot, 256, 0, 128};
    world_fill(&w->rng, h->mask, sizeof h->mask);
    world_fill(&w->rng, h->secret, sizeof h->secret);
    if (!has_dht)
        return h;
    struct dht_config c = {.rng = {world_fill, &w->rng},
                           .arena = &h->arena,
                           .out = &w->out,
                           .book = w->book,
                           .records = w->records,
                           .server = server,
                           .listed = server,
                           .opens = server,
                           .lab = true,
                           .store_bytes_max = 1u << 20};
    assert_int_equal(net_init(&c.net, "test"), 0);
    memcpy(c.secret, h->secret, sizeof c.secret);
    assert_int_equal(dht_init(&h->dht, &c), 0);
    dht_clock(h->dht, w->now, INT64_C(1700000000000000));
    return h;
}

static UNUSED struct relay_config world_relay_config(struct world *w, struct host *h)
{
    struct relay_config c = {.rng = {world_fill, &w->rng},
                             .arena = &h->arena,
                             .dht = h->dht,
                             .lab = true,
                             .aes_hardware = true,
                             .user = WORLD_USER,
                             .clients_max = 4,
                             .client_Bps = 10u << 20,
                             .total_Bps = 20u << 20,
                             .volume_bytes = UINT64_MAX};
    uint8_t pk[32];
    assert_int_equal(net_init(&c.net, "test"), 0);
    key_pair(pk, c.secret, h->secret);
    memcpy(c.local_mask, h->mask, sizeof c.local_mask);
    return c;
}

static UNUSED struct contact world_contact(const struct host *h)
{
    struct contact c = {.path = h->path};
    uint8_t sk[32];
    key_pair(c.pk, sk, h->secret);
    return c;
}

static UNUSED void world_tunnel(struct world *w, struct host *h, const struct host *relay)
{
    struct tunnel_config c = {.rng = {world_fill, &w->rng},
                              .arena = &h->arena,
                              .dht = h->dht,
                              .relay = world_contact(relay),
                              .via = WORLD_VIA,
                              .lab = true,
                              .aes_hardware = true,
                              .user = WORLD_USER};
    assert_int_equal(net_init(&c.net, "test"), 0);
    memcpy(c.local_mask, h->mask, sizeof c.local_mask);
    h->ready = h->closed = h->refused = false;
    assert_int_equal(tunnel_new(&h->tunnel, w->now, &c), 0);
}

// ---- carrying --------------------------------------------------------------------------------------------

static UNUSED void world_fly(struct world *w, unsigned from, const struct path *source,
                             const struct path *to, const uint8_t *data, size_t len)
{
    struct flight *f = malloc(sizeof *f), **at = &w->first;
    assert_non_null(f);
    assert_in_range(len, 1, sizeof f->data);
    *f = (struct flight){.at = w->now + WORLD_DELAY_US, .from = *source, .to = *to, .len = len};
    f->from.via = f->to.via = VIA_UDP;
    memcpy(f->data, data, len);
    w->sent_from[from]++;
    if (w->tap != NULL && !w->tap(w, f, w->tap_ctx)) {
        free(f);
        return;
    }
    while (*at != NULL && (*at)->at <= f->at)
        at = &(*at)->next;
    f->next = *at;
    *at = f;
}

// By which source a host's datagram leaves: an exit has its own port.
static UNUSED struct path world_source(const struct host *h, uint32_t via)
{
    struct path p = h->path;
    if (via != VIA_UDP)
        p.port = (uint16_t)(WORLD_EXIT_PORT + (via & 0xfff));
    return p;
}

static UNUSED void world_batches(struct world *w, unsigned i, const struct batch *b, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        struct path source = world_source(&w->host[i], b[k].path.via);
        assert_true((b[k].path.via & VIA_TUNNEL) == 0);
        for (uint32_t at = 0; at < b[k].len; at += b[k].seg_size) {
            uint32_t len = b[k].len - at < b[k].seg_size ? b[k].len - at : b[k].seg_size;
            world_fly(w, i, &source, &b[k].path, b[k].data + at, len);
        }
    }
}

static UNUSED void world_events(struct world *w, unsigned i)
{
    struct host *h = &w->host[i];
    struct dht_event d;
    while (h->dht != NULL && dht_event(h->dht, &d)) {
        if (h->relay != NULL && relay_dht_event(h->relay, w->now, &d))
            continue;
        if (h->tunnel != NULL && tunnel_dht_event(h->tunnel, w->now, &d))
            continue;
        if (d.kind == DHT_PONG) {
            h->pongs++;
            h->seen = d.path;
        } else if (d.kind == DHT_OPEN) {
            dht_open_refuse(h->dht, w->now, d.id);
        }
    }
    struct tunnel_event t;
    while (h->tunnel != NULL && tunnel_event(h->tunnel, w->now, &t)) {
        if (t.kind == TUNNEL_CID_ADD)
            assert_true(cids_add(&h->cids, t.cid, 1, t.phase));
        if (t.kind == TUNNEL_CID_DROP)
            cids_drop(&h->cids, t.cid);
        h->ready = h->ready || t.kind == TUNNEL_READY;
        if (t.kind == TUNNEL_CONSENTED) {
            h->consents++;
            h->consented = t.path;
        }
        if (t.kind == TUNNEL_DRAINING) {
            h->draining = true;
            h->drain_s = t.seconds;
        }
        if (t.kind == TUNNEL_CLOSED) {
            h->closed = true;
            h->refused = t.refused;
        }
    }
    uint32_t via;
    while (h->relay != NULL && relay_via_closed(h->relay, &via))
        w->closed_vias++;
}

// One driver's turn.
static UNUSED void world_turn(struct world *w, unsigned i)
{
    struct host *h = &w->host[i];
    struct batch b[64];
    for (bool more = true; more;) {
        size_t n;
        more = false;
        world_events(w, i);
        for (uint32_t k = 0; k < w->out.count; k++) {
            const struct outbox_slot *s = &w->out.slot[k];
            more = true;
            if (s->path.via & VIA_TUNNEL) {
                (void)tunnel_send(h->tunnel, &s->path, s->to_server ? s->server : NULL, s->data,
                                  s->len);
                continue;
            }
            world_fly(w, i, &h->path, &s->path, s->data, s->len);
        }
        w->out.count = 0;
        while (h->relay != NULL &&
               (n = relay_transmit(h->relay, w->now, w->buf, sizeof w->buf, b, 64)) > 0) {
            world_batches(w, i, b, n);
            more = true;
        }
        while (h->tunnel != NULL &&
               (n = tunnel_transmit(h->tunnel, w->now, w->buf, sizeof w->buf, b, 64)) > 0) {
            world_batches(w, i, b, n);
            more = true;
        }
    }
}

static UNUSED void world_bare(struct world *w, unsigned i, struct flight *f)
{
    struct host *h = &w->host[i];
    if (h->consent != NULL && consent_is(f->data, f->len, h->consent->ask)) {
        assert_int_equal(
            consent_reply(f->data, f->len, h->consent, &(struct rng){world_fill, &w->rng}), 0);
        world_fly(w, i, &h->path, &f->from, f->data, f->len);
        return;
    }
    h->got++;
    h->got_bytes += f->len;
    h->got_from = f->from;
    memcpy(h->last, f->data, f->len);
    h->last_len = f->len;
}

// As node_receive recognises, in its order.
static UNUSED void world_receive(struct world *w, unsigned i, struct flight *f)
{
    struct host *h = &w->host[i];
    uint8_t cid[CID_BYTES];
    if (h->dht == NULL) {
        world_bare(w, i, f);
        return;
    }
    packet_cid(cid, f->data, f->len, h->mask);
    const struct cid_slot *slot = cids_find(&h->cids, cid);
    if (dht_is_answer(h->dht, f->data, f->len)) {
        (void)dht_receive(h->dht, w->now, &f->from, f->data, f->len);
    } else if (slot != NULL) {
        (void)tunnel_receive(h->tunnel, w->now, cid, slot->phase, &f->from, 0, f->data, f->len);
        struct path from;
        uint8_t *data;
        size_t len;
        while (tunnel_datagram(h->tunnel, &from, &data, &len)) {
            assert_int_equal(from.via, WORLD_VIA);
            h->got++;
            h->got_bytes += len;
            h->got_from = from;
            memcpy(h->last, data, len);
            h->last_len = len;
            if (dht_is_answer(h->dht, data, len))
                (void)dht_receive(h->dht, w->now, &from, data, len);
        }
    } else if (h->relay == NULL || relay_receive(h->relay, w->now, cid, &f->from, 0, f->data,
                                                 f->len) == BAUTA_EUNKNOWN) {
        (void)dht_receive(h->dht, w->now, &f->from, f->data, f->len);
    }
}

static UNUSED void world_deliver(struct world *w, struct flight *f)
{
    for (unsigned i = 0; i < w->hosts; i++) {
        struct host *h = &w->host[i];
        if (h->dead || memcmp(h->path.ip, f->to.ip, 16) != 0)
            continue;
        if (f->to.port == h->path.port) {
            world_receive(w, i, f);
        } else if (h->relay != NULL && f->to.port >= WORLD_EXIT_PORT) {
            unsigned k = f->to.port - WORLD_EXIT_PORT;
            struct relay_client *c = k < h->relay->cfg.clients_max ? h->relay->client[k] : NULL;
            if (c == NULL)
                continue;
            f->from.via = c->via;
            relay_exit_receive(h->relay, w->now, &f->from, f->data, f->len);
        }
        world_turn(w, i);
    }
}

static UNUSED usec_t world_due(const struct host *h)
{
    usec_t at = h->dht != NULL ? dht_deadline(h->dht) : USEC_NEVER;
    if (h->relay != NULL && relay_deadline(h->relay) < at)
        at = relay_deadline(h->relay);
    if (h->tunnel != NULL && tunnel_deadline(h->tunnel) < at)
        at = tunnel_deadline(h->tunnel);
    return at;
}

static UNUSED bool world_step(struct world *w, usec_t until)
{
    usec_t at = w->first != NULL ? w->first->at : USEC_NEVER;
    unsigned who = w->hosts;
    for (unsigned i = 0; i < w->hosts; i++)
        if (!w->host[i].dead && world_due(&w->host[i]) < at) {
            at = world_due(&w->host[i]);
            who = i;
        }
    if (at > until) {
        w->now = until;
        return false;
    }
    w->now = at > w->now ? at : w->now;
    if (who < w->hosts) {
        struct host *h = &w->host[who];
        if (h->dht != NULL)
            (void)dht_expire(h->dht, w->now, 16);
        if (h->relay != NULL)
            (void)relay_expire(h->relay, w->now, 16);
        if (h->tunnel != NULL)
            (void)tunnel_expire(h->tunnel, w->now, 16);
        world_turn(w, who);
        return true;
    }
    struct flight *f = w->first;
    if (f == NULL)
        return false;
    w->first = f->next;
    world_deliver(w, f);
    free(f);
    return true;
}

static UNUSED void world_run(struct world *w, usec_t for_us)
{
    usec_t until = w->now + for_us;
    while (world_step(w, until))
        continue;
}
#define WORLD_UNTIL(w, for_us, cond)                                                               \
    do {                                                                                           \
        usec_t until_ = (w)->now + (for_us);                                                       \
        while (!(cond) && world_step(w, until_))                                                   \
            continue;                                                                              \
    } while (0)

static UNUSED void world_end(struct world *w)
{
    for (unsigned i = 0; i < w->hosts; i++) {
        struct host *h = &w->host[i];
        if (h->tunnel != NULL)
            tunnel_free(h->tunnel);
        if (h->relay != NULL)
            relay_free(h->relay);
        if (h->dht != NULL)
            dht_free(h->dht);
        assert_int_equal(h->arena.used_bytes, 0);
        arena_end(&h->arena);
    }
    contact_book_end(w->book);
    record_book_end(w->records);
    arena_end(&w->book_arena);
    for (struct flight *f = w->first, *next; f != NULL; f = next) {
        next = f->next;
        free(f);
    }
    free(w);
}

#endif
