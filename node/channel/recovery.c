#include "node/channel/recovery.h"

void chan_recovery_init(struct chan_recovery *r, enum chan_cc_kind kind, usec_t rtt_hint_us,
                        uint64_t seed)
{
    memset(r, 0, sizeof *r);
    r->srtt_us = rtt_hint_us > 0 ? rtt_hint_us : CHAN_INITIAL_RTT_US;
    if (r->srtt_us > USEC_PER_S)
        r->srtt_us = USEC_PER_S;
    r->rttvar_us = r->srtt_us / 2;
    r->pto_max_us = CHAN_PTO_EARLY_US_MAX;
    r->loss_at = USEC_NEVER;
    r->unanswered_at = USEC_NEVER;
    chan_cc_init(&r->cc, kind, r->srtt_us, seed);
}

// ---- the ring -----------------------------------------------------------------------------------------
size_t chan_recovery_ring_bytes(uint32_t cap)
{
    return cap * (sizeof(struct chan_sent)) + 2 * (cap / 8);
}

static void use_ring(struct chan_recovery *r, struct chan_sent *ring, uint32_t cap)
{
    r->ring = ring;
    r->cap = cap;
    r->open = ring != NULL ? (uint64_t *)(void *)(ring + cap) : NULL;
    r->flying = ring != NULL ? r->open + cap / 64 : NULL;
}

void chan_recovery_free(struct chan_recovery *r, struct arena *a)
{
    if (r->ring != NULL)
        arena_give(a, r->ring, chan_recovery_ring_bytes(r->cap));
    use_ring(r, NULL, 0);
}

static struct chan_sent *at(const struct chan_recovery *r, uint64_t pn)
{
    return &r->ring[pn & (r->cap - 1)];
}

static void put(const struct chan_recovery *r, uint64_t *set, uint64_t pn)
{
    set[(pn & (r->cap - 1)) / 64] |= UINT64_C(1) << (pn % 64);
}

static void cut(const struct chan_recovery *r, uint64_t *set, uint64_t pn)
{
    set[(pn & (r->cap - 1)) / 64] &= ~(UINT64_C(1) << (pn % 64));
}

// The first of [from, to) that is in the set; `to`: none.
static uint64_t next_in(const struct chan_recovery *r, const uint64_t *set, uint64_t from,
                        uint64_t to)
{
    while (from < to) {
        uint64_t word = set[(from & (r->cap - 1)) / 64] >> (from % 64);
        if (word != 0) {
            from += (unsigned)__builtin_ctzll(word);
            return from < to ? from : to;
        }
        from = (from | 63) + 1;
    }
    return to;
}

static bool resize(struct chan_recovery *r, struct arena *a, uint32_t cap)
{
    struct chan_recovery old = *r;
    struct chan_sent *ring = arena_take(a, chan_recovery_ring_bytes(cap));
    if (ring == NULL)
        return false;
    use_ring(r, ring, cap);
    for (uint64_t pn = r->base; pn < r->next; pn++) {
        ring[pn & (cap - 1)] = *at(&old, pn);
        if (next_in(&old, old.open, pn, pn + 1) == pn)
            put(r, r->open, pn);
        if (next_in(&old, old.flying, pn, pn + 1) == pn)
            put(r, r->flying, pn);
    }
    chan_recovery_free(&old, a);
    return true;
}

// What is only remembered in case that it comes late.
static bool over(const struct chan_sent *s)
{
    return (s->flags & (CHAN_SENT_LOST | CHAN_SENT_SKIPPED)) != 0;
}

static void advance(struct chan_recovery *r, usec_t now)
{
    while ((r->base = next_in(r, r->open, r->base, r->next)) < r->next) {
        const struct chan_sent *s = at(r, r->base);
        if (!over(s) || s->at + CHAN_REMEMBER_RTTS * r->srtt_us > now)
            return;
        cut(r, r->open, r->base);
    }
}

bool chan_recovery_room(struct chan_recovery *r, struct arena *a)
{
    if (r->next - r->base < r->cap)
        return true;
    if (r->cap < CHAN_SENT_PACKETS_MAX &&
        resize(r, a, r->cap == 0 ? CHAN_SENT_PACKETS_MIN : r->cap * 2))
        return true;
    while (r->cap > 0 && r->base < r->next && over(at(r, r->base))) {
        cut(r, r->open, r->base);
        r->base = next_in(r, r->open, r->base, r->next);
    }
    return r->next - r->base < r->cap;
}

void chan_recovery_shrink(struct chan_recovery *r, usec_t now, struct arena *a)
{
    advance(r, now);
    if (r->next - r->base < CHAN_SENT_PACKETS_MIN && r->cap > CHAN_SENT_PACKETS_MIN)
        (void)resize(r, a, CHAN_SENT_PACKETS_MIN); // what is there is better than nothing
}

// ---- out ----------------------------------------------------------------------------------------------
void chan_recovery_sent(struct chan_recovery *r, usec_t now, const struct chan_sent *s)
{
    assert(r->next - r->base < r->cap);
    uint64_t pn = r->next++;
    struct chan_sent *slot = at(r, pn);
    *slot = *s;
    slot->at = now;
    if (!(s->flags & CHAN_SENT_ELICITING)) {
        if (r->base == pn)
            r->base++;
        return;
    }
    put(r, r->open, pn);
    put(r, r->flying, pn);
    r->tracked++;
    r->last_at = now;
    r->last_full = s->bytes > CLASS_MEDIUM;
    if (r->unanswered_at == USEC_NEVER)
        r->unanswered_at = now;
    if (r->cc.rate.limited_until > 0)
        slot->flags |= CHAN_SENT_LIMITED;
    slot->mark = chan_cc_sent(&r->cc, now, s->bytes);
}

void chan_recovery_skip(struct chan_recovery *r, usec_t now)
{
    if (r->next - r->base + 1 >= r->cap)
        return; // the slot is needed
    uint64_t pn = r->next++;
    *at(r, pn) = (struct chan_sent){.at = now, .flags = CHAN_SENT_SKIPPED};
    put(r, r->open, pn);
}

// ---- round trips --------------------------------------------------------------------------------------
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
    // The peer delays only its answers to full packets: by a quarter of the round trip as it knows it.
    usec_t delay = r->srtt_us / 2 + 2 * CHAN_ACK_DELAY_US_MIN;
    if (delay > CHAN_ACK_DELAY_US)
        delay = CHAN_ACK_DELAY_US;
    // Somebody on the path who holds an ACK back for half a minute makes the round trip look that long: the most
    // holds for it too, and a path that is truly so slow gets two packets more every 2 s.
    usec_t pto = r->srtt_us + four_var(r) + (r->last_full ? delay : 0);
    return pto < CHAN_PTO_US_MAX ? pto : CHAN_PTO_US_MAX;
}

usec_t chan_recovery_deadline(const struct chan_recovery *r)
{
    if (r->tracked == 0)
        return r->loss_at;
    usec_t most = r->last_at + r->pto_max_us;
    if (r->loss_at != USEC_NEVER)
        return r->loss_at < most ? r->loss_at : most;
    usec_t pto = chan_recovery_pto(r) << (r->pto_count < 12 ? r->pto_count : 12);
    return pto < r->pto_max_us ? r->last_at + pto : most;
}

// ---- losses -------------------------------------------------------------------------------------------
static void land(struct chan_recovery *r, uint64_t pn)
{
    cut(r, r->flying, pn);
    r->tracked--;
    chan_cc_forgotten(&r->cc, at(r, pn)->bytes);
}

// RFC 9002, 6.1.2, with RACK's allowance for reordering (RFC 8985, 6.2).
static usec_t loss_delay(const struct chan_recovery *r)
{
    usec_t rtt = r->latest_us > r->srtt_us ? r->latest_us : r->srtt_us;
    usec_t delay = rtt + (r->reorder_us > rtt / 8 ? r->reorder_us : rtt / 8);
    return delay > CHAN_GRANULARITY_US ? delay : CHAN_GRANULARITY_US;
}

// Was nothing acknowledged of what was sent from one lost packet to another one that is far later?
static bool persists(const struct chan_recovery *r, uint64_t first, uint64_t last)
{
    usec_t span = (r->srtt_us + four_var(r) + CHAN_ACK_DELAY_US) * CHAN_PERSISTENT_PTOS;
    if (!r->has_rtt || at(r, last)->at - at(r, first)->at <= span)
        return false;
    usec_t run_at = USEC_NEVER;
    for (uint64_t pn = first; pn <= last; pn++) {
        const struct chan_sent *s = at(r, pn);
        if (!(s->flags & CHAN_SENT_ELICITING))
            continue;
        if (!(s->flags & CHAN_SENT_LOST) || s->at <= r->first_rtt_at)
            run_at = USEC_NEVER;
        else if (run_at == USEC_NEVER)
            run_at = s->at;
        else if (s->at - run_at > span)
            return true;
    }
    return false;
}

// Longer than what the path is now known to carry: no congestion took it.
static bool too_long(const struct chan_recovery *r, const struct chan_sent *s)
{
    return s->bytes > r->cc.window.packet_bytes && s->bytes > CLASS_FULL;
}

static void lose(struct chan_recovery *r, uint64_t pn, struct chan_feedback *f,
                 const struct chan_sink *sink)
{
    struct chan_sent *s = at(r, pn);
    land(r, pn);
    s->flags |= CHAN_SENT_LOST;
    r->lost_packets++;
    sink->lost(sink->ctx, s);
    if ((s->flags & CHAN_SENT_PROBE) || pn < r->path_pn || too_long(r, s))
        return;
    s->flags |= CHAN_SENT_COUNTED;
    r->cc.rate.lost_bytes += s->bytes;
    f->lost_bytes += s->bytes;
    f->lost_packets++;
    f->lost_sent_at = s->at;
    f->lost_in_flight_bytes = s->mark.in_flight_bytes;
    f->lost_limited = (s->flags & CHAN_SENT_LIMITED) != 0;
    // Less than none where losses that it was marked with turned out to be only late.
    int32_t since = (int32_t)((uint32_t)r->cc.rate.lost_bytes - s->mark.lost_bytes);
    f->lost_since_bytes = since > 0 ? (uint32_t)since : 0;
}

// RFC 9002, 6.1 and 7.6.2. Packets leave in the order of their numbers, so the first that is not lost ends it.
static void detect(struct chan_recovery *r, usec_t now, struct chan_feedback *f,
                   const struct chan_sink *sink)
{
    r->loss_at = USEC_NEVER;
    if (r->reordered && r->reorder_at + CHAN_REORDER_US < now) {
        r->reordered = false;
        r->reorder_us = 0;
    }
    usec_t delay = loss_delay(r);
    uint64_t pn = r->low > r->base ? r->low : r->base, first = UINT64_MAX, last = 0;
    for (;; pn++) {
        pn = next_in(r, r->flying, pn, r->acked_next);
        if (pn >= r->acked_next)
            break;
        bool behind = !r->reordered && r->acked_next - 1 - pn >= CHAN_LOSS_PACKETS;
        if (!behind && at(r, pn)->at + delay > now) {
            r->loss_at = at(r, pn)->at + delay;
            break;
        }
        lose(r, pn, f, sink);
        first = first < pn ? first : pn;
        last = pn;
    }
    r->low = pn;
    if (first < last)
        f->persistent = persists(r, first, last);
}

// ---- in -----------------------------------------------------------------------------------------------
// It was declared lost, or stood behind others: it was only late.
static void late(struct chan_recovery *r, struct chan_sent *s, struct chan_feedback *f)
{
    r->reorder_at = f->now;
    if (!(s->flags & CHAN_SENT_LOST))
        return;
    r->reordered = true;
    r->lost_packets--;
    usec_t took = f->now - s->at, more = took > r->srtt_us ? took - r->srtt_us : 0;
    if (more > r->srtt_us)
        more = r->srtt_us;
    if (more > r->reorder_us)
        r->reorder_us = more;
    if (!(s->flags & CHAN_SENT_COUNTED))
        return;
    f->spurious_packets++;
    r->cc.rate.lost_bytes -= s->bytes;
}

// The packets of one range. 0, or BAUTA_EFORMAT for a number that was left out.
static int ack_range(struct chan_recovery *r, uint64_t lo, uint64_t hi, struct chan_feedback *f,
                     const struct chan_sink *sink, uint64_t *newest)
{
    for (uint64_t pn = next_in(r, r->open, lo, hi); pn < hi; pn = next_in(r, r->open, pn + 1, hi)) {
        struct chan_sent *s = at(r, pn);
        if (s->flags & CHAN_SENT_SKIPPED)
            return BAUTA_EFORMAT;
        cut(r, r->open, pn);
        if (pn + 1 < r->acked_next)
            late(r, s, f);
        if (!(s->flags & CHAN_SENT_LOST))
            land(r, pn);
        f->acked_packets++;
        f->acked_bytes += s->bytes;
        *newest = pn;
        sink->acked(sink->ctx, s);
    }
    return 0;
}

static void feed(struct chan_recovery *r, struct chan_feedback *f)
{
    f->srtt_us = r->srtt_us;
    chan_cc_feedback(&r->cc, f);
}

int chan_recovery_ack(struct chan_recovery *r, usec_t now, const struct chan_ack *ack,
                      const struct chan_sink *sink)
{
    uint64_t largest = ack->range[0].hi - 1, newest = UINT64_MAX;
    if (largest >= r->next)
        return BAUTA_EFORMAT;
    struct chan_feedback f = {.now = now, .in_flight_bytes = r->cc.in_flight_bytes};
    for (uint32_t i = ack->count; i-- > 0;) { // lowest first: streams advance in order
        uint64_t lo = ack->range[i].lo > r->base ? ack->range[i].lo : r->base;
        int rc = ack_range(r, lo, ack->range[i].hi, &f, sink, &newest);
        if (rc != 0)
            return rc;
    }
    bool answer = newest != UINT64_MAX || largest + 1 > r->acked_next;
    if (largest + 1 > r->acked_next)
        r->acked_next = largest + 1;
    if (newest != UINT64_MAX) {
        const struct chan_sent *s = at(r, newest);
        f.acked_sent_at = s->at;
        f.limited = (s->flags & CHAN_SENT_LIMITED) != 0;
        if (newest == largest && newest >= r->path_pn && !(s->flags & CHAN_SENT_LOST)) {
            f.rtt_us = now - s->at > 0 ? now - s->at : 1;
            f.delay_us = ack->delay_us < CHAN_ACK_DELAY_US ? ack->delay_us : CHAN_ACK_DELAY_US;
            chan_recovery_rtt(r, now, f.rtt_us, ack->delay_us);
        }
        chan_rate_acked(&r->cc.rate, &s->mark, s->at, r->min_rtt_us, &f);
        if (newest < r->path_pn)
            f.bandwidth = 0;
        r->pto_count = 0;
        detect(r, now, &f, sink);
        feed(r, &f);
        advance(r, now);
    }
    if (answer)
        r->unanswered_at = r->tracked > 0 ? now : USEC_NEVER;
    return 0;
}

// Packets that only acknowledged keep their slots behind one that nobody answers. Before they fill the
// ring, and nothing could go out any more, that one is given up.
static void make_room(struct chan_recovery *r, usec_t now, const struct chan_sink *sink)
{
    while (r->next - r->base > CHAN_SENT_PACKETS_MAX / 2) {
        struct chan_sent *s = at(r, r->base);
        if (!over(s)) {
            land(r, r->base);
            r->lost_packets++;
            sink->lost(sink->ctx, s);
        }
        cut(r, r->open, r->base);
        advance(r, now);
    }
}

bool chan_recovery_expire(struct chan_recovery *r, usec_t now, const struct chan_sink *sink)
{
    if (chan_recovery_deadline(r) > now)
        return false;
    if (r->loss_at <= now) {
        struct chan_feedback f = {.now = now, .in_flight_bytes = r->cc.in_flight_bytes};
        detect(r, now, &f, sink);
        feed(r, &f);
        return false;
    }
    r->pto_count++;
    r->last_at = now;
    make_room(r, now, sink);
    return true;
}

void chan_recovery_again(struct chan_recovery *r, unsigned count, const struct chan_sink *sink)
{
    for (uint64_t pn = next_in(r, r->flying, r->base, r->next); pn < r->next && count > 0;
         count--) {
        sink->again(sink->ctx, at(r, pn));
        pn = next_in(r, r->flying, pn + 1, r->next);
    }
}

void chan_recovery_forget(struct chan_recovery *r, const struct chan_sink *sink)
{
    for (uint64_t pn = next_in(r, r->flying, r->base, r->next); pn < r->next;
         pn = next_in(r, r->flying, pn + 1, r->next)) {
        land(r, pn);
        cut(r, r->open, pn);
        sink->again(sink->ctx, at(r, pn));
    }
    r->loss_at = USEC_NEVER;
    r->pto_count = 0;
    r->base = next_in(r, r->open, r->base, r->next);
}

void chan_recovery_new_path(struct chan_recovery *r)
{
    chan_cc_new_path(&r->cc, r->srtt_us);
    r->path_pn = r->next;
    r->has_rtt = false;
    r->pto_count = 0;
    r->reordered = false;
    r->reorder_us = 0;
}
