// What travels in a channel between a client and its relay (README.md has the tables). Integers are little-endian.
#ifndef BAUTA_NODE_RELAY_WIRE_H
#define BAUTA_NODE_RELAY_WIRE_H

#include "crypto/bytes.h"
#include "dht/path.h"
#include "node/relay/limits.h"

#include <assert.h>

// ---- before a tunnelled datagram, in the DATAGRAM frame: where it goes to or came from:
// head[1] addr[4|16] port[2] server[32]?   head: 4 or 6; 0x80: a server's key follows
#define RELAY_HEAD_SERVER 0x80u
#define RELAY_HEAD_BYTES_MAX (1u + 16 + 2 + 32)
// Where that does not fit: parts of head and datagram, head[1] id[1] number[1] whole[2]   head: 0x40
#define RELAY_PART 0x40u
#define RELAY_PART_BYTES 5u
static_assert(PACKET_HEADER_BYTES + PACKET_TAG_BYTES_MAX + 3 + RELAY_HEAD_BYTES_MAX - 32 <=
                  PATH_TUNNEL_BYTES,
              "what a layer takes of a full packet");
struct relay_head {
    struct path path;      // via: 0
    const uint8_t *server; // its key, in place; NULL: none
};
size_t relay_head_bytes(const struct relay_head *);
void relay_head_put(struct wr *, const struct relay_head *);
int relay_head_get(struct rd *, struct relay_head *); // BAUTA_EFORMAT. What is left is the datagram

// ---- the handshake's payloads -------------------------------------------------------------------------------
// msg1: cid[8] recv_mask[16] capabilities[1] zero[1]
// msg2: cid[8] recv_mask[16] verdict[1] aead[1]; after a refusal cid and recv_mask are zero
#define RELAY_OPEN_BYTES (CID_BYTES + MASK_KEY_BYTES + 2u)
#define RELAY_CAPABILITY_AES 0x01u
enum relay_verdict { RELAY_ACCEPT = 1, RELAY_BUSY = 2 };
struct relay_open {
    uint8_t cid[CID_BYTES], recv_mask[MASK_KEY_BYTES];
    uint8_t capabilities;       // msg1; unknown bits are ignored
    enum relay_verdict verdict; // msg2
    enum packet_aead aead;
};
void relay_open_put(uint8_t out[static RELAY_OPEN_BYTES], const struct relay_open *, bool answer);
int relay_open_get(struct relay_open *, const uint8_t *in, size_t len,
                   bool answer); // BAUTA_EFORMAT

// ---- control messages, one after the other on stream 0: type[1] len[2] body[len]
enum relay_message_type {
    RELAY_RESERVE = 1,     // client: version[1]. I am here; so again after half of what GRANT said
    RELAY_CONSENT = 2,     // client: key[32] count[1] paths. I talk to somebody who may be there
    RELAY_FORGET = 3,      // client: key[32]
    RELAY_GRANT = 129,     // relay: seconds[4] kilobytes a second[4]
    RELAY_CONSENTED = 130, // relay: key_id[8] path. It answered: datagrams go there
    RELAY_DRAIN = 131,     // relay: seconds[4]. Find another one
    RELAY_SEEN = 133,      // relay: path. So I see you
    RELAY_SERVER =
        132 // relay: key[32] puzzle_nonce[8] path. A server that can tell how your exit is seen
};
#define RELAY_VERSION 1u
#define RELAY_KEY_ID_BYTES 8u
#define RELAY_MESSAGE_HEAD_BYTES 3u
#define RELAY_MESSAGE_BODY_MAX (32u + 1 + RELAY_PEER_PATHS_MAX * PATH_WIRE_BYTES_MAX)
#define RELAY_MESSAGE_BYTES_MAX (RELAY_MESSAGE_HEAD_BYTES + RELAY_MESSAGE_BODY_MAX)
struct relay_message {
    enum relay_message_type type;
    uint8_t key[32];                        // CONSENT, FORGET
    uint8_t key_id[RELAY_KEY_ID_BYTES];     // CONSENTED
    uint32_t seconds, kBps;                 // GRANT, DRAIN
    uint8_t count;                          // CONSENT
    struct path path[RELAY_PEER_PATHS_MAX]; // CONSENT; CONSENTED, SEEN: the first
    struct contact server;                  // SERVER
};
size_t relay_message_put(uint8_t out[static RELAY_MESSAGE_BYTES_MAX], const struct relay_message *);
// From the beginning of what has come on the stream: how many bytes it took, 0 where it is not whole yet,
// BAUTA_EFORMAT. A type that is not known is skipped (type 0), so that newer ends may say more.
int relay_message_get(struct relay_message *, const uint8_t *in, size_t len);

#endif
