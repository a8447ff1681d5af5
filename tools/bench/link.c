// link: bulk on one stream over a channel between two network namespaces for a given time, as it is
// seen by the application at the far end. tools/lab makes the link, and the TCP beside it.
#include "tools/bench/bench.h"
#include "tools/bench/pair.h"

#include "node/channel/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define STREAM 1u
#define CHUNK_BYTES 65536u
#define RECEIVE_BYTES (16u << 20) // 16 MB at 200 ms is 80 MB/s
#define TICK_MS 10u
#define SERIES_TICKS 10u // of TICK_MS, between two lines of the series
#define MATCH_US_MAX (15 * USEC_PER_S)

struct shared {        // between the two processes, each field written by one of them
    usec_t start, end; // by the sender: from when to when bytes count
    // by the receiver: bytes for the application in all, and those that count
    uint64_t arrived, got;
    usec_t gap_us_max; // by the receiver: without a byte for the application
    bool wrong;        // by the receiver: a byte that was not sent so
};

struct flow {
    struct shared *shared;
    const struct bench_options *options;
    struct pair_end *end;
    uv_timer_t tick;
    uint64_t sent, tick_count, told_arrived;
    usec_t told_at;
    struct channel_status told;
    usec_t last_at;
    uint8_t chunk[CHUNK_BYTES];
};

static void push(struct pair_end *e, unsigned stream)
{
    struct flow *f = e->ctx;
    while (stream == STREAM) {
        size_t at = (size_t)(f->sent % 2048); // chunk repeats with that period
        int n =
            channel_stream_send(e->channel, pair_now(), STREAM, f->chunk + at, CHUNK_BYTES - at);
        if (n <= 0)
            return;
        f->sent += (uint64_t)n;
    }
}

static void begin(struct pair_end *e)
{
    struct flow *f = e->ctx;
    usec_t now = pair_now();
    f->shared->end = now + f->options->seconds * USEC_PER_S;
    f->shared->start = now;
    push(e, STREAM);
}

// What BBR believes; nothing of another controller.
static void tell_model(const struct chan_cc *cc)
{
    static const char *const states[] = {"startup", "drain", "down",     "cruise",
                                         "refill",  "up",    "probe_rtt"};
    const struct chan_bbr *b = &cc->of.bbr;
    if (cc->kind != CHAN_CC_BBR)
        return;
    printf(", \"state\": \"%s\", \"bw_MBps\": %.2f, \"bw_low_MBps\": %.2f, \"model_rtt_ms\": %.1f, "
           "\"high\": %lld, \"low\": %lld, \"extra\": %llu, \"base_loss\": %.4f",
           states[b->state], (double)chan_bbr_bandwidth(b) / 1e6,
           b->bounds.bw_low == UINT64_MAX ? -1.0 : (double)b->bounds.bw_low / 1e6,
           (double)b->min_rtt_us / 1e3, (long long)b->bounds.inflight_high_bytes,
           (long long)b->bounds.inflight_low_bytes,
           (unsigned long long)(b->extra_bytes[0] > b->extra_bytes[1] ? b->extra_bytes[0]
                                                                      : b->extra_bytes[1]),
           (double)b->base_loss / 65536);
}

// What the controller does, ten times a second.
static void tell(struct flow *f, usec_t now)
{
    struct channel_status s;
    uint64_t arrived = f->shared->arrived;
    double us = (double)(now - (f->told_at != 0 ? f->told_at : f->shared->start));
    const struct chan_cc *cc = &f->end->channel->recovery.cc;
    channel_status(f->end->channel, &s);
    printf("{\"t_ms\": %llu, \"MBps\": %.2f, \"sent_MBps\": %.2f, \"cwnd\": %llu, "
           "\"in_flight\": %llu, \"pace_MBps\": %.2f, \"srtt_ms\": %.1f, \"min_rtt_ms\": %.1f, "
           "\"lost\": %lld",
           (unsigned long long)((now - f->shared->start) / USEC_PER_MS),
           (double)(arrived - f->told_arrived) / us, (double)(s.bytes_out - f->told.bytes_out) / us,
           (unsigned long long)s.cwnd_bytes, (unsigned long long)s.in_flight_bytes,
           (double)cc->window.pace_rate / 1e6, (double)s.srtt_us / 1e3, (double)s.min_rtt_us / 1e3,
           (long long)(s.packets_lost - f->told.packets_lost));
    tell_model(cc);
    printf("}\n");
    f->told = s;
    f->told_arrived = arrived;
    f->told_at = now;
}

static void on_tick(uv_timer_t *t)
{
    struct flow *f = t->data;
    usec_t now = pair_now();
    const struct shared *s = f->shared;
    if (s->start == 0 ? now > f->last_at + MATCH_US_MAX : now >= s->end)
        uv_stop(&f->end->loop);
    else if (s->start != 0 && f->options->series && f->end->on_writable != NULL &&
             ++f->tick_count % SERIES_TICKS == 0)
        tell(f, now);
}

static int run(struct pair_end *e, struct flow *f)
{
    e->ctx = f;
    f->end = e;
    f->last_at = pair_now();
    f->tick.data = f;
    if (uv_timer_init(&e->loop, &f->tick) != 0 ||
        uv_timer_start(&f->tick, on_tick, TICK_MS, TICK_MS) != 0)
        return 1;
    pair_turn(e);
    uv_run(&e->loop, UV_RUN_DEFAULT);
    return 0;
}

static int sending(struct pair_end *e, void *ctx)
{
    struct flow *f = ctx;
    e->on_matched = begin;
    e->on_writable = push;
    int rc = run(e, f);
    channel_status(e->channel, &f->told);
    return rc != 0 || f->shared->start == 0;
}

static void pull(struct pair_end *e, unsigned stream)
{
    static uint8_t buf[CHUNK_BYTES];
    struct flow *f = e->ctx;
    struct shared *s = f->shared;
    size_t n;
    while ((n = channel_stream_receive(e->channel, pair_now(), stream, buf, sizeof buf)) > 0) {
        usec_t now = pair_now(), since = f->last_at > s->start ? f->last_at : s->start;
        if (now >= s->end)
            return;
        if (now - since > s->gap_us_max)
            s->gap_us_max = now - since;
        f->last_at = now;
        bool counts = now >= s->start + f->options->skip * USEC_PER_S;
        for (size_t done = 0; done < n;) { // every byte is compared
            size_t at = (size_t)(s->arrived % 2048),
                   len = n - done < CHUNK_BYTES - at ? n - done : CHUNK_BYTES - at;
            s->wrong = s->wrong || memcmp(buf + done, f->chunk + at, len) != 0;
            done += len;
            s->arrived += len;
        }
        s->got += counts ? n : 0;
    }
}

static int receiving(struct pair_end *e, void *ctx)
{
    struct flow *f = ctx;
    struct shared *s = f->shared;
    e->on_readable = pull;
    int rc = run(e, f);
    usec_t since = f->last_at > s->start ? f->last_at : s->start;
    if (s->end > since && s->end - since > s->gap_us_max)
        s->gap_us_max = s->end - since;
    return rc;
}

static void report(const struct flow *f, bool aegis)
{
    const struct bench_options *o = f->options;
    const struct shared *s = f->shared;
    const struct channel_status *t = &f->told;
    printf("{\"mode\": \"link\", \"seconds\": %u, \"aead\": \"%s\", \"cc\": \"%s\", \"mtu\": %u, "
           "\"bytes\": %llu, \"MBps\": %.2f, "
           "\"gap_ms_max\": %.1f, \"packets\": %llu, \"lost_share\": %.4f, \"srtt_ms\": %.1f, "
           "\"min_rtt_ms\": %.1f, \"cwnd\": %llu}\n",
           o->seconds, aegis ? "aegis256" : "chacha20poly1305",
           o->cc != NULL && o->cc[0] == 'r' ? "reno" : "bbr", (unsigned)t->mtu_bytes,
           (unsigned long long)s->got,
           (double)s->got / (double)(s->end - s->start - o->skip * USEC_PER_S),
           (double)s->gap_us_max / 1e3, (unsigned long long)t->packets_out,
           t->packets_out > 0 ? (double)t->packets_lost / (double)t->packets_out : 0.0,
           (double)t->srtt_us / 1e3, (double)t->min_rtt_us / 1e3,
           (unsigned long long)t->cwnd_bytes);
}

int bench_link(const struct bench_options *o)
{
    struct flow *f = calloc(1, sizeof *f);
    struct pair_setup setup = {.aegis = o->aead == NULL || o->aead[0] == 'a',
                               .receive_bytes = RECEIVE_BYTES,
                               .cc = o->cc != NULL && o->cc[0] == 'r' ? CHAN_CC_RENO : CHAN_CC_BBR};
    for (int i = 0; i < 2; i++) {
        setup.netns[i] = o->netns[i];
        setup.address[i] = o->address[i];
    }
    if (f == NULL)
        return 1;
    f->options = o;
    f->shared =
        mmap(NULL, sizeof *f->shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (f->shared == MAP_FAILED) {
        free(f);
        return 1;
    }
    for (size_t i = 0; i < sizeof f->chunk; i++)
        f->chunk[i] = (uint8_t)(i * 131 >> 3);
    int rc = pair_run_in(&setup, sending, receiving, f);
    if (rc != 0 || f->shared->wrong) {
        fprintf(stderr, "bauta-bench: %s\n",
                rc != 0 ? "the ends did not find each other" : "bytes arrived that were not sent");
        rc = 1;
    } else {
        report(f, setup.aegis);
    }
    free(f);
    return rc;
}
