#include "tools/lab/tun.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/ipv6.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int complain(const struct tun_config *c, const char *what)
{
    fprintf(stderr, "bauta-lab-link: %s in %s: %s: %s\n", c->name, c->netns, what, strerror(errno));
    return -1;
}

// "10.0.0.1/24": the address in network order and the length of the prefix.
static int parse(const char *text, int family, uint8_t *ip, unsigned *prefix)
{
    char host[INET6_ADDRSTRLEN];
    const char *slash = strchr(text, '/');
    size_t len = slash != NULL ? (size_t)(slash - text) : 0;
    char *end;
    errno = EINVAL;
    if (slash == NULL || len >= sizeof host)
        return -1;
    memcpy(host, text, len);
    host[len] = '\0';
    unsigned long bits = strtoul(slash + 1, &end, 10);
    if (*end != '\0' || end == slash + 1 || bits > (family == AF_INET ? 32u : 128u) ||
        inet_pton(family, host, ip) != 1) {
        errno = EINVAL;
        return -1;
    }
    *prefix = (unsigned)bits;
    return 0;
}

static int set_v4(int s, struct ifreq *ifr, const char *text)
{
    struct sockaddr_in in = {.sin_family = AF_INET}, mask = {.sin_family = AF_INET};
    unsigned prefix;
    if (parse(text, AF_INET, (uint8_t *)&in.sin_addr, &prefix) != 0)
        return -1;
    mask.sin_addr.s_addr = htonl(prefix == 0 ? 0 : UINT32_MAX << (32 - prefix));
    memcpy(&ifr->ifr_addr, &in, sizeof in);
    if (ioctl(s, SIOCSIFADDR, ifr) != 0)
        return -1;
    memcpy(&ifr->ifr_netmask, &mask, sizeof mask);
    return ioctl(s, SIOCSIFNETMASK, ifr);
}

static int set_v6(const struct ifreq *named, const char *text)
{
    struct in6_ifreq six = {0};
    struct ifreq ifr = *named;
    unsigned prefix;
    int s = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc = -1;
    if (s >= 0 && parse(text, AF_INET6, six.ifr6_addr.s6_addr, &prefix) == 0 &&
        ioctl(s, SIOCGIFINDEX, &ifr) == 0) {
        six.ifr6_prefixlen = prefix;
        six.ifr6_ifindex = ifr.ifr_ifindex;
        rc = ioctl(s, SIOCSIFADDR, &six);
    }
    if (s >= 0)
        close(s);
    return rc;
}

// In the device's namespace.
static int open_here(struct tun *t, const struct tun_config *c)
{
    struct ifreq ifr = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    (void)snprintf(ifr.ifr_name, sizeof ifr.ifr_name, "%s", c->name);
    t->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (t->fd < 0)
        return complain(c, "/dev/net/tun");
    if (ioctl(t->fd, TUNSETIFF, &ifr) != 0)
        return complain(c, "TUNSETIFF");
    (void)snprintf(t->name, sizeof t->name, "%s", ifr.ifr_name);
    if (ioctl(t->fd, TUNSETOFFLOAD, 0) != 0)
        return complain(c, "TUNSETOFFLOAD");
    int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc = 0;
    if (s < 0)
        return complain(c, "socket");
    ifr.ifr_mtu = (int)c->mtu;
    if (ioctl(s, SIOCSIFMTU, &ifr) != 0)
        rc = complain(c, "MTU");
    ifr.ifr_qlen = (int)c->queue_packets;
    // In a user namespace the kernel's own length has to do.
    if (rc == 0 && ioctl(s, SIOCSIFTXQLEN, &ifr) != 0 && errno != EPERM)
        rc = complain(c, "queue length");
    if (rc == 0 && c->address != NULL && set_v4(s, &ifr, c->address) != 0)
        rc = complain(c, c->address);
    if (rc == 0 && (ioctl(s, SIOCGIFFLAGS, &ifr) != 0 ||
                    (ifr.ifr_flags |= IFF_UP | IFF_RUNNING, ioctl(s, SIOCSIFFLAGS, &ifr)) != 0))
        rc = complain(c, "bring it up");
    close(s);
    if (rc == 0 && c->address6 != NULL && set_v6(&ifr, c->address6) != 0)
        rc = complain(c, c->address6);
    return rc;
}

// Runs in another namespace and comes back. The way back can't fail but by a lack of rights.
static int enter(int netns)
{
    int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    if (home >= 0 && setns(netns, CLONE_NEWNET) != 0) {
        int err = errno;
        close(home);
        errno = err;
        return -1;
    }
    return home;
}

static void leave(int home)
{
    if (setns(home, CLONE_NEWNET) != 0) {
        perror("bauta-lab-link: back to the own namespace");
        exit(1);
    }
    close(home);
}

int tun_open(struct tun *t, const struct tun_config *c)
{
    *t = (struct tun){.fd = -1};
    t->netns = open(c->netns, O_RDONLY | O_CLOEXEC);
    if (t->netns < 0)
        return complain(c, "open the namespace");
    int home = enter(t->netns);
    if (home < 0) {
        complain(c, "enter the namespace");
        tun_close(t);
        return -1;
    }
    int rc = open_here(t, c);
    leave(home);
    if (rc != 0)
        tun_close(t);
    return rc;
}

int64_t tun_dropped(const struct tun *t)
{
    char line[512];
    int64_t dropped = -1;
    size_t name = strlen(t->name);
    int home = enter(t->netns);
    if (home < 0)
        return -1;
    FILE *f = fopen("/proc/thread-self/net/dev", "re");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        const char *at = line + strspn(line, " ");
        // name: eight counters of receiving, then bytes, packets, errors, dropped of sending
        if (strncmp(at, t->name, name) == 0 && at[name] == ':') {
            const char *field = at + name + 1;
            for (int i = 0; i < 11; i++) {
                field += strspn(field, " ");
                field += strcspn(field, " ");
            }
            dropped = (int64_t)strtoll(field, NULL, 10);
        }
    }
    if (f != NULL)
        fclose(f);
    leave(home);
    return dropped;
}

void tun_close(struct tun *t)
{
    if (t->fd >= 0)
        close(t->fd);
    if (t->netns >= 0)
        close(t->netns);
    t->fd = t->netns = -1;
}
