// Attacks in a network of a few hundred servers: who meets whom in spite of them.
#ifndef BAUTA_TEST_ATTACK_HELP_H
#define BAUTA_TEST_ATTACK_HELP_H

#include "tests/sim/help.h"
#include "tools/sim/attack.h"
#include "tools/sim/slab.h"

#ifdef BAUTA_WEAK
#define WEAK true // a build without the defences: here the attack has to succeed
#else
#define WEAK false
#endif

#define SHOW_US (15 * S)  // of one pair on a topic that others come to later
#define LATE_US (5 * S)   // the second comes so much after the first
#define FIRST_US (60 * S) // the first of all pairs

struct attack_run {
    uint64_t seed;
    uint32_t servers, pairs;
    bool one_topic; // one pair after another on "target"; else all at once, each on its own
    bool v6;        // all addresses are IPv6
    bool no_prefix_limits;
    uint32_t loss_percent;
    struct attack_config attack; // number 0: none
};
struct attack_result {
    uint32_t pairs, met;
    usec_t p50_us, p95_us; // from the second's seek to its match, of those that met
    struct attack_figures figures;
};

static inline uint32_t attack_node(struct sim *s, const struct attack_run *r, usec_t at_us,
                                   bool server)
{
    uint32_t i = sim_nodes(s);
    struct sim_node_config n = {.server = server, .bootstraps = i < 3 ? i : 3};
    for (uint32_t b = 0; b < n.bootstraps; b++)
        n.bootstrap[b] = b;
    n.site.v6 = n.site.no_v4 = r->v6;
    return sim_node_add(s, at_us, &n);
}

static inline int attack_compare(const void *a, const void *b)
{
    const usec_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static inline struct attack_result attack_run(const struct attack_run *r)
{
    struct sim_config cfg = {.seed = r->seed,
                             .jobs = jobs,
                             .modelled = true,
                             .loss_ppm = 10000 * r->loss_percent,
                             .no_prefix_limits = r->no_prefix_limits,
                             // a quarter past: for half an hour one place only
                             .unix_start_s = SIM_UNIX_START_S - 870};
    struct sim *s = sim_new(&cfg);
    struct attack_result out = {.pairs = r->pairs};
    for (uint32_t i = 0; i < r->servers; i++)
        (void)attack_node(s, r, i < 3 ? 0 : i * 10 * S / r->servers, true);
    uint32_t first = sim_nodes(s);
    for (uint32_t i = 0; i < 2 * r->pairs; i++)
        (void)attack_node(s, r, 12 * S + i * 10 * MS, false);
    struct attack *a = r->attack.number > 0 ? attack_new(s, &r->attack) : NULL;
    usec_t end = FIRST_US + SHOW_US;
    for (uint32_t i = 0; i < r->pairs; i++) {
        char topic[32] = "target";
        usec_t at = FIRST_US + (r->one_topic ? i * SHOW_US : i * 3 * S / r->pairs);
        if (!r->one_topic)
            snprintf(topic, sizeof topic, "topic %u", i);
        uint32_t x = help_person(s, first + 2 * i, topic, at, 0);
        uint32_t y = help_person(s, first + 2 * i + 1, topic, at + LATE_US, 0);
        end = at + SHOW_US;
        sim_person_end(s, end - 1 * S, x);
        sim_person_end(s, end - 1 * S, y);
    }
    (void)sim_run(s, end, NULL, NULL);
    usec_t *took = sim_grow(NULL, r->pairs, sizeof *took);
    for (uint32_t i = 0; i < r->pairs; i++) {
        const struct sim_match *m = sim_last_match(s, 2 * i + 1);
        if (m != NULL && m->peer == 2 * i)
            took[out.met++] = m->at_us - m->asked_us;
    }
    qsort(took, out.met, sizeof *took, attack_compare);
    if (out.met > 0) {
        out.p50_us = took[out.met / 2];
        out.p95_us = took[out.met * 95 / 100];
    }
    if (a != NULL)
        attack_figures(a, &out.figures);
    free(took);
    sim_free(s);
    attack_free(a);
    return out;
}

static inline void attack_show(const char *name, const struct attack_result *o)
{
    const struct attack_figures *f = &o->figures;
    printf("%s: %u of %u met, p50 %llu ms, p95 %llu ms; came: %llu finds, %llu announces, %llu "
           "seeks, %llu attends, %llu introductions; sent %llu (%llu bytes); stored %llu, refused "
           "%llu, read %llu, offers %llu\n",
           name, o->met, o->pairs, (unsigned long long)o->p50_us / 1000,
           (unsigned long long)o->p95_us / 1000, (unsigned long long)f->finds,
           (unsigned long long)f->announces, (unsigned long long)f->seeks,
           (unsigned long long)f->attends, (unsigned long long)f->introductions,
           (unsigned long long)f->sent, (unsigned long long)f->sent_bytes,
           (unsigned long long)f->stored, (unsigned long long)f->refused,
           (unsigned long long)f->samples, (unsigned long long)f->offers);
    fflush(stdout);
}

#endif
