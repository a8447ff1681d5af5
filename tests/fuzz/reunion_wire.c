// layer: node
// What the other end, or an introducer, makes of a reunion's layouts: what is taken is written the same way again.
#include "node/reunion_wire.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reunion_point point[REUNION_POINTS_MAX];
    struct meet_candidates candidates;
    uint8_t again[CHANNEL_MEETING_BYTES_MAX], note[REUNION_OFFER_NOTE_BYTES];
    size_t n;
    if (reunion_get_points(point, &n, data, size) == 0 &&
        (reunion_put_points(again, point, n) != size || memcmp(again, data, size) != 0))
        abort();
    if (reunion_get_candidates(&candidates, data, size) == 0 &&
        (reunion_put_candidates(again, sizeof again, &candidates) != size ||
         memcmp(again, data, size) != 0))
        abort();
    size_t len = reunion_unwrap(note, data, size);
    if (len != 0 && len != REUNION_OFFER_NOTE_BYTES && len != REUNION_ANSWER_NOTE_BYTES)
        abort();
    return 0;
}
