// layer: meet
// Every decoder of node/meet: what it takes is written the same way again.
#include "node/meet/wire.h"

#include <stdlib.h>

static void same(const uint8_t *a, const uint8_t *b, size_t n)
{
    if (memcmp(a, b, n) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t again[RECORD_PLAIN_BYTES];
    struct wire_record rec;
    struct wire_envelope envelope;
    struct wire_msg1 msg1;
    struct wire_msg2 msg2;
    struct wire_confirm confirm;
    struct card card;
    if (size >= RECORD_PLAIN_BYTES && wire_get_record(&rec, data) == 0) {
        wire_put_record(again, &rec);
        same(again, data, RECORD_PLAIN_BYTES);
    }
    if (wire_get_envelope(&envelope, data, size) == 0) {
        wire_put_envelope(again, &envelope);
        same(again, data, size);
    }
    if (wire_get_msg1(&msg1, data, size) == 0) {
        wire_put_msg1(again, &msg1);
        same(again, data, size);
    }
    if (wire_get_msg2(&msg2, data, size) == 0) {
        wire_put_msg2(again, &msg2);
        same(again, data, size);
    }
    if (wire_get_confirm(&confirm, data, size) == 0) {
        wire_put_confirm(again, &confirm);
        same(again, data, size);
    }
    if (size >= CARD_BYTES && card_decode(&card, data) == 0) {
        card_encode(again, &card);
        same(again, data, CARD_BYTES);
    }
    return 0;
}
