// Extra sockets on loopback: a thousand of them, found by their numbers, closed and opened again.
#include "node/host/sockets.h"

#include "dht/path.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#define MANY 1000u
#define LEN 64u

struct bench {
    uv_loop_t loop;
    struct udp peer; // of everybody
    struct path local;
    struct sockets all;
    struct sockets_config cfg;
    struct udp_buffers *in; // of all sockets
    unsigned closed;
    // What came in at the extra sockets.
    unsigned got, got_by[MANY];
    bool close_in_ready;
};

static void on_peer(void *ctx, struct udp *u, bool readable, bool writable)
{
    (void)ctx;
    (void)u;
    (void)readable;
    (void)writable;
}

static void on_extra(void *ctx, struct udp *u, bool readable, bool writable)
{
    struct bench *b = ctx;
    bool more = readable;
    (void)writable;
    while (more && u->fd >= 0) {
        size_t n = udp_receive(u, b->in, &more);
        for (size_t i = 0; i < n; i++) {
            const struct rx *rx = &b->in->rx[i];
            uint16_t number;
            memcpy(&number, rx->data, sizeof number);
            assert_true(number < MANY);
            assert_int_equal(rx->path.via, VIA_SOCKET | number); // as it was asked for
            assert_int_equal(rx->path.port, b->peer.bound.port);
            b->got_by[number]++;
            b->got++;
        }
        if (b->close_in_ready)
            sockets_close(&b->all, &b->cfg, u->via);
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct udp *u = (struct udp *)((char *)handle - offsetof(struct udp, handle));
    struct bench *b = u->ctx;
    b->closed++;
    sockets_free(u);
}

static struct bench *bench_open(void)
{
    static const uint8_t ip[4] = {127, 0, 0, 1};
    struct bench *b = calloc(1, sizeof *b);
    assert_non_null(b);
    b->in = calloc(1, sizeof *b->in);
    assert_non_null(b->in);
    assert_int_equal(uv_loop_init(&b->loop), 0);
    b->local = path_v4(ip, 4711); // the port is not taken over
    struct path any = path_v4(ip, 0);
    assert_int_equal(udp_open(&b->peer, &b->loop, &any, on_peer, b), 0);
    b->cfg = (struct sockets_config){&b->loop, on_extra, on_closed, b};
    return b;
}

static void bench_close(struct bench *b)
{
    uv_run(&b->loop, UV_RUN_NOWAIT); // those that were closed before
    unsigned before = b->closed, open = b->all.count;
    sockets_close_all(&b->all, &b->cfg);
    udp_close(&b->peer, NULL);
    uv_run(&b->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&b->loop), 0);
    assert_int_equal(b->closed - before, open);
    free(b->in);
    free(b);
}

static struct udp *open_one(struct bench *b, uint32_t number)
{
    struct udp *u = NULL;
    assert_null(sockets_find(&b->all, VIA_SOCKET | number, 4));
    assert_int_equal(sockets_open(&b->all, &b->cfg, &b->local, VIA_SOCKET | number, &u), 0);
    assert_ptr_equal(sockets_find(&b->all, VIA_SOCKET | number, 4), u);
    return u;
}

// Datagrams with the number go from the peer to the socket, and from the socket to the peer.
static void peer_to(struct bench *b, const struct udp *u, uint16_t number)
{
    uint8_t data[LEN] = {0};
    struct udp_failure fail[UDP_SENDS];
    memcpy(data, &number, sizeof number);
    struct batch batch = {.path = u->bound, .seg_size = LEN, .count = 1, .len = LEN, .data = data};
    assert_int_equal(udp_send(&b->peer, &batch, 1, fail), 0);
}

static void to_peer(struct bench *b, struct udp *u)
{
    uint8_t data[2 * LEN] = {0};
    struct udp_failure fail[UDP_SENDS];
    bool more;
    struct batch batch = {
        .path = b->peer.bound, .seg_size = LEN, .count = 2, .len = 2 * LEN, .data = data};
    batch.path.via = u->via;
    assert_int_equal(udp_send(u, &batch, 1, fail), 0);
    size_t n = udp_receive(&b->peer, b->in, &more);
    assert_true(n >= 1);
    assert_int_equal(b->in->rx[0].path.port, u->bound.port);
    assert_int_equal(b->in->rx[0].path.via, VIA_UDP);
}

static void a_thousand_sockets_come_and_go(void **state)
{
    (void)state;
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = 256; // raised as they are opened
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    struct bench *b = bench_open();
    for (uint32_t i = 0; i < MANY; i++) {
        struct udp *u = open_one(b, i);
        assert_int_not_equal(u->bound.port, 4711);
        assert_int_not_equal(u->bound.port, b->peer.bound.port);
        to_peer(b, u);
    }
    assert_int_equal(b->all.count, MANY);
    for (uint16_t i = 0; i < MANY; i++)
        peer_to(b, sockets_find(&b->all, VIA_SOCKET | i, 4), i);
    while (b->got < MANY)
        uv_run(&b->loop, UV_RUN_ONCE);
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(b->got_by[i], 1);

    for (uint32_t i = 0; i < MANY; i += 2)
        sockets_close(&b->all, &b->cfg, VIA_SOCKET | i);
    sockets_close(&b->all, &b->cfg, VIA_SOCKET | 0); // again: nothing
    assert_int_equal(b->all.count, MANY / 2);
    for (uint32_t i = 0; i < MANY; i++)
        assert_int_equal(sockets_find(&b->all, VIA_SOCKET | i, 4) != NULL, i % 2);
    while (b->closed < MANY / 2)
        uv_run(&b->loop, UV_RUN_ONCE);
    for (uint32_t i = 0; i < MANY; i += 2)
        to_peer(b, open_one(b, i));
    assert_int_equal(b->all.count, MANY);
    bench_close(b);
}

static void a_socket_may_be_closed_while_it_is_read(void **state)
{
    (void)state;
    struct bench *b = bench_open();
    struct udp *u = open_one(b, 5);
    b->close_in_ready = true;
    for (unsigned i = 0; i < 3 * UDP_READS; i++)
        peer_to(b, u, 5);
    while (b->closed == 0)
        uv_run(&b->loop, UV_RUN_ONCE);
    assert_int_equal(b->got, UDP_READS);
    assert_int_equal(b->all.count, 0);
    bench_close(b);
}

static void both_families_have_the_number(void **state)
{
    static const uint8_t six[16] = {[15] = 1};
    (void)state;
    struct bench *b = bench_open();
    struct path local6 = path_v6(six, 0);
    struct udp *u4 = open_one(b, 9), *u6 = NULL;
    int rc = sockets_open(&b->all, &b->cfg, &local6, VIA_SOCKET | 9, &u6);
    if (rc == 0) { // a computer may lack IPv6
        assert_ptr_equal(sockets_find(&b->all, VIA_SOCKET | 9, 6), u6);
        assert_int_equal(b->all.count, 2);
    }
    assert_ptr_equal(sockets_find(&b->all, VIA_SOCKET | 9, 4), u4);
    sockets_close(&b->all, &b->cfg, VIA_SOCKET | 9);
    assert_int_equal(b->all.count, 0);
    bench_close(b);
}

static void counters_outlive_their_sockets(void **state)
{
    (void)state;
    struct bench *b = bench_open();
    for (uint32_t i = 0; i < 3; i++) {
        struct udp *u = open_one(b, i);
        u->dropped_full = 1;
        u->dropped_long = 10;
        u->failed = 100;
    }
    sockets_close(&b->all, &b->cfg, VIA_SOCKET | 1);
    uint64_t full = 1000, too_long = 1000, failed = 1000;
    sockets_count(&b->all, &full, &too_long, &failed);
    assert_int_equal(full, 1003);
    assert_int_equal(too_long, 1030);
    assert_int_equal(failed, 1300);
    bench_close(b);
}

// What waits in one of thousands is little, and given back.
static void little_waits_in_each(void **state)
{
    static uint8_t data[UDP_SEGMENTS_MAX * LEN];
    struct udp_failure fail[UDP_SENDS];
    (void)state;
    struct bench *b = bench_open();
    struct udp *u = open_one(b, 1);
    u->waiting = calloc(u->waiting_max, sizeof *u->waiting);
    u->waiting_count = 1; // as if the socket had been full
    u->waiting[0].path = b->peer.bound;
    u->waiting[0].len = LEN;
    struct batch batch = {.path = b->peer.bound,
                          .seg_size = LEN,
                          .count = UDP_SEGMENTS_MAX,
                          .len = sizeof data,
                          .data = data};
    assert_int_equal(udp_send(u, &batch, 1, fail), 0);
    assert_int_equal(u->waiting_count, UDP_EXTRA_QUEUE_DATAGRAMS_MAX);
    assert_int_equal(u->dropped_full, UDP_SEGMENTS_MAX + 1 - UDP_EXTRA_QUEUE_DATAGRAMS_MAX);
    assert_true(udp_congested(u));
    udp_flush(u);
    assert_int_equal(u->waiting_count, 0);
    assert_null(u->waiting);
    bench_close(b);
}

// The hard limit can't be raised again: last.
static void without_descriptors_the_next_one_is_refused(void **state)
{
    (void)state;
    struct bench *b = bench_open();
    struct rlimit limit = {400, 400};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    int rc = 0;
    uint32_t i = 0;
    for (; rc == 0 && i < MANY; i++) {
        struct udp *u;
        rc = sockets_open(&b->all, &b->cfg, &b->local, VIA_SOCKET | i, &u);
    }
    assert_int_equal(rc, -EMFILE);
    assert_true(i > 200 && i < 400 - DESCRIPTORS_SPARE);
    int fd[DESCRIPTORS_SPARE / 2]; // others still get theirs
    for (size_t k = 0; k < sizeof fd / sizeof *fd; k++) {
        fd[k] = dup(STDERR_FILENO);
        assert_true(fd[k] >= 0);
    }
    for (size_t k = 0; k < sizeof fd / sizeof *fd; k++)
        close(fd[k]);
    to_peer(b, sockets_find(&b->all, VIA_SOCKET | 0, 4)); // and those that are open go on
    sockets_close(&b->all, &b->cfg, VIA_SOCKET | 0);
    struct udp *u;
    assert_int_equal(sockets_open(&b->all, &b->cfg, &b->local, VIA_SOCKET | i, &u), 0);
    bench_close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thousand_sockets_come_and_go),
        cmocka_unit_test(a_socket_may_be_closed_while_it_is_read),
        cmocka_unit_test(both_families_have_the_number),
        cmocka_unit_test(counters_outlive_their_sockets),
        cmocka_unit_test(little_waits_in_each),
        cmocka_unit_test(without_descriptors_the_next_one_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
