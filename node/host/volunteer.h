// What a volunteer's relay needs beside its node: a key that is kept for a week, the month's volume, its address for the
// directory, and a drain before the end. In its files stand a key, a month and a number of bytes, nothing else.
#ifndef BAUTA_NODE_HOST_VOLUNTEER_H
#define BAUTA_NODE_HOST_VOLUNTEER_H

#include "node/host/config.h"
#include "node/host/host.h"
#include "node/host/state.h"

struct volunteer;

// The key of the state folder, unless it is older than VOLUNTEER_KEY_S or from the future; else a fresh one, whose puzzle
// is not solved yet. 1: kept, 0: fresh, -1 with a line for a person.
int volunteer_key(struct relay_key *, const struct config *, char error[static HOST_ERROR_BYTES]);

// Reads how much this month has cost. 0, or -1 with a line for a person.
int volunteer_new(struct volunteer **, uv_loop_t *, struct host *, const struct config *,
                  char error[static HOST_ERROR_BYTES]);
// What makes a node a relay: all but its keys.
void volunteer_fill(const struct volunteer *, struct host_node_config *);
// The node is there: from now on it is announced, and counted. -1 with a line: the metrics' address can't be had.
int volunteer_begin(struct volunteer *, struct host_node *, char error[static HOST_ERROR_BYTES]);
// Takes no new clients, and gives those there are --drain seconds. `done` comes on the loop when all have gone or the time
// is over.
void volunteer_drain(struct volunteer *, void (*done)(void *ctx), void *ctx);
// Writes the month down. While the node is still open. NULL is fine.
void volunteer_close(struct volunteer *);

// ---- the calendar and the address, for tests --------------------------------------------------------------
// Of UTC: 202612 in December 2026.
uint32_t volunteer_month(int64_t unix_s);
// What the directory is told: for each family the bound address where it is global, or in a lab; else one of this
// computer's addresses (`local`) that is global; else what servers see. Returns how many of at most two.
size_t volunteer_paths(struct path out[static 2], const struct path *bound, size_t bounds,
                       const struct path *local, size_t locals, const struct path seen[static 2],
                       bool lab);
// The port beside the UDP ones where TCP is taken, for the directory: 443 before others; 0: none.
uint16_t volunteer_tcp_port(const struct path *tcp, size_t tcps, const struct path *told, size_t n,
                            bool *beside);

#endif
