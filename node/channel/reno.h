// NewReno (RFC 9002, section 7 and appendix B), beside the default for comparison.
#ifndef BAUTA_NODE_CHANNEL_RENO_H
#define BAUTA_NODE_CHANNEL_RENO_H

#include "node/channel/rate.h"
#include "node/channel/window.h"

struct chan_reno {
    uint64_t ssthresh_bytes;
    uint64_t avoided_bytes; // acknowledged in congestion avoidance since the window last grew
    usec_t recovery_at; // start of the last recovery period; packets sent before don't count again
    bool in_recovery_ever;
    // Before the last cut: it is undone when all of its losses turn out to have been late.
    uint64_t undo_cwnd_bytes, undo_ssthresh_bytes;
    uint64_t undo_packets; // 0: nothing to undo
};

void chan_reno_init(struct chan_reno *, struct chan_window *, usec_t rtt_us);
void chan_reno_feedback(struct chan_reno *, struct chan_window *, const struct chan_feedback *);
// A packet sent at `sent_at` came with a CE mark.
void chan_reno_marked(struct chan_reno *, struct chan_window *, usec_t now, usec_t sent_at);

#endif
