#include "crypto/bytes.h"
#include "dht/path.h"
#include "node/host/addrs.h"
#include "node/host/descriptor.h"
#include "node/host/tcp_internal.h"
#include "node/host/udp.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// ---- the table ----------------------------------------------------------------------------------------

uint64_t tcp_now_ms(const struct tcp *t)
{
    return uv_now(t->cfg.loop);
}

// Strangers choose where they connect from.
static struct tcp_conn **head_of(const struct tcp *t, const struct path *path)
{
    uint8_t out[crypto_shorthash_BYTES];
    uint64_t h;
    crypto_shorthash(out, (const uint8_t *)path, sizeof *path, t->seed);
    memcpy(&h, out, sizeof h);
    return (struct tcp_conn **)&t->head[h & (TCP_HEADS - 1)];
}

struct tcp_conn *tcp_find(const struct tcp *t, const struct path *path)
{
    struct tcp_conn *c = *head_of(t, path);
    while (c != NULL && !path_equal(&c->path, path))
        c = c->next;
    return c;
}

void tcp_release(struct tcp *t)
{
    assert(t->holds > 0);
    if (--t->holds > 0)
        return;
    void (*closed)(void *) = t->cfg.closed;
    void *ctx = t->cfg.ctx;
    free(t->name);
    sodium_memzero(t, sizeof *t);
    free(t);
    closed(ctx);
}

static void forget_out(struct tcp_conn *c)
{
    free(c->out);
    c->out = NULL;
    c->out_at = c->out_len = 0;
}

static void on_conn_closed(uv_handle_t *handle)
{
    struct tcp_conn *c = (struct tcp_conn *)((char *)handle - offsetof(struct tcp_conn, poll));
    struct tcp *t = c->tcp;
    sodium_memzero(c, sizeof *c);
    free(c);
    tcp_release(t);
}

static void set_full(struct tcp_conn *c, bool full)
{
    if (c->accepted || c->full == full)
        return;
    c->full = full;
    c->tcp->full = full ? c->tcp->full + 1 : c->tcp->full - 1;
}

static void forget_socks(struct tcp_conn *c)
{
    if (c->socks != NULL)
        sodium_memzero(c->socks, sizeof *c->socks);
    free(c->socks);
    c->socks = NULL;
}

void tcp_conn_end(struct tcp_conn *c)
{
    struct tcp *t = c->tcp;
    if (c->fd < 0)
        return;
    struct tcp_conn **at = head_of(t, &c->path);
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    for (at = &t->dirty; c->dirty && *at != NULL; at = &(*at)->next_dirty)
        if (*at == c) {
            *at = c->next_dirty;
            break;
        }
    set_full(c, false);
    *(c->accepted ? &t->count.accepted : &t->count.own) -= 1;
    forget_out(c);
    forget_socks(c);
    uv_poll_stop(&c->poll);
    uv_close((uv_handle_t *)&c->poll, on_conn_closed);
    close(c->fd);
    c->fd = -1;
}

static void on_conn(uv_poll_t *poll, int status, int events);

static void want(struct tcp_conn *c, int events)
{
    if (c->events == events)
        return;
    c->events = events;
    int rc = uv_poll_start(&c->poll, events, on_conn);
    assert(rc == 0);
    (void)rc;
}

struct tcp_conn *tcp_conn_new(struct tcp *t, const struct path *path, int fd, int events)
{
    struct tcp_conn *c = calloc(1, sizeof *c);
    if (c == NULL || uv_poll_init(t->cfg.loop, &c->poll, fd) != 0) {
        free(c);
        close(fd);
        return NULL;
    }
    c->tcp = t;
    c->fd = fd;
    c->path = *path;
    c->credit = TCP_CREDIT_BYTES;
    struct tcp_conn **head = head_of(t, path);
    c->next = *head;
    *head = c;
    t->holds++;
    want(c, events);
    return c;
}

// Whatever of this the system lacks, connections go without.
void tcp_options(int fd)
{
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
#ifdef TCP_KEEPIDLE
    int idle_s = (int)TCP_KEEPALIVE_S;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
#endif
#ifdef TCP_USER_TIMEOUT
    unsigned timeout_ms = TCP_ACKNOWLEDGE_MS;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);
#endif
#ifdef TCP_NOTSENT_LOWAT
    int unsent = (int)TCP_UNSENT_BYTES;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
#endif
}

uint64_t tcp_unproven_until(const struct tcp *t)
{
    return tcp_now_ms(t) + rng_between(&t->cfg.rng, TCP_UNPROVEN_MS_MIN, TCP_UNPROVEN_MS_MAX);
}

// ---- addresses that brought nothing -------------------------------------------------------------------

static struct tcp_failure *failure_of(struct tcp *t, const struct path *path)
{
    for (unsigned i = 0; i < TCP_FAILURES_MAX; i++)
        if (t->failure[i].wait_ms > 0 && path_equal(&t->failure[i].path, path))
            return &t->failure[i];
    return NULL;
}

static void remember_failure(struct tcp *t, const struct path *path)
{
    struct tcp_failure *f = failure_of(t, path);
    for (unsigned i = 0; f == NULL && i < TCP_FAILURES_MAX; i++)
        if (t->failure[i].wait_ms == 0)
            f = &t->failure[i];
    if (f == NULL) { // the one that may be tried again first
        f = &t->failure[0];
        for (unsigned i = 1; i < TCP_FAILURES_MAX; i++)
            if (t->failure[i].until_ms < f->until_ms)
                f = &t->failure[i];
        f->wait_ms = 0;
    }
    f->path = *path;
    f->wait_ms = f->wait_ms == 0                     ? TCP_RETRY_MS_MIN
                 : 2 * f->wait_ms < TCP_RETRY_MS_MAX ? 2 * f->wait_ms
                                                     : TCP_RETRY_MS_MAX;
    f->until_ms = tcp_now_ms(t) + f->wait_ms;
}

static void forget_failure(struct tcp *t, const struct path *path)
{
    struct tcp_failure *f = failure_of(t, path);
    if (f != NULL)
        memset(f, 0, sizeof *f);
}

// The end of a connection that did not want to end.
static void broken(struct tcp_conn *c)
{
    if (!c->accepted && !c->heard)
        remember_failure(c->tcp, &c->path);
    tcp_conn_end(c);
}

// ---- out ----------------------------------------------------------------------------------------------

static void flush_conn(struct tcp_conn *c)
{
    while (c->state == TCP_OPEN && c->out_len > 0 && c->credit > 0) {
        size_t some = c->out_len < c->credit ? c->out_len : c->credit;
        ssize_t n = send(c->fd, c->out + c->out_at, some, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS)) {
            c->credit = 0;
            break;
        }
        if (n < 0) {
            broken(c);
            return;
        }
        c->out_at += (uint32_t)n;
        c->out_len -= (uint32_t)n;
        c->credit -= (uint32_t)n;
    }
    if (c->out_len == 0)
        c->out_at = 0;
    set_full(c, c->out_len > TCP_QUEUE_BYTES / 2);
    if (c->state == TCP_OPEN)
        want(c, UV_READABLE | (c->out_len > 0 || c->credit == 0 ? UV_WRITABLE : 0));
}

void tcp_flush(struct tcp *t)
{
    while (t->dirty != NULL) {
        struct tcp_conn *c = t->dirty;
        t->dirty = c->next_dirty;
        c->dirty = false;
        flush_conn(c);
    }
}

static uint32_t room_of(const struct tcp_conn *c)
{
    return c->state == TCP_OPEN
               ? TCP_QUEUE_BYTES
               : STREAM_NONCE_BYTES + TCP_CONNECTING_DATAGRAMS * STREAM_FRAME_BYTES_MAX;
}

static bool make_room(struct tcp_conn *c, size_t bytes)
{
    if (c->out == NULL)
        c->out = malloc(TCP_QUEUE_BYTES);
    if (c->out == NULL)
        return false;
    if (c->out_len + bytes > room_of(c))
        flush_conn(c);
    if (c->fd < 0 || c->out_len + bytes > room_of(c))
        return false;
    if (c->out_at + c->out_len + bytes > TCP_QUEUE_BYTES) {
        memmove(c->out, c->out + c->out_at, c->out_len);
        c->out_at = 0;
    }
    return true;
}

static void queue(struct tcp_conn *c, const uint8_t *datagram, size_t len)
{
    size_t put = 0;
    if (make_room(c, STREAM_HEAD_BYTES + len))
        put = stream_put(&c->stream, c->out + c->out_at + c->out_len, STREAM_HEAD_BYTES + len,
                         datagram, len);
    c->out_len += (uint32_t)put;
    c->tcp->count.dropped_full += put == 0;
}

static int open_conn(struct tcp *t, const struct path *to, struct tcp_conn **out);

int tcp_send(struct tcp *t, const struct batch *b)
{
    size_t seg = b->seg_size > 0 ? b->seg_size : b->len;
    if (seg > STREAM_DATAGRAM_BYTES_MAX)
        return SENT_TOO_LONG;
    struct tcp_conn *c = tcp_find(t, &b->path);
    if (c == NULL) {
        int rc = open_conn(t, &b->path, &c);
        if (rc != 0)
            return rc;
    }
    if (c->state == TCP_MUTE)
        return -ECONNRESET;
    if (c->state == TCP_OPEN)
        c->until_ms = tcp_now_ms(t) + TCP_IDLE_MS;
    c->proven = true;
    for (size_t at = 0; at < b->len && c->fd >= 0; at += seg)
        queue(c, b->data + at, b->len - at < seg ? b->len - at : seg);
    if (c->fd < 0)
        return -ECONNRESET;
    set_full(c, c->out_len > TCP_QUEUE_BYTES / 2);
    if (!c->dirty) {
        c->dirty = true;
        c->next_dirty = t->dirty;
        t->dirty = c;
    }
    return 0;
}

bool tcp_congested(const struct tcp *t)
{
    return t->full > 0;
}

bool tcp_has_own(const struct tcp *t)
{
    return t->count.own > 0;
}

// ---- in -----------------------------------------------------------------------------------------------

static void deliver(struct tcp_conn *c, size_t n)
{
    struct tcp *t = c->tcp;
    if (n == 0)
        return;
    if (!c->accepted && !c->heard) {
        c->heard = true;
        forget_failure(t, &c->path);
    }
    t->cfg.received(t->cfg.ctx, t->rx, n);
}

// A stranger's bytes were no frames. Whoever only looks what is there learns as little as from one who says nothing.
static void garbage(struct tcp_conn *c)
{
    c->tcp->count.garbage++;
    if (!c->accepted) {
        broken(c);
        return;
    }
    c->state = TCP_MUTE;
    c->until_ms = tcp_unproven_until(c->tcp);
    forget_out(c);
    want(c, UV_READABLE);
}

static void feed(struct tcp_conn *c, uint8_t *data, size_t len)
{
    struct tcp *t = c->tcp;
    size_t n = 0;
    int rc = 1;
    while (rc > 0 && c->fd >= 0) {
        uint8_t *datagram;
        size_t used;
        rc = stream_take(&c->stream, data, len, &used, &datagram);
        if (rc <= 0)
            break;
        bool kept = datagram == c->stream.part; // until the next call
        t->rx[n++] = (struct rx){
            .path = c->path, .seg_size = (uint16_t)rc, .len = (uint32_t)rc, .data = datagram};
        data += used;
        len -= used;
        if (n == UDP_SEGMENTS_MAX || kept) {
            deliver(c, n);
            n = 0;
        }
    }
    if (c->fd >= 0)
        deliver(c, n);
    if (c->fd >= 0 && rc < 0)
        garbage(c);
}

// ---- through the proxy --------------------------------------------------------------------------------

static const char *name_of(const struct tcp *t, const struct path *path);

static void proxy_failed(struct tcp_conn *c, enum socks_error error)
{
    struct tcp *t = c->tcp;
    broken(c);
    t->cfg.proxy_said(t->cfg.ctx, error);
}

// Messages of some hundred bytes at most, into an empty socket.
static bool send_socks(struct tcp_conn *c)
{
    ssize_t n = send(c->fd, c->socks->out, c->socks->out_len, MSG_NOSIGNAL | MSG_DONTWAIT);
    bool all = n == (ssize_t)c->socks->out_len;
    sodium_memzero(c->socks->out, sizeof c->socks->out);
    c->socks->out_len = 0;
    return all;
}

static void opened(struct tcp_conn *c)
{
    c->state = TCP_OPEN;
    c->until_ms = tcp_now_ms(c->tcp) + TCP_IDLE_MS;
    want(c, UV_READABLE);
    flush_conn(c);
}

// Returns how many bytes were the proxy's.
static size_t feed_socks(struct tcp_conn *c, const uint8_t *data, size_t len)
{
    struct tcp *t = c->tcp;
    size_t used;
    if (!socks_take(c->socks, &c->path, name_of(t, &c->path), data, len, &used)) {
        proxy_failed(c, c->socks->error);
        return used;
    }
    if (c->socks->out_len > 0 && !send_socks(c)) {
        proxy_failed(c, SOCKS_DOWN);
    } else if (c->socks->step == SOCKS_CONNECTED) {
        forget_socks(c);
        opened(c);
        t->cfg.proxy_said(t->cfg.ctx, SOCKS_OK);
    }
    return used;
}

static void proxy_connected(struct tcp_conn *c)
{
    c->socks = malloc(sizeof *c->socks);
    if (c->socks == NULL) {
        broken(c);
        return;
    }
    socks_start(c->socks, c->tcp->cfg.proxy);
    c->state = TCP_PROXYING;
    want(c, UV_READABLE);
    if (!send_socks(c))
        proxy_failed(c, SOCKS_DOWN);
}

static void gone(struct tcp_conn *c)
{
    struct tcp *t = c->tcp;
    if (t->cfg.proxy != NULL && (c->state == TCP_CONNECTING || c->state == TCP_PROXYING))
        proxy_failed(c, SOCKS_DOWN);
    else
        broken(c);
}

// ---- connections of our own ---------------------------------------------------------------------------

static const uint8_t name_prefix[14] = {1}; // as path_name

static const char *name_of(const struct tcp *t, const struct path *path)
{
    if (!path_name(path) || memcmp(path->ip, name_prefix, sizeof name_prefix) != 0)
        return NULL;
    unsigned i = (unsigned)path->ip[14] << 8 | path->ip[15];
    return i < t->names ? t->name[i] : NULL;
}

int tcp_name(struct tcp *t, const char *host, uint16_t port, struct path *path)
{
    size_t len = strlen(host);
    if (t->name == NULL)
        t->name = calloc(TCP_NAMES_MAX, sizeof *t->name);
    if (t->name == NULL || len >= sizeof *t->name)
        return UV_ENOMEM;
    unsigned i = 0;
    while (i < t->names && strcmp(t->name[i], host) != 0)
        i++;
    if (i == TCP_NAMES_MAX)
        return UV_ENOMEM;
    if (i == t->names)
        memcpy(t->name[t->names++], host, len + 1);
    uint8_t ip[16] = {0};
    memcpy(ip, name_prefix, sizeof name_prefix);
    ip[14] = (uint8_t)(i >> 8);
    ip[15] = (uint8_t)i;
    *path = path_v6(ip, port);
    path->via = VIA_TCP;
    return 0;
}

// From the address that the person told to use, if any.
static int bind_local(const struct tcp *t, int fd, uint8_t family)
{
    for (size_t i = 0; i < t->cfg.locals; i++) {
        struct path local = t->cfg.local[i];
        if (local.family != family || addrs_wildcard(&local))
            continue;
        struct sockaddr_storage sa;
        local.port = 0;
        socklen_t len = udp_sockaddr(&sa, &local);
#ifdef IP_BIND_ADDRESS_NO_PORT
        int on = 1;
        (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
#endif
        return bind(fd, (struct sockaddr *)&sa, len) == 0 ? 0 : -errno;
    }
    return 0;
}

static int start_connecting(const struct tcp *t, const struct path *to)
{
    const struct path *first = t->cfg.proxy != NULL ? &t->cfg.proxy->path : to;
    struct sockaddr_storage sa;
    socklen_t len = udp_sockaddr(&sa, first);
    int fd = descriptor_socket(first->family == 4 ? AF_INET : AF_INET6, SOCK_STREAM);
    if (fd < 0)
        return fd;
    int rc = t->cfg.proxy != NULL ? 0 : bind_local(t, fd, to->family);
    tcp_options(fd);
    if (rc == 0 && connect(fd, (struct sockaddr *)&sa, len) != 0 && errno != EINPROGRESS)
        rc = -errno;
    if (rc != 0)
        close(fd);
    return rc != 0 ? rc : fd;
}

static int open_conn(struct tcp *t, const struct path *to, struct tcp_conn **out)
{
    uint8_t key[32], nonce[STREAM_NONCE_BYTES];
    const struct tcp_failure *f = failure_of(t, to);
    if (f != NULL && tcp_now_ms(t) < f->until_ms)
        return -EHOSTUNREACH;
    if (t->count.own == TCP_OUTGOING_MAX)
        return -EMFILE;
    if (!t->cfg.key(t->cfg.ctx, to, key))
        return -ENOTCONN;
    t->count.connects++;
    int fd = start_connecting(t, to);
    if (fd < 0) {
        remember_failure(t, to);
        if (t->cfg.proxy != NULL)
            t->cfg.proxy_said(t->cfg.ctx, SOCKS_DOWN);
        return fd;
    }
    struct tcp_conn *c = tcp_conn_new(t, to, fd, UV_WRITABLE);
    if (c == NULL)
        return -ENOMEM;
    t->count.own++;
    c->state = TCP_CONNECTING;
    c->until_ms = tcp_now_ms(t) + (t->cfg.proxy != NULL ? TCP_PROXY_MS : TCP_CONNECT_MS);
    rng_fill(&t->cfg.rng, nonce, sizeof nonce);
    stream_open(&c->stream, key, nonce);
    sodium_memzero(key, sizeof key);
    if (!make_room(c, sizeof nonce)) {
        tcp_conn_end(c);
        return -ENOMEM;
    }
    memcpy(c->out, nonce, sizeof nonce);
    c->out_len = sizeof nonce;
    *out = c;
    return 0;
}

// ---- what wakes it ------------------------------------------------------------------------------------

static void on_readable(struct tcp_conn *c)
{
    struct tcp *t = c->tcp;
    for (unsigned i = 0; c->fd >= 0 && i < UDP_ROUNDS_MAX; i++) {
        ssize_t n = recv(c->fd, t->cfg.read, t->cfg.read_bytes, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        if (n <= 0) {
            gone(c);
            return;
        }
        size_t len = (size_t)n, used = 0;
        if (c->state == TCP_PROXYING)
            used = feed_socks(c, t->cfg.read, len);
        if (c->fd < 0 || c->state != TCP_OPEN) {
            if (len < t->cfg.read_bytes)
                return;
            continue;
        }
        if (c->proven)
            c->until_ms = tcp_now_ms(t) + TCP_IDLE_MS;
        feed(c, t->cfg.read + used, len - used);
        if (len < t->cfg.read_bytes) // all was there
            return;
    }
}

static void on_writable(struct tcp_conn *c)
{
    struct tcp *t = c->tcp;
    if (c->state == TCP_CONNECTING) {
        int error = 0;
        socklen_t len = sizeof error;
        if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0)
            gone(c);
        else if (t->cfg.proxy != NULL)
            proxy_connected(c);
        else
            opened(c);
        return;
    }
    bool before = tcp_congested(t);
    c->credit = TCP_CREDIT_BYTES;
    flush_conn(c);
    if (before && !tcp_congested(t))
        t->cfg.writable(t->cfg.ctx);
}

static void on_conn(uv_poll_t *poll, int status, int events)
{
    struct tcp_conn *c = (struct tcp_conn *)((char *)poll - offsetof(struct tcp_conn, poll));
    if (status != 0) { // refused or reset
        gone(c);
        return;
    }
    if ((events & UV_WRITABLE) != 0)
        on_writable(c);
    if (c->fd >= 0 && (events & UV_READABLE) != 0)
        on_readable(c);
}

static void on_tick(uv_timer_t *timer)
{
    struct tcp *t = timer->data;
    uint64_t now = tcp_now_ms(t);
    tcp_listen_tick(t);
    for (unsigned i = 0; i < TCP_HEADS; i++)
        for (struct tcp_conn *c = t->head[i], *next; c != NULL; c = next) {
            next = c->next;
            if (now >= c->until_ms && (c->state == TCP_CONNECTING || c->state == TCP_PROXYING))
                gone(c);
            else if (now >= c->until_ms)
                broken(c);
            else if (c->out_len == 0)
                forget_out(c);
        }
}

// ---- life ---------------------------------------------------------------------------------------------

int tcp_new(struct tcp **out, const struct tcp_config *cfg)
{
    struct tcp *t = calloc(1, sizeof *t);
    if (t == NULL)
        return UV_ENOMEM;
    t->cfg = *cfg;
    rng_fill(&cfg->rng, t->seed, sizeof t->seed);
    uv_timer_init(cfg->loop, &t->timer);
    t->timer.data = t;
    t->holds = 1;
    uv_timer_start(&t->timer, on_tick, TCP_TICK_MS, TCP_TICK_MS);
    uv_unref((uv_handle_t *)&t->timer);
    *out = t;
    return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
    tcp_release(handle->data);
}

void tcp_close(struct tcp *t)
{
    if (t->closing)
        return;
    t->closing = true;
    tcp_flush(t);
    tcp_listen_end(t);
    for (unsigned i = 0; i < TCP_HEADS; i++)
        while (t->head[i] != NULL)
            tcp_conn_end(t->head[i]);
    uv_close((uv_handle_t *)&t->timer, on_timer_closed);
}

void tcp_count(const struct tcp *t, struct tcp_counters *out)
{
    *out = t->count;
}
