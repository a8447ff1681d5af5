// Asks the router for a port that leads to our socket, keeps it open, and has it closed again. All that speaks
// with the router is in another process (portmapper.h), one for each run; what it answers is checked here.
#ifndef BAUTA_NODE_HOST_PORTMAP_H
#define BAUTA_NODE_HOST_PORTMAP_H

#include "node/host/portmap_wire.h"

#include <uv.h>

struct portmap;

struct portmap_config {
    uint8_t bound[4]; // address our IPv4 socket is bound to; zero: every one
    uint16_t port;    // and its port
    uint32_t lease_s; // asked for
    bool lab;         // private outside addresses are fine
    // After each run, and whenever what portmap_get gives is another.
    void (*changed)(void *ctx);
    void *ctx;
};

struct portmap_mapping {
    enum portmap_protocol protocol;
    struct path external;
    usec_t until; // the lease ends, on the clock of host_now
};
struct portmap_counters {
    uint64_t runs;   // processes that ended or were killed
    uint64_t failed; // of these: no router, or it refused, or answered what makes no sense;
    uint64_t killed; // among those: not done in time, or said too much
    uint64_t lied;   // gave an address, port or lease that is of no use to strangers
};

// Does nothing yet. 0 or UV_ENOMEM.
int portmap_open(struct portmap **, uv_loop_t *, const struct portmap_config *);
// True: asks for a port and keeps it. False: has it closed; `changed` is called at once where one was open.
void portmap_want(struct portmap *, bool on);
// The interfaces changed: asks again soon.
void portmap_moved(struct portmap *);
bool portmap_get(const struct portmap *, struct portmap_mapping *); // false: none
void portmap_count(const struct portmap *, struct portmap_counters *);
// A port is being closed.
bool portmap_closing(const struct portmap *);
// Kills what runs, calls nothing any more, and frees itself as the loop goes on. NULL: no effect.
void portmap_close(struct portmap *);
const char *portmap_protocol_name(enum portmap_protocol); // "nat-pmp", "upnp"

#endif
