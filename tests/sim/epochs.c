// The hour and the day turn while people wait: places and secrets change, and they meet all the same.
#include "tests/sim/help.h"

#define HOUR_S INT64_C(3600)
#define MIDNIGHT_S INT64_C(1760054400) // a midnight, and so an hour too (UTC)

// Ana begins to wait `before_s` ahead of `turn_s`; Ben comes `after_s` behind it.
static void meet(uint64_t seed, int64_t turn_s, uint32_t before_s, uint32_t after_s, uint32_t loss)
{
    struct sim_config cfg = {.seed = seed,
                             .loss_ppm = 10000 * loss,
                             .jobs = jobs,
                             .unix_start_s = turn_s - before_s - 3};
    struct sim *s = sim_new(&cfg);
    usec_t ben_at = (3 + (usec_t)before_s + after_s) * S;
    for (unsigned i = 0; i < 16; i++)
        (void)help_node(s, 0, true);
    uint32_t ana = help_node(s, 0, false), ben = help_node(s, 0, false);
    (void)help_person(s, ana, "turning", 3 * S, 2);
    (void)help_person(s, ben, "turning", ben_at, 2);
    char what[96];
    snprintf(what, sizeof what, "who waits from %u s before the turn meets who comes %u s after it",
             before_s, after_s);
    help_must(s, seed, sim_run(s, ben_at + 20 * S, help_people_done, NULL), what);
    help_no_failures(s, seed);
    sim_free(s);
}

static void the_hour_turns(void **state)
{
    (void)state;
    static const uint32_t after[] = {1, 240, 1000};
    for (unsigned i = 0; i < sizeof after / sizeof after[0]; i++) {
        meet(i + 1, MIDNIGHT_S + 5 * HOUR_S, 120, after[i], 0);
        meet(i + 1, MIDNIGHT_S + 5 * HOUR_S, 1, after[i], 5);
        meet(i + 1, MIDNIGHT_S + 5 * HOUR_S, 1200, after[i], 0);
    }
}

static void the_day_turns(void **state)
{
    (void)state;
    static const uint32_t after[] = {1, 240, 1000};
    for (unsigned i = 0; i < sizeof after / sizeof after[0]; i++) {
        meet(i + 1, MIDNIGHT_S, 120, after[i], 0);
        meet(i + 1, MIDNIGHT_S, 1, after[i], 5);
        meet(i + 1, MIDNIGHT_S, 1200, after[i], 0);
    }
}

// Somebody waits all night before anybody comes.
static void hours_of_waiting(void **state)
{
    (void)state;
    meet(7, MIDNIGHT_S, 2 * 3600, 2 * 3600 + 900, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_hour_turns),
        cmocka_unit_test(the_day_turns),
        cmocka_unit_test(hours_of_waiting),
    };
    return help_main(tests, sizeof tests / sizeof *tests);
}
