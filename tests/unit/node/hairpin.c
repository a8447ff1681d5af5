// A probe to the own outside address: when it goes out, what counts as its return.
#include "node/hairpin.h"
#include "node/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

static void fill(void *ctx, void *buf, size_t len)
{
    uint8_t *next = ctx;
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)buf)[i] = (*next)++;
}

static uint8_t drawn;
static const struct rng rng = {fill, &drawn};

static struct dht_reach seen_at(uint8_t last, enum dht_mapping mapping)
{
    return (struct dht_reach){.mapping = mapping,
                              .seen = path_v4((const uint8_t[4]){81, 2, 3, last}, 5000)};
}

static void asks_where_one_port_is_for_all(void **state)
{
    (void)state;
    uint8_t probe[CLASS_TINY];
    const enum dht_mapping silent[] = {DHT_MAPPING_UNKNOWN, DHT_MAPPING_NONE,
                                       DHT_MAPPING_DEPENDENT};
    for (unsigned i = 0; i < 3; i++) {
        struct hairpin h;
        struct dht_reach r = seen_at(1, silent[i]);
        hairpin_restart(&h, 0);
        for (unsigned k = 0; k < 40; k++) {
            usec_t at = h.at;
            assert_false(hairpin_expire(&h, at, &r, &rng, probe));
            assert_true(h.at > at && h.at - at <= HAIRPIN_LOOK_US_MAX);
            assert_false(hairpin_receive(&h, at, probe, sizeof probe));
        }
        assert_int_equal(h.answer, HAIRPIN_UNKNOWN);
    }
}

static void it_comes_back_or_not(void **state)
{
    (void)state;
    uint8_t probe[CLASS_TINY], other[CLASS_TINY] = {0};
    struct dht_reach r = seen_at(1, DHT_MAPPING_INDEPENDENT);
    struct hairpin h;
    hairpin_restart(&h, 0);
    // Silence: two probes, then never again while the address is the same.
    assert_true(hairpin_expire(&h, h.at, &r, &rng, probe));
    assert_true(path_equal(&h.to, &r.seen));
    assert_true(hairpin_expire(&h, h.at, &r, &rng, probe));
    assert_false(hairpin_expire(&h, h.at, &r, &rng, probe));
    assert_int_equal(h.answer, HAIRPIN_NO);
    for (unsigned k = 0; k < 40; k++)
        assert_false(hairpin_expire(&h, h.at, &r, &rng, probe));
    // Another address: asked again; the second probe comes back.
    r = seen_at(2, DHT_MAPPING_INDEPENDENT);
    assert_true(hairpin_expire(&h, h.at, &r, &rng, probe));
    memcpy(other, probe, sizeof other);
    assert_true(hairpin_expire(&h, h.at, &r, &rng, probe));
    assert_int_equal(h.answer, HAIRPIN_UNKNOWN);
    usec_t now = h.at - HAIRPIN_WAIT_US / 2;
    assert_false(hairpin_receive(&h, now, other, sizeof other)); // the first one: too late
    assert_false(hairpin_receive(&h, now, probe, sizeof probe - 1));
    assert_false(hairpin_receive(&h, h.at, probe, sizeof probe));
    assert_true(hairpin_receive(&h, now, probe, sizeof probe));
    assert_false(hairpin_receive(&h, now, probe, sizeof probe));
    assert_int_equal(h.answer, HAIRPIN_YES);
    for (unsigned k = 0; k < 40; k++)
        assert_false(hairpin_expire(&h, h.at, &r, &rng, probe));
    assert_int_equal(h.answer, HAIRPIN_YES);
    hairpin_restart(&h, now);
    assert_int_equal(h.answer, HAIRPIN_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asks_where_one_port_is_for_all),
        cmocka_unit_test(it_comes_back_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
