// Names of bootstrap nodes, looked up again and again until they resolve.
#ifndef BAUTA_NODE_HOST_RESOLVE_H
#define BAUTA_NODE_HOST_RESOLVE_H

#include "node/host/config.h"
#include "node/host/host.h"

struct resolve;

// Looks up one name and hands each of its addresses to the node as a bootstrap. 0 or a UV_ code.
int resolve_start(struct resolve **, uv_loop_t *, struct host_node *, const struct bootstrap *);
void resolve_stop(struct resolve *); // frees it once libuv has let go

#endif
