// Addresses of this computer's interfaces, as candidates for a meeting.
#ifndef BAUTA_NODE_HOST_ADDRS_H
#define BAUTA_NODE_HOST_ADDRS_H

#include "dht/machine.h"

// What a socket bound to `bound` can be reached at from other computers: `bound` itself, or for a wildcard
// each interface's address of its family with its port. Loopback only with `lab`. Link-local IPv6 is left
// out, since its scope means nothing elsewhere. Returns how many of at most `max`.
size_t addrs_of(struct path *out, size_t max, const struct path *bound, bool lab);
bool addrs_wildcard(const struct path *);

#endif
