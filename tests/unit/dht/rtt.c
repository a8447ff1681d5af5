// Round trip times: RFC 6298 in 20 bits, and the node's own p95.
#include "dht/rtt.h"

#include "tests/unit/dht/help.h"

static void close_to(usec_t got, usec_t want, unsigned parts)
{
    assert_in_range(got, want - want / parts, want + want / parts);
}

static void values_follow_rfc6298(void **state)
{
    (void)state;
    rtt_value v = rtt_value_add(0, 100000); // srtt = R, rttvar = R / 2
    close_to(rtt_value_smoothed(v), 100000, 400);
    close_to(rtt_value_timeout(v), 300000, 30);
    for (unsigned i = 0; i < 100; i++)
        v = rtt_value_add(v, 100000);
    assert_true(rtt_value_timeout(v) < 110000);
    // Beside exact arithmetic, over three powers of ten and in both directions.
    uint64_t seed = 7;
    for (uint32_t mean = 3000; mean < 2000000; mean *= 3) {
        uint64_t srtt = mean, var = mean / 2;
        v = rtt_value_add(0, mean);
        for (unsigned i = 0; i < 300; i++) {
            uint32_t random, us;
            help_fill(&seed, &random, sizeof random);
            us = (i < 150 ? mean : mean / 2) * 3 / 4 + random % (mean / 4 + 1);
            uint64_t delta = us > srtt ? us - srtt : srtt - us;
            var = var - var / 4 + delta / 4;
            srtt = srtt - srtt / 8 + us / 8;
            v = rtt_value_add(v, us);
            assert_in_range(rtt_value_smoothed(v), srtt - srtt / 30 - 64, srtt + srtt / 30 + 64);
            usec_t rto = srtt + 4 * var;
            rto = rto < RPC_RTO_MIN_US   ? RPC_RTO_MIN_US
                  : rto > RPC_RTO_MAX_US ? RPC_RTO_MAX_US
                                         : rto;
            assert_in_range(rtt_value_timeout(v), rto - rto / 6 - 64, rto + rto / 6 + 64);
        }
    }
    assert_int_equal(rtt_value_smoothed(0), USEC_NEVER);
    assert_int_equal(rtt_value_timeout(rtt_value_add(0, 0)), RPC_RTO_MIN_US);
    assert_int_equal(rtt_value_timeout(rtt_value_add(0, UINT32_MAX)), RPC_RTO_MAX_US);
    for (uint32_t us = 0; us < 4000000; us += us / 50 + 1)
        assert_true(rtt_value_add(0, us) > 0 && rtt_value_add(0, us) < 1u << 20);
}

static void strangers_get_the_own_p95(void **state)
{
    (void)state;
    struct arena arena;
    struct rtt r;
    memory_arena(&arena, 1u << 20);
    rtt_init(&r, &arena);
    assert_int_equal(rtt_timeout(&r, 0), RPC_RTO_UNKNOWN_US);
    for (unsigned i = 0; i < 100; i++)
        rtt_sample(&r, 100000);
    close_to(rtt_timeout(&r, 0), 100000, 400);
    for (unsigned i = 0; i < RTT_SAMPLES; i++)
        rtt_sample(&r, i * 1000);
    close_to(rtt_timeout(&r, 0), RTT_SAMPLES * 95 / 100 * 1000, 400);
    assert_int_equal(r.arena->used_bytes, 0);
    rtt_end(&r);
    help_arena_end(&arena);
}

// Between the usual round trip and the timeout, for those known and for strangers.
static void most_answers_come_within_patience(void **state)
{
    (void)state;
    struct arena arena;
    struct rtt r;
    memory_arena(&arena, 1u << 20);
    rtt_init(&r, &arena);
    assert_int_equal(rtt_patience(&r, 0), RPC_PATIENCE_UNKNOWN_US);
    rtt_value v = rtt_value_add(0, 100000);
    close_to(rtt_patience(&r, v), 150000, 30);
    for (unsigned i = 0; i < 100; i++)
        v = rtt_value_add(v, 100000);
    close_to(rtt_patience(&r, v), 100000, 30);
    for (unsigned i = 0; i < RTT_SAMPLES; i++)
        rtt_sample(&r, i * 1000);
    close_to(rtt_patience(&r, 0), RTT_SAMPLES * 75 / 100 * 1000, 400);
    assert_true(rtt_patience(&r, 0) < rtt_timeout(&r, 0));
    assert_int_equal(rtt_patience(&r, rtt_value_add(0, 0)), RPC_RTO_MIN_US);
    rtt_end(&r);
    help_arena_end(&arena);
}

static void the_cache_keeps_those_lately_asked(void **state)
{
    (void)state;
    struct arena arena;
    struct rtt r;
    memory_arena(&arena, 1u << 20);
    rtt_init(&r, &arena);
    uint64_t mine = UINT64_C(0x123456789abcdef0);
    assert_int_equal(rtt_get(&r, mine), 0);
    rtt_put(&r, mine, 77);
    assert_int_equal(rtt_get(&r, mine), 77);
    rtt_put(&r, mine, 78);
    assert_int_equal(rtt_get(&r, mine), 78);
    rtt_put(&r, mine, 0);
    assert_int_equal(rtt_get(&r, mine), 0);
    rtt_put(&r, mine, 0); // nothing to forget
    for (uint32_t i = 1; i < 5000; i++) {
        uint64_t tag = i * UINT64_C(0x9e3779b97f4a7c15);
        rtt_put(&r, tag, i);
        assert_int_equal(rtt_get(&r, tag), i);
    }
    assert_int_equal(r.cap, RTT_ENTRIES_MAX);
    assert_true(arena.used_bytes <= 256);
    rtt_end(&r);
    help_arena_end(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_follow_rfc6298),
        cmocka_unit_test(strangers_get_the_own_p95),
        cmocka_unit_test(most_answers_come_within_patience),
        cmocka_unit_test(the_cache_keeps_those_lately_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
