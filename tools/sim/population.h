// Who is there: classes of nodes, what stands between them and the network, how long they stay, and who
// comes when somebody leaves.
#ifndef BAUTA_SIM_POPULATION_H
#define BAUTA_SIM_POPULATION_H

#include "tools/sim/sim.h"

#define SIM_CLASSES_MAX SIM_CLASSES
#define SIM_CLASS_NAME_BYTES 16u

enum sim_session {
    SIM_SESSION_STEADY,   // median of nine days: servers of volunteers
    SIM_SESSION_MAINLINE, // half of the sessions under 200 minutes
    SIM_SESSION_MOBILE    // half under 11 minutes
};

struct sim_node_class {
    char name[SIM_CLASS_NAME_BYTES];
    uint32_t share_percent;   // of the nodes; the last class has what is left
    uint32_t nat_percent;     // behind a NAT: clients
    uint32_t relays_percent;  // of the class, where it has public servers that stay: relays, too
    uint32_t servers_percent; // of the others
    uint32_t public_percent;  // of its servers: volunteers', of which everybody may know (--public)
    enum sim_session session;
    uint32_t up_kbit, down_kbit, queue_ms; // of the line; 0: no limit
};

struct sim_population {
    struct sim_node_class class[SIM_CLASSES_MAX];
    uint32_t classes;
    uint32_t bootstraps; // the first nodes: public servers that stay, and keep their keys
    uint32_t told;       // of these, drawn for each newcomer
    uint32_t ipv6_percent, dual_percent; // of nodes: IPv6 alone; both. The first have both then
    uint32_t cached_percent;  // of newcomers: with contacts of an earlier run, public servers
    uint32_t skew_percent;    // of nodes whose wall clock is wrong,
    usec_t skew_us;           // by up to this, either way
    bool dial_back;           // servers but the first become it when others have dialled them back
    uint32_t session_percent; // sessions are so long, against the tables; 0: nobody leaves
    uint32_t rejoin_percent;  // of arrivals: somebody who was there before, with another server key
    uint32_t polite_percent;  // of those who leave: with a word to whom they talk to
    usec_t gap_us;            // from when somebody leaves until another comes, on average
};

void sim_population_set(struct sim *, const struct sim_population *); // before its first node
// The next node, of a class and place drawn for it. Those of the `bootstraps` first ones first.
uint32_t sim_population_add(struct sim *, usec_t at_us);
// At once, and back after up to `back_us`, at the same address.
void sim_restart(struct sim *, usec_t at_us, uint32_t node, usec_t back_us);
// A living honest node at which nobody sits, drawn; SIM_NOBODY: none was found.
uint32_t sim_seat(const struct sim *, uint32_t key);
// Could these two open a path to each other?
bool sim_can_meet(const struct sim *, uint32_t a, uint32_t b);

// For sim.c: a node has started.
void sim_population_started(struct sim *, uint32_t node);

#endif
