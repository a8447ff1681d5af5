// Congestion control over a bottleneck in virtual time: what share of the link a channel fills, and what it
// leaves to TCP. (Two channels: sharing.c.)
#include "tests/unit/channel/link.h"

#define MBIT 125000u // bytes a second
#define FOREVER (UINT64_C(1) << 40)

struct scene {
    const char *name;
    struct bottleneck neck;
    usec_t delay_us; // one way
    usec_t jitter_us;
    bool scatter;
    unsigned loss_pm, reorder_pm;
    unsigned percent; // of the rate that arrives at the other end as stream bytes, at least
};

static struct net *scene_net(const struct scene *s, struct bottleneck *b, uint64_t seed,
                             enum chan_cc_kind kind)
{
    struct net *n = net_new(seed, PACKET_AEGIS256);
    for (unsigned i = 0; i < 2; i++) {
        n->end[i].config.cc = kind;
        n->end[i].config.receive_bytes = 16u << 20;
        n->end[i].blank = true;
    }
    n->delay_us = s->delay_us;
    n->jitter_us = s->jitter_us;
    n->scatter = s->scatter;
    net_connect(n);
    n->loss_pm = s->loss_pm;
    n->reorder_pm = s->reorder_pm;
    *b = s->neck;
    n->neck[0] = b;
    return n;
}

static void begin(struct net *n, uint64_t bytes)
{
    n->end[0].want[1] += bytes;
    end_turn(n, 0);
}

static void tell(const char *name, const struct net *n, uint64_t permille)
{
    struct channel_status st;
    const struct chan_cc *cc = &n->end[0].channel->recovery.cc;
    const struct bottleneck *b = n->neck[0];
    channel_status(n->end[0].channel, &st);
    print_message(
        "%-26s %3u.%u %%, lost %u, dropped %u, marked %u, queue %u, ACKs %u in %u packets", name,
        (unsigned)permille / 10, (unsigned)permille % 10, (unsigned)st.packets_lost,
        (unsigned)b->dropped, (unsigned)b->marked, (unsigned)b->most_bytes,
        (unsigned)n->end[1].channel->packets_out, (unsigned)st.packets_out);
    if (cc->kind == CHAN_CC_BBR)
        print_message("; %u kB/s, %u of %u us, window %u, high %d, flight %u, state %d\n",
                      (unsigned)(chan_bbr_bandwidth(&cc->of.bbr) / 1000),
                      (unsigned)cc->of.bbr.min_rtt_us, (unsigned)st.srtt_us,
                      (unsigned)st.cwnd_bytes, (int)cc->of.bbr.bounds.inflight_high_bytes,
                      (unsigned)st.in_flight_bytes, (int)cc->of.bbr.state);
    else
        print_message("; window %u\n", (unsigned)st.cwnd_bytes);
}

// Runs for `span`; what arrived of what the rate allows, per mille.
static uint64_t share_of(struct net *n, usec_t span, uint64_t rate)
{
    uint64_t before = n->end[1].got[1];
    net_run(n, n->now + span);
    return (n->end[1].got[1] - before) * 1000 / (rate * span / USEC_PER_S);
}

static uint64_t share(struct net *n, usec_t span)
{
    return share_of(n, span, n->neck[0]->rate);
}

#define LONG_WAY .neck = {.rate = 200 * MBIT, .queue_bytes = 1000000}, .delay_us = 20000

static void links_are_filled(void **state)
{
    (void)state;
    static const struct scene scenes[] = {
        {"no loss", LONG_WAY, .percent = 90},
        {"0.1 % loss", LONG_WAY, .loss_pm = 1, .percent = 88},
        {"1 % loss", LONG_WAY, .loss_pm = 10, .percent = 86},
        {"5 % loss", LONG_WAY, .loss_pm = 50, .percent = 78},
        {"20 ms jitter", LONG_WAY, .jitter_us = 20000, .percent = 80},
        {"20 ms jitter, scattered", LONG_WAY, .jitter_us = 20000, .scatter = true, .percent = 80},
        {"2 % reordered", LONG_WAY, .reorder_pm = 20, .percent = 88},
        {"50 Mbit/s, 64 kB queue", .neck = {.rate = 50 * MBIT, .queue_bytes = 64000},
         .delay_us = 20000, .percent = 88},
        {"50 Mbit/s, marks",
         .neck = {.rate = 50 * MBIT, .queue_bytes = 500000, .mark_bytes = 60000}, .delay_us = 20000,
         .percent = 86},
        {"5 Mbit/s", .neck = {.rate = 5 * MBIT, .queue_bytes = 50000}, .delay_us = 20000,
         .percent = 88},
        {"1 Gbit/s, 20 ms", .neck = {.rate = 1000 * MBIT, .queue_bytes = 2500000},
         .delay_us = 10000, .percent = 85},
    };
    for (unsigned i = 0; i < sizeof scenes / sizeof *scenes; i++) {
        const struct scene *s = &scenes[i];
        struct bottleneck b;
        struct net *n = scene_net(s, &b, 100 + i, CHAN_CC_BBR);
        begin(n, FOREVER);
        uint64_t got = 0;
        for (unsigned k = 0; k < 8; k++) {
            uint64_t second = share(n, USEC_PER_S);
            if (getenv("BAUTA_TELL") != NULL)
                tell("", n, second);
            assert_true(k == 0 || second > 300); // it never stalls
            got += second;
        }
        tell(s->name, n, got / 8);
        assert_in_range(got / 8, s->percent * 10, 1000);
        if (s->loss_pm == 0) // what was only late does not count as lost
            assert_in_range(n->end[0].channel->recovery.lost_packets, 0,
                            b.dropped + b.dropped / 50);
        if (s->neck.mark_bytes > 0)
            assert_true(b.dropped == 0 && b.marked > 0);
        net_free(n);
    }
}

static void reno_is_there_for_comparison(void **state)
{
    (void)state;
    static const struct scene scenes[] = {
        {"Reno, no loss", LONG_WAY, .percent = 85},
        {"Reno, 1 % loss", LONG_WAY, .loss_pm = 10, .percent = 1},
    };
    for (unsigned i = 0; i < 2; i++) {
        struct bottleneck b;
        struct net *n = scene_net(&scenes[i], &b, 7, CHAN_CC_RENO);
        begin(n, FOREVER);
        (void)share(n, 2 * USEC_PER_S);
        uint64_t got = share(n, 6 * USEC_PER_S);
        tell(scenes[i].name, n, got);
        assert_in_range(got, scenes[i].percent * 10, i == 0 ? 1000 : 300);
        net_free(n);
    }
}

// ---- others -------------------------------------------------------------------------------------------
// A flow of TCP CUBIC (RFC 9438) through the same bottleneck, as a model: windows and ACKs, no segments. What is
// lost is known a round trip later, and counts as not delivered.
#define CUBIC_BYTES 1500u
#define CUBIC_EVENTS 8192u
struct cubic {
    struct bottleneck *neck;
    usec_t rtt_us, now;
    double cwnd, ssthresh, w_max, w_est;
    usec_t epoch_at; // 0: none
    struct {
        usec_t at, sent_at;
        bool lost;
    } event[CUBIC_EVENTS]; // of packets in flight, in order
    uint64_t first, next, recover;
    uint64_t delivered_bytes;
};

static double cube_root(double x)
{
    double y = x > 1 ? x : 1;
    for (unsigned i = 0; i < 60; i++)
        y -= (y * y * y - x) / (3 * y * y);
    return y;
}

static void cubic_send(struct cubic *c)
{
    while ((double)(c->next - c->first) < c->cwnd && c->next - c->first < CUBIC_EVENTS) {
        uint8_t ecn = 0;
        usec_t left;
        bool passes = bottleneck_pass(c->neck, c->now, CUBIC_BYTES, &ecn, &left);
        if (!passes)
            left = (c->neck->free_ns + 999) / 1000; // behind it comes what tells of it
        c->event[c->next % CUBIC_EVENTS].at = left + c->rtt_us;
        c->event[c->next % CUBIC_EVENTS].sent_at = c->now;
        c->event[c->next++ % CUBIC_EVENTS].lost = !passes;
    }
}

static void cubic_loss(struct cubic *c, uint64_t number)
{
    if (number < c->recover)
        return;
    c->recover = c->next;
    c->w_max = c->cwnd < c->w_max ? c->cwnd * 0.85 : c->cwnd; // fast convergence
    c->cwnd = c->cwnd * 0.7 > 2 ? c->cwnd * 0.7 : 2;
    c->ssthresh = c->cwnd;
    c->epoch_at = 0;
}

static void cubic_acked(struct cubic *c, uint64_t number, usec_t rtt_us)
{
    c->delivered_bytes += CUBIC_BYTES;
    if (number < c->recover)
        return;
    if (c->cwnd < c->ssthresh) {
        c->cwnd += 1;
        if (rtt_us > c->rtt_us + c->rtt_us / 8) // HyStart
            c->ssthresh = c->cwnd;
        return;
    }
    if (c->epoch_at == 0) {
        c->epoch_at = c->now;
        c->w_max = c->w_max < c->cwnd ? c->cwnd : c->w_max;
        c->w_est = c->cwnd;
    }
    double k = cube_root((c->w_max - c->cwnd > 0 ? c->w_max - c->ssthresh : 0) / 0.4);
    double t = (double)(c->now - c->epoch_at + rtt_us) / 1e6 - k;
    double target = 0.4 * t * t * t + c->w_max;
    c->w_est += 0.53 / c->cwnd;
    target = target > c->cwnd * 1.5 ? c->cwnd * 1.5 : target;
    if (target > c->cwnd)
        c->cwnd += (target - c->cwnd) / c->cwnd;
    if (c->w_est > c->cwnd)
        c->cwnd = c->w_est;
}

static usec_t cubic_next(const struct cubic *c)
{
    return c->event[c->first % CUBIC_EVENTS].at;
}

static void cubic_step(struct cubic *c)
{
    c->now = cubic_next(c);
    uint64_t number = c->first++;
    usec_t rtt_us = c->now - c->event[number % CUBIC_EVENTS].sent_at;
    if (c->event[number % CUBIC_EVENTS].lost)
        cubic_loss(c, number);
    else
        cubic_acked(c, number, rtt_us);
    cubic_send(c);
}

static void cubic_keeps_its_part(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 2; first++) { // who was there before
        struct scene s = {"", LONG_WAY};
        s.neck.queue_bytes = 1500000;
        struct bottleneck b;
        struct net *n = scene_net(&s, &b, 3 + first, CHAN_CC_BBR);
        struct cubic *c = calloc(1, sizeof *c);
        assert_non_null(c);
        usec_t start = n->now;
        *c = (struct cubic){.neck = &b,
                            .rtt_us = 40000,
                            .cwnd = 10,
                            .ssthresh = 1e9,
                            .now = start + (first == 0 ? USEC_PER_S : 0)};
        if (first == 0) {
            begin(n, FOREVER);
            net_run(n, c->now);
        }
        cubic_send(c);
        uint64_t before[2] = {0, 0};
        bool began = first == 0;
        for (unsigned k = 0; k < 2; k++) {
            usec_t until = start + (k == 0 ? 4 : 24) * USEC_PER_S;
            while (net_next(n) < until || cubic_next(c) < until) {
                if (!began && cubic_next(c) > start + USEC_PER_S) {
                    net_run(n, start + USEC_PER_S);
                    begin(n, FOREVER);
                    began = true;
                }
                if (cubic_next(c) <= net_next(n))
                    cubic_step(c);
                else
                    (void)net_step(n, until);
            }
            if (k == 0) {
                before[0] = n->end[1].got[1];
                before[1] = c->delivered_bytes;
            }
        }
        uint64_t ours = (n->end[1].got[1] - before[0]) / 20000, // kB/s
            theirs = (c->delivered_bytes - before[1]) / 20000;
        print_message("beside CUBIC, %s: %u and %u kB/s, dropped %u\n",
                      first == 0 ? "which comes later" : "which was there", (unsigned)ours,
                      (unsigned)theirs, (unsigned)b.dropped);
        assert_in_range(theirs, 200 * MBIT / 1000 * 3 / 10, 200 * MBIT / 1000);
        assert_in_range(ours, 200 * MBIT / 1000 * 2 / 10, 200 * MBIT / 1000);
        net_free(n);
        free(c);
    }
}

// ---- what changes -------------------------------------------------------------------------------------
static void an_outage_is_over_when_it_is_over(void **state)
{
    (void)state;
    struct scene s = {"", LONG_WAY};
    struct bottleneck b;
    struct net *n = scene_net(&s, &b, 5, CHAN_CC_BBR);
    begin(n, FOREVER);
    net_run(n, n->now + 2 * USEC_PER_S);
    n->cut = true;
    net_run(n, n->now + 5 * USEC_PER_S);
    assert_true(chan_alive(n->end[0].channel) && chan_alive(n->end[1].channel));
    n->cut = false;
    uint64_t before = n->end[1].got[1];
    usec_t start = n->now;
    NET_UNTIL(n, 5 * USEC_PER_S, n->end[1].got[1] > before);
    assert_in_range(n->now - start, 0, CHAN_PTO_US_MAX + 100 * USEC_PER_MS);
    net_run(n, n->now + 500 * USEC_PER_MS);
    assert_in_range(share(n, USEC_PER_S), 850, 1000);
    net_free(n);
}

static void a_rate_that_changes_is_followed(void **state)
{
    (void)state;
    struct scene s = {"", LONG_WAY};
    struct bottleneck b;
    struct net *n = scene_net(&s, &b, 6, CHAN_CC_BBR);
    begin(n, FOREVER);
    net_run(n, n->now + 2 * USEC_PER_S);
    static const unsigned rates[] = {50, 10, 40, 200};
    for (unsigned i = 0; i < sizeof rates / sizeof *rates; i++) {
        b.rate = (uint64_t)rates[i] * MBIT;
        uint64_t soon = share(n, 3 * USEC_PER_S), later = share(n, 2 * USEC_PER_S);
        print_message("%u Mbit/s now: %u per mille of it in 3 s, then %u\n", rates[i],
                      (unsigned)soon, (unsigned)later);
        assert_in_range(later, 850, 1100); // a queue that was full adds to it
    }
    net_free(n);
}

static void pauses_do_not_lower_the_bandwidth(void **state)
{
    (void)state;
    struct scene s = {"", LONG_WAY};
    struct bottleneck b;
    struct net *n = scene_net(&s, &b, 8, CHAN_CC_BBR);
    begin(n, 40000000);
    NET_UNTIL(n, 10 * USEC_PER_S, net_done(n));
    const struct chan_bbr *c = &n->end[0].channel->recovery.cc.of.bbr;
    uint64_t bandwidth = chan_bbr_bandwidth(c);
    assert_in_range(bandwidth, 180 * MBIT, 220 * MBIT);
    for (unsigned i = 0; i < 100; i++) { // a little now and then
        begin(n, 20000);
        net_run(n, n->now + 100 * USEC_PER_MS);
    }
    assert_true(net_done(n));
    assert_in_range(chan_bbr_bandwidth(c), bandwidth, 220 * MBIT);
    begin(n, FOREVER); // and it is used at once
    assert_in_range(share(n, USEC_PER_S), 850, 1000);
    net_free(n);
}

// Loopback: 1.3 GB/s, 60 us. And the long way, where a doubling costs a round trip.
static void a_cold_start_is_quick(void **state)
{
    (void)state;
    static const struct scene scenes[] = {
        {"loopback", .neck = {.rate = 1300000000, .queue_bytes = 2000000}, .delay_us = 30,
         .percent = 70},
        {"200 Mbit/s, 40 ms", LONG_WAY, .percent = 60},
    };
    for (unsigned i = 0; i < 2; i++) {
        struct bottleneck b;
        struct net *n = scene_net(&scenes[i], &b, 9, CHAN_CC_BBR);
        usec_t start = n->now;
        begin(n, 16u << 20);
        NET_UNTIL(n, 10 * USEC_PER_S, net_done(n));
        assert_true(net_done(n));
        uint64_t permille =
            (UINT64_C(16) << 20) * 1000 / (scenes[i].neck.rate * (n->now - start) / USEC_PER_S);
        tell(scenes[i].name, n, permille);
        assert_in_range(permille, scenes[i].percent * 10, 1000);
        net_free(n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(links_are_filled),
        cmocka_unit_test(reno_is_there_for_comparison),
        cmocka_unit_test(cubic_keeps_its_part),
        cmocka_unit_test(an_outage_is_over_when_it_is_over),
        cmocka_unit_test(a_rate_that_changes_is_followed),
        cmocka_unit_test(pauses_do_not_lower_the_bandwidth),
        cmocka_unit_test(a_cold_start_is_quick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
