// Paths that somebody else searches: probes to addresses that are no candidates, many sockets at one end, and both
// ends settling on the same one.
#include "tests/unit/channel/link.h"

#define SOCKETS 8u
#define PATIENCE_US (10 * USEC_PER_S)
#define PORT 2000u // of end `many`'s first socket, as the other sees it

struct sockets {
    unsigned many;      // the end that has them
    bool open[SOCKETS]; // the other's datagrams get in
    bool closed[SOCKETS];
    usec_t extra_us[SOCKETS]; // on the way to the one
    unsigned sent_closed;     // datagrams through a socket that is closed
};

// Nothing passes between the main sockets. What leaves through socket k bears the port PORT + k; what goes to that
// port comes to socket k.
static bool tap(struct net *n, unsigned from, const struct path *to, uint8_t *data, size_t *len)
{
    struct sockets *s = n->tap_ctx;
    struct path seen = n->end[from].address;
    unsigned k;
    if (from == s->many) {
        k = to->via & ~VIA_SOCKET;
        if (to->via < VIA_SOCKET || k >= SOCKETS)
            return false;
        s->sent_closed += s->closed[k];
        seen.port = (uint16_t)(PORT + k);
    } else {
        k = (unsigned)to->port - PORT;
        if (k >= SOCKETS || !s->open[k])
            return false;
        seen.via = VIA_SOCKET | k;
    }
    if (s->closed[k])
        return false;
    inject(n, from ^ 1, &seen, data, *len, 0,
           n->now + n->delay_us + (from == s->many ? s->extra_us[k] : 0));
    return false;
}

static struct net *begin(uint64_t seed, struct sockets *s, unsigned many)
{
    struct net *n = net_new(seed, seed % 2 != 0 ? PACKET_AEGIS256 : PACKET_CHACHA20POLY1305);
    *s = (struct sockets){.many = many};
    n->tap = tap;
    n->tap_ctx = s;
    for (unsigned i = 0; i < 2; i++)
        n->end[i].config.patience_us = PATIENCE_US;
    net_start(n, 0);
    net_start(n, 1);
    return n;
}

static bool probe(struct net *n, unsigned end, const struct path *to)
{
    uint8_t buf[CLASS_TINY];
    struct batch b;
    if (!channel_probe(n->end[end].channel, n->now, to, 0, buf, &b))
        return false;
    assert_true(b.len == CLASS_TINY && b.count == 1);
    carry(n, end, &b.path, buf, b.len, 0);
    return true;
}

static struct path port_of(const struct net *n, const struct sockets *s, unsigned k)
{
    struct path to = n->end[s->many].address;
    to.port = (uint16_t)(PORT + k);
    return to;
}

static unsigned socket_of(const struct net *n, const struct sockets *s, unsigned end)
{
    struct channel_status st;
    channel_status(n->end[end].channel, &st);
    return end == s->many ? st.path.via & ~VIA_SOCKET : (unsigned)st.path.port - PORT;
}

static void a_probe_opens_a_path(void **state)
{
    (void)state;
    for (unsigned many = 0; many < 2; many++) {
        struct sockets s;
        struct net *n = begin(3 + many, &s, many);
        net_run(n, n->now + 6 * USEC_PER_S);
        assert_false(n->end[0].closed || n->end[1].closed || n->end[0].path);
        // As many as a search may have, into the void: nothing of them stays.
        struct path to = port_of(n, &s, SOCKETS);
        for (unsigned i = 0; i < 1536; i++)
            assert_true(probe(n, many ^ 1, &to));
        assert_in_range(n->end[many ^ 1].arena.used_bytes, 1, 32 * 1024);
        s.open[3] = true;
        to = port_of(n, &s, 3);
        assert_true(probe(n, many ^ 1, &to));
        n->end[0].want[0] = n->end[1].want[0] = 5000;
        NET_UNTIL(n, 9 * USEC_PER_S, net_matched(n) && net_done(n));
        assert_true(net_matched(n) && net_done(n));
        for (unsigned i = 0; i < 2; i++) {
            assert_int_equal(socket_of(n, &s, i), 3);
            assert_in_range(n->end[i].arena.used_bytes, 1, 32 * 1024);
        }
        net_free(n);
    }
}

static void without_a_path_it_ends_when_patience_does(void **state)
{
    (void)state;
    struct sockets s;
    struct net *n = begin(5, &s, 0);
    usec_t start = n->now;
    NET_UNTIL(n, 20 * USEC_PER_S, n->end[0].closed && n->end[1].closed);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(n->end[i].reason, CHANNEL_ENDED_NO_PATH);
        assert_int_equal(n->end[i].closed_at - start, PATIENCE_US);
        struct path to = port_of(n, &s, 0);
        assert_false(probe(n, i, &to));
    }
    net_free(n);
}

// Several sockets open in the same moment, and what comes through each takes another time. All but those in use are
// closed when the first step is done; nothing goes through them any more, and nothing is lost.
static void both_ends_settle_on_one(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 400; seed++) {
        struct sockets s;
        struct net *n = begin(seed, &s, (unsigned)(seed / 2 % 2));
        struct prng p = {seed};
        net_run(n, n->now + 3 * USEC_PER_S);
        unsigned opened = 0;
        for (unsigned k = 0; k < SOCKETS; k++) {
            s.open[k] = prng_next(&p) % 2 == 0 || k == 0;
            s.extra_us[k] = prng_next(&p) % 30000;
            struct path to = port_of(n, &s, k);
            if (s.open[k] && opened++ < 4) {
                assert_true(probe(n, s.many ^ 1, &to));
                net_run(n, n->now + prng_next(&p) % 10000);
            }
        }
        NET_UNTIL(n, 5 * USEC_PER_S, net_matched(n));
        assert_true(net_matched(n));
        unsigned used = socket_of(n, &s, 0);
        if (used != socket_of(n, &s, 1))
            fail_msg("seed %u: sockets %u and %u", (unsigned)seed, used, socket_of(n, &s, 1));
        for (unsigned i = 0; i < 2; i++)
            channel_drop_sockets(n->end[i].channel);
        for (unsigned k = 0; k < SOCKETS; k++)
            s.closed[k] = k != used;
        n->end[0].want[0] = n->end[1].want[0] = 20000;
        end_turn(n, 0);
        end_turn(n, 1);
        NET_UNTIL(n, 5 * USEC_PER_S, net_done(n));
        assert_true(net_done(n));
        net_run(n, n->now + 100 * USEC_PER_S);
        assert_false(n->end[0].closed || n->end[1].closed);
        assert_int_equal(s.sent_closed, 0);
        net_free(n);
    }
}

// ---- a tunnel first, a direct path later -----------------------------------------------------------------
#define TUNNEL (VIA_TUNNEL | 1u << 24 | 1u)

struct ways {
    bool direct, tunnel; // open
};

static bool both_ways(struct net *n, unsigned from, const struct path *to, uint8_t *data,
                      size_t *len)
{
    struct ways *w = n->tap_ctx;
    bool tunnel = to->via == (TUNNEL);
    struct path seen = n->end[from].address;
    seen.via = to->via;
    if (tunnel ? w->tunnel : w->direct)
        inject(n, from ^ 1, &seen, data, *len, 0, n->now + (tunnel ? 3 : 1) * n->delay_us);
    return false;
}

static bool both_use(const struct net *n, uint32_t via)
{
    bool same = true;
    for (unsigned i = 0; i < 2; i++) {
        struct channel_status st;
        channel_status(n->end[i].channel, &st);
        same = same && st.path.family != 0 && st.path.via == via;
    }
    return same;
}

static void a_direct_path_is_better_than_a_tunnel(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct net *n = net_new(seed, PACKET_CHACHA20POLY1305);
        struct ways w = {.tunnel = true};
        struct prng p = {seed};
        n->tap = both_ways;
        n->tap_ctx = &w;
        for (unsigned i = 0; i < 2; i++) {
            n->end[i].config.candidate[1] = n->end[i].config.candidate[0];
            n->end[i].config.candidate[1].via = TUNNEL;
            n->end[i].config.candidates = 2;
        }
        net_connect(n);
        assert_true(both_use(n, TUNNEL));
        // Words go on all the time, so each end hears the other on both.
        w.direct = true;
        unsigned who = (unsigned)(prng_next(&p) % 2);
        channel_candidates(n->end[who].channel, n->now, &n->end[who].config.candidate[0], 1);
        end_turn(n, who);
        for (unsigned k = 0; k < 50; k++) {
            n->end[k % 2].want[0] += 100;
            end_turn(n, k % 2);
            net_run(n, n->now + prng_next(&p) % 40000);
        }
        assert_true(both_use(n, VIA_UDP));
        NET_UNTIL(n, 5 * USEC_PER_S, net_done(n));
        assert_true(net_done(n));
        w.direct = false;
        n->end[0].want[0] += 1000;
        n->end[1].want[0] += 1000;
        end_turn(n, 0);
        end_turn(n, 1);
        NET_UNTIL(n, 7 * USEC_PER_S, net_done(n) && both_use(n, TUNNEL));
        assert_true(net_done(n) && both_use(n, TUNNEL));
        net_free(n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_probe_opens_a_path),
        cmocka_unit_test(without_a_path_it_ends_when_patience_does),
        cmocka_unit_test(both_ends_settle_on_one),
        cmocka_unit_test(a_direct_path_is_better_than_a_tunnel),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
