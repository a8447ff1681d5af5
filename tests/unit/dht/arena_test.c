// Arena, outbox and random helpers: what every machine stands on.
#include "dht/arena.h"
#include "dht/machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct source {
    size_t chunks, bytes, refuse_after;
};

static void *refill(void *ctx, size_t bytes)
{
    struct source *s = ctx;
    if (s->chunks >= s->refuse_after)
        return NULL;
    s->chunks++;
    s->bytes += bytes;
    return malloc(bytes);
}

static void release(void *ctx, void *chunk, size_t bytes)
{
    struct source *s = ctx;
    for (size_t i = 0; i < bytes; i++)
        assert_int_equal(((uint8_t *)chunk)[i], 0); // wiped before it goes
    s->chunks--;
    s->bytes -= bytes;
    free(chunk);
}

static uint64_t state;

static uint32_t draw(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33);
}

static void what_is_taken_is_apart_zero_and_given_back(void **unused)
{
    (void)unused;
    enum { N = 64 };
    struct source s = {.refuse_after = SIZE_MAX};
    struct arena a;
    uint8_t *p[N] = {0};
    size_t len[N] = {0};
    arena_init(&a, 8u << 20, refill, release, &s);
    state = 5;
    for (unsigned step = 0; step < 20000; step++) {
        unsigned i = draw() % N;
        if (p[i] != NULL) {
            for (size_t k = 0; k < len[i]; k++)
                assert_int_equal(p[i][k], (uint8_t)i); // nobody else wrote here
            arena_give(&a, p[i], len[i]);
            p[i] = NULL;
            continue;
        }
        len[i] = draw() % (draw() % 8 == 0 ? 40000 : 500) + 1;
        p[i] = arena_take(&a, len[i]);
        assert_non_null(p[i]);
        assert_int_equal((uintptr_t)p[i] % 16, 0);
        for (size_t k = 0; k < len[i]; k++)
            assert_int_equal(p[i][k], 0);
        memset(p[i], (int)i, len[i]);
        assert_true(a.used_bytes <= a.held_bytes && a.held_bytes <= a.cap_bytes);
    }
    for (unsigned i = 0; i < N; i++)
        arena_give(&a, p[i], len[i]);
    assert_int_equal(a.used_bytes, 0);
    assert_int_equal(a.held_bytes, s.bytes);
    arena_end(&a);
    assert_int_equal(s.chunks, 0);
    assert_int_equal(s.bytes, 0);
}

static void the_cap_holds_and_refusal_is_survived(void **unused)
{
    (void)unused;
    struct source s = {.refuse_after = SIZE_MAX};
    struct arena a;
    arena_init(&a, 100000, refill, release, &s);
    size_t got = 0;
    while (arena_take(&a, 1000) != NULL)
        got++;
    assert_true(got >= 60 && s.bytes <= 100000);
    assert_null(arena_take(&a, 100001));
    assert_null(arena_take(&a, ARENA_TAKE_BYTES_MAX + 1));
    assert_null(arena_take(&a, SIZE_MAX));
    arena_end(&a);

    struct source none = {.refuse_after = 1};
    arena_init(&a, 1u << 20, refill, release, &none);
    while (arena_take(&a, 100) != NULL)
        ;
    assert_int_equal(none.chunks, 1);
    arena_end(&a);
    assert_int_equal(none.chunks, 0);
}

static void a_full_outbox_drops_and_counts(void **unused)
{
    (void)unused;
    struct outbox *o = calloc(1, sizeof *o);
    assert_non_null(o);
    for (unsigned i = 0; i < OUTBOX_SLOTS; i++) {
        struct outbox_slot *slot = outbox_room(o);
        assert_non_null(slot);
        assert_ptr_equal(slot, outbox_room(o)); // not committed: the same again
        slot->len = 64;
        outbox_commit(o);
    }
    assert_null(outbox_room(o));
    assert_int_equal(o->dropped, 1);
    free(o);
}

static void fill(void *ctx, void *buf, size_t len)
{
    (void)ctx;
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)buf)[i] = (uint8_t)draw();
}

static void random_numbers_keep_their_bounds(void **unused)
{
    (void)unused;
    struct rng r = {fill, NULL};
    unsigned count[7] = {0};
    state = 9;
    for (unsigned i = 0; i < 7000; i++)
        count[rng_below(&r, 7)]++;
    for (unsigned i = 0; i < 7; i++)
        assert_in_range(count[i], 800, 1200);
    for (unsigned i = 0; i < 1000; i++)
        assert_in_range(rng_between(&r, 20, 40), 20, 40);
    assert_int_equal(rng_between(&r, 5, 5), 5);
    assert_int_equal(rng_below(&r, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_taken_is_apart_zero_and_given_back),
        cmocka_unit_test(the_cap_holds_and_refusal_is_survived),
        cmocka_unit_test(a_full_outbox_drops_and_counts),
        cmocka_unit_test(random_numbers_keep_their_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
