// Pairs of people in whom an attack is measured: the first waits on a topic, the second comes later and
// has to find it.
#ifndef BAUTA_SIM_ATTACK_PROBE_H
#define BAUTA_SIM_ATTACK_PROBE_H

#include "tools/sim/sim.h"

#define ATTACK_PROBE_SLOT_US 36000000u // of one pair on a topic that others come to later
#define ATTACK_PROBE_LATE_US 5000000u  // the second comes so much after the first

struct attack_probe_config {
    uint32_t pairs;
    const char
        *topic;   // one pair after another there; NULL: all at once, each on a topic of its own
    usec_t at_us; // the first seek; the people's nodes, all clients, join up to 20 s before
    uint32_t bootstraps; // nodes 0 to n - 1
    bool v6;             // their addresses are IPv6 only
};
struct attack_probes {
    uint32_t first_person, pairs;
    usec_t end_us; // when all is known
};
struct attack_probe_figures {
    uint32_t pairs, met;
    usec_t p50_us, p95_us; // from the second's seek to its match, of those that met
};
usec_t attack_probe_end(const struct attack_probe_config *); // when the last has had its time
struct attack_probes attack_probe_add(struct sim *, const struct attack_probe_config *);
void attack_probe_figures(const struct sim *, const struct attack_probes *,
                          struct attack_probe_figures *);

#endif
