#include "crypto/ratchet.h"
#include "crypto/bytes.h"
#include "tests/unit/vectors.h"

static const enum packet_aead both[] = {PACKET_CHACHA20POLY1305, PACKET_AEGIS256};

struct end {
    struct ratchet r;
    struct packet_keys send, recv;
    uint8_t peer_cid[CID_BYTES];
};

struct wire { // the messages of one step
    uint8_t one[RATCHET1_BYTES], two[RATCHET2_FIRST_BYTES], three[RATCHET3_BYTES],
        four[RATCHET4_BYTES];
    size_t two_len, three_len;
};

// A seed of up to 64 bytes, different for every number.
static const uint8_t *seed(uint8_t out[static 64], unsigned number)
{
    uint8_t le[4] = {(uint8_t)number, (uint8_t)(number >> 8), 0, 1};
    crypto_generichash(out, 64, le, sizeof le, NULL, 0);
    return out;
}

static void ends_init(struct end *i, struct end *r, enum packet_aead aead)
{
    uint8_t k_ir[64], k_ri[64], h[64];
    seed(k_ir, 9001);
    seed(k_ri, 9002);
    seed(h, 9003);
    memset(i, 0, sizeof *i);
    memset(r, 0, sizeof *r);
    ratchet_init(&i->r, true, aead, k_ir, k_ri, h, &i->send, &i->recv);
    ratchet_init(&r->r, false, aead, k_ir, k_ri, h, &r->send, &r->recv);
}

static void assert_keys_fit(const struct end *a, const struct end *b)
{
    assert_memory_equal(&a->send, &b->recv, sizeof a->send);
    assert_memory_equal(&a->recv, &b->send, sizeof a->recv);
    assert_memory_not_equal(&a->send, &a->recv, sizeof a->send);
    assert_memory_equal(a->r.root, b->r.root, sizeof a->r.root);
    assert_memory_equal(a->r.th, b->r.th, sizeof a->r.th);
    assert_int_equal(a->r.step, b->r.step);
}

static int start(struct end *e, struct wire *w, unsigned n)
{
    uint8_t s[64], cid[CID_BYTES];
    memset(cid, (int)n, sizeof cid);
    return ratchet_start(&e->r, cid, seed(s, 4 * n), w->one);
}

static int on1(struct end *e, struct wire *w, size_t len, unsigned n)
{
    uint8_t s[64], s2[64], cid[CID_BYTES];
    memset(cid, (int)n + 100, sizeof cid);
    return ratchet_on1(&e->r, w->one, len, cid, seed(s, 4 * n + 1), seed(s2, 4 * n + 2), w->two,
                       &w->two_len, e->peer_cid, &e->send, &e->recv);
}

static int on2(struct end *e, struct wire *w, size_t len, unsigned n)
{
    uint8_t s[64];
    return ratchet_on2(&e->r, w->two, len, seed(s, 4 * n + 3), w->three, &w->three_len, e->peer_cid,
                       &e->send, &e->recv);
}

static void whole_step(struct end *a, struct end *b, struct wire *w, unsigned n)
{
    assert_int_equal(start(a, w, n), 0);
    assert_int_equal(on1(b, w, RATCHET1_BYTES, n), 0);
    assert_int_equal(w->two_len, n == 1 ? RATCHET2_FIRST_BYTES : RATCHET2_BYTES);
    assert_int_equal(on2(a, w, w->two_len, n), 0);
    assert_int_equal(w->three_len, n == 1 ? RATCHET3_BYTES : 0);
    if (n == 1) {
        assert_int_equal(ratchet_on3(&b->r, w->three, RATCHET3_BYTES, w->four), 0);
        assert_int_equal(ratchet_on4(&a->r, w->four, RATCHET4_BYTES), 0);
    }
}

static bool all_zero(const uint8_t *p, size_t n)
{
    return sodium_is_zero(p, n) == 1;
}

static void same_keys(json_t *o, const char *name, const struct packet_keys *k)
{
    json_t *row = json_object_get(o, name);
    vectors_same(row, "key", k->key, 32);
    vectors_same(row, "iv", k->iv, k->aead == PACKET_AEGIS256 ? 32 : 12);
    vectors_same(row, "hp", k->hp, MASK_KEY_BYTES);
}

// One step of a vector's run, by both ends.
static void vector_step(json_t *row, struct end *i, struct end *r)
{
    unsigned n = (unsigned)vectors_int(row, "n");
    struct end *a = n % 2 == 1 ? i : r, *b = n % 2 == 1 ? r : i;
    uint8_t s1[32], s2[64], cid1[CID_BYTES], cid2[CID_BYTES], n_i[32] = {0}, n_r[32] = {0};
    struct wire w;
    vectors_exact(row, "seed_1", s1, 32);
    vectors_exact(row, "seed_2", s2, 64);
    vectors_exact(row, "cid_1", cid1, CID_BYTES);
    vectors_exact(row, "cid_2", cid2, CID_BYTES);
    if (n == 1) {
        vectors_exact(row, "n_i", n_i, 32);
        vectors_exact(row, "n_r", n_r, 32);
    }
    assert_int_equal(ratchet_start(&a->r, cid1, s1, w.one), 0);
    vectors_same(row, "ratchet1", w.one, RATCHET1_BYTES);
    assert_int_equal(ratchet_on1(&b->r, w.one, RATCHET1_BYTES, cid2, s2, n_r, w.two, &w.two_len,
                                 b->peer_cid, &b->send, &b->recv),
                     0);
    vectors_same(row, "ratchet2", w.two, w.two_len);
    assert_int_equal(ratchet_on2(&a->r, w.two, w.two_len, n_i, w.three, &w.three_len, a->peer_cid,
                                 &a->send, &a->recv),
                     0);
    assert_memory_equal(a->peer_cid, cid2, CID_BYTES);
    assert_memory_equal(b->peer_cid, cid1, CID_BYTES);
    if (n == 1) {
        vectors_same(row, "ratchet3", w.three, w.three_len);
        assert_int_equal(ratchet_on3(&b->r, w.three, w.three_len, w.four), 0);
        vectors_same(row, "ratchet4", w.four, RATCHET4_BYTES);
        assert_int_equal(ratchet_on4(&a->r, w.four, RATCHET4_BYTES), 0);
    }
    assert_keys_fit(i, r);
    vectors_same(row, "th", i->r.th, 32);
    vectors_same(row, "root", i->r.root, 32);
    same_keys(row, "i_to_r", &i->send);
    same_keys(row, "r_to_i", &i->recv);
}

static void vectors(void **state)
{
    (void)state;
    json_t *root = vectors_load("tests/vectors/crypto-ratchet.json"), *run, *row;
    size_t k, n;
    json_array_foreach (vectors_array(root, "run"), k, run) {
        bool aegis = strcmp(vectors_text(run, "aead"), "aegis256") == 0;
        enum packet_aead aead = aegis ? PACKET_AEGIS256 : PACKET_CHACHA20POLY1305;
        uint8_t k_ir[32], k_ri[32], h[64];
        struct end i, r;
        vectors_exact(run, "k_ir", k_ir, 32);
        vectors_exact(run, "k_ri", k_ri, 32);
        vectors_exact(run, "h", h, 64);
        ratchet_init(&i.r, true, aead, k_ir, k_ri, h, &i.send, &i.recv);
        ratchet_init(&r.r, false, aead, k_ir, k_ri, h, &r.send, &r.recv);
        vectors_same(run, "root_0", i.r.root, 32);
        same_keys(run, "i_to_r", &i.send);
        same_keys(run, "r_to_i", &i.recv);
        assert_keys_fit(&i, &r);
        json_array_foreach (vectors_array(run, "step"), n, row)
            vector_step(row, &i, &r);
        for (size_t w = 0; w < SAS_WORDS; w++) {
            int want = (int)json_integer_value(json_array_get(vectors_array(run, "indices"), w));
            assert_int_equal(i.r.words[w], want);
            assert_int_equal(r.r.words[w], want);
        }
    }
    json_decref(root);
}

static void twenty_steps(void **state)
{
    (void)state;
    for (size_t a = 0; a < 2; a++) {
        struct end i, r;
        struct wire w;
        struct packet_keys seen[21];
        ends_init(&i, &r, both[a]);
        assert_keys_fit(&i, &r);
        assert_false(i.r.has_words);
        seen[0] = i.send;
        for (unsigned n = 1; n <= 20; n++) {
            struct end *one = n % 2 == 1 ? &i : &r, *two = n % 2 == 1 ? &r : &i;
            assert_true(ratchet_mine(&one->r));
            assert_false(ratchet_mine(&two->r));
            assert_int_equal(start(two, &w, n), BAUTA_ESTATE);
            whole_step(one, two, &w, n);
            assert_keys_fit(&i, &r);
            assert_int_equal(i.r.step, n);
            assert_int_equal(i.r.state, RATCHET_IDLE);
            assert_int_equal(r.r.state, RATCHET_IDLE);
            assert_int_equal(i.r.th_len, 32);
            assert_int_equal(one->peer_cid[0], n + 100);
            assert_int_equal(two->peer_cid[7], n);
            assert_int_equal(i.send.aead, both[a]);
            seen[n] = i.send;
            for (unsigned m = 0; m < n; m++)
                assert_memory_not_equal(&seen[m], &seen[n], sizeof seen[0]);
            assert_true(i.r.has_words && r.r.has_words);
            assert_memory_equal(i.r.words, r.r.words, sizeof i.r.words);
        }
    }
}

// What only one message needs is gone as soon as that message has passed.
static void secrets_are_wiped(void **state)
{
    (void)state;
    struct end i, r;
    struct wire w;
    uint8_t root[32];
    ends_init(&i, &r, PACKET_AEGIS256);
    memcpy(root, i.r.root, sizeof root);
    assert_int_equal(start(&i, &w, 1), 0);
    assert_false(all_zero(i.r.kem_seed, sizeof i.r.kem_seed));
    assert_int_equal(on1(&r, &w, RATCHET1_BYTES, 1), 0);
    assert_memory_not_equal(r.r.root, root, sizeof root);
    assert_int_equal(on2(&i, &w, w.two_len, 1), 0);
    assert_memory_not_equal(i.r.root, root, sizeof root);
    assert_true(all_zero(i.r.kem_seed, sizeof i.r.kem_seed));
    assert_true(all_zero(i.r.kem_pk, sizeof i.r.kem_pk));
    assert_int_equal(ratchet_on3(&r.r, w.three, RATCHET3_BYTES, w.four), 0);
    assert_int_equal(ratchet_on4(&i.r, w.four, RATCHET4_BYTES), 0);
    assert_true(all_zero(r.r.n_own, 32) && all_zero(r.r.commit, 32));
    assert_true(all_zero(i.r.n_own, 32) && all_zero(i.r.commit, 32));
    ratchet_wipe(&i.r);
    assert_int_equal(i.r.state, RATCHET_FAILED);
    i.r.state = RATCHET_IDLE;
    assert_true(all_zero((const uint8_t *)&i.r, sizeof i.r));
}

// Offers all five calls; those of `allowed` apart (bit k: call k) give ESTATE and change nothing.
static void only(struct end *e, struct wire *w, unsigned allowed, unsigned n)
{
    struct end before = *e;
    struct wire copy = *w;
    for (unsigned call = 0; call < 5; call++) {
        if ((allowed >> call & 1u) != 0)
            continue;
        int rc = call == 0   ? start(e, &copy, n)
                 : call == 1 ? on1(e, &copy, RATCHET1_BYTES, n)
                 : call == 2 ? on2(e, &copy, n == 1 ? RATCHET2_FIRST_BYTES : RATCHET2_BYTES, n)
                 : call == 3 ? ratchet_on3(&e->r, copy.three, RATCHET3_BYTES, copy.four)
                             : ratchet_on4(&e->r, copy.four, RATCHET4_BYTES);
        assert_int_equal(rc, BAUTA_ESTATE);
        assert_memory_equal(e, &before, sizeof before);
        assert_memory_equal(&copy, w, sizeof copy);
    }
}

// Wrong order and replays at every point of the first two steps.
static void wrong_order_changes_nothing(void **state)
{
    (void)state;
    struct end i, r;
    struct wire w = {.two_len = 0}, v = {.two_len = 0};
    ends_init(&i, &r, PACKET_CHACHA20POLY1305);
    only(&i, &w, 1, 1);
    only(&r, &w, 2, 1);
    assert_int_equal(start(&i, &w, 1), 0);
    only(&i, &w, 4, 1);
    only(&r, &w, 2, 1);
    assert_int_equal(on1(&r, &w, RATCHET1_BYTES, 1), 0);
    only(&i, &w, 4, 1);
    only(&r, &w, 8, 1);
    assert_int_equal(on2(&i, &w, w.two_len, 1), 0);
    only(&i, &w, 16, 1);
    only(&r, &w, 8, 1);
    assert_int_equal(ratchet_on3(&r.r, w.three, RATCHET3_BYTES, w.four), 0);
    only(&i, &w, 16, 1);
    only(&r, &w, 1, 1); // the second step is the responder's to start
    assert_int_equal(ratchet_on4(&i.r, w.four, RATCHET4_BYTES), 0);
    only(&i, &w, 2, 1);
    only(&r, &w, 1, 1);
    assert_int_equal(start(&r, &v, 2), 0);
    only(&i, &v, 2, 2);
    only(&r, &v, 4, 2);
    only(&r, &w, 4, 1);
    assert_int_equal(on1(&i, &v, RATCHET1_BYTES, 2), 0);
    only(&i, &v, 1, 2);
    only(&r, &v, 4, 2);
    assert_int_equal(on2(&r, &v, v.two_len, 2), 0);
    only(&r, &v, 2, 2);
    assert_keys_fit(&i, &r);
}

static void assert_failed(struct end *e, struct wire *w)
{
    assert_int_equal(e->r.state, RATCHET_FAILED);
    assert_true(all_zero(e->r.root, 32) && all_zero(e->r.kem_seed, 32));
    assert_false(e->r.has_words);
    only(e, w, 0, 1);
}

static void wrong_sizes_fail(void **state)
{
    (void)state;
    static const int off[] = {-1, 1, -32};
    for (size_t k = 0; k < 3; k++) {
        struct end i, r, e;
        struct {
            struct wire w;
            uint8_t slack[64];
        } m = {.slack = {0}};
        struct wire *w = &m.w;
        ends_init(&i, &r, PACKET_AEGIS256);
        assert_int_equal(start(&i, w, 1), 0);
        e = r;
        assert_int_equal(on1(&e, w, (size_t)((int)RATCHET1_BYTES + off[k]), 1), BAUTA_EFORMAT);
        assert_failed(&e, w);
        assert_int_equal(on1(&r, w, RATCHET1_BYTES, 1), 0);
        e = i; // -32: the form of later steps, without a commitment
        assert_int_equal(on2(&e, w, (size_t)((int)w->two_len + off[k]), 1), BAUTA_EFORMAT);
        assert_failed(&e, w);
        assert_int_equal(on2(&i, w, w->two_len, 1), 0);
        e = r;
        assert_int_equal(
            ratchet_on3(&e.r, w->three, (size_t)((int)RATCHET3_BYTES + off[k]), w->four),
            BAUTA_EFORMAT);
        assert_failed(&e, w);
        assert_int_equal(ratchet_on3(&r.r, w->three, RATCHET3_BYTES, w->four), 0);
        e = i;
        assert_int_equal(ratchet_on4(&e.r, w->four, (size_t)((int)RATCHET4_BYTES + off[k])),
                         BAUTA_EFORMAT);
        assert_failed(&e, w);
        assert_int_equal(ratchet_on4(&i.r, w->four, RATCHET4_BYTES), 0);
        // Later steps carry no commitment.
        assert_int_equal(start(&r, w, 2), 0);
        assert_int_equal(on1(&i, w, RATCHET1_BYTES, 2), 0);
        assert_int_equal(on2(&r, w, RATCHET2_FIRST_BYTES, 2), BAUTA_EFORMAT);
        assert_int_equal(r.r.state, RATCHET_FAILED);
    }
}

// Any bit of ct or commitment that changed on the way: keys or commitment no longer fit.
static void corrupted_messages_never_agree(void **state)
{
    (void)state;
    struct end i0, r, i;
    struct wire w0, w;
    ends_init(&i0, &r, PACKET_AEGIS256);
    assert_int_equal(start(&i0, &w0, 1), 0);
    assert_int_equal(on1(&r, &w0, RATCHET1_BYTES, 1), 0);
    for (size_t byte = CID_BYTES; byte < RATCHET2_FIRST_BYTES; byte += 3) {
        i = i0;
        w = w0;
        w.two[byte] ^= (uint8_t)(1u << byte % 8);
        int rc = on2(&i, &w, w.two_len, 1);
        if (rc != 0) {
            assert_int_equal(rc, BAUTA_EAUTH);
            assert_failed(&i, &w);
            continue;
        }
        if (byte < RATCHET2_BYTES)
            assert_memory_not_equal(i.send.key, r.recv.key, 32);
        struct end r2 = r;
        assert_int_equal(ratchet_on3(&r2.r, w.three, RATCHET3_BYTES, w.four), 0);
        assert_int_equal(ratchet_on4(&i.r, w.four, RATCHET4_BYTES), BAUTA_EAUTH);
        assert_failed(&i, &w);
    }
}

static void corrupted_public_keys_never_agree(void **state)
{
    (void)state;
    struct end i0, r0, i, r;
    struct wire w0, w;
    ends_init(&i0, &r0, PACKET_AEGIS256);
    assert_int_equal(start(&i0, &w0, 1), 0);
    for (size_t byte = CID_BYTES; byte < RATCHET1_BYTES; byte += 7) {
        i = i0;
        r = r0;
        w = w0;
        w.one[byte] ^= (uint8_t)(1u << byte % 8);
        int rc = on1(&r, &w, RATCHET1_BYTES, 1);
        if (rc != 0) { // not a reduced coefficient of ML-KEM
            assert_int_equal(rc, BAUTA_EAUTH);
            assert_failed(&r, &w);
            continue;
        }
        assert_int_equal(on2(&i, &w, w.two_len, 1), 0);
        assert_memory_not_equal(i.send.key, r.recv.key, 32);
        assert_int_equal(ratchet_on3(&r.r, w.three, RATCHET3_BYTES, w.four), 0);
        assert_int_equal(ratchet_on4(&i.r, w.four, RATCHET4_BYTES), BAUTA_EAUTH);
    }
}

static void every_bit_of_the_nonce_counts(void **state)
{
    (void)state;
    struct end i0, r, i;
    struct wire w;
    ends_init(&i0, &r, PACKET_CHACHA20POLY1305);
    assert_int_equal(start(&i0, &w, 1), 0);
    assert_int_equal(on1(&r, &w, RATCHET1_BYTES, 1), 0);
    assert_int_equal(on2(&i0, &w, w.two_len, 1), 0);
    assert_int_equal(ratchet_on3(&r.r, w.three, RATCHET3_BYTES, w.four), 0);
    for (unsigned bit = 0; bit < 256; bit++) {
        i = i0;
        w.four[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(ratchet_on4(&i.r, w.four, RATCHET4_BYTES), BAUTA_EAUTH);
        w.four[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_failed(&i, &w);
    }
    assert_int_equal(ratchet_on4(&i0.r, w.four, RATCHET4_BYTES), 0);
}

// Mallory holds even the phase 0 keys of both and steps in from the first message on.
static void man_in_the_middle(void **state)
{
    (void)state;
    struct end i, r, to_i, to_r, scratch;
    struct wire wi = {.two_len = 0}, wr = {.two_len = 0};
    ends_init(&i, &scratch, PACKET_AEGIS256);
    to_i = scratch;
    ends_init(&to_r, &r, PACKET_AEGIS256);
    assert_int_equal(start(&i, &wi, 1), 0);
    assert_int_equal(start(&to_r, &wr, 5), 0);
    assert_int_equal(on1(&to_i, &wi, RATCHET1_BYTES, 1), 0);
    assert_int_equal(on1(&r, &wr, RATCHET1_BYTES, 6), 0);
    struct end honest = to_i;
    assert_int_equal(on2(&i, &wi, wi.two_len, 1), 0);
    assert_int_equal(on2(&to_r, &wr, wr.two_len, 5), 0);
    assert_int_equal(ratchet_on3(&r.r, wr.three, RATCHET3_BYTES, wr.four), 0);
    assert_int_equal(ratchet_on4(&to_r.r, wr.four, RATCHET4_BYTES), 0);

    // To fit the words Mallory would reveal another nonce than the one committed to.
    struct end victim = i;
    assert_int_equal(ratchet_on4(&victim.r, wr.four, RATCHET4_BYTES), BAUTA_EAUTH);
    assert_failed(&victim, &wi);
    // Keeping to the commitment goes through, and then the words betray it.
    assert_int_equal(ratchet_on3(&honest.r, wi.three, RATCHET3_BYTES, wi.four), 0);
    assert_int_equal(ratchet_on4(&i.r, wi.four, RATCHET4_BYTES), 0);
    assert_true(i.r.has_words && r.r.has_words);
    assert_memory_not_equal(i.r.words, r.r.words, sizeof i.r.words);
    // A commitment passed on from the true responder is bound to the other key exchange.
    ends_init(&i, &scratch, PACKET_AEGIS256);
    assert_int_equal(start(&i, &wi, 1), 0);
    assert_int_equal(on1(&scratch, &wi, RATCHET1_BYTES, 1), 0);
    memcpy(wi.two + RATCHET2_BYTES, wr.two + RATCHET2_BYTES, SAS_COMMIT_BYTES);
    assert_int_equal(on2(&i, &wi, wi.two_len, 1), 0);
    assert_int_equal(ratchet_on4(&i.r, wr.four, RATCHET4_BYTES), BAUTA_EAUTH);
}

// X-Wing's last 32 bytes are an X25519 point, in the public key and in the ciphertext.
static void low_order_points_are_refused(void **state)
{
    (void)state;
    static const char *const point[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"};
    for (size_t k = 0; k < 2 * sizeof point / sizeof *point; k++) {
        struct end i, r, e;
        struct wire w, bad;
        uint8_t u[32];
        ends_init(&i, &r, PACKET_AEGIS256);
        assert_int_equal(start(&i, &w, 1), 0);
        sodium_hex2bin(u, 32, point[k / 2], 64, NULL, NULL, NULL);
        u[31] |= (uint8_t)(k % 2 << 7);
        bad = w;
        e = r;
        memcpy(bad.one + RATCHET1_BYTES - 32, u, 32);
        assert_int_equal(on1(&e, &bad, RATCHET1_BYTES, 1), BAUTA_EAUTH);
        assert_failed(&e, &w);
        assert_int_equal(on1(&r, &w, RATCHET1_BYTES, 1), 0);
        bad = w;
        memcpy(bad.two + RATCHET2_BYTES - 32, u, 32);
        assert_int_equal(on2(&i, &bad, bad.two_len, 1), BAUTA_EAUTH);
        assert_failed(&i, &w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors),
        cmocka_unit_test(twenty_steps),
        cmocka_unit_test(secrets_are_wiped),
        cmocka_unit_test(wrong_order_changes_nothing),
        cmocka_unit_test(wrong_sizes_fail),
        cmocka_unit_test(corrupted_messages_never_agree),
        cmocka_unit_test(corrupted_public_keys_never_agree),
        cmocka_unit_test(every_bit_of_the_nonce_counts),
        cmocka_unit_test(man_in_the_middle),
        cmocka_unit_test(low_order_points_are_refused),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
