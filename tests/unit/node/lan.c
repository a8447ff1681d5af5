// LAN discovery without a LAN: what a beacon shows and hides, and a link full of nodes in virtual time.
#include "node/lan.h"
#include "crypto/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <sodium.h>
#include <string.h>

#define UNIX_US INT64_C(1700000000000000)
#define MINUTE_US INT64_C(60000000)

static void fill(void *ctx, void *buf, size_t len)
{
    uint64_t *state = ctx;
    for (size_t i = 0; i < len; i++) {
        *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        ((uint8_t *)buf)[i] = (uint8_t)(*state >> 56);
    }
}

static uint64_t drawn = 1;
static const struct rng rng = {fill, &drawn};

static void start(struct lan *l, const char *network)
{
    struct net net;
    assert_int_equal(net_init(&net, network), 0);
    lan_init(l, &net);
}

static struct lan_beacon beacon(uint8_t n)
{
    struct lan_beacon b = {.asks = n == 0, .n = n};
    for (unsigned i = 0; i < n; i++) {
        memset(b.contact[i].pk, 0x40 + (int)i, 32);
        memset(b.contact[i].puzzle_nonce, 7, PUZZLE_NONCE_BYTES);
        b.contact[i].path = i == 0 ? path_v4((const uint8_t[4]){192, 168, 1, 2}, 4000)
                                   : path_v6((const uint8_t[16]){0xfd, 1, [15] = 9}, 4001);
    }
    return b;
}

static void only_the_network_opens_it(void **state)
{
    (void)state;
    struct lan l, other;
    uint8_t d[LAN_BEACON_BYTES], bad[LAN_BEACON_BYTES];
    start(&l, "bauta");
    start(&other, "bautb");
    for (uint8_t n = 0; n <= LAN_CONTACTS_MAX; n++) {
        struct lan_beacon b = beacon(n), got;
        lan_seal(d, &l, &b, UNIX_US, &rng);
        assert_int_equal(lan_open(&l, &got, UNIX_US, d), 0);
        assert_true(got.asks == b.asks && got.n == b.n);
        assert_memory_equal(got.contact, b.contact, sizeof b.contact);
        assert_int_equal(lan_open(&other, &got, UNIX_US, d), BAUTA_EAUTH);
        for (unsigned i = 0; i < sizeof d; i++) {
            memcpy(bad, d, sizeof d);
            bad[i] ^= 1;
            assert_int_equal(lan_open(&l, &got, UNIX_US, bad), BAUTA_EAUTH);
        }
    }
    assert_int_equal(l.heard, 3);
    assert_int_equal(l.dropped, 3 * LAN_BEACON_BYTES);
    // The layout, once more by hand.
    static const uint8_t nonce[24] = {1, 2, 3};
    uint8_t key[32], body[152] = {1, 0, 0, 0, 0, 1};
    struct lan_beacon got;
    const uint8_t of[] = "bauta lan\x05"
                         "bauta";
    crypto_generichash_blake2b(key, 32, of, sizeof of - 1, NULL, 0);
    uint32_t minute = (uint32_t)(UNIX_US / MINUTE_US);
    for (unsigned i = 0; i < 4; i++)
        body[1 + i] = (uint8_t)(minute >> 8 * i);
    memset(body + 6, 0x55, 32);
    const uint8_t path[] = {4, 10, 1, 2, 3, 0xa0, 0x0f};
    memcpy(body + 46, path, sizeof path);
    memcpy(d, nonce, 24);
    crypto_aead_xchacha20poly1305_ietf_encrypt(d + 24, NULL, body, sizeof body, NULL, 0, NULL,
                                               nonce, key);
    assert_int_equal(lan_open(&l, &got, UNIX_US, d), 0);
    struct path p = path_v4((const uint8_t[4]){10, 1, 2, 3}, 4000);
    assert_true(got.asks && got.n == 1 && path_equal(&got.contact[0].path, &p));
    lan_end(&l);
    assert_true(sodium_is_zero((const uint8_t *)&l, sizeof l));
}

// No byte stands still, each bit is set in about half of many; and what is the same in all is not seen.
static void it_looks_random(void **state)
{
    (void)state;
    struct lan l;
    uint16_t set[LAN_BEACON_BYTES * 8] = {0};
    uint8_t d[LAN_BEACON_BYTES];
    start(&l, "bauta");
    struct lan_beacon b = beacon(2);
    for (unsigned k = 0; k < 4096; k++) {
        lan_seal(d, &l, &b, UNIX_US, &rng);
        for (unsigned i = 0; i < sizeof set / sizeof *set; i++)
            set[i] = (uint16_t)(set[i] + (d[i / 8] >> i % 8 & 1));
    }
    for (unsigned i = 0; i < sizeof set / sizeof *set; i++)
        assert_in_range(set[i], 2048 - 6 * 32, 2048 + 6 * 32);
}

static void of_another_time(void **state)
{
    (void)state;
    struct lan l;
    uint8_t d[LAN_BEACON_BYTES];
    struct lan_beacon b = beacon(1), got;
    start(&l, "bauta");
    lan_seal(d, &l, &b, UNIX_US, &rng);
    for (int minutes = -40; minutes <= 40; minutes++) {
        bool good = minutes >= -LAN_CLOCK_MINUTES && minutes <= LAN_CLOCK_MINUTES;
        assert_int_equal(lan_open(&l, &got, UNIX_US + minutes * MINUTE_US, d),
                         good ? BAUTA_OK : BAUTA_EREPLAY);
    }
}

static void what_breaks_the_layout(void **state)
{
    (void)state;
    struct lan l;
    struct lan_beacon got;
    start(&l, "bauta");
    const struct {
        unsigned at;
        uint8_t value;
    } bad[] = {{0, 2}, {0, 0x80}, {5, 3}, {5, 255}, {46, 5}, {46, 0}};
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint8_t d[LAN_BEACON_BYTES], body[152];
        struct lan_beacon b = beacon(1);
        lan_seal(d, &l, &b, UNIX_US, &rng);
        assert_int_equal(crypto_aead_xchacha20poly1305_ietf_decrypt(body, NULL, NULL, d + 24, 168,
                                                                    NULL, 0, d, l.key),
                         0);
        body[bad[i].at] = bad[i].value;
        crypto_aead_xchacha20poly1305_ietf_encrypt(d + 24, NULL, body, sizeof body, NULL, 0, NULL,
                                                   d, l.key);
        assert_int_equal(lan_open(&l, &got, UNIX_US, d), BAUTA_EFORMAT);
    }
}

// ---- a link with many nodes ---------------------------------------------------------------------------

#define NODES 40u

struct on_link {
    struct lan lan;
    bool alone, tells;
    unsigned sent, asked, hints;
};

// Each beacon is heard by all others at the same moment. Returns how many went out.
static unsigned run(struct on_link *x, unsigned n, usec_t *now, usec_t for_us)
{
    usec_t until = *now + for_us;
    unsigned beacons = 0;
    for (;;) {
        unsigned who = 0;
        for (unsigned i = 1; i < n; i++)
            if (lan_deadline(&x[i].lan) < lan_deadline(&x[who].lan))
                who = i;
        if (lan_deadline(&x[who].lan) > until)
            break;
        *now = lan_deadline(&x[who].lan);
        if (!lan_expire(&x[who].lan, *now, &rng, x[who].alone, x[who].tells))
            continue;
        struct lan_beacon b = {.asks = x[who].alone, .n = x[who].tells ? 1 : 0};
        beacons++;
        x[who].sent++;
        x[who].asked += b.asks;
        for (unsigned i = 0; i < n; i++) {
            if (i == who || !lan_heard(&x[i].lan, *now, &rng, &b, x[i].alone, x[i].tells))
                continue;
            x[i].hints++;
            x[i].alone = false;
        }
    }
    *now = until;
    return beacons;
}

static void a_newcomer_is_answered_by_few(void **state)
{
    (void)state;
    static struct on_link x[NODES];
    usec_t now = 1000 * USEC_PER_S;
    memset(x, 0, sizeof x);
    for (unsigned i = 0; i < NODES; i++) {
        start(&x[i].lan, "bauta");
        x[i].tells = i > 0;
        x[i].lan.beacon_at = i > 0 ? now + 3600 * USEC_PER_S : USEC_NEVER;
    }
    x[0].alone = true;
    lan_restart(&x[0].lan, now, &rng);
    unsigned beacons = run(x, NODES, &now, 2 * USEC_PER_S);
    assert_false(x[0].alone);
    assert_int_equal(x[0].asked, 1);
    assert_int_equal(beacons, 2); // the question, and one answer: the others heard it
    // Who asks on and on is answered once in five seconds by each at most.
    unsigned answers = 0;
    for (unsigned k = 0; k < 100; k++) {
        struct lan_beacon b = {.asks = true};
        (void)lan_heard(&x[1].lan, now, &rng, &b, false, true);
        while (lan_deadline(&x[1].lan) <= now)
            answers += lan_expire(&x[1].lan, now, &rng, false, true);
        now += 100 * USEC_PER_MS;
    }
    assert_in_range(answers, 1, 3);
}

static void long_gaps(void **state)
{
    (void)state;
    static struct on_link x[NODES];
    usec_t now = 1000 * USEC_PER_S;
    memset(x, 0, sizeof x);
    // Nobody knows anybody, or has anything to tell: questions, fewer and fewer.
    for (unsigned i = 0; i < NODES; i++) {
        start(&x[i].lan, "bauta");
        x[i].alone = true;
        lan_restart(&x[i].lan, now, &rng);
    }
    unsigned first = run(x, NODES, &now, USEC_PER_S);
    assert_in_range(first, NODES, 2 * NODES);
    (void)run(x, NODES, &now, 300 * USEC_PER_S);
    unsigned later = run(x, NODES, &now, 3600 * USEC_PER_S);
    assert_in_range(later, NODES * 50, NODES * 70); // one a minute
    // All know each other: one in ten minutes each.
    for (unsigned i = 0; i < NODES; i++) {
        x[i].alone = false;
        x[i].tells = true;
    }
    (void)run(x, NODES, &now, 900 * USEC_PER_S);
    unsigned calm = run(x, NODES, &now, 3600 * USEC_PER_S);
    assert_in_range(calm, NODES * 4, NODES * 8);
    // A client that knows somebody and has nothing to tell is silent.
    for (unsigned i = 0; i < NODES; i++)
        x[i].tells = false;
    assert_int_equal(run(x, NODES, &now, 7200 * USEC_PER_S), 0);
}

static void a_flood_is_bounded(void **state)
{
    (void)state;
    struct lan l;
    start(&l, "bauta");
    usec_t now = 5 * USEC_PER_S;
    unsigned looked = 0, taken = 0;
    for (unsigned i = 0; i < 100000; i++)
        looked += lan_admit(&l, now + i * 10);
    assert_int_equal(looked, LAN_OPENED_PER_S);
    assert_int_equal(l.dropped, 100000 - LAN_OPENED_PER_S);
    assert_true(lan_admit(&l, now + USEC_PER_S));
    struct lan_beacon b = beacon(2);
    for (unsigned i = 0; i < 1000; i++)
        taken += lan_heard(&l, now + i * 10 * USEC_PER_MS, &rng, &b, true, false);
    assert_int_equal(taken * b.n, LAN_TAKEN_PER_MINUTE);
    assert_false(lan_heard(&l, now + 70 * USEC_PER_S, &rng, &b, false, false)); // knows somebody
    assert_true(lan_heard(&l, now + 70 * USEC_PER_S, &rng, &b, true, false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_network_opens_it),
        cmocka_unit_test(it_looks_random),
        cmocka_unit_test(of_another_time),
        cmocka_unit_test(what_breaks_the_layout),
        cmocka_unit_test(a_newcomer_is_answered_by_few),
        cmocka_unit_test(long_gaps),
        cmocka_unit_test(a_flood_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
