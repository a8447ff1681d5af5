#include "node/punch.h"

#include <assert.h>
#include <string.h>

#define PORTS (65536u - PUNCH_PORT_MIN)

// How hard it is for others to know an outside port.
static unsigned hard(enum channel_nat n)
{
    return n < CHANNEL_NAT_PRESERVING ? 0 : (unsigned)(n - CHANNEL_NAT_PRESERVING) + 1;
}

enum punch_role punch_role(enum channel_nat own, enum channel_nat peer, bool initiator)
{
    // Probes to where servers see the other do where both keep their ports; and where neither port can be known,
    // nothing does. A preserved port is as good as one that is kept.
    unsigned a = hard(own), b = hard(peer);
    if (own == CHANNEL_NAT_BUSY || peer == CHANNEL_NAT_BUSY || (a == 0 && b == 0) ||
        (a > 1 && b > 1))
        return PUNCH_NONE;
    if (a == b)
        return initiator ? PUNCH_MANY : PUNCH_ONE;
    return a > b ? PUNCH_MANY : PUNCH_ONE;
}

bool punch_may(const struct punch *p, usec_t now, const struct path *to)
{
    if (p->role != PUNCH_NONE || now < p->quiet_until || to->family != 4 || to->via != VIA_UDP ||
        to->port < PUNCH_PORT_MIN)
        return false;
    for (unsigned i = 0; i < PUNCH_SEARCHED_MAX; i++)
        if (now < p->searched[i].until && p->searched[i].probes > PUNCH_AGAIN_PROBES &&
            memcmp(p->searched[i].ip, to->ip, 4) == 0)
            return false;
    return true;
}

// The i-th number of a random order of all of 16 bits: a Feistel network.
static uint32_t shuffled(uint64_t key, uint32_t i)
{
    uint32_t left = i >> 8 & 0xffu, right = i & 0xffu;
    for (unsigned round = 0; round < 4; round++) {
        uint32_t mixed = (right + 1) * ((uint32_t)(key >> 16 * round) | 0x10001u) * 0x9e3779b1u;
        uint32_t next = left ^ mixed >> 24;
        left = right;
        right = next;
    }
    return left << 8 | right;
}

// Each port comes once.
static uint32_t next_port(struct punch *p)
{
    uint32_t at;
    do
        at = shuffled(p->key, p->drawn++);
    while (at >= PORTS);
    return at;
}

void punch_begin(struct punch *p, usec_t at, enum punch_role role, const struct path *to,
                 int8_t step, uint32_t first, const struct rng *rng)
{
    assert(role != PUNCH_NONE);
    p->role = role;
    p->to = *to;
    p->step = step;
    p->next_at = at;
    p->end_at = at + PUNCH_US;
    p->sent = p->opened = p->drawn = 0;
    p->key = rng_u64(rng);
    p->first = first;
}

// The address counts as searched from its first probe on.
static void remember(struct punch *p, usec_t now)
{
    for (unsigned i = 0; i < PUNCH_SEARCHED_MAX; i++)
        if (now < p->searched[i].until && memcmp(p->searched[i].ip, p->to.ip, 4) == 0) {
            p->now_searched = (uint8_t)i;
            return;
        }
    p->now_searched = p->next_searched;
    p->next_searched = (uint8_t)((p->next_searched + 1) % PUNCH_SEARCHED_MAX);
    memcpy(p->searched[p->now_searched].ip, p->to.ip, 4);
    p->searched[p->now_searched].until = now + PUNCH_AGAIN_US;
    p->searched[p->now_searched].probes = 0;
}

// Who was kept from its turn makes up for a little of it.
static void pace(struct punch *p, usec_t now, usec_t gap)
{
    usec_t late = gap * PUNCH_BURST;
    p->next_at += gap;
    if (p->next_at + late < now)
        p->next_at = now - late;
}

static bool next_of_many(struct punch *p, usec_t now, struct path *to, uint8_t *ttl)
{
    uint32_t round = p->sent / PUNCH_SOCKETS, at = p->sent % PUNCH_SOCKETS;
    if (round == PUNCH_ROUNDS)
        return false;
    *to = p->to;
    to->via = VIA_SOCKET | (p->first + at);
    *ttl = round == 0 ? PUNCH_OPENER_TTL : 0;
    p->sent++;
    if (p->opened < PUNCH_SOCKETS)
        p->opened++;
    pace(p, now, PUNCH_OPENER_GAP_US);
    if (at + 1 == PUNCH_SOCKETS)
        p->next_at = round + 1 < PUNCH_ROUNDS ? now + PUNCH_ROUND_US : USEC_NEVER;
    return true;
}

// The sockets of the other have as many ports in a row, from somewhere above the one that is known: one of each
// PUNCH_STEP_STRIDE of them is tried.
static uint32_t step_port(const struct punch *p)
{
    int32_t k = (int32_t)(p->sent / 2 % PUNCH_STEPS + 1) * (int32_t)PUNCH_STEP_STRIDE;
    int32_t at = (int32_t)(p->to.port - PUNCH_PORT_MIN) + p->step * k;
    return (uint32_t)((at % (int32_t)PORTS + (int32_t)PORTS) % (int32_t)PORTS);
}

static bool next_of_one(struct punch *p, usec_t now, struct path *to, uint8_t *ttl)
{
    if (p->sent == PUNCH_PROBES_MAX)
        return false;
    *to = p->to;
    *ttl = 0;
    bool regular =
        p->step != 0 && p->sent < 2 * PUNCH_STEPS * PUNCH_STEP_ROUNDS && p->sent % 2 == 0;
    uint32_t at = regular ? step_port(p) : next_port(p);
    to->port = (uint16_t)(PUNCH_PORT_MIN + at);
    p->sent++;
    pace(p, now, PUNCH_PROBE_GAP_US);
    if (p->sent == PUNCH_PROBES_MAX)
        p->next_at = USEC_NEVER;
    return true;
}

bool punch_next(struct punch *p, usec_t now, struct path *to, uint8_t *ttl)
{
    if (p->role == PUNCH_NONE || now < p->next_at || now >= p->end_at)
        return false;
    if (p->sent == 0)
        remember(p, now);
    bool any = p->role == PUNCH_MANY ? next_of_many(p, now, to, ttl) : next_of_one(p, now, to, ttl);
    p->searched[p->now_searched].probes += any;
    return any;
}

usec_t punch_deadline(const struct punch *p)
{
    if (p->role == PUNCH_NONE)
        return USEC_NEVER;
    return p->next_at < p->end_at ? p->next_at : p->end_at;
}

bool punch_over(const struct punch *p, usec_t now)
{
    return p->role != PUNCH_NONE && now >= p->end_at;
}

bool punch_forgotten(const struct punch *p, usec_t now)
{
    bool any = p->role != PUNCH_NONE || p->opened > 0 || now < p->quiet_until;
    for (unsigned i = 0; i < PUNCH_SEARCHED_MAX; i++)
        any = any || now < p->searched[i].until;
    return !any;
}

void punch_stop(struct punch *p, usec_t now)
{
    if (p->role == PUNCH_NONE)
        return;
    p->role = PUNCH_NONE;
    p->next_at = p->end_at = USEC_NEVER;
    if (p->sent > 0) // else the ordinary probes found a path before it began
        p->quiet_until = now + PUNCH_PAUSE_US;
}
