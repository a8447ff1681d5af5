// A relay's counters as Prometheus reads them (text format 0.0.4), and its health in a word. Numbers only: no address, key,
// place or topic, and nothing that tells one client from another.
#ifndef BAUTA_NODE_HOST_METRICS_TEXT_H
#define BAUTA_NODE_HOST_METRICS_TEXT_H

#include "node/host/links.h"
#include "node/node.h"

// Both return the length, or -1 where it does not fit (METRICS_TEXT_BYTES is enough).
int metrics_text(char *out, size_t cap, const struct node_status *, const struct link_counters *,
                 uint64_t month_bytes);
// "ok", "joining" (no server is known yet) or "draining" (takes no new clients), and a newline. Returns minus the length
// unless it is "ok".
int metrics_health(char *out, size_t cap, const struct node_status *, bool stopping);

#endif
