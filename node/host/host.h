// The driver: runs one or many nodes on one libuv loop, each with its own sockets. It hands in
// datagrams, time, randomness and finished jobs, and carries away what comes out. One thread; only jobs
// run on libuv's workers.
#ifndef BAUTA_NODE_HOST_HOST_H
#define BAUTA_NODE_HOST_HOST_H

#include "node/host/limits.h"
#include "node/host/links.h"
#include "node/node.h"

#include <uv.h>

struct host;
struct host_node;

// Called for each event of a node, after its machine has come to rest. It must not call into any node:
// it copies what it needs, and acts in a later turn of the loop (host_later).
typedef void (*host_event_fn)(void *ctx, struct host_node *, const struct node_event *);

struct host_node_config {
    // network, secret, server, lab, prefix_limits, puzzle_*, privacy and store_bytes_max are the caller's;
    // rng, arena, out, book and aes_hardware are filled in here.
    struct node_config node;
    struct path listen[HOST_SOCKETS_MAX]; // port 0: the system chooses
    size_t listens;                       // 0: every address of this computer, both families
    // For servers. TCP, on these addresses; and with `tcp_beside` on the address and port of each UDP socket.
    struct path tcp[HOST_TCP_LISTENS_MAX];
    size_t tcps;
    bool tcp_beside;
    // Everything goes through it, over TCP: no UDP socket is opened, `listen` and `tcp` are left alone. NULL: none.
    const struct socks_proxy *proxy;                 // copied
    void (*proxy_said)(void *ctx, enum socks_error); // when what it says has changed; may be NULL
    host_event_fn event;
    void (*moved)(void *ctx); // this computer's addresses have changed; may be NULL
    void *ctx;
};

// 0 or a negative UV_ code.
int host_new(struct host **, uv_loop_t *);
// Closes what is open and frees everything once libuv has let go: run the loop until it has nothing left.
void host_free(struct host *);

// 0, or a negative code with one line for a person in `error`.
int host_node_open(struct host *, const struct host_node_config *, struct host_node **,
                   char error[static HOST_ERROR_BYTES]);
// Wipes the node. Jobs of it that are running end later, into nothing.
void host_node_close(struct host_node *);

// The machine, for a command. After any call into it: host_node_turn, before anything else.
struct node *host_node_machine(struct host_node *);
// The time to hand in.
usec_t host_now(struct host *);
// The same, and tells the machine the wall clock: before a command that comes after a long silence.
usec_t host_node_now(struct host_node *);
// Sends, tells events, starts jobs and sets the alarm until the machine is at rest.
void host_node_turn(struct host_node *);
// While nobody listens, events wait inside the machine: the credit of streams stops, so words wait with
// the other side instead of being lost. On from the start.
void host_node_listen(struct host_node *, bool on);
int host_node_bootstrap(struct host_node *,
                        const struct contact *); // as node_bootstrap, with the turn
// A bootstrap by its name, which the proxy looks up. Without a proxy: UV_EINVAL.
int host_node_bootstrap_name(struct host_node *, const char *name, uint16_t port,
                             const struct contact *);
int host_node_add_contacts(struct host_node *, const struct contact *,
                           size_t n); // as node_add_contacts, with the turn

// Addresses that the sockets are bound to, with real ports.
size_t host_node_bound(const struct host_node *, struct path out[static HOST_SOCKETS_MAX]);
// Addresses that others connect to over TCP, with real ports.
size_t host_node_bound_tcp(const struct host_node *, struct path out[static TCP_LISTENERS_MAX]);
// Our contact as another node on this computer's network takes it: a wildcard becomes 127.0.0.1 in a
// lab, else the first address of an interface. False for a client.
bool host_node_contact(const struct host_node *, struct contact *);

struct host_lan_counters { // of LAN discovery
    bool on;
    uint64_t sent, heard, dropped;
};
// The kernel gave one of the sockets smaller buffers than bulk needs.
bool host_node_clamped(const struct host_node *);
void host_node_counters(const struct host_node *, struct link_counters *);

// Runs a job that belongs to no machine, such as the puzzle before a server's start.
int host_job(struct host *, const struct job *,
             void (*done)(void *ctx, const uint8_t *result, int len), void *ctx);

void host_random(void *ctx, void *buf, size_t len);
int64_t host_unix_us(void); // the wall clock

#endif
