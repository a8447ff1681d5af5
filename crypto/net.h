// NET = len8(network) || network: the network's name, which separates every hash and key of one
// network from those of another (PROTOCOL, head).
#ifndef BAUTA_CRYPTO_NET_H
#define BAUTA_CRYPTO_NET_H

#include "crypto/limits.h"

#include <stddef.h>
#include <stdint.h>

struct net {
    uint8_t bytes[1 + NETWORK_NAME_BYTES_MAX]; // len8(name) || name
    uint8_t len;                               // of `bytes`
};

// Fills `net` from a name of 1 to NETWORK_NAME_BYTES_MAX bytes of visible ASCII. Returns 0 or BAUTA_EFORMAT.
int net_init(struct net *net, const char *name);

// One BLAKE2b over several pieces. `key` may be NULL. out_len 8..64. Each piece is hashed as it is.
struct piece {
    const void *data;
    size_t len;
};
void hash_pieces(uint8_t *out, size_t out_len, const uint8_t *key, size_t key_len,
                 const struct piece *piece, size_t n);

#endif
