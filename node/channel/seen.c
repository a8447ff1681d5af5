#include "node/channel/seen.h"

#define WORDS (CHAN_REPLAY_PACKETS / 64)

void chan_seen_init(struct chan_seen *s)
{
    memset(s, 0, sizeof *s);
    s->ack_deadline = USEC_NEVER;
}

int chan_seen_check(const struct chan_seen *s, uint64_t pn)
{
    if (pn >= s->next)
        return 0;
    if (s->next - pn > CHAN_REPLAY_PACKETS)
        return BAUTA_EREPLAY;
    uint64_t word = s->bits[(pn / 64) % WORDS];
    return (word >> (pn % 64)) & 1 ? BAUTA_EREPLAY : 0;
}

void chan_seen_mark(struct chan_seen *s, uint64_t pn, uint8_t ecn)
{
    s->ect += ecn == CHAN_ECT0;
    s->ce += ecn == CHAN_CE;
    if (pn >= s->next) {
        if (pn - s->next >= CHAN_REPLAY_PACKETS) {
            memset(s->bits, 0, sizeof s->bits);
        } else {
            // Word by word: who leaves numbers out must not make us work for each of them.
            uint64_t word = s->next / 64, last = pn / 64;
            uint64_t from = UINT64_MAX << (s->next % 64), upto = UINT64_MAX >> (63 - pn % 64);
            if (word < last) {
                s->bits[word++ % WORDS] &= ~from;
                for (from = UINT64_MAX; word < last; word++)
                    s->bits[word % WORDS] = 0;
            }
            s->bits[last % WORDS] &= ~(from & upto);
        }
        s->next = pn + 1;
    }
    s->bits[(pn / 64) % WORDS] |= UINT64_C(1) << (pn % 64);
}

// Puts pn among the ranges; the lowest falls out where there are too many.
static void insert(struct chan_seen *s, uint64_t pn)
{
    struct chan_range *r = s->range;
    uint32_t i = 0;
    while (i < s->ranges && r[i].lo > pn + 1)
        i++;
    if (i < s->ranges && pn < r[i].hi && pn >= r[i].lo)
        return;
    if (i < s->ranges && r[i].lo == pn + 1) {
        r[i].lo = pn;
        if (i + 1 < s->ranges && r[i + 1].hi == pn) {
            r[i].lo = r[i + 1].lo;
            memmove(r + i + 1, r + i + 2, (s->ranges - i - 2) * sizeof *r);
            s->ranges--;
        }
        return;
    }
    if (i < s->ranges && r[i].hi == pn) {
        r[i].hi = pn + 1;
        return;
    }
    if (i >= CHAN_ACK_RANGES)
        return;
    uint32_t moved = s->ranges - i;
    if (s->ranges == CHAN_ACK_RANGES)
        moved--;
    else
        s->ranges++;
    memmove(r + i + 1, r + i, moved * sizeof *r);
    r[i] = (struct chan_range){pn, pn + 1};
}

// Packets that came in this round trip or the last one.
static uint32_t window(struct chan_seen *s, usec_t now, usec_t rtt_us)
{
    if (now - s->round_at >= rtt_us) {
        s->window_packets = now - s->round_at < 2 * rtt_us ? s->round_packets : 0;
        s->round_packets = 0;
        s->round_at = now;
    }
    s->round_packets++;
    return s->window_packets > s->round_packets ? s->window_packets : s->round_packets;
}

static uint32_t limit(uint32_t packets, uint32_t least, uint32_t most)
{
    return packets < least ? least : packets > most ? most : packets;
}

static void due_by(struct chan_seen *s, usec_t at)
{
    if (at < s->ack_deadline)
        s->ack_deadline = at;
}

static void schedule(struct chan_seen *s, usec_t now, bool soon, bool in_order, usec_t rtt_us)
{
    uint32_t every =
        limit(window(s, now, rtt_us) / CHAN_ACK_WINDOW_SHARE, CHAN_ACK_EVERY, CHAN_ACK_EVERY_MAX);
    usec_t wait = rtt_us / CHAN_ACK_RTT_SHARE,
           gap_at = s->acked_at + rtt_us / CHAN_ACK_GAP_RTT_SHARE;
    wait = wait < CHAN_ACK_DELAY_US_MIN ? CHAN_ACK_DELAY_US_MIN : wait;
    s->unacked++;
    if (soon || s->unacked >= every || (!in_order && gap_at <= now)) {
        s->ack_now = true;
        return;
    }
    due_by(s, now + (wait < CHAN_ACK_DELAY_US ? wait : CHAN_ACK_DELAY_US));
    if (!in_order)
        due_by(s, gap_at);
}

void chan_seen_acknowledge(struct chan_seen *s, usec_t now, uint64_t pn, bool eliciting, bool soon,
                           usec_t rtt_us)
{
    bool in_order = s->ranges > 0 && pn == s->range[0].hi;
    bool largest = s->ranges == 0 || pn >= s->range[0].hi;
    if (in_order)
        s->range[0].hi = pn + 1;
    else
        insert(s, pn);
    // A range that reaches below the replay window is cut: its length must fit the wire's u16.
    while (s->ranges > 0 && s->range[s->ranges - 1].hi + CHAN_REPLAY_PACKETS <= s->next)
        s->ranges--;
    if (s->ranges > 0 && s->range[s->ranges - 1].lo + CHAN_REPLAY_PACKETS < s->next)
        s->range[s->ranges - 1].lo = s->next - CHAN_REPLAY_PACKETS;
    if (largest)
        s->largest_at = now;
    if (eliciting)
        schedule(s, now, soon, in_order, rtt_us);
}

void chan_seen_put(struct chan_seen *s, usec_t now, struct wr *w, bool beside)
{
    if (s->ranges == 0)
        return;
    size_t room = (w->left - CHAN_ACK_BYTES(1) - CHAN_ACK_ECN_BYTES) / 4 + 1;
    uint32_t most = beside ? CHAN_ACK_RANGES_BESIDE : CHAN_ACK_RANGES;
    most = room < most ? (uint32_t)room : most;
    uint32_t ranges = s->ranges < most ? s->ranges : most;
    if (s->ect != s->told_ect || s->ce != s->told_ce)
        chan_wire_ack_ecn(w, s->range, ranges, now - s->largest_at, s->ect, s->ce);
    else
        chan_wire_ack(w, s->range, ranges, now - s->largest_at);
    s->told_ect = s->ect;
    s->told_ce = s->ce;
    s->unacked = 0;
    s->ack_now = false;
    s->ack_deadline = USEC_NEVER;
    s->acked_at = now;
}

void chan_seen_told(struct chan_seen *s, uint64_t next)
{
    while (s->ranges > 1 && s->range[s->ranges - 1].hi < next)
        s->ranges--;
}
