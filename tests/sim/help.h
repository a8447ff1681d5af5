// What the simulation tests share: networks, people, and a failure that names its seed.
#ifndef BAUTA_TESTS_SIM_HELP_H
#define BAUTA_TESTS_SIM_HELP_H

#include "tools/sim/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#define MS USEC_PER_MS
#define S USEC_PER_S

// Topic hashes are remembered over all runs of a program.
static struct sim_jobs *jobs;

static inline int help_begin(void **state)
{
    (void)state;
    jobs = sim_jobs_new();
    return 0;
}

static inline int help_end(void **state)
{
    (void)state;
    sim_jobs_free(jobs);
    return 0;
}

static inline struct sim *help_sim(uint64_t seed, uint32_t loss_percent)
{
    struct sim_config cfg = {
        .seed = seed, .loss_ppm = 10000 * loss_percent, .jobs = jobs, .no_aes_percent = 30};
    return sim_new(&cfg);
}

static inline uint32_t help_node(struct sim *s, usec_t at_us, bool server)
{
    struct sim_node_config n = {.server = server};
    n.bootstraps = sim_nodes(s) < 3 ? sim_nodes(s) : 3;
    for (uint32_t i = 0; i < n.bootstraps; i++)
        n.bootstrap[i] = i;
    return sim_node_add(s, at_us, &n);
}

static inline uint32_t help_person(struct sim *s, uint32_t node, const char *topic,
                                   usec_t seek_at_us, uint32_t messages)
{
    struct sim_person_config p = {.node = node,
                                  .topic = topic,
                                  .seek_at_us = seek_at_us,
                                  .messages = messages,
                                  .gap_us = 50 * MS};
    return sim_person_add(s, &p);
}

// Sixty nodes that join within three seconds, twenty people on two topics three later.
static inline void help_sixty(struct sim *s)
{
    for (uint32_t i = 0; i < 60; i++)
        (void)help_node(s, i < 3 ? 0 : sim_prf_below(sim_random(s), SIM_PRF_JOIN, i, 0, 0, 3 * S),
                        i % 2 == 0);
    for (uint32_t i = 0; i < 20; i++)
        (void)help_person(s, 10 + i, i < 10 ? "one" : "two", 6 * S, 4);
}

static inline void help_show(const struct sim *s)
{
    for (uint32_t i = 0; i < sim_people(s); i++) {
        if (sim_person_done(s, i))
            continue;
        const struct sim_person *p = sim_person(s, i);
        const struct sim_match *m = sim_last_match(s, i);
        struct meet_status st = {0};
        struct node_status ns = {0};
        if (sim_node_alive(s, p->config.node)) {
            node_status(sim_node(s, p->config.node), sim_now(s), &ns);
            st = ns.meet;
        }
        fprintf(stderr,
                "  person %u of node %u on \"%s\": state %d, matches %u, peer %d, said %u, "
                "delivered %u, received %u; "
                "offers %llu out %llu in, accepted %llu, matched %llu, no path %llu, contacts %u; "
                "warning %s\n",
                i, p->config.node, p->config.topic, (int)p->state, p->matches,
                m != NULL ? (int)m->peer : -1, m != NULL ? m->said : 0,
                m != NULL ? m->delivered : 0, m != NULL ? m->received : 0,
                (unsigned long long)st.offers_out, (unsigned long long)st.offers_in,
                (unsigned long long)st.accepted, (unsigned long long)st.matched,
                (unsigned long long)st.no_path, ns.dht.contacts,
                p->warnings > 0 ? p->warning : "none");
    }
}

// What must hold; else the seed, the people who are not done, and the end of the test.
static inline void help_must(struct sim *s, uint64_t seed, bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "seed %llu, at %llu us: not true that %s\n", (unsigned long long)seed,
            (unsigned long long)sim_now(s), what);
    help_show(s);
    fail();
}

static inline void help_no_failures(struct sim *s, uint64_t seed)
{
    sim_check_people(s);
    help_must(s, seed, sim_failures(s) == 0, "the checker found nothing wrong");
}

static inline bool help_people_done(const struct sim *s, void *ctx)
{
    (void)ctx;
    return sim_people_done(s);
}

// Matches so far at most `*ctx`? Turned round: true once somebody has more.
static inline uint32_t help_matches(const struct sim *s)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < sim_people(s); i++)
        n += sim_person(s, i)->matches;
    return n;
}

static inline int help_main(const struct CMUnitTest *tests, size_t n)
{
    if (sodium_init() < 0)
        return 1;
    return _cmocka_run_group_tests("sim", tests, n, help_begin, help_end);
}

#endif
