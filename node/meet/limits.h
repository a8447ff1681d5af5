// Limits and times of node/meet, with their reasons. What PROTOCOL names stands in node/meet/README.md.
#ifndef BAUTA_NODE_MEET_LIMITS_H
#define BAUTA_NODE_MEET_LIMITS_H

#include "dht/machine.h"

// ---- pairing ----------------------------------------------------------------------------------------
#define PAIRING_CANDIDATES_MAX                                                                     \
    48u                         // three samples of 8 for one topic, twice over, of several topics
#define PAIRING_HELD_MAX 8u     // offers that wait for my decision; beyond: no, not now
#define PAIRING_DEAD_MAX 256u   // records that said no for good; the oldest is forgotten first
#define PAIRING_LOOK_HOLDERS 3u // random holders asked when looking again
#define PAIRING_FEW 2u // a sample with so few usable candidates needs no jitter against a crowd

#define PAIRING_START_MIN_US (20 * USEC_PER_MS) // spreads a crowd's first offers
#define PAIRING_START_MAX_US (40 * USEC_PER_MS)
#define PAIRING_START_FEW_MAX_US (4 * USEC_PER_MS)
#define PAIRING_ANSWER_US (1500 * USEC_PER_MS) // an offer waits so long, and up to a fifth more
#define PAIRING_ANSWER_JITTER_US (300 * USEC_PER_MS)
// An offer without an answer for so long lets another go out beside it, if anybody else is known: a
// round trip through an introducer takes 0.2 s, 0.5 s at the 95th percentile. Halved for each miss up to
// two, for then there may be people who never answer.
#define PAIRING_QUIET_US (600 * USEC_PER_MS)
#define PAIRING_QUIET_HALVINGS_MAX 2u
#define PAIRING_QUIET_MAX 6u // such offers at once
// Once offers have come to nothing, who offers goes first; an acceptance that nobody confirms costs as
// much time as so many silent offers, and as many of them have to come in between.
#define PAIRING_LOOK_MISSES 4u  // after each so many: look again, though others are known
#define PAIRING_MISSES_MAX 128u // then the count goes on from half of it
#define PAIRING_TRUST_LOST 4
#define PAIRING_TRUST_MAX 4
#define DOUBTS_MAX 64u // introducers of offers that nobody answered
#define PAIRING_GARBLED_US                                                                         \
    (1000 * USEC_PER_MS)                   // before another introducer of the same record is tried
#define PAIRING_PUZZLE_US (6 * USEC_PER_S) // an offer whose puzzle is being solved waits so long
#define PAIRING_CONFIRM_US (1000 * USEC_PER_MS) // an accepted offer waits so long for its confirm
#define PAIRING_CONFIRM_AGAIN_US (500 * USEC_PER_MS) // after one that nobody confirmed
#define PAIRING_LATE_US (1000 * USEC_PER_MS)  // and a late confirm counts for so long after that
#define PAIRING_SILENT_US (500 * USEC_PER_MS) // who did not answer is left alone so long,
#define PAIRING_SILENT_DOUBLINGS_MAX 5u       // doubled for each time in a row: it may be gone
#define PAIRING_NOT_NOW_MIN_US (100 * USEC_PER_MS)
#define PAIRING_NOT_NOW_MAX_US (400 * USEC_PER_MS)
#define PAIRING_RETRACTED_MIN_US (200 * USEC_PER_MS)
#define PAIRING_RETRACTED_MAX_US (400 * USEC_PER_MS)
#define PAIRING_LOOK_US (100 * USEC_PER_MS) // doubles while nobody is there
#define PAIRING_LOOK_DOUBLINGS_MAX 5u
#define PAIRING_LOOK_BUSY_DOUBLINGS 2u // 0.4 s, for so long after anybody was seen at all:
#define PAIRING_BUSY_US (10 * USEC_PER_S)
#define PAIRING_LOOK_MOVED_DOUBLINGS 2u // after a move to another place: 0.4 s

// ---- search -----------------------------------------------------------------------------------------
// Own place, parent and a third of two epochs, an old place of each that is being left, and those
// that are left and linger.
#define SEARCH_PLACES_MAX 12u
#define SEARCH_START_SPREAD_US (3 * USEC_PER_S)   // topics of one person don't start together
#define SEARCH_LOOK_SPREAD_US (250 * USEC_PER_MS) // nor look again at the same moment
#define SEARCH_READ_AHEAD_S 900u // the next epoch's place is read from a quarter to,
#define SEARCH_READ_BEHIND_S                                                                       \
    900u // the last one's until a quarter past: clocks may be 10 minutes wrong
#define SEARCH_RENEW_SPREAD_S 300u // moves into a new epoch are spread over its first 5 minutes
#define SEARCH_TTL_S 900u          // of a record at its holders; the DHT renews
#define SEARCH_SETTLE_MAX_US                                                                       \
    (50 * USEC_PER_MS) // wait for the other introducers after the first answer
#define SEARCH_RETRY_MIN_US (200 * USEC_PER_MS) // no introducer known: ask the DHT again,
#define SEARCH_RETRY_MAX_US (5 * USEC_PER_S)    // at doubling gaps up to this
// Who finds nobody looks places up on other ways: so soon, doubling up to so late.
#define SEARCH_ELSEWHERE_MIN_US (2 * USEC_PER_S)
#define SEARCH_ELSEWHERE_MAX_US (300 * USEC_PER_S)
#define SEARCH_LINGER_US                                                                           \
    (3 * USEC_PER_S) // a place that is left is kept so long; covers lost confirms and open offers
#define SEARCH_FEW_RECORDS 2u // a place with so few needs no cover for its answers' timing
#define SEARCH_REGION_MAX 64u // servers of the region that are compared with the introducers
// Who knows so many servers avoids most of those that may be holders without having seen the region.
#define SEARCH_EARLY_CONTACTS 32u
#define SEARCH_LOOK_FULL_HOLDERS 1u // random holders of a full place asked: everybody asks them
#define SEARCH_EFFORT_GAP_US                                                                       \
    (5 * USEC_PER_S) // between two records that differ in their effort only
#define SEARCH_PROOF_MAX                                                                           \
    16384u // a proof for holders that want more is not searched: about 3 s of work
#define SEARCH_EFFORT_MAX 4096u // a record that asks for more is skipped: about a second of work

// ---- branches of a hot topic ------------------------------------------------------------------------
#define BRANCH_DEPTH_MAX 16u // PROTOCOL 5: 65,536 leaves of a hundred people
#define BRANCH_JUMP_MAX 8u   // by one hint: 8,192 arrivals in a second; more goes step by step
#define BRANCH_FEW 4u        // so few at the own place: the hint was wrong, half of the way back
#define BRANCH_SPARSE 32u    // fewer than that, and nobody acceptable among them: one up
#define BRANCH_MERGE_BELOW                                                                         \
    128u // where the parent holds fewer its children move up: no full place from that
#define BRANCH_ASK_MIN_US (3 * USEC_PER_S) // a random parent holder is asked every 5 s +- 2
#define BRANCH_ASK_MAX_US (7 * USEC_PER_S)
#define BRANCH_FULL_US                                                                             \
    (4 * USEC_PER_S) // how long a place counts as full: arrivals of a second decide
#define BRANCH_ROOM_US (2 * USEC_PER_S)    // and as one with room: a look every 0.4 s says so again
#define BRANCH_SPARSE_US (10 * USEC_PER_S) // how long a place counts as nearly empty
#define BRANCH_CLIMBS_MAX                                                                          \
    8u // moves up at once: from 16 by halves and with one mistake to the root,
#define BRANCH_CLIMB_US (5 * USEC_PER_S)     // then one in so long
#define BRANCH_BESIDE_US (500 * USEC_PER_MS) // between two places looked at beside the own one

// ---- offers -----------------------------------------------------------------------------------------
#define OFFER_IN_MAX 16u // half-open handshakes of an encounter
#define OFFER_IN_US (10 * USEC_PER_S)
#define OFFER_OUT_MAX                                                                              \
    16u // own offers: one in flight, quiet ones, and those that linger after a retract
#define STRIKES_MAX 64u // records of which an introducer's answer could not be read
#define OFFER_LINGER_US (3 * USEC_PER_S) // an answer to a retracted offer may still come
#define OFFER_SENDINGS_MAX 3u            // of one msg1
#define OFFER_RETRACTS_MAX 4u // of one offer: two at first, then one for each late accept
#define OFFER_RETRACTS_FIRST 2u
#define OFFER_RTO_MIN_US                                                                           \
    (60 * USEC_PER_MS) // two legs through the introducer, and the answer's delay
#define OFFER_RTO_MAX_US (600 * USEC_PER_MS)
#define OFFER_SEEN_MAX 4096u      // opened messages remembered by each record
#define OFFER_RATE_INTRODUCER 16u // offers a second through one introducer, and as burst
#define OFFER_RATE_SEARCH 32u     // offers a second on one topic
#define OFFER_POW_RATE 50u        // Argon2id checks a second: at most 1 % of a core
#define OFFER_POW_CLAIM_MAX                                                                        \
    4u // times the effort that is required: who claims more goes no further ahead
#define OFFER_POW_WAITING_MAX 4u // offers that wait for such a check, highest effort first
#define OFFER_ANSWER_DELAY_US (20 * USEC_PER_MS) // covers what the decision cost
#define OFFER_ANSWER_DELAY_FEW_US (4 * USEC_PER_MS)
#define CONFIRM_SENDINGS_MAX 5u                // of a confirm, until the channel is heard,
#define CONFIRM_SECOND_WAY 3u                  // from this one on by another introducer too
#define CONFIRM_GAP_MAX_US (200 * USEC_PER_MS) // all of them while the other still waits
#define CONFIRM_MARGIN_US (10 * USEC_PER_MS) // the confirm's head start before the channel's first
#define CONFIRM_HEAD_START_MAX_US                                                                  \
    (150 * USEC_PER_MS)                    // packets: a quarter of the offer's round trip, and this
#define CONFIRM_WINDOW_US (2 * USEC_PER_S) // within this

// A decline begins with a fresh public key: 20 us. Each introducer has a share, so whoever floods a person
// through one of them can't turn declines through the others into silence.
#define DECLINE_RATE_INTRODUCER 32u // a second, and as burst
#define DECLINE_RATE 200u           // of all; 0.4 % of a core
#define DECLINE_WAITING_MAX                                                                        \
    96u // the bursts of three introducers: declines on their way to their time

// ---- load: what an introduction has to prove ----------------------------------------------------------
#define LOAD_OFFERS_S                                                                              \
    16u                // offers a second that need no proof: a crowd of 1,000 sends a person five
#define LOAD_BURST 48u // and so many at once
#define LOAD_EFFORT_FIRST 16u              // 3 ms of work
#define LOAD_RAISE_FACTOR 4u               // at the next raise; so 4,096 after five of them
#define LOAD_RAISE_GAP_US (2 * USEC_PER_S) // a raise has to reach the records first
#define LOAD_DECAY_US                                                                              \
    (5 * USEC_PER_S) // a quarter less in so long: from 4,096 to nothing in 2 minutes

// ---- memory of people -------------------------------------------------------------------------------
#define BLOCK_PEOPLE_MAX 1024u // of this run; the oldest is forgotten first
#define BLOCK_ADDRESSES_MAX 1024u
// Channels to somebody that came to nothing, before he is given up with the next one: it may have been
// bad luck, and of two people alone on a topic neither would ever find anybody else.
#define FAILED_MAX 2u
// Channels, between two matches, for which one end could not search a path just then: it may for 20 s from the last
// search on, and each try takes two or three.
#define BUSY_MAX 12u
#define FAILED_PEOPLE_MAX 64u    // people of whom that is remembered
#define MET_MAX 4096u            // people met in one encounter
#define PROBED_ADDRESSES_MAX 30u // different addresses handed to channels in a minute
#define PROBED_WINDOW_US (60 * USEC_PER_S)

#endif
