// A person's node on a loop: state, key and puzzle, sockets, control socket, bootstraps; and its polite
// end. `run`, `chat` and `demo` are made of it.
#ifndef BAUTA_NODE_HOST_SERVE_H
#define BAUTA_NODE_HOST_SERVE_H

#include "node/host/config.h"
#include "node/host/control.h"
#include "node/host/host.h"

struct serve;

struct serve_config {
    const struct config *config; // outlives it
    struct host *host;
    // It can take calls; or status is not EXIT_OK, `error` says why, and `ended` follows.
    void (*ready)(void *ctx, struct serve *, int status, const char *error);
    // All is over and given back; the serve is gone after it.
    void (*ended)(void *ctx);
    host_event_fn event; // beside the control socket; may be NULL
    void *ctx;
    bool sandboxed; // for status
};

int serve_start(struct serve **, uv_loop_t *, const struct serve_config *); // 0 or UV_ENOMEM
// Ends every encounter, waits until that is said or HOST_STOP_MS is over. Again: at once.
void serve_stop(struct serve *);
// It still solves its key's puzzle, which takes seconds and can't be interrupted; nothing is open yet.
bool serve_searching(const struct serve *);
const char *serve_contact(const struct serve *); // as `ready` prints it
const char *serve_control_path(const struct serve *);

#endif
