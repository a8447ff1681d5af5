// What somebody who floods a server sends: datagrams of each kind, made ahead. Used by the mode flood and by
// the tests that count what they cost.
#ifndef BAUTA_TOOLS_BENCH_FORGE_H
#define BAUTA_TOOLS_BENCH_FORGE_H

#include "crypto/bytes.h"
#include "crypto/nodekey.h"
#include "dht/machine.h"
#include "dht/wire.h"

#include <string.h>

enum forge_kind {
    FORGE_RANDOM,  // random bytes
    FORGE_CHANNEL, // sizes of a conversation's packets, random as those look
    FORGE_MASKED,  // whoever has crawled the DHT knows the mask: a right header, a random body
    FORGE_SEALED,  // well-formed requests, each under an e of its own, without a token
    FORGE_TOKEN, // requests with a token that was seen on the wire, replayed, or with a random body
    FORGE_KINDS
};
static const char *const forge_name[FORGE_KINDS] = {"random", "channel", "masked", "sealed",
                                                    "token"};

struct forge {
    struct rng rng;
    struct net net;
    uint8_t pk[32], mask_key[32]; // the server's
    uint8_t e[32], sk[32];        // of the one whose token was seen
    uint8_t token[RPC_TOKEN_BYTES];
};

static inline void forge_init(struct forge *f, const char *network, const uint8_t pk[static 32],
                              const struct rng *rng)
{
    uint8_t seed[32];
    memset(f, 0, sizeof *f);
    f->rng = *rng;
    (void)net_init(&f->net, network);
    memcpy(f->pk, pk, 32);
    node_mask_key(f->mask_key, &f->net, pk);
    rng_fill(rng, seed, sizeof seed);
    key_pair(f->e, f->sk, seed);
    rng_fill(rng, f->token, sizeof f->token);
}

// A body of the i-th kind of request; its class without a token.
static inline uint16_t forge_body(const struct forge *f, unsigned i, uint8_t *body, size_t cap)
{
    static const struct {
        enum rpc_kind kind;
        uint16_t size;
    } what[] = {{RPC_FIND, CLASS_MEDIUM},      {RPC_PING, CLASS_SMALL},
                {RPC_ANNOUNCE, CLASS_MEDIUM},  {RPC_SEEK, CLASS_SMALL},
                {RPC_INTRODUCE, CLASS_MEDIUM}, {RPC_ATTEND, CLASS_SMALL}};
    uint8_t record[RECORD_BYTES], blob[188];
    struct wire_request q;
    size_t len = 0;
    memset(&q, 0, sizeof q);
    rng_fill(&f->rng, record, sizeof record);
    rng_fill(&f->rng, blob, sizeof blob);
    rng_fill(&f->rng, q.reply, sizeof q.reply);
    rng_fill(&f->rng, q.target, sizeof q.target);
    rng_fill(&f->rng, q.handle, sizeof q.handle);
    rng_fill(&f->rng, q.push_key, sizeof q.push_key);
    q.kind = what[i % 6].kind;
    q.has_self = q.kind == RPC_FIND || q.kind == RPC_PING; // and wants to be listed
    rng_fill(&f->rng, q.pk, sizeof q.pk);
    q.want = WIRE_WANT_V4;
    q.bits = 256;
    q.ttl_s = 100;
    q.record = record;
    q.blob = blob;
    q.blob_len = sizeof blob;
    memset(body, 0, cap);
    (void)wire_request_encode(&q, body, cap, &len);
    return what[i % 6].size;
}

static inline uint16_t forge_request(const struct forge *f, unsigned i, const uint8_t e[static 32],
                                     const uint8_t sk[static 32],
                                     const uint8_t token[static RPC_TOKEN_BYTES], bool sealed,
                                     uint8_t out[static CLASS_FULL])
{
    struct rpc_header header;
    struct rpc_keys keys;
    uint8_t nonce[RPC_NONCE_BYTES];
    memset(&keys, 0, sizeof keys);
    memcpy(header.e, e, 32);
    memcpy(header.token, token, RPC_TOKEN_BYTES);
    rng_fill(&f->rng, nonce, sizeof nonce);
    uint16_t size = forge_body(f, i, out + RPC_BODY_AT, CLASS_FULL - RPC_REQUEST_OVERHEAD);
    if (sealed)
        (void)rpc_keys_derive(&keys, sk, f->pk, &f->net, e, f->pk);
    rpc_request_seal(out, size - RPC_REQUEST_OVERHEAD, &header, f->mask_key, &keys, nonce);
    return size;
}

// Returns its length.
static inline uint16_t forge_make(const struct forge *f, enum forge_kind kind, unsigned i,
                                  uint8_t out[static CLASS_FULL])
{
    static const uint16_t size[] = {CLASS_TINY, CLASS_SMALL, CLASS_CHAT, CLASS_MEDIUM, CLASS_FULL};
    uint8_t seed[32], e[32], sk[32], token[RPC_TOKEN_BYTES];
    switch (kind) {
    case FORGE_MASKED:
        rng_fill(&f->rng, e, sizeof e);
        rng_fill(&f->rng, token, sizeof token);
        return forge_request(f, i, e, e, token, false, out);
    case FORGE_SEALED:
        rng_fill(&f->rng, seed, sizeof seed);
        key_pair(e, sk, seed);
        rng_fill(&f->rng, token, sizeof token);
        return forge_request(f, i, e, sk, token, true, out);
    case FORGE_TOKEN:
        return forge_request(f, i, f->e, f->sk, f->token, i % 2 == 0, out);
    case FORGE_CHANNEL:
        rng_fill(&f->rng, out, CLASS_FULL);
        return i % 2 == 0 ? CLASS_TINY : CLASS_FULL;
    case FORGE_RANDOM:
    case FORGE_KINDS:
        break;
    }
    rng_fill(&f->rng, out, CLASS_FULL);
    return size[i % 5];
}

#endif
