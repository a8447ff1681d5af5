// Congestion control: NewReno after RFC 9002, section 7 and appendix B. Bytes and times in, a window
// out; another controller can stand beside it behind the same calls.
#ifndef BAUTA_NODE_CHANNEL_CC_H
#define BAUTA_NODE_CHANNEL_CC_H

#include "node/channel/limits.h"

struct chan_cc {
    uint64_t cwnd_bytes, ssthresh_bytes;
    uint64_t in_flight_bytes;
    uint64_t avoided_bytes; // acknowledged in congestion avoidance since the window last grew
    usec_t recovery_at; // start of the last recovery period; packets sent before don't count again
    bool in_recovery_ever;
    bool limited; // the window, not the application, stopped the last transmit
};

void chan_cc_init(struct chan_cc *cc);
static inline bool chan_cc_open(const struct chan_cc *cc)
{
    return cc->in_flight_bytes < cc->cwnd_bytes;
}
static inline void chan_cc_sent(struct chan_cc *cc, uint16_t bytes)
{
    cc->in_flight_bytes += bytes;
}
void chan_cc_acked(struct chan_cc *cc, usec_t sent_at, uint16_t bytes);
// Taken out of flight without a verdict.
void chan_cc_forgotten(struct chan_cc *cc, uint16_t bytes);
// `sent_at` of the latest packet found lost in this round.
void chan_cc_congested(struct chan_cc *cc, usec_t now, usec_t sent_at);
void chan_cc_persistent(struct chan_cc *cc);

#endif
