#include "tools/sim/queue.h"

#include "tools/sim/slab.h"

#include <stdlib.h>
#include <string.h>

#define ARITY 4u
#define NEAR_BITS 10u // a near slot is 1,024 us
#define FAR_BITS 20u  // a far slot is all near slots
#define MASK (SIM_QUEUE_SLOTS - 1)
#define CHUNK_EVENTS 31u // a kilobyte
#define FEW 24u          // events that are ordered by insertion alone

struct sim_queue_chunk {
    struct sim_queue_chunk *next;
    uint64_t count;
    struct sim_event e[CHUNK_EVENTS];
};

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

// ---- a 4-ary heap -----------------------------------------------------------------------------------

static void heap_push(struct sim_queue_heap *h, const struct sim_event *e)
{
    if (h->count == h->room) {
        h->room = h->room == 0 ? 64 : 2 * h->room;
        h->e = sim_grow(h->e, h->room, sizeof *h->e);
    }
    size_t i = h->count++;
    while (i > 0 && before(e, &h->e[(i - 1) / ARITY])) {
        h->e[i] = h->e[(i - 1) / ARITY];
        i = (i - 1) / ARITY;
    }
    h->e[i] = *e;
}

static struct sim_event heap_pop(struct sim_queue_heap *h)
{
    struct sim_event out = h->e[0], e = h->e[--h->count];
    size_t i = 0;
    for (;;) {
        size_t first = ARITY * i + 1, least = first;
        if (first >= h->count)
            break;
        for (size_t c = first + 1; c < first + ARITY && c < h->count; c++)
            if (before(&h->e[c], &h->e[least]))
                least = c;
        if (!before(&h->e[least], &e))
            break;
        h->e[i] = h->e[least];
        i = least;
    }
    if (h->count > 0)
        h->e[i] = e;
    return out;
}

// ---- rings ------------------------------------------------------------------------------------------

static void ring_add(struct sim_queue *q, struct sim_queue_ring *r, uint64_t number,
                     const struct sim_event *e)
{
    size_t slot = number & MASK;
    struct sim_queue_chunk *c = r->slot[slot];
    if (c == NULL || c->count == CHUNK_EVENTS) {
        struct sim_queue_chunk *fresh = q->spare;
        if (fresh != NULL)
            q->spare = fresh->next;
        else
            fresh = sim_grow(NULL, 1, sizeof *fresh);
        fresh->next = c;
        fresh->count = 0;
        r->slot[slot] = c = fresh;
        r->used[slot / 64] |= UINT64_C(1) << slot % 64;
    }
    c->e[c->count++] = *e;
}

static struct sim_queue_chunk *ring_take(struct sim_queue_ring *r, uint64_t number)
{
    size_t slot = number & MASK;
    struct sim_queue_chunk *c = r->slot[slot];
    r->slot[slot] = NULL;
    r->used[slot / 64] &= ~(UINT64_C(1) << slot % 64);
    return c;
}

// The first used slot at or after `number`, before `end`, which is at most a whole ring later.
static uint64_t ring_next(const struct sim_queue_ring *r, uint64_t number, uint64_t end)
{
    while (number < end) {
        uint64_t word = r->used[(number & MASK) / 64] >> number % 64;
        if (word != 0) {
            number += (uint64_t)__builtin_ctzll(word);
            return number < end ? number : end;
        }
        number += 64 - number % 64;
    }
    return end;
}

static void put(struct sim_queue *q, const struct sim_event *e)
{
    uint64_t far = e->at_us >> FAR_BITS, near = e->at_us >> NEAR_BITS;
    if (near < q->bucket)
        heap_push(&q->late, e);
    else if (far <= q->epoch)
        ring_add(q, &q->near, near, e);
    else if (far - q->epoch < SIM_QUEUE_SLOTS)
        ring_add(q, &q->far, far, e);
    else
        heap_push(&q->beyond, e);
}

void sim_queue_push(struct sim_queue *q, usec_t at_us, uint32_t destination, enum sim_class class,
                    uint32_t source, uint32_t sequence, void *payload)
{
    struct sim_event e = {at_us, destination, sequence, (uint64_t) class << 32 | source, payload};
    q->count++;
    put(q, &e);
}

// ---- opening a bucket -------------------------------------------------------------------------------

static void insert(struct sim_event *e, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct sim_event one = e[i];
        size_t j = i;
        for (; j > 0 && before(&one, &e[j - 1]); j--)
            e[j] = e[j - 1];
        e[j] = one;
    }
}

// `raw` into `run` in order: counted out by microsecond, then each microsecond by itself.
static void order(struct sim_queue *q)
{
    enum { EACH = 1u << NEAR_BITS };
    uint32_t at[EACH + 1] = {0};
    size_t n = q->run_count;
    if (n <= FEW) {
        memcpy(q->run, q->raw, n * sizeof *q->run);
        insert(q->run, n);
        return;
    }
    for (size_t i = 0; i < n; i++)
        at[(q->raw[i].at_us & (EACH - 1)) + 1]++;
    for (size_t i = 1; i <= EACH; i++)
        at[i] += at[i - 1];
    for (size_t i = 0; i < n; i++)
        q->run[at[q->raw[i].at_us & (EACH - 1)]++] = q->raw[i];
    size_t from = 0; // at[i] is now where microsecond i ends
    for (size_t i = 0; i < EACH; from = at[i++])
        if (at[i] - from > 1)
            insert(q->run + from, at[i] - from);
}

static void open_bucket(struct sim_queue *q, uint64_t number)
{
    struct sim_queue_chunk *c = ring_take(&q->near, number), *next;
    size_t n = 0;
    for (const struct sim_queue_chunk *i = c; i != NULL; i = i->next)
        n += i->count;
    if (n > q->run_room) {
        q->run_room = 2 * n;
        free(q->run);
        free(q->raw);
        q->run = sim_grow(NULL, q->run_room, sizeof *q->run);
        q->raw = sim_grow(NULL, q->run_room, sizeof *q->raw);
    }
    q->run_at = q->run_count = 0;
    for (; c != NULL; c = next) {
        memcpy(q->raw + q->run_count, c->e, c->count * sizeof *c->e);
        q->run_count += c->count;
        next = c->next;
        c->next = q->spare;
        q->spare = c;
    }
    order(q);
    q->bucket = number + 1;
}

// The next epoch in which something is; its buckets come near.
static void turn(struct sim_queue *q)
{
    uint64_t epoch = ring_next(&q->far, q->epoch + 1, q->epoch + SIM_QUEUE_SLOTS);
    if (epoch == q->epoch + SIM_QUEUE_SLOTS && q->beyond.count > 0)
        epoch = q->beyond.e[0].at_us >> FAR_BITS;
    q->epoch = epoch;
    if (q->bucket < epoch << (FAR_BITS - NEAR_BITS))
        q->bucket = epoch << (FAR_BITS - NEAR_BITS);
    struct sim_queue_chunk *c = ring_take(&q->far, epoch), *next;
    for (; c != NULL; c = next) {
        for (size_t i = 0; i < c->count; i++)
            ring_add(q, &q->near, c->e[i].at_us >> NEAR_BITS, &c->e[i]);
        next = c->next;
        c->next = q->spare;
        q->spare = c;
    }
    while (q->beyond.count > 0 && (q->beyond.e[0].at_us >> FAR_BITS) - epoch < SIM_QUEUE_SLOTS) {
        struct sim_event e = heap_pop(&q->beyond);
        put(q, &e);
    }
}

// Makes sure that the first event, if there is any, is in `run` or `late`.
static bool ready(struct sim_queue *q)
{
    while (q->run_at == q->run_count && q->late.count == 0) {
        if (q->count == 0)
            return false;
        uint64_t end = (q->epoch + 1) << (FAR_BITS - NEAR_BITS);
        uint64_t next = ring_next(&q->near, q->bucket, end);
        if (next < end)
            open_bucket(q, next);
        else
            turn(q);
    }
    return true;
}

static bool late_is_first(const struct sim_queue *q)
{
    return q->late.count > 0 &&
           (q->run_at == q->run_count || before(&q->late.e[0], &q->run[q->run_at]));
}

const struct sim_event *sim_queue_first(struct sim_queue *q)
{
    if (!ready(q))
        return NULL;
    return late_is_first(q) ? &q->late.e[0] : &q->run[q->run_at];
}

bool sim_queue_pop(struct sim_queue *q, struct sim_event *out)
{
    if (!ready(q))
        return false;
    *out = late_is_first(q) ? heap_pop(&q->late) : q->run[q->run_at++];
    q->count--;
    return true;
}

static void free_chunks(struct sim_queue_chunk *c)
{
    while (c != NULL) {
        struct sim_queue_chunk *next = c->next;
        free(c);
        c = next;
    }
}

void sim_queue_free(struct sim_queue *q)
{
    for (size_t i = 0; i < SIM_QUEUE_SLOTS; i++) {
        free_chunks(q->near.slot[i]);
        free_chunks(q->far.slot[i]);
    }
    free_chunks(q->spare);
    free(q->run);
    free(q->raw);
    free(q->late.e);
    free(q->beyond.e);
    *q = (struct sim_queue){0};
}
