// Who wants to be a server: reachable from addresses that it never talked to, or a client for ever.
#include "dht/internal.h"
#include "tests/sim/help.h"

static uint32_t candidate(struct sim *s, usec_t at_us, enum sim_nat_kind nat)
{
    struct sim_node_config n = {.server = true, .candidate = true, .site = {.nat = nat}};
    n.bootstraps = sim_nodes(s) < 3 ? sim_nodes(s) : 3;
    for (uint32_t i = 0; i < n.bootstraps; i++)
        n.bootstrap[i] = i;
    return sim_node_add(s, at_us, &n);
}

static struct dht_status status(struct sim *s, uint32_t node)
{
    struct dht_status st;
    dht_status(node_dht(sim_node(s, node)), &st);
    return st;
}

// How many of the first `n` nodes hand it out?
static unsigned known_to(struct sim *s, uint32_t n, uint32_t node)
{
    unsigned known = 0;
    uint8_t pk[32], sk[32];
    sim_server_key(s, node, pk, sk);
    for (uint32_t i = 0; i < n; i++) {
        const struct dht *d = node_dht(sim_node(s, i));
        book_ref all[64];
        size_t k = d->table[0] == NULL ? 0 : table_list(d->table[0], all, 64);
        for (size_t j = 0; j < k; j++)
            known += memcmp(dht_entry(d, all[j])->contact.pk, pk, 32) == 0;
    }
    return known;
}

static void reachable_ones_serve(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct sim *s = help_sim(seed, 2);
        for (int i = 0; i < 16; i++)
            (void)help_node(s, 0, true);
        uint32_t open = candidate(s, 5 * S, SIM_NAT_NONE);
        (void)sim_run(s, 20 * S, NULL, NULL);
        help_must(s, seed, status(s, open).server, "a reachable node serves within 15 s");
        help_must(s, seed, known_to(s, 16, open) >= 8, "and others know it");
        sim_free(s);
    }
}

static void others_stay_clients(void **state)
{
    (void)state;
    static const enum sim_nat_kind kinds[] = {SIM_NAT_RESTRICTED, SIM_NAT_PORT_RESTRICTED,
                                              SIM_NAT_SYMMETRIC};
    for (unsigned k = 0; k < 3; k++) {
        struct sim *s = help_sim(1, 0);
        for (int i = 0; i < 16; i++)
            (void)help_node(s, 0, true);
        uint32_t shut = candidate(s, 5 * S, kinds[k]);
        // Who is sought for talks to everybody; that must not make it a server.
        (void)help_person(s, shut, "behind a nat", 6 * S, 2);
        (void)help_person(s, help_node(s, 0, false), "behind a nat", 7 * S, 2);
        help_must(s, 1, sim_run(s, 40 * S, help_people_done, NULL), "as a client it meets people");
        (void)sim_run(s, 1800 * S, NULL, NULL);
        struct dht_status st = status(s, shut);
        help_must(s, 1, !st.server && st.candidate, "nobody behind a NAT that filters serves");
        help_must(s, 1, known_to(s, 16, shut) == 0, "and nobody hands it out");
        help_no_failures(s, 1);
        sim_free(s);
    }
}

// A young network that grows fast: few servers have to dial back all who come.
static void a_crowd_is_let_in(void **state)
{
    (void)state;
    const uint32_t listed = 8, crowd = 400;
    struct sim *s = help_sim(1, 0);
    unsigned serve = 0;
    for (uint32_t i = 0; i < listed; i++)
        (void)help_node(s, 0, true);
    for (uint32_t i = 0; i < crowd; i++)
        (void)candidate(s, 5 * S + i * S / 200, SIM_NAT_NONE);
    (void)sim_run(s, 30 * S, NULL, NULL);
    for (uint32_t i = 0; i < crowd; i++)
        serve += status(s, listed + i).server;
    printf("%u of %u candidates serve\n", serve, crowd);
    help_must(s, 1, serve >= crowd * 9 / 10, "nearly all who came at once serve");
    sim_free(s);
}

// min(3, servers that it has not contacted): none beside the only one; then another comes.
static void small_networks(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct sim *s = help_sim(seed, 0);
        (void)help_node(s, 0, true);
        uint32_t c = candidate(s, 1 * S, SIM_NAT_NONE);
        (void)sim_run(s, 60 * S, NULL, NULL);
        help_must(s, seed, !status(s, c).server, "one server can't vouch for another alone");
        sim_free(s);
    }
    for (unsigned servers = 2; servers <= 5; servers++) {
        struct sim *s = help_sim(servers + 20, 0);
        for (unsigned i = 0; i < servers; i++)
            (void)sim_node_add(s, 0,
                               &(struct sim_node_config){.server = true, .bootstraps = i > 0});
        uint32_t c = sim_node_add(
            s, 2 * S,
            &(struct sim_node_config){.server = true, .candidate = true, .bootstraps = 1});
        (void)sim_run(s, 60 * S, NULL, NULL);
        help_must(s, servers, status(s, c).server,
                  "with one server asked and another not, the other's word is enough");
        sim_free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reachable_ones_serve),
        cmocka_unit_test(others_stay_clients),
        cmocka_unit_test(a_crowd_is_let_in),
        cmocka_unit_test(small_networks),
    };
    return help_main(tests, sizeof tests / sizeof *tests);
}
