// Open answer and push ids: open addressing, looked up for each datagram that comes in. The ids are
// outputs of keyed hashes that only the two ends know, so they are their own hash.
#ifndef BAUTA_DHT_IDS_H
#define BAUTA_DHT_IDS_H

#include "dht/arena.h"

enum id_kind { ID_NONE = 0, ID_ANSWER, ID_PUSH };

struct id_entry {
    uint64_t id;
    void *owner;  // struct call or struct series
    uint32_t i;   // of the answer's datagram, or of the push
    uint8_t kind; // enum id_kind
    uint8_t sub;  // which sending
};
struct ids {
    struct arena *arena;
    struct id_entry *entry;
    uint32_t n, cap;
};

void ids_init(struct ids *, struct arena *);
void ids_end(struct ids *);
// 0, BAUTA_ESPACE, BAUTA_ELIMIT.
int ids_open(struct ids *, uint64_t id, enum id_kind kind, void *owner, uint8_t sub, uint32_t i);
void ids_close(struct ids *, uint64_t id);
const struct id_entry *ids_find(const struct ids *, uint64_t id);
uint64_t id_of(const uint8_t bytes[static 8]);

#endif
