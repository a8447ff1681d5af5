// A node as a volunteer's relay: the service, and its offer in the directory.
#ifndef BAUTA_NODE_RELAYING_H
#define BAUTA_NODE_RELAYING_H

#include "node/node.h"
#include "node/relay/directory.h"

struct relaying {
    struct relay *service;
    struct directory *directory;
    struct relay_offer offer; // as told last
    bool announcing;
    usec_t look_at; // when the free share is looked at next
};

int relaying_new(struct node *, usec_t now); // 0, or a negative code
void relaying_free(struct node *, usec_t now);
void relaying_clock(struct node *, usec_t now, int64_t unix_us);
// False: the event is not the relay's.
bool relaying_dht_event(struct node *, usec_t now, const struct dht_event *);
void relaying_expire(struct node *, usec_t now, unsigned budget);
usec_t relaying_deadline(const struct node *);

#endif
