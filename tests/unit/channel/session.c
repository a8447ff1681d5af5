// Whole sessions of two channels over the simulated link.
#include "tests/unit/channel/link.h"

static void meets_and_talks(void **state)
{
    (void)state;
    for (int aead = 0; aead < 2; aead++) {
        struct net *n = net_new(7, (enum packet_aead)aead);
        n->end[0].want[0] = 20000;
        n->end[1].want[0] = 5000;
        n->end[1].want[3] = 100;
        usec_t start = n->now;
        net_connect(n);
        // RATCHET1 rode beside the first probe: responder ready after 3 one-way trips, initiator after 4.
        assert_int_equal(n->end[1].matched_at - start, 60000);
        assert_int_equal(n->end[0].ready_at - start, 40000);
        assert_int_equal(n->end[0].matched_at - start, 80000);
        uint16_t words[2][SAS_WORDS];
        assert_true(channel_words(n->end[0].channel, words[0]));
        assert_true(channel_words(n->end[1].channel, words[1]));
        assert_memory_equal(words[0], words[1], sizeof words[0]);
        NET_UNTIL(n, 5 * USEC_PER_S, net_done(n));
        assert_true(net_done(n));
        for (int i = 0; i < 2; i++) {
            assert_true(n->end[i].heard && n->end[i].path);
            struct channel_status st;
            channel_status(n->end[i].channel, &st);
            assert_int_equal(st.step, 1);
            assert_int_equal(st.packets_lost, 0);
            assert_in_range(st.srtt_us, 39000, 60000);
            assert_in_range(n->end[i].arena.used_bytes, 1, 32 * 1024);
        }
        channel_close(n->end[0].channel, n->now, 77);
        end_turn(n, 0);
        NET_UNTIL(n, 5 * USEC_PER_S, n->end[0].closed && n->end[1].closed);
        assert_true(n->end[0].closed && n->end[1].closed);
        assert_int_equal(n->end[0].reason, CHANNEL_ENDED_LOCAL);
        assert_int_equal(n->end[1].reason, CHANNEL_ENDED_PEER);
        assert_int_equal(n->end[1].code, 77);
        net_free(n);
    }
}

// ---- many seeds -----------------------------------------------------------------------------------------
static void one_seed(uint64_t seed)
{
    struct net *n = net_new(seed, seed % 2 ? PACKET_AEGIS256 : PACKET_CHACHA20POLY1305);
    struct prng p = {seed * 77};
    static const usec_t delays[] = {100, 1000, 20000, 80000, 150000};
    n->delay_us = delays[prng_next(&p) % 5];
    n->jitter_us = prng_next(&p) % (n->delay_us + 1);
    n->loss_pm = (unsigned)(prng_next(&p) % 4) * 50;
    n->dup_pm = (unsigned)(prng_next(&p) % 3) * 50;
    n->reorder_pm = (unsigned)(prng_next(&p) % 3) * 50;
    for (unsigned i = 0; i < 2; i++) {
        for (unsigned s = 0; s < CHANNEL_STREAMS_MAX; s++)
            n->end[i].want[s] = prng_next(&p) % 3 == 0 ? prng_next(&p) % 40000 : 0;
        n->end[i].config.rtt_hint_us = prng_next(&p) % 2 ? 2 * n->delay_us : 0;
        n->end[i].config.receive_bytes = prng_next(&p) % 2 ? 1 : 0; // the smallest, or the default
    }
    n->end[0].config.observed = prng_next(&p) % 3 == 0 ? 9 : 0;
    net_start(n, 0);
    net_run(n, n->now + prng_next(&p) % 200000); // the confirm is on its way
    net_start(n, 1);
    NET_UNTIL(n, 10 * USEC_PER_S, net_matched(n) || n->end[0].closed || n->end[1].closed);
    if (!net_matched(n))
        fail_msg("seed %llu: not matched (reasons %d %d)", (unsigned long long)seed,
                 n->end[0].reason, n->end[1].reason);
    NET_UNTIL(n, 120 * USEC_PER_S, net_done(n));
    if (!net_done(n))
        fail_msg("seed %llu: not everything arrived", (unsigned long long)seed);
    uint16_t words[2][SAS_WORDS];
    assert_true(channel_words(n->end[0].channel, words[0]) &&
                channel_words(n->end[1].channel, words[1]));
    assert_memory_equal(words[0], words[1], sizeof words[0]);
    // A last message and a close in one breath: it still arrives.
    n->end[0].want[0] += 3000;
    end_turn(n, 0);
    channel_close(n->end[0].channel, n->now, 1);
    // Where every CLOSE is lost, silence tells: PING after 20 s, gone 8 s later.
    NET_UNTIL(n, 29 * USEC_PER_S, n->end[0].closed && n->end[1].closed);
    if (!n->end[0].closed || !n->end[1].closed)
        fail_msg("seed %llu: not closed (%d %d)", (unsigned long long)seed, n->end[0].closed,
                 n->end[1].closed);
    if (n->loss_pm == 0)
        assert_int_equal(n->end[1].got[0], n->end[0].want[0]);
    net_free(n);
}

static void many_seeds(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 150; seed++)
        one_seed(seed);
}

static void a_late_responder_costs_little(void **state)
{
    (void)state;
    // The confirm takes longer than the first RATCHET1, which finds nobody. Times on one computer.
    static const usec_t late[] = {0, 100, 300, 1000, 5000, 40000, 300000};
    for (unsigned i = 0; i < sizeof late / sizeof *late; i++)
        for (int hint = 0; hint < 2; hint++) {
            struct net *n = net_new(90 + i, PACKET_AEGIS256);
            n->delay_us = 50;
            n->end[0].config.rtt_hint_us = n->end[1].config.rtt_hint_us = hint ? 200 : 0;
            net_start(n, 0);
            net_run(n, n->now + late[i]);
            net_start(n, 1);
            usec_t start = n->now;
            NET_UNTIL(n, 2 * USEC_PER_S, net_matched(n));
            assert_true(net_matched(n));
            // Probe, challenge and response, RATCHET1 and 2, RATCHET3 and 4: seven one-way trips.
            assert_in_range(n->now - start, 1, 350);
            net_free(n);
        }
}

// The responder is late, as where the confirm takes longer than the first RATCHET1, and its answers to
// challenges are lost: the initiator soon has sent all that it may to an address that has not answered, and
// the responder, whose path is proved, only waits.
static void bad_luck_is_no_standstill(void **state)
{
    (void)state;
    unsigned apart = 0;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        struct net *n = net_new(seed, seed % 2 == 0 ? PACKET_AEGIS256 : PACKET_CHACHA20POLY1305);
        n->delay_us = 60 * USEC_PER_MS;
        n->loss_pm = 350;
        usec_t start = n->now;
        net_start(n, 0);
        net_run(n, n->now + 80 * USEC_PER_MS);
        net_start(n, 1);
        NET_UNTIL(n, 20 * USEC_PER_S, net_matched(n) || (n->end[0].closed && n->end[1].closed));
        for (unsigned i = 0; i < 2; i++) {
            struct end *e = &n->end[i];
            // Nobody is accused, nobody stays in what has come to nothing, nobody is told of it.
            if (e->closed && e->reason == CHANNEL_ENDED_PROTOCOL)
                fail_msg("seed %llu: end %u found fault", (unsigned long long)seed, i);
            if (e->closed && (e->matched || e->closed_at > start + 8 * USEC_PER_S))
                fail_msg("seed %llu: end %u stayed", (unsigned long long)seed, i);
        }
        apart += !net_matched(n);
        net_free(n);
    }
    assert_in_range(apart, 0, 8); // where all three probes of an end are lost: meet tries again
}

// ---- the end ----------------------------------------------------------------------------------------------
static void no_path_in_two_seconds(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct net *n = net_new(3, PACKET_CHACHA20POLY1305);
        struct end *e = &n->end[i];
        for (unsigned k = 1; k < CHANNEL_CANDIDATES_MAX; k++) {
            e->config.candidate[k] =
                (struct path){.ip = {10, 0, 9, (uint8_t)k}, .port = 5000, .family = 4};
            e->config.candidates++;
        }
        usec_t start = n->now;
        net_start(n, i);
        net_run(n, start + 10 * USEC_PER_S);
        assert_true(e->closed);
        assert_int_equal(e->reason, CHANNEL_ENDED_NO_PATH);
        assert_int_equal(e->closed_at - start, 2 * USEC_PER_S);
        // Three probes a candidate, and RATCHET1 once, in two packets.
        struct channel_status st;
        channel_status(e->channel, &st);
        assert_int_equal(st.packets_out, 3 * 6 + (i == 0 ? 2 : 0));
        assert_int_equal(channel_deadline(e->channel), USEC_NEVER);
        net_free(n);
    }
}

static void a_killed_peer_is_gone(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct net *n = net_new(seed, PACKET_AEGIS256);
        net_connect(n);
        net_run(n, n->now + seed * 7 * USEC_PER_S);
        assert_false(n->end[0].closed);
        n->end[1].dead = true;
        usec_t died = n->now;
        net_run(n, died + 60 * USEC_PER_S);
        assert_true(n->end[0].closed);
        assert_int_equal(n->end[0].reason, CHANNEL_ENDED_GONE);
        assert_in_range(n->end[0].closed_at - died, 8 * USEC_PER_S, 28500 * USEC_PER_MS);
        net_free(n);
    }
}

static void close_in_each_state(void **state)
{
    (void)state;
    // At every moment of the first 200 ms, from either end.
    for (unsigned who = 0; who < 2; who++)
        for (usec_t at = 0; at <= 200000; at += 5000) {
            struct net *n = net_new(at + who, PACKET_CHACHA20POLY1305);
            n->end[0].want[0] = n->end[1].want[0] = 100;
            net_start_both(n);
            net_run(n, n->now + at);
            channel_close(n->end[who].channel, n->now, 5);
            channel_close(n->end[who].channel, n->now, 6); // changes nothing
            end_turn(n, who);
            net_run(n, n->now + 15 * USEC_PER_S);
            assert_true(n->end[0].closed && n->end[1].closed);
            assert_int_equal(n->end[who].reason, CHANNEL_ENDED_LOCAL);
            enum channel_reason other = n->end[who ^ 1].reason;
            assert_true(
                other == CHANNEL_ENDED_PEER || other == CHANNEL_ENDED_NO_PATH ||
                (at < 20000 && other == CHANNEL_ENDED_GONE)); // closed before it knew a path
            if (other == CHANNEL_ENDED_PEER)
                assert_int_equal(n->end[who ^ 1].code, 5);
            assert_int_equal(
                channel_stream_send(n->end[who].channel, n->now, 0, (const uint8_t *)"x", 1),
                BAUTA_ESTATE);
            net_free(n);
        }
}

static void unread_data_comes_before_closed(void **state)
{
    (void)state;
    struct net *n = net_new(11, PACKET_CHACHA20POLY1305);
    net_connect(n);
    n->end[1].lazy = true;
    n->end[0].want[2] = 9000;
    NET_UNTIL(n, USEC_PER_S,
              channel_stream_pending(n->end[0].channel, 2) == 0 && n->end[0].sent[2] == 9000);
    n->end[1].lazy = false;
    channel_close(n->end[0].channel, n->now, 9);
    end_turn(n, 0);
    NET_UNTIL(n, 5 * USEC_PER_S, n->end[1].closed);
    assert_true(n->end[1].closed);
    end_read(n, 1, 2);
    assert_int_equal(n->end[1].got[2], 9000);
    net_free(n);
}

// ---- long life ---------------------------------------------------------------------------------------------
static void ratchets_for_ten_minutes(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct net *n = net_new(seed, seed % 2 ? PACKET_AEGIS256 : PACKET_CHACHA20POLY1305);
        n->loss_pm = seed > 2 ? 50 : 0;
        n->jitter_us = 5000;
        n->reorder_pm = 50;
        net_connect(n);
        usec_t start = n->now;
        for (unsigned s = 0; s < 1200; s++) {
            n->end[s % 2].want[0] += 700;
            net_run(n, start + s * USEC_PER_S / 2);
            if (n->end[0].closed || n->end[1].closed)
                fail_msg("seed %llu: closed after %u half seconds (%d %d)",
                         (unsigned long long)seed, s, n->end[0].reason, n->end[1].reason);
        }
        NET_UNTIL(n, 10 * USEC_PER_S, net_done(n));
        assert_true(net_done(n));
        for (unsigned i = 0; i < 2; i++) {
            struct channel_status st;
            channel_status(n->end[i].channel, &st);
            assert_in_range(st.step, 5,
                            6); // at 0, 120, 240, 360, 480 s: the phase has come round to 1
            assert_in_range(n->end[i].cids, 2, 4);
            assert_in_range(n->end[i].channel->seen.ranges, 1,
                            8); // old holes are not told for ever
            assert_in_range(n->end[i].arena.used_bytes, 1, 32 * 1024);
        }
        net_free(n);
    }
}

static void ratchets_by_bytes_under_load(void **state)
{
    (void)state;
    // Steps every 20 ms in the middle of a lossy bulk: four phases at once in flight, nothing is lost.
    struct net *n = net_new(23, PACKET_AEGIS256);
    n->delay_us = 3000;
    n->jitter_us = 1000;
    n->loss_pm = n->reorder_pm = n->dup_pm = 20;
    net_connect(n);
    n->end[0].want[0] = 48000000;
    n->end[1].want[1] = 24000000;
    end_turn(n, 0);
    end_turn(n, 1);
    for (unsigned i = 0; i < 1000 && !net_done(n); i++) {
        struct channel *a = n->end[0].channel, *b = n->end[1].channel;
        if (a->ratchet.step == b->ratchet.step && !a->keys.switch_waits && !b->keys.switch_waits)
            a->step_bytes = b->step_bytes = CHAN_STEP_BYTES;
        net_run(n, n->now + 20000);
        assert_true(chan_alive(n->end[0].channel) && chan_alive(n->end[1].channel));
    }
    assert_true(net_done(n));
    struct channel_status st;
    channel_status(n->end[0].channel, &st);
    assert_in_range(st.step, 10, 1000);
    net_free(n);
}

static void idle_end_pings(void **state)
{
    (void)state;
    struct net *n = net_new(21, PACKET_CHACHA20POLY1305);
    net_connect(n);
    net_run(n, n->now + USEC_PER_S);
    uint64_t before[2] = {n->end[0].channel->packets_out, n->end[1].channel->packets_out};
    net_run(n, n->now + 100 * USEC_PER_S);
    assert_false(n->end[0].closed || n->end[1].closed);
    uint64_t sent =
        n->end[0].channel->packets_out - before[0] + n->end[1].channel->packets_out - before[1];
    assert_in_range(sent, 2 * 4, 2 * 7); // a PING and its ACK every 16 to 20 s
    net_free(n);
}

// ---- bulk ----------------------------------------------------------------------------------------------------
static void bulk(void **state)
{
    (void)state;
    static const unsigned losses[] = {0, 10, 50};
    for (unsigned i = 0; i < 3; i++) {
        struct net *n = net_new(31 + i, PACKET_AEGIS256);
        n->delay_us = 2000;
        n->jitter_us = 200;
        n->loss_pm = losses[i];
        net_connect(n);
        usec_t start = n->now;
        n->end[0].want[0] = 10000000;
        end_turn(n, 0);
        NET_UNTIL(n, 600 * USEC_PER_S, net_done(n) || n->end[0].closed);
        if (!net_done(n))
            fail_msg("loss %u: %llu of %llu bytes", losses[i], (unsigned long long)n->end[1].got[0],
                     (unsigned long long)n->end[0].want[0]);
        struct channel_status st;
        channel_status(n->end[0].channel, &st);
        print_message("10 MB, %u per mille lost: %llu ms, %llu packets, %llu lost\n", losses[i],
                      (unsigned long long)(n->now - start) / 1000,
                      (unsigned long long)st.packets_out, (unsigned long long)st.packets_lost);
        if (losses[i] == 0)
            assert_in_range(n->now - start, 1, 300 * USEC_PER_MS);
        assert_in_range(st.packets_out, 6800, 12000);
        net_run(n, n->now + 45 * USEC_PER_S);
        for (unsigned k = 0; k < 2; k++) // idle again: what bulk took is given back
            assert_in_range(n->end[k].arena.used_bytes, 1, 32 * 1024);
        net_free(n);
    }
}

static void a_reader_that_stops_stops_the_writer(void **state)
{
    (void)state;
    struct net *n = net_new(41, PACKET_CHACHA20POLY1305);
    n->end[1].config.receive_bytes = 256 * 1024;
    net_connect(n);
    n->end[1].lazy = true;
    n->end[0].want[0] = 6u << 20;
    net_run(n, n->now + 5 * USEC_PER_S);
    assert_in_range(n->end[1].arena.used_bytes, 64 * 1024, (256 + 64) * 1024);
    assert_true(n->end[0].sent[0] < n->end[0].want[0]);
    // Another stream still gets through.
    n->end[0].want[1] = 1000;
    end_turn(n, 0);
    net_run(n, n->now + USEC_PER_S);
    n->end[1].lazy = false;
    end_read(n, 1, 1);
    assert_int_equal(n->end[1].got[1], 1000);
    end_read(n, 1, 0);
    end_turn(n, 1);
    NET_UNTIL(n, 60 * USEC_PER_S, net_done(n));
    assert_true(net_done(n));
    net_run(n, n->now + 45 * USEC_PER_S); // what it took is given back
    assert_in_range(n->end[0].arena.used_bytes, 1, 32 * 1024);
    assert_in_range(n->end[1].arena.used_bytes, 1, 32 * 1024);
    net_free(n);
}

// ---- paths -----------------------------------------------------------------------------------------------------
static void dead_candidates_do_no_harm(void **state)
{
    (void)state;
    for (unsigned observed = 0; observed <= 6; observed++) {
        struct net *n = net_new(60 + observed, PACKET_CHACHA20POLY1305);
        for (unsigned i = 0; i < 2; i++) {
            struct channel_config *c = &n->end[i].config;
            c->candidates = 6;
            for (unsigned k = 0; k < 6; k++)
                c->candidate[k] =
                    (struct path){.ip = {10, 0, 9, (uint8_t)k}, .port = 5000, .family = 4};
            c->candidate[4] = address_of(i ^ 1);
            c->observed = (uint8_t)observed;
        }
        usec_t start = n->now;
        net_connect(n);
        // Where RATCHET1 missed, it follows as soon as a path is known.
        assert_in_range(n->end[0].matched_at - start, 80000, 140000);
        struct path used = address_of(1);
        assert_memory_equal(&n->end[0].path_used, &used, sizeof used);
        net_free(n);
    }
}

static void an_unknown_address_is_learnt(void **state)
{
    (void)state;
    // The responder has none of the initiator's true addresses: only what it hears leads there.
    struct net *n = net_new(71, PACKET_CHACHA20POLY1305);
    n->end[1].config.candidate[0].ip[3] = 99;
    net_connect(n);
    n->end[1].want[0] = 30000;
    NET_UNTIL(n, 5 * USEC_PER_S, net_done(n));
    assert_true(net_done(n));
    struct path used = address_of(0);
    assert_memory_equal(&n->end[1].path_used, &used, sizeof used);
    // It moves (its NAT forgot it): the conversation follows.
    n->end[0].address.port = 7777;
    n->end[0].want[0] = n->end[1].want[0] += 30000;
    end_turn(n, 0);
    end_turn(n, 1);
    NET_UNTIL(n, 8 * USEC_PER_S, net_done(n));
    assert_true(net_done(n));
    assert_int_equal(n->end[1].path_used.port, 7777);
    net_free(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(meets_and_talks),
        cmocka_unit_test(many_seeds),
        cmocka_unit_test(a_late_responder_costs_little),
        cmocka_unit_test(bad_luck_is_no_standstill),
        cmocka_unit_test(no_path_in_two_seconds),
        cmocka_unit_test(a_killed_peer_is_gone),
        cmocka_unit_test(close_in_each_state),
        cmocka_unit_test(unread_data_comes_before_closed),
        cmocka_unit_test(ratchets_for_ten_minutes),
        cmocka_unit_test(ratchets_by_bytes_under_load),
        cmocka_unit_test(idle_end_pings),
        cmocka_unit_test(bulk),
        cmocka_unit_test(a_reader_that_stops_stops_the_writer),
        cmocka_unit_test(dead_candidates_do_no_harm),
        cmocka_unit_test(an_unknown_address_is_learnt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
