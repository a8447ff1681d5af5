#include "node/channel/pace.h"

static int64_t units(const struct chan_pace *p, uint32_t packets)
{
    return (int64_t)(packets * p->unit * USEC_PER_S);
}

static int64_t quantum(const struct chan_pace *p)
{
    int64_t least = units(p, CHAN_PACE_PACKETS), due = (int64_t)(p->rate * CHAN_PACE_US);
    return due > least ? due : least;
}

void chan_pace_init(struct chan_pace *p, uint16_t unit_bytes)
{
    *p = (struct chan_pace){.unit = unit_bytes, .open = true};
    p->credit = units(p, CHAN_PACE_BURST_PACKETS);
}

void chan_pace_refill(struct chan_pace *p, usec_t now)
{
    usec_t gone = now - p->at < CHAN_PACE_GAP_US_MAX ? now - p->at : CHAN_PACE_GAP_US_MAX;
    // Something waited for the timer, and the timer was late: that is made good. A pause earns less.
    int64_t most = (p->waits ? CHAN_PACE_LATE_QUANTA : 2) * quantum(p),
            burst = units(p, CHAN_PACE_BURST_PACKETS);
    if (most < burst)
        most = burst;
    p->credit += (int64_t)(p->rate * gone);
    if (p->credit > most)
        p->credit = most;
    p->at = now;
    p->waits = false;
}

bool chan_pace_may(struct chan_pace *p)
{
    if (p->rate == 0)
        return true;
    if (p->credit <= 0)
        p->open = false;
    else if (p->credit >= quantum(p))
        p->open = true;
    return p->open;
}

usec_t chan_pace_deadline(const struct chan_pace *p)
{
    if (!p->waits || p->rate == 0)
        return USEC_NEVER;
    int64_t missing = quantum(p) - p->credit;
    return missing <= 0 ? p->at : p->at + ((uint64_t)missing + p->rate - 1) / p->rate;
}
