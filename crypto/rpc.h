// Sealing of requests, answers and pushes (PROTOCOL 2): NK-shaped, the client has no key of its
// own.
#ifndef BAUTA_CRYPTO_RPC_H
#define BAUTA_CRYPTO_RPC_H

#include "crypto/mask.h"
#include "crypto/net.h"

#define RPC_ID_BYTES 8u
#define RPC_TOKEN_BYTES 8u
#define RPC_TOKEN_SECRET_BYTES 16u
#define RPC_WHERE_BYTES_MAX 32u
#define RPC_NONCE_BYTES 24u
#define RPC_TAG_BYTES 16u
#define RPC_BODY_AT (RPC_HEADER_BYTES + RPC_NONCE_BYTES)   // where a request's body starts
#define RPC_REQUEST_OVERHEAD (RPC_BODY_AT + RPC_TAG_BYTES) // 88
#define ANSWER_BODY_AT (RPC_ID_BYTES + RPC_NONCE_BYTES)
#define ANSWER_OVERHEAD (ANSWER_BODY_AT + RPC_TAG_BYTES) // 48

struct rpc_keys {
    uint8_t c2s[32], s2c[32];
};

// What an e and a server have in common, in half the bytes of its keys: who keeps many keeps these, and
// makes the keys anew with one hash. Wipe it like keys.
struct rpc_root {
    uint8_t dh[32];
};

// The client passes (e's secret, server), the server (its secret, e). BAUTA_EAUTH: all-zero result.
int rpc_root_derive(struct rpc_root *, const uint8_t own_secret[static 32],
                    const uint8_t peer_public[static 32]);
void rpc_root_keys(struct rpc_keys *k, const struct rpc_root *, const struct net *net,
                   const uint8_t e[static 32], const uint8_t server[static 32]);
// Both at once:
// k_c2s || k_s2c = BLAKE2b-64(key = X25519(own_secret, peer_public),
//                            "bauta rpc 1" || NET || e || server).
int rpc_keys_derive(struct rpc_keys *k, const uint8_t own_secret[static 32],
                    const uint8_t peer_public[static 32], const struct net *net,
                    const uint8_t e[static 32], const uint8_t server[static 32]);

struct rpc_header {
    uint8_t token[RPC_TOKEN_BYTES];
    uint8_t e[32];
};

// Seals in place: the caller has put a body of body_len bytes at datagram + RPC_BODY_AT; the
// datagram is then body_len + RPC_REQUEST_OVERHEAD bytes long. `nonce`: 24 random bytes.
void rpc_request_seal(uint8_t *datagram, size_t body_len, const struct rpc_header *header,
                      const uint8_t mask_key[static 32], const struct rpc_keys *k,
                      const uint8_t nonce[static RPC_NONCE_BYTES]);
// rpc_id = BLAKE2b-8(key = mask_key, "rpc")
void rpc_id(uint8_t id[static RPC_ID_BYTES], const uint8_t mask_key[static 32]);
// Unmasks the header in place and compares the rpc_id, which a server makes once: each datagram of a
// flood gets here, and costs one block of ChaCha20. BAUTA_EFORMAT: short; BAUTA_EAUTH: not a request
// to us.
int rpc_request_unmask_as(struct rpc_header *header, uint8_t *datagram, size_t len,
                          const uint8_t mask_key[static 32], const uint8_t id[static RPC_ID_BYTES]);
// The same where the id is not at hand.
int rpc_request_unmask(struct rpc_header *header, uint8_t *datagram, size_t len,
                       const uint8_t mask_key[static 32]);
// Opens an unmasked request in place; *body points into it. BAUTA_EFORMAT, BAUTA_EAUTH.
int rpc_request_open(uint8_t *datagram, size_t len, const struct rpc_keys *k, uint8_t **body,
                     size_t *body_len);

// answer_id_i = BLAKE2b-8(key = k_s2c, reply || LE8 i)
void rpc_answer_id(uint8_t id[static 8], const struct rpc_keys *k, const uint8_t reply[static 8],
                   uint8_t i);
// push_id_i = BLAKE2b-8(key = push_key, LE32 i)
void rpc_push_id(uint8_t id[static 8], const uint8_t push_key[static 32], uint32_t i);

// Answers and pushes alike: the body stands at datagram + ANSWER_BODY_AT, AAD = id.
void rpc_answer_seal(uint8_t *datagram, size_t body_len, const uint8_t id[static 8],
                     const struct rpc_keys *k, const uint8_t nonce[static RPC_NONCE_BYTES]);
int rpc_answer_open(uint8_t *datagram, size_t len, const struct rpc_keys *k, uint8_t **body,
                    size_t *body_len);

// A token answer that costs a server no key exchange, for when it has too many requests:
// light_id = BLAKE2b-8(key = mask_key, "bauta light id" || nonce), sealed like an answer with
// s2c = BLAKE2b-32(key = mask_key, "bauta light" || e) and the token as body. Who knows the server and
// sees the request can forge one; nobody else can.
void rpc_light_id(uint8_t id[static 8], const uint8_t mask_key[static 32],
                  const uint8_t nonce[static RPC_NONCE_BYTES]);
void rpc_light_keys(struct rpc_keys *k, const uint8_t mask_key[static 32],
                    const uint8_t e[static 32]); // s2c only

// SipHash-2-4(key = secret, address || port || e); `where` is the caller's encoding of address and
// port, of at most RPC_WHERE_BYTES_MAX. Only its server reads a token, and each datagram of a flood costs one.
void rpc_token(uint8_t token[static RPC_TOKEN_BYTES],
               const uint8_t secret[static RPC_TOKEN_SECRET_BYTES], const uint8_t *where,
               size_t where_len, const uint8_t e[static 32]);

#endif
