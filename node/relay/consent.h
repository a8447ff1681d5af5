// A relay sends to nobody who did not ask for it: what it asks the other end of a client's conversation, and the answer
// (PROTOCOL 8). Both ends of a channel know its key; the relay is told it; each datagram looks like an answer of the DHT's.
#ifndef BAUTA_NODE_RELAY_CONSENT_H
#define BAUTA_NODE_RELAY_CONSENT_H

#include "crypto/limits.h"
#include "crypto/rpc.h"
#include "dht/machine.h"

#define CONSENT_KEY_BYTES 32u
#define CONSENT_CHALLENGE_BYTES 16u
#define CONSENT_BYTES CLASS_TINY // either datagram

struct consent {
    uint8_t key[CONSENT_KEY_BYTES];
    uint8_t ask[8], answer[8]; // first bytes of both datagrams
};

// key = BLAKE2b-32(key = k_ir || k_ri of the handshake's Split, "bauta consent" || h)
void consent_key(uint8_t key[static CONSENT_KEY_BYTES], const uint8_t k_ir[static 32],
                 const uint8_t k_ri[static 32], const uint8_t h[static 64]);
// ask, answer = BLAKE2b-8(key = key, "ask"), likewise "answer"
void consent_init(struct consent *, const uint8_t key[static CONSENT_KEY_BYTES]);
// id[8] nonce[24] XChaCha20-Poly1305(key, AAD = id) of the challenge: 64 bytes. `challenge` is one for each address,
// and only who gets this datagram knows it.
void consent_ask(uint8_t out[static CONSENT_BYTES], const struct consent *,
                 const uint8_t challenge[static CONSENT_CHALLENGE_BYTES], const struct rng *);
// Turns such a question into its answer, in place. BAUTA_EFORMAT, BAUTA_EAUTH: it is none.
int consent_reply(uint8_t *datagram, size_t len, const struct consent *, const struct rng *);
// Is it the answer to that challenge? Opened in place. BAUTA_EFORMAT, BAUTA_EAUTH.
int consent_check(uint8_t *datagram, size_t len, const struct consent *,
                  const uint8_t challenge[static CONSENT_CHALLENGE_BYTES]);
bool consent_is(const uint8_t *datagram, size_t len, const uint8_t id[static 8]);

#endif
