#include "tools/sim/population.h"

#include "crypto/nodekey.h"

#include "tools/sim/sim_internal.h"

#include <stdlib.h>
#include <string.h>

// Inverse CDFs of session lengths in seconds, 17 points. Mainline: heavy tail, half under 200 minutes
// (Wang and Kangasharju, "Measuring large-scale distributed systems: case of BitTorrent Mainline DHT",
// P2P'13; the shape after Stutzbach and Rejaie, "Understanding churn", IMC 2006).
static const uint32_t session_s[3][17] = {
    {3600, 20000, 60000, 120000, 200000, 300000, 420000, 580000, 780000, 950000, 1100000, 1300000,
     1500000, 1800000, 2200000, 2800000, 5000000},
    {30, 300, 720, 1320, 2280, 3600, 5700, 8400, 12000, 16800, 23400, 32400, 45600, 66000, 102000,
     174000, 480000},
    {10, 40, 80, 130, 190, 260, 350, 480, 650, 900, 1250, 1800, 2600, 3900, 6000, 10000, 36000},
};

// Shares of NAT kinds in percent: full cone, restricted, port-restricted, symmetric. About what Halkes
// and Pouwelse found ("UDP NAT and firewall puncturing in the wild", Networking 2011): most filter by
// address and port, about a tenth maps by them, and four fifths of punchings succeed.
static const uint32_t nat_percent[4] = {20, 15, 57, 8};

struct population {
    struct sim_population config;
    uint32_t *away; // nodes that left and may come back
    uint32_t aways, aways_room;
    uint64_t arrivals;
};

// The tables' straight lines between two points.
static uint64_t length_at(const uint32_t t[static 17], unsigned step, uint64_t part)
{
    return t[step] + ((t[step + 1] - t[step]) * part >> 32);
}

// A whole session, or for who is there already what is left of one: a moment finds long sessions more
// often, in proportion to their length, anywhere within.
static usec_t session_us(const struct sim_prf *prf, const uint32_t t[static 17], uint32_t node,
                         uint32_t session, bool there_already)
{
    uint64_t r = sim_prf_u64(prf, SIM_PRF_SESSION, node, session, 0);
    uint64_t within = sim_prf_u64(prf, SIM_PRF_SESSION, node, session, 1);
    unsigned step = (unsigned)(r >> 60);
    uint64_t part = r >> 28 & UINT32_MAX;
    if (!there_already)
        return length_at(t, step, part) * USEC_PER_S;
    uint64_t all = 0;
    for (unsigned i = 0; i < 16; i++)
        all += t[i] + t[i + 1];
    uint64_t at = (r >> 32) * all >> 32;
    for (step = 0; at >= (uint64_t)t[step] + t[step + 1]; step++)
        at -= (uint64_t)t[step] + t[step + 1];
    return (length_at(t, step, within & UINT32_MAX) * (within >> 32) >> 32) * USEC_PER_S;
}

void sim_population_set(struct sim *s, const struct sim_population *config)
{
    s->population = sim_grow(NULL, 1, sizeof *s->population);
    *s->population = (struct population){.config = *config};
}

void sim_population_free(struct sim *s)
{
    if (s->population != NULL)
        free(s->population->away);
    free(s->population);
}

// Different ones of the first, or for one of these of those before it.
static void tell_bootstraps(const struct sim *s, struct sim_node_config *n, uint32_t node,
                            uint32_t session)
{
    const struct sim_population *c = &s->population->config;
    uint32_t all = node < c->bootstraps && session == 0 ? node : c->bootstraps;
    uint32_t told = c->told < all ? c->told : all;
    n->bootstraps = 0;
    for (uint64_t draw = 0; n->bootstraps < told; draw++) {
        uint32_t b = (uint32_t)sim_prf_below(&s->prf, SIM_PRF_BOOTSTRAP, node, session, draw, all);
        bool again = b == node && session > 0 && all > 1;
        for (uint32_t i = 0; i < n->bootstraps; i++)
            again = again || n->bootstrap[i] == b;
        if (told == all) // all of them
            b = n->bootstraps;
        if (!again || told == all)
            n->bootstrap[n->bootstraps++] = b;
    }
}

static const struct sim_node_class *class_for(const struct sim *s, uint32_t node, uint8_t *number)
{
    const struct sim_population *c = &s->population->config;
    uint64_t at = sim_prf_below(&s->prf, SIM_PRF_CLASS, node, 1, 0, 100);
    *number = 0;
    while (*number + 1u < c->classes && at >= c->class[*number].share_percent)
        at -= c->class[(*number)++].share_percent;
    return &c->class[*number];
}

static bool drawn(const struct sim *s, enum sim_purpose p, uint32_t node, uint32_t which,
                  uint32_t percent)
{
    return sim_prf_below(&s->prf, p, node, which, 0, 100) < percent;
}

static enum sim_nat_kind nat_for(const struct sim *s, uint32_t node)
{
    uint64_t at = sim_prf_below(&s->prf, SIM_PRF_NAT, node, 2, 0, 100);
    uint32_t kind = 0;
    while (at >= nat_percent[kind])
        at -= nat_percent[kind++];
    return SIM_NAT_FULL_CONE + kind;
}

uint32_t sim_population_add(struct sim *s, usec_t at_us)
{
    const struct sim_population *c = &s->population->config;
    uint32_t i = s->hosts;
    struct sim_node_config n = {0};
    tell_bootstraps(s, &n, i, 0);
    if (i < c->bootstraps || i == 0) {
        n.server = n.keeps_key = true;
        n.site.v6 = c->ipv6_percent + c->dual_percent > 0;
        return sim_node_add(s, at_us, &n);
    }
    const struct sim_node_class *k = class_for(s, i, &n.class);
    bool nat = drawn(s, SIM_PRF_NAT, i, 3, k->nat_percent);
    n.server = !nat && drawn(s, SIM_PRF_CLASS, i, 0, k->servers_percent);
    n.candidate = n.server && c->dial_back && !drawn(s, SIM_PRF_CLASS, i, 4, k->public_percent);
    n.relay = n.server && !n.candidate && drawn(s, SIM_PRF_CLASS, i, 5, k->relays_percent);
    n.site = (struct sim_site_config){.nat = nat ? nat_for(s, i) : SIM_NAT_NONE,
                                      .up_kbit = k->up_kbit,
                                      .down_kbit = k->down_kbit,
                                      .queue_ms = k->queue_ms};
    uint64_t family = sim_prf_below(&s->prf, SIM_PRF_FAMILY, i, 0, 0, 100);
    n.site.no_v4 = family < c->ipv6_percent;
    n.site.v6 = family < c->ipv6_percent + c->dual_percent;
    if (drawn(s, SIM_PRF_SKEW, i, 0, c->skew_percent) && c->skew_us > 0)
        n.skew_us = (int64_t)(sim_prf_u64(&s->prf, SIM_PRF_SKEW, i, 1, 0) % (2 * c->skew_us + 1)) -
                    (int64_t)c->skew_us;
    return sim_node_add(s, at_us, &n);
}

// ---- coming and going ---------------------------------------------------------------------------------

static uint64_t life(uint32_t node, uint32_t session)
{
    return (uint64_t)session << 32 | node;
}

static bool same_life(const struct sim *s, uint64_t arg)
{
    const struct sim_host *h = s->host[(uint32_t)arg];
    return h->node != NULL && h->session == (uint32_t)(arg >> 32);
}

static void start_again(struct sim *s, uint32_t node)
{
    struct sim_host *h = s->host[node];
    if (h->node != NULL)
        return;
    h->session++;
    if (s->population != NULL) {
        struct sim_node_config n = {0};
        tell_bootstraps(s, &n, node, h->session);
        memcpy(h->bootstrap, n.bootstrap, sizeof h->bootstrap);
        h->bootstraps = (uint8_t)n.bootstraps;
    }
    sim_node_start(s, node);
}

static void back(struct sim *s, void *ctx, uint64_t arg)
{
    (void)ctx;
    start_again(s, (uint32_t)arg);
}

static void arrive(struct sim *s, void *ctx, uint64_t arg)
{
    (void)ctx;
    (void)arg;
    struct population *p = s->population;
    uint32_t number = (uint32_t)p->arrivals++;
    if (p->aways > 0 &&
        sim_prf_below(&s->prf, SIM_PRF_ARRIVAL, number, 0, 0, 100) < p->config.rejoin_percent) {
        uint64_t k = sim_prf_below(&s->prf, SIM_PRF_ARRIVAL, number, 1, 0, p->aways);
        uint32_t node = p->away[k];
        p->away[k] = p->away[--p->aways];
        sim_command(s, s->now, node, SIM_NOBODY, back, NULL, node); // its own turn, which arms it
    } else {
        (void)sim_population_add(s, s->now);
    }
}

static void go(struct sim *s, void *ctx, uint64_t arg)
{
    (void)ctx;
    struct population *p = s->population;
    uint32_t node = (uint32_t)arg;
    if (!same_life(s, arg))
        return;
    sim_node_end(s, node);
    if (p->aways == p->aways_room) {
        p->aways_room = p->aways_room == 0 ? 64 : 2 * p->aways_room;
        p->away = sim_grow(p->away, p->aways_room, sizeof *p->away);
    }
    p->away[p->aways++] = node;
    uint64_t r = sim_prf_u64(&s->prf, SIM_PRF_ARRIVAL, node, s->host[node]->session, 1);
    sim_at(s, s->now + r % (2 * p->config.gap_us + 1), arrive, NULL, 0);
}

// Nobody closes the program in the middle of a conversation.
static void leave(struct sim *s, void *ctx, uint64_t arg)
{
    (void)ctx;
    uint32_t node = (uint32_t)arg;
    if (!same_life(s, arg))
        return;
    if (sim_people_busy(s, node)) {
        sim_command(s, s->now + SIM_LEAVE_AGAIN_US, node, SIM_NOBODY, leave, NULL, arg);
    } else if (sim_prf_below(&s->prf, SIM_PRF_ARRIVAL, node, s->host[node]->session, 2, 100) <
               s->population->config.polite_percent) {
        node_stop(s->host[node]->node, s->now);
        s->host[node]->leaves = true;
        sim_command(s, s->now + SIM_LEAVE_US, node, SIM_NOBODY, go, NULL, arg);
    } else {
        go(s, NULL, arg);
    }
}

// What its state file held: a few of the public servers that are there.
static void remember(struct sim *s, uint32_t node)
{
    const struct sim_population *c = &s->population->config;
    const struct sim_host *h = s->host[node];
    struct contact cached[SIM_CACHED_MAX] = {0};
    size_t n = 0;
    if (node < c->bootstraps || !drawn(s, SIM_PRF_CACHE, node, h->session, c->cached_percent))
        return;
    for (uint64_t draw = 0; draw < SIM_CACHED_DRAWS && n + 2 <= SIM_CACHED_MAX; draw++) {
        uint32_t i =
            (uint32_t)sim_prf_below(&s->prf, SIM_PRF_CACHE, node, h->session, 1 + draw, s->hosts);
        const struct sim_host *o = s->host[i];
        struct path at[2];
        uint8_t pk[32], sk[32];
        if (i == node || o->node == NULL || !o->server || o->candidate || o->actor != NULL)
            continue;
        key_pair(pk, sk, o->secret);
        for (size_t k = sim_network_reach(&s->net, node, i, at); k-- > 0; n++) {
            memcpy(cached[n].pk, pk, 32);
            cached[n].path = at[k];
        }
    }
    if (n > 0 && node_add_contacts(h->node, s->now, cached, n) < 0)
        sim_fail(s, "node %u does not take its contacts", node);
}

void sim_population_started(struct sim *s, uint32_t node)
{
    const struct sim_host *h = s->host[node];
    if (s->population != NULL && h->actor == NULL)
        remember(s, node);
    if (s->population == NULL || s->population->config.session_percent == 0 || h->keeps_key ||
        h->actor != NULL)
        return;
    const struct sim_population *c = &s->population->config;
    // Who comes after the others were there begins a session; the others are found within one.
    bool there_already = h->session == 0 && s->population->arrivals == 0;
    usec_t len =
        session_us(&s->prf, session_s[c->class[h->class].session], node, h->session, there_already);
    sim_command(s, s->now + len / 100 * c->session_percent, node, SIM_NOBODY, leave, NULL,
                life(node, h->session));
}

static void restart(struct sim *s, void *ctx, uint64_t arg)
{
    (void)ctx;
    uint32_t node = (uint32_t)arg;
    usec_t back_us = arg >> 32;
    struct sim_host *h = s->host[node];
    if (h->node == NULL || h->actor != NULL)
        return;
    uint64_t r = sim_prf_u64(&s->prf, SIM_PRF_ARRIVAL, node, h->session, 3);
    sim_node_end(s, node);
    sim_command(s, s->now + SIM_RESTART_US + r % (back_us + 1), node, SIM_NOBODY, back, NULL, node);
}

void sim_restart(struct sim *s, usec_t at_us, uint32_t node, usec_t back_us)
{
    sim_command(s, at_us, node, SIM_NOBODY, restart, NULL, back_us << 32 | node);
}

// ---- for people ---------------------------------------------------------------------------------------

static bool is_free(const struct sim *s, uint32_t node)
{
    const struct sim_host *h = s->host[node];
    // A volunteer's relay has no person (`bauta relay`).
    return h->node != NULL && !h->leaves && !h->relay && h->actor == NULL &&
           sim_people_gone(s, node);
}

uint32_t sim_seat(const struct sim *s, uint32_t key)
{
    for (uint32_t draw = 0; draw < SIM_SEAT_TRIES; draw++) {
        uint32_t i = (uint32_t)sim_prf_below(&s->prf, SIM_PRF_PERSON, key, 0, draw, s->hosts);
        if (is_free(s, i))
            return i;
    }
    for (uint32_t i = 0; i < s->hosts; i++) // nearly all are taken
        if (is_free(s, i))
            return i;
    return SIM_NOBODY;
}

bool sim_can_meet(const struct sim *s, uint32_t a, uint32_t b)
{
    const struct sim_site *x = &s->net.site[a], *y = &s->net.site[b];
    bool v4 = x->path.family == 4 && y->path.family == 4;
    bool v6 = (x->path.family == 6 || x->path6.family == 6) &&
              (y->path.family == 6 || y->path6.family == 6);
    enum sim_nat_kind i = x->nat != NULL ? x->nat->kind : SIM_NAT_NONE;
    enum sim_nat_kind k = y->nat != NULL ? y->nat->kind : SIM_NAT_NONE;
    return v6 || (v4 && sim_nat_can_meet(i, k));
}
