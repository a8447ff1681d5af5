#include "tools/sim/sim_internal.h"

#include "crypto/bytes.h"
#include "crypto/nodekey.h"
#include "crypto/relaykey.h"
#include "dht/book.h"
#include "dht/record_book.h"
#include "tools/sim/attack.h"
#include "tools/sim/mix.h"
#include "tools/sim/modelled.h"
#include "tools/sim/population.h"
#include "tools/sim/shard.h"

#include <assert.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct datagram {
    struct sim_way way;
    bool queued; // it has been admitted, and waited in its receiver's line
    uint16_t len;
    uint8_t data[]; // exactly len bytes, so that a sanitizer sees a read past the end
};

struct slow_job {
    uint32_t session; // nobody waits for it any more in another
    struct job job;
};

struct command {
    sim_run_fn *run;
    void *ctx;
    uint64_t arg;
};

// ---- life -------------------------------------------------------------------------------------------

// The pool's chunks, of its largest size once it has grown, lie on huge pages until the end. Blocks that
// have a chunk each come and go.
static void *refill(void *ctx, size_t bytes)
{
    return bytes == SIM_POOL_CHUNK_BYTES ? slab_cut(ctx, bytes) : sim_chunk(bytes);
}

static void release(void *ctx, void *chunk, size_t bytes)
{
    (void)ctx;
    if (bytes != SIM_POOL_CHUNK_BYTES)
        free(chunk);
}

struct sim *sim_new(const struct sim_config *cfg)
{
    if (sodium_init() < 0) {
        fprintf(stderr, "bauta-sim: libsodium does not start\n");
        exit(1);
    }
    modelled_use(cfg->modelled);
    struct sim *s = sim_grow(NULL, 1, sizeof *s);
    memset(s, 0, sizeof *s);
    s->head = s;
    s->config = *cfg;
    if (s->config.unix_start_s == 0)
        s->config.unix_start_s = SIM_UNIX_START_S;
    s->jobs = cfg->jobs != NULL ? cfg->jobs : sim_jobs_new();
    s->idle_since = USEC_NEVER;
    s->buf = sim_grow(NULL, SIM_TRANSMIT_BYTES, 1);
    sim_prf_init(&s->prf, cfg->seed);
    sim_network_init(&s->net, &s->prf, cfg->loss_ppm);
    pool_init(&s->pool, refill, release, &s->chunks);
    arena_init(&s->book_arena, &s->pool, SIM_BOOK_BYTES_MAX);
    return s;
}

static void stop_host(struct sim *s, uint32_t node)
{
    struct sim_host *h = s->host[node];
    if (h->node == NULL)
        return;
    sim_network_close_all(&s->net, node);
    node_free(h->node);
    h->node = NULL;
    arena_end(&h->arena);
}

static void free_payload(struct sim *s, const struct sim_event *e)
{
    if (e->payload == NULL)
        return;
    size_t bytes = sizeof(struct command);
    if (sim_event_class(e) == SIM_DATAGRAM)
        bytes = sizeof(struct datagram) + ((const struct datagram *)e->payload)->len;
    else if (sim_event_class(e) == SIM_JOB)
        bytes = sizeof(struct slow_job);
    slab_give(&s->slab, e->payload, bytes);
}

static void drop_events(struct sim *s)
{
    struct sim_event e;
    while (sim_queue_pop(&s->queue, &e) || sim_queue_pop(&s->nobodys, &e))
        free_payload(s, &e);
    sim_queue_free(&s->queue);
    sim_queue_free(&s->nobodys);
}

void sim_free(struct sim *s)
{
    drop_events(s);
    for (uint32_t k = 1; k < s->shards; k++) // before any shard's memory goes: payloads wander
        drop_events(s->shard[k]);
    for (uint32_t i = 0; i < s->hosts; i++) {
        stop_host(s, i);
        free(s->host[i]->actor);
        slab_give(&s->slab, s->host[i], sizeof *s->host[i]);
    }
    shard_free(s);
    if (s->book != NULL)
        contact_book_end(s->book);
    record_book_end(s->records);
    arena_end(&s->book_arena);
    pool_end(&s->pool);
    slab_end(&s->slab);
    slab_end(&s->chunks);
    for (uint32_t i = 0; i < s->attacks; i++)
        attack_free(s->attack[i]);
    sim_people_free(s);
    sim_network_free(&s->net);
    if (s->config.jobs == NULL)
        sim_jobs_free(s->jobs);
    sim_population_free(s);
    sim_series_free(s);
    sim_recall_free(s);
    free(s->stage);
    free(s->host);
    free(s->buf);
    free(s);
}

usec_t sim_now(const struct sim *s)
{
    return s->now;
}

uint64_t sim_events(const struct sim *s)
{
    return s->events;
}

uint32_t sim_nodes(const struct sim *s)
{
    return s->hosts;
}

bool sim_node_alive(const struct sim *s, uint32_t node)
{
    return s->host[node]->node != NULL;
}

struct node *sim_node(const struct sim *s, uint32_t node)
{
    return s->host[node]->node;
}

const struct sim_prf *sim_random(const struct sim *s)
{
    return &s->prf;
}

void sim_tap(struct sim *s,
             void (*tap)(void *, usec_t, uint32_t, const struct path *, const uint8_t *, size_t),
             void *ctx)
{
    s->tap = tap;
    s->tap_ctx = ctx;
}

unsigned sim_failures(const struct sim *s)
{
    return s->failures;
}

void sim_fail(struct sim *s, const char *format, ...)
{
    s->failures++;
    if (s->config.quiet || s->failures > 20)
        return;
    va_list args;
    fprintf(stderr, "seed %llu, at %llu us: ", (unsigned long long)s->config.seed,
            (unsigned long long)s->now);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

// ---- one node's turn --------------------------------------------------------------------------------

// `as`: whose address it bears.
static void send_one(struct sim *s, uint32_t from, uint32_t as, const struct path *to, uint8_t ttl,
                     usec_t leaves_us, const uint8_t *data, size_t len)
{
    struct sim_host *h = s->host[from];
    uint64_t number = h->number++;
    struct sim_way way;
    h->bytes_out += len + SIM_HEADER_BYTES;
    s->bytes += len + SIM_HEADER_BYTES;
    s->datagrams++;
    if (s->tap != NULL)
        s->tap(s->tap_ctx, s->now, from, to, data, len);
    if (len > SIM_DATAGRAM_BYTES_MAX) {
        s->oversized++;
        return;
    }
    if (!sim_network_carry(&s->net, leaves_us, from, to, ttl, number, len, &way) ||
        (as != from && !sim_network_forge(&s->net, as, &way)))
        return;
    struct datagram *d = slab_take(&s->slab, sizeof *d + len);
    d->way = way;
    d->queued = false;
    d->len = (uint16_t)len;
    memcpy(d->data, data, len);
    // Among the events of a forged source its numbers are the forger's, apart from its own.
    shard_push(s, leaves_us + way.takes_us, way.destination, SIM_DATAGRAM, as,
               h->sequence++ | (as != from ? SIM_FORGED_SEQUENCE : 0), d);
}

// True: there may be more.
static bool drain_sends(struct sim *s, uint32_t node)
{
    struct batch batch[NODE_TRANSMIT_BATCHES];
    size_t k = node_transmit(s->host[node]->node, s->now, s->buf, SIM_TRANSMIT_BYTES, batch,
                             NODE_TRANSMIT_BATCHES);
    bool more = k == NODE_TRANSMIT_BATCHES;
    for (size_t i = 0; i < k; i++) {
        usec_t leaves_us = batch[i].not_before > s->now ? batch[i].not_before : s->now;
        if (s->host[node]->actor != NULL)
            leaves_us += s->host[node]->actor->delay_us;
        if ((batch[i].path.via & VIA_KINDS) == VIA_TCP) // there is no TCP here
            continue;
        assert(batch[i].path.via == VIA_UDP || s->head->shards <= 1); // others read what is open
        struct rd r = rd_init(batch[i].data, batch[i].len);
        while (r.left > 0) {
            size_t len =
                batch[i].seg_size != 0 && batch[i].seg_size < r.left ? batch[i].seg_size : r.left;
            send_one(s, node, node, &batch[i].path, batch[i].ttl, leaves_us, rd_bytes(&r, len),
                     len);
        }
        more = more || batch[i].id != 0; // a channel's: it is asked until it has nothing
    }
    return more;
}

static void drain_vias(struct sim *s, uint32_t node)
{
    uint32_t via[SIM_VIAS];
    for (size_t k; (k = node_vias_closed(s->host[node]->node, via, SIM_VIAS)) > 0;)
        while (k > 0)
            sim_network_close(&s->net, node, via[--k]);
}

static bool drain_jobs(struct sim *s, uint32_t node)
{
    struct sim_host *h = s->host[node];
    struct job job;
    bool any = false;
    while (node_job(h->node, &job)) {
        struct slow_job *copy = slab_take(&s->slab, sizeof *copy);
        *copy = (struct slow_job){h->session, job};
        sim_queue_push(&s->queue, s->now + sim_job_takes_us(&job), node, SIM_JOB, node,
                       h->sequence++, copy);
        any = true;
    }
    return any;
}

static bool drain_events(struct sim *s, uint32_t node)
{
    struct node_event e;
    bool any = false;
    while (node_event(s->host[node]->node, s->now, &e)) {
        sim_people_event(s, node, &e);
        any = s->news = true;
    }
    return any;
}

static void drain_lookups(struct sim *s, uint32_t node)
{
    struct dht_lookup_stat stat;
    while (dht_lookup_stat(node_dht(s->host[node]->node), &stat)) {
        if (stat.stored && stat.ok)
            sim_hist_add(&s->announce_us, stat.took_us);
        if (stat.stored || stat.upkeep) // nobody waits for upkeep
            continue;
        s->lookups++;
        s->lookups_ok += stat.ok;
        sim_hist_add(&s->lookup_us, stat.took_us);
        sim_hist_add(&s->lookup_hops, stat.hops);
        sim_hist_add(&s->recent_us, stat.took_us);
        if (stat.ok)
            sim_recall_looked_up(s, node, stat.place);
    }
}

static void arm(struct sim *s, uint32_t node)
{
    struct sim_host *h = s->host[node];
    h->armed_us = h->deadline_us;
    if (h->armed_us != USEC_NEVER)
        sim_queue_push(&s->queue, h->armed_us, node, SIM_WAKE, node, h->sequence++, NULL);
}

// Everything that the node has to say after a call, then its one queue entry.
static void finish_turn(struct sim *s, uint32_t node)
{
    struct sim_host *h = s->host[node];
    for (uint32_t round = 0;; round++) {
        bool any = drain_sends(s, node);
        any = drain_events(s, node) || any;
        any = drain_jobs(s, node) || any;
        // Events that the node made of what it heard may have led it to send again.
        if (!any && s->out.taken == s->out.count)
            break;
        if (round == SIM_TURN_ROUNDS_MAX) {
            sim_fail(s, "node %u does not come to rest", node);
            abort();
        }
    }
    s->out.count = s->out.taken = 0; // what was handed out is copied
    drain_lookups(s, node);
    drain_vias(s, node);
    usec_t deadline = node_deadline(h->node);
    // What is due already had its budget: it goes on a microsecond later.
    if (deadline <= s->now)
        deadline = s->now + 1;
    h->deadline_us = deadline;
    if (deadline < h->armed_us)
        arm(s, node);
}

static int64_t wall_clock(const struct sim *s, const struct sim_host *h)
{
    return s->config.unix_start_s * INT64_C(1000000) + (int64_t)s->now + h->skew_us;
}

static void begin_turn(struct sim *s, uint32_t node)
{
    struct sim_host *h = s->host[node];
    if (s->now - h->clocked_us < SIM_CLOCK_EVERY_US)
        return;
    h->clocked_us = s->now;
    node_clock(h->node, s->now, wall_clock(s, h));
}

// ---- starting and killing -----------------------------------------------------------------------------

static void solve_puzzle(struct sim *s, const struct sim_host *h, struct node_config *cfg)
{
    struct net net;
    struct job job;
    uint8_t pk[32], sk[32], result[JOB_RESULT_BYTES_MAX];
    if (s->config.puzzle_bits == 0 ||
        net_init(&net, cfg->network != NULL ? cfg->network : "bauta") != 0)
        return;
    key_pair(pk, sk, h->secret);
    job_node_puzzle(&job, 1, &net, pk, s->config.puzzle_bits);
    if (sim_jobs_run(s->jobs, &job, result) == (int)sizeof cfg->puzzle_nonce)
        memcpy(cfg->puzzle_nonce, result, sizeof cfg->puzzle_nonce);
}

static void start_host(struct sim *s, void *ctx, uint64_t node)
{
    (void)ctx;
    uint32_t i = (uint32_t)node;
    struct sim_host *h = s->host[i];
    if (h->dead)
        return;
    if (h->actor != NULL && h->actor->start != NULL)
        h->actor->start(s, h->actor->ctx, i);
    if (h->actor != NULL && h->actor->alone)
        return;
    if (s->book == NULL) {
        s->book = contact_book_new(&s->book_arena, SIM_BOOK_CONTACTS(s->hosts));
        s->records = record_book_new(&s->book_arena, SIM_BOOK_RECORDS(s->hosts));
        if (s->book == NULL || s->records == NULL) {
            fprintf(stderr, "bauta-sim: the contact book does not fit its memory\n");
            exit(1);
        }
        // Else each shard's first node would give of its own randomness.
        struct sim_stream seed;
        sim_stream_init(&seed, &s->prf, SIM_NOBODY);
        book_seed(s->book, &(struct rng){sim_stream_fill, &seed});
        record_book_seed(s->records, &(struct rng){sim_stream_fill, &seed});
    }
    arena_init(&h->arena, &s->pool, SIM_NODE_ARENA_BYTES_MAX);
    if (h->session == 0)
        sim_stream_init(&h->stream, &s->prf, i);
    h->started_us = s->now;
    struct node_config cfg = {
        .network = s->config.network,
        .rng = {sim_stream_fill, &h->stream},
        .arena = &h->arena,
        .out = &s->out,
        .book = s->book,
        .records = s->records,
        .server = h->server,
        .listed = !h->candidate,
        .lab = s->config.lab,
        .prefix_limits = !s->config.lab && !s->config.no_prefix_limits,
        .puzzle_bits = s->config.puzzle_bits,
        .aes_hardware =
            sim_prf_below(&s->prf, SIM_PRF_AES, i, 0, 0, 100) >= s->config.no_aes_percent,
        .privacy = h->relayed ? NODE_RELAYED : NODE_DIRECT,
        .hops = h->two_hops ? 2 : 1,
        .relay = h->relay,
        .relay_clients_max = SIM_RELAY_CLIENTS_MAX,
        .relay_volume_bytes = UINT64_MAX,
    };
    if (h->relay)
        sim_prf_key(&s->prf, i, 0, cfg.relay_seed);
    memcpy(cfg.secret, h->secret, sizeof cfg.secret);
    if (h->actor != NULL)
        memcpy(cfg.puzzle_nonce, h->actor->puzzle_nonce, sizeof cfg.puzzle_nonce);
    if (h->server)
        solve_puzzle(s, h, &cfg);
    int rc = node_new(&h->node, s->now, &cfg);
    if (rc != 0) {
        fprintf(stderr, "bauta-sim: node_new says %d\n", rc);
        exit(1);
    }
    h->clocked_us = s->now;
    node_clock(h->node, s->now, wall_clock(s, h));
    struct path local[2];
    size_t locals = sim_network_local(&s->net, i, local);
    node_local_paths(h->node, s->now, local, locals);
    for (uint32_t b = 0; b < h->bootstraps; b++) {
        uint32_t server = h->bootstrap[b];
        struct contact c = {0};
        struct path at[2];
        uint8_t sk[32];
        key_pair(c.pk, sk, s->host[server]->secret);
        for (size_t k = sim_network_reach(&s->net, i, server, at); k-- > 0;) {
            c.path = at[k];
            rc = node_bootstrap(h->node, s->now, &c);
            if (rc != 0)
                sim_fail(s, "node %u: node_bootstrap says %d", i, rc);
        }
    }
    if (h->relay && node_relay_announce(h->node, s->now, local, locals, false, 0) != 0)
        sim_fail(s, "node %u: node_relay_announce refuses", i);
    s->started++;
    s->alive[h->server]++;
    s->class[h->class].alive++;
    sim_figures_started(s, i);
    sim_population_started(s, i);
}

void sim_node_start(struct sim *s, uint32_t node)
{
    struct sim_host *h = s->host[node];
    h->dead = false;
    if (!h->keeps_key)
        sim_prf_key(&s->prf, node, h->session, h->secret);
    start_host(s, NULL, node);
}

uint32_t sim_node_add(struct sim *s, usec_t at_us, const struct sim_node_config *cfg)
{
    if (s->hosts == s->hosts_room) {
        s->hosts_room = s->hosts_room == 0 ? 64 : 2 * s->hosts_room;
        s->host = sim_regrow(s->host, s->hosts, s->hosts_room, sizeof *s->host);
    }
    uint32_t i = s->hosts++;
    struct sim_host *h = slab_take(&s->slab, sizeof *h);
    memset(h, 0, sizeof *h);
    h->server = cfg->server;
    h->candidate = cfg->candidate;
    h->keeps_key = cfg->keeps_key;
    h->class = cfg->class;
    h->skew_us = cfg->skew_us;
    h->bootstraps = (uint8_t)cfg->bootstraps;
    memcpy(h->bootstrap, cfg->bootstrap, sizeof h->bootstrap);
    h->armed_us = USEC_NEVER;
    h->first_person = SIM_NOBODY;
    s->host[i] = h;
    const struct sim_actor *actor = cfg->actor;
    uint32_t site = sim_network_add(&s->net, s->config.lab, &cfg->site);
    assert(site == i);
    (void)site;
    sim_prf_key(&s->prf, i, 0, h->secret);
    h->relay = cfg->relay;
    h->relayed = cfg->relayed;
    h->two_hops = cfg->hops == 2;
    if (h->relay) {
        uint8_t seed[32];
        memcpy(seed, h->secret, sizeof seed);
        relay_secret(h->secret, seed);
        h->server = h->keeps_key = true;
        h->candidate = false;
        s->head->relays = true;
    }
    if (actor != NULL) {
        h->actor = sim_grow(NULL, 1, sizeof *h->actor);
        *h->actor = *actor;
        if (actor->secret != NULL)
            memcpy(h->secret, actor->secret, sizeof h->secret);
        h->actor->secret = NULL;
    }
    sim_command(s, at_us, i, SIM_NOBODY, start_host, NULL, i);
    return i;
}

void sim_node_end(struct sim *s, uint32_t node)
{
    struct sim_host *h = s->host[node];
    if (h->node != NULL) {
        s->ended++;
        s->alive[h->server]--;
        s->class[h->class].alive--;
        sim_recall_forget(s, node);
    }
    stop_host(s, node);
    h->armed_us = USEC_NEVER;
    h->dead = true;
    h->leaves = h->idle = false;
    sim_people_node_died(s, node);
    s->news = true;
}

static void kill_host(struct sim *s, void *ctx, uint64_t node)
{
    (void)ctx;
    sim_node_end(s, (uint32_t)node);
}

void sim_node_kill(struct sim *s, usec_t at_us, uint32_t node)
{
    sim_command(s, at_us, node, SIM_NOBODY, kill_host, NULL, node);
}

// ---- moving -------------------------------------------------------------------------------------------

struct move {
    struct sim_site_config site;
    usec_t notice_us;
};

static void notice_move(struct sim *s, void *ctx, uint64_t node)
{
    (void)ctx;
    uint32_t i = (uint32_t)node;
    struct path local[2];
    if (s->host[i]->node != NULL)
        node_local_paths(s->host[i]->node, s->now, local, sim_network_local(&s->net, i, local));
}

static void move_host(struct sim *s, void *ctx, uint64_t node)
{
    struct move *m = ctx;
    uint32_t i = (uint32_t)node;
    sim_network_move(&s->net, s->config.lab, i, &m->site);
    if (m->notice_us != USEC_NEVER)
        sim_command(s, s->now + m->notice_us, i, i, notice_move, NULL, i);
    slab_give(&s->slab, m, sizeof *m);
}

void sim_node_move(struct sim *s, usec_t at_us, uint32_t node, const struct sim_site_config *site,
                   usec_t notice_us)
{
    assert(s->shards <= 1); // others read where it is meanwhile
    struct move *m = slab_take(&s->slab, sizeof *m);
    *m = (struct move){*site, notice_us};
    sim_command(s, at_us, node, SIM_NOBODY, move_host, m, node);
}

// ---- actors -----------------------------------------------------------------------------------------

void sim_actor_send(struct sim *s, uint32_t host, uint32_t as, const struct path *to,
                    usec_t leaves_us, const uint8_t *data, size_t len)
{
    send_one(s, host, as, to, 0, leaves_us > s->now ? leaves_us : s->now, data, len);
}

void sim_actor_wake(struct sim *s, usec_t at_us, uint32_t host, sim_run_fn *run, void *ctx)
{
    sim_command(s, at_us, host, host, run, ctx, host);
}

const struct path *sim_path(const struct sim *s, uint32_t host)
{
    return &s->net.site[host].path;
}

void sim_server_key(const struct sim *s, uint32_t host, uint8_t pk[static 32],
                    uint8_t sk[static 32])
{
    key_pair(pk, sk, s->host[host]->secret);
}

// H_i = mix(H_i, t, class, source, len, datagram).
static void chain(struct sim_host *h, const struct sim_event *e, const struct datagram *d)
{
    struct mix_state s = {mix_load(h->chain), mix_load(h->chain + 8)};
    mix_absorb(&s, e->at_us, e->class_source);
    mix_bytes(&s, d->data, d->len);
    mix_out(&s, h->chain, sizeof h->chain);
}

// True: the actor keeps it.
static bool actor_takes(struct sim *s, const struct sim_event *e)
{
    struct sim_host *h = s->host[e->destination];
    const struct datagram *d = e->payload;
    if (h->actor == NULL || h->dead)
        return false;
    struct path from = sim_network_source(&s->net, sim_event_source(e), &d->way);
    bool taken = h->actor->receive != NULL &&
                 h->actor->receive(s, h->actor->ctx, e->destination, &from, d->data, d->len);
    if (taken || h->node == NULL) {
        chain(h, e, d);
        h->bytes_in += d->len + SIM_HEADER_BYTES;
    }
    return taken;
}

// ---- events -----------------------------------------------------------------------------------------

void sim_command(struct sim *s, usec_t at_us, uint32_t node, uint32_t source, sim_run_fn *run,
                 void *ctx, uint64_t arg)
{
    struct command *c = slab_take(&shard_of(s, node)->slab, sizeof *c);
    *c = (struct command){run, ctx, arg};
    uint32_t sequence = source == SIM_NOBODY ? s->commands++ : s->host[source]->sequence++;
    shard_push(s, at_us > s->now ? at_us : s->now, node, SIM_COMMAND, source, sequence, c);
}

void sim_at(struct sim *s, usec_t at_us, void (*run)(struct sim *, void *, uint64_t), void *ctx,
            uint64_t arg)
{
    sim_command(s, at_us, SIM_NOBODY, SIM_NOBODY, run, ctx, arg);
}

static void deliver(struct sim *s, const struct sim_event *e)
{
    struct sim_host *h = s->host[e->destination];
    struct datagram *d = e->payload;
    chain(h, e, d);
    h->bytes_in += d->len + SIM_HEADER_BYTES;
    struct rx rx = {.path = sim_network_source(&s->net, sim_event_source(e), &d->way),
                    .seg_size = d->len,
                    .len = d->len,
                    .data = d->data};
    rx.path.via = d->way.to_via;
    node_receive(h->node, s->now, &rx, 1);
}

static void wake(struct sim *s, uint32_t node)
{
    struct sim_host *h = s->host[node];
    uint32_t second = (uint32_t)(s->now / USEC_PER_S);
    h->wakes = second == h->wake_second ? h->wakes + 1 : 0;
    h->wake_second = second;
    if (h->wakes > SIM_WAKES_MAX) {
        sim_fail(s, "node %u wakes without end", node);
        abort();
    }
    h->armed_us = USEC_NEVER;
    (void)node_expire(h->node, s->now, SIM_EXPIRE_BUDGET);
}

// NAT and queue of the receiver's line. False: it goes no farther, or is in the queue again.
static bool admit(struct sim *s, struct sim_event *e)
{
    struct datagram *d = e->payload;
    usec_t wait_us = 0;
    if (d->queued)
        return true;
    if (!sim_network_admit(&s->net, s->now, sim_event_source(e), &d->way, d->len, &wait_us))
        return false;
    if (wait_us == 0)
        return true;
    d->queued = true;
    sim_queue_push(&s->queue, s->now + wait_us, e->destination, SIM_DATAGRAM, sim_event_source(e),
                   e->sequence, d);
    e->payload = NULL;
    return false;
}

static void dispatch(struct sim *s, struct sim_event *e)
{
    enum sim_class class = sim_event_class(e);
    uint32_t node = e->destination;
    struct sim_host *h = node != SIM_NOBODY ? s->host[node] : NULL;
    if (class == SIM_WAKE && (h == NULL || h->node == NULL || e->at_us != h->armed_us))
        return; // an entry that an earlier one replaced
    if (class == SIM_WAKE && h->deadline_us > s->now) {
        arm(s, node); // the deadline has moved away, as most do: the node itself is not touched
        return;
    }
    if (class == SIM_DATAGRAM && !admit(s, e))
        return;
    s->events++;
    if (class == SIM_COMMAND) {
        struct command *c = e->payload;
        if (h != NULL && h->node != NULL)
            begin_turn(s, node);
        c->run(s, c->ctx, c->arg);
    } else if (class == SIM_DATAGRAM && actor_takes(s, e)) {
        return;
    } else if (h != NULL && h->node != NULL) {
        begin_turn(s, node);
        if (class == SIM_DATAGRAM) {
            deliver(s, e);
        } else if (class == SIM_JOB) {
            const struct slow_job *j = e->payload;
            uint8_t result[JOB_RESULT_BYTES_MAX];
            int len = j->session == h->session ? sim_jobs_run(s->jobs, &j->job, result) : 0;
            if (j->session == h->session)
                node_job_done(h->node, s->now, j->job.id, result, len);
        } else {
            wake(s, node);
        }
    }
    if (h != NULL && h->node != NULL)
        finish_turn(s, node);
}

// The node of an event that will touch it.
static const void *cold_node(const struct sim *s, const struct sim_event *e)
{
    if (e == NULL || e->destination == SIM_NOBODY)
        return NULL;
    const struct sim_host *h = s->host[e->destination];
    if (sim_event_class(e) == SIM_WAKE && (h->armed_us != e->at_us || h->deadline_us > e->at_us))
        return NULL;
    return h->node;
}

// A node's memory is cold when its turn comes, in a large network: it is asked for a few events before.
static void fetch_ahead(const struct sim *s)
{
    const struct sim_event *e = sim_queue_ahead(&s->queue, SIM_FETCH_HOST);
    if (e != NULL && e->destination != SIM_NOBODY)
        __builtin_prefetch(&s->host[e->destination]);
    e = sim_queue_ahead(&s->queue, SIM_FETCH_LINES);
    if (e != NULL && e->destination != SIM_NOBODY) {
        const char *h = (const char *)s->host[e->destination];
        __builtin_prefetch(h);
        __builtin_prefetch(h + 64);
        __builtin_prefetch(e->payload);
    }
    e = sim_queue_ahead(&s->queue, SIM_FETCH_NODE);
    const char *node = cold_node(s, e);
    if (node != NULL) {
        for (size_t i = 0; i < SIM_FETCH_NODE_BYTES; i += 64)
            __builtin_prefetch(node + i);
        if (e->payload != NULL)
            for (size_t i = 64; i < 256; i += 64)
                __builtin_prefetch((const char *)e->payload + i);
    }
    e = sim_queue_ahead(&s->queue, SIM_FETCH_DHT);
    const struct node *n = cold_node(s, e);
    if (n != NULL) {
        const char *d = (const char *)node_dht(s->host[e->destination]->node);
        for (size_t i = 0; i < SIM_FETCH_DHT_BYTES; i += 64)
            __builtin_prefetch(d + i);
    }
}

static void next_event(struct sim *s)
{
    struct sim_event e;
    (void)sim_queue_pop(&s->queue, &e);
    fetch_ahead(s);
    s->now = e.at_us;
    dispatch(s, &e);
    free_payload(s, &e);
}

void sim_window(struct sim *s, usec_t end_us)
{
    const struct sim_event *first;
    while ((first = sim_queue_first(&s->queue)) != NULL && first->at_us < end_us)
        next_event(s);
}

void sim_nobodys_turn(struct sim *s)
{
    struct sim_event e;
    (void)sim_queue_pop(&s->nobodys, &e);
    s->now = e.at_us;
    dispatch(s, &e);
    free_payload(s, &e);
}

bool sim_run(struct sim *s, usec_t until_us, bool (*done)(const struct sim *, void *), void *ctx)
{
    modelled_use(s->config.modelled);
    if (s->shards > 1) {
        assert(done == NULL && s->tap == NULL);
        shard_run(s, until_us);
        return true;
    }
    if (done != NULL && done(s, ctx))
        return true;
    const struct sim_event *first;
    while ((first = sim_queue_first(&s->queue)) != NULL && first->at_us <= until_us) {
        s->news = false;
        next_event(s);
        if (s->news && done != NULL && done(s, ctx))
            return true;
    }
    s->now = until_us;
    return done == NULL || done(s, ctx);
}
