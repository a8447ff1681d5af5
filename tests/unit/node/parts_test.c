// The small parts of node: cid table, heap of deadlines, aliases.
#include "node/alias.h"
#include "node/channel/cids.h"
#include "node/channel/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static uint64_t state;

static uint32_t draw(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33);
}

static void cids_against_a_list(void **unused)
{
    (void)unused;
    enum { SLOTS = 64, MAX = 32, KEYS = 48 };
    struct cid_slot slot[SLOTS] = {0};
    struct cids c = {slot, SLOTS, 0, MAX};
    uint8_t key[KEYS][CID_BYTES];
    bool in[KEYS] = {false};
    unsigned count = 0;
    state = 7;
    for (unsigned i = 0; i < KEYS; i++) {
        memset(key[i], 0, CID_BYTES);
        key[i][0] = (uint8_t)(draw() % 8); // crowded: long probe sequences
        key[i][7] = (uint8_t)i;
    }
    for (unsigned step = 0; step < 20000; step++) {
        unsigned i = draw() % KEYS;
        if (draw() % 2 == 0) {
            bool want = !in[i] && count < MAX;
            assert_int_equal(cids_add(&c, key[i], (uint16_t)(i % 3 + 1), (uint8_t)(i % 4)), want);
            count += want;
            in[i] = in[i] || want;
        } else {
            cids_drop(&c, key[i]);
            count -= in[i];
            in[i] = false;
        }
        assert_int_equal(c.used, count);
        for (unsigned k = 0; k < KEYS; k++) {
            const struct cid_slot *s = cids_find(&c, key[k]);
            assert_int_equal(s != NULL, in[k]);
            if (s != NULL)
                assert_int_equal(s->owner, k % 3 + 1);
        }
    }
    cids_drop_owner(&c, 2);
    for (unsigned k = 0; k < KEYS; k++)
        assert_int_equal(cids_find(&c, key[k]) != NULL, in[k] && k % 3 + 1 != 2);
}

static void heap_gives_the_earliest(void **unused)
{
    (void)unused;
    enum { N = 40 };
    struct heap_entry e[N] = {0};
    struct heap_entry *slot[N];
    struct heap h = {slot, 0, N};
    for (unsigned i = 0; i < N; i++)
        e[i].deadline = USEC_NEVER;
    state = 11;
    for (unsigned step = 0; step < 20000; step++) {
        unsigned i = draw() % N;
        heap_set(&h, &e[i], draw() % 4 == 0 ? USEC_NEVER : draw() % 100);
        usec_t least = USEC_NEVER;
        unsigned count = 0;
        for (unsigned k = 0; k < N; k++) {
            least = e[k].deadline < least ? e[k].deadline : least;
            count += e[k].deadline != USEC_NEVER;
        }
        assert_int_equal(h.count, count);
        assert_true(heap_first(&h) == NULL ? least == USEC_NEVER
                                           : heap_first(&h)->deadline == least);
    }
}

static void aliases_are_stable_and_many(void **unused)
{
    (void)unused;
    char seen[512][ALIAS_BYTES];
    unsigned distinct = 0;
    for (unsigned i = 0; i < 512; i++) {
        uint8_t key[32] = {(uint8_t)i, (uint8_t)(i >> 8)};
        char again[ALIAS_BYTES];
        alias_of(seen[i], key);
        alias_of(again, key);
        assert_string_equal(seen[i], again);
        assert_non_null(strchr(seen[i], ' '));
        bool fresh = true;
        for (unsigned k = 0; k < i; k++)
            fresh = fresh && strcmp(seen[k], seen[i]) != 0;
        distinct += fresh;
    }
    assert_true(distinct > 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cids_against_a_list),
        cmocka_unit_test(heap_gives_the_earliest),
        cmocka_unit_test(aliases_are_stable_and_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
