// Meetings over the real DHT: small networks in virtual time, one millisecond each way.
#include "tests/unit/dht/net.h"

#include "node/meet/meet.h"

#define CROWD 40u // people on one topic

struct person {
    unsigned node;
    struct meet *meet;
    unsigned channels;
    struct channel_config channel;
    usec_t at;
    const char *warning;
};
struct town {
    struct network net;
    struct person person[CROWD];
    unsigned people;
};

static void jobs(struct town *t, struct person *p)
{
    struct job job;
    while (meet_job(p->meet, &job)) {
        uint8_t secret[32]; // instead of Argon2id: the same for the same input
        assert_int_equal(job.kind, JOB_TOPIC);
        hash_pieces(secret, 32, NULL, 0, &(struct piece){job.input, job.len}, 1);
        meet_job_done(p->meet, t->net.now, job.id, secret, 32);
    }
}

static void pump(struct town *t, struct person *p)
{
    struct net_node *x = &t->net.node[p->node];
    struct meet_event ev;
    jobs(t, p);
    net_drain(&t->net, p->node);
    for (unsigned k = 0; k < x->events; k++) {
        meet_dht_event(p->meet, t->net.now, &x->event[k]);
        jobs(t, p);
        net_drain(&t->net, p->node);
    }
    net_forget_events(&t->net, p->node);
    while (meet_event(p->meet, &ev)) {
        if (ev.kind == MEET_WARNING)
            p->warning = ev.code;
        if (ev.kind == MEET_CHANNEL) {
            p->channels++;
            p->channel = *ev.channel;
            p->at = t->net.now;
        }
    }
}

static bool matched(const struct town *t, unsigned channels)
{
    for (unsigned i = 0; i < t->people; i++)
        if (t->person[i].channels < channels)
            return false;
    return true;
}

// Runs for a time, or until everybody has so many channels (0: never).
static bool run(struct town *t, usec_t for_us, unsigned channels)
{
    usec_t until = t->net.now + for_us;
    for (;;) {
        for (unsigned i = 0; i < t->people; i++)
            pump(t, &t->person[i]);
        if (channels > 0 && matched(t, channels))
            return true;
        usec_t at = until;
        struct person *who = NULL;
        for (unsigned i = 0; i < t->people; i++)
            if (meet_deadline(t->person[i].meet) < at) {
                at = meet_deadline(t->person[i].meet);
                who = &t->person[i];
            }
        if (net_step(&t->net, at))
            continue;
        if (who == NULL)
            return channels > 0 && matched(t, channels);
        meet_expire(who->meet, t->net.now, 100);
    }
}

static void add_person(struct town *t, bool server)
{
    struct person *p = &t->person[t->people++];
    p->node = net_add(&t->net, server);
    struct net_node *x = &t->net.node[p->node];
    struct meet_config c = {.rng = {net_fill, &x->rng},
                            .arena = &x->arena,
                            .dht = x->dht,
                            .lab = true,
                            .aes_hardware = true};
    assert_int_equal(net_init(&c.net, "test"), 0);
    net_fill(&x->rng, c.local_mask, sizeof c.local_mask);
    assert_int_equal(meet_new(&p->meet, &c), 0);
    meet_local_paths(p->meet, &x->path, 1);
    meet_clock(p->meet, t->net.now, INT64_C(1700001000000000));
}

static void bootstrap(struct town *t, unsigned to)
{
    struct contact c = net_contact(&t->net, to);
    for (unsigned i = 0; i < t->net.n; i++)
        if (i != to) {
            assert_int_equal(dht_bootstrap(t->net.node[i].dht, t->net.now, &c), 0);
            net_drain(&t->net, i);
        }
}

static void seek(struct town *t, unsigned person)
{
    struct meet_wish wish = {.topics = 1};
    wish.topic[0].topic_len = 3;
    memcpy(wish.topic[0].topic, "tea", 3);
    assert_int_equal(meet_seek(t->person[person].meet, t->net.now, 1, &wish), 0);
}

static void end(struct town *t)
{
    for (unsigned i = 0; i < t->people; i++) {
        meet_end(t->person[i].meet, t->net.now, 1);
        net_drain(&t->net, t->person[i].node);
        net_forget_events(&t->net, t->person[i].node);
    }
    run(t, 5 * USEC_PER_S, 0);
    for (unsigned i = 0; i < t->people; i++)
        meet_free(t->person[i].meet);
    net_end(&t->net);
}

static void assert_met(const struct town *t, unsigned a, unsigned b)
{
    const struct channel_config *x = &t->person[a].channel, *y = &t->person[b].channel;
    assert_memory_equal(x->h, y->h, 64);
    assert_memory_equal(x->k_ir, y->k_ir, 32);
    assert_true(x->initiator != y->initiator);
    assert_memory_equal(x->local_cid, y->remote_cid, CID_BYTES);
    assert_true(path_equal(&x->candidate[0], &t->net.node[t->person[b].node].path));
    assert_true(path_equal(&y->candidate[0], &t->net.node[t->person[a].node].path));
    assert_int_equal(x->observed, 0);
}

static void in_a_network_of_sixteen(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct town t = {.people = 0};
        net_start(&t.net, 24, seed);
        for (unsigned i = 0; i < 16; i++)
            net_add(&t.net, true);
        add_person(&t, false);
        add_person(&t, false);
        bootstrap(&t, 0);
        run(&t, 10 * USEC_PER_S, 0);
        seek(&t, 0);
        run(&t, 3 * USEC_PER_S, 0);
        usec_t at = t.net.now;
        seek(&t, 1);
        assert_true(run(&t, 5 * USEC_PER_S, 1));
        // Look-up, attend, announce, introduce there and back: some twenty one-way trips of 1 ms.
        assert_true(t.net.now - at < 60 * USEC_PER_MS);
        assert_met(&t, 0, 1);
        if (getenv("VERBOSE") != NULL)
            print_message("met after %u us\n", (unsigned)(t.net.now - at));
        // A holder is no introducer, so somebody new finds no trace of the two.
        for (unsigned i = 0; i < 2; i++) {
            meet_channel_heard(t.person[i].meet, t.net.now, 1);
            meet_channel_matched(t.person[i].meet, t.net.now, 1);
        }
        run(&t, 5 * USEC_PER_S, 0);
        for (unsigned i = 0; i < 2; i++)
            assert_int_equal(t.person[i].channels, 1);
        end(&t);
    }
}

static void at_the_very_same_moment(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct town t = {.people = 0};
        net_start(&t.net, 24, 100 + seed);
        for (unsigned i = 0; i < 8; i++)
            net_add(&t.net, true);
        add_person(&t, false);
        add_person(&t, false);
        bootstrap(&t, 0);
        run(&t, 10 * USEC_PER_S, 0);
        seek(&t, 0);
        seek(&t, 1);
        assert_true(run(&t, 2 * USEC_PER_S, 1));
        assert_met(&t, 0, 1);
        end(&t);
    }
}

// People who are servers themselves, and people who are not, in the smallest networks. Two servers that
// are both seekers and have nobody else can't meet: each holds only the other's record, and reads its own
// store for nobody but others.
static void in_the_smallest_networks(void **state)
{
    (void)state;
    static const struct {
        unsigned servers, people;
        bool people_serve;
    } rows[] = {{1, 2, false}, {1, 2, true}, {2, 2, false},
                {3, 2, false}, {3, 2, true}, {5, 2, false}};
    for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) {
        struct town t = {.people = 0};
        net_start(&t.net, 24, 200 + k);
        for (unsigned i = 0; i < rows[k].servers; i++)
            net_add(&t.net, true);
        for (unsigned i = 0; i < rows[k].people; i++)
            add_person(&t, rows[k].people_serve);
        bootstrap(&t, 0);
        run(&t, 10 * USEC_PER_S, 0);
        seek(&t, 0);
        seek(&t, 1);
        if (!run(&t, 10 * USEC_PER_S, 1))
            fail_msg("%u servers, people serve: %d", rows[k].servers, rows[k].people_serve);
        assert_met(&t, 0, 1);
        end(&t);
    }
}

static void with_loss(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct town t = {.people = 0};
        net_start(&t.net, 24, 300 + seed);
        for (unsigned i = 0; i < 8; i++)
            net_add(&t.net, true);
        for (unsigned i = 0; i < 4; i++)
            add_person(&t, false);
        bootstrap(&t, 0);
        run(&t, 10 * USEC_PER_S, 0);
        t.net.loss_percent = 20;
        for (unsigned i = 0; i < 4; i++)
            seek(&t, i);
        if (!run(&t, 20 * USEC_PER_S, 1))
            fail_msg("seed %u", (unsigned)seed);
        end(&t);
    }
}

// All come within a second; samples show eight of them. Nobody is left alone.
static void a_crowd_on_one_topic(void **state)
{
    (void)state;
    struct town t = {.people = 0};
    net_start(&t.net, 16 + CROWD, 400);
    for (unsigned i = 0; i < 16; i++)
        net_add(&t.net, true);
    for (unsigned i = 0; i < CROWD; i++)
        add_person(&t, false);
    bootstrap(&t, 0);
    run(&t, 10 * USEC_PER_S, 0);
    for (unsigned i = 0; i < CROWD; i++) {
        run(&t, net_next(&t.net.rng) % (2 * USEC_PER_S / CROWD), 0);
        seek(&t, i);
    }
    usec_t at = t.net.now;
    assert_true(run(&t, 5 * USEC_PER_S, 1));
    if (getenv("VERBOSE") != NULL)
        print_message("the last met after %u us\n", (unsigned)(t.net.now - at));
    for (unsigned i = 0; i < CROWD; i++) {
        unsigned partners = 0;
        for (unsigned k = 0; k < CROWD; k++)
            partners +=
                k != i && memcmp(t.person[i].channel.h, t.person[k].channel.h, 64) == 0 ? 1 : 0;
        assert_int_equal(partners, 1);
    }
    end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_a_network_of_sixteen),  cmocka_unit_test(at_the_very_same_moment),
        cmocka_unit_test(in_the_smallest_networks), cmocka_unit_test(with_loss),
        cmocka_unit_test(a_crowd_on_one_topic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
