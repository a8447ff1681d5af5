// Candidates of a look-up: those of its paths, of the region, and the rest, each bounded by number and by
// prefix.
#include "dht/internal.h"

#include <string.h>

struct candidate *cand_find(const struct lookup *l, book_ref ref)
{
    for (unsigned i = 0; i < l->n; i++)
        if (l->cand[i].ref == ref)
            return &l->cand[i];
    return NULL;
}

void cand_remove(struct dht *d, struct lookup *l, struct candidate *c)
{
    size_t i = (size_t)(c - l->cand);
    book_drop(d->config.book, c->ref);
    l->n--;
    memmove(c, c + 1, (l->n - i) * sizeof *c);
}

static bool grow(struct dht *d, struct lookup *l)
{
    if (l->n < l->cap)
        return true;
    unsigned cap = l->cap == 0 ? 32 : l->cap < 128 ? 2u * l->cap : LOOKUP_CANDIDATES_MAX;
    struct candidate *c =
        l->cap == LOOKUP_CANDIDATES_MAX ? NULL : arena_take(d->config.arena, cap * sizeof *c);
    if (c == NULL)
        return false;
    if (l->n > 0)
        memcpy(c, l->cand, l->n * sizeof *c);
    arena_give(d->config.arena, l->cand, l->cap * sizeof *c);
    l->cand = c;
    l->cap = (uint16_t)cap;
    return true;
}

// Whose bounds a candidate counts in: the region's, or its path's.
static bool same_group(const struct candidate *a, const struct candidate *b)
{
    return a->inside ? b->inside : !b->inside && a->path == b->path;
}

// Does a give way to b? Inside a crowd by rank, else by distance.
static bool worse(const struct lookup *l, struct candidate *a, struct candidate *b, bool by_rank)
{
    if (!by_rank)
        return a->distance > b->distance;
    a->rank = a->rank != 0 ? a->rank : region_rank(l->target, a->fine);
    b->rank = b->rank != 0 ? b->rank : region_rank(l->target, b->fine);
    return a->rank > b->rank;
}

// Room for `new` in its group: where too many of its prefix, or too many at all, are in, the worst that
// has not been asked gives way. One prefix can't fill a path or a region, however many ids it makes up.
static bool make_room(struct dht *d, struct lookup *l, struct candidate *new)
{
    unsigned fine = 0, coarse = 0, all = 0;
    unsigned fine_max = LOOKUP_FINE_MAX;
    unsigned coarse_max = new->inside ? LOOKUP_COARSE_INSIDE_MAX : LOOKUP_COARSE_MAX;
    unsigned max = new->inside            ? REGION_CANDIDATES
                   : new->path < l->paths ? LOOKUP_PATH_CANDIDATES
                                          : LOOKUP_REST_CANDIDATES;
    for (unsigned i = 0; i < l->n; i++) {
        const struct candidate *c = &l->cand[i];
        if (!same_group(new, c) || c->state == CAND_FAILED)
            continue;
        all++;
        fine += c->fine == new->fine;
        coarse += c->coarse == new->coarse;
    }
    if (fine < fine_max && coarse < coarse_max && all < max)
        return true;
    bool by_rank = new->inside &&fine < fine_max &&coarse < coarse_max;
    struct candidate *worst = NULL;
    for (unsigned i = 0; i < l->n; i++) {
        struct candidate *c = &l->cand[i];
        if (!same_group(new, c) || c->state != CAND_NEW ||
            (fine >= fine_max && c->fine != new->fine) ||
            (fine < fine_max && coarse >= coarse_max && c->coarse != new->coarse))
            continue;
        if (worst == NULL || worse(l, c, worst, by_rank))
            worst = c;
    }
    if (worst == NULL || !worse(l, worst, new, by_rank))
        return false;
    cand_remove(d, l, worst);
    return true;
}

// A path that has never had anybody takes the first that comes, from whichever other.
static uint8_t path_for(struct lookup *l, uint8_t path)
{
    if (path >= l->paths)
        return path;
    for (uint8_t i = 0; i < l->paths; i++)
        if ((l->path_in_use >> i & 1) == 0) {
            path = i;
            break;
        }
    l->path_in_use = (uint8_t)(l->path_in_use | 1u << path);
    return path;
}

struct candidate *cand_add(struct dht *d, struct lookup *l, book_ref ref, uint8_t hop, uint8_t path,
                           uint8_t round)
{
    struct candidate *there = cand_find(l, ref), new;
    if (there != NULL) {
        if (there->round > round)
            there->round = round;
        return there;
    }
    const struct book_entry *e = dht_entry(d, ref);
    region_candidate(&l->region, &new, e, l->target, d->config.prefix_limits);
    new.hop = hop;
    new.path = new.inside ? LOOKUP_PATHS : path_for(l, path);
    new.round = round;
    if (!make_room(d, l, &new) || !grow(d, l))
        return NULL;
    new.ref = book_keep(d->config.book, ref);
    unsigned k = l->n;
    while (k > 0 && (new.distance < l->cand[k - 1].distance ||
                     (new.distance == l->cand[k - 1].distance &&id_nearer(
                                          e->id, dht_entry(d, l->cand[k - 1].ref)->id, l->target))))
        k--;
    memmove(&l->cand[k + 1], &l->cand[k], (l->n - k) * sizeof *l->cand);
    l->cand[k] = new;
    l->n++;
    return &l->cand[k];
}
