#include "node/channel/cids.h"

#include <string.h>

static uint32_t home(const struct cids *c, const uint8_t *cid)
{
    uint32_t v;
    memcpy(&v, cid, sizeof v);
    return v & (c->slots - 1);
}

static uint32_t next(const struct cids *c, uint32_t i)
{
    return (i + 1) & (c->slots - 1);
}

bool cids_add(struct cids *c, const uint8_t cid[static CID_BYTES], uint16_t owner, uint8_t phase)
{
    if (c->used == c->used_max || cids_find(c, cid) != NULL)
        return false;
    uint32_t i = home(c, cid);
    while (c->slot[i].owner != 0)
        i = next(c, i);
    memcpy(c->slot[i].cid, cid, CID_BYTES);
    c->slot[i].owner = owner;
    c->slot[i].phase = phase;
    c->used++;
    return true;
}

const struct cid_slot *cids_find(const struct cids *c, const uint8_t cid[static CID_BYTES])
{
    if (c->used == 0)
        return NULL;
    for (uint32_t i = home(c, cid); c->slot[i].owner != 0; i = next(c, i))
        if (memcmp(c->slot[i].cid, cid, CID_BYTES) == 0)
            return &c->slot[i];
    return NULL;
}

// Closes the gap at i, so that no probe sequence is cut.
static void drop_at(struct cids *c, uint32_t i)
{
    uint32_t hole = i;
    for (uint32_t j = next(c, i); c->slot[j].owner != 0; j = next(c, j)) {
        uint32_t h = home(c, c->slot[j].cid);
        bool stays = hole <= j ? hole < h && h <= j : hole < h || h <= j;
        if (!stays) {
            c->slot[hole] = c->slot[j];
            hole = j;
        }
    }
    memset(&c->slot[hole], 0, sizeof c->slot[hole]);
    c->used--;
}

void cids_drop(struct cids *c, const uint8_t cid[static CID_BYTES])
{
    const struct cid_slot *s = cids_find(c, cid);
    if (s != NULL)
        drop_at(c, (uint32_t)(s - c->slot));
}

void cids_swap_owner(struct cids *c, uint16_t a, uint16_t b)
{
    for (uint32_t i = 0; i < c->slots; i++) {
        if (c->slot[i].owner == a)
            c->slot[i].owner = b;
        else if (c->slot[i].owner == b)
            c->slot[i].owner = a;
    }
}

void cids_drop_owner(struct cids *c, uint16_t owner)
{
    for (uint32_t i = 0; i < c->slots;) {
        if (c->slot[i].owner == owner)
            drop_at(c, i); // another may have moved here: look again
        else
            i++;
    }
}
