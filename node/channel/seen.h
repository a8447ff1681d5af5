// Packet numbers that arrived: the replay window, and what to acknowledge and when.
#ifndef BAUTA_NODE_CHANNEL_SEEN_H
#define BAUTA_NODE_CHANNEL_SEEN_H

#include "node/channel/wire.h"

struct chan_seen {
    uint64_t bits[CHAN_REPLAY_PACKETS / 64];  // of pn % window; valid for [next - window, next)
    uint64_t next;                            // largest seen + 1; 0: none
    struct chan_range range[CHAN_ACK_RANGES]; // what is acknowledged, highest first
    uint32_t ranges;
    usec_t largest_at; // when the largest acknowledged one came
    uint32_t unacked;  // ack-eliciting ones since the last ACK
    bool ack_now;
    usec_t acked_at; // the last ACK
    // The sender's window is not known, but what came in a round trip is.
    usec_t round_at;
    uint32_t round_packets, window_packets; // of this round trip so far, and of the last
    usec_t ack_deadline;                    // USEC_NEVER: none
    uint32_t ect, ce;           // packets that came with ECT(0) and CE so far, modulo 2^32
    uint32_t told_ect, told_ce; // in the last ACK
};

void chan_seen_init(struct chan_seen *s);
// 0 or BAUTA_EREPLAY (seen, or below the window).
int chan_seen_check(const struct chan_seen *s, uint64_t pn);
// An authentic packet: it will never be taken again. `ecn`: the two bits of its IP header.
void chan_seen_mark(struct chan_seen *s, uint64_t pn, uint8_t ecn);
// It was also understood and kept: acknowledge it, `soon` at once; others when enough have come, or time.
void chan_seen_acknowledge(struct chan_seen *s, usec_t now, uint64_t pn, bool eliciting, bool soon,
                           usec_t rtt_us);
// Is an ACK to be sent although nothing else is?
static inline bool chan_seen_due(const struct chan_seen *s, usec_t now)
{
    return s->unacked > 0 && (s->ack_now || s->ack_deadline <= now);
}
// `beside`: other frames follow; as many ranges as fit, the highest.
void chan_seen_put(struct chan_seen *s, usec_t now, struct wr *w, bool beside);
// The peer has an ACK of ours of all below `next`: older holes need not be told again (RFC 9000, 13.2.4).
void chan_seen_told(struct chan_seen *s, uint64_t next);

#endif
