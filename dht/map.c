#include "dht/map.h"

#include "crypto/bytes.h"

#include <assert.h>

#define HEADS_MIN 8u
#define HEADS_MAX (1u << 16) // of 8 bytes: 512 KiB, chains of 2 at 131,072 nodes

void map_init(struct map *m, struct arena *arena)
{
    memset(m, 0, sizeof *m);
    m->arena = arena;
}

void map_end(struct map *m)
{
    arena_give(m->arena, m->head, m->heads * sizeof *m->head);
    map_init(m, m->arena);
}

static void link_node(struct map *m, struct map_node *x)
{
    struct map_node **head = &m->head[x->hash & (m->heads - 1)];
    x->next = *head;
    *head = x;
}

static bool grow(struct map *m)
{
    uint32_t heads = m->heads == 0 ? HEADS_MIN : 2 * m->heads;
    struct map_node **old = m->head;
    uint32_t old_heads = m->heads;
    struct map_node **head = heads > HEADS_MAX ? NULL : arena_take(m->arena, heads * sizeof *head);
    if (head == NULL)
        return false;
    m->head = head;
    m->heads = heads;
    for (uint32_t i = 0; i < old_heads; i++)
        for (struct map_node *x = old[i], *next; x != NULL; x = next) {
            next = x->next;
            link_node(m, x);
        }
    arena_give(m->arena, old, old_heads * sizeof *old);
    return true;
}

int map_put(struct map *m, struct map_node *x, uint64_t hash)
{
    if (m->n >= m->heads && !grow(m) && m->heads == 0)
        return BAUTA_ESPACE;
    x->hash = hash;
    link_node(m, x);
    m->n++;
    return 0;
}

struct map_node *map_first(const struct map *m, uint64_t hash)
{
    if (m->heads == 0)
        return NULL;
    struct map_node *x = m->head[hash & (m->heads - 1)];
    while (x != NULL && x->hash != hash)
        x = x->next;
    return x;
}

struct map_node *map_next(const struct map_node *x)
{
    uint64_t hash = x->hash;
    struct map_node *y = x->next;
    while (y != NULL && y->hash != hash)
        y = y->next;
    return y;
}

void map_remove(struct map *m, struct map_node *x)
{
    struct map_node **at = &m->head[x->hash & (m->heads - 1)];
    while (*at != x) {
        assert(*at != NULL);
        at = &(*at)->next;
    }
    *at = x->next;
    x->next = NULL;
    m->n--;
}
