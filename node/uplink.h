// The relays that this node uses: which tunnels it wants, whom it asks for them, and what goes through which. In
// `relayed` privacy everything does; else who is hard to reach keeps one, so that everybody can reach it.
#ifndef BAUTA_NODE_UPLINK_H
#define BAUTA_NODE_UPLINK_H

#include "node/conversation.h"
#include "node/relay/consent.h"
#include "node/relay/directory.h"
#include "node/relay/tunnel.h"

enum uplink_slot {
    UPLINK_FRONT, // with two hops: the others go through it
    UPLINK_MAIN,  // what everything goes through, or with two hops all but conversations
    UPLINK_TALK,  // with two hops: conversations
    UPLINK_SPARE, // takes over when the one in use is lost. Until then it goes through that one: its relay needn't see us
    UPLINK_SLOTS
};
struct uplink_line {                       // one of them
    struct tunnel *tunnel;                 // NULL: none
    struct path relay[OFFER_CONTACTS_MAX]; // all its addresses, as the directory has them
    struct path straight;                  // where it is reached without another tunnel
    uint8_t relays;
    struct path exit[2];   // IPv4, IPv6: how others see what leaves it; family 0: not known
    uint32_t exit_ask[2];  // of dht_ping, to a server of either family
    usec_t exit_at;        // when to ask again; USEC_NEVER: no need
    bool temporary;        // a bootstrap, until the directory has named others
    bool lost;             // it does not answer at the moment
    usec_t again_at, step; // none could be had: when to look again
};
struct uplink {
    struct directory *directory;
    struct uplink_line line[UPLINK_SLOTS];
    uint32_t asked;             // so often servers we were told of
    uint32_t entry_next;        // of the servers we were told of, which may be relays
    uint32_t generation;        // of tunnels' numbers
    struct directory_need need; // that the directory knows of
    bool tcp;    // relays are asked over TCP; by turns while neither way has led to one
    bool worked; // that way has
    usec_t
        helper_until; // in direct privacy a relay is kept; USEC_NEVER: while somebody is sought or spoken to; 0: no
    usec_t warn_at; // when the person is told that there is none; USEC_NEVER: was, or need not
};

// Does everything go through relays? With two hops? Which of the tunnels do conversations use then, or one that has a relay
// for who can't be reached otherwise?
bool uplink_only(const struct node *);
bool uplink_two_hops(const struct node *);
enum uplink_slot uplink_talk_slot(const struct node *);
bool uplink_is_open(const struct uplink_line *);
void uplink_free(struct node *, usec_t now);
void uplink_clock(struct node *, usec_t now, int64_t unix_us);
// Of servers that may be relays, by the person or an earlier run: in relayed privacy they are asked first.
void uplink_told(struct node *, usec_t now);
// Our interfaces' addresses are others: what did not lead anywhere may now.
void uplink_moved(struct node *, usec_t now);
// Opens, changes and ends tunnels as the node's state wants it. Called whenever that may have changed.
void uplink_step(struct node *, usec_t now);
bool uplink_dht_event(struct node *, usec_t now, const struct dht_event *); // false: not its
bool uplink_pump(struct node *, usec_t now); // true: something happened
void uplink_expire(struct node *, usec_t now, unsigned budget);
usec_t uplink_deadline(const struct node *);

// Meeting hears of exits and tunnels.
void uplink_tell_meet(struct node *, usec_t now);
// Asks servers through the tunnel how its exit is seen, and takes their word. False: another's answer.
void uplink_ask_exit(struct node *, usec_t now, struct uplink_line *);
bool uplink_exit_event(struct node *, usec_t now, const struct dht_event *);

// The tunnel of that name, or NULL.
struct tunnel *uplink_tunnel(const struct node *, uint32_t via);
// The key of one of our tunnels' relays, where that is reached over TCP at this address. False: it is none.
bool uplink_relay_at(const struct node *, const struct path *, uint8_t pk[static 32]);
// Owner numbers of cids: UPLINK_OWNER + slot.
#define UPLINK_OWNER 0x100u
// A conversation begins: its channel's key for consents, and our relay's asking for the other's.
void uplink_conversation(struct node *, usec_t now, struct conversation *,
                         const struct channel_config *);
void uplink_conversation_over(struct node *, usec_t now, struct conversation *);
// It is lost: whatever other way there is to its peer is tried.
void uplink_conversation_lost(struct node *, usec_t now, struct conversation *);
// Our exits, for the peer to know before they are needed: what MEETING_POINT says in relayed privacy. 0: none.
#define UPLINK_POINTS_MAX 4u // two relays, of both families
#define UPLINK_POINTS_BYTES_MAX (1u + UPLINK_POINTS_MAX * PATH_WIRE_BYTES_MAX)
#define UPLINK_POINTS 0x80u // first byte: this or so many addresses
size_t uplink_points(const struct node *, uint8_t out[static UPLINK_POINTS_BYTES_MAX]);
// A question that reached us: answered in place where one of our conversations has that key. False: no question.
bool uplink_question(struct node *, usec_t now, const struct path *from, uint8_t *data, size_t len);

void uplink_status(const struct node *, usec_t now, struct uplink_status *);

#endif
