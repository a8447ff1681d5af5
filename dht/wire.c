#include "dht/wire.h"

#include "crypto/bytes.h"

static void put_self(struct wr *w, const struct wire_request *q)
{
    wr_u8(w, q->has_self ? WIRE_FLAG_SELF : 0);
    if (q->has_self) {
        wr_bytes(w, q->pk, 32);
        wr_bytes(w, q->puzzle_nonce, PUZZLE_NONCE_BYTES);
    }
}

static void get_self(struct rd *r, struct wire_request *q)
{
    q->has_self = (rd_u8(r) & WIRE_FLAG_SELF) != 0;
    if (q->has_self) {
        rd_copy(r, q->pk, 32);
        rd_copy(r, q->puzzle_nonce, PUZZLE_NONCE_BYTES);
    }
}

static void put_blob(struct wr *w, const uint8_t *blob, uint16_t len)
{
    wr_le16(w, len);
    wr_bytes(w, blob, len);
}

static void get_blob(struct rd *r, const uint8_t **blob, uint16_t *len)
{
    *len = rd_le16(r);
    *blob = rd_bytes(r, *len);
}

int wire_request_encode(const struct wire_request *q, uint8_t *body, size_t cap, size_t *len)
{
    struct wr w = wr_init(body, cap);
    wr_u8(&w, (uint8_t)q->kind);
    wr_bytes(&w, q->reply, 8);
    switch (q->kind) {
    case RPC_PING:
        put_self(&w, q);
        break;
    case RPC_FIND:
        put_self(&w, q);
        wr_u8(&w, q->want);
        wr_le16(&w, q->bits);
        wr_bytes(&w, q->target, 32);
        break;
    case RPC_ANNOUNCE:
        wr_u8(&w, q->reveal ? WIRE_FLAG_REVEAL : 0);
        wr_bytes(&w, q->target, 32);
        wr_le16(&w, q->ttl_s);
        wr_le32(&w, q->effort);
        wr_bytes(&w, q->w, LOCK_BYTES);
        wr_bytes(&w, q->c, LOCK_BYTES);
        wr_bytes(&w, q->record, RECORD_BYTES);
        break;
    case RPC_WITHDRAW:
        wr_bytes(&w, q->target, 32);
        wr_bytes(&w, q->rec_id, RECORD_ID_BYTES);
        wr_bytes(&w, q->w, LOCK_BYTES);
        break;
    case RPC_SEEK:
        wr_bytes(&w, q->target, 32);
        wr_bytes(&w, q->rec_id, RECORD_ID_BYTES);
        break;
    case RPC_ATTEND:
        wr_bytes(&w, q->handle, DHT_HANDLE_BYTES);
        wr_le16(&w, q->ttl_s);
        wr_bytes(&w, q->push_key, 32);
        break;
    case RPC_INTRODUCE:
        wr_bytes(&w, q->handle, DHT_HANDLE_BYTES);
        wr_bytes(&w, q->link, DHT_LINK_BYTES);
        wr_bytes(&w, q->push_key, 32);
        put_blob(&w, q->blob, q->blob_len);
        break;
    case RPC_RELAY_BACK:
        wr_bytes(&w, q->handle, DHT_HANDLE_BYTES);
        wr_bytes(&w, q->link, DHT_LINK_BYTES);
        put_blob(&w, q->blob, q->blob_len);
        break;
    default:
        w.bad = true; // not spoken
    }
    *len = wr_len(&w);
    return w.bad ? BAUTA_ESPACE : 0;
}

int wire_request_decode(struct wire_request *q, const uint8_t *body, size_t len)
{
    struct rd r = rd_init(body, len);
    memset(q, 0, sizeof *q);
    uint8_t kind = rd_u8(&r);
    if (kind < RPC_PING || kind > RPC_RELAY_BACK)
        return BAUTA_EFORMAT;
    q->kind = (enum rpc_kind)kind;
    rd_copy(&r, q->reply, 8);
    switch (q->kind) {
    case RPC_PING:
        get_self(&r, q);
        break;
    case RPC_FIND:
        get_self(&r, q);
        q->want = rd_u8(&r);
        q->bits = rd_le16(&r);
        rd_copy(&r, q->target, 32);
        if (q->bits > 256 || (q->want & (WIRE_WANT_V4 | WIRE_WANT_V6)) == 0)
            r.bad = true;
        break;
    case RPC_ANNOUNCE:
        q->reveal = (rd_u8(&r) & WIRE_FLAG_REVEAL) != 0;
        rd_copy(&r, q->target, 32);
        q->ttl_s = rd_le16(&r);
        q->effort = rd_le32(&r);
        rd_copy(&r, q->w, LOCK_BYTES);
        rd_copy(&r, q->c, LOCK_BYTES);
        q->record = rd_bytes(&r, RECORD_BYTES);
        break;
    case RPC_WITHDRAW:
        rd_copy(&r, q->target, 32);
        rd_copy(&r, q->rec_id, RECORD_ID_BYTES);
        rd_copy(&r, q->w, LOCK_BYTES);
        break;
    case RPC_SEEK:
        rd_copy(&r, q->target, 32);
        rd_copy(&r, q->rec_id, RECORD_ID_BYTES);
        break;
    case RPC_ATTEND:
        rd_copy(&r, q->handle, DHT_HANDLE_BYTES);
        q->ttl_s = rd_le16(&r);
        rd_copy(&r, q->push_key, 32);
        break;
    case RPC_INTRODUCE:
        rd_copy(&r, q->handle, DHT_HANDLE_BYTES);
        rd_copy(&r, q->link, DHT_LINK_BYTES);
        rd_copy(&r, q->push_key, 32);
        get_blob(&r, &q->blob, &q->blob_len);
        if (q->blob_len > WIRE_INTRODUCE_BLOB_MAX)
            r.bad = true;
        break;
    case RPC_RELAY_BACK:
        rd_copy(&r, q->handle, DHT_HANDLE_BYTES);
        rd_copy(&r, q->link, DHT_LINK_BYTES);
        get_blob(&r, &q->blob, &q->blob_len);
        if (q->blob_len > WIRE_ANSWER_BLOB_MAX)
            r.bad = true;
        break;
    }
    return r.bad ? BAUTA_EFORMAT : 0;
}

// family[1] pk[32] puzzle_nonce[8] addr[4|16] port[2]
static void put_contact(struct wr *w, const struct contact *c)
{
    wr_u8(w, c->path.family);
    wr_bytes(w, c->pk, 32);
    wr_bytes(w, c->puzzle_nonce, PUZZLE_NONCE_BYTES);
    wr_bytes(w, c->path.ip, c->path.family == 4 ? 4 : 16);
    wr_le16(w, c->path.port);
}

static void get_contact(struct rd *r, struct contact *c)
{
    memset(c, 0, sizeof *c);
    uint8_t path[PATH_WIRE_BYTES_MAX];
    size_t len = 0;
    path[0] = rd_u8(r);
    if (path[0] != 4 && path[0] != 6)
        r->bad = true;
    rd_copy(r, c->pk, 32);
    rd_copy(r, c->puzzle_nonce, PUZZLE_NONCE_BYTES);
    len = path[0] == 4 ? WIRE_PATH_V4_BYTES : WIRE_PATH_V6_BYTES;
    rd_copy(r, path + 1, len - 1);
    struct rd inner = rd_init(path, len);
    path_get(&inner, &c->path);
    if (inner.bad)
        r->bad = true;
}

static void put_pong(struct wr *w, const struct wire_answer *a)
{
    wr_bytes(w, a->puzzle_nonce, PUZZLE_NONCE_BYTES);
    path_put(w, &a->seen);
    wr_le32(w, a->minute);
}

static void get_pong(struct rd *r, struct wire_answer *a)
{
    rd_copy(r, a->puzzle_nonce, PUZZLE_NONCE_BYTES);
    path_get(r, &a->seen);
    a->minute = rd_le32(r);
}

int wire_answer_encode(const struct wire_answer *a, uint8_t *body, size_t cap, size_t *len)
{
    struct wr w = wr_init(body, cap);
    wr_u8(&w, a->index);
    wr_u8(&w, a->count);
    wr_u8(&w, (uint8_t)a->kind);
    wr_u8(&w, (uint8_t)a->status);
    wr_bytes(&w, a->token, RPC_TOKEN_BYTES);
    if (a->status == RPC_OK) {
        switch (a->kind) {
        case RPC_PING:
            put_pong(&w, a);
            break;
        case RPC_FIND:
            put_pong(&w, a);
            wr_u8(&w, a->n);
            for (unsigned i = 0; i < a->n; i++)
                put_contact(&w, &a->contact[i]);
            break;
        case RPC_ANNOUNCE:
        case RPC_SEEK:
            wr_le16(&w, a->live);
            wr_u8(&w, a->hint);
            wr_le32(&w, a->effort);
            wr_u8(&w, a->n);
            wr_bytes(&w, a->records, (size_t)a->n * RECORD_BYTES);
            break;
        case RPC_ATTEND:
            wr_le16(&w, a->ttl_s);
            path_put(&w, &a->seen);
            break;
        case RPC_WITHDRAW:
        case RPC_INTRODUCE:
        case RPC_RELAY_BACK:
            break;
        }
    }
    *len = wr_len(&w);
    return w.bad ? BAUTA_ESPACE : 0;
}

int wire_answer_decode(struct wire_answer *a, const uint8_t *body, size_t len)
{
    struct rd r = rd_init(body, len);
    memset(a, 0, sizeof *a);
    a->index = rd_u8(&r);
    a->count = rd_u8(&r);
    uint8_t kind = rd_u8(&r), status = rd_u8(&r);
    rd_copy(&r, a->token, RPC_TOKEN_BYTES);
    if (r.bad || kind < RPC_PING || kind > RPC_RELAY_BACK || status > RPC_UNKNOWN || a->count < 1 ||
        a->count > RPC_ANSWER_DATAGRAMS_MAX || a->index >= a->count)
        return BAUTA_EFORMAT;
    a->kind = (enum rpc_kind)kind;
    a->status = (enum rpc_status)status;
    if (a->status != RPC_OK)
        return 0;
    switch (a->kind) {
    case RPC_PING:
        get_pong(&r, a);
        break;
    case RPC_FIND:
        get_pong(&r, a);
        a->n = rd_u8(&r);
        if (a->n > WIRE_CONTACTS_MAX)
            return BAUTA_EFORMAT;
        for (unsigned i = 0; i < a->n && !r.bad; i++)
            get_contact(&r, &a->contact[i]);
        break;
    case RPC_ANNOUNCE:
    case RPC_SEEK:
        a->live = rd_le16(&r);
        a->hint = rd_u8(&r);
        a->effort = rd_le32(&r);
        a->n = rd_u8(&r);
        if (a->n > WIRE_RECORDS_PER_DATAGRAM)
            return BAUTA_EFORMAT;
        a->records = rd_bytes(&r, (size_t)a->n * RECORD_BYTES);
        break;
    case RPC_ATTEND:
        a->ttl_s = rd_le16(&r);
        path_get(&r, &a->seen);
        break;
    case RPC_WITHDRAW:
    case RPC_INTRODUCE:
    case RPC_RELAY_BACK:
        break;
    }
    return r.bad ? BAUTA_EFORMAT : 0;
}

int wire_push_encode(const struct wire_push *p, uint8_t *body, size_t cap, size_t *len)
{
    struct wr w = wr_init(body, cap);
    wr_u8(&w, (uint8_t)p->kind);
    wr_bytes(&w, p->link, DHT_LINK_BYTES);
    put_blob(&w, p->blob, p->blob_len);
    *len = wr_len(&w);
    return w.bad ? BAUTA_ESPACE : 0;
}

int wire_push_decode(struct wire_push *p, const uint8_t *body, size_t len)
{
    struct rd r = rd_init(body, len);
    memset(p, 0, sizeof *p);
    uint8_t kind = rd_u8(&r);
    rd_copy(&r, p->link, DHT_LINK_BYTES);
    get_blob(&r, &p->blob, &p->blob_len);
    if (r.bad || (kind != PUSH_OFFER && kind != PUSH_BACK))
        return BAUTA_EFORMAT;
    p->kind = (enum push_kind)kind;
    return 0;
}
