// Sockets on loopback: batches arrive as the datagrams they were, whatever the system refuses.
#include "node/host/udp.h"

#include "dht/path.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __linux__
#include <netinet/udp.h>
#endif

#include <cmocka.h>

#define FULL 1232u
#define GOT_MAX 4096u

struct net {
    uv_loop_t loop;
    struct udp a, b; // a sends, b receives
    struct udp_buffers *in;
    // what b received: for each datagram its first byte, its number, its length
    unsigned got, buffers;
    uint16_t number[GOT_MAX], len[GOT_MAX];
    uint8_t ecn[GOT_MAX];
};

static void on_ready(void *ctx, struct udp *u, bool readable, bool writable)
{
    (void)ctx;
    (void)readable;
    if (writable)
        udp_flush(u);
}

static struct path loopback(uint8_t family)
{
    static const uint8_t four[4] = {127, 0, 0, 1}, six[16] = {[15] = 1};
    return family == 4 ? path_v4(four, 0) : path_v6(six, 0);
}

// A computer may lack IPv6.
static bool has_six(void)
{
    struct path any = loopback(6);
    struct sockaddr_storage sa;
    socklen_t len = udp_sockaddr(&sa, &any);
    int fd = socket(AF_INET6, SOCK_DGRAM, 0);
    bool has = fd >= 0 && bind(fd, (struct sockaddr *)&sa, len) == 0;
    if (fd >= 0)
        close(fd);
    return has;
}

static struct net *net_open(uint8_t family)
{
    struct net *n = calloc(1, sizeof *n);
    struct path any = loopback(family);
    assert_non_null(n);
    n->in = calloc(1, sizeof *n->in);
    assert_non_null(n->in);
    assert_int_equal(uv_loop_init(&n->loop), 0);
    assert_int_equal(udp_open(&n->a, &n->loop, &any, on_ready, n), 0);
    assert_int_equal(udp_open(&n->b, &n->loop, &any, on_ready, n), 0);
    return n;
}

static void net_close(struct net *n)
{
    udp_close(&n->a, NULL);
    udp_close(&n->b, NULL);
    uv_run(&n->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&n->loop), 0);
    free(n->in);
    free(n);
}

// Datagram i of a test: its number, then bytes that follow from it.
static void content(uint8_t *d, uint16_t number, size_t len)
{
    memcpy(d, &number, sizeof number);
    for (size_t i = sizeof number; i < len; i++)
        d[i] = (uint8_t)(number * 7u + i);
}

// Loopback delivers within the send, so whatever was sent is there.
static void collect(struct net *n)
{
    bool more = true;
    while (more) {
        size_t rxs = udp_receive(&n->b, n->in, &more);
        assert_true(rxs <= UDP_READS);
        for (size_t i = 0; i < rxs; i++) {
            const struct rx *rx = &n->in->rx[i];
            n->buffers++;
            assert_true(path_equal(&rx->path, &n->a.bound));
            for (uint32_t at = 0; at < rx->len; at += rx->seg_size) {
                uint8_t want[UDP_DATAGRAM_BYTES];
                size_t len = rx->len - at < rx->seg_size ? rx->len - at : rx->seg_size;
                assert_true(n->got < GOT_MAX);
                memcpy(&n->number[n->got], rx->data + at, 2);
                content(want, n->number[n->got], len);
                assert_memory_equal(rx->data + at, want, len);
                n->ecn[n->got] = rx->ecn;
                n->len[n->got++] = (uint16_t)len;
            }
        }
    }
}

// A batch of `count` datagrams numbered from `first`, the last of `tail` bytes.
static struct batch batch_of(uint8_t *room, const struct path *to, uint16_t first, unsigned count,
                             uint16_t seg, uint16_t tail)
{
    for (unsigned i = 0; i < count; i++)
        content(room + i * seg, (uint16_t)(first + i), i + 1 < count ? seg : tail);
    return (struct batch){.path = *to,
                          .seg_size = seg,
                          .count = (uint16_t)count,
                          .len = (count - 1) * seg + tail,
                          .data = room,
                          .id = first + 1u};
}

static void expect_numbers(const struct net *n, unsigned from, unsigned count)
{
    assert_int_equal(n->got, count);
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(n->number[i], from + i);
}

static void a_batch_arrives_as_its_datagrams(void **state)
{
    static uint8_t room[3][64 * FULL];
    struct udp_failure fail[UDP_SENDS];
    const uint8_t families[2] = {4, 6};
    (void)state;
    for (unsigned f = 0; f < (has_six() ? 2u : 1u); f++) {
        struct net *n = net_open(families[f]);
        struct batch b[3] = {batch_of(room[0], &n->b.bound, 0, 52, FULL, FULL),
                             batch_of(room[1], &n->b.bound, 52, 20, FULL, 64),
                             batch_of(room[2], &n->b.bound, 72, 1, 192, 192)};
        b[0].ecn = 2;
        b[1].ecn = 1;
        assert_int_equal(udp_send(&n->a, b, 3, fail), 0);
        collect(n);
        expect_numbers(n, 0, 73);
        for (unsigned i = 0; i < 73; i++) {
            assert_int_equal(n->len[i], i < 71 ? FULL : i == 71 ? 64 : 192);
            assert_int_equal(n->ecn[i], i < 52 ? 2 : i < 72 ? 1 : 0);
        }
        if (n->a.gso && n->b.gro)
            assert_int_equal(n->buffers, 3); // each crossed the kernel once
        net_close(n);
    }
}

static void without_receive_offload_each_datagram_stands_alone(void **state)
{
    static uint8_t room[64 * FULL];
    struct udp_failure fail[UDP_SENDS];
    (void)state;
#ifdef UDP_GRO
    int off = 0;
    struct net *n = net_open(4);
    assert_int_equal(setsockopt(n->b.fd, IPPROTO_UDP, UDP_GRO, &off, sizeof off), 0);
    struct batch b = batch_of(room, &n->b.bound, 0, 52, FULL, 100);
    assert_int_equal(udp_send(&n->a, &b, 1, fail), 0);
    collect(n);
    expect_numbers(n, 0, 52);
    assert_int_equal(n->buffers, 52);
    assert_int_equal(n->len[51], 100);
    net_close(n);
#else
    (void)room;
    (void)fail;
    skip();
#endif
}

// A socket that must not leave the checksum to the card gets EINVAL for each offloaded send.
static void a_refused_batch_goes_out_as_single_datagrams(void **state)
{
    static uint8_t room[3][64 * FULL];
    struct udp_failure fail[UDP_SENDS];
    (void)state;
#ifdef SO_NO_CHECK
    int on = 1;
    struct net *n = net_open(4);
    if (!n->a.gso) {
        net_close(n);
        skip();
        return;
    }
    assert_int_equal(setsockopt(n->a.fd, SOL_SOCKET, SO_NO_CHECK, &on, sizeof on), 0);
    struct batch b[3] = {batch_of(room[0], &n->b.bound, 0, 1, 64, 64),
                         batch_of(room[1], &n->b.bound, 1, 30, FULL, 320),
                         batch_of(room[2], &n->b.bound, 31, 10, FULL, FULL)};
    b[1].ecn = 2;
    assert_int_equal(udp_send(&n->a, b, 3, fail), 0);
    collect(n);
    expect_numbers(n, 0, 41);
    assert_int_equal(n->ecn[20], 2);
    assert_false(n->a.gso); // and it is not tried again
    assert_int_equal(n->a.failed, 0);
    assert_int_equal(udp_send(&n->a, &b[1], 1, fail), 0);
    collect(n);
    assert_int_equal(n->got, 71);
    net_close(n);
#else
    (void)room;
    (void)fail;
    skip();
#endif
}

static void a_bad_address_takes_no_neighbours_along(void **state)
{
    static uint8_t room[5][64 * FULL];
    struct udp_failure fail[UDP_SENDS];
    static const uint8_t broadcast[4] = {255, 255, 255, 255};
    (void)state;
    struct net *n = net_open(4);
    struct path bad = path_v4(broadcast, 9); // EACCES: not allowed without SO_BROADCAST
    struct batch b[5] = {batch_of(room[0], &bad, 900, 20, FULL, 64),
                         batch_of(room[1], &n->b.bound, 0, 20, FULL, FULL),
                         batch_of(room[2], &bad, 1000, 1, 64, 64),
                         batch_of(room[3], &bad, 1001, 52, FULL, FULL),
                         batch_of(room[4], &n->b.bound, 20, 5, 320, 64)};
    size_t failed = udp_send(&n->a, b, 5, fail);
    collect(n);
    expect_numbers(n, 0, 25);
    assert_int_equal(failed, 3);
    assert_int_equal(fail[0].batch_id, 901);
    assert_int_equal(fail[1].batch_id, 1001);
    assert_int_equal(fail[2].batch_id, 1002);
    for (unsigned i = 0; i < 3; i++)
        assert_true(fail[i].rc < 0);
    assert_true(n->a.gso || !n->b.gro); // what the address refuses is not the offload's fault
    net_close(n);
}

// How many hops the next datagram at a socket may still go.
static int hops_of_next(const struct udp *u)
{
    uint8_t data[64];
    struct udp_control control;
    struct iovec iov = {data, sizeof data};
    struct msghdr h = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof control.bytes};
    int hops = -1;
    assert_int_equal(recvmsg(u->fd, &h, 0), sizeof data);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&h); c != NULL; c = CMSG_NXTHDR(&h, c))
        if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TTL) ||
            (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_HOPLIMIT))
            memcpy(&hops, CMSG_DATA(c), sizeof hops);
    return hops;
}

static void hops_are_those_of_one_batch(void **state)
{
    static uint8_t room[64];
    struct udp_failure fail[UDP_SENDS];
    const uint8_t families[2] = {4, 6};
    int on = 1;
    (void)state;
#ifdef __linux__
    for (unsigned f = 0; f < (has_six() ? 2u : 1u); f++) {
        struct net *n = net_open(families[f]);
        int fd = n->b.fd,
            rc = f == 0 ? setsockopt(fd, IPPROTO_IP, IP_RECVTTL, &on, sizeof on)
                        : setsockopt(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &on, sizeof on);
        assert_int_equal(rc, 0);
#ifdef UDP_GRO
        int off = 0;
        assert_int_equal(setsockopt(fd, IPPROTO_UDP, UDP_GRO, &off, sizeof off), 0);
#endif
        struct batch b[3];
        for (unsigned i = 0; i < 3; i++)
            b[i] = batch_of(room, &n->b.bound, 0, 1, 64, 64);
        b[1].ttl = 3;
        b[1].ecn = 2; // both at once
        assert_int_equal(udp_send(&n->a, b, 3, fail), 0);
        int usual = hops_of_next(&n->b);
        assert_true(usual > 3);
        assert_int_equal(hops_of_next(&n->b), 3);
        assert_int_equal(hops_of_next(&n->b), usual);
        // And when they had to wait: not sent together, though alike but for this.
        n->a.waiting = calloc(n->a.waiting_max, sizeof *n->a.waiting);
        n->a.waiting_count = 1;
        n->a.waiting[0].path = n->b.bound;
        n->a.waiting[0].len = 64;
        b[1].ecn = 0;
        assert_int_equal(udp_send(&n->a, b, 3, fail), 0);
        udp_flush(&n->a);
        const int want[4] = {usual, usual, 3, usual};
        for (unsigned i = 0; i < 4; i++)
            assert_int_equal(hops_of_next(&n->b), want[i]);
        net_close(n);
    }
#else
    (void)room, (void)fail, (void)families, (void)on;
    skip();
#endif
}

// Longer than what loopback carries in one piece: refused as too long, not cut into fragments.
static void a_datagram_that_is_too_long_is_told(void **state)
{
    static uint8_t room[66000];
    struct udp_failure fail[UDP_SENDS];
    (void)state;
#ifdef __linux__
    struct net *n = net_open(4);
    struct batch b[2] = {{.path = n->b.bound, .count = 1, .len = 65507, .data = room, .id = 7},
                         batch_of(room, &n->b.bound, 5, 1, 64, 64)};
    (void)udp_send(&n->a, b, 2, fail);
    collect(n);
    assert_int_equal(n->got, 1); // 65,507 and headers just fit: it came and was dropped as too long
    assert_int_equal(n->b.dropped_long, 1);
    b[0].len = 66000;
    assert_int_equal(udp_send(&n->a, b, 1, fail), 1);
    assert_int_equal(fail[0].batch_id, 7);
    assert_int_equal(fail[0].rc, SENT_TOO_LONG);
    int value = 0;
    socklen_t len = sizeof value;
    assert_int_equal(getsockopt(n->a.fd, IPPROTO_IP, IP_MTU_DISCOVER, &value, &len), 0);
    assert_int_equal(value, IP_PMTUDISC_PROBE);
    net_close(n);
#else
    (void)room;
    (void)fail;
    skip();
#endif
}

static void what_finds_no_room_goes_out_later_in_order(void **state)
{
    static uint8_t room[64 * FULL];
    struct udp_failure fail[UDP_SENDS];
    (void)state;
    struct net *n = net_open(4);
    // As if the socket had been full once: whatever comes now waits behind it.
    struct batch first = batch_of(room, &n->b.bound, 0, 1, 64, 64);
    n->a.waiting = calloc(UDP_QUEUE_DATAGRAMS_MAX, sizeof *n->a.waiting);
    n->a.waiting_at = UDP_QUEUE_DATAGRAMS_MAX - 7; // the ring wraps
    n->a.waiting_count = 1;
    struct udp_waiting *w = &n->a.waiting[n->a.waiting_at];
    w->path = first.path;
    w->len = 64;
    memcpy(w->data, first.data, 64);
    unsigned sent = 1;
    for (; !udp_congested(&n->a); sent += 40) {
        struct batch b = batch_of(room, &n->b.bound, (uint16_t)sent, 40, FULL, 704);
        b.ecn = sent % 80 == 1 ? 2 : 0;
        assert_int_equal(udp_send(&n->a, &b, 1, fail), 0);
    }
    collect(n);
    assert_int_equal(n->got, 0);
    udp_flush(&n->a);
    assert_int_equal(n->a.waiting_count, 0);
    collect(n);
    expect_numbers(n, 0, sent);
    assert_int_equal(n->ecn[5], 2);
    assert_int_equal(n->ecn[45], 0);
    assert_int_equal(n->len[40], 704);
    if (n->a.gso && n->b.gro)
        assert_true(n->buffers < sent / 4); // together again where they were alike
    net_close(n);
}

static void beyond_the_room_for_waiting_datagrams_are_dropped_and_counted(void **state)
{
    static uint8_t room[64 * FULL];
    struct udp_failure fail[UDP_SENDS];
    (void)state;
    struct net *n = net_open(4);
    n->a.waiting = calloc(UDP_QUEUE_DATAGRAMS_MAX, sizeof *n->a.waiting);
    n->a.waiting_count = UDP_QUEUE_DATAGRAMS_MAX - 10;
    struct batch b = batch_of(room, &n->b.bound, 0, 16, FULL, FULL);
    assert_int_equal(udp_send(&n->a, &b, 1, fail), 0);
    assert_int_equal(n->a.waiting_count, UDP_QUEUE_DATAGRAMS_MAX);
    assert_int_equal(n->a.dropped_full, 6);
    net_close(n);
}

// One read takes no more than its buffers hold, however much there is.
static void a_read_is_bounded(void **state)
{
    static uint8_t room[64 * FULL];
    struct udp_failure fail[UDP_SENDS];
    bool more = false;
    (void)state;
    struct net *n = net_open(4);
    for (unsigned i = 0; i < 3 * UDP_READS; i++) {
        struct batch b = batch_of(room, &n->b.bound, (uint16_t)i, 1, 64, 64);
        assert_int_equal(udp_send(&n->a, &b, 1, fail), 0);
    }
    assert_int_equal(udp_receive(&n->b, n->in, &more), UDP_READS);
    assert_true(more);
    collect(n);
    assert_int_equal(n->got, 2 * UDP_READS);
    assert_int_equal(udp_receive(&n->b, n->in, &more), 0);
    assert_false(more);
    net_close(n);
}

static void small_buffers_are_seen(void **state)
{
    (void)state;
    struct net *n = net_open(4);
    struct udp u = n->a;
    u.receive_bytes = u.send_bytes = UDP_SOCKET_BYTES_MIN;
    assert_false(udp_clamped(&u));
    u.receive_bytes--;
    assert_true(udp_clamped(&u));
    assert_true(n->a.receive_bytes > 0 && n->a.send_bytes > 0);
    int value = 0;
    socklen_t len = sizeof value;
    assert_int_equal(getsockopt(n->a.fd, SOL_SOCKET, SO_RCVBUF, &value, &len), 0);
    assert_int_equal(n->a.receive_bytes, value);
    net_close(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_arrives_as_its_datagrams),
        cmocka_unit_test(without_receive_offload_each_datagram_stands_alone),
        cmocka_unit_test(a_refused_batch_goes_out_as_single_datagrams),
        cmocka_unit_test(a_bad_address_takes_no_neighbours_along),
        cmocka_unit_test(hops_are_those_of_one_batch),
        cmocka_unit_test(a_datagram_that_is_too_long_is_told),
        cmocka_unit_test(what_finds_no_room_goes_out_later_in_order),
        cmocka_unit_test(beyond_the_room_for_waiting_datagrams_are_dropped_and_counted),
        cmocka_unit_test(a_read_is_bounded),
        cmocka_unit_test(small_buffers_are_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
