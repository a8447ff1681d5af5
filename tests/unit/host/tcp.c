// Connections on loopback: datagrams arrive as they were sent; who sends garbage, nothing, or reads nothing costs little
// and learns nothing.
#include "node/host/tcp_internal.h"
#include "node/host/udp.h"

#include "dht/path.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define FULL 1232u
#define GIVE_UP_MS 60000u // only says that nothing comes any more

static const uint8_t server_key[32] = "the server's mask key...........";

struct end {
    struct bench *bench;
    struct tcp *tcp;
    unsigned got, writable;
    uint64_t bytes;
    struct path from; // of the last datagram
    uint8_t last[STREAM_DATAGRAM_BYTES_MAX];
    size_t last_len;
    bool echo, close_on_data;
};

struct bench {
    uv_loop_t loop;
    struct end client, server;
    struct path bound;
    uv_timer_t give_up;
    uint8_t read[UDP_READ_BYTES];
    unsigned closed;
};

static void random_fill(void *ctx, void *buf, size_t len)
{
    (void)ctx;
    randombytes_buf(buf, len);
}

static void on_received(void *ctx, const struct rx *rx, size_t n)
{
    struct end *e = ctx;
    assert_true(n >= 1 && n <= UDP_SEGMENTS_MAX);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(rx[i].len, rx[i].seg_size);
        assert_int_equal(rx[i].path.via, VIA_TCP);
        e->got++;
        e->bytes += rx[i].len;
        e->from = rx[i].path;
        memcpy(e->last, rx[i].data, rx[i].len);
        e->last_len = rx[i].len;
        struct batch b = {.path = rx[i].path, .count = 1, .len = rx[i].len, .data = rx[i].data};
        if (e->echo)
            assert_int_equal(tcp_send(e->tcp, &b), 0);
    }
    tcp_flush(e->tcp);
    if (e->close_on_data)
        tcp_conn_end(tcp_find(e->tcp, &rx[0].path));
}

static void on_writable(void *ctx)
{
    struct end *e = ctx;
    e->writable++;
}

static bool on_key(void *ctx, const struct path *path, uint8_t key[static 32])
{
    (void)ctx;
    (void)path;
    memcpy(key, server_key, 32);
    return true;
}

static void on_closed(void *ctx)
{
    struct end *e = ctx;
    e->bench->closed++;
}

static void on_give_up(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("nothing more happened");
}

static void on_proxy_said(void *ctx, enum socks_error error)
{
    (void)ctx;
    (void)error;
}

static void end_open(struct bench *b, struct end *e, bool prefix_limits)
{
    struct tcp_config cfg = {.loop = &b->loop,
                             .rng = {random_fill, NULL},
                             .prefix_limits = prefix_limits,
                             .read = b->read,
                             .read_bytes = sizeof b->read,
                             .received = on_received,
                             .writable = on_writable,
                             .key = on_key,
                             .proxy_said = on_proxy_said,
                             .closed = on_closed,
                             .ctx = e};
    e->bench = b;
    assert_int_equal(tcp_new(&e->tcp, &cfg), 0);
}

static struct bench *bench_open(bool prefix_limits)
{
    static const uint8_t ip[4] = {127, 0, 0, 1};
    struct path any = path_v4(ip, 0);
    struct bench *b = calloc(1, sizeof *b);
    assert_non_null(b);
    assert_int_equal(uv_loop_init(&b->loop), 0);
    uv_timer_init(&b->loop, &b->give_up);
    uv_timer_start(&b->give_up, on_give_up, GIVE_UP_MS, 0);
    end_open(b, &b->client, prefix_limits);
    end_open(b, &b->server, prefix_limits);
    assert_int_equal(tcp_listen(b->server.tcp, &any, &b->bound), 0);
    b->bound.via = VIA_TCP;
    return b;
}

static void bench_close(struct bench *b)
{
    tcp_close(b->client.tcp);
    tcp_close(b->server.tcp);
    uv_close((uv_handle_t *)&b->give_up, NULL);
    uv_run(&b->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&b->loop), 0);
    assert_int_equal(b->closed, 2);
    free(b);
}

static struct tcp_counters count(const struct end *e)
{
    struct tcp_counters c;
    tcp_count(e->tcp, &c);
    return c;
}

static int send_some(struct end *e, const struct path *to, unsigned datagrams, uint16_t seg)
{
    static uint8_t data[UDP_SEGMENTS_MAX * FULL];
    struct batch b = {.path = *to,
                      .seg_size = seg,
                      .count = (uint16_t)datagrams,
                      .len = datagrams * seg,
                      .data = data};
    for (size_t i = 0; i < b.len; i++)
        data[i] = (uint8_t)(i * 7u);
    int rc = tcp_send(e->tcp, &b);
    tcp_flush(e->tcp);
    return rc;
}

#define UNTIL(condition)                                                                           \
    while (!(condition))                                                                           \
    uv_run(&b->loop, UV_RUN_ONCE)

static void datagrams_go_both_ways(void **state)
{
    (void)state;
    struct bench *b = bench_open(true);
    b->server.echo = true;
    assert_int_equal(send_some(&b->client, &b->bound, 3, 64), 0);
    assert_int_equal(send_some(&b->client, &b->bound, 1, STREAM_DATAGRAM_BYTES_MAX), 0);
    UNTIL(b->client.got == 4);
    assert_true(path_equal(&b->client.from, &b->bound));
    assert_int_equal(b->client.bytes, 3 * 64 + STREAM_DATAGRAM_BYTES_MAX);
    assert_int_equal(b->client.last[100], (uint8_t)(100 * 7u));
    assert_int_equal(count(&b->client).connects, 1);
    assert_int_equal(count(&b->client).own, 1);
    assert_int_equal(count(&b->server).accepted, 1);
    assert_int_equal(send_some(&b->client, &b->bound, 1, STREAM_DATAGRAM_BYTES_MAX + 1),
                     SENT_TOO_LONG);
    bench_close(b);
}

// Until it is connected a few wait, as they would be on their way.
static void few_wait_for_a_connection(void **state)
{
    (void)state;
    struct bench *b = bench_open(true);
    assert_int_equal(send_some(&b->client, &b->bound, TCP_CONNECTING_DATAGRAMS + 5,
                               STREAM_DATAGRAM_BYTES_MAX - 240),
                     0);
    uint64_t dropped = count(&b->client).dropped_full;
    assert_in_range(dropped, 1, 5);
    UNTIL(b->server.got == TCP_CONNECTING_DATAGRAMS + 5 - dropped);
    bench_close(b);
}

// Who asks before it sends loses nothing.
static void bulk_waits_where_it_is_congested(void **state)
{
    (void)state;
    enum { BATCHES = 2000, EACH = 20 };
    struct bench *b = bench_open(true);
    assert_int_equal(send_some(&b->client, &b->bound, 1, 64), 0);
    UNTIL(b->server.got == 1);
    for (unsigned i = 0; i < BATCHES; i++) {
        UNTIL(!tcp_congested(b->client.tcp));
        assert_int_equal(send_some(&b->client, &b->bound, EACH, FULL), 0);
    }
    UNTIL(b->server.got == 1 + BATCHES * EACH);
    assert_int_equal(count(&b->client).dropped_full, 0);
    assert_true(b->client.writable > 0);
    bench_close(b);
}

// ---- those who are no node ----------------------------------------------------------------------------

static int raw_connect(const struct path *to)
{
    struct sockaddr_storage sa;
    socklen_t len = udp_sockaddr(&sa, to);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
    return fd;
}

static struct path raw_path(int fd)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof sa;
    struct path path;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    udp_path(&path, (struct sockaddr *)&sa);
    path.via = VIA_TCP;
    return path;
}

static bool silent(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 0;
}

// Ends the way of a connection that nobody closed: FIN, not a byte before it.
static void ends_quietly(struct bench *b, int fd)
{
    uint8_t byte;
    struct tcp_conn *c;
    struct path from = raw_path(fd);
    UNTIL((c = tcp_find(b->server.tcp, &from)) != NULL);
    assert_in_range(c->until_ms - uv_now(&b->loop), 1, TCP_UNPROVEN_MS_MAX);
    assert_true(silent(fd));
    c->until_ms = 0; // as if the time were over
    UNTIL(tcp_find(b->server.tcp, &from) == NULL);
    assert_int_equal(recv(fd, &byte, 1, 0), 0);
    close(fd);
}

static void a_prober_gets_nothing(void **state)
{
    (void)state;
    uint8_t garbage[20000];
    struct bench *b = bench_open(true);
    ends_quietly(b, raw_connect(&b->bound)); // says nothing
    // A few of them: one in 45 first lengths is one that can be.
    for (unsigned i = 0; i < 20 || count(&b->server).garbage < 10; i++) {
        int fd = raw_connect(&b->bound);
        struct path from = raw_path(fd);
        randombytes_buf(garbage, sizeof garbage);
        assert_int_equal(send(fd, garbage, sizeof garbage, 0), sizeof garbage);
        struct tcp_conn *c;
        UNTIL((c = tcp_find(b->server.tcp, &from)) != NULL && c->state == TCP_MUTE);
        assert_null(c->out);
        // Still nothing when it goes on, and the node can't reach it either.
        assert_int_equal(send(fd, garbage, 1000, 0), 1000);
        uv_run(&b->loop, UV_RUN_NOWAIT);
        assert_int_equal(send_some(&b->server, &from, 1, 64), -ECONNRESET);
        assert_true(silent(fd));
        if (i == 0)
            ends_quietly(b, fd);
        else
            close(fd);
    }
    bench_close(b);
}

static void raw_hello(int fd)
{
    struct stream s;
    uint8_t nonce[STREAM_NONCE_BYTES], d[64] = {0}, out[66];
    randombytes_buf(nonce, sizeof nonce);
    stream_open(&s, server_key, nonce);
    assert_int_equal(stream_put(&s, out, sizeof out, d, sizeof d), sizeof out);
    assert_int_equal(send(fd, nonce, sizeof nonce, 0), sizeof nonce);
    assert_int_equal(send(fd, out, sizeof out, 0), sizeof out);
}

// Whatever the node sends to who reads nothing is bounded here, and in the kernel by what was acknowledged.
static void a_slow_reader_costs_a_queue(void **state)
{
    (void)state;
    struct bench *b = bench_open(true);
    int fd = raw_connect(&b->bound), small = 4096;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    raw_hello(fd);
    UNTIL(b->server.got == 1);
    struct path from = raw_path(fd);
    unsigned sent = 0;
    for (unsigned i = 0; i < 5000; i++, sent += 20) {
        assert_int_equal(send_some(&b->server, &from, 20, FULL), 0);
        uv_run(&b->loop, UV_RUN_NOWAIT);
    }
    struct tcp_conn *c = tcp_find(b->server.tcp, &from);
    assert_non_null(c);
    assert_true(c->out_len <= TCP_QUEUE_BYTES);
    assert_false(tcp_congested(b->server.tcp)); // one of a relay's many does not hold up the others
    uint64_t kept = sent - count(&b->server).dropped_full;
    assert_true(kept * FULL < 8u << 20); // its window and ours, of 120 MB
    close(fd);
    UNTIL(tcp_find(b->server.tcp, &from) == NULL);
    bench_close(b);
}

static void half_a_frame_is_no_datagram(void **state)
{
    (void)state;
    struct bench *b = bench_open(true);
    struct stream s;
    uint8_t nonce[STREAM_NONCE_BYTES] = {1}, d[64] = {5}, out[66];
    int fd = raw_connect(&b->bound);
    struct path from = raw_path(fd);
    stream_open(&s, server_key, nonce);
    assert_int_equal(stream_put(&s, out, sizeof out, d, sizeof d), sizeof out);
    assert_int_equal(send(fd, nonce, 10, 0), 10);
    UNTIL(tcp_find(b->server.tcp, &from) != NULL);
    for (size_t at = 10; at < sizeof nonce; at++)
        assert_int_equal(send(fd, nonce + at, 1, 0), 1);
    for (size_t at = 0; at + 1 < sizeof out; at++) {
        assert_int_equal(send(fd, out + at, 1, 0), 1);
        uv_run(&b->loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(b->server.got, 0);
    assert_int_equal(send(fd, out + sizeof out - 1, 1, 0), 1);
    UNTIL(b->server.got == 1);
    assert_memory_equal(b->server.last, d, sizeof d);
    close(fd);
    bench_close(b);
}

// ---- limits -------------------------------------------------------------------------------------------

static void a_prefix_has_its_share(void **state)
{
    (void)state;
    enum { MORE = 40 };
    struct bench *b = bench_open(true);
    int fd[TCP_PREFIX_MAX + MORE];
    struct path first = {0};
    // The first is proven: the node answers it. So it stays, whoever comes.
    fd[0] = raw_connect(&b->bound);
    raw_hello(fd[0]);
    UNTIL(b->server.got == 1);
    first = raw_path(fd[0]);
    assert_int_equal(send_some(&b->server, &first, 1, 64), 0);
    assert_true(tcp_find(b->server.tcp, &first)->until_ms > uv_now(&b->loop) + TCP_UNPROVEN_MS_MAX);
    for (unsigned i = 1; i < TCP_PREFIX_MAX + MORE; i++) {
        struct path from;
        fd[i] = raw_connect(&b->bound);
        from = raw_path(fd[i]);
        UNTIL(tcp_find(b->server.tcp, &from) != NULL);
        assert_true(count(&b->server).accepted <= TCP_PREFIX_MAX);
    }
    assert_int_equal(count(&b->server).accepted, TCP_PREFIX_MAX);
    assert_non_null(tcp_find(b->server.tcp, &first));
    // When all are proven, the next one is turned away.
    for (unsigned i = 0; i < TCP_HEADS; i++)
        for (struct tcp_conn *c = b->server.tcp->head[i]; c != NULL; c = c->next)
            c->proven = true;
    uint8_t byte;
    int last = raw_connect(&b->bound);
    UNTIL(count(&b->server).refused == 1);
    assert_true(recv(last, &byte, 1, 0) <= 0);
    close(last);
    for (unsigned i = 0; i < TCP_PREFIX_MAX + MORE; i++)
        close(fd[i]);
    bench_close(b);
}

static void in_a_lab_prefixes_do_not_count(void **state)
{
    (void)state;
    enum { SOME = TCP_PREFIX_MAX + 20 };
    struct bench *b = bench_open(false);
    int fd[SOME];
    for (unsigned i = 0; i < SOME; i++) {
        fd[i] = raw_connect(&b->bound);
        struct path from = raw_path(fd[i]);
        UNTIL(tcp_find(b->server.tcp, &from) != NULL);
    }
    assert_int_equal(count(&b->server).accepted, SOME);
    for (unsigned i = 0; i < SOME; i++)
        close(fd[i]);
    UNTIL(count(&b->server).accepted == 0);
    bench_close(b);
}

// ---- what fails ---------------------------------------------------------------------------------------

static void who_is_not_there_is_not_asked_at_once_again(void **state)
{
    (void)state;
    struct bench *b = bench_open(true);
    struct path nobody = b->bound;
    nobody.port = 1;
    struct tcp *t = b->client.tcp;
    uint64_t waited = 0;
    for (unsigned i = 1; i <= 7; i++) {
        int rc = send_some(&b->client, &nobody, 1, 64);
        assert_true(rc == 0 || rc == -ECONNREFUSED);
        UNTIL(count(&b->client).own == 0);
        assert_int_equal(count(&b->client).connects, i);
        assert_int_equal(send_some(&b->client, &nobody, 1, 64), -EHOSTUNREACH);
        assert_int_equal(count(&b->client).connects, i);
        assert_int_equal(t->failure[0].wait_ms, waited == 0      ? TCP_RETRY_MS_MIN
                                                : waited < 15000 ? 2 * waited
                                                                 : TCP_RETRY_MS_MAX);
        waited = t->failure[0].wait_ms;
        t->failure[0].until_ms = 0; // as if it were over
    }
    bench_close(b);
}

static void a_lost_connection_is_opened_again_by_the_next_send(void **state)
{
    (void)state;
    struct bench *b = bench_open(true);
    b->server.echo = true;
    for (unsigned i = 1; i <= 3; i++) {
        assert_int_equal(send_some(&b->client, &b->bound, 1, 64), 0);
        UNTIL(b->client.got == i);
        tcp_conn_end(tcp_find(b->server.tcp, &b->server.from));
        UNTIL(count(&b->client).own == 0);
        assert_int_equal(count(&b->client).connects, i);
    }
    bench_close(b);
}

static void a_connection_may_be_closed_by_what_it_brings(void **state)
{
    (void)state;
    struct bench *b = bench_open(true);
    b->server.close_on_data = true;
    assert_int_equal(send_some(&b->client, &b->bound, 5, 64), 0);
    UNTIL(b->server.got > 0 && count(&b->client).own == 0);
    assert_int_equal(count(&b->server).accepted, 0);
    assert_int_equal(send_some(&b->client, &b->bound, 1, 64), -EHOSTUNREACH); // it brought nothing
    bench_close(b);
}

static void own_connections_are_limited(void **state)
{
    (void)state;
    struct bench *b = bench_open(true);
    struct path other = b->bound, bound;
    struct path any = b->bound;
    any.port = 0;
    any.via = VIA_UDP;
    assert_int_equal(tcp_listen(b->server.tcp, &any, &bound), 0);
    for (unsigned i = 0; i < TCP_OUTGOING_MAX; i++) {
        other.ip[2] = 1; // 127.0.1.x: all of them this computer
        other.ip[3] = (uint8_t)(i + 1);
        other.port = bound.port;
        int rc = send_some(&b->client, &other, 1, 64);
        if (rc != 0) // a system with one loopback address
            break;
    }
    unsigned own = count(&b->client).own;
    int rc = send_some(&b->client, &b->bound, 1, 64);
    assert_int_equal(rc, own == TCP_OUTGOING_MAX ? -EMFILE : 0);
    bench_close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(datagrams_go_both_ways),
        cmocka_unit_test(few_wait_for_a_connection),
        cmocka_unit_test(bulk_waits_where_it_is_congested),
        cmocka_unit_test(a_prober_gets_nothing),
        cmocka_unit_test(a_slow_reader_costs_a_queue),
        cmocka_unit_test(half_a_frame_is_no_datagram),
        cmocka_unit_test(a_prefix_has_its_share),
        cmocka_unit_test(in_a_lab_prefixes_do_not_count),
        cmocka_unit_test(who_is_not_there_is_not_asked_at_once_again),
        cmocka_unit_test(a_lost_connection_is_opened_again_by_the_next_send),
        cmocka_unit_test(a_connection_may_be_closed_by_what_it_brings),
        cmocka_unit_test(own_connections_are_limited),
    };
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
