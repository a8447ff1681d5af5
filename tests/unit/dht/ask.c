// Questions to one server, channels to a server, and the way that everything takes.
#include "crypto/bytes.h"
#include "tests/unit/dht/net.h"

#define EXIT_PORT 60000u

static void exit_at(struct network *w, unsigned i)
{
    w->node[i].exit = path_v4((const uint8_t[4]){127, 0, 0, 1}, (uint16_t)(EXIT_PORT + i));
    w->node[i].exit.via = VIA_TUNNEL | 1;
}

static void a_ping_tells_where_we_are_seen(void **state)
{
    (void)state;
    struct network w;
    net_start(&w, 3, 1);
    unsigned s = net_add(&w, true), a = net_add(&w, false);
    struct contact c = net_contact(&w, s);
    uint32_t id, other;
    assert_int_equal(dht_ping(w.node[a].dht, w.now, &c, VIA_UDP, 77, &id), 0);
    net_drain(&w, a);
    const struct dht_event *e = net_wait(&w, a, DHT_PONG, id, USEC_PER_S);
    assert_non_null(e);
    assert_int_equal(e->user, 77);
    assert_true(path_equal(&e->path, &w.node[a].path));
    assert_int_equal(dht_live(w.node[a].dht), 0); // asked for somebody else's sake

    exit_at(&w, a);
    assert_int_equal(dht_ping(w.node[a].dht, w.now, &c, VIA_TUNNEL | 1, 78, &id), 0);
    net_drain(&w, a);
    e = net_wait(&w, a, DHT_PONG, id, USEC_PER_S);
    assert_non_null(e);
    assert_int_equal(e->path.port, w.node[a].exit.port);

    // Nobody there; nobody waits.
    c.path.port = 9999;
    assert_int_equal(dht_ping(w.node[a].dht, w.now, &c, VIA_UDP, 79, &id), 0);
    assert_int_equal(dht_ping(w.node[a].dht, w.now, &c, VIA_UDP, 80, &other), 0);
    dht_ask_close(w.node[a].dht, w.now, other);
    net_drain(&w, a);
    assert_non_null(net_wait(&w, a, DHT_SILENT, id, 10 * USEC_PER_S));
    assert_null(net_event(&w, a, DHT_SILENT, other));
    c.path.port = 80;
    assert_int_equal(dht_ping(w.node[a].dht, w.now, &c, VIA_UDP, 81, &id), BAUTA_EFORMAT);
    c.path.port = 9999;
    for (unsigned i = 0; i < ASKS_MAX; i++)
        assert_int_equal(dht_ping(w.node[a].dht, w.now, &c, VIA_NONE, 82, &id), 0);
    assert_int_equal(dht_ping(w.node[a].dht, w.now, &c, VIA_NONE, 82, &id), BAUTA_ELIMIT);
    uint32_t out = w.out->count;
    assert_int_equal(out, 0); // by no way at all
    net_end(&w);
}

static void a_server_opens(void **state)
{
    (void)state;
    struct network w;
    net_start(&w, 3, 2);
    unsigned s = net_add(&w, true), a = net_add(&w, false);
    w.node[s].dht->config.opens = true;
    struct contact c = net_contact(&w, s);
    uint8_t one[WIRE_OPEN_BLOB_MAX + 1], two[WIRE_OPEN_BLOB_MAX];
    memset(one, 1, sizeof one);
    memset(two, 2, sizeof two);
    uint32_t id;
    struct dht *d = w.node[a].dht;
    assert_int_equal(dht_open(d, w.now, &c, VIA_UDP, one, sizeof one, 5, &id), BAUTA_ELIMIT);
    assert_int_equal(dht_open(d, w.now, &c, VIA_UDP, one, sizeof one - 1, 5, &id), 0);
    net_drain(&w, a);
    const struct dht_event *e = net_wait(&w, s, DHT_OPEN, 0, USEC_PER_S);
    assert_non_null(e);
    assert_true(path_equal(&e->path, &w.node[a].path));
    assert_int_equal(e->blob_len, sizeof one - 1);
    assert_memory_equal(e->blob, one, sizeof one - 1);
    uint32_t opening = e->id;
    uint64_t bytes = w.node[s].dht->count.bytes_out;
    dht_open_answer(w.node[s].dht, w.now, opening, two, sizeof two);
    assert_int_equal(w.node[s].dht->count.bytes_out - bytes,
                     CLASS_SMALL);                                   // as long as the question
    dht_open_answer(w.node[s].dht, w.now, opening, two, sizeof two); // once
    assert_int_equal(w.out->count, 1);
    net_drain(&w, s);
    e = net_wait(&w, a, DHT_OPENED, id, USEC_PER_S);
    assert_non_null(e);
    assert_int_equal(e->user, 5);
    assert_memory_equal(e->blob, two, sizeof two);
    net_forget_events(&w, a);

    // Refused by node, or by who offers no such thing.
    net_forget_events(&w, s);
    assert_int_equal(dht_open(d, w.now, &c, VIA_UDP, one, 8, 6, &id), 0);
    net_drain(&w, a);
    e = net_wait(&w, s, DHT_OPEN, 0, USEC_PER_S);
    assert_non_null(e);
    dht_open_refuse(w.node[s].dht, w.now, e->id);
    net_drain(&w, s);
    assert_non_null(net_wait(&w, a, DHT_SILENT, id, USEC_PER_S));
    w.node[s].dht->config.opens = false;
    assert_int_equal(dht_open(d, w.now, &c, VIA_UDP, one, 8, 7, &id), 0);
    net_drain(&w, a);
    assert_non_null(net_wait(&w, a, DHT_SILENT, id, USEC_PER_S));
    net_end(&w);
}

// Everything takes one way, which changes; what comes by another one is not taken.
static bool no_own_address(struct network *w, struct net_datagram *g, void *ctx)
{
    const unsigned *a = ctx;
    assert_int_not_equal(g->from.port, w->node[*a].path.port);
    return true;
}

static void all_goes_by_one_way(void **state)
{
    (void)state;
    struct network w;
    net_start(&w, 12, 3);
    for (unsigned i = 0; i < 10; i++)
        (void)net_add(&w, true);
    unsigned a = net_add(&w, false);
    struct contact c = net_contact(&w, 0);
    for (unsigned i = 1; i < 10; i++) {
        (void)dht_bootstrap(w.node[i].dht, w.now, &c);
        net_drain(&w, i);
    }
    net_run(&w, 20 * USEC_PER_S);
    struct dht *d = w.node[a].dht;
    exit_at(&w, a);
    w.tap = no_own_address;
    w.tap_ctx = &a;
    dht_via(d, w.now, VIA_NONE);
    (void)dht_bootstrap(d, w.now, &c);
    net_drain(&w, a);
    uint64_t out = d->count.requests_out;
    net_run(&w, 30 * USEC_PER_S);
    assert_int_equal(d->count.requests_out, out);
    dht_via(d, w.now, VIA_TUNNEL | 1);
    net_drain(&w, a);
    net_run(&w, 20 * USEC_PER_S);
    assert_in_range(dht_live(d), 8, 10);
    struct dht_status st;
    dht_status(d, &st);
    assert_int_equal(st.seen.port, w.node[a].exit.port);
    // Meeting works from there: a place, an introducer who sees the exit.
    uint8_t place[32] = {9}, handle[DHT_HANDLE_BYTES] = {1};
    uint32_t p, attend;
    struct path seen;
    assert_int_equal(dht_place_open(d, w.now, place, 1, &p), 0);
    struct contact in[DHT_INTRODUCERS_MAX];
    assert_true(dht_place_introducers(d, p, in) > 0);
    assert_int_equal(dht_attend_open(d, w.now, p, &in[0], handle, 1, &attend), 0);
    net_drain(&w, a);
    assert_non_null(net_wait(&w, a, DHT_ATTENDING, attend, 5 * USEC_PER_S));
    assert_true(dht_attend_seen(d, attend, &seen));
    assert_int_equal(seen.port, w.node[a].exit.port);

    // Another way: introducers hear of it at once.
    w.node[a].exit.port = EXIT_PORT + 100;
    w.node[a].exit.via = VIA_TUNNEL | 2;
    dht_via(d, w.now, VIA_TUNNEL | 2);
    net_drain(&w, a);
    net_run(&w, 2 * USEC_PER_S);
    assert_true(dht_attend_seen(d, attend, &seen));
    assert_int_equal(seen.port, EXIT_PORT + 100);
    net_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ping_tells_where_we_are_seen),
        cmocka_unit_test(a_server_opens),
        cmocka_unit_test(all_goes_by_one_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
