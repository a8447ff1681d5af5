// What observers make of address translation: every kind of it, whatever a few of them say.
#include "dht/mapping.h"
#include "dht/path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#define NOW (1000 * USEC_PER_S)
#define OWN_PORT 4000u

static struct path outside(uint8_t last, uint16_t port)
{
    return path_v4((const uint8_t[4]){81, 2, 3, last}, port);
}

// Observers 1 .. n see these ports, in this order.
static struct dht_reach told(const uint16_t *port, unsigned n, unsigned need)
{
    struct mapping m;
    memset(&m, 0, sizeof m);
    for (unsigned i = 0; i < n; i++) {
        struct path p = outside(1, port[i]);
        mapping_saw(&m, NOW + i * USEC_PER_MS, i + 1, i, &p);
    }
    (void)mapping_judge(&m, NOW + USEC_PER_S, 4, need, OWN_PORT);
    return m.told;
}

static void one_port_for_all(void **state)
{
    (void)state;
    const uint16_t same[] = {5000, 5000, 5000, 5000, 5000}, kept[] = {4000, 4000, 4000, 4000, 4000};
    struct dht_reach r = told(same, 5, 5);
    struct path p = outside(1, 5000);
    assert_int_equal(r.mapping, DHT_MAPPING_INDEPENDENT);
    assert_true(path_equal(&r.seen, &p));
    assert_true(r.same_ip && !r.port_preserving && r.port_step == 0);
    assert_int_equal(r.observers, 5);
    r = told(kept, 5, 5);
    assert_true(r.mapping == DHT_MAPPING_INDEPENDENT && r.port_preserving);
    r = told(same, 4, 5);
    assert_int_equal(r.mapping, DHT_MAPPING_UNKNOWN);
    assert_int_equal(r.seen.family, 0);
}

// Up to two of five, whatever they say: the same, each its own, the port of the socket.
static void liars_change_nothing(void **state)
{
    (void)state;
    const uint16_t lies[][5] = {{6000, 6000, 5000, 5000, 5000},
                                {5000, 5000, 5000, 6000, 6000},
                                {6000, 5000, 7000, 5000, 5000},
                                {5000, 6000, 5000, 4000, 5000},
                                {4000, 5000, 5000, 5000, 4000}};
    for (unsigned i = 0; i < sizeof lies / sizeof *lies; i++) {
        struct dht_reach r = told(lies[i], 5, 5);
        assert_int_equal(r.mapping, DHT_MAPPING_INDEPENDENT);
        assert_int_equal(r.seen.port, 5000);
        assert_false(r.port_preserving);
    }
    // Nor do two make one port of what is a port for each.
    const uint16_t each[][5] = {{5000, 21000, 5000, 43210, 1999}, {43210, 1999, 21000, 5000, 5000}};
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(told(each[i], 5, 5).mapping, DHT_MAPPING_DEPENDENT);
}

static void other_addresses(void **state)
{
    (void)state;
    struct mapping m;
    memset(&m, 0, sizeof m);
    for (unsigned i = 0; i < 6; i++) { // a pool of addresses, the port kept
        struct path p = outside((uint8_t)(1 + i % 3), OWN_PORT);
        mapping_saw(&m, NOW, i + 1, i, &p);
    }
    assert_true(mapping_judge(&m, NOW, 4, 5, OWN_PORT));
    assert_int_equal(m.told.mapping, DHT_MAPPING_DEPENDENT);
    assert_true(!m.told.same_ip && m.told.port_preserving && m.told.seen.family == 0);
    for (unsigned i = 0; i < 5; i++) { // two of five name another address
        struct path p = outside(i < 2 ? 9 : 1, (uint16_t)(5000 + 777 * i));
        mapping_saw(&m, NOW + 60 * USEC_PER_S, i + 1, i, &p);
    }
    assert_true(mapping_judge(&m, NOW + 60 * USEC_PER_S, 4, 5, OWN_PORT));
    assert_true(m.told.mapping == DHT_MAPPING_DEPENDENT && m.told.same_ip);
    assert_memory_equal(m.told.seen.ip, outside(1, 0).ip, 16);
    assert_int_equal(m.told.seen.port, 5000 + 777 * 4);
}

static void a_step_shows(void **state)
{
    (void)state;
    const struct {
        uint16_t port[8];
        int32_t step;
        uint16_t newest;
    } all[] = {
        {{5000, 5001, 5002, 5003, 5004, 5005, 5006, 5007}, 1, 5007},
        {{5000, 5002, 5008, 5010, 5012, 5014, 5020, 5022}, 2, 5022}, // others open flows, too
        {{5000, 5004, 5012, 5016, 5020, 5032, 5036, 5040}, 4, 5040},
        {{6000, 5998, 5997, 5996, 5993, 5992, 5991, 5990}, -1, 5990},
        {{5001, 5000, 5003, 5002, 5004, 5006, 5005, 5007}, 1, 5007}, // some overtook others
        // Two liars, far away and in the middle.
        {{5000, 5002, 61000, 5006, 5008, 1111, 5012, 5014}, 2, 5014},
        {{5000, 5002, 5004, 5007, 5008, 5010, 5012, 65000}, 2, 5012},
        {{5000, 5001, 5002, 5003, 5004, 5005, 40000, 40000}, 1, 5005},
        // No step: random ports; random ones of a small range.
        {{5000, 23017, 61000, 9123, 33333, 48211, 1999, 17777}, 0, 17777},
        {{5040, 5010, 5063, 5001, 5055, 5020, 5032, 5008}, 0, 5008},
    };
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
        struct dht_reach r = told(all[i].port, 8, 5);
        assert_int_equal(r.mapping, DHT_MAPPING_DEPENDENT);
        assert_int_equal(r.port_step, all[i].step);
        assert_int_equal(r.seen.port, all[i].newest);
    }
    const uint16_t few[] = {5000, 5001, 5002};
    assert_int_equal(told(few, 3, 3).port_step, 0);
}

// A mapping that was idle is another one afterwards: only what was seen together is compared.
static void only_what_was_seen_together(void **state)
{
    (void)state;
    struct mapping m;
    memset(&m, 0, sizeof m);
    for (unsigned i = 0; i < 8; i++) {
        usec_t at = NOW + i * 30 * USEC_PER_S;
        struct path p = outside(1, (uint16_t)(5000 + 1000 * i));
        mapping_saw(&m, at, i + 1, i, &p);
        assert_int_equal(mapping_observers(&m, at), 1);
        assert_false(mapping_judge(&m, at, 4, 2, OWN_PORT));
    }
    assert_int_equal(m.told.mapping, DHT_MAPPING_UNKNOWN);
    // One observer has one voice, however often it speaks; the last word counts.
    for (unsigned i = 0; i < 20; i++) {
        struct path p = outside(1, (uint16_t)(7000 + i % 2));
        mapping_saw(&m, NOW + 300 * USEC_PER_S, 3, i, &p);
    }
    assert_int_equal(mapping_observers(&m, NOW + 300 * USEC_PER_S), 1);
    assert_true(mapping_has(&m, NOW + 300 * USEC_PER_S, 3));
    assert_false(mapping_has(&m, NOW + 300 * USEC_PER_S, 2));
    assert_false(mapping_has(&m, NOW + 321 * USEC_PER_S, 3));
}

// Of more than are remembered the first stay while they are of use; also where milliseconds begin again.
static void nobody_is_pushed_out(void **state)
{
    (void)state;
    struct mapping m;
    memset(&m, 0, sizeof m);
    usec_t now = (usec_t)UINT32_MAX * USEC_PER_MS - 5 * USEC_PER_MS;
    struct path p = outside(1, 5000);
    for (unsigned i = 0; i < 12; i++)
        mapping_saw(&m, now + i * USEC_PER_MS, i + 1, i, &p);
    for (unsigned i = 0; i < 12; i++)
        assert_int_equal(mapping_has(&m, now + 12 * USEC_PER_MS, i + 1), i < REACH_SIGHTINGS);
    now += 2 * REACH_TOGETHER_US;
    for (unsigned i = 8; i < 12; i++)
        mapping_saw(&m, now, i + 1, i, &p);
    assert_int_equal(mapping_observers(&m, now), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_port_for_all),
        cmocka_unit_test(liars_change_nothing),
        cmocka_unit_test(other_addresses),
        cmocka_unit_test(a_step_shows),
        cmocka_unit_test(only_what_was_seen_together),
        cmocka_unit_test(nobody_is_pushed_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
