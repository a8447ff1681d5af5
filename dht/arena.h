// Bounded memory for one machine. Chunks come from the driver (`refill`), are cut into size classes
// and recycled through free lists; the arena never exceeds its cap. Given-back memory is wiped, since
// it may have held keys.
#ifndef BAUTA_DHT_ARENA_H
#define BAUTA_DHT_ARENA_H

#include <stddef.h>
#include <stdint.h>

#define ARENA_CLASSES 32u // 32 B to 1.5 MiB, two classes an octave
#define ARENA_TAKE_BYTES_MAX (1u << 20)

struct arena_chunk;

struct arena {
    void *(*refill)(void *ctx, size_t bytes); // NULL when there is none
    void (*release)(void *ctx, void *chunk, size_t bytes);
    void *ctx;
    size_t cap_bytes;  // chunks never add up to more
    size_t held_bytes; // what the chunks add up to
    size_t used_bytes; // what is taken at the moment, rounded up to classes
    struct arena_chunk *chunks;
    uint8_t *cut; // the rest of the newest chunk
    size_t cut_bytes;
    void *free_list[ARENA_CLASSES];
};

void arena_init(struct arena *, size_t cap_bytes, void *(*refill)(void *, size_t),
                void (*release)(void *, void *, size_t), void *ctx);
// Zeroed, aligned to 16; NULL at the cap or above ARENA_TAKE_BYTES_MAX.
void *arena_take(struct arena *, size_t bytes);
// `bytes` as taken. NULL is fine.
void arena_give(struct arena *, void *p, size_t bytes);
// Wipes and releases all chunks; everything taken is gone.
void arena_end(struct arena *);

#endif
