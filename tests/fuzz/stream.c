// layer: node
// A stream is cut up in whatever way, the same datagrams come out of it; whatever bytes a stranger sends, the reader
// stays within its bounds, and stops at a length that can't be.
#include "node/stream.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static uint8_t copy[1 << 16];

// What comes out, hashed into a number; pieces of `step` bytes.
static uint64_t read_all(const uint8_t *data, size_t len, size_t step, int *end)
{
    static const uint8_t key[32] = {1};
    static struct stream s;
    uint64_t sum = 14695981039346656037u;
    stream_accept(&s, key);
    memcpy(copy, data, len);
    *end = 0;
    for (size_t at = 0; at < len && *end == 0;) {
        uint8_t *d;
        size_t used, piece = len - at < step ? len - at : step;
        int rc = stream_take(&s, copy + at, piece, &used, &d);
        if (used > piece || (rc == 0 && used != piece))
            abort();
        if (rc > 0 &&
            ((unsigned)rc < STREAM_DATAGRAM_BYTES_MIN || (unsigned)rc > STREAM_DATAGRAM_BYTES_MAX))
            abort();
        for (int i = 0; i < rc; i++) {
            sum = (sum ^ d[i]) * 1099511628211u;
            d[i] = 0xaa; // opened in place: it is the taker's
        }
        if (rc > 0)
            sum = (sum ^ (uint64_t)rc) * 1099511628211u;
        *end = rc < 0 ? rc : 0;
        at += used;
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    int end[3];
    if (len > sizeof copy)
        return 0;
    uint64_t whole = read_all(data, len, sizeof copy, &end[0]);
    if (read_all(data, len, 1, &end[1]) != whole || end[1] != end[0])
        abort();
    if (read_all(data, len, 7 + len % 100, &end[2]) != whole || end[2] != end[0])
        abort();
    return 0;
}
