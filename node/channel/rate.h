// How fast the path delivers: a sample with each ACK (draft-ietf-ccwg-bbr, section 4.1), and what one ACK or
// one timer told in all, which is what a congestion controller lives on.
#ifndef BAUTA_NODE_CHANNEL_RATE_H
#define BAUTA_NODE_CHANNEL_RATE_H

#include "node/channel/limits.h"

struct chan_rate {
    uint64_t delivered_bytes, lost_bytes; // so far
    usec_t delivered_at;                  // last ACK of something new
    usec_t first_sent_at;   // when the newest packet delivered was sent: start of the send interval
    uint64_t limited_until; // delivered_bytes at which the application's pause is over; 0: none
};

struct chan_mark { // as things stood when a packet was sent; kept with it
    uint64_t delivered_bytes;
    uint32_t delivered_ago_us, first_ago_us; // before the packet was sent
    uint32_t lost_bytes;                     // modulo 2^32
    uint32_t in_flight_bytes;                // with this packet
};

struct chan_feedback {
    usec_t now;
    usec_t rtt_us;            // of the largest newly acknowledged; 0: no sample
    usec_t delay_us;          // that the peer let its ACK wait, as it says
    usec_t srtt_us;           // smoothed, this sample included
    uint64_t in_flight_bytes; // before it
    uint64_t acked_bytes, lost_bytes;
    uint64_t acked_packets, lost_packets;
    usec_t acked_sent_at, lost_sent_at; // of the newest of them
    uint64_t spurious_packets;          // acknowledged after they had been declared lost
    bool persistent;                    // congestion (RFC 9002, 7.6)
    // Of the newest packet acknowledged; bandwidth 0: no sample. Bytes a second.
    uint64_t bandwidth, sample_bytes, prior_delivered_bytes;
    bool limited;
    // Of the newest packet lost: what was in flight with it, and lost from then on.
    uint64_t lost_in_flight_bytes, lost_since_bytes;
    bool lost_limited; // it was sent after a pause of the application
    const struct chan_rate *rate;
};

// A packet goes out; `in_flight_bytes` without it.
struct chan_mark chan_rate_sent(struct chan_rate *, usec_t now, uint64_t in_flight_bytes,
                                uint16_t bytes);
// Window and pacing would let more out, but there is nothing.
void chan_rate_limited(struct chan_rate *, uint64_t in_flight_bytes);
// An ACK is done: `mark` and `sent_at` of the newest packet that it acknowledged. Fills the sample.
void chan_rate_acked(struct chan_rate *, const struct chan_mark *mark, usec_t sent_at,
                     usec_t min_rtt_us, struct chan_feedback *f);

#endif
