// Datagrams over TCP, framed so that a connection looks like random bytes too: a nonce, then frames of a masked length
// and a datagram as it would go over UDP. Bytes in, datagrams out, and the other way; no sockets. The masks hide, they
// do not protect: whoever lacks the server's public key sees random bytes, and the datagrams have their own seals.
#ifndef BAUTA_NODE_STREAM_H
#define BAUTA_NODE_STREAM_H

#include "node/channel/channel.h"

#define STREAM_NONCE_BYTES 24u
#define STREAM_HEAD_BYTES 2u
#define STREAM_DATAGRAM_BYTES_MIN DATAGRAM_BYTES_MIN
#define STREAM_DATAGRAM_BYTES_MAX CHANNEL_PACKET_BYTES_MAX
#define STREAM_FRAME_BYTES_MAX (STREAM_HEAD_BYTES + STREAM_DATAGRAM_BYTES_MAX)
#define STREAM_BLOCK_BYTES 64u // of ChaCha20

struct stream_mask { // the lengths of one direction
    uint8_t key[32];
    uint64_t block;
    uint8_t used; // of `bytes`
    uint8_t bytes[STREAM_BLOCK_BYTES];
};

struct stream {
    struct stream_mask in, out;
    bool started;  // the nonce is known
    uint16_t have; // bytes in `part`
    uint16_t len;  // of the datagram that comes; 0: its head is not whole yet
    uint8_t part[STREAM_DATAGRAM_BYTES_MAX]; // nonce, head or datagram that comes in pieces
};

// The end that opened the connection. `nonce` is random, and is what it sends before all else; `key` is the mask key of
// the server at the other end (crypto/nodekey.h, PROTOCOL 1).
void stream_open(struct stream *, const uint8_t key[static 32],
                 const uint8_t nonce[static STREAM_NONCE_BYTES]);
// The end that was connected to: its own mask key.
void stream_accept(struct stream *, const uint8_t key[static 32]);

// Takes from data[0..len) up to the end of the next datagram; *used says how much. Returns the datagram's length, 0 when
// all was taken and none is whole yet, or BAUTA_EFORMAT: a length that can't be, after which nothing more can be read.
// The datagram lies in `data`, or in the stream until the next call.
int stream_take(struct stream *, uint8_t *data, size_t len, size_t *used, uint8_t **datagram);

// Writes the frame of one datagram. Returns its bytes; 0 when it does not fit, when its length can't be, and before the
// other end's nonce has come.
size_t stream_put(struct stream *, uint8_t *out, size_t cap, const uint8_t *datagram, size_t len);

#endif
