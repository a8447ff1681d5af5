#include "crypto/net.h"

#include "crypto/bytes.h"

#include <assert.h>
#include <sodium.h>

int net_init(struct net *net, const char *name)
{
    size_t len = strlen(name);
    if (len == 0 || len > NETWORK_NAME_BYTES_MAX)
        return BAUTA_EFORMAT;
    for (size_t i = 0; i < len; i++)
        if (name[i] < 0x21 || name[i] > 0x7e)
            return BAUTA_EFORMAT;
    memset(net, 0, sizeof *net);
    net->bytes[0] = (uint8_t)len;
    memcpy(net->bytes + 1, name, len);
    net->len = (uint8_t)(1 + len);
    return BAUTA_OK;
}

void hash_pieces(uint8_t *out, size_t out_len, const uint8_t *key, size_t key_len,
                 const struct piece *piece, size_t n)
{
    crypto_generichash_blake2b_state st;
    int rc = crypto_generichash_blake2b_init(&st, key, key_len, out_len);
    assert(rc == 0);
    for (size_t i = 0; i < n; i++)
        if (piece[i].len > 0)
            crypto_generichash_blake2b_update(&st, piece[i].data, piece[i].len);
    rc = crypto_generichash_blake2b_final(&st, out, out_len);
    assert(rc == 0);
    (void)rc;
    sodium_memzero(&st, sizeof st);
}
