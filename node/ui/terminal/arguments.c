#include "node/ui/terminal/arguments.h"

#include "crypto/bytes.h"
#include "crypto/topic.h"
#include "node/host/process.h"

#include <string.h>

int arguments_topics(const struct config *c)
{
    for (size_t i = 0; i < c->words; i++) {
        uint8_t out[TOPIC_BYTES_MAX];
        const uint8_t *text = (const uint8_t *)c->word[i];
        size_t len, pass_at, pass_len, out_len;
        topic_split(text, strlen(c->word[i]), &len, &pass_at, &pass_len);
        int rc = topic_normalise(text, len, out, &out_len);
        if (rc == BAUTA_ELIMIT)
            return process_fail(EXIT_USAGE, "a topic is too long: 128 bytes at most");
        if (rc != BAUTA_OK)
            return process_fail(EXIT_USAGE, "a topic is empty or not readable text");
    }
    return EXIT_OK;
}

bool arguments_for_node(const struct config *c)
{
    return c->listens > 0 || c->bootstraps > 0 || c->state[0] != 0 || c->public_server || c->lab ||
           c->lab_strict || c->no_lan || c->no_upnp;
}

bool arguments_lonely(const struct config *c)
{
    return c->bootstraps == 0 && !c->public_server && !c->lab;
}
