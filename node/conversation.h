// A channel and the talk on it, for one encounter. It outlives the encounter's interest: after `next`
// or `end` it lingers until the goodbye is through, and still says what was delivered and what not.
#ifndef BAUTA_NODE_CONVERSATION_H
#define BAUTA_NODE_CONVERSATION_H

#include "node/channel/channel.h"
#include "node/channel/heap.h"
#include "node/limits.h"
#include "node/node.h"
#include "node/relay/consent.h"
#include "node/reroute.h"
#include "node/reunion.h"
#include "node/talk/talk.h"

struct conversation {
    struct heap_entry timer; // first member: the heap's entries are conversations
    struct channel *channel; // NULL once closed and drained
    struct talk *talk;
    uint32_t encounter;
    uint16_t index;    // in the node's table
    bool ready;        // on the node's ready list: channel_transmit may have something
    bool dirty;        // channel_event may have something
    bool news;         // conversation_event may have something
    bool matched;      // CHANNEL_MATCHED came
    bool tell_matched; // NODE_MATCHED is due
    bool ending;       // the goodbye is on its way: nothing but receipts is reported any more
    bool peer_left;    // their leave came
    bool closed;       // CHANNEL_CLOSED came
    bool unsearched;   // one of both could not search a path when it began
    enum channel_reason reason;
    uint8_t topic;
    uint8_t peer[32]; // pseudonym
    struct path path;
    uint32_t socket;        // VIA_SOCKET | n, where one opened the path: it lives as long; 0: none
    bool far;               // that path leads over a relay
    bool relayed;           // it must not: the own address stays hidden
    struct consent consent; // for relays that ask whether we want its datagrams
    struct path point[4];   // where the other could be besides, behind its relays
    uint8_t points;
    struct reunion reunion;
    struct reroute reroute;
    bool path_heard; // the other end's word on the path has come, and is in path_at
    enum talk_path path_theirs;
    uint8_t path_at_len, path_at[TALK_AT_BYTES_MAX];
    uint16_t words[SAS_WORDS];
    uint16_t read_at, read_len; // what was read from the stream and talk has not taken yet
    uint8_t read[NODE_READ_BYTES];
};

// Both ends of it, from the arena. 0 or a negative code.
int conversation_new(struct conversation **, usec_t now, const struct channel_config *,
                     struct arena *);
void conversation_free(struct conversation *, struct arena *); // wipes
// Moves talk's bytes to the channel as far as it takes them.
void conversation_flush(struct conversation *, usec_t now);
// Says goodbye and closes once everything sent before is through.
void conversation_leave(struct conversation *, usec_t now);
// The next event for the person; reads the stream as far as it needs to. False: none. When it is
// closed and nothing is left, *over is set and the caller frees it.
bool conversation_event(struct conversation *, usec_t now, struct node_event *, bool *over);

#endif
