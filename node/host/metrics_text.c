#include "node/host/metrics_text.h"

#include "node/host/version.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct text {
    char *out;
    size_t cap, len;
    bool full;
};

static void __attribute__((format(printf, 2, 3))) add(struct text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = t->full ? -1 : vsnprintf(t->out + t->len, t->cap - t->len, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= t->cap - t->len)
        t->full = true;
    else
        t->len += (size_t)n;
}

static void family(struct text *t, const char *name, const char *type, const char *help)
{
    add(t, "# HELP bauta_%s %s\n# TYPE bauta_%s %s\n", name, help, name, type);
}

static void one(struct text *t, const char *name, const char *type, const char *help, uint64_t v)
{
    family(t, name, type, help);
    add(t, "bauta_%s %llu\n", name, (unsigned long long)v);
}

static void row(struct text *t, const char *name, const char *label, const char *value, uint64_t v)
{
    add(t, "bauta_%s{%s=\"%s\"} %llu\n", name, label, value, (unsigned long long)v);
}

static void relay_part(struct text *t, const struct node_status *s, uint64_t month_bytes)
{
    const struct relay_status *r = &s->relay;
    one(t, "relay_clients", "gauge", "Clients now.", r->clients);
    one(t, "relay_clients_max", "gauge", "Clients that fit.", r->clients_max);
    one(t, "relay_draining", "gauge", "1: takes no new clients.", r->draining);
    one(t, "relay_announced", "gauge", "1: the directory names this relay.", s->announced);
    one(t, "relay_month_bytes", "gauge", "Forwarded this month, both ways.", month_bytes);
    if (r->volume_left_bytes != UINT64_MAX)
        one(t, "relay_month_left_bytes", "gauge", "What --volume leaves of this month.",
            r->volume_left_bytes);
    one(t, "relay_opened_total", "counter", "Clients that were taken.", r->opened);
    family(t, "relay_refused_total", "counter", "Clients that were not taken.");
    row(t, "relay_refused_total", "why", "full", r->refused_full);
    row(t, "relay_refused_total", "why", "rate", r->refused_rate);
    row(t, "relay_refused_total", "why", "bad", r->refused_bad);
    family(t, "relay_forwarded_datagrams_total", "counter", "Out: of clients, to others.");
    row(t, "relay_forwarded_datagrams_total", "way", "out", r->forwarded_out);
    row(t, "relay_forwarded_datagrams_total", "way", "in", r->forwarded_in);
    family(t, "relay_forwarded_bytes_total", "counter", "Out: of clients, to others.");
    row(t, "relay_forwarded_bytes_total", "way", "out", r->forwarded_out_bytes);
    row(t, "relay_forwarded_bytes_total", "way", "in", r->forwarded_in_bytes);
    family(t, "relay_dropped_total", "counter", "Datagrams that were not forwarded.");
    row(t, "relay_dropped_total", "why", "no_consent", r->dropped_unknown);
    row(t, "relay_dropped_total", "why", "rate", r->dropped_rate);
    row(t, "relay_dropped_total", "why", "queue", r->dropped_queue);
    row(t, "relay_dropped_total", "why", "format", r->dropped_format);
    family(t, "relay_asked_total", "counter", "Whether somebody wants what a client sends.");
    row(t, "relay_asked_total", "whom", "servers", r->asked_servers);
    row(t, "relay_asked_total", "whom", "peers", r->asked_peers);
    one(t, "relay_consented_peers_total", "counter", "Peers that said yes.", r->consented_peers);
}

int metrics_text(char *out, size_t cap, const struct node_status *s, const struct link_counters *l,
                 uint64_t month_bytes)
{
    struct text t = {.out = out, .cap = cap};
    family(&t, "info", "gauge", "Always 1.");
    row(&t, "info", "version", BAUTA_VERSION, 1);
    one(&t, "uptime_seconds", "gauge", "Since the start.", s->uptime_us / USEC_PER_S);
    relay_part(&t, s, month_bytes);
    one(&t, "dht_contacts", "gauge", "Servers that are known.", s->dht.contacts);
    one(&t, "dht_records", "gauge", "Sealed records held for others.", s->dht.records_held);
    family(&t, "datagrams_total", "counter", "All that came and went.");
    row(&t, "datagrams_total", "way", "in", s->datagrams_in);
    row(&t, "datagrams_total", "way", "out", s->datagrams_out);
    family(&t, "bytes_total", "counter", "All that came and went.");
    row(&t, "bytes_total", "way", "in", s->bytes_in);
    row(&t, "bytes_total", "way", "out", s->bytes_out);
    family(&t, "socket_dropped_total", "counter", "Sends that the system did not take.");
    row(&t, "socket_dropped_total", "why", "full", l->dropped_full);
    row(&t, "socket_dropped_total", "why", "failed", l->send_failed);
    row(&t, "socket_dropped_total", "why", "refused", l->refused);
    one(&t, "sockets", "gauge", "Clients' sockets.", l->extra_sockets);
    one(&t, "tcp_connections", "gauge", "Clients' TCP connections.", l->tcp_accepted);
    one(&t, "memory_bytes", "gauge", "Of the node.", s->arena_used_bytes);
    return t.full ? -1 : (int)t.len;
}

int metrics_health(char *out, size_t cap, const struct node_status *s, bool stopping)
{
    bool draining = stopping || s->relay.draining, ok = !draining && s->dht.contacts > 0;
    int n = snprintf(out, cap, "%s\n", draining ? "draining" : ok ? "ok" : "joining");
    return ok ? n : -n;
}
