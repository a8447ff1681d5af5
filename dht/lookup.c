// Iterative look-ups: ask the nearest known, learn nearer ones, until the nearest eight have answered.
#include "crypto/bytes.h"
#include "dht/internal.h"

#include <sodium.h>

struct lookup *lookup_find(const struct dht *d, uint32_t id)
{
    struct lookup *l = d->lookups;
    while (l != NULL && l->id != id)
        l = l->next;
    return l;
}

static void lookup_free(struct dht *d, struct lookup *l)
{
    struct lookup **at = &d->lookups;
    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
    d->lookup_count--;
    for (unsigned i = 0; i < l->n; i++)
        book_drop(d->config.book, l->cand[i].ref);
    ekey_end(d, &l->ekey);
    arena_give(d->config.arena, l, sizeof *l);
}

void lookup_cancel(struct dht *d, uint32_t id)
{
    struct lookup *l = lookup_find(d, id);
    if (l == NULL)
        return;
    calls_forget(d, CALL_LOOKUP, id);
    lookup_free(d, l);
}

static struct candidate *cand_find(struct lookup *l, book_ref ref)
{
    for (unsigned i = 0; i < l->n; i++)
        if (l->cand[i].ref == ref)
            return &l->cand[i];
    return NULL;
}

static bool counts_in_flight(const struct candidate *c)
{
    return c->state == CAND_ASKED;
}

static void cand_remove(struct dht *d, struct lookup *l, struct candidate *c)
{
    size_t i = (size_t)(c - l->cand);
    l->in_flight = (uint8_t)(l->in_flight - counts_in_flight(c));
    book_drop(d->config.book, c->ref);
    l->n--;
    memmove(c, c + 1, (l->n - i) * sizeof *c);
}

// In the order of distance. The farthest gives way when there are too many.
static struct candidate *cand_add(struct dht *d, struct lookup *l, book_ref ref, uint8_t hop)
{
    struct candidate *there = cand_find(l, ref);
    if (there != NULL)
        return there;
    const uint8_t *id = dht_entry(d, ref)->id;
    unsigned k = l->n;
    while (k > 0 && id_nearer(id, dht_entry(d, l->cand[k - 1].ref)->id, l->target))
        k--;
    if (k == LOOKUP_CANDIDATES)
        return NULL;
    if (l->n == LOOKUP_CANDIDATES)
        cand_remove(d, l, &l->cand[LOOKUP_CANDIDATES - 1]);
    memmove(&l->cand[k + 1], &l->cand[k], (l->n - k) * sizeof *l->cand);
    l->cand[k] = (struct candidate){book_keep(d->config.book, ref), CAND_NEW, hop};
    l->n++;
    return &l->cand[k];
}

size_t lookup_region(const struct dht *d, const struct lookup *l, book_ref *out, size_t max)
{
    size_t n = 0;
    for (unsigned i = 0; i < l->n && n < max; i++) {
        if (l->cand[i].state != CAND_ANSWERED)
            continue;
        const struct path *p = &dht_entry(d, l->cand[i].ref)->contact.path;
        if (!d->config.prefix_limits ||
            prefix_room(d->config.book, out, n, p, RESULT_FINE_MAX, RESULT_COARSE_MAX))
            out[n++] = l->cand[i].ref;
    }
    return n;
}

// Have the nearest eight answered, and is nothing nearer unasked? Who is slow or has failed does not
// hold it up, unless there are not eight without the slow ones.
static bool is_done(const struct dht *d, const struct lookup *l)
{
    book_ref near[LOOKUP_REGION];
    size_t n = 0;
    bool slow = false;
    for (unsigned i = 0; i < l->n && n < LOOKUP_REGION; i++) {
        const struct candidate *c = &l->cand[i];
        if (c->state == CAND_ASKED || (c->state == CAND_NEW && l->asked < LOOKUP_ASKED_MAX))
            return false;
        slow |= c->state == CAND_SLOW;
        if (c->state != CAND_ANSWERED)
            continue;
        const struct path *p = &dht_entry(d, c->ref)->contact.path;
        if (!d->config.prefix_limits ||
            prefix_room(d->config.book, near, n, p, RESULT_FINE_MAX, RESULT_COARSE_MAX))
            near[n++] = c->ref;
    }
    return n == LOOKUP_REGION || !slow;
}

// The nearest that has not been asked; among those that are equally close, the fastest.
static struct candidate *next_to_ask(struct dht *d, struct lookup *l)
{
    struct candidate *best = NULL;
    unsigned best_bits = 0;
    usec_t best_rtt = USEC_NEVER;
    for (unsigned i = 0; i < l->n; i++) {
        struct candidate *c = &l->cand[i];
        if (c->state != CAND_NEW)
            continue;
        const struct book_entry *e = dht_entry(d, c->ref);
        unsigned bits = id_common_bits(e->id, l->target);
        if (best != NULL && bits != best_bits)
            break;
        usec_t rtt = dht_rtt(d, c->ref);
        if (best == NULL || rtt < best_rtt) {
            best = c;
            best_bits = bits;
            best_rtt = rtt;
        }
    }
    return best;
}

unsigned dht_zone_bits(const struct dht *d)
{
    unsigned most = 0;
    for (unsigned f = 0; f < 2; f++) {
        unsigned n = 0;
        while (d->table[f] != NULL && table_bucket_size(d->table[f], n) == TABLE_K)
            n++;
        most = n > most ? n : most;
    }
    return most;
}

void dht_blur(const struct dht *d, uint8_t target[static 32], unsigned bits)
{
    uint8_t noise[32];
    rng_fill(&d->config.rng, noise, sizeof noise);
    for (unsigned i = 0; i < 32; i++) {
        unsigned keep = bits >= 8 * (i + 1) ? 8 : bits > 8 * i ? bits - 8 * i : 0;
        uint8_t mask = (uint8_t)(0xff00u >> keep);
        target[i] = (uint8_t)((target[i] & mask) | (noise[i] & (uint8_t)~mask));
    }
}

// Nodes on the way are told the leading bits of a place only, never more than some sixteen servers have
// in common; the rest is random.
static void blur(struct dht *d, const struct lookup *l, const struct candidate *c,
                 struct wire_request *q)
{
    memcpy(q->target, l->target, 32);
    q->bits = 256;
    unsigned common = id_common_bits(dht_entry(d, c->ref)->id, l->target), zone = dht_zone_bits(d);
    if (l->place == 0 || common >= zone)
        return;
    unsigned bits = common + LOOKUP_BLUR_BITS < zone ? common + LOOKUP_BLUR_BITS : zone;
    dht_blur(d, q->target, bits);
    q->bits = (uint16_t)bits;
}

static void ask(struct dht *d, struct lookup *l, struct candidate *c)
{
    struct place *p = place_find(d, l->place);
    struct ekey *ekey = p != NULL ? &p->ekey : &l->ekey;
    struct wire_request q;
    memset(&q, 0, sizeof q);
    q.kind = RPC_FIND;
    q.want = WIRE_WANT_V4 | WIRE_WANT_V6;
    blur(d, l, c, &q);
    if (l->place == 0) // never together with a place's e
        upkeep_put_self(d, c->ref, &q);
    const struct session *s = ekey_find(d, ekey, c->ref);
    struct call_spec spec = {.owner_kind = CALL_LOOKUP,
                             .owner = l->id,
                             .place = l->place,
                             .ref = c->ref,
                             .ekey = ekey,
                             .class_min = s != NULL && s->has_token ? CLASS_CHAT : l->class_min};
    if (call_start(d, &spec, &q, NULL) != 0) {
        c->state = CAND_FAILED;
        return;
    }
    c->state = CAND_ASKED;
    l->in_flight++;
    l->asked++;
}

static void keep_stat(struct dht *d, const struct lookup *l, bool ok)
{
    if (d->stat_count == LOOKUP_STATS) {
        d->stat_first = (d->stat_first + 1) % LOOKUP_STATS;
        d->stat_count--;
    }
    if (d->stat == NULL)
        d->stat = arena_take(d->config.arena, LOOKUP_STATS * sizeof *d->stat);
    if (d->stat == NULL)
        return;
    d->stat[(d->stat_first + d->stat_count++) % LOOKUP_STATS] =
        (struct dht_lookup_stat){.took_us = d->now - l->started,
                                 .asked = l->asked,
                                 .hops = l->hops,
                                 .ok = ok,
                                 .upkeep = l->place == 0};
}

static void finish(struct dht *d, struct lookup *l)
{
    book_ref near[LOOKUP_REGION];
    bool ok = lookup_region(d, l, near, LOOKUP_REGION) > 0;
    d->count.lookups++;
    d->count.lookups_ok += ok;
    keep_stat(d, l, ok);
    calls_forget(d, CALL_LOOKUP, l->id);
    struct place *p = place_find(d, l->place);
    if (p != NULL)
        place_looked_up(d, p, l);
    else
        upkeep_looked_up(d, l);
    lookup_free(d, l);
}

static void step(struct dht *d, struct lookup *l)
{
    while (!is_done(d, l)) {
        // Once somebody has answered, the rest is mostly the region: all of it is asked anyway.
        unsigned alpha = l->hops == 0 ? LOOKUP_ALPHA : LOOKUP_REGION;
        struct candidate *c =
            l->in_flight < alpha && l->asked < LOOKUP_ASKED_MAX ? next_to_ask(d, l) : NULL;
        if (c == NULL)
            return;
        ask(d, l, c);
    }
    finish(d, l);
}

uint32_t lookup_start(struct dht *d, const uint8_t target[static 32], struct place *place,
                      uint16_t class_min)
{
    if (d->lookup_count >= LOOKUPS_MAX)
        return 0;
    struct lookup *l = arena_take(d->config.arena, sizeof *l);
    if (l == NULL)
        return 0;
    l->id = dht_next_id(d);
    l->place = place == NULL ? 0 : place->id;
    l->class_min = class_min;
    l->started = d->now;
    memcpy(l->target, target, 32);
    if (place == NULL)
        ekey_new(d, &l->ekey);
    l->next = d->lookups;
    d->lookups = l;
    d->lookup_count++;
    for (unsigned f = 0; f < 2; f++) {
        book_ref near[TABLE_K];
        size_t n = d->table[f] == NULL ? 0 : table_nearest(d->table[f], target, near, TABLE_K);
        for (size_t i = 0; i < n; i++)
            (void)cand_add(d, l, near[i], 1);
    }
    for (unsigned i = 0; place != NULL && i < place->holders; i++)
        if (place->holder[i].in_region && place->holder[i].failures == 0)
            (void)cand_add(d, l, place->holder[i].ref, 1);
    uint32_t id = l->id;
    if (place != NULL)
        place->lookup = id;
    else
        d->upkeep.lookup = id;
    step(d, l);
    return lookup_find(d, id) == NULL ? 0 : id;
}

void lookup_answered(struct dht *d, struct call *call, const struct wire_answer *a,
                     book_ref corrected)
{
    struct lookup *l = lookup_find(d, call->owner);
    if (l == NULL)
        return;
    struct candidate *c = cand_find(l, call->ref);
    uint8_t hop = c == NULL ? 0 : c->hop;
    if (c != NULL && corrected != call->ref) { // its puzzle nonce is another: so is its place
        cand_remove(d, l, c);
        c = corrected == 0 ? NULL : cand_add(d, l, corrected, hop);
    }
    if (c != NULL) {
        l->in_flight = (uint8_t)(l->in_flight - counts_in_flight(c));
        c->state = a->status == RPC_OK ? CAND_ANSWERED : CAND_FAILED;
        l->hops = hop > l->hops ? hop : l->hops;
    }
    struct contact other;
    for (size_t at = 0; wire_answer_contact(a, &at, &other);) {
        if (!dht_contact_ok(d, &other, true))
            continue;
        book_ref ref = dht_hold(d, &other);
        if (ref == 0)
            continue;
        (void)cand_add(d, l, ref, (uint8_t)(hop < UINT8_MAX ? hop + 1 : hop));
        book_drop(d->config.book, ref);
    }
    step(d, l);
}

void lookup_slow(struct dht *d, struct call *call)
{
    struct lookup *l = lookup_find(d, call->owner);
    struct candidate *c = l == NULL ? NULL : cand_find(l, call->ref);
    if (c == NULL || c->state != CAND_ASKED)
        return;
    l->in_flight--;
    c->state = CAND_SLOW;
    step(d, l);
}

void lookup_failed(struct dht *d, struct call *call)
{
    struct lookup *l = lookup_find(d, call->owner);
    struct candidate *c = l == NULL ? NULL : cand_find(l, call->ref);
    if (c == NULL)
        return;
    l->in_flight = (uint8_t)(l->in_flight - counts_in_flight(c));
    c->state = CAND_FAILED;
    step(d, l);
}
