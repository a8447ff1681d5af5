// Layouts of a reunion: points, candidates, and notes that look like a stranger's offers.
#include "crypto/bytes.h"
#include "node/reunion_wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

static uint64_t state;

static void fill(void *ctx, void *buf, size_t len)
{
    (void)ctx;
    for (size_t i = 0; i < len; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        ((uint8_t *)buf)[i] = (uint8_t)(state >> 56);
    }
}

static const struct rng rng = {fill, NULL};

static struct path address(bool v6)
{
    uint8_t ip[16];
    fill(NULL, ip, sizeof ip);
    ip[0] = 0x24;
    uint16_t port = (uint16_t)(1024 + ip[15]);
    return v6 ? path_v6(ip, port) : path_v4(ip, port);
}

static void points_come_back(void **unused)
{
    (void)unused;
    for (unsigned kind = 0; kind < 6; kind++) {
        struct reunion_point p[2] = {0}, got[2];
        uint8_t out[CHANNEL_MEETING_BYTES_MAX + 1];
        size_t n = 1 + kind / 4 + (kind > 1 && kind < 4), k = 0, want = 1;
        for (size_t i = 0; i < n; i++) {
            fill(NULL, p[i].contact.pk, 32);
            fill(NULL, p[i].contact.puzzle_nonce, sizeof p[i].contact.puzzle_nonce);
            fill(NULL, p[i].handle, sizeof p[i].handle);
            p[i].contact.path = address((kind >> i & 1) != 0);
            want += p[i].contact.path.family == 4 ? 63 : 75;
        }
        size_t len = reunion_put_points(out, p, n);
        assert_int_equal(len, want);
        assert_int_equal(reunion_get_points(got, &k, out, len), 0);
        assert_int_equal(k, n);
        assert_memory_equal(got, p, n * sizeof *p);
        for (size_t cut = 0; cut < len; cut++)
            assert_int_equal(reunion_get_points(got, &k, out, cut), BAUTA_EFORMAT);
        out[len] = 0;
        assert_int_equal(reunion_get_points(got, &k, out, len + 1), BAUTA_EFORMAT);
        for (unsigned bad = 0; bad < 256; bad++) {
            out[0] = (uint8_t)bad;
            if (bad != n)
                assert_int_equal(reunion_get_points(got, &k, out, len), BAUTA_EFORMAT);
        }
    }
}

static void the_same_handle_twice_is_refused(void **unused)
{
    (void)unused;
    struct reunion_point p[2] = {0}, got[2];
    uint8_t out[CHANNEL_MEETING_BYTES_MAX];
    size_t k;
    p[0].contact.path = p[1].contact.path = address(false);
    assert_int_equal(reunion_get_points(got, &k, out, reunion_put_points(out, p, 2)),
                     BAUTA_EFORMAT);
}

static void candidates_come_back_as_far_as_they_fit(void **unused)
{
    (void)unused;
    struct meet_candidates c = {.observed = true, .count = 6}, got;
    uint8_t out[CHANNEL_REUNION_BYTES_MAX];
    for (unsigned i = 0; i < 6; i++)
        c.path[i] = address(i < 4);
    size_t len = reunion_put_candidates(out, REUNION_CANDIDATE_BYTES, &c);
    assert_int_equal(len, REUNION_CANDIDATE_BYTES); // four of IPv6, two of IPv4: all
    assert_int_equal(reunion_get_candidates(&got, out, len), 0);
    assert_true(got.observed && got.count == 6);
    assert_memory_equal(got.path, c.path, sizeof c.path);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(reunion_get_candidates(&got, out, cut), BAUTA_EFORMAT);
    c.path[4] = address(true);
    len = reunion_put_candidates(out, REUNION_CANDIDATE_BYTES, &c);
    assert_int_equal(reunion_get_candidates(&got, out, len), 0);
    assert_int_equal(got.count, 4);
    c.count = 0;
    len = reunion_put_candidates(out, REUNION_CANDIDATE_BYTES, &c);
    assert_int_equal(len, 2);
    assert_int_equal(reunion_get_candidates(&got, out, len), 0);
    assert_false(got.observed);
    out[0] = 1; // the first is seen, and there is none
    assert_int_equal(reunion_get_candidates(&got, out, len), BAUTA_EFORMAT);
    out[0] = 2;
    assert_int_equal(reunion_get_candidates(&got, out, len), BAUTA_EFORMAT);
    out[0] = 0;
    out[1] = CHANNEL_CANDIDATES_MAX + 1;
    assert_int_equal(reunion_get_candidates(&got, out, sizeof out), BAUTA_EFORMAT);
}

static void notes_look_like_offers(void **unused)
{
    (void)unused;
    uint8_t note[REUNION_OFFER_NOTE_BYTES], got[REUNION_OFFER_NOTE_BYTES];
    uint8_t offer[REUNION_OFFER_BYTES], back[REUNION_ANSWER_BYTES];
    for (unsigned i = 0; i < 64; i++) {
        fill(NULL, note, sizeof note);
        reunion_wrap_offer(offer, note, &rng);
        assert_int_equal(reunion_unwrap(got, offer, sizeof offer), REUNION_OFFER_NOTE_BYTES);
        assert_memory_equal(got, note, sizeof note);
        assert_true(sodium_is_zero(offer + 16, 4)); // effort
        assert_int_equal(offer[68 + 31] & 0x80, 0); // as a public key's
        reunion_wrap_answer(back, note, &rng);
        assert_int_equal(reunion_unwrap(got, back, sizeof back), REUNION_ANSWER_NOTE_BYTES);
        assert_memory_equal(got, note, REUNION_ANSWER_NOTE_BYTES);
        assert_int_equal(back[31] & 0x80, 0);
    }
    for (size_t len = 0; len <= sizeof offer; len++)
        if (len != sizeof offer && len != sizeof back)
            assert_int_equal(reunion_unwrap(got, offer, len), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(points_come_back),
        cmocka_unit_test(the_same_handle_twice_is_refused),
        cmocka_unit_test(candidates_come_back_as_far_as_they_fit),
        cmocka_unit_test(notes_look_like_offers),
    };
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
