// What a helper process gives up before it touches a stranger's bytes. It holds no secret to begin with.
#ifndef BAUTA_NODE_HOST_CONFINE_H
#define BAUTA_NODE_HOST_CONFINE_H

#include <stdbool.h>

// Only the standard streams stay open; bounds on memory, processor, files and life; no further processes
// or privileges; not root any more; ends with its parent where the system offers that. False: refused.
bool confine_begin(void);
// Nothing but IPv4 and IPv6 sockets from here on, and those streams (Linux; elsewhere no effect). False: refused.
bool confine_network(void);

#endif
