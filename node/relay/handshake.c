#include "node/relay/handshake.h"

#include <sodium.h>

static int init(struct noise *n, const struct net *net, bool initiator,
                const struct noise_keys *keys)
{
    struct noise_spec spec;
    uint8_t prologue[13 + sizeof net->bytes];
    struct wr w = wr_init(prologue, sizeof prologue);
    wr_bytes(&w, "bauta relay 1", 13);
    wr_bytes(&w, net->bytes, net->len);
    int rc = noise_spec_parse(&spec, "Noise_NK_25519_ChaChaPoly_BLAKE2b");
    return rc != 0 ? rc : noise_init(n, &spec, initiator, prologue, wr_len(&w), keys);
}

static int write(struct noise *n, const uint8_t payload[static RELAY_OPEN_BYTES],
                 const struct rng *rng, uint8_t out[static RELAY_MSG_BYTES])
{
    uint8_t e[32];
    size_t len;
    rng_fill(rng, e, sizeof e);
    int rc = noise_write(n, e, payload, RELAY_OPEN_BYTES, out, RELAY_MSG_BYTES, &len);
    sodium_memzero(e, sizeof e);
    assert(rc != 0 || len == RELAY_MSG_BYTES);
    return rc;
}

static int read(struct noise *n, const uint8_t *msg, size_t len, bool answer, struct relay_open *o)
{
    uint8_t payload[RELAY_OPEN_BYTES];
    size_t payload_len;
    if (len != RELAY_MSG_BYTES)
        return BAUTA_EFORMAT;
    int rc = noise_read(n, msg, len, payload, sizeof payload, &payload_len);
    if (rc == 0)
        rc = relay_open_get(o, payload, payload_len, answer);
    sodium_memzero(payload, sizeof payload);
    return rc;
}

int handshake_begin(struct noise *n, const struct net *net, const uint8_t pk[static 32],
                    const struct relay_open *own, const struct rng *rng,
                    uint8_t msg1[static RELAY_MSG_BYTES])
{
    uint8_t payload[RELAY_OPEN_BYTES];
    int rc = init(n, net, true, &(struct noise_keys){.rs = pk});
    if (rc != 0)
        return rc;
    relay_open_put(payload, own, false);
    return write(n, payload, rng, msg1);
}

int handshake_read(struct noise *n, const struct net *net, const uint8_t secret[static 32],
                   const uint8_t *msg1, size_t len, struct relay_open *client)
{
    int rc = init(n, net, false, &(struct noise_keys){.s = secret});
    return rc != 0 ? rc : read(n, msg1, len, false, client);
}

static int keys(struct noise *n, const struct relay_open *own, const struct relay_open *peer,
                bool initiator, enum packet_aead aead, struct channel_config *c)
{
    struct noise_cipher i_to_r, r_to_i;
    int rc = noise_split(n, &i_to_r, &r_to_i);
    if (rc != 0)
        return rc;
    c->initiator = initiator;
    c->aead = aead;
    memcpy(c->k_ir, i_to_r.k, sizeof c->k_ir);
    memcpy(c->k_ri, r_to_i.k, sizeof c->k_ri);
    memcpy(c->h, n->h, sizeof c->h);
    memcpy(c->local_cid, own->cid, sizeof c->local_cid);
    memcpy(c->local_mask, own->recv_mask, sizeof c->local_mask);
    memcpy(c->remote_cid, peer->cid, sizeof c->remote_cid);
    memcpy(c->remote_mask, peer->recv_mask, sizeof c->remote_mask);
    sodium_memzero(&i_to_r, sizeof i_to_r);
    sodium_memzero(&r_to_i, sizeof r_to_i);
    return 0;
}

int handshake_answer(struct noise *n, const struct relay_open *client, const struct relay_open *own,
                     const struct rng *rng, uint8_t msg2[static RELAY_MSG_BYTES],
                     struct channel_config *c)
{
    uint8_t payload[RELAY_OPEN_BYTES];
    relay_open_put(payload, own, true);
    int rc = write(n, payload, rng, msg2);
    sodium_memzero(payload, sizeof payload);
    if (rc == 0 && own->verdict == RELAY_ACCEPT)
        rc = keys(n, own, client, false, own->aead, c);
    return rc;
}

int handshake_end(struct noise *n, const struct relay_open *own, const uint8_t *msg2, size_t len,
                  struct channel_config *c)
{
    struct relay_open relay;
    int rc = read(n, msg2, len, true, &relay);
    if (rc == 0 && relay.verdict != RELAY_ACCEPT)
        rc = BAUTA_ESTATE;
    // What we can't do fast it must not choose.
    if (rc == 0 && relay.aead == PACKET_AEGIS256 && !(own->capabilities & RELAY_CAPABILITY_AES))
        rc = BAUTA_EFORMAT;
    if (rc == 0)
        rc = keys(n, own, &relay, true, relay.aead, c);
    sodium_memzero(&relay, sizeof relay);
    return rc;
}
