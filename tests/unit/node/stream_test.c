// Datagrams over TCP: whatever way the bytes come in pieces, the same datagrams come out; what can't be ends it.
#include "node/stream.h"

#include "crypto/bytes.h"
#include "tests/unit/vectors.h"

#include <stdlib.h>

static const uint8_t key[32] = "a server's mask key.............";
static const uint8_t nonce[STREAM_NONCE_BYTES] = "chosen at random........";
static const size_t lengths[] = {STREAM_DATAGRAM_BYTES_MIN, 64,   192,
                                 STREAM_DATAGRAM_BYTES_MAX, 1232, 33};
#define LENGTHS (sizeof lengths / sizeof *lengths)
#define FRAMES 100u
static uint8_t wire[STREAM_NONCE_BYTES + FRAMES * STREAM_FRAME_BYTES_MAX];

static size_t datagram(uint8_t *out, unsigned i)
{
    for (size_t k = 0; k < lengths[i % LENGTHS]; k++)
        out[k] = (uint8_t)(i * 31u + k);
    return lengths[i % LENGTHS];
}

// What a client sends: nonce and frames. Returns the bytes.
static size_t write_wire(struct stream *client)
{
    uint8_t d[STREAM_DATAGRAM_BYTES_MAX];
    size_t at = STREAM_NONCE_BYTES;
    stream_open(client, key, nonce);
    memcpy(wire, nonce, sizeof nonce);
    for (unsigned i = 0; i < FRAMES; i++) {
        size_t len = datagram(d, i), put = stream_put(client, wire + at, sizeof wire - at, d, len);
        assert_int_equal(put, STREAM_HEAD_BYTES + len);
        at += put;
    }
    return at;
}

static void read_in_pieces(size_t step)
{
    struct stream client, server;
    size_t len = write_wire(&client);
    unsigned got = 0;
    stream_accept(&server, key);
    for (size_t at = 0; at < len;) {
        uint8_t want[STREAM_DATAGRAM_BYTES_MAX], *d = NULL;
        size_t used, piece = len - at < step ? len - at : step;
        int rc = stream_take(&server, wire + at, piece, &used, &d);
        assert_true(rc >= 0 && used <= piece && (rc > 0 || used == piece));
        at += used;
        if (rc == 0)
            continue;
        assert_int_equal(rc, datagram(want, got++));
        assert_memory_equal(d, want, (size_t)rc);
    }
    assert_int_equal(got, FRAMES);
}

static void however_it_comes_in_pieces(void **state)
{
    (void)state;
    for (size_t step = 1; step < 1600; step += step < 40 ? 1 : 97)
        read_in_pieces(step);
    read_in_pieces(sizeof wire);
}

static void the_server_answers_when_it_knows_the_nonce(void **state)
{
    (void)state;
    struct stream client, server;
    uint8_t d[64] = {7}, out[STREAM_FRAME_BYTES_MAX], *got;
    size_t used;
    (void)write_wire(&client);
    stream_accept(&server, key);
    assert_int_equal(stream_put(&server, out, sizeof out, d, sizeof d), 0);
    assert_int_equal(stream_take(&server, wire, STREAM_NONCE_BYTES, &used, &got), 0);
    assert_int_equal(stream_put(&server, out, sizeof out, d, sizeof d), 66);
    assert_int_equal(stream_take(&client, out, 66, &used, &got), 64);
    assert_memory_equal(got, d, sizeof d);
}

static void what_does_not_fit_is_not_written(void **state)
{
    (void)state;
    struct stream client;
    uint8_t d[STREAM_DATAGRAM_BYTES_MAX + 1] = {7}, out[STREAM_FRAME_BYTES_MAX + 1];
    stream_open(&client, key, nonce);
    struct stream before = client;
    assert_int_equal(stream_put(&client, out, sizeof out, d, STREAM_DATAGRAM_BYTES_MIN - 1), 0);
    assert_int_equal(stream_put(&client, out, sizeof out, d, STREAM_DATAGRAM_BYTES_MAX + 1), 0);
    assert_int_equal(stream_put(&client, out, 65, d, 64), 0);
    assert_memory_equal(&before, &client, sizeof client); // and takes no part of the mask
    assert_int_equal(stream_put(&client, out, 66, d, 64), 66);
}

// The first length that can't be ends it; 0 to 31 and from 1,473 on can't.
static void a_wrong_length_is_told(void **state)
{
    (void)state;
    for (uint32_t len = 0; len <= UINT16_MAX; len++) {
        struct stream client, server;
        uint8_t d[64] = {0}, head[66], *got;
        size_t used;
        stream_open(&client, key, nonce);
        assert_int_equal(stream_put(&client, head, sizeof head, d, 64), 66);
        head[0] ^= (uint8_t)(64 ^ len); // the mask stays
        head[1] ^= (uint8_t)(len >> 8);
        stream_accept(&server, key);
        uint8_t copy[STREAM_NONCE_BYTES];
        memcpy(copy, nonce, sizeof copy);
        assert_int_equal(stream_take(&server, copy, sizeof copy, &used, &got), 0);
        int rc = stream_take(&server, head, 2, &used, &got);
        assert_int_equal(rc, len < 32 || len > 1472 ? BAUTA_EFORMAT : 0);
    }
}

// Same datagrams, another nonce or the other direction: no byte of the heads is worth anything.
static void no_two_connections_share_a_mask(void **state)
{
    (void)state;
    struct stream a, b;
    uint8_t d[64] = {0}, other[STREAM_NONCE_BYTES], x[66], y[66];
    unsigned same = 0, both = 0;
    memcpy(other, nonce, sizeof other);
    other[23] ^= 1;
    stream_open(&a, key, nonce);
    stream_open(&b, key, other);
    assert_memory_not_equal(a.in.key, a.out.key, 32);
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(stream_put(&a, x, sizeof x, d, 64), 66);
        assert_int_equal(stream_put(&b, y, sizeof y, d, 64), 66);
        same += memcmp(x, y, 2) == 0;
        both += x[0] == 64 && x[1] == 0;
    }
    assert_true(same < 5 && both < 5); // 1,000 chances of 1 in 65,536 each
}

static void heads_are_those_of_the_vectors(void **state)
{
    (void)state;
    json_t *root = vectors_load("tests/vectors/node-stream.json"), *row;
    size_t i, k;
    json_array_foreach (vectors_array(root, "stream"), i, row) {
        struct stream client, server;
        uint8_t k32[32], n24[STREAM_NONCE_BYTES], d[STREAM_DATAGRAM_BYTES_MAX] = {0}, *got;
        uint8_t out[STREAM_FRAME_BYTES_MAX];
        size_t used;
        json_t *frame;
        vectors_exact(row, "key", k32, sizeof k32);
        vectors_exact(row, "nonce", n24, sizeof n24);
        stream_open(&client, k32, n24);
        stream_accept(&server, k32);
        assert_int_equal(stream_take(&server, n24, sizeof n24, &used, &got), 0);
        json_array_foreach (vectors_array(row, "to_server"), k, frame) {
            size_t len = (size_t)vectors_int(frame, "len");
            assert_int_equal(stream_put(&client, out, sizeof out, d, len), len + 2);
            vectors_same(frame, "head", out, STREAM_HEAD_BYTES);
            assert_int_equal(stream_take(&server, out, len + 2, &used, &got), len);
        }
        json_array_foreach (vectors_array(row, "to_client"), k, frame) {
            size_t len = (size_t)vectors_int(frame, "len");
            assert_int_equal(stream_put(&server, out, sizeof out, d, len), len + 2);
            vectors_same(frame, "head", out, STREAM_HEAD_BYTES);
            assert_int_equal(stream_take(&client, out, len + 2, &used, &got), len);
        }
    }
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(however_it_comes_in_pieces),
        cmocka_unit_test(the_server_answers_when_it_knows_the_nonce),
        cmocka_unit_test(what_does_not_fit_is_not_written),
        cmocka_unit_test(a_wrong_length_is_told),
        cmocka_unit_test(no_two_connections_share_a_mask),
        cmocka_unit_test(heads_are_those_of_the_vectors),
    };
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
