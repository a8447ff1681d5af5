// The simulated network: where nodes live, which address they have, how long a datagram takes and
// whether it arrives. Integers only; every draw is a PRF of the datagram's source and number.
//
// What it does not model yet: address translation, bandwidth and queues, paths that change; nodes draw
// no IPv6 addresses.
#ifndef BAUTA_SIM_NETWORK_H
#define BAUTA_SIM_NETWORK_H

#include "tools/sim/prf.h"

#define SIM_NOBODY UINT32_MAX

struct sim_site {        // of one node
    struct path path;    // its public address
    uint32_t x_us, y_us; // on the plane
    uint32_t access_us;  // of its own line, one way
};

struct sim_network {
    const struct sim_prf *prf;
    uint32_t loss_ppm; // of datagrams, one way
    struct sim_site *site;
    uint32_t sites, sites_room;
    uint32_t *slot; // open addressing: site + 1 by address
    uint32_t slots; // a power of two, at most half full
};

void sim_network_init(struct sim_network *, const struct sim_prf *, uint32_t loss_ppm);
void sim_network_free(struct sim_network *);
// The next site: its number is the node's. At an address of its own that nobody has, or `at` NULL:
// a drawn one, with `lab` of 127.0.0.0/8.
uint32_t sim_network_add(struct sim_network *, const struct path *at, bool lab);
uint32_t sim_network_find(const struct sim_network *,
                          const struct path *); // SIM_NOBODY: nobody lives there
// One way, without jitter: symmetrical, at least SIM_LATENCY_FLOOR_US.
usec_t sim_network_latency(const struct sim_network *, uint32_t a, uint32_t b);
// Where and when the datagram `number` of `from` arrives. False: it is lost.
bool sim_network_carry(const struct sim_network *, uint32_t from, const struct path *to,
                       uint64_t number, uint32_t *destination, usec_t *takes_us);

#endif
