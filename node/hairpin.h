// Does the address translation before us send back what we send to our own outside address (RFC 4787, hairpinning)?
// Two behind the same one can then talk at their outside addresses. A datagram of random bytes asks.
#ifndef BAUTA_NODE_HAIRPIN_H
#define BAUTA_NODE_HAIRPIN_H

#include "dht/dht.h"

enum hairpin_answer { HAIRPIN_UNKNOWN, HAIRPIN_NO, HAIRPIN_YES };

struct hairpin {
    usec_t at, step; // when it looks again; how long after that
    uint8_t id[8];   // first bytes of the probe that is out
    bool out;        // until `at`
    uint8_t probes;  // sent to `to`
    struct path to;  // whom the answer is about
    enum hairpin_answer answer;
};

// At the start, and when the network changes: it begins anew.
void hairpin_restart(struct hairpin *, usec_t now);
// At `at`. `reach` is of IPv4. True: a probe is in `datagram`, to be sent to `to`.
bool hairpin_expire(struct hairpin *, usec_t now, const struct dht_reach *reach, const struct rng *,
                    uint8_t datagram[static CLASS_TINY]);
// Is it the probe that is out?
bool hairpin_receive(struct hairpin *, usec_t now, const uint8_t *datagram, size_t len);

#endif
