// Who knows a topic fills its place with records of nobody and offers to everybody there: pairs still
// meet. Who tries one after another, whoever they are, and asks nobody for a proof, does not, or late.
#include "tests/sim/attack_help.h"

static struct attack_result spam(uint64_t seed, uint32_t hosts)
{
    struct attack_run r = {.seed = seed, .servers = 300, .pairs = 10, .one_topic = true};
    r.attack = (struct attack_config){.kind = ATTACK_SPAMMER,
                                      .number = hosts,
                                      .prefixes = hosts,
                                      .grind = 4,
                                      .per_s = 50,
                                      .topic = "target",
                                      .start_us = 40 * S};
    struct attack_result o = attack_run(&r);
    attack_show(hosts > 2 ? "many prefixes" : "two prefixes", &o);
    return o;
}

static void judge(const struct attack_result *o)
{
    bool soon =
        o->probe.met == o->probe.pairs && o->probe.p50_us <= 6 * S && o->probe.p95_us <= 15 * S;
    assert_true(soon != WEAK);
}

static void without_them_all_meet(void **state)
{
    (void)state;
    struct attack_result o = spam(1, 0);
    assert_int_equal(o.probe.met, o.probe.pairs);
    assert_true(o.probe.p95_us < 3 * S);
}

static void from_many_prefixes(void **state)
{
    (void)state;
    struct attack_result o = spam(1, 8);
    judge(&o);
}

static void from_two_prefixes(void **state)
{
    (void)state;
    struct attack_result o = spam(2, 2);
    judge(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_them_all_meet),
        cmocka_unit_test(from_many_prefixes),
        cmocka_unit_test(from_two_prefixes),
    };
    return help_main(tests, sizeof tests / sizeof *tests);
}
