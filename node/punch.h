// The search for a path where one end's NAT gives each flow another outside port, so that the other end can't know
// where to send. That end, MANY, opens many sockets towards the one outside address of the other; the other, ONE,
// sends from its one socket to ever more ports of the first's address, until one of them is one that is open: with
// 256 open of 64,512 the 175th probe is as likely as not (the birthday problem). Where ports go up in steps the next
// ones come first. Both ends know each other's kind of NAT (node/meet tells), so both begin by themselves.
//
// A pure machine: it says where probes go and when; what they hold, and what comes back, is the channel's. It also
// remembers where it searched, since who names an address makes us send there.
#ifndef BAUTA_NODE_PUNCH_H
#define BAUTA_NODE_PUNCH_H

#include "node/channel/channel.h"
#include "node/limits.h"

enum punch_role { PUNCH_NONE, PUNCH_MANY, PUNCH_ONE };
// What an end does in a search. The initiator of the handshake decides where both are alike.
enum punch_role punch_role(enum channel_nat own, enum channel_nat peer, bool initiator);

struct punch {
    enum punch_role role; // PUNCH_NONE: no search
    struct path to;       // the other's outside address
    int8_t step;          // of its ports
    usec_t next_at, end_at;
    uint32_t sent;          // probes so far
    uint32_t drawn;         // ports so far
    uint64_t key;           // their order
    uint32_t first, opened; // sockets: the number of the first, how many
    uint32_t kept;          // VIA_SOCKET | n: one of them that outlives the search; the caller's
    usec_t quiet_until;     // no other search before
    uint8_t next_searched, now_searched; // the next entry to take; that of this search
    struct {
        uint8_t ip[4];
        usec_t until; // this time they count together; 0: unused
        uint32_t probes;
    } searched[PUNCH_SEARCHED_MAX];
};

// May a search towards this address begin now? One at a time, and PUNCH_PAUSE_US from one to the next; an address that
// had many probes is left alone until PUNCH_AGAIN_US after the first; IPv4 only, no port that belongs to a service.
bool punch_may(const struct punch *, usec_t now, const struct path *to);
// Begins at `at` (punch_may held), for PUNCH_US. `step`: of the other's ports, 0: none is known. `first`: the number
// of the first of PUNCH_SOCKETS sockets.
void punch_begin(struct punch *, usec_t at, enum punch_role, const struct path *to, int8_t step,
                 uint32_t first, const struct rng *);
// The next probe that is due: where to, and with which TTL (0: the system's). False: none is now.
bool punch_next(struct punch *, usec_t now, struct path *to, uint8_t *ttl);
usec_t punch_deadline(const struct punch *); // of the next probe or the end
bool punch_over(const struct punch *, usec_t now);
bool punch_forgotten(const struct punch *,
                     usec_t now); // nothing that it remembers matters any more
// No more probes. The sockets that it opened (VIA_SOCKET | first ... first + opened - 1) are the caller's to close.
void punch_stop(struct punch *, usec_t now);

#endif
