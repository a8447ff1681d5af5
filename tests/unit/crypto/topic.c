#include "crypto/topic.h"

#include "crypto/bytes.h"
#include "tests/unit/vectors.h"

#define TEXT_BYTES_MAX 4096u

typedef int normalise_fn(const uint8_t *, size_t, uint8_t *, size_t *);

static int topic_fn(const uint8_t *in, size_t len, uint8_t *out, size_t *out_len)
{
    return topic_normalise(in, len, out, out_len);
}

static int pass_fn(const uint8_t *in, size_t len, uint8_t *out, size_t *out_len)
{
    return topic_pass_normalise(in, len, out, out_len);
}

static json_t *load(void)
{
    return vectors_load("tests/vectors/crypto-topic.json");
}

static void check_rows(const char *name, normalise_fn *fn)
{
    json_t *root = load(), *row;
    size_t i;
    json_array_foreach (vectors_array(root, name), i, row) {
        uint8_t in[TEXT_BYTES_MAX], want[TEXT_BYTES_MAX], out[PASS_BYTES_MAX],
            again[PASS_BYTES_MAX];
        size_t len = vectors_bytes(row, "in", in, sizeof in), out_len = 12345, again_len;
        int rc = fn(in, len, out, &out_len);
        if (json_object_get(row, "error") != NULL) {
            int code =
                strcmp(vectors_text(row, "error"), "limit") == 0 ? BAUTA_ELIMIT : BAUTA_EFORMAT;
            if (rc != code || out_len != 12345)
                fail_msg("%s %zu: got %d", vectors_text(row, "note"), i, rc);
            continue;
        }
        size_t want_len = vectors_bytes(row, "out", want, sizeof want);
        if (rc != BAUTA_OK || out_len != want_len || memcmp(out, want, want_len) != 0)
            fail_msg("%s %zu: got %d, %.*s", vectors_text(row, "note"), i, rc, (int)out_len, out);
        assert_int_equal(fn(out, out_len, again, &again_len), BAUTA_OK);
        assert_int_equal(again_len, out_len);
        assert_memory_equal(again, out, out_len);
    }
    json_decref(root);
}

static void topic_vectors(void **state)
{
    (void)state;
    check_rows("normalise", topic_fn);
}

static void pass_vectors(void **state)
{
    (void)state;
    check_rows("pass", pass_fn);
}

// The same, written by hand, so that two programs' common mistake doesn't pass.
static void by_hand(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } table[] = {
        {"  Chess\t\n Club ", "chess club"},
        {"Straße", "strasse"},
        {"STRAẞE", "strasse"},
        {"İstanbul", "i̇stanbul"}, // the dot stays: not the same as Istanbul
        {"Istanbul", "istanbul"},
        {"Dış", "dış"}, // the dotless i is a letter of its own
        {"ΣΊΣΥΦΟΣ", "σίσυφοσ"},
        {"Σίσυφος", "σίσυφοσ"},
        {"E\xcc\x81t\xc3\x89", "été"},
        {"ﬁsh", "fish"},
        {"Ｃｈｅｓｓ　Ｃｌｕｂ", "chess club"},
        {"①²", "12"},
        {"a\xe2\x80\x8d\x62", "ab"},                  // zero width joiner
        {"\xef\xbb\xbfx\xe2\x80\xaey\xc2\xad", "xy"}, // byte order mark, override, hyphen
        {"👨\xe2\x80\x8d👩\xe2\x80\x8d👧", "👨👩👧"},       // ignorable between emoji too
        {"\xe2\x9d\xa4\xef\xb8\x8f", "\xe2\x9d\xa4"}, // variation selector
        {"\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab", "\xed\x95\x9c"}, // Hangul jamo compose
        {"a\xe2\x81\xa5\xef\xbf\xb0\xf3\xa0\x83\xbf\x62", "ab"},  // ignorable, yet unassigned
        {"C++", "c++"},
        {"c# ## d", "c# ## d"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        uint8_t out[TOPIC_BYTES_MAX];
        size_t len;
        assert_int_equal(
            topic_normalise((const uint8_t *)table[i].in, strlen(table[i].in), out, &len),
            BAUTA_OK);
        if (len != strlen(table[i].out) || memcmp(out, table[i].out, len) != 0)
            fail_msg("%s became %.*s", table[i].in, (int)len, out);
    }
}

static void every_code_point(void **state)
{
    (void)state;
    for (uint32_t c = 0; c <= 0x110000; c++) {
        uint8_t in[6] = {'a', 0, 0, 0, 0, 'b'}, out[PASS_BYTES_MAX], again[PASS_BYTES_MAX];
        size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4, len, again_len;
        static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
        for (size_t i = n; i > 0; i--)
            in[i] = (uint8_t)(n == 1 ? c : 0x80u | (c >> 6 * (n - i) & 0x3f));
        if (n > 1)
            in[1] = (uint8_t)(lead[n] | c >> 6 * (n - 1));
        in[n + 1] = 'b';
        bool space = (c >= 9 && c <= 13) || c == 0x85;
        bool control = c < 0x20 || (c >= 0x7f && c < 0xa0);
        bool none = c > 0x10ffff || (c >= 0xd800 && c < 0xe000);
        int rc = topic_normalise(in, n + 2, out, &len);
        if ((rc == BAUTA_OK) != ((!control || space) && !none))
            fail_msg("U+%04X: %d", c, rc);
        if (rc == BAUTA_OK) {
            assert_int_equal(topic_normalise(out, len, again, &again_len), BAUTA_OK);
            assert_true(len == again_len && memcmp(out, again, len) == 0);
            assert_true(!space || (len == 3 && memcmp(out, "a b", 3) == 0));
        }
        rc = topic_pass_normalise(in, n + 2, out, &len);
        if ((rc == BAUTA_OK) != (!control && !none))
            fail_msg("U+%04X in a passphrase: %d", c, rc);
    }
}

static void input_bound(void **state)
{
    (void)state;
    uint8_t in[TEXT_INPUT_BYTES_MAX + 1], out[PASS_BYTES_MAX];
    size_t len;
    memset(in, ' ', sizeof in);
    in[7] = 'x';
    assert_int_equal(topic_normalise(in, TEXT_INPUT_BYTES_MAX, out, &len), BAUTA_OK);
    assert_int_equal(len, 1);
    assert_int_equal(topic_normalise(in, TEXT_INPUT_BYTES_MAX + 1, out, &len), BAUTA_ELIMIT);
    assert_int_equal(topic_pass_normalise(in, TEXT_INPUT_BYTES_MAX + 1, out, &len), BAUTA_ELIMIT);
    assert_int_equal(topic_pass_normalise(in, SIZE_MAX, out, &len), BAUTA_ELIMIT);
    assert_int_equal(topic_pass_normalise(NULL, 0, out, &len), BAUTA_OK);
    assert_int_equal(len, 0);
    assert_int_equal(topic_normalise(NULL, 0, out, &len), BAUTA_EFORMAT);
    // The character with the longest decomposition, as often as fits: 3 bytes to 18 code points.
    for (size_t i = 0; i + 3 <= TEXT_INPUT_BYTES_MAX; i += 3)
        memcpy(in + i, "\xef\xb7\xba", 3);
    assert_int_equal(topic_normalise(in, TEXT_INPUT_BYTES_MAX / 3 * 3, out, &len), BAUTA_ELIMIT);
}

static void split_vectors(void **state)
{
    (void)state;
    json_t *root = load(), *row;
    size_t i;
    json_array_foreach (vectors_array(root, "split"), i, row) {
        uint8_t in[64];
        size_t len = vectors_bytes(row, "in", in, sizeof in), topic_len, pass_at, pass_len;
        topic_split(in, len, &topic_len, &pass_at, &pass_len);
        assert_true(topic_len <= len && pass_at <= len && pass_len <= len - pass_at);
        vectors_same(row, "topic", in, topic_len);
        vectors_same(row, "pass", in + pass_at, pass_len);
    }
    json_decref(root);
}

static void secret_vectors(void **state)
{
    (void)state;
    json_t *root = load(), *row;
    size_t i;
    json_array_foreach (vectors_array(root, "secret"), i, row) {
        struct net net;
        uint8_t topic[TOPIC_BYTES_MAX], pass[PASS_BYTES_MAX], secret[32];
        size_t topic_len = vectors_bytes(row, "topic", topic, sizeof topic);
        size_t pass_len = vectors_bytes(row, "pass", pass, sizeof pass);
        assert_int_equal(net_init(&net, vectors_text(row, "network")), BAUTA_OK);
        assert_int_equal(topic_secret(secret, &net, (uint32_t)vectors_int(row, "day"), topic,
                                      topic_len, pass, pass_len),
                         BAUTA_OK);
        vectors_same(row, "secret", secret, 32);
    }
    json_decref(root);
}

// Network, day, topic, passphrase, and where one ends and the other begins: each changes the secret.
static void secret_depends_on_everything(void **state)
{
    (void)state;
    static const struct {
        const char *network, *topic, *pass;
        uint32_t day;
    } row[] = {{"a", "chess", "", 1},  {"b", "chess", "", 1}, {"a", "chess", "", 2},
               {"a", "chess", "s", 1}, {"a", "ches", "s", 1}, {"a", "chesss", "", 1}};
    uint8_t secret[6][32];
    for (size_t i = 0; i < 6; i++) {
        struct net net;
        assert_int_equal(net_init(&net, row[i].network), BAUTA_OK);
        assert_int_equal(topic_secret(secret[i], &net, row[i].day, (const uint8_t *)row[i].topic,
                                      strlen(row[i].topic), (const uint8_t *)row[i].pass,
                                      strlen(row[i].pass)),
                         BAUTA_OK);
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(secret[i], secret[k], 32);
    }
}

static void key_vectors(void **state)
{
    (void)state;
    json_t *root = load(), *row;
    size_t i;
    json_array_foreach (vectors_array(root, "keys"), i, row) {
        uint8_t secret[32];
        struct topic_keys k;
        vectors_exact(row, "secret", secret, 32);
        topic_keys(&k, secret, (uint64_t)vectors_int(row, "epoch"),
                   (uint8_t)vectors_int(row, "depth"), (uint32_t)vectors_int(row, "bits"));
        vectors_same(row, "place", k.place, 32);
        vectors_same(row, "seal", k.seal, 32);
        vectors_same(row, "psk", k.psk, 32);
    }
    json_decref(root);
}

static int setup(void **state)
{
    (void)state;
    return sodium_init() < 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topic_vectors),  cmocka_unit_test(pass_vectors),
        cmocka_unit_test(by_hand),        cmocka_unit_test(every_code_point),
        cmocka_unit_test(input_bound),    cmocka_unit_test(split_vectors),
        cmocka_unit_test(secret_vectors), cmocka_unit_test(secret_depends_on_everything),
        cmocka_unit_test(key_vectors),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
