#include "crypto/packet.h"
#include "crypto/bytes.h"
#include "tests/unit/vectors.h"

#include <stdlib.h>

static const enum packet_aead both[] = {PACKET_CHACHA20POLY1305, PACKET_AEGIS256};

struct end {
    struct packet_keys keys;
    uint8_t cid[CID_BYTES], recv_mask[MASK_KEY_BYTES];
};

static void end_init(struct end *e, enum packet_aead aead, uint8_t seed)
{
    uint8_t k_dir[32];
    memset(k_dir, seed, sizeof k_dir);
    packet_keys_derive(&e->keys, aead, k_dir);
    memset(e->cid, seed + 1, sizeof e->cid);
    memset(e->recv_mask, seed + 2, sizeof e->recv_mask);
}

static int receive(const struct end *e, uint8_t *d, size_t len, unsigned phase, uint64_t *pn,
                   uint8_t **body, size_t *body_len)
{
    uint8_t cid[CID_BYTES];
    if (len < DATAGRAM_BYTES_MIN)
        return BAUTA_EFORMAT;
    packet_cid(cid, d, len, e->recv_mask);
    if (memcmp(cid, e->cid, sizeof cid) != 0)
        return BAUTA_EUNKNOWN;
    return packet_open(d, len, &e->keys, cid, phase, pn, body, body_len);
}

static void vectors(void **state)
{
    (void)state;
    json_t *root = vectors_load("tests/vectors/crypto-packet.json"), *row;
    size_t i;
    json_array_foreach (vectors_array(root, "packet"), i, row) {
        bool aegis = strcmp(vectors_text(row, "aead"), "aegis256") == 0;
        struct end e;
        uint8_t k_dir[32], d[CLASS_FULL + PACKET_TAG_BYTES_MAX], *body = NULL;
        uint64_t pn = strtoull(vectors_text(row, "pn"), NULL, 10), got = 0;
        unsigned phase = (unsigned)vectors_int(row, "phase");
        size_t body_len = 0;
        vectors_exact(row, "k_dir", k_dir, 32);
        vectors_exact(row, "cid", e.cid, CID_BYTES);
        vectors_exact(row, "recv_mask", e.recv_mask, MASK_KEY_BYTES);
        packet_keys_derive(&e.keys, aegis ? PACKET_AEGIS256 : PACKET_CHACHA20POLY1305, k_dir);
        vectors_same(row, "key", e.keys.key, 32);
        vectors_same(row, "iv", e.keys.iv, aegis ? 32 : 12);
        vectors_same(row, "hp", e.keys.hp, MASK_KEY_BYTES);
        size_t n = vectors_bytes(row, "body", d + PACKET_HEADER_BYTES, CLASS_FULL);
        size_t len = packet_seal(d, n, &e.keys, (uint64_t)phase << 62 | pn, e.cid, e.recv_mask);
        assert_int_equal(len, PACKET_HEADER_BYTES + n + packet_tag_bytes(e.keys.aead));
        vectors_same(row, "packet", d, len);
        assert_int_equal(receive(&e, d, len, phase, &got, &body, &body_len), 0);
        assert_true(got == pn);
        assert_int_equal(body_len, n);
        assert_ptr_equal(body, d + PACKET_HEADER_BYTES);
        vectors_same(row, "body", body, n);
    }
    json_decref(root);
}

static void every_bit_counts(void **state)
{
    (void)state;
    for (size_t a = 0; a < 2; a++) {
        struct end e;
        uint8_t good[CLASS_SMALL], d[CLASS_SMALL], *body;
        size_t n, tag = packet_tag_bytes(both[a]), text = sizeof good - PACKET_HEADER_BYTES - tag;
        uint64_t pn;
        end_init(&e, both[a], 40);
        memset(good, 0x77, sizeof good);
        assert_int_equal(packet_seal(good, text, &e.keys, 3, e.cid, e.recv_mask), sizeof good);
        for (size_t bit = 0; bit < sizeof good * 8; bit++) {
            memcpy(d, good, sizeof d);
            d[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_int_not_equal(receive(&e, d, sizeof d, 0, &pn, &body, &n), 0);
            // The cid's mask apart: the AEAD alone refuses it too.
            memcpy(d, good, sizeof d);
            d[bit / 8] ^= (uint8_t)(1u << bit % 8);
            if (bit / 8 >= CID_BYTES)
                assert_int_equal(packet_open(d, sizeof d, &e.keys, e.cid, 0, &pn, &body, &n),
                                 BAUTA_EAUTH);
        }
        for (size_t len = DATAGRAM_BYTES_MIN; len < sizeof good; len++) {
            memcpy(d, good, sizeof d);
            assert_int_equal(packet_open(d, len, &e.keys, e.cid, 0, &pn, &body, &n),
                             len < PACKET_HEADER_BYTES + tag ? BAUTA_EFORMAT : BAUTA_EAUTH);
        }
        memcpy(d, good, sizeof d);
        assert_int_equal(receive(&e, d, sizeof d, 0, &pn, &body, &n), 0);
    }
}

static void other_phases_cids_and_keys_are_refused(void **state)
{
    (void)state;
    for (size_t a = 0; a < 2; a++) {
        struct end e, f;
        uint8_t good[CLASS_TINY], d[CLASS_TINY], *body;
        size_t n, text = sizeof good - PACKET_HEADER_BYTES - packet_tag_bytes(both[a]);
        uint64_t pn;
        end_init(&e, both[a], 50);
        memset(good, 0, sizeof good);
        packet_seal(good, text, &e.keys, UINT64_C(2) << 62 | 9, e.cid, e.recv_mask);
        for (unsigned phase = 0; phase < 4; phase++) {
            memcpy(d, good, sizeof d);
            assert_int_equal(receive(&e, d, sizeof d, phase, &pn, &body, &n),
                             phase == 2 ? 0 : BAUTA_EAUTH);
        }
        assert_true(pn == 9);
        memcpy(d, good, sizeof d);
        f = e;
        f.recv_mask[0] ^= 1; // another socket of the receiver
        assert_int_equal(receive(&f, d, sizeof d, 2, &pn, &body, &n), BAUTA_EUNKNOWN);
        f.cid[0] ^= 1; // another channel: the cid is authenticated
        assert_int_equal(packet_open(d, sizeof d, &e.keys, f.cid, 2, &pn, &body, &n), BAUTA_EAUTH);
        uint8_t k_dir[32];
        memset(k_dir, 51, sizeof k_dir);
        packet_keys_derive(&f.keys, both[a], k_dir);
        memcpy(f.keys.hp, e.keys.hp, sizeof f.keys.hp);
        memcpy(d, good, sizeof d);
        assert_int_equal(packet_open(d, sizeof d, &f.keys, e.cid, 2, &pn, &body, &n), BAUTA_EAUTH);
    }
}

// packet_cid only reads; the same text under another number is another packet.
static void numbers_and_masks(void **state)
{
    (void)state;
    for (size_t a = 0; a < 2; a++) {
        struct end e;
        uint8_t one[CLASS_SMALL] = {0}, two[CLASS_SMALL] = {0}, before[CLASS_SMALL], cid[CID_BYTES];
        size_t text = sizeof one - PACKET_HEADER_BYTES - packet_tag_bytes(both[a]);
        end_init(&e, both[a], 60);
        packet_seal(one, text, &e.keys, 1, e.cid, e.recv_mask);
        packet_seal(two, text, &e.keys, 2, e.cid, e.recv_mask);
        size_t same = 0;
        for (size_t i = 0; i < sizeof one; i++)
            same += one[i] == two[i];
        assert_true(same < 16); // 0.75 expected, and the inputs are fixed
        memcpy(before, one, sizeof one);
        packet_cid(cid, one, sizeof one, e.recv_mask);
        assert_memory_equal(cid, e.cid, sizeof cid);
        assert_memory_equal(one, before, sizeof one);
    }
    assert_int_equal(packet_tag_bytes(PACKET_CHACHA20POLY1305), 16);
    assert_int_equal(packet_tag_bytes(PACKET_AEGIS256), 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors),
        cmocka_unit_test(every_bit_counts),
        cmocka_unit_test(other_phases_cids_and_keys_are_refused),
        cmocka_unit_test(numbers_and_masks),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
