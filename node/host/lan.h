// LAN discovery's sockets: multicast on each interface of this computer that has a private address, one hop far. What
// is sent and made of what comes is node/lan.h's.
#ifndef BAUTA_NODE_HOST_LAN_H
#define BAUTA_NODE_HOST_LAN_H

#include "node/host/host.h"
#include "node/lan.h"

// Fixed, so that nodes that know nothing of each other meet: an administratively scoped group (RFC 2365) and a
// transient one of link-local scope (RFC 4291).
#define LAN_GROUP_V4 "239.255.71.113"
#define LAN_GROUP_V6 "ff12::6261:7574:6100"
#define LAN_PORT 47113u

struct lan_host;

// Begins at once. 0 or a UV_ code: no socket of either family.
int lan_host_open(struct lan_host **, uv_loop_t *, struct host *, struct host_node *,
                  const struct net *);
// Interfaces have come or gone.
void lan_host_moved(struct lan_host *);
// At once silent; the rest when libuv has let go. NULL is fine.
void lan_host_close(struct lan_host *);
void lan_host_counters(const struct lan_host *, struct host_lan_counters *);

#endif
