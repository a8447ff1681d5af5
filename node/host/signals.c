#include "node/host/signals.h"

#include <signal.h>

static void on_signal(uv_signal_t *handle, int number)
{
    struct signals *s = handle->data;
    (void)number;
    s->end(s->ctx);
}

void signals_open(struct signals *s, uv_loop_t *loop, void (*end)(void *ctx), void *ctx)
{
    static const int numbers[3] = {SIGINT, SIGTERM, SIGHUP};
    s->end = end;
    s->ctx = ctx;
    s->closed = false;
    for (size_t i = 0; i < 3; i++) {
        struct sigaction now;
        uv_signal_init(loop, &s->handle[i]);
        s->handle[i].data = s;
        bool ignored =
            numbers[i] == SIGHUP && sigaction(SIGHUP, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
        if (!ignored)
            uv_signal_start(&s->handle[i], on_signal, numbers[i]);
    }
}

void signals_close(struct signals *s)
{
    if (s->closed)
        return;
    s->closed = true;
    for (size_t i = 0; i < 3; i++)
        uv_close((uv_handle_t *)&s->handle[i], NULL);
}
