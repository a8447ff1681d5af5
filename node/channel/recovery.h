// What was sent and what became of it: round-trip time, loss detection, probe timeout, persistent
// congestion (RFC 9002, sections 5 to 7).
#ifndef BAUTA_NODE_CHANNEL_RECOVERY_H
#define BAUTA_NODE_CHANNEL_RECOVERY_H

#include "dht/arena.h"
#include "node/channel/cc.h"
#include "node/channel/wire.h"

enum chan_sent_flags {
    CHAN_SENT_ELICITING = 1, // tracked: in flight until acknowledged or lost
    CHAN_SENT_LOST = 2,      // declared lost; remembered for a while, since it may only be late
    CHAN_SENT_PROBE = 4,     // of the path's MTU: its loss is no sign of congestion
    CHAN_SENT_ECT = 8,       // went out with ECT(0)
    CHAN_SENT_SKIPPED = 16,  // a number that was left out on purpose
    CHAN_SENT_LIMITED = 32,  // by the application: its sample says nothing of the path's rate
    CHAN_SENT_ASK = 64,      // held a RATCHET frame that asks for a step
    CHAN_SENT_NEW_CID = 128, // held a NEW_CID frame
    CHAN_SENT_COUNTED = 256, // its loss counted against the path's rate
    CHAN_SENT_DATAGRAM = 512 // held DATAGRAM frames
};

struct chan_sent { // one packet: everything that must go out again if it is lost
    usec_t at;
    uint64_t ack_next;                   // largest it acknowledged + 1; 0: it held no ACK
    uint64_t offset[CHAN_STREAM_FRAMES]; // STREAM frames
    uint16_t len[CHAN_STREAM_FRAMES];    // 0: none
    uint16_t bytes;                      // on the wire
    uint16_t credit;                     // bit i: MAX_DATA of stream i; bit 8: of the channel
    uint16_t ratchet_offset, ratchet_len;
    uint8_t stream[CHAN_STREAM_FRAMES];
    uint8_t ratchet_serial;
    uint8_t path; // its id
    uint16_t flags;
    uint16_t meeting;      // version of the MEETING_POINT in it; 0: none
    struct chan_mark mark; // set by chan_recovery_sent
};

struct chan_sink { // the channel's own hands for the contents of packets
    void *ctx;
    void (*acked)(void *ctx, const struct chan_sent *);
    void (*lost)(void *ctx, const struct chan_sent *);
    void (*again)(void *ctx, const struct chan_sent *); // send it again, without a verdict
};

struct chan_recovery {
    struct chan_sent *ring; // packet pn stands at ring[pn % cap], base <= pn < next
    uint64_t *open;         // a set of bits like the ring: an ACK would tell something new
    uint64_t *flying;       // those in flight
    uint32_t cap;           // power of two, at least 64
    uint32_t tracked;       // ack-eliciting packets in flight
    uint64_t base, next;
    uint64_t low;        // nothing below is in flight
    uint64_t acked_next; // largest acknowledged + 1; 0: none
    uint64_t path_pn;    // what was sent before went over another path
    usec_t srtt_us, rttvar_us, min_rtt_us, latest_us;
    bool has_rtt;
    bool last_full; // the last tracked packet was a full one: its ACK may be delayed
    usec_t first_rtt_at;
    usec_t loss_at;       // when the next packet counts as lost by time; USEC_NEVER: none
    usec_t last_at;       // last tracked packet sent
    usec_t unanswered_at; // since when something waits for an answer; USEC_NEVER: nothing does
    uint32_t pto_count;
    usec_t pto_max_us; // CHAN_PTO_EARLY_US_MAX, then CHAN_PTO_US_MAX
    uint64_t lost_packets;
    // The path has turned out to reorder: numbers say nothing then, and a packet may be this much late.
    bool reordered;
    usec_t reorder_us;
    usec_t reorder_at; // when a packet last came late
    struct chan_cc cc;
};

void chan_recovery_init(struct chan_recovery *r, enum chan_cc_kind kind, usec_t rtt_hint_us,
                        uint64_t seed);
void chan_recovery_free(struct chan_recovery *r, struct arena *a);
// Is there a slot for one more packet? False: memory or the window is full until ACKs come.
bool chan_recovery_room(struct chan_recovery *r, struct arena *a);
// Gives memory back when nothing is in flight.
void chan_recovery_shrink(struct chan_recovery *r, usec_t now, struct arena *a);
size_t chan_recovery_ring_bytes(uint32_t cap);
// Takes packet number r->next.
void chan_recovery_sent(struct chan_recovery *r, usec_t now, const struct chan_sent *s);
// Leaves a number out, so that whoever acknowledges what did not arrive is found (RFC 9000, 21.4).
void chan_recovery_skip(struct chan_recovery *r, usec_t now);
// 0, or BAUTA_EFORMAT: it acknowledges what was never sent. Costs nothing for what older ACKs told.
int chan_recovery_ack(struct chan_recovery *r, usec_t now, const struct chan_ack *ack,
                      const struct chan_sink *sink);
void chan_recovery_rtt(struct chan_recovery *r, usec_t now, usec_t sample_us, usec_t delay_us);
usec_t chan_recovery_pto(const struct chan_recovery *r); // without backoff
usec_t chan_recovery_deadline(const struct chan_recovery *r);
// What is due at `now`: declares losses, or returns true for a probe timeout (the caller sends
// probes and calls again after the next deadline).
bool chan_recovery_expire(struct chan_recovery *r, usec_t now, const struct chan_sink *sink);
// Hands what the oldest `count` tracked packets carried to `lost`, without a verdict on them (6.2.4).
void chan_recovery_again(struct chan_recovery *r, unsigned count, const struct chan_sink *sink);
// Everything in flight went nowhere (a path that never worked): send it again, blame no congestion.
void chan_recovery_forget(struct chan_recovery *r, const struct chan_sink *sink);
// Another path: what was learnt of the old one does not hold.
void chan_recovery_new_path(struct chan_recovery *r);

#endif
