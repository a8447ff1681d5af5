#include "node/channel/credit.h"

void chan_credit_init(struct chan_credit *c, uint32_t window_bytes_max)
{
    *c = (struct chan_credit){.advertised = CHAN_CREDIT_INITIAL,
                              .window_bytes = CHAN_CREDIT_INITIAL,
                              .window_bytes_max = window_bytes_max > CHAN_CREDIT_INITIAL
                                                      ? window_bytes_max
                                                      : CHAN_CREDIT_INITIAL};
}

void chan_credit_grow(struct chan_credit *c, usec_t now, usec_t rtt_us, uint64_t bytes)
{
    usec_t span = 2 * (rtt_us > CHAN_WINDOW_RTT_US_MIN ? rtt_us : CHAN_WINDOW_RTT_US_MIN);
    if (now >= c->since + span) { // too slow to fill the window, or a new beginning
        c->since = now;
        c->from = c->received;
    }
    if (c->received + bytes - c->from < c->window_bytes / 3)
        return;
    c->since = now;
    c->from = c->received;
    chan_credit_widen(c, 2 * c->window_bytes);
}

void chan_credit_widen(struct chan_credit *c, uint32_t window_bytes)
{
    if (window_bytes > c->window_bytes_max)
        window_bytes = c->window_bytes_max;
    if (window_bytes > c->window_bytes)
        c->window_bytes = window_bytes;
}

bool chan_credit_due(const struct chan_credit *c)
{
    uint64_t limit = c->read + c->window_bytes;
    if (limit <= c->advertised)
        return false;
    return limit - c->advertised >= c->window_bytes / 4 ||
           c->advertised - c->received <= CHAN_TEXT_SHARE_BYTES;
}

uint64_t chan_credit_offer(struct chan_credit *c)
{
    uint64_t limit = c->read + c->window_bytes;
    if (limit > CHAN_OFFSET_MAX)
        limit = CHAN_OFFSET_MAX;
    if (limit > c->advertised)
        c->advertised = limit;
    return c->advertised;
}
