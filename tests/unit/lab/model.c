// The lab's link as a function of time: what is late, lost, marked, doubled and overtaken, by counts.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tools/lab/model.h"
#include "tools/lab/option.h"
#include "tools/lab/packet.h"
#include "tools/lab/store.h"

#define MANY 100000u
#define PACKET 1250u // 50 us at 200 Mbit/s

static struct lab_lane lane_of(struct lab_lane_config c)
{
    struct lab_lane l;
    lab_lane_init(&l, &c);
    return l;
}

static void test_rate_and_delay(void **state)
{
    (void)state;
    struct lab_lane l = lane_of((struct lab_lane_config){
        .rate_bps = 200000000, .queue_bytes = 1000000, .delay_ns = 20 * LAB_MS});
    for (uint64_t i = 1; i <= 800; i++) { // all at once: they leave one after the other
        struct lab_verdict v = lab_lane_offer(&l, LAB_S, PACKET);
        assert_int_equal(v.fate, LAB_CARRIED);
        assert_int_equal(v.copies, 1);
        assert_int_equal(v.at_ns, LAB_S + 20 * LAB_MS + i * 50 * LAB_US);
        assert_int_equal(lab_lane_backlog(&l, LAB_S), i * PACKET);
    }
    assert_int_equal(lab_lane_offer(&l, LAB_S, 1).fate, LAB_QUEUE_FULL);
    assert_int_equal(l.queue_bytes_max, 1000000);
    // Half of the time later half of it is gone; after all of it nothing waits.
    assert_int_equal(lab_lane_backlog(&l, LAB_S + 20 * LAB_MS), 500000);
    assert_int_equal(lab_lane_backlog(&l, LAB_S + 40 * LAB_MS), 0);
    assert_int_equal(lab_lane_offer(&l, 2 * LAB_S, PACKET).at_ns,
                     2 * LAB_S + 20 * LAB_MS + 50 * LAB_US);
}

static void test_queue(void **state)
{
    (void)state;
    struct lab_lane l =
        lane_of((struct lab_lane_config){.rate_bps = 50000000, .queue_bytes = 64000});
    unsigned carried = 0, sent = 0;
    for (uint64_t t = 0; t < LAB_S; t += 100 * LAB_US) { // twice what it carries, for one second
        carried += lab_lane_offer(&l, t, PACKET).fate == LAB_CARRIED;
        sent++;
    }
    assert_int_equal(sent, 10000);
    assert_in_range(carried, 5000, 5000 + 64000 / PACKET + 1);
    // An idle link carries what is larger than its queue.
    l = lane_of((struct lab_lane_config){.rate_bps = 50000000, .queue_bytes = 100});
    assert_int_equal(lab_lane_offer(&l, 0, PACKET).fate, LAB_CARRIED);
    assert_int_equal(lab_lane_offer(&l, 0, PACKET).fate, LAB_QUEUE_FULL);
    l = lane_of((struct lab_lane_config){.queue_bytes = 1}); // without a rate nothing waits
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(lab_lane_offer(&l, 7, PACKET).at_ns, 7);
}

static void test_shares(void **state)
{
    (void)state;
    struct lab_lane l = lane_of((struct lab_lane_config){.loss_ppm = 10000,
                                                         .reorder_ppm = 20000,
                                                         .duplicate_ppm = 5000,
                                                         .reorder_ns = 2 * LAB_MS,
                                                         .delay_ns = LAB_MS,
                                                         .seed = 5});
    struct lab_lane again = lane_of(l.config), other = lane_of(l.config);
    other.random++;
    unsigned lost = 0, reordered = 0, twice = 0, differ = 0;
    for (uint64_t i = 0; i < MANY; i++) {
        uint64_t t = i * 50 * LAB_US;
        struct lab_verdict v = lab_lane_offer(&l, t, PACKET),
                           same = lab_lane_offer(&again, t, PACKET);
        assert_int_equal(v.fate, same.fate);
        assert_int_equal(v.at_ns, same.at_ns);
        differ += lab_lane_offer(&other, t, PACKET).fate != v.fate;
        if (v.fate == LAB_LOST) {
            lost++;
            continue;
        }
        assert_int_equal(v.at_ns, t + LAB_MS + (v.reordered ? 2 * LAB_MS : 0));
        reordered += v.reordered;
        twice += v.copies == 2;
    }
    // Six standard deviations each; a seed that is in stays in.
    assert_in_range(lost, 1000 - 190, 1000 + 190);
    assert_in_range(reordered, 1980 - 265, 1980 + 265);
    assert_in_range(twice, 495 - 133, 495 + 133);
    assert_true(differ > 1000);
}

static void test_jitter(void **state)
{
    (void)state;
    struct lab_lane_config c = {
        .jitter_ns = 20 * LAB_MS, .jitter_period_ns = 10 * LAB_MS, .delay_ns = 20 * LAB_MS};
    struct lab_lane kept = lane_of(c);
    c.jitter_free = true;
    struct lab_lane loose = lane_of(c);
    uint64_t before = 0, loose_before = 0, overtaken = 0, low = 0, high = 0, sum = 0;
    for (uint64_t i = 0; i < MANY; i++) {
        uint64_t t = i * 50 * LAB_US, at = lab_lane_offer(&kept, t, PACKET).at_ns;
        assert_true(at >= before);
        before = at;
        uint64_t extra = at - t - 20 * LAB_MS;
        assert_true(extra <= 20 * LAB_MS);
        low += extra < 5 * LAB_MS;
        high += extra > 15 * LAB_MS;
        at = lab_lane_offer(&loose, t, PACKET).at_ns;
        overtaken += at < loose_before;
        loose_before = at;
        assert_true(at >= t + 20 * LAB_MS && at <= t + 40 * LAB_MS);
        sum += at - t;
    }
    assert_true(low > MANY / 50 && high > MANY / 50); // it really walks
    assert_true(overtaken > MANY / 3);
    assert_in_range(sum / MANY, 30 * LAB_MS - LAB_MS / 5, 30 * LAB_MS + LAB_MS / 5);
}

static void test_order_round_reordered(void **state)
{
    (void)state;
    struct lab_lane l = lane_of(
        (struct lab_lane_config){.reorder_ppm = 20000, .reorder_ns = 2 * LAB_MS, .seed = 9});
    uint64_t order = 0;
    unsigned overtaken = 0;
    for (uint64_t i = 0; i < MANY; i++) {
        struct lab_verdict v = lab_lane_offer(&l, i * 50 * LAB_US, PACKET);
        if (v.reordered) { // some 40 pass it, none of the others is held up by it
            overtaken++;
            continue;
        }
        assert_true(v.at_ns >= order && v.at_ns == i * 50 * LAB_US);
        order = v.at_ns;
    }
    assert_true(overtaken > 1000);
}

static void test_mark_and_path_mtu(void **state)
{
    (void)state;
    struct lab_lane l = lane_of((struct lab_lane_config){
        .rate_bps = 200000000, .queue_bytes = 1000000, .mark_bytes = 125000, .path_mtu = 1400});
    for (unsigned i = 0; i < 200; i++)
        assert_int_equal(lab_lane_offer(&l, 0, PACKET).mark, i >= 100);
    assert_int_equal(lab_lane_offer(&l, 0, 1401).fate, LAB_TOO_LONG);
    assert_int_equal(lab_lane_offer(&l, 0, 1400).fate, LAB_CARRIED);
}

// The sum of a header's 16-bit words, its checksum included: 0xffff where it is right.
static uint32_t header_sum(const uint8_t *ip)
{
    uint32_t sum = 0;
    for (int i = 0; i < 20; i += 2)
        sum += (uint32_t)(ip[i] << 8 | ip[i + 1]);
    while (sum > 0xffff)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

static void test_marking(void **state)
{
    (void)state;
    // RFC 791's fields of a UDP packet; the checksum is filled in below.
    uint8_t ip[20] = {0x45, 0x02, 0x04, 0xec, 0x12, 0x34, 0x40, 0,  64, 17,
                      0,    0,    10,   77,   0,    1,    10,   77, 0,  2};
    uint32_t sum = ~header_sum(ip);
    ip[10] = (uint8_t)(sum >> 8);
    ip[11] = (uint8_t)sum;
    assert_int_equal(header_sum(ip), 0xffff);
    assert_true(lab_packet_mark(ip, sizeof ip));
    assert_int_equal(ip[1] & 3, 3);
    assert_int_equal(header_sum(ip), 0xffff);
    ip[1] = 0xb8; // other bits of the byte, no ECN
    assert_false(lab_packet_mark(ip, sizeof ip));
    assert_int_equal(ip[1], 0xb8);
    assert_false(lab_packet_mark(ip, 19));
    uint8_t six[40] = {0x60, 0x20};
    assert_true(lab_packet_mark(six, sizeof six));
    assert_int_equal(six[1], 0x30);
    six[1] = 0x0f; // the flow label's
    assert_false(lab_packet_mark(six, sizeof six));
    assert_false(lab_packet_mark(six, 39));
}

static void test_store(void **state)
{
    (void)state;
    struct lab_store s;
    uint64_t random = 1, last = 0;
    uint32_t len;
    assert_int_equal(lab_store_init(&s, 1000, 8), 0);
    assert_int_equal(lab_store_next(&s), UINT64_MAX);
    for (uint32_t i = 0; i < 1000; i++) { // few times, so that many share one
        random = random * 6364136223846793005u + 1442695040888963407u;
        uint64_t at = (random >> 33) % 50;
        uint8_t data[8] = {(uint8_t)at, (uint8_t)(i >> 8), (uint8_t)i};
        assert_int_equal(lab_store_put(&s, at, data, 3 + i % 5), 0);
    }
    assert_int_equal(lab_store_put(&s, 0, (const uint8_t *)"full", 4), -1);
    unsigned number = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        uint64_t at = lab_store_next(&s);
        const uint8_t *p = lab_store_take(&s, &len);
        unsigned k = (unsigned)(p[1] << 8 | p[2]);
        assert_true(at == p[0] && at >= last && len == 3 + k % 5);
        assert_true(i == 0 || at > last || k > number); // of one time: as they came
        last = at;
        number = k;
    }
    uint8_t nine[9] = {0};
    assert_int_equal(lab_store_put(&s, 0, nine, 9), -1);
    assert_int_equal(s.count, 0);
    lab_store_free(&s);
}

static void test_options(void **state)
{
    (void)state;
    uint64_t n = 0;
    uint32_t ppm = 0;
    assert_int_equal(lab_option_time("20ms", LAB_S, &n), 0);
    assert_int_equal(n, 20 * LAB_MS);
    assert_int_equal(lab_option_time("1.5s", 2 * LAB_S, &n), 0);
    assert_int_equal(n, 1500 * LAB_MS);
    assert_int_equal(lab_option_time("300us", LAB_S, &n), 0);
    assert_int_equal(n, 300 * LAB_US);
    assert_int_equal(lab_option_count("200M", LAB_RATE_MAX, &n), 0);
    assert_int_equal(n, 200000000);
    assert_int_equal(lab_option_count("64k", LAB_QUEUE_BYTES_MAX, &n), 0);
    assert_int_equal(n, 64000);
    assert_int_equal(lab_option_share("0.1%", &ppm), 0);
    assert_int_equal(ppm, 1000);
    assert_int_equal(lab_option_share("100%", &ppm), 0);
    assert_int_equal(ppm, LAB_PPM);
    static const char *const bad[] = {"", "ms", "20", "-1ms", "1e3ms", "20 ms", "1.2.3ms", "2s"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(lab_option_time(bad[i], LAB_S, &n), -1);
    assert_int_equal(lab_option_count("200m", LAB_RATE_MAX, &n), -1);
    assert_int_equal(lab_option_share("1", &ppm), -1);
    assert_int_equal(lab_option_share("100.1%", &ppm), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rate_and_delay),
        cmocka_unit_test(test_queue),
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_jitter),
        cmocka_unit_test(test_order_round_reordered),
        cmocka_unit_test(test_mark_and_path_mtu),
        cmocka_unit_test(test_marking),
        cmocka_unit_test(test_store),
        cmocka_unit_test(test_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
