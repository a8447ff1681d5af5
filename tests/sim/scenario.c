// Scenario files, good and bad, and the summary of a run.
#include "tools/sim/scenario.h"

#include "tests/sim/help.h"

#include <jansson.h>

static int read_text(struct scenario *sc, const char *text, char error[static 256])
{
    char name[] = "build/scenario-XXXXXX";
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    FILE *f = fdopen(fd, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    int rc = scenario_read(sc, name, error, 256);
    (void)remove(name);
    return rc;
}

static void reads_every_setting(void **state)
{
    (void)state;
    struct scenario sc;
    char error[256];
    static const char text[] =
        "; a comment\n[network]\nname = lab7\nseed = 9223372036854775807\nnodes = "
        "12\nservers_percent = 40\n"
        "bootstraps = 2\nloss_percent = 2.5\nlab = yes\nprefix_limits = no\npuzzle_bits = "
        "3\nno_aes_percent = 10\n"
        "unix_start_s = 1700000000\njoin_s = 1.5\n[people]\npairs = 25%\ncrowd = 3\nseek_at_s = 4\n"
        "seek_spread_s = 0.25\nmessages = 7\ngap_ms = 20\n[failure]\nkill_at_s = 6\nkill_percent = "
        "33\n"
        "[run]\nidle_s = 5\nduration_s = 60\n";
    assert_int_equal(read_text(&sc, text, error), 0);
    assert_string_equal(sc.network, "lab7");
    assert_true(sc.seed == INT64_MAX && sc.nodes == 12 && sc.servers_percent == 40 &&
                sc.bootstraps == 2);
    assert_true(sc.loss_ppm == 25000 && sc.lab && !sc.prefix_limits && sc.puzzle_bits == 3);
    assert_true(sc.no_aes_percent == 10 && sc.unix_start_s == 1700000000 &&
                sc.join_us == 1500 * MS);
    assert_true(sc.pairs.percent && sc.pairs.value == 25 && !sc.crowd.percent &&
                sc.crowd.value == 3);
    assert_true(sc.seek_at_us == 4 * S && sc.seek_spread_us == 250 * MS && sc.messages == 7);
    assert_true(sc.gap_us == 20 * MS && sc.kill_at_us == 6 * S && sc.kill_percent == 33);
    assert_true(sc.idle_us == 5 * S && sc.duration_us == 60 * S);
    assert_int_equal(scenario_check(&sc, error, sizeof error), 0);
    sc.nodes = 8; // 2 pairs and 3 of a crowd still fit, and no fewer
    assert_int_equal(scenario_check(&sc, error, sizeof error), 0);
    sc.crowd.value = 5;
    assert_int_equal(scenario_check(&sc, error, sizeof error), -1);
}

static void refuses_nonsense(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "hello\n",
        "[network]\nnodes\n",
        "[network]\nnodes = \n",
        "[network]\nnodes = many\n",
        "[network]\nnodes = -1\n",
        "[network]\nnodes = 4000001\n",
        "[network]\nnodes = 99999999999999999999999\n",
        "[network]\nnodess = 5\n",
        "[people]\nnodes = 5\n",
        "nodes = 5\n",
        "[network]\nbootstraps = 9\n",
        "[network]\nloss_percent = 99.5\n",
        "[network]\nloss_percent = 1.2345\n",
        "[network]\nloss_percent = .5\n",
        "[network]\nloss_percent = 1.\n",
        "[network]\nlab = maybe\n",
        "[network]\nname = two words\n",
        "[network]\nseed = 9223372036854775808\n",
        "[people]\npairs = 101%\n",
        "[people]\npairs = %\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct scenario sc;
        char error[256];
        if (read_text(&sc, bad[i], error) == 0)
            fail_msg("taken: %s", bad[i]);
        assert_true(strlen(error) > 5 && strchr(error, '\n') == NULL);
    }
    struct scenario sc;
    char error[256];
    assert_int_equal(scenario_read(&sc, "build/no such file", error, sizeof error), -1);
    assert_int_equal(scenario_read(&sc, "build", error, sizeof error), -1);
}

static void checks_what_does_not_fit(void **state)
{
    (void)state;
    struct scenario sc;
    char error[256];
    assert_int_equal(read_text(&sc, "", error), 0);
    assert_int_equal(scenario_check(&sc, error, sizeof error), 0);
    sc.nodes = 0;
    assert_int_equal(scenario_check(&sc, error, sizeof error), -1);
    sc.nodes = 10;
    sc.idle_us = sc.duration_us + 1;
    assert_int_equal(scenario_check(&sc, error, sizeof error), -1);
    sc.idle_us = sc.duration_us = 0;
    assert_int_equal(scenario_check(&sc, error, sizeof error), -1);
}

// The scenario of the tree, made smaller: everybody meets, and every field is there.
static void small_runs(void **state)
{
    (void)state;
    static const char *const names[] = {
        "nodes",         "seed",           "virtual_s",       "wall_s",     "events",
        "events_per_s",  "peak_rss_bytes", "bytes_per_node",  "lookups",    "lookup_ok",
        "lookup_ms_p50", "lookup_ms_p95",  "lookup_hops_p50", "seeks",      "matched",
        "match_ms_p50",  "match_ms_p95",   "idle_Bps_out",    "idle_Bps_in"};
    struct scenario sc;
    char error[256];
    assert_int_equal(scenario_read(&sc, "tools/sim/scenarios/small.ini", error, sizeof error), 0);
    sc.nodes = 40;
    assert_int_equal(scenario_check(&sc, error, sizeof error), 0);
    struct sim *s = scenario_build(&sc);
    (void)sim_run(s, sc.duration_us, NULL, NULL);
    help_no_failures(s, sc.seed);
    char *text = scenario_summary(s, &sc, 1.5, 4096);
    json_t *o = json_loads(text, 0, NULL);
    assert_non_null(o);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!json_is_number(json_object_get(o, names[i])))
            fail_msg("no number: %s", names[i]);
    assert_int_equal(json_string_length(json_object_get(o, "digest")), 64);
    assert_int_equal(json_integer_value(json_object_get(o, "nodes")), 40);
    assert_int_equal(json_integer_value(json_object_get(o, "seeks")), 12);
    assert_int_equal(json_integer_value(json_object_get(o, "matched")), 12);
    assert_int_equal(json_integer_value(json_object_get(o, "messages_said")), 60);
    assert_int_equal(json_integer_value(json_object_get(o, "messages_delivered")), 60);
    assert_int_equal(json_integer_value(json_object_get(o, "messages_received")), 60);
    assert_true(json_integer_value(json_object_get(o, "lookups")) > 0);
    assert_true(json_integer_value(json_object_get(o, "lookup_ok")) > 0);
    assert_true(json_real_value(json_object_get(o, "match_ms_p50")) > 4);
    assert_true(json_integer_value(json_object_get(o, "idle_nodes")) > 0);
    assert_true(json_integer_value(json_object_get(o, "bytes_per_node")) > 1000);
    json_decref(o);
    free(text);
    sim_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_setting),
        cmocka_unit_test(refuses_nonsense),
        cmocka_unit_test(checks_what_does_not_fit),
        cmocka_unit_test(small_runs),
    };
    return help_main(tests, sizeof tests / sizeof *tests);
}
