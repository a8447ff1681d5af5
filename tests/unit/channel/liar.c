// A peer that knows the keys and lies: whatever it says, an end keeps its memory, sends nowhere what it
// must not, and is either closed for a broken rule or goes on; nothing is left of it afterwards.
//
// LIAR_SEEDS=A-B in the environment runs those seeds instead; a failure prints its seed.
#include "tests/unit/channel/bounds.h"
#include "tests/unit/channel/forger.h"

#define SEEDS 300u
#define LIES 200u
#define ADDRESSES 8u

struct liar {
    uint64_t seed;
    bool bold; // breaks rules; else it only lies about what it cannot be caught at
    struct prng p;
    struct net *n;
    struct forger f;
    uint64_t in[ADDRESSES],
        out[ADDRESSES]; // bytes from and to addresses that never answered a challenge
};

static uint64_t draw(struct liar *l, uint64_t n)
{
    return prng_next(&l->p) % n;
}

static void explain(const struct liar *l, const char *what, unsigned long long is,
                    unsigned long long max)
{
    fail_msg("seed %llu: %s (%llu, at most %llu)", (unsigned long long)l->seed, what, is, max);
}

static struct path nowhere(unsigned i)
{
    struct path p = address_of(1);
    p.ip[3] = (uint8_t)(100 + i);
    return p;
}

static bool tap(struct net *n, unsigned from, const struct path *to, uint8_t *data, size_t *len)
{
    struct liar *l = n->tap_ctx;
    (void)data;
    for (unsigned i = 0; from == 0 && i < ADDRESSES; i++) {
        struct path p = nowhere(i);
        if (memcmp(to, &p, sizeof p) == 0)
            l->out[i] += *len;
    }
    return false; // nobody hears it: the liar answers what it likes
}

// Numbers at which something ends are where mistakes live.
static uint64_t edge(struct liar *l, uint64_t a, uint64_t b)
{
    const uint64_t near[] = {0, a, b, CHAN_OFFSET_MAX, draw(l, b + 1), UINT64_C(1) << draw(l, 48)};
    uint64_t x = near[draw(l, sizeof near / sizeof *near)];
    int64_t off = (int64_t)draw(l, 3) - 1;
    return off < 0 && x == 0 ? 0 : (x + (uint64_t)off) & CHAN_OFFSET_MAX;
}

static void lie_ack(struct liar *l, struct wr *w)
{
    const struct chan_recovery *r = &l->n->end[0].channel->recovery;
    struct chan_range range[CHAN_ACK_RANGES];
    unsigned count = 0;
    uint64_t hi = r->next + (l->bold && draw(l, 40) == 0);
    bool all = draw(l, 2) == 0; // optimistic: everything that was ever sent
    while (hi > 0 && count < CHAN_ACK_RANGES) {
        uint64_t len = all ? (hi < 8000 ? hi : 8000) : 1 + draw(l, hi < 20 ? hi : 20);
        range[count++] = (struct chan_range){hi - len, hi};
        hi -= len;
        uint64_t gap = 1 + draw(l, 4);
        if (all || hi <= gap || draw(l, 4) == 0)
            break;
        hi -= gap;
    }
    if (count == 0)
        return;
    if (draw(l, 2) == 0)
        chan_wire_ack(w, range, count, draw(l, 1000000));
    else
        chan_wire_ack_ecn(w, range, count, draw(l, 1000000), (uint32_t)draw(l, 5000),
                          (uint32_t)draw(l, 5000));
}

static void lie_stream(struct liar *l, struct wr *w)
{
    uint8_t stream = (uint8_t)draw(l, l->bold && draw(l, 30) == 0 ? 256 : CHANNEL_STREAMS_MAX);
    const struct chan_credit *c =
        &l->n->end[0].channel->streams.stream[stream % CHANNEL_STREAMS_MAX].credit;
    size_t len = (size_t)draw(l, 900);
    uint64_t at = l->bold && draw(l, 15) == 0 ? edge(l, c->received, c->advertised)
                                              : c->read + draw(l, c->advertised - c->read + 1);
    if (draw(l, 8) > 0 && at + len > c->advertised)
        at = c->advertised > len ? c->advertised - len : 0;
    if (!l->bold) { // bytes far apart, but within the credit of all streams together
        at = c->read + draw(l, c->received - c->read + 100);
        len = (size_t)draw(l, 60);
    }
    uint8_t *to = chan_wire_stream(w, stream, at, len);
    if (to != NULL)
        prng_fill(&l->p, to, len);
}

static void lie(struct liar *l, struct wr *w)
{
    uint8_t data[64];
    prng_fill(&l->p, data, sizeof data);
    switch (draw(l, 12)) {
    case 0:
    case 1:
    case 2:
        lie_ack(l, w);
        break;
    case 3:
    case 4:
    case 5:
        lie_stream(l, w);
        break;
    case 6:
        chan_wire_max_data(
            w, (uint8_t)draw(l, l->bold && draw(l, 20) == 0 ? 256 : CHANNEL_STREAMS_MAX),
            edge(l, 0, 1u << 20));
        break;
    case 7:
        chan_wire_path(w, draw(l, 2) ? CHAN_PATH_CHALLENGE : CHAN_PATH_RESPONSE, data);
        break;
    case 8:
        chan_wire_datagram(w, data, 1 + draw(l, sizeof data - 1));
        break;
    case 9:
        if (l->bold && draw(l, 10) == 0)
            chan_wire_new_cid(w, (uint32_t)draw(l, 3), data);
        else if (l->bold && draw(l, 4) == 0)
            chan_wire_ratchet(w, (uint32_t)(1 + draw(l, 3)), (uint8_t)draw(l, 6),
                              (uint16_t)draw(l, 1300), data, (uint16_t)draw(l, sizeof data));
        break;
    case 10:
        if (l->bold && draw(l, 20) == 0) // a frame of any kind at all
            wr_bytes(w, data, 1 + draw(l, sizeof data - 1));
        break;
    default:
        wr_u8(w, CHAN_PING);
        break;
    }
}

static void check(struct liar *l)
{
    const struct end *e = &l->n->end[0];
    if (!bounds_hold(e))
        explain(l, "too much memory", e->arena.used_bytes, bounds_bytes(e));
    for (unsigned i = 0; i < ADDRESSES; i++)
        if (l->out[i] > CHAN_AMPLIFICATION * l->in[i])
            explain(l, "too many bytes to an address that proved nothing", l->out[i],
                    CHAN_AMPLIFICATION * l->in[i]);
}

static void tell(struct liar *l)
{
    uint8_t body[CLASS_FULL - PACKET_HEADER_BYTES - PACKET_TAG_BYTES_MAX], packet[CLASS_FULL];
    struct wr w = wr_init(body, sizeof body);
    for (unsigned i = 0; i <= draw(l, 4) && !w.bad; i++)
        lie(l, &w);
    if (w.bad || wr_len(&w) == 0)
        return;
    unsigned at = (unsigned)draw(l, 4 * ADDRESSES);
    struct path from = at < ADDRESSES ? nowhere(at) : l->n->end[1].address;
    // Under whatever keys hold now, in any order of numbers.
    l->f.pn += draw(l, 3);
    size_t len = forge(&l->f, packet, w.start, wr_len(&w));
    if (at < ADDRESSES)
        l->in[at] += len;
    end_receive(l->n, 0, &from, (uint8_t)draw(l, 4), packet, len);
}

static bool one(uint64_t seed)
{
    struct liar l = {.seed = seed, .bold = seed % 3 != 0, .p = {seed * 0x2545f491u + 11}};
    struct net *n = l.n =
        net_new(seed + 9000, seed % 2 ? PACKET_AEGIS256 : PACKET_CHACHA20POLY1305);
    struct end *e = &n->end[0];
    e->config.receive_bytes = draw(&l, 2) ? 1 : 0;
    net_connect(n);
    net_run(n, n->now + USEC_PER_S);
    e->lazy = draw(&l, 4) == 0;
    for (unsigned s = 0; s < CHANNEL_STREAMS_MAX; s++)
        e->want[s] += draw(&l, 2) ? draw(&l, 3000000) : 0;
    n->end[1].dead = true;
    n->tap = tap;
    n->tap_ctx = &l;
    l.f = forger_now(n, 0);
    uint8_t sink[4096];
    for (unsigned i = 0; i < LIES && chan_alive(e->channel); i++) {
        for (uint64_t k = draw(&l, 4); k > 0; k--)
            tell(&l);
        for (unsigned s = 0; s < CHANNEL_STREAMS_MAX && !e->lazy;
             s++) // what it says is of no interest
            while (channel_stream_receive(e->channel, n->now, s, sink, sizeof sink) > 0)
                ;
        e->lazy = true; // the link's reader compares
        end_turn(n, 0);
        e->lazy = draw(&l, 4) == 0;
        check(&l);
        n->now += draw(&l, 30000);
        if (channel_deadline(e->channel) <= n->now)
            channel_expire(e->channel, n->now, 64);
    }
    bool punished = !chan_alive(e->channel);
    e->lazy = true;
    net_run(n, n->now + 40 * USEC_PER_S);
    check(&l);
    if (!e->closed)
        explain(&l, "it talks to itself", 0, 0);
    net_free(n);
    return punished;
}

static void lies_gain_nothing(void **state)
{
    (void)state;
    unsigned long long first = 0, last = SEEDS - 1;
    bool asked = seeds_asked("LIAR_SEEDS", &first, &last);
    unsigned long long punished = 0;
    for (unsigned long long seed = first; seed <= last; seed++)
        punished += one(seed);
    print_message("%llu seeds, %llu of them ended by it\n", last - first + 1, punished);
    if (!asked)
        assert_true(punished > SEEDS / 3 && punished < SEEDS); // both kinds are there
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lies_gain_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
