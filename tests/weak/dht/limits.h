// The defences of dht/ taken away, for build/weak: there each attack of tests/sim/attack_*.c has to
// succeed. That build finds this file in place of dht/limits.h; never a part of the product.
#ifndef BAUTA_TEST_WEAK_LIMITS_H
#define BAUTA_TEST_WEAK_LIMITS_H

#include "../../../dht/limits.h"

// One path, nobody begins anew, and what one answer names is tried.
#undef LOOKUP_PATHS
#define LOOKUP_PATHS 1u
#undef LOOKUP_ANEW_MAX
#define LOOKUP_ANEW_MAX 0u
#undef REFRESH_PINGS_MAX
#define REFRESH_PINGS_MAX 16u

// A region is whoever claims to be nearest, and hardly anybody else.
#undef REGION_EXPECTED
#define REGION_EXPECTED 1u
#undef REGION_LIVE
#define REGION_LIVE 2u
#undef REGION_NEAREST
#define REGION_NEAREST 1u
#undef REGION_FAMILY
#define REGION_FAMILY 1u
#undef REGION_COARSE
#define REGION_COARSE 1u
#undef REGION_PREFIXES
#define REGION_PREFIXES 2u

// Whoever says that a place is full is believed.
#undef LOOKUP_FULL_SAY
#define LOOKUP_FULL_SAY 1u
#undef LOOKUP_FULL_MOST
#define LOOKUP_FULL_MOST 0u

// Every answer is waited for, as long as the slowest may take.
#undef RPC_RTO_MIN_US
#define RPC_RTO_MIN_US (3 * USEC_PER_S)
#undef RPC_RTO_MAX_US
#define RPC_RTO_MAX_US (3 * USEC_PER_S)
#undef RPC_RTO_UNKNOWN_US
#define RPC_RTO_UNKNOWN_US (3 * USEC_PER_S)
#undef RPC_PATIENCE_UNKNOWN_US
#define RPC_PATIENCE_UNKNOWN_US (3 * USEC_PER_S)

// Prefixes do not count.
#undef LOOKUP_FINE_MAX
#define LOOKUP_FINE_MAX UINT32_MAX
#undef LOOKUP_COARSE_MAX
#define LOOKUP_COARSE_MAX UINT32_MAX
#undef LOOKUP_COARSE_INSIDE_MAX
#define LOOKUP_COARSE_INSIDE_MAX UINT32_MAX
#undef REGION_FINE_MAX
#define REGION_FINE_MAX UINT32_MAX
#undef REGION_COARSE_MAX
#define REGION_COARSE_MAX UINT32_MAX
#undef ANSWER_FINE_MAX
#define ANSWER_FINE_MAX UINT32_MAX
#undef ANSWER_COARSE_MAX
#define ANSWER_COARSE_MAX UINT32_MAX
#undef TABLE_BUCKET_FINE_MAX
#define TABLE_BUCKET_FINE_MAX UINT32_MAX
#undef TABLE_BUCKET_COARSE_MAX
#define TABLE_BUCKET_COARSE_MAX UINT32_MAX
#undef TABLE_FINE_MAX
#define TABLE_FINE_MAX UINT32_MAX
#undef TABLE_COARSE_MAX
#define TABLE_COARSE_MAX UINT32_MAX

// One rate for all, whoever they are and whatever they prove, and no budget of key exchanges.
#undef RATE_PREFIX_PER_S
#define RATE_PREFIX_PER_S RATE_TOTAL_PER_S
#undef RATE_BUSY
#define RATE_BUSY RATE_TOTAL_PER_S
#undef RATE_UNPROVEN_PER_S
#define RATE_UNPROVEN_PER_S RATE_TOTAL_PER_S
#undef DH_PER_S
#define DH_PER_S 1000000u
#undef DH_UNPROVEN_PER_S
#define DH_UNPROVEN_PER_S DH_PER_S
#undef LIGHT_PER_S
#define LIGHT_PER_S 1u
#undef GATE_FLOOD_PER_S
#define GATE_FLOOD_PER_S 1000000u

// An address that was never proven draws more than it sent.
#undef UNPROVEN_ANSWER_FACTOR
#define UNPROVEN_ANSWER_FACTOR 64u

#endif
