// mixed: round trips of short messages on the stream of text while a bulk transfer fills the same channel between
// two processes. A message leaves every two milliseconds, whether the last one is back or not, so that a stall
// counts for all that it holds up.
#include "tools/bench/bench.h"
#include "tools/bench/pair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MESSAGE_BYTES 64u
#define TEXT_STREAM 0u
#define BULK_STREAM 1u
#define CHUNK_BYTES 65536u
#define RECEIVE_BYTES (4u << 20)
#define EVERY_MS 2u
#define SETTLE_S 1.0 // of bulk, before messages count

struct mixed {
    unsigned seconds;
    double start_s, end_s; // of what counts
    uint64_t bulk_bytes;   // that arrived meanwhile
    size_t messages, messages_max, sent;
    double *us, *there_us; // both ways; from here to there, with the bulk
    size_t have;
    uint8_t message[MESSAGE_BYTES];
    uint8_t chunk[CHUNK_BYTES];
    uv_timer_t timer;
};

static void push(struct pair_end *e, unsigned stream)
{
    struct mixed *m = e->ctx;
    while (stream == BULK_STREAM &&
           channel_stream_send(e->channel, pair_now(), BULK_STREAM, m->chunk, CHUNK_BYTES) > 0)
        ;
}

static void on_tick(uv_timer_t *timer)
{
    struct pair_end *e = timer->data;
    struct mixed *m = e->ctx;
    double now_s = bench_now_s();
    uint64_t ns = uv_hrtime();
    uint8_t message[MESSAGE_BYTES] = {0};
    if (now_s > m->end_s) {
        uv_timer_stop(timer);
        channel_close(e->channel, pair_now(), 0);
    } else if (now_s > m->start_s) {
        memcpy(message, &ns, sizeof ns);
        if (channel_stream_send(e->channel, pair_now(), TEXT_STREAM, message, sizeof message) ==
            (int)sizeof message)
            m->sent++;
    }
    pair_turn(e);
}

static void begin(struct pair_end *e)
{
    struct mixed *m = e->ctx;
    m->start_s = bench_now_s() + SETTLE_S;
    m->end_s = m->start_s + m->seconds;
    uv_timer_start(&m->timer, on_tick, EVERY_MS, EVERY_MS);
    push(e, BULK_STREAM);
}

static void on_echo(struct pair_end *e, unsigned stream)
{
    struct mixed *m = e->ctx;
    size_t n;
    while (stream == TEXT_STREAM &&
           (n = channel_stream_receive(e->channel, pair_now(), TEXT_STREAM, m->message + m->have,
                                       MESSAGE_BYTES - m->have)) > 0) {
        m->have += n;
        if (m->have < MESSAGE_BYTES)
            continue;
        uint64_t ns, there_ns;
        memcpy(&ns, m->message, sizeof ns);
        memcpy(&there_ns, m->message + sizeof ns, sizeof there_ns);
        if (m->messages < m->messages_max) {
            m->there_us[m->messages] = (double)(there_ns - ns) / 1000.0;
            m->us[m->messages++] = (double)(uv_hrtime() - ns) / 1000.0;
        }
        m->have = 0;
    }
}

static int talking(struct pair_end *e, void *ctx)
{
    struct mixed *m = ctx;
    e->ctx = m;
    e->on_matched = begin;
    e->on_readable = on_echo;
    e->on_writable = push;
    m->timer.data = e;
    if (uv_timer_init(&e->loop, &m->timer) != 0)
        return 1;
    pair_turn(e);
    uv_run(&e->loop, UV_RUN_DEFAULT);
    return read(e->control, &m->bulk_bytes, sizeof m->bulk_bytes) == sizeof m->bulk_bytes ? 0 : 1;
}

static void take(struct pair_end *e, unsigned stream)
{
    static uint8_t buf[CHUNK_BYTES];
    struct mixed *m = e->ctx;
    size_t n;
    while ((n = channel_stream_receive(e->channel, pair_now(), stream, buf, sizeof buf)) > 0) {
        if (stream == TEXT_STREAM) {
            uint64_t ns = uv_hrtime();
            for (size_t at = 0; at < n; at++, m->have = (m->have + 1) % MESSAGE_BYTES)
                if (m->have >= sizeof ns && m->have < 2 * sizeof ns)
                    memcpy(buf + at, (uint8_t *)&ns + m->have - sizeof ns, 1);
            (void)channel_stream_send(e->channel, pair_now(), TEXT_STREAM, buf, n);
        } else {
            double now_s = bench_now_s();
            if (m->start_s == 0) {
                m->start_s = now_s + SETTLE_S;
                m->end_s = m->start_s + m->seconds;
            }
            if (now_s > m->start_s && now_s <= m->end_s)
                m->bulk_bytes += n;
        }
    }
}

static int echoing(struct pair_end *e, void *ctx)
{
    struct mixed *m = ctx;
    e->ctx = m;
    e->on_readable = take;
    pair_turn(e);
    uv_run(&e->loop, UV_RUN_DEFAULT);
    return write(e->control, &m->bulk_bytes, sizeof m->bulk_bytes) == sizeof m->bulk_bytes ? 0 : 1;
}

int bench_mixed(const struct bench_options *o)
{
    struct mixed *m = calloc(1, sizeof *m);
    struct pair_setup setup = {.aegis = o->aead == NULL || o->aead[0] == 'a',
                               .receive_bytes = RECEIVE_BYTES,
                               .cc = o->cc != NULL && o->cc[0] == 'r' ? CHAN_CC_RENO : CHAN_CC_BBR,
                               .netns = {o->netns[0], o->netns[1]},
                               .address = {o->address[0], o->address[1]}};
    if (m == NULL)
        return 1;
    m->seconds = o->seconds;
    m->messages_max = o->seconds * (size_t)(1000 / EVERY_MS) + 1;
    m->us = calloc(m->messages_max, sizeof *m->us);
    m->there_us = calloc(m->messages_max, sizeof *m->there_us);
    int rc = m->us == NULL || m->there_us == NULL ||
             pair_run_in(&setup, talking, echoing, m) != 0 || m->messages == 0;
    if (rc == 0) {
        bench_sort(m->us, m->messages);
        bench_sort(m->there_us, m->messages);
        printf("{\"mode\": \"mixed\", \"seconds\": %u, \"messages\": %zu, \"unanswered\": %zu, "
               "\"us_p50\": %.1f, \"us_p99\": %.1f, \"us_max\": %.1f, \"there_us_p50\": %.1f, "
               "\"there_us_p99\": %.1f, \"bulk_MBps\": %.1f}\n",
               m->seconds, m->messages, m->sent - m->messages,
               bench_quantile(m->us, m->messages, 0.5), bench_quantile(m->us, m->messages, 0.99),
               m->us[m->messages - 1], bench_quantile(m->there_us, m->messages, 0.5),
               bench_quantile(m->there_us, m->messages, 0.99),
               (double)m->bulk_bytes / m->seconds / 1e6);
    } else {
        fprintf(stderr, "bauta-bench: the messages did not come back\n");
    }
    free(m->us);
    free(m->there_us);
    free(m);
    return rc;
}
