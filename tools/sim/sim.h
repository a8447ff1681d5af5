// The simulator: the product's own nodes in virtual time, on a simulated network, with people who
// seek, talk and are watched by a checker. Same configuration and seed, same run, on any machine.
//
// A run: sim_new, nodes, people and commands with their times, sim_run, then look at people and
// figures. Times are virtual microseconds since the start. Failures that the checker finds are kept
// and printed to standard error with the seed; sim_failures counts them.
#ifndef BAUTA_SIM_SIM_H
#define BAUTA_SIM_SIM_H

#include "node/node.h"
#include "tools/sim/jobs.h"
#include "tools/sim/limits.h"
#include "tools/sim/network.h"

struct sim;

struct sim_config {
    uint64_t seed;
    const char *network;    // NULL: "bauta"
    uint32_t loss_ppm;      // of datagrams, one way
    bool lab;               // loopback addresses, no prefix limits
    bool no_prefix_limits;  // also outside of a lab
    uint8_t puzzle_bits;    // of servers' keys; real work at the start of each server
    uint8_t no_aes_percent; // nodes without AES hardware
    int64_t unix_start_s;   // wall clock at time 0; 0: SIM_UNIX_START_S
    struct sim_jobs *jobs;  // shared by several runs; NULL: own
    bool modelled;          // cheap crypto in place of libsodium's: modelled.h
    bool quiet;             // failures are counted, not printed
};

struct sim *sim_new(const struct sim_config *);
void sim_free(struct sim *);
usec_t sim_now(const struct sim *);
uint64_t sim_events(const struct sim *); // so far

// ---- nodes ------------------------------------------------------------------------------------------
struct sim_actor;
struct sim_node_config {
    bool server;                            // at once,
    bool candidate;                         // or once others have dialled it back
    bool relay;                             // a volunteer's: a server that relays, too
    bool relayed;                           // its person hides the address
    uint8_t hops;                           // by so many relays; 0: one
    uint32_t bootstrap[SIM_BOOTSTRAPS_MAX]; // nodes, servers
    uint32_t bootstraps;
    const struct sim_actor *actor; // copied; NULL: an honest node
    struct sim_site_config site;   // where it lives
    int64_t skew_us;               // what its wall clock is ahead
    bool keeps_key;                // its server key outlives a restart; it never leaves by itself
    uint8_t class;                 // of the population, for figures
};
uint32_t sim_node_add(struct sim *, usec_t at_us,
                      const struct sim_node_config *); // its number, from 0
// At once and for ever, without a word to anybody.
void sim_node_kill(struct sim *, usec_t at_us, uint32_t node);
// It lives at another site from then on (sim_network_move): what a laptop does that is carried from one network to
// another. The host notices after `notice_us`; USEC_NEVER: it does not, as when its router gets another address.
void sim_node_move(struct sim *, usec_t at_us, uint32_t node, const struct sim_site_config *,
                   usec_t notice_us);
uint32_t sim_nodes(const struct sim *);
bool sim_node_alive(const struct sim *, uint32_t node);
struct node *sim_node(const struct sim *, uint32_t node); // NULL unless alive
const struct sim_prf *sim_random(const struct sim *);

// ---- actors: hosts of whoever does not keep to the product's rules -----------------------------------
struct sim_actor {
    void *ctx; // the caller's
    // Each datagram comes here first, opened by nobody. True: it is taken, the node behind never sees it.
    // NULL: it goes to the node.
    bool (*receive)(struct sim *, void *ctx, uint32_t host, const struct path *from,
                    const uint8_t *data, size_t len);
    void (*start)(struct sim *, void *ctx, uint32_t host); // at its time; NULL: nothing to do
    bool alone;                                            // there is no node behind it
    usec_t delay_us;                                       // of all that the node sends
    const uint8_t *secret;                                 // of its server key, copied; NULL: drawn
    uint8_t puzzle_nonce[PUZZLE_NONCE_BYTES];              // where the network asks for no puzzle
};
// A datagram as if it came from the host `as`, which may be another: then its source is forged.
void sim_actor_send(struct sim *, uint32_t host, uint32_t as, const struct path *to,
                    usec_t leaves_us, const uint8_t *data, size_t len);
// A time of its own: `run` with the actor's number as `arg`.
void sim_actor_wake(struct sim *, usec_t at_us, uint32_t host,
                    void (*run)(struct sim *, void *ctx, uint64_t arg), void *ctx);
const struct path *sim_path(const struct sim *, uint32_t host);
void sim_server_key(const struct sim *, uint32_t host, uint8_t pk[static 32],
                    uint8_t sk[static 32]);

// ---- people: one encounter at a time of one node ------------------------------------------------------
enum sim_kind {
    SIM_PLAIN,
    SIM_WAITING,  // two on a topic of their own; the first waits when the second comes
    SIM_TOGETHER, // two on a topic of their own who come at the same moment
    SIM_CROWD,    // many on one topic
    SIM_BROWSING  // now and then, on topics that are popular or not
};
struct sim_group_config { // people who do the same, and are counted together
    const char *name;     // copied, at most 31 bytes
    enum sim_kind kind;
    // For those who browse: topics, of which the k-th is sought 1/k as often as the first; from the end of one
    // encounter to the next seek, on average; when they give up; after when they seek no more.
    uint32_t topics;
    usec_t pause_us, patience_us, until_us;
};
struct sim_person_config {
    uint32_t node;
    const char *topic; // copied; NULL: drawn for each seek, of those of its group
    usec_t seek_at_us;
    uint32_t messages;   // that it says in each conversation
    usec_t gap_us;       // between two of them
    bool next_when_left; // goes on seeking when the other has ended the conversation
    usec_t talk_us;      // ends each conversation after about this long; 0: never
    uint32_t group;      // as sim_group_add says; 0: none in particular
    uint32_t partner;    // of a pair: the other's number + 1, if it was added before
};
enum sim_person_state { SIM_ABSENT, SIM_SEEKING, SIM_TALKING, SIM_ENDED };

struct sim_match {          // one conversation of one person
    uint32_t search;        // of that person, from 1
    usec_t at_us, asked_us; // matched; the seek or next before it
    usec_t ended_us;        // USEC_NEVER: not yet
    char words[128];        // separated by spaces
    char reason[16];        // of its end
    bool relayed;           // by a relay: then nobody is told whose the other address is
    bool wanted_direct, wanted_relayed; // the other end has asked for it
    uint32_t changed;                   // so often the path became another, by agreement
    bool now_relayed;                   // how it runs since then
    uint32_t peer_node; // whose address the channel used; of a relayed one, where the other end is
    uint32_t peer, peer_match; // SIM_NOBODY until the other end has the same words
    uint32_t said, delivered, undelivered, received;
    uint32_t *ids; // of what was said
};
struct sim_person {
    struct sim_person_config config;
    enum sim_person_state state;
    uint32_t encounter;
    usec_t asked_us;
    struct sim_match *match;
    uint32_t matches;
    uint32_t seeks;    // and `next`s
    uint32_t searches; // encounters begun: their numbers start again with each node
    bool cut_off;      // its node died while it was there
    uint32_t warnings;
    char warning[32];      // code of the last
    uint32_t next_of_node; // SIM_NOBODY: none
};
uint32_t sim_group_add(struct sim *, const struct sim_group_config *);   // its number, from 1
uint32_t sim_person_add(struct sim *, const struct sim_person_config *); // its number, from 0
uint32_t sim_people(const struct sim *);
const struct sim_person *sim_person(const struct sim *, uint32_t person);
const struct sim_match *sim_last_match(const struct sim *, uint32_t person); // NULL: none yet
// Commands. sim_person_seek begins another encounter, after end or block.
void sim_person_seek(struct sim *, usec_t at_us, uint32_t person);
void sim_person_next(struct sim *, usec_t at_us, uint32_t person);
void sim_person_end(struct sim *, usec_t at_us, uint32_t person);
void sim_person_block(struct sim *, usec_t at_us, uint32_t person);
// The last match is linked with its other end, and all that both were to say has come, in order, once,
// with receipts.
bool sim_person_done(const struct sim *, uint32_t person);
bool sim_people_done(const struct sim *);
// Checks every match of every living person for its other end. Failures go where all failures go.
void sim_check_people(struct sim *);

// ---- running ----------------------------------------------------------------------------------------
// Until `until_us`, or until `done` says so: it is asked after each thing that a person notices.
// Returns what `done` said last; without `done`: true.
bool sim_run(struct sim *, usec_t until_us, bool (*done)(const struct sim *, void *ctx), void *ctx);
// Before the first node: the run goes on this many threads (0, 1: the caller's alone; at most SIM_THREADS_MAX),
// with the same digest. Only for nodes that come and stay, their load and series: no people, actors, kills, tap, `done`.
void sim_threads(struct sim *, uint32_t threads);
// Something of the caller's own at a time.
void sim_at(struct sim *, usec_t at_us, void (*run)(struct sim *, void *ctx, uint64_t arg),
            void *ctx, uint64_t arg);
// Every datagram as it leaves a node, lost ones too.
void sim_tap(struct sim *,
             void (*tap)(void *ctx, usec_t now, uint32_t from, const struct path *to,
                         const uint8_t *data, size_t len),
             void *ctx);

// ---- figures ----------------------------------------------------------------------------------------
void sim_fail(struct sim *, const char *format, ...) __attribute__((format(printf, 2, 3)));
unsigned sim_failures(const struct sim *);
void sim_digest(const struct sim *, char hex[static 65]);
// From now on nodes that have no encounter are measured, until sim_figures.
void sim_idle_begin(struct sim *);
void sim_idle_end(struct sim *); // several such times count together

struct sim_class_figures {
    uint32_t alive;
    uint64_t bytes_in, bytes_out, Bps_in, Bps_out; // averages where a series runs
};
struct sim_figures {
    // Look-ups of places against the 16 nearest servers: how many, found all; of the 16, in all, and found.
    uint64_t recalls, recalled, recall_nearest, recall_found;
    uint64_t recall_nearest_at_once, recall_found_at_once;
    // Of newcomers without people, 30 s after their start: how many, knowing a server, requests sent.
    uint32_t joins, joined;
    uint64_t join_requests_p50, join_requests_p95;
    // In and out, of servers that were there for half of the run or longer.
    uint64_t server_bytes_max, server_bytes_p50;
    struct sim_class_figures class[SIM_CLASSES];
    uint32_t nodes, alive;
    uint64_t events, datagrams, oversized, outbox_dropped;
    uint64_t lost, filtered, overflown; // on the way or to nobody; by a NAT; by a full queue
    uint64_t lookups, lookups_ok;
    uint64_t lookup_us_p50, lookup_us_p95, lookup_hops_p50;
    uint64_t announce_us_p50, announce_us_p95;
    uint32_t seeks, matched;             // of people: seeks and nexts; matches
    uint64_t match_us_p50, match_us_p95; // from when both sought
    // Pairs that had time to meet, of these those with a path between them, and of those who met.
    uint32_t pairs, pairs_possible, pairs_matched;
    uint64_t said, delivered, undelivered, received;
    // Averages, with the headers of IP and UDP: of servers, of clients.
    uint64_t idle_Bps_out, idle_Bps_in, idle_client_Bps_out, idle_client_Bps_in;
    uint32_t idle_nodes, idle_clients;
    uint64_t bytes_per_node; // what the pool holds for them and the shared book, over living nodes
};
void sim_figures(struct sim *, struct sim_figures *);
// These servers' bytes, most first; room for all nodes. How many.
size_t sim_server_bytes(const struct sim *, uint64_t *out);

#endif
