#include "node/reroute.h"

#include "crypto/bytes.h"
#include "node/node_internal.h"

void reroute_init(struct reroute *r)
{
    *r = (struct reroute){.until = USEC_NEVER};
}

bool reroute_hides(const struct conversation *c)
{
    const struct reroute *r = &c->reroute;
    bool agreed = r->until != USEC_NEVER && r->wants == TALK_PATH_RELAYED;
    return !c->closed && !c->ending && (c->relayed || agreed);
}

static void say(struct node *n, usec_t now, struct conversation *c, const uint8_t *at, size_t len)
{
    (void)talk_path(c->talk, c->reroute.wants, at, len);
    conversation_flush(c, now);
    node_touch(n, c);
}

static void over(struct conversation *c)
{
    reroute_init(&c->reroute);
    c->reroute.tell_now = c->news = true;
}

// ---- where we are -----------------------------------------------------------------------------------

static const struct uplink_line *line_of(const struct node *n)
{
    const struct uplink_line *l = n->uplink != NULL ? &n->uplink->line[uplink_talk_slot(n)] : NULL;
    return l != NULL && uplink_is_open(l) ? l : NULL;
}

// As servers see us; who hides the address from those, as the own relay does.
static void seen_now(const struct node *n, struct path seen[static 2])
{
    memset(seen, 0, 2 * sizeof *seen);
    for (unsigned f = 0; f < 2 && !uplink_only(n); f++) {
        struct dht_reach reach;
        dht_reach(n->dht, f == 0 ? 4 : 6, &reach);
        seen[f] = reach.seen;
    }
    for (unsigned i = 0; n->uplink != NULL && i < UPLINK_SLOTS; i++) {
        const struct uplink_line *l = &n->uplink->line[i];
        const struct path *p = uplink_is_open(l) ? &l->tunnel->seen : NULL;
        if (p != NULL && p->family != 0 && seen[p->family == 4 ? 0 : 1].family == 0)
            seen[p->family == 4 ? 0 : 1] = *p;
    }
}

static bool tell_direct(struct node *n, struct wr *w)
{
    struct path seen[2];
    struct meet_candidates own;
    seen_now(n, seen);
    meet_candidates_bare(n->meet, seen, &own);
    for (unsigned i = 0; i < own.count; i++)
        path_put(w, &own.path[i]);
    return true;
}

// False: no exit is known yet.
static bool tell_exits(const struct node *n, struct wr *w)
{
    const struct uplink_line *l = line_of(n);
    for (unsigned f = 0; l != NULL && f < 2; f++)
        if (l->exit[f].family != 0)
            path_put(w, &l->exit[f]);
    return wr_len(w) > 0;
}

static void tell(struct node *n, usec_t now, struct conversation *c)
{
    struct reroute *r = &c->reroute;
    uint8_t at[TALK_AT_BYTES_MAX];
    struct wr w = wr_init(at, sizeof at);
    if (r->told)
        return;
    r->told = r->wants == TALK_PATH_DIRECT ? tell_direct(n, &w) : tell_exits(n, &w);
    if (r->told)
        say(n, now, c, at, w.bad ? 0 : wr_len(&w));
}

// ---- where they are ---------------------------------------------------------------------------------

static void probe_direct(struct node *n, usec_t now, struct conversation *c)
{
    struct reroute *r = &c->reroute;
    struct meet_candidates theirs = {.observed = true, .count = r->count};
    struct path seen[2];
    memcpy(theirs.path, r->path, sizeof theirs.path);
    seen_now(n, seen);
    meet_candidates_take(n->meet, now, &theirs, seen);
    for (unsigned i = 0; i < theirs.count; i++)
        theirs.path[i].via = VIA_UDP;
    channel_candidates(c->channel, now, theirs.path, theirs.count);
    r->count = 0;
}

// Their exits, which our relay asks whether they want our datagrams.
static void probe_relayed(struct node *n, usec_t now, struct conversation *c)
{
    struct reroute *r = &c->reroute;
    const struct uplink_line *l = line_of(n);
    if (l == NULL || !r->told)
        return;
    c->points = 0;
    for (unsigned i = 0; i < r->count && c->points < sizeof c->point / sizeof *c->point; i++)
        c->point[c->points++] = r->path[i];
    channel_prefer_far(c->channel, true);
    tunnel_consent(l->tunnel, now, c->consent.key, r->path, r->count);
    l->tunnel->ready = l->tunnel->dirty = true;
    // Those that were let in before are not asked again.
    for (unsigned i = 0; i < r->count; i++)
        r->path[i].via = l->tunnel->cfg.via;
    channel_candidates(c->channel, now, r->path, r->count);
    r->count = 0;
}

static void probe(struct node *n, usec_t now, struct conversation *c)
{
    if (c->reroute.count == 0)
        return;
    if (c->reroute.wants == TALK_PATH_DIRECT)
        probe_direct(n, now, c);
    else
        probe_relayed(n, now, c);
    node_touch(n, c);
}

// ---- agreed -----------------------------------------------------------------------------------------

static bool arrived(const struct conversation *c)
{
    bool tunnelled = c->path.via != VIA_NONE && (c->path.via & VIA_TUNNEL) != 0;
    if (c->reroute.wants == TALK_PATH_DIRECT)
        return !tunnelled && !c->far;
    bool exit = false;
    for (unsigned i = 0; i < c->points; i++)
        exit = exit || (c->point[i].family == c->path.family && c->point[i].port == c->path.port &&
                        memcmp(c->point[i].ip, c->path.ip, sizeof c->path.ip) == 0);
    return tunnelled && exit;
}

static void settle(struct node *n, usec_t now, struct conversation *c)
{
    bool hides = c->reroute.wants == TALK_PATH_RELAYED;
    c->relayed = hides;
    over(c);
    channel_prefer_far(c->channel, hides);
    if (hides) {
        reunion_end(n, now, c);
        node_punch_end(n, now, c);
        channel_drop_near(c->channel);
        node_points(n, now);
    } else {
        reunion_matched(n, now, c);
    }
    node_touch(n, c);
}

void reroute_step(struct node *n, usec_t now, struct conversation *c)
{
    if (c->reroute.until == USEC_NEVER || c->closed || c->ending)
        return;
    tell(n, now, c);
    probe(n, now, c);
    if (c->reroute.told && arrived(c))
        settle(n, now, c);
}

static void begin(struct node *n, usec_t now, struct conversation *c)
{
    struct reroute *r = &c->reroute;
    if (r->wants != r->theirs || r->wants == TALK_PATH_ANY)
        return;
    if (r->until == USEC_NEVER) {
        r->until = now + NODE_REROUTE_US;
        r->hid = c->relayed;
        r->told = false;
        c->relayed = c->relayed && r->wants == TALK_PATH_RELAYED;
        uplink_step(n, now);
    }
    reroute_step(n, now, c);
}

void reroute_expire(struct node *n, usec_t now, struct conversation *c)
{
    struct reroute *r = &c->reroute;
    if (r->until > now)
        return;
    if (c->closed || c->ending) {
        reroute_init(r);
        return;
    }
    c->relayed = r->hid;
    channel_prefer_far(c->channel, r->hid);
    if (r->hid)
        channel_drop_near(c->channel);
    r->wants = TALK_PATH_ANY;
    say(n, now, c, NULL, 0);
    over(c);
    node_warn(n, "path", "No such way to the other was found. The conversation goes on as it did.");
}

// ---- asking -----------------------------------------------------------------------------------------

int reroute_ask(struct node *n, usec_t now, struct conversation *c, enum talk_path wants)
{
    struct reroute *r = &c->reroute;
    bool udp = !n->cfg.tcp_only && !n->udp_blocked;
    if (wants == TALK_PATH_DIRECT && !udp)
        return NODE_EPATH;
    if (r->until != USEC_NEVER) // both have asked: it is under way
        return BAUTA_OK;
    r->wants = wants;
    if (r->theirs != wants)
        say(n, now, c, NULL, 0);
    begin(n, now, c);
    return BAUTA_OK;
}

void reroute_heard(struct node *n, usec_t now, struct conversation *c, enum talk_path theirs,
                   const uint8_t *at, size_t len)
{
    struct reroute *r = &c->reroute;
    struct rd rd = rd_init(at, len);
    uint8_t count = 0;
    struct path path[CHANNEL_CANDIDATES_MAX];
    if (c->closed || c->ending || c->peer_left)
        return;
    while (rd.left > 0 && !rd.bad && count < CHANNEL_CANDIDATES_MAX)
        path_get(&rd, &path[count++]);
    if (rd.bad || rd.left > 0)
        count = 0; // nonsense harms only who said it
    if (r->until != USEC_NEVER && theirs != r->wants)
        return; // it has given up before us; we do, too, when our time is over
    if (r->theirs != theirs && r->wants != theirs && theirs != TALK_PATH_ANY)
        r->tell_wanted = c->news = true;
    r->theirs = theirs;
    if (r->wants == theirs && count > 0) {
        memcpy(r->path, path, count * sizeof *path);
        r->count = count;
    }
    begin(n, now, c);
}
