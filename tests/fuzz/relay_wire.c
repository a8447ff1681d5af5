// layer: relay
// What a client and its relay say to each other: the first byte chooses control messages on a stream, a head before a
// datagram, a handshake's payload, or frames with parts. What is taken is written the same way again.
#include "node/relay/parts.h"
#include "node/relay/wire.h"
#include "tests/memory.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void messages(const uint8_t *data, size_t len)
{
    while (len > 0) {
        struct relay_message m, again;
        uint8_t out[RELAY_MESSAGE_BYTES_MAX], twice[RELAY_MESSAGE_BYTES_MAX];
        int used = relay_message_get(&m, data, len);
        require(used <= (int)len);
        if (used <= 0)
            return;
        if (m.type != 0) {
            size_t n = relay_message_put(out, &m);
            require(relay_message_get(&again, out, n) == (int)n);
            require(relay_message_put(twice, &again) == n && memcmp(out, twice, n) == 0);
        }
        data += used;
        len -= (size_t)used;
    }
}

static void head(const uint8_t *data, size_t len)
{
    struct rd r = rd_init(data, len);
    struct relay_head h;
    uint8_t out[RELAY_HEAD_BYTES_MAX];
    if (relay_head_get(&r, &h) != 0)
        return;
    size_t n = len - r.left;
    struct wr w = wr_init(out, sizeof out);
    relay_head_put(&w, &h);
    require(!w.bad && wr_len(&w) == n && relay_head_bytes(&h) == n && memcmp(out, data, n) == 0);
}

static void open_payload(const uint8_t *data, size_t len)
{
    for (unsigned answer = 0; answer < 2; answer++) {
        struct relay_open o;
        uint8_t out[RELAY_OPEN_BYTES];
        if (relay_open_get(&o, data, len, answer == 1) != 0)
            continue;
        relay_open_put(out, &o, answer == 1);
        require(len == sizeof out && memcmp(out, data, len) == 0);
    }
}

// Frames of a length in the first byte each; memory that may run out in the midst.
static void parts(const uint8_t *data, size_t len)
{
    struct relay_parts *p = NULL;
    struct arena arena;
    memory_arena(&arena, len % 3 == 0 ? 512 : 1u << 20);
    while (len > 1) {
        size_t n = data[0] < len - 1 ? data[0] : len - 1, d_len = n;
        uint8_t *frame = malloc(n > 0 ? n : 1); // exact, so that a read past the end is seen
        require(frame != NULL);
        memcpy(frame, data + 1, n);
        const uint8_t *d = frame;
        bool bad = false;
        if (relay_parts_take(&p, &arena, &d, &d_len, &bad)) {
            static volatile uint8_t sum;
            for (size_t i = 0; i < d_len; i++)
                sum = (uint8_t)(sum ^ d[i]); // all of it may be read
            require(!bad && d_len <= RELAY_HEAD_BYTES_MAX + CHANNEL_PACKET_BYTES_MAX);
        }
        free(frame);
        data += 1 + n;
        len -= 1 + n;
    }
    relay_parts_free(&p, &arena);
    require(arena.used_bytes == 0);
    arena_end(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const all[])(const uint8_t *, size_t) = {messages, head, open_payload, parts};
    if (size < 2)
        return 0;
    uint8_t *copy = malloc(size - 1);
    require(copy != NULL);
    memcpy(copy, data + 1, size - 1);
    all[data[0] % 4](copy, size - 1);
    free(copy);
    return 0;
}
