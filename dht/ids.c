#include "dht/ids.h"

#include "crypto/bytes.h"
#include "dht/limits.h"

#define IDS_MIN 8u

void ids_init(struct ids *t, struct arena *arena)
{
    memset(t, 0, sizeof *t);
    t->arena = arena;
}

void ids_end(struct ids *t)
{
    arena_give(t->arena, t->entry, t->cap * sizeof *t->entry);
    ids_init(t, t->arena);
}

uint64_t id_of(const uint8_t bytes[static 8])
{
    struct rd r = rd_init(bytes, 8);
    return rd_le64(&r);
}

static uint32_t slot_of(const struct ids *t, uint64_t id)
{
    uint32_t i = (uint32_t)id & (t->cap - 1);
    while (t->entry[i].kind != ID_NONE && t->entry[i].id != id)
        i = (i + 1) & (t->cap - 1);
    return i;
}

// To another capacity, at least twice what is in it.
static int resize(struct ids *t, uint32_t cap)
{
    struct id_entry *old = t->entry;
    uint32_t old_cap = t->cap;
    struct id_entry *entry = arena_take(t->arena, cap * sizeof *entry);
    if (entry == NULL)
        return BAUTA_ESPACE;
    t->entry = entry;
    t->cap = cap;
    for (uint32_t i = 0; i < old_cap; i++)
        if (old[i].kind != ID_NONE)
            t->entry[slot_of(t, old[i].id)] = old[i];
    arena_give(t->arena, old, old_cap * sizeof *old);
    return 0;
}

int ids_open(struct ids *t, uint64_t id, enum id_kind kind, void *owner, uint8_t sub, uint32_t i)
{
    if (t->n >= IDS_MAX)
        return BAUTA_ELIMIT;
    if (2 * (t->n + 1) > t->cap) {
        int rc = resize(t, t->cap == 0 ? IDS_MIN : 2 * t->cap);
        if (rc != 0)
            return rc;
    }
    uint32_t at = slot_of(t, id);
    if (t->entry[at].kind != ID_NONE)
        return BAUTA_ELIMIT; // taken: one in 2^64
    t->entry[at] = (struct id_entry){id, owner, i, (uint8_t)kind, sub};
    t->n++;
    return 0;
}

void ids_close(struct ids *t, uint64_t id)
{
    if (t->cap == 0)
        return;
    uint32_t mask = t->cap - 1, hole = slot_of(t, id);
    if (t->entry[hole].kind == ID_NONE)
        return;
    // Pull back what was pushed past the hole.
    for (uint32_t j = (hole + 1) & mask; t->entry[j].kind != ID_NONE; j = (j + 1) & mask) {
        uint32_t home = (uint32_t)t->entry[j].id & mask;
        if (((j - home) & mask) >= ((j - hole) & mask)) {
            t->entry[hole] = t->entry[j];
            hole = j;
        }
    }
    memset(&t->entry[hole], 0, sizeof t->entry[hole]);
    t->n--;
    if (t->n == 0) // an idle node is small again
        ids_end(t);
    else if (t->cap > IDS_MIN && 8 * t->n < t->cap)
        (void)resize(t, t->cap / 2);
}

const struct id_entry *ids_find(const struct ids *t, uint64_t id)
{
    if (t->cap == 0)
        return NULL;
    const struct id_entry *x = &t->entry[slot_of(t, id)];
    return x->kind == ID_NONE ? NULL : x;
}
