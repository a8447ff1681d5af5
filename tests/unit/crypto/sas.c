#include "crypto/sas.h"
#include "tests/unit/vectors.h"

#include <stdlib.h>

static void vectors(void **state)
{
    (void)state;
    json_t *root = vectors_load("tests/vectors/crypto-sas.json"), *row;
    size_t i;
    json_array_foreach (vectors_array(root, "sas"), i, row) {
        uint8_t th[32], n_i[32], n_r[32], commit[32];
        uint16_t words[SAS_WORDS];
        vectors_exact(row, "th", th, 32);
        vectors_exact(row, "n_i", n_i, 32);
        vectors_exact(row, "n_r", n_r, 32);
        sas_commit(commit, th, n_r);
        vectors_same(row, "commit", commit, 32);
        sas_words(words, th, commit, n_i, n_r);
        json_t *indices = vectors_array(row, "indices"), *text = vectors_array(row, "words");
        assert_int_equal(json_array_size(indices), SAS_WORDS);
        assert_int_equal(json_array_size(text), SAS_WORDS);
        for (size_t w = 0; w < SAS_WORDS; w++) {
            assert_int_equal(words[w], json_integer_value(json_array_get(indices, w)));
            assert_string_equal(sas_word(words[w]), json_string_value(json_array_get(text, w)));
        }
    }
    crypto_generichash_state st;
    uint8_t hash[32];
    crypto_generichash_init(&st, NULL, 0, sizeof hash);
    for (uint16_t w = 0; w < SAS_WORD_LIST; w++) {
        crypto_generichash_update(&st, (const uint8_t *)sas_word(w), strlen(sas_word(w)));
        crypto_generichash_update(&st, (const uint8_t *)"\n", 1);
    }
    crypto_generichash_final(&st, hash, sizeof hash);
    vectors_same(root, "list_blake2b_32", hash, sizeof hash);
    json_decref(root);
}

static int by_first_letters(const void *a, const void *b)
{
    return strncmp(*(const char *const *)a, *(const char *const *)b, 4);
}

// A word is known from its first four letters, and every word is lower-case ASCII.
static void list_is_unambiguous(void **state)
{
    (void)state;
    const char *list[SAS_WORD_LIST];
    for (uint16_t w = 0; w < SAS_WORD_LIST; w++) {
        list[w] = sas_word(w);
        size_t len = strlen(list[w]);
        assert_in_range(len, 3, SAS_WORD_BYTES_MAX);
        assert_int_equal(strspn(list[w], "abcdefghijklmnopqrstuvwxyz"), len);
    }
    qsort(list, SAS_WORD_LIST, sizeof *list, by_first_letters);
    for (size_t i = 1; i < SAS_WORD_LIST; i++)
        assert_true(by_first_letters(&list[i - 1], &list[i]) < 0);
}

// Each input counts, and each of the six words moves.
static void every_input_counts(void **state)
{
    (void)state;
    uint8_t in[4][32] = {{1}, {2}, {3}, {4}};
    uint16_t base[SAS_WORDS], other[SAS_WORDS];
    unsigned moved = 0;
    sas_words(base, in[0], in[1], in[2], in[3]);
    for (size_t part = 0; part < 4; part++)
        for (unsigned bit = 0; bit < 256; bit++) {
            in[part][bit / 8] ^= (uint8_t)(1u << bit % 8);
            sas_words(other, in[0], in[1], in[2], in[3]);
            in[part][bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_memory_not_equal(base, other, sizeof base);
            for (unsigned w = 0; w < SAS_WORDS; w++) {
                assert_true(other[w] < SAS_WORD_LIST);
                moved |= (unsigned)(base[w] != other[w]) << w;
            }
        }
    assert_int_equal(moved, (1u << SAS_WORDS) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors),
        cmocka_unit_test(list_is_unambiguous),
        cmocka_unit_test(every_input_counts),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
