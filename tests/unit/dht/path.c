// Addresses: text and wire forms, prefixes, and which may be talked to.
#include "dht/path.h"

#include "crypto/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static const char key[] = "abcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqrsq";

static void test_parse_and_format(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out; // out NULL: refused
    } table[] = {
        {"127.0.0.1:4000", "127.0.0.1:4000"},
        {"0.0.0.0:0", "0.0.0.0:0"},
        {"255.255.255.255:65535", "255.255.255.255:65535"},
        {"[::1]:4000", "[::1]:4000"},
        {"[::]:1", "[::]:1"},
        {"[2001:db8:0:0:1:0:0:1]:80", "[2001:db8::1:0:0:1]:80"},
        {"[2001:DB8::A]:80", "[2001:db8::a]:80"},
        {"[1:2:3:4:5:6:7:8]:80", "[1:2:3:4:5:6:7:8]:80"},
        {"[1:0:3:4:5:6:7:8]:80", "[1:0:3:4:5:6:7:8]:80"},
        {"[1::]:80", "[1::]:80"},
        {"[1:2:3:4:5:6:7::]:80", "[1:2:3:4:5:6:7:0]:80"},
        {"[::ffff:10.1.2.3]:80", "10.1.2.3:80"},
        {"[64:ff9b::1.2.3.4]:80", "[64:ff9b::102:304]:80"},
        {"[1:2:3:4:5:6:1.2.3.4]:80", "[1:2:3:4:5:6:102:304]:80"},
        {"", NULL},
        {"127.0.0.1", NULL},
        {"127.0.0.1:", NULL},
        {"127.0.0.1:65536", NULL},
        {"127.0.0.1:00080", NULL},
        {"127.0.0.1:+80", NULL},
        {"127.0.0.1:80 ", NULL},
        {" 127.0.0.1:80", NULL},
        {"127.0.0.256:80", NULL},
        {"127.0.0:80", NULL},
        {"127.0.0.01:80", NULL},
        {"1.2.3.4.5:80", NULL},
        {"localhost:80", NULL},
        {"::1:80", NULL},
        {"[::1:80", NULL},
        {"[::1]80", NULL},
        {"[]:80", NULL},
        {"[:]:80", NULL},
        {"[:::]:80", NULL},
        {"[1:]:80", NULL},
        {"[:1]:80", NULL},
        {"[1::2::3]:80", NULL},
        {"[1:2:3:4:5:6:7]:80", NULL},
        {"[1:2:3:4:5:6:7:8:9]:80", NULL},
        {"[1:2:3:4:5:6:7:8::]:80", NULL},
        {"[1:2:3:4::5:6:7:8]:80", NULL},
        {"[12345::]:80", NULL},
        {"[::g]:80", NULL},
        {"[::1.2.3]:80", NULL},
        {"[1.2.3.4::]:80", NULL},
        {"[1:2:3:4:5:6:7:1.2.3.4]:80", NULL},
        {"[fe80::1%eth0]:80", NULL},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct path p, again;
        char out[PATH_TEXT_BYTES];
        int rc = path_parse(&p, table[i].in, strlen(table[i].in));
        if (table[i].out == NULL) {
            if (rc != BAUTA_EFORMAT)
                fail_msg("accepted %s", table[i].in);
            continue;
        }
        if (rc != 0)
            fail_msg("refused %s", table[i].in);
        size_t n = path_format(out, &p);
        assert_int_equal(n, strlen(out));
        assert_string_equal(out, table[i].out);
        assert_int_equal(path_parse(&again, out, n), 0);
        assert_memory_equal(&again, &p, sizeof p);
    }
}

static void test_contact(void **state)
{
    (void)state;
    char text[200], out[CONTACT_TEXT_BYTES];
    struct contact c;
    int n = snprintf(text, sizeof text, "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535/%s", key);
    assert_int_equal(contact_parse(&c, text, (size_t)n), 0);
    assert_int_equal(contact_format(out, &c), n);
    assert_string_equal(out, text);
    // Every truncation is refused, and so is every longer text.
    for (size_t i = 0; i < (size_t)n; i++)
        assert_int_equal(contact_parse(&c, text, i), BAUTA_EFORMAT);
    text[n] = 'a';
    assert_int_equal(contact_parse(&c, text, (size_t)n + 1), BAUTA_EFORMAT);
    text[n] = '\0';
    text[n - 1] = 'r'; // bits beyond the key
    assert_int_equal(contact_parse(&c, text, (size_t)n), BAUTA_EFORMAT);
    text[n - 1] = 'Q';
    assert_int_equal(contact_parse(&c, text, (size_t)n), BAUTA_EFORMAT);
    text[n - 1] = '\0';
    assert_int_equal(contact_parse(&c, text, (size_t)n), BAUTA_EFORMAT);
    n = snprintf(text, sizeof text, "127.0.0.1:0/%s", key);
    assert_int_equal(contact_parse(&c, text, (size_t)n), BAUTA_EFORMAT);
}

static void test_base32_every_bit(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 256; bit++) {
        struct contact c, back;
        char out[CONTACT_TEXT_BYTES];
        memset(&c, 0, sizeof c);
        c.path = path_v4((const uint8_t[4]){1, 2, 3, 4}, 5000);
        c.pk[bit / 8] = (uint8_t)(1u << bit % 8);
        size_t n = contact_format(out, &c);
        assert_int_equal(contact_parse(&back, out, n), 0);
        assert_memory_equal(&back, &c, sizeof c);
    }
}

static void test_reachable(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool out, lab;
    } table[] = {
        {"8.8.8.8:1024", true, true},         {"8.8.8.8:1023", false, false},
        {"127.0.0.1:4000", false, true},      {"10.0.0.1:4000", false, true},
        {"172.16.0.1:4000", false, true},     {"172.32.0.1:4000", true, true},
        {"192.168.1.1:4000", false, true},    {"169.254.1.1:4000", false, true},
        {"100.64.0.1:4000", false, true},     {"100.128.0.1:4000", true, true},
        {"0.0.0.0:4000", false, false},       {"0.1.2.3:4000", false, false},
        {"224.0.0.1:4000", false, false},     {"255.255.255.255:4000", false, false},
        {"192.0.2.1:4000", false, false},     {"198.51.100.1:4000", false, false},
        {"203.0.113.1:4000", false, false},   {"198.18.0.1:4000", false, false},
        {"[2a00::1]:4000", true, true},       {"[::1]:4000", false, true},
        {"[fe80::1]:4000", false, true},      {"[fd00::1]:4000", false, true},
        {"[ff02::1]:4000", false, false},     {"[::]:4000", false, false},
        {"[2001:db8::1]:4000", false, false}, {"[2002:7f00:1::]:4000", false, false},
        {"[2001::1]:4000", false, false},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct path p;
        assert_int_equal(path_parse(&p, table[i].text, strlen(table[i].text)), 0);
        if (path_reachable(&p, false) != table[i].out || path_reachable(&p, true) != table[i].lab)
            fail_msg("%s", table[i].text);
    }
}

static void test_prefixes(void **state)
{
    (void)state;
    struct path a = path_v4((const uint8_t[4]){1, 2, 3, 4}, 1);
    struct path b = path_v4((const uint8_t[4]){1, 2, 9, 4}, 1);
    struct prefix fa = path_fine(&a), fb = path_fine(&b), ca = path_coarse(&a),
                  cb = path_coarse(&b);
    assert_memory_not_equal(&fa, &fb, sizeof fa);
    assert_memory_equal(&ca, &cb, sizeof ca);
    static const uint8_t v6[16] = {0x20, 1, 2, 3, 4, 5, 6, 7};
    struct path c = path_v6(v6, 1);
    struct prefix fc = path_fine(&c), cc = path_coarse(&c);
    assert_memory_equal(fc.bytes, ((uint8_t[7]){6, 0x20, 1, 2, 3, 4, 5}), 7);
    assert_memory_equal(cc.bytes, ((uint8_t[7]){6, 0x20, 1, 2, 3, 0, 0}), 7);
    assert_true(path_equal(&a, &a));
    assert_false(path_equal(&a, &b));
}

static void test_wire(void **state)
{
    (void)state;
    static const char *const text[] = {"1.2.3.4:258", "[2a00::1]:65535"};
    for (size_t i = 0; i < 2; i++) {
        struct path p, back;
        uint8_t buf[PATH_WIRE_BYTES_MAX];
        assert_int_equal(path_parse(&p, text[i], strlen(text[i])), 0);
        struct wr w = wr_init(buf, sizeof buf);
        path_put(&w, &p);
        assert_false(w.bad);
        assert_int_equal(wr_len(&w), i == 0 ? 7 : 19);
        for (size_t cut = 0; cut < wr_len(&w); cut++) {
            struct rd r = rd_init(buf, cut);
            path_get(&r, &back);
            assert_true(r.bad);
        }
        struct rd r = rd_init(buf, wr_len(&w));
        path_get(&r, &back);
        assert_false(r.bad);
        assert_memory_equal(&back, &p, sizeof p);
        buf[0] = 5;
        r = rd_init(buf, wr_len(&w));
        path_get(&r, &back);
        assert_true(r.bad);
    }
    uint8_t mapped[19] = {6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 2, 3, 4, 0, 1};
    struct rd r = rd_init(mapped, sizeof mapped);
    struct path p;
    path_get(&r, &p);
    assert_true(r.bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_and_format), cmocka_unit_test(test_contact),
        cmocka_unit_test(test_base32_every_bit), cmocka_unit_test(test_reachable),
        cmocka_unit_test(test_prefixes),         cmocka_unit_test(test_wire),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
