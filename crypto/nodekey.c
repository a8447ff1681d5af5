#include "crypto/nodekey.h"

#include "crypto/bytes.h"

#include <assert.h>
#include <sodium.h>

void key_pair(uint8_t pk[static 32], uint8_t sk[static 32], const uint8_t seed[static 32])
{
    memmove(sk, seed, 32);
    crypto_scalarmult_base(pk, sk);
}

void node_mask_key(uint8_t mask_key[static 32], const struct net *net, const uint8_t pk[static 32])
{
    const struct piece piece[] = {{"bauta mask", 10}, {net->bytes, net->len}, {pk, 32}};
    hash_pieces(mask_key, 32, NULL, 0, piece, 3);
}

void node_id(uint8_t id[static 32], const struct net *net, const uint8_t pk[static 32],
             const uint8_t puzzle_nonce[static PUZZLE_NONCE_BYTES], uint8_t family,
             const uint8_t *prefix)
{
    assert(family == 4 || family == 6);
    const struct piece piece[] = {
        {"bauta node", 10}, {net->bytes, net->len},
        {pk, 32},           {puzzle_nonce, PUZZLE_NONCE_BYTES},
        {&family, 1},       {prefix, family == 4 ? PREFIX4_BYTES : PREFIX6_BYTES},
    };
    hash_pieces(id, 32, NULL, 0, piece, 6);
}

static bool leading_zero_bits(const uint8_t hash[static 32], unsigned bits)
{
    if (bits > 256)
        return false;
    for (unsigned i = 0; i < bits / 8; i++)
        if (hash[i] != 0)
            return false;
    return bits % 8 == 0 || hash[bits / 8] >> (8 - bits % 8) == 0;
}

bool node_puzzle_ok(const struct net *net, const uint8_t pk[static 32],
                    const uint8_t puzzle_nonce[static PUZZLE_NONCE_BYTES], unsigned bits)
{
    uint8_t hash[32];
    if (bits == 0)
        return true; // a lab asks for none
    const struct piece piece[] = {
        {"bauta puzzle", 12},
        {net->bytes, net->len},
        {pk, 32},
        {puzzle_nonce, PUZZLE_NONCE_BYTES},
    };
    hash_pieces(hash, sizeof hash, NULL, 0, piece, 4);
    return leading_zero_bits(hash, bits);
}

bool node_puzzle_search(uint8_t puzzle_nonce[static PUZZLE_NONCE_BYTES], const struct net *net,
                        const uint8_t pk[static 32], unsigned bits, uint64_t *counter,
                        uint64_t tries)
{
    for (; tries > 0; tries--) {
        struct wr w = wr_init(puzzle_nonce, PUZZLE_NONCE_BYTES);
        wr_le64(&w, (*counter)++);
        if (node_puzzle_ok(net, pk, puzzle_nonce, bits))
            return true;
    }
    return false;
}

bool pow_cheap(const uint8_t m[static 32], const uint8_t nonce[static POW_NONCE_BYTES],
               const uint8_t sol[static POW_SOLUTION_BYTES], uint32_t effort)
{
    if (effort <= 1) // every 64-bit number is at most 2^64
        return true;
    uint8_t hash[8];
    const struct piece piece[] = {{sol, POW_SOLUTION_BYTES}, {nonce, POW_NONCE_BYTES}, {m, 32}};
    hash_pieces(hash, sizeof hash, NULL, 0, piece, 3);
    struct rd r = rd_init(hash, sizeof hash);
    // floor(2^64 / effort) without a 65th bit
    uint64_t limit = UINT64_MAX / effort + (UINT64_MAX % effort == effort - 1u ? 1u : 0u);
    return rd_le64(&r) <= limit;
}

static bool pow_solution(uint8_t sol[static POW_SOLUTION_BYTES], const uint8_t m[static 32],
                         const uint8_t rec_id[static 16],
                         const uint8_t nonce[static POW_NONCE_BYTES])
{
    uint8_t input[9 + 32 + POW_NONCE_BYTES];
    struct wr w = wr_init(input, sizeof input);
    wr_bytes(&w, "bauta pow", 9);
    wr_bytes(&w, m, 32);
    wr_bytes(&w, nonce, POW_NONCE_BYTES);
    _Static_assert(crypto_pwhash_argon2id_SALTBYTES == 16, "rec_id is the salt");
    return crypto_pwhash_argon2id(sol, POW_SOLUTION_BYTES, (const char *)input, sizeof input,
                                  rec_id, POW_ARGON_PASSES, POW_ARGON_BYTES,
                                  crypto_pwhash_argon2id_ALG_ARGON2ID13) == 0;
}

bool pow_check(const uint8_t m[static 32], const uint8_t rec_id[static 16],
               const uint8_t nonce[static POW_NONCE_BYTES],
               const uint8_t sol[static POW_SOLUTION_BYTES], uint32_t effort)
{
    if (effort == 0)
        return true;
    uint8_t want[POW_SOLUTION_BYTES];
    return pow_cheap(m, nonce, sol, effort) && pow_solution(want, m, rec_id, nonce) &&
           sodium_memcmp(want, sol, sizeof want) == 0;
}

bool pow_solve(uint8_t nonce[static POW_NONCE_BYTES], uint8_t sol[static POW_SOLUTION_BYTES],
               const uint8_t m[static 32], const uint8_t rec_id[static 16], uint32_t effort,
               const uint8_t start[static POW_NONCE_BYTES], uint64_t tries)
{
    memmove(nonce, start, POW_NONCE_BYTES);
    for (; tries > 0; tries--) {
        if (!pow_solution(sol, m, rec_id, nonce))
            return false;
        if (pow_cheap(m, nonce, sol, effort))
            return true;
        sodium_increment(nonce, POW_NONCE_BYTES);
    }
    return false;
}
