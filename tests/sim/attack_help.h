// Attacks in a network of a few hundred servers: who meets whom in spite of them.
#ifndef BAUTA_TEST_ATTACK_HELP_H
#define BAUTA_TEST_ATTACK_HELP_H

#include "tests/sim/help.h"
#include "tools/sim/attack.h"

#ifdef BAUTA_WEAK
#define WEAK true // a build without the defences: here the attack has to succeed
#else
#define WEAK false
#endif

#define FIRST_US (60 * S) // the first of all pairs

struct attack_run {
    uint64_t seed;
    uint32_t servers, pairs;
    bool one_topic; // one pair after another on "target"; else all at once, each on its own
    bool v6;        // all addresses are IPv6
    bool victim;    // a host of which nobody knows, and which the attackers name
    bool no_prefix_limits;
    struct attack_config attack; // number 0: none
};
struct attack_result {
    struct attack_probe_figures probe;
    struct attack_figures figures;
};

static inline struct attack_result attack_run(const struct attack_run *r)
{
    struct sim_config cfg = {.seed = r->seed,
                             .jobs = jobs,
                             .modelled = true,
                             .no_prefix_limits = r->no_prefix_limits,
                             // a quarter past: for half an hour one place only
                             .unix_start_s = SIM_UNIX_START_S - 870};
    struct sim *s = sim_new(&cfg);
    struct attack_result out = {0};
    for (uint32_t i = 0; i < r->servers; i++) {
        struct sim_node_config n = {.server = true, .bootstraps = i < 3 ? i : 3};
        n.site.v6 = n.site.no_v4 = r->v6;
        for (uint32_t b = 0; b < n.bootstraps; b++)
            n.bootstrap[b] = b;
        (void)sim_node_add(s, i < 3 ? 0 : i * 10 * S / r->servers, &n);
    }
    struct attack_config attack = r->attack;
    if (r->victim)
        attack.names_victim = 1 + sim_node_add(s, 0, &(struct sim_node_config){.server = false});
    struct attack *a = attack.number > 0 ? attack_new(s, &attack) : NULL;
    struct attack_probe_config probe = {.pairs = r->pairs,
                                        .topic = r->one_topic ? "target" : NULL,
                                        .at_us = FIRST_US,
                                        .bootstraps = 3,
                                        .v6 = r->v6};
    struct attack_probes probes = attack_probe_add(s, &probe);
    (void)sim_run(s, probes.end_us, NULL, NULL);
    attack_probe_figures(s, &probes, &out.probe);
    if (a != NULL)
        attack_figures(a, &out.figures);
    sim_free(s);
    return out;
}

static inline void attack_show(const char *name, const struct attack_result *o)
{
    const struct attack_figures *f = &o->figures;
    print_message("%s: %u of %u met, p50 %llu ms, p95 %llu ms; came: %llu finds, %llu announces, "
                  "%llu seeks, %llu introductions; sent %llu; stored %llu, refused %llu, offers "
                  "%llu\n",
                  name, o->probe.met, o->probe.pairs, (unsigned long long)o->probe.p50_us / 1000,
                  (unsigned long long)o->probe.p95_us / 1000, (unsigned long long)f->finds,
                  (unsigned long long)f->announces, (unsigned long long)f->seeks,
                  (unsigned long long)f->introductions, (unsigned long long)f->sent,
                  (unsigned long long)f->stored, (unsigned long long)f->refused,
                  (unsigned long long)f->offers);
}

#endif
