#include "node/host/alarm.h"

#ifdef __linux__
#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>

static void arm(struct alarm *a, usec_t at)
{
    struct itimerspec when = {0};
    a->armed = at;
    when.it_value.tv_sec = (time_t)(at / USEC_PER_S);
    when.it_value.tv_nsec = (long)(at % USEC_PER_S * 1000);
    if (at == 0)
        when.it_value.tv_nsec = 1; // all zero would disarm
    (void)timerfd_settime(a->fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct alarm *a = (struct alarm *)((char *)handle - offsetof(struct alarm, handle));
    uint64_t rung;
    (void)status;
    (void)events;
    if (read(a->fd, &rung, sizeof rung) != (ssize_t)sizeof rung)
        return;
    usec_t at = a->at;
    a->armed = USEC_NEVER;
    if (at == USEC_NEVER)
        return;
    if (at > uv_hrtime() / 1000) { // it was put off since the timer was set
        arm(a, at);
        return;
    }
    a->at = USEC_NEVER;
    a->ring(a->ctx);
}

int alarm_open(struct alarm *a, uv_loop_t *loop, void (*ring)(void *ctx), void *ctx)
{
    a->ring = ring;
    a->ctx = ctx;
    a->at = a->armed = USEC_NEVER;
    a->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (a->fd < 0)
        return -errno;
    int rc = uv_poll_init(loop, &a->handle, a->fd);
    if (rc == 0)
        rc = uv_poll_start(&a->handle, UV_READABLE, on_poll);
    if (rc != 0)
        close(a->fd);
    return rc;
}

void alarm_set(struct alarm *a, usec_t at)
{
    a->at = at;
    // A deadline that moves away with each packet costs no system call: the timer rings once too early.
    if (at < a->armed)
        arm(a, at);
}

uv_handle_t *alarm_close(struct alarm *a, uv_close_cb closed)
{
    uv_poll_stop(&a->handle);
    uv_close((uv_handle_t *)&a->handle, closed);
    close(a->fd);
    return (uv_handle_t *)&a->handle;
}

#else

static void on_timer(uv_timer_t *handle)
{
    struct alarm *a = (struct alarm *)((char *)handle - offsetof(struct alarm, handle));
    a->at = USEC_NEVER;
    a->ring(a->ctx);
}

int alarm_open(struct alarm *a, uv_loop_t *loop, void (*ring)(void *ctx), void *ctx)
{
    a->ring = ring;
    a->ctx = ctx;
    a->at = USEC_NEVER;
    return uv_timer_init(loop, &a->handle);
}

void alarm_set(struct alarm *a, usec_t at)
{
    if (at == a->at)
        return;
    a->at = at;
    if (at == USEC_NEVER) {
        uv_timer_stop(&a->handle);
        return;
    }
    usec_t now = uv_hrtime() / 1000;
    uv_update_time(a->handle.loop);
    // Below a millisecond the next turn of the loop runs it, which is early by less than that: a
    // machine that is asked too soon has nothing due and gives the same deadline again.
    uv_timer_start(&a->handle, on_timer, at > now ? (at - now) / 1000 : 0, 0);
}

uv_handle_t *alarm_close(struct alarm *a, uv_close_cb closed)
{
    uv_close((uv_handle_t *)&a->handle, closed);
    return (uv_handle_t *)&a->handle;
}
#endif
