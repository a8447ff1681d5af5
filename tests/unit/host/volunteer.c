// A relay's address and calendar, the requests for its counters, and what it gives up.
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "dht/path.h"
#include "node/host/metrics.h"
#include "node/host/metrics_text.h"
#include "node/host/sandbox.h"
#include "node/host/volunteer.h"

static struct path at(const char *text)
{
    struct path p;
    assert_int_equal(path_parse(&p, text, strlen(text)), 0);
    return p;
}

static void months(void **state)
{
    (void)state;
    assert_int_equal(volunteer_month(0), 197001);
    assert_int_equal(volunteer_month(1798761599), 202612);
    assert_int_equal(volunteer_month(1798761600), 202701);
}

static void says_the_bound_address_where_it_is_global(void **state)
{
    struct path out[2], none[2];
    struct path bound[2] = {at("9.9.9.9:4000"), at("[2620:fe::fe]:4000")};
    struct path seen[2] = {at("8.8.8.8:4000"), {.family = 0}};
    (void)state;
    memset(none, 0, sizeof none);
    assert_int_equal(volunteer_paths(out, bound, 2, NULL, 0, seen, false), 2);
    assert_true(path_equal(&out[0], &bound[0]) && path_equal(&out[1], &bound[1]));
    bound[0] = at("10.0.0.5:4000");
    assert_int_equal(volunteer_paths(out, bound, 1, NULL, 0, none, false), 0);
    assert_int_equal(volunteer_paths(out, bound, 1, NULL, 0, none, true), 1);
    assert_int_equal(volunteer_paths(out, bound, 1, NULL, 0, seen, false), 1);
    assert_true(path_equal(&out[0], &seen[0]));
}

static void says_an_interface_s_address_before_what_is_seen(void **state)
{
    struct path out[2], any = at("0.0.0.0:4000"), seen[2] = {at("8.8.8.8:5555"), {.family = 0}};
    struct path local[3] = {at("127.0.0.1:4000"), at("192.168.1.2:4000"), at("9.9.9.9:4000")};
    (void)state;
    assert_int_equal(volunteer_paths(out, &any, 1, local, 3, seen, false), 1);
    assert_true(path_equal(&out[0], &local[2]));
    assert_int_equal(volunteer_paths(out, &any, 1, local, 2, seen, false), 1);
    assert_true(path_equal(&out[0], &seen[0]));
    memset(seen, 0, sizeof seen);
    assert_int_equal(volunteer_paths(out, &any, 1, local, 2, seen, false), 0);
}

static void says_one_more_port(void **state)
{
    struct path told = at("9.9.9.9:4000");
    struct path tcp[4] = {at("9.9.9.9:4000"), at("9.9.9.9:8443"), at("9.9.9.9:80"),
                          at("9.9.9.9:443")};
    bool beside;
    (void)state;
    assert_int_equal(volunteer_tcp_port(tcp, 0, &told, 1, &beside), 0);
    assert_false(beside);
    assert_int_equal(volunteer_tcp_port(tcp, 1, &told, 1, &beside), 0);
    assert_true(beside);
    assert_int_equal(volunteer_tcp_port(tcp, 3, &told, 1, &beside), 8443);
    assert_int_equal(volunteer_tcp_port(tcp, 4, &told, 1, &beside), 443);
    assert_int_equal(volunteer_tcp_port(tcp + 3, 1, &told, 1, &beside), 443);
    assert_false(beside);
}

static void reads_requests(void **state)
{
    static const struct {
        const char *head;
        int status;
    } table[] = {
        {"", 0},
        {"GET /metrics HTTP/1.1", 0},
        {"GET /metrics HTTP/1.1\r\n", 0},
        {"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n", 0},
        {"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:9464\r\n\r\n", 200},
        {"GET /metrics?x HTTP/1.1\r\nhost:[::1]:9464\r\n\r\n", 200},
        {"GET /healthz HTTP/1.0\nHOST:  localhost\n\n", 200},
        {"GET /metrics HTTP/1.1\r\nHost: 127.1.2.3\r\nA: b\r\n\r\n", 200},
        {"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1.evil.example\r\n\r\n", 421},
        {"GET /metrics HTTP/1.1\r\nHost: localhost.evil\r\n\r\n", 421},
        {"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: localhost\r\n\r\n", 421},
        {"GET /metrics HTTP/1.1\r\n\r\n", 400},
        {"GET /metrics\r\nHost: localhost\r\n\r\n", 400},
        {"GET /metrics HTTP/2.0\r\nHost: localhost\r\n\r\n", 400},
        {"GET /metricsx HTTP/1.1\r\nHost: localhost\r\n\r\n", 404},
        {"GET  HTTP/1.1\r\nHost: localhost\r\n\r\n", 404},
        {"get /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", 405},
        {"POST /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", 405},
        {"\r\n\r\n", 400},
    };
    enum metrics_page page;
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (metrics_request(table[i].head, strlen(table[i].head), &page) != table[i].status)
            fail_msg("%s", table[i].head);
    assert_int_equal(metrics_request(table[6].head, strlen(table[6].head), &page), 200);
    assert_int_equal(page, METRICS_HEALTH);
}

static void writes_counters(void **state)
{
    static char out[METRICS_TEXT_BYTES];
    struct node_status s;
    struct link_counters l;
    (void)state;
    memset(&s, 0xff, sizeof s); // the longest numbers
    memset(&l, 0xff, sizeof l);
    s.relay.draining = s.announced = true;
    s.relay.volume_left_bytes = UINT64_MAX - 1;
    int len = metrics_text(out, sizeof out, &s, &l, UINT64_MAX);
    assert_true(len > 1000);
    assert_non_null(strstr(out, "bauta_relay_month_bytes 18446744073709551615\n"));
    assert_int_equal(metrics_text(out, (size_t)len, &s, &l, UINT64_MAX), -1);
    memset(&s, 0, sizeof s);
    assert_int_equal(metrics_health(out, sizeof out, &s, false), -8);
    s.dht.contacts = 1;
    assert_int_equal(metrics_health(out, sizeof out, &s, false), 3);
    assert_int_equal(metrics_health(out, sizeof out, &s, true), -9);
    assert_string_equal(out, "draining\n");
}

// In a process of its own, which never gets back what it gave up.
static void gives_up_what_it_does_not_need(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        int entered = sandbox_enter();
        if (entered == 0)
            _exit(77);
        bool ok = entered == 1 && fork() < 0 && errno == EPERM;
        ok = ok && execl("/bin/true", "true", (char *)NULL) < 0 && errno == EPERM;
        ok = ok && kill(getppid(), 0) < 0 && errno == EPERM;
        ok = ok && socket(AF_PACKET, SOCK_RAW, 0) < 0 && errno == EPERM;
        ok = ok && mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
                       MAP_FAILED;
        int udp = socket(AF_INET, SOCK_DGRAM, 0);
        _exit(ok && udp >= 0 ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip();
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(months),
        cmocka_unit_test(says_the_bound_address_where_it_is_global),
        cmocka_unit_test(says_an_interface_s_address_before_what_is_seen),
        cmocka_unit_test(says_one_more_port),
        cmocka_unit_test(reads_requests),
        cmocka_unit_test(writes_counters),
        cmocka_unit_test(gives_up_what_it_does_not_need),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
