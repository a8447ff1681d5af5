// Requests in the name of somebody else: whatever their form, the one named gets no more bytes than
// were sent.
#include "tests/sim/attack_help.h"

#define SERVERS 30u
#define RATE 10u

static void nobody_is_hit_harder_than_it_costs(void **state)
{
    (void)state;
    struct sim *s = help_sim(1, 0);
    struct attack *attack[ATTACK_FORMS];
    for (uint32_t i = 0; i < SERVERS; i++)
        (void)help_node(s, i * 100 * MS, true);
    struct attack_config cfg = {.kind = ATTACK_AMPLIFIER,
                                .number = 2,
                                .start_us = 20 * S,
                                .stop_us = 50 * S,
                                .per_s = RATE};
    for (cfg.form = 1; cfg.form <= ATTACK_FORMS; cfg.form++)
        attack[cfg.form - 1] = attack_new(s, &cfg);
    (void)sim_run(s, 70 * S, NULL, NULL);
    unsigned drew = 0, hit = 0;
    for (uint32_t i = 0; i < ATTACK_FORMS; i++) {
        struct attack_figures f;
        attack_figures(attack[i], &f);
        assert_true(f.sent >= RATE * 30 - 1);
        hit += f.victim_bytes > f.sent_bytes;
        if (!WEAK && f.victim_bytes > f.sent_bytes) {
            fprintf(stderr, "form %u: %llu bytes sent, %llu drawn\n", i,
                    (unsigned long long)f.sent_bytes, (unsigned long long)f.victim_bytes);
            fail();
        }
        drew += f.victim_bytes > 0;
    }
    assert_true(WEAK ? hit > 4 : hit == 0);
    assert_true(drew > ATTACK_FORMS / 2); // most forms are answered: it is really tried
    sim_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(nobody_is_hit_harder_than_it_costs)};
    return help_main(tests, sizeof tests / sizeof *tests);
}
