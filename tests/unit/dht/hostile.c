// Servers that play foul: each test is an attack by somebody who holds a server key, or an address.
#include "crypto/bytes.h"
#include "tests/unit/dht/net.h"

#define EVIL_PORT 5000u
#define EVILS 64u

// ---- somebody with server keys who answers as it likes ----------------------------------------------

struct evil {
    uint8_t sk[EVILS][32], pk[EVILS][32], mask_key[EVILS][32];
    struct net net;
    unsigned victim; // a node of the network
    unsigned pings;  // that the victim has sent to any of them
};

static void evil_start(struct evil *v, unsigned victim)
{
    memset(v, 0, sizeof *v);
    assert_int_equal(net_init(&v->net, "test"), 0);
    v->victim = victim;
    for (unsigned i = 0; i < EVILS; i++) {
        uint8_t seed[32] = {(uint8_t)i, 0xee};
        key_pair(v->pk[i], v->sk[i], seed);
        node_mask_key(v->mask_key[i], &v->net, v->pk[i]);
    }
}

static struct path evil_path(unsigned i)
{
    return path_v4((const uint8_t[4]){127, 0, 0, 1}, (uint16_t)(EVIL_PORT + i));
}

// A question of evil server i to the victim, of `bytes`, that wants to be listed.
static void evil_question(struct network *w, const struct evil *v, unsigned i, enum rpc_kind kind,
                          uint16_t bytes)
{
    struct net_datagram g;
    struct rpc_header header = {0};
    struct rpc_keys keys;
    struct wire_request q;
    const struct dht *d = w->node[v->victim].dht;
    uint8_t seed[32], e_sk[32], nonce[RPC_NONCE_BYTES];
    size_t len;
    memset(&g, 0, sizeof g);
    memset(&q, 0, sizeof q);
    net_fill(&w->rng, seed, sizeof seed);
    net_fill(&w->rng, nonce, sizeof nonce);
    net_fill(&w->rng, header.token, sizeof header.token);
    key_pair(header.e, e_sk, seed);
    assert_int_equal(rpc_keys_derive(&keys, e_sk, d->pk, &v->net, header.e, d->pk), 0);
    q.kind = kind;
    q.want = WIRE_WANT_V4;
    q.bits = 256;
    q.has_self = true;
    memcpy(q.pk, v->pk[i], 32);
    assert_int_equal(wire_request_encode(&q, g.data + RPC_BODY_AT, 1000, &len), 0);
    g.len = bytes;
    rpc_request_seal(g.data, g.len - RPC_REQUEST_OVERHEAD, &header, d->mask_key, &keys, nonce);
    g.at = w->now;
    g.from = evil_path(i);
    g.to = w->node[v->victim].path;
    net_queue(w, &g);
}

// Whatever the victim asks an evil server, the answer is: your token is bad, here is another.
static bool evil_never_content(struct network *w, struct net_datagram *g, void *ctx)
{
    struct evil *v = ctx;
    unsigned i = (unsigned)g->to.port - EVIL_PORT;
    if (g->to.port < EVIL_PORT || i >= EVILS)
        return true;
    struct rpc_header header;
    struct rpc_keys keys;
    struct wire_request q;
    struct wire_answer a;
    struct net_datagram back;
    uint8_t *body, id[8], nonce[RPC_NONCE_BYTES];
    size_t body_len;
    if (rpc_request_unmask(&header, g->data, g->len, v->mask_key[i]) != 0)
        return false; // an answer to its ping
    assert_int_equal(rpc_keys_derive(&keys, v->sk[i], header.e, &v->net, header.e, v->pk[i]), 0);
    assert_int_equal(rpc_request_open(g->data, g->len, &keys, &body, &body_len), 0);
    assert_int_equal(wire_request_decode(&q, body, body_len), 0);
    v->pings++;
    memset(&a, 0, sizeof a);
    memset(&back, 0, sizeof back);
    a.count = 1;
    a.kind = q.kind;
    a.status = RPC_NEED_TOKEN;
    assert_int_equal(wire_answer_encode(&a, back.data + ANSWER_BODY_AT, 1000, &body_len), 0);
    rpc_answer_id(id, &keys, q.reply, 0);
    net_fill(&w->rng, nonce, sizeof nonce);
    back.len = CLASS_TINY;
    rpc_answer_seal(back.data, back.len - ANSWER_OVERHEAD, id, &keys, nonce);
    back.at = w->now + NET_DELAY_US;
    back.from = g->to;
    back.to = g->from;
    net_queue(w, &back);
    return false;
}

// Who asks to be listed and then refuses every token must not use up the pings to newcomers for ever.
static void test_newcomers_who_want_another_token(void **state)
{
    (void)state;
    struct network w;
    struct evil v;
    net_start(&w, 2, 71);
    unsigned victim = net_add(&w, true);
    evil_start(&v, victim);
    w.tap = evil_never_content;
    w.tap_ctx = &v;
    for (unsigned i = 0; i < EVILS; i++) {
        evil_question(&w, &v, i, RPC_PING, CLASS_MEDIUM);
        net_run(&w, 100 * USEC_PER_MS);
    }
    assert_true(v.pings >= EVILS);
    net_run(&w, 10 * USEC_PER_S);
    assert_int_equal(w.node[victim].dht->upkeep.verifying, 0);
    assert_int_equal(w.node[victim].dht->call_count, 0);
    unsigned newcomer = net_add(&w, true);
    struct contact c = net_contact(&w, victim);
    assert_int_equal(dht_bootstrap(w.node[newcomer].dht, w.now, &c), 0);
    net_drain(&w, newcomer);
    net_run(&w, 10 * USEC_PER_S);
    assert_int_equal(dht_live(w.node[victim].dht), 1);
    net_end(&w);
}

// Requests that claim to come from everywhere do not keep out who has proven its address.
struct drawn {
    size_t bytes;
    unsigned datagrams;
};

static bool tap_drawn(struct network *w, struct net_datagram *g, void *ctx)
{
    struct drawn *drawn = ctx;
    (void)w;
    if (g->to.port < EVIL_PORT)
        return true;
    drawn->bytes += g->len;
    drawn->datagrams++;
    return false;
}

// A source that may be spoofed draws no more than it sent: the answer, and the ping to the newcomer.
static void test_a_newcomer_draws_no_more_than_it_sent(void **state)
{
    (void)state;
    static const uint16_t bytes[] = {CLASS_SMALL, CLASS_CHAT, CLASS_MEDIUM, CLASS_FULL};
    struct network w;
    struct evil v;
    struct drawn drawn;
    unsigned pinged = 0;
    net_start(&w, 12, 73);
    for (unsigned i = 0; i < 12; i++) { // so that finds have something to say
        (void)net_add(&w, true);
        struct contact first = net_contact(&w, 0);
        assert_int_equal(dht_bootstrap(w.node[i].dht, w.now, &first), 0);
        net_drain(&w, i);
    }
    net_run(&w, 5 * USEC_PER_S);
    evil_start(&v, 0);
    w.tap = tap_drawn;
    w.tap_ctx = &drawn;
    for (unsigned k = 0; k < 2 * sizeof bytes / sizeof bytes[0]; k++) {
        memset(&drawn, 0, sizeof drawn);
        evil_question(&w, &v, k, k % 2 == 0 ? RPC_PING : RPC_FIND, bytes[k / 2]);
        net_run(&w, 100 * USEC_PER_MS);
        assert_true(drawn.datagrams >= 1 && drawn.bytes <= bytes[k / 2]);
        pinged += drawn.datagrams == 2; // the answer, and the ping that it paid for
    }
    assert_int_equal(pinged, 3);
    net_end(&w);
}

static void test_spoofed_newcomers(void **state)
{
    (void)state;
    struct network w;
    struct evil v;
    net_start(&w, 1, 72);
    unsigned victim = net_add(&w, true);
    struct dht *d = w.node[victim].dht;
    evil_start(&v, victim);
    for (unsigned i = 0; i < EVILS; i++)
        evil_question(&w, &v, i, RPC_PING, CLASS_MEDIUM);
    net_run(&w, 10 * USEC_PER_MS);
    assert_true(d->upkeep.verifying > 0 && d->upkeep.verifying < VERIFY_MAX);
    struct path from = path_v4((const uint8_t[4]){127, 0, 0, 2}, 6000);
    struct wire_request q;
    memset(&q, 0, sizeof q);
    q.pk[0] = 9;
    unsigned before = d->upkeep.verifying;
    upkeep_candidate(d, &from, &q, false);
    assert_int_equal(d->upkeep.verifying, before);
    upkeep_candidate(d, &from, &q, true);
    assert_int_equal(d->upkeep.verifying, before + 1);
    w.out->count = 0;
    net_run(&w, 10 * USEC_PER_S);
    assert_int_equal(d->upkeep.verifying, 0);
    assert_true(upkeep_family_works(d, 4)); // nor does their silence say anything
    net_end(&w);
}

// ---- a holder that answers questions and stores nothing ---------------------------------------------

struct deaf {
    unsigned holder;
    bool on;
    unsigned finds, announces; // to it
};

static bool tap_deaf(struct network *w, struct net_datagram *g, void *ctx)
{
    struct deaf *x = ctx;
    const struct dht *d = w->node[x->holder].dht;
    struct net_datagram copy = *g;
    struct rpc_header header;
    struct rpc_keys keys;
    uint8_t *body;
    size_t len;
    if (!path_equal(&g->to, &w->node[x->holder].path) ||
        rpc_request_unmask(&header, copy.data, copy.len, d->mask_key) != 0 ||
        rpc_keys_derive(&keys, d->config.secret, header.e, &d->config.net, header.e, d->pk) != 0 ||
        rpc_request_open(copy.data, copy.len, &keys, &body, &len) != 0)
        return true;
    x->finds += body[0] == RPC_FIND;
    x->announces += body[0] == RPC_ANNOUNCE;
    return !x->on || body[0] != RPC_ANNOUNCE;
}

static void start_deaf(struct network *w, struct deaf *x, uint64_t seed, unsigned *client)
{
    net_start(w, 4, seed);
    for (unsigned i = 0; i < 3; i++) {
        (void)net_add(w, true);
        struct contact first = net_contact(w, 0);
        assert_int_equal(dht_bootstrap(w->node[i].dht, w->now, &first), 0);
        net_drain(w, i);
    }
    net_run(w, 30 * USEC_PER_S);
    *client = net_add(w, false);
    struct contact first = net_contact(w, 0);
    assert_int_equal(dht_bootstrap(w->node[*client].dht, w->now, &first), 0);
    net_drain(w, *client);
    net_run(w, 10 * USEC_PER_S);
    memset(x, 0, sizeof *x);
    x->holder = 1;
    w->tap = tap_deaf;
    w->tap_ctx = x;
}

static uint32_t announce_at(struct network *w, unsigned client)
{
    static const uint8_t where[32] = {5};
    uint8_t record[RECORD_BYTES];
    uint32_t place;
    memset(record, 7, sizeof record);
    assert_int_equal(dht_place_open(w->node[client].dht, w->now, where, 1, &place), 0);
    assert_int_equal(dht_place_record_id(w->node[client].dht, place, record), 0);
    assert_int_equal(dht_place_announce(w->node[client].dht, w->now, place, record, 600, NULL), 0);
    net_drain(w, client);
    return place;
}

// It must not make whoever announces near it look up again and again.
static void test_a_holder_that_never_stores(void **state)
{
    (void)state;
    struct network w;
    struct deaf x;
    unsigned client;
    start_deaf(&w, &x, 73, &client);
    x.on = true;
    (void)announce_at(&w, client);
    uint64_t before = w.node[client].dht->count.lookups;
    net_run(&w, 120 * USEC_PER_S);
    uint64_t lookups = w.node[client].dht->count.lookups - before;
    assert_true(x.announces > 3); // it is given another chance
    assert_true(lookups < 30);
    net_end(&w);
}

// A renewal that was lost at a holder is made up for before the record there runs out.
static void test_a_lost_renewal_is_repeated(void **state)
{
    (void)state;
    struct network w;
    struct deaf x;
    unsigned client;
    start_deaf(&w, &x, 74, &client);
    (void)announce_at(&w, client);
    net_run(&w, 200 * USEC_PER_S); // renewal comes after 300 to 450 s
    assert_int_equal(w.node[1].dht->server->store.records, 1);
    x.on = true;
    unsigned sent = x.announces;
    while (x.announces < sent + RPC_SENDINGS_MAX)
        net_run(&w, 100 * USEC_PER_MS);
    net_run(&w, 100 * USEC_PER_MS);
    x.on = false;
    for (unsigned s = 0; s < 500; s++) {
        net_run(&w, USEC_PER_S);
        assert_int_equal(w.node[1].dht->server->store.records, 1);
    }
    net_end(&w);
}

// An introducer that makes its attender answer without end and acknowledges nothing leaves the others
// their calls.
static void test_an_introducer_that_never_acknowledges(void **state)
{
    (void)state;
    struct network w;
    struct deaf x;
    unsigned client;
    static const uint8_t handle[DHT_HANDLE_BYTES] = {1}, blob[DHT_ANSWER_BYTES] = {2};
    uint8_t link[DHT_LINK_BYTES] = {0};
    start_deaf(&w, &x, 79, &client);
    struct dht *d = w.node[client].dht;
    uint32_t place = announce_at(&w, client), attend;
    struct contact introducer = net_contact(&w, 1);
    net_run(&w, USEC_PER_S);
    assert_int_equal(dht_attend_open(d, w.now, place, &introducer, handle, 1, &attend), 0);
    net_drain(&w, client);
    assert_non_null(net_wait(&w, client, DHT_ATTENDING, attend, USEC_PER_S));
    uint32_t calls = d->call_count;
    for (unsigned i = 0; i < 1000; i++) {
        link[0] = (uint8_t)i;
        assert_int_equal(dht_attend_answer(d, w.now, attend, link, blob, sizeof blob), 0);
        w.out->count = 0; // nothing gets there
    }
    assert_true(d->call_count <= calls + ATTEND_ANSWERS_MAX);
    net_run(&w, 60 * USEC_PER_S);
    net_end(&w);
}

// ---- liars about the own address ---------------------------------------------------------------------

struct liars {
    unsigned victim, first, n;
};

// What the victim sends to a liar seems to come from elsewhere, so that is what the liar says.
static bool tap_liars(struct network *w, struct net_datagram *g, void *ctx)
{
    const struct liars *x = ctx;
    struct path elsewhere = path_v4((const uint8_t[4]){10, 9, 9, 9}, 4444);
    unsigned to = (unsigned)g->to.port - NET_PORT;
    if (path_equal(&g->from, &w->node[x->victim].path) && to >= x->first && to < x->first + x->n)
        g->from = elsewhere;
    if (path_equal(&g->to, &elsewhere))
        g->to = w->node[x->victim].path;
    return true;
}

// Two servers that agree on a wrong address do not move the centre to and fro for ever.
static void test_liars_about_the_address(void **state)
{
    (void)state;
    struct network w;
    struct liars x = {0, 4, 2};
    net_start(&w, 6, 75);
    w.tap = tap_liars;
    w.tap_ctx = &x;
    for (unsigned i = 0; i < 6; i++) {
        (void)net_add(&w, true);
        struct contact first = net_contact(&w, i == 0 ? 0 : 1);
        if (i != 0)
            assert_int_equal(dht_bootstrap(w.node[i].dht, w.now, &first), 0);
        net_drain(&w, i);
    }
    struct contact other = net_contact(&w, 1);
    assert_int_equal(dht_bootstrap(w.node[0].dht, w.now, &other), 0);
    net_drain(&w, 0);
    net_run(&w, 60 * USEC_PER_S);
    uint64_t before = w.node[0].dht->count.lookups;
    net_run(&w, 600 * USEC_PER_S);
    assert_int_equal(dht_live(w.node[0].dht), 5);
    assert_true(path_equal(&w.node[0].dht->upkeep.seen[0], &w.node[0].path));
    assert_true(w.node[0].dht->count.lookups - before < 20);
    net_end(&w);
}

// ---- made-up servers ----------------------------------------------------------------------------------

// An endless chain of ever nearer servers does not keep a look-up going.
static void test_ever_nearer_servers(void **state)
{
    (void)state;
    struct network w;
    net_start(&w, 1, 76);
    unsigned i = net_add(&w, false);
    struct dht *d = w.node[i].dht;
    static const uint8_t target[32] = {0};
    uint32_t id = 0;
    struct contact c;
    memset(&c, 0, sizeof c);
    c.path = evil_path(0);
    c.pk[0] = 9;
    // One server is known, which answers with the next ones; here its answers are put in by hand.
    book_ref ref = dht_hold(d, &c), check;
    d->table[0] = arena_take(&w.node[i].arena, sizeof *d->table[0]);
    table_init(d->table[0], &w.node[i].arena, w.book, false, d->hash_key, d->centre[0]);
    assert_int_equal(table_answered(d->table[0], ref, 1, &check), TABLE_ADDED);
    book_drop(w.book, ref);
    id = lookup_start(d, target, NULL, CLASS_CHAT, false, 0);
    assert_int_not_equal(id, 0);
    w.out->count = 0;
    unsigned answers = 0;
    static book_ref made[400 * 8];
    uint32_t n = 0;
    for (; lookup_find(d, id) != NULL && answers < 400; answers++) {
        struct call *x = d->calls;
        assert_non_null(x);
        while (x->owner_kind != CALL_LOOKUP || x->tag == 1) {
            x = x->next;
            assert_non_null(x);
        }
        x->tag = 1; // answered by hand
        struct wire_answer a;
        memset(&a, 0, sizeof a);
        a.kind = RPC_FIND;
        uint8_t body[CLASS_FULL];
        struct wire_part part;
        a.count = 1;
        a.seen = w.node[0].path;
        assert_int_equal(wire_part_begin(&part, &a, body, sizeof body), 0);
        for (uint32_t until = n + 8; n < until; n++) {
            uint32_t left = 1000000 - n; // ever nearer to zero; finding such a key costs work
            memcpy(c.pk, &(uint32_t){n + 10}, sizeof n);
            made[n] = dht_hold(d, &c);
            uint8_t *far = (uint8_t *)(uintptr_t)dht_entry(d, made[n])->id;
            memset(far, 0, 32);
            for (unsigned byte = 0; byte < 4; byte++)
                far[4 + byte] = (uint8_t)(left >> (24 - 8 * byte));
            assert_true(wire_part_contact(&part, &c));
        }
        assert_int_equal(wire_answer_decode(&a, body, part.len), 0);
        lookup_answered(d, x, &a, x->ref);
        w.out->count = 0;
    }
    while (n > 0)
        book_drop(w.book, made[--n]);
    assert_true(answers <= LOOKUP_ASKED_MAX);
    assert_null(lookup_find(d, id));
    net_run(&w, 60 * USEC_PER_S);
    net_end(&w);
}

// ---- what servers learn of whom they are asked by -----------------------------------------------------

// Fills the first buckets of a client's table with servers that do not exist.
static void fill_table(struct network *w, unsigned i, unsigned buckets)
{
    struct dht *d = w->node[i].dht;
    struct contact c;
    book_ref check;
    memset(&c, 0, sizeof c);
    c.path = evil_path(0);
    d->table[0] = arena_take(&w->node[i].arena, sizeof *d->table[0]);
    table_init(d->table[0], &w->node[i].arena, w->book, false, d->hash_key, d->centre[0]);
    for (uint32_t k = 10; d->table[0]->live < buckets * TABLE_K; k++) {
        memcpy(c.pk, &k, sizeof k);
        book_ref ref = dht_hold(d, &c);
        if (id_common_bits(dht_entry(d, ref)->id, d->centre[0]) < buckets)
            (void)table_answered(d->table[0], ref, 1, &check);
        book_drop(w->book, ref);
    }
}

// Servers on the way to a place do not learn it.
static void test_the_way_does_not_learn_the_place(void **state)
{
    (void)state;
    struct network w;
    net_start(&w, 1, 77);
    unsigned i = net_add(&w, false), on_the_way = 0, near = 0;
    struct dht *d = w.node[i].dht;
    fill_table(&w, i, 4);
    assert_int_equal(dht_zone_bits(d), 4);
    for (unsigned k = 0; k < 3; k++) { // of 300 servers
        uint64_t distance[LOOKUP_NEAR];
        for (uint64_t j = 0; j < LOOKUP_NEAR; j++)
            distance[j] = UINT64_MAX / 300 * (j + 1);
        size_sample(&d->size, w.now, distance, LOOKUP_NEAR, false);
    }
    assert_int_equal(dht_zone_bits(d), 4);
    uint64_t radius = size_radius(size_estimate(&d->size), REGION_EXPECTED);
    uint8_t where[32];
    uint32_t id;
    memcpy(where, d->centre[0], 32);
    where[0] ^= 0x80; // in the farther half
    assert_int_equal(dht_place_open(d, w.now, where, 1, &id), 0);
    net_drain(&w, i);
    for (unsigned s = 0; s < 20; s++) {
        net_run(&w, 200 * USEC_PER_MS);
        for (const struct call *c = d->calls; c != NULL; c = c->next) {
            struct wire_request q;
            if (c->kind != RPC_FIND || c->place != id)
                continue;
            assert_int_equal(wire_request_decode(&q, c->body, c->body_len), 0);
            const uint8_t *who = dht_entry(d, c->ref)->id;
            uint64_t distance = 0;
            for (unsigned j = 0; j < 8; j++)
                distance = distance << 8 | (uint8_t)(who[j] ^ where[j]);
            if (distance < radius) {
                near += q.bits == 256;
                continue;
            }
            assert_true(q.bits <= id_common_bits(who, where) + LOOKUP_BLUR_BITS);
            assert_true(q.bits <= 4);
            assert_true(id_common_bits(q.target, where) < 32);
            on_the_way++;
        }
    }
    assert_true(on_the_way > 0 && near > 0);
    net_end(&w);
}

struct targets {
    unsigned client, finds;
    uint8_t centre[32];
};

static bool tap_targets(struct network *w, struct net_datagram *g, void *ctx)
{
    struct targets *x = ctx;
    unsigned to = (unsigned)g->to.port - NET_PORT;
    struct net_datagram copy = *g;
    struct rpc_header header;
    struct rpc_keys keys;
    struct wire_request q;
    uint8_t *body;
    size_t len;
    if (x->client == 0 || !path_equal(&g->from, &w->node[x->client].path))
        return true;
    const struct dht *d = w->node[to].dht;
    if (rpc_request_unmask(&header, copy.data, copy.len, d->mask_key) != 0 ||
        rpc_keys_derive(&keys, d->config.secret, header.e, &d->config.net, header.e, d->pk) != 0 ||
        rpc_request_open(copy.data, copy.len, &keys, &body, &len) != 0 ||
        wire_request_decode(&q, body, len) != 0 || q.kind != RPC_FIND)
        return true;
    assert_true(id_common_bits(q.target, x->centre) < 32);
    x->finds++;
    return true;
}

// A client's centre would tell its run from all others, under whatever address: it stays at home.
static void test_the_centre_of_a_client_stays_at_home(void **state)
{
    (void)state;
    struct network w;
    struct targets x = {0, 0, {0}};
    net_start(&w, 5, 78);
    for (unsigned i = 0; i < 4; i++) {
        (void)net_add(&w, true);
        struct contact first = net_contact(&w, 0);
        assert_int_equal(dht_bootstrap(w.node[i].dht, w.now, &first), 0);
        net_drain(&w, i);
    }
    net_run(&w, 10 * USEC_PER_S);
    w.tap = tap_targets;
    w.tap_ctx = &x;
    x.client = net_add(&w, false);
    memcpy(x.centre, w.node[x.client].dht->centre[0], 32);
    struct contact first = net_contact(&w, 0);
    assert_int_equal(dht_bootstrap(w.node[x.client].dht, w.now, &first), 0);
    net_drain(&w, x.client);
    net_run(&w, 60 * USEC_PER_S);
    assert_int_equal(dht_live(w.node[x.client].dht), 4);
    assert_true(x.finds > 4);
    net_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_newcomers_who_want_another_token),
        cmocka_unit_test(test_a_newcomer_draws_no_more_than_it_sent),
        cmocka_unit_test(test_spoofed_newcomers),
        cmocka_unit_test(test_a_holder_that_never_stores),
        cmocka_unit_test(test_a_lost_renewal_is_repeated),
        cmocka_unit_test(test_an_introducer_that_never_acknowledges),
        cmocka_unit_test(test_liars_about_the_address),
        cmocka_unit_test(test_ever_nearer_servers),
        cmocka_unit_test(test_the_way_does_not_learn_the_place),
        cmocka_unit_test(test_the_centre_of_a_client_stays_at_home),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
