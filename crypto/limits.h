// Sizes and limits of crypto/, with their reasons. PROTOCOL numbers refer to crypto/README.md.
#ifndef BAUTA_CRYPTO_LIMITS_H
#define BAUTA_CRYPTO_LIMITS_H

#include <stdint.h>

#define KEY_BYTES 32u              // X25519 keys, AEAD keys, BLAKE2b-256
#define NETWORK_NAME_BYTES_MAX 63u // fits len8 and a host label
#define TOPIC_BYTES_MAX 128u       // of the normalised topic: the longest title that a person types
#define PASS_BYTES_MAX 256u        // of a topic's passphrase after NFC
#define TEXT_INPUT_BYTES_MAX 1024u // as typed: the longest passphrase four times over
#define NORMALISE_PASSES_MAX 8u    // real text settles in two passes
#define TOPIC_ARGON_BYTES (64u * 1024 * 1024) // a dictionary costs about 0.1 s a word
#define TOPIC_ARGON_PASSES 2u
#define EPOCH_SECONDS 3600u
#define DAY_SECONDS 86400u
#define BRANCH_BITS_MAX 16u // 65,536 branches of 192 records: twelve million people on a topic

#define NODE_PUZZLE_BITS 22u     // about a second of one core for each id
#define NODE_PUZZLE_BITS_MAX 40u // a job for more would never end
#define PUZZLE_NONCE_BYTES 8u
#define PREFIX4_BYTES 3u              // /24: what an id binds of an IPv4 address
#define PREFIX6_BYTES 6u              // /48
#define POW_ARGON_BYTES (256u * 1024) // memory-hard, yet 0.2 ms to check
#define POW_ARGON_PASSES 1u
#define POW_EFFORT_MAX 65536u   // about 10 s of one core: nobody may ask a stranger for more
#define PUZZLE_TRIES_FACTOR 64u // a search of so many times the expected work fails once in e^64
#define POW_NONCE_BYTES 16u
#define POW_SOLUTION_BYTES 32u

#define CID_BYTES 8u
#define MASK_KEY_BYTES 16u     // SipHash key: a socket's recv_mask, a phase's hp
#define SAMPLE_BYTES 16u       // the last bytes of a datagram
#define DATAGRAM_BYTES_MIN 32u // less can't hold a header and a tag

#define SAS_WORDS 6u
#define SAS_WORD_LIST 2048u // 11 bits a word, 66 bits in all

// The sizes that a datagram may have on the wire; the last is the path's maximum, at first this.
#define CLASS_TINY 64u
#define CLASS_SMALL 192u
#define CLASS_CHAT 320u
#define CLASS_MEDIUM 704u
#define CLASS_FULL 1232u // IPv6's minimum MTU of 1,280 less its and UDP's headers

// The smallest class that holds len bytes, or 0 when none does.
static inline uint16_t class_of(uint32_t len)
{
    return len <= CLASS_TINY     ? (uint16_t)CLASS_TINY
           : len <= CLASS_SMALL  ? (uint16_t)CLASS_SMALL
           : len <= CLASS_CHAT   ? (uint16_t)CLASS_CHAT
           : len <= CLASS_MEDIUM ? (uint16_t)CLASS_MEDIUM
           : len <= CLASS_FULL   ? (uint16_t)CLASS_FULL
                                 : (uint16_t)0;
}

#endif
