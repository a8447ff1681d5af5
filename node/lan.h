// Finding each other on one link: a sealed beacon that a driver multicasts (README.md, "LAN discovery"). A pure
// machine: what a beacon holds, when the next goes out, what is made of one that came. Who lacks the network's name
// sees random bytes.
#ifndef BAUTA_NODE_LAN_H
#define BAUTA_NODE_LAN_H

#include "node/limits.h"

#define LAN_BEACON_BYTES CLASS_SMALL // always

// In the seal: flags[1] (1: asks) minute[4] count[1], count x (pk[32] puzzle_nonce[8] family[1] addr[4|16] port[2]),
// zeroes.
struct lan_beacon {
    bool asks; // the sender knows no server
    uint8_t n;
    struct contact contact[LAN_CONTACTS_MAX];
};

struct lan {
    uint8_t key[KEY_BYTES];
    usec_t beacon_at, answer_at; // USEC_NEVER: none
    usec_t gap;                  // between two questions, doubling
    usec_t told_at;              // a beacon with contacts was sent; 0: never
    usec_t second_at, minute_at; // when these were counted from:
    uint32_t opened, taken;
    uint64_t heard, dropped; // beacons opened; datagrams that were none
};

void lan_init(struct lan *, const struct net *);
void lan_end(struct lan *); // wipes
// At the start and when the network changes: a beacon goes out soon.
void lan_restart(struct lan *, usec_t now, const struct rng *);
usec_t lan_deadline(const struct lan *);
// At its deadline. alone: no server is known; tells: there are contacts to tell. True: a beacon goes out now, which
// asks if we are alone.
bool lan_expire(struct lan *, usec_t now, const struct rng *, bool alone, bool tells);

void lan_seal(uint8_t out[static LAN_BEACON_BYTES], const struct lan *, const struct lan_beacon *,
              int64_t unix_us, const struct rng *);
// May one more datagram be looked at? False: dropped, and nothing more will be until this second is over.
bool lan_admit(struct lan *, usec_t now);
// 0; BAUTA_EFORMAT, BAUTA_EAUTH (another network's, or nobody's), BAUTA_EREPLAY (of another time): counted.
int lan_open(struct lan *, struct lan_beacon *, int64_t unix_us,
             const uint8_t datagram[static LAN_BEACON_BYTES]);
// What an opened one leads to: perhaps an answer later. True: its contacts may be taken as hints.
bool lan_heard(struct lan *, usec_t now, const struct rng *, const struct lan_beacon *, bool alone,
               bool tells);

#endif
