// many: one process with many channels, each of which says something once a second, and another one with
// all their far ends. What a message and the upkeep of a channel cost, and what a channel at rest holds.
#include "tools/bench/bench.h"
#include "tools/bench/pool.h"

#include "dht/path.h"
#include "node/channel/channel.h"
#include "node/channel/cids.h"
#include "node/channel/heap.h"
#include "node/host/alarm.h"
#include "node/host/host.h"

#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STREAM 0u
#define MESSAGE_BYTES 64u
#define TICK_US 1000u // a channel begins, or speaks, in each where there are a thousand
#define SETTLE_S 3.0  // between the last one's first step and the first message
#define PATIENCE_S 60.0
#define CIDS_EACH 4u
#define ARENA_BYTES ((size_t)1 << 30)
#define PORT_BYTES sizeof(uint16_t)

struct one {
    struct heap_entry timer; // first member: the heap's entries are these
    struct channel *channel;
    bool matched;
};

struct many {
    uv_loop_t loop;
    struct udp udp;
    struct udp_buffers *buffers;
    struct alarm alarm;
    struct pool pool;
    struct arena arena;
    struct cids cids;
    struct heap heap;
    struct one *one;
    usec_t tick_at;
    struct channel_config base;
    unsigned channels, seconds;
    bool initiator;
    pid_t other;
    unsigned born, matched, closed;
    unsigned speaker; // whose turn it is
    uint64_t spoken, heard;
    unsigned long rss_before_kb, rss_kb; // before the first, and with all at rest
    size_t idle_bytes;
    double began, ready, start, end, cpu, other_cpu;
};

static usec_t now_us(void)
{
    return uv_hrtime() / 1000;
}

// Of a process that is our own or our child.
static double cpu_of(pid_t pid)
{
    clockid_t id;
    struct timespec t = {0};
    if (clock_getcpuclockid(pid, &id) == 0)
        (void)clock_gettime(id, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void on_event(struct many *m, struct one *c, usec_t now, const struct channel_event *ev)
{
    uint8_t buf[MESSAGE_BYTES];
    switch (ev->kind) {
    case CHANNEL_CID_ADD:
        (void)cids_add(&m->cids, ev->cid, (uint16_t)(c - m->one + 1), ev->phase);
        return;
    case CHANNEL_CID_DROP:
        cids_drop(&m->cids, ev->cid);
        return;
    case CHANNEL_MATCHED:
        m->matched++;
        return;
    case CHANNEL_READABLE:
        for (size_t n; (n = channel_stream_receive(c->channel, now, STREAM, buf, sizeof buf)) > 0;)
            m->heard += n;
        return;
    case CHANNEL_CLOSED:
        m->closed++;
        return;
    default:
        return;
    }
}

static void turn(struct many *m, struct one *c, usec_t now)
{
    static uint8_t buf[UDP_SEND_BYTES];
    struct batch batch[UDP_SENDS];
    struct udp_failure fail[UDP_SENDS];
    struct channel_event ev;
    size_t n;
    do {
        while (channel_event(c->channel, &ev))
            on_event(m, c, now, &ev);
        n = channel_transmit(c->channel, now, buf, sizeof buf, batch, UDP_SENDS);
        (void)udp_send(&m->udp, batch, n, fail);
    } while (n > 0);
    heap_set(&m->heap, &c->timer, channel_deadline(c->channel));
}

static void rearm(struct many *m)
{
    struct heap_entry *first = heap_first(&m->heap);
    alarm_set(&m->alarm,
              first != NULL && first->deadline < m->tick_at ? first->deadline : m->tick_at);
}

static void on_socket(void *ctx, struct udp *u, bool readable, bool writable)
{
    struct many *m = ctx;
    bool more = readable;
    if (writable)
        udp_flush(u);
    for (unsigned round = 0; more && round < UDP_ROUNDS_MAX; round++) {
        size_t n = udp_receive(u, m->buffers, &more);
        usec_t now = now_us();
        for (size_t i = 0; i < n; i++) {
            const struct rx *r = &m->buffers->rx[i];
            for (uint32_t at = 0; at < r->len; at += r->seg_size) {
                uint32_t len = r->len - at < r->seg_size ? r->len - at : r->seg_size;
                uint8_t cid[CID_BYTES];
                if (len < DATAGRAM_BYTES_MIN)
                    continue;
                packet_cid(cid, r->data + at, len, m->base.local_mask);
                const struct cid_slot *s = cids_find(&m->cids, cid);
                if (s == NULL)
                    continue;
                struct one *c = &m->one[s->owner - 1];
                (void)channel_receive(c->channel, now, cid, s->phase, &r->path, r->ecn,
                                      r->data + at, len);
                turn(m, c, now);
            }
        }
    }
    rearm(m);
}

static void begin_one(struct many *m, usec_t now)
{
    struct channel_config cfg = m->base;
    uint8_t local[CID_BYTES], remote[CID_BYTES];
    uint32_t i = m->born++;
    for (unsigned k = 0; k < sizeof i; k++) {
        uint8_t byte = (uint8_t)(i >> 8 * k);
        cfg.k_ir[k] ^= byte;
        cfg.k_ri[k] ^= byte;
        cfg.h[k] ^= byte;
        cfg.local_cid[k] ^= byte;
        cfg.remote_cid[k] ^= byte;
    }
    memcpy(local, m->initiator ? cfg.local_cid : cfg.remote_cid, CID_BYTES);
    memcpy(remote, m->initiator ? cfg.remote_cid : cfg.local_cid, CID_BYTES);
    memcpy(cfg.local_cid, local, CID_BYTES);
    memcpy(cfg.remote_cid, remote, CID_BYTES);
    if (channel_new(&m->one[i].channel, now, &cfg, &m->arena) != 0)
        _exit(1);
    turn(m, &m->one[i], now);
}

static void measure(struct many *m, double *cpu, double *other)
{
    *cpu = cpu_of(getpid());
    *other = cpu_of(m->other);
}

// Each channel has its own moment in each second.
static void speak(struct many *m, double now_s, usec_t now)
{
    static const uint8_t message[MESSAGE_BYTES] = {0};
    uint64_t due = (uint64_t)((now_s - m->start) * m->channels);
    for (; m->spoken < due; m->spoken++) {
        struct one *c = &m->one[m->speaker];
        m->speaker = m->speaker + 1 < m->channels ? m->speaker + 1 : 0;
        (void)channel_stream_send(c->channel, now, STREAM, message, sizeof message);
        turn(m, c, now);
    }
}

static void on_tick(struct many *m, usec_t now)
{
    double now_s = bench_now_s(), cpu, other;
    m->tick_at = now + TICK_US;
    if (m->born < m->channels)
        begin_one(m, now);
    if (m->ready == 0 && m->matched == m->channels)
        m->ready = now_s;
    if (m->initiator && m->ready != 0 && m->start == 0 && now_s > m->ready + SETTLE_S) {
        m->idle_bytes = m->arena.used_bytes;
        m->rss_kb = bench_rss_kb(getpid());
        measure(m, &m->cpu, &m->other_cpu);
        m->start = now_s;
    }
    if (m->start != 0)
        speak(m, now_s, now);
    if (m->start != 0 && now_s >= m->start + m->seconds) {
        measure(m, &cpu, &other);
        m->cpu = cpu - m->cpu;
        m->other_cpu = other - m->other_cpu;
        m->end = now_s;
        uv_stop(&m->loop);
    }
    if (m->start == 0 && now_s > m->began + PATIENCE_S)
        uv_stop(&m->loop);
    if (!m->initiator && m->ready != 0)
        m->tick_at = USEC_NEVER; // the far side only answers
}

static void on_alarm(void *ctx)
{
    struct many *m = ctx;
    usec_t now = now_us();
    for (unsigned i = 0; i < m->channels; i++) {
        struct one *c = (struct one *)heap_first(&m->heap);
        if (c == NULL || c->timer.deadline > now)
            break;
        (void)channel_expire(c->channel, now, 64);
        turn(m, c, now);
    }
    if (m->tick_at <= now)
        on_tick(m, now);
    rearm(m);
}

static int open_all(struct many *m, int control)
{
    static const uint8_t loopback[4] = {127, 0, 0, 1};
    struct path any = path_v4(loopback, 0);
    uint16_t port;
    uint32_t slots = 1;
    while (slots < 2 * CIDS_EACH * m->channels)
        slots *= 2;
    m->cids = (struct cids){calloc(slots, sizeof(struct cid_slot)), slots, 0, slots / 2};
    m->heap = (struct heap){calloc(m->channels, sizeof(struct heap_entry *)), 0, m->channels};
    m->one = calloc(m->channels, sizeof *m->one);
    m->buffers = calloc(1, sizeof *m->buffers);
    bench_pool(&m->pool);
    arena_init(&m->arena, &m->pool, ARENA_BYTES);
    if (m->cids.slot == NULL || m->heap.entry == NULL || m->one == NULL || m->buffers == NULL ||
        uv_loop_init(&m->loop) != 0 || udp_open(&m->udp, &m->loop, &any, on_socket, m) != 0 ||
        alarm_open(&m->alarm, &m->loop, on_alarm, m) != 0)
        return -1;
    if (write(control, &m->udp.bound.port, PORT_BYTES) != PORT_BYTES ||
        read(control, &port, PORT_BYTES) != PORT_BYTES)
        return -1;
    m->base.candidate[0] = path_v4(loopback, port);
    m->base.initiator = m->initiator;
    m->rss_before_kb = bench_rss_kb(getpid());
    m->began = bench_now_s();
    m->tick_at = now_us();
    rearm(m);
    return 0;
}

static int report(const struct many *m)
{
    double span = m->end - m->start, n = m->channels;
    if (m->end == 0 || m->closed > 0) {
        fprintf(stderr, "bauta-bench: %u of %u channels came about, %u ended\n", m->matched,
                m->channels, m->closed);
        return 1;
    }
    printf("{\"mode\": \"many\", \"channels\": %u, \"messages_per_s\": %.0f, "
           "\"core_percent\": %.2f, \"far_core_percent\": %.2f, \"us_per_message\": %.1f, "
           "\"kB_per_channel\": %.1f, \"arena_kB_per_channel\": %.1f, \"ready_s\": %.2f}\n",
           m->channels, (double)m->spoken / span, 100 * m->cpu / span, 100 * m->other_cpu / span,
           1e6 * m->cpu / (double)m->spoken, (double)(m->rss_kb - m->rss_before_kb) / n,
           (double)m->idle_bytes / 1024 / n, m->ready - m->began);
    return 0;
}

int bench_many(const struct bench_options *o)
{
    int pair[2], rc = 1;
    if (o->channels == 0 || o->channels >= UINT16_MAX ||
        socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
        return 1;
    struct many *m = calloc(1, sizeof *m);
    if (m == NULL)
        return 1;
    m->channels = o->channels;
    m->seconds = o->seconds;
    m->base = (struct channel_config){
        .aead = o->aead == NULL || o->aead[0] == 'a' ? PACKET_AEGIS256 : PACKET_CHACHA20POLY1305,
        .lab = true,
        .candidates = 1,
        .rng = {host_random, NULL}};
    randombytes_buf(m->base.k_ir, sizeof m->base.k_ir);
    randombytes_buf(m->base.k_ri, sizeof m->base.k_ri);
    randombytes_buf(m->base.h, sizeof m->base.h);
    randombytes_buf(m->base.local_cid, CID_BYTES);
    randombytes_buf(m->base.remote_cid, CID_BYTES);
    fflush(stdout);
    m->other = fork();
    if (m->other < 0) {
        free(m);
        return 1;
    }
    m->initiator = m->other > 0;
    if (open_all(m, pair[m->initiator ? 0 : 1]) == 0) {
        uv_run(&m->loop, UV_RUN_DEFAULT); // the far side's ends with its process
        rc = m->initiator ? report(m) : 1;
    }
    if (!m->initiator)
        _exit(1);
    (void)kill(m->other, SIGKILL);
    (void)waitpid(m->other, NULL, 0);
    free(m->cids.slot);
    free(m->heap.entry);
    free(m->one);
    free(m->buffers);
    free(m);
    return rc;
}
