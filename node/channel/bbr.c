#include "node/channel/bbr.h"

#define NONE UINT64_MAX

// Per cent. Startup: 4 ln 2 doubles the rate in each round trip.
#define STARTUP_PACE 277u
#define DRAIN_PACE 35u
#define DOWN_PACE 75u
#define UP_PACE 125u
#define CWND 200u
#define UP_CWND 225u
#define PROBE_RTT_CWND 50u
#define PACE_MARGIN 99u // a standing queue would not drain otherwise
#define HEADROOM 85u    // of the upper bound, left to others while cruising
#define LOSS_CUT 70u    // as CUBIC
#define MARK_CUT 85u    // a mark comes before the queue is full (RFC 8511)
#define HIGH_GROWTH 108u
#define FULL_GROWTH 125u
#define FULL_ROUNDS 3u
#define DOWN_ROUNDS_MAX 3u  // beside others the queue is not all of one's own making
#define DRAIN_ROUNDS_MAX 8u // where packets are not paced, no queue shrinks by it

#define LOSS_UNIT 65536u
#define LOSS_HIGH (LOSS_UNIT / 50)         // 2 %: too much in flight
#define LOSS_SIGN (LOSS_UNIT / 100)        // 1 %: somebody has made the queue overflow
#define LOSS_BLIND (LOSS_UNIT / 100 * 15u) // counts without any sign of a queue
#define LOSS_STARTUP (LOSS_UNIT / 10)      // the same in startup, which overshoots by far more
#define LOSS_PACKETS_MIN 4u
#define BLIND_PACKETS_MIN 12u // chance alone loses 5 of 30 on a link that loses 5 %

#define CALM_BYTES (2u << 20) // 1,500 packets tell 5 % from 7 %

#define QUEUE_SAMPLES 3u
#define QUEUE_US 100u // above an eighth of the round trip: what clocks and schedulers add
#define WAIT_RTTS 8u  // and as many more at random between two probings
#define WAIT_US_MAX (2 * USEC_PER_S)
#define MIN_RTT_US (10 * USEC_PER_S)
#define PROBE_RTT_US (200 * USEC_PER_MS)
#define PROBE_RTT_US_MIN (10 * USEC_PER_MS)
#define MORE_GROWTH 115u
#define CONTENDED_GROWTH 110u // a part s of the link grows by 125 / (1 + s / 4)
#define CONTENDED_ROUNDS_MAX 5u
#define EXTRA_ROUNDS 10u

static uint64_t min_of(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}
static uint64_t max_of(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}
static uint64_t percent(uint64_t x, unsigned p)
{
    return x == NONE ? NONE : x / 100 * p + x % 100 * p / 100;
}

static uint64_t draw(struct chan_bbr *c, uint64_t below)
{
    c->seed = c->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (c->seed >> 33) % below;
}

void chan_bbr_init(struct chan_bbr *c, struct chan_window *w, usec_t rtt_us, uint64_t seed)
{
    *c = (struct chan_bbr){.state = CHAN_BBR_STARTUP, .seed = seed};
    c->bounds = (struct chan_bbr_bounds){NONE, NONE, NONE};
    w->cwnd_bytes = CHAN_CWND_INITIAL;
    w->pace_rate = percent(w->cwnd_bytes * USEC_PER_S / (rtt_us > 0 ? rtt_us : 1), STARTUP_PACE);
}

// ---- the model ----------------------------------------------------------------------------------------
static uint64_t bdp(const struct chan_bbr *c, unsigned gain)
{
    return percent(chan_bbr_bandwidth(c) * c->min_rtt_us / USEC_PER_S, gain);
}

static uint64_t quantum(const struct chan_window *w, uint64_t rate)
{
    uint64_t due = rate * CHAN_PACE_US / USEC_PER_S;
    return max_of(min_of(due, BATCH_BYTES_MAX), CHAN_PACE_PACKETS * (uint64_t)w->packet_bytes);
}

static uint64_t with_headroom(const struct chan_bbr *c)
{
    return percent(c->bounds.inflight_high_bytes, HEADROOM);
}

static bool probes_bandwidth(const struct chan_bbr *c)
{
    return c->state == CHAN_BBR_STARTUP || c->state == CHAN_BBR_REFILL || c->state == CHAN_BBR_UP;
}

static void enter(struct chan_bbr *c, enum chan_bbr_state state)
{
    c->state = state;
    c->phase_round = c->round;
}

static void go_down(struct chan_bbr *c, usec_t now)
{
    enter(c, CHAN_BBR_DOWN);
    c->cycle_at = now;
    usec_t wait = c->min_rtt_us * (WAIT_RTTS + draw(c, WAIT_RTTS + 1));
    c->wait_us = min_of(wait, WAIT_US_MAX);
    c->advance = true;
}

static void update_round(struct chan_bbr *c, const struct chan_feedback *f)
{
    c->round_start = f->prior_delivered_bytes >= c->round_end_bytes;
    if (!c->round_start)
        return;
    c->round_end_bytes = f->rate->delivered_bytes;
    c->round++;
}

static void update_bandwidth(struct chan_bbr *c, const struct chan_feedback *f)
{
    if (f->bandwidth == 0)
        return;
    c->bw_latest = max_of(c->bw_latest, f->bandwidth);
    c->inflight_latest_bytes = max_of(c->inflight_latest_bytes, f->sample_bytes);
    // A pause of the application says nothing against the path.
    if (!f->limited || f->bandwidth >= chan_bbr_bandwidth(c))
        c->bw[0] = max_of(c->bw[0], f->bandwidth);
}

static void update_extra(struct chan_bbr *c, const struct chan_window *w,
                         const struct chan_feedback *f)
{
    uint64_t gone = min_of(f->now - c->extra_at, USEC_PER_S);
    uint64_t expected = chan_bbr_bandwidth(c) * gone / USEC_PER_S;
    if (c->extra_acked_bytes <= expected) {
        c->extra_acked_bytes = 0;
        c->extra_at = f->now;
        expected = 0;
    }
    c->extra_acked_bytes += f->acked_bytes;
    uint64_t extra = min_of(c->extra_acked_bytes - expected, w->cwnd_bytes);
    if (c->round >= c->extra_round + EXTRA_ROUNDS) {
        c->extra_round = c->round;
        c->extra_bytes[1] = c->extra_bytes[0];
        c->extra_bytes[0] = 0;
    }
    c->extra_bytes[0] = max_of(c->extra_bytes[0], extra);
}

// ---- losses and marks ---------------------------------------------------------------------------------
static void save(struct chan_bbr *c)
{
    if (c->undo_packets > 0)
        return;
    c->undo = c->bounds;
    c->undo_startup = !c->full;
}

static void undo(struct chan_bbr *c, uint64_t packets)
{
    if (c->undo_packets == 0)
        return;
    c->undo_packets -= min_of(packets, c->undo_packets);
    if (c->undo_packets > 0)
        return;
    struct chan_bbr_bounds *b = &c->bounds;
    b->inflight_high_bytes = max_of(b->inflight_high_bytes, c->undo.inflight_high_bytes);
    b->bw_low = max_of(b->bw_low, c->undo.bw_low);
    b->inflight_low_bytes = max_of(b->inflight_low_bytes, c->undo.inflight_low_bytes);
    if (c->undo_startup && c->full) {
        enter(c, CHAN_BBR_STARTUP);
        c->full = false;
        c->full_bw = c->full_bw_rounds = 0;
    }
}

// Too much was in flight: this much is the new upper bound.
static void too_high(struct chan_bbr *c, usec_t now, uint64_t in_flight, unsigned cut)
{
    c->cut_at = now;
    // One BDP is no queue, whatever was in flight when the packet left that was lost.
    uint64_t least = percent(bdp(c, 100), cut);
    if (c->state == CHAN_BBR_STARTUP) {
        c->full = true;
        least = max_of(bdp(c, 100), c->inflight_latest_bytes);
    } else if (c->state == CHAN_BBR_UP) {
        go_down(c, now);
    }
    c->bounds.inflight_high_bytes = max_of(percent(in_flight, cut), least);
}

// Does the share `lost` of `of` exceed `limit` and what the path loses anyway?
static bool exceeds(const struct chan_bbr *c, uint64_t lost, uint64_t of, uint64_t limit)
{
    return lost * LOSS_UNIT > of * (limit + c->base_loss * UINT64_C(3) / 2);
}

static void on_loss(struct chan_bbr *c, const struct chan_window *w, const struct chan_feedback *f)
{
    uint64_t lost = f->lost_since_bytes, of = f->lost_in_flight_bytes;
    c->round_lost_bytes += f->lost_bytes;
    bool startup = c->state == CHAN_BBR_STARTUP;
    unsigned least = startup ? BLIND_PACKETS_MIN : LOSS_PACKETS_MIN;
    if (lost < least * (uint64_t)w->packet_bytes)
        return;
    bool blind =
        lost >= BLIND_PACKETS_MIN * (uint64_t)w->packet_bytes && exceeds(c, lost, of, LOSS_BLIND);
    if (!blind && !(c->queued && exceeds(c, lost, of, LOSS_SIGN)))
        return;
    save(c);
    c->undo_packets += f->lost_packets;
    c->congested = true;
    c->cut_percent = LOSS_CUT;
    if (probes_bandwidth(c) && f->lost_sent_at > c->cut_at && !f->lost_limited &&
        (blind || exceeds(c, lost, of, startup ? LOSS_STARTUP : LOSS_HIGH)))
        too_high(c, f->now, of, HEADROOM);
}

// The share of losses without a queue, over the last one to two spans of bytes: few rounds of many packets
// tell as much as many of few.
static void learn_base(struct chan_bbr *c)
{
    uint64_t all = c->round_lost_bytes + c->round_acked_bytes;
    if (all == 0 || (c->queued && c->round_lost_bytes * LOSS_UNIT >= all * c->base_loss))
        return;
    c->calm_lost_bytes += c->round_lost_bytes;
    c->calm_bytes += all;
    c->base_loss = (uint32_t)(c->calm_lost_bytes * LOSS_UNIT / c->calm_bytes);
    if (c->calm_bytes >= CALM_BYTES) {
        c->calm_lost_bytes /= 2;
        c->calm_bytes /= 2;
    }
}

// The end of a round: lower bounds.
static void end_round(struct chan_bbr *c, const struct chan_window *w)
{
    struct chan_bbr_bounds *b = &c->bounds;
    if (c->congested && !probes_bandwidth(c)) {
        if (b->bw_low == NONE)
            b->bw_low = chan_bbr_bandwidth(c);
        if (b->inflight_low_bytes == NONE)
            b->inflight_low_bytes = w->cwnd_bytes;
        b->bw_low = max_of(c->bw_latest, percent(b->bw_low, c->cut_percent));
        b->inflight_low_bytes =
            max_of(c->inflight_latest_bytes, percent(b->inflight_low_bytes, c->cut_percent));
    }
    learn_base(c);
    if (!c->congested)
        c->undo_packets = 0;
    c->congested = false;
    c->round_lost_bytes = c->round_acked_bytes = 0;
    c->bw_latest = c->inflight_latest_bytes = 0;
}

void chan_bbr_marked(struct chan_bbr *c, usec_t now, uint64_t in_flight_bytes)
{
    if (!c->congested)
        c->cut_percent = MARK_CUT;
    c->congested = true;
    if (probes_bandwidth(c) && c->cut_at + c->min_rtt_us < now)
        too_high(c, now, in_flight_bytes, MARK_CUT);
}

// ---- states -------------------------------------------------------------------------------------------
static void check_full(struct chan_bbr *c, const struct chan_feedback *f)
{
    if (c->full || !c->round_start || f->limited || f->bandwidth == 0)
        return;
    if (chan_bbr_bandwidth(c) >= percent(c->full_bw, FULL_GROWTH)) {
        c->full_bw = chan_bbr_bandwidth(c);
        c->full_bw_rounds = 0;
    } else if (++c->full_bw_rounds >= FULL_ROUNDS) {
        c->full = true;
    }
}

// The upper bound grows while probing meets it without loss: by 1, 2, 4 … packets a window.
static void raise_high(struct chan_bbr *c, const struct chan_window *w,
                       const struct chan_feedback *f)
{
    struct chan_bbr_bounds *b = &c->bounds;
    if (b->inflight_high_bytes == NONE)
        return;
    if (f->in_flight_bytes > b->inflight_high_bytes)
        b->inflight_high_bytes = f->in_flight_bytes;
    if (!w->limited)
        return;
    if (c->round_start)
        c->up_step_bytes = min_of(2 * c->up_step_bytes, w->cwnd_bytes / 4);
    c->up_acked_bytes += f->acked_bytes;
    if (c->up_acked_bytes >= w->cwnd_bytes) {
        c->up_acked_bytes -= w->cwnd_bytes;
        b->inflight_high_bytes += max_of(c->up_step_bytes, w->packet_bytes);
    }
}

// Probing met no loss: what a loss taught before is worth less, else whoever came late to a full link would
// keep the small share that its first losses left it.
static void forget_high(struct chan_bbr *c)
{
    uint64_t *high = &c->bounds.inflight_high_bytes;
    *high = *high > bdp(c, 2 * CWND) ? NONE : percent(*high, HIGH_GROWTH);
}

static void advance_filter(struct chan_bbr *c)
{
    if (!c->advance || !c->round_start || c->round < c->phase_round + 2)
        return;
    c->advance = false;
    // It has brought more and made no queue: the path has more to give.
    if (!c->queued && chan_bbr_bandwidth(c) >= percent(c->up_bw, MORE_GROWTH))
        c->wait_us = 0;
    if (c->bw[0] > 0) {
        c->bw[1] = c->bw[0];
        c->bw[0] = 0;
    }
}

// Is a probing over that has filled the pipe by a quarter more? Beside others the bandwidth grows by the more,
// the smaller the own part is: below about a half it goes on, and so parts even out.
static bool probed(struct chan_bbr *c)
{
    uint64_t rounds = c->round - c->phase_round, bw = chan_bbr_bandwidth(c);
    if (!c->contended || rounds == 0)
        return rounds > 0;
    if (!c->round_start || rounds == 1)
        return false;
    bool grows = bw >= percent(c->up_bw, CONTENDED_GROWTH);
    c->up_bw = bw;
    return !grows || rounds >= CONTENDED_ROUNDS_MAX;
}

static void cycle(struct chan_bbr *c, const struct chan_window *w, const struct chan_feedback *f,
                  uint64_t in_flight)
{
    bool due = f->now >= c->cycle_at + c->wait_us;
    switch (c->state) {
    case CHAN_BBR_STARTUP:
        if (c->full)
            enter(c, CHAN_BBR_DRAIN);
        break;
    case CHAN_BBR_DRAIN:
        if (in_flight <= bdp(c, 100) || c->round > c->phase_round + DRAIN_ROUNDS_MAX)
            go_down(c, f->now);
        break;
    case CHAN_BBR_DOWN:
        if (in_flight <= min_of(bdp(c, 100), with_headroom(c)) ||
            c->round > c->phase_round + DOWN_ROUNDS_MAX)
            enter(c, CHAN_BBR_CRUISE);
        break;
    case CHAN_BBR_CRUISE:
        if (due && !f->limited) {
            enter(c, CHAN_BBR_REFILL);
            c->bounds.bw_low = c->bounds.inflight_low_bytes = NONE;
        }
        break;
    case CHAN_BBR_REFILL:
        if (c->round_start && c->round > c->phase_round) {
            enter(c, CHAN_BBR_UP);
            c->up_step_bytes = w->packet_bytes;
            c->up_acked_bytes = 0;
            c->up_bw = chan_bbr_bandwidth(c);
            c->contended = c->queued;
        }
        break;
    case CHAN_BBR_UP:
        raise_high(c, w, f);
        if (in_flight >= bdp(c, UP_PACE) + quantum(w, w->pace_rate) && probed(c)) {
            forget_high(c);
            go_down(c, f->now);
        }
        break;
    case CHAN_BBR_PROBE_RTT:
        break;
    }
    advance_filter(c);
}

// One sample alone may only be the host's fault.
static void update_queued(struct chan_bbr *c, usec_t rtt_us, usec_t delay_us)
{
    bool high =
        c->min_rtt_us > 0 && rtt_us > c->min_rtt_us + c->min_rtt_us / 8 + QUEUE_US + delay_us;
    if (!high)
        c->high_rtts = 0;
    else
        c->high_rtts++;
    c->queued = c->high_rtts >= QUEUE_SAMPLES;
}

static void update_min_rtt(struct chan_bbr *c, struct chan_window *w, const struct chan_feedback *f,
                           uint64_t in_flight)
{
    usec_t rtt = f->rtt_us;
    bool old = f->now > c->min_rtt_at + MIN_RTT_US;
    if (rtt > 0) {
        update_queued(c, rtt, f->delay_us);
        if (c->min_rtt_us == 0 || rtt < c->min_rtt_us || (old && c->state == CHAN_BBR_PROBE_RTT)) {
            c->min_rtt_us = rtt;
            c->min_rtt_at = f->now;
        } else if (rtt <= c->min_rtt_us + c->min_rtt_us / 16) {
            c->min_rtt_at = f->now; // as good as the smallest: no need to look for it
        }
    }
    if (c->state != CHAN_BBR_PROBE_RTT) {
        if (!old || !c->full || f->limited)
            return;
        enter(c, CHAN_BBR_PROBE_RTT);
        c->prior_cwnd_bytes = w->cwnd_bytes;
        c->probe_rtt_end = USEC_NEVER;
        return;
    }
    if (c->probe_rtt_end == USEC_NEVER) {
        if (in_flight <= max_of(bdp(c, PROBE_RTT_CWND), 4u * w->packet_bytes))
            c->probe_rtt_end =
                f->now + max_of(min_of(5 * c->min_rtt_us, PROBE_RTT_US), PROBE_RTT_US_MIN);
    } else if (f->now >= c->probe_rtt_end) {
        c->min_rtt_at = f->now;
        w->cwnd_bytes = max_of(w->cwnd_bytes, c->prior_cwnd_bytes);
        go_down(c, f->now);
        c->state = CHAN_BBR_CRUISE;
    }
}

// ---- what comes of it ---------------------------------------------------------------------------------
static unsigned pace_gain(const struct chan_bbr *c)
{
    switch (c->state) {
    case CHAN_BBR_STARTUP:
        return STARTUP_PACE;
    case CHAN_BBR_DRAIN:
        return DRAIN_PACE;
    case CHAN_BBR_DOWN:
        return DOWN_PACE;
    case CHAN_BBR_UP:
        return UP_PACE;
    default:
        return 100;
    }
}

static void set_pace(struct chan_bbr *c, struct chan_window *w)
{
    uint64_t bw = min_of(chan_bbr_bandwidth(c), c->bounds.bw_low);
    if (bw == 0)
        return;
    uint64_t rate = max_of(percent(percent(bw, pace_gain(c)), PACE_MARGIN), 1);
    // Where the round trip is shorter than a quantum, ACKs space packets better than a timer.
    if (c->min_rtt_us > 0 && c->min_rtt_us < CHAN_PACE_US)
        w->pace_rate = 0;
    else if (c->full || rate > w->pace_rate)
        w->pace_rate = rate;
}

static void set_window(struct chan_bbr *c, struct chan_window *w, const struct chan_feedback *f)
{
    uint64_t least = 4u * (uint64_t)w->packet_bytes, most = CHAN_CWND_MAX;
    uint64_t bw = chan_bbr_bandwidth(c);
    // Twice the BDP leaves room for ACKs that come together; where a BDP is small they need more.
    uint64_t extra = max_of(c->extra_bytes[0], c->extra_bytes[1]) + 3 * quantum(w, bw);
    uint64_t target =
        max_of(bdp(c, c->state == CHAN_BBR_UP ? UP_CWND : CWND), bdp(c, UP_PACE) + extra);
    if (f->persistent) {
        w->cwnd_bytes = least;
        return;
    }
    if (c->full)
        w->cwnd_bytes = min_of(w->cwnd_bytes + f->acked_bytes, target);
    else if (w->cwnd_bytes < target || f->rate->delivered_bytes < CHAN_CWND_INITIAL)
        w->cwnd_bytes += f->acked_bytes;
    const struct chan_bbr_bounds *b = &c->bounds;
    if (c->state == CHAN_BBR_CRUISE || c->state == CHAN_BBR_PROBE_RTT)
        most = min_of(most, with_headroom(c));
    else if (c->state != CHAN_BBR_STARTUP)
        most = min_of(most, b->inflight_high_bytes);
    most = min_of(most, b->inflight_low_bytes);
    if (c->state == CHAN_BBR_PROBE_RTT)
        most = min_of(most, bdp(c, PROBE_RTT_CWND));
    w->cwnd_bytes = max_of(min_of(w->cwnd_bytes, most), least);
}

void chan_bbr_feedback(struct chan_bbr *c, struct chan_window *w, const struct chan_feedback *f)
{
    uint64_t gone = f->acked_bytes + f->lost_bytes;
    uint64_t in_flight = f->in_flight_bytes > gone ? f->in_flight_bytes - gone : 0;
    c->round_start = false;
    if (f->spurious_packets > 0)
        undo(c, f->spurious_packets);
    if (f->lost_packets > 0)
        on_loss(c, w, f);
    if (f->acked_bytes > 0) {
        c->round_acked_bytes += f->acked_bytes;
        update_round(c, f);
        update_bandwidth(c, f);
        update_extra(c, w, f);
        if (c->round_start)
            end_round(c, w);
        check_full(c, f);
        cycle(c, w, f, in_flight);
        update_min_rtt(c, w, f, in_flight);
    }
    set_pace(c, w);
    set_window(c, w, f);
}
