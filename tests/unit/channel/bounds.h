// The most memory that a channel may hold, whatever happens to it.
#ifndef BAUTA_TESTS_CHANNEL_BOUNDS_H
#define BAUTA_TESTS_CHANNEL_BOUNDS_H

#include "tests/unit/channel/link.h"

#define BOUNDS_IDLE_BYTES (32u * 1024) // of a channel that holds no stream bytes

// The window of what comes in, what was written and waits, tables of holes and blocks, and what is
// remembered of each packet in flight (twice while its ring grows).
static UNUSED size_t bounds_bytes(const struct end *e)
{
    size_t in = e->config.receive_bytes == 0 ? CHAN_RECEIVE_BYTES : e->config.receive_bytes;
    if (in < CHAN_CREDIT_INITIAL)
        in = CHAN_CREDIT_INITIAL;
    size_t out = 0;
    for (unsigned s = 0; s < CHANNEL_STREAMS_MAX; s++)
        out += channel_stream_pending(e->channel, s);
    size_t blocks = 4u * CHANNEL_STREAMS_MAX * CHAN_BLOCK_BYTES + (in + out) / 64;
    size_t holes = 3u * CHANNEL_STREAMS_MAX * CHAN_RANGES_MAX * sizeof(struct chan_range);
    size_t ring = 2u * CHAN_SENT_PACKETS_MAX * sizeof(struct chan_sent);
    return BOUNDS_IDLE_BYTES + in + out + blocks + holes + ring;
}

static UNUSED bool bounds_hold(const struct end *e)
{
    return e->channel == NULL || e->arena.used_bytes <= e->arena_used + bounds_bytes(e);
}

#endif
