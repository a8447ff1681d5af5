// Has the peer moved? Its newest data comes from another address than the one in use: either it is there now, or
// somebody on the way carries copies of its packets ahead of them (RFC 9000, section 9.3). Both addresses are
// challenged, and only where the peer can be reached at the new one and not at the old one any more it is followed.
// Where it can be reached at both the older one is right, also if the newer one was believed for a while: who only
// carries packets can make neither answer where the peer is not.
#ifndef BAUTA_NODE_CHANNEL_TRIAL_H
#define BAUTA_NODE_CHANNEL_TRIAL_H

#include "node/channel/paths.h"

// The highest packet so far, with more than probes, came from path i. `wait_us`: within this a challenge is answered.
void chan_trial_speaks(struct chan_paths *, usec_t now, int i, usec_t wait_us);
// A packet that had come already came once more, from there; it was sent after the last change of paths. Where that
// address was in use before, the peer may be there still.
void chan_trial_echo(struct chan_paths *, usec_t now, const struct path *, usec_t wait_us);
// A challenge to path i was answered, from whatever address: what is sent there reaches the peer.
void chan_trial_answered(struct chan_paths *, usec_t now, int i, usec_t wait_us);
// The path to use from now on, or CHAN_NO_PATH: stay.
int chan_trial_decide(const struct chan_paths *, usec_t now);
usec_t chan_trial_deadline(const struct chan_paths *);
// Path i is used from now on. True: it is another port of the same address, about which all that was learnt holds.
bool chan_trial_use(struct chan_paths *, usec_t now, int i, usec_t wait_us);

#endif
