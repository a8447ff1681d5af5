// layer: talk
// A peer's bytes at one end of a conversation, in pieces of changing size.
#include "node/talk/talk.h"
#include "node/talk/message.h"
#include "tests/memory.h"

#include <stdlib.h>
#include <string.h>

static void check_one_encoding(const uint8_t *map, size_t len)
{
    static uint8_t frame[TALK_MAP_BYTES_MAX + TALK_FRAME_HEAD_BYTES];
    struct talk_message m;
    if (talk_message_decode(&m, map, len) != 0 || m.kind == 0)
        return;
    size_t n = talk_message_encode(frame, sizeof frame, &m);
    if (n == 0 || n - TALK_FRAME_HEAD_BYTES > len)
        abort(); // what we write is never longer than what we read
    if (n - TALK_FRAME_HEAD_BYTES == len && memcmp(frame + TALK_FRAME_HEAD_BYTES, map, len) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct talk *t;
    memory_arena(&arena, 1u << 20);
    if (talk_new(&t, &arena) != 0)
        abort();
    for (uint32_t i = 1; i <= 3; i++) {
        const uint8_t *out;
        if (talk_say(t, i, (const uint8_t *)"hello", 5) != 0)
            abort();
        talk_taken(t, talk_output(t, &out));
    }
    check_one_encoding(data, size);
    size_t done = 0, piece = 1;
    while (done < size) {
        size_t n = size - done < piece ? size - done : piece;
        int rc = talk_input(t, data + done, n);
        if (rc < 0)
            break;
        done += (size_t)rc;
        struct talk_event e;
        bool drained = false;
        while (talk_event(t, &e)) {
            drained = true;
            if (e.kind == TALK_TEXT && talk_text_check(e.text, e.len) != 0)
                abort();
            const uint8_t *out;
            size_t owed = talk_output(t, &out);
            if (owed > TALK_CONTROL_BYTES_MAX)
                abort();
            talk_taken(t, owed);
        }
        if (rc == 0 && !drained)
            abort(); // no progress
        piece = piece * 3 % 97 + 1;
    }
    talk_free(t);
    if (arena.used_bytes != 0)
        abort();
    arena_end(&arena);
    return 0;
}
