// layer: crypto
// Channel packets: arbitrary datagrams, and sealed ones with one change.
#include "crypto/packet.h"
#include "crypto/bytes.h"

#include <sodium.h>
#include <stdlib.h>

static void check(bool ok)
{
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t k_dir[32] = {1}, recv_mask[MASK_KEY_BYTES] = {2};
    static const uint8_t own_cid[CID_BYTES] = {3, 1, 4, 1, 5, 9, 2, 6};
    struct rd in = rd_init(data, size);
    uint8_t mode = rd_u8(&in), d[2 * CLASS_FULL + PACKET_HEADER_BYTES + PACKET_TAG_BYTES_MAX];
    uint8_t cid[CID_BYTES], *body;
    unsigned phase = mode >> 2 & 3u;
    uint64_t pn = 0, number;
    size_t n;
    struct packet_keys k;
    if (sodium_init() < 0 || in.bad || in.left > 2 * CLASS_FULL)
        return 0;
    packet_keys_derive(&k, (mode & 1) != 0 ? PACKET_AEGIS256 : PACKET_CHACHA20POLY1305, k_dir);
    if ((mode & 2) == 0) { // as it comes, with a cid that fits
        size_t len = in.left;
        rd_copy(&in, d, len);
        int rc = packet_open(d, len, &k, own_cid, phase, &pn, &body, &n);
        check(rc == 0 || rc == BAUTA_EAUTH || (rc == BAUTA_EFORMAT && len < 48));
        if (len >= DATAGRAM_BYTES_MIN)
            packet_cid(cid, d, len, recv_mask);
        return 0;
    }
    number = rd_le64(&in) & PACKET_PN_MAX;
    size_t where = rd_le16(&in), text = 0;
    uint8_t x = rd_u8(&in);
    if (in.bad)
        return 0;
    text = in.left;
    const uint8_t *plain = in.p;
    rd_copy(&in, d + PACKET_HEADER_BYTES, text);
    size_t len = packet_seal(d, text, &k, (uint64_t)phase << 62 | number, own_cid, recv_mask);
    check(len == PACKET_HEADER_BYTES + text + packet_tag_bytes(k.aead));
    d[where % len] ^= x;
    packet_cid(cid, d, len, recv_mask);
    int rc = packet_open(d, len, &k, cid, phase, &pn, &body, &n);
    check((rc == 0) == (x == 0));
    check(rc != 0 || (pn == number && n == text && (n == 0 || memcmp(body, plain, n) == 0)));
    return 0;
}
