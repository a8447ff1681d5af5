// How deep a person stands in the tree of a hot topic's places (PROTOCOL 5), as a pure state machine.
// The branch of depth d is named by the first d bits of BLAKE2b(pseudonym); depth 0 is the root, which
// a newcomer opens. A full place sends it deeper, an empty one back up.
//
// What others say of fullness is advice. One hint leads at most BRANCH_JUMP_MAX down, and who finds
// nearly nobody there goes half of the way back at once: a liar costs three more look-ups.
#ifndef BAUTA_NODE_MEET_BRANCH_H
#define BAUTA_NODE_MEET_BRANCH_H

#include "node/meet/limits.h"

#include <stdbool.h>

struct branch_place {
    uint8_t depth;
    uint32_t bits; // the first `depth` ones
};

struct branch {
    uint16_t path;      // the first bits of BLAKE2b(pseudonym)
    uint8_t depth;      // where I stand, or am going
    uint8_t floor;      // what lies above was full, until floor_until
    uint8_t ceiling;    // this depth was nearly empty, until ceiling_until
    uint8_t room;       // the highest depth above that has said it has room, until room_until
    uint8_t beside;     // places beside the own one that were looked at since the last move
    usec_t floor_until; // 0: nothing was full
    usec_t ceiling_until, room_until;
    uint64_t climbed_us; // moves up, as a bucket of time that it takes to come back
    usec_t climbed_at;
    usec_t ask_at; // when the parent is asked next; USEC_NEVER at the root
    bool asking;   // its next answer decides
};

void branch_init(struct branch *, const uint8_t pk[static 32]);
// The place of `depth` on the own path.
struct branch_place branch_at(const struct branch *, unsigned depth);

// Each returns true if `depth` has changed.
// The own place is full: deeper, from the root by the hint.
bool branch_full(struct branch *, usec_t now, const struct rng *, unsigned hint);
// Nobody acceptable was found; `count` stand at the own place: up, at once to where there is room, as far
// as is known, unless it was full there.
bool branch_alone(struct branch *, usec_t now, const struct rng *, unsigned count);
// Has a place above said of late that it has room?
bool branch_room_above(const struct branch *, usec_t now);
// Is it time to ask the parent? Plans the next time.
bool branch_ask(struct branch *, usec_t now, const struct rng *);
// What a holder of the place of `depth` on the own path says: where it is above, and has room, it counts as
// full no more. If it is the answer that the parent was asked for, it decides.
bool branch_counted(struct branch *, usec_t now, const struct rng *, unsigned depth, unsigned count,
                    bool full);

// Where to look when nobody is found and no move is left: the sibling, then at random at this depth; of
// a full place (where people are sent deeper) its children. False: there is nothing beside the root.
bool branch_beside(struct branch *, const struct rng *, bool full, struct branch_place *);

#endif
