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
    if (n->conversations == 0) {
        arena_give(n->cfg.arena, n->cids.slot, n->cids.slots * sizeof *n->cids.slot);
        n->cids = (struct cids){0};
    }
    struct busy *b = n->busy;
    if (b == NULL || n->conversations > 0 || n->encounters > 0 || n->warnings > 0 ||
        b->vias_closed != NULL || (b->punch != NULL && !punch_forgotten(b->punch, n->clock_us)))
        return;
    arena_give(n->cfg.arena, b->punch, sizeof *b->punch);
    arena_give(n->cfg.arena, b, sizeof *b);
    n->busy = NULL;
    n->heap = (struct heap){0};
}

void node_free(struct node *n)
{
    struct arena *arena = n->cfg.arena;
    for (size_t i = 0; n->busy != NULL && i < NODE_CONVERSATIONS_MAX; i++)
        if (n->busy->conversation[i] != NULL)
            node_free_conversation(n, 0, n->busy->conversation[i]);
    for (size_t i = 0; n->busy != NULL && i < MEET_ENCOUNTERS_MAX; i++)
        if (n->busy->encounter[i] != NULL)
            node_free_encounter(n, n->busy->encounter[i]);
    if (n->busy != NULL) { // the driver closes all
        arena_give(arena, n->busy->vias_closed, sizeof *n->busy->vias_closed);
        n->busy->vias_closed = NULL;
    }
    n->clock_us = USEC_NEVER;
    if (n->meet != NULL)
        meet_free(n->meet);
    if (n->dht != NULL)
        dht_free(n->dht);
    n->warnings = 0;
    node_rest(n);
    arena_give(arena, n, sizeof *n);
}

void node_clock(struct node *n, usec_t now, int64_t unix_us)
{
    n->clock_us = now;
    n->clock_unix_us = unix_us;
    dht_clock(n->dht, now, unix_us);
    meet_clock(n->meet, now, unix_us);
    node_pump(n, now);
}

void node_local_paths(struct node *n, usec_t now, const struct path *path, size_t count)
{
    meet_local_paths(n->meet, path, count);
    dht_local_paths(n->dht, now, path, count);
    hairpin_restart(&n->hairpin, now);
    for (uint32_t i = 0; n->conversations > 0 && i < NODE_CONVERSATIONS_MAX; i++)
        if (n->busy->conversation[i] != NULL && !n->busy->conversation[i]->closed) {
            reunion_moved(n, now, n->busy->conversation[i]);
            node_touch(n, n->busy->conversation[i]);
        }
    node_pump(n, now);
}

int node_bootstrap(struct node *n, usec_t now, const struct contact *c)
{
    int rc = dht_bootstrap(n->dht, now, c);
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
    dht_hints(n->dht, now, c, count);
    node_pump(n, now);
}

bool node_alone(const struct node *n)
{
    struct dht_status s;
    dht_status(n->dht, &s);
    return s.contacts == 0;
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

// ---- datagrams in ---------------------------------------------------------------------------------

struct arrival { // a buffer on its way in
    const struct rx *rx;
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
    if (slot == NULL)
        return false;
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

static void receive_one(struct node *n, usec_t now, struct arrival *a, uint8_t *data, size_t len)
{
    uint8_t cid[CID_BYTES];
    n->bytes_in += len;
    n->datagrams_in++;
    if (len < DATAGRAM_BYTES_MIN) {
        n->dropped_short++;
        return;
    }
    if (n->hairpin.out && hairpin_receive(&n->hairpin, now, data, len))
        return;
    bool packet = false;
    if (a->c != NULL || !dht_is_answer(n->dht, data, len)) {
        packet_cid(cid, data, len, n->recv_mask);
        packet = recognise(n, now, a, cid);
    }
    if (!packet)
        receive_request(n, now, &a->rx->path, data, len);
    else if (channel_receive(a->c->channel, now, cid, a->phase, &a->rx->path, a->rx->ecn, data,
                             len) != BAUTA_OK)
        n->dropped_channel++;
}

void node_receive(struct node *n, usec_t now, const struct rx *rx, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct arrival a = {.rx = &rx[i]};
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
    if (n->cfg.privacy != NODE_RELAYED)
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
    for (unsigned i = 0; i < budget; i++) {
        struct heap_entry *e = heap_first(&n->heap);
        if (e == NULL || e->deadline > now)
            return more;
        struct conversation *c = (struct conversation *)e;
        (void)channel_expire(c->channel, now, budget);
        reunion_expire(n, now, c);
        node_touch(n, c);
        node_pump(n, now);
    }
    return true;
}

usec_t node_deadline(const struct node *n)
{
    usec_t d = dht_deadline(n->dht);
    usec_t m = meet_deadline(n->meet);
    const struct heap_entry *e = heap_first(&n->heap);
    usec_t p = node_punch_deadline(n);
    d = m < d ? m : d;
    d = p < d ? p : d;
    d = n->hairpin.at < d ? n->hairpin.at : d;
    return e != NULL && e->deadline < d ? e->deadline : d;
}

// ---- datagrams out --------------------------------------------------------------------------------

static size_t transmit_outbox(struct node *n, struct batch *batch, size_t max)
{
    struct outbox *o = n->cfg.out;
    size_t k = 0;
    while (k < max && o->taken < o->count) {
        const struct outbox_slot *s = &o->slot[o->taken++];
        batch[k++] = (struct batch){
            .path = s->path, .seg_size = s->len, .count = 1, .len = s->len, .data = s->data};
    }
    return k;
}

size_t node_transmit(struct node *n, usec_t now, uint8_t *buf, size_t cap, struct batch *batch,
                     size_t max)
{
    if (n->cfg.out->taken == n->cfg.out->count) // all was handed out, and the call that did is over
        n->cfg.out->count = n->cfg.out->taken = 0;
    size_t k = transmit_outbox(n, batch, max);
    size_t used = 0;
    uint32_t turn = n->turn;
    for (uint32_t i = 0; n->conversations > 0 && i < NODE_CONVERSATIONS_MAX && k < max; i++) {
        uint32_t at = (turn + i) % NODE_CONVERSATIONS_MAX;
        struct conversation *c = n->busy->conversation[at];
        if (c == NULL || !c->ready)
            continue;
        size_t want = max - k < NODE_CHANNEL_BATCHES ? max - k : NODE_CHANNEL_BATCHES;
        size_t room = cap - used < NODE_CHANNEL_BYTES ? cap - used : NODE_CHANNEL_BYTES;
        size_t got = channel_transmit(c->channel, now, buf + used, room, batch + k, want);
        for (size_t j = 0; j < got; j++) {
            batch[k + j].id = (uint64_t)at + 1;
            used += batch[k + j].len;
            dht_contacted(n->dht, &batch[k + j].path);
            n->turn = (at + 1) % NODE_CONVERSATIONS_MAX; // whoever comes after it is served first
        }
        k += got;
        if (got == 0 && room >= CHANNEL_PACKET_BYTES_MAX)
            c->ready = false;
        node_rearm(n, c);
    }
    k += node_punch_transmit(n, now, buf + used, cap - used, batch + k, max - k);
    for (size_t i = 0; i < k; i++) {
        n->datagrams_out += batch[i].count;
        n->bytes_out += batch[i].len;
    }
    if (k > 0)
        node_pump(n, now);
    return k;
}

void node_sent(struct node *n, usec_t now, uint64_t batch_id, int rc)
{
    if (n->conversations == 0 || batch_id == 0 || batch_id > NODE_CONVERSATIONS_MAX)
        return;
    struct conversation *c = n->busy->conversation[batch_id - 1];
    if (c == NULL || c->channel == NULL)
        return;
    channel_sent(c->channel, now, rc);
    node_touch(n, c);
    node_pump(n, now);
}

void node_via_close(struct node *n, uint32_t via)
{
    if (!node_busy(n))
        return;
    struct busy *b = n->busy;
    if (b->vias_closed == NULL)
        b->vias_closed = arena_take(n->cfg.arena, sizeof *b->vias_closed);
    struct vias_closed *v = b->vias_closed;
    if (v != NULL && v->count < NODE_VIAS_CLOSED_MAX)
        v->via[v->count++] = via;
}

size_t node_vias_closed(struct node *n, uint32_t *via, size_t max)
{
    struct vias_closed *v = n->busy != NULL ? n->busy->vias_closed : NULL;
    size_t k = 0;
    if (v == NULL)
        return 0;
    while (v->count > 0 && k < max)
        via[k++] = v->via[--v->count];
    if (v->count == 0) {
        arena_give(n->cfg.arena, v, sizeof *v);
        n->busy->vias_closed = NULL;
        node_rest(n);
    }
    return k;
}

// ---- jobs -----------------------------------------------------------------------------------------

bool node_job(struct node *n, struct job *job)
{
    return meet_job(n->meet, job);
}

void node_job_done(struct node *n, usec_t now, uint32_t job, const uint8_t *result, int len)
{
    meet_job_done(n->meet, now, job, result, len);
    node_pump(n, now);
}

struct dht *node_dht(struct node *n)
{
    return n->dht;
}
