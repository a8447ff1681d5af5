#include "node/channel/cc.h"

static void start(struct chan_cc *cc, usec_t rtt_us)
{
    cc->window = (struct chan_window){.packet_bytes = CLASS_FULL};
    if (cc->kind == CHAN_CC_BBR)
        chan_bbr_init(&cc->of.bbr, &cc->window, rtt_us, cc->seed);
    else
        chan_reno_init(&cc->of.reno, &cc->window, rtt_us);
    chan_pace_init(&cc->pace, cc->window.packet_bytes);
    cc->pace.rate = cc->window.pace_rate;
}

void chan_cc_init(struct chan_cc *cc, enum chan_cc_kind kind, usec_t rtt_us, uint64_t seed)
{
    *cc = (struct chan_cc){.kind = kind, .seed = seed};
    start(cc, rtt_us);
}

void chan_cc_new_path(struct chan_cc *cc, usec_t rtt_us)
{
    start(cc, rtt_us);
}

void chan_cc_packet(struct chan_cc *cc, uint16_t bytes)
{
    cc->window.packet_bytes = cc->pace.unit = bytes;
}

bool chan_cc_may(struct chan_cc *cc, bool wanted)
{
    bool open = chan_cc_open(cc);
    cc->window.limited = !open && wanted;
    if (!open)
        return false;
    if (!wanted) {
        chan_rate_limited(&cc->rate, cc->in_flight_bytes);
        return false;
    }
    cc->pace.waits = !chan_pace_may(&cc->pace);
    return !cc->pace.waits;
}

bool chan_cc_urgent(const struct chan_cc *cc)
{
    uint64_t more = CHAN_URGENT_PACKETS * (uint64_t)cc->window.packet_bytes;
    int64_t debt = (int64_t)(more * USEC_PER_S);
    if (more > cc->window.cwnd_bytes / 4)
        more = cc->window.cwnd_bytes / 4;
    return cc->in_flight_bytes < cc->window.cwnd_bytes + more &&
           (cc->pace.rate == 0 || cc->pace.credit > -debt);
}

struct chan_mark chan_cc_sent(struct chan_cc *cc, usec_t now, uint16_t bytes)
{
    struct chan_mark mark = chan_rate_sent(&cc->rate, now, cc->in_flight_bytes, bytes);
    cc->in_flight_bytes += bytes;
    chan_pace_sent(&cc->pace, bytes);
    return mark;
}

void chan_cc_feedback(struct chan_cc *cc, struct chan_feedback *f)
{
    f->rate = &cc->rate;
    if (f->acked_sent_at > cc->newest_acked_at)
        cc->newest_acked_at = f->acked_sent_at;
    if (cc->kind == CHAN_CC_BBR)
        chan_bbr_feedback(&cc->of.bbr, &cc->window, f);
    else
        chan_reno_feedback(&cc->of.reno, &cc->window, f);
    cc->pace.rate = cc->window.pace_rate;
}

void chan_cc_ecn(struct chan_cc *cc, usec_t now, uint32_t marked)
{
    if (marked == 0)
        return;
    if (cc->kind == CHAN_CC_BBR)
        chan_bbr_marked(&cc->of.bbr, now, cc->in_flight_bytes);
    else
        chan_reno_marked(&cc->of.reno, &cc->window, now, cc->newest_acked_at);
    cc->pace.rate = cc->window.pace_rate;
}
