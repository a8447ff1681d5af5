#include "crypto/stamp.h"

#include "crypto/bytes.h"

#include <sodium.h>

static const char label[] = "bauta stamp";
#define LABEL_BYTES (sizeof label - 1)
#define NONCE_AT (LABEL_BYTES + 64)
#define INPUT_BYTES (NONCE_AT + RPC_NONCE_BYTES + 8)
#define SLOT_AT (RPC_NONCE_BYTES - 1) // of the nonce: its lowest bit

// All but the nonce. One block of BLAKE2b holds it.
static void fill(uint8_t in[static INPUT_BYTES], const uint8_t mask_key[static 32],
                 const uint8_t e[static 32], uint64_t slot)
{
    struct wr w = wr_init(in, INPUT_BYTES);
    wr_bytes(&w, label, LABEL_BYTES);
    wr_bytes(&w, mask_key, 32);
    wr_bytes(&w, e, 32);
    w = wr_init(in + NONCE_AT + RPC_NONCE_BYTES, 8);
    wr_le64(&w, slot);
}

static unsigned bits_of(const uint8_t in[static INPUT_BYTES], uint64_t *tag)
{
    uint8_t out[16];
    unsigned n = 0;
    crypto_generichash(out, sizeof out, in, INPUT_BYTES, NULL, 0);
    struct rd r = rd_init(out + 8, 8);
    *tag = rd_le64(&r);
    while (n < 64 && (out[n / 8] >> (7 - n % 8) & 1) == 0)
        n++;
    return n;
}

// Of the slot before, this one and the next the nearest with this parity.
static uint64_t slot_named(uint64_t unix_s, unsigned parity)
{
    uint64_t slot = unix_s / STAMP_SLOT_S;
    if ((slot & 1) == parity)
        return slot;
    return unix_s % STAMP_SLOT_S < STAMP_SLOT_S / 2 && slot > 0 ? slot - 1 : slot + 1;
}

unsigned stamp_bits(const uint8_t mask_key[static 32], const uint8_t e[static 32],
                    const uint8_t nonce[static RPC_NONCE_BYTES], uint64_t unix_s, uint64_t *tag)
{
    uint8_t in[INPUT_BYTES];
    fill(in, mask_key, e, slot_named(unix_s, nonce[SLOT_AT] & 1));
    memcpy(in + NONCE_AT, nonce, RPC_NONCE_BYTES);
    return bits_of(in, tag);
}

void stamp_make(uint8_t nonce[static RPC_NONCE_BYTES], const uint8_t mask_key[static 32],
                const uint8_t e[static 32], uint64_t unix_s, uint32_t tries)
{
    uint8_t in[INPUT_BYTES];
    uint64_t slot = unix_s / STAMP_SLOT_S, first, tag;
    nonce[SLOT_AT] = (uint8_t)((nonce[SLOT_AT] & ~1u) | (slot & 1));
    struct rd r = rd_init(nonce, 8);
    first = rd_le64(&r);
    fill(in, mask_key, e, slot);
    memcpy(in + NONCE_AT, nonce, RPC_NONCE_BYTES);
    unsigned best = 0;
    for (uint32_t i = 0; i < tries; i++) {
        struct wr w = wr_init(in + NONCE_AT, 8);
        wr_le64(&w, first + i);
        unsigned bits = bits_of(in, &tag);
        if (i > 0 && bits <= best)
            continue;
        best = bits;
        memcpy(nonce, in + NONCE_AT, 8);
    }
}
