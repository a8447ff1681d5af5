// A volunteer's relay as a pure machine (DESIGN 9, PROTOCOL 8): clients open channels to it, and each gets an exit, a
// UDP socket of its own (VIA_SOCKET), through which its datagrams go to who consented, and theirs come back.
#ifndef BAUTA_NODE_RELAY_SERVICE_H
#define BAUTA_NODE_RELAY_SERVICE_H

#include "dht/dht.h"
#include "node/channel/channel.h"
#include "node/relay/limits.h"

struct relay;

struct relay_config {
    struct net net;
    struct rng rng;
    struct arena *arena;
    struct dht *dht;
    uint8_t secret[32]; // of the server's key, as the DHT has it
    uint8_t local_mask[MASK_KEY_BYTES];
    bool lab, prefix_limits, aes_hardware;
    uint32_t user;                  // of the DHT's events
    uint32_t clients_max;           // 0: default
    uint32_t client_Bps, total_Bps; // both ways together; 0: default
    uint64_t volume_bytes;          // that may still be forwarded; UINT64_MAX: no limit
};

int relay_new(struct relay **,
              const struct relay_config *); // 0, BAUTA_ESPACE, BAUTA_ELIMIT (clients_max)
void relay_free(struct relay *);            // wipes
// DHT_OPEN, and DHT_PONG or DHT_SILENT of our user. False: not ours.
bool relay_dht_event(struct relay *, usec_t now, const struct dht_event *);
// A datagram whose cid is one of ours. BAUTA_EUNKNOWN: it is not. Opened in place.
int relay_receive(struct relay *, usec_t now, const uint8_t cid[static CID_BYTES],
                  const struct path *from, uint8_t ecn, uint8_t *data, size_t len);
// One that came to a client's exit: from->via is its VIA_SOCKET.
void relay_exit_receive(struct relay *, usec_t now, const struct path *from, uint8_t *data,
                        size_t len);
bool relay_expire(struct relay *, usec_t now, unsigned budget);
usec_t relay_deadline(const struct relay *); // O(1)
// As node_transmit: data stands in `buf` or in the relay until the next call. Ids are those of relay_sent.
size_t relay_transmit(struct relay *, usec_t now, uint8_t *buf, size_t cap, struct batch *,
                      size_t max);
void relay_sent(struct relay *, usec_t now, uint64_t id, int rc);
// Exits that are over. False: no more.
bool relay_via_closed(struct relay *, uint32_t *via);
// Takes no new clients, tells those there are, and lets them go after `seconds`.
void relay_drain(struct relay *, usec_t now, uint32_t seconds);
// So much may still be forwarded (UINT64_MAX: no limit). One that drains because that was used up takes clients again.
void relay_allow(struct relay *, uint64_t volume_bytes);

struct relay_status {
    uint32_t clients, clients_max;
    bool draining;
    uint64_t volume_left_bytes; // UINT64_MAX: no limit
    uint64_t opened, refused_full, refused_rate, refused_bad;
    uint64_t forwarded_out, forwarded_out_bytes; // for clients, to others
    uint64_t forwarded_in, forwarded_in_bytes;   // to clients
    uint64_t dropped_unknown;                    // from who did not consent, or to it
    uint64_t dropped_rate, dropped_queue, dropped_format;
    uint64_t asked_servers, asked_peers, consented_peers;
};
void relay_status(const struct relay *, struct relay_status *);

#endif
