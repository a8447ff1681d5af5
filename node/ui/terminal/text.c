#include "node/ui/terminal/text.h"

#include <sodium.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The code point at `in` and its length; length 0 where that is no UTF-8 (RFC 3629).
static size_t decode(const char *in, size_t len, uint32_t *out)
{
    const uint8_t *b = (const uint8_t *)in;
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = b[0] < 0x80   ? 1
               : b[0] < 0xc0 ? 0
               : b[0] < 0xe0 ? 2
               : b[0] < 0xf0 ? 3
               : b[0] < 0xf8 ? 4
                             : 0;
    if (n == 0 || n > len)
        return 0;
    uint32_t c = n == 1 ? b[0] : b[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((b[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (b[i] & 0x3f);
    }
    if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    *out = c;
    return n;
}

static bool deceives(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0)         // C0, DEL, C1
           || c == 0x61c || c == 0x200e || c == 0x200f // direction marks
           || (c >= 0x2028 && c <= 0x202e)             // line separators, direction overrides
           || (c >= 0x2066 && c <= 0x206f)             // direction isolates, deprecated formats
           || c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe007f);
}

size_t text_show(char *out, const char *in, size_t len)
{
    size_t at = 0;
    for (size_t i = 0; i < len;) {
        uint32_t c = 0;
        size_t n = decode(in + i, len - i, &c);
        if (n == 0) {
            at += (size_t)sprintf(out + at, "\\x{%02X}", (unsigned)(uint8_t)in[i]);
            i++;
            continue;
        }
        if (c == '\t') {
            out[at++] = ' ';
        } else if (deceives(c)) {
            at += (size_t)sprintf(out + at, "\\u{%02X}", (unsigned)c);
        } else {
            memcpy(out + at, in + i, n);
            at += n;
        }
        i += n;
    }
    out[at] = 0;
    return at;
}

char *text_shown(const char *text, size_t len)
{
    char *out = malloc(TEXT_SHOWN_MAX(len));
    if (out != NULL)
        text_show(out, text, len);
    return out;
}

void text_free(char *text)
{
    if (text != NULL)
        sodium_memzero(text, strlen(text));
    free(text);
}

bool text_utf8(const char *in, size_t len)
{
    uint32_t c;
    for (size_t i = 0, n; i < len; i += n) {
        n = decode(in + i, len - i, &c);
        if (n == 0)
            return false;
    }
    return true;
}

bool text_blank(const char *in, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (in[i] != ' ' && in[i] != '\t')
            return false;
    return true;
}
