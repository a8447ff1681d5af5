// Limits and constants of the simulator, with their reasons.
#ifndef BAUTA_SIM_LIMITS_H
#define BAUTA_SIM_LIMITS_H

#include <stdint.h>

#define SIM_NODES_MAX 4000000u // more than anybody has memory for
#define SIM_THREADS_MAX 16u    // of one run; more would mostly wait for each other
#define SIM_SPINS 10000u // looks at a barrier before a thread sleeps: some tens of microseconds
#define SIM_LATENCY_FLOOR_US 2000u // the window in which nodes may run in any order, on any rank
#define SIM_PLANE_US 48500u        // side of the square that nodes live on: median round trip 80 ms
#define SIM_DATAGRAM_BYTES_MAX 1472u // Ethernet's MTU less IPv4's and UDP's headers; longer: lost
#define SIM_HEADER_BYTES 28u  // of IPv4 and UDP: what a datagram costs a line beyond its payload
#define SIM_ADDRESS_TRIES 64u // then two nodes may share an address and differ by port
#define SIM_NAT_FLOWS_MAX                                                                          \
    80u // 12 bytes each: about a kilobyte a NAT; the longest silent one gives way
#define SIM_NAT_SEARCH_FLOWS_MAX                                                                   \
    8192u // of who goes on to further ports of one address, or from them
// A datagram with so few hops to go leaves its sender's NAT, which counts as one, and dies before the far one.
#define SIM_HOPS_OWN 2u
#define SIM_HOPS_FAR 10u
#define SIM_BURST_US 200000u       // length of a burst of loss on a line
#define SIM_BURST_LOSS_PPM 750000u // of datagrams within it
#define SIM_QUEUE_STEP_US 1000u    // a shorter wait in a queue is not worth an event
#define SIM_PORT_MIN 1024u         // nodes refuse to talk to lower ports
#define SIM_CLOCK_EVERY_US                                                                         \
    1000000u                  // how often a node is told the wall clock, when anything reaches it
#define SIM_EXPIRE_BUDGET 64u // of one node_expire
#define SIM_TURN_ROUNDS_MAX 100000u // more in one turn: the node does not come to rest, a bug
#define SIM_WAKES_MAX 200000u       // deadlines of one node in one virtual second; more: a bug
#define SIM_TRANSMIT_BYTES 262144u  // buffer of node_transmit, shared by all nodes
#define SIM_POOL_CHUNK_BYTES (256u * 1024)           // the largest that dht/pool.c grows by
#define SIM_RELAY_CLIENTS_MAX 400u                   // of one relay: 11 MB of its memory
#define SIM_NODE_ARENA_BYTES_MAX (16u * 1024 * 1024) // of one node
// The book of contacts, shared by all nodes: each server at its one address, and room for old ones.
#define SIM_BOOK_CONTACTS(nodes) (2u * (nodes) + 64u)
#define SIM_BOOK_RECORDS(nodes) (4u * (nodes) + 4096u) // different ones alive at once
#define SIM_BOOK_BYTES_MAX (UINT64_C(4) << 30)
#define SIM_ATTACKS_MAX 128u            // of one run
#define SIM_FORGED_SEQUENCE 0x80000000u // numbers of datagrams that bear another's address
// So many events before its turn a host is looked up, its first lines and its node's are asked for.
#define SIM_FETCH_HOST 12u
#define SIM_FETCH_LINES 8u
#define SIM_FETCH_NODE 4u
#define SIM_FETCH_NODE_BYTES 512u
#define SIM_FETCH_DHT 2u
#define SIM_FETCH_DHT_BYTES 1024u
#define SIM_CACHED_MAX 16u          // contacts of an earlier run
#define SIM_CACHED_DRAWS 128u       // tries to find public servers among all nodes
#define SIM_BOOTSTRAPS_MAX 8u       // contacts that a newcomer is told
#define SIM_LOAD_CHECK_US 10000000u // after an announce: a look-up with all its retries is over
#define SIM_PROGRESS_US 100000u     // virtual time between two looks at the wall clock
#define SIM_VIAS 16u                // closed sockets that are taken from a node at a time
#define SIM_TEXT_BYTES 160u         // of one message of a person

// A person's reaction to an event comes this much later, so that it is an event of its own.
#define SIM_MATCH_US (5 * USEC_PER_S) // the first of a pair may be told so much before the second
#define SIM_REACTION_US 1000u

// Comings and goings.
#define SIM_LEAVE_US 2000000u        // a polite one's last words are under way so long
#define SIM_LEAVE_AGAIN_US 60000000u // who talks stays; looked at again then
#define SIM_RESTART_US 500000u       // a program takes this long to start again, at least
#define SIM_FIRST_EVERY_US 100000u   // between the starts of the first nodes
#define SIM_SEAT_TRIES 64u           // draws for a free node, before all are looked through
#define SIM_CLASSES 4u               // of nodes
#define SIM_SETTLED_US 60000000u     // a server that has been there so long should be found
#define SIM_SHELF_BITS_MAX 18u       // of the index of servers: 4 MiB of heads
#define SIM_LATE_US 2000000u         // by then the slow members of a region have answered, too
#define SIM_RECALL_ROWS 10u     // so seldom all hosts are looked at for who has become a server
#define SIM_REGION_MAX 256u     // members of a region that are looked at
#define SIM_JOIN_US 30000000u   // a newcomer's requests are counted then
#define SIM_JOINS_SAMPLED 4096u // about so many of the first nodes
#define SIM_GROUPS_MAX 32u
#define SIM_PAIR_WAIT_US 10000000u // who can meet should have met by then

// Virtual time of slow work.
#define SIM_JOB_TOPIC_US 100000u
#define SIM_JOB_PUZZLE_US 1000000u
#define SIM_JOB_POW_US 2000u    // to a worker and back
#define SIM_JOB_POW_TRY_US 200u // for each unit of effort

// Monday, 15 January 2027, 08:30:00 UTC: far from a turn of the hour and of the day.
#define SIM_UNIX_START_S INT64_C(1800001800)

#endif
