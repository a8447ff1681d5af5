#include "dht/path.h"

#include "crypto/bytes.h"

#include <string.h>

#define BASE32_KEY_CHARS 52u // ceil(256 / 5)

#define HTTPS_PORT 443u

static const char base32_alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";

unsigned path_tunnels(const struct path *p)
{
    return p->via != VIA_NONE && (p->via & VIA_TUNNEL) ? p->via >> 24 & 3u : 0;
}

bool path_equal(const struct path *a, const struct path *b)
{
    return a->family == b->family && a->port == b->port && a->via == b->via &&
           memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

struct path path_v4(const uint8_t ip[static 4], uint16_t port)
{
    struct path p;
    memset(&p, 0, sizeof p);
    p.family = 4;
    p.port = port;
    memcpy(p.ip, ip, 4);
    return p;
}

struct path path_v6(const uint8_t ip[static 16], uint16_t port)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    if (memcmp(ip, mapped, sizeof mapped) == 0)
        return path_v4(ip + 12, port);
    struct path p;
    memset(&p, 0, sizeof p);
    p.family = 6;
    p.port = port;
    memcpy(p.ip, ip, 16);
    return p;
}

static struct prefix prefix_of(const struct path *p, size_t v4_bytes, size_t v6_bytes)
{
    struct prefix x;
    memset(&x, 0, sizeof x);
    x.bytes[0] = p->family;
    memcpy(x.bytes + 1, p->ip, p->family == 4 ? v4_bytes : v6_bytes);
    return x;
}

struct prefix path_fine(const struct path *p)
{
    return prefix_of(p, 3, 6);
}

struct prefix path_coarse(const struct path *p)
{
    return prefix_of(p, 2, 4);
}

const uint8_t *path_id_prefix(const struct path *p)
{
    return p->ip;
}

bool path_loopback(const struct path *p)
{
    static const uint8_t one[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
    if (p->family == 4)
        return p->ip[0] == 127;
    return p->family == 6 && memcmp(p->ip, one, 16) == 0;
}

bool path_private(const struct path *p)
{
    const uint8_t *a = p->ip;
    if (p->family == 4)
        return a[0] == 10 || (a[0] == 172 && (a[1] & 0xf0) == 16) || (a[0] == 192 && a[1] == 168) ||
               (a[0] == 169 && a[1] == 254) || (a[0] == 100 && (a[1] & 0xc0) == 64);
    return p->family == 6 && ((a[0] & 0xfe) == 0xfc || (a[0] == 0xfe && (a[1] & 0xc0) == 0x80));
}

// Addresses that are nobody's: this network, documentation, benchmarking, multicast, reserved.
static bool v4_special(const uint8_t a[static 4])
{
    return a[0] == 0 || a[0] >= 224 || (a[0] == 192 && a[1] == 0 && (a[2] == 0 || a[2] == 2)) ||
           (a[0] == 198 && (a[1] & 0xfe) == 18) || (a[0] == 198 && a[1] == 51 && a[2] == 100) ||
           (a[0] == 203 && a[1] == 0 && a[2] == 113);
}

bool path_name(const struct path *p)
{
    static const uint8_t prefix[8] = {1};
    return p->via == VIA_TCP && p->family == 6 && memcmp(p->ip, prefix, sizeof prefix) == 0;
}

bool path_reachable(const struct path *p, bool lab)
{
    bool https = p->via == VIA_TCP && p->port == HTTPS_PORT; // what firewalls let through
    if ((p->family != 4 && p->family != 6) || (p->port < 1024 && !https))
        return false;
    if (path_name(p))
        return true;
    if (path_loopback(p) || path_private(p))
        return lab;
    const uint8_t *a = p->ip;
    if (p->family == 4)
        return !v4_special(a);
    if ((a[0] & 0xe0) != 0x20) // global unicast is 2000::/3
        return false;
    bool documentation = (a[0] == 0x20 && a[1] == 0x01 && a[2] == 0x0d && a[3] == 0xb8) ||
                         (a[0] == 0x3f && a[1] == 0xff && (a[2] & 0xf0) == 0);
    bool orchid = a[0] == 0x20 && a[1] == 0x01 && a[2] == 0 && (a[3] & 0xe0) == 0x20;
    bool teredo = a[0] == 0x20 && a[1] == 0x01 && a[2] == 0 && a[3] == 0;
    bool six_to_four = a[0] == 0x20 && a[1] == 0x02; // would smuggle IPv4 addresses past the rules
    return !documentation && !orchid && !teredo && !six_to_four;
}

// ---- text -----------------------------------------------------------------------------------------

static int digit_value(uint8_t c, unsigned base)
{
    int v = -1;
    if (c >= '0' && c <= '9')
        v = c - '0';
    else if (c >= 'a' && c <= 'f')
        v = c - 'a' + 10;
    else if (c >= 'A' && c <= 'F')
        v = c - 'A' + 10;
    return v >= 0 && (unsigned)v < base ? v : -1;
}

// A number of 1 to `digits` digits, at most `max`. Decimal ones have no leading zeroes.
static bool take_number(struct rd *r, unsigned base, unsigned digits, uint32_t max, uint32_t *value)
{
    uint32_t v = 0;
    unsigned n = 0;
    while (r->left > 0 && digit_value(*r->p, base) >= 0) {
        if (n == digits || (base == 10 && n == 1 && v == 0))
            return false;
        v = v * base + (uint32_t)digit_value(rd_u8(r), base);
        n++;
    }
    *value = v;
    return n > 0 && v <= max;
}

static bool take_char(struct rd *r, char c)
{
    if (r->left == 0 || *r->p != (uint8_t)c)
        return false;
    (void)rd_u8(r);
    return true;
}

static bool take_v4(struct rd *r, uint8_t ip[static 4])
{
    for (unsigned i = 0; i < 4; i++) {
        uint32_t v;
        if ((i > 0 && !take_char(r, '.')) || !take_number(r, 10, 3, 255, &v))
            return false;
        ip[i] = (uint8_t)v;
    }
    return true;
}

// RFC 4291 text form, all of `r`: groups of hex, one "::", an IPv4 tail.
static bool take_v6(struct rd *r, uint8_t ip[static 16])
{
    uint8_t head[16], tail[16];
    size_t head_len = 0, tail_len = 0;
    bool gap = false;
    if (take_char(r, ':')) {
        if (!take_char(r, ':'))
            return false;
        gap = true;
    }
    bool need_group = !gap;
    while (r->left > 0 || need_group) {
        uint8_t *to = gap ? tail : head;
        size_t *len = gap ? &tail_len : &head_len;
        struct rd ahead = *r;
        uint8_t v4[4];
        uint32_t group;
        if (take_v4(&ahead, v4) && ahead.left == 0) {
            if (head_len + tail_len + 4 > 16)
                return false;
            memcpy(to + *len, v4, 4);
            *len += 4;
            *r = ahead;
            break;
        }
        if (!take_number(r, 16, 4, 0xffff, &group) || head_len + tail_len + 2 > 16)
            return false;
        to[(*len)++] = (uint8_t)(group >> 8);
        to[(*len)++] = (uint8_t)group;
        need_group = false;
        if (r->left == 0)
            break;
        if (!take_char(r, ':'))
            return false;
        if (take_char(r, ':')) {
            if (gap)
                return false;
            gap = true;
        } else {
            need_group = true;
        }
    }
    if (gap ? head_len + tail_len > 14 : head_len != 16)
        return false;
    memset(ip, 0, 16);
    memcpy(ip, head, head_len);
    memcpy(ip + 16 - tail_len, tail, tail_len);
    return true;
}

int path_parse(struct path *p, const char *text, size_t len)
{
    struct rd r = rd_init((const uint8_t *)text, len);
    uint8_t ip[16];
    uint32_t port;
    bool v6 = take_char(&r, '[');
    if (v6) {
        const uint8_t *end = r.left > 0 ? memchr(r.p, ']', r.left) : NULL;
        if (end == NULL)
            return BAUTA_EFORMAT;
        struct rd inner = rd_init(r.p, (size_t)(end - r.p));
        if (!take_v6(&inner, ip) || inner.left != 0)
            return BAUTA_EFORMAT;
        (void)rd_bytes(&r, (size_t)(end - r.p) + 1);
    } else if (!take_v4(&r, ip)) {
        return BAUTA_EFORMAT;
    }
    if (!take_char(&r, ':') || !take_number(&r, 10, 5, 65535, &port) || r.left != 0)
        return BAUTA_EFORMAT;
    *p = v6 ? path_v6(ip, (uint16_t)port) : path_v4(ip, (uint16_t)port);
    return 0;
}

static void put_number(struct wr *w, uint32_t v, uint32_t base)
{
    uint8_t digits[10];
    size_t n = 0;
    do {
        digits[n++] = (uint8_t) "0123456789abcdef"[v % base];
        v /= base;
    } while (v > 0);
    while (n > 0)
        wr_u8(w, digits[--n]);
}

// RFC 5952: lower case, the longest run of two or more zero groups as "::".
static void put_v6(struct wr *w, const uint8_t ip[static 16])
{
    unsigned best = 8, best_len = 1;
    for (unsigned i = 0; i < 8; i++) {
        unsigned n = 0;
        while (i + n < 8 && ip[2 * (i + n)] == 0 && ip[2 * (i + n) + 1] == 0)
            n++;
        if (n > best_len) {
            best = i;
            best_len = n;
        }
    }
    for (unsigned i = 0; i < 8; i++) {
        if (i == best) {
            wr_bytes(w, "::", 2);
            i += best_len - 1;
            continue;
        }
        if (i > 0 && i != best + best_len)
            wr_u8(w, ':');
        put_number(w, (uint32_t)ip[2 * i] << 8 | ip[2 * i + 1], 16);
    }
}

size_t path_format(char out[static PATH_TEXT_BYTES], const struct path *p)
{
    struct wr w = wr_init((uint8_t *)out, PATH_TEXT_BYTES - 1);
    if (p->family == 4) {
        for (unsigned i = 0; i < 4; i++) {
            if (i > 0)
                wr_u8(&w, '.');
            put_number(&w, p->ip[i], 10);
        }
    } else if (p->family == 6) {
        wr_u8(&w, '[');
        put_v6(&w, p->ip);
        wr_u8(&w, ']');
    } else {
        wr_u8(&w, '-');
    }
    wr_u8(&w, ':');
    put_number(&w, p->port, 10);
    out[wr_len(&w)] = '\0';
    return wr_len(&w);
}

// Canonical only: the 4 bits beyond the key must be zero.
static bool base32_key(uint8_t pk[static 32], const uint8_t *text)
{
    uint32_t acc = 0;
    unsigned bits = 0;
    size_t n = 0;
    for (size_t i = 0; i < BASE32_KEY_CHARS; i++) {
        const char *at = text[i] == 0 ? NULL : strchr(base32_alphabet, text[i]);
        if (at == NULL)
            return false;
        acc = (acc << 5 | (uint32_t)(at - base32_alphabet)) & 0x1fff;
        bits += 5;
        if (bits >= 8 && n < 32) {
            bits -= 8;
            pk[n++] = (uint8_t)(acc >> bits);
        }
    }
    return (acc & ((1u << bits) - 1)) == 0;
}

int contact_parse(struct contact *c, const char *text, size_t len)
{
    const char *slash = len > 0 ? memchr(text, '/', len) : NULL;
    if (slash == NULL || len - (size_t)(slash - text) - 1 != BASE32_KEY_CHARS)
        return BAUTA_EFORMAT;
    struct contact parsed;
    memset(&parsed, 0, sizeof parsed);
    int rc = path_parse(&parsed.path, text, (size_t)(slash - text));
    if (rc != 0)
        return rc;
    if (parsed.path.port == 0 || !base32_key(parsed.pk, (const uint8_t *)slash + 1))
        return BAUTA_EFORMAT;
    *c = parsed;
    return 0;
}

size_t contact_format(char out[static CONTACT_TEXT_BYTES], const struct contact *c)
{
    size_t n = path_format(out, &c->path);
    out[n++] = '/';
    uint32_t acc = 0;
    unsigned bits = 0;
    for (size_t i = 0; i < 32; i++) {
        acc = (acc << 8 | c->pk[i]) & 0xffff;
        bits += 8;
        while (bits >= 5) {
            bits -= 5;
            out[n++] = base32_alphabet[acc >> bits & 31];
        }
    }
    out[n++] = base32_alphabet[acc << (5 - bits) & 31];
    out[n] = '\0';
    return n;
}

// ---- wire -----------------------------------------------------------------------------------------

void path_get(struct rd *r, struct path *p)
{
    memset(p, 0, sizeof *p);
    uint8_t family = rd_u8(r);
    uint8_t ip[16];
    if (family != 4 && family != 6) {
        r->bad = true;
        return;
    }
    rd_copy(r, ip, family == 4 ? 4 : 16);
    uint16_t port = rd_le16(r);
    if (r->bad)
        return;
    *p = family == 4 ? path_v4(ip, port) : path_v6(ip, port);
    if (p->family != family) { // ::ffff:0:0/96 has one form only, family 4
        memset(p, 0, sizeof *p);
        r->bad = true;
    }
}

void path_put(struct wr *w, const struct path *p)
{
    wr_u8(w, p->family);
    wr_bytes(w, p->ip, p->family == 4 ? 4 : 16);
    wr_le16(w, p->port);
}
