// A run's figures as one JSON object.
#include "tools/sim/scenario.h"
#include "tools/sim/series.h"
#include "tools/sim/sim_internal.h"

#include <jansson.h>

static void put(json_t *o, const char *name, uint64_t v)
{
    json_object_set_new(o, name, json_integer((json_int_t)v));
}

static void put_ms(json_t *o, const char *name, uint64_t us)
{
    json_object_set_new(o, name, json_real((double)us / 1000));
}

static void put_ratio(json_t *o, const char *name, uint64_t part, uint64_t whole)
{
    json_object_set_new(o, name, whole > 0 ? json_real((double)part / (double)whole) : json_null());
}

static json_t *classes(const struct scenario *sc, const struct sim_figures *f)
{
    json_t *all = json_array();
    uint32_t n = sc->population.classes > 0 ? sc->population.classes : 1;
    for (uint32_t i = 0; i < n; i++) {
        json_t *o = json_object();
        const char *name = sc->population.classes > 0 ? sc->population.class[i].name : "all";
        json_object_set_new(o, "name", json_string(name));
        put(o, "alive", f->class[i].alive);
        put(o, "Bps_out", f->class[i].Bps_out);
        put(o, "Bps_in", f->class[i].Bps_in);
        json_array_append_new(all, o);
    }
    return all;
}

// People who do the same, phase by phase.
static json_t *groups(const struct sim *s)
{
    json_t *all = json_array();
    for (uint32_t i = 0; i < s->groups; i++) {
        const struct sim_group *g = &s->group[i];
        json_t *o = json_object();
        json_object_set_new(o, "name", json_string(g->name));
        put(o, "people", g->people);
        put(o, "seeks", g->seeks);
        put(o, "matched", g->matches);
        put(o, "gave_up", g->gave_up);
        put_ms(o, "match_ms_p50", sim_hist_at(&g->wait_us, 500));
        put_ms(o, "match_ms_p95", sim_hist_at(&g->wait_us, 950));
        put_ms(o, "match_ms_max", g->wait_us.max);
        put_ms(o, "last_match_after_last_seek_ms",
               g->last_match_us > g->last_seek_us ? g->last_match_us - g->last_seek_us : 0);
        uint64_t most_ms = sim_hist_at(&g->since_ms, 990);
        uint64_t came_ms = (g->last_seek_us - g->first_seek_us) / USEC_PER_MS;
        put(o, "most_matched_after_last_seek_ms", most_ms > came_ms ? most_ms - came_ms : 0);
        json_array_append_new(all, o);
    }
    return all;
}

static json_t *attacks(const struct sim *s)
{
    json_t *all = json_array();
    for (uint32_t i = 0; i < s->attacks; i++) {
        const struct attack *a = s->attack[i];
        struct attack_figures f;
        struct attack_probe_figures p = {0};
        json_t *o = json_object();
        attack_figures(a, &f);
        if (attack_probes(a) != NULL)
            attack_probe_figures(s, attack_probes(a), &p);
        json_object_set_new(o, "kind", json_string(attack_kind_name(a)));
        put(o, "hosts", attack_hosts(a));
        put(o, "seeks", p.pairs);
        put(o, "seeks_met", p.met);
        put_ms(o, "seek_ms_p50", p.p50_us);
        put_ms(o, "seek_ms_p95", p.p95_us);
        put(o, "finds_taken", f.finds);
        put(o, "announces_taken", f.announces);
        put(o, "seeks_taken", f.seeks);
        put(o, "introductions_taken", f.introductions);
        put(o, "sent", f.sent);
        put(o, "sent_bytes", f.sent_bytes);
        put(o, "records_stored", f.stored);
        put(o, "records_refused", f.refused);
        put(o, "offers", f.offers);
        put(o, "victim_bytes", f.victim_bytes);
        json_array_append_new(all, o);
    }
    return all;
}

char *scenario_summary(struct sim *s, const struct scenario *sc, double wall_s,
                       uint64_t peak_rss_bytes)
{
    struct sim_figures f;
    char digest[65];
    sim_figures(s, &f);
    sim_digest(s, digest);
    json_t *o = json_object();
    put(o, "nodes", f.nodes);
    json_object_set_new(o, "seed", json_integer((json_int_t)sc->seed));
    json_object_set_new(o, "virtual_s", json_real((double)sim_now(s) / 1e6));
    json_object_set_new(o, "wall_s", json_real(wall_s));
    put(o, "events", f.events);
    json_object_set_new(o, "events_per_s", json_real(wall_s > 0 ? (double)f.events / wall_s : 0));
    put(o, "peak_rss_bytes", peak_rss_bytes);
    put(o, "bytes_per_node", f.bytes_per_node);
    json_object_set_new(o, "digest", json_string(digest));
    put(o, "lookups", f.lookups);
    put(o, "lookup_ok", f.lookups_ok);
    put_ms(o, "lookup_ms_p50", f.lookup_us_p50);
    put_ms(o, "lookup_ms_p95", f.lookup_us_p95);
    put(o, "lookup_hops_p50", f.lookup_hops_p50);
    put_ms(o, "announce_ms_p50", f.announce_us_p50);
    put_ms(o, "announce_ms_p95", f.announce_us_p95);
    if (sc->load.to_us > 0) {
        put(o, "announces", sim_load_figures(s)->begun);
        put(o, "announces_stored", sim_load_figures(s)->stored);
    }
    put(o, "seeks", f.seeks);
    put(o, "matched", f.matched);
    put_ms(o, "match_ms_p50", f.match_us_p50);
    put_ms(o, "match_ms_p95", f.match_us_p95);
    put(o, "idle_Bps_out", f.idle_Bps_out);
    put(o, "idle_Bps_in", f.idle_Bps_in);
    put(o, "idle_nodes", f.idle_nodes);
    put(o, "idle_client_Bps_out", f.idle_client_Bps_out);
    put(o, "idle_client_Bps_in", f.idle_client_Bps_in);
    put(o, "idle_clients", f.idle_clients);
    put(o, "pairs", f.pairs);
    put(o, "pairs_possible", f.pairs_possible);
    put(o, "pairs_matched", f.pairs_matched);
    put(o, "alive", f.alive);
    put(o, "datagrams", f.datagrams);
    put(o, "datagrams_lost", f.lost);
    put(o, "datagrams_filtered", f.filtered);
    put(o, "datagrams_overflown", f.overflown);
    put(o, "datagrams_oversized", f.oversized);
    put(o, "outbox_dropped", f.outbox_dropped);
    put(o, "messages_said", f.said);
    put(o, "messages_received", f.received);
    put(o, "messages_delivered", f.delivered);
    put(o, "messages_undelivered", f.undelivered);
    put(o, "failures", sim_failures(s));
    put_ratio(o, "recall", f.recalled, f.recalls);
    put_ratio(o, "recall_share", f.recall_found, f.recall_nearest);
    put_ratio(o, "recall_at_once_share", f.recall_found_at_once, f.recall_nearest_at_once);
    put(o, "recall_lookups", f.recalls);
    put_ratio(o, "joined_share", f.joined, f.joins);
    put(o, "join_requests_p50", f.join_requests_p50);
    put(o, "join_requests_p95", f.join_requests_p95);
    put(o, "server_bytes_max", f.server_bytes_max);
    put(o, "server_bytes_p50", f.server_bytes_p50);
    put_ratio(o, "hottest_by_median", f.server_bytes_max, f.server_bytes_p50);
    put_ratio(o, "peak_by_normal", sim_series_peak(s, sc->join_us + SIM_SETTLED_US), 100);
    json_object_set_new(o, "classes", classes(sc, &f));
    json_object_set_new(o, "groups", groups(s));
    json_object_set_new(o, "attacks", attacks(s));
    char *text = json_dumps(o, JSON_REAL_PRECISION(9));
    json_decref(o);
    return text;
}
