// NATs that forget a silent flow sooner than one would think: the first time costs some seconds, later ones nothing.
#include "tests/unit/channel/link.h"

struct nat {
    usec_t idle_us[2]; // what comes in after so long without anything out is dropped
    usec_t out_at[2];
    unsigned dropped;
};

static bool tap(struct net *n, unsigned from, const struct path *to, uint8_t *data, size_t *len)
{
    struct nat *nat = n->tap_ctx;
    (void)to;
    (void)data;
    (void)len;
    nat->out_at[from] = n->now;
    bool open = n->now + n->delay_us - nat->out_at[from ^ 1] <= nat->idle_us[from ^ 1];
    nat->dropped += !open;
    return open;
}

static void speak(struct net *n, unsigned end)
{
    n->end[end].want[0] += 50;
    end_turn(n, end);
}

// For an hour, with a word now and then.
static void an_hour(uint64_t seed, usec_t idle_us, unsigned *lost, unsigned *dropped,
                    unsigned *packets)
{
    struct net *n = net_new(seed, PACKET_CHACHA20POLY1305);
    struct prng p = {seed};
    struct nat nat = {.idle_us = {idle_us, seed % 2 == 0 ? USEC_NEVER : idle_us}};
    nat.out_at[0] = nat.out_at[1] = n->now;
    n->tap = tap;
    n->tap_ctx = &nat;
    net_connect(n);
    for (usec_t end = n->now + 3600 * USEC_PER_S; n->now < end;) {
        net_run(n, n->now + prng_next(&p) % (240 * USEC_PER_S));
        speak(n, (unsigned)(prng_next(&p) % 2));
    }
    net_run(n, n->now + 10 * USEC_PER_S);
    assert_false(n->end[0].closed || n->end[1].closed);
    assert_true(net_done(n));
    *lost = n->end[0].lost + n->end[1].lost;
    *dropped = nat.dropped;
    struct channel_status st;
    channel_status(n->end[0].channel, &st);
    *packets = (unsigned)(st.packets_out + st.packets_in);
    net_free(n);
}

static void a_short_memory_is_found_out(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 40; seed++) {
        unsigned lost, dropped, usual, packets;
        an_hour(seed, 60 * USEC_PER_S, &lost, &dropped, &usual);
        assert_int_equal(lost + dropped, 0);
        // 15 s: lost once or a few times, and then one of both asks often enough (without that 60 to 150 times an hour).
        an_hour(seed, 15 * USEC_PER_S, &lost, &dropped, &packets);
        assert_in_range(lost, 1, 6);
        assert_true(dropped < 120);
        assert_true(packets < 2 * usual);
    }
}

// What is no NAT's doing changes nothing: an outage while both speak.
static void an_outage_is_no_silence(void **state)
{
    (void)state;
    struct net *n = net_new(3, PACKET_CHACHA20POLY1305);
    net_connect(n);
    for (unsigned i = 0; i < 20; i++) {
        n->cut = i % 4 == 0;
        for (unsigned k = 0; k < 30; k++) {
            speak(n, k % 2);
            net_run(n, n->now + 100 * USEC_PER_MS);
        }
    }
    n->cut = false;
    NET_UNTIL(n, 10 * USEC_PER_S, net_done(n));
    assert_true(net_done(n) && n->end[0].lost > 0);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(n->end[i].channel->keep_us, CHAN_IDLE_US);
    net_free(n);
}

// Who vanishes is gone as soon as ever.
static void who_vanishes_is_gone(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct net *n = net_new(seed, PACKET_CHACHA20POLY1305);
        net_connect(n);
        net_run(n, n->now + seed * USEC_PER_S);
        n->end[1].dead = true;
        usec_t from = n->now;
        NET_UNTIL(n, 60 * USEC_PER_S, n->end[0].closed);
        assert_true(n->end[0].closed && n->end[0].reason == CHANNEL_ENDED_GONE);
        assert_true(n->now - from <= CHAN_IDLE_US * 10 / 9 + CHAN_GONE_US + USEC_PER_S);
        net_free(n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_short_memory_is_found_out),
        cmocka_unit_test(an_outage_is_no_silence),
        cmocka_unit_test(who_vanishes_is_gone),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
