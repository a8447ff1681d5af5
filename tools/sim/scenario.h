// Scenario files: a network, who is in it, and what happens in its phases, as README.md describes them.
#ifndef BAUTA_SIM_SCENARIO_H
#define BAUTA_SIM_SCENARIO_H

#include "tools/sim/attack_scenario.h"
#include "tools/sim/load.h"
#include "tools/sim/population.h"

#define SCENARIO_PHASES_MAX 16u
#define SCENARIO_NAME_BYTES 32u
#define SCENARIO_ABOUT_BYTES 200u

struct scenario_phase {
    char name[SCENARIO_NAME_BYTES];
    usec_t at_us, duration_us;
    // People who come: pairs of whom one waits, pairs who come at the same moment, a crowd on one
    // topic, people who seek now and again.
    struct scenario_amount waiting, together, crowd, browsing;
    usec_t wait_us;           // waiting: the second comes this much later, up to half more
    usec_t talk_us;           // a conversation's length, half to one and a half of it; 0: for ever
    uint32_t messages;        // each says in it
    usec_t gap_us;            // between two of them
    uint32_t topics;          // browsing: the k-th is as popular as 1/k
    uint32_t seeks_per_hour;  // browsing: of each person, about
    usec_t patience_us;       // browsing: gives up after; 0: never
    bool quiet;               // idle nodes are measured
    uint32_t kill_percent;    // of the nodes, at its beginning, for ever
    uint32_t restart_percent; // of the nodes, at its beginning
    usec_t back_us;           // they are back within
    uint32_t cut_percent;     // of the plane, cut off from the rest
    uint32_t lossy_percent;   // of the plane, where more is lost:
    uint32_t lossy_loss_ppm;
};

struct scenario {
    char about[SCENARIO_ABOUT_BYTES]; // a sentence for the report
    uint64_t seed;
    char network[NETWORK_NAME_BYTES_MAX + 1];
    uint32_t nodes;
    uint32_t loss_ppm, burst_ppm;
    bool lab, prefix_limits;
    uint32_t puzzle_bits, no_aes_percent;
    int64_t unix_start_s;
    usec_t join_us;              // newcomers join within this time
    struct sim_node_class plain; // of [network]: what classes begin with
    struct sim_population population;
    struct scenario_phase phase[SCENARIO_PHASES_MAX];
    uint32_t phases;
    usec_t duration_us;
    usec_t series_us; // between two rows of the time series
    bool modelled;    // crypto
    struct attack_scenario attacks;
    struct sim_load_config load;
    uint32_t threads; // no setting of the file's: sim_threads
};

// 0, or -1 with one line about why in `error`.
int scenario_read(struct scenario *, const char *file, char *error, size_t error_bytes);
// After --nodes and --seed: does it make sense? As scenario_read.
int scenario_check(const struct scenario *, char *error, size_t error_bytes);
// Nodes that come and stay, and at most a load: it may run on several threads.
bool scenario_is_flat(const struct scenario *);
uint32_t scenario_amount(const struct scenario *, struct scenario_amount);
// Sets a simulation up. Run it until duration_us.
struct sim *scenario_build(const struct scenario *);
// The JSON object of a finished run, to be freed.
char *scenario_summary(struct sim *, const struct scenario *, double wall_s,
                       uint64_t peak_rss_bytes);

#endif
