#include "node/meet/block.h"

#include "crypto/bytes.h"

#include <assert.h>
#include <sodium.h>

void memory_init(struct memory *m, uint32_t max)
{
    memset(m, 0, sizeof *m);
    m->max = max;
}

bool memory_has(const struct memory *m, const uint8_t item[static 32])
{
    uint32_t left = m->n;
    for (const struct memory_block *b = m->first; b != NULL; b = b->next) {
        uint32_t n = left < MEMORY_BLOCK_ITEMS ? left : MEMORY_BLOCK_ITEMS;
        for (uint32_t i = 0; i < n; i++)
            if (memcmp(b->item[i], item, 32) == 0)
                return true;
        left -= n;
    }
    return false;
}

// The place of item `index`; makes blocks as far as needed.
static uint8_t *place_of(struct memory *m, struct arena *a, uint32_t index)
{
    struct memory_block **at = &m->first;
    for (;; at = &(*at)->next) {
        if (*at == NULL)
            *at = arena_take(a, sizeof **at);
        if (*at == NULL)
            return NULL;
        if (index < MEMORY_BLOCK_ITEMS)
            return (*at)->item[index];
        index -= MEMORY_BLOCK_ITEMS;
    }
}

bool memory_add(struct memory *m, struct arena *a, const uint8_t item[static 32])
{
    if (memory_has(m, item))
        return true;
    bool full = m->n == m->max;
    uint8_t *at = place_of(m, a, full ? m->oldest : m->n);
    if (at == NULL)
        return false;
    memcpy(at, item, 32);
    if (full)
        m->oldest = (m->oldest + 1) % m->max;
    else
        m->n++;
    return true;
}

void memory_free(struct memory *m, struct arena *a)
{
    while (m->first != NULL) {
        struct memory_block *b = m->first;
        m->first = b->next;
        arena_give(a, b, sizeof *b);
    }
    m->n = m->oldest = 0;
}

void block_init(struct block *b)
{
    memset(b, 0, sizeof *b);
    memory_init(&b->people, BLOCK_PEOPLE_MAX);
    memory_init(&b->addresses, BLOCK_ADDRESSES_MAX);
}

void block_free(struct block *b, struct arena *a)
{
    memory_free(&b->people, a);
    memory_free(&b->addresses, a);
    sodium_memzero(b, sizeof *b);
}

// Address and port as 32 bytes; the way there (`via`) does not matter.
static void address_bytes(uint8_t out[static 32], const struct path *p)
{
    struct wr w = wr_init(out, 32);
    wr_u8(&w, p->family);
    wr_bytes(&w, p->ip, sizeof p->ip);
    wr_le16(&w, p->port);
    wr_zero(&w, w.left);
    assert(!w.bad);
}

void block_person(struct block *b, struct arena *a, const uint8_t pk[static 32])
{
    memory_add(&b->people, a, pk);
}

void block_address(struct block *b, struct arena *a, const struct path *p)
{
    uint8_t item[32];
    address_bytes(item, p);
    memory_add(&b->addresses, a, item);
}

bool block_has_person(const struct block *b, const uint8_t pk[static 32])
{
    return memory_has(&b->people, pk);
}

bool block_has_address(const struct block *b, const struct path *p)
{
    uint8_t item[32];
    address_bytes(item, p);
    return memory_has(&b->addresses, item);
}

bool block_idle(const struct block *b, usec_t now)
{
    if (b->people.n > 0 || b->addresses.n > 0)
        return false;
    for (uint32_t i = 0; i < b->probes && i < PROBED_ADDRESSES_MAX; i++)
        if (now - b->probed[i].at < PROBED_WINDOW_US)
            return false;
    return true;
}

bool block_probe(struct block *b, usec_t now, const struct path *p)
{
    uint8_t item[32];
    uint32_t oldest = 0;
    address_bytes(item, p);
    for (uint32_t i = 0; i < b->probes; i++) {
        if (memcmp(b->probed[i].address, item, sizeof item) == 0) {
            if (b->probed[i].at + PROBED_WINDOW_US <= now)
                b->probed[i].at = now;
            return true;
        }
        if (b->probed[i].at < b->probed[oldest].at)
            oldest = i;
    }
    uint32_t at = b->probes;
    if (at < PROBED_ADDRESSES_MAX)
        b->probes++;
    else if (b->probed[oldest].at + PROBED_WINDOW_US <= now)
        at = oldest;
    else
        return false;
    memcpy(b->probed[at].address, item, sizeof item);
    b->probed[at].at = now;
    return true;
}
