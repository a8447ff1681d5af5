#include "tools/sim/shard.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mail { // from one shard to another
    struct sim_event *e;
    size_t count, room;
    usec_t first_us; // of these
};

// Two of everything: while a shard writes for the next window, others still read what was for this one.
struct shard_post {
    struct mail to[SIM_THREADS_MAX][2];
    usec_t next_us[2]; // its first event, or what it has sent
    unsigned turn;     // to be written now
};

struct barrier {
    pthread_mutex_t lock;
    pthread_cond_t turned;
    unsigned arrived, all;
    atomic_uint round;
};

struct segment { // of a run: from one event of nobody's to the next
    struct sim *head;
    struct barrier barrier;
    usec_t until_us;
};
struct runner {
    struct segment *segment;
    struct sim *shard;
};

static void wait_for_all(struct barrier *b)
{
    (void)pthread_mutex_lock(&b->lock);
    unsigned round = atomic_load(&b->round);
    if (++b->arrived == b->all) {
        b->arrived = 0;
        atomic_store(&b->round, round + 1);
        (void)pthread_cond_broadcast(&b->turned);
        (void)pthread_mutex_unlock(&b->lock);
        return;
    }
    (void)pthread_mutex_unlock(&b->lock);
    // The others are hardly ever far, unless their cores are busy with something else.
    for (unsigned i = 0; i < SIM_SPINS; i++)
        if (atomic_load(&b->round) != round)
            return;
    (void)pthread_mutex_lock(&b->lock);
    while (atomic_load(&b->round) == round)
        (void)pthread_cond_wait(&b->turned, &b->lock);
    (void)pthread_mutex_unlock(&b->lock);
}

// ---- setting up ---------------------------------------------------------------------------------------

void sim_threads(struct sim *s, uint32_t threads)
{
    assert(s->hosts == 0 && s->shards == 0 && threads <= SIM_THREADS_MAX);
    if (threads < 2)
        return;
    s->shards = threads;
    for (uint32_t k = 0; k < threads; k++) {
        struct sim *shard = s;
        if (k > 0) {
            struct sim_config config = s->config;
            config.jobs = NULL;
            shard = sim_new(&config);
            shard->head = s;
        }
        shard->post = sim_grow(NULL, 1, sizeof *shard->post);
        memset(shard->post, 0, sizeof *shard->post);
        s->shard[k] = shard;
    }
}

void shard_free(struct sim *s)
{
    for (uint32_t k = 0; k < s->shards; k++) {
        for (uint32_t i = 0; i < SIM_THREADS_MAX; i++)
            for (unsigned turn = 0; turn < 2; turn++)
                free(s->shard[k]->post->to[i][turn].e);
        free(s->shard[k]->post);
        if (k == 0)
            continue;
        // These are the first's.
        s->shard[k]->host = NULL;
        s->shard[k]->hosts = 0;
        s->shard[k]->population = NULL;
        s->shard[k]->net = (struct sim_network){0};
        sim_free(s->shard[k]);
    }
}

// What the first shard holds for all and may have changed since the last segment.
static void tell(const struct sim *s, struct sim *shard)
{
    struct sim_network counted = shard->net;
    shard->host = s->host;
    shard->hosts = s->hosts;
    shard->config.network = s->config.network;
    shard->population = s->population;
    shard->net = s->net;
    shard->net.prf = &shard->prf;
    shard->net.lost = counted.lost;
    shard->net.nowhere = counted.nowhere;
    shard->net.filtered = counted.filtered;
    shard->net.overflown = counted.overflown;
}

#define MOVE(field) (s->field += shard->field, shard->field = 0)

// A shard's counters into the first's.
static void gather(struct sim *s, struct sim *shard)
{
    MOVE(events);
    MOVE(datagrams);
    MOVE(bytes);
    MOVE(oversized);
    MOVE(lookups);
    MOVE(lookups_ok);
    MOVE(alive[0]);
    MOVE(alive[1]);
    MOVE(started);
    MOVE(ended);
    MOVE(joined);
    MOVE(failures);
    MOVE(out.dropped);
    MOVE(net.lost);
    MOVE(net.nowhere);
    MOVE(net.filtered);
    MOVE(net.overflown);
    MOVE(load.begun);
    MOVE(load.stored);
    MOVE(recall.lookups);
    MOVE(recall.whole);
    MOVE(recall.nearest);
    MOVE(recall.found);
    MOVE(recall.nearest_at_once);
    MOVE(recall.found_at_once);
    for (uint32_t i = 0; i < SIM_CLASSES; i++)
        MOVE(class[i].alive);
    sim_hist_move(&s->lookup_us, &shard->lookup_us);
    sim_hist_move(&s->announce_us, &shard->announce_us);
    sim_hist_move(&s->lookup_hops, &shard->lookup_hops);
    sim_hist_move(&s->recent_us, &shard->recent_us);
    sim_hist_move(&s->join_requests, &shard->join_requests);
}

// ---- windows ------------------------------------------------------------------------------------------

void shard_push(struct sim *s, usec_t at_us, uint32_t destination, enum sim_class class,
                uint32_t source, uint32_t sequence, void *payload)
{
    struct sim *to = shard_of(s, destination);
    if (to == s || !s->head->in_window) {
        struct sim_queue *q =
            destination == SIM_NOBODY && to->shards > 1 ? &to->nobodys : &to->queue;
        sim_queue_push(q, at_us, destination, class, source, sequence, payload);
        return;
    }
    assert(destination != SIM_NOBODY && at_us >= s->window_end_us);
    struct mail *m = &s->post->to[destination % s->head->shards][s->post->turn];
    if (m->count == m->room) {
        m->room = m->room == 0 ? 64 : 2 * m->room;
        m->e = sim_grow(m->e, m->room, sizeof *m->e);
    }
    m->e[m->count++] =
        (struct sim_event){at_us, destination, sequence, (uint64_t) class << 32 | source, payload};
    if (m->count == 1 || at_us < m->first_us)
        m->first_us = at_us;
}

// Of all that a shard has, and has sent.
static usec_t next_of(struct sim *s)
{
    const struct sim_event *first = sim_queue_first(&s->queue);
    usec_t next = first != NULL ? first->at_us : USEC_NEVER;
    for (uint32_t k = 0; k < s->head->shards; k++) {
        const struct mail *m = &s->post->to[k][s->post->turn];
        if (m->count > 0 && m->first_us < next)
            next = m->first_us;
    }
    return next;
}

static void take_mail(struct sim *s, uint32_t number, unsigned turn)
{
    for (uint32_t k = 0; k < s->head->shards; k++) {
        struct mail *m = &s->head->shard[k]->post->to[number][turn];
        for (size_t i = 0; i < m->count; i++)
            sim_queue_push(&s->queue, m->e[i].at_us, m->e[i].destination, sim_event_class(&m->e[i]),
                           sim_event_source(&m->e[i]), m->e[i].sequence, m->e[i].payload);
        m->count = 0;
    }
}

// One barrier a window: each shard says what comes next, and all find the same window.
static void *run_shard(void *arg)
{
    const struct runner *r = arg;
    struct segment *g = r->segment;
    struct sim *s = r->shard;
    uint32_t number = 0;
    while (g->head->shard[number] != s)
        number++;
    for (;;) {
        unsigned turn = s->post->turn;
        s->post->next_us[turn] = next_of(s);
        wait_for_all(&g->barrier);
        usec_t next = USEC_NEVER;
        for (uint32_t k = 0; k < g->head->shards; k++) {
            usec_t one = g->head->shard[k]->post->next_us[turn];
            next = one < next ? one : next;
        }
        s->post->turn = 1 - turn;
        take_mail(s, number, turn);
        if (next == USEC_NEVER || next > g->until_us)
            return NULL;
        s->window_end_us = next + SIM_LATENCY_FLOOR_US;
        if (s->window_end_us > g->until_us)
            s->window_end_us = g->until_us + 1;
        sim_window(s, s->window_end_us);
    }
}

static void run_segment(struct sim *s, usec_t until_us)
{
    struct segment g = {.head = s, .until_us = until_us};
    struct runner r[SIM_THREADS_MAX] = {{&g, s}};
    pthread_t thread[SIM_THREADS_MAX];
    const uint32_t shards = s->shards;
    g.barrier.all = shards;
    (void)pthread_mutex_init(&g.barrier.lock, NULL);
    (void)pthread_cond_init(&g.barrier.turned, NULL);
    s->in_window = true;
    for (uint32_t k = 1; k < shards; k++) {
        r[k] = (struct runner){&g, s->shard[k]};
        tell(s, s->shard[k]);
        if (pthread_create(&thread[k], NULL, run_shard, &r[k]) != 0) {
            fprintf(stderr, "bauta-sim: no more threads\n");
            exit(1);
        }
    }
    (void)run_shard(&r[0]);
    for (uint32_t k = 1; k < shards; k++) {
        (void)pthread_join(thread[k], NULL);
        gather(s, s->shard[k]);
    }
    (void)pthread_cond_destroy(&g.barrier.turned);
    (void)pthread_mutex_destroy(&g.barrier.lock);
    s->in_window = false;
}

void shard_run(struct sim *s, usec_t until_us)
{
    for (;;) {
        const struct sim_event *first = sim_queue_first(&s->nobodys);
        bool more = first != NULL && first->at_us <= until_us;
        usec_t at_us = more ? first->at_us : until_us;
        run_segment(s, at_us);
        s->now = at_us;
        for (uint32_t k = 1; k < s->shards; k++)
            s->shard[k]->now = at_us;
        if (!more)
            return;
        sim_nobodys_turn(s);
    }
}
