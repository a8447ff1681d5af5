// The size estimate against networks of a known size.
#include "dht/size.h"
#include "tests/unit/dht/help.h"

#define NODES_MAX 20000u

struct world {
    uint64_t rng;
    unsigned n;
    uint64_t id[NODES_MAX];
};

static uint64_t draw(struct world *w)
{
    uint64_t v;
    help_fill(&w->rng, &v, sizeof v);
    return v;
}

static void grow(struct world *w, unsigned n)
{
    while (w->n < n)
        w->id[w->n++] = draw(w);
}

// The distances of the 16 nearest to a random target.
static void sample(struct world *w, struct size *s, usec_t now)
{
    uint64_t near[LOOKUP_NEAR], target = draw(w);
    size_t n = 0;
    for (unsigned i = 0; i < w->n; i++) {
        uint64_t x = w->id[i] ^ target;
        size_t k = n;
        for (; k > 0 && near[k - 1] > x; k--)
            if (k < LOOKUP_NEAR)
                near[k] = near[k - 1];
        if (k < LOOKUP_NEAR)
            near[k] = x;
        n += n < LOOKUP_NEAR;
    }
    size_sample(s, now, near, n, w->n <= n);
}

static void assert_within(uint64_t found, uint64_t truth, uint64_t percent)
{
    if (found * 100 < truth * (100 - percent) || found * 100 > truth * (100 + percent))
        fail_msg("%llu for %llu", (unsigned long long)found, (unsigned long long)truth);
}

static void test_known_networks(void **state)
{
    (void)state;
    static const unsigned sizes[] = {17, 40, 300, 5000, NODES_MAX};
    for (unsigned k = 0; k < 5; k++) {
        struct world w = {.rng = 7 + k};
        struct size s = {0};
        grow(&w, sizes[k]);
        assert_int_equal(size_estimate(&s), 0);
        for (unsigned i = 0; i < 3; i++)
            sample(&w, &s, 0);
        assert_within(size_estimate(&s), sizes[k], 60);
        for (unsigned i = 0; i < SIZE_SAMPLES; i++)
            sample(&w, &s, SIZE_DOUBLING_US * (i + 1));
        assert_within(size_estimate(&s), sizes[k], 20);
    }
}

// Fewer than a look-up wants: they are all.
static void test_small_networks(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= LOOKUP_NEAR; n++) {
        struct world w = {.rng = n};
        struct size s = {0};
        grow(&w, n);
        for (unsigned i = 0; i < 3; i++)
            sample(&w, &s, 0);
        assert_int_equal(size_estimate(&s), n);
    }
    struct size s = {0};
    for (unsigned i = 0; i < 3; i++)
        size_sample(&s, 0, NULL, 0, true);
    assert_int_equal(size_estimate(&s), 0); // nobody answered
}

// Who came when there were few does not keep their number once the network has grown.
static void test_the_last_of_a_young_node(void **state)
{
    (void)state;
    struct world w = {.rng = 5};
    struct size s = {0};
    grow(&w, 40);
    for (unsigned i = 0; i < 5; i++)
        sample(&w, &s, i * USEC_PER_S);
    grow(&w, 5000);
    sample(&w, &s, 127 * USEC_PER_S);
    assert_within(size_estimate(&s), 5000, 60);
}

// A thousand ids packed round one spot do not move it: no look-up of ours goes there.
static void test_crowd_at_one_place(void **state)
{
    (void)state;
    struct world w = {.rng = 3};
    struct size s = {0};
    grow(&w, 5000);
    uint64_t place = draw(&w);
    for (unsigned i = 0; i < 1000; i++)
        w.id[w.n++] = place ^ draw(&w) >> 30;
    for (unsigned i = 0; i < SIZE_SAMPLES; i++)
        sample(&w, &s, SIZE_DOUBLING_US * i);
    assert_within(size_estimate(&s), 5000, 15);
}

// Who has stood for an hour is told of a hundred times as many servers: it believes twice as many after
// an hour, four times as many after two. Fewer are believed at once.
static void test_grows_slowly(void **state)
{
    (void)state;
    struct world few = {.rng = 1}, many = {.rng = 2};
    struct size s = {0};
    usec_t now = 0;
    grow(&few, 100);
    grow(&many, 10000);
    for (unsigned i = 0; i < SIZE_SAMPLES; i++)
        sample(&few, &s, now += SIZE_DOUBLING_US / 16);
    uint64_t before = size_estimate(&s);
    assert_within(before, 100, 30);
    for (unsigned i = 0; i < 60; i++) {
        sample(&many, &s, now += SIZE_DOUBLING_US / 60);
        assert_true(size_estimate(&s) <= 2 * before + before / 10);
    }
    assert_true(size_estimate(&s) > 3 * before / 2);
    for (unsigned i = 0; i < 60; i++)
        sample(&many, &s, now += SIZE_DOUBLING_US / 60);
    assert_true(size_estimate(&s) <= 4 * before + before / 5);
    for (unsigned i = 0; i < SIZE_SAMPLES; i++)
        sample(&few, &s, now += 1);
    assert_within(size_estimate(&s), 100, 30);
    uint64_t back = size_estimate(&s);
    sample(&many, &s, now + 1); // no credit is left of before
    assert_true(size_estimate(&s) <= back + 1);
}

// A young node follows a network that grows by the minute.
static void test_young(void **state)
{
    (void)state;
    struct world w = {.rng = 5};
    struct size s = {0};
    for (unsigned n = 10; n <= 10240; n *= 2) {
        grow(&w, n);
        for (unsigned i = 0; i < 2; i++)
            sample(&w, &s, n * USEC_PER_S / 100);
    }
    assert_true(size_estimate(&s) > 10240 / 8);
}

static void test_radius_and_bits(void **state)
{
    (void)state;
    assert_int_equal(size_bits(15, 16), 0);
    assert_int_equal(size_bits(31, 16), 0);
    assert_int_equal(size_bits(32, 16), 1);
    assert_int_equal(size_bits(1000000, 16), 15);
    assert_true(size_radius(20, 20) == UINT64_MAX);
    assert_true(size_radius(80, 20) / 2 == (UINT64_MAX / 80 * 20) / 2);
    assert_true(size_radius(UINT32_MAX, 20) > 0);
    // An estimate of 0 distance: everybody at the target.
    struct size s = {0};
    uint64_t zero[LOOKUP_NEAR] = {0};
    for (unsigned i = 0; i < 3; i++)
        size_sample(&s, 0, zero, LOOKUP_NEAR, false);
    assert_int_equal(size_estimate(&s), UINT32_MAX);
}

// One sample that is far too high changes what is believed of a young network, but not what is the least.
static void test_the_least(void **state)
{
    (void)state;
    struct world w = {.rng = 3};
    struct size s = {0};
    uint64_t near[LOOKUP_NEAR];
    grow(&w, 300);
    assert_int_equal(size_least(&s), 0);
    sample(&w, &s, 0);
    for (unsigned i = 0; i < LOOKUP_NEAR; i++)
        near[i] = UINT64_MAX / 10000 * (i + 1);
    size_sample(&s, 1, near, LOOKUP_NEAR, false);
    assert_true(size_estimate(&s) > 5000);
    assert_int_equal(size_least(&s),
                     size_estimate(&s) / SIZE_LEAST_PART); // or the network has grown
    memset(&s, 0, sizeof s);
    for (unsigned k = 0; k < 2; k++) {
        for (unsigned i = 0; i < LOOKUP_NEAR; i++)
            near[i] = UINT64_MAX / (k == 0 ? 300 : 500) * (i + 1);
        size_sample(&s, k, near, LOOKUP_NEAR, false);
    }
    assert_within(size_estimate(&s), 500, 2);
    assert_within(size_least(&s), 300, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_least),
        cmocka_unit_test(test_known_networks),
        cmocka_unit_test(test_small_networks),
        cmocka_unit_test(test_the_last_of_a_young_node),
        cmocka_unit_test(test_crowd_at_one_place),
        cmocka_unit_test(test_grows_slowly),
        cmocka_unit_test(test_young),
        cmocka_unit_test(test_radius_and_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
