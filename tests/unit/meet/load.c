// The effort that offers have to prove follows the load, up fast and down slowly.
#include "node/meet/load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the above before it.
#include <cmocka.h>

#define S USEC_PER_S

// Offers at a steady rate from *now on; `admit_below`: they prove enough while less than that is asked.
static void offers(struct load *l, usec_t *now, unsigned per_s, unsigned seconds,
                   uint32_t admit_below)
{
    for (unsigned i = 0; i < per_s * seconds; i++) {
        *now += S / per_s;
        while (load_deadline(l) <= *now)
            load_step(l, *now);
        load_offer(l, *now, l->effort < admit_below);
    }
}

static void a_crowd_needs_no_proof(void **state)
{
    (void)state;
    struct load l;
    usec_t now = 1000 * S;
    load_init(&l);
    assert_true(load_deadline(&l) == USEC_NEVER);
    for (unsigned i = 0; i < LOAD_BURST; i++)
        load_offer(&l, now, true);
    now += 10 * S;
    offers(&l, &now, LOAD_OFFERS_S, 600, UINT32_MAX);
    assert_int_equal(l.effort, 0);
    assert_true(load_deadline(&l) == USEC_NEVER);
}

static void a_flood_without_proofs_raises_it_once_and_holds_it(void **state)
{
    (void)state;
    struct load l;
    usec_t now = 1000 * S;
    load_init(&l);
    offers(&l, &now, 200, 1, 1);
    assert_int_equal(l.effort, LOAD_EFFORT_FIRST);
    offers(&l, &now, 200, 600, 1);
    assert_int_equal(l.effort, LOAD_EFFORT_FIRST);
    // And it decays when it is over.
    usec_t end = now + 60 * S;
    while (load_deadline(&l) <= end)
        load_step(&l, load_deadline(&l));
    assert_int_equal(l.effort, 0);
}

static void a_flood_with_proofs_raises_it_until_they_stop(void **state)
{
    (void)state;
    struct load l;
    usec_t now = 1000 * S;
    load_init(&l);
    offers(&l, &now, 100, 30, 1000);
    assert_int_equal(l.effort, 1024);
    offers(&l, &now, 100, 60, UINT32_MAX);
    assert_int_equal(l.effort, SEARCH_EFFORT_MAX);
    unsigned steps = 0;
    for (uint32_t before = l.effort; load_deadline(&l) != USEC_NEVER; steps++) {
        load_step(&l, load_deadline(&l));
        assert_true(l.effort <= before);
        before = l.effort;
    }
    assert_in_range(steps * LOAD_DECAY_US / S, 60, 150);
    assert_int_equal(l.effort, 0);
}

static void raises_are_apart(void **state)
{
    (void)state;
    struct load l;
    usec_t now = 1000 * S;
    load_init(&l);
    for (unsigned i = 0; i < 100000; i++)
        load_offer(&l, now, true);
    assert_int_equal(l.effort, LOAD_EFFORT_FIRST);
    now += LOAD_RAISE_GAP_US;
    for (unsigned i = 0; i < 100000; i++)
        load_offer(&l, now, true);
    assert_int_equal(l.effort, LOAD_EFFORT_FIRST * LOAD_RAISE_FACTOR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crowd_needs_no_proof),
        cmocka_unit_test(a_flood_without_proofs_raises_it_once_and_holds_it),
        cmocka_unit_test(a_flood_with_proofs_raises_it_until_they_stop),
        cmocka_unit_test(raises_are_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
