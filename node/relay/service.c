#include "node/relay/service.h"

#include "node/relay/internal.h"

#include <assert.h>
#include <sodium.h>

#define CONTROL_STREAM 0u
#define CLOSE_OVER 0u
#define CLOSE_RULES 1u
#define CIDS_PER_CLIENT 16u  // as a conversation's
#define EGRESS_ID UINT64_MAX // of sends that belong to no channel

uint64_t relay_hash(const struct relay *r, const void *data, size_t len)
{
    uint8_t out[crypto_shorthash_BYTES];
    crypto_shorthash(out, data, len, r->hash_key);
    struct rd rd = rd_init(out, sizeof out);
    return rd_le64(&rd);
}

// ---- life -------------------------------------------------------------------------------------------

static uint32_t cid_slots(uint32_t clients_max)
{
    uint32_t n = 64;
    while (n < 2 * CIDS_PER_CLIENT * clients_max)
        n *= 2;
    return n;
}

static int take_tables(struct relay *r)
{
    uint32_t max = r->cfg.clients_max, slots = cid_slots(max);
    r->client = arena_take(r->cfg.arena, max * sizeof(struct relay_client *));
    r->closed = arena_take(r->cfg.arena, max * sizeof *r->closed);
    r->heap.entry = arena_take(r->cfg.arena, max * sizeof(struct heap_entry *));
    r->heap.cap = max;
    r->cids.slot = arena_take(r->cfg.arena, slots * sizeof *r->cids.slot);
    r->cids.slots = r->cids.slot != NULL ? slots : 0;
    r->cids.used_max = CIDS_PER_CLIENT * max;
    bool all =
        r->client != NULL && r->closed != NULL && r->heap.entry != NULL && r->cids.slot != NULL;
    return all ? 0 : BAUTA_ESPACE;
}

int relay_new(struct relay **out, const struct relay_config *cfg)
{
    if (cfg->clients_max > RELAY_CLIENTS_MAX)
        return BAUTA_ELIMIT;
    struct relay *r = arena_take(cfg->arena, sizeof *r);
    if (r == NULL)
        return BAUTA_ESPACE;
    r->cfg = *cfg;
    if (cfg->clients_max == 0)
        r->cfg.clients_max = RELAY_CLIENTS_DEFAULT;
    if (cfg->client_Bps == 0)
        r->cfg.client_Bps = RELAY_CLIENT_BPS_DEFAULT;
    if (cfg->total_Bps == 0)
        r->cfg.total_Bps = RELAY_TOTAL_BPS_DEFAULT;
    r->count.volume_left_bytes = cfg->volume_bytes;
    r->used_up = cfg->volume_bytes == 0;
    r->drain_at = r->used_up ? 0 : USEC_NEVER;
    rng_fill(&cfg->rng, r->hash_key, sizeof r->hash_key);
    int rc = take_tables(r);
    if (rc != 0)
        relay_free(r);
    else
        *out = r;
    return rc;
}

static void client_free(struct relay *r, struct relay_client *c)
{
    if (c->exit_used && r->closed_count < r->cfg.clients_max)
        r->closed[r->closed_count++] = c->via;
    cids_drop_owner(&r->cids, (uint16_t)(c->index + 1));
    heap_remove(&r->heap, &c->timer);
    permits_end(r, c);
    peers_end(r, c);
    relay_parts_free(&c->parts, &c->arena);
    channel_free(c->channel);
    arena_end(&c->arena);
    r->client[c->index] = NULL;
    r->clients--;
    arena_give(r->cfg.arena, c, sizeof *c);
}

void relay_free(struct relay *r)
{
    struct arena *a = r->cfg.arena;
    for (uint32_t i = 0; r->client != NULL && i < r->cfg.clients_max; i++)
        if (r->client[i] != NULL)
            client_free(r, r->client[i]);
    relay_egress_free(r);
    arena_give(a, r->asking, RELAY_ASKING_MAX * sizeof *r->asking);
    arena_give(a, r->known, RELAY_CONSENTS_MAX * sizeof *r->known);
    arena_give(a, r->client, r->cfg.clients_max * sizeof(struct relay_client *));
    arena_give(a, r->closed, r->cfg.clients_max * sizeof *r->closed);
    arena_give(a, r->heap.entry, r->cfg.clients_max * sizeof(struct heap_entry *));
    arena_give(a, r->cids.slot, r->cids.slots * sizeof *r->cids.slot);
    arena_give(a, r, sizeof *r);
}

static void rearm(struct relay *r, struct relay_client *c)
{
    usec_t channel = channel_deadline(c->channel), peers = peers_deadline(c);
    usec_t first = channel < peers ? channel : peers;
    heap_set(&r->heap, &c->timer, first < c->until ? first : c->until);
}

void relay_touch(struct relay *r, struct relay_client *c)
{
    c->ready = c->dirty = true;
    rearm(r, c);
}

// ---- clients come -----------------------------------------------------------------------------------

static struct relay_client *client_of_msg1(struct relay *r, const uint8_t *msg1)
{
    for (uint32_t i = 0; i < r->cfg.clients_max && r->clients > 0; i++) {
        struct relay_client *c = r->client[i];
        if (c != NULL && !c->heard && memcmp(c->msg1, msg1, RELAY_MSG_BYTES) == 0)
            return c;
    }
    return NULL;
}

// Its share of the places: nobody fills a relay from one network.
static bool has_share(const struct relay *r, uint64_t coarse)
{
    uint32_t n = 0, most = r->cfg.clients_max / RELAY_PREFIX_SHARE;
    for (uint32_t i = 0; i < r->cfg.clients_max && r->cfg.prefix_limits; i++)
        n += r->client[i] != NULL && r->client[i]->coarse == coarse;
    return n < (most > RELAY_PREFIX_MIN ? most : RELAY_PREFIX_MIN);
}

static int client_new(struct relay *r, usec_t now, const struct path *from,
                      struct channel_config *cfg, struct relay_client **out)
{
    uint32_t i = 0;
    while (i < r->cfg.clients_max && r->client[i] != NULL)
        i++;
    struct relay_client *c = i < r->cfg.clients_max ? arena_take(r->cfg.arena, sizeof *c) : NULL;
    if (c == NULL)
        return BAUTA_ESPACE;
    arena_init(&c->arena, r->cfg.arena->pool, RELAY_CLIENT_BYTES_MAX);
    c->timer.deadline = USEC_NEVER;
    c->index = (uint16_t)i;
    // Fifteen bits: a simulated host's ports follow from it. What is late for one client finds the next gone, too.
    c->via = VIA_SOCKET | (++r->gen & 7u) << 12 | i;
    c->until = now + RELAY_UNREADY_US;
    c->bytes = (struct allowance){now, RELAY_BURST_BYTES_MIN};
    c->answers = (struct allowance){now, 1000 * RELAY_ANSWERS_PER_S};
    map_init(&c->permits, &c->arena);
    rng_fill(&r->cfg.rng, c->challenge_key, sizeof c->challenge_key);
    struct prefix coarse = path_coarse(from);
    c->coarse = relay_hash(r, &coarse, sizeof coarse);
    cfg->rng = r->cfg.rng;
    cfg->candidate[0] = *from;
    cfg->candidates = 1;
    cfg->observed = 0;
    cfg->lab = r->cfg.lab;
    int rc = channel_new(&c->channel, now, cfg, &c->arena);
    if (rc != 0) {
        arena_end(&c->arena);
        arena_give(r->cfg.arena, c, sizeof *c);
        return rc;
    }
    r->client[i] = c;
    r->clients++;
    *out = c;
    return 0;
}

// Reads the first message and answers it: with a channel, or that there is no room.
static void on_open(struct relay *r, usec_t now, const struct dht_event *ev)
{
    struct relay_client *c = ev->blob_len == RELAY_MSG_BYTES ? client_of_msg1(r, ev->blob) : NULL;
    if (c != NULL) { // our answer was lost
        dht_open_answer(r->cfg.dht, now, ev->id, c->msg2, sizeof c->msg2);
        return;
    }
    if (!allowance_take(&r->opens, now, 1000 * RELAY_OPENS_PER_S, 1000 * RELAY_OPENS_PER_S, 1000)) {
        r->count.refused_rate++; // not a word: it asks again
        return;
    }
    struct noise noise;
    struct relay_open client, own = {.verdict = RELAY_BUSY};
    struct channel_config cfg = {0};
    uint8_t msg2[RELAY_MSG_BYTES];
    if (handshake_read(&noise, &r->cfg.net, r->cfg.secret, ev->blob, ev->blob_len, &client) != 0) {
        r->count.refused_bad++;
        dht_open_refuse(r->cfg.dht, now, ev->id);
        return;
    }
    struct prefix coarse = path_coarse(&ev->path);
    bool room = r->clients < r->cfg.clients_max && r->drain_at == USEC_NEVER &&
                has_share(r, relay_hash(r, &coarse, sizeof coarse));
    if (room) {
        own.verdict = RELAY_ACCEPT;
        bool aes = r->cfg.aes_hardware && (client.capabilities & RELAY_CAPABILITY_AES);
        own.aead = aes ? PACKET_AEGIS256 : PACKET_CHACHA20POLY1305;
        rng_fill(&r->cfg.rng, own.cid, sizeof own.cid);
        memcpy(own.recv_mask, r->cfg.local_mask, sizeof own.recv_mask);
    }
    int rc = handshake_answer(&noise, &client, &own, &r->cfg.rng, msg2, &cfg);
    if (rc == 0 && room)
        rc = client_new(r, now, &ev->path, &cfg, &c);
    if (rc == 0 && c != NULL) {
        memcpy(c->msg1, ev->blob, sizeof c->msg1);
        memcpy(c->msg2, msg2, sizeof c->msg2);
        relay_touch(r, c);
    }
    r->count.opened += c != NULL;
    r->count.refused_full += !room;
    if (rc == 0)
        dht_open_answer(r->cfg.dht, now, ev->id, msg2, sizeof msg2);
    else
        dht_open_refuse(r->cfg.dht, now, ev->id);
    noise_wipe(&noise);
    sodium_memzero(&cfg, sizeof cfg);
    sodium_memzero(&client, sizeof client);
}

// ---- what they say ----------------------------------------------------------------------------------

void relay_client_say(struct relay *r, usec_t now, struct relay_client *c,
                      const struct relay_message *m)
{
    uint8_t out[RELAY_MESSAGE_BYTES_MAX];
    size_t len = relay_message_put(out, m);
    // Whole or not at all: who does not read what we say is not told more.
    if (channel_stream_pending(c->channel, CONTROL_STREAM) > RELAY_CONTROL_PENDING_MAX)
        return;
    (void)channel_stream_send(c->channel, now, CONTROL_STREAM, out, len);
    relay_touch(r, c);
}

static void client_close(struct relay_client *c, usec_t now, uint16_t code)
{
    if (c->closing)
        return;
    c->closing = true;
    channel_close(c->channel, now, code);
}

static void tell_drain(struct relay *r, usec_t now, struct relay_client *c)
{
    uint64_t left = r->drain_at > now ? (r->drain_at - now) / USEC_PER_S : 0;
    struct relay_message m = {.type = RELAY_DRAIN, .seconds = (uint32_t)left};
    relay_client_say(r, now, c, &m);
}

// Whom both ends of a conversation want to have a direct path asks nobody else how he is seen.
static void tell_seen(struct relay *r, usec_t now, struct relay_client *c)
{
    struct channel_status s;
    channel_status(c->channel, &s);
    struct relay_message m = {.type = RELAY_SEEN, .path = {s.path}};
    if (s.path.family != 0 && s.path.via == VIA_UDP)
        relay_client_say(r, now, c, &m);
}

// A client that can't reach a family itself knows nobody of it who could tell how others see the exit.
static void tell_servers(struct relay *r, usec_t now, struct relay_client *c)
{
    for (unsigned f = 0; f < 2; f++) {
        struct relay_message m = {.type = RELAY_SERVER};
        struct path like = {.family = f == 0 ? 4 : 6};
        if (dht_servers_apart(r->cfg.dht, &like, &m.server, 1) == 1 &&
            m.server.path.family == like.family)
            relay_client_say(r, now, c, &m);
    }
}

static void on_message(struct relay *r, usec_t now, struct relay_client *c,
                       const struct relay_message *m)
{
    struct relay_message grant = {.type = RELAY_GRANT,
                                  .seconds = RELAY_RESERVATION_S,
                                  .kBps = (uint32_t)(r->cfg.client_Bps / 1000)};
    switch (m->type) {
    case RELAY_RESERVE:
        c->reserved = true;
        c->until = now + (usec_t)RELAY_RESERVATION_S * USEC_PER_S;
        relay_client_say(r, now, c, &grant);
        tell_seen(r, now, c);
        tell_servers(r, now, c);
        if (r->drain_at != USEC_NEVER)
            tell_drain(r, now, c);
        return;
    case RELAY_CONSENT:
        if (c->reserved)
            peer_add(r, now, c, m);
        return;
    case RELAY_FORGET:
        peer_forget(r, c, m->key);
        return;
    default: // what relays say, or what is not known yet
        return;
    }
}

static void read_control(struct relay *r, usec_t now, struct relay_client *c)
{
    for (size_t got = 1; got > 0;) {
        got = channel_stream_receive(c->channel, now, CONTROL_STREAM, c->in + c->in_len,
                                     sizeof c->in - c->in_len);
        c->in_len = (uint16_t)(c->in_len + got);
        struct relay_message m;
        int used;
        while ((used = relay_message_get(&m, c->in, c->in_len)) > 0) {
            c->in_len = (uint16_t)(c->in_len - used);
            memmove(c->in, c->in + used, c->in_len);
            on_message(r, now, c, &m);
        }
        if (used < 0) {
            client_close(c, now, CLOSE_RULES);
            return;
        }
    }
}

// False: it is over, and gone.
static bool pump(struct relay *r, usec_t now, struct relay_client *c)
{
    struct channel_event ev;
    while (c->dirty) {
        c->dirty = false;
        while (channel_event(c->channel, &ev)) {
            if (ev.kind == CHANNEL_CLOSED) {
                permits_forget_client(r, now, c);
                client_free(r, c);
                return false;
            }
            if (ev.kind == CHANNEL_CID_ADD &&
                !cids_add(&r->cids, ev.cid, (uint16_t)(c->index + 1), ev.phase))
                client_close(c, now, CLOSE_OVER);
            if (ev.kind == CHANNEL_CID_DROP)
                cids_drop(&r->cids, ev.cid);
            if (ev.kind == CHANNEL_MATCHED) {
                c->heard = true;
                sodium_memzero(c->msg2, sizeof c->msg2);
            }
            if (ev.kind == CHANNEL_PATH && c->reserved)
                tell_seen(r, now, c); // it has moved
            if (ev.kind == CHANNEL_READABLE && ev.stream == CONTROL_STREAM)
                read_control(r, now, c);
        }
    }
    rearm(r, c);
    return true;
}

bool relay_dht_event(struct relay *r, usec_t now, const struct dht_event *ev)
{
    if (ev->kind == DHT_OPEN) {
        on_open(r, now, ev);
        for (uint32_t i = 0; i < r->cfg.clients_max; i++)
            if (r->client[i] != NULL && r->client[i]->dirty)
                (void)pump(r, now, r->client[i]);
        return true;
    }
    if (ev->user != r->cfg.user || (ev->kind != DHT_PONG && ev->kind != DHT_SILENT))
        return false;
    return permit_event(r, now, ev);
}

int relay_receive(struct relay *r, usec_t now, const uint8_t cid[static CID_BYTES],
                  const struct path *from, uint8_t ecn, uint8_t *data, size_t len)
{
    const struct cid_slot *slot = cids_find(&r->cids, cid);
    if (slot == NULL)
        return BAUTA_EUNKNOWN;
    struct relay_client *c = r->client[slot->owner - 1];
    int rc = channel_receive(c->channel, now, cid, slot->phase, from, ecn, data, len);
    const uint8_t *d;
    size_t d_len;
    bool bad;
    while (!c->closing && channel_datagram(c->channel, &d, &d_len)) {
        if (relay_parts_take(&c->parts, &c->arena, &d, &d_len, &bad))
            relay_from_client(r, now, c, d, d_len);
        r->count.dropped_format += bad;
    }
    c->ready = c->dirty = true;
    (void)pump(r, now, c);
    return rc;
}

// ---- time ---------------------------------------------------------------------------------------------

bool relay_expire(struct relay *r, usec_t now, unsigned budget)
{
    for (unsigned i = 0; i < budget; i++) {
        struct heap_entry *e = heap_first(&r->heap);
        if (e == NULL || e->deadline > now)
            return false;
        struct relay_client *c = (struct relay_client *)e;
        if (c->until <= now) { // its time is over, and it did not say that it stays
            client_close(c, now, CLOSE_OVER);
            c->until = USEC_NEVER;
        }
        (void)channel_expire(c->channel, now, budget);
        peers_expire(r, now, c);
        if (c->tidy_at <= now) { // with the next thing that is due: a PING, at the latest
            c->tidy_at = now + RELAY_PERMIT_US / 4;
            permits_tidy(c, now);
        }
        c->ready = c->dirty = true;
        (void)pump(r, now, c);
    }
    return true;
}

usec_t relay_deadline(const struct relay *r)
{
    const struct heap_entry *e = heap_first(&r->heap);
    return e != NULL ? e->deadline : USEC_NEVER;
}

void relay_drain(struct relay *r, usec_t now, uint32_t seconds)
{
    if (r->drain_at != USEC_NEVER && !r->used_up)
        return;
    r->used_up = false;
    r->drain_at = now + (usec_t)seconds * USEC_PER_S;
    for (uint32_t i = 0; i < r->cfg.clients_max; i++) {
        struct relay_client *c = r->client[i];
        if (c == NULL)
            continue;
        if (c->until > r->drain_at)
            c->until = r->drain_at;
        if (c->reserved)
            tell_drain(r, now, c);
        relay_touch(r, c);
    }
}

void relay_allow(struct relay *r, uint64_t volume_bytes)
{
    r->count.volume_left_bytes = volume_bytes;
    if (!r->used_up || volume_bytes == 0)
        return;
    r->used_up = false;
    r->drain_at = USEC_NEVER;
}

// ---- datagrams out ------------------------------------------------------------------------------------

static size_t transmit_egress(struct relay *r, struct batch *batch, size_t max)
{
    struct egress *e = &r->egress;
    size_t n = 0;
    while (n < max && e->taken < e->count) {
        batch[n] = e->batch[e->taken++];
        batch[n++].id = EGRESS_ID;
    }
    return n;
}

size_t relay_transmit(struct relay *r, usec_t now, uint8_t *buf, size_t cap, struct batch *batch,
                      size_t max)
{
    struct egress *e = &r->egress;
    if (e->taken == e->count) // all was handed out, and the call that did is over
        e->taken = e->count = e->used = 0;
    size_t n = transmit_egress(r, batch, max), used = 0;
    for (uint32_t i = 0; r->clients > 0 && i < r->cfg.clients_max && n < max; i++) {
        uint32_t at = (r->turn + i) % r->cfg.clients_max;
        struct relay_client *c = r->client[at];
        if (c == NULL || !c->ready)
            continue;
        size_t want = max - n < RELAY_CLIENT_BATCHES ? max - n : RELAY_CLIENT_BATCHES;
        size_t got = channel_transmit(c->channel, now, buf + used, cap - used, batch + n, want);
        for (size_t k = 0; k < got; k++) {
            batch[n + k].id = at;
            used += batch[n + k].len;
            dht_contacted(r->cfg.dht, &batch[n + k].path);
        }
        n += got;
        if (got > 0)
            r->turn = (at + 1) % r->cfg.clients_max;
        else if (cap - used >= CHANNEL_PACKET_BYTES_MAX)
            c->ready = false;
        c->dirty = true;
        (void)pump(r, now, c);
    }
    return n;
}

void relay_sent(struct relay *r, usec_t now, uint64_t id, int rc)
{
    struct relay_client *c = id < r->cfg.clients_max ? r->client[id] : NULL;
    if (c == NULL)
        return;
    channel_sent(c->channel, now, rc);
    relay_touch(r, c);
    (void)pump(r, now, c);
}

bool relay_via_closed(struct relay *r, uint32_t *via)
{
    if (r->closed_count == 0)
        return false;
    *via = r->closed[--r->closed_count];
    return true;
}

void relay_status(const struct relay *r, struct relay_status *s)
{
    *s = r->count;
    s->clients = r->clients;
    s->clients_max = r->cfg.clients_max;
    s->draining = r->drain_at != USEC_NEVER;
}
