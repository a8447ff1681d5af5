#include "node/reunion.h"

#include "node/node_internal.h"

#include <sodium.h>

static usec_t earlier(usec_t a, usec_t b)
{
    return a < b ? a : b;
}

static uint32_t user_of(const struct conversation *c)
{
    return REUNION_USER + c->index;
}

void reunion_init(struct reunion *r)
{
    memset(r, 0, sizeof *r);
    r->check_at = r->due_at = r->ask_at = USEC_NEVER;
}

// Nobody is asked for who is parting, or whose person does not want the own address known any more.
static bool wanted(const struct node *n, const struct conversation *c)
{
    return c->matched && !c->ending && !c->closed && !c->peer_left && !n->stopping &&
           n->cfg.privacy == NODE_DIRECT && !c->relayed;
}

// ---- where we can be asked for ----------------------------------------------------------------------

static void draw_handle(struct node *n, struct reunion_point *p)
{
    rng_fill(&n->cfg.rng, p->handle, sizeof p->handle);
}

// A server that can stand in place of point i. False: none is known.
static bool other_server(struct node *n, const struct conversation *c, unsigned i,
                         struct contact *out)
{
    const struct reunion *r = &c->reunion;
    struct contact known[REUNION_POINTS_MAX + 1];
    size_t k = dht_servers_apart(n->dht, &c->path, known, REUNION_POINTS_MAX + 1);
    const struct contact *kept = r->mine_count > 1 ? &r->mine[i ^ 1].contact : NULL;
    for (size_t j = 0; j < k; j++)
        if (kept == NULL || memcmp(known[j].pk, kept->pk, sizeof kept->pk) != 0) {
            *out = known[j];
            return true;
        }
    return false;
}

static void tell(struct conversation *c)
{
    struct reunion *r = &c->reunion;
    uint8_t out[CHANNEL_MEETING_BYTES_MAX];
    size_t len = reunion_put_points(out, r->mine, r->mine_count);
    (void)channel_meeting(c->channel, out, len);
}

// Points whose servers left, or that were used, are replaced one at a time.
static void look_after(struct node *n, usec_t now, struct conversation *c)
{
    struct reunion *r = &c->reunion;
    r->check_at = now + REUNION_CHECK_US;
    if (!wanted(n, c) || r->state != REUNION_NONE)
        return;
    if (r->mine_count < REUNION_POINTS_MAX && r->stale == 0) { // so far too few were known
        struct contact known[REUNION_POINTS_MAX];
        size_t k = dht_servers_apart(n->dht, &c->path, known, REUNION_POINTS_MAX);
        if (k <= r->mine_count)
            return;
        r->mine_count = (uint8_t)k;
        for (unsigned i = 0; i < k; i++) {
            r->mine[i].contact = known[i];
            draw_handle(n, &r->mine[i]);
        }
        tell(c);
        return;
    }
    struct contact other;
    for (unsigned i = 0; i < r->mine_count;
         i++) // one that left stays where there is none to take its place
        if (!dht_server_live(n->dht, &r->mine[i].contact) && other_server(n, c, i, &other))
            r->stale |= (uint8_t)(1u << i);
    if (r->stale == 0)
        return;
    r->check_at = now + REUNION_TELL_US;
    if (!channel_meeting_told(c->channel))
        return;
    unsigned i = (r->stale & 1u) != 0 ? 0 : 1;
    r->stale &= (uint8_t) ~(1u << i);
    if (other_server(n, c, i, &other))
        r->mine[i].contact = other;
    draw_handle(n, &r->mine[i]);
    tell(c);
}

void reunion_matched(struct node *n, usec_t now, struct conversation *c)
{
    look_after(n, now, c);
}

void reunion_meeting(struct conversation *c, const uint8_t *data, size_t len)
{
    struct reunion *r = &c->reunion;
    struct reunion_point point[REUNION_POINTS_MAX] = {0};
    size_t n;
    // What makes no sense leads nowhere, and harms only who said it.
    if (reunion_get_points(point, &n, data, len) != BAUTA_OK)
        return;
    memcpy(r->theirs, point, sizeof r->theirs);
    r->their_count = (uint8_t)n;
}

// ---- notes ------------------------------------------------------------------------------------------

static void seen_now(const struct node *n, const struct conversation *c, struct path seen[static 2])
{
    memset(seen, 0, 2 * sizeof *seen);
    for (unsigned i = 0; i < REUNION_ATTENDS_MAX; i++) {
        const struct reunion_attend *a = &c->reunion.attend[i];
        struct path p;
        if (a->id != 0 && a->ready && dht_attend_seen(n->dht, a->id, &p))
            seen[p.family == 4 ? 0 : 1] = p;
    }
}

static int seal(struct node *n, usec_t now, struct conversation *c, uint8_t *note, size_t size)
{
    struct reunion *r = &c->reunion;
    struct path seen[2];
    struct meet_candidates own;
    uint8_t data[CHANNEL_REUNION_BYTES_MAX];
    seen_now(n, c, seen);
    meet_candidates_own(n->meet, seen, r->peer_known ? &r->peer : NULL, &own);
    size_t len = reunion_put_candidates(data, REUNION_CANDIDATE_BYTES, &own);
    return channel_reunion_seal(c->channel, now, data, len, note, size);
}

// The other's candidates: they are probed at once, as theirs do with ours.
static bool take(struct node *n, usec_t now, struct conversation *c, const struct dht_event *ev)
{
    struct reunion *r = &c->reunion;
    uint8_t note[REUNION_OFFER_NOTE_BYTES], cid[CID_BYTES], data[CHANNEL_REUNION_BYTES_MAX];
    struct meet_candidates peer, may;
    struct path seen[2];
    size_t size = reunion_unwrap(note, ev->blob, ev->blob_len), len = 0;
    if (size == 0 || r->notes >= REUNION_NOTES_MAX)
        return false;
    packet_cid(cid, note, size, n->recv_mask);
    const struct cid_slot *slot = cids_find(&n->cids, cid);
    if (slot == NULL || slot->owner != c->index + 1u ||
        channel_reunion_open(c->channel, now, cid, slot->phase, note, size, data, &len) !=
            BAUTA_OK ||
        reunion_get_candidates(&peer, data, len) != BAUTA_OK)
        return false;
    r->notes++;
    r->peer = may = peer;
    r->peer_known = true;
    if (!wanted(n, c))
        return false;
    seen_now(n, c, seen);
    meet_candidates_take(n->meet, now, &may, seen);
    if (may.count > 0)
        channel_candidates(c->channel, now, may.path, may.count);
    return true;
}

static void answer(struct node *n, usec_t now, struct conversation *c, const struct dht_event *ev)
{
    uint8_t note[REUNION_ANSWER_NOTE_BYTES], blob[REUNION_ANSWER_BYTES];
    if (seal(n, now, c, note, sizeof note) != BAUTA_OK)
        return;
    reunion_wrap_answer(blob, note, &n->cfg.rng);
    (void)dht_attend_answer(n->dht, now, ev->id, ev->link, blob, sizeof blob);
}

// ---- seeking ----------------------------------------------------------------------------------------

static void attend(struct node *n, usec_t now, struct conversation *c, unsigned i,
                   const struct reunion_point *p)
{
    struct reunion_attend *a = &c->reunion.attend[i];
    *a = (struct reunion_attend){0};
    if (dht_attend_open(n->dht, now, c->reunion.key, &p->contact, p->handle, user_of(c), &a->id) !=
        BAUTA_OK)
        a->id = 0;
}

// At those of our points where we are not attending.
static void attend_all(struct node *n, usec_t now, struct conversation *c)
{
    for (unsigned i = 0; i < c->reunion.mine_count; i++)
        if (c->reunion.attend[i].id == 0)
            attend(n, now, c, i, &c->reunion.mine[i]);
}

// None of our own points answers: somebody else has to tell us where we are.
static void attend_elsewhere(struct node *n, usec_t now, struct conversation *c)
{
    struct reunion_point p;
    struct contact known[REUNION_POINTS_MAX + 1];
    size_t k = dht_servers_apart(n->dht, &c->path, known, REUNION_POINTS_MAX + 1);
    for (size_t j = 0; j < k; j++) {
        bool used = false;
        for (unsigned i = 0; i < c->reunion.mine_count; i++)
            used = used || memcmp(known[j].pk, c->reunion.mine[i].contact.pk, 32) == 0;
        if (used)
            continue;
        p.contact = known[j];
        draw_handle(n, &p);
        attend(n, now, c, REUNION_POINTS_MAX, &p);
        return;
    }
}

// Who named the points decides where we send, may name others at any time, and may fall silent and come back as
// often as it likes: so all offers of a conversation share one allowance.
static bool may_ask(struct reunion *r, usec_t now)
{
    usec_t earned = (now - r->asks_at) / REUNION_ASK_US;
    r->asks_at += earned * REUNION_ASK_US;
    r->asks = earned < r->asks ? r->asks - (uint32_t)earned : 0;
    if (r->asks >= REUNION_ASKS_MAX)
        return false;
    r->asks++;
    return true;
}

static void ask(struct node *n, usec_t now, struct conversation *c)
{
    struct reunion *r = &c->reunion;
    for (unsigned i = 0; i < r->their_count && wanted(n, c); i++) {
        struct reunion_ask *a = &r->ask[i];
        const struct reunion_point *p = &r->theirs[i];
        uint8_t note[REUNION_OFFER_NOTE_BYTES], blob[REUNION_OFFER_BYTES];
        // Who named it decides where we send. Once is no more than a stranger's record may ask for; whoever has us
        // do it again and again spends our budget of probed addresses.
        if (a->failures >= REUNION_FAILURES_MAX ||
            (r->often && !meet_probe(n->meet, now, &p->contact.path)) || !may_ask(r, now) ||
            seal(n, now, c, note, sizeof note) != BAUTA_OK)
            continue;
        reunion_wrap_offer(blob, note, &n->cfg.rng);
        if (a->id != 0)
            (void)dht_introduce_send(n->dht, now, a->id, blob, sizeof blob);
        else if (dht_introduce_open(n->dht, now, r->key, &p->contact, p->handle, blob, sizeof blob,
                                    user_of(c), &a->id) != BAUTA_OK)
            a->id = 0;
    }
    r->ask_at = now + rng_between(&n->cfg.rng, r->gap_us, r->gap_us * 5 / 4);
    r->gap_us = earlier(2 * r->gap_us, REUNION_GAP_US_MAX);
}

static bool any_ready(const struct reunion *r)
{
    bool any = false;
    for (unsigned i = 0; i < REUNION_ATTENDS_MAX; i++)
        any = any || r->attend[i].ready;
    return any;
}

static void begin(struct node *n, usec_t now, struct conversation *c)
{
    struct reunion *r = &c->reunion;
    r->due_at = USEC_NEVER;
    r->state = REUNION_NONE;
    if (!wanted(n, c))
        return;
    if (dht_key_open(n->dht, now, user_of(c), &r->key) !=
        BAUTA_OK) { // room comes when others are done
        r->key = 0;
        r->state = REUNION_WAITS;
        r->due_at = now + REUNION_PAUSE_US;
        return;
    }
    r->state = REUNION_SEEKS;
    r->often = r->began_at != 0 && now < r->began_at + REUNION_OFTEN_US;
    r->began_at = r->renewed_at = now;
    r->notes = 0;
    r->peer_known = false;
    r->gap_us = REUNION_GAP_US_MIN;
    memset(r->ask, 0, sizeof r->ask);
    memset(r->attend, 0, sizeof r->attend);
    attend_all(n, now, c);
    // The first of them that answers says where we are; without, what we know has to do.
    r->ask_at = now + REUNION_SEEN_US;
}

// From where we are now. The key stays: the handles belong to it.
static void start_over(struct node *n, usec_t now, struct conversation *c)
{
    struct reunion *r = &c->reunion;
    for (unsigned i = 0; i < REUNION_ATTENDS_MAX; i++) {
        r->attend[i].ready = false;
        if (r->attend[i].id != 0)
            dht_attend_renew(n->dht, now, r->attend[i].id);
    }
    for (unsigned i = 0; i < REUNION_POINTS_MAX; i++)
        r->ask[i].failures = 0;
    attend_all(n, now, c);
    r->renewed_at = now;
    if (r->state != REUNION_SEEKS)
        return;
    r->gap_us = REUNION_GAP_US_MIN;
    r->ask_at = now + REUNION_SEEN_US;
}

static void finish(struct node *n, usec_t now, struct reunion *r)
{
    if (r->key != 0)
        dht_place_close(n->dht, now, r->key); // with its attends and introductions
    r->key = 0;
    memset(r->attend, 0, sizeof r->attend);
    memset(r->ask, 0, sizeof r->ask);
    r->state = REUNION_NONE;
    r->ask_at = r->due_at = USEC_NEVER;
    // Introducers have seen these handles at an address; the next reunion is none of their business.
    r->stale = (uint8_t)((1u << r->mine_count) - 1u);
    r->check_at = now;
}

void reunion_lost(struct node *n, usec_t now, struct conversation *c)
{
    struct reunion *r = &c->reunion;
    if (!wanted(n, c) || (r->mine_count == 0 && r->their_count == 0))
        return;
    if (r->state == REUNION_LINGERS) {
        r->state = REUNION_SEEKS;
        r->due_at = USEC_NEVER;
        start_over(n, now, c);
        return;
    }
    if (r->state != REUNION_NONE)
        return;
    if (r->began_at != 0 && now < r->began_at + REUNION_PAUSE_US) {
        r->state = REUNION_WAITS;
        r->due_at = r->began_at + REUNION_PAUSE_US;
        return;
    }
    begin(n, now, c);
}

void reunion_moved(struct node *n, usec_t now, struct conversation *c)
{
    struct reunion *r = &c->reunion;
    channel_moved(c->channel, now);
    if (r->key != 0 && !wanted(n, c))
        finish(n, now, r);
    if (r->state == REUNION_SEEKS || r->state == REUNION_LINGERS)
        start_over(n, now, c); // what it had done so far it did where we are not any more
}

void reunion_found(struct node *n, usec_t now, struct conversation *c)
{
    struct reunion *r = &c->reunion;
    (void)n;
    if (r->state == REUNION_WAITS) {
        r->state = REUNION_NONE;
        r->due_at = USEC_NEVER;
    } else if (r->state == REUNION_SEEKS) {
        r->state = REUNION_LINGERS;
        r->ask_at = USEC_NEVER;
        r->due_at = now + REUNION_LINGER_US;
    }
}

// ---- what happens -----------------------------------------------------------------------------------

static void on_attend(struct node *n, usec_t now, struct conversation *c, unsigned i,
                      const struct dht_event *ev)
{
    struct reunion *r = &c->reunion;
    bool first = !any_ready(r);
    switch (ev->kind) {
    case DHT_ATTENDING:
        r->attend[i].ready = true;
        if (first && r->state == REUNION_SEEKS)
            ask(n, now, c);
        return;
    case DHT_ATTEND_LOST:
        r->attend[i] = (struct reunion_attend){0};
        return;
    case DHT_OFFER:
        if (take(n, now, c, ev))
            answer(n, now, c, ev);
        return;
    default:
        return;
    }
}

void reunion_dht_event(struct node *n, usec_t now, struct conversation *c,
                       const struct dht_event *ev)
{
    struct reunion *r = &c->reunion;
    if (r->key == 0 || c->channel == NULL || c->closed)
        return;
    for (unsigned i = 0; i < REUNION_ATTENDS_MAX; i++)
        if (r->attend[i].id != 0 && r->attend[i].id == ev->id) {
            on_attend(n, now, c, i, ev);
            return;
        }
    for (unsigned i = 0; i < REUNION_POINTS_MAX; i++) {
        struct reunion_ask *a = &r->ask[i];
        if (a->id == 0 || a->id != ev->id)
            continue;
        if (ev->kind == DHT_BACK) {
            (void)take(n, now, c, ev);
        } else if (ev->kind == DHT_INTRO_FAILED) {
            dht_introduce_close(n->dht, now, a->id);
            a->id = 0;
            a->failures++;
        }
        return;
    }
}

void reunion_expire(struct node *n, usec_t now, struct conversation *c)
{
    struct reunion *r = &c->reunion;
    if (c->closed)
        return;
    if (r->key != 0 && !wanted(n, c)) // meanwhile the person chose to hide the address
        finish(n, now, r);
    if (r->due_at <= now) {
        if (r->state == REUNION_WAITS)
            begin(n, now, c);
        else
            finish(n, now, r);
    }
    if (r->state == REUNION_SEEKS && r->ask_at <= now) {
        attend_all(n, now, c);
        if (now >= r->renewed_at + REUNION_RENEW_US) {
            r->renewed_at = now;
            for (unsigned i = 0; i < REUNION_ATTENDS_MAX; i++)
                if (r->attend[i].id != 0)
                    dht_attend_renew(n->dht, now, r->attend[i].id);
        }
        if (!any_ready(r) && r->attend[REUNION_POINTS_MAX].id == 0)
            attend_elsewhere(n, now, c);
        ask(n, now, c);
    }
    if (r->check_at <= now)
        look_after(n, now, c);
}

usec_t reunion_deadline(const struct reunion *r)
{
    return earlier(r->check_at, earlier(r->due_at, r->ask_at));
}

void reunion_end(struct node *n, usec_t now, struct conversation *c)
{
    struct reunion *r = &c->reunion;
    finish(n, now, r);
    r->check_at = USEC_NEVER;
    r->mine_count = r->their_count = 0;
}
