// The eight streams of a channel: send buffers with retransmission by ranges, the order in which they are
// served, reassembly in a fixed memory that all share.
#ifndef BAUTA_NODE_CHANNEL_STREAMS_H
#define BAUTA_NODE_CHANNEL_STREAMS_H

#include "node/channel/blocks.h"
#include "node/channel/channel.h"
#include "node/channel/credit.h"
#include "node/channel/ranges.h"

struct chan_stream {
    // out: acked <= next <= end. [acked, end) is held; `lost` goes out again; `sacked` is known to have arrived.
    struct chan_blocks out;
    uint64_t acked, next, end;
    uint64_t limit; // the peer's: next <= limit
    struct chan_ranges lost, sacked;
    // in: read <= contig <= received. [read, contig) waits for the application, `ahead` for the gaps.
    struct chan_blocks in;
    struct chan_credit credit;
    uint64_t contig;
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
    uint64_t sent, limit;       // new bytes on all streams, and the peer's limit of them
    struct chan_credit credit;  // for what comes in on all streams together
    uint16_t credit_due;        // MAX_DATA to send: bit i: stream i; bit 8: the channel
    uint8_t bulk;               // streams that go after the others
    uint8_t sendable;           // streams with something to send, but for the channel's credit
    uint8_t lost;               // streams with something to send again
    uint8_t turn[2];            // the next stream to be served, of text and of bulk
    uint8_t readable, writable; // events to give
    uint8_t wants_room;         // streams whose application was turned away
    uint32_t unsent_bytes;      // that a stream may have waiting to be sent for the first time
    bool starved;               // by the arena
};

#define CHAN_CREDIT_OF_CHANNEL (1u << CHANNEL_STREAMS_MAX) // in masks of credit

void chan_streams_init(struct chan_streams *, struct arena *, uint32_t receive_bytes);
void chan_streams_free(struct chan_streams *);
void chan_streams_class(struct chan_streams *, unsigned i, enum channel_class);

// The application's side of stream i, as channel.h says.
size_t chan_streams_write(struct chan_streams *, unsigned i, const uint8_t *data, size_t len);
size_t chan_streams_read(struct chan_streams *, unsigned i, uint8_t *buf, size_t cap);

// The peer's side. 0, BAUTA_EFORMAT (no such stream), BAUTA_ELIMIT (over its credit: close), BAUTA_ESPACE
// (not kept: don't acknowledge).
int chan_streams_on_data(struct chan_streams *, usec_t now, usec_t rtt_us,
                         const struct chan_frame *);
int chan_streams_on_max_data(struct chan_streams *, const struct chan_frame *);

// What the congestion window is: so much is kept ready behind what is in flight, and no more is taken.
void chan_streams_keep_ready(struct chan_streams *, uint64_t cwnd_bytes);

// Streams of a mask with a chunk to send now. Bulk leaves CHAN_TEXT_SHARE_BYTES of the channel's credit.
static inline uint8_t chan_streams_ready(const struct chan_streams *s)
{
    uint8_t fresh = s->sendable;
    if (s->sent >= s->limit)
        fresh = 0;
    else if (s->limit - s->sent <= CHAN_TEXT_SHARE_BYTES)
        fresh = (uint8_t)(fresh & ~s->bulk);
    return s->lost | fresh;
}
// The next chunk of at most len_max bytes of the streams in the mask `from`; counts as sent. Text goes
// before bulk, in both what was lost before what is new; streams of a class take turns. False: none.
bool chan_streams_take(struct chan_streams *, uint8_t from, size_t len_max, struct chan_chunk *);
void chan_streams_copy(const struct chan_streams *, const struct chan_chunk *, uint8_t *dst);
void chan_streams_acked(struct chan_streams *, const struct chan_chunk *);
void chan_streams_lost(struct chan_streams *, const struct chan_chunk *);
// Writes the MAX_DATA frames of the mask that are due and fit; returns which, for chan_streams_credit_lost.
uint16_t chan_streams_put_credit(struct chan_streams *, uint16_t mask, struct wr *);
void chan_streams_credit_lost(struct chan_streams *, uint16_t mask);
// Has any stream of the mask bytes that are not yet acknowledged?
bool chan_streams_pending(const struct chan_streams *, uint8_t mask);

#endif
