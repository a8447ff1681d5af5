// Every byte layout of the DHT inside the sealed bodies (PROTOCOL 2 and 5; dht/README.md tells them
// byte by byte). Integers are little-endian. What follows the last field is padding.
#ifndef BAUTA_DHT_WIRE_H
#define BAUTA_DHT_WIRE_H

#include "crypto/record.h"
#include "crypto/rpc.h"
#include "dht/dht.h"
#include "dht/limits.h"
#include "dht/path.h"

#include <assert.h>

enum rpc_kind {
    RPC_PING = 1,
    RPC_FIND = 2,
    RPC_ANNOUNCE = 3,
    RPC_WITHDRAW = 4,
    RPC_SEEK = 5,
    RPC_ATTEND = 6,
    RPC_INTRODUCE = 7,
    RPC_RELAY_BACK = 8,
    RPC_DIAL_BACK = 9,
    RPC_OPEN = 10
};
#define RPC_KIND_LAST RPC_OPEN
enum rpc_status {
    RPC_OK = 0,
    RPC_NEED_TOKEN = 1, // the token missing or expired; a good one comes with the answer
    RPC_FULL = 2,       // a limit of the server; hint > 0: the place is hot, go deeper
    RPC_LOCKED = 3,     // the rec_id, or the handle, belongs to another request key
    RPC_GONE = 4,       // withdrawn before
    RPC_UNKNOWN = 5,    // no such handle or link
    RPC_EFFORT = 6      // announce: so much work is wanted here
};
enum push_kind { PUSH_OFFER = 1, PUSH_BACK = 2 };

#define WIRE_WANT_V4 1u // find: contacts of which families
#define WIRE_WANT_V6 2u
#define WIRE_FLAG_SELF 1u    // ping, find, dial_back: pk and puzzle_nonce follow
#define WIRE_FLAG_LISTED 1u  // answers to ping and find: --public, relays
#define WIRE_FLAG_CONTACT 2u // dial_back: a contact follows; dial_back has just one of the two

// Sizes of bodies without padding.
#define WIRE_REQUEST_HEAD_BYTES 9u                       // kind reply[8]
#define WIRE_SELF_BYTES (KEY_BYTES + PUZZLE_NONCE_BYTES) // 40
#define WIRE_PING_BYTES (WIRE_REQUEST_HEAD_BYTES + 1)    // flags
#define WIRE_FIND_BYTES                                                                            \
    (WIRE_REQUEST_HEAD_BYTES + 1 + 1 + 2 + 32) // flags want bits target; self after flags
#define WIRE_ANNOUNCE_BYTES                                                                        \
    (WIRE_REQUEST_HEAD_BYTES + 32 + 2 + 4 + RECORD_SALT_BYTES + 4 + POW_NONCE_BYTES +              \
     POW_SOLUTION_BYTES + RECORD_BYTES) // place ttl version salt effort nonce sol record
#define WIRE_WITHDRAW_BYTES (WIRE_REQUEST_HEAD_BYTES + 32 + RECORD_ID_BYTES + RECORD_SALT_BYTES)
#define WIRE_SEEK_BYTES (WIRE_REQUEST_HEAD_BYTES + 32 + RECORD_ID_BYTES)
#define WIRE_ATTEND_BYTES (WIRE_REQUEST_HEAD_BYTES + DHT_HANDLE_BYTES + 2 + 32)
#define WIRE_INTRODUCE_HEAD_BYTES                                                                  \
    (WIRE_REQUEST_HEAD_BYTES + DHT_HANDLE_BYTES + DHT_LINK_BYTES + 32 + 2)
#define WIRE_RELAY_BACK_HEAD_BYTES (WIRE_REQUEST_HEAD_BYTES + DHT_HANDLE_BYTES + DHT_LINK_BYTES + 2)
#define WIRE_OPEN_HEAD_BYTES (WIRE_REQUEST_HEAD_BYTES + 2) // blob
#define WIRE_ANSWER_HEAD_BYTES 12u                         // index count kind status token[8]
#define WIRE_PATH_V4_BYTES 7u
#define WIRE_PATH_V6_BYTES 19u
#define WIRE_CONTACT_V4_BYTES (WIRE_PATH_V4_BYTES + WIRE_SELF_BYTES) // 47
#define WIRE_CONTACT_V6_BYTES (WIRE_PATH_V6_BYTES + WIRE_SELF_BYTES) // 59
#define WIRE_DIAL_BACK_BYTES_MAX (WIRE_REQUEST_HEAD_BYTES + 1 + WIRE_CONTACT_V6_BYTES)
#define WIRE_FULL_BYTES (WIRE_ANSWER_HEAD_BYTES + 1 + 2) // hint live
#define WIRE_EFFORT_BYTES (WIRE_ANSWER_HEAD_BYTES + 4)   // effort
#define WIRE_PONG_BYTES_MAX                                                                        \
    (WIRE_ANSWER_HEAD_BYTES + PUZZLE_NONCE_BYTES + WIRE_PATH_V6_BYTES + 4 + 1) // minute flags
#define WIRE_FOUND_BYTES_MAX (WIRE_PONG_BYTES_MAX + 1)                         // n; contacts follow
#define WIRE_SAMPLE_BYTES                                                                          \
    (WIRE_ANSWER_HEAD_BYTES + 2 + 1 + 4 + 1)          // count hint effort n; records follow
#define WIRE_PUSH_HEAD_BYTES (1 + DHT_LINK_BYTES + 2) // kind link len16

#define WIRE_INTRODUCE_BLOB_MAX (CLASS_MEDIUM - RPC_REQUEST_OVERHEAD - WIRE_INTRODUCE_HEAD_BYTES)
#define WIRE_ANSWER_BLOB_MAX (CLASS_CHAT - RPC_REQUEST_OVERHEAD - WIRE_RELAY_BACK_HEAD_BYTES)
#define WIRE_OPEN_BLOB_MAX                                                                         \
    (CLASS_SMALL - RPC_REQUEST_OVERHEAD - WIRE_OPEN_HEAD_BYTES) // its answer is as long
#define WIRE_BODY_MAX (CLASS_FULL - ANSWER_OVERHEAD)
#define WIRE_CONTACTS_MAX 32u // more than fit a datagram
#define WIRE_RECORDS_PER_DATAGRAM 2u

static_assert(WIRE_CONTACT_V4_BYTES == 47 && WIRE_CONTACT_V6_BYTES == 59, "contact");
static_assert(RPC_REQUEST_OVERHEAD == 88 && ANSWER_OVERHEAD == 48, "sealing");
static_assert(WIRE_PING_BYTES + WIRE_SELF_BYTES + RPC_REQUEST_OVERHEAD <= CLASS_SMALL, "ping");
static_assert(WIRE_PONG_BYTES_MAX + ANSWER_OVERHEAD <= CLASS_SMALL,
              "an answer to a ping is no longer");
static_assert(WIRE_FIND_BYTES + WIRE_SELF_BYTES + RPC_REQUEST_OVERHEAD <= CLASS_CHAT, "find");
static_assert(WIRE_FOUND_BYTES_MAX + FIND_CONTACTS_BARE * WIRE_CONTACT_V6_BYTES + ANSWER_OVERHEAD <=
                  CLASS_MEDIUM,
              "ten contacts answer 704 bytes");
static_assert(WIRE_FOUND_BYTES_MAX + FIND_CONTACTS_TOKEN * WIRE_CONTACT_V6_BYTES +
                      ANSWER_OVERHEAD <=
                  CLASS_FULL,
              "sixteen contacts in a datagram");
static_assert(WIRE_ANNOUNCE_BYTES + RPC_REQUEST_OVERHEAD <= CLASS_MEDIUM, "announce");
static_assert(WIRE_WITHDRAW_BYTES + RPC_REQUEST_OVERHEAD <= CLASS_SMALL, "withdraw");
static_assert(WIRE_SEEK_BYTES + RPC_REQUEST_OVERHEAD <= CLASS_SMALL, "seek");
static_assert(WIRE_ATTEND_BYTES + RPC_REQUEST_OVERHEAD <= CLASS_SMALL, "attend");
static_assert(WIRE_DIAL_BACK_BYTES_MAX + RPC_REQUEST_OVERHEAD <= CLASS_SMALL, "dial back");
static_assert(WIRE_ANSWER_HEAD_BYTES + ANSWER_OVERHEAD <= CLASS_TINY, "need token is tiny");
static_assert(WIRE_FULL_BYTES + ANSWER_OVERHEAD <= CLASS_TINY, "full is tiny");
static_assert(WIRE_EFFORT_BYTES + ANSWER_OVERHEAD <= CLASS_TINY, "effort is tiny");
static_assert(WIRE_SAMPLE_BYTES + 2 * RECORD_BYTES + ANSWER_OVERHEAD <= CLASS_FULL, "two records");
static_assert(WIRE_PUSH_HEAD_BYTES + WIRE_INTRODUCE_BLOB_MAX + ANSWER_OVERHEAD <= CLASS_MEDIUM,
              "push");
static_assert(WIRE_PUSH_HEAD_BYTES + WIRE_ANSWER_BLOB_MAX + ANSWER_OVERHEAD <= CLASS_CHAT,
              "push back");
static_assert(WIRE_ANSWER_HEAD_BYTES + 2 + WIRE_OPEN_BLOB_MAX + ANSWER_OVERHEAD <= CLASS_SMALL,
              "open");
static_assert(DHT_ANSWER_BYTES <= WIRE_ANSWER_BLOB_MAX, "decoy");
static_assert(WIRE_RECORDS_PER_DATAGRAM * RPC_ANSWER_DATAGRAMS_MAX == DHT_SAMPLE_RECORDS_MAX,
              "sample");

// A decoded request; which fields count depends on the kind. Pointers lead into the body.
struct wire_request {
    enum rpc_kind kind;
    uint8_t reply[8];
    bool has_self; // ping, find, dial_back
    uint8_t pk[32], puzzle_nonce[PUZZLE_NONCE_BYTES];
    struct contact contact; // dial_back without has_self: who is to be dialled
    uint8_t want;           // find
    uint16_t bits;
    uint8_t target[32]; // find; the place of announce, withdraw, seek
    uint16_t ttl_s;     // announce, attend (0: forget the handle)
    uint32_t version;   // announce: of the record under this rec_id; an older one changes nothing
    uint8_t salt[RECORD_SALT_BYTES]; // announce, withdraw: rec_id is the sender's own (record_id)
    uint32_t effort;                 // announce: claimed; with a proof of it, or zeroes
    uint8_t nonce[POW_NONCE_BYTES], sol[POW_SOLUTION_BYTES];
    uint8_t rec_id[RECORD_ID_BYTES]; // withdraw; seek: not to be sampled
    const uint8_t *record;           // announce
    uint8_t handle[DHT_HANDLE_BYTES], link[DHT_LINK_BYTES], push_key[32];
    const uint8_t *blob; // introduce, relay_back, open
    uint16_t blob_len;
};
// Without padding. 0, BAUTA_ESPACE.
int wire_request_encode(const struct wire_request *, uint8_t *body, size_t cap, size_t *len);
// 0, BAUTA_EFORMAT.
int wire_request_decode(struct wire_request *, const uint8_t *body, size_t len);

// An answer. Contacts and records stay where they stand on the wire.
struct wire_answer {
    uint8_t index, count; // this datagram, and how many there are
    enum rpc_kind kind;
    enum rpc_status status; // FULL: hint and live follow the token; EFFORT: effort; others: nothing
    uint8_t token[RPC_TOKEN_BYTES];
    uint8_t puzzle_nonce[PUZZLE_NONCE_BYTES]; // ping, find
    struct path seen;                         // ping, find, attend
    uint32_t minute;                          // ping, find: unix time / 60
    bool listed;                              // ping, find: it says that everybody may know it
    uint16_t ttl_s;                           // attend
    uint16_t live;                            // announce, seek, FULL: records at the place
    uint8_t hint;                             // > 0: the place is full
    uint32_t effort;                          // announce, seek, EFFORT: wanted of a new record
    uint8_t n;                                // contacts or records
    const uint8_t *contacts;                  // find: n of them
    uint16_t contacts_len;
    const uint8_t *records; // n x RECORD_BYTES
    const uint8_t *blob;    // open
    uint16_t blob_len;
};
int wire_answer_encode(const struct wire_answer *, uint8_t *body, size_t cap, size_t *len);
int wire_answer_decode(struct wire_answer *, const uint8_t *body, size_t len);
// Goes through the contacts of a decoded answer: *at begins at 0. False at the end.
bool wire_answer_contact(const struct wire_answer *, size_t *at, struct contact *);

// An answer that is written where it will be sent: the head, then contacts or records one by one.
struct wire_part {
    uint8_t *body;
    size_t cap, len, n_at;
};
// The head of an answer to find, announce or seek, still with n = 0. 0, BAUTA_ESPACE.
int wire_part_begin(struct wire_part *, const struct wire_answer *, uint8_t *body, size_t cap);
bool wire_part_contact(struct wire_part *, const struct contact *); // false: no room
bool wire_part_record(struct wire_part *, const uint8_t record[static RECORD_BYTES]);

struct wire_push {
    enum push_kind kind;
    uint8_t link[DHT_LINK_BYTES];
    const uint8_t *blob;
    uint16_t blob_len;
};
int wire_push_encode(const struct wire_push *, uint8_t *body, size_t cap, size_t *len);
int wire_push_decode(struct wire_push *, const uint8_t *body, size_t len);

#endif
