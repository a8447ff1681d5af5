#include "node/host/bots.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define QUOTE_BYTES 300u // of the other's text in an answer
#define LEAVES_AFTER 5u

static uint32_t choose(struct bot *b, uint32_t n)
{
    b->chance = b->chance * 1664525u + 1013904223u; // Numerical Recipes: variety, no secret
    return (b->chance >> 16) % n;
}

// Cuts at a character's border, drops line ends and closing marks.
static void quote(char out[static QUOTE_BYTES], const char *text, size_t len)
{
    size_t n = len < QUOTE_BYTES - 1 ? len : QUOTE_BYTES - 1;
    while (n > 0 && n < len && ((unsigned char)text[n] & 0xc0) == 0x80)
        n--;
    for (size_t i = 0; i < n; i++)
        out[i] = (unsigned char)text[i] < 0x20 ? ' ' : text[i];
    while (n > 0 && strchr(" .!?", out[n - 1]) != NULL)
        n--;
    out[n] = 0;
}

void bot_start(struct bot *b, enum bot_kind kind, const char *topic, size_t len, uint32_t chance)
{
    memset(b, 0, sizeof *b);
    b->kind = kind;
    b->chance = chance;
    if (len >= sizeof b->topic)
        len = 0; // too long to be repeated
    memcpy(b->topic, topic, len);
    if (len == 0)
        snprintf(b->topic, sizeof b->topic, "this");
}

void bot_hello(struct bot *b, char out[static BOT_TEXT_BYTES])
{
    static const char *const hello[BOT_KINDS] = {
        "Hello. I like to turn things over. What comes to your mind first about %s?",
        "Hello. What brings you to %s tonight?",
        "Hi. I only have a few minutes, but I wanted to hear somebody on %s.",
        "Good evening. I know a story about %s. Shall I begin?"};
    snprintf(out, BOT_TEXT_BYTES, hello[b->kind], b->topic);
}

// ---- echo -------------------------------------------------------------------------------------------

static void echo(struct bot *b, const char *said, char *out)
{
    static const char *const forms[] = {
        "\"%s\". I keep coming back to that. Why that, of all things?",
        "%s, you say. And if it were the other way round?",
        "Let me say it slowly: %s. It sounds different now, doesn't it?",
        "%s. I would not have put it like that, but yes.",
        "So, %s. Tell me one more thing like it."};
    snprintf(out, BOT_TEXT_BYTES, forms[choose(b, sizeof forms / sizeof *forms)], said);
}

// ---- questions --------------------------------------------------------------------------------------

static bool same_word(const char *a, size_t len, const char *b)
{
    if (strlen(b) != len)
        return false;
    for (size_t i = 0; i < len; i++)
        if (tolower((unsigned char)a[i]) != b[i])
            return false;
    return true;
}

// "my brother and me" becomes "your brother and you".
static void reflect(char *out, size_t cap, const char *in)
{
    static const char *const pairs[][2] = {
        {"i", "you"},           {"me", "you"},      {"my", "your"},    {"mine", "yours"},
        {"am", "are"},          {"i'm", "you're"},  {"you", "I"},      {"your", "my"},
        {"myself", "yourself"}, {"i've", "you've"}, {"was", "were"},   {"we", "you"},
        {"our", "your"},        {"yours", "mine"},  {"i'll", "you'll"}};
    size_t at = 0;
    out[0] = 0;
    while (*in != 0 && at + 1 < cap) {
        size_t len = strcspn(in, " ,;");
        const char *word = in;
        size_t word_len = len;
        for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
            if (same_word(in, len, pairs[i][0])) {
                word = pairs[i][1];
                word_len = strlen(word);
                break;
            }
        }
        in += len;
        size_t gap = strspn(in, " ,;");
        if (at + word_len + gap + 1 > cap)
            break;
        memcpy(out + at, word, word_len);
        memcpy(out + at + word_len, in, gap);
        at += word_len + gap;
        out[at] = 0;
        in += gap;
    }
}

// Finds a keyword at a word's start. Returns what follows it, or NULL.
static const char *after(const char *text, const char *key)
{
    size_t len = strlen(key);
    for (const char *at = text; *at != 0; at++) {
        bool start = at == text || at[-1] == ' ';
        bool end = strlen(at) >= len && (at[len] == 0 || at[len] == ' ');
        if (start && end && same_word(at, len, key))
            return at + len + (at[len] == ' ');
    }
    return NULL;
}

static void question(struct bot *b, const char *said, bool asked, char *out)
{
    static const struct {
        const char *key, *form;
    } rules[] = {{"because", "Is %s the only reason?"},
                 {"i feel", "When did you first feel %s?"},
                 {"i think", "What makes you think %s?"},
                 {"i am", "How long have you been %s?"},
                 {"i'm", "How long have you been %s?"},
                 {"i want", "What would change if you had %s?"},
                 {"i like", "What is it about %s that you like?"},
                 {"i love", "What is it about %s that you love?"},
                 {"i remember", "What else comes back when you remember %s?"},
                 {"my", "Tell me more about your %s."},
                 {"you are", "Would it matter to you if I were %s?"}};
    static const char *const open[] = {"Can you give me an example?",
                                       "What would somebody who disagrees say to that?",
                                       "How did that begin?",
                                       "And what does that have to do with %s, for you?",
                                       "What do you do when it is quiet and you think of that?",
                                       "Who else knows that about you?"};
    char turned[QUOTE_BYTES + 64];
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        const char *rest = after(said, rules[i].key);
        if (rest == NULL || *rest == 0)
            continue;
        reflect(turned, sizeof turned, rest);
        snprintf(out, BOT_TEXT_BYTES, rules[i].form, turned);
        return;
    }
    if (asked) {
        snprintf(out, BOT_TEXT_BYTES, "What would you like the answer to be?");
        return;
    }
    snprintf(out, BOT_TEXT_BYTES, open[choose(b, sizeof open / sizeof *open)], b->topic);
}

// ---- the one who leaves, the one who tells ------------------------------------------------------------

static void small_talk(struct bot *b, char *out)
{
    static const char *const lines[LEAVES_AFTER] = {
        "That makes two of us, I think.", "I had not looked at %s like that.",
        "Funny, a friend of mine says the opposite.", "I will think about that on my way home.",
        "I have to go now. It was good to talk about %s with you."};
    snprintf(out, BOT_TEXT_BYTES, lines[b->said < LEAVES_AFTER ? b->said : LEAVES_AFTER - 1],
             b->topic);
}

static void story(struct bot *b, const char *said, char *out)
{
    static const char *const parts[] = {
        "Then I begin. There was a woman who kept a lamp in her window, and nobody knew for whom.",
        "One winter a stranger knocked and said only two words: %s. She let him in at once.",
        "They talked until the lamp went out. In the morning the chair was empty, and on it lay a "
        "ticket.",
        "The ticket had no place on it and no date. She kept it in a book, at the page about %s.",
        "Years later she used it. The man at the gate looked at it for a long time and said: at "
        "last.",
        "That is where my grandmother always stopped. She said the rest is for the listener."};
    size_t n = sizeof parts / sizeof *parts;
    if (b->said < n)
        snprintf(out, BOT_TEXT_BYTES, parts[b->said], b->topic);
    else
        snprintf(out, BOT_TEXT_BYTES, "\"%s\" would be a good end for it. How would you go on?",
                 said);
}

bool bot_answer(struct bot *b, const char *text, size_t len, char out[static BOT_TEXT_BYTES])
{
    char said[QUOTE_BYTES];
    bool asked = len > 0 && memchr(text, '?', len) != NULL;
    quote(said, text, len);
    switch (b->kind) {
    case BOT_ECHO:
        echo(b, said, out);
        break;
    case BOT_LEAVES:
        small_talk(b, out);
        break;
    case BOT_STORY:
        story(b, said, out);
        break;
    case BOT_ASKS:
    case BOT_KINDS:
        question(b, said, asked, out);
        break;
    }
    b->said++;
    return b->kind == BOT_LEAVES && b->said >= LEAVES_AFTER;
}
