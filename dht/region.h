// The candidates of a look-up, and which of them are the region of a place (PROTOCOL 3, DESIGN 5): the
// same for who stores and who reads, whatever somebody packs round the place.
#ifndef BAUTA_DHT_REGION_H
#define BAUTA_DHT_REGION_H

#include "dht/book.h"
#include "dht/limits.h"

enum candidate_state { CAND_NEW, CAND_ASKED, CAND_SLOW, CAND_ANSWERED, CAND_FAILED };
struct candidate {
    uint64_t distance;     // leading bits
    uint64_t fine, coarse; // prefixes; of the node itself where prefixes do not count
    uint64_t rank;         // of its prefix at this place; 0: not computed yet
    book_ref ref;          // counted by the look-up
    uint8_t state;
    uint8_t family; // 0, 1
    uint8_t hop;    // who named it stood one nearer to the start
    uint8_t path;   // outside the region: whose path it is on
    uint8_t round;  // inside: how often members named members until it was heard of
    bool inside;    // the radius
    bool member;
    bool whole;   // was asked for the whole place
    bool told;    // the place knows it
    bool arrived; // has named somebody inside
    bool late;    // silent for longer than most of its answers take, but not yet slow
    bool known;   // a member since an earlier look-up, not asked again
    bool listed;  // it says that everybody may know it
};

struct region {
    uint16_t want;    // live ones that there are at least
    uint64_t radius;  // leading bits of the distance that it has at least; 0: not known
    uint8_t families; // bits: those that work
    // Of the last selection:
    uint16_t members;        // all of them
    uint16_t open;           // not asked, or asked and not slow
    uint16_t answered, slow; // slow: asked, and silent for longer than is usual
    uint64_t edge;           // distance of the farthest
};

// Distance, prefixes and `inside` of a contact; its state is new.
void region_candidate(const struct region *, struct candidate *, const struct book_entry *,
                      const uint8_t target[static 32], bool prefix_limits);
uint64_t region_distance(const uint8_t a[static 32], const uint8_t b[static 32]); // leading bits
uint64_t region_rank(const uint8_t target[static 32], uint64_t fine);             // never 0
// Marks the members among n candidates, nearest first. Within the radius: one of a fine prefix, three of a
// coarse one; where more than REGION_PREFIXES crowd in, those of lowest rank. With `extend` also the
// next nearest beyond it, until `want` that are not slow, of REGION_COARSE coarse prefixes and REGION_FAMILY
// of each family, are in.
void region_select(struct region *, const uint8_t target[static 32], struct candidate *, size_t n,
                   bool extend);

#endif
