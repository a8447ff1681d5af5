// The control API as text: one JSON-RPC 2.0 line in, one line out, and events as notification lines
// (README.md lists methods, fields and codes). Knows nothing of sockets, so that tests and fuzzing call
// it directly.
#ifndef BAUTA_NODE_HOST_API_H
#define BAUTA_NODE_HOST_API_H

#include "dht/path.h"
#include "node/node.h"

#include <jansson.h>

#define API_PARSE (-32700)       // not JSON, or not UTF-8
#define API_REQUEST (-32600)     // JSON, but no request; or a line that is too long
#define API_METHOD (-32601)      // no such method
#define API_PARAMS (-32602)      // positional, missing, unknown or wrong
#define API_INTERNAL (-32603)    // out of memory
#define API_NOT_TALKING (-32001) // nobody is connected: before matched or after ended
#define API_PRIVACY (-32002)     // privacy was never chosen
#define API_LIMIT (-32004)       // too many encounters, or too many messages wait

struct api_counters { // of the host, for `status`
    uint64_t dropped_full, dropped_long, send_failed, refused;
    bool lan; // LAN discovery is on
    uint64_t lan_sent, lan_heard, lan_dropped;
};

struct api_mapping {      // a port that a router keeps open, for `status`
    const char *protocol; // NULL: none
    struct path external;
    usec_t until;
    uint64_t runs, failed, killed, lied; // of the processes that asked
};

struct api {
    struct node *node;
    bool sandboxed;    // system calls that are not needed are gone (sandbox.h)
    bool relay, shown; // we are one: it talks to nobody; --public: our address is known
    char contact[CONTACT_TEXT_BYTES]; // as `ready` printed it: "-" of a client
    char listen[2][PATH_TEXT_BYTES];  // bound addresses, "" where unused
    // Set by a call, for the host to act on and reset.
    bool stop;
    bool privacy_set;
    enum node_privacy privacy;
    struct api_counters counters; // refreshed by the host before each call
    struct api_mapping mapping;   // kept up to date by the host
};

struct api_answer {
    char *line; // ends with '\n'; NULL: nothing to answer
    size_t len;
    bool subscribe;
};

// Makes JSON values wipe their memory when they go. Once, before any other JSON is made.
void api_init(void);
// `line` without its end. Never fails: what can't be answered is an error answer.
void api_line(struct api *, usec_t now, const char *line, size_t len, struct api_answer *);
// The answer to a line that was too long to be kept.
void api_too_long(struct api_answer *);
// An event as a line; false when out of memory.
bool api_notification(const struct api *, const struct node_event *, struct api_answer *);
void api_answer_free(struct api_answer *); // wipes

// The result of `status` (api_status.c).
json_t *api_status(const struct api *, usec_t now);
// privacy.c
const char *api_privacy_name(enum node_privacy);
bool api_privacy_of(const char *name, enum node_privacy *);
const char *api_cover_name(enum channel_cover); // "off", "low", "high"
bool api_cover_of(const char *name, enum channel_cover *);

#endif
