#include "node/channel/blocks.h"

#include <assert.h>
#include <string.h>

#define SLOTS_MIN 4u

static bool grow(struct chan_blocks *b, struct arena *a, uint64_t last)
{
    uint32_t cap = b->cap == 0 ? SLOTS_MIN : b->cap;
    while (last - b->first >= cap)
        cap *= 2;
    if (cap == b->cap)
        return true;
    uint8_t **slot = arena_take(a, cap * sizeof *slot);
    if (slot == NULL)
        return false;
    for (uint64_t i = b->first; i < b->first + b->cap; i++)
        slot[i & (cap - 1)] = b->slot[i & (b->cap - 1)];
    if (b->slot != NULL)
        arena_give(a, b->slot, b->cap * sizeof *slot);
    b->slot = slot;
    b->cap = cap;
    return true;
}

size_t chan_blocks_write(struct chan_blocks *b, struct arena *a, uint64_t offset,
                         const uint8_t *src, size_t len)
{
    size_t done = 0;
    while (done < len) {
        uint64_t i = (offset + done) / CHAN_BLOCK_BYTES;
        size_t at = (size_t)((offset + done) % CHAN_BLOCK_BYTES);
        size_t n = CHAN_BLOCK_BYTES - at < len - done ? CHAN_BLOCK_BYTES - at : len - done;
        assert(i >= b->first);
        if (!grow(b, a, i))
            break;
        uint8_t **slot = &b->slot[i & (b->cap - 1)];
        if (*slot == NULL) {
            *slot = arena_take(a, CHAN_BLOCK_BYTES);
            if (*slot == NULL)
                break;
            b->held++;
        }
        memcpy(*slot + at, src + done, n);
        done += n;
    }
    return done;
}

void chan_blocks_read(const struct chan_blocks *b, uint64_t offset, uint8_t *dst, size_t len)
{
    size_t done = 0;
    while (done < len) {
        uint64_t i = (offset + done) / CHAN_BLOCK_BYTES;
        size_t at = (size_t)((offset + done) % CHAN_BLOCK_BYTES);
        size_t n = CHAN_BLOCK_BYTES - at < len - done ? CHAN_BLOCK_BYTES - at : len - done;
        assert(i >= b->first && i - b->first < b->cap && b->slot[i & (b->cap - 1)] != NULL);
        memcpy(dst + done, b->slot[i & (b->cap - 1)] + at, n);
        done += n;
    }
}

void chan_blocks_release(struct chan_blocks *b, struct arena *a, uint64_t offset, bool empty)
{
    uint64_t keep = offset / CHAN_BLOCK_BYTES;
    uint64_t end = empty ? keep + 1 : keep;
    for (uint64_t i = b->first; i < end && i < b->first + b->cap && b->held > 0; i++) {
        uint8_t **slot = &b->slot[i & (b->cap - 1)];
        if (*slot != NULL) {
            arena_give(a, *slot, CHAN_BLOCK_BYTES);
            *slot = NULL;
            b->held--;
        }
    }
    b->first = keep;
    if (b->held == 0 && b->slot != NULL) {
        arena_give(a, b->slot, b->cap * sizeof *b->slot);
        b->slot = NULL;
        b->cap = 0;
    }
}

void chan_blocks_free(struct chan_blocks *b, struct arena *a)
{
    for (uint32_t i = 0; i < b->cap; i++)
        if (b->slot[i] != NULL)
            arena_give(a, b->slot[i], CHAN_BLOCK_BYTES);
    if (b->slot != NULL)
        arena_give(a, b->slot, b->cap * sizeof *b->slot);
    *b = (struct chan_blocks){0};
}
