// The contact book: every server that some node of this process knows, once, with its computed id.
// Nodes hold 4-byte references. Found by content; never order or hash by reference.
#ifndef BAUTA_DHT_BOOK_H
#define BAUTA_DHT_BOOK_H

#include "dht/dht.h"

typedef uint32_t book_ref; // 0: none

struct book_entry {
    struct contact contact;
    uint8_t id[32];
    uint64_t net; // tag of the network that the id was computed for
    uint32_t refs;
    book_ref next; // of the same hash, or the next free one
};

// Takes a seed for hashing from the first node's randomness.
void book_seed(struct contact_book *, const struct rng *);
uint64_t book_net_tag(const struct net *);
// A counted reference to this very contact; 0 when the book is full.
book_ref book_hold(struct contact_book *, const struct net *, uint64_t net_tag,
                   const struct contact *);
#define BOOK_HOLD_MAX 32u // contacts of an answer
// The same for n <= BOOK_HOLD_MAX contacts, out[i] of c[i]. In a large process each entry is cold, so the memory of all
// is asked for before the first is looked at.
void book_hold_all(struct contact_book *, const struct net *, uint64_t net_tag,
                   const struct contact *c, size_t n, book_ref *out);
void book_fetch(const struct contact_book *, book_ref); // it will be looked at soon
book_ref book_keep(struct contact_book *, book_ref);    // one more count
void book_drop(struct contact_book *, book_ref);        // 0 is fine
const struct book_entry *book_at(const struct contact_book *, book_ref);
// Whoever is known at this address and port; NULL: nobody. Looks at all of them.
const struct book_entry *book_by_path(const struct contact_book *, uint64_t net_tag,
                                      const struct path *);
uint32_t book_count(const struct contact_book *);

#endif
