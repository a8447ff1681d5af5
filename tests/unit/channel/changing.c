// Paths that become other ones while a channel runs: loss, duplicates, reordering, jitter, MTU, what becomes of ECN
// marks and the ends' addresses are drawn anew every second or two, and steps of the ratchet fall in between. (In
// checker.c a seed keeps its kind of link.)
#include "tests/unit/channel/moving.h"

#define SEEDS 200u

static uint64_t below(struct prng *p, uint64_t n)
{
    return prng_next(p) % n;
}

// The receive windows, what is written and not acknowledged, records of packets, and the channel itself.
static void check_memory(const struct net *n, uint64_t seed)
{
    for (unsigned i = 0; i < 2; i++) {
        const struct end *e = &n->end[i];
        uint64_t most =
            e->config.receive_bytes + 2 * CHANNEL_STREAMS_MAX * CHAN_BLOCK_BYTES + (2u << 20);
        for (unsigned s = 0; s < CHANNEL_STREAMS_MAX; s++)
            most += e->sent[s] < CHAN_SEND_BYTES ? e->sent[s] + CHAN_BLOCK_BYTES : CHAN_SEND_BYTES;
        if (e->arena.used_bytes > most)
            fail_msg("seed %llu: end %u holds %zu bytes, more than %llu", (unsigned long long)seed,
                     i, e->arena.used_bytes, (unsigned long long)most);
    }
}

static void weather(struct net *n, struct moving *m, struct prng *p)
{
    static const unsigned mtus[] = {1500, 1500, 1492, 1420, 1280, 1260, 1000, 800, 576};
    n->loss_pm = (unsigned)below(p, 4) * 20;
    n->dup_pm = (unsigned)below(p, 3) * 20;
    n->reorder_pm = (unsigned)below(p, 3) * 30;
    n->jitter_us = below(p, 3) * n->delay_us / 4;
    m->mtu[below(p, 2)] = mtus[below(p, sizeof mtus / sizeof *mtus)];
    m->road = (enum ecn_road)below(p, ECN_SOME_CE + 1);
}

static void step_now(struct net *n)
{
    struct channel *a = n->end[0].channel, *b = n->end[1].channel;
    if (a->ratchet.step == b->ratchet.step && !a->keys.switch_waits && !b->keys.switch_waits)
        a->step_bytes = b->step_bytes = CHAN_STEP_BYTES;
}

// The peer of who moves unnoticed, and says nothing, finds it only when that one speaks: so it does.
static void move(struct net *n, struct prng *p, unsigned i, unsigned serial)
{
    struct end *e = &n->end[i];
    e->address.port = (uint16_t)(2000 + serial);
    if (below(p, 2))
        e->address.ip[2] = (uint8_t)serial;
    if (below(p, 3) == 0)
        channel_moved(e->channel, n->now);
    e->want[0] += 20;
}

static void fail_here(const struct net *n, uint64_t seed, const char *what)
{
    fail_msg("seed %llu: %s (ended: %d %d, %d %d; %llu and %llu bytes)", (unsigned long long)seed,
             what, n->end[0].closed, n->end[1].closed, n->end[0].reason, n->end[1].reason,
             (unsigned long long)n->end[0].got[1], (unsigned long long)n->end[1].got[1]);
}

static void one_seed(uint64_t seed)
{
    struct prng p = {seed * 7919};
    static const usec_t delays[] = {500, 3000, 10000, 30000, 80000};
    struct moving m;
    struct net *n =
        moving_new(&m, seed, below(&p, 2) ? PACKET_AEGIS256 : PACKET_CHACHA20POLY1305, 1500);
    n->delay_us = delays[below(&p, 5)];
    for (unsigned i = 0; i < 2; i++) {
        n->end[i].config.receive_bytes = below(&p, 2) ? 64 * 1024 : 1024 * 1024;
        n->end[i].config.cc = below(&p, 2) ? CHAN_CC_RENO : CHAN_CC_BBR;
    }
    net_connect(n);
    unsigned last = 0;
    bool cut_short = below(&p, 4) == 0;
    for (unsigned k = 0; k < 12; k++) {
        weather(n, &m, &p);
        for (unsigned i = 0; i < 2; i++) {
            n->end[i].want[below(&p, CHANNEL_STREAMS_MAX)] += below(&p, 120000);
            n->end[i].want[0] += below(&p, 700);
        }
        if (below(&p, 2))
            step_now(n);
        // One end at a time: both at once is what introducers are for.
        if (below(&p, 2)) {
            last = (unsigned)below(&p, 2);
            move(n, &p, last, k + 1);
        }
        end_turn(n, 0);
        end_turn(n, 1);
        for (unsigned i = 0; i < 10; i++) {
            net_run(n, n->now + 150000);
            check_memory(n, seed);
        }
        if (n->end[0].closed || n->end[1].closed)
            fail_here(n, seed, "an early end");
    }
    NET_UNTIL(n, 120 * USEC_PER_S, net_done(n) || n->end[0].closed || n->end[1].closed);
    if (!net_done(n))
        fail_here(n, seed, "not everything arrived");
    n->end[0].want[3] += cut_short ? 500000 : 0;
    end_turn(n, 0);
    unsigned who = (unsigned)below(&p, 2);
    channel_close(n->end[who].channel, n->now, 7);
    end_turn(n, who);
    NET_UNTIL(n, CHAN_GONE_REUNION_US + 30 * USEC_PER_S, n->end[0].closed && n->end[1].closed);
    if (!n->end[0].closed || !n->end[1].closed)
        fail_here(n, seed, "no end");
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(n->end[i].cids, 0);
        assert_true(n->end[i].reason != CHANNEL_ENDED_PROTOCOL &&
                    n->end[i].reason != CHANNEL_ENDED_MIDDLE);
        assert_int_equal(channel_deadline(n->end[i].channel), USEC_NEVER);
    }
    net_free(n); // nothing is left in the arenas
}

static void all_of_them(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        one_seed(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_of_them)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
