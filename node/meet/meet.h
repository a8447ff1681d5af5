// Meeting on a topic as a pure machine (DESIGN 6, PROTOCOL 4-6). An encounter is one person's wish to
// talk about one of several topics; on each it announces a sealed record, seeks others', and settles
// by the pairing rule with exactly one of them. It ends with the keys of a channel, which node makes.
#ifndef BAUTA_NODE_MEET_MEET_H
#define BAUTA_NODE_MEET_MEET_H

#include "crypto/job.h"
#include "dht/dht.h"
#include "node/channel/channel.h"
#include "node/meet/card.h"

struct meet;

#define MEET_ENCOUNTERS_MAX 16u  // that seek or talk at once in one node
#define MEET_TOPICS_MAX 8u       // of one encounter
#define MEET_LOCAL_PATHS_MAX 8u  // own addresses that may become candidates
#define MEET_MAPPED_PATHS_MAX 2u // addresses that routers hold open for us

struct meet_config {
    struct net net;
    struct rng rng;
    struct arena *arena;
    struct dht *dht;
    bool lab;                           // private and loopback candidates are fine
    bool aes_hardware;                  // an input: AEGIS-256 is offered if so
    uint8_t local_mask[MASK_KEY_BYTES]; // the recv_mask of our sockets
};

int meet_new(struct meet **, const struct meet_config *); // BAUTA_ESPACE
void meet_free(struct meet *);
void meet_clock(struct meet *, usec_t now, int64_t unix_us);
// Own socket addresses on this host's interfaces; servers' view of us is added from the DHT.
void meet_local_paths(struct meet *, const struct path *path, size_t n);
// Addresses outside that lead to our socket because a router was asked for it: told after what servers see.
void meet_mapped_paths(struct meet *, const struct path *path, size_t n);

// No path will be searched for any channel before `at` (node/punch.h): whoever meets us is told so, since a search
// takes both ends. 0: at once.
void meet_search_at(struct meet *, usec_t at);
// Addresses behind a relay at which we can be reached, one of each family at most (family 0: none; NULL: none at all), by
// a tunnel called `via`. `only`: strangers are told nothing else, and are sent to by no other way. `held`: nobody is sought
// before that is known, since nobody could answer.
void meet_exits(struct meet *, usec_t now, bool only, bool held, uint32_t via,
                const struct path exit[2]);

struct meet_topic { // normalised by the caller
    uint8_t topic[TOPIC_BYTES_MAX];
    uint8_t topic_len;
    uint8_t pass[PASS_BYTES_MAX];
    uint16_t pass_len;
};
struct meet_wish {
    struct meet_topic topic[MEET_TOPICS_MAX];
    size_t topics;
    struct card card;
    struct wishes wishes;
};
// `encounter`: the caller's number, >= 1, unique for the run. 0, BAUTA_ELIMIT, BAUTA_ESPACE, BAUTA_EFORMAT (no topics).
int meet_seek(struct meet *, usec_t now, uint32_t encounter, const struct meet_wish *);
// Goes on seeking under the same pseudonyms, with new introducers and handles; never the same person
// again. No effect while seeking. BAUTA_EUNKNOWN.
int meet_next(struct meet *, usec_t now, uint32_t encounter);
// Withdraws everything and forgets the encounter.
int meet_end(struct meet *, usec_t now, uint32_t encounter);
// Remembers for this run whom the encounter is with (pseudonym, and the address in direct mode). `peer`:
// the path in use, may be NULL. Then as meet_end.
int meet_block(struct meet *, usec_t now, uint32_t encounter, const struct path *peer);

// What became of the channel of MEET_CHANNEL.
void meet_channel_heard(struct meet *, usec_t now, uint32_t encounter);   // resend no confirm
void meet_channel_matched(struct meet *, usec_t now, uint32_t encounter); // never met again
// It ended before that: seek on. The same candidate is tried at most twice more.
void meet_channel_failed(struct meet *, usec_t now, uint32_t encounter);
// The same, but one of both could not search a path then (CHANNEL_NAT_BUSY): up to BUSY_MAX times that does not count.
void meet_channel_busy(struct meet *, usec_t now, uint32_t encounter);

// Addresses for somebody one talks to already (node/reunion), by the rules for strangers who meet.
struct meet_candidates {
    bool observed; // servers see the first
    uint8_t count;
    struct path path[CHANNEL_CANDIDATES_MAX];
};
// Our own. `seen`: where servers have just seen us, one of each family at most (family 0: nowhere); `peer`: what the
// other told of itself last, or NULL.
void meet_candidates_own(struct meet *, const struct path seen[static 2],
                         const struct meet_candidates *peer, struct meet_candidates *own);
// The same of who hides the address from all others, and has agreed with this one not to: nothing of relays.
void meet_candidates_bare(struct meet *, const struct path seen[static 2],
                          struct meet_candidates *own);
// Keeps those that may be probed now, each of which counts against the minute's budget.
void meet_candidates_take(struct meet *, usec_t now, struct meet_candidates *peer,
                          const struct path seen[static 2]);
// May we send to this address at a stranger's word? Counts it if so.
bool meet_probe(struct meet *, usec_t now, const struct path *);

void meet_dht_event(struct meet *, usec_t now, const struct dht_event *);
bool meet_expire(struct meet *, usec_t now, unsigned budget);
usec_t meet_deadline(const struct meet *); // O(1)
bool meet_job(struct meet *, struct job *);
void meet_job_done(struct meet *, usec_t now, uint32_t job, const uint8_t *result, int len);

enum meet_event_kind {
    MEET_PROGRESS, // encounter: `stage` changed
    MEET_CHANNEL, // encounter, topic (index), channel, peer: make the channel and try its candidates
    MEET_WARNING  // code: what stands in the way, once per cause
};
enum meet_stage {
    MEET_HASHING,   // deriving the topics' secrets
    MEET_JOINING,   // no server known yet
    MEET_SEARCHING, // looking up, announcing, waiting
    MEET_CONNECTING // settled on somebody, shaking hands
};
struct meet_event {
    enum meet_event_kind kind;
    uint32_t encounter;
    enum meet_stage stage;
    uint8_t topic;
    uint8_t peer[32];                     // pseudonym
    const struct channel_config *channel; // valid until the next call; its rng is not set
    const char *code;                     // "no_introducer", "clock", ...
};
bool meet_event(struct meet *, struct meet_event *);

struct meet_status {
    uint32_t encounters;
    uint64_t offers_out, offers_in, accepted, refused, declined, retracted, matched, no_path;
    uint64_t dropped_replay, dropped_rate, dropped_auth, dropped_format, dropped_pow;
    usec_t derive_us; // time that the last encounter waited for its topic hash
};
void meet_status(const struct meet *, struct meet_status *);
// How an encounter stands, for `status` and for checkers.
struct meet_encounter_status {
    enum meet_stage stage;
    uint32_t candidates, held, offers; // now
    bool free, pending, matched;
};
int meet_encounter_status(const struct meet *, uint32_t encounter, struct meet_encounter_status *);

#endif
