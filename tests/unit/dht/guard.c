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
    guard_init(&f->guard, &f->arena, &f->rng, prefix_limits);
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

static void token_for(struct fixture *f, usec_t now, const struct path *p,
                      const uint8_t e[static 32], uint8_t token[static 8])
{
    guard_token_next(&f->guard, now, p, e, token);
}

static bool token_ok(struct fixture *f, usec_t now, const struct path *p,
                     const uint8_t e[static 32], const uint8_t token[static 8])
{
    return guard_token(&f->guard, now, p, e, token);
}

static void test_token(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, true);
    uint8_t e[32] = {1}, other_e[32] = {2}, token[8], zero[8] = {0};
    struct path p = at(1, 1, 4000), other_port = at(1, 1, 4001), other_ip = at(1, 2, 4000);
    usec_t now = 1000 * USEC_PER_S; // 40 s into a period
    token_for(&f, now, &p, e, token);
    assert_true(token_ok(&f, now, &p, e, token));
    assert_false(token_ok(&f, now, &p, other_e, token));
    assert_false(token_ok(&f, now, &other_port, e, token));
    assert_false(token_ok(&f, now, &other_ip, e, token));
    assert_false(token_ok(&f, now, &p, e, zero));
    for (unsigned bit = 0; bit < 64; bit++) { // the one that names the secret, too
        memcpy(zero, token, 8);
        zero[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(token_ok(&f, now, &p, e, zero));
    }
    assert_true(token_ok(&f, now + 79 * USEC_PER_S, &p, e, token)); // the one before
    assert_false(token_ok(&f, now + 80 * USEC_PER_S, &p, e, token));
    token_for(&f, now + 80 * USEC_PER_S, &p, e, token);
    assert_false(token_ok(&f, now + 500 * USEC_PER_S, &p, e, token)); // after a silence
    end(&f);
}

static void test_replay(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, true);
    usec_t now = 1000 * USEC_PER_S;
    for (uint32_t i = 0; i < 1000; i++) {
        uint8_t nonce[24] = {0};
        memcpy(nonce, &i, sizeof i);
        assert_int_equal(guard_once(&f.guard, now, nonce, 0, true), 0);
        assert_int_equal(guard_once(&f.guard, now, nonce, 0, true), BAUTA_EREPLAY);
    }
    uint8_t nonce[24] = {0};
    nonce[20] = 3;
    assert_int_equal(guard_once(&f.guard, now, nonce, 0, false), 0);
    assert_int_equal(guard_once(&f.guard, now, nonce, 0, false), BAUTA_EREPLAY);
    nonce[20] = 0;
    assert_int_equal(guard_once(&f.guard, now + 79 * USEC_PER_S, nonce, 0, true), BAUTA_EREPLAY);
    // As many as are remembered of one source, and no more; others are not crowded out.
    unsigned ok = 0;
    nonce[20] = 1;
    for (uint32_t i = 0; i < REPLAY_MAX; i++) {
        memcpy(nonce + 8, &i, sizeof i);
        ok += guard_once(&f.guard, now + 100 * USEC_PER_S, nonce, 0, true) == 0;
    }
    assert_int_equal(ok, REPLAY_PART_MAX);
    // As many as are remembered of all.
    for (uint32_t i = 0; i < REPLAY_MAX + 100; i++) {
        memcpy(nonce + 8, &i, sizeof i);
        nonce[20] = 4;
        uint64_t source = (uint64_t)(i % REPLAY_PARTS) << 44;
        ok += guard_once(&f.guard, now + 100 * USEC_PER_S, nonce, source, true) == 0;
    }
    assert_int_equal(ok, REPLAY_MAX);
    nonce[20] = 2; // a question is let through then, and not remembered
    assert_int_equal(guard_once(&f.guard, now + 100 * USEC_PER_S, nonce, 0, false), 0);
    assert_int_equal(guard_once(&f.guard, now + 100 * USEC_PER_S, nonce, 0, false), 0);
    assert_int_equal(guard_once(&f.guard, now + 100 * USEC_PER_S, nonce, 0, true), BAUTA_ELIMIT);
    // Its token is dead.
    assert_int_equal(guard_once(&f.guard, now + 300 * USEC_PER_S, nonce, 0, true), 0);
    end(&f);
}

static bool asks(struct fixture *f, usec_t now, const struct path *p, bool proven)
{
    return guard_rate(&f->guard, now, p, guard_source(&f->guard, p), proven);
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
        ok += asks(&f, now, &p, true);
    assert_int_equal(ok, RATE_PREFIX_PER_S + RATE_PART_FREE_PER_S);
    assert_true(asks(&f, now, &other, true));
    assert_true(asks(&f, now, &same, true)); // an honest neighbour does not starve
    ok = 0;
    for (unsigned i = 0; i < 1000; i++) { // one second, evenly
        now += USEC_PER_MS;
        ok += asks(&f, now, &p, true);
    }
    assert_true(ok >= RATE_PREFIX_PER_S - 2 && ok <= RATE_PREFIX_PER_S + 2 * RATE_PART_FREE_PER_S);
    // Many sources: allocates nothing until somebody has authenticated.
    size_t used = f.arena.used_bytes;
    for (uint64_t i = 1; i < 3000; i++)
        (void)guard_rate(&f.guard, now, &p, i * UINT64_C(0x9e3779b97f4a7c15), true);
    assert_int_equal(f.arena.used_bytes, used);
    guard_grow(&f.guard);
    assert_true(f.arena.used_bytes > used);
    end(&f);
    start(&f, false); // in a lab each node counts for itself
    assert_true(guard_source(&f.guard, &p) != guard_source(&f.guard, &same));
    end(&f);
}

// 200,000 first datagrams in a second from forged addresses everywhere, while people of 50 prefixes go on.
static void test_forged_flood(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, true);
    usec_t now = 70 * USEC_PER_S, from = now;
    unsigned served = 0, asked = 0, forged = 0, dh = 0, first = 0;
    for (uint32_t i = 0; i < 200000; i++) {
        now = from + i * 5;
        uint32_t x = i * 2654435761u;
        struct path liar = path_v4(
            (uint8_t[4]){(uint8_t)(x >> 24 | 1), (uint8_t)(x >> 16), (uint8_t)(x >> 8), (uint8_t)x},
            4000);
        if (asks(&f, now, &liar, false)) {
            forged++;
            dh += guard_dh(&f.guard, now, 0, false);
        }
        if (i % 100 == 0) { // 2,000 a second with tokens: 40 of each prefix
            struct path good = at(200, (uint8_t)(i / 100 % 50), 4000);
            asked++;
            served += asks(&f, now, &good, true) &&
                      guard_dh(&f.guard, now, guard_source(&f.guard, &good), true);
        }
        if (i % 20000 == 0) { // and somebody new now and again
            struct path fresh = at(201, (uint8_t)(i / 20000), 4000);
            first += asks(&f, now, &fresh, false);
        }
    }
    assert_int_equal(asked, 2000);
    assert_true(served >= 990 * asked / 1000);
    assert_true(forged <=
                RATE_UNPROVEN_PER_S * 21 / 10); // a full bucket and what comes in a second
    assert_true(dh <= DH_UNPROVEN_PER_S * 21 / 10);
    assert_true(f.arena.used_bytes == 0); // nobody has authenticated
    (void)first;
    end(&f);
}

// 10,000 a second forged in the name of one address, whose owner has a token: he goes on.
static void test_forged_neighbour(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, true);
    usec_t now = 70 * USEC_PER_S;
    struct path owner = at(9, 9, 9);
    unsigned forged = 0, served = 0;
    for (uint32_t i = 0; i < 20000; i++) {
        now += 100;
        forged += asks(&f, now, &owner, false);
        if (i % 100 == 0)
            served += asks(&f, now, &owner, true);
    }
    assert_int_equal(served, 200);
    assert_true(forged <= 3 * RATE_PREFIX_PER_S + 3 * RATE_PART_FREE_PER_S);
    end(&f);
}

// 1,000 prefixes with tokens ask for twenty key exchanges a second each; somebody who needs one gets it.
static void test_fair_exchanges(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, true);
    usec_t from = 70 * USEC_PER_S;
    struct path good = at(9, 9, 9);
    unsigned served = 0, spent = 0;
    guard_grow(&f.guard);
    for (uint32_t i = 0; i < 60000; i++) {
        usec_t now = from + i * UINT64_C(50);
        struct path greedy = at((uint8_t)(20 + i % 1000 / 200), (uint8_t)(i % 200), 4000);
        if (asks(&f, now, &greedy, true))
            spent += guard_dh(&f.guard, now, guard_source(&f.guard, &greedy), true);
        guard_grow(&f.guard);
        if (i % 20000 == 9999)
            served += asks(&f, now, &good, true) &&
                      guard_dh(&f.guard, now, guard_source(&f.guard, &good), true);
    }
    assert_int_equal(served, 3);
    assert_true(spent <= 4 * DH_PER_S);
    end(&f);
}

// One prefix asks ten times of what others do: it is cut to what is fair, the others get all they want.
static void test_fair_shares(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, true);
    usec_t now = 70 * USEC_PER_S;
    unsigned got[31] = {0}, want[31] = {0};
    for (unsigned ms = 0; ms < 10000; ms++) {
        now += USEC_PER_MS;
        for (unsigned k = 0; k < 31; k++) {
            unsigned n = k == 0 ? 5 : 1; // 30 prefixes want 333 a second each: all there is
            for (unsigned i = 0; i < n && (k == 0 || ms % 3 == 0); i++) {
                struct path p = at(10, (uint8_t)k, 4000);
                p.ip[2] = (uint8_t)(ms % 7);
                want[k]++;
                got[k] += asks(&f, now, &p, true);
                guard_grow(&f.guard);
            }
        }
    }
    unsigned others = 0, wanted = 0;
    for (unsigned k = 1; k < 31; k++) {
        others += got[k];
        wanted += want[k];
    }
    assert_true(got[0] <= want[0] / 5);
    assert_true(others >= wanted * 8 / 10);
    end(&f);
}

// Checking proofs of work has a budget, and nobody uses up more than a part of it.
static void test_work_budget(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, true);
    usec_t now = 70 * USEC_PER_S;
    unsigned one = 0, all = 0;
    for (unsigned i = 0; i < 1000; i++)
        one += guard_work(&f.guard, now, UINT64_C(5) << 48);
    assert_int_equal(one, WORK_PART_PER_S);
    for (uint64_t i = 0; i < 1000; i++)
        all += guard_work(&f.guard, now, i << 48);
    assert_int_equal(one + all, WORK_PER_S);
    assert_true(guard_work(&f.guard, now + USEC_PER_S, UINT64_C(5) << 48));
    // Who guesses at every source leaves half of it: four wrong ones use up what a source has.
    now += 2 * USEC_PER_S;
    all = one = 0;
    for (unsigned i = 0; i < 1000; i++)
        if (guard_work(&f.guard, now, (uint64_t)(i % (WORK_PARTS - 1)) << 48)) {
            all++;
            guard_work_wrong(&f.guard, (uint64_t)(i % (WORK_PARTS - 1)) << 48);
        }
    assert_int_equal(all, (WORK_PARTS - 1) * WORK_PART_PER_S / (1 + WORK_WRONG));
    for (unsigned i = 0; i < 1000; i++)
        one += guard_work(&f.guard, now, (uint64_t)(WORK_PARTS - 1) << 48);
    assert_int_equal(one, WORK_PART_PER_S);
    end(&f);
}

// After two quiet minutes a server has given back all that requests made it take.
static void test_rest(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, true);
    usec_t now = 1000 * USEC_PER_S;
    uint8_t nonce[24] = {0}, e[32] = {0};
    struct rpc_root keys;
    memset(&keys, 1, sizeof keys);
    for (uint32_t i = 0; i < 1000; i++) {
        struct path p = at((uint8_t)(i >> 4), (uint8_t)i, 4000);
        memcpy(nonce, &i, sizeof i);
        memcpy(e, &i, sizeof i);
        (void)asks(&f, now, &p, true);
        guard_grow(&f.guard);
        (void)guard_once(&f.guard, now, nonce, 0, true);
        guard_keys_remember(&f.guard, i, e, &keys);
        (void)guard_keys(&f.guard, i, e, &keys);
    }
    assert_true(f.arena.used_bytes > 10000);
    assert_true(guard_rest(&f.guard, now + 60 * USEC_PER_S));
    (void)asks(&f, now + 170 * USEC_PER_S, &(struct path){.family = 4}, true);
    assert_false(guard_rest(&f.guard, now + 180 * USEC_PER_S));
    assert_int_equal(f.arena.used_bytes, 0);
    end(&f);
}

static void test_keycache(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, true);
    uint8_t e[32] = {0};
    struct rpc_root keys, got;
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
        cmocka_unit_test(test_token),
        cmocka_unit_test(test_replay),
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_forged_flood),
        cmocka_unit_test(test_forged_neighbour),
        cmocka_unit_test(test_fair_exchanges),
        cmocka_unit_test(test_fair_shares),
        cmocka_unit_test(test_work_budget),
        cmocka_unit_test(test_rest),
        cmocka_unit_test(test_keycache),
        cmocka_unit_test(test_timers),
        cmocka_unit_test(test_open_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
