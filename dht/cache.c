// Servers that may be told to others and written down: those that say of themselves that everybody may
// know them (relays, --public). It is a claim; who lies is only written down himself. Who does not answer
// stays: a node that lost its network should not forget how to come back.
#include "crypto/bytes.h"
#include "dht/internal.h"

void cache_end(struct dht *d)
{
    struct upkeep *u = &d->upkeep;
    for (unsigned i = 0; i < u->cached; i++)
        book_drop(d->config.book, u->cache[i]);
    arena_give(d->config.arena, u->cache, CACHE_MAX * sizeof *u->cache);
    u->cache = NULL;
    u->cached = 0;
}

static void cache_remove(struct dht *d, unsigned i)
{
    struct upkeep *u = &d->upkeep;
    book_drop(d->config.book, u->cache[i]);
    u->cache[i] = u->cache[--u->cached];
}

static bool same(const struct contact *a, const struct contact *b)
{
    return memcmp(a->pk, b->pk, 32) == 0 || path_equal(&a->path, &b->path);
}

void cache_heard(struct dht *d, book_ref ref, bool listed)
{
    struct upkeep *u = &d->upkeep;
    if (!d->config.keep_contacts || ref == 0)
        return;
    const struct contact *c = &dht_entry(d, ref)->contact;
    if (c->path.via != VIA_UDP) // what is written down is an address for UDP
        return;
    for (unsigned i = 0; i < u->cached; i++) {
        if (!same(c, &dht_entry(d, u->cache[i])->contact))
            continue;
        if (listed && u->cache[i] == ref)
            return;
        cache_remove(d, i--); // the last word counts
    }
    if (!listed)
        return;
    if (u->cache == NULL)
        u->cache = arena_take(d->config.arena, CACHE_MAX * sizeof *u->cache);
    if (u->cache == NULL)
        return;
    if (u->cached == CACHE_MAX) // a random one: nobody gets all places by answering more often
        cache_remove(d, (unsigned)rng_below(&d->config.rng, u->cached));
    u->cache[u->cached++] = book_keep(d->config.book, ref);
}

size_t dht_contacts_export(struct dht *d, struct contact *out, size_t max)
{
    const struct upkeep *u = &d->upkeep;
    size_t n = 0, seen = 0;
    for (unsigned i = 0; i < u->cached; i++) {
        // A uniform choice in a random order.
        size_t at = (size_t)rng_below(&d->config.rng, ++seen);
        if (n < max) {
            out[n] = out[at];
            out[at] = dht_entry(d, u->cache[i])->contact;
            n++;
        } else if (at < max) {
            out[at] = dht_entry(d, u->cache[i])->contact;
        }
    }
    return n;
}
