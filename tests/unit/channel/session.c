// Whole sessions of two channels over the simulated link.
#include "tests/unit/channel/link.h"

static void meets_and_talks(void **state)
{
    (void)state;
    for (int aead = 0; aead < 2; aead++) {
        struct net *n = net_new(7, (enum packet_aead)aead);
        n->end[0].want[0] = 20000;
        n->end[1].want[0] = 5000;
        n->end[1].want[3] = 100;
        usec_t start = n->now;
        net_connect(n);
        // RATCHET1 rode beside the first probe: responder ready after 3 one-way trips, initiator after 4.
        assert_int_equal(n->end[1].matched_at - start, 60000);
        assert_int_equal(n->end[0].ready_at - start, 40000);
        assert_int_equal(n->end[0].matched_at - start, 80000);
        uint16_t words[2][SAS_WORDS];
        assert_true(channel_words(n->end[0].channel, words[0]));
        assert_true(channel_words(n->end[1].channel, words[1]));
        assert_memory_equal(words[0], words[1], sizeof words[0]);
        NET_UNTIL(n, 5 * USEC_PER_S, net_done(n));
        assert_true(net_done(n));
        for (int i = 0; i < 2; i++) {
            assert_true(n->end[i].heard && n->end[i].path);
            struct channel_status st;
            channel_status(n->end[i].channel, &st);
            assert_int_equal(st.step, 1);
            assert_int_equal(st.packets_lost, 0);
            assert_in_range(st.srtt_us, 39000, 60000);
            assert_in_range(n->end[i].arena.used_bytes, 1, 32 * 1024);
        }
        channel_close(n->end[0].channel, n->now, 77);
        end_turn(n, 0);
        NET_UNTIL(n, 5 * USEC_PER_S, n->end[0].closed && n->end[1].closed);
        assert_true(n->end[0].closed && n->end[1].closed);
        assert_int_equal(n->end[0].reason, CHANNEL_ENDED_LOCAL);
        assert_int_equal(n->end[1].reason, CHANNEL_ENDED_PEER);
        assert_int_equal(n->end[1].code, 77);
        net_free(n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(meets_and_talks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
