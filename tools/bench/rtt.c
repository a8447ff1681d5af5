// rtt: ping-pong of a message over a channel between two processes, and of plain UDP beside it.
#include "tools/bench/bench.h"
#include "tools/bench/pair.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define MESSAGE_BYTES 64u
#define STREAM 0u

struct pinger {
    unsigned count, done;
    size_t have;
    usec_t at_ns;
    double *us;
};

static void ping(struct pair_end *e)
{
    struct pinger *p = e->ctx;
    uint8_t message[MESSAGE_BYTES] = {0};
    p->at_ns = uv_hrtime();
    (void)channel_stream_send(e->channel, pair_now(), STREAM, message, sizeof message);
}

static void on_pong(struct pair_end *e, unsigned stream)
{
    struct pinger *p = e->ctx;
    uint8_t buf[MESSAGE_BYTES];
    size_t n;
    while ((n = channel_stream_receive(e->channel, pair_now(), stream, buf, sizeof buf)) > 0)
        p->have += n;
    if (p->have < MESSAGE_BYTES)
        return;
    p->have = 0;
    p->us[p->done++] = (double)(uv_hrtime() - p->at_ns) / 1000.0;
    if (p->done < p->count)
        ping(e);
    else
        channel_close(e->channel, pair_now(), 0);
}

static int pinging(struct pair_end *e, void *ctx)
{
    e->ctx = ctx;
    e->on_matched = ping;
    e->on_readable = on_pong;
    pair_turn(e);
    uv_run(&e->loop, UV_RUN_DEFAULT);
    struct pinger *p = ctx;
    return p->done == p->count ? 0 : 1;
}

static void echo(struct pair_end *e, unsigned stream)
{
    uint8_t buf[MESSAGE_BYTES];
    size_t n;
    while ((n = channel_stream_receive(e->channel, pair_now(), stream, buf, sizeof buf)) > 0)
        (void)channel_stream_send(e->channel, pair_now(), stream, buf, n);
}

static int echoing(struct pair_end *e, void *ctx)
{
    (void)ctx;
    e->on_readable = echo;
    pair_turn(e);
    uv_run(&e->loop, UV_RUN_DEFAULT);
    return 0;
}

// Plain UDP between two processes, through the same poll-then-read turn.
static int raw(unsigned count, double *us)
{
    static const uint8_t loopback[4] = {127, 0, 0, 1};
    int fd[2];
    struct sockaddr_storage at[2];
    socklen_t len = 0;
    for (int i = 0; i < 2; i++) {
        struct path any = path_v4(loopback, 0);
        len = udp_sockaddr(&at[i], &any);
        fd[i] = socket(AF_INET, SOCK_DGRAM, 0);
        if (fd[i] < 0 || bind(fd[i], (struct sockaddr *)&at[i], len) != 0 ||
            getsockname(fd[i], (struct sockaddr *)&at[i], &len) != 0)
            return -1;
    }
    if (connect(fd[0], (struct sockaddr *)&at[1], len) != 0 ||
        connect(fd[1], (struct sockaddr *)&at[0], len) != 0)
        return -1;
    uint8_t buf[MESSAGE_BYTES] = {0};
    pid_t pid = fork();
    if (pid == 0) {
        for (unsigned i = 0; i < count; i++) {
            struct pollfd p = {fd[1], POLLIN, 0};
            if (poll(&p, 1, 1000) != 1 || recv(fd[1], buf, sizeof buf, 0) < 0 ||
                send(fd[1], buf, sizeof buf, 0) < 0)
                _exit(1);
        }
        _exit(0);
    }
    int rc = pid > 0 ? 0 : -1;
    for (unsigned i = 0; rc == 0 && i < count; i++) {
        struct pollfd p = {fd[0], POLLIN, 0};
        uint64_t start = uv_hrtime();
        if (send(fd[0], buf, sizeof buf, 0) < 0 || poll(&p, 1, 1000) != 1 ||
            recv(fd[0], buf, sizeof buf, 0) < 0)
            rc = -1;
        us[i] = (double)(uv_hrtime() - start) / 1000.0;
    }
    if (pid > 0)
        waitpid(pid, NULL, 0);
    close(fd[0]);
    close(fd[1]);
    return rc;
}

int bench_rtt(const struct bench_options *o)
{
    struct pinger p = {.count = o->count, .us = calloc(o->count, sizeof(double))};
    double *plain = calloc(o->count, sizeof *plain);
    bool aegis = o->aead == NULL || o->aead[0] == 'a';
    int rc = p.us == NULL || plain == NULL || pair_run(aegis, 0, pinging, echoing, &p) != 0 ||
             raw(o->count, plain) != 0;
    if (rc == 0) {
        bench_sort(p.us, p.count);
        bench_sort(plain, o->count);
        double ours = bench_quantile(p.us, p.count, 0.5),
               bare = bench_quantile(plain, o->count, 0.5);
        printf("{\"mode\": \"rtt\", \"count\": %u, \"us_p50\": %.1f, \"us_p99\": %.1f, "
               "\"raw_us_p50\": %.1f, \"raw_us_p99\": %.1f, \"ratio\": %.2f}\n",
               p.count, ours, bench_quantile(p.us, p.count, 0.99), bare,
               bench_quantile(plain, o->count, 0.99), ours / bare);
    } else {
        fprintf(stderr, "bauta-bench: the ping-pong did not finish\n");
    }
    free(p.us);
    free(plain);
    return rc;
}
