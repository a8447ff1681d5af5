// Spreads packets over time: credit grows with the controller's rate, packets spend it. Credit is counted in
// millionths of a byte, so that nothing is divided but in chan_pace_deadline.
#ifndef BAUTA_NODE_CHANNEL_PACE_H
#define BAUTA_NODE_CHANNEL_PACE_H

#include "node/channel/limits.h"

struct chan_pace {
    uint64_t rate; // bytes a second; 0: not paced
    int64_t credit;
    usec_t at;     // when the credit was last reckoned
    uint16_t unit; // bytes of a full packet
    bool open;     // sending until the credit is used up
    bool waits;    // something would go out if there were credit
};

void chan_pace_init(struct chan_pace *, uint16_t unit_bytes);
// What has been earned by `now`; at the start of each channel_transmit.
void chan_pace_refill(struct chan_pace *, usec_t now);
// May a packet leave? From a quantum of credit on, until none is left: so packets leave in groups that one
// system call sends.
bool chan_pace_may(struct chan_pace *);
static inline void chan_pace_sent(struct chan_pace *p, uint16_t bytes)
{
    p->credit -= (int64_t)(bytes * USEC_PER_S);
}
// When more may leave; USEC_NEVER: nothing waits.
usec_t chan_pace_deadline(const struct chan_pace *);

#endif
