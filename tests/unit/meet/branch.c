// How deep one stands in a hot topic: what full, empty and lying places lead to.
#include "node/meet/branch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
// cmocka needs the above before it.
#include <cmocka.h>

#define S USEC_PER_S

static void fill(void *ctx, void *buf, size_t len)
{
    uint64_t *state = ctx;
    uint8_t *at = buf;
    for (size_t i = 0; i < len; i++) {
        uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        at[i] = (uint8_t)(z >> 56);
    }
}

struct fixture {
    uint64_t random;
    struct rng rng;
    struct branch b;
    usec_t now;
};

static void begin(struct fixture *f, uint8_t person)
{
    uint8_t pk[32] = {person};
    f->random = person;
    f->rng = (struct rng){fill, &f->random};
    f->now = 1000 * S;
    branch_init(&f->b, pk);
}

static void the_path_is_of_the_pseudonym(void **state)
{
    (void)state;
    struct fixture f;
    unsigned ones = 0;
    for (unsigned i = 0; i < 200; i++) {
        begin(&f, (uint8_t)i);
        assert_int_equal(branch_at(&f.b, 0).bits, 0);
        for (unsigned d = 1; d <= BRANCH_DEPTH_MAX; d++) {
            assert_int_equal(branch_at(&f.b, d).depth, d);
            assert_int_equal(branch_at(&f.b, d).bits >> 1, branch_at(&f.b, d - 1).bits);
        }
        ones += branch_at(&f.b, 1).bits;
    }
    assert_in_range(ones, 70, 130);
}

static void a_full_root_sends_to_the_hint(void **state)
{
    (void)state;
    static const unsigned to[][2] = {{0, 1}, {1, 1}, {2, 2}, {5, 5}, {8, 8}, {9, 8}, {255, 8}};
    for (unsigned i = 0; i < sizeof to / sizeof to[0]; i++) {
        struct fixture f;
        begin(&f, 1);
        assert_true(branch_full(&f.b, f.now, &f.rng, to[i][0]));
        assert_int_equal(f.b.depth, to[i][1]);
    }
}

static void deeper_one_by_one_and_no_deeper_than_16(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 1);
    branch_full(&f.b, f.now, &f.rng, 3);
    for (unsigned d = 4; d <= BRANCH_DEPTH_MAX; d++) {
        assert_true(branch_full(&f.b, f.now, &f.rng, 9));
        assert_int_equal(f.b.depth, d);
    }
    assert_false(branch_full(&f.b, f.now, &f.rng, 9));
    assert_int_equal(f.b.depth, BRANCH_DEPTH_MAX);
}

// Whoever is told 16 stands where others are after three moves more.
static void a_liar_costs_few_moves(void **state)
{
    (void)state;
    struct fixture f;
    unsigned moves = 0;
    begin(&f, 1);
    branch_full(&f.b, f.now, &f.rng, 16);
    for (; branch_alone(&f.b, f.now, &f.rng, 1); moves++)
        f.now += S / 2;
    assert_int_equal(f.b.depth, 1); // the root was said to be full; it is read as the parent
    assert_int_equal(moves, 3);
    // And where the root says so again a moment later, it is not believed as far as that.
    f.now += BRANCH_FULL_US;
    assert_true(branch_alone(&f.b, f.now, &f.rng, 1));
    assert_int_equal(f.b.depth, 0);
    assert_true(branch_full(&f.b, f.now, &f.rng, 16));
    assert_int_equal(f.b.depth, 1);
    // For ever lied to: no more than one move up in five seconds.
    moves = 0;
    for (usec_t end = f.now + 600 * S; f.now < end; f.now += S / 10) {
        moves += branch_alone(&f.b, f.now, &f.rng, 1) ? 1 : 0;
        if (f.b.depth == 0)
            branch_full(&f.b, f.now, &f.rng, 16);
    }
    assert_in_range(moves, 20, 600 / 5 + BRANCH_CLIMBS_MAX);
}

static void one_up_where_few_are(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 1);
    branch_full(&f.b, f.now, &f.rng, 6);
    assert_false(branch_alone(&f.b, f.now, &f.rng, BRANCH_SPARSE));
    assert_int_equal(f.b.depth, 6);
    assert_true(branch_alone(&f.b, f.now, &f.rng, BRANCH_SPARSE - 1));
    assert_int_equal(f.b.depth, 5);
    assert_true(branch_alone(&f.b, f.now, &f.rng, BRANCH_FEW));
    assert_int_equal(f.b.depth, 4);
    assert_true(branch_alone(&f.b, f.now, &f.rng, BRANCH_FEW - 1));
    assert_int_equal(f.b.depth, 2); // half of the way to 1
}

static void the_parent_is_asked_now_and_then(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 1);
    assert_true(f.b.ask_at == USEC_NEVER);
    assert_false(branch_counted(&f.b, f.now, &f.rng, 0, 0, false));
    branch_full(&f.b, f.now, &f.rng, 2);
    for (unsigned i = 0; i < 20; i++) {
        assert_in_range(f.b.ask_at - f.now, BRANCH_ASK_MIN_US, BRANCH_ASK_MAX_US);
        assert_false(branch_ask(&f.b, f.now, &f.rng));
        f.now = f.b.ask_at;
        assert_true(branch_ask(&f.b, f.now, &f.rng));
        assert_false(
            branch_counted(&f.b, f.now, &f.rng, f.b.depth - 1u, i % 2 == 0 ? 128 : 5, i % 2 == 1));
        assert_false(branch_counted(&f.b, f.now, &f.rng, f.b.depth - 1u, 0, false)); // nobody asked
    }
    f.now = f.b.ask_at;
    assert_true(branch_ask(&f.b, f.now, &f.rng));
    assert_true(branch_counted(&f.b, f.now, &f.rng, f.b.depth - 1u, 127, false));
    assert_int_equal(f.b.depth, 1);
    f.now = f.b.ask_at;
    branch_ask(&f.b, f.now, &f.rng);
    assert_true(branch_counted(&f.b, f.now, &f.rng, f.b.depth - 1u, 0, false));
    assert_int_equal(f.b.depth, 0);
    assert_true(f.b.ask_at == USEC_NEVER);
}

static void beside_are_the_sibling_and_then_all(void **state)
{
    (void)state;
    struct fixture f;
    struct branch_place at;
    unsigned seen[8] = {0};
    begin(&f, 1);
    assert_false(branch_beside(&f.b, &f.rng, false, &at));
    branch_full(&f.b, f.now, &f.rng, 3);
    struct branch_place own = branch_at(&f.b, 3);
    assert_true(branch_beside(&f.b, &f.rng, false, &at));
    assert_int_equal(at.depth, 3);
    assert_int_equal(at.bits, own.bits ^ 1u);
    for (unsigned i = 0; i < 400; i++) {
        assert_true(branch_beside(&f.b, &f.rng, false, &at));
        assert_in_range(at.bits, 0, 7);
        seen[at.bits]++;
    }
    for (unsigned i = 0; i < 8; i++)
        assert_in_range(seen[i], i == own.bits ? 0 : 30, i == own.bits ? 0 : 90);
    // Of a full place, its children: that is where others were sent.
    begin(&f, 2);
    for (unsigned i = 0; i < 20; i++) {
        assert_true(branch_beside(&f.b, &f.rng, true, &at));
        assert_int_equal(at.depth, 1);
        seen[i == 0 && at.bits != branch_at(&f.b, 1).bits ? 7 : at.bits]++;
    }
    assert_in_range(seen[0], 31, 110);
}

// What was full has room again: who is alone goes there at once.
static void room_above_is_believed(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 1);
    branch_full(&f.b, f.now, &f.rng, 3);
    while (branch_alone(&f.b, f.now, &f.rng, 1))
        ;
    assert_int_equal(f.b.depth, 1);
    assert_false(branch_counted(&f.b, f.now, &f.rng, 0, 10, true));
    assert_false(branch_alone(&f.b, f.now, &f.rng, 1));
    assert_false(branch_counted(&f.b, f.now, &f.rng, 0, 128, false));
    assert_false(branch_alone(&f.b, f.now, &f.rng, 1));
    assert_false(branch_counted(&f.b, f.now, &f.rng, 0, 10, false));
    assert_true(branch_alone(&f.b, f.now, &f.rng, 1));
    assert_int_equal(f.b.depth, 0);
}

// From any depth to the highest place that has room; what was said of it is soon forgotten.
static void who_is_alone_goes_where_room_is(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 1);
    branch_full(&f.b, f.now, &f.rng, 5);
    assert_int_equal(f.b.depth, 5);
    assert_false(branch_counted(&f.b, f.now, &f.rng, 0, 0, false));
    assert_false(branch_counted(&f.b, f.now, &f.rng, 4, 3, false));
    assert_true(branch_alone(&f.b, f.now, &f.rng, BRANCH_FEW));
    assert_int_equal(f.b.depth, 0);

    begin(&f, 1);
    branch_full(&f.b, f.now, &f.rng, 5);
    assert_false(branch_counted(&f.b, f.now, &f.rng, 0, 0, false));
    f.now += BRANCH_ROOM_US;
    assert_true(branch_alone(&f.b, f.now, &f.rng, BRANCH_FEW));
    assert_int_equal(f.b.depth, 4);

    begin(&f, 1);
    branch_full(&f.b, f.now, &f.rng, 5);
    assert_false(branch_counted(&f.b, f.now, &f.rng, 0, 0, false));
    assert_false(branch_counted(&f.b, f.now, &f.rng, 0, 5, true));
    assert_true(branch_alone(&f.b, f.now, &f.rng, BRANCH_FEW));
    assert_int_equal(f.b.depth, 4);
}

// Two who are alone at any two leaves come to one place, however deep they were sent.
static void who_is_alone_meets(void **state)
{
    (void)state;
    for (unsigned deep = 1; deep <= BRANCH_DEPTH_MAX; deep++) {
        struct fixture a, b;
        begin(&a, 3);
        begin(&b, 200);
        branch_full(&a.b, a.now, &a.rng, 8);
        branch_full(&b.b, b.now, &b.rng, 4);
        for (unsigned i = 8; i < deep; i++)
            branch_full(&a.b, a.now, &a.rng, 0);
        a.now += BRANCH_FULL_US;
        b.now += BRANCH_FULL_US;
        unsigned moves = 0;
        while (branch_alone(&a.b, a.now, &a.rng, 1) || branch_alone(&b.b, b.now, &b.rng, 1))
            moves++;
        assert_int_equal(a.b.depth + b.b.depth, 0);
        assert_in_range(moves, 4, 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_path_is_of_the_pseudonym),
        cmocka_unit_test(a_full_root_sends_to_the_hint),
        cmocka_unit_test(deeper_one_by_one_and_no_deeper_than_16),
        cmocka_unit_test(a_liar_costs_few_moves),
        cmocka_unit_test(one_up_where_few_are),
        cmocka_unit_test(the_parent_is_asked_now_and_then),
        cmocka_unit_test(beside_are_the_sibling_and_then_all),
        cmocka_unit_test(room_above_is_believed),
        cmocka_unit_test(who_is_alone_goes_where_room_is),
        cmocka_unit_test(who_is_alone_meets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
