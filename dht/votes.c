// What servers say our address is, and when it is believed.
#include "crypto/bytes.h"
#include "dht/internal.h"

#include <sodium.h>

// Nobody who does not know the key can aim at a collision.
static uint32_t keyed(const struct dht *d, const void *data, size_t len)
{
    uint8_t out[crypto_shorthash_BYTES];
    crypto_shorthash(out, data, len, d->hash_key);
    struct rd r = rd_init(out, sizeof out);
    return rd_le32(&r);
}

static struct vote vote_for(const struct dht *d, const struct path *seen)
{
    struct prefix fine = path_fine(seen);
    return (struct vote){.seen = keyed(d, seen, sizeof *seen),
                         .prefix = keyed(d, &fine, sizeof fine),
                         .family = seen->family};
}

static void count_votes(const struct dht *d, const struct path *seen, unsigned *exact,
                        unsigned *prefix)
{
    struct vote v = vote_for(d, seen);
    *exact = *prefix = 0;
    for (unsigned i = 0; i < SEEN_VOTES; i++) {
        const struct vote *w = &d->upkeep.vote[i];
        if (w->family != v.family)
            continue;
        *exact += w->seen == v.seen;
        *prefix += w->prefix == v.prefix;
    }
}

static struct vote *vote_of(struct upkeep *u, uint32_t who, uint8_t family)
{
    for (unsigned i = 0; i < SEEN_VOTES; i++)
        if (u->vote[i].who == who && u->vote[i].family == family)
            return &u->vote[i];
    return &u->vote[u->vote_next++ % SEEN_VOTES];
}

// Two that agree are believed, one where there is only one. What is believed stays until more say
// otherwise: else two liars could move the table about at every answer.
void upkeep_vote(struct dht *d, const struct call *c, const struct path *seen)
{
    struct upkeep *u = &d->upkeep;
    if (c->via == VIA_TCP)
        return; // it saw the port of a connection, or a proxy
    uint32_t who = keyed(d, dht_entry(d, c->ref)->contact.pk, 32);
    struct vote *v = vote_of(u, who, seen->family);
    *v = vote_for(d, seen);
    v->who = who;
    unsigned f = seen->family == 4 ? 0 : 1;
    unsigned exact, prefix, old_exact = 0, old_prefix = 0, unused;
    count_votes(d, seen, &exact, &prefix);
    struct path *believed = &u->seen[f];
    if (believed->family != 0 && !path_equal(believed, seen))
        count_votes(d, believed, &old_exact, &unused);
    struct prefix new = path_fine(seen), old = path_fine(&u->centre_seen[f]);
    if (u->own_centre[f] && memcmp(&new, &old, sizeof new) != 0)
        count_votes(d, &u->centre_seen[f], &unused, &old_prefix);
    unsigned need = dht_live(d) <= 1 ? 1 : SEEN_AGREE;
    if (exact >= need && exact > old_exact && !path_equal(believed, seen)) {
        bool moved = believed->family != 0;
        *believed = *seen;
        u->seen_last = (uint8_t)f;
        if (moved) {
            dialback_moved(d, f);
            reach_moved(d, f);
        }
    }
    if (prefix >= need && prefix > old_prefix && u->serves[f])
        upkeep_recentre(d, f, seen);
}
