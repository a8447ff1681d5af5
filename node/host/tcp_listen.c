// Connections that others open, and how many of them there may be.
#include "dht/path.h"
#include "node/host/descriptor.h"
#include "node/host/tcp_internal.h"
#include "node/host/udp.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// Whom a newcomer takes the place of: whoever waits longest for a first answer of ours. `prefix` NULL: of all.
struct crowd {
    unsigned count;
    struct tcp_conn *oldest;
};

static void join(struct crowd *crowd, struct tcp_conn *c)
{
    crowd->count++;
    if (!c->proven && (crowd->oldest == NULL || c->until_ms < crowd->oldest->until_ms))
        crowd->oldest = c;
}

static bool leave(struct crowd *crowd, unsigned max)
{
    if (crowd->count < max)
        return true;
    if (crowd->oldest == NULL)
        return false;
    tcp_conn_end(crowd->oldest);
    return true;
}

static bool admit(struct tcp *t, const struct path *from)
{
    struct crowd all = {0}, near = {0};
    struct prefix prefix = path_coarse(from);
    for (unsigned i = 0; i < TCP_HEADS; i++)
        for (struct tcp_conn *c = t->head[i]; c != NULL; c = c->next) {
            struct prefix other = path_coarse(&c->path);
            if (!c->accepted)
                continue;
            join(&all, c);
            if (memcmp(&other, &prefix, sizeof prefix) == 0)
                join(&near, c);
        }
    bool crowded = t->cfg.prefix_limits && near.count >= TCP_PREFIX_MAX;
    return crowded ? leave(&near, TCP_PREFIX_MAX) : leave(&all, TCP_ACCEPTED_MAX);
}

static void accepted(struct tcp *t, int fd)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof sa;
    struct path from;
    uint8_t key[32];
    if (getpeername(fd, (struct sockaddr *)&sa, &len) != 0) { // it has gone
        close(fd);
        return;
    }
    udp_path(&from, (struct sockaddr *)&sa);
    from.via = VIA_TCP;
    struct tcp_conn *old = tcp_find(t, &from);
    if (old != NULL && old->accepted) // its other end has forgotten it
        tcp_conn_end(old);
    if ((old != NULL && !old->accepted) || !t->cfg.key(t->cfg.ctx, NULL, key) || !admit(t, &from)) {
        t->count.refused++;
        close(fd);
        return;
    }
    tcp_options(fd);
    struct tcp_conn *c = tcp_conn_new(t, &from, fd, UV_READABLE);
    if (c == NULL)
        return;
    t->count.accepted++;
    c->accepted = true;
    c->state = TCP_OPEN;
    c->until_ms = tcp_unproven_until(t);
    stream_accept(&c->stream, key);
}

static void pause_all(struct tcp *t, bool pause);

static void on_listener(uv_poll_t *poll, int status, int events)
{
    struct tcp_listener *l =
        (struct tcp_listener *)((char *)poll - offsetof(struct tcp_listener, poll));
    struct tcp *t = l->tcp;
    (void)status;
    (void)events;
    for (unsigned i = 0; i < TCP_ACCEPTS_AT_ONCE; i++) {
        if (t->accepts == TCP_ACCEPTS_PER_S) {
            pause_all(t, true);
            return;
        }
        int fd = descriptor_accept(l->fd);
        if (fd == -EAGAIN || fd == -EWOULDBLOCK)
            return;
        t->accepts++;
        if (fd >= 0) {
            accepted(t, fd);
            continue;
        }
        t->count.refused++;
        if (fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM || fd == -ENOBUFS) {
            pause_all(t, true); // it would only be told again and again
            return;
        }
    }
}

static void pause_all(struct tcp *t, bool pause)
{
    for (unsigned i = 0; i < t->listeners; i++) {
        struct tcp_listener *l = &t->listener[i];
        if (l->paused == pause)
            continue;
        l->paused = pause;
        int rc = pause ? uv_poll_stop(&l->poll) : uv_poll_start(&l->poll, UV_READABLE, on_listener);
        assert(rc == 0);
        (void)rc;
    }
}

void tcp_listen_tick(struct tcp *t)
{
    t->accepts = 0;
    pause_all(t, false);
}

static int listener_open(const struct path *path, struct path *bound)
{
    struct sockaddr_storage sa;
    socklen_t len = udp_sockaddr(&sa, path), all = sizeof sa;
    bool v6 = path->family != 4;
    int one = 1, fd = descriptor_socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM);
    if (fd < 0)
        return fd;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        (v6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) != 0) ||
        bind(fd, (struct sockaddr *)&sa, len) != 0 || listen(fd, TCP_BACKLOG) != 0 ||
        getsockname(fd, (struct sockaddr *)&sa, &all) != 0) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    udp_path(bound, (struct sockaddr *)&sa);
    return fd;
}

int tcp_listen(struct tcp *t, const struct path *path, struct path *bound)
{
    if (t->listeners == TCP_LISTENERS_MAX)
        return -EMFILE;
    int fd = listener_open(path, bound);
    if (fd < 0)
        return fd;
    struct tcp_listener *l = &t->listener[t->listeners];
    int rc = uv_poll_init(t->cfg.loop, &l->poll, fd);
    if (rc != 0) {
        close(fd);
        return rc;
    }
    l->tcp = t;
    l->fd = fd;
    l->paused = true;
    t->listeners++;
    t->holds++;
    pause_all(t, false);
    return 0;
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct tcp_listener *l =
        (struct tcp_listener *)((char *)handle - offsetof(struct tcp_listener, poll));
    tcp_release(l->tcp);
}

void tcp_listen_end(struct tcp *t)
{
    for (unsigned i = 0; i < t->listeners; i++) {
        struct tcp_listener *l = &t->listener[i];
        uv_poll_stop(&l->poll);
        uv_close((uv_handle_t *)&l->poll, on_listener_closed);
        close(l->fd);
    }
}
