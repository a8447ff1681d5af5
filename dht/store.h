// Records held for others, by place (PROTOCOL 5): owner's locks, tombstones, samples.
#ifndef BAUTA_DHT_STORE_H
#define BAUTA_DHT_STORE_H

#include "crypto/record.h"
#include "dht/dht.h"
#include "dht/limits.h"
#include "dht/map.h"

struct store_record {
    struct store_record *next; // of the place, in the order of their coming
    usec_t expires;
    uint64_t source; // whose coarse prefix (or node) put it here
    uint32_t handed; // how often it was in a sample
    uint32_t effort;
    uint32_t version;
    uint8_t record[RECORD_BYTES]; // begins with rec_id
};
struct store_stone {
    struct store_stone *next;
    usec_t expires;
    uint8_t rec_id[RECORD_ID_BYTES];
};
struct store_place {
    struct map_node node; // first
    uint8_t place[32];
    struct store_record *records;
    struct store_stone *stones;
    uint16_t live, buried;
    uint16_t arrivals, arrivals_before; // announces in this second, and in the one before
    usec_t second;
};
struct store {
    struct arena *arena;
    const struct rng *rng;
    struct map places;
    size_t bytes, bytes_max;
    uint32_t records;
    uint32_t sweep_at;
    uint8_t hash_key[16];
    uint8_t centre[32]; // the own id, to know which places are far
};

struct store_sample {
    uint16_t live; // records at the place
    uint8_t hint;  // of depth; 0 unless the place is full
    unsigned n;
    const uint8_t *record[DHT_SAMPLE_RECORDS_MAX]; // valid until the store changes
};
struct store_announce {
    const uint8_t *place, *record; // the rec_id is known to be the announcer's own
    uint64_t source;
    uint32_t version, effort;
    uint16_t ttl_s;
};

void store_init(struct store *, struct arena *, const struct rng *, size_t bytes_max);
void store_end(struct store *);
// 0: stored, replaced, renewed, or overtaken by a newer version. BAUTA_ESTATE: withdrawn before.
// BAUTA_ELIMIT: no room.
int store_announce(struct store *, usec_t now, const struct store_announce *);
// 0: a tombstone stands where it was. BAUTA_EUNKNOWN: not here; with `bury` a tombstone is
// left all the same, so that an announce that was overtaken finds it.
int store_withdraw(struct store *, usec_t now, const uint8_t place[static 32],
                   const uint8_t rec_id[static RECORD_ID_BYTES], bool bury);
// 4 least often handed out, 4 random, by prefix first; never the record `except`.
void store_sample(struct store *, usec_t now, const uint8_t place[static 32],
                  const uint8_t except[static RECORD_ID_BYTES], struct store_sample *);
// Looks through a part of the places for what has expired. True while there is anything left.
bool store_sweep(struct store *, usec_t now);

#endif
