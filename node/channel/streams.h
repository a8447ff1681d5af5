// The eight streams of a channel: send buffers with retransmission by ranges, reassembly in a fixed
// memory that all share, and the credit for both.
#ifndef BAUTA_NODE_CHANNEL_STREAMS_H
#define BAUTA_NODE_CHANNEL_STREAMS_H

#include "node/channel/blocks.h"
#include "node/channel/channel.h"
#include "node/channel/ranges.h"

struct chan_stream {
    // out: acked <= next <= end. [acked, end) is held; `lost` goes out again; `sacked` is known to have arrived.
    struct chan_blocks out;
    uint64_t acked, next, end;
    uint64_t limit; // the peer's: next <= limit
    struct chan_ranges lost, sacked;
    // in: read <= contig <= highest. [read, contig) waits for the application, `ahead` for the gaps.
    struct chan_blocks in;
    uint64_t read, contig, highest;
    uint64_t advertised; // ours: highest <= advertised
    struct chan_ranges ahead;
};

struct chan_chunk {
    uint64_t offset;
    uint16_t len;
    uint8_t stream;
};

struct chan_streams {
    struct chan_stream stream[CHANNEL_STREAMS_MAX];
    struct arena *arena;
    uint64_t sent, limit;          // new bytes on all streams, and the peer's limit of them
    uint64_t received, advertised; // the same for what comes in
    uint64_t read;                 // by the application, all streams
    uint32_t window_bytes;
    uint16_t credit_due;        // MAX_DATA to send: bit i: stream i; bit 8: the channel
    uint8_t sendable;           // streams with something to send, but for the channel's credit
    uint8_t lost;               // streams with something to send again
    uint8_t turn;               // the next stream to be served
    uint8_t readable, writable; // events to give
    uint8_t wants_room;         // streams whose application was turned away
    bool starved;               // by the arena
};

void chan_streams_init(struct chan_streams *, struct arena *, uint32_t window_bytes);
void chan_streams_free(struct chan_streams *);

// The application's side of stream i, as channel.h says.
size_t chan_streams_write(struct chan_streams *, unsigned i, const uint8_t *data, size_t len);
size_t chan_streams_read(struct chan_streams *, unsigned i, uint8_t *buf, size_t cap);

// The peer's side. 0, BAUTA_EFORMAT (no such stream), BAUTA_ELIMIT (over its credit: close), BAUTA_ESPACE
// (not kept: don't acknowledge).
int chan_streams_on_data(struct chan_streams *, const struct chan_frame *);
int chan_streams_on_max_data(struct chan_streams *, const struct chan_frame *);

// Is there a chunk to send now?
static inline bool chan_streams_ready(const struct chan_streams *s)
{
    return s->lost != 0 || (s->sendable != 0 && s->sent < s->limit);
}
// The next chunk of at most len_max bytes; counts as sent. False: none.
bool chan_streams_take(struct chan_streams *, size_t len_max, struct chan_chunk *);
void chan_streams_copy(const struct chan_streams *, const struct chan_chunk *, uint8_t *dst);
void chan_streams_acked(struct chan_streams *, const struct chan_chunk *);
void chan_streams_lost(struct chan_streams *, const struct chan_chunk *);
// Writes the MAX_DATA frames that are due and fit; returns which, for chan_streams_credit_lost.
uint16_t chan_streams_put_credit(struct chan_streams *, struct wr *);
void chan_streams_credit_lost(struct chan_streams *, uint16_t mask);
// Bytes of all streams that are not yet acknowledged.
bool chan_streams_pending(const struct chan_streams *);

#endif
