#include "node/alias.h"

#include "crypto/net.h"

#include <assert.h>
#include <stdio.h>

#define WORDS 64u

// clang-format off
static const char *const quality[WORDS] = {
    "Amber", "Azure",   "Birch",  "Blue",    "Bright", "Bronze",  "Calm",  "Cedar",
    "Clear", "Clover",  "Cobalt", "Copper",  "Coral",  "Crisp",   "Dusky", "Early",
    "Ember", "Evening", "Fern",   "Gentle",  "Golden", "Granite", "Green", "Hazel",
    "Honey", "Indigo",  "Ivory",  "Jade",    "Kind",   "Lilac",   "Linen", "Lucid",
    "Maple", "Mellow",  "Misty",  "Morning", "Mossy",  "Noble",   "Ochre", "Olive",
    "Opal",  "Patient", "Pearl",  "Pine",    "Plum",   "Quiet",   "Rowan", "Russet",
    "Sable", "Saffron", "Sage",   "Sandy",   "Serene", "Silver",  "Slate", "Snowy",
    "Soft",  "Steady",  "Still",  "Sunny",   "Teal",   "Velvet",  "Warm",  "Willow"};

static const char *const creature[WORDS] = {
    "Alpaca",   "Badger",    "Bear",   "Beaver", "Bison",    "Bluebird", "Bunting",   "Camel",
    "Caribou",  "Cormorant", "Crane",  "Curlew", "Deer",     "Dolphin",  "Dormouse",  "Dove",
    "Egret",    "Elk",       "Falcon", "Finch",  "Fox",      "Gecko",    "Goldfinch", "Grebe",
    "Hare",     "Hedgehog",  "Heron",  "Ibex",   "Ibis",     "Jay",      "Kestrel",   "Kingfisher",
    "Koala",    "Lapwing",   "Lark",   "Lynx",   "Magpie",   "Marmot",   "Marten",    "Newt",
    "Nightjar", "Nuthatch",  "Orca",   "Oriole", "Otter",    "Owl",      "Panda",     "Pelican",
    "Penguin",  "Plover",    "Puffin", "Quail",  "Raven",    "Robin",    "Seal",      "Sparrow",
    "Starling", "Stork",     "Swan",   "Swift",  "Tortoise", "Turtle",   "Wagtail",   "Wren"};
// clang-format on

void alias_of(char out[static ALIAS_BYTES], const uint8_t pseudonym[static 32])
{
    static const char label[] = "bauta alias";
    uint8_t h[16];
    struct piece p[] = {{label, sizeof label - 1}, {pseudonym, 32}};
    hash_pieces(h, sizeof h, NULL, 0, p, 2);
    int n = snprintf(out, ALIAS_BYTES, "%s %s", quality[h[0] % WORDS], creature[h[1] % WORDS]);
    assert(n > 0 && n < (int)ALIAS_BYTES);
    (void)n;
}
