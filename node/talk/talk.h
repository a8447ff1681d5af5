// The conversation as a pure machine (DESIGN 8): CBOR messages on a reliable stream of a channel, each
// with an id; receipts, typing, leave. Bytes in, bytes out: talk knows no channel.
//
// Frame on the stream: LE16 length || one CBOR map with deterministic encoding (RFC 8949, 4.2).
#ifndef BAUTA_NODE_TALK_TALK_H
#define BAUTA_NODE_TALK_TALK_H

#include "dht/arena.h"
#include "dht/machine.h"
#include "node/talk/limits.h"
#include "node/talk/message.h"

struct talk;

int talk_new(struct talk **, struct arena *); // 0, BAUTA_ESPACE
void talk_free(struct talk *);                // wipes

// Valid UTF-8, 1 to TALK_TEXT_BYTES_MAX bytes, no control characters but newline and tab. BAUTA_EFORMAT says not.
int talk_text_check(const uint8_t *text, size_t len);
// Own messages. `id` is the application's, >= 1, unique in this conversation; it stays here: on the wire
// messages are counted from 1, so that a peer learns nothing of other conversations. 0, BAUTA_EFORMAT,
// BAUTA_ELIMIT (too many or too much waits), BAUTA_ESPACE; after talk_leave or TALK_LEFT: BAUTA_ESTATE.
int talk_say(struct talk *, uint32_t id, const uint8_t *text, size_t len);
int talk_typing(struct talk *, bool on);
int talk_leave(struct talk *, uint8_t reason);
// How the conversation shall run, and where we are then: at most TALK_AT_BYTES_MAX. The newest word counts.
int talk_path(struct talk *, enum talk_path, const uint8_t *at, size_t len);

// Bytes for the stream: *data is valid until talk_taken(n) says that the stream took n of them. At most
// one frame a call: ask again until it returns 0 or the stream is full. Receipts go first, then texts
// in order, then typing, then leave.
size_t talk_output(struct talk *, const uint8_t **data);
void talk_taken(struct talk *, size_t n);
// Bytes from the stream, in order, any split. Returns how many it took: fewer than `len` while an event
// waits to be drained (drain, then call again with the rest), or BAUTA_EFORMAT, BAUTA_ELIMIT: the peer
// broke the rules, close; BAUTA_ESPACE: no memory for the frame, close too. What comes after the peer's
// leave is taken and dropped. Receipts merge, so that no input makes the output grow.
int talk_input(struct talk *, const uint8_t *data, size_t len);

enum talk_event_kind {
    TALK_TEXT,      // id (the peer's count), text, len; the receipt is sent once this is handed out
    TALK_DELIVERED, // id (ours)
    TALK_TYPING,    // on
    TALK_PATH,      // path, and text, len: addresses, not yet looked at
    TALK_LEFT       // reason
};
struct talk_event {
    enum talk_event_kind kind;
    uint32_t id;
    bool on;
    uint8_t reason;
    enum talk_path path;
    const uint8_t *text; // valid until the next call
    size_t len;
};
bool talk_event(struct talk *, struct talk_event *);
// After the end: ids of own messages that were never acknowledged, one a call, oldest first; 0 when none.
uint32_t talk_undelivered(struct talk *);

#endif
