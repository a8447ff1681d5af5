// The directory on a network of real DHT machines: what relays announce clients find, choose and can reach.
#include "node/relay/directory.h"
#include "tests/unit/dht/net.h"
#include "tests/unit/relay/relays.h"

#include <sodium.h>

#define NODES_MAX 48u
#define UNIX_US INT64_C(1700000000000000) // as net_add says: 800 s into an hour

static struct network net;
static struct directory *dir[NODES_MAX];
static unsigned ready[NODES_MAX], none[NODES_MAX];
static const struct relay_wish any = {.families = 0};

static void drain(unsigned i)
{
    enum directory_event e;
    while ((e = directory_event(dir[i])) != DIRECTORY_NOTHING) {
        ready[i] += e == DIRECTORY_READY;
        none[i] += e == DIRECTORY_NONE;
    }
    net_drain(&net, i);
}

// Hands the DHT's events on, which may bring others.
static void pump(void)
{
    for (unsigned i = 0; i < net.n; i++)
        while (dir[i] != NULL && net.node[i].events > 0) {
            struct net_node *x = &net.node[i];
            unsigned n = x->events;
            for (unsigned k = 0; k < n; k++)
                if (x->event[k].user == DIRECTORY_USER)
                    directory_dht_event(dir[i], net.now, &x->event[k]);
            net_forget_events(&net, i);
            drain(i);
        }
}

static void run(usec_t for_us)
{
    usec_t until = net.now + for_us;
    for (;;) {
        usec_t at = until;
        for (unsigned i = 0; i < net.n; i++)
            if (dir[i] != NULL && directory_deadline(dir[i]) < at)
                at = directory_deadline(dir[i]);
        bool stepped = net_step(&net, at > net.now ? at : net.now);
        pump();
        if (stepped)
            continue;
        if (net.now >= until)
            return;
        for (unsigned i = 0; i < net.n; i++)
            if (dir[i] != NULL && directory_deadline(dir[i]) <= net.now) {
                directory_expire(dir[i], net.now);
                drain(i);
            }
    }
}

static unsigned add(bool server, bool relay, uint32_t number)
{
    unsigned i = net.n;
    if (!relay) {
        assert_int_equal(net_add(&net, server), i);
    } else {
        struct net_node *x = &net.node[i];
        struct dht_config c;
        uint8_t seed[32];
        x->rng.state = net_next(&net.rng);
        x->path = path_v4((const uint8_t[4]){127, 0, 0, 1}, (uint16_t)(NET_PORT + i));
        memory_arena(&x->arena, 16u << 20);
        net_config(&net, x, &c, true);
        relay_seed(seed, number);
        relay_secret(c.secret, seed);
        assert_int_equal(dht_init(&x->dht, &c), 0);
        dht_clock(x->dht, net.now, UNIX_US);
        net.n++;
    }
    if (i > 0) {
        struct contact c = net_contact(&net, 0);
        assert_int_equal(dht_bootstrap(net.node[i].dht, net.now, &c), 0);
        net_drain(&net, i);
    }
    struct directory_config d = {.rng = {net_fill, &net.node[i].rng},
                                 .arena = &net.node[i].arena,
                                 .dht = net.node[i].dht,
                                 .lab = true,
                                 .relay = relay};
    assert_int_equal(net_init(&d.net, "test"), 0);
    relay_seed(d.seed, number);
    assert_int_equal(directory_init(&dir[i], &d), 0);
    directory_clock(dir[i], net.now, UNIX_US + (int64_t)(net.now - 1000 * USEC_PER_S));
    return i;
}

static struct relay_offer offer_of(unsigned i, uint32_t capacity)
{
    struct relay_offer o = {.contacts = 1, .tcp = true, .free = 8, .capacity_kBps = capacity};
    o.contact[0] = net_contact(&net, i);
    return o;
}

static unsigned add_relay(uint32_t number)
{
    unsigned i = add(true, true, number);
    struct relay_offer o = offer_of(i, 1000 + number);
    assert_int_equal(directory_announce(dir[i], net.now, &o), 0);
    drain(i);
    return i;
}

static void want(unsigned i, unsigned count)
{
    assert_int_equal(directory_want(dir[i], net.now, &(struct directory_need){.count = count}), 0);
    drain(i);
}

static void wait_for(const unsigned *count, unsigned n, usec_t for_us)
{
    for (usec_t until = net.now + for_us; *count < n && net.now < until;)
        run(5 * USEC_PER_MS);
    assert_true(*count >= n);
}

static int start(void **state)
{
    (void)state;
    net_start(&net, NODES_MAX, 5);
    memset(dir, 0, sizeof dir);
    memset(ready, 0, sizeof ready);
    memset(none, 0, sizeof none);
    return 0;
}

static int end(void **state)
{
    (void)state;
    for (unsigned i = 0; i < net.n; i++)
        if (dir[i] != NULL)
            directory_free(dir[i], net.now);
    net.out->count = 0;
    net_end(&net);
    return 0;
}

// Each relay is found under the key by which its server answers, by who is a server and who is none.
static void relays_are_found(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 16; i++)
        (void)add(true, false, 0);
    unsigned relay[5], client[2];
    for (uint32_t i = 0; i < 5; i++)
        relay[i] = add_relay(1 + i);
    client[0] = add(false, false, 0);
    client[1] = 3;
    run(20 * USEC_PER_S);
    struct directory_status s;
    for (unsigned i = 0; i < 5; i++) {
        directory_status(dir[relay[i]], net.now, &s);
        assert_true(s.announced);
    }
    for (unsigned k = 0; k < 2; k++) {
        unsigned c = client[k], found = 0;
        usec_t began = net.now;
        want(c, 3);
        wait_for(&ready[c], 1, 60 * USEC_PER_S);
        print_message("found after %u ms, %u round trips of 2 ms\n",
                      (unsigned)((net.now - began) / 1000), (unsigned)((net.now - began) / 2000));
        directory_status(dir[c], net.now, &s);
        assert_int_equal(s.offers, 5);
        assert_int_equal(s.refused, 0);
        for (unsigned n = 0; n < 200; n++) {
            struct relay_choice choice;
            assert_int_equal(directory_pick(dir[c], net.now, &any, &choice), 0);
            for (unsigned i = 0; i < 5; i++) {
                struct contact want_contact = net_contact(&net, relay[i]);
                const struct contact *got = &choice.offer.contact[choice.contact];
                if (!path_equal(&want_contact.path, &got->path))
                    continue;
                found |= 1u << i;
                assert_memory_equal(want_contact.pk, got->pk, 32);
                assert_int_equal(choice.offer.capacity_kBps, 1001 + i);
            }
        }
        assert_int_equal(found, 31);
    }
}

// Into the next hour, and out of it.
static void hours_turn(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 6; i++)
        (void)add(true, false, 0);
    unsigned relay[3], c = add(false, false, 0);
    for (uint32_t i = 0; i < 3; i++)
        relay[i] = add_relay(1 + i);
    run(10 * USEC_PER_S);
    want(c, 3);
    wait_for(&ready[c], 1, 60 * USEC_PER_S);
    for (unsigned minute = 0; minute < 80; minute += 2) {
        struct relay_choice choice;
        run(120 * USEC_PER_S);
        assert_int_equal(directory_pick(dir[c], net.now, &any, &choice), 0);
    }
    assert_int_equal(none[c], 0);
    // One is withdrawn: who looks anew does not find it.
    directory_withdraw(dir[relay[0]], net.now);
    drain(relay[0]);
    run(2 * USEC_PER_S);
    want(c, 0);
    want(c, 3);
    wait_for(&none[c], 1, 60 * USEC_PER_S);
    struct directory_status s;
    directory_status(dir[c], net.now, &s);
    assert_int_equal(s.offers, 2);
}

static void small_networks(void **state)
{
    (void)state;
    (void)add(true, false, 0); // one other server is enough
    (void)add_relay(1);
    unsigned c = add(false, false, 0);
    run(5 * USEC_PER_S);
    usec_t began = net.now;
    want(c, 1);
    wait_for(&ready[c], 1, 60 * USEC_PER_S);
    print_message("of two servers: after %u ms\n", (unsigned)((net.now - began) / 1000));
    struct relay_choice choice;
    assert_int_equal(directory_pick(dir[c], net.now, &any, &choice), 0);
}

// A relay that is the only server: nobody holds its offer, and it is said that none is found.
static void the_only_server(void **state)
{
    (void)state;
    (void)add_relay(1);
    unsigned c = add(false, false, 0);
    run(5 * USEC_PER_S);
    want(c, 1);
    wait_for(&none[c], 1, 60 * USEC_PER_S);
    // Another server comes: now it holds it.
    (void)add(true, false, 0);
    wait_for(&ready[c], 1, 1200 * USEC_PER_S);
}

// Somebody fills all slots with what he may seal and not sign, and with the offer of a relay carried elsewhere.
static void lies_at_every_slot(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 8; i++)
        (void)add(true, false, 0);
    (void)add_relay(1);
    unsigned liar = add(false, false, 0), c = add(false, false, 0);
    run(10 * USEC_PER_S);
    uint64_t epoch = (uint64_t)UNIX_US / USEC_PER_S / EPOCH_SECONDS;
    for (unsigned i = 0; i < DIRECTORY_SLOTS; i++) {
        struct offer_slot s;
        struct net named;
        uint32_t id;
        uint8_t rec_id[RECORD_ID_BYTES], record[RECORD_BYTES], seed[32];
        uint8_t nonce[24] = {(uint8_t)i};
        struct relay_offer o = relay_numbered(2, 2);
        assert_int_equal(net_init(&named, "test"), 0);
        o.issued_s = epoch * EPOCH_SECONDS + 810;
        o.expiry_s = (epoch + 1) * EPOCH_SECONDS;
        relay_seed(seed, 99); // not his key
        offer_slot(&s, &named, epoch, i);
        assert_int_equal(dht_place_open(net.node[liar].dht, net.now, s.place, 1, &id), 0);
        assert_int_equal(dht_place_record_id(net.node[liar].dht, id, rec_id), 0);
        offer_seal(record, &o, &named, &s, rec_id, nonce, seed);
        assert_int_equal(
            dht_place_announce(net.node[liar].dht, net.now, id, record, DIRECTORY_TTL_S, NULL), 0);
        net_drain(&net, liar);
    }
    run(10 * USEC_PER_S);
    want(c, 1);
    wait_for(&ready[c], 1, 60 * USEC_PER_S);
    struct directory_status s;
    directory_status(dir[c], net.now, &s);
    assert_int_equal(s.offers, 1);
    assert_true(s.refused >= DIRECTORY_SLOTS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(relays_are_found), TEST(hours_turn),         TEST(small_networks),
        TEST(the_only_server),  TEST(lies_at_every_slot),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
