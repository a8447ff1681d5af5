// The KEM ratchet with X-Wing, and the verification words of its first step (PROTOCOL 7). A state
// machine on messages: it neither sends nor retransmits; node/channel does.
// A message that the state doesn't await gives BAUTA_ESTATE and changes nothing, so copies that
// come late do no harm. BAUTA_EFORMAT and BAUTA_EAUTH end in RATCHET_FAILED with everything wiped:
// who sent the message holds the channel's keys, so a wrong one is no accident. Close the channel.
#ifndef BAUTA_CRYPTO_RATCHET_H
#define BAUTA_CRYPTO_RATCHET_H

#include "crypto/packet.h"
#include "crypto/sas.h"

#define RATCHET1_BYTES (CID_BYTES + 1216u) // cid || X-Wing public key
#define RATCHET2_BYTES (CID_BYTES + 1120u) // cid || ciphertext; step 1 appends c[32]
#define RATCHET2_FIRST_BYTES (RATCHET2_BYTES + 32u)
#define RATCHET3_BYTES 32u // n_I
#define RATCHET4_BYTES 32u // n_R

enum ratchet_state {
    RATCHET_IDLE,    // step `step` is complete
    RATCHET_STARTED, // we sent RATCHET1 of step + 1
    RATCHET_WORDS_I, // step 1, initiator: RATCHET3 out, RATCHET4 awaited
    RATCHET_WORDS_R, // step 1, responder: RATCHET3 awaited
    RATCHET_FAILED   // nothing is accepted any more
};

struct ratchet {
    uint32_t step; // the last step whose keys exist; 0 after init
    enum ratchet_state state;
    bool initiator;
    enum packet_aead aead;
    uint8_t root[32];
    uint8_t th[64];
    uint8_t th_len;       // 64 for th_0 = h, 32 after
    uint8_t kem_seed[32]; // our secret key while STARTED
    uint8_t kem_pk[1216];
    uint8_t commit[32], n_own[32];
    uint16_t words[SAS_WORDS];
    bool has_words;
};

// root_0 = BLAKE2b-32(key = k_ir || k_ri, "bauta root 0" || h). `send`, `recv`: phase 0.
void ratchet_init(struct ratchet *r, bool initiator, enum packet_aead aead,
                  const uint8_t k_ir[static 32], const uint8_t k_ri[static 32],
                  const uint8_t h[static 64], struct packet_keys *send, struct packet_keys *recv);
// True if the next step is ours to start (odd: initiator, even: responder).
bool ratchet_mine(const struct ratchet *r);
// Starts step + 1. cid: what we issue for the new phase; seed: random. BAUTA_ESTATE.
int ratchet_start(struct ratchet *r, const uint8_t cid[static CID_BYTES],
                  const uint8_t seed[static 32], uint8_t out[static RATCHET1_BYTES]);
// The other side's RATCHET1. Makes RATCHET2 (*out_len bytes), the new keys, and the peer's cid.
// seed: 64 random bytes for the encapsulation; n_r: 32 random bytes (used in step 1 only).
// BAUTA_EFORMAT, BAUTA_ESTATE, BAUTA_EAUTH.
int ratchet_on1(struct ratchet *r, const uint8_t *msg, size_t len,
                const uint8_t cid[static CID_BYTES], const uint8_t seed[static 64],
                const uint8_t n_r[static 32], uint8_t out[static RATCHET2_FIRST_BYTES],
                size_t *out_len, uint8_t peer_cid[static CID_BYTES], struct packet_keys *send,
                struct packet_keys *recv);
// RATCHET2: the new keys and the peer's cid. In step 1 also makes RATCHET3 from n_i (32 random
// bytes), and *out_len is RATCHET3_BYTES, else 0. BAUTA_EFORMAT, BAUTA_ESTATE, BAUTA_EAUTH.
int ratchet_on2(struct ratchet *r, const uint8_t *msg, size_t len, const uint8_t n_i[static 32],
                uint8_t out[static RATCHET3_BYTES], size_t *out_len,
                uint8_t peer_cid[static CID_BYTES], struct packet_keys *send,
                struct packet_keys *recv);
// RATCHET3, by the responder: makes RATCHET4 and the words. BAUTA_EFORMAT, BAUTA_ESTATE.
int ratchet_on3(struct ratchet *r, const uint8_t *msg, size_t len,
                uint8_t out[static RATCHET4_BYTES]);
// RATCHET4, by the initiator: checks the commitment, makes the words. BAUTA_EFORMAT, BAUTA_ESTATE.
// BAUTA_EAUTH: the commitment does not fit. Somebody is in the middle: close, warn loudly.
int ratchet_on4(struct ratchet *r, const uint8_t *msg, size_t len);
// Wipes everything; the state is RATCHET_FAILED afterwards.
void ratchet_wipe(struct ratchet *r);

#endif
