// layer: host
// Control API lines on a node without sockets: any bytes get an answer or none, and the node lives on.
#include "tests/memory.h"
#include "tests/unit/host/support.h"

#include <sodium.h>

static void fill(void *ctx, void *buf, size_t len)
{
    uint64_t *n = ctx;
    uint8_t *p = buf;
    for (size_t i = 0; i < len; i++) {
        *n = *n * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        p[i] = (uint8_t)(*n >> 56);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct bench_node b;
    struct contact_book *book;
    uint64_t chance = 1;
    static bool ready;
    if (!ready) {
        if (sodium_init() < 0)
            abort();
        api_init();
        ready = true;
    }
    memset(&b, 0, sizeof b);
    memory_arena(&b.arena, 16u << 20);
    memory_arena(&b.book_arena, 1u << 20);
    b.out = calloc(1, sizeof *b.out);
    book = contact_book_new(&b.book_arena, 64);
    b.records = record_book_new(&b.book_arena, 64);
    struct node_config cfg = {.rng = {fill, &chance},
                              .arena = &b.arena,
                              .out = b.out,
                              .book = book,
                              .records = b.records,
                              .server = true,
                              .listed = true,
                              .lab = true,
                              .privacy = NODE_DIRECT};
    if (node_new(&b.api.node, BENCH_NOW, &cfg) != 0)
        abort();
    node_clock(b.api.node, BENCH_NOW, INT64_C(1800000000) * 1000000);
    const char *at = (const char *)data, *end = at + len;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline != NULL ? newline : end;
        struct api_answer a;
        struct node_event ev;
        api_line(&b.api, BENCH_NOW, at, (size_t)(stop - at), &a);
        if (a.line != NULL &&
            (a.len < 2 || a.line[a.len - 1] != '\n' || memchr(a.line, '\n', a.len - 1)))
            abort();
        api_answer_free(&a);
        while (node_event(b.api.node, BENCH_NOW, &ev)) {
            if (!api_notification(&b.api, &ev, &a))
                abort();
            api_answer_free(&a);
        }
        at = newline != NULL ? newline + 1 : end;
    }
    bench_close(&b, book);
    return 0;
}
