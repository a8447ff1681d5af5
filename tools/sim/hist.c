#include "tools/sim/hist.h"

#include <string.h>

static unsigned bucket_of(uint64_t v)
{
    unsigned shift = 0;
    if (v > UINT32_MAX)
        v = UINT32_MAX;
    while (v >> shift >= 2 * SIM_HIST_STEPS)
        shift++;
    return shift * SIM_HIST_STEPS + (unsigned)(v >> shift);
}

uint64_t sim_hist_edge(unsigned bucket)
{
    if (bucket < 2 * SIM_HIST_STEPS)
        return bucket;
    unsigned shift = bucket / SIM_HIST_STEPS - 1;
    return (((uint64_t)(bucket % SIM_HIST_STEPS + SIM_HIST_STEPS + 1)) << shift) - 1;
}

void sim_hist_add(struct sim_hist *h, uint64_t value)
{
    h->bucket[bucket_of(value)]++;
    h->count++;
    h->sum += value;
    if (value > h->max)
        h->max = value;
}

void sim_hist_move(struct sim_hist *to, struct sim_hist *from)
{
    if (from->count == 0)
        return;
    for (unsigned i = 0; i < SIM_HIST_BUCKETS; i++)
        to->bucket[i] += from->bucket[i];
    to->count += from->count;
    to->sum += from->sum;
    to->max = from->max > to->max ? from->max : to->max;
    memset(from, 0, sizeof *from);
}

uint64_t sim_hist_at(const struct sim_hist *h, unsigned permille)
{
    if (h->count == 0)
        return 0;
    uint64_t rank = (h->count - 1) * permille / 1000, seen = 0;
    for (unsigned i = 0; i < SIM_HIST_BUCKETS; i++) {
        seen += h->bucket[i];
        if (seen > rank)
            return sim_hist_edge(i) < h->max ? sim_hist_edge(i) : h->max;
    }
    return h->max;
}
