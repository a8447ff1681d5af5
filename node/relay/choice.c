#include "node/relay/choice.h"

void relay_pool_init(struct relay_pool *p, bool prefix_limits)
{
    memset(p, 0, sizeof *p);
    p->prefix_limits = prefix_limits;
}

// ---- prefixes, or nodes -----------------------------------------------------------------------------

static bool same_group(const struct relay_pool *p, const struct path *a, const struct path *b)
{
    if (!p->prefix_limits)
        return a->family == b->family && a->port == b->port &&
               memcmp(a->ip, b->ip, sizeof a->ip) == 0;
    struct prefix x = path_coarse(a), y = path_coarse(b);
    return memcmp(&x, &y, sizeof x) == 0;
}

static bool touches(const struct relay_pool *p, const struct relay_offer *o, const struct path *at)
{
    for (unsigned i = 0; i < o->contacts; i++)
        if (same_group(p, &o->contact[i].path, at))
            return true;
    return false;
}

// Known ones that have a prefix in common with it.
static unsigned neighbours(const struct relay_pool *p, const struct relay_offer *o)
{
    unsigned most = 0;
    for (unsigned c = 0; c < o->contacts; c++) {
        unsigned n = 0;
        for (unsigned i = 0; i < p->offers; i++)
            n += touches(p, &p->offer[i], &o->contact[c].path);
        most = n > most ? n : most;
    }
    return most;
}

// ---- who failed -------------------------------------------------------------------------------------

// Where it stands; the number of them: nowhere.
static unsigned bad_at(const struct relay_pool *p, const uint8_t *pk)
{
    unsigned i = 0;
    while (i < p->bads && memcmp(p->bad[i].pk, pk, KEY_BYTES) != 0)
        i++;
    return i;
}

static bool is_bad(const struct relay_pool *p, usec_t now, const struct relay_offer *o)
{
    unsigned i = bad_at(p, o->contact[0].pk);
    return i < p->bads && p->bad[i].until > now;
}

void relay_pool_failed(struct relay_pool *p, usec_t now, const uint8_t pk[static KEY_BYTES])
{
    unsigned at = bad_at(p, pk);
    if (at == p->bads) {
        if (p->bads < RELAY_BAD_MAX)
            p->bads++;
        else
            at = 0;
        for (unsigned i = at + 1; i < p->bads; i++)
            if (p->bad[i].until < p->bad[at].until)
                at = i;
        memset(&p->bad[at], 0, sizeof p->bad[at]);
        memcpy(p->bad[at].pk, pk, KEY_BYTES);
    }
    struct relay_bad *b = &p->bad[at];
    usec_t wait = RELAY_BAD_MIN_US;
    for (unsigned i = 0; i < b->failures && wait < RELAY_BAD_MAX_US; i++)
        wait *= 2;
    b->until = now + (wait < RELAY_BAD_MAX_US ? wait : RELAY_BAD_MAX_US);
    if (b->failures < UINT8_MAX)
        b->failures++;
}

void relay_pool_worked(struct relay_pool *p, const uint8_t pk[static KEY_BYTES])
{
    unsigned i = bad_at(p, pk);
    if (i < p->bads)
        p->bad[i] = p->bad[--p->bads];
}

// ---- collecting -------------------------------------------------------------------------------------

bool relay_pool_news(const struct relay_pool *p, const struct relay_offer *o)
{
    for (unsigned i = 0; i < p->offers; i++)
        if (memcmp(p->offer[i].ed_pk, o->ed_pk, KEY_BYTES) == 0)
            return p->offer[i].issued_s < o->issued_s;
    return true;
}

static bool useless(const struct relay_pool *p, struct relay_time t, const struct relay_offer *o)
{
    return o->expiry_s <= t.unix_s || o->free == 0 || is_bad(p, t.now, o);
}

// Which one gives its place to a new one; NULL: none.
static struct relay_offer *victim(struct relay_pool *p, struct relay_time t,
                                  const struct relay_offer *o)
{
    unsigned beside = neighbours(p, o), most = beside + 1;
    bool crowded = p->prefix_limits && beside >= RELAY_POOL_PREFIX_MAX;
    struct relay_offer *v = NULL;
    for (unsigned i = 0; i < p->offers; i++) {
        struct relay_offer *old = &p->offer[i];
        bool beside_it = false;
        for (unsigned c = 0; c < o->contacts; c++)
            beside_it = beside_it || touches(p, old, &o->contact[c].path);
        if (useless(p, t, old) && (!crowded || beside_it))
            return old;
        unsigned n = crowded ? 0 : neighbours(p, old);
        if (n > most) {
            most = n;
            v = old;
        }
    }
    return v;
}

void relay_pool_put(struct relay_pool *p, struct relay_time t, const struct relay_offer *o)
{
    // By the server's key: two signing keys may belong to one of those.
    for (unsigned i = 0; i < p->offers; i++) {
        if (memcmp(p->offer[i].contact[0].pk, o->contact[0].pk, KEY_BYTES) != 0)
            continue;
        if (p->offer[i].issued_s < o->issued_s)
            p->offer[i] = *o;
        return;
    }
    if (useless(p, t, o))
        return;
    bool crowded = p->prefix_limits && neighbours(p, o) >= RELAY_POOL_PREFIX_MAX;
    struct relay_offer *at =
        p->offers < RELAY_POOL_MAX && !crowded ? &p->offer[p->offers++] : victim(p, t, o);
    if (at != NULL)
        *at = *o;
}

uint64_t relay_pool_expiry(const struct relay_pool *p, uint64_t after_s)
{
    uint64_t at = UINT64_MAX;
    for (unsigned i = 0; i < p->offers; i++)
        if (p->offer[i].expiry_s > after_s && p->offer[i].expiry_s < at)
            at = p->offer[i].expiry_s;
    return at;
}

// ---- choosing ---------------------------------------------------------------------------------------

struct candidate {
    const struct relay_offer *offer;
    const struct contact *contact; // of a family that can be reached
    bool first;                    // of its prefix
};
struct candidates {
    unsigned n, prefixes;
    struct candidate at[RELAY_POOL_MAX];
};

static const struct contact *reachable(const struct relay_offer *o, uint8_t families)
{
    for (unsigned i = 0; i < o->contacts; i++) {
        uint8_t bit = o->contact[i].path.family == 4 ? RELAY_WISH_V4 : RELAY_WISH_V6;
        if (families == 0 || (families & bit) != 0)
            return &o->contact[i];
    }
    return NULL;
}

static bool used(const struct relay_pool *p, const struct relay_offer *o,
                 const struct relay_wish *wish)
{
    for (unsigned i = 0; i < wish->used_count; i++)
        if (touches(p, o, &wish->used[i]))
            return true;
    return false;
}

static void gather(const struct relay_pool *p, struct relay_time t, const struct relay_wish *wish,
                   struct candidates *all)
{
    all->n = all->prefixes = 0;
    for (unsigned i = 0; i < p->offers; i++) {
        const struct relay_offer *o = &p->offer[i];
        const struct contact *c = reachable(o, wish->families);
        if (c == NULL || useless(p, t, o) || used(p, o, wish) || (wish->both && o->contacts < 2))
            continue;
        struct candidate *x = &all->at[all->n];
        *x = (struct candidate){.offer = o, .contact = c, .first = true};
        for (unsigned k = 0; k < all->n; k++)
            x->first = x->first && !same_group(p, &all->at[k].contact->path, &c->path);
        all->prefixes += x->first;
        all->n++;
    }
}

unsigned relay_pool_prefixes(const struct relay_pool *p, struct relay_time t,
                             const struct relay_wish *wish)
{
    struct candidates all;
    gather(p, t, wish, &all);
    return all.prefixes;
}

static uint64_t median_capacity(const struct candidates *all)
{
    uint32_t x[RELAY_POOL_MAX] = {0};
    for (unsigned i = 0; i < all->n; i++) {
        unsigned k = i;
        for (; k > 0 && x[k - 1] > all->at[i].offer->capacity_kBps; k--)
            x[k] = x[k - 1];
        x[k] = all->at[i].offer->capacity_kBps;
    }
    return x[(all->n - 1) / 2]; // the lower one of two: a lie of half of them does not raise it
}

int relay_pool_pick(const struct relay_pool *p, struct relay_time t, const struct rng *rng,
                    const struct relay_wish *wish, struct relay_choice *choice)
{
    struct candidates all;
    uint64_t weight[RELAY_POOL_MAX], sum = 0;
    const struct candidate *head = NULL;
    gather(p, t, wish, &all);
    if (all.n == 0 && wish->both) {
        struct relay_wish less = *wish;
        less.both = false;
        gather(p, t, &less, &all);
    }
    if (all.n == 0)
        return BAUTA_EUNKNOWN;
    unsigned nth = (unsigned)rng_below(rng, all.prefixes);
    for (unsigned i = 0; i < all.n && head == NULL; i++)
        if (all.at[i].first && nth-- == 0)
            head = &all.at[i];
    assert(head != NULL);
    uint64_t most = RELAY_CAPACITY_MEDIANS * median_capacity(&all);
    for (unsigned i = 0; i < all.n; i++) {
        uint64_t claimed = all.at[i].offer->capacity_kBps;
        bool inside = same_group(p, &all.at[i].contact->path, &head->contact->path);
        weight[i] = !inside ? 0 : claimed < most ? claimed : most;
        sum += weight[i];
    }
    uint64_t at = rng_below(rng, sum); // each claims at least 1
    unsigned i = 0;
    for (; i + 1 < all.n && at >= weight[i]; i++)
        at -= weight[i];
    choice->offer = *all.at[i].offer;
    choice->contact = (unsigned)(all.at[i].contact - all.at[i].offer->contact);
    return BAUTA_OK;
}
