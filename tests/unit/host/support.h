// One node without sockets, for tests of what is above it.
#ifndef BAUTA_TESTS_UNIT_HOST_SUPPORT_H
#define BAUTA_TESTS_UNIT_HOST_SUPPORT_H

#include "node/host/api.h"
#include "node/host/host.h"
#include "tests/memory.h"

#include <stdlib.h>
#include <string.h>

struct bench_node {
    struct arena arena, book_arena;
    struct record_book *records;
    struct outbox *out;
    struct api api;
};

#define BENCH_NOW (UINT64_C(1000) * USEC_PER_S)

static inline void bench_open(struct bench_node *b, struct contact_book **book,
                              enum node_privacy privacy)
{
    memset(b, 0, sizeof *b);
    memory_arena(&b->arena, 64u << 20);
    memory_arena(&b->book_arena, 8u << 20);
    b->out = calloc(1, sizeof *b->out);
    *book = contact_book_new(&b->book_arena, 256);
    b->records = record_book_new(&b->book_arena, 256);
    struct node_config cfg = {.rng = {host_random, NULL},
                              .arena = &b->arena,
                              .out = b->out,
                              .book = *book,
                              .records = b->records,
                              .server = true,
                              .listed = true,
                              .lab = true,
                              .privacy = privacy};
    memset(cfg.secret, 7, sizeof cfg.secret);
    if (node_new(&b->api.node, BENCH_NOW, &cfg) != 0)
        abort();
    node_clock(b->api.node, BENCH_NOW, INT64_C(1800000000) * 1000000);
    strcpy(b->api.contact, "-");
}

static inline void bench_close(struct bench_node *b, struct contact_book *book)
{
    node_free(b->api.node);
    contact_book_end(book);
    record_book_end(b->records);
    arena_end(&b->arena);
    arena_end(&b->book_arena);
    free(b->out);
}

#endif
