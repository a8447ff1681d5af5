#include "node/host/portmap_wire.h"

#include "crypto/bytes.h"
#include "dht/path.h"

#include <stdio.h>

static void put_url(struct wr *w, const char *url)
{
    size_t len = strnlen(url, PORTMAP_URL_BYTES - 1);
    wr_bytes(w, url, len);
    wr_zero(w, PORTMAP_URL_BYTES - len);
}

// Visible ASCII, then zeroes to the end.
static bool get_url(struct rd *r, char url[static PORTMAP_URL_BYTES])
{
    rd_copy(r, url, PORTMAP_URL_BYTES);
    size_t len = strnlen(url, PORTMAP_URL_BYTES);
    bool ok = !r->bad && len < PORTMAP_URL_BYTES;
    for (size_t i = 0; i < PORTMAP_URL_BYTES; i++)
        ok = ok && (i < len ? url[i] > ' ' && url[i] <= '~' : url[i] == 0);
    return ok;
}

void portmap_request_put(uint8_t out[static PORTMAP_REQUEST_BYTES], const struct portmap_request *q)
{
    struct wr w = wr_init(out, PORTMAP_REQUEST_BYTES);
    wr_u8(&w, (uint8_t)q->op);
    wr_u8(&w, (uint8_t)q->protocol);
    wr_bytes(&w, q->bound, sizeof q->bound);
    wr_le16(&w, q->internal);
    wr_le16(&w, q->external);
    wr_le32(&w, q->lease_s);
    put_url(&w, q->url);
}

int portmap_request_get(struct portmap_request *q, const uint8_t *data, size_t len)
{
    struct rd r = rd_init(data, len);
    memset(q, 0, sizeof *q);
    uint8_t op = rd_u8(&r), protocol = rd_u8(&r);
    rd_copy(&r, q->bound, sizeof q->bound);
    q->internal = rd_le16(&r);
    q->external = rd_le16(&r);
    q->lease_s = rd_le32(&r);
    bool ok = get_url(&r, q->url) && r.left == 0 && (op == PORTMAP_MAP || op == PORTMAP_UNMAP) &&
              protocol <= PORTMAP_UPNP && q->internal != 0 && q->external != 0 && q->lease_s != 0;
    q->op = (enum portmap_op)op;
    q->protocol = (enum portmap_protocol)protocol;
    return ok && (op == PORTMAP_MAP || protocol != PORTMAP_NONE) ? BAUTA_OK : BAUTA_EFORMAT;
}

void portmap_answer_put(uint8_t out[static PORTMAP_ANSWER_BYTES], const struct portmap_answer *a)
{
    struct wr w = wr_init(out, PORTMAP_ANSWER_BYTES);
    wr_u8(&w, (uint8_t)a->result);
    wr_u8(&w, (uint8_t)a->protocol);
    wr_bytes(&w, a->external.ip, 4);
    wr_le16(&w, a->external.port);
    wr_le32(&w, a->lease_s);
    put_url(&w, a->url);
}

int portmap_answer_get(struct portmap_answer *a, const uint8_t *data, size_t len)
{
    struct rd r = rd_init(data, len);
    uint8_t ip[4];
    memset(a, 0, sizeof *a);
    uint8_t result = rd_u8(&r), protocol = rd_u8(&r);
    rd_copy(&r, ip, sizeof ip);
    uint16_t port = rd_le16(&r);
    a->lease_s = rd_le32(&r);
    bool ok = get_url(&r, a->url) && r.left == 0;
    if (ok && result == PORTMAP_MAPPED) {
        a->external = path_v4(ip, port);
        ok = (protocol == PORTMAP_NATPMP || protocol == PORTMAP_UPNP) && port != 0 &&
             a->lease_s != 0 && (a->url[0] != 0) == (protocol == PORTMAP_UPNP);
    } else {
        static const uint8_t zero[4];
        ok = ok && (result == PORTMAP_FAILED || result == PORTMAP_UNMAPPED) && protocol == 0 &&
             memcmp(ip, zero, 4) == 0 && port == 0 && a->lease_s == 0 && a->url[0] == 0;
    }
    a->result = (enum portmap_result)result;
    a->protocol = (enum portmap_protocol)protocol;
    if (!ok)
        memset(a, 0, sizeof *a);
    return ok ? BAUTA_OK : BAUTA_EFORMAT;
}

bool portmap_url_ok(const char *url, const uint8_t router[static 4])
{
    char start[32];
    size_t len = strnlen(url, PORTMAP_URL_BYTES);
    if (len == PORTMAP_URL_BYTES)
        return false;
    for (size_t i = 0; i < len; i++)
        if (url[i] <= ' ' || url[i] > '~')
            return false;
    int n = snprintf(start, sizeof start, "http://%u.%u.%u.%u", router[0], router[1], router[2],
                     router[3]);
    if (strncmp(url, start, (size_t)n) != 0)
        return false;
    const char *at = url + n;
    if (*at == ':') {
        size_t digits = strspn(at + 1, "0123456789");
        if (digits == 0 || digits > 5)
            return false;
        at += 1 + digits;
    }
    return *at == '/';
}
