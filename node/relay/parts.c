#include "node/relay/parts.h"

#include <assert.h>

static int put_part(struct channel *c, const uint8_t *head, size_t head_len, const uint8_t *data,
                    size_t len)
{
    uint8_t *at;
    int rc = channel_datagram_put(c, head_len + len, &at);
    if (rc != 0)
        return rc;
    memcpy(at, head, head_len);
    memcpy(at + head_len, data, len);
    return 0;
}

int relay_parts_put(struct channel *c, const struct relay_head *h, const uint8_t *data, size_t len,
                    uint8_t *id)
{
    uint8_t head[RELAY_HEAD_BYTES_MAX], part[RELAY_PART_BYTES + sizeof head];
    struct wr w = wr_init(head, sizeof head);
    relay_head_put(&w, h);
    size_t head_len = wr_len(&w), whole = head_len + len, max = channel_datagram_max(c);
    assert(!w.bad);
    if (whole <= max || len > CHANNEL_PACKET_BYTES_MAX)
        return put_part(c, head, head_len, data, len);
    if (max < RELAY_PART_BYTES + sizeof head + 1)
        return BAUTA_ELIMIT;
    ++*id;
    size_t at = 0;
    for (uint8_t k = 0; at < len; k++) { // the first one holds the head
        struct wr p = wr_init(part, sizeof part);
        wr_u8(&p, RELAY_PART);
        wr_u8(&p, *id);
        wr_u8(&p, k);
        wr_le16(&p, (uint16_t)whole);
        if (k == 0)
            wr_bytes(&p, head, head_len);
        size_t room = max - wr_len(&p), n = len - at < room ? len - at : room;
        int rc = put_part(c, part, wr_len(&p), data + at, n);
        if (rc != 0)
            return rc;
        at += n;
    }
    return 0;
}

bool relay_parts_take(struct relay_parts **parts, struct arena *a, const uint8_t **data,
                      size_t *len, bool *bad)
{
    *bad = false;
    if (*len == 0 || (*data)[0] != RELAY_PART)
        return true;
    struct rd r = rd_init(*data + 1, *len - 1);
    uint8_t id = rd_u8(&r), k = rd_u8(&r);
    uint16_t whole = rd_le16(&r);
    if (*parts == NULL)
        *parts = arena_take(a, sizeof **parts);
    struct relay_parts *p = *parts;
    *bad = r.bad || r.left == 0 || whole > sizeof p->data;
    if (*bad || p == NULL)
        return false;
    if (k == 0) {
        p->id = id;
        p->whole = whole;
        p->len = p->next = 0;
    }
    bool fits =
        p->whole == whole && p->id == id && p->next == k && r.left <= (size_t)whole - p->len;
    if (!fits) { // of one of which a part is missing
        p->whole = 0;
        return false;
    }
    memcpy(p->data + p->len, r.p, r.left);
    p->len = (uint16_t)(p->len + r.left);
    p->next++;
    if (p->len < p->whole)
        return false;
    *data = p->data;
    *len = p->len;
    p->whole = 0;
    return true;
}

void relay_parts_free(struct relay_parts **p, struct arena *a)
{
    arena_give(a, *p, sizeof **p);
    *p = NULL;
}
