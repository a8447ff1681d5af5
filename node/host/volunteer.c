#include "node/host/volunteer.h"

#include "dht/path.h"
#include "node/host/addrs.h"
#include "node/host/metrics.h"
#include "node/host/metrics_text.h"
#include "node/host/process.h"
#include "node/relay/offer.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define GB 1000000000u

struct volunteer {
    uv_timer_t timer;
    struct host *host;
    const struct config *config;
    struct host_node *node; // NULL: not there yet
    struct metrics *metrics;
    struct relay_month month, written;
    uint64_t counted; // of the machine's bytes, in `month` already
    struct path told[2];
    size_t tolds;
    uint16_t told_port;
    bool told_beside;
    unsigned looks;
    bool draining;
    unsigned waited_ms;
    void (*drained)(void *ctx);
    void *ctx;
};

// ---- key ------------------------------------------------------------------------------------------------

int volunteer_key(struct relay_key *k, const struct config *c, char error[static HOST_ERROR_BYTES])
{
    int64_t now_s = (int64_t)time(NULL);
    int kept = c->state[0] != 0 ? state_relay_key(c->state, k, error) : 0;
    if (kept < 0 || (kept > 0 && k->made_s <= now_s && now_s - k->made_s < VOLUNTEER_KEY_S))
        return kept;
    memset(k, 0, sizeof *k);
    randombytes_buf(k->seed, sizeof k->seed);
    k->made_s = now_s;
    return 0;
}

// ---- the month ------------------------------------------------------------------------------------------

uint32_t volunteer_month(int64_t unix_s)
{
    time_t t = (time_t)unix_s;
    struct tm tm;
    if (gmtime_r(&t, &tm) == NULL)
        return 0;
    return (uint32_t)(tm.tm_year + 1900) * 100 + (uint32_t)tm.tm_mon + 1;
}

static uint64_t volume_left(const struct volunteer *v)
{
    uint64_t all = (uint64_t)v->config->volume_GB * GB;
    if (all == 0)
        return UINT64_MAX;
    return v->month.bytes < all ? all - v->month.bytes : 0;
}

static void write_month(struct volunteer *v)
{
    char error[HOST_ERROR_BYTES];
    bool same = v->month.month == v->written.month && v->month.bytes == v->written.bytes;
    if (v->config->state[0] == 0 || same)
        return;
    if (state_relay_month_keep(v->config->state, &v->month, error) != 0)
        (void)process_fail(0, "%s", error);
    else
        v->written = v->month;
}

static void count_month(struct volunteer *v, const struct node_status *s)
{
    uint64_t forwarded = s->relay.forwarded_in_bytes + s->relay.forwarded_out_bytes;
    uint32_t month = volunteer_month((int64_t)time(NULL));
    v->month.bytes += forwarded - v->counted;
    v->counted = forwarded;
    if (month <= v->month.month) // a clock that goes back begins no month
        return;
    v->month = (struct relay_month){.month = month};
    node_relay_volume(host_node_machine(v->node), volume_left(v));
    write_month(v);
}

// ---- the address ----------------------------------------------------------------------------------------

static bool global(const struct path *p)
{
    return path_reachable(p, false) && !path_private(p);
}

size_t volunteer_paths(struct path out[static 2], const struct path *bound, size_t bounds,
                       const struct path *local, size_t locals, const struct path seen[static 2],
                       bool lab)
{
    size_t n = 0;
    for (size_t i = 0; i < bounds && n < 2; i++) {
        const struct path *b = &bound[i], *found = NULL;
        const struct path *outside = &seen[b->family == 6];
        if (!addrs_wildcard(b) && (lab || global(b)))
            found = b;
        for (size_t k = 0; found == NULL && k < locals; k++)
            if (local[k].family == b->family && local[k].port == b->port && global(&local[k]))
                found = &local[k];
        if (found == NULL && outside->family == b->family && path_reachable(outside, lab))
            found = outside;
        if (found != NULL)
            out[n++] = *found;
    }
    return n;
}

uint16_t volunteer_tcp_port(const struct path *tcp, size_t tcps, const struct path *told, size_t n,
                            bool *beside)
{
    uint16_t port = 0;
    size_t same = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < tcps; k++)
            if (tcp[k].family == told[i].family && tcp[k].port == told[i].port) {
                same++;
                break;
            }
    *beside = n > 0 && same == n;
    for (size_t k = 0; k < tcps; k++) {
        bool taken = false;
        for (size_t i = 0; i < n; i++)
            taken = taken || tcp[k].port == told[i].port;
        bool may = tcp[k].port == OFFER_TCP_PORT_LOW || tcp[k].port >= 1024;
        if (!taken && may && port != OFFER_TCP_PORT_LOW)
            port = tcp[k].port == OFFER_TCP_PORT_LOW || port == 0 ? tcp[k].port : port;
    }
    return port;
}

static void announce(struct volunteer *v, const struct node_status *s)
{
    struct path bound[HOST_SOCKETS_MAX], tcp[TCP_LISTENERS_MAX], local[MEET_LOCAL_PATHS_MAX];
    struct path now[2] = {0};
    bool lab = v->config->lab || v->config->lab_strict, beside;
    size_t bounds = host_node_bound(v->node, bound), tcps = host_node_bound_tcp(v->node, tcp);
    size_t locals = 0;
    for (size_t i = 0; i < bounds; i++)
        locals += addrs_of(local + locals, MEET_LOCAL_PATHS_MAX - locals, &bound[i], lab);
    size_t n = volunteer_paths(now, bound, bounds, local, locals, s->dht.seen_of, lab);
    uint16_t port = volunteer_tcp_port(tcp, tcps, now, n, &beside);
    bool same = n == v->tolds && port == v->told_port && beside == v->told_beside;
    for (size_t i = 0; i < n && same; i++)
        same = path_equal(&now[i], &v->told[i]);
    if (n == 0 || same)
        return;
    int rc = node_relay_announce(host_node_machine(v->node), host_node_now(v->node), now, n, beside,
                                 port);
    host_node_turn(v->node);
    if (rc != 0)
        return; // asked again at the next look
    memcpy(v->told, now, sizeof v->told);
    v->tolds = n;
    v->told_port = port;
    v->told_beside = beside;
}

// ---- time -----------------------------------------------------------------------------------------------

static void look(struct volunteer *v, struct node_status *s)
{
    node_status(host_node_machine(v->node), host_node_now(v->node), s);
    count_month(v, s);
    if (++v->looks % VOLUNTEER_WRITE_LOOKS == 0)
        write_month(v);
}

static void on_look(uv_timer_t *timer)
{
    struct volunteer *v = timer->data;
    struct node_status s;
    look(v, &s);
    announce(v, &s);
}

static void on_drain(uv_timer_t *timer)
{
    struct volunteer *v = timer->data;
    struct node_status s;
    uint32_t drain_s = v->config->drain_s == CONFIG_UNSAID ? VOLUNTEER_DRAIN_S : v->config->drain_s;
    look(v, &s);
    v->waited_ms += VOLUNTEER_DRAIN_POLL_MS;
    if (s.relay.clients > 0 && v->waited_ms < drain_s * 1000)
        return;
    uv_timer_stop(timer);
    v->drained(v->ctx);
}

void volunteer_drain(struct volunteer *v, void (*done)(void *ctx), void *ctx)
{
    uint32_t drain_s = v->config->drain_s == CONFIG_UNSAID ? VOLUNTEER_DRAIN_S : v->config->drain_s;
    v->draining = true;
    v->drained = done;
    v->ctx = ctx;
    node_relay_drain(host_node_machine(v->node), host_node_now(v->node), drain_s);
    host_node_turn(v->node);
    uv_ref((uv_handle_t *)&v->timer);
    uv_timer_start(&v->timer, on_drain, 0, VOLUNTEER_DRAIN_POLL_MS);
}

// ---- life -----------------------------------------------------------------------------------------------

static int on_scrape(void *ctx, enum metrics_page page, char *out, size_t cap)
{
    struct volunteer *v = ctx;
    struct node_status s;
    struct link_counters links;
    node_status(host_node_machine(v->node), host_node_now(v->node), &s);
    if (page == METRICS_HEALTH)
        return metrics_health(out, cap, &s, v->draining);
    host_node_counters(v->node, &links);
    uint64_t pending = s.relay.forwarded_in_bytes + s.relay.forwarded_out_bytes - v->counted;
    return metrics_text(out, cap, &s, &links, v->month.bytes + pending);
}

int volunteer_new(struct volunteer **out, uv_loop_t *loop, struct host *host,
                  const struct config *c, char error[static HOST_ERROR_BYTES])
{
    struct volunteer *v = calloc(1, sizeof *v);
    if (v == NULL) {
        snprintf(error, HOST_ERROR_BYTES, "out of memory");
        return -1;
    }
    v->host = host;
    v->config = c;
    uint32_t month = volunteer_month((int64_t)time(NULL));
    if (c->state[0] != 0 && state_relay_month(c->state, &v->month, error) < 0) {
        free(v);
        return -1;
    }
    v->written = v->month;
    if (month > v->month.month)
        v->month = (struct relay_month){.month = month};
    uv_timer_init(loop, &v->timer);
    v->timer.data = v;
    *out = v;
    return 0;
}

void volunteer_fill(const struct volunteer *v, struct host_node_config *hc)
{
    const struct config *c = v->config;
    hc->node.relay = true;
    hc->node.relay_clients_max = c->clients;
    hc->node.relay_client_Bps = c->rate_kBps * 1000;
    hc->node.relay_total_Bps = c->bandwidth_kBps * 1000;
    hc->node.relay_volume_bytes = volume_left(v);
    hc->tcp_beside = true;
}

int volunteer_begin(struct volunteer *v, struct host_node *node,
                    char error[static HOST_ERROR_BYTES])
{
    v->node = node;
    if (v->config->metrics.family != 0 &&
        metrics_open(&v->metrics, v->timer.loop, &v->config->metrics, on_scrape, v, error) != 0)
        return -1;
    uv_timer_start(&v->timer, on_look, 0, VOLUNTEER_LOOK_MS);
    uv_unref((uv_handle_t *)&v->timer);
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void volunteer_close(struct volunteer *v)
{
    if (v == NULL)
        return;
    if (v->node != NULL) {
        struct node_status s;
        look(v, &s);
        write_month(v);
    }
    metrics_close(v->metrics);
    uv_close((uv_handle_t *)&v->timer, on_closed);
}
