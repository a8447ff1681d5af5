// Every limit of dht/ with its reason. All are per node unless said otherwise.
#ifndef BAUTA_DHT_LIMITS_H
#define BAUTA_DHT_LIMITS_H

#include "dht/machine.h"

// ---- requests of our own --------------------------------------------------------------------------
#define RPC_CALLS_MAX 1024u // open at once: of 40 usual places all members
#define RPC_SENDINGS_MAX 3u // PROTOCOL 2; three losses in a row at 20 % are 0.8 %
// Nonces tried for the stamp of a first datagram that is sent again, since the server may be flooded: 0.3 ms,
// then 5 ms; and so many a second in all, 1 % of a core.
#define RPC_STAMP_TRIES_SECOND 2048u
#define RPC_STAMP_TRIES_THIRD 32768u
#define RPC_STAMP_TRIES_PER_S 65536u
#define RPC_TOKEN_ROUNDS_MAX 3u // a server that never accepts its own tokens is not asked for ever
#define RPC_RTO_MIN_US (5 * USEC_PER_MS)       // below it a scheduler's hiccup looks like loss
#define RPC_RTO_MAX_US (2 * USEC_PER_S)        // above it nobody waits
#define RPC_RTO_UNKNOWN_US (400 * USEC_PER_MS) // before there is experience: p95 of the internet
#define RPC_PATIENCE_UNKNOWN_US (200 * USEC_PER_MS) // and p75
#define RPC_LATE_US (3 * USEC_PER_S)                // an answer later than that helps nobody
#define RPC_PART_WAIT_MAX_US (100 * USEC_PER_MS)    // for the other datagrams of one answer
#define RPC_ANSWER_DATAGRAMS_MAX 4u                 // PROTOCOL 2
#define ANSWER_LIGHT RPC_ANSWER_DATAGRAMS_MAX       // the index of a token answer without DH
#define RPC_FIND_DATAGRAMS_MAX 2u                   // 16 contacts of each family fit two
#define RTT_SAMPLES 32u                             // for the node's own p95
#define RTT_SAMPLES_MIN 8u                          // fewer say nothing about a p95
#define RTT_ENTRIES_MIN 16u // servers outside of the table whose RTT is remembered, at first
#define RTT_ENTRIES_MAX 32u // 256 bytes: the holders of a place, and whom a look-up asks twice
#define SESSIONS_MAX 224u   // servers of one e: a look-up asks fewer
#define IDS_MAX 16384u      // open answer and push ids: 1,024 calls x 12 at most, 320 series x 12

#define ASKS_MAX 256u   // single questions at once: what a relay's clients have it ask
#define OPENINGS_MAX 8u // that wait for node's answer: one driver's turn

// ---- routing table --------------------------------------------------------------------------------
#define TABLE_K 16u            // of a bucket; DESIGN 5
#define TABLE_BUCKETS 32u      // 2^32 servers before the last one overflows
#define TABLE_NEAREST_MAX 128u // asked for at once: 3 KB of stack
#define TABLE_SPARES 8u        // replacement cache of a bucket
#define TABLE_PUBLIC_FEW 4u // so many of a bucket give way; where more are public, most servers are
#define TABLE_BUCKET_FINE_MAX 2u   // PROTOCOL 3: of one /24 or /48
#define TABLE_BUCKET_COARSE_MAX 4u // of one /16 or /32
#define TABLE_FINE_MAX 10u
#define TABLE_COARSE_MAX 20u
#define TABLE_DEAD_FAILURES                                                                        \
    2u // requests without an answer until a contact is not handed out any more
#define TABLE_GONE_FAILURES 5u     // and until it is forgotten even without a successor
#define TABLE_CHECK_AFTER_S 300u   // who answered this lately is not pinged for a candidate's sake
#define TABLE_SILENT_S (15u * 60)  // who was silent for longer is named after all fresher ones
#define REFRESH_AFTER_S (15u * 60) // a bucket without traffic
#define REFRESH_AFTER_CLIENT_S (30u * 60) // its table serves nobody else
#define UPKEEP_SENDINGS_MAX 2u            // finds of upkeep: another server will do as well
#define REFRESH_TICK_US (60 * USEC_PER_S)
#define REFRESH_PER_TICK 4u  // finds; more than buckets come due in a minute
#define REFRESH_PINGS_MAX 1u // newcomers tried after one such find: one liar names sixteen others

// ---- joining --------------------------------------------------------------------------------------
#define BOOTSTRAPS_MAX 16u
#define BOOTSTRAP_AT_ONCE 3u // are asked, then as many others: everybody who joins asks them
#define BOOTSTRAP_RETRY_MIN_US (200 * USEC_PER_MS) // PROTOCOL 3
#define BOOTSTRAP_RETRY_MAX_US (30 * USEC_PER_S)
#define CACHE_MAX 64u                           // PROTOCOL 8: contacts of an earlier run
#define IMPORT_AT_ONCE 3u                       // of them are asked, then as many others
#define CENTRE_RETRY_MIN_US (500 * USEC_PER_MS) // looks round the own centre, doubling: who joined
#define CENTRE_RETRY_MAX_US (3600 * USEC_PER_S) // in the same second is found by the second one
#define CENTRE_WIDE_FOR_US (15 * USEC_PER_S) // from joining on they ask for 10 contacts, then for 4
#define CENTRE_NEIGHBOURS 3u // one of so many is asked, so that no one neighbour hides the others
#define RANDOM_POOR_LOOKS 4u // up to this one also where few are known: many come together
#define RANDOM_FIRST_LOOK 7u // beside such a look a random target is looked up: after half a minute
#define RANDOM_SECOND_LOOK 9u // and two minutes. It brings far contacts and estimates of the size
#define FILL_FAST_US (200 * USEC_PER_MS) // the first steps of filling: who joins may seek soon
#define FILL_FAST_STEPS 12u
#define FILL_US (5 * USEC_PER_S)  // then slowly: half of 12 buckets are full in some minutes
#define FILL_STEPS_MAX 200u       // 16 buckets and as many failures
#define FAMILY_FAILURES_MAX 4u    // until an address family that never worked is left alone
#define VERIFY_MAX 32u            // newcomers that are pinged at the same time,
#define VERIFY_UNPROVEN_PER_S 64u // of forged addresses in a second: two key exchanges each
#define VERIFY_UNPROVEN_MAX 24u   // of which so many at most may be forged source addresses
#define SEEN_VOTES 8u             // servers whose word on our address is remembered
#define SEEN_AGREE 2u             // PROTOCOL 3
// What translates our addresses, by what servers of different coarse prefixes see at about the same time.
#define REACH_SIGHTINGS 8u // remembered of each family
#define REACH_OBSERVERS 5u // two of them may lie
#define REACH_ASKED                                                                                \
    REACH_SIGHTINGS // when we ask: so many ports show a step among those of two liars
// Only what was seen within it is compared: a mapping that nothing keeps open is another one after 30 s, at some
// routers.
#define REACH_TOGETHER_US (20 * USEC_PER_S)
#define REACH_SETTLE_US (2 * USEC_PER_S) // before fewer observers do, where no more are known
#define REACH_ASK_US (250 * USEC_PER_MS) // between two pings
#define REACH_ASKS 12u                   // at most, of one family at a time
#define REACH_AGAIN_US (3600 * USEC_PER_S)
#define REACH_UNKNOWN_US (60 * USEC_PER_S) // there was nobody to ask, or only one
#define REACH_KEPT_US (2 * REACH_AGAIN_US)
#define REACH_RESTART_S 60u // between two times that it begins anew by servers' word
#define REACH_STEP_MAX                                                                             \
    64u // between two ports that follow each other: random ones are thousands apart
#define REACH_RUN_MIN 4u   // ports that make a step
#define LOCAL_PATHS_MAX 8u // of our own interfaces

// ---- dial-back ------------------------------------------------------------------------------------
#define DIAL_BACKS 3u // PROTOCOL 3
#define DIAL_ASKS 3u  // servers asked for one at a time
#define DIAL_CONTACTED_MAX                                                                         \
    256u                   // addresses; a NAT forgets them in minutes, a candidate sends slower
#define DIAL_KNOWN_MAX 16u // servers heard of and not contacted
#define DIAL_HOLD_US (2 * USEC_PER_S) // a candidate's look-ups of its own wait so long for it
#define DIAL_RETRY_MIN_US (500 * USEC_PER_MS)
#define DIAL_RETRY_MAX_US (900 * USEC_PER_S)
#define DIAL_SILENCE_US (1800 * USEC_PER_S) // a server of which nobody asks anything doubts itself,
#define DIAL_SILENCE_CONTACTS 8u            // if there are that many who could
#define DIAL_PER_S 32u // done for others, in all: 8 kB/s while a young network is dialled by few
#define DIAL_PREFIX_PER_S 2u // and for one source

// ---- look-ups -------------------------------------------------------------------------------------
#define LOOKUPS_MAX 272u           // one a place, and upkeep
#define LOOKUP_PATHS 4u            // disjoint; DESIGN 5
#define LOOKUP_PATH_CANDIDATES 16u // of one path outside the region: a bucket's worth
#define LOOKUP_REST_CANDIDATES 64u // beyond the region on no path, and for upkeep
#define LOOKUP_FINE_MAX 2u         // PROTOCOL 3: of a path's or such candidates, or a region's
#define LOOKUP_COARSE_MAX 3u
#define LOOKUP_COARSE_INSIDE_MAX 6u // twice what may be in: the nearest may not exist
#define LOOKUP_PATH_NEAR 3u // a path that has asked so many without getting nearer is at its end
#define LOOKUP_PATH_ARRIVALS 2u // its servers that must name the region: one may lie
#define LOOKUP_PATH_ALPHA 2u    // in flight on each and not late: it takes two to end one
#define LOOKUP_ELSEWHERE 4u     // servers of the table that a path begins at, if not at the nearest
#define LOOKUP_THIN 8u          // in a region where 20 are expected fewer are in one of a thousand
#define LOOKUP_ANEW_MAX 4u // so often other paths are begun then; each time two of three succeed
#define LOOKUP_NEAR 16u    // an upkeep look-up ends with so many nearest; a size sample
#define LOOKUP_CANDIDATES_MAX 384u // of all paths, a crowded region, and who has failed
#define LOOKUP_ALPHA 4u            // of upkeep in flight and not yet slow
#define LOOKUP_ALPHA_REGION 24u    // in a region: all of a usual one at once
#define LOOKUP_FULL_ASKED 4u  // of a region are asked for the place itself first: it may be full
#define LOOKUP_WHOLE_SHARE 4u // then every fourth; the others for spots all over the region
// So many have to say so, and more than 3 of 4 that were asked for the place itself: with one liar in five
// two of the first three would lie about one place in ten.
#define LOOKUP_FULL_SAY 3u
#define LOOKUP_FULL_MOST 3u
#define LOOKUP_FULL_OF 4u
#define LOOKUP_BLUR_BITS 4u   // named beyond the common prefix with the server that is asked
#define LOOKUP_ASKED_MAX 192u // in all: a full region and the way there; liars don't keep it going
#define LOOKUP_UPKEEP_ASKED_MAX 64u
#define LOOKUP_PATIENCE                                                                            \
    2u // of the time that it took until only slow ones were left: half as much again
#define LOOKUP_STATS 8u         // results kept for the simulator
#define FIND_CONTACTS_TOKEN 16u // of each family, with a token
#define FIND_CONTACTS_BARE 10u  // without one; 704 bytes hold them

// ---- the region of a place (PROTOCOL 3) -----------------------------------------------------------
#define REGION_EXPECTED 20u // servers within its radius, by the size estimate
#define REGION_LIVE 16u     // it is extended until it holds so many
#define REGION_COARSE 8u    // of so many coarse prefixes, where the network has them
#define REGION_NEAREST 8u   // fewer than that are no choice: slow ones are waited for
#define REGION_FAMILY 8u    // of each address family that works
#define ANSWER_FINE_MAX 2u  // PROTOCOL 3: of one find's answer
#define ANSWER_COARSE_MAX 3u
#define REGION_FINE_MAX 1u // of one fine prefix
#define REGION_COARSE_MAX 3u
#define REGION_PREFIXES 128u   // by rank, where more crowd in
#define REGION_CANDIDATES 256u // remembered inside its radius, by rank
#define REGION_ROUNDS 3u // from whom a look-up found on the way to whom those named, and so on

// ---- the size estimate ----------------------------------------------------------------------------
#define SIZE_SAMPLES 32u // DESIGN 5
#define SIZE_SAMPLES_SETTLED                                                                       \
    8u // from then on, and from an hour on, it grows slowly; until then one is off
// by a quarter, or a liar's: 20 live ones make a region
#define SIZE_SAMPLES_YOUNG 8u // before that the newest count
#define SIZE_LEAST_PART                                                                            \
    2u // a region of 40, not of hundreds, where the network has grown since a sample
#define SIZE_PARTS 1024u // of a server: small steps of growth add up
#define SIZE_DOUBLING_US (3600 * USEC_PER_S)
#define SIZE_ZONE 16u // servers that share the bits of a place which nodes on the way are told

// ---- places ---------------------------------------------------------------------------------------
#define PLACES_MAX                                                                                 \
    256u // 16 encounters with 4 topics each, in two epochs, hot ones at several depths
#define HOLDERS_MAX 160u // a crowded region, and who held the record before it moved
#define HOLDERS_MIN 8u   // room for so many at first
#define HOLDER_FAILURES_MAX 2u
#define RELOOK_MIN_US (1 * USEC_PER_S) // while there are fewer holders than a region has
#define RELOOK_MAX_US (60 * USEC_PER_S)
#define RELOOK_ASKS 4u // members of a standing place that are asked for newcomers
#define RELOOK_FULL_US (300 * USEC_PER_S)  // while there are enough
#define PLACE_REST_US (10 * USEC_PER_S)    // from a look-up's end: by then introducers are chosen
#define RELOOK_LOSS_US (200 * USEC_PER_MS) // a holder does not answer; doubles up to RELOOK_MAX_US
#define TTL_S_MIN 10u
#define TTL_S_MAX 900u // PROTOCOL 5

// ---- introductions, our side ----------------------------------------------------------------------
#define ATTENDS_MAX 256u // 64 places with 3 introducers each, and those on their way out
#define INTROS_MAX 64u   // offers in flight: one a topic
#define PUSH_AHEAD 8u    // ids i .. i+7 are open
#define PUSH_BEHIND 4u   // and the last few that were overtaken
#define PUSHES_PER_S 64u // of one series that are opened: twice what an honest introducer passes on
#define ATTEND_RENEW_CLIENT_MIN_US (20 * USEC_PER_S) // keeps a NAT's mapping open
#define ATTEND_RENEW_CLIENT_MAX_US (25 * USEC_PER_S)
#define ATTEND_RENEW_FINDS                                                                         \
    24u // finds of a client after which it renews at once: some routers keep 80 flows a host
#define ATTEND_RENEW_SERVER_US (60 * USEC_PER_S)
#define ATTEND_TTL_S 120u // survives one lost renewal of a server
#define ATTEND_FAILURES_MAX 2u
#define ATTEND_RETRY_US (1 * USEC_PER_S)
#define ATTEND_ANSWERS_MAX 32u // of one attend on their way: an introducer that never acknowledges
#define EVENTS_MAX 4096u       // a driver drains them after each call

// ---- the server's side ----------------------------------------------------------------------------
#define UNPROVEN_ANSWER_FACTOR                                                                     \
    1u // PROTOCOL 2: no more bytes to an address without a token than came
#define TOKEN_PERIOD_US (60 * USEC_PER_S)
#define KEYCACHE_SHARES 4u // a coarse prefix may use one of them
#define KEYCACHE_WAYS 2u
#define KEYCACHE_SETS_MIN 4u   // 8 entries, 576 bytes
#define KEYCACHE_SETS_MAX 512u // 1,024 entries, 72 KB
#define REPLAY_MAX 16384u      // requests a minute that are remembered, half for changes of state
#define REPLAY_PARTS 16u       // of all sources; each fills at most an eighth of that memory
#define REPLAY_PART_MAX (REPLAY_MAX / 8)
#define RATE_ENTRIES_MIN 8u    // prefixes whose rate is counted, at first
#define RATE_ENTRIES_MAX 4096u // 160 KB
#define RATE_PARTS 12u         // of the fine prefixes in a coarse one
#define RATE_PART_FREE_PER_S                                                                       \
    8u // requests that each part has left when its prefix has used up its rate
// Requests of one coarse prefix with a token, and as many without: half a core would be 5,000.
#define RATE_PREFIX_PER_S 500u
#define RATE_NODE_PER_S 2000u   // of one address and port where prefixes do not count
#define RATE_TOTAL_PER_S 10000u // of all
// Once this part of a rate is used a prefix above its fair share is refused; of what is left the same part
// is for fair shares and tokens only.
#define RATE_BUSY 2u
#define RATE_UNPROVEN_PER_S 6000u // of those without a token, which may be forged
#define DH_PER_S 4000u            // X25519, a fifth of a core
#define DH_UNPROVEN_PER_S 3000u   // of those for requests without a token
#define LIGHT_PER_S                                                                                \
    20000u // token answers without DH: 4 % of a core, 1.3 MB/s, never more than came
// First datagrams a second from which on none of them gets a key exchange (6 % of a core: a server that gets
// less than that would spend all on exchanges, and never see how many come), and for how long so many at
// once: what a conversation shares the socket with waits behind 250 of them, 8 ms.
#define GATE_FLOOD_PER_S 2000u
#define GATE_FLOOD_US (USEC_PER_S / 8)
#define GATE_CALM_US USEC_PER_S // so long after it was one last: a busy computer makes pauses
#define GATE_ANSWERS_US (USEC_PER_S / 4) // as much of a second's token answers at once,
#define GATE_SHARE_FREE 4u               // of which the last quarter is for stamps
#define GATE_STAMPED_PER_S 4000u         // more make stamps heavier
// A stamp's zero bits: 0.16 ms of a core are as many forged datagrams as cost the forger 10 us without one;
// more than 14 nobody makes on his third sending.
#define GATE_BITS_MIN 10u
#define GATE_BITS_MAX 14u
#define GATE_RAISE_US (250 * USEC_PER_MS)
#define GATE_DECAY_US (5 * USEC_PER_S)
// 128 KB: by the end of a minute one fresh stamp in five is taken for a used one, at 4,000 a second.
#define GATE_SPENT_BITS (1u << 20)
#define GATE_SPENT_US (60 * USEC_PER_S)
#define WORK_PER_S 128u // Argon2id checks of announcements: 2 % of a core
#define WORK_PARTS 16u  // of all sources; each
#define WORK_PART_PER_S 32u
#define WORK_WRONG                                                                                 \
    7u // a wrong proof counts eight: to pass the cheap test costs a fiftieth of a proof
#define STORE_PLACE_RECORDS_MAX 256u // PROTOCOL 5
#define STORE_PLACE_FULL 192u
#define STORE_FULL_PER_S 32u         // announces
#define STORE_HEAT_PARTS 8u          // of all sources; each counts at most
#define STORE_HEAT_OUTLIER 4u        // times what most of them do
#define STORE_PLACE_STONES_MAX 256u  // tombstones
#define STORE_STONES_MAX 8192u       // in all: 200 KB
#define STORE_SOURCE_STONES_MAX 512u // of one source
#define STORE_STONE_S 120u           // an announce that was overtaken is good while its token is
#define STORE_SOURCE_SHARE 8u        // a source may fill an eighth of the store
#define STORE_SAMPLE_FULL 2u         // records of a sample where the place is full: one datagram
#define STORE_SAMPLE_BUSY_PER_S 8u // or more come in a second; from half of that on, twice as many
#define STORE_SAMPLE_PER_S 16u     // records handed out to announcers while more than that come
#define STORE_RECORD_COST 640u     // what a record counts: its bytes, its slot, its place
// Work wanted for a new record, by how full its place is: none up to three quarters, then doubling.
#define STORE_EFFORT_FROM 144u // records; three quarters of full
#define STORE_EFFORT_STEP 8u   // records a doubling
#define STORE_EFFORT_MIN 16u   // 2.5 ms of one core; 1,024 where the place is full
#define STORE_EFFORT_FULL 1024u
#define STORE_SWEEP_US (1 * USEC_PER_S)
#define STORE_SWEEP_SHARE 32u // of the places are looked through in one sweep
#define STORE_LOOK_MAX                                                                             \
    1024u // records compared when the store is full: 50 us, however many there are
#define STORE_BYTES_DEFAULT (64u << 20) // PROTOCOL 5
#define INTRO_HANDLES_MAX 4096u         // 1 MiB at 256 bytes
#define INTRO_LINKS_MAX 2048u           // 512 KiB at 256 bytes
#define INTRO_HANDLES_PREFIX_MAX 256u   // of one coarse prefix
#define INTRO_LINKS_PREFIX_MAX 256u
#define INTRO_PUSHES_PER_S 32u       // to one handle: its owner has at most 16 offers half open
#define INTRO_PUSHES_SOURCE_PER_S 8u // of those from one source's links
#define INTRO_LINK_US (10 * USEC_PER_S)
#define INTRO_SWEEP_US (10 * USEC_PER_S)
#define INTRO_ROUND_TRIPS 64u
#define INTRO_DECOY_MIN_US (20 * USEC_PER_MS) // before there is experience
#define INTRO_DECOY_MAX_US (60 * USEC_PER_MS)

#endif
