// A thousand nodes join; two hundred pairs on two hundred topics and a hundred people on one topic all
// meet and exchange messages, however many datagrams are lost; with the real cryptography once.
#include "tests/sim/help.h"

#define NODES 1000u
#define PAIRS 200u
#define CROWD 100u

static void thousand(uint64_t seed, uint32_t loss_percent, usec_t within_us, bool modelled)
{
    struct sim_config cfg = {.seed = seed,
                             .loss_ppm = 10000 * loss_percent,
                             .jobs = jobs,
                             .modelled = modelled,
                             .no_aes_percent = 30};
    struct sim *s = sim_new(&cfg);
    const struct sim_prf *prf = sim_random(s);
    for (uint32_t i = 0; i < NODES; i++) {
        usec_t at_us = i < 3 ? 0 : sim_prf_below(prf, SIM_PRF_JOIN, i, 0, 0, 10 * S);
        (void)help_node(s, at_us, i < 3 || i % 2 == 0);
    }
    usec_t seek_us = 20 * S;
    for (uint32_t i = 0; i < 2 * PAIRS + CROWD; i++) {
        char topic[32] = "a crowd";
        if (i < 2 * PAIRS)
            snprintf(topic, sizeof topic, "pair %u", i / 2);
        // Servers and clients alike, each person at a node of its own.
        (void)help_person(s, 3 + i, topic,
                          seek_us + sim_prf_below(prf, SIM_PRF_SEEK, i, 0, 0, 1 * S), 3);
    }
    help_must(s, seed, sim_run(s, seek_us + 1 * S + within_us, help_people_done, NULL),
              "500 people of a thousand nodes have met and talked");
    help_no_failures(s, seed);
    struct sim_figures f;
    sim_figures(s, &f);
    help_must(s, seed, f.matched == 2 * PAIRS + CROWD, "everybody met exactly one other");
    help_must(s, seed, f.outbox_dropped == 0, "no node has more to send than the outbox holds");
    print_message("loss %u %%: %llu datagrams, all done at %llu ms, match p50 %llu ms p95 %llu ms, "
                  "%llu bytes a node\n",
                  loss_percent, (unsigned long long)f.datagrams,
                  (unsigned long long)(sim_now(s) / MS), (unsigned long long)(f.match_us_p50 / MS),
                  (unsigned long long)(f.match_us_p95 / MS), (unsigned long long)f.bytes_per_node);
    sim_free(s);
}

static void without_loss(void **state)
{
    (void)state;
    thousand(1, 0, 15 * S, true);
}
static void with_loss_of_5(void **state)
{
    (void)state;
    thousand(2, 5, 25 * S, false);
}
static void with_loss_of_20(void **state)
{
    (void)state;
    thousand(4, 20, 60 * S, true);
    thousand(9, 20, 60 * S, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_loss),
        cmocka_unit_test(with_loss_of_5),
        cmocka_unit_test(with_loss_of_20),
    };
    return help_main(tests, sizeof tests / sizeof *tests);
}
