// Several whole nodes in virtual time: joining, look-ups, places, introductions.
#include "crypto/bytes.h"
#include "tests/unit/dht/meeting.h"

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

// Everybody a server, people among them: they meet wherever there is a common holder (three and more).
static void test_servers_meet(void **state)
{
    (void)state;
    for (unsigned servers = 3; servers <= 6; servers++) {
        struct network w;
        uint8_t place[32] = {9};
        start_servers(&w, servers, 0, 100 + servers);
        net_run(&w, 10 * USEC_PER_S);
        uint32_t pa = open_place(&w, 1, place), pb = open_place(&w, 2, place);
        announce(&w, 1, pa, 0xaa);
        announce(&w, 2, pb, 0xbb);
        assert_non_null(net_wait(&w, 1, DHT_STORED, pa, 2 * USEC_PER_S));
        assert_non_null(net_wait(&w, 2, DHT_STORED, pb, 2 * USEC_PER_S));
        assert_int_equal(net_event(&w, 1, DHT_STORED, pa)->count, servers - 1); // never itself
        assert_true(has_record(&w, 1, pa, 0xbb) || has_record(&w, 2, pb, 0xaa));
        struct contact chosen[DHT_INTRODUCERS_MAX];
        size_t n = dht_place_introducers(w.node[1].dht, pa, chosen);
        net_drain(&w, 1);
        assert_int_equal(n, servers - 1 < 3 ? servers - 1 : 3);
        for (size_t i = 0; i < n; i++)
            assert_memory_not_equal(chosen[i].pk, w.node[1].dht->pk, 32);
        net_end(&w);
    }
}

// A place that is opened while no server is known goes on by itself once one answers.
static void test_waits_for_first_server(void **state)
{
    (void)state;
    struct network w;
    uint8_t place[32] = {5};
    start_servers(&w, 1, 1, 3);
    w.node[0].dead = true;
    unsigned a = add_client(&w);
    uint32_t pa = open_place(&w, a, place);
    announce(&w, a, pa, 0xaa);
    const struct dht_event *e = net_wait(&w, a, DHT_PLACE_FOUND, pa, USEC_PER_S);
    assert_non_null(e);
    assert_int_equal(e->count, 0);
    net_run(&w, 20 * USEC_PER_S);
    net_forget_events(&w, a);
    w.node[0].dead = false;
    assert_non_null(net_wait(&w, a, DHT_STORED, pa, 31 * USEC_PER_S));
    assert_int_equal(net_event(&w, a, DHT_PLACE_FOUND, pa)->count, 1);
    assert_int_equal(net_event(&w, a, DHT_STORED, pa)->count, 1);
    net_end(&w);
}

static void test_seek_replace_withdraw(void **state)
{
    (void)state;
    struct network w;
    uint8_t place[32] = {77};
    start_servers(&w, 5, 3, 4);
    net_run(&w, 5 * USEC_PER_S);
    unsigned a = add_client(&w), b = add_client(&w);
    uint32_t pa = open_place(&w, a, place), pb = open_place(&w, b, place);
    uint8_t record[RECORD_BYTES];
    fresh_record(&w, a, pa, 0xaa, record);
    announce_record(&w, a, pa, record);
    assert_non_null(net_wait(&w, a, DHT_STORED, pa, 2 * USEC_PER_S));
    // Each of three holders answers once.
    assert_int_equal(dht_place_seek(w.node[b].dht, w.now, pb, 3), 0);
    net_drain(&w, b);
    net_run(&w, USEC_PER_S);
    unsigned samples = 0;
    for (unsigned k = 0; k < w.node[b].events; k++)
        samples += w.node[b].event[k].kind == DHT_SAMPLE && w.node[b].event[k].n == 1 &&
                   w.node[b].event[k].count == 1 && !w.node[b].event[k].announced;
    assert_int_equal(samples, 3);
    // Another record under the same rec_id replaces it everywhere.
    record[RECORD_BYTES - 1] = 1;
    net_forget_events(&w, a);
    announce_record(&w, a, pa, record);
    assert_non_null(net_wait(&w, a, DHT_STORED, pa, 2 * USEC_PER_S));
    net_forget_events(&w, b);
    assert_int_equal(dht_place_seek(w.node[b].dht, w.now, pb, 5), 0);
    net_drain(&w, b);
    net_run(&w, USEC_PER_S);
    assert_int_equal(w.node[b].events, 5);
    for (unsigned k = 0; k < 5; k++) {
        assert_int_equal(w.node[b].event[k].n, 1);
        assert_memory_equal(w.node[b].event[k].records, record, RECORD_BYTES);
    }
    // Withdrawn at once, at all of them.
    assert_int_equal(dht_place_withdraw(w.node[a].dht, w.now, pa), 0);
    net_drain(&w, a);
    net_run(&w, 10 * USEC_PER_MS);
    for (unsigned i = 0; i < 5; i++) {
        struct dht_status s;
        dht_status(w.node[i].dht, &s);
        assert_int_equal(s.records_held, 0);
    }
    // The same rec_id is dead until its time is over; another one is not.
    announce_record(&w, a, pa, record);
    net_run(&w, USEC_PER_S);
    struct dht_status s;
    dht_status(w.node[0].dht, &s);
    assert_int_equal(s.records_held, 0);
    announce(&w, a, pa, 0xac);
    net_run(&w, USEC_PER_S);
    dht_status(w.node[0].dht, &s);
    assert_int_equal(s.records_held, 1);
    record[0] ^= 1; // an id that is not the place's own
    assert_int_equal(dht_place_announce(w.node[a].dht, w.now, pa, record, 600, NULL),
                     BAUTA_EFORMAT);
    dht_place_close(w.node[a].dht, w.now, pa);
    net_drain(&w, a);
    net_run(&w, USEC_PER_S);
    dht_status(w.node[0].dht, &s);
    assert_int_equal(s.records_held, 0);
    net_end(&w);
}

// A withdrawal that overtakes its announce wins.
static bool tap_delay_announce(struct network *w, struct net_datagram *g, void *ctx)
{
    if (g->len == CLASS_MEDIUM && g->to.port == NET_PORT && *(bool *)ctx)
        g->at = w->now + 5 * NET_DELAY_US;
    return true;
}

static void test_withdraw_overtakes(void **state)
{
    (void)state;
    struct network w;
    uint8_t place[32] = {78};
    start_servers(&w, 1, 1, 5);
    unsigned a = add_client(&w);
    uint32_t pa = open_place(&w, a, place);
    assert_non_null(net_wait(&w, a, DHT_PLACE_FOUND, pa, USEC_PER_S));
    net_run(&w, USEC_PER_S);
    bool delay = true;
    w.tap = tap_delay_announce;
    w.tap_ctx = &delay;
    announce(&w, a, pa, 0xaa);
    assert_int_equal(dht_place_withdraw(w.node[a].dht, w.now, pa), 0);
    net_drain(&w, a);
    net_run(&w, USEC_PER_S);
    struct dht_status s;
    dht_status(w.node[0].dht, &s);
    assert_int_equal(s.records_held, 0);
    net_end(&w);
}

static void test_renews_until_closed(void **state)
{
    (void)state;
    struct network w;
    uint8_t place[32] = {79};
    start_servers(&w, 3, 1, 6);
    net_run(&w, 3 * USEC_PER_S);
    unsigned a = add_client(&w);
    uint32_t pa = open_place(&w, a, place);
    uint8_t record[RECORD_BYTES];
    fresh_record(&w, a, pa, 1, record);
    assert_int_equal(dht_place_announce(w.node[a].dht, w.now, pa, record, 20, NULL), 0);
    net_drain(&w, a);
    struct dht_status s;
    for (unsigned i = 0; i < 30; i++) {
        net_run(&w, 5 * USEC_PER_S);
        dht_status(w.node[1].dht, &s);
        assert_int_equal(s.records_held, 1);
        net_forget_events(&w, a);
    }
    w.node[a].dead = true; // killed: nothing is withdrawn, so it dies with its time
    net_run(&w, 60 * USEC_PER_S);
    dht_status(w.node[1].dht, &s);
    assert_int_equal(s.records_held, 0);
    net_end(&w);
}

// ---- introductions --------------------------------------------------------------------------------

static void test_introduce(void **state)
{
    (void)state;
    static const unsigned sizes[] = {1, 2, 3, 12};
    for (unsigned k = 0; k < 4; k++) {
        struct meeting m;
        start_meeting(&m, sizes[k], 20 + k);
        round_trip(&m, 1, 0);
        round_trip(&m, dht_introduce_blob_max(), dht_answer_blob_max());
        for (unsigned i = 0; i < 20; i++) // the window of push ids moves along
            round_trip(&m, 100, 50);
        net_run(&m.w, 120 * USEC_PER_S); // and from renewal to renewal
        round_trip(&m, 100, 50);
        uint8_t blob[1024] = {0};
        uint32_t intro;
        assert_int_equal(dht_introduce_open(m.w.node[m.b].dht, m.w.now, m.place_b, &m.introducer,
                                            m.handle, blob, dht_introduce_blob_max() + 1, 6,
                                            &intro),
                         BAUTA_ELIMIT);
        net_end(&m.w);
    }
}

// A handle that nobody attends looks like one whose owner declined.
static void test_decoy(void **state)
{
    (void)state;
    struct meeting m;
    start_meeting(&m, 3, 30);
    uint8_t blob[8] = {0};
    static const uint8_t unknown[DHT_HANDLE_BYTES] = {9};
    for (unsigned k = 0; k < 3; k++) {
        uint32_t intro;
        if (k == 1) // what somebody else answers changes nothing
            round_trip(&m, 100, 80);
        if (k == 2) { // closed: the introducer declines by itself
            dht_attend_close(m.w.node[m.a].dht, m.w.now, m.attend);
            net_drain(&m.w, m.a);
            net_run(&m.w, 100 * USEC_PER_MS);
        }
        assert_int_equal(dht_introduce_open(m.w.node[m.b].dht, m.w.now, m.place_b, &m.introducer,
                                            k < 2 ? unknown : m.handle, blob, sizeof blob, 6,
                                            &intro),
                         0);
        net_drain(&m.w, m.b);
        const struct dht_event *e = net_wait(&m.w, m.b, DHT_BACK, intro, USEC_PER_S);
        assert_non_null(e);
        assert_int_equal(e->blob_len, DHT_ANSWER_BYTES);
        assert_true(e->blob[31] < 0x80); // a public key, as every decline
        net_forget_events(&m.w, m.b);
    }
    net_end(&m.w);
}

static unsigned node_of(const struct network *w, const struct contact *c)
{
    (void)w;
    return c->path.port - NET_PORT;
}

static void test_introducer_lost(void **state)
{
    (void)state;
    struct meeting m;
    start_meeting(&m, 3, 31);
    m.w.node[node_of(&m.w, &m.introducer)].dead = true;
    uint32_t intro;
    assert_int_equal(dht_introduce_open(m.w.node[m.b].dht, m.w.now, m.place_b, &m.introducer,
                                        m.handle, m.handle, 8, 6, &intro),
                     0);
    net_drain(&m.w, m.b);
    assert_non_null(net_wait(&m.w, m.b, DHT_INTRO_FAILED, intro, 20 * USEC_PER_S));
    assert_non_null(net_wait(&m.w, m.a, DHT_ATTEND_LOST, m.attend, 60 * USEC_PER_S));
    net_end(&m.w);
}

// An introducer that pushes without end: so many a second are opened, and all is well after the renewal.
static void test_pushed_without_end(void **state)
{
    (void)state;
    struct meeting m;
    start_meeting(&m, 3, 33);
    struct dht *d = m.w.node[m.a].dht;
    struct series *s = &d->attends->series;
    struct wire_push p = {.kind = PUSH_OFFER, .blob = m.handle, .blob_len = 16};
    uint64_t before = d->count.pushes_in;
    for (uint32_t i = 0; i < 1000; i++) {
        uint8_t datagram[CLASS_CHAT] = {0}, id[8], nonce[RPC_NONCE_BYTES] = {(uint8_t)i};
        size_t len;
        assert_int_equal(wire_push_encode(&p, datagram + ANSWER_BODY_AT, 200, &len), 0);
        rpc_push_id(id, s->push_key, s->next);
        rpc_answer_seal(datagram, sizeof datagram - ANSWER_OVERHEAD, id, &s->keys, nonce);
        (void)dht_receive(d, m.w.now, &m.introducer.path, datagram, sizeof datagram);
        net_drain(&m.w, m.a);
    }
    assert_int_equal(d->count.pushes_in - before, PUSHES_PER_S);
    assert_true(d->count.dropped_rate >= 1000 - PUSHES_PER_S);
    net_run(&m.w, 30 * USEC_PER_S);
    round_trip(&m, 100, 50);
    net_end(&m.w);
}

// A handle belongs to the e that registered it, and a link to the e that opened it.
static void test_handle_is_not_stolen(void **state)
{
    (void)state;
    struct meeting m;
    uint32_t attend;
    start_meeting(&m, 3, 32);
    assert_int_equal(
        dht_attend_open(m.w.node[m.b].dht, m.w.now, m.place_b, &m.introducer, m.handle, 5, &attend),
        0);
    net_drain(&m.w, m.b);
    assert_non_null(net_wait(&m.w, m.b, DHT_ATTEND_LOST, attend, 10 * USEC_PER_S));
    assert_null(net_event(&m.w, m.b, DHT_ATTENDING, attend));
    round_trip(&m, 10, 10);
    net_end(&m.w);
}

// ---- bigger, lossy, dying -------------------------------------------------------------------------

static void true_nearest(const struct network *w, const uint8_t place[static 32], unsigned *near)
{
    unsigned n = 0;
    for (unsigned i = 0; i < w->n; i++) {
        if (w->node[i].dead || w->node[i].dht->server == NULL)
            continue;
        unsigned k = n < 8 ? n : 8;
        for (; k > 0 &&
               id_nearer(w->node[i].dht->centre[0], w->node[near[k - 1]].dht->centre[0], place);
             k--)
            if (k < 8)
                near[k] = near[k - 1];
        if (k < 8)
            near[k] = i;
        n++;
    }
}

static unsigned found_of_nearest(struct network *w, unsigned i, uint32_t id,
                                 const uint8_t place[static 32])
{
    unsigned near[9] = {0}, hits = 0;
    struct contact region[8];
    true_nearest(w, place, near);
    size_t n = dht_place_region(w->node[i].dht, id, region, 8);
    for (size_t k = 0; k < n; k++)
        for (unsigned j = 0; j < 8; j++)
            hits += memcmp(region[k].pk, w->node[near[j]].dht->pk, 32) == 0;
    return hits;
}

static void test_fifty(void **state)
{
    (void)state;
    struct network w;
    start_servers(&w, 50, 2, 50);
    net_run(&w, 60 * USEC_PER_S);
    unsigned a = add_client(&w), b = add_client(&w);
    net_run(&w, USEC_PER_S);
    for (unsigned i = 0; i < 50; i++) {
        struct dht_status s;
        dht_status(w.node[i].dht, &s);
        assert_true(s.contacts >= 14);
        assert_true(w.node[i].arena.used_bytes < 40000);
    }
    for (uint8_t k = 0; k < 20; k++) {
        uint8_t place[32];
        net_fill(&w.rng, place, 32);
        usec_t start = w.now;
        uint32_t pa = open_place(&w, a, place), pb = open_place(&w, b, place);
        announce(&w, a, pa, 0xaa);
        assert_non_null(net_wait(&w, a, DHT_STORED, pa, 2 * USEC_PER_S));
        assert_true(w.now - start < 30 * USEC_PER_MS); // a few hops of 2 ms, no timer in the way
        announce(&w, b, pb, 0xbb);
        assert_non_null(net_wait(&w, b, DHT_STORED, pb, 2 * USEC_PER_S));
        assert_int_equal(found_of_nearest(&w, a, pa, place), 8);
        assert_true(has_record(&w, b, pb, 0xaa)); // the second always gets the first
        dht_place_close(w.node[a].dht, w.now, pa);
        net_drain(&w, a);
        dht_place_close(w.node[b].dht, w.now, pb);
        net_drain(&w, b);
        net_forget_events(&w, a);
        net_forget_events(&w, b);
    }
    // A third dies at once: the others still find what is left, and each other.
    for (unsigned i = 1; i < 50; i += 3)
        w.node[i].dead = true;
    for (uint8_t k = 0; k < 5; k++) {
        uint8_t place[32];
        net_fill(&w.rng, place, 32);
        uint32_t pa = open_place(&w, a, place), pb = open_place(&w, b, place);
        announce(&w, a, pa, 0xaa);
        announce(&w, b, pb, 0xbb);
        assert_non_null(net_wait(&w, a, DHT_STORED, pa, 5 * USEC_PER_S));
        assert_non_null(net_wait(&w, b, DHT_STORED, pb, 5 * USEC_PER_S));
        assert_true(has_record(&w, b, pb, 0xaa) || has_record(&w, a, pa, 0xbb));
        assert_true(found_of_nearest(&w, a, pa, place) >= 7);
        net_forget_events(&w, a);
        net_forget_events(&w, b);
    }
    net_end(&w);
}

static void test_loss(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 4; seed++) {
        struct network w;
        start_servers(&w, 12, 2, 210 + seed);
        w.loss_percent = 20;
        net_run(&w, 60 * USEC_PER_S);
        unsigned a = add_client(&w), b = add_client(&w);
        uint8_t place[32];
        net_fill(&w.rng, place, 32);
        uint32_t pa = open_place(&w, a, place), pb = open_place(&w, b, place);
        announce(&w, a, pa, 0xaa);
        announce(&w, b, pb, 0xbb);
        assert_non_null(net_wait(&w, a, DHT_STORED, pa, 60 * USEC_PER_S));
        assert_non_null(net_wait(&w, b, DHT_STORED, pb, 60 * USEC_PER_S));
        assert_true(net_event(&w, a, DHT_STORED, pa)->count >= 6);
        net_run(&w, 10 * USEC_PER_S);
        assert_true(has_record(&w, b, pb, 0xaa) || has_record(&w, a, pa, 0xbb));
        net_end(&w);
        struct meeting m;
        start_meeting(&m, 3, 300 + seed);
        m.w.loss_percent = 20;
        for (unsigned k = 0; k < 10; k++)
            round_trip(&m, 200, 100);
        net_end(&m.w);
    }
}

// Servers give out IPv6 contacts to a host that has no IPv6: after the first look-up they don't matter.
static void test_family_that_never_works(void **state)
{
    (void)state;
    struct network w;
    start_servers(&w, 3, 1, 70);
    net_run(&w, 5 * USEC_PER_S);
    for (unsigned i = 0; i < 3; i++) {
        struct dht *d = w.node[i].dht;
        d->table[1] = arena_take(&w.node[i].arena, sizeof *d->table[1]);
        table_init(d->table[1], &w.node[i].arena, w.book, false, d->hash_key, d->centre[1]);
        for (uint8_t k = 0; k < 8; k++) {
            uint8_t ip[16] = {0x2a, 0, 0, k};
            struct contact c;
            book_ref check;
            memset(&c, 0, sizeof c);
            memset(c.pk, 0x40 + k, 32);
            c.path = path_v6(ip, 4000);
            book_ref ref = dht_hold(d, &c);
            (void)table_answered(d->table[1], ref, 1000, &check);
            book_drop(w.book, ref);
        }
        d->upkeep.unheard_family[1] =
            FAMILY_FAILURES_MAX; // servers leave them alone, but hand them out
    }
    unsigned a = add_client(&w);
    net_run(&w, 10 * USEC_PER_S);
    uint8_t place[32] = {3};
    usec_t start = w.now;
    uint32_t pa = open_place(&w, a, place);
    assert_non_null(net_wait(&w, a, DHT_PLACE_FOUND, pa, 5 * USEC_PER_S));
    assert_true(w.now - start < 20 * USEC_PER_MS);
    assert_int_equal(net_event(&w, a, DHT_PLACE_FOUND, pa)->count, 3);
    net_end(&w);
}

static void test_same_seed(void **state)
{
    (void)state;
    uint64_t bytes[2], delivered[2];
    for (unsigned k = 0; k < 2; k++) {
        struct meeting m;
        start_meeting(&m, 7, 99);
        m.w.loss_percent = 10;
        round_trip(&m, 100, 50);
        announce(&m.w, m.a, m.place_a, 0xaa);
        net_run(&m.w, 30 * USEC_PER_S);
        bytes[k] = m.w.bytes;
        delivered[k] = m.w.delivered;
        net_end(&m.w);
    }
    assert_int_equal(bytes[0], bytes[1]);
    assert_int_equal(delivered[0], delivered[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_join_one),
        cmocka_unit_test(test_two_meet),
        cmocka_unit_test(test_servers_meet),
        cmocka_unit_test(test_waits_for_first_server),
        cmocka_unit_test(test_seek_replace_withdraw),
        cmocka_unit_test(test_withdraw_overtakes),
        cmocka_unit_test(test_renews_until_closed),
        cmocka_unit_test(test_introduce),
        cmocka_unit_test(test_decoy),
        cmocka_unit_test(test_introducer_lost),
        cmocka_unit_test(test_pushed_without_end),
        cmocka_unit_test(test_handle_is_not_stolen),
        cmocka_unit_test(test_fifty),
        cmocka_unit_test(test_loss),
        cmocka_unit_test(test_family_that_never_works),
        cmocka_unit_test(test_same_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
