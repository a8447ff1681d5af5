// SIGINT, SIGTERM and SIGHUP as one wish to end. A SIGHUP that is ignored already (nohup) stays so.
#ifndef BAUTA_NODE_HOST_SIGNALS_H
#define BAUTA_NODE_HOST_SIGNALS_H

#include <stdbool.h>
#include <uv.h>

struct signals {
    uv_signal_t handle[3];
    void (*end)(void *ctx);
    void *ctx;
    bool closed;
};

void signals_open(struct signals *, uv_loop_t *, void (*end)(void *ctx), void *ctx);
void signals_close(struct signals *);

#endif
