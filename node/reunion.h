// Two who talk and both move: each asks for the other at an introducer that the other named while all was
// well (README.md, "Reunion"). Nothing of it costs a datagram before the path is lost.
#ifndef BAUTA_NODE_REUNION_H
#define BAUTA_NODE_REUNION_H

#include "node/reunion_wire.h"

struct node;
struct conversation;

// The attends of one reunion: at our own points, and at one more server if none of them answers, which only
// tells us our address.
#define REUNION_ATTENDS_MAX (REUNION_POINTS_MAX + 1u)

enum reunion_state {
    REUNION_NONE,    // the path works
    REUNION_WAITS,   // lost, but the last one began a moment ago: `due_at` says when
    REUNION_SEEKS,   // attends and introduces
    REUNION_LINGERS, // found: still answers, since the other end may not know it yet; until `due_at`
};

struct reunion_attend {
    uint32_t id; // of the DHT; 0: none
    bool ready;  // the introducer has it
};
struct reunion_ask { // at one of the peer's points
    uint32_t id;     // of the DHT's introduction; 0: none open
    uint8_t failures;
};

struct reunion {
    enum reunion_state state;
    struct reunion_point mine[REUNION_POINTS_MAX], theirs[REUNION_POINTS_MAX];
    uint8_t mine_count, their_count;
    uint8_t
        stale; // bits of `mine`: to be drawn anew, one after the other, so that the peer always knows one
    usec_t check_at; // are they still there? USEC_NEVER: nothing was told yet
    uint32_t key;    // of the DHT, while it seeks or lingers
    struct reunion_attend attend[REUNION_ATTENDS_MAX];
    struct reunion_ask ask[REUNION_POINTS_MAX];
    bool often;      // the one before began a moment ago
    bool peer_known; // `peer` holds what it told in this reunion
    struct meet_candidates peer;
    usec_t began_at, renewed_at, due_at, ask_at, gap_us;
    uint32_t notes; // of the peer's, taken in this reunion
    uint32_t asks;  // offers sent, less what has been earned since
    usec_t asks_at; // when the last was earned
};

void reunion_init(struct reunion *);
// The conversation began; its path is known: draws points and tells them.
void reunion_matched(struct node *, usec_t now, struct conversation *);
// CHANNEL_MEETING, CHANNEL_LOST, CHANNEL_FOUND.
void reunion_meeting(struct conversation *, const uint8_t *data, size_t len);
void reunion_lost(struct node *, usec_t now, struct conversation *);
// The own network changed.
void reunion_moved(struct node *, usec_t now, struct conversation *);
void reunion_found(struct node *, usec_t now, struct conversation *);
// An event of the DHT whose `user` is the conversation's index above REUNION_USER.
void reunion_dht_event(struct node *, usec_t now, struct conversation *, const struct dht_event *);
void reunion_expire(struct node *, usec_t now, struct conversation *);
usec_t reunion_deadline(const struct reunion *);
// The conversation is over: everything at the DHT is closed.
void reunion_end(struct node *, usec_t now, struct conversation *);

#endif
