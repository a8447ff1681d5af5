// Limits and times of node/relay, with their reasons.
#ifndef BAUTA_NODE_RELAY_LIMITS_H
#define BAUTA_NODE_RELAY_LIMITS_H

#include "node/channel/channel.h"

// ---- what a relay does for its clients --------------------------------------------------------------
#define RELAY_CLIENTS_DEFAULT 1000u
#define RELAY_CLIENTS_MAX 4096u // 12 bits of a client's socket number
#define RELAY_PREFIX_SHARE 8u   // of all clients that one coarse prefix may be,
#define RELAY_PREFIX_MIN 8u     // but so many anyway
#define RELAY_OPENS_PER_S 50u   // handshakes: three X25519 and a channel's memory each
#define RELAY_CLIENT_BPS_DEFAULT (2u << 20)
#define RELAY_TOTAL_BPS_DEFAULT (20u << 20)
#define RELAY_BURST_BYTES_MIN (256u << 10) // what may come at once: the window of a path of 50 ms
#define RELAY_RESERVATION_S 600u           // renewed after half of it
#define RELAY_CLIENT_BYTES_MAX (1u << 20)  // memory of one client, its channel and queues included
#define RELAY_UNREADY_US (10 * USEC_PER_S) // a channel whose client never reserves
#define RELAY_CONTROL_PENDING_MAX (16u << 10) // of what we say to a client that does not read
#define RELAY_DRAIN_S 60u                     // for clients to find another one

// ---- where clients may send to ------------------------------------------------------------------------
// Servers: a DHT node with a place asks some forty, and a look-up some more.
#define RELAY_PERMITS_MAX 384u
#define RELAY_PERMIT_US (120 * USEC_PER_S)  // since something came from there
#define RELAY_CONSENTS_MAX 8192u            // servers that answered a ping, for all clients,
#define RELAY_CONSENT_US (600 * USEC_PER_S) // and how long that counts
#define RELAY_ASKING_MAX 128u       // pings that are out, each with one datagram that waits for it
#define RELAY_ASKING_CLIENT_MAX 24u // of one client: a region is asked all at once
// To a server: so much at once and a second, and twice what comes back. Three requests of a look-up are 2 KB.
#define RELAY_SERVER_BURST_BYTES (16u << 10)
#define RELAY_SERVER_BPS (8u << 10)
#define RELAY_SERVER_CREDIT_MAX (1u << 20) // a channel through it may have come back that much
#define RELAY_PEERS_MAX 48u // conversations of a client, and those that are being made
#define RELAY_PEER_PATHS_MAX CHANNEL_CANDIDATES_MAX
#define RELAY_CHALLENGES 5u // to an address that does not answer: after 0, 0.1, 0.3, 0.7, 1.5 s
#define RELAY_CHALLENGE_GAP_US (100 * USEC_PER_MS)
#define RELAY_ANSWERS_PER_S 16u // challenges to, and answers for, one client's socket
#define RELAY_PEER_NEWEST 4u    // of a client's peers that an unknown address may belong to

// ---- on the way through ---------------------------------------------------------------------------------
#define RELAY_EGRESS_BYTES (256u << 10) // what one turn of the driver brings
#define RELAY_EGRESS_BATCHES 512u
#define RELAY_CLIENT_BATCHES 8u // of one client's channel before the next has its turn

// ---- the client's end -----------------------------------------------------------------------------------
#define TUNNEL_OPEN_US (8 * USEC_PER_S) // from the first question to a channel that carries
#endif
