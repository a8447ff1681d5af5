// Topics: from what a person types to a place in the DHT (PROTOCOL 4).
#ifndef BAUTA_CRYPTO_TOPIC_H
#define BAUTA_CRYPTO_TOPIC_H

#include "crypto/net.h"

// NFKC, case fold, default-ignorables removed, trimmed, inner white space to one space. `in` must be
// UTF-8. Returns 0; BAUTA_EFORMAT: bad UTF-8, a control character, or empty after it; BAUTA_ELIMIT: longer than
// TOPIC_BYTES_MAX after it. Idempotent.
int topic_normalise(const uint8_t *in, size_t len, uint8_t out[static TOPIC_BYTES_MAX],
                    size_t *out_len);
// NFC only. Same errors with PASS_BYTES_MAX; empty is fine (no passphrase).
int topic_pass_normalise(const uint8_t *in, size_t len, uint8_t out[static PASS_BYTES_MAX],
                         size_t *out_len);
// Typed text "topic##pass", split at the last "##". *pass_len is 0 where there is none.
void topic_split(const uint8_t *text, size_t len, size_t *topic_len, size_t *pass_at,
                 size_t *pass_len);
// The day's secret: Argon2id, 64 MiB, about 0.1 s; allocates; run it as a job. Returns 0 or BAUTA_ESPACE.
int topic_secret(uint8_t secret[static 32], const struct net *net, uint32_t day,
                 const uint8_t *topic, size_t topic_len, const uint8_t *pass, size_t pass_len);

struct topic_keys {
    uint8_t place[32], seal[32], psk[32];
};
// bits: the first `depth` bits of the branch (PROTOCOL 5), 0 for the root.
void topic_keys(struct topic_keys *k, const uint8_t secret[static 32], uint64_t epoch,
                uint8_t depth, uint32_t bits);

#endif
