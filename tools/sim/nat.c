#include "tools/sim/nat.h"

#include "tools/sim/limits.h"
#include "tools/sim/slab.h"

#include <stdlib.h>

// How long a flow stays open without a datagram out, in seconds. After Hätönen et al., "An
// experimental study of home gateway characteristics", IMC 2010: 30 s to some minutes, median of 90 to
// 180 s. RFC 4787 asks for two minutes; only what goes out refreshes (its REQ-6).
static const uint16_t idle_table[8] = {30, 60, 60, 90, 120, 180, 180, 300};

void sim_nat_init(struct sim_nat *n, enum sim_nat_kind kind, const struct sim_prf *prf,
                  uint32_t site)
{
    *n = (struct sim_nat){.kind = (uint8_t)kind,
                          .idle_s = idle_table[sim_prf_below(prf, SIM_PRF_NAT, site, 0, 0, 8)]};
}

void sim_nat_free(struct sim_nat *n)
{
    free(n->flow);
    *n = (struct sim_nat){0};
}

static uint32_t mix(uint32_t h, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        h = (h ^ bytes[i]) * UINT32_C(16777619);
    return h;
}

// The same for all remotes that a kind does not tell apart.
static uint32_t remote_of(const struct sim_nat *n, const struct path *p)
{
    const uint8_t port[2] = {(uint8_t)p->port, (uint8_t)(p->port >> 8)};
    uint32_t h = UINT32_C(2166136261) ^ p->family;
    if (p->family == 4 && n->kind == SIM_NAT_FULL_CONE)
        return h;
    h = mix(h, p->ip, p->family == 4 ? 4 : 16);
    return p->family == 4 && n->kind == SIM_NAT_RESTRICTED ? h : mix(h, port, sizeof port);
}

static bool open_at(const struct sim_nat *n, const struct sim_flow *f, uint32_t now)
{
    return now - f->out_at <= (uint32_t)n->idle_s * (1000000u / 1024u);
}

// Who tries the ports of one address has room for that.
static uint32_t flows_max(struct sim_nat *n, const struct path *to)
{
    uint32_t address = mix(UINT32_C(2166136261), to->ip, sizeof to->ip), was = n->last;
    n->last = address;
    return address == was ? SIM_NAT_SEARCH_FLOWS_MAX : SIM_NAT_FLOWS_MAX;
}

// The flow's place, or a new one: first a closed one's, then the longest silent one's.
static struct sim_flow *flow_for(struct sim_nat *n, uint32_t remote, const struct path *to,
                                 uint16_t inside, uint32_t now, bool *fresh)
{
    *fresh = false;
    for (uint32_t i = 0; i < n->flows;) {
        if (!open_at(n, &n->flow[i], now)) {
            n->flow[i] = n->flow[--n->flows];
            continue;
        }
        if (n->flow[i].remote == remote && n->flow[i].inside == inside)
            return &n->flow[i];
        i++;
    }
    *fresh = true;
    uint32_t most = flows_max(n, to);
    if (n->flows >= most) {
        uint32_t oldest = 0;
        for (uint32_t i = 1; i < n->flows; i++)
            if (now - n->flow[i].out_at > now - n->flow[oldest].out_at)
                oldest = i;
        return &n->flow[oldest];
    }
    if (n->flows == n->room) {
        uint32_t room = n->room == 0 ? 4 : 2u * n->room;
        n->room = (uint16_t)(room < most ? room : most);
        n->flow = sim_grow(n->flow, n->room, sizeof *n->flow);
    }
    return &n->flow[n->flows++];
}

static uint16_t random_port(struct sim_nat *n, const struct sim_prf *prf, uint32_t site)
{
    return (uint16_t)(SIM_PORT_MIN +
                      sim_prf_below(prf, SIM_PRF_NAT, site, 1, n->drawn++, 65536 - SIM_PORT_MIN));
}

static bool port_taken(const struct sim_nat *n, uint32_t remote, uint16_t port)
{
    for (uint32_t i = 0; i < n->flows; i++)
        if (n->flow[i].remote == remote && n->flow[i].port == port)
            return true;
    return false;
}

static uint16_t new_port(struct sim_nat *n, uint32_t remote, uint16_t inside,
                         const struct sim_prf *prf, uint32_t site)
{
    uint16_t port = inside;
    switch ((enum sim_nat_kind)n->kind) {
    case SIM_NAT_SYMMETRIC_PRESERVING:
        // Another host behind it talks to that remote from the same port.
        if (sim_prf_below(prf, SIM_PRF_NAT, site, 3, (uint64_t)remote << 16 | inside, 16) != 0)
            return port;
        break;
    case SIM_NAT_SYMMETRIC_STEP:
        port = (uint16_t)sim_prf_below(prf, SIM_PRF_NAT, site, 4, 0, 65536 - SIM_PORT_MIN);
        return (uint16_t)(SIM_PORT_MIN + (port + n->drawn++) % (65536 - SIM_PORT_MIN));
    default:
        break;
    }
    do
        port = random_port(n, prf, site);
    while (port_taken(n, remote, port));
    return port;
}

uint16_t sim_nat_out(struct sim_nat *n, usec_t now, const struct path *to, uint16_t inside,
                     const struct sim_prf *prf, uint32_t site)
{
    uint32_t at = (uint32_t)(now >> 10), remote = remote_of(n, to);
    bool fresh;
    struct sim_flow *f = flow_for(n, remote, to, inside, at, &fresh);
    if (fresh) {
        uint16_t port = inside;
        *f = (struct sim_flow){.inside = inside};
        if (sim_nat_symmetric(n->kind) && to->family == 4)
            port = new_port(n, remote, inside, prf, site);
        f->remote = remote;
        f->port = port;
    }
    f->out_at = at;
    return f->port;
}

uint16_t sim_nat_in(const struct sim_nat *n, usec_t now, const struct path *from, uint16_t port)
{
    uint32_t at = (uint32_t)(now >> 10), remote = remote_of(n, from);
    for (uint32_t i = 0; i < n->flows; i++)
        if (n->flow[i].remote == remote && n->flow[i].port == port && open_at(n, &n->flow[i], at))
            return n->flow[i].inside;
    return 0;
}

bool sim_nat_can_meet(enum sim_nat_kind a, enum sim_nat_kind b)
{
    // A symmetric one's port towards the other is one that the other never heard of: fine where the
    // other does not filter by port, or has no filter.
    if (sim_nat_symmetric(a))
        return b < SIM_NAT_PORT_RESTRICTED;
    return !sim_nat_symmetric(b) || a < SIM_NAT_PORT_RESTRICTED;
}
