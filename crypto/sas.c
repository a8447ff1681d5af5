#include "crypto/sas.h"

#include "crypto/bytes.h"
#include "crypto/net.h"

#include <assert.h>
#include <sodium.h>

#define WORD_BITS 11u

static_assert(1u << WORD_BITS == SAS_WORD_LIST, "a word for every index");
static_assert(SAS_WORDS * WORD_BITS <= 64u * 8, "the hash has enough bits");

void sas_commit(uint8_t commit[static 32], const uint8_t th[static 32],
                const uint8_t n_r[static 32])
{
    static const char label[] = "bauta sas c";
    const struct piece piece[] = {{label, sizeof label - 1}, {th, 32}, {n_r, SAS_NONCE_BYTES}};
    hash_pieces(commit, SAS_COMMIT_BYTES, NULL, 0, piece, 3);
}

void sas_words(uint16_t words[static SAS_WORDS], const uint8_t th[static 32],
               const uint8_t commit[static 32], const uint8_t n_i[static 32],
               const uint8_t n_r[static 32])
{
    static const char label[] = "bauta sas";
    const struct piece piece[] = {{label, sizeof label - 1},
                                  {th, 32},
                                  {commit, SAS_COMMIT_BYTES},
                                  {n_i, SAS_NONCE_BYTES},
                                  {n_r, SAS_NONCE_BYTES}};
    uint8_t hash[64];
    hash_pieces(hash, sizeof hash, NULL, 0, piece, 5);
    for (unsigned w = 0; w < SAS_WORDS; w++) {
        unsigned v = 0;
        for (unsigned bit = w * WORD_BITS; bit < (w + 1) * WORD_BITS; bit++)
            v = v << 1 | ((unsigned)hash[bit / 8] >> (7 - bit % 8) & 1u);
        words[w] = (uint16_t)v;
    }
    sodium_memzero(hash, sizeof hash);
}
