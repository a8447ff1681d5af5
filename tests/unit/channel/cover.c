// Cover traffic: what an observer writes down is the same whether somebody speaks or not, and words still come
// through. And the classes of packets without it.
#include "tests/unit/channel/link.h"

#define NOTES_MAX 20000u

struct notes { // an observer on the wire
    unsigned count;
    struct {
        usec_t at;
        uint16_t len;
        uint8_t from;
    } note[NOTES_MAX];
};

static bool observe(struct net *n, unsigned from, const struct path *to, uint8_t *data, size_t *len)
{
    struct notes *o = n->tap_ctx;
    (void)to;
    (void)data;
    assert_true(o->count < NOTES_MAX);
    o->note[o->count].at = n->now;
    o->note[o->count].len = (uint16_t)*len;
    o->note[o->count++].from = (uint8_t)from;
    return true;
}

struct scene {
    enum packet_aead aead;
    enum channel_cover level[2];
    unsigned loss_pm;
    bool talk[2];
    bool brief; // no letters
    usec_t for_us;
};

static struct net *play(const struct scene *s, struct notes *o)
{
    struct net *n = net_new(21, s->aead);
    struct prng p = {77};
    n->loss_pm = s->loss_pm;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(
            channel_new(&n->end[i].channel, n->now, &n->end[i].config, &n->end[i].arena), 0);
        channel_cover(n->end[i].channel, n->now, s->level[i]);
        end_turn(n, i);
    }
    NET_UNTIL(n, 10 * USEC_PER_S, net_matched(n));
    assert_true(net_matched(n));
    net_run(n, n->now + USEC_PER_S);
    o->count = 0;
    n->tap = observe;
    n->tap_ctx = o;
    usec_t end = n->now + s->for_us;
    // Typing notices, receipts, words, and now and then a letter of 16 KiB.
    while (n->now < end) {
        usec_t wait = prng_next(&p) % (2 * USEC_PER_S);
        net_run(n, n->now + wait < end ? n->now + wait : end);
        unsigned who = prng_next(&p) % 2;
        unsigned len =
            prng_next(&p) % 40 == 0 && !s->brief ? 16384 : 8 + (unsigned)(prng_next(&p) % 200);
        if (s->talk[who] && n->now < end - 30 * USEC_PER_S) {
            n->end[who].want[0] += len;
            end_turn(n, who);
        }
    }
    return n;
}

static void expect_same(const struct notes *a, const struct notes *b)
{
    for (unsigned i = 0; i < a->count && i < b->count; i++)
        if (a->note[i].at != b->note[i].at || a->note[i].len != b->note[i].len ||
            a->note[i].from != b->note[i].from)
            fail_msg("note %u: %llu us, end %u, %u bytes; with words %llu us, end %u, %u bytes", i,
                     (unsigned long long)a->note[i].at, a->note[i].from, a->note[i].len,
                     (unsigned long long)b->note[i].at, b->note[i].from, b->note[i].len);
    assert_int_equal(a->count, b->count);
}

static void words_leave_no_trace(void **state)
{
    (void)state;
    struct notes *silent = calloc(1, sizeof *silent), *spoken = calloc(1, sizeof *spoken);
    assert_non_null(silent);
    assert_non_null(spoken);
    for (unsigned i = 0; i < 8; i++) {
        enum channel_cover level = i & 1 ? CHANNEL_COVER_HIGH : CHANNEL_COVER_LOW;
        struct scene s = {.aead = (enum packet_aead)(i >> 1 & 1),
                          .level = {level, i & 4 ? CHANNEL_COVER_HIGH : level},
                          .loss_pm = i & 4 ? 50 : 0,
                          .for_us = 500 * USEC_PER_S}; // with ratchet steps
        struct net *n = play(&s, silent);
        net_free(n);
        s.talk[0] = s.talk[1] = true;
        n = play(&s, spoken);
        expect_same(silent, spoken);
        for (unsigned k = 0; k < 2; k++) {
            uint64_t said = n->end[k].want[0], heard = n->end[k ^ 1].got[0];
            assert_true(said > 10000);
            if (level == CHANNEL_COVER_HIGH)
                assert_int_equal(heard, said);
            assert_true(heard > said / 2); // letters take a minute at one tick a second
            assert_in_range(n->end[k].channel->ratchet.step, 4, 5);
        }
        net_free(n);
    }
    free(silent);
    free(spoken);
}

static void only_the_covered_end_is_hidden(void **state)
{
    (void)state;
    // One end covers, the other does not: what the first says can't be seen, as long as the other is silent.
    struct notes *silent = calloc(1, sizeof *silent), *spoken = calloc(1, sizeof *spoken);
    assert_non_null(silent);
    assert_non_null(spoken);
    for (unsigned who = 0; who < 2; who++) {
        struct scene s = {.aead = PACKET_AEGIS256, .brief = true, .for_us = 90 * USEC_PER_S};
        s.level[who] = CHANNEL_COVER_HIGH;
        net_free(play(&s, silent));
        s.talk[who] = true;
        struct net *n = play(&s, spoken);
        expect_same(silent, spoken);
        assert_in_range(n->end[who].want[0], 2000, CHAN_CREDIT_QUIET);
        assert_int_equal(n->end[who ^ 1].got[0], n->end[who].want[0]);
        net_free(n);
        s.talk[who] = false;
        s.talk[who ^ 1] = true; // the other's words are to be seen
        net_free(play(&s, spoken));
        assert_true(spoken->count > silent->count + 20);
    }
    free(silent);
    free(spoken);
}

static void ticks_have_one_size_and_their_times(void **state)
{
    (void)state;
    struct notes *o = calloc(1, sizeof *o);
    assert_non_null(o);
    static const struct {
        enum channel_cover level;
        usec_t interval;
    } levels[] = {{CHANNEL_COVER_LOW, CHAN_COVER_LOW_US}, {CHANNEL_COVER_HIGH, CHAN_COVER_HIGH_US}};
    for (unsigned i = 0; i < 2; i++) {
        struct scene s = {.level = {levels[i].level, CHANNEL_COVER_OFF},
                          .talk = {true, false},
                          .loss_pm = 50 * i,
                          .for_us = 100 * USEC_PER_S};
        net_free(play(&s, o));
        usec_t last = 0;
        unsigned ticks = 0;
        uint64_t bytes = 0;
        for (unsigned k = 0; k < o->count; k++) {
            if (o->note[k].from != 0)
                continue;
            bytes += o->note[k].len;
            if (o->note[k].len != CHAN_COVER_BYTES) {
                assert_true(o->note[k].len <= CLASS_SMALL); // ACKs of the other's words, pings
                continue;
            }
            if (last > 0)
                assert_in_range(o->note[k].at - last, levels[i].interval * 3 / 4,
                                levels[i].interval * 5 / 4);
            last = o->note[k].at;
            ticks++;
        }
        assert_in_range(ticks, s.for_us / levels[i].interval * 9 / 10,
                        s.for_us / levels[i].interval * 11 / 10);
        print_message("level %u: %llu bytes in 100 s\n", i + 1, (unsigned long long)bytes);
    }
    free(o);
}

static void bulk_is_not_held_up(void **state)
{
    (void)state;
    // A file goes as fast as without cover; words still wait for ticks, and arrive.
    for (unsigned who = 0; who < 2; who++) {
        struct net *n = net_new(31, PACKET_CHACHA20POLY1305);
        net_connect(n);
        for (unsigned i = 0; i < 2; i++)
            channel_cover(n->end[i].channel, n->now, CHANNEL_COVER_LOW);
        usec_t start = n->now;
        n->end[who].want[1] = 8u << 20;
        n->end[who].want[0] = 1000;
        end_turn(n, who);
        NET_UNTIL(n, 60 * USEC_PER_S, n->end[who ^ 1].got[1] == 8u << 20);
        print_message("8 MiB under cover: %llu ms\n", (unsigned long long)(n->now - start) / 1000);
        assert_in_range(n->now - start, 1, 2 * USEC_PER_S);
        assert_in_range(n->end[who ^ 1].got[0], 0, 600);
        NET_UNTIL(n, 10 * USEC_PER_S, n->end[who ^ 1].got[0] == 1000);
        assert_int_equal(n->end[who ^ 1].got[0], 1000);
        net_free(n);
    }
    // Under loss, too, at the tail as well.
    struct net *n = net_new(32, PACKET_AEGIS256);
    n->loss_pm = 50;
    net_connect(n);
    for (unsigned i = 0; i < 2; i++)
        channel_cover(n->end[i].channel, n->now, CHANNEL_COVER_LOW);
    for (unsigned i = 0; i < 20; i++) {
        usec_t start = n->now;
        n->end[0].want[2] += 5000;
        end_turn(n, 0);
        NET_UNTIL(n, 60 * USEC_PER_S, n->end[1].got[2] == n->end[0].want[2]);
        assert_in_range(n->now - start, 1, 1500000);
    }
    net_free(n);
}

static void goodbyes_and_switching(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct net *n = net_new(41 + i, PACKET_AEGIS256);
        net_connect(n);
        struct channel *c = n->end[0].channel;
        struct channel_status st;
        channel_cover(c, n->now, CHANNEL_COVER_LOW);
        usec_t at = c->cover.at;
        net_run(n, n->now + 1000);
        channel_cover(c, n->now, CHANNEL_COVER_LOW); // no news
        assert_int_equal(c->cover.at, at);
        channel_status(c, &st);
        assert_int_equal(st.cover, CHANNEL_COVER_LOW);
        uint8_t data[200] = {0}; // a datagram would show
        assert_int_equal(end_datagram(n, 0, data, sizeof data), BAUTA_ESTATE);
        n->end[0].want[0] = 600;
        end_turn(n, 0);
        net_run(n, n->now + 500000);
        assert_int_equal(n->end[1].got[0], 0);
        if (i == 0) { // what waits comes at once when it is switched off
            channel_cover(c, n->now, CHANNEL_COVER_OFF);
            end_turn(n, 0);
            net_run(n, n->now + 100000);
            assert_int_equal(c->cover.at, USEC_NEVER);
        } else { // and with the next ticks where the conversation ends
            channel_close(c, n->now, 3);
            NET_UNTIL(n, 20 * USEC_PER_S, n->end[1].closed);
            assert_true(n->end[1].closed);
            assert_int_equal(n->end[1].reason, CHANNEL_ENDED_PEER);
            end_read(n, 1, 0);
        }
        assert_int_equal(n->end[1].got[0], 600);
        net_free(n);
    }
    // The machine slept: one tick, not all that were missed.
    struct chan_cover v;
    struct prng p = {5};
    chan_cover_init(&v);
    chan_cover_set(&v, 1000, CHANNEL_COVER_HIGH, &(struct rng){prng_fill, &p});
    chan_cover_tick(&v, 3600 * USEC_PER_S);
    assert_in_range(v.at, 3600 * USEC_PER_S + 1, 3600 * USEC_PER_S + CHAN_COVER_HIGH_US * 5 / 4);
}

// ---- without cover ----------------------------------------------------------------------------------------
static void chat_has_few_sizes(void **state)
{
    (void)state;
    // What each kind of message costs on the wire, beside the ACK of 64 bytes that answers it.
    static const struct {
        unsigned len;               // a frame of node/talk
        uint16_t size[2];           // with ChaCha20-Poly1305 and with AEGIS-256
    } kinds[] = {{7, {192, 192}},   // typing, a receipt of one of the first 23 messages, leave
                 {11, {192, 192}},  // a receipt of a later one
                 {20, {192, 192}},  // "hello there"
                 {110, {192, 192}}, // a sentence or two
                 {150, {192, 320}}, // more
                 {260, {320, 320}}, {600, {704, 704}}}; // a paragraph
    struct notes *o = calloc(1, sizeof *o);
    assert_non_null(o);
    for (unsigned aead = 0; aead < 2; aead++)
        for (unsigned k = 0; k < sizeof kinds / sizeof *kinds; k++) {
            struct net *n = net_new(51, (enum packet_aead)aead);
            net_connect(n);
            net_run(n, n->now + USEC_PER_S);
            n->tap = observe;
            n->tap_ctx = o;
            o->count = 0;
            n->end[0].want[0] = kinds[k].len;
            end_turn(n, 0);
            net_run(n, n->now + USEC_PER_S);
            assert_int_equal(o->note[0].len, kinds[k].size[aead]);
            assert_int_equal(o->note[1].len,
                             CLASS_TINY); // its ACK, as that of a PING and a PING itself
            assert_int_equal(o->count, 2);
            net_free(n);
        }
    free(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_leave_no_trace),
        cmocka_unit_test(only_the_covered_end_is_hidden),
        cmocka_unit_test(ticks_have_one_size_and_their_times),
        cmocka_unit_test(bulk_is_not_held_up),
        cmocka_unit_test(goodbyes_and_switching),
        cmocka_unit_test(chat_has_few_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
