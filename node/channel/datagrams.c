#include "node/channel/datagrams.h"

#include <assert.h>
#include <string.h>

#define RECORD_HEAD_BYTES 2u // len; 0: the rest of the ring is unused

static uint16_t record_len(const struct chan_datagrams *d, uint32_t at)
{
    return (uint16_t)(d->ring[at] | d->ring[at + 1] << 8);
}

static void record_put(struct chan_datagrams *d, uint32_t at, size_t len)
{
    d->ring[at] = (uint8_t)len;
    d->ring[at + 1] = (uint8_t)(len >> 8);
}

// Where `bytes` fit in one piece, or cap: nowhere.
static uint32_t place(const struct chan_datagrams *d, uint32_t bytes)
{
    if (d->count == 0)
        return bytes <= d->cap ? 0 : d->cap;
    if (d->tail > d->head) {
        if (d->cap - d->tail >= bytes)
            return d->tail;
        return d->head >= bytes ? 0 : d->cap;
    }
    return d->head - d->tail >= bytes ? d->tail : d->cap;
}

// A larger ring, with what waits at its beginning.
static bool grow(struct chan_datagrams *d, struct arena *a)
{
    uint32_t cap = d->cap == 0 ? CHAN_DATAGRAM_RING_MIN : 2 * d->cap;
    if (cap > CHAN_DATAGRAM_RING_MAX)
        return false;
    struct chan_datagrams larger = {.ring = arena_take(a, cap), .cap = cap};
    if (larger.ring == NULL)
        return false;
    for (uint16_t len; chan_datagrams_first(d, &len) != NULL; chan_datagrams_pop(d)) {
        memcpy(larger.ring + larger.tail, d->ring + d->head, RECORD_HEAD_BYTES + len);
        larger.tail += RECORD_HEAD_BYTES + len;
        larger.count++;
    }
    arena_give(a, d->ring, d->cap);
    d->ring = larger.ring;
    d->cap = cap;
    d->head = 0;
    d->tail = larger.tail;
    d->count = larger.count;
    return true;
}

uint8_t *chan_datagrams_put(struct chan_datagrams *d, struct arena *a, size_t len)
{
    assert(len > 0 && len <= UINT16_MAX - RECORD_HEAD_BYTES);
    uint32_t bytes = RECORD_HEAD_BYTES + (uint32_t)len, at = place(d, bytes);
    while (at == d->cap) {
        if (!grow(d, a)) {
            d->dropped++;
            return NULL;
        }
        at = place(d, bytes);
    }
    if (d->count == 0)
        d->head = at;
    else if (at == 0 && d->cap - d->tail >= RECORD_HEAD_BYTES)
        record_put(d, d->tail, 0);
    record_put(d, at, len);
    d->tail = at + bytes;
    d->count++;
    return d->ring + at + RECORD_HEAD_BYTES;
}

const uint8_t *chan_datagrams_first(const struct chan_datagrams *d, uint16_t *len)
{
    if (d->count == 0)
        return NULL;
    *len = record_len(d, d->head);
    return d->ring + d->head + RECORD_HEAD_BYTES;
}

void chan_datagrams_pop(struct chan_datagrams *d)
{
    assert(d->count > 0);
    d->head += RECORD_HEAD_BYTES + record_len(d, d->head);
    if (--d->count == 0)
        d->head = d->tail = 0;
    else if (d->cap - d->head < RECORD_HEAD_BYTES || record_len(d, d->head) == 0)
        d->head = 0;
}

void chan_datagrams_clear(struct chan_datagrams *d)
{
    d->count = d->head = d->tail = 0;
}

void chan_datagrams_turn(struct chan_datagrams *d)
{
    d->in_count = d->in_next = 0;
}

void chan_datagrams_came(struct chan_datagrams *d, struct arena *a, const uint8_t *data, size_t len)
{
    if (d->in == NULL)
        d->in = arena_take(a, CHAN_DATAGRAMS_IN * sizeof *d->in);
    if (d->in != NULL && d->in_count < CHAN_DATAGRAMS_IN)
        d->in[d->in_count++] = (struct chan_datagram){data, (uint16_t)len};
}

bool chan_datagrams_next(struct chan_datagrams *d, struct chan_datagram *out)
{
    if (d->in_next >= d->in_count)
        return false;
    *out = d->in[d->in_next++];
    return true;
}

void chan_datagrams_tidy(struct chan_datagrams *d, struct arena *a)
{
    if (d->count == 0) {
        arena_give(a, d->ring, d->cap);
        d->ring = NULL;
        d->cap = 0;
    }
    arena_give(a, d->in, CHAN_DATAGRAMS_IN * sizeof *d->in);
    d->in = NULL;
    d->in_count = d->in_next = 0;
}

void chan_datagrams_free(struct chan_datagrams *d, struct arena *a)
{
    chan_datagrams_clear(d);
    chan_datagrams_tidy(d, a);
}
