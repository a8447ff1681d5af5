// Single questions to one server on a way of their own: is it there, and may we open a channel to it? And by which
// way all other datagrams go.
#include "crypto/bytes.h"
#include "dht/internal.h"

struct ask *ask_find(const struct dht *d, uint32_t id)
{
    for (struct ask *a = d->asks; a != NULL; a = a->next)
        if (a->id == id)
            return a;
    return NULL;
}

static void ask_free(struct dht *d, struct ask *a)
{
    struct ask **at = &d->asks;
    while (*at != a)
        at = &(*at)->next;
    *at = a->next;
    d->ask_count--;
    calls_forget(d, CALL_ASK, a->id);
    arena_give(d->config.arena, a, sizeof *a);
}

static int ask_open(struct dht *d, const struct contact *c, uint32_t via,
                    const struct wire_request *q, uint32_t user, uint32_t *id)
{
    struct path by = c->path;
    by.via = via;
    if (!path_reachable(&by, d->config.lab))
        return BAUTA_EFORMAT;
    if (d->ask_count >= ASKS_MAX)
        return BAUTA_ELIMIT;
    book_ref ref = dht_hold(d, c);
    struct ask *a = ref == 0 ? NULL : arena_take(d->config.arena, sizeof *a);
    if (a == NULL) {
        book_drop(d->config.book, ref);
        return BAUTA_ESPACE;
    }
    a->id = dht_next_id(d);
    a->user = user;
    a->next = d->asks;
    d->asks = a;
    d->ask_count++;
    struct call_spec spec = {.owner_kind = CALL_ASK,
                             .owner = a->id,
                             .ref = ref,
                             .class_min = CLASS_SMALL,
                             .own_via = true,
                             .via = via};
    int rc = call_start(d, &spec, q, NULL);
    book_drop(d->config.book, ref);
    if (rc != 0)
        ask_free(d, a);
    else
        *id = a->id;
    return rc;
}

int dht_ping(struct dht *d, usec_t now, const struct contact *c, uint32_t via, uint32_t user,
             uint32_t *id)
{
    struct wire_request q = {.kind = RPC_PING};
    d->now = now;
    return ask_open(d, c, via, &q, user, id);
}

int dht_open(struct dht *d, usec_t now, const struct contact *c, uint32_t via, const uint8_t *blob,
             size_t len, uint32_t user, uint32_t *id)
{
    d->now = now;
    if (len > WIRE_OPEN_BLOB_MAX)
        return BAUTA_ELIMIT;
    struct wire_request q = {.kind = RPC_OPEN, .blob = blob, .blob_len = (uint16_t)len};
    return ask_open(d, c, via, &q, user, id);
}

void dht_ask_close(struct dht *d, usec_t now, uint32_t id)
{
    d->now = now;
    struct ask *a = ask_find(d, id);
    if (a != NULL)
        ask_free(d, a);
}

void ask_answered(struct dht *d, struct call *c, const struct wire_answer *answer)
{
    struct ask *a = ask_find(d, c->owner);
    if (a == NULL)
        return;
    bool ok = answer->status == RPC_OK, open = c->kind == RPC_OPEN;
    struct dht_event *e = dht_push_event(d,
                                         !ok    ? DHT_SILENT
                                         : open ? DHT_OPENED
                                                : DHT_PONG,
                                         a->id, a->user, ok && open ? answer->blob : NULL,
                                         ok && open ? answer->blob_len : 0);
    if (e != NULL && ok && !open)
        e->path = answer->seen;
    ask_free(d, a);
}

void ask_failed(struct dht *d, struct call *c)
{
    struct ask *a = ask_find(d, c->owner);
    if (a == NULL)
        return;
    (void)dht_push_event(d, DHT_SILENT, a->id, a->user, NULL, 0);
    ask_free(d, a);
}

size_t dht_told(const struct dht *d, struct contact *out, size_t max)
{
    const struct upkeep *u = &d->upkeep;
    size_t n = 0;
    for (unsigned i = 0; i < u->bootstraps && n < max; i++)
        out[n++] = dht_entry(d, u->bootstrap[i])->contact;
    for (unsigned i = 0; i < u->imports && n < max; i++)
        out[n++] = u->import[i];
    return n;
}

bool dht_serves(const struct dht *d)
{
    return upkeep_serves_any(d);
}

void dht_other_way(struct dht *d, usec_t now, uint32_t via, bool v4)
{
    bool before = dht_by_other_way(d, 4);
    d->now = now;
    d->other_via = via;
    d->other_v4 = v4 && via != VIA_NONE;
    if (!before && dht_by_other_way(d, 4))
        place_look_wider(d);
}

bool dht_by_other_way(const struct dht *d, uint8_t family)
{
    return d->other_v4 && d->via == VIA_UDP && family == 4 && !dht_heard_family(d, 4);
}

bool dht_heard_udp(const struct dht *d)
{
    return d->upkeep.heard_udp;
}

void dht_forget_udp(struct dht *d)
{
    d->upkeep.heard_udp = false;
}

bool dht_joined(const struct dht *d)
{
    return dht_live(d) > 0;
}

// ---- the way out ----------------------------------------------------------------------------------

// What servers said of our address was said of another one; which families work is to be found out; introducers
// have to hear where we are now.
void dht_via(struct dht *d, usec_t now, uint32_t via)
{
    struct upkeep *u = &d->upkeep;
    d->now = now;
    if (via == d->via)
        return;
    d->via = via;
    memset(u->vote, 0, sizeof u->vote);
    memset(u->seen, 0, sizeof u->seen);
    memset(u->unheard_family, 0, sizeof u->unheard_family);
    reach_restart(d, 0);
    reach_restart(d, 1);
    if (via != VIA_UDP) { // who has no address that others should know serves nobody
        u->serves[0] = u->serves[1] = u->answers = false;
        for (unsigned f = 0; f < 2; f++) {
            dialback_end(d, f);
            if (u->own_centre[f])
                rng_fill(&d->config.rng, d->centre[f], sizeof d->centre[f]);
            u->own_centre[f] = false;
            if (d->table[f] != NULL)
                table_recentre(d->table[f], d->centre[f]);
        }
    }
    if (via == VIA_NONE)
        return;
    for (struct attend *a = d->attends; a != NULL; a = a->next)
        dht_attend_renew(d, now, a->id);
    join_now(d);
}
