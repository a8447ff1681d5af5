#include "dht/timer.h"

#include "crypto/bytes.h"

#include <assert.h>
#include <string.h>

#define HEAP_MIN 4u

void timers_init(struct timers *t, struct arena *arena)
{
    memset(t, 0, sizeof *t);
    t->arena = arena;
}

void timers_end(struct timers *t)
{
    arena_give(t->arena, t->heap, t->cap * sizeof(struct timer *));
    memset(t, 0, sizeof *t);
}

static bool before(const struct timer *a, const struct timer *b)
{
    return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

static void put(struct timers *t, uint32_t i, struct timer *x)
{
    t->heap[i] = x;
    x->pos = i + 1;
}

static void up(struct timers *t, uint32_t i)
{
    struct timer *x = t->heap[i];
    while (i > 0 && before(x, t->heap[(i - 1) / 2])) {
        put(t, i, t->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    put(t, i, x);
}

static void down(struct timers *t, uint32_t i)
{
    struct timer *x = t->heap[i];
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= t->n)
            break;
        if (child + 1 < t->n && before(t->heap[child + 1], t->heap[child]))
            child++;
        if (!before(t->heap[child], x))
            break;
        put(t, i, t->heap[child]);
        i = child;
    }
    put(t, i, x);
}

static int resize(struct timers *t, uint32_t cap)
{
    struct timer **heap = arena_take(t->arena, cap * sizeof *heap);
    if (heap == NULL)
        return BAUTA_ESPACE;
    if (t->n > 0)
        memcpy(heap, t->heap, t->n * sizeof *heap);
    arena_give(t->arena, t->heap, t->cap * sizeof *heap);
    t->heap = heap;
    t->cap = cap;
    return 0;
}

int timers_add(struct timers *t, struct timer *x, uint8_t kind, void *owner)
{
    if (t->owners == t->cap && resize(t, t->cap == 0 ? HEAP_MIN : 2 * t->cap) != 0)
        return BAUTA_ESPACE;
    t->owners++;
    memset(x, 0, sizeof *x);
    x->kind = kind;
    x->owner = owner;
    return 0;
}

static void disarm(struct timers *t, struct timer *x)
{
    if (x->pos == 0)
        return;
    uint32_t i = x->pos - 1;
    assert(i < t->n && t->heap[i] == x);
    x->pos = 0;
    struct timer *last = t->heap[--t->n];
    if (last != x) {
        put(t, i, last);
        up(t, i);
        down(t, last->pos - 1);
    }
}

void timers_remove(struct timers *t, struct timer *x)
{
    disarm(t, x);
    assert(t->owners > 0);
    t->owners--;
    if (t->cap > HEAP_MIN && 4 * t->owners <= t->cap)
        (void)resize(t, t->cap / 2); // an idle node is small again
}

void timers_arm(struct timers *t, struct timer *x, usec_t at)
{
    if (at == USEC_NEVER) {
        disarm(t, x);
        return;
    }
    assert(x->owner != NULL);
    if (x->pos == 0) {
        assert(t->n < t->owners);
        put(t, t->n++, x);
    } else if (x->at == at) {
        return; // most often: its turn among those of the same time is what it was
    }
    x->at = at;
    x->seq = t->seq++;
    up(t, x->pos - 1);
    down(t, x->pos - 1);
}

usec_t timers_next(const struct timers *t)
{
    return t->n == 0 ? USEC_NEVER : t->heap[0]->at;
}

struct timer *timers_due(struct timers *t, usec_t now)
{
    if (t->n == 0 || t->heap[0]->at > now)
        return NULL;
    struct timer *x = t->heap[0];
    disarm(t, x);
    return x;
}
