// Topics as people write them on a line, and as they are shown.
#ifndef BAUTA_NODE_UI_TERMINAL_TOPICS_H
#define BAUTA_NODE_UI_TERMINAL_TOPICS_H

#include <jansson.h>
#include <stddef.h>

// "night trains, jazz" as a list of one to CONFIG_TOPICS_MAX strings, or NULL and in *why what is wrong.
json_t *topics_listed(const char *text, size_t len, const char **why);
// The list in one line, for free(). NULL when out of memory.
char *topics_shown(const json_t *topics);

#endif
