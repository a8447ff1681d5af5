// The search for a path as a machine: who does what, where probes go, how many, and how often it is done at all.
#include "node/punch.h"

#include "dht/path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define MS USEC_PER_MS
#define S USEC_PER_S

static void fill(void *ctx, void *buf, size_t len)
{
    uint64_t *x = ctx;
    uint8_t *out = buf;
    for (size_t i = 0; i < len; i++) {
        *x = *x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        out[i] = (uint8_t)(*x >> 56);
    }
}

static struct path at(uint8_t last, uint16_t port)
{
    return path_v4((const uint8_t[4]){81, 2, 3, last}, port);
}

static void begin(struct punch *p, usec_t now, enum punch_role role, const struct path *to,
                  int8_t step, uint64_t seed)
{
    struct rng rng = {fill, &seed};
    assert_true(punch_may(p, now, to));
    punch_begin(p, now, role, to, step, PUNCH_SOCKET_FIRST, &rng);
}

static void both_ends_know_what_to_do(void **state)
{
    (void)state;
    static const enum channel_nat easy[] = {CHANNEL_NAT_UNKNOWN, CHANNEL_NAT_NONE,
                                            CHANNEL_NAT_INDEPENDENT};
    static const enum channel_nat hard[] = {CHANNEL_NAT_STEP, CHANNEL_NAT_RANDOM};
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned k = 0; k < 3; k++)
            assert_int_equal(punch_role(easy[i], easy[k], true), PUNCH_NONE);
        for (unsigned k = 0; k < 2; k++)
            assert_int_equal(punch_role(hard[k], easy[i], i % 2 == 0), PUNCH_MANY);
        assert_int_equal(punch_role(CHANNEL_NAT_PRESERVING, easy[i], false), PUNCH_MANY);
    }
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(punch_role(hard[i], CHANNEL_NAT_PRESERVING, false), PUNCH_MANY);
        for (unsigned k = 0; k < 2; k++)
            assert_int_equal(punch_role(hard[i], hard[k], true), PUNCH_NONE);
    }
    // One end is always the one if and only if the other is the many.
    for (enum channel_nat a = CHANNEL_NAT_UNKNOWN; a < CHANNEL_NATS; a++)
        for (enum channel_nat b = CHANNEL_NAT_UNKNOWN; b < CHANNEL_NATS; b++) {
            enum punch_role x = punch_role(a, b, true), y = punch_role(b, a, false);
            assert_true(x == PUNCH_NONE ? y == PUNCH_NONE : x + y == PUNCH_MANY + PUNCH_ONE);
        }
}

// Runs it as a driver would that wakes at its deadlines, `late` each time. Counts probes in each second.
struct run {
    unsigned probes, openers, in_second_max, at_once_max, again;
    bool port[65536], socket[PUNCH_SOCKETS];
    usec_t first, last;
};

static void run(struct punch *p, usec_t now, usec_t late, struct run *r)
{
    unsigned in_second = 0;
    usec_t second = now, end = now + 60 * S;
    memset(r, 0, sizeof *r);
    for (usec_t t = punch_deadline(p); t != USEC_NEVER && t < end; t = punch_deadline(p)) {
        struct path to;
        uint8_t ttl;
        unsigned at_once = 0;
        usec_t woken = t + late;
        if (punch_over(p, woken)) {
            punch_stop(p, woken);
            return;
        }
        while (punch_next(p, woken, &to, &ttl)) {
            if (woken >= second + S) {
                second = woken;
                in_second = 0;
            }
            assert_int_equal(to.family, 4);
            assert_memory_equal(to.ip, p->to.ip, sizeof to.ip);
            assert_true(to.port >= PUNCH_PORT_MIN);
            if (p->role == PUNCH_MANY) {
                assert_int_equal(to.port, p->to.port);
                assert_in_range(to.via, VIA_SOCKET | PUNCH_SOCKET_FIRST,
                                VIA_SOCKET | (PUNCH_SOCKET_FIRST + PUNCH_SOCKETS - 1));
                r->socket[to.via - (VIA_SOCKET | PUNCH_SOCKET_FIRST)] = true;
                r->openers += ttl == PUNCH_OPENER_TTL;
                assert_true(ttl == (r->probes < PUNCH_SOCKETS ? PUNCH_OPENER_TTL : 0));
            } else {
                assert_true(to.via == VIA_UDP && ttl == 0);
                r->again += r->port[to.port];
                r->port[to.port] = true;
            }
            r->first = r->probes == 0 ? woken : r->first;
            r->last = woken;
            r->probes++;
            at_once++;
            in_second++;
            r->in_second_max = in_second > r->in_second_max ? in_second : r->in_second_max;
            r->at_once_max = at_once > r->at_once_max ? at_once : r->at_once_max;
        }
    }
}

static struct run r; // large

static void the_one_tries_many_ports_once_each(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed < 20; seed++) {
        struct punch p = {0};
        struct path to = at(4, 5000);
        begin(&p, seed * 100 * S, PUNCH_ONE, &to, 0, seed);
        run(&p, seed * 100 * S, seed % 3 * 7 * MS, &r);
        assert_int_equal(r.probes, PUNCH_PROBES_MAX);
        assert_int_equal(r.again, 0);
        assert_true(r.in_second_max <= S / PUNCH_PROBE_GAP_US + PUNCH_BURST + 1);
        assert_true(r.at_once_max <= PUNCH_BURST + 1);
        assert_true(r.last - r.first < PUNCH_US);
        unsigned low = 0, high = 0;
        for (unsigned port = 0; port < 65536; port++) {
            low += port < 33280 && r.port[port];
            high += port >= 33280 && r.port[port];
        }
        assert_in_range(low, PUNCH_PROBES_MAX * 44 / 100, PUNCH_PROBES_MAX * 56 / 100);
        assert_int_equal(low + high, PUNCH_PROBES_MAX);
        assert_int_equal(p.role, PUNCH_NONE);
    }
}

static void the_many_open_each_socket_twice(void **state)
{
    (void)state;
    struct punch p = {0};
    struct path to = at(4, 5000);
    begin(&p, 100 * S, PUNCH_MANY, &to, 0, 3);
    run(&p, 100 * S, 0, &r);
    assert_int_equal(r.probes, PUNCH_ROUNDS * PUNCH_SOCKETS);
    assert_int_equal(r.openers, PUNCH_SOCKETS);
    assert_int_equal(p.opened, PUNCH_SOCKETS);
    for (unsigned i = 0; i < PUNCH_SOCKETS; i++)
        assert_true(r.socket[i]);
    assert_true(r.last - r.first < PUNCH_US);
}

// The other end's 256 ports in a row are found at once, wherever they begin within reach.
static void regular_ports_come_first(void **state)
{
    (void)state;
    static const int8_t step[] = {1, 2, -1, 7, -8};
    for (unsigned k = 0; k < sizeof step; k++)
        for (int skipped = 1; skipped < 1500; skipped += 97) {
            struct punch p = {0};
            struct path to = at(4, (uint16_t)(k % 2 == 0 ? 64000 : 30000)), got;
            uint8_t ttl;
            begin(&p, 100 * S, PUNCH_ONE, &to, step[k], 3);
            bool open[65536] = {false}, hit = false;
            for (int i = 0; i < (int)PUNCH_SOCKETS; i++) {
                int port = ((int)to.port - 1024 + step[k] * (skipped + i)) % 64512;
                open[1024 + (port + 64512) % 64512] = true;
            }
            for (unsigned sent = 0; sent < 2 * PUNCH_STEPS && !hit; sent++) {
                assert_true(punch_next(&p, punch_deadline(&p), &got, &ttl));
                hit = open[got.port];
            }
            assert_true(hit);
        }
}

static void one_search_at_a_time_and_none_soon_after(void **state)
{
    (void)state;
    struct punch p = {0};
    struct path first = at(1, 5000), second = at(2, 5000), same = at(1, 6000);
    struct path to;
    uint8_t ttl;
    // One that sent nothing does not count.
    begin(&p, 99 * S, PUNCH_ONE, &first, 0, 1);
    punch_stop(&p, 99 * S);
    begin(&p, 100 * S, PUNCH_ONE, &first, 0, 1);
    for (unsigned i = 0; i <= PUNCH_AGAIN_PROBES; i++)
        assert_true(punch_next(&p, 100 * S + i * PUNCH_PROBE_GAP_US, &to, &ttl));
    assert_false(punch_may(&p, 104 * S, &second)); // while it runs
    punch_stop(&p, 104 * S);
    assert_int_equal(punch_deadline(&p), USEC_NEVER);
    assert_false(punch_may(&p, 104 * S + PUNCH_PAUSE_US - 1, &second));
    assert_true(punch_may(&p, 104 * S + PUNCH_PAUSE_US, &second));
    // Another port is the same address.
    assert_false(punch_may(&p, 100 * S + PUNCH_AGAIN_US - 1, &same));
    assert_true(punch_may(&p, 100 * S + PUNCH_AGAIN_US, &same));
    assert_true(punch_forgotten(&p, 100 * S + PUNCH_AGAIN_US));
    assert_false(punch_forgotten(&p, 100 * S + PUNCH_AGAIN_US - 1));
}

// Somebody names one victim among as many other addresses as there is time for: it is left alone nevertheless.
static void who_names_others_meanwhile_gains_nothing(void **state)
{
    (void)state;
    struct punch p = {0};
    struct path victim = at(200, 5000);
    unsigned searches = 0, at_victim = 0;
    usec_t now = 100 * S;
    for (uint32_t i = 0; now < 100 * S + PUNCH_AGAIN_US; i++, now += 100 * MS) {
        struct path other = path_v4((const uint8_t[4]){90, (uint8_t)(i >> 8), (uint8_t)i, 1}, 5000);
        const struct path *to = punch_may(&p, now, &victim) ? &victim : &other;
        if (!punch_may(&p, now, to))
            continue;
        struct path next;
        uint8_t ttl;
        unsigned probes = 1 + i % 700; // most searches end early
        begin(&p, now, PUNCH_ONE, to, 0, i);
        for (unsigned k = 0; k < probes; k++, now += PUNCH_PROBE_GAP_US)
            assert_true(punch_next(&p, now, &next, &ttl));
        punch_stop(&p, now);
        searches++;
        at_victim += to == &victim ? probes : 0;
    }
    assert_in_range(at_victim, PUNCH_AGAIN_PROBES, PUNCH_AGAIN_PROBES + PUNCH_PROBES_MAX);
    assert_in_range(searches, 20, PUNCH_AGAIN_US / PUNCH_PAUSE_US);
}

static void only_where_it_may(void **state)
{
    (void)state;
    struct punch p = {0};
    const uint8_t six[16] = {0x26, 7};
    struct path low = at(1, 1023), v6 = path_v6(six, 5000), socket = at(1, 5000);
    socket.via = VIA_SOCKET | 1;
    assert_false(punch_may(&p, S, &low));
    assert_false(punch_may(&p, S, &v6));
    assert_false(punch_may(&p, S, &socket));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ends_know_what_to_do),
        cmocka_unit_test(the_one_tries_many_ports_once_each),
        cmocka_unit_test(the_many_open_each_socket_twice),
        cmocka_unit_test(regular_ports_come_first),
        cmocka_unit_test(one_search_at_a_time_and_none_soon_after),
        cmocka_unit_test(who_names_others_meanwhile_gains_nothing),
        cmocka_unit_test(only_where_it_may),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
