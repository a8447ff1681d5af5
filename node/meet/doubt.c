#include "node/meet/doubt.h"

#include <assert.h>
#include <string.h>

// DOUBTS_MAX: not known.
static unsigned find(const struct doubts *d, uint64_t via)
{
    unsigned i = 0;
    while (i < DOUBTS_MAX && (via == 0 || d->at[i].silent == 0 || d->at[i].via != via))
        i++;
    return i;
}

void doubt_ways(struct doubt_ways *w, const uint64_t *via, unsigned n)
{
    assert(n <= DHT_INTRODUCERS_MAX);
    memset(w, 0, sizeof *w);
    for (unsigned i = 0; i < n; i++) {
        bool again = false;
        for (unsigned k = 0; k < i; k++)
            again = again || via[k] == via[i];
        w->via[i] = again ? 0 : via[i];
    }
}

bool doubt_same(const struct doubt_ways *a, const struct doubt_ways *b)
{
    for (unsigned i = 0; i < DHT_INTRODUCERS_MAX; i++)
        for (unsigned k = 0; k < DHT_INTRODUCERS_MAX; k++)
            if (a->via[i] != 0 && a->via[i] == b->via[k])
                return true;
    return false;
}

void doubt_silent(struct doubts *d, const struct doubt_ways *w)
{
    for (unsigned i = 0; i < DHT_INTRODUCERS_MAX; i++) {
        if (w->via[i] == 0)
            continue;
        unsigned k = find(d, w->via[i]);
        if (k == DOUBTS_MAX) {
            k = d->next++ % DOUBTS_MAX;
            d->at[k].via = w->via[i];
            d->at[k].silent = 0;
        }
        d->at[k].silent = (uint8_t)(d->at[k].silent + (d->at[k].silent < UINT8_MAX));
    }
}

void doubt_answered(struct doubts *d, const struct doubt_ways *w)
{
    for (unsigned i = 0; i < DHT_INTRODUCERS_MAX; i++) {
        unsigned k = find(d, w->via[i]);
        if (k < DOUBTS_MAX)
            d->at[k].silent = 0;
    }
}

unsigned doubt_most(const struct doubts *d, const struct doubt_ways *w)
{
    unsigned most = 0;
    for (unsigned i = 0; i < DHT_INTRODUCERS_MAX; i++) {
        unsigned k = find(d, w->via[i]);
        if (k < DOUBTS_MAX && d->at[k].silent > most)
            most = d->at[k].silent;
    }
    return most;
}
