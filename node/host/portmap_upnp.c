// UPnP IGD, versions 1 and 2, through miniupnpc.
#include "node/host/portmapper.h"

#include "crypto/bytes.h"
#include "dht/path.h"
#include "node/host/limits.h"

#include <arpa/inet.h>
#include <miniupnpc/miniupnpc.h>
#include <miniupnpc/upnpcommands.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define CONFLICT 718           // ConflictInMappingEntry
#define NO_SERVICE "/dev/null" // no minissdpd is asked: there is no file to connect to

struct igd {
    struct UPNPUrls urls;
    struct IGDdatas data;
    char url[PORTMAP_URL_BYTES]; // of its description
    char own[64];                // our address as its connection sees it
};

// UPNP_GetIGDFromUrl asks for the description and nothing else, and is the same in all versions of the library;
// UPNP_GetValidIGD would at once call whatever URL the description names.
static bool open_igd(const struct portmap_router *r, const char *url, struct igd *g)
{
    memset(g, 0, sizeof *g);
    if (!portmap_url_ok(url, r->octets) ||
        UPNP_GetIGDFromUrl(url, &g->urls, &g->data, g->own, sizeof g->own) != 1)
        return false;
    memcpy(g->url, url, strlen(url));
    g->own[sizeof g->own - 1] = 0;
    static const char service[] = "urn:schemas-upnp-org:service:WAN";
    if (g->urls.controlURL != NULL && portmap_url_ok(g->urls.controlURL, r->octets) &&
        strncmp(g->data.first.servicetype, service, sizeof service - 1) == 0 &&
        strcmp(g->own, r->own_text) == 0)
        return true;
    FreeUPNPUrls(&g->urls);
    return false;
}

// Whoever is on the network may answer the search; only the router itself is asked further.
static bool discover(const struct portmap_router *r, struct igd *g)
{
    static const char *const types[] = {"urn:schemas-upnp-org:device:InternetGatewayDevice:1",
                                        "urn:schemas-upnp-org:device:InternetGatewayDevice:2",
                                        NULL};
    int error = 0;
    struct UPNPDev *all = upnpDiscoverDevices(types, PORTMAP_SSDP_MS, r->own_text, NO_SERVICE,
                                              UPNP_LOCAL_PORT_ANY, 0, PORTMAP_SSDP_TTL, &error, 1);
    const char *tried[PORTMAP_IGDS_MAX];
    size_t tries = 0;
    bool found = false;
    for (struct UPNPDev *d = all; d != NULL && !found && tries < PORTMAP_IGDS_MAX; d = d->pNext) {
        bool again = !portmap_url_ok(d->descURL, r->octets);
        for (size_t i = 0; i < tries; i++)
            again = again || strcmp(tried[i], d->descURL) == 0;
        if (again)
            continue;
        tried[tries++] = d->descURL;
        found = open_igd(r, d->descURL, g);
    }
    freeUPNPDevlist(all);
    return found;
}

static bool external_address(const struct igd *g, uint8_t ip[static 4])
{
    char text[64] = "";
    struct in_addr a;
    if (UPNP_GetExternalIPAddress(g->urls.controlURL, g->data.first.servicetype, text) !=
        UPNPCOMMAND_SUCCESS)
        return false;
    text[sizeof text - 1] = 0;
    if (inet_pton(AF_INET, text, &a) != 1)
        return false;
    memcpy(ip, &a, 4);
    return true;
}

static void number(char out[static 16], uint32_t v)
{
    snprintf(out, 16, "%u", v);
}

// The description stays the library's own, as that of every other program that uses it.
static int add(const struct portmap_router *r, const struct igd *g, const struct portmap_request *q,
               uint32_t external)
{
    char ext[16], in[16], lease[16];
    number(ext, external);
    number(in, q->internal);
    number(lease, q->lease_s);
    return UPNP_AddPortMapping(g->urls.controlURL, g->data.first.servicetype, ext, in, r->own_text,
                               NULL, "UDP", NULL, lease);
}

static bool close_port(const struct igd *g, uint32_t external)
{
    char ext[16];
    number(ext, external);
    return UPNP_DeletePortMapping(g->urls.controlURL, g->data.first.servicetype, ext, "UDP",
                                  NULL) == UPNPCOMMAND_SUCCESS;
}

// What the router noted, where it says so: it may have shortened the lease, to 0 where it knows no end. False: the
// port leads to somebody else.
static bool noted(const struct portmap_router *r, const struct igd *g,
                  const struct portmap_request *q, uint32_t external, uint32_t *lease_s)
{
    char ext[16], client[64] = "", port[64] = "", text[128] = "", enabled[64] = "", lease[64] = "";
    number(ext, external);
    *lease_s = q->lease_s;
    if (UPNP_GetSpecificPortMappingEntry(g->urls.controlURL, g->data.first.servicetype, ext, "UDP",
                                         NULL, client, port, text, enabled,
                                         lease) != UPNPCOMMAND_SUCCESS)
        return true;
    client[sizeof client - 1] = port[sizeof port - 1] = lease[sizeof lease - 1] = 0;
    unsigned long s = strtoul(lease, NULL, 10);
    if (s < q->lease_s)
        *lease_s = (uint32_t)s;
    return strcmp(client, r->own_text) == 0 && strtoul(port, NULL, 10) == q->internal;
}

static bool map_at(const struct portmap_router *r, const struct igd *g,
                   const struct portmap_request *q, struct portmap_answer *a)
{
    uint8_t ip[4];
    uint32_t external = q->external;
    if (!external_address(g, ip))
        return false;
    int rc = add(r, g, q, external);
    for (unsigned i = 0; rc == CONFLICT && i < PORTMAP_PORTS_MAX; i++) {
        external = PORTMAP_PORT_MIN + randombytes_uniform(65536u - PORTMAP_PORT_MIN);
        rc = add(r, g, q, external);
    }
    uint32_t lease_s;
    if (rc != UPNPCOMMAND_SUCCESS || !noted(r, g, q, external, &lease_s))
        return false;
    if (lease_s == 0) { // it would stay open after a crash
        (void)close_port(g, external);
        return false;
    }
    memset(a, 0, sizeof *a);
    a->protocol = PORTMAP_UPNP;
    a->external = path_v4(ip, (uint16_t)external);
    a->lease_s = lease_s;
    memcpy(a->url, g->url, sizeof a->url);
    return true;
}

bool portmap_upnp_map(const struct portmap_router *r, const struct portmap_request *q,
                      struct portmap_answer *a)
{
    struct igd g;
    if (q->url[0] != 0 ? !open_igd(r, q->url, &g) : !discover(r, &g))
        return false;
    bool ok = map_at(r, &g, q, a);
    FreeUPNPUrls(&g.urls);
    return ok;
}

bool portmap_upnp_unmap(const struct portmap_router *r, const struct portmap_request *q)
{
    struct igd g;
    if (!open_igd(r, q->url, &g))
        return false;
    bool ok = close_port(&g, q->external);
    FreeUPNPUrls(&g.urls);
    return ok;
}
