// Verification words (PROTOCOL 7): the first 66 bits of a BLAKE2b hash, 11 bits a word.
#ifndef BAUTA_CRYPTO_SAS_H
#define BAUTA_CRYPTO_SAS_H

#include "crypto/limits.h"

#define SAS_WORD_BYTES_MAX 8u // the longest word of the list
#define SAS_COMMIT_BYTES 32u
#define SAS_NONCE_BYTES 32u

// commit = BLAKE2b-32("bauta sas c" || th || n_r)
void sas_commit(uint8_t commit[static 32], const uint8_t th[static 32],
                const uint8_t n_r[static 32]);
// 11 bits a word, most significant first, of BLAKE2b-64("bauta sas" || th || commit || n_i || n_r).
void sas_words(uint16_t words[static SAS_WORDS], const uint8_t th[static 32],
               const uint8_t commit[static 32], const uint8_t n_i[static 32],
               const uint8_t n_r[static 32]);
// The word of an index < SAS_WORD_LIST.
const char *sas_word(uint16_t index);

#endif
