// Bytes of an idle node that knows as many servers as one does in a network of a million.
#include "dht/internal.h"
#include "dht/record_book.h"
#include "node/node.h"
#include "tests/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CONTACTS 270u
#define SERVER_BYTES_MAX 10560u
#define CLIENT_BYTES_MAX 9024u

static void fill(void *ctx, void *buf, size_t len)
{
    uint64_t *draws = ctx;
    for (size_t i = 0; i < len; i++) {
        *draws = *draws * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        ((uint8_t *)buf)[i] = (uint8_t)(*draws >> 56);
    }
}

// Half of them in each family, so that it takes thousands of keys and not millions.
static void fill_tables(struct dht *d)
{
    for (uint32_t i = 0; dht_live(d) < CONTACTS; i++) {
        assert_in_range(i, 0, 100000);
        struct contact c = {.path = path_v4((const uint8_t[4]){127, 0, 0, 1}, 4000)};
        if (i % 2 == 1)
            c.path = path_v6((const uint8_t[16]){[15] = 1}, 4000);
        memcpy(c.pk, &i, sizeof i);
        book_ref check, ref = dht_hold(d, &c);
        struct table *t = upkeep_table(d, c.path.family);
        assert_non_null(t);
        (void)table_answered(t, ref, 1, &check);
        table_rtt_set(t, ref, 1);
        book_drop(d->config.book, ref);
    }
}

static size_t bytes_of(bool server)
{
    uint64_t draws = 1;
    struct arena arena, shared;
    struct outbox *out = calloc(1, sizeof *out);
    struct node *n;
    assert_non_null(out);
    memory_arena(&arena, 1u << 20);
    memory_arena(&shared, 16u << 20);
    struct contact_book *book = contact_book_new(&shared, 100000);
    struct record_book *records = record_book_new(&shared, 100);
    struct node_config cfg = {.rng = {fill, &draws},
                              .arena = &arena,
                              .out = out,
                              .book = book,
                              .records = records,
                              .server = server,
                              .listed = server,
                              .lab = true,
                              .privacy = NODE_DIRECT};
    assert_int_equal(node_new(&n, USEC_PER_S, &cfg), 0);
    size_t fresh = arena.used_bytes;
    fill_tables(node_dht(n));
    size_t bytes = arena.used_bytes;
    print_message("%s: %zu bytes fresh, %zu with %u contacts\n", server ? "server" : "client",
                  fresh, bytes, CONTACTS);
    node_free(n);
    assert_int_equal(arena.used_bytes, 0);
    assert_int_equal(book_count(book), 0);
    arena_end(&arena);
    record_book_end(records);
    contact_book_end(book);
    arena_end(&shared);
    free(out);
    return bytes;
}

static void a_node_among_a_million_is_small(void **state)
{
    (void)state;
    assert_true(bytes_of(true) <= SERVER_BYTES_MAX);
    assert_true(bytes_of(false) <= CLIENT_BYTES_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_node_among_a_million_is_small)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
