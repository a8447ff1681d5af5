#include "node/host/resolve.h"

#include <stdlib.h>
#include <string.h>

struct resolve {
    uv_getaddrinfo_t request;
    uv_timer_t timer;
    struct host_node *node;
    struct bootstrap bootstrap;
    uint64_t wait_ms;
    bool asking, stopped, timer_closed;
};

static void ask(struct resolve *r);

static void free_if_over(struct resolve *r)
{
    if (r->timer_closed && !r->asking)
        free(r);
}

static void on_timer(uv_timer_t *timer)
{
    ask(timer->data);
}

static void again_later(struct resolve *r)
{
    uv_timer_start(&r->timer, on_timer, r->wait_ms, 0);
    r->wait_ms = r->wait_ms * 2 < RESOLVE_RETRY_MS_MAX ? r->wait_ms * 2 : RESOLVE_RETRY_MS_MAX;
}

static void on_answer(uv_getaddrinfo_t *request, int status, struct addrinfo *all)
{
    struct resolve *r = request->data;
    size_t taken = 0;
    r->asking = false;
    for (struct addrinfo *ai = all; !r->stopped && ai != NULL && taken < RESOLVE_ADDRESSES_MAX;
         ai = ai->ai_next) {
        struct contact c = r->bootstrap.contact;
        udp_path(&c.path, ai->ai_addr);
        if (c.path.family == 0)
            continue;
        c.path.via = r->bootstrap.contact.path.via;
        (void)host_node_bootstrap(r->node, &c);
        taken++;
    }
    uv_freeaddrinfo(all);
    if (r->stopped)
        free_if_over(r);
    else if (status != 0 || taken == 0)
        again_later(r);
}

static void ask(struct resolve *r)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM};
    int rc = uv_getaddrinfo(r->timer.loop, &r->request, on_answer, r->bootstrap.host,
                            r->bootstrap.port, &hints);
    r->asking = rc == 0;
    if (rc != 0)
        again_later(r);
}

int resolve_start(struct resolve **out, uv_loop_t *loop, struct host_node *node,
                  const struct bootstrap *b)
{
    struct resolve *r = calloc(1, sizeof *r);
    if (r == NULL)
        return UV_ENOMEM;
    r->node = node;
    r->bootstrap = *b;
    r->wait_ms = RESOLVE_RETRY_MS_MIN;
    uv_timer_init(loop, &r->timer);
    r->timer.data = r;
    r->request.data = r;
    ask(r);
    *out = r;
    return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct resolve *r = handle->data;
    r->timer_closed = true;
    free_if_over(r);
}

void resolve_stop(struct resolve *r)
{
    if (r == NULL || r->stopped)
        return;
    r->stopped = true;
    if (r->asking)
        (void)uv_cancel((uv_req_t *)&r->request);
    uv_close((uv_handle_t *)&r->timer, on_timer_closed);
}
