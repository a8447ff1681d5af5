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
    json_array_foreach (vectors_array(root, "lock"), i, row) {
        uint8_t w_record[32], holder[32], w[LOCK_BYTES], c[LOCK_BYTES];
        vectors_exact(row, "w_record", w_record, 32);
        vectors_exact(row, "holder", holder, 32);
        record_lock(w, w_record, holder, (uint32_t)vectors_int(row, "generation"));
        vectors_same(row, "w", w, sizeof w);
        record_commit(c, w);
        vectors_same(row, "c", c, sizeof c);
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

// A lock says nothing of the next generation's or another holder's, and only its commitment shows.
static void locks_differ(void **state)
{
    (void)state;
    uint8_t key[32] = {1}, holder[2][32] = {{2}, {3}}, w[4][LOCK_BYTES], c[LOCK_BYTES];
    for (uint32_t i = 0; i < 4; i++)
        record_lock(w[i], key, holder[i / 2], i % 2);
    for (size_t i = 0; i < 4; i++) {
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(w[i], w[j], LOCK_BYTES);
        record_commit(c, w[i]);
        assert_memory_not_equal(c, w[i], LOCK_BYTES);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors),
        cmocka_unit_test(every_bit_counts),
        cmocka_unit_test(locks_differ),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
