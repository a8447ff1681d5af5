// dht: announcing and seeking over a network of real nodes in another process, on real sockets.
#include "crypto/record.h"
#include "node/host/alarm.h"
#include "node/host/udp.h"
#include "tools/bench/bench.h"
#include "tools/bench/network.h"
#include "tools/bench/pool.h"

#include <assert.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define AT_ONCE 16u         // operations in flight in the second part
#define WARM_OPERATIONS 16u // before anything is counted: the first ones meet cold tables
#define OPERATION_S 20.0    // longer is a failure
#define TTL_S 60u
#define SEEK_HOLDERS 2u // the second is there for a holder that is slow
#define ARENA_BYTES_MAX (64u << 20)
#define BOOK_CONTACTS 4096u

// One client of the DHT, by itself on this process's loop.
struct operator
{
    struct dht *dht;
    struct pool pool;
    struct arena arena, book_arena;
    struct contact_book *book;
    struct outbox *out;
    struct udp udp;
    struct alarm alarm;
    struct udp_buffers *in;
    usec_t clock_at;
    bool in_turn;
};

struct operation {
    bool announce, done;
    uint32_t place; // 0: free
    uint8_t where[32];
    double start;
};

struct bench {
    uv_loop_t loop;
    struct operator who[2]; // the one that announces, and the one that seeks
    struct operation op[AT_ONCE];
    double *announce_ms, *seek_ms;
    size_t announces, seeks;
    unsigned failed;
};

static usec_t now_us(void)
{
    return uv_hrtime() / 1000;
}

// ---- the driver of one client ---------------------------------------------------------------------

static void on_event(struct operator*, const struct dht_event *);

static void turn(struct operator* o)
{
    struct dht_event e;
    if (o->in_turn)
        return;
    o->in_turn = true;
    while (dht_event(o->dht, &e))
        on_event(o, &e);
    for (uint32_t i = 0; i < o->out->count;) {
        struct batch batch[UDP_SENDS];
        struct udp_failure fail[UDP_SENDS];
        size_t n = 0;
        for (; n < UDP_SENDS && i < o->out->count; n++, i++) {
            const struct outbox_slot *s = &o->out->slot[i];
            batch[n] = (struct batch){
                .path = s->path, .seg_size = s->len, .count = 1, .len = s->len, .data = s->data};
        }
        (void)udp_send(&o->udp, batch, n, fail);
    }
    o->out->count = o->out->taken = 0;
    alarm_set(&o->alarm, dht_deadline(o->dht));
    o->in_turn = false;
}

static void tell_time(struct operator* o, usec_t now)
{
    struct timeval tv;
    if (o->clock_at != 0 && now - o->clock_at < USEC_PER_S)
        return;
    o->clock_at = now;
    gettimeofday(&tv, NULL);
    dht_clock(o->dht, now, (int64_t)tv.tv_sec * 1000000 + tv.tv_usec);
}

static void on_alarm(void *ctx)
{
    struct operator* o = ctx;
    usec_t now = now_us();
    tell_time(o, now);
    (void)dht_expire(o->dht, now, 64);
    turn(o);
}

static void on_socket(void *ctx, struct udp *u, bool readable, bool writable)
{
    struct operator* o = ctx;
    if (writable)
        udp_flush(u);
    while (readable) {
        size_t n = udp_receive(u, o->in, &readable);
        usec_t now = now_us();
        for (size_t i = 0; i < n; i++) {
            const struct rx *rx = &o->in->rx[i];
            for (uint32_t at = 0; at < rx->len; at += rx->seg_size)
                (void)dht_receive(o->dht, now, &rx->path, rx->data + at,
                                  rx->len - at < rx->seg_size ? rx->len - at : rx->seg_size);
            turn(o);
        }
    }
}

static int operator_open(struct operator* o, uv_loop_t *loop, const struct contact *first)
{
    static const uint8_t loopback[4] = {127, 0, 0, 1};
    struct dht_config cfg = {.rng = {host_random, NULL}, .lab = true};
    struct path listen = path_v4(loopback, 0);
    o->out = calloc(1, sizeof *o->out);
    o->in = malloc(sizeof *o->in);
    bench_pool(&o->pool);
    arena_init(&o->arena, &o->pool, ARENA_BYTES_MAX);
    arena_init(&o->book_arena, &o->pool, ARENA_BYTES_MAX);
    o->book = contact_book_new(&o->book_arena, BOOK_CONTACTS);
    if (o->out == NULL || o->in == NULL || o->book == NULL ||
        net_init(&cfg.net, BENCH_NETWORK_NAME) != 0)
        return -1;
    cfg.arena = &o->arena;
    cfg.out = o->out;
    cfg.book = o->book;
    if (dht_init(&o->dht, &cfg) != 0 || udp_open(&o->udp, loop, &listen, on_socket, o) != 0 ||
        alarm_open(&o->alarm, loop, on_alarm, o) != 0)
        return -1;
    tell_time(o, now_us());
    int rc = dht_bootstrap(o->dht, now_us(), first);
    turn(o);
    return rc;
}

// ---- operations -------------------------------------------------------------------------------------

static struct bench *bench_of(const struct operator* o)
{
    return o->udp.handle.loop->data;
}

static void start(struct bench *b, struct operation *op, bool announce)
{
    struct operator* o = & b->who[announce ? 0 : 1];
    op->announce = announce;
    op->done = false;
    if (announce)
        randombytes_buf(op->where, sizeof op->where);
    op->start = bench_now_s();
    int rc = dht_place_open(o->dht, now_us(), op->where, 0, &op->place);
    if (rc == 0 && announce) {
        uint8_t record[RECORD_BYTES];
        randombytes_buf(record, sizeof record);
        rc = dht_place_record_id(o->dht, op->place, record);
        if (rc == 0)
            rc = dht_place_announce(o->dht, now_us(), op->place, record, TTL_S, NULL);
    } else if (rc == 0) {
        rc = dht_place_seek(o->dht, now_us(), op->place, SEEK_HOLDERS);
    }
    if (rc != 0) {
        b->failed++;
        op->done = true;
    }
    turn(o);
}

static void finish(struct bench *b, struct operation *op)
{
    double ms = (bench_now_s() - op->start) * 1000;
    if (op->announce && b->announce_ms != NULL)
        b->announce_ms[b->announces++] = ms;
    if (!op->announce && b->seek_ms != NULL)
        b->seek_ms[b->seeks++] = ms;
    op->done = true;
}

static void on_event(struct operator* o, const struct dht_event *e)
{
    struct bench *b = bench_of(o);
    bool stored = e->kind == DHT_STORED && e->count > 0;
    bool found = e->kind == DHT_SAMPLE && !e->announced && e->n > 0;
    for (unsigned i = 0; i < AT_ONCE; i++) {
        struct operation *op = &b->op[i];
        if (op->done || op->place != e->id || o != &b->who[op->announce ? 0 : 1])
            continue;
        if (op->announce ? stored : found)
            finish(b, op);
        else if (!op->announce && e->kind == DHT_SAMPLE) // that one does not hold it: another
            (void)dht_place_seek(o->dht, now_us(), op->place, 1);
    }
}

// `wide` operations of one kind at the same time, until all are done.
static void round_of(struct bench *b, unsigned wide, bool announce)
{
    struct operator* o = & b->who[announce ? 0 : 1];
    double began = bench_now_s();
    for (unsigned i = 0; i < wide; i++)
        start(b, &b->op[i], announce);
    for (unsigned i = 0; i < wide;) {
        if (b->op[i].done) {
            i++;
            continue;
        }
        if (bench_now_s() - began > OPERATION_S) {
            b->failed++;
            b->op[i].done = true;
        }
        uv_run(&b->loop, UV_RUN_ONCE);
    }
    // Announced records stay for the seeks that follow; their places are forgotten without a withdrawal
    // only at the end of the run, so what closing costs is not in the figures of others.
    for (unsigned i = 0; i < wide; i++)
        if (!announce)
            dht_place_close(o->dht, now_us(), b->op[i].place);
}

static void close_announced(struct bench *b, uint32_t *place, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        dht_place_close(b->who[0].dht, now_us(), place[i]);
    turn(&b->who[0]);
}

// Announces and seeks the same places, `wide` at a time.
static void part(struct bench *b, unsigned rounds, unsigned wide)
{
    uint32_t place[AT_ONCE];
    for (unsigned r = 0; r < rounds; r++) {
        round_of(b, wide, true);
        for (unsigned i = 0; i < wide; i++)
            place[i] = b->op[i].place;
        round_of(b, wide, false);
        close_announced(b, place, wide);
    }
}

// ---- the network in a process of its own --------------------------------------------------------------

static int serve(unsigned nodes, int out)
{
    struct bench_network w;
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (bench_network_open(&w, nodes) != 0 ||
        write(out, &w.first, sizeof w.first) != sizeof w.first)
        return 1;
    bench_network_quiet(&w);
    uv_run(&w.loop, UV_RUN_DEFAULT);
    return 0;
}

static pid_t fork_network(unsigned nodes, struct contact *first)
{
    int out[2];
    if (pipe(out) != 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0)
        _exit(serve(nodes, out[1]));
    close(out[1]);
    bool ok = pid > 0 && read(out[0], first, sizeof *first) == sizeof *first;
    close(out[0]);
    return ok ? pid : -1;
}

static bool join(struct bench *b, unsigned nodes)
{
    double began = bench_now_s();
    for (unsigned i = 0; i < 2;) {
        struct dht_status s;
        dht_status(b->who[i].dht, &s);
        if (s.contacts >= (nodes < 16 ? nodes : 16)) {
            i++;
            continue;
        }
        if (bench_now_s() - began > OPERATION_S)
            return false;
        uv_run(&b->loop, UV_RUN_ONCE);
    }
    return true;
}

static void on_tick(uv_timer_t *t)
{
    (void)t;
}

static uint64_t requests(const struct bench *b)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < 2; i++) {
        struct dht_status s;
        dht_status(b->who[i].dht, &s);
        sum += s.requests_out;
    }
    return sum;
}

int bench_dht(const struct bench_options *o)
{
    static struct bench b;
    struct contact first;
    uv_timer_t tick; // so that a time limit is noticed when nothing comes
    pid_t pid = fork_network(o->nodes, &first);
    size_t room = (size_t)o->runs + AT_ONCE;
    if (pid < 0 || uv_loop_init(&b.loop) != 0)
        return 1;
    b.loop.data = &b;
    uv_timer_init(&b.loop, &tick);
    uv_timer_start(&tick, on_tick, 1000, 1000);
    if (operator_open(&b.who[0], &b.loop, &first) != 0 ||
        operator_open(&b.who[1], &b.loop, &first) != 0 || !join(&b, o->nodes)) {
        fprintf(stderr, "bauta-bench: the network of %u nodes can't be joined\n", o->nodes);
        kill(pid, SIGTERM);
        return 1;
    }
    part(&b, WARM_OPERATIONS, 1);
    double *ms[4];
    for (unsigned i = 0; i < 4; i++)
        ms[i] = calloc(room, sizeof *ms[i]);
    b.announce_ms = ms[0];
    b.seek_ms = ms[1];
    part(&b, o->runs, 1);
    size_t announces = b.announces, seeks = b.seeks;
    b.announce_ms = ms[2];
    b.seek_ms = ms[3];
    b.announces = b.seeks = 0;
    uint64_t before = requests(&b);
    double began = bench_now_s();
    part(&b, (o->runs + AT_ONCE - 1) / AT_ONCE, AT_ONCE);
    double took = bench_now_s() - began;
    uint64_t asked = requests(&b) - before;
    bench_sort(ms[0], announces);
    bench_sort(ms[1], seeks);
    bench_sort(ms[2], b.announces);
    bench_sort(ms[3], b.seeks);
    printf("{\"mode\": \"dht\", \"nodes\": %u, \"runs\": %u, \"failed\": %u, "
           "\"announce_ms_p50\": %.2f, \"announce_ms_p99\": %.2f, \"seek_ms_p50\": %.2f, "
           "\"seek_ms_p99\": %.2f, \"at_once\": %u, \"at_once_announce_ms_p50\": %.2f, "
           "\"at_once_announce_ms_p99\": %.2f, \"at_once_seek_ms_p50\": %.2f, "
           "\"at_once_seek_ms_p99\": %.2f, \"ops_per_s\": %.0f, "
           "\"requests_per_op\": %.1f}\n",
           o->nodes, o->runs, b.failed, bench_quantile(ms[0], announces, 0.5),
           bench_quantile(ms[0], announces, 0.99), bench_quantile(ms[1], seeks, 0.5),
           bench_quantile(ms[1], seeks, 0.99), AT_ONCE, bench_quantile(ms[2], b.announces, 0.5),
           bench_quantile(ms[2], b.announces, 0.99), bench_quantile(ms[3], b.seeks, 0.5),
           bench_quantile(ms[3], b.seeks, 0.99), (double)(b.announces + b.seeks) / took,
           (double)asked / (double)(b.announces + b.seeks));
    for (unsigned i = 0; i < 4; i++)
        free(ms[i]);
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
    return b.failed == 0 ? 0 : 1;
}
