// relay: what a volunteer's relay costs. One that runs in a process of its own, as `bauta relay` does, forwards for one
// client as fast as it can; beside it, in the same run, a process that only receives and sends the same datagrams (UDP
// with GRO and GSO). Then so many clients at rest: what each holds.
#include "tools/bench/bench.h"
#include "tools/bench/pool.h"

#include "crypto/nodekey.h"
#include "crypto/relaykey.h"
#include "dht/dht.h"
#include "dht/path.h"
#include "node/channel/cids.h"
#include "node/host/host.h"
#include "node/relay/consent.h"
#include "node/relay/tunnel.h"

#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DATAGRAM                                                                                   \
    1380u // fills a packet of a tunnel on an Ethernet path, as those of a channel in it do
#define SEGMENTS 46u            // 64 KB
#define WINDOW_BYTES (1u << 20) // of the plain datagrams on their way: what the sockets hold
#define PATIENCE_S 60.0
#define WARM_S 1.0    // until the congestion window is open
#define SETTLE_S 15.0 // clients have joined and read the directory
#define ROUND_TRIPS 2000u
#define USER 0x70000u
#define VIA PATH_VIA_TUNNEL(1, 1)
#define NETWORK "bench"

static const uint8_t loopback[4] = {127, 0, 0, 1};

struct told { // what a child says when it is asked, and unasked at first
    struct contact contact;
    uint32_t clients;
    uint64_t held_bytes; // by the process's pool
    unsigned long rss_kb;
};

struct child {
    pid_t pid;
    int fd;
    struct told told;
};

static double cpu_of(pid_t pid)
{
    clockid_t id;
    struct timespec t = {0};
    if (clock_getcpuclockid(pid, &id) == 0)
        (void)clock_gettime(id, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static bool ask(struct child *c)
{
    return write(c->fd, "q", 1) == 1 &&
           read(c->fd, &c->told, sizeof c->told) == (ssize_t)sizeof c->told;
}

static void end(struct child *c)
{
    (void)kill(c->pid, SIGKILL);
    (void)waitpid(c->pid, NULL, 0);
    close(c->fd);
}

// ---- the relay ------------------------------------------------------------------------------------------

struct relay_process {
    uv_loop_t loop;
    uv_poll_t poll;
    struct host *host;
    struct host_node *node;
    struct contact contact;
    int fd;
};

static void tell(struct relay_process *p)
{
    struct node_status s;
    node_status(host_node_machine(p->node), host_node_now(p->node), &s);
    struct told t = {.contact = p->contact,
                     .clients = s.relay.clients,
                     .held_bytes = s.pool_held_bytes,
                     .rss_kb = bench_rss_kb(getpid())};
    if (write(p->fd, &t, sizeof t) != (ssize_t)sizeof t)
        _exit(1);
}

static void on_asked(uv_poll_t *poll, int status, int events)
{
    struct relay_process *p = poll->data;
    char c;
    (void)status;
    (void)events;
    if (read(p->fd, &c, 1) != 1)
        _exit(0);
    tell(p);
}

static void be_relay(int fd, unsigned clients)
{
    static struct relay_process p;
    char error[HOST_ERROR_BYTES];
    struct host_node_config hc = {.listens = 1};
    hc.listen[0] = path_v4(loopback, 0);
    hc.node = (struct node_config){.network = NETWORK,
                                   .server = true,
                                   .listed = true,
                                   .lab = true,
                                   .relay = true,
                                   .relay_clients_max = clients,
                                   .relay_client_Bps = UINT32_MAX,
                                   .relay_total_Bps = UINT32_MAX,
                                   .relay_volume_bytes = UINT64_MAX};
    randombytes_buf(hc.node.relay_seed, sizeof hc.node.relay_seed);
    relay_secret(hc.node.secret, hc.node.relay_seed);
    p.fd = fd;
    if (uv_loop_init(&p.loop) != 0 || host_new(&p.host, &p.loop) != 0 ||
        host_node_open(p.host, &hc, &p.node, error) != 0 ||
        !host_node_contact(p.node, &p.contact) || uv_poll_init(&p.loop, &p.poll, fd) != 0)
        _exit(1);
    (void)node_relay_announce(host_node_machine(p.node), host_node_now(p.node), &p.contact.path, 1,
                              false, 0);
    host_node_turn(p.node);
    p.poll.data = &p;
    uv_poll_start(&p.poll, UV_READABLE, on_asked);
    tell(&p);
    uv_run(&p.loop, UV_RUN_DEFAULT);
    _exit(0);
}

// ---- who only forwards ------------------------------------------------------------------------------------

struct plain_process {
    uv_loop_t loop;
    struct udp in, out;
    struct udp_buffers *buffers;
    struct path to;
};

static void on_plain(void *ctx, struct udp *u, bool readable, bool writable)
{
    struct plain_process *p = ctx;
    bool more = readable;
    if (writable)
        udp_flush(u);
    while (more && u == &p->in) {
        size_t n = udp_receive(u, p->buffers, &more);
        for (size_t i = 0; i < n; i++) {
            const struct rx *r = &p->buffers->rx[i];
            struct batch b = {.path = p->to,
                              .seg_size = r->seg_size,
                              .count = (uint16_t)((r->len + r->seg_size - 1) / r->seg_size),
                              .len = r->len,
                              .data = r->data};
            struct udp_failure fail[UDP_SENDS];
            (void)udp_send(&p->out, &b, 1, fail);
        }
    }
}

static void be_plain(int fd, const struct path *to)
{
    static struct plain_process p;
    struct path any = path_v4(loopback, 0);
    struct told t = {0};
    p.to = *to;
    p.buffers = calloc(1, sizeof *p.buffers);
    if (p.buffers == NULL || uv_loop_init(&p.loop) != 0 ||
        udp_open(&p.in, &p.loop, &any, on_plain, &p) != 0 ||
        udp_open(&p.out, &p.loop, &any, on_plain, &p) != 0)
        _exit(1);
    t.contact.path = p.in.bound;
    if (write(fd, &t, sizeof t) != (ssize_t)sizeof t)
        _exit(1);
    uv_run(&p.loop, UV_RUN_DEFAULT);
    _exit(0);
}

// A child that is a relay, or only forwards `to` somebody.
static bool start(struct child *c, unsigned clients, const struct path *to)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
        return false;
    fflush(stdout);
    c->pid = fork();
    if (c->pid == 0) {
        close(pair[0]);
        if (to != NULL)
            be_plain(pair[1], to);
        be_relay(pair[1], clients);
    }
    close(pair[1]);
    c->fd = pair[0];
    return c->pid > 0 && read(c->fd, &c->told, sizeof c->told) == (ssize_t)sizeof c->told;
}

// ---- the client and the far end -----------------------------------------------------------------------------

struct ends {
    uv_loop_t loop;
    struct udp client, far;
    struct udp_buffers *buffers;
    struct pool pool;
    struct arena arena, book_arena, records_arena;
    struct contact_book *book;
    struct record_book *records;
    struct outbox *out;
    struct dht *dht;
    struct tunnel *tunnel;
    struct cids cids;
    uint8_t mask[MASK_KEY_BYTES];
    struct consent consent;
    struct rng rng;
    bool ready, consented, closed, echo;
    struct path to, exit;
    uint64_t got_bytes, back;
    uint8_t *buf;
};

static usec_t now_us(void)
{
    return uv_hrtime() / 1000;
}

static void client_events(struct ends *e, usec_t now)
{
    struct dht_event d;
    struct tunnel_event t;
    while (dht_event(e->dht, &d))
        (void)tunnel_dht_event(e->tunnel, now, &d);
    while (!e->closed && tunnel_event(e->tunnel, now, &t)) {
        if (t.kind == TUNNEL_CID_ADD)
            (void)cids_add(&e->cids, t.cid, 1, t.phase);
        else if (t.kind == TUNNEL_CID_DROP)
            cids_drop(&e->cids, t.cid);
        e->ready = e->ready || t.kind == TUNNEL_READY;
        e->closed = t.kind == TUNNEL_CLOSED;
        if (t.kind == TUNNEL_CONSENTED) {
            e->consented = true;
            e->to = t.path;
        }
    }
}

static void client_turn(struct ends *e)
{
    struct batch b[UDP_SENDS];
    struct udp_failure fail[UDP_SENDS];
    usec_t now = now_us();
    size_t n;
    client_events(e, now);
    for (uint32_t k = 0; k < e->out->count; k++) {
        struct outbox_slot *s = &e->out->slot[k];
        struct batch one = {
            .path = s->path, .seg_size = s->len, .count = 1, .len = s->len, .data = s->data};
        (void)udp_send(&e->client, &one, 1, fail);
    }
    e->out->count = e->out->taken = 0;
    while (!e->closed &&
           (n = tunnel_transmit(e->tunnel, now, e->buf, UDP_SEND_BYTES, b, UDP_SENDS)) > 0) {
        (void)udp_send(&e->client, b, n, fail);
        client_events(e, now);
    }
}

static void client_receive(struct ends *e, const struct path *from, uint8_t ecn, uint8_t *data,
                           size_t len)
{
    uint8_t cid[CID_BYTES];
    struct path path;
    usec_t now = now_us();
    if (len < DATAGRAM_BYTES_MIN)
        return;
    if (dht_is_answer(e->dht, data, len)) {
        (void)dht_receive(e->dht, now, from, data, len);
        return;
    }
    packet_cid(cid, data, len, e->mask);
    const struct cid_slot *slot = cids_find(&e->cids, cid);
    if (slot == NULL)
        return;
    (void)tunnel_receive(e->tunnel, now, cid, slot->phase, from, ecn, data, len);
    while (tunnel_datagram(e->tunnel, &path, &data, &len))
        e->back++;
}

static void far_receive(struct ends *e, const struct path *from, uint8_t *data, size_t len)
{
    struct udp_failure fail[UDP_SENDS];
    bool question = consent_is(data, len, e->consent.ask);
    if (question && consent_reply(data, len, &e->consent, &e->rng) != 0)
        return;
    if (!question)
        e->got_bytes += len;
    if (question || e->echo) {
        struct batch b = {.path = *from,
                          .seg_size = (uint16_t)len,
                          .count = 1,
                          .len = (uint32_t)len,
                          .data = data};
        (void)udp_send(&e->far, &b, 1, fail);
    }
}

static void on_ends(void *ctx, struct udp *u, bool readable, bool writable)
{
    struct ends *e = ctx;
    bool more = readable;
    if (writable)
        udp_flush(u);
    for (unsigned round = 0; more && round < UDP_ROUNDS_MAX; round++) {
        size_t n = udp_receive(u, e->buffers, &more);
        for (size_t i = 0; i < n; i++) {
            const struct rx *r = &e->buffers->rx[i];
            if (u == &e->far && !e->echo && r->seg_size == DATAGRAM) {
                e->got_bytes += r->len;
                continue;
            }
            for (uint32_t at = 0; at < r->len; at += r->seg_size) {
                uint32_t len = r->len - at < r->seg_size ? r->len - at : r->seg_size;
                if (u == &e->far)
                    far_receive(e, &r->path, r->data + at, len);
                else
                    client_receive(e, &r->path, r->ecn, r->data + at, len);
            }
        }
    }
}

static void turn(struct ends *e)
{
    usec_t now = now_us();
    uv_run(&e->loop, UV_RUN_NOWAIT);
    if (e->dht == NULL)
        return;
    if (dht_deadline(e->dht) <= now)
        (void)dht_expire(e->dht, now, 64);
    if (!e->closed && tunnel_deadline(e->tunnel) <= now)
        (void)tunnel_expire(e->tunnel, now, 64);
    client_turn(e);
}

static bool open_ends(struct ends *e)
{
    struct path any = path_v4(loopback, 0);
    memset(e, 0, sizeof *e);
    e->buffers = calloc(1, sizeof *e->buffers);
    e->out = calloc(1, sizeof *e->out);
    e->buf = malloc(UDP_SEND_BYTES);
    e->rng = (struct rng){host_random, NULL};
    return e->buffers != NULL && e->out != NULL && e->buf != NULL && uv_loop_init(&e->loop) == 0 &&
           udp_open(&e->client, &e->loop, &any, on_ends, e) == 0 &&
           udp_open(&e->far, &e->loop, &any, on_ends, e) == 0;
}

static bool open_tunnel(struct ends *e, const struct contact *relay)
{
    uint8_t key[CONSENT_KEY_BYTES];
    bench_pool(&e->pool);
    arena_init(&e->arena, &e->pool, (size_t)256 << 20);
    arena_init(&e->book_arena, &e->pool, (size_t)16 << 20);
    arena_init(&e->records_arena, &e->pool, (size_t)16 << 20);
    e->book = contact_book_new(&e->book_arena, 64);
    e->records = record_book_new(&e->records_arena, 64);
    e->cids = (struct cids){calloc(256, sizeof(struct cid_slot)), 256, 0, 128};
    randombytes_buf(e->mask, sizeof e->mask);
    randombytes_buf(key, sizeof key);
    consent_init(&e->consent, key);
    struct dht_config d = {.rng = e->rng,
                           .arena = &e->arena,
                           .out = e->out,
                           .book = e->book,
                           .records = e->records,
                           .lab = true,
                           .store_bytes_max = 1u << 20};
    struct tunnel_config t = {.rng = e->rng,
                              .arena = &e->arena,
                              .relay = *relay,
                              .via = VIA,
                              .lab = true,
                              .aes_hardware = true,
                              .user = USER};
    memcpy(t.local_mask, e->mask, sizeof t.local_mask);
    if (net_init(&d.net, NETWORK) != 0 || net_init(&t.net, NETWORK) != 0 ||
        dht_init(&e->dht, &d) != 0)
        return false;
    t.dht = e->dht;
    dht_clock(e->dht, now_us(), (int64_t)time(NULL) * 1000000);
    if (tunnel_new(&e->tunnel, now_us(), &t) != 0)
        return false;
    double until = bench_now_s() + PATIENCE_S;
    while (!e->ready && !e->closed && bench_now_s() < until)
        turn(e);
    tunnel_consent(e->tunnel, now_us(), key, &e->far.bound, 1);
    while (!e->consented && !e->closed && bench_now_s() < until)
        turn(e);
    return e->consented;
}

// ---- what is measured -----------------------------------------------------------------------------------

struct figures {
    double MBps, per_core, loss;
};

static void through_relay(struct ends *e)
{
    static const uint8_t data[DATAGRAM];
    for (unsigned i = 0; i < 256; i++)
        if (tunnel_send(e->tunnel, &e->to, NULL, data, sizeof data) != 0)
            return;
}

static uint64_t plain_sent;
static void through_plain(struct ends *e, const struct path *to)
{
    static uint8_t data[SEGMENTS * DATAGRAM];
    struct udp_failure fail[UDP_SENDS];
    struct batch b = {
        .path = *to, .seg_size = DATAGRAM, .count = SEGMENTS, .len = sizeof data, .data = data};
    while (plain_sent - e->got_bytes < WINDOW_BYTES) {
        (void)udp_send(&e->client, &b, 1, fail);
        plain_sent += sizeof data;
    }
}

static struct figures forward(struct ends *e, const struct child *c, unsigned seconds, bool relay)
{
    struct figures f = {0};
    double warm = bench_now_s() + WARM_S, began = 0, cpu = 0, quiet = 0;
    uint64_t bytes = 0, last = 0;
    for (;;) {
        double now = bench_now_s();
        if (began == 0 && now > warm) {
            began = now;
            bytes = e->got_bytes;
            cpu = cpu_of(c->pid);
        }
        if (began != 0 && now > began + seconds) {
            f.MBps = (double)(e->got_bytes - bytes) / (now - began) / 1e6;
            f.per_core = (double)(e->got_bytes - bytes) / (cpu_of(c->pid) - cpu) / 1e6;
            return f;
        }
        if (relay) {
            through_relay(e);
        } else {
            if (e->got_bytes != last) {
                last = e->got_bytes;
                quiet = now;
            } else if (now > quiet + 0.05) { // what was lost is not waited for
                plain_sent = e->got_bytes;
            }
            through_plain(e, &c->told.contact.path);
        }
        turn(e);
    }
}

// Microseconds, the median: to the far end and back through the relay, or on its own.
static double round_trip(struct ends *e, bool relay)
{
    static double us[ROUND_TRIPS];
    static uint8_t data[64];
    struct udp_failure fail[UDP_SENDS];
    e->echo = true;
    for (unsigned i = 0; i < ROUND_TRIPS; i++) {
        uint64_t back = e->back;
        double began = bench_now_s();
        if (relay) {
            (void)tunnel_send(e->tunnel, &e->to, NULL, data, sizeof data);
        } else {
            struct batch b = {.path = e->far.bound,
                              .seg_size = sizeof data,
                              .count = 1,
                              .len = sizeof data,
                              .data = data};
            (void)udp_send(&e->client, &b, 1, fail);
        }
        uint64_t got = e->got_bytes;
        while ((relay ? e->back == back : e->got_bytes == got) && bench_now_s() < began + 1)
            turn(e);
        us[i] = (bench_now_s() - began) * 1e6;
    }
    e->echo = false;
    bench_sort(us, ROUND_TRIPS);
    return bench_quantile(us, ROUND_TRIPS, 0.5);
}

static int forwarding(unsigned seconds)
{
    static struct ends e, p;
    struct child relay, plain;
    if (!start(&relay, 8, NULL))
        return 1;
    bool ok = open_ends(&e) && open_tunnel(&e, &relay.told.contact);
    double rtt_us = ok ? round_trip(&e, true) : 0, leg_us = ok ? round_trip(&e, false) : 1;
    struct figures f = ok ? forward(&e, &relay, seconds, true) : (struct figures){0};
    end(&relay);
    ok = ok && open_ends(&p) && start(&plain, 0, &p.far.bound);
    if (!ok) {
        fprintf(stderr, "bauta-bench: no tunnel came about\n");
        return 1;
    }
    struct figures raw = forward(&p, &plain, seconds, false);
    end(&plain);
    printf(
        "{\"mode\": \"relay\", \"datagram_bytes\": %u, \"MBps\": %.0f, \"MBps_per_core\": %.0f, "
        "\"raw_MBps\": %.0f, \"raw_MBps_per_core\": %.0f, \"ratio\": %.2f, \"rtt_us_p50\": %.1f, "
        "\"leg_us_p50\": %.1f, \"relay_adds_us\": %.1f}\n",
        DATAGRAM, f.MBps, f.per_core, raw.MBps, raw.per_core, f.per_core / raw.per_core, rtt_us,
        leg_us, rtt_us - 2 * leg_us);
    return 0;
}

// ---- clients at rest ----------------------------------------------------------------------------------------

static void run_for(uv_loop_t *loop, double seconds)
{
    double until = bench_now_s() + seconds;
    while (bench_now_s() < until)
        if (uv_run(loop, UV_RUN_NOWAIT) != 0)
            (void)poll(NULL, 0, 1);
}

static int memory(unsigned clients)
{
    struct child relay;
    uv_loop_t loop;
    struct host *host;
    char error[HOST_ERROR_BYTES];
    struct rlimit files = {16384, 16384};
    (void)setrlimit(RLIMIT_NOFILE, &files);
    if (!start(&relay, clients, NULL) || uv_loop_init(&loop) != 0 || host_new(&host, &loop) != 0 ||
        !ask(&relay))
        return 1;
    struct told before = relay.told;
    for (unsigned i = 0; i < clients; i++) {
        struct host_node_config hc = {.listens = 1};
        struct host_node *node;
        hc.listen[0] = path_v4(loopback, 0);
        hc.node = (struct node_config){
            .network = NETWORK, .lab = true, .privacy = NODE_RELAYED, .store_bytes_max = 1u << 20};
        if (host_node_open(host, &hc, &node, error) != 0) {
            fprintf(stderr, "bauta-bench: client %u: %s\n", i, error);
            end(&relay);
            return 1;
        }
        (void)host_node_bootstrap(node, &before.contact);
        run_for(&loop, 0.022); // RELAY_OPENS_PER_S
    }
    double began = bench_now_s();
    while (ask(&relay) && relay.told.clients < clients && bench_now_s() < began + PATIENCE_S)
        run_for(&loop, 0.5);
    run_for(&loop, SETTLE_S);
    bool ok = ask(&relay) && relay.told.clients > 0;
    double cpu = cpu_of(relay.pid), n = relay.told.clients;
    began = bench_now_s();
    run_for(&loop, SETTLE_S);
    cpu = cpu_of(relay.pid) - cpu;
    ok = ok && ask(&relay);
    end(&relay);
    if (!ok)
        return 1;
    printf("{\"mode\": \"relay\", \"clients\": %u, \"of\": %u, \"pool_KiB_per_client\": %.1f, "
           "\"rss_KiB_per_client\": %.1f, \"idle_core_percent\": %.2f}\n",
           relay.told.clients, clients,
           ((double)relay.told.held_bytes - (double)before.held_bytes) / 1024 / n,
           ((double)relay.told.rss_kb - (double)before.rss_kb) / n,
           100 * cpu / (bench_now_s() - began));
    return relay.told.clients == clients ? 0 : 1;
}

int bench_relay(const struct bench_options *o)
{
    int rc = forwarding(o->seconds);
    return rc != 0 ? rc : memory(o->clients);
}
