// An address that comes is told, in a network namespace of the test's own, where the system lets it have one.
#include "node/host/netwatch.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct watcher {
    uv_loop_t loop;
    struct netwatch watch;
    unsigned changes, closed;
};

static void on_change(void *ctx)
{
    struct watcher *w = ctx;
    w->changes++;
    uv_stop(&w->loop);
}

static void on_closed(uv_handle_t *handle)
{
    ((struct watcher *)handle->data)->closed++;
}

static void opens_and_closes(void **state)
{
    (void)state;
    struct watcher w = {.changes = 0};
    assert_int_equal(uv_loop_init(&w.loop), 0);
    if (netwatch_open(&w.watch, &w.loop, on_change, &w) == 0) {
        w.watch.poll.data = &w;
        assert_int_equal(uv_run(&w.loop, UV_RUN_NOWAIT), 0); // nothing keeps it alive
        assert_true(netwatch_close(&w.watch, on_closed));
        uv_run(&w.loop, UV_RUN_DEFAULT);
        assert_int_equal(w.closed, 1);
    }
    assert_false(netwatch_close(&w.watch, on_closed));
    assert_int_equal(uv_loop_close(&w.loop), 0);
}

#ifdef __linux__
#define NO_NAMESPACE 77

static int give_address(void)
{
    struct ifreq r;
    memset(&r, 0, sizeof r);
    strcpy(r.ifr_name, "lo");
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a010203)};
    memcpy(&r.ifr_addr, &in, sizeof in);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    int rc = fd < 0 ? -1 : ioctl(fd, SIOCSIFADDR, &r);
    close(fd);
    return rc;
}

static int in_own_namespace(void)
{
    struct watcher w = {.changes = 0};
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0 && unshare(CLONE_NEWNET) != 0)
        return NO_NAMESPACE;
    if (uv_loop_init(&w.loop) != 0 || netwatch_open(&w.watch, &w.loop, on_change, &w) != 0)
        return 1;
    uv_ref((uv_handle_t *)&w.watch.poll); // else the loop would end at once
    uv_run(&w.loop, UV_RUN_NOWAIT);
    if (w.changes != 0 || give_address() != 0)
        return 2;
    uv_run(&w.loop, UV_RUN_DEFAULT); // until it is told
    return w.changes > 0 ? 0 : 3;
}

static void a_new_address_is_told(void **state)
{
    (void)state;
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(in_own_namespace());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == NO_NAMESPACE)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_and_closes),
#ifdef __linux__
        cmocka_unit_test(a_new_address_is_told),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
