// Histograms: percentiles of any number of values in bounded memory. Values below 64 are exact, larger
// ones to 1.6 %.
#ifndef BAUTA_SIM_HIST_H
#define BAUTA_SIM_HIST_H

#include "dht/machine.h"

#define SIM_HIST_STEPS 64u // of each power of two
#define SIM_HIST_BUCKETS ((32u - 6u + 1u) * SIM_HIST_STEPS)

struct sim_hist {
    uint64_t count, sum, max;
    uint32_t bucket[SIM_HIST_BUCKETS]; // of values up to 2^32 - 1; larger ones count as that
};

void sim_hist_add(struct sim_hist *, uint64_t value);
void sim_hist_move(struct sim_hist *to, struct sim_hist *from); // which is empty then
// The value that `permille` of all are not above; 0 when there are none.
uint64_t sim_hist_at(const struct sim_hist *, unsigned permille);
// The largest value of a bucket.
uint64_t sim_hist_edge(unsigned bucket);

#endif
