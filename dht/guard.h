// What stands between the network and a server's work: tokens, rates, the cache of request keys, the
// memory of requests seen. Cheap checks come before costly ones, and nothing is allocated for a
// datagram that has not been authenticated.
#ifndef BAUTA_DHT_GUARD_H
#define BAUTA_DHT_GUARD_H

#include "crypto/rpc.h"
#include "dht/arena.h"
#include "dht/limits.h"
#include "dht/path.h"

struct keycache_entry {
    uint8_t e[32];
    struct rpc_keys keys;
    bool used, hit;
};
struct rate_entry {
    uint64_t tag; // of the prefix, or of address and port; 0: empty
    usec_t since; // when `left` was counted
    uint32_t left;
};
struct replay_set {
    uint64_t *tag; // open addressing, 0: empty
    uint32_t n, cap;
};
struct guard {
    struct arena *arena;
    const struct rng *rng;
    bool prefix_limits;
    uint8_t hash_key[16];
    uint8_t token_secret[2][32];  // in use, the one before
    usec_t rotate_at;             // 0: never made
    struct keycache_entry *cache; // shares x sets x ways
    uint32_t sets, cache_evicted; // evicted, weighted, in this token period
    struct replay_set replay[2];  // this token period, the one before
    struct rate_entry *rate;      // 2-way
    uint32_t rates, rate_evicted;
};

int guard_init(struct guard *, struct arena *, const struct rng *,
               bool prefix_limits); // BAUTA_ESPACE
void guard_end(struct guard *);
// What a source counts as: its coarse prefix, or the node itself where prefixes do not count.
uint64_t guard_source(const struct guard *, const struct path *);

// True if a request from there may cost something now.
bool guard_rate(struct guard *, usec_t now, uint64_t source);
// The token for this address, port and e; and whether one is good.
void guard_token(struct guard *, usec_t now, const struct path *, const uint8_t e[static 32],
                 uint8_t token[static RPC_TOKEN_BYTES]);
bool guard_token_ok(struct guard *, usec_t now, const struct path *, const uint8_t e[static 32],
                    const uint8_t token[static RPC_TOKEN_BYTES]);
// The keys of e, if they are cached. Remember only those under which a request has opened.
bool guard_keys(struct guard *, uint64_t source, const uint8_t e[static 32], struct rpc_keys *);
void guard_keys_remember(struct guard *, uint64_t source, const uint8_t e[static 32],
                         const struct rpc_keys *);
// 0: new, and remembered for a token's life; BAUTA_EREPLAY; BAUTA_ELIMIT: too many changes of state to
// remember. Questions (ping, find) that there is no room for are let through.
int guard_once(struct guard *, usec_t now, const uint8_t nonce[static RPC_NONCE_BYTES],
               bool changes_state);
// An authenticated request: the moment at which tables that are too small may grow.
void guard_grow(struct guard *);

#endif
