// VIA_TCP: connections that carry datagrams as frames (node/stream.h), those that we open, straight or through a SOCKS5
// proxy, and those that others open to our listeners. Like UDP they may lose what they have no room for.
#ifndef BAUTA_NODE_HOST_TCP_H
#define BAUTA_NODE_HOST_TCP_H

#include "node/host/limits.h"
#include "node/host/socks.h"

#include <uv.h>

struct tcp;

struct tcp_config {
    uv_loop_t *loop;
    struct rng rng;
    struct path local
        [HOST_SOCKETS_MAX]; // where own connections come from: address of a family, or the system's choice
    size_t locals;          // (port and wildcards are left out)
    const struct socks_proxy *proxy; // NULL: straight. Outlives it
    bool prefix_limits;              // on others' connections
    uint8_t *read;                   // room for what is read, shared by all
    size_t read_bytes;
    // Datagrams that came in; n <= UDP_SEGMENTS_MAX. It may send and close.
    void (*received)(void *ctx, const struct rx *, size_t n);
    void (*writable)(void *ctx); // tcp_congested has become false
    // As node_stream_key.
    bool (*key)(void *ctx, const struct path *, uint8_t key[static 32]);
    void (*proxy_said)(void *ctx, enum socks_error); // of each connection; SOCKS_OK: it works
    void (*closed)(void *ctx);                       // after tcp_close: all is given back
    void *ctx;
};

int tcp_new(struct tcp **, const struct tcp_config *); // 0 or UV_ENOMEM
void tcp_close(struct tcp *);

// 0 or a negative errno. Port 0: the system chooses; `bound` has the real one.
int tcp_listen(struct tcp *, const struct path *, struct path *bound);

// Queues a batch for the connection to its path, and opens that if there is none. 0, also when the queue had no room for
// all; or a negative errno: it can't be opened, or could not a moment ago. SENT_TOO_LONG.
int tcp_send(struct tcp *, const struct batch *);
void tcp_flush(struct tcp *); // what was queued goes out, as far as the kernel takes it
// A connection of our own has half of its queue full: bulk should wait.
bool tcp_congested(const struct tcp *);
bool tcp_has_own(const struct tcp *); // connections that we opened

// A path that stands for a host name, for a proxy to look up. 0 or UV_ENOMEM (too many).
int tcp_name(struct tcp *, const char *host, uint16_t port, struct path *);

struct tcp_counters {
    uint32_t own, accepted; // open now
    uint64_t dropped_full, refused,
        connects;     // datagrams without room; connections beyond a limit; tried by us
    uint64_t garbage; // connections whose bytes were no frames
};
void tcp_count(const struct tcp *, struct tcp_counters *);

#endif
