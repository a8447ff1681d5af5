// Work on a first datagram: a server that is flooded gives its tokens first to those who have searched for a
// nonce, with many zero bits in
//   BLAKE2b-16("bauta stamp" || mask_key || e || nonce || LE64 slot),
// and forged addresses cost their forger as much. `slot` counts spans of 20 minutes of unix time, so that stamps
// can't be saved up; the lowest bit of the nonce's last byte is the slot's. Fast to check, a fiftieth of
// the X25519 that it stands before (after hashcash: Back, "A Denial of Service Counter-Measure", 2002).
#ifndef BAUTA_CRYPTO_STAMP_H
#define BAUTA_CRYPTO_STAMP_H

#include "crypto/rpc.h"

#define STAMP_SLOT_S 1200u // clocks may be ten minutes wrong

// How many leading zero bits it has, at most 64; *tag: another 64 bits of the hash. One hash.
unsigned stamp_bits(const uint8_t mask_key[static 32], const uint8_t e[static 32],
                    const uint8_t nonce[static RPC_NONCE_BYTES], uint64_t unix_s, uint64_t *tag);
// Tries so many nonces, counting up from the random one that is handed in, and leaves the best.
void stamp_make(uint8_t nonce[static RPC_NONCE_BYTES], const uint8_t mask_key[static 32],
                const uint8_t e[static 32], uint64_t unix_s, uint32_t tries);

#endif
