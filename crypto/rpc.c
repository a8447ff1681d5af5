#include "crypto/rpc.h"

#include "crypto/bytes.h"

#include <assert.h>
#include <sodium.h>

static_assert(RPC_NONCE_BYTES == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, "nonce");
static_assert(RPC_TOKEN_BYTES == crypto_shorthash_siphash24_BYTES, "token");
static_assert(RPC_TOKEN_SECRET_BYTES == crypto_shorthash_siphash24_KEYBYTES, "token secret");
static_assert(RPC_TAG_BYTES == crypto_aead_xchacha20poly1305_ietf_ABYTES, "tag");
static_assert(RPC_ID_BYTES + RPC_TOKEN_BYTES + KEY_BYTES == RPC_HEADER_BYTES, "request header");
static_assert(RPC_REQUEST_OVERHEAD == 88 && ANSWER_OVERHEAD == 48, "layout");
// The mask's sample has to lie behind the masked header.
static_assert(RPC_REQUEST_OVERHEAD >= RPC_HEADER_BYTES + SAMPLE_BYTES, "sample");

int rpc_root_derive(struct rpc_root *root, const uint8_t own_secret[static 32],
                    const uint8_t peer_public[static 32])
{
    if (crypto_scalarmult_curve25519(root->dh, own_secret, peer_public) == 0)
        return BAUTA_OK;
    sodium_memzero(root, sizeof *root);
    return BAUTA_EAUTH;
}

void rpc_root_keys(struct rpc_keys *k, const struct rpc_root *root, const struct net *net,
                   const uint8_t e[static 32], const uint8_t server[static 32])
{
    static const char label[] = "bauta rpc 1";
    uint8_t out[64];
    const struct piece piece[] = {
        {label, sizeof label - 1}, {net->bytes, net->len}, {e, 32}, {server, 32}};
    hash_pieces(out, sizeof out, root->dh, sizeof root->dh, piece, 4);
    memcpy(k->c2s, out, 32);
    memcpy(k->s2c, out + 32, 32);
    sodium_memzero(out, sizeof out);
}

int rpc_keys_derive(struct rpc_keys *k, const uint8_t own_secret[static 32],
                    const uint8_t peer_public[static 32], const struct net *net,
                    const uint8_t e[static 32], const uint8_t server[static 32])
{
    struct rpc_root root;
    int rc = rpc_root_derive(&root, own_secret, peer_public);
    if (rc == 0)
        rpc_root_keys(k, &root, net, e, server);
    sodium_memzero(&root, sizeof root);
    return rc;
}

void rpc_id(uint8_t id[static RPC_ID_BYTES], const uint8_t mask_key[static 32])
{
    const struct piece piece = {"rpc", 3};
    hash_pieces(id, RPC_ID_BYTES, mask_key, 32, &piece, 1);
}

void rpc_request_seal(uint8_t *datagram, size_t body_len, const struct rpc_header *header,
                      const uint8_t mask_key[static 32], const struct rpc_keys *k,
                      const uint8_t nonce[static RPC_NONCE_BYTES])
{
    uint8_t *body = datagram + RPC_BODY_AT;
    rpc_id(datagram, mask_key);
    memcpy(datagram + RPC_ID_BYTES, header->token, RPC_TOKEN_BYTES);
    memcpy(datagram + RPC_ID_BYTES + RPC_TOKEN_BYTES, header->e, 32);
    memcpy(datagram + RPC_HEADER_BYTES, nonce, RPC_NONCE_BYTES);
    crypto_aead_xchacha20poly1305_ietf_encrypt_detached(body, body + body_len, NULL, body, body_len,
                                                        datagram, RPC_HEADER_BYTES, NULL, nonce,
                                                        k->c2s);
    mask_request(datagram, body_len + RPC_REQUEST_OVERHEAD, mask_key);
}

int rpc_request_unmask_as(struct rpc_header *header, uint8_t *datagram, size_t len,
                          const uint8_t mask_key[static 32], const uint8_t id[static RPC_ID_BYTES])
{
    if (len < RPC_REQUEST_OVERHEAD)
        return BAUTA_EFORMAT;
    mask_request(datagram, len, mask_key);
    if (sodium_memcmp(id, datagram, RPC_ID_BYTES) != 0)
        return BAUTA_EAUTH;
    memcpy(header->token, datagram + RPC_ID_BYTES, RPC_TOKEN_BYTES);
    memcpy(header->e, datagram + RPC_ID_BYTES + RPC_TOKEN_BYTES, 32);
    return BAUTA_OK;
}

int rpc_request_unmask(struct rpc_header *header, uint8_t *datagram, size_t len,
                       const uint8_t mask_key[static 32])
{
    uint8_t id[RPC_ID_BYTES];
    rpc_id(id, mask_key);
    return rpc_request_unmask_as(header, datagram, len, mask_key, id);
}

// Header, nonce, ciphertext, tag: the shape that requests, answers and pushes share.
static int open_at(uint8_t *datagram, size_t len, size_t header_len, const uint8_t key[static 32],
                   uint8_t **body, size_t *body_len)
{
    size_t at = header_len + RPC_NONCE_BYTES;
    if (len < at + RPC_TAG_BYTES)
        return BAUTA_EFORMAT;
    size_t n = len - at - RPC_TAG_BYTES;
    uint8_t *text = datagram + at;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt_detached(
            text, NULL, text, n, text + n, datagram, header_len, datagram + header_len, key) != 0)
        return BAUTA_EAUTH;
    *body = text;
    *body_len = n;
    return BAUTA_OK;
}

int rpc_request_open(uint8_t *datagram, size_t len, const struct rpc_keys *k, uint8_t **body,
                     size_t *body_len)
{
    return open_at(datagram, len, RPC_HEADER_BYTES, k->c2s, body, body_len);
}

void rpc_answer_id(uint8_t id[static 8], const struct rpc_keys *k, const uint8_t reply[static 8],
                   uint8_t i)
{
    const struct piece piece[] = {{reply, 8}, {&i, 1}};
    hash_pieces(id, 8, k->s2c, sizeof k->s2c, piece, 2);
}

void rpc_push_id(uint8_t id[static 8], const uint8_t push_key[static 32], uint32_t i)
{
    uint8_t le[4];
    struct wr w = wr_init(le, sizeof le);
    wr_le32(&w, i);
    const struct piece piece = {le, sizeof le};
    hash_pieces(id, 8, push_key, 32, &piece, 1);
}

void rpc_answer_seal(uint8_t *datagram, size_t body_len, const uint8_t id[static 8],
                     const struct rpc_keys *k, const uint8_t nonce[static RPC_NONCE_BYTES])
{
    uint8_t *body = datagram + ANSWER_BODY_AT;
    memcpy(datagram, id, RPC_ID_BYTES);
    memcpy(datagram + RPC_ID_BYTES, nonce, RPC_NONCE_BYTES);
    crypto_aead_xchacha20poly1305_ietf_encrypt_detached(
        body, body + body_len, NULL, body, body_len, datagram, RPC_ID_BYTES, NULL, nonce, k->s2c);
}

int rpc_answer_open(uint8_t *datagram, size_t len, const struct rpc_keys *k, uint8_t **body,
                    size_t *body_len)
{
    return open_at(datagram, len, RPC_ID_BYTES, k->s2c, body, body_len);
}

void rpc_light_id(uint8_t id[static 8], const uint8_t mask_key[static 32],
                  const uint8_t nonce[static RPC_NONCE_BYTES])
{
    static const char label[] = "bauta light id";
    const struct piece piece[] = {{label, sizeof label - 1}, {nonce, RPC_NONCE_BYTES}};
    hash_pieces(id, 8, mask_key, 32, piece, 2);
}

void rpc_light_keys(struct rpc_keys *k, const uint8_t mask_key[static 32],
                    const uint8_t e[static 32])
{
    static const char label[] = "bauta light";
    const struct piece piece[] = {{label, sizeof label - 1}, {e, 32}};
    memset(k, 0, sizeof *k);
    hash_pieces(k->s2c, sizeof k->s2c, mask_key, 32, piece, 2);
}

void rpc_token(uint8_t token[static RPC_TOKEN_BYTES],
               const uint8_t secret[static RPC_TOKEN_SECRET_BYTES], const uint8_t *where,
               size_t where_len, const uint8_t e[static 32])
{
    uint8_t in[RPC_WHERE_BYTES_MAX + 32];
    assert(where_len <= RPC_WHERE_BYTES_MAX);
    memcpy(in, where, where_len);
    memcpy(in + where_len, e, 32);
    crypto_shorthash_siphash24(token, in, where_len + 32, secret);
}
