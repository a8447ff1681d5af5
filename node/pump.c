// Carries what the layers below reported to those above: the DHT's events to meet, meet's channels to
// conversations, the channels' cids and fates back.
#include "node/node_internal.h"

#include <assert.h>
#include <sodium.h>

void node_touch(struct node *n, struct conversation *c)
{
    c->ready = true;
    c->dirty = true;
    node_rearm(n, c);
}

void node_rearm(struct node *n, struct conversation *c)
{
    usec_t channel = channel_deadline(c->channel), reunion = reunion_deadline(&c->reunion);
    usec_t first = channel < reunion ? channel : reunion;
    heap_set(&n->heap, &c->timer, c->reroute.until < first ? c->reroute.until : first);
}

void node_free_conversation(struct node *n, usec_t now, struct conversation *c)
{
    struct encounter *e = node_find_encounter(n, c->encounter);
    if (e != NULL && e->talk == c)
        e->talk = NULL;
    node_punch_end(n, now, c);
    cids_drop_owner(&n->cids, (uint16_t)(c->index + 1));
    heap_remove(&n->heap, &c->timer);
    n->busy->conversation[c->index] = NULL;
    n->conversations--;
    conversation_free(c, n->cfg.arena);
}

void node_warn(struct node *n, const char *code, const char *text)
{
    for (uint32_t i = 0; i < n->warnings; i++)
        if (strcmp(n->busy->warning[i].code, code) == 0)
            return;
    if (n->warnings < NODE_WARNINGS_MAX && node_busy(n))
        n->busy->warning[n->warnings++] = (struct warning){code, text};
}

// A free index for a conversation. When all are taken, one that only says goodbye makes room, or one
// that never came about: nobody has to listen for that.
static int conversation_slot(struct node *n, usec_t now)
{
    int lingering = -1;
    for (int i = 0; i < (int)NODE_CONVERSATIONS_MAX; i++) {
        if (n->busy->conversation[i] == NULL)
            return i;
        const struct conversation *c = n->busy->conversation[i];
        if ((c->ending || (c->closed && !c->matched)) && lingering < 0)
            lingering = i;
    }
    if (lingering >= 0)
        node_free_conversation(n, now, n->busy->conversation[lingering]);
    return lingering;
}

bool node_cids(struct node *n)
{
    if (n->cids.slot != NULL)
        return true;
    n->cids.slot = arena_take(n->cfg.arena, NODE_CID_SLOTS * sizeof *n->cids.slot);
    n->cids.slots = n->cids.slot != NULL ? NODE_CID_SLOTS : 0;
    n->cids.used_max = NODE_CIDS_MAX;
    return n->cids.slot != NULL;
}

static void open_channel(struct node *n, usec_t now, const struct meet_event *m)
{
    struct encounter *e = node_find_encounter(n, m->encounter);
    struct conversation *c = NULL;
    struct channel_config cfg = *m->channel;
    cfg.rng = n->cfg.rng;
    if (cfg.late != 0 || uplink_only(n))
        cfg.patience_us = NODE_RELAYED_PATIENCE_US;
    bool punch = node_punch_plan(n, now, &cfg);
    int at = e != NULL && e->talk == NULL && node_cids(n) ? conversation_slot(n, now) : -1;
    int rc = at >= 0 ? conversation_new(&c, now, &cfg, n->cfg.arena) : BAUTA_ELIMIT;
    if (rc != BAUTA_OK) {
        sodium_memzero(&cfg, sizeof cfg);
        meet_channel_failed(n->meet, now, m->encounter);
        return;
    }
    c->index = (uint16_t)at;
    c->encounter = m->encounter;
    c->topic = m->topic;
    memcpy(c->peer, m->peer, sizeof c->peer);
    n->busy->conversation[at] = c;
    n->conversations++;
    uplink_conversation(n, now, c, &cfg);
    e->talk = c;
    if (punch)
        node_punch_begin(n, now, c, &cfg);
    c->unsearched = !punch && node_punch_busy(n, &cfg);
    channel_cover(c->channel, now, e->cover);
    alias_of(e->alias, c->peer);
    sodium_memzero(&cfg, sizeof cfg);
    node_touch(n, c);
}

static void on_meet(struct node *n, usec_t now, const struct meet_event *m)
{
    struct encounter *e = node_find_encounter(n, m->encounter);
    switch (m->kind) {
    case MEET_CHANNEL:
        open_channel(n, now, m);
        return;
    case MEET_PROGRESS:
        if (e != NULL) {
            e->tell_progress = true;
            e->stage = m->stage;
        }
        return;
    case MEET_WARNING:
        node_warn(n, m->code,
                  strcmp(m->code, "no_introducer") == 0
                      ? "No other computer can introduce you yet. Waiting for one."
                      : "Something stands in the way of finding somebody.");
        return;
    }
}

static void on_closed(struct node *n, usec_t now, struct conversation *c,
                      const struct channel_event *ev)
{
    if (!c->peer_left)
        c->reason = ev->reason;
    c->closed = true;
    c->news = true;
    node_punch_end(n, now, c);
    reunion_end(n, now, c);
    uplink_conversation_over(n, now, c);
    heap_set(&n->heap, &c->timer, USEC_NEVER);
    if (ev->reason == CHANNEL_ENDED_MIDDLE)
        node_warn(n, "middle",
                  "Somebody tried to sit between you and the other. The connection was closed.");
    struct encounter *e = node_find_encounter(n, c->encounter);
    if (!c->matched && e != NULL && e->talk == c) {
        e->talk = NULL;
        if (ev->reason == CHANNEL_ENDED_MIDDLE || ev->reason == CHANNEL_ENDED_PROTOCOL)
            meet_channel_matched(n->meet, now, c->encounter); // not bad luck: never again
        if (c->unsearched && ev->reason == CHANNEL_ENDED_NO_PATH)
            meet_channel_busy(n->meet, now, c->encounter);
        else
            meet_channel_failed(n->meet, now, c->encounter);
    }
}

// Where a peer that hides its address could be besides. False: it said something else.
static bool take_points(struct conversation *c, const uint8_t *data, size_t len)
{
    struct rd r = rd_init(data, len);
    uint8_t head = rd_u8(&r), count = head & (uint8_t)~UPLINK_POINTS;
    struct path point[UPLINK_POINTS_MAX];
    static_assert(sizeof point == sizeof c->point, "all fit");
    if ((head & UPLINK_POINTS) == 0)
        return false;
    for (unsigned i = 0; i < count && i < UPLINK_POINTS_MAX; i++)
        path_get(&r, &point[i]);
    if (r.bad || r.left != 0 || count > UPLINK_POINTS_MAX)
        return true; // nonsense harms only who said it
    memcpy(c->point, point, count * sizeof *point);
    c->points = count;
    return true;
}

void node_points(struct node *n, usec_t now)
{
    uint8_t out[UPLINK_POINTS_BYTES_MAX];
    size_t len = uplink_points(n, out);
    for (uint32_t i = 0; len > 0 && n->conversations > 0 && i < NODE_CONVERSATIONS_MAX; i++) {
        struct conversation *c = n->busy->conversation[i];
        if (c == NULL || !c->matched || c->ending || c->closed)
            continue;
        reroute_step(n, now, c);
        if (!c->relayed)
            continue;
        (void)channel_meeting(c->channel, out, len);
        node_touch(n, c);
    }
}

static void on_channel(struct node *n, usec_t now, struct conversation *c,
                       const struct channel_event *ev)
{
    struct encounter *e = node_find_encounter(n, c->encounter);
    switch (ev->kind) {
    case CHANNEL_CID_ADD:
        if (!cids_add(&n->cids, ev->cid, (uint16_t)(c->index + 1), ev->phase))
            channel_close(c->channel, now,
                          0); // the table is sized for all: only a broken random source gets here
        return;
    case CHANNEL_CID_DROP:
        cids_drop(&n->cids, ev->cid);
        return;
    case CHANNEL_HEARD:
        if (e != NULL && e->talk == c)
            meet_channel_heard(n->meet, now, c->encounter);
        return;
    case CHANNEL_PATH:
        c->path = ev->path;
        c->far = !ev->direct;
        node_punch_path(n, now, c);
        reroute_step(n, now, c);
        return;
    case CHANNEL_MATCHED:
        c->matched = true;
        c->news = true;
        c->tell_matched = !c->ending;
        (void)channel_words(c->channel, c->words);
        node_punch_path(n, now, c);
        if (e != NULL && e->talk == c) {
            e->state = ENCOUNTER_TALKING;
            meet_channel_matched(n->meet, now, c->encounter);
        }
        reunion_matched(n, now, c);
        node_points(n, now);
        return;
    case CHANNEL_CLOSED:
        on_closed(n, now, c, ev);
        return;
    case CHANNEL_READABLE: // node_event reads on demand, so that credit stops when nobody listens
        c->news = true;
        return;
    case CHANNEL_WRITABLE: // talk goes on reading when its receipts have room again
        c->news = true;
        conversation_flush(c, now);
        return;
    case CHANNEL_READY:
        return;
    case CHANNEL_MEETING:
        if (!take_points(c, ev->data, ev->len))
            reunion_meeting(c, ev->data, ev->len);
        return;
    case CHANNEL_LOST:
        uplink_conversation_lost(n, now, c);
        reunion_lost(n, now, c);
        return;
    case CHANNEL_FOUND:
        reunion_found(n, now, c);
        return;
    }
}

static bool pump_channels(struct node *n, usec_t now)
{
    bool any = false;
    for (uint32_t i = 0, seen = 0; seen < n->conversations && i < NODE_CONVERSATIONS_MAX; i++) {
        struct conversation *c = n->busy->conversation[i];
        if (c == NULL)
            continue;
        seen++;
        if (!c->dirty)
            continue;
        c->dirty = false;
        any = true;
        struct channel_event ev;
        while (channel_event(c->channel, &ev))
            on_channel(n, now, c, &ev);
        if (!c->closed)
            node_rearm(n, c);
    }
    return any;
}

static void on_dht(struct node *n, usec_t now, const struct dht_event *d)
{
    if (n->relaying != NULL && relaying_dht_event(n, now, d))
        return;
    if (d->kind == DHT_OPEN) {
        dht_open_refuse(n->dht, now, d->id);
        return;
    }
    if (uplink_dht_event(n, now, d))
        return;
    if (d->user < REUNION_USER) {
        meet_dht_event(n->meet, now, d);
        return;
    }
    // Its ids decide: another conversation may have the index by now.
    uint32_t at = d->user - REUNION_USER;
    struct conversation *c =
        n->busy != NULL && at < NODE_CONVERSATIONS_MAX ? n->busy->conversation[at] : NULL;
    if (c == NULL)
        return;
    reunion_dht_event(n, now, c, d);
    if (!c->closed)
        node_touch(n, c);
}

void node_pump(struct node *n, usec_t now)
{
    bool again;
    do {
        struct dht_event d;
        struct meet_event m;
        again = false;
        while (dht_event(n->dht, &d)) {
            on_dht(n, now, &d);
            again = true;
        }
        while (meet_event(n->meet, &m)) {
            on_meet(n, now, &m);
            again = true;
        }
        again = pump_channels(n, now) || again;
        again = uplink_pump(n, now) || again;
    } while (again);
}
