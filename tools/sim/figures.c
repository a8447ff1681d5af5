// What a run comes to: the digest, percentiles, traffic of idle nodes, memory.
#include "tools/sim/sim_internal.h"

#include "crypto/bytes.h"
#include "tools/sim/modelled.h"

#include <sodium.h>
#include <stdlib.h>

// The sum over all nodes of BLAKE2b-256(LE32 i || H_i), modulo 2^256.
void sim_digest(const struct sim *s, char hex[static 65])
{
    uint8_t sum[32] = {0};
    modelled_use(false);
    for (uint32_t i = 0; i < s->hosts; i++) {
        uint8_t in[20], out[32];
        struct wr w = wr_init(in, sizeof in);
        wr_le32(&w, i);
        wr_bytes(&w, s->host[i]->chain, sizeof s->host[i]->chain);
        crypto_generichash(out, sizeof out, in, sizeof in, NULL, 0);
        sodium_add(sum, out, sizeof sum);
    }
    modelled_use(s->config.modelled);
    sodium_bin2hex(hex, 65, sum, sizeof sum);
}

static bool without_encounter(const struct sim_host *h)
{
    struct node_encounter_status one;
    return h->node != NULL && node_encounters(h->node, &one, 1) == 0;
}

void sim_idle_begin(struct sim *s)
{
    s->idle_since = s->now;
    for (uint32_t i = 0; i < s->hosts; i++) {
        struct sim_host *h = s->host[i];
        h->idle = without_encounter(h);
        h->idle_in = h->bytes_in;
        h->idle_out = h->bytes_out;
    }
}

void sim_idle_end(struct sim *s)
{
    if (s->idle_since == USEC_NEVER)
        return;
    s->idle[0].nodes = s->idle[1].nodes = 0;
    for (uint32_t i = 0; i < s->hosts; i++) {
        struct sim_host *h = s->host[i];
        struct sim_idle *t = &s->idle[h->server];
        if (!h->idle || !without_encounter(h))
            continue;
        t->nodes++;
        t->node_us += s->now - s->idle_since;
        t->bytes_in += h->bytes_in - h->idle_in;
        t->bytes_out += h->bytes_out - h->idle_out;
        h->idle = false;
    }
    s->idle_since = USEC_NEVER;
}

static uint64_t per_s(uint64_t bytes, uint64_t node_us)
{
    return node_us > 0 ? bytes * USEC_PER_S / node_us : 0;
}

static void idle_figures(struct sim *s, struct sim_figures *f)
{
    sim_idle_end(s);
    f->idle_nodes = s->idle[1].nodes;
    f->idle_clients = s->idle[0].nodes;
    f->idle_Bps_in = per_s(s->idle[1].bytes_in, s->idle[1].node_us);
    f->idle_Bps_out = per_s(s->idle[1].bytes_out, s->idle[1].node_us);
    f->idle_client_Bps_in = per_s(s->idle[0].bytes_in, s->idle[0].node_us);
    f->idle_client_Bps_out = per_s(s->idle[0].bytes_out, s->idle[0].node_us);
}

// ---- joining ------------------------------------------------------------------------------------------

static void count_join(struct sim *s, void *ctx, uint64_t arg)
{
    (void)ctx;
    uint32_t node = (uint32_t)arg;
    const struct sim_host *h = s->host[node];
    struct dht_status st;
    if (h->node == NULL || h->session != (uint32_t)(arg >> 32) || h->first_person != SIM_NOBODY)
        return;
    dht_status(node_dht(h->node), &st);
    sim_hist_add(&s->join_requests, st.requests_out);
    s->joined += st.contacts > 0;
}

void sim_figures_started(struct sim *s, uint32_t node)
{
    const struct sim_host *h = s->host[node];
    if (h->actor == NULL && node % (s->hosts / SIM_JOINS_SAMPLED + 1) == 0)
        sim_command(s, s->now + SIM_JOIN_US, node, node, count_join, NULL,
                    (uint64_t)h->session << 32 | node);
}

// ---- load ---------------------------------------------------------------------------------------------

static int more(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x > *y ? -1 : *x < *y;
}

size_t sim_server_bytes(const struct sim *s, uint64_t *out)
{
    size_t n = 0;
    for (uint32_t i = 0; i < s->hosts; i++) {
        const struct sim_host *h = s->host[i];
        if (h->node != NULL && h->server && h->session == 0 && h->actor == NULL &&
            h->started_us <= s->now / 2)
            out[n++] = h->bytes_in + h->bytes_out;
    }
    qsort(out, n, sizeof *out, more);
    return n;
}

static void load_figures(const struct sim *s, struct sim_figures *f)
{
    uint64_t *bytes = sim_grow(NULL, s->hosts + 1, sizeof *bytes);
    size_t n = sim_server_bytes(s, bytes);
    if (n > 0) {
        f->server_bytes_max = bytes[0];
        f->server_bytes_p50 = bytes[n / 2];
    }
    free(bytes);
    for (uint32_t i = 0; i < s->hosts; i++) {
        const struct sim_host *h = s->host[i];
        f->class[h->class].bytes_in += h->bytes_in;
        f->class[h->class].bytes_out += h->bytes_out;
    }
    for (uint32_t k = 0; k < SIM_CLASSES; k++) {
        f->class[k].alive = s->class[k].alive;
        f->class[k].Bps_in = per_s(f->class[k].bytes_in, s->class[k].node_us);
        f->class[k].Bps_out = per_s(f->class[k].bytes_out, s->class[k].node_us);
    }
}

void sim_figures(struct sim *s, struct sim_figures *f)
{
    *f = (struct sim_figures){.nodes = s->hosts,
                              .events = s->events,
                              .datagrams = s->datagrams,
                              .lost = s->net.lost + s->net.nowhere,
                              .filtered = s->net.filtered,
                              .overflown = s->net.overflown,
                              .oversized = s->oversized,
                              .outbox_dropped = s->out.dropped,
                              .lookups = s->lookups,
                              .lookups_ok = s->lookups_ok,
                              .lookup_us_p50 = sim_hist_at(&s->lookup_us, 500),
                              .lookup_us_p95 = sim_hist_at(&s->lookup_us, 950),
                              .lookup_hops_p50 = sim_hist_at(&s->lookup_hops, 500),
                              .announce_us_p50 = sim_hist_at(&s->announce_us, 500),
                              .announce_us_p95 = sim_hist_at(&s->announce_us, 950)};
    for (uint32_t i = 0; i < s->hosts; i++)
        f->alive += s->host[i]->node != NULL;
    uint64_t held = s->pool.held_bytes;
    for (uint32_t k = 1; k < s->shards; k++)
        held += s->shard[k]->pool.held_bytes;
    f->bytes_per_node = f->alive > 0 ? held / f->alive : 0;
    idle_figures(s, f);
    load_figures(s, f);
    sim_people_figures(s, f);
    f->recalls = s->recall.lookups;
    f->recalled = s->recall.whole;
    f->recall_nearest = s->recall.nearest;
    f->recall_found = s->recall.found;
    f->recall_nearest_at_once = s->recall.nearest_at_once;
    f->recall_found_at_once = s->recall.found_at_once;
    f->joins = (uint32_t)s->join_requests.count;
    f->joined = s->joined;
    f->join_requests_p50 = sim_hist_at(&s->join_requests, 500);
    f->join_requests_p95 = sim_hist_at(&s->join_requests, 950);
}
