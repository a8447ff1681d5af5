// Links that the driver has to close: told once each, however many wait, and no memory is held when none do.
#include "node/node_internal.h"
#include "tests/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void each_is_told_once(void **state)
{
    (void)state;
    struct arena arena;
    memory_arena(&arena, 1u << 20);
    struct node n = {.cfg = {.arena = &arena}};
    uint32_t via[50];
    size_t before = arena.used_bytes;
    assert_int_equal(node_vias_closed(&n, via, 50), 0);
    for (unsigned round = 0; round < 2; round++) {
        static bool told[NODE_VIAS_CLOSED_MAX];
        memset(told, 0, sizeof told);
        for (uint32_t i = 0; i < NODE_VIAS_CLOSED_MAX; i++)
            assert_true(node_via_close(&n, VIA_SOCKET | i));
        assert_false(node_via_close(&n, VIA_SOCKET | NODE_VIAS_CLOSED_MAX)); // later, then
        size_t got, all = 0;
        while ((got = node_vias_closed(&n, via, 50)) > 0)
            for (size_t i = 0; i < got; i++, all++) {
                assert_int_equal(via[i] & VIA_KINDS, VIA_SOCKET);
                uint32_t number = via[i] & ~VIA_KINDS;
                assert_true(number < NODE_VIAS_CLOSED_MAX && !told[number]);
                told[number] = true;
            }
        assert_int_equal(all, NODE_VIAS_CLOSED_MAX);
        assert_int_equal(arena.used_bytes, before);
    }
    arena_end(&arena);
}

static void without_memory_it_is_tried_again(void **state)
{
    (void)state;
    struct arena arena;
    memory_arena(&arena, 1u << 14);
    struct node n = {.cfg = {.arena = &arena}};
    uint32_t via[NODE_VIAS_CLOSED_MAX], i = 0;
    while (node_via_close(&n, VIA_SOCKET | i))
        i++;
    assert_true(i >= NODE_VIAS_CLOSED_MIN && i < NODE_VIAS_CLOSED_MAX); // the arena's limit
    assert_int_equal(node_vias_closed(&n, via, NODE_VIAS_CLOSED_MAX), i);
    assert_true(node_via_close(&n, VIA_SOCKET | i));
    assert_int_equal(node_vias_closed(&n, via, 1), 1);
    assert_int_equal(via[0], VIA_SOCKET | i);
    arena_end(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_told_once),
        cmocka_unit_test(without_memory_it_is_tried_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
