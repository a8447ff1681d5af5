// Two channels that share a bottleneck, in virtual time: what each of them gets.
#include "tests/unit/channel/link.h"

#define MBIT 125000u
#define SLICE_US 200u // the two links take turns: what one offers is at most so much out of order

struct flow {
    struct net *net;
    usec_t begin;
    uint64_t before;
};

static struct net *flow_net(struct bottleneck *b, uint64_t seed, usec_t delay_us)
{
    struct net *n = net_new(seed, PACKET_AEGIS256);
    n->end[0].blank = n->end[1].blank = true;
    n->end[0].config.receive_bytes = n->end[1].config.receive_bytes = 16u << 20;
    n->delay_us = delay_us;
    net_connect(n);
    n->neck[0] = b;
    return n;
}

static void tell(unsigned s, const struct flow *f, uint64_t got)
{
    const struct chan_cc *cc = &f->net->end[0].channel->recovery.cc;
    const struct chan_bbr *c = &cc->of.bbr;
    print_message("%3u s: %6.2f MB/s  cwnd %7llu high %8lld low %8lld bw %6.2f bwlow %6.2f rtt "
                  "%.1f/%.1f state %d lost %llu\n",
                  s, (double)(got - f->before) / 1e6, (unsigned long long)cc->window.cwnd_bytes,
                  (long long)c->bounds.inflight_high_bytes, (long long)c->bounds.inflight_low_bytes,
                  (double)chan_bbr_bandwidth(c) / 1e6,
                  c->bounds.bw_low == UINT64_MAX ? -1 : (double)c->bounds.bw_low / 1e6,
                  (double)c->min_rtt_us / 1e3,
                  (double)f->net->end[0].channel->recovery.srtt_us / 1e3, c->state,
                  (unsigned long long)f->net->end[0].channel->recovery.lost_packets);
}

// Jain's index of what two flows get from the fifth second on; the second one comes a second later. Both
// have to fill the link.
static double share(uint64_t seed, uint64_t rate, uint64_t queue, usec_t delay, unsigned seconds)
{
    struct bottleneck b = {.rate = rate, .queue_bytes = queue};
    struct flow f[2];
    double x[2];
    for (unsigned i = 0; i < 2; i++)
        f[i] = (struct flow){.net = flow_net(&b, seed * 2 + i, delay)};
    usec_t start = f[0].net->now > f[1].net->now ? f[0].net->now : f[1].net->now;
    uint64_t at5[2] = {0};
    for (unsigned s = 1; s <= seconds; s++) {
        for (unsigned i = 0; i < 2; i++)
            if (s == i + 1)
                f[i].net->end[0].want[1] = UINT64_C(1) << 40;
        for (usec_t t = start + (s - 1) * USEC_PER_S; t <= start + s * USEC_PER_S; t += SLICE_US)
            for (unsigned i = 0; i < 2; i++) {
                net_run(f[i].net, t);
                if (t == start + (s - 1) * USEC_PER_S)
                    end_turn(f[i].net, 0);
            }
        for (unsigned i = 0; i < 2; i++) {
            uint64_t got = f[i].net->end[1].got[1];
            if (getenv("V"))
                tell(s, &f[i], got);
            f[i].before = got;
            if (s == 5)
                at5[i] = got;
        }
    }
    for (unsigned i = 0; i < 2; i++) {
        x[i] = (double)(f[i].net->end[1].got[1] - at5[i]);
        net_free(f[i].net);
    }
    double jain = (x[0] + x[1]) * (x[0] + x[1]) / (2 * (x[0] * x[0] + x[1] * x[1]));
    print_message("%.2f and %.2f MB/s, Jain %.3f, use %.2f\n", x[0] / (seconds - 5) / 1e6,
                  x[1] / (seconds - 5) / 1e6, jain, (x[0] + x[1]) / (seconds - 5) / (double)rate);
    assert_true(x[0] + x[1] >= (double)(rate * (seconds - 5)) * 0.9);
    return jain;
}

static void two_channels(void **state)
{
    (void)state;
    double sum = 0;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        double jain = share(seed, 200 * MBIT, 1500000, 20000, 24);
        assert_true(jain >= 0.85);
        sum += jain;
    }
    assert_true(sum / 3 >= 0.9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_channels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
