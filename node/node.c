#include "node/node_internal.h"

#include <assert.h>
#include <sodium.h>

// ---- life ---------------------------------------------------------------------------------------

int node_new(struct node **out, usec_t now, const struct node_config *cfg)
{
    struct net net;
    int rc = net_init(&net, cfg->network != NULL ? cfg->network : NODE_NETWORK_DEFAULT);
    if (rc != BAUTA_OK)
        return rc;
    struct node *n = arena_take(cfg->arena, sizeof *n);
    if (n == NULL)
        return BAUTA_ESPACE;
    n->cfg = *cfg;
    n->cfg.network = NULL; // the caller's string; `net` holds the name
    n->net = net;
    n->started_us = now;
    hairpin_restart(&n->hairpin, now);
    rng_fill(&cfg->rng, n->recv_mask, sizeof n->recv_mask);

    struct dht_config d = {
        .net = net,
        .rng = cfg->rng,
        .arena = cfg->arena,
        .out = cfg->out,
        .book = cfg->book,
        .records = cfg->records,
        .puzzle_bits = cfg->puzzle_bits,
        .server = cfg->server,
        .listed = cfg->listed,
        .keep_contacts = cfg->keep_contacts,
        .opens = cfg->relay,
        .lab = cfg->lab,
        .prefix_limits = cfg->prefix_limits,
        .store_bytes_max =
            cfg->store_bytes_max != 0 ? cfg->store_bytes_max : NODE_STORE_BYTES_DEFAULT,
    };
    memcpy(d.secret, cfg->secret, sizeof d.secret);
    memcpy(d.puzzle_nonce, cfg->puzzle_nonce, sizeof d.puzzle_nonce);
    rc = dht_init(&n->dht, &d);
    sodium_memzero(&d, sizeof d);
    if (rc == BAUTA_OK) {
        struct meet_config m = {.net = net,
                                .rng = cfg->rng,
                                .arena = cfg->arena,
                                .dht = n->dht,
                                .lab = cfg->lab,
                                .aes_hardware = cfg->aes_hardware};
        memcpy(m.local_mask, n->recv_mask, sizeof m.local_mask);
        rc = meet_new(&n->meet, &m);
    }
    if (rc == BAUTA_OK)
        rc = cfg->relay ? relaying_new(n, now) : BAUTA_OK;
    if (rc == BAUTA_OK && !cfg->relay)
        uplink_step(n, now);
    if (rc != BAUTA_OK) {
        node_free(n);
        return rc;
    }
    node_punch_privacy(n);
    *out = n;
    return BAUTA_OK;
}

bool node_busy(struct node *n)
{
    if (n->busy == NULL)
        n->busy = arena_take(n->cfg.arena, sizeof *n->busy);
    if (n->busy == NULL)
        return false;
    if (n->heap.entry == NULL)
        n->heap = (struct heap){n->busy->heap_entry, 0, NODE_CONVERSATIONS_MAX};
    return true;
}

void node_rest(struct node *n)
{
    bool tunnels = false;
    for (unsigned i = 0; n->uplink != NULL && i < UPLINK_SLOTS; i++)
        tunnels = tunnels || n->uplink->line[i].tunnel != NULL;
    if (n->conversations == 0 && !tunnels) {
        arena_give(n->cfg.arena, n->cids.slot, n->cids.slots * sizeof *n->cids.slot);
        n->cids = (struct cids){0};
    }
    struct busy *b = n->busy;
    if (b == NULL || n->conversations > 0 || n->encounters > 0 || n->warnings > 0 ||
        (b->punch != NULL && !punch_forgotten(b->punch, n->clock_us)))
        return;
    arena_give(n->cfg.arena, b->punch, sizeof *b->punch);
    arena_give(n->cfg.arena, b, sizeof *b);
    n->busy = NULL;
    n->heap = (struct heap){0};
}

void node_free(struct node *n)
{
    struct arena *arena = n->cfg.arena;
    struct outbox *out = n->cfg.out;
    uint32_t count = out->count; // its last words would leave by the next node's socket
    for (size_t i = 0; n->busy != NULL && i < NODE_CONVERSATIONS_MAX; i++)
        if (n->busy->conversation[i] != NULL)
            node_free_conversation(n, 0, n->busy->conversation[i]);
    for (size_t i = 0; n->busy != NULL && i < MEET_ENCOUNTERS_MAX; i++)
        if (n->busy->encounter[i] != NULL)
            node_free_encounter(n, n->busy->encounter[i]);
    if (n->busy != NULL && n->busy->punch != NULL)
        *n->busy->punch = (struct punch){0}; // nothing that it remembers matters any more
    uplink_free(n, 0);
    relaying_free(n, 0);
    if (n->meet != NULL)
        meet_free(n->meet);
    if (n->dht != NULL)
        dht_free(n->dht);
    arena_give(arena, n->via_closed, n->vias_room * sizeof *n->via_closed);
    n->warnings = 0;
    node_rest(n);
    out->count = count;
    arena_give(arena, n, sizeof *n);
}

void node_clock(struct node *n, usec_t now, int64_t unix_us)
{
    n->clock_us = now;
    n->clock_unix_us = unix_us;
    dht_clock(n->dht, now, unix_us);
    meet_clock(n->meet, now, unix_us);
    if (n->relaying != NULL)
        relaying_clock(n, now, unix_us);
    else if (n->uplink != NULL)
        uplink_clock(n, now, unix_us);
    node_pump(n, now);
}

void node_local_paths(struct node *n, usec_t now, const struct path *path, size_t count)
{
    n->local_families = 0;
    for (size_t i = 0; i < count; i++)
        n->local_families |= path[i].family == 4 ? RELAY_WISH_V4 : RELAY_WISH_V6;
    meet_local_paths(n->meet, path, count);
    dht_local_paths(n->dht, now, path, count);
    hairpin_restart(&n->hairpin, now);
    for (uint32_t i = 0; n->conversations > 0 && i < NODE_CONVERSATIONS_MAX; i++)
        if (n->busy->conversation[i] != NULL && !n->busy->conversation[i]->closed) {
            reunion_moved(n, now, n->busy->conversation[i]);
            node_touch(n, n->busy->conversation[i]);
        }
    uplink_moved(n, now);
    node_pump(n, now);
}

void node_mapped(struct node *n, usec_t now, const struct path *path, size_t count)
{
    meet_mapped_paths(n->meet, path, count);
    node_pump(n, now);
}

int node_bootstrap(struct node *n, usec_t now, const struct contact *c)
{
    int rc = dht_bootstrap(n->dht, now, c);
    uplink_told(n, now);
    node_pump(n, now);
    return rc;
}

int node_serve(struct node *n, usec_t now, const uint8_t secret[static 32],
               const uint8_t puzzle_nonce[static PUZZLE_NONCE_BYTES])
{
    int rc = dht_serve(n->dht, now, secret, puzzle_nonce);
    node_pump(n, now);
    return rc;
}

size_t node_contacts(struct node *n, struct contact *out, size_t max)
{
    return dht_contacts_export(n->dht, out, max);
}

int node_add_contacts(struct node *n, usec_t now, const struct contact *c, size_t count)
{
    int rc = dht_contacts_import(n->dht, now, c, count);
    uplink_told(n, now);
    node_pump(n, now);
    return rc;
}

size_t node_lan_tells(struct node *n, const struct path *own, size_t owns,
                      struct contact out[static LAN_CONTACTS_MAX])
{
    struct contact self;
    size_t k = 0;
    if (!dht_self(n->dht, &self))
        owns = 0;
    for (size_t i = 0; i < owns && k < LAN_CONTACTS_MAX; i++) {
        self.path = own[i];
        if (k == 0 || out[0].path.family != own[i].family) // one of each family
            out[k++] = self;
    }
    if (k > 0)
        return k;
    size_t known = dht_contacts_export(n->dht, out, LAN_CONTACTS_MAX);
    for (size_t i = 0; i < known; i++)
        if (!path_loopback(&out[i].path)) // of a lab on one computer
            out[k++] = out[i];
    return k;
}

void node_lan_hints(struct node *n, usec_t now, const struct contact *c, size_t count)
{
    if (!uplink_only(n)) // they would learn our address
        dht_hints(n->dht, now, c, count);
    node_pump(n, now);
}

bool node_alone(const struct node *n)
{
    return !dht_joined(n->dht);
}

bool node_hides(const struct node *n)
{
    return uplink_only(n);
}

bool node_contact(const struct node *n, const struct path *bound, struct contact *c)
{
    if (!n->cfg.server || !n->cfg.listed)
        return false;
    memset(c, 0, sizeof *c);
    uint8_t sk[32];
    key_pair(c->pk, sk, n->cfg.secret);
    sodium_memzero(sk, sizeof sk);
    memcpy(c->puzzle_nonce, n->cfg.puzzle_nonce, sizeof c->puzzle_nonce);
    c->path = *bound;
    return true;
}

// Who is there? What was handed out last names the server that it is for; or it is for the relay of a tunnel. Last of
// all whoever is known at that address: others may have made that up.
static bool server_at(const struct node *n, const struct path *path, uint8_t pk[static 32])
{
    const struct outbox *o = n->cfg.out;
    for (uint32_t i = o->taken; i > 0; i--)
        if (o->slot[i - 1].to_server && path_equal(&o->slot[i - 1].path, path)) {
            memcpy(pk, o->slot[i - 1].server, 32);
            return true;
        }
    return uplink_relay_at(n, path, pk) || dht_key_at(n->dht, path, pk);
}

bool node_stream_key(const struct node *n, const struct path *path, uint8_t key[static 32])
{
    uint8_t pk[32], sk[32];
    if (path != NULL) {
        if (!server_at(n, path, pk))
            return false;
    } else {
        if (!n->cfg.server)
            return false;
        key_pair(pk, sk, n->cfg.secret);
        sodium_memzero(sk, sizeof sk);
    }
    node_mask_key(key, &n->net, pk);
    return true;
}

// ---- datagrams in ---------------------------------------------------------------------------------

struct arrival { // a buffer on its way in
    struct path path;
    uint8_t ecn;
    struct conversation *c; // had packets out of it, and node_touch is due; NULL: none
    uint8_t cid[CID_BYTES]; // of the last of those
    uint8_t phase;
};

static void settle(struct node *n, usec_t now, struct arrival *a)
{
    if (a->c == NULL)
        return;
    node_touch(n, a->c);
    a->c = NULL;
    node_pump(n, now);
}

// The conversation that a packet belongs to becomes the arrival's. A packet may be under a cid that came
// with the one before it, so what that one did is carried on first.
static bool recognise(struct node *n, usec_t now, struct arrival *a,
                      const uint8_t cid[static CID_BYTES])
{
    if (a->c != NULL && memcmp(a->cid, cid, CID_BYTES) == 0)
        return true;
    const struct cid_slot *slot = cids_find(&n->cids, cid);
    if (a->c != NULL && (slot == NULL || slot->owner != a->c->index + 1u)) {
        settle(n, now, a);
        slot = cids_find(&n->cids, cid);
    }
    if (slot == NULL || slot->owner >= UPLINK_OWNER)
        return false;
    assert(slot->owner <= NODE_CONVERSATIONS_MAX);
    a->c = n->busy->conversation[slot->owner - 1];
    assert(a->c != NULL && a->c->channel != NULL);
    a->phase = slot->phase;
    memcpy(a->cid, cid, CID_BYTES);
    return true;
}

static void receive_request(struct node *n, usec_t now, const struct path *from, uint8_t *data,
                            size_t len)
{
    int rc = dht_receive(n->dht, now, from, data, len);
    n->dropped_unknown += rc == BAUTA_EUNKNOWN;
    if (rc != BAUTA_EUNKNOWN &&
        rc != BAUTA_ELIMIT) // of a flood nothing comes that could be carried on
        node_pump(n, now);
}

static bool is_tunnel(uint32_t via)
{
    return via != VIA_NONE && (via & VIA_TUNNEL) != 0;
}

static void receive_one(struct node *n, usec_t now, struct arrival *a, uint8_t *data, size_t len);

// A packet of one of our tunnels, and what came in it. False: it is none.
static bool receive_tunnel(struct node *n, usec_t now, const struct arrival *a,
                           const uint8_t cid[static CID_BYTES], uint8_t *data, size_t len)
{
    const struct cid_slot *slot = cids_find(&n->cids, cid);
    if (slot == NULL || slot->owner < UPLINK_OWNER)
        return false;
    struct tunnel *t = n->uplink->line[slot->owner - UPLINK_OWNER].tunnel;
    if (t == NULL || !tunnel_comes_by(t, a->path.via)) {
        n->dropped_unknown++;
        return true;
    }
    if (tunnel_receive(t, now, cid, slot->phase, &a->path, a->ecn, data, len) != BAUTA_OK)
        n->dropped_channel++;
    t->ready = t->dirty = true;
    struct arrival inner = {0};
    uint32_t via = t->cfg.via;
    while ((t = uplink_tunnel(n, via)) != NULL && tunnel_datagram(t, &inner.path, &data, &len))
        receive_one(n, now, &inner, data, len);
    settle(n, now, &inner);
    node_pump(n, now);
    return true;
}

// Who hides the address hears nothing but by relays: whoever speaks to a guessed address learns nothing from it.
static bool is_hidden(const struct node *n, const struct arrival *a, const struct conversation *c)
{
    return (c != NULL ? c->relayed : uplink_only(n)) && !is_tunnel(a->path.via);
}

static void relay_out(struct node *n)
{
    uint32_t via;
    while (n->vias_closed < NODE_VIAS_CLOSED_MAX && relay_via_closed(n->relaying->service, &via))
        (void)node_via_close(n, via);
}

// What is a client's, or on its way to one.
static bool receive_relay(struct node *n, usec_t now, const struct arrival *a,
                          const uint8_t cid[static CID_BYTES], uint8_t *data, size_t len)
{
    if (n->relaying == NULL)
        return false;
    if (relay_receive(n->relaying->service, now, cid, &a->path, a->ecn, data, len) ==
        BAUTA_EUNKNOWN)
        return false;
    relay_out(n);
    return true;
}

static void receive_one(struct node *n, usec_t now, struct arrival *a, uint8_t *data, size_t len)
{
    uint8_t cid[CID_BYTES];
    n->bytes_in += len;
    n->datagrams_in++;
    if (len < DATAGRAM_BYTES_MIN) {
        n->dropped_short++;
        return;
    }
    if (n->relaying != NULL && (a->path.via & VIA_SOCKET) != 0) {
        relay_exit_receive(n->relaying->service, now, &a->path, data, len);
        return;
    }
    if (n->hairpin.out && a->path.via == VIA_UDP && hairpin_receive(&n->hairpin, now, data, len))
        return;
    bool packet = false, answer = a->c == NULL && dht_is_answer(n->dht, data, len);
    if (!answer) {
        packet_cid(cid, data, len, n->recv_mask);
        packet = recognise(n, now, a, cid);
        if (!packet &&
            (receive_tunnel(n, now, a, cid, data, len) || receive_relay(n, now, a, cid, data, len)))
            return;
    }
    if (!answer && is_hidden(n, a, packet ? a->c : NULL)) {
        n->dropped_unknown++;
        return;
    }
    if (!packet && !answer && uplink_question(n, now, &a->path, data, len))
        return;
    if (!packet)
        receive_request(n, now, &a->path, data, len);
    else if (channel_receive(a->c->channel, now, cid, a->phase, &a->path, a->ecn, data, len) !=
             BAUTA_OK)
        n->dropped_channel++;
}

void node_receive(struct node *n, usec_t now, const struct rx *rx, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct arrival a = {.path = rx[i].path, .ecn = rx[i].ecn};
        uint32_t seg = rx[i].seg_size != 0 ? rx[i].seg_size : rx[i].len;
        for (uint32_t at = 0; at < rx[i].len; at += seg)
            receive_one(n, now, &a, rx[i].data + at, rx[i].len - at < seg ? rx[i].len - at : seg);
        settle(n, now, &a);
    }
}

// ---- time -----------------------------------------------------------------------------------------

// Who hides his address asks nothing of the router before him.
static void expire_hairpin(struct node *n, usec_t now)
{
    struct dht_reach reach = {0};
    uint8_t probe[CLASS_TINY];
    if (!uplink_only(n))
        dht_reach(n->dht, 4, &reach);
    if (!hairpin_expire(&n->hairpin, now, &reach, &n->cfg.rng, probe))
        return;
    struct outbox_slot *slot = outbox_room(n->cfg.out);
    if (slot == NULL)
        return;
    slot->path = n->hairpin.to;
    slot->len = sizeof probe;
    memcpy(slot->data, probe, sizeof probe);
    outbox_commit(n->cfg.out);
}

bool node_expire(struct node *n, usec_t now, unsigned budget)
{
    if (n->hairpin.at <= now)
        expire_hairpin(n, now);
    bool more = dht_expire(n->dht, now, budget);
    node_pump(n, now);
    more = meet_expire(n->meet, now, budget) || more;
    node_punch_expire(n, now);
    node_pump(n, now);
    if (n->relaying != NULL)
        relaying_expire(n, now, budget);
    else if (uplink_deadline(n) <= now)
        uplink_expire(n, now, budget);
    node_pump(n, now);
    for (unsigned i = 0; i < budget; i++) {
        struct heap_entry *e = heap_first(&n->heap);
        if (e == NULL || e->deadline > now)
            return more;
        struct conversation *c = (struct conversation *)e;
        (void)channel_expire(c->channel, now, budget);
        reunion_expire(n, now, c);
        reroute_expire(n, now, c);
        node_touch(n, c);
        node_pump(n, now);
    }
    return true;
}

usec_t node_deadline(const struct node *n)
{
    usec_t d = dht_deadline(n->dht);
    usec_t m = meet_deadline(n->meet);
    usec_t u = n->relaying != NULL ? relaying_deadline(n) : uplink_deadline(n);
    d = u < d ? u : d;
    const struct heap_entry *e = heap_first(&n->heap);
    usec_t p = node_punch_deadline(n);
    d = m < d ? m : d;
    d = p < d ? p : d;
    d = n->hairpin.at < d ? n->hairpin.at : d;
    return e != NULL && e->deadline < d ? e->deadline : d;
}

// ---- datagrams out --------------------------------------------------------------------------------

// Into the tunnel that the path names. What finds no room there is lost, as in any network.
static void into_tunnel(struct node *n, const struct path *to, const uint8_t *server,
                        const uint8_t *data, size_t len)
{
    struct tunnel *t = uplink_tunnel(n, to->via);
    if (t == NULL || tunnel_send(t, to, server, data, len) != BAUTA_OK)
        n->dropped_tunnel++;
    else
        t->ready = true;
}

struct sends { // what one call of node_transmit has put together
    struct batch *batch;
    size_t max, count;
    uint8_t *buf;
    size_t cap, used;
    bool tunnelled; // something went into a tunnel: it wants to come out
};

static void transmit_outbox(struct node *n, struct sends *out)
{
    struct outbox *o = n->cfg.out;
    while (out->count < out->max && o->taken < o->count) {
        const struct outbox_slot *s = &o->slot[o->taken++];
        if (is_tunnel(s->path.via)) {
            into_tunnel(n, &s->path, s->to_server ? s->server : NULL, s->data, s->len);
            out->tunnelled = true;
            continue;
        }
        out->batch[out->count++] = (struct batch){
            .path = s->path, .seg_size = s->len, .count = 1, .len = s->len, .data = s->data};
    }
}

// The last `got` of a channel's are the driver's, or go into a tunnel.
static void sort_out(struct node *n, struct sends *out, size_t got, uint64_t id)
{
    struct batch *all = out->batch + out->count;
    for (size_t i = 0; i < got; i++) {
        struct batch b = all[i];
        out->used += b.len;
        if (!is_tunnel(b.path.via)) {
            b.id = id;
            out->batch[out->count++] = b;
            dht_contacted(n->dht, &b.path);
            continue;
        }
        out->tunnelled = true;
        for (uint32_t at = 0; at < b.len; at += b.seg_size)
            into_tunnel(n, &b.path, NULL, b.data + at,
                        b.len - at < b.seg_size ? b.len - at : b.seg_size);
    }
}

static void transmit_conversations(struct node *n, usec_t now, struct sends *out)
{
    uint32_t turn = n->turn;
    for (uint32_t i = 0;
         n->conversations > 0 && i < NODE_CONVERSATIONS_MAX && out->count < out->max; i++) {
        uint32_t at = (turn + i) % NODE_CONVERSATIONS_MAX;
        struct conversation *c = n->busy->conversation[at];
        if (c == NULL || !c->ready)
            continue;
        size_t want = out->max - out->count, room = out->cap - out->used;
        want = want < NODE_CHANNEL_BATCHES ? want : NODE_CHANNEL_BATCHES;
        room = room < NODE_CHANNEL_BYTES ? room : NODE_CHANNEL_BYTES;
        size_t got = channel_transmit(c->channel, now, out->buf + out->used, room,
                                      out->batch + out->count, want);
        for (size_t k = 0; k < got; k++) // a way that shows the address is none
            assert(!c->relayed || is_tunnel(out->batch[out->count + k].path.via));
        sort_out(n, out, got, (uint64_t)at + 1);
        if (got > 0)
            n->turn = (at + 1) % NODE_CONVERSATIONS_MAX; // whoever comes after it is served first
        else if (room >= CHANNEL_PACKET_BYTES_MAX)
            c->ready = false;
        node_rearm(n, c);
    }
}

// Those that go through others first.
static void transmit_tunnels(struct node *n, usec_t now, struct sends *out)
{
    for (unsigned k = 1; n->uplink != NULL && k <= UPLINK_SLOTS; k++) {
        unsigned i = UPLINK_SLOTS - k;
        struct tunnel *t = n->uplink->line[i].tunnel;
        while (t != NULL && t->ready && out->count < out->max) {
            size_t room = out->cap - out->used, want = out->max - out->count;
            size_t got =
                tunnel_transmit(t, now, out->buf + out->used, room, out->batch + out->count, want);
            sort_out(n, out, got, UPLINK_OWNER + i);
            t->dirty = true;
            if (got == 0 && room < CHANNEL_PACKET_BYTES_MAX)
                return;
            t->ready = got > 0;
        }
    }
}

static void transmit_relay(struct node *n, usec_t now, struct sends *out)
{
    size_t got =
        relay_transmit(n->relaying->service, now, out->buf + out->used, out->cap - out->used,
                       out->batch + out->count, out->max - out->count);
    for (size_t i = 0; i < got; i++) {
        struct batch *b = &out->batch[out->count++];
        b->id = b->id == UINT64_MAX ? 0 : NODE_RELAY_ID + b->id;
    }
    relay_out(n);
}

size_t node_transmit(struct node *n, usec_t now, uint8_t *buf, size_t cap, struct batch *batch,
                     size_t max)
{
    struct sends out = {.batch = batch, .max = max, .buf = buf, .cap = cap};
    unsigned rounds = 0;
    if (n->cfg.out->taken == n->cfg.out->count) // all was handed out, and the call that did is over
        n->cfg.out->count = n->cfg.out->taken = 0;
    do { // as long as only tunnels were given something, which has to come out of them
        out.tunnelled = false;
        transmit_outbox(n, &out);
        transmit_conversations(n, now, &out);
        transmit_tunnels(n, now, &out);
    } while (out.tunnelled && out.count < max && cap - out.used >= CHANNEL_PACKET_BYTES_MAX &&
             ++rounds < NODE_TUNNELLED_ROUNDS);
    if (n->relaying != NULL && out.count < max)
        transmit_relay(n, now, &out);
    out.count += node_punch_transmit(n, now, buf + out.used, cap - out.used, batch + out.count,
                                     max - out.count);
    for (size_t i = 0; i < out.count; i++) {
        n->datagrams_out += batch[i].count;
        n->bytes_out += batch[i].len;
    }
    if (out.count > 0 || rounds > 0)
        node_pump(n, now);
    return out.count;
}

void node_sent(struct node *n, usec_t now, uint64_t batch_id, int rc)
{
    if (batch_id >= NODE_RELAY_ID && n->relaying != NULL) {
        relay_sent(n->relaying->service, now, batch_id - NODE_RELAY_ID, rc);
        relay_out(n);
        return;
    }
    if (batch_id >= UPLINK_OWNER && batch_id < UPLINK_OWNER + UPLINK_SLOTS && n->uplink != NULL) {
        struct tunnel *t = n->uplink->line[batch_id - UPLINK_OWNER].tunnel;
        if (t != NULL && t->channel != NULL) {
            channel_sent(t->channel, now, rc);
            t->ready = t->dirty = true;
        }
        node_pump(n, now);
        return;
    }
    if (n->conversations == 0 || batch_id == 0 || batch_id > NODE_CONVERSATIONS_MAX)
        return;
    struct conversation *c = n->busy->conversation[batch_id - 1];
    if (c == NULL || c->channel == NULL)
        return;
    channel_sent(c->channel, now, rc);
    node_touch(n, c);
    node_pump(n, now);
}

bool node_via_close(struct node *n, uint32_t via)
{
    assert((via & VIA_KINDS) == VIA_SOCKET);
    if (n->vias_closed == n->vias_room) {
        uint32_t room = n->vias_room == 0 ? NODE_VIAS_CLOSED_MIN : 2 * n->vias_room;
        uint32_t *more =
            room <= NODE_VIAS_CLOSED_MAX ? arena_take(n->cfg.arena, room * sizeof *more) : NULL;
        if (more == NULL)
            return false;
        if (n->vias_closed > 0)
            memcpy(more, n->via_closed, n->vias_closed * sizeof *more);
        arena_give(n->cfg.arena, n->via_closed, n->vias_room * sizeof *more);
        n->via_closed = more;
        n->vias_room = room;
    }
    n->via_closed[n->vias_closed++] = via;
    return true;
}

size_t node_vias_closed(struct node *n, uint32_t *via, size_t max)
{
    size_t k = 0;
    while (k < max && n->vias_closed > 0)
        via[k++] = n->via_closed[--n->vias_closed];
    if (n->vias_closed == 0 && n->via_closed != NULL) {
        arena_give(n->cfg.arena, n->via_closed, n->vias_room * sizeof *n->via_closed);
        n->via_closed = NULL;
        n->vias_room = 0;
    }
    return k;
}

// ---- jobs -----------------------------------------------------------------------------------------

bool node_job(struct node *n, struct job *job)
{
    if (n->relaying != NULL && directory_job(n->relaying->directory, job))
        return true;
    return meet_job(n->meet, job);
}

void node_job_done(struct node *n, usec_t now, uint32_t job, const uint8_t *result, int len)
{
    if (n->relaying == NULL || !directory_job_done(n->relaying->directory, now, job, result, len))
        meet_job_done(n->meet, now, job, result, len);
    node_pump(n, now);
}

struct dht *node_dht(struct node *n)
{
    return n->dht;
}
