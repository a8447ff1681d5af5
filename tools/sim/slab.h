// Memory of events' payloads and of hosts: blocks by size from large chunks, given back to a list of
// their size. Under AddressSanitizer each block is one malloc of its exact size, so that a read past
// its end is seen.
#ifndef BAUTA_SIM_SLAB_H
#define BAUTA_SIM_SLAB_H

#include <stddef.h>
#include <stdint.h>

#define SLAB_STEP_BYTES 32u
#define SLAB_CHUNK_BYTES ((size_t)1 << 21) // a huge page
#define SLAB_BLOCK_BYTES_MAX 2048u         // a datagram of the largest size and what is known of it

struct slab {
    void *free_list[SLAB_BLOCK_BYTES_MAX / SLAB_STEP_BYTES];
    uint8_t *cut; // the rest of the newest chunk
    size_t cut_bytes;
    void **chunk;
    size_t chunks, chunks_room;
};

void *slab_take(struct slab *, size_t bytes); // never NULL; not cleared
void slab_give(struct slab *, void *p, size_t bytes);
// A large piece that stays until the end, on huge pages; at most SLAB_CHUNK_BYTES.
void *slab_cut(struct slab *, size_t bytes);
void slab_end(struct slab *); // all that was taken has been given back, or is lost with it

// realloc that ends the program when memory is short: a simulation can't go on without.
void *sim_grow(void *old, size_t count, size_t each_bytes);
// As malloc; large ones lie on huge pages, where the system has them. To be freed.
void *sim_chunk(size_t bytes);
// An array of sim_chunk that has outgrown its room: `old_count` are moved, the rest is not cleared.
void *sim_regrow(void *old, size_t old_count, size_t count, size_t each_bytes);

#endif
