#include "node/host/control.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct client {
    uv_pipe_t pipe;
    uv_shutdown_t shutdown;
    struct control *control;
    struct client *next;
    char *line; // what has come of the current line
    size_t len, cap;
    bool skipping; // the line is too long: answered, the rest is thrown away
    bool subscribed;
    bool leaving; // nothing more is read
    bool closing;
    char in[CONTROL_READ_BYTES];
};

struct control {
    uv_pipe_t pipe;
    uv_timer_t timer; // bounds how long clients may take their last lines
    struct control_config cfg;
    char path[HOST_PATH_BYTES];
    struct client *clients;
    unsigned client_count;
    bool listening; // events are asked for
    bool closing;
    unsigned holds; // the listening handle, the timer, and clients
};

static void release(struct control *c)
{
    if (--c->holds == 0)
        free(c);
}

static void on_closed(uv_handle_t *handle)
{
    release(handle->data);
}

static void timer_close(struct control *c)
{
    if (!uv_is_closing((uv_handle_t *)&c->timer))
        uv_close((uv_handle_t *)&c->timer, on_closed);
}

// ---- a client ---------------------------------------------------------------------------------------

static void forget_line(struct client *cl)
{
    if (cl->line != NULL)
        sodium_memzero(cl->line, cl->cap);
    free(cl->line);
    cl->line = NULL;
    cl->len = cl->cap = 0;
}

static void on_client_closed(uv_handle_t *handle)
{
    struct client *cl = handle->data;
    struct control *c = cl->control;
    for (struct client **at = &c->clients; *at != NULL; at = &(*at)->next) {
        if (*at == cl) {
            *at = cl->next;
            c->client_count--;
            break;
        }
    }
    forget_line(cl);
    sodium_memzero(cl, sizeof *cl);
    free(cl);
    if (c->closing && c->clients == NULL)
        timer_close(c);
    release(c);
}

static bool takes_events(const struct client *cl)
{
    return cl->subscribed && !cl->closing && !cl->leaving &&
           uv_stream_get_write_queue_size((const uv_stream_t *)&cl->pipe) < CONTROL_PAUSE_BYTES;
}

// Events wait while no client listens: who subscribes later is told then. They also wait while none
// keeps up, or a stranger who writes faster than a terminal shows could have its client dropped.
static void listen_for_clients(struct control *c)
{
    c->listening = c->cfg.listens;
    for (const struct client *cl = c->clients; cl != NULL && !c->listening; cl = cl->next)
        c->listening = takes_events(cl);
    host_node_listen(c->cfg.node, c->listening);
}

static void client_close(struct client *cl)
{
    if (cl->closing)
        return;
    cl->closing = true;
    if (!cl->control->closing)
        listen_for_clients(cl->control);
    uv_close((uv_handle_t *)&cl->pipe, on_client_closed);
}

static void on_shutdown(uv_shutdown_t *request, int status)
{
    (void)status;
    client_close(request->handle->data);
}

// What was queued still goes out.
static void client_leave(struct client *cl)
{
    if (cl->leaving || cl->closing)
        return;
    cl->leaving = true;
    if (!cl->control->closing)
        listen_for_clients(cl->control);
    uv_read_stop((uv_stream_t *)&cl->pipe);
    if (uv_shutdown(&cl->shutdown, (uv_stream_t *)&cl->pipe, on_shutdown) != 0)
        client_close(cl);
}

struct sending {
    uv_write_t request;
    size_t len;
    char data[];
};

static void on_written(uv_write_t *request, int status)
{
    struct sending *s = (struct sending *)request;
    struct client *cl = request->handle->data;
    sodium_memzero(s->data, s->len);
    free(s);
    if (status != 0)
        client_close(cl);
    struct control *c = cl->control;
    if (c->closing || c->listening)
        return;
    listen_for_clients(c);
    if (c->listening)
        host_node_turn(c->cfg.node);
}

static void client_send(struct client *cl, const char *data, size_t len)
{
    if (cl->closing || cl->leaving || len == 0)
        return;
    // A client that asks and doesn't read must not make us hold its answers.
    if (uv_stream_get_write_queue_size((uv_stream_t *)&cl->pipe) + len > CONTROL_OUT_BYTES_MAX) {
        client_close(cl);
        return;
    }
    struct sending *s = malloc(sizeof *s + len);
    if (s == NULL) {
        client_close(cl);
        return;
    }
    s->len = len;
    memcpy(s->data, data, len);
    uv_buf_t buf = uv_buf_init(s->data, (unsigned)len);
    if (uv_write(&s->request, (uv_stream_t *)&cl->pipe, &buf, 1, on_written) != 0) {
        sodium_memzero(s->data, len);
        free(s);
        client_close(cl);
    }
}

static bool blank(const char *line, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (line[i] != ' ' && line[i] != '\t' && line[i] != '\r')
            return false;
    return true;
}

static void client_line(struct client *cl, const char *line, size_t len)
{
    struct control *c = cl->control;
    struct api *api = c->cfg.api;
    struct api_answer answer;
    struct link_counters counters;
    if (blank(line, len))
        return;
    host_node_counters(c->cfg.node, &counters);
    api->counters = (struct api_counters){.dropped_full = counters.dropped_full,
                                          .dropped_long = counters.dropped_long,
                                          .send_failed = counters.send_failed,
                                          .refused = counters.refused};
    if (c->cfg.counters != NULL)
        c->cfg.counters(c->cfg.ctx, &api->counters);
    api_line(api, host_node_now(c->cfg.node), line, len, &answer);
    bool subscribe = answer.subscribe;
    if (answer.line != NULL)
        client_send(cl, answer.line, answer.len);
    api_answer_free(&answer);
    cl->subscribed = cl->subscribed || subscribe;
    listen_for_clients(c);
    // The answer goes first, then the events that the call brought about.
    host_node_turn(c->cfg.node);
    if (api->privacy_set) {
        api->privacy_set = false;
        if (c->cfg.privacy != NULL)
            c->cfg.privacy(c->cfg.ctx, api->privacy);
    }
    if (api->stop) {
        api->stop = false;
        c->cfg.stop(c->cfg.ctx);
    }
}

static bool line_append(struct client *cl, const char *data, size_t len)
{
    if (cl->len + len > cl->cap) {
        size_t cap = cl->cap == 0 ? 1024 : cl->cap;
        while (cap < cl->len + len)
            cap *= 2;
        char *grown = malloc(cap);
        if (grown == NULL)
            return false;
        if (cl->line != NULL) {
            memcpy(grown, cl->line, cl->len);
            sodium_memzero(cl->line, cl->cap);
            free(cl->line);
        }
        cl->line = grown;
        cl->cap = cap;
    }
    memcpy(cl->line + cl->len, data, len);
    cl->len += len;
    return true;
}

// `ended`: data is the rest of a line.
static void client_part(struct client *cl, const char *data, size_t len, bool ended)
{
    if (!cl->skipping && cl->len + len > CONTROL_LINE_BYTES_MAX) {
        struct api_answer answer;
        api_too_long(&answer);
        if (answer.line != NULL)
            client_send(cl, answer.line, answer.len);
        api_answer_free(&answer);
        forget_line(cl);
        cl->skipping = true;
    }
    if (!cl->skipping && ended && cl->len == 0) {
        client_line(cl, data, len);
    } else if (!cl->skipping) {
        if (!line_append(cl, data, len)) {
            client_close(cl);
            return;
        }
        if (ended)
            client_line(cl, cl->line, cl->len);
    }
    if (ended) {
        cl->skipping = false;
        forget_line(cl);
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct client *cl = handle->data;
    (void)suggested;
    *buf = uv_buf_init(cl->in, sizeof cl->in);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct client *cl = stream->data;
    (void)buf;
    if (n < 0) {
        if (n == UV_EOF && cl->len > 0 && !cl->skipping)
            client_line(cl, cl->line, cl->len); // a last line without its end
        if (n == UV_EOF)
            client_leave(cl);
        else
            client_close(cl);
        return;
    }
    const char *at = cl->in, *end = cl->in + n;
    // After a second `stop` the node is gone: what follows is for nobody.
    while (at < end && !cl->closing && !cl->leaving) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline != NULL ? newline : end;
        client_part(cl, at, (size_t)(stop - at), newline != NULL);
        at = newline != NULL ? newline + 1 : end;
    }
    sodium_memzero(cl->in, (size_t)n);
}

static void on_connection(uv_stream_t *server, int status)
{
    struct control *c = server->data;
    struct client *cl = status == 0 ? calloc(1, sizeof *cl) : NULL;
    if (cl == NULL)
        return;
    cl->control = c;
    cl->next = c->clients;
    c->clients = cl;
    c->client_count++;
    c->holds++;
    int rc = uv_pipe_init(server->loop, &cl->pipe, 0);
    assert(rc == 0);
    cl->pipe.data = cl;
    rc = uv_accept(server, (uv_stream_t *)&cl->pipe);
    if (rc != 0 || c->client_count > CONTROL_CLIENTS_MAX ||
        uv_read_start((uv_stream_t *)&cl->pipe, on_alloc, on_read) != 0)
        client_close(cl);
}

// ---- all of them ------------------------------------------------------------------------------------

void control_event(struct control *c, const struct node_event *ev)
{
    struct api_answer line = {0};
    for (struct client *cl = c->clients; cl != NULL; cl = cl->next) {
        if (!cl->subscribed)
            continue;
        if (line.line == NULL && !api_notification(c->cfg.api, ev, &line))
            return;
        client_send(cl, line.line, line.len);
    }
    api_answer_free(&line);
    if (!c->closing)
        listen_for_clients(c);
}

static void on_late(uv_timer_t *timer)
{
    struct control *c = timer->data;
    for (struct client *cl = c->clients; cl != NULL; cl = cl->next)
        client_close(cl);
}

void control_close(struct control *c)
{
    if (c->closing)
        return;
    c->closing = true;
    for (struct client *cl = c->clients; cl != NULL; cl = cl->next)
        client_leave(cl);
    uv_close((uv_handle_t *)&c->pipe, on_closed); // unlinks the socket
    if (c->clients == NULL)
        timer_close(c);
    else
        uv_timer_start(&c->timer, on_late, HOST_STOP_MS, 0);
}

static int bind_and_listen(struct control *c, char *error)
{
    const char *path = c->path;
    int rc = uv_pipe_bind(&c->pipe, path);
    if (rc == UV_EADDRINUSE) {
        struct stat st;
        int fd = control_connect(path);
        if (fd >= 0) {
            close(fd);
            snprintf(error, HOST_ERROR_BYTES, "another node already listens on %.160s", path);
            return rc;
        }
        // Left behind by a node that was killed.
        if (fd == -ECONNREFUSED && lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) &&
            unlink(path) == 0)
            rc = uv_pipe_bind(&c->pipe, path);
    }
    if (rc == 0 && chmod(path, 0600) != 0)
        rc = -errno;
    if (rc == 0)
        rc = uv_listen((uv_stream_t *)&c->pipe, 16, on_connection);
    if (rc != 0)
        snprintf(error, HOST_ERROR_BYTES, "can't listen on %.160s: %s", path, uv_strerror(rc));
    return rc;
}

int control_open(struct control **out, uv_loop_t *loop, const struct control_config *cfg,
                 char error[static HOST_ERROR_BYTES])
{
    struct sockaddr_un sa;
    if (strlen(cfg->path) >= sizeof sa.sun_path) {
        snprintf(error, HOST_ERROR_BYTES,
                 "the path of the control socket is too long: %zu bytes at most",
                 sizeof sa.sun_path - 1);
        return UV_ENAMETOOLONG;
    }
    struct control *c = calloc(1, sizeof *c);
    if (c == NULL) {
        snprintf(error, HOST_ERROR_BYTES, "out of memory");
        return UV_ENOMEM;
    }
    c->cfg = *cfg;
    snprintf(c->path, sizeof c->path, "%s", cfg->path);
    c->holds = 2;
    int rc = uv_pipe_init(loop, &c->pipe, 0);
    assert(rc == 0);
    uv_timer_init(loop, &c->timer);
    c->pipe.data = c->timer.data = c;
    rc = bind_and_listen(c, error);
    if (rc != 0) {
        control_close(c);
        return rc;
    }
    listen_for_clients(c);
    *out = c;
    return 0;
}
