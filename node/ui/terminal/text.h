// Strangers' text on a terminal: what could move the cursor, turn the reading direction or fake a line is
// shown as a visible escape.
#ifndef BAUTA_NODE_UI_TERMINAL_TEXT_H
#define BAUTA_NODE_UI_TERMINAL_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#define TEXT_SHOWN_MAX(len)                                                                        \
    (6 * (len) + 1) // bytes that text_show needs for `len`, the NUL included

// Writes `in` as it may be shown, with a NUL at the end, and returns its length. Control characters,
// separators and direction overrides become \u{HEX}, bytes that are no UTF-8 become \x{HEX}; a tab becomes
// a space. `out` holds TEXT_SHOWN_MAX(len).
size_t text_show(char *out, const char *in, size_t len);
// The same in memory of its own, for text_free, which wipes it. NULL when out of memory.
char *text_shown(const char *text, size_t len);
void text_free(char *text);
bool text_utf8(const char *in, size_t len);  // is it valid UTF-8?
bool text_blank(const char *in, size_t len); // nothing but spaces and tabs?

#endif
