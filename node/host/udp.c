#include "node/host/udp.h"

#include "dht/path.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void udp_path(struct path *p, const struct sockaddr *sa)
{
    memset(p, 0, sizeof *p);
    if (sa->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, sa, sizeof in);
        *p = path_v4((const uint8_t *)&in.sin_addr, ntohs(in.sin_port));
    } else if (sa->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, sa, sizeof in6);
        *p = path_v6(in6.sin6_addr.s6_addr, ntohs(in6.sin6_port));
    }
}

socklen_t udp_sockaddr(struct sockaddr_storage *out, const struct path *p)
{
    memset(out, 0, sizeof *out);
    if (p->family == 4) {
        struct sockaddr_in *in = (struct sockaddr_in *)out;
        in->sin_family = AF_INET;
        in->sin_port = htons(p->port);
        memcpy(&in->sin_addr, p->ip, 4);
        return sizeof *in;
    }
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(p->port);
    memcpy(&in6->sin6_addr, p->ip, 16);
    return sizeof *in6;
}

static void poll_for(struct udp *u, int events);

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct udp *u = (struct udp *)((char *)handle - offsetof(struct udp, handle));
    // A status is an error that epoll reported; reading the socket clears it.
    bool readable = status != 0 || (events & UV_READABLE) != 0;
    u->ready(u->ctx, u, readable, (events & UV_WRITABLE) != 0);
}

static void poll_for(struct udp *u, int events)
{
    int rc = uv_poll_start(&u->handle, events, on_poll);
    assert(rc == 0);
    (void)rc;
}

static int socket_open(const struct path *listen, struct path *bound)
{
    int fd = socket(listen->family == 4 ? AF_INET : AF_INET6, SOCK_DGRAM, 0);
    if (fd < 0)
        return -errno;
    int one = 1, bytes = (int)UDP_SOCKET_BYTES;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    struct sockaddr_storage sa;
    socklen_t len = udp_sockaddr(&sa, listen);
    if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) != 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 ||
        (listen->family == 6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) != 0) ||
        bind(fd, (struct sockaddr *)&sa, len) != 0) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    len = sizeof sa;
    if (getsockname(fd, (struct sockaddr *)&sa, &len) != 0) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    udp_path(bound, (struct sockaddr *)&sa);
    return fd;
}

int udp_open(struct udp *u, uv_loop_t *loop, const struct path *listen,
             void (*ready)(void *ctx, struct udp *, bool readable, bool writable), void *ctx)
{
    memset(u, 0, sizeof *u);
    u->ready = ready;
    u->ctx = ctx;
    u->fd = socket_open(listen, &u->bound);
    if (u->fd < 0)
        return u->fd;
    int rc = uv_poll_init(loop, &u->handle, u->fd);
    if (rc != 0) {
        close(u->fd);
        return rc;
    }
    poll_for(u, UV_READABLE);
    return 0;
}

void udp_close(struct udp *u, uv_close_cb closed)
{
    uv_poll_stop(&u->handle);
    uv_close((uv_handle_t *)&u->handle, closed);
    close(u->fd);
    if (u->waiting != NULL) {
        sodium_memzero(u->waiting, UDP_QUEUE_DATAGRAMS_MAX * sizeof *u->waiting);
        free(u->waiting);
        u->waiting = NULL;
    }
}

// ---- in ---------------------------------------------------------------------------------------------

static bool take(struct udp *u, struct udp_buffers *b, size_t from, size_t to, size_t len, bool cut)
{
    if (cut || len == 0) {
        u->dropped_long += cut;
        return false;
    }
    if (from != to)
        memcpy(b->data[to], b->data[from], len);
    struct rx *rx = &b->rx[to];
    memset(rx, 0, sizeof *rx);
    udp_path(&rx->path, (struct sockaddr *)&b->from[from]);
    rx->data = b->data[to];
    rx->len = (uint32_t)len;
    rx->seg_size = (uint16_t)len;
    return rx->path.family != 0 && rx->path.port != 0;
}

#ifdef __linux__
size_t udp_receive(struct udp *u, struct udp_buffers *b)
{
    struct mmsghdr msg[UDP_BATCH];
    struct iovec iov[UDP_BATCH];
    memset(msg, 0, sizeof msg);
    for (size_t i = 0; i < UDP_BATCH; i++) {
        iov[i] = (struct iovec){b->data[i], UDP_DATAGRAM_BYTES};
        msg[i].msg_hdr.msg_name = &b->from[i];
        msg[i].msg_hdr.msg_namelen = sizeof b->from[i];
        msg[i].msg_hdr.msg_iov = &iov[i];
        msg[i].msg_hdr.msg_iovlen = 1;
    }
    size_t got = 0;
    while (got == 0) {
        int n = recvmmsg(u->fd, msg, UDP_BATCH, MSG_DONTWAIT, NULL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return 0;
        for (size_t i = 0; i < (size_t)n; i++)
            got += take(u, b, i, got, msg[i].msg_len, (msg[i].msg_hdr.msg_flags & MSG_TRUNC) != 0);
    }
    return got;
}
#else
size_t udp_receive(struct udp *u, struct udp_buffers *b)
{
    size_t got = 0;
    for (size_t tries = 0; got < UDP_BATCH && tries < 2 * UDP_BATCH; tries++) {
        struct iovec iov = {b->data[got], UDP_DATAGRAM_BYTES};
        struct msghdr msg = {0};
        msg.msg_name = &b->from[got];
        msg.msg_namelen = sizeof b->from[got];
        msg.msg_iov = &iov;
        msg.msg_iovlen = 1;
        ssize_t n = recvmsg(u->fd, &msg, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break;
        got += take(u, b, got, got, (size_t)n, (msg.msg_flags & MSG_TRUNC) != 0);
    }
    return got;
}
#endif

// ---- out --------------------------------------------------------------------------------------------

struct out { // one datagram on its way
    const struct path *path;
    const uint8_t *data;
    size_t len;
    uint64_t batch_id;
};

static bool no_room(int err)
{
    return err == EAGAIN || err == EWOULDBLOCK || err == ENOBUFS;
}

// Hands the first of n datagrams to the kernel, as many as it takes. Returns how many, or a negative
// errno that concerns out[0] alone.
static int send_some(struct udp *u, const struct out *out, size_t n)
{
    struct sockaddr_storage to[UDP_BATCH];
    struct iovec iov[UDP_BATCH];
    assert(n >= 1 && n <= UDP_BATCH);
#ifdef __linux__
    struct mmsghdr msg[UDP_BATCH];
    memset(msg, 0, n * sizeof *msg);
    for (size_t i = 0; i < n; i++) {
        iov[i] = (struct iovec){(void *)(uintptr_t)out[i].data, out[i].len};
        msg[i].msg_hdr.msg_name = &to[i];
        msg[i].msg_hdr.msg_namelen = udp_sockaddr(&to[i], out[i].path);
        msg[i].msg_hdr.msg_iov = &iov[i];
        msg[i].msg_hdr.msg_iovlen = 1;
    }
    int rc;
    do
        rc = sendmmsg(u->fd, msg, (unsigned)n, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (rc < 0 && errno == EINTR);
    if (rc >= 0 || (errno != ENOSYS && errno != EOPNOTSUPP))
        return rc < 0 ? -errno : rc;
#endif
    struct msghdr one = {0};
    iov[0] = (struct iovec){(void *)(uintptr_t)out[0].data, out[0].len};
    one.msg_name = &to[0];
    one.msg_namelen = udp_sockaddr(&to[0], out[0].path);
    one.msg_iov = &iov[0];
    one.msg_iovlen = 1;
    ssize_t sent;
    do
        sent = sendmsg(u->fd, &one, MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : 1;
}

static void keep(struct udp *u, const struct out *out)
{
    if (u->waiting == NULL)
        u->waiting = calloc(UDP_QUEUE_DATAGRAMS_MAX, sizeof *u->waiting);
    if (u->waiting == NULL || u->waiting_count == UDP_QUEUE_DATAGRAMS_MAX ||
        out->len > CLASS_FULL) {
        u->dropped_full++;
        return;
    }
    struct udp_waiting *w =
        &u->waiting[(u->waiting_at + u->waiting_count) % UDP_QUEUE_DATAGRAMS_MAX];
    w->path = *out->path;
    w->len = (uint16_t)out->len;
    memcpy(w->data, out->data, out->len);
    if (u->waiting_count++ == 0)
        poll_for(u, UV_READABLE | UV_WRITABLE);
}

// Sends out[0..n), keeps what finds no room. Returns the new number of failures.
static size_t push(struct udp *u, const struct out *out, size_t n, struct udp_failure *fail,
                   size_t failed)
{
    size_t i = 0;
    while (i < n && u->waiting_count == 0) {
        int rc = send_some(u, out + i, n - i);
        if (rc > 0) {
            i += (size_t)rc;
        } else if (rc == 0 || no_room(-rc)) {
            break;
        } else {
            u->failed++;
            // Of a batch with many failing datagrams the first one says all.
            bool told = failed > 0 && fail[failed - 1].batch_id == out[i].batch_id;
            if (!told && failed < UDP_BATCH)
                fail[failed++] = (struct udp_failure){out[i].batch_id, rc};
            i++;
        }
    }
    for (; i < n; i++)
        keep(u, &out[i]);
    return failed;
}

size_t udp_send(struct udp *u, const struct batch *batch, size_t n,
                struct udp_failure fail[static UDP_BATCH])
{
    struct out out[UDP_BATCH];
    size_t k = 0, failed = 0;
    for (size_t b = 0; b < n; b++) {
        size_t size = batch[b].seg_size > 0 ? batch[b].seg_size : batch[b].len;
        for (size_t at = 0; at < batch[b].len; at += size) {
            size_t left = batch[b].len - at;
            out[k++] = (struct out){&batch[b].path, batch[b].data + at, left < size ? left : size,
                                    batch[b].id};
            if (k == UDP_BATCH) {
                failed = push(u, out, k, fail, failed);
                k = 0;
            }
        }
    }
    return k > 0 ? push(u, out, k, fail, failed) : failed;
}

void udp_flush(struct udp *u)
{
    while (u->waiting_count > 0) {
        struct out out[UDP_BATCH];
        size_t n = 0;
        for (; n < UDP_BATCH && n < u->waiting_count; n++) {
            const struct udp_waiting *w =
                &u->waiting[(u->waiting_at + n) % UDP_QUEUE_DATAGRAMS_MAX];
            out[n] = (struct out){&w->path, w->data, w->len, 0};
        }
        int rc = send_some(u, out, n);
        if (rc == 0 || (rc < 0 && no_room(-rc)))
            return;
        if (rc < 0) {
            u->failed++; // its batch is long forgotten; loss recovery deals with it
            rc = 1;
        }
        u->waiting_at = (u->waiting_at + (uint32_t)rc) % UDP_QUEUE_DATAGRAMS_MAX;
        u->waiting_count -= (uint32_t)rc;
    }
    poll_for(u, UV_READABLE);
}

bool udp_congested(const struct udp *u)
{
    return u->waiting_count > UDP_QUEUE_DATAGRAMS_MAX / 2;
}
