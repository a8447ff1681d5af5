// One non-blocking UDP socket on a libuv loop. libuv's own queued sends fail a whole batch for one bad
// address and know no segmentation offload, so this reads and writes by itself: many datagrams a
// system call and a pass through the kernel's stack where the system can (recvmmsg and sendmmsg,
// UDP_GRO and UDP_SEGMENT of Linux), one by one elsewhere.
#ifndef BAUTA_NODE_HOST_UDP_H
#define BAUTA_NODE_HOST_UDP_H

#include "dht/machine.h"
#include "node/host/limits.h"

#include <sys/socket.h>
#include <uv.h>

#define UDP_CONTROL_BYTES 96u // control messages of an int: segment size, ECN, hops

struct udp_control {
    _Alignas(struct cmsghdr) uint8_t bytes[UDP_CONTROL_BYTES];
};

// Where datagrams land; one a process, since each batch is handled before the next is read.
struct udp_buffers {
    uint8_t data[UDP_READS][UDP_READ_BYTES];
    struct sockaddr_storage from[UDP_READS];
    struct udp_control control[UDP_READS];
    struct rx rx[UDP_READS];
};

struct udp_waiting { // a datagram for which the socket had no room
    struct path path;
    uint16_t len;
    uint8_t ecn, ttl;
    uint8_t data[UDP_KEPT_BYTES];
};

struct udp {
    uv_poll_t handle;
    int fd;        // -1: closed, waits for libuv to let go
    uint32_t via;  // of the paths of what comes in
    bool gso, gro; // what the socket takes; gso ends with the first send that is refused for it
    uint32_t receive_bytes, send_bytes; // its buffers, as the kernel counts
    struct path bound;                  // with the real port
    void (*ready)(void *ctx, struct udp *, bool readable, bool writable);
    void *ctx;
    struct udp_waiting *waiting; // ring, allocated when first needed
    uint32_t waiting_at, waiting_count, waiting_max;
    uint64_t dropped_full, dropped_long,
        failed; // outgoing without room, incoming too long, refused sends
};

// IPv6 sockets take IPv6 only. Port 0: the system chooses. Datagrams carry "don't fragment", and are not
// held to what routers said of the path's MTU: finding that is the channel's. 0 or a negative errno.
int udp_open(struct udp *, uv_loop_t *, const struct path *listen,
             void (*ready)(void *ctx, struct udp *, bool readable, bool writable), void *ctx);
// One of many: as udp_open, on any port of `local`'s address, with smaller buffers and less room for what waits. What
// comes in has `via` in its path.
int udp_open_extra(struct udp *, uv_loop_t *, const struct path *local, uint32_t via,
                   void (*ready)(void *ctx, struct udp *, bool readable, bool writable), void *ctx);
void udp_close(struct udp *, uv_close_cb closed);
// The kernel gave a smaller buffer than bulk needs.
bool udp_clamped(const struct udp *);

// Reads once into the buffers. Returns how many rx there are; *more: there may be more to read.
size_t udp_receive(struct udp *, struct udp_buffers *, bool *more);

struct udp_failure {
    uint64_t batch_id;
    int rc; // negative errno
};
// Sends n batches; what the socket has no room for is kept and goes out when it is writable. A
// batch that is refused whole goes out as single datagrams, and a failing datagram never takes its
// neighbours along. Returns how many batches had a datagram that failed (told: at most UDP_SENDS).
size_t udp_send(struct udp *, const struct batch *, size_t n,
                struct udp_failure fail[static UDP_SENDS]);
// Goes on with what was kept. Call when writable.
void udp_flush(struct udp *);
// True while more than half of the room for kept datagrams is taken: bulk should wait.
bool udp_congested(const struct udp *);

void udp_path(struct path *, const struct sockaddr *);
socklen_t udp_sockaddr(struct sockaddr_storage *, const struct path *);

#endif
