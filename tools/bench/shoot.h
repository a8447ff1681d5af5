// Sends forged datagrams at a steady rate to one address on loopback, each from another source address: all of
// 127.0.0.0/8 is local, so IP_PKTINFO may name any of it and needs no privilege.
#ifndef BAUTA_TOOLS_BENCH_SHOOT_H
#define BAUTA_TOOLS_BENCH_SHOOT_H

#include "tools/bench/forge.h"

struct shot {                           // what was sent, and what came back to the forged addresses
    uint64_t sent, sent_bytes, refused; // refused: the own socket had no room
    uint64_t answers, answer_bytes;
    double seconds;
};
// Makes the datagrams (takes up to a second), sends for so long. With FORGE_TOKEN it first asks for a token
// of its own, and then all goes out from that one address. 0 or -1.
int shoot(const struct contact *victim, const char *network, enum forge_kind kind, unsigned rate,
          double seconds, struct shot *out);

#endif
