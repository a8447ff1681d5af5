// What node's files share. Nobody outside node/*.c includes it.
#ifndef BAUTA_NODE_NODE_INTERNAL_H
#define BAUTA_NODE_NODE_INTERNAL_H

#include "crypto/bytes.h"
#include "crypto/nodekey.h"
#include "crypto/topic.h"
#include "node/alias.h"
#include "node/channel/cids.h"
#include "node/conversation.h"
#include "node/hairpin.h"
#include "node/limits.h"
#include "node/node.h"
#include "node/punch.h"
#include "node/relaying.h"
#include "node/uplink.h"

enum encounter_state { ENCOUNTER_NONE, ENCOUNTER_SEEKING, ENCOUNTER_TALKING, ENCOUNTER_ENDED };

struct encounter {
    uint32_t id;
    enum encounter_state state;
    enum meet_stage stage;
    bool tell_seeking, tell_progress;
    const char *tell_ended;    // reason of an end of our own; the encounter goes when it was told
    struct conversation *talk; // the current one, NULL while seeking
    enum channel_cover cover;
    uint32_t last_message;
    char alias[ALIAS_BYTES];
    size_t topics;
    uint16_t topic_len[MEET_TOPICS_MAX];
    char *topic_text[MEET_TOPICS_MAX]; // as typed, from the arena
};

struct warning {
    const char *code, *text;
};

struct vias_closed { // from when one is over until the driver was told of all
    uint32_t count;
    uint32_t via[NODE_VIAS_CLOSED_MAX];
};

// What only a node needs on which somebody is sought or spoken to.
struct busy {
    struct encounter *encounter[MEET_ENCOUNTERS_MAX];
    struct conversation *conversation[NODE_CONVERSATIONS_MAX];
    struct heap_entry *heap_entry[NODE_CONVERSATIONS_MAX];
    struct warning warning[NODE_WARNINGS_MAX];
    struct punch *punch;  // from the first search for a path on
    uint16_t punch_owner; // index of the conversation that it is for + 1; 0: none
};

struct node {
    struct node_config cfg;
    struct net net;
    struct dht *dht;
    struct meet *meet;
    usec_t started_us;
    usec_t clock_us; // when node_clock was last called
    int64_t clock_unix_us;
    uint8_t recv_mask[MASK_KEY_BYTES];
    usec_t udp_at;    // when it is clear that UDP leads nowhere; 0: not begun, USEC_NEVER: no need
    bool udp_blocked; // and a relay answered over TCP: everything goes through it
    uint8_t local_families; // RELAY_WISH_*: of our interfaces' addresses; 0: not told
    bool stopping;

    struct busy *busy; // NULL: no encounter, conversation or warning
    uint32_t encounters;
    uint32_t last_encounter;
    uint32_t conversations;
    struct heap heap;          // of the conversations' deadlines
    struct cids cids;          // its slots come and go with conversations
    struct relaying *relaying; // NULL: no relay
    struct uplink *uplink;     // NULL: it uses none
    uint32_t turn;             // where node_transmit goes on, so that channels take turns

    uint32_t warnings;
    struct hairpin hairpin;

    uint32_t *via_closed; // for node_vias_closed; from the arena while there are any
    uint32_t vias_closed, vias_room;

    uint64_t datagrams_in, datagrams_out, bytes_in, bytes_out;
    uint64_t dropped_short, dropped_unknown, dropped_channel, dropped_tunnel;
};

bool node_cids(struct node *); // makes the table of cids; false without memory
// What the peers of relayed conversations should know of our other exits has changed.
void node_points(struct node *, usec_t now);
bool node_busy(struct node *); // makes `busy`; false without memory
void node_rest(struct node *); // gives it back when nothing is left in it
struct encounter *node_find_encounter(const struct node *, uint32_t id);
void node_free_encounter(struct node *, struct encounter *);
// After any call into a conversation's channel: it may want to send, its deadline may have moved.
void node_touch(struct node *, struct conversation *);
void node_rearm(struct node *, struct conversation *); // its deadline may have moved
void node_free_conversation(struct node *, usec_t now, struct conversation *);
// The search for a path (puncher.c): may a channel with this configuration have one? Then it waits longer for its path.
bool node_punch_plan(struct node *, usec_t now, struct channel_config *);
// Could one of both not search now, who may need it?
bool node_punch_busy(const struct node *, const struct channel_config *);
void node_punch_begin(struct node *, usec_t now, const struct conversation *,
                      const struct channel_config *);
void node_punch_path(struct node *, usec_t now,
                     struct conversation *); // it has a path, or is matched
void node_punch_end(struct node *, usec_t now,
                    struct conversation *);      // it is over: so are its sockets
void node_punch_stop(struct node *, usec_t now); // the one that runs finds nothing
void node_punch_privacy(
    struct node *); // after that has changed: whom we meet is told whether a search may be
void node_punch_expire(struct node *, usec_t now);
usec_t node_punch_deadline(const struct node *);
size_t node_punch_transmit(struct node *, usec_t now, uint8_t *buf, size_t cap, struct batch *,
                           size_t max);
// The driver is told to close this VIA_SOCKET | n. False when too many wait to be told (NODE_VIAS_CLOSED_MAX), or
// without memory: then it is still open, and the caller tries again in a later call.
bool node_via_close(struct node *, uint32_t via);
// Carries what the layers below reported to those above, until all is quiet.
void node_pump(struct node *, usec_t now);

#endif
