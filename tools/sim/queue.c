#include "tools/sim/queue.h"

#include <stdio.h>
#include <stdlib.h>

#define ARITY 4u

void *sim_grow(void *old, size_t count, size_t each_bytes)
{
    void *p =
        each_bytes != 0 && count > SIZE_MAX / each_bytes ? NULL : realloc(old, count * each_bytes);
    if (p == NULL) {
        fprintf(stderr, "bauta-sim: out of memory\n");
        exit(1);
    }
    return p;
}

static bool before(const struct sim_event *a, const struct sim_event *b)
{
    if (a->at_us != b->at_us)
        return a->at_us < b->at_us;
    if (a->destination != b->destination)
        return a->destination < b->destination;
    if (a->class_source != b->class_source)
        return a->class_source < b->class_source;
    return a->sequence < b->sequence;
}

void sim_queue_push(struct sim_queue *q, usec_t at_us, uint32_t destination, enum sim_class class,
                    uint32_t source, uint32_t sequence, void *payload)
{
    if (q->count == q->room) {
        q->room = q->room == 0 ? 1024 : 2 * q->room;
        q->heap = sim_grow(q->heap, q->room, sizeof *q->heap);
    }
    struct sim_event e = {at_us, destination, sequence, (uint64_t) class << 32 | source, payload};
    size_t i = q->count++;
    while (i > 0 && before(&e, &q->heap[(i - 1) / ARITY])) {
        q->heap[i] = q->heap[(i - 1) / ARITY];
        i = (i - 1) / ARITY;
    }
    q->heap[i] = e;
}

const struct sim_event *sim_queue_first(const struct sim_queue *q)
{
    return q->count > 0 ? &q->heap[0] : NULL;
}

bool sim_queue_pop(struct sim_queue *q, struct sim_event *out)
{
    if (q->count == 0)
        return false;
    *out = q->heap[0];
    struct sim_event e = q->heap[--q->count];
    size_t i = 0;
    for (;;) {
        size_t first = ARITY * i + 1, least = first;
        if (first >= q->count)
            break;
        for (size_t c = first + 1; c < first + ARITY && c < q->count; c++)
            if (before(&q->heap[c], &q->heap[least]))
                least = c;
        if (!before(&q->heap[least], &e))
            break;
        q->heap[i] = q->heap[least];
        i = least;
    }
    if (q->count > 0)
        q->heap[i] = e;
    return true;
}

void sim_queue_free(struct sim_queue *q)
{
    free(q->heap);
    *q = (struct sim_queue){0};
}
