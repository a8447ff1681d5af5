// Who comes and goes: the population keeps its size, who comes back is found, and people meet meanwhile.
#include "tools/sim/scenario.h"

#include "tests/sim/help.h"
#include "tools/sim/sim_internal.h"

static struct scenario base(uint32_t nodes)
{
    struct scenario sc;
    char error[256];
    FILE *f = fopen("build/population.ini", "w");
    assert_non_null(f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(scenario_read(&sc, "build/population.ini", error, sizeof error), 0);
    (void)remove("build/population.ini");
    sc.nodes = nodes;
    sc.modelled = true;
    sc.plain.nat_percent = 50;
    sc.plain.servers_percent = 100;
    return sc;
}

static struct sim *start(const struct scenario *sc)
{
    char error[256];
    if (scenario_check(sc, error, sizeof error) != 0)
        fail_msg("%s", error);
    return scenario_build(sc);
}

static uint32_t alive(const struct sim *s)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < sim_nodes(s); i++)
        n += sim_node_alive(s, i);
    return n;
}

static uint32_t again(const struct sim *s)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < sim_nodes(s); i++)
        n += s->host[i]->session > 0 && sim_node_alive(s, i);
    return n;
}

// Sessions so short that most have turned over after ten minutes; who waits is found all the same.
static void churn_keeps_the_population(void **state)
{
    (void)state;
    struct scenario sc = base(300);
    sc.population.session_percent = 5; // median of ten minutes
    sc.duration_us = 700 * S;
    sc.phases = 1;
    sc.phase[0] = (struct scenario_phase){.name = "all along",
                                          .at_us = 60 * S,
                                          .duration_us = 500 * S,
                                          .waiting = {30, false},
                                          .wait_us = 20 * S,
                                          .talk_us = 5 * S,
                                          .messages = 2,
                                          .gap_us = 100 * MS};
    struct sim *s = start(&sc);
    for (usec_t at = 60 * S; at <= sc.duration_us; at += 20 * S) {
        (void)sim_run(s, at, NULL, NULL);
        help_must(s, sc.seed, alive(s) > 285 && alive(s) <= 300, "the population keeps its size");
    }
    help_must(s, sc.seed, sim_nodes(s) > 330, "newcomers came");
    help_must(s, sc.seed, again(s) > 20, "some came back");
    help_no_failures(s, sc.seed);
    struct sim_figures f;
    sim_figures(s, &f);
    help_must(s, sc.seed, f.joins > 300 && f.joined == f.joins,
              "all join, also who comes back behind a NAT");
    help_must(s, sc.seed, f.pairs >= 25, "pairs could meet");
    help_must(s, sc.seed, f.pairs_matched * 100 >= f.pairs_possible * 95, "those who can meet do");
    help_must(s, sc.seed, f.pairs_possible < f.pairs || f.pairs_matched == f.pairs,
              "only a NAT is an excuse");
    sim_free(s);
}

// Half behind NATs that keep 80 flows, a third with both address families, of whom servers are asked by
// the dozen while they wait: whoever comes later reaches their introducers at once.
static void who_waits_is_reached(void **state)
{
    (void)state;
    struct scenario sc = base(1500);
    sc.population.dual_percent = 30;
    sc.population.dial_back = true;
    sc.join_us = 60 * S;
    sc.duration_us = 160 * S;
    sc.phases = 1;
    sc.phase[0] = (struct scenario_phase){.name = "waiting",
                                          .at_us = 100 * S,
                                          .duration_us = 30 * S,
                                          .waiting = {120, false},
                                          .wait_us = 14 * S};
    struct sim *s = start(&sc);
    (void)sim_run(s, sc.duration_us, NULL, NULL);
    help_no_failures(s, sc.seed);
    struct sim_figures f;
    sim_figures(s, &f);
    printf("%u of %u pairs, p50 %llu ms, p95 %llu ms\n", f.pairs_matched, f.pairs_possible,
           (unsigned long long)(f.match_us_p50 / MS), (unsigned long long)(f.match_us_p95 / MS));
    help_must(s, sc.seed, f.pairs_matched == f.pairs_possible, "all who can meet do");
    help_must(s, sc.seed, f.match_us_p95 <= 2000 * MS, "and soon");
    sim_free(s);
}

// A moment finds long sessions more often: of those who are there at the start half stay for hours.
static void who_is_there_has_been_for_long(void **state)
{
    (void)state;
    struct scenario sc = base(600);
    sc.population.session_percent = 100;
    sc.duration_us = 1800 * S;
    sc.plain.servers_percent = 0; // nothing but comings and goings
    sc.population.bootstraps = 1;
    struct sim *s = start(&sc);
    (void)sim_run(s, sc.duration_us, NULL, NULL);
    uint32_t gone = 0;
    for (uint32_t i = 0; i < 600; i++)
        gone += s->host[i]->session > 0 || !sim_node_alive(s, i);
    // The mean of a session is about 13 hours, so half an hour ends some four in a hundred.
    help_must(s, sc.seed, gone >= 6 && gone <= 60, "a few in a hundred leave in half an hour");
    sim_free(s);
}

static uint64_t recent_lookups(struct sim *s, usec_t until_us, uint64_t *ok)
{
    uint64_t before = s->lookups, before_ok = s->lookups_ok;
    (void)sim_run(s, until_us, NULL, NULL);
    *ok = s->lookups_ok - before_ok;
    return s->lookups - before;
}

// A third restarts at once, with new keys; the look-ups of a minute later succeed again.
static void a_mass_restart_passes(void **state)
{
    (void)state;
    struct scenario sc = base(600);
    sc.duration_us = 400 * S;
    sc.phases = 2;
    sc.phase[0] = (struct scenario_phase){
        .name = "restart", .at_us = 120 * S, .restart_percent = 30, .back_us = S};
    sc.phase[1] = (struct scenario_phase){.name = "after",
                                          .at_us = 180 * S,
                                          .duration_us = 100 * S,
                                          .waiting = {40, false},
                                          .wait_us = 15 * S,
                                          .messages = 1};
    struct sim *s = start(&sc);
    uint64_t ok, n;
    (void)sim_run(s, 125 * S, NULL, NULL);
    help_must(s, sc.seed, alive(s) == 600 && again(s) > 140 && again(s) < 220, "a third is back");
    (void)sim_run(s, 180 * S, NULL, NULL);
    n = recent_lookups(s, 300 * S, &ok);
    help_must(s, sc.seed, n > 80 && ok * 100 >= n * 99, "look-ups succeed a minute later");
    (void)sim_run(s, sc.duration_us, NULL, NULL);
    struct sim_figures f;
    sim_figures(s, &f);
    help_must(s, sc.seed, f.pairs_matched * 100 >= f.pairs_possible * 95, "people meet");
    help_no_failures(s, sc.seed);
    sim_free(s);
}

// Two halves that don't hear each other for two minutes: afterwards pairs across the cut meet.
static void a_partition_heals(void **state)
{
    (void)state;
    struct scenario sc = base(400);
    sc.duration_us = 500 * S;
    sc.phases = 2;
    sc.phase[0] = (struct scenario_phase){
        .name = "cut", .at_us = 60 * S, .duration_us = 120 * S, .cut_percent = 50};
    sc.phase[1] = (struct scenario_phase){.name = "healed",
                                          .at_us = 240 * S,
                                          .duration_us = 100 * S,
                                          .waiting = {60, false},
                                          .wait_us = 15 * S,
                                          .messages = 1};
    struct sim *s = start(&sc);
    (void)sim_run(s, 61 * S, NULL, NULL);
    uint64_t lost = s->net.lost;
    (void)sim_run(s, 180 * S, NULL, NULL);
    help_must(s, sc.seed, s->net.lost > lost + 100, "datagrams across the cut are lost");
    (void)sim_run(s, sc.duration_us, NULL, NULL);
    struct sim_figures f;
    sim_figures(s, &f);
    uint32_t across = 0;
    for (uint32_t i = 0; i + 1 < sim_people(s); i += 2) {
        const struct sim_site *a = &s->net.site[sim_person(s, i)->config.node];
        const struct sim_site *b = &s->net.site[sim_person(s, i + 1)->config.node];
        bool left = a->x_us < SIM_PLANE_US / 2, other = b->x_us < SIM_PLANE_US / 2;
        across += left != other && sim_person(s, i)->matches > 0;
    }
    help_must(s, sc.seed, f.pairs_matched * 100 >= f.pairs_possible * 95, "people meet again");
    help_must(s, sc.seed, across >= 15, "also across the cut");
    help_no_failures(s, sc.seed);
    sim_free(s);
}

// Clocks of half of the nodes are wrong by up to ten minutes while the hour turns.
static void the_epoch_turns_for_wrong_clocks(void **state)
{
    (void)state;
    struct scenario sc = base(300);
    sc.unix_start_s = INT64_C(1760054400) + 5 * 3600 - 120;
    sc.population.skew_percent = 50;
    sc.population.skew_us = 600 * S;
    sc.duration_us = 300 * S;
    sc.phases = 1;
    sc.phase[0] = (struct scenario_phase){.name = "turn",
                                          .at_us = 60 * S,
                                          .duration_us = 100 * S,
                                          .waiting = {50, false},
                                          .wait_us = 40 * S,
                                          .messages = 1};
    struct sim *s = start(&sc);
    (void)sim_run(s, sc.duration_us, NULL, NULL);
    struct sim_figures f;
    sim_figures(s, &f);
    help_must(s, sc.seed, f.pairs_possible >= 40 && f.pairs_matched == f.pairs_possible,
              "all pairs meet over the turn of the hour");
    help_no_failures(s, sc.seed);
    sim_free(s);
}

// People who browse: topics by popularity, conversations that end, patience that ends. The same twice.
static void browsing_replays(void **state)
{
    (void)state;
    char digest[2][65];
    for (int run = 0; run < 2; run++) {
        struct scenario sc = base(300);
        sc.population.session_percent = 10;
        sc.population.dual_percent = 30;
        sc.plain.up_kbit = 2000;
        sc.plain.down_kbit = 10000;
        sc.burst_ppm = 1000;
        sc.duration_us = 400 * S;
        sc.phases = 1;
        sc.phase[0] = (struct scenario_phase){.name = "evening",
                                              .at_us = 40 * S,
                                              .duration_us = 350 * S,
                                              .browsing = {25, true},
                                              .topics = 20,
                                              .seeks_per_hour = 60,
                                              .patience_us = 40 * S,
                                              .talk_us = 20 * S,
                                              .messages = 2,
                                              .gap_us = 100 * MS};
        struct sim *s = start(&sc);
        (void)sim_run(s, sc.duration_us, NULL, NULL);
        help_no_failures(s, sc.seed);
        const struct sim_group *g = &s->group[0];
        help_must(s, sc.seed, g->people == 75 && g->seeks > 150, "people seek again and again");
        help_must(s, sc.seed, g->matches > 60 && g->gave_up > 10, "some meet, some give up");
        uint32_t first = 0, second = 0;
        for (uint32_t i = 0; i < sim_people(s); i++) {
            const char *topic = sim_person(s, i)->config.topic;
            if (topic == NULL)
                continue;
            first += strcmp(topic, "evening browsing 1") == 0;
            second += strcmp(topic, "evening browsing 15") == 0;
        }
        help_must(s, sc.seed, first > second, "the first topic is the most popular");
        sim_digest(s, digest[run]);
        sim_free(s);
    }
    assert_string_equal(digest[0], digest[1]);
}

// Who comes again at a node that is just being closed, with its last words under way, goes to another one.
static void nobody_seeks_at_a_node_that_leaves(void **state)
{
    (void)state;
    struct scenario sc = base(300);
    sc.population.session_percent = 3; // median of six minutes
    sc.population.polite_percent = 100;
    sc.duration_us = 500 * S;
    sc.phases = 1;
    sc.phase[0] = (struct scenario_phase){.name = "evening",
                                          .at_us = 40 * S,
                                          .duration_us = 450 * S,
                                          .browsing = {60, true},
                                          .topics = 20,
                                          .seeks_per_hour = 240,
                                          .patience_us = 5 * S,
                                          .talk_us = 3 * S};
    struct sim *s = start(&sc);
    (void)sim_run(s, sc.duration_us, NULL, NULL);
    const struct sim_group *g = &s->group[0];
    help_must(s, sc.seed, g->seeks > 3000 && g->matches > 500, "people seek again and again");
    help_no_failures(s, sc.seed);
    sim_free(s);
}

// Behind NATs, and many have both families: whoever carried the offer, the other is told the outside
// address of each family, since it may have only one of them.
static void both_families_are_told(void **state)
{
    (void)state;
    struct scenario sc = base(400);
    sc.plain.nat_percent = 90;
    sc.population.dual_percent = 50;
    sc.duration_us = 150 * S;
    sc.phases = 1;
    sc.phase[0] = (struct scenario_phase){.name = "meet",
                                          .at_us = 60 * S,
                                          .duration_us = 30 * S,
                                          .waiting = {80, false},
                                          .wait_us = 10 * S,
                                          .messages = 1};
    struct sim *s = start(&sc);
    (void)sim_run(s, sc.duration_us, NULL, NULL);
    struct sim_figures f;
    sim_figures(s, &f);
    help_must(s, sc.seed, f.pairs_possible > 50 && f.pairs_matched == f.pairs_possible,
              "all who can meet do");
    help_no_failures(s, sc.seed);
    sim_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(churn_keeps_the_population),
        cmocka_unit_test(who_waits_is_reached),
        cmocka_unit_test(who_is_there_has_been_for_long),
        cmocka_unit_test(a_mass_restart_passes),
        cmocka_unit_test(a_partition_heals),
        cmocka_unit_test(the_epoch_turns_for_wrong_clocks),
        cmocka_unit_test(browsing_replays),
        cmocka_unit_test(nobody_seeks_at_a_node_that_leaves),
        cmocka_unit_test(both_families_are_told),
    };
    return help_main(tests, sizeof tests / sizeof *tests);
}
