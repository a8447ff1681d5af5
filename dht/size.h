// How many servers there are, by the density round targets that nobody else can choose (DESIGN 5):
// look-ups of own random targets only, never of a place that is being stored or read.
#ifndef BAUTA_DHT_SIZE_H
#define BAUTA_DHT_SIZE_H

#include "dht/limits.h"

struct size {
    uint32_t sample[SIZE_SAMPLES]; // in a ring
    uint64_t value;                // the estimate, in parts of a server
    usec_t value_at, first_at;     // since when it is that; the first sample
    uint8_t n, next;
};

// One look-up: the leading 64 bits of the distances of the k nearest servers that answered, nearest
// first, k up to LOOKUP_NEAR. `all`: there are no others, so k itself is the number. k = 0 says nothing.
void size_sample(struct size *, usec_t now, const uint64_t *distance, size_t k, bool all);
// Number of servers, at least 1; 0 before the first sample.
uint64_t size_estimate(const struct size *);
// What most of the newest samples say at least, up to the estimate: a region of that size is not too
// small, whatever one sample says.
uint64_t size_least(const struct size *);
// Has it stood long enough on enough samples?
bool size_settled(const struct size *, usec_t now);
// What the nearest say alone, as one sample.
uint64_t size_of_nearest(const uint64_t *distance, size_t k);
// The radius in which `servers` of n are expected, as leading 64 bits of a distance; UINT64_MAX: everywhere.
uint64_t size_radius(uint64_t n, uint64_t servers);
// floor(log2(n / servers)), 0 where n is smaller: `servers` have so many leading bits in common.
unsigned size_bits(uint64_t n, uint64_t servers);

#endif
