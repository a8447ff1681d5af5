// Unreliable datagrams: their queue, and their way through packets.
#include "tests/unit/channel/link.h"

// The ring against a plain list.
static void the_queue_keeps_order_and_content(void **state)
{
    (void)state;
    enum { HELD = 4096 };
    struct arena arena;
    static uint32_t held[HELD];
    memory_arena(&arena, 4u << 20);
    struct chan_datagrams d = {0};
    struct prng p = {7};
    uint32_t first = 0, last = 0, refused = 0;
    for (unsigned i = 0; i < 200000; i++) {
        bool put = last == first || (last - first < HELD && prng_next(&p) % 5 < (i / 5000) % 4 + 1);
        uint16_t len;
        if (put) {
            len = (uint16_t)(1 + prng_next(&p) % CHANNEL_DATAGRAM_BYTES_MAX);
            uint8_t *at = chan_datagrams_put(&d, &arena, len);
            if (at == NULL) {
                refused++;
                assert_true(d.cap == CHAN_DATAGRAM_RING_MAX);
                continue;
            }
            memset(at, (int)(last & 0xff), len);
            held[last++ % HELD] = len;
        } else {
            const uint8_t *at = chan_datagrams_first(&d, &len);
            assert_non_null(at);
            assert_int_equal(len, held[first % HELD]);
            assert_int_equal(at[0], first & 0xff);
            assert_int_equal(at[len - 1], first & 0xff);
            chan_datagrams_pop(&d);
            first++;
        }
        assert_int_equal(d.count, last - first);
    }
    assert_true(refused > 0 && refused == d.dropped);
    chan_datagrams_clear(&d);
    assert_int_equal(arena.used_bytes, CHAN_DATAGRAM_RING_MAX);
    chan_datagrams_tidy(&d, &arena);
    assert_int_equal(arena.used_bytes, 0);
    // Without memory nothing is taken, and nothing breaks.
    arena.cap_bytes = CHAN_DATAGRAM_RING_MIN;
    unsigned n = 0;
    while (chan_datagrams_put(&d, &arena, 1000) != NULL)
        n++;
    assert_int_equal(n, CHAN_DATAGRAM_RING_MIN / 1002);
    chan_datagrams_free(&d, &arena);
    arena_end(&arena);
}

static void datagrams_arrive(void **state)
{
    (void)state;
    struct net *n = net_new(51, PACKET_AEGIS256);
    uint8_t data[CHANNEL_DATAGRAM_BYTES_MAX + 1] = {0}, *at;
    net_start_both(n);
    assert_int_equal(end_datagram(n, 0, data, 100), BAUTA_ESTATE);
    NET_UNTIL(n, 5 * USEC_PER_S, net_matched(n));
    data[0] = 0x5a;
    data[99] = 0xa5;
    for (unsigned i = 0; i < 50; i++)
        assert_int_equal(end_datagram(n, 0, data, 100), 0);
    uint64_t packets = n->end[0].channel->packets_out;
    end_turn(n, 0);
    assert_in_range(n->end[0].channel->packets_out - packets, 1, 6); // many share a packet
    net_run(n, n->now + USEC_PER_S);
    assert_int_equal(n->end[1].datagrams, 50);
    assert_int_equal(n->end[1].datagrams_ok, 50);
    size_t max = channel_datagram_max(n->end[0].channel);
    assert_int_equal(channel_datagram_put(n->end[0].channel, max + 1, &at), BAUTA_ELIMIT);
    assert_int_equal(channel_datagram_put(n->end[0].channel, 0, &at), BAUTA_ELIMIT);
    assert_int_equal(end_datagram(n, 0, data, max), 0);
    end_turn(n, 0);
    net_run(n, n->now + USEC_PER_S);
    assert_int_equal(n->end[1].datagrams, 51);
    net_free(n);
}

// Full ones both ways at once: each packet's ACK finds its place, the path's MTU is found, and what was taken comes.
static void full_ones_fill_the_path(void **state)
{
    (void)state;
    struct net *n = net_new(52, PACKET_AEGIS256);
    net_connect(n);
    uint8_t data[CHANNEL_DATAGRAM_BYTES_MAX] = {0};
    uint64_t put[2] = {0};
    for (unsigned k = 0; k < 3000; k++) {
        for (unsigned i = 0; i < 2; i++) {
            size_t max = channel_datagram_max(n->end[i].channel);
            put[i] += end_datagram(n, i, data, max) == 0;
            end_turn(n, i);
        }
        net_run(n, n->now + 1000);
    }
    net_run(n, n->now + USEC_PER_S);
    for (unsigned i = 0; i < 2; i++) {
        struct channel_status st;
        channel_status(n->end[i].channel, &st);
        assert_in_range(st.mtu_bytes, CLASS_FULL + 1, CHAN_MTU_MAX);
        assert_int_equal(n->end[1 - i].datagrams, put[i]);
        assert_in_range(st.packets_out, put[i], put[i] * 3 / 2);
        assert_int_equal(n->end[i].channel->datagrams.count, 0);
    }
    net_free(n);
}

// Lost ones stay lost; those that no packet holds any more give way to those behind them.
static void a_path_that_shrinks_lets_the_short_ones_through(void **state)
{
    (void)state;
    struct net *n = net_new(53, PACKET_AEGIS256);
    net_connect(n);
    uint8_t data[CHANNEL_DATAGRAM_BYTES_MAX] = {0x5a};
    data[99] = 0xa5;
    struct channel *c = n->end[0].channel;
    assert_int_equal(end_datagram(n, 0, data, channel_datagram_max(c)), 0);
    assert_int_equal(end_datagram(n, 0, data, 100), 0);
    channel_sent(c, n->now, SENT_TOO_LONG);
    assert_int_equal(chan_paths_mtu(&c->paths), CLASS_MEDIUM);
    end_turn(n, 0);
    net_run(n, n->now + USEC_PER_S);
    assert_int_equal(n->end[1].datagrams, 1);
    assert_int_equal(n->end[1].datagrams_ok, 1);
    net_free(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_queue_keeps_order_and_content),
        cmocka_unit_test(datagrams_arrive),
        cmocka_unit_test(full_ones_fill_the_path),
        cmocka_unit_test(a_path_that_shrinks_lets_the_short_ones_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
