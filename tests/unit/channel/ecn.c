// Congestion marks: used where they arrive, left off where the path or the peer spoils them.
#include "tests/unit/channel/moving.h"

static enum chan_ecn_state state_of(const struct net *n)
{
    return n->end[0].channel->ecn.state;
}

static void full_packets_are_marked_where_marks_arrive(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct moving m;
        struct net *n =
            moving_new(&m, seed, seed % 2 ? PACKET_AEGIS256 : PACKET_CHACHA20POLY1305, 1500);
        n->jitter_us = seed % 4 * 2000;
        n->loss_pm = (unsigned)(seed % 3) * 20;
        n->dup_pm = (unsigned)(seed % 5) * 10;
        n->reorder_pm = (unsigned)(seed % 7) * 10;
        net_connect(n);
        assert_int_equal(state_of(n), CHAN_ECN_TESTING);
        bulk_more(n, 0, 1000000, 60 * USEC_PER_S);
        if (state_of(n) != CHAN_ECN_CAPABLE)
            fail_msg("seed %llu: %d", (unsigned long long)seed, (int)state_of(n));
        uint64_t full = m.full[0], marked = m.marked[0];
        bulk_more(n, 0, 1000000, 60 * USEC_PER_S);
        assert_in_range(m.marked[0] - marked, (m.full[0] - full) * 8 / 10,
                        (m.full[0] - full) * 12 / 10);
        assert_int_equal(state_of(n), CHAN_ECN_CAPABLE);
        assert_in_range(n->end[1].channel->seen.ect, 1000, m.marked[0]);
        assert_int_equal(n->end[1].channel->seen.ce, 0);
        struct channel_status st;
        channel_status(n->end[0].channel, &st);
        assert_true(st.ecn);
        net_free(n);
    }
}

static void a_chat_is_not_marked(void **state)
{
    (void)state;
    struct moving m;
    struct net *n = moving_new(&m, 1, PACKET_AEGIS256, 1500);
    net_connect(n);
    uint64_t before = m.marked[0];
    for (unsigned i = 0; i < 100; i++) {
        n->end[i % 2].want[0] += 300;
        end_turn(n, i % 2);
        net_run(n, n->now + 50000);
    }
    assert_int_equal(m.marked[0], before);
    net_free(n);
}

static void spoilt_marks_are_left_off(void **state)
{
    (void)state;
    static const enum ecn_road roads[] = {ECN_BLEACHED, ECN_ECT1, ECN_ALL_CE, ECN_DROPPED};
    for (unsigned r = 0; r < 4; r++)
        for (uint64_t seed = 1; seed <= 12; seed++) {
            struct moving m;
            struct net *n =
                moving_new(&m, seed, seed % 2 ? PACKET_AEGIS256 : PACKET_CHACHA20POLY1305, 1500);
            m.road = roads[r];
            n->loss_pm = (unsigned)(seed % 4) * 10;
            n->jitter_us = seed % 3 * 3000;
            net_connect(n);
            usec_t start = n->now;
            bulk_more(n, 0, 3000000, 60 * USEC_PER_S);
            if (state_of(n) != CHAN_ECN_FAILED)
                fail_msg("road %d, seed %llu: %d", (int)roads[r], (unsigned long long)seed,
                         (int)state_of(n));
            assert_in_range(m.marked[0], 1, CHAN_ECN_TEST * CHAN_ECN_ROUNDS);
            assert_in_range(n->now - start, 1, 20 * USEC_PER_S); // Reno at 3 % of loss
            uint64_t marked = m.marked[0];
            bulk_more(n, 0, 1000000, 60 * USEC_PER_S);
            assert_int_equal(m.marked[0], marked);
            assert_in_range(mtu_of(n, 0), 1260, 1500);
            net_free(n);
        }
}

static void a_path_that_goes_bad_is_noticed(void **state)
{
    (void)state;
    static const enum ecn_road roads[] = {ECN_BLEACHED, ECN_ECT1, ECN_DROPPED};
    for (unsigned r = 0; r < 3; r++) {
        struct moving m;
        struct net *n = moving_new(&m, 3, PACKET_AEGIS256, 1500);
        net_connect(n);
        bulk_more(n, 0, 1000000, 60 * USEC_PER_S);
        assert_int_equal(state_of(n), CHAN_ECN_CAPABLE);
        n->end[0].want[1] += 4000000;
        end_turn(n, 0);
        net_run(n, n->now + 30000);
        m.road = roads[r];
        NET_UNTIL(n, 60 * USEC_PER_S, net_done(n));
        assert_true(net_done(n));
        assert_int_equal(state_of(n), CHAN_ECN_FAILED);
        net_free(n);
    }
}

static void a_mark_slows_down_without_a_loss(void **state)
{
    (void)state;
    struct moving m;
    struct net *n = moving_new(&m, 4, PACKET_CHACHA20POLY1305, 1500);
    n->end[0].config.cc = CHAN_CC_RENO;
    net_connect(n);
    bulk_more(n, 0, 2000000, 60 * USEC_PER_S);
    struct channel_status before, after;
    channel_status(n->end[0].channel, &before);
    m.road = ECN_SOME_CE;
    bulk_more(n, 0, 1000000, 60 * USEC_PER_S);
    channel_status(n->end[0].channel, &after);
    assert_in_range(after.cwnd_bytes, 1, before.cwnd_bytes / 2);
    assert_int_equal(after.packets_lost, before.packets_lost);
    assert_int_equal(state_of(n), CHAN_ECN_CAPABLE);
    assert_in_range(n->end[1].channel->seen.ce, 10, 30);
    assert_int_equal(n->end[0].channel->ecn.ce, n->end[1].channel->seen.ce);
    net_free(n);
}

// ---- what the peer tells --------------------------------------------------------------------------------
static void begin(struct chan_ecn *e, unsigned sent)
{
    memset(e, 0, sizeof *e);
    chan_ecn_start(e);
    for (unsigned i = 0; i < sent; i++)
        chan_ecn_sent(e);
}

static uint32_t told(struct chan_ecn *e, unsigned acked, uint32_t ect, uint32_t ce, bool news)
{
    for (unsigned i = 0; i < acked; i++)
        chan_ecn_acked(e, 1);
    return chan_ecn_on_ack(e, &(struct chan_ack){.has_ecn = true, .ect = ect, .ce = ce}, news);
}

static void lies_end_it(void **state)
{
    (void)state;
    struct chan_ecn e;
    begin(&e, CHAN_ECN_TEST);
    assert_int_equal(e.state, CHAN_ECN_UNKNOWN);
    assert_int_equal(told(&e, 10, 9, 1, true), 1);
    assert_int_equal(e.state, CHAN_ECN_CAPABLE);
    assert_int_equal(told(&e, 0, 2, 0, false), 0); // an older ACK came late: nothing wrong
    assert_int_equal(e.state, CHAN_ECN_CAPABLE);
    struct chan_ecn good = e;
    told(&e, 0, 9, 0, true); // fewer than before
    assert_int_equal(e.state, CHAN_ECN_FAILED);
    e = good;
    told(&e, 0, 8, 2, true);
    assert_int_equal(e.state, CHAN_ECN_FAILED);
    e = good;
    assert_int_equal(told(&e, 0, 9, 1000, true), 0); // more than were ever marked
    assert_int_equal(e.state, CHAN_ECN_FAILED);
    e = good;
    chan_ecn_sent(&e);
    assert_int_equal(told(&e, 1, 9, 1, true), 0); // one less than was acknowledged
    assert_int_equal(e.state, CHAN_ECN_FAILED);
    begin(&e, CHAN_ECN_TEST); // all of them marked
    assert_int_equal(told(&e, 6, 0, 6, true), 0);
    assert_int_equal(e.state, CHAN_ECN_FAILED);
    // On another path it begins anew, from the counts that are known.
    e = good;
    told(&e, 0, 9, 0, true);
    chan_ecn_start(&e);
    for (unsigned i = 0; i < CHAN_ECN_TEST; i++)
        chan_ecn_sent(&e);
    told(&e, 10, 19, 1, true);
    assert_int_equal(e.state, CHAN_ECN_CAPABLE);
    // Counts pass 2^32.
    e = good;
    e.ect = e.base_ect = UINT32_MAX - 4;
    e.ce = e.base_ce = 0;
    e.acked = 0;
    e.sent_ever = UINT32_MAX;
    for (unsigned i = 0; i < 10; i++)
        chan_ecn_sent(&e);
    told(&e, 10, 5, 0, true);
    assert_int_equal(e.state, CHAN_ECN_CAPABLE);
}

static void a_test_whose_counts_are_lost_is_done_again(void **state)
{
    (void)state;
    struct chan_ecn e;
    begin(&e, CHAN_ECN_TEST);
    for (unsigned round = 1; round <= CHAN_ECN_ROUNDS; round++) {
        assert_int_equal(e.state, CHAN_ECN_UNKNOWN);
        for (unsigned i = 0; i < CHAN_ECN_TEST; i++)
            chan_ecn_acked(&e, round);
        assert_int_equal(chan_ecn_on_ack(&e, &(struct chan_ack){.count = 1}, true), 0);
        assert_int_equal(e.state, round < CHAN_ECN_ROUNDS ? CHAN_ECN_TESTING : CHAN_ECN_FAILED);
        for (unsigned i = 0; i < CHAN_ECN_TEST && e.state == CHAN_ECN_TESTING; i++)
            chan_ecn_sent(&e);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_packets_are_marked_where_marks_arrive),
        cmocka_unit_test(a_chat_is_not_marked),
        cmocka_unit_test(spoilt_marks_are_left_off),
        cmocka_unit_test(a_path_that_goes_bad_is_noticed),
        cmocka_unit_test(a_mark_slows_down_without_a_loss),
        cmocka_unit_test(lies_end_it),
        cmocka_unit_test(a_test_whose_counts_are_lost_is_done_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
