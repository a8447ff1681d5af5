// Datagrams from nobody: whatever arrives that is not ours is dropped without an answer, without an
// allocation, and with a counter. And the same for what was ours, but is cut, changed or repeated.
#include "node/node.h"

#include "dht/path.h"
#include "tests/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sodium.h>

#define NODES 2u
#define KEPT 64u
#define MAIL 256u

struct kept {
    struct path from;
    uint16_t len;
    uint8_t data[CLASS_FULL];
};

struct mail {
    unsigned to;
    struct kept was;
};

struct world {
    struct arena book_arena, arena[NODES];
    struct contact_book *book;
    struct record_book *records;
    struct outbox *out;
    struct node *node[NODES];
    struct path path[NODES];
    usec_t now;
    uint64_t draws;
    struct kept kept[KEPT]; // what node 0 received
    unsigned kept_count;
    struct mail mail[MAIL]; // under way
    unsigned mail_at, mail_end;
};

static void fill(void *ctx, void *buf, size_t len)
{
    uint64_t *draws = ctx;
    uint8_t seed[randombytes_SEEDBYTES] = {0};
    memcpy(seed, draws, sizeof *draws);
    ++*draws;
    randombytes_buf_deterministic(buf, len, seed);
}

// Everything that node i wants to send joins the mail; the outbox is empty again.
static void collect(struct world *w, unsigned i)
{
    static uint8_t buf[NODE_TRANSMIT_BATCHES * CLASS_FULL];
    struct batch batch[NODE_TRANSMIT_BATCHES];
    struct node_event ev;
    size_t n;
    while (node_event(w->node[i], w->now, &ev))
        ;
    while ((n = node_transmit(w->node[i], w->now, buf, sizeof buf, batch, NODE_TRANSMIT_BATCHES)) >
           0)
        for (size_t k = 0; k < n; k++) {
            struct mail *m = &w->mail[w->mail_end++ % MAIL];
            assert_true(w->mail_end - w->mail_at <= MAIL);
            m->to = path_equal(&batch[k].path, &w->path[0]) ? 0 : 1;
            m->was.from = w->path[i];
            m->was.len = (uint16_t)batch[k].len;
            memcpy(m->was.data, batch[k].data, batch[k].len);
        }
}

// Carries datagrams until nobody has any. Keeps what node 0 gets, as it came.
static void settle(struct world *w)
{
    while (w->mail_at != w->mail_end) {
        struct mail m = w->mail[w->mail_at++ % MAIL];
        if (m.to == 0 && w->kept_count < KEPT)
            w->kept[w->kept_count++] = m.was;
        struct rx rx = {.path = m.was.from, .len = m.was.len, .data = m.was.data};
        w->now += 100;
        node_receive(w->node[m.to], w->now, &rx, 1);
        collect(w, m.to);
    }
}

static void run_for(struct world *w, usec_t span)
{
    usec_t end = w->now + span;
    settle(w);
    for (;;) {
        usec_t next = end;
        for (unsigned i = 0; i < NODES; i++)
            if (node_deadline(w->node[i]) < next)
                next = node_deadline(w->node[i]);
        if (next >= end)
            break;
        w->now = next > w->now ? next : w->now;
        for (unsigned i = 0; i < NODES; i++) {
            (void)node_expire(w->node[i], w->now, 64);
            collect(w, i);
        }
        settle(w);
    }
    w->now = end;
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    *state = w;
    w->now = USEC_PER_S;
    w->out = calloc(1, sizeof *w->out);
    memory_arena(&w->book_arena, 1u << 20);
    w->book = contact_book_new(&w->book_arena, 64);
    w->records = record_book_new(&w->book_arena, 64);
    for (unsigned i = 0; i < NODES; i++) {
        uint8_t ip[4] = {127, 0, 0, 1};
        w->path[i] = path_v4(ip, (uint16_t)(4000 + i));
        memory_arena(&w->arena[i], 4u << 20);
        struct node_config cfg = {.rng = {fill, &w->draws},
                                  .arena = &w->arena[i],
                                  .out = w->out,
                                  .book = w->book,
                                  .records = w->records,
                                  .server = true,
                                  .listed = true,
                                  .lab = true,
                                  .privacy = NODE_DIRECT};
        fill(&w->draws, cfg.secret, sizeof cfg.secret);
        assert_int_equal(node_new(&w->node[i], w->now, &cfg), 0);
        node_clock(w->node[i], w->now, INT64_C(1760000000) * 1000000);
    }
    struct contact c;
    assert_true(node_contact(w->node[0], &w->path[0], &c));
    assert_int_equal(node_bootstrap(w->node[1], w->now, &c), 0);
    collect(w, 1);
    run_for(w, 5 * USEC_PER_S);
    struct node_status s;
    node_status(w->node[0], w->now, &s);
    assert_int_equal(s.dht.contacts, 1);
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    for (unsigned i = 0; i < NODES; i++) {
        node_free(w->node[i]);
        arena_end(&w->arena[i]);
    }
    contact_book_end(w->book);
    record_book_end(w->records);
    arena_end(&w->book_arena);
    free(w->out);
    free(w);
    return 0;
}

static uint64_t drops(struct world *w)
{
    struct node_status s;
    node_status(w->node[0], w->now, &s);
    return s.dropped_short + s.dropped_channel + s.dht.dropped_format + s.dht.dropped_auth +
           s.dht.dropped_replay + s.dht.dropped_rate + s.dht.dropped_unknown;
}

// Hands node 0 a datagram that it must drop: counted, unanswered, and without memory for it.
static void must_drop(struct world *w, const struct path *from, const uint8_t *data, size_t len)
{
    uint8_t copy[4096];
    uint64_t before = drops(w);
    size_t used = w->arena[0].used_bytes;
    memcpy(copy, data, len);
    struct rx rx = {.path = *from, .len = (uint32_t)len, .data = copy};
    w->now += 1000;
    node_receive(w->node[0], w->now, &rx, 1);
    assert_int_equal(drops(w), before + 1);
    assert_int_equal(w->out->count - w->out->taken, 0);
    assert_int_equal(w->arena[0].used_bytes, used);
    struct node_event ev;
    assert_false(node_event(w->node[0], w->now, &ev));
}

static void random_datagrams(void **state)
{
    struct world *w = *state;
    uint8_t data[2048];
    for (size_t len = 1; len <= sizeof data; len += len < 140 ? 1 : 61) {
        fill(&w->draws, data, len);
        must_drop(w, &w->path[1], data, len);
        memset(data, 0, len);
        must_drop(w, &w->path[1], data, len);
        memset(data, 0xff, len);
        must_drop(w, &w->path[1], data, len);
    }
}

static void replayed_datagrams(void **state)
{
    struct world *w = *state;
    assert_true(w->kept_count >= 4);
    for (unsigned i = 0; i < w->kept_count; i++)
        must_drop(w, &w->kept[i].from, w->kept[i].data, w->kept[i].len);
}

static void changed_datagrams(void **state)
{
    struct world *w = *state;
    for (unsigned i = 0; i < w->kept_count; i++) {
        const struct kept *k = &w->kept[i];
        uint8_t data[CLASS_FULL + 1];
        memcpy(data, k->data, k->len);
        data[k->len] = 0;
        must_drop(w, &k->from, data, k->len + 1u);
        for (size_t cut = 1; cut < k->len; cut += 37)
            must_drop(w, &k->from, data, cut);
        for (size_t bit = 0; bit < k->len * 8u; bit += 61) {
            data[bit / 8] = (uint8_t)(data[bit / 8] ^ 1u << bit % 8);
            must_drop(w, &k->from, data, k->len);
            data[bit / 8] = (uint8_t)(data[bit / 8] ^ 1u << bit % 8);
        }
    }
}

int main(void)
{
    if (sodium_init() < 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(random_datagrams, set_up, tear_down),
        cmocka_unit_test_setup_teardown(replayed_datagrams, set_up, tear_down),
        cmocka_unit_test_setup_teardown(changed_datagrams, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
