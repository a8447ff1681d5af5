// A node behind address translation, and servers some of which lie about what they see.
#include "tests/unit/dht/net.h"

#define SERVERS 12u
#define OWN 12u // the node behind it
#define OUT_PORT 30000u

enum kind { PUBLIC, CONE, CONE_OTHER_PORT, SYMMETRIC, STEP };

struct nat {
    enum kind kind;
    unsigned liars; // servers 0 .. liars - 1 see something else
    unsigned epoch; // another network
    uint16_t port[SERVERS];
    uint16_t flows;
    unsigned asked, pings;
};

static uint16_t port_for(struct nat *n, unsigned server)
{
    switch (n->kind) {
    case PUBLIC:
    case CONE:
        return (uint16_t)(NET_PORT + OWN);
    case CONE_OTHER_PORT:
        return OUT_PORT;
    case SYMMETRIC:
    case STEP:
        break;
    }
    if (n->port[server] == 0) {
        unsigned flows = ++n->flows;
        n->port[server] =
            (uint16_t)(OUT_PORT + (n->kind == STEP ? 2 * flows : flows * 7919u % 30011u));
    }
    return n->port[server];
}

static bool translate(struct network *w, struct net_datagram *g, void *ctx)
{
    struct nat *n = ctx;
    if (g->from.port == NET_PORT + OWN && g->from.ip[0] == 127) {
        unsigned server = g->to.port - NET_PORT;
        assert_true(server < SERVERS);
        n->asked++;
        n->pings += g->len == CLASS_SMALL;
        if (n->kind != PUBLIC || server < n->liars) {
            uint16_t port =
                server < n->liars ? (uint16_t)(20000 + server % 2) : port_for(n, server);
            g->from = path_v4((const uint8_t[4]){81, 2, 3, (uint8_t)(1 + n->epoch)}, port);
        }
    } else if (g->to.ip[0] == 81) { // back to what it was taken for
        g->to = w->node[OWN].path;
    }
    return true;
}

static void begin(struct network *w, struct nat *n, enum kind kind, unsigned liars)
{
    *n = (struct nat){.kind = kind, .liars = liars};
    net_start(w, SERVERS + 1, 70 + (uint64_t)kind * 10 + liars);
    for (unsigned i = 0; i < SERVERS; i++) {
        assert_int_equal(net_add(w, true), i);
        struct contact c = net_contact(w, 0);
        assert_int_equal(dht_bootstrap(w->node[i].dht, w->now, &c), 0);
        net_drain(w, i);
    }
    net_run(w, 20 * USEC_PER_S);
    assert_int_equal(net_add(w, false), OWN);
    w->tap = translate;
    w->tap_ctx = n;
    dht_local_paths(w->node[OWN].dht, w->now, &w->node[OWN].path, 1);
    struct contact c = net_contact(w, SERVERS - 1);
    assert_int_equal(dht_bootstrap(w->node[OWN].dht, w->now, &c), 0);
    net_drain(w, OWN);
}

static struct dht_reach reach(struct network *w)
{
    struct dht_reach r;
    dht_reach(w->node[OWN].dht, 4, &r);
    return r;
}

static void expect(struct network *w, const struct nat *n)
{
    static const enum dht_mapping mapping[] = {DHT_MAPPING_NONE, DHT_MAPPING_INDEPENDENT,
                                               DHT_MAPPING_INDEPENDENT, DHT_MAPPING_DEPENDENT,
                                               DHT_MAPPING_DEPENDENT};
    struct dht_reach r = reach(w);
    assert_int_equal(r.mapping, mapping[n->kind]);
    assert_int_equal(r.port_preserving, n->kind == PUBLIC || n->kind == CONE);
    assert_int_equal(r.port_step, n->kind == STEP ? 2 : 0);
    assert_true(r.same_ip && r.observers >= REACH_OBSERVERS);
    assert_int_equal(r.seen.ip[0], n->kind == PUBLIC ? 127 : 81);
    if (n->kind != PUBLIC)
        assert_int_equal(r.seen.ip[3], 1 + n->epoch);
}

static void each_kind_is_told_after_joining(void **state)
{
    (void)state;
    for (enum kind k = PUBLIC; k <= STEP; k++) {
        for (unsigned liars = 0; liars <= 2; liars++) {
            struct network w;
            struct nat n;
            begin(&w, &n, k, liars);
            assert_int_equal(reach(&w).mapping, DHT_MAPPING_UNKNOWN);
            net_run(&w, 10 * USEC_PER_S);
            expect(&w, &n);
            net_end(&w);
        }
    }
}

// Another network, which the machine is told of: few pings, and it knows again.
static void another_network(void **state)
{
    (void)state;
    struct network w;
    struct nat n;
    begin(&w, &n, CONE_OTHER_PORT, 2);
    net_run(&w, 120 * USEC_PER_S);
    expect(&w, &n);
    struct dht *d = w.node[OWN].dht;
    dht_local_paths(d, w.now, &w.node[OWN].path, 1); // the same as before
    assert_int_equal(reach(&w).mapping, DHT_MAPPING_INDEPENDENT);
    unsigned pings = n.pings;
    n.kind = STEP;
    n.epoch++;
    struct path local = path_v4((const uint8_t[4]){10, 0, 0, 7}, NET_PORT + OWN);
    dht_local_paths(d, w.now, &local, 1);
    net_drain(&w, OWN);
    assert_int_equal(reach(&w).mapping, DHT_MAPPING_UNKNOWN);
    net_run(&w, 8 * USEC_PER_S);
    expect(&w, &n);
    assert_in_range(n.pings - pings, 1, REACH_ASKS);
    net_end(&w);
}

// After an hour it is looked at again, also if nobody told us of a change.
static void it_is_looked_at_again(void **state)
{
    (void)state;
    struct network w;
    struct nat n;
    begin(&w, &n, CONE, 0);
    net_run(&w, 120 * USEC_PER_S);
    expect(&w, &n);
    n.kind = SYMMETRIC;
    unsigned asked = n.asked;
    net_run(&w, 2 * 3600 * USEC_PER_S);
    expect(&w, &n);
    assert_true(n.asked > asked);
    net_end(&w);
}

// Nobody answers any more: in time it does not know.
static void it_is_forgotten(void **state)
{
    (void)state;
    struct network w;
    struct nat n;
    begin(&w, &n, CONE, 0);
    net_run(&w, 60 * USEC_PER_S);
    expect(&w, &n);
    for (unsigned i = 0; i < SERVERS; i++)
        w.node[i].dead = true;
    net_run(&w, REACH_KEPT_US + 60 * USEC_PER_S);
    assert_int_equal(reach(&w).mapping, DHT_MAPPING_UNKNOWN);
    net_end(&w);
}

// By a tunnel nobody sees what is before our socket: it is not known, and nobody is asked, until we are back.
static void another_way(void **state)
{
    (void)state;
    struct network w;
    struct nat n;
    begin(&w, &n, CONE, 0);
    net_run(&w, 60 * USEC_PER_S);
    expect(&w, &n);
    struct dht *d = w.node[OWN].dht;
    dht_via(d, w.now, VIA_TUNNEL | 1);
    net_drain(&w, OWN);
    assert_int_equal(reach(&w).mapping, DHT_MAPPING_UNKNOWN);
    unsigned pings = n.pings;
    net_run(&w, 5 * USEC_PER_S);
    assert_int_equal(n.pings, pings);
    for (unsigned i = 0; i < SERVERS; i++) {
        struct contact c = net_contact(&w, i);
        struct call call = {.owner_kind = CALL_LOOKUP, .ref = dht_hold(d, &c), .via = d->via};
        const struct path seen = path_v4((const uint8_t[4]){81, 9, 9, 9}, 5000);
        reach_heard(d, &call, &seen);
        book_drop(w.book, call.ref);
    }
    assert_int_equal(reach(&w).mapping, DHT_MAPPING_UNKNOWN);
    dht_via(d, w.now, VIA_UDP);
    net_drain(&w, OWN);
    net_run(&w, 10 * USEC_PER_S);
    expect(&w, &n);
    net_end(&w);
}

// Without a network nobody is asked twice, and who is silent that once stays a contact.
static void nobody_is_lost_by_asking(void **state)
{
    (void)state;
    struct network w;
    struct nat n;
    begin(&w, &n, CONE, 0);
    net_run(&w, 60 * USEC_PER_S);
    expect(&w, &n);
    uint32_t live = dht_live(w.node[OWN].dht);
    struct path local = path_v4((const uint8_t[4]){10, 0, 0, 7}, NET_PORT + OWN);
    dht_local_paths(w.node[OWN].dht, w.now, &local, 1);
    for (unsigned i = 0; i < SERVERS; i++)
        w.node[i].dead = true;
    unsigned pings = n.pings;
    net_run(&w, 8 * USEC_PER_S);
    assert_in_range(n.pings - pings, SERVERS,
                    4 * SERVERS); // three sendings each, and what upkeep does
    for (unsigned i = 0; i < SERVERS; i++)
        w.node[i].dead = false;
    assert_in_range(dht_live(w.node[OWN].dht), live - 2, live); // upkeep asks somebody, too
    assert_int_equal(reach(&w).mapping, DHT_MAPPING_UNKNOWN);
    net_run(&w, 1200 * USEC_PER_S); // somebody is heard again, and all are asked
    expect(&w, &n);
    net_end(&w);
}

// Whom others made us ping, and what can't be our address, tell nothing.
static void whose_word_counts(void **state)
{
    (void)state;
    struct network w;
    net_start(&w, 8, 3);
    for (unsigned i = 0; i < 8; i++)
        (void)net_add(&w, true);
    struct dht *d = w.node[0].dht;
    d->config.lab = false;
    const struct path good = path_v4((const uint8_t[4]){81, 2, 3, 4}, 5000);
    const struct path bad[] = {path_v4((const uint8_t[4]){192, 168, 1, 1}, 5000),
                               path_v4((const uint8_t[4]){81, 2, 3, 4}, 80),
                               path_v6((const uint8_t[16]){0x26, 7, [15] = 1}, 5000)};
    for (unsigned i = 1; i < 8; i++) {
        struct contact c = net_contact(&w, i);
        struct call call = {.owner_kind = CALL_VERIFY, .ref = dht_hold(d, &c), .order = i};
        d->now = w.now;
        reach_heard(d, &call, &good);
        call.owner_kind = CALL_DIAL;
        reach_heard(d, &call, &good);
        call.owner_kind = CALL_CHECK;
        for (unsigned k = 0; k < sizeof bad / sizeof *bad; k++)
            reach_heard(d, &call, &bad[k]);
        assert_null(d->upkeep.mapping[0]);
        assert_null(d->upkeep.mapping[1]);
        book_drop(w.book, call.ref);
    }
    for (unsigned i = 1; i < 8; i++) {
        struct contact c = net_contact(&w, i);
        struct call call = {.owner_kind = CALL_CHECK, .ref = dht_hold(d, &c), .order = i};
        reach_heard(d, &call, &good);
        struct dht_reach r;
        dht_reach(d, 4, &r);
        assert_int_equal(r.mapping,
                         i < REACH_OBSERVERS ? DHT_MAPPING_UNKNOWN : DHT_MAPPING_INDEPENDENT);
        book_drop(w.book, call.ref);
    }
    net_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_is_told_after_joining),
        cmocka_unit_test(another_network),
        cmocka_unit_test(it_is_looked_at_again),
        cmocka_unit_test(it_is_forgotten),
        cmocka_unit_test(another_way),
        cmocka_unit_test(nobody_is_lost_by_asking),
        cmocka_unit_test(whose_word_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
