// The smallest HTTP server: two pages for programs on this computer, GET /metrics and GET /healthz (RFC 9110, 9112). One
// request a connection, nothing of a request's body is read, and each connection has a deadline.
#ifndef BAUTA_NODE_HOST_METRICS_H
#define BAUTA_NODE_HOST_METRICS_H

#include "dht/machine.h"
#include "node/host/limits.h"

#include <uv.h>

struct metrics;

enum metrics_page { METRICS_PAGE, METRICS_HEALTH };
// Writes the page. Its length; negative: minus the length of what says that it is not well (503), or -1: no room (500).
typedef int (*metrics_fn)(void *ctx, enum metrics_page, char *out, size_t cap);

// `at` is a loopback address. 0, or -1 with a line for a person.
int metrics_open(struct metrics **, uv_loop_t *, const struct path *at, metrics_fn, void *ctx,
                 char error[static HOST_ERROR_BYTES]);
void metrics_close(struct metrics *); // NULL is fine

// What a request asks for: 0: its head is not whole yet; 200 with the page; or the status of an error: 400, 404, 405, 421
// (its Host is not this computer: a page of the web may not read ours by a name that it lets point here).
int metrics_request(const char *head, size_t len, enum metrics_page *);

#endif
