// `bauta run` and `bauta relay`: one node until it is interrupted.
#include "node/host/run.h"

#include "node/host/notify.h"
#include "node/host/process.h"
#include "node/host/sandbox.h"
#include "node/host/serve.h"
#include "node/host/signals.h"

#include <stdio.h>
#include <unistd.h>

struct run {
    uv_loop_t loop;
    struct signals signals;
    struct host *host;
    struct serve *serve;
    int status;
};

static void on_ready(void *ctx, struct serve *s, int status, const char *error)
{
    struct run *r = ctx;
    if (status != EXIT_OK) {
        r->status = process_fail(status, "%s", error);
        return;
    }
    printf("ready %s\n", serve_contact(s));
    fflush(stdout);
    notify_manager("READY=1");
}

static void on_ended(void *ctx)
{
    struct run *r = ctx;
    r->serve = NULL;
    signals_close(&r->signals);
    host_free(r->host);
}

static void on_end(void *ctx)
{
    struct run *r = ctx;
    if (r->serve != NULL && serve_searching(r->serve))
        _exit(EXIT_OK);
    notify_manager("STOPPING=1");
    if (r->serve != NULL)
        serve_stop(r->serve);
}

int run_node(const struct config *c)
{
    struct run r = {.status = EXIT_OK};
    struct serve_config sc = {.config = c, .ready = on_ready, .ended = on_ended, .ctx = &r};
    int sandboxed = c->command == COMMAND_RELAY ? sandbox_enter() : 0;
    if (sandboxed < 0)
        return process_fail(EXIT_FAILED, "the system refused to take away the calls that a relay "
                                         "does not need");
    sc.sandboxed = sandboxed > 0;
    int rc = uv_loop_init(&r.loop);
    if (rc != 0)
        return process_fail(EXIT_FAILED, "can't start: %s", uv_strerror(rc));
    signals_open(&r.signals, &r.loop, on_end, &r);
    rc = host_new(&r.host, &r.loop);
    if (rc == 0) {
        sc.host = r.host;
        rc = serve_start(&r.serve, &r.loop, &sc);
    }
    if (rc != 0)
        return process_fail(EXIT_FAILED, "can't start: %s", uv_strerror(rc));
    uv_run(&r.loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&r.loop);
    return r.status;
}
