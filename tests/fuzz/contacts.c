// layer: host
// The file of contacts: whatever stands in it, what is taken writes back to a file that reads the same.
#include "node/host/contacts.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct contact first[CONTACTS_KEPT_MAX], again[CONTACTS_KEPT_MAX];
    char text[CONTACTS_TEXT_BYTES];
    size_t n = contacts_read(first, CONTACTS_KEPT_MAX, (const char *)data, len);
    size_t bytes = contacts_write(text, first, n);
    if (n > CONTACTS_KEPT_MAX || bytes > sizeof text)
        abort();
    if (contacts_read(again, CONTACTS_KEPT_MAX, text, bytes) != n)
        abort();
    for (size_t i = 0; i < n; i++)
        if (!path_equal(&first[i].path, &again[i].path) ||
            memcmp(first[i].pk, again[i].pk, 32) != 0)
            abort();
    return 0;
}
