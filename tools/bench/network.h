// A network of real nodes on real sockets on loopback, all in this process on one loop; shared by the
// modes connect, memory and dht.
#ifndef BAUTA_TOOLS_BENCH_NETWORK_H
#define BAUTA_TOOLS_BENCH_NETWORK_H

#include "node/host/host.h"

#include <stdbool.h>

#define BENCH_NETWORK_NAME "bauta-bench"

struct bench_network {
    uv_loop_t loop;
    uv_timer_t tick; // conditions that no event announces are looked at so often
    struct host *host;
    struct host_node **server;
    unsigned servers;
    struct contact first;
    double joined_s; // from the first start until all had joined
};

// Starts `servers` nodes at once and waits until each knows its share of the others. 0 or -1, with a
// line on standard error.
int bench_network_open(struct bench_network *, unsigned servers);
// One more node; `event` may be NULL. NULL with a line on standard error.
struct host_node *bench_network_node(struct bench_network *, host_event_fn event, void *ctx,
                                     bool server);
// Whether a node knows that many servers.
bool bench_network_knows(struct bench_network *, struct host_node *, unsigned servers);

// Stops the tick, so that nodes at rest cost nothing but their own upkeep.
void bench_network_quiet(struct bench_network *);

#endif
