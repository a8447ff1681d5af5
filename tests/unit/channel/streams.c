// Streams: who goes first, what bulk leaves to text, and windows that grow.
#include "tests/unit/channel/link.h"

// ---- the order of one sender ----------------------------------------------------------------------------
struct desk {
    struct arena arena;
    struct chan_streams s;
};

static void desk_open(struct desk *d, size_t cap)
{
    memory_arena(&d->arena, cap);
    chan_streams_init(&d->s, &d->arena, CHAN_RECEIVE_BYTES);
}

static void desk_close(struct desk *d)
{
    chan_streams_free(&d->s);
    assert_int_equal(d->arena.used_bytes, 0);
    arena_end(&d->arena);
}

static void write_all(struct desk *d, unsigned stream, size_t len)
{
    static const uint8_t zero[100000];
    assert_true(len <= sizeof zero);
    assert_int_equal(chan_streams_write(&d->s, stream, zero, len), len);
}

static void credit(struct desk *d, uint8_t stream, uint64_t limit)
{
    struct chan_frame f = {.type = CHAN_MAX_DATA, .stream = stream, .offset = limit};
    assert_int_equal(chan_streams_on_max_data(&d->s, &f), 0);
}

static struct chan_chunk take(struct desk *d, size_t len)
{
    struct chan_chunk c = {0};
    assert_true(chan_streams_take(&d->s, UINT8_MAX, len, &c));
    return c;
}

static void text_goes_before_bulk(void **state)
{
    (void)state;
    struct desk d;
    desk_open(&d, 8u << 20);
    write_all(&d, 1, 30000);
    struct chan_chunk bulk = take(&d, 1000);
    assert_int_equal(bulk.stream, 1);
    write_all(&d, 0, 3000);
    struct chan_chunk text = take(&d, 1000);
    assert_int_equal(text.stream, 0);
    chan_streams_lost(&d.s, &bulk);
    chan_streams_lost(&d.s, &text);
    // Text that was lost, new text, bulk that was lost, new bulk.
    struct chan_chunk c = take(&d, 1000);
    assert_true(c.stream == 0 && c.offset == 0 && c.len == 1000);
    c = take(&d, 5000);
    assert_true(c.stream == 0 && c.offset == 1000 && c.len == 2000);
    c = take(&d, 1000);
    assert_true(c.stream == 1 && c.offset == 0);
    c = take(&d, 1000);
    assert_true(c.stream == 1 && c.offset == 1000);
    // Only what the mask allows.
    write_all(&d, 0, 10);
    assert_false(chan_streams_take(&d.s, 1u << 2, 1000, &c));
    assert_true(chan_streams_take(&d.s, d.s.bulk, 1000, &c));
    assert_int_equal(c.stream, 1);
    // What is declared text is text.
    write_all(&d, 3, 10);
    chan_streams_class(&d.s, 3, CHANNEL_TEXT);
    chan_streams_class(&d.s, 0, CHANNEL_BULK);
    assert_int_equal(take(&d, 1000).stream, 3);
    desk_close(&d);
}

static void streams_of_a_class_share_alike(void **state)
{
    (void)state;
    struct desk d;
    desk_open(&d, 8u << 20);
    size_t got[CHANNEL_STREAMS_MAX] = {0};
    credit(&d, CHAN_WHOLE_CHANNEL, 1u << 20);
    for (unsigned i = 1; i < CHANNEL_STREAMS_MAX; i += 2)
        write_all(&d, i, 50000);
    for (unsigned n = 0; n < 100; n++) {
        struct chan_chunk c = take(&d, 1000);
        got[c.stream] += c.len;
        if (n == 50) // what is lost does not give a stream more than its turn
            chan_streams_lost(&d.s, &c);
    }
    for (unsigned i = 1; i < CHANNEL_STREAMS_MAX; i += 2)
        assert_in_range(got[i], 24000, 26000);
    desk_close(&d);
}

// No more waits than the next round trip carries; who was turned away is asked again in time.
static void what_waits_to_be_sent_follows_the_window(void **state)
{
    (void)state;
    static const uint8_t zero[1u << 20];
    struct desk d;
    desk_open(&d, 16u << 20);
    credit(&d, CHAN_WHOLE_CHANNEL, 64u << 20);
    credit(&d, 1, 64u << 20);
    assert_int_equal(chan_streams_write(&d.s, 1, zero, sizeof zero), CHAN_UNSENT_BYTES_MIN);
    assert_int_equal(chan_streams_write(&d.s, 1, zero, sizeof zero), 0);
    chan_streams_keep_ready(&d.s, 512u << 10);
    assert_int_equal(chan_streams_write(&d.s, 1, zero, sizeof zero),
                     (512u << 10) - CHAN_UNSENT_BYTES_MIN);
    // Half of it is sent, and none is acknowledged.
    for (uint64_t sent = 0; sent < 256u << 10;) {
        assert_int_equal(d.s.writable, 0);
        sent += take(&d, 1024).len;
    }
    assert_int_equal(d.s.writable, 1u << 1);
    assert_int_equal(chan_streams_write(&d.s, 1, zero, sizeof zero), 256u << 10);
    // A window of any size keeps no more than a stream may hold.
    chan_streams_keep_ready(&d.s, UINT64_MAX);
    uint64_t held = 768u << 10;
    for (size_t n; (n = chan_streams_write(&d.s, 1, zero, sizeof zero)) > 0;)
        held += n;
    assert_int_equal(held, CHAN_SEND_BYTES);
    desk_close(&d);
}

static void bulk_leaves_credit_to_text(void **state)
{
    (void)state;
    struct desk d;
    struct chan_chunk c;
    desk_open(&d, 8u << 20);
    write_all(&d, 1, 60000);
    write_all(&d, 2, 60000);
    uint64_t sent = 0;
    while (chan_streams_take(&d.s, UINT8_MAX, 1000, &c))
        sent += c.len;
    assert_int_equal(sent, CHAN_CREDIT_INITIAL - CHAN_TEXT_SHARE_BYTES);
    write_all(&d, 0, 30000);
    sent = 0;
    while (chan_streams_take(&d.s, UINT8_MAX, 1000, &c)) {
        assert_int_equal(c.stream, 0);
        sent += c.len;
    }
    assert_int_equal(sent, CHAN_TEXT_SHARE_BYTES);
    credit(&d, CHAN_WHOLE_CHANNEL, CHAN_CREDIT_INITIAL + 1);
    assert_int_equal(take(&d, 1000).len, 1);
    desk_close(&d);
}

static void give(struct desk *d, unsigned stream, uint64_t offset, size_t len, int expected)
{
    static const uint8_t zero[2000];
    struct chan_frame f = {
        .type = CHAN_STREAM, .stream = (uint8_t)stream, .offset = offset, .data = zero, .len = len};
    assert_int_equal(chan_streams_on_data(&d->s, 0, 0, &f), expected);
}

static void bulk_leaves_memory_to_text(void **state)
{
    (void)state;
    static const uint8_t zero[200000];
    uint8_t buf[1000];
    for (int in = 0; in < 2; in++) {
        struct desk d;
        desk_open(&d, CHAN_TEXT_MEMORY_BYTES + 40000);
        if (in == 0) {
            assert_in_range(chan_streams_write(&d.s, 1, zero, sizeof zero), 20000, 40000);
            assert_true(d.s.starved);
        } else {
            uint64_t at = 0;
            while (at < 60000 &&
                   d.arena.cap_bytes - d.arena.used_bytes >= CHAN_TEXT_MEMORY_BYTES + 1000) {
                give(&d, 1, at, 1000, 0);
                at += 1000;
            }
            assert_in_range(at, 20000, 41000);
            give(&d, 1, at, 1000, BAUTA_ESPACE);
        }
        assert_int_equal(chan_streams_write(&d.s, 0, zero, 16384), 16384);
        give(&d, 0, 0, 1000, 0);
        assert_int_equal(chan_streams_read(&d.s, 0, buf, sizeof buf), 1000);
        desk_close(&d);
    }
}

// ---- windows --------------------------------------------------------------------------------------------
static void come(struct chan_credit *c, usec_t now, usec_t rtt_us, uint64_t bytes)
{
    chan_credit_grow(c, now, rtt_us, bytes);
    c->received += bytes;
    c->read += bytes;
}

static void a_window_grows_where_the_path_needs_it(void **state)
{
    (void)state;
    static const usec_t rtts[] = {100, 1000, 40000, 300000};
    for (unsigned i = 0; i < sizeof rtts / sizeof *rtts; i++) {
        usec_t rtt = rtts[i] > CHAN_WINDOW_RTT_US_MIN ? rtts[i] : CHAN_WINDOW_RTT_US_MIN, now = 5;
        struct chan_credit c;
        chan_credit_init(&c, 1u << 20);
        // An eighth of a window a round trip: half of it takes four.
        for (unsigned n = 0; n < 40; n++, now += rtt)
            come(&c, now, rtts[i], CHAN_CREDIT_INITIAL / 8);
        assert_int_equal(c.window_bytes, CHAN_CREDIT_INITIAL);
        // Half a window a round trip.
        uint32_t window = c.window_bytes;
        for (unsigned n = 0; n < 10; n++, now += rtt) {
            come(&c, now, rtts[i], c.window_bytes / 2);
            window = window < 1u << 19 ? 2 * window : 1u << 20;
            assert_int_equal(c.window_bytes, window);
        }
        assert_int_equal(c.window_bytes, 1u << 20);
    }
}

static void credit_is_told_when_it_is_worth_it(void **state)
{
    (void)state;
    struct chan_credit c;
    chan_credit_init(&c, CHAN_CREDIT_INITIAL);
    assert_false(chan_credit_due(&c));
    c.received = 30000;
    c.read = CHAN_CREDIT_INITIAL / 4 - 1;
    assert_false(chan_credit_due(&c));
    c.received = CHAN_CREDIT_INITIAL - 100; // others are not read, and hold the rest
    assert_true(chan_credit_due(&c));
    c.received = 30000;
    c.read++;
    assert_true(chan_credit_due(&c));
    assert_int_equal(chan_credit_offer(&c), CHAN_CREDIT_INITIAL / 4 * 5);
    assert_false(chan_credit_due(&c));
    c.read = CHAN_OFFSET_MAX - 5;
    assert_int_equal(chan_credit_offer(&c), CHAN_OFFSET_MAX);
}

// ---- two ends --------------------------------------------------------------------------------------------
// Words while seven files fill the window and all the credit there is.
static usec_t slowest_word(struct net *n, unsigned words)
{
    struct prng p = {n->prng.state};
    usec_t slowest = 0;
    net_connect(n);
    for (unsigned s = 1; s < CHANNEL_STREAMS_MAX; s++)
        n->end[0].want[s] = UINT64_C(1) << 40;
    end_turn(n, 0);
    net_run(n, n->now + 500000);
    for (unsigned i = 0; i < words; i++) {
        net_run(n, n->now + prng_next(&p) % 30000);
        usec_t said = n->now;
        n->end[0].want[0] += 64;
        end_turn(n, 0);
        NET_UNTIL(n, 5 * USEC_PER_S, n->end[1].got[0] == n->end[0].want[0]);
        assert_int_equal(n->end[1].got[0], n->end[0].want[0]);
        slowest = n->now - said > slowest ? n->now - said : slowest;
    }
    for (unsigned s = 1; s < CHANNEL_STREAMS_MAX; s++) {
        assert_true(n->end[1].got[s] > 0);
        uint64_t first = n->end[1].got[1], other = n->end[1].got[s];
        assert_in_range(other, first / 10 * 8, first / 8 * 10); // files share alike
    }
    return slowest;
}

static void words_do_not_wait_behind_files(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct net *n = net_new(70 + i, (enum packet_aead)(i % 2));
        // The smallest memory at the other end, so that credit is what stops the files.
        n->end[1].config.receive_bytes = i < 2 ? 1 : 0;
        assert_in_range(slowest_word(n, 60), n->delay_us, n->delay_us + 100);
        net_free(n);
    }
    struct net *n = net_new(80, PACKET_AEGIS256);
    n->loss_pm =
        20; // a word that is lost goes again before all else: two round trips, three at the worst
    assert_in_range(slowest_word(n, 100), n->delay_us, 6 * n->delay_us + 20000);
    net_free(n);
}

struct watch { // of the bulk's sender, at each datagram of its own
    unsigned packets, blocked;
};

static bool watch(struct net *n, unsigned from, const struct path *to, uint8_t *data, size_t *len)
{
    (void)to;
    (void)data;
    (void)len;
    struct watch *w = n->tap_ctx;
    const struct chan_streams *s = &n->end[0].channel->streams;
    const struct chan_stream *st = &s->stream[1];
    if (from != 0)
        return true;
    w->packets++;
    w->blocked += st->next < st->end && !(chan_streams_ready(s) & 2);
    return true;
}

// From the first byte on: whatever stops the sender, it is hardly ever credit.
static void credit_holds_nobody_back(void **state)
{
    (void)state;
    static const struct {
        usec_t delay_us;
        uint64_t rate, queue;
        unsigned loss_pm;
    } links[] = {{50, 1300000000, 4000000, 0},    // two processes
                 {20000, 25000000, 1000000, 0},   // 200 Mbit/s, 40 ms
                 {20000, 25000000, 1000000, 10}}; // with holes, which hold what came behind them
    for (unsigned i = 0; i < sizeof links / sizeof *links; i++) {
        struct net *n = net_new(60 + i, PACKET_AEGIS256);
        struct bottleneck neck = {.rate = links[i].rate, .queue_bytes = links[i].queue};
        struct watch w = {0};
        n->delay_us = links[i].delay_us;
        n->loss_pm = links[i].loss_pm;
        n->neck[0] = &neck;
        n->end[0].blank = n->end[1].blank = true;
        net_connect(n);
        n->tap = watch;
        n->tap_ctx = &w;
        usec_t start = n->now;
        n->end[0].want[1] = 32u << 20;
        end_turn(n, 0);
        NET_UNTIL(n, 60 * USEC_PER_S, n->end[1].got[1] == n->end[0].want[1]);
        assert_int_equal(n->end[1].got[1], n->end[0].want[1]);
        print_message("%llu us for 32 MiB, without credit %u of %u times, window %u\n",
                      (unsigned long long)(n->now - start), w.blocked, w.packets,
                      n->end[1].channel->streams.stream[1].credit.window_bytes);
        assert_true(w.blocked * 100 <= w.packets * (links[i].loss_pm > 0 ? 5 : 1));
        net_free(n);
    }
}

static void nobody_reads_the_files(void **state)
{
    (void)state;
    // The reader takes words only: files fill what memory they may, and words still come through.
    struct net *n = net_new(90, PACKET_CHACHA20POLY1305);
    n->end[1].config.receive_bytes = 300000;
    net_connect(n);
    n->end[1].lazy = true;
    for (unsigned s = 1; s < CHANNEL_STREAMS_MAX; s++)
        n->end[0].want[s] = 1000000;
    end_turn(n, 0);
    net_run(n, n->now + 5 * USEC_PER_S);
    for (unsigned i = 0; i < 200; i++) {
        n->end[0].want[0] += 1000;
        end_turn(n, 0);
        net_run(n, n->now + 100000);
        n->end[1].lazy = false;
        end_read(n, 1, 0);
        n->end[1].lazy = true;
        end_turn(n, 1);
        assert_int_equal(n->end[1].got[0], n->end[0].want[0]);
    }
    assert_in_range(n->end[1].arena.used_bytes, 100000,
                    300000 + CHANNEL_STREAMS_MAX * 2 * CHAN_BLOCK_BYTES + 32 * 1024);
    net_free(n);
}

static void an_idle_channel_is_small(void **state)
{
    (void)state;
    for (unsigned aead = 0; aead < 2; aead++) {
        struct net *n = net_new(95, (enum packet_aead)aead);
        net_connect(n);
        net_run(n, n->now + 60 * USEC_PER_S);
        for (unsigned i = 0; i < 2; i++) {
            print_message("idle: %zu bytes\n", n->end[i].arena.used_bytes);
            assert_in_range(n->end[i].arena.used_bytes, 1, 32 * 1024);
        }
        for (unsigned s = 0; s < CHANNEL_STREAMS_MAX; s++)
            n->end[0].want[s] = n->end[1].want[s] = 3000000;
        n->loss_pm = 10;
        n->reorder_pm = 10;
        end_turn(n, 0);
        end_turn(n, 1);
        NET_UNTIL(n, 600 * USEC_PER_S, net_done(n));
        assert_true(net_done(n));
        net_run(n, n->now + 30 * USEC_PER_S);
        for (unsigned i = 0; i < 2; i++) {
            print_message("after bulk: %zu bytes\n", n->end[i].arena.used_bytes);
            assert_in_range(n->end[i].arena.used_bytes, 1, 32 * 1024);
        }
        net_free(n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_goes_before_bulk),
        cmocka_unit_test(streams_of_a_class_share_alike),
        cmocka_unit_test(what_waits_to_be_sent_follows_the_window),
        cmocka_unit_test(bulk_leaves_credit_to_text),
        cmocka_unit_test(bulk_leaves_memory_to_text),
        cmocka_unit_test(a_window_grows_where_the_path_needs_it),
        cmocka_unit_test(credit_is_told_when_it_is_worth_it),
        cmocka_unit_test(words_do_not_wait_behind_files),
        cmocka_unit_test(credit_holds_nobody_back),
        cmocka_unit_test(nobody_reads_the_files),
        cmocka_unit_test(an_idle_channel_is_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
