// Addresses: prefixes for limits and ids, which addresses may be talked to, and their text form.
#ifndef BAUTA_DHT_PATH_H
#define BAUTA_DHT_PATH_H

#include "dht/machine.h"

#define PATH_TEXT_BYTES 56u     // "[v6]:65535" and NUL
#define CONTACT_TEXT_BYTES 112u // the above, "/", 52 characters of base32, NUL
#define PATH_WIRE_BYTES_MAX 19u // family, 16, port

// A server as it is named on the wire and in --bootstrap. Its id is computed, never claimed.
struct contact {
    uint8_t pk[32];
    uint8_t puzzle_nonce[PUZZLE_NONCE_BYTES]; // zero until learnt from its own answer
    struct path path;
};

// What each tunnel on the way takes of a datagram's length. A tunnel's `via` names how many there are, 1 to 3.
#define PATH_TUNNEL_BYTES 80u
#define PATH_TUNNELS_MAX 3u
#define PATH_VIA_TUNNEL(tunnels, n) (VIA_TUNNEL | (uint32_t)(tunnels) << 24 | (uint32_t)(n))
unsigned path_tunnels(const struct path *);
bool path_equal(const struct path *a, const struct path *b);
struct path path_v4(const uint8_t ip[static 4], uint16_t port);
struct path path_v6(const uint8_t ip[static 16], uint16_t port); // ::ffff:a.b.c.d becomes IPv4
// Bytes of the fine (/24, /48) and coarse (/16, /32) prefix, with the family in front, for hashing
// and comparing: 1 + 6 bytes, unused zero.
struct prefix {
    uint8_t bytes[7];
};
struct prefix path_fine(const struct path *p);
struct prefix path_coarse(const struct path *p);
// The bytes that node_id takes (3 or 6).
const uint8_t *path_id_prefix(const struct path *p);
// May a stranger's word make us send there? Global unicast and port >= 1024; with `lab` also loopback,
// private and link-local. Multicast, broadcast, unspecified, documentation: never. Over TCP also port 443, and names.
bool path_reachable(const struct path *p, bool lab);
// Stands for a host name that only the driver knows (for its proxy to look up): in 100::/64, which is routed nowhere
// (RFC 6666), over TCP.
bool path_name(const struct path *p);
bool path_private(const struct path *p); // RFC 1918, ULA, link-local, CGNAT
bool path_loopback(const struct path *p);

// Text: "127.0.0.1:4000", "[::1]:4000". Parse returns 0 or BAUTA_EFORMAT; only numeric addresses.
int path_parse(struct path *p, const char *text, size_t len);
size_t path_format(char out[static PATH_TEXT_BYTES], const struct path *p);
// "ADDR:PORT/KEY", KEY = base32 (RFC 4648), lower case, no padding, 52 characters.
int contact_parse(struct contact *c, const char *text, size_t len);
size_t contact_format(char out[static CONTACT_TEXT_BYTES], const struct contact *c);

struct rd;
struct wr;
// family[1] addr[4|16] port[2]. path_get sets r->bad on an unknown family.
void path_get(struct rd *r, struct path *p);
void path_put(struct wr *w, const struct path *p);

#endif
