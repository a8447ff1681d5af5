#include "tools/bench/pair.h"
#include "tools/bench/pool.h"

#include <arpa/inet.h>
#include <fcntl.h>
#ifdef __linux__
#include <sched.h>
#endif
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAIR_ARENA_BYTES ((size_t)64 << 20)
#define PAIR_PORT_BYTES sizeof(uint16_t)

static void fill(void *ctx, void *buf, size_t len)
{
    (void)ctx;
    randombytes_buf(buf, len);
}

usec_t pair_now(void)
{
    return uv_hrtime() / 1000;
}

static void tell(struct pair_end *e)
{
    struct channel_event ev;
    while (channel_event(e->channel, &ev)) {
        switch (ev.kind) {
        case CHANNEL_CID_ADD:
            (void)cids_add(&e->cids, ev.cid, 1, ev.phase);
            break;
        case CHANNEL_CID_DROP:
            cids_drop(&e->cids, ev.cid);
            break;
        case CHANNEL_MATCHED:
            e->matched = true;
            if (e->on_matched != NULL)
                e->on_matched(e);
            break;
        case CHANNEL_READABLE:
            if (e->on_readable != NULL)
                e->on_readable(e, ev.stream);
            break;
        case CHANNEL_WRITABLE:
            if (e->on_writable != NULL)
                e->on_writable(e, ev.stream);
            break;
        case CHANNEL_CLOSED:
            e->closed = true;
            uv_stop(&e->loop);
            break;
        case CHANNEL_HEARD:
        case CHANNEL_PATH:
        case CHANNEL_READY:
        case CHANNEL_MEETING:
        case CHANNEL_LOST:
        case CHANNEL_FOUND:
            break;
        }
    }
}

void pair_turn(struct pair_end *e)
{
    static uint8_t buf[UDP_SEND_BYTES];
    struct batch batch[UDP_SENDS];
    struct udp_failure fail[UDP_SENDS];
    size_t sent = 0;
    usec_t now = pair_now();
    tell(e);
    while (!udp_congested(&e->udp) && sent < UDP_TURN_BYTES) {
        size_t n = channel_transmit(e->channel, now, buf, sizeof buf, batch, UDP_SENDS);
        if (n == 0)
            break;
        size_t failed = udp_send(&e->udp, batch, n, fail);
        for (size_t i = 0; i < failed; i++)
            channel_sent(e->channel, now, fail[i].rc);
        for (size_t i = 0; i < n; i++)
            sent += batch[i].len;
        tell(e);
    }
    usec_t next = e->closed ? USEC_NEVER : channel_deadline(e->channel);
    if (sent >= UDP_TURN_BYTES && next > now)
        next = now;
    if (next < now + HOST_CONGESTED_US && udp_congested(&e->udp))
        next = now + HOST_CONGESTED_US;
    alarm_set(&e->alarm, next);
}

static void receive_one(struct pair_end *e, usec_t now, const struct rx *r, uint32_t at,
                        uint32_t len)
{
    uint8_t cid[CID_BYTES], mask[MASK_KEY_BYTES] = {0};
    if (len < DATAGRAM_BYTES_MIN)
        return;
    packet_cid(cid, r->data + at, len, mask);
    const struct cid_slot *s = cids_find(&e->cids, cid);
    if (s == NULL) { // a cid that came with what was received just before
        tell(e);
        s = cids_find(&e->cids, cid);
    }
    if (s != NULL)
        (void)channel_receive(e->channel, now, cid, s->phase, &r->path, r->ecn, r->data + at, len);
}

static void receive(struct pair_end *e)
{
    bool more = true;
    for (unsigned round = 0; more && round < UDP_ROUNDS_MAX; round++) {
        size_t n = udp_receive(&e->udp, e->buffers, &more);
        for (size_t i = 0; i < n; i++) {
            const struct rx *r = &e->buffers->rx[i];
            usec_t now = pair_now();
            for (uint32_t at = 0; at < r->len; at += r->seg_size)
                receive_one(e, now, r, at, r->len - at < r->seg_size ? r->len - at : r->seg_size);
            pair_turn(e);
        }
    }
}

static void on_ready(void *ctx, struct udp *udp, bool readable, bool writable)
{
    struct pair_end *e = ctx;
    if (writable)
        udp_flush(udp);
    if (readable)
        receive(e);
    pair_turn(e);
}

static void on_alarm(void *ctx)
{
    struct pair_end *e = ctx;
    (void)channel_expire(e->channel, pair_now(), 64);
    pair_turn(e);
}

// The process moves there for good: its sockets are all that is opened from now on.
static int enter(const char *netns)
{
#ifdef __linux__
    int fd = open(netns, O_RDONLY | O_CLOEXEC);
    int rc = fd < 0 ? -1 : setns(fd, CLONE_NEWNET);
    if (rc != 0)
        perror(netns);
    if (fd >= 0)
        close(fd);
    return rc;
#else
    fprintf(stderr, "%s: network namespaces are Linux's\n", netns);
    return -1;
#endif
}

// Opens the socket and learns the other's port.
static int open_end(struct pair_end *e, int control, const struct pair_setup *setup, int end,
                    struct path *peer)
{
    uint8_t ip[2][4] = {{127, 0, 0, 1}, {127, 0, 0, 1}};
    uint16_t port;
    memset(e, 0, sizeof *e);
    for (int i = 0; i < 2; i++)
        if (setup->address[i] != NULL && inet_pton(AF_INET, setup->address[i], ip[i]) != 1)
            return -1;
    if (setup->netns[end] != NULL && enter(setup->netns[end]) != 0)
        return -1;
    struct path any = path_v4(ip[end], 0);
    e->control = control;
    e->cids = (struct cids){e->slot, PAIR_CID_SLOTS, 0, PAIR_CID_SLOTS / 2};
    e->buffers = malloc(sizeof *e->buffers);
    bench_pool(&e->pool);
    arena_init(&e->arena, &e->pool, PAIR_ARENA_BYTES);
    if (e->buffers == NULL || uv_loop_init(&e->loop) != 0 ||
        udp_open(&e->udp, &e->loop, &any, on_ready, e) != 0 ||
        alarm_open(&e->alarm, &e->loop, on_alarm, e) != 0)
        return -1;
    if (write(control, &e->udp.bound.port, PAIR_PORT_BYTES) != PAIR_PORT_BYTES ||
        read(control, &port, PAIR_PORT_BYTES) != PAIR_PORT_BYTES)
        return -1;
    *peer = path_v4(ip[end ^ 1], port);
    return 0;
}

static int run_end(int control, const struct pair_setup *setup, const struct channel_config *base,
                   bool initiator, int (*part)(struct pair_end *, void *), void *ctx)
{
    struct pair_end *e = malloc(sizeof *e);
    struct channel_config cfg = *base;
    if (e == NULL || open_end(e, control, setup, initiator ? 0 : 1, &cfg.candidate[0]) != 0) {
        fprintf(stderr, "bauta-bench: no socket\n");
        return 1;
    }
    cfg.candidates = 1;
    cfg.initiator = initiator;
    cfg.rng.fill = fill;
    if (!initiator) {
        memcpy(cfg.local_cid, base->remote_cid, CID_BYTES);
        memcpy(cfg.remote_cid, base->local_cid, CID_BYTES);
    }
    if (channel_new(&e->channel, pair_now(), &cfg, &e->arena) != 0)
        return 1;
    tell(e);
    int rc = part(e, ctx);
    channel_free(e->channel);
    arena_end(&e->arena);
    pool_end(&e->pool);
    return rc;
}

int pair_run(bool aegis, uint32_t receive_bytes, int (*parent)(struct pair_end *, void *),
             int (*child)(struct pair_end *, void *), void *ctx)
{
    struct pair_setup setup = {.aegis = aegis, .receive_bytes = receive_bytes};
    return pair_run_in(&setup, parent, child, ctx);
}

int pair_run_in(const struct pair_setup *setup, int (*parent)(struct pair_end *, void *),
                int (*child)(struct pair_end *, void *), void *ctx)
{
    struct channel_config cfg = {.aead = setup->aegis ? PACKET_AEGIS256 : PACKET_CHACHA20POLY1305,
                                 .lab = true,
                                 .receive_bytes = setup->receive_bytes,
                                 .cc = setup->cc};
    int pair[2], status = 0;
    randombytes_buf(cfg.k_ir, sizeof cfg.k_ir);
    randombytes_buf(cfg.k_ri, sizeof cfg.k_ri);
    randombytes_buf(cfg.h, sizeof cfg.h);
    randombytes_buf(cfg.local_cid, CID_BYTES);
    randombytes_buf(cfg.remote_cid, CID_BYTES);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
        return 1;
    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0)
        return 1;
    if (pid == 0) {
        close(pair[0]);
        _exit(run_end(pair[1], setup, &cfg, false, child, ctx));
    }
    close(pair[1]);
    int rc = run_end(pair[0], setup, &cfg, true, parent, ctx);
    close(pair[0]);
    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        rc = 1;
    return rc;
}
