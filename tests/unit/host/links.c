// A node's links beside its own sockets, between two nodes of one loop: each datagram goes out through the link that its
// path names, and what comes back is known by it.
#include "node/host/host.h"
#include "node/node_internal.h"

#include "dht/path.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GIVE_UP_MS 60000u // only says that nothing comes any more

struct bench {
    uv_loop_t loop;
    struct host *host;
    struct host_node *server, *client;
    struct contact contact; // the server's
    uv_timer_t give_up;
};

static void on_event(void *ctx, struct host_node *hn, const struct node_event *ev)
{
    (void)ctx;
    (void)hn;
    (void)ev;
}

static void on_give_up(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("nothing more happened");
}

static struct path loopback(void)
{
    static const uint8_t ip[4] = {127, 0, 0, 1};
    return path_v4(ip, 0);
}

static struct host_node_config node_config(bool server)
{
    struct host_node_config cfg = {.listen = {loopback()}, .listens = 1, .event = on_event};
    cfg.node.server = cfg.node.listed = server;
    cfg.node.lab = true;
    cfg.node.privacy = NODE_DIRECT;
    randombytes_buf(cfg.node.secret, sizeof cfg.node.secret);
    return cfg;
}

static void open_node(struct bench *b, struct host_node **out, const struct host_node_config *cfg)
{
    char error[HOST_ERROR_BYTES];
    if (host_node_open(b->host, cfg, out, error) != 0)
        fail_msg("%s", error);
}

static struct bench *bench_open(void)
{
    struct bench *b = calloc(1, sizeof *b);
    assert_non_null(b);
    assert_int_equal(uv_loop_init(&b->loop), 0);
    assert_int_equal(host_new(&b->host, &b->loop), 0);
    uv_timer_init(&b->loop, &b->give_up);
    uv_timer_start(&b->give_up, on_give_up, GIVE_UP_MS, 0);
    struct host_node_config cfg = node_config(true);
    open_node(b, &b->server, &cfg);
    assert_true(host_node_contact(b->server, &b->contact));
    return b;
}

static void bench_close(struct bench *b)
{
    uv_close((uv_handle_t *)&b->give_up, NULL);
    host_free(b->host);
    uv_run(&b->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&b->loop), 0);
    free(b);
}

static uint64_t lookups_ok(struct bench *b)
{
    struct node_status s;
    node_status(host_node_machine(b->client), host_now(b->host), &s);
    return s.dht.lookups_ok;
}

static struct host_counters counters(const struct host_node *hn)
{
    struct host_counters c;
    host_node_counters(hn, &c);
    return c;
}

static void a_node_joins_through_one_more_socket(void **state)
{
    (void)state;
    struct bench *b = bench_open();
    struct host_node_config cfg = node_config(false);
    open_node(b, &b->client, &cfg);
    b->contact.path.via = VIA_SOCKET | 7;
    assert_int_equal(counters(b->client).extra_sockets, 0);
    assert_int_equal(host_node_bootstrap(b->client, &b->contact), 0);
    while (lookups_ok(b) == 0)
        uv_run(&b->loop, UV_RUN_ONCE);
    assert_int_equal(counters(b->client).extra_sockets, 1);
    assert_int_equal(counters(b->client).refused, 0);
    assert_true(node_via_close(host_node_machine(b->client), VIA_SOCKET | 7));
    host_node_turn(b->client);
    assert_int_equal(counters(b->client).extra_sockets, 0);
    bench_close(b);
}

static void a_link_that_there_is_not_is_counted(void **state)
{
    (void)state;
    struct bench *b = bench_open();
    struct host_node_config cfg = node_config(false);
    open_node(b, &b->client, &cfg);
    b->contact.path.via = VIA_TUNNEL | 1; // never reaches a driver
    assert_int_equal(host_node_bootstrap(b->client, &b->contact), 0);
    while (counters(b->client).refused < 1)
        uv_run(&b->loop, UV_RUN_ONCE);
    struct contact six = b->contact; // and no socket of that family
    memset(&six.path, 0, sizeof six.path);
    six.path = path_v6((const uint8_t[16]){[15] = 1}, 4000);
    six.path.via = VIA_SOCKET | 1;
    six.pk[0] ^= 1;
    assert_int_equal(host_node_bootstrap(b->client, &six), 0);
    for (uint64_t before = counters(b->client).refused; counters(b->client).refused < before + 4;)
        uv_run(&b->loop, UV_RUN_ONCE);
    assert_int_equal(counters(b->client).extra_sockets, 0);
    bench_close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_joins_through_one_more_socket),
        cmocka_unit_test(a_link_that_there_is_not_is_counted),
    };
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
