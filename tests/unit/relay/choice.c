// Which relay a client takes: shares of prefixes, of capacities, of liars; what it forgets and what it remembers.
#include "node/relay/choice.h"
#include "tests/unit/relay/relays.h"
#include "tests/unit/vectors.h"

#define PICKS 20000u

static uint64_t random_state;
static const struct rng rng = {random_fill, &random_state};
static const struct relay_wish any = {.families = 0};
static const struct relay_time T = {.now = 1000 * USEC_PER_S, .unix_s = 1000000};
static struct relay_pool pool;

static struct relay_offer offer(uint32_t number, uint32_t prefix, uint32_t capacity)
{
    struct relay_offer o = relay_numbered(number, prefix);
    o.capacity_kBps = capacity;
    o.issued_s = T.unix_s - 10;
    o.expiry_s = T.unix_s + 1000;
    return o;
}

static void put(uint32_t number, uint32_t prefix, uint32_t capacity)
{
    struct relay_offer o = offer(number, prefix, capacity);
    relay_pool_put(&pool, T, &o);
}

static int start(void **state)
{
    (void)state;
    random_state = 1;
    relay_pool_init(&pool, true);
    return 0;
}

// How often each IPv4 prefix (1.x, as relay_numbered makes them) comes.
static void count(unsigned *picked, const struct relay_wish *wish)
{
    struct relay_choice c;
    memset(picked, 0, 256 * sizeof *picked);
    for (unsigned i = 0; i < PICKS; i++) {
        assert_int_equal(relay_pool_pick(&pool, T, &rng, wish, &c), 0);
        picked[c.offer.contact[c.contact].path.ip[1] - 1u]++;
    }
}

static bool about(unsigned n, double share)
{
    return n > PICKS * share * 0.9 && n < PICKS * share * 1.1;
}

static void prefixes_are_equal(void **state)
{
    (void)state;
    unsigned picked[256];
    for (uint32_t i = 0; i < 10; i++)
        put(i, i, 1000 + 100000 * i); // whatever they claim
    put(20, 3, 1000), put(21, 3, 1000);
    assert_int_equal(relay_pool_prefixes(&pool, T, &any), 10);
    count(picked, &any);
    for (unsigned i = 0; i < 10; i++)
        assert_true(about(picked[i], 0.1));
}

// A thousand from three prefixes beside twelve honest ones, before them or after them, claiming everything.
static void a_thousand_from_few_prefixes(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 2; first++) {
        unsigned picked[256];
        relay_pool_init(&pool, true);
        for (uint32_t i = 0; i < 12 && first == 0; i++)
            put(i, i, 1000);
        for (uint32_t i = 0; i < 1000; i++)
            put(100 + i, 100 + i % 3, OFFER_CAPACITY_KBPS_MAX);
        for (uint32_t i = 0; i < 12; i++)
            put(i, i, 1000);
        assert_int_equal(pool.offers, 12 + 3 * RELAY_POOL_PREFIX_MAX);
        assert_int_equal(relay_pool_prefixes(&pool, T, &any), 15);
        count(picked, &any);
        for (unsigned i = 0; i < 12; i++)
            assert_true(about(picked[i], 1 / 15.0));
        assert_true(about(picked[100] + picked[101] + picked[102], 3 / 15.0));
    }
}

// On one prefix the claim counts, but not above four times the median.
static void claims_are_bounded(void **state)
{
    (void)state;
    unsigned hits[3] = {0};
    struct relay_choice c;
    put(0, 0, 1000);
    put(1, 0, 2000);
    put(2, 0, OFFER_CAPACITY_KBPS_MAX);
    for (uint32_t i = 3; i < 20; i++)
        put(i, i, 2000);
    for (unsigned i = 0; i < 20 * PICKS; i++) {
        assert_int_equal(relay_pool_pick(&pool, T, &rng, &any, &c), 0);
        if (c.offer.contact[0].path.ip[1] == 1)
            hits[c.offer.contact[0].path.ip[3]]++;
    }
    unsigned all = hits[0] + hits[1] + hits[2];
    assert_true(about(all / 20 * 18, 1));
    assert_true(hits[0] > all * 0.08 && hits[0] < all * 0.1); // 1 : 2 : 8
    assert_true(hits[1] > all * 0.17 && hits[1] < all * 0.19);
    assert_true(hits[2] > all * 0.71 && hits[2] < all * 0.74);
}

static void used_prefixes_never_come_again(void **state)
{
    (void)state;
    unsigned picked[256];
    struct relay_choice c;
    for (uint32_t i = 0; i < 4; i++)
        put(i, i / 2, 1000); // two on each of two prefixes
    struct path used[2] = {relay_numbered(77, 0).contact[0].path,
                           relay_numbered(9, 1).contact[0].path};
    struct relay_wish wish = {.used = used, .used_count = 1};
    assert_int_equal(relay_pool_prefixes(&pool, T, &wish), 1);
    count(picked, &wish);
    assert_int_equal(picked[1], PICKS);
    wish.used_count = 2;
    assert_int_equal(relay_pool_prefixes(&pool, T, &wish), 0);
    assert_int_equal(relay_pool_pick(&pool, T, &rng, &wish, &c), BAUTA_EUNKNOWN);
    // Also not by the other address of a relay with two.
    struct relay_offer o = offer(5, 5, 1000);
    relay_add_v6(&o, 7);
    relay_pool_put(&pool, T, &o);
    assert_int_equal(relay_pool_pick(&pool, T, &rng, &wish, &c), 0);
    used[1] = o.contact[1].path;
    used[1].port = 9;
    wish = (struct relay_wish){.used = &used[1], .used_count = 1};
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(relay_pool_pick(&pool, T, &rng, &wish, &c), 0);
        assert_memory_not_equal(c.offer.ed_pk, o.ed_pk, 32);
    }
}

static void only_what_can_be_reached(void **state)
{
    (void)state;
    struct relay_choice c;
    struct relay_offer o = offer(5, 5, 1000);
    relay_add_v6(&o, 7);
    relay_pool_put(&pool, T, &o);
    put(1, 1, 1000);
    struct relay_wish wish = {.families = RELAY_WISH_V6};
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(relay_pool_pick(&pool, T, &rng, &wish, &c), 0);
        assert_int_equal(c.contact, 1);
        assert_int_equal(c.offer.contact[1].path.family, 6);
    }
    wish.families = RELAY_WISH_V4 | RELAY_WISH_V6;
    assert_int_equal(relay_pool_prefixes(&pool, T, &wish), 2);
}

// Who has one family takes relays that have both, as long as any is known.
static void those_with_both_families(void **state)
{
    (void)state;
    struct relay_choice c;
    const struct relay_wish wish = {.families = RELAY_WISH_V4, .both = true};
    for (uint32_t i = 1; i <= 9; i++)
        put(i, i, 1000);
    assert_int_equal(relay_pool_prefixes(&pool, T, &wish), 0);
    assert_int_equal(relay_pool_pick(&pool, T, &rng, &wish, &c), 0); // better than none
    struct relay_offer o = offer(20, 20, 1000);
    relay_add_v6(&o, 7);
    relay_pool_put(&pool, T, &o);
    assert_int_equal(relay_pool_prefixes(&pool, T, &wish), 1);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(relay_pool_pick(&pool, T, &rng, &wish, &c), 0);
        assert_int_equal(c.contact, 0);
        assert_memory_equal(c.offer.ed_pk, o.ed_pk, sizeof o.ed_pk);
    }
}

// In a lab all have one prefix: nodes count.
static void in_a_lab_nodes_count(void **state)
{
    (void)state;
    struct relay_choice c;
    unsigned hits[16] = {0};
    relay_pool_init(&pool, false);
    for (uint32_t i = 0; i < 16; i++)
        put(i, 0, 1000 + 1000 * i);
    assert_int_equal(relay_pool_prefixes(&pool, T, &any), 16);
    for (unsigned i = 0; i < PICKS; i++) {
        assert_int_equal(relay_pool_pick(&pool, T, &rng, &any, &c), 0);
        hits[c.offer.contact[0].path.ip[3]]++;
    }
    for (unsigned i = 0; i < 16; i++)
        assert_in_range(hits[i], PICKS * 85 / 1600, PICKS * 115 / 1600);
    struct path used = relay_numbered(3, 0).contact[0].path;
    const struct relay_wish wish = {.used = &used, .used_count = 1};
    assert_int_equal(relay_pool_prefixes(&pool, T, &wish), 15);
}

static void who_failed_waits(void **state)
{
    (void)state;
    struct relay_choice c;
    struct relay_offer o = offer(1, 1, 1000);
    struct relay_time t = T;
    relay_pool_put(&pool, t, &o);
    usec_t wait = RELAY_BAD_MIN_US;
    for (unsigned i = 0; i < 8; i++) {
        relay_pool_failed(&pool, t.now, o.contact[0].pk);
        assert_int_equal(relay_pool_pick(&pool, t, &rng, &any, &c), BAUTA_EUNKNOWN);
        t.now += wait - 1;
        assert_int_equal(relay_pool_pick(&pool, t, &rng, &any, &c), BAUTA_EUNKNOWN);
        t.now += 1;
        assert_int_equal(relay_pool_pick(&pool, t, &rng, &any, &c), 0);
        wait = 2 * wait < RELAY_BAD_MAX_US ? 2 * wait : RELAY_BAD_MAX_US;
    }
    relay_pool_failed(&pool, t.now, o.contact[0].pk);
    relay_pool_worked(&pool, o.contact[0].pk);
    assert_int_equal(relay_pool_pick(&pool, t, &rng, &any, &c), 0);
    // A news of it does not wash it clean, nor is it put in as a stranger.
    relay_pool_failed(&pool, t.now, o.contact[0].pk);
    o.issued_s++;
    assert_true(relay_pool_news(&pool, &o));
    relay_pool_put(&pool, t, &o);
    assert_int_equal(relay_pool_pick(&pool, t, &rng, &any, &c), BAUTA_EUNKNOWN);
    // Many others that fail don't push it out before its time.
    for (uint32_t i = 100; i < 100 + 3 * RELAY_BAD_MAX; i++) {
        struct relay_offer x = offer(i, 3, 1);
        relay_pool_failed(&pool, t.now + i, x.contact[0].pk);
        assert_true(pool.bads <= RELAY_BAD_MAX);
    }
}

static void the_newest_counts(void **state)
{
    (void)state;
    struct relay_choice c;
    struct relay_offer o = offer(1, 1, 1000), old = o;
    o.issued_s += 5;
    o.capacity_kBps = 7;
    relay_pool_put(&pool, T, &o);
    assert_false(relay_pool_news(&pool, &old));
    assert_false(relay_pool_news(&pool, &o));
    relay_pool_put(&pool, T, &old);
    assert_int_equal(pool.offers, 1);
    assert_int_equal(relay_pool_pick(&pool, T, &rng, &any, &c), 0);
    assert_int_equal(c.offer.capacity_kBps, 7);
    o.issued_s++;
    o.free = 0; // takes nobody new
    relay_pool_put(&pool, T, &o);
    assert_int_equal(relay_pool_pick(&pool, T, &rng, &any, &c), BAUTA_EUNKNOWN);
}

static void time_ends_them(void **state)
{
    (void)state;
    struct relay_choice c;
    struct relay_offer o = offer(1, 1, 1000);
    struct relay_time t = T;
    assert_true(relay_pool_expiry(&pool, 0) == UINT64_MAX);
    relay_pool_put(&pool, T, &o);
    assert_int_equal(relay_pool_expiry(&pool, T.unix_s), o.expiry_s);
    assert_true(relay_pool_expiry(&pool, o.expiry_s) == UINT64_MAX);
    t.unix_s = o.expiry_s - 1;
    assert_int_equal(relay_pool_pick(&pool, t, &rng, &any, &c), 0);
    t.unix_s++;
    assert_int_equal(relay_pool_pick(&pool, t, &rng, &any, &c), BAUTA_EUNKNOWN);
    relay_pool_init(&pool, true);
    relay_pool_put(&pool, t, &o);
    assert_int_equal(pool.offers, 0);
}

// A full pool takes new prefixes from those of which it has more than one, and what is over first.
static void a_full_pool_gives_way(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < RELAY_POOL_MAX; i++)
        put(i, i / RELAY_POOL_PREFIX_MAX, 1000);
    assert_int_equal(pool.offers, RELAY_POOL_MAX);
    unsigned before = relay_pool_prefixes(&pool, T, &any);
    assert_int_equal(before, RELAY_POOL_MAX / RELAY_POOL_PREFIX_MAX);
    for (uint32_t i = 0; i < 200; i++)
        put(1000 + i, 30 + i, 1000);
    assert_int_equal(pool.offers, RELAY_POOL_MAX);
    assert_true(relay_pool_prefixes(&pool, T, &any) >= RELAY_POOL_MAX - 1);
    // Crowded by those that failed: a new one takes the place of one of them.
    relay_pool_init(&pool, true);
    for (uint32_t i = 0; i < RELAY_POOL_PREFIX_MAX; i++) {
        struct relay_offer o = offer(i, 1, 1000);
        relay_pool_put(&pool, T, &o);
        relay_pool_failed(&pool, T.now, o.contact[0].pk);
    }
    assert_int_equal(relay_pool_prefixes(&pool, T, &any), 0);
    put(50, 1, 1000);
    assert_int_equal(pool.offers, RELAY_POOL_PREFIX_MAX);
    assert_int_equal(relay_pool_prefixes(&pool, T, &any), 1);
}

// Two signing keys that belong to one server's key are one relay.
static void the_twin_of_a_key(void **state)
{
    (void)state;
    struct relay_offer o = offer(1, 1, 1000), twin = o;
    twin.ed_pk[31] ^= 0x80; // the other point with that y, whose key on the other curve is the same
    uint8_t pk[32];
    assert_int_equal(relay_contact_key(pk, twin.ed_pk), 0);
    assert_memory_equal(pk, o.contact[0].pk, 32);
    relay_pool_put(&pool, T, &o);
    relay_pool_put(&pool, T, &twin);
    assert_int_equal(pool.offers, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(prefixes_are_equal, start),
        cmocka_unit_test_setup(a_thousand_from_few_prefixes, start),
        cmocka_unit_test_setup(claims_are_bounded, start),
        cmocka_unit_test_setup(used_prefixes_never_come_again, start),
        cmocka_unit_test_setup(only_what_can_be_reached, start),
        cmocka_unit_test_setup(those_with_both_families, start),
        cmocka_unit_test_setup(in_a_lab_nodes_count, start),
        cmocka_unit_test_setup(who_failed_waits, start),
        cmocka_unit_test_setup(the_newest_counts, start),
        cmocka_unit_test_setup(time_ends_them, start),
        cmocka_unit_test_setup(a_full_pool_gives_way, start),
        cmocka_unit_test_setup(the_twin_of_a_key, start),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
