#include "dht/region.h"

#include "crypto/net.h"
#include "dht/table.h"

#include <assert.h>
#include <string.h>

static uint64_t leading(const uint8_t *p)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < 8; i++)
        v = v << 8 | p[i];
    return v;
}

static uint64_t pack(struct prefix p)
{
    uint8_t bytes[8] = {0};
    memcpy(bytes, p.bytes, sizeof p.bytes);
    return leading(bytes);
}

uint64_t region_distance(const uint8_t a[static 32], const uint8_t b[static 32])
{
    return leading(a) ^ leading(b);
}

void region_candidate(const struct region *r, struct candidate *c, const struct book_entry *e,
                      const uint8_t target[static 32], bool prefix_limits)
{
    memset(c, 0, sizeof *c);
    c->distance = region_distance(e->id, target);
    c->inside = c->distance < r->radius;
    c->family = e->contact.path.family == 4 ? 0 : 1;
    c->fine = prefix_limits ? pack(path_fine(&e->contact.path)) : leading(e->contact.pk);
    c->coarse = prefix_limits ? pack(path_coarse(&e->contact.path)) : c->fine;
}

uint64_t region_rank(const uint8_t target[static 32], uint64_t fine)
{
    uint8_t bytes[8], out[8];
    for (unsigned i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(fine >> (56 - 8 * i));
    const struct piece piece[] = {{target, 32}, {bytes, sizeof bytes}};
    hash_pieces(out, sizeof out, NULL, 0, piece, 2);
    uint64_t rank = leading(out);
    return rank == 0 ? 1 : rank;
}

// Who is in so far.
struct tally {
    unsigned n;
    unsigned live, coarse, family[2]; // without the slow ones
    uint64_t edge;
    struct candidate *in[LOOKUP_CANDIDATES_MAX];
    uint64_t of_fine[LOOKUP_CANDIDATES_MAX], of_coarse[LOOKUP_CANDIDATES_MAX]; // side by side
};

// Counted anew: of a fine prefix, of a coarse one, and of that coarse one without the slow.
static bool room(const struct tally *t, const struct candidate *c, bool *new_coarse)
{
    unsigned fine = 0, coarse = 0;
    *new_coarse = true;
    for (unsigned i = 0; i < t->n; i++) {
        fine += t->of_fine[i] == c->fine;
        coarse += t->of_coarse[i] == c->coarse;
    }
    for (unsigned i = 0; coarse > 0 && *new_coarse && i < t->n; i++)
        *new_coarse = t->of_coarse[i] != c->coarse || t->in[i]->state == CAND_SLOW;
    return fine < REGION_FINE_MAX && coarse < REGION_COARSE_MAX;
}

static void add(struct tally *t, struct candidate *c, bool new_coarse)
{
    t->of_fine[t->n] = c->fine;
    t->of_coarse[t->n] = c->coarse;
    t->in[t->n++] = c;
    if (c->distance > t->edge)
        t->edge = c->distance;
    if (c->state == CAND_SLOW)
        return;
    t->live++;
    t->family[c->family]++;
    t->coarse += new_coarse;
}

// Only those of lowest rank stay: nobody can choose the rank of a prefix that he has, and more ids of
// it, or nearer ones, do not help him.
static void thin_out(struct tally *t, const uint8_t target[static 32])
{
    struct tally all = *t;
    for (unsigned i = 0; i < all.n; i++) {
        struct candidate *c = all.in[i];
        if (c->rank == 0)
            c->rank = region_rank(target, c->fine);
        unsigned k = i;
        for (; k > 0 && all.in[k - 1]->rank > c->rank; k--)
            all.in[k] = all.in[k - 1];
        all.in[k] = c;
    }
    memset(t, 0, sizeof *t);
    for (unsigned i = 0; i < REGION_PREFIXES; i++) {
        bool new_coarse;
        (void)room(t, all.in[i], &new_coarse);
        add(t, all.in[i], new_coarse);
    }
}

static bool may_be_in(const struct candidate *c)
{
    return c->state != CAND_FAILED && c->round <= REGION_ROUNDS;
}

void region_select(struct region *r, const uint8_t target[static 32], struct candidate *cand,
                   size_t n, bool extend)
{
    struct tally t;
    bool new_coarse;
    size_t i = 0;
    t.n = t.live = t.coarse = t.family[0] = t.family[1] = 0;
    t.edge = 0;
    assert(n <= LOOKUP_CANDIDATES_MAX);
    for (; i < n && cand[i].inside; i++)
        if (may_be_in(&cand[i]) && room(&t, &cand[i], &new_coarse))
            add(&t, &cand[i], new_coarse);
    if (t.n > REGION_PREFIXES)
        thin_out(&t, target);
    for (; i < n && extend && t.n < REGION_PREFIXES; i++) {
        const struct candidate *c = &cand[i];
        bool wanted = t.live < r->want || t.coarse < REGION_COARSE ||
                      ((r->families >> c->family & 1) != 0 && t.family[c->family] < REGION_FAMILY);
        if (wanted && may_be_in(c) && room(&t, c, &new_coarse))
            add(&t, &cand[i], new_coarse);
    }
    for (i = 0; i < n; i++)
        cand[i].member = false;
    r->members = (uint16_t)t.n;
    r->open = r->answered = r->slow = 0;
    r->edge = t.edge;
    for (i = 0; i < t.n; i++) {
        struct candidate *c = t.in[i];
        c->member = true;
        r->open = (uint16_t)(r->open + (c->state == CAND_NEW || c->state == CAND_ASKED));
        r->answered = (uint16_t)(r->answered + (c->state == CAND_ANSWERED));
        r->slow = (uint16_t)(r->slow + (c->state == CAND_SLOW));
    }
}
