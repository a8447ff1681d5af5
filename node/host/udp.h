// One non-blocking UDP socket on a libuv loop. libuv's own queued sends fail a whole batch for one bad
// address, so this reads and writes by itself, in batches where the system can (recvmmsg, sendmmsg).
#ifndef BAUTA_NODE_HOST_UDP_H
#define BAUTA_NODE_HOST_UDP_H

#include "dht/machine.h"
#include "node/host/limits.h"

#include <sys/socket.h>
#include <uv.h>

// Where datagrams land; one a process, since each batch is handled before the next is read.
struct udp_buffers {
    uint8_t data[UDP_BATCH][UDP_DATAGRAM_BYTES];
    struct sockaddr_storage from[UDP_BATCH];
    struct rx rx[UDP_BATCH];
};

struct udp_waiting { // a datagram for which the socket had no room
    struct path path;
    uint16_t len;
    uint8_t data[CLASS_FULL];
};

struct udp {
    uv_poll_t handle;
    int fd;
    struct path bound; // with the real port
    void (*ready)(void *ctx, struct udp *, bool readable, bool writable);
    void *ctx;
    struct udp_waiting *waiting; // ring, allocated when first needed
    uint32_t waiting_at, waiting_count;
    uint64_t dropped_full, dropped_long,
        failed; // outgoing without room, incoming too long, refused sends
};

// IPv6 sockets take IPv6 only. Port 0: the system chooses. 0 or a negative errno.
int udp_open(struct udp *, uv_loop_t *, const struct path *listen,
             void (*ready)(void *ctx, struct udp *, bool readable, bool writable), void *ctx);
void udp_close(struct udp *, uv_close_cb closed);
// Reads one batch into the buffers. Returns how many; 0 when nothing is left.
size_t udp_receive(struct udp *, struct udp_buffers *);

struct udp_failure {
    uint64_t batch_id;
    int rc; // negative errno
};
// Sends n batches, one datagram at a time or many a system call; what the socket has no room for is
// kept and goes out when it is writable. Returns how many failed; a failing datagram never takes
// its neighbours along.
size_t udp_send(struct udp *, const struct batch *, size_t n,
                struct udp_failure fail[static UDP_BATCH]);
// Goes on with what was kept. Call when writable.
void udp_flush(struct udp *);
// True while more than half of the room for kept datagrams is taken: bulk should wait.
bool udp_congested(const struct udp *);

void udp_path(struct path *, const struct sockaddr *);
socklen_t udp_sockaddr(struct sockaddr_storage *, const struct path *);

#endif
