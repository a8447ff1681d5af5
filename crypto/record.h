// Sealed records, whose they are, and the work that a full place asks for (PROTOCOL 5).
#ifndef BAUTA_CRYPTO_RECORD_H
#define BAUTA_CRYPTO_RECORD_H

#include <stdint.h>

#define RECORD_BYTES 448u
#define RECORD_ID_BYTES 16u
#define RECORD_PLAIN_BYTES 392u // 448 less id 16, nonce 24, tag 16
#define RECORD_SALT_BYTES 16u

// out = rec_id || nonce || XChaCha20-Poly1305(seal_key, AAD = "bauta record 1" || place || rec_id)
void record_seal(uint8_t out[static RECORD_BYTES], const uint8_t plain[static RECORD_PLAIN_BYTES],
                 const uint8_t rec_id[static RECORD_ID_BYTES], const uint8_t nonce[static 24],
                 const uint8_t seal_key[static 32], const uint8_t place[static 32]);
// 0 or BAUTA_EAUTH.
int record_open(uint8_t plain[static RECORD_PLAIN_BYTES], const uint8_t in[static RECORD_BYTES],
                const uint8_t seal_key[static 32], const uint8_t place[static 32]);

// rec_id = BLAKE2b-16("bauta record id" || e || salt): only who has the secret of the request key e can
// announce, renew or withdraw under it; the salt goes to holders only, so that nobody else can join
// rec_id and e.
void record_id(uint8_t rec_id[static RECORD_ID_BYTES], const uint8_t e[static 32],
               const uint8_t salt[static RECORD_SALT_BYTES]);
// m = BLAKE2b-32("bauta announce" || place || record), what the work of an announcement is about
// (pow_check's m; its salt is rec_id).
void record_pow_message(uint8_t m[static 32], const uint8_t place[static 32],
                        const uint8_t record[static RECORD_BYTES]);

#endif
