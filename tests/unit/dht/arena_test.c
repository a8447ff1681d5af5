// Pool, arena, outbox and random helpers: what every machine stands on.
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
    struct pool pool;
    struct arena a;
    uint8_t *p[N] = {0};
    size_t len[N] = {0};
    pool_init(&pool, refill, release, &s);
    arena_init(&a, &pool, 8u << 20);
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
        assert_true(a.used_bytes <= pool.held_bytes && a.used_bytes <= a.cap_bytes);
        assert_int_equal(a.used_bytes, pool.used_bytes);
    }
    for (unsigned i = 0; i < N; i++)
        arena_give(&a, p[i], len[i]);
    assert_int_equal(a.used_bytes, 0);
    assert_int_equal(pool.held_bytes, s.bytes);
    arena_end(&a);
    pool_end(&pool);
    assert_int_equal(s.chunks, 0);
    assert_int_equal(s.bytes, 0);
}

// A block is little bigger than what was asked for, and the same whoever asks.
static void blocks_waste_little(void **unused)
{
    (void)unused;
    size_t last = 0;
    for (size_t bytes = 1; bytes <= POOL_BLOCK_BYTES_MAX; bytes += bytes < 5000 ? 1 : bytes / 97) {
        size_t size = pool_block_bytes(bytes);
        assert_true(size >= bytes && size % 16 == 0 && size >= last);
        assert_true(size <= bytes + (bytes < 128 ? 15 : bytes / 8));
        assert_int_equal(pool_block_bytes(size), size);
        last = size;
    }
    assert_int_equal(pool_block_bytes(POOL_BLOCK_BYTES_MAX), POOL_BLOCK_BYTES_MAX);
    assert_int_equal(pool_block_bytes(POOL_BLOCK_BYTES_MAX + 1), SIZE_MAX);
}

// What one node gives back another one takes, wiped; a block of its own goes back to the driver.
static void nodes_share_what_is_given_back(void **unused)
{
    (void)unused;
    enum { NODES = 50, BLOCKS = 20 };
    static const size_t size[BLOCKS] = {40,  700, 96,   1300, 64, 250, 3000, 16,  513, 90,
                                        800, 32,  6000, 470,  48, 200, 1000, 120, 72,  350};
    struct source s = {.refuse_after = SIZE_MAX};
    struct pool pool;
    pool_init(&pool, refill, release, &s);
    size_t held = 0;
    for (unsigned node = 0; node < NODES; node++) {
        struct arena a;
        void *p[BLOCKS];
        arena_init(&a, &pool, 1u << 20);
        for (unsigned i = 0; i < BLOCKS; i++) {
            p[i] = arena_take(&a, size[i]);
            assert_non_null(p[i]);
            for (size_t k = 0; k < size[i]; k++)
                assert_int_equal(((uint8_t *)p[i])[k], 0);
            memset(p[i], 0xee, size[i]);
        }
        for (unsigned i = 0; i < BLOCKS; i++)
            arena_give(&a, p[i], size[i]);
        arena_end(&a);
        held = node == 0 ? pool.held_bytes : held;
        assert_int_equal(pool.held_bytes, held);
    }
    struct arena a;
    arena_init(&a, &pool, 1u << 20);
    void *big = arena_take(&a, 100000);
    assert_true(pool.held_bytes > held);
    arena_give(&a, big, 100000);
    assert_int_equal(pool.held_bytes, held);
    arena_end(&a);
    pool_end(&pool);
    assert_int_equal(s.bytes, 0);
}

static void the_cap_holds_and_refusal_is_survived(void **unused)
{
    (void)unused;
    enum { N = 200 };
    struct source s = {.refuse_after = SIZE_MAX}, none = {.refuse_after = 1};
    struct pool pool;
    struct arena a, other;
    void *p[N];
    size_t got = 0;
    pool_init(&pool, refill, release, &s);
    arena_init(&a, &pool, 100000);
    arena_init(&other, &pool, 100000);
    while ((p[got] = arena_take(&a, 1000)) != NULL)
        got++;
    assert_true(got >= 90 && a.used_bytes <= 100000);
    assert_null(arena_take(&a, 100001));
    assert_null(arena_take(&a, ARENA_TAKE_BYTES_MAX + 1));
    assert_null(arena_take(&a, SIZE_MAX));
    void *q = arena_take(&other, 1000); // the cap is each one's own
    assert_non_null(q);
    arena_give(&other, q, 1000);
    while (got > 0)
        arena_give(&a, p[--got], 1000);
    arena_give(&a, NULL, 1000);
    arena_end(&a);
    arena_end(&other);
    pool_end(&pool);

    pool_init(&pool, refill, release, &none);
    arena_init(&a, &pool, 1u << 20);
    while ((p[got] = arena_take(&a, 100)) != NULL)
        got++;
    assert_int_equal(none.chunks, 1);
    while (got > 0)
        arena_give(&a, p[--got], 100);
    arena_end(&a);
    pool_end(&pool);
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
        cmocka_unit_test(blocks_waste_little),
        cmocka_unit_test(nodes_share_what_is_given_back),
        cmocka_unit_test(the_cap_holds_and_refusal_is_survived),
        cmocka_unit_test(a_full_outbox_drops_and_counts),
        cmocka_unit_test(random_numbers_keep_their_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
