#include "tools/sim/recall.h"

#include "crypto/nodekey.h"
#include "dht/internal.h"
#include "dht/path.h"
#include "tools/sim/sim_internal.h"

#include <stdlib.h>
#include <string.h>

static uint64_t leading(const uint8_t id[static 32])
{
    uint64_t v = 0;
    for (unsigned i = 0; i < 8; i++)
        v = v << 8 | id[i];
    return v;
}

static struct sim_shelf *shelf_of(struct sim_recall *r, unsigned family, uint64_t id)
{
    return &r->shelf[family][r->bits > 0 ? id >> (64 - r->bits) : 0];
}

static void begin(struct sim *s)
{
    struct sim_recall *r = &s->recall;
    while (r->bits < SIM_SHELF_BITS_MAX && UINT32_C(16) << r->bits < s->hosts)
        r->bits++;
    for (unsigned f = 0; f < 2; f++) {
        size_t bytes = sizeof *r->shelf[f] << r->bits;
        r->shelf[f] = sim_grow(NULL, bytes, 1);
        memset(r->shelf[f], 0, bytes);
    }
}

static const struct path *path_of(const struct sim *s, uint32_t node, unsigned family)
{
    const struct sim_site *site = &s->net.site[node];
    uint8_t want = family == 0 ? 4 : 6;
    return site->path.family == want    ? &site->path
           : site->path6.family == want ? &site->path6
                                        : NULL;
}

static bool lead_of(const struct sim *s, uint32_t node, unsigned family, uint64_t *id)
{
    static const uint8_t none[PUZZLE_NONCE_BYTES];
    const struct path *p = path_of(s, node, family);
    struct net net;
    uint8_t pk[32], sk[32], full[32];
    if (p == NULL || net_init(&net, s->config.network != NULL ? s->config.network : "bauta") != 0)
        return false;
    key_pair(pk, sk, s->host[node]->secret);
    node_id(full, &net, pk, none, p->family, path_id_prefix(p));
    *id = leading(full);
    return true;
}

static bool serves(const struct sim_host *h, unsigned f)
{
    const struct dht *d = node_dht(h->node);
    return upkeep_serves(d, f == 0 ? 4 : 6) && d->upkeep.own_centre[f];
}

// In the families in which it has become a server since the last time.
static void enter(struct sim *s, uint32_t node)
{
    struct sim_host *host = s->host[node];
    for (unsigned f = 0; f < 2; f++) {
        uint64_t id;
        if ((host->listed >> f & 1) != 0 || !serves(host, f) || !lead_of(s, node, f, &id))
            continue;
        struct sim_shelf *h = shelf_of(&s->recall, f, id);
        if (h->count == h->room) {
            h->room = (uint16_t)(h->room == 0 ? 8 : 2 * h->room);
            h->listed = sim_grow(h->listed, h->room, sizeof *h->listed);
        }
        h->listed[h->count++] = (struct sim_listed){id, node, (uint32_t)(s->now / USEC_PER_S)};
        host->listed = (uint8_t)(host->listed | 1u << f);
    }
}

void sim_recall_forget(struct sim *s, uint32_t node)
{
    struct sim_host *host = s->host[node];
    for (unsigned f = 0; f < 2; f++) {
        uint64_t id;
        if ((host->listed >> f & 1) == 0 || !lead_of(s, node, f, &id))
            continue;
        struct sim_shelf *h = shelf_of(&s->recall, f, id);
        for (uint16_t i = 0; i < h->count; i++)
            if (h->listed[i].node == node)
                h->listed[i] = h->listed[--h->count];
    }
    host->listed = 0;
}

// A solved puzzle is a part of the id and not known here, so recall is measured where servers need none.
void sim_recall_tick(struct sim *s)
{
    if (s->config.puzzle_bits > 0)
        return;
    if (s->recall.shelf[0] == NULL)
        begin(s);
    for (uint32_t i = 0; i < s->hosts; i++) {
        const struct sim_host *h = s->host[i];
        if (h->node != NULL && h->server && h->actor == NULL)
            enter(s, i);
    }
}

void sim_recall_free(struct sim *s)
{
    struct sim_recall *r = &s->recall;
    for (unsigned f = 0; f < 2; f++) {
        for (size_t i = 0; r->shelf[f] != NULL && i < (size_t)1 << r->bits; i++)
            free(r->shelf[f][i].listed);
        free(r->shelf[f]);
    }
}

// The settled servers nearest to `target`, nearest first: shelves come in the order of their distance.
static unsigned nearest(const struct sim *s, unsigned family, uint64_t target, uint32_t asker,
                        struct sim_listed out[static SIM_RECALL_NEAREST])
{
    const struct sim_recall *r = &s->head->recall;
    uint64_t first = r->bits > 0 ? target >> (64 - r->bits) : 0;
    unsigned n = 0;
    for (uint64_t k = 0; k < UINT64_C(1) << r->bits && n < SIM_RECALL_NEAREST; k++) {
        const struct sim_shelf *h = &r->shelf[family][first ^ k];
        unsigned begin_at = n;
        for (uint16_t i = 0; i < h->count; i++) {
            struct sim_listed l = h->listed[i];
            if (l.node == asker || (l.since_s + SIM_SETTLED_US / USEC_PER_S) * USEC_PER_S > s->now)
                continue;
            unsigned at = n < SIM_RECALL_NEAREST ? n++ : SIM_RECALL_NEAREST;
            for (; at > begin_at && (out[at - 1].id ^ target) > (l.id ^ target); at--)
                if (at < SIM_RECALL_NEAREST)
                    out[at] = out[at - 1];
            if (at < SIM_RECALL_NEAREST)
                out[at] = l;
        }
    }
    return n;
}

// Of the ids of all families that the asker has. A server of two has two, and may be among them twice.
static unsigned nearest_of_all(const struct sim *s, uint64_t target, uint32_t asker,
                               struct sim_listed out[static SIM_RECALL_NEAREST])
{
    struct sim_listed of[2][SIM_RECALL_NEAREST];
    unsigned have[2] = {0, 0}, used[2] = {0, 0}, n = 0;
    for (unsigned f = 0; f < 2; f++)
        if (path_of(s, asker, f) != NULL)
            have[f] = nearest(s, f, target, asker, of[f]);
    while (n < SIM_RECALL_NEAREST && (used[0] < have[0] || used[1] < have[1])) {
        unsigned f = used[0] == have[0] || (used[1] < have[1] && (of[1][used[1]].id ^ target) <
                                                                     (of[0][used[0]].id ^ target));
        out[n++] = of[f][used[f]];
        used[f]++;
    }
    return n;
}

static bool stands_in(const struct sim *s, uint32_t node, const struct contact *region, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (unsigned f = 0; f < 2; f++) {
            const struct path *p = path_of(s, node, f);
            if (p != NULL && path_equal(&region[i].path, p))
                return true;
        }
    return false;
}

void sim_recall_check(struct sim *s, uint32_t node, const uint8_t place[static 32],
                      const struct contact *region, size_t members, bool at_once)
{
    struct sim_recall *r = &s->recall;
    struct sim_listed near[SIM_RECALL_NEAREST];
    if (s->head->recall.shelf[0] == NULL)
        return;
    unsigned n = nearest_of_all(s, leading(place), node, near), found = 0;
    if (n < SIM_RECALL_NEAREST)
        return;
    for (unsigned i = 0; i < n; i++)
        found += stands_in(s, near[i].node, region, members);
    if (at_once) {
        r->nearest_at_once += n;
        r->found_at_once += found;
        return;
    }
    r->lookups++;
    r->whole += found == n;
    r->nearest += n;
    r->found += found;
}

static void compare(struct sim *s, uint32_t node, uint32_t place, bool at_once)
{
    const struct dht *d = node_dht(s->host[node]->node);
    const uint8_t *key = dht_place_key(d, place);
    struct contact region[SIM_REGION_MAX];
    if (key != NULL)
        sim_recall_check(s, node, key, region, dht_place_region(d, place, region, SIM_REGION_MAX),
                         at_once);
}

// arg: place || node. In another session there is no such place, or another that is as good.
static void late(struct sim *s, void *ctx, uint64_t arg)
{
    (void)ctx;
    if (s->host[(uint32_t)arg]->node != NULL)
        compare(s, (uint32_t)arg, (uint32_t)(arg >> 32), false);
}

void sim_recall_looked_up(struct sim *s, uint32_t node, uint32_t place)
{
    if (s->head->recall.shelf[0] == NULL)
        return;
    compare(s, node, place, true);
    sim_command(s, s->now + SIM_LATE_US, node, node, late, NULL, (uint64_t)place << 32 | node);
}
