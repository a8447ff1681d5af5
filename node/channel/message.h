// Ratchet messages on their way: a reliable byte string of at most CHAN_RATCHET_BYTES in RATCHET
// frames, one outgoing and one incoming at a time.
#ifndef BAUTA_NODE_CHANNEL_MESSAGE_H
#define BAUTA_NODE_CHANNEL_MESSAGE_H

#include "node/channel/wire.h"

#define CHAN_MESSAGE_WORDS (CHAN_RATCHET_BYTES / 64)

struct chan_message_out {
    uint8_t data[CHAN_RATCHET_BYTES];
    uint64_t due[CHAN_MESSAGE_WORDS];   // bit i: byte i is to be sent
    uint64_t acked[CHAN_MESSAGE_WORDS]; // bit i: byte i has arrived
    uint32_t step;
    uint16_t len; // 0: none
    uint16_t acked_bytes, due_bytes;
    uint8_t type, serial;
};

struct chan_message_in {
    uint8_t data[CHAN_RATCHET_BYTES];
    uint64_t have[CHAN_MESSAGE_WORDS];
    uint16_t have_bytes;
};

// Begins a message; the one before is wiped, whatever became of it. The caller has filled data.
void chan_message_begin(struct chan_message_out *, uint32_t step, uint8_t type, size_t len);
void chan_message_end(struct chan_message_out *);
// The next run of bytes to send, of at most len_max, now counted as sent. False: none.
bool chan_message_take(struct chan_message_out *, size_t len_max, uint16_t *offset, uint16_t *len);
void chan_message_acked(struct chan_message_out *, uint8_t serial, uint16_t offset, uint16_t len);
void chan_message_lost(struct chan_message_out *, uint8_t serial, uint16_t offset, uint16_t len);
// Takes a frame of a message of `total` bytes in. 1: complete, 0: not yet, BAUTA_EFORMAT: past its end.
int chan_message_put(struct chan_message_in *, const struct chan_frame *, size_t total);
void chan_message_clear(struct chan_message_in *);

#endif
