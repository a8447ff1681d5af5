// One message as CBOR against tests/vectors/talk.json, cuts and flips included.
#include "node/talk/message.h"

#include "crypto/bytes.h"
#include "node/talk/talk.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <jansson.h>
#include <sodium.h>

#define FRAME_BYTES_MAX 1024u

static json_t *vectors(const char *part)
{
    json_error_t error;
    json_t *root = json_load_file("tests/vectors/talk.json", 0, &error);
    assert_non_null(root);
    json_t *list = json_incref(json_object_get(root, part));
    json_decref(root);
    assert_true(json_array_size(list) > 5);
    return list;
}

static size_t frame_of(const json_t *v, uint8_t out[static FRAME_BYTES_MAX])
{
    const char *hex = json_string_value(json_object_get(v, "frame"));
    size_t n;
    assert_int_equal(sodium_hex2bin(out, FRAME_BYTES_MAX, hex, strlen(hex), NULL, &n, NULL), 0);
    assert_true(n >= TALK_FRAME_HEAD_BYTES);
    assert_int_equal(n - TALK_FRAME_HEAD_BYTES, out[0] | out[1] << 8);
    return n;
}

static struct talk_message message_of(const json_t *v)
{
    const json_t *m = json_object_get(v, "message");
    const char *kind = json_string_value(json_object_get(m, "kind"));
    const json_t *text = json_object_get(m, "text");
    struct talk_message out = {0};
    out.kind = strcmp(kind, "text") == 0        ? TALK_KIND_TEXT
               : strcmp(kind, "delivered") == 0 ? TALK_KIND_DELIVERED
               : strcmp(kind, "typing") == 0    ? TALK_KIND_TYPING
               : strcmp(kind, "leave") == 0     ? TALK_KIND_LEAVE
               : strcmp(kind, "path") == 0      ? TALK_KIND_PATH
                                                : 0;
    out.id = (uint32_t)json_integer_value(json_object_get(m, "id"));
    out.text = (const uint8_t *)json_string_value(text);
    out.len = json_string_length(text);
    out.on = json_is_true(json_object_get(m, "on"));
    out.reason = (uint8_t)json_integer_value(json_object_get(m, "reason"));
    out.path = (enum talk_path)json_integer_value(json_object_get(m, "path"));
    if (out.kind == TALK_KIND_PATH) {
        static uint8_t at[TALK_AT_BYTES_MAX];
        const char *hex = json_string_value(json_object_get(m, "at"));
        assert_int_equal(sodium_hex2bin(at, sizeof at, hex, strlen(hex), NULL, &out.len, NULL), 0);
        out.text = at;
    }
    return out;
}

static void same(const struct talk_message *got, const struct talk_message *want)
{
    assert_int_equal(got->kind, want->kind);
    if (want->kind == 0)
        return;
    assert_int_equal(got->id, want->id);
    assert_int_equal(got->on, want->on);
    assert_int_equal(got->reason, want->reason);
    assert_int_equal(got->path, want->path);
    assert_int_equal(got->len, want->len);
    if (want->len > 0)
        assert_memory_equal(got->text, want->text, want->len);
}

static void encodes_and_decodes(void **state)
{
    (void)state;
    json_t *list = vectors("messages"), *v;
    size_t i;
    json_array_foreach (list, i, v) {
        uint8_t frame[FRAME_BYTES_MAX], out[FRAME_BYTES_MAX];
        size_t n = frame_of(v, frame);
        struct talk_message want = message_of(v), got;
        assert_int_equal(talk_message_encode(out, sizeof out, &want), n);
        assert_memory_equal(out, frame, n);
        for (size_t cap = 0; cap < n; cap++)
            assert_int_equal(talk_message_encode(out, cap, &want), 0);
        assert_int_equal(talk_message_decode(&got, frame + 2, n - 2), 0);
        same(&got, &want);
        for (size_t cut = 0; cut < n - 2; cut++)
            assert_int_equal(talk_message_decode(&got, frame + 2, cut), BAUTA_EFORMAT);
    }
    json_decref(list);
}

static void reads_newer(void **state)
{
    (void)state;
    json_t *list = vectors("accepted"), *v;
    size_t i;
    json_array_foreach (list, i, v) {
        uint8_t frame[FRAME_BYTES_MAX];
        size_t n = frame_of(v, frame);
        struct talk_message want = message_of(v), got;
        assert_int_equal(talk_message_decode(&got, frame + 2, n - 2), 0);
        same(&got, &want);
    }
    json_decref(list);
}

static void refuses(void **state)
{
    (void)state;
    json_t *list = vectors("refused"), *v;
    size_t i;
    json_array_foreach (list, i, v) {
        uint8_t frame[FRAME_BYTES_MAX];
        size_t n = frame_of(v, frame);
        struct talk_message got;
        if (talk_message_decode(&got, frame + 2, n - 2) != BAUTA_EFORMAT)
            fail_msg("accepted: %s", json_string_value(json_object_get(v, "why")));
    }
    json_decref(list);
}

// Whatever decodes as a message of a kind that we know and has no foreign keys encodes to the same bytes.
static void flips_keep_one_encoding(void **state)
{
    (void)state;
    json_t *list = vectors("messages"), *v;
    size_t i, decoded = 0;
    json_array_foreach (list, i, v) {
        uint8_t frame[FRAME_BYTES_MAX], out[FRAME_BYTES_MAX];
        size_t n = frame_of(v, frame);
        for (size_t bit = 16; bit < 8 * n; bit++) {
            frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
            struct talk_message got;
            if (talk_message_decode(&got, frame + 2, n - 2) == 0 && got.kind != 0 &&
                talk_message_encode(out, sizeof out, &got) == n) {
                assert_memory_equal(out, frame, n);
                decoded++;
            }
            frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
    assert_true(decoded > 100);
    json_decref(list);
}

static void longest_text(void **state)
{
    (void)state;
    static uint8_t text[TALK_TEXT_BYTES_MAX + 1];
    static uint8_t frame[TALK_MAP_BYTES_MAX + TALK_FRAME_HEAD_BYTES];
    memset(text, 'a', sizeof text);
    struct talk_message m = {
        .kind = TALK_KIND_TEXT, .id = UINT32_MAX, .text = text, .len = TALK_TEXT_BYTES_MAX};
    size_t n = talk_message_encode(frame, sizeof frame, &m);
    assert_int_equal(n, TALK_FRAME_HEAD_BYTES + TALK_TEXT_OVERHEAD_BYTES + TALK_TEXT_BYTES_MAX);
    struct talk_message got;
    assert_int_equal(talk_message_decode(&got, frame + 2, n - 2), 0);
    same(&got, &m);
    m.len++;
    n = talk_message_encode(frame, sizeof frame, &m);
    assert_true(n > 0);
    assert_int_equal(talk_message_decode(&got, frame + 2, n - 2), BAUTA_EFORMAT);
}

static void text_rules(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t len;
        int rc;
    } rows[] = {
        {"", 0, BAUTA_EFORMAT},
        {"a", 1, 0},
        {"\n\t ", 3, 0},
        {"\0", 1, BAUTA_EFORMAT},
        {"a\r\n", 3, BAUTA_EFORMAT},
        {"\x1b[2J", 4, BAUTA_EFORMAT},
        {"\x7f", 1, BAUTA_EFORMAT},
        {"\xc2\x80", 2, BAUTA_EFORMAT},
        {"\xc2\x9f", 2, BAUTA_EFORMAT},
        {"\xc2\xa0", 2, 0},
        {"\xc2", 1, BAUTA_EFORMAT},
        {"\xf0\x9f\x8e\xad", 4, 0},
        {"\xf0\x9f\x8e", 3, BAUTA_EFORMAT},
        {"\xf4\x90\x80\x80", 4, BAUTA_EFORMAT},
        {"\xed\xa0\x80", 3, BAUTA_EFORMAT},
        {"\xc0\xaf", 2, BAUTA_EFORMAT},
        {"\xfe", 1, BAUTA_EFORMAT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(talk_text_check((const uint8_t *)rows[i].text, rows[i].len), rows[i].rc);
    static uint8_t text[TALK_TEXT_BYTES_MAX + 1];
    memset(text, 'a', sizeof text);
    assert_int_equal(talk_text_check(text, TALK_TEXT_BYTES_MAX), 0);
    assert_int_equal(talk_text_check(text, TALK_TEXT_BYTES_MAX + 1), BAUTA_EFORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encodes_and_decodes),
        cmocka_unit_test(reads_newer),
        cmocka_unit_test(refuses),
        cmocka_unit_test(flips_keep_one_encoding),
        cmocka_unit_test(longest_text),
        cmocka_unit_test(text_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
