// Who consented to a client's datagrams. Servers of the DHT do by answering a ping of ours; what one client learnt so
// holds for all.
#include "node/relay/internal.h"

#include <sodium.h>

static uint64_t path_hash(const struct relay *r, const struct path *p)
{
    return relay_hash(r, p, sizeof *p);
}

static void permit_drop(struct relay_client *c, struct permit *p)
{
    map_remove(&c->permits, &p->node);
    c->permit_count--;
    if (c->recent == p)
        c->recent = NULL;
    arena_give(&c->arena, p, sizeof *p);
}

static struct permit *find(const struct relay *r, struct relay_client *c, const struct path *path)
{
    if (c->recent != NULL && path_equal(&c->recent->path, path))
        return c->recent;
    for (struct map_node *n = map_first(&c->permits, path_hash(r, path)); n != NULL;
         n = map_next(n)) {
        struct permit *p = (struct permit *)n;
        if (path_equal(&p->path, path))
            return c->recent = p;
    }
    return NULL;
}

struct permit *permit_find(struct relay *r, usec_t now, struct relay_client *c,
                           const struct path *path)
{
    struct permit *p = find(r, c, path);
    if (p == NULL || p->until > now)
        return p;
    permit_drop(c, p);
    return NULL;
}

// The one that is over first gives way.
static void make_room(struct relay_client *c)
{
    struct permit *oldest = NULL;
    for (uint32_t i = 0; i < c->permits.heads; i++)
        for (struct map_node *n = c->permits.head[i]; n != NULL; n = n->next) {
            struct permit *p = (struct permit *)n;
            if (oldest == NULL || p->until < oldest->until)
                oldest = p;
        }
    if (oldest != NULL)
        permit_drop(c, oldest);
}

struct permit *permit_give(struct relay *r, usec_t now, struct relay_client *c,
                           const struct path *path, bool peer)
{
    struct permit *p = find(r, c, path);
    if (p == NULL) {
        if (c->permit_count >= RELAY_PERMITS_MAX)
            make_room(c);
        p = arena_take(&c->arena, sizeof *p);
        if (p == NULL)
            return NULL;
        p->path = *path;
        if (map_put(&c->permits, &p->node, path_hash(r, path)) != 0) {
            arena_give(&c->arena, p, sizeof *p);
            return NULL;
        }
        c->permit_count++;
        p->allowance.left = RELAY_SERVER_BURST_BYTES;
        p->allowance.at = now;
    }
    p->peer = p->peer || peer;
    p->until = now + RELAY_PERMIT_US;
    return p;
}

void permits_tidy(struct relay_client *c, usec_t now)
{
    for (uint32_t i = 0; i < c->permits.heads; i++)
        for (struct map_node *n = c->permits.head[i], *next; n != NULL; n = next) {
            struct permit *p = (struct permit *)n;
            next = n->next;
            if (p->until <= now)
                permit_drop(c, p);
        }
    if (c->permit_count == 0)
        map_end(&c->permits);
    if (c->parts != NULL && c->parts->whole == 0)
        relay_parts_free(&c->parts, &c->arena);
}

void permits_end(struct relay *r, struct relay_client *c)
{
    (void)r;
    while (c->permit_count > 0)
        make_room(c);
    map_end(&c->permits);
}

// ---- servers ------------------------------------------------------------------------------------------

static uint64_t server_tag(const struct relay *r, const struct path *path, const uint8_t *pk)
{
    uint8_t both[sizeof *path + 32];
    memcpy(both, path, sizeof *path);
    memcpy(both + sizeof *path, pk, 32);
    uint64_t tag = relay_hash(r, both, sizeof both);
    return tag == 0 ? 1 : tag;
}

// Two-way by its tag: a flood of made-up servers never gets here, since they would have to answer.
static struct known *known_at(struct relay *r, uint64_t tag)
{
    if (r->known == NULL)
        r->known = arena_take(r->cfg.arena, RELAY_CONSENTS_MAX * sizeof *r->known);
    if (r->known == NULL)
        return NULL;
    struct known *k = &r->known[tag % (RELAY_CONSENTS_MAX / 2) * 2];
    if (k[0].tag == tag || k[1].tag == tag)
        return &k[k[1].tag == tag];
    return &k[k[1].until < k[0].until];
}

static bool is_known(struct relay *r, usec_t now, const struct path *path, const uint8_t *pk)
{
    uint64_t tag = server_tag(r, path, pk);
    const struct known *k = known_at(r, tag);
    return k != NULL && k->tag == tag && k->until > now;
}

void permit_ask(struct relay *r, usec_t now, struct relay_client *c, const struct relay_head *head,
                const uint8_t *data, size_t len)
{
    if (!path_reachable(&head->path, r->cfg.lab)) {
        r->count.dropped_format++;
        return;
    }
    if (is_known(r, now, &head->path, head->server)) {
        struct permit *p = permit_give(r, now, c, &head->path, false);
        if (p != NULL &&
            allowance_take(&p->allowance, now, RELAY_SERVER_BPS, RELAY_SERVER_BURST_BYTES, len))
            relay_send(r, c, &head->path, data, len);
        return;
    }
    if (r->asking == NULL)
        r->asking = arena_take(r->cfg.arena, RELAY_ASKING_MAX * sizeof *r->asking);
    struct asking *free = NULL;
    for (unsigned i = 0; r->asking != NULL && i < RELAY_ASKING_MAX; i++) {
        struct asking *a = &r->asking[i];
        if (a->id == 0)
            free = a;
        else if (a->via == c->via && path_equal(&a->path, &head->path) &&
                 memcmp(a->pk, head->server, 32) == 0)
            return; // it is being asked; the datagram that waits will do
    }
    struct contact contact = {.path = head->path};
    memcpy(contact.pk, head->server, sizeof contact.pk);
    if (free == NULL || c->asking >= RELAY_ASKING_CLIENT_MAX || len > sizeof free->held ||
        dht_ping(r->cfg.dht, now, &contact, VIA_UDP, r->cfg.user, &free->id) != 0) {
        r->count.dropped_queue++;
        return;
    }
    r->count.asked_servers++;
    c->asking++;
    free->client = c->index;
    free->via = c->via;
    free->path = head->path;
    memcpy(free->pk, head->server, sizeof free->pk);
    free->held_len = (uint16_t)len;
    memcpy(free->held, data, len);
}

bool permit_event(struct relay *r, usec_t now, const struct dht_event *ev)
{
    for (unsigned i = 0; r->asking != NULL && i < RELAY_ASKING_MAX; i++) {
        struct asking *a = &r->asking[i];
        if (a->id != ev->id)
            continue;
        struct relay_client *c = relay_client_of_via(r, a->via);
        a->id = 0;
        if (c != NULL)
            c->asking--;
        if (ev->kind == DHT_PONG) {
            uint64_t tag = server_tag(r, &a->path, a->pk);
            struct known *k = known_at(r, tag);
            if (k != NULL)
                *k = (struct known){tag, now + RELAY_CONSENT_US};
            if (c != NULL && permit_give(r, now, c, &a->path, false) != NULL)
                relay_send(r, c, &a->path, a->held, a->held_len);
        }
        sodium_memzero(a->held, a->held_len);
        return true;
    }
    return false;
}

void permits_forget_client(struct relay *r, usec_t now, const struct relay_client *c)
{
    for (unsigned i = 0; r->asking != NULL && i < RELAY_ASKING_MAX; i++)
        if (r->asking[i].id != 0 && r->asking[i].via == c->via) {
            dht_ask_close(r->cfg.dht, now, r->asking[i].id);
            r->asking[i].id = 0;
        }
}
