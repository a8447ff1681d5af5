#include "crypto/rpc.h"
#include "crypto/bytes.h"
#include "crypto/nodekey.h"
#include "tests/unit/vectors.h"

#define FILE_NAME "tests/vectors/crypto-rpc.json"

struct pair { // a client and a server that share keys
    struct net net;
    uint8_t client[32], server[32], e[32], pk[32], mask_key[32], nonce[RPC_NONCE_BYTES];
    struct rpc_keys ours, theirs;
    struct rpc_header header;
};

static void fill(uint8_t *p, size_t n, uint8_t start)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(start + 7 * i);
}

static void pair_init(struct pair *p, const char *network, uint8_t seed)
{
    assert_int_equal(net_init(&p->net, network), 0);
    fill(p->client, 32, seed);
    fill(p->server, 32, (uint8_t)(seed + 101));
    fill(p->mask_key, 32, (uint8_t)(seed + 55));
    fill(p->nonce, sizeof p->nonce, (uint8_t)(seed + 9));
    crypto_scalarmult_curve25519_base(p->e, p->client);
    crypto_scalarmult_curve25519_base(p->pk, p->server);
    assert_int_equal(rpc_keys_derive(&p->ours, p->client, p->pk, &p->net, p->e, p->pk), 0);
    assert_int_equal(rpc_keys_derive(&p->theirs, p->server, p->e, &p->net, p->e, p->pk), 0);
    assert_memory_equal(&p->ours, &p->theirs, sizeof p->ours);
    assert_memory_not_equal(p->ours.c2s, p->ours.s2c, 32);
    fill(p->header.token, RPC_TOKEN_BYTES, 200);
    memcpy(p->header.e, p->e, 32);
}

static size_t make_request(const struct pair *p, uint8_t *d, size_t len)
{
    fill(d + RPC_BODY_AT, len - RPC_REQUEST_OVERHEAD, 3);
    rpc_request_seal(d, len - RPC_REQUEST_OVERHEAD, &p->header, p->mask_key, &p->ours, p->nonce);
    return len;
}

// What a server does with a datagram: unmask, derive, open.
static int serve(const struct pair *p, uint8_t *d, size_t len, struct rpc_header *header,
                 uint8_t **body, size_t *body_len)
{
    struct rpc_keys k;
    int rc = rpc_request_unmask(header, d, len, p->mask_key);
    if (rc != 0)
        return rc;
    rc = rpc_keys_derive(&k, p->server, header->e, &p->net, header->e, p->pk);
    return rc != 0 ? rc : rpc_request_open(d, len, &k, body, body_len);
}

static void request_vectors(void **state)
{
    (void)state;
    json_t *root = vectors_load(FILE_NAME), *row;
    size_t i;
    json_array_foreach (vectors_array(root, "request"), i, row) {
        struct pair p = {.nonce = {0}};
        struct rpc_header header;
        uint8_t d[CLASS_FULL], mask_key[32], *body = NULL;
        size_t body_len = 0;
        assert_int_equal(net_init(&p.net, vectors_text(row, "network")), 0);
        vectors_exact(row, "client_secret", p.client, 32);
        vectors_exact(row, "server_secret", p.server, 32);
        vectors_exact(row, "mask_key", p.mask_key, 32);
        vectors_exact(row, "nonce", p.nonce, sizeof p.nonce);
        vectors_exact(row, "token", p.header.token, RPC_TOKEN_BYTES);
        crypto_scalarmult_curve25519_base(p.e, p.client);
        crypto_scalarmult_curve25519_base(p.pk, p.server);
        vectors_same(row, "e", p.e, 32);
        vectors_same(row, "server", p.pk, 32);
        memcpy(p.header.e, p.e, 32);
        node_mask_key(mask_key, &p.net, p.pk);
        assert_memory_equal(mask_key, p.mask_key, 32);
        assert_int_equal(rpc_keys_derive(&p.ours, p.client, p.pk, &p.net, p.e, p.pk), 0);
        vectors_same(row, "c2s", p.ours.c2s, 32);
        vectors_same(row, "s2c", p.ours.s2c, 32);
        size_t n = vectors_bytes(row, "body", d + RPC_BODY_AT, sizeof d - RPC_REQUEST_OVERHEAD);
        rpc_request_seal(d, n, &p.header, p.mask_key, &p.ours, p.nonce);
        vectors_same(row, "datagram", d, n + RPC_REQUEST_OVERHEAD);
        assert_int_equal(serve(&p, d, n + RPC_REQUEST_OVERHEAD, &header, &body, &body_len), 0);
        assert_memory_equal(&header, &p.header, sizeof header);
        vectors_same(row, "body", body, body_len);
    }
    json_decref(root);
}

// Answers and pushes have one shape; they differ in where their id comes from.
static void check_answer(json_t *row, bool push)
{
    struct rpc_keys k = {.c2s = {1}};
    uint8_t d[CLASS_FULL], id[8], nonce[RPC_NONCE_BYTES], key[32], *body;
    size_t body_len;
    vectors_exact(row, "s2c", k.s2c, 32);
    vectors_exact(row, "nonce", nonce, sizeof nonce);
    if (push) {
        vectors_exact(row, "push_key", key, 32);
        rpc_push_id(id, key, (uint32_t)vectors_int(row, "i"));
    } else {
        vectors_exact(row, "reply", key, 8);
        rpc_answer_id(id, &k, key, (uint8_t)vectors_int(row, "i"));
    }
    vectors_same(row, "id", id, 8);
    size_t n = vectors_bytes(row, "body", d + ANSWER_BODY_AT, sizeof d - ANSWER_OVERHEAD);
    rpc_answer_seal(d, n, id, &k, nonce);
    vectors_same(row, "datagram", d, n + ANSWER_OVERHEAD);
    assert_int_equal(rpc_answer_open(d, n + ANSWER_OVERHEAD, &k, &body, &body_len), 0);
    vectors_same(row, "body", body, body_len);
}

static void answer_vectors(void **state)
{
    (void)state;
    json_t *root = vectors_load(FILE_NAME), *row;
    size_t i;
    json_array_foreach (vectors_array(root, "answer"), i, row)
        check_answer(row, false);
    json_array_foreach (vectors_array(root, "push"), i, row)
        check_answer(row, true);
    json_array_foreach (vectors_array(root, "token"), i, row) {
        uint8_t secret[RPC_TOKEN_SECRET_BYTES], where[32], e[32], token[RPC_TOKEN_BYTES];
        vectors_exact(row, "secret", secret, sizeof secret);
        vectors_exact(row, "e", e, 32);
        size_t n = vectors_bytes(row, "where", where, sizeof where);
        rpc_token(token, secret, where, n, e);
        vectors_same(row, "token", token, sizeof token);
    }
    json_array_foreach (vectors_array(root, "light"), i, row) {
        uint8_t mask_key[32], e[32], nonce[RPC_NONCE_BYTES], id[8];
        struct rpc_keys keys;
        vectors_exact(row, "mask_key", mask_key, 32);
        vectors_exact(row, "e", e, 32);
        vectors_exact(row, "nonce", nonce, sizeof nonce);
        rpc_light_id(id, mask_key, nonce);
        vectors_same(row, "id", id, sizeof id);
        rpc_light_keys(&keys, mask_key, e);
        vectors_same(row, "s2c", keys.s2c, 32);
    }
    json_decref(root);
}

static void every_bit_of_a_request_counts(void **state)
{
    (void)state;
    struct pair p;
    struct rpc_header header;
    uint8_t good[CLASS_SMALL], d[CLASS_SMALL], *body = NULL;
    size_t body_len = 0;
    pair_init(&p, "main", 1);
    make_request(&p, good, sizeof good);
    memcpy(d, good, sizeof d);
    assert_int_equal(serve(&p, d, sizeof d, &header, &body, &body_len), 0);
    assert_int_equal(body_len, sizeof d - RPC_REQUEST_OVERHEAD);
    assert_ptr_equal(body, d + RPC_BODY_AT);
    for (size_t bit = 0; bit < sizeof good * 8; bit++) {
        memcpy(d, good, sizeof d);
        d[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(serve(&p, d, sizeof d, &header, &body, &body_len), BAUTA_EAUTH);
    }
    for (size_t len = 0; len < sizeof good; len++) {
        memcpy(d, good, sizeof d);
        assert_int_equal(serve(&p, d, len, &header, &body, &body_len),
                         len < RPC_REQUEST_OVERHEAD ? BAUTA_EFORMAT : BAUTA_EAUTH);
    }
}

static void every_bit_of_an_answer_counts(void **state)
{
    (void)state;
    struct pair p;
    uint8_t good[CLASS_SMALL], d[CLASS_SMALL], id[8], *body;
    size_t body_len;
    pair_init(&p, "main", 2);
    fill(good, sizeof good, 77);
    rpc_answer_id(id, &p.theirs, p.header.token, 3);
    rpc_answer_seal(good, sizeof good - ANSWER_OVERHEAD, id, &p.theirs, p.nonce);
    memcpy(d, good, sizeof d);
    assert_int_equal(rpc_answer_open(d, sizeof d, &p.ours, &body, &body_len), 0);
    assert_int_equal(body_len, sizeof d - ANSWER_OVERHEAD);
    for (size_t i = 0; i < body_len; i++)
        assert_int_equal(body[i], (uint8_t)(77 + 7 * (ANSWER_BODY_AT + i)));
    for (size_t bit = 0; bit < sizeof good * 8; bit++) {
        memcpy(d, good, sizeof d);
        d[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(rpc_answer_open(d, sizeof d, &p.ours, &body, &body_len), BAUTA_EAUTH);
    }
    for (size_t len = 0; len < sizeof good; len++) {
        memcpy(d, good, sizeof d);
        assert_int_equal(rpc_answer_open(d, len, &p.ours, &body, &body_len),
                         len < ANSWER_OVERHEAD ? BAUTA_EFORMAT : BAUTA_EAUTH);
    }
}

static void other_networks_servers_and_directions_are_refused(void **state)
{
    (void)state;
    struct pair p, q;
    struct rpc_header header;
    struct rpc_keys k;
    uint8_t good[CLASS_CHAT], d[CLASS_CHAT], id[8], *body;
    size_t body_len;
    pair_init(&p, "main", 3);
    make_request(&p, good, sizeof good);

    // The same keys under another network's name.
    pair_init(&q, "main2", 3);
    memcpy(d, good, sizeof d);
    assert_int_equal(serve(&q, d, sizeof d, &header, &body, &body_len), BAUTA_EAUTH);
    // Another server with the same mask key; and with its own.
    pair_init(&q, "main", 3);
    q.server[5] ^= 1;
    crypto_scalarmult_curve25519_base(q.pk, q.server);
    memcpy(d, good, sizeof d);
    assert_int_equal(serve(&q, d, sizeof d, &header, &body, &body_len), BAUTA_EAUTH);
    q.mask_key[0] ^= 1;
    memcpy(d, good, sizeof d);
    assert_int_equal(rpc_request_unmask(&header, d, sizeof d, q.mask_key), BAUTA_EAUTH);

    // The server's key that is hashed is a part of the keys, not only the DH.
    assert_int_equal(rpc_keys_derive(&k, p.client, p.pk, &p.net, p.e, q.pk), 0);
    assert_memory_not_equal(k.c2s, p.ours.c2s, 32);

    // An answer sealed with the request's key is refused: no reflection.
    rpc_answer_id(id, &p.ours, p.header.token, 0);
    k = p.ours;
    memcpy(k.s2c, k.c2s, 32);
    rpc_answer_seal(d, sizeof d - ANSWER_OVERHEAD, id, &k, p.nonce);
    assert_int_equal(rpc_answer_open(d, sizeof d, &p.ours, &body, &body_len), BAUTA_EAUTH);
}

static void low_order_points_are_refused(void **state)
{
    (void)state;
    // u = 0, 1, the two points of order 8, p - 1, p, p + 1; each also with the unused top bit set.
    static const char *const point[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"};
    struct pair p;
    pair_init(&p, "main", 4);
    for (size_t i = 0; i < 2 * sizeof point / sizeof *point; i++) {
        uint8_t u[32];
        struct rpc_keys k;
        sodium_hex2bin(u, 32, point[i / 2], 64, NULL, NULL, NULL);
        u[31] |= (uint8_t)(i % 2 << 7);
        assert_int_equal(rpc_keys_derive(&k, p.server, u, &p.net, u, p.pk), BAUTA_EAUTH);
    }
}

static void ids_and_tokens_differ(void **state)
{
    (void)state;
    struct pair p;
    uint8_t id[5][8], where[6] = {10, 0, 0, 1, 0x1f, 0x90}, token[4][RPC_TOKEN_BYTES];
    pair_init(&p, "main", 5);
    for (uint8_t i = 0; i < 4; i++)
        rpc_answer_id(id[i], &p.ours, p.header.token, i);
    rpc_push_id(id[4], p.ours.s2c, 0);
    for (size_t i = 0; i < 5; i++)
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(id[i], id[j], 8);

    rpc_token(token[0], p.server, where, sizeof where, p.e);
    where[5] ^= 1; // another port
    rpc_token(token[1], p.server, where, sizeof where, p.e);
    where[5] ^= 1;
    rpc_token(token[2], p.server, where, sizeof where, p.pk); // another key of the asker
    rpc_token(token[3], p.client, where, sizeof where, p.e);  // the next minute's secret
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(token[i], token[j], RPC_TOKEN_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_vectors),
        cmocka_unit_test(answer_vectors),
        cmocka_unit_test(every_bit_of_a_request_counts),
        cmocka_unit_test(every_bit_of_an_answer_counts),
        cmocka_unit_test(other_networks_servers_and_directions_are_refused),
        cmocka_unit_test(low_order_points_are_refused),
        cmocka_unit_test(ids_and_tokens_differ),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
