// Sealed records and owner's locks (PROTOCOL 5).
#ifndef BAUTA_CRYPTO_RECORD_H
#define BAUTA_CRYPTO_RECORD_H

#include <stdint.h>

#define RECORD_BYTES 448u
#define RECORD_ID_BYTES 16u
#define RECORD_PLAIN_BYTES 392u // 448 less id 16, nonce 24, tag 16
#define LOCK_BYTES 16u

// out = rec_id || nonce || XChaCha20-Poly1305(seal_key, AAD = "bauta record 1" || place || rec_id)
void record_seal(uint8_t out[static RECORD_BYTES], const uint8_t plain[static RECORD_PLAIN_BYTES],
                 const uint8_t rec_id[static RECORD_ID_BYTES], const uint8_t nonce[static 24],
                 const uint8_t seal_key[static 32], const uint8_t place[static 32]);
// 0 or BAUTA_EAUTH.
int record_open(uint8_t plain[static RECORD_PLAIN_BYTES], const uint8_t in[static RECORD_BYTES],
                const uint8_t seal_key[static 32], const uint8_t place[static 32]);

// w_{h,g} = BLAKE2b-16(key = w_record, holder || LE32 g); c_g = BLAKE2b-16(w_{h,g})
void record_lock(uint8_t w[static LOCK_BYTES], const uint8_t w_record[static 32],
                 const uint8_t holder[static 32], uint32_t generation);
void record_commit(uint8_t c[static LOCK_BYTES], const uint8_t w[static LOCK_BYTES]);

#endif
