#include "crypto/mask.h"

#include <assert.h>
#include <sodium.h>

static_assert(MASK_KEY_BYTES == crypto_shorthash_siphash24_KEYBYTES, "a mask key is a SipHash key");
static_assert(crypto_shorthash_siphash24_BYTES == 8, "a mask covers 8 bytes");
static_assert(crypto_stream_chacha20_ietf_NONCEBYTES + 4 == SAMPLE_BYTES, "nonce and counter");
// One block: a counter of 2^32 - 1 can't wrap, and the header never reaches into the sample.
static_assert(RPC_HEADER_BYTES + SAMPLE_BYTES <= CLASS_TINY, "header and sample fit the smallest");

void mask_request(uint8_t *datagram, size_t len, const uint8_t mask_key[static 32])
{
    assert(len >= RPC_HEADER_BYTES + SAMPLE_BYTES);
    const uint8_t *sample = datagram + len - SAMPLE_BYTES;
    const uint8_t *c = sample + crypto_stream_chacha20_ietf_NONCEBYTES;
    uint32_t counter =
        (uint32_t)c[0] | (uint32_t)c[1] << 8 | (uint32_t)c[2] << 16 | (uint32_t)c[3] << 24;
    crypto_stream_chacha20_ietf_xor_ic(datagram, datagram, RPC_HEADER_BYTES, sample, counter,
                                       mask_key);
}

void mask_field(uint8_t field[static 8], const uint8_t *datagram, size_t len,
                const uint8_t key[static MASK_KEY_BYTES])
{
    uint8_t mask[crypto_shorthash_siphash24_BYTES];
    assert(len >= DATAGRAM_BYTES_MIN);
    crypto_shorthash_siphash24(mask, datagram + len - SAMPLE_BYTES, SAMPLE_BYTES, key);
    for (size_t i = 0; i < sizeof mask; i++)
        field[i] ^= mask[i];
}
