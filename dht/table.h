// The routing table of one address family: k-buckets by the prefix shared with a centre. Only servers
// that answered a request of ours get in; old live ones stay; only unresponsive ones are evicted, and
// public ones, which everybody who starts knows and asks anyhow, give way to others in a full bucket.
#ifndef BAUTA_DHT_TABLE_H
#define BAUTA_DHT_TABLE_H

#include "dht/book.h"
#include "dht/limits.h"

#include <assert.h>

// What scans need stands here, so that they hardly ever touch the book: 16 bytes. Tags are keyed hashes
// and only filters: who has the same is looked at.
struct table_slot {
    book_ref ref;
    uint32_t head : 24, key : 8;      // bits of the id behind those that its bucket implies
    uint32_t seen_s : 24, coarse : 8; // when it last answered, modulo 194 days
    uint32_t rtt : 20, failures : 3, public : 1,
        fine : 8; // packed rtt_value, 0: none; unanswered in a
                  // row; everybody may know it
};
static_assert(sizeof(struct table_slot) == 16, "a table of 270 contacts takes 4.3 KB");
struct table_row {           // one bucket
    struct table_slot *slot; // cap slots
    book_ref *spare;         // TABLE_SPARES, newest first; taken when the first one comes
    uint32_t traffic_s;      // when somebody in it answered, or it was refreshed
    uint8_t n, cap, spares;
};
struct table {
    struct arena *arena;
    struct contact_book *book;
    const uint8_t *hash_key; // 16 bytes, the node's own: collisions of tags can't be aimed for
    struct table_row *row;   // as many as there are buckets in use
    uint8_t centre[32];
    uint32_t live; // with fewer than TABLE_DEAD_FAILURES failures
    uint8_t rows;
    bool prefix_limits;
};

enum table_result { TABLE_KNOWN, TABLE_ADDED, TABLE_SPARE, TABLE_REFUSED };

void table_init(struct table *, struct arena *, struct contact_book *, bool prefix_limits,
                const uint8_t *hash_key, const uint8_t centre[static 32]);
void table_end(struct table *);
// Moves everybody to where they belong around another centre.
void table_recentre(struct table *, const uint8_t centre[static 32]);
// It answered us. *check: somebody who should be pinged since this one waits for a slot, or 0.
enum table_result table_answered(struct table *, book_ref, uint32_t now_s, book_ref *check);
// It did not, at this address: what somebody claims to be another address of it proves nothing. True if
// it should be asked once more soon: the first failure of a live contact.
bool table_failed(struct table *, const uint8_t pk[static 32], const struct path *);
// What it says of itself: that everybody may know it. Nothing where it has no slot.
void table_public_set(struct table *, book_ref, bool is_public);
bool table_public(const struct table *, book_ref);
// A spare that is not public takes the slot of a public one, if its bucket has one, but no more than
// TABLE_PUBLIC_FEW. True: it has a slot now.
bool table_relieve(struct table *, book_ref, uint32_t now_s);
// Would this newcomer get a slot, or replace somebody unresponsive or public, if it answered?
bool table_wants(const struct table *, const uint8_t id[static 32], const struct path *);
bool table_has(const struct table *, book_ref); // this very contact, live
unsigned table_depth(const struct table *);     // buckets up to the deepest with anybody in it
unsigned table_bucket_size(const struct table *, unsigned bucket);
unsigned table_bucket_live(const struct table *, unsigned bucket); // how many live ones
// Who in that bucket was silent longest; 0: empty. Not counted.
book_ref table_oldest(const struct table *, unsigned bucket);
// Since somebody in the bucket answered, or table_touch.
uint32_t table_quiet_s(const struct table *, unsigned bucket, uint32_t now_s);
void table_touch(struct table *, unsigned bucket, uint32_t at_s);
// The packed round trip time kept for this very contact; false when it has no slot.
bool table_rtt(const struct table *, book_ref, uint32_t *rtt);
void table_rtt_set(struct table *, book_ref, uint32_t rtt);
// Up to max (at most TABLE_NEAREST_MAX) live ones nearest to the target, nearest first. References are not counted.
size_t table_nearest(const struct table *, const uint8_t target[static 32], book_ref *out,
                     size_t max);
// The same, who may be gone last: whose last request failed, or who was silent for TABLE_SILENT_S.
size_t table_nearest_sure(const struct table *, const uint8_t target[static 32], uint32_t now_s,
                          book_ref *out, size_t max);
// All live ones, in the order of buckets and slots.
size_t table_list(const struct table *, book_ref *out, size_t max);

unsigned id_common_bits(const uint8_t a[static 32], const uint8_t b[static 32]); // 0..256
// Is a nearer to the target than b?
bool id_nearer(const uint8_t a[static 32], const uint8_t b[static 32],
               const uint8_t target[static 32]);

// Counts prefixes in a set as it grows (bucket, table, result set, holders).
bool prefix_room(const struct contact_book *, const book_ref *set, size_t n, const struct path *,
                 unsigned fine_max, unsigned coarse_max);

#endif
