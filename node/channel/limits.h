// Sizes, times and limits of node/channel, with their reasons.
#ifndef BAUTA_NODE_CHANNEL_LIMITS_H
#define BAUTA_NODE_CHANNEL_LIMITS_H

#include "crypto/packet.h"
#include "dht/machine.h"

// ---- memory -----------------------------------------------------------------------------------------
#define CHAN_BLOCK_BYTES 4096u // stream memory comes and goes in these: a chat message holds one
#define CHAN_RECEIVE_BYTES (4u << 20) // default window: 100 MB/s at 40 ms
#define CHAN_RECEIVE_BYTES_MAX (64u << 20)
#define CHAN_CREDIT_INITIAL (64u << 10) // of the channel and of each stream before any MAX_DATA
#define CHAN_CREDIT_QUIET                                                                          \
    (8u << 10) // bytes that came up to which none is told: a short conversation
// A window doubles when a third of it comes in two round trips: of no less than this, since on one computer
// the two ends wait for the scheduler longer than for the path.
#define CHAN_WINDOW_RTT_US_MIN (2 * USEC_PER_MS)
#define CHAN_TEXT_SHARE_BYTES (20u << 10) // of the peer's credit that bulk leaves: the longest text
#define CHAN_TEXT_MEMORY_BYTES (64u << 10) // of the arena that bulk leaves: three such texts
#define CHAN_SEND_BYTES (4u << 20)         // written and not yet acknowledged, each stream
// Of that, not sent yet: as much as the congestion window, which is what the next round trip can carry. More
// would only be more memory to go through, and the first packet would wait until it is filled.
#define CHAN_UNSENT_BYTES_MIN (128u << 10)
#define CHAN_OFFSET_MAX ((UINT64_C(1) << 48) - 1) // stream offsets take 6 bytes on the wire
#define CHAN_RANGES_MAX 512u // holes in what a stream has received, or had acknowledged
// Datagrams that wait to be sent: a relay's client at 100 MB/s in the 2 ms between two of its turns.
#define CHAN_DATAGRAM_RING_MIN (8u << 10)
#define CHAN_DATAGRAM_RING_MAX (256u << 10)
#define CHAN_DATAGRAMS_IN                                                                          \
    40u // in one packet: the shortest that a tunnel carries take 35 bytes and more
#define CHAN_RATCHET_BYTES 1280u // room for the longest ratchet message (1,224)

// ---- packets ----------------------------------------------------------------------------------------
#define CHAN_MTU_MAX CHANNEL_PACKET_BYTES_MAX
#define CHAN_ECT0 2u // the two ECN bits of an IP header (RFC 3168)
#define CHAN_CE 3u
#define CHAN_REPLAY_PACKETS 32768u // window of received packet numbers; the sender never spans more
#define CHAN_SENT_PACKETS_MIN 64u  // first size of the ring of sent packets
// Half the peer's replay window, so reordering can't outrun it: 1 Gbit/s at 100 ms, and what is remembered
// of losses. 1.3 MB, taken as it is needed.
#define CHAN_SENT_PACKETS_MAX 16384u
#define CHAN_ACK_RANGES 128u       // in one ACK: a path that scatters packets over 20 ms has 70
#define CHAN_ACK_RANGES_BESIDE 32u // where other frames stand beside it: 148 bytes at most
// An ACK goes after so many full packets: 2 (RFC 9000, 13.2.2), in bulk an eighth of what comes in a round trip.
#define CHAN_ACK_EVERY 2u
#define CHAN_ACK_EVERY_MAX 128u
#define CHAN_ACK_WINDOW_SHARE 8u
// And after a quarter of a round trip, at most 25 ms; timers are no finer than 1 ms.
#define CHAN_ACK_RTT_SHARE 4u
#define CHAN_ACK_DELAY_US (25 * USEC_PER_MS)
#define CHAN_ACK_DELAY_US_MIN USEC_PER_MS
// After a gap at once, but not more often than this: in bulk with losses each packet would have its own.
#define CHAN_ACK_GAP_RTT_SHARE 16u
#define CHAN_SKIP_MIN 200u // packets between two numbers that are left out on purpose
#define CHAN_SKIP_MAX 1000u
#define CHAN_URGENT_PACKETS 4u // of control and text, beyond what the window and the pace allow
#define CHAN_STREAM_FRAMES 2u  // STREAM frames in one packet, so a sent packet has a fixed record

// ---- recovery and congestion (RFC 9002) ---------------------------------------------------------------
#define CHAN_LOSS_PACKETS 3u
#define CHAN_GRANULARITY_US USEC_PER_MS
#define CHAN_INITIAL_RTT_US (100 * USEC_PER_MS) // where meet gave no hint
#define CHAN_PROBE_PACKETS 2u                   // for a probe timeout: one may be lost too
#define CHAN_PERSISTENT_PTOS 3u
// Backoff stops here: after an outage it goes on soon, and two packets in 2 s congest nothing.
#define CHAN_PTO_US_MAX (2 * USEC_PER_S)
#define CHAN_REMEMBER_RTTS 4u             // since it was sent: a lost packet may be only late
#define CHAN_REORDER_US (10 * USEC_PER_S) // after the last late packet the path is held for orderly
// Until the first step is done: the other side gives up after 2 s in which it hears nothing, and at 20 %
// loss three or four datagrams in that time are not enough.
#define CHAN_PTO_EARLY_US_MAX (400 * USEC_PER_MS)
#define CHAN_CWND_INITIAL (10u * CLASS_FULL)
#define CHAN_CWND_MIN_PACKETS 2u
// ACK-only packets take slots too.
#define CHAN_CWND_MAX (CHAN_SENT_PACKETS_MAX / 4 * 3 * CLASS_FULL)
#define CHAN_PACE_US USEC_PER_MS // what has been earned leaves together: fewer, larger sends
#define CHAN_PACE_GAP_US_MAX (16 * USEC_PER_S) // a longer pause earns nothing: no overflow
// Bytes a second: more than any path, and little enough that no product with a time overflows, whatever round trip
// a peer makes us see.
#define CHAN_RATE_MAX UINT64_C(100000000000)
#define CHAN_PACE_LATE_QUANTA 8     // a busy computer runs a process so many milliseconds late
#define CHAN_PACE_PACKETS 2u        // at least
#define CHAN_PACE_BURST_PACKETS 10u // after a pause: the initial window (RFC 9002, 7.7)

// ---- paths --------------------------------------------------------------------------------------------
#define CHAN_PATHS_MAX 8u                // six candidates and two that the peer was seen at
#define CHAN_LATE_US (700 * USEC_PER_MS) // for the others, before a peer's relay is tried
#define CHAN_PROBES_MAX 3u               // to an address that never answered (PROTOCOL 6)
#define CHAN_CHALLENGES_MAX 11u          // to an address that the peer was heard from
#define CHAN_RESPONSES_MAX                                                                         \
    4u // challenges answered at once: somebody may have sent some another way
#define CHAN_PROBE_GAP_US (50 * USEC_PER_MS)
#define CHAN_PROBE_GAP_US_MIN (2 * USEC_PER_MS)
#define CHAN_PROBE_GAP_US_MAX (400 * USEC_PER_MS)
#define CHAN_ECN_TEST 10u       // packets that are marked before anything is known (RFC 9000, A.4)
#define CHAN_ECN_ROUNDS 3u      // such tests whose counts were lost
#define CHAN_ECN_PLAIN 4u       // ACKs of marked packets without counts: one may be lost, not each
#define CHAN_MTU_MAX_V6 1452u   // IPv6's header is 20 bytes longer
#define CHAN_FAR_TUNNELS 2u     // at most, from a relay's exit to its client
#define CHAN_MTU_MIN CLASS_CHAT // less than IPv4's 576, the least that anything carries today
#define CHAN_MTU_BULK 8u  // full packets of data before the first probe: a chat never sends one
#define CHAN_MTU_TRIES 3u // MAX_PROBES of RFC 8899
#define CHAN_MTU_LOST 3u  // full packets lost in a row while others arrive: a black hole
#define CHAN_MTU_RAISE_US (600 * USEC_PER_S) // PMTU_RAISE_TIMER of RFC 8899
#define CHAN_TRIAL_BACKOFF_MAX 8u // 256 waits, where somebody keeps pretending that the peer moved
#define CHAN_AMPLIFICATION 3u     // bytes sent for each received, until the path is validated

// ---- cover --------------------------------------------------------------------------------------------
#define CHAN_COVER_BYTES CLASS_CHAT // of each tick: a message of 200 letters fits
#define CHAN_COVER_LOW_US USEC_PER_S
#define CHAN_COVER_HIGH_US (200 * USEC_PER_MS)
#define CHAN_COVER_LINGER_US (10 * USEC_PER_S) // at channel_close: ticks carry what is pending

// ---- life -----------------------------------------------------------------------------------------------
#define CHAN_NO_PATH_US (2 * USEC_PER_S) // meet tries the next candidate after this
#define CHAN_FIRST_STEP_US (10 * USEC_PER_S)
#define CHAN_STEP_US (120 * USEC_PER_S)
#define CHAN_STEP_BYTES (UINT64_C(4) << 30)
#define CHAN_STEP_US_MAX (240 * USEC_PER_S) // enforced by the receiver
#define CHAN_STEP_BYTES_MAX (UINT64_C(8) << 30)
#define CHAN_STEP_US_MIN (30 * USEC_PER_S) // a step sooner, with few bytes in between, is an attack
#define CHAN_STEP_BYTES_MIN (UINT64_C(1) << 30)
#define CHAN_STEP_ASK_US (150 * USEC_PER_S) // the other's turn is overdue: it is asked
#define CHAN_STEP_ASK_BYTES (UINT64_C(5) << 30)
#define CHAN_OLD_KEYS_US (3 * USEC_PER_S)
#define CHAN_IDLE_US_MIN (16 * USEC_PER_S) // 18 s +- 2 s: under the 20 s of the shortest NAT timers
#define CHAN_IDLE_US_MAX (20 * USEC_PER_S)
#define CHAN_TIDY_US (10 * USEC_PER_S) // of silence, after which bulk's memory is given back
#define CHAN_GONE_US (8 * USEC_PER_S)
#define CHAN_GONE_EARLY_US (4 * USEC_PER_S) // until the first step is done: meet tries again sooner
#define CHAN_QUIET_US (250 * USEC_PER_MS)   // after bulk: then the receiver asks what became of it
#define CHAN_ASK_US_MIN (50 * USEC_PER_MS)  // and who waits for it asks no more often
// An end that moved, or that hears of the other through an introducer, waits so long: the other may notice
// only with its next PING, 20 s later at most, that it is looked for.
#define CHAN_GONE_REUNION_US (30 * USEC_PER_S)
#define CHAN_LOST_US (500 * USEC_PER_MS)        // a path that is silent for less is only slow
#define CHAN_LINGER_US (2 * USEC_PER_S)         // for stream data that is pending at channel_close
#define CHAN_CLOSE_ANSWER_US (10 * USEC_PER_MS) // to answer the peer's CLOSE, or never
#define CHAN_RETRY_US (100 * USEC_PER_MS)       // to offer room again after the arena was full

#endif
