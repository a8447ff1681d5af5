// SOCKS5 as RFC 1928 and 1929 write it: what is sent, byte by byte, and whatever a proxy answers.
#include "node/host/socks.h"

#include "crypto/bytes.h"
#include "dht/path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct socks_proxy proxy_of(const char *text)
{
    struct socks_proxy p;
    assert_int_equal(socks_parse(&p, text), BAUTA_OK);
    return p;
}

static void expect_proxy(const char *text, const char *path, const char *user, const char *pass)
{
    struct socks_proxy p = proxy_of(text);
    char shown[PATH_TEXT_BYTES];
    path_format(shown, &p.path);
    assert_string_equal(shown, path);
    assert_string_equal(p.user, user);
    assert_string_equal(p.pass, pass);
    assert_false(p.random);
}

static void proxies_as_they_are_written(void **state)
{
    (void)state;
    expect_proxy("socks5://127.0.0.1:9050", "127.0.0.1:9050", "", "");
    expect_proxy("socks5://localhost:9050", "127.0.0.1:9050", "", "");
    expect_proxy("socks5://[::1]:1080", "[::1]:1080", "", "");
    expect_proxy("socks5://ann:secret@10.0.0.1:1", "10.0.0.1:1", "ann", "secret");
    expect_proxy("socks5://a:b:c@10.0.0.1:1", "10.0.0.1:1", "a", "b:c");
    expect_proxy("socks5://a%3ab:p%40ss%25@localhost:65535", "127.0.0.1:65535", "a:b", "p@ss%");
    expect_proxy("socks5://a:p@ss@10.0.0.1:1", "10.0.0.1:1", "a", "p@ss");
}

static void what_is_no_proxy(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "socks5://",
        "127.0.0.1:9050",
        "socks4://127.0.0.1:9050",
        "socks5h://127.0.0.1:9050",
        "http://127.0.0.1:9050",
        "socks5://127.0.0.1",
        "socks5://127.0.0.1:0",
        "socks5://127.0.0.1:65536",
        "socks5://127.0.0.1:9050/",
        "socks5://localhost",
        "socks5://localhost.:9050",
        "socks5://proxy.example:9050", // would be looked up outside
        "socks5://ann@127.0.0.1:9050", // no password
        "socks5://:secret@127.0.0.1:9050",
        "socks5://ann:@127.0.0.1:9050",
        "socks5://@127.0.0.1:9050",
        "socks5://a%:b@127.0.0.1:9050",
        "socks5://a%2:b@127.0.0.1:9050",
        "socks5://a%zz:b@127.0.0.1:9050",
        "socks5://a%00:b@127.0.0.1:9050",
        "socks5://ann:secret@",
    };
    struct socks_proxy p;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (socks_parse(&p, wrong[i]) != BAUTA_EFORMAT)
            fail_msg("\"%s\" was taken", wrong[i]);
    char text[600];
    for (size_t len = 255; len <= 256; len++) {
        char pass[257] = {0};
        memset(pass, 'p', len);
        assert_true(snprintf(text, sizeof text, "socks5://u:%s@127.0.0.1:9050", pass) > 0);
        assert_int_equal(socks_parse(&p, text), len <= SOCKS_TEXT_BYTES_MAX ? 0 : BAUTA_EFORMAT);
    }
}

// ---- an exchange --------------------------------------------------------------------------------------

struct talk {
    struct socks socks;
    struct path target;
    const char *name;
};

static void begin(struct talk *t, const struct socks_proxy *proxy)
{
    static const uint8_t ip[4] = {198, 18, 7, 9};
    memset(t, 0, sizeof *t);
    t->target = path_v4(ip, 0x1234);
    socks_start(&t->socks, proxy);
}

static void expect_out(struct talk *t, const void *bytes, size_t len)
{
    assert_int_equal(t->socks.out_len, len);
    assert_memory_equal(t->socks.out, bytes, len);
    t->socks.out_len = 0;
}
#define EXPECT(t, text) expect_out(t, text, sizeof(text) - 1)

// One byte after the other.
static bool give_bytes(struct talk *t, const char *bytes, size_t len)
{
    size_t used;
    t->socks.out_len = 0; // it was sent
    for (size_t i = 0; i < len; i++) {
        if (!socks_take(&t->socks, &t->target, t->name, (const uint8_t *)bytes + i, 1, &used))
            return false;
        assert_int_equal(used, 1);
        if (i + 1 < len)
            assert_int_equal(t->socks.out_len, 0); // nothing before the answer is whole
    }
    return true;
}
#define GIVE(t, text) give_bytes(t, text, sizeof(text) - 1)

static void without_a_name(void **state)
{
    (void)state;
    struct socks_proxy p = proxy_of("socks5://127.0.0.1:9050");
    struct talk t;
    begin(&t, &p);
    EXPECT(&t, "\x05\x01\x00");
    assert_true(GIVE(&t, "\x05\x00"));
    EXPECT(&t, "\x05\x01\x00\x01\xc6\x12\x07\x09\x12\x34");
    assert_true(GIVE(&t, "\x05\x00\x00\x01\x7f\x00\x00\x01\x10\x11"));
    assert_int_equal(t.socks.step, SOCKS_CONNECTED);
    assert_int_equal(t.socks.out_len, 0);
}

static void with_a_name_and_a_password(void **state)
{
    (void)state;
    struct socks_proxy p = proxy_of("socks5://ann:secret@127.0.0.1:9050");
    struct talk t;
    begin(&t, &p);
    EXPECT(&t, "\x05\x01\x02"); // given, so nothing less is offered
    assert_true(GIVE(&t, "\x05\x02"));
    EXPECT(&t, "\x01\x03"
               "ann\x06secret");
    assert_true(GIVE(&t, "\x01\x00"));
    EXPECT(&t, "\x05\x01\x00\x01\xc6\x12\x07\x09\x12\x34");
    assert_true(GIVE(&t, "\x05\x00\x00\x04"
                         "0123456789abcdef\x10\x11"));
    assert_int_equal(t.socks.step, SOCKS_CONNECTED);
    begin(&t, &p);
    assert_false(GIVE(&t, "\x05\x00")); // it may not do without
    assert_int_equal(t.socks.error, SOCKS_METHOD);
}

static void fill_seven(void *ctx, void *buf, size_t len)
{
    (void)ctx;
    memset(buf, 7, len);
}

static void random_ones_need_not_be_taken(void **state)
{
    (void)state;
    struct socks_proxy p = proxy_of("socks5://127.0.0.1:9050");
    struct talk t;
    socks_isolate(&p, &(struct rng){fill_seven, NULL});
    assert_int_equal(strlen(p.user), 32);
    assert_int_equal(strlen(p.pass), 32);
    begin(&t, &p);
    EXPECT(&t, "\x05\x02\x02\x00");
    assert_true(GIVE(&t, "\x05\x00"));
    EXPECT(&t, "\x05\x01\x00\x01\xc6\x12\x07\x09\x12\x34");
    begin(&t, &p);
    assert_true(GIVE(&t, "\x05\x02"));
    assert_int_equal(t.socks.out_len, 1 + 33 + 33);
}

static void names_and_ipv6_go_as_such(void **state)
{
    static const uint8_t six[16] = {0x20, 0x01, [15] = 9};
    (void)state;
    struct socks_proxy p = proxy_of("socks5://127.0.0.1:9050");
    struct talk t;
    begin(&t, &p);
    t.name = "relay.example";
    assert_true(GIVE(&t, "\x05\x00"));
    EXPECT(&t, "\x05\x01\x00\x03\x0drelay.example\x12\x34");
    assert_true(GIVE(&t, "\x05\x00\x00\x03\x03"
                         "abc\x10\x11"));
    assert_int_equal(t.socks.step, SOCKS_CONNECTED);
    begin(&t, &p);
    t.target = path_v6(six, 443);
    assert_true(GIVE(&t, "\x05\x00"));
    EXPECT(&t, "\x05\x01\x00\x04\x20\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\x09\x01\xbb");
}

// What follows the last answer is the target's.
static void bytes_behind_are_left(void **state)
{
    (void)state;
    struct socks_proxy p = proxy_of("socks5://127.0.0.1:9050");
    struct talk t;
    size_t used;
    begin(&t, &p);
    assert_true(GIVE(&t, "\x05\x00"));
    static const uint8_t answer[] = {5, 0, 0, 1, 127, 0, 0, 1, 1, 1, 'm', 'o', 'r', 'e'};
    assert_true(socks_take(&t.socks, &t.target, NULL, answer, sizeof answer, &used));
    assert_int_equal(used, 10);
    assert_int_equal(t.socks.step, SOCKS_CONNECTED);
    assert_true(socks_take(&t.socks, &t.target, NULL, answer, sizeof answer, &used));
    assert_int_equal(used, 0);
}

struct refusal {
    unsigned greeting, login, reply; // second bytes of its answers; 0: goes on
    enum socks_error error;
};

static void refusals_have_their_names(void **state)
{
    (void)state;
    static const struct refusal all[] = {
        {0xff, 0, 0, SOCKS_METHOD},
        {1, 0, 0, SOCKS_METHOD},
        {2, 1, 0, SOCKS_AUTH},
        {2, 0xff, 0, SOCKS_AUTH},
        {2, 0, 1, SOCKS_UNREACHABLE},
        {2, 0, 2, SOCKS_REFUSED},
        {2, 0, 3, SOCKS_UNREACHABLE},
        {2, 0, 4, SOCKS_UNREACHABLE},
        {2, 0, 5, SOCKS_UNREACHABLE},
        {2, 0, 6, SOCKS_UNREACHABLE},
        {2, 0, 7, SOCKS_CAN_NOT_CONNECT},
        {2, 0, 8, SOCKS_CAN_NOT_CONNECT},
        {2, 0, 0xff, SOCKS_CAN_NOT_CONNECT},
    };
    struct socks_proxy p = proxy_of("socks5://a:b@127.0.0.1:9050");
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const char greeting[2] = {5, (char)all[i].greeting}, login[2] = {1, (char)all[i].login},
                   reply[2] = {5, (char)all[i].reply};
        struct talk t;
        begin(&t, &p);
        bool on = give_bytes(&t, greeting, 2);
        on = on && give_bytes(&t, login, 2);
        on = on && give_bytes(&t, reply, 2);
        assert_false(on);
        assert_int_equal(t.socks.step, SOCKS_FAILED);
        assert_int_equal(t.socks.error, all[i].error);
        assert_int_equal(t.socks.out_len, 0);
        size_t used;
        assert_false(socks_take(&t.socks, &t.target, NULL, (const uint8_t *)"\x05", 1, &used));
    }
}

static void what_is_no_socks(void **state)
{
    (void)state;
    struct socks_proxy p = proxy_of("socks5://127.0.0.1:9050");
    struct talk t;
    begin(&t, &p);
    assert_false(GIVE(&t, "HT"));
    assert_int_equal(t.socks.error, SOCKS_NOT_SOCKS);
    begin(&t, &p);
    assert_true(GIVE(&t, "\x05\x00"));
    assert_false(GIVE(&t, "\x04\x00"));
    assert_int_equal(t.socks.error, SOCKS_NOT_SOCKS);
    begin(&t, &p);
    assert_true(GIVE(&t, "\x05\x00"));
    assert_false(GIVE(&t, "\x05\x00\x00\x02\x01")); // no kind of address
    assert_int_equal(t.socks.error, SOCKS_NOT_SOCKS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(proxies_as_they_are_written),
        cmocka_unit_test(what_is_no_proxy),
        cmocka_unit_test(without_a_name),
        cmocka_unit_test(with_a_name_and_a_password),
        cmocka_unit_test(random_ones_need_not_be_taken),
        cmocka_unit_test(names_and_ipv6_go_as_such),
        cmocka_unit_test(bytes_behind_are_left),
        cmocka_unit_test(refusals_have_their_names),
        cmocka_unit_test(what_is_no_socks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
