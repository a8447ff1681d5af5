#include "node/relay/consent.h"

#include "crypto/bytes.h"

#include <assert.h>
#include <sodium.h>

static_assert(ANSWER_OVERHEAD + CONSENT_CHALLENGE_BYTES == CONSENT_BYTES, "a challenge fills it");

void consent_key(uint8_t key[static CONSENT_KEY_BYTES], const uint8_t k_ir[static 32],
                 const uint8_t k_ri[static 32], const uint8_t h[static 64])
{
    uint8_t both[64];
    memcpy(both, k_ir, 32);
    memcpy(both + 32, k_ri, 32);
    const struct piece p[] = {{"bauta consent", 13}, {h, 64}};
    hash_pieces(key, CONSENT_KEY_BYTES, both, sizeof both, p, 2);
    sodium_memzero(both, sizeof both);
}

void consent_init(struct consent *c, const uint8_t key[static CONSENT_KEY_BYTES])
{
    const struct piece ask = {"ask", 3}, answer = {"answer", 6};
    memcpy(c->key, key, sizeof c->key);
    hash_pieces(c->ask, sizeof c->ask, c->key, sizeof c->key, &ask, 1);
    hash_pieces(c->answer, sizeof c->answer, c->key, sizeof c->key, &answer, 1);
}

static void seal(uint8_t *out, const struct consent *c, const uint8_t id[static 8],
                 const uint8_t *challenge, const struct rng *rng)
{
    struct rpc_keys k;
    uint8_t nonce[RPC_NONCE_BYTES];
    memset(&k, 0, sizeof k);
    memcpy(k.s2c, c->key, sizeof k.s2c);
    rng_fill(rng, nonce, sizeof nonce);
    memcpy(out + ANSWER_BODY_AT, challenge, CONSENT_CHALLENGE_BYTES);
    rpc_answer_seal(out, CONSENT_CHALLENGE_BYTES, id, &k, nonce);
    sodium_memzero(&k, sizeof k);
}

void consent_ask(uint8_t out[static CONSENT_BYTES], const struct consent *c,
                 const uint8_t challenge[static CONSENT_CHALLENGE_BYTES], const struct rng *rng)
{
    seal(out, c, c->ask, challenge, rng);
}

bool consent_is(const uint8_t *datagram, size_t len, const uint8_t id[static 8])
{
    return len == CONSENT_BYTES && memcmp(datagram, id, 8) == 0;
}

static int challenge_of(uint8_t *datagram, size_t len, const struct consent *c,
                        const uint8_t id[static 8], uint8_t **challenge)
{
    struct rpc_keys k;
    size_t body_len;
    if (!consent_is(datagram, len, id))
        return BAUTA_EFORMAT;
    memset(&k, 0, sizeof k);
    memcpy(k.s2c, c->key, sizeof k.s2c);
    int rc = rpc_answer_open(datagram, len, &k, challenge, &body_len);
    sodium_memzero(&k, sizeof k);
    return rc;
}

int consent_reply(uint8_t *datagram, size_t len, const struct consent *c, const struct rng *rng)
{
    uint8_t *challenge, copy[CONSENT_CHALLENGE_BYTES];
    int rc = challenge_of(datagram, len, c, c->ask, &challenge);
    if (rc != 0)
        return rc;
    memcpy(copy, challenge, sizeof copy);
    seal(datagram, c, c->answer, copy, rng);
    return 0;
}

int consent_check(uint8_t *datagram, size_t len, const struct consent *c,
                  const uint8_t challenge[static CONSENT_CHALLENGE_BYTES])
{
    uint8_t *came;
    int rc = challenge_of(datagram, len, c, c->answer, &came);
    if (rc != 0)
        return rc;
    return sodium_memcmp(came, challenge, CONSENT_CHALLENGE_BYTES) == 0 ? 0 : BAUTA_EAUTH;
}
