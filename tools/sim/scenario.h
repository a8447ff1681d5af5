// Scenario files: a network, its people and what happens to them, as README.md describes them.
#ifndef BAUTA_SIM_SCENARIO_H
#define BAUTA_SIM_SCENARIO_H

#include "tools/sim/sim.h"

// A number of nodes or people, or a share of all nodes.
struct scenario_amount {
    uint32_t value;
    bool percent;
};

struct scenario {
    uint64_t seed;
    char network[NETWORK_NAME_BYTES_MAX + 1];
    uint32_t nodes, servers_percent, bootstraps;
    uint32_t loss_ppm;
    bool lab, prefix_limits;
    uint32_t puzzle_bits, no_aes_percent;
    int64_t unix_start_s;
    usec_t join_us; // newcomers join within this time
    struct scenario_amount pairs,
        crowd; // pairs: two people on a topic of their own; crowd: all on one
    usec_t seek_at_us, seek_spread_us;
    uint32_t messages;
    usec_t gap_us;
    usec_t kill_at_us; // 0: nobody dies
    uint32_t kill_percent;
    usec_t idle_us; // the last phase, for the figures of idle nodes
    usec_t duration_us;
    bool modelled; // crypto
};

// 0, or -1 with one line about why in `error`.
int scenario_read(struct scenario *, const char *file, char *error, size_t error_bytes);
// After --nodes and --seed: does it make sense? As scenario_read.
int scenario_check(const struct scenario *, char *error, size_t error_bytes);
// Sets a simulation up. Run it until duration_us.
struct sim *scenario_build(const struct scenario *);
// The JSON object of a finished run, to be freed.
char *scenario_summary(struct sim *, const struct scenario *, double wall_s,
                       uint64_t peak_rss_bytes);

#endif
