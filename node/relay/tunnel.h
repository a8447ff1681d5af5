// The client's end of a relay: a channel to it, in which datagrams travel to and from its exit. For the layers above a
// tunnel is one more way out: a path's `via`.
#ifndef BAUTA_NODE_RELAY_TUNNEL_H
#define BAUTA_NODE_RELAY_TUNNEL_H

#include "dht/dht.h"
#include "node/channel/channel.h"
#include "node/channel/heap.h"
#include "node/relay/limits.h"

enum tunnel_state {
    TUNNEL_OPENING,    // the relay was asked
    TUNNEL_CONNECTING, // it answered; the channel is being made
    TUNNEL_OPEN,       // datagrams may go
    TUNNEL_OVER        // `refused` or `gone`, or it was ended; nothing of it is left but the memory
};

struct tunnel_config {
    struct net net;
    struct rng rng;
    struct arena *arena;
    struct dht *dht;
    struct contact relay;
    uint32_t
        under; // by which way the relay is reached: VIA_UDP, VIA_TCP, or another tunnel; tunnel_move changes it
    uint32_t via; // what this one is called
    uint8_t local_mask[MASK_KEY_BYTES];
    bool lab, aes_hardware;
    uint32_t user; // of the DHT's events
};

struct tunnel {
    struct heap_entry timer; // the driver's
    bool ready, dirty;       // the driver's: it may want to send; tunnel_event may have something
    struct tunnel_config cfg;
    enum tunnel_state state;
    struct channel *channel; // from TUNNEL_CONNECTING on
    struct tunnel_opening *opening;
    uint32_t before; // the way before tunnel_move; VIA_NONE: it has not moved
    uint32_t ask;    // of dht_open, 0: none
    usec_t started_at, open_at, give_up_at, renew_at;
    bool tell_open, tell_drain, tell_server, refused, draining, ended;
    usec_t drain_at;
    uint32_t kBps;    // that the relay grants
    struct path seen; // how the relay sees us; family 0: not told, or it sees another tunnel's exit
    struct contact server[2]; // IPv4, IPv6: that the relay named; family 0: none
    struct tunnel_said *said; // CONSENTED that were not told yet
    uint8_t said_first, said_count;
    struct relay_parts *parts; // of a long datagram that is coming
    uint8_t part_id;
    uint8_t in[256]; // a control message on its way
    uint16_t in_len;
};

// Asks the relay at once. 0, BAUTA_ESPACE, BAUTA_EFORMAT (it is not reachable), BAUTA_ELIMIT, BAUTA_EAUTH (a bad key).
int tunnel_new(struct tunnel **, usec_t now, const struct tunnel_config *);
void tunnel_free(struct tunnel *); // wipes
// DHT_OPENED and DHT_SILENT of its `ask`. False: another's.
bool tunnel_dht_event(struct tunnel *, usec_t now, const struct dht_event *);
bool tunnel_expire(struct tunnel *, usec_t now, unsigned budget);
usec_t tunnel_deadline(const struct tunnel *);
// From now on the relay is reached there and by that way: the channel moves as one whose own network has changed, and the
// exit stays what it is.
void tunnel_move(struct tunnel *, usec_t now, const struct path *relay, uint32_t under);
// Did a datagram that came by this way come from where the relay is?
bool tunnel_comes_by(const struct tunnel *, uint32_t via);
// Reserves anew, soon: what GRANT and SERVER say comes again.
void tunnel_renew(struct tunnel *, usec_t now);
// Says goodbye to the relay; TUNNEL_OVER follows.
void tunnel_end(struct tunnel *, usec_t now);

// A packet of its channel. Afterwards tunnel_datagram until it is false.
int tunnel_receive(struct tunnel *, usec_t now, const uint8_t cid[static CID_BYTES], unsigned phase,
                   const struct path *from, uint8_t ecn, uint8_t *data, size_t len);
// What came through it, in place; `from` with its via.
bool tunnel_datagram(struct tunnel *, struct path *from, uint8_t **data, size_t *len);
// A datagram out of the exit. `server`: the key, where it is a request to a server of the DHT, which the relay then
// asks whether it wants it. BAUTA_ESTATE: not open; BAUTA_ELIMIT: too long; BAUTA_ESPACE: too many wait.
int tunnel_send(struct tunnel *, const struct path *to, const uint8_t *server, const uint8_t *data,
                size_t len);
size_t tunnel_transmit(struct tunnel *, usec_t now, uint8_t *buf, size_t cap, struct batch *,
                       size_t max);

// We talk to somebody who has `key` too (consent.h) and may be at these addresses, or speak from others: the relay asks
// there, and TUNNEL_CONSENTED says which of them wants our datagrams. The same key again: at these, too.
void tunnel_consent(struct tunnel *, usec_t now, const uint8_t key[static 32], const struct path *,
                    size_t n);
void tunnel_forget(struct tunnel *, usec_t now, const uint8_t key[static 32]);

enum tunnel_event_kind {
    TUNNEL_LOST,      // nothing is answered at the moment
    TUNNEL_FOUND,     // it is again
    TUNNEL_CID_ADD,   // cid, phase
    TUNNEL_CID_DROP,  // cid
    TUNNEL_READY,     // datagrams may go
    TUNNEL_CONSENTED, // key_id, path with our via: somebody there wants our datagrams
    TUNNEL_SERVER, // the relay named a server of a family, which may be asked how the exit is seen
    TUNNEL_DRAINING, // the relay will be gone in `seconds`
    TUNNEL_CLOSED    // it is over; `refused`: the relay has no room, or is none
};
struct tunnel_event {
    enum tunnel_event_kind kind;
    uint8_t cid[CID_BYTES], phase;
    uint8_t key_id[8]; // of consent.h: its `ask`
    struct path path;
    uint32_t seconds;
    bool refused;
};
bool tunnel_event(struct tunnel *, usec_t now, struct tunnel_event *);

#endif
