// The fundamental patterns of Noise revision 34, section 7, as data. Internal to crypto/noise.
#ifndef BAUTA_CRYPTO_NOISE_PATTERNS_H
#define BAUTA_CRYPTO_NOISE_PATTERNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum noise_token {
    TOKEN_END, // fills up a row; 0 so that short rows need no mention of it
    TOKEN_E,
    TOKEN_S,
    TOKEN_EE,
    TOKEN_ES,
    TOKEN_SE,
    TOKEN_SS,
    TOKEN_PSK // never in the table: modifiers put it at a message's start or end
};

#define NOISE_PATTERN_MESSAGES_MAX 3u
#define NOISE_PATTERN_TOKENS_MAX 5u

struct noise_pattern {
    char name[3];
    bool knows_i,
        knows_r;  // pre-message: the initiator's, the responder's static is known beforehand
    bool one_way; // transport goes from initiator to responder only
    uint8_t messages;
    uint8_t token[NOISE_PATTERN_MESSAGES_MAX][NOISE_PATTERN_TOKENS_MAX];
};

// The row of a name of `len` bytes, or NULL.
const struct noise_pattern *noise_pattern_find(const char *name, size_t len);
// True if that party sends or is known by a static key: it has to own one.
bool noise_pattern_needs_static(const struct noise_pattern *pattern, bool initiator);

#endif
