// What a run comes to: the digest, percentiles, traffic of idle nodes, memory.
#include "tools/sim/sim_internal.h"

#include "crypto/bytes.h"
#include "tools/sim/modelled.h"

#include <sodium.h>
#include <stdlib.h>

void sim_numbers_add(struct sim_numbers *n, uint64_t value)
{
    if (n->count == n->room) {
        n->room = n->room == 0 ? 256 : 2 * n->room;
        n->value = sim_grow(n->value, n->room, sizeof *n->value);
    }
    n->value[n->count++] = value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

static int compare(const void *a, const void *b)
{
    uint32_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x < y ? -1 : x > y;
}

uint64_t sim_numbers_at(struct sim_numbers *n, unsigned percent)
{
    if (n->count == 0)
        return 0;
    qsort(n->value, n->count, sizeof *n->value, compare);
    return n->value[(n->count - 1) * percent / 100];
}

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

static void idle_figures(const struct sim *s, struct sim_figures *f)
{
    uint64_t in = 0, out = 0;
    for (uint32_t i = 0; i < s->hosts; i++) {
        const struct sim_host *h = s->host[i];
        if (!h->idle || !without_encounter(h))
            continue;
        f->idle_nodes++;
        in += h->bytes_in - h->idle_in;
        out += h->bytes_out - h->idle_out;
    }
    uint64_t node_us = f->idle_nodes * (s->now - s->idle_since);
    if (s->idle_since == USEC_NEVER || node_us == 0)
        return;
    f->idle_Bps_in = in * USEC_PER_S / node_us;
    f->idle_Bps_out = out * USEC_PER_S / node_us;
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
                              .lookup_us_p50 = sim_numbers_at(&s->lookup_us, 50),
                              .lookup_us_p95 = sim_numbers_at(&s->lookup_us, 95),
                              .lookup_hops_p50 = sim_numbers_at(&s->lookup_hops, 50)};
    for (uint32_t i = 0; i < s->hosts; i++)
        f->alive += s->host[i]->node != NULL;
    f->bytes_per_node = f->alive > 0 ? s->pool.held_bytes / f->alive : 0;
    idle_figures(s, f);
    sim_people_figures(s, f);
}
