// Address translation, lines, faults: the simulated network's own behaviour, and people who meet through it.
#include "tests/sim/help.h"
#include "tools/sim/sim_internal.h"

#include "dht/path.h"

struct world {
    struct sim_prf prf;
    struct sim_network n;
    uint64_t number;
};

static void begin(struct world *w, uint64_t seed)
{
    *w = (struct world){0};
    sim_prf_init(&w->prf, seed);
    sim_network_init(&w->n, &w->prf, 0);
}

static uint32_t add(struct world *w, enum sim_nat_kind nat)
{
    struct sim_site_config c = {.nat = nat};
    return sim_network_add(&w->n, false, &c);
}

// From one to an address: does it get in, and what does the receiver see?
static bool pass(struct world *w, usec_t now, uint32_t from, const struct path *to,
                 struct path *seen)
{
    struct sim_way way;
    usec_t wait;
    if (!sim_network_carry(&w->n, now, from, to, 0, w->number++, 100, &way))
        return false;
    if (seen != NULL)
        *seen = sim_network_source(&w->n, from, &way);
    return sim_network_admit(&w->n, now + way.takes_us, from, &way, 100, &wait);
}

// The same from another port of the sender's address.
static bool pass_from_other_port(struct world *w, usec_t now, uint32_t from, const struct path *to)
{
    struct sim_way way;
    usec_t wait;
    if (!sim_network_carry(&w->n, now, from, to, 0, w->number++, 100, &way))
        return false;
    way.from_port ^= 1;
    return sim_network_admit(&w->n, now + way.takes_us, from, &way, 100, &wait);
}

static void each_kind_filters_as_it_is_called(void **state)
{
    (void)state;
    for (enum sim_nat_kind k = SIM_NAT_NONE; k < SIM_NAT_KINDS; k++) {
        struct world w;
        begin(&w, 10 + (uint64_t)k);
        uint32_t host = add(&w, k), a = add(&w, SIM_NAT_NONE), b = add(&w, SIM_NAT_NONE);
        struct path to_a = w.n.site[a].path, to_b = w.n.site[b].path;
        struct path seen_a = {0}, seen_b = {0};
        assert_int_equal(pass(&w, 0, a, &w.n.site[host].path, NULL), k == SIM_NAT_NONE);
        assert_true(pass(&w, 0, host, &to_a, &seen_a));
        assert_memory_equal(seen_a.ip, w.n.site[host].path.ip, 16);
        assert_true(pass(&w, S, a, &seen_a, NULL));
        assert_int_equal(pass(&w, S, b, &seen_a, NULL), k <= SIM_NAT_FULL_CONE);
        assert_int_equal(pass_from_other_port(&w, S, a, &seen_a), k <= SIM_NAT_RESTRICTED);
        assert_true(pass(&w, 2 * S, host, &to_b, &seen_b));
        // A port that is preserved is the same for both, or nearly always.
        bool two_ports = k == SIM_NAT_SYMMETRIC || k == SIM_NAT_SYMMETRIC_STEP;
        assert_int_equal(seen_a.port == seen_b.port, !two_ports);
        assert_true(pass(&w, 3 * S, b, &seen_b, NULL));
        assert_int_equal(pass(&w, 3 * S, b, &seen_a, NULL), !two_ports);
        // Silence closes it; what comes in does not keep it open.
        for (unsigned i = 1; i < 27; i++)
            assert_true(pass(&w, (2 + i) * S, a, &seen_a, NULL));
        assert_int_equal(pass(&w, 400 * S, a, &seen_a, NULL), k == SIM_NAT_NONE);
        assert_true(pass(&w, 401 * S, host, &to_a, &seen_a));
        assert_true(pass(&w, 402 * S, a, &seen_a, NULL));
        sim_network_free(&w.n);
    }
}

static void a_nat_is_bounded(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 3);
    uint32_t host = add(&w, SIM_NAT_SYMMETRIC);
    struct path seen[200], to[200];
    for (uint32_t i = 0; i < 200; i++) {
        uint32_t site = add(&w, SIM_NAT_NONE);
        to[i] = w.n.site[site].path;
        assert_true(pass(&w, i * MS, host, &to[i], &seen[i]));
    }
    assert_int_equal(w.n.site[host].nat->flows, SIM_NAT_FLOWS_MAX);
    assert_true(sizeof(struct sim_flow) * SIM_NAT_FLOWS_MAX <= 1024);
    for (uint32_t i = 0; i < 200; i++) // the last are open
        assert_int_equal(pass(&w, 250 * MS, 1 + i, &seen[i], NULL), i >= 200 - SIM_NAT_FLOWS_MAX);
    sim_network_free(&w.n);
}

// Both send to what a server saw of the other, twice: whether anything gets through is what the table says.
static void punching_works_where_it_can(void **state)
{
    (void)state;
    for (enum sim_nat_kind i = SIM_NAT_NONE; i < SIM_NAT_SYMMETRIC_PRESERVING; i++) {
        for (enum sim_nat_kind k = SIM_NAT_NONE; k < SIM_NAT_SYMMETRIC_PRESERVING; k++) {
            struct world w;
            begin(&w, 5);
            uint32_t a = add(&w, i), b = add(&w, k), server = add(&w, SIM_NAT_NONE);
            struct path of_a, of_b, seen;
            assert_true(pass(&w, 0, a, &w.n.site[server].path, &of_a));
            assert_true(pass(&w, 0, b, &w.n.site[server].path, &of_b));
            bool through = false;
            for (usec_t at = S; at < 3 * S; at += 500 * MS) {
                if (pass(&w, at, a, &of_b, &seen))
                    through = through || pass(&w, at + 100 * MS, b, &seen, NULL);
                if (pass(&w, at, b, &of_a, &seen))
                    through = through || pass(&w, at + 100 * MS, a, &seen, NULL);
            }
            if (through != sim_nat_can_meet(i, k))
                fail_msg("kinds %d and %d: %d", (int)i, (int)k, through);
            assert_int_equal(sim_nat_can_meet(i, k), sim_nat_can_meet(k, i));
            sim_network_free(&w.n);
        }
    }
}

static struct path through(struct path to, uint32_t n)
{
    to.via = VIA_SOCKET | n;
    return to;
}

// Each further socket has a port and a mapping of its own, and what comes there is told apart.
static void sockets_have_ports_of_their_own(void **state)
{
    (void)state;
    for (enum sim_nat_kind k = SIM_NAT_NONE; k < SIM_NAT_KINDS; k++) {
        struct world w;
        begin(&w, 20 + (uint64_t)k);
        uint32_t host = add(&w, k), a = add(&w, SIM_NAT_NONE);
        struct path to = w.n.site[a].path, seen[300] = {0};
        struct sim_way way;
        usec_t wait;
        for (uint32_t i = 0; i < 300; i++) {
            struct path from = through(to, 7 * i);
            assert_true(pass(&w, i * MS, host, &from, &seen[i]));
            assert_true(i == 0 || seen[i].port != seen[i - 1].port);
        }
        for (uint32_t i = 0; i < 300; i++) {
            assert_true(sim_network_carry(&w.n, S, a, &seen[i], 0, w.number++, 100, &way));
            assert_true(sim_network_admit(&w.n, S, a, &way, 100, &wait));
            assert_int_equal(way.to_via, VIA_SOCKET | 7 * i);
        }
        sim_network_close(&w.n, host, VIA_SOCKET | 7);
        assert_false(pass(&w, S, a, &seen[1], NULL));
        assert_true(pass(&w, S, a, &seen[2], NULL));
        sim_network_close_all(&w.n, host);
        assert_false(pass(&w, S, a, &seen[2], NULL));
        struct path none = through(to, SIM_SOCKETS_MAX);
        assert_false(pass(&w, S, host, &none, NULL));
        none.via = VIA_TCP;
        assert_false(pass(&w, S, host, &none, NULL));
        sim_network_free(&w.n);
    }
}

static void the_port_of_a_socket_names_it(void **state)
{
    (void)state;
    static const uint16_t own[] = {1024, 1025, 40000, 65535};
    for (unsigned i = 0; i < sizeof own / sizeof *own; i++) {
        struct sim_sockets *s = NULL;
        for (uint32_t n = 0; n < SIM_SOCKETS_MAX; n++) {
            uint16_t port = sim_socket_open(&s, own[i], n);
            assert_true(port >= SIM_PORT_MIN && port != own[i]);
            assert_int_equal(sim_socket_at(s, own[i], port), n);
            sim_socket_close(s, n);
            assert_int_equal(sim_socket_at(s, own[i], port), SIM_SOCKET_NONE);
        }
        assert_int_equal(sim_socket_open(&s, own[i], SIM_SOCKETS_MAX), 0);
        assert_int_equal(sim_socket_at(s, own[i], own[i]), SIM_SOCKET_NONE);
        sim_sockets_free(&s);
    }
}

static void ports_of_symmetric_nats(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 4);
    uint32_t keeps = add(&w, SIM_NAT_SYMMETRIC_PRESERVING), steps = add(&w, SIM_NAT_SYMMETRIC_STEP);
    unsigned kept = 0;
    struct path seen = {0}, last = {0};
    for (uint32_t i = 0; i < 400; i++) {
        uint32_t site = add(&w, SIM_NAT_NONE);
        assert_true(pass(&w, i * MS, keeps, &w.n.site[site].path, &seen));
        kept += seen.port == w.n.site[keeps].path.port;
        assert_true(pass(&w, i * MS, steps, &w.n.site[site].path, &seen));
        assert_true(i == 0 || seen.port == last.port + 1);
        last = seen;
    }
    assert_in_range(kept, 400 * 89 / 100, 400 * 98 / 100);
    sim_network_free(&w.n);
}

// It opens its sender's NAT, and is never seen at the far end.
static void few_hops_open_a_nat(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 9);
    uint32_t host = add(&w, SIM_NAT_PORT_RESTRICTED), a = add(&w, SIM_NAT_NONE);
    struct path to = w.n.site[a].path, back = w.n.site[host].path;
    struct sim_way way;
    assert_false(sim_network_carry(&w.n, 0, host, &to, 1, w.number++, 100, &way));
    assert_false(pass(&w, S, a, &back, NULL)); // it died before
    assert_false(sim_network_carry(&w.n, S, host, &to, SIM_HOPS_OWN, w.number++, 100, &way));
    assert_true(pass(&w, 2 * S, a, &back, NULL));
    assert_true(sim_network_carry(&w.n, 2 * S, host, &to, 64, w.number++, 100, &way));
    sim_network_free(&w.n);
}

// Who tries the ports of one address does not lose those that it opened just before.
static void a_search_has_room_in_its_nat(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 10);
    uint32_t host = add(&w, SIM_NAT_PORT_RESTRICTED), far = add(&w, SIM_NAT_SYMMETRIC);
    struct path to = w.n.site[far].path, from = w.n.site[host].path;
    for (uint32_t i = 0; i < 2000; i++) {
        to.port = (uint16_t)(2000 + i);
        assert_false(pass(&w, i * MS, host, &to, NULL));
    }
    assert_in_range(w.n.site[host].nat->flows, 2000, 2000 + SIM_NAT_FLOWS_MAX);
    unsigned in = 0;
    for (uint32_t i = 0; i < 2000; i++) {
        struct sim_way way = {.destination = host,
                              .from_port = (uint16_t)(2000 + i),
                              .to_port = from.port,
                              .family = 4};
        usec_t wait;
        in += sim_network_admit(&w.n, 2 * S, far, &way, 100, &wait);
    }
    assert_int_equal(in, 2000);
    sim_network_free(&w.n);
}

static void addresses_of_both_families(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 6);
    struct sim_site_config dual = {.v6 = true, .nat = SIM_NAT_FULL_CONE},
                           only6 = {.v6 = true, .no_v4 = true};
    struct sim_site_config within = {.v6 = true, .no_v4 = true, .within_bits = 32};
    const uint8_t prefix[16] = {0x26, 0x07, 0xab, 0xcd};
    within.within = path_v6(prefix, 0);
    uint32_t d = sim_network_add(&w.n, false, &dual), o = sim_network_add(&w.n, false, &only6);
    uint32_t plain = add(&w, SIM_NAT_NONE);
    struct path p, at[2], local[2];
    assert_true(sim_network_reach(&w.n, plain, d, at) == 1 && at[0].family == 4);
    assert_true(sim_network_reach(&w.n, o, d, at) == 1 && at[0].family == 6);
    assert_int_equal(sim_network_reach(&w.n, plain, o, at), 0);
    uint32_t d2 = sim_network_add(&w.n, false, &dual);
    assert_int_equal(sim_network_reach(&w.n, d, d2, at), 2);
    assert_true(at[0].family == 4 && at[1].family == 6);
    assert_false(pass(&w, 0, plain, &w.n.site[o].path, NULL));
    assert_int_equal(sim_network_local(&w.n, d, local), 2);
    assert_true(path_private(&local[0]) && local[1].family == 6);
    // Its IPv6 is not translated, but a firewall asks for an address and port that were talked to.
    assert_false(pass(&w, 0, o, &w.n.site[d].path6, NULL));
    assert_true(pass(&w, S, d, &w.n.site[o].path, &p));
    assert_true(path_equal(&p, &w.n.site[d].path6));
    assert_true(pass(&w, 2 * S, o, &p, NULL));
    for (uint32_t i = 0; i < 200; i++) {
        uint32_t site = sim_network_add(&w.n, false, &within);
        assert_memory_equal(w.n.site[site].path.ip, prefix, 4);
        assert_int_equal(sim_network_find(&w.n, &w.n.site[site].path), site);
    }
    // A prefix too narrow for all: they share addresses, and differ by port.
    struct sim_site_config one = {.within_bits = 32};
    one.within = path_v4((const uint8_t[4]){81, 2, 3, 4}, 0);
    for (uint32_t i = 0; i < 20; i++) {
        uint32_t site = sim_network_add(&w.n, false, &one);
        assert_int_equal(sim_network_find(&w.n, &w.n.site[site].path), site);
    }
    sim_network_free(&w.n);
}

static void a_line_has_a_rate_and_a_queue(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 7);
    // 1,028 bytes with headers take 8.224 ms at 1 Mbit/s; 100 ms of queue hold 13 of them.
    struct sim_site_config slow = {.up_kbit = 1000, .down_kbit = 1000, .queue_ms = 100};
    uint32_t a = sim_network_add(&w.n, false, &slow), b = add(&w, SIM_NAT_NONE);
    struct sim_way way;
    usec_t last = 0, wait;
    unsigned through = 0, in = 0;
    for (uint32_t i = 0; i < 50; i++) {
        if (!sim_network_carry(&w.n, S, a, &w.n.site[b].path, 0, i, 1000, &way))
            continue;
        through++;
        last = way.takes_us;
    }
    assert_int_equal(through, 13);
    assert_int_equal(w.n.overflown, 37);
    assert_true(last >= 13 * 8224 + sim_network_latency(&w.n, a, b));
    for (uint32_t i = 0; i < 50; i++) {
        assert_true(sim_network_carry(&w.n, S, b, &w.n.site[a].path, 0, i, 1000, &way));
        if (!sim_network_admit(&w.n, 2 * S, b, &way, 1000, &wait))
            continue;
        assert_int_equal(wait, ++in * 8224);
    }
    assert_int_equal(in, 13);
    assert_true(
        sim_network_carry(&w.n, 3 * S, a, &w.n.site[b].path, 0, 99, 1000, &way)); // empty again
    sim_network_free(&w.n);
}

static void faults_come_and_go(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 8);
    struct sim_fault cut = {.from_us = 10 * S, .to_us = 20 * S, .share_ppm = 300000, .cut = true};
    struct sim_fault lossy = {
        .from_us = 30 * S, .to_us = 40 * S, .share_ppm = 500000, .loss_ppm = 200000};
    assert_true(sim_network_fault(&w.n, &cut) && sim_network_fault(&w.n, &lossy));
    for (unsigned i = 0; i < 400; i++)
        (void)add(&w, SIM_NAT_NONE);
    unsigned crossed[5] = {0};
    for (uint32_t i = 0; i < 400; i++)
        for (unsigned t = 0; t < 5; t++)
            crossed[t] += pass(&w, (5 + 10 * t) * S, i, &w.n.site[(i + 200) % 400].path, NULL);
    assert_true(crossed[0] == 400 && crossed[2] == 400 && crossed[4] == 400);
    assert_in_range(crossed[1], 400 * 48 / 100, 400 * 68 / 100); // 58 % have both ends on one side
    assert_in_range(crossed[3], 400 * 79 / 100, 400 * 91 / 100); // 20 % of three quarters are lost
    w.n.burst_ppm = 50000;
    unsigned lost = 0;
    for (uint32_t i = 0; i < 20000; i++)
        lost += !pass(&w, 50 * S + i * 300 * MS, i % 400, &w.n.site[(i + 7) % 400].path, NULL);
    assert_in_range(lost, 20000 * 6 / 100, 20000 * 9 / 100); // three quarters of 9.75 %
    sim_network_free(&w.n);
}

static uint32_t node(struct sim *s, bool server, struct sim_site_config site)
{
    struct sim_node_config n = {
        .server = server, .site = site, .bootstraps = server ? sim_nodes(s) : 6};
    n.bootstraps = n.bootstraps < 6 ? n.bootstraps : 6;
    for (uint32_t i = 0; i < n.bootstraps; i++)
        n.bootstrap[i] = i;
    return sim_node_add(s, 0, &n);
}

// Right after joining each node knows what is before it, and that its IPv6 is not translated. A probe to the own
// outside address comes back here.
static void each_kind_is_told(void **state)
{
    (void)state;
    struct sim *s = help_sim(13, 1);
    const enum dht_mapping mapping[SIM_NAT_KINDS] = {
        [SIM_NAT_NONE] = DHT_MAPPING_NONE,
        [SIM_NAT_FULL_CONE] = DHT_MAPPING_INDEPENDENT,
        [SIM_NAT_RESTRICTED] = DHT_MAPPING_INDEPENDENT,
        [SIM_NAT_PORT_RESTRICTED] = DHT_MAPPING_INDEPENDENT,
        [SIM_NAT_SYMMETRIC] = DHT_MAPPING_DEPENDENT,
        [SIM_NAT_SYMMETRIC_PRESERVING] = DHT_MAPPING_INDEPENDENT, // as most see it
        [SIM_NAT_SYMMETRIC_STEP] = DHT_MAPPING_DEPENDENT,
    };
    for (int i = 0; i < 24; i++)
        (void)node(s, true, (struct sim_site_config){.v6 = i % 2 == 0});
    for (uint32_t i = 0; i < 4 * SIM_NAT_KINDS; i++)
        (void)node(s, false,
                   (struct sim_site_config){.nat = (enum sim_nat_kind)(i % SIM_NAT_KINDS),
                                            .v6 = i % 2 == 0});
    (void)sim_run(s, 12 * S, NULL, NULL);
    for (uint32_t i = 0; i < sim_nodes(s); i++) {
        bool server = i < 24, v6 = i % 2 == 0;
        enum sim_nat_kind k = server ? SIM_NAT_NONE : (enum sim_nat_kind)((i - 24) % SIM_NAT_KINDS);
        struct node_status st;
        node_status(sim_node(s, i), sim_now(s), &st);
        const struct dht_reach *r = st.reach;
        help_must(s, 13, r[0].mapping == mapping[k], "the kind of translation is told");
        help_must(s, 13, r[0].port_preserving == (mapping[k] != DHT_MAPPING_DEPENDENT),
                  "so is the port");
        help_must(s, 13, r[0].port_step == (k == SIM_NAT_SYMMETRIC_STEP), "so is the step");
        bool heard = v6 && dht_heard_family(node_dht(sim_node(s, i)), 6);
        help_must(s, 13, heard || server || !v6, "who joins hears of both families");
        help_must(s, 13, r[1].mapping == (heard ? DHT_MAPPING_NONE : DHT_MAPPING_UNKNOWN),
                  "IPv6 is not translated");
        bool asks = mapping[k] == DHT_MAPPING_INDEPENDENT;
        help_must(s, 13, st.hairpin == (asks ? HAIRPIN_YES : HAIRPIN_UNKNOWN), "hairpin is told");
    }
    help_no_failures(s, 13);
    sim_free(s);
}

// Half of the servers have both families; people of one family each meet in their own.
static void people_meet_over_ipv6(void **state)
{
    (void)state;
    struct sim *s = help_sim(12, 1);
    for (uint32_t i = 0; i < 24; i++)
        (void)node(s, true,
                   (struct sim_site_config){.v6 = i % 2 == 0 || i >= 18, .no_v4 = i >= 18});
    for (uint32_t i = 0; i < 6; i++) {
        char topic[32];
        snprintf(topic, sizeof topic, "family %u", i / 2);
        struct sim_site_config c = {.v6 = i >= 2, .no_v4 = i >= 4, .nat = SIM_NAT_PORT_RESTRICTED};
        (void)help_person(s, node(s, false, c), topic, (5 + 5 * (i % 2)) * S, 2);
    }
    help_must(s, 12, sim_run(s, 40 * S, help_people_done, NULL), "people of each family meet");
    help_no_failures(s, 12);
    sim_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_filters_as_it_is_called),
        cmocka_unit_test(a_nat_is_bounded),
        cmocka_unit_test(punching_works_where_it_can),
        cmocka_unit_test(sockets_have_ports_of_their_own),
        cmocka_unit_test(the_port_of_a_socket_names_it),
        cmocka_unit_test(ports_of_symmetric_nats),
        cmocka_unit_test(few_hops_open_a_nat),
        cmocka_unit_test(a_search_has_room_in_its_nat),
        cmocka_unit_test(addresses_of_both_families),
        cmocka_unit_test(a_line_has_a_rate_and_a_queue),
        cmocka_unit_test(faults_come_and_go),
        cmocka_unit_test(each_kind_is_told),
        cmocka_unit_test(people_meet_over_ipv6),
    };
    return help_main(tests, sizeof tests / sizeof *tests);
}
