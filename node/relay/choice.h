// What a client knows of relays, and which one it takes: uniformly over coarse prefixes, then by what they say
// they can carry, bounded by their median (PROTOCOL 8). So somebody with a thousand relays on few prefixes is
// chosen as often as others with one on each, and who claims much wins only from those on his own prefix.
#ifndef BAUTA_NODE_RELAY_CHOICE_H
#define BAUTA_NODE_RELAY_CHOICE_H

#include "node/relay/offer.h"

struct relay_bad { // did not answer, or broke its word
    uint8_t pk[KEY_BYTES];
    uint8_t failures;
    usec_t until;
};
struct relay_pool {
    bool prefix_limits; // false: nodes count instead of prefixes (--lab)
    unsigned offers, bads;
    struct relay_offer offer[RELAY_POOL_MAX]; // verified; the server's key of each is different
    struct relay_bad bad[RELAY_BAD_MAX];
};
// Clocks of one call: monotonic, and unix seconds.
struct relay_time {
    usec_t now;
    uint64_t unix_s;
};

#define RELAY_WISH_V4 1u
#define RELAY_WISH_V6 2u
struct relay_wish {
    const struct path *used; // addresses whose prefixes must not come again: of relays in use,
    unsigned used_count;     // of one's own
    uint8_t families;        // RELAY_WISH_*, which we can reach; 0: all
    bool both;               // only relays with exits of both; where none is known any will do
};
struct relay_choice {
    struct relay_offer offer;
    unsigned contact; // that was chosen by; of the others each has a prefix that is not used either
};

void relay_pool_init(struct relay_pool *, bool prefix_limits);
// Is it worth verifying? Not if one of that key, issued at the same time or later, is known.
bool relay_pool_news(const struct relay_pool *, const struct relay_offer *);
// A verified one. It may find no room: a prefix has few places, and a full pool gives one of those of the most
// frequent prefix away, or none.
void relay_pool_put(struct relay_pool *, struct relay_time, const struct relay_offer *);
void relay_pool_failed(struct relay_pool *, usec_t now, const uint8_t pk[static KEY_BYTES]);
// It worked: nothing is held against it.
void relay_pool_worked(struct relay_pool *, const uint8_t pk[static KEY_BYTES]);
// How many different prefixes one could pick from.
unsigned relay_pool_prefixes(const struct relay_pool *, struct relay_time,
                             const struct relay_wish *);
// 0, BAUTA_EUNKNOWN: none.
int relay_pool_pick(const struct relay_pool *, struct relay_time, const struct rng *,
                    const struct relay_wish *, struct relay_choice *);
// When the next of the known ones expires, unix seconds; UINT64_MAX: none is known.
uint64_t relay_pool_expiry(const struct relay_pool *, uint64_t after_s);

#endif
