#include "tools/sim/attack_probe.h"

#include "tools/sim/sim_internal.h"

#include <stdio.h>
#include <stdlib.h>

#define SPREAD_US 3000000u // of those that come all at once
#define JOIN_US 20000000u

static usec_t first_seek(const struct attack_probe_config *cfg, uint32_t pair)
{
    return cfg->at_us + (cfg->topic != NULL ? pair * (usec_t)ATTACK_PROBE_SLOT_US
                                            : pair * (usec_t)SPREAD_US / cfg->pairs);
}

usec_t attack_probe_end(const struct attack_probe_config *cfg)
{
    return cfg->pairs == 0 ? 0 : first_seek(cfg, cfg->pairs - 1) + ATTACK_PROBE_SLOT_US;
}

struct attack_probes attack_probe_add(struct sim *s, const struct attack_probe_config *cfg)
{
    struct attack_probes out = {.first_person = sim_people(s), .pairs = cfg->pairs};
    out.end_us = attack_probe_end(cfg);
    for (uint32_t i = 0; i < cfg->pairs; i++) {
        usec_t at_us = first_seek(cfg, i);
        char own[32];
        snprintf(own, sizeof own, "probe %u", i);
        for (uint32_t k = 0; k < 2; k++) {
            struct sim_node_config n = {.bootstraps = cfg->bootstraps};
            n.site.v6 = n.site.no_v4 = cfg->v6;
            for (uint32_t b = 0; b < n.bootstraps; b++)
                n.bootstrap[b] = b;
            struct sim_person_config p = {.topic = cfg->topic != NULL ? cfg->topic : own};
            p.seek_at_us = at_us + k * ATTACK_PROBE_LATE_US;
            p.node = sim_node_add(s, at_us > JOIN_US ? at_us - JOIN_US : 0, &n);
            // Whoever finds nobody must not wait for the next pair.
            sim_person_end(s, at_us + ATTACK_PROBE_SLOT_US - USEC_PER_S, sim_person_add(s, &p));
        }
    }
    return out;
}

static int compare(const void *a, const void *b)
{
    const usec_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

void attack_probe_figures(const struct sim *s, const struct attack_probes *p,
                          struct attack_probe_figures *f)
{
    usec_t *took = sim_grow(NULL, p->pairs + 1, sizeof *took);
    *f = (struct attack_probe_figures){.pairs = p->pairs};
    for (uint32_t i = 0; i < p->pairs; i++) {
        uint32_t first = p->first_person + 2 * i;
        const struct sim_match *m = sim_last_match(s, first + 1);
        if (m != NULL && m->peer == first)
            took[f->met++] = m->at_us - m->asked_us;
    }
    qsort(took, f->met, sizeof *took, compare);
    if (f->met > 0) {
        f->p50_us = took[f->met / 2];
        f->p95_us = took[f->met * 95 / 100];
    }
    free(took);
}
