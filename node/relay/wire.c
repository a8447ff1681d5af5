#include "node/relay/wire.h"

#include <assert.h>

size_t relay_head_bytes(const struct relay_head *h)
{
    return (h->path.family == 4 ? 7u : 19u) + (h->server != NULL ? 32u : 0u);
}

void relay_head_put(struct wr *w, const struct relay_head *h)
{
    wr_u8(w, (uint8_t)(h->path.family | (h->server != NULL ? RELAY_HEAD_SERVER : 0)));
    wr_bytes(w, h->path.ip, h->path.family == 4 ? 4 : 16);
    wr_le16(w, h->path.port);
    if (h->server != NULL)
        wr_bytes(w, h->server, 32);
}

int relay_head_get(struct rd *r, struct relay_head *h)
{
    uint8_t head = rd_u8(r), family = head & (uint8_t)~RELAY_HEAD_SERVER, ip[16] = {0};
    memset(h, 0, sizeof *h);
    if (family != 4 && family != 6)
        return BAUTA_EFORMAT;
    rd_copy(r, ip, family == 4 ? 4 : 16);
    uint16_t port = rd_le16(r);
    h->path = family == 4 ? path_v4(ip, port) : path_v6(ip, port);
    if ((head & RELAY_HEAD_SERVER) != 0)
        h->server = rd_bytes(r, 32);
    // An IPv4 address has one spelling.
    return r->bad || h->path.family != family ? BAUTA_EFORMAT : 0;
}

void relay_open_put(uint8_t out[static RELAY_OPEN_BYTES], const struct relay_open *o, bool answer)
{
    struct wr w = wr_init(out, RELAY_OPEN_BYTES);
    wr_bytes(&w, o->cid, sizeof o->cid);
    wr_bytes(&w, o->recv_mask, sizeof o->recv_mask);
    wr_u8(&w, answer ? (uint8_t)o->verdict : o->capabilities);
    wr_u8(&w, answer ? (uint8_t)o->aead : 0);
    assert(!w.bad && w.left == 0);
}

int relay_open_get(struct relay_open *o, const uint8_t *in, size_t len, bool answer)
{
    struct rd r = rd_init(in, len);
    memset(o, 0, sizeof *o);
    rd_copy(&r, o->cid, sizeof o->cid);
    rd_copy(&r, o->recv_mask, sizeof o->recv_mask);
    uint8_t first = rd_u8(&r), second = rd_u8(&r);
    if (r.bad || r.left != 0)
        return BAUTA_EFORMAT;
    if (!answer) {
        o->capabilities = first;
        return second == 0 ? 0 : BAUTA_EFORMAT;
    }
    o->verdict = (enum relay_verdict)first;
    o->aead = (enum packet_aead)second;
    bool known = (first == RELAY_ACCEPT || first == RELAY_BUSY) &&
                 (second == PACKET_CHACHA20POLY1305 || second == PACKET_AEGIS256);
    return known ? 0 : BAUTA_EFORMAT;
}

size_t relay_message_put(uint8_t out[static RELAY_MESSAGE_BYTES_MAX], const struct relay_message *m)
{
    struct wr w = wr_init(out + RELAY_MESSAGE_HEAD_BYTES, RELAY_MESSAGE_BODY_MAX);
    switch (m->type) {
    case RELAY_RESERVE:
        wr_u8(&w, RELAY_VERSION);
        break;
    case RELAY_CONSENT:
        wr_bytes(&w, m->key, sizeof m->key);
        wr_u8(&w, m->count);
        for (unsigned i = 0; i < m->count; i++)
            path_put(&w, &m->path[i]);
        break;
    case RELAY_FORGET:
        wr_bytes(&w, m->key, sizeof m->key);
        break;
    case RELAY_GRANT:
        wr_le32(&w, m->seconds);
        wr_le32(&w, m->kBps);
        break;
    case RELAY_CONSENTED:
        wr_bytes(&w, m->key_id, sizeof m->key_id);
        path_put(&w, &m->path[0]);
        break;
    case RELAY_DRAIN:
        wr_le32(&w, m->seconds);
        break;
    case RELAY_SEEN:
        path_put(&w, &m->path[0]);
        break;
    case RELAY_SERVER:
        wr_bytes(&w, m->server.pk, sizeof m->server.pk);
        wr_bytes(&w, m->server.puzzle_nonce, sizeof m->server.puzzle_nonce);
        path_put(&w, &m->server.path);
        break;
    }
    assert(!w.bad);
    struct wr head = wr_init(out, RELAY_MESSAGE_HEAD_BYTES);
    wr_u8(&head, (uint8_t)m->type);
    wr_le16(&head, (uint16_t)wr_len(&w));
    return RELAY_MESSAGE_HEAD_BYTES + wr_len(&w);
}

// False: not a type that we know.
static bool get_body(struct relay_message *m, struct rd *r)
{
    switch (m->type) {
    case RELAY_RESERVE:
        (void)rd_u8(r); // whatever its version: what it does not know it will not say
        return true;
    case RELAY_CONSENT:
        rd_copy(r, m->key, sizeof m->key);
        m->count = rd_u8(r);
        if (m->count > RELAY_PEER_PATHS_MAX)
            r->bad = true;
        for (unsigned i = 0; i < m->count && !r->bad; i++)
            path_get(r, &m->path[i]);
        return true;
    case RELAY_FORGET:
        rd_copy(r, m->key, sizeof m->key);
        return true;
    case RELAY_GRANT:
        m->seconds = rd_le32(r);
        m->kBps = rd_le32(r);
        return true;
    case RELAY_CONSENTED:
        rd_copy(r, m->key_id, sizeof m->key_id);
        path_get(r, &m->path[0]);
        return true;
    case RELAY_DRAIN:
        m->seconds = rd_le32(r);
        return true;
    case RELAY_SEEN:
        path_get(r, &m->path[0]);
        return true;
    case RELAY_SERVER:
        rd_copy(r, m->server.pk, sizeof m->server.pk);
        rd_copy(r, m->server.puzzle_nonce, sizeof m->server.puzzle_nonce);
        path_get(r, &m->server.path);
        return true;
    }
    return false;
}

int relay_message_get(struct relay_message *m, const uint8_t *in, size_t len)
{
    struct rd r = rd_init(in, len);
    memset(m, 0, sizeof *m);
    m->type = (enum relay_message_type)rd_u8(&r);
    uint16_t body_len = rd_le16(&r);
    if (r.bad)
        return 0;
    if (body_len > RELAY_MESSAGE_BODY_MAX)
        return BAUTA_EFORMAT;
    const uint8_t *body = rd_bytes(&r, body_len);
    if (body == NULL)
        return 0;
    struct rd b = rd_init(body, body_len);
    if (!get_body(m, &b))
        m->type = (enum relay_message_type)0;
    else if (b.bad || b.left != 0)
        return BAUTA_EFORMAT;
    return (int)(RELAY_MESSAGE_HEAD_BYTES + body_len);
}
