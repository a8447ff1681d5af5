// Two calm words to call a stranger by, derived from the pseudonym: nothing that stays.
#ifndef BAUTA_NODE_ALIAS_H
#define BAUTA_NODE_ALIAS_H

#include <stdint.h>

#define ALIAS_BYTES 32u

// "Amber Heron" from a 32-byte pseudonym.
void alias_of(char out[static ALIAS_BYTES], const uint8_t pseudonym[static 32]);

#endif
