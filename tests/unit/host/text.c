// What a terminal shows of strangers' text, what the demonstration's strangers say, and the command line.
#include "node/ui/terminal/text.h"
#include "node/host/bots.h"
#include "node/host/config.h"
#include "node/host/process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// cmocka wants some of the above first
#include <cmocka.h>
#include <sodium.h>

static void test_shown(void **state)
{
    static const struct {
        const char *in, *out;
        size_t len; // 0: up to the NUL
    } table[] = {
        {"", "", 0},
        {"plain text", "plain text", 0},
        {"caf\xc3\xa9 \xf0\x9f\x8e\xad", "caf\xc3\xa9 \xf0\x9f\x8e\xad", 0},
        {"a\tb", "a b", 0},
        {"\x1b[31mred", "\\u{1B}[31mred", 0},
        {"a\rb\x7f", "a\\u{0D}b\\u{7F}", 0},
        {"a\0b", "a\\u{00}b", 3},
        {"\xc2\x9b"
         "31m",
         "\\u{9B}31m", 0}, // C1 control sequence introducer
        {"\xe2\x80\xae"
         "evil",
         "\\u{202E}evil", 0}, // right-to-left override
        {"\xe2\x81\xa6"
         "x\xe2\x81\xa9",
         "\\u{2066}x\\u{2069}", 0},
        {"\xe2\x80\xa8", "\\u{2028}", 0},      // line separator
        {"\xf3\xa0\x81\x81", "\\u{E0041}", 0}, // tag characters: invisible
        {"\xff\xc3", "\\x{FF}\\x{C3}", 0},
        {"\xed\xa0\x80", "\\x{ED}\\x{A0}\\x{80}", 0}, // surrogate
        {"\xc0\xaf", "\\x{C0}\\x{AF}", 0},            // overlong
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        size_t len = table[i].len != 0 ? table[i].len : strlen(table[i].in);
        char *out = malloc(TEXT_SHOWN_MAX(len));
        assert_int_equal(text_show(out, table[i].in, len), strlen(table[i].out));
        assert_string_equal(out, table[i].out);
        free(out);
    }
    assert_true(text_utf8("caf\xc3\xa9", 5));
    assert_false(text_utf8("caf\xc3", 4));
    assert_false(text_utf8("\xf5\x80\x80\x80", 4));
}

// No input makes the shown text longer than the room that its macro promises.
static void test_shown_room(void **state)
{
    (void)state;
    for (unsigned a = 0; a < 256; a++) {
        char in[4] = {(char)a, (char)0xa0, (char)0x81, (char)0x81};
        for (size_t len = 1; len <= 4; len++) {
            char *out = malloc(TEXT_SHOWN_MAX(len));
            size_t n = text_show(out, in, len);
            assert_true(n < TEXT_SHOWN_MAX(len));
            for (size_t i = 0; i < n; i++)
                assert_true((unsigned char)out[i] >= 0x20);
            free(out);
        }
    }
}

static void test_bots(void **state)
{
    char out[BOT_TEXT_BYTES];
    char huge[16384];
    (void)state;
    memset(huge, 'x', sizeof huge);
    memcpy(huge, "i am ", 5);
    for (int k = 0; k < BOT_KINDS; k++) {
        struct bot b;
        bot_start(&b, (enum bot_kind)k, "night trains", 12, 7);
        bot_hello(&b, out);
        assert_true(strlen(out) > 10);
        bool left = false;
        for (unsigned i = 0; i < 12 && !left; i++) {
            left = bot_answer(&b, "I love my old train, do you?", 28, out);
            assert_true(strlen(out) > 5);
        }
        assert_int_equal(left, k == BOT_LEAVES);
        (void)bot_answer(&b, huge, sizeof huge, out);
        assert_true(strlen(out) < BOT_TEXT_BYTES);
        (void)bot_answer(&b, "", 0, out);
        (void)bot_answer(&b, "\xf0\x9f\x8e\xad\n", 5, out);
        assert_true(text_utf8(out, strlen(out)));
    }
    struct bot b;
    bot_start(&b, BOT_ASKS, "trains", 6, 1);
    (void)bot_answer(&b, "Because my mother took me", 25, out);
    assert_string_equal(out, "Is your mother took you the only reason?");
    bot_start(&b, BOT_ECHO, "trains", 6, 1);
    (void)bot_answer(&b, "rain on the window", 18, out);
    assert_non_null(strstr(out, "rain on the window"));
}

#define KEY "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static int parse(struct config *c, const char *line, char *error)
{
    char copy[512], *argv[32];
    int argc = 0;
    snprintf(copy, sizeof copy, "%s", line);
    for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " "))
        argv[argc++] = word;
    // Words outlive the call in real life; here only numbers are looked at afterwards.
    return config_parse(c, argc, argv, error);
}

static void test_options(void **state)
{
    static const struct {
        const char *line;
        int status;
    } table[] = {
        {"bauta", 2},
        {"bauta run", 0},
        {"bauta run --listen 127.0.0.1:0 --lab --web off", 0},
        {"bauta run --listen=127.0.0.1:0 --listen=[::1]:0", 0},
        {"bauta run --listen 127.0.0.1:0 --listen 127.0.0.1:1", 2},
        {"bauta run --listen localhost:1", 2},
        {"bauta run --listen", 2},
        {"bauta run --web 127.0.0.1:8080", 2},
        {"bauta run --nothing", 2},
        {"bauta run -x", 2},
        {"bauta run word", 2},
        {"bauta run --plain", 2},
        {"bauta run --lab --lab-strict", 2},
        {"bauta run --lab=yes", 2},
        {"bauta run --privacy direct", 0},
        {"bauta run --privacy none", 2},
        {"bauta run --cover low", 0},
        {"bauta run --cover=medium", 2},
        {"bauta run --cover", 2},
        {"bauta ctl status --cover low", 2},
        {"bauta run --network a/b", 0},
        {"bauta run --bootstrap 127.0.0.1:4000/" KEY, 0},
        {"bauta run --bootstrap [::1]:4000/" KEY, 0},
        {"bauta run --bootstrap example.org:4000/" KEY, 0},
        {"bauta run --bootstrap example.org:0/" KEY, 2},
        {"bauta run --bootstrap example.org:70000/" KEY, 2},
        {"bauta run --bootstrap 127.0.0.1:4000", 2},
        {"bauta run --bootstrap 127.0.0.1/" KEY, 2},
        {"bauta run --bootstrap 127.0.0.1:4000/" KEY "a", 2},
        {"bauta run --bootstrap 127.0.0.1:4000/short", 2},
        {"bauta run --bootstrap 999.0.0.1:4000/" KEY, 2},
        {"bauta run --bootstrap a_b:4000/" KEY, 2},
        {"bauta run --config /nonexistent/file", 1},
        {"bauta chat a b --plain", 0},
        {"bauta chat a b c d e f g h i", 2},
        {"bauta ctl", 2},
        {"bauta ctl status", 0},
        {"bauta ctl say - x", 2},
        {"bauta status --control /tmp/x", 0},
        {"bauta status --lab", 2},
        {"bauta relay --anything", 2},
        {"bauta relay word", 2},
        {"bauta relay --clients 0", 2},
        {"bauta relay --clients 4096 --rate 1 --bandwidth 4000000 --volume 1 --drain 0", 0},
        {"bauta relay --clients 4097", 2},
        {"bauta relay --clients 12x", 2},
        {"bauta relay --rate 99999999999999999999", 2},
        {"bauta relay --volume -1", 2},
        {"bauta relay --drain 3601", 2},
        {"bauta relay --metrics 127.0.0.1:9464 --tcp 0.0.0.0:443", 0},
        {"bauta relay --metrics [::1]:9464", 0},
        {"bauta relay --metrics off", 0},
        {"bauta relay --metrics 0.0.0.0:9464", 2},
        {"bauta relay --metrics 192.0.2.1:9464", 2},
        {"bauta relay --metrics 9464", 2},
        {"bauta relay --privacy direct", 2},
        {"bauta run --clients 5", 2},
        {"bauta run --hops 2 --privacy relayed", 0},
        {"bauta run --hops 3", 2},
        {"bauta run --public --privacy relayed", 2},
        {"bauta help run", 0},
        {"bauta help nothing", 2},
        {"bauta nothing", 2},
        {"bauta --nothing", 2},
        {"bauta --help", 0},
        {"bauta --version", 0},
    };
    struct config *c = malloc(sizeof *c);
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char error[HOST_ERROR_BYTES] = "";
        int got = parse(c, table[i].line, error);
        if (got != table[i].status)
            fail_msg("%s: %d, not %d (%s)", table[i].line, got, table[i].status, error);
        assert_int_equal(error[0] != 0, table[i].status != 0);
        assert_null(strchr(error, '\n'));
    }
    char error[HOST_ERROR_BYTES];
    assert_int_equal(parse(c, "bauta run --bootstrap example.org:4000/" KEY, error), 0);
    assert_string_equal(c->bootstrap[0].host, "example.org");
    assert_string_equal(c->bootstrap[0].port, "4000");
    assert_int_equal(c->cover, CHANNEL_COVER_OFF);
    assert_int_equal(parse(c, "bauta chat --cover high", error), 0);
    assert_int_equal(c->cover, CHANNEL_COVER_HIGH);
    free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shown),
        cmocka_unit_test(test_shown_room),
        cmocka_unit_test(test_bots),
        cmocka_unit_test(test_options),
    };
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
