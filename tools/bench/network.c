#include "tools/bench/network.h"

#include "dht/path.h"
#include "tools/bench/bench.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TICK_MS 2u
#define JOIN_S 30.0        // more than this to join is a failure, not a measurement
#define KNOWN_CONTACTS 16u // enough servers to find a region

static void on_tick(uv_timer_t *t)
{
    (void)t;
}

static void on_event(void *ctx, struct host_node *node, const struct node_event *ev)
{
    (void)ctx;
    (void)node;
    (void)ev;
}

struct host_node *bench_network_node(struct bench_network *w, host_event_fn event, void *ctx,
                                     bool server)
{
    static const uint8_t loopback[4] = {127, 0, 0, 1};
    struct host_node_config cfg = {.node = {.network = BENCH_NETWORK_NAME,
                                            .server = server,
                                            .listed = server,
                                            .lab = true,
                                            .privacy = NODE_DIRECT},
                                   .listens = 1,
                                   .event = event != NULL ? event : on_event,
                                   .ctx = ctx};
    char error[HOST_ERROR_BYTES];
    struct host_node *n;
    cfg.listen[0] = path_v4(loopback, 0);
    randombytes_buf(cfg.node.secret, sizeof cfg.node.secret);
    if (host_node_open(w->host, &cfg, &n, error) != 0) {
        fprintf(stderr, "bauta-bench: %s\n", error);
        return NULL;
    }
    return n;
}

bool bench_network_knows(struct bench_network *w, struct host_node *n, unsigned servers)
{
    struct node_status s;
    node_status(host_node_machine(n), host_now(w->host), &s);
    return s.dht.contacts >= servers;
}

int bench_network_open(struct bench_network *w, unsigned servers)
{
    memset(w, 0, sizeof *w);
    w->server = calloc(servers + 1, sizeof *w->server);
    if (w->server == NULL || uv_loop_init(&w->loop) != 0 || host_new(&w->host, &w->loop) != 0)
        return -1;
    uv_timer_init(&w->loop, &w->tick);
    uv_timer_start(&w->tick, on_tick, TICK_MS, TICK_MS);
    double start = bench_now_s();
    for (unsigned i = 0; i < servers; i++) {
        w->server[i] = bench_network_node(w, NULL, NULL, true);
        if (w->server[i] == NULL)
            return -1;
        if (i == 0 && !host_node_contact(w->server[0], &w->first))
            return -1;
        if (i > 0)
            (void)host_node_bootstrap(w->server[i], &w->first);
        w->servers++;
    }
    unsigned want = servers > 0 && servers - 1 < KNOWN_CONTACTS ? servers - 1 : KNOWN_CONTACTS;
    for (unsigned i = 0; i < servers;) {
        if (bench_network_knows(w, w->server[i], want)) {
            i++;
            continue;
        }
        if (bench_now_s() - start > JOIN_S) {
            fprintf(stderr, "bauta-bench: only %u of %u nodes joined\n", i, servers);
            return -1;
        }
        uv_run(&w->loop, UV_RUN_ONCE);
    }
    w->joined_s = bench_now_s() - start;
    return 0;
}

void bench_network_quiet(struct bench_network *w)
{
    uv_timer_stop(&w->tick);
}
