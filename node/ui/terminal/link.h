// A face's connection to the control socket of a node: calls by kind, answers and events back.
#ifndef BAUTA_NODE_UI_TERMINAL_LINK_H
#define BAUTA_NODE_UI_TERMINAL_LINK_H

#include <jansson.h>
#include <stdbool.h>
#include <uv.h>

struct link;

struct link_config {
    // Answers come in the order of calls. One of `result` and `error` is NULL.
    void (*answer)(void *ctx, int kind, json_t *result, json_t *error);
    void (*event)(void *ctx, const char *method, json_t *params);
    void (*gone)(void *ctx); // the node ended the connection
    void *ctx;
};

int link_open(struct link **, uv_loop_t *, int fd,
              const struct link_config *); // 0 or UV_ code; takes fd
// Takes `params`. False when it could not be sent (out of memory, not UTF-8, gone).
bool link_call(struct link *, int kind, const char *method, json_t *params);
void link_close(struct link *); // frees it once libuv has let go; no more callbacks

#endif
