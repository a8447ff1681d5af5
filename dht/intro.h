// The introducer's service: who attends under which handle, and links between an initiator and a
// handle. It holds 256 bytes a handle, 128 a link for 10 s, and no blobs. An unknown handle looks like
// one whose owner declined.
#ifndef BAUTA_DHT_INTRO_H
#define BAUTA_DHT_INTRO_H

#include "dht/map.h"
#include "dht/timer.h"
#include "dht/wire.h"

// A series of pushes to one end.
struct intro_end {
    struct path path;
    uint8_t s2c[32];
    uint8_t push_key[32];
    uint32_t next; // index of the next push
};
struct intro_handle {
    struct map_node node; // first
    uint8_t handle[DHT_HANDLE_BYTES];
    uint8_t e[32]; // who registered it; nobody else may renew it or answer for it
    struct intro_end end;
    uint64_t source;
    usec_t expires;
    uint32_t second; // in which pushes count
    uint8_t pushes, source_pushes;
    uint16_t pusher; // whose share source_pushes is: the one that pushes most often
};
struct intro_link {
    struct map_node node;             // first
    struct intro_link *older, *newer; // by expiry
    uint8_t link[DHT_LINK_BYTES];
    uint8_t e[8]; // of the initiator, shortened
    struct intro_end end;
    uint64_t source;
    uint64_t handle; // hash of the handle that it leads to
    usec_t expires;
    usec_t pushed_at; // to the attender; 0: answered, or nothing to measure
    usec_t decoy_at;  // 0: none
};
static_assert(sizeof(struct intro_handle) <= 256, "a handle costs 256 bytes");
static_assert(sizeof(struct intro_link) <= 256, "a link costs no more");

struct intro {
    struct arena *arena;
    const struct rng *rng;
    struct outbox *out;
    bool prefix_limits;
    uint8_t hash_key[16];
    struct map handles, links;
    struct intro_link *oldest, *newest;
    uint32_t round_trip_us[INTRO_ROUND_TRIPS]; // of attenders: from push to relay_back
    uint32_t round_trips;
    usec_t decoy_next; // when the next decoy is due, USEC_NEVER
    usec_t sweep_at;
    uint64_t pushes_out, bytes_out;
};

void intro_init(struct intro *, struct arena *, const struct rng *, struct outbox *,
                bool prefix_limits);
void intro_end(struct intro *);

struct intro_from {
    const struct path *path;
    const uint8_t *e;
    const struct rpc_keys *keys;
    uint64_t source;
};
// Each returns what the answer says. ttl_s 0 forgets the handle.
enum rpc_status intro_attend(struct intro *, usec_t now, const struct intro_from *,
                             const struct wire_request *);
enum rpc_status intro_introduce(struct intro *, usec_t now, const struct intro_from *,
                                const struct wire_request *);
enum rpc_status intro_relay_back(struct intro *, usec_t now, const struct intro_from *,
                                 const struct wire_request *);
// Decoys and expiry. intro_deadline: when it has to run next.
void intro_run(struct intro *, usec_t now);
usec_t intro_deadline(const struct intro *);

#endif
