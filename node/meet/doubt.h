// Introducers through which offers went that nobody answered: fake records name the few introducers that
// their maker has, however many records there are.
#ifndef BAUTA_NODE_MEET_DOUBT_H
#define BAUTA_NODE_MEET_DOUBT_H

#include "dht/dht.h"
#include "node/meet/limits.h"

// Of one record, each once: a hash of an introducer's prefix; 0: none.
struct doubt_ways {
    uint64_t via[DHT_INTRODUCERS_MAX];
};

struct doubts { // zero: none
    struct {
        uint64_t via;
        uint8_t silent; // offers since somebody last answered; 0: free
    } at[DOUBTS_MAX];
    unsigned next; // the oldest is forgotten first
};

// No hash is 0; n <= DHT_INTRODUCERS_MAX.
void doubt_ways(struct doubt_ways *, const uint64_t *via, unsigned n);
// An offer to such a record was not answered in good time; one was.
void doubt_silent(struct doubts *, const struct doubt_ways *);
void doubt_answered(struct doubts *, const struct doubt_ways *);
// Do both name one introducer?
bool doubt_same(const struct doubt_ways *, const struct doubt_ways *);
// The most silent of its introducers.
unsigned doubt_most(const struct doubts *, const struct doubt_ways *);

#endif
