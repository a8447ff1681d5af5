// The simulated network: where nodes live, which addresses they have, how long a datagram takes and
// whether it arrives. Integers only; every draw is a PRF of the datagram's source and number.
//
// A datagram's way: the sender's NAT and its line's queue (sim_network_carry), the way between, and at
// the far end NAT and queue (sim_network_admit). What it does not model: routes that change, packets
// that come twice, links that many share, MTUs that differ.
#ifndef BAUTA_SIM_NETWORK_H
#define BAUTA_SIM_NETWORK_H

#include "tools/sim/nat.h"
#include "tools/sim/sockets.h"

#define SIM_NOBODY UINT32_MAX
#define SIM_FAULTS_MAX 16u // of one run

struct sim_site_config {   // zero: a public IPv4 address drawn at random, a line without limits
    bool v6, no_v4;        // has an IPv6 address as well; or alone
    enum sim_nat_kind nat; // of IPv4; then IPv6 has a firewall that filters by address and port
    struct path at;        // its very address, which nobody has; family 0: drawn
    struct path within;    // family 0: anywhere; else the address of that family is drawn from here
    uint8_t within_bits;   // its leading bits are the prefix
    uint32_t up_kbit, down_kbit; // 0: no limit
    uint32_t queue_ms;           // what a line holds back at most, each way; beyond it drops
};

struct sim_site {        // of one node
    struct path path;    // its address as the world sees it (of a symmetric NAT: not the port)
    struct path path6;   // its second, IPv6; family 0: none
    uint16_t x_us, y_us; // on the plane
    uint32_t access_us;  // of its own line, one way
    uint32_t up_kbit, down_kbit, queue_us;
    uint8_t moves;                   // so far, modulo 256
    usec_t up_free_us, down_free_us; // when its queues are empty
    struct sim_nat *nat;             // NULL: none
    struct sim_sockets *sockets;     // NULL: the main one only
    struct path was, was6;           // before the last move
};

struct sim_fault {
    usec_t from_us, to_us;
    uint32_t share_ppm; // of the plane
    uint32_t loss_ppm;  // of what the region sends and gets
    bool cut;           // nothing crosses the region's edge; inside and outside all is well
};

struct sim_network {
    const struct sim_prf *prf;
    uint32_t loss_ppm;  // of datagrams, one way
    uint32_t burst_ppm; // of each line's time: bursts in which most is lost
    struct sim_fault fault[SIM_FAULTS_MAX];
    uint32_t faults;
    struct sim_site *site;
    uint32_t sites, sites_room;
    uint32_t *slot; // open addressing: site + 1 by address without port
    uint32_t slots; // a power of two, at most half full
    uint64_t lost, nowhere, filtered, overflown; // datagrams, by what became of them
};

void sim_network_init(struct sim_network *, const struct sim_prf *, uint32_t loss_ppm);
void sim_network_free(struct sim_network *);
// The next site: its number is the node's. With `lab` it has an address of 127.0.0.0/8.
uint32_t sim_network_add(struct sim_network *, bool lab, const struct sim_site_config *);
// It is somewhere else from now on: other addresses, a NAT (of the kind of cfg) that knows no flow, the same
// line. What is on the way to the old address is lost; what it sent from there still comes from there.
void sim_network_move(struct sim_network *, bool lab, uint32_t site,
                      const struct sim_site_config *);
// SIM_NOBODY: nobody lives there. Who is behind a NAT is found at any port of it. Through which of the asker's
// sockets (via) does not matter.
uint32_t sim_network_find(const struct sim_network *, const struct path *);
// Its addresses as the host itself knows them; behind a NAT a private one. How many.
size_t sim_network_local(const struct sim_network *, uint32_t site, struct path out[static 2]);
// The addresses at which `from` can ask `site`, one of each family that both have. How many.
size_t sim_network_reach(const struct sim_network *, uint32_t from, uint32_t site,
                         struct path out[static 2]);
// One way, without jitter: symmetrical, at least SIM_LATENCY_FLOOR_US.
usec_t sim_network_latency(const struct sim_network *, uint32_t a, uint32_t b);
// From from_us until to_us, in the region of `share_ppm` of the plane. False: too many faults.
bool sim_network_fault(struct sim_network *, const struct sim_fault *);

struct sim_way { // of one datagram
    uint32_t destination;
    uint32_t to_via; // the receiver's socket: VIA_UDP, or VIA_SOCKET | n; known once it is admitted
    usec_t takes_us; // from when it leaves the host, queue included
    uint16_t from_port, to_port; // as the world sees them
    uint8_t family;
    uint8_t from_moves, to_moves; // of both ends, when it left
};
// The datagram `number` of `from`, of `len` bytes without headers, from the socket that to->via names, which is
// opened where it was not. `ttl`: hops it may go, 0: enough. False: it is lost.
bool sim_network_carry(struct sim_network *, usec_t now, uint32_t from, const struct path *to,
                       uint8_t ttl, uint64_t number, size_t len, struct sim_way *);
// The host closes one of its further sockets (VIA_SOCKET | n), or all of them.
void sim_network_close(struct sim_network *, uint32_t site, uint32_t via);
void sim_network_close_all(struct sim_network *, uint32_t site);
// It bears the address of `as` instead. False: that host has none of this family.
bool sim_network_forge(const struct sim_network *, uint32_t as, struct sim_way *);
// It arrives. False: it goes no farther. *wait_us > 0: hand it over so much later, without asking again.
bool sim_network_admit(struct sim_network *, usec_t now, uint32_t from, struct sim_way *,
                       size_t len, usec_t *wait_us);
// The address that the receiver sees.
struct path sim_network_source(const struct sim_network *, uint32_t from, const struct sim_way *);

#endif
