#include "crypto/relaykey.h"

#include "crypto/bytes.h"
#include "crypto/nodekey.h"
#include "tests/unit/vectors.h"

static void key_vectors(void **state)
{
    (void)state;
    json_t *root = vectors_load("tests/vectors/relay-offer.json"), *row;
    size_t i;
    json_array_foreach (vectors_array(root, "keys"), i, row) {
        uint8_t seed[32], secret[32], ed_pk[32], pk[32], sk[32], msg[64], sig[64];
        vectors_exact(row, "seed", seed, 32);
        relay_secret(secret, seed);
        vectors_same(row, "secret", secret, 32);
        relay_public(ed_pk, pk, seed);
        vectors_same(row, "ed_pk", ed_pk, 32);
        vectors_same(row, "pk", pk, 32);
        key_pair(pk, sk, secret); // as dht does it
        vectors_same(row, "pk", pk, 32);
        assert_int_equal(relay_contact_key(sk, ed_pk), BAUTA_OK);
        assert_memory_equal(sk, pk, 32);
        size_t len = vectors_bytes(row, "msg", msg, sizeof msg);
        relay_sign(sig, seed, msg, len);
        vectors_same(row, "signature", sig, 64);
        assert_int_equal(relay_verify(ed_pk, pk, msg, len, sig), BAUTA_OK);
    }
    json_decref(root);
}

static void nothing_else_verifies(void **state)
{
    (void)state;
    uint8_t seed[32] = {1}, other[32] = {2}, ed_pk[32], pk[32], ed_pk2[32], pk2[32];
    uint8_t msg[80] = {7}, sig[64];
    relay_public(ed_pk, pk, seed);
    relay_public(ed_pk2, pk2, other);
    relay_sign(sig, seed, msg, sizeof msg);
    assert_int_equal(relay_verify(ed_pk, pk, msg, sizeof msg, sig), BAUTA_OK);
    assert_int_equal(relay_verify(ed_pk, pk, msg, sizeof msg - 1, sig), BAUTA_EAUTH);
    assert_int_equal(relay_verify(ed_pk2, pk2, msg, sizeof msg, sig), BAUTA_EAUTH);
    assert_int_equal(relay_verify(ed_pk, pk2, msg, sizeof msg, sig), BAUTA_EAUTH);
    assert_int_equal(relay_verify(ed_pk2, pk, msg, sizeof msg, sig), BAUTA_EAUTH);
    uint8_t *part[] = {ed_pk, pk, msg, sig};
    size_t part_len[] = {sizeof ed_pk, sizeof pk, sizeof msg, sizeof sig};
    for (unsigned p = 0; p < 4; p++) {
        for (size_t bit = 0; bit < 8 * part_len[p]; bit++) {
            part[p][bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_int_equal(relay_verify(ed_pk, pk, msg, sizeof msg, sig), BAUTA_EAUTH);
            part[p][bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
}

// S + L signs the same under a careless check: one content, two spellings.
static void a_signature_has_one_spelling(void **state)
{
    (void)state;
    static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58,
                                      0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
                                      0,    0,    0,    0,    0,    0,    0,    0,
                                      0,    0,    0,    0,    0,    0,    0,    0x10};
    uint8_t seed[32] = {3}, ed_pk[32], pk[32], sig[64];
    relay_public(ed_pk, pk, seed);
    relay_sign(sig, seed, (const uint8_t *)"x", 1);
    sodium_add(sig + 32, order, 32);
    assert_int_equal(relay_verify(ed_pk, pk, (const uint8_t *)"x", 1, sig), BAUTA_EAUTH);
}

// Points of small order sign anything under a careless check.
static void small_points_are_no_keys(void **state)
{
    (void)state;
    static const char *const points[] = {
        "0100000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // not canonical
    };
    for (unsigned i = 0; i < sizeof points / sizeof *points; i++) {
        uint8_t ed_pk[32], pk[32] = {0}, sig[64] = {1};
        assert_int_equal(sodium_hex2bin(ed_pk, 32, points[i], 64, NULL, NULL, NULL), 0);
        assert_int_equal(relay_contact_key(pk, ed_pk), BAUTA_EAUTH);
        assert_int_equal(relay_verify(ed_pk, pk, (const uint8_t *)"x", 1, sig), BAUTA_EAUTH);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_vectors),
        cmocka_unit_test(nothing_else_verifies),
        cmocka_unit_test(a_signature_has_one_spelling),
        cmocka_unit_test(small_points_are_no_keys),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
