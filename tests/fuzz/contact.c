// layer: dht
// Contact strings and addresses: what is accepted formats back to a text that parses to the same.
#include "dht/path.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void require(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct path p, q;
    struct contact c, d;
    char text[CONTACT_TEXT_BYTES];
    if (path_parse(&p, (const char *)data, len) == 0) {
        size_t n = path_format(text, &p);
        require(n < PATH_TEXT_BYTES && strlen(text) == n);
        require(path_parse(&q, text, n) == 0 && memcmp(&p, &q, sizeof p) == 0);
        (void)path_reachable(&p, true);
    }
    if (contact_parse(&c, (const char *)data, len) == 0) {
        size_t n = contact_format(text, &c);
        require(n < CONTACT_TEXT_BYTES && strlen(text) == n);
        require(contact_parse(&d, text, n) == 0 && memcmp(&c, &d, sizeof c) == 0);
    }
    return 0;
}
