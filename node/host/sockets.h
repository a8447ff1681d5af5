// A node's extra UDP sockets, VIA_SOCKET | n: found by that number and their family, up to some thousands.
#ifndef BAUTA_NODE_HOST_SOCKETS_H
#define BAUTA_NODE_HOST_SOCKETS_H

#include "node/host/udp.h"

struct sockets {       // all zero: none
    struct udp **slot; // open addressing; a power of two
    uint32_t slots, count;
    uint64_t dropped_full, dropped_long, failed; // of those that are closed
};

struct sockets_config {
    uv_loop_t *loop;
    void (*ready)(void *ctx, struct udp *, bool readable, bool writable);
    uv_close_cb closed; // libuv has let go of a socket's `handle`: sockets_free
    void *ctx;          // of both: `ctx` of struct udp
};

struct udp *sockets_find(const struct sockets *, uint32_t via, uint8_t family); // O(1); NULL: none
// On the address of `local`, any port. 0 or a negative errno; EMFILE beyond SOCKETS_MAX or without a descriptor.
int sockets_open(struct sockets *, const struct sockets_config *, const struct path *local,
                 uint32_t via, struct udp **out);
// Those of both families, if there are any. Whoever reads from one looks at its `fd` afterwards.
void sockets_close(struct sockets *, const struct sockets_config *, uint32_t via);
void sockets_close_all(struct sockets *, const struct sockets_config *);
void sockets_free(struct udp *);
// The counters of all, also of those that are closed, are added.
void sockets_count(const struct sockets *, uint64_t *dropped_full, uint64_t *dropped_long,
                   uint64_t *failed);

#endif
