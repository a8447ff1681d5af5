#include "tools/bench/shoot.h"

#include "dht/path.h"
#include "node/host/host.h"
#include "node/host/udp.h"
#include "tools/bench/bench.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sodium.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define POOL 8192u       // datagrams made ahead; a sealed one costs 60 us
#define SOCKETS 16u      // source ports
#define BATCH 64u        // datagrams a system call
#define TICK_NS 1000000L // between two bursts
#define BEHIND_MS 500    // more than that is given up: a rate is meant, not a sum
#define BUFFER_BYTES (8 << 20)
#define TOKEN_WAIT_MS 2000

struct gun {
    struct forge forge;
    uint8_t (*datagram)[CLASS_FULL];
    uint16_t *len;
    int fd[SOCKETS];
    unsigned sockets;
    struct sockaddr_storage to;
    socklen_t to_len;
    in_addr_t only; // the source; 0: any
    uint64_t next, random;
};

static uint64_t next_random(struct gun *g) // splitmix64
{
    uint64_t z = (g->random += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static int open_sockets(struct gun *g, unsigned n, in_addr_t from)
{
    for (unsigned i = 0; i < n; i++) {
        int bytes = BUFFER_BYTES;
        struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr = {from}};
        g->fd[i] = socket(AF_INET, SOCK_DGRAM, 0);
        if (g->fd[i] < 0)
            return -1;
        g->sockets++;
        (void)setsockopt(g->fd[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
        (void)setsockopt(g->fd[i], SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
        if (bind(g->fd[i], (struct sockaddr *)&any, sizeof any) != 0)
            return -1;
    }
    return 0;
}

// One burst through one socket. Returns how many the kernel took.
static unsigned burst(struct gun *g, unsigned n, struct shot *out)
{
    struct mmsghdr msg[BATCH];
    struct iovec iov[BATCH] = {{0}};
    union {
        size_t align;
        char bytes[CMSG_SPACE(sizeof(struct in_pktinfo))];
    } control[BATCH];
    memset(msg, 0, n * sizeof *msg);
    for (unsigned i = 0; i < n; i++) {
        size_t k = g->next++ % POOL;
        struct in_pktinfo info = {.ipi_spec_dst = {g->only}};
        if (g->only == 0) // 127.x.y.z, but not where the nodes are
            info.ipi_spec_dst.s_addr =
                htonl(UINT32_C(0x7f010000) + (uint32_t)(next_random(g) % 0xfe0000));
        iov[i] = (struct iovec){g->datagram[k], g->len[k]};
        msg[i].msg_hdr.msg_name = &g->to;
        msg[i].msg_hdr.msg_namelen = g->to_len;
        msg[i].msg_hdr.msg_iov = &iov[i];
        msg[i].msg_hdr.msg_iovlen = 1;
        msg[i].msg_hdr.msg_control = &control[i];
        msg[i].msg_hdr.msg_controllen = sizeof control[i].bytes;
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg[i].msg_hdr);
        c->cmsg_level = IPPROTO_IP;
        c->cmsg_type = IP_PKTINFO;
        c->cmsg_len = CMSG_LEN(sizeof info);
        memcpy(CMSG_DATA(c), &info, sizeof info);
    }
    int rc = sendmmsg(g->fd[g->next / BATCH % g->sockets], msg, n, MSG_DONTWAIT);
    unsigned took = rc > 0 ? (unsigned)rc : 0;
    for (unsigned i = 0; i < took; i++)
        out->sent_bytes += iov[i].iov_len;
    out->sent += took;
    out->refused += n - took;
    return took;
}

static void drain(struct gun *g, struct shot *out)
{
    static uint8_t buf[BATCH][CLASS_FULL];
    for (unsigned s = 0; s < g->sockets; s++) {
        struct mmsghdr msg[BATCH];
        struct iovec iov[BATCH];
        memset(msg, 0, sizeof msg);
        for (unsigned i = 0; i < BATCH; i++) {
            iov[i] = (struct iovec){buf[i], sizeof buf[i]};
            msg[i].msg_hdr.msg_iov = &iov[i];
            msg[i].msg_hdr.msg_iovlen = 1;
        }
        int n = recvmmsg(g->fd[s], msg, BATCH, MSG_DONTWAIT, NULL);
        for (int i = 0; i < n; i++) {
            out->answers++;
            out->answer_bytes += msg[i].msg_len;
        }
    }
}

// As anybody may: one request from an own address, whose answer brings the token that is then replayed.
static int take_token(struct gun *g)
{
    struct rpc_keys keys;
    struct wire_request q;
    struct wire_answer a;
    uint8_t *body, id[8], out[CLASS_FULL], in[CLASS_FULL];
    size_t len;
    uint16_t n = forge_request(&g->forge, 1, g->forge.e, g->forge.sk, g->forge.token, true, out);
    memcpy(in, out, n); // what was asked
    struct rpc_header header;
    if (rpc_keys_derive(&keys, g->forge.sk, g->forge.pk, &g->forge.net, g->forge.e, g->forge.pk) !=
            0 ||
        rpc_request_unmask(&header, in, n, g->forge.mask_key) != 0 ||
        rpc_request_open(in, n, &keys, &body, &len) != 0 || wire_request_decode(&q, body, len) != 0)
        return -1;
    rpc_answer_id(id, &keys, q.reply, 0);
    struct pollfd p = {g->fd[0], POLLIN, 0};
    if (sendto(g->fd[0], out, n, 0, (struct sockaddr *)&g->to, g->to_len) != n)
        return -1;
    while (poll(&p, 1, TOKEN_WAIT_MS) == 1) {
        ssize_t got = recv(g->fd[0], in, sizeof in, 0);
        if (got < 8 || memcmp(in, id, 8) != 0)
            continue; // the ping that asks who wants to be listed
        if (rpc_answer_open(in, (size_t)got, &keys, &body, &len) != 0 ||
            wire_answer_decode(&a, body, len) != 0)
            return -1;
        memcpy(g->forge.token, a.token, sizeof a.token);
        return 0;
    }
    return -1;
}

static int load(struct gun *g, const struct contact *victim, const char *network,
                enum forge_kind kind)
{
    struct rng rng = {host_random, NULL};
    struct in_addr own = {htonl(INADDR_ANY)};
    randombytes_buf(&g->random, sizeof g->random);
    if (kind == FORGE_TOKEN)
        own.s_addr = g->only = htonl(UINT32_C(0x7f010000) + (uint32_t)(next_random(g) % 0xfe0000));
    g->datagram = calloc(POOL, sizeof *g->datagram);
    g->len = calloc(POOL, sizeof *g->len);
    g->to_len = udp_sockaddr(&g->to, &victim->path);
    forge_init(&g->forge, network, victim->pk, &rng);
    if (g->datagram == NULL || g->len == NULL ||
        open_sockets(g, kind == FORGE_TOKEN ? 1 : SOCKETS, own.s_addr) != 0 ||
        (kind == FORGE_TOKEN && take_token(g) != 0))
        return -1;
    for (unsigned i = 0; i < POOL; i++)
        g->len[i] = forge_make(&g->forge, kind, i, g->datagram[i]);
    return 0;
}

static void fire(struct gun *g, unsigned rate, double seconds, struct shot *out)
{
    struct timespec at;
    double start = bench_now_s(), gone;
    uint64_t due, tried = 0;
    clock_gettime(CLOCK_MONOTONIC, &at);
    while ((gone = bench_now_s() - start) < seconds) {
        due = (uint64_t)(gone * rate);
        if (due > tried + (uint64_t)rate * BEHIND_MS / 1000)
            tried = due - (uint64_t)rate * BEHIND_MS / 1000;
        while (tried < due) {
            unsigned n = due - tried < BATCH ? (unsigned)(due - tried) : BATCH;
            (void)burst(g, n, out);
            tried += n;
        }
        drain(g, out);
        at.tv_nsec += TICK_NS;
        if (at.tv_nsec >= 1000000000L) {
            at.tv_nsec -= 1000000000L;
            at.tv_sec++;
        }
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
    }
    out->seconds = gone;
}

int shoot(const struct contact *victim, const char *network, enum forge_kind kind, unsigned rate,
          double seconds, struct shot *out)
{
    struct gun g;
    memset(&g, 0, sizeof g);
    memset(out, 0, sizeof *out);
    int rc = load(&g, victim, network, kind);
    if (rc == 0)
        fire(&g, rate, seconds, out);
    for (unsigned i = 0; i < g.sockets; i++)
        close(g.fd[i]);
    free(g.datagram);
    free(g.len);
    return rc;
}
