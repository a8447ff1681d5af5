#include "node/host/portmap.h"

#include "crypto/bytes.h"
#include "dht/path.h"
#include "node/host/limits.h"
#include "node/host/process.h"

#include <signal.h>
#include <sodium.h>
#include <stdlib.h>

#define RUN_HANDLES 3u // process and two pipes

struct portmap {
    uv_loop_t *loop;
    struct portmap_config cfg;
    struct portmap_counters count;
    uv_timer_t timer; // the next run, or the end of one that takes too long
    bool on, closed;
    bool moved; // interfaces have changed since a router last said yes,
    bool again; // and since the last run began
    unsigned failures;
    uint64_t began_ms; // the last run, on the loop's clock
    bool mapped;
    struct portmap_mapping mapping;
    char url[PORTMAP_URL_BYTES]; // of the router that holds it
    // To be closed, once the run that is being killed has ended. NONE: nothing.
    enum portmap_protocol left;
    uint16_t left_port;

    // The run.
    enum portmap_op op; // 0: none
    uv_process_t process;
    uv_pipe_t in, out;
    uv_write_t write;
    unsigned handles; // of these three still open
    bool exited, ended, killed;
    bool dropped; // killed because nobody wants its answer any more
    int status;
    uint8_t request[PORTMAP_REQUEST_BYTES];
    uint8_t answer[PORTMAP_ANSWER_BYTES + 1]; // one more: who fills that says too much
    size_t answer_len;
};

const char *portmap_protocol_name(enum portmap_protocol p)
{
    return p == PORTMAP_UPNP ? "upnp" : "nat-pmp";
}

bool portmap_get(const struct portmap *p, struct portmap_mapping *out)
{
    *out = p->mapping;
    return p->mapped;
}

void portmap_count(const struct portmap *p, struct portmap_counters *out)
{
    *out = p->count;
}

bool portmap_closing(const struct portmap *p)
{
    return p->op == PORTMAP_UNMAP || p->left != PORTMAP_NONE;
}

static void set_mapping(struct portmap *p, const struct portmap_mapping *m)
{
    p->mapped = m != NULL;
    p->mapping = m != NULL ? *m : (struct portmap_mapping){0};
}

// Not all nodes of a network at the same moment.
static uint64_t jittered(uint64_t ms)
{
    return ms - randombytes_uniform((uint32_t)(ms / 5) + 1);
}

static void on_timer(uv_timer_t *);

static void next_in(struct portmap *p, uint64_t ms)
{
    uint64_t since = uv_now(p->loop) - p->began_ms;
    if (p->count.runs > 0 && since < PORTMAP_GAP_MS && ms < PORTMAP_GAP_MS - since && !p->cfg.lab)
        ms = PORTMAP_GAP_MS - since;
    uv_timer_start(&p->timer, on_timer, ms, 0);
}

static uint64_t retry_ms(const struct portmap *p)
{
    uint64_t ms = PORTMAP_RETRY_MS_MIN;
    for (unsigned i = 1; i < p->failures && ms < PORTMAP_RETRY_MS_MAX; i++)
        ms *= 2;
    return jittered(ms < PORTMAP_RETRY_MS_MAX ? ms : PORTMAP_RETRY_MS_MAX);
}

// ---- a run ------------------------------------------------------------------------------------------

static void run_over(struct portmap *);

static void free_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct portmap *p = handle->data;
    if (--p->handles > 0)
        return;
    if (p->closed)
        uv_close((uv_handle_t *)&p->timer, free_closed);
    else
        run_over(p);
}

// A process that was killed is waited for no longer: init takes it should this one end first.
static void close_run(struct portmap *p)
{
    uv_handle_t *all[RUN_HANDLES] = {(uv_handle_t *)&p->process, (uv_handle_t *)&p->in,
                                     (uv_handle_t *)&p->out};
    uv_timer_stop(&p->timer);
    for (size_t i = 0; i < RUN_HANDLES; i++)
        if (!uv_is_closing(all[i]))
            uv_close(all[i], on_handle_closed);
}

static void kill_run(struct portmap *p)
{
    p->killed = true;
    if (!p->exited)
        (void)uv_process_kill(&p->process, SIGKILL);
    else
        close_run(p);
}

static void on_exited(uv_process_t *process, int64_t status, int term_signal)
{
    struct portmap *p = process->data;
    p->exited = true;
    p->status = term_signal == 0 && status == EXIT_OK ? EXIT_OK : EXIT_FAILED;
    if (p->ended || p->killed)
        close_run(p);
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct portmap *p = handle->data;
    (void)suggested;
    *buf = uv_buf_init((char *)p->answer + p->answer_len,
                       (unsigned)(sizeof p->answer - p->answer_len));
}

static void on_read(uv_stream_t *out, ssize_t n, const uv_buf_t *buf)
{
    struct portmap *p = out->data;
    (void)buf;
    if (n > 0) {
        p->answer_len += (size_t)n;
        if (p->answer_len < sizeof p->answer)
            return;
        (void)uv_read_stop(out);
        kill_run(p);
    } else if (n < 0) {
        (void)uv_read_stop(out);
        p->ended = true;
        if (p->exited)
            close_run(p);
    }
}

static void on_written(uv_write_t *write, int status)
{
    (void)write;
    (void)status; // who reads no request gives no answer
}

static int spawn(struct portmap *p)
{
#ifdef __linux__
    static const char path[] =
        "/proc/self/exe"; // also after an update has put another in its place
#else
    char path[HOST_PATH_BYTES];
    size_t len = sizeof path;
    int found = uv_exepath(path, &len);
    if (found != 0)
        return found;
#endif
    char *argv[] = {"bauta", "port-mapper", NULL}, *env[] = {NULL};
    uv_stdio_container_t stdio[3] = {
        {.flags = UV_CREATE_PIPE | UV_READABLE_PIPE, .data.stream = (uv_stream_t *)&p->in},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&p->out},
        {.flags = UV_IGNORE}};
    uv_process_options_t options = {.exit_cb = on_exited,
                                    .file = path,
                                    .args = argv,
                                    .env = env,
                                    .cwd = "/",
                                    .flags = UV_PROCESS_DETACHED, // a terminal's ^C is not for it
                                    .stdio_count = 3,
                                    .stdio = stdio};
    return uv_spawn(p->loop, &p->process, &options);
}

static void run(struct portmap *p, const struct portmap_request *q)
{
    p->op = q->op;
    p->began_ms = uv_now(p->loop);
    p->exited = p->ended = p->killed = p->dropped = false;
    p->status = EXIT_FAILED;
    p->answer_len = 0;
    p->handles = RUN_HANDLES;
    portmap_request_put(p->request, q);
    (void)uv_pipe_init(p->loop, &p->in, 0);
    (void)uv_pipe_init(p->loop, &p->out, 0);
    p->in.data = p->out.data = p->process.data = p->write.data = p;
    int rc = spawn(p);
    if (rc != 0) {
        p->exited = true;
        close_run(p);
        return;
    }
    uv_buf_t buf = uv_buf_init((char *)p->request, sizeof p->request);
    (void)uv_write(&p->write, (uv_stream_t *)&p->in, &buf, 1, on_written);
    if (uv_read_start((uv_stream_t *)&p->out, on_room, on_read) != 0)
        kill_run(p);
    uv_timer_start(&p->timer, on_timer, PORTMAP_RUN_MS, 0);
}

static void run_map(struct portmap *p)
{
    struct portmap_request q = {.op = PORTMAP_MAP,
                                .protocol = p->mapped ? p->mapping.protocol : PORTMAP_NONE,
                                .internal = p->cfg.port,
                                .external = p->mapped ? p->mapping.external.port : p->cfg.port,
                                .lease_s = p->cfg.lease_s};
    memcpy(q.bound, p->cfg.bound, sizeof q.bound);
    memcpy(q.url, p->url, sizeof q.url);
    p->again = false;
    run(p, &q);
}

static void run_unmap(struct portmap *p, enum portmap_protocol protocol, uint16_t external)
{
    p->left = PORTMAP_NONE;
    struct portmap_request q = {.op = PORTMAP_UNMAP,
                                .protocol = protocol,
                                .internal = p->cfg.port,
                                .external = external,
                                .lease_s = p->cfg.lease_s};
    memcpy(q.bound, p->cfg.bound, sizeof q.bound);
    memcpy(q.url, p->url, sizeof q.url);
    memset(p->url, 0, sizeof p->url);
    run(p, &q);
}

// ---- what came of it --------------------------------------------------------------------------------

static void failed(struct portmap *p)
{
    usec_t now = uv_hrtime() / 1000;
    p->failures++;
    p->count.failed++;
    // Where the network is another one, what the old one held is of no use.
    if (p->mapped && (p->moved || p->mapping.until <= now))
        set_mapping(p, NULL);
    uint64_t ms = p->again ? PORTMAP_SETTLE_MS : retry_ms(p);
    if (p->mapped && ms > (p->mapping.until - now) / 1000)
        ms = (p->mapping.until - now) / 1000 + 1;
    next_in(p, ms);
}

static void map_over(struct portmap *p)
{
    struct portmap_answer a;
    uint32_t least = p->cfg.lab ? PORTMAP_LEASE_LAB_S_MIN / 2 : PORTMAP_LEASE_S_MIN / 2;
    if (p->killed || p->status != EXIT_OK ||
        portmap_answer_get(&a, p->answer, p->answer_len) != BAUTA_OK ||
        a.result != PORTMAP_MAPPED) {
        failed(p);
        return;
    }
    bool kept = path_reachable(&a.external, p->cfg.lab) && !path_loopback(&a.external) &&
                a.lease_s >= least;
    memcpy(p->url, a.url, sizeof p->url);
    if (!p->on || !kept) {
        p->count.lied += !kept;
        p->failures++;
        if (p->mapped)
            set_mapping(p, NULL);
        run_unmap(p, a.protocol, a.external.port);
        return;
    }
    uint64_t lease_s = a.lease_s < p->cfg.lease_s ? a.lease_s : p->cfg.lease_s;
    struct portmap_mapping m = {a.protocol, a.external, uv_hrtime() / 1000 + lease_s * USEC_PER_S};
    uint64_t renew_ms = lease_s * 1000 / 2;
    p->failures = 0;
    p->moved = p->again;
    next_in(p, p->again
                   ? PORTMAP_SETTLE_MS
                   : jittered(renew_ms < PORTMAP_RENEW_MS_MAX ? renew_ms : PORTMAP_RENEW_MS_MAX));
    set_mapping(p, &m);
}

static void run_over(struct portmap *p)
{
    enum portmap_op op = p->op;
    p->op = 0;
    p->count.runs++;
    p->count.killed += p->killed && !p->dropped;
    if (p->left != PORTMAP_NONE && !p->on)
        run_unmap(p, p->left, p->left_port);
    else if (p->dropped && p->on)
        next_in(p, 0);
    else if (op == PORTMAP_MAP && !p->dropped)
        map_over(p);
    else if (p->on)
        next_in(p, retry_ms(p));
    p->cfg.changed(p->cfg.ctx);
}

static void on_timer(uv_timer_t *timer)
{
    struct portmap *p = timer->data;
    if (p->op != 0) {
        kill_run(p);
        return;
    }
    if (!p->on)
        return;
    if (p->mapped && p->mapping.until <= uv_hrtime() / 1000) {
        set_mapping(p, NULL);
        p->cfg.changed(p->cfg.ctx);
    }
    run_map(p);
}

// ---- what one asks of it ----------------------------------------------------------------------------

int portmap_open(struct portmap **out, uv_loop_t *loop, const struct portmap_config *cfg)
{
    struct portmap *p = calloc(1, sizeof *p);
    if (p == NULL)
        return UV_ENOMEM;
    p->loop = loop;
    p->cfg = *cfg;
    uv_timer_init(loop, &p->timer);
    p->timer.data = p;
    *out = p;
    return 0;
}

void portmap_want(struct portmap *p, bool on)
{
    if (p->on == on)
        return;
    p->on = on;
    if (on) {
        p->failures = 0;
        p->left = PORTMAP_NONE; // is asked for again
        if (p->op == 0)
            next_in(p, 0);
        return;
    }
    if (p->op == PORTMAP_MAP && !p->killed) {
        p->dropped = true;
        kill_run(p);
    }
    if (!p->mapped) {
        if (p->op == 0)
            uv_timer_stop(&p->timer);
        return;
    }
    p->left = p->mapping.protocol;
    p->left_port = p->mapping.external.port;
    set_mapping(p, NULL);
    p->cfg.changed(p->cfg.ctx);
    if (p->op == 0)
        run_unmap(p, p->left, p->left_port);
}

void portmap_moved(struct portmap *p)
{
    p->failures = 0;
    p->moved = p->again = true;
    if (p->on && p->op == 0)
        next_in(p, PORTMAP_SETTLE_MS);
}

void portmap_close(struct portmap *p)
{
    if (p == NULL || p->closed)
        return;
    p->closed = true;
    if (p->op == 0) {
        uv_close((uv_handle_t *)&p->timer, free_closed);
        return;
    }
    if (!p->exited)
        (void)uv_process_kill(&p->process, SIGKILL);
    close_run(p);
}
