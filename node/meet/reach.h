// Candidates (PROTOCOL 6): which of my addresses a stranger is told, and which of the stranger's may be
// probed.
#ifndef BAUTA_NODE_MEET_REACH_H
#define BAUTA_NODE_MEET_REACH_H

#include "node/meet/env.h"
#include "node/meet/wire.h"

// My end: a new cid, the recv_mask, at most six candidates, the address that servers see (`seen`, may
// be NULL) first, then that of the other family (`seen_of`: two, or NULL), then what routers hold open for us
// (unless servers see us elsewhere), then the interfaces'. Private ones only in a lab, or where the peer is behind the same public address.
void reach_own(struct meet_env *, struct wire_reach *, const struct path *seen,
               const struct path *seen_of, const struct path *peer_seen);
// The peer's end into a channel's configuration. Returns 0; BAUTA_EAUTH: one of the addresses is blocked;
// BAUTA_EFORMAT: nothing is left that may be probed.
int reach_take(struct meet_env *, struct channel_config *, const struct wire_reach *peer,
               const struct path *own_seen);

#endif
