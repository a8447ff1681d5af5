#include "tools/sim/report.h"

#include "gen/report_page.h"
#include "tools/sim/series.h"
#include "tools/sim/sim_internal.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POINTS_MAX 240u // of one line: more than the page has pixels to tell apart
#define HOPS_MAX 24u

static void add(json_t *o, const char *name, json_t *v)
{
    json_object_set_new(o, name, v);
}

static json_t *point(double x, double y)
{
    json_t *p = json_array();
    json_array_append_new(p, json_real(x));
    json_array_append_new(p, json_real(y));
    return p;
}

// [value, share of all that are at most that], the value divided by `unit`.
static json_t *cdf(const struct sim_hist *h, double unit)
{
    json_t *all = json_array();
    uint64_t seen = 0, shown = 0;
    for (unsigned i = 0; i < SIM_HIST_BUCKETS && h->count > 0; i++) {
        seen += h->bucket[i];
        if (h->bucket[i] == 0 || ((seen - shown) * POINTS_MAX < h->count && seen < h->count))
            continue;
        shown = seen;
        json_array_append_new(
            all, point((double)sim_hist_edge(i) / unit, (double)seen / (double)h->count));
    }
    return all;
}

static json_t *hops(const struct sim_hist *h)
{
    json_t *all = json_array();
    for (unsigned i = 0; i < HOPS_MAX && i <= h->max && h->count > 0; i++)
        json_array_append_new(all, json_integer((json_int_t)h->bucket[i]));
    return all;
}

static json_t *series(const struct sim *s)
{
    static const char *const names[] = {"at_s",      "alive",         "clients",       "servers",
                                        "waiting",   "matches",       "started",       "ended",
                                        "datagrams", "bytes",         "lost",          "overflown",
                                        "lookups",   "lookups_ok",    "recalls",       "recalled",
                                        "filtered",  "lookup_ms_p50", "lookup_ms_p95", NULL};
    const struct sim_row *r;
    size_t n = sim_series_rows(s, &r);
    json_t *o = json_object(), *columns = json_array(), *rows = json_array();
    for (unsigned i = 0; names[i] != NULL; i++)
        json_array_append_new(columns, json_string(names[i]));
    for (; n > 0; n--, r++) {
        const uint64_t v[] = {r->alive,      r->clients, r->servers,   r->waiting,
                              r->matches,    r->started, r->ended,     r->datagrams,
                              r->bytes,      r->lost,    r->overflown, r->lookups,
                              r->lookups_ok, r->recalls, r->recalled,  r->filtered};
        json_t *row = json_array();
        json_array_append_new(row, json_real((double)r->at_us / 1e6));
        for (size_t i = 0; i < sizeof v / sizeof *v; i++)
            json_array_append_new(row, json_integer((json_int_t)v[i]));
        json_array_append_new(row, json_real((double)r->lookup_us_p50 / 1e3));
        json_array_append_new(row, json_real((double)r->lookup_us_p95 / 1e3));
        json_array_append_new(rows, row);
    }
    add(o, "columns", columns);
    add(o, "rows", rows);
    return o;
}

// Every so many-th of a sorted row, both ends among them.
static json_t *sampled(const uint64_t *v, size_t n, double unit)
{
    json_t *all = json_array();
    size_t points = n < POINTS_MAX ? n : POINTS_MAX;
    for (size_t i = 0; i < points; i++)
        json_array_append_new(
            all, json_real((double)v[points > 1 ? i * (n - 1) / (points - 1) : 0] / unit));
    return all;
}

static int less(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

// Of nodes in their first session, a minute old or older.
static json_t *traffic(const struct sim *s)
{
    static const char *const names[] = {"clients", "servers"};
    json_t *all = json_array();
    uint64_t *v = sim_grow(NULL, s->hosts + 1, sizeof *v);
    for (unsigned server = 0; server < 2; server++) {
        size_t n = 0;
        for (uint32_t i = 0; i < s->hosts; i++) {
            const struct sim_host *h = s->host[i];
            if (h->node != NULL && h->session == 0 && h->server == (server != 0) &&
                h->started_us + SIM_SETTLED_US < s->now)
                v[n++] = (h->bytes_in + h->bytes_out) * USEC_PER_S / (s->now - h->started_us);
        }
        qsort(v, n, sizeof *v, less);
        json_t *o = json_object();
        add(o, "name", json_string(names[server]));
        add(o, "Bps", sampled(v, n, 1));
        json_array_append_new(all, o);
    }
    free(v);
    return all;
}

static json_t *load(const struct sim *s)
{
    uint64_t *v = sim_grow(NULL, s->hosts + 1, sizeof *v);
    size_t n = sim_server_bytes(s, v);
    uint64_t median = n > 0 ? v[n / 2] : 0;
    json_t *all = sampled(v, n, median > 0 ? (double)median : 1);
    free(v);
    return all;
}

static json_t *matches(const struct sim *s)
{
    json_t *all = json_array();
    for (uint32_t i = 0; i < s->groups; i++) {
        if (s->group[i].wait_us.count == 0)
            continue;
        json_t *o = json_object();
        add(o, "name", json_string(s->group[i].name));
        add(o, "cdf", cdf(&s->group[i].wait_us, 1000));
        json_array_append_new(all, o);
    }
    return all;
}

static json_t *phases(const struct scenario *sc)
{
    json_t *all = json_array();
    for (uint32_t i = 0; i < sc->phases; i++) {
        json_t *o = json_object();
        add(o, "name", json_string(sc->phase[i].name));
        add(o, "at_s", json_real((double)sc->phase[i].at_us / 1e6));
        add(o, "duration_s", json_real((double)sc->phase[i].duration_us / 1e6));
        add(o, "restart_percent", json_integer(sc->phase[i].restart_percent));
        json_array_append_new(all, o);
    }
    return all;
}

// ---- the scenario in words ----------------------------------------------------------------------------

static void line(json_t *all, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void line(json_t *all, const char *name, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    json_t *row = json_array();
    json_array_append_new(row, json_string(name));
    json_array_append_new(row, json_string(text));
    json_array_append_new(all, row);
}

static void describe_phase(json_t *all, const struct scenario *sc, const struct scenario_phase *ph)
{
    char text[400], name[64];
    int at =
        snprintf(text, sizeof text, "%llu to %llu s", (unsigned long long)(ph->at_us / USEC_PER_S),
                 (unsigned long long)((ph->at_us + ph->duration_us) / USEC_PER_S));
    const struct {
        uint32_t value;
        const char *what;
    } part[] = {
        {scenario_amount(sc, ph->waiting), "pairs of whom one waits"},
        {scenario_amount(sc, ph->together), "pairs who come at the same moment"},
        {scenario_amount(sc, ph->crowd), "people on one topic"},
        {scenario_amount(sc, ph->browsing), "people who browse"},
        {ph->kill_percent, "% of the nodes die"},
        {ph->restart_percent, "% of the nodes restart at once"},
        {ph->cut_percent, "% of the plane cut off"},
        {ph->lossy_percent, "% of the plane lossy"},
        {ph->quiet, "quiet, idle nodes are measured"},
    };
    for (size_t i = 0; i < sizeof part / sizeof *part && at > 0 && (size_t)at < sizeof text; i++) {
        if (part[i].value == 0)
            continue;
        bool bare = i + 1 == sizeof part / sizeof *part;
        at += bare ? snprintf(text + at, sizeof text - (size_t)at, "; %s", part[i].what)
                   : snprintf(text + at, sizeof text - (size_t)at, "; %u %s", part[i].value,
                              part[i].what);
    }
    snprintf(name, sizeof name, "phase %s", ph->name);
    line(all, name, "%s", text);
}

static json_t *describe(const struct scenario *sc)
{
    const struct sim_population *p = &sc->population;
    json_t *all = json_array();
    line(all, "network",
         "%u nodes at the start, within %llu s; %u bootstraps, %u told to each; %s crypto; prefix "
         "limits %s",
         sc->nodes, (unsigned long long)(sc->join_us / USEC_PER_S), p->bootstraps,
         p->told < p->bootstraps ? p->told : p->bootstraps, sc->modelled ? "modelled" : "real",
         sc->prefix_limits && !sc->lab ? "on" : "off");
    line(all, "paths",
         "loss %u.%02u %%, bursts %u.%02u %% of the time; IPv6 alone %u %%, both %u %%",
         sc->loss_ppm / 10000, sc->loss_ppm / 100 % 100, sc->burst_ppm / 10000,
         sc->burst_ppm / 100 % 100, p->ipv6_percent, p->dual_percent);
    line(all, "clocks", "%u %% wrong by up to %llu s", p->skew_percent,
         (unsigned long long)(p->skew_us / USEC_PER_S));
    for (uint32_t i = 0; i < (p->classes > 0 ? p->classes : 1); i++) {
        static const char *const sessions[] = {"steady", "mainline", "mobile"};
        const struct sim_node_class *k = p->classes > 0 ? &p->class[i] : &sc->plain;
        char name[40];
        snprintf(name, sizeof name, "nodes: %s", k->name);
        line(all, name,
             "%u %%; %u %% behind NATs, %u %% of the others servers; %s sessions; %u kbit/s up, %u "
             "down (0: no limit)",
             p->classes > 0 ? k->share_percent : 100, k->nat_percent, k->servers_percent,
             sessions[k->session], k->up_kbit, k->down_kbit);
    }
    if (p->session_percent > 0)
        line(all, "churn",
             "sessions of %u %% of the tables; %u %% of arrivals were there before, %u %% of who "
             "leaves says so",
             p->session_percent, p->rejoin_percent, p->polite_percent);
    for (uint32_t i = 0; i < sc->phases; i++)
        describe_phase(all, sc, &sc->phase[i]);
    return all;
}

// ---- files --------------------------------------------------------------------------------------------

static char *page_data(const struct sim *s, const struct scenario *sc, const char *name,
                       const char *summary)
{
    json_t *o = json_object();
    add(o, "name", json_string(name));
    add(o, "about", json_string(sc->about));
    add(o, "summary", json_loads(summary, 0, NULL));
    add(o, "scenario", describe(sc));
    add(o, "phases", phases(sc));
    add(o, "series", series(s));
    add(o, "lookup_cdf", cdf(&s->lookup_us, 1000));
    add(o, "hops", hops(&s->lookup_hops));
    add(o, "matches", matches(s));
    add(o, "traffic", traffic(s));
    add(o, "load", load(s));
    char *text = json_dumps(o, JSON_REAL_PRECISION(6) | JSON_COMPACT);
    json_decref(o);
    return text;
}

// Where the page has its mark comes the data; nothing in it can end the element that holds it.
static void put_page(FILE *f, const char *text)
{
    for (size_t i = 0; i < sizeof report_page / sizeof *report_page; i++) {
        if (strcmp(report_page[i], "@DATA@\n") != 0) {
            fputs(report_page[i], f);
            continue;
        }
        for (const char *p = text; *p != '\0'; p++)
            if (*p == '<')
                fputs("\\u003c", f);
            else
                fputc(*p, f);
        fputc('\n', f);
    }
}

static FILE *create(const char *folder, const char *name, char *error, size_t error_bytes)
{
    char path[4096];
    FILE *f = NULL;
    if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, name) < sizeof path)
        f = fopen(path, "w");
    if (f == NULL)
        snprintf(error, error_bytes, "%.200s: %s", name, strerror(errno));
    return f;
}

static int finish(FILE *f, const char *name, char *error, size_t error_bytes)
{
    bool ok = fflush(f) == 0 && ferror(f) == 0;
    ok = fclose(f) == 0 && ok;
    if (!ok)
        snprintf(error, error_bytes, "%s: could not be written", name);
    return ok ? 0 : -1;
}

int report_write(const struct sim *s, const struct scenario *sc, const char *name,
                 const char *summary, const char *folder, char *error, size_t error_bytes)
{
    static const char *const files[] = {"summary.json", "series.csv", "report.html"};
    for (unsigned i = 0; i < 3; i++) {
        FILE *f = create(folder, files[i], error, error_bytes);
        if (f == NULL)
            return -1;
        if (i == 0) {
            fprintf(f, "%s\n", summary);
        } else if (i == 1) {
            (void)sim_series_write(s, f);
        } else {
            char *text = page_data(s, sc, name, summary);
            put_page(f, text);
            free(text);
        }
        if (finish(f, files[i], error, error_bytes) != 0)
            return -1;
    }
    return 0;
}
