#include "tools/sim/network.h"

#include "dht/path.h"
#include "tools/sim/limits.h"
#include "tools/sim/slab.h"

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

// Of the square of a distance on the plane.
static_assert(SIM_PLANE_US <= UINT64_C(1) << 16, "the diagonal has 17 bits");
static uint64_t root(uint64_t v)
{
    uint64_t r = 0;
    for (uint64_t bit = UINT64_C(1) << 16; bit > 0; bit >>= 1)
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
    for (uint32_t i = 0; i < n->sites; i++) {
        if (n->site[i].nat != NULL)
            sim_nat_free(n->site[i].nat);
        free(n->site[i].nat);
        sim_sockets_free(&n->site[i].sockets);
    }
    free(n->site);
    free(n->slot);
    *n = (struct sim_network){0};
}

// ---- addresses --------------------------------------------------------------------------------------

static uint32_t slot_of(const struct sim_network *n, const struct path *p)
{
    uint64_t a, b;
    memcpy(&a, p->ip, sizeof a);
    memcpy(&b, p->ip + 8, sizeof b);
    uint64_t h =
        (a ^ (b + p->family) * UINT64_C(0xff51afd7ed558ccd)) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(h >> 32) & (n->slots - 1);
}

static void enter(struct sim_network *n, uint32_t site, const struct path *p)
{
    uint32_t i = slot_of(n, p);
    while (n->slot[i] != 0)
        i = (i + 1) & (n->slots - 1);
    n->slot[i] = site + 1;
}

static bool same_ip(const struct path *a, const struct path *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

static bool is_socket(uint32_t via)
{
    return (via & VIA_KINDS) == VIA_SOCKET;
}

// A translated host has its address alone; others may share one and differ by port.
static bool lives_at(const struct sim_site *s, const struct path *p)
{
    const struct path *own = s->path.family == p->family ? &s->path : &s->path6;
    return same_ip(own, p) && (own->port == p->port || (s->nat != NULL && p->family == 4) ||
                               sim_socket_at(s->sockets, own->port, p->port) != SIM_SOCKET_NONE);
}

uint32_t sim_network_find(const struct sim_network *n, const struct path *p)
{
    if (n->slots == 0 || (p->via != VIA_UDP && !is_socket(p->via)))
        return SIM_NOBODY;
    for (uint32_t i = slot_of(n, p); n->slot[i] != 0; i = (i + 1) & (n->slots - 1))
        if (lives_at(&n->site[n->slot[i] - 1], p))
            return n->slot[i] - 1;
    return SIM_NOBODY;
}

static bool taken(const struct sim_network *n, const struct path *p)
{
    if (n->slots == 0)
        return false;
    for (uint32_t i = slot_of(n, p); n->slot[i] != 0; i = (i + 1) & (n->slots - 1)) {
        const struct sim_site *s = &n->site[n->slot[i] - 1];
        if (same_ip(&s->path, p) || same_ip(&s->path6, p))
            return true;
    }
    return false;
}

// The leading bits of `within`, the rest as drawn.
static void keep_prefix(uint8_t *ip, const struct path *within, unsigned bits)
{
    for (unsigned i = 0; i < bits; i++) {
        uint8_t bit = (uint8_t)(0x80 >> i % 8);
        ip[i / 8] = (uint8_t)((ip[i / 8] & ~bit) | (within->ip[i / 8] & bit));
    }
}

// Addresses are spread over the whole of IPv4, so that a thousand nodes have nearly a thousand /16s, and
// over 2400::/8 to 2f00::/8. Each has one to itself, unless its prefix is too narrow for that.
static struct path address(const struct sim_network *n, uint32_t node, bool lab, uint8_t family,
                           const struct sim_site_config *cfg, uint8_t moves)
{
    for (uint64_t attempt = (uint64_t)moves << 32;; attempt++) {
        uint64_t draw_no = 2 * attempt + (family == 6);
        uint64_t v = sim_prf_u64(n->prf, SIM_PRF_ADDRESS, node, 0, draw_no);
        uint64_t w = sim_prf_u64(n->prf, SIM_PRF_ADDRESS, node, 1, draw_no);
        uint8_t ip[16] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
        if (family == 4 && lab)
            ip[0] = 127;
        for (unsigned i = 0; family == 6 && i < 8; i++) {
            ip[i] = (uint8_t)(v >> 8 * i);
            ip[8 + i] = (uint8_t)(w >> 8 * i);
        }
        if (family == 6)
            ip[0] = (uint8_t)(0x24 + ip[0] % 12);
        if (cfg->within.family == family)
            keep_prefix(ip, &cfg->within, cfg->within_bits);
        uint64_t port = sim_prf_below(n->prf, SIM_PRF_PORT, node, 0, attempt, 65536 - SIM_PORT_MIN);
        port += SIM_PORT_MIN;
        struct path p = family == 4 ? path_v4(ip, (uint16_t)port) : path_v6(ip, (uint16_t)port);
        if (path_reachable(&p, lab) &&
            ((uint32_t)attempt < SIM_ADDRESS_TRIES ? !taken(n, &p)
                                                   : sim_network_find(n, &p) == SIM_NOBODY))
            return p;
    }
}

static void enter_all(struct sim_network *n)
{
    memset(n->slot, 0, n->slots * sizeof *n->slot);
    for (uint32_t i = 0; i < n->sites; i++) {
        enter(n, i, &n->site[i].path);
        if (n->site[i].path6.family != 0)
            enter(n, i, &n->site[i].path6);
    }
}

static void grow(struct sim_network *n)
{
    n->sites_room = n->sites_room == 0 ? 64 : 2 * n->sites_room;
    n->site = sim_regrow(n->site, n->sites, n->sites_room, sizeof *n->site);
    n->slots = 4 * n->sites_room;
    n->slot = sim_regrow(n->slot, 0, n->slots, sizeof *n->slot);
    enter_all(n);
}

// Addresses and NAT of a site, where it is now.
static void settle(struct sim_network *n, uint32_t i, bool lab, const struct sim_site_config *cfg,
                   struct sim_site *s)
{
    s->path = cfg->at.family != 0 ? cfg->at : address(n, i, lab, cfg->no_v4 ? 6 : 4, cfg, s->moves);
    s->path6 = (struct path){.family = 0};
    if (cfg->v6 && s->path.family == 4) {
        s->path6 = address(n, i, lab, 6, cfg, s->moves);
        s->path6.port = s->path.port; // one socket
    }
    s->nat = NULL;
    if (cfg->nat != SIM_NAT_NONE) {
        s->nat = sim_grow(NULL, 1, sizeof *s->nat);
        sim_nat_init(s->nat, cfg->nat, n->prf, i);
    }
}

void sim_network_move(struct sim_network *n, bool lab, uint32_t site,
                      const struct sim_site_config *cfg)
{
    struct sim_site *s = &n->site[site], old = *s;
    s->was = old.path;
    s->was6 = old.path6;
    s->moves++;
    settle(n, site, lab, cfg, s);
    if (s->path.family == old.path.family)
        s->path.port = old.path.port; // the socket stays
    if (s->path6.family != 0)
        s->path6.port = s->path.port;
    if (old.nat != NULL)
        sim_nat_free(old.nat);
    free(old.nat);
    enter_all(n);
}

uint32_t sim_network_add(struct sim_network *n, bool lab, const struct sim_site_config *cfg)
{
    static const struct sim_site_config plain;
    if (cfg == NULL)
        cfg = &plain;
    if (n->sites == n->sites_room)
        grow(n);
    uint32_t i = n->sites;
    struct sim_site s = {
        .x_us = (uint16_t)sim_prf_below(n->prf, SIM_PRF_PLACE_X, i, 0, 0, SIM_PLANE_US),
        .y_us = (uint16_t)sim_prf_below(n->prf, SIM_PRF_PLACE_Y, i, 0, 0, SIM_PLANE_US),
        .access_us = draw(access_table, sim_prf_u64(n->prf, SIM_PRF_ACCESS, i, 0, 0)),
        .up_kbit = cfg->up_kbit,
        .down_kbit = cfg->down_kbit,
        .queue_us = cfg->queue_ms * 1000,
    };
    settle(n, i, lab, cfg, &s);
    n->site[i] = s;
    n->sites++;
    enter(n, i, &s.path);
    if (s.path6.family != 0)
        enter(n, i, &s.path6);
    return i;
}

size_t sim_network_local(const struct sim_network *n, uint32_t site, struct path out[static 2])
{
    const struct sim_site *s = &n->site[site];
    out[0] = s->path;
    out[1] = s->path6;
    if (s->nat != NULL && s->path.family == 4)
        out[0] = path_v4((const uint8_t[4]){192, 168, (uint8_t)(1 + (site + s->moves) % 7), 2},
                         s->path.port);
    return s->path6.family != 0 ? 2 : 1;
}

static const struct path *of_family(const struct sim_site *s, uint8_t family)
{
    return s->path.family == family ? &s->path : s->path6.family == family ? &s->path6 : NULL;
}

size_t sim_network_reach(const struct sim_network *n, uint32_t from, uint32_t site,
                         struct path out[static 2])
{
    const struct sim_site *s = &n->site[site], *f = &n->site[from];
    size_t k = 0;
    if (of_family(f, s->path.family) != NULL)
        out[k++] = s->path;
    if (s->path6.family != 0 && of_family(f, 6) != NULL)
        out[k++] = s->path6;
    return k;
}

// ---- on the way -------------------------------------------------------------------------------------

usec_t sim_network_latency(const struct sim_network *n, uint32_t a, uint32_t b)
{
    const struct sim_site *s = &n->site[a], *t = &n->site[b];
    uint64_t dx = (uint64_t)(s->x_us > t->x_us ? s->x_us - t->x_us : t->x_us - s->x_us);
    uint64_t dy = (uint64_t)(s->y_us > t->y_us ? s->y_us - t->y_us : t->y_us - s->y_us);
    return SIM_LATENCY_FLOOR_US + root(dx * dx + dy * dy) + s->access_us + t->access_us;
}

bool sim_network_fault(struct sim_network *n, const struct sim_fault *f)
{
    if (n->faults == SIM_FAULTS_MAX)
        return false;
    n->fault[n->faults++] = *f;
    return true;
}

static bool inside(const struct sim_fault *f, const struct sim_site *s)
{
    return (uint64_t)s->x_us * 1000000 < (uint64_t)f->share_ppm * SIM_PLANE_US;
}

// The largest loss of all that applies.
static uint32_t loss_now(const struct sim_network *n, usec_t now, uint32_t a, uint32_t b)
{
    uint32_t loss = n->loss_ppm;
    for (uint32_t i = 0; i < n->faults; i++) {
        const struct sim_fault *f = &n->fault[i];
        if (now < f->from_us || now >= f->to_us)
            continue;
        bool ia = inside(f, &n->site[a]), ib = inside(f, &n->site[b]);
        uint32_t here = f->cut ? (ia != ib ? 1000000 : 0) : (ia || ib ? f->loss_ppm : 0);
        loss = here > loss ? here : loss;
    }
    uint64_t slice = now / SIM_BURST_US;
    if (n->burst_ppm > 0 && loss < SIM_BURST_LOSS_PPM &&
        (sim_prf_below(n->prf, SIM_PRF_BURST, a, 0, slice, 1000000) < n->burst_ppm ||
         sim_prf_below(n->prf, SIM_PRF_BURST, b, 0, slice, 1000000) < n->burst_ppm))
        loss = SIM_BURST_LOSS_PPM;
    return loss;
}

// What a line's queue adds; false when it is full.
static bool queue(usec_t *free_us, usec_t now, uint32_t kbit, uint32_t queue_us, size_t len,
                  usec_t *wait_us)
{
    if (kbit == 0)
        return true;
    usec_t start = *free_us > now ? *free_us : now;
    if (start - now > queue_us)
        return false;
    *free_us = start + (len + SIM_HEADER_BYTES) * 8000 / kbit;
    *wait_us += *free_us - now;
    return true;
}

void sim_network_close(struct sim_network *n, uint32_t site, uint32_t via)
{
    if (is_socket(via))
        sim_socket_close(n->site[site].sockets, via & ~VIA_SOCKET);
}

void sim_network_close_all(struct sim_network *n, uint32_t site)
{
    sim_sockets_free(&n->site[site].sockets);
}

// The port inside that a datagram leaves from; 0: from none.
static uint16_t port_of(struct sim_site *s, const struct path *own, uint32_t via)
{
    if (via == VIA_UDP)
        return own->port;
    return is_socket(via) ? sim_socket_open(&s->sockets, own->port, via & ~VIA_SOCKET) : 0;
}

bool sim_network_carry(struct sim_network *n, usec_t now, uint32_t from, const struct path *to,
                       uint8_t ttl, uint64_t number, size_t len, struct sim_way *w)
{
    struct sim_site *s = &n->site[from];
    const struct path *own = of_family(s, to->family);
    uint16_t inside = own != NULL ? port_of(s, own, to->via) : 0;
    if (inside == 0 || (ttl > 0 && ttl < SIM_HOPS_OWN)) {
        n->nowhere++;
        return false;
    }
    w->destination = sim_network_find(n, to);
    w->family = to->family;
    w->to_port = to->port;
    w->from_port = inside;
    w->to_via = VIA_UDP;
    w->takes_us = 0;
    w->from_moves = s->moves;
    w->to_moves = w->destination != SIM_NOBODY ? n->site[w->destination].moves : 0;
    if (s->nat != NULL)
        w->from_port = sim_nat_out(s->nat, now, to, inside, n->prf, from);
    if (!queue(&s->up_free_us, now, s->up_kbit, s->queue_us, len, &w->takes_us)) {
        n->overflown++;
        return false;
    }
    if (w->destination == SIM_NOBODY || (ttl > 0 && ttl < SIM_HOPS_FAR)) {
        n->nowhere++;
        return false;
    }
    uint32_t loss_ppm = loss_now(n, now, from, w->destination);
    if (loss_ppm > 0 &&
        sim_prf_below(n->prf, SIM_PRF_LOSS, from, w->destination, number, 1000000) < loss_ppm) {
        n->lost++;
        return false;
    }
    uint64_t random = sim_prf_u64(n->prf, SIM_PRF_JITTER, from, w->destination, number);
    w->takes_us += sim_network_latency(n, from, w->destination) + draw(jitter_table, random);
    return true;
}

bool sim_network_forge(const struct sim_network *n, uint32_t as, struct sim_way *w)
{
    const struct path *p = of_family(&n->site[as], w->family);
    if (p != NULL) {
        w->from_port = p->port;
        w->from_moves = n->site[as].moves;
    }
    return p != NULL;
}

struct path sim_network_source(const struct sim_network *n, uint32_t from, const struct sim_way *w)
{
    const struct sim_site *s = &n->site[from];
    struct path p = s->was.family == w->family ? s->was : s->was6;
    if (w->from_moves == s->moves)
        p = *of_family(s, w->family);
    p.port = w->from_port;
    return p;
}

// The socket that has this port inside. False: none.
static bool socket_at(const struct sim_site *s, uint16_t port, uint32_t *via)
{
    *via = VIA_UDP;
    if (port == s->path.port)
        return true;
    uint32_t k = sim_socket_at(s->sockets, s->path.port, port);
    *via = VIA_SOCKET | k;
    return k != SIM_SOCKET_NONE;
}

bool sim_network_admit(struct sim_network *n, usec_t now, uint32_t from, struct sim_way *w,
                       size_t len, usec_t *wait_us)
{
    struct sim_site *s = &n->site[w->destination];
    *wait_us = 0;
    if (w->to_moves != s->moves) {
        n->nowhere++;
        return false;
    }
    uint16_t inside = w->to_port;
    if (s->nat != NULL) {
        struct path source = sim_network_source(n, from, w);
        inside = sim_nat_in(s->nat, now, &source, w->to_port);
        if (inside == 0) {
            n->filtered++;
            return false;
        }
    }
    if (!socket_at(s, inside, &w->to_via)) { // the host has closed it
        n->nowhere++;
        return false;
    }
    if (!queue(&s->down_free_us, now, s->down_kbit, s->queue_us, len, wait_us)) {
        n->overflown++;
        return false;
    }
    // Its own length on an empty line is a part of the access latency already.
    if (*wait_us <= SIM_QUEUE_STEP_US)
        *wait_us = 0;
    return true;
}
