// A relay's one key: it names a DHT server (X25519) and signs what that server offers (Ed25519, RFC 8032).
// Both come from one seed of 32 random bytes, by the map between the two curves (RFC 7748, section 4.1), so
// that who trusts the one key need not be told of another. Using one key for both is sound as long as what is
// signed can't be mistaken for anything else (Thormarker, "On using the same key pair for Ed25519 and an
// X25519 based KEM", 2021): each message begins with a context of its own.
#ifndef BAUTA_CRYPTO_RELAYKEY_H
#define BAUTA_CRYPTO_RELAYKEY_H

#include "crypto/limits.h"

#include <stddef.h>
#include <stdint.h>

#define RELAY_SIGNATURE_BYTES 64u

// The X25519 secret of the server key: key_pair(pk, sk, secret) gives relay_public's pk.
void relay_secret(uint8_t secret[static KEY_BYTES], const uint8_t seed[static KEY_BYTES]);
// ed_pk signs, pk is the server's key.
void relay_public(uint8_t ed_pk[static KEY_BYTES], uint8_t pk[static KEY_BYTES],
                  const uint8_t seed[static KEY_BYTES]);
// The server's key that belongs to an ed_pk. 0; BAUTA_EAUTH: that is no key, or one of small order.
int relay_contact_key(uint8_t pk[static KEY_BYTES], const uint8_t ed_pk[static KEY_BYTES]);
void relay_sign(uint8_t sig[static RELAY_SIGNATURE_BYTES], const uint8_t seed[static KEY_BYTES],
                const uint8_t *msg, size_t len);
// 0; BAUTA_EAUTH: it was not signed by ed_pk, or pk is not the server's key that belongs to it.
int relay_verify(const uint8_t ed_pk[static KEY_BYTES], const uint8_t pk[static KEY_BYTES],
                 const uint8_t *msg, size_t len, const uint8_t sig[static RELAY_SIGNATURE_BYTES]);

#endif
