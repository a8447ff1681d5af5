#include "node/relaying.h"

#include "node/node_internal.h"

#include <sodium.h>

int relaying_new(struct node *n, usec_t now)
{
    struct relaying *r = arena_take(n->cfg.arena, sizeof *r);
    if (r == NULL)
        return BAUTA_ESPACE;
    n->relaying = r;
    r->look_at = now + NODE_RELAY_LOOK_US;
    struct relay_config c = {.net = n->net,
                             .rng = n->cfg.rng,
                             .arena = n->cfg.arena,
                             .dht = n->dht,
                             .lab = n->cfg.lab,
                             .prefix_limits = n->cfg.prefix_limits,
                             .aes_hardware = n->cfg.aes_hardware,
                             .user = NODE_RELAY_USER,
                             .clients_max = n->cfg.relay_clients_max,
                             .client_Bps = n->cfg.relay_client_Bps,
                             .total_Bps = n->cfg.relay_total_Bps,
                             .volume_bytes = n->cfg.relay_volume_bytes};
    uint8_t pk[32];
    key_pair(pk, c.secret, n->cfg.secret);
    memcpy(c.local_mask, n->recv_mask, sizeof c.local_mask);
    int rc = relay_new(&r->service, &c);
    sodium_memzero(&c, sizeof c);
    struct directory_config d = {.net = n->net,
                                 .rng = n->cfg.rng,
                                 .arena = n->cfg.arena,
                                 .dht = n->dht,
                                 .lab = n->cfg.lab,
                                 .prefix_limits = n->cfg.prefix_limits,
                                 .puzzle_bits = n->cfg.puzzle_bits,
                                 .relay = true};
    memcpy(d.seed, n->cfg.relay_seed, sizeof d.seed);
    if (rc == BAUTA_OK)
        rc = directory_init(&r->directory, &d);
    sodium_memzero(&d, sizeof d);
    return rc;
}

void relaying_free(struct node *n, usec_t now)
{
    struct relaying *r = n->relaying;
    if (r == NULL)
        return;
    if (r->directory != NULL)
        directory_free(r->directory, now);
    if (r->service != NULL)
        relay_free(r->service);
    arena_give(n->cfg.arena, r, sizeof *r);
    n->relaying = NULL;
}

void relaying_clock(struct node *n, usec_t now, int64_t unix_us)
{
    directory_clock(n->relaying->directory, now, unix_us);
}

bool relaying_dht_event(struct node *n, usec_t now, const struct dht_event *ev)
{
    if (ev->user == DIRECTORY_USER) {
        directory_dht_event(n->relaying->directory, now, ev);
        return true;
    }
    return relay_dht_event(n->relaying->service, now, ev);
}

// What is left of it, in eighths: by clients, and none once it drains.
static uint8_t free_share(const struct relaying *r)
{
    struct relay_status s;
    relay_status(r->service, &s);
    if (s.draining || s.volume_left_bytes == 0)
        return 0;
    return (uint8_t)((s.clients_max - s.clients) * OFFER_FREE_FULL / s.clients_max);
}

static int announce(struct node *n, usec_t now)
{
    struct relaying *r = n->relaying;
    r->offer.free = free_share(r);
    return directory_announce(r->directory, now, &r->offer);
}

void relaying_expire(struct node *n, usec_t now, unsigned budget)
{
    struct relaying *r = n->relaying;
    (void)relay_expire(r->service, now, budget);
    if (directory_deadline(r->directory) <= now)
        directory_expire(r->directory, now);
    if (r->look_at <= now) {
        r->look_at = now + NODE_RELAY_LOOK_US;
        if (r->announcing && free_share(r) != r->offer.free)
            (void)announce(n, now);
    }
}

usec_t relaying_deadline(const struct node *n)
{
    const struct relaying *r = n->relaying;
    usec_t first = relay_deadline(r->service), other = directory_deadline(r->directory);
    first = other < first ? other : first;
    return r->look_at < first ? r->look_at : first;
}

int node_relay_announce(struct node *n, usec_t now, const struct path *path, size_t count, bool tcp,
                        uint16_t tcp_port)
{
    struct relaying *r = n->relaying;
    if (r == NULL || count == 0 || count > OFFER_CONTACTS_MAX)
        return BAUTA_ESTATE;
    uint32_t total = n->cfg.relay_total_Bps != 0 ? n->cfg.relay_total_Bps : RELAY_TOTAL_BPS_DEFAULT;
    memset(&r->offer, 0, sizeof r->offer);
    for (size_t i = 0; i < count; i++) {
        struct contact *c = &r->offer.contact[r->offer.contacts++];
        uint8_t sk[32];
        key_pair(c->pk, sk, n->cfg.secret);
        sodium_memzero(sk, sizeof sk);
        memcpy(c->puzzle_nonce, n->cfg.puzzle_nonce, sizeof c->puzzle_nonce);
        c->path = path[i];
    }
    r->offer.tcp = tcp;
    r->offer.tcp_port = tcp_port;
    r->offer.capacity_kBps = total / 1000;
    int rc = announce(n, now);
    r->announcing = rc == BAUTA_OK;
    node_pump(n, now);
    return rc;
}

void node_relay_drain(struct node *n, usec_t now, uint32_t seconds)
{
    if (n->relaying == NULL)
        return;
    relay_drain(n->relaying->service, now, seconds);
    directory_withdraw(n->relaying->directory, now);
    n->relaying->announcing = false;
    node_pump(n, now);
}

void node_relay_volume(struct node *n, uint64_t bytes)
{
    if (n->relaying != NULL)
        relay_allow(n->relaying->service, bytes);
}
