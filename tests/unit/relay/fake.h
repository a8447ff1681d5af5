// In place of dht/: one table of places and records, whose holders answer in virtual time; and a driver of
// several directories on it.
#ifndef BAUTA_TESTS_UNIT_RELAY_FAKE_H
#define BAUTA_TESTS_UNIT_RELAY_FAKE_H

#include "crypto/nodekey.h"
#include "node/relay/directory.h"
#include "tests/memory.h"
#include "tests/unit/relay/relays.h"
#include "tests/unit/vectors.h"

#define FAKE_NODES_MAX 80u
#define FAKE_PLACES_MAX 512u
#define FAKE_RECORDS_MAX 4096u
#define FAKE_MAIL_MAX 1024u
#define FAKE_HOP_US (40 * USEC_PER_MS)
#define FAKE_HOUR 472222u // it begins at the start of this one
#define FAKE_MINUTE_US (60 * USEC_PER_S)

struct dht { // one node's view
    unsigned node;
};
struct fake_place {
    bool open, announced; // announced: from the moment on that DHT_STORED tells it
    unsigned node;
    uint32_t id, user;
    uint8_t place[32], record[RECORD_BYTES];
};
struct fake_record { // put there by a test, or left there by a relay that died
    uint8_t place[32], record[RECORD_BYTES];
    unsigned source; // the prefix from which it was announced
};
struct fake_mail {
    bool used;
    usec_t at;
    unsigned node;
    struct dht_event ev;
};
struct fake_node {
    struct dht dht;
    struct arena arena;
    struct directory *dir;
    int64_t skew_us;
    unsigned ready, none;
    bool no_jobs;
};
static struct {
    usec_t now;
    uint64_t random;
    uint32_t last_id;
    unsigned nodes, records, holders;
    struct fake_node node[FAKE_NODES_MAX];
    struct fake_place place[FAKE_PLACES_MAX];
    struct fake_record record[FAKE_RECORDS_MAX];
    struct fake_mail mail[FAKE_MAIL_MAX];
    bool no_servers, no_places, silent; // silent: holders don't answer
    unsigned mute;                      // of the holders asked at once so many say nothing
    unsigned full_slots;                // bits; of every hour
    uint32_t effort;
    unsigned opened, announces, proofs; // counted
    unsigned again;                     // of those opened, by a node that had it before
    unsigned watched;                   // the first so many nodes stand somewhere at each moment
} fake;
static struct net fake_net;

static inline uint64_t fake_unix_us(void)
{
    return (uint64_t)FAKE_HOUR * 3600 * USEC_PER_S + fake.now;
}

static inline bool fake_full(const uint8_t place[static 32])
{
    uint64_t epoch = fake_unix_us() / (3600 * USEC_PER_S);
    for (uint64_t e = epoch - 1; e <= epoch + 1; e++)
        for (unsigned i = 0; i < DIRECTORY_SLOTS && fake.full_slots != 0; i++) {
            struct offer_slot s;
            offer_slot(&s, &fake_net, e, i);
            if ((fake.full_slots >> i & 1) != 0 && memcmp(s.place, place, 32) == 0)
                return true;
        }
    return false;
}

static inline struct dht_event *fake_post(const struct fake_place *p, usec_t delay,
                                          enum dht_event_kind kind)
{
    for (unsigned i = 0; i < FAKE_MAIL_MAX; i++) {
        struct fake_mail *m = &fake.mail[i];
        if (m->used)
            continue;
        *m = (struct fake_mail){.used = true, .at = fake.now + delay, .node = p->node};
        m->ev.kind = kind;
        m->ev.id = p->id;
        m->ev.user = p->user;
        return &m->ev;
    }
    fail_msg("too much mail");
    return NULL;
}

static inline struct fake_place *fake_place(uint32_t id)
{
    for (unsigned i = 0; i < FAKE_PLACES_MAX; i++)
        if (fake.place[i].open && fake.place[i].id == id)
            return &fake.place[i];
    return NULL;
}

// ---- the side of dht.h ------------------------------------------------------------------------------

static void fake_found(struct fake_place *p)
{
    bool full = !fake.no_servers && fake_full(p->place);
    usec_t delay = fake.no_servers ? 0 : 4 * FAKE_HOP_US;
    fake_post(p, delay, full ? DHT_FULL : DHT_PLACE_FOUND)->count =
        fake.no_servers ? 0 : fake.holders;
}

int dht_place_open(struct dht *d, usec_t now, const uint8_t place[static 32], uint32_t user,
                   uint32_t *id)
{
    assert_int_equal(now, fake.now);
    assert_int_equal(user, DIRECTORY_USER);
    if (fake.no_places)
        return BAUTA_ELIMIT;
    for (unsigned i = 0; i < FAKE_PLACES_MAX; i++) {
        struct fake_place *p = &fake.place[(fake.last_id + i) % FAKE_PLACES_MAX];
        if (p->open)
            continue;
        for (unsigned k = 0; k < FAKE_PLACES_MAX; k++) // what was closed is still there to be seen
            fake.again += fake.place[k].id != 0 && fake.place[k].node == d->node &&
                          memcmp(fake.place[k].place, place, 32) == 0;
        *p = (struct fake_place){.open = true, .node = d->node, .id = ++fake.last_id, .user = user};
        memcpy(p->place, place, 32);
        *id = p->id;
        fake.opened++;
        fake_found(p);
        return BAUTA_OK;
    }
    return BAUTA_ELIMIT;
}

int dht_place_record_id(struct dht *d, uint32_t id, uint8_t rec_id[static RECORD_ID_BYTES])
{
    (void)d;
    assert_non_null(fake_place(id));
    random_fill(&fake.random, rec_id, RECORD_ID_BYTES);
    return BAUTA_OK;
}

int dht_place_announce(struct dht *d, usec_t now, uint32_t id,
                       const uint8_t record[static RECORD_BYTES], uint32_t ttl_s,
                       const struct dht_proof *proof)
{
    struct fake_place *p = fake_place(id);
    uint8_t m[32];
    (void)d;
    (void)now;
    assert_non_null(p);
    assert_int_equal(ttl_s, DIRECTORY_TTL_S);
    fake.announces++;
    if (fake.no_servers || fake_full(p->place))
        return BAUTA_OK; // nothing but DHT_FULL comes
    if (fake.effort > 0) {
        record_pow_message(m, p->place, record);
        if (proof == NULL || proof->effort < fake.effort ||
            !pow_check(m, record, proof->nonce, proof->sol, proof->effort)) {
            fake_post(p, 2 * FAKE_HOP_US, DHT_EFFORT)->count = fake.effort;
            return BAUTA_OK;
        }
        fake.proofs++;
    }
    memcpy(p->record, record, RECORD_BYTES);
    fake_post(p, 6 * FAKE_HOP_US, DHT_STORED)->count = fake.silent ? 0 : fake.holders;
    return BAUTA_OK;
}

int dht_place_seek(struct dht *d, usec_t now, uint32_t id, unsigned holders)
{
    const struct fake_place *p = fake_place(id);
    (void)d;
    (void)now;
    assert_non_null(p);
    for (unsigned i = 0; i + fake.mute < holders && i < fake.holders && !fake.no_servers; i++)
        (void)fake_post(p, (i + 3) * FAKE_HOP_US, DHT_SAMPLE); // the first before the look-up ends
    return BAUTA_OK;
}

void dht_place_close(struct dht *d, usec_t now, uint32_t id)
{
    struct fake_place *p = fake_place(id);
    (void)d;
    (void)now;
    assert_non_null(p); // nothing is closed twice
    p->open = p->announced = false;
}

// ---- the driver -------------------------------------------------------------------------------------

// Up to eight random records of the place, by source first, as a holder answers.
static inline void fake_sample(struct fake_mail *m, uint8_t *records)
{
    const struct fake_place *p = fake_place(m->ev.id);
    const uint8_t *at[FAKE_RECORDS_MAX + FAKE_PLACES_MAX];
    unsigned source[FAKE_RECORDS_MAX + FAKE_PLACES_MAX], n = 0;
    for (unsigned i = 0; i < FAKE_PLACES_MAX; i++)
        if (fake.place[i].open && fake.place[i].announced &&
            memcmp(fake.place[i].place, p->place, 32) == 0) {
            source[n] = fake.place[i].node;
            at[n++] = fake.place[i].record;
        }
    for (unsigned i = 0; i < fake.records; i++)
        if (memcmp(fake.record[i].place, p->place, 32) == 0) {
            source[n] = FAKE_NODES_MAX + fake.record[i].source;
            at[n++] = fake.record[i].record;
        }
    m->ev.answered = !fake.silent;
    m->ev.records = records;
    while (n > 0 && !fake.silent && m->ev.n < DHT_SAMPLE_RECORDS_MAX) {
        // A source is as likely as its fewest: of what is drawn, one in so many as its source has is kept.
        unsigned k = (unsigned)(next_random(&fake.random) % n), beside = 0;
        for (unsigned i = 0; i < n; i++)
            beside += source[i] == source[k];
        if (next_random(&fake.random) % beside != 0)
            continue;
        memcpy(records + m->ev.n++ * RECORD_BYTES, at[k], RECORD_BYTES);
        at[k] = at[--n];
        source[k] = source[n];
    }
}

static inline void fake_deliver(struct fake_mail *m)
{
    uint8_t records[DHT_SAMPLE_RECORDS_MAX * RECORD_BYTES];
    m->used = false;
    if (fake_place(m->ev.id) == NULL || fake.node[m->node].dir == NULL)
        return; // closed meanwhile
    if (m->ev.kind == DHT_SAMPLE)
        fake_sample(m, records);
    if (m->ev.kind == DHT_STORED && m->ev.count > 0)
        fake_place(m->ev.id)->announced = true;
    directory_dht_event(fake.node[m->node].dir, fake.now, &m->ev);
}

static inline void fake_drain(struct fake_node *x)
{
    struct job job;
    enum directory_event e;
    while ((e = directory_event(x->dir)) != DIRECTORY_NOTHING) {
        x->ready += e == DIRECTORY_READY;
        x->none += e == DIRECTORY_NONE;
    }
    while (directory_job(x->dir, &job)) {
        uint8_t result[JOB_RESULT_BYTES_MAX];
        int len = x->no_jobs ? BAUTA_ELIMIT : job_run(&job, result);
        assert_true(directory_job_done(x->dir, fake.now, job.id, result, len));
        assert_false(directory_job_done(x->dir, fake.now, 7, result, len)); // somebody else's
    }
}

// How many places a relay stands at.
static inline unsigned fake_stands(unsigned node)
{
    unsigned n = 0;
    for (unsigned i = 0; i < FAKE_PLACES_MAX; i++)
        n += fake.place[i].open && fake.place[i].announced && fake.place[i].node == node;
    return n;
}

// Until nothing is left before `until`.
static inline void fake_run(usec_t for_us)
{
    usec_t until = fake.now + for_us;
    for (unsigned idle = 0;;) {
        struct fake_mail *first = NULL;
        struct fake_node *due = NULL;
        usec_t at = until;
        for (unsigned i = 0; i < FAKE_MAIL_MAX; i++)
            if (fake.mail[i].used && fake.mail[i].at <= at) {
                first = &fake.mail[i];
                at = first->at;
            }
        for (unsigned i = 0; i < fake.nodes; i++)
            if (fake.node[i].dir != NULL && directory_deadline(fake.node[i].dir) < at) {
                due = &fake.node[i];
                at = directory_deadline(due->dir);
            }
        idle = at <= fake.now ? idle + 1 : 0;
        assert_true(idle < 1000); // a deadline that never moves
        fake.now = at > fake.now ? at : fake.now;
        if (due != NULL) {
            directory_expire(due->dir, fake.now);
            fake_drain(due);
        } else if (first != NULL) {
            struct fake_node *x = &fake.node[first->node];
            fake_deliver(first);
            if (x->dir != NULL)
                fake_drain(x);
        } else {
            return;
        }
        for (unsigned i = 0; i < fake.watched; i++)
            assert_true(fake_stands(i) >= 1);
    }
}

static inline unsigned fake_node_in(bool relay, uint32_t number, int64_t skew_us, size_t memory)
{
    struct fake_node *x = &fake.node[fake.nodes];
    struct directory_config c = {.net = fake_net,
                                 .rng = {random_fill, &fake.random},
                                 .arena = &x->arena,
                                 .dht = &x->dht,
                                 .prefix_limits = true,
                                 .relay = relay};
    relay_seed(c.seed, number);
    memset(x, 0, sizeof *x);
    x->dht.node = fake.nodes;
    x->skew_us = skew_us;
    memory_arena(&x->arena, memory);
    if (directory_init(&x->dir, &c) == 0)
        directory_clock(x->dir, fake.now, (int64_t)fake_unix_us() + skew_us);
    return fake.nodes++;
}

static inline unsigned fake_client(int64_t skew_us)
{
    return fake_node_in(false, 0, skew_us, 1u << 20);
}

// Announces at once, on a prefix of its own.
static inline unsigned fake_relay(uint32_t number, int64_t skew_us)
{
    unsigned i = fake_node_in(true, number, skew_us, 1u << 20);
    struct relay_offer o = relay_numbered(number, number);
    assert_int_equal(directory_announce(fake.node[i].dir, fake.now, &o), 0);
    return i;
}

static inline void fake_leave(unsigned i)
{
    struct fake_node *x = &fake.node[i];
    directory_free(x->dir, fake.now);
    x->dir = NULL;
    assert_int_equal(x->arena.used_bytes, 0);
    arena_end(&x->arena);
}

// Without a word: what it announced stays at the holders.
static inline void fake_die(unsigned i)
{
    for (unsigned k = 0; k < FAKE_PLACES_MAX; k++)
        if (fake.place[k].open && fake.place[k].node == i && fake.place[k].announced) {
            struct fake_record *r = &fake.record[fake.records++];
            memcpy(r->place, fake.place[k].place, 32);
            memcpy(r->record, fake.place[k].record, RECORD_BYTES);
        }
    fake_leave(i);
}

// The same, of one hour only.
static inline unsigned fake_stands_in(unsigned node, uint64_t epoch)
{
    unsigned n = 0;
    for (unsigned slot = 0; slot < DIRECTORY_SLOTS; slot++) {
        struct offer_slot s;
        offer_slot(&s, &fake_net, epoch, slot);
        for (unsigned i = 0; i < FAKE_PLACES_MAX; i++)
            n += fake.place[i].open && fake.place[i].announced && fake.place[i].node == node &&
                 memcmp(fake.place[i].place, s.place, 32) == 0;
    }
    return n;
}

static inline unsigned fake_places_open(void)
{
    unsigned n = 0;
    for (unsigned i = 0; i < FAKE_PLACES_MAX; i++)
        n += fake.place[i].open;
    return n;
}

// Puts a record where a test wants it.
static inline void fake_put(const struct relay_offer *o, uint32_t number, uint64_t epoch,
                            unsigned slot)
{
    struct fake_record *r = &fake.record[fake.records++];
    struct offer_slot s;
    uint8_t seed[32], rec_id[RECORD_ID_BYTES], nonce[24];
    assert_true(fake.records < FAKE_RECORDS_MAX);
    relay_seed(seed, number);
    offer_slot(&s, &fake_net, epoch, slot);
    random_fill(&fake.random, rec_id, sizeof rec_id);
    random_fill(&fake.random, nonce, sizeof nonce);
    memcpy(r->place, s.place, 32);
    r->source = o->contact[0].path.ip[1];
    offer_seal(r->record, o, &fake_net, &s, rec_id, nonce, seed);
}

static inline int fake_start(void **state)
{
    (void)state;
    memset(&fake, 0, sizeof fake);
    fake.random = 11;
    fake.holders = 8;
    return net_init(&fake_net, "test");
}

static inline int fake_end(void **state)
{
    (void)state;
    for (unsigned i = 0; i < fake.nodes; i++)
        if (fake.node[i].dir != NULL)
            fake_leave(i);
    return fake_places_open() == 0 ? 0 : -1;
}

#endif
