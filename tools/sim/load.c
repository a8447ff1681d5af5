#include "tools/sim/load.h"

#include "dht/internal.h"
#include "tools/sim/mix.h"
#include "tools/sim/sim_internal.h"

// Nobody of node/meet has this number, so its events end in the node.
#define NOBODYS_USER UINT32_MAX

static void check(struct sim *s, void *ctx, uint64_t arg)
{
    (void)ctx;
    uint32_t i = (uint32_t)arg;
    const struct node *node = s->host[i]->node;
    const struct place *p =
        node != NULL ? place_find(node_dht(s->host[i]->node), s->host[i]->load) : NULL;
    bool stored = false;
    for (unsigned k = 0; p != NULL && k < p->holders; k++)
        stored = stored || (p->holder[k].version_acked != 0 && p->holder[k].expires > s->now);
    s->load.stored += stored;
}

static void begin(struct sim *s, void *ctx, uint64_t arg)
{
    (void)ctx;
    uint32_t i = (uint32_t)arg, ttl_s = (uint32_t)(arg >> 32);
    struct sim_host *h = s->host[i];
    if (h->node == NULL)
        return;
    uint8_t place[32], record[RECORD_BYTES];
    struct mix_state m = {sim_prf_u64(&s->prf, SIM_PRF_LOAD, i, 0, 0),
                          sim_prf_u64(&s->prf, SIM_PRF_LOAD, i, 0, 1)};
    mix_out(&m, place, sizeof place);
    mix_absorb(&m, 1, 1);
    mix_out(&m, record, sizeof record);
    struct dht *d = node_dht(h->node);
    if (dht_place_open(d, s->now, place, NOBODYS_USER, &h->load) != 0 ||
        dht_place_record_id(d, h->load, record) != 0 ||
        dht_place_announce(d, s->now, h->load, record, ttl_s, NULL) != 0) {
        sim_fail(s, "node %u can't announce", i);
        return;
    }
    s->load.begun++;
    sim_command(s, s->now + SIM_LOAD_CHECK_US, i, i, check, NULL, i);
}

void sim_load_add(struct sim *s, const struct sim_load_config *cfg)
{
    for (uint32_t i = 0; cfg->to_us > 0 && i < s->hosts; i++) {
        usec_t at_us = cfg->from_us + sim_prf_u64(&s->prf, SIM_PRF_LOAD, i, 1, 0) %
                                          (cfg->to_us - cfg->from_us + 1);
        sim_command(s, at_us, i, SIM_NOBODY, begin, NULL, (uint64_t)cfg->ttl_s << 32 | i);
    }
}

const struct sim_load_figures *sim_load_figures(const struct sim *s)
{
    return &s->load;
}
