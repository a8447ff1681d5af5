#include "node/host/contacts.h"

#include "crypto/bytes.h"

#include <string.h>

size_t contacts_read(struct contact *out, size_t max, const char *text, size_t len)
{
    size_t n = 0;
    for (size_t at = 0; at < len && n < max;) {
        const char *end = memchr(text + at, '\n', len - at);
        size_t line = end == NULL ? len - at : (size_t)(end - text) - at;
        if (line < CONTACT_TEXT_BYTES && contact_parse(&out[n], text + at, line) == BAUTA_OK)
            n++;
        at += line + 1;
    }
    return n;
}

size_t contacts_write(char text[static CONTACTS_TEXT_BYTES], const struct contact *c, size_t n)
{
    size_t len = 0;
    for (size_t i = 0; i < n && i < CONTACTS_KEPT_MAX; i++) {
        len += contact_format(text + len, &c[i]);
        text[len++] = '\n';
    }
    return len;
}
