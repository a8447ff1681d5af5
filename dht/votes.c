// What servers say our address is, and when it is believed.
#include "crypto/bytes.h"
#include "dht/internal.h"

static void count_votes(const struct upkeep *u, const struct path *seen, unsigned *exact,
                        unsigned *prefix)
{
    struct prefix b = path_fine(seen);
    *exact = *prefix = 0;
    for (unsigned i = 0; i < SEEN_VOTES; i++) {
        const struct vote *w = &u->vote[i];
        if (w->who == 0 || w->seen.family != seen->family)
            continue;
        struct prefix a = path_fine(&w->seen);
        *exact += path_equal(&w->seen, seen);
        *prefix += memcmp(&a, &b, sizeof a) == 0;
    }
}

static struct vote *vote_of(struct upkeep *u, uint64_t who, uint8_t family)
{
    for (unsigned i = 0; i < SEEN_VOTES; i++)
        if (u->vote[i].who == who && u->vote[i].seen.family == family)
            return &u->vote[i];
    return &u->vote[u->vote_next++ % SEEN_VOTES];
}

// Two that agree are believed, one where there is only one. What is believed stays until more say
// otherwise: else two liars could move the table about at every answer.
void upkeep_vote(struct dht *d, const struct call *c, const struct path *seen)
{
    struct upkeep *u = &d->upkeep;
    uint64_t who = dht_tag(d, dht_entry(d, c->ref)->contact.pk);
    struct vote *v = vote_of(u, who, seen->family);
    v->who = who;
    v->seen = *seen;
    unsigned f = seen->family == 4 ? 0 : 1;
    unsigned exact, prefix, old_exact = 0, old_prefix = 0, unused;
    count_votes(u, seen, &exact, &prefix);
    struct path *believed = &u->seen[f];
    if (believed->family != 0 && !path_equal(believed, seen))
        count_votes(u, believed, &old_exact, &unused);
    struct prefix new = path_fine(seen), old = path_fine(&u->centre_seen[f]);
    if (u->own_centre[f] && memcmp(&new, &old, sizeof new) != 0)
        count_votes(u, &u->centre_seen[f], &unused, &old_prefix);
    unsigned need = dht_live(d) <= 1 ? 1 : SEEN_AGREE;
    if (exact >= need && exact > old_exact && !path_equal(believed, seen)) {
        bool moved = believed->family != 0;
        *believed = *seen;
        u->seen_last = (uint8_t)f;
        if (moved)
            dialback_moved(d, f);
    }
    if (prefix >= need && prefix > old_prefix && u->serves[f])
        upkeep_recentre(d, f, seen);
}
