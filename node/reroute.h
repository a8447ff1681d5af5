// How a conversation runs is changed in its midst, from direct to relayed or back, when both ends ask for the same (DESIGN 9).
// Each asks by a message of the conversation (node/talk, PATH). Once both have, each says where it can be reached so, with the
// same message: its own addresses, or its exits at relays; both probe; and the first path that opens is taken. Nobody's
// address is told before, and what was in use goes on until then.
#ifndef BAUTA_NODE_REROUTE_H
#define BAUTA_NODE_REROUTE_H

#include "dht/machine.h"
#include "node/channel/channel.h"
#include "node/talk/talk.h"

struct node;
struct conversation;

struct reroute {
    enum talk_path wants, theirs; // what each end asks for
    bool told;                    // they know where
    bool hid;                     // our address was hidden before
    usec_t until;                 // both ask for it: given up then; USEC_NEVER: not under way
    uint8_t count;                // where they are then
    struct path path[CHANNEL_CANDIDATES_MAX];
    bool tell_wanted, tell_now; // for the person: what the other end asks for; how it runs
};

void reroute_init(struct reroute *);
// Ours asks. BAUTA_OK, NODE_EPATH.
int reroute_ask(struct node *, usec_t now, struct conversation *, enum talk_path);
// Theirs did, and says where.
void reroute_heard(struct node *, usec_t now, struct conversation *, enum talk_path,
                   const uint8_t *at, size_t len);
// A relay's exit is known, or another path is in use.
void reroute_step(struct node *, usec_t now, struct conversation *);
void reroute_expire(struct node *, usec_t now, struct conversation *);
// Have both ends agreed that this one has a relay?
bool reroute_hides(const struct conversation *);

#endif
