#include "crypto/packet.h"

#include "crypto/bytes.h"
#include "crypto/net.h"

#include <assert.h>
#include <sodium.h>

#define CHACHA_NONCE_BYTES crypto_aead_chacha20poly1305_ietf_NPUBBYTES
#define AEGIS_NONCE_BYTES crypto_aead_aegis256_NPUBBYTES
#define CHACHA_TAG_BYTES crypto_aead_chacha20poly1305_ietf_ABYTES
#define AEGIS_TAG_BYTES crypto_aead_aegis256_ABYTES
#define PN_BYTES 8u

static_assert(CHACHA_NONCE_BYTES == 12 && AEGIS_NONCE_BYTES == 32, "nonces");
static_assert(CHACHA_TAG_BYTES == 16 && AEGIS_TAG_BYTES == PACKET_TAG_BYTES_MAX, "tags");
static_assert(CHACHA_TAG_BYTES >= SAMPLE_BYTES, "the sample is a part of the tag");
static_assert(CID_BYTES + PN_BYTES == PACKET_HEADER_BYTES, "header");
static_assert(PACKET_HEADER_BYTES + CHACHA_TAG_BYTES == DATAGRAM_BYTES_MIN, "smallest packet");

size_t packet_tag_bytes(enum packet_aead aead)
{
    return aead == PACKET_AEGIS256 ? AEGIS_TAG_BYTES : CHACHA_TAG_BYTES;
}

static size_t nonce_bytes(uint8_t aead)
{
    return aead == PACKET_AEGIS256 ? AEGIS_NONCE_BYTES : CHACHA_NONCE_BYTES;
}

void packet_keys_derive(struct packet_keys *k, enum packet_aead aead,
                        const uint8_t k_dir[static 32])
{
    const struct piece key = {"bauta key", 9}, iv = {"bauta iv", 8}, hp = {"bauta hp", 8};
    memset(k, 0, sizeof *k);
    k->aead = (uint8_t)aead;
    hash_pieces(k->key, sizeof k->key, k_dir, 32, &key, 1);
    hash_pieces(k->iv, nonce_bytes(k->aead), k_dir, 32, &iv, 1);
    hash_pieces(k->hp, sizeof k->hp, k_dir, 32, &hp, 1);
}

static void store_le64(uint8_t out[static 8], uint64_t v)
{
    for (unsigned i = 0; i < 8; i++)
        out[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t load_le64(const uint8_t in[static 8])
{
    uint64_t v = 0;
    for (unsigned i = 0; i < 8; i++)
        v |= (uint64_t)in[i] << (8 * i);
    return v;
}

static void packet_nonce(uint8_t nonce[static 32], const struct packet_keys *k,
                         const uint8_t pn[static PN_BYTES])
{
    size_t at = nonce_bytes(k->aead) - PN_BYTES;
    memcpy(nonce, k->iv, sizeof k->iv);
    for (size_t i = 0; i < PN_BYTES; i++)
        nonce[at + i] ^= pn[i];
}

size_t packet_seal(uint8_t *packet, size_t body_len, const struct packet_keys *k, uint64_t pn,
                   const uint8_t cid[static CID_BYTES],
                   const uint8_t recv_mask[static MASK_KEY_BYTES])
{
    uint8_t nonce[32], *body = packet + PACKET_HEADER_BYTES, *tag = body + body_len;
    size_t len = PACKET_HEADER_BYTES + body_len + packet_tag_bytes(k->aead);
    memcpy(packet, cid, CID_BYTES);
    store_le64(packet + CID_BYTES, pn);
    packet_nonce(nonce, k, packet + CID_BYTES);
    if (k->aead == PACKET_AEGIS256)
        crypto_aead_aegis256_encrypt_detached(body, tag, NULL, body, body_len, packet,
                                              PACKET_HEADER_BYTES, NULL, nonce, k->key);
    else
        crypto_aead_chacha20poly1305_ietf_encrypt_detached(
            body, tag, NULL, body, body_len, packet, PACKET_HEADER_BYTES, NULL, nonce, k->key);
    mask_field(packet, packet, len, recv_mask);
    mask_field(packet + CID_BYTES, packet, len, k->hp);
    return len;
}

void packet_cid(uint8_t cid[static CID_BYTES], const uint8_t *packet, size_t len,
                const uint8_t recv_mask[static MASK_KEY_BYTES])
{
    memcpy(cid, packet, CID_BYTES);
    mask_field(cid, packet, len, recv_mask);
}

int packet_open(uint8_t *packet, size_t len, const struct packet_keys *k,
                const uint8_t cid[static CID_BYTES], unsigned phase, uint64_t *pn, uint8_t **body,
                size_t *body_len)
{
    size_t tag_len = packet_tag_bytes(k->aead);
    if (len < PACKET_HEADER_BYTES + tag_len)
        return BAUTA_EFORMAT;
    uint8_t header[PACKET_HEADER_BYTES], nonce[32];
    memcpy(header, cid, CID_BYTES);
    memcpy(header + CID_BYTES, packet + CID_BYTES, PN_BYTES);
    mask_field(header + CID_BYTES, packet, len, k->hp);
    uint64_t number = load_le64(header + CID_BYTES);
    if (number >> 62 != phase)
        return BAUTA_EAUTH;
    packet_nonce(nonce, k, header + CID_BYTES);
    uint8_t *text = packet + PACKET_HEADER_BYTES;
    size_t n = len - PACKET_HEADER_BYTES - tag_len;
    int rc;
    if (k->aead == PACKET_AEGIS256)
        rc = crypto_aead_aegis256_decrypt_detached(text, NULL, text, n, text + n, header,
                                                   sizeof header, nonce, k->key);
    else
        rc = crypto_aead_chacha20poly1305_ietf_decrypt_detached(
            text, NULL, text, n, text + n, header, sizeof header, nonce, k->key);
    if (rc != 0)
        return BAUTA_EAUTH;
    *pn = number & PACKET_PN_MAX;
    *body = text;
    *body_len = n;
    return BAUTA_OK;
}
