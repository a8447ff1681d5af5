// All links of one node: its UDP sockets, extra ones, TCP, or TCP through a proxy and nothing else. A path's `via` says which.
#ifndef BAUTA_NODE_HOST_LINKS_H
#define BAUTA_NODE_HOST_LINKS_H

#include "node/host/sockets.h"
#include "node/host/tcp.h"

struct links_config {
    uv_loop_t *loop;
    bool prefix_limits;
    bool
        tcp_beside; // links_listen_tcp will be asked for the same ports: where the system chooses, one is taken that is free
    const struct socks_proxy *proxy; // copied; NULL: none
    uint8_t *read;                   // room for what is read of TCP
    size_t read_bytes;
    // A socket has something, or room again. Whoever reads looks at its `fd` after each call of the machine.
    void (*ready)(void *ctx, struct udp *, bool readable, bool writable);
    // As of struct tcp_config.
    void (*received)(void *ctx, const struct rx *, size_t n);
    void (*writable)(void *ctx);
    bool (*key)(void *ctx, const struct path *, uint8_t key[static 32]);
    void (*proxy_said)(void *ctx, enum socks_error); // when it has changed
    void (*closed)(void *ctx);                       // after links_close: libuv has let go of all
    void *ctx;
};

struct links {
    struct links_config cfg;
    struct udp udp[HOST_SOCKETS_MAX]; // VIA_UDP
    size_t sockets;
    struct sockets extra; // VIA_SOCKET
    struct tcp *tcp;      // VIA_TCP; NULL until it is needed
    struct path tcp_bound[TCP_LISTENERS_MAX];
    size_t tcps;
    bool proxied;
    struct socks_proxy proxy;
    enum socks_error proxy_told;
    bool proxy_worked; // since it was in trouble itself
    uint64_t refused;  // sends to a link that there is not, or can't be
    unsigned holds;    // handles that libuv has not let go of, and one until links_close
};

struct link_counters {
    uint64_t dropped_full, dropped_long, send_failed;
    uint64_t refused; // sends through a link that there is not: no such family, no descriptor left
    uint32_t extra_sockets;            // open now
    uint32_t tcp_own, tcp_accepted;    // connections, open now
    uint64_t tcp_refused, tcp_garbage; // beyond a limit; whose bytes were no frames
};

void links_init(struct links *, const struct links_config *);
void links_close(struct links *);

// Both say in a line what went wrong, and return a negative errno. Port 0: the system chooses. With a proxy neither opens
// anything. `listens` 0: every address of this computer, both families.
int links_open_udp(struct links *, const struct path *listen, size_t listens,
                   char error[static HOST_ERROR_BYTES]);
int links_listen_tcp(struct links *, const struct path *, char error[static HOST_ERROR_BYTES]);

// Each batch goes out through its path's link, which is opened if need be. Returns how many failed (told: at most `max`).
size_t links_send(struct links *, const struct batch *, size_t n, struct udp_failure *fail,
                  size_t max);
void links_flush(struct links *); // at the end of what is sent at once
// Bulk waits while a socket, or a connection of our own, is full.
bool links_congested(const struct links *);
size_t links_send_bytes(const struct links *); // what may be sent at once
void links_close_socket(struct links *, uint32_t via);
// A path that stands for a name, which the proxy looks up. Without a proxy: UV_EINVAL.
int links_name(struct links *, const char *name, uint16_t port, struct path *);

bool links_clamped(
    const struct links *); // the kernel gave a socket smaller buffers than bulk needs
void links_count(const struct links *, struct link_counters *);

#endif
