// What tcp.c and tcp_listen.c share.
#ifndef BAUTA_NODE_HOST_TCP_INTERNAL_H
#define BAUTA_NODE_HOST_TCP_INTERNAL_H

#include "node/host/tcp.h"
#include "node/stream.h"

enum tcp_state {
    TCP_CONNECTING,
    TCP_PROXYING, // connected to the proxy, not yet through it
    TCP_OPEN,
    TCP_MUTE // what came was no frame: read on, thrown away and never answered, until the deadline
};

struct tcp_conn {
    uv_poll_t poll;
    struct tcp *tcp;
    struct tcp_conn *next;       // of the same hash
    struct tcp_conn *next_dirty; // of those with news for the kernel
    struct path path;
    int fd; // -1: closed, waits for libuv to let go
    int events;
    enum tcp_state state;
    bool accepted;
    bool proven; // we have sent something to whoever connected
    bool heard;  // a datagram came from whom we connected to
    bool dirty, full;
    uint64_t until_ms; // its end, unless something happens
    struct socks *socks;
    uint8_t *out; // TCP_QUEUE_BYTES, while there is something to send
    uint32_t out_at, out_len;
    uint32_t credit; // bytes that the kernel may be given
    struct stream stream;
};

struct tcp_listener {
    uv_poll_t poll;
    struct tcp *tcp;
    int fd;
    bool paused;
};

struct tcp_failure { // a connection that brought nothing
    struct path path;
    uint64_t until_ms; // not tried again before
    uint64_t wait_ms;
};

struct tcp {
    struct tcp_config cfg;
    uv_timer_t timer;
    bool closing;
    unsigned holds; // handles that libuv has not let go of
    uint8_t seed[16];
    struct tcp_conn *head[TCP_HEADS];
    struct tcp_conn *dirty;
    struct rx rx[UDP_SEGMENTS_MAX];
    struct tcp_listener listener[TCP_LISTENERS_MAX];
    unsigned listeners;
    unsigned accepts; // in this tick
    uint32_t full;    // own connections with `full`
    struct tcp_failure failure[TCP_FAILURES_MAX];
    char (*name)[SOCKS_TEXT_BYTES_MAX + 1];
    unsigned names;
    struct tcp_counters count;
};

uint64_t tcp_now_ms(const struct tcp *);
// An entry of the table for a connected or connecting socket, which becomes its own. NULL without memory: fd is closed.
struct tcp_conn *tcp_conn_new(struct tcp *, const struct path *, int fd, int events);
void tcp_conn_end(struct tcp_conn *);
struct tcp_conn *tcp_find(const struct tcp *, const struct path *);
uint64_t tcp_unproven_until(const struct tcp *);
void tcp_options(int fd);
void tcp_listen_tick(struct tcp *);
void tcp_listen_end(struct tcp *);
void tcp_release(struct tcp *);

#endif
