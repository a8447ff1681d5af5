#include "node/talk/message.h"

#include "crypto/bytes.h"
#include "node/talk/talk.h"

#include <cbor.h>

// ---- writing ----------------------------------------------------------------------------------------

struct pen {
    uint8_t *p;
    size_t left;
    bool bad;
};

static void pen_advance(struct pen *w, size_t n)
{
    if (n == 0) { // libcbor: no room
        w->bad = true;
        return;
    }
    w->p += n;
    w->left -= n;
}

static void put_uint(struct pen *w, uint64_t v)
{
    pen_advance(w, w->bad ? 0 : cbor_encode_uint(v, w->p, w->left));
}

static void put_map(struct pen *w, size_t pairs)
{
    pen_advance(w, w->bad ? 0 : cbor_encode_map_start(pairs, w->p, w->left));
}

static void put_bool(struct pen *w, bool v)
{
    pen_advance(w, w->bad ? 0 : cbor_encode_bool(v, w->p, w->left));
}

static void put_string(struct pen *w, bool text, const uint8_t *data, size_t len)
{
    size_t head = 0;
    if (!w->bad)
        head = text ? cbor_encode_string_start(len, w->p, w->left)
                    : cbor_encode_bytestring_start(len, w->p, w->left);
    pen_advance(w, head);
    if (w->bad || w->left < len) {
        w->bad = true;
        return;
    }
    if (len > 0)
        memcpy(w->p, data, len);
    w->p += len;
    w->left -= len;
}

size_t talk_message_encode(uint8_t *out, size_t cap, const struct talk_message *m)
{
    if (cap < TALK_FRAME_HEAD_BYTES)
        return 0;
    struct pen w = {out + TALK_FRAME_HEAD_BYTES, cap - TALK_FRAME_HEAD_BYTES, false};
    put_map(&w, m->kind == TALK_KIND_TEXT || m->kind == TALK_KIND_PATH ? 3 : 2);
    put_uint(&w, TALK_KEY_KIND);
    put_uint(&w, m->kind);
    switch (m->kind) {
    case TALK_KIND_TEXT:
        put_uint(&w, TALK_KEY_ID);
        put_uint(&w, m->id);
        put_uint(&w, TALK_KEY_TEXT);
        put_string(&w, true, m->text, m->len);
        break;
    case TALK_KIND_PATH:
        put_uint(&w, TALK_KEY_PATH);
        put_uint(&w, m->path);
        put_uint(&w, TALK_KEY_AT);
        put_string(&w, false, m->text, m->len);
        break;
    case TALK_KIND_DELIVERED:
        put_uint(&w, TALK_KEY_ID);
        put_uint(&w, m->id);
        break;
    case TALK_KIND_TYPING:
        put_uint(&w, TALK_KEY_ON);
        put_bool(&w, m->on);
        break;
    case TALK_KIND_LEAVE:
        put_uint(&w, TALK_KEY_REASON);
        put_uint(&w, m->reason);
        break;
    default:
        assert(false); // a kind that we never send
    }
    size_t map_bytes = cap - TALK_FRAME_HEAD_BYTES - w.left;
    if (w.bad || map_bytes > TALK_MAP_BYTES_MAX)
        return 0;
    struct wr head = wr_init(out, TALK_FRAME_HEAD_BYTES);
    wr_le16(&head, (uint16_t)map_bytes);
    return TALK_FRAME_HEAD_BYTES + map_bytes;
}

// ---- reading ----------------------------------------------------------------------------------------

enum item_type {
    ITEM_NONE,
    ITEM_UINT,
    ITEM_TEXT,
    ITEM_BYTES,
    ITEM_BOOL,
    ITEM_MAP,
    ITEM_ARRAY,
    ITEM_TAG,
    ITEM_OTHER
};

// One item as libcbor's callbacks report it. `value` is what its head carries.
struct item {
    enum item_type type;
    bool headed;         // the head carries `value`, which must be in shortest form
    uint64_t value;      // number, length or count
    const uint8_t *data; // of a string
    size_t content;      // bytes after the head
};

static void on_number(void *ctx, enum item_type type, uint64_t v)
{
    struct item *it = ctx;
    *it = (struct item){.type = type, .headed = true, .value = v};
}

static void on_uint8(void *ctx, uint8_t v)
{
    on_number(ctx, ITEM_UINT, v);
}
static void on_uint16(void *ctx, uint16_t v)
{
    on_number(ctx, ITEM_UINT, v);
}
static void on_uint32(void *ctx, uint32_t v)
{
    on_number(ctx, ITEM_UINT, v);
}
static void on_uint64(void *ctx, uint64_t v)
{
    on_number(ctx, ITEM_UINT, v);
}
static void on_negint8(void *ctx, uint8_t v)
{
    on_number(ctx, ITEM_OTHER, v);
}
static void on_negint16(void *ctx, uint16_t v)
{
    on_number(ctx, ITEM_OTHER, v);
}
static void on_negint32(void *ctx, uint32_t v)
{
    on_number(ctx, ITEM_OTHER, v);
}
static void on_negint64(void *ctx, uint64_t v)
{
    on_number(ctx, ITEM_OTHER, v);
}
static void on_tag(void *ctx, uint64_t v)
{
    on_number(ctx, ITEM_TAG, v);
}
static void on_array(void *ctx, size_t count)
{
    on_number(ctx, ITEM_ARRAY, count);
}
static void on_map(void *ctx, size_t count)
{
    on_number(ctx, ITEM_MAP, count);
}
static void on_text(void *ctx, cbor_data data, size_t len)
{
    struct item *it = ctx;
    *it = (struct item){ITEM_TEXT, true, len, data, len};
}
static void on_bytes(void *ctx, cbor_data data, size_t len)
{
    struct item *it = ctx;
    *it = (struct item){ITEM_BYTES, true, len, data, len};
}
static void on_bool(void *ctx, bool v)
{
    struct item *it = ctx;
    *it = (struct item){.type = ITEM_BOOL, .value = v};
}
static void on_plain(void *ctx)
{
    struct item *it = ctx;
    *it = (struct item){.type = ITEM_OTHER};
}
static void on_float(void *ctx, float v)
{
    (void)v;
    on_plain(ctx);
}
static void on_double(void *ctx, double v)
{
    (void)v;
    on_plain(ctx);
}
// Indefinite lengths and their ends have no place in deterministic encoding.
static void on_indefinite(void *ctx)
{
    struct item *it = ctx;
    *it = (struct item){.type = ITEM_NONE};
}

static const struct cbor_callbacks callbacks = {
    .uint8 = on_uint8,
    .uint16 = on_uint16,
    .uint32 = on_uint32,
    .uint64 = on_uint64,
    .negint8 = on_negint8,
    .negint16 = on_negint16,
    .negint32 = on_negint32,
    .negint64 = on_negint64,
    .byte_string_start = on_indefinite,
    .byte_string = on_bytes,
    .string_start = on_indefinite,
    .string = on_text,
    .indef_array_start = on_indefinite,
    .array_start = on_array,
    .indef_map_start = on_indefinite,
    .map_start = on_map,
    .tag = on_tag,
    .float2 = on_float,
    .float4 = on_float,
    .float8 = on_double,
    .undefined = on_plain,
    .null = on_plain,
    .boolean = on_bool,
    .indef_break = on_indefinite,
};

static size_t head_bytes(uint64_t v)
{
    return v < 24 ? 1 : v <= UINT8_MAX ? 2 : v <= UINT16_MAX ? 3 : v <= UINT32_MAX ? 5 : 9;
}

// The next item; false and r->bad when there is none, or when it is not in deterministic form.
static bool next_item(struct rd *r, struct item *it)
{
    *it = (struct item){.type = ITEM_NONE};
    if (r->bad || r->left == 0) {
        r->bad = true;
        return false;
    }
    struct cbor_decoder_result res = cbor_stream_decode(r->p, r->left, &callbacks, it);
    if (res.status != CBOR_DECODER_FINISHED || it->type == ITEM_NONE ||
        (it->headed && res.read != head_bytes(it->value) + it->content) ||
        ((it->type == ITEM_MAP || it->type == ITEM_ARRAY) && it->value > r->left)) {
        r->bad = true;
        return false;
    }
    (void)rd_bytes(r, res.read);
    return !r->bad;
}

// Passes over one whole value of any shape.
static void skip_value(struct rd *r)
{
    uint64_t left[TALK_DEPTH_MAX + 1] = {1};
    unsigned depth = 0;
    for (;;) {
        while (left[depth] == 0) {
            if (depth == 0)
                return;
            depth--;
        }
        left[depth]--;
        struct item it;
        if (!next_item(r, &it))
            return;
        uint64_t inner = it.type == ITEM_MAP     ? 2 * it.value
                         : it.type == ITEM_ARRAY ? it.value
                         : it.type == ITEM_TAG   ? 1
                                                 : 0;
        if (it.type != ITEM_MAP && it.type != ITEM_ARRAY && it.type != ITEM_TAG)
            continue;
        if (depth == TALK_DEPTH_MAX) {
            r->bad = true;
            return;
        }
        left[++depth] = inner;
    }
}

static uint64_t get_uint(struct rd *r, uint64_t min, uint64_t max)
{
    struct item it;
    if (!next_item(r, &it))
        return 0;
    if (it.type != ITEM_UINT || it.value < min || it.value > max)
        r->bad = true;
    return r->bad ? 0 : it.value;
}

// Which keys a kind has, beside the kind itself; 0 for kinds that we don't know.
static unsigned kind_keys(uint64_t kind)
{
    switch (kind) {
    case TALK_KIND_TEXT:
        return 1u << TALK_KEY_ID | 1u << TALK_KEY_TEXT;
    case TALK_KIND_DELIVERED:
        return 1u << TALK_KEY_ID;
    case TALK_KIND_TYPING:
        return 1u << TALK_KEY_ON;
    case TALK_KIND_LEAVE:
        return 1u << TALK_KEY_REASON;
    case TALK_KIND_PATH:
        return 1u << TALK_KEY_PATH | 1u << TALK_KEY_AT;
    default:
        return 0;
    }
}

static void get_value(struct rd *r, uint64_t key, struct talk_message *m)
{
    struct item it;
    switch (key) {
    case TALK_KEY_ID:
        m->id = (uint32_t)get_uint(r, 1, UINT32_MAX);
        return;
    case TALK_KEY_REASON:
        m->reason = (uint8_t)get_uint(r, 0, UINT8_MAX);
        return;
    case TALK_KEY_PATH:
        m->path = (enum talk_path)get_uint(r, 0, TALK_PATHS - 1);
        return;
    case TALK_KEY_AT:
        if (!next_item(r, &it))
            return;
        m->text = it.data;
        m->len = it.content;
        if (it.type != ITEM_BYTES || m->len > TALK_AT_BYTES_MAX)
            r->bad = true;
        return;
    case TALK_KEY_TEXT:
        if (!next_item(r, &it))
            return;
        m->text = it.data;
        m->len = it.content;
        if (it.type != ITEM_TEXT || talk_text_check(m->text, m->len) != 0)
            r->bad = true;
        return;
    default:
        if (!next_item(r, &it))
            return;
        m->on = it.value != 0;
        if (it.type != ITEM_BOOL)
            r->bad = true;
    }
}

int talk_message_decode(struct talk_message *m, const uint8_t *map, size_t len)
{
    *m = (struct talk_message){0};
    struct rd r = rd_init(map, len);
    struct item head;
    if (!next_item(&r, &head) || head.type != ITEM_MAP || head.value == 0)
        return BAUTA_EFORMAT;
    // Keys ascend, so the kind comes first, and no key comes twice.
    uint64_t key = get_uint(&r, TALK_KEY_KIND, TALK_KEY_KIND);
    uint64_t kind = get_uint(&r, 0, UINT64_MAX);
    unsigned wanted = kind_keys(kind), missing = wanted;
    for (uint64_t i = 1; i < head.value && !r.bad; i++) {
        uint64_t next = get_uint(&r, key + 1, UINT64_MAX);
        if (r.bad)
            break;
        key = next;
        if (key < 32 && (wanted & 1u << key) != 0) {
            missing &= ~(1u << key);
            get_value(&r, key, m);
        } else {
            skip_value(&r);
        }
        if (key == UINT64_MAX && i + 1 < head.value)
            r.bad = true;
    }
    if (r.bad || r.left != 0 || missing != 0)
        return BAUTA_EFORMAT;
    m->kind = wanted != 0 ? (uint32_t)kind : 0;
    return 0;
}
