// layer: channel
// Frames from a peer that knows the keys, into a live channel: the input is cut into bodies, each is
// sealed as the peer would seal it and received; time passes between them. First byte: bit 0 initiator,
// bit 1 AEGIS, bit 2 after a completed first step. Each body: length u16 (top bit: wait 100 ms after), bytes.
#include "node/channel/internal.h"
#include "tests/memory.h"

#include <sodium.h>
#include <stdlib.h>

static void check(bool ok)
{
    if (!ok)
        abort();
}

struct counter {
    uint64_t n;
};

static void fill(void *ctx, void *buf, size_t len)
{
    struct counter *c = ctx;
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)buf)[i] = (uint8_t)((++c->n * UINT64_C(0x9e3779b97f4a7c15)) >> 56);
}

struct side {
    struct channel *channel;
    struct channel_config config;
    struct arena arena;
    struct counter counter;
    struct path address;
};

static void side_init(struct side *s, bool initiator, enum packet_aead aead)
{
    memset(s, 0, sizeof *s);
    memory_arena(&s->arena, 1u << 20);
    s->counter.n = initiator;
    s->address = (struct path){.ip = {10, 0, 0, initiator}, .port = 2000, .family = 4};
    struct channel_config *c = &s->config;
    c->initiator = initiator;
    c->aead = aead;
    memset(c->k_ir, 1, sizeof c->k_ir);
    memset(c->k_ri, 2, sizeof c->k_ri);
    memset(c->h, 3, sizeof c->h);
    memset(c->local_cid, 4 + initiator, CID_BYTES);
    memset(c->remote_cid, 5 - initiator, CID_BYTES);
    memset(c->local_mask, 6 + initiator, MASK_KEY_BYTES);
    memset(c->remote_mask, 7 - initiator, MASK_KEY_BYTES);
    c->candidate[0] = (struct path){.ip = {10, 0, 0, !initiator}, .port = 2000, .family = 4};
    c->candidates = 1;
    c->receive_bytes = 1;
    c->rng = (struct rng){fill, &s->counter};
    check(channel_new(&s->channel, 0, c, &s->arena) == 0);
}

static void events(struct side *s, usec_t now)
{
    struct channel_event e;
    uint8_t buf[512];
    while (channel_event(s->channel, &e))
        if (e.kind == CHANNEL_READABLE)
            channel_stream_receive(s->channel, now, e.stream, buf, sizeof buf);
}

// Sends what `from` has to send; to `to`, or nowhere.
static void pump(struct side *from, struct side *to, usec_t now)
{
    uint8_t buf[4 * CLASS_FULL];
    struct batch batch[4];
    size_t count, rounds = 0;
    while ((count = channel_transmit(from->channel, now, buf, sizeof buf, batch, 4)) > 0) {
        check(++rounds < 1000);
        for (size_t i = 0; to != NULL && i < count; i++)
            for (size_t at = 0; at < batch[i].len; at += batch[i].seg_size) {
                size_t len =
                    batch[i].len - at < batch[i].seg_size ? batch[i].len - at : batch[i].seg_size;
                uint8_t cid[CID_BYTES];
                uint8_t *data = buf + (batch[i].data - buf) + at;
                packet_cid(cid, data, len, to->config.local_mask);
                for (unsigned phase = 0; phase < CHAN_PHASES; phase++)
                    if (chan_keys_cid(&to->channel->keys.in[phase], cid) >= 0)
                        channel_receive(to->channel, now, cid, phase, &from->address, 0, data, len);
            }
    }
    events(from, now);
}

static void let(struct side *s, usec_t now)
{
    if (channel_deadline(s->channel) <= now)
        channel_expire(s->channel, now, 64);
}

static void give(struct side *to, struct side *peer, usec_t now, uint64_t pn, struct rd *in,
                 size_t len)
{
    const struct chan_keys *k = &to->channel->keys;
    const struct chan_phase_in *phase = &k->in[k->newest];
    uint8_t packet[CLASS_FULL];
    size_t tag = packet_tag_bytes(to->config.aead), max = CLASS_FULL - PACKET_HEADER_BYTES - tag;
    len = len < in->left ? len : in->left;
    len = len < max ? len : max;
    rd_copy(in, packet + PACKET_HEADER_BYTES, len);
    if (!phase->live)
        return;
    uint8_t cid[CID_BYTES];
    memcpy(cid, phase->cid[0], sizeof cid);
    size_t size = packet_seal(packet, len, &phase->keys, pn | (uint64_t)k->newest << CHAN_PN_BITS,
                              cid, to->config.local_mask);
    unsigned newest = k->newest;
    check(channel_receive(to->channel, now, cid, newest, &peer->address, 0, packet, size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (sodium_init() < 0 || size == 0 || size > 16384)
        return 0;
    struct rd in = rd_init(data, size);
    uint8_t mode = rd_u8(&in);
    enum packet_aead aead = mode & 2 ? PACKET_AEGIS256 : PACKET_CHACHA20POLY1305;
    struct side side[2], *victim = &side[mode & 1], *peer = &side[!(mode & 1)];
    side_init(&side[0], false, aead);
    side_init(&side[1], true, aead);
    usec_t now = 1000;
    for (unsigned i = 0; mode & 4 && i < 12; i++, now += 10000) {
        let(&side[i % 2], now);
        pump(&side[i % 2], &side[(i + 1) % 2], now);
    }
    check(!(mode & 4) || (victim->channel->matched && peer->channel->matched));
    uint8_t text[3000] = {0};
    if (victim->channel->ready)
        channel_stream_send(victim->channel, now, 0, text, sizeof text);
    uint64_t pn = victim->channel->seen.next;
    while (in.left >= 2 && victim->channel->state < CHAN_ENDED) {
        uint16_t head = rd_le16(&in);
        give(victim, peer, now, pn++, &in, head & 0x7fff);
        now += head & 0x8000 ? 100000 : 10;
        let(victim, now);
        pump(victim, NULL, now);
    }
    check(victim->arena.used_bytes < 256 * 1024);
    for (unsigned i = 0; i < 2; i++) {
        channel_free(side[i].channel);
        check(side[i].arena.used_bytes == 0);
        arena_end(&side[i].arena);
    }
    return 0;
}
