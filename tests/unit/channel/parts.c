// The channel's parts by themselves: range sets, blocks, received numbers, recovery, window, messages.
#include "tests/unit/channel/link.h"

// ---- ranges: against a bitmap ----------------------------------------------------------------------------
#define SPACE 2000u

static void check_ranges(struct chan_ranges *s, const bool *map)
{
    const struct chan_range *r = chan_ranges_at(s);
    uint64_t at = 0;
    for (unsigned i = 0; i < s->count; i++) {
        assert_true(r[i].lo < r[i].hi && (i == 0 || r[i].lo > r[i - 1].hi));
        for (; at < r[i].lo; at++)
            assert_false(map[at]);
        for (; at < r[i].hi; at++)
            assert_true(map[at]);
    }
    for (; at < SPACE; at++)
        assert_false(map[at]);
}

static void ranges_are_a_set(void **state)
{
    (void)state;
    struct prng p = {1};
    for (unsigned round = 0; round < 40; round++) {
        struct arena a;
        memory_arena(&a, 1u << 20);
        struct chan_ranges s = {0};
        bool map[SPACE] = {false};
        for (unsigned i = 0; i < 500; i++) {
            uint64_t lo = prng_next(&p) % SPACE, len = 1 + prng_next(&p) % (round % 2 ? 4 : 60);
            uint64_t hi = lo + len < SPACE ? lo + len : SPACE;
            bool add = prng_next(&p) % 3 != 0;
            if (add)
                assert_true(chan_ranges_add(&s, &a, lo, hi));
            else
                chan_ranges_cut(&s, &a, lo, hi);
            for (uint64_t k = lo; k < hi; k++)
                map[k] = add;
            check_ranges(&s, map);
        }
        chan_ranges_cut(&s, &a, 0, SPACE);
        assert_int_equal(s.count, 0);
        assert_int_equal(a.used_bytes, 0);
        arena_end(&a);
    }
}

static void ranges_have_a_limit(void **state)
{
    (void)state;
    struct arena a;
    memory_arena(&a, 1u << 20);
    struct chan_ranges s = {0};
    for (uint64_t i = 0; i < CHAN_RANGES_MAX; i++)
        assert_true(chan_ranges_add(&s, &a, 10 * i, 10 * i + 1));
    assert_false(chan_ranges_add(&s, &a, 7, 8));
    assert_int_equal(s.count, CHAN_RANGES_MAX);
    assert_true(chan_ranges_add(&s, &a, 11, 12)); // touches: no new one
    chan_ranges_cover(&s, &a, 7, 8);              // [7, 10) joins what follows
    assert_int_equal(chan_ranges_at(&s)[1].lo, 7);
    chan_ranges_cover(&s, &a, 99999, 100000);
    assert_int_equal(chan_ranges_at(&s)[CHAN_RANGES_MAX - 1].hi, 100000);
    chan_ranges_free(&s, &a);
    assert_int_equal(a.used_bytes, 0);
    arena_end(&a);
    // Without any memory the two in place still work.
    memory_arena(&a, 0);
    assert_true(chan_ranges_add(&s, &a, 1, 2) && chan_ranges_add(&s, &a, 5, 6));
    assert_false(chan_ranges_add(&s, &a, 9, 10));
    chan_ranges_cover(&s, &a, 9, 10);
    assert_int_equal(chan_ranges_at(&s)[1].hi, 10);
    chan_ranges_cut(&s, &a, 6, 8); // a split finds no room: covers more
    assert_int_equal(chan_ranges_at(&s)[1].lo, 5);
    arena_end(&a);
}

// ---- memory runs out: SQLite's way --------------------------------------------------------------------------
static void an_arena_at_its_cap_loses_nothing(void **state)
{
    (void)state;
    unsigned refused = 0, done = 0;
    for (size_t cap = 1024; cap < 200 * 1024; cap += 1536) {
        struct net *n = net_new(cap, PACKET_CHACHA20POLY1305);
        n->end[1].arena.cap_bytes = cap;
        n->end[1].config.receive_bytes = 1;
        int rc = channel_new(&n->end[1].channel, n->now, &n->end[1].config, &n->end[1].arena);
        if (rc != 0) {
            assert_int_equal(rc, BAUTA_ESPACE);
            n->end[1].channel = NULL;
            refused++;
            net_free(n);
            continue;
        }
        n->loss_pm = 20;
        net_start(n, 0);
        end_turn(n, 1);
        NET_UNTIL(n, 3 * USEC_PER_S, net_matched(n));
        assert_true(net_matched(n));
        n->end[0].want[0] = 60000;
        n->end[1].want[0] = 60000;
        end_turn(n, 0);
        end_turn(n, 1);
        NET_UNTIL(n, 30 * USEC_PER_S, net_done(n) || n->end[0].closed || n->end[1].closed);
        done += net_done(n);
        net_free(n);
    }
    assert_true(refused > 3);
    assert_true(done > 60);
}

// ---- received packet numbers -----------------------------------------------------------------------------------
static void acks_say_what_arrived(void **state)
{
    (void)state;
    struct prng p = {2};
    struct chan_seen *s = calloc(1, sizeof *s);
    bool *model = calloc(40000, sizeof *model);
    assert_non_null(s);
    assert_non_null(model);
    chan_seen_init(s);
    uint64_t top = 0;
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t pn = prng_next(&p) % 10 ? top + prng_next(&p) % 3
                                         : (top > 9000 ? top - prng_next(&p) % 9000 : 0);
        bool old = top > CHAN_REPLAY_PACKETS && pn + CHAN_REPLAY_PACKETS < top;
        int rc = chan_seen_check(s, pn);
        if (old || (pn < top && model[pn]))
            assert_int_equal(rc, BAUTA_EREPLAY);
        if (rc != 0)
            continue;
        assert_false(model[pn]);
        model[pn] = true;
        chan_seen_mark(s, pn, 0);
        assert_int_equal(chan_seen_check(s, pn), BAUTA_EREPLAY);
        chan_seen_acknowledge(s, i, pn, true, false, 1000);
        top = pn >= top ? pn + 1 : top;
        assert_in_range(s->ranges, 1, CHAN_ACK_RANGES);
        assert_int_equal(s->range[0].hi, top);
        for (unsigned k = 0; i % 50 == 0 && k < s->ranges; k++) {
            assert_true(k == 0 || s->range[k].hi < s->range[k - 1].lo);
            for (uint64_t q = s->range[k].lo; q < s->range[k].hi; q++)
                assert_true(model[q]);
        }
    }
    free(model);
    free(s);
}

// The window slides word by word as it would number by number.
static void the_replay_window_slides(void **state)
{
    (void)state;
    struct chan_seen *s = calloc(1, sizeof *s);
    uint64_t *when =
        calloc(CHAN_REPLAY_PACKETS, sizeof *when); // the number seen last at this place, + 1
    assert_non_null(s);
    assert_non_null(when);
    struct prng p = {4};
    chan_seen_init(s);
    for (unsigned i = 0; i < 200000; i++) {
        static const uint64_t far[] = {2, 70, 200, CHAN_REPLAY_PACKETS + 3};
        uint64_t span = far[prng_next(&p) % (i % 512 == 0 ? 4 : 3)];
        uint64_t back = prng_next(&p) % (i % 3 == 0 ? CHAN_REPLAY_PACKETS + 9 : 100);
        uint64_t pn = prng_next(&p) % 2 ? s->next + prng_next(&p) % span
                      : s->next > back  ? s->next - back
                                        : 0;
        bool fresh = pn >= s->next || (s->next - pn <= CHAN_REPLAY_PACKETS &&
                                       when[pn % CHAN_REPLAY_PACKETS] != pn + 1);
        assert_int_equal(chan_seen_check(s, pn), fresh ? 0 : BAUTA_EREPLAY);
        if (!fresh)
            continue;
        chan_seen_mark(s, pn, 0);
        when[pn % CHAN_REPLAY_PACKETS] = pn + 1;
    }
    free(when);
    free(s);
}

static void acks_are_timely(void **state)
{
    (void)state;
    struct chan_seen *s = calloc(1, sizeof *s);
    assert_non_null(s);
    chan_seen_init(s);
    uint8_t buf[200];
    struct wr w = wr_init(buf, sizeof buf);
    const usec_t rtt = 40000;
    assert_false(chan_seen_due(s, 1000));
    chan_seen_acknowledge(s, 1000, 0, false, true, rtt); // an ACK is not acknowledged
    assert_false(chan_seen_due(s, 999999));
    chan_seen_acknowledge(s, 1000, 1, true, false, rtt); // one full packet: wait
    assert_false(chan_seen_due(s, 1000));
    assert_false(chan_seen_due(s, 1000 + rtt / 4 - 1));
    assert_true(chan_seen_due(s, 1000 + rtt / 4));
    chan_seen_acknowledge(s, 1001, 2, true, false, rtt); // two: now
    assert_true(chan_seen_due(s, 1001));
    chan_seen_put(s, 1002, &w, false);
    assert_int_equal(wr_len(&w), CHAN_ACK_BYTES(1));
    assert_false(chan_seen_due(s, 9999999));
    chan_seen_acknowledge(s, 1003, 3, true, true, rtt); // a small one: now
    assert_true(chan_seen_due(s, 1003));
    chan_seen_put(s, 1003, &w, false);
    chan_seen_acknowledge(s, 6003, 5, true, false, rtt); // a gap: now
    assert_true(chan_seen_due(s, 6003));
    chan_seen_put(s, 6003, &w, false);
    chan_seen_acknowledge(s, 6004, 7, true, false, rtt); // the next one: soon
    assert_false(chan_seen_due(s, 6003 + rtt / 16 - 1));
    assert_true(chan_seen_due(s, 6003 + rtt / 16));
    free(s);
}

// In bulk an ACK goes for an eighth of what comes in a round trip; ever more seldom as that grows.
static void acks_get_thin_in_bulk(void **state)
{
    (void)state;
    static const struct {
        usec_t rtt, gap;                   // gap between packets
        uint32_t packets_min, packets_max; // an ACK
    } bulk[] = {
        {40000, 50, 90, 110},   // 200 Mbit/s: 800 in a round trip
        {40000, 2, 128, 128},   // 5 Gbit/s
        {40000, 1000, 4, 6},    // 10 Mbit/s: 40
        {40000, 10000, 2, 2},   // 1 Mbit/s
        {100, 1, 11, 13},       // loopback
        {300000, 1000, 24, 38}, // a long way: after 25 ms
    };
    for (unsigned i = 0; i < sizeof bulk / sizeof *bulk; i++) {
        struct chan_seen *s = calloc(1, sizeof *s);
        assert_non_null(s);
        chan_seen_init(s);
        usec_t now = 1000000;
        uint32_t acks = 0, packets = 0;
        for (uint64_t pn = 0; now < 1000000 + 20 * bulk[i].rtt; pn++, now += bulk[i].gap) {
            chan_seen_mark(s, pn, 0);
            chan_seen_acknowledge(s, now, pn, true, false, bulk[i].rtt);
            bool late = now >= 1000000 + 10 * bulk[i].rtt;
            packets += late;
            if (!chan_seen_due(s, now))
                continue;
            acks += late;
            uint8_t buf[200];
            struct wr w = wr_init(buf, sizeof buf);
            chan_seen_put(s, now, &w, false);
        }
        assert_true(acks > 0);
        assert_in_range(acks > 0 ? packets / acks : 0, bulk[i].packets_min, bulk[i].packets_max);
        free(s);
    }
}

// ---- recovery ---------------------------------------------------------------------------------------------------
struct verdicts {
    unsigned acked, lost;
};

static void count_acked(void *ctx, const struct chan_sent *s)
{
    (void)s;
    ((struct verdicts *)ctx)->acked++;
}

static void count_lost(void *ctx, const struct chan_sent *s)
{
    (void)s;
    ((struct verdicts *)ctx)->lost++;
}

struct bench {
    struct arena arena;
    struct chan_recovery r;
    struct verdicts v;
    struct chan_sink sink;
};

static void bench_init(struct bench *b)
{
    memset(b, 0, sizeof *b);
    memory_arena(&b->arena, 4u << 20);
    chan_recovery_init(&b->r, CHAN_CC_RENO, 0, 1);
    b->sink = (struct chan_sink){&b->v, count_acked, count_lost, count_lost};
}

static void bench_end(struct bench *b)
{
    chan_recovery_free(&b->r, &b->arena);
    assert_int_equal(b->arena.used_bytes, 0);
    arena_end(&b->arena);
}

static void send_at(struct bench *b, usec_t now)
{
    assert_true(chan_recovery_room(&b->r, &b->arena));
    chan_recovery_sent(&b->r, now,
                       &(struct chan_sent){.bytes = CLASS_FULL, .flags = CHAN_SENT_ELICITING});
}

static int ack_at(struct bench *b, usec_t now, uint64_t lo, uint64_t last)
{
    struct chan_ack ack = {.count = 1, .range = {{lo, last + 1}}};
    return chan_recovery_ack(&b->r, now, &ack, &b->sink);
}

static void rtt_follows_rfc9002(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    chan_recovery_rtt(&b.r, 1, 100000, 0);
    assert_int_equal(b.r.srtt_us, 100000);
    assert_int_equal(b.r.rttvar_us, 50000);
    // adjusted 120000: rttvar = 3/4 * 50000 + 1/4 * 20000, srtt = 7/8 * 100000 + 1/8 * 120000
    chan_recovery_rtt(&b.r, 2, 130000, 10000);
    assert_int_equal(b.r.rttvar_us, 42500);
    assert_int_equal(b.r.srtt_us, 102500);
    assert_int_equal(b.r.min_rtt_us, 100000);
    assert_int_equal(b.r.latest_us, 130000);
    // A delay that would go below the minimum is not believed.
    chan_recovery_rtt(&b.r, 3, 101000, 20000);
    assert_int_equal(b.r.srtt_us, (7 * 102500 + 101000) / 8);
    assert_int_equal(chan_recovery_pto(&b.r), b.r.srtt_us + 4 * b.r.rttvar_us);
    bench_end(&b);
}

static void losses_are_found_by_number_and_time(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    for (unsigned i = 0; i < 5; i++)
        send_at(&b, 1000000);
    assert_int_equal(b.r.cc.in_flight_bytes, 5 * CLASS_FULL);
    assert_int_equal(ack_at(&b, 1050000, 4, 4), 0); // 0 and 1 are three behind; 2 and 3 are not
    assert_int_equal(b.v.acked, 1);
    assert_int_equal(b.v.lost, 2);
    assert_int_equal(b.r.loss_at, 1000000 + 50000 * 9 / 8);
    assert_int_equal(b.r.cc.window.cwnd_bytes,
                     (CHAN_CWND_INITIAL + CLASS_FULL) / 2); // the ACK came first
    assert_false(chan_recovery_expire(&b.r, b.r.loss_at, &b.sink));
    assert_int_equal(b.v.lost, 4);
    assert_int_equal(b.r.cc.in_flight_bytes, 0);
    assert_int_equal(b.r.cc.window.cwnd_bytes,
                     (CHAN_CWND_INITIAL + CLASS_FULL) / 2); // once a round trip
    assert_int_equal(chan_recovery_deadline(&b.r), USEC_NEVER);
    assert_int_equal(b.r.lost_packets, 4);
    assert_int_equal(ack_at(&b, 1060000, 0, 4), 0); // they were only late
    assert_int_equal(b.v.acked, 5);
    assert_int_equal(b.r.lost_packets, 0);
    assert_int_equal(b.r.cc.window.cwnd_bytes, CHAN_CWND_INITIAL + CLASS_FULL); // the cut is undone
    assert_true(b.r.reordered);
    assert_in_range(b.r.reorder_us, 60000 - b.r.srtt_us, b.r.srtt_us);
    assert_int_equal(b.r.base, b.r.next);                       // nothing more is remembered
    assert_int_equal(ack_at(&b, 1060000, 0, 5), BAUTA_EFORMAT); // 5 was never sent
    bench_end(&b);
}

// Backoff doubles up to a limit, which is short until the first step is done.
static void probe_timeouts(usec_t max_us)
{
    struct bench b;
    bench_init(&b);
    assert_int_equal(b.r.pto_max_us, CHAN_PTO_EARLY_US_MAX);
    b.r.pto_max_us = max_us;
    chan_recovery_rtt(&b.r, 1, 40000, 0);
    usec_t now = 1000000, pto = 40000 + 80000 + 22000;
    send_at(&b, now);
    for (unsigned i = 0; i < 5; i++) {
        usec_t at = chan_recovery_deadline(&b.r);
        assert_int_equal(at - now, pto << i < max_us ? pto << i : max_us);
        assert_false(chan_recovery_expire(&b.r, at - 1, &b.sink));
        assert_true(chan_recovery_expire(&b.r, at, &b.sink));
        now = at;
        send_at(&b, now);
    }
    assert_int_equal(b.v.lost, 0); // a timeout is no verdict
    assert_int_equal(ack_at(&b, now + 40000, 5, 5), 0);
    assert_int_equal(b.r.pto_count, 0);
    bench_end(&b);
}

static void probe_timeouts_back_off(void **state)
{
    (void)state;
    probe_timeouts(CHAN_PTO_EARLY_US_MAX);
    probe_timeouts(CHAN_PTO_US_MAX);
}

// An ACK that somebody held back for half a minute makes the round trip look that long: what waits is asked for
// in time all the same.
static void a_held_ack_stretches_no_timer(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    b.r.pto_max_us = CHAN_PTO_US_MAX;
    usec_t now = 1000000;
    send_at(&b, now);
    assert_int_equal(ack_at(&b, now += 30 * USEC_PER_S, 0, 0), 0);
    assert_true(chan_recovery_pto(&b.r) <= CHAN_PTO_US_MAX);
    send_at(&b, now);
    send_at(&b, now);
    assert_int_equal(ack_at(&b, now += 40000, 2, 2),
                     0); // 1 may be only late: it has 9/8 of a round trip
    assert_int_not_equal(b.r.loss_at, USEC_NEVER);
    assert_true(chan_recovery_deadline(&b.r) <= now + CHAN_PTO_US_MAX);
    assert_true(chan_recovery_expire(&b.r, chan_recovery_deadline(&b.r), &b.sink));
    bench_end(&b);
}

// A round trip of a microsecond, as only a peer that lies makes us see, is no rate that products overflow with.
static void a_rate_has_a_most(void **state)
{
    (void)state;
    struct chan_rate r = {0};
    struct chan_mark mark = chan_rate_sent(&r, 1000000, 0, CLASS_FULL);
    struct chan_feedback f = {.now = 1000001, .acked_bytes = CHAN_CWND_MAX};
    chan_rate_acked(&r, &mark, 1000000, 0, &f);
    assert_int_equal(f.bandwidth, CHAN_RATE_MAX);
    assert_true(CHAN_RATE_MAX * 3 <= (uint64_t)INT64_MAX / CHAN_PACE_GAP_US_MAX);
}

// Losses that are taken back leave no debt behind: one real loss after them is one.
static void losses_taken_back_are_no_loss(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    chan_recovery_init(&b.r, CHAN_CC_BBR, 40000, 1);
    usec_t now = 1000000;
    for (unsigned i = 0; i < 8; i++)
        send_at(&b, now);
    assert_int_equal(ack_at(&b, now += 40000, 6, 7), 0);
    assert_true(b.v.lost >= 4);
    for (unsigned i = 0; i < 8; i++)
        send_at(&b, now);
    uint64_t before = b.r.cc.rate.lost_bytes;
    assert_int_equal(ack_at(&b, now += 1000, 0, 4), 0);
    assert_true(b.r.cc.rate.lost_bytes < before);
    assert_int_equal(ack_at(&b, now += 40000, 9, 15), 0);
    (void)chan_recovery_expire(&b.r, now + 60000, &b.sink);
    assert_int_equal(b.v.lost, 7); // five that came late, 5 and 8
    assert_false(b.r.cc.of.bbr.full);
    assert_false(b.r.cc.of.bbr.congested);
    bench_end(&b);
}

static void acks_alone_do_not_fill_the_ring(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    usec_t now = 1000000;
    send_at(&b, now); // lost
    while (chan_recovery_room(&b.r, &b.arena))
        chan_recovery_sent(&b.r, ++now, &(struct chan_sent){.bytes = CLASS_TINY});
    assert_int_equal(b.r.next, CHAN_SENT_PACKETS_MAX);
    assert_true(chan_recovery_expire(&b.r, chan_recovery_deadline(&b.r), &b.sink));
    assert_int_equal(b.v.lost, 1);
    assert_int_equal(b.r.cc.in_flight_bytes, 0);
    send_at(&b, now); // the probe
    assert_int_equal(ack_at(&b, now + 40000, b.r.next - 1, b.r.next - 1), 0);
    assert_int_equal(b.v.acked, 1);
    bench_end(&b);
}

static void persistent_congestion_starts_over(void **state)
{
    (void)state;
    for (int cut = 0; cut < 2; cut++) {
        struct bench b;
        bench_init(&b);
        send_at(&b, 1000000);
        assert_int_equal(ack_at(&b, 1040000, 0, 0), 0);
        // srtt 40, var 15 ms: persistent after 3 * (40 + 60 + 25) = 375 ms of nothing but loss
        usec_t now = 2000000;
        for (unsigned i = 1; i <= 6; i++, now += 100000) {
            send_at(&b, now);
            if (cut && i == 3) // this one arrived: two shorter runs
                assert_int_equal(ack_at(&b, now + 40000, 3, 3), 0);
        }
        send_at(&b, now);
        assert_int_equal(ack_at(&b, now + 40000, 7, 7), 0);
        assert_int_equal(b.v.lost, cut ? 5 : 6);
        assert_int_equal(b.r.cc.window.cwnd_bytes == CHAN_CWND_MIN_PACKETS * CLASS_FULL, !cut);
        bench_end(&b);
    }
}

static void the_window_grows_only_when_used(void **state)
{
    (void)state;
    struct chan_reno c;
    struct chan_window w = {.packet_bytes = CLASS_FULL};
    chan_reno_init(&c, &w, 1000);
    struct chan_feedback f = {.now = 2,
                              .srtt_us = 1000,
                              .acked_sent_at = 1,
                              .acked_bytes = 1000,
                              .acked_packets = 1,
                              .in_flight_bytes = 1000};
    chan_reno_feedback(&c, &w, &f); // mostly idle: no growth
    assert_int_equal(w.cwnd_bytes, CHAN_CWND_INITIAL);
    w.limited = true;
    f.acked_bytes = f.in_flight_bytes = CHAN_CWND_INITIAL;
    chan_reno_feedback(&c, &w, &f); // slow start doubles
    assert_int_equal(w.cwnd_bytes, 2 * CHAN_CWND_INITIAL);
    f = (struct chan_feedback){
        .now = 10, .srtt_us = 1000, .lost_packets = 1, .lost_bytes = CLASS_FULL, .lost_sent_at = 5};
    chan_reno_feedback(&c, &w, &f);
    assert_int_equal(w.cwnd_bytes, CHAN_CWND_INITIAL);
    f.now = 11;
    f.lost_sent_at = 9; // sent before the recovery began
    chan_reno_feedback(&c, &w, &f);
    chan_reno_marked(&c, &w, 11, 9);
    assert_int_equal(w.cwnd_bytes, CHAN_CWND_INITIAL);
    f = (struct chan_feedback){.now = 12,
                               .srtt_us = 1000,
                               .acked_packets = 1,
                               .acked_bytes = CLASS_FULL,
                               .acked_sent_at = 12};
    uint64_t acked = 0;
    while (w.cwnd_bytes == CHAN_CWND_INITIAL) { // avoidance: a packet a window
        chan_reno_feedback(&c, &w, &f);
        acked += CLASS_FULL;
    }
    assert_int_equal(acked, CHAN_CWND_INITIAL);
    assert_int_equal(w.cwnd_bytes, CHAN_CWND_INITIAL + CLASS_FULL);
    assert_in_range(w.pace_rate, w.cwnd_bytes * 1000,
                    w.cwnd_bytes * 1300); // a little over a window
    chan_reno_marked(&c, &w, 20, 19);
    assert_int_equal(w.cwnd_bytes, (CHAN_CWND_INITIAL + CLASS_FULL) / 2);
}

static void bbr_undoes_what_late_packets_taught(void **state)
{
    (void)state;
    struct chan_bbr c;
    struct chan_window w = {.packet_bytes = CLASS_FULL};
    struct chan_rate rate = {0};
    chan_bbr_init(&c, &w, 40000, 1);
    for (unsigned i = 0; i < 3; i++) { // the last round trip shows a queue
        rate.delivered_bytes += 100000;
        struct chan_feedback f = {.now = 1000000 + i * 40000,
                                  .rtt_us = i < 2 ? 40000 : 60000,
                                  .srtt_us = 40000,
                                  .in_flight_bytes = 100000,
                                  .acked_bytes = 50000,
                                  .acked_packets = 40,
                                  .bandwidth = 2500000,
                                  .sample_bytes = 100000,
                                  .prior_delivered_bytes = i * 100000,
                                  .rate = &rate};
        chan_bbr_feedback(&c, &w, &f);
    }
    assert_int_equal(c.state, CHAN_BBR_STARTUP);
    struct chan_feedback f = {.now = 1100000,
                              .srtt_us = 40000,
                              .in_flight_bytes = 100000,
                              .lost_bytes = 20000,
                              .lost_packets = 16,
                              .lost_sent_at = 1050000,
                              .lost_in_flight_bytes = 100000,
                              .lost_since_bytes = 20000,
                              .rate = &rate};
    chan_bbr_feedback(&c, &w, &f);
    assert_true(c.full);
    assert_in_range(c.bounds.inflight_high_bytes, 80000, 100000);
    f = (struct chan_feedback){
        .now = 1101000, .srtt_us = 40000, .spurious_packets = 15, .rate = &rate};
    chan_bbr_feedback(&c, &w, &f);
    assert_true(c.full); // one of them is lost still
    f.spurious_packets = 1;
    chan_bbr_feedback(&c, &w, &f);
    assert_false(c.full);
    assert_int_equal(c.state, CHAN_BBR_STARTUP);
    assert_int_equal(c.bounds.inflight_high_bytes, UINT64_MAX);
}

static void each_number_left_out_is_a_trap(void **state)
{
    (void)state;
    for (unsigned trap = 0; trap < 2; trap++) {
        struct bench b;
        bench_init(&b);
        for (unsigned i = 0; i < 20; i++) { // 5 and 15 are left out
            if (i == 5 || i == 15)
                chan_recovery_skip(&b.r, 1000000);
            else
                send_at(&b, 1000000);
        }
        assert_int_equal(ack_at(&b, 1040000, 16, 19), 0); // what was before them counts as lost
        assert_int_equal(b.v.lost, 14);
        assert_int_equal(ack_at(&b, 1041000, trap == 0 ? 4 : 14, trap == 0 ? 6 : 19),
                         BAUTA_EFORMAT);
        bench_end(&b);
    }
}

static void packets_leave_at_the_pace(void **state)
{
    (void)state;
    struct chan_pace p;
    chan_pace_init(&p, 1000);
    p.at = 500;
    chan_pace_refill(&p, 1000);
    for (unsigned i = 0; i < 1000; i++) { // not paced
        assert_true(chan_pace_may(&p));
        chan_pace_sent(&p, 1000);
    }
    static const uint64_t rates[] = {1000, 100000, 10000000, 1300000000};
    for (unsigned r = 0; r < sizeof rates / sizeof *rates; r++) {
        chan_pace_init(&p, 1000);
        p.rate = rates[r];
        usec_t now = 77;
        p.at = now;
        uint64_t sent = 0, most = 0, calls = 0;
        while (now < 77 + 10 * USEC_PER_S) {
            chan_pace_refill(&p, now);
            uint64_t group = 0;
            while (chan_pace_may(&p)) {
                chan_pace_sent(&p, 1000);
                group += 1000;
            }
            p.waits = true;
            sent += group;
            calls++;
            most = group > most ? group : most;
            assert_true(chan_pace_deadline(&p) > now);
            now = chan_pace_deadline(&p);
        }
        // The rate, and the burst at the start; no more than a call in a millisecond.
        assert_in_range(sent, rates[r] * 10 - rates[r] / 500,
                        rates[r] * 10 + rates[r] / 500 + 14000);
        assert_in_range(calls, 1, 10001);
        assert_in_range(most, 10000, rates[r] / 500 + 12000);
        // A timer that is late while something waits is made good, within limits.
        int64_t quantum = rates[r] > 2000000 ? (int64_t)rates[r] * 1000 : INT64_C(2000000000);
        now += 3 * USEC_PER_MS;
        chan_pace_refill(&p, now);
        assert_true(p.credit >= (int64_t)rates[r] * 3000);
        p.waits = true;
        now += USEC_PER_S * 1000;
        chan_pace_refill(&p, now);
        assert_in_range(p.credit, 8 * quantum, 8 * quantum + INT64_C(10000000000));
        p.waits = false;
        now += USEC_PER_S * 1000; // a long pause is not saved up
        chan_pace_refill(&p, now);
        assert_in_range(p.credit / 1000000, 10000, rates[r] / 500 + 10000);
    }
}

// ---- ratchet messages ----------------------------------------------------------------------------------------------
static void messages_survive_any_cutting(void **state)
{
    (void)state;
    struct prng p = {3};
    for (unsigned round = 0; round < 50; round++) {
        struct chan_message_out *out = calloc(1, sizeof *out);
        struct chan_message_in *in = calloc(1, sizeof *in);
        assert_non_null(out);
        assert_non_null(in);
        uint8_t whole[CHAN_RATCHET_BYTES];
        size_t total = 1 + prng_next(&p) % CHAN_RATCHET_BYTES;
        prng_fill(&p, whole, total);
        memcpy(out->data, whole, total);
        chan_message_begin(out, 1, 1, total);
        int done = 0;
        uint8_t serial = out->serial;
        while (out->len > 0) {
            uint16_t offset, len;
            assert_true(chan_message_take(out, 1 + prng_next(&p) % 300, &offset, &len));
            if (prng_next(&p) % 2) {
                chan_message_lost(out, serial, offset, len);
                continue;
            }
            struct chan_frame f = {
                .type = CHAN_RATCHET, .offset = offset, .len = len, .data = out->data + offset};
            done = chan_message_put(in, &f, total);
            assert_true(done >= 0);
            if (prng_next(&p) % 2)
                chan_message_acked(out, serial, offset, len);
            else
                chan_message_lost(out, serial, offset, len);     // the ACK was lost
            chan_message_lost(out, (uint8_t)(serial + 1), 0, 1); // of another message: nothing
        }
        assert_int_equal(done, 1);
        assert_memory_equal(in->data, whole, total);
        struct chan_frame f = {.type = CHAN_RATCHET, .offset = total, .len = 1, .data = whole};
        assert_int_equal(chan_message_put(in, &f, total), BAUTA_EFORMAT);
        free(in);
        free(out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_are_a_set),
        cmocka_unit_test(ranges_have_a_limit),
        cmocka_unit_test(an_arena_at_its_cap_loses_nothing),
        cmocka_unit_test(acks_say_what_arrived),
        cmocka_unit_test(the_replay_window_slides),
        cmocka_unit_test(acks_are_timely),
        cmocka_unit_test(acks_get_thin_in_bulk),
        cmocka_unit_test(rtt_follows_rfc9002),
        cmocka_unit_test(losses_are_found_by_number_and_time),
        cmocka_unit_test(probe_timeouts_back_off),
        cmocka_unit_test(a_held_ack_stretches_no_timer),
        cmocka_unit_test(a_rate_has_a_most),
        cmocka_unit_test(losses_taken_back_are_no_loss),
        cmocka_unit_test(acks_alone_do_not_fill_the_ring),
        cmocka_unit_test(persistent_congestion_starts_over),
        cmocka_unit_test(the_window_grows_only_when_used),
        cmocka_unit_test(bbr_undoes_what_late_packets_taught),
        cmocka_unit_test(each_number_left_out_is_a_trap),
        cmocka_unit_test(packets_leave_at_the_pace),
        cmocka_unit_test(messages_survive_any_cutting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
