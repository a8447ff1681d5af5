// One place of a search in the DHT: its keys, and, where the person stands in it, introducers with
// handles, the sealed record and the proof of work that holders may want for it.
#ifndef BAUTA_NODE_MEET_SPOT_H
#define BAUTA_NODE_MEET_SPOT_H

#include "crypto/topic.h"
#include "node/meet/branch.h"
#include "node/meet/env.h"
#include "node/meet/wire.h"

enum spot_attend_state { ATTEND_NONE, ATTEND_OPENING, ATTEND_READY };
struct spot_attend {
    enum spot_attend_state state;
    bool announced; // the record at the holders names it
    uint32_t id;    // the dht's
    struct wire_introducer introducer;
    usec_t opened_at;
    struct rate rate;          // of offers through it
    struct rate rate_declines; // of answers to what failed before any DH
};

struct spot {
    uint64_t epoch;
    struct branch_place at;
    uint32_t id;    // the dht's
    bool mine;      // announced here, or to be
    bool found;     // the look-up knows the region
    bool full;      // most holders say so; nothing is announced here
    bool announced; // handed to the dht,
    bool stored;    // and some holder has it
    bool settled;   // the wait for other introducers is over
    bool stale;     // the announced record names an introducer that is lost, or a wrong effort
    bool lingering; // left; its handles, and offers that went out with its key, stay until close_at
    bool sampled;   // some holder has answered
    bool known;     // the dht knew somebody who may introduce,
    bool unreachable; // or nobody does
    uint32_t records; // that a holder counted last
    struct topic_keys keys;
    uint8_t rec_id[RECORD_ID_BYTES];
    uint8_t hash[2]
                [32]; // of the record's plaintext, the newest first: the prologue of offers to it
    unsigned hashes, named; // `named`: introducers in the announced record
    uint32_t effort;        // that the announced record asks of offers
    struct spot_attend attend[DHT_INTRODUCERS_MAX];
    usec_t announce_at, settle_at, choose_at, close_at;
    usec_t announced_at;
    usec_t elsewhere_at, elsewhere_gap; // when it is looked up on other ways
    usec_t choose_gap;
    struct memory seen; // first 32 bytes of messages that opened

    uint8_t record[RECORD_BYTES]; // as announced
    uint32_t proof_effort;        // that its holders want; 0: none
    uint32_t proof_job;           // 0: none, or not handed out yet
    bool proof_wanted;            // a job is to be handed out
};

// A place of `secret`'s topic; its look-up starts. NULL: no memory, or too many places.
struct spot *spot_open(struct meet_env *, const uint8_t secret[static 32], uint64_t epoch,
                       struct branch_place, uint32_t user);
void spot_close(struct meet_env *, struct spot *);
// Takes the record back; handles answer for SEARCH_LINGER_US.
void spot_linger(struct meet_env *, struct spot *);
// Nobody has come of it: an introducer may only pretend to be one. Names all, or one is exchanged.
void spot_nobody(struct meet_env *, struct spot *, uint32_t user);
// Not announced here any more, but read. Its introducers stay, for whoever comes back.
void spot_leave(struct meet_env *, struct spot *);
// The person stands here from `delay` on.
void spot_make_mine(struct meet_env *, struct spot *, usec_t delay);
// What is due: introducers, the record.
void spot_step(struct meet_env *, struct spot *, const uint8_t pk[static 32], const struct card *,
               uint32_t user);
usec_t spot_deadline(const struct meet_env *, const struct spot *);

// What the dht says: the region is known; an introducer has the handle, or does not answer any more; the
// holders want a proof of work.
void spot_found(struct meet_env *, struct spot *, uint32_t user, uint32_t holders);
void spot_attending(struct meet_env *, struct spot *, struct spot_attend *);
void spot_lost(struct meet_env *, struct spot *, struct spot_attend *, uint32_t user);
void spot_wants_proof(struct spot *, uint32_t effort);
// That proof, if one is to be searched.
bool spot_job(struct meet_env *, struct spot *, struct job *);
void spot_job_done(struct meet_env *, struct spot *, const uint8_t *result, int len);

#endif
