#include "crypto/relaykey.h"

#include "crypto/bytes.h"

#include <assert.h>
#include <sodium.h>

static_assert(crypto_sign_ed25519_BYTES == RELAY_SIGNATURE_BYTES, "RFC 8032");
static_assert(crypto_sign_ed25519_SEEDBYTES == KEY_BYTES, "RFC 8032");
static_assert(crypto_sign_ed25519_PUBLICKEYBYTES == KEY_BYTES, "RFC 8032");

void relay_secret(uint8_t secret[static KEY_BYTES], const uint8_t seed[static KEY_BYTES])
{
    uint8_t ed_pk[KEY_BYTES], sk[crypto_sign_ed25519_SECRETKEYBYTES];
    crypto_sign_ed25519_seed_keypair(ed_pk, sk, seed);
    crypto_sign_ed25519_sk_to_curve25519(secret, sk);
    sodium_memzero(sk, sizeof sk);
}

void relay_public(uint8_t ed_pk[static KEY_BYTES], uint8_t pk[static KEY_BYTES],
                  const uint8_t seed[static KEY_BYTES])
{
    uint8_t sk[crypto_sign_ed25519_SECRETKEYBYTES];
    crypto_sign_ed25519_seed_keypair(ed_pk, sk, seed);
    sodium_memzero(sk, sizeof sk);
    int rc = relay_contact_key(pk, ed_pk);
    assert(rc == BAUTA_OK); // a clamped scalar leads to no point of small order
    (void)rc;
}

int relay_contact_key(uint8_t pk[static KEY_BYTES], const uint8_t ed_pk[static KEY_BYTES])
{
    return crypto_sign_ed25519_pk_to_curve25519(pk, ed_pk) == 0 ? BAUTA_OK : BAUTA_EAUTH;
}

void relay_sign(uint8_t sig[static RELAY_SIGNATURE_BYTES], const uint8_t seed[static KEY_BYTES],
                const uint8_t *msg, size_t len)
{
    uint8_t ed_pk[KEY_BYTES], sk[crypto_sign_ed25519_SECRETKEYBYTES];
    crypto_sign_ed25519_seed_keypair(ed_pk, sk, seed);
    crypto_sign_ed25519_detached(sig, NULL, msg, len, sk);
    sodium_memzero(sk, sizeof sk);
}

int relay_verify(const uint8_t ed_pk[static KEY_BYTES], const uint8_t pk[static KEY_BYTES],
                 const uint8_t *msg, size_t len, const uint8_t sig[static RELAY_SIGNATURE_BYTES])
{
    uint8_t mine[KEY_BYTES];
    if (relay_contact_key(mine, ed_pk) != BAUTA_OK || memcmp(mine, pk, sizeof mine) != 0)
        return BAUTA_EAUTH;
    return crypto_sign_ed25519_verify_detached(sig, msg, len, ed_pk) == 0 ? BAUTA_OK : BAUTA_EAUTH;
}
