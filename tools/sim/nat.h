// Address translation of one host: which port it has outside, and who gets in (RFC 4787's words:
// endpoint-independent or address-and-port-dependent mapping; three kinds of filtering). IPv6 is not
// translated; the same box then only filters, by address and port.
//
// What it does not model: two hosts behind one NAT and hairpinning between them, NATs behind NATs,
// a cone's outside port that changes after silence.
#ifndef BAUTA_SIM_NAT_H
#define BAUTA_SIM_NAT_H

#include "tools/sim/prf.h"

enum sim_nat_kind {
    SIM_NAT_NONE,            // a public address, no filter
    SIM_NAT_FULL_CONE,       // one port outside; while it is open, anybody gets in
    SIM_NAT_RESTRICTED,      // one port; addresses that were talked to
    SIM_NAT_PORT_RESTRICTED, // one port; addresses and ports that were talked to
    SIM_NAT_SYMMETRIC, // a random port for each address and port that is talked to, open for that alone
    SIM_NAT_SYMMETRIC_PRESERVING, // the port inside, where it is free: of one remote in sixteen it is not
    SIM_NAT_SYMMETRIC_STEP,       // the next port
    SIM_NAT_KINDS
};

struct sim_flow {
    uint32_t remote; // hash of what the kind tells apart
    uint32_t out_at; // of the last datagram out, in 1,024 us
    uint16_t port;   // outside
    uint16_t inside; // the host's
};
struct sim_nat {
    struct sim_flow *flow; // grows up to SIM_NAT_FLOWS_MAX, or SIM_NAT_SEARCH_FLOWS_MAX
    uint16_t idle_s;       // a flow closes after this long without a datagram out
    uint16_t flows, room;
    uint8_t kind;
    uint32_t drawn; // ports of symmetric flows so far
    uint32_t last;  // hash of the address that the last new flow goes to
};

void sim_nat_init(struct sim_nat *, enum sim_nat_kind, const struct sim_prf *, uint32_t site);
void sim_nat_free(struct sim_nat *);
// A datagram goes out to `to`, from a port of the host: the port that the world sees.
uint16_t sim_nat_out(struct sim_nat *, usec_t now, const struct path *to, uint16_t inside,
                     const struct sim_prf *, uint32_t site);
// Does a datagram from `from` to the outside port `port` get in? To which port of the host: 0: it does not.
uint16_t sim_nat_in(const struct sim_nat *, usec_t now, const struct path *from, uint16_t port);
// Can two hosts behind these kinds surely open a path by sending to the address that others see? Each to
// each at the same time, over IPv4. (A preserved port is the same for others only nearly always.)
bool sim_nat_can_meet(enum sim_nat_kind a, enum sim_nat_kind b);
static inline bool sim_nat_symmetric(enum sim_nat_kind kind)
{
    return kind >= SIM_NAT_SYMMETRIC;
}

#endif
