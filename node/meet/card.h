// Cards and wishes: what a person says of the conversation they look for (DESIGN 6). Enumerated only,
// so that a card can't name anybody. Matching is local; nothing is kept.
#ifndef BAUTA_NODE_MEET_CARD_H
#define BAUTA_NODE_MEET_CARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CARD_LANGUAGES_MAX 3u
#define CARD_BYTES 12u // on the wire: 3 x language[2], purposes[2], formats[1], avoid[2], zero[1]

struct card {
    char language[CARD_LANGUAGES_MAX][2]; // ISO 639-1, lower case; zero: unused
    uint16_t purposes;                    // bit i: card_purpose_name(i)
    uint8_t formats;                      // bit i: card_format_name(i)
    uint16_t avoid;                       // bit i: card_avoid_name(i)
};

// A card field that is empty (no language, no purpose, ...) says "anything".
struct wishes {
    struct card must,
        rather; // `avoid` in a wish: the other's card must (would rather) share my refusal
};

// Names: chat listen vent debate practise learn play create; text voice video;
// politics religion sex violence drugs advertising work news. NULL past the end.
const char *card_purpose_name(unsigned i);
const char *card_format_name(unsigned i);
const char *card_avoid_name(unsigned i);
// Sets a bit or language by name. 0, BAUTA_EUNKNOWN (no such name), BAUTA_ELIMIT (a fourth language).
int card_add_language(struct card *, const char *name);
int card_add_purpose(struct card *, const char *name);
int card_add_format(struct card *, const char *name);
int card_add_avoid(struct card *, const char *name);

void card_encode(uint8_t out[static CARD_BYTES], const struct card *);
int card_decode(struct card *,
                const uint8_t in[static CARD_BYTES]); // BAUTA_EFORMAT on unknown bits

bool card_acceptable(const struct wishes *, const struct card *other); // every "must" holds
unsigned card_score(const struct wishes *, const struct card *other);  // how many "rather" hold

#endif
