// The scenario of a million nodes, made small: all join, each record lies where it is looked for; and
// neither the slices in which the command runs it nor threads change anything.
#include "tests/sim/help.h"
#include "tools/sim/scenario.h"

struct outcome {
    char digest[65];
    struct sim_figures f;
};

static void run(uint32_t nodes, usec_t slice_us, uint32_t threads, struct outcome *o)
{
    struct scenario sc;
    char error[256];
    assert_int_equal(scenario_read(&sc, "tools/sim/scenarios/million.ini", error, sizeof error), 0);
    assert_true(sc.modelled && sc.load.to_us > sc.load.from_us && sc.load.ttl_s == 900);
    sc.nodes = nodes;
    sc.threads = threads;
    assert_int_equal(scenario_check(&sc, error, sizeof error), 0);
    struct sim *s = scenario_build(&sc);
    for (usec_t at = slice_us; at < sc.duration_us; at += slice_us)
        (void)sim_run(s, at, NULL, NULL);
    (void)sim_run(s, sc.duration_us, NULL, NULL);
    help_no_failures(s, sc.seed);
    help_must(s, sc.seed, sim_load_figures(s)->begun == nodes, "each node announces");
    help_must(s, sc.seed, sim_load_figures(s)->stored == nodes, "each record is held by a server");
    sim_digest(s, o->digest);
    sim_figures(s, &o->f);
    sim_free(s);
}

static void small_million(void **state)
{
    (void)state;
    struct outcome whole, sliced;
    run(300, 1000 * S, 1, &whole);
    run(300, 100 * MS, 1, &sliced);
    assert_string_equal(whole.digest, sliced.digest);
}

// Nothing but the memory that books take twice depends on it.
static void on_several_threads(void **state)
{
    (void)state;
    struct outcome one, more;
    run(200, 1000 * S, 1, &one);
    for (uint32_t threads = 2; threads <= 3; threads++) {
        run(200, threads == 2 ? 1000 * S : 7 * S, threads, &more);
        assert_string_equal(more.digest, one.digest);
        more.f.bytes_per_node = one.f.bytes_per_node;
        assert_memory_equal(&more.f, &one.f, sizeof one.f);
    }
}

static void refuses_threads_for_what_nodes_share(void **state)
{
    (void)state;
    struct scenario sc;
    char error[256];
    assert_int_equal(scenario_read(&sc, "tools/sim/scenarios/city.ini", error, sizeof error), 0);
    sc.threads = 2;
    assert_int_equal(scenario_check(&sc, error, sizeof error), -1);
    sc.threads = 1;
    assert_int_equal(scenario_check(&sc, error, sizeof error), 0);
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
        cmocka_unit_test(on_several_threads),
        cmocka_unit_test(refuses_threads_for_what_nodes_share),
        cmocka_unit_test(refuses_a_load_that_ends_before_it_begins),
    };
    return help_main(tests, sizeof tests / sizeof *tests);
}
