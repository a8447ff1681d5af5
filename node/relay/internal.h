// What the parts of the relay share: service.c (life, clients, control), forward.c (datagrams), permits.c (who
// consented), peers.c (asking the other end of a conversation).
#ifndef BAUTA_NODE_RELAY_INTERNAL_H
#define BAUTA_NODE_RELAY_INTERNAL_H

#include "dht/map.h"
#include "node/channel/cids.h"
#include "node/channel/heap.h"
#include "node/relay/consent.h"
#include "node/relay/handshake.h"
#include "node/relay/parts.h"
#include "node/relay/service.h"
#include "node/relay/wire.h"

// A bucket of bytes that fills with time.
struct allowance {
    usec_t at;
    uint64_t left;
};
static inline bool allowance_take(struct allowance *a, usec_t now, uint64_t Bps, uint64_t most,
                                  uint64_t bytes)
{
    uint64_t gone_ms = (now - a->at) / USEC_PER_MS; // since 0 at first: full
    if (gone_ms > 0) {
        uint64_t more = gone_ms > 1000 * 1000 ? most : gone_ms * Bps / 1000;
        a->left = most - a->left < more ? most : a->left + more;
        a->at += gone_ms * USEC_PER_MS;
    }
    if (a->left < bytes)
        return false;
    a->left -= bytes;
    return true;
}

// An address that a client's datagrams may go to, and whose come to it.
struct permit {
    struct map_node node;
    struct path path; // via 0
    usec_t until;
    bool peer;                  // asked for a conversation; else a server
    struct allowance allowance; // a server's
};

struct peer { // the other end of one of the client's conversations
    struct consent consent;
    struct path path[RELAY_PEER_PATHS_MAX];
    uint8_t count, sent; // sent: challenges to each
    usec_t again_at;     // USEC_NEVER: no more
    uint32_t number;     // newest last
};

struct relay_client {
    struct heap_entry timer; // first member: the heap's entries are clients
    struct channel *channel;
    struct arena arena; // its account
    uint16_t index;
    uint32_t via;
    bool ready, dirty, reserved, closing, exit_used;
    uint64_t coarse;                                      // of the address it opened from
    uint8_t msg1[RELAY_MSG_BYTES], msg2[RELAY_MSG_BYTES]; // until it is heard
    bool heard;
    usec_t until; // of the reservation, or for it to come
    usec_t tidy_at;
    struct allowance bytes;
    struct allowance answers; // in thousandths
    struct map permits;
    uint32_t permit_count;
    struct permit *recent; // the last one that was found
    uint32_t asking;       // of the pings that are out
    struct peer *peer;     // of `peers` in a block of `peers_cap`
    uint16_t peers, peers_cap;
    uint32_t peer_number, stranger_turn;
    uint8_t challenge_key[16];
    uint8_t in[RELAY_MESSAGE_BYTES_MAX]; // a control message on its way
    uint16_t in_len;
    struct relay_parts *parts; // of a long datagram that is coming
    uint8_t part_id;
};

struct asking {  // a server is pinged for a client
    uint32_t id; // of dht_ping; 0: free
    uint16_t client;
    uint32_t via; // of that client: another one may have its index by now
    struct path path;
    uint8_t pk[32];
    uint16_t held_len; // of the datagram that waits
    uint8_t held[CLASS_FULL];
};
struct known { // a server that answered
    uint64_t tag;
    usec_t until;
};

struct egress {
    uint8_t *data; // RELAY_EGRESS_BYTES
    struct batch *batch;
    uint32_t used, count, taken;
};

struct relay {
    struct relay_config cfg;
    uint32_t clients, turn, gen;
    struct relay_client **client; // clients_max
    struct heap heap;
    struct cids cids;
    struct egress egress;
    struct allowance total;
    struct allowance opens; // in thousandths
    struct asking *asking;  // RELAY_ASKING_MAX, with the first
    struct known *known;    // RELAY_CONSENTS_MAX
    uint32_t *closed;       // vias, clients_max
    uint32_t closed_count;
    uint8_t hash_key[16];
    usec_t drain_at; // USEC_NEVER: not
    bool used_up;    // it drains because the month's volume is
    struct relay_status count;
};

// ---- service.c
void relay_touch(
    struct relay *,
    struct relay_client *); // its channel may want to send, its deadline may have moved
void relay_client_say(struct relay *, usec_t now, struct relay_client *,
                      const struct relay_message *);
static inline struct relay_client *relay_client_of_via(const struct relay *r, uint32_t via)
{
    uint32_t i = via & (RELAY_CLIENTS_MAX - 1);
    struct relay_client *c = i < r->cfg.clients_max ? r->client[i] : NULL;
    return c != NULL && c->via == via ? c : NULL;
}
uint64_t relay_hash(const struct relay *, const void *, size_t);

// ---- forward.c
// A datagram of a client's, as it stood in its channel.
void relay_from_client(struct relay *, usec_t now, struct relay_client *, const uint8_t *data,
                       size_t len);
// What is allowed goes out of the exit.
void relay_send(struct relay *, struct relay_client *, const struct path *to, const uint8_t *data,
                size_t len);
void relay_egress_free(struct relay *);

// ---- permits.c
struct permit *permit_find(struct relay *, usec_t now, struct relay_client *,
                           const struct path *); // live, or NULL
struct permit *permit_give(struct relay *, usec_t now, struct relay_client *, const struct path *,
                           bool peer);
// Forgets those that are over, and gives back what a client at rest does not need.
void permits_tidy(struct relay_client *, usec_t now);
void permits_end(struct relay *, struct relay_client *);
// A client's datagram to a server that it names: permitted at once, or held until the server has answered a ping.
void permit_ask(struct relay *, usec_t now, struct relay_client *, const struct relay_head *,
                const uint8_t *data, size_t len);
bool permit_event(struct relay *, usec_t now, const struct dht_event *);
void permits_forget_client(struct relay *, usec_t now, const struct relay_client *);

// ---- peers.c
void peer_add(struct relay *, usec_t now, struct relay_client *, const struct relay_message *);
void peer_forget(struct relay *, struct relay_client *, const uint8_t key[static 32]);
// A datagram at the exit: is it a peer's answer, or another relay's question? Then it is dealt with.
bool peer_consent(struct relay *, usec_t now, struct relay_client *, const struct path *from,
                  uint8_t *data, size_t len);
// It came from somebody who has no permit.
void peer_stranger(struct relay *, usec_t now, struct relay_client *, const struct path *from,
                   size_t len);
void peers_expire(struct relay *, usec_t now, struct relay_client *);
usec_t peers_deadline(const struct relay_client *);
void peers_end(struct relay *, struct relay_client *);

#endif
