// The process that speaks with routers: `bauta port-mapper`, started by the node (portmap.h), which takes whatever
// it says for a stranger's. libnatpmp and miniupnpc block and have been exploited; here they have nothing to take and
// little to spend, and are killed when their time is over.
#ifndef BAUTA_NODE_HOST_PORTMAPPER_H
#define BAUTA_NODE_HOST_PORTMAPPER_H

#include "node/host/portmap_wire.h"

#include <netinet/in.h>

// Serves one request on standard input with one answer on standard output. Exit status.
int portmapper(void);

// ---- its two halves ----
struct portmap_router {
    in_addr_t address; // of the default route
    in_addr_t own;     // our address towards it
    uint8_t octets[4]; // of the router's address
    char own_text[16];
};
// Each returns whether the router did as asked; `a` is filled in by the first two.
bool portmap_natpmp_map(const struct portmap_router *, const struct portmap_request *,
                        struct portmap_answer *a);
bool portmap_upnp_map(const struct portmap_router *, const struct portmap_request *,
                      struct portmap_answer *a);
bool portmap_natpmp_unmap(const struct portmap_router *, const struct portmap_request *);
bool portmap_upnp_unmap(const struct portmap_router *, const struct portmap_request *);

#endif
