// An end whose address changes, and those who only pretend that it did.
#include "tests/unit/channel/moving.h"

static struct path home(unsigned end, unsigned host, unsigned port)
{
    return (struct path){
        .ip = {10, 0, (uint8_t)host, (uint8_t)(end + 1)}, .port = (uint16_t)port, .family = 4};
}

static bool uses(const struct net *n, unsigned i, const struct path *peer)
{
    const struct chan_paths *p = &n->end[i].channel->paths;
    return memcmp(&p->path[p->active].path, peer, sizeof *peer) == 0;
}

static void rebinding_every_second_loses_nothing(void **state)
{
    (void)state;
    // The end that sends, or the one that receives, or both, by turns another port or another host.
    for (uint64_t seed = 1; seed <= 24; seed++) {
        struct moving m;
        struct net *n =
            moving_new(&m, seed, seed % 2 ? PACKET_AEGIS256 : PACKET_CHACHA20POLY1305, 1500);
        n->delay_us = 5000 + seed % 3 * 15000;
        n->jitter_us = seed % 2 * 4000;
        n->loss_pm = (unsigned)(seed % 3) * 10;
        n->reorder_pm = (unsigned)(seed % 4) * 10;
        net_connect(n);
        usec_t start = n->now;
        n->end[0].want[1] = 30000000;
        n->end[1].want[2] = seed % 4 == 0 ? 10000000 : 1000;
        end_turn(n, 0);
        end_turn(n, 1);
        unsigned moves = 0;
        while (!net_done(n) && moves < 120) {
            net_run(n, n->now + USEC_PER_S);
            unsigned who = seed % 3 == 0 ? 0 : seed % 3 == 1 ? 1 : moves % 2;
            n->end[who].address =
                seed % 2 ? home(who, 0, 3000 + moves) : home(who, 1 + moves, 3000);
            moves++;
            if (n->end[0].closed || n->end[1].closed)
                fail_msg("seed %llu: closed after %u moves (%d %d)", (unsigned long long)seed,
                         moves, n->end[0].reason, n->end[1].reason);
        }
        if (!net_done(n))
            fail_msg("seed %llu: %llu bytes in %u moves", (unsigned long long)seed,
                     (unsigned long long)n->end[1].got[1], moves);
        assert_in_range(n->now - start, 1, 120 * USEC_PER_S);
        for (unsigned i = 0; i < 2; i++) {
            assert_in_range(n->end[i].cids, 2, CHAN_PHASES * CHAN_PHASE_CIDS);
            assert_in_range(n->end[i].channel->paths.count, 1, CHAN_PATHS_MAX);
        }
        net_free(n);
    }
}

// How long nothing arrives when the receiver of bulk moves.
static void a_move_costs_a_few_round_trips(void **state)
{
    (void)state;
    for (unsigned who = 0; who < 2; who++)
        for (unsigned host = 0; host < 2; host++) {
            struct moving m;
            struct net *n = moving_new(&m, 5, PACKET_AEGIS256, 1500);
            net_connect(n); // a round trip is 40 ms
            n->end[0].want[1] = 8000000;
            end_turn(n, 0);
            net_run(n, n->now + 200000);
            n->end[who].address = home(who, host, 7000);
            net_run(n, n->now + 21000); // what was on its way
            uint64_t got = n->end[1].got[1];
            usec_t moved = n->now;
            NET_UNTIL(n, 10 * USEC_PER_S, n->end[1].got[1] > got + 100000);
            if (n->now - moved > (who == 0 ? 200 : 500) * USEC_PER_MS)
                fail_msg("end %u, host %u: %llu ms", who, host,
                         (unsigned long long)(n->now - moved) / 1000);
            NET_UNTIL(n, 60 * USEC_PER_S, net_done(n));
            assert_true(net_done(n));
            assert_true(uses(n, who ^ 1, &n->end[who].address));
            net_free(n);
        }
}

static void what_was_learnt_holds_for_another_port_only(void **state)
{
    (void)state;
    for (unsigned host = 0; host < 2; host++) {
        struct moving m;
        struct net *n = moving_new(&m, 6, PACKET_AEGIS256, 1500);
        net_connect(n);
        bulk_more(n, 0, 3000000, 60 * USEC_PER_S);
        assert_int_equal(mtu_of(n, 0), 1500);
        struct channel_status before, after;
        channel_status(n->end[0].channel, &before);
        n->end[1].address = home(1, host, 7000);
        n->end[1].want[0] = 100; // it says something from there
        end_turn(n, 1);
        NET_UNTIL(n, 5 * USEC_PER_S, uses(n, 0, &n->end[1].address));
        assert_true(uses(n, 0, &n->end[1].address));
        channel_status(n->end[0].channel, &after);
        assert_int_equal(mtu_of(n, 0), host == 0 ? 1500 : 1260);
        assert_int_equal(after.cwnd_bytes == before.cwnd_bytes, host == 0);
        if (host == 1)
            assert_in_range(after.cwnd_bytes, 1, CHAN_CWND_INITIAL);
        assert_false(after.ecn); // tried anew
        bulk_more(n, 0, 3000000, 60 * USEC_PER_S);
        assert_int_equal(mtu_of(n, 0), 1500);
        net_free(n);
    }
}

static void who_only_receives_asks(void **state)
{
    (void)state;
    // It moves without knowing while nothing of its own is on the way: nobody else could tell.
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct moving m;
        struct net *n = moving_new(&m, seed, PACKET_AEGIS256, 1500);
        net_connect(n);
        net_run(n, n->now + USEC_PER_S);
        bulk_more(n, 0, 15000 + seed * 1000, USEC_PER_S);
        net_run(n, n->now + 45000);
        assert_int_equal(n->end[1].channel->recovery.tracked, 0);
        assert_int_equal(n->count, 0);
        n->end[1].address = home(1, 1, 7000);
        usec_t moved = n->now;
        n->end[0].want[1] += 1000000;
        end_turn(n, 0);
        NET_UNTIL(n, 5 * USEC_PER_S, uses(n, 0, &n->end[1].address));
        assert_true(uses(n, 0, &n->end[1].address));
        assert_in_range(n->now - moved, 1, 800 * USEC_PER_MS);
        NET_UNTIL(n, 60 * USEC_PER_S, net_done(n));
        assert_true(net_done(n));
        // When it is over it asks once, and that is all.
        net_run(n, n->now + 2 * USEC_PER_S);
        struct channel_status before, after;
        channel_status(n->end[1].channel, &before);
        net_run(n, n->now + 10 * USEC_PER_S);
        channel_status(n->end[1].channel, &after);
        assert_int_equal(after.packets_out, before.packets_out);
        net_free(n);
    }
}

static void a_chat_follows(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct moving m;
        struct net *n = moving_new(&m, seed, PACKET_CHACHA20POLY1305, 1500);
        n->loss_pm = (unsigned)(seed % 3) * 50;
        net_connect(n);
        for (unsigned k = 0; k < 20; k++) {
            n->end[0].address = home(0, k % 3, 5000 + k);
            n->end[0].want[0] += 50;
            end_turn(n, 0);
            net_run(n, n->now + 300000);
            n->end[1].want[0] += 50; // and is answered there
            end_turn(n, 1);
            NET_UNTIL(n, 5 * USEC_PER_S, net_done(n));
            assert_true(net_done(n));
            assert_true(uses(n, 1, &n->end[0].address));
        }
        net_free(n);
    }
}

static void there_and_back_again(void **state)
{
    (void)state;
    // Between two networks that it knows, as a telephone does.
    struct moving m;
    struct net *n = moving_new(&m, 8, PACKET_AEGIS256, 1500);
    net_connect(n);
    n->end[0].want[1] = 20000000;
    end_turn(n, 0);
    for (unsigned k = 0; k < 12; k++) {
        net_run(n, n->now + 700000);
        n->end[1].address = home(1, k % 2, 1001);
        n->end[1].want[0] += 10;
        end_turn(n, 1);
        net_run(n, n->now + 700000);
        assert_true(uses(n, 0, &n->end[1].address));
    }
    NET_UNTIL(n, 60 * USEC_PER_S, net_done(n));
    assert_true(net_done(n));
    net_free(n);
}

// ---- those who pretend --------------------------------------------------------------------------------------
enum thief_kind {
    COPIES_FIRST, // of all that end 0 sends, from other addresses, ahead of the originals
    COPIES_AFTER, // behind them
    FORWARDS      // copies ahead, and what is sent to its address goes on to end 0
};

struct thief {
    struct moving m;
    enum thief_kind kind;
    bool on;
    unsigned addresses;
    uint64_t in[16], out[16]; // bytes from each of its addresses, and to it
    unsigned turn;
    bool fast; // its way is shorter
    bool deaf; // what end 1 sends to end 0 itself is lost
};

static struct path den(unsigned k)
{
    return (struct path){.ip = {66, 6, 6, (uint8_t)k}, .port = 53, .family = 4};
}

static bool thief_tap(struct net *n, unsigned from, const struct path *to, uint8_t *data,
                      size_t *len)
{
    struct thief *t = n->tap_ctx;
    for (unsigned k = 0; k < t->addresses; k++) {
        struct path at = den(k);
        if (memcmp(to, &at, sizeof at) != 0)
            continue;
        t->out[k] += *len;
        if (t->kind == FORWARDS) // it reaches end 0 with the thief's address on it
            inject(n, 0, &n->end[1].address, data, *len, 0,
                   n->now + n->delay_us / (t->fast ? 4 : 1));
        return false;
    }
    if (t->on && t->addresses > 0 && from == 0) {
        unsigned k = t->turn++ % t->addresses;
        struct path at = den(k);
        t->in[k] += *len;
        inject(n, 1, &at, data, *len, 0,
               n->now + n->delay_us + (t->kind == COPIES_AFTER ? 3000 : 0) - 1000);
    }
    if (from == 1 && t->deaf)
        return false;
    n->tap_ctx = &t->m;
    bool passes = moving_tap(n, from, to, data, len);
    n->tap_ctx = t;
    return passes;
}

static void copies_do_not_move_the_path(void **state)
{
    (void)state;
    for (unsigned kind = COPIES_FIRST; kind <= FORWARDS; kind++)
        for (unsigned addresses = 1; addresses <= 16; addresses += 15)
            for (unsigned busy = 0; busy < 2; busy++) {
                static struct thief t;
                struct net *n = moving_new(
                    &t.m, 11 + kind, kind % 2 ? PACKET_AEGIS256 : PACKET_CHACHA20POLY1305, 1500);
                t = (struct thief){.m = t.m, .kind = (enum thief_kind)kind, .addresses = addresses};
                n->tap = thief_tap;
                n->tap_ctx = &t;
                net_connect(n);
                t.on = true;
                // Bulk from the one whose packets are copied, or from the other one.
                usec_t start = n->now;
                for (unsigned k = 0; k < 50; k++) {
                    n->end[busy].want[1] += 300000;
                    n->end[busy ^ 1].want[0] += 20;
                    end_turn(n, 0);
                    end_turn(n, 1);
                    NET_UNTIL(n, 3 * USEC_PER_S, net_done(n));
                    assert_true(net_done(n));
                }
                struct path true_one = address_of(0);
                if (!uses(n, 1, &true_one))
                    fail_msg("kind %u, %u addresses, busy %u: stolen", kind, addresses, busy);
                if (n->now - start > 50 * 500000)
                    fail_msg("kind %u, %u addresses, busy %u: %llu ms", kind, addresses, busy,
                             (unsigned long long)(n->now - start) / 1000);
                for (unsigned k = 0; k < addresses; k++)
                    if (kind != FORWARDS) // there it is answered, which validates
                        assert_true(t.out[k] <= 3 * t.in[k]);
                net_free(n);
            }
}

static void a_shorter_way_is_no_reason(void **state)
{
    (void)state;
    // Who forwards both ways, faster than the path itself, is answered first.
    static struct thief t;
    struct net *n = moving_new(&t.m, 16, PACKET_AEGIS256, 1500);
    t = (struct thief){.m = t.m, .kind = FORWARDS, .addresses = 1, .fast = true};
    n->tap = thief_tap;
    n->tap_ctx = &t;
    net_connect(n);
    t.on = true;
    struct path true_one = address_of(0);
    for (unsigned k = 0; k < 100; k++) {
        n->end[0].want[1] += 20000;
        n->end[1].want[1] += 20000;
        end_turn(n, 0);
        end_turn(n, 1);
        usec_t until = n->now + 50000;
        while (net_step(n, until))
            assert_true(uses(n, 1, &true_one));
    }
    assert_true(t.out[0] > 0);
    net_free(n);
}

static void the_true_path_is_taken_back(void **state)
{
    (void)state;
    // For a second only the thief's way works, and is used; then the true one does again.
    static struct thief t;
    struct net *n = moving_new(&t.m, 17, PACKET_CHACHA20POLY1305, 1500);
    t = (struct thief){.m = t.m, .kind = FORWARDS, .addresses = 1};
    n->tap = thief_tap;
    n->tap_ctx = &t;
    net_connect(n);
    struct path true_one = address_of(0), other = den(0);
    for (unsigned k = 0; k < 200; k++) {
        n->end[0].want[1] += 3000;
        n->end[1].want[1] += 3000;
        end_turn(n, 0);
        end_turn(n, 1);
        net_run(n, n->now + 20000);
        t.on = k >= 20;
        t.deaf = k >= 20 && k < 70;
        if (k == 60)
            assert_true(uses(n, 1, &other));
        if (k >= 110)
            assert_true(uses(n, 1, &true_one));
    }
    NET_UNTIL(n, 5 * USEC_PER_S, net_done(n));
    assert_true(net_done(n));
    net_free(n);
}

static void a_moved_end_is_found_among_copies(void **state)
{
    (void)state;
    struct thief t = {.kind = COPIES_AFTER, .addresses = 8};
    struct net *n = moving_new(&t.m, 13, PACKET_AEGIS256, 1500);
    n->tap = thief_tap;
    n->tap_ctx = &t;
    net_connect(n);
    t.on = true;
    n->end[1].want[1] = 5000000;
    end_turn(n, 1);
    net_run(n, n->now + 200000);
    n->end[0].address = home(0, 3, 4444);
    n->end[0].want[0] = 1000;
    end_turn(n, 0);
    NET_UNTIL(n, 20 * USEC_PER_S, net_done(n));
    assert_true(net_done(n));
    assert_true(uses(n, 1, &n->end[0].address));
    net_free(n);
}

// Nothing but a fresh answer validates: a recorded one is a packet that was seen.
struct recorder {
    struct moving m;
    uint8_t data[64][CHAN_MTU_MAX];
    size_t len[64];
    unsigned count;
};

static bool record_tap(struct net *n, unsigned from, const struct path *to, uint8_t *data,
                       size_t *len)
{
    struct recorder *r = n->tap_ctx;
    (void)to;
    if (from == 0 && r->count < 64) {
        memcpy(r->data[r->count], data, *len);
        r->len[r->count++] = *len;
    }
    return true;
}

static void recorded_answers_prove_nothing(void **state)
{
    (void)state;
    static struct recorder r;
    struct net *n = net_new(14, PACKET_CHACHA20POLY1305);
    r.count = 0;
    n->tap = record_tap;
    n->tap_ctx = &r;
    net_connect(n); // its responses are among what was recorded
    net_run(n, n->now + USEC_PER_S);
    assert_in_range(r.count, 5, 63);
    struct path true_one = address_of(0), other = den(0);
    uint64_t in = n->end[1].channel->packets_in;
    for (unsigned k = 0; k < r.count; k++)
        inject(n, 1, &other, r.data[k], r.len[k], 0, n->now + 1000 * k);
    net_run(n, n->now + USEC_PER_S);
    assert_int_equal(n->end[1].channel->packets_in, in);
    assert_int_equal(chan_paths_find(&n->end[1].channel->paths, &other), CHAN_NO_PATH);
    assert_true(uses(n, 1, &true_one));
    net_free(n);
}

// A victim is told of by a copy: three times what came from there, however long it goes on.
static void three_times_and_no_more(void **state)
{
    (void)state;
    static struct thief t;
    t = (struct thief){.kind = COPIES_FIRST, .addresses = 3};
    struct net *n = moving_new(&t.m, 15, PACKET_AEGIS256, 1500);
    n->tap = thief_tap;
    n->tap_ctx = &t;
    net_connect(n);
    n->end[1].want[1] = 3000000; // much to send to wherever end 0 is
    for (unsigned k = 0; k < 300; k++) {
        t.on = k % 50 == 0;
        n->end[0].want[0] += 10;
        end_turn(n, 0);
        end_turn(n, 1);
        net_run(n, n->now + 20000);
        for (unsigned i = 0; i < 3; i++)
            assert_true(t.out[i] <= 3 * t.in[i]);
    }
    assert_true(t.in[0] > 0 && t.out[0] > 0);
    net_free(n);
}

// ---- cids -------------------------------------------------------------------------------------------------------
static void a_spare_cid_is_always_there(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct net *n = net_new(seed, PACKET_AEGIS256);
        n->loss_pm = (unsigned)(seed % 3) * 50;
        net_connect(n);
        net_run(n, n->now + 2 * USEC_PER_S);
        uint8_t before[2][CID_BYTES];
        for (unsigned move = 0; move < 6; move++) {
            for (unsigned i = 0; i < 2; i++) {
                const struct chan_keys *k = &n->end[i].channel->keys;
                assert_int_equal(k->known_count, move < 3 ? move + 1 : 3);
                assert_int_equal(k->known_used, move < 3 ? move : 3);
                memcpy(before[i], k->out_cid, CID_BYTES);
            }
            channel_moved(n->end[seed % 2].channel, n->now);
            n->end[seed % 2].address = home((unsigned)(seed % 2), 2, 9000 + move);
            end_turn(n, (unsigned)(seed % 2));
            net_run(n, n->now + 3 * USEC_PER_S);
            for (unsigned i = 0; i < 2; i++) { // both took a new one, while there was one
                const struct chan_keys *k = &n->end[i].channel->keys;
                assert_int_equal(memcmp(before[i], k->out_cid, CID_BYTES) != 0, move < 3);
                assert_true(uses(n, i, &n->end[i ^ 1].address));
            }
            assert_false(n->end[0].closed || n->end[1].closed);
        }
        net_run(n, n->now + 125 * USEC_PER_S); // with the next step there are others
        for (unsigned i = 0; i < 2; i++) {
            assert_int_equal(n->end[i].channel->ratchet.step, 2);
            assert_int_equal(n->end[i].channel->keys.known_count, 1);
            assert_int_equal(n->end[i].channel->keys.known_used, 0);
            assert_int_equal(n->end[i].cids, 2);
        }
        net_free(n);
    }
}

static void candidates_are_probed_within_limits(void **state)
{
    (void)state;
    struct moving m;
    struct net *n = moving_new(&m, 17, PACKET_CHACHA20POLY1305, 1500);
    net_connect(n);
    net_run(n, n->now + USEC_PER_S);
    struct path old = n->end[0].address, may[CHANNEL_CANDIDATES_MAX];
    for (unsigned k = 0; k < CHANNEL_CANDIDATES_MAX; k++)
        may[k] = home(0, 100 + k, 6000);
    struct channel_status before, after;
    channel_status(n->end[1].channel, &before);
    channel_candidates(n->end[1].channel, n->now, may, CHANNEL_CANDIDATES_MAX);
    end_turn(n, 1);
    net_run(n, n->now + 5 * USEC_PER_S);
    channel_status(n->end[1].channel, &after);
    assert_int_equal(after.packets_out - before.packets_out,
                     CHANNEL_CANDIDATES_MAX * CHAN_PROBES_MAX);
    assert_true(uses(n, 1, &old)); // a path that works is not left for one that was only named
    // End 0 does not know that its address changed, and says nothing: found only at a candidate.
    n->end[0].address = may[4];
    n->end[1].want[0] = 50;
    end_turn(n, 1);
    NET_UNTIL(n, 2 * USEC_PER_S, n->end[1].channel->reunion.lost);
    channel_candidates(n->end[1].channel, n->now, may, CHANNEL_CANDIDATES_MAX);
    end_turn(n, 1);
    NET_UNTIL(n, 5 * USEC_PER_S, net_done(n));
    assert_true(net_done(n));
    assert_true(uses(n, 1, &may[4]));
    net_free(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rebinding_every_second_loses_nothing),
        cmocka_unit_test(a_move_costs_a_few_round_trips),
        cmocka_unit_test(what_was_learnt_holds_for_another_port_only),
        cmocka_unit_test(who_only_receives_asks),
        cmocka_unit_test(a_chat_follows),
        cmocka_unit_test(there_and_back_again),
        cmocka_unit_test(copies_do_not_move_the_path),
        cmocka_unit_test(a_shorter_way_is_no_reason),
        cmocka_unit_test(the_true_path_is_taken_back),
        cmocka_unit_test(a_moved_end_is_found_among_copies),
        cmocka_unit_test(recorded_answers_prove_nothing),
        cmocka_unit_test(three_times_and_no_more),
        cmocka_unit_test(a_spare_cid_is_always_there),
        cmocka_unit_test(candidates_are_probed_within_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
