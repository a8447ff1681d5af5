#include "node/host/udp.h"

#include "dht/path.h"
#include "node/host/descriptor.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __linux__
#include <netinet/udp.h>
#endif

#define ECN_BITS 3u // the lower two of the traffic class

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

// Buffers are a wish; what came of it is read back.
static uint32_t buffer_bytes(int fd, int option, int bytes)
{
    (void)setsockopt(fd, SOL_SOCKET, option, &bytes, sizeof bytes);
    socklen_t len = sizeof bytes;
    if (getsockopt(fd, SOL_SOCKET, option, &bytes, &len) != 0 || bytes < 0)
        return 0;
    return (uint32_t)bytes;
}

// Whatever of this the system lacks, datagrams go without.
static void socket_options(struct udp *u, bool v6)
{
    int on = 1;
    int bytes = u->via == VIA_UDP ? (int)UDP_SOCKET_BYTES : (int)UDP_EXTRA_SOCKET_BYTES;
    u->receive_bytes = buffer_bytes(u->fd, SO_RCVBUF, bytes);
    u->send_bytes = buffer_bytes(u->fd, SO_SNDBUF, bytes);
    (void)setsockopt(u->fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVTCLASS : IP_RECVTOS, &on,
                     sizeof on);
#ifdef __linux__
    int probe = v6 ? IPV6_PMTUDISC_PROBE : IP_PMTUDISC_PROBE, none = 0;
    (void)setsockopt(u->fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP,
                     v6 ? IPV6_MTU_DISCOVER : IP_MTU_DISCOVER, &probe, sizeof probe);
    u->gso = setsockopt(u->fd, IPPROTO_UDP, UDP_SEGMENT, &none, sizeof none) == 0;
    u->gro = setsockopt(u->fd, IPPROTO_UDP, UDP_GRO, &on, sizeof on) == 0;
#else
#ifdef IPV6_DONTFRAG
    if (v6)
        (void)setsockopt(u->fd, IPPROTO_IPV6, IPV6_DONTFRAG, &on, sizeof on);
#endif
#ifdef IP_DONTFRAG
    if (!v6)
        (void)setsockopt(u->fd, IPPROTO_IP, IP_DONTFRAG, &on, sizeof on);
#endif
#endif
}

static int socket_open(struct udp *u, const struct path *listen)
{
    bool v6 = listen->family != 4;
    int one = 1;
    u->fd = descriptor_socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM);
    if (u->fd < 0)
        return u->fd;
    struct sockaddr_storage sa;
    socklen_t len = udp_sockaddr(&sa, listen), all = sizeof sa;
    if ((v6 && setsockopt(u->fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) != 0) ||
        bind(u->fd, (struct sockaddr *)&sa, len) != 0 ||
        getsockname(u->fd, (struct sockaddr *)&sa, &all) != 0) {
        int rc = -errno;
        close(u->fd);
        return rc;
    }
    udp_path(&u->bound, (struct sockaddr *)&sa);
    socket_options(u, v6);
    return 0;
}

// `u` is zeroed but for what the kinds of sockets differ in.
static int start(struct udp *u, uv_loop_t *loop, const struct path *listen,
                 void (*ready)(void *ctx, struct udp *, bool readable, bool writable), void *ctx)
{
    u->ready = ready;
    u->ctx = ctx;
    int rc = socket_open(u, listen);
    if (rc != 0)
        return rc;
    rc = uv_poll_init(loop, &u->handle, u->fd);
    if (rc != 0) {
        close(u->fd);
        return rc;
    }
    poll_for(u, UV_READABLE);
    return 0;
}

int udp_open(struct udp *u, uv_loop_t *loop, const struct path *listen,
             void (*ready)(void *ctx, struct udp *, bool readable, bool writable), void *ctx)
{
    memset(u, 0, sizeof *u);
    u->waiting_max = UDP_QUEUE_DATAGRAMS_MAX;
    return start(u, loop, listen, ready, ctx);
}

int udp_open_extra(struct udp *u, uv_loop_t *loop, const struct path *local, uint32_t via,
                   void (*ready)(void *ctx, struct udp *, bool readable, bool writable), void *ctx)
{
    struct path any = *local;
    any.port = 0;
    memset(u, 0, sizeof *u);
    u->via = via;
    u->waiting_max = UDP_EXTRA_QUEUE_DATAGRAMS_MAX;
    return start(u, loop, &any, ready, ctx);
}

static void forget_waiting(struct udp *u)
{
    if (u->waiting == NULL)
        return;
    sodium_memzero(u->waiting, u->waiting_max * sizeof *u->waiting);
    free(u->waiting);
    u->waiting = NULL;
    u->waiting_at = u->waiting_count = 0;
}

void udp_close(struct udp *u, uv_close_cb closed)
{
    uv_poll_stop(&u->handle);
    uv_close((uv_handle_t *)&u->handle, closed);
    close(u->fd);
    u->fd = -1;
    forget_waiting(u);
}

bool udp_clamped(const struct udp *u)
{
    return u->receive_bytes < UDP_SOCKET_BYTES_MIN || u->send_bytes < UDP_SOCKET_BYTES_MIN;
}

// ---- in ---------------------------------------------------------------------------------------------

static void expect(struct msghdr *h, struct iovec *iov, struct udp_buffers *b, size_t i)
{
    *iov = (struct iovec){b->data[i], UDP_READ_BYTES};
    memset(h, 0, sizeof *h);
    h->msg_name = &b->from[i];
    h->msg_namelen = sizeof b->from[i];
    h->msg_iov = iov;
    h->msg_iovlen = 1;
    h->msg_control = b->control[i].bytes;
    h->msg_controllen = UDP_CONTROL_BYTES;
}

// What the kernel says about a buffer: the size of its datagrams, their ECN bits.
static void read_control(struct msghdr *h, struct rx *rx)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL; c = CMSG_NXTHDR(h, c)) {
        uint8_t tos;
        int value;
#ifdef UDP_GRO
        if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
            memcpy(&value, CMSG_DATA(c), sizeof value);
            if (value > 0 && value <= UINT16_MAX)
                rx->seg_size = (uint16_t)value;
            continue;
        }
#endif
        if (c->cmsg_level == IPPROTO_IP && (c->cmsg_type == IP_TOS || c->cmsg_type == IP_RECVTOS)) {
            memcpy(&tos, CMSG_DATA(c), sizeof tos); // one byte, whatever was sent as an int
            rx->ecn = tos & ECN_BITS;
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
            memcpy(&value, CMSG_DATA(c), sizeof value);
            rx->ecn = (uint8_t)((unsigned)value & ECN_BITS);
        }
    }
}

// Makes an rx of message i, or not: too long, empty, from nowhere.
static bool take(struct udp *u, struct udp_buffers *b, size_t i, size_t to, struct msghdr *h,
                 size_t len)
{
    struct rx *rx = &b->rx[to];
    if (len == 0)
        return false;
    *rx = (struct rx){.data = b->data[i], .len = (uint32_t)len, .seg_size = (uint16_t)len};
    if (len > UINT16_MAX) // can't be one datagram
        rx->seg_size = UINT16_MAX;
    read_control(h, rx);
    if (rx->seg_size > UDP_DATAGRAM_BYTES || (h->msg_flags & MSG_TRUNC) != 0) {
        u->dropped_long++;
        return false;
    }
    udp_path(&rx->path, (struct sockaddr *)&b->from[i]);
    rx->path.via = u->via;
    return rx->path.family != 0 && rx->path.port != 0;
}

#ifdef __linux__
size_t udp_receive(struct udp *u, struct udp_buffers *b, bool *more)
{
    struct mmsghdr msg[UDP_READS];
    struct iovec iov[UDP_READS];
    size_t got = 0;
    int n;
    for (size_t i = 0; i < UDP_READS; i++)
        expect(&msg[i].msg_hdr, &iov[i], b, i);
    do
        n = recvmmsg(u->fd, msg, UDP_READS, MSG_DONTWAIT, NULL);
    while (n < 0 && errno == EINTR);
    *more = n == (int)UDP_READS;
    for (int i = 0; i < n; i++)
        got += take(u, b, (size_t)i, got, &msg[i].msg_hdr, msg[i].msg_len);
    return got;
}
#else
size_t udp_receive(struct udp *u, struct udp_buffers *b, bool *more)
{
    size_t got = 0;
    *more = true;
    for (size_t i = 0; i < UDP_READS; i++) {
        struct iovec iov;
        struct msghdr msg;
        ssize_t n;
        expect(&msg, &iov, b, i);
        do
            n = recvmsg(u->fd, &msg, MSG_DONTWAIT);
        while (n < 0 && errno == EINTR);
        if (n < 0) {
            *more = false;
            break;
        }
        got += take(u, b, i, got, &msg, (size_t)n);
    }
    return got;
}
#endif

// ---- out --------------------------------------------------------------------------------------------

struct
    message { // one send: a datagram, or several for one address of `seg` bytes each, the last maybe less
    const struct path *path;
    struct iovec *iov;
    size_t iovs;
    size_t count, seg;
    uint64_t batch_id;
    uint8_t ecn, ttl;
};

struct messages { // those of one system call
    size_t n, iovs;
    struct message m[UDP_SENDS];
    struct iovec iov[UDP_SENDS];
};

static bool no_room(int err)
{
    return err == EAGAIN || err == EWOULDBLOCK || err == ENOBUFS;
}

// May this error be about sending many at once? Others are about the address, which they share.
static bool blames_offload(int err)
{
    return err == EIO || err == EINVAL || err == EMSGSIZE || err == EOPNOTSUPP || err == ENOMEM;
}

// Returns the place of the next one.
static struct cmsghdr *put_int(struct msghdr *h, struct cmsghdr *c, int level, int type, int value,
                               size_t *len)
{
    c->cmsg_level = level;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(sizeof value);
    memcpy(CMSG_DATA(c), &value, sizeof value);
    *len += CMSG_SPACE(sizeof value);
    return CMSG_NXTHDR(h, c);
}

static void put_control(struct msghdr *h, struct udp_control *room, const struct message *m)
{
    size_t len = 0;
    h->msg_control = room->bytes;
    h->msg_controllen = sizeof room->bytes;
    memset(room, 0, sizeof *room);
    struct cmsghdr *c = CMSG_FIRSTHDR(h);
#ifdef UDP_SEGMENT
    if (m->count > 1) {
        uint16_t seg = (uint16_t)m->seg;
        c->cmsg_level = IPPROTO_UDP;
        c->cmsg_type = UDP_SEGMENT;
        c->cmsg_len = CMSG_LEN(sizeof seg);
        memcpy(CMSG_DATA(c), &seg, sizeof seg);
        len += CMSG_SPACE(sizeof seg);
        c = CMSG_NXTHDR(h, c);
    }
#endif
    bool four = m->path->family == 4;
    int level = four ? IPPROTO_IP : IPPROTO_IPV6;
    if (m->ecn != 0)
        c = put_int(h, c, level, four ? IP_TOS : IPV6_TCLASS, m->ecn, &len);
    if (m->ttl != 0)
        (void)put_int(h, c, level, four ? IP_TTL : IPV6_HOPLIMIT, m->ttl, &len);
    h->msg_controllen = len;
    if (len == 0)
        h->msg_control = NULL;
}

static void put_header(struct msghdr *h, struct sockaddr_storage *to, struct udp_control *control,
                       const struct message *m)
{
    memset(h, 0, sizeof *h);
    h->msg_name = to;
    h->msg_namelen = udp_sockaddr(to, m->path);
    h->msg_iov = m->iov;
    h->msg_iovlen = m->iovs;
    put_control(h, control, m);
}

// Hands messages to the kernel, as many as it takes. Returns how many, or a negative errno that
// concerns the first alone.
static int send_some(struct udp *u, const struct messages *all)
{
#ifdef __linux__
    struct sockaddr_storage to[UDP_SENDS];
    struct udp_control control[UDP_SENDS];
    struct mmsghdr msg[UDP_SENDS];
    for (size_t i = 0; i < all->n; i++)
        put_header(&msg[i].msg_hdr, &to[i], &control[i], &all->m[i]);
    int rc;
    do
        rc = sendmmsg(u->fd, msg, (unsigned)all->n, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (rc < 0 && errno == EINTR);
    return rc < 0 ? -errno : rc;
#else
    struct sockaddr_storage to;
    struct udp_control control;
    struct msghdr one;
    put_header(&one, &to, &control, &all->m[0]);
    ssize_t sent;
    do
        sent = sendmsg(u->fd, &one, MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : 1;
#endif
}

static struct udp_waiting *waiting(const struct udp *u, size_t i)
{
    return &u->waiting[(u->waiting_at + i) % u->waiting_max];
}

static void keep(struct udp *u, const struct batch *b, const uint8_t *data, size_t len)
{
    if (u->waiting == NULL)
        u->waiting = calloc(u->waiting_max, sizeof *u->waiting);
    if (u->waiting == NULL || u->waiting_count == u->waiting_max || len > UDP_KEPT_BYTES) {
        u->dropped_full++;
        return;
    }
    struct udp_waiting *w = waiting(u, u->waiting_count);
    w->path = b->path;
    w->ecn = b->ecn;
    w->ttl = b->ttl;
    w->len = (uint16_t)len;
    memcpy(w->data, data, len);
    if (u->waiting_count++ == 0)
        poll_for(u, UV_READABLE | UV_WRITABLE);
}

struct cursor { // what of some batches is still to be sent
    const struct batch *batch;
    size_t n, i; // batch[i] is next
    uint32_t at; // from this byte on
    bool singly; // batch[i] was refused as a whole
};

static size_t seg_of(const struct batch *b)
{
    return b->seg_size > 0 ? b->seg_size : b->len;
}

// The next message, and the cursor moves past it. Without offload each datagram is one.
static bool next_message(const struct udp *u, struct cursor *c, struct messages *all)
{
    if (c->i == c->n || all->n == UDP_SENDS)
        return false;
    const struct batch *b = &c->batch[c->i];
    assert(c->at < b->len);
    size_t left = b->len - c->at, seg = seg_of(b), len = left;
    size_t whole = UDP_SEGMENTS_MAX * seg;
    if (!u->gso || c->singly || left <= seg)
        len = left < seg ? left : seg;
    else if (left > whole)
        len = whole;
    struct iovec *iov = &all->iov[all->iovs++];
    *iov = (struct iovec){(void *)(uintptr_t)(b->data + c->at), len};
    all->m[all->n++] = (struct message){.path = &b->path,
                                        .iov = iov,
                                        .iovs = 1,
                                        .count = (len + seg - 1) / seg,
                                        .seg = seg,
                                        .batch_id = b->id,
                                        .ecn = b->ecn,
                                        .ttl = b->ttl};
    c->at += (uint32_t)len;
    if (c->at == b->len) {
        c->i++;
        c->at = 0;
        c->singly = false;
    }
    return true;
}

static void fill(const struct udp *u, struct cursor c, struct messages *all)
{
    all->n = all->iovs = 0;
    while (next_message(u, &c, all))
        ;
}

static void skip(const struct udp *u, struct cursor *c, size_t messages)
{
    struct messages one;
    for (size_t i = 0; i < messages; i++) {
        one.n = one.iovs = 0;
        (void)next_message(u, c, &one);
    }
}

static void keep_rest(struct udp *u, struct cursor *c)
{
    c->singly = true;
    for (; c->i < c->n; c->i++, c->at = 0) {
        const struct batch *b = &c->batch[c->i];
        for (size_t seg = seg_of(b); c->at < b->len; c->at += (uint32_t)seg)
            keep(u, b, b->data + c->at, b->len - c->at < seg ? b->len - c->at : seg);
    }
}

size_t udp_send(struct udp *u, const struct batch *batch, size_t n,
                struct udp_failure fail[static UDP_SENDS])
{
    struct messages all;
    struct cursor c = {.batch = batch, .n = n};
    size_t failed = 0;
    while (u->waiting_count == 0) {
        fill(u, c, &all);
        if (all.n == 0)
            return failed;
        int rc = send_some(u, &all);
        if (rc > 0) {
            // The very datagrams that were refused together went out alone: it was the offload.
            bool refused = c.singly && c.at == 0 && all.m[0].count == 1;
            skip(u, &c, (size_t)rc);
            if (refused)
                u->gso = false;
        } else if (rc == 0 || no_room(-rc)) {
            break;
        } else if (all.m[0].count > 1 && blames_offload(-rc)) {
            c.singly = true;
        } else {
            u->failed++;
            // Of a batch with many failing datagrams the first one says all.
            uint64_t id = all.m[0].batch_id;
            if (failed < UDP_SENDS && (failed == 0 || fail[failed - 1].batch_id != id))
                fail[failed++] = (struct udp_failure){id, rc == -EMSGSIZE ? SENT_TOO_LONG : rc};
            skip(u, &c, 1);
        }
    }
    keep_rest(u, &c);
    return failed;
}

// ---- what waits ---------------------------------------------------------------------------------------

// Those of one address, size and mark in a row go out together again.
static void fill_waiting(const struct udp *u, struct messages *all, bool together)
{
    all->n = all->iovs = 0;
    for (size_t i = 0; i < u->waiting_count && all->iovs < UDP_SENDS; i++) {
        struct udp_waiting *w = waiting(u, i);
        struct iovec *iov = &all->iov[all->iovs++];
        *iov = (struct iovec){w->data, w->len};
        struct message *last = all->n > 0 ? &all->m[all->n - 1] : NULL;
        if (together && last != NULL && last->seg == w->len && last->ecn == w->ecn &&
            last->ttl == w->ttl &&
            (last->count + 1) * last->seg <= UDP_READ_BYTES - UDP_DATAGRAM_BYTES &&
            memcmp(last->path, &w->path, sizeof w->path) == 0) {
            last->iovs++;
            last->count++;
        } else {
            all->m[all->n++] = (struct message){.path = &w->path,
                                                .iov = iov,
                                                .iovs = 1,
                                                .count = 1,
                                                .seg = w->len,
                                                .ecn = w->ecn,
                                                .ttl = w->ttl};
        }
    }
}

void udp_flush(struct udp *u)
{
    struct messages all;
    bool together = u->gso;
    while (u->waiting_count > 0) {
        fill_waiting(u, &all, together);
        int rc = send_some(u, &all);
        if (rc == 0 || (rc < 0 && no_room(-rc)))
            return;
        if (rc < 0 && all.m[0].count > 1 && blames_offload(-rc)) {
            together = false;
            continue;
        }
        if (rc < 0) {
            u->failed++; // its batch is long forgotten; loss recovery deals with it
            rc = 1;
        }
        size_t gone = 0;
        for (int i = 0; i < rc; i++)
            gone += all.m[i].count;
        u->waiting_at = (u->waiting_at + (uint32_t)gone) % u->waiting_max;
        u->waiting_count -= (uint32_t)gone;
    }
    poll_for(u, UV_READABLE);
    if (u->via != VIA_UDP) // one of thousands
        forget_waiting(u);
}

bool udp_congested(const struct udp *u)
{
    return u->waiting_count > u->waiting_max / 2;
}
