#include "tools/lab/store.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int lab_store_init(struct lab_store *s, uint32_t packets, uint32_t slot_bytes)
{
    *s = (struct lab_store){.cap = packets, .slot_bytes = slot_bytes};
    s->heap = calloc(packets, sizeof *s->heap);
    s->unused = calloc(packets, sizeof *s->unused);
    s->bytes = malloc((size_t)packets * slot_bytes);
    if (s->heap == NULL || s->unused == NULL || s->bytes == NULL) {
        lab_store_free(s);
        return -1;
    }
    for (uint32_t i = 0; i < packets; i++)
        s->unused[i] = packets - 1 - i;
    return 0;
}

void lab_store_free(struct lab_store *s)
{
    free(s->heap);
    free(s->unused);
    free(s->bytes);
    memset(s, 0, sizeof *s);
}

static bool before(const struct lab_waiting *a, const struct lab_waiting *b)
{
    return a->at_ns < b->at_ns || (a->at_ns == b->at_ns && a->order < b->order);
}

int lab_store_put(struct lab_store *s, uint64_t at_ns, const uint8_t *packet, uint32_t len)
{
    if (s->count == s->cap || len > s->slot_bytes)
        return -1;
    uint32_t slot = s->unused[s->cap - 1 - s->count];
    memcpy(s->bytes + (size_t)slot * s->slot_bytes, packet, len);
    struct lab_waiting w = {at_ns, s->order++, slot, len};
    uint32_t i = s->count++;
    while (i > 0 && before(&w, &s->heap[(i - 1) / 2])) {
        s->heap[i] = s->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    s->heap[i] = w;
    return 0;
}

uint64_t lab_store_next(const struct lab_store *s)
{
    return s->count > 0 ? s->heap[0].at_ns : UINT64_MAX;
}

const uint8_t *lab_store_take(struct lab_store *s, uint32_t *len)
{
    assert(s->count > 0);
    struct lab_waiting top = s->heap[0], last = s->heap[--s->count];
    uint32_t i = 0;
    for (uint32_t k; (k = 2 * i + 1) < s->count; i = k) {
        if (k + 1 < s->count && before(&s->heap[k + 1], &s->heap[k]))
            k++;
        if (!before(&s->heap[k], &last))
            break;
        s->heap[i] = s->heap[k];
    }
    s->heap[i] = last;
    s->unused[s->cap - 1 - s->count] = top.slot;
    *len = top.len;
    return s->bytes + (size_t)top.slot * s->slot_bytes;
}
