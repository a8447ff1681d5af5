// A link of link.h on which datagrams may be too long, lose their ECN marks, or come from other addresses.
#ifndef BAUTA_TESTS_CHANNEL_MOVING_H
#define BAUTA_TESTS_CHANNEL_MOVING_H

#include "tests/unit/channel/link.h"

#define IP_UDP_BYTES 28u // of an IPv4 datagram's headers

enum ecn_road { ECN_KEPT, ECN_BLEACHED, ECN_ECT1, ECN_ALL_CE, ECN_DROPPED, ECN_SOME_CE };

struct moving {
    enum ecn_road road;    // what becomes of marked datagrams
    uint64_t marked[2];    // how many were sent
    unsigned mtu[2];       // of what end i sends, with headers; longer ones vanish
    uint64_t too_long[2];  // how many did
    uint64_t carried[2];   // bytes
    size_t longest[2];     // that passed
    uint64_t full[2];      // longer than CLASS_MEDIUM that passed
    unsigned unmatched[2]; // of a size that is neither a class nor the maximum
};

static UNUSED bool moving_tap(struct net *n, unsigned from, const struct path *to, uint8_t *data,
                              size_t *len)
{
    (void)to;
    (void)data;
    struct moving *m = n->tap_ctx;
    if (n->tap_ecn != 0) {
        assert_int_equal(n->tap_ecn, CHAN_ECT0);
        assert_true(*len > CLASS_MEDIUM);
        m->marked[from]++;
        if (m->road == ECN_DROPPED)
            return false;
        n->tap_ecn = m->road == ECN_BLEACHED                               ? 0
                     : m->road == ECN_ECT1                                 ? 1
                     : m->road == ECN_ALL_CE                               ? CHAN_CE
                     : m->road == ECN_SOME_CE && m->marked[from] % 50 == 0 ? CHAN_CE
                                                                           : CHAN_ECT0;
    }
    if (*len + IP_UDP_BYTES > m->mtu[from]) {
        m->too_long[from]++;
        return false;
    }
    m->carried[from] += *len;
    m->longest[from] = *len > m->longest[from] ? *len : m->longest[from];
    m->full[from] += *len > CLASS_MEDIUM;
    return true;
}

static UNUSED struct net *moving_new(struct moving *m, uint64_t seed, enum packet_aead aead,
                                     unsigned mtu)
{
    memset(m, 0, sizeof *m);
    m->mtu[0] = m->mtu[1] = mtu;
    struct net *n = net_new(seed, aead);
    n->tap = moving_tap;
    n->tap_ctx = m;
    for (unsigned i = 0; i < 2; i++) // the link has no rate: this is what bounds it
        n->end[i].config.receive_bytes = 256 * 1024;
    return n;
}

static UNUSED unsigned mtu_of(const struct net *n, unsigned i)
{
    return chan_paths_mtu(&n->end[i].channel->paths) + IP_UDP_BYTES;
}

// Sends so much more from end i, and waits until all of it is there.
static UNUSED void bulk_more(struct net *n, unsigned i, uint64_t bytes, usec_t limit_us)
{
    n->end[i].want[1] += bytes;
    end_turn(n, i);
    NET_UNTIL(n, limit_us, net_done(n) || n->end[0].closed || n->end[1].closed);
    if (!net_done(n))
        fail_msg("%llu of %llu bytes (ended: %d %d)", (unsigned long long)n->end[i ^ 1].got[1],
                 (unsigned long long)n->end[i].want[1], n->end[0].closed, n->end[1].closed);
}

#endif
