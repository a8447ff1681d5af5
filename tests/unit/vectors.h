// Reading tests/vectors/*.json in unit tests: each helper fails the test where a field is missing
// or malformed, so a vector that was mistyped can't pass by being skipped.
#ifndef BAUTA_TESTS_UNIT_VECTORS_H
#define BAUTA_TESTS_UNIT_VECTORS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>
#include <sodium.h>

static inline json_t *vectors_load(const char *path)
{
    json_error_t error;
    json_t *root = json_load_file(path, 0, &error);
    if (root == NULL)
        fail_msg("%s:%d: %s", path, error.line, error.text);
    return root;
}

// A non-empty array of the object.
static inline json_t *vectors_array(json_t *o, const char *name)
{
    json_t *a = json_object_get(o, name);
    if (json_array_size(a) == 0)
        fail_msg("no rows in \"%s\"", name);
    return a;
}

static inline const char *vectors_text(json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));
    if (s == NULL)
        fail_msg("no text \"%s\"", name);
    return s;
}

static inline int64_t vectors_int(json_t *o, const char *name)
{
    json_t *v = json_object_get(o, name);
    if (!json_is_integer(v))
        fail_msg("no integer \"%s\"", name);
    return json_integer_value(v);
}

// Up to cap bytes of hex; returns their number.
static inline size_t vectors_bytes(json_t *o, const char *name, uint8_t *out, size_t cap)
{
    const char *hex = vectors_text(o, name);
    size_t len = 0;
    if (sodium_hex2bin(out, cap, hex, strlen(hex), NULL, &len, NULL) != 0 || len * 2 != strlen(hex))
        fail_msg("bad hex in \"%s\"", name);
    return len;
}

// Exactly len bytes of hex.
static inline void vectors_exact(json_t *o, const char *name, uint8_t *out, size_t len)
{
    size_t got = vectors_bytes(o, name, out, len);
    if (got != len)
        fail_msg("\"%s\" has %zu bytes, not %zu", name, got, len);
}

// The bytes at `have` are those of the field.
static inline void vectors_same(json_t *o, const char *name, const uint8_t *have, size_t len)
{
    uint8_t want[2048];
    assert_true(len <= sizeof want);
    vectors_exact(o, name, want, len);
    assert_memory_equal(have, want, len);
}

#endif
