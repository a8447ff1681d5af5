// Channel keys and the sealing of channel packets (PROTOCOL 1 and 7).
// Packet: cid[8] || pn[8] || AEAD body; pn's top two bits are the key phase.
#ifndef BAUTA_CRYPTO_PACKET_H
#define BAUTA_CRYPTO_PACKET_H

#include "crypto/mask.h"

#include <stdbool.h>

enum packet_aead { PACKET_CHACHA20POLY1305 = 0, PACKET_AEGIS256 = 1 };

#define PACKET_HEADER_BYTES 16u
#define PACKET_TAG_BYTES_MAX 32u
#define PACKET_PN_MAX ((UINT64_C(1) << 62) - 1)

struct packet_keys { // one direction of one phase
    uint8_t key[32];
    uint8_t iv[32]; // 12 bytes used with ChaCha20-Poly1305, 32 with AEGIS-256
    uint8_t hp[MASK_KEY_BYTES];
    uint8_t aead;
};

size_t packet_tag_bytes(enum packet_aead aead); // 16 or 32
// key / iv / hp = BLAKE2b-n(key = k_dir, "bauta key" | "bauta iv" | "bauta hp")
void packet_keys_derive(struct packet_keys *k, enum packet_aead aead,
                        const uint8_t k_dir[static 32]);

// Seals in place and masks cid and pn. The plaintext of body_len bytes stands at packet + 16; the
// packet becomes 16 + body_len + tag bytes long, which is returned. pn includes the phase bits.
size_t packet_seal(uint8_t *packet, size_t body_len, const struct packet_keys *k, uint64_t pn,
                   const uint8_t cid[static CID_BYTES],
                   const uint8_t recv_mask[static MASK_KEY_BYTES]);
// Reads the cid without changing the datagram. len >= DATAGRAM_BYTES_MIN.
void packet_cid(uint8_t cid[static CID_BYTES], const uint8_t *packet, size_t len,
                const uint8_t recv_mask[static MASK_KEY_BYTES]);
// Opens in place a packet whose true cid is known. *body points into it, *pn is the number without
// the phase bits. BAUTA_EFORMAT, BAUTA_EAUTH (also where the phase bits of pn differ from `phase`,
// 0..3); after an error the packet's bytes are worthless and nothing else was written.
int packet_open(uint8_t *packet, size_t len, const struct packet_keys *k,
                const uint8_t cid[static CID_BYTES], unsigned phase, uint64_t *pn, uint8_t **body,
                size_t *body_len);

#endif
