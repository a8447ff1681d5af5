// Many ids round one topic's place, after the network stands. In the product the share of prefixes
// counts, not that of ids; without limits on prefixes the topic is gone.
#include "tests/sim/attack_help.h"

#define SERVERS 300u
#define PAIRS 35u

static struct attack_result eclipse(uint64_t seed, struct attack_config cfg, bool v6)
{
    struct attack_run r = {.seed = seed, .servers = SERVERS, .pairs = PAIRS, .one_topic = true};
    cfg.kind = ATTACK_ECLIPSE;
    cfg.topic = "target";
    cfg.start_us = 30 * S;
    cfg.bootstraps = 3;
    r.v6 = v6;
    r.attack = cfg;
    struct attack_result o = attack_run(&r);
    attack_show(v6 ? "one /32" : "many prefixes", &o);
    return o;
}

static void judge(const struct attack_result *o)
{
    uint32_t met = o->probe.met, pairs = o->probe.pairs;
    if (WEAK)
        assert_true(met * 2 < pairs);
    else
        assert_true(met + 1 >= pairs);
}

static void without_them_all_meet(void **state)
{
    (void)state;
    struct attack_result v4 = eclipse(1, (struct attack_config){.number = 0}, false);
    struct attack_result v6 = eclipse(4, (struct attack_config){.number = 0}, true);
    assert_int_equal(v4.probe.met, v4.probe.pairs);
    assert_int_equal(v6.probe.met, v6.probe.pairs);
}

static void as_near_as_can_be(void **state)
{
    (void)state;
    struct attack_result o =
        eclipse(1, (struct attack_config){.number = 512, .prefixes = 512, .grind = 2000}, false);
    judge(&o);
}

static void spread_over_the_region(void **state)
{
    (void)state;
    struct attack_result o = eclipse(
        2,
        (struct attack_config){.number = 512, .prefixes = 512, .grind = 2000, .spread_of = SERVERS},
        false);
    judge(&o);
}

static void who_says_that_it_is_full(void **state)
{
    (void)state;
    struct attack_result o = eclipse(
        3,
        (struct attack_config){.number = 512, .prefixes = 512, .grind = 2000, .reply = ATTACK_FULL},
        false);
    judge(&o);
}

// Of 65,536 /48s those whose ids lie best; the others would never be asked.
static void one_v6_prefix(void **state)
{
    (void)state;
    struct attack_result o =
        eclipse(4, (struct attack_config){.number = 512, .one_v6 = true, .grind = 4000}, true);
    judge(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_them_all_meet),  cmocka_unit_test(as_near_as_can_be),
        cmocka_unit_test(spread_over_the_region), cmocka_unit_test(who_says_that_it_is_full),
        cmocka_unit_test(one_v6_prefix),
    };
    return help_main(tests, sizeof tests / sizeof *tests);
}
