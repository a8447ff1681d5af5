// Round trip times: RFC 6298 for each server that answered lately, and the node's own p95 for those
// that it has never asked.
#ifndef BAUTA_DHT_RTT_H
#define BAUTA_DHT_RTT_H

#include "dht/arena.h"
#include "dht/limits.h"

struct rtt_entry {
    uint64_t tag; // keyed hash of the server's key; 0: empty
    uint32_t srtt_us, rttvar_us;
};
struct rtt {
    struct arena *arena;
    struct rtt_entry *entry; // 2-way
    uint32_t cap, evicted;
    uint32_t sample_us[RTT_SAMPLES];
    uint32_t samples; // ever taken
};

void rtt_init(struct rtt *, struct arena *);
void rtt_end(struct rtt *);
void rtt_sample(struct rtt *, uint64_t tag, usec_t took);
// The retransmission timeout for this server, or by p95, or RPC_RTO_UNKNOWN_US.
usec_t rtt_timeout(const struct rtt *, uint64_t tag);
// srtt, or USEC_NEVER when it is not known.
usec_t rtt_smoothed(const struct rtt *, uint64_t tag);

#endif
