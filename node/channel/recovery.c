#include "node/channel/recovery.h"

void chan_recovery_init(struct chan_recovery *r, usec_t rtt_hint_us)
{
    memset(r, 0, sizeof *r);
    r->srtt_us = rtt_hint_us > 0 ? rtt_hint_us : CHAN_INITIAL_RTT_US;
    if (r->srtt_us > USEC_PER_S)
        r->srtt_us = USEC_PER_S;
    r->rttvar_us = r->srtt_us / 2;
    r->pto_max_us = CHAN_PTO_EARLY_US_MAX;
    r->loss_at = USEC_NEVER;
    r->unanswered_at = USEC_NEVER;
    r->skipped = UINT64_MAX;
    chan_cc_init(&r->cc);
}

void chan_recovery_free(struct chan_recovery *r, struct arena *a)
{
    if (r->ring != NULL)
        arena_give(a, r->ring, r->cap * sizeof *r->ring);
    r->ring = NULL;
    r->cap = 0;
}

static struct chan_sent *at(const struct chan_recovery *r, uint64_t pn)
{
    return &r->ring[pn & (r->cap - 1)];
}

bool chan_recovery_room(struct chan_recovery *r, struct arena *a)
{
    if (r->next - r->base < r->cap)
        return true;
    if (r->cap >= CHAN_SENT_PACKETS_MAX)
        return false;
    uint32_t cap = r->cap == 0 ? CHAN_SENT_PACKETS_MIN : r->cap * 2;
    struct chan_sent *ring = arena_take(a, cap * sizeof *ring);
    if (ring == NULL)
        return false;
    for (uint64_t pn = r->base; pn < r->next; pn++)
        ring[pn & (cap - 1)] = *at(r, pn);
    chan_recovery_free(r, a);
    r->ring = ring;
    r->cap = cap;
    return true;
}

void chan_recovery_shrink(struct chan_recovery *r, struct arena *a)
{
    if (r->base != r->next || r->cap <= CHAN_SENT_PACKETS_MIN)
        return;
    struct chan_sent *ring = arena_take(a, CHAN_SENT_PACKETS_MIN * sizeof *ring);
    if (ring == NULL)
        return; // what is there is better than nothing
    chan_recovery_free(r, a);
    r->ring = ring;
    r->cap = CHAN_SENT_PACKETS_MIN;
}

static void advance(struct chan_recovery *r)
{
    while (r->base < r->next && (at(r, r->base)->flags & CHAN_SENT_DONE))
        r->base++;
}

void chan_recovery_sent(struct chan_recovery *r, usec_t now, const struct chan_sent *s)
{
    assert(r->next - r->base < r->cap);
    struct chan_sent *slot = at(r, r->next++);
    *slot = *s;
    slot->at = now;
    if (s->flags & CHAN_SENT_ELICITING) {
        r->tracked++;
        r->last_at = now;
        r->last_full = s->bytes > CLASS_MEDIUM;
        if (r->unanswered_at == USEC_NEVER)
            r->unanswered_at = now;
        chan_cc_sent(&r->cc, s->bytes);
    } else {
        slot->flags |= CHAN_SENT_DONE;
        advance(r);
    }
}

void chan_recovery_skip(struct chan_recovery *r)
{
    if (r->next - r->base + 1 >= r->cap)
        return; // the slot is needed
    r->skipped = r->next;
    *at(r, r->next++) = (struct chan_sent){.flags = CHAN_SENT_DONE};
    advance(r);
}

void chan_recovery_rtt(struct chan_recovery *r, usec_t now, usec_t sample_us, usec_t delay_us)
{
    if (sample_us == 0)
        sample_us = 1;
    r->latest_us = sample_us;
    if (!r->has_rtt) {
        r->has_rtt = true;
        r->first_rtt_at = now;
        r->min_rtt_us = r->srtt_us = sample_us;
        r->rttvar_us = sample_us / 2;
        return;
    }
    if (sample_us < r->min_rtt_us)
        r->min_rtt_us = sample_us;
    if (delay_us > CHAN_ACK_DELAY_US)
        delay_us = CHAN_ACK_DELAY_US;
    if (sample_us >= r->min_rtt_us + delay_us)
        sample_us -= delay_us;
    usec_t off = r->srtt_us > sample_us ? r->srtt_us - sample_us : sample_us - r->srtt_us;
    r->rttvar_us = (3 * r->rttvar_us + off) / 4;
    r->srtt_us = (7 * r->srtt_us + sample_us) / 8;
}

static usec_t four_var(const struct chan_recovery *r)
{
    return 4 * r->rttvar_us > CHAN_GRANULARITY_US ? 4 * r->rttvar_us : CHAN_GRANULARITY_US;
}

usec_t chan_recovery_pto(const struct chan_recovery *r)
{
    // The peer delays only its answers to full packets.
    return r->srtt_us + four_var(r) + (r->last_full ? CHAN_ACK_DELAY_US : 0);
}

usec_t chan_recovery_deadline(const struct chan_recovery *r)
{
    if (r->loss_at != USEC_NEVER)
        return r->loss_at;
    if (r->tracked == 0)
        return USEC_NEVER;
    usec_t pto = chan_recovery_pto(r) << (r->pto_count < 12 ? r->pto_count : 12);
    return r->last_at + (pto < r->pto_max_us ? pto : r->pto_max_us);
}

static void drop(struct chan_recovery *r, struct chan_sent *s)
{
    s->flags |= CHAN_SENT_DONE;
    r->tracked--;
}

// RFC 9002, 6.1 and 7.6.2. Only packets below the largest acknowledged are looked at; of those all but
// the last few have a verdict, so this is O(newly lost).
static void detect(struct chan_recovery *r, usec_t now, const struct chan_sink *sink)
{
    r->loss_at = USEC_NEVER;
    if (r->acked_next == 0)
        return;
    usec_t rtt = r->latest_us > r->srtt_us ? r->latest_us : r->srtt_us;
    usec_t delay = rtt * 9 / 8 > CHAN_GRANULARITY_US ? rtt * 9 / 8 : CHAN_GRANULARITY_US;
    usec_t run_at = USEC_NEVER,
           last_lost_at = 0; // of consecutive lost packets after the first sample
    bool any = false, persistent = false;
    usec_t span = (r->srtt_us + four_var(r) + CHAN_ACK_DELAY_US) * CHAN_PERSISTENT_PTOS;
    for (uint64_t pn = r->base; pn < r->acked_next; pn++) {
        struct chan_sent *s = at(r, pn);
        if (!(s->flags & CHAN_SENT_ELICITING))
            continue;
        if (s->flags & CHAN_SENT_DONE) {
            run_at = USEC_NEVER;
            continue;
        }
        if (r->acked_next - 1 - pn < CHAN_LOSS_PACKETS && s->at + delay > now) {
            if (s->at + delay < r->loss_at)
                r->loss_at = s->at + delay;
            run_at = USEC_NEVER;
            continue;
        }
        drop(r, s);
        r->lost_packets++;
        chan_cc_forgotten(&r->cc, s->bytes);
        if (s->flags & CHAN_SENT_PROBE) {
            sink->lost(sink->ctx, s);
            continue;
        }
        any = true;
        last_lost_at = s->at;
        if (r->has_rtt && s->at > r->first_rtt_at) {
            if (run_at == USEC_NEVER)
                run_at = s->at;
            persistent = persistent || s->at - run_at > span;
        }
        sink->lost(sink->ctx, s);
    }
    if (any)
        chan_cc_congested(&r->cc, now, last_lost_at);
    if (persistent)
        chan_cc_persistent(&r->cc);
    advance(r);
}

int chan_recovery_ack(struct chan_recovery *r, usec_t now, const struct chan_ack *ack,
                      const struct chan_sink *sink)
{
    uint64_t largest = ack->range[0].hi - 1;
    if (largest >= r->next)
        return BAUTA_EFORMAT;
    bool progress = false;
    usec_t sample = 0;
    for (uint32_t i = ack->count; i-- > 0;) { // lowest first: streams advance in order
        if (ack->range[i].lo <= r->skipped && r->skipped < ack->range[i].hi)
            return BAUTA_EFORMAT;
        uint64_t lo = ack->range[i].lo > r->base ? ack->range[i].lo : r->base;
        for (uint64_t pn = lo; pn < ack->range[i].hi; pn++) {
            struct chan_sent *s = at(r, pn);
            if (s->flags & CHAN_SENT_DONE)
                continue;
            if (pn == largest)
                sample = now - s->at + 1;
            drop(r, s);
            chan_cc_acked(&r->cc, s->at, s->bytes);
            progress = true;
            sink->acked(sink->ctx, s);
        }
    }
    bool answer =
        progress || largest + 1 > r->acked_next; // or a late one of a packet held for lost
    if (largest + 1 > r->acked_next)
        r->acked_next = largest + 1;
    if (sample > 0)
        chan_recovery_rtt(r, now, sample - 1, ack->delay_us);
    if (progress) {
        r->pto_count = 0;
        advance(r);
        detect(r, now, sink);
    }
    if (answer)
        r->unanswered_at = r->tracked > 0 ? now : USEC_NEVER;
    return 0;
}

// Packets that only acknowledged keep their slots behind one that nobody answers. Before they fill the
// ring, and nothing could go out any more, that one is given up.
static void make_room(struct chan_recovery *r, const struct chan_sink *sink)
{
    while (r->next - r->base > CHAN_SENT_PACKETS_MAX / 2) {
        struct chan_sent *s = at(r, r->base);
        drop(r, s);
        r->lost_packets++;
        chan_cc_forgotten(&r->cc, s->bytes);
        sink->lost(sink->ctx, s);
        advance(r);
    }
}

bool chan_recovery_expire(struct chan_recovery *r, usec_t now, const struct chan_sink *sink)
{
    if (chan_recovery_deadline(r) > now)
        return false;
    if (r->loss_at != USEC_NEVER) {
        detect(r, now, sink);
        return false;
    }
    r->pto_count++;
    r->last_at = now;
    make_room(r, sink);
    return true;
}

void chan_recovery_again(struct chan_recovery *r, unsigned count, const struct chan_sink *sink)
{
    for (uint64_t pn = r->base; pn < r->next && count > 0; pn++)
        if (!(at(r, pn)->flags & CHAN_SENT_DONE)) {
            sink->lost(sink->ctx, at(r, pn));
            count--;
        }
}

void chan_recovery_forget(struct chan_recovery *r, const struct chan_sink *sink)
{
    for (uint64_t pn = r->base; pn < r->next; pn++) {
        struct chan_sent *s = at(r, pn);
        if (s->flags & CHAN_SENT_DONE)
            continue;
        drop(r, s);
        chan_cc_forgotten(&r->cc, s->bytes);
        sink->lost(sink->ctx, s);
    }
    r->loss_at = USEC_NEVER;
    r->pto_count = 0;
    advance(r);
}

void chan_recovery_new_path(struct chan_recovery *r)
{
    uint64_t in_flight = r->cc.in_flight_bytes;
    chan_cc_init(&r->cc);
    r->cc.in_flight_bytes = in_flight;
    r->has_rtt = false;
    r->pto_count = 0;
}
