// The checker: whole channels over hostile links, one seed each. A seed names one combination of loss,
// duplication, reordering, jitter, MTU, changing addresses, ratchet steps and ends, and draws the rest. While it
// runs somebody on the path replays, cuts, changes and invents datagrams. What must hold all the time:
// each stream's bytes arrive once and in order (the link's reader compares every one), memory stays
// under its limits, a channel ends once; and afterwards nothing is left in its arena.
//
// CHECKER_SEEDS=A-B in the environment runs those seeds instead; a failure prints its seed.
#include "tests/unit/channel/bounds.h"

#define SEEDS 2880u // every combination once
#define STRIDE                                                                                     \
    1009u // coprime to the number of combinations: a short run meets every value with every other
#define KEPT 64u // datagrams that the attacker has recorded

enum ending { END_NONE, END_EARLY, END_MIDDLE, END_BOTH, END_KILLED, ENDINGS };
enum moving { MOVE_NOBODY, MOVE_ONE, MOVE_IN_TURN, MOVINGS };

struct recorded {
    unsigned to;
    size_t len;
    uint8_t data[CHAN_MTU_MAX];
};

struct check {
    uint64_t seed;
    struct prng p;
    unsigned loss_pm, dup_pm, reorder_pm;
    bool jitter, ratchet;
    size_t mtu;
    enum moving moving;
    enum ending ending;
    struct net *n;
    struct recorded kept[KEPT];
    unsigned recorded, attacks;
    bool attacking;
    usec_t move_at, end_at;
    unsigned moves;
};

static const unsigned losses[] = {0, 50, 150};
static const size_t mtus[] = {CHAN_MTU_MAX, 1232, 1400, 1300};

static unsigned draw(struct check *k, unsigned n)
{
    return (unsigned)(prng_next(&k->p) % n);
}

static unsigned digit(uint64_t *x, unsigned radix)
{
    unsigned d = (unsigned)(*x % radix);
    *x /= radix;
    return d;
}

static void combination(struct check *k)
{
    uint64_t x = k->seed * STRIDE;
    k->ending = (enum ending)digit(&x, ENDINGS);
    k->moving = (enum moving)digit(&x, MOVINGS);
    k->loss_pm = losses[digit(&x, 3)];
    k->mtu = mtus[digit(&x, 4)];
    k->dup_pm = digit(&x, 2) * 100;
    k->reorder_pm = digit(&x, 2) * 100;
    k->jitter = digit(&x, 2) != 0;
    k->ratchet = digit(&x, 2) != 0;
}

static void explain(const struct check *k, const char *what)
{
    const struct end *e = k->n->end;
    fail_msg(
        "seed %llu at %llu us: %s (loss %u, dup %u, reorder %u, jitter %d, mtu %zu, moving %d, "
        "ratchet %d, ending %d; ends %d/%d, reasons %d/%d, moves %u)",
        (unsigned long long)k->seed, (unsigned long long)k->n->now, what, k->loss_pm, k->dup_pm,
        k->reorder_pm, k->jitter, k->mtu, (int)k->moving, k->ratchet, (int)k->ending, e[0].closed,
        e[1].closed, (int)e[0].reason, (int)e[1].reason, k->moves);
}

// ---- somebody on the path ---------------------------------------------------------------------------------

static struct path anywhere(struct check *k)
{
    struct path p = address_of(draw(k, 2));
    if (draw(k, 2) == 0)
        p.ip[3] = (uint8_t)(200 + draw(k, 8));
    return p;
}

static void attack(struct check *k)
{
    const struct recorded *r = &k->kept[draw(k, KEPT)];
    uint8_t copy[CHAN_MTU_MAX];
    size_t len = r->len;
    if (len == 0)
        return;
    memcpy(copy, r->data, len);
    switch (draw(k, 4)) {
    case 0: // replayed as it was
        break;
    case 1: // cut
        len = 1 + draw(k, (unsigned)len);
        break;
    case 2: // a bit flipped
        copy[draw(k, (unsigned)len)] ^= (uint8_t)(1u << draw(k, 8));
        break;
    default: // all but the cid made up
        prng_fill(&k->p, copy + CID_BYTES, len - CID_BYTES);
        break;
    }
    struct path from = anywhere(k);
    k->attacks++;
    inject(k->n, r->to, &from, copy, len, 0, k->n->now + draw(k, 300000));
}

static bool tap(struct net *n, unsigned from, const struct path *to, uint8_t *data, size_t *len)
{
    struct check *k = n->tap_ctx;
    (void)to;
    assert_true(*len <= CHAN_MTU_MAX);
    struct recorded *r = &k->kept[k->recorded++ % KEPT];
    r->to = from ^ 1;
    r->len = *len;
    memcpy(r->data, data, *len);
    if (k->attacking && draw(k, 20) == 0)
        attack(k);
    return *len <= k->mtu;
}

// ---- what must hold --------------------------------------------------------------------------------------------

static void check(const struct check *k)
{
    for (unsigned i = 0; i < 2; i++) {
        const struct end *e = &k->n->end[i];
        if (!bounds_hold(e))
            explain(k, "too much memory");
        if (e->closed && e->reason == CHANNEL_ENDED_PROTOCOL)
            explain(k, "an honest end was taken for a breaker of rules");
        for (unsigned s = 0; s < CHANNEL_STREAMS_MAX; s++)
            if (e->got[s] > k->n->end[i ^ 1].sent[s])
                explain(k, "bytes from nowhere");
    }
}

// ---- what happens --------------------------------------------------------------------------------------------

static void move(struct check *k)
{
    struct net *n = k->n;
    if (k->moving == MOVE_NOBODY || n->now < k->move_at || !net_matched(n))
        return;
    unsigned who = k->moving == MOVE_IN_TURN ? k->moves % 2 : 0;
    struct end *e = &n->end[who];
    e->address.port++; // its NAT forgot it
    if (draw(k, 3) == 0)
        e->address.ip[2]++; // or it is on another network
    k->moves++;
    k->move_at = n->now + 3 * USEC_PER_S + draw(k, 3000000);
    // Whoever has moved knows it, and nobody else can.
    if (!e->closed)
        channel_moved(e->channel, n->now);
    if (e->want[0] > 0)
        e->want[0] += 1 + draw(k, 2000);
    end_turn(n, who);
}

static void end_it(struct check *k)
{
    struct net *n = k->n;
    if (k->ending == END_NONE || n->now < k->end_at)
        return;
    k->end_at = USEC_NEVER;
    unsigned who = draw(k, 2);
    for (unsigned i = 0; i < 2; i++) {
        if (i != who && k->ending != END_BOTH)
            continue;
        if (k->ending == END_KILLED) {
            n->end[i].dead = true;
        } else if (n->end[i].channel != NULL) {
            channel_close(n->end[i].channel, n->now, 7);
            end_turn(n, i);
        }
    }
}

// Two who hear nothing of each other in the first seconds are tried again by meet: rare, and no failure here.
static bool unlucky(const struct check *k)
{
    const struct end *e = k->n->end;
    for (unsigned i = 0; i < 2; i++)
        if (e[i].closed && !e[i].matched && k->loss_pm > 0 &&
            (e[i].reason == CHANNEL_ENDED_NO_PATH || e[i].reason == CHANNEL_ENDED_GONE))
            return true;
    return false;
}

static bool over(const struct check *k)
{
    const struct end *e = k->n->end;
    if (unlucky(k))
        return true;
    if (k->ending == END_NONE)
        return net_done(k->n) && !(k->ratchet && k->n->now < k->end_at);
    return (e[0].closed || e[0].dead) && (e[1].closed || e[1].dead);
}

static void prepare(struct check *k)
{
    struct net *n = k->n;
    static const usec_t delays[] = {200, 2000, 20000, 80000};
    n->delay_us = delays[draw(k, 4)];
    n->jitter_us = k->jitter ? n->delay_us / 2 : 0;
    n->loss_pm = k->loss_pm;
    n->dup_pm = k->dup_pm;
    n->reorder_pm = k->reorder_pm;
    n->tap = tap;
    n->tap_ctx = k;
    for (unsigned i = 0; i < 2; i++) {
        struct channel_config *c = &n->end[i].config;
        for (unsigned s = 0; s < CHANNEL_STREAMS_MAX; s++)
            n->end[i].want[s] = draw(k, 3) == 0 ? draw(k, 60000) : 0;
        n->end[i].want[0] = 1 + draw(k, 3000);
        c->receive_bytes = draw(k, 2) ? 1 : 0; // the smallest, or the default
        c->rtt_hint_us = draw(k, 2) ? 2 * n->delay_us : 0;
        n->end[i].lazy = draw(k, 8) == 0;
    }
    k->end_at = n->now + (k->ending == END_EARLY  ? draw(k, 400000)
                          : k->ending == END_NONE ? 280 * USEC_PER_S
                          : k->ratchet            ? 100 * USEC_PER_S + draw(k, 40000000)
                                                  : 300000 + draw(k, 3000000));
}

static void wake_readers(struct check *k)
{
    for (unsigned i = 0; i < 2; i++) {
        struct end *e = &k->n->end[i];
        if (!e->lazy || e->dead || e->closed)
            continue;
        e->lazy = false;
        for (unsigned s = 0; s < CHANNEL_STREAMS_MAX; s++)
            end_read(k->n, i, s);
        end_turn(k->n, i);
    }
}

static void run(struct check *k)
{
    struct net *n = k->n;
    usec_t limit = n->now + 400 * USEC_PER_S, lazy_until = n->now + 4 * USEC_PER_S;
    usec_t attack_until = n->now + 300 * USEC_PER_S;
    net_start(n, 0);
    net_run(n, n->now + draw(k, 200000)); // the confirm is on its way
    net_start(n, 1);
    k->attacking = true;
    k->move_at = n->now + 500000 + draw(k, 2000000);
    while (!over(k)) {
        if (!net_step(n, n->now + 200000)) // nothing for a while is no standstill: time goes on
            n->now += 200000;
        if (n->now >= limit)
            explain(k, "stands still");
        move(k);
        end_it(k);
        if (n->now >= lazy_until)
            wake_readers(k);
        if (n->now >= attack_until)
            k->attacking = false;
        check(k);
        if (k->ending == END_NONE && !unlucky(k) && (n->end[0].closed || n->end[1].closed))
            explain(k, "ended unasked");
    }
}

static uint32_t steps(const struct check *k, unsigned i)
{
    struct channel_status st;
    channel_status(k->n->end[i].channel, &st);
    return st.step;
}

static void verdict(const struct check *k)
{
    for (unsigned i = 0; i < 2; i++) {
        const struct end *e = &k->n->end[i];
        if (e->dead)
            continue;
        if (k->ending == END_KILLED && e->closed && e->reason != CHANNEL_ENDED_GONE &&
            e->reason != CHANNEL_ENDED_NO_PATH)
            explain(k, "a killed peer said something");
        if (k->ending == END_NONE && k->ratchet && steps(k, i) < 3)
            explain(k, "no step was made in time");
    }
}

static unsigned one(uint64_t seed, unsigned *luckless)
{
    struct check *k = calloc(1, sizeof *k);
    assert_non_null(k);
    k->seed = seed;
    k->p.state = seed * 0x51ed27u + 7;
    combination(k);
    k->n = net_new(seed + 5000, seed % 2 ? PACKET_AEGIS256 : PACKET_CHACHA20POLY1305);
    prepare(k);
    run(k);
    if (unlucky(k))
        *luckless += k->ending == END_NONE;
    else
        verdict(k);
    unsigned attacks = k->attacks;
    net_free(k->n); // nothing is left in the arenas
    free(k);
    return attacks;
}

static void streams_arrive_once_and_in_order(void **state)
{
    (void)state;
    unsigned long long first = 0, last = SEEDS - 1;
    seeds_asked("CHECKER_SEEDS", &first, &last);
    unsigned long long attacks = 0;
    unsigned luckless = 0;
    for (unsigned long long seed = first; seed <= last; seed++)
        attacks += one(seed, &luckless);
    print_message("%llu seeds, %llu datagrams of an attacker, %u never met\n", last - first + 1,
                  attacks, luckless);
    assert_true(luckless <= (last - first) / 200 + 1);
    assert_true(attacks > (last - first) * 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_arrive_once_and_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
