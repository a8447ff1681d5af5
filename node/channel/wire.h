// Every layout of the channel (README.md has them byte by byte): the frames inside a packet's AEAD.
// The packet around them is crypto/packet.h. Integers are little-endian.
#ifndef BAUTA_NODE_CHANNEL_WIRE_H
#define BAUTA_NODE_CHANNEL_WIRE_H

#include "crypto/bytes.h"
#include "node/channel/channel.h"
#include "node/channel/limits.h"

#include <assert.h>

enum chan_frame_type {
    CHAN_PADDING = 0x00,
    CHAN_PING = 0x01,
    CHAN_ACK =
        0x02, // largest u64, delay_us u32, count u8, first u16, count * (gap u16, length u16)
    CHAN_STREAM = 0x03,         // stream u8, offset u48, len u16, data
    CHAN_MAX_DATA = 0x04,       // stream u8 (0xff: the channel), limit u48
    CHAN_DATAGRAM = 0x05,       // len u16, data
    CHAN_PATH_CHALLENGE = 0x06, // data[8]
    CHAN_PATH_RESPONSE = 0x07,  // data[8]
    CHAN_RATCHET = 0x08,        // step u32, type u8, offset u16, len u16, data; type 0: asks for it
    CHAN_CLOSE = 0x09,          // kind u8, code u16
    CHAN_NEW_CID = 0x0a,        // step u32, cid[8]
    CHAN_ACK_ECN = 0x0b,        // as ACK, then ect u32, ce u32
    CHAN_MEETING_POINT = 0x0c,  // version u16, len u8, data
    CHAN_REUNION = 0x0d         // len u8, data
};
enum chan_close_kind { CHAN_CLOSE_APPLICATION = 0, CHAN_CLOSE_PROTOCOL = 1, CHAN_CLOSE_MIDDLE = 2 };

#define CHAN_ACK_BYTES(ranges) (16u + 4u * ((ranges)-1u)) // ranges >= 1
#define CHAN_ACK_ECN_BYTES 8u                             // more in ACK_ECN
#define CHAN_ACK_BYTES_BESIDE (CHAN_ACK_BYTES(CHAN_ACK_RANGES_BESIDE) + CHAN_ACK_ECN_BYTES)
#define CHAN_STREAM_HEADER_BYTES 10u
#define CHAN_MAX_DATA_BYTES 8u
#define CHAN_DATAGRAM_HEADER_BYTES 3u
#define CHAN_PATH_BYTES 9u
#define CHAN_RATCHET_HEADER_BYTES 10u
#define CHAN_CLOSE_BYTES 4u
#define CHAN_NEW_CID_BYTES 13u
#define CHAN_MEETING_HEADER_BYTES 4u
#define CHAN_REUNION_HEADER_BYTES 2u
#define CHAN_WHOLE_CHANNEL 0xffu // the stream field of MAX_DATA

static_assert(PACKET_HEADER_BYTES + CHAN_PATH_BYTES + PACKET_TAG_BYTES_MAX <= CLASS_TINY,
              "a probe is tiny");
static_assert(PACKET_HEADER_BYTES + CHAN_ACK_BYTES(1) + PACKET_TAG_BYTES_MAX <= CLASS_TINY,
              "an ACK is tiny");
static_assert(CHAN_ACK_BYTES_BESIDE == 148, "the longest ACK beside other frames");
static_assert(PACKET_HEADER_BYTES + CHAN_ACK_BYTES(CHAN_ACK_RANGES) + CHAN_ACK_ECN_BYTES +
                      PACKET_TAG_BYTES_MAX <=
                  CLASS_MEDIUM,
              "the longest ACK fits where little may be sent");
static_assert(PACKET_HEADER_BYTES + CHAN_DATAGRAM_HEADER_BYTES + CHANNEL_DATAGRAM_BYTES_MAX + 16 ==
                  CHANNEL_PACKET_BYTES_MAX,
              "a datagram fills a packet");

static_assert(PACKET_HEADER_BYTES + CHAN_MEETING_HEADER_BYTES + CHANNEL_MEETING_BYTES_MAX +
                      PACKET_TAG_BYTES_MAX + CHAN_ACK_BYTES_BESIDE <=
                  CLASS_MEDIUM,
              "a meeting point fits beside the longest ACK where little may be sent");

struct chan_range { // [lo, hi)
    uint64_t lo, hi;
};

struct chan_ack {
    uint64_t delay_us;
    bool has_ecn; // ACK_ECN: packets that came with ECT(0) and CE so far, modulo 2^32
    uint32_t ect, ce;
    uint32_t count;                           // >= 1
    struct chan_range range[CHAN_ACK_RANGES]; // highest first
};

struct chan_frame {
    enum chan_frame_type type;
    uint8_t stream;      // STREAM, MAX_DATA
    uint8_t kind;        // CLOSE; RATCHET: its type
    uint16_t code;       // CLOSE
    uint32_t step;       // RATCHET, NEW_CID
    uint64_t offset;     // STREAM, RATCHET; MAX_DATA: the limit; MEETING_POINT: its version
    const uint8_t *data; // of those that hold bytes: points into the packet
    size_t len;
};

// Reads the next frame; runs of padding come as one frame. ACK and ACK_ECN fill *ack. 0 or BAUTA_EFORMAT.
int chan_wire_get(struct rd *r, struct chan_frame *f, struct chan_ack *ack);

// The ranges that have arrived, the highest first.
void chan_wire_ack(struct wr *w, const struct chan_range *range, size_t count, uint64_t delay_us);
void chan_wire_ack_ecn(struct wr *w, const struct chan_range *range, size_t count,
                       uint64_t delay_us, uint32_t ect, uint32_t ce);
// Header only; the caller fills the returned `len` bytes. NULL when they don't fit.
uint8_t *chan_wire_stream(struct wr *w, uint8_t stream, uint64_t offset, size_t len);
void chan_wire_max_data(struct wr *w, uint8_t stream, uint64_t limit);
void chan_wire_datagram(struct wr *w, const uint8_t *data, size_t len);
void chan_wire_path(struct wr *w, enum chan_frame_type type, const uint8_t data[static 8]);
void chan_wire_ratchet(struct wr *w, uint32_t step, uint8_t type, uint16_t offset,
                       const uint8_t *data, uint16_t len);
void chan_wire_new_cid(struct wr *w, uint32_t step, const uint8_t cid[static CID_BYTES]);
void chan_wire_meeting(struct wr *w, uint16_t version, const uint8_t *data, size_t len);
void chan_wire_reunion(struct wr *w, const uint8_t *data, size_t len);
void chan_wire_close(struct wr *w, enum chan_close_kind kind, uint16_t code);

#endif
