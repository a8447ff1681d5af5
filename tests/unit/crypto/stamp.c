// Stamps of first datagrams: against the reference, what they are bound to, what making one brings.
#include "crypto/stamp.h"

#include "crypto/bytes.h"
#include "tests/unit/vectors.h"

#include <sodium.h>

#define NOW_S UINT64_C(1795000000)

static void vectors(void **state)
{
    (void)state;
    json_t *root = vectors_load("tests/vectors/crypto-rpc.json"), *row;
    size_t i;
    json_array_foreach (vectors_array(root, "stamp"), i, row) {
        uint8_t mask_key[32], e[32], nonce[RPC_NONCE_BYTES], out[8];
        uint64_t tag, unix_s = (uint64_t)json_integer_value(json_object_get(row, "unix_s"));
        vectors_exact(row, "mask_key", mask_key, 32);
        vectors_exact(row, "e", e, 32);
        vectors_exact(row, "nonce", nonce, sizeof nonce);
        assert_int_equal(stamp_bits(mask_key, e, nonce, unix_s, &tag),
                         json_integer_value(json_object_get(row, "bits")));
        struct wr w = wr_init(out, sizeof out);
        wr_le64(&w, tag);
        vectors_same(row, "tag", out, sizeof out);
    }
    json_decref(root);
}

// As many bits as so many tries bring: the best of 2^11 has 8 at least but once in 3,000.
static void what_is_made_counts(void **state)
{
    (void)state;
    unsigned sum = 0;
    for (uint8_t i = 0; i < 64; i++) {
        uint8_t mask_key[32] = {1}, e[32] = {2}, nonce[RPC_NONCE_BYTES] = {3, i}, other[32] = {9};
        uint64_t tag, tag2;
        nonce[23] = i;
        stamp_make(nonce, mask_key, e, NOW_S + i * 40, 2048);
        unsigned bits = stamp_bits(mask_key, e, nonce, NOW_S + i * 40, &tag);
        sum += bits;
        assert_true(bits >= 7);
        // Clocks may be ten minutes wrong, either way; not an hour.
        assert_int_equal(stamp_bits(mask_key, e, nonce, NOW_S + i * 40 + 600, &tag2), bits);
        assert_true(tag == tag2);
        assert_int_equal(stamp_bits(mask_key, e, nonce, NOW_S + i * 40 - 600, &tag2), bits);
        (void)stamp_bits(mask_key, e, nonce, NOW_S + i * 40 + 3600, &tag2);
        assert_true(tag != tag2);
        (void)stamp_bits(other, e, nonce, NOW_S + i * 40, &tag2);
        assert_true(tag != tag2);
        (void)stamp_bits(mask_key, other, nonce, NOW_S + i * 40, &tag2);
        assert_true(tag != tag2);
    }
    assert_in_range(sum, 64 * 11, 64 * 13);
}

static void at_the_beginning_of_time(void **state)
{
    (void)state;
    uint8_t mask_key[32] = {1}, e[32] = {2}, nonce[RPC_NONCE_BYTES] = {3};
    uint64_t tag;
    nonce[23] = 1; // there is no slot before the first
    assert_in_range(stamp_bits(mask_key, e, nonce, 0, &tag), 0, 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors),
        cmocka_unit_test(what_is_made_counts),
        cmocka_unit_test(at_the_beginning_of_time),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
