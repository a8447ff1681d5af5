// How long a datagram may be: the search upwards, black holes, and what the interface refuses.
#include "tests/unit/channel/moving.h"

static void finds_what_the_path_carries(void **state)
{
    (void)state;
    static const unsigned mtus[] = {1260, 1280, 1281, 1300, 1365, 1400,
                                    1420, 1480, 1492, 1499, 1500, 9000};
    for (unsigned i = 0; i < sizeof mtus / sizeof *mtus; i++)
        for (unsigned loss = 0; loss <= 20; loss += 20) {
            struct moving m;
            struct net *n =
                moving_new(&m, 100 + i, i % 2 ? PACKET_AEGIS256 : PACKET_CHACHA20POLY1305, mtus[i]);
            n->delay_us = 5000;
            n->loss_pm = loss;
            net_connect(n);
            bulk_more(n, 0, 12000000, 120 * USEC_PER_S);
            unsigned most = mtus[i] < 1500 ? mtus[i] : 1500;
            if (loss == 0)
                assert_int_equal(mtu_of(n, 0), most);
            else
                assert_in_range(mtu_of(n, 0), most > 1270 ? most - 10 : 1260,
                                most);            // bad luck costs little
            assert_int_equal(mtu_of(n, 1), 1260); // who sends nothing does not ask
            assert_in_range(m.too_long[0], 0, 3 * 10);
            net_free(n);
        }
}

static void an_ipv6_path_ends_at_1452(void **state)
{
    (void)state;
    struct moving m;
    struct net *n = moving_new(&m, 3, PACKET_AEGIS256, 9000);
    for (unsigned i = 0; i < 2; i++) {
        n->end[i].address = (struct path){.ip = {0x20, 1, (uint8_t)i}, .port = 4000, .family = 6};
        n->end[i ^ 1].config.candidate[0] = n->end[i].address;
    }
    net_connect(n);
    bulk_more(n, 0, 3000000, 60 * USEC_PER_S);
    assert_int_equal(chan_paths_mtu(&n->end[0].channel->paths), CHAN_MTU_MAX_V6);
    assert_int_equal(m.longest[0], CHAN_MTU_MAX_V6);
    net_free(n);
}

static void a_chat_does_not_ask(void **state)
{
    (void)state;
    struct moving m;
    struct net *n = moving_new(&m, 4, PACKET_AEGIS256, 1500);
    net_connect(n);
    for (unsigned i = 0; i < 300; i++) {
        n->end[i % 2].want[0] += 400;
        end_turn(n, i % 2);
        net_run(n, n->now + USEC_PER_S);
    }
    NET_UNTIL(n, USEC_PER_S, net_done(n));
    assert_int_equal(m.longest[0], CLASS_FULL); // the ratchet's messages
    assert_int_equal(m.longest[1], CLASS_FULL);
    net_free(n);
}

static void a_narrow_path_from_the_start(void **state)
{
    (void)state;
    // Less than the least that IPv6 allows: the first step must get done, text must flow, bulk finds the size.
    static const unsigned mtus[] = {576, 577, 700, 735, 800, 1000, 1259};
    for (unsigned i = 0; i < sizeof mtus / sizeof *mtus; i++)
        for (unsigned aead = 0; aead < 2; aead++) {
            struct moving m;
            struct net *n = moving_new(&m, 30 + i, (enum packet_aead)aead, mtus[i]);
            n->delay_us = 10000;
            usec_t start = n->now;
            net_connect(n);
            assert_in_range(n->now - start, 1, 3 * USEC_PER_S);
            n->end[0].want[0] = n->end[1].want[0] = 500;
            end_turn(n, 0);
            end_turn(n, 1);
            NET_UNTIL(n, 2 * USEC_PER_S, net_done(n));
            assert_true(net_done(n));
            bulk_more(n, 0, 6000000, 120 * USEC_PER_S);
            assert_int_equal(mtu_of(n, 0), mtus[i]);
            for (unsigned k = 0; k < 300; k++) { // steps later on get through as well
                n->end[k % 2].want[0] += 10;
                end_turn(n, k % 2);
                net_run(n, n->now + USEC_PER_S);
            }
            NET_UNTIL(n, USEC_PER_S, net_done(n));
            assert_true(net_done(n));
            assert_in_range(n->end[0].channel->ratchet.step, 3, 4);
            net_free(n);
        }
}

static void a_black_hole_opens(void **state)
{
    (void)state;
    static const unsigned mtus[] = {1499, 1400, 1280, 1260, 1000, 800, 576};
    for (unsigned i = 0; i < sizeof mtus / sizeof *mtus; i++)
        for (unsigned loss = 0; loss <= 20; loss += 20) {
            struct moving m;
            struct net *n =
                moving_new(&m, 50 + i, i % 2 ? PACKET_AEGIS256 : PACKET_CHACHA20POLY1305, 1500);
            n->delay_us = 10000;
            n->loss_pm = loss;
            net_connect(n);
            bulk_more(n, 0, 5000000, 60 * USEC_PER_S);
            assert_in_range(mtu_of(n, 0), 1490, 1500);
            n->end[0].want[1] += 3000000;
            end_turn(n, 0);
            net_run(n, n->now + 30000); // in the middle of it
            m.mtu[0] = mtus[i];
            usec_t hole = n->now;
            uint64_t before = n->end[1].got[1];
            NET_UNTIL(n, 30 * USEC_PER_S, n->end[1].got[1] > before + 100000);
            // A round trip is 20 ms: a few probe timeouts and it flows again.
            if (n->now - hole > (loss == 0 ? 800 : 3000) * USEC_PER_MS)
                fail_msg("MTU %u, loss %u: stood still for %llu ms", mtus[i], loss,
                         (unsigned long long)(n->now - hole) / 1000);
            bulk_more(n, 0, 6000000, 120 * USEC_PER_S); // until the search is over
            if (loss == 0)
                assert_int_equal(mtu_of(n, 0), mtus[i]);
            // It closes again: found out after ten minutes.
            m.mtu[0] = 1500;
            net_run(n, n->now + CHAN_MTU_RAISE_US);
            bulk_more(n, 0, 2000000, 120 * USEC_PER_S);
            if (loss == 0)
                assert_int_equal(mtu_of(n, 0), 1500);
            net_free(n);
        }
}

// Beside small packets that get through nothing waits for a timeout.
static void a_black_hole_beside_text(void **state)
{
    (void)state;
    struct moving m;
    struct net *n = moving_new(&m, 7, PACKET_AEGIS256, 1500);
    net_connect(n);
    bulk_more(n, 0, 3000000, 60 * USEC_PER_S);
    m.mtu[0] = 1300;
    for (unsigned i = 0; i < 40; i++) {
        n->end[0].want[0] += 50;
        n->end[0].want[1] += 5000;
        end_turn(n, 0);
        net_run(n, n->now + 10000);
    }
    NET_UNTIL(n, 2 * USEC_PER_S, net_done(n));
    assert_true(net_done(n));
    assert_in_range(mtu_of(n, 0), 1260, 1300);
    net_free(n);
}

static void an_outage_is_no_black_hole(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct moving m;
        struct net *n = moving_new(&m, seed, PACKET_CHACHA20POLY1305, 1500);
        net_connect(n);
        bulk_more(n, 0, 3000000, 60 * USEC_PER_S);
        assert_int_equal(mtu_of(n, 0), 1500);
        n->end[0].want[1] += 3000000;
        end_turn(n, 0);
        net_run(n, n->now + 30000);
        n->cut = true;
        net_run(n, n->now + seed * 50000);
        n->cut = false;
        NET_UNTIL(n, 60 * USEC_PER_S, net_done(n));
        assert_true(net_done(n));
        assert_int_equal(mtu_of(n, 0), 1500);
        net_free(n);
    }
}

static void a_lost_probe_is_no_congestion(void **state)
{
    (void)state;
    struct moving m;
    struct net *n = moving_new(&m, 9, PACKET_AEGIS256, 1260); // each probe is lost
    n->end[0].config.cc = CHAN_CC_RENO;                       // which minds every loss
    net_connect(n);
    bulk_more(n, 0, 100000, 60 * USEC_PER_S);
    uint64_t window = 0, losses = 0;
    n->end[0].want[1] += 10000000;
    end_turn(n, 0);
    while (!net_done(n) && net_step(n, n->now + 60 * USEC_PER_S)) {
        struct channel_status st;
        channel_status(n->end[0].channel, &st);
        if (st.cwnd_bytes < window)
            losses++;
        window = st.cwnd_bytes;
    }
    struct channel_status st;
    channel_status(n->end[0].channel, &st);
    assert_in_range(st.packets_lost, 3, 40);
    assert_int_equal(st.packets_lost, m.too_long[0]);
    assert_in_range(losses, 0, 0);
    net_free(n);
}

static void the_interface_refuses(void **state)
{
    (void)state;
    struct moving m;
    struct net *n = moving_new(&m, 10, PACKET_CHACHA20POLY1305, 1500);
    net_connect(n);
    bulk_more(n, 0, 500000, 60 * USEC_PER_S);
    struct channel *c = n->end[0].channel;
    assert_int_equal(mtu_of(n, 0), 1500);
    channel_sent(c, n->now, SENT_TOO_LONG);
    assert_int_equal(mtu_of(n, 0), 1260);
    channel_sent(c, n->now, SENT_TOO_LONG);
    assert_int_equal(chan_paths_mtu(&c->paths), CLASS_MEDIUM);
    uint8_t data[CHANNEL_DATAGRAM_BYTES_MAX] = {0};
    for (unsigned i = 0; i < 10; i++)
        channel_sent(c, n->now, SENT_TOO_LONG);
    assert_int_equal(chan_paths_mtu(&c->paths), CHAN_MTU_MIN);
    assert_int_equal(end_datagram(n, 0, data, sizeof data), BAUTA_ELIMIT);
    bulk_more(n, 0, 500000, 60 * USEC_PER_S);
    assert_int_equal(chan_paths_mtu(&c->paths), CLASS_MEDIUM - 1); // refused is refused
    net_free(n);
}

static void a_refused_probe_ends_the_search_there(void **state)
{
    (void)state;
    struct chan_mtu m;
    struct path path = {.family = 4};
    chan_mtu_init(&m, &path, false);
    for (unsigned i = 0; i < CHAN_MTU_BULK; i++) {
        assert_int_equal(chan_mtu_next(&m, 0), 0);
        chan_mtu_bulk(&m);
    }
    unsigned asked = 0;
    for (uint16_t size; (size = chan_mtu_next(&m, 0)) != 0; asked++) {
        chan_mtu_probed(&m, size);
        assert_int_equal(chan_mtu_next(&m, 0), 0); // one at a time
        if (size > 1333)
            assert_false(chan_mtu_refused(&m, 0));
        else
            chan_mtu_acked(&m, 0, size, true, 1);
    }
    assert_int_equal(m.size, 1333);
    assert_in_range(asked, 3, 11);
    assert_int_equal(chan_mtu_next(&m, CHAN_MTU_RAISE_US - 1), 0);
    assert_int_equal(chan_mtu_next(&m, CHAN_MTU_RAISE_US), CHAN_MTU_MAX);
    // Held for lost, it came late: it did get through.
    chan_mtu_probed(&m, CHAN_MTU_MAX);
    for (unsigned i = 0; i < CHAN_MTU_TRIES; i++) {
        assert_false(chan_mtu_lost(&m, 0, CHAN_MTU_MAX, true, 1));
        chan_mtu_probed(&m, CHAN_MTU_MAX);
    }
    chan_mtu_acked(&m, 0, CHAN_MTU_MAX, true, 1);
    assert_int_equal(m.size, CHAN_MTU_MAX);
    assert_int_equal(chan_mtu_next(&m, UINT64_C(1) << 50), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_the_path_carries),
        cmocka_unit_test(an_ipv6_path_ends_at_1452),
        cmocka_unit_test(a_chat_does_not_ask),
        cmocka_unit_test(a_narrow_path_from_the_start),
        cmocka_unit_test(a_black_hole_opens),
        cmocka_unit_test(a_black_hole_beside_text),
        cmocka_unit_test(an_outage_is_no_black_hole),
        cmocka_unit_test(a_lost_probe_is_no_congestion),
        cmocka_unit_test(the_interface_refuses),
        cmocka_unit_test(a_refused_probe_ends_the_search_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
