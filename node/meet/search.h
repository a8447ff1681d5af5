// One topic of an encounter: its secrets by day and, for each epoch that is read, where in the topic's
// tree of places it stands and which it reads (PROTOCOL 4 and 5). What others announce there goes to the
// encounter.
//
// Timers: start (0-3 s after the first topic), epoch boundaries (a quarter to, the hour, a quarter past),
// asking the parent place (5 s +- 2), looking (each topic at a moment of its own), and those of the spots.
#ifndef BAUTA_NODE_MEET_SEARCH_H
#define BAUTA_NODE_MEET_SEARCH_H

#include "node/meet/spot.h"

struct search_secret {
    bool used, have;
    uint32_t day;
    uint32_t job; // 0: not handed out yet
    uint8_t secret[32];
};

// An epoch that is read; in the own one the person also announces.
struct search_epoch {
    bool used;
    uint64_t epoch;
    struct branch branch;
    struct branch_place third; // read beside the own place and the root, instead of the parent
    bool has_third;
    usec_t beside_at; // the third may change again
};

struct search {
    uint8_t index; // of the topic in the encounter
    uint32_t user; // tags our places and attends at the dht
    const struct meet_topic *topic;
    struct card card;
    uint8_t pk[32], sk[32]; // the pseudonym
    struct search_secret secret[2];
    struct search_epoch epoch[2];
    struct spot *spot[SEARCH_PLACES_MAX];
    struct rate rate;   // of offers to it
    bool paused;        // matched: nothing is announced or read
    bool joined;        // some server is known
    bool alone;         // nobody acceptable was known when it looked last, nor since
    bool moved;         // reads other places than it did: for the encounter, which clears it
    bool no_introducer; // none to be had, at the last try
    usec_t start_at, boundary_at, retry_at;
    usec_t look_at;              // USEC_NEVER: not planned
    usec_t asked_at, derived_us; // of the first secret
};

// NULL: no memory. Starts after `delay`; `topic` must outlive it.
struct search *search_new(struct meet_env *, uint8_t index, uint32_t user,
                          const struct meet_topic *topic, const struct card *, usec_t delay);
void search_free(struct meet_env *, struct search *); // closes everything at the dht, wipes
void search_step(struct meet_env *, struct search *);
usec_t search_deadline(const struct meet_env *, const struct search *);

// The next secret to derive, or proof to search, if one is wanted.
bool search_job(struct meet_env *, struct search *, struct job *);
// False: not a job of this search.
bool search_job_done(struct meet_env *, struct search *, uint32_t job, const uint8_t *result,
                     int len);
// DHT_PLACE_FOUND, DHT_FULL, DHT_EFFORT, DHT_STORED, DHT_ATTENDING, DHT_ATTEND_LOST. False: not of this
// search.
bool search_event(struct meet_env *, struct search *, const struct dht_event *);
// What a holder says of how many stand at the spot.
void search_counted(struct meet_env *, struct search *, struct spot *, const struct dht_event *);

// Withdraws everywhere at once; handles linger for SEARCH_LINGER_US.
void search_withdraw(struct meet_env *, struct search *);
// After a match that is over: new places, introducers, handles and record ids under the same pseudonym.
void search_restart(struct meet_env *, struct search *, usec_t delay);
// Samples again at random holders of all places. `alone`: nobody acceptable is known at all, so the
// search may also move to where more people stand, `delay` later.
void search_look(struct meet_env *, struct search *);
void search_look_alone(struct meet_env *, struct search *, usec_t delay);

struct spot *search_spot_of(struct search *, uint32_t place);
struct spot *search_spot_of_attend(struct search *, uint32_t attend, struct spot_attend **);
// Any place whose request key an offer may use.
uint32_t search_any_place(const struct search *);
bool search_hashing(const struct search *); // waits for its first secret

#endif
