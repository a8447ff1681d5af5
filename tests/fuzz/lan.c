// layer: node
// A beacon of LAN discovery: as it is, and its body sealed under the network's key. What is taken is sealed and opened
// the same way again.
#include "node/lan.h"
#include "crypto/bytes.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define UNIX_US (INT64_C(1000000) * 60000000)
#define NONCE_BYTES 24u
#define BODY_BYTES (LAN_BEACON_BYTES - NONCE_BYTES - 16u)

static void fill(void *ctx, void *buf, size_t len)
{
    (void)ctx;
    memset(buf, 0x5a, len);
}

static bool valid(const struct lan_beacon *b)
{
    bool ok = b->n <= LAN_CONTACTS_MAX;
    for (unsigned i = 0; ok && i < b->n; i++)
        ok = b->contact[i].path.family == 4 || b->contact[i].path.family == 6;
    return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct rng rng = {fill, NULL};
    uint8_t datagram[LAN_BEACON_BYTES] = {0}, body[BODY_BYTES] = {0};
    struct lan_beacon b, again;
    struct lan l;
    struct net net;
    if (net_init(&net, "fuzz") != 0)
        abort();
    lan_init(&l, &net);
    memcpy(datagram, data, size < sizeof datagram ? size : sizeof datagram);
    if (lan_open(&l, &b, UNIX_US, datagram) == 0 && !valid(&b))
        abort();
    memcpy(body, data, size < sizeof body ? size : sizeof body);
    memset(datagram, 0x77, NONCE_BYTES);
    crypto_aead_xchacha20poly1305_ietf_encrypt(datagram + NONCE_BYTES, NULL, body, sizeof body,
                                               NULL, 0, NULL, datagram, l.key);
    int rc = lan_open(&l, &b, UNIX_US, datagram);
    if (rc == BAUTA_EAUTH)
        abort();
    if (rc == 0) {
        if (!valid(&b))
            abort();
        lan_seal(datagram, &l, &b, UNIX_US, &rng);
        if (lan_open(&l, &again, UNIX_US, datagram) != 0 || b.asks != again.asks ||
            b.n != again.n || memcmp(b.contact, again.contact, sizeof b.contact) != 0)
            abort();
        bool alone = size % 2 == 1;
        (void)lan_heard(&l, size, &rng, &b, alone, size % 4 < 2);
        if (l.answer_at != USEC_NEVER && !b.asks)
            abort();
    }
    lan_end(&l);
    return 0;
}
