// Congestion control: how much may be in flight, and how fast it leaves. Two controllers behind one set of
// calls; whatever one of them decides is in `window`.
#ifndef BAUTA_NODE_CHANNEL_CC_H
#define BAUTA_NODE_CHANNEL_CC_H

#include "node/channel/bbr.h"
#include "node/channel/channel.h"
#include "node/channel/pace.h"
#include "node/channel/reno.h"

struct chan_cc {
    enum chan_cc_kind kind;
    uint64_t seed;
    uint64_t in_flight_bytes;
    usec_t newest_acked_at; // when the newest packet acknowledged was sent
    struct chan_window window;
    struct chan_rate rate;
    struct chan_pace pace;
    union { // of the kind
        struct chan_bbr bbr;
        struct chan_reno reno;
    } of;
};

// `seed`: so that two channels don't probe at the same moments.
void chan_cc_init(struct chan_cc *, enum chan_cc_kind, usec_t rtt_us, uint64_t seed);
// The path is another one: everything is learnt anew, what is in flight stays so.
void chan_cc_new_path(struct chan_cc *, usec_t rtt_us);
// The path carries full packets of so many bytes.
void chan_cc_packet(struct chan_cc *, uint16_t bytes);
// Before packets are made: what may leave by `now`.
static inline void chan_cc_turn(struct chan_cc *cc, usec_t now)
{
    chan_pace_refill(&cc->pace, now);
}
static inline bool chan_cc_open(const struct chan_cc *cc)
{
    return cc->in_flight_bytes < cc->window.cwnd_bytes;
}
// May a packet of data go out? Notes what stops it: the window or the pace. `wanted`: there is one.
bool chan_cc_may(struct chan_cc *, bool wanted);
// May one go out that does not wait for bulk? A little beyond the window and the pace: bulk makes up for it.
bool chan_cc_urgent(const struct chan_cc *);
struct chan_mark chan_cc_sent(struct chan_cc *, usec_t now, uint16_t bytes);
// Out of flight: acknowledged, lost, or without a verdict.
static inline void chan_cc_forgotten(struct chan_cc *cc, uint16_t bytes)
{
    cc->in_flight_bytes -= bytes;
}
void chan_cc_feedback(struct chan_cc *, struct chan_feedback *);
// `marked` more packets have arrived with CE than the ACKs before told.
void chan_cc_ecn(struct chan_cc *, usec_t now, uint32_t marked);

#endif
