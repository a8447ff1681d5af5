// layer: dht
// A server and a client behind the AEAD: the input is cut into bodies, each sealed as its sender would
// seal it, so that everything after authentication is reached. Byte 0 of each part: 0 request to the
// server (bit 2: with a good token), 1 answer to an open call of the client, 2 push to the client,
// 3 raw datagram to both; then a length byte pair, then the body. Time passes between them.
#include "dht/internal.h"

#include "crypto/bytes.h"
#include "tests/memory.h"

#include <sodium.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void fill(void *ctx, void *buf, size_t len)
{
    uint64_t *state = ctx;
    for (size_t i = 0; i < len; i++) {
        *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        ((uint8_t *)buf)[i] = (uint8_t)(*state >> 56);
    }
}

struct world {
    uint64_t seed;
    usec_t now;
    struct arena arena, book_arena;
    struct contact_book *book;
    struct record_book *records;
    struct outbox *out;
    struct dht *server, *client;
    struct path server_path, client_path;
    uint8_t e_pk[32], e_sk[32];
    struct rpc_keys keys;
    uint32_t place, attend;
};

static void settle(struct world *w)
{
    struct dht_event event;
    (void)dht_expire(w->server, w->now, 64);
    (void)dht_expire(w->client, w->now, 64);
    while (dht_event(w->server, &event) || dht_event(w->client, &event))
        continue;
    w->out->count = 0;
}

// What one has sent reaches the other, so that the client has open calls, a place and an attend.
static void exchange(struct world *w, unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++) {
        w->now += USEC_PER_MS;
        (void)dht_expire(w->server, w->now, 64);
        (void)dht_expire(w->client, w->now, 64);
        uint32_t n = w->out->count;
        for (uint32_t k = 0; k < n; k++) { // what comes of it is put behind
            struct outbox_slot s = w->out->slot[k];
            bool to_server = path_equal(&s.path, &w->server_path);
            (void)dht_receive(to_server ? w->server : w->client, w->now,
                              to_server ? &w->client_path : &w->server_path, s.data, s.len);
        }
        w->out->count -= n;
        memmove(&w->out->slot[0], &w->out->slot[n], w->out->count * sizeof w->out->slot[0]);
    }
}

static struct dht *node(struct world *w, bool server)
{
    struct dht_config c;
    struct dht *d = NULL;
    memset(&c, 0, sizeof c);
    require(net_init(&c.net, "fuzz") == 0);
    c.rng = (struct rng){fill, &w->seed};
    c.arena = &w->arena;
    c.out = w->out;
    c.book = w->book;
    c.records = w->records;
    fill(&w->seed, c.secret, 32);
    c.server = c.listed = server;
    c.lab = true;
    c.store_bytes_max = 20000;
    require(dht_init(&d, &c) == 0);
    dht_clock(d, w->now, 1);
    return d;
}

static void start(struct world *w)
{
    memset(w, 0, sizeof *w);
    w->now = 100 * USEC_PER_S;
    w->out = malloc(sizeof *w->out); // only what `count` says is ever read
    require(w->out != NULL);
    w->out->count = 0;
    w->out->dropped = 0;
    memory_arena(&w->arena, 4u << 20);
    memory_arena(&w->book_arena, 1u << 20);
    w->book = contact_book_new(&w->book_arena, 1000);
    w->records = record_book_new(&w->book_arena, 1000);
    w->server_path = path_v4((const uint8_t[4]){127, 0, 0, 1}, 2000);
    w->client_path = path_v4((const uint8_t[4]){127, 0, 0, 1}, 2001);
    w->server = node(w, true);
    w->client = node(w, false);
    struct contact c;
    memset(&c, 0, sizeof c);
    memcpy(c.pk, w->server->pk, 32);
    c.path = w->server_path;
    static const uint8_t spot[32] = {1}, handle[DHT_HANDLE_BYTES] = {2};
    require(dht_bootstrap(w->client, w->now, &c) == 0);
    exchange(w, 4);
    require(dht_place_open(w->client, w->now, spot, 1, &w->place) == 0);
    exchange(w, 4);
    require(dht_attend_open(w->client, w->now, w->place, &c, handle, 1, &w->attend) == 0);
    exchange(w, 6);
    uint8_t seed[32] = {7};
    key_pair(w->e_pk, w->e_sk, seed);
    require(rpc_keys_derive(&w->keys, w->e_sk, w->server->pk, &w->server->config.net, w->e_pk,
                            w->server->pk) == 0);
}

static void end(struct world *w)
{
    dht_free(w->client);
    dht_free(w->server);
    require(w->arena.used_bytes == 0 && book_count(w->book) == 0 &&
            record_book_count(w->records) == 0);
    contact_book_end(w->book);
    record_book_end(w->records);
    arena_end(&w->arena);
    arena_end(&w->book_arena);
    free(w->out);
}

static void to_server(struct world *w, const uint8_t *body, size_t len, bool token)
{
    uint8_t datagram[CLASS_FULL] = {0}, nonce[RPC_NONCE_BYTES];
    struct rpc_header header;
    if (len + RPC_REQUEST_OVERHEAD > sizeof datagram)
        return;
    memcpy(datagram + RPC_BODY_AT, body, len);
    uint16_t size = class_of((uint32_t)len + RPC_REQUEST_OVERHEAD);
    memcpy(header.e, w->e_pk, 32);
    memset(header.token, 0, sizeof header.token);
    if (token)
        guard_token_next(&w->server->server->guard, w->now, &w->client_path, w->e_pk, header.token);
    fill(&w->seed, nonce, sizeof nonce);
    rpc_request_seal(datagram, size - RPC_REQUEST_OVERHEAD, &header, w->server->mask_key, &w->keys,
                     nonce);
    uint32_t held = w->out->count;
    (void)dht_receive(w->server, w->now, &w->client_path, datagram, size);
    size_t out = 0;
    for (uint32_t i = held; i < w->out->count; i++)
        out += path_equal(&w->out->slot[i].path, &w->client_path) ? w->out->slot[i].len : 0;
    // An answer and the one ping that tries a newcomer; with a token up to four full datagrams.
    require(token ? out <= 5 * CLASS_FULL : out <= (size_t)size + 2 * CLASS_MEDIUM);
}

static void sealed_to_client(struct world *w, const uint8_t id[static 8],
                             const struct rpc_keys *keys, const uint8_t *body, size_t len)
{
    uint8_t datagram[CLASS_FULL] = {0}, nonce[RPC_NONCE_BYTES] = {1};
    if (len + ANSWER_OVERHEAD > sizeof datagram)
        return;
    memcpy(datagram + ANSWER_BODY_AT, body, len);
    uint16_t size = class_of((uint32_t)len + ANSWER_OVERHEAD);
    rpc_answer_seal(datagram, size - ANSWER_OVERHEAD, id, keys, nonce);
    (void)dht_receive(w->client, w->now, &w->server_path, datagram, size);
}

static void an_answer(struct world *w, const uint8_t *body, size_t len)
{
    (void)dht_place_seek(w->client, w->now, w->place, 1);
    const struct call *c = w->client->calls;
    if (c == NULL || c->sending[0].ids == 0 || len < 1)
        return;
    uint64_t wanted = c->sending[0].id[body[0] % c->sending[0].ids];
    uint8_t id[8];
    struct wr out = wr_init(id, sizeof id);
    wr_le64(&out, wanted);
    struct rpc_keys keys = c->keys;
    if ((body[0] & 0x80) != 0) // a token of a server that has too much to do
        rpc_light_keys(&keys, c->mask_key, c->header.e);
    sealed_to_client(w, id, &keys, body, len);
}

static void a_push(struct world *w, const uint8_t *body, size_t len)
{
    const struct attend *a = w->client->attends;
    if (a == NULL || !a->series.open)
        return;
    uint8_t id[8];
    struct rpc_keys keys = a->series.keys;
    rpc_push_id(id, a->series.push_key, a->series.next);
    sealed_to_client(w, id, &keys, body, len);
}

static void raw(struct world *w, const uint8_t *body, size_t len)
{
    uint8_t datagram[CLASS_FULL];
    if (len > sizeof datagram)
        return;
    memcpy(datagram, body, len);
    (void)dht_receive(w->client, w->now, &w->server_path, datagram, len);
    memcpy(datagram, body, len);
    (void)dht_receive(w->server, w->now, &w->client_path, datagram, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct world w;
    start(&w);
    struct rd r = rd_init(data, len);
    while (r.left >= 3) {
        uint8_t what = rd_u8(&r);
        size_t n = rd_le16(&r) % 1300;
        if (n > r.left)
            n = r.left;
        const uint8_t *body = rd_bytes(&r, n);
        switch (what & 3) {
        case 0:
            to_server(&w, body, n, (what & 4) != 0);
            break;
        case 1:
            an_answer(&w, body, n);
            break;
        case 2:
            a_push(&w, body, n);
            break;
        default:
            raw(&w, body, n);
            break;
        }
        w.now += (what & 0xf0) * UINT64_C(20000);
        settle(&w);
    }
    end(&w);
    return 0;
}
