// The node's search for a path (punch.h): which conversation has it, the sockets that it opened, its datagrams.
#include "dht/path.h"
#include "node/node_internal.h"

// The address that others see the peer at: that of the introducer first.
static const struct path *outside(const struct node *n, const struct channel_config *cfg)
{
    const struct path *first = NULL;
    for (unsigned i = 0; i < cfg->candidates; i++) {
        const struct path *p = &cfg->candidate[i];
        bool relay = p->via != VIA_UDP || (cfg->late >> i & 1u) != 0;
        if (relay || p->family != 4 || !path_reachable(p, n->cfg.lab))
            continue;
        if (i == cfg->observed)
            return p;
        first = first == NULL ? p : first;
    }
    return first;
}

static struct punch *punch_of(struct node *n)
{
    struct busy *b = n->busy;
    if (b->punch == NULL)
        b->punch = arena_take(n->cfg.arena, sizeof *b->punch);
    return b->punch;
}

// Conversations keep the socket that opened their path.
static bool number_used(const struct node *n, uint32_t first)
{
    for (uint32_t i = 0; i < NODE_CONVERSATIONS_MAX; i++) {
        const struct conversation *c = n->busy->conversation[i];
        uint32_t k = c != NULL ? c->socket & ~VIA_SOCKET : 0;
        if (k >= first && k < first + PUNCH_SOCKETS)
            return true;
    }
    return false;
}

static uint32_t next_numbers(const struct node *n)
{
    static_assert(NODE_CONVERSATIONS_MAX < PUNCH_SOCKET_NUMBERS / PUNCH_SOCKETS, "some are free");
    uint32_t first = n->busy->punch->first;
    do
        first = first < PUNCH_SOCKET_FIRST ||
                        first + PUNCH_SOCKETS >= PUNCH_SOCKET_FIRST + PUNCH_SOCKET_NUMBERS
                    ? PUNCH_SOCKET_FIRST
                    : first + PUNCH_SOCKETS;
    while (number_used(n, first));
    return first;
}

static usec_t wait_of(const struct channel_config *cfg)
{
    usec_t wait = cfg->rtt_hint_us + PUNCH_WAIT_MORE_US;
    wait = wait > PUNCH_WAIT_US_MIN ? wait : PUNCH_WAIT_US_MIN;
    return wait < PUNCH_WAIT_US_MAX ? wait : PUNCH_WAIT_US_MAX;
}

bool node_punch_plan(struct node *n, usec_t now, struct channel_config *cfg)
{
    enum punch_role role = punch_role(cfg->nat_own, cfg->nat_peer, cfg->initiator);
    const struct path *to = outside(n, cfg);
    if (n->busy == NULL || role == PUNCH_NONE || to == NULL || n->cfg.privacy != NODE_DIRECT ||
        n->busy->punch_owner != 0 || punch_of(n) == NULL || n->busy->punch->opened > 0 ||
        !punch_may(n->busy->punch, now, to))
        return false;
    usec_t patience = wait_of(cfg) + PUNCH_US + PUNCH_LAST_US;
    cfg->patience_us = cfg->patience_us > patience ? cfg->patience_us : patience;
    return true;
}

bool node_punch_busy(const struct node *n, const struct channel_config *cfg)
{
    bool busy = cfg->nat_own == CHANNEL_NAT_BUSY || cfg->nat_peer == CHANNEL_NAT_BUSY;
    return busy && n->cfg.privacy == NODE_DIRECT && outside(n, cfg) != NULL;
}

void node_punch_begin(struct node *n, usec_t now, const struct conversation *c,
                      const struct channel_config *cfg)
{
    enum punch_role role = punch_role(cfg->nat_own, cfg->nat_peer, cfg->initiator);
    n->busy->punch_owner = (uint16_t)(c->index + 1);
    punch_begin(n->busy->punch, now + wait_of(cfg), role, outside(n, cfg), cfg->step_peer,
                next_numbers(n), &n->cfg.rng);
    node_punch_privacy(n);
}

static void stop(struct node *n, usec_t now)
{
    punch_stop(n->busy->punch, now);
    node_punch_privacy(n);
}

void node_punch_privacy(struct node *n)
{
    const struct punch *p = n->busy != NULL ? n->busy->punch : NULL;
    usec_t at = p == NULL ? 0 : p->role == PUNCH_NONE ? p->quiet_until : USEC_NEVER;
    meet_search_at(n->meet, n->cfg.privacy == NODE_DIRECT ? at : USEC_NEVER);
}

// The sockets that are open still. Without memory: in a later call.
static void close_sockets(struct node *n)
{
    struct punch *p = n->busy->punch;
    for (; p->opened > 0; p->opened--) {
        uint32_t via = VIA_SOCKET | (p->first + p->opened - 1);
        if (via != p->kept && !node_via_close(n, via))
            return;
    }
}

// Ends its search; all sockets but `keep` are closed.
static void settle(struct node *n, usec_t now, struct conversation *c, uint32_t keep)
{
    struct punch *p = n->busy->punch;
    stop(n, now);
    n->busy->punch_owner = 0;
    p->kept = keep;
    if (keep >= (VIA_SOCKET | p->first) && keep < (VIA_SOCKET | (p->first + p->opened)))
        c->socket = keep;
    close_sockets(n);
}

// Up to the first step the other end may still settle on another of the paths that have opened.
void node_punch_path(struct node *n, usec_t now, struct conversation *c)
{
    // Direct is better than a relay.
    if (n->busy->punch_owner != c->index + 1u || c->path.family == 0 || c->far)
        return;
    stop(n, now);
    if (!c->matched)
        return;
    settle(n, now, c, c->path.via);
    channel_drop_sockets(c->channel);
}

void node_punch_end(struct node *n, usec_t now, struct conversation *c)
{
    if (n->busy->punch_owner == c->index + 1u)
        settle(n, now, c, 0);
    if (c->socket != 0)
        (void)node_via_close(n, c->socket);
    c->socket = 0;
}

static bool searches(const struct node *n)
{
    return n->busy != NULL && n->busy->punch_owner != 0;
}

void node_punch_stop(struct node *n, usec_t now)
{
    if (!searches(n) || n->busy->punch->role == PUNCH_NONE)
        return;
    struct conversation *c = n->busy->conversation[n->busy->punch_owner - 1];
    stop(n, now);
    if (c->path.family == 0)
        return; // its channel ends, and then the sockets do
    settle(n, now, c, 0);
    channel_drop_sockets(c->channel);
}

void node_punch_expire(struct node *n, usec_t now)
{
    if (n->busy != NULL && n->busy->punch_owner == 0 && n->busy->punch != NULL)
        close_sockets(n);
    if (searches(n) && punch_over(n->busy->punch, now))
        node_punch_stop(n, now);
}

usec_t node_punch_deadline(const struct node *n)
{
    return searches(n) ? punch_deadline(n->busy->punch) : USEC_NEVER;
}

size_t node_punch_transmit(struct node *n, usec_t now, uint8_t *buf, size_t cap,
                           struct batch *batch, size_t max)
{
    size_t k = 0;
    struct path to;
    uint8_t ttl;
    if (!searches(n))
        return 0;
    const struct conversation *c = n->busy->conversation[n->busy->punch_owner - 1];
    while (k < max && cap - k * CLASS_TINY >= CLASS_TINY &&
           punch_next(n->busy->punch, now, &to, &ttl)) {
        if (!channel_probe(c->channel, now, &to, ttl, buf + k * CLASS_TINY, &batch[k]))
            break;
        dht_contacted(n->dht, &to);
        k++;
    }
    return k;
}
