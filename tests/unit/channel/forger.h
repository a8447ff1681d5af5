// A peer of one's own making: whatever frames a test wants, sealed under the keys that an end receives.
#ifndef BAUTA_TESTS_CHANNEL_FORGER_H
#define BAUTA_TESTS_CHANNEL_FORGER_H

#include "tests/unit/channel/link.h"

// The peer's hands: seals frames as the other end would, under its current keys.
struct forger {
    struct packet_keys keys;
    uint8_t cid[CID_BYTES], mask[MASK_KEY_BYTES];
    unsigned phase;
    uint64_t pn;
    enum packet_aead aead;
};

// Speaks to end `to` in phase 0 with the handshake's keys.
static UNUSED struct forger forger_first(const struct net *n, unsigned to)
{
    const struct channel_config *c = &n->end[to].config;
    struct forger f = {.pn = 1000, .aead = c->aead};
    packet_keys_derive(&f.keys, c->aead, c->initiator ? c->k_ri : c->k_ir);
    memcpy(f.cid, c->local_cid, CID_BYTES);
    memcpy(f.mask, c->local_mask, MASK_KEY_BYTES);
    return f;
}

// Speaks to end `to` under whatever keys it receives now.
static UNUSED struct forger forger_now(const struct net *n, unsigned to)
{
    struct forger f = forger_first(n, to);
    const struct chan_keys *k = &n->end[to].channel->keys;
    f.phase = k->newest;
    f.keys = k->in[k->newest].keys;
    memcpy(f.cid, k->in[k->newest].cid[0], CID_BYTES);
    f.pn = n->end[to].channel->seen.next;
    return f;
}

#define FORGED_BYTES_MAX 1700u

static UNUSED size_t forge(struct forger *f, uint8_t *packet, const uint8_t *frames, size_t len)
{
    size_t size = class_of((uint32_t)(PACKET_HEADER_BYTES + len + packet_tag_bytes(f->aead)));
    if (size == 0) // longer than anybody sends
        size = FORGED_BYTES_MAX;
    size_t body = size - PACKET_HEADER_BYTES - packet_tag_bytes(f->aead);
    memset(packet, 0, size);
    memcpy(packet + PACKET_HEADER_BYTES, frames, len);
    uint64_t pn = f->pn++ | (uint64_t)f->phase << CHAN_PN_BITS;
    assert_int_equal(packet_seal(packet, body, &f->keys, pn, f->cid, f->mask), size);
    return size;
}

static UNUSED int give(struct net *n, unsigned to, struct forger *f, const struct wr *w)
{
    uint8_t packet[FORGED_BYTES_MAX];
    size_t len = forge(f, packet, w->start, wr_len(w));
    end_receive(n, to, &n->end[to ^ 1].address, 0, packet, len);
    return n->end[to].last_rc;
}

#endif
