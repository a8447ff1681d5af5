// throughput: bulk over a channel between two processes, from a cold start; beside it, in the same run,
// the limit: raw UDP with segmentation offload and the same cipher on datagrams of the same size, without
// a protocol. Half of the limit's time lies before the transfer and half behind it.
#include "tools/bench/bench.h"
#include "tools/bench/pair.h"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define STREAM 1u
#define CHUNK_BYTES 65536u
#define RECEIVE_BYTES (4u << 20)
#define LIMIT_S 1.0
#define COLD_BYTES (16u << 20)       // the transfer's first
#define GSO_BYTES (52u * CLASS_FULL) // as many whole datagrams as one UDP send takes

struct bulk {
    uint64_t bytes, sent, got;
    double start, cold, end, cpu_parent, cpu_child; // cold: when the first COLD_BYTES were there
    uint8_t chunk[CHUNK_BYTES];
};

// The content is a function of its position, so that the receiver can check every byte.
static void content(uint8_t *out, uint64_t at, size_t len)
{
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)((at + i) * 131 >> 3);
}

static void push(struct pair_end *e, unsigned stream)
{
    struct bulk *b = e->ctx;
    while (stream == STREAM && b->sent < b->bytes) {
        // chunk repeats with a period of 2,048, so any offset into it is the right content
        size_t at = (size_t)(b->sent % 2048);
        size_t want = CHUNK_BYTES - at;
        if (want > b->bytes - b->sent)
            want = (size_t)(b->bytes - b->sent);
        int n = channel_stream_send(e->channel, pair_now(), STREAM, b->chunk + at, want);
        if (n <= 0)
            return;
        b->sent += (uint64_t)n;
    }
}

static void begin(struct pair_end *e)
{
    struct bulk *b = e->ctx;
    b->start = bench_now_s();
    push(e, STREAM);
}

static int sending(struct pair_end *e, void *ctx)
{
    struct bulk *b = ctx;
    double cpu = bench_cpu_s();
    e->ctx = b;
    e->on_matched = begin;
    e->on_writable = push;
    pair_turn(e);
    uv_run(&e->loop, UV_RUN_DEFAULT);
    b->cpu_parent = bench_cpu_s() - cpu;
    double told[3];
    if (read(e->control, told, sizeof told) != sizeof told)
        return 1;
    b->end = told[0];
    b->cpu_child = told[1];
    b->cold = told[2];
    return 0;
}

static void pull(struct pair_end *e, unsigned stream)
{
    static uint8_t buf[CHUNK_BYTES];
    struct bulk *b = e->ctx;
    size_t n;
    while ((n = channel_stream_receive(e->channel, pair_now(), stream, buf, sizeof buf)) > 0) {
        for (size_t done = 0; done < n;) { // every byte is compared
            size_t at = (size_t)(b->got % 2048),
                   len = n - done < CHUNK_BYTES - at ? n - done : CHUNK_BYTES - at;
            if (memcmp(buf + done, b->chunk + at, len) != 0)
                _exit(3);
            done += len;
            b->got += len;
        }
    }
    if (b->cold == 0 && b->got >= COLD_BYTES)
        b->cold = bench_now_s();
    if (b->got == b->bytes && b->end == 0) {
        b->end = bench_now_s();
        channel_close(e->channel, pair_now(), 0);
    }
}

static int receiving(struct pair_end *e, void *ctx)
{
    struct bulk *b = ctx;
    double cpu = bench_cpu_s();
    e->ctx = b;
    e->on_readable = pull;
    pair_turn(e);
    uv_run(&e->loop, UV_RUN_DEFAULT);
    double tell[3] = {b->end, bench_cpu_s() - cpu, b->cold};
    return b->got == b->bytes && write(e->control, tell, sizeof tell) == sizeof tell ? 0 : 1;
}

// ---- the limit ------------------------------------------------------------------------------------

static int limit_socket(struct sockaddr_storage *at, socklen_t *len)
{
    static const uint8_t loopback[4] = {127, 0, 0, 1};
    struct path any = path_v4(loopback, 0);
    int size = 8 << 20, fd = socket(AF_INET, SOCK_DGRAM, 0);
    *len = udp_sockaddr(at, &any);
    if (fd < 0 || bind(fd, (struct sockaddr *)at, *len) != 0 ||
        getsockname(fd, (struct sockaddr *)at, len) != 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    return fd;
}

static void limit_send(int fd, const struct packet_keys *k, size_t body)
{
    static uint8_t buf[GSO_BYTES];
    uint8_t cid[CID_BYTES] = {1}, mask[MASK_KEY_BYTES] = {2};
    uint64_t pn = 0;
    int seg = CLASS_FULL;
    setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &seg, sizeof seg);
    double start = bench_now_s();
    while (bench_now_s() - start < LIMIT_S) {
        for (size_t at = 0; at < sizeof buf; at += CLASS_FULL)
            (void)packet_seal(buf + at, body, k, pn++, cid, mask);
        (void)send(fd, buf, sizeof buf, 0);
    }
}

// Returns the bytes of plaintext a second that arrived and opened.
static double limit_receive(int fd, const struct packet_keys *k)
{
    static uint8_t buf[65536];
    uint8_t mask[MASK_KEY_BYTES] = {2}, cid[CID_BYTES], *body;
    int on = 1;
    struct timeval patience = {0, 500000};
    setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    double first = 0, last = 0;
    uint64_t bytes = 0, pn;
    for (ssize_t n; (n = recv(fd, buf, sizeof buf, 0)) > 0;) {
        last = bench_now_s();
        if (first == 0)
            first = last;
        for (ssize_t at = 0; at + (ssize_t)CLASS_FULL <= n; at += CLASS_FULL) {
            size_t len;
            packet_cid(cid, buf + at, CLASS_FULL, mask);
            if (packet_open(buf + at, CLASS_FULL, k, cid, 0, &pn, &body, &len) == 0)
                bytes += len;
        }
    }
    return last > first ? (double)bytes / (last - first) : 0;
}

static double limit(bool aegis)
{
    struct sockaddr_storage at[2];
    socklen_t len;
    int fd[2] = {limit_socket(&at[0], &len), limit_socket(&at[1], &len)};
    struct packet_keys k;
    uint8_t secret[32] = {7};
    packet_keys_derive(&k, aegis ? PACKET_AEGIS256 : PACKET_CHACHA20POLY1305, secret);
    if (fd[0] < 0 || fd[1] < 0 || connect(fd[0], (struct sockaddr *)&at[1], len) != 0)
        return 0;
    pid_t pid = fork();
    if (pid == 0) {
        limit_send(fd[0], &k,
                   CLASS_FULL - PACKET_HEADER_BYTES - packet_tag_bytes((enum packet_aead)k.aead));
        _exit(0);
    }
    double rate = pid > 0 ? limit_receive(fd[1], &k) : 0;
    if (pid > 0)
        waitpid(pid, NULL, 0);
    close(fd[0]);
    close(fd[1]);
    return rate;
}

static void report(const struct bulk *b, bool aegis, double most)
{
    double rate = (double)b->bytes / (b->end - b->start);
    printf("{\"mode\": \"throughput\", \"bytes\": %llu, \"aead\": \"%s\", \"MBps\": %.1f, "
           "\"cpu_s_per_GiB\": %.2f, \"limit_MBps\": %.1f, \"ratio\": %.3f",
           (unsigned long long)b->bytes, aegis ? "aegis256" : "chacha20poly1305", rate / 1e6,
           (b->cpu_parent + b->cpu_child) / ((double)b->bytes / (1u << 30)), most / 1e6,
           most > 0 ? rate / most : 0);
    if (b->bytes >= 4 * (uint64_t)COLD_BYTES) {
        double cold = COLD_BYTES / (b->cold - b->start),
               steady = (double)(b->bytes - COLD_BYTES) / (b->end - b->cold);
        printf(", \"cold_MBps\": %.1f, \"steady_MBps\": %.1f, \"cold_ratio\": %.3f", cold / 1e6,
               steady / 1e6, cold / steady);
    }
    printf("}\n");
}

int bench_throughput(const struct bench_options *o)
{
    struct bulk *b = calloc(1, sizeof *b);
    bool aegis = o->aead == NULL || o->aead[0] == 'a';
    if (b == NULL)
        return 1;
    b->bytes = o->bytes;
    content(b->chunk, 0, sizeof b->chunk);
    double most = limit(aegis);
    int rc = pair_run(aegis, RECEIVE_BYTES, sending, receiving, b);
    if (rc != 0)
        fprintf(stderr, "bauta-bench: the transfer did not finish\n");
    else
        report(b, aegis, (most + limit(aegis)) / 2);
    free(b);
    return rc;
}
