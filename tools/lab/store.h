// Packets on their way: a heap by the time of arrival, those of one time in the order in which they came.
#ifndef BAUTA_TOOLS_LAB_STORE_H
#define BAUTA_TOOLS_LAB_STORE_H

#include <stddef.h>
#include <stdint.h>

struct lab_waiting {
    uint64_t at_ns, order;
    uint32_t slot, len;
};

struct lab_store {
    struct lab_waiting *heap;
    uint8_t *bytes;   // slots of slot_bytes; the system gives memory for those that are used
    uint32_t *unused; // stack of free slots
    uint32_t count, cap;
    uint32_t slot_bytes;
    uint64_t order;
};

// 0, or -1 without memory.
int lab_store_init(struct lab_store *, uint32_t packets, uint32_t slot_bytes);
void lab_store_free(struct lab_store *);
// Copies the packet. -1 where there is no room.
int lab_store_put(struct lab_store *, uint64_t at_ns, const uint8_t *packet, uint32_t len);
// When the first one arrives; UINT64_MAX: there is none.
uint64_t lab_store_next(const struct lab_store *);
// The first one, valid until the next put. There has to be one.
const uint8_t *lab_store_take(struct lab_store *, uint32_t *len);

#endif
