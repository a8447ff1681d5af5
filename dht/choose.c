// Choosing introducers for a place, by the ladder of PROTOCOL 3.
#include "dht/internal.h"

#include <string.h>

// A ping with the place's e, so that the attend that follows has its token.
static void fetch_token(struct dht *d, struct place *p, book_ref ref)
{
    const struct session *s = ekey_find(d, &p->ekey, ref);
    if (s != NULL && s->has_token)
        return;
    struct wire_request q;
    memset(&q, 0, sizeof q);
    q.kind = RPC_PING;
    struct call_spec spec = {
        .owner_kind = CALL_TOKEN, .owner = p->id, .place = p->id, .ref = ref, .ekey = &p->ekey};
    (void)call_start(d, &spec, &q, NULL);
}

#define KNOWN_MAX (HOLDERS_MAX + 6 * TABLE_K)
struct known {
    book_ref ref;
    bool outside;
};

static bool add_known(struct dht *d, struct known *known, size_t *n, size_t max, book_ref ref)
{
    const uint8_t *pk = dht_entry(d, ref)->contact.pk;
    if (dht_entry(d, ref)->contact.path.via != VIA_UDP) // others would not reach it there
        return false;
    for (size_t i = 0; i < *n; i++)
        if (memcmp(dht_entry(d, known[i].ref)->contact.pk, pk, 32) == 0)
            return false;
    if (*n < max)
        known[(*n)++] = (struct known){ref, true};
    return true;
}

// Everybody who may be an introducer, nearest to the place first, with the region marked: the holders
// once they are known, until then twice its radius, or the nearest that are known.
static size_t gather(struct dht *d, struct place *p, struct known *known, size_t max)
{
    book_ref all[TABLE_BUCKETS * TABLE_K];
    size_t n = 0;
    uint64_t size = dht_size(d);
    struct region near = {.radius = size == 0 ? 0 : size_radius(size, 2 * REGION_EXPECTED)};
    for (unsigned i = 0; i < p->holders; i++)
        if (p->holder[i].in_region)
            (void)add_known(d, known, &n, max, p->holder[i].ref);
    for (unsigned f = 0; f < 2; f++) {
        size_t count = d->table[f] == NULL ? 0 : table_nearest(d->table[f], p->place, all, TABLE_K);
        for (size_t i = 0; i < count; i++)
            (void)add_known(d, known, &n, max, all[i]);
        count = d->table[f] == NULL ? 0 : table_list(d->table[f], all, sizeof all / sizeof *all);
        // Random ones: the farthest buckets, which come first, hold much the same few everywhere.
        for (size_t i = 0; i < count && i < TABLE_K * 2; i++) {
            size_t j = i + (size_t)rng_below(&d->config.rng, count - i);
            (void)add_known(d, known, &n, max, all[j]);
            all[j] = all[i];
        }
    }
    for (size_t i = 1; i < n; i++) {
        struct known x = known[i];
        size_t k = i;
        for (; k > 0 &&
               id_nearer(dht_entry(d, x.ref)->id, dht_entry(d, known[k - 1].ref)->id, p->place);
             k--)
            known[k] = known[k - 1];
        known[k] = x;
    }
    for (size_t i = 0; i < n; i++) {
        struct candidate c;
        region_candidate(&near, &c, dht_entry(d, known[i].ref), p->place, false);
        known[i].outside = p->found          ? place_holder(d, p, known[i].ref) == NULL
                           : near.radius > 0 ? !c.inside
                                             : i >= REGION_EXPECTED;
    }
    return n;
}

static void shuffle(struct dht *d, book_ref *of, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t)rng_below(&d->config.rng, i);
        book_ref x = of[i - 1];
        of[i - 1] = of[j];
        of[j] = x;
    }
}

// IPv4 and IPv6 by turns, as far as there are both: somebody who has one of them only can reach nobody
// whose introducers all have the other.
static void weave(const struct dht *d, book_ref *of, size_t n)
{
    book_ref all[KNOWN_MAX];
    size_t next[2] = {0, 0};
    memcpy(all, of, n * sizeof *of);
    for (size_t i = 0; i < n; i++)
        for (unsigned k = 0; k < 2; k++) {
            unsigned f = (i + k) % 2;
            size_t *at = &next[f];
            while (*at < n && (dht_entry(d, all[*at])->contact.path.family == 4 ? 0u : 1u) != f)
                ++*at;
            if (*at == n)
                continue;
            of[i] = all[(*at)++];
            break;
        }
}

size_t dht_place_introducers(struct dht *d, uint32_t id,
                             struct contact out[static DHT_INTRODUCERS_MAX])
{
    struct place *p = place_find(d, id);
    struct known known[KNOWN_MAX];
    book_ref chosen[DHT_INTRODUCERS_MAX], ladder[KNOWN_MAX];
    size_t n = 0;
    if (p == NULL)
        return 0;
    size_t all = gather(d, p, known, sizeof known / sizeof known[0]), outside = 0;
    for (size_t i = 0; i < all; i++)
        if (known[i].outside)
            ladder[outside++] = known[i].ref;
    shuffle(d, ladder, outside);
    weave(d, ladder, outside);
    for (unsigned step = 0; step < 2; step++) // (a) of different coarse prefixes, (b) any
        for (size_t i = 0; i < outside && n < DHT_INTRODUCERS_MAX; i++) {
            if (ladder[i] == 0)
                continue;
            const struct path *path = &dht_entry(d, ladder[i])->contact.path;
            if (step == 0 && d->config.prefix_limits &&
                !prefix_room(d->config.book, chosen, n, path, UINT32_MAX, 1))
                continue;
            chosen[n++] = ladder[i];
            ladder[i] = 0;
        }
    if (n == 0) // (c) inside, farthest first
        for (size_t i = all; i > 0 && n < DHT_INTRODUCERS_MAX; i--)
            chosen[n++] = known[i - 1].ref;
    for (size_t i = 0; i < n; i++) {
        out[i] = dht_entry(d, chosen[i])->contact;
        fetch_token(d, p, chosen[i]);
    }
    return n;
}

// ---- for two who talk already ---------------------------------------------------------------------

static bool apart(const struct dht *d, const struct path *a, const struct path *b)
{
    if (!d->config.prefix_limits)
        return !path_equal(a, b);
    struct prefix p = path_coarse(a), q = path_coarse(b);
    return memcmp(p.bytes, q.bytes, sizeof p.bytes) != 0;
}

// What speaks against a choice; the least is taken.
static unsigned objections(const struct dht *d, const struct contact *c, const struct path *peer,
                           const struct contact *chosen, size_t n)
{
    unsigned bad = c->path.family != peer->family;
    bool crowded = !apart(d, &c->path, peer);
    for (size_t i = 0; i < n; i++)
        crowded = crowded || !apart(d, &c->path, &chosen[i].path);
    return bad + (crowded ? 2u : 0u);
}

size_t dht_servers_apart(struct dht *d, const struct path *peer, struct contact *out, size_t max)
{
    book_ref all[2 * TABLE_BUCKETS * TABLE_K];
    size_t n = 0, k = 0;
    for (unsigned f = 0; f < 2; f++)
        if (d->table[f] != NULL)
            n += table_list(d->table[f], all + n, TABLE_BUCKETS * TABLE_K);
    shuffle(d, all, n);
    while (k < max) {
        size_t best = n;
        unsigned least = UINT32_MAX;
        for (size_t i = 0; i < n && least > 0; i++) {
            const struct contact *c = all[i] == 0 ? NULL : &dht_entry(d, all[i])->contact;
            if (c == NULL || c->path.via != VIA_UDP || path_equal(&c->path, peer) ||
                !dht_contact_ok(d, c, true))
                continue;
            unsigned bad = objections(d, c, peer, out, k);
            if (bad < least) {
                least = bad;
                best = i;
            }
        }
        if (best == n)
            break;
        const uint8_t *pk = dht_entry(d, all[best])->contact.pk;
        out[k++] = dht_entry(d, all[best])->contact;
        for (size_t i = 0; i < n; i++) // it may be known under an address of each family
            if (all[i] != 0 && i != best && memcmp(dht_entry(d, all[i])->contact.pk, pk, 32) == 0)
                all[i] = 0;
        all[best] = 0;
    }
    return k;
}

bool dht_server_live(struct dht *d, const struct contact *c)
{
    book_ref ref = dht_hold(d, c);
    struct table *t = d->table[c->path.family == 4 ? 0 : 1];
    bool live = ref != 0 && t != NULL && table_has(t, ref);
    book_drop(d->config.book, ref);
    return live;
}
