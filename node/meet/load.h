// The effort that introductions to this node have to prove, by the load of offers (after Tor's proposal
// 327): it rises fast while more offers come than a person has use for, and decays slowly once they
// don't. Those who prove nothing then cost next to nothing.
#ifndef BAUTA_NODE_MEET_LOAD_H
#define BAUTA_NODE_MEET_LOAD_H

#include "node/meet/limits.h"

#include <stdbool.h>

// What flows in, and runs out at a steady rate.
struct load_bucket {
    uint64_t level_us; // as time that it takes to run out
    usec_t at;
};

struct load {
    uint32_t effort;             // required now; 0: none
    struct load_bucket offers;   // all that come
    struct load_bucket admitted; // those that prove enough
    usec_t raised_at, decay_at;  // decay_at: the next time; USEC_NEVER where effort is 0
};

void load_init(struct load *);
// A new offer has come; `admitted`: it claims enough effort.
void load_offer(struct load *, usec_t now, bool admitted);
// Lets the effort decay where it is due.
void load_step(struct load *, usec_t now);
usec_t load_deadline(const struct load *);

#endif
