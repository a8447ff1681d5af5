#include "node/relay/tunnel.h"

#include "node/relay/consent.h"
#include "node/relay/handshake.h"
#include "node/relay/parts.h"
#include "node/relay/wire.h"

#include <assert.h>
#include <sodium.h>

#define CONTROL_STREAM 0u

struct tunnel_opening { // until the relay has answered
    struct noise noise;
    struct relay_open own;
};
struct tunnel_said {
    uint8_t key_id[RELAY_KEY_ID_BYTES];
    struct path path;
};
static_assert(sizeof((struct tunnel){0}.in) >= RELAY_MESSAGE_BYTES_MAX, "a message fits");

static void opening_end(struct tunnel *t)
{
    if (t->opening == NULL)
        return;
    noise_wipe(&t->opening->noise);
    arena_give(t->cfg.arena, t->opening, sizeof *t->opening);
    t->opening = NULL;
}

int tunnel_new(struct tunnel **out, usec_t now, const struct tunnel_config *cfg)
{
    struct tunnel *t = arena_take(cfg->arena, sizeof *t);
    uint8_t msg1[RELAY_MSG_BYTES];
    if (t == NULL)
        return BAUTA_ESPACE;
    t->cfg = *cfg;
    t->timer.deadline = USEC_NEVER;
    t->started_at = now;
    t->give_up_at = now + TUNNEL_OPEN_US;
    t->renew_at = USEC_NEVER;
    t->before = VIA_NONE;
    t->opening = arena_take(cfg->arena, sizeof *t->opening);
    int rc = t->opening != NULL ? 0 : BAUTA_ESPACE;
    if (rc == 0) {
        struct relay_open *own = &t->opening->own;
        rng_fill(&cfg->rng, own->cid, sizeof own->cid);
        memcpy(own->recv_mask, cfg->local_mask, sizeof own->recv_mask);
        own->capabilities = cfg->aes_hardware ? RELAY_CAPABILITY_AES : 0;
        rc = handshake_begin(&t->opening->noise, &cfg->net, cfg->relay.pk, own, &cfg->rng, msg1);
    }
    if (rc == 0)
        rc =
            dht_open(cfg->dht, now, &cfg->relay, cfg->under, msg1, sizeof msg1, cfg->user, &t->ask);
    if (rc == 0)
        *out = t;
    else
        tunnel_free(t);
    return rc;
}

void tunnel_free(struct tunnel *t)
{
    opening_end(t);
    if (t->ask != 0)
        dht_ask_close(t->cfg.dht, t->started_at, t->ask);
    relay_parts_free(&t->parts, t->cfg.arena);
    channel_free(t->channel);
    arena_give(t->cfg.arena, t->said, RELAY_PEERS_MAX * sizeof *t->said);
    arena_give(t->cfg.arena, t, sizeof *t);
}

static void over(struct tunnel *t, bool refused)
{
    if (t->state == TUNNEL_OVER)
        return;
    t->state = TUNNEL_OVER;
    t->refused = refused;
    t->ended = false;
    opening_end(t);
}

// ---- the channel is made ------------------------------------------------------------------------------

bool tunnel_dht_event(struct tunnel *t, usec_t now, const struct dht_event *ev)
{
    if (t->ask == 0 || ev->id != t->ask || (ev->kind != DHT_OPENED && ev->kind != DHT_SILENT))
        return false;
    struct channel_config cfg = {.rng = t->cfg.rng, .lab = t->cfg.lab, .candidates = 1};
    t->ask = 0;
    if (t->state != TUNNEL_OPENING)
        return true;
    int rc = ev->kind == DHT_OPENED
                 ? handshake_end(&t->opening->noise, &t->opening->own, ev->blob, ev->blob_len, &cfg)
                 : BAUTA_ESTATE;
    cfg.candidate[0] = t->cfg.relay.path;
    cfg.candidate[0].via = t->cfg.under;
    cfg.observed = 0;
    cfg.rtt_hint_us = now - t->started_at;
    if (rc == 0)
        rc = channel_new(&t->channel, now, &cfg, t->cfg.arena);
    sodium_memzero(&cfg, sizeof cfg);
    opening_end(t);
    if (rc == 0)
        t->state = TUNNEL_CONNECTING;
    else
        over(t, true);
    return true;
}

static void say(struct tunnel *t, usec_t now, const struct relay_message *m)
{
    uint8_t out[RELAY_MESSAGE_BYTES_MAX];
    size_t len = relay_message_put(out, m);
    if (t->state != TUNNEL_OPEN ||
        channel_stream_pending(t->channel, CONTROL_STREAM) > RELAY_CONTROL_PENDING_MAX)
        return;
    (void)channel_stream_send(t->channel, now, CONTROL_STREAM, out, len);
}

static void reserve(struct tunnel *t, usec_t now)
{
    say(t, now, &(struct relay_message){.type = RELAY_RESERVE});
    t->renew_at = now + (usec_t)RELAY_RESERVATION_S * USEC_PER_S / 2;
}

// ---- what the relay says ----------------------------------------------------------------------------------

static void consented(struct tunnel *t, const struct relay_message *m)
{
    if (t->said == NULL)
        t->said = arena_take(t->cfg.arena, RELAY_PEERS_MAX * sizeof *t->said);
    if (t->said == NULL || t->said_count == RELAY_PEERS_MAX)
        return;
    struct tunnel_said *s = &t->said[(t->said_first + t->said_count++) % RELAY_PEERS_MAX];
    memcpy(s->key_id, m->key_id, sizeof s->key_id);
    s->path = m->path[0];
    s->path.via = t->cfg.via;
}

static void on_message(struct tunnel *t, usec_t now, const struct relay_message *m)
{
    usec_t half = (usec_t)m->seconds * USEC_PER_S / 2;
    switch (m->type) {
    case RELAY_GRANT:
        t->kBps = m->kBps;
        if (half < 5 * USEC_PER_S) // a relay that wants to hear of us all the time
            half = 5 * USEC_PER_S;
        t->renew_at = now + half;
        return;
    case RELAY_CONSENTED:
        consented(t, m);
        return;
    case RELAY_SEEN:
        if (t->cfg.under == VIA_UDP)
            t->seen = m->path[0];
        return;
    case RELAY_SERVER:
        if (path_reachable(&m->server.path, t->cfg.lab))
            t->server[m->server.path.family == 4 ? 0 : 1] = m->server;
        t->tell_server = true;
        return;
    case RELAY_DRAIN:
        t->draining = t->tell_drain = true;
        t->drain_at = now + (usec_t)m->seconds * USEC_PER_S;
        return;
    default:
        return;
    }
}

static void read_control(struct tunnel *t, usec_t now)
{
    for (size_t got = 1; got > 0;) {
        got = channel_stream_receive(t->channel, now, CONTROL_STREAM, t->in + t->in_len,
                                     sizeof t->in - t->in_len);
        t->in_len = (uint16_t)(t->in_len + got);
        struct relay_message m;
        int used;
        while ((used = relay_message_get(&m, t->in, t->in_len)) > 0) {
            t->in_len = (uint16_t)(t->in_len - used);
            memmove(t->in, t->in + used, t->in_len);
            on_message(t, now, &m);
        }
        if (used < 0 || t->in_len == sizeof t->in) { // nonsense
            channel_close(t->channel, now, 1);
            return;
        }
    }
}

void tunnel_consent(struct tunnel *t, usec_t now, const uint8_t key[static 32],
                    const struct path *path, size_t n)
{
    struct relay_message m = {.type = RELAY_CONSENT};
    memcpy(m.key, key, sizeof m.key);
    for (size_t i = 0; i < n && m.count < RELAY_PEER_PATHS_MAX; i++)
        m.path[m.count++] = path[i];
    say(t, now, &m);
    sodium_memzero(&m, sizeof m);
}

void tunnel_forget(struct tunnel *t, usec_t now, const uint8_t key[static 32])
{
    struct relay_message m = {.type = RELAY_FORGET};
    memcpy(m.key, key, sizeof m.key);
    say(t, now, &m);
    sodium_memzero(&m, sizeof m);
}

// ---- events ---------------------------------------------------------------------------------------------

// False: nothing of it is the driver's business.
static bool from_channel(struct tunnel *t, usec_t now, const struct channel_event *c,
                         struct tunnel_event *ev)
{
    memcpy(ev->cid, c->cid, sizeof ev->cid);
    ev->phase = c->phase;
    switch (c->kind) {
    case CHANNEL_CID_ADD:
        ev->kind = TUNNEL_CID_ADD;
        return true;
    case CHANNEL_CID_DROP:
        ev->kind = TUNNEL_CID_DROP;
        return true;
    case CHANNEL_READY: // what we send now arrives after the words' last message
        t->state = TUNNEL_OPEN;
        t->open_at = now;
        t->give_up_at = USEC_NEVER;
        t->tell_open = true;
        reserve(t, now);
        return false;
    case CHANNEL_READABLE:
        if (c->stream == CONTROL_STREAM)
            read_control(t, now);
        return false;
    case CHANNEL_LOST:
        ev->kind = TUNNEL_LOST;
        return true;
    case CHANNEL_FOUND:
        ev->kind = TUNNEL_FOUND;
        return true;
    case CHANNEL_CLOSED:
        over(t, false);
        return false;
    default:
        return false;
    }
}

bool tunnel_event(struct tunnel *t, usec_t now, struct tunnel_event *ev)
{
    struct channel_event c;
    memset(ev, 0, sizeof *ev);
    while (t->channel != NULL && channel_event(t->channel, &c))
        if (from_channel(t, now, &c, ev))
            return true;
    if (t->tell_open && t->state == TUNNEL_OPEN) {
        t->tell_open = false;
        ev->kind = TUNNEL_READY;
        return true;
    }
    if (t->said_count > 0) {
        const struct tunnel_said *s = &t->said[t->said_first];
        memcpy(ev->key_id, s->key_id, sizeof ev->key_id);
        ev->path = s->path;
        ev->kind = TUNNEL_CONSENTED;
        t->said_first = (uint8_t)((t->said_first + 1) % RELAY_PEERS_MAX);
        t->said_count--;
        return true;
    }
    if (t->tell_server) {
        t->tell_server = false;
        ev->kind = TUNNEL_SERVER;
        return true;
    }
    if (t->tell_drain) {
        t->tell_drain = false;
        ev->kind = TUNNEL_DRAINING;
        ev->seconds = t->drain_at > now ? (uint32_t)((t->drain_at - now) / USEC_PER_S) : 0;
        return true;
    }
    if (t->state == TUNNEL_OVER && !t->ended) {
        t->ended = true;
        ev->kind = TUNNEL_CLOSED;
        ev->refused = t->refused;
        return true;
    }
    return false;
}

// ---- time ---------------------------------------------------------------------------------------------------

bool tunnel_expire(struct tunnel *t, usec_t now, unsigned budget)
{
    bool more = t->channel != NULL && channel_expire(t->channel, now, budget);
    if (t->give_up_at <= now && t->state < TUNNEL_OPEN) {
        t->give_up_at = USEC_NEVER;
        over(t, false);
    }
    if (t->renew_at <= now)
        reserve(t, now);
    return more;
}

usec_t tunnel_deadline(const struct tunnel *t)
{
    usec_t first = t->channel != NULL ? channel_deadline(t->channel) : USEC_NEVER;
    if (t->state < TUNNEL_OPEN && t->give_up_at < first)
        first = t->give_up_at;
    return t->state == TUNNEL_OPEN && t->renew_at < first ? t->renew_at : first;
}

void tunnel_renew(struct tunnel *t, usec_t now)
{
    if (t->state == TUNNEL_OPEN && now + TUNNEL_RENEW_US < t->renew_at)
        t->renew_at = now + TUNNEL_RENEW_US;
}

void tunnel_move(struct tunnel *t, usec_t now, const struct path *relay, uint32_t under)
{
    if (t->channel == NULL || t->cfg.under == under)
        return;
    t->before = t->cfg.under;
    t->cfg.under = under;
    t->cfg.relay.path = *relay;
    struct path at = *relay;
    at.via = under;
    channel_candidates(t->channel, now, &at, 1);
    channel_moved(t->channel, now);
}

bool tunnel_comes_by(const struct tunnel *t, uint32_t via)
{
    return via == t->cfg.under || (via == t->before && via != VIA_NONE);
}

void tunnel_end(struct tunnel *t, usec_t now)
{
    if (t->channel == NULL || t->state < TUNNEL_OPEN)
        over(t, false);
    else if (t->state == TUNNEL_OPEN)
        channel_close(t->channel, now, 0);
}

// ---- datagrams ------------------------------------------------------------------------------------------------

int tunnel_receive(struct tunnel *t, usec_t now, const uint8_t cid[static CID_BYTES],
                   unsigned phase, const struct path *from, uint8_t ecn, uint8_t *data, size_t len)
{
    return channel_receive(t->channel, now, cid, phase, from, ecn, data, len);
}

bool tunnel_datagram(struct tunnel *t, struct path *from, uint8_t **data, size_t *len)
{
    const uint8_t *d;
    size_t d_len;
    bool bad;
    while (channel_datagram(t->channel, &d, &d_len)) {
        if (!relay_parts_take(&t->parts, t->cfg.arena, &d, &d_len, &bad))
            continue;
        struct rd r = rd_init(d, d_len);
        struct relay_head head;
        if (relay_head_get(&r, &head) != 0 || head.server != NULL || r.left < DATAGRAM_BYTES_MIN)
            continue;
        *from = head.path;
        from->via = t->cfg.via;
        // It lies in the receive buffer or with the parts, both of which are ours to write.
        *data = (uint8_t *)(uintptr_t)r.p;
        *len = r.left;
        return true;
    }
    return false;
}

int tunnel_send(struct tunnel *t, const struct path *to, const uint8_t *server, const uint8_t *data,
                size_t len)
{
    struct relay_head head = {.path = *to, .server = server};
    if (t->state != TUNNEL_OPEN)
        return BAUTA_ESTATE;
    return relay_parts_put(t->channel, &head, data, len, &t->part_id);
}

size_t tunnel_transmit(struct tunnel *t, usec_t now, uint8_t *buf, size_t cap, struct batch *batch,
                       size_t max)
{
    return t->channel != NULL ? channel_transmit(t->channel, now, buf, cap, batch, max) : 0;
}
