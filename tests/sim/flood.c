// What a flood costs a server, counted instead of timed: two virtual seconds of 200,000 forged datagrams each, of
// every kind that the mode flood of the benchmark sends. Key exchanges, Argon2ids, answers, bytes,
// memory; and whoever comes new meanwhile gets in.
#include "tools/bench/forge.h"
#include "tools/sim/modelled.h"

#include "tests/unit/dht/net.h"

#include <sodium.h>

#define S USEC_PER_S
#define MS USEC_PER_MS
#define RATE 200000u
#define POOL 4096u // different datagrams
#define NEWCOMERS 40u

struct world {
    struct network net;
    struct forge forge;
    struct net_rng rng;
    uint8_t (*datagram)[CLASS_FULL];
    uint16_t *len;
    bool v6;
    uint32_t sent;
    uint64_t bytes_in, bytes_out, answers;
};

static struct dht *server(struct world *w)
{
    return w->net.node[0].dht;
}

static void start(struct world *w, uint64_t seed)
{
    memset(w, 0, sizeof *w);
    net_start(&w->net, 2 + NEWCOMERS, seed);
    w->rng.state = seed;
    (void)net_add(&w->net, true);
    w->datagram = calloc(POOL, sizeof *w->datagram);
    w->len = calloc(POOL, sizeof *w->len);
    assert_non_null(w->datagram);
    assert_non_null(w->len);
    struct rng rng = {net_fill, &w->rng};
    forge_init(&w->forge, "test", server(w)->pk, &rng);
}

static void end(struct world *w)
{
    net_end(&w->net);
    free(w->datagram);
    free(w->len);
}

static struct path forged(struct world *w, enum forge_kind kind)
{
    uint8_t ip[16] = {0x20, 0x01};
    net_fill(&w->rng, ip + 2, sizeof ip - 2);
    if (kind == FORGE_TOKEN)
        return path_v4((const uint8_t[4]){9, 9, 9, 9}, 999); // whose it was
    if (w->v6)
        return path_v6(ip, 4000);
    ip[2] = (uint8_t)(1 + ip[2] % 126);
    return path_v4(ip + 2, 4000);
}

static void load(struct world *w, enum forge_kind kind)
{
    struct path owner = forged(w, kind);
    if (kind == FORGE_TOKEN)
        guard_token_next(&server(w)->server->guard, w->net.now, &owner, w->forge.e, w->forge.token);
    for (unsigned i = 0; i < POOL; i++)
        w->len[i] = forge_make(&w->forge, kind, i, w->datagram[i]);
}

// One datagram, and what the server sends for it: never more bytes than came, and nothing to anybody else.
// With a token, which somebody must have seen on the wire, an address has proven that it wants answers.
static void shoot(struct world *w, enum forge_kind kind)
{
    uint8_t copy[CLASS_FULL];
    unsigned i = w->sent++ % POOL;
    struct path from = forged(w, kind);
    size_t back = 0;
    memcpy(copy, w->datagram[i], w->len[i]);
    (void)dht_receive(server(w), w->net.now, &from, copy, w->len[i]);
    for (uint32_t k = 0; k < w->net.out->count; k++) {
        assert_true(path_equal(&w->net.out->slot[k].path, &from));
        back += w->net.out->slot[k].len;
        w->answers++;
    }
    if (kind != FORGE_TOKEN && back > w->len[i]) {
        fprintf(stderr, "%s: %u bytes came, %zu went\n", forge_name[kind], w->len[i], back);
        fail();
    }
    w->net.out->count = 0;
    w->bytes_in += w->len[i];
    w->bytes_out += back;
    net_drain(&w->net, 0);
}

// So many a second for so long, while the network goes on.
static void flood(struct world *w, enum forge_kind kind, usec_t for_us)
{
    for (usec_t until = w->net.now + for_us; w->net.now < until;) {
        shoot(w, kind);
        net_run(&w->net, S / RATE); // evenly: between bursts tokens would be left for everybody
    }
}

struct cost {
    uint64_t first, x25519, argon2id, answers, bytes_in,
        bytes_out;      // first: X25519 at its beginning
    size_t grown, left; // memory
};

static struct cost cost_of(enum forge_kind kind, bool v6)
{
    struct world w;
    start(&w, 1 + (uint64_t)kind);
    w.v6 = v6;
    load(&w, kind);
    size_t rest = w.net.node[0].arena.used_bytes;
    struct crypto_calls calm = crypto_calls();
    flood(&w, kind, S / 2); // its beginning: budgets are full
    size_t used = w.net.node[0].arena.used_bytes;
    struct crypto_calls before = crypto_calls();
    uint64_t answers = w.answers, in = w.bytes_in, out = w.bytes_out;
    flood(&w, kind, 2 * S);
    struct crypto_calls after = crypto_calls();
    struct cost c = {before.x25519 - calm.x25519,
                     after.x25519 - before.x25519,
                     after.argon2id - before.argon2id,
                     w.answers - answers,
                     w.bytes_in - in,
                     w.bytes_out - out,
                     0,
                     0};
    size_t most = w.net.node[0].arena.used_bytes;
    c.grown = most > used ? most - used : 0;
    net_run(&w.net, 400 * S); // two minutes of rest, and whoever wanted to be listed is forgotten
    size_t last = w.net.node[0].arena.used_bytes;
    c.left = last > rest ? last - rest : 0;
    print_message("%s%s: in a second %llu X25519, %llu Argon2id, %llu answers, %llu bytes in, %llu "
                  "out; memory +%zu, after it +%zu\n",
                  forge_name[kind], v6 ? " (IPv6)" : "", (unsigned long long)c.x25519 / 2,
                  (unsigned long long)c.argon2id / 2, (unsigned long long)c.answers / 2,
                  (unsigned long long)c.bytes_in / 2, (unsigned long long)c.bytes_out / 2, c.grown,
                  c.left);
    end(&w);
    return c;
}

static void what_is_no_request_costs_nothing(void **state)
{
    (void)state;
    for (enum forge_kind k = FORGE_RANDOM; k <= FORGE_CHANNEL; k++) {
        struct cost c = cost_of(k, false);
        assert_int_equal(c.x25519, 0);
        assert_int_equal(c.argon2id, 0);
        assert_int_equal(c.answers, 0);
        assert_int_equal(c.grown, 0);
        assert_int_equal(c.left, 0);
    }
}

// Cookie before any DH: of 200,000 a second none gets a key exchange.
static void first_datagrams_get_tokens_and_no_exchange(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct cost c = cost_of(i % 2 == 0 ? FORGE_MASKED : FORGE_SEALED, i >= 2);
        assert_int_equal(c.argon2id, 0);
        assert_in_range(c.first, 100, 800); // as far as it was no flood yet
        assert_true(c.x25519 <= 2 * 100);   // pings to those who asked to be listed before
        assert_true(c.answers <= 2 * (LIGHT_PER_S + 100));
        assert_true(c.bytes_out * 10 < c.bytes_in);
        assert_true(c.grown <= GATE_SPENT_BITS / 8 + 8192);
        assert_true(c.left <= 8192);
    }
}

// A token that was seen buys what one address may have, and no more.
static void a_seen_token_buys_one_share(void **state)
{
    (void)state;
    struct cost c = cost_of(FORGE_TOKEN, false);
    assert_int_equal(c.argon2id, 0);
    assert_true(c.x25519 <= 2 * (uint64_t)RATE_NODE_PER_S);
    assert_true(c.answers <= 2 * (uint64_t)RATE_NODE_PER_S);
    assert_true(c.bytes_out < c.bytes_in);
    assert_true(c.grown <= 65536);
    assert_true(c.left <= 8192);
}

// A server that gets a tenth of a core reads as many as it has time for, and the kernel drops the others. Were an
// exchange spent on each it would never see that there are more.
static void a_slow_server_sees_the_flood(void **state)
{
    (void)state;
    for (unsigned k = 0; k < 2; k++) {
        struct world w;
        start(&w, 90 + k);
        load(&w, k == 0 ? FORGE_MASKED : FORGE_SEALED);
        unsigned read = 0;
        for (usec_t until = w.net.now + 4 * S; w.net.now < until; read++) {
            struct crypto_calls before = crypto_calls();
            uint64_t answers = w.answers;
            shoot(&w, k == 0 ? FORGE_MASKED : FORGE_SEALED);
            uint64_t ns = 1500 + 35000 * (crypto_calls().x25519 - before.x25519) +
                          4000 * (w.answers - answers);
            net_run(&w.net, 10 * ns / 1000);
        }
        print_message("%s: a tenth of a core reads %u a second\n",
                      forge_name[k == 0 ? FORGE_MASKED : FORGE_SEALED], read / 4);
        assert_true(read >= 4 * 12000);
        end(&w);
    }
}

// People who know only this server start while it is flooded: a tenth of all first datagrams gets a token, and so
// do those whose second or third one brings a stamp. Each is in when it has asked three times.
static void newcomers_get_in(void **state)
{
    (void)state;
    struct world w;
    bool in[1 + NEWCOMERS] = {false};
    unsigned soon = 0, ever = 0, now = 0;
    start(&w, 77);
    struct contact c = net_contact(&w.net, 0);
    load(&w, FORGE_SEALED);
    flood(&w, FORGE_SEALED, S);
    for (unsigned i = 0; i < NEWCOMERS; i++) {
        unsigned n = net_add(&w.net, false);
        assert_int_equal(dht_bootstrap(w.net.node[n].dht, w.net.now, &c), 0);
        net_drain(&w.net, n);
    }
    for (unsigned ms = 50; ms <= 1500; ms += 50) {
        flood(&w, FORGE_SEALED, 50 * MS);
        now = 0;
        for (unsigned i = 1; i <= NEWCOMERS; i++) {
            now += dht_live(w.net.node[i].dht) > 0;
            ever += !in[i] && dht_live(w.net.node[i].dht) > 0;
            in[i] = in[i] || dht_live(w.net.node[i].dht) > 0;
        }
        soon = ms == 300 ? ever : soon;
    }
    print_message("of %u newcomers %u were in after 0.3 s, %u after 1.5 s, when %u still were\n",
                  NEWCOMERS, soon, ever, now);
    assert_true(soon >= NEWCOMERS * 3 / 4);
    assert_int_equal(ever, NEWCOMERS);
    assert_true(now >= NEWCOMERS * 9 / 10);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_request_costs_nothing),
        cmocka_unit_test(first_datagrams_get_tokens_and_no_exchange),
        cmocka_unit_test(a_seen_token_buys_one_share),
        cmocka_unit_test(a_slow_server_sees_the_flood),
        cmocka_unit_test(newcomers_get_in),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
