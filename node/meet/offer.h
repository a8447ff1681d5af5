// Introductions in both directions (PROTOCOL 6): Noise_IKpsk1 inside blobs that an introducer carries.
// offer_out: my offers, from msg1 to the confirm or retract. offer_in: others' offers, from the cheap
// checks to the confirm.
#ifndef BAUTA_NODE_MEET_OFFER_H
#define BAUTA_NODE_MEET_OFFER_H

#include "node/meet/encounter.h"

#define OFFER_PROLOGUE_BYTES_MAX (12u + 1 + NETWORK_NAME_BYTES_MAX + 8 + 32 + 32)
// "bauta meet 1" || NET || LE64 epoch || place || BLAKE2b-32(record plaintext). Returns its length.
size_t offer_prologue(uint8_t out[static OFFER_PROLOGUE_BYTES_MAX], const struct net *,
                      uint64_t epoch, const uint8_t place[static 32],
                      const uint8_t hash[static 32]);

enum offer_out_state {
    OUT_PUZZLE,    // waits for its proof of work
    OUT_SENT,      // awaits an answer
    OUT_ACCEPTED,  // the answer has come, the pairing decides
    OUT_RETRACTED, // lingers for late answers
    OUT_CONFIRMED  // matched
};
struct offer_link { // one way through an introducer
    bool open;
    uint32_t intro;
};
struct offer_out {
    enum offer_out_state state;
    struct pairing_peer peer;
    uint32_t generation;
    uint32_t place; // the dht's
    uint32_t job;   // of the puzzle; 0: none, or not handed out yet
    uint32_t effort;
    uint8_t m[32]; // BLAKE2b-32(msg1)
    uint8_t rec_id[RECORD_ID_BYTES];
    uint8_t hash[32]; // of the record's plaintext
    uint8_t all_ways; // one bit for each of the record's introducers
    struct noise noise;
    uint8_t blob[WIRE_OFFER_BYTES], retract[WIRE_OFFER_BYTES], confirm[WIRE_OFFER_BYTES];
    unsigned introducers, next; // tried in order; `next`: the first untried
    struct wire_introducer introducer[DHT_INTRODUCERS_MAX];
    uint8_t way[DHT_INTRODUCERS_MAX]; // index in the record of each
    struct offer_link link[DHT_INTRODUCERS_MAX];
    unsigned answered_on;
    unsigned sendings, retracts, confirms;
    usec_t sent_at, confirmed_at;
    usec_t again_at; // the next sending of whatever the state sends
    usec_t gap;
    usec_t close_at;
    struct channel_config channel; // where accepted
};
// False: it can't be sent at all (bad key, no introducer, no memory).
bool offer_out_start(struct meet_env *, struct encounter *, const struct pairing_action *);
void offer_out_retract(struct meet_env *, struct encounter *, const struct pairing_action *);
// As retract, but says so only to a late accept.
void offer_out_abandon(struct meet_env *, struct encounter *, const struct pairing_action *);
void offer_out_confirm(struct meet_env *, struct encounter *, const struct pairing_action *);
// DHT_BACK and DHT_INTRO_FAILED. False: not of this encounter.
bool offer_out_event(struct meet_env *, struct encounter *, const struct dht_event *);
bool offer_out_job(struct meet_env *, struct encounter *, struct job *);
bool offer_out_job_done(struct meet_env *, struct encounter *, uint32_t job, const uint8_t *result,
                        int len);
void offer_out_heard(struct encounter *); // the confirm has arrived
void offer_out_expire(struct meet_env *, struct encounter *);
usec_t offer_out_deadline(const struct encounter *);
void offer_out_close(struct meet_env *, struct encounter *);

enum offer_in_state {
    IN_PUZZLE,   // its proof waits for the budget of checks
    IN_HELD,     // opened, waits for the pairing's decision
    IN_ACCEPTED, // awaits the confirm
    IN_REFUSED,  // stays to repeat its answer
    IN_JOINED    // matched
};
struct offer_in {
    enum offer_in_state state;
    struct pairing_peer peer;
    uint32_t generation;
    uint8_t capabilities;
    uint32_t place, attend; // the dht's
    uint8_t link[DHT_LINK_BYTES];
    uint8_t blob[WIRE_OFFER_BYTES];
    struct noise noise;
    struct noise_cipher confirm_cipher;
    uint8_t retract_tag[WIRE_RETRACT_TAG_BYTES];
    uint8_t answer[WIRE_ANSWER_BYTES];
    bool answer_made;
    bool proved;  // it needed a proof, and has it or waits for its check
    usec_t delay; // of answers, from the arrival
    usec_t arrived_at, answer_at, answered_at, close_at;
    struct path seen; // my address as the introducer sees it
    struct channel_config channel;
};
// One blob for a handle of `s`, which came on `link` of `a`.
void offer_in_arrived(struct meet_env *, struct encounter *, struct search *, struct spot *,
                      struct spot_attend *a, const struct dht_event *);
void offer_in_accept(struct meet_env *, struct encounter *, const struct pairing_action *);
void offer_in_refuse(struct meet_env *, struct encounter *, const struct pairing_action *);
void offer_in_joined(struct meet_env *, struct encounter *, const struct pairing_action *);
void offer_in_review(struct meet_env *, struct encounter *);
void offer_in_expire(struct meet_env *, struct encounter *);
usec_t offer_in_deadline(const struct meet_env *, const struct encounter *);
void offer_in_close(struct meet_env *, struct encounter *);

#endif
