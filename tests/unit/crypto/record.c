#include "crypto/record.h"
#include "crypto/bytes.h"
#include "tests/unit/vectors.h"

struct parts {
    uint8_t plain[RECORD_PLAIN_BYTES], rec_id[RECORD_ID_BYTES], nonce[24], seal_key[32], place[32];
};

static void load(struct parts *p, json_t *row)
{
    vectors_exact(row, "plain", p->plain, sizeof p->plain);
    vectors_exact(row, "rec_id", p->rec_id, sizeof p->rec_id);
    vectors_exact(row, "nonce", p->nonce, sizeof p->nonce);
    vectors_exact(row, "seal_key", p->seal_key, sizeof p->seal_key);
    vectors_exact(row, "place", p->place, sizeof p->place);
}

static void vectors(void **state)
{
    (void)state;
    json_t *root = vectors_load("tests/vectors/crypto-record.json"), *row;
    size_t i;
    json_array_foreach (vectors_array(root, "record"), i, row) {
        struct parts p;
        uint8_t record[RECORD_BYTES], plain[RECORD_PLAIN_BYTES];
        load(&p, row);
        record_seal(record, p.plain, p.rec_id, p.nonce, p.seal_key, p.place);
        vectors_same(row, "record", record, sizeof record);
        assert_int_equal(record_open(plain, record, p.seal_key, p.place), 0);
        assert_memory_equal(plain, p.plain, sizeof plain);
    }
    json_array_foreach (vectors_array(root, "owner"), i, row) {
        uint8_t e[32], salt[RECORD_SALT_BYTES], id[RECORD_ID_BYTES], place[32], m[32];
        uint8_t record[RECORD_BYTES];
        vectors_exact(row, "e", e, 32);
        vectors_exact(row, "salt", salt, sizeof salt);
        record_id(id, e, salt);
        vectors_same(row, "rec_id", id, sizeof id);
        vectors_exact(row, "place", place, 32);
        vectors_exact(row, "record", record, sizeof record);
        record_pow_message(m, place, record);
        vectors_same(row, "m", m, sizeof m);
    }
    json_decref(root);
}

// Flips of the record (id, nonce, body, tag), of the place and of the key are all refused.
static void every_bit_counts(void **state)
{
    (void)state;
    struct parts p;
    uint8_t record[RECORD_BYTES], plain[RECORD_PLAIN_BYTES];
    memset(&p, 0x31, sizeof p);
    record_seal(record, p.plain, p.rec_id, p.nonce, p.seal_key, p.place);
    for (size_t bit = 0; bit < sizeof record * 8; bit++) {
        record[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(record_open(plain, record, p.seal_key, p.place), BAUTA_EAUTH);
        record[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t bit = 0; bit < 256; bit++) {
        uint8_t other[32];
        memcpy(other, p.place, 32);
        other[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(record_open(plain, record, p.seal_key, other), BAUTA_EAUTH);
        memcpy(other, p.seal_key, 32);
        other[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(record_open(plain, record, other, p.place), BAUTA_EAUTH);
    }
    assert_int_equal(record_open(plain, record, p.seal_key, p.place), 0);
    assert_memory_equal(plain, p.plain, sizeof plain);
}

// Neither another key nor another salt gives the same id.
static void ids_differ(void **state)
{
    (void)state;
    uint8_t e[32] = {1}, salt[RECORD_SALT_BYTES] = {2}, id[RECORD_ID_BYTES], other[RECORD_ID_BYTES];
    record_id(id, e, salt);
    for (size_t bit = 0; bit < 256 + 128; bit++) {
        uint8_t *at = bit < 256 ? &e[bit / 8] : &salt[bit / 8 - 32];
        *at ^= (uint8_t)(1u << bit % 8);
        record_id(other, e, salt);
        assert_memory_not_equal(id, other, sizeof id);
        *at ^= (uint8_t)(1u << bit % 8);
    }
}

// Work is about one place and one record.
static void work_is_bound(void **state)
{
    (void)state;
    uint8_t place[32] = {1}, record[RECORD_BYTES] = {2}, m[32], other[32];
    record_pow_message(m, place, record);
    place[31] ^= 1;
    record_pow_message(other, place, record);
    assert_memory_not_equal(m, other, 32);
    place[31] ^= 1;
    record[RECORD_BYTES - 1] ^= 1;
    record_pow_message(other, place, record);
    assert_memory_not_equal(m, other, 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors),
        cmocka_unit_test(every_bit_counts),
        cmocka_unit_test(ids_differ),
        cmocka_unit_test(work_is_bound),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
