// Addresses at which the peer may be: probing, validation (after RFC 9000, section 8.2), and how much
// may be sent before it.
#ifndef BAUTA_NODE_CHANNEL_PATHS_H
#define BAUTA_NODE_CHANNEL_PATHS_H

#include "node/channel/channel.h"
#include "node/channel/limits.h"
#include "node/channel/mtu.h"

#define CHAN_NO_PATH (-1)

struct chan_path {
    struct path path;
    bool candidate, heard, validated;
    bool far;          // behind a relay: given up for one that is not
    bool fresh;        // of the newest candidates: it does not give way to others of them
    uint8_t responses; // PATH_RESPONSEs that are due
    uint8_t response[CHAN_RESPONSES_MAX][8];
    uint8_t challenge[8]; // the n-th challenge is this with n added to its last byte
    uint8_t challenges;   // sent since the path was last begun: all of them may still be answered
    uint8_t unasked;      // challenges that went out without an allowance
    usec_t challenge_at;  // when the next one is due; USEC_NEVER: none
    usec_t challenge_gap_us;
    usec_t challenged_at[CHAN_CHALLENGES_MAX];
    usec_t heard_at;
    uint64_t in_bytes, out_bytes;
    usec_t used_at;  // when it was first used; 0: never
    bool answered;   // a challenge of the trial that it takes part in
    usec_t rtt_us;   // of its last answered challenge
    uint8_t refused; // trials after which the peer was not there
    usec_t retry_at; // no other one before
    uint8_t id;      // of what was learnt of it; packets name their path by it
    struct chan_mtu mtu;
};

struct chan_paths {
    struct chan_path path[CHAN_PATHS_MAX];
    uint8_t count;
    uint8_t next_id;
    bool prefer_far;   // relays, as both ends have agreed
    bool settled;      // no further path through a socket of its own is taken
    int8_t active;     // validated and in use
    int8_t last;       // where the last valid packet came from
    int8_t speaking;   // where the highest packet with more than probes came from
    int8_t trial;      // where the peer may be now (trial.h); CHAN_NO_PATH: no doubt
    usec_t decide_at;  // when the one in use has had its time to answer
    uint64_t moved_pn; // packets from this number on came after the last change of paths
};

// All candidates are begun at once.
void chan_paths_init(struct chan_paths *, usec_t now, const struct channel_config *);
// More addresses at which the peer may be, or the same once more: each is probed anew.
void chan_paths_candidates(struct chan_paths *, usec_t now, const struct path *, size_t n,
                           usec_t gap_us);
// A valid packet came from there: its index (an unknown address takes a slot), or CHAN_NO_PATH when full.
int chan_paths_heard(struct chan_paths *, usec_t now, const struct path *, size_t bytes,
                     usec_t gap_us);
int chan_paths_find(const struct chan_paths *, const struct path *); // or CHAN_NO_PATH
// Does the response answer our challenge at any address? Sets *sent_at. The index, or CHAN_NO_PATH.
int chan_paths_response(struct chan_paths *, const uint8_t data[static 8], usec_t *sent_at);
// Challenges every address that the peer was heard from anew.
void chan_paths_restart(struct chan_paths *, usec_t now, usec_t gap_us);
// Is a challenge or response due at path i?
bool chan_paths_due(const struct chan_paths *, int i, usec_t now);
usec_t chan_paths_deadline(const struct chan_paths *);
// Makes the next challenge and counts it as sent.
void chan_paths_challenge(struct chan_paths *, int i, usec_t now, const struct rng *,
                          uint8_t data[static 8]);
// The path that packets with this id went to, or NULL: it gave way to another.
struct chan_path *chan_paths_by_id(struct chan_paths *, uint8_t id);
// Forgets all paths through further sockets but the one in use, and takes no more of them.
void chan_paths_drop_sockets(struct chan_paths *);
void chan_paths_drop_near(struct chan_paths *);
// What is due there can't be sent: the next packet from there asks for it again.
void chan_paths_give_up(struct chan_paths *, int i, usec_t now);
// How many bytes may go there now.
uint64_t chan_paths_allowance(const struct chan_paths *, int i);
// The size on the wire of a datagram of `len` bytes to path i, and the largest size for a datagram of at most `max`
// bytes: a class, or exactly the path's MTU. 0: none.
uint16_t chan_paths_class(const struct chan_paths *, int i, size_t len);
uint16_t chan_paths_room(const struct chan_paths *, int i, uint64_t max);
// Where to send: the path in use, else where the peer was heard last, else CHAN_NO_PATH.
static inline int chan_paths_target(const struct chan_paths *p)
{
    return p->active >= 0 ? p->active : p->last;
}
// The longest datagram for the path in use: what a full packet is.
static inline uint16_t chan_paths_mtu(const struct chan_paths *p)
{
    int i = chan_paths_target(p);
    return i >= 0 ? p->path[i].mtu.size : CLASS_FULL;
}

#endif
