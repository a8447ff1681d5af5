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
// To a server: so much at once and a second, and twice what comes back. In a small network all searches of a client go
// to the same few: a request has up to 704 bytes.
#define RELAY_SERVER_BURST_BYTES (64u << 10)
#define RELAY_SERVER_BPS (32u << 10)
#define RELAY_SERVER_CREDIT_MAX (1u << 20) // a channel through it may have come back that much
#define RELAY_PEERS_MAX 48u // conversations of a client, and those that are being made
#define RELAY_PEER_PATHS_MAX CHANNEL_CANDIDATES_MAX
#define RELAY_CHALLENGES 5u // to an address that does not answer: after 0, 0.1, 0.3, 0.7, 1.5 s
#define RELAY_CHALLENGE_GAP_US (100 * USEC_PER_MS)
// Challenges to, and answers for, one client's socket, of 64 bytes: three conversations that begin at once have 18 addresses.
#define RELAY_ANSWERS_PER_S 64u
#define RELAY_PEER_NEWEST 4u // of a client's peers that an unknown address may belong to

// ---- on the way through ---------------------------------------------------------------------------------
#define RELAY_EGRESS_BYTES (256u << 10) // what one turn of the driver brings
#define RELAY_EGRESS_BATCHES 512u
#define RELAY_CLIENT_BATCHES 8u // of one client's channel before the next has its turn

// ---- the client's end -----------------------------------------------------------------------------------
#define TUNNEL_RENEW_US USEC_PER_S      // until a reservation is renewed before its time
#define TUNNEL_OPEN_US (8 * USEC_PER_S) // from the first question to a channel that carries
// ---- offers -----------------------------------------------------------------------------------------
#define OFFER_CONTACTS_MAX 2u             // one of each address family
#define OFFER_CAPACITY_KBPS_MAX 12500000u // 100 Gbit/s: nobody has more
#define OFFER_FREE_FULL 8u       // eighths of the capacity: coarse, so that it tells little
#define OFFER_TCP_PORT_LOW 443u  // the only port below 1024 that strangers may name
#define OFFER_READ_BEHIND_S 900u // good so long after its hour: clocks may be 10 minutes wrong
#define OFFER_AHEAD_S 600u       // signed so far in the future at most (PROTOCOL 8)

// ---- the directory: where offers stand ----------------------------------------------------------------
#define DIRECTORY_SLOTS 16u     // PROTOCOL 8: 3,000 relays before all places are full
#define DIRECTORY_TTL_S 600u    // at the holders: so long a relay is named that was switched off
#define DIRECTORY_SPREAD_S 300u // moves into a new hour are spread over its first 5 minutes
#define DIRECTORY_READ_AHEAD_S 900u              // the next hour's slots are read from a quarter to
#define DIRECTORY_UPDATE_US (60 * USEC_PER_S)    // between two versions: twenty holders take each
#define DIRECTORY_RETRY_MIN_US (10 * USEC_PER_S) // nobody stored it: again, doubling
#define DIRECTORY_RETRY_MAX_US (300 * USEC_PER_S)
#define DIRECTORY_FULL_TRIES 4u // full slots in a row: so many relays that waiting is better
#define DIRECTORY_FULL_MIN_US (60 * USEC_PER_S) // then, up to twice that, doubling within the hour
#define DIRECTORY_FULL_MAX_US (900 * USEC_PER_S)
#define DIRECTORY_PROOF_MAX 16384u // a slot that wants more counts as full: about 3 s of work

// ---- the directory: looking for relays ----------------------------------------------------------------
#define DIRECTORY_LOOKS_MAX 3u    // slots at once: a burst of 100 requests
#define DIRECTORY_LOOK_HOLDERS 3u // of one slot that are asked, as everywhere (PROTOCOL 6)
#define DIRECTORY_LOOK_US (10 * USEC_PER_S)   // a look-up and an answer; then the slot is left
#define DIRECTORY_SAMPLE_US (3 * USEC_PER_S)  // of that, from the region's being known on
#define DIRECTORY_LATE_US USEC_PER_S          // for others, once a holder has answered
#define DIRECTORY_NOBODY_US (30 * USEC_PER_S) // while no server is known at all
// Enough to choose from: so many slots seen, so that the holders of one don't decide, and so many prefixes.
#define DIRECTORY_SLOTS_ENOUGH 3u
#define DIRECTORY_PREFIXES_ENOUGH 12u // or four times what is wanted
#define DIRECTORY_PATIENCE_US                                                                      \
    (2 * USEC_PER_S) // then as many prefixes as are wanted will do for now
#define DIRECTORY_AGAIN_MIN_US (5 * USEC_PER_S) // too few were found: once more, doubling
#define DIRECTORY_AGAIN_MAX_US (300 * USEC_PER_S)
// Where any relay will do: a slot at a time, so that the person's own look-ups are not kept from the line or from a
// router's table, and all of them seldom, since a network may have no relays.
#define DIRECTORY_ANY_LOOKS 1u
#define DIRECTORY_ANY_PREFIXES 4u
#define DIRECTORY_ANY_AGAIN_MIN_US (30 * USEC_PER_S)
#define DIRECTORY_ANY_AGAIN_MAX_US (1800 * USEC_PER_S)
#define DIRECTORY_STALE_MIN_S                                                                      \
    60u // what ends so soon is looked for again before, not by all at once
#define DIRECTORY_STALE_MAX_S 360u

// ---- what is known of relays --------------------------------------------------------------------------
#define RELAY_POOL_MAX 64u // offers: 13 KB; who reads all slots knows enough by then
#define RELAY_POOL_PREFIX_MAX                                                                      \
    4u // of one coarse prefix: more of them would not be picked more often
#define RELAY_CAPACITY_MEDIANS 4u // PROTOCOL 8: nobody counts more than so many times the median
#define RELAY_BAD_MAX 64u // that failed, remembered; the one that is forgiven next goes first
#define RELAY_BAD_MIN_US (300 * USEC_PER_S) // doubling for each failure
#define RELAY_BAD_MAX_US (3600 * USEC_PER_S)

#endif
