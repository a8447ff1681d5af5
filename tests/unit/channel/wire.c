// Frames and packets against tests/vectors/channel-wire.json, and cursors against damage.
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>
#include <sodium.h>

#include "node/channel/keys.h"
#include "node/channel/wire.h"

static size_t unhex(const json_t *o, const char *name, uint8_t *out, size_t cap)
{
    const char *text = json_string_value(json_object_get(o, name));
    size_t len = 0;
    assert_non_null(text);
    assert_int_equal(sodium_hex2bin(out, cap, text, strlen(text), NULL, &len, NULL), 0);
    assert_int_equal(strlen(text), 2 * len);
    return len;
}

static uint64_t number(const json_t *o, const char *name)
{
    const json_t *v = json_object_get(o, name);
    assert_true(json_is_integer(v));
    return (uint64_t)json_integer_value(v);
}

static json_t *load(void)
{
    assert_true(sodium_init() >= 0);
    json_error_t error;
    json_t *root = json_load_file("tests/vectors/channel-wire.json", 0, &error);
    if (root == NULL)
        fail_msg("%s", error.text);
    return root;
}

static void check_ack(const json_t *o, const struct chan_ack *ack)
{
    const json_t *ranges = json_object_get(o, "ranges");
    assert_int_equal(ack->delay_us, number(o, "delay_us"));
    assert_int_equal(ack->count, json_array_size(ranges));
    assert_int_equal(ack->has_ecn, number(o, "type") == CHAN_ACK_ECN);
    for (size_t i = 0; i < ack->count; i++) {
        const json_t *r = json_array_get(ranges, i);
        assert_int_equal(ack->range[i].lo, json_integer_value(json_array_get(r, 0)));
        assert_int_equal(ack->range[i].hi - 1, json_integer_value(json_array_get(r, 1)));
    }
}

static void encode(const struct chan_frame *f, const struct chan_ack *ack, struct wr *w)
{
    uint8_t *p;
    switch (f->type) {
    case CHAN_PADDING:
        wr_zero(w, 4);
        break;
    case CHAN_PING:
        wr_u8(w, CHAN_PING);
        break;
    case CHAN_ACK:
        chan_wire_ack(w, ack->range, ack->count, ack->delay_us);
        break;
    case CHAN_ACK_ECN:
        chan_wire_ack_ecn(w, ack->range, ack->count, ack->delay_us, ack->ect, ack->ce);
        break;
    case CHAN_STREAM:
        p = chan_wire_stream(w, f->stream, f->offset, f->len);
        assert_non_null(p);
        memcpy(p, f->data, f->len);
        break;
    case CHAN_MAX_DATA:
        chan_wire_max_data(w, f->stream, f->offset);
        break;
    case CHAN_DATAGRAM:
        chan_wire_datagram(w, f->data, f->len);
        break;
    case CHAN_PATH_CHALLENGE:
    case CHAN_PATH_RESPONSE:
        chan_wire_path(w, f->type, f->data);
        break;
    case CHAN_RATCHET:
        chan_wire_ratchet(w, f->step, f->kind, (uint16_t)f->offset, f->data, (uint16_t)f->len);
        break;
    case CHAN_CLOSE:
        chan_wire_close(w, (enum chan_close_kind)f->kind, f->code);
        break;
    case CHAN_NEW_CID:
        chan_wire_new_cid(w, f->step, f->data);
        break;
    case CHAN_MEETING_POINT:
        chan_wire_meeting(w, (uint16_t)f->offset, f->data, f->len);
        break;
    case CHAN_REUNION:
        chan_wire_reunion(w, f->data, f->len);
        break;
    }
}

static void check_fields(const json_t *o, const struct chan_frame *f, const struct chan_ack *ack)
{
    uint8_t data[64];
    assert_int_equal(f->type, number(o, "type"));
    if (json_object_get(o, "data") != NULL) {
        assert_int_equal(unhex(o, "data", data, sizeof data), f->len);
        assert_memory_equal(f->data, data, f->len);
    }
    if (json_object_get(o, "stream") != NULL)
        assert_int_equal(f->stream, number(o, "stream"));
    if (json_object_get(o, "offset") != NULL)
        assert_int_equal(f->offset, number(o, "offset"));
    if (f->type == CHAN_MEETING_POINT)
        assert_int_equal(f->offset, number(o, "version"));
    if (json_object_get(o, "limit") != NULL)
        assert_int_equal(f->offset, number(o, "limit"));
    if (f->type == CHAN_ACK || f->type == CHAN_ACK_ECN)
        check_ack(o, ack);
    if (f->type == CHAN_ACK_ECN) {
        assert_int_equal(ack->ect, number(o, "ect"));
        assert_int_equal(ack->ce, number(o, "ce"));
    }
    if (f->type == CHAN_RATCHET || f->type == CHAN_NEW_CID)
        assert_int_equal(f->step, number(o, "step"));
    if (f->type == CHAN_RATCHET) {
        assert_int_equal(f->kind, number(o, "message"));
    }
    if (f->type == CHAN_CLOSE) {
        assert_int_equal(f->kind, number(o, "kind"));
        assert_int_equal(f->code, number(o, "code"));
    }
}

static void frames_match_the_vectors(void **state)
{
    (void)state;
    json_t *root = load();
    const json_t *frames = json_object_get(root, "frames");
    assert_int_equal(json_array_size(frames), 16);
    for (size_t i = 0; i < json_array_size(frames); i++) {
        const json_t *o = json_array_get(frames, i);
        uint8_t bytes[64], again[64];
        size_t len = unhex(o, "frame", bytes, sizeof bytes);
        struct rd r = rd_init(bytes, len);
        struct chan_frame f;
        struct chan_ack ack;
        assert_int_equal(chan_wire_get(&r, &f, &ack), 0);
        assert_int_equal(r.left, 0);
        check_fields(o, &f, &ack);
        struct wr w = wr_init(again, sizeof again);
        encode(&f, &ack, &w);
        assert_false(w.bad);
        assert_int_equal(wr_len(&w), len);
        assert_memory_equal(again, bytes, len);
        // Each truncation is refused, but for padding, which is as long as it is.
        for (size_t cut = 0; cut < len && f.type != CHAN_PADDING; cut++) {
            r = rd_init(bytes, cut);
            assert_int_equal(chan_wire_get(&r, &f, &ack), BAUTA_EFORMAT);
            r = rd_init(bytes, len);
            assert_int_equal(chan_wire_get(&r, &f, &ack), 0);
        }
        // Each too short buffer too.
        r = rd_init(bytes, len);
        assert_int_equal(chan_wire_get(&r, &f, &ack), 0);
        for (size_t cap = 0; cap < len && f.type != CHAN_STREAM; cap++) {
            w = wr_init(again, cap);
            encode(&f, &ack, &w);
            assert_true(w.bad);
        }
    }
    json_decref(root);
}

static void packets_match_the_vectors(void **state)
{
    (void)state;
    json_t *root = load();
    const json_t *packets = json_object_get(root, "packets");
    assert_int_equal(json_array_size(packets), 2);
    for (size_t i = 0; i < json_array_size(packets); i++) {
        const json_t *o = json_array_get(packets, i);
        uint8_t k_dir[32], cid[CID_BYTES], seen_cid[CID_BYTES], mask[MASK_KEY_BYTES];
        uint8_t body[CLASS_TINY], packet[CLASS_TINY], made[CLASS_TINY];
        unhex(o, "k_dir", k_dir, sizeof k_dir);
        unhex(o, "cid", cid, sizeof cid);
        unhex(o, "recv_mask", mask, sizeof mask);
        size_t body_len = unhex(o, "body", body, sizeof body);
        size_t len = unhex(o, "packet", packet, sizeof packet);
        assert_int_equal(len, CLASS_TINY);
        enum packet_aead aead = (enum packet_aead)number(o, "aead");
        struct packet_keys keys;
        packet_keys_derive(&keys, aead, k_dir);
        memcpy(made + PACKET_HEADER_BYTES, body, body_len);
        uint64_t pn = number(o, "pn") | number(o, "phase") << CHAN_PN_BITS;
        assert_int_equal(packet_seal(made, body_len, &keys, pn, cid, mask), len);
        assert_memory_equal(made, packet, len);
        packet_cid(seen_cid, packet, len, mask);
        assert_memory_equal(seen_cid, cid, sizeof cid);
        uint64_t got_pn;
        uint8_t *got;
        size_t got_len;
        assert_int_equal(packet_open(packet, len, &keys, cid, (unsigned)number(o, "phase"), &got_pn,
                                     &got, &got_len),
                         0);
        assert_int_equal(got_pn & PACKET_PN_MAX, number(o, "pn"));
        assert_int_equal(got_len, body_len);
        assert_memory_equal(got, body, body_len);
    }
    json_decref(root);
}

static void bounds_of_an_ack(void **state)
{
    (void)state;
    struct chan_range r[CHAN_ACK_RANGES];
    for (unsigned i = 0; i < CHAN_ACK_RANGES; i++)
        r[i] = (struct chan_range){2 * (CHAN_ACK_RANGES - i), 2 * (CHAN_ACK_RANGES - i) + 1};
    uint8_t buf[600];
    struct chan_frame f;
    struct chan_ack ack;
    for (unsigned count = 1; count <= CHAN_ACK_RANGES; count++) {
        struct wr w = wr_init(buf, sizeof buf);
        chan_wire_ack(&w, r, count, UINT64_MAX);
        assert_int_equal(wr_len(&w), CHAN_ACK_BYTES(count));
        struct rd rd = rd_init(buf, wr_len(&w));
        assert_int_equal(chan_wire_get(&rd, &f, &ack), 0);
        assert_int_equal(ack.count, count);
        assert_int_equal(ack.delay_us, UINT32_MAX);
        assert_memory_equal(ack.range, r, count * sizeof *r);
    }
    // One range more than the limit, however many bytes follow.
    buf[13] = CHAN_ACK_RANGES;
    struct rd rd = rd_init(buf, sizeof buf);
    assert_int_equal(chan_wire_get(&rd, &f, &ack), BAUTA_EFORMAT);
    // A gap or a range that reaches below zero; none at all.
    static const uint16_t bad[][3] = {{0, 1, 1}, {0, 4, 1}, {0, 3, 2},
                                      {0, 0, 1}, {0, 1, 0}, {4, 1, 1}};
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct wr w = wr_init(buf, sizeof buf);
        wr_u8(&w, CHAN_ACK);
        wr_le64(&w, 3);
        wr_le32(&w, 0);
        wr_u8(&w, 1);
        for (unsigned k = 0; k < 3; k++)
            wr_le16(&w, bad[i][k]);
        rd = rd_init(buf, wr_len(&w));
        assert_int_equal(chan_wire_get(&rd, &f, &ack), i == 0 ? 0 : BAUTA_EFORMAT);
    }
    struct wr w = wr_init(buf, sizeof buf); // a packet number of 63 bits
    wr_u8(&w, CHAN_ACK);
    wr_le64(&w, PACKET_PN_MAX + 1);
    wr_zero(&w, 7);
    rd = rd_init(buf, wr_len(&w));
    assert_int_equal(chan_wire_get(&rd, &f, &ack), BAUTA_EFORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_match_the_vectors),
        cmocka_unit_test(packets_match_the_vectors),
        cmocka_unit_test(bounds_of_an_ack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
