// Layouts against tests/vectors/meet-wire.json; round trips; every truncation, every damaged byte.
#include "tests/unit/vectors.h"

#include "node/meet/pairing.h"
#include "node/meet/wire.h"

static json_t *root_of(void)
{
    return vectors_load("tests/vectors/meet-wire.json");
}

static struct card card_of(json_t *row)
{
    struct card c = {.purposes = (uint16_t)vectors_int(row, "purposes"),
                     .formats = (uint8_t)vectors_int(row, "formats"),
                     .avoid = (uint16_t)vectors_int(row, "avoid")};
    json_t *languages = json_object_get(row, "languages");
    for (size_t i = 0; i < json_array_size(languages); i++)
        assert_int_equal(card_add_language(&c, json_string_value(json_array_get(languages, i))), 0);
    return c;
}

static struct path path_of(json_t *row)
{
    uint8_t ip[16];
    uint16_t port = (uint16_t)vectors_int(row, "port");
    size_t n = vectors_bytes(row, "ip", ip, sizeof ip);
    assert_true(n == 4 || n == 16);
    return n == 4 ? path_v4(ip, port) : path_v6(ip, port);
}

static struct wire_reach reach_of(json_t *row)
{
    struct wire_reach r = {.observed = json_is_true(json_object_get(row, "observed"))};
    json_t *candidates = json_object_get(row, "candidates");
    vectors_exact(row, "cid", r.cid, sizeof r.cid);
    vectors_exact(row, "recv_mask", r.recv_mask, sizeof r.recv_mask);
    for (size_t i = 0; i < json_array_size(candidates); i++)
        r.candidate[r.candidates++] = path_of(json_array_get(candidates, i));
    return r;
}

static struct wire_record record_of(json_t *row)
{
    struct wire_record rec = {.expiry_s = (uint64_t)vectors_int(row, "expiry_s"),
                              .effort = (uint32_t)vectors_int(row, "effort"),
                              .card = card_of(row)};
    json_t *introducers = vectors_array(row, "introducers");
    vectors_exact(row, "pseudonym", rec.pseudonym, 32);
    vectors_exact(row, "seed", rec.seed, 16);
    vectors_exact(row, "random", rec.random, 16);
    for (size_t i = 0; i < json_array_size(introducers); i++) {
        json_t *one = json_array_get(introducers, i);
        struct wire_introducer *x = &rec.introducer[rec.introducers++];
        vectors_exact(one, "pk", x->contact.pk, 32);
        vectors_exact(one, "puzzle_nonce", x->contact.puzzle_nonce, PUZZLE_NONCE_BYTES);
        vectors_exact(one, "handle", x->handle, DHT_HANDLE_BYTES);
        x->contact.path = path_of(one);
    }
    return rec;
}

static void records_match(void **state)
{
    (void)state;
    json_t *root = root_of(), *rows = vectors_array(root, "records");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        json_t *row = json_array_get(rows, i);
        struct wire_record rec = record_of(row), back;
        uint8_t plain[RECORD_PLAIN_BYTES], hash[32];
        wire_put_record(plain, &rec);
        vectors_same(row, "plaintext", plain, sizeof plain);
        hash_pieces(hash, 32, NULL, 0, &(struct piece){plain, sizeof plain}, 1);
        vectors_same(row, "hash", hash, 32);
        assert_int_equal(wire_get_record(&back, plain), 0);
        memset(plain, 0xff, sizeof plain);
        wire_put_record(plain, &back);
        vectors_same(row, "plaintext", plain, sizeof plain);
    }
    json_decref(root);
}

static void envelopes_match(void **state)
{
    (void)state;
    json_t *root = root_of(), *rows = vectors_array(root, "envelopes");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        json_t *row = json_array_get(rows, i);
        uint8_t msg1[WIRE_MSG1_BYTES], blob[WIRE_OFFER_BYTES + 1] = {0};
        struct wire_envelope e = {.effort = (uint32_t)vectors_int(row, "effort"), .msg1 = msg1},
                             back;
        vectors_exact(row, "rec_id", e.rec_id, sizeof e.rec_id);
        vectors_exact(row, "nonce", e.nonce, sizeof e.nonce);
        vectors_exact(row, "sol", e.sol, sizeof e.sol);
        vectors_exact(row, "msg1", msg1, sizeof msg1);
        wire_put_envelope(blob, &e);
        vectors_same(row, "blob", blob, WIRE_OFFER_BYTES);
        assert_int_equal(wire_get_envelope(&back, blob, WIRE_OFFER_BYTES), 0);
        assert_memory_equal(back.rec_id, e.rec_id, sizeof e.rec_id);
        assert_memory_equal(back.msg1, msg1, sizeof msg1);
        assert_int_equal(back.effort, e.effort);
        for (size_t len = 0; len < WIRE_OFFER_BYTES; len++)
            assert_int_equal(wire_get_envelope(&back, blob, len), BAUTA_EFORMAT);
        assert_int_equal(wire_get_envelope(&back, blob, sizeof blob), BAUTA_EFORMAT);
    }
    json_decref(root);
}

static void msg1_matches(void **state)
{
    (void)state;
    json_t *root = root_of(), *rows = vectors_array(root, "msg1");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        json_t *row = json_array_get(rows, i);
        struct wire_msg1 m = {.generation = (uint32_t)vectors_int(row, "generation"),
                              .capabilities = (uint8_t)vectors_int(row, "capabilities"),
                              .card = card_of(row)},
                         back;
        uint8_t payload[WIRE_MSG1_PAYLOAD_BYTES + 1] = {0};
        wire_put_msg1(payload, &m);
        vectors_same(row, "payload", payload, WIRE_MSG1_PAYLOAD_BYTES);
        assert_int_equal(wire_get_msg1(&back, payload, WIRE_MSG1_PAYLOAD_BYTES), 0);
        wire_put_msg1(payload, &back);
        vectors_same(row, "payload", payload, WIRE_MSG1_PAYLOAD_BYTES);
        for (size_t len = 0; len < WIRE_MSG1_PAYLOAD_BYTES; len++)
            assert_int_equal(wire_get_msg1(&back, payload, len), BAUTA_EFORMAT);
        assert_int_equal(wire_get_msg1(&back, payload, sizeof payload), BAUTA_EFORMAT);
        payload[WIRE_MSG1_PAYLOAD_BYTES - 1] = 1; // unused bytes are zero
        assert_int_equal(wire_get_msg1(&back, payload, WIRE_MSG1_PAYLOAD_BYTES), BAUTA_EFORMAT);
    }
    json_decref(root);
}

static void msg2_matches(void **state)
{
    (void)state;
    json_t *root = root_of(), *rows = vectors_array(root, "msg2");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        json_t *row = json_array_get(rows, i);
        struct wire_msg2 m = {.verdict = (enum wire_verdict)vectors_int(row, "verdict"),
                              .aead = (enum packet_aead)vectors_int(row, "aead"),
                              .generation = (uint32_t)vectors_int(row, "generation")},
                         back;
        uint8_t payload[WIRE_MSG2_PAYLOAD_BYTES + 1] = {0};
        if (m.verdict == WIRE_ACCEPT)
            m.reach = reach_of(row);
        wire_put_msg2(payload, &m);
        vectors_same(row, "payload", payload, WIRE_MSG2_PAYLOAD_BYTES);
        assert_int_equal(wire_get_msg2(&back, payload, WIRE_MSG2_PAYLOAD_BYTES), 0);
        wire_put_msg2(payload, &back);
        vectors_same(row, "payload", payload, WIRE_MSG2_PAYLOAD_BYTES);
        for (size_t len = 0; len < WIRE_MSG2_PAYLOAD_BYTES; len++)
            assert_int_equal(wire_get_msg2(&back, payload, len), BAUTA_EFORMAT);
        assert_int_equal(wire_get_msg2(&back, payload, sizeof payload), BAUTA_EFORMAT);
    }
    json_decref(root);
}

static void confirms_match(void **state)
{
    (void)state;
    json_t *root = root_of(), *rows = vectors_array(root, "confirm");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        json_t *row = json_array_get(rows, i);
        struct wire_confirm c = {.generation = (uint32_t)vectors_int(row, "generation"),
                                 .reach = reach_of(row)},
                            back;
        uint8_t payload[WIRE_CONFIRM_PAYLOAD_BYTES + 1] = {0};
        wire_put_confirm(payload, &c);
        vectors_same(row, "payload", payload, WIRE_CONFIRM_PAYLOAD_BYTES);
        assert_int_equal(wire_get_confirm(&back, payload, WIRE_CONFIRM_PAYLOAD_BYTES), 0);
        wire_put_confirm(payload, &back);
        vectors_same(row, "payload", payload, WIRE_CONFIRM_PAYLOAD_BYTES);
        for (size_t len = 0; len < WIRE_CONFIRM_PAYLOAD_BYTES; len++)
            assert_int_equal(wire_get_confirm(&back, payload, len), BAUTA_EFORMAT);
        assert_int_equal(wire_get_confirm(&back, payload, sizeof payload), BAUTA_EFORMAT);
    }
    json_decref(root);
}

static void tags_and_weights_match(void **state)
{
    (void)state;
    json_t *root = root_of(), *rows = vectors_array(root, "retract");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        json_t *row = json_array_get(rows, i);
        uint8_t ck[64], tag[WIRE_RETRACT_TAG_BYTES];
        vectors_exact(row, "ck", ck, sizeof ck);
        wire_retract_tag(tag, ck, (uint32_t)vectors_int(row, "generation"));
        vectors_same(row, "tag", tag, sizeof tag);
    }
    rows = vectors_array(root, "weight");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        json_t *row = json_array_get(rows, i);
        uint8_t a[32], b[32], psk[32], le[8];
        vectors_exact(row, "a", a, 32);
        vectors_exact(row, "b", b, 32);
        vectors_exact(row, "psk", psk, 32);
        uint64_t weight = pairing_weight(a, b, psk);
        for (unsigned k = 0; k < 8; k++)
            le[k] = (uint8_t)(weight >> (8 * k));
        vectors_same(row, "weight_le", le, sizeof le);
    }
    json_decref(root);
}

// Whatever a damaged layout decodes to is written the same way again: one spelling for one content.
static void damage_never_confuses(void **state)
{
    (void)state;
    json_t *root = root_of();
    json_t *row = json_array_get(vectors_array(root, "records"), 1);
    uint8_t plain[RECORD_PLAIN_BYTES], again[RECORD_PLAIN_BYTES];
    unsigned refused = 0;
    vectors_exact(row, "plaintext", plain, sizeof plain);
    for (size_t i = 0; i < sizeof plain; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            struct wire_record rec;
            plain[i] ^= (uint8_t)(1u << bit);
            if (wire_get_record(&rec, plain) == 0) {
                wire_put_record(again, &rec);
                assert_memory_equal(again, plain, sizeof plain);
            } else {
                refused++;
            }
            plain[i] ^= (uint8_t)(1u << bit);
        }
    assert_true(refused > 8 * 60); // all of the padding at least
    uint8_t msg2[WIRE_MSG2_PAYLOAD_BYTES], back[WIRE_MSG2_PAYLOAD_BYTES];
    vectors_exact(json_array_get(vectors_array(root, "msg2"), 0), "payload", msg2, sizeof msg2);
    for (size_t i = 0; i < sizeof msg2; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            struct wire_msg2 m;
            msg2[i] ^= (uint8_t)(1u << bit);
            if (wire_get_msg2(&m, msg2, sizeof msg2) == 0) {
                wire_put_msg2(back, &m);
                assert_memory_equal(back, msg2, sizeof msg2);
            }
            msg2[i] ^= (uint8_t)(1u << bit);
        }
    json_decref(root);
}

static void candidates_that_do_not_fit_are_left_out(void **state)
{
    (void)state;
    struct wire_msg2 m = {.verdict = WIRE_ACCEPT, .generation = 1}, back;
    uint8_t payload[WIRE_MSG2_PAYLOAD_BYTES];
    m.reach.candidates = CHANNEL_CANDIDATES_MAX;
    for (unsigned i = 0; i < CHANNEL_CANDIDATES_MAX; i++) {
        const uint8_t ip[16] = {0x20, 1, 4, 0x70, (uint8_t)i};
        m.reach.candidate[i] = path_v6(ip, 5000);
    }
    wire_put_msg2(payload, &m);
    assert_int_equal(wire_get_msg2(&back, payload, sizeof payload), 0);
    assert_int_equal(back.reach.candidates, 5);
    assert_memory_equal(back.reach.candidate, m.reach.candidate, 5 * sizeof(struct path));
}

static void hand_made_nonsense_is_refused(void **state)
{
    (void)state;
    struct wire_msg2 m;
    struct wire_confirm c;
    struct wire_record rec;
    uint8_t bytes[RECORD_PLAIN_BYTES] = {0};
    assert_int_equal(wire_get_msg2(&m, bytes, WIRE_MSG2_PAYLOAD_BYTES), BAUTA_EFORMAT); // verdict 0
    bytes[0] = WIRE_NO_FOR_GOOD;
    assert_int_equal(wire_get_msg2(&m, bytes, WIRE_MSG2_PAYLOAD_BYTES), 0);
    bytes[1] = 1; // a no has no AEAD
    assert_int_equal(wire_get_msg2(&m, bytes, WIRE_MSG2_PAYLOAD_BYTES), BAUTA_EFORMAT);
    memset(bytes, 0, sizeof bytes);
    assert_int_equal(wire_get_confirm(&c, bytes, WIRE_CONFIRM_PAYLOAD_BYTES), 0); // no candidates
    bytes[4 + CID_BYTES + MASK_KEY_BYTES] = 1; // the first of none was seen
    assert_int_equal(wire_get_confirm(&c, bytes, WIRE_CONFIRM_PAYLOAD_BYTES), BAUTA_EFORMAT);
    bytes[4 + CID_BYTES + MASK_KEY_BYTES] = 0;
    bytes[5 + CID_BYTES + MASK_KEY_BYTES] = 7; // seven candidates
    assert_int_equal(wire_get_confirm(&c, bytes, WIRE_CONFIRM_PAYLOAD_BYTES), BAUTA_EFORMAT);
    memset(bytes, 0, sizeof bytes);
    assert_int_equal(wire_get_record(&rec, bytes), BAUTA_EFORMAT); // no introducer
    bytes[WIRE_RECORD_FIXED_BYTES - 1] = 4;
    assert_int_equal(wire_get_record(&rec, bytes), BAUTA_EFORMAT);
}

// Each kind of translation has one spelling, a step only where there is one.
static void reach_tells_the_nat(void **state)
{
    (void)state;
    enum { FLAGS = 4 + CID_BYTES + MASK_KEY_BYTES };
    uint8_t bytes[WIRE_CONFIRM_PAYLOAD_BYTES], again[WIRE_CONFIRM_PAYLOAD_BYTES];
    struct wire_confirm c = {.generation = 7}, back;
    unsigned good = 0;
    for (unsigned nat = 0; nat < CHANNEL_NATS; nat++)
        for (int step = WIRE_REACH_STEP_MIN; step <= WIRE_REACH_STEP_MAX; step++) {
            if ((step != 0) != (nat == CHANNEL_NAT_STEP))
                continue;
            c.reach.nat = (enum channel_nat)nat;
            c.reach.step = (int8_t)step;
            wire_put_confirm(bytes, &c);
            assert_int_equal(wire_get_confirm(&back, bytes, sizeof bytes), 0);
            assert_int_equal(back.reach.nat, nat);
            assert_int_equal(back.reach.step, step);
            good++;
        }
    for (unsigned flags = 0; flags < 256; flags++) { // bit 0 without a candidate: never
        bytes[FLAGS] = (uint8_t)flags;
        if (wire_get_confirm(&back, bytes, sizeof bytes) != 0)
            continue;
        wire_put_confirm(again, &back);
        assert_memory_equal(again, bytes, sizeof bytes);
        good--;
    }
    assert_int_equal(good, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_match),
        cmocka_unit_test(envelopes_match),
        cmocka_unit_test(msg1_matches),
        cmocka_unit_test(msg2_matches),
        cmocka_unit_test(confirms_match),
        cmocka_unit_test(reach_tells_the_nat),
        cmocka_unit_test(tags_and_weights_match),
        cmocka_unit_test(damage_never_confuses),
        cmocka_unit_test(candidates_that_do_not_fit_are_left_out),
        cmocka_unit_test(hand_made_nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
