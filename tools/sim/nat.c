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

// The flow's place, or a new one: first a closed one's, then the longest silent one's.
static struct sim_flow *flow_for(struct sim_nat *n, uint32_t remote, uint32_t now, bool *fresh)
{
    *fresh = false;
    for (uint32_t i = 0; i < n->flows;) {
        if (!open_at(n, &n->flow[i], now)) {
            n->flow[i] = n->flow[--n->flows];
            continue;
        }
        if (n->flow[i].remote == remote)
            return &n->flow[i];
        i++;
    }
    *fresh = true;
    if (n->flows == SIM_NAT_FLOWS_MAX) {
        uint32_t oldest = 0;
        for (uint32_t i = 1; i < n->flows; i++)
            if (now - n->flow[i].out_at > now - n->flow[oldest].out_at)
                oldest = i;
        return &n->flow[oldest];
    }
    if (n->flows == n->room) {
        uint32_t room = n->room == 0 ? 4 : 2u * n->room;
        n->room = (uint8_t)(room < SIM_NAT_FLOWS_MAX ? room : SIM_NAT_FLOWS_MAX);
        n->flow = sim_grow(n->flow, n->room, sizeof *n->flow);
    }
    return &n->flow[n->flows++];
}

uint16_t sim_nat_out(struct sim_nat *n, usec_t now, const struct path *to, uint16_t own_port,
                     const struct sim_prf *prf, uint32_t site)
{
    uint32_t at = (uint32_t)(now >> 10), remote = remote_of(n, to);
    bool fresh;
    struct sim_flow *f = flow_for(n, remote, at, &fresh);
    if (fresh) {
        uint16_t port = own_port;
        if (n->kind == SIM_NAT_SYMMETRIC && to->family == 4)
            port = (uint16_t)(SIM_PORT_MIN + sim_prf_below(prf, SIM_PRF_NAT, site, 1, n->drawn++,
                                                           65536 - SIM_PORT_MIN));
        *f = (struct sim_flow){.remote = remote, .port = port};
    }
    f->out_at = at;
    return f->port;
}

bool sim_nat_in(const struct sim_nat *n, usec_t now, const struct path *from, uint16_t port,
                uint16_t own_port)
{
    uint32_t at = (uint32_t)(now >> 10), remote = remote_of(n, from);
    if ((n->kind != SIM_NAT_SYMMETRIC || from->family != 4) && port != own_port)
        return false;
    for (uint32_t i = 0; i < n->flows; i++)
        if (n->flow[i].remote == remote && n->flow[i].port == port && open_at(n, &n->flow[i], at))
            return true;
    return false;
}

bool sim_nat_can_meet(enum sim_nat_kind a, enum sim_nat_kind b)
{
    // A symmetric one's port towards the other is one that the other never heard of: fine where the
    // other does not filter by port, or has no filter.
    if (a == SIM_NAT_SYMMETRIC)
        return b < SIM_NAT_PORT_RESTRICTED;
    return b != SIM_NAT_SYMMETRIC || a < SIM_NAT_PORT_RESTRICTED;
}
