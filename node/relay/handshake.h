// A channel to a server: Noise_NK inside the DHT's `open`, after which both ends have a channel's configuration.
#ifndef BAUTA_NODE_RELAY_HANDSHAKE_H
#define BAUTA_NODE_RELAY_HANDSHAKE_H

#include "crypto/net.h"
#include "crypto/noise.h"
#include "node/relay/wire.h"

// prologue = "bauta relay 1" || NET
#define RELAY_MSG_BYTES (32u + RELAY_OPEN_BYTES + 16u) // either message: e, payload, tag

// The client's first message to the server of key `pk`, with its end of the channel. 0, BAUTA_EAUTH (a bad key).
int handshake_begin(struct noise *, const struct net *, const uint8_t pk[static 32],
                    const struct relay_open *own, const struct rng *,
                    uint8_t msg1[static RELAY_MSG_BYTES]);
// The server reads it. 0, BAUTA_EFORMAT, BAUTA_EAUTH.
int handshake_read(struct noise *, const struct net *, const uint8_t secret[static 32],
                   const uint8_t *msg1, size_t len, struct relay_open *client);
// And answers, with its own end or a refusal. Keys go into the configuration: initiator, aead, k_ir, k_ri, h, cids, masks.
int handshake_answer(struct noise *, const struct relay_open *client, const struct relay_open *own,
                     const struct rng *, uint8_t msg2[static RELAY_MSG_BYTES],
                     struct channel_config *);
// The client reads that. BAUTA_ESTATE: refused.
int handshake_end(struct noise *, const struct relay_open *own, const uint8_t *msg2, size_t len,
                  struct channel_config *);

#endif
