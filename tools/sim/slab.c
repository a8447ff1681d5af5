#include "tools/sim/slab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE_BYTES SLAB_CHUNK_BYTES

#if defined __SANITIZE_ADDRESS__
#define EXACT 1
#elif defined __has_feature
#if __has_feature(address_sanitizer)
#define EXACT 1
#endif
#endif

static _Noreturn void out_of_memory(void)
{
    fprintf(stderr, "bauta-sim: out of memory\n");
    exit(1);
}

void *sim_grow(void *old, size_t count, size_t each_bytes)
{
    void *p = NULL;
    if (count > 0 && each_bytes > 0 && count <= SIZE_MAX / each_bytes)
        p = realloc(old, count * each_bytes);
    if (p == NULL)
        out_of_memory();
    return p;
}

void *sim_chunk(size_t bytes)
{
    if (bytes < HUGE_PAGE_BYTES)
        return sim_grow(NULL, bytes, 1);
    void *p = NULL;
    if (posix_memalign(&p, HUGE_PAGE_BYTES, bytes) != 0)
        out_of_memory();
#ifdef MADV_HUGEPAGE
    (void)madvise(p, bytes, MADV_HUGEPAGE); // a matter of speed alone
#endif
    return p;
}

void *sim_regrow(void *old, size_t old_count, size_t count, size_t each_bytes)
{
    void *p = sim_chunk(count * each_bytes);
    if (old_count > 0)
        memcpy(p, old, old_count * each_bytes);
    free(old);
    return p;
}

void *slab_cut(struct slab *s, size_t bytes)
{
    if (s->cut_bytes < bytes) {
        if (s->chunks == s->chunks_room) {
            s->chunks_room = s->chunks_room == 0 ? 64 : 2 * s->chunks_room;
            s->chunk = sim_grow(s->chunk, s->chunks_room, sizeof *s->chunk);
        }
        s->cut = s->chunk[s->chunks++] = sim_chunk(SLAB_CHUNK_BYTES);
        s->cut_bytes = SLAB_CHUNK_BYTES;
    }
    void *p = s->cut;
    s->cut += bytes;
    s->cut_bytes -= bytes;
    return p;
}

#ifdef EXACT

void *slab_take(struct slab *s, size_t bytes)
{
    (void)s;
    return sim_grow(NULL, bytes, 1);
}

void slab_give(struct slab *s, void *p, size_t bytes)
{
    (void)s;
    (void)bytes;
    free(p);
}

#else

void *slab_take(struct slab *s, size_t bytes)
{
    size_t class = (bytes + SLAB_STEP_BYTES - 1) / SLAB_STEP_BYTES - 1;
    if (bytes == 0 || bytes > SLAB_BLOCK_BYTES_MAX)
        return sim_grow(NULL, bytes, 1);
    void *p = s->free_list[class];
    if (p != NULL) {
        memcpy(&s->free_list[class], p, sizeof(void *));
        return p;
    }
    return slab_cut(s, (class + 1) * SLAB_STEP_BYTES);
}

void slab_give(struct slab *s, void *p, size_t bytes)
{
    if (p == NULL)
        return;
    if (bytes == 0 || bytes > SLAB_BLOCK_BYTES_MAX) {
        free(p);
        return;
    }
    size_t class = (bytes + SLAB_STEP_BYTES - 1) / SLAB_STEP_BYTES - 1;
    memcpy(p, &s->free_list[class], sizeof(void *));
    s->free_list[class] = p;
}

#endif

void slab_end(struct slab *s)
{
    for (size_t i = 0; i < s->chunks; i++)
        free(s->chunk[i]);
    free(s->chunk);
    *s = (struct slab){0};
}
