#include "node/host/links.h"

#include "dht/path.h"
#include "node/host/descriptor.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// ---- life ---------------------------------------------------------------------------------------------

static void fill_random(void *ctx, void *buf, size_t len)
{
    (void)ctx;
    randombytes_buf(buf, len);
}

void links_init(struct links *l, const struct links_config *cfg)
{
    memset(l, 0, sizeof *l);
    l->cfg = *cfg;
    l->cfg.proxy = NULL; // the caller's
    l->holds = 1;
    l->proxied = cfg->proxy != NULL;
    if (l->proxied)
        l->proxy = *cfg->proxy;
    if (l->proxied && l->proxy.user[0] == 0)
        socks_isolate(&l->proxy, &(struct rng){fill_random, NULL});
}

static void release(struct links *l)
{
    assert(l->holds > 0);
    if (--l->holds == 0)
        l->cfg.closed(l->cfg.ctx);
}

static void on_own_closed(uv_handle_t *handle)
{
    struct udp *u = (struct udp *)((char *)handle - offsetof(struct udp, handle));
    release(u->ctx);
}

static void on_extra_closed(uv_handle_t *handle)
{
    struct udp *u = (struct udp *)((char *)handle - offsetof(struct udp, handle));
    struct links *l = u->ctx;
    sockets_free(u);
    release(l);
}

static void on_tcp_closed(void *ctx)
{
    release(ctx);
}

static void on_ready(void *ctx, struct udp *u, bool readable, bool writable)
{
    const struct links *l = ctx;
    l->cfg.ready(l->cfg.ctx, u, readable, writable);
}

static struct sockets_config extra_config(struct links *l)
{
    return (struct sockets_config){
        .loop = l->cfg.loop, .ready = on_ready, .closed = on_extra_closed, .ctx = l};
}

void links_close(struct links *l)
{
    struct sockets_config cfg = extra_config(l);
    for (size_t i = 0; i < l->sockets; i++)
        udp_close(&l->udp[i], on_own_closed);
    sockets_close_all(&l->extra, &cfg);
    if (l->tcp != NULL)
        tcp_close(l->tcp);
    release(l);
}

// ---- sockets of our own -------------------------------------------------------------------------------

// A port that TCP has free at this address; 0: none could be had.
static uint16_t free_tcp_port(const struct path *listen)
{
    struct sockaddr_storage sa;
    struct path bound;
    socklen_t len = udp_sockaddr(&sa, listen), all = sizeof sa;
    int fd = descriptor_socket(listen->family == 4 ? AF_INET : AF_INET6, SOCK_STREAM);
    if (fd < 0)
        return 0;
    bool ok = bind(fd, (struct sockaddr *)&sa, len) == 0 &&
              getsockname(fd, (struct sockaddr *)&sa, &all) == 0;
    close(fd);
    if (ok)
        udp_path(&bound, (struct sockaddr *)&sa);
    return ok ? bound.port : 0;
}

static int open_socket(struct links *l, const struct path *listen, char *error)
{
    int rc = UV_EADDRINUSE;
    bool choose = l->cfg.tcp_beside && listen->port == 0;
    for (unsigned i = 0; rc == UV_EADDRINUSE && i < (choose ? LINKS_PORT_TRIES : 1u); i++) {
        struct path at = *listen;
        if (choose)
            at.port = free_tcp_port(listen);
        rc = udp_open(&l->udp[l->sockets], l->cfg.loop, &at, on_ready, l);
    }
    if (rc != 0) {
        char text[PATH_TEXT_BYTES];
        path_format(text, listen);
        snprintf(error, HOST_ERROR_BYTES, "can't listen on %s: %s", text, uv_strerror(rc));
        return rc;
    }
    l->sockets++;
    l->holds++;
    return 0;
}

int links_open_udp(struct links *l, const struct path *listen, size_t listens,
                   char error[static HOST_ERROR_BYTES])
{
    if (l->proxied)
        return 0;
    for (size_t i = 0; i < listens; i++) {
        int rc = open_socket(l, &listen[i], error);
        if (rc != 0)
            return rc;
    }
    if (listens > 0)
        return 0;
    // Every address. A computer may lack one of the families, but not both.
    struct path any4 = {.family = 4}, any6 = {.family = 6};
    int rc4 = open_socket(l, &any4, error);
    if (rc4 == 0)
        any6.port = l->udp[0].bound.port;
    if (open_socket(l, &any6, error) != 0) {
        any6.port = 0;
        int rc6 = open_socket(l, &any6, error);
        if (rc4 != 0 && rc6 != 0)
            return rc6;
    }
    return 0;
}

bool links_clamped(const struct links *l)
{
    for (size_t i = 0; i < l->sockets; i++)
        if (udp_clamped(&l->udp[i]))
            return true;
    return false;
}

// ---- TCP ----------------------------------------------------------------------------------------------

static void on_tcp_received(void *ctx, const struct rx *rx, size_t n)
{
    const struct links *l = ctx;
    l->cfg.received(l->cfg.ctx, rx, n);
}

static void on_tcp_writable(void *ctx)
{
    const struct links *l = ctx;
    l->cfg.writable(l->cfg.ctx);
}

static bool on_tcp_key(void *ctx, const struct path *path, uint8_t key[static 32])
{
    const struct links *l = ctx;
    return l->cfg.key(l->cfg.ctx, path, key);
}

// Each change once. That a target is not reached is no news where others were.
static void on_proxy_said(void *ctx, enum socks_error error)
{
    struct links *l = ctx;
    bool target =
        error == SOCKS_REFUSED || error == SOCKS_UNREACHABLE || error == SOCKS_CAN_NOT_CONNECT;
    if (target && l->proxy_worked)
        return;
    l->proxy_worked = error == SOCKS_OK;
    if (error == l->proxy_told)
        return;
    l->proxy_told = error;
    l->cfg.proxy_said(l->cfg.ctx, error);
}

// Made by the first who needs it.
static int tcp_for(struct links *l, struct tcp **out)
{
    if (l->tcp == NULL) {
        struct tcp_config cfg = {.loop = l->cfg.loop,
                                 .rng = {fill_random, NULL},
                                 .locals = l->sockets,
                                 .proxy = l->proxied ? &l->proxy : NULL,
                                 .prefix_limits = l->cfg.prefix_limits,
                                 .read = l->cfg.read,
                                 .read_bytes = l->cfg.read_bytes,
                                 .received = on_tcp_received,
                                 .writable = on_tcp_writable,
                                 .key = on_tcp_key,
                                 .proxy_said = on_proxy_said,
                                 .closed = on_tcp_closed,
                                 .ctx = l};
        for (size_t i = 0; i < l->sockets; i++)
            cfg.local[i] = l->udp[i].bound;
        int rc = tcp_new(&l->tcp, &cfg);
        if (rc != 0)
            return rc;
        l->holds++;
    }
    *out = l->tcp;
    return 0;
}

int links_listen_tcp(struct links *l, const struct path *path, char error[static HOST_ERROR_BYTES])
{
    uint8_t key[32];
    struct tcp *t = NULL;
    if (l->proxied)
        return 0;
    int rc = l->cfg.key(l->cfg.ctx, NULL, key) ? tcp_for(l, &t) : UV_EINVAL;
    if (rc == 0)
        rc = tcp_listen(t, path, &l->tcp_bound[l->tcps]);
    if (rc != 0) {
        char text[PATH_TEXT_BYTES];
        path_format(text, path);
        snprintf(error, HOST_ERROR_BYTES, "can't listen on TCP %s: %s", text, uv_strerror(rc));
        return rc;
    }
    l->tcps++;
    return 0;
}

int links_name(struct links *l, const char *name, uint16_t port, struct path *path)
{
    struct tcp *t;
    int rc = l->proxied ? tcp_for(l, &t) : UV_EINVAL;
    return rc == 0 ? tcp_name(t, name, port, path) : rc;
}

// ---- sending ------------------------------------------------------------------------------------------

static struct udp *own_socket(struct links *l, uint8_t family)
{
    for (size_t i = 0; i < l->sockets; i++)
        if (l->udp[i].bound.family == family)
            return &l->udp[i];
    return NULL;
}

// The socket for a path, opened now if it is one more. 0 or a negative code. Behind a proxy there is none.
static int socket_for(struct links *l, const struct path *to, struct udp **out)
{
    struct udp *own = own_socket(l, to->family);
    uint32_t kind = to->via & VIA_KINDS;
    if (own == NULL || (kind != VIA_SOCKET && to->via != VIA_UDP))
        return UV_EAFNOSUPPORT;
    *out = kind == VIA_SOCKET ? sockets_find(&l->extra, to->via, to->family) : own;
    if (*out != NULL)
        return 0;
    struct sockets_config cfg = extra_config(l);
    int rc = sockets_open(&l->extra, &cfg, &own->bound, to->via, out);
    l->holds += rc == 0;
    return rc;
}

static int send_tcp(struct links *l, const struct batch *b)
{
    struct tcp *t;
    int rc = tcp_for(l, &t);
    return rc == 0 ? tcp_send(t, b) : rc;
}

static bool same_link(const struct path *a, const struct path *b)
{
    return a->family == b->family && a->via == b->via;
}

// A run of batches that share a socket, or one batch over TCP.
size_t links_send(struct links *l, const struct batch *batch, size_t n, struct udp_failure *fail,
                  size_t max)
{
    size_t failed = 0;
    for (size_t i = 0, run; i < n; i += run) {
        struct udp *u = NULL;
        bool tcp = batch[i].path.via == VIA_TCP;
        int rc = tcp ? send_tcp(l, &batch[i]) : socket_for(l, &batch[i].path, &u);
        for (run = 1; !tcp && i + run < n && same_link(&batch[i + run].path, &batch[i].path);)
            run++;
        if (u != NULL) {
            struct udp_failure some[UDP_SENDS];
            size_t got = udp_send(u, batch + i, run, some);
            for (size_t k = 0; k < got && failed < max; k++)
                fail[failed++] = some[k];
        }
        if (rc == 0)
            continue;
        l->refused += run;
        for (size_t k = 0; k < run && failed < max; k++)
            fail[failed++] = (struct udp_failure){batch[i + k].id, rc};
    }
    return failed;
}

void links_flush(struct links *l)
{
    if (l->tcp != NULL)
        tcp_flush(l->tcp);
}

bool links_congested(const struct links *l)
{
    for (size_t i = 0; i < l->sockets; i++)
        if (udp_congested(&l->udp[i]))
            return true;
    return l->tcp != NULL && tcp_congested(l->tcp);
}

size_t links_send_bytes(const struct links *l)
{
    return l->tcp != NULL && tcp_has_own(l->tcp) ? TCP_SEND_BYTES : UDP_SEND_BYTES;
}

void links_close_socket(struct links *l, uint32_t via)
{
    struct sockets_config cfg = extra_config(l);
    sockets_close(&l->extra, &cfg, via);
}

void links_count(const struct links *l, struct link_counters *out)
{
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < l->sockets; i++) {
        out->dropped_full += l->udp[i].dropped_full;
        out->dropped_long += l->udp[i].dropped_long;
        out->send_failed += l->udp[i].failed;
    }
    sockets_count(&l->extra, &out->dropped_full, &out->dropped_long, &out->send_failed);
    out->refused = l->refused;
    out->extra_sockets = l->extra.count;
    if (l->tcp == NULL)
        return;
    struct tcp_counters tcp;
    tcp_count(l->tcp, &tcp);
    out->dropped_full += tcp.dropped_full;
    out->tcp_own = tcp.own;
    out->tcp_accepted = tcp.accepted;
    out->tcp_refused = tcp.refused;
    out->tcp_garbage = tcp.garbage;
}
