#include "tools/sim/attack_scenario.h"

#include "tools/sim/attack_internal.h"

#include <string.h>

static const char *const kinds[] = {
    [ATTACK_LIAR] = "liar",          [ATTACK_DROPPER] = "dropper", [ATTACK_ECLIPSE] = "eclipse",
    [ATTACK_SLOW] = "slow",          [ATTACK_FLOODER] = "flooder", [ATTACK_SPAMMER] = "spammer",
    [ATTACK_AMPLIFIER] = "amplifier"};
static const char *const replies[] = {
    [ATTACK_EMPTY] = "empty", [ATTACK_FULL] = "full", [ATTACK_SILENCE] = "silence"};
static const char *const garbages[] = {
    [ATTACK_BARE] = "bare", [ATTACK_TOKENS] = "tokens", [ATTACK_FORGED] = "forged"};

const char *attack_kind_name(const struct attack *a)
{
    return kinds[a->config.kind];
}

static bool take_number(const char *text, uint32_t *out)
{
    uint64_t v;
    bool ok = setting_number(text, SIM_NODES_MAX, &v);
    *out = ok ? (uint32_t)v : 0;
    return ok;
}

static bool take_word(const char *text, const char *const *word, unsigned n, unsigned *out)
{
    for (*out = 0; *out < n; ++*out)
        if (strcmp(word[*out], text) == 0)
            return true;
    return false;
}

static bool take_time(const char *text, usec_t unit_us, usec_t *out)
{
    uint32_t v = 0;
    bool ok = take_number(text, &v);
    *out = v * unit_us;
    return ok;
}

static bool take_hosts(struct attack_setting *a, const char *text)
{
    return setting_amount(text, SIM_NODES_MAX, &a->hosts) &&
           (!a->hosts.percent || a->hosts.value < 100);
}

static bool take_topic(struct attack_setting *a, const char *text)
{
    size_t len = strlen(text) + 1;
    if (len > sizeof a->topic)
        return false;
    memcpy(a->topic, text, len);
    return true;
}

static bool take_kind(struct attack_scenario *all, const char *value)
{
    unsigned word;
    if (all->attacks == SIM_ATTACKS_MAX ||
        !take_word(value, kinds, sizeof kinds / sizeof *kinds, &word))
        return false;
    struct attack_setting *a = &all->attack[all->attacks++];
    *a = (struct attack_setting){.config = {.kind = (enum attack_kind)word, .grind = 1}};
    return true;
}

bool attack_setting(struct attack_scenario *all, const char *name, const char *value)
{
    unsigned word;
    if (strcmp(name, "kind") == 0)
        return take_kind(all, value);
    if (all->attacks == 0)
        return false;
    struct attack_setting *a = &all->attack[all->attacks - 1];
    struct attack_config *c = &a->config;
    struct {
        const char *name;
        uint32_t *at;
    } numbers[] = {{"prefixes", &c->prefixes}, {"grind", &c->grind},   {"per_s", &c->per_s},
                   {"victims", &c->victims},   {"probes", &a->probes}, {"form", &c->form}};
    struct {
        const char *name;
        usec_t *at, unit_us;
    } times[] = {{"start_s", &c->start_us, USEC_PER_S},
                 {"join_s", &c->join_us, USEC_PER_S},
                 {"stop_s", &c->stop_us, USEC_PER_S},
                 {"probe_at_s", &a->probe_at_us, USEC_PER_S},
                 {"delay_ms", &c->delay_us, USEC_PER_MS}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (strcmp(name, numbers[i].name) == 0)
            return take_number(value, numbers[i].at);
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        if (strcmp(name, times[i].name) == 0)
            return take_time(value, times[i].unit_us, times[i].at);
    if (strcmp(name, "reply") == 0) {
        bool ok = take_word(value, replies, sizeof replies / sizeof *replies, &word);
        c->reply = (enum attack_reply)word;
        return ok;
    }
    if (strcmp(name, "garbage") == 0) {
        bool ok = take_word(value, garbages, sizeof garbages / sizeof *garbages, &word);
        c->garbage = (enum attack_garbage)word;
        return ok;
    }
    return strcmp(name, "hosts") == 0    ? take_hosts(a, value)
           : strcmp(name, "topic") == 0  ? take_topic(a, value)
           : strcmp(name, "one_v6") == 0 ? setting_yes(value, &c->one_v6)
           : strcmp(name, "spread") == 0 ? setting_yes(value, &a->spread)
                                         : false;
}

static struct attack_probe_config probe_of(const struct attack_setting *set)
{
    return (struct attack_probe_config){.pairs = set->probes,
                                        .topic = set->topic[0] != '\0' ? set->topic : NULL,
                                        .at_us = set->probe_at_us,
                                        .v6 = set->config.one_v6};
}

usec_t attack_scenario_end(const struct attack_scenario *all)
{
    usec_t end = 0;
    for (uint32_t i = 0; i < all->attacks; i++) {
        struct attack_probe_config probe = probe_of(&all->attack[i]);
        usec_t at = attack_probe_end(&probe);
        end = at > end ? at : end;
    }
    return end;
}

void attack_scenario_begin(struct sim *s, const struct attack_scenario *all, const char *network,
                           uint32_t bootstraps)
{
    uint32_t servers = 0, nodes = sim_nodes(s);
    for (uint32_t i = 0; i < nodes; i++)
        servers += s->host[i]->server;
    for (uint32_t i = 0; i < all->attacks; i++) {
        const struct attack_setting *set = &all->attack[i];
        struct attack_config cfg = set->config;
        cfg.network = network;
        cfg.bootstraps = bootstraps;
        cfg.topic = set->topic[0] != '\0' ? set->topic : NULL;
        cfg.spread_of = set->spread ? servers : 0;
        cfg.number = set->hosts.value;
        if (set->hosts.percent)
            cfg.number = (uint32_t)((uint64_t)servers * cfg.number / (100 - cfg.number));
        struct attack *a = attack_new(s, &cfg);
        struct attack_probe_config probe = probe_of(set);
        probe.bootstraps = bootstraps;
        if (set->probes > 0)
            attack_set_probes(a, attack_probe_add(s, &probe));
    }
}
