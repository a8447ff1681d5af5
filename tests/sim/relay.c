// Relays in a simulated network: people who hide their address behind one, pairs that nothing but a relay brings together,
// and relays that die. Whatever a hidden person's node sends goes to its relays.
#include "tests/sim/help.h"
#include "tools/sim/sim_internal.h"

#include "dht/path.h"
#include "node/node_internal.h"

#define SERVERS 12u
#define RELAYS 8u

struct leak { // who of the hidden sends to anybody but relays
    struct sim *s;
    uint64_t sent, leaked;
    bool all;         // watched, too:
    uint64_t between; // what goes straight from home to home
};

static bool is_relay(const struct sim *s, const struct path *to)
{
    for (uint32_t i = SERVERS; i < SERVERS + RELAYS; i++) // dead ones, too
        if (memcmp(s->net.site[i].path.ip, to->ip, sizeof to->ip) == 0)
            return true;
    return false;
}

static void watch(void *ctx, usec_t now, uint32_t from, const struct path *to, const uint8_t *data,
                  size_t len)
{
    struct leak *l = ctx;
    (void)now;
    (void)data;
    (void)len;
    uint32_t to_host = sim_network_find(&l->s->net, to);
    l->between +=
        l->all && from >= SERVERS + RELAYS && to_host != SIM_NOBODY && to_host >= SERVERS + RELAYS;
    if (!l->s->host[from]->relayed)
        return;
    l->sent++;
    l->leaked += !is_relay(l->s, to);
}

// Servers, then relays; newcomers are told of relays, and of servers those who do not hide.
static struct sim *town(uint64_t seed, uint32_t loss_percent)
{
    struct sim *s = help_sim(seed, loss_percent);
    for (uint32_t i = 0; i < SERVERS + RELAYS; i++) {
        struct sim_node_config n = {.server = true, .relay = i >= SERVERS};
        n.bootstraps = i < 3 ? i : 3;
        for (uint32_t k = 0; k < n.bootstraps; k++)
            n.bootstrap[k] = k;
        (void)sim_node_add(s, i < 3 ? 0 : (i - 2) * 100 * MS, &n);
    }
    return s;
}

static uint32_t home(struct sim *s, usec_t at_us, enum sim_nat_kind nat, bool relayed, uint8_t hops)
{
    struct sim_node_config n = {.relayed = relayed, .hops = hops, .bootstraps = 3};
    n.site.nat = nat;
    for (uint32_t k = 0; k < 3; k++)
        n.bootstrap[k] = relayed ? SERVERS + (sim_nodes(s) + k) % RELAYS : k;
    return sim_node_add(s, at_us, &n);
}

static bool all_done(const struct sim *s, void *ctx)
{
    (void)ctx;
    return sim_people_done(s);
}

static usec_t waited(const struct sim *s, uint32_t person)
{
    const struct sim_match *m = sim_last_match(s, person);
    return m != NULL ? m->at_us - m->asked_us : USEC_NEVER;
}

// Pairs on topics of their own, the second 10 s after the first.
static void pairs(struct sim *s, unsigned count, enum sim_nat_kind a, bool a_hides,
                  enum sim_nat_kind b, bool b_hides, uint8_t hops)
{
    for (unsigned i = 0; i < count; i++) {
        char topic[32];
        snprintf(topic, sizeof topic, "pair %u", i);
        uint32_t x = home(s, 30 * S, a, a_hides, hops), y = home(s, 30 * S, b, b_hides, hops);
        // Two hops take a while to find each other's relays.
        usec_t seek = hops == 2 ? 100 * S : 45 * S;
        (void)help_person(s, x, topic, seek, 5);
        (void)help_person(s, y, topic, seek + 10 * S, 5);
    }
}

static void meet(uint64_t seed, uint32_t loss_percent, enum sim_nat_kind a, bool a_hides,
                 enum sim_nat_kind b, bool b_hides, uint8_t hops, bool relayed)
{
    struct sim *s = town(seed, loss_percent);
    struct leak l = {.s = s};
    enum { PAIRS = 6 };
    usec_t wait[PAIRS];
    pairs(s, PAIRS, a, a_hides, b, b_hides, hops);
    sim_tap(s, watch, &l);
    bool ok = sim_run(s, 180 * S, all_done, NULL);
    if (!ok)
        help_show(s);
    for (unsigned i = 0; i < PAIRS; i++) {
        const struct sim_match *m = sim_last_match(s, 2 * i + 1);
        wait[i] = waited(s, 2 * i + 1);
        assert_true(m == NULL || m->relayed == relayed);
    }
    for (unsigned i = 1; i < PAIRS; i++)
        for (unsigned k = i; k > 0 && wait[k] < wait[k - 1]; k--) {
            usec_t t = wait[k];
            wait[k] = wait[k - 1];
            wait[k - 1] = t;
        }
    print_message("%s, %s, hops %u, loss %u: p50 %llu ms, most %llu ms; hidden ones sent %llu\n",
                  a_hides ? "hidden" : "direct", b_hides ? "hidden" : "direct", hops, loss_percent,
                  (unsigned long long)(wait[PAIRS / 2] / MS),
                  (unsigned long long)(wait[PAIRS - 1] / MS), (unsigned long long)l.sent);
    assert_true(ok);
    assert_int_equal(l.leaked, 0);
    assert_true(!a_hides || l.sent > 0);
    for (uint32_t i = SERVERS + RELAYS; i < sim_nodes(s) && !relayed; i++)
        assert_null(sim_node(s, i)->uplink); // who is easily reached asks nobody for a relay
    sim_check_people(s);
    assert_int_equal(sim_failures(s), 0);
    sim_free(s);
}

static void both_hide(void **state)
{
    (void)state;
    meet(1, 0, SIM_NAT_PORT_RESTRICTED, true, SIM_NAT_PORT_RESTRICTED, true, 1, true);
    meet(2, 5, SIM_NAT_SYMMETRIC, true, SIM_NAT_NONE, true, 1, true);
}

static void one_hides(void **state)
{
    (void)state;
    meet(3, 0, SIM_NAT_PORT_RESTRICTED, true, SIM_NAT_PORT_RESTRICTED, false, 1, true);
    meet(4, 0, SIM_NAT_NONE, false, SIM_NAT_SYMMETRIC, true, 1, true);
    meet(5, 5, SIM_NAT_SYMMETRIC, false, SIM_NAT_SYMMETRIC, true, 1, true);
}

static void two_hops(void **state)
{
    (void)state;
    meet(6, 0, SIM_NAT_PORT_RESTRICTED, true, SIM_NAT_PORT_RESTRICTED, true, 2, true);
}

static void whom_nats_keep_apart_a_relay_brings_together(void **state)
{
    (void)state;
    meet(7, 0, SIM_NAT_SYMMETRIC, false, SIM_NAT_SYMMETRIC, false, 1, true);
    meet(8, 5, SIM_NAT_SYMMETRIC, false, SIM_NAT_SYMMETRIC, false, 1, true);
    meet(9, 0, SIM_NAT_FULL_CONE, false, SIM_NAT_PORT_RESTRICTED, false, 1,
         false); // these need none
}

// One has IPv4 only, the other IPv6 only; a few servers and relays have both. The relay of the latter carries the offers,
// the look-ups among servers of IPv4, and the conversation.
static void who_has_one_family_meets_who_has_the_other(void **state)
{
    (void)state;
    for (uint64_t seed = 30; seed < 34; seed++) {
        struct sim *s = help_sim(seed, 0);
        for (uint32_t i = 0; i < 60; i++) {
            struct sim_node_config n = {.server = true, .relay = i % 10 == 9};
            n.site.v6 = i % 4 == 0 || i % 20 == 9;
            n.bootstraps = i < 3 ? i : 3;
            for (uint32_t k = 0; k < n.bootstraps; k++)
                n.bootstrap[k] = 4 * k;
            (void)sim_node_add(s, i * 100 * MS, &n);
        }
        for (uint32_t i = 0; i < 6; i++) {
            char topic[32];
            struct sim_node_config four = {.site.nat = SIM_NAT_PORT_RESTRICTED, .bootstraps = 3},
                                   six = {.site = {.no_v4 = true, .v6 = true}, .bootstraps = 3};
            six.server = i % 2 == 0;
            for (uint32_t k = 0; k < 3; k++)
                four.bootstrap[k] = six.bootstrap[k] = 4 * k;
            uint32_t x = sim_node_add(s, 20 * S, &four), y = sim_node_add(s, 20 * S, &six);
            snprintf(topic, sizeof topic, "pair %u", i);
            (void)help_person(s, i < 3 ? x : y, topic, 45 * S, 5);
            (void)help_person(s, i < 3 ? y : x, topic, 60 * S, 5);
        }
        bool ok = sim_run(s, 180 * S, all_done, NULL);
        if (!ok)
            help_show(s);
        assert_true(ok);
        for (uint32_t i = 0; i < 12; i++)
            assert_true(sim_last_match(s, i)->relayed);
        sim_check_people(s);
        assert_int_equal(sim_failures(s), 0);
        sim_free(s);
    }
}

// The relay of a hidden person, or of both, dies in mid-conversation: another takes over, and nothing is lost or doubled,
// which the checker of people's words sees.
static uint32_t relay_of(const struct sim *s, uint32_t node)
{
    const struct uplink *u = sim_node(s, node)->uplink;
    struct path at = u->line[UPLINK_MAIN].tunnel->cfg.relay.path;
    return sim_network_find(&s->net, &at);
}

static bool both_talk(const struct sim *s, void *ctx)
{
    (void)ctx;
    return sim_person(s, 0)->state == SIM_TALKING && sim_person(s, 1)->state == SIM_TALKING;
}

static void talk_on(uint64_t seed, bool both_hidden, bool both_die)
{
    struct sim *s = town(seed, 0);
    struct leak l = {.s = s};
    uint32_t x = home(s, 30 * S, SIM_NAT_PORT_RESTRICTED, true, 1),
             y = home(s, 30 * S, SIM_NAT_PORT_RESTRICTED, both_hidden, 1);
    for (unsigned i = 0; i < 2; i++) {
        struct sim_person_config p = {.node = i == 0 ? x : y,
                                      .topic = "to go on",
                                      .seek_at_us = 40 * S,
                                      .messages = 150,
                                      .gap_us = 200 * MS};
        (void)sim_person_add(s, &p);
    }
    sim_tap(s, watch, &l);
    assert_true(sim_run(s, 90 * S, both_talk, NULL));
    sim_run(s, sim_now(s) + 8 * S, NULL,
            NULL); // both have a spare one by now, and know the other's
    uint32_t a = relay_of(s, x), b = both_hidden ? relay_of(s, y) : a;
    usec_t died = sim_now(s);
    sim_node_kill(s, died, a);
    if (both_die && b != a)
        sim_node_kill(s, died, b);
    bool ok = sim_run(s, died + 90 * S, all_done, NULL);
    if (!ok)
        help_show(s);
    assert_true(ok);
    assert_int_equal(l.leaked, 0);
    for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(sim_person(s, i)->matches, 1); // the same conversation all the time
    sim_check_people(s);
    assert_int_equal(sim_failures(s), 0);
    print_message("%s hidden, %s: all was said %llu ms after the relay's death\n",
                  both_hidden ? "both" : "one", both_die ? "both relays die" : "one relay dies",
                  (unsigned long long)((sim_now(s) - died) / MS));
    sim_free(s);
}

static void a_relay_dies_and_the_conversation_goes_on(void **state)
{
    (void)state;
    for (uint64_t seed = 20; seed < 24; seed++) {
        talk_on(seed, false, false);
        talk_on(seed, true, false);
        talk_on(seed, true, true);
    }
}

// ---- the path is changed by agreement ---------------------------------------------------------------

static void run_path(struct sim *s, void *ctx, uint64_t arg)
{
    const struct sim_person *p = sim_person(s, (uint32_t)(arg >> 1));
    (void)ctx;
    if (node_path(s->host[p->config.node]->node, s->now, p->encounter, (arg & 1) != 0) != BAUTA_OK)
        sim_fail(s, "person %u can't ask for another path", (uint32_t)(arg >> 1));
}

static void ask(struct sim *s, uint32_t person, bool direct)
{
    uint32_t node = sim_person(s, person)->config.node;
    sim_command(s, sim_now(s) + 1, node, SIM_NOBODY, run_path, NULL,
                (uint64_t)person << 1 | direct);
}

static bool both_changed(const struct sim *s, void *ctx)
{
    uint32_t n = *(const uint32_t *)ctx;
    return sim_last_match(s, 0)->changed >= n && sim_last_match(s, 1)->changed >= n;
}

static struct sim *talking(uint64_t seed, uint32_t loss_percent, bool a_hides, bool b_hides,
                           enum sim_nat_kind a, enum sim_nat_kind b)
{
    struct sim *s = town(seed, loss_percent);
    uint32_t x = home(s, 30 * S, a, a_hides, 1), y = home(s, 30 * S, b, b_hides, 1);
    for (unsigned i = 0; i < 2; i++) {
        struct sim_person_config p = {.node = i == 0 ? x : y,
                                      .topic = "to change",
                                      .seek_at_us = 40 * S,
                                      .messages = 400,
                                      .gap_us = 200 * MS};
        (void)sim_person_add(s, &p);
    }
    assert_true(sim_run(s, 90 * S, both_talk, NULL));
    return s;
}

static void end_talk(struct sim *s)
{
    bool ok = sim_run(s, sim_now(s) + 120 * S, all_done, NULL);
    if (!ok)
        help_show(s);
    assert_true(ok);
    for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(sim_person(s, i)->matches, 1);
    sim_check_people(s);
    assert_int_equal(sim_failures(s), 0);
    sim_free(s);
}

// Direct, and relayed again: each takes both ends, and before that nobody's address is sent anywhere.
static void both_agree(uint64_t seed, uint32_t loss_percent, bool a_hides, bool b_hides)
{
    struct sim *s = talking(seed, loss_percent, a_hides, b_hides, SIM_NAT_PORT_RESTRICTED,
                            SIM_NAT_PORT_RESTRICTED);
    struct leak l = {.s = s};
    sim_tap(s, watch, &l);
    ask(s, 0, true);
    sim_run(s, sim_now(s) + 5 * S, NULL, NULL);
    assert_int_equal(l.leaked, 0);
    assert_true(sim_last_match(s, 1)->wanted_direct);
    assert_int_equal(sim_last_match(s, 0)->changed + sim_last_match(s, 1)->changed, 0);
    usec_t asked = sim_now(s);
    uint32_t n = 1;
    ask(s, 1, true);
    assert_true(sim_run(s, asked + 15 * S, both_changed, &n));
    usec_t direct_us = sim_now(s) - asked;
    assert_false(sim_last_match(s, 0)->now_relayed || sim_last_match(s, 1)->now_relayed);
    sim_run(s, sim_now(s) + 5 * S, NULL, NULL);
    ask(s, 1, false);
    sim_run(s, sim_now(s) + 2 * S, NULL, NULL);
    assert_true(sim_last_match(s, 0)->wanted_relayed);
    asked = sim_now(s);
    n = 2;
    ask(s, 0, false);
    assert_true(sim_run(s, asked + 20 * S, both_changed, &n));
    assert_true(sim_last_match(s, 0)->now_relayed && sim_last_match(s, 1)->now_relayed);
    usec_t relayed_us = sim_now(s) - asked;
    sim_run(s, sim_now(s) + 2 * S, NULL, NULL); // what was on its way has come
    l = (struct leak){.s = s, .all = true};
    sim_run(s, sim_now(s) + 20 * S, NULL, NULL);
    assert_int_equal(l.between, 0);
    print_message("%s, %s, loss %u: direct %llu ms after both asked, relayed again %llu ms\n",
                  a_hides ? "hidden" : "direct", b_hides ? "hidden" : "direct", loss_percent,
                  (unsigned long long)(direct_us / MS), (unsigned long long)(relayed_us / MS));
    end_talk(s);
}

static void the_path_changes_when_both_agree(void **state)
{
    (void)state;
    both_agree(40, 0, true, true);
    both_agree(41, 5, true, true);
    both_agree(42, 0, true, false);
    both_agree(43, 0, false, true);
    both_agree(44, 0, false, false);
    both_agree(45, 5, false, false);
}

// Where NATs leave no direct path it goes on as it did, both are told, and nothing more is sent to the other's address.
static void no_direct_path(void **state)
{
    (void)state;
    struct sim *s = talking(50, 0, true, true, SIM_NAT_SYMMETRIC, SIM_NAT_SYMMETRIC);
    ask(s, 0, true);
    ask(s, 1, true);
    uint32_t n = 1;
    assert_true(sim_run(s, sim_now(s) + 40 * S, both_changed, &n));
    assert_true(sim_last_match(s, 0)->now_relayed && sim_last_match(s, 1)->now_relayed);
    assert_string_equal(sim_person(s, 0)->warning, "path");
    struct leak l = {.s = s};
    sim_run(s, sim_now(s) + 2 * S, NULL, NULL);
    sim_tap(s, watch, &l);
    sim_run(s, sim_now(s) + 20 * S, NULL, NULL);
    assert_int_equal(l.leaked, 0);
    end_talk(s);
}

// ---- a peer that lies ---------------------------------------------------------------------------------

static const uint8_t private_ip[4] = {10, 1, 2, 3}, public_ip[4] = {93, 184, 216, 34};

static void count_victims(void *ctx, usec_t now, uint32_t from, const struct path *to,
                          const uint8_t *data, size_t len)
{
    unsigned *n = ctx;
    (void)now;
    (void)from;
    (void)data;
    (void)len;
    n[0] += memcmp(to->ip, private_ip, 4) == 0;
    n[1] += memcmp(to->ip, public_ip, 4) == 0 && to->port < 1024;
    n[2] += memcmp(to->ip, public_ip, 4) == 0 && to->port >= 1024;
}

static void run_lie(struct sim *s, void *ctx, uint64_t node)
{
    uint8_t out[UPLINK_POINTS_BYTES_MAX];
    struct wr w = wr_init(out, sizeof out);
    const struct path lie[] = {path_v4(private_ip, 5000), path_v4(public_ip, 443 - 1),
                               path_v4(public_ip, 5000)};
    struct node *n = s->host[node]->node;
    (void)ctx;
    wr_u8(&w, UPLINK_POINTS | 3);
    for (unsigned i = 0; i < 3; i++)
        path_put(&w, &lie[i]);
    for (uint32_t i = 0; i < NODE_CONVERSATIONS_MAX; i++)
        if (n->busy->conversation[i] != NULL)
            (void)channel_meeting(n->busy->conversation[i]->channel, out, wr_len(&w));
}

// It says that its relays' exits are at others' addresses, and falls silent again and again: nothing goes to private
// addresses or other people's services, and to the rest no more than to addresses that strangers name otherwise.
static void a_peer_names_victims(void **state)
{
    (void)state;
    struct sim *s = talking(60, 0, false, false, SIM_NAT_FULL_CONE, SIM_NAT_FULL_CONE);
    uint32_t y = sim_person(s, 1)->config.node;
    unsigned sent[3] = {0};
    sim_command(s, sim_now(s) + 1, y, SIM_NOBODY, run_lie, NULL, y);
    sim_run(s, sim_now(s) + 2 * S, NULL, NULL);
    sim_tap(s, count_victims, sent);
    sim_node_kill(s, sim_now(s), y);
    sim_run(s, sim_now(s) + 40 * S, NULL, NULL);
    assert_int_equal(sent[0], 0);
    assert_int_equal(sent[1], 0);
    assert_in_range(sent[2], 1, 10); // so the lie was heard
    sim_free(s);
}

int main(void)
{
    if (sodium_init() < 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_path_changes_when_both_agree),
        cmocka_unit_test(no_direct_path),
        cmocka_unit_test(a_peer_names_victims),
        cmocka_unit_test(both_hide),
        cmocka_unit_test(one_hides),
        cmocka_unit_test(two_hops),
        cmocka_unit_test(who_has_one_family_meets_who_has_the_other),
        cmocka_unit_test(a_relay_dies_and_the_conversation_goes_on),
        cmocka_unit_test(whom_nats_keep_apart_a_relay_brings_together),
    };
    return cmocka_run_group_tests(tests, help_begin, help_end);
}
