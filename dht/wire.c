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
        wr_bytes(&w, q->target, 32);
        wr_le16(&w, q->ttl_s);
        wr_le32(&w, q->version);
        wr_bytes(&w, q->salt, RECORD_SALT_BYTES);
        wr_le32(&w, q->effort);
        wr_bytes(&w, q->nonce, POW_NONCE_BYTES);
        wr_bytes(&w, q->sol, POW_SOLUTION_BYTES);
        wr_bytes(&w, q->record, RECORD_BYTES);
        break;
    case RPC_WITHDRAW:
        wr_bytes(&w, q->target, 32);
        wr_bytes(&w, q->rec_id, RECORD_ID_BYTES);
        wr_bytes(&w, q->salt, RECORD_SALT_BYTES);
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
    case RPC_DIAL_BACK:
        if (q->has_self) {
            put_self(&w, q);
        } else {
            wr_u8(&w, WIRE_FLAG_CONTACT);
            put_contact(&w, &q->contact);
        }
        break;
    case RPC_OPEN:
        put_blob(&w, q->blob, q->blob_len);
        break;
    default:
        w.bad = true; // not spoken
    }
    *len = wr_len(&w);
    return w.bad ? BAUTA_ESPACE : 0;
}

static void get_dial(struct rd *r, struct wire_request *q)
{
    uint8_t flags = rd_u8(r);
    q->has_self = flags == WIRE_FLAG_SELF;
    if (q->has_self) {
        rd_copy(r, q->pk, 32);
        rd_copy(r, q->puzzle_nonce, PUZZLE_NONCE_BYTES);
    } else {
        get_contact(r, &q->contact);
    }
    if (flags != WIRE_FLAG_SELF && flags != WIRE_FLAG_CONTACT)
        r->bad = true;
}

int wire_request_decode(struct wire_request *q, const uint8_t *body, size_t len)
{
    struct rd r = rd_init(body, len);
    memset(q, 0, sizeof *q);
    uint8_t kind = rd_u8(&r);
    if (kind < RPC_PING || kind > RPC_KIND_LAST)
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
        rd_copy(&r, q->target, 32);
        q->ttl_s = rd_le16(&r);
        q->version = rd_le32(&r);
        rd_copy(&r, q->salt, RECORD_SALT_BYTES);
        q->effort = rd_le32(&r);
        rd_copy(&r, q->nonce, POW_NONCE_BYTES);
        rd_copy(&r, q->sol, POW_SOLUTION_BYTES);
        q->record = rd_bytes(&r, RECORD_BYTES);
        break;
    case RPC_WITHDRAW:
        rd_copy(&r, q->target, 32);
        rd_copy(&r, q->rec_id, RECORD_ID_BYTES);
        rd_copy(&r, q->salt, RECORD_SALT_BYTES);
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
    case RPC_DIAL_BACK:
        get_dial(&r, q);
        break;
    case RPC_OPEN:
        get_blob(&r, &q->blob, &q->blob_len);
        if (q->blob_len > WIRE_OPEN_BLOB_MAX)
            r.bad = true;
        break;
    }
    return r.bad ? BAUTA_EFORMAT : 0;
}

static void put_pong(struct wr *w, const struct wire_answer *a)
{
    wr_bytes(w, a->puzzle_nonce, PUZZLE_NONCE_BYTES);
    path_put(w, &a->seen);
    wr_le32(w, a->minute);
    wr_u8(w, a->listed ? WIRE_FLAG_LISTED : 0);
}

static void get_pong(struct rd *r, struct wire_answer *a)
{
    rd_copy(r, a->puzzle_nonce, PUZZLE_NONCE_BYTES);
    path_get(r, &a->seen);
    a->minute = rd_le32(r);
    a->listed = (rd_u8(r) & WIRE_FLAG_LISTED) != 0;
}

// What stands behind the token, up to and with n.
static void put_result(struct wr *w, const struct wire_answer *a, uint8_t n)
{
    switch (a->kind) {
    case RPC_PING:
        put_pong(w, a);
        break;
    case RPC_FIND:
        put_pong(w, a);
        wr_u8(w, n);
        break;
    case RPC_ANNOUNCE:
    case RPC_SEEK:
        wr_le16(w, a->live);
        wr_u8(w, a->hint);
        wr_le32(w, a->effort);
        wr_u8(w, n);
        break;
    case RPC_ATTEND:
        wr_le16(w, a->ttl_s);
        path_put(w, &a->seen);
        break;
    case RPC_OPEN:
        put_blob(w, a->blob, a->blob_len);
        break;
    case RPC_WITHDRAW:
    case RPC_INTRODUCE:
    case RPC_RELAY_BACK:
    case RPC_DIAL_BACK:
        break;
    }
}

static void put_answer(struct wr *w, const struct wire_answer *a, uint8_t n)
{
    wr_u8(w, a->index);
    wr_u8(w, a->count);
    wr_u8(w, (uint8_t)a->kind);
    wr_u8(w, (uint8_t)a->status);
    wr_bytes(w, a->token, RPC_TOKEN_BYTES);
    if (a->status == RPC_OK) {
        put_result(w, a, n);
    } else if (a->status == RPC_FULL) {
        wr_u8(w, a->hint);
        wr_le16(w, a->live);
    } else if (a->status == RPC_EFFORT) {
        wr_le32(w, a->effort);
    }
}

int wire_answer_encode(const struct wire_answer *a, uint8_t *body, size_t cap, size_t *len)
{
    struct wr w = wr_init(body, cap);
    put_answer(&w, a, a->n);
    if (a->status == RPC_OK && a->kind == RPC_FIND)
        wr_bytes(&w, a->contacts, a->contacts_len);
    else if (a->status == RPC_OK && (a->kind == RPC_ANNOUNCE || a->kind == RPC_SEEK))
        wr_bytes(&w, a->records, (size_t)a->n * RECORD_BYTES);
    *len = wr_len(&w);
    return w.bad ? BAUTA_ESPACE : 0;
}

int wire_part_begin(struct wire_part *p, const struct wire_answer *a, uint8_t *body, size_t cap)
{
    assert(a->status == RPC_OK &&
           (a->kind == RPC_FIND || a->kind == RPC_ANNOUNCE || a->kind == RPC_SEEK));
    struct wr w = wr_init(body, cap);
    put_answer(&w, a, 0);
    *p = (struct wire_part){body, cap, wr_len(&w), wr_len(&w) - 1};
    return w.bad ? BAUTA_ESPACE : 0;
}

bool wire_part_contact(struct wire_part *p, const struct contact *c)
{
    struct wr w = wr_init(p->body + p->len, p->cap - p->len);
    if (p->body[p->n_at] >= WIRE_CONTACTS_MAX)
        return false;
    put_contact(&w, c);
    if (w.bad)
        return false;
    p->len += wr_len(&w);
    p->body[p->n_at]++;
    return true;
}

bool wire_part_record(struct wire_part *p, const uint8_t record[static RECORD_BYTES])
{
    if (p->body[p->n_at] >= WIRE_RECORDS_PER_DATAGRAM || p->cap - p->len < RECORD_BYTES)
        return false;
    memcpy(p->body + p->len, record, RECORD_BYTES);
    p->len += RECORD_BYTES;
    p->body[p->n_at]++;
    return true;
}

// Contacts are checked here once, so that going through them later can't fail.
static void get_contacts(struct rd *r, struct wire_answer *a)
{
    a->n = rd_u8(r);
    if (a->n > WIRE_CONTACTS_MAX) {
        r->bad = true;
        return;
    }
    const struct rd start = *r;
    for (unsigned i = 0; i < a->n && !r->bad; i++) {
        uint8_t family = rd_u8(r);
        if (family != 4 && family != 6)
            r->bad = true;
        (void)rd_bytes(r, (family == 4 ? WIRE_CONTACT_V4_BYTES : WIRE_CONTACT_V6_BYTES) - 1);
    }
    struct rd all = start;
    a->contacts_len = r->bad ? 0 : (uint16_t)(start.left - r->left);
    a->contacts = rd_bytes(&all, a->contacts_len);
}

bool wire_answer_contact(const struct wire_answer *a, size_t *at, struct contact *c)
{
    if (*at >= a->contacts_len)
        return false;
    struct rd r = rd_init(a->contacts + *at, a->contacts_len - *at);
    get_contact(&r, c);
    *at = a->contacts_len - r.left;
    return !r.bad;
}

static void get_result(struct rd *r, struct wire_answer *a)
{
    switch (a->kind) {
    case RPC_PING:
        get_pong(r, a);
        break;
    case RPC_FIND:
        get_pong(r, a);
        get_contacts(r, a);
        break;
    case RPC_ANNOUNCE:
    case RPC_SEEK:
        a->live = rd_le16(r);
        a->hint = rd_u8(r);
        a->effort = rd_le32(r);
        a->n = rd_u8(r);
        if (a->n > WIRE_RECORDS_PER_DATAGRAM)
            r->bad = true;
        a->records = rd_bytes(r, (size_t)a->n * RECORD_BYTES);
        break;
    case RPC_ATTEND:
        a->ttl_s = rd_le16(r);
        path_get(r, &a->seen);
        break;
    case RPC_OPEN:
        get_blob(r, &a->blob, &a->blob_len);
        if (a->blob_len > WIRE_OPEN_BLOB_MAX)
            r->bad = true;
        break;
    case RPC_WITHDRAW:
    case RPC_INTRODUCE:
    case RPC_RELAY_BACK:
    case RPC_DIAL_BACK:
        break;
    }
}

int wire_answer_decode(struct wire_answer *a, const uint8_t *body, size_t len)
{
    struct rd r = rd_init(body, len);
    memset(a, 0, sizeof *a);
    a->index = rd_u8(&r);
    a->count = rd_u8(&r);
    uint8_t kind = rd_u8(&r), status = rd_u8(&r);
    rd_copy(&r, a->token, RPC_TOKEN_BYTES);
    if (r.bad || kind < RPC_PING || kind > RPC_KIND_LAST || status > RPC_EFFORT || a->count < 1 ||
        a->count > RPC_ANSWER_DATAGRAMS_MAX || a->index >= a->count)
        return BAUTA_EFORMAT;
    a->kind = (enum rpc_kind)kind;
    a->status = (enum rpc_status)status;
    if (a->status == RPC_OK) {
        get_result(&r, a);
    } else if (a->status == RPC_FULL) {
        a->hint = rd_u8(&r);
        a->live = rd_le16(&r);
    } else if (a->status == RPC_EFFORT) {
        a->effort = rd_le32(&r);
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
