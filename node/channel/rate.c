#include "node/channel/rate.h"

static uint32_t ago(usec_t now, usec_t then)
{
    return now - then < UINT32_MAX ? (uint32_t)(now - then) : UINT32_MAX;
}

struct chan_mark chan_rate_sent(struct chan_rate *r, usec_t now, uint64_t in_flight_bytes,
                                uint16_t bytes)
{
    if (in_flight_bytes == 0)
        r->first_sent_at = r->delivered_at = now;
    return (struct chan_mark){.delivered_bytes = r->delivered_bytes,
                              .delivered_ago_us = ago(now, r->delivered_at),
                              .first_ago_us = ago(now, r->first_sent_at),
                              .lost_bytes = (uint32_t)r->lost_bytes,
                              .in_flight_bytes = (uint32_t)(in_flight_bytes + bytes)};
}

void chan_rate_limited(struct chan_rate *r, uint64_t in_flight_bytes)
{
    uint64_t until = r->delivered_bytes + in_flight_bytes;
    r->limited_until = until > 0 ? until : 1;
}

void chan_rate_acked(struct chan_rate *r, const struct chan_mark *mark, usec_t sent_at,
                     usec_t min_rtt_us, struct chan_feedback *f)
{
    r->delivered_bytes += f->acked_bytes;
    usec_t send_us = mark->first_ago_us, ack_us = f->now - sent_at + mark->delivered_ago_us;
    r->delivered_at = f->now;
    r->first_sent_at = sent_at;
    if (r->limited_until > 0 && r->delivered_bytes > r->limited_until)
        r->limited_until = 0;
    f->prior_delivered_bytes = mark->delivered_bytes;
    f->sample_bytes = r->delivered_bytes - mark->delivered_bytes;
    // The slower of the two intervals: ACKs that were held up and come together, and packets that left
    // together, both would look faster than the path is.
    usec_t interval = send_us > ack_us ? send_us : ack_us;
    if (interval > 0 && interval >= min_rtt_us)
        f->bandwidth = f->sample_bytes * USEC_PER_S / interval;
    if (f->bandwidth > CHAN_RATE_MAX)
        f->bandwidth = CHAN_RATE_MAX;
}
