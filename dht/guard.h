// What stands between the network and a server's work: tokens, rates, the cache of request keys, the
// memory of requests seen. Cheap checks come before costly ones, and nothing is allocated for a
// datagram that has not been authenticated. Answers to our own requests never come here: they are
// recognised by their ids before.
#ifndef BAUTA_DHT_GUARD_H
#define BAUTA_DHT_GUARD_H

#include "crypto/rpc.h"
#include "dht/arena.h"
#include "dht/limits.h"
#include "dht/path.h"

#include <assert.h>

struct keycache_entry {
    uint64_t tag; // keyed hash of e; 0: empty. Its lowest bit: the keys were of use again
    struct rpc_root root;
};
static_assert(sizeof(struct keycache_entry) == 40, "a server that is used keeps dozens");
struct bucket { // of tokens, refilled by the microsecond
    usec_t since;
    uint32_t left;
};
// [0]: of requests without a token, which anybody may forge; [1]: of those with one.
struct rate_entry {
    uint64_t tag;             // of the prefix, or of address and port; 0: empty
    usec_t since;             // of two buckets, refilled together:
    uint16_t left[2];         // tokens
    uint16_t second;          // in which the others count:
    uint16_t taken[2];        // requests let through
    uint16_t exchanges;       // of keys, with a token
    uint8_t part[RATE_PARTS]; // four bits each
};
static_assert(sizeof(struct rate_entry) == 40, "every server has eight");
static_assert(RATE_PART_FREE_PER_S < 16, "of a part");
static_assert(RATE_PREFIX_PER_S <= UINT16_MAX && RATE_NODE_PER_S <= UINT16_MAX, "left");
struct replay_set {
    uint32_t *tag; // of keyed hashes; open addressing, 0: empty
    uint32_t n, cap;
    uint16_t part[REPLAY_PARTS]; // of n, by source
};
struct guard {
    struct arena *arena;
    const struct rng *rng;
    bool prefix_limits;
    uint8_t hash_key[16];
    uint8_t token_secret[2][RPC_TOKEN_SECRET_BYTES]; // in use, the one before
    usec_t rotate_at;                                // 0: never made
    uint8_t period;                                  // 0 or 1 by turns
    struct keycache_entry *cache;                    // shares x sets x ways
    uint32_t sets, cache_evicted; // keys of use that were lost in this token period
    bool cache_hit;               // in this token period
    struct replay_set replay[2];  // this token period, the one before
    struct rate_entry *rate;      // 2-way; at first `few`
    struct rate_entry few[RATE_ENTRIES_MIN];
    uint32_t rates, rate_evicted;
    uint32_t active, active_before, second; // sources heard in this second and in the one before
    uint32_t sharers, sharers_before;       // of them, with a token
    struct bucket total, unproven, dh, dh_unproven, work;
    uint8_t work_part[WORK_PARTS];
};

void guard_init(struct guard *, struct arena *, const struct rng *, bool prefix_limits);
void guard_end(struct guard *);
// Gives back what a quiet server does not need. True while it holds anything: call it again later.
bool guard_rest(struct guard *, usec_t now);
// What a source counts as: its coarse prefix, or the node itself where prefixes do not count.
uint64_t guard_source(const struct guard *, const struct path *);

// True if a request from there may cost something now. Proven: its token is good, so nobody forged the
// address; such requests have a rate of their own. A prefix that has used up its rate leaves each of its
// fine prefixes a little.
bool guard_rate(struct guard *, usec_t now, const struct path *, uint64_t source, bool proven);
// May a key exchange be computed for it? What is left when there are many goes to the proven, in fair shares.
bool guard_dh(struct guard *, usec_t now, uint64_t source, bool proven);
// May a proof of work of this source be checked?
bool guard_work(struct guard *, usec_t now, uint64_t source);
// It passed the cheap test and was wrong: that uses up WORK_WRONG more of what its source has in this second.
void guard_work_wrong(struct guard *, uint64_t source);
// Is this a good token for address, port and e? Its lowest bit names the secret that made it, so this
// costs one hash.
bool guard_token(struct guard *, usec_t now, const struct path *, const uint8_t e[static 32],
                 const uint8_t token[static RPC_TOKEN_BYTES]);
// The one to use from now on.
void guard_token_next(struct guard *, usec_t now, const struct path *, const uint8_t e[static 32],
                      uint8_t next[static RPC_TOKEN_BYTES]);
// The root of e's keys, if it is cached. Remember only those under whose keys a request has opened.
bool guard_keys(struct guard *, uint64_t source, const uint8_t e[static 32], struct rpc_root *);
void guard_keys_remember(struct guard *, uint64_t source, const uint8_t e[static 32],
                         const struct rpc_root *);
// 0: new, and remembered for a token's life; BAUTA_EREPLAY; BAUTA_ELIMIT: too many changes of state to
// remember, in all or of one source. Questions (ping, find) that there is no room for are let through.
int guard_once(struct guard *, usec_t now, const uint8_t nonce[static RPC_NONCE_BYTES],
               uint64_t source, bool changes_state);
// An authenticated request: the moment at which tables that are too small may grow.
void guard_grow(struct guard *);

#endif
