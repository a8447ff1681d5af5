// connect: two people meet over a network of real nodes; what the second one waits for.
#include "tools/bench/bench.h"
#include "tools/bench/network.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JOIN_S 30.0
#define KNOWN_CONTACTS 8u // enough servers to find a region
#define MEET_S 10.0
#define AT_ONCE_S 2.0 // the target that --at-once counts

struct person {
    struct host_node *node;
    uint32_t encounter, said;
    bool matched, delivered, heard;
};

static void on_event(void *ctx, struct host_node *node, const struct node_event *ev)
{
    struct person *p = ctx;
    (void)node;
    p->matched = p->matched || ev->kind == NODE_MATCHED;
    p->delivered = p->delivered || (ev->kind == NODE_DELIVERED && ev->id == p->said);
    p->heard = p->heard || ev->kind == NODE_MESSAGE;
}

static uint32_t records(struct bench_network *w)
{
    uint32_t sum = 0;
    for (unsigned i = 0; i < w->servers; i++) {
        struct node_status s;
        node_status(host_node_machine(w->server[i]), host_now(w->host), &s);
        sum += s.dht.records_held;
    }
    return sum;
}

static int person_seek(struct bench_network *w, struct person *p, const char *topic)
{
    struct node_topic t = {.text = topic, .len = strlen(topic)};
    struct card card = {0};
    struct wishes wishes = {0};
    int rc = node_seek(host_node_machine(p->node), host_now(w->host), &t, 1, &card, &wishes,
                       &p->encounter);
    host_node_turn(p->node);
    return rc;
}

static void person_say(struct bench_network *w, struct person *p)
{
    static const uint8_t text[] = "hello";
    (void)node_say(host_node_machine(p->node), host_now(w->host), p->encounter, text,
                   sizeof text - 1, &p->said);
    host_node_turn(p->node);
}

// Runs the loop until *flag or the time is over.
static bool run_until(struct bench_network *w, const bool *flag, double seconds)
{
    double start = bench_now_s();
    while (!*flag && bench_now_s() - start < seconds)
        uv_run(&w->loop, UV_RUN_ONCE);
    return *flag;
}

static bool person_start(struct bench_network *w, struct person *p)
{
    memset(p, 0, sizeof *p);
    p->node = bench_network_node(w, on_event, p, false);
    if (p->node == NULL)
        return false;
    (void)host_node_bootstrap(p->node, &w->first);
    unsigned want = w->servers < KNOWN_CONTACTS ? w->servers : KNOWN_CONTACTS;
    double start = bench_now_s();
    while (!bench_network_knows(w, p->node, want) && bench_now_s() - start < JOIN_S)
        uv_run(&w->loop, UV_RUN_ONCE);
    return true;
}

struct result {
    double ms, derive_ms;
    bool met;
};

// Ana waits; Ben comes, meets her, and says hello. Or both come at once, and Ben says hello.
static void connect_once(struct bench_network *w, unsigned run, bool at_once, struct result *r)
{
    static struct person ana, ben; // the hosts' events point at them
    char topic[32];
    struct node_status s;
    double start = 0;
    r->met = false;
    if (!person_start(w, &ana) || !person_start(w, &ben))
        return;
    snprintf(topic, sizeof topic, "bench topic %u", run);
    uint32_t before = records(w);
    if (person_seek(w, &ana, topic) != 0)
        return;
    while (!at_once && records(w) < before + (w->servers < 8 ? w->servers : 8))
        uv_run(&w->loop, UV_RUN_ONCE);
    start = bench_now_s();
    if (person_seek(w, &ben, topic) != 0)
        return;
    if (run_until(w, &ben.matched, MEET_S)) {
        person_say(w, &ben);
        r->met = run_until(w, &ben.delivered, MEET_S);
    }
    r->ms = (bench_now_s() - start) * 1000;
    node_status(host_node_machine(ben.node), host_now(w->host), &s);
    r->derive_ms = (double)s.meet.derive_us / 1000;
    (void)node_end(host_node_machine(ana.node), host_now(w->host), ana.encounter);
    host_node_turn(ana.node);
    (void)node_end(host_node_machine(ben.node), host_now(w->host), ben.encounter);
    host_node_turn(ben.node);
    host_node_close(ana.node);
    host_node_close(ben.node);
}

int bench_connect(const struct bench_options *o)
{
    struct bench_network w;
    if (bench_network_open(&w, o->nodes) != 0)
        return 1;
    double *ms = calloc(o->runs, sizeof *ms), *bare = calloc(o->runs, sizeof *bare);
    double *derive = calloc(o->runs, sizeof *derive);
    size_t met = 0, in_time = 0;
    for (unsigned i = 0; ms != NULL && bare != NULL && derive != NULL && i < o->runs; i++) {
        struct result r;
        connect_once(&w, i, o->at_once != 0, &r);
        if (!r.met)
            continue;
        in_time += r.ms <= AT_ONCE_S * 1000;
        ms[met] = r.ms;
        bare[met] = r.ms - r.derive_ms;
        derive[met++] = r.derive_ms;
    }
    bench_sort(ms, met);
    bench_sort(bare, met);
    bench_sort(derive, met);
    printf("{\"mode\": \"connect\", \"nodes\": %u, \"runs\": %u, \"at_once\": %s, \"met\": %zu, "
           "\"met_in_2_s\": %zu, \"ms_min\": %.1f, \"ms_p50\": %.1f, \"ms_max\": %.1f, "
           "\"derive_ms\": %.1f, \"bare_ms_p50\": %.1f, \"bare_ms_max\": %.1f}\n",
           o->nodes, o->runs, o->at_once ? "true" : "false", met, in_time, met > 0 ? ms[0] : 0,
           bench_quantile(ms, met, 0.5), met > 0 ? ms[met - 1] : 0,
           bench_quantile(derive, met, 0.5), bench_quantile(bare, met, 0.5),
           met > 0 ? bare[met - 1] : 0);
    free(ms);
    free(bare);
    free(derive);
    return met == o->runs ? 0 : 1;
}
