#include "node/host/serve.h"

#include "crypto/bytes.h"
#include "crypto/nodekey.h"
#include "crypto/relaykey.h"
#include "node/host/lan.h"
#include "node/host/portmap.h"
#include "node/host/process.h"
#include "node/host/resolve.h"
#include "node/host/solver.h"
#include "node/host/state.h"
#include "node/host/volunteer.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IDLE_POLL_MS 5u // how often a leaving node is asked if all is said

#ifdef __linux__
#define CLAMPED_SETTING "net.core.rmem_max and net.core.wmem_max (sysctl) to 4194304"
#else
#define CLAMPED_SETTING "kern.ipc.maxsockbuf (sysctl) to 8388608"
#endif
#define CLAMPED_TEXT                                                                               \
    "The system gives network sockets little memory, so that large transfers are slower than "     \
    "they "                                                                                        \
    "could be; talking is not affected. Its administrator can raise " CLAMPED_SETTING "."

struct serve {
    uv_loop_t *loop;
    struct serve_config cfg;
    struct host_node *node;
    struct control *control;
    struct api api;
    struct resolve *resolve[CONFIG_BOOTSTRAPS_MAX];
    size_t resolves;
    char control_path[HOST_PATH_BYTES];
    struct net net;
    uint8_t secret[32];
    uint8_t puzzle_nonce[PUZZLE_NONCE_BYTES];
    enum node_privacy privacy;
    uv_timer_t timer; // writes contacts; at last waits for the end
    struct solver *solver;
    struct lan_host *lan;        // NULL: off
    struct portmap *portmap;     // NULL: no router is asked
    struct volunteer *volunteer; // of a relay
    struct relay_key relay_key;
    unsigned waited_ms;
    bool searching, stopping, closed;
    bool served; // the key's puzzle was solved, and the node told
    int status;
    char error[HOST_ERROR_BYTES];
};

const char *serve_contact(const struct serve *s)
{
    return s->api.contact;
}

bool serve_searching(const struct serve *s)
{
    return s->searching;
}

const char *serve_control_path(const struct serve *s)
{
    return s->control_path;
}

// ---- the end ----------------------------------------------------------------------------------------

static void on_timer_closed(uv_handle_t *handle)
{
    struct serve *s = handle->data;
    void (*ended)(void *) = s->cfg.ended;
    void *ctx = s->cfg.ctx;
    sodium_memzero(s, sizeof *s);
    free(s);
    ended(ctx);
}

// Nothing is written where nobody is known: what an earlier run knew is better.
static void keep_contacts(struct serve *s)
{
    const struct config *c = s->cfg.config;
    struct contact all[CONTACTS_KEPT_MAX];
    char error[HOST_ERROR_BYTES];
    if (c->state[0] == 0 || s->node == NULL)
        return;
    size_t n = node_contacts(host_node_machine(s->node), all, CONTACTS_KEPT_MAX);
    if (n > 0 && state_contacts_keep(c->state, all, n, error) != 0)
        (void)process_fail(0, "%s", error);
}

static void on_keep(uv_timer_t *timer)
{
    keep_contacts(timer->data);
}

static void close_all(struct serve *s)
{
    if (s->closed)
        return;
    s->closed = true;
    solver_stop(s->solver);
    lan_host_close(s->lan);
    s->lan = NULL;
    portmap_close(s->portmap);
    s->portmap = NULL;
    keep_contacts(s);
    volunteer_close(s->volunteer);
    s->volunteer = NULL;
    for (size_t i = 0; i < s->resolves; i++)
        resolve_stop(s->resolve[i]);
    if (s->control != NULL)
        control_close(s->control);
    s->control = NULL;
    if (s->node != NULL)
        host_node_close(s->node);
    s->node = NULL;
    uv_close((uv_handle_t *)&s->timer, on_timer_closed);
}

// A router is asked only for who said that the own address may be known.
static void map_port(struct serve *s)
{
    if (s->portmap != NULL)
        portmap_want(s->portmap, s->privacy == NODE_DIRECT && !s->stopping);
}

static void on_wait(uv_timer_t *timer)
{
    struct serve *s = timer->data;
    s->waited_ms += IDLE_POLL_MS;
    host_node_listen(s->node, true); // a client that went meanwhile may have turned it off
    host_node_turn(s->node);
    bool said = s->waited_ms >= HOST_STOP_MS || node_idle(host_node_machine(s->node));
    bool shut = s->portmap == NULL || !portmap_closing(s->portmap);
    if (said && (shut || s->waited_ms >= PORTMAP_REMOVE_MS))
        close_all(s);
}

// Says goodbye, and waits until that is said.
static void leave(void *ctx)
{
    struct serve *s = ctx;
    if (s->closed)
        return;
    host_node_listen(s->node, true);
    node_stop(host_node_machine(s->node), host_now(s->cfg.host));
    host_node_turn(s->node);
    uv_ref((uv_handle_t *)&s->timer);
    uv_timer_start(&s->timer, on_wait, IDLE_POLL_MS, IDLE_POLL_MS);
}

void serve_stop(struct serve *s)
{
    if (s->stopping || s->node == NULL) {
        s->stopping = true;
        if (!s->searching) // else the puzzle's end closes it
            close_all(s);
        return;
    }
    s->stopping = true;
    map_port(s);
    if (s->volunteer != NULL)
        volunteer_drain(s->volunteer, leave, s);
    else
        leave(s);
}

static void give_up(struct serve *s, int status)
{
    s->status = status;
    if (!s->stopping)
        s->cfg.ready(s->cfg.ctx, s, status, s->error);
    close_all(s);
}

// ---- the start --------------------------------------------------------------------------------------

static void on_event(void *ctx, struct host_node *node, const struct node_event *ev)
{
    struct serve *s = ctx;
    if (s->control != NULL)
        control_event(s->control, ev);
    if (s->cfg.event != NULL)
        s->cfg.event(s->cfg.ctx, node, ev);
}

// Trouble, and its end.
static void on_proxy_said(void *ctx, enum socks_error error)
{
    struct serve *s = ctx;
    if (!s->stopping)
        (void)process_fail(0, "%s", socks_error_text(error));
}

// Reached by everybody, from the start.
static bool is_public(const struct serve *s)
{
    return s->cfg.config->public_server || s->cfg.config->command == COMMAND_RELAY;
}

static void lend_a_hand(struct serve *s);

static void on_stop(void *ctx)
{
    serve_stop(ctx);
}

// Off where the address is to be hidden: a beacon comes from it.
static void set_lan(struct serve *s)
{
    bool on = !s->cfg.config->no_lan && !node_hides(host_node_machine(s->node));
    if (!on) {
        lan_host_close(s->lan);
        s->lan = NULL;
    } else if (s->lan == NULL) {
        int rc = lan_host_open(&s->lan, s->loop, s->cfg.host, s->node, &s->net);
        if (rc != 0)
            (void)process_fail(0, "LAN discovery is off: %s", uv_strerror(rc));
    }
}

static void on_counters(void *ctx, struct api_counters *out)
{
    const struct serve *s = ctx;
    struct host_lan_counters lan;
    lan_host_counters(s->lan, &lan);
    out->lan = lan.on;
    out->lan_sent = lan.sent;
    out->lan_heard = lan.heard;
    out->lan_dropped = lan.dropped;
}

static void on_privacy(void *ctx, enum node_privacy p)
{
    struct serve *s = ctx;
    char error[HOST_ERROR_BYTES];
    s->privacy = p;
    set_lan(s);
    map_port(s);
    if (p == NODE_RELAYED) { // serving others shows the address
        solver_stop(s->solver);
        s->solver = NULL;
    } else if (s->solver == NULL) {
        lend_a_hand(s);
    }
    if (s->cfg.config->state[0] != 0 && state_privacy_keep(s->cfg.config->state, p, error) != 0)
        (void)process_fail(0, "your choice holds for now, but %s", error);
}

// ---- a port at the router ---------------------------------------------------------------------------

static void on_mapping(void *ctx)
{
    struct serve *s = ctx;
    struct portmap_mapping m;
    bool mapped = portmap_get(s->portmap, &m);
    struct portmap_counters n;
    portmap_count(s->portmap, &n);
    s->api.mapping =
        (struct api_mapping){.protocol = mapped ? portmap_protocol_name(m.protocol) : NULL,
                             .external = m.external,
                             .until = m.until,
                             .runs = n.runs,
                             .failed = n.failed,
                             .killed = n.killed,
                             .lied = n.lied};
    if (s->node == NULL)
        return;
    node_mapped(host_node_machine(s->node), host_node_now(s->node), &m.external, mapped ? 1 : 0);
    host_node_turn(s->node);
}

static void on_moved(void *ctx)
{
    struct serve *s = ctx;
    if (s->portmap != NULL)
        portmap_moved(s->portmap);
    if (s->lan != NULL)
        lan_host_moved(s->lan);
}

// Of a socket that listens to this computer alone, nothing is to be mapped.
static void open_portmap(struct serve *s)
{
    const struct config *c = s->cfg.config;
    struct portmap_config pc = {
        .lease_s = c->lease_s, .lab = c->lab || c->lab_strict, .changed = on_mapping, .ctx = s};
    struct path bound[HOST_SOCKETS_MAX];
    size_t n = host_node_bound(s->node, bound);
    if (c->no_upnp || (c->command != COMMAND_RUN && c->command != COMMAND_CHAT))
        return;
    for (size_t i = 0; i < n; i++)
        if (bound[i].family == 4 && !path_loopback(&bound[i])) {
            memcpy(pc.bound, bound[i].ip, sizeof pc.bound);
            pc.port = bound[i].port;
        }
    if (pc.port == 0 || portmap_open(&s->portmap, s->loop, &pc) != 0)
        s->portmap = NULL;
    map_port(s);
}

static int open_control(struct serve *s)
{
    const struct config *c = s->cfg.config;
    if (c->control[0] != 0) {
        snprintf(s->control_path, sizeof s->control_path, "%s", c->control);
    } else {
        control_default_path(s->control_path);
        if (control_make_dir(s->control_path, s->error) != 0)
            return -1;
    }
    struct control_config cc = {.path = s->control_path,
                                .node = s->node,
                                .api = &s->api,
                                .listens = s->cfg.event != NULL,
                                .stop = on_stop,
                                .privacy = on_privacy,
                                .counters = on_counters,
                                .ctx = s};
    return control_open(&s->control, s->loop, &cc, s->error);
}

static void describe(struct serve *s)
{
    struct path bound[HOST_SOCKETS_MAX];
    struct contact own;
    s->api.node = host_node_machine(s->node);
    s->api.relay = s->volunteer != NULL;
    s->api.sandboxed = s->cfg.sandboxed;
    s->api.shown = s->cfg.config->public_server;
    size_t n = host_node_bound(s->node, bound);
    for (size_t i = 0; i < n; i++)
        path_format(s->api.listen[i], &bound[i]);
    if (host_node_contact(s->node, &own))
        contact_format(s->api.contact, &own);
    else
        snprintf(s->api.contact, sizeof s->api.contact, "-");
}

static void bootstrap(struct serve *s)
{
    const struct config *c = s->cfg.config;
    struct contact kept[CONTACTS_KEPT_MAX];
    if (c->state[0] != 0) {
        int n = state_contacts(c->state, kept, s->error);
        if (n < 0)
            (void)process_fail(0, "%s", s->error);
        for (int i = 0; c->proxied && i < n; i++)
            kept[i].path.via = VIA_TCP;
        if (n > 0)
            (void)host_node_add_contacts(s->node, kept, (size_t)n);
        uv_timer_start(&s->timer, on_keep, CONTACTS_FIRST_MS, CONTACTS_EVERY_MS);
        uv_unref((uv_handle_t *)&s->timer);
    }
    for (size_t i = 0; i < c->bootstraps; i++) {
        const struct bootstrap *b = &c->bootstrap[i];
        struct contact contact = b->contact;
        if (c->proxied) // which takes nothing else, and looks names up itself
            contact.path.via = VIA_TCP;
        if (b->host[0] == 0)
            (void)host_node_bootstrap(s->node, &contact);
        else if (c->proxied)
            (void)host_node_bootstrap_name(s->node, b->host, (uint16_t)strtoul(b->port, NULL, 10),
                                           &contact);
        else if (resolve_start(&s->resolve[s->resolves], s->loop, s->node, b) == 0)
            s->resolves++;
    }
}

// Whoever runs a node lends a hand, once the key has its puzzle and others reach it (PROTOCOL 3).
static void on_solved(void *ctx, const uint8_t puzzle_nonce[static PUZZLE_NONCE_BYTES])
{
    struct serve *s = ctx;
    s->served = true;
    (void)node_serve(host_node_machine(s->node), host_now(s->cfg.host), s->secret, puzzle_nonce);
    host_node_turn(s->node);
    solver_stop(s->solver);
    s->solver = NULL;
}

static void lend_a_hand(struct serve *s)
{
    const struct config *c = s->cfg.config;
    if (c->command != COMMAND_RUN || c->lab || c->public_server || c->proxied ||
        s->privacy == NODE_RELAYED || s->served)
        return;
    uint8_t pk[32], seed[32];
    memcpy(seed, s->secret, sizeof seed);
    key_pair(pk, s->secret, seed);
    sodium_memzero(seed, sizeof seed);
    if (solver_start(&s->solver, s->loop, &s->net, pk, NODE_PUZZLE_BITS, on_solved, s) != 0)
        s->solver = NULL; // a client, then
}

static void open_node(struct serve *s)
{
    const struct config *c = s->cfg.config;
    struct host_node_config hc = {.listens = c->listens,
                                  .tcps = c->tcps,
                                  .proxy = c->proxied ? &c->proxy : NULL,
                                  .proxy_said = on_proxy_said,
                                  .event = on_event,
                                  .moved = on_moved,
                                  .ctx = s};
    memcpy(hc.listen, c->listen, sizeof hc.listen);
    memcpy(hc.tcp, c->tcp, sizeof hc.tcp);
    hc.node.network = c->network[0] != 0 ? c->network : NULL;
    hc.node.server = hc.node.listed =
        (c->lab || is_public(s)) && !c->proxied && s->privacy != NODE_RELAYED;
    hc.node.hops = c->hops;
    hc.node.tcp_only = c->proxied;
    hc.node.keep_contacts = true;
    hc.node.lab = c->lab || c->lab_strict;
    hc.node.prefix_limits = !c->lab;
    hc.node.puzzle_bits = c->lab ? 0 : NODE_PUZZLE_BITS;
    hc.node.privacy = s->privacy;
    hc.node.cover = c->cover;
    memcpy(hc.node.secret, s->secret, sizeof s->secret);
    memcpy(hc.node.puzzle_nonce, s->puzzle_nonce, sizeof s->puzzle_nonce);
    if (s->volunteer != NULL) {
        volunteer_fill(s->volunteer, &hc);
        memcpy(hc.node.relay_seed, s->relay_key.seed, sizeof hc.node.relay_seed);
    }
    int rc = host_node_open(s->cfg.host, &hc, &s->node, s->error);
    sodium_memzero(&hc, sizeof hc);
    if (rc == 0)
        describe(s);
    if (rc != 0 || open_control(s) != 0 ||
        (s->volunteer != NULL && volunteer_begin(s->volunteer, s->node, s->error) != 0)) {
        give_up(s, EXIT_FAILED);
        return;
    }
    if (host_node_clamped(s->node))
        node_warn(host_node_machine(s->node), "buffers", CLAMPED_TEXT);
    bootstrap(s);
    set_lan(s);
    open_portmap(s);
    s->cfg.ready(s->cfg.ctx, s, EXIT_OK, "");
    lend_a_hand(s);
}

static int keep_key(struct serve *s)
{
    const char *state = s->cfg.config->state;
    if (s->volunteer == NULL)
        return state_key_keep(state, s->secret, s->puzzle_nonce, s->error);
    memcpy(s->relay_key.puzzle_nonce, s->puzzle_nonce, sizeof s->puzzle_nonce);
    return state_relay_key_keep(state, &s->relay_key, s->error);
}

static void on_puzzle(void *ctx, const uint8_t *result, int len)
{
    struct serve *s = ctx;
    const char *state = s->cfg.config->state;
    s->searching = false;
    if (s->stopping) {
        close_all(s);
        return;
    }
    if (len != (int)PUZZLE_NONCE_BYTES) {
        snprintf(s->error, sizeof s->error, "the key's puzzle could not be solved");
        give_up(s, EXIT_FAILED);
        return;
    }
    memcpy(s->puzzle_nonce, result, PUZZLE_NONCE_BYTES);
    if (state[0] != 0 && keep_key(s) != 0) {
        give_up(s, EXIT_FAILED);
        return;
    }
    open_node(s);
}

// 1: with its puzzle's nonce, 0: fresh, -1: an error.
static int take_key(struct serve *s, bool puzzle)
{
    const struct config *c = s->cfg.config;
    randombytes_buf(s->secret, sizeof s->secret);
    if (s->volunteer == NULL)
        return puzzle && c->state[0] != 0
                   ? state_key(c->state, s->secret, s->puzzle_nonce, s->error)
                   : 0;
    int kept = volunteer_key(&s->relay_key, c, s->error);
    relay_secret(s->secret, s->relay_key.seed);
    memcpy(s->puzzle_nonce, s->relay_key.puzzle_nonce, sizeof s->puzzle_nonce);
    return kept;
}

// The key of a server and its puzzle: kept with --state, else fresh in each run.
static void prepare_key(struct serve *s)
{
    const struct config *c = s->cfg.config;
    bool puzzle = is_public(s) && !c->lab;
    uint8_t pk[32], seed[32];
    int kept = take_key(s, puzzle);
    if (kept < 0 ||
        (kept == 0 && !puzzle && s->volunteer != NULL && c->state[0] != 0 && keep_key(s) != 0)) {
        give_up(s, EXIT_FAILED);
        return;
    }
    if (!puzzle) {
        open_node(s);
        return;
    }
    memcpy(seed, s->secret, sizeof seed);
    key_pair(pk, s->secret, seed);
    sodium_memzero(seed, sizeof seed);
    if (kept > 0 && node_puzzle_ok(&s->net, pk, s->puzzle_nonce, NODE_PUZZLE_BITS)) {
        open_node(s);
        return;
    }
    struct job job;
    job_node_puzzle(&job, 0, &s->net, pk, NODE_PUZZLE_BITS);
    s->searching = host_job(s->cfg.host, &job, on_puzzle, s) == 0;
    if (!s->searching) {
        snprintf(s->error, sizeof s->error, "out of memory");
        give_up(s, EXIT_FAILED);
    }
}

static void on_start(uv_timer_t *timer)
{
    struct serve *s = timer->data;
    const struct config *c = s->cfg.config;
    bool relay = c->command == COMMAND_RELAY;
    s->privacy = c->privacy;
    if (net_init(&s->net, c->network[0] != 0 ? c->network : "bauta") != BAUTA_OK) {
        snprintf(s->error, sizeof s->error,
                 "a network's name has 1 to 63 visible ASCII characters");
        give_up(s, EXIT_USAGE);
        return;
    }
    if (c->state[0] != 0) {
        enum node_privacy kept = NODE_PRIVACY_UNCHOSEN;
        if (state_open(c->state, s->error) != 0 ||
            (!relay && state_privacy(c->state, &kept, s->error) < 0)) {
            give_up(s, EXIT_FAILED);
            return;
        }
        if (s->privacy == NODE_PRIVACY_UNCHOSEN)
            s->privacy = kept;
    }
    if (c->public_server && s->privacy == NODE_RELAYED) {
        snprintf(s->error, sizeof s->error,
                 "--public shows this address to everybody, and the state folder says that it is "
                 "to be hidden; choose with --privacy direct");
        give_up(s, EXIT_USAGE);
        return;
    }
    if (relay && volunteer_new(&s->volunteer, s->loop, s->cfg.host, c, s->error) != 0) {
        give_up(s, EXIT_FAILED);
        return;
    }
    prepare_key(s);
}

int serve_start(struct serve **out, uv_loop_t *loop, const struct serve_config *cfg)
{
    struct serve *s = calloc(1, sizeof *s);
    if (s == NULL)
        return UV_ENOMEM;
    s->loop = loop;
    s->cfg = *cfg;
    uv_timer_init(loop, &s->timer);
    s->timer.data = s;
    uv_timer_start(&s->timer, on_start, 0, 0); // so that `ready` never comes before this returns
    *out = s;
    return 0;
}
