// One message of a conversation as CBOR: encode and decode, without state and without allocation.
#ifndef BAUTA_NODE_TALK_MESSAGE_H
#define BAUTA_NODE_TALK_MESSAGE_H

#include "node/talk/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum talk_path { TALK_PATH_ANY, TALK_PATH_DIRECT, TALK_PATH_RELAYED, TALK_PATHS };

struct talk_message {
    uint32_t kind;       // TALK_KIND_*; 0: one that we don't know, to be ignored
    uint32_t id;         // text, delivered
    const uint8_t *text; // text; path: its addresses. On decoding a part of the input
    size_t len;
    enum talk_path path; // path: what its sender asks for
    bool on;             // typing
    uint8_t reason;      // leave
};

// Writes a whole frame: length and map. Returns its bytes, 0 when `cap` is too small.
size_t talk_message_encode(uint8_t *out, size_t cap, const struct talk_message *);
// Reads a frame's map. 0 or BAUTA_EFORMAT: not one well-formed map in deterministic encoding, or a key
// that its kind needs is missing or of a wrong type or value, or text that talk_text_check refuses.
int talk_message_decode(struct talk_message *, const uint8_t *map, size_t len);

#endif
