// A crowd that needs branches, and what is left of it: people at different leaves meet when it has gone.
// Real nodes, real limits; the cryptography is modelled.
#include "tests/sim/help.h"

#define NODES 600u
#define CROWD 501u // odd: somebody is left over at some leaf
#define SEEK_US (400 * S)
#define LATE_US (SEEK_US + 20 * S)

static unsigned met(const struct sim *s, uint32_t from, uint32_t to)
{
    unsigned n = 0;
    for (uint32_t i = from; i < to; i++) {
        const struct sim_match *m = sim_last_match(s, i);
        n += m != NULL && m->peer != SIM_NOBODY;
    }
    return n;
}

static bool most_met(const struct sim *s, void *ctx)
{
    (void)ctx;
    return met(s, 0, CROWD) >= CROWD - 1;
}

static bool late_met(const struct sim *s, void *ctx)
{
    (void)ctx;
    return met(s, 0, CROWD + 1) == CROWD + 1;
}

// All come within half a second: the root is full, and they stand at leaves. The one who is left over goes
// back up as it cools, and meets whoever comes next at the root.
static void a_crowd_meets_and_cools(void **state)
{
    (void)state;
    uint64_t seed = 6;
    struct sim_config cfg = {.seed = seed, .jobs = jobs, .modelled = true};
    struct sim *s = sim_new(&cfg);
    const struct sim_prf *prf = sim_random(s);
    for (uint32_t i = 0; i < NODES; i++)
        (void)help_node(s, i < 3 ? 0 : sim_prf_below(prf, SIM_PRF_JOIN, i, 0, 0, 10 * S),
                        i < 3 || i % 2 == 0);
    for (uint32_t i = 0; i < CROWD; i++)
        (void)help_person(s, i, "a hot topic",
                          SEEK_US + sim_prf_below(prf, SIM_PRF_SEEK, i, 0, 0, S / 2), 1);
    (void)help_person(s, CROWD, "a hot topic", LATE_US, 1);
    help_must(s, seed, sim_run(s, SEEK_US + S / 2 + 6 * S, most_met, NULL),
              "all but one of a crowd meet within six seconds");
    print_message("%u of %u paired at %llu ms after the last arrival\n", met(s, 0, CROWD), CROWD,
                  (unsigned long long)((sim_now(s) - SEEK_US - S / 2) / MS));
    assert_int_equal(met(s, 0, CROWD), CROWD - 1);
    help_must(s, seed, sim_run(s, LATE_US + 4 * S, late_met, NULL),
              "who is left over meets whoever comes later");
    print_message("who was left over, and one who came later: after %llu ms\n",
                  (unsigned long long)((sim_now(s) - LATE_US) / MS));
    help_no_failures(s, seed);
    sim_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_crowd_meets_and_cools)};
    return help_main(tests, sizeof tests / sizeof *tests);
}
