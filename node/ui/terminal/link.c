#include "node/ui/terminal/link.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINK_LINE_BYTES_MAX (8u << 20) // our own node's lines are far shorter

struct waiting { // a call whose answer is due
    struct waiting *next;
    int kind;
};

struct link {
    uv_pipe_t pipe;
    struct link_config cfg;
    struct waiting *first, **last;
    char *buf;
    size_t len, cap;
    bool closing;
};

struct sending {
    uv_write_t request;
    size_t len;
    char data[];
};

static void on_closed(uv_handle_t *handle)
{
    struct link *l = handle->data;
    while (l->first != NULL) {
        struct waiting *w = l->first;
        l->first = w->next;
        free(w);
    }
    if (l->buf != NULL)
        sodium_memzero(l->buf, l->cap);
    free(l->buf);
    free(l);
}

void link_close(struct link *l)
{
    if (l == NULL || l->closing)
        return;
    l->closing = true;
    uv_close((uv_handle_t *)&l->pipe, on_closed);
}

static void on_line(struct link *l, const char *line, size_t len)
{
    json_error_t error;
    json_t *o = json_loadb(line, len, JSON_ALLOW_NUL, &error);
    const char *method = json_string_value(json_object_get(o, "method"));
    if (method != NULL) {
        l->cfg.event(l->cfg.ctx, method, json_object_get(o, "params"));
    } else if (l->first != NULL) {
        struct waiting *w = l->first;
        l->first = w->next;
        if (l->first == NULL)
            l->last = &l->first;
        l->cfg.answer(l->cfg.ctx, w->kind, json_object_get(o, "result"),
                      json_object_get(o, "error"));
        free(w);
    }
    json_decref(o);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct link *l = handle->data;
    (void)suggested;
    if (l->len == l->cap) {
        size_t cap = l->cap == 0 ? 65536 : l->cap * 2;
        char *grown = cap <= LINK_LINE_BYTES_MAX ? malloc(cap) : NULL;
        if (grown == NULL) {
            *buf = uv_buf_init(NULL, 0); // reads as UV_ENOBUFS
            return;
        }
        if (l->buf != NULL) {
            memcpy(grown, l->buf, l->len);
            sodium_memzero(l->buf, l->cap);
            free(l->buf);
        }
        l->buf = grown;
        l->cap = cap;
    }
    *buf = uv_buf_init(l->buf + l->len, (unsigned)(l->cap - l->len));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct link *l = stream->data;
    (void)buf;
    if (n < 0) {
        if (!l->closing)
            l->cfg.gone(l->cfg.ctx);
        return;
    }
    l->len += (size_t)n;
    size_t at = 0;
    char *newline;
    while (!l->closing && at < l->len &&
           (newline = memchr(l->buf + at, '\n', l->len - at)) != NULL) {
        size_t len = (size_t)(newline - (l->buf + at));
        on_line(l, l->buf + at, len);
        at += len + 1;
    }
    memmove(l->buf, l->buf + at, l->len - at);
    sodium_memzero(l->buf + l->len - at, at);
    l->len -= at;
}

int link_open(struct link **out, uv_loop_t *loop, int fd, const struct link_config *cfg)
{
    struct link *l = calloc(1, sizeof *l);
    if (l == NULL) {
        close(fd);
        return UV_ENOMEM;
    }
    l->cfg = *cfg;
    l->last = &l->first;
    uv_pipe_init(loop, &l->pipe, 0);
    l->pipe.data = l;
    int rc = uv_pipe_open(&l->pipe, fd);
    if (rc == 0)
        rc = uv_read_start((uv_stream_t *)&l->pipe, on_alloc, on_read);
    else
        close(fd);
    if (rc != 0) {
        link_close(l);
        return rc;
    }
    *out = l;
    return 0;
}

static void on_written(uv_write_t *request, int status)
{
    struct sending *s = (struct sending *)request;
    (void)status; // a broken connection shows when reading
    sodium_memzero(s->data, s->len);
    free(s);
}

bool link_call(struct link *l, int kind, const char *method, json_t *params)
{
    json_free_t json_free;
    json_get_alloc_funcs(NULL, &json_free);
    json_t *o = json_pack("{s:s, s:i, s:s, s:o}", "jsonrpc", "2.0", "id", kind, "method", method,
                          "params", params);
    char *text = o != NULL && !l->closing ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    if (text == NULL)
        return false;
    size_t len = strlen(text);
    struct waiting *w = calloc(1, sizeof *w);
    struct sending *s = malloc(sizeof *s + len + 1);
    bool ok = false;
    if (w != NULL && s != NULL) {
        s->len = len + 1;
        memcpy(s->data, text, len);
        s->data[len] = '\n';
        uv_buf_t buf = uv_buf_init(s->data, (unsigned)s->len);
        ok = uv_write(&s->request, (uv_stream_t *)&l->pipe, &buf, 1, on_written) == 0;
    }
    json_free(text);
    if (!ok) {
        free(w);
        free(s);
        return false;
    }
    w->kind = kind;
    *l->last = w;
    l->last = &w->next;
    return true;
}
