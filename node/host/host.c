#include "node/host/host.h"

#include "crypto/bytes.h"
#include "dht/path.h"
#include "node/channel/heap.h"
#include "node/host/addrs.h"
#include "node/host/alarm.h"
#include "node/host/jobs.h"
#include "node/host/links.h"
#include "node/host/netwatch.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

struct host_node {
    struct host *host;
    struct host_node *next;
    struct heap_entry timer;
    struct node *node; // NULL: closed, waits for its last handle or job
    struct arena arena;
    struct links links;
    void (*proxy_said)(void *ctx, enum socks_error);
    uv_timer_t addrs_timer;
    struct path local[MEET_LOCAL_PATHS_MAX];
    size_t locals;
    bool lab;
    bool wants_jobs; // a job may wait for room
    bool in_turn;
    size_t turn_bytes; // sent in this turn
    bool deaf;         // nobody listens to events
    unsigned holds;    // handles and jobs that still point here
    usec_t clock_at;
    host_event_fn event;
    void (*moved)(void *ctx);
    void *ctx;
};

struct host {
    uv_loop_t *loop;
    struct alarm alarm;
    struct netwatch netwatch;
    struct jobs jobs;
    struct heap heap;
    struct host_node *nodes;
    uint32_t node_count;
    struct pool pool; // of all nodes and the book
    struct arena book_arena, records_arena;
    struct contact_book *book;
    struct record_book *records;
    struct outbox *out;
    struct udp_buffers *in;
    uint8_t *transmit;
    usec_t now;
    bool closing;
    unsigned holds; // nodes, the alarm, jobs of no node
};

// ---- what the machine is given ----------------------------------------------------------------------

void host_random(void *ctx, void *buf, size_t len)
{
    (void)ctx;
    randombytes_buf(buf, len);
}

// Whether this processor has AES instructions: an input of the machine.
static bool host_aes_hardware(void)
{
    return sodium_runtime_has_aesni() != 0 || sodium_runtime_has_armcrypto() != 0;
}

int64_t host_unix_us(void)
{
    struct timeval tv;
    gettimeofday(&tv, NULL);
    return (int64_t)tv.tv_sec * 1000000 + tv.tv_usec;
}

static size_t page_round(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (bytes + page - 1) / page * page;
}

// Whole pages, locked as far as the system lets us and left out of core dumps: they may hold keys.
static void *pages_take(void *ctx, size_t bytes)
{
    (void)ctx;
    void *p = NULL;
    if (posix_memalign(&p, (size_t)sysconf(_SC_PAGESIZE), page_round(bytes)) != 0)
        return NULL;
    (void)sodium_mlock(p, page_round(bytes));
    return p;
}

static void pages_give(void *ctx, void *p, size_t bytes)
{
    (void)ctx;
    (void)sodium_munlock(p, page_round(bytes));
    free(p);
}

usec_t host_now(struct host *h)
{
    usec_t now = uv_hrtime() / 1000;
    if (now > h->now)
        h->now = now;
    return h->now;
}

// ---- one turn ---------------------------------------------------------------------------------------

static void rearm(struct host *h)
{
    struct heap_entry *first = heap_first(&h->heap);
    alarm_set(&h->alarm, first != NULL ? first->deadline : USEC_NEVER);
}

// Tells the machine what failed.
static void send_batches(struct host_node *hn, usec_t now, const struct batch *batch, size_t n)
{
    struct udp_failure fail[NODE_TRANSMIT_BATCHES];
    size_t failed = links_send(&hn->links, batch, n, fail, NODE_TRANSMIT_BATCHES);
    for (size_t i = 0; i < failed; i++)
        node_sent(hn->node, now, fail[i].batch_id, fail[i].rc);
}

// Sockets that the machine is done with. After what it sent through them.
static void close_sockets(struct host_node *hn)
{
    uint32_t via[NODE_TRANSMIT_BATCHES];
    size_t n;
    while ((n = node_vias_closed(hn->node, via, NODE_TRANSMIT_BATCHES)) > 0)
        for (size_t i = 0; i < n; i++)
            links_close_socket(&hn->links, via[i]);
}

// The outbox, shared by all nodes, is always emptied. What channels have beyond a turn's share goes out in
// a later turn: first the sockets, the timers and the people have theirs.
static void transmit(struct host_node *hn, usec_t now)
{
    struct batch batch[NODE_TRANSMIT_BATCHES];
    size_t n;
    do {
        bool share = hn->turn_bytes < UDP_TURN_BYTES && !links_congested(&hn->links);
        size_t cap = share ? links_send_bytes(&hn->links) : 0;
        n = node_transmit(hn->node, now, hn->host->transmit, cap, batch, NODE_TRANSMIT_BATCHES);
        send_batches(hn, now, batch, n);
        links_flush(&hn->links);
        for (size_t i = 0; i < n; i++)
            hn->turn_bytes += batch[i].len;
    } while (n > 0);
}

static void on_job(void *ctx, uint32_t id, const uint8_t *result, int len);

static void start_jobs(struct host_node *hn)
{
    struct host *h = hn->host;
    struct job job;
    hn->wants_jobs = true;
    while (jobs_room(&h->jobs)) {
        if (!node_job(hn->node, &job)) {
            hn->wants_jobs = false;
            break;
        }
        if (jobs_start(&h->jobs, &job, on_job, hn) == 0)
            hn->holds++;
        else
            node_job_done(hn->node, host_now(h), job.id, NULL, BAUTA_ESPACE);
    }
    job_wipe(&job);
}

void host_node_listen(struct host_node *hn, bool on)
{
    hn->deaf = !on;
}

void host_node_turn(struct host_node *hn)
{
    if (hn->node == NULL || hn->in_turn)
        return;
    hn->in_turn = true;
    hn->turn_bytes = 0;
    usec_t now = host_now(hn->host);
    struct node_event ev;
    bool any = true;
    while (any) {
        any = false;
        transmit(hn, now);
        while (!hn->deaf && node_event(hn->node, now, &ev)) {
            any = true;
            if (hn->event != NULL)
                hn->event(hn->ctx, hn, &ev);
        }
        sodium_memzero(&ev, sizeof ev);
    }
    transmit(hn, now);
    start_jobs(hn);
    transmit(hn, now);
    close_sockets(hn);
    usec_t next = node_deadline(hn->node);
    if (hn->turn_bytes >= UDP_TURN_BYTES && now < next)
        next = now;
    if (next < now + HOST_CONGESTED_US &&
        links_congested(&hn->links)) // what is due may wait for the socket
        next = now + HOST_CONGESTED_US;
    heap_set(&hn->host->heap, &hn->timer, next);
    rearm(hn->host);
    hn->in_turn = false;
}

static void tell_time(struct host_node *hn, usec_t now)
{
    if (hn->clock_at != 0 && now - hn->clock_at < HOST_CLOCK_US)
        return;
    hn->clock_at = now;
    node_clock(hn->node, now, host_unix_us());
}

usec_t host_node_now(struct host_node *hn)
{
    usec_t now = host_now(hn->host);
    tell_time(hn, now);
    return now;
}

// ---- what wakes it ----------------------------------------------------------------------------------

static void on_alarm(void *ctx)
{
    struct host *h = ctx;
    usec_t now = host_now(h);
    // Each node at most once, so that sockets get their turn.
    for (uint32_t i = h->node_count; i > 0; i--) {
        struct heap_entry *first = heap_first(&h->heap);
        if (first == NULL || first->deadline > now)
            break;
        struct host_node *hn =
            (struct host_node *)((char *)first - offsetof(struct host_node, timer));
        tell_time(hn, now);
        bool more = node_expire(hn->node, now, HOST_EXPIRE_BUDGET);
        host_node_turn(hn);
        if (more)
            heap_set(&h->heap, &hn->timer, now + 1);
    }
    rearm(h);
}

static void on_tcp_received(void *ctx, const struct rx *rx, size_t n)
{
    struct host_node *hn = ctx;
    if (hn->node == NULL)
        return;
    usec_t now = host_now(hn->host);
    tell_time(hn, now);
    node_receive(hn->node, now, rx, n);
    host_node_turn(hn);
}

static void on_tcp_writable(void *ctx)
{
    host_node_turn(ctx);
}

static bool on_tcp_key(void *ctx, const struct path *path, uint8_t key[static 32])
{
    const struct host_node *hn = ctx;
    return hn->node != NULL && node_stream_key(hn->node, path, key);
}

static void on_proxy_said(void *ctx, enum socks_error error)
{
    struct host_node *hn = ctx;
    if (hn->node == NULL)
        return;
    if (error != SOCKS_OK)
        node_warn(hn->node, "proxy", socks_error_text(error));
    if (hn->proxy_said != NULL)
        hn->proxy_said(hn->ctx, error);
}

// How many buffers the machine gets at once: the outbox holds the answers to their datagrams.
static size_t one_call(const struct rx *rx, size_t n)
{
    size_t some = 0, datagrams = 0;
    do
        datagrams += (rx[some].len + rx[some].seg_size - 1u) / rx[some].seg_size;
    while (++some < n && datagrams + (rx[some].len + rx[some].seg_size - 1u) / rx[some].seg_size <=
                             UDP_SEGMENTS_MAX);
    return some;
}

static void on_socket(void *ctx, struct udp *u, bool readable, bool writable)
{
    struct host_node *hn = ctx;
    struct host *h = hn->host;
    if (writable) {
        udp_flush(u);
        host_node_turn(hn);
    }
    bool more = readable;
    // What a datagram brings about may close its socket.
    for (unsigned i = 0; more && u->fd >= 0 && i < UDP_ROUNDS_MAX; i++) {
        size_t n = udp_receive(u, h->in, &more);
        for (size_t at = 0, some; at < n && hn->node != NULL; at += some) {
            usec_t now = host_now(h);
            some = one_call(h->in->rx + at, n - at);
            tell_time(hn, now);
            node_receive(hn->node, now, h->in->rx + at, some);
            host_node_turn(hn);
        }
    }
}

static void release(struct host_node *hn);
static void host_release(struct host *h);

static void on_job(void *ctx, uint32_t id, const uint8_t *result, int len)
{
    struct host_node *hn = ctx;
    struct host *h = hn->host;
    if (hn->node != NULL) {
        usec_t now = host_now(h);
        tell_time(hn, now);
        node_job_done(hn->node, now, id, result, len);
        host_node_turn(hn);
    }
    for (struct host_node *other = h->nodes; other != NULL && jobs_room(&h->jobs);
         other = other->next)
        if (other->wants_jobs && other->node != NULL)
            host_node_turn(other);
    release(hn); // last: with the last hold the host itself may go
}

struct free_job {
    struct host *host;
    void (*done)(void *ctx, const uint8_t *result, int len);
    void *ctx;
};

static void on_free_job(void *ctx, uint32_t id, const uint8_t *result, int len)
{
    struct free_job *f = ctx;
    (void)id;
    f->done(f->ctx, result, len);
    host_release(f->host);
    free(f);
}

int host_job(struct host *h, const struct job *job,
             void (*done)(void *ctx, const uint8_t *result, int len), void *ctx)
{
    struct free_job *f = malloc(sizeof *f);
    if (f == NULL)
        return UV_ENOMEM;
    *f = (struct free_job){h, done, ctx};
    int rc = jobs_start(&h->jobs, job, on_free_job, f);
    if (rc == 0)
        h->holds++;
    else
        free(f);
    return rc;
}

// ---- own addresses ----------------------------------------------------------------------------------

static bool look_at_addresses(struct host_node *hn)
{
    struct path all[MEET_LOCAL_PATHS_MAX] = {0};
    size_t n = 0;
    for (size_t i = 0; i < hn->links.sockets; i++)
        n += addrs_of(all + n, MEET_LOCAL_PATHS_MAX - n, &hn->links.udp[i].bound, hn->lab);
    if (n == hn->locals && memcmp(all, hn->local, n * sizeof *all) == 0)
        return false;
    memcpy(hn->local, all, n * sizeof *all);
    hn->locals = n;
    node_local_paths(hn->node, host_now(hn->host), all, n);
    host_node_turn(hn);
    return true;
}

static void on_addrs_timer(uv_timer_t *timer)
{
    struct host_node *hn = timer->data;
    if (look_at_addresses(hn) && hn->moved != NULL)
        hn->moved(hn->ctx);
}

size_t host_node_bound(const struct host_node *hn, struct path out[static HOST_SOCKETS_MAX])
{
    for (size_t i = 0; i < hn->links.sockets; i++)
        out[i] = hn->links.udp[i].bound;
    return hn->links.sockets;
}

bool host_node_contact(const struct host_node *hn, struct contact *c)
{
    struct path shown = hn->links.udp[0].bound;
    if (addrs_wildcard(&shown)) {
        static const uint8_t loopback4[4] = {127, 0, 0, 1};
        static const uint8_t loopback6[16] = {[15] = 1};
        shown = shown.family == 4 ? path_v4(loopback4, shown.port) : path_v6(loopback6, shown.port);
        struct path first;
        if (!hn->lab && addrs_of(&first, 1, &hn->links.udp[0].bound, false) == 1)
            shown = first;
    }
    return node_contact(hn->node, &shown, c);
}

// ---- nodes ------------------------------------------------------------------------------------------

static bool heap_room(struct host *h)
{
    if (h->node_count < h->heap.cap)
        return true;
    uint32_t cap = h->heap.cap == 0 ? 8 : h->heap.cap * 2;
    struct heap_entry **grown = realloc(h->heap.entry, cap * sizeof *grown);
    if (grown == NULL)
        return false;
    h->heap.entry = grown;
    h->heap.cap = cap;
    return true;
}

static void release(struct host_node *hn)
{
    assert(hn->holds > 0);
    if (--hn->holds > 0)
        return;
    struct host *h = hn->host;
    arena_end(&hn->arena);
    sodium_memzero(hn, sizeof *hn);
    free(hn);
    host_release(h);
}

static void on_links_closed(void *ctx)
{
    release(ctx);
}

static void init_links(struct host_node *hn, const struct host_node_config *cfg)
{
    struct links_config lc = {.loop = hn->host->loop,
                              .prefix_limits = cfg->node.prefix_limits,
                              .tcp_beside = cfg->tcp_beside,
                              .proxy = cfg->proxy,
                              .read = hn->host->in->data[0],
                              .read_bytes = UDP_READ_BYTES,
                              .ready = on_socket,
                              .received = on_tcp_received,
                              .writable = on_tcp_writable,
                              .key = on_tcp_key,
                              .proxy_said = on_proxy_said,
                              .closed = on_links_closed,
                              .ctx = hn};
    links_init(&hn->links, &lc);
    hn->proxy_said = cfg->proxy_said;
    hn->holds++;
}

static int listen_tcp(struct host_node *hn, const struct host_node_config *cfg, char *error)
{
    int rc = 0;
    for (size_t i = 0; cfg->tcp_beside && i < hn->links.sockets && rc == 0; i++)
        rc = links_listen_tcp(&hn->links, &hn->links.udp[i].bound, error);
    for (size_t i = 0; i < cfg->tcps && rc == 0; i++)
        rc = links_listen_tcp(&hn->links, &cfg->tcp[i], error);
    return rc;
}

size_t host_node_bound_tcp(const struct host_node *hn, struct path out[static TCP_LISTENERS_MAX])
{
    memcpy(out, hn->links.tcp_bound, hn->links.tcps * sizeof *out);
    return hn->links.tcps;
}

static void on_timer_closed(uv_handle_t *handle)
{
    release(handle->data);
}

void host_node_close(struct host_node *hn)
{
    struct host *h = hn->host;
    heap_remove(&h->heap, &hn->timer);
    rearm(h);
    for (struct host_node **at = &h->nodes; *at != NULL; at = &(*at)->next) {
        if (*at == hn) {
            *at = hn->next;
            h->node_count--;
            break;
        }
    }
    if (hn->node != NULL)
        node_free(hn->node);
    hn->node = NULL;
    links_close(&hn->links);
    uv_close((uv_handle_t *)&hn->addrs_timer, on_timer_closed);
}

static int open_once(struct host *h, const struct host_node_config *cfg, struct host_node **out,
                     char error[static HOST_ERROR_BYTES])
{
    struct host_node *hn = heap_room(h) ? calloc(1, sizeof *hn) : NULL;
    if (hn == NULL) {
        snprintf(error, HOST_ERROR_BYTES, "out of memory");
        return UV_ENOMEM;
    }
    hn->host = h;
    hn->timer.deadline = USEC_NEVER;
    hn->lab = cfg->node.lab;
    hn->event = cfg->event;
    hn->moved = cfg->moved;
    hn->ctx = cfg->ctx;
    arena_init(&hn->arena, &h->pool, HOST_NODE_BYTES_MAX);
    uv_timer_init(h->loop, &hn->addrs_timer);
    hn->addrs_timer.data = hn;
    hn->holds = 1;
    init_links(hn, cfg);
    h->holds++;
    hn->next = h->nodes;
    h->nodes = hn;
    h->node_count++;

    int rc = links_open_udp(&hn->links, cfg->listen, cfg->listens, error);
    struct node_config nc = cfg->node;
    nc.rng = (struct rng){host_random, NULL};
    nc.arena = &hn->arena;
    nc.out = h->out;
    nc.book = h->book;
    nc.records = h->records;
    nc.aes_hardware = host_aes_hardware();
    if (rc == 0) {
        rc = node_new(&hn->node, host_now(h), &nc);
        if (rc != 0) {
            hn->node = NULL;
            snprintf(error, HOST_ERROR_BYTES,
                     rc == BAUTA_EFORMAT ? "a network's name has 1 to 63 visible ASCII characters"
                                         : "out of memory");
        }
    }
    if (rc == 0)
        rc = listen_tcp(hn, cfg, error);
    sodium_memzero(&nc, sizeof nc);
    if (rc != 0) {
        host_node_close(hn);
        return rc;
    }
    tell_time(hn, host_now(h));
    (void)look_at_addresses(hn);
    uv_timer_start(&hn->addrs_timer, on_addrs_timer, HOST_ADDRS_MS, HOST_ADDRS_MS);
    uv_unref((uv_handle_t *)&hn->addrs_timer);
    host_node_turn(hn);
    *out = hn;
    return 0;
}

// Where the port is ours to choose, another program may take it for TCP between the two: then another one.
int host_node_open(struct host *h, const struct host_node_config *cfg, struct host_node **out,
                   char error[static HOST_ERROR_BYTES])
{
    bool choose = cfg->tcp_beside;
    for (size_t i = 0; i < cfg->listens; i++)
        choose = choose && cfg->listen[i].port == 0;
    int rc = UV_EADDRINUSE;
    for (unsigned i = 0; rc == UV_EADDRINUSE && i < (choose ? HOST_OPEN_TRIES : 1u); i++)
        rc = open_once(h, cfg, out, error);
    return rc;
}

struct node *host_node_machine(struct host_node *hn)
{
    return hn->node;
}

int host_node_bootstrap(struct host_node *hn, const struct contact *c)
{
    int rc = node_bootstrap(hn->node, host_now(hn->host), c);
    host_node_turn(hn);
    return rc;
}

int host_node_bootstrap_name(struct host_node *hn, const char *name, uint16_t port,
                             const struct contact *c)
{
    struct contact named = *c;
    int rc = links_name(&hn->links, name, port, &named.path);
    return rc == 0 ? host_node_bootstrap(hn, &named) : rc;
}

int host_node_add_contacts(struct host_node *hn, const struct contact *c, size_t n)
{
    int rc = node_add_contacts(hn->node, host_now(hn->host), c, n);
    host_node_turn(hn);
    return rc;
}

bool host_node_clamped(const struct host_node *hn)
{
    return links_clamped(&hn->links);
}

void host_node_counters(const struct host_node *hn, struct link_counters *out)
{
    links_count(&hn->links, out);
    out->dropped_full += hn->host->out->dropped;
}

// ---- the host ---------------------------------------------------------------------------------------

static void host_release(struct host *h)
{
    assert(h->holds > 0);
    if (--h->holds > 0)
        return;
    if (h->book != NULL)
        contact_book_end(h->book);
    record_book_end(h->records);
    arena_end(&h->book_arena);
    arena_end(&h->records_arena);
    pool_end(&h->pool);
    if (h->in != NULL)
        sodium_memzero(h->in, sizeof *h->in);
    if (h->out != NULL)
        sodium_memzero(h->out, sizeof *h->out);
    free(h->in);
    free(h->out);
    free(h->transmit);
    free(h->heap.entry);
    free(h);
}

static void on_handle_closed(uv_handle_t *handle)
{
    host_release(handle->data);
}

// They come and go in bursts: each node looks a little later, once.
static void on_addresses(void *ctx)
{
    struct host *h = ctx;
    for (struct host_node *hn = h->nodes; hn != NULL; hn = hn->next)
        if (uv_timer_get_due_in(&hn->addrs_timer) >
            HOST_ADDRS_SETTLE_MS) // else more news put it off for ever
            uv_timer_start(&hn->addrs_timer, on_addrs_timer, HOST_ADDRS_SETTLE_MS, HOST_ADDRS_MS);
}

int host_new(struct host **out, uv_loop_t *loop)
{
    struct host *h = calloc(1, sizeof *h);
    if (h == NULL)
        return UV_ENOMEM;
    h->loop = loop;
    h->holds = 1;
    jobs_init(&h->jobs, loop);
    pool_init(&h->pool, pages_take, pages_give, NULL);
    arena_init(&h->book_arena, &h->pool, HOST_BOOK_BYTES_MAX);
    arena_init(&h->records_arena, &h->pool, HOST_RECORDS_BYTES_MAX);
    h->book = contact_book_new(&h->book_arena, HOST_CONTACTS_MAX);
    h->records = record_book_new(&h->records_arena, HOST_RECORDS_MAX);
    h->in = calloc(1, sizeof *h->in);
    h->out = calloc(1, sizeof *h->out);
    h->transmit = malloc(UDP_SEND_BYTES);
    int rc = h->book == NULL || h->records == NULL || h->in == NULL || h->out == NULL ||
                     h->transmit == NULL
                 ? UV_ENOMEM
                 : 0;
    if (rc == 0)
        rc = alarm_open(&h->alarm, loop, on_alarm, h);
    if (rc != 0) {
        host_release(h);
        return rc;
    }
    h->alarm.handle.data = h;
    if (netwatch_open(&h->netwatch, loop, on_addresses, h) == 0) {
        h->netwatch.poll.data = h;
        h->holds++;
    }
    *out = h;
    return 0;
}

void host_free(struct host *h)
{
    if (h->closing)
        return;
    h->closing = true;
    while (h->nodes != NULL)
        host_node_close(h->nodes);
    (void)netwatch_close(&h->netwatch, on_handle_closed);
    (void)alarm_close(&h->alarm, on_handle_closed);
}
