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
        "; a comment\n[network]\nname = lab7\nseed = 9223372036854775807\nnodes = 12\n"
        "servers_percent = 40\nnat_percent = 7\nsessions = steady\nup_kbit = 1\ndown_kbit = 2\n"
        "queue_ms = 3\nbootstraps = 2\ntold = 1\nipv6_percent = 10\ndual_percent = 20\n"
        "skew_percent = 5\nskew_s = 600\nloss_percent = 2.5\nburst_percent = 0.1\nlab = yes\n"
        "prefix_limits = no\npuzzle_bits = 3\nno_aes_percent = 10\nunix_start_s = 1700000000\n"
        "join_s = 1.5\ndial_back = yes\ncached_percent = 60\n"
        "[churn]\nsession_percent = 50\nrejoin_percent = 40\npolite_percent = 30\ngap_s = 2.5\n"
        "[class home]\nshare_percent = 60\nnat_percent = 70\npublic_percent = 15\n"
        "[class mobile]\nshare_percent = 40\nservers_percent = 0\nsessions = mobile\n"
        "up_kbit = 5000\ndown_kbit = 20000\nqueue_ms = 150\n"
        "[phase one]\nat_s = 4\nduration_s = 5\nwaiting = 25%\ntogether = 1\ncrowd = 3\n"
        "wait_s = 11\nmessages = 7\ngap_ms = 20\ntalk_s = 60\nquiet = yes\n"
        "[phase two and more]\nat_s = 20\nbrowsing = 1\ntopics = 9\nseeks_per_hour = 8\n"
        "patience_s = 77\nkill_percent = 33\nrestart_percent = 30\nback_s = 5\ncut_percent = 20\n"
        "lossy_percent = 21\nlossy_loss_percent = 12.5\n"
        "[run]\nduration_s = 60\nseries_s = 5\ncrypto = modelled\n";
    assert_int_equal(read_text(&sc, text, error), 0);
    const struct sim_population *p = &sc.population;
    assert_string_equal(sc.network, "lab7");
    assert_true(sc.seed == INT64_MAX && sc.nodes == 12 && sc.plain.servers_percent == 40);
    assert_true(sc.plain.nat_percent == 7 && sc.plain.session == SIM_SESSION_STEADY);
    assert_true(sc.plain.up_kbit == 1 && sc.plain.down_kbit == 2 && sc.plain.queue_ms == 3);
    assert_true(p->bootstraps == 2 && p->told == 1 && p->ipv6_percent == 10 &&
                p->dual_percent == 20);
    assert_true(p->skew_percent == 5 && p->skew_us == 600 * S && p->dial_back);
    assert_true(sc.loss_ppm == 25000 && sc.burst_ppm == 1000 && sc.lab && !sc.prefix_limits);
    assert_true(sc.puzzle_bits == 3 && sc.no_aes_percent == 10 && sc.unix_start_s == 1700000000);
    assert_true(sc.join_us == 1500 * MS && p->session_percent == 50 && p->rejoin_percent == 40);
    assert_true(p->polite_percent == 30 && p->gap_us == 2500 * MS && p->classes == 2);
    assert_string_equal(p->class[0].name, "home");
    assert_true(p->class[0].share_percent == 60 && p->class[0].nat_percent == 70);
    assert_true(p->cached_percent == 60 && p->class[0].public_percent == 15);
    assert_true(p->class[0].servers_percent == 40 && p->class[0].up_kbit == 1); // of [network]
    assert_true(p->class[1].session == SIM_SESSION_MOBILE && p->class[1].servers_percent == 0);
    assert_true(p->class[1].up_kbit == 5000 && p->class[1].down_kbit == 20000);
    assert_true(p->class[1].queue_ms == 150 && sc.phases == 2);
    const struct scenario_phase *one = &sc.phase[0], *two = &sc.phase[1];
    assert_string_equal(two->name, "two and more");
    assert_true(one->at_us == 4 * S && one->duration_us == 5 * S && one->wait_us == 11 * S);
    assert_true(one->waiting.percent && one->waiting.value == 25 && !one->crowd.percent);
    assert_true(one->together.value == 1 && one->crowd.value == 3 && one->messages == 7);
    assert_true(one->gap_us == 20 * MS && one->talk_us == 60 * S && one->quiet && !two->quiet);
    assert_true(two->browsing.value == 1 && two->topics == 9 && two->seeks_per_hour == 8);
    assert_true(two->patience_us == 77 * S && two->kill_percent == 33 && two->back_us == 5 * S);
    assert_true(two->restart_percent == 30 && two->cut_percent == 20 && two->lossy_percent == 21);
    assert_true(two->lossy_loss_ppm == 125000 && sc.duration_us == 60 * S && sc.series_us == 5 * S);
    assert_true(sc.modelled);
    assert_int_equal(scenario_check(&sc, error, sizeof error), 0);
    sc.nodes = 11; // 2 pairs, 1 pair and 3 of a crowd still fit
    assert_int_equal(scenario_check(&sc, error, sizeof error), 0);
    sc.phase[0].crowd.value = 6;
    assert_int_equal(scenario_check(&sc, error, sizeof error), -1);
}

static void reads_attacks(void **state)
{
    (void)state;
    struct scenario sc;
    char error[256];
    assert_int_equal(read_text(&sc,
                               "[attack]\nkind = flooder\nhosts = 20%\ngarbage = forged\n"
                               "per_s = 7\nstop_s = 9\n[attack]\nkind = liar\nhosts = 60\n"
                               "reply = full\none_v6 = yes\n",
                               error),
                     0);
    assert_int_equal(sc.attacks.attacks, 2);
    const struct attack_setting *a = &sc.attacks.attack[0], *b = &sc.attacks.attack[1];
    assert_true(a->config.kind == ATTACK_FLOODER && a->hosts.percent && a->hosts.value == 20);
    assert_true(a->config.garbage == ATTACK_FORGED && a->config.per_s == 7);
    assert_true(a->config.stop_us == 9 * S && b->config.kind == ATTACK_LIAR);
    assert_true(!b->hosts.percent && b->hosts.value == 60);
    assert_true(b->config.reply == ATTACK_FULL && b->config.one_v6);
    sc.attacks.attack[1].probes = 2; // with one topic each, all at once
    sc.attacks.attack[1].probe_at_us = 60 * S;
    assert_int_equal(scenario_check(&sc, error, sizeof error), 0);
    strcpy(sc.attacks.attack[1].topic, "one after another");
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
        "[network]\nbootstraps = 65\n",
        "[network]\nloss_percent = 99.5\n",
        "[network]\nloss_percent = 1.2345\n",
        "[network]\nloss_percent = .5\n",
        "[network]\nloss_percent = 1.\n",
        "[network]\nlab = maybe\n",
        "[network]\nname = two words\n",
        "[network]\nseed = 9223372036854775808\n",
        "[phase a]\nwaiting = 101%\n",
        "[phase a]\nwaiting = %\n",
        "[phase]\nwaiting = 1\n",
        "[phases a]\nwaiting = 1\n",
        "[phase a name of more than thirty-two bytes]\nwaiting = 1\n",
        "[class a name of more than 16]\nshare_percent = 1\n",
        "[network two]\nnodes = 5\n",
        "[class a]\nsessions = short\n",
        "[class a]\nquiet = yes\n",
        "[attack]\nhosts = 5\n", // of which kind?
        "[attack]\nkind = friend\n",
        "[attack]\nkind = liar\nhosts = 100%\n",
        "[attack]\nkind = liar\nhosts = 5 %\n",
        "[attack]\nkind = liar\nhosts = -5\n",
        "[attack]\nkind = liar\none_v6 = perhaps\n",
        "[attack]\nkind = flooder\ngarbage = all\n",
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
    sc.phases = 1;
    sc.phase[0] = (struct scenario_phase){.at_us = 100 * S, .duration_us = 20 * S};
    assert_int_equal(scenario_check(&sc, error, sizeof error), 0);
    sc.phase[0].at_us++;
    assert_int_equal(scenario_check(&sc, error, sizeof error), -1);
    sc.phase[0] = (struct scenario_phase){.browsing = {1, false}, .topics = 5};
    assert_int_equal(scenario_check(&sc, error, sizeof error), -1);
    sc.phase[0].seeks_per_hour = 1;
    assert_int_equal(scenario_check(&sc, error, sizeof error), 0);
    sc.population.classes = 2;
    sc.population.class[0].share_percent = 60;
    sc.population.class[1].share_percent = 30;
    assert_int_equal(scenario_check(&sc, error, sizeof error), -1);
    sc.population.class[1].share_percent = 40;
    assert_int_equal(scenario_check(&sc, error, sizeof error), 0);
    sc.duration_us = 0;
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
    sc.nodes = 75;
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
    assert_int_equal(json_integer_value(json_object_get(o, "nodes")), 75);
    assert_int_equal(json_integer_value(json_object_get(o, "seeks")), 14);
    assert_int_equal(json_integer_value(json_object_get(o, "matched")), 14);
    assert_int_equal(json_integer_value(json_object_get(o, "messages_said")), 70);
    assert_int_equal(json_integer_value(json_object_get(o, "messages_delivered")), 70);
    assert_int_equal(json_integer_value(json_object_get(o, "messages_received")), 70);
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
        cmocka_unit_test(reads_every_setting), cmocka_unit_test(reads_attacks),
        cmocka_unit_test(refuses_nonsense),    cmocka_unit_test(checks_what_does_not_fit),
        cmocka_unit_test(small_runs),
    };
    return help_main(tests, sizeof tests / sizeof *tests);
}
