// A node's links beside its own sockets, between two nodes of one loop: each datagram goes out through the link that its
// path names, and what comes back is known by it.
#include "node/host/host.h"
#include "node/node_internal.h"

#include "crypto/relaykey.h"
#include "dht/path.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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
    cfg.tcp_beside = true;
    cfg.tcp[0] = loopback();
    cfg.tcps = 1;
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

static struct link_counters counters(const struct host_node *hn)
{
    struct link_counters c;
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
    // No socket of that family.
    b->contact.path = path_v6((const uint8_t[16]){[15] = 1}, 4000);
    assert_int_equal(host_node_bootstrap(b->client, &b->contact), 0);
    while (counters(b->client).refused < 1)
        uv_run(&b->loop, UV_RUN_ONCE);
    struct contact extra = b->contact;
    extra.path.via = VIA_SOCKET | 1;
    extra.pk[0] ^= 1;
    assert_int_equal(host_node_bootstrap(b->client, &extra), 0);
    for (uint64_t before = counters(b->client).refused; counters(b->client).refused < before + 4;)
        uv_run(&b->loop, UV_RUN_ONCE);
    assert_int_equal(counters(b->client).extra_sockets, 0);
    bench_close(b);
}

static void a_node_joins_over_tcp(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) { // on the server's own port, and on another
        struct bench *b = bench_open();
        struct host_node_config cfg = node_config(false);
        struct path bound[TCP_LISTENERS_MAX];
        open_node(b, &b->client, &cfg);
        assert_int_equal(host_node_bound_tcp(b->server, bound), 2);
        assert_int_equal(bound[0].port, b->contact.path.port);
        b->contact.path.port = bound[i].port;
        b->contact.path.via = VIA_TCP;
        assert_int_equal(host_node_bootstrap(b->client, &b->contact), 0);
        while (lookups_ok(b) == 0)
            uv_run(&b->loop, UV_RUN_ONCE);
        assert_int_equal(counters(b->client).tcp_own, 1);
        assert_int_equal(counters(b->server).tcp_accepted, 1);
        assert_int_equal(counters(b->server).tcp_garbage, 0);
        bench_close(b);
    }
}

// Ends the connections to this port, as somebody on the path would.
static void break_tcp(uint16_t port)
{
    for (int fd = STDERR_FILENO + 1; fd < 1024; fd++) {
        struct sockaddr_storage sa;
        struct path peer;
        socklen_t len = sizeof sa, type_len = sizeof(int);
        int type = 0;
        if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len) != 0 || type != SOCK_STREAM ||
            getpeername(fd, (struct sockaddr *)&sa, &len) != 0)
            continue;
        udp_path(&peer, (struct sockaddr *)&sa);
        if (peer.port == port)
            assert_int_equal(shutdown(fd, SHUT_RDWR), 0);
    }
}

// A relay on TCP, the tunnel in it, the client's exit there: all that a node without UDP needs to be one.
static void a_node_without_udp_lives_behind_a_relay(void **state)
{
    (void)state;
    struct bench *b = bench_open(); // its server is one of those that are reached through the relay
    struct host_node *relay;
    struct contact way;
    struct host_node_config cfg = node_config(true);
    cfg.node.relay = true;
    cfg.node.relay_volume_bytes = UINT64_MAX;
    cfg.tcp_beside = true;
    randombytes_buf(cfg.node.relay_seed, sizeof cfg.node.relay_seed);
    relay_secret(cfg.node.secret, cfg.node.relay_seed);
    open_node(b, &relay, &cfg);
    assert_true(host_node_contact(relay, &way));
    struct contact made_up =
        way; // the book, which nodes of a process share, knows another key at that address
    made_up.pk[5] ^= 1;
    assert_int_equal(host_node_bootstrap(b->server, &made_up), 0);
    assert_int_equal(host_node_bootstrap(relay, &b->contact), 0);
    cfg = node_config(false);
    cfg.node.tcp_only = true;
    open_node(b, &b->client, &cfg);
    way.path.via = VIA_TCP;
    assert_int_equal(host_node_bootstrap(b->client, &way), 0);
    assert_int_equal(host_node_bootstrap(b->client, &b->contact), 0); // through the tunnel
    while (lookups_ok(b) == 0)
        uv_run(&b->loop, UV_RUN_ONCE);
    assert_int_equal(counters(b->client).tcp_own, 1);
    assert_int_equal(counters(b->client).refused, 0);
    assert_int_equal(counters(relay).tcp_accepted, 1);
    assert_int_equal(counters(relay).extra_sockets, 1);
    // The connection breaks; the tunnel goes on over the next one.
    break_tcp(way.path.port);
    while (counters(b->client).tcp_own > 0 || counters(relay).tcp_accepted > 0)
        uv_run(&b->loop, UV_RUN_ONCE);
    uint64_t before = lookups_ok(b);
    uint32_t encounter;
    struct node_topic topic = {.text = "tunnels", .len = 7};
    struct card card = {0};
    struct wishes wishes = {0};
    assert_int_equal(node_seek(host_node_machine(b->client), host_node_now(b->client), &topic, 1,
                               &card, &wishes, &encounter),
                     0);
    host_node_turn(b->client);
    while (lookups_ok(b) == before)
        uv_run(&b->loop, UV_RUN_ONCE);
    assert_int_equal(counters(b->client).tcp_own, 1);
    struct node_status s;
    node_status(host_node_machine(relay), host_now(b->host), &s);
    assert_int_equal(s.relay.opened, 1);              // it is the same tunnel
    assert_int_equal(counters(relay).tcp_garbage, 0); // under the relay's own key
    bench_close(b);
}

// Who takes the server for another one sends what looks random to it.
static void with_another_key_nothing_is_answered(void **state)
{
    (void)state;
    struct bench *b = bench_open();
    struct host_node_config cfg = node_config(false);
    open_node(b, &b->client, &cfg);
    b->contact.path.via = VIA_TCP;
    b->contact.pk[3] ^= 1;
    assert_int_equal(host_node_bootstrap(b->client, &b->contact), 0);
    while (counters(b->server).tcp_garbage + counters(b->server).tcp_accepted == 0)
        uv_run(&b->loop, UV_RUN_ONCE);
    struct node_status s;
    node_status(host_node_machine(b->server), host_now(b->host), &s);
    assert_int_equal(s.datagrams_out, 0);
    bench_close(b);
}

static void a_client_can_not_listen_on_tcp(void **state)
{
    (void)state;
    struct bench *b = bench_open();
    struct host_node_config cfg = node_config(false);
    char error[HOST_ERROR_BYTES] = "";
    cfg.tcp[0] = loopback();
    cfg.tcps = 1;
    assert_int_not_equal(host_node_open(b->host, &cfg, &b->client, error), 0);
    assert_non_null(strstr(error, "can't listen on TCP 127.0.0.1:0"));
    cfg = node_config(true);
    cfg.tcp[0] = b->contact.path; // taken
    cfg.tcps = 1;
    assert_int_not_equal(host_node_open(b->host, &cfg, &b->client, error), 0);
    bench_close(b);
}

// A node behind a proxy has no socket but those to the proxy.
static void behind_a_proxy_all_but_tcp_is_refused(void **state)
{
    (void)state;
    struct bench *b = bench_open();
    struct host_node_config cfg = node_config(false);
    struct socks_proxy proxy = {.path = loopback()};
    struct path bound[HOST_SOCKETS_MAX];
    proxy.path.port = 1; // nobody's
    cfg.proxy = &proxy;
    open_node(b, &b->client, &cfg);
    assert_int_equal(host_node_bound(b->client, bound), 0);
    assert_int_equal(host_node_bootstrap(b->client, &b->contact), 0);
    while (counters(b->client).refused < 1)
        uv_run(&b->loop, UV_RUN_ONCE);
    struct contact extra = b->contact;
    extra.path.via = VIA_SOCKET | 1;
    assert_int_equal(host_node_bootstrap(b->client, &extra), 0);
    while (counters(b->client).refused < 4)
        uv_run(&b->loop, UV_RUN_ONCE);
    assert_int_equal(counters(b->client).extra_sockets, 0);
    struct node_status s;
    node_status(host_node_machine(b->server), host_now(b->host), &s);
    assert_int_equal(s.datagrams_in, 0);
    bench_close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_joins_through_one_more_socket),
        cmocka_unit_test(a_link_that_there_is_not_is_counted),
        cmocka_unit_test(a_node_joins_over_tcp),
        cmocka_unit_test(a_node_without_udp_lives_behind_a_relay),
        cmocka_unit_test(with_another_key_nothing_is_answered),
        cmocka_unit_test(a_client_can_not_listen_on_tcp),
        cmocka_unit_test(behind_a_proxy_all_but_tcp_is_refused),
    };
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
