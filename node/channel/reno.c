#include "node/channel/reno.h"

void chan_reno_init(struct chan_reno *c, struct chan_window *w, usec_t rtt_us)
{
    *c = (struct chan_reno){.ssthresh_bytes = UINT64_MAX};
    w->cwnd_bytes = CHAN_CWND_INITIAL;
    w->pace_rate = 2 * w->cwnd_bytes * USEC_PER_S / (rtt_us > 0 ? rtt_us : 1);
}

static void grow(struct chan_reno *c, struct chan_window *w, const struct chan_feedback *f)
{
    // In slow start a window that is half used is taken as used: bursts of ACKs arrive between sends.
    bool slow_start = w->cwnd_bytes < c->ssthresh_bytes;
    if (!w->limited && !(slow_start && 2 * f->in_flight_bytes >= w->cwnd_bytes))
        return;
    if (c->in_recovery_ever && f->acked_sent_at <= c->recovery_at)
        return;
    if (slow_start) {
        w->cwnd_bytes += f->acked_bytes;
    } else {
        c->avoided_bytes += f->acked_bytes;
        if (c->avoided_bytes >= w->cwnd_bytes) {
            c->avoided_bytes -= w->cwnd_bytes;
            w->cwnd_bytes += w->packet_bytes;
        }
    }
    if (w->cwnd_bytes > CHAN_CWND_MAX)
        w->cwnd_bytes = CHAN_CWND_MAX;
}

static bool begins(const struct chan_reno *c, usec_t sent_at)
{
    return !c->in_recovery_ever || sent_at > c->recovery_at;
}

static void cut(struct chan_reno *c, struct chan_window *w, usec_t now)
{
    uint64_t least = CHAN_CWND_MIN_PACKETS * (uint64_t)w->packet_bytes;
    c->in_recovery_ever = true;
    c->recovery_at = now;
    c->avoided_bytes = 0;
    w->cwnd_bytes = w->cwnd_bytes / 2 > least ? w->cwnd_bytes / 2 : least;
    c->ssthresh_bytes = w->cwnd_bytes;
}

static void on_loss(struct chan_reno *c, struct chan_window *w, const struct chan_feedback *f)
{
    if (begins(c, f->lost_sent_at)) {
        c->undo_cwnd_bytes = w->cwnd_bytes;
        c->undo_ssthresh_bytes = c->ssthresh_bytes;
        c->undo_packets = 0;
        cut(c, w, f->now);
    }
    c->undo_packets += f->lost_packets;
    if (f->persistent) {
        w->cwnd_bytes = CHAN_CWND_MIN_PACKETS * (uint64_t)w->packet_bytes;
        c->in_recovery_ever = false;
        c->avoided_bytes = 0;
    }
}

static void undo(struct chan_reno *c, struct chan_window *w, uint64_t packets)
{
    if (c->undo_packets == 0)
        return;
    c->undo_packets -= packets < c->undo_packets ? packets : c->undo_packets;
    if (c->undo_packets > 0)
        return;
    if (w->cwnd_bytes < c->undo_cwnd_bytes)
        w->cwnd_bytes = c->undo_cwnd_bytes;
    c->ssthresh_bytes = c->undo_ssthresh_bytes;
}

void chan_reno_feedback(struct chan_reno *c, struct chan_window *w, const struct chan_feedback *f)
{
    if (f->spurious_packets > 0)
        undo(c, w, f->spurious_packets);
    if (f->acked_bytes > 0)
        grow(c, w, f);
    if (f->lost_packets > 0)
        on_loss(c, w, f);
    // A quarter more than the window a round trip, twice the window in slow start (RFC 9002, 7.7).
    uint64_t rate = w->cwnd_bytes * USEC_PER_S / (f->srtt_us > 0 ? f->srtt_us : 1);
    w->pace_rate = w->cwnd_bytes < c->ssthresh_bytes ? rate * 2 : rate * 5 / 4;
}

void chan_reno_marked(struct chan_reno *c, struct chan_window *w, usec_t now, usec_t sent_at)
{
    if (!begins(c, sent_at))
        return;
    cut(c, w, now);
    c->undo_packets = 0; // a mark is never a mistake
}
