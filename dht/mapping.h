// What kind of address translation is before us, from what others see of us. Knows no servers: an observer is a
// number, one for each group whose members may be the same person.
#ifndef BAUTA_DHT_MAPPING_H
#define BAUTA_DHT_MAPPING_H

#include "dht/dht.h"
#include "dht/limits.h"

struct sighting {
    uint32_t observer; // 0: none
    uint32_t order;    // of the first datagram to it, among all of ours
    uint32_t at_ms;
    uint16_t port;
    uint8_t ip[16];
};
struct mapping {
    struct sighting sighting[REACH_SIGHTINGS];
    usec_t told_at; // when `told` was true last
    struct dht_reach told;
};
// One more observation. The newest of an observer counts; once there are enough, more of them wait until a place is
// free: flows that were opened together tell most, and whoever comes later pushes nobody out.
void mapping_saw(struct mapping *, usec_t now, uint32_t observer, uint32_t order,
                 const struct path *seen);
// How many observers there are of the last REACH_TOGETHER_US; is this one among them?
unsigned mapping_observers(const struct mapping *, usec_t now);
bool mapping_has(const struct mapping *, usec_t now, uint32_t observer);
// What they say, if there are `need` of them, in `told`: UNKNOWN, INDEPENDENT or DEPENDENT, since which addresses
// are our own is the caller's to know. local_port: that our socket is bound to, 0 where it is not known. False:
// there are too few, and `told` stays as it is.
bool mapping_judge(struct mapping *, usec_t now, uint8_t family, unsigned need,
                   uint16_t local_port);

#endif
