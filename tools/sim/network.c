#include "tools/sim/network.h"

#include "dht/path.h"
#include "tools/sim/limits.h"
#include "tools/sim/queue.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

// Inverse CDFs in microseconds: 17 points at equal steps of probability, straight lines between.
// A line of a home or a server, one way; the long tail is mobile and satellite.
static const uint32_t access_table[17] = {300,  500,  700,  900,  1200,  1500,  1900,  2400, 3000,
                                          3800, 4800, 6200, 8500, 12000, 18000, 32000, 90000};
// Queues on the way, for each datagram anew.
static const uint32_t jitter_table[17] = {0,   20,  45,  75,  110,  150,  200,  260,  340,
                                          440, 570, 740, 980, 1350, 2000, 3600, 15000};

static uint32_t draw(const uint32_t table[static 17], uint64_t random)
{
    uint32_t at = (uint32_t)(random >> 60);
    uint64_t part = random >> 28 & UINT32_MAX;
    return table[at] + (uint32_t)((table[at + 1] - table[at]) * part >> 32);
}

static uint64_t root(uint64_t v)
{
    uint64_t r = 0;
    for (uint64_t bit = UINT64_C(1) << 31; bit > 0; bit >>= 1)
        if ((r + bit) * (r + bit) <= v)
            r += bit;
    return r;
}

void sim_network_init(struct sim_network *n, const struct sim_prf *prf, uint32_t loss_ppm)
{
    *n = (struct sim_network){.prf = prf, .loss_ppm = loss_ppm};
}

void sim_network_free(struct sim_network *n)
{
    free(n->site);
    free(n->slot);
    *n = (struct sim_network){0};
}

static uint32_t slot_of(const struct sim_network *n, const struct path *p)
{
    uint64_t h = p->port;
    for (unsigned i = 0; i < (p->family == 4 ? 4u : 16u); i++)
        h = (h << 8 ^ h >> 48 ^ p->ip[i]) * (i % 4 == 3 ? UINT64_C(0x9e3779b97f4a7c15) : 1);
    return (uint32_t)(h >> 32) & (n->slots - 1);
}

static void enter(struct sim_network *n, uint32_t site)
{
    uint32_t i = slot_of(n, &n->site[site].path);
    while (n->slot[i] != 0)
        i = (i + 1) & (n->slots - 1);
    n->slot[i] = site + 1;
}

uint32_t sim_network_find(const struct sim_network *n, const struct path *p)
{
    if (n->slots == 0 || p->via != 0)
        return SIM_NOBODY;
    for (uint32_t i = slot_of(n, p); n->slot[i] != 0; i = (i + 1) & (n->slots - 1))
        if (path_equal(&n->site[n->slot[i] - 1].path, p))
            return n->slot[i] - 1;
    return SIM_NOBODY;
}

// Addresses are spread over the whole of IPv4, so that a thousand nodes have nearly a thousand /16s.
static struct path address(const struct sim_network *n, uint32_t node, bool lab)
{
    for (uint64_t attempt = 0;; attempt++) {
        uint64_t v = sim_prf_u64(n->prf, SIM_PRF_ADDRESS, node, 0, attempt);
        uint8_t ip[4] = {lab ? 127 : (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8),
                         (uint8_t)v};
        uint64_t port = sim_prf_below(n->prf, SIM_PRF_PORT, node, 0, attempt, 65536 - SIM_PORT_MIN);
        struct path p = path_v4(ip, (uint16_t)(SIM_PORT_MIN + port));
        if (path_reachable(&p, lab) && sim_network_find(n, &p) == SIM_NOBODY)
            return p;
    }
}

uint32_t sim_network_add(struct sim_network *n, const struct path *at, bool lab)
{
    if (n->sites == n->sites_room) {
        n->sites_room = n->sites_room == 0 ? 64 : 2 * n->sites_room;
        n->site = sim_grow(n->site, n->sites_room, sizeof *n->site);
        n->slots = 4 * n->sites_room;
        n->slot = sim_grow(n->slot, n->slots, sizeof *n->slot);
        memset(n->slot, 0, n->slots * sizeof *n->slot);
        for (uint32_t i = 0; i < n->sites; i++)
            enter(n, i);
    }
    uint32_t i = n->sites;
    n->site[i] = (struct sim_site){
        .path = at != NULL ? *at : address(n, i, lab),
        .x_us = (uint32_t)sim_prf_below(n->prf, SIM_PRF_PLACE_X, i, 0, 0, SIM_PLANE_US),
        .y_us = (uint32_t)sim_prf_below(n->prf, SIM_PRF_PLACE_Y, i, 0, 0, SIM_PLANE_US),
        .access_us = draw(access_table, sim_prf_u64(n->prf, SIM_PRF_ACCESS, i, 0, 0)),
    };
    n->sites++;
    enter(n, i);
    return i;
}

usec_t sim_network_latency(const struct sim_network *n, uint32_t a, uint32_t b)
{
    const struct sim_site *s = &n->site[a], *t = &n->site[b];
    uint64_t dx = s->x_us > t->x_us ? s->x_us - t->x_us : t->x_us - s->x_us;
    uint64_t dy = s->y_us > t->y_us ? s->y_us - t->y_us : t->y_us - s->y_us;
    return SIM_LATENCY_FLOOR_US + root(dx * dx + dy * dy) + s->access_us + t->access_us;
}

bool sim_network_carry(const struct sim_network *n, uint32_t from, const struct path *to,
                       uint64_t number, uint32_t *destination, usec_t *takes_us)
{
    *destination = sim_network_find(n, to);
    if (*destination == SIM_NOBODY)
        return false;
    if (n->loss_ppm > 0 &&
        sim_prf_below(n->prf, SIM_PRF_LOSS, from, *destination, number, 1000000) < n->loss_ppm)
        return false;
    uint64_t random = sim_prf_u64(n->prf, SIM_PRF_JITTER, from, *destination, number);
    *takes_us = sim_network_latency(n, from, *destination) + draw(jitter_table, random);
    return true;
}
