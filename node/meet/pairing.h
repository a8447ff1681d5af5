// The pairing rule (PROTOCOL 6) as a pure state machine: who of the people that one encounter knows
// of becomes its partner. It sends nothing; each input appends the actions that follow from it.
//
// A person is FREE, PENDING (accepted somebody, awaits the confirm) or MATCHED, with one own offer in
// flight, and a few quiet ones: those that nobody has answered in good time, while others are known. Candidates are keyed by (topic of the encounter, pseudonym). Every offer has a
// generation of its initiator; an input of another generation is stale and changes nothing.
// The lowest weight among all offers in flight is always accepted, so a crowd can't livelock.
#ifndef BAUTA_NODE_MEET_PAIRING_H
#define BAUTA_NODE_MEET_PAIRING_H

#include "node/meet/doubt.h"
#include "node/meet/limits.h"
#include "node/meet/meet.h"

enum pairing_state { PAIRING_FREE, PAIRING_PENDING, PAIRING_MATCHED };

struct pairing_peer {
    uint8_t topic;  // index in the encounter
    uint8_t pk[32]; // pseudonym on it
};

struct pairing_candidate {
    bool used;
    bool listed; // a record is known: an offer can go out
    bool held;   // an offer from it waits for my decision
    bool taken;  // the own offer is out to it, or I am PENDING or MATCHED with it
    bool
        quiet; // an own offer is out to it that it leaves unanswered: another one may go out meanwhile
    struct pairing_peer peer;
    uint8_t rec_id[16]; // of the record, where listed
    uint64_t weight;    // w(me, peer), lower is better
    uint8_t score;      // wishes of the kind "rather" that hold, higher is better
    uint8_t unanswered; // offers in a row that nobody answered, capped
    uint32_t held_generation;
    uint32_t late_generation; // of an offer that I accepted, whose confirm may still come
    usec_t late_until;
    uint32_t quiet_generation;
    usec_t quiet_until;     // its answer counts so long
    usec_t usable_at;       // no offer goes out before
    struct doubt_ways ways; // whose introducers its record names
};

enum pairing_action_kind {
    PAIRING_OFFER,    // send an offer of `generation` to candidate `slot`
    PAIRING_ACCEPT,   // accept the peer's offer of `generation`
    PAIRING_REFUSE,   // answer the peer's offer with no; `for_good` or not now
    PAIRING_RETRACT,  // take back (or deny) the own offer of `generation`
    PAIRING_ABANDON,  // the own offer of `generation` is void, and its peer knows: offers crossed
    PAIRING_CONFIRM,  // the own offer is accepted: MATCHED, send the confirm
    PAIRING_JOINED,   // the peer's confirm has come: MATCHED
    PAIRING_WITHDRAW, // take the records back, everywhere, at once
    PAIRING_LOOK // sample again at PAIRING_LOOK_HOLDERS random holders of `peer.topic`, or of all
};
#define PAIRING_ALL_TOPICS 0xffu

struct pairing_action {
    enum pairing_action_kind kind;
    struct pairing_peer peer;
    unsigned slot; // of the candidate; PAIRING_CANDIDATES_MAX: none
    uint32_t generation;
    bool for_good;
};

// At most: retract, accept, a refusal to each held, a retract to each quiet, confirm, withdraw, look, offer.
#define PAIRING_ACTIONS_MAX (PAIRING_HELD_MAX + 2 * PAIRING_QUIET_MAX + 8u)
struct pairing_out {
    unsigned n;
    struct pairing_action action[PAIRING_ACTIONS_MAX];
};

struct pairing {
    struct rng rng;
    enum pairing_state state;
    struct pairing_candidate candidate[PAIRING_CANDIDATES_MAX];
    uint8_t own[MEET_TOPICS_MAX][32];     // own pseudonyms
    uint32_t generation[MEET_TOPICS_MAX]; // of the last own offer; random start a topic
    uint64_t dead[PAIRING_DEAD_MAX];      // hashes of records that said no for good
    uint16_t dead_next;
    struct doubts doubts;
    bool sampled;      // some sample has come
    bool offered;      // the own offer is out, to candidate[partner]
    uint8_t doublings; // of the gap before looking again
    uint8_t misses;    // offers that came to nothing since the last match
    int8_t trust;      // of them in those that come in, while it is positive
    unsigned partner;  // the candidate of the own offer, or of PENDING and MATCHED
    uint32_t partner_generation;
    usec_t start_at;  // the first offer; USEC_NEVER: no candidate was seen yet
    usec_t quiet_at;  // the own offer may become a quiet one, if there is anybody else
    usec_t answer_at; // the own offer counts as unanswered, or PENDING ends
    usec_t look_at;   // look again; USEC_NEVER: not idle
};

// w(a,b) = BLAKE2b-8(lower || higher || psk), little-endian.
uint64_t pairing_weight(const uint8_t a[static 32], const uint8_t b[static 32],
                        const uint8_t psk[static 32]);

void pairing_init(struct pairing *, struct rng rng);
void pairing_topic(struct pairing *, uint8_t topic, const uint8_t own_pk[static 32]);
// After a match that is over: FREE, no candidates, a new start. The dead stay dead.
void pairing_reset(struct pairing *);

// A record of a sample. The slot that the candidate has now, or PAIRING_CANDIDATES_MAX: dead, or worse
// than a full table. The caller ends each sample with pairing_sampled; `usable`: how many it took.
unsigned pairing_add(struct pairing *, const struct pairing_peer *, const uint8_t rec_id[static 16],
                     uint64_t weight, uint8_t score);
void pairing_sampled(struct pairing *, usec_t now, unsigned usable, struct pairing_out *);

// Who carries offers to that candidate: a hash of each introducer's prefix, not 0. Where offers through them
// stay without an answer, others are tried first.
void pairing_via(struct pairing *, unsigned slot, const uint64_t *via, unsigned n);

// Other places are read from now on: who looks again does so soon.
void pairing_elsewhere(struct pairing *, usec_t now);

// What came from others.
void pairing_offer(struct pairing *, usec_t now, const struct pairing_peer *, uint32_t generation,
                   uint64_t weight, uint8_t score, struct pairing_out *);
// The same offer again, so my answer was lost and is sent once more: the time for its confirm starts anew.
void pairing_repeated(struct pairing *, usec_t now, const struct pairing_peer *,
                      uint32_t generation);
void pairing_accepted(struct pairing *, usec_t now, const struct pairing_peer *,
                      uint32_t generation, struct pairing_out *);
void pairing_refused(struct pairing *, usec_t now, const struct pairing_peer *, uint32_t generation,
                     bool for_good, struct pairing_out *);
// The answer can't be read: a decline, or garbled on its way. The same record may be tried again through
// another introducer.
void pairing_garbled(struct pairing *, usec_t now, const struct pairing_peer *, uint32_t generation,
                     struct pairing_out *);
void pairing_retracted(struct pairing *, usec_t now, const struct pairing_peer *,
                       uint32_t generation, struct pairing_out *);
void pairing_confirmed(struct pairing *, usec_t now, const struct pairing_peer *,
                       uint32_t generation, struct pairing_out *);
// The own offer waits for its puzzle; it goes out now.
void pairing_solving(struct pairing *, usec_t now, const struct pairing_peer *,
                     uint32_t generation);
void pairing_sent(struct pairing *, usec_t now, const struct pairing_peer *, uint32_t generation);
// No introducer of the candidate answers: as if the time of the own offer had run out.
void pairing_unreachable(struct pairing *, usec_t now, const struct pairing_peer *,
                         uint32_t generation, struct pairing_out *);
// The peer's offer can't be used any more (its handshake expired, its address is blocked).
void pairing_lost(struct pairing *, usec_t now, const struct pairing_peer *, uint32_t generation,
                  bool for_good, struct pairing_out *);
void pairing_expire(struct pairing *, usec_t now, struct pairing_out *);
usec_t pairing_deadline(const struct pairing *);

#endif
