// The record book: every record that some node of this process holds for others, once, however many of
// its nodes hold it. Holders keep 4-byte references. Found by content; never order or hash by reference.
#ifndef BAUTA_DHT_RECORD_BOOK_H
#define BAUTA_DHT_RECORD_BOOK_H

#include "dht/dht.h"

typedef uint32_t record_ref; // 0: none

// Takes a seed for hashing from the first node's randomness.
void record_book_seed(struct record_book *, const struct rng *);
// A counted reference to these very bytes; 0 when the book or its arena is full.
record_ref record_book_hold(struct record_book *, const uint8_t record[static RECORD_BYTES]);
void record_book_drop(struct record_book *, record_ref); // 0 is fine; the last one wipes
// Valid until it is dropped.
const uint8_t *record_book_at(const struct record_book *, record_ref);
uint32_t record_book_count(const struct record_book *); // different records

#endif
