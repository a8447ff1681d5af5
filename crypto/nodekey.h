// Server keys, ids, and the two puzzles (PROTOCOL 3 and 6).
#ifndef BAUTA_CRYPTO_NODEKEY_H
#define BAUTA_CRYPTO_NODEKEY_H

#include "crypto/net.h"

#include <stdbool.h>

// X25519 key pair from 32 random bytes.
void key_pair(uint8_t pk[static 32], uint8_t sk[static 32], const uint8_t seed[static 32]);

void node_mask_key(uint8_t mask_key[static 32], const struct net *net, const uint8_t pk[static 32]);

// family 4: prefix is 3 bytes (/24); family 6: 6 bytes (/48).
void node_id(uint8_t id[static 32], const struct net *net, const uint8_t pk[static 32],
             const uint8_t puzzle_nonce[static PUZZLE_NONCE_BYTES], uint8_t family,
             const uint8_t *prefix);

bool node_puzzle_ok(const struct net *net, const uint8_t pk[static 32],
                    const uint8_t puzzle_nonce[static PUZZLE_NONCE_BYTES], unsigned bits);
// Tries `tries` nonces from *counter up. True and the nonce when found; *counter goes on.
bool node_puzzle_search(uint8_t puzzle_nonce[static PUZZLE_NONCE_BYTES], const struct net *net,
                        const uint8_t pk[static 32], unsigned bits, uint64_t *counter,
                        uint64_t tries);

// Client puzzle of an introduction: sol = Argon2id("bauta pow" || m || nonce, salt = rec_id), valid if
// u64(BLAKE2b-8(sol || nonce || m)) <= 2^64 / effort, m = BLAKE2b-32(msg1). Effort 0 needs none.
// pow_cheap is the BLAKE2b test alone; pow_check adds the Argon2id (0.2 ms, allocates 256 KiB).
bool pow_cheap(const uint8_t m[static 32], const uint8_t nonce[static POW_NONCE_BYTES],
               const uint8_t sol[static POW_SOLUTION_BYTES], uint32_t effort);
bool pow_check(const uint8_t m[static 32], const uint8_t rec_id[static 16],
               const uint8_t nonce[static POW_NONCE_BYTES],
               const uint8_t sol[static POW_SOLUTION_BYTES], uint32_t effort);
// Searches from `start` (random) for at most `tries`; true when found.
bool pow_solve(uint8_t nonce[static POW_NONCE_BYTES], uint8_t sol[static POW_SOLUTION_BYTES],
               const uint8_t m[static 32], const uint8_t rec_id[static 16], uint32_t effort,
               const uint8_t start[static POW_NONCE_BYTES], uint64_t tries);

#endif
