// One server and raw requests to it: full places, work, owners of records, load, what it sends to whom.
#include "crypto/bytes.h"
#include "dht/internal.h"
#include "tests/unit/dht/help.h"

struct world {
    uint64_t seed;
    usec_t now;
    struct arena arena, book_arena;
    struct contact_book *book;
    struct record_book *records;
    struct outbox *out;
    struct dht *server;
};

static void start(struct world *w)
{
    struct dht_config c;
    memset(w, 0, sizeof *w);
    memset(&c, 0, sizeof c);
    w->seed = 5;
    w->now = 1000 * USEC_PER_S;
    w->out = calloc(1, sizeof *w->out);
    memory_arena(&w->arena, 32u << 20);
    memory_arena(&w->book_arena, 8u << 20);
    w->book = contact_book_new(&w->book_arena, 1000);
    w->records = record_book_new(&w->book_arena, 1000);
    assert_int_equal(net_init(&c.net, "test"), 0);
    c.rng = (struct rng){help_fill, &w->seed};
    c.arena = &w->arena;
    c.out = w->out;
    c.book = w->book;
    c.records = w->records;
    help_fill(&w->seed, c.secret, 32);
    c.server = c.listed = c.prefix_limits = true;
    assert_int_equal(dht_init(&w->server, &c), 0);
    dht_clock(w->server, w->now, INT64_C(1700000000000000));
}

static void end(struct world *w)
{
    dht_free(w->server);
    contact_book_end(w->book);
    record_book_end(w->records);
    help_arena_end(&w->arena);
    help_arena_end(&w->book_arena);
    free(w->out);
}

// Somebody with a request key and an address.
struct asker {
    struct path path;
    uint8_t e[32], sk[32];
    struct rpc_keys keys;
    uint8_t token[RPC_TOKEN_BYTES];
    uint8_t salt[RECORD_SALT_BYTES];
};

static void asker_init(struct world *w, struct asker *a, uint8_t x, uint8_t y, uint8_t z)
{
    uint8_t seed[32];
    memset(a, 0, sizeof *a);
    a->path = path_v4((const uint8_t[4]){x, y, z, 1}, 4000);
    help_fill(&w->seed, seed, sizeof seed);
    help_fill(&w->seed, a->salt, sizeof a->salt);
    key_pair(a->e, a->sk, seed);
    assert_int_equal(rpc_keys_derive(&a->keys, a->sk, w->server->pk, &w->server->config.net, a->e,
                                     w->server->pk),
                     0);
}

struct got {
    unsigned datagrams, light;
    size_t bytes;
    struct wire_answer first;
    uint8_t body[CLASS_FULL];
};

// Sends one request; what comes back to the asker is opened, its token kept.
static int ask(struct world *w, struct asker *a, struct wire_request *q, uint16_t class_min,
               struct got *got)
{
    uint8_t datagram[CLASS_FULL] = {0}, nonce[RPC_NONCE_BYTES];
    struct rpc_header header;
    size_t len;
    help_fill(&w->seed, q->reply, 8);
    help_fill(&w->seed, nonce, sizeof nonce);
    assert_int_equal(wire_request_encode(q, datagram + RPC_BODY_AT, 1000, &len), 0);
    uint16_t size = class_of((uint32_t)len + RPC_REQUEST_OVERHEAD);
    size = size < class_min ? class_min : size;
    memcpy(header.e, a->e, 32);
    memcpy(header.token, a->token, RPC_TOKEN_BYTES);
    rpc_request_seal(datagram, size - RPC_REQUEST_OVERHEAD, &header, w->server->mask_key, &a->keys,
                     nonce);
    memset(got, 0, sizeof *got);
    w->out->count = 0;
    int rc = dht_receive(w->server, w->now, &a->path, datagram, size);
    for (uint32_t i = 0; i < w->out->count; i++) {
        struct outbox_slot *s = &w->out->slot[i];
        uint8_t id[8], light[8], *body;
        size_t body_len;
        if (!path_equal(&s->path, &a->path))
            continue;
        struct rpc_keys keys = a->keys;
        rpc_light_id(light, w->server->mask_key, nonce);
        if (memcmp(light, s->data, 8) == 0) {
            got->light++;
            rpc_light_keys(&keys, w->server->mask_key, a->e);
        } else {
            rpc_answer_id(id, &a->keys, q->reply, (uint8_t)got->datagrams);
            assert_memory_equal(id, s->data, 8);
        }
        assert_int_equal(rpc_answer_open(s->data, s->len, &keys, &body, &body_len), 0);
        got->bytes += s->len;
        if (got->light > 0) {
            memcpy(a->token, body, RPC_TOKEN_BYTES);
            continue;
        }
        if (got->datagrams++ == 0) {
            memcpy(got->body, body, body_len);
            assert_int_equal(wire_answer_decode(&got->first, got->body, body_len), 0);
            memcpy(a->token, got->first.token, RPC_TOKEN_BYTES);
        }
    }
    w->out->count = 0;
    return rc;
}

static void get_token(struct world *w, struct asker *a)
{
    struct wire_request q;
    struct got got;
    memset(&q, 0, sizeof q);
    q.kind = RPC_PING;
    assert_int_equal(ask(w, a, &q, CLASS_SMALL, &got), 0);
    assert_int_equal(got.datagrams, 1);
}

static const uint8_t place[32] = {0x77};

static enum rpc_status announce(struct world *w, struct asker *a, uint32_t version,
                                const struct dht_proof *proof, struct got *got)
{
    uint8_t record[RECORD_BYTES];
    struct wire_request q;
    memset(&q, 0, sizeof q);
    memset(record, (int)version, sizeof record);
    record_id(record, a->e, a->salt);
    q.kind = RPC_ANNOUNCE;
    memcpy(q.target, place, 32);
    memcpy(q.salt, a->salt, sizeof q.salt);
    q.ttl_s = 900;
    q.version = version;
    q.record = record;
    if (proof != NULL) {
        q.effort = proof->effort;
        memcpy(q.nonce, proof->nonce, sizeof q.nonce);
        memcpy(q.sol, proof->sol, sizeof q.sol);
    }
    if (ask(w, a, &q, 0, got) != 0 || got->datagrams == 0)
        return RPC_NEED_TOKEN;
    return got->first.status;
}

// Fills the place with people of as many prefixes, by hand: work is not what is tested here.
static void crowd(struct world *w, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        uint8_t record[RECORD_BYTES] = {0xc0, (uint8_t)i, (uint8_t)(i >> 8)};
        struct store_announce a = {
            .place = place, .record = record, .source = 1000 + i, .ttl_s = 900};
        assert_int_equal(store_announce(&w->server->server->store, w->now, &a), 0);
    }
}

static struct dht_proof solve(const struct asker *a, uint32_t version, uint32_t effort)
{
    uint8_t record[RECORD_BYTES], m[32], seed[POW_NONCE_BYTES] = {1};
    struct dht_proof p = {.effort = effort};
    memset(record, (int)version, sizeof record);
    record_id(record, a->e, a->salt);
    record_pow_message(m, place, record);
    assert_true(pow_solve(p.nonce, p.sol, m, record, effort, seed, 100000));
    return p;
}

static void test_effort(void **state)
{
    (void)state;
    struct world w;
    struct asker a;
    struct got got;
    start(&w);
    crowd(&w, 0, 150);
    asker_init(&w, &a, 8, 8, 8);
    get_token(&w, &a);
    assert_int_equal(announce(&w, &a, 1, NULL, &got), RPC_EFFORT);
    assert_int_equal(got.first.effort, 16);
    assert_int_equal(got.bytes, CLASS_TINY);
    // What is claimed counts for nothing: neither a wrong proof, nor one that passes the cheap test only.
    struct dht_proof good = solve(&a, 1, 16), bad = good;
    bad.sol[0] ^= 1;
    bad.effort = UINT32_MAX;
    assert_int_equal(announce(&w, &a, 1, &bad, &got), RPC_EFFORT);
    uint8_t record[RECORD_BYTES], m[32];
    memset(record, 1, sizeof record);
    record_id(record, a.e, a.salt);
    record_pow_message(m, place, record);
    bad.effort = 16;
    while (!pow_cheap(m, bad.nonce, bad.sol, bad.effort))
        bad.sol[1]++;
    if (memcmp(bad.sol, good.sol, sizeof bad.sol) != 0)
        assert_int_equal(announce(&w, &a, 1, &bad, &got), RPC_EFFORT);
    assert_int_equal(w.server->server->store.records, 150);
    good.effort = 15; // less than is wanted
    assert_int_equal(announce(&w, &a, 1, &good, &got), RPC_EFFORT);
    good.effort = 16;
    assert_int_equal(announce(&w, &a, 1, &good, &got), RPC_OK);
    assert_int_equal(got.first.live, 151);
    assert_int_equal(got.first.effort, 16);
    // A renewal needs none.
    assert_int_equal(announce(&w, &a, 1, NULL, &got), RPC_OK);
    // Another's proof is no proof.
    struct asker b;
    asker_init(&w, &b, 9, 9, 9);
    get_token(&w, &b);
    assert_int_equal(announce(&w, &b, 1, &good, &got), RPC_EFFORT);
    end(&w);
}

// Of a full place one learns in 64 bytes that it is; who is in it stays.
static void test_full(void **state)
{
    (void)state;
    struct world w;
    struct asker a, b;
    struct got got;
    struct wire_request q;
    start(&w);
    asker_init(&w, &a, 8, 8, 8);
    asker_init(&w, &b, 9, 9, 9);
    get_token(&w, &a);
    get_token(&w, &b);
    assert_int_equal(announce(&w, &a, 1, NULL, &got), RPC_OK);
    crowd(&w, 1, STORE_PLACE_FULL);
    assert_int_equal(announce(&w, &b, 1, NULL, &got), RPC_FULL);
    assert_int_equal(got.bytes, CLASS_TINY);
    assert_int_equal(got.first.hint, 1);
    assert_int_equal(got.first.live, STORE_PLACE_FULL);
    assert_int_equal(announce(&w, &a, 2, NULL, &got), RPC_OK); // renewed
    assert_int_equal(got.datagrams, 1);                        // two records, not eight
    assert_int_equal(got.first.n, 2);
    assert_true(got.first.hint > 0);
    memset(&q, 0, sizeof q);
    q.kind = RPC_SEEK;
    memcpy(q.target, place, 32);
    assert_int_equal(ask(&w, &b, &q, 0, &got), 0);
    assert_int_equal(got.datagrams, 1);
    assert_int_equal(got.first.n, 2);
    memset(&q, 0, sizeof q);
    q.kind = RPC_FIND;
    q.want = WIRE_WANT_V4;
    q.bits = 256;
    memcpy(q.target, place, 32);
    assert_int_equal(ask(&w, &b, &q, CLASS_MEDIUM, &got), 0);
    assert_int_equal(got.first.status, RPC_FULL);
    assert_int_equal(got.bytes, CLASS_TINY);
    q.bits = 200; // who names less does not mean the place
    assert_int_equal(ask(&w, &b, &q, CLASS_MEDIUM, &got), 0);
    assert_int_equal(got.first.status, RPC_OK);
    end(&w);
}

// So many come that it takes nobody: a find says so also when all who stood there have left.
static void test_hot_and_empty(void **state)
{
    (void)state;
    struct world w;
    struct asker a;
    struct got got;
    struct wire_request q;
    start(&w);
    asker_init(&w, &a, 8, 8, 8);
    get_token(&w, &a);
    struct store *s = &w.server->server->store;
    crowd(&w, 0, 1);
    for (uint64_t i = 0; i < 2 * STORE_FULL_PER_S; i++)
        store_arrival(s, w.now, place, i * UINT64_C(0x9e3779b97f4a7c15));
    uint8_t id[RECORD_ID_BYTES] = {0xc0};
    assert_int_equal(store_withdraw(s, w.now, place, id, 1000, true), 0);
    assert_int_equal(s->records, 0);
    memset(&q, 0, sizeof q);
    q.kind = RPC_FIND;
    q.want = WIRE_WANT_V4;
    q.bits = 256;
    memcpy(q.target, place, 32);
    assert_int_equal(ask(&w, &a, &q, CLASS_MEDIUM, &got), 0);
    assert_int_equal(got.first.status, RPC_FULL);
    assert_true(got.first.hint > 0);
    end(&w);
}

// Where many announce, not each is handed a record; who seeks is.
static void test_lively(void **state)
{
    (void)state;
    struct world w;
    struct asker a;
    struct got got;
    struct wire_request q;
    unsigned handed = 0, lively = 4 * STORE_SAMPLE_PER_S;
    start(&w);
    asker_init(&w, &a, 8, 8, 8);
    get_token(&w, &a);
    crowd(&w, 0, 100);
    assert_int_equal(announce(&w, &a, 1, NULL, &got), RPC_OK);
    assert_int_equal(got.first.n, 2);
    assert_int_equal(got.datagrams, DHT_SAMPLE_RECORDS_MAX / 2);
    for (uint64_t i = 1; i < lively; i++)
        store_arrival(&w.server->server->store, w.now, place, i * UINT64_C(0x9e3779b97f4a7c15));
    for (uint32_t i = 0; i < 100; i++) {
        assert_int_equal(announce(&w, &a, 2 + i, NULL, &got), RPC_OK);
        assert_int_equal(got.first.live, 101);
        assert_int_equal(got.datagrams, 1);
        assert_true(got.first.n <= 1);
        assert_int_equal(got.bytes, got.first.n == 0 ? CLASS_SMALL : CLASS_MEDIUM);
        handed += got.first.n;
    }
    assert_in_range(handed, 10, 45); // 25 are expected
    memset(&q, 0, sizeof q);
    q.kind = RPC_SEEK;
    memcpy(q.target, place, 32);
    assert_int_equal(ask(&w, &a, &q, 0, &got), 0);
    assert_int_equal(got.first.n, 2);
    end(&w);
}

// Who has copied a rec_id can neither take its place at another holder nor bury it there.
static void test_a_copied_record(void **state)
{
    (void)state;
    struct world w;
    struct asker owner, thief;
    struct got got;
    struct wire_request q;
    start(&w);
    asker_init(&w, &owner, 8, 8, 8);
    asker_init(&w, &thief, 9, 9, 9);
    get_token(&w, &owner);
    get_token(&w, &thief);
    memcpy(thief.salt, owner.salt, sizeof thief.salt); // a holder knows that too
    uint8_t record[RECORD_BYTES], rec_id[RECORD_ID_BYTES];
    memset(record, 1, sizeof record);
    record_id(record, owner.e, owner.salt);
    memcpy(rec_id, record, sizeof rec_id);
    memset(&q, 0, sizeof q);
    q.kind = RPC_ANNOUNCE;
    memcpy(q.target, place, 32);
    memcpy(q.salt, owner.salt, sizeof q.salt);
    q.ttl_s = 900;
    q.version = UINT32_MAX;
    q.record = record;
    assert_int_equal(ask(&w, &thief, &q, 0, &got), 0);
    assert_int_equal(got.first.status, RPC_LOCKED);
    memset(&q, 0, sizeof q);
    q.kind = RPC_WITHDRAW;
    memcpy(q.target, place, 32);
    memcpy(q.salt, owner.salt, sizeof q.salt);
    memcpy(q.rec_id, rec_id, sizeof rec_id);
    assert_int_equal(ask(&w, &thief, &q, 0, &got), 0);
    assert_int_equal(got.first.status, RPC_LOCKED);
    assert_int_equal(w.server->server->store.records, 0);
    assert_int_equal(w.server->server->store.stones, 0);
    assert_int_equal(announce(&w, &owner, 1, NULL, &got), RPC_OK);
    assert_int_equal(ask(&w, &thief, &q, 0, &got), 0);
    assert_int_equal(w.server->server->store.records, 1);
    assert_int_equal(ask(&w, &owner, &q, 0, &got), 0); // the same bytes, from its owner
    assert_int_equal(got.first.status, RPC_OK);
    assert_int_equal(w.server->server->store.records, 0);
    end(&w);
}

// Out of key exchanges: who has no token gets one without, and with it is served at once.
static void test_light(void **state)
{
    (void)state;
    struct world w;
    struct asker known, fresh;
    struct got got;
    struct wire_request q;
    start(&w);
    asker_init(&w, &known, 8, 8, 8);
    asker_init(&w, &fresh, 9, 9, 9);
    get_token(&w, &known);
    while (guard_dh(&w.server->server->guard, w.now, 1, false))
        continue;
    memset(&q, 0, sizeof q);
    q.kind = RPC_FIND;
    q.want = WIRE_WANT_V4;
    q.bits = 256;
    assert_int_equal(ask(&w, &fresh, &q, CLASS_MEDIUM, &got), BAUTA_ELIMIT);
    assert_int_equal(got.light, 1);
    assert_int_equal(got.bytes, CLASS_TINY);
    assert_int_equal(got.datagrams, 0);
    assert_int_equal(ask(&w, &fresh, &q, CLASS_MEDIUM, &got),
                     0); // its token is good: from the reserve
    assert_int_equal(got.datagrams, 1);
    assert_int_equal(got.light, 0);
    assert_int_equal(ask(&w, &known, &q, CLASS_MEDIUM, &got), 0); // its keys are cached
    assert_int_equal(got.datagrams, 1);
    end(&w);
}

// A contact made up for the routing table, of these address bytes.
static void know_at(struct world *w, struct path path, uint32_t mark)
{
    struct contact x;
    book_ref check;
    memset(&x, 0, sizeof x);
    memcpy(x.pk, &mark, sizeof mark);
    x.path = path;
    struct table *t = upkeep_table(w->server, path.family);
    book_ref ref = dht_hold(w->server, &x);
    (void)table_answered(t, ref, 1000, &check);
    book_drop(w->book, ref);
}

static void know(struct world *w, uint8_t a, uint8_t b, uint8_t c, uint32_t mark)
{
    know_at(w, path_v4((const uint8_t[4]){a, b, c, 7}, 5000), mark);
}

// Where not all fit, the nearest of both families are named: neither crowds the other out.
static void test_find_of_two_families(void **state)
{
    (void)state;
    struct world w;
    struct asker a;
    struct got got;
    struct wire_request q;
    start(&w);
    for (uint8_t i = 0; i < 12; i++)
        know_at(&w, path_v4((const uint8_t[4]){60, i, 1, 7}, 5000), 1u + i);
    for (uint8_t i = 0; i < 12; i++)
        know_at(&w, path_v6((const uint8_t[16]){0x26, i, 1, 7, 9}, 5000), 100u + i);
    asker_init(&w, &a, 8, 8, 8);
    memset(&q, 0, sizeof q);
    q.kind = RPC_FIND;
    q.bits = 256;
    static const uint8_t wants[] = {WIRE_WANT_V4, WIRE_WANT_V6, WIRE_WANT_V4 | WIRE_WANT_V6};
    for (unsigned k = 0; k < 3; k++) {
        unsigned of[2] = {0, 0};
        uint64_t last = 0;
        struct contact c;
        memset(a.token, 0, 8);
        q.want = wants[k];
        assert_int_equal(ask(&w, &a, &q, CLASS_CHAT, &got), 0);
        for (size_t at = 0; wire_answer_contact(&got.first, &at, &c);) {
            book_ref ref = dht_hold(w.server, &c);
            uint64_t distance = region_distance(dht_entry(w.server, ref)->id, q.target);
            book_drop(w.book, ref);
            assert_true(distance >= last);
            last = distance;
            of[c.path.family == 4 ? 0 : 1]++;
        }
        assert_int_equal(of[0] > 0, (wants[k] & WIRE_WANT_V4) != 0);
        assert_int_equal(of[1] > 0, (wants[k] & WIRE_WANT_V6) != 0);
    }
    end(&w);
}

// Two of a fine prefix, three of a coarse one; no more bytes than came in without a token.
static void test_find(void **state)
{
    (void)state;
    struct world w;
    struct asker a;
    struct got got;
    struct wire_request q;
    start(&w);
    for (uint32_t i = 0; i < 12; i++)
        know(&w, 50, 1, (uint8_t)(i / 3), i + 1);
    for (uint32_t i = 0; i < 12; i++)
        know(&w, 60, (uint8_t)i, 1, 100 + i);
    asker_init(&w, &a, 8, 8, 8);
    memset(&q, 0, sizeof q);
    q.kind = RPC_FIND;
    q.want = WIRE_WANT_V4 | WIRE_WANT_V6;
    q.bits = 256;
    for (unsigned round = 0; round < 2; round++) { // without a token, with one
        memset(a.token, 0, round == 0 ? 8 : 0);
        assert_int_equal(ask(&w, &a, &q, CLASS_CHAT, &got), 0);
        assert_true(round == 1 || got.bytes <= CLASS_CHAT);
        struct contact c;
        unsigned crowded = 0, all = 0;
        for (size_t at = 0; wire_answer_contact(&got.first, &at, &c); all++)
            crowded += c.path.ip[0] == 50;
        assert_true(crowded <= ANSWER_COARSE_MAX);
        assert_true(all >= (round == 0 ? 4 : 12));
    }
    end(&w);
}

// However much comes in, answers to what it asked itself are never refused for it.
static void test_own_answers(void **state)
{
    (void)state;
    struct world w;
    struct asker a;
    start(&w);
    struct path from = path_v4((const uint8_t[4]){50, 1, 1, 7}, 5000);
    struct contact other;
    uint8_t sk[32], seed[32] = {9};
    memset(&other, 0, sizeof other);
    key_pair(other.pk, sk, seed);
    other.path = from;
    assert_int_equal(dht_bootstrap(w.server, w.now, &other), 0);
    w.out->count = 0;
    (void)dht_expire(w.server, w.now, 10);
    assert_int_equal(w.out->count, 1);
    struct outbox_slot asked = w.out->slot[0];
    // The flood, from that very prefix.
    asker_init(&w, &a, 50, 1, 1);
    for (unsigned i = 0; i < 2 * RATE_TOTAL_PER_S; i++) {
        uint8_t junk[CLASS_SMALL], nonce[RPC_NONCE_BYTES];
        struct rpc_header header;
        memset(&header, 0, sizeof header);
        memcpy(header.e, &i, sizeof i);
        memset(junk, 0, sizeof junk);
        help_fill(&w.seed, nonce, sizeof nonce);
        rpc_request_seal(junk, sizeof junk - RPC_REQUEST_OVERHEAD, &header, w.server->mask_key,
                         &a.keys, nonce);
        struct path liar =
            path_v4((const uint8_t[4]){(uint8_t)(1 + i % 200), (uint8_t)(i / 200), 1, 1}, 4000);
        (void)dht_receive(w.server, w.now, i % 4 == 0 ? &liar : &from, junk, sizeof junk);
    }
    assert_true(w.server->count.dropped_rate > RATE_TOTAL_PER_S / 2);
    // Its answer.
    struct rpc_header header;
    struct rpc_keys keys;
    struct wire_request q;
    struct wire_answer answer;
    uint8_t mask[32], *body, id[8], nonce[RPC_NONCE_BYTES] = {1}, back[CLASS_SMALL] = {0};
    size_t len;
    node_mask_key(mask, &w.server->config.net, other.pk);
    assert_int_equal(rpc_request_unmask(&header, asked.data, asked.len, mask), 0);
    assert_int_equal(
        rpc_keys_derive(&keys, sk, header.e, &w.server->config.net, header.e, other.pk), 0);
    assert_int_equal(rpc_request_open(asked.data, asked.len, &keys, &body, &len), 0);
    assert_int_equal(wire_request_decode(&q, body, len), 0);
    memset(&answer, 0, sizeof answer);
    answer.count = 1;
    answer.kind = RPC_FIND;
    answer.seen = path_v4((const uint8_t[4]){8, 8, 8, 8}, 4000);
    assert_int_equal(wire_answer_encode(&answer, back + ANSWER_BODY_AT, 100, &len), 0);
    rpc_answer_id(id, &keys, q.reply, 0);
    rpc_answer_seal(back, sizeof back - ANSWER_OVERHEAD, id, &keys, nonce);
    assert_int_equal(dht_receive(w.server, w.now, &from, back, sizeof back), 0);
    assert_int_equal(dht_live(w.server), 1);
    end(&w);
}

// Somebody who names made-up servers makes others send there: once padded, then only what the question takes.
static void test_made_up_addresses(void **state)
{
    (void)state;
    struct world w;
    uint32_t id;
    start(&w);
    know(&w, 50, 1, 1, 9); // 9 is the base point: a key that can be asked
    assert_int_equal(dht_place_open(w.server, w.now, place, 1, &id), 0);
    size_t bytes = 0;
    unsigned sent = 0;
    for (unsigned i = 0; i < 200; i++) {
        for (uint32_t k = 0; k < w.out->count; k++)
            if (w.out->slot[k].path.ip[0] == 50 && ++sent <= RPC_SENDINGS_MAX)
                bytes += w.out->slot[k].len;
        w.out->count = 0;
        w.now += 20 * USEC_PER_MS;
        (void)dht_expire(w.server, w.now, 100);
    }
    assert_true(sent >= RPC_SENDINGS_MAX);
    assert_int_equal(bytes, CLASS_MEDIUM + 2 * CLASS_SMALL);
    dht_place_close(w.server, w.now, id);
    end(&w);
}

// Who knows a handle makes the introducer push to its owner; one source not without end.
static void test_pushes(void **state)
{
    (void)state;
    struct world w;
    struct asker owner, loud, other;
    struct got got;
    struct wire_request q;
    static const uint8_t blob[300] = {1};
    start(&w);
    asker_init(&w, &owner, 8, 8, 8);
    asker_init(&w, &loud, 9, 9, 9);
    asker_init(&w, &other, 10, 9, 9);
    get_token(&w, &owner);
    memset(&q, 0, sizeof q);
    q.kind = RPC_ATTEND;
    q.handle[0] = 1;
    q.ttl_s = 100;
    assert_int_equal(ask(&w, &owner, &q, 0, &got), 0);
    assert_int_equal(got.first.status, RPC_OK);
    q.kind = RPC_INTRODUCE;
    q.blob = blob;
    q.blob_len = sizeof blob;
    const struct intro *intro = &w.server->server->intro;
    for (unsigned i = 0; i < 100; i++) {
        q.link[0] = (uint8_t)i;
        assert_int_equal(ask(&w, &loud, &q, 0, &got), 0);
    }
    assert_int_equal(intro->pushes_out, INTRO_PUSHES_SOURCE_PER_S);
    q.link[1] = 1;
    assert_int_equal(ask(&w, &other, &q, 0, &got), 0);
    assert_int_equal(intro->pushes_out, INTRO_PUSHES_SOURCE_PER_S + 1);
    w.now += USEC_PER_S;
    q.link[1] = 2;
    assert_int_equal(ask(&w, &loud, &q, 0, &got), 0);
    assert_int_equal(intro->pushes_out, INTRO_PUSHES_SOURCE_PER_S + 2);
    end(&w);
}

// A server that has been left alone for a while has given back what requests made it take.
static void test_rest(void **state)
{
    (void)state;
    struct world w;
    struct asker a;
    struct got got;
    start(&w);
    size_t rest = w.arena.used_bytes;
    for (uint8_t i = 1; i < 100; i++) {
        w.now += USEC_PER_S / 20;
        asker_init(&w, &a, 8, i, 8);
        get_token(&w, &a);
        assert_int_equal(announce(&w, &a, 1, NULL, &got), RPC_OK);
    }
    assert_true(w.arena.used_bytes > rest + 10000);
    for (unsigned i = 0; i < 4000; i++) {
        w.now += USEC_PER_S / 2;
        (void)dht_expire(w.server, w.now, 100);
    }
    assert_int_equal(w.server->server->store.records, 0);
    assert_true(w.arena.used_bytes <= rest + 1024);
    assert_true(sizeof(struct server) <= 1536);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_effort),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_hot_and_empty),
        cmocka_unit_test(test_lively),
        cmocka_unit_test(test_a_copied_record),
        cmocka_unit_test(test_light),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_find_of_two_families),
        cmocka_unit_test(test_own_answers),
        cmocka_unit_test(test_made_up_addresses),
        cmocka_unit_test(test_pushes),
        cmocka_unit_test(test_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
