// A scenario's cast and its phases: who is added when, and what happens.
#include "tools/sim/scenario.h"
#include "tools/sim/series.h"
#include "tools/sim/sim_internal.h"

#include <stdio.h>
#include <stdlib.h>

static void add_nodes(struct sim *s, const struct scenario *sc)
{
    uint32_t first = sc->population.bootstraps > 0 ? sc->population.bootstraps : 1;
    for (uint32_t i = 0; i < sc->nodes; i++) {
        usec_t at_us = i < first ? SIM_FIRST_EVERY_US * i
                                 : sim_prf_u64(&s->prf, SIM_PRF_JOIN, i, 0, 0) % (sc->join_us + 1);
        (void)sim_population_add(s, at_us);
    }
}

// ---- people -------------------------------------------------------------------------------------------

struct arrivals { // of one phase
    struct sim *s;
    const struct scenario_phase *phase;
    uint32_t group;
};

static uint32_t add_person(const struct arrivals *a, const char *topic, usec_t at_us,
                           uint32_t partner)
{
    struct sim_person_config p = {.node = sim_seat(a->s, a->s->people),
                                  .topic = topic,
                                  .seek_at_us = at_us,
                                  .messages = a->phase->messages,
                                  .gap_us = a->phase->gap_us,
                                  .talk_us = a->phase->talk_us,
                                  .group = a->group,
                                  .partner = partner};
    return p.node != SIM_NOBODY ? sim_person_add(a->s, &p) : SIM_NOBODY;
}

static usec_t moment(const struct arrivals *a, uint32_t number)
{
    uint64_t r = sim_prf_u64(&a->s->prf, SIM_PRF_SEEK, number, 2, a->group);
    return a->phase->at_us + r % (a->phase->duration_us + 1);
}

static void begin_group(struct arrivals *a, enum sim_kind kind)
{
    static const char *const what[] = {"plain", "waiting", "together", "crowd", "browsing"};
    const struct scenario_phase *ph = a->phase;
    char name[32];
    snprintf(name, sizeof name, "%.20s %s", ph->name, what[kind]);
    struct sim_group_config g = {.name = name, .kind = kind};
    if (kind == SIM_BROWSING) {
        g.topics = ph->topics;
        g.pause_us = 3600 * USEC_PER_S / ph->seeks_per_hour;
        g.patience_us = ph->patience_us;
        g.until_us = ph->at_us + ph->duration_us;
    }
    a->group = sim_group_add(a->s, &g);
}

static void add_pairs(struct arrivals *a, uint32_t pairs, usec_t wait_us)
{
    for (uint32_t i = 0; i < pairs; i++) {
        char topic[64];
        snprintf(topic, sizeof topic, "%.20s %u %u", a->phase->name, a->group, i);
        usec_t first_us = moment(a, i);
        usec_t later_us =
            wait_us + sim_prf_u64(&a->s->prf, SIM_PRF_PAIR, i, a->group, 0) % (wait_us / 2 + 1);
        uint32_t one = add_person(a, topic, first_us, 0);
        if (one == SIM_NOBODY || add_person(a, topic, first_us + later_us, one + 1) == SIM_NOBODY)
            return;
    }
}

static void add_people(struct sim *s, const struct scenario *sc, const struct scenario_phase *ph)
{
    struct arrivals a = {s, ph, 0};
    if (ph->waiting.value > 0) {
        begin_group(&a, SIM_WAITING);
        add_pairs(&a, scenario_amount(sc, ph->waiting), ph->wait_us);
    }
    if (ph->together.value > 0) {
        begin_group(&a, SIM_TOGETHER);
        add_pairs(&a, scenario_amount(sc, ph->together), 0);
    }
    if (ph->crowd.value > 0) {
        begin_group(&a, SIM_CROWD);
        uint32_t n = scenario_amount(sc, ph->crowd);
        // An odd one out of a share would wait in vain.
        for (uint32_t i = 0; i < (ph->crowd.percent ? n - n % 2 : n); i++)
            (void)add_person(&a, ph->name, moment(&a, i), 0);
    }
    if (ph->browsing.value > 0) {
        begin_group(&a, SIM_BROWSING);
        usec_t pause_us = 3600 * USEC_PER_S / ph->seeks_per_hour;
        for (uint32_t i = 0; i < scenario_amount(sc, ph->browsing); i++) {
            uint64_t r = sim_prf_u64(&s->prf, SIM_PRF_SEEK, i, 3, a.group);
            (void)add_person(&a, NULL, s->now + r % (pause_us + 1), 0);
        }
    }
}

// ---- phases -------------------------------------------------------------------------------------------

static void end_quiet(struct sim *s, void *ctx, uint64_t arg)
{
    (void)ctx;
    (void)arg;
    sim_idle_end(s);
}

static bool struck(const struct sim *s, uint32_t node, uint64_t phase, uint32_t percent)
{
    return sim_prf_below(&s->prf, SIM_PRF_VICTIM, node, 0, phase, 100) < percent;
}

static void begin_phase(struct sim *s, void *ctx, uint64_t number)
{
    const struct scenario *sc = ctx;
    const struct scenario_phase *ph = &sc->phase[number];
    for (uint32_t i = 0; i < s->hosts; i++) {
        if (struck(s, i, number, ph->kill_percent))
            sim_node_kill(s, s->now, i);
        else if (struck(s, i, number, ph->restart_percent))
            sim_restart(s, s->now, i, ph->back_us);
    }
    add_people(s, sc, ph);
    if (ph->quiet) {
        sim_idle_begin(s);
        sim_at(s, s->now + ph->duration_us, end_quiet, NULL, 0);
    }
}

static void add_phase(struct sim *s, const struct scenario *sc, uint32_t number)
{
    const struct scenario_phase *ph = &sc->phase[number];
    struct sim_fault f = {.from_us = ph->at_us, .to_us = ph->at_us + ph->duration_us};
    sim_at(s, ph->at_us, begin_phase, s->stage, number);
    if (ph->cut_percent > 0) {
        f.cut = true;
        f.share_ppm = 10000 * ph->cut_percent;
        (void)sim_network_fault(&s->net, &f);
    }
    if (ph->lossy_percent > 0) {
        f.cut = false;
        f.share_ppm = 10000 * ph->lossy_percent;
        f.loss_ppm = ph->lossy_loss_ppm;
        (void)sim_network_fault(&s->net, &f);
    }
}

struct sim *scenario_build(const struct scenario *sc)
{
    struct sim_config cfg = {.seed = sc->seed,
                             .network = sc->network,
                             .loss_ppm = sc->loss_ppm,
                             .lab = sc->lab,
                             .no_prefix_limits = !sc->prefix_limits,
                             .puzzle_bits = (uint8_t)sc->puzzle_bits,
                             .no_aes_percent = (uint8_t)sc->no_aes_percent,
                             .unix_start_s = sc->unix_start_s,
                             .modelled = sc->modelled};
    struct sim *s = sim_new(&cfg);
    struct scenario *own = sim_grow(NULL, 1, sizeof *own); // it outlives the caller's
    *own = *sc;
    s->stage = own;
    s->config.network = own->network;
    s->net.burst_ppm = sc->burst_ppm;
    sim_threads(s, sc->threads);
    struct sim_population p = sc->population;
    if (p.classes == 0)
        p.class[p.classes++] = sc->plain;
    p.bootstraps = p.bootstraps < sc->nodes ? p.bootstraps : sc->nodes;
    sim_population_set(s, &p);
    sim_series_begin(s, sc->series_us);
    add_nodes(s, own);
    sim_load_add(s, &sc->load);
    for (uint32_t i = 0; i < sc->phases; i++)
        add_phase(s, own, i);
    attack_scenario_begin(s, &own->attacks, own->network, p.bootstraps);
    return s;
}
