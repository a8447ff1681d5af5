// The defences of node/meet/ taken away, for build/weak; as tests/weak/dht/limits.h.
#ifndef BAUTA_TEST_WEAK_MEET_LIMITS_H
#define BAUTA_TEST_WEAK_MEET_LIMITS_H

#include "../../../../node/meet/limits.h"

// Who finds nobody believes the first look-up.
#undef SEARCH_ELSEWHERE_MIN_US
#define SEARCH_ELSEWHERE_MIN_US SEARCH_ELSEWHERE_MAX_US

// Who was sent deeper into a topic stays there.
#undef BRANCH_CLIMBS_MAX
#define BRANCH_CLIMBS_MAX 0u
#undef BRANCH_ASK_MIN_US
#define BRANCH_ASK_MIN_US (3600 * USEC_PER_S)
#undef BRANCH_ASK_MAX_US
#define BRANCH_ASK_MAX_US (3600 * USEC_PER_S)

// One offer at a time, to whoever has the lowest weight; who was silent is as good as anybody, and who
// offers is no better.
#undef PAIRING_QUIET_US
#define PAIRING_QUIET_US (10 * USEC_PER_S)
#undef PAIRING_QUIET_HALVINGS_MAX
#define PAIRING_QUIET_HALVINGS_MAX 1u
#undef PAIRING_TRUST_MAX
#define PAIRING_TRUST_MAX 0
#undef DOUBTS_MAX
#define DOUBTS_MAX 1u

// No offer ever needs a proof.
#undef LOAD_BURST
#define LOAD_BURST 1000000u

#endif
