// layer: crypto
// Requests, answers and pushes: arbitrary datagrams, arbitrary headers under a right mask, and
// sealed ones with one change.
#include "crypto/rpc.h"
#include "crypto/bytes.h"

#include <sodium.h>
#include <stdlib.h>

static const uint8_t server_secret[32] = {7}, client_secret[32] = {9}, mask_key[32] = {3};
static const uint8_t nonce[RPC_NONCE_BYTES] = {5};

struct keys {
    struct net net;
    uint8_t server[32], e[32];
    struct rpc_keys k;
};

static void check(bool ok)
{
    if (!ok)
        abort();
}

static int serve(const struct keys *k, uint8_t *d, size_t len, uint8_t **body, size_t *body_len)
{
    struct rpc_header h;
    struct rpc_keys keys;
    int rc = rpc_request_unmask(&h, d, len, mask_key);
    if (rc == 0)
        rc = rpc_keys_derive(&keys, server_secret, h.e, &k->net, h.e, k->server);
    if (rc == 0)
        rc = rpc_request_open(d, len, &keys, body, body_len);
    return rc;
}

// True if the two bytes `where` name changed the datagram.
static bool change(uint8_t *d, size_t len, uint8_t where, uint8_t x)
{
    d[(size_t)where * 7 % len] ^= x;
    return x != 0;
}

static void sealed(const struct keys *k, struct rd in, bool request)
{
    uint8_t where = rd_u8(&in), x = rd_u8(&in), d[CLASS_FULL], id[8], *body;
    size_t n = in.left, body_len, at = request ? RPC_BODY_AT : ANSWER_BODY_AT;
    size_t len = n + (request ? RPC_REQUEST_OVERHEAD : ANSWER_OVERHEAD);
    if (in.bad || len > sizeof d)
        return;
    if (n > 0)
        memcpy(d + at, in.p, n);
    int rc;
    bool changed;
    if (request) {
        struct rpc_header h = {.token = {1}};
        memcpy(h.e, k->e, 32);
        rpc_request_seal(d, n, &h, mask_key, &k->k, nonce);
        changed = change(d, len, where, x);
        rc = serve(k, d, len, &body, &body_len);
    } else {
        rpc_answer_id(id, &k->k, nonce, where % 4);
        rpc_answer_seal(d, n, id, &k->k, nonce);
        changed = change(d, len, where, x);
        rc = rpc_answer_open(d, len, &k->k, &body, &body_len);
    }
    check((rc == 0) == !changed);
    check(rc != 0 || (body_len == n && (n == 0 || memcmp(body, in.p, n) == 0)));
}

// A right id and mask before an arbitrary key: what whoever knows the server's key can send.
static void header_only(const struct keys *k, struct rd in)
{
    uint8_t d[CLASS_FULL] = {0}, *body;
    size_t body_len, len = RPC_REQUEST_OVERHEAD + in.left;
    if (len > sizeof d)
        return;
    struct rpc_header h = {.token = {1}};
    memcpy(h.e, k->e, 32);
    rpc_request_seal(d, in.left, &h, mask_key, &k->k, nonce);
    mask_request(d, len, mask_key);
    rd_copy(&in, d + RPC_ID_BYTES + RPC_TOKEN_BYTES, in.left < 32 ? in.left : 32);
    if (in.left > 0)
        memcpy(d + RPC_HEADER_BYTES, in.p, in.left);
    mask_request(d, len, mask_key);
    (void)serve(k, d, len, &body, &body_len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct keys k;
    struct rd in = rd_init(data, size);
    uint8_t mode = rd_u8(&in), d[2 * CLASS_FULL], *body;
    size_t body_len, len = in.left;
    if (sodium_init() < 0 || in.bad || len > sizeof d)
        return 0;
    check(net_init(&k.net, "fuzz") == 0);
    crypto_scalarmult_curve25519_base(k.server, server_secret);
    crypto_scalarmult_curve25519_base(k.e, client_secret);
    check(rpc_keys_derive(&k.k, client_secret, k.server, &k.net, k.e, k.server) == 0);
    if (mode % 5 == 2 || mode % 5 == 3) {
        sealed(&k, in, mode % 5 == 2);
        return 0;
    }
    if (mode % 5 == 4) {
        header_only(&k, in);
        return 0;
    }
    if (len > 0)
        memcpy(d, in.p, len);
    int rc = mode % 5 == 0 ? serve(&k, d, len, &body, &body_len)
                           : rpc_answer_open(d, len, &k.k, &body, &body_len);
    check(rc == BAUTA_EFORMAT || rc == BAUTA_EAUTH || rc == 0);
    check(rc != 0 || (body >= d && body + body_len <= d + len));
    return 0;
}
