// Servers that lie about who is near, and keep nothing; and servers that are merely bad.
#include "tests/sim/attack_help.h"

#define SERVERS 240u // honest ones
#define BAD 60u      // one in five of all
#define PAIRS 100u
#define SEEDS 3u

static struct attack_result with(enum attack_kind kind, enum attack_reply reply, usec_t delay_us)
{
    struct attack_result sum = {0};
    struct attack_run r = {.servers = SERVERS, .pairs = PAIRS};
    r.attack = (struct attack_config){.kind = kind,
                                      .reply = reply,
                                      .number = BAD,
                                      .join_us = 10 * S,
                                      .grind = 1,
                                      .bootstraps = 3,
                                      .delay_us = delay_us};
    for (r.seed = 1; r.seed <= SEEDS; r.seed++) {
        struct attack_result one = attack_run(&r);
        attack_show("one in five", &one);
        sum.probe.pairs += one.probe.pairs;
        sum.probe.met += one.probe.met;
        if (one.probe.p95_us > sum.probe.p95_us)
            sum.probe.p95_us = one.probe.p95_us;
    }
    return sum;
}

// Of 300 pairs, each within half a minute; README.md of tools/sim has the figures of larger networks.
static void finds(const struct attack_result *o, unsigned percent)
{
    assert_true(o->probe.met * 100 >= o->probe.pairs * percent);
}

static void liars_hide_nobody(void **state)
{
    (void)state;
    struct attack_result o = with(ATTACK_LIAR, ATTACK_EMPTY, 0);
    if (WEAK)
        assert_true(o.probe.met * 100 < o.probe.pairs * 90);
    else
        finds(&o, 99);
}

static void nor_do_they_by_silence(void **state)
{
    (void)state;
    struct attack_result o = with(ATTACK_LIAR, ATTACK_SILENCE, 0);
    if (!WEAK)
        finds(&o, 99);
}

static void a_place_is_not_full_because_they_say_so(void **state)
{
    (void)state;
    struct attack_result o = with(ATTACK_LIAR, ATTACK_FULL, 0);
    if (!WEAK)
        finds(&o, 99);
}

static void droppers_lose_nothing_for_good(void **state)
{
    (void)state;
    struct attack_result o = with(ATTACK_DROPPER, ATTACK_EMPTY, 0);
    if (!WEAK)
        finds(&o, 99);
}

static void slow_servers_hold_up_little(void **state)
{
    (void)state;
    struct attack_result o = with(ATTACK_SLOW, ATTACK_EMPTY, 350 * MS);
    if (!WEAK) {
        finds(&o, 99);
        assert_true(o.probe.p95_us < 4 * S);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(liars_hide_nobody),
        cmocka_unit_test(nor_do_they_by_silence),
        cmocka_unit_test(a_place_is_not_full_because_they_say_so),
        cmocka_unit_test(droppers_lose_nothing_for_good),
        cmocka_unit_test(slow_servers_hold_up_little),
    };
    return help_main(tests, sizeof tests / sizeof *tests);
}
