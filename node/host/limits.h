// Limits of node/host, each with its reason. What the machine itself limits stands in its own layers.
#ifndef BAUTA_NODE_HOST_LIMITS_H
#define BAUTA_NODE_HOST_LIMITS_H

#define HOST_NODE_BYTES_MAX (192u << 20) // one node: 64 MiB of others' records, channels, the rest
#define HOST_CONTACTS_MAX 8192u // known servers of a process: tables and look-ups of 64 nodes
#define HOST_BOOK_BYTES_MAX (8u << 20) // memory of those
#define HOST_RECORDS_MAX 131072u       // held for others by all nodes of a process
#define HOST_RECORDS_BYTES_MAX (72u << 20)
#define HOST_SOCKETS_MAX 2u     // one for IPv4, one for IPv6
#define LINKS_PORT_TRIES 16u    // for one that both UDP and TCP have free: nearly all are
#define HOST_TCP_LISTENS_MAX 6u // beside those two: TCP_LISTENERS_MAX
#define HOST_EXPIRE_BUDGET 64u  // timers run in one turn before sockets are looked at again
#define HOST_CLOCK_US 100000u   // how old the wall clock may be that a node was told
#define HOST_CONGESTED_US 1000u // while a socket is full, timers run no more often
#define HOST_STOP_MS 1000u      // a node that leaves gets this long to say so
#define HOST_OPEN_TRIES 8u      // of ports that turn out to be taken
#define HOST_ADDRS_MS 30000u    // interfaces are looked at this often, and when the system says so:
#define HOST_ADDRS_SETTLE_MS 200u // then after so long, since addresses come and go in bursts

#define UDP_SENDS 64u // messages a system call; each may be a whole batch of datagrams
#define UDP_SEGMENTS_MAX                                                                           \
    64 // UDP_MAX_SEGMENTS of Linux: datagrams in one send, pieces of one receive
// A message read may hold a whole GRO buffer. Only pages that something lands in take memory: a node
// that gets small datagrams touches one of each.
#define UDP_READS 8u
#define UDP_READ_BYTES 65536u
#define UDP_DATAGRAM_BYTES 2048u // above every size that is valid; longer ones are dropped
#define UDP_ROUNDS_MAX 4u // reads in one wake-up, so that timers and the control socket run too
#define UDP_SEND_BYTES                                                                             \
    131072u // asked of the machine at a time: two batches, which stay in the cache
#define UDP_TURN_BYTES                                                                             \
    (4u << 20) // sent in one turn; the rest in the next, after sockets and timers
#define UDP_EXTRA_SOCKET_BYTES                                                                     \
    (512u << 10) // the kernel counts twice that: still UDP_SOCKET_BYTES_MIN
#define UDP_EXTRA_QUEUE_DATAGRAMS_MAX 32u // 48 KiB, of thousands of sockets; taken while it is full
#define SOCKETS_MAX                                                                                \
    8192u // of one node: a relay's clients in both families, a search for a NAT's port
#define SOCKETS_SLOTS_MIN 64u
// The limit of descriptors is raised up to this as they are needed: sockets, connections, and some to spare.
#define DESCRIPTORS_MAX 16384u
#define DESCRIPTORS_SPARE 64u // left for the control socket, files and the system's resolver
#define UDP_QUEUE_DATAGRAMS_MAX                                                                    \
    512u                     // wait for a socket that is full; more are dropped, as UDP does
#define UDP_KEPT_BYTES 1472u // the longest of those: Ethernet's 1,500 less IPv4's and UDP's headers
#define UDP_SOCKET_BYTES (4u << 20) // asked of the kernel: bursts of two thousand full datagrams
// Less than this, as the kernel counts (a full datagram takes about 2,300), and bulk loses datagrams
// while the process waits for its turn: 450 of them are a millisecond at 0.5 GB/s.
#define UDP_SOCKET_BYTES_MIN (1u << 20)

// TCP, where UDP is blocked: a relay's clients, and strangers that only look what is there.
#define TCP_LISTENERS_MAX 8u // the UDP addresses, and a few ports that firewalls let through
#define TCP_ACCEPTED_MAX                                                                           \
    2048u // connections of others; some 2 KiB each, and a queue while it is in use
#define TCP_PREFIX_MAX 256u  // of those, from one coarse prefix: a whole mobile carrier may be one
#define TCP_OUTGOING_MAX 64u // own: relays, bootstraps
#define TCP_HEADS 1024u      // of the table of connections: a power of two
#define TCP_BACKLOG 128
#define TCP_ACCEPTS_PER_S                                                                          \
    256u // each looks through all connections, for some 20 µs; others wait in the backlog
#define TCP_ACCEPTS_AT_ONCE 16u // then sockets and timers get their turn
#define TCP_TICK_MS 1000u       // deadlines are looked at so often
#define TCP_UNPROVEN_MS_MIN                                                                        \
    10000u // until we have sent something to whoever connected, or there came what can't be:
#define TCP_UNPROVEN_MS_MAX 30000u // random, so that its end tells nothing
#define TCP_IDLE_MS 180000u        // channels say something each minute
#define TCP_CONNECT_MS 10000u
#define TCP_PROXY_MS 60000u // Tor builds a circuit, and tries others
#define TCP_QUEUE_BYTES                                                                            \
    (64u << 10) // frames that the kernel has not taken; beyond it they are dropped, as UDP does
#define TCP_CONNECTING_DATAGRAMS 8u // until connected
// A kernel takes megabytes that it can't send yet, which would wait for seconds. So it gets 32 KiB at a time, and the
// next when less than 16 KiB are unsent.
#define TCP_CREDIT_BYTES (32u << 10)
#define TCP_UNSENT_BYTES (16u << 10)
#define TCP_SEND_BYTES                                                                             \
    (32u << 10) // asked of a machine at a time that has connections of its own: fits the queue
#define TCP_ACKNOWLEDGE_MS 30000u // else the connection is dead
#define TCP_KEEPALIVE_S 60u
#define TCP_RETRY_MS_MIN 1000u // doubles, with each connection that brought nothing
#define TCP_RETRY_MS_MAX 30000u
#define TCP_FAILURES_MAX 32u // addresses that are not tried again yet
#define TCP_NAMES_MAX 64u    // for a proxy: as CONFIG_BOOTSTRAPS_MAX

#define CONTACTS_KEPT_MAX 64u                          // PROTOCOL 8; as CACHE_MAX of dht/
#define CONTACTS_TEXT_BYTES (CONTACTS_KEPT_MAX * 112u) // a line each: CONTACT_TEXT_BYTES
#define CONTACTS_FIRST_MS 60000u   // with --state they are written a minute after the start,
#define CONTACTS_EVERY_MS 3600000u // each hour, and at the end
#define SOLVER_TRIES 16384u        // between two looks if it was given up: some milliseconds

// ---- a relay -----------------------------------------------------------------------------------------
// What a client's channel and queues take has an account of its own, RELAY_CLIENT_BYTES_MAX each.
#define VOLUNTEER_KEY_S (7u * 86400u) // PROTOCOL 3: a relay's key is changed weekly
#define VOLUNTEER_LOOK_MS 2000u       // own address and clients are looked at so often,
#define VOLUNTEER_WRITE_LOOKS                                                                      \
    150u // and the month's volume is written every 5 minutes: what a crash forgets
#define VOLUNTEER_DRAIN_S 10u // unless --drain says otherwise
#define VOLUNTEER_DRAIN_POLL_MS 50u
#define METRICS_PEERS_MAX 8u      // a scraper or two, and somebody who looks
#define METRICS_HEAD_BYTES 4096u  // of a request: Prometheus sends some 300
#define METRICS_TEXT_BYTES 16384u // of the page: it takes 6 KiB
#define METRICS_PEER_MS 5000u     // for a whole request and its answer

#define JOBS_RUNNING_MAX 4u // libuv's worker threads; each topic hash takes 64 MiB

// A router holds our port open for a finite time, so that a node that crashed is forgotten. Renewed after half of
// it, or sooner: a router that starts anew has forgotten it too.
#define PORTMAP_LEASE_S 3600u
#define PORTMAP_LEASE_S_MIN 120u // asked for; what a router grants may be half of it
#define PORTMAP_LEASE_S_MAX 86400u
#define PORTMAP_LEASE_LAB_S_MIN 4u
#define PORTMAP_RENEW_MS_MAX 900000u
#define PORTMAP_RETRY_MS_MIN 30000u // no router, or it refuses: doubles up to
#define PORTMAP_RETRY_MS_MAX 1800000u
#define PORTMAP_GAP_MS 5000u // between two runs, however often interfaces change
#define PORTMAP_SETTLE_MS 1000u
#define PORTMAP_RUN_MS 12000u // then its process is killed; an honest router needs 0.1 to 4 s
#define PORTMAP_REMOVE_MS                                                                          \
    2000u // an exit waits so long until the port is closed; else its lease ends it
#define PORTMAP_NATPMP_TRIES 3 // after 250, 500, 1,000 ms
#define PORTMAP_NATPMP_READS_MAX 64u
#define PORTMAP_NATPMP_WAIT_MS 1000
#define PORTMAP_SSDP_MS 1000   // for answers to each of two searches
#define PORTMAP_SSDP_TTL 2     // what UPnP asks for
#define PORTMAP_IGDS_MAX 3u    // descriptions fetched from the router
#define PORTMAP_PORTS_MAX 4u   // other ports tried where ours is taken
#define PORTMAP_PORT_MIN 1024u // below are other people's services

// A process that touches strangers' bytes with other people's code (confine.h).
#define CONFINE_CPU_S 4u
#define CONFINE_LIFE_S 20u            // should nobody be there to kill it
#define CONFINE_BYTES_MAX (64u << 20) // its address space: our program takes 10 MiB of it
#define CONFINE_FILES_MAX 16u
#define CONFINE_CLOSE_MAX 65536 // descriptors closed one by one where the system has no better way

#define CONTROL_LINE_BYTES_MAX (256u * 1024) // one request
#define CONTROL_OUT_BYTES_MAX (4u << 20) // answers that a client has not read; beyond it is dropped
#define CONTROL_PAUSE_BYTES (256u << 10) // events unread by a client; then they wait in the node
#define CONTROL_CLIENTS_MAX 32u          // pages, terminals and scripts of one person
#define CONTROL_READ_BYTES 16384u

#define CONFIG_BOOTSTRAPS_MAX 64u
#define CONFIG_KBPS_MAX 4000000u // of a relay, kilobytes a second: 32 Gbit/s, what 32 bits count
#define CONFIG_VOLUME_GB_MAX 10000000u // a month of that
#define CONFIG_DRAIN_S_MAX 3600u       // a computer that shuts down waits no longer
#define CONFIG_TOPICS_MAX 8u           // as MEET_TOPICS_MAX
#define RESOLVE_ADDRESSES_MAX 8u       // taken of one name
#define RESOLVE_RETRY_MS_MIN 1000u     // doubles, while a name does not resolve
#define RESOLVE_RETRY_MS_MAX 30000u

#define LAN_LINKS_MAX                                                                              \
    16u                // interfaces by address family: one computer's, with some bridges of its own
#define LAN_OWN_MAX 8u // addresses of one of them

#define HOST_ERROR_BYTES 256u // one line for a person
#define HOST_PATH_BYTES 512u  // of a file

#endif
