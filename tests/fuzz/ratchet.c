// layer: crypto
// Two ends of a ratchet under a script of calls: true messages, changed ones and arbitrary ones, in
// any state and order.
#include "crypto/ratchet.h"
#include "crypto/bytes.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

#define CALLS_MAX 24u

struct end {
    struct ratchet r;
    struct packet_keys send, recv;
    uint8_t peer_cid[CID_BYTES];
};

struct message {
    uint8_t bytes[RATCHET1_BYTES + RATCHET2_FIRST_BYTES];
    size_t len;
    uint32_t step; // which it belongs to
    unsigned by;   // the end that made it
};

static void check(bool ok)
{
    if (!ok)
        abort();
}

// Comparisons go field by field: padding may hold anything.
static_assert(sizeof(struct packet_keys) == 64 + MASK_KEY_BYTES + 1, "keys have no padding");
static bool same_keys(const struct packet_keys *a, const struct packet_keys *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

static bool same_end(const struct end *a, const struct end *b)
{
    const struct ratchet *x = &a->r, *y = &b->r;
    return x->step == y->step && x->state == y->state && x->initiator == y->initiator &&
           x->aead == y->aead && memcmp(x->root, y->root, sizeof x->root) == 0 &&
           memcmp(x->th, y->th, sizeof x->th) == 0 && x->th_len == y->th_len &&
           memcmp(x->kem_seed, y->kem_seed, sizeof x->kem_seed) == 0 &&
           memcmp(x->kem_pk, y->kem_pk, sizeof x->kem_pk) == 0 &&
           memcmp(x->commit, y->commit, sizeof x->commit) == 0 &&
           memcmp(x->n_own, y->n_own, sizeof x->n_own) == 0 &&
           memcmp(x->words, y->words, sizeof x->words) == 0 && x->has_words == y->has_words &&
           same_keys(&a->send, &b->send) && same_keys(&a->recv, &b->recv) &&
           memcmp(a->peer_cid, b->peer_cid, sizeof a->peer_cid) == 0;
}

static bool same_message(const struct message *a, const struct message *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0 && a->len == b->len &&
           a->step == b->step && a->by == b->by;
}

// The message for this call: the true one, or with one byte changed or cut, or from the input.
static bool pick(struct message *m, const struct message *real, uint8_t how, struct rd *in)
{
    *m = *real;
    if (how == 0)
        return true;
    if (how == 1 && m->len > 0) {
        size_t where = rd_le16(in) % m->len;
        uint8_t x = rd_u8(in);
        m->bytes[where] ^= x;
        return x == 0;
    }
    if (how == 2) {
        size_t len = rd_le16(in) % sizeof m->bytes;
        bool same = len == m->len;
        m->len = len;
        return same;
    }
    size_t len = rd_le16(in);
    len = len < in->left ? len : in->left;
    len = len < sizeof m->bytes ? len : sizeof m->bytes;
    rd_copy(in, m->bytes, len);
    m->len = len;
    return m->len == real->len && memcmp(m->bytes, real->bytes, m->len) == 0;
}

static int call(struct end *e, unsigned op, const struct message *in, struct message *out,
                const uint8_t seed[static 64])
{
    struct message m = {.len = 0};
    int rc;
    switch (op) {
    case 0:
        rc = ratchet_start(&e->r, seed, seed + 8, m.bytes);
        m.len = RATCHET1_BYTES;
        break;
    case 1:
        rc = ratchet_on1(&e->r, in->bytes, in->len, seed, seed, seed + 32, m.bytes, &m.len,
                         e->peer_cid, &e->send, &e->recv);
        break;
    case 2:
        rc = ratchet_on2(&e->r, in->bytes, in->len, seed, m.bytes, &m.len, e->peer_cid, &e->send,
                         &e->recv);
        break;
    case 3:
        rc = ratchet_on3(&e->r, in->bytes, in->len, m.bytes);
        m.len = RATCHET4_BYTES;
        break;
    default:
        rc = ratchet_on4(&e->r, in->bytes, in->len);
        break;
    }
    if (rc == 0 && m.len > 0)
        *out = m;
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t k_ir[32] = {1}, k_ri[32] = {2}, h[64] = {3};
    struct end end[2] = {{.peer_cid = {0}}, {.peer_cid = {0}}};
    struct message last[5] = {{.len = 0}}, m; // last[op]: what the call `op` awaits
    struct rd in = rd_init(data, size);
    uint8_t seed[64] = {9};
    bool honest = true;
    if (sodium_init() < 0)
        return 0;
    enum packet_aead aead = (rd_u8(&in) & 1) != 0 ? PACKET_AEGIS256 : PACKET_CHACHA20POLY1305;
    ratchet_init(&end[0].r, true, aead, k_ir, k_ri, h, &end[0].send, &end[0].recv);
    ratchet_init(&end[1].r, false, aead, k_ir, k_ri, h, &end[1].send, &end[1].recv);
    for (unsigned i = 0; i < CALLS_MAX && in.left > 0; i++) {
        uint8_t b = rd_u8(&in);
        unsigned op = (b & 15u) % 5;
        struct end *e = &end[b >> 4 & 1], before = *e;
        struct message *out = &last[(op + 1) % 5], was = *out;
        bool real = op == 0 || pick(&m, &last[op], b >> 6, &in);
        // A copy of an old message, or of one's own, is as false as a forged one.
        uint32_t awaits = op < 3 ? e->r.step + 1 : e->r.step;
        real = real && (op == 0 || (m.step == awaits && m.by != (b >> 4 & 1)));
        seed[1] = (uint8_t)i;
        int rc = call(e, op, &m, out, seed);
        if (rc == 0 && op < 4) {
            out->step = op == 0 ? e->r.step + 1 : e->r.step;
            out->by = b >> 4 & 1;
        }
        if (rc == BAUTA_ESTATE)
            check(same_end(e, &before));
        else if (rc != 0)
            check((rc == BAUTA_EAUTH || rc == BAUTA_EFORMAT) && e->r.state == RATCHET_FAILED &&
                  sodium_is_zero(e->r.root, sizeof e->r.root) == 1);
        else
            honest = honest && real;
        check(rc == 0 || same_message(out, &was));
    }
    struct ratchet *a = &end[0].r, *b = &end[1].r;
    if (honest && a->step == b->step && a->state != RATCHET_FAILED && b->state != RATCHET_FAILED) {
        check(same_keys(&end[0].send, &end[1].recv));
        check(same_keys(&end[0].recv, &end[1].send));
        check(!a->has_words || !b->has_words || memcmp(a->words, b->words, sizeof a->words) == 0);
    }
    return 0;
}
