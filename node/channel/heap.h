// An intrusive binary heap of deadlines: the earliest is at the root, O(1) to read, O(log n) to move.
#ifndef BAUTA_NODE_CHANNEL_HEAP_H
#define BAUTA_NODE_CHANNEL_HEAP_H

#include "dht/machine.h"

struct heap_entry {
    usec_t deadline;
    uint32_t at; // position + 1; 0: not in the heap
};

struct heap {
    struct heap_entry **entry;
    uint32_t count, cap;
};

static inline void heap_put(struct heap *h, uint32_t i, struct heap_entry *e)
{
    h->entry[i] = e;
    e->at = i + 1;
}

static inline void heap_sift(struct heap *h, uint32_t i)
{
    struct heap_entry *e = h->entry[i];
    while (i > 0 && e->deadline < h->entry[(i - 1) / 2]->deadline) {
        heap_put(h, i, h->entry[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= h->count)
            break;
        if (child + 1 < h->count && h->entry[child + 1]->deadline < h->entry[child]->deadline)
            child++;
        if (h->entry[child]->deadline >= e->deadline)
            break;
        heap_put(h, i, h->entry[child]);
        i = child;
    }
    heap_put(h, i, e);
}

static inline void heap_remove(struct heap *h, struct heap_entry *e)
{
    if (e->at == 0)
        return;
    uint32_t i = e->at - 1;
    struct heap_entry *last = h->entry[--h->count];
    e->at = 0;
    if (last != e) {
        heap_put(h, i, last);
        heap_sift(h, i);
    }
}

// Adds or moves; USEC_NEVER removes. The caller keeps to `cap`.
static inline void heap_set(struct heap *h, struct heap_entry *e, usec_t deadline)
{
    if (deadline == USEC_NEVER) {
        heap_remove(h, e);
        e->deadline = USEC_NEVER;
        return;
    }
    e->deadline = deadline;
    if (e->at == 0)
        heap_put(h, h->count++, e);
    heap_sift(h, e->at - 1);
}

static inline struct heap_entry *heap_first(const struct heap *h)
{
    return h->count > 0 ? h->entry[0] : NULL;
}

#endif
