// What passes between the node and the process that speaks with routers (portmapper.h): one request in, one
// answer out, each of one fixed size. The node takes an answer for a stranger's bytes.
#ifndef BAUTA_NODE_HOST_PORTMAP_WIRE_H
#define BAUTA_NODE_HOST_PORTMAP_WIRE_H

#include "dht/machine.h"

enum portmap_op { PORTMAP_MAP = 1, PORTMAP_UNMAP = 2 };
enum portmap_protocol { PORTMAP_NONE = 0, PORTMAP_NATPMP = 1, PORTMAP_UPNP = 2 };
enum portmap_result { PORTMAP_FAILED = 1, PORTMAP_MAPPED = 2, PORTMAP_UNMAPPED = 3 };

#define PORTMAP_URL_BYTES 256u // of a router's description, with its NUL; longer ones are not used

// op 1, protocol 1, bound 4, internal 2, external 2, lease 4, url
#define PORTMAP_REQUEST_BYTES (14u + PORTMAP_URL_BYTES)
// result 1, protocol 1, external 4, port 2, lease 4, url
#define PORTMAP_ANSWER_BYTES (12u + PORTMAP_URL_BYTES)

struct portmap_request {
    enum portmap_op op;
    enum portmap_protocol protocol; // MAP: tried first, where not NONE. UNMAP: the one to be used
    uint8_t bound[4];               // address our socket is bound to; zero: every one
    uint16_t internal;              // our socket's port
    uint16_t external;              // wanted; of UNMAP: mapped
    uint32_t lease_s;
    char url[PORTMAP_URL_BYTES]; // of the router's description, as an answer gave it; "": unknown
};

struct portmap_answer {
    enum portmap_result result;
    enum portmap_protocol protocol; // the rest is zero unless MAPPED
    struct path external;           // IPv4; not checked further than its form
    uint32_t lease_s;
    char url[PORTMAP_URL_BYTES];
};

void portmap_request_put(uint8_t out[static PORTMAP_REQUEST_BYTES], const struct portmap_request *);
void portmap_answer_put(uint8_t out[static PORTMAP_ANSWER_BYTES], const struct portmap_answer *);
// 0 or BAUTA_EFORMAT. Canonical only: what is unused is zero.
int portmap_request_get(struct portmap_request *, const uint8_t *data, size_t len);
int portmap_answer_get(struct portmap_answer *, const uint8_t *data, size_t len);

// May the URL be fetched? "http://A.B.C.D[:PORT]/..." of visible ASCII with the router's own address, so that
// neither a name is looked up nor anybody else asked.
bool portmap_url_ok(const char *url, const uint8_t router[static 4]);

#endif
