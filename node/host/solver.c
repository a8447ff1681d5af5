#include "node/host/solver.h"

#include "node/host/limits.h"

#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <sys/resource.h>
#endif

struct solver {
    uv_thread_t thread;
    uv_async_t async;
    atomic_bool stop;
    struct net net;
    uint8_t pk[32], nonce[PUZZLE_NONCE_BYTES];
    unsigned bits;
    void (*done)(void *ctx, const uint8_t puzzle_nonce[static PUZZLE_NONCE_BYTES]);
    void *ctx;
};

static void search(void *arg)
{
    struct solver *s = arg;
    uint64_t counter = 0;
#ifdef __linux__
    (void)setpriority(PRIO_PROCESS, 0, 19); // of this thread alone
#endif
    while (!atomic_load(&s->stop)) {
        if (node_puzzle_search(s->nonce, &s->net, s->pk, s->bits, &counter, SOLVER_TRIES)) {
            (void)uv_async_send(&s->async);
            return;
        }
    }
}

static void on_async(uv_async_t *async)
{
    struct solver *s = async->data;
    s->done(s->ctx, s->nonce);
}

static void on_closed(uv_handle_t *handle)
{
    struct solver *s = handle->data;
    sodium_memzero(s, sizeof *s);
    free(s);
}

int solver_start(struct solver **out, uv_loop_t *loop, const struct net *net,
                 const uint8_t pk[static 32], unsigned bits,
                 void (*done)(void *ctx, const uint8_t puzzle_nonce[static PUZZLE_NONCE_BYTES]),
                 void *ctx)
{
    struct solver *s = calloc(1, sizeof *s);
    if (s == NULL)
        return UV_ENOMEM;
    s->net = *net;
    memcpy(s->pk, pk, 32);
    s->bits = bits;
    s->done = done;
    s->ctx = ctx;
    int rc = uv_async_init(loop, &s->async, on_async);
    if (rc != 0) {
        free(s);
        return rc;
    }
    s->async.data = s;
    rc = uv_thread_create(&s->thread, search, s);
    if (rc != 0) {
        uv_close((uv_handle_t *)&s->async, on_closed);
        return rc;
    }
    *out = s;
    return 0;
}

void solver_stop(struct solver *s)
{
    if (s == NULL)
        return;
    atomic_store(&s->stop, true);
    (void)uv_thread_join(&s->thread);
    uv_close((uv_handle_t *)&s->async, on_closed);
}
