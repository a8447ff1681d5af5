// The scenario of a million nodes, made small: all join, each record lies where it is looked for; and
// the slices in which the command runs it change nothing.
#include "tests/sim/help.h"
#include "tools/sim/scenario.h"

static void run(uint32_t nodes, usec_t slice_us, char digest[static 65])
{
    struct scenario sc;
    char error[256];
    assert_int_equal(scenario_read(&sc, "tools/sim/scenarios/million.ini", error, sizeof error), 0);
    assert_true(sc.modelled && sc.load.to_us > sc.load.from_us && sc.load.ttl_s == 900);
    sc.nodes = nodes;
    assert_int_equal(scenario_check(&sc, error, sizeof error), 0);
    struct sim *s = scenario_build(&sc);
    for (usec_t at = slice_us; at < sc.duration_us; at += slice_us)
        (void)sim_run(s, at, NULL, NULL);
    (void)sim_run(s, sc.duration_us, NULL, NULL);
    help_no_failures(s, sc.seed);
    help_must(s, sc.seed, sim_load_figures(s)->begun == nodes, "each node announces");
    help_must(s, sc.seed, sim_load_figures(s)->stored == nodes, "each record is held by a server");
    sim_digest(s, digest);
    sim_free(s);
}

static void small_million(void **state)
{
    (void)state;
    char whole[65], sliced[65];
    run(300, 1000 * S, whole);
    run(300, 100 * MS, sliced);
    assert_string_equal(whole, sliced);
}

static void refuses_a_load_that_ends_before_it_begins(void **state)
{
    (void)state;
    struct scenario sc;
    char error[256];
    assert_int_equal(scenario_read(&sc, "tools/sim/scenarios/million.ini", error, sizeof error), 0);
    sc.load.from_us = sc.load.to_us + 1;
    assert_int_equal(scenario_check(&sc, error, sizeof error), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_million),
        cmocka_unit_test(refuses_a_load_that_ends_before_it_begins),
    };
    return help_main(tests, sizeof tests / sizeof *tests);
}
