#include "crypto/mask.h"
#include "tests/unit/vectors.h"

static void vectors(void **state)
{
    (void)state;
    json_t *root = vectors_load("tests/vectors/crypto-packet.json"), *row;
    size_t i;
    json_array_foreach (vectors_array(root, "mask"), i, row) {
        uint8_t d[CLASS_FULL], key[32], field_key[MASK_KEY_BYTES], before[CLASS_FULL];
        size_t len = vectors_bytes(row, "datagram", d, sizeof d);
        memcpy(before, d, len);
        vectors_exact(row, "request_key", key, sizeof key);
        vectors_exact(row, "field_key", field_key, sizeof field_key);

        mask_request(d, len, key);
        vectors_same(row, "request_masked", d, len);
        mask_request(d, len, key);
        assert_memory_equal(d, before, len);

        mask_field(d, d, len, field_key);
        vectors_same(row, "field_masked", d, 8);
        assert_memory_equal(d + 8, before + 8, len - 8);
        mask_field(d, d, len, field_key);
        assert_memory_equal(d, before, len);
    }
    json_decref(root);
}

// Every bit of the key and of the sample changes the mask; the rest of the datagram doesn't.
static void depends_on_key_and_sample(void **state)
{
    (void)state;
    uint8_t zero[CLASS_TINY] = {0}, key[32] = {0}, first[CLASS_TINY], again[CLASS_TINY];
    memcpy(first, zero, sizeof first);
    mask_request(first, sizeof first, key);
    for (unsigned bit = 0; bit < 256; bit++) {
        memcpy(again, zero, sizeof again);
        key[bit / 8] ^= (uint8_t)(1u << bit % 8);
        mask_request(again, sizeof again, key);
        key[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_memory_not_equal(again, first, RPC_HEADER_BYTES);
    }
    for (unsigned bit = 0; bit < 128; bit++) {
        memcpy(again, zero, sizeof again);
        again[sizeof again - SAMPLE_BYTES + bit / 8] ^= (uint8_t)(1u << bit % 8);
        mask_request(again, sizeof again, key);
        assert_memory_not_equal(again, first, RPC_HEADER_BYTES);
        uint8_t field[8] = {0}, base[8] = {0};
        mask_field(field, again, sizeof again, key);
        mask_field(base, first, sizeof first, key);
        assert_memory_not_equal(field, base, sizeof field);
    }
    uint8_t longer[CLASS_SMALL] = {0};
    memset(longer + RPC_HEADER_BYTES, 0x5a, sizeof longer - RPC_HEADER_BYTES - SAMPLE_BYTES);
    mask_request(longer, sizeof longer, key);
    assert_memory_equal(longer, first, RPC_HEADER_BYTES);
    assert_int_equal(longer[RPC_HEADER_BYTES], 0x5a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors),
        cmocka_unit_test(depends_on_key_and_sample),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
