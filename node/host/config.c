#include "node/host/config.h"

#include "crypto/bytes.h"
#include "crypto/net.h"
#include "node/host/api.h"
#include "node/host/process.h"

#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <string.h>

#define FOR(c) (1u << (c))
#define NODE_COMMANDS (FOR(COMMAND_RUN) | FOR(COMMAND_CHAT))
#define RELAY FOR(COMMAND_RELAY)
#define ALL_CLIENTS                                                                                \
    (FOR(COMMAND_CTL) | FOR(COMMAND_STATUS) | FOR(COMMAND_DEMO) | RELAY | NODE_COMMANDS)

struct parse {
    struct config *cfg;
    char *error;
    int status; // the first error's exit status
    bool from_file;
    bool listen_set, cover_set, lease_set; // by the command line, which replaces the file's
    const char *config_file;
};

static void wrong(struct parse *p, int status, const char *format, const char *name)
{
    if (p->status != EXIT_OK)
        return;
    p->status = status;
    snprintf(p->error, HOST_ERROR_BYTES, format, name);
}

static void copy_text(struct parse *p, char *out, size_t cap, const char *name, const char *value)
{
    if (value[0] == 0 || strlen(value) >= cap)
        wrong(p, EXIT_USAGE, value[0] == 0 ? "--%s needs a value" : "the value of --%s is too long",
              name);
    else
        memcpy(out, value, strlen(value) + 1);
}

// ---- bootstrap contacts -------------------------------------------------------------------------------

int config_bootstrap(struct bootstrap *b, const char *text)
{
    static const char tcp[] = "tcp://";
    memset(b, 0, sizeof *b);
    uint32_t via = VIA_UDP;
    if (strncmp(text, tcp, sizeof tcp - 1) == 0) {
        via = VIA_TCP;
        text += sizeof tcp - 1;
    }
    if (contact_parse(&b->contact, text, strlen(text)) == BAUTA_OK) {
        b->contact.path.via = via;
        return BAUTA_OK;
    }
    const char *slash = strrchr(text, '/');
    const char *colon = NULL;
    for (const char *at = text; slash != NULL && at < slash; at++)
        if (*at == ':')
            colon = at;
    if (colon == NULL || colon == text || (size_t)(colon - text) >= sizeof b->host)
        return BAUTA_EFORMAT;
    size_t host = (size_t)(colon - text), port = (size_t)(slash - colon - 1);
    // Letters, digits, dots and hyphens, with at least one letter: what is not a number, yet a name.
    bool letter = false;
    for (size_t i = 0; i < host; i++) {
        char c = text[i];
        bool alpha = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        letter = letter || alpha;
        if (!alpha && !(c >= '0' && c <= '9') && c != '.' && c != '-')
            return BAUTA_EFORMAT;
    }
    if (!letter || text[0] == '-' || port == 0 || port >= sizeof b->port)
        return BAUTA_EFORMAT;
    // The numeric form checks port and key.
    char numeric[CONFIG_TEXT_BYTES];
    int n = snprintf(numeric, sizeof numeric, "127.0.0.1%s", colon);
    if (n < 0 || (size_t)n >= sizeof numeric ||
        contact_parse(&b->contact, numeric, (size_t)n) != BAUTA_OK)
        return BAUTA_EFORMAT;
    memset(&b->contact.path, 0, sizeof b->contact.path);
    b->contact.path.via = via;
    memcpy(b->host, text, host);
    memcpy(b->port, colon + 1, port);
    return BAUTA_OK;
}

// ---- options ----------------------------------------------------------------------------------------

static void set_listen(struct parse *p, const char *value)
{
    struct config *c = p->cfg;
    if (p->from_file && p->listen_set)
        return;
    if (!p->from_file && !p->listen_set) {
        p->listen_set = true;
        c->listens = 0;
    }
    struct path path;
    if (path_parse(&path, value, strlen(value)) != BAUTA_OK) {
        wrong(p, EXIT_USAGE, "--listen takes ADDR:PORT with a numeric address, not \"%.100s\"",
              value);
        return;
    }
    if (c->listens == 2 || (c->listens == 1 && c->listen[0].family == path.family)) {
        wrong(p, EXIT_USAGE,
              "--listen goes once for IPv4 and once for IPv6; \"%.100s\" is too many", value);
        return;
    }
    c->listen[c->listens++] = path;
}

static void set_tcp(struct parse *p, const char *value)
{
    struct config *c = p->cfg;
    if (c->tcps == HOST_TCP_LISTENS_MAX)
        wrong(p, EXIT_USAGE, "too many --tcp; \"%.80s\" is one more than 6", value);
    else if (path_parse(&c->tcp[c->tcps], value, strlen(value)) != BAUTA_OK)
        wrong(p, EXIT_USAGE, "--tcp takes ADDR:PORT with a numeric address, not \"%.100s\"", value);
    else
        c->tcps++;
}

// What is wrong may hold a password, so it is not shown.
static void set_proxy(struct parse *p, const char *value)
{
    struct config *c = p->cfg;
    if (p->from_file && c->proxied)
        return;
    if (socks_parse(&c->proxy, value) != BAUTA_OK)
        wrong(p, EXIT_USAGE,
              "--%s takes socks5://[USER:PASSWORD@]HOST:PORT, HOST a numeric address or localhost",
              "proxy");
    c->proxied = true;
}

static void set_bootstrap(struct parse *p, const char *value)
{
    struct config *c = p->cfg;
    if (c->bootstraps == CONFIG_BOOTSTRAPS_MAX)
        wrong(p, EXIT_USAGE, "too many --bootstrap; \"%.80s\" is one more than 64", value);
    else if (config_bootstrap(&c->bootstrap[c->bootstraps], value) != BAUTA_OK)
        wrong(p, EXIT_USAGE, "--bootstrap takes [tcp://]HOST:PORT/KEY, not \"%.100s\"", value);
    else
        c->bootstraps++;
}

static void set_network(struct parse *p, const char *value)
{
    struct net net;
    copy_text(p, p->cfg->network, sizeof p->cfg->network, "network", value);
    if (p->status == EXIT_OK && net_init(&net, value) != BAUTA_OK)
        wrong(p, EXIT_USAGE,
              "a network's name has 1 to 63 visible ASCII characters, unlike \"%.80s\"", value);
}

static void set_privacy(struct parse *p, const char *value)
{
    if (!api_privacy_of(value, &p->cfg->privacy))
        wrong(p, EXIT_USAGE, "--privacy takes direct or relayed, not \"%.80s\"", value);
}

static void set_cover(struct parse *p, const char *value)
{
    if (p->from_file && p->cover_set)
        return;
    p->cover_set = !p->from_file;
    if (!api_cover_of(value, &p->cfg->cover))
        wrong(p, EXIT_USAGE, "--cover takes off, low or high, not \"%.80s\"", value);
}

static void set_lease(struct parse *p, const char *value)
{
    uint32_t s = 0;
    size_t digits = strspn(value, "0123456789");
    for (size_t i = 0; i < digits && s <= PORTMAP_LEASE_S_MAX; i++)
        s = s * 10 + (uint32_t)(value[i] - '0');
    if (p->from_file && p->lease_set)
        return;
    p->lease_set = !p->from_file;
    if (digits == 0 || value[digits] != 0 || s > PORTMAP_LEASE_S_MAX)
        wrong(p, EXIT_USAGE, "--upnp-lease takes seconds up to 86400, not \"%.80s\"", value);
    p->cfg->lease_s = s;
}

static void set_web(struct parse *p, const char *value)
{
    if (strcmp(value, "off") != 0)
        wrong(p, EXIT_USAGE, "this version has no page yet: --web takes only off, not \"%.80s\"",
              value);
}

static void set_number(struct parse *p, const char *name, const char *value, uint32_t unsaid,
                       uint32_t min, uint32_t max, uint32_t *out)
{
    if (p->from_file && *out != unsaid)
        return; // what was typed wins
    uint64_t v = 0;
    const char *c = value;
    while (*c >= '0' && *c <= '9' && v <= max)
        v = 10 * v + (uint64_t)(*c++ - '0');
    if (c == value || *c != 0 || v < min || v > max) {
        char range[HOST_ERROR_BYTES];
        snprintf(range, sizeof range, "%u to %u, not \"%.60s\"", (unsigned)min, (unsigned)max,
                 value);
        char format[64];
        snprintf(format, sizeof format, "--%s takes a number from %%s", name);
        wrong(p, EXIT_USAGE, format, range);
        return;
    }
    *out = (uint32_t)v;
}

static void set_hops(struct parse *p, const char *value)
{
    uint32_t hops = p->cfg->hops;
    set_number(p, "hops", value, 0, 1, 2, &hops);
    p->cfg->hops = (uint8_t)hops;
}

static void set_clients(struct parse *p, const char *value)
{
    set_number(p, "clients", value, 0, 1, RELAY_CLIENTS_MAX, &p->cfg->clients);
}

static void set_rate(struct parse *p, const char *value)
{
    set_number(p, "rate", value, 0, 1, CONFIG_KBPS_MAX, &p->cfg->rate_kBps);
}

static void set_bandwidth(struct parse *p, const char *value)
{
    set_number(p, "bandwidth", value, 0, 1, CONFIG_KBPS_MAX, &p->cfg->bandwidth_kBps);
}

static void set_volume(struct parse *p, const char *value)
{
    set_number(p, "volume", value, 0, 1, CONFIG_VOLUME_GB_MAX, &p->cfg->volume_GB);
}

static void set_drain(struct parse *p, const char *value)
{
    set_number(p, "drain", value, CONFIG_UNSAID, 0, CONFIG_DRAIN_S_MAX, &p->cfg->drain_s);
}

// Counters are nobody's business but this computer's.
static void set_metrics(struct parse *p, const char *value)
{
    struct config *c = p->cfg;
    if (p->from_file && c->metrics_said)
        return;
    c->metrics_said = true;
    memset(&c->metrics, 0, sizeof c->metrics);
    if (strcmp(value, "off") == 0)
        return;
    if (path_parse(&c->metrics, value, strlen(value)) != BAUTA_OK)
        wrong(p, EXIT_USAGE,
              "--metrics takes ADDR:PORT of this computer alone, or off, not \"%.80s\"", value);
    else if (!path_loopback(&c->metrics))
        wrong(p, EXIT_USAGE,
              "--metrics takes a loopback address (127.0.0.1:9464, [::1]:9464), not \"%.80s\"",
              value);
}

static void set_control(struct parse *p, const char *value)
{
    copy_text(p, p->cfg->control, sizeof p->cfg->control, "control", value);
}

static void set_state(struct parse *p, const char *value)
{
    copy_text(p, p->cfg->state, sizeof p->cfg->state, "state", value);
}

static void set_config(struct parse *p, const char *value)
{
    if (p->from_file)
        wrong(p, EXIT_USAGE, "a --config file can't name another one (%.80s)", value);
    p->config_file = value;
}

struct option {
    const char *name;
    unsigned commands;
    void (*set)(struct parse *, const char *value); // takes a value, or
    size_t flag;                                    // the offset of a bool
};
#define FLAG(field) offsetof(struct config, field)
static const struct option options[] = {
    {"listen", NODE_COMMANDS | RELAY, set_listen, 0},
    {"bootstrap", NODE_COMMANDS | RELAY, set_bootstrap, 0},
    {"tcp", NODE_COMMANDS | RELAY, set_tcp, 0},
    {"proxy", NODE_COMMANDS, set_proxy, 0},
    {"network", NODE_COMMANDS | RELAY, set_network, 0},
    {"control", ALL_CLIENTS, set_control, 0},
    {"web", NODE_COMMANDS | FOR(COMMAND_DEMO), set_web, 0},
    {"privacy", NODE_COMMANDS, set_privacy, 0},
    {"hops", NODE_COMMANDS, set_hops, 0},
    {"cover", NODE_COMMANDS, set_cover, 0},
    {"state", NODE_COMMANDS | RELAY, set_state, 0},
    {"config", NODE_COMMANDS | RELAY, set_config, 0},
    {"clients", RELAY, set_clients, 0},
    {"rate", RELAY, set_rate, 0},
    {"bandwidth", RELAY, set_bandwidth, 0},
    {"volume", RELAY, set_volume, 0},
    {"drain", RELAY, set_drain, 0},
    {"metrics", RELAY, set_metrics, 0},
    {"public", NODE_COMMANDS, NULL, FLAG(public_server)},
    {"no-lan", NODE_COMMANDS, NULL, FLAG(no_lan)},
    {"no-upnp", NODE_COMMANDS, NULL, FLAG(no_upnp)},
    {"upnp-lease", NODE_COMMANDS, set_lease, 0},
    {"lab", NODE_COMMANDS | RELAY, NULL, FLAG(lab)},
    {"lab-strict", NODE_COMMANDS | RELAY, NULL, FLAG(lab_strict)},
    {"plain", FOR(COMMAND_CHAT), NULL, FLAG(plain)},
    {"help", UINT32_MAX, NULL, FLAG(help)},
};

static const struct option *find_option(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (strlen(options[i].name) == len && memcmp(options[i].name, name, len) == 0)
            return &options[i];
    return NULL;
}

static void set_flag(struct parse *p, const struct option *o, bool on)
{
    memcpy((char *)p->cfg + o->flag, &on, sizeof on);
}

// ---- the file ---------------------------------------------------------------------------------------

static int on_ini(void *ctx, const char *section, const char *name, const char *value)
{
    struct parse *p = ctx;
    const struct option *o = find_option(name, strlen(name));
    if (section[0] != 0 && strcmp(section, "node") != 0) {
        wrong(p, EXIT_USAGE, "the --config file has an unknown section [%.80s]", section);
    } else if (o == NULL || strcmp(name, "help") == 0 || strcmp(name, "plain") == 0) {
        wrong(p, EXIT_USAGE, "the --config file has an unknown option %.80s", name);
    } else if (o->set != NULL) {
        o->set(p, value);
    } else if (strcmp(value, "yes") == 0 || strcmp(value, "no") == 0) {
        set_flag(p, o, strcmp(value, "yes") == 0);
    } else {
        wrong(p, EXIT_USAGE, "in the --config file, %.80s is yes or no", name);
    }
    return p->status == EXIT_OK;
}

static void read_file(struct parse *p)
{
    p->from_file = true;
    int rc = ini_parse(p->config_file, on_ini, p);
    p->from_file = false;
    if (p->status != EXIT_OK || rc == 0)
        return;
    char why[HOST_ERROR_BYTES];
    if (rc < 0)
        snprintf(why, sizeof why, "%.150s: %s", p->config_file, strerror(errno));
    else
        snprintf(why, sizeof why, "%.150s: line %d is not NAME = VALUE", p->config_file, rc);
    wrong(p, rc < 0 ? EXIT_FAILED : EXIT_USAGE, "can't read the --config file %.220s", why);
}

// ---- the line ---------------------------------------------------------------------------------------

static const struct {
    const char *name;
    enum command command;
    size_t words_max;
} commands[] = {{"run", COMMAND_RUN, 0},
                {"chat", COMMAND_CHAT, CONFIG_TOPICS_MAX},
                {"ctl", COMMAND_CTL, 2},
                {"status", COMMAND_STATUS, 0},
                {"demo", COMMAND_DEMO, 0},
                {"relay", COMMAND_RELAY, 0},
                {"help", COMMAND_HELP, 1},
                {"version", COMMAND_VERSION, 0},
                {"port-mapper", COMMAND_PORT_MAPPER, 0}};

static size_t find_command(const char *name)
{
    size_t i = 0;
    while (i < sizeof commands / sizeof *commands && strcmp(commands[i].name, name) != 0)
        i++;
    return i;
}

// Returns how many arguments it took.
static int take_option(struct parse *p, char **argv, int left)
{
    const char *name = argv[0] + 2;
    size_t len = strcspn(name, "=");
    const char *value = name[len] == '=' ? name + len + 1 : NULL;
    const struct option *o = strncmp(argv[0], "--", 2) == 0 ? find_option(name, len)
                             : strcmp(argv[0], "-h") == 0   ? find_option("help", 4)
                                                            : NULL;
    if (o == NULL || (o->commands & FOR(p->cfg->command)) == 0) {
        wrong(p, EXIT_USAGE, "unknown option %.100s (try: bauta help)", argv[0]);
        return 1;
    }
    if (o->set == NULL) {
        if (value != NULL)
            wrong(p, EXIT_USAGE, "--%s takes no value", o->name);
        set_flag(p, o, true);
        return 1;
    }
    if (value != NULL) {
        o->set(p, value);
        return 1;
    }
    if (left < 2) {
        wrong(p, EXIT_USAGE, "--%s needs a value", o->name);
        return 1;
    }
    o->set(p, argv[1]);
    return 2;
}

static void check(struct parse *p)
{
    struct config *c = p->cfg;
    if (c->lab && c->lab_strict)
        wrong(p, EXIT_USAGE, "--lab and --lab-strict exclude each other%s", "");
    if (c->proxied && (c->public_server || c->listens > 0 || c->tcps > 0))
        wrong(p, EXIT_USAGE, "--proxy excludes --public, --listen and --tcp: nobody reaches %s",
              "a node behind a proxy");
    if (c->proxied) // nothing is said to the local network either
        c->no_lan = c->no_upnp = true;
    if (c->tcps > 0 && !c->public_server && !c->lab && c->command != COMMAND_RELAY)
        wrong(p, EXIT_USAGE, "--tcp is for servers: it needs %s", "--public");
    uint32_t least = c->lab || c->lab_strict ? PORTMAP_LEASE_LAB_S_MIN : PORTMAP_LEASE_S_MIN;
    if (c->lease_s < least)
        wrong(p, EXIT_USAGE, "--upnp-lease takes at least %s seconds",
              c->lab || c->lab_strict ? "4" : "120");
    if (c->public_server && c->privacy == NODE_RELAYED)
        wrong(p, EXIT_USAGE,
              "--public shows this address to everybody, so it excludes --privacy %s", "relayed");
    if (c->command == COMMAND_RELAY && (c->proxied || c->public_server || c->privacy != 0))
        wrong(p, EXIT_USAGE,
              "a relay is public, and talks to nobody: it takes no proxy, public or %s",
              "privacy in its --config file");
    if (c->command == COMMAND_CTL && c->words == 0 && !c->help)
        wrong(p, EXIT_USAGE, "ctl needs a METHOD (try: bauta help ctl)%s", "");
    if (c->command == COMMAND_HELP && c->words > 0) {
        size_t i = find_command(c->word[0]);
        if (i == sizeof commands / sizeof *commands)
            wrong(p, EXIT_USAGE, "there is no command %.80s (try: bauta help)", c->word[0]);
        else
            c->about = commands[i].command;
    }
}

int config_parse(struct config *c, int argc, char **argv, char error[static HOST_ERROR_BYTES])
{
    struct parse p = {.cfg = c, .error = error};
    memset(c, 0, sizeof *c);
    c->lease_s = PORTMAP_LEASE_S;
    c->drain_s = CONFIG_UNSAID;
    if (argc < 2) {
        wrong(&p, EXIT_USAGE, "which command? (try: bauta help)%s", "");
        return p.status;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        c->command = COMMAND_HELP;
        return EXIT_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        c->command = COMMAND_VERSION;
        return EXIT_OK;
    }
    size_t at = find_command(argv[1]);
    if (at == sizeof commands / sizeof *commands) {
        wrong(&p, EXIT_USAGE,
              argv[1][0] == '-' ? "unknown option %.100s (try: bauta help)"
                                : "there is no command %.100s (try: bauta help)",
              argv[1]);
        return p.status;
    }
    c->command = commands[at].command;
    bool only_words = false;
    for (int i = 2; i < argc && p.status == EXIT_OK;) {
        if (!only_words && strcmp(argv[i], "--") == 0) {
            only_words = true;
            i++;
        } else if (!only_words && argv[i][0] == '-' && argv[i][1] != 0) {
            i += take_option(&p, argv + i, argc - i);
        } else if (c->words == commands[at].words_max) {
            wrong(&p, EXIT_USAGE, "%.100s is one argument too many", argv[i]);
        } else {
            c->word[c->words++] = argv[i++];
        }
    }
    if (p.status == EXIT_OK && p.config_file != NULL) {
        struct config typed = *c; // what was typed wins over the file
        read_file(&p);
        if (typed.network[0] != 0)
            memcpy(c->network, typed.network, sizeof c->network);
        if (typed.control[0] != 0)
            memcpy(c->control, typed.control, sizeof c->control);
        if (typed.state[0] != 0)
            memcpy(c->state, typed.state, sizeof c->state);
        if (typed.privacy != NODE_PRIVACY_UNCHOSEN)
            c->privacy = typed.privacy;
        c->public_server = c->public_server || typed.public_server;
        c->lab = typed.lab || (c->lab && !typed.lab_strict);
        c->lab_strict = typed.lab_strict || (c->lab_strict && !typed.lab);
        c->no_lan = c->no_lan || typed.no_lan;
        c->no_upnp = c->no_upnp || typed.no_upnp;
    }
    if (p.status == EXIT_OK)
        check(&p);
    return p.status;
}
