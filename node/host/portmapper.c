#include "node/host/portmapper.h"

#include "crypto/bytes.h"
#include "dht/path.h"
#include "node/host/confine.h"
#include "node/host/process.h"

#include <arpa/inet.h>
#include <errno.h>
#include <natpmp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static bool read_request(struct portmap_request *q)
{
    uint8_t data[PORTMAP_REQUEST_BYTES];
    size_t got = 0;
    while (got < sizeof data) {
        ssize_t n = read(STDIN_FILENO, data + got, sizeof data - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        got += (size_t)n;
    }
    return portmap_request_get(q, data, got) == BAUTA_OK;
}

static bool write_answer(const struct portmap_answer *a)
{
    uint8_t data[PORTMAP_ANSWER_BYTES];
    portmap_answer_put(data, a);
    return write(STDOUT_FILENO, data, sizeof data) == (ssize_t)sizeof data; // a pipe has the room
}

// Without a datagram: connecting a socket only asks the routing table.
static bool own_address(struct portmap_router *r)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(NATPMP_PORT), .sin_addr.s_addr = r->address};
    struct sockaddr_in own = {.sin_family = AF_UNSPEC};
    socklen_t len = sizeof own;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0)
        return false;
    bool ok = connect(fd, (struct sockaddr *)&to, sizeof to) == 0 &&
              getsockname(fd, (struct sockaddr *)&own, &len) == 0 && own.sin_family == AF_INET;
    (void)close(fd);
    r->own = ok ? own.sin_addr.s_addr : 0;
    return ok;
}

// A computer whose own address is global has no router that could open anything for it: nobody is asked.
static bool find_router(struct portmap_router *r, const struct portmap_request *q)
{
    natpmp_t p;
    uint8_t own[4];
    if (initnatpmp(&p, 0, 0) != 0)
        return false;
    memset(r, 0, sizeof *r);
    r->address = p.gateway;
    closenatpmp(&p);
    if (!own_address(r))
        return false;
    memcpy(own, &r->own, sizeof own);
    memcpy(r->octets, &r->address, sizeof r->octets);
    struct path own_path = path_v4(own, 1);
    static const uint8_t every[4];
    bool bound_here = memcmp(q->bound, every, 4) == 0 || memcmp(q->bound, own, 4) == 0;
    snprintf(r->own_text, sizeof r->own_text, "%u.%u.%u.%u", own[0], own[1], own[2], own[3]);
    return bound_here && path_private(&own_path) && !path_loopback(&own_path);
}

static bool map(const struct portmap_router *r, const struct portmap_request *q,
                struct portmap_answer *a)
{
    // What worked the last time is renewed without asking the other, who may be slow to say nothing.
    if (q->protocol == PORTMAP_UPNP && q->url[0] != 0 && portmap_upnp_map(r, q, a))
        return true;
    if (portmap_natpmp_map(r, q, a))
        return true;
    struct portmap_request fresh = *q;
    fresh.url[0] = 0;
    return portmap_upnp_map(r, &fresh, a);
}

static void serve(const struct portmap_router *r, const struct portmap_request *q,
                  struct portmap_answer *a)
{
    bool done;
    if (q->op == PORTMAP_MAP)
        done = map(r, q, a);
    else if (q->protocol == PORTMAP_NATPMP)
        done = portmap_natpmp_unmap(r, q);
    else
        done = portmap_upnp_unmap(r, q);
    if (!done)
        memset(a, 0, sizeof *a);
    a->result = !done ? PORTMAP_FAILED : q->op == PORTMAP_MAP ? PORTMAP_MAPPED : PORTMAP_UNMAPPED;
}

int portmapper(void)
{
    struct portmap_request q;
    struct portmap_router r;
    struct portmap_answer a;
    if (!confine_begin())
        return process_fail(EXIT_FAILED, "port-mapper can't be confined");
    if (!read_request(&q))
        return process_fail(EXIT_USAGE, "port-mapper is started by the node itself");
    memset(&a, 0, sizeof a);
    a.result = PORTMAP_FAILED;
    bool found = find_router(&r, &q); // reads the routing table, so it comes first
    if (!confine_network())
        return process_fail(EXIT_FAILED, "port-mapper can't be confined");
    if (found)
        serve(&r, &q, &a);
    // No handlers of libraries run at this end: they hold what strangers sent.
    _exit(write_answer(&a) ? EXIT_OK : EXIT_FAILED);
}
