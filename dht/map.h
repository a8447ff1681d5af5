// An intrusive chained hash map that grows in an arena. The caller hashes (keyed, by content) and
// compares; nothing may depend on the order of a walk but sweeping.
#ifndef BAUTA_DHT_MAP_H
#define BAUTA_DHT_MAP_H

#include "dht/arena.h"

struct map_node {
    struct map_node *next;
    uint64_t hash;
};
struct map {
    struct arena *arena;
    struct map_node **head;
    uint32_t heads, n;
};

void map_init(struct map *, struct arena *);
void map_end(struct map *); // the nodes are the caller's
// 0; BAUTA_ESPACE only for the very first node.
int map_put(struct map *, struct map_node *, uint64_t hash);
// The first node of that hash, and the next after one; NULL at the end.
struct map_node *map_first(const struct map *, uint64_t hash);
struct map_node *map_next(const struct map_node *);
void map_remove(struct map *, struct map_node *);

#endif
