#include "crypto/record.h"

#include "crypto/bytes.h"
#include "crypto/net.h"

#include <assert.h>
#include <sodium.h>

#define NONCE_BYTES crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG_BYTES crypto_aead_xchacha20poly1305_ietf_ABYTES
#define LABEL "bauta record 1"
#define AAD_BYTES (sizeof LABEL - 1 + 32 + RECORD_ID_BYTES)

static_assert(RECORD_ID_BYTES + NONCE_BYTES + RECORD_PLAIN_BYTES + TAG_BYTES == RECORD_BYTES,
              "record layout");

static void record_aad(uint8_t aad[static AAD_BYTES], const uint8_t place[static 32],
                       const uint8_t rec_id[static RECORD_ID_BYTES])
{
    struct wr w = wr_init(aad, AAD_BYTES);
    wr_bytes(&w, LABEL, sizeof LABEL - 1);
    wr_bytes(&w, place, 32);
    wr_bytes(&w, rec_id, RECORD_ID_BYTES);
    assert(!w.bad && w.left == 0);
}

void record_seal(uint8_t out[static RECORD_BYTES], const uint8_t plain[static RECORD_PLAIN_BYTES],
                 const uint8_t rec_id[static RECORD_ID_BYTES], const uint8_t nonce[static 24],
                 const uint8_t seal_key[static 32], const uint8_t place[static 32])
{
    uint8_t aad[AAD_BYTES];
    record_aad(aad, place, rec_id);
    memcpy(out, rec_id, RECORD_ID_BYTES);
    memcpy(out + RECORD_ID_BYTES, nonce, NONCE_BYTES);
    crypto_aead_xchacha20poly1305_ietf_encrypt(out + RECORD_ID_BYTES + NONCE_BYTES, NULL, plain,
                                               RECORD_PLAIN_BYTES, aad, sizeof aad, NULL, nonce,
                                               seal_key);
}

int record_open(uint8_t plain[static RECORD_PLAIN_BYTES], const uint8_t in[static RECORD_BYTES],
                const uint8_t seal_key[static 32], const uint8_t place[static 32])
{
    uint8_t aad[AAD_BYTES];
    record_aad(aad, place, in);
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(
            plain, NULL, NULL, in + RECORD_ID_BYTES + NONCE_BYTES, RECORD_PLAIN_BYTES + TAG_BYTES,
            aad, sizeof aad, in + RECORD_ID_BYTES, seal_key) != 0)
        return BAUTA_EAUTH;
    return BAUTA_OK;
}

void record_id(uint8_t rec_id[static RECORD_ID_BYTES], const uint8_t e[static 32],
               const uint8_t salt[static RECORD_SALT_BYTES])
{
    static const char label[] = "bauta record id";
    const struct piece piece[] = {{label, sizeof label - 1}, {e, 32}, {salt, RECORD_SALT_BYTES}};
    hash_pieces(rec_id, RECORD_ID_BYTES, NULL, 0, piece, 3);
}

void record_pow_message(uint8_t m[static 32], const uint8_t place[static 32],
                        const uint8_t record[static RECORD_BYTES])
{
    static const char label[] = "bauta announce";
    const struct piece piece[] = {{label, sizeof label - 1}, {place, 32}, {record, RECORD_BYTES}};
    hash_pieces(m, 32, NULL, 0, piece, 3);
}
