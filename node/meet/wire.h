// Every byte layout of node/meet (README.md has the tables). Integers are little-endian; unused bytes
// are zero inside what is sealed, random outside.
#ifndef BAUTA_NODE_MEET_WIRE_H
#define BAUTA_NODE_MEET_WIRE_H

#include "crypto/bytes.h"
#include "node/channel/channel.h"
#include "node/meet/card.h"
#include "node/meet/limits.h"

#include "dht/dht.h"

#include <assert.h>

// ---- record plaintext: pseudonym[32] expiry[8] effort[4] seed[16] card[12] random[16] count[1],
// count x (family[1] pk[32] puzzle_nonce[8] addr[4|16] port[2] handle[16]), zeroes up to 392.
#define WIRE_INTRODUCER_BYTES_MAX (1u + 32 + PUZZLE_NONCE_BYTES + 16 + 2 + DHT_HANDLE_BYTES)
#define WIRE_RECORD_FIXED_BYTES (32u + 8 + 4 + 16 + CARD_BYTES + 16 + 1)
static_assert(WIRE_RECORD_FIXED_BYTES + DHT_INTRODUCERS_MAX * WIRE_INTRODUCER_BYTES_MAX <=
                  RECORD_PLAIN_BYTES,
              "three introducers fit a record");

struct wire_introducer {
    struct contact contact;
    uint8_t handle[DHT_HANDLE_BYTES];
};
struct wire_record {
    uint8_t pseudonym[32];
    uint64_t expiry_s; // unix seconds
    uint32_t effort;   // that an introduction must prove
    uint8_t seed[16];
    struct card card;
    uint8_t random[16];
    uint8_t introducers; // 1..3
    struct wire_introducer introducer[DHT_INTRODUCERS_MAX];
};
void wire_put_record(uint8_t out[static RECORD_PLAIN_BYTES], const struct wire_record *);
int wire_get_record(struct wire_record *,
                    const uint8_t in[static RECORD_PLAIN_BYTES]); // BAUTA_EFORMAT

// ---- what goes towards the owner of a handle. All three kinds look alike to the introducer: the same
// size, nothing constant. The receiver tells them apart by what they match.
// envelope: rec_id[16] effort[4] nonce[16] sol[32] msg1[120]
// confirm:  sealed payload[144] tag[16] random[28]
// retract:  tag[16] random[172]
#define WIRE_MSG1_PAYLOAD_BYTES 24u
#define WIRE_MSG1_BYTES (32u + 48 + WIRE_MSG1_PAYLOAD_BYTES + 16) // e, encrypted s, payload, tag
#define WIRE_ENVELOPE_HEAD_BYTES (RECORD_ID_BYTES + 4u + POW_NONCE_BYTES + POW_SOLUTION_BYTES)
#define WIRE_OFFER_BYTES (WIRE_ENVELOPE_HEAD_BYTES + WIRE_MSG1_BYTES)
#define WIRE_CONFIRM_PAYLOAD_BYTES 144u
#define WIRE_CONFIRM_SEALED_BYTES (WIRE_CONFIRM_PAYLOAD_BYTES + 16u)
#define WIRE_RETRACT_TAG_BYTES 16u
static_assert(WIRE_OFFER_BYTES == 188, "the layout is the contract");
static_assert(WIRE_CONFIRM_SEALED_BYTES <= WIRE_OFFER_BYTES, "a confirm looks like an offer");

struct wire_envelope {
    uint8_t rec_id[RECORD_ID_BYTES];
    uint32_t effort;
    uint8_t nonce[POW_NONCE_BYTES];
    uint8_t sol[POW_SOLUTION_BYTES];
    const uint8_t *msg1; // WIRE_MSG1_BYTES, in place
};
void wire_put_envelope(uint8_t out[static WIRE_OFFER_BYTES], const struct wire_envelope *);
int wire_get_envelope(struct wire_envelope *, const uint8_t *in, size_t len); // BAUTA_EFORMAT

// msg1's payload: generation[4] capabilities[1] card[12] zero[7]
#define WIRE_CAPABILITY_AES 0x01u // AEGIS-256 is fast here; other bits are ignored
struct wire_msg1 {
    uint32_t generation;
    uint8_t capabilities;
    struct card card;
};
void wire_put_msg1(uint8_t out[static WIRE_MSG1_PAYLOAD_BYTES], const struct wire_msg1 *);
int wire_get_msg1(struct wire_msg1 *, const uint8_t *in, size_t len); // BAUTA_EFORMAT

// How one end can be reached: cid[8] recv_mask[16] flags[1] counts[1], count x (family[1] addr[4|16] port[2])
#define WIRE_REACH_FIXED_BYTES (CID_BYTES + MASK_KEY_BYTES + 2u)
// flags: bit 0; bits 1-3: enum channel_nat; bits 4-7: the step of CHANNEL_NAT_STEP, -8..7 and not 0, else 0.
#define WIRE_REACH_RELAYS_SHIFT                                                                    \
    4u // of counts: candidates, and how many of them, the last, are behind a relay
#define WIRE_REACH_OBSERVED 0x01u // the first candidate is the one that the introducer sees
#define WIRE_REACH_NAT_SHIFT 1u
#define WIRE_REACH_STEP_SHIFT 4u
#define WIRE_REACH_STEP_MIN (-8)
#define WIRE_REACH_STEP_MAX 7
static_assert(CHANNEL_NATS <= 8, "three bits");
struct wire_reach {
    uint8_t cid[CID_BYTES];
    uint8_t recv_mask[MASK_KEY_BYTES];
    bool observed;
    enum channel_nat nat; // of IPv4
    int8_t step;
    uint8_t candidates;
    uint8_t relays; // so many of them, the last ones, are behind a relay of ours
    struct path candidate[CHANNEL_CANDIDATES_MAX];
};

// ---- what comes back: e[32] sealed payload[128] tag[16], or 176 random bytes that begin with a key
// msg2's payload: verdict[1] aead[1] generation[4] reach, zeroes up to 128; after a no: zeroes.
#define WIRE_MSG2_PAYLOAD_BYTES 128u
#define WIRE_ANSWER_BYTES (32u + WIRE_MSG2_PAYLOAD_BYTES + 16u)
static_assert(WIRE_ANSWER_BYTES == 176, "the layout is the contract");
static_assert(WIRE_ANSWER_BYTES == DHT_ANSWER_BYTES, "an introducer's decoy looks like a decline");

enum wire_verdict { WIRE_ACCEPT = 1, WIRE_NO_FOR_GOOD = 2, WIRE_NO_NOT_NOW = 3 };
struct wire_msg2 {
    enum wire_verdict verdict;
    enum packet_aead aead;
    uint32_t generation;
    struct wire_reach reach;
};
// Leaves out the last candidates where they don't fit: at least five do.
void wire_put_msg2(uint8_t out[static WIRE_MSG2_PAYLOAD_BYTES], const struct wire_msg2 *);
int wire_get_msg2(struct wire_msg2 *, const uint8_t *in, size_t len); // BAUTA_EFORMAT

// confirm's payload: generation[4] reach, zeroes up to 144: six candidates always fit.
static_assert(4 + WIRE_REACH_FIXED_BYTES + CHANNEL_CANDIDATES_MAX * PATH_WIRE_BYTES_MAX <=
                  WIRE_CONFIRM_PAYLOAD_BYTES,
              "six candidates fit a confirm");
struct wire_confirm {
    uint32_t generation;
    struct wire_reach reach;
};
void wire_put_confirm(uint8_t out[static WIRE_CONFIRM_PAYLOAD_BYTES], const struct wire_confirm *);
int wire_get_confirm(struct wire_confirm *, const uint8_t *in, size_t len); // BAUTA_EFORMAT

// BLAKE2b-16(key = BLAKE2b-32(key = ck, "bauta retract"), LE32 generation); ck: after msg1.
void wire_retract_tag(uint8_t tag[static WIRE_RETRACT_TAG_BYTES], const uint8_t ck[static 64],
                      uint32_t generation);

#endif
