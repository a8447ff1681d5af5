// Round trip times: RFC 6298 for each server that answered lately, and the node's own p95 for those
// that it has never asked. Those of contacts in a table stand in the table; a small cache keeps others.
#ifndef BAUTA_DHT_RTT_H
#define BAUTA_DHT_RTT_H

#include "dht/arena.h"
#include "dht/limits.h"

// One server's, in 20 bits: srtt to 0.2 %, rttvar to 3 %, both in units of 8 us. 0: none yet.
typedef uint32_t rtt_value;
// With one more sample.
rtt_value rtt_value_add(rtt_value, uint32_t sample_us);
usec_t rtt_value_smoothed(rtt_value); // USEC_NEVER: none yet
usec_t rtt_value_timeout(rtt_value);  // not for 0

struct rtt_entry {
    uint32_t tag; // keyed hash of the server's key; 0: empty
    rtt_value value;
};
struct rtt {
    struct arena *arena;
    struct rtt_entry *entry; // 2-way
    uint16_t cap, evicted;
    uint16_t sample[RTT_SAMPLES]; // as srtt in a value
    uint8_t samples;              // ever taken, then from RTT_SAMPLES again
};

void rtt_init(struct rtt *, struct arena *);
void rtt_end(struct rtt *);
// For the node's own p95.
void rtt_sample(struct rtt *, uint32_t sample_us);
// The value of a server outside of the table, 0: none; and keeping one, or forgetting it with 0.
rtt_value rtt_get(const struct rtt *, uint64_t tag);
void rtt_put(struct rtt *, uint64_t tag, rtt_value);
// The timeout for a server with this value; by p95, or RPC_RTO_UNKNOWN_US, for 0.
usec_t rtt_timeout(const struct rtt *, rtt_value);
// By then most of its answers have come, three quarters or so; never more than the timeout.
usec_t rtt_patience(const struct rtt *, rtt_value);

#endif
