// `next` goes on to somebody else and never back; `block` holds.
#include "tests/sim/help.h"

static struct sim *network(uint64_t seed)
{
    struct sim *s = help_sim(seed, 0);
    for (int i = 0; i < 8; i++)
        (void)help_node(s, 0, true);
    return s;
}

static bool has_matches(const struct sim *s, void *ctx)
{
    return help_matches(s) >= *(uint32_t *)ctx;
}

static bool met(const struct sim *s, uint32_t a, uint32_t b)
{
    for (uint32_t i = 0; i < sim_person(s, a)->matches; i++)
        if (sim_person(s, a)->match[i].peer == b)
            return true;
    return false;
}

static void never_the_same_again(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct sim *s = network(seed);
        uint32_t p[3], want;
        for (int i = 0; i < 3; i++)
            p[i] = help_person(s, help_node(s, 0, false), "carousel", i < 2 ? 2 * S : 10 * S, 2);
        want = 2;
        help_must(s, seed, sim_run(s, 8 * S, has_matches, &want), "the first two meet");
        (void)sim_run(s, 12 * S, NULL, NULL); // the third has come, and finds nobody free
        help_must(s, seed, help_matches(s) == 2, "the third waits");
        // The first goes on and meets the third; the second is left.
        sim_person_next(s, 12 * S, p[0]);
        want = 4;
        help_must(s, seed, sim_run(s, 25 * S, has_matches, &want), "next finds the third");
        help_must(s, seed, met(s, p[0], p[2]), "the first met the third");
        help_must(s, seed, sim_person(s, p[1])->state == SIM_ENDED, "the second was left");
        // All go on: the second and the third have not met yet, everybody else has.
        usec_t at = sim_now(s) + 3 * S;
        for (int i = 0; i < 3; i++)
            sim_person_next(s, at, p[i]);
        want = 6;
        help_must(s, seed, sim_run(s, at + 15 * S, has_matches, &want),
                  "the second and the third meet");
        help_must(s, seed, met(s, p[1], p[2]), "the second met the third");
        at = sim_now(s) + 3 * S;
        for (int i = 0; i < 3; i++)
            sim_person_next(s, at, p[i]);
        (void)sim_run(s, at + 60 * S, NULL, NULL);
        help_must(s, seed, help_matches(s) == 6, "nobody meets again");
        help_no_failures(s, seed);
        sim_free(s);
    }
}

static void block_holds(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct sim *s = network(seed);
        uint32_t a = help_person(s, help_node(s, 0, false), "wall", 2 * S, 2), want;
        uint32_t b = help_person(s, help_node(s, 0, false), "wall", 2 * S, 2);
        uint32_t c = help_person(s, help_node(s, 0, false), "wall", 60 * S, 2);
        want = 2;
        help_must(s, seed, sim_run(s, 8 * S, has_matches, &want), "they meet");
        sim_person_block(s, 10 * S, a);
        (void)sim_run(s, 12 * S, NULL, NULL);
        help_must(s, seed, sim_person(s, b)->state == SIM_ENDED, "the blocked one is left");
        // Both begin anew, with new pseudonyms.
        sim_person_end(s, 12 * S, b);
        sim_person_seek(s, 13 * S, a);
        sim_person_seek(s, 13 * S + seed * 100 * MS, b);
        (void)sim_run(s, 60 * S, NULL, NULL);
        help_must(s, seed, help_matches(s) == 2, "the two never meet again");
        want = 4;
        help_must(s, seed, sim_run(s, 80 * S, has_matches, &want), "a third meets one of them");
        help_must(s, seed, met(s, c, a) != met(s, c, b), "the third met exactly one");
        help_no_failures(s, seed);
        sim_free(s);
    }
}

// Five people on one topic who always go on: ten pairs, each once.
static void all_pairs_once(void **state)
{
    (void)state;
    uint64_t seed = 11;
    struct sim *s = network(seed);
    for (int i = 0; i < 5; i++)
        (void)help_person(s, help_node(s, 0, false), "round", 2 * S, 1);
    for (usec_t t = 10 * S; t < 200 * S; t += 5 * S)
        for (uint32_t i = 0; i < 5; i++)
            sim_person_next(s, t + i * 20 * MS, i);
    (void)sim_run(s, 210 * S, NULL, NULL);
    for (uint32_t i = 0; i < 5; i++)
        for (uint32_t j = 0; j < 5; j++)
            help_must(s, seed, i == j || met(s, i, j), "everybody met everybody");
    help_must(s, seed, help_matches(s) == 20, "each pair met once");
    help_no_failures(s, seed);
    sim_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(never_the_same_again),
        cmocka_unit_test(block_holds),
        cmocka_unit_test(all_pairs_once),
    };
    return help_main(tests, sizeof tests / sizeof *tests);
}
