// The flash crowd of the scenario, made small: no server carries much more than the others, whoever asks
// for the one topic, and people meet soon.
#include "tests/sim/help.h"
#include "tools/sim/scenario.h"

#define NODES 4000u
#define HOTTEST 20u // times the median; 26 were it if holders sent samples to all who announce

static void a_flash_crowd(void **state)
{
    (void)state;
    struct scenario sc;
    char error[256];
    assert_int_equal(scenario_read(&sc, "tools/sim/scenarios/flash-crowd.ini", error, sizeof error),
                     0);
    sc.nodes = NODES;
    assert_int_equal(scenario_check(&sc, error, sizeof error), 0);
    struct sim *s = scenario_build(&sc);
    (void)sim_run(s, sc.duration_us, NULL, NULL);
    help_no_failures(s, sc.seed);
    struct sim_figures f;
    sim_figures(s, &f);
    print_message("%u of %u matched, p50 %llu ms; the hottest server %.1f times the median\n",
                  f.matched, f.seeks, (unsigned long long)(f.match_us_p50 / MS),
                  (double)f.server_bytes_max / (double)f.server_bytes_p50);
    help_must(s, sc.seed, f.matched * 100 >= f.seeks * 99, "nearly all who come meet");
    help_must(s, sc.seed, f.match_us_p50 <= 1800 * MS, "soon");
    help_must(s, sc.seed, f.server_bytes_max <= HOTTEST * f.server_bytes_p50,
              "no server is much hotter than the others");
    sim_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_flash_crowd)};
    return help_main(tests, sizeof tests / sizeof *tests);
}
