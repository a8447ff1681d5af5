#include "tools/sim/scenario.h"

#include "crypto/net.h"
#include "tools/sim/sim_internal.h"

#include <ini.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- reading ----------------------------------------------------------------------------------------

struct reading {
    struct scenario *scenario;
    char *error;
    size_t error_bytes;
};

static bool take_number(const char *text, uint64_t max, uint64_t *out)
{
    uint64_t v = 0;
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return false;
        unsigned digit = (unsigned)(*text - '0');
        if (digit > max || v > (max - digit) / 10)
            return false;
        v = 10 * v + digit;
    }
    *out = v;
    return true;
}

// "12.5" with up to three digits after the point, in thousandths.
static bool take_thousandths(const char *text, uint64_t max, uint64_t *out)
{
    char whole[32], part[4] = "000";
    size_t len = strcspn(text, ".");
    if (len == 0 || len >= sizeof whole)
        return false;
    memcpy(whole, text, len);
    whole[len] = '\0';
    if (text[len] == '.') {
        size_t digits = strlen(text + len + 1);
        if (digits == 0 || digits > 3)
            return false;
        memcpy(part, text + len + 1, digits);
    }
    uint64_t a, b;
    if (!take_number(whole, max, &a) || !take_number(part, 999, &b))
        return false;
    *out = 1000 * a + b;
    return *out <= 1000 * max;
}

enum field_type {
    FIELD_U32,
    FIELD_U64,
    FIELD_I64,
    FIELD_SECONDS,
    FIELD_MS,
    FIELD_PPM,
    FIELD_BOOL,
    FIELD_AMOUNT,
    FIELD_NAME,
    FIELD_CRYPTO
};
struct field {
    const char *section, *name;
    enum field_type type;
    size_t offset;
    uint64_t max;
};

#define AT(member) offsetof(struct scenario, member)
#define SECONDS_MAX (100u * DAY_SECONDS)
static const struct field fields[] = {
    {"network", "name", FIELD_NAME, AT(network), 0},
    {"network", "seed", FIELD_U64, AT(seed), INT64_MAX},
    {"network", "nodes", FIELD_U32, AT(nodes), SIM_NODES_MAX},
    {"network", "servers_percent", FIELD_U32, AT(servers_percent), 100},
    {"network", "bootstraps", FIELD_U32, AT(bootstraps), SIM_BOOTSTRAPS_MAX},
    {"network", "loss_percent", FIELD_PPM, AT(loss_ppm), 99},
    {"network", "lab", FIELD_BOOL, AT(lab), 0},
    {"network", "prefix_limits", FIELD_BOOL, AT(prefix_limits), 0},
    {"network", "puzzle_bits", FIELD_U32, AT(puzzle_bits), NODE_PUZZLE_BITS},
    {"network", "no_aes_percent", FIELD_U32, AT(no_aes_percent), 100},
    {"network", "unix_start_s", FIELD_I64, AT(unix_start_s), INT32_MAX *UINT64_C(2)},
    {"network", "join_s", FIELD_SECONDS, AT(join_us), SECONDS_MAX},
    {"people", "pairs", FIELD_AMOUNT, AT(pairs), SIM_NODES_MAX},
    {"people", "crowd", FIELD_AMOUNT, AT(crowd), SIM_NODES_MAX},
    {"people", "seek_at_s", FIELD_SECONDS, AT(seek_at_us), SECONDS_MAX},
    {"people", "seek_spread_s", FIELD_SECONDS, AT(seek_spread_us), SECONDS_MAX},
    {"people", "messages", FIELD_U32, AT(messages), 1000000},
    {"people", "gap_ms", FIELD_MS, AT(gap_us), 86400000},
    {"failure", "kill_at_s", FIELD_SECONDS, AT(kill_at_us), SECONDS_MAX},
    {"failure", "kill_percent", FIELD_U32, AT(kill_percent), 100},
    {"run", "crypto", FIELD_CRYPTO, AT(modelled), 0},
    {"run", "idle_s", FIELD_SECONDS, AT(idle_us), SECONDS_MAX},
    {"run", "duration_s", FIELD_SECONDS, AT(duration_us), SECONDS_MAX},
};

static bool set_amount(struct scenario_amount *a, const char *text, uint64_t max)
{
    char copy[32];
    uint64_t v;
    size_t len = strlen(text);
    if (len == 0 || len >= sizeof copy)
        return false;
    memcpy(copy, text, len + 1);
    a->percent = copy[len - 1] == '%';
    if (a->percent)
        copy[len - 1] = '\0';
    if (!take_number(copy, a->percent ? 100 : max, &v))
        return false;
    a->value = (uint32_t)v;
    return true;
}

static bool set_field(struct scenario *sc, const struct field *f, const char *text)
{
    void *at = (char *)sc + f->offset;
    uint64_t v = 0;
    bool ok;
    switch (f->type) {
    case FIELD_SECONDS:
        ok = take_thousandths(text, f->max, &v);
        v *= USEC_PER_MS;
        break;
    case FIELD_PPM:
        ok = take_thousandths(text, f->max, &v);
        v *= 10;
        break;
    case FIELD_BOOL:
        v = strcmp(text, "yes") == 0;
        ok = v == 1 || strcmp(text, "no") == 0;
        break;
    case FIELD_CRYPTO:
        v = strcmp(text, "modelled") == 0;
        ok = v == 1 || strcmp(text, "real") == 0;
        break;
    case FIELD_AMOUNT:
        return set_amount(at, text, f->max);
    case FIELD_NAME: {
        struct net net;
        ok = strlen(text) <= NETWORK_NAME_BYTES_MAX && net_init(&net, text) == 0;
        if (ok)
            memcpy(at, text, strlen(text) + 1);
        return ok;
    }
    default:
        ok = take_number(text, f->max, &v);
    }
    uint32_t v32 = (uint32_t)v;
    int64_t i64 = (int64_t)v;
    usec_t ms = v * USEC_PER_MS;
    if (f->type == FIELD_U32 || f->type == FIELD_PPM)
        memcpy(at, &v32, sizeof v32);
    else if (f->type == FIELD_BOOL || f->type == FIELD_CRYPTO)
        *(bool *)at = v != 0;
    else if (f->type == FIELD_I64)
        memcpy(at, &i64, sizeof i64);
    else
        memcpy(at, f->type == FIELD_MS ? &ms : &v, sizeof v);
    return ok;
}

static int take_line(void *ctx, const char *section, const char *name, const char *value)
{
    struct reading *r = ctx;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (strcmp(fields[i].section, section) != 0 || strcmp(fields[i].name, name) != 0)
            continue;
        if (set_field(r->scenario, &fields[i], value))
            return 1;
        if (r->error[0] == '\0')
            snprintf(r->error, r->error_bytes, "[%.20s] %.30s = %.40s: not a value that it takes",
                     section, name, value);
        return 0;
    }
    if (r->error[0] == '\0')
        snprintf(r->error, r->error_bytes, "[%.20s] %.30s: no such setting", section, name);
    return 0;
}

int scenario_read(struct scenario *sc, const char *file, char *error, size_t error_bytes)
{
    *sc = (struct scenario){.seed = 1,
                            .network = "bauta",
                            .nodes = 100,
                            .servers_percent = 50,
                            .bootstraps = 3,
                            .prefix_limits = true,
                            .join_us = 10 * USEC_PER_S,
                            .seek_at_us = 30 * USEC_PER_S,
                            .seek_spread_us = USEC_PER_S,
                            .messages = 3,
                            .gap_us = 100 * USEC_PER_MS,
                            .idle_us = 60 * USEC_PER_S,
                            .duration_us = 120 * USEC_PER_S,
                            .unix_start_s = SIM_UNIX_START_S};
    error[0] = '\0';
    FILE *in = fopen(file, "r");
    if (in == NULL) {
        snprintf(error, error_bytes, "can't be read");
        return -1;
    }
    struct reading r = {sc, error, error_bytes};
    int line = ini_parse_file(in, take_line, &r);
    bool bad_read = ferror(in) != 0; // a folder, for one
    fclose(in);
    if (bad_read || line < 0) {
        snprintf(error, error_bytes, "can't be read");
        return -1;
    }
    if (line == 0)
        return 0;
    char why[128];
    snprintf(why, sizeof why, "%s",
             error[0] != '\0' ? error : "neither a [section], a name = value nor a comment");
    snprintf(error, error_bytes, "line %d: %s", line, why);
    return -1;
}

// ---- the cast ---------------------------------------------------------------------------------------

static uint32_t amount(const struct scenario *sc, struct scenario_amount a)
{
    return a.percent ? (uint32_t)((uint64_t)sc->nodes * a.value / 100) : a.value;
}

// The first node is a server, and each that others are told of at the start.
static uint32_t sure_servers(const struct scenario *sc)
{
    return sc->bootstraps == 0 ? 1 : sc->bootstraps < sc->nodes ? sc->bootstraps : sc->nodes;
}

static uint32_t people(const struct scenario *sc)
{
    // An odd one out of a share of the crowd would wait in vain.
    uint32_t crowd = amount(sc, sc->crowd);
    return 2 * amount(sc, sc->pairs) + (sc->crowd.percent ? crowd - crowd % 2 : crowd);
}

int scenario_check(const struct scenario *sc, char *error, size_t error_bytes)
{
    const char *why = NULL;
    if (sc->nodes == 0)
        why = "a network has at least one node";
    else if ((uint64_t)2 * amount(sc, sc->pairs) + amount(sc, sc->crowd) > sc->nodes)
        why = "more people than nodes";
    else if (sc->duration_us == 0)
        why = "a run has a duration";
    else if (sc->idle_us > sc->duration_us)
        why = "the idle phase is longer than the run";
    if (why != NULL)
        snprintf(error, error_bytes, "%s", why);
    return why != NULL ? -1 : 0;
}

static void add_nodes(struct sim *s, const struct scenario *sc)
{
    uint32_t sure = sure_servers(sc);
    for (uint32_t i = 0; i < sc->nodes; i++) {
        struct sim_node_config n = {0};
        n.server = i < sure ||
                   sim_prf_below(sim_random(s), SIM_PRF_CLASS, i, 0, 0, 100) < sc->servers_percent;
        // Each of the first knows those before it; all others know all of them.
        n.bootstraps = i < sure ? i : sure;
        for (uint32_t b = 0; b < n.bootstraps; b++)
            n.bootstrap[b] = b;
        usec_t at_us = i < sure
                           ? 100 * USEC_PER_MS * i
                           : sim_prf_u64(sim_random(s), SIM_PRF_JOIN, i, 0, 0) % (sc->join_us + 1);
        sim_node_add(s, at_us, &n);
    }
}

// People sit at nodes drawn at random, each at its own: a Fisher-Yates of PRF draws.
static void add_people(struct sim *s, const struct scenario *sc)
{
    uint32_t pairs = amount(sc, sc->pairs), all = people(sc);
    uint32_t *seat = sim_grow(NULL, sc->nodes, sizeof *seat);
    for (uint32_t i = 0; i < sc->nodes; i++)
        seat[i] = i;
    for (uint32_t i = 0; i < all; i++) {
        uint32_t j =
            i + (uint32_t)sim_prf_below(sim_random(s), SIM_PRF_PERSON, i, 0, 0, sc->nodes - i);
        uint32_t node = seat[j];
        seat[j] = seat[i];
        char topic[32] = "everybody's topic";
        if (i < 2 * pairs)
            snprintf(topic, sizeof topic, "topic %u", i / 2);
        struct sim_person_config p = {
            .node = node, .topic = topic, .messages = sc->messages, .gap_us = sc->gap_us};
        p.seek_at_us = sc->seek_at_us +
                       sim_prf_u64(sim_random(s), SIM_PRF_SEEK, i, 0, 0) % (sc->seek_spread_us + 1);
        sim_person_add(s, &p);
    }
    free(seat);
}

static void begin_idle(struct sim *s, void *ctx, uint64_t arg)
{
    (void)ctx;
    (void)arg;
    sim_idle_begin(s);
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
    add_nodes(s, sc);
    add_people(s, sc);
    for (uint32_t i = 0; sc->kill_at_us > 0 && i < sc->nodes; i++)
        if (sim_prf_below(sim_random(s), SIM_PRF_VICTIM, i, 0, 0, 100) < sc->kill_percent)
            sim_node_kill(s, sc->kill_at_us, i);
    sim_at(s, sc->duration_us - sc->idle_us, begin_idle, NULL, 0);
    return s;
}

// ---- the summary ------------------------------------------------------------------------------------

static void put(json_t *o, const char *name, uint64_t v)
{
    json_object_set_new(o, name, json_integer((json_int_t)v));
}

static void put_ms(json_t *o, const char *name, uint64_t us)
{
    json_object_set_new(o, name, json_real((double)us / 1000));
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
    put(o, "seeks", f.seeks);
    put(o, "matched", f.matched);
    put_ms(o, "match_ms_p50", f.match_us_p50);
    put_ms(o, "match_ms_p95", f.match_us_p95);
    put(o, "idle_Bps_out", f.idle_Bps_out);
    put(o, "idle_Bps_in", f.idle_Bps_in);
    put(o, "idle_nodes", f.idle_nodes);
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
    char *text = json_dumps(o, JSON_REAL_PRECISION(9));
    json_decref(o);
    return text;
}
