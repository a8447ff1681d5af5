// The longest datagram that a path carries, found by probing upwards (RFC 8899; RFC 9000, section 14), and the way
// down where full packets vanish. One of these for each path; it counts datagrams, without IP and UDP headers.
#ifndef BAUTA_NODE_CHANNEL_MTU_H
#define BAUTA_NODE_CHANNEL_MTU_H

#include "dht/machine.h"
#include "node/channel/channel.h"
#include "node/channel/limits.h"

#define CHAN_MTU_STEPS 3u

struct chan_mtu {
    uint16_t size;   // of a full packet
    uint16_t max;    // what the family could carry at best
    uint16_t high;   // the search is for sizes below this; size + 1: it is over
    uint16_t probe;  // size of the probe that is out; 0: none
    uint8_t tries;   // probes of that size that were lost
    uint8_t bulk;    // full packets of data sent, up to CHAN_MTU_BULK
    bool top;        // the next to try is high - 1, then the middle
    usec_t raise_at; // when a new search begins; USEC_NEVER: none
    // Packets above each of CHAN_MTU_STEPS sizes to fall back to, the highest first: how many were lost since one of
    // them, or a longer one, arrived; and when the newest that arrived was sent.
    uint8_t lost[CHAN_MTU_STEPS];
    usec_t proved_at[CHAN_MTU_STEPS];
};

// `far`: the peer is behind relays of its own, whose tunnels take their share.
void chan_mtu_init(struct chan_mtu *, const struct path *, bool far);
// The size of the probe that may be sent now, beside data; 0: none. chan_mtu_probed: it is on its way.
uint16_t chan_mtu_next(struct chan_mtu *, usec_t now);
void chan_mtu_probed(struct chan_mtu *, uint16_t size);
// A full packet of stream data went out: probing pays only where many do.
void chan_mtu_bulk(struct chan_mtu *);
// What became of a packet of `bytes`, `probe` or not, that was sent at `sent_at`. chan_mtu_lost is true where full
// packets are smaller from now on.
void chan_mtu_acked(struct chan_mtu *, usec_t now, uint16_t bytes, bool probe, usec_t sent_at);
bool chan_mtu_lost(struct chan_mtu *, usec_t now, uint16_t bytes, bool probe, usec_t sent_at);
// The own interface refused a datagram for its length. As chan_mtu_lost.
bool chan_mtu_refused(struct chan_mtu *, usec_t now);
// A size that gets through where longer ones may not: for one of the two packets of the n-th probe timeout in a row.
uint16_t chan_mtu_safe(const struct chan_mtu *, uint32_t n);

#endif
