#include "node/channel/wire.h"

static int get_ack(struct rd *r, struct chan_ack *ack, bool ecn)
{
    uint64_t largest = rd_le64(r);
    ack->delay_us = rd_le32(r);
    unsigned more = rd_u8(r);
    uint64_t first = rd_le16(r);
    if (r->bad || more >= CHAN_ACK_RANGES || largest > PACKET_PN_MAX || first > largest)
        return BAUTA_EFORMAT;
    uint64_t lo = largest - first;
    ack->range[0] = (struct chan_range){lo, largest + 1};
    ack->count = more + 1;
    for (unsigned i = 1; i <= more; i++) {
        uint64_t gap = rd_le16(r), length = rd_le16(r);
        if (r->bad || gap == 0 || length == 0 || gap + length > lo)
            return BAUTA_EFORMAT;
        ack->range[i].hi = lo - gap;
        lo = lo - gap - length;
        ack->range[i].lo = lo;
    }
    ack->has_ecn = ecn;
    ack->ect = ecn ? rd_le32(r) : 0;
    ack->ce = ecn ? rd_le32(r) : 0;
    return r->bad ? BAUTA_EFORMAT : 0;
}

static void get_data(struct rd *r, struct chan_frame *f)
{
    f->len = rd_le16(r);
    f->data = rd_bytes(r, f->len);
}

int chan_wire_get(struct rd *r, struct chan_frame *f, struct chan_ack *ack)
{
    *f = (struct chan_frame){.type = (enum chan_frame_type)rd_u8(r)};
    switch (f->type) {
    case CHAN_PADDING:
        rd_zeroes(r);
        break;
    case CHAN_PING:
        break;
    case CHAN_ACK:
    case CHAN_ACK_ECN:
        return get_ack(r, ack, f->type == CHAN_ACK_ECN);
    case CHAN_STREAM:
        f->stream = rd_u8(r);
        f->offset = rd_le(r, 6);
        get_data(r, f);
        if (f->offset + f->len > CHAN_OFFSET_MAX)
            return BAUTA_EFORMAT;
        break;
    case CHAN_MAX_DATA:
        f->stream = rd_u8(r);
        f->offset = rd_le(r, 6);
        break;
    case CHAN_DATAGRAM:
        get_data(r, f);
        break;
    case CHAN_PATH_CHALLENGE:
    case CHAN_PATH_RESPONSE:
        f->len = 8;
        f->data = rd_bytes(r, 8);
        break;
    case CHAN_RATCHET:
        f->step = rd_le32(r);
        f->kind = rd_u8(r);
        f->offset = rd_le16(r);
        get_data(r, f);
        if (f->offset + f->len > CHAN_RATCHET_BYTES)
            return BAUTA_EFORMAT;
        break;
    case CHAN_CLOSE:
        f->kind = rd_u8(r);
        f->code = rd_le16(r);
        break;
    case CHAN_MEETING_POINT:
    case CHAN_REUNION:
        if (f->type == CHAN_MEETING_POINT)
            f->offset = rd_le16(r);
        f->len = rd_u8(r);
        f->data = rd_bytes(r, f->len);
        if (f->len == 0 || f->len > (f->type == CHAN_REUNION ? CHANNEL_REUNION_BYTES_MAX
                                                             : CHANNEL_MEETING_BYTES_MAX))
            return BAUTA_EFORMAT;
        break;
    case CHAN_NEW_CID:
        f->step = rd_le32(r);
        f->len = CID_BYTES;
        f->data = rd_bytes(r, CID_BYTES);
        break;
    default:
        return BAUTA_EFORMAT;
    }
    return r->bad ? BAUTA_EFORMAT : 0;
}

static void put_ack(struct wr *w, enum chan_frame_type type, const struct chan_range *range,
                    size_t count, uint64_t delay_us)
{
    assert(count >= 1 && count <= CHAN_ACK_RANGES);
    wr_u8(w, (uint8_t)type);
    wr_le64(w, range[0].hi - 1);
    wr_le32(w, delay_us > UINT32_MAX ? UINT32_MAX : (uint32_t)delay_us);
    wr_u8(w, (uint8_t)(count - 1));
    wr_le16(w, (uint16_t)(range[0].hi - 1 - range[0].lo));
    for (size_t i = 1; i < count; i++) {
        wr_le16(w, (uint16_t)(range[i - 1].lo - range[i].hi));
        wr_le16(w, (uint16_t)(range[i].hi - range[i].lo));
    }
}

void chan_wire_ack(struct wr *w, const struct chan_range *range, size_t count, uint64_t delay_us)
{
    put_ack(w, CHAN_ACK, range, count, delay_us);
}

void chan_wire_ack_ecn(struct wr *w, const struct chan_range *range, size_t count,
                       uint64_t delay_us, uint32_t ect, uint32_t ce)
{
    put_ack(w, CHAN_ACK_ECN, range, count, delay_us);
    wr_le32(w, ect);
    wr_le32(w, ce);
}

uint8_t *chan_wire_stream(struct wr *w, uint8_t stream, uint64_t offset, size_t len)
{
    uint8_t *p = wr_room(w, CHAN_STREAM_HEADER_BYTES + len);
    if (p == NULL)
        return NULL;
    p[0] = CHAN_STREAM;
    p[1] = stream;
    for (unsigned i = 0; i < 6; i++)
        p[2 + i] = (uint8_t)(offset >> (8 * i));
    p[8] = (uint8_t)len;
    p[9] = (uint8_t)(len >> 8);
    return p + CHAN_STREAM_HEADER_BYTES;
}

void chan_wire_max_data(struct wr *w, uint8_t stream, uint64_t limit)
{
    wr_u8(w, CHAN_MAX_DATA);
    wr_u8(w, stream);
    wr_le(w, limit, 6);
}

void chan_wire_datagram(struct wr *w, const uint8_t *data, size_t len)
{
    wr_u8(w, CHAN_DATAGRAM);
    wr_le16(w, (uint16_t)len);
    wr_bytes(w, data, len);
}

void chan_wire_path(struct wr *w, enum chan_frame_type type, const uint8_t data[static 8])
{
    wr_u8(w, (uint8_t)type);
    wr_bytes(w, data, 8);
}

void chan_wire_ratchet(struct wr *w, uint32_t step, uint8_t type, uint16_t offset,
                       const uint8_t *data, uint16_t len)
{
    wr_u8(w, CHAN_RATCHET);
    wr_le32(w, step);
    wr_u8(w, type);
    wr_le16(w, offset);
    wr_le16(w, len);
    wr_bytes(w, data, len);
}

void chan_wire_new_cid(struct wr *w, uint32_t step, const uint8_t cid[static CID_BYTES])
{
    wr_u8(w, CHAN_NEW_CID);
    wr_le32(w, step);
    wr_bytes(w, cid, CID_BYTES);
}

void chan_wire_meeting(struct wr *w, uint16_t version, const uint8_t *data, size_t len)
{
    wr_u8(w, CHAN_MEETING_POINT);
    wr_le16(w, version);
    wr_u8(w, (uint8_t)len);
    wr_bytes(w, data, len);
}

void chan_wire_reunion(struct wr *w, const uint8_t *data, size_t len)
{
    wr_u8(w, CHAN_REUNION);
    wr_u8(w, (uint8_t)len);
    wr_bytes(w, data, len);
}

void chan_wire_close(struct wr *w, enum chan_close_kind kind, uint16_t code)
{
    wr_u8(w, CHAN_CLOSE);
    wr_u8(w, (uint8_t)kind);
    wr_le16(w, code);
}
