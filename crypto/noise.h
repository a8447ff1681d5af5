// The Noise protocol framework, revision 34, suite 25519_ChaChaPoly_BLAKE2b, unmodified.
// Source: noiseprotocol.org/noise.html. States are plain structs of the caller; noise_wipe ends them.
#ifndef BAUTA_CRYPTO_NOISE_H
#define BAUTA_CRYPTO_NOISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NOISE_KEY_BYTES 32u
#define NOISE_HASH_BYTES 64u
#define NOISE_TAG_BYTES 16u
#define NOISE_MESSAGE_BYTES_MAX 65535u
#define NOISE_PSKS_MAX 4u

struct noise_pattern; // one row of the table in noise_patterns.c

// What a protocol name says: a pattern and the places of its psks.
struct noise_spec {
    const struct noise_pattern *pattern;
    uint8_t psk_mask; // bit i: modifier psk<i>
    char name[64];    // the full protocol name, hashed into h
};

// Parses e.g. "Noise_XXpsk0+psk3_25519_ChaChaPoly_BLAKE2b". Returns 0, BAUTA_EFORMAT (not a protocol
// name) or BAUTA_EUNKNOWN (other suite, unknown pattern or modifier, psk place the pattern lacks).
int noise_spec_parse(struct noise_spec *spec, const char *name);

struct noise_cipher {
    uint8_t k[NOISE_KEY_BYTES];
    uint64_t n;
    bool has_key;
};

// Pre-shared inputs; a NULL key is absent. psk[i] are used in the order of the pattern's psk tokens.
struct noise_keys {
    const uint8_t *s;  // own static secret, 32 bytes
    const uint8_t *rs; // the remote's static public key, 32 bytes
    const uint8_t *psk[NOISE_PSKS_MAX];
};

struct noise {
    struct noise_spec spec;
    struct noise_cipher cipher;
    uint8_t ck[NOISE_HASH_BYTES], h[NOISE_HASH_BYTES];
    uint8_t s[32], s_pub[32], e[32], e_pub[32], rs[32], re[32];
    uint8_t psk[NOISE_PSKS_MAX][32];
    uint8_t psks, psk_next;
    uint8_t message; // index of the next handshake message
    bool initiator, has_s, has_e, has_rs, has_re, failed;
};

// Returns 0, BAUTA_EFORMAT (a key that the pattern needs is missing).
int noise_init(struct noise *n, const struct noise_spec *spec, bool initiator,
               const uint8_t *prologue, size_t prologue_len, const struct noise_keys *keys);
// Writes the next handshake message. e_secret: 32 fresh random bytes, used where the message has an
// "e" token, may be NULL where it has none. Returns 0, BAUTA_ESTATE, BAUTA_ESPACE, BAUTA_EAUTH (all-zero DH).
int noise_write(struct noise *n, const uint8_t *e_secret, const uint8_t *payload,
                size_t payload_len, uint8_t *out, size_t cap, size_t *out_len);
// Reads one. `out` gets the payload. Returns 0, BAUTA_ESTATE, BAUTA_ESPACE, BAUTA_EFORMAT, BAUTA_EAUTH.
// After BAUTA_EFORMAT or BAUTA_EAUTH (read or write) the state is wiped and refuses everything; after
// BAUTA_ESTATE or BAUTA_ESPACE it is as before. Inputs and `out` must not overlap.
int noise_read(struct noise *n, const uint8_t *msg, size_t len, uint8_t *out, size_t cap,
               size_t *out_len);
bool noise_done(const struct noise *n); // all handshake messages have passed
// First cipher: initiator to responder; second: responder to initiator (in a one-way pattern it refuses
// with BAUTA_ELIMIT). 0 or BAUTA_ESTATE.
int noise_split(const struct noise *n, struct noise_cipher *i_to_r, struct noise_cipher *r_to_i);
void noise_wipe(struct noise *n);

// EncryptWithAd / DecryptWithAd; out has len + 16 (len - 16) bytes. Return 0 or a negative code
// (BAUTA_ELIMIT: nonce exhausted; BAUTA_ESPACE, BAUTA_EFORMAT: longer than a Noise message, or no
// room for a tag; BAUTA_EAUTH). Without a key they copy. `out` may be `in`.
int noise_cipher_seal(struct noise_cipher *c, const uint8_t *ad, size_t ad_len, const uint8_t *in,
                      size_t len, uint8_t *out);
int noise_cipher_open(struct noise_cipher *c, const uint8_t *ad, size_t ad_len, const uint8_t *in,
                      size_t len, uint8_t *out);

// Noise's HKDF with HMAC-BLAKE2b-512: up to three outputs of 64 bytes; out2, out3 may be NULL.
// ck_len <= 128; out1 may be ck.
void noise_hkdf(const uint8_t *ck, size_t ck_len, const uint8_t *ikm, size_t ikm_len,
                uint8_t out1[static 64], uint8_t *out2, uint8_t *out3);

#endif
