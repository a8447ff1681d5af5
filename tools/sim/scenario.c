#include "tools/sim/scenario.h"

#include "crypto/net.h"
#include "dht/limits.h"
#include "tools/sim/sim_internal.h"

#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- reading ----------------------------------------------------------------------------------------

struct reading {
    struct scenario *scenario;
    char *error;
    size_t error_bytes;
};

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
    FIELD_ABOUT,
    FIELD_CRYPTO,
    FIELD_SESSION
};
// A section of "class" or "phase" has a name of its own behind that word, and may come several times.
struct field {
    const char *section, *name;
    enum field_type type;
    size_t offset; // in struct scenario, sim_node_class, scenario_phase
    uint64_t max;
};

#define AT(member) offsetof(struct scenario, member)
#define CLASS(member) offsetof(struct sim_node_class, member)
#define PHASE(member) offsetof(struct scenario_phase, member)
#define SECONDS_MAX (100u * DAY_SECONDS)
#define KBIT_MAX 100000000u
static const struct field fields[] = {
    {"network", "name", FIELD_NAME, AT(network), 0},
    {"network", "seed", FIELD_U64, AT(seed), INT64_MAX},
    {"network", "nodes", FIELD_U32, AT(nodes), SIM_NODES_MAX},
    {"network", "servers_percent", FIELD_U32, AT(plain.servers_percent), 100},
    {"network", "nat_percent", FIELD_U32, AT(plain.nat_percent), 100},
    {"network", "sessions", FIELD_SESSION, AT(plain.session), 0},
    {"network", "up_kbit", FIELD_U32, AT(plain.up_kbit), KBIT_MAX},
    {"network", "down_kbit", FIELD_U32, AT(plain.down_kbit), KBIT_MAX},
    {"network", "queue_ms", FIELD_U32, AT(plain.queue_ms), 10000},
    {"network", "bootstraps", FIELD_U32, AT(population.bootstraps), 64},
    {"network", "told", FIELD_U32, AT(population.told), SIM_BOOTSTRAPS_MAX},
    {"network", "ipv6_percent", FIELD_U32, AT(population.ipv6_percent), 100},
    {"network", "dual_percent", FIELD_U32, AT(population.dual_percent), 100},
    {"network", "cached_percent", FIELD_U32, AT(population.cached_percent), 100},
    {"network", "dial_back", FIELD_BOOL, AT(population.dial_back), 0},
    {"network", "skew_percent", FIELD_U32, AT(population.skew_percent), 100},
    {"network", "skew_s", FIELD_SECONDS, AT(population.skew_us), 86400},
    {"network", "loss_percent", FIELD_PPM, AT(loss_ppm), 99},
    {"network", "burst_percent", FIELD_PPM, AT(burst_ppm), 99},
    {"network", "lab", FIELD_BOOL, AT(lab), 0},
    {"network", "prefix_limits", FIELD_BOOL, AT(prefix_limits), 0},
    {"network", "puzzle_bits", FIELD_U32, AT(puzzle_bits), NODE_PUZZLE_BITS},
    {"network", "no_aes_percent", FIELD_U32, AT(no_aes_percent), 100},
    {"network", "unix_start_s", FIELD_I64, AT(unix_start_s), INT32_MAX *UINT64_C(2)},
    {"network", "join_s", FIELD_SECONDS, AT(join_us), SECONDS_MAX},
    {"churn", "session_percent", FIELD_U32, AT(population.session_percent), 10000},
    {"churn", "rejoin_percent", FIELD_U32, AT(population.rejoin_percent), 100},
    {"churn", "polite_percent", FIELD_U32, AT(population.polite_percent), 100},
    {"churn", "gap_s", FIELD_SECONDS, AT(population.gap_us), SECONDS_MAX},
    {"class", "share_percent", FIELD_U32, CLASS(share_percent), 100},
    {"class", "public_percent", FIELD_U32, CLASS(public_percent), 100},
    {"class", "servers_percent", FIELD_U32, CLASS(servers_percent), 100},
    {"class", "nat_percent", FIELD_U32, CLASS(nat_percent), 100},
    {"class", "relays_percent", FIELD_U32, CLASS(relays_percent), 100},
    {"class", "sessions", FIELD_SESSION, CLASS(session), 0},
    {"class", "up_kbit", FIELD_U32, CLASS(up_kbit), KBIT_MAX},
    {"class", "down_kbit", FIELD_U32, CLASS(down_kbit), KBIT_MAX},
    {"class", "queue_ms", FIELD_U32, CLASS(queue_ms), 10000},
    {"phase", "at_s", FIELD_SECONDS, PHASE(at_us), SECONDS_MAX},
    {"phase", "duration_s", FIELD_SECONDS, PHASE(duration_us), SECONDS_MAX},
    {"phase", "waiting", FIELD_AMOUNT, PHASE(waiting), SIM_NODES_MAX},
    {"phase", "together", FIELD_AMOUNT, PHASE(together), SIM_NODES_MAX},
    {"phase", "crowd", FIELD_AMOUNT, PHASE(crowd), SIM_NODES_MAX},
    {"phase", "browsing", FIELD_AMOUNT, PHASE(browsing), SIM_NODES_MAX},
    {"phase", "wait_s", FIELD_SECONDS, PHASE(wait_us), SECONDS_MAX},
    {"phase", "talk_s", FIELD_SECONDS, PHASE(talk_us), SECONDS_MAX},
    {"phase", "messages", FIELD_U32, PHASE(messages), 1000000},
    {"phase", "gap_ms", FIELD_MS, PHASE(gap_us), 86400000},
    {"phase", "topics", FIELD_U32, PHASE(topics), 1000000},
    {"phase", "seeks_per_hour", FIELD_U32, PHASE(seeks_per_hour), 3600},
    {"phase", "patience_s", FIELD_SECONDS, PHASE(patience_us), SECONDS_MAX},
    {"phase", "quiet", FIELD_BOOL, PHASE(quiet), 0},
    {"phase", "kill_percent", FIELD_U32, PHASE(kill_percent), 100},
    {"phase", "restart_percent", FIELD_U32, PHASE(restart_percent), 100},
    {"phase", "back_s", FIELD_SECONDS, PHASE(back_us), 4000},
    {"phase", "cut_percent", FIELD_U32, PHASE(cut_percent), 100},
    {"phase", "lossy_percent", FIELD_U32, PHASE(lossy_percent), 100},
    {"phase", "lossy_loss_percent", FIELD_PPM, PHASE(lossy_loss_ppm), 100},
    {"load", "from_s", FIELD_SECONDS, AT(load.from_us), SECONDS_MAX},
    {"load", "to_s", FIELD_SECONDS, AT(load.to_us), SECONDS_MAX},
    {"load", "ttl_s", FIELD_U32, AT(load.ttl_s), TTL_S_MAX},
    {"run", "about", FIELD_ABOUT, AT(about), 0},
    {"run", "crypto", FIELD_CRYPTO, AT(modelled), 0},
    {"run", "duration_s", FIELD_SECONDS, AT(duration_us), SECONDS_MAX},
    {"run", "series_s", FIELD_SECONDS, AT(series_us), SECONDS_MAX},
};

static bool set_session(enum sim_session *out, const char *text)
{
    static const char *const names[] = {"steady", "mainline", "mobile"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(text, names[i]) != 0)
            continue;
        *out = (enum sim_session)i;
        return true;
    }
    return false;
}

static bool set_field(void *base, const struct field *f, const char *text)
{
    void *at = (char *)base + f->offset;
    uint64_t v = 0;
    bool ok;
    switch (f->type) {
    case FIELD_SECONDS:
        ok = setting_thousandths(text, f->max, &v);
        v *= USEC_PER_MS;
        break;
    case FIELD_PPM:
        ok = setting_thousandths(text, f->max, &v);
        v *= 10;
        break;
    case FIELD_BOOL:
        return setting_yes(text, at);
        break;
    case FIELD_CRYPTO:
        v = strcmp(text, "modelled") == 0;
        ok = v == 1 || strcmp(text, "real") == 0;
        break;
    case FIELD_ABOUT:
        snprintf(at, SCENARIO_ABOUT_BYTES, "%s", text);
        return strlen(text) < SCENARIO_ABOUT_BYTES;
    case FIELD_SESSION:
        return set_session(at, text);
    case FIELD_AMOUNT:
        return setting_amount(text, f->max, at);
    case FIELD_NAME: {
        struct net net;
        ok = strlen(text) <= NETWORK_NAME_BYTES_MAX && net_init(&net, text) == 0;
        if (ok)
            memcpy(at, text, strlen(text) + 1);
        return ok;
    }
    default:
        ok = setting_number(text, f->max, &v);
    }
    uint32_t v32 = (uint32_t)v;
    int64_t i64 = (int64_t)v;
    usec_t ms = v * USEC_PER_MS;
    if (f->type == FIELD_U32 || f->type == FIELD_PPM)
        memcpy(at, &v32, sizeof v32);
    else if (f->type == FIELD_CRYPTO)
        *(bool *)at = v != 0;
    else if (f->type == FIELD_I64)
        memcpy(at, &i64, sizeof i64);
    else
        memcpy(at, f->type == FIELD_MS ? &ms : &v, sizeof v);
    return ok;
}

// A fresh phase or class of this name, or the one that was begun.
static void *phase_named(struct scenario *sc, const char *name)
{
    static const struct scenario_phase fresh = {.wait_us = 10 * USEC_PER_S,
                                                .messages = 3,
                                                .gap_us = 100 * USEC_PER_MS,
                                                .topics = 1000,
                                                .seeks_per_hour = 6,
                                                .patience_us = 120 * USEC_PER_S};
    for (uint32_t i = 0; i < sc->phases; i++)
        if (strcmp(sc->phase[i].name, name) == 0)
            return &sc->phase[i];
    if (sc->phases == SCENARIO_PHASES_MAX)
        return NULL;
    struct scenario_phase *ph = &sc->phase[sc->phases++];
    *ph = fresh;
    snprintf(ph->name, sizeof ph->name, "%s", name);
    return ph;
}

static void *class_named(struct scenario *sc, const char *name)
{
    struct sim_population *p = &sc->population;
    for (uint32_t i = 0; i < p->classes; i++)
        if (strcmp(p->class[i].name, name) == 0)
            return &p->class[i];
    if (p->classes == SIM_CLASSES_MAX)
        return NULL;
    struct sim_node_class *k = &p->class[p->classes++];
    *k = sc->plain;
    snprintf(k->name, sizeof k->name, "%s", name);
    return k;
}

// What a section's settings go into, and the word by which they are listed; NULL: too many of them, or
// a name that is missing or too long.
static void *base_of(struct scenario *sc, const char *section, char word[static 16])
{
    size_t len = strcspn(section, " ");
    snprintf(word, 16, "%.*s", (int)len, section);
    bool phase = strcmp(word, "phase") == 0, class = strcmp(word, "class") == 0;
    const char *name = section[len] == ' ' ? section + len + 1 : "";
    size_t room = phase ? SCENARIO_NAME_BYTES : class ? SIM_CLASS_NAME_BYTES : 1;
    if ((phase || class) == (*name == '\0') || strlen(name) >= room)
        return NULL;
    return phase ? phase_named(sc, name) : class ? class_named(sc, name) : (void *)sc;
}

static int take_line(void *ctx, const char *section, const char *name, const char *value)
{
    struct reading *r = ctx;
    if (strcmp(section, "attack") == 0) {
        bool ok = attack_setting(&r->scenario->attacks, name, value);
        if (!ok && r->error[0] == '\0')
            snprintf(r->error, r->error_bytes, "[attack] %.30s = %.40s: not a value that it takes",
                     name, value);
        return ok;
    }
    char word[16];
    void *base = base_of(r->scenario, section, word);
    for (size_t i = 0; base != NULL && i < sizeof fields / sizeof *fields; i++) {
        if (strcmp(fields[i].section, word) != 0 || strcmp(fields[i].name, name) != 0)
            continue;
        if (set_field(base, &fields[i], value))
            return 1;
        if (r->error[0] == '\0')
            snprintf(r->error, r->error_bytes, "[%.20s] %.30s = %.40s: not a value that it takes",
                     section, name, value);
        return 0;
    }
    if (r->error[0] == '\0')
        snprintf(r->error, r->error_bytes,
                 base != NULL ? "[%.40s] %.30s: no such setting"
                              : "[%.40s] %.30s: a section that can't be",
                 section, name);
    return 0;
}

int scenario_read(struct scenario *sc, const char *file, char *error, size_t error_bytes)
{
    *sc = (struct scenario){.seed = 1,
                            .network = "bauta",
                            .nodes = 100,
                            .prefix_limits = true,
                            .load.ttl_s = TTL_S_MAX,
                            .unix_start_s = SIM_UNIX_START_S,
                            .join_us = 10 * USEC_PER_S,
                            .plain = {.name = "all",
                                      .servers_percent = 50,
                                      .session = SIM_SESSION_MAINLINE,
                                      .queue_ms = 200},
                            .population = {.bootstraps = 3,
                                           .told = SIM_BOOTSTRAPS_MAX,
                                           .rejoin_percent = 60,
                                           .polite_percent = 50,
                                           .gap_us = 10 * USEC_PER_S},
                            .duration_us = 120 * USEC_PER_S,
                            .series_us = USEC_PER_S};
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

// ---- does it make sense -------------------------------------------------------------------------------

uint32_t scenario_amount(const struct scenario *sc, struct scenario_amount a)
{
    return a.percent ? (uint32_t)((uint64_t)sc->nodes * a.value / 100) : a.value;
}

static const char *check_phase(const struct scenario *sc, const struct scenario_phase *ph)
{
    uint64_t people = (uint64_t)2 * scenario_amount(sc, ph->waiting) +
                      (uint64_t)2 * scenario_amount(sc, ph->together) +
                      scenario_amount(sc, ph->crowd) + scenario_amount(sc, ph->browsing);
    if (people > sc->nodes)
        return "more people than nodes in a phase";
    if (ph->at_us + ph->duration_us > sc->duration_us)
        return "a phase goes on beyond the end";
    if (ph->browsing.value > 0 && (ph->seeks_per_hour == 0 || ph->topics == 0))
        return "who browses needs topics and seeks_per_hour";
    return NULL;
}

bool scenario_is_flat(const struct scenario *sc)
{
    return sc->phases == 0 && sc->population.session_percent == 0 &&
           sc->population.cached_percent == 0 && sc->attacks.attacks == 0;
}

int scenario_check(const struct scenario *sc, char *error, size_t error_bytes)
{
    const char *why = NULL;
    if (sc->nodes == 0)
        why = "a network has at least one node";
    else if (sc->duration_us == 0)
        why = "a run has a duration";
    else if (sc->series_us == 0)
        why = "series_s is more than 0";
    else if (sc->threads > 1 && !scenario_is_flat(sc))
        why = "churn, phases and attacks run on one thread";
    else if (sc->load.to_us > 0 && sc->load.to_us < sc->load.from_us)
        why = "the load ends before it begins";
    else if (sc->population.ipv6_percent + sc->population.dual_percent > 100)
        why = "ipv6_percent and dual_percent are more than all";
    else if (attack_scenario_end(&sc->attacks) > sc->duration_us)
        why = "the run ends before its last probes have had their time";
    for (uint32_t i = 0; why == NULL && i < sc->phases; i++)
        why = check_phase(sc, &sc->phase[i]);
    uint32_t share = 0;
    for (uint32_t i = 0; why == NULL && i < sc->population.classes; i++)
        share += sc->population.class[i].share_percent;
    if (why == NULL && sc->population.classes > 0 && share != 100)
        why = "the classes' share_percent are not 100 together";
    if (why != NULL)
        snprintf(error, error_bytes, "%s", why);
    return why != NULL ? -1 : 0;
}
