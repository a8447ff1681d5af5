// Two processes with a channel between them, over loopback or in two network namespaces. Keys and ports
// are handed over a socket pair, so neither DHT nor meeting is part of what is measured.
#ifndef BAUTA_TOOLS_BENCH_PAIR_H
#define BAUTA_TOOLS_BENCH_PAIR_H

#include "dht/path.h"
#include "node/channel/channel.h"
#include "node/channel/cids.h"
#include "node/host/alarm.h"
#include "node/host/udp.h"

#define PAIR_CID_SLOTS 64u

struct pair_end {
    uv_loop_t loop;
    struct udp udp;
    struct udp_buffers *buffers;
    struct alarm alarm;
    struct pool pool;
    struct arena arena;
    struct channel *channel;
    struct cids cids;
    struct cid_slot slot[PAIR_CID_SLOTS];
    int control; // our end of the socket pair
    bool matched, closed;
    void (*on_matched)(struct pair_end *);
    void (*on_readable)(struct pair_end *, unsigned stream);
    void (*on_writable)(struct pair_end *, unsigned stream);
    void *ctx;
};

struct pair_setup {
    bool aegis; // which AEAD
    uint32_t receive_bytes;
    enum chan_cc_kind cc;
    // Of the parent's end and the child's: where its socket is opened. All NULL: loopback.
    const char *netns[2];   // a network namespace's file (Linux)
    const char *address[2]; // IPv4, in that namespace
};

usec_t pair_now(void);
// After a call into the channel: sends what it has, tells its events, arms the alarm.
void pair_turn(struct pair_end *);
// Forks. `child` runs in the new process with the responder's end, `parent` in this one with the
// initiator's; each starts with the loop ready and returns when its part is over. Returns 0 when
// both returned 0.
int pair_run_in(const struct pair_setup *, int (*parent)(struct pair_end *, void *),
                int (*child)(struct pair_end *, void *), void *ctx);
// The same over loopback.
int pair_run(bool aegis, uint32_t receive_bytes, int (*parent)(struct pair_end *, void *),
             int (*child)(struct pair_end *, void *), void *ctx);

#endif
