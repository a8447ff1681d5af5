// One topic of an encounter: its secrets by day, the places of its epochs, introducers and handles,
// and the sealed record (PROTOCOL 4 and 5). What others announce there goes to the encounter.
//
// Timers: start (0-3 s after the first topic), epoch boundaries (a quarter to, the hour, a quarter past),
// move into a new epoch (over 5 minutes), settle (wait for the other introducers), choose again (no introducer
// known), close (withdrawn places linger for late answers).
#ifndef BAUTA_NODE_MEET_SEARCH_H
#define BAUTA_NODE_MEET_SEARCH_H

#include "crypto/topic.h"
#include "node/meet/env.h"
#include "node/meet/wire.h"

enum search_attend_state { ATTEND_NONE, ATTEND_OPENING, ATTEND_READY };
struct search_attend {
    enum search_attend_state state;
    bool announced; // the record at the holders names it
    uint32_t id;    // the dht's
    struct wire_introducer introducer;
    usec_t opened_at;
    struct rate rate; // of offers through it
};

struct search_place {
    bool used;
    bool mine;  // announced here, or to be
    bool found; // the look-up knows the region
    bool announced;
    bool settled;     // the wait for other introducers is over
    bool stale;       // the announced record names an introducer that is lost
    bool lingering;   // withdrawn; its handles say no until close_at
    uint32_t id;      // the dht's
    uint32_t records; // that a holder counted last
    uint64_t epoch;
    struct topic_keys keys;
    uint8_t rec_id[RECORD_ID_BYTES];
    uint8_t hash[2]
                [32]; // of the record's plaintext, the newest first: the prologue of offers to it
    unsigned hashes, named; // `named`: introducers in the announced record
    struct search_attend attend[DHT_INTRODUCERS_MAX];
    usec_t announce_at, settle_at, choose_at, close_at;
    usec_t choose_gap;
    struct memory seen; // first 32 bytes of messages that opened
};

struct search_secret {
    bool used, have;
    uint32_t day;
    uint32_t job; // 0: not handed out yet
    uint8_t secret[32];
};

struct search {
    uint8_t index; // of the topic in the encounter
    uint32_t user; // tags our places and attends at the dht
    const struct meet_topic *topic;
    struct card card;
    uint8_t pk[32], sk[32]; // the pseudonym
    struct search_secret secret[2];
    struct search_place place[SEARCH_PLACES_MAX];
    struct rate rate;   // of offers to it
    bool paused;        // matched: nothing is announced or read
    bool joined;        // some server is known
    bool no_introducer; // none to be had, at the last try
    usec_t start_at, boundary_at, retry_at;
    usec_t asked_at, derived_us; // of the first secret
};

// NULL: no memory. Starts after `delay`; `topic` must outlive it.
struct search *search_new(struct meet_env *, uint8_t index, uint32_t user,
                          const struct meet_topic *topic, const struct card *, usec_t delay);
void search_free(struct meet_env *, struct search *); // closes everything at the dht, wipes
void search_step(struct meet_env *, struct search *);
usec_t search_deadline(const struct meet_env *, const struct search *);

// The next secret to derive, if one is wanted.
bool search_job(struct meet_env *, struct search *, struct job *);
// False: not a job of this search.
bool search_job_done(struct meet_env *, struct search *, uint32_t job, const uint8_t *result,
                     int len);
// DHT_PLACE_FOUND, DHT_ATTENDING, DHT_ATTEND_LOST. False: not of this search.
bool search_event(struct meet_env *, struct search *, const struct dht_event *);

// Withdraws everywhere at once; handles linger for SEARCH_LINGER_US.
void search_withdraw(struct meet_env *, struct search *);
// After a match that is over: new places, introducers, handles and record ids under the same pseudonym.
void search_restart(struct meet_env *, struct search *, usec_t delay);
// Samples again at random holders of all places.
void search_look(struct meet_env *, struct search *, unsigned holders);

struct search_place *search_place_of(struct search *, uint32_t place);
struct search_place *search_place_of_attend(struct search *, uint32_t attend,
                                            struct search_attend **);
bool search_hashing(const struct search *); // waits for its first secret

#endif
