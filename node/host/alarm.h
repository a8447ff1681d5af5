// One alarm with microsecond resolution on a libuv loop. libuv's own timers count whole milliseconds,
// which is coarser than what a packet's pacing and a loopback's round trip need.
#ifndef BAUTA_NODE_HOST_ALARM_H
#define BAUTA_NODE_HOST_ALARM_H

#include "dht/machine.h"

#include <uv.h>

struct alarm {
    void (*ring)(void *ctx);
    void *ctx;
    usec_t at; // when it rings; USEC_NEVER: it does not
#ifdef __linux__
    usec_t armed; // what the timer is set to, at most `at` while that is wanted
    int fd;
    uv_poll_t handle;
#else
    uv_timer_t handle;
#endif
};

int alarm_open(struct alarm *, uv_loop_t *, void (*ring)(void *ctx), void *ctx); // 0 or a UV_ code
// On the clock of uv_hrtime() / 1000. A time that has passed rings in the next turn of the loop.
void alarm_set(struct alarm *, usec_t at);
// The handle whose closing the owner awaits; its data pointer is the owner's.
uv_handle_t *alarm_close(struct alarm *, uv_close_cb closed);

#endif
