// The alarm rings once for what was set last, and never too early, however often that moved.
#include "node/host/alarm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

struct clock {
    uv_loop_t loop;
    struct alarm alarm;
    unsigned rung;
    usec_t rung_at;
};

static usec_t now_us(void)
{
    return uv_hrtime() / 1000;
}

static void on_ring(void *ctx)
{
    struct clock *c = ctx;
    c->rung++;
    c->rung_at = now_us();
    uv_stop(&c->loop);
}

static struct clock *clock_open(void)
{
    struct clock *c = calloc(1, sizeof *c);
    assert_non_null(c);
    assert_int_equal(uv_loop_init(&c->loop), 0);
    assert_int_equal(alarm_open(&c->alarm, &c->loop, on_ring, c), 0);
    return c;
}

static void clock_close(struct clock *c)
{
    (void)alarm_close(&c->alarm, NULL);
    uv_run(&c->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&c->loop), 0);
    free(c);
}

static void what_was_set_last_rings(void **state)
{
    (void)state;
    struct clock *c = clock_open();
    usec_t start = now_us();
    alarm_set(&c->alarm, start + 1000);
    for (unsigned i = 1; i <= 20; i++) // put off
        alarm_set(&c->alarm, start + 1000 + i * 1000);
    uv_run(&c->loop, UV_RUN_DEFAULT);
    assert_int_equal(c->rung, 1);
    assert_true(c->rung_at >= start + 21000);

    start = now_us();
    alarm_set(&c->alarm, start + 3600 * USEC_PER_S);
    alarm_set(&c->alarm, start + 2000); // sooner
    uv_run(&c->loop, UV_RUN_DEFAULT);
    assert_int_equal(c->rung, 2);
    assert_true(c->rung_at >= start + 2000);

    alarm_set(&c->alarm, 0); // past
    uv_run(&c->loop, UV_RUN_DEFAULT);
    assert_int_equal(c->rung, 3);
    clock_close(c);
}

static void what_was_put_off_for_ever_does_not_ring(void **state)
{
    (void)state;
    struct clock *c = clock_open();
    struct alarm other;
    alarm_set(&c->alarm, now_us() + 1000);
    alarm_set(&c->alarm, USEC_NEVER);
    assert_int_equal(alarm_open(&other, &c->loop, on_ring, c), 0);
    usec_t end = now_us() + 5000;
    alarm_set(&other, end);
    uv_run(&c->loop, UV_RUN_DEFAULT); // the other's ring stops it
    assert_int_equal(c->rung, 1);
    assert_true(c->rung_at >= end);
    (void)alarm_close(&other, NULL);
    clock_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_set_last_rings),
        cmocka_unit_test(what_was_put_off_for_ever_does_not_ring),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
