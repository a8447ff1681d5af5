// Congestion control from a model of the path: bottleneck bandwidth (largest delivery rate of two probing
// cycles) and round trip (smallest of ten seconds). After draft-ietf-ccwg-bbr (BBRv3), with two differences.
// A loss counts as congestion only where there is a queue, which shows in the round trip, and more than the path loses
// without one: so a link that loses 5 % at random is filled all the same. And bandwidth is probed for every 8
// to 16 round trips, as BBRv1 does, so that shares even out in seconds.
#ifndef BAUTA_NODE_CHANNEL_BBR_H
#define BAUTA_NODE_CHANNEL_BBR_H

#include "node/channel/rate.h"
#include "node/channel/window.h"

enum chan_bbr_state {
    CHAN_BBR_STARTUP,
    CHAN_BBR_DRAIN,  // of the queue that startup made
    CHAN_BBR_DOWN,   // of the queue that probing made
    CHAN_BBR_CRUISE, // at the bandwidth
    CHAN_BBR_REFILL, // one round trip without lower bounds, so that probing starts from a full pipe
    CHAN_BBR_UP,     // probing for more
    CHAN_BBR_PROBE_RTT
};

struct chan_bbr_bounds {                 // what losses have taught; UINT64_MAX: nothing
    uint64_t inflight_high_bytes;        // more made the queue overflow
    uint64_t bw_low, inflight_low_bytes; // until the next probing
};

struct chan_bbr {
    enum chan_bbr_state state;
    uint64_t seed;
    uint64_t bw[2]; // largest samples of this cycle and the last, bytes a second
    struct chan_bbr_bounds bounds;
    // rounds
    uint64_t round,
        round_end_bytes; // a round ends when what was delivered at its start is exceeded
    bool round_start;
    uint64_t bw_latest, inflight_latest_bytes; // largest of this round
    // losses
    uint64_t round_lost_bytes, round_acked_bytes;
    uint64_t calm_lost_bytes, calm_bytes; // in rounds without a queue, of late
    uint32_t base_loss;                   // share lost without a queue, in 1 / 65,536
    bool queued;        // the last round-trip samples were well above the smallest
    uint32_t high_rtts; // so many of them in a row
    bool congested;     // losses or marks of congestion in this round
    uint32_t cut_percent;
    usec_t cut_at; // packets sent before it don't cut the upper bound again
    struct chan_bbr_bounds undo;
    uint64_t undo_packets; // losses that must turn out to have been late; 0: nothing to undo
    bool undo_startup;     // they ended it
    // startup
    uint64_t full_bw;
    unsigned full_bw_rounds;
    bool full;
    // cycle
    usec_t cycle_at, wait_us;
    uint64_t phase_round;
    uint64_t up_step_bytes, up_acked_bytes; // growth of the upper bound
    uint64_t up_bw;                         // before the round of probing whose ACKs come in
    bool contended;                         // there was a queue before the probing began
    bool advance;                           // the bandwidth filter, when the probing's ACKs are in
    // round trip
    usec_t min_rtt_us, min_rtt_at, probe_rtt_end;
    uint64_t prior_cwnd_bytes;
    // extra acked: how far ACKs run ahead of the bandwidth
    usec_t extra_at;
    uint64_t extra_acked_bytes, extra_bytes[2], extra_round;
};

void chan_bbr_init(struct chan_bbr *, struct chan_window *, usec_t rtt_us, uint64_t seed);
void chan_bbr_feedback(struct chan_bbr *, struct chan_window *, const struct chan_feedback *);
// Packets came with a CE mark; `in_flight_bytes` now.
void chan_bbr_marked(struct chan_bbr *, usec_t now, uint64_t in_flight_bytes);
// Bytes a second.
static inline uint64_t chan_bbr_bandwidth(const struct chan_bbr *c)
{
    return c->bw[0] > c->bw[1] ? c->bw[0] : c->bw[1];
}

#endif
