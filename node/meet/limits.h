// Limits and times of node/meet, with their reasons. What PROTOCOL names stands in node/meet/README.md.
#ifndef BAUTA_NODE_MEET_LIMITS_H
#define BAUTA_NODE_MEET_LIMITS_H

#include "dht/machine.h"

// ---- pairing ----------------------------------------------------------------------------------------
#define PAIRING_CANDIDATES_MAX 48u // three samples of 8 for one topic, twice over, of several topics
#define PAIRING_HELD_MAX 8u        // offers that wait for my decision; beyond: no, not now
#define PAIRING_DEAD_MAX 256u      // records that said no for good; the oldest is forgotten first
#define PAIRING_LOOK_HOLDERS 3u    // random holders asked when looking again
#define PAIRING_FEW 2u             // a sample with so few usable candidates needs no jitter against a crowd

#define PAIRING_START_MIN_US (20 * USEC_PER_MS) // spreads a crowd's first offers
#define PAIRING_START_MAX_US (40 * USEC_PER_MS)
#define PAIRING_START_FEW_MAX_US (4 * USEC_PER_MS)
#define PAIRING_ANSWER_US (1500 * USEC_PER_MS)        // an offer waits so long, and up to a fifth more
#define PAIRING_ANSWER_JITTER_US (300 * USEC_PER_MS)
#define PAIRING_CONFIRM_US (1000 * USEC_PER_MS)       // an accepted offer waits so long for its confirm
#define PAIRING_SILENT_US (500 * USEC_PER_MS)         // who did not answer is left alone so long,
#define PAIRING_SILENT_DOUBLINGS_MAX 5u               // doubled for each time in a row: it may be gone
#define PAIRING_NOT_NOW_MIN_US (100 * USEC_PER_MS)
#define PAIRING_NOT_NOW_MAX_US (400 * USEC_PER_MS)
#define PAIRING_RETRACTED_MIN_US (200 * USEC_PER_MS)
#define PAIRING_RETRACTED_MAX_US (400 * USEC_PER_MS)
#define PAIRING_LOOK_US (100 * USEC_PER_MS)           // doubles while nobody is there
#define PAIRING_LOOK_DOUBLINGS_MAX 5u

#endif
