// What the simulator's files share.
#ifndef BAUTA_SIM_INTERNAL_H
#define BAUTA_SIM_INTERNAL_H

#include "tools/sim/hist.h"
#include "tools/sim/load.h"
#include "tools/sim/queue.h"
#include "tools/sim/recall.h"
#include "tools/sim/sim.h"
#include "tools/sim/slab.h"

#include <assert.h>

struct sim_host {            // one node and what the simulator knows of it; a million of them
    struct node *node;       // NULL before its start and after its end
    usec_t armed_us;         // of its queue entry that counts; USEC_NEVER: none
    usec_t deadline_us;      // of the node, since its last turn; not before armed_us
    usec_t clocked_us;       // when it was last told the wall clock
    struct sim_actor *actor; // its own copy; NULL: honest
    uint8_t chain[16];       // H_i of the digest
    uint64_t bytes_in, bytes_out;
    uint64_t number;       // of its datagrams
    uint32_t sequence;     // of its events
    uint32_t wakes;        // in this second, for SIM_WAKES_MAX
    uint32_t wake_second;  // the second
    uint32_t load;         // the place of load.h
    uint32_t first_person; // SIM_NOBODY: none
    uint32_t session;      // 0, 1, ...: it has been started so often before
    struct sim_stream stream;
    struct arena arena;
    uint64_t idle_in, idle_out;
    uint8_t secret[32];
    uint32_t bootstrap[SIM_BOOTSTRAPS_MAX];
    int64_t skew_us;
    usec_t started_us; // this session
    uint8_t bootstraps;
    uint8_t class; // of the population
    bool server, candidate, keeps_key;
    bool idle;      // in the idle measurement
    uint8_t listed; // in the index of recall: bits of the families
    bool relay : 1, relayed : 1, two_hops : 1;
    bool dead : 1, leaves : 1; // the second: it is being closed, its last words are under way
};
static_assert(sizeof(struct sim_host) <= 256, "four lines a node");

struct sim_idle { // of nodes without an encounter, over all times of quiet
    uint64_t bytes_in, bytes_out, node_us;
    uint32_t nodes; // in the last
};
struct sim_class_sum { // of a class of the population
    uint32_t alive;
    uint64_t node_us; // lived, as the series' rows see it
};
struct sim_withdrawal { // somebody who was about to be matched left, or died
    uint32_t node;
    usec_t at_us;
};
struct sim_group {
    struct sim_group_config config;
    char name[32];
    uint64_t *zipf; // sums of the topics' shares
    uint32_t people, seeks, matches, gave_up;
    usec_t last_seek_us, last_match_us;
    struct sim_hist wait_us;  // of each match, from when both sought
    struct sim_hist since_ms; // of each match, from the group's first seek
    usec_t first_seek_us;
};

struct shard_post;
struct sim {
    struct sim *head;                   // itself, or whose shard it is: shard.h
    struct sim *shard[SIM_THREADS_MAX]; // of the head
    uint32_t shards;                    // of the head; below 2: none
    bool in_window;                     // of the head: shards are running
    bool relays;                        // of the head: some node is one
    usec_t window_end_us;
    struct shard_post *post;  // of a shard
    struct sim_queue nobodys; // of the head: events of no node
    struct sim_config config;
    struct sim_prf prf;
    struct sim_network net;
    struct sim_queue queue;
    struct slab slab;   // of payloads and hosts
    struct slab chunks; // of the pool
    struct sim_jobs *jobs;
    usec_t now;
    struct outbox out;
    struct pool pool;
    struct arena book_arena;
    struct contact_book *book;
    struct record_book *records;
    uint8_t *buf;
    struct sim_host **host;
    uint32_t hosts, hosts_room;
    struct attack *attack[SIM_ATTACKS_MAX]; // they end with it
    uint32_t attacks;
    uint32_t commands;
    struct sim_person *person;
    uint32_t people, people_room;
    struct sim_withdrawal *withdrawal;
    uint32_t withdrawals, withdrawals_room;
    bool news;
    unsigned failures;
    usec_t idle_since;       // USEC_NEVER: not measured
    struct sim_idle idle[2]; // of clients, of servers
    uint64_t events, datagrams, oversized, lookups, lookups_ok;
    uint32_t seeks, matches, waiting; // of people, and how many seek now
    struct sim_hist lookup_us, lookup_hops, announce_us, match_us;
    uint64_t bytes;                    // sent, headers counted
    uint32_t alive[2], started, ended; // clients and servers now; sessions begun and over
    struct sim_class_sum class[SIM_CLASSES];
    struct sim_hist recent_us;     // look-ups since the last row of the series
    struct sim_hist join_requests; // requests of newcomers in their first SIM_JOIN_US
    uint32_t joined;               // of these, who knows a server by then
    struct sim_recall recall;
    struct series *series;         // NULL: none
    void *stage;                   // of the scenario; freed with the run
    struct population *population; // NULL: nodes as they were added
    struct sim_load_figures load;
    struct sim_group *group; // from 1
    uint32_t groups;
    void (*tap)(void *, usec_t, uint32_t, const struct path *, const uint8_t *, size_t);
    void *tap_ctx;
};

typedef void sim_run_fn(struct sim *, void *ctx, uint64_t arg);
// A command for one node: it runs, then what the node has to say is carried on.
void sim_command(struct sim *, usec_t at_us, uint32_t node, uint32_t source, sim_run_fn *,
                 void *ctx, uint64_t arg);
void sim_window(struct sim *, usec_t end_us); // all events before it
void sim_nobodys_turn(struct sim *);          // the first of `nobodys`
void sim_people_event(struct sim *, uint32_t node, const struct node_event *);
void sim_people_node_died(struct sim *, uint32_t node);
void sim_people_figures(const struct sim *, struct sim_figures *);
void sim_people_free(struct sim *);
bool sim_people_busy(const struct sim *, uint32_t node); // somebody there seeks or talks
bool sim_people_gone(const struct sim *, uint32_t node); // nobody is there, or will be again
void sim_figures_started(struct sim *, uint32_t node);
void sim_series_free(struct sim *);
void sim_recall_tick(struct sim *); // lists who has become a server
void sim_recall_forget(struct sim *, uint32_t node);
void sim_recall_free(struct sim *);
// The node's look-up of this place has ended: what it has is compared now and SIM_LATE_US later.
void sim_recall_looked_up(struct sim *, uint32_t node, uint32_t place);
void sim_recall_check(struct sim *, uint32_t node, const uint8_t place[static 32],
                      const struct contact *region, size_t members, bool at_once);
void sim_population_free(struct sim *);
void sim_node_start(struct sim *, uint32_t node); // again, with a new key unless it keeps it
void sim_node_end(struct sim *, uint32_t node);   // at once; may start again

#endif
