// Datagrams in a tunnel that no packet of its channel holds: cut in parts, one DATAGRAM frame each. What comes late, or
// not in order, is lost, as a datagram of an IP network would be.
#ifndef BAUTA_NODE_RELAY_PARTS_H
#define BAUTA_NODE_RELAY_PARTS_H

#include "dht/arena.h"
#include "node/channel/channel.h"
#include "node/relay/wire.h"

struct relay_parts { // what has come of one, from the arena with the first part
    uint8_t id, next;
    uint16_t len, whole; // so far, in all; whole 0: nothing
    uint8_t data[RELAY_HEAD_BYTES_MAX + CHANNEL_PACKET_BYTES_MAX];
};

// Head and datagram into the channel, in as few frames as its packets allow. *id: of the last one that was cut.
// 0, or as channel_datagram_put.
int relay_parts_put(struct channel *, const struct relay_head *, const uint8_t *data, size_t len,
                    uint8_t *id);
// A frame that came: whole, or the last part of one. *data stays valid until the next call. False: nothing yet, or
// nonsense, for which *bad is set.
bool relay_parts_take(struct relay_parts **, struct arena *, const uint8_t **data, size_t *len,
                      bool *bad);
void relay_parts_free(struct relay_parts **, struct arena *);

#endif
