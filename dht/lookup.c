// Iterative look-ups. Of a place: over disjoint paths to its region, then all of the region. For upkeep:
// ask the nearest known, learn nearer ones, until the nearest have answered.
#include "crypto/bytes.h"
#include "dht/internal.h"

#include <assert.h>
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
    timers_remove(&d->timers, &l->timer);
    ekey_end(d, &l->ekey);
    arena_give(d->config.arena, l->cand, l->cap * sizeof *l->cand);
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

// ---- what it comes to ------------------------------------------------------------------------------

size_t lookup_region(const struct lookup *l, book_ref *out, size_t max)
{
    size_t n = 0;
    for (unsigned i = 0; i < l->n && n < max; i++)
        if (l->cand[i].member && l->cand[i].state == CAND_ANSWERED)
            out[n++] = l->cand[i].ref;
    return n;
}

// ---- what is told of the target ---------------------------------------------------------------------

uint64_t dht_size(const struct dht *d)
{
    uint64_t size = size_estimate(&d->size);
    for (unsigned f = 0; f < 2; f++) {
        const struct table *t = d->table[f];
        book_ref near[LOOKUP_NEAR];
        uint64_t distance[LOOKUP_NEAR];
        if (size == 0 || size_settled(&d->size, d->now) || t == NULL || !d->upkeep.own_centre[f])
            continue;
        size_t n = table_nearest(t, t->centre, near, LOOKUP_NEAR);
        for (size_t i = 0; i < n; i++)
            distance[i] = region_distance(dht_entry(d, near[i])->id, t->centre);
        uint64_t nearby = size_of_nearest(distance, n);
        size = nearby > size ? nearby : size;
    }
    return size;
}

unsigned dht_zone_bits(const struct dht *d)
{
    uint64_t size = dht_size(d);
    if (size > 0)
        return size_bits(size, SIZE_ZONE);
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

static unsigned bits_of(uint64_t distance)
{
    unsigned n = 0;
    for (; n < 64 && (distance >> (63 - n) & 1) == 0; n++)
        continue;
    return n;
}

// Spots are spread evenly over the region: the k-th lies in the k-th eighth, farthest ones first.
static void draw_spot(struct dht *d, struct lookup *l, unsigned bits, uint8_t target[static 32])
{
    static const uint8_t order[8] = {7, 3, 5, 1, 6, 2, 4, 0};
    dht_blur(d, target, bits);
    for (unsigned k = 0; k < 3 && bits + k < 256; k++) {
        unsigned i = (bits + k) / 8, shift = 7 - (bits + k) % 8;
        uint8_t far = (uint8_t)(order[l->spots % 8] >> (2 - k) & 1);
        target[i] = (uint8_t)((target[i] & ~(1u << shift)) |
                              (unsigned)((l->target[i] >> shift & 1) ^ far) << shift);
    }
    l->spots++;
}

// Nodes on the way are told the leading bits of a place only, never more than some sixteen servers have
// in common; the rest is random. Members are asked for the place, or for another spot of its region:
// who crowds round the place itself can't stand in the answers to all of those.
static void put_target(struct dht *d, struct lookup *l, struct candidate *c, struct wire_request *q)
{
    memcpy(q->target, l->target, 32);
    q->bits = 256;
    if (l->place == 0)
        return;
    unsigned bits = bits_of(c->distance) + LOOKUP_BLUR_BITS, zone = l->zone;
    if (l->region.radius == 0 || (!c->inside && !c->member)) {
        // Without an estimate the zone is a guess, and too small a one would lead nowhere.
        bits = bits < zone || l->region.radius == 0 ? bits : zone;
        dht_blur(d, q->target, bits);
        q->bits = (uint16_t)(bits < 256 ? bits : 256);
        return;
    }
    unsigned asked = l->whole_asked + l->spots;
    c->whole = asked < LOOKUP_FULL_ASKED || asked % LOOKUP_WHOLE_SHARE == 0;
    if (c->whole) {
        l->whole_asked++;
        return;
    }
    bits = bits_of(l->region.edge > l->region.radius ? l->region.edge : l->region.radius);
    draw_spot(d, l, bits, q->target);
    q->bits = (uint16_t)(bits + 3);
}

// ---- asking ---------------------------------------------------------------------------------------

static void ask(struct dht *d, struct lookup *l, struct candidate *c)
{
    struct place *p = place_find(d, l->place);
    struct ekey *ekey = p != NULL ? &p->ekey : &l->ekey;
    struct wire_request q;
    memset(&q, 0, sizeof q);
    q.kind = RPC_FIND;
    q.want = l->want;
    put_target(d, l, c, &q);
    if (l->place == 0) // never together with a place's e
        upkeep_put_self(d, c->ref, &q);
    const struct session *s = ekey_find(d, ekey, c->ref);
    struct call_spec spec = {.owner_kind = CALL_LOOKUP,
                             .owner = l->id,
                             .place = l->place,
                             .ref = c->ref,
                             .ekey = ekey,
                             .sendings_max = l->place == 0 ? UPKEEP_SENDINGS_MAX : 0,
                             .class_min = s != NULL && s->has_token ? CLASS_CHAT : l->class_min};
    l->asked++;
    c->state = call_start(d, &spec, &q, NULL) == 0 ? CAND_ASKED : CAND_FAILED;
}

// The nearest; of those with equally many leading bits in common the fastest.
static struct candidate *better(struct dht *d, struct candidate *best, struct candidate *c)
{
    if (best == NULL)
        return c;
    if (bits_of(c->distance) < bits_of(best->distance))
        return best;
    return dht_rtt(d, c->ref) < dht_rtt(d, best->ref) ? c : best;
}

// What a path asks next. NULL: nothing now. *over: nor later, unless a slow one answers yet.
static struct candidate *path_next(struct dht *d, const struct lookup *l, unsigned path, bool *over)
{
    struct candidate *best = NULL;
    unsigned near = 0, in_flight = 0;
    *over = l->arrivals[path] >= LOOKUP_PATH_ARRIVALS;
    for (unsigned i = 0; !*over && i < l->n && near < LOOKUP_PATH_NEAR; i++) {
        struct candidate *c = &l->cand[i];
        if (c->inside || c->path != path)
            continue;
        near += c->state == CAND_ANSWERED;
        in_flight += c->state == CAND_ASKED && !c->late; // the slow ones apart
        if (c->state == CAND_NEW)
            best = better(d, best, c);
    }
    *over = *over || (best == NULL && in_flight == 0);
    return *over || in_flight >= LOOKUP_PATH_ALPHA ? NULL : best;
}

static struct candidate *region_next(struct dht *d, const struct lookup *l)
{
    struct candidate *best = NULL;
    unsigned in_flight = 0, max = LOOKUP_ALPHA_REGION;
    if (l->place == 0)
        max = l->hops == 0 ? LOOKUP_ALPHA : 2 * LOOKUP_ALPHA;
    for (unsigned i = 0; i < l->n; i++)
        in_flight += l->cand[i].member && l->cand[i].state == CAND_ASKED;
    for (unsigned i = 0; i < l->n && in_flight < max; i++) {
        struct candidate *c = &l->cand[i];
        if (!c->member || c->state != CAND_NEW)
            continue;
        if (best != NULL && bits_of(c->distance) != bits_of(best->distance))
            break;
        best = better(d, best, c);
    }
    return best;
}

// Nearly all members that were asked for the place say that it is full.
static bool most_say_full(const struct lookup *l)
{
    return !l->elsewhere && l->full > 0 &&
           LOOKUP_FULL_OF * l->full > LOOKUP_FULL_MOST * l->whole_answered;
}

// Members that have answered hold the record from now on; those beyond the radius only when it is
// certain that they are needed; none while it seems that the place is full and all would refuse.
static void tell_members(struct dht *d, struct lookup *l)
{
    struct place *p = place_find(d, l->place);
    if (most_say_full(l))
        return;
    for (unsigned i = 0; p != NULL && i < l->n; i++) {
        struct candidate *c = &l->cand[i];
        if (!c->inside || !c->member || c->told || c->state != CAND_ANSWERED)
            continue;
        c->told = true;
        place_member(d, p, c->ref);
    }
}

static unsigned asked_max(const struct lookup *l)
{
    return l->place == 0 ? LOOKUP_UPKEEP_ASKED_MAX : LOOKUP_ASKED_MAX;
}

// Asks what is due on all paths. True if all have come to their end.
static bool ask_paths(struct dht *d, struct lookup *l)
{
    bool all_over = true;
    for (unsigned i = 0; i < l->paths && l->asked < asked_max(l); i++) {
        bool over;
        struct candidate *c = path_next(d, l, i, &over);
        while (c != NULL && l->asked < asked_max(l)) {
            ask(d, l, c);
            c = path_next(d, l, i, &over);
        }
        all_over = all_over && over;
    }
    return all_over || l->asked >= asked_max(l);
}

// Asks members as far as may be in flight. False: one could not be asked, the region is another now.
static bool ask_members(struct dht *d, struct lookup *l)
{
    struct candidate *c;
    while (l->asked < asked_max(l) && (c = region_next(d, l)) != NULL) {
        ask(d, l, c);
        if (c->state == CAND_FAILED)
            return false;
    }
    return true;
}

// Are there as many as a region has without those members that are late, and nobody else to wait for?
static bool is_enough(const struct lookup *l)
{
    if (l->place == 0 || l->region.answered < REGION_LIVE)
        return false;
    for (unsigned i = 0; i < l->n; i++) {
        const struct candidate *c = &l->cand[i];
        if (c->member && ((c->state == CAND_ASKED && !c->late) ||
                          (c->state == CAND_NEW && l->asked < asked_max(l))))
            return false;
    }
    return true;
}

// Have all members answered? Slow ones do not hold it up where there are enough without them.
static bool is_done(const struct lookup *l)
{
    bool slow = false;
    if (l->region.open > 0 && l->asked < asked_max(l))
        return false;
    for (unsigned i = 0; i < l->n; i++) {
        if (l->cand[i].member && l->cand[i].state == CAND_ASKED)
            return false;
        slow = slow || l->cand[i].state == CAND_SLOW;
    }
    return l->region.answered >= REGION_NEAREST || !slow;
}

// By the size of the network far more servers should be inside than were found: those on the way may
// have named only each other.
static bool is_thin(const struct lookup *l)
{
    unsigned inside = 0;
    for (unsigned i = 0; i < l->n && l->cand[i].inside; i++)
        inside += l->cand[i].state != CAND_FAILED;
    return inside < LOOKUP_THIN && l->paths > 0 && l->region.radius > 0 &&
           l->region.radius < UINT64_MAX;
}

// Other paths, each from the nearest of the table that was not asked yet. False: there is nobody left.
static bool begin_anew(struct dht *d, struct lookup *l)
{
    unsigned begun = 0;
    if (l->anew == LOOKUP_ANEW_MAX)
        return false;
    l->anew++;
    for (unsigned i = 0; i < l->n; i++)
        l->cand[i].path = LOOKUP_PATHS;
    memset(l->arrivals, 0, sizeof l->arrivals);
    l->path_in_use = 0;
    for (unsigned f = 0; f < 2; f++) {
        book_ref near[TABLE_NEAREST_MAX];
        size_t n = d->table[f] == NULL
                       ? 0
                       : table_nearest(d->table[f], l->target, near, TABLE_NEAREST_MAX);
        for (size_t i = 0; i < n && begun < l->paths; i++) {
            struct candidate *c = cand_find(l, near[i]);
            if (c != NULL && (c->inside || c->state != CAND_NEW))
                continue;
            if (c != NULL)
                cand_remove(d, l, c);
            begun += cand_add(d, l, near[i], 1, (uint8_t)begun, 0) != NULL;
        }
    }
    return begun > 0;
}

static void finish(struct dht *d, struct lookup *l, bool full);

static void step(struct dht *d, struct lookup *l)
{
    bool over = ask_paths(d, l);
    while (over && is_thin(l) && begin_anew(d, l))
        over = ask_paths(d, l);
    do
        region_select(&l->region, l->target, l->cand, l->n, over);
    while (!ask_members(d, l));
    tell_members(d, l);
    if (over && is_enough(l)) {
        finish(d, l, false);
        return;
    }
    if (!over || !is_done(l))
        return;
    if (l->place == 0 || l->region.slow == 0 || (l->patience_at != 0 && l->patience_at <= d->now)) {
        finish(d, l, false);
        return;
    }
    if (l->patience_at == 0)
        l->patience_at = d->now + (d->now - l->started) / LOOKUP_PATIENCE;
    timers_arm(&d->timers, &l->timer, l->patience_at);
}

void lookup_timer(struct dht *d, struct lookup *l)
{
    timers_arm(&d->timers, &l->timer, USEC_NEVER);
    step(d, l);
}

// ---- beginning ------------------------------------------------------------------------------------

static uint8_t families(const struct dht *d)
{
    return (uint8_t)((d->upkeep.heard_family[0] || dht_by_other_way(d, 4) ? 1 : 0) |
                     (d->upkeep.heard_family[1] ? 2 : 0));
}

static uint8_t may_work(const struct dht *d)
{
    return (uint8_t)((upkeep_family_works(d, 4) || dht_by_other_way(d, 4) ? WIRE_WANT_V4 : 0) |
                     (upkeep_family_works(d, 6) ? WIRE_WANT_V6 : 0));
}

// A standing place is looked at again: its members are taken as they are, but for a few that tell of
// newcomers.
static void take_members(struct dht *d, struct lookup *l, const struct place *p)
{
    unsigned good = 0, asks = RELOOK_ASKS;
    for (unsigned i = 0; i < p->holders; i++)
        good += p->holder[i].in_region && p->holder[i].failures == 0;
    l->again = p->found && !p->full && good >= REGION_NEAREST;
    if (l->again && !l->elsewhere)
        l->paths = 0;
    for (unsigned i = 0; i < p->holders; i++) {
        const struct holder *h = &p->holder[i];
        if (!h->in_region)
            continue;
        struct candidate *c = cand_add(d, l, h->ref, 1, LOOKUP_PATHS, 0);
        if (h->failures > 0)
            continue;
        bool asked = rng_below(&d->config.rng, good--) < asks;
        asks -= asked;
        if (c != NULL && l->again && !asked) {
            c->state = CAND_ANSWERED;
            c->known = c->told = true;
        }
    }
}

static void take_table(struct dht *d, struct lookup *l)
{
    for (unsigned f = 0; f < 2; f++) {
        book_ref near[TABLE_K];
        if ((l->want >> f & 1) == 0)
            continue;
        size_t n = d->table[f] == NULL ? 0 : table_nearest(d->table[f], l->target, near, TABLE_K);
        for (size_t i = 0; i < n; i++) {
            uint8_t path = (uint8_t)(l->paths == 0 ? LOOKUP_PATHS : i % l->paths);
            (void)cand_add(d, l, near[i], 1, path, 0);
        }
    }
}

// A look-up that may have been led astray is not begun at the same servers a second time: each path at
// those that are known round a target of its own.
static void take_elsewhere(struct dht *d, struct lookup *l)
{
    for (unsigned f = 0; f < 2; f++)
        for (uint8_t path = 0; d->table[f] != NULL && path < l->paths; path++) {
            book_ref near[LOOKUP_ELSEWHERE];
            uint8_t target[32];
            rng_fill(&d->config.rng, target, sizeof target);
            size_t n = table_nearest(d->table[f], target, near, LOOKUP_ELSEWHERE);
            for (size_t i = 0; i < n; i++)
                (void)cand_add(d, l, near[i], 1, path, 0);
        }
}

uint32_t lookup_start(struct dht *d, const uint8_t target[static 32], struct place *place,
                      uint16_t class_min, bool sample, uint8_t want)
{
    if (d->lookup_count >= LOOKUPS_MAX)
        return 0;
    struct lookup *l = arena_take(d->config.arena, sizeof *l);
    if (l == NULL)
        return 0;
    if (timers_add(&d->timers, &l->timer, TIMER_LOOKUP, l) != 0) {
        arena_give(d->config.arena, l, sizeof *l);
        return 0;
    }
    uint32_t id = l->id = dht_next_id(d);
    uint64_t size = dht_size(d);
    l->place = place == NULL ? 0 : place->id;
    l->class_min = class_min;
    l->sample = sample;
    l->want = want != 0 ? want : may_work(d);
    l->started = d->now;
    l->paths = (uint8_t)(place == NULL ? 0 : LOOKUP_PATHS);
    l->region.radius = place == NULL || size == 0 ? 0 : size_radius(size, REGION_EXPECTED);
    l->zone = (uint8_t)dht_zone_bits(d);
    l->region.want =
        place != NULL && !size_settled(&d->size, d->now) ? REGION_EXPECTED : REGION_LIVE;
    l->region.families = place == NULL ? 0 : families(d);
    memcpy(l->target, target, 32);
    if (place == NULL)
        ekey_new(d, &l->ekey);
    l->next = d->lookups;
    d->lookups = l;
    d->lookup_count++;
    if (place != NULL) {
        l->elsewhere = place->elsewhere;
        place->elsewhere = false;
        if (l->elsewhere && size_least(&d->size) > 0)
            l->region.radius = size_radius(size_least(&d->size), REGION_EXPECTED);
        take_members(d, l, place);
        place->lookup = id;
    } else {
        d->upkeep.lookup = id;
    }
    if (l->elsewhere)
        take_elsewhere(d, l);
    else
        take_table(d, l);
    step(d, l);
    return lookup_find(d, id) == NULL ? 0 : id;
}

// ---- ending ---------------------------------------------------------------------------------------

static void remember(struct dht *d, const struct lookup *l, bool ok)
{
    d->count.lookups++;
    d->count.lookups_ok += ok;
    struct dht_lookup_stat stat = {.took_us = d->now - l->started,
                                   .asked = l->asked,
                                   .hops = l->hops,
                                   .ok = ok,
                                   .upkeep = l->place == 0,
                                   .place = l->place};
    dht_note_stat(d, &stat);
}

// What the density round a random target says. Where somebody did not answer, few are not all.
static void take_sample(struct dht *d, const struct lookup *l)
{
    uint64_t distance[LOOKUP_NEAR];
    size_t n = 0;
    bool lost = false, known = size_estimate(&d->size) > 0;
    for (unsigned i = 0; i < l->n; i++) {
        const struct candidate *c = &l->cand[i];
        lost = lost || c->state != CAND_ANSWERED;
        if (c->member && c->state == CAND_ANSWERED && n < LOOKUP_NEAR)
            distance[n++] = c->distance;
    }
    if (n == LOOKUP_NEAR || !lost)
        size_sample(&d->size, d->now, distance, n, n < LOOKUP_NEAR);
    if (!known && size_estimate(&d->size) > 0)
        place_sized(d);
}

// Who is slow, but a member, still becomes a holder when it answers.
static void leave_late(struct dht *d, const struct lookup *l)
{
    for (struct call *c = d->calls; c != NULL; c = c->next) {
        if (c->owner_kind != CALL_LOOKUP || c->owner != l->id)
            continue;
        const struct candidate *x = cand_find(l, c->ref);
        bool member = l->place != 0 && x != NULL && x->member && x->state != CAND_FAILED;
        c->owner_kind = member ? CALL_LATE : CALL_NOBODY;
        c->owner = member ? l->place : 0;
    }
}

static void finish(struct dht *d, struct lookup *l, bool full)
{
    remember(d, l, l->region.answered > 0);
    leave_late(d, l);
    struct place *p = place_find(d, l->place);
    for (unsigned i = 0; i < l->n; i++)
        if (l->cand[i].member && l->cand[i].state == CAND_ANSWERED)
            upkeep_met(d, l->cand[i].ref, l->cand[i].listed);
    if (p != NULL)
        place_looked_up(d, p, l, full);
    else
        upkeep_looked_up(d);
    if (l->sample)
        take_sample(d, l);
    lookup_free(d, l);
}

// ---- answers --------------------------------------------------------------------------------------

// Most do, and enough of them.
static bool is_full(const struct lookup *l)
{
    return l->full >= LOOKUP_FULL_SAY && most_say_full(l);
}

// The contacts of an answer. True: there is somebody of the region among them.
static bool take_contacts(struct dht *d, struct lookup *l, const struct candidate *from,
                          const struct wire_answer *a)
{
    uint8_t hop = (uint8_t)(from->hop < UINT8_MAX ? from->hop + 1 : from->hop);
    bool inside = from->inside || from->path >= LOOKUP_PATHS, named = false;
    uint8_t round = inside ? (uint8_t)(from->round + 1) : 0;
    struct contact other[WIRE_CONTACTS_MAX];
    book_ref ref[WIRE_CONTACTS_MAX];
    size_t n = 0;
    static_assert(WIRE_CONTACTS_MAX <= BOOK_HOLD_MAX, "held at once");
    for (size_t at = 0; n < WIRE_CONTACTS_MAX && wire_answer_contact(a, &at, &other[n]);)
        n += dht_contact_ok(d, &other[n], true);
    book_hold_all(d->config.book, &d->config.net, d->net_tag, other, n, ref);
    for (size_t i = 0; i < n; i++) {
        if (ref[i] == 0)
            continue;
        const struct candidate *c =
            cand_add(d, l, ref[i], hop, inside ? LOOKUP_PATHS : from->path, round);
        named = named || (c != NULL && c->inside);
        book_drop(d->config.book, ref[i]);
    }
    return named;
}

void lookup_answered(struct dht *d, struct call *call, const struct wire_answer *a,
                     book_ref corrected)
{
    struct lookup *l = lookup_find(d, call->owner);
    struct candidate *c = l == NULL ? NULL : cand_find(l, call->ref);
    if (c == NULL)
        return;
    bool full = a->status == RPC_FULL && c->whole;
    if (corrected != call->ref) { // its puzzle nonce is another: so is its place
        struct candidate old = *c;
        cand_remove(d, l, c);
        c = corrected == 0 ? NULL : cand_add(d, l, corrected, old.hop, old.path, old.round);
        if (c == NULL) {
            step(d, l);
            return;
        }
        c->whole = old.whole;
    }
    if (c->whole && c->state != CAND_ANSWERED) {
        l->whole_answered++;
        l->full = (uint16_t)(l->full + full);
    }
    c->state = a->status == RPC_OK || full ? CAND_ANSWERED : CAND_FAILED;
    l->hops = c->hop > l->hops ? c->hop : l->hops;
    struct place *p = place_find(d, l->place);
    if (full && p != NULL) {
        c->told = true;
        place_member_full(d, p, c->ref, a->hint, a->live);
        if (is_full(l)) {
            region_select(&l->region, l->target, l->cand, l->n, false);
            finish(d, l, true);
            return;
        }
    }
    c->listed = a->status == RPC_OK && a->listed;
    struct candidate from = *c;
    if (a->status == RPC_OK && take_contacts(d, l, &from, a) && !from.inside &&
        from.path < l->paths && !from.arrived) {
        l->arrivals[from.path]++;
        c = cand_find(l, from.ref);
        if (c != NULL)
            c->arrived = true;
    }
    step(d, l);
}

void lookup_late(struct dht *d, struct call *call)
{
    struct lookup *l = lookup_find(d, call->owner);
    struct candidate *c = l == NULL ? NULL : cand_find(l, call->ref);
    if (c == NULL || c->state != CAND_ASKED)
        return;
    c->late = true;
    step(d, l);
}

void lookup_slow(struct dht *d, struct call *call)
{
    struct lookup *l = lookup_find(d, call->owner);
    struct candidate *c = l == NULL ? NULL : cand_find(l, call->ref);
    if (c == NULL || c->state != CAND_ASKED)
        return;
    c->state = CAND_SLOW;
    step(d, l);
}

// A member that was there is gone: now all of them are asked.
static void ask_everybody(struct lookup *l)
{
    l->again = false;
    for (unsigned i = 0; i < l->n; i++)
        if (l->cand[i].known) {
            l->cand[i].known = false;
            l->cand[i].state = CAND_NEW;
        }
}

void lookup_failed(struct dht *d, struct call *call)
{
    struct lookup *l = lookup_find(d, call->owner);
    struct candidate *c = l == NULL ? NULL : cand_find(l, call->ref);
    if (c == NULL || c->state == CAND_ANSWERED)
        return;
    c->state = CAND_FAILED;
    if (l->again)
        ask_everybody(l);
    step(d, l);
}
