// Tells when this computer's interfaces get or lose addresses, where the system says so: a conversation has
// seconds to find its other end again. Elsewhere the addresses are only looked at now and again.
#ifndef BAUTA_NODE_HOST_NETWATCH_H
#define BAUTA_NODE_HOST_NETWATCH_H

#include <stdbool.h>
#include <uv.h>

struct netwatch {
    void (*changed)(void *ctx);
    void *ctx;
    uv_poll_t poll; // its data pointer is the owner's
    int fd;
    bool open;
};

// Does not keep the loop alive. 0 or a UV_ code: this system, or its settings, don't tell.
int netwatch_open(struct netwatch *, uv_loop_t *, void (*changed)(void *ctx), void *ctx);
// `closed` is called once, later. False: it was not open, and nothing is called.
bool netwatch_close(struct netwatch *, uv_close_cb closed);

#endif
