// What every pure machine shares: time, paths, datagrams in and out, randomness. A machine has no
// sockets, clocks, threads or global state: its driver (node/host or tools/sim) hands all of it in.
#ifndef BAUTA_DHT_MACHINE_H
#define BAUTA_DHT_MACHINE_H

#include "crypto/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t usec_t; // monotonic microseconds, constant within one call of a machine
#define USEC_NEVER UINT64_MAX
#define USEC_PER_MS UINT64_C(1000)
#define USEC_PER_S UINT64_C(1000000)

// By which way: path.via.
#define VIA_UDP 0u          // the node's own UDP socket of the path's family
#define VIA_TCP 0x20000000u // a TCP connection with that address and port, held by the driver
#define VIA_SOCKET                                                                                 \
    0x40000000u // | n: one more UDP socket of the driver's, opened by the first send through it
#define VIA_TUNNEL 0x80000000u // | n: a tunnel in a channel to a relay; never reaches a driver
#define VIA_NONE 0xffffffffu   // nothing may leave
#define VIA_KINDS 0xe0000000u  // the bits that say which of these it is

// Where a datagram comes from or goes to, by value, so nothing has to be kept alive. Unused bytes are
// zero: paths are compared and hashed as bytes.
struct path {
    uint8_t ip[16]; // IPv4: the first 4 bytes, the rest zero
    uint32_t via;   // VIA_*
    uint16_t port;  // host order
    uint8_t family; // 4 or 6
    uint8_t zero;
};

// One receive buffer: several datagrams of seg_size bytes (the last may be shorter), opened in place.
struct rx {
    struct path path;
    uint8_t ecn;
    uint16_t seg_size;
    uint32_t len;
    uint8_t *data;
};

#define BATCH_SEGMENTS_MAX 64u // UDP_MAX_SEGMENTS of Linux
#define BATCH_BYTES_MAX 65000u // one GSO send stays under 64 KiB

// One send: `count` datagrams of seg_size bytes (the last may be shorter) to one path.
struct batch {
    struct path path;
    uint8_t ecn;
    uint8_t ttl; // hops that it lives for; 0: the system's
    uint16_t seg_size, count;
    uint32_t len;
    const uint8_t *data;
    usec_t not_before;
    uint64_t id; // for node_sent
};

// x_sent of a machine is told what the operating system said of a batch: a negative errno, or this where the own
// interface takes no datagram of that length.
#define SENT_TOO_LONG (-0x10000)

// Randomness is handed in: the operating system's in the host, a seeded generator in the simulator.
struct rng {
    void (*fill)(void *ctx, void *buf, size_t len);
    void *ctx;
};

static inline void rng_fill(const struct rng *r, void *buf, size_t len)
{
    r->fill(r->ctx, buf, len);
}
uint64_t rng_u64(const struct rng *r);
// Uniform in [0, n), n >= 1.
uint64_t rng_below(const struct rng *r, uint64_t n);
// Uniform in [lo, hi].
usec_t rng_between(const struct rng *r, usec_t lo, usec_t hi);

// Finished datagrams on their way out. One per process, shared by all its machines: a driver drains
// it after every call of a machine, so it holds what one call can produce. A datagram that does not
// fit is dropped and counted, as UDP would.
#define OUTBOX_SLOTS 256u
struct outbox_slot {
    struct path path;
    uint16_t len;
    bool to_server; // a request to the server of the key `server`
    uint8_t server[32];
    uint8_t data[CLASS_FULL];
};
struct outbox {
    uint32_t count;
    uint32_t taken; // slots that node_transmit has handed out
    uint64_t dropped;
    struct outbox_slot slot[OUTBOX_SLOTS];
};
// Room for a datagram of up to CLASS_FULL bytes, or NULL when full. Fill slot->data and slot->len, set path,
// then outbox_commit. A slot that is not committed is given back by doing nothing.
struct outbox_slot *outbox_room(struct outbox *);
void outbox_commit(struct outbox *);

#endif
