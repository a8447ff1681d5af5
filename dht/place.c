// Places, our side: the look-ups that find the holders. What is done there is in publish.c.
#include "crypto/bytes.h"
#include "dht/internal.h"

#include <sodium.h>

struct place *place_find(const struct dht *d, uint32_t id)
{
    struct place *p = d->places;
    while (p != NULL && p->id != id)
        p = p->next;
    return p;
}

void place_arm(struct dht *d, struct place *p)
{
    usec_t at = p->relook_at < p->renew_at ? p->relook_at : p->renew_at;
    if (p->rest_at < at)
        at = p->rest_at;
    timers_arm(&d->timers, &p->timer, at);
}

static void look_up(struct dht *d, struct place *p)
{
    p->relook_at = USEC_NEVER;
    if (p->lookup != 0)
        return;
    p->waiting = dht_live(d) == 0;
    if (p->waiting)
        return;
    uint32_t id = p->id;
    uint32_t lookup = lookup_start(d, p->place, p, CLASS_MEDIUM, false, 0);
    p = place_find(d, id);
    if (p != NULL && lookup == 0 && p->lookup == 0 && p->relook_at == USEC_NEVER)
        p->relook_at = d->now + RELOOK_MIN_US; // no room for it now
    if (p != NULL)
        place_arm(d, p);
}

// Without a look-up.
static int place_new(struct dht *d, usec_t now, uint32_t user, struct place **out)
{
    d->now = now;
    if (d->place_count >= PLACES_MAX)
        return BAUTA_ELIMIT;
    struct place *p = arena_take(d->config.arena, sizeof *p);
    if (p == NULL)
        return BAUTA_ESPACE;
    if (timers_add(&d->timers, &p->timer, TIMER_PLACE, p) != 0) {
        arena_give(d->config.arena, p, sizeof *p);
        return BAUTA_ESPACE;
    }
    p->id = dht_next_id(d);
    p->user = user;
    ekey_new(d, &p->ekey);
    p->relook_at = p->renew_at = p->rest_at = p->announced_at = USEC_NEVER;
    p->relook_step = RELOOK_MIN_US;
    p->loss_step = RELOOK_LOSS_US;
    p->next = d->places;
    d->places = p;
    d->place_count++;
    *out = p;
    return 0;
}

int dht_place_open(struct dht *d, usec_t now, const uint8_t place[static 32], uint32_t user,
                   uint32_t *id)
{
    struct place *p;
    int rc = place_new(d, now, user, &p);
    if (rc != 0)
        return rc;
    memcpy(p->place, place, 32);
    *id = p->id;
    look_up(d, p);
    if (p->waiting) { // it is told at once that nobody is known, and goes on by itself
        p->told_found = true;
        (void)dht_push_event(d, DHT_PLACE_FOUND, p->id, p->user, NULL, 0);
    }
    return 0;
}

int dht_key_open(struct dht *d, usec_t now, uint32_t user, uint32_t *id)
{
    struct place *p;
    int rc = place_new(d, now, user, &p);
    if (rc != 0)
        return rc;
    *id = p->id;
    return 0;
}

void place_wake(struct dht *d)
{
    for (struct place *p = d->places, *next; p != NULL; p = next) {
        next = p->next;
        if (p->waiting)
            look_up(d, p);
    }
}

void dht_place_look_elsewhere(struct dht *d, usec_t now, uint32_t id)
{
    d->now = now;
    struct place *p = place_find(d, id);
    if (p == NULL || p->lookup != 0)
        return;
    p->elsewhere = true;
    join_sample(d);
    look_up(d, p);
}

// ---- holders --------------------------------------------------------------------------------------

struct holder *place_holder(const struct dht *d, const struct place *p, book_ref ref)
{
    const uint8_t *pk = dht_entry(d, ref)->contact.pk;
    for (unsigned i = 0; i < p->holders; i++)
        if (memcmp(dht_entry(d, p->holder[i].ref)->contact.pk, pk, 32) == 0)
            return &p->holder[i];
    return NULL;
}

static void holder_remove(struct dht *d, struct place *p, unsigned i)
{
    book_drop(d->config.book, p->holder[i].ref);
    p->holders--;
    memmove(&p->holder[i], &p->holder[i + 1], (p->holders - i) * sizeof p->holder[0]);
}

// Room for `cap` holders, at least as many as there are, at least one. False without memory.
static bool holders_resize(struct dht *d, struct place *p, unsigned cap)
{
    struct holder *h = arena_take(d->config.arena, cap * sizeof *h);
    if (h == NULL)
        return false;
    if (p->holders > 0)
        memcpy(h, p->holder, p->holders * sizeof *h);
    arena_give(d->config.arena, p->holder, p->holders_cap * sizeof *h);
    p->holder = h;
    p->holders_cap = (uint16_t)cap;
    return true;
}

static bool holders_grow(struct dht *d, struct place *p)
{
    if (p->holders < p->holders_cap)
        return true;
    unsigned cap = p->holders_cap == 0 ? HOLDERS_MIN : 2u * p->holders_cap;
    cap = cap < HOLDERS_MAX ? cap : HOLDERS_MAX;
    return p->holders < HOLDERS_MAX && holders_resize(d, p, cap);
}

// One of the region. NULL: no room. Pointers to other holders are void.
static struct holder *holder_put(struct dht *d, struct place *p, book_ref ref)
{
    struct holder *h = place_holder(d, p, ref);
    if (h == NULL) {
        if (!holders_grow(d, p))
            return NULL;
        h = &p->holder[p->holders++];
        memset(h, 0, sizeof *h);
        h->ref = book_keep(d->config.book, ref);
    } else if (h->ref != ref) { // the same server under another address
        book_drop(d->config.book, h->ref);
        h->ref = book_keep(d->config.book, ref);
    }
    h->in_region = true;
    h->failures = 0;
    return h;
}

void place_member(struct dht *d, struct place *p, book_ref ref)
{
    struct holder *h = p->full ? NULL : holder_put(d, p, ref);
    if (h == NULL)
        return;
    h->full = false;
    publish_to(d, p, h);
    publish_seeks(d, p, h);
    publish_tell(d, p);
}

void place_member_full(struct dht *d, struct place *p, book_ref ref, uint8_t hint, uint16_t live)
{
    struct holder *h = holder_put(d, p, ref);
    if (h == NULL)
        return;
    h->full = true;
    h->hint = hint;
    h->live = live;
}

// Who is not in the region any more is remembered while it may still hold the record.
static void holders_sweep(struct dht *d, struct place *p)
{
    for (unsigned i = 0; i < p->holders;) {
        const struct holder *h = &p->holder[i];
        if (!h->in_region && (h->version_sent == 0 || (h->expires <= d->now && !h->busy)))
            holder_remove(d, p, i);
        else
            i++;
    }
}

static void set_region(struct dht *d, struct place *p, const book_ref *region, size_t n)
{
    for (unsigned i = 0; i < p->holders; i++)
        p->holder[i].in_region = false;
    for (size_t i = 0; i < n; i++)
        (void)holder_put(d, p, region[i]);
    holders_sweep(d, p);
    for (size_t i = 0; i < n && p->holders == HOLDERS_MAX; i++)
        (void)holder_put(d, p, region[i]);
}

static void plan_relook(struct dht *d, struct place *p, size_t n)
{
    if (n >= REGION_LIVE || p->full)
        p->relook_step = RELOOK_FULL_US;
    p->relook_at = d->now + p->relook_step + rng_below(&d->config.rng, p->relook_step / 4);
    if (n < REGION_LIVE && p->relook_step < RELOOK_MAX_US)
        p->relook_step = 2 * p->relook_step > RELOOK_MAX_US ? RELOOK_MAX_US : 2 * p->relook_step;
}

// It ended because most say that the place is full: they are its holders, nothing is announced.
static void found_full(struct dht *d, struct place *p)
{
    for (unsigned i = 0; i < p->holders; i++)
        p->holder[i].in_region = p->holder[i].full;
    holders_sweep(d, p);
    p->full = p->found = true;
    (void)publish_tell_full(d, p, false);
    plan_relook(d, p, 0);
    publish_seeks(d, p, NULL);
    place_arm(d, p);
}

static void tell_found(struct dht *d, struct place *p, size_t n)
{
    if (p->told_found && (p->told_count > 0 || n == 0))
        return;
    struct dht_event *e = dht_push_event(d, DHT_PLACE_FOUND, p->id, p->user, NULL, 0);
    p->told_found = true;
    p->told_count = (uint32_t)n;
    if (e != NULL)
        e->count = (uint32_t)n;
}

// First those go whom only the look-up asked; later whoever was not asked for as long as a token lives:
// a new key exchange then costs no more than the token that has to be fetched anyway.
static void place_rest(struct dht *d, struct place *p)
{
    uint32_t before = p->ekey.uses;
    p->rest_at = USEC_NEVER;
    if (p->lookup != 0)
        return; // its end says when
    if (p->rest_uses > 0) {
        ekey_trim(d, &p->ekey, p->rest_uses);
        p->rest_uses = before;
        p->rest_at = p->ekey.n > 0 ? d->now + 2 * TOKEN_PERIOD_US : USEC_NEVER;
        return;
    }
    if (p->holders > 0)
        (void)holders_resize(d, p, p->holders);
    for (unsigned i = 0; i < p->holders; i++)
        ekey_use(d, &p->ekey, p->holder[i].ref);
    for (const struct attend *a = d->attends; a != NULL; a = a->next)
        if (a->place == p->id)
            ekey_use(d, &p->ekey, a->ref);
    for (const struct intro_out *x = d->intros; x != NULL; x = x->next)
        if (x->place == p->id)
            ekey_use(d, &p->ekey, x->ref);
    for (const struct call *c = d->calls; c != NULL; c = c->next)
        if (c->place == p->id)
            ekey_use(d, &p->ekey, c->ref);
    ekey_trim(d, &p->ekey, before);
    p->rest_uses = p->ekey.uses;
    p->rest_at = p->ekey.n > 0 ? d->now + 2 * TOKEN_PERIOD_US : USEC_NEVER;
}

void place_looked_up(struct dht *d, struct place *p, struct lookup *l, bool full)
{
    book_ref region[HOLDERS_MAX];
    size_t n = lookup_region(l, region, HOLDERS_MAX);
    p->lookup = 0;
    if (full) {
        found_full(d, p);
        return;
    }
    if (p->full) // not any more
        p->told_count = 0;
    p->full = false;
    if (n > 0)
        set_region(d, p, region, n);
    p->found = p->found || n > 0;
    p->sized = l->region.radius > 0;
    tell_found(d, p, n);
    plan_relook(d, p, n);
    publish_due(d, p, false);
    publish_seeks(d, p, NULL);
    p->rest_at = d->now + PLACE_REST_US;
    p->rest_uses = 0;
    place_arm(d, p);
}

// A member that the look-up did not wait for: a holder as all others.
void place_late(struct dht *d, struct call *c, const struct wire_answer *a, book_ref corrected)
{
    struct place *p = place_find(d, c->owner);
    if (p == NULL || corrected != c->ref || a->index != 0)
        return;
    if (a->status == RPC_OK)
        place_member(d, p, c->ref);
    else if (a->status == RPC_FULL && p->full)
        place_member_full(d, p, c->ref, a->hint, a->live);
}

void place_look_wider(struct dht *d)
{
    for (struct place *p = d->places; p != NULL; p = p->next) {
        p->elsewhere = true;
        p->relook_at = d->now;
        place_arm(d, p);
    }
}

// Places that were found by the nearest that were known get their region.
void place_sized(struct dht *d)
{
    for (struct place *p = d->places; p != NULL; p = p->next)
        if (p->found && !p->sized && p->lookup == 0) {
            usec_t at = d->now + rng_below(&d->config.rng, RELOOK_MIN_US);
            p->relook_at = p->relook_at < at ? p->relook_at : at;
            place_arm(d, p);
        }
}

const uint8_t *dht_place_key(const struct dht *d, uint32_t id)
{
    const struct place *p = place_find(d, id);
    return p != NULL && !p->full ? p->place : NULL;
}

size_t dht_place_region(const struct dht *d, uint32_t id, struct contact *out, size_t max)
{
    const struct place *p = place_find(d, id);
    size_t n = 0;
    book_ref near[HOLDERS_MAX];
    for (unsigned i = 0; p != NULL && i < p->holders; i++) {
        if (!p->holder[i].in_region)
            continue;
        size_t k = n++;
        for (; k > 0 && id_nearer(dht_entry(d, p->holder[i].ref)->id, dht_entry(d, near[k - 1])->id,
                                  p->place);
             k--)
            near[k] = near[k - 1];
        near[k] = p->holder[i].ref;
    }
    for (size_t i = 0; i < n && i < max; i++)
        out[i] = dht_entry(d, near[i])->contact;
    return n < max ? n : max;
}

// A holder does not answer: it looks again soon, but one that answers questions and never stores must not
// keep it looking for ever.
void place_failed(struct dht *d, struct call *c)
{
    struct place *p = place_find(d, c->owner);
    if (p == NULL)
        return;
    struct holder *h = place_holder(d, p, c->ref);
    if (c->kind == RPC_SEEK)
        publish_sample(d, p, NULL, false);
    if (h != NULL) {
        if (c->kind == RPC_ANNOUNCE) {
            h->busy = h->late = false;
            h->version_acked = 0; // a renewal that failed is tried again after the look-up
        }
        // It may have got there all the same; until then it counts as holding it for the withdrawal.
        h->expires = d->now + p->ttl_s * USEC_PER_S;
        if (++h->failures >= HOLDER_FAILURES_MAX)
            h->in_region = false;
    }
    if (p->relook_at > d->now + p->loss_step) {
        p->relook_at = d->now + p->loss_step;
        p->loss_step = 2 * p->loss_step > RELOOK_MAX_US ? RELOOK_MAX_US : 2 * p->loss_step;
    }
    publish_tell(d, p);
    place_arm(d, p);
}

void place_timer(struct dht *d, struct place *p)
{
    uint32_t id = p->id;
    if (p->renew_at <= d->now)
        publish_renew(d, p);
    if (p->relook_at <= d->now)
        look_up(d, p);
    p = place_find(d, id);
    if (p == NULL)
        return;
    if (p->rest_at <= d->now)
        place_rest(d, p);
    place_arm(d, p);
}

void dht_place_close(struct dht *d, usec_t now, uint32_t id)
{
    d->now = now;
    struct place *p = place_find(d, id);
    if (p == NULL)
        return;
    attends_place_gone(d, id);
    publish_withdraw(d, p);
    calls_forget(d, CALL_HOLDER, id);
    calls_forget(d, CALL_LATE, id);
    if (p->lookup != 0)
        lookup_cancel(d, p->lookup);
    struct place **at = &d->places;
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    d->place_count--;
    while (p->holders > 0)
        holder_remove(d, p, p->holders - 1u);
    arena_give(d->config.arena, p->holder, p->holders_cap * sizeof *p->holder);
    timers_remove(&d->timers, &p->timer);
    ekey_end(d, &p->ekey);
    arena_give(d->config.arena, p, sizeof *p);
}
