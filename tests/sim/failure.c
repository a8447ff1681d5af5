// Nodes that vanish without a word.
#include "tests/sim/help.h"

#define NODES 300u
#define PAIRS 20u

// A third of the nodes dies at once, servers that are told to newcomers among them; people who waited
// and people who come after it meet all the same.
static void a_third_dies(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 2; seed++) {
        struct sim *s = help_sim(seed, 2);
        const struct sim_prf *prf = sim_random(s);
        for (uint32_t i = 0; i < NODES; i++)
            (void)help_node(s, i < 3 ? 0 : sim_prf_below(prf, SIM_PRF_JOIN, i, 0, 0, 5 * S),
                            i % 3 != 2 || i < 3);
        uint32_t killed = 0;
        for (uint32_t i = 0; i < NODES && killed < NODES / 3; i++) {
            bool person = i >= 3 && i < 3 + 2 * PAIRS;
            // Of the others a share that makes up the third, and the first in any case.
            if (!person && (i == 0 || sim_prf_below(prf, SIM_PRF_VICTIM, i, 0, 0, 1000) <
                                          1000 * (NODES / 3) / (NODES - 2 * PAIRS - 40))) {
                sim_node_kill(s, 20 * S, i);
                killed++;
            }
        }
        assert_in_range(killed, NODES * 3 / 10, NODES / 3);
        for (uint32_t i = 0; i < 2 * PAIRS; i++) {
            char topic[32];
            snprintf(topic, sizeof topic, "survivors %u", i / 2);
            // One of each pair waits since before; of every fourth pair both come after it.
            bool waits = i % 2 == 0 && i / 2 % 4 != 0;
            (void)help_person(s, 3 + i, topic, waits ? 15 * S : 21 * S, 3);
        }
        help_must(s, seed, sim_run(s, 80 * S, help_people_done, NULL),
                  "survivors meet within a minute");
        help_no_failures(s, seed);
        sim_free(s);
    }
}

struct pair {
    struct sim *s;
    uint32_t ana, ben;
};

static struct pair talk(uint64_t seed, uint32_t messages, usec_t until_us)
{
    struct pair p = {.s = help_sim(seed, 0)};
    for (int i = 0; i < 4; i++)
        (void)help_node(p.s, 0, true);
    uint32_t a = help_node(p.s, 0, false), b = help_node(p.s, 0, false);
    p.ana = help_person(p.s, a, "last words", 2 * S, messages);
    p.ben = help_person(p.s, b, "last words", 2 * S, messages);
    (void)sim_run(p.s, until_us, NULL, NULL);
    help_must(p.s, seed,
              sim_person(p.s, p.ana)->state == SIM_TALKING &&
                  sim_person(p.s, p.ben)->state == SIM_TALKING,
              "both talk");
    return p;
}

static void a_killed_peer_is_gone(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        // Silent and in the middle of a word.
        struct pair p = talk(seed, seed % 2 == 0 ? 2 : 1000, 10 * S);
        sim_node_kill(p.s, 10 * S, sim_person(p.s, p.ben)->config.node);
        (void)sim_run(p.s, 40 * S, NULL, NULL);
        const struct sim_match *m = sim_last_match(p.s, p.ana);
        help_must(p.s, seed,
                  sim_person(p.s, p.ana)->state == SIM_ENDED && strcmp(m->reason, "gone") == 0,
                  "the killed peer is gone within 30 s");
        help_must(p.s, seed, m->said == m->delivered + m->undelivered,
                  "each message is delivered or known not to be");
        help_must(p.s, seed, seed % 2 == 0 || m->undelivered > 0,
                  "what was said to the dead is not delivered");
        help_no_failures(p.s, seed);
        sim_free(p.s);
    }
}

static void an_idle_conversation_lasts(void **state)
{
    (void)state;
    struct pair p = talk(9, 2, 10 * S);
    (void)sim_run(p.s, 600 * S, NULL, NULL);
    help_must(p.s, 9,
              sim_person(p.s, p.ana)->state == SIM_TALKING &&
                  sim_person(p.s, p.ben)->state == SIM_TALKING,
              "both still talk after ten silent minutes");
    help_no_failures(p.s, 9);
    sim_free(p.s);
}

static void who_ends_has_left(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct pair p = talk(seed, 3, 10 * S);
        sim_person_end(p.s, 10 * S, p.ben);
        (void)sim_run(p.s, 12 * S, NULL, NULL);
        help_must(p.s, seed,
                  sim_person(p.s, p.ana)->state == SIM_ENDED &&
                      strcmp(sim_last_match(p.s, p.ana)->reason, "left") == 0,
                  "who ends has left, within 2 s");
        help_no_failures(p.s, seed);
        sim_free(p.s);
    }
}

// Both end in mid-sentence, at the same moment or nearly: of each word its author hears what became of it.
static void words_at_the_end_are_accounted_for(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct pair p = talk(seed, 400, 10 * S); // one every 50 ms, so some are under way
        sim_person_end(p.s, 10 * S, p.ana);
        sim_person_end(p.s, 10 * S + (seed % 4) * 20 * MS, p.ben);
        (void)sim_run(p.s, 40 * S, NULL, NULL);
        const struct sim_match *m[2] = {sim_last_match(p.s, p.ana), sim_last_match(p.s, p.ben)};
        for (int i = 0; i < 2; i++)
            help_must(p.s, seed,
                      m[i]->said > 10 && m[i]->said == m[i]->delivered + m[i]->undelivered,
                      "each word was delivered or not delivered");
        sim_free(p.s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_killed_peer_is_gone),
        cmocka_unit_test(who_ends_has_left),
        cmocka_unit_test(words_at_the_end_are_accounted_for),
        cmocka_unit_test(an_idle_conversation_lasts),
        cmocka_unit_test(a_third_dies),
    };
    return help_main(tests, sizeof tests / sizeof *tests);
}
