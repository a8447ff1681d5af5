// The demonstration's conversation partners: small programs that answer sensibly. Pure: text and chance in,
// text out.
#ifndef BAUTA_NODE_HOST_BOTS_H
#define BAUTA_NODE_HOST_BOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BOT_TEXT_BYTES 1024u // of an answer, the NUL included
#define BOT_TOPIC_BYTES 160u

enum bot_kind {
    BOT_ECHO,   // turns what you say over and gives it back
    BOT_ASKS,   // asks on, in the manner of Weizenbaum's ELIZA (1966)
    BOT_LEAVES, // friendly, but leaves after a few lines
    BOT_STORY,  // tells a story, a piece an answer
    BOT_KINDS
};

struct bot {
    enum bot_kind kind;
    unsigned said;   // answers in this conversation
    uint32_t chance; // moves on with each choice
    char topic[BOT_TOPIC_BYTES];
};

void bot_start(struct bot *, enum bot_kind, const char *topic, size_t len, uint32_t chance);
void bot_hello(struct bot *, char out[static BOT_TEXT_BYTES]);
// Answers a text (UTF-8). True: it leaves after having said this.
bool bot_answer(struct bot *, const char *text, size_t len, char out[static BOT_TEXT_BYTES]);

#endif
