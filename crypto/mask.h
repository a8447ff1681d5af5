// Masks that make every datagram look random (PROTOCOL 1). They hide, they do not protect: each is
// an involution keyed by a key that the receiver has handed out, over the datagram's last 16 bytes.
#ifndef BAUTA_CRYPTO_MASK_H
#define BAUTA_CRYPTO_MASK_H

#include "crypto/limits.h"

#include <stddef.h>
#include <stdint.h>

#define RPC_HEADER_BYTES 48u // rpc_id[8] || token[8] || e[32]

// XORs the first 48 bytes with ChaCha20-IETF(mask_key, nonce = sample[0..11],
// counter = LE32 of sample[12..15]). len >= 64.
void mask_request(uint8_t *datagram, size_t len, const uint8_t mask_key[static 32]);

// XORs 8 bytes at `field` with SipHash-2-4(key, last 16 bytes of the datagram): the cid with the
// receiver's recv_mask, the packet number with the phase's hp.
void mask_field(uint8_t field[static 8], const uint8_t *datagram, size_t len,
                const uint8_t key[static MASK_KEY_BYTES]);

#endif
