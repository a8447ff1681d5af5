// checks: what each thing costs that stands between a datagram and a server's work, in the order in which they
// come; and a whole forged datagram of each kind while a flood is on.
#include "crypto/packet.h"
#include "crypto/stamp.h"
#include "dht/internal.h"
#include "tools/bench/bench.h"
#include "tools/bench/forge.h"
#include "tools/bench/pool.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define MANY 300000u
#define SOME 3000u // of what takes microseconds
#define FEW 300u
#define POOL 1024u
#define ARENA_BYTES (8u << 20)
#define FLOOD_US 5u // between two datagrams
#define CONTACTS 1000u
#define RECORDS 1000u

struct bench {
    struct pool pool;
    struct arena arena;
    struct outbox *out;
    struct dht *dht;
    usec_t now;
    struct forge forge;
    uint8_t datagram[POOL][CLASS_FULL];
    uint16_t len[POOL];
};

static void fill(void *ctx, void *buf, size_t len)
{
    (void)ctx;
    randombytes_buf(buf, len);
}

static int open_server(struct bench *b)
{
    struct dht_config c;
    memset(&c, 0, sizeof c);
    bench_pool(&b->pool);
    arena_init(&b->arena, &b->pool, ARENA_BYTES);
    b->now = 1000 * USEC_PER_S;
    b->out = calloc(1, sizeof *b->out);
    c.rng = (struct rng){fill, NULL};
    c.arena = &b->arena;
    c.out = b->out;
    c.book = contact_book_new(&b->arena, CONTACTS);
    c.records = record_book_new(&b->arena, RECORDS);
    c.server = c.listed = c.prefix_limits = true;
    fill(NULL, c.secret, sizeof c.secret);
    if (b->out == NULL || net_init(&c.net, "checks") != 0 || dht_init(&b->dht, &c) != 0)
        return -1;
    dht_clock(b->dht, b->now, INT64_C(1800000000000000));
    forge_init(&b->forge, "checks", b->dht->pk, &c.rng);
    return 0;
}

// Nanoseconds of one of n.
#define COST(name, n, ...)                                                                         \
    do {                                                                                           \
        double from = bench_cpu_s();                                                               \
        for (unsigned i = 0; i < (n); i++) {                                                       \
            __VA_ARGS__;                                                                           \
        }                                                                                          \
        printf(", \"" name "_ns\": %.0f", (bench_cpu_s() - from) * 1e9 / (n));                     \
    } while (0)

static void single(struct bench *b)
{
    struct dht *d = b->dht;
    struct rpc_header h;
    struct rpc_keys keys = {{0}, {0}};
    struct rpc_root root;
    uint8_t *g = b->datagram[0], cid[CID_BYTES], *body, m[32] = {0}, sol[32] = {0};
    uint8_t nonce[RPC_NONCE_BYTES] = {0}, mask[16] = {0};
    size_t len;
    uint64_t tag;
    struct path p = path_v4((const uint8_t[4]){9, 9, 9, 9}, 999);
    fill(NULL, g, CLASS_MEDIUM);
    COST("own_answer", MANY, dht_is_answer(d, g, CLASS_MEDIUM));
    COST("cid", MANY, packet_cid(cid, g, CLASS_MEDIUM, mask));
    COST("mask", MANY, rpc_request_unmask_as(&h, g, CLASS_MEDIUM, d->mask_key, d->request_id));
    COST("token", MANY, guard_token(&d->server->guard, d->now, &p, b->forge.e, h.token));
    COST("flooded", MANY, gate_arrived(&d->server->gate, d->now));
    COST("stamp", MANY, stamp_bits(d->mask_key, b->forge.e, nonce, 1800000000, &tag));
    COST("rate", MANY,
         guard_rate(&d->server->guard, d->now, &p, guard_source(&d->server->guard, &p), true));
    COST("x25519", SOME, (void)rpc_root_derive(&root, d->config.secret, b->forge.e));
    COST("keys", MANY, rpc_root_keys(&keys, &root, &d->config.net, b->forge.e, d->pk));
    COST("open", MANY, (void)rpc_request_open(g, CLASS_MEDIUM, &keys, &body, &len));
    COST("proof_cheap", MANY, (void)pow_cheap(m, nonce, sol, 4096));
    COST("argon2id", FEW, (void)pow_check(m, m, nonce, sol, 1));
}

// While the flood is on: virtual time, 200,000 a second, each from another address.
static void whole(struct bench *b, enum forge_kind kind)
{
    struct path from = path_v4((const uint8_t[4]){9, 9, 9, 9}, 999);
    if (kind == FORGE_TOKEN)
        guard_token_next(&b->dht->server->guard, b->now, &from, b->forge.e, b->forge.token);
    for (unsigned i = 0; i < POOL; i++)
        b->len[i] = forge_make(&b->forge, kind, i, b->datagram[i]);
    double start = 0;
    for (unsigned i = 0; i < 2 * MANY; i++) {
        uint8_t copy[CLASS_FULL];
        if (i == MANY)
            start = bench_cpu_s();
        memcpy(copy, b->datagram[i % POOL], b->len[i % POOL]);
        if (kind != FORGE_TOKEN)
            from = path_v4((const uint8_t[4]){(uint8_t)(1 + i % 100), (uint8_t)(i / 100 % 256),
                                              (uint8_t)(i / 25600), 7},
                           4000);
        b->now += FLOOD_US;
        (void)dht_receive(b->dht, b->now, &from, copy, b->len[i % POOL]);
        b->out->count = 0;
    }
    printf(", \"%s_datagram_ns\": %.0f", forge_name[kind], (bench_cpu_s() - start) * 1e9 / MANY);
}

int bench_checks(const struct bench_options *o)
{
    (void)o;
    static struct bench b;
    if (open_server(&b) != 0)
        return 1;
    printf("{\"mode\": \"checks\"");
    single(&b);
    for (unsigned k = 0; k < FORGE_KINDS; k++)
        whole(&b, (enum forge_kind)k);
    printf("}\n");
    return 0;
}
