// What protects a server: tokens, rates, keys, replays. And the small tools: timers, ids, round trips.
#include "dht/guard.h"

#include "crypto/bytes.h"
#include "dht/ids.h"
#include "dht/timer.h"
#include "tests/unit/dht/help.h"

struct fixture {
    struct arena arena;
    uint64_t seed;
    struct rng rng;
    struct guard guard;
};

static void start(struct fixture *f, bool prefix_limits)
{
    memset(f, 0, sizeof *f);
    f->seed = 3;
    f->rng = (struct rng){help_fill, &f->seed};
    memory_arena(&f->arena, 4u << 20);
    assert_int_equal(guard_init(&f->guard, &f->arena, &f->rng, prefix_limits), 0);
}

static void end(struct fixture *f)
{
    guard_end(&f->guard);
    help_arena_end(&f->arena);
}

static struct path at(uint8_t a, uint8_t b, uint16_t port)
{
    return path_v4((const uint8_t[4]){a, b, 1, 1}, port);
}

static void test_token(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, true);
    uint8_t e[32] = {1}, other_e[32] = {2}, token[8], zero[8] = {0};
    struct path p = at(1, 1, 4000), other_port = at(1, 1, 4001), other_ip = at(1, 2, 4000);
    usec_t now = 1000 * USEC_PER_S; // 40 s into a period
    guard_token(&f.guard, now, &p, e, token);
    assert_true(guard_token_ok(&f.guard, now, &p, e, token));
    assert_false(guard_token_ok(&f.guard, now, &p, other_e, token));
    assert_false(guard_token_ok(&f.guard, now, &other_port, e, token));
    assert_false(guard_token_ok(&f.guard, now, &other_ip, e, token));
    assert_false(guard_token_ok(&f.guard, now, &p, e, zero));
    assert_true(guard_token_ok(&f.guard, now + 79 * USEC_PER_S, &p, e, token)); // the one before
    assert_false(guard_token_ok(&f.guard, now + 80 * USEC_PER_S, &p, e, token));
    guard_token(&f.guard, now + 80 * USEC_PER_S, &p, e, token);
    assert_false(guard_token_ok(&f.guard, now + 500 * USEC_PER_S, &p, e, token)); // after a silence
    end(&f);
}

static void test_replay(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, true);
    usec_t now = 1000 * USEC_PER_S;
    for (uint32_t i = 0; i < 3000; i++) {
        uint8_t nonce[24] = {0};
        memcpy(nonce, &i, sizeof i);
        assert_int_equal(guard_once(&f.guard, now, nonce, true), 0);
        assert_int_equal(guard_once(&f.guard, now, nonce, true), BAUTA_EREPLAY);
    }
    uint8_t nonce[24] = {0};
    nonce[20] = 3;
    assert_int_equal(guard_once(&f.guard, now, nonce, false), 0);
    assert_int_equal(guard_once(&f.guard, now, nonce, false), BAUTA_EREPLAY);
    nonce[20] = 0;
    assert_int_equal(guard_once(&f.guard, now + 79 * USEC_PER_S, nonce, true), BAUTA_EREPLAY);
    // As many as are remembered, and no more.
    unsigned ok = 0;
    for (uint32_t i = 0; i < REPLAY_MAX + 100; i++) {
        memcpy(nonce + 8, &i, sizeof i);
        nonce[20] = 1;
        ok += guard_once(&f.guard, now + 100 * USEC_PER_S, nonce, true) == 0;
    }
    assert_int_equal(ok, REPLAY_MAX);
    nonce[20] = 2; // a question is let through then, and not remembered
    assert_int_equal(guard_once(&f.guard, now + 100 * USEC_PER_S, nonce, false), 0);
    assert_int_equal(guard_once(&f.guard, now + 100 * USEC_PER_S, nonce, false), 0);
    assert_int_equal(guard_once(&f.guard, now + 100 * USEC_PER_S, nonce, true), BAUTA_ELIMIT);
    // Its token is dead.
    assert_int_equal(guard_once(&f.guard, now + 300 * USEC_PER_S, nonce, true), 0);
    end(&f);
}

static void test_rate(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, true);
    usec_t now = 50 * USEC_PER_S;
    struct path p = at(1, 1, 1), same = at(1, 1, 2), other = at(1, 2, 1);
    same.ip[2] = 99;
    uint64_t a = guard_source(&f.guard, &p), b = guard_source(&f.guard, &other);
    assert_true(a == guard_source(&f.guard, &same)); // one coarse prefix
    assert_true(a != b);
    unsigned ok = 0;
    for (unsigned i = 0; i < 2 * RATE_PREFIX_PER_S; i++)
        ok += guard_rate(&f.guard, now, a);
    assert_int_equal(ok, RATE_PREFIX_PER_S);
    assert_true(guard_rate(&f.guard, now, b));
    ok = 0;
    for (unsigned i = 0; i < 1000; i++) { // one second, evenly
        now += USEC_PER_MS;
        ok += guard_rate(&f.guard, now, a);
    }
    assert_true(ok >= RATE_PREFIX_PER_S - 2 && ok <= RATE_PREFIX_PER_S + 2);
    // Many sources: allocates nothing until somebody has authenticated.
    size_t used = f.arena.used_bytes;
    for (uint64_t i = 1; i < 5000; i++)
        (void)guard_rate(&f.guard, now, i * UINT64_C(0x9e3779b97f4a7c15));
    assert_int_equal(f.arena.used_bytes, used);
    guard_grow(&f.guard);
    assert_true(f.arena.used_bytes > used);
    end(&f);
    start(&f, false); // in a lab each node counts for itself
    assert_true(guard_source(&f.guard, &p) != guard_source(&f.guard, &same));
    end(&f);
}

static void test_keycache(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, true);
    uint8_t e[32] = {0};
    struct rpc_keys keys, got;
    memset(&keys, 7, sizeof keys);
    assert_false(guard_keys(&f.guard, 1, e, &got));
    guard_keys_remember(&f.guard, 1, e, &keys);
    assert_true(guard_keys(&f.guard, 1, e, &got));
    assert_memory_equal(&keys, &got, sizeof keys);
    // A flood from one source stays in its share: the keys of another are still there.
    uint64_t quiet = UINT64_C(5) << 32, loud = UINT64_C(6) << 32;
    for (unsigned round = 0; round < 6; round++) // until the cache has its full size
        for (uint32_t i = 0; i < 3000; i++) {
            memcpy(e, &i, sizeof i);
            guard_keys_remember(&f.guard, loud, e, &keys);
            (void)guard_keys(&f.guard, loud, e, &got);
        }
    uint8_t mine[32] = {0xff};
    guard_keys_remember(&f.guard, quiet, mine, &keys);
    uint32_t sets = f.guard.sets;
    assert_int_equal(sets, KEYCACHE_SETS_MAX);
    for (uint32_t i = 0; i < 3000; i++) {
        memcpy(e, &i, sizeof i);
        guard_keys_remember(&f.guard, loud, e, &keys);
    }
    assert_true(guard_keys(&f.guard, quiet, mine, &got));
    end(&f);
}

static void test_timers(void **state)
{
    (void)state;
    struct arena arena;
    struct timers t;
    static struct timer timer[300];
    uint64_t seed = 9;
    memory_arena(&arena, 1u << 20);
    timers_init(&t, &arena);
    assert_true(timers_next(&t) == USEC_NEVER);
    for (unsigned i = 0; i < 300; i++)
        assert_int_equal(timers_add(&t, &timer[i], 1, &timer[i]), 0);
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < 300; i++) {
            uint8_t x;
            help_fill(&seed, &x, 1);
            timers_arm(&t, &timer[i], x % 5 == 0 ? USEC_NEVER : x); // many ties
        }
        usec_t last = 0;
        uint64_t last_seq = 0;
        unsigned due = 0;
        for (struct timer *x; (x = timers_due(&t, 100)) != NULL; due++) {
            assert_true(x->at >= last && x->at <= 100);
            if (x->at == last)
                assert_true(x->seq > last_seq); // who was armed first
            last = x->at;
            last_seq = x->seq;
        }
        assert_true(due > 50);
        assert_true(timers_next(&t) > 100);
    }
    for (unsigned i = 0; i < 300; i++)
        timers_remove(&t, &timer[i]);
    assert_true(timers_next(&t) == USEC_NEVER);
    timers_end(&t);
    help_arena_end(&arena);
}

static void test_open_ids(void **state)
{
    (void)state;
    struct arena arena;
    struct ids t;
    uint64_t seed = 4;
    static uint64_t id[4000];
    memory_arena(&arena, 4u << 20);
    ids_init(&t, &arena);
    assert_null(ids_find(&t, 1));
    for (unsigned i = 0; i < 4000; i++) {
        help_fill(&seed, &id[i], 8);
        if (i % 3 == 0)
            id[i] &= ~UINT64_C(0xfff); // crowd one place
        assert_int_equal(ids_open(&t, id[i], ID_PUSH, &t, 0, i), 0);
    }
    assert_int_equal(ids_open(&t, id[7], ID_ANSWER, &t, 0, 0), BAUTA_ELIMIT);
    for (unsigned i = 0; i < 4000; i += 2)
        ids_close(&t, id[i]);
    for (unsigned i = 0; i < 4000; i++) {
        const struct id_entry *e = ids_find(&t, id[i]);
        if (i % 2 == 0)
            assert_null(e);
        else
            assert_int_equal(e->i, i);
    }
    for (unsigned i = 1; i < 4000; i += 2)
        ids_close(&t, id[i]);
    assert_int_equal(t.n, 0);
    assert_true(t.cap <= 32); // small again
    ids_end(&t);
    help_arena_end(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_token),  cmocka_unit_test(test_replay),
        cmocka_unit_test(test_rate),   cmocka_unit_test(test_keycache),
        cmocka_unit_test(test_timers), cmocka_unit_test(test_open_ids),

    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
