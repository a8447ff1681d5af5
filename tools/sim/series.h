// A run as a time series: one row for each interval, as CSV.
#ifndef BAUTA_SIM_SERIES_H
#define BAUTA_SIM_SERIES_H

#include "tools/sim/sim.h"

#include <stdio.h>

struct sim_row { // of the interval that ends at at_us; counts are of the interval alone
    usec_t at_us;
    uint32_t alive, clients, servers; // now; servers as started, listed or not
    uint32_t waiting;                 // people who seek, now
    uint32_t seeks, matches, started, ended;
    uint64_t events, datagrams, bytes; // sent, headers counted
    uint64_t lost, filtered, overflown;
    uint64_t lookups, lookups_ok, lookup_us_p50, lookup_us_p95;
    uint64_t recalls, recalled; // look-ups of places that were checked, and those that had all
};

// Before the run begins.
void sim_series_begin(struct sim *, usec_t every_us);
size_t sim_series_rows(const struct sim *, const struct sim_row **);
bool sim_series_write(const struct sim *, FILE *); // false: it could not be written
// Datagrams a second at the worst row against the median one, from from_us on; in hundredths.
uint64_t sim_series_peak(const struct sim *, usec_t from_us);

#endif
