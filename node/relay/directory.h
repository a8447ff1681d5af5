// The directory of relays: where volunteers say that they are there, and where clients look for them. 16 places
// of the DHT for each hour (PROTOCOL 8); who knows the network's name knows them. A relay's offer stands at one of
// them, drawn at random; a client reads some at random until it has enough to choose from.
//
// A pure machine on top of dht/: its driver hands it time and those events of the DHT whose user is
// DIRECTORY_USER, and drains its own events after each call.
#ifndef BAUTA_NODE_RELAY_DIRECTORY_H
#define BAUTA_NODE_RELAY_DIRECTORY_H

#include "crypto/job.h"
#include "dht/dht.h"
#include "node/relay/choice.h"

struct directory;

#define DIRECTORY_USER 0xc0000000u      // of the places it opens at the DHT
#define DIRECTORY_JOB_FIRST 0x40000000u // its jobs have numbers from here on

struct directory_config {
    struct net net;
    struct rng rng;
    struct arena *arena;
    struct dht *dht;
    bool lab, prefix_limits; // as the DHT's
    uint8_t puzzle_bits;     // of a relay's key
    bool relay;              // of ours: `seed` is its key
    uint8_t seed[KEY_BYTES];
};

int directory_init(struct directory **, const struct directory_config *); // 0, BAUTA_ESPACE
void directory_free(struct directory *, usec_t now); // withdraws what is announced, wipes
// Nothing is announced or looked for before the first call.
void directory_clock(struct directory *, usec_t now, int64_t unix_us);

// ---- a relay ----------------------------------------------------------------------------------------
// Announces the offer until it is withdrawn, at one random slot of each hour; called again, what has changed is
// announced within a minute. Its ed_pk and times are filled in; contacts, ports, capacity and free share are the
// caller's. BAUTA_EFORMAT: it may not say that, or the contacts' key is not the seed's. BAUTA_ESTATE: no relay.
int directory_announce(struct directory *, usec_t now, const struct relay_offer *);
void directory_withdraw(struct directory *, usec_t now);

// ---- a client ---------------------------------------------------------------------------------------
struct directory_need {
    unsigned count; // different prefixes to pick from, those in use among them; 0: none
    bool tcp;       // relays on TCP only
    bool
        any; // nobody is hidden by the choice: the first slot that names a few will do, and looking again has time
    uint8_t families; // as relay_wish's
    bool both;
};
// From now on looks for relays until there are as many as are needed, and as far as the network has them a few times as
// many, so that no slot's holders decide. Without any need: stops, and forgets all. DIRECTORY_READY or DIRECTORY_NONE
// comes. BAUTA_ESPACE.
int directory_want(struct directory *, usec_t now, const struct directory_need *);
// One at random (choice.h); never our own. BAUTA_EUNKNOWN: before the first DIRECTORY_READY or DIRECTORY_NONE, since who
// answered first would choose for us; or none is known that fits: then it looks through all slots again, soon, and one
// of the two comes once more.
int directory_pick(struct directory *, usec_t now, const struct relay_wish *,
                   struct relay_choice *);
// A relay did not answer, or broke its word: not picked for a while, longer each time. It did well: forgiven.
void directory_failed(struct directory *, usec_t now, const uint8_t pk[static KEY_BYTES]);
void directory_worked(struct directory *, const uint8_t pk[static KEY_BYTES]);

// ---- driving it -------------------------------------------------------------------------------------
// Each event of the DHT whose user is DIRECTORY_USER.
void directory_dht_event(struct directory *, usec_t now, const struct dht_event *);
void directory_expire(struct directory *, usec_t now);
usec_t directory_deadline(const struct directory *);
// The proof of work that holders of a nearly full slot want. False: none, or not one of ours.
bool directory_job(struct directory *, struct job *);
bool directory_job_done(struct directory *, usec_t now, uint32_t job, const uint8_t *result,
                        int len);

enum directory_event {
    DIRECTORY_NOTHING, // no event is left
    DIRECTORY_READY,   // enough is known to pick from; again once all slots are read that had to be
    DIRECTORY_NONE // all slots were looked at: less than what is wanted is known, perhaps nothing. Goes on trying
};
enum directory_event directory_event(struct directory *);

struct directory_status {
    bool announced;    // some holder has our offer
    unsigned offers;   // known
    unsigned prefixes; // different ones to pick from
    bool looking;
    uint64_t refused; // records at the slots that were no offers, or not good here and now
};
void directory_status(const struct directory *, usec_t now, struct directory_status *);

#endif
