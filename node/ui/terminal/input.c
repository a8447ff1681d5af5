#include "node/ui/terminal/input.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_BYTES (2 * INPUT_LINE_BYTES_MAX)

struct input {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tty_t tty;
        uv_pipe_t pipe;
    } in;
    uv_fs_t read; // where the descriptor is a file
    uv_loop_t *loop;
    int fd;
    bool terminal, file, reading, ended, skipping, closing;
    void (*wake)(void *ctx);
    void *ctx;
    char buf[BUFFER_BYTES];
    size_t len;      // filled
    size_t line_len; // of the line that was peeked at, its end included
};

static void ask(struct input *in);

static void arrived(struct input *in, ssize_t n)
{
    if (n > 0)
        in->len += (size_t)n;
    else if (n < 0)
        in->ended = true;
    in->wake(in->ctx);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct input *in = handle->data;
    (void)suggested;
    *buf = uv_buf_init(in->buf + in->len, (unsigned)(BUFFER_BYTES - in->len));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct input *in = stream->data;
    (void)buf;
    uv_read_stop(stream);
    in->reading = false;
    arrived(in, n);
}

static void on_file_read(uv_fs_t *request)
{
    struct input *in = request->data;
    ssize_t n = request->result;
    uv_fs_req_cleanup(request);
    in->reading = false;
    if (in->closing) {
        sodium_memzero(in, sizeof *in);
        free(in);
        return;
    }
    arrived(in, n == 0 ? UV_EOF : n);
}

static void ask(struct input *in)
{
    if (in->reading || in->ended || in->closing || in->len == BUFFER_BYTES)
        return;
    in->reading = true;
    if (!in->file) {
        if (uv_read_start(&in->in.stream, on_alloc, on_read) != 0)
            in->ended = true;
        return;
    }
    uv_buf_t buf = uv_buf_init(in->buf + in->len, (unsigned)(BUFFER_BYTES - in->len));
    if (uv_fs_read(in->loop, &in->read, in->fd, &buf, 1, -1, on_file_read) != 0)
        in->ended = true;
}

int input_open(struct input **out, uv_loop_t *loop, int fd, void (*wake)(void *ctx), void *ctx)
{
    struct input *in = calloc(1, sizeof *in);
    if (in == NULL)
        return UV_ENOMEM;
    in->loop = loop;
    in->fd = fd;
    in->wake = wake;
    in->ctx = ctx;
    int rc = 0;
    switch (uv_guess_handle(fd)) {
    case UV_TTY:
        in->terminal = true;
        rc = uv_tty_init(loop, &in->in.tty, fd, 1);
        break;
    case UV_NAMED_PIPE:
        rc = uv_pipe_init(loop, &in->in.pipe, 0);
        if (rc == 0)
            rc = uv_pipe_open(&in->in.pipe, fd);
        break;
    default:
        in->file = true;
        break;
    }
    if (rc != 0) {
        free(in);
        return rc;
    }
    in->in.handle.data = in;
    in->read.data = in;
    *out = in;
    return 0;
}

static void drop(struct input *in, size_t n)
{
    memmove(in->buf, in->buf + n, in->len - n);
    sodium_memzero(in->buf + in->len - n, n);
    in->len -= n;
}

enum input_line input_peek(struct input *in, const char **line, size_t *len)
{
    for (;;) {
        char *newline = in->len > 0 ? memchr(in->buf, '\n', in->len) : NULL;
        size_t text = newline != NULL ? (size_t)(newline - in->buf) : in->len;
        if (in->skipping) {
            drop(in, newline != NULL ? text + 1 : text);
            in->skipping = newline == NULL;
            if (newline != NULL)
                continue;
        } else if (text > input_line_max(in)) {
            drop(in, newline != NULL ? text + 1 : text);
            in->skipping = newline == NULL;
            return INPUT_TOO_LONG;
        } else if (newline != NULL || (in->ended && text > 0)) {
            in->line_len = newline != NULL ? text + 1 : text;
            *line = in->buf;
            *len = text > 0 && in->buf[text - 1] == '\r' ? text - 1 : text;
            return INPUT_LINE;
        }
        if (in->ended)
            return INPUT_END;
        ask(in);
        if (!in->ended)
            return INPUT_NONE;
    }
}

void input_take(struct input *in)
{
    drop(in, in->line_len);
    in->line_len = 0;
}

bool input_terminal(const struct input *in)
{
    return in->terminal;
}

unsigned input_line_max(const struct input *in)
{
    return in->terminal ? INPUT_TYPED_BYTES_MAX : INPUT_LINE_BYTES_MAX;
}

static void on_closed(uv_handle_t *handle)
{
    struct input *in = handle->data;
    sodium_memzero(in, sizeof *in);
    free(in);
}

void input_close(struct input *in)
{
    if (in == NULL || in->closing)
        return;
    in->closing = true;
    if (!in->file) {
        uv_close(&in->in.handle, on_closed);
    } else if (!in->reading || uv_cancel((uv_req_t *)&in->read) != 0) {
        if (in->reading)
            return; // on_file_read frees it
        sodium_memzero(in, sizeof *in);
        free(in);
    }
}

bool input_is(const char *line, size_t len, const char *word)
{
    size_t n = strlen(word);
    return len >= n && memcmp(line, word, n) == 0 && (len == n || line[n] == ' ');
}
