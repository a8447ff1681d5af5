#include "node/host/metrics.h"

#include "dht/path.h"
#include "node/host/udp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct metrics {
    uv_tcp_t listener;
    struct peer *peers;
    unsigned count; // of peers, and the listener
    bool closing;
    metrics_fn page;
    void *ctx;
};

struct peer {
    struct metrics *m;
    struct peer *next;
    uv_tcp_t tcp;
    uv_timer_t timer;
    uv_write_t write;
    unsigned holds;
    bool closing, answered;
    size_t len;
    char head[METRICS_HEAD_BYTES];
    char text[METRICS_TEXT_BYTES + METRICS_HEAD_BYTES];
};

// ---- requests -------------------------------------------------------------------------------------------

static bool starts(const char *text, size_t len, const char *with)
{
    size_t n = strlen(with);
    return len >= n && memcmp(text, with, n) == 0;
}

// The end of a line, after its LF; NULL: none.
static const char *line_end(const char *at, const char *end)
{
    const char *lf = memchr(at, '\n', (size_t)(end - at));
    return lf != NULL ? lf + 1 : NULL;
}

static bool ends_name(char c)
{
    return c == ':' || c == '\r' || c == '\n' || c == ' ' || c == '\t';
}

// "127.0.0.1:9464", "[::1]", "localhost:9464"
static bool own_host(const char *value, size_t len)
{
    static const char *const names[] = {"127.0.0.1", "[::1]", "localhost"};
    while (len > 0 && (*value == ' ' || *value == '\t')) {
        value++;
        len--;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t n = strlen(names[i]);
        if (len >= n && strncasecmp(value, names[i], n) == 0 && (len == n || ends_name(value[n])))
            return true;
    }
    size_t digits = 0;
    while (digits < len && ((value[digits] >= '0' && value[digits] <= '9') || value[digits] == '.'))
        digits++;
    return starts(value, len, "127.") && digits < len && ends_name(value[digits]);
}

static int target(const char *text, size_t len, enum metrics_page *page)
{
    if (starts(text, len, "/metrics ") || starts(text, len, "/metrics?"))
        *page = METRICS_PAGE;
    else if (starts(text, len, "/healthz ") || starts(text, len, "/healthz?"))
        *page = METRICS_HEALTH;
    else
        return 404;
    return 200;
}

int metrics_request(const char *head, size_t len, enum metrics_page *page)
{
    const char *end = head + len, *line = line_end(head, end), *next;
    if (line == NULL)
        return 0;
    bool host = false, whole = false;
    for (const char *at = line; !whole && (next = line_end(at, end)) != NULL; at = next) {
        whole = *at == '\n' || (*at == '\r' && next == at + 2);
        if (next - at > 5 && strncasecmp(at, "host:", 5) == 0) {
            if (host || !own_host(at + 5, (size_t)(next - at) - 5))
                return 421;
            host = true;
        }
    }
    if (!whole)
        return 0;
    size_t first = (size_t)(line - head);
    size_t tail = first >= 2 && line[-2] == '\r' ? 2 : 1;
    bool http = first > 9 + tail && (memcmp(line - tail - 9, " HTTP/1.1", 9) == 0 ||
                                     memcmp(line - tail - 9, " HTTP/1.0", 9) == 0);
    if (!http)
        return 400;
    if (!starts(head, first, "GET "))
        return 405;
    if (!host)
        return 400;
    return target(head + 4, first - 4, page);
}

static const char *reason_of(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 400:
        return "Bad Request";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 421:
        return "Misdirected Request";
    case 431:
        return "Request Header Fields Too Large";
    case 503:
        return "Service Unavailable";
    default:
        return "Internal Server Error";
    }
}

// ---- connections ----------------------------------------------------------------------------------------

static void on_closed(uv_handle_t *handle)
{
    struct peer *p = handle->data;
    if (--p->holds > 0)
        return;
    struct metrics *m = p->m;
    m->count--;
    free(p);
    if (m->closing && m->count == 0)
        free(m);
}

static void peer_close(struct peer *p)
{
    if (p->closing)
        return;
    p->closing = true;
    for (struct peer **at = &p->m->peers; *at != NULL; at = &(*at)->next) {
        if (*at == p) {
            *at = p->next;
            break;
        }
    }
    uv_close((uv_handle_t *)&p->tcp, on_closed);
    uv_close((uv_handle_t *)&p->timer, on_closed);
}

static void on_late(uv_timer_t *timer)
{
    peer_close(timer->data);
}

static void on_written(uv_write_t *w, int status)
{
    (void)status;
    struct peer *p = w->handle->data;
    if (!p->closing)
        peer_close(p);
}

static void answer(struct peer *p, int status, enum metrics_page page)
{
    char body[METRICS_TEXT_BYTES];
    int len = 0;
    p->answered = true;
    uv_read_stop((uv_stream_t *)&p->tcp);
    if (status == 200) {
        len = p->m->page(p->m->ctx, page, body, sizeof body);
        if (len == -1)
            status = 500;
        else if (len < 0)
            status = 503;
        len = len < -1 ? -len : len;
    }
    if (status != 200 && status != 503)
        len = snprintf(body, sizeof body, "%d %s\n", status, reason_of(status));
    int head = snprintf(p->text, METRICS_HEAD_BYTES,
                        "HTTP/1.1 %d %s\r\nContent-Type: text/plain; version=0.0.4; "
                        "charset=utf-8\r\nContent-Length: %d\r\nCache-Control: no-store\r\n"
                        "X-Content-Type-Options: nosniff\r\n%sConnection: close\r\n\r\n",
                        status, reason_of(status), len, status == 405 ? "Allow: GET\r\n" : "");
    memcpy(p->text + head, body, (size_t)len);
    uv_buf_t buf = uv_buf_init(p->text, (unsigned)(head + len));
    if (uv_write(&p->write, (uv_stream_t *)&p->tcp, &buf, 1, on_written) != 0)
        peer_close(p);
}

static void on_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf)
{
    struct peer *p = handle->data;
    (void)hint;
    *buf = uv_buf_init(p->head + p->len, (unsigned)(sizeof p->head - p->len));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct peer *p = stream->data;
    enum metrics_page page = METRICS_PAGE;
    (void)buf;
    if (n < 0) {
        peer_close(p);
        return;
    }
    p->len += (size_t)n;
    int status = metrics_request(p->head, p->len, &page);
    if (status == 0 && p->len == sizeof p->head)
        status = 431;
    if (status != 0 && !p->answered)
        answer(p, status, page);
}

// Beyond the most, the oldest goes: a connection that says nothing keeps nobody out.
static void on_connection(uv_stream_t *listener, int status)
{
    struct metrics *m = listener->data;
    if (status != 0 || m->closing)
        return;
    if (m->count > METRICS_PEERS_MAX && m->peers != NULL) {
        struct peer *oldest = m->peers;
        while (oldest->next != NULL)
            oldest = oldest->next;
        peer_close(oldest);
    }
    struct peer *p = calloc(1, sizeof *p);
    if (p == NULL)
        return; // libuv waits with the next ones
    p->m = m;
    p->holds = 2;
    p->next = m->peers;
    m->peers = p;
    m->count++;
    p->tcp.data = p->timer.data = p;
    uv_tcp_init(listener->loop, &p->tcp);
    uv_timer_init(listener->loop, &p->timer);
    uv_timer_start(&p->timer, on_late, METRICS_PEER_MS, 0);
    if (uv_accept(listener, (uv_stream_t *)&p->tcp) != 0 ||
        uv_read_start((uv_stream_t *)&p->tcp, on_alloc, on_read) != 0)
        peer_close(p);
}

// ---- life -----------------------------------------------------------------------------------------------

static void on_listener_closed(uv_handle_t *handle)
{
    struct metrics *m = handle->data;
    if (--m->count == 0)
        free(m);
}

int metrics_open(struct metrics **out, uv_loop_t *loop, const struct path *at, metrics_fn page,
                 void *ctx, char error[static HOST_ERROR_BYTES])
{
    struct metrics *m = calloc(1, sizeof *m);
    char text[PATH_TEXT_BYTES];
    struct sockaddr_storage addr;
    path_format(text, at);
    if (m == NULL) {
        snprintf(error, HOST_ERROR_BYTES, "out of memory");
        return -1;
    }
    m->page = page;
    m->ctx = ctx;
    m->count = 1; // the listener
    m->listener.data = m;
    (void)udp_sockaddr(&addr, at);
    int rc = uv_tcp_init(loop, &m->listener);
    if (rc != 0) {
        free(m);
        snprintf(error, HOST_ERROR_BYTES, "can't serve metrics: %s", uv_strerror(rc));
        return -1;
    }
    rc = uv_tcp_bind(&m->listener, (const struct sockaddr *)&addr, 0);
    if (rc == 0)
        rc = uv_listen((uv_stream_t *)&m->listener, METRICS_PEERS_MAX, on_connection);
    if (rc != 0) {
        snprintf(error, HOST_ERROR_BYTES, "can't serve metrics on %s: %s", text, uv_strerror(rc));
        metrics_close(m);
        return -1;
    }
    *out = m;
    return 0;
}

void metrics_close(struct metrics *m)
{
    if (m == NULL || m->closing)
        return;
    m->closing = true;
    while (m->peers != NULL)
        peer_close(m->peers);
    uv_close((uv_handle_t *)&m->listener, on_listener_closed);
}
