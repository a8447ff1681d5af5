#include "node/ui/terminal/topics.h"

#include "node/host/config.h"
#include "node/ui/terminal/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

json_t *topics_listed(const char *text, size_t len, const char **why)
{
    if (!text_utf8(text, len)) {
        *why = "That is not UTF-8 text.";
        return NULL;
    }
    json_t *list = json_array();
    for (size_t at = 0; at <= len;) {
        const char *comma = memchr(text + at, ',', len - at);
        size_t stop = comma != NULL ? (size_t)(comma - text) : len;
        size_t from = at;
        while (from < stop && (text[from] == ' ' || text[from] == '\t'))
            from++;
        if (from < stop)
            json_array_append_new(list, json_stringn(text + from, stop - from));
        at = stop + 1;
    }
    if (json_array_size(list) >= 1 && json_array_size(list) <= CONFIG_TOPICS_MAX)
        return list;
    *why = json_array_size(list) == 0 ? "Name a topic." : "At most 8 topics at once.";
    json_decref(list);
    return NULL;
}

char *topics_shown(const json_t *topics)
{
    json_t *t;
    size_t i, room = 1;
    json_array_foreach (topics, i, t)
        room += TEXT_SHOWN_MAX(json_string_length(t)) + 4;
    char *out = malloc(room);
    if (out == NULL)
        return NULL;
    size_t at = 0;
    out[0] = 0;
    json_array_foreach (topics, i, t) {
        if (i > 0)
            at += (size_t)snprintf(out + at, room - at, " or ");
        at += text_show(out + at, json_string_value(t), json_string_length(t));
    }
    return out;
}
