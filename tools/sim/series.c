#include "tools/sim/series.h"

#include "tools/sim/sim_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct series {
    usec_t every_us;
    struct sim_row *row;
    size_t rows, room;
    struct sim_row total; // at the last row, since the start
};

static struct sim_row totals(const struct sim *s)
{
    return (struct sim_row){.at_us = s->now,
                            .alive = s->alive[0] + s->alive[1],
                            .clients = s->alive[0],
                            .servers = s->alive[1],
                            .waiting = s->waiting,
                            .seeks = s->seeks,
                            .matches = s->matches,
                            .started = s->started,
                            .ended = s->ended,
                            .events = s->events,
                            .datagrams = s->datagrams,
                            .bytes = s->bytes,
                            .lost = s->net.lost + s->net.nowhere,
                            .filtered = s->net.filtered,
                            .overflown = s->net.overflown,
                            .lookups = s->lookups,
                            .lookups_ok = s->lookups_ok,
                            .recalls = s->recall.lookups,
                            .recalled = s->recall.whole};
}

static void tick(struct sim *s, void *ctx, uint64_t arg)
{
    (void)ctx;
    (void)arg;
    struct series *x = s->series;
    if (x->rows == x->room) {
        x->room = x->room == 0 ? 256 : 2 * x->room;
        x->row = sim_grow(x->row, x->room, sizeof *x->row);
    }
    struct sim_row now = totals(s), *r = &x->row[x->rows++];
    const struct sim_row *t = &x->total;
    *r = now;
    r->seeks -= t->seeks;
    r->matches -= t->matches;
    r->started -= t->started;
    r->ended -= t->ended;
    r->events -= t->events;
    r->datagrams -= t->datagrams;
    r->bytes -= t->bytes;
    r->lost -= t->lost;
    r->filtered -= t->filtered;
    r->overflown -= t->overflown;
    r->lookups -= t->lookups;
    r->lookups_ok -= t->lookups_ok;
    r->recalls -= t->recalls;
    r->recalled -= t->recalled;
    r->lookup_us_p50 = sim_hist_at(&s->recent_us, 500);
    r->lookup_us_p95 = sim_hist_at(&s->recent_us, 950);
    if (s->recent_us.count > 0)
        memset(&s->recent_us, 0, sizeof s->recent_us);
    for (uint32_t i = 0; i < SIM_CLASSES; i++)
        s->class[i].node_us += s->class[i].alive * x->every_us;
    x->total = now;
    if (x->rows % SIM_RECALL_ROWS == 1)
        sim_recall_tick(s);
    sim_at(s, s->now + x->every_us, tick, NULL, 0);
}

void sim_series_begin(struct sim *s, usec_t every_us)
{
    s->series = sim_grow(NULL, 1, sizeof *s->series);
    *s->series = (struct series){.every_us = every_us};
    sim_at(s, s->now + every_us, tick, NULL, 0);
}

void sim_series_free(struct sim *s)
{
    if (s->series != NULL)
        free(s->series->row);
    free(s->series);
}

size_t sim_series_rows(const struct sim *s, const struct sim_row **rows)
{
    *rows = s->series != NULL ? s->series->row : NULL;
    return s->series != NULL ? s->series->rows : 0;
}

bool sim_series_write(const struct sim *s, FILE *f)
{
    const struct sim_row *r;
    size_t n = sim_series_rows(s, &r);
    fputs(
        "at_s,alive,clients,servers,waiting,seeks,matches,started,ended,events,datagrams,bytes,"
        "lost,filtered,overflown,lookups,lookups_ok,lookup_ms_p50,lookup_ms_p95,recalls,recalled\n",
        f);
    for (; n > 0; n--, r++) {
        fprintf(f, "%" PRIu64 ".%03u,%u,%u,%u,%u,%u,%u,%u,%u,", r->at_us / USEC_PER_S,
                (unsigned)(r->at_us / USEC_PER_MS % 1000), r->alive, r->clients, r->servers,
                r->waiting, r->seeks, r->matches, r->started, r->ended);
        fprintf(f, "%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",",
                r->events, r->datagrams, r->bytes, r->lost, r->filtered, r->overflown);
        fprintf(
            f,
            "%" PRIu64 ",%" PRIu64 ",%" PRIu64 ".%03u,%" PRIu64 ".%03u,%" PRIu64 ",%" PRIu64 "\n",
            r->lookups, r->lookups_ok, r->lookup_us_p50 / 1000, (unsigned)(r->lookup_us_p50 % 1000),
            r->lookup_us_p95 / 1000, (unsigned)(r->lookup_us_p95 % 1000), r->recalls, r->recalled);
    }
    return fflush(f) == 0 && ferror(f) == 0;
}

static int compare(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

uint64_t sim_series_peak(const struct sim *s, usec_t from_us)
{
    const struct sim_row *r;
    size_t n = sim_series_rows(s, &r), k = 0;
    uint64_t *v = sim_grow(NULL, n + 1, sizeof *v);
    for (size_t i = 0; i < n; i++)
        if (r[i].at_us > from_us)
            v[k++] = r[i].datagrams;
    qsort(v, k, sizeof *v, compare);
    uint64_t peak = k > 0 && v[k / 2] > 0 ? v[k - 1] * 100 / v[k / 2] : 0;
    free(v);
    return peak;
}
