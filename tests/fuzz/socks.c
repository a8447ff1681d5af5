// layer: host
// A proxy that answers whatever it likes, in pieces of any size; and --proxy, whatever is typed. First byte: how it is
// asked. Second: the size of the pieces. Then text up to a zero, and what the proxy says.
#include "node/host/socks.h"

#include "dht/path.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void fill(void *ctx, void *buf, size_t len)
{
    memset(buf, *(const uint8_t *)ctx, len);
}

static void check_proxy(const char *text)
{
    struct socks_proxy p;
    if (socks_parse(&p, text) == 0 &&
        ((p.user[0] == 0) != (p.pass[0] == 0) || p.path.port == 0 || p.path.family == 0 ||
         memchr(p.user, 0, sizeof p.user) == NULL || memchr(p.pass, 0, sizeof p.pass) == NULL))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char text[800] = "socks5://";
    if (len < 2)
        return 0;
    uint8_t how = data[0];
    size_t step = data[1] % 32u + 1, at = 2, n = strlen(text);
    while (at < len && data[at] != 0 && n < sizeof text - 1)
        text[n++] = (char)data[at++];
    text[n] = 0;
    check_proxy(text);
    check_proxy(text + 9);

    static const uint8_t ip[16] = {0x20, 0x01};
    struct path target = (how & 1) != 0 ? path_v4(ip, 4000) : path_v6(ip, 4000);
    struct socks_proxy proxy = {.path = target};
    struct socks s;
    if ((how & 2) != 0)
        socks_isolate(&proxy, &(struct rng){fill, &how});
    if ((how & 4) != 0)
        proxy.random = false;
    socks_start(&s, &proxy);
    for (bool on = true; on && at < len;) {
        size_t used, piece = len - at < step ? len - at : step;
        on = socks_take(&s, &target, (how & 8) != 0 ? "a.name" : NULL, data + at, piece, &used);
        if (used > piece || s.have > sizeof s.in || s.out_len > sizeof s.out ||
            on != (s.step != SOCKS_FAILED) || (!on && s.error == SOCKS_OK))
            abort();
        if (on && used < piece && s.step != SOCKS_CONNECTED)
            abort();
        if (s.step == SOCKS_CONNECTED)
            break;
        s.out_len = 0;
        at += used;
    }
    return socks_error_text(s.error) == NULL;
}
