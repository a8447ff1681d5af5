// Same scenario and seed, same run.
#include "tests/sim/help.h"

struct outcome {
    char digest[65];
    struct sim_figures figures;
    usec_t first_match_us;
};

static struct outcome run(uint64_t seed, struct sim_jobs *own)
{
    struct sim_config cfg = {.seed = seed, .loss_ppm = 50000, .jobs = own};
    struct sim *s = sim_new(&cfg);
    help_sixty(s);
    sim_node_kill(s, 8 * S, 4);
    (void)sim_run(s, 25 * S, NULL, NULL);
    sim_idle_begin(s);
    (void)sim_run(s, 40 * S, NULL, NULL);
    struct outcome o = {.first_match_us = USEC_NEVER};
    sim_digest(s, o.digest);
    sim_figures(s, &o.figures);
    for (uint32_t i = 0; i < sim_people(s); i++)
        if (sim_person(s, i)->matches > 0 && sim_person(s, i)->match[0].at_us < o.first_match_us)
            o.first_match_us = sim_person(s, i)->match[0].at_us;
    help_no_failures(s, seed);
    sim_free(s);
    return o;
}

static void same_seed_same_digest(void **state)
{
    (void)state;
    struct outcome a = run(1, jobs), b = run(1, jobs), c = run(1, NULL);
    print_message("digest %s, %llu events\n", a.digest, (unsigned long long)a.figures.events);
    assert_string_equal(a.digest, b.digest);
    assert_string_equal(a.digest, c.digest); // whether hashes are remembered changes nothing
    assert_memory_equal(&a.figures, &b.figures, sizeof a.figures);
    assert_true(a.first_match_us == b.first_match_us && a.first_match_us != USEC_NEVER);
    assert_true(a.figures.datagrams > 1000);
}

static void another_seed_another_digest(void **state)
{
    (void)state;
    struct outcome a = run(1, jobs), b = run(2, jobs);
    assert_string_not_equal(a.digest, b.digest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_seed_same_digest),
        cmocka_unit_test(another_seed_another_digest),
    };
    return help_main(tests, sizeof tests / sizeof *tests);
}
