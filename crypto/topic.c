#include "crypto/topic.h"

#include "crypto/bytes.h"

#include <assert.h>
#include <sodium.h>
#include <utf8proc.h>

#define FOLD                                                                                       \
    (UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD | UTF8PROC_IGNORE)
#define NFC (UTF8PROC_STABLE | UTF8PROC_COMPOSE)
// The worst decomposition (U+FDFA) turns 3 bytes into 18 code points; one more for the terminator.
#define CODE_POINTS_MAX (TEXT_INPUT_BYTES_MAX * 6u + 1u)

// Unicode's White_Space property (PropList.txt), stable since Unicode 6.3.
static bool is_white_space(int32_t c)
{
    return (c >= 0x09 && c <= 0x0d) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
           c == 0x205f || c == 0x3000;
}

// Default_Ignorable_Code_Point covers these blocks as a whole, assigned or not; utf8proc knows the
// assigned ones only, so that a later table would fold the others differently.
static bool is_reserved_ignorable(int32_t c)
{
    return c == 0x2065 || (c >= 0xfff0 && c <= 0xfff8) || (c >= 0xe0000 && c <= 0xe0fff);
}

static bool is_control(int32_t c)
{
    return c < 0x20 || (c >= 0x7f && c <= 0x9f);
}

// Trims, and turns each run of white space into one space, in place; drops what utf8proc left of the
// ignorable code points. Returns the new count.
static size_t squeeze(int32_t *point, size_t count)
{
    size_t kept = 0;
    bool gap = false;
    for (size_t i = 0; i < count; i++) {
        if (is_white_space(point[i])) {
            gap = kept > 0;
            continue;
        }
        if (is_reserved_ignorable(point[i]))
            continue;
        if (gap)
            point[kept++] = ' ';
        gap = false;
        point[kept++] = point[i];
    }
    return kept;
}

// One pass, in place over text[TEXT_INPUT_BYTES_MAX].
static int normalise_once(uint8_t *text, size_t *len, utf8proc_option_t options, bool topic)
{
    int32_t point[CODE_POINTS_MAX];
    utf8proc_ssize_t rc =
        utf8proc_decompose(text, (utf8proc_ssize_t)*len, point, CODE_POINTS_MAX - 1, options);
    size_t count = rc < 0 ? 0 : (size_t)rc;
    int err = BAUTA_OK;
    if (rc < 0 || count > CODE_POINTS_MAX - 1) {
        err = BAUTA_EFORMAT;
        goto out;
    }
    if (topic)
        count = squeeze(point, count);
    for (size_t i = 0; i < count; i++)
        if (is_control(point[i]))
            err = BAUTA_EFORMAT;
    if (err != BAUTA_OK)
        goto out;
    rc = utf8proc_reencode(point, (utf8proc_ssize_t)count, options);
    if (rc < 0)
        err = BAUTA_EFORMAT;
    else if ((size_t)rc > TEXT_INPUT_BYTES_MAX)
        err = BAUTA_ELIMIT;
    else {
        *len = (size_t)rc;
        memcpy(text, point, *len);
    }
out:
    sodium_memzero(point, sizeof point);
    return err;
}

// Folding is not idempotent for a few characters, so it is repeated until nothing changes.
static int normalise(const uint8_t *in, size_t in_len, utf8proc_option_t options, bool topic,
                     uint8_t *out, size_t cap, size_t *out_len)
{
    if (in_len > TEXT_INPUT_BYTES_MAX)
        return BAUTA_ELIMIT;
    uint8_t text[TEXT_INPUT_BYTES_MAX], before[TEXT_INPUT_BYTES_MAX];
    size_t len = in_len, before_len;
    if (len > 0)
        memcpy(text, in, len);
    int err = BAUTA_OK;
    bool settled = false;
    for (unsigned pass = 0; pass < NORMALISE_PASSES_MAX && err == BAUTA_OK && !settled; pass++) {
        memcpy(before, text, len);
        before_len = len;
        err = normalise_once(text, &len, options, topic);
        settled = err == BAUTA_OK && len == before_len && memcmp(text, before, len) == 0;
    }
    if (err == BAUTA_OK && !settled)
        err = BAUTA_EFORMAT;
    if (err == BAUTA_OK && len > cap)
        err = BAUTA_ELIMIT;
    if (err == BAUTA_OK) {
        memcpy(out, text, len);
        *out_len = len;
    }
    sodium_memzero(text, sizeof text);
    sodium_memzero(before, sizeof before);
    return err;
}

int topic_normalise(const uint8_t *in, size_t len, uint8_t out[static TOPIC_BYTES_MAX],
                    size_t *out_len)
{
    size_t n = 0;
    int err = normalise(in, len, FOLD, true, out, TOPIC_BYTES_MAX, &n);
    if (err == BAUTA_OK && n == 0)
        err = BAUTA_EFORMAT;
    if (err == BAUTA_OK)
        *out_len = n;
    return err;
}

int topic_pass_normalise(const uint8_t *in, size_t len, uint8_t out[static PASS_BYTES_MAX],
                         size_t *out_len)
{
    return normalise(in, len, NFC, false, out, PASS_BYTES_MAX, out_len);
}

void topic_split(const uint8_t *text, size_t len, size_t *topic_len, size_t *pass_at,
                 size_t *pass_len)
{
    *topic_len = len;
    *pass_at = len;
    *pass_len = 0;
    for (size_t i = len; i >= 2; i--) {
        if (text[i - 1] == '#' && text[i - 2] == '#') {
            *topic_len = i - 2;
            *pass_at = i;
            *pass_len = len - i;
            return;
        }
    }
}

int topic_secret(uint8_t secret[static 32], const struct net *net, uint32_t day,
                 const uint8_t *topic, size_t topic_len, const uint8_t *pass, size_t pass_len)
{
    assert(topic_len <= TOPIC_BYTES_MAX && pass_len <= PASS_BYTES_MAX);
    uint8_t salt[crypto_pwhash_argon2id_SALTBYTES], day_le[4];
    struct wr d = wr_init(day_le, sizeof day_le);
    wr_le32(&d, day);
    const struct piece piece[] = {
        {"bauta topic v1", 14}, {net->bytes, net->len}, {day_le, sizeof day_le}};
    hash_pieces(salt, sizeof salt, NULL, 0, piece, 3);

    uint8_t input[2 + TOPIC_BYTES_MAX + 2 + PASS_BYTES_MAX];
    struct wr w = wr_init(input, sizeof input);
    wr_le16(&w, (uint16_t)topic_len);
    wr_bytes(&w, topic, topic_len);
    wr_le16(&w, (uint16_t)pass_len);
    wr_bytes(&w, pass, pass_len);
    int rc = crypto_pwhash_argon2id(secret, 32, (const char *)input, wr_len(&w), salt,
                                    TOPIC_ARGON_PASSES, TOPIC_ARGON_BYTES,
                                    crypto_pwhash_argon2id_ALG_ARGON2ID13);
    sodium_memzero(input, sizeof input);
    return rc == 0 ? BAUTA_OK : BAUTA_ESPACE;
}

void topic_keys(struct topic_keys *k, const uint8_t secret[static 32], uint64_t epoch,
                uint8_t depth, uint32_t bits)
{
    uint8_t where[8 + 1 + 4];
    struct wr w = wr_init(where, sizeof where);
    wr_le64(&w, epoch);
    wr_u8(&w, depth);
    wr_le32(&w, bits);
    const struct piece place[] = {{"place", 5}, {where, sizeof where}};
    const struct piece seal[] = {{"seal", 4}, {where, sizeof where}};
    const struct piece psk[] = {{"psk", 3}, {where, sizeof where}};
    hash_pieces(k->place, 32, secret, 32, place, 2);
    hash_pieces(k->seal, 32, secret, 32, seal, 2);
    hash_pieces(k->psk, 32, secret, 32, psk, 2);
}
