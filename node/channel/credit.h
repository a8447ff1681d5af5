// Credit for what comes in, of a stream or of the whole channel: how much the peer may send, in a window
// that grows with the bandwidth-delay product up to a fixed limit (RFC 9000, section 4; the growth is that
// of the QUIC implementations of Chromium and quic-go).
#ifndef BAUTA_NODE_CHANNEL_CREDIT_H
#define BAUTA_NODE_CHANNEL_CREDIT_H

#include "node/channel/limits.h"

struct chan_credit {
    uint64_t read;       // by the application; read <= received <= advertised
    uint64_t received;   // highest offset that came, or the sum of those of all streams
    uint64_t advertised; // what the peer was told at most; never shrinks
    uint32_t window_bytes, window_bytes_max;
    usec_t since;  // when the measurement began
    uint64_t from; // `received` at that time
};

// The first window is CHAN_CREDIT_INITIAL, which both ends know.
void chan_credit_init(struct chan_credit *, uint32_t window_bytes_max);
// `bytes` more came, to an application that has read all that it could until now (what waits behind a hole it
// could not). A third of the window in less than two round trips doubles it: a sender in slow start doubles, too.
void chan_credit_grow(struct chan_credit *, usec_t now, usec_t rtt_us, uint64_t bytes);
// Makes the window at least as large, up to its limit.
void chan_credit_widen(struct chan_credit *, uint32_t window_bytes);
// Is it worth a MAX_DATA frame? A quarter of the window, or anything at all once little is left.
bool chan_credit_due(const struct chan_credit *);
// The limit to tell the peer now.
uint64_t chan_credit_offer(struct chan_credit *);

#endif
