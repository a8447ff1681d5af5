// Explicit congestion notification on the path in use: which packets are marked ECT(0), and whether what the peer
// counts is believable (RFC 9000, section 13.4.2 and appendix A.4).
#ifndef BAUTA_NODE_CHANNEL_ECN_H
#define BAUTA_NODE_CHANNEL_ECN_H

#include "node/channel/wire.h"

enum chan_ecn_state {
    CHAN_ECN_TESTING, // a few packets are marked
    CHAN_ECN_UNKNOWN, // their fate is waited for
    CHAN_ECN_CAPABLE, // all full packets are marked
    CHAN_ECN_FAILED   // no more on this path
};

struct chan_ecn {
    enum chan_ecn_state state;
    bool told;                  // counts came that fit
    uint8_t round;              // of testing
    uint8_t plain;              // ACKs in a row that covered marked packets and told no counts
    uint8_t lost_run;           // marked packets lost since one was last acknowledged
    uint32_t sent, acked, lost; // marked packets of this round of testing, or of this path
    uint32_t sent_ever;         // on the channel
    uint32_t ect, ce;           // as the peer told them last
    uint32_t base_ect, base_ce; // the same at the start of this path, or round
    uint32_t newly;             // marked packets that the ACK being read acknowledges
    usec_t proved_at;           // when the newest marked packet that arrived was sent
};

// Another path is used, or the first.
void chan_ecn_start(struct chan_ecn *);
// Is a full packet that goes out now to be marked?
static inline bool chan_ecn_wanted(const struct chan_ecn *e)
{
    return e->state == CHAN_ECN_TESTING || e->state == CHAN_ECN_CAPABLE;
}
void chan_ecn_sent(struct chan_ecn *); // it went out marked
// The fate of a marked packet of this path.
void chan_ecn_acked(struct chan_ecn *, usec_t sent_at);
void chan_ecn_lost(struct chan_ecn *, usec_t sent_at);
// After all packets that an ACK covers were given to chan_ecn_acked. `news`: it covers a higher number than any before.
// Returns how many packets are newly reported with CE, 0 where the counts can't be believed.
uint32_t chan_ecn_on_ack(struct chan_ecn *, const struct chan_ack *, bool news);

#endif
