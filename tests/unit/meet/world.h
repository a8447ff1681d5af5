// A small world for tests of node/meet: nodes with a `struct meet` each, and in place of dht/ a fake
// that keeps records and handles in one table and delivers events in virtual time. What a blob meets
// on its way can be watched, dropped, changed and repeated.
#ifndef BAUTA_TESTS_UNIT_MEET_WORLD_H
#define BAUTA_TESTS_UNIT_MEET_WORLD_H

#include "crypto/nodekey.h"
#include "node/meet/encounter.h"
#include "node/meet/offer.h"
#include "tests/memory.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define WORLD_NODES_MAX 24u
#define WORLD_SERVERS 16u
#define WORLD_HOLDERS 4u
#define WORLD_ITEMS_MAX 512u
#define WORLD_MAIL_MAX 8192u

struct world;

struct dht { // one node's view of the fake
    struct world *world;
    unsigned node;
};

struct world_place {
    bool open, announced;
    unsigned node;
    uint32_t id, user;
    uint8_t place[32], record[RECORD_BYTES];
};
struct world_attend {
    bool open;
    unsigned node;
    uint32_t id, user, server;
    uint8_t handle[DHT_HANDLE_BYTES];
};
struct world_intro {
    bool open;
    unsigned node;
    uint32_t id, user, server;
    uint8_t handle[DHT_HANDLE_BYTES], link[DHT_LINK_BYTES];
};
struct world_mail {
    usec_t at;
    uint64_t order;
    unsigned node;
    struct dht_event ev;
    uint8_t data[DHT_SAMPLE_RECORDS_MAX * RECORD_BYTES];
};
struct world_node {
    struct dht dht;
    struct meet *meet;
    struct arena arena;
    int64_t clock_skew_us;
    struct path address, seen;
    // What came out of meet.
    unsigned channels, progress, warnings;
    struct channel_config channel;
    uint8_t peer[32], topic;
    uint32_t encounter;
    usec_t channel_at;
    bool heard; // tell meet that the channel was heard
    const char *warning;
};
struct world {
    usec_t now;
    int64_t unix_us;
    uint64_t random, order;
    uint32_t last_id;
    usec_t hop_us;         // one way between a node and a server
    unsigned loss_percent; // of offers and what comes back
    struct world_node node[WORLD_NODES_MAX];
    unsigned nodes;
    struct world_place place[WORLD_ITEMS_MAX];
    struct world_attend attend[WORLD_ITEMS_MAX];
    struct world_intro intro[WORLD_ITEMS_MAX];
    struct world_mail *mail[WORLD_MAIL_MAX];
    size_t mails;
    unsigned full_at;   // records at a place that make it full; 0: never
    uint8_t full_hint;  // what a full place then says, a lie perhaps
    uint32_t effort;    // that holders want of an announce; 0: none
    unsigned opened;    // places, so far
    unsigned proofs;    // that were right
    unsigned elsewhere; // look-ups that begin anew, as wanted
    unsigned topic_jobs, pow_jobs;
    bool no_servers; // nobody is known
    // Called for each blob before it is delivered; false drops it. May change it.
    bool (*hook)(struct world *, struct world_mail *, void *ctx);
    void *hook_ctx;
};

// ---- randomness, memory ---------------------------------------------------------------------------

static inline uint64_t world_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline void world_fill(void *ctx, void *buf, size_t len)
{
    uint8_t *at = buf;
    for (size_t i = 0; i < len; i++)
        at[i] = (uint8_t)world_random(ctx);
}

// ---- mail -----------------------------------------------------------------------------------------

static inline struct world_mail *world_post(struct world *w, unsigned node, usec_t delay,
                                            enum dht_event_kind kind, uint32_t id, uint32_t user)
{
    struct world_mail *m = calloc(1, sizeof *m);
    assert(m != NULL && w->mails < WORLD_MAIL_MAX);
    m->at = w->now + delay;
    m->order = w->order++;
    m->node = node;
    m->ev.kind = kind;
    m->ev.id = id;
    m->ev.user = user;
    w->mail[w->mails++] = m;
    return m;
}

static inline void world_blob(struct world_mail *m, const uint8_t *link, const uint8_t *blob,
                              size_t len)
{
    assert(len <= sizeof m->data);
    memcpy(m->ev.link, link, DHT_LINK_BYTES);
    memcpy(m->data, blob, len);
    m->ev.blob_len = len;
}

static inline struct world_place *world_place(struct world *w, uint32_t id)
{
    for (unsigned i = 0; i < WORLD_ITEMS_MAX; i++)
        if (w->place[i].open && w->place[i].id == id)
            return &w->place[i];
    return NULL;
}

static inline struct world_attend *world_attend(struct world *w, uint32_t id)
{
    for (unsigned i = 0; i < WORLD_ITEMS_MAX; i++)
        if (w->attend[i].open && w->attend[i].id == id)
            return &w->attend[i];
    return NULL;
}

static inline struct world_intro *world_intro(struct world *w, uint32_t id)
{
    for (unsigned i = 0; i < WORLD_ITEMS_MAX; i++)
        if (w->intro[i].open && w->intro[i].id == id)
            return &w->intro[i];
    return NULL;
}

static inline struct contact world_server(uint32_t i)
{
    const uint8_t ip[4] = {127, 0, 1, (uint8_t)i};
    struct contact c = {.path = path_v4(ip, 4000)};
    c.pk[0] = (uint8_t)(i + 1);
    return c;
}

// A holder's answer is drawn when it arrives: of two who come at the same moment both may see the other.
static inline void world_sample(struct world *w, const struct world_place *p, bool announced)
{
    usec_t delay = 2 * w->hop_us + world_random(&w->random) % w->hop_us;
    world_post(w, p->node, delay, DHT_SAMPLE, p->id, p->user)->ev.announced = announced;
}

static inline void world_draw(struct world *w, struct world_mail *m)
{
    unsigned hit[WORLD_ITEMS_MAX], n = 0;
    const struct world_place *p = world_place(w, m->ev.id);
    for (unsigned i = 0; p != NULL && i < WORLD_ITEMS_MAX; i++)
        if (w->place[i].open && w->place[i].announced && &w->place[i] != p &&
            memcmp(w->place[i].place, p->place, 32) == 0)
            hit[n++] = i;
    m->ev.answered = p != NULL;
    m->ev.full = w->full_at > 0 && n >= w->full_at;
    m->ev.count = n + (p != NULL && p->announced ? 1 : 0);
    for (; n > 0 && m->ev.n < DHT_SAMPLE_RECORDS_MAX; m->ev.n++) {
        unsigned k = (unsigned)(world_random(&w->random) % n);
        memcpy(m->data + m->ev.n * RECORD_BYTES, w->place[hit[k]].record, RECORD_BYTES);
        hit[k] = hit[--n];
    }
    m->ev.records = m->data;
}

static inline unsigned world_count(const struct world *w, const uint8_t place[static 32])
{
    unsigned n = 0;
    for (unsigned i = 0; i < WORLD_ITEMS_MAX; i++)
        n += w->place[i].open && w->place[i].announced && memcmp(w->place[i].place, place, 32) == 0
                 ? 1
                 : 0;
    return n;
}

// Whether a place is full is decided when its holders are asked.
static inline void world_fill_up(struct world *w, struct world_mail *m)
{
    const struct world_place *p = world_place(w, m->ev.id);
    if (p == NULL || w->full_at == 0 || p->announced || world_count(w, p->place) < w->full_at)
        return;
    m->ev.kind = DHT_FULL;
    m->ev.hint = w->full_hint;
    m->ev.count = world_count(w, p->place);
}

// ---- the fake's side of dht.h -----------------------------------------------------------------------

int dht_place_open(struct dht *d, usec_t now, const uint8_t place[static 32], uint32_t user,
                   uint32_t *id)
{
    struct world *w = d->world;
    (void)now;
    for (unsigned i = 0; i < WORLD_ITEMS_MAX; i++)
        if (!w->place[i].open) {
            w->place[i] = (struct world_place){
                .open = true, .node = d->node, .id = ++w->last_id, .user = user};
            memcpy(w->place[i].place, place, 32);
            *id = w->last_id;
            w->opened++;
            world_post(w, d->node, w->no_servers ? 0 : 4 * w->hop_us, DHT_PLACE_FOUND, *id, user)
                ->ev.count = w->no_servers ? 0 : WORLD_HOLDERS;
            return BAUTA_OK;
        }
    return BAUTA_ELIMIT;
}

size_t dht_place_introducers(struct dht *d, uint32_t id,
                             struct contact out[static DHT_INTRODUCERS_MAX])
{
    (void)id;
    if (d->world->no_servers)
        return 0;
    uint32_t first = (uint32_t)(world_random(&d->world->random) % WORLD_SERVERS);
    for (unsigned i = 0; i < DHT_INTRODUCERS_MAX; i++)
        out[i] = world_server((first + i) % WORLD_SERVERS);
    return DHT_INTRODUCERS_MAX;
}

size_t dht_place_region(const struct dht *d, uint32_t id, struct contact *out, size_t max)
{
    (void)d;
    (void)id;
    (void)out;
    (void)max;
    return 0;
}

int dht_place_record_id(struct dht *d, uint32_t id, uint8_t rec_id[static RECORD_ID_BYTES])
{
    (void)id;
    world_fill(&d->world->random, rec_id, RECORD_ID_BYTES);
    return BAUTA_OK;
}

int dht_place_announce(struct dht *d, usec_t now, uint32_t id,
                       const uint8_t record[static RECORD_BYTES], uint32_t ttl_s,
                       const struct dht_proof *proof)
{
    struct world_place *p = world_place(d->world, id);
    (void)now;
    (void)ttl_s;
    if (p == NULL)
        return BAUTA_EUNKNOWN;
    if (d->world->effort > 0) {
        uint8_t m[32];
        record_pow_message(m, p->place, record);
        if (proof == NULL || proof->effort < d->world->effort ||
            !pow_check(m, record, proof->nonce, proof->sol, proof->effort)) {
            world_post(d->world, p->node, 2 * d->world->hop_us, DHT_EFFORT, p->id, p->user)
                ->ev.count = d->world->effort;
            return BAUTA_OK;
        }
        d->world->proofs++;
    }
    p->announced = true;
    memcpy(p->record, record, RECORD_BYTES);
    for (unsigned i = 0; i < WORLD_HOLDERS; i++)
        world_sample(d->world, p, true);
    world_post(d->world, p->node, 2 * d->world->hop_us, DHT_STORED, p->id, p->user)->ev.count =
        WORLD_HOLDERS;
    return BAUTA_OK;
}

int dht_place_seek(struct dht *d, usec_t now, uint32_t id, unsigned holders)
{
    struct world_place *p = world_place(d->world, id);
    (void)now;
    for (unsigned i = 0; p != NULL && i < holders; i++)
        world_sample(d->world, p, false);
    return p != NULL ? BAUTA_OK : BAUTA_EUNKNOWN;
}

void dht_place_look_elsewhere(struct dht *d, usec_t now, uint32_t id)
{
    struct world_place *p = world_place(d->world, id);
    (void)now;
    if (p != NULL)
        d->world->elsewhere++;
}

int dht_place_withdraw(struct dht *d, usec_t now, uint32_t id)
{
    struct world_place *p = world_place(d->world, id);
    (void)now;
    if (p != NULL)
        p->announced = false;
    return p != NULL ? BAUTA_OK : BAUTA_EUNKNOWN;
}

void dht_place_close(struct dht *d, usec_t now, uint32_t id)
{
    struct world_place *p = world_place(d->world, id);
    (void)now;
    if (p != NULL)
        p->open = p->announced = false;
}

int dht_attend_open(struct dht *d, usec_t now, uint32_t place, const struct contact *introducer,
                    const uint8_t handle[static DHT_HANDLE_BYTES], uint32_t user, uint32_t *attend)
{
    struct world *w = d->world;
    (void)now;
    if (world_place(w, place) == NULL)
        return BAUTA_EUNKNOWN;
    for (unsigned i = 0; i < WORLD_ITEMS_MAX; i++)
        if (!w->attend[i].open) {
            w->attend[i] = (struct world_attend){.open = true,
                                                 .node = d->node,
                                                 .id = ++w->last_id,
                                                 .user = user,
                                                 .server = introducer->pk[0]};
            memcpy(w->attend[i].handle, handle, DHT_HANDLE_BYTES);
            *attend = w->last_id;
            world_post(w, d->node, 2 * w->hop_us, DHT_ATTENDING, *attend, user);
            return BAUTA_OK;
        }
    return BAUTA_ELIMIT;
}

void dht_attend_close(struct dht *d, usec_t now, uint32_t attend)
{
    struct world_attend *a = world_attend(d->world, attend);
    (void)now;
    if (a != NULL)
        a->open = false;
}

bool dht_attend_seen(const struct dht *d, uint32_t attend, struct path *seen)
{
    (void)attend;
    *seen = d->world->node[d->node].seen;
    return seen->family != 0;
}

int dht_attend_answer(struct dht *d, usec_t now, uint32_t attend,
                      const uint8_t link[static DHT_LINK_BYTES], const uint8_t *blob, size_t len)
{
    struct world *w = d->world;
    (void)now;
    if (world_attend(w, attend) == NULL)
        return BAUTA_EUNKNOWN;
    assert(len <= dht_answer_blob_max());
    for (unsigned i = 0; i < WORLD_ITEMS_MAX; i++)
        if (w->intro[i].open && memcmp(w->intro[i].link, link, DHT_LINK_BYTES) == 0)
            world_blob(world_post(w, w->intro[i].node, 2 * w->hop_us, DHT_BACK, w->intro[i].id,
                                  w->intro[i].user),
                       link, blob, len);
    return BAUTA_OK;
}

int dht_introduce_send(struct dht *d, usec_t now, uint32_t intro, const uint8_t *blob, size_t len)
{
    struct world *w = d->world;
    struct world_intro *x = world_intro(w, intro);
    (void)now;
    if (x == NULL)
        return BAUTA_EUNKNOWN;
    assert(len <= dht_introduce_blob_max());
    for (unsigned i = 0; i < WORLD_ITEMS_MAX; i++) {
        const struct world_attend *a = &w->attend[i];
        if (a->open && a->server == x->server &&
            memcmp(a->handle, x->handle, DHT_HANDLE_BYTES) == 0) {
            world_blob(world_post(w, a->node, 2 * w->hop_us, DHT_OFFER, a->id, a->user), x->link,
                       blob, len);
            return BAUTA_OK;
        }
    }
    // An unknown handle looks like one whose owner declined.
    uint8_t decoy[WIRE_ANSWER_BYTES];
    world_fill(&w->random, decoy, sizeof decoy);
    world_blob(world_post(w, x->node, 4 * w->hop_us, DHT_BACK, x->id, x->user), x->link, decoy,
               sizeof decoy);
    return BAUTA_OK;
}

int dht_introduce_open(struct dht *d, usec_t now, uint32_t place, const struct contact *introducer,
                       const uint8_t handle[static DHT_HANDLE_BYTES], const uint8_t *blob,
                       size_t len, uint32_t user, uint32_t *intro)
{
    struct world *w = d->world;
    if (world_place(w, place) == NULL)
        return BAUTA_EUNKNOWN;
    for (unsigned i = 0; i < WORLD_ITEMS_MAX; i++)
        if (!w->intro[i].open) {
            struct world_intro *x = &w->intro[i];
            *x = (struct world_intro){.open = true,
                                      .node = d->node,
                                      .id = ++w->last_id,
                                      .user = user,
                                      .server = introducer->pk[0]};
            memcpy(x->handle, handle, DHT_HANDLE_BYTES);
            world_fill(&w->random, x->link, sizeof x->link);
            *intro = x->id;
            return dht_introduce_send(d, now, x->id, blob, len);
        }
    return BAUTA_ELIMIT;
}

usec_t dht_introduce_rto(const struct dht *d, uint32_t intro)
{
    (void)intro;
    return 4 * d->world->hop_us;
}

void dht_introduce_close(struct dht *d, usec_t now, uint32_t intro)
{
    struct world_intro *x = world_intro(d->world, intro);
    (void)now;
    if (x != NULL)
        x->open = false;
}

bool dht_heard_family(const struct dht *d, uint8_t family)
{
    (void)d;
    return family == 4;
}

size_t dht_introduce_blob_max(void)
{
    return CLASS_MEDIUM - 88 - 67;
}

size_t dht_answer_blob_max(void)
{
    return CLASS_CHAT - 88 - 35;
}

void dht_reach(const struct dht *d, uint8_t family, struct dht_reach *reach)
{
    (void)d;
    (void)family;
    memset(reach, 0, sizeof *reach); // nothing is known
}

void dht_status(const struct dht *d, struct dht_status *status)
{
    memset(status, 0, sizeof *status);
    status->contacts = WORLD_SERVERS;
    status->seen = d->world->node[d->node].seen;
}

// ---- the world's turn -------------------------------------------------------------------------------

static inline void world_add(struct world *w, bool lab)
{
    struct world_node *x = &w->node[w->nodes];
    const uint8_t local[4] = {127, 0, 0, 1}, global[4] = {80, 1, 1, (uint8_t)(w->nodes + 1)};
    x->dht = (struct dht){w, w->nodes};
    memory_arena(&x->arena, 16u << 20);
    struct meet_config c = {.rng = {world_fill, &w->random},
                            .arena = &x->arena,
                            .dht = &x->dht,
                            .lab = lab,
                            .aes_hardware = true};
    assert(net_init(&c.net, "test") == BAUTA_OK);
    world_fill(&w->random, c.local_mask, sizeof c.local_mask);
    assert(meet_new(&x->meet, &c) == BAUTA_OK);
    x->address = lab ? path_v4(local, (uint16_t)(5000 + w->nodes)) : path_v4(global, 5000);
    x->seen = x->address;
    x->heard = true;
    meet_local_paths(x->meet, &x->address, 1);
    meet_clock(x->meet, w->now, w->unix_us);
    w->nodes++;
}

static inline void world_init(struct world *w, unsigned nodes, uint64_t seed)
{
    memset(w, 0, sizeof *w);
    w->random = seed;
    w->now = 1000 * USEC_PER_S;
    w->unix_us = INT64_C(1700001000) * 1000000; // half past some hour
    w->hop_us = USEC_PER_MS / 4;
    for (unsigned i = 0; i < nodes; i++)
        world_add(w, true);
}

static inline void world_end(struct world *w)
{
    for (unsigned i = 0; i < w->nodes; i++) {
        if (w->node[i].meet != NULL)
            meet_free(w->node[i].meet);
        assert(w->node[i].arena.used_bytes == 0);
        arena_end(&w->node[i].arena);
    }
    for (size_t i = 0; i < w->mails; i++)
        free(w->mail[i]);
    w->mails = 0;
}

// The topic's secret without Argon2id: the same for the same input.
static inline void world_jobs(struct world *w, struct world_node *x)
{
    struct job job;
    while (meet_job(x->meet, &job)) {
        uint8_t result[JOB_RESULT_BYTES_MAX];
        int len = 32;
        if (job.kind == JOB_TOPIC) {
            w->topic_jobs++;
            hash_pieces(result, 32, NULL, 0, &(struct piece){job.input, job.len}, 1);
        } else {
            w->pow_jobs++;
            len = job_run(&job, result);
        }
        meet_job_done(x->meet, w->now, job.id, result, len);
    }
}

static inline void world_drain(struct world *w, struct world_node *x)
{
    struct meet_event ev;
    world_jobs(w, x);
    while (meet_event(x->meet, &ev)) {
        if (ev.kind == MEET_PROGRESS)
            x->progress++;
        if (ev.kind == MEET_WARNING) {
            x->warnings++;
            x->warning = ev.code;
        }
        if (ev.kind == MEET_CHANNEL) {
            x->channels++;
            x->channel = *ev.channel;
            x->channel_at = w->now;
            x->topic = ev.topic;
            x->encounter = ev.encounter;
            memcpy(x->peer, ev.peer, 32);
            if (x->heard) {
                meet_channel_heard(x->meet, w->now, ev.encounter);
                meet_channel_matched(x->meet, w->now, ev.encounter);
            }
        }
    }
    world_jobs(w, x);
}

static inline void world_deliver(struct world *w, struct world_mail *m)
{
    struct world_node *x = &w->node[m->node];
    bool blob = m->ev.kind == DHT_OFFER || m->ev.kind == DHT_BACK;
    if (m->ev.kind == DHT_SAMPLE)
        world_draw(w, m);
    if (m->ev.kind == DHT_PLACE_FOUND)
        world_fill_up(w, m);
    if (blob)
        m->ev.blob = m->data;
    if (blob && w->loss_percent > 0 && world_random(&w->random) % 100 < w->loss_percent)
        return;
    if (blob && w->hook != NULL && !w->hook(w, m, w->hook_ctx))
        return;
    if (x->meet == NULL)
        return;
    meet_dht_event(x->meet, w->now, &m->ev);
    world_drain(w, x);
}

// Runs until `until`, or until `done` says so. True: done.
static inline bool world_run(struct world *w, usec_t until, bool (*done)(struct world *, void *),
                             void *ctx)
{
    unsigned busy = 0;
    for (unsigned i = 0; i < w->nodes; i++)
        if (w->node[i].meet != NULL)
            world_drain(w, &w->node[i]);
    for (;;) {
        if (done != NULL && done(w, ctx))
            return true;
        size_t first = SIZE_MAX;
        for (size_t i = 0; i < w->mails; i++)
            if (first == SIZE_MAX || w->mail[i]->at < w->mail[first]->at ||
                (w->mail[i]->at == w->mail[first]->at && w->mail[i]->order < w->mail[first]->order))
                first = i;
        usec_t at = first == SIZE_MAX ? USEC_NEVER : w->mail[first]->at;
        unsigned node = WORLD_NODES_MAX;
        for (unsigned i = 0; i < w->nodes; i++)
            if (w->node[i].meet != NULL && meet_deadline(w->node[i].meet) < at) {
                at = meet_deadline(w->node[i].meet);
                node = i;
            }
        if (at > until) {
            w->unix_us += (int64_t)(until > w->now ? until - w->now : 0);
            w->now = until > w->now ? until : w->now;
            return done != NULL && done(w, ctx);
        }
        if (at > w->now) {
            w->unix_us += (int64_t)(at - w->now);
            w->now = at;
        }
        if (node < WORLD_NODES_MAX) {
            meet_expire(w->node[node].meet, w->now, 100);
            // A timer that never gets done would keep a real loop busy for ever.
            busy = meet_deadline(w->node[node].meet) > w->now ? 0 : busy + 1;
            assert(busy < 10);
            world_drain(w, &w->node[node]);
        } else {
            struct world_mail *m = w->mail[first];
            w->mail[first] = w->mail[--w->mails];
            world_deliver(w, m);
            free(m);
        }
    }
}

static inline struct meet_wish world_wish(const char *topic)
{
    struct meet_wish wish = {.topics = 1};
    wish.topic[0].topic_len = (uint8_t)strlen(topic);
    memcpy(wish.topic[0].topic, topic, strlen(topic));
    return wish;
}

static inline void world_seek(struct world *w, unsigned node, uint32_t encounter, const char *topic)
{
    struct meet_wish wish = world_wish(topic);
    int rc = meet_seek(w->node[node].meet, w->now, encounter, &wish);
    assert(rc == BAUTA_OK);
    (void)rc;
}

#endif
