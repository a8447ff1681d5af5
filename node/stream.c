#include "node/stream.h"

#include "crypto/bytes.h"
#include "crypto/net.h"

#include <sodium.h>

enum direction { TO_SERVER, TO_CLIENT };

static void mask_init(struct stream_mask *m, const uint8_t key[static 32],
                      const uint8_t nonce[static STREAM_NONCE_BYTES], enum direction d)
{
    const uint8_t direction = (uint8_t)d;
    const struct piece piece[2] = {{nonce, STREAM_NONCE_BYTES}, {&direction, 1}};
    memset(m, 0, sizeof *m);
    hash_pieces(m->key, sizeof m->key, key, 32, piece, 2);
    m->used = STREAM_BLOCK_BYTES;
}

// The length whose bytes are at `head`, masked or unmasked: an involution.
static void mask_next(struct stream_mask *m, uint8_t head[static STREAM_HEAD_BYTES])
{
    static const uint8_t nonce[crypto_stream_chacha20_NONCEBYTES]; // each key masks one direction
    if (m->used == STREAM_BLOCK_BYTES) {
        memset(m->bytes, 0, sizeof m->bytes);
        crypto_stream_chacha20_xor_ic(m->bytes, m->bytes, sizeof m->bytes, nonce, m->block++,
                                      m->key);
        m->used = 0;
    }
    head[0] ^= m->bytes[m->used++];
    head[1] ^= m->bytes[m->used++];
}

void stream_open(struct stream *s, const uint8_t key[static 32],
                 const uint8_t nonce[static STREAM_NONCE_BYTES])
{
    memset(s, 0, sizeof *s);
    mask_init(&s->in, key, nonce, TO_CLIENT);
    mask_init(&s->out, key, nonce, TO_SERVER);
    s->started = true;
}

void stream_accept(struct stream *s, const uint8_t key[static 32])
{
    memset(s, 0, sizeof *s);
    memcpy(s->in.key, key, 32);
}

// Gathers `need` bytes in `part`. True when they are whole: then the next gathering begins anew.
static bool gather(struct stream *s, size_t need, const uint8_t *data, size_t len, size_t *used)
{
    size_t more = need - s->have < len - *used ? need - s->have : len - *used;
    if (more > 0)
        memcpy(s->part + s->have, data + *used, more);
    s->have = (uint16_t)(s->have + more);
    *used += more;
    if (s->have < need)
        return false;
    s->have = 0;
    return true;
}

static void start(struct stream *s)
{
    uint8_t key[32];
    memcpy(key, s->in.key, sizeof key);
    mask_init(&s->in, key, s->part, TO_SERVER);
    mask_init(&s->out, key, s->part, TO_CLIENT);
    sodium_memzero(key, sizeof key);
    s->started = true;
}

int stream_take(struct stream *s, uint8_t *data, size_t len, size_t *used, uint8_t **datagram)
{
    *used = 0;
    if (!s->started) {
        if (!gather(s, STREAM_NONCE_BYTES, data, len, used))
            return 0;
        start(s);
    }
    if (s->len == 0) {
        if (!gather(s, STREAM_HEAD_BYTES, data, len, used))
            return 0;
        mask_next(&s->in, s->part);
        s->len = (uint16_t)(s->part[0] | s->part[1] << 8);
        if (s->len < STREAM_DATAGRAM_BYTES_MIN || s->len > STREAM_DATAGRAM_BYTES_MAX) {
            s->len = 0;
            return BAUTA_EFORMAT;
        }
    }
    size_t whole = s->len;
    if (s->have == 0 && len - *used >= whole) {
        *datagram = data + *used;
        *used += whole;
    } else if (gather(s, whole, data, len, used)) {
        *datagram = s->part;
    } else {
        return 0;
    }
    s->len = 0;
    return (int)whole;
}

size_t stream_put(struct stream *s, uint8_t *out, size_t cap, const uint8_t *datagram, size_t len)
{
    if (!s->started || len < STREAM_DATAGRAM_BYTES_MIN || len > STREAM_DATAGRAM_BYTES_MAX ||
        cap < STREAM_HEAD_BYTES + len)
        return 0;
    out[0] = (uint8_t)len;
    out[1] = (uint8_t)(len >> 8);
    mask_next(&s->out, out);
    memcpy(out + STREAM_HEAD_BYTES, datagram, len);
    return STREAM_HEAD_BYTES + len;
}
