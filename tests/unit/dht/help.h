// A seeded generator and an arena for unit tests of dht/.
#ifndef BAUTA_TESTS_DHT_HELP_H
#define BAUTA_TESTS_DHT_HELP_H

#include "dht/arena.h"
#include "dht/machine.h"
#include "tests/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline void help_fill(void *ctx, void *buf, size_t len)
{
    uint64_t *state = ctx;
    for (size_t i = 0; i < len; i++) {
        *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        ((uint8_t *)buf)[i] = (uint8_t)(*state >> 56);
    }
}

// Everything was given back.
static inline void help_arena_end(struct arena *a)
{
    assert_int_equal(a->used_bytes, 0);
    arena_end(a);
}

#endif
