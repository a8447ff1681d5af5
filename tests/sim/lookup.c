// Look-ups and announces of clients in a network of a thousand nodes: do they find the true region, how
// long do they take, and what do they ask; with loss, with dead servers in all tables, and among
// servers of which a fifth never answer.
#include "dht/internal.h"
#include "tests/memory.h"
#include "tests/sim/help.h"

#define NODES 1000u
#define PROBES 20u
#define ROUNDS 5u
#define NEAREST 16u
#define RECORD_TTL_S 600u
#define JOIN_US (10 * S)
#define FIRST_US (60 * S)
#define ROUND_US (6 * S)

struct numbers {
    uint32_t n;
    uint64_t v[PROBES * ROUNDS];
};

struct probe { // a client of its own, without a node round it
    struct world *w;
    uint32_t host;
    struct arena arena;
    struct dht *dht;
    struct rng rng;
    uint64_t drawn;
    usec_t armed, opened;
    uint32_t place;
    uint8_t where[32];
    bool found, stored;
};

struct world {
    struct sim *s;
    struct arena book_arena;
    struct contact_book *book;
    struct outbox *out;
    uint8_t (*id)[32]; // of each node that is a living server
    bool *server;
    struct probe probe[PROBES];
    struct numbers found_us, stored_us, asked, holders; // asked: finds of a look-up
    uint32_t told;                                      // announces, by the figures
    uint64_t hits, hits_later, possible, size;
};

static void note(struct numbers *x, uint64_t v)
{
    uint32_t k = x->n++;
    for (; k > 0 && x->v[k - 1] > v; k--)
        x->v[k] = x->v[k - 1];
    x->v[k] = v;
}

static uint64_t part(const struct numbers *x, uint32_t percent)
{
    return x->n == 0 ? 0 : x->v[(x->n - 1) * percent / 100];
}

static void fill(void *ctx, void *buf, size_t len)
{
    struct probe *p = ctx;
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)buf)[i] =
            (uint8_t)sim_prf_u64(sim_random(p->w->s), SIM_PRF_NODE, p->host, 99, p->drawn++);
}

// ---- the truth ------------------------------------------------------------------------------------

static void look_at_all(struct world *w)
{
    for (uint32_t i = 0; i < NODES; i++) {
        const struct dht *d = sim_node_alive(w->s, i) ? node_dht(sim_node(w->s, i)) : NULL;
        w->server[i] = d != NULL && upkeep_serves_any(d) && d->upkeep.own_centre[0];
        if (w->server[i])
            memcpy(w->id[i], d->centre[0], 32);
    }
}

static uint32_t hits(struct world *w, const struct probe *p, uint64_t *possible)
{
    uint32_t near[NEAREST], n = 0, hit = 0;
    struct contact region[HOLDERS_MAX];
    size_t count = dht_place_region(p->dht, p->place, region, HOLDERS_MAX);
    for (uint32_t i = 0; i < NODES; i++) {
        if (!w->server[i])
            continue;
        uint32_t k = n;
        for (; k > 0 && id_nearer(w->id[i], w->id[near[k - 1]], p->where); k--)
            if (k < NEAREST)
                near[k] = near[k - 1];
        if (k < NEAREST)
            near[k] = i;
        n += n < NEAREST;
    }
    for (uint32_t k = 0; k < n; k++)
        for (size_t i = 0; i < count; i++)
            if (path_equal(&region[i].path, sim_path(w->s, near[k]))) {
                hit++;
                break;
            }
    if (possible != NULL)
        *possible += n;
    return hit;
}

// ---- probes ---------------------------------------------------------------------------------------

static void wake(struct sim *s, void *ctx, uint64_t arg);

static void drain(struct probe *p)
{
    struct world *w = p->w;
    struct dht_event e;
    struct dht_lookup_stat stat;
    for (uint32_t i = 0; i < w->out->count; i++) {
        const struct outbox_slot *x = &w->out->slot[i];
        sim_actor_send(w->s, p->host, p->host, &x->path, sim_now(w->s), x->data, x->len);
    }
    w->out->count = 0;
    usec_t took = sim_now(w->s) - p->opened;
    while (dht_event(p->dht, &e)) {
        if (e.id != p->place)
            continue;
        if (e.kind == DHT_PLACE_FOUND && e.count > 0 && !p->found) {
            p->found = true;
            note(&w->found_us, took);
            w->hits += hits(w, p, &w->possible);
        }
        if (e.kind == DHT_STORED && !p->stored) {
            p->stored = true;
            note(&w->stored_us, took);
        }
    }
    while (dht_lookup_stat(p->dht, &stat)) {
        w->told += stat.stored && stat.took_us == took; // each place is announced when it is opened
        if (!stat.upkeep && !stat.stored && stat.took_us < ROUND_US && w->asked.n < w->found_us.n)
            note(&w->asked, stat.asked);
    }
    usec_t at = dht_deadline(p->dht);
    at = at <= sim_now(w->s) ? sim_now(w->s) + 1 : at;
    if (at < p->armed) {
        p->armed = at;
        sim_actor_wake(w->s, at, p->host, wake, p);
    }
}

static void wake(struct sim *s, void *ctx, uint64_t arg)
{
    struct probe *p = ctx;
    (void)arg;
    p->armed = USEC_NEVER;
    (void)dht_expire(p->dht, sim_now(s), 64);
    drain(p);
}

static bool receive(struct sim *s, void *ctx, uint32_t host, const struct path *from,
                    const uint8_t *data, size_t len)
{
    struct probe *p = ctx;
    uint8_t copy[CLASS_FULL];
    (void)host;
    if (len > sizeof copy)
        return true;
    memcpy(copy, data, len);
    (void)dht_receive(p->dht, sim_now(s), from, copy, len);
    drain(p);
    return true;
}

static void start(struct sim *s, void *ctx, uint32_t host)
{
    struct probe *p = ctx;
    struct dht_config c = {.rng = p->rng,
                           .arena = &p->arena,
                           .out = p->w->out,
                           .book = p->w->book,
                           .prefix_limits = true};
    (void)host;
    assert_int_equal(net_init(&c.net, "bauta"), 0);
    assert_int_equal(dht_init(&p->dht, &c), 0);
    for (uint32_t i = 0; i < 3; i++) {
        struct contact x = {.path = *sim_path(s, i)};
        uint8_t sk[32];
        sim_server_key(s, i, x.pk, sk);
        assert_int_equal(dht_bootstrap(p->dht, sim_now(s), &x), 0);
    }
    drain(p);
}

static void last_place(struct sim *s, void *ctx, uint64_t arg)
{
    struct world *w = ctx;
    struct probe *p = &w->probe[arg];
    struct contact region[HOLDERS_MAX];
    w->hits_later += hits(w, p, NULL);
    w->size += size_estimate(&p->dht->size);
    note(&w->holders, dht_place_region(p->dht, p->place, region, HOLDERS_MAX));
    dht_place_close(p->dht, sim_now(s), p->place);
    p->place = 0;
    drain(p);
}

// Closes the last place, opens the next one and announces there.
static void next_place(struct sim *s, void *ctx, uint64_t arg)
{
    struct world *w = ctx;
    struct probe *p = &w->probe[arg];
    uint8_t record[RECORD_BYTES];
    look_at_all(w);
    if (p->place != 0)
        last_place(s, ctx, arg);
    fill(p, p->where, sizeof p->where);
    fill(p, record, sizeof record);
    p->found = p->stored = false;
    p->opened = sim_now(s);
    assert_int_equal(dht_place_open(p->dht, sim_now(s), p->where, 1, &p->place), 0);
    assert_int_equal(dht_place_record_id(p->dht, p->place, record), 0);
    assert_int_equal(dht_place_announce(p->dht, sim_now(s), p->place, record, RECORD_TTL_S, NULL),
                     0);
    drain(p);
}

static uint64_t recall(const struct world *w, uint64_t hit) // per 10,000
{
    return w->possible == 0 ? 0 : hit * 10000 / w->possible;
}

// ---- runs -----------------------------------------------------------------------------------------

struct run {
    const char *name;
    uint64_t seed;
    uint32_t loss_percent,
        dead_percent;        // dead: so many servers die half a second before the first look-up
    uint32_t silent_percent; // or ten seconds before it
};

static void add_nodes(struct world *w, const struct run *r)
{
    for (uint32_t i = 0; i < NODES; i++) {
        struct sim_node_config n = {.server = i % 2 == 0 || i < 3, .bootstraps = i < 3 ? i : 3};
        for (uint32_t b = 0; b < n.bootstraps; b++)
            n.bootstrap[b] = b;
        usec_t at = i < 3 ? 0 : sim_prf_below(sim_random(w->s), SIM_PRF_JOIN, i, 0, 0, JOIN_US);
        uint32_t node = sim_node_add(w->s, at, &n);
        if (i < 3 || !n.server)
            continue;
        if (i / 2 % 100 < r->dead_percent)
            sim_node_kill(w->s, FIRST_US - S / 2, node);
        else if (i / 2 % 100 < r->dead_percent + r->silent_percent)
            sim_node_kill(w->s, FIRST_US - 10 * S, node);
    }
}

static void run(struct world *w, const struct run *r)
{
    struct sim_config cfg = {
        .seed = r->seed, .jobs = jobs, .modelled = true, .loss_ppm = 10000 * r->loss_percent};
    memset(w, 0, sizeof *w);
    w->s = sim_new(&cfg);
    memory_arena(&w->book_arena, 64u << 20);
    w->book = contact_book_new(&w->book_arena, 100000);
    w->out = calloc(1, sizeof *w->out);
    w->id = calloc(NODES + PROBES, sizeof *w->id);
    w->server = calloc(NODES + PROBES, sizeof *w->server);
    add_nodes(w, r);
    for (uint32_t i = 0; i < PROBES; i++) {
        struct probe *p = &w->probe[i];
        struct sim_actor actor = {.ctx = p, .receive = receive, .start = start, .alone = true};
        struct sim_node_config n = {.actor = &actor};
        p->w = w;
        p->armed = USEC_NEVER;
        p->rng = (struct rng){fill, p};
        memory_arena(&p->arena, 4u << 20);
        p->host = sim_node_add(w->s, JOIN_US + 5 * S, &n);
        for (uint32_t k = 0; k < ROUNDS; k++)
            sim_at(w->s, FIRST_US + k * ROUND_US + i * S / PROBES, next_place, w, i);
        sim_at(w->s, FIRST_US + ROUNDS * ROUND_US + i * S / PROBES, last_place, w, i);
    }
    (void)sim_run(w->s, FIRST_US + (ROUNDS + 1) * ROUND_US, NULL, NULL);
    print_message(
        "%s: recall %llu per 10,000 at once, %llu later; found p50 %llu p95 %llu ms, stored p50 "
        "%llu p95 %llu ms; asked p50 %llu p95 %llu max %llu, holders p50 %llu p95 %llu; "
        "size %llu\n",
        r->name, (unsigned long long)recall(w, w->hits),
        (unsigned long long)recall(w, w->hits_later),
        (unsigned long long)(part(&w->found_us, 50) / MS),
        (unsigned long long)(part(&w->found_us, 95) / MS),
        (unsigned long long)(part(&w->stored_us, 50) / MS),
        (unsigned long long)(part(&w->stored_us, 95) / MS), (unsigned long long)part(&w->asked, 50),
        (unsigned long long)part(&w->asked, 95), (unsigned long long)part(&w->asked, 100),
        (unsigned long long)part(&w->holders, 50), (unsigned long long)part(&w->holders, 95),
        (unsigned long long)w->size / (PROBES * ROUNDS));
}

static void end(struct world *w)
{
    for (uint32_t i = 0; i < PROBES; i++) {
        dht_free(w->probe[i].dht);
        w->out->count = 0;
        arena_end(&w->probe[i].arena);
    }
    contact_book_end(w->book);
    arena_end(&w->book_arena);
    sim_free(w->s);
    free(w->out);
    free(w->id);
    free(w->server);
}

struct bounds {
    uint64_t recall, recall_later; // per 10,000, at least
    usec_t found_p50, found_p95, stored_p50, stored_p95;
    uint32_t asked_p50, asked_p95, holders_p50; // finds; announces
};

static void check(const struct run *r, const struct bounds *b)
{
    static struct world w;
    run(&w, r);
    assert_int_equal(w.found_us.n, PROBES * ROUNDS);
    assert_int_equal(w.stored_us.n, PROBES * ROUNDS);
    assert_int_equal(w.told, PROBES * ROUNDS);
    assert_true(recall(&w, w.hits) >= b->recall);
    assert_true(recall(&w, w.hits_later) >= b->recall_later);
    assert_true(part(&w.found_us, 50) <= b->found_p50);
    assert_true(part(&w.found_us, 95) <= b->found_p95);
    assert_true(part(&w.stored_us, 50) <= b->stored_p50);
    assert_true(part(&w.stored_us, 95) <= b->stored_p95);
    assert_true(part(&w.asked, 50) <= b->asked_p50);
    assert_true(part(&w.asked, 95) <= b->asked_p95);
    assert_true(part(&w.asked, 100) < LOOKUP_ASKED_MAX); // a look-up ends by itself
    assert_true(part(&w.holders, 50) <= b->holders_p50);
    end(&w);
}

// A look-up ends with 16 holders and does not wait for those that are late: they are there soon after.
// What is asserted leaves a quarter to a half above what was measured; at once with loss, 8,490 to 9,050 of ten seeds.
static void without_loss(void **state)
{
    (void)state;
    check(&(struct run){.name = "no loss", .seed = 1},
          &(struct bounds){9300, 9950, 270 * MS, 500 * MS, 450 * MS, 800 * MS, 43, 55, 30});
}
static void with_loss(void **state)
{
    (void)state;
    check(&(struct run){.name = "5 % loss", .seed = 2, .loss_percent = 5},
          &(struct bounds){8400, 9900, 460 * MS, 950 * MS, 650 * MS, 1300 * MS, 45, 65, 30});
}
static void with_dead(void **state)
{
    (void)state;
    check(&(struct run){.name = "20 % dead", .seed = 3, .dead_percent = 20},
          &(struct bounds){9500, 9900, 520 * MS, 1200 * MS, 650 * MS, 1600 * MS, 45, 70, 30});
}
static void with_silent(void **state)
{
    (void)state;
    check(&(struct run){.name = "20 % silent", .seed = 4, .silent_percent = 20},
          &(struct bounds){9500, 9900, 520 * MS, 1200 * MS, 650 * MS, 1600 * MS, 45, 85, 30});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_loss),
        cmocka_unit_test(with_loss),
        cmocka_unit_test(with_dead),
        cmocka_unit_test(with_silent),
    };
    return help_main(tests, sizeof tests / sizeof *tests);
}
