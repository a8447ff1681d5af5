// Attackers: hosts that speak the wire (crypto/rpc.h, dht/wire.h) and do not keep to the product's
// rules. README.md says of each kind what it does, what it costs and what it can still do.
//
// The liars and their like are real servers that join as all do; what they hear first they may answer
// themselves. Flooders, spammers and amplifiers are no servers. All knows all: the members of an attack
// have one table of each other and of every honest server, as if they had crawled the DHT.
// The network's puzzle_bits are 0, so that ids are cheap here: `grind` is how many an attacker makes for
// each that it uses, and a real network asks 2^22 hashes for every one of them.
#ifndef BAUTA_SIM_ATTACK_H
#define BAUTA_SIM_ATTACK_H

#include "tools/sim/attack_probe.h"
#include "tools/sim/sim.h"

enum attack_kind {
    ATTACK_LIAR,     // names accomplices as the nearest, takes records and gives none
    ATTACK_DROPPER,  // finds honestly; what it should hold or pass on it drops
    ATTACK_ECLIPSE,  // a liar whose ids sit round one topic's place
    ATTACK_SLOW,     // an honest server that answers late
    ATTACK_FLOODER,  // requests with a right mask and wrong content, from many prefixes or one
    ATTACK_SPAMMER,  // fake records for a topic, and offers to everybody there
    ATTACK_AMPLIFIER // requests in the name of a victim
};
enum attack_reply {
    ATTACK_EMPTY,  // "stored", nobody is here
    ATTACK_FULL,   // "too many are here, go deeper"
    ATTACK_SILENCE // no answer at all
};

enum attack_garbage { // of flooders; the mask is right, and nothing opens
    ATTACK_BARE,      // each datagram with an e of its own, without a token
    ATTACK_TOKENS,    // with the tokens that servers which have too much to do hand out
    ATTACK_FORGED     // in the name of honest hosts that are no servers
};

#define ATTACK_FORMS 72u // of a request whose source is forged: kinds, sizes, asking to be listed

struct attack_config {
    enum attack_kind kind;
    enum attack_reply reply; // to announce, seek, attend, introduce
    enum attack_garbage garbage;
    uint32_t number;   // hosts
    uint32_t prefixes; // coarse ones that they are in; 0: addresses are drawn as everybody's
    bool one_v6;       // instead: a /48 of its own for each, all of one IPv6 /32
    uint32_t grind;    // ids made for each that is used; at least 1
    uint32_t
        spread_of; // eclipse: 0: as near as can be; else somewhere within 20 of so many servers
    const char *network;   // NULL: "bauta"
    const char *topic;     // eclipse, spammer
    usec_t start_us;       // its hosts come
    usec_t join_us;        // servers: they come within that time after it
    usec_t stop_us;        // flooder, spammer, amplifier; 0: never
    uint32_t bootstraps;   // the first honest servers of the network, of which it is told
    uint32_t per_s;        // datagrams of each host; spammer: records and offers
    uint32_t victims;      // flooder: servers that are flooded, those nearest to the topic's place
    usec_t delay_us;       // slow
    uint32_t form;         // amplifier: one of ATTACK_FORMS forms of request, + 1; 0: all in turn
    uint32_t names_victim; // liar: host + 1 that it names instead of accomplices; 0: none
};

struct attack_figures {
    uint64_t pings, finds, announces, seeks, attends, introductions; // that came to its hosts
    uint64_t sent, sent_bytes;
    uint64_t stored, refused, samples; // spammer: its announces taken or not, records seen
    uint64_t offers;                   // spammer
    uint64_t tokens;                   // flooder: that it was given
    uint64_t victim_bytes;             // amplifier, names_victim: what the victim got
};

struct attack;
// Adds its hosts; to be called after the honest ones were added, before the run. It ends with the
// simulation. The caller has made sure that there are fewer than SIM_ATTACKS_MAX.
struct attack *attack_new(struct sim *, const struct attack_config *);
void attack_free(struct attack *); // by sim_free
void attack_figures(const struct attack *, struct attack_figures *);
// Pairs in whom it is measured, if any.
void attack_set_probes(struct attack *, struct attack_probes);
const struct attack_probes *attack_probes(const struct attack *); // NULL: none
const char *attack_kind_name(const struct attack *);
// The n-th host's number in the simulation; the amplifier's victim is its second.
uint32_t attack_hosts(const struct attack *);
// Is it one of the attack's?
bool attack_has(const struct attack *, const uint8_t pk[static 32]);

#endif
