// All randomness of a simulation: PRF(seed, purpose, ids, counter), so that no draw depends on the
// order in which nodes run. Linked into the simulator and its tests only.
#ifndef BAUTA_SIM_PRF_H
#define BAUTA_SIM_PRF_H

#include "dht/machine.h"

enum sim_purpose {
    SIM_PRF_ADDRESS = 1,
    SIM_PRF_PORT,
    SIM_PRF_PLACE_X,
    SIM_PRF_PLACE_Y,
    SIM_PRF_ACCESS,
    SIM_PRF_JITTER,
    SIM_PRF_LOSS,
    SIM_PRF_AES,
    SIM_PRF_CLASS,
    SIM_PRF_JOIN,
    SIM_PRF_BOOTSTRAP,
    SIM_PRF_SEEK,
    SIM_PRF_VICTIM,
    SIM_PRF_PERSON,
    SIM_PRF_PAIR,
    SIM_PRF_NAT,
    SIM_PRF_BURST,
    SIM_PRF_FAMILY,
    SIM_PRF_SKEW,
    SIM_PRF_SESSION,
    SIM_PRF_ARRIVAL,
    SIM_PRF_TOPIC,
    SIM_PRF_TALK,
    SIM_PRF_PHASE,
    SIM_PRF_LOAD,
    SIM_PRF_KEY,
    SIM_PRF_NODE,
    SIM_PRF_ATTACK,
    SIM_PRF_CACHE
};

struct sim_prf {
    uint64_t key[2];
};

void sim_prf_init(struct sim_prf *, uint64_t seed);
uint64_t sim_prf_u64(const struct sim_prf *, enum sim_purpose, uint32_t a, uint32_t b,
                     uint64_t counter);
// In [0, n), n >= 1, by multiplication: the same everywhere; its bias of n / 2^64 doesn't matter here.
uint64_t sim_prf_below(const struct sim_prf *, enum sim_purpose, uint32_t a, uint32_t b,
                       uint64_t counter, uint32_t n);
// A node's server key in its n-th session.
void sim_prf_key(const struct sim_prf *, uint32_t node, uint32_t session, uint8_t out[static 32]);

// Each node's own randomness: the PRF of its number and a counter.
struct sim_stream {
    const struct sim_prf *prf;
    uint64_t at; // bytes drawn so far
    uint32_t node;
};
void sim_stream_init(struct sim_stream *, const struct sim_prf *, uint32_t node);
void sim_stream_fill(void *ctx, void *buf, size_t len); // a struct rng's fill

#endif
