// Several whole nodes in virtual time: joining, look-ups, places, introductions.
#include "tests/unit/dht/net.h"

static void make_record(uint8_t record[static RECORD_BYTES], uint8_t mark)
{
    memset(record, mark, RECORD_BYTES);
}

static bool has_record(const struct network *w, unsigned i, uint32_t place, uint8_t mark)
{
    for (unsigned k = 0; k < w->node[i].events; k++) {
        const struct dht_event *e = &w->node[i].event[k];
        for (size_t r = 0; e->kind == DHT_SAMPLE && e->id == place && r < e->n; r++)
            if (e->records[r * RECORD_BYTES] == mark)
                return true;
    }
    return false;
}

// `servers` that know the first one, settled.
static void start_servers(struct network *w, unsigned servers, unsigned room, uint64_t seed)
{
    net_start(w, servers + room, seed);
    for (unsigned i = 0; i < servers; i++) {
        (void)net_add(w, true);
        if (i == 0)
            continue;
        struct contact first = net_contact(w, 0);
        assert_int_equal(dht_bootstrap(w->node[i].dht, w->now, &first), 0);
        net_drain(w, i);
    }
}

static unsigned add_client(struct network *w)
{
    unsigned i = net_add(w, false);
    struct contact first = net_contact(w, 0);
    assert_int_equal(dht_bootstrap(w->node[i].dht, w->now, &first), 0);
    net_drain(w, i);
    return i;
}

static uint32_t open_place(struct network *w, unsigned i, const uint8_t place[static 32])
{
    uint32_t id;
    assert_int_equal(dht_place_open(w->node[i].dht, w->now, place, 7, &id), 0);
    net_drain(w, i);
    return id;
}

static void announce(struct network *w, unsigned i, uint32_t id, uint8_t mark)
{
    uint8_t record[RECORD_BYTES];
    make_record(record, mark);
    assert_int_equal(dht_place_announce(w->node[i].dht, w->now, id, record, 600), 0);
    net_drain(w, i);
}

static void test_join_one(void **state)
{
    (void)state;
    struct network w;
    start_servers(&w, 2, 0, 1);
    net_run(&w, 2 * USEC_PER_S);
    for (unsigned i = 0; i < 2; i++) {
        struct dht_status s;
        dht_status(w.node[i].dht, &s);
        assert_int_equal(s.contacts, 1);
        assert_memory_equal(&s.seen, &w.node[i].path, sizeof s.seen);
        assert_true(w.node[i].dht->upkeep.own_centre[0]);
    }
    net_end(&w);
}

static void test_two_meet(void **state)
{
    (void)state;
    static const unsigned sizes[] = {1, 2, 3, 5};
    for (unsigned k = 0; k < 4; k++) {
        struct network w;
        uint8_t place[32] = {1, 2, 3};
        start_servers(&w, sizes[k], 2, 10 + k);
        net_run(&w, 5 * USEC_PER_S);
        unsigned a = add_client(&w), b = add_client(&w);
        uint32_t pa = open_place(&w, a, place), pb = open_place(&w, b, place);
        announce(&w, a, pa, 0xaa);
        announce(&w, b, pb, 0xbb);
        assert_non_null(net_wait(&w, a, DHT_STORED, pa, 2 * USEC_PER_S));
        assert_non_null(net_wait(&w, b, DHT_STORED, pb, 2 * USEC_PER_S));
        assert_int_equal(net_event(&w, a, DHT_STORED, pa)->count, sizes[k]);
        assert_true(has_record(&w, a, pa, 0xbb) || has_record(&w, b, pb, 0xaa));
        assert_false(has_record(&w, a, pa, 0xaa));
        net_end(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_join_one),
        cmocka_unit_test(test_two_meet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
