// The byte layout of a conversation. Frame: LE16 length || one CBOR map (RFC 8949) with deterministic
// encoding: definite lengths, shortest heads, keys unsigned and ascending, nothing after the map.
// README.md gives each message byte by byte; tests/vectors/talk.json gives one of each.
#ifndef BAUTA_NODE_TALK_WIRE_H
#define BAUTA_NODE_TALK_WIRE_H

#include "node/talk/limits.h"

#include <assert.h>

#define TALK_FRAME_HEAD_BYTES 2u // LE16 length of the map

// Keys of the map.
#define TALK_KEY_KIND 0u   // unsigned
#define TALK_KEY_ID 1u     // unsigned, 1 to 2^32 - 1
#define TALK_KEY_TEXT 2u   // text string
#define TALK_KEY_ON 3u     // bool
#define TALK_KEY_REASON 4u // unsigned, 0 to 255
#define TALK_KEY_PATH 5u   // unsigned, enum talk_path
#define TALK_KEY_AT 6u     // byte string: family[1] addr[4|16] port[2] each

// Kinds. Those without a line in README.md's table are reserved and, like newer ones, ignored.
#define TALK_KIND_TEXT 1u      // id, text
#define TALK_KIND_DELIVERED 2u // id: this one and all before it
#define TALK_KIND_READ 3u
#define TALK_KIND_TYPING 4u // on
#define TALK_KIND_VERIFY 5u
#define TALK_KIND_KEEP 6u
#define TALK_KIND_LEAVE 7u // reason
#define TALK_KIND_PATH 8u  // path, at

// Heads: map(n) 1, key 1 + kind 1, key 1 + id 5, key 1 + length 3.
#define TALK_TEXT_OVERHEAD_BYTES 13u
#define TALK_CONTROL_BYTES_MAX (16u + TALK_AT_BYTES_MAX) // a whole frame that has no text

static_assert(TALK_TEXT_BYTES_MAX + TALK_TEXT_OVERHEAD_BYTES <= TALK_MAP_BYTES_MAX,
              "the longest text fits a frame");
static_assert(TALK_MAP_BYTES_MAX <= 65535, "the length fits 16 bits");
static_assert(TALK_FRAME_HEAD_BYTES + 1 + 2 + 1 + 5 <= TALK_CONTROL_BYTES_MAX, "receipts fit");
static_assert(TALK_FRAME_HEAD_BYTES + 1 + 2 + 2 + 1 + 2 + TALK_AT_BYTES_MAX <=
                  TALK_CONTROL_BYTES_MAX,
              "addresses fit");

#endif
