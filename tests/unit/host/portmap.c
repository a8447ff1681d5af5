// The node's half of port mapping: bytes of the process that speaks with routers, which is this program itself, and
// does what the number of the port says.
#include "node/host/portmap.h"

#include "crypto/bytes.h"
#include "dht/path.h"
#include "node/host/limits.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define URL "http://192.168.1.1:5000/root.xml"

// ---- layouts ----------------------------------------------------------------------------------------

static struct portmap_answer answer_of(enum portmap_protocol protocol)
{
    static const uint8_t ip[4] = {80, 1, 2, 3};
    struct portmap_answer a = {.result = PORTMAP_MAPPED,
                               .protocol = protocol,
                               .external = path_v4(ip, 7000),
                               .lease_s = 3600};
    if (protocol == PORTMAP_UPNP)
        strcpy(a.url, URL);
    return a;
}

static void answers_have_one_spelling(void **state)
{
    (void)state;
    uint8_t data[PORTMAP_ANSWER_BYTES + 1] = {0}, other[PORTMAP_ANSWER_BYTES];
    for (unsigned protocol = PORTMAP_NATPMP; protocol <= PORTMAP_UPNP; protocol++) {
        struct portmap_answer a = answer_of((enum portmap_protocol)protocol), b;
        portmap_answer_put(data, &a);
        assert_int_equal(portmap_answer_get(&b, data, PORTMAP_ANSWER_BYTES), BAUTA_OK);
        assert_true(path_equal(&a.external, &b.external));
        assert_int_equal(b.lease_s, 3600);
        assert_string_equal(a.url, b.url);
        assert_int_equal(portmap_answer_get(&b, data, PORTMAP_ANSWER_BYTES - 1), BAUTA_EFORMAT);
        assert_int_equal(portmap_answer_get(&b, data, PORTMAP_ANSWER_BYTES + 1), BAUTA_EFORMAT);
        for (size_t i = 0; i < PORTMAP_ANSWER_BYTES; i++)
            for (unsigned v = 0; v < 256; v++) {
                uint8_t kept = data[i];
                data[i] = (uint8_t)v;
                if (portmap_answer_get(&b, data, PORTMAP_ANSWER_BYTES) == BAUTA_OK) {
                    portmap_answer_put(other, &b);
                    assert_memory_equal(other, data, PORTMAP_ANSWER_BYTES);
                }
                data[i] = kept;
            }
    }
}

static void answers_that_are_refused(void **state)
{
    (void)state;
    uint8_t data[PORTMAP_ANSWER_BYTES];
    struct portmap_answer a, b;
    a = answer_of(PORTMAP_NATPMP);
    a.external.port = 0;
    portmap_answer_put(data, &a);
    assert_int_equal(portmap_answer_get(&b, data, sizeof data), BAUTA_EFORMAT);
    a = answer_of(PORTMAP_NATPMP);
    a.lease_s = 0;
    portmap_answer_put(data, &a);
    assert_int_equal(portmap_answer_get(&b, data, sizeof data), BAUTA_EFORMAT);
    a = answer_of(PORTMAP_NONE);
    portmap_answer_put(data, &a);
    assert_int_equal(portmap_answer_get(&b, data, sizeof data), BAUTA_EFORMAT);
    a = answer_of(PORTMAP_UPNP);
    a.url[3] = '\n';
    portmap_answer_put(data, &a);
    assert_int_equal(portmap_answer_get(&b, data, sizeof data), BAUTA_EFORMAT);
    a = answer_of(PORTMAP_UPNP); // a failure says nothing else
    a.result = PORTMAP_FAILED;
    portmap_answer_put(data, &a);
    assert_int_equal(portmap_answer_get(&b, data, sizeof data), BAUTA_EFORMAT);
    memset(data, 'x', sizeof data); // no end of the URL
    assert_int_equal(portmap_answer_get(&b, data, sizeof data), BAUTA_EFORMAT);
    assert_int_equal(b.result, 0);
}

static void requests_go_through(void **state)
{
    (void)state;
    struct portmap_request q = {.op = PORTMAP_UNMAP,
                                .protocol = PORTMAP_UPNP,
                                .bound = {10, 0, 0, 7},
                                .internal = 6001,
                                .external = 7001,
                                .lease_s = 120,
                                .url = URL},
                           r;
    uint8_t data[PORTMAP_REQUEST_BYTES];
    portmap_request_put(data, &q);
    assert_int_equal(portmap_request_get(&r, data, sizeof data), BAUTA_OK);
    assert_int_equal(r.op, q.op);
    assert_int_equal(r.protocol, q.protocol);
    assert_memory_equal(r.bound, q.bound, 4);
    assert_int_equal(r.internal, q.internal);
    assert_int_equal(r.external, q.external);
    assert_int_equal(r.lease_s, q.lease_s);
    assert_string_equal(r.url, q.url);
    assert_int_equal(portmap_request_get(&r, data, sizeof data - 1), BAUTA_EFORMAT);
    q.protocol = PORTMAP_NONE; // which of them holds it?
    portmap_request_put(data, &q);
    assert_int_equal(portmap_request_get(&r, data, sizeof data), BAUTA_EFORMAT);
    q.op = PORTMAP_MAP;
    portmap_request_put(data, &q);
    assert_int_equal(portmap_request_get(&r, data, sizeof data), BAUTA_OK);
}

static void urls_of_the_router_alone(void **state)
{
    (void)state;
    static const uint8_t router[4] = {192, 168, 1, 1};
    static const char *const good[] = {URL, "http://192.168.1.1/", "http://192.168.1.1:65535/a?b"};
    static const char *const bad[] = {"",
                                      "http://192.168.1.1",
                                      "http://192.168.1.1:/",
                                      "http://192.168.1.1:123456/",
                                      "http://192.168.1.10/",
                                      "http://192.168.1.1.example/",
                                      "http://192.168.1.1@127.0.0.1/",
                                      "http://192.168.1.1:80@127.0.0.1/",
                                      "http://127.0.0.1/",
                                      "https://192.168.1.1/",
                                      "file:///etc/passwd",
                                      "http://[::1]/",
                                      " http://192.168.1.1/",
                                      "http://192.168.1.1/a b",
                                      "http://192.168.1.1/\r\nX: y"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(portmap_url_ok(good[i], router));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(portmap_url_ok(bad[i], router));
    char longest[PORTMAP_URL_BYTES + 1];
    memset(longest, 'a', sizeof longest);
    memcpy(longest, "http://192.168.1.1/", 19);
    longest[PORTMAP_URL_BYTES] = 0;
    assert_false(portmap_url_ok(longest, router));
    longest[PORTMAP_URL_BYTES - 1] = 0;
    assert_true(portmap_url_ok(longest, router));
}

// ---- the process ------------------------------------------------------------------------------------

enum {
    NATPMP = 2001,
    UPNP,
    PRIVATE,
    LOOPBACK,
    LOW,
    SHORT,
    LONG,
    FAILS,
    CUT,
    ENDLESS,
    GARBLED,
    MUTE
};

static int say(struct portmap_answer a, size_t len)
{
    uint8_t data[PORTMAP_ANSWER_BYTES];
    portmap_answer_put(data, &a);
    return write(STDOUT_FILENO, data, len) == (ssize_t)len ? 0 : 1;
}

static int act(void)
{
    static const uint8_t home[4] = {192, 168, 1, 1}, loop[4] = {127, 0, 0, 1};
    uint8_t data[PORTMAP_REQUEST_BYTES];
    struct portmap_request q;
    size_t got = 0;
    for (ssize_t n; got < sizeof data && (n = read(0, data + got, sizeof data - got)) > 0;)
        got += (size_t)n;
    if (portmap_request_get(&q, data, got) != BAUTA_OK)
        return 1;
    if (q.op == PORTMAP_UNMAP)
        return say((struct portmap_answer){.result = PORTMAP_UNMAPPED}, PORTMAP_ANSWER_BYTES);
    struct portmap_answer a = answer_of(q.internal == UPNP ? PORTMAP_UPNP : PORTMAP_NATPMP);
    switch (q.internal) {
    case PRIVATE:
        a.external = path_v4(home, 7000);
        break;
    case LOOPBACK:
        a.external = path_v4(loop, 7000);
        break;
    case LOW:
        a.external.port = 443;
        break;
    case SHORT:
        a.lease_s = 5;
        break;
    case LONG:
        a.lease_s = UINT32_MAX;
        break;
    case FAILS:
        return say(a, PORTMAP_ANSWER_BYTES) + 1;
    case CUT:
        return say(a, PORTMAP_ANSWER_BYTES - 1);
    case ENDLESS:
        while (say(a, PORTMAP_ANSWER_BYTES) == 0)
            ;
        return 0;
    case GARBLED:
        a.url[0] = 'x';
        break;
    case MUTE:
        return 0;
    default:
        break;
    }
    return say(a, PORTMAP_ANSWER_BYTES);
}

struct bench {
    uv_loop_t loop;
    struct portmap *portmap;
    unsigned changes;
};

static void on_change(void *ctx)
{
    struct bench *b = ctx;
    b->changes++;
    uv_stop(&b->loop);
}

static void open_bench(struct bench *b, uint16_t port, bool lab)
{
    struct portmap_config cfg = {
        .port = port, .lease_s = 3600, .lab = lab, .changed = on_change, .ctx = b};
    b->changes = 0;
    assert_int_equal(uv_loop_init(&b->loop), 0);
    assert_int_equal(portmap_open(&b->portmap, &b->loop, &cfg), 0);
}

static void close_bench(struct bench *b)
{
    unsigned changes = b->changes;
    portmap_close(b->portmap);
    uv_run(&b->loop, UV_RUN_DEFAULT);
    assert_int_equal(b->changes, changes); // nothing is called any more
    assert_int_equal(uv_loop_close(&b->loop), 0);
}

static struct portmap_counters run_until(struct bench *b, uint64_t runs)
{
    struct portmap_counters n;
    do {
        uv_run(&b->loop, UV_RUN_DEFAULT);
        portmap_count(b->portmap, &n);
    } while (n.runs < runs);
    return n;
}

static void kept_and_closed(void **state)
{
    (void)state;
    static const uint8_t ip[4] = {80, 1, 2, 3};
    struct path external = path_v4(ip, 7000);
    for (unsigned port = NATPMP; port <= UPNP; port++) {
        struct bench b;
        struct portmap_mapping m;
        open_bench(&b, (uint16_t)port, false);
        assert_false(portmap_get(b.portmap, &m));
        portmap_want(b.portmap, true);
        struct portmap_counters n = run_until(&b, 1);
        assert_true(n.failed == 0 && n.killed == 0 && n.lied == 0);
        assert_true(portmap_get(b.portmap, &m));
        assert_true(path_equal(&m.external, &external));
        assert_int_equal(m.protocol, port == UPNP ? PORTMAP_UPNP : PORTMAP_NATPMP);
        assert_true(m.until > uv_hrtime() / 1000);
        unsigned before = b.changes;
        portmap_want(b.portmap, false);
        assert_int_equal(b.changes,
                         before + 1); // at once: strangers are told nothing of it any more
        assert_false(portmap_get(b.portmap, &m));
        assert_true(portmap_closing(b.portmap));
        (void)run_until(&b, 2);
        assert_false(portmap_closing(b.portmap));
        close_bench(&b);
    }
}

static void closed_in_mid_run(void **state)
{
    (void)state;
    struct bench b;
    struct portmap_mapping m;
    open_bench(&b, NATPMP, false);
    portmap_want(b.portmap, true);
    uv_run(&b.loop, UV_RUN_NOWAIT); // a process may have begun
    close_bench(&b);
    // One that is renewing when it is not wanted any more: that run is killed, and the port closed by another.
    open_bench(&b, NATPMP, true);
    portmap_want(b.portmap, true);
    (void)run_until(&b, 1);
    portmap_moved(b.portmap);
    (void)run_until(&b, 2);
    portmap_moved(b.portmap);
    uv_run(&b.loop, UV_RUN_ONCE); // its timer: the process has begun
    portmap_want(b.portmap, false);
    assert_false(portmap_get(b.portmap, &m));
    assert_true(portmap_closing(b.portmap));
    while (portmap_closing(b.portmap))
        uv_run(&b.loop, UV_RUN_DEFAULT);
    // Not wanted and wanted again while a process runs: asked anew at once.
    portmap_want(b.portmap, true);
    while (!portmap_get(b.portmap, &m))
        uv_run(&b.loop, UV_RUN_DEFAULT);
    portmap_moved(b.portmap);
    uv_run(&b.loop, UV_RUN_ONCE);
    portmap_want(b.portmap, false);
    portmap_want(b.portmap, true);
    while (!portmap_get(b.portmap, &m))
        uv_run(&b.loop, UV_RUN_DEFAULT);
    struct portmap_counters n;
    portmap_count(b.portmap, &n);
    assert_int_equal(n.failed, 0);
    assert_int_equal(n.killed, 0);
    portmap_want(b.portmap, false);
    while (portmap_closing(b.portmap))
        uv_run(&b.loop, UV_RUN_DEFAULT);
    // Wanted again before it is closed.
    portmap_want(b.portmap, true);
    portmap_want(b.portmap, false);
    portmap_want(b.portmap, true);
    while (!portmap_get(b.portmap, &m))
        uv_run(&b.loop, UV_RUN_DEFAULT);
    close_bench(&b);
}

static void lies_are_closed_again(void **state)
{
    (void)state;
    static const struct {
        uint16_t port;
        bool lab, lie;
    } cases[] = {{PRIVATE, false, true}, {PRIVATE, true, false}, {LOOPBACK, true, true},
                 {LOW, true, true},      {SHORT, false, true},   {SHORT, true, false},
                 {LONG, false, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bench b;
        struct portmap_mapping m;
        open_bench(&b, cases[i].port, cases[i].lab);
        portmap_want(b.portmap, true);
        struct portmap_counters n = run_until(&b, cases[i].lie ? 2 : 1);
        assert_int_equal(n.lied, cases[i].lie);
        assert_int_equal(n.failed, 0);
        assert_int_equal(portmap_get(b.portmap, &m), !cases[i].lie);
        if (!cases[i].lie) // never longer than it was asked for
            assert_true(m.until <= uv_hrtime() / 1000 + 3600 * USEC_PER_S);
        close_bench(&b);
    }
}

static void nonsense_is_a_failure(void **state)
{
    (void)state;
    for (unsigned port = FAILS; port <= MUTE; port++) {
        struct bench b;
        struct portmap_mapping m;
        open_bench(&b, (uint16_t)port, false);
        portmap_want(b.portmap, true);
        struct portmap_counters n = run_until(&b, 1);
        assert_int_equal(n.failed, 1);
        assert_int_equal(n.lied, 0);
        assert_int_equal(n.killed, port == ENDLESS);
        assert_false(portmap_get(b.portmap, &m));
        portmap_want(b.portmap, false);
        assert_false(portmap_closing(b.portmap)); // there is nothing to close
        close_bench(&b);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_have_one_spelling), cmocka_unit_test(answers_that_are_refused),
        cmocka_unit_test(requests_go_through),       cmocka_unit_test(urls_of_the_router_alone),
        cmocka_unit_test(kept_and_closed),           cmocka_unit_test(closed_in_mid_run),
        cmocka_unit_test(lies_are_closed_again),     cmocka_unit_test(nonsense_is_a_failure),
    };
    if (argc == 2 && strcmp(argv[1], "port-mapper") == 0)
        return act();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
