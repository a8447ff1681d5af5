#include "crypto/noise.h"

#include "tests/unit/vectors.h"
#include "tools/noise_vectors.h"

#define PUBLIC_VECTORS 36

static const char *const pattern_names[] = {"N",  "K",  "X",  "NN", "NK", "NX", "XN", "XK",
                                            "XX", "KN", "KK", "KX", "IN", "IK", "IX"};
#define PATTERNS (sizeof pattern_names / sizeof pattern_names[0])

// ---- vectors -------------------------------------------------------------------------------------

static void run_file(const char *path, size_t count)
{
    json_t *root = vectors_load(path), *row;
    size_t i;
    assert_int_equal(json_array_size(vectors_array(root, "vectors")), count);
    json_array_foreach (json_object_get(root, "vectors"), i, row) {
        char why[160];
        if (noise_vector_run(row, why, sizeof why) != VECTOR_PASSED)
            fail_msg("%s: %s", noise_vector_name(row), why);
    }
    json_decref(root);
}

static void public_vectors(void **state)
{
    (void)state;
    run_file("tests/vectors/noise-25519-chachapoly-blake2b.json", PUBLIC_VECTORS);
}

static void several_psks(void **state)
{
    (void)state;
    run_file("tests/vectors/noise-psk.json", 10);
}

static json_t *flip_hex(const json_t *text)
{
    char *copy = strdup(json_string_value(text));
    assert_non_null(copy);
    copy[0] = copy[0] == '0' ? '1' : '0';
    json_t *changed = json_string(copy);
    free(copy);
    return changed;
}

// A runner that passes everything proves nothing: each value that is changed must be noticed.
static void changed_vectors_fail(void **state)
{
    (void)state;
    json_t *root = vectors_load("tests/vectors/noise-psk.json"), *row, *value;
    size_t i;
    const char *field;
    char why[160];
    json_array_foreach (json_object_get(root, "vectors"), i, row) {
        json_t *original = json_deep_copy(row);
        json_object_foreach (original, field, value) {
            json_t *bad = json_deep_copy(original);
            if (json_is_array(value)) {
                json_t *first = json_array_get(json_object_get(bad, field), 0);
                if (json_is_string(first))
                    json_array_set_new(json_object_get(bad, field), 0, flip_hex(first));
                else
                    json_object_set_new(first, "ciphertext",
                                        flip_hex(json_object_get(first, "ciphertext")));
            } else if (strcmp(field, "protocol_name") != 0)
                json_object_set_new(bad, field, flip_hex(value));
            int want = strcmp(field, "protocol_name") == 0 ? VECTOR_PASSED : VECTOR_FAILED;
            if ((int)noise_vector_run(bad, why, sizeof why) != want)
                fail_msg("%s: %s changed: %s", noise_vector_name(row), field, why);
            json_object_set_new(bad, field, json_integer(7));
            assert_int_equal(noise_vector_run(bad, why, sizeof why), VECTOR_FAILED);
            json_decref(bad);
        }
        json_decref(original);
    }
    json_decref(root);
}

static void vectors_with_gaps(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum noise_vector_result want;
    } table[] = {
        {"null", VECTOR_FAILED},
        {"{}", VECTOR_FAILED},
        {"{\"protocol_name\": 5}", VECTOR_FAILED},
        {"{\"protocol_name\": \"Noise_XXfallback_25519_ChaChaPoly_BLAKE2b\"}", VECTOR_SKIPPED},
        {"{\"protocol_name\": \"Noise_XXhfs_25519+NewHope_ChaChaPoly_BLAKE2b\"}", VECTOR_SKIPPED},
        {"{\"protocol_name\": \"NoisePSK_XX_25519_ChaChaPoly_BLAKE2b\"}", VECTOR_SKIPPED},
        {"{\"protocol_name\": \"hello\"}", VECTOR_SKIPPED},
        {"{\"protocol_name\": \"Noise_NN_25519_ChaChaPoly_BLAKE2b\"}", VECTOR_FAILED},
        {"{\"protocol_name\": \"Noise_NN_25519_ChaChaPoly_BLAKE2b\", \"messages\": []}",
         VECTOR_FAILED},
    };
    char why[160];
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        json_t *v = json_loads(table[i].text, JSON_DECODE_ANY, NULL);
        assert_non_null(v);
        assert_int_equal(noise_vector_run(v, why, sizeof why), table[i].want);
        assert_true(why[0] != '\0');
        json_decref(v);
    }
    json_t *root = vectors_load("tests/vectors/noise-25519-chachapoly-blake2b.json"), *row;
    size_t i;
    json_array_foreach (json_object_get(root, "vectors"), i, row) {
        json_object_del(row, "handshake_hash");
        json_object_del(row, i % 2 == 0 ? "init_prologue" : "resp_prologue");
        json_object_del(row, "init_remote_static");
        json_object_del(row, "resp_psks");
        json_object_del(json_array_get(json_object_get(row, "messages"), 1), "ciphertext");
        assert_int_equal(noise_vector_run(row, why, sizeof why), VECTOR_PASSED);
        while (json_array_size(json_object_get(row, "messages")) > 0)
            json_array_remove(json_object_get(row, "messages"), 0);
        assert_int_equal(noise_vector_run(row, why, sizeof why), VECTOR_FAILED);
    }
    json_decref(root);
}

// ---- two parties ---------------------------------------------------------------------------------

static const uint8_t secret_i[32] = {1, 7, 9}, secret_r[32] = {2, 8}, eph_i[32] = {3},
                     eph_r[32] = {4};
static const uint8_t psk_bytes[NOISE_PSKS_MAX][32] = {{11}, {12}, {13}, {14}};

struct pair {
    struct noise side[2];
};

static void spec_of(struct noise_spec *spec, const char *pattern, unsigned mask)
{
    char name[80];
    size_t len = (size_t)snprintf(name, sizeof name, "Noise_%s", pattern);
    const char *joint = "";
    for (unsigned bit = 0; bit < NOISE_PSKS_MAX; bit++) {
        if ((mask & (1u << bit)) == 0)
            continue;
        len += (size_t)snprintf(name + len, sizeof name - len, "%spsk%u", joint, bit);
        joint = "+";
    }
    snprintf(name + len, sizeof name - len, "_25519_ChaChaPoly_BLAKE2b");
    assert_int_equal(noise_spec_parse(spec, name), BAUTA_OK);
    assert_string_equal(spec->name, name);
    assert_int_equal(spec->psk_mask, mask);
}

static struct noise_keys keys_of(bool initiator)
{
    static uint8_t pub_i[32], pub_r[32];
    crypto_scalarmult_base(pub_i, secret_i);
    crypto_scalarmult_base(pub_r, secret_r);
    struct noise_keys k = {initiator ? secret_i : secret_r, initiator ? pub_r : pub_i, {NULL}};
    for (unsigned i = 0; i < NOISE_PSKS_MAX; i++)
        k.psk[i] = psk_bytes[i];
    return k;
}

static void pair_init(struct pair *p, const struct noise_spec *spec)
{
    for (unsigned i = 0; i < 2; i++) {
        struct noise_keys keys = keys_of(i == 0);
        assert_int_equal(noise_init(&p->side[i], spec, i == 0, (const uint8_t *)"p", 1, &keys), 0);
    }
}

static int step_write(struct pair *p, unsigned from, uint8_t *msg, size_t cap, size_t *len)
{
    static const uint8_t payload[] = "payload";
    return noise_write(&p->side[from], from == 0 ? eph_i : eph_r, payload, sizeof payload, msg, cap,
                       len);
}

// Plays the whole handshake and one transport message each way; in message `at` bit `bit` is flipped,
// or (cut) `bit` bytes are left. False as soon as either side notices.
static bool plays(const struct noise_spec *spec, unsigned at, size_t bit, bool cut, size_t *msg_len)
{
    struct pair p;
    pair_init(&p, spec);
    for (unsigned m = 0; !noise_done(&p.side[0]) || !noise_done(&p.side[1]); m++) {
        uint8_t msg[512], out[512];
        size_t len, got;
        if (step_write(&p, m % 2, msg, sizeof msg, &len) != 0)
            return false;
        if (m == at && msg_len != NULL)
            *msg_len = len;
        if (m == at && cut)
            len = bit;
        else if (m == at && bit != SIZE_MAX)
            msg[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (noise_read(&p.side[1 - m % 2], msg, len, out, sizeof out, &got) != 0) {
            assert_int_equal(noise_read(&p.side[1 - m % 2], msg, len, out, sizeof out, &got),
                             BAUTA_ESTATE);
            return false;
        }
    }
    bool equal = memcmp(p.side[0].h, p.side[1].h, NOISE_HASH_BYTES) == 0;
    struct noise_cipher c[2][2];
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(noise_split(&p.side[i], &c[i][0], &c[i][1]), BAUTA_OK);
    for (unsigned way = 0; way < 2; way++) {
        uint8_t sealed[4 + NOISE_TAG_BYTES], opened[4];
        int rc = noise_cipher_seal(&c[way][way], NULL, 0, (const uint8_t *)"text", 4, sealed);
        if (way == 1 && spec->pattern->one_way) {
            assert_int_equal(rc, BAUTA_ELIMIT);
            break;
        }
        assert_int_equal(rc, BAUTA_OK);
        if (noise_cipher_open(&c[1 - way][way], NULL, 0, sealed, sizeof sealed, opened) != 0)
            return false;
        assert_true(equal);
        assert_memory_equal(opened, "text", 4);
    }
    return true;
}

static void every_pattern_with_every_psk(void **state)
{
    (void)state;
    for (size_t i = 0; i < PATTERNS; i++) {
        struct noise_spec spec;
        spec_of(&spec, pattern_names[i], 0);
        for (unsigned mask = 0; mask < 2u << spec.pattern->messages; mask++) {
            spec_of(&spec, pattern_names[i], mask);
            assert_true(plays(&spec, 0, SIZE_MAX, false, NULL));
        }
    }
}

// Where a message has no key yet the next one, or the first transport message, must fail.
static void every_flipped_bit_and_truncation(void **state)
{
    (void)state;
    for (size_t i = 0; i < PATTERNS; i++) {
        struct noise_spec spec;
        spec_of(&spec, pattern_names[i], 0);
        for (unsigned m = 0; m < spec.pattern->messages; m++) {
            size_t len = 0;
            assert_true(plays(&spec, m, SIZE_MAX, false, &len));
            // Every 13th bit and every 7th length here; all of them below for the one that is in use.
            for (size_t bit = i; bit < len * 8; bit += 13)
                assert_false(plays(&spec, m, bit, false, NULL));
            for (size_t cut = i % 7; cut < len; cut += 7)
                assert_false(plays(&spec, m, cut, true, NULL));
        }
    }
    struct noise_spec spec;
    spec_of(&spec, "IK", 2);
    for (unsigned m = 0; m < 2; m++) {
        size_t len = 0;
        assert_true(plays(&spec, m, SIZE_MAX, false, &len));
        for (size_t bit = 0; bit < len * 8; bit++)
            assert_false(plays(&spec, m, bit, false, NULL));
        for (size_t cut = 0; cut < len; cut++)
            assert_false(plays(&spec, m, cut, true, NULL));
    }
}

// Reads the initiator's first IKpsk1 message with one input of the responder changed.
static int first_read(const uint8_t *s, const uint8_t *psk, const char *prologue, const char *name)
{
    struct noise_spec spec, other;
    spec_of(&spec, "IK", 2);
    assert_int_equal(noise_spec_parse(&other, name), BAUTA_OK);
    struct noise a, b;
    struct noise_keys ka = keys_of(true), kb = keys_of(false);
    kb.s = s != NULL ? s : kb.s;
    kb.psk[0] = psk != NULL ? psk : kb.psk[0];
    assert_int_equal(noise_init(&a, &spec, true, (const uint8_t *)"p", 1, &ka), BAUTA_OK);
    assert_int_equal(
        noise_init(&b, &other, false, (const uint8_t *)prologue, strlen(prologue), &kb), BAUTA_OK);
    uint8_t msg[256], out[256];
    size_t len, got;
    assert_int_equal(noise_write(&a, eph_i, NULL, 0, msg, sizeof msg, &len), BAUTA_OK);
    assert_int_equal(len, 32 + 48 + 16);
    return noise_read(&b, msg, len, out, sizeof out, &got);
}

static void wrong_inputs(void **state)
{
    (void)state;
    static const char ik1[] = "Noise_IKpsk1_25519_ChaChaPoly_BLAKE2b";
    assert_int_equal(first_read(NULL, NULL, "p", ik1), BAUTA_OK);
    assert_int_equal(first_read(secret_i, NULL, "p", ik1), BAUTA_EAUTH);
    assert_int_equal(first_read(NULL, secret_i, "p", ik1), BAUTA_EAUTH);
    assert_int_equal(first_read(NULL, NULL, "", ik1), BAUTA_EAUTH);
    assert_int_equal(first_read(NULL, NULL, "q", ik1), BAUTA_EAUTH);
    assert_int_equal(first_read(NULL, NULL, "p", "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2b"),
                     BAUTA_EAUTH);
    assert_int_equal(first_read(NULL, NULL, "p", "Noise_IKpsk0_25519_ChaChaPoly_BLAKE2b"),
                     BAUTA_EAUTH);
    assert_int_equal(first_read(NULL, NULL, "p", "Noise_IK_25519_ChaChaPoly_BLAKE2b"), BAUTA_EAUTH);
}

static void missing_keys(void **state)
{
    (void)state;
    struct noise_spec spec;
    struct noise n, zero;
    memset(&zero, 0, sizeof zero);
    struct noise_keys keys = keys_of(true), none = {NULL, NULL, {NULL}};
    spec_of(&spec, "NN", 0);
    assert_int_equal(noise_init(&n, &spec, true, NULL, 0, &none), BAUTA_OK);
    spec_of(&spec, "IK", 2);
    keys.psk[0] = NULL;
    assert_int_equal(noise_init(&n, &spec, true, NULL, 0, &keys), BAUTA_EFORMAT);
    assert_memory_equal(&n, &zero, sizeof n);
    keys = keys_of(true);
    keys.rs = NULL;
    assert_int_equal(noise_init(&n, &spec, true, NULL, 0, &keys), BAUTA_EFORMAT);
    assert_int_equal(noise_init(&n, &spec, false, NULL, 0, &keys), BAUTA_OK); // learns it
    keys = keys_of(true);
    keys.s = NULL;
    assert_int_equal(noise_init(&n, &spec, true, NULL, 0, &keys), BAUTA_EFORMAT);
    assert_int_equal(noise_init(&n, &spec, false, NULL, 0, &keys), BAUTA_EFORMAT);
    spec_of(&spec, "XX", 9);
    keys = keys_of(true);
    keys.psk[1] = NULL;
    assert_int_equal(noise_init(&n, &spec, true, NULL, 0, &keys), BAUTA_EFORMAT);
}

static void out_of_order(void **state)
{
    (void)state;
    struct noise_spec spec;
    struct pair p;
    struct noise_cipher a, b;
    uint8_t msg[3][256], out[256];
    size_t len[3], got;
    spec_of(&spec, "XX", 0);
    pair_init(&p, &spec);
    assert_int_equal(step_write(&p, 1, msg[0], 256, &len[0]), BAUTA_ESTATE);
    assert_int_equal(noise_read(&p.side[0], out, 96, out, sizeof out, &got), BAUTA_ESTATE);
    for (unsigned m = 0; m < 3; m++) {
        assert_int_equal(noise_split(&p.side[m % 2], &a, &b), BAUTA_ESTATE);
        assert_false(noise_done(&p.side[m % 2]));
        assert_int_equal(step_write(&p, m % 2, msg[m], 256, &len[m]), BAUTA_OK);
        assert_int_equal(step_write(&p, m % 2, out, 256, &got), BAUTA_ESTATE);
        struct noise *reader = &p.side[1 - m % 2];
        assert_int_equal(noise_read(reader, msg[m], len[m], out, sizeof out, &got), BAUTA_OK);
        assert_int_equal(got, sizeof "payload");
        assert_int_equal(noise_read(reader, msg[m], len[m], out, sizeof out, &got), BAUTA_ESTATE);
    }
    assert_true(noise_done(&p.side[0]) && noise_done(&p.side[1]));
    assert_int_equal(step_write(&p, 0, out, 256, &got), BAUTA_ESTATE);
    assert_int_equal(step_write(&p, 1, out, 256, &got), BAUTA_ESTATE);
    static const uint8_t nothing[32];
    assert_memory_equal(p.side[0].s, nothing, 32);
    assert_memory_equal(p.side[1].e, nothing, 32);
    noise_wipe(&p.side[0]);
    assert_int_equal(step_write(&p, 0, out, 256, &got), BAUTA_ESTATE);
    assert_int_equal(noise_split(&p.side[0], &a, &b), BAUTA_ESTATE);
}

// All X25519 points of small order, and their forms that are not reduced.
static void low_order_points(void **state)
{
    (void)state;
    static const char *const points[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"};
    for (size_t i = 0; i < 2 * sizeof points / sizeof points[0]; i++) {
        uint8_t point[32], msg[256] = {0}, out[256];
        size_t len;
        sodium_hex2bin(point, 32, points[i / 2], 64, NULL, NULL, NULL);
        point[31] |= i % 2 == 0 ? 0 : 0x80; // the top bit doesn't count
        struct noise_spec spec;
        struct pair p;
        memcpy(msg, point, 32);
        spec_of(&spec, "IK", 2); // as the initiator's ephemeral
        pair_init(&p, &spec);
        assert_int_equal(noise_read(&p.side[1], msg, 96, out, sizeof out, &len), BAUTA_EAUTH);
        assert_int_equal(step_write(&p, 1, out, sizeof out, &len), BAUTA_ESTATE);
        spec_of(&spec, "NN", 0); // the first DH is the answer's
        pair_init(&p, &spec);
        assert_int_equal(noise_read(&p.side[1], msg, 32, out, sizeof out, &len), BAUTA_OK);
        assert_int_equal(step_write(&p, 1, out, sizeof out, &len), BAUTA_EAUTH);
        assert_int_equal(step_write(&p, 1, out, sizeof out, &len), BAUTA_ESTATE);
        spec_of(&spec, "NK", 0); // as a server's static
        struct noise_keys keys = {NULL, point, {NULL}};
        assert_int_equal(noise_init(&p.side[0], &spec, true, NULL, 0, &keys), BAUTA_OK);
        assert_int_equal(step_write(&p, 0, out, sizeof out, &len), BAUTA_EAUTH);
    }
}

static void sizes(void **state)
{
    (void)state;
    static uint8_t payload[NOISE_MESSAGE_BYTES_MAX], msg[NOISE_MESSAGE_BYTES_MAX + 1],
        out[NOISE_MESSAGE_BYTES_MAX + 1];
    size_t len = 0, got = 0, most = NOISE_MESSAGE_BYTES_MAX - 96;
    struct noise_spec spec;
    struct pair p;
    spec_of(&spec, "IK", 2);
    pair_init(&p, &spec);
    memset(payload, 0x5a, sizeof payload);
    struct noise *a = &p.side[0], *b = &p.side[1];
    assert_int_equal(noise_write(a, eph_i, payload, most + 1, msg, sizeof msg, &len), BAUTA_ESPACE);
    assert_int_equal(noise_write(a, eph_i, payload, SIZE_MAX, msg, sizeof msg, &len), BAUTA_ESPACE);
    assert_int_equal(noise_write(a, eph_i, payload, most, msg, most + 95, &len), BAUTA_ESPACE);
    assert_int_equal(noise_write(a, eph_i, payload, most, msg, sizeof msg, &len), BAUTA_OK);
    assert_int_equal(len, NOISE_MESSAGE_BYTES_MAX);
    assert_int_equal(noise_read(b, msg, len, out, most - 1, &got), BAUTA_ESPACE);
    struct pair q = p;
    assert_int_equal(noise_read(&q.side[1], msg, len + 1, out, sizeof out, &got), BAUTA_EFORMAT);
    assert_int_equal(noise_read(b, msg, len, out, most, &got), BAUTA_OK);
    assert_int_equal(got, most);
    assert_memory_equal(out, payload, most);

    struct noise_cipher c = {.has_key = true}, d = c;
    most = NOISE_MESSAGE_BYTES_MAX - NOISE_TAG_BYTES;
    assert_int_equal(noise_cipher_seal(&c, NULL, 0, payload, most + 1, msg), BAUTA_ESPACE);
    assert_int_equal(noise_cipher_seal(&c, NULL, 0, payload, most, msg), BAUTA_OK);
    assert_int_equal(noise_cipher_open(&d, NULL, 0, msg, NOISE_TAG_BYTES - 1, out), BAUTA_EFORMAT);
    assert_int_equal(noise_cipher_open(&d, NULL, 0, msg, NOISE_MESSAGE_BYTES_MAX, msg), BAUTA_OK);
    assert_memory_equal(msg, payload, most);
}

static void nonces(void **state)
{
    (void)state;
    uint8_t box[NOISE_TAG_BYTES], out[1];
    struct noise_cipher c = {.n = UINT64_MAX - 1, .has_key = true}, d = c;
    assert_int_equal(noise_cipher_seal(&c, NULL, 0, NULL, 0, box), BAUTA_OK);
    assert_int_equal(noise_cipher_seal(&c, NULL, 0, NULL, 0, box), BAUTA_ELIMIT);
    d.n = 5; // a failure must not use a nonce up
    assert_int_equal(noise_cipher_open(&d, NULL, 0, box, sizeof box, out), BAUTA_EAUTH);
    assert_int_equal(d.n, 5);
    d.n = UINT64_MAX - 1;
    assert_int_equal(noise_cipher_open(&d, (const uint8_t *)"x", 1, box, sizeof box, out),
                     BAUTA_EAUTH);
    assert_int_equal(noise_cipher_open(&d, NULL, 0, box, sizeof box, out), BAUTA_OK);
    assert_int_equal(noise_cipher_open(&d, NULL, 0, box, sizeof box, out), BAUTA_ELIMIT);
}

static void names(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int want;
    } table[] = {
        {"", BAUTA_EFORMAT},
        {"Noise", BAUTA_EFORMAT},
        {"Noise_XX_25519_ChaChaPoly", BAUTA_EFORMAT},
        {"Noise_XX_25519_ChaChaPoly_BLAKE2b_", BAUTA_EFORMAT},
        {"noise_XX_25519_ChaChaPoly_BLAKE2b", BAUTA_EFORMAT},
        {"NoisePSK_XX_25519_ChaChaPoly_BLAKE2b", BAUTA_EUNKNOWN},
        {"Noise_XX_25519_ChaChaPoly_BLAKE2s", BAUTA_EUNKNOWN},
        {"Noise_XX_25519_AESGCM_BLAKE2b", BAUTA_EUNKNOWN},
        {"Noise_XX_448_ChaChaPoly_BLAKE2b", BAUTA_EUNKNOWN},
        {"Noise__25519_ChaChaPoly_BLAKE2b", BAUTA_EUNKNOWN},
        {"Noise_XY_25519_ChaChaPoly_BLAKE2b", BAUTA_EUNKNOWN},
        {"Noise_xx_25519_ChaChaPoly_BLAKE2b", BAUTA_EUNKNOWN},
        {"Noise_XXX_25519_ChaChaPoly_BLAKE2b", BAUTA_EUNKNOWN},
        {"Noise_XK1_25519_ChaChaPoly_BLAKE2b", BAUTA_EUNKNOWN},
        {"Noise_XXfallback_25519_ChaChaPoly_BLAKE2b", BAUTA_EUNKNOWN},
        {"Noise_XXpsk_25519_ChaChaPoly_BLAKE2b", BAUTA_EUNKNOWN},
        {"Noise_XXpsk4_25519_ChaChaPoly_BLAKE2b", BAUTA_EUNKNOWN},
        {"Noise_NNpsk3_25519_ChaChaPoly_BLAKE2b", BAUTA_EUNKNOWN},
        {"Noise_Npsk2_25519_ChaChaPoly_BLAKE2b", BAUTA_EUNKNOWN},
        {"Noise_XXpsk0+_25519_ChaChaPoly_BLAKE2b", BAUTA_EUNKNOWN},
        {"Noise_XX+psk0_25519_ChaChaPoly_BLAKE2b", BAUTA_EUNKNOWN},
        {"Noise_XXpsk0psk1_25519_ChaChaPoly_BLAKE2b", BAUTA_EUNKNOWN},
        {"Noise_XXpsk0+psk0_25519_ChaChaPoly_BLAKE2b", BAUTA_EUNKNOWN},
        {"Noise_XXpsk10_25519_ChaChaPoly_BLAKE2b", BAUTA_EUNKNOWN},
        {"Noise_XXpsk0+psk1+psk2+psk3+psk0+psk1_25519_ChaChaPoly_BLAKE2b", BAUTA_EUNKNOWN},
        {"Noise_XXpsk0+psk1+psk2+psk3+psk0+psk1+psk2+psk3_25519_ChaChaPoly_BLAKE2b",
         BAUTA_EUNKNOWN},
        {"Noise_XXpsk0+psk1+psk2+psk3_25519_ChaChaPoly_BLAKE2b", BAUTA_OK},
        {"Noise_XXpsk3+psk0_25519_ChaChaPoly_BLAKE2b", BAUTA_OK},
        {"Noise_N_25519_ChaChaPoly_BLAKE2b", BAUTA_OK},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct noise_spec spec;
        if (noise_spec_parse(&spec, table[i].name) != table[i].want)
            fail_msg("%s", table[i].name);
    }
}

static int setup(void **state)
{
    (void)state;
    return sodium_init() < 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(public_vectors),
        cmocka_unit_test(several_psks),
        cmocka_unit_test(changed_vectors_fail),
        cmocka_unit_test(vectors_with_gaps),
        cmocka_unit_test(every_pattern_with_every_psk),
        cmocka_unit_test(every_flipped_bit_and_truncation),
        cmocka_unit_test(wrong_inputs),
        cmocka_unit_test(missing_keys),
        cmocka_unit_test(out_of_order),
        cmocka_unit_test(low_order_points),
        cmocka_unit_test(sizes),
        cmocka_unit_test(nonces),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
