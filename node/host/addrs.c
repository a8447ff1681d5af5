#include "node/host/addrs.h"

#include "dht/path.h"
#include "node/host/udp.h"

#include <string.h>

bool addrs_wildcard(const struct path *p)
{
    static const uint8_t zero[16];
    return memcmp(p->ip, zero, sizeof zero) == 0;
}

static bool link_local_v6(const struct path *p)
{
    return p->family == 6 && p->ip[0] == 0xfe && (p->ip[1] & 0xc0) == 0x80;
}

size_t addrs_of(struct path *out, size_t max, const struct path *bound, bool lab)
{
    if (max == 0)
        return 0;
    if (!addrs_wildcard(bound)) {
        out[0] = *bound;
        return lab || !path_loopback(bound);
    }
    uv_interface_address_t *all;
    int count;
    if (uv_interface_addresses(&all, &count) != 0)
        return 0;
    size_t n = 0;
    for (int i = 0; i < count && n < max; i++) {
        struct path p;
        udp_path(&p, (const struct sockaddr *)&all[i].address);
        if (p.family != bound->family || link_local_v6(&p) || (path_loopback(&p) && !lab))
            continue;
        p.port = bound->port;
        out[n++] = p;
    }
    uv_free_interface_addresses(all, count);
    return n;
}
