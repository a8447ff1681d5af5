// What conversations have of the node's relays: consents, other ways to a peer whose relay is lost, our own exits for it to
// know.
#include "node/node_internal.h"

#include <sodium.h>

void uplink_conversation(struct node *n, usec_t now, struct conversation *c,
                         const struct channel_config *cfg)
{
    uint8_t key[CONSENT_KEY_BYTES];
    consent_key(key, cfg->k_ir, cfg->k_ri, cfg->h);
    consent_init(&c->consent, key);
    sodium_memzero(key, sizeof key);
    c->relayed = uplink_only(n);
    struct uplink_line *l = n->uplink != NULL ? &n->uplink->line[uplink_talk_slot(n)] : NULL;
    if (l == NULL || !uplink_is_open(l))
        return;
    // Who hides the address has the relay ask at once; else it only lets in whom the direct way is closed to.
    tunnel_consent(l->tunnel, now, c->consent.key, cfg->candidate,
                   c->relayed ? cfg->candidates : 0);
    l->tunnel->ready = l->tunnel->dirty = true;
}

void uplink_conversation_over(struct node *n, usec_t now, struct conversation *c)
{
    for (unsigned i = 0; n->uplink != NULL && i < UPLINK_SLOTS; i++) {
        struct tunnel *t = n->uplink->line[i].tunnel;
        if (t == NULL || t->state != TUNNEL_OPEN)
            continue;
        tunnel_forget(t, now, c->consent.key);
        t->ready = t->dirty = true;
    }
}

void uplink_conversation_lost(struct node *n, usec_t now, struct conversation *c)
{
    struct path peer[CHANNEL_CANDIDATES_MAX], straight[CHANNEL_CANDIDATES_MAX];
    size_t k = 0, s = 0;
    if (c->closed)
        return;
    // Where it was, and where it said that it might be.
    if (c->path.family != 0)
        peer[k++] = c->path;
    for (unsigned i = 0; i < c->points && k < CHANNEL_CANDIDATES_MAX; i++)
        peer[k++] = c->point[i];
    for (size_t i = 0; i < k; i++)
        peer[i].via = VIA_UDP;
    // Straight to its other exits; its relay lets us in. They are a stranger's word, which may be about others.
    for (size_t i = 0; i < k && !c->relayed; i++)
        if (path_equal(&peer[i], &c->path) ||
            (path_reachable(&peer[i], n->cfg.lab) && meet_probe(n->meet, now, &peer[i])))
            straight[s++] = peer[i];
    if (s > 0)
        channel_candidates(c->channel, now, straight, s);
    for (unsigned i = 0; n->uplink != NULL && i < UPLINK_SLOTS; i++) {
        struct uplink_line *l = &n->uplink->line[i];
        if (!uplink_is_open(l) || i == UPLINK_FRONT || (uplink_two_hops(n) && i == UPLINK_MAIN))
            continue;
        tunnel_consent(l->tunnel, now, c->consent.key, peer, k);
        l->tunnel->ready = l->tunnel->dirty = true;
    }
    if (c->relayed)
        channel_moved(c->channel, now);
    node_touch(n, c);
}

size_t uplink_points(const struct node *n, uint8_t out[static UPLINK_POINTS_BYTES_MAX])
{
    struct wr w = wr_init(out, UPLINK_POINTS_BYTES_MAX);
    uint8_t count = 0;
    wr_u8(&w, UPLINK_POINTS);
    for (unsigned i = 0; n->uplink != NULL && i < UPLINK_SLOTS && count < 2; i++) {
        const struct uplink_line *l = &n->uplink->line[i];
        bool talks =
            i == (unsigned)uplink_talk_slot(n) || (i == UPLINK_SPARE && !uplink_two_hops(n));
        for (unsigned f = 0; f < 2 && talks && uplink_is_open(l) && count < UPLINK_POINTS_MAX; f++)
            if (l->exit[f].family != 0) {
                path_put(&w, &l->exit[f]);
                count++;
            }
    }
    out[0] = (uint8_t)(UPLINK_POINTS | count);
    return count > 0 ? wr_len(&w) : 0;
}

bool uplink_question(struct node *n, usec_t now, const struct path *from, uint8_t *data, size_t len)
{
    (void)now;
    for (uint32_t i = 0; n->conversations > 0 && len == CONSENT_BYTES && i < NODE_CONVERSATIONS_MAX;
         i++) {
        struct conversation *c = n->busy->conversation[i];
        // Our own relay answers for us, unless it lets the other's exit in already: then that relay's question comes here.
        bool hidden = c != NULL && c->relayed && (from->via & VIA_TUNNEL) == 0;
        if (c == NULL || c->closed || hidden || !consent_is(data, len, c->consent.ask))
            continue;
        struct outbox_slot *slot = outbox_room(n->cfg.out);
        if (slot != NULL && consent_reply(data, len, &c->consent, &n->cfg.rng) == 0) {
            memcpy(slot->data, data, len);
            slot->len = (uint16_t)len;
            slot->path = *from;
            outbox_commit(n->cfg.out);
        }
        return true;
    }
    return false;
}
