// What all encounters of one node share: the layers below, the clocks, counters, budgets.
#ifndef BAUTA_NODE_MEET_ENV_H
#define BAUTA_NODE_MEET_ENV_H

#include "crypto/noise.h"
#include "node/meet/block.h"
#include "node/meet/load.h"
#include "node/meet/meet.h"

// A token bucket: `per_s` a second, and as many at once.
struct rate {
    uint64_t used_us; // what is taken, in time that it takes to come back
    usec_t at;
};
static inline bool rate_take(struct rate *r, usec_t now, uint32_t per_s)
{
    uint64_t gone = now - r->at;
    r->used_us = r->used_us > gone ? r->used_us - gone : 0;
    r->at = now;
    uint64_t price = USEC_PER_S / per_s;
    if (r->used_us + price > USEC_PER_S)
        return false;
    r->used_us += price;
    return true;
}

struct encounter;

struct meet_env {
    struct net net;
    struct rng rng;
    struct arena *arena;
    struct dht *dht;
    bool lab, aes_hardware;
    uint8_t local_mask[MASK_KEY_BYTES];
    struct noise_spec noise; // IKpsk1

    usec_t now; // of the call that runs
    bool clock_set;
    int64_t unix_us; // wall clock at unix_at
    usec_t unix_at;

    usec_t search_at;    // no search for a path before
    struct path exit[2]; // behind our relay; family 0: none
    uint32_t via;        // the tunnel to it; VIA_NONE: none
    bool relayed;        // it is the only way
    bool held;           // and not known yet: searches wait

    struct path *local; // `locals` of them
    unsigned locals;
    struct path *mapped; // `mappeds` of them
    unsigned mappeds;
    struct block *block; // taken with the first encounter: a node without one stays small
    struct meet_status count;
    uint32_t last_job;
    struct load load;     // the effort of introductions to us
    struct rate pow_rate; // of Argon2id checks
    struct encounter *encounter[MEET_ENCOUNTERS_MAX];
    struct rate decline_rate;
};

static inline uint64_t env_unix_us(const struct meet_env *env)
{
    int64_t t = env->unix_us + (int64_t)(env->now - env->unix_at);
    return t > 0 ? (uint64_t)t : 0;
}

static inline usec_t earlier(usec_t a, usec_t b)
{
    return a < b ? a : b;
}

#endif
