#include "node/meet/card.h"

#include "crypto/bytes.h"

#include <assert.h>

#define NAMES_MAX 16u

static const char *const purposes[] = {"chat",     "listen", "vent", "debate",
                                       "practise", "learn",  "play", "create"};
static const char *const formats[] = {"text", "voice", "video"};
static const char *const avoids[] = {"politics", "religion",    "sex",  "violence",
                                     "drugs",    "advertising", "work", "news"};

#define COUNT(table) ((unsigned)(sizeof(table) / sizeof((table)[0])))
#define MASK(table) ((1u << COUNT(table)) - 1u)
static_assert(COUNT(purposes) <= NAMES_MAX && COUNT(avoids) <= NAMES_MAX && COUNT(formats) <= 8,
              "a name is a bit of its field");

const char *card_purpose_name(unsigned i)
{
    return i < COUNT(purposes) ? purposes[i] : NULL;
}

const char *card_format_name(unsigned i)
{
    return i < COUNT(formats) ? formats[i] : NULL;
}

const char *card_avoid_name(unsigned i)
{
    return i < COUNT(avoids) ? avoids[i] : NULL;
}

static int index_of(const char *(*name_of)(unsigned), const char *name)
{
    for (unsigned i = 0; name_of(i) != NULL; i++)
        if (strcmp(name_of(i), name) == 0)
            return (int)i;
    return BAUTA_EUNKNOWN;
}

static bool letter(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool language_empty(const char language[2])
{
    return language[0] == 0 && language[1] == 0;
}

static bool speaks(const struct card *c, const char language[2])
{
    for (unsigned i = 0; i < CARD_LANGUAGES_MAX; i++)
        if (memcmp(c->language[i], language, 2) == 0)
            return true;
    return false;
}

int card_add_language(struct card *c, const char *name)
{
    if (!letter(name[0]) || !letter(name[1]) || name[2] != 0)
        return BAUTA_EUNKNOWN;
    if (speaks(c, name))
        return BAUTA_OK;
    for (unsigned i = 0; i < CARD_LANGUAGES_MAX; i++)
        if (language_empty(c->language[i])) {
            memcpy(c->language[i], name, 2);
            return BAUTA_OK;
        }
    return BAUTA_ELIMIT;
}

int card_add_purpose(struct card *c, const char *name)
{
    int i = index_of(card_purpose_name, name);
    if (i >= 0)
        c->purposes = (uint16_t)(c->purposes | 1u << i);
    return i < 0 ? i : BAUTA_OK;
}

int card_add_format(struct card *c, const char *name)
{
    int i = index_of(card_format_name, name);
    if (i >= 0)
        c->formats = (uint8_t)(c->formats | 1u << i);
    return i < 0 ? i : BAUTA_OK;
}

int card_add_avoid(struct card *c, const char *name)
{
    int i = index_of(card_avoid_name, name);
    if (i >= 0)
        c->avoid = (uint16_t)(c->avoid | 1u << i);
    return i < 0 ? i : BAUTA_OK;
}

void card_encode(uint8_t out[static CARD_BYTES], const struct card *c)
{
    struct wr w = wr_init(out, CARD_BYTES);
    wr_bytes(&w, c->language, sizeof c->language);
    wr_le16(&w, c->purposes);
    wr_u8(&w, c->formats);
    wr_le16(&w, c->avoid);
    wr_u8(&w, 0);
}

int card_decode(struct card *c, const uint8_t in[static CARD_BYTES])
{
    struct rd r = rd_init(in, CARD_BYTES);
    memset(c, 0, sizeof *c);
    rd_copy(&r, c->language, sizeof c->language);
    c->purposes = rd_le16(&r);
    c->formats = rd_u8(&r);
    c->avoid = rd_le16(&r);
    bool ok = rd_u8(&r) == 0 && (c->purposes & ~MASK(purposes)) == 0 &&
              (c->formats & ~MASK(formats)) == 0 && (c->avoid & ~MASK(avoids)) == 0;
    for (unsigned i = 0; i < CARD_LANGUAGES_MAX; i++) {
        const char *l = c->language[i];
        ok = ok && (language_empty(l) || (letter(l[0]) && letter(l[1])));
        // One spelling for one card: no gaps, nothing twice.
        ok = ok && (language_empty(l) || i == 0 || !language_empty(c->language[i - 1]));
        for (unsigned k = 0; k < i; k++)
            ok = ok && (language_empty(l) || memcmp(l, c->language[k], 2) != 0);
    }
    if (!ok)
        memset(c, 0, sizeof *c);
    return ok ? BAUTA_OK : BAUTA_EFORMAT;
}

// Each field of a wish that says something either holds of the other's card or not. An empty field
// of the other's card says "anything", except that a refusal must be shared explicitly.
struct tally {
    unsigned asked, held;
};

static void count(struct tally *t, bool asked, bool held)
{
    t->asked += asked ? 1 : 0;
    t->held += asked && held ? 1 : 0;
}

static struct tally compare(const struct card *wish, const struct card *other)
{
    struct tally t = {0, 0};
    bool any_wish = false, any_other = false, common = false;
    for (unsigned i = 0; i < CARD_LANGUAGES_MAX; i++) {
        any_wish = any_wish || !language_empty(wish->language[i]);
        any_other = any_other || !language_empty(other->language[i]);
        common = common || (!language_empty(wish->language[i]) && speaks(other, wish->language[i]));
    }
    count(&t, any_wish, common || !any_other);
    count(&t, wish->purposes != 0, other->purposes == 0 || (wish->purposes & other->purposes) != 0);
    count(&t, wish->formats != 0, other->formats == 0 || (wish->formats & other->formats) != 0);
    count(&t, wish->avoid != 0, (wish->avoid & ~other->avoid) == 0);
    return t;
}

bool card_acceptable(const struct wishes *w, const struct card *other)
{
    struct tally t = compare(&w->must, other);
    return t.asked == t.held;
}

unsigned card_score(const struct wishes *w, const struct card *other)
{
    return compare(&w->rather, other).held;
}
