// Limits of node, with their reasons. Those of its layers stand in their own limits.h.
#ifndef BAUTA_NODE_LIMITS_H
#define BAUTA_NODE_LIMITS_H

#include "node/meet/meet.h"

#include <assert.h>

// One for each encounter, and as many that are only saying goodbye.
#define NODE_CONVERSATIONS_MAX (2 * MEET_ENCOUNTERS_MAX)
// A conversation has at most four live phases of four cids: those of steps that follow each other fast.
// So have the four tunnels.
#define NODE_CIDS_MAX (16 * (NODE_CONVERSATIONS_MAX + 4u))
// Open addressing at little more than half load; a power of two.
#define NODE_CID_SLOTS 1024u
#define NODE_TOPIC_TEXT_BYTES_MAX 1024u // as typed, before normalising shortens it
#define NODE_WARNINGS_MAX 8u
// ---- the search for a path (punch.h) ------------------------------------------------------------------
// Of 64,512 ports so many are open: who tries 1,500 of them misses all with one in 400. More would be a
// burden for cheap routers, whose tables hold a few thousand flows.
#define PUNCH_SOCKETS 256u
#define PUNCH_PROBES_MAX 1536u
#define PUNCH_PORT_MIN 1024u // below are other people's services
// Of a regular NAT every other probe goes to one of these: so many places, so many steps apart, all of them so
// often. With a quarter of a place's sockets each, and up to 2,048 flows to others in between.
#define PUNCH_STEPS 32u
#define PUNCH_STEP_STRIDE 64u
#define PUNCH_STEP_ROUNDS 4u
#define PUNCH_PROBE_GAP_US (5 * USEC_PER_MS) // 64 bytes each: 13 kB/s, and all in 7.7 s
#define PUNCH_OPENER_GAP_US (2 * USEC_PER_MS)
// Hops of the first round: a home's router and a carrier's are three or four, the other end's NAT is farther. So it
// is not told of a stranger who knocks before its own host does, which makes some of them shut the door.
#define PUNCH_OPENER_TTL 5u
#define PUNCH_ROUNDS                                                                               \
    2u // the second with the system's TTL, where the first did not leave the own NATs
#define PUNCH_ROUND_US (2500 * USEC_PER_MS) // between their ends and beginnings
#define PUNCH_BURST 8u            // probes at once, of those that a busy computer is late with
#define PUNCH_US (9 * USEC_PER_S) // and then it is over
// The ordinary probes have their time first: two round trips and some, by the way through the introducer.
#define PUNCH_WAIT_US_MIN (300 * USEC_PER_MS)
#define PUNCH_WAIT_US_MAX (800 * USEC_PER_MS)
#define PUNCH_WAIT_MORE_US (100 * USEC_PER_MS)
#define PUNCH_LAST_US (700 * USEC_PER_MS) // a probe that went at the very end may still be answered
#define PUNCH_PAUSE_US (20 * USEC_PER_S)  // between two searches
// The other end names the address. So none gets more than one search and a half of probes in so long, whoever names
// it, and as many are remembered as there can be meanwhile.
#define PUNCH_AGAIN_US (600 * USEC_PER_S)
#define PUNCH_AGAIN_PROBES                                                                         \
    (PUNCH_PROBES_MAX / 2) // who had fewer may have one more: most searches end early
#define PUNCH_SEARCHED_MAX 32u
static_assert(PUNCH_AGAIN_US / PUNCH_PAUSE_US < PUNCH_SEARCHED_MAX, "none is forgotten too soon");
// Numbers of its sockets: VIA_SOCKET | these. Sixty-four searches take turns, since a conversation keeps the one
// that opened its path.
#define PUNCH_SOCKET_FIRST 0x8000u
#define PUNCH_SOCKET_NUMBERS (64u * PUNCH_SOCKETS)
// What is read from a stream at a time, between two events.
#define NODE_READ_BYTES 4096u
// Sends of one channel before the next channel gets its turn.
#define NODE_CHANNEL_BATCHES 8u
#define NODE_CHANNEL_BYTES 65536u // and bytes: one whole batch of full packets
// Users of the DHT's events from here on are conversations that look for the other end; below, meet's.
#define REUNION_USER 0x10000u
// Are the own meeting points still known? Costs no datagram.
#define REUNION_CHECK_US (60 * USEC_PER_S)
#define REUNION_TELL_US (2 * USEC_PER_S) // between two points that are drawn anew
// For an introducer to say where we are: two round trips and more.
#define REUNION_SEEN_US (700 * USEC_PER_MS)
#define REUNION_GAP_US_MIN (400 * USEC_PER_MS) // between two times of asking, doubled each time
#define REUNION_GAP_US_MAX (2 * USEC_PER_S)
// Attends, while it lasts: we may have moved again unnoticed.
#define REUNION_RENEW_US (4 * USEC_PER_S)
// Between two beginnings: a peer can break its path at will.
#define REUNION_PAUSE_US (3 * USEC_PER_S)
#define REUNION_OFTEN_US                                                                           \
    (60 * USEC_PER_S) // within it, the peer's introducers count as probed addresses
#define REUNION_LINGER_US (3 * USEC_PER_S) // to answer who has not noticed yet
#define REUNION_FAILURES_MAX 4u            // of one of the peer's introducers, in one reunion
// Taken in one reunion, each of which has up to six addresses probed: the peer asks fewer than twenty times in
// 30 s, at two introducers at most.
#define REUNION_NOTES_MAX 48u
// Offers of one conversation at introducers that the peer named: what two reunions of half a minute need, and
// then one each ten seconds, of at most three datagrams. So nobody makes us flood whom it names.
#define REUNION_ASKS_MAX 48u
#define REUNION_ASK_US (10 * USEC_PER_S)
#define REUNION_CANDIDATE_BYTES 92u // of a note: four IPv6 and two IPv4, with any tag
// Hairpinning: looked at once servers have told our outside address, then each hour, in case it has changed.
#define HAIRPIN_LOOK_US_MIN USEC_PER_S
#define HAIRPIN_LOOK_US_MAX (3600 * USEC_PER_S)
#define HAIRPIN_WAIT_US USEC_PER_S // no router takes longer
#define HAIRPIN_PROBES_MAX 2u      // to one outside address: one may be lost
// LAN discovery.
#define LAN_CONTACTS_MAX 2u // one of each address family
#define LAN_START_US                                                                               \
    (300 * USEC_PER_MS) // who comes back after a power cut does not speak at the same moment
#define LAN_ASK_US_MIN                                                                             \
    USEC_PER_S // who knows nobody asks so often, doubling; each gap is half to one and a half
#define LAN_ASK_US_MAX (60 * USEC_PER_S)
#define LAN_BEACON_US (600 * USEC_PER_S)     // who knows somebody
#define LAN_ANSWER_US_MIN (20 * USEC_PER_MS) // of many the first to answer keeps the others silent
#define LAN_ANSWER_US_MAX (500 * USEC_PER_MS)
#define LAN_ANSWER_GAP_US (5 * USEC_PER_S) // what was told just now is asked for again then
#define LAN_CLOCK_MINUTES 20               // two clocks, each 10 minutes wrong
#define LAN_OPENED_PER_S                                                                           \
    64u // 50 us of a core: a link with a hundred newcomers in a second has to wait
#define LAN_TAKEN_PER_MINUTE 16u // hints
// Links that a driver has not been told of: it asks after each call, and one call closes at most a whole search for a
// NAT's port (256) or a relay's clients whose time is over. A power of two.
#define NODE_VIAS_CLOSED_MAX 4096u
#define NODE_VIAS_CLOSED_MIN 64u // room taken at first; doubled
// Users of the DHT's events: the relay's pings; tunnels and the pings through them. (The directory's: DIRECTORY_USER.)
#define NODE_RELAY_USER 0x20000u
#define NODE_UPLINK_USER 0x30000u
#define NODE_RELAY_ID 0x10000u // sends of the relay's channels are numbered from here on
#define NODE_RELAY_LOOK_US (60 * USEC_PER_S) // how full we are, as the directory says
#define NODE_ENTRIES_MAX 16u // servers we were told of, that may be relays: as bootstraps
#define NODE_UPLINK_RETRY_MIN_US (500 * USEC_PER_MS)
#define NODE_UPLINK_RETRY_MAX_US (30 * USEC_PER_S)
// Without an answer by UDP, until relays are asked over TCP, too: bootstraps have had five times by then.
#define NODE_UDP_PATIENCE_US (4 * USEC_PER_S)
// A relay that helps to be reached is kept so long after the last search: who ends a conversation mostly seeks again.
#define NODE_HELPER_KEEP_US (300 * USEC_PER_S)
// Two ends that agreed on another kind of path: a relay is found and opened in a few seconds, and both have to.
#define NODE_REROUTE_US (20 * USEC_PER_S)
#define NODE_UPLINK_WARN_US (10 * USEC_PER_S)     // without any relay, until the person hears of it
#define NODE_EXIT_RETRY_US (2 * USEC_PER_S)       // until a server has said how an exit is seen
#define NODE_EXIT_AGAIN_US (300 * USEC_PER_S)     // and from time to time
#define NODE_RELAYED_PATIENCE_US (5 * USEC_PER_S) // for a first path where relays have to ask first
#define NODE_TUNNELLED_ROUNDS                                                                      \
    64u // of one turn: what goes into tunnels before anything comes out of them
#define NODE_STORE_BYTES_DEFAULT (64u * 1024 * 1024)
#define NODE_NETWORK_DEFAULT "bauta"

#endif
