// The ratchet: what every accident to every packet round a step leaves behind, ends that are killed in the
// middle of one, asking for a step, wiped keys, and bulk that goes on.
#include "tests/unit/channel/link.h"

#define AROUND 24u // packets of both directions from the beginning of a step on

enum fault { DROPPED, OVERTAKEN, LATE_1S, LATE_10S, TWICE, TWICE_10S, FAULTS };

struct accident {
    unsigned packet; // which one has it
    enum fault fault;
    unsigned seen;
    bool on;
};

static bool happen(struct net *n, unsigned from, const struct path *to, uint8_t *data, size_t *len)
{
    struct accident *a = n->tap_ctx;
    (void)to;
    if (!a->on || a->seen++ != a->packet)
        return true;
    usec_t late = a->fault == OVERTAKEN                           ? 45000
                  : a->fault == LATE_1S                           ? USEC_PER_S
                  : a->fault == LATE_10S || a->fault == TWICE_10S ? 10 * USEC_PER_S
                                                                  : 1;
    if (a->fault != DROPPED)
        inject(n, from ^ 1, &n->end[from].address, data, *len, 0, n->now + n->delay_us + late);
    return a->fault >= TWICE;
}

static void chat(struct net *n, unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++) {
        for (unsigned k = 0; k < 2; k++) {
            n->end[k].want[0] += 60 + 500 * (i % 3);
            end_turn(n, k);
        }
        net_run(n, n->now + 25000);
    }
}

static void expect_step(const struct net *n, uint32_t step, const char *what, unsigned packet)
{
    for (unsigned i = 0; i < 2; i++) {
        const struct end *e = &n->end[i];
        if (e->closed || e->channel->ratchet.step != step)
            fail_msg("%s, packet %u: end %u at step %u of %u, closed %d for reason %d", what,
                     packet, i, e->channel->ratchet.step, step, e->closed, (int)e->reason);
    }
}

// From a new channel to `step` without any accident.
static struct net *at_step(uint64_t seed, enum packet_aead aead, uint32_t step)
{
    struct net *n = net_new(seed, aead);
    if (step == 0)
        return n;
    net_connect(n);
    for (uint32_t s = 1; s < step; s++) {
        net_run(n, n->now + 31 * USEC_PER_S);
        assert_int_equal(channel_step_ask(n->end[s % 2].channel, n->now), 0);
        net_run(n, n->now + USEC_PER_S);
    }
    net_run(n, n->now + (step == 0 ? 0 : 31 * USEC_PER_S));
    expect_step(n, step, "nothing happened", 0);
    return n;
}

// Begins the step after `step`: the third one by the asking of the end whose turn it is not.
static void begin(struct net *n, uint32_t step)
{
    if (step == 0)
        net_start_both(n);
    else
        assert_int_equal(channel_step_ask(n->end[step == 2 ? 1 : step % 2].channel, n->now), 0);
}

static void one_accident(enum packet_aead aead, uint32_t step, struct accident *a)
{
    static const char *const names[] = {"dropped",   "overtaken", "1 s late",
                                        "10 s late", "twice",     "again after 10 s"};
    struct net *n = at_step(1 + a->packet, aead, step);
    n->tap = happen;
    n->tap_ctx = a;
    a->on = true;
    begin(n, step);
    if (step == 0) {
        NET_UNTIL(n, 8 * USEC_PER_S, net_matched(n));
        assert_true(net_matched(n));
    }
    chat(n, 20);
    net_run(n, n->now + 2 * USEC_PER_S);
    expect_step(n, step + 1, names[a->fault], a->packet);
    net_run(n, n->now + 12 * USEC_PER_S);
    chat(n, 2);
    NET_UNTIL(n, 5 * USEC_PER_S, net_done(n));
    if (!net_done(n))
        fail_msg("%s, packet %u, step %u: words got lost", names[a->fault], a->packet, step + 1);
    assert_true(a->seen >= AROUND);
    uint16_t words[2][SAS_WORDS];
    assert_true(channel_words(n->end[0].channel, words[0]));
    assert_true(channel_words(n->end[1].channel, words[1]));
    assert_memory_equal(words[0], words[1], sizeof words[0]);
    net_free(n);
}

static void every_accident_to_every_packet(void **state)
{
    (void)state;
    for (unsigned aead = 0; aead < 2; aead++)
        for (uint32_t step = 0; step < 3; step++)
            for (enum fault fault = 0; fault < FAULTS; fault++)
                for (unsigned packet = 0; packet < AROUND; packet++)
                    one_accident((enum packet_aead)aead, step,
                                 &(struct accident){.packet = packet, .fault = fault});
}

// Either end is killed after each packet of a step.
static void killed_in_each_state(void **state)
{
    (void)state;
    for (uint32_t step = 0; step < 3; step++)
        for (unsigned who = 0; who < 2; who++)
            for (unsigned packet = 0; packet < AROUND; packet++) {
                struct net *n = at_step(3, packet % 2, step);
                struct accident a = {.packet = UINT32_MAX, .on = true};
                n->tap = happen;
                n->tap_ctx = &a;
                begin(n, step);
                for (unsigned i = 0; i < 2; i++)
                    n->end[i].want[0] += 2000;
                usec_t until = n->now + USEC_PER_S;
                while (a.seen < packet && net_step(n, until))
                    ;
                n->end[who].dead = true;
                net_run(n, n->now + 30 * USEC_PER_S);
                struct end *e = &n->end[who ^ 1];
                if (!e->closed || (e->reason != CHANNEL_ENDED_GONE &&
                                   (step > 0 || e->reason != CHANNEL_ENDED_NO_PATH)))
                    fail_msg("step %u, end %u killed after %u packets: closed %d, reason %d",
                             step + 1, who, packet, e->closed, (int)e->reason);
                // Nothing that could open anything is left.
                static const struct packet_keys none;
                const struct chan_keys *k = &e->channel->keys;
                assert_memory_equal(&k->out, &none, sizeof none);
                assert_memory_equal(&k->next_out, &none, sizeof none);
                for (unsigned p = 0; p < CHAN_PHASES; p++)
                    assert_memory_equal(&k->in[p].keys, &none, sizeof none);
                net_free(n); // checks that the arenas are empty
            }
}

// ---- asking ---------------------------------------------------------------------------------------------
static void a_step_can_be_asked_for(void **state)
{
    (void)state;
    struct net *n = net_new(5, PACKET_AEGIS256);
    assert_int_equal(channel_new(&n->end[0].channel, n->now, &n->end[0].config, &n->end[0].arena),
                     0);
    assert_int_equal(channel_step_ask(n->end[0].channel, n->now), BAUTA_ESTATE);
    channel_free(n->end[0].channel);
    net_connect(n);
    usec_t start = n->now;
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(channel_step_ask(n->end[i].channel, n->now), BAUTA_ELIMIT);
    net_run(n, start + CHAN_STEP_US_MIN - 100000);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(channel_step_ask(n->end[i].channel, n->now), BAUTA_ELIMIT);
    net_run(n, start + CHAN_STEP_US_MIN + 1);
    // Step 2 is the responder's: the initiator asks, as often as it likes, and even where it gets lost.
    n->cut = true;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(channel_step_ask(n->end[0].channel, n->now), 0);
        end_turn(n, 0);
    }
    n->cut = false;
    net_run(n, n->now + USEC_PER_S);
    expect_step(n, 2, "asked for", 0);
    // Both wish for the next one in one moment.
    net_run(n, n->now + 31 * USEC_PER_S);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(channel_step_ask(n->end[i].channel, n->now), 0);
    net_run(n, n->now + USEC_PER_S);
    expect_step(n, 3, "asked for by both", 0);
    channel_close(n->end[0].channel, n->now, 0);
    assert_int_equal(channel_step_ask(n->end[0].channel, n->now), BAUTA_ESTATE);
    net_free(n);
}

static void who_forgets_its_turn_is_asked(void **state)
{
    (void)state;
    struct net *n = net_new(6, PACKET_CHACHA20POLY1305);
    net_connect(n);
    usec_t start = n->now;
    struct channel *late = n->end[1].channel;
    // The responder believes that it stepped later than it did.
    late->step_at += 60 * USEC_PER_S;
    net_run(n, start + CHAN_STEP_ASK_US - 10);
    expect_step(n, 1, "not asked yet", 0);
    net_run(n, start + CHAN_STEP_ASK_US + USEC_PER_S);
    expect_step(n, 2, "overdue", 0);
    // The same by bytes.
    n->end[0].channel->step_bytes = n->end[1].channel->step_bytes = 0;
    net_run(n, n->now + USEC_PER_S);
    n->end[1].channel->step_bytes = CHAN_STEP_ASK_BYTES;
    n->end[0].channel->step_bytes = CHAN_STEP_BYTES_MIN;
    net_run(n, n->now + USEC_PER_S);
    expect_step(n, 3, "overdue by bytes", 0);
    net_free(n);
}

// ---- what is left in memory --------------------------------------------------------------------------
static bool holds(const void *memory, size_t len, const uint8_t *secret)
{
    const uint8_t *m = memory;
    for (size_t i = 0; i + 32 <= len; i++)
        if (m[i] == secret[0] && memcmp(m + i, secret, 32) == 0)
            return true;
    return false;
}

static void old_secrets_are_wiped(void **state)
{
    (void)state;
    for (unsigned aead = 0; aead < 2; aead++) {
        struct net *n = net_new(7, (enum packet_aead)aead);
        net_start_both(n);
        uint8_t seed[32], secret[40][32];
        memcpy(seed, n->end[0].channel->ratchet.kem_seed, sizeof seed);
        NET_UNTIL(n, 5 * USEC_PER_S, net_matched(n));
        unsigned secrets = 0;
        memcpy(secret[secrets++], seed, sizeof seed);
        for (uint32_t step = 1; step < 6; step++) {
            for (unsigned i = 0; i < 2; i++) {
                struct channel *c = n->end[i].channel;
                memcpy(secret[secrets++], c->ratchet.root, 32);
                memcpy(secret[secrets++], c->keys.out.key, 32);
                memcpy(secret[secrets++], c->keys.in[c->keys.newest].keys.key, 32);
            }
            net_run(n, n->now + 31 * USEC_PER_S);
            assert_int_equal(channel_step_ask(n->end[step % 2].channel, n->now), 0);
            net_run(n, n->now + 4 * USEC_PER_S); // old keys live for three seconds
            expect_step(n, step + 1, "wiping", 0);
            for (unsigned i = 0; i < 2; i++)
                for (unsigned k = 0; k < secrets; k++)
                    if (holds(n->end[i].channel, sizeof(struct channel), secret[k]))
                        fail_msg("cipher %u, step %u: end %u still holds secret %u", aead, step, i,
                                 k);
        }
        net_free(n);
    }
}

// ---- bulk goes on -----------------------------------------------------------------------------------------
#define ROUND_TRIPS 40u

static void bulk_both_ways(bool steps, uint64_t got[ROUND_TRIPS][2])
{
    struct net *n = net_new(8, PACKET_AEGIS256);
    n->delay_us = 10000;
    net_connect(n);
    net_run(n, n->now + 31 * USEC_PER_S);
    for (unsigned i = 0; i < 2; i++) {
        n->end[i].want[1] = UINT64_C(1) << 40;
        end_turn(n, i);
    }
    for (unsigned round = 0; round < ROUND_TRIPS; round++) {
        if (steps && (round == 3 || round == 10 || round == 20)) {
            struct channel *c[2] = {n->end[0].channel, n->end[1].channel};
            c[0]->step_bytes = c[1]->step_bytes = CHAN_STEP_BYTES_MIN;
            c[ratchet_mine(&c[1]->ratchet)]->step_bytes = CHAN_STEP_BYTES;
        }
        net_run(n, n->now + 2 * n->delay_us);
        for (unsigned i = 0; i < 2; i++)
            got[round][i] = n->end[i].got[1];
    }
    expect_step(n, steps ? 4 : 1, "bulk", 0);
    net_free(n);
}

// In each two round trips of a run with three steps about as much arrives as in one without any.
static void bulk_goes_on_during_steps(void **state)
{
    (void)state;
    uint64_t with[ROUND_TRIPS][2], without[ROUND_TRIPS][2];
    bulk_both_ways(true, with);
    bulk_both_ways(false, without);
    for (unsigned round = 2; round < ROUND_TRIPS; round++)
        for (unsigned i = 0; i < 2; i++) {
            uint64_t there = with[round][i] - with[round - 2][i];
            uint64_t here = without[round][i] - without[round - 2][i];
            if (there + 2 * CHAN_MTU_MAX < here / 10 * 8)
                fail_msg("round trip %u, end %u: %llu bytes for %llu", round, i,
                         (unsigned long long)there, (unsigned long long)here);
        }
    print_message("%llu bytes with steps, %llu without\n",
                  (unsigned long long)with[ROUND_TRIPS - 1][0],
                  (unsigned long long)without[ROUND_TRIPS - 1][0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_accident_to_every_packet),
        cmocka_unit_test(killed_in_each_state),
        cmocka_unit_test(a_step_can_be_asked_for),
        cmocka_unit_test(who_forgets_its_turn_is_asked),
        cmocka_unit_test(old_secrets_are_wiped),
        cmocka_unit_test(bulk_goes_on_during_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
