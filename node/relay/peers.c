// The other ends of a client's conversations: asked whether they want the client's datagrams, at the addresses that it
// names and wherever else one of them speaks from. A challenge is one for each address, so nobody but who gets
// datagrams there can answer it; whoever is asked got no more bytes than it takes to ask, five times at most.
#include "node/relay/internal.h"

#include <assert.h>
#include <sodium.h>

// Not remembered: a hash of the address under a key of this client's.
static void challenge_for(const struct relay *r, const struct relay_client *c, const struct peer *p,
                          const struct path *path, uint8_t out[static CONSENT_CHALLENGE_BYTES])
{
    const struct piece pieces[] = {{p->consent.key, sizeof p->consent.key}, {path, sizeof *path}};
    (void)r;
    hash_pieces(out, CONSENT_CHALLENGE_BYTES, c->challenge_key, sizeof c->challenge_key, pieces, 2);
}

static bool may_answer(const struct relay *r, usec_t now, struct relay_client *c)
{
    (void)r;
    return allowance_take(&c->answers, now, 1000 * RELAY_ANSWERS_PER_S, 1000 * RELAY_ANSWERS_PER_S,
                          1000);
}

static void ask(struct relay *r, struct relay_client *c, const struct peer *p,
                const struct path *to)
{
    uint8_t challenge[CONSENT_CHALLENGE_BYTES], datagram[CONSENT_BYTES];
    challenge_for(r, c, p, to, challenge);
    consent_ask(datagram, &p->consent, challenge, &r->cfg.rng);
    r->count.asked_peers++;
    relay_send(r, c, to, datagram, sizeof datagram);
}

static struct peer *peer_of(struct relay_client *c, const uint8_t key[static 32])
{
    for (unsigned i = 0; i < c->peers; i++)
        if (sodium_memcmp(c->peer[i].consent.key, key, 32) == 0)
            return &c->peer[i];
    return NULL;
}

static struct peer *peer_room(struct relay_client *c)
{
    if (c->peers == RELAY_PEERS_MAX) { // the oldest
        memmove(c->peer, c->peer + 1, (c->peers - 1u) * sizeof *c->peer);
        c->peers--;
    }
    if (c->peers == c->peers_cap) {
        uint16_t cap = c->peers_cap == 0 ? 2 : (uint16_t)(2 * c->peers_cap);
        struct peer *more = arena_take(&c->arena, cap * sizeof *more);
        if (more == NULL)
            return NULL;
        if (c->peers > 0)
            memcpy(more, c->peer, c->peers * sizeof *more);
        arena_give(&c->arena, c->peer, c->peers_cap * sizeof *c->peer);
        c->peer = more;
        c->peers_cap = cap;
    }
    return &c->peer[c->peers++];
}

// The same again with other addresses: they are asked, and who consented stays.
void peer_add(struct relay *r, usec_t now, struct relay_client *c, const struct relay_message *m)
{
    struct peer *p = peer_of(c, m->key);
    if (p == NULL)
        p = peer_room(c);
    if (p == NULL) {
        r->count.dropped_queue++;
        return;
    }
    memset(p, 0, sizeof *p);
    consent_init(&p->consent, m->key);
    for (unsigned i = 0; i < m->count; i++)
        if (path_reachable(&m->path[i], r->cfg.lab))
            p->path[p->count++] = m->path[i];
    p->number = ++c->peer_number;
    p->again_at = now;
    peers_expire(r, now, c);
    relay_touch(r, c);
}

void peer_forget(struct relay *r, struct relay_client *c, const uint8_t key[static 32])
{
    struct peer *p = peer_of(c, key);
    (void)r;
    if (p == NULL)
        return;
    sodium_memzero(p, sizeof *p);
    *p = c->peer[--c->peers];
    sodium_memzero(&c->peer[c->peers], sizeof *p);
}

void peers_expire(struct relay *r, usec_t now, struct relay_client *c)
{
    for (unsigned i = 0; i < c->peers; i++) {
        struct peer *p = &c->peer[i];
        if (p->again_at > now)
            continue;
        for (unsigned k = 0; k < p->count; k++)
            if (permit_find(r, now, c, &p->path[k]) == NULL && may_answer(r, now, c))
                ask(r, c, p, &p->path[k]);
        p->again_at = ++p->sent < RELAY_CHALLENGES && p->count > 0
                          ? now + (RELAY_CHALLENGE_GAP_US << (p->sent - 1))
                          : USEC_NEVER;
    }
}

usec_t peers_deadline(const struct relay_client *c)
{
    usec_t first = USEC_NEVER;
    for (unsigned i = 0; i < c->peers; i++)
        if (c->peer[i].again_at < first)
            first = c->peer[i].again_at;
    return first;
}

void peers_end(struct relay *r, struct relay_client *c)
{
    (void)r;
    arena_give(&c->arena, c->peer, c->peers_cap * sizeof *c->peer);
    c->peer = NULL;
    c->peers = c->peers_cap = 0;
}

static void consented(struct relay *r, usec_t now, struct relay_client *c, const struct peer *p,
                      const struct path *path)
{
    struct relay_message m = {.type = RELAY_CONSENTED, .path = {*path}};
    if (permit_give(r, now, c, path, true) == NULL)
        return;
    r->count.consented_peers++;
    memcpy(m.key_id, p->consent.ask, sizeof m.key_id);
    relay_client_say(r, now, c, &m);
}

bool peer_consent(struct relay *r, usec_t now, struct relay_client *c, const struct path *from,
                  uint8_t *data, size_t len)
{
    uint8_t challenge[CONSENT_CHALLENGE_BYTES];
    for (unsigned i = 0; len == CONSENT_BYTES && i < c->peers; i++) {
        struct peer *p = &c->peer[i];
        if (consent_is(data, len, p->consent.answer)) {
            challenge_for(r, c, p, from, challenge);
            if (consent_check(data, len, &p->consent, challenge) == 0)
                consented(r, now, c, p, from);
            return true;
        }
        // The other end has a relay as well, which asks on its behalf: our client has said yes already.
        if (consent_is(data, len, p->consent.ask)) {
            if (may_answer(r, now, c) && consent_reply(data, len, &p->consent, &r->cfg.rng) == 0)
                relay_send(r, c, from, data, len);
            return true;
        }
    }
    return false;
}

// The one after so many newer ones.
static const struct peer *newest(const struct relay_client *c, unsigned after)
{
    const struct peer *who = NULL;
    uint32_t below = UINT32_MAX;
    for (unsigned k = 0; k <= after; k++) {
        who = NULL;
        for (unsigned i = 0; i < c->peers; i++)
            if (c->peer[i].number < below && (who == NULL || c->peer[i].number > who->number))
                who = &c->peer[i];
        assert(who != NULL); // there are more than `after`, each with a number of its own
        below = who->number;
    }
    return who;
}

void peer_stranger(struct relay *r, usec_t now, struct relay_client *c, const struct path *from,
                   size_t len)
{
    // One of the client's newest peers may be there. They are asked by turns, with no more than came.
    r->count.dropped_unknown++;
    if (len < CONSENT_BYTES || c->peers == 0 || !path_reachable(from, r->cfg.lab))
        return;
    const struct peer *who = newest(
        c, c->stranger_turn++ % (c->peers < RELAY_PEER_NEWEST ? c->peers : RELAY_PEER_NEWEST));
    if (may_answer(r, now, c))
        ask(r, c, who, from);
}
