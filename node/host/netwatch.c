#include "node/host/netwatch.h"

#ifdef __linux__
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// What changed is not read: whoever asked looks at all addresses anyhow.
static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct netwatch *w = (struct netwatch *)((char *)handle - offsetof(struct netwatch, poll));
    char dropped[4096];
    bool any = false;
    (void)status;
    (void)events;
    // ENOBUFS: so many came that some were lost.
    while (recv(w->fd, dropped, sizeof dropped, MSG_DONTWAIT) >= 0 || errno == ENOBUFS)
        any = true;
    if (any)
        w->changed(w->ctx);
}

int netwatch_open(struct netwatch *w, uv_loop_t *loop, void (*changed)(void *ctx), void *ctx)
{
    struct sockaddr_nl at;
    memset(&at, 0, sizeof at);
    at.nl_family = AF_NETLINK;
    at.nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
    w->open = false;
    w->changed = changed;
    w->ctx = ctx;
    w->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (w->fd < 0)
        return -errno;
    int rc = bind(w->fd, (struct sockaddr *)&at, sizeof at) == 0 ? 0 : -errno;
    if (rc == 0)
        rc = uv_poll_init(loop, &w->poll, w->fd);
    if (rc != 0) {
        close(w->fd);
        return rc;
    }
    (void)uv_poll_start(&w->poll, UV_READABLE, on_poll);
    uv_unref((uv_handle_t *)&w->poll);
    w->open = true;
    return 0;
}

bool netwatch_close(struct netwatch *w, uv_close_cb closed)
{
    if (!w->open)
        return false;
    w->open = false;
    uv_poll_stop(&w->poll);
    uv_close((uv_handle_t *)&w->poll, closed);
    close(w->fd);
    return true;
}

#else

int netwatch_open(struct netwatch *w, uv_loop_t *loop, void (*changed)(void *ctx), void *ctx)
{
    (void)loop;
    w->changed = changed;
    w->ctx = ctx;
    w->open = false;
    return UV_ENOSYS;
}

bool netwatch_close(struct netwatch *w, uv_close_cb closed)
{
    (void)closed;
    return w->open;
}

#endif
