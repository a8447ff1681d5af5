// The defences of dht/ taken away, for build/weak: there each attack of tests/sim/attack_*.c has to
// succeed. Read at the end of dht/limits.h; never a part of the product.
#ifndef BAUTA_TEST_WEAK_H
#define BAUTA_TEST_WEAK_H

#undef TABLE_BUCKET_FINE_MAX
#undef TABLE_BUCKET_COARSE_MAX
#undef TABLE_FINE_MAX
#undef TABLE_COARSE_MAX
#undef RESULT_FINE_MAX
#undef UNPROVEN_ANSWER_FACTOR
#undef RESULT_COARSE_MAX
#define TABLE_BUCKET_FINE_MAX UINT32_MAX
#define TABLE_BUCKET_COARSE_MAX UINT32_MAX
#define TABLE_FINE_MAX UINT32_MAX
#define TABLE_COARSE_MAX UINT32_MAX
#define UNPROVEN_ANSWER_FACTOR 64u
#define RESULT_FINE_MAX UINT32_MAX
#define RESULT_COARSE_MAX UINT32_MAX

#endif
