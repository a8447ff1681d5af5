// Two people meet and talk where there are hardly any servers.
#include "tests/sim/help.h"

static const unsigned sizes[] = {1, 2, 3, 5};

// `servers` beside the two people, whose own nodes are servers or not. Everybody starts at once; the
// people seek after `seek_at_us`.
static void meet(uint64_t seed, unsigned servers, bool first_serves, bool second_serves,
                 usec_t seek_at_us, uint32_t loss_percent)
{
    struct sim *s = help_sim(seed, loss_percent);
    for (unsigned i = 0; i < servers; i++)
        (void)help_node(s, 0, true);
    uint32_t ana = help_node(s, 0, first_serves), ben = help_node(s, 0, second_serves);
    (void)help_person(s, ana, "small", seek_at_us, 5);
    (void)help_person(s, ben, "small", seek_at_us, 5);
    bool met = sim_run(s, seek_at_us + 20 * S, help_people_done, NULL);
    char what[96];
    snprintf(what, sizeof what,
             "two people meet with %u servers, themselves %d %d, seeking at %llu us", servers,
             first_serves, second_serves, (unsigned long long)seek_at_us);
    help_must(s, seed, met, what);
    help_no_failures(s, seed);
    sim_free(s);
}

static void people_are_clients(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (uint64_t seed = 1; seed <= 5; seed++) {
            meet(seed, sizes[i], false, false, 3 * S, 0);
            meet(seed, sizes[i], false, false, 0, 0);
            meet(seed, sizes[i], false, false, 3 * S, 5);
        }
    }
}

static void people_are_servers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (uint64_t seed = 1; seed <= 5; seed++) {
            meet(seed, sizes[i], true, true, 3 * S, 0);
            meet(seed, sizes[i], true, true, 0, 0);
        }
    }
}

// Two computers on a table, and nobody else.
static void nobody_else_is_there(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        meet(seed, 0, true, true, 3 * S, 0);
        meet(seed, 0, true, true, 0, 0);
        meet(seed, 0, true, true, 3 * S, 5);
    }
}

static void one_of_them_is_a_server(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (uint64_t seed = 1; seed <= 5; seed++) {
            meet(seed, sizes[i], true, false, 3 * S, 0);
            meet(seed, sizes[i], false, true, 0, 0);
        }
    }
}

// The people come long before the only server does, and before each other.
static void the_server_comes_last(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct sim *s = help_sim(seed, 0);
        (void)help_node(s, 20 * S, true);
        uint32_t ana = help_node(s, 0, false), ben = help_node(s, 10 * S, false);
        (void)help_person(s, ana, "early", 1 * S, 3);
        (void)help_person(s, ben, "early", 11 * S, 3);
        help_must(s, seed, !sim_run(s, 20 * S, help_people_done, NULL),
                  "nobody meets without a server");
        // Bootstraps are asked again after at most 30 s.
        help_must(s, seed, sim_run(s, 90 * S, help_people_done, NULL),
                  "they meet once the server is there");
        help_no_failures(s, seed);
        sim_free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(people_are_clients),    cmocka_unit_test(people_are_servers),
        cmocka_unit_test(nobody_else_is_there),  cmocka_unit_test(one_of_them_is_a_server),
        cmocka_unit_test(the_server_comes_last),
    };
    return help_main(tests, sizeof tests / sizeof *tests);
}
