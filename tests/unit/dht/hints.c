// Joining by a server at a private address, outside a lab: it is asked for others, and is never anybody's contact.
#include "tests/unit/dht/net.h"

#define SERVERS 6u
#define OWN 6u

static struct path at_home(void)
{
    return path_v4((const uint8_t[4]){192, 168, 1, 1}, NET_PORT);
}

struct leg {
    unsigned asked, open; // at the private address; of those without an answer
};

// The first server has a second leg, on our link. Nobody else is told of it.
static bool second_leg(struct network *w, struct net_datagram *g, void *ctx)
{
    struct leg *leg = ctx;
    struct path home = at_home();
    if (path_equal(&g->to, &home)) {
        assert_true(path_equal(&g->from, &w->node[OWN].path));
        leg->asked++;
        leg->open++;
        g->to = w->node[0].path;
    } else if (leg->open > 0 && path_equal(&g->from, &w->node[0].path) &&
               path_equal(&g->to, &w->node[OWN].path)) {
        leg->open--;
        g->from = home;
    }
    return true;
}

static void begin(struct network *w)
{
    net_start(w, SERVERS + 1, 5);
    for (unsigned i = 0; i <= SERVERS; i++) {
        assert_int_equal(net_add(w, i != OWN), i);
        w->node[i].dht->config.lab = false;
        w->node[i].path =
            path_v4((const uint8_t[4]){81, (uint8_t)(1 + i), 2, 3}, (uint16_t)(NET_PORT + i));
    }
    for (unsigned i = 1; i < SERVERS; i++) {
        struct contact c = net_contact(w, 0);
        assert_int_equal(dht_bootstrap(w->node[i].dht, w->now, &c), 0);
        net_drain(w, i);
    }
    net_run(w, 20 * USEC_PER_S);
}

static uint32_t contacts(const struct network *w, unsigned i)
{
    struct dht_status s;
    dht_status(w->node[i].dht, &s);
    return s.contacts;
}

static void joins(bool as_hint)
{
    struct network w;
    struct leg leg = {0, 0};
    begin(&w);
    assert_int_equal(contacts(&w, OWN), 0);
    struct contact c = net_contact(&w, 0);
    c.path = at_home();
    w.tap = second_leg;
    w.tap_ctx = &leg;
    struct dht *d = w.node[OWN].dht;
    if (as_hint)
        dht_hints(d, w.now, &c, 1);
    else
        assert_int_equal(dht_bootstrap(d, w.now, &c), 0);
    net_drain(&w, OWN);
    net_run(&w, 10 * USEC_PER_S);
    assert_in_range(leg.asked, 1, 3);
    assert_int_equal(contacts(&w, OWN), SERVERS); // the first one too, where everybody can reach it
    book_ref all[TABLE_BUCKETS * TABLE_K];
    size_t n = table_list(d->table[0], all, sizeof all / sizeof *all);
    for (size_t i = 0; i < n; i++)
        assert_false(path_private(&dht_entry(d, all[i])->contact.path));
    net_end(&w);
}

static void by_a_hint(void **state)
{
    (void)state;
    joins(true);
}

static void by_a_bootstrap(void **state)
{
    (void)state;
    joins(false);
}

// Addresses that nobody should be made to send to, and what comes when somebody is known.
static void bad_hints(void **state)
{
    (void)state;
    struct network w;
    begin(&w);
    struct dht *d = w.node[OWN].dht;
    const struct path bad[] = {
        path_v4((const uint8_t[4]){127, 0, 0, 1}, 4000),
        path_v4((const uint8_t[4]){224, 0, 0, 1}, 4000),
        path_v4((const uint8_t[4]){192, 168, 1, 255}, 53),
        path_v6((const uint8_t[16]){0xfe, 0x80, [15] = 1}, 4000),
        path_v6((const uint8_t[16]){0xff, 2, [15] = 1}, 4000),
        path_v6((const uint8_t[16]){[15] = 1}, 4000),
    };
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct contact c = net_contact(&w, 0);
        c.path = bad[i];
        dht_hints(d, w.now, &c, 1);
        assert_int_equal(d->upkeep.imports, 0);
    }
    d->config.puzzle_bits = 30; // unsolved
    struct contact c = net_contact(&w, 0);
    dht_hints(d, w.now, &c, 1);
    assert_int_equal(d->upkeep.imports, 0);
    d->config.puzzle_bits = 0;
    for (unsigned k = 0; k < 3; k++) // the same one counts once
        dht_hints(d, w.now, &c, 1);
    assert_int_equal(d->upkeep.imports, 1);
    net_drain(&w, OWN);
    net_run(&w, 5 * USEC_PER_S);
    assert_true(contacts(&w, OWN) > 0);
    c.path = at_home();
    dht_hints(d, w.now, &c, 1);
    assert_int_equal(d->upkeep.imports, 1);
    net_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_a_hint),
        cmocka_unit_test(by_a_bootstrap),
        cmocka_unit_test(bad_hints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
