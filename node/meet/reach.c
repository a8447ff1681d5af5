#include "node/meet/reach.h"

#include <string.h>

#define PORT_MIN 1024u // below are other people's services

static bool same_host(const struct path *a, const struct path *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

static bool same_address(const struct path *a, const struct path *b)
{
    return same_host(a, b) && a->port == b->port;
}

static bool listed(const struct path *list, unsigned n, const struct path *p)
{
    for (unsigned i = 0; i < n; i++)
        if (same_address(&list[i], p))
            return true;
    return false;
}

static bool usable(const struct meet_env *env, const struct path *p, bool same_network)
{
    if (path_reachable(p, env->lab))
        return true;
    return same_network && path_private(p) && p->port >= PORT_MIN;
}

static bool one_network(const struct path *a, const struct path *b)
{
    return a != NULL && b != NULL && a->family != 0 && same_host(a, b);
}

// What servers see of the other family: behind a NAT no interface knows it, and the peer may have only that.
static void add_seen(const struct meet_env *env, struct wire_reach *r, const struct path seen_of[2])
{
    for (unsigned f = 0; f < 2; f++) {
        const struct path *p = &seen_of[f];
        if (p->family == 0 || (r->observed && r->candidate[0].family == p->family))
            continue;
        if (usable(env, p, false) && !listed(r->candidate, r->candidates, p))
            r->candidate[r->candidates++] = *p;
    }
}

static bool elsewhere(const struct meet_env *env, const struct path *seen, const struct path *p)
{
    return seen != NULL && seen->family == p->family && usable(env, seen, false) &&
           !same_host(seen, p);
}

// What a router said it holds open. A router may lie, or have another one before it: where servers see us at
// another host, that one does not lead here, and strangers are not sent to it.
static void add_mapped(const struct meet_env *env, struct wire_reach *r, const struct path *seen,
                       const struct path *seen_of)
{
    for (unsigned i = 0; i < env->mappeds && r->candidates < CHANNEL_CANDIDATES_MAX; i++) {
        const struct path *p = &env->mapped[i];
        bool wrong = elsewhere(env, seen, p);
        for (unsigned f = 0; seen_of != NULL && f < 2; f++)
            wrong = wrong || elsewhere(env, &seen_of[f], p);
        if (!wrong && usable(env, p, false) && !listed(r->candidate, r->candidates, p))
            r->candidate[r->candidates++] = *p;
    }
}

// Who hides the own address names the relay's only: as servers see it, or as whoever was asked through it.
static void own_relayed(const struct meet_env *env, struct wire_reach *r, const struct path *seen,
                        const struct path seen_of[2])
{
    const struct path *all[] = {&env->exit[0], &env->exit[1], seen, seen_of,
                                seen_of != NULL ? seen_of + 1 : NULL};
    bool known = env->exit[0].family != 0 || env->exit[1].family != 0;
    for (unsigned i = 0; i < (known ? 2 : 5); i++) {
        const struct path *p = all[i];
        if (p != NULL && p->family != 0 && usable(env, p, false) &&
            !listed(r->candidate, r->candidates, p)) {
            r->candidate[r->candidates] = *p;
            r->candidate[r->candidates++].via = VIA_UDP;
        }
    }
    r->observed = r->candidates > 0;
    r->relays = r->candidates;
}

// The last ones, where there is room: a relay of ours, for whom nothing else leads to us.
static void add_exits(const struct meet_env *env, struct wire_reach *r)
{
    for (unsigned f = 0; f < 2 && r->candidates < CHANNEL_CANDIDATES_MAX; f++) {
        const struct path *p = &env->exit[f];
        if (p->family == 0 || !usable(env, p, false) || listed(r->candidate, r->candidates, p))
            continue;
        r->candidate[r->candidates++] = *p;
        r->relays++;
    }
}

void reach_own(struct meet_env *env, struct wire_reach *r, const struct path *seen,
               const struct path *seen_of, const struct path *peer_seen)
{
    bool same_network = one_network(seen, peer_seen);
    memset(r, 0, sizeof *r);
    rng_fill(&env->rng, r->cid, sizeof r->cid);
    memcpy(r->recv_mask, env->local_mask, sizeof r->recv_mask);
    if (env->relayed) {
        own_relayed(env, r, seen, seen_of);
        return;
    }
    if (seen != NULL && seen->family != 0 && usable(env, seen, false)) {
        r->candidate[r->candidates++] = *seen;
        r->observed = true;
    }
    if (seen_of != NULL)
        add_seen(env, r, seen_of);
    add_mapped(env, r, seen, seen_of);
    unsigned exits = (env->exit[0].family != 0 ? 1u : 0u) + (env->exit[1].family != 0 ? 1u : 0u);
    for (unsigned i = 0; i < env->locals && r->candidates + exits < CHANNEL_CANDIDATES_MAX; i++) {
        const struct path *p = &env->local[i];
        if (usable(env, p, same_network) && !listed(r->candidate, r->candidates, p))
            r->candidate[r->candidates++] = *p;
    }
    add_exits(env, r);
}

static bool dependent(const struct meet_env *env, struct dht_reach *r)
{
    dht_reach(env->dht, 4, r);
    return r->mapping == DHT_MAPPING_DEPENDENT && r->same_ip && r->seen.family == 4;
}

void reach_seen(const struct meet_env *env, struct path *seen)
{
    struct dht_reach r;
    if (!env->relayed && dependent(env, &r) &&
        (seen->family == 0 || (r.port_step != 0 && one_network(seen, &r.seen))))
        *seen = r.seen; // the newest port: the next one is not far
}

static enum channel_nat nat_of(const struct dht_reach *r)
{
    switch (r->mapping) {
    case DHT_MAPPING_UNKNOWN:
        return CHANNEL_NAT_UNKNOWN;
    case DHT_MAPPING_NONE:
        return CHANNEL_NAT_NONE;
    case DHT_MAPPING_INDEPENDENT:
        return CHANNEL_NAT_INDEPENDENT;
    case DHT_MAPPING_DEPENDENT:
        break;
    }
    if (r->port_preserving)
        return CHANNEL_NAT_PRESERVING;
    bool told = r->port_step >= WIRE_REACH_STEP_MIN && r->port_step <= WIRE_REACH_STEP_MAX;
    return r->port_step != 0 && told ? CHANNEL_NAT_STEP : CHANNEL_NAT_RANDOM;
}

// Before those of relays, which are the last.
static void add_before_exits(struct wire_reach *w, const struct path *p)
{
    unsigned at = w->candidates++ - w->relays;
    memmove(&w->candidate[at + 1], &w->candidate[at], w->relays * sizeof *w->candidate);
    w->candidate[at] = *p;
}

void reach_nat(const struct meet_env *env, struct wire_reach *w)
{
    struct dht_reach r;
    w->nat = CHANNEL_NAT_BUSY;
    if (env->relayed) // what is before us is nobody's business then
        return;
    bool ports = dependent(env, &r);
    w->nat = env->now < env->search_at ? CHANNEL_NAT_BUSY : nat_of(&r);
    w->step = w->nat == CHANNEL_NAT_STEP ? (int8_t)r.port_step : 0;
    for (unsigned i = 0; ports && r.port_preserving && i < env->locals; i++) {
        struct path p = r.seen;
        p.port = env->local[i].port;
        if (env->local[i].family == 4 && w->candidates < CHANNEL_CANDIDATES_MAX &&
            usable(env, &p, false) && !listed(w->candidate, w->candidates, &p))
            add_before_exits(w, &p);
    }
}

int reach_take(struct meet_env *env, struct channel_config *config, const struct wire_reach *peer,
               const struct path *own_seen)
{
    bool same_network = peer->observed && one_network(&peer->candidate[0], own_seen);
    uint8_t n = 0;
    if (env->relayed && env->via == VIA_NONE)
        return BAUTA_EFORMAT;
    config->late = 0;
    config->observed = CHANNEL_CANDIDATES_MAX;
    for (unsigned i = 0; i < peer->candidates; i++)
        if (block_has_address(env->block, &peer->candidate[i]))
            return BAUTA_EAUTH;
    for (unsigned i = 0; i < peer->candidates; i++) {
        const struct path *p = &peer->candidate[i];
        bool mine = listed(env->local, env->locals, p) || listed(env->mapped, env->mappeds, p) ||
                    (own_seen != NULL && same_address(own_seen, p));
        if (mine || !usable(env, p, same_network) || listed(config->candidate, n, p))
            continue;
        if (!env->lab && !block_probe(env->block, env->now, p))
            continue;
        if (i == 0 && peer->observed)
            config->observed = n;
        if (i + peer->relays >= peer->candidates)
            config->late |= (uint8_t)(1u << n);
        config->candidate[n] = *p;
        config->candidate[n++].via = env->relayed ? env->via : VIA_UDP;
    }
    config->candidates = n;
    config->nat_peer = peer->nat;
    config->step_peer = peer->step;
    config->lab = env->lab;
    memcpy(config->remote_cid, peer->cid, sizeof config->remote_cid);
    memcpy(config->remote_mask, peer->recv_mask, sizeof config->remote_mask);
    return n > 0 ? BAUTA_OK : BAUTA_EFORMAT;
}
