// Congestion control over a bottleneck in virtual time: what share of the link a channel fills, and what it
// leaves to others.
#include "tests/unit/channel/link.h"

struct scene {
    const char *name;
    uint64_t rate, queue_bytes, mark_bytes; // bytes a second
    usec_t delay_us;                        // one way
    usec_t jitter_us;
    bool scatter;
    unsigned loss_pm, reorder_pm;
    unsigned percent; // of the rate that arrives at the other end as stream bytes, at least
};

#define MBIT 125000u

static struct net *scene_net(const struct scene *s, struct bottleneck *b, uint64_t seed,
                             enum chan_cc_kind kind)
{
    struct net *n = net_new(seed, PACKET_AEGIS256);
    n->end[0].config.cc = n->end[1].config.cc = kind;
    n->end[0].blank = n->end[1].blank = true;
    n->end[0].config.receive_bytes = n->end[1].config.receive_bytes = 16u << 20;
    n->delay_us = s->delay_us;
    net_connect(n);
    n->jitter_us = s->jitter_us;
    n->scatter = s->scatter;
    n->loss_pm = s->loss_pm;
    n->reorder_pm = s->reorder_pm;
    n->neck[0] = b;
    return n;
}

static void tell(const char *name, const struct net *n, const struct bottleneck *b, double share)
{
    struct channel_status st;
    channel_status(n->end[0].channel, &st);
    const struct chan_bbr *c = &n->end[0].channel->recovery.cc.of.bbr;
    print_message(
        "%-28s %5.1f %%  out %llu lost %llu dropped %llu marked %llu queue %llu  cwnd %llu "
        "bw %llu rtt %llu/%llu high %lld base %u state %d acks %llu\n",
        name, share * 100, (unsigned long long)st.packets_out, (unsigned long long)st.packets_lost,
        (unsigned long long)b->dropped, (unsigned long long)b->marked,
        (unsigned long long)b->most_bytes, (unsigned long long)st.cwnd_bytes,
        (unsigned long long)chan_bbr_bandwidth(c), (unsigned long long)c->min_rtt_us,
        (unsigned long long)st.srtt_us, (long long)c->bounds.inflight_high_bytes, c->base_loss,
        (int)c->state, (unsigned long long)n->end[1].channel->packets_out);
}

static void links_are_filled(void **state)
{
    (void)state;
    static const struct scene scenes[] = {
        {"200 Mbit/s", 200 * MBIT, 1000000, 0, 20000, 0, false, 0, 0, 90},
        {"0.1 % loss", 200 * MBIT, 1000000, 0, 20000, 0, false, 1, 0, 90},
        {"1 % loss", 200 * MBIT, 1000000, 0, 20000, 0, false, 10, 0, 86},
        {"5 % loss", 200 * MBIT, 1000000, 0, 20000, 0, false, 50, 0, 80},
        {"20 ms jitter", 200 * MBIT, 1000000, 0, 20000, 20000, false, 0, 0, 70},
        {"20 ms jitter, scattered", 200 * MBIT, 1000000, 0, 20000, 20000, true, 0, 0, 30},
        {"2 % reordered", 200 * MBIT, 1000000, 0, 20000, 0, false, 0, 20, 85},
        {"50 Mbit/s, 64 kB queue", 50 * MBIT, 64000, 0, 20000, 0, false, 0, 0, 85},
        {"50 Mbit/s, marks", 50 * MBIT, 500000, 60000, 20000, 0, false, 0, 0, 80},
        {"5 Mbit/s", 5 * MBIT, 50000, 0, 20000, 0, false, 0, 0, 85},
    };
    for (unsigned i = 0; i < sizeof scenes / sizeof *scenes; i++) {
        const struct scene *s = &scenes[i];
        struct bottleneck b = {
            .rate = s->rate, .queue_bytes = s->queue_bytes, .mark_bytes = s->mark_bytes};
        struct net *n = scene_net(s, &b, 100 + i, CHAN_CC_BBR);
        usec_t start = n->now, span = 8 * USEC_PER_S;
        n->end[0].want[1] = UINT64_C(1) << 40;
        end_turn(n, 0);
        for (unsigned k = 1; k <= 8; k++) {
            uint64_t before = n->end[1].got[1];
            net_run(n, start + k * span / 8);
            if (getenv("V"))
                tell("", n, &b, (double)(n->end[1].got[1] - before) / (double)s->rate);
        }
        tell(s->name, n, &b, (double)n->end[1].got[1] / (double)(s->rate * span / USEC_PER_S));
        assert_true(n->end[1].got[1] * 100 >= s->rate * span / USEC_PER_S * s->percent);
        net_free(n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(links_are_filled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
