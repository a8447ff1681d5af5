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

void record_lock(uint8_t w[static LOCK_BYTES], const uint8_t w_record[static 32],
                 const uint8_t holder[static 32], uint32_t generation)
{
    uint8_t le[4];
    struct wr out = wr_init(le, sizeof le);
    wr_le32(&out, generation);
    const struct piece piece[] = {{holder, 32}, {le, sizeof le}};
    hash_pieces(w, LOCK_BYTES, w_record, 32, piece, 2);
}

void record_commit(uint8_t c[static LOCK_BYTES], const uint8_t w[static LOCK_BYTES])
{
    const struct piece piece = {w, LOCK_BYTES};
    hash_pieces(c, LOCK_BYTES, NULL, 0, &piece, 1);
}
