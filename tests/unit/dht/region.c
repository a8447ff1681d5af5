// Which of the candidates are the region of a place.
#include "dht/region.h"
#include "tests/unit/dht/help.h"

#define COUNT_MAX LOOKUP_CANDIDATES_MAX

struct scene {
    uint64_t rng;
    uint8_t place[32];
    struct region region;
    struct candidate cand[COUNT_MAX];
    size_t n;
};

static void begin(struct scene *x, uint64_t seed, uint64_t radius)
{
    memset(x, 0, sizeof *x);
    x->rng = seed;
    help_fill(&x->rng, x->place, sizeof x->place);
    x->region.radius = radius;
    x->region.want = REGION_LIVE;
    x->region.families = 1;
}

static struct candidate *put(struct scene *x, uint64_t distance, uint64_t fine, uint64_t coarse)
{
    size_t k = x->n++;
    for (; k > 0 && x->cand[k - 1].distance > distance; k--)
        x->cand[k] = x->cand[k - 1];
    x->cand[k] = (struct candidate){.distance = distance,
                                    .fine = fine,
                                    .coarse = coarse,
                                    .state = CAND_ANSWERED,
                                    .inside = distance < x->region.radius,
                                    .ref = (book_ref)x->n};
    return &x->cand[k];
}

static void choose(struct scene *x, bool extend)
{
    region_select(&x->region, x->place, x->cand, x->n, extend);
}

static bool is_member(const struct scene *x, uint64_t distance)
{
    for (size_t i = 0; i < x->n; i++)
        if (x->cand[i].distance == distance)
            return x->cand[i].member;
    fail();
    return false;
}

static void test_radius_and_extension(void **state)
{
    (void)state;
    struct scene x;
    begin(&x, 1, 1000);
    for (uint64_t i = 0; i < 30; i++)
        put(&x, 100 * i, i, i);
    choose(&x, false);
    assert_int_equal(x.region.members, 10);
    choose(&x, true); // until there are sixteen
    assert_int_equal(x.region.members, REGION_LIVE);
    assert_int_equal(x.region.answered, REGION_LIVE);
    assert_true(x.region.edge == 1500);
    x.cand[2].state = CAND_SLOW; // is in, but does not count
    x.cand[3].state = CAND_FAILED;
    x.cand[4].state = CAND_NEW;
    choose(&x, true);
    assert_int_equal(x.region.members, REGION_LIVE + 1);
    assert_true(is_member(&x, 200) && !is_member(&x, 300) && is_member(&x, 400));
    assert_true(x.region.slow == 1 && x.region.open == 1 && x.region.edge == 1700);
    x.region.radius = 2500; // more than enough: nothing beyond
    for (size_t i = 0; i < x.n; i++)
        x.cand[i].inside = x.cand[i].distance < 2500;
    choose(&x, true);
    assert_int_equal(x.region.members, 24);
    x.cand[0].round = REGION_ROUNDS + 1; // too far down the line
    choose(&x, true);
    assert_int_equal(x.region.members, 23);
}

static void test_prefixes(void **state)
{
    (void)state;
    struct scene x;
    begin(&x, 2, 1000);
    for (uint64_t i = 0; i < 5; i++)
        put(&x, 1 + i, 77, 7); // one fine prefix
    for (uint64_t i = 0; i < 5; i++)
        put(&x, 10 + i, 100 + i, 8); // one coarse prefix
    for (uint64_t i = 0; i < 4; i++)
        put(&x, 500 + i, 200 + i, 200 + i);
    choose(&x, false);
    assert_int_equal(x.region.members, 1 + 3 + 4);
    assert_true(is_member(&x, 1) && !is_member(&x, 2));
    assert_true(is_member(&x, 12) && !is_member(&x, 13));
    x.cand[0].state = CAND_FAILED; // the next of that prefix takes its place
    choose(&x, false);
    assert_true(is_member(&x, 2) && !is_member(&x, 3));
}

// Enough of few coarse prefixes: more are taken in until there are eight.
static void test_coarse_prefixes(void **state)
{
    (void)state;
    struct scene x;
    begin(&x, 3, 1000);
    for (uint64_t i = 0; i < 18; i++)
        put(&x, i, i, i / 3);
    for (uint64_t i = 0; i < 4; i++)
        put(&x, 2000 + i, 50 + i, 50 + i);
    choose(&x, true);
    assert_int_equal(x.region.members, 20);
    assert_true(is_member(&x, 2001) && !is_member(&x, 2002));
}

static void test_families(void **state)
{
    (void)state;
    struct scene x;
    begin(&x, 4, 1000);
    x.region.families = 3;
    for (uint64_t i = 0; i < 20; i++)
        put(&x, i, i, i);
    for (uint64_t i = 0; i < 12; i++)
        put(&x, 3000 + i, 100 + i, 100 + i)->family = 1;
    put(&x, 2000, 99, 99); // of the family that has enough
    choose(&x, true);
    assert_int_equal(x.region.members, 20 + REGION_FAMILY);
    assert_false(is_member(&x, 2000));
    x.region.families = 1; // the other one does not work
    choose(&x, true);
    assert_int_equal(x.region.members, 20);
}

// Five hundred prefixes stand nearer than all twenty honest ones. Reader and writer know slightly
// different sets, ask everybody in them, and have honest ones in common.
static void test_crowd(void **state)
{
    (void)state;
    unsigned common_least = 100, fewest = 100;
    for (uint64_t seed = 0; seed < 50; seed++) {
        static struct scene a, b;
        begin(&a, 10 + seed, UINT64_C(1) << 60);
        begin(&b, 10 + seed, UINT64_C(1) << 60); // the same place
        for (uint64_t i = 0; i < 330; i++) {
            uint64_t fine;
            help_fill(&a.rng, &fine, sizeof fine);
            bool only_a = i % 16 == 1, only_b = i % 16 == 2;
            if (!only_b)
                put(&a, i, fine, fine);
            if (!only_a)
                put(&b, i, fine, fine);
        }
        for (uint64_t i = 0; i < 20; i++) {
            uint64_t far;
            help_fill(&a.rng, &far, sizeof far);
            put(&a, (UINT64_C(1) << 50) + i, far, far);
            put(&b, (UINT64_C(1) << 50) + i, far, far);
        }
        choose(&a, true);
        choose(&b, true);
        assert_int_equal(a.region.members, REGION_PREFIXES);
        assert_int_equal(b.region.members, REGION_PREFIXES);
        unsigned common = 0, honest = 0;
        for (uint64_t i = 0; i < 20; i++) {
            bool in_a = is_member(&a, (UINT64_C(1) << 50) + i);
            honest += in_a;
            common += in_a && is_member(&b, (UINT64_C(1) << 50) + i);
        }
        common_least = common < common_least ? common : common_least;
        fewest = honest < fewest ? honest : fewest;
        assert_true(common + 2 >= honest); // nearly all of one's are the other's too
    }
    assert_true(common_least >= 1);
}

// The rank is one of place and prefix, not of the id: more ids of a prefix have the same.
static void test_rank(void **state)
{
    (void)state;
    uint8_t place[32] = {1}, other[32] = {2};
    assert_true(region_rank(place, 5) == region_rank(place, 5));
    assert_true(region_rank(place, 5) != region_rank(other, 5));
    assert_true(region_rank(place, 5) != region_rank(place, 6));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_radius_and_extension),
        cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_coarse_prefixes),
        cmocka_unit_test(test_families),
        cmocka_unit_test(test_crowd),
        cmocka_unit_test(test_rank),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
