// layer: dht
// Bodies of requests, answers and pushes: what decodes encodes back to a body that decodes to the same.
#include "dht/wire.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void request(const uint8_t *data, size_t len)
{
    struct wire_request q, again;
    uint8_t body[4096], twice[4096];
    size_t n, m;
    if (wire_request_decode(&q, data, len) != 0)
        return;
    require(wire_request_encode(&q, body, sizeof body, &n) == 0 && n <= len);
    require(wire_request_decode(&again, body, n) == 0);
    require(wire_request_encode(&again, twice, sizeof twice, &m) == 0);
    require(n == m && memcmp(body, twice, n) == 0);
}

static void answer(const uint8_t *data, size_t len)
{
    struct wire_answer a, again;
    uint8_t body[4096], twice[4096];
    size_t n, m;
    if (wire_answer_decode(&a, data, len) != 0)
        return;
    require(wire_answer_encode(&a, body, sizeof body, &n) == 0 && n <= len);
    require(wire_answer_decode(&again, body, n) == 0);
    require(wire_answer_encode(&again, twice, sizeof twice, &m) == 0);
    require(n == m && memcmp(body, twice, n) == 0);
}

static void push(const uint8_t *data, size_t len)
{
    struct wire_push p;
    uint8_t body[70000];
    size_t n;
    if (wire_push_decode(&p, data, len) != 0)
        return;
    require(wire_push_encode(&p, body, sizeof body, &n) == 0 && n <= len);
    require(memcmp(body, data, n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len == 0)
        return 0;
    // Exact copies, so that a read past the end is seen.
    uint8_t *copy = malloc(len);
    require(copy != NULL);
    memcpy(copy, data, len);
    request(copy, len);
    answer(copy, len);
    push(copy, len);
    free(copy);
    return 0;
}
