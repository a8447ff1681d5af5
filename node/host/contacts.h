// Contacts as text, one HOST:PORT/KEY a line: the file `contacts` of the state folder.
#ifndef BAUTA_NODE_HOST_CONTACTS_H
#define BAUTA_NODE_HOST_CONTACTS_H

#include "dht/path.h"
#include "node/host/limits.h"

// Takes what is well-formed, at most `max`, and passes over all other lines. Returns how many.
size_t contacts_read(struct contact *out, size_t max, const char *text, size_t len);
// Returns the length. `n` is at most CONTACTS_KEPT_MAX.
size_t contacts_write(char text[static CONTACTS_TEXT_BYTES], const struct contact *, size_t n);

#endif
