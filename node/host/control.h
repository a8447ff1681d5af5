// The control socket: JSON-RPC lines over a Unix socket that belongs to one person (mode 0600), several
// clients at once. A client that doesn't read what it asked for is dropped.
#ifndef BAUTA_NODE_HOST_CONTROL_H
#define BAUTA_NODE_HOST_CONTROL_H

#include "node/host/api.h"
#include "node/host/host.h"

struct control;

struct control_config {
    const char *path; // of the socket
    struct host_node *node;
    struct api *api;
    bool listens;            // this process follows the events itself: none waits for a client
    void (*stop)(void *ctx); // `stop` was called
    void (*privacy)(void *ctx, enum node_privacy); // the choice was made; may be NULL
    void (*counters)(void *ctx,
                     struct api_counters *); // adds its own before each call; may be NULL
    void *ctx;
};

// 0, or a negative UV_ code with a line for a person. UV_EADDRINUSE: another node listens there.
int control_open(struct control **, uv_loop_t *, const struct control_config *,
                 char error[static HOST_ERROR_BYTES]);
// To all who subscribed. May be called from a host_event_fn.
void control_event(struct control *, const struct node_event *);
// Removes the socket; clients get what was queued for them, as far as they take it.
void control_close(struct control *);

// The default path: $XDG_RUNTIME_DIR/bauta/control, else bauta-UID/control in the system's temporary
// folder. control_make_dir makes that folder (mode 0700), and refuses one that others may write to;
// control_own_dir only refuses, and has nothing against one that is not there: a client looks before it
// connects, or who made the folder first could play the node. 0 or -1 with a line in `error`.
void control_default_path(char out[static HOST_PATH_BYTES]);
int control_own_dir(const char *socket_path, char error[static HOST_ERROR_BYTES]);
int control_make_dir(const char *socket_path, char error[static HOST_ERROR_BYTES]);

// Connects, blocking. A descriptor, or a negative errno.
int control_connect(const char *path);

#endif
