// A load on the DHT alone, without people: each living node looks up a random place once and announces
// a record there, at a time of its own.
#ifndef BAUTA_SIM_LOAD_H
#define BAUTA_SIM_LOAD_H

#include "tools/sim/sim.h"

struct sim_load_config {
    usec_t from_us, to_us; // to_us 0: no load
    uint32_t ttl_s;        // of the record: no renewal before half of it
};
struct sim_load_figures {
    uint32_t begun,
        stored; // announces; those whose record some server held SIM_LOAD_CHECK_US later
};

// For all nodes that there are by now.
void sim_load_add(struct sim *, const struct sim_load_config *);
const struct sim_load_figures *sim_load_figures(const struct sim *);

#endif
