// Does a look-up find the servers that are nearest? All live servers' ids, sorted, kept by the simulator
// as nobody in the network could.
#ifndef BAUTA_SIM_RECALL_H
#define BAUTA_SIM_RECALL_H

#include "tools/sim/sim.h"

#define SIM_RECALL_NEAREST 16u

struct sim_listed { // a server as others compute it
    uint64_t id;    // its leading 64 bits
    uint32_t node;
    uint32_t since_s;
};
struct sim_shelf { // of those with the same leading bits
    struct sim_listed *listed;
    uint16_t count, room;
};
struct sim_recall {
    struct sim_shelf *shelf[2]; // IPv4, IPv6; 2^bits each
    unsigned bits;
    // Look-ups of places that were checked; those whose region had all of the nearest that had been there for
    // SIM_SETTLED_US; how many of the nearest there were in all, and found.
    uint64_t lookups, whole, nearest, found;
    uint64_t nearest_at_once, found_at_once; // the same at the moment when the look-up ends
};

#endif
