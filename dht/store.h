// Records held for others, by place (PROTOCOL 5): whose they are, tombstones, samples, and what a place
// asks of who wants to announce there: nothing, work, or to look deeper. The records' bytes stand in the
// process's record book.
#ifndef BAUTA_DHT_STORE_H
#define BAUTA_DHT_STORE_H

#include "crypto/record.h"
#include "dht/limits.h"
#include "dht/map.h"
#include "dht/record_book.h"

#include <assert.h>

struct store_source {     // a coarse prefix (or a node, where prefixes do not count)
    struct map_node node; // first; its hash is the source
    uint32_t records, stones;
};
struct store_record {
    uint64_t source;
    record_ref ref;
    uint32_t tag; // first bytes of rec_id
    uint32_t expires_s;
    uint32_t version;
    uint32_t effort; // proven
    uint16_t handed; // how often it was in a sample
};
struct store_stone {
    uint64_t source;
    uint8_t rec_id[8];
    uint32_t expires_s;
};
struct store_heat { // announces in this second and in the one before, by parts of all sources
    uint16_t now[STORE_HEAT_PARTS], before[STORE_HEAT_PARTS];
};
struct store_place {
    struct map_node node; // first
    uint8_t place[32];
    struct store_record *record; // in the order of their coming
    struct store_stone *stone;
    struct store_heat *heat; // from the second arrival within two seconds on
    uint16_t live, cap, buried, stones_cap;
    uint16_t arrivals, arrivals_before;
    uint32_t second;
    uint8_t part; // of all sources: where the last arrival came from, while there is no heat
};
static_assert(sizeof(struct store_place) <= 96 && sizeof(struct store_record) <= 32,
              "a record costs its slot and its place: 128 bytes");

struct store {
    struct arena *arena;
    struct record_book *book;
    const struct rng *rng;
    struct map places, sources;
    bool counted; // sources are; a store that is too small for their shares to matter has none
    size_t bytes_max;
    uint32_t records, stones;
    uint32_t sweep_at;
    uint8_t hash_key[16];
    uint8_t centre[32]; // the own id, to know which places are far
};

struct store_view {    // of a place, for one source
    uint16_t live;     // records there
    uint16_t fill;     // records that count: of each other source no more than this one would have
    unsigned arrivals; // of a second, the livelier of the last two, outliers cut
    uint8_t hint;      // of depth; 0 unless the place is full
    uint8_t sample;    // records that an answer brings: the more come, the fewer
    uint32_t effort;   // wanted of a new record
    bool known;        // the record that was asked for is stored here: a renewal
};
struct store_sample {
    unsigned n;
    const uint8_t *record[DHT_SAMPLE_RECORDS_MAX]; // valid until the store changes
};
struct store_announce {
    const uint8_t *place, *record; // the rec_id is known to be the announcer's own
    uint64_t source;
    uint32_t version, effort; // effort: proven
    uint16_t ttl_s;
};

void store_init(struct store *, struct arena *, struct record_book *, const struct rng *,
                size_t bytes_max);
void store_end(struct store *);
// rec_id NULL: of no record.
void store_view(struct store *, usec_t now, const uint8_t place[static 32], uint64_t source,
                const uint8_t *rec_id, struct store_view *);
// Somebody came to announce here, or was told that the place is full.
void store_arrival(struct store *, usec_t now, const uint8_t place[static 32], uint64_t source);
// 0: stored, replaced, renewed, or overtaken by a newer version. BAUTA_ESTATE: withdrawn before.
// BAUTA_ELIMIT: no room that this source may take. What the view wants is the caller's to check.
int store_announce(struct store *, usec_t now, const struct store_announce *);
// 0: a tombstone stands where it was. BAUTA_EUNKNOWN: not here; with `bury` a tombstone is left all the
// same, so that an announce that was overtaken finds it.
int store_withdraw(struct store *, usec_t now, const uint8_t place[static 32],
                   const uint8_t rec_id[static RECORD_ID_BYTES], uint64_t source, bool bury);
// Up to `max`: half of them least often handed out, half random, by source first; never `except`.
void store_sample(struct store *, usec_t now, const uint8_t place[static 32],
                  const uint8_t except[static RECORD_ID_BYTES], unsigned max,
                  struct store_sample *);
// Looks through a part of the places for what has expired. True while there is anything left.
bool store_sweep(struct store *, usec_t now);
size_t store_bytes(const struct store *); // what it counts as its own, records included

#endif
