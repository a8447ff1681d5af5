// The directory over a fake DHT in virtual time: hours that turn, wrong clocks, full slots, work, lies, failures.
#include "tests/unit/relay/fake.h"

static const struct relay_wish any = {.families = 0};

static struct directory_status status_of(unsigned i)
{
    struct directory_status s;
    directory_status(fake.node[i].dir, fake.now, &s);
    return s;
}

static unsigned looking_client(unsigned count, int64_t skew_us)
{
    unsigned c = fake_client(skew_us);
    assert_int_equal(
        directory_want(fake.node[c].dir, fake.now, &(struct directory_need){.count = count}), 0);
    return c;
}

static int pick(unsigned client, struct relay_choice *c)
{
    return directory_pick(fake.node[client].dir, fake.now, &any, c);
}

static void a_client_finds_a_relay(void **state)
{
    (void)state;
    unsigned r = fake_relay(1, 0);
    fake_run(5 * USEC_PER_S);
    assert_true(status_of(r).announced);
    assert_int_equal(fake_stands(r), 1);
    unsigned c = looking_client(1, 0);
    fake_run(20 * USEC_PER_S);
    assert_in_range(fake.node[c].ready, 1, 2); // for now, and when all slots are read
    assert_int_equal(fake.node[c].none, 0);
    struct relay_choice choice;
    assert_int_equal(pick(c, &choice), 0);
    struct relay_offer o = relay_numbered(1, 1);
    assert_memory_equal(&choice.offer.contact[choice.contact], &o.contact[0], sizeof o.contact[0]);
    assert_int_equal(choice.offer.capacity_kBps, 1000);
    // It stays the only place that is open, and the client is quiet.
    assert_int_equal(fake_places_open(), 1);
    unsigned opened = fake.opened;
    fake_run(600 * USEC_PER_S);
    assert_int_equal(fake.opened, opened);
    assert_int_equal(
        directory_want(fake.node[c].dir, fake.now, &(struct directory_need){.count = 0}), 0);
    assert_int_equal(pick(c, &choice), BAUTA_EUNKNOWN);
}

static void nobody_picks_himself(void **state)
{
    (void)state;
    struct relay_choice choice;
    unsigned r = fake_relay(1, 0);
    fake_run(5 * USEC_PER_S);
    assert_int_equal(
        directory_want(fake.node[r].dir, fake.now, &(struct directory_need){.count = 1}), 0);
    fake_run(60 * USEC_PER_S);
    assert_true(fake.node[r].none > 0);
    assert_int_equal(fake.node[r].ready, 0);
    assert_int_equal(pick(r, &choice), BAUTA_EUNKNOWN);
    (void)fake_relay(2, 0);
    fake_run(600 * USEC_PER_S);
    assert_in_range(fake.node[r].ready, 1, 2);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(pick(r, &choice), 0);
        assert_int_equal(choice.offer.contact[0].path.ip[3], 2);
    }
}

static void what_a_relay_may_announce(void **state)
{
    (void)state;
    unsigned r = fake_node_in(true, 1, 0, 1u << 20), c = fake_client(0);
    struct relay_offer o = relay_numbered(1, 1), other = relay_numbered(2, 1);
    struct directory *d = fake.node[r].dir;
    assert_int_equal(directory_announce(fake.node[c].dir, fake.now, &o), BAUTA_ESTATE);
    assert_int_equal(directory_announce(d, fake.now, &other), BAUTA_EFORMAT);
    o.free = 9;
    assert_int_equal(directory_announce(d, fake.now, &o), BAUTA_EFORMAT);
    o.free = 8;
    o.contact[0].path.port = 80;
    assert_int_equal(directory_announce(d, fake.now, &o), BAUTA_EFORMAT);
    assert_int_equal(fake.opened, 0);
}

// Enough is known soon; not all slots are read for it.
static void many_relays_are_found_soon(void **state)
{
    (void)state;
    for (uint32_t i = 1; i <= 64; i++)
        (void)fake_relay(i, 0);
    fake.now += 20 * FAKE_MINUTE_US;
    fake_run(10 * USEC_PER_S);
    unsigned opened = fake.opened, c = looking_client(2, 0);
    usec_t began = fake.now;
    while (fake.node[c].ready == 0 && fake.now < began + 10 * USEC_PER_S)
        fake_run(10 * USEC_PER_MS);
    assert_int_equal(fake.node[c].ready, 1);
    assert_true(fake.now - began <= 2 * USEC_PER_S);
    assert_true(fake.opened - opened <= 8);
    assert_true(status_of(c).prefixes >= DIRECTORY_PREFIXES_ENOUGH);
}

// Where any will do a single slot is enough, and no more than one is read at a time.
static void any_will_do(void **state)
{
    (void)state;
    for (uint32_t i = 1; i <= 75; i++)
        (void)fake_relay(i, 0);
    fake.now += 20 * FAKE_MINUTE_US;
    fake_run(10 * USEC_PER_S);
    unsigned opened = fake.opened, c = fake_client(0);
    const struct directory_need need = {.count = 1, .any = true};
    usec_t began = fake.now;
    assert_int_equal(directory_want(fake.node[c].dir, fake.now, &need), 0);
    while (fake.node[c].ready == 0 && fake.now < began + 10 * USEC_PER_S)
        fake_run(10 * USEC_PER_MS);
    assert_int_equal(fake.node[c].ready, 1);
    assert_true(fake.now - began <= 2 * USEC_PER_S);
    assert_in_range(fake.opened - opened, 1, 3);
    assert_true(status_of(c).prefixes >= DIRECTORY_ANY_PREFIXES);
}

// Where there are none all slots are read, one at a time, and then seldom.
static void none_will_do(void **state)
{
    (void)state;
    unsigned c = fake_client(0);
    const struct directory_need need = {.count = 1, .any = true};
    assert_int_equal(directory_want(fake.node[c].dir, fake.now, &need), 0);
    for (unsigned i = 0; i < 600; i++) {
        fake_run(100 * USEC_PER_MS);
        assert_true(fake_places_open() <= DIRECTORY_ANY_LOOKS);
    }
    assert_true(fake.node[c].none >= 1 && fake.opened >= DIRECTORY_SLOTS);
    fake_run(60 * FAKE_MINUTE_US);
    assert_in_range(fake.node[c].none, 5, 9);
}

static unsigned moved(unsigned relays)
{
    unsigned n = 0;
    for (unsigned i = 0; i < relays; i++)
        n += fake_stands_in(i, FAKE_HOUR + 1);
    return n;
}

// Where there is only one holder nobody waits for others.
static void one_holder(void **state)
{
    (void)state;
    fake.holders = 1;
    fake.now = 20 * FAKE_MINUTE_US;
    (void)fake_relay(1, 0);
    fake_run(5 * USEC_PER_S);
    unsigned c = looking_client(1, 0);
    fake_run(2 * USEC_PER_S);
    assert_int_equal(fake.node[c].ready, 1);
}

// Nothing is picked while the first answers come in: those would choose who answer first.
static void the_first_answer_does_not_choose(void **state)
{
    (void)state;
    struct relay_choice choice;
    fake.now = 20 * FAKE_MINUTE_US;
    (void)fake_relay(1, 0);
    fake_run(5 * USEC_PER_S);
    unsigned c = looking_client(1, 0), known = 0;
    while (fake.node[c].ready == 0) {
        assert_int_equal(pick(c, &choice), BAUTA_EUNKNOWN);
        known += status_of(c).offers > 0;
        fake_run(10 * USEC_PER_MS);
    }
    assert_true(known > 0);
    assert_int_equal(pick(c, &choice), 0);
}

// Holders that answer never, or two of three: a person does not wait for all slots.
static void slow_holders(void **state)
{
    (void)state;
    struct relay_choice choice;
    fake.now = 20 * FAKE_MINUTE_US;
    for (uint32_t i = 0; i < 6; i++)
        (void)fake_relay(1 + i, 0);
    fake_run(5 * USEC_PER_S);
    fake.mute = 2;
    unsigned c = looking_client(1, 0);
    usec_t began = fake.now;
    while (fake.node[c].ready == 0 && fake.now < began + 60 * USEC_PER_S)
        fake_run(10 * USEC_PER_MS);
    assert_true(fake.now - began <= 4 * USEC_PER_S);
    assert_int_equal(pick(c, &choice), 0);
    assert_true(status_of(c).looking);
    fake_run(20 * USEC_PER_S);
    assert_false(status_of(c).looking);
    assert_int_equal(status_of(c).offers, 6);
}

// Over the turn of an hour each relay stands somewhere at each moment, moves within five minutes, and ends at one
// place; and who looks finds all of them at each moment.
static void an_hour_turns(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 20; i++)
        assert_int_equal(fake_relay(1 + i, 0), i);
    fake_run(58 * FAKE_MINUTE_US);
    for (unsigned second = 58 * 60; second < 85 * 60; second += 5) {
        fake.watched = 20;
        fake_run(5 * USEC_PER_S - fake.now % (5 * USEC_PER_S));
        unsigned n = moved(20);
        assert_true(second >= 60 * 60 || n == 0);
        assert_true(second < 61 * 60 || n > 0);
        assert_true(second > 62 * 60 || n < 16); // they are spread
        assert_true(second <= 65 * 60 || (n == 20 && fake_places_open() == 20));
        if (second % 150 != 145)
            continue;
        unsigned c = looking_client(5, 0);
        fake_run(15 * USEC_PER_S);
        second += 15;
        if (status_of(c).prefixes != 20)
            fail_msg("%u of 20 at second %u", status_of(c).prefixes, second);
        fake_leave(c);
    }
}

static void clocks_may_be_wrong(void **state)
{
    (void)state;
    static const int64_t minutes[] = {-9, -5, 0, 5, 9};
    for (uint32_t i = 0; i < 15; i++)
        (void)fake_relay(1 + i, minutes[i % 5] * (int64_t)FAKE_MINUTE_US);
    fake_run(40 * FAKE_MINUTE_US);
    for (unsigned minute = 40; minute < 85; minute += 3) {
        for (unsigned k = 0; k < 5; k++) {
            unsigned c = looking_client(4, minutes[k] * (int64_t)FAKE_MINUTE_US);
            fake_run(15 * USEC_PER_S);
            // Those on whom clocks agree to within ten minutes.
            if (minutes[k] == 0 && status_of(c).prefixes != 15)
                fail_msg("%u of 15 at minute %u", status_of(c).prefixes, minute);
            assert_true(status_of(c).prefixes >= 9);
            fake_leave(c);
            fake.nodes--;
        }
        fake_run(FAKE_MINUTE_US);
    }
}

// A client that has what it wants keeps having it, hour after hour, and asks little for it.
static void what_is_known_stays_fresh(void **state)
{
    (void)state;
    struct relay_choice choice;
    for (uint32_t i = 0; i < 30; i++)
        (void)fake_relay(1 + i, 0);
    fake_run(5 * USEC_PER_S);
    unsigned c = looking_client(2, 0);
    fake_run(20 * USEC_PER_S);
    const unsigned moves = 4 * 30; // of the relays, each hour
    unsigned before = fake.opened;
    for (unsigned minute = 0; minute < 240; minute++) {
        fake_run(FAKE_MINUTE_US);
        assert_int_equal(pick(c, &choice), 0);
    }
    assert_int_equal(fake.node[c].none, 0);
    assert_true(fake.opened - before - moves <= 4 * (2 * DIRECTORY_SLOTS));
}

static void dead_relays_are_forgotten(void **state)
{
    (void)state;
    struct relay_choice choice;
    unsigned r = fake_relay(1, 0);
    fake_run(30 * FAKE_MINUTE_US);
    unsigned c = looking_client(1, 0);
    fake_run(20 * USEC_PER_S);
    fake_die(r); // and its holders never forget
    assert_int_equal(pick(c, &choice), 0);
    fake_run(44 * FAKE_MINUTE_US);
    assert_int_equal(pick(c, &choice), 0); // a quarter past the hour
    fake_run(FAKE_MINUTE_US);
    assert_int_equal(pick(c, &choice), BAUTA_EUNKNOWN);
    assert_true(fake.node[c].none > 0);
}

// ---- lies -------------------------------------------------------------------------------------------

static struct relay_offer lie(uint32_t number, uint32_t prefix)
{
    struct relay_offer o = relay_numbered(number, prefix);
    o.issued_s = fake_unix_us() / USEC_PER_S;
    o.expiry_s = (FAKE_HOUR + 1) * 3600 + 900;
    return o;
}

static void forged_and_misplaced_offers(void **state)
{
    (void)state;
    struct relay_choice choice;
    fake.now = 20 * FAKE_MINUTE_US;
    for (unsigned slot = 0; slot < DIRECTORY_SLOTS; slot++) {
        struct relay_offer o = lie(1, 1);
        struct offer_slot there, elsewhere;
        uint8_t plain[RECORD_PLAIN_BYTES], seed[32];
        fake_put(&o, 2, FAKE_HOUR, slot); // another one's signature
        o.expiry_s++;
        fake_put(&o, 1, FAKE_HOUR, slot); // good for too long
        o = lie(1, 1), o.issued_s -= 3600;
        fake_put(&o, 1, FAKE_HOUR, slot); // of the hour before
        o = lie(1, 1), o.contact[0].path.ip[0] = 10;
        fake_put(&o, 1, FAKE_HOUR, slot); // a private address
        // A good one of another slot, sealed anew for this one.
        o = lie(1, 1);
        relay_seed(seed, 1);
        offer_slot(&there, &fake_net, FAKE_HOUR, slot);
        offer_slot(&elsewhere, &fake_net, FAKE_HOUR, (slot + 1) % DIRECTORY_SLOTS);
        offer_encode(plain, &o, &fake_net, elsewhere.place, seed);
        struct fake_record *r = &fake.record[fake.records++];
        memcpy(r->place, there.place, 32);
        record_seal(r->record, plain, seed, seed, there.seal, there.place);
        // The same bytes as they stood there.
        r = &fake.record[fake.records++];
        memcpy(r->place, there.place, 32);
        record_seal(r->record, plain, seed, seed, elsewhere.seal, elsewhere.place);
        random_fill(&fake.random, fake.record[fake.records].record, RECORD_BYTES);
        memcpy(fake.record[fake.records++].place, there.place, 32);
    }
    unsigned c = looking_client(1, 0);
    fake_run(30 * USEC_PER_S);
    assert_true(fake.node[c].none > 0);
    assert_true(status_of(c).refused >= 7 * DIRECTORY_SLOTS);
    assert_int_equal(status_of(c).offers, 0);
    assert_int_equal(pick(c, &choice), BAUTA_EUNKNOWN);
}

// Fifteen honest prefixes, and a thousand relays of one man on three, who claims the most that can be said: he is
// picked by his share of the prefixes.
static void a_thousand_liars(void **state)
{
    (void)state;
    unsigned liars = 0, all = 0;
    fake.now = 20 * FAKE_MINUTE_US;
    for (uint32_t i = 0; i < 1000; i++) {
        struct relay_offer o = lie(1000 + i, 200 + i % 3);
        o.capacity_kBps = OFFER_CAPACITY_KBPS_MAX;
        fake_put(&o, 1000 + i, FAKE_HOUR, i % DIRECTORY_SLOTS);
    }
    for (uint32_t i = 0; i < 15; i++) {
        struct relay_offer o = lie(1 + i, 1 + i);
        fake_put(&o, 1 + i, FAKE_HOUR, i % DIRECTORY_SLOTS);
    }
    for (unsigned clients = 0; clients < 30; clients++) {
        struct relay_choice choice;
        unsigned c = looking_client(5, 0);
        fake_run(30 * USEC_PER_S);
        for (unsigned i = 0; i < 100; i++, all++) {
            assert_int_equal(pick(c, &choice), 0);
            liars += choice.offer.contact[0].path.ip[1] > 200;
        }
        fake_leave(c);
        fake.nodes--;
    }
    print_message("of %u picks %u are liars\n", all, liars);
    assert_in_range(liars, all * 14 / 100, all * 20 / 100); // 3 of 18 prefixes
}

// ---- slots that are full, work, failures ----------------------------------------------------------------

static void full_slots_are_left(void **state)
{
    (void)state;
    fake.full_slots = 0xff; // half of them
    for (uint32_t i = 0; i < 12; i++)
        (void)fake_relay(1 + i, 0);
    fake_run(10 * FAKE_MINUTE_US);
    for (unsigned i = 0; i < 12; i++) {
        assert_true(status_of(i).announced);
        assert_int_equal(fake_stands_in(i, FAKE_HOUR), 1);
    }
    assert_int_equal(fake_places_open(), 12);
    assert_in_range(fake.opened, 12 + 4, 12 * 4); // two each, on average
}

// One of sixteen has room: it is found, in some time, and none is tried twice.
static void one_has_room(void **state)
{
    (void)state;
    fake.full_slots = 0x7fff;
    for (uint32_t i = 0; i < 8; i++)
        (void)fake_relay(1 + i, 0);
    fake_run(25 * FAKE_MINUTE_US);
    for (unsigned i = 0; i < 8; i++)
        assert_true(status_of(i).announced);
    assert_int_equal(fake.again, 0);
}

static void all_are_full(void **state)
{
    (void)state;
    fake.full_slots = 0xffff;
    unsigned r = fake_relay(1, 0);
    fake_run(FAKE_MINUTE_US);
    assert_false(status_of(r).announced);
    assert_int_equal(fake.opened, DIRECTORY_FULL_TRIES);
    assert_int_equal(fake_places_open(), 0);
    fake_run(50 * FAKE_MINUTE_US);
    assert_in_range(fake.opened, 4 * DIRECTORY_FULL_TRIES, 7 * DIRECTORY_FULL_TRIES);
    fake.full_slots = 0;
    fake_run(31 * FAKE_MINUTE_US);
    assert_true(status_of(r).announced);
    assert_int_equal(fake_places_open(), 1);
}

// A new hour is a new beginning, however long one would have waited.
static void full_until_the_hour_turns(void **state)
{
    (void)state;
    fake.full_slots = 0xffff;
    unsigned r = fake_relay(1, 0);
    fake_run(60 * FAKE_MINUTE_US);
    assert_false(status_of(r).announced);
    fake.full_slots = 0;
    fake_run(5 * FAKE_MINUTE_US + USEC_PER_S);
    assert_true(status_of(r).announced);
    assert_int_equal(fake_stands_in(r, FAKE_HOUR + 1), 1);
    assert_int_equal(fake_places_open(), 1);
}

// What stands at full slots is read all the same.
static void full_slots_are_read(void **state)
{
    (void)state;
    struct relay_choice choice;
    unsigned r = fake_relay(1, 0);
    fake_run(10 * USEC_PER_S);
    assert_true(status_of(r).announced);
    fake.full_slots = 0xffff;
    unsigned c = looking_client(1, 0);
    fake_run(40 * USEC_PER_S);
    assert_int_equal(pick(c, &choice), 0);
}

static void holders_want_work(void **state)
{
    (void)state;
    fake.effort = 32;
    unsigned r = fake_relay(1, 0);
    fake_run(10 * USEC_PER_S);
    assert_true(status_of(r).announced);
    assert_int_equal(fake.proofs, 1);
    // Another version needs another proof.
    struct relay_offer o = relay_numbered(1, 1);
    o.free = 3;
    assert_int_equal(directory_announce(fake.node[r].dir, fake.now, &o), 0);
    fake_run(2 * FAKE_MINUTE_US);
    assert_int_equal(fake.proofs, 2);
    fake_leave(r);
    // More than anybody should do, or what can't be found: other slots, and not for ever at once.
    fake.effort = DIRECTORY_PROOF_MAX + 1;
    fake.opened = 0;
    r = fake_relay(2, 0);
    fake_run(30 * USEC_PER_S);
    assert_int_equal(fake.opened, DIRECTORY_FULL_TRIES);
    fake_leave(r);
    fake.effort = 32;
    fake.opened = 0;
    r = fake_node_in(true, 3, 0, 1u << 20);
    fake.node[r].no_jobs = true;
    o = relay_numbered(3, 3);
    assert_int_equal(directory_announce(fake.node[r].dir, fake.now, &o), 0);
    fake_run(30 * USEC_PER_S);
    assert_int_equal(fake.opened, DIRECTORY_FULL_TRIES);
}

static void nobody_stores_it(void **state)
{
    (void)state;
    fake.silent = true;
    unsigned r = fake_relay(1, 0);
    fake_run(5 * FAKE_MINUTE_US);
    assert_false(status_of(r).announced);
    assert_true(fake.opened >= 3 && fake.opened <= 8);
    fake.silent = false;
    fake_run(8 * FAKE_MINUTE_US);
    assert_true(status_of(r).announced);
}

static void changes_are_announced(void **state)
{
    (void)state;
    struct relay_choice choice;
    unsigned r = fake_relay(1, 0);
    struct relay_offer o = relay_numbered(1, 1);
    struct directory *d = fake.node[r].dir;
    fake_run(2 * FAKE_MINUTE_US);
    assert_int_equal(fake.announces, 1);
    assert_int_equal(directory_announce(d, fake.now, &o), 0); // nothing new
    fake_run(2 * FAKE_MINUTE_US);
    assert_int_equal(fake.announces, 1);
    for (unsigned i = 0; i < 600; i++) { // its load goes up and down, each 100 ms
        o.free = (uint8_t)(1 + i % 8);
        assert_int_equal(directory_announce(d, fake.now, &o), 0);
        fake_run(100 * USEC_PER_MS);
    }
    assert_true(fake.announces <= 3);
    relay_add_v6(&o, 9);
    o.tcp = true;
    o.free = 5;
    assert_int_equal(directory_announce(d, fake.now, &o), 0);
    fake_run(61 * USEC_PER_S);
    unsigned c = looking_client(1, 0);
    fake_run(20 * USEC_PER_S);
    assert_int_equal(pick(c, &choice), 0);
    assert_int_equal(choice.offer.free, 5);
    assert_int_equal(choice.offer.contacts, 2);
    assert_true(choice.offer.tcp);
    assert_int_equal(fake_stands(r), 1);
}

// A change that falls into the minutes before the move goes with it.
static void a_change_while_the_hour_turns(void **state)
{
    (void)state;
    unsigned r = fake_relay(1, 0);
    struct relay_offer o = relay_numbered(1, 1);
    fake_run(60 * FAKE_MINUTE_US + USEC_PER_MS);
    for (unsigned i = 0; i < 60; i++) {
        o.free = (uint8_t)(1 + i % 8);
        assert_int_equal(directory_announce(fake.node[r].dir, fake.now, &o), 0);
        fake_run(6 * USEC_PER_S);
        assert_true(fake_stands(r) >= 1);
    }
    assert_true(status_of(r).announced);
    assert_true(fake.announces <= 10);
}

static void a_relay_drains(void **state)
{
    (void)state;
    struct relay_choice choice;
    unsigned r = fake_relay(1, 0);
    fake_run(5 * USEC_PER_S);
    directory_withdraw(fake.node[r].dir, fake.now);
    assert_int_equal(fake_places_open(), 0);
    unsigned c = looking_client(1, 0);
    fake_run(3 * 60 * FAKE_MINUTE_US);
    assert_int_equal(pick(c, &choice), BAUTA_EUNKNOWN);
    assert_int_equal(fake_places_open(), 0);
    struct relay_offer o = relay_numbered(1, 1); // and comes back
    assert_int_equal(directory_announce(fake.node[r].dir, fake.now, &o), 0);
    fake_run(10 * FAKE_MINUTE_US);
    assert_int_equal(pick(c, &choice), 0);
}

// All that is known fails: it is said, more is looked for, and after a while those are tried again.
static void relays_that_fail(void **state)
{
    (void)state;
    struct relay_choice choice;
    for (uint32_t i = 0; i < 3; i++)
        (void)fake_relay(1 + i, 0);
    fake_run(5 * USEC_PER_S);
    unsigned c = looking_client(2, 0);
    fake_run(20 * USEC_PER_S);
    struct directory *d = fake.node[c].dir;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(pick(c, &choice), 0);
        directory_failed(d, fake.now, choice.offer.contact[0].pk);
    }
    assert_int_equal(pick(c, &choice), BAUTA_EUNKNOWN);
    fake_run(60 * USEC_PER_S);
    assert_true(fake.node[c].none > 0);
    (void)fake_relay(9, 0);
    (void)fake_relay(10, 0);
    unsigned ready = fake.node[c].ready;
    fake_run(120 * USEC_PER_S);
    assert_in_range(fake.node[c].ready, ready + 1, ready + 2);
    assert_int_equal(pick(c, &choice), 0);
    assert_true(choice.offer.contact[0].path.ip[3] >= 9);
    fake_run(RELAY_BAD_MIN_US);
    assert_int_equal(status_of(c).prefixes, 5);
}

// The prefixes that are left are all in use: all slots are read for others.
static void nothing_that_fits(void **state)
{
    (void)state;
    struct relay_choice choice;
    struct path used[20];
    for (uint32_t i = 0; i < 20; i++) {
        (void)fake_relay(1 + i, 0);
        used[i] = relay_numbered(1 + i, 1 + i).contact[0].path;
    }
    fake.now = 20 * FAKE_MINUTE_US;
    fake_run(5 * USEC_PER_S);
    unsigned c = looking_client(1, 0);
    fake_run(20 * USEC_PER_S);
    const struct relay_wish wish = {.used = used, .used_count = 20};
    unsigned ready = fake.node[c].ready, opened = fake.opened;
    assert_int_equal(directory_pick(fake.node[c].dir, fake.now, &wish, &choice), BAUTA_EUNKNOWN);
    fake_run(40 * USEC_PER_S);
    assert_int_equal(fake.node[c].ready, ready + 1);
    assert_int_equal(fake.opened - opened, DIRECTORY_SLOTS);
}

static void only_those_on_tcp(void **state)
{
    (void)state;
    struct relay_choice choice;
    struct relay_offer o = relay_numbered(2, 2);
    (void)fake_relay(1, 0);
    unsigned r = fake_node_in(true, 2, 0, 1u << 20);
    o.tcp_port = 443;
    assert_int_equal(directory_announce(fake.node[r].dir, fake.now, &o), 0);
    fake_run(5 * USEC_PER_S);
    unsigned c = fake_client(0);
    assert_int_equal(directory_want(fake.node[c].dir, fake.now,
                                    &(struct directory_need){.count = 1, .tcp = true}),
                     0);
    fake_run(20 * USEC_PER_S);
    assert_int_equal(status_of(c).offers, 1);
    assert_int_equal(pick(c, &choice), 0);
    assert_int_equal(choice.offer.tcp_port, 443);
    assert_int_equal(
        directory_want(fake.node[c].dir, fake.now, &(struct directory_need){.count = 1}),
        0); // any will do
    fake_run(20 * USEC_PER_S);
    assert_int_equal(status_of(c).offers, 2);
}

// ---- nobody there, no memory ----------------------------------------------------------------------------

static void nobody_is_known_yet(void **state)
{
    (void)state;
    fake.no_servers = true;
    unsigned r = fake_relay(1, 0), c = looking_client(1, 0);
    fake_run(31 * USEC_PER_S);
    assert_true(fake.node[c].none == 1);
    assert_true(fake.opened <= 1 + DIRECTORY_LOOKS_MAX);
    fake_run(30 * FAKE_MINUTE_US);
    assert_true(fake.opened <= 1 + 20 * DIRECTORY_LOOKS_MAX);
    fake.no_servers = false;
    for (unsigned i = 0; i < FAKE_PLACES_MAX; i++) // the DHT goes on by itself
        if (fake.place[i].open) {
            fake_found(&fake.place[i]);
            if (fake.place[i].node == r)
                fake_post(&fake.place[i], USEC_PER_S, DHT_STORED)->count = 8;
        }
    fake_run(10 * FAKE_MINUTE_US);
    assert_true(status_of(r).announced);
    struct relay_choice choice;
    (void)fake_relay(2, 0);
    fake_run(10 * FAKE_MINUTE_US);
    assert_int_equal(pick(c, &choice), 0);
}

// Its look-ups stop where nobody is found, doubling up to five minutes.
static void a_search_in_vain_is_cheap(void **state)
{
    (void)state;
    unsigned c = looking_client(1, 0);
    fake_run(60 * FAKE_MINUTE_US);
    assert_true(fake.node[c].none >= 10 && fake.node[c].none <= 20);
    assert_true(fake.opened <= fake.node[c].none * 2 * DIRECTORY_SLOTS);
    assert_true(fake_places_open() <= DIRECTORY_LOOKS_MAX);
}

static void no_room_at_the_dht(void **state)
{
    (void)state;
    struct relay_choice choice;
    fake.no_places = true;
    unsigned r = fake_relay(1, 0), c = looking_client(1, 0);
    fake_run(FAKE_MINUTE_US);
    assert_false(status_of(r).announced);
    assert_true(fake.node[c].none > 0);
    fake.no_places = false;
    fake_run(10 * FAKE_MINUTE_US);
    assert_true(status_of(r).announced);
    assert_int_equal(pick(c, &choice), 0);
}

static void no_memory(void **state)
{
    (void)state;
    unsigned c = fake_node_in(false, 0, 0, 100);
    assert_null(fake.node[c].dir);
    arena_end(&fake.node[c].arena);
    c = fake_node_in(false, 0, 0, 4096);
    assert_non_null(fake.node[c].dir);
    assert_int_equal(
        directory_want(fake.node[c].dir, fake.now, &(struct directory_need){.count = 1}),
        BAUTA_ESPACE);
    assert_int_equal(
        directory_want(fake.node[c].dir, fake.now, &(struct directory_need){.count = 0}), 0);
    c = looking_client(1, 0);
    print_message("a directory takes %zu bytes, and while it looks for relays",
                  fake.node[c - 1].arena.used_bytes);
    print_message(" %zu\n", fake.node[c].arena.used_bytes);
    assert_true(fake.node[c].arena.used_bytes <= 32768);
}

// Without a clock nothing begins; the clock may jump, forward and back.
static void the_clock_jumps(void **state)
{
    (void)state;
    unsigned r = fake_relay(1, 0);
    fake_run(5 * USEC_PER_S);
    assert_int_equal(fake_stands(r), 1);
    for (int hours = 5; hours >= -5; hours -= 10) {
        directory_clock(fake.node[r].dir, fake.now,
                        (int64_t)fake_unix_us() + hours * 60 * (int64_t)FAKE_MINUTE_US);
        fake_run(6 * FAKE_MINUTE_US);
        assert_int_equal(fake_stands(r), 1);
        assert_true(status_of(r).announced);
    }
    struct directory_config cfg = {.net = fake_net,
                                   .rng = {random_fill, &fake.random},
                                   .arena = &fake.node[r].arena,
                                   .dht = &fake.node[r].dht};
    struct directory *d;
    unsigned opened = fake.opened;
    assert_int_equal(directory_init(&d, &cfg), 0);
    assert_int_equal(directory_want(d, fake.now, &(struct directory_need){.count = 1}), 0);
    assert_true(directory_deadline(d) == USEC_NEVER);
    directory_expire(d, fake.now);
    assert_int_equal(fake.opened, opened);
    directory_clock(d, fake.now, (int64_t)fake_unix_us());
    assert_int_equal(fake.opened, opened + DIRECTORY_LOOKS_MAX);
    directory_free(d, fake.now);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_start, fake_end)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_client_finds_a_relay),
        TEST(nobody_picks_himself),
        TEST(what_a_relay_may_announce),
        TEST(many_relays_are_found_soon),
        TEST(any_will_do),
        TEST(none_will_do),
        TEST(one_holder),
        TEST(the_first_answer_does_not_choose),
        TEST(slow_holders),
        TEST(an_hour_turns),
        TEST(clocks_may_be_wrong),
        TEST(what_is_known_stays_fresh),
        TEST(dead_relays_are_forgotten),
        TEST(forged_and_misplaced_offers),
        TEST(a_thousand_liars),
        TEST(full_slots_are_left),
        TEST(one_has_room),
        TEST(all_are_full),
        TEST(full_until_the_hour_turns),
        TEST(full_slots_are_read),
        TEST(holders_want_work),
        TEST(nobody_stores_it),
        TEST(changes_are_announced),
        TEST(a_change_while_the_hour_turns),
        TEST(a_relay_drains),
        TEST(relays_that_fail),
        TEST(nothing_that_fits),
        TEST(only_those_on_tcp),
        TEST(nobody_is_known_yet),
        TEST(a_search_in_vain_is_cheap),
        TEST(no_room_at_the_dht),
        TEST(no_memory),
        TEST(the_clock_jumps),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
