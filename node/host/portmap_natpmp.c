// NAT-PMP (RFC 6886) through libnatpmp.
#include "node/host/portmapper.h"

#include "crypto/bytes.h"
#include "dht/path.h"
#include "node/host/limits.h"

#include <arpa/inet.h>
#include <natpmp.h>
#include <poll.h>

// The answer of one type to what was asked. Sends again by the library's clock, which starts at 250 ms and doubles;
// a router that is there answers the first or second.
static bool answered(natpmp_t *p, uint16_t type, natpmpresp_t *out)
{
    for (unsigned i = 0; i < PORTMAP_NATPMP_READS_MAX && p->try_number <= PORTMAP_NATPMP_TRIES;
         i++) {
        struct timeval left;
        struct pollfd fd = {.fd = p->s, .events = POLLIN};
        int rc = readnatpmpresponseorretry(p, out);
        if (rc != NATPMP_TRYAGAIN)
            return rc == 0 && out->type == type;
        if (getnatpmprequesttimeout(p, &left) != 0)
            return false;
        long ms = left.tv_sec * 1000 + left.tv_usec / 1000 + 1;
        if (ms > PORTMAP_NATPMP_WAIT_MS)
            ms = PORTMAP_NATPMP_WAIT_MS;
        (void)poll(&fd, 1, ms > 0 ? (int)ms : 0);
    }
    return false;
}

static bool public_address(natpmp_t *p, uint8_t ip[static 4])
{
    natpmpresp_t got;
    if (sendpublicaddressrequest(p) < 0 || !answered(p, NATPMP_RESPTYPE_PUBLICADDRESS, &got))
        return false;
    memcpy(ip, &got.pnu.publicaddress.addr, 4);
    return true;
}

bool portmap_natpmp_map(const struct portmap_router *r, const struct portmap_request *q,
                        struct portmap_answer *a)
{
    natpmp_t p;
    natpmpresp_t got;
    uint8_t ip[4];
    if (initnatpmp(&p, 1, r->address) != 0)
        return false;
    bool ok = public_address(&p, ip) &&
              sendnewportmappingrequest(&p, NATPMP_PROTOCOL_UDP, q->internal, q->external,
                                        q->lease_s) >= 0 &&
              answered(&p, NATPMP_RESPTYPE_UDPPORTMAPPING, &got) &&
              got.pnu.newportmapping.privateport == q->internal &&
              got.pnu.newportmapping.mappedpublicport != 0 && got.pnu.newportmapping.lifetime != 0;
    closenatpmp(&p);
    if (!ok)
        return false;
    memset(a, 0, sizeof *a);
    a->protocol = PORTMAP_NATPMP;
    a->external = path_v4(ip, got.pnu.newportmapping.mappedpublicport);
    a->lease_s = got.pnu.newportmapping.lifetime;
    return true;
}

bool portmap_natpmp_unmap(const struct portmap_router *r, const struct portmap_request *q)
{
    natpmp_t p;
    natpmpresp_t got;
    if (initnatpmp(&p, 1, r->address) != 0)
        return false;
    bool ok = sendnewportmappingrequest(&p, NATPMP_PROTOCOL_UDP, q->internal, 0, 0) >= 0 &&
              answered(&p, NATPMP_RESPTYPE_UDPPORTMAPPING, &got);
    closenatpmp(&p);
    return ok;
}
