#include "node/host/lan.h"

#include "dht/path.h"
#include "node/host/addrs.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_BYTES (INET6_ADDRSTRLEN + IF_NAMESIZE + 1)

struct link { // one interface's address family
    uint8_t family;
    char name[IF_NAMESIZE];
    char address[TEXT_BYTES]; // as libuv takes it: of IPv6 the interface's name alone counts
};
struct lan_host {
    struct host *host;
    struct host_node *node;
    struct lan lan;
    struct rng rng;
    uv_udp_t udp[2]; // IPv4, IPv6
    bool open[2], reading;
    uv_timer_t timer, pause;
    unsigned holds;
    uint64_t sent; // datagrams
    uint8_t in[UDP_DATAGRAM_BYTES];
};

static struct node *machine(const struct lan_host *lh)
{
    return host_node_machine(lh->node);
}

// ---- interfaces -------------------------------------------------------------------------------------

static bool link_local_v6(const struct path *p)
{
    return p->family == 6 && p->ip[0] == 0xfe && (p->ip[1] & 0xc0) == 0x80;
}

// The addresses at which our sockets can be reached on that interface.
static size_t own_paths(const struct lan_host *lh, const struct ifaddrs *all, const char *name,
                        struct path out[static LAN_OWN_MAX])
{
    struct path bound[HOST_SOCKETS_MAX];
    size_t sockets = host_node_bound(lh->node, bound), n = 0;
    for (const struct ifaddrs *a = all; a != NULL; a = a->ifa_next) {
        struct path p = {0};
        if (a->ifa_addr == NULL || strcmp(a->ifa_name, name) != 0)
            continue;
        udp_path(&p, a->ifa_addr);
        p.port = 0;
        for (size_t i = 0; i < sockets && n < LAN_OWN_MAX && !link_local_v6(&p); i++) {
            bool same = memcmp(p.ip, bound[i].ip, sizeof p.ip) == 0;
            if (p.family != bound[i].family || (!same && !addrs_wildcard(&bound[i])))
                continue;
            p.port = bound[i].port;
            out[n++] = p;
        }
    }
    return n;
}

// Those that several computers hang on, with an address that is only good there, if our sockets listen on them.
static size_t links_of(const struct lan_host *lh, const struct ifaddrs *all,
                       struct link out[static LAN_LINKS_MAX])
{
    struct path own[LAN_OWN_MAX];
    size_t n = 0;
    for (const struct ifaddrs *a = all; a != NULL && n < LAN_LINKS_MAX; a = a->ifa_next) {
        const unsigned wanted = IFF_UP | IFF_RUNNING | IFF_MULTICAST;
        struct path p = {0};
        bool fit = (a->ifa_flags & wanted) == wanted &&
                   (a->ifa_flags & (IFF_LOOPBACK | IFF_POINTOPOINT)) == 0 && a->ifa_addr != NULL;
        if (fit)
            udp_path(&p, a->ifa_addr);
        if (!fit || (p.family == 4 ? !path_private(&p) : !link_local_v6(&p)))
            continue;
        bool there = false;
        for (size_t i = 0; i < n; i++)
            there |= out[i].family == p.family && strcmp(out[i].name, a->ifa_name) == 0;
        if (there || own_paths(lh, all, a->ifa_name, own) == 0)
            continue;
        struct link *l = &out[n++];
        l->family = p.family;
        snprintf(l->name, sizeof l->name, "%s", a->ifa_name);
        if (p.family == 4)
            (void)uv_inet_ntop(AF_INET, p.ip, l->address, sizeof l->address);
        else
            snprintf(l->address, sizeof l->address, "::%%%s", l->name);
    }
    return n;
}

// One that is a member already says so, and stays one.
static void join(struct lan_host *lh)
{
    struct ifaddrs *all;
    struct link link[LAN_LINKS_MAX];
    if (getifaddrs(&all) != 0)
        return;
    size_t n = links_of(lh, all, link);
    for (size_t i = 0; i < n; i++) {
        unsigned f = link[i].family == 4 ? 0 : 1;
        if (lh->open[f])
            (void)uv_udp_set_membership(&lh->udp[f], f == 0 ? LAN_GROUP_V4 : LAN_GROUP_V6,
                                        link[i].address, UV_JOIN_GROUP);
    }
    freeifaddrs(all);
}

// ---- out --------------------------------------------------------------------------------------------

static void send_on(struct lan_host *lh, const struct ifaddrs *all, const struct link *link,
                    bool alone)
{
    struct path own[LAN_OWN_MAX];
    struct lan_beacon b = {.asks = alone};
    uint8_t datagram[LAN_BEACON_BYTES];
    struct sockaddr_in6 to6;
    struct sockaddr_in to4;
    unsigned f = link->family == 4 ? 0 : 1;
    size_t owns = own_paths(lh, all, link->name, own);
    b.n = (uint8_t)node_lan_tells(machine(lh), own, owns, b.contact);
    lan_seal(datagram, &lh->lan, &b, host_unix_us(), &lh->rng);
    if (uv_ip4_addr(LAN_GROUP_V4, LAN_PORT, &to4) != 0 ||
        uv_ip6_addr(LAN_GROUP_V6, LAN_PORT, &to6) != 0 ||
        uv_udp_set_multicast_interface(&lh->udp[f], link->address) != 0)
        return;
    uv_buf_t buf = uv_buf_init((char *)datagram, sizeof datagram);
    const struct sockaddr *to =
        f == 0 ? (const struct sockaddr *)&to4 : (const struct sockaddr *)&to6;
    lh->sent += uv_udp_try_send(&lh->udp[f], &buf, 1, to) > 0;
}

static void send_all(struct lan_host *lh, bool alone)
{
    struct ifaddrs *all;
    struct link link[LAN_LINKS_MAX];
    join(lh);
    if (getifaddrs(&all) != 0)
        return;
    size_t n = links_of(lh, all, link);
    for (size_t i = 0; i < n; i++)
        if (lh->open[link[i].family == 4 ? 0 : 1])
            send_on(lh, all, &link[i], alone);
    freeifaddrs(all);
}

// Whether there would be something to say, on whatever interface.
static bool tells(const struct lan_host *lh)
{
    struct contact some[LAN_CONTACTS_MAX];
    struct path any = {.family = 4};
    return node_lan_tells(machine(lh), &any, 1, some) > 0;
}

static void on_timer(uv_timer_t *timer);

static void rearm(struct lan_host *lh)
{
    usec_t now = host_now(lh->host), at = lan_deadline(&lh->lan);
    if (at == USEC_NEVER)
        uv_timer_stop(&lh->timer);
    else
        uv_timer_start(&lh->timer, on_timer, at > now ? (at - now + 999) / 1000 : 0, 0);
}

static void on_timer(uv_timer_t *timer)
{
    struct lan_host *lh = timer->data;
    bool alone = node_alone(machine(lh));
    if (lan_expire(&lh->lan, host_now(lh->host), &lh->rng, alone, tells(lh)))
        send_all(lh, alone);
    rearm(lh);
}

// ---- in ---------------------------------------------------------------------------------------------

static void read_on(struct lan_host *lh);

static void on_pause(uv_timer_t *timer)
{
    read_on(timer->data);
}

// The rest of a flood stays with the kernel, which drops it.
static void pause_reading(struct lan_host *lh)
{
    for (unsigned f = 0; f < 2; f++)
        if (lh->open[f])
            (void)uv_udp_recv_stop(&lh->udp[f]);
    lh->reading = false;
    uv_timer_start(&lh->pause, on_pause, 1000, 0);
}

static bool on_our_link(const struct path *p)
{
    return p->family == 4 ? path_private(p) : link_local_v6(p);
}

static void on_beacon(struct lan_host *lh, const uint8_t *datagram)
{
    struct lan_beacon b;
    usec_t now = host_now(lh->host);
    bool alone = node_alone(machine(lh));
    if (!lan_admit(&lh->lan, now)) {
        pause_reading(lh);
        return;
    }
    if (lan_open(&lh->lan, &b, host_unix_us(), datagram) != 0)
        return;
    if (lan_heard(&lh->lan, now, &lh->rng, &b, alone, tells(lh))) {
        node_lan_hints(machine(lh), host_node_now(lh->node), b.contact, b.n);
        host_node_turn(lh->node);
    }
    rearm(lh);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct lan_host *lh = handle->data;
    (void)suggested;
    *buf = uv_buf_init((char *)lh->in, sizeof lh->in);
}

static void on_read(uv_udp_t *udp, ssize_t n, const uv_buf_t *buf, const struct sockaddr *from,
                    unsigned flags)
{
    struct lan_host *lh = udp->data;
    struct path p = {0};
    (void)buf;
    if (n <= 0 || from == NULL || !lh->reading)
        return;
    udp_path(&p, from);
    if (n != LAN_BEACON_BYTES || (flags & UV_UDP_PARTIAL) != 0 || !on_our_link(&p)) {
        if (lan_admit(&lh->lan, host_now(lh->host)))
            lh->lan.dropped++;
        else
            pause_reading(lh);
        return;
    }
    on_beacon(lh, lh->in);
}

static void read_on(struct lan_host *lh)
{
    lh->reading = true;
    for (unsigned f = 0; f < 2; f++)
        if (lh->open[f])
            (void)uv_udp_recv_start(&lh->udp[f], on_alloc, on_read);
}

// ---- life -------------------------------------------------------------------------------------------

static int open_socket(struct lan_host *lh, uv_loop_t *loop, unsigned f)
{
    struct sockaddr_in any4;
    struct sockaddr_in6 any6;
    int rc = uv_udp_init(loop, &lh->udp[f]);
    if (rc != 0)
        return rc;
    lh->udp[f].data = lh;
    lh->open[f] = true;
    lh->holds++;
    (void)uv_ip4_addr("0.0.0.0", LAN_PORT, &any4);
    (void)uv_ip6_addr("::", LAN_PORT, &any6);
    // Several nodes of one computer share the port.
    rc = f == 0 ? uv_udp_bind(&lh->udp[f], (const struct sockaddr *)&any4, UV_UDP_REUSEADDR)
                : uv_udp_bind(&lh->udp[f], (const struct sockaddr *)&any6,
                              UV_UDP_REUSEADDR | UV_UDP_IPV6ONLY);
    if (rc == 0)
        rc = uv_udp_set_multicast_ttl(&lh->udp[f], 1);
    if (rc == 0) // else each beacon would come back to who sent it
        rc = uv_udp_set_multicast_loop(&lh->udp[f], 0);
    return rc;
}

static void on_closed(uv_handle_t *handle)
{
    struct lan_host *lh = handle->data;
    if (--lh->holds > 0)
        return;
    lan_end(&lh->lan);
    free(lh);
}

static void close_socket(struct lan_host *lh, unsigned f)
{
    if (lh->open[f])
        uv_close((uv_handle_t *)&lh->udp[f], on_closed);
    lh->open[f] = false;
}

void lan_host_close(struct lan_host *lh)
{
    if (lh == NULL)
        return;
    close_socket(lh, 0);
    close_socket(lh, 1);
    uv_close((uv_handle_t *)&lh->timer, on_closed);
    uv_close((uv_handle_t *)&lh->pause, on_closed);
}

int lan_host_open(struct lan_host **out, uv_loop_t *loop, struct host *host, struct host_node *node,
                  const struct net *net)
{
    struct lan_host *lh = calloc(1, sizeof *lh);
    if (lh == NULL)
        return UV_ENOMEM;
    lh->host = host;
    lh->node = node;
    lh->rng = (struct rng){host_random, NULL};
    lan_init(&lh->lan, net);
    uv_timer_init(loop, &lh->timer);
    uv_timer_init(loop, &lh->pause);
    lh->timer.data = lh->pause.data = lh;
    lh->holds = 2;
    int rc[2];
    for (unsigned f = 0; f < 2; f++) {
        rc[f] = open_socket(lh, loop, f);
        if (rc[f] != 0)
            close_socket(lh, f);
    }
    if (rc[0] != 0 && rc[1] != 0) {
        lan_host_close(lh);
        return rc[0];
    }
    for (unsigned f = 0; f < 2; f++)
        if (lh->open[f])
            uv_unref((uv_handle_t *)&lh->udp[f]);
    uv_unref((uv_handle_t *)&lh->timer);
    uv_unref((uv_handle_t *)&lh->pause);
    read_on(lh);
    lan_host_moved(lh);
    *out = lh;
    return 0;
}

void lan_host_moved(struct lan_host *lh)
{
    join(lh);
    lan_restart(&lh->lan, host_now(lh->host), &lh->rng);
    rearm(lh);
}

void lan_host_counters(const struct lan_host *lh, struct host_lan_counters *out)
{
    *out = (struct host_lan_counters){0};
    if (lh != NULL)
        *out = (struct host_lan_counters){true, lh->sent, lh->lan.heard, lh->lan.dropped};
}
