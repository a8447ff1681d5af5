// A seeded generator and an arena for unit tests of dht/.
#ifndef BAUTA_TESTS_DHT_HELP_H
#define BAUTA_TESTS_DHT_HELP_H

#include "dht/arena.h"
#include "dht/machine.h"

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

static inline void *help_refill(void *ctx, size_t bytes)
{
    (void)ctx;
    return malloc(bytes);
}

static inline void help_release(void *ctx, void *chunk, size_t bytes)
{
    (void)ctx;
    (void)bytes;
    free(chunk);
}

static inline void help_arena(struct arena *a, size_t cap)
{
    arena_init(a, cap, help_refill, help_release, NULL);
}

// Everything was given back.
static inline void help_arena_end(struct arena *a)
{
    assert_int_equal(a->used_bytes, 0);
    arena_end(a);
}

#endif
