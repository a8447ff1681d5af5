// The answer of `status`: what the node is, knows and does. Own addresses only, never a stranger's.
#include "node/host/api.h"
#include "node/host/version.h"

#include <string.h>

static void put(json_t *o, const char *key, uint64_t v)
{
    json_object_set_new(o, key, json_integer((json_int_t)v));
}

static json_t *dht_json(const struct dht_status *d)
{
    json_t *o = json_object();
    json_object_set_new(o, "server", json_boolean(d->server));
    json_object_set_new(o, "candidate", json_boolean(d->candidate));
    put(o, "contacts", d->contacts);
    put(o, "size_estimate", d->size_estimate);
    put(o, "records_held", d->records_held);
    put(o, "handles_held", d->handles_held);
    put(o, "links_held", d->links_held);
    put(o, "places", d->places);
    put(o, "lookups_running", d->lookups_running);
    put(o, "lookups", d->lookups);
    put(o, "lookups_ok", d->lookups_ok);
    put(o, "timeouts", d->timeouts);
    return o;
}

static json_t *mapping_json(const struct api_mapping *m, usec_t now)
{
    char text[PATH_TEXT_BYTES];
    if (m->protocol == NULL)
        return json_null();
    json_t *o = json_object();
    path_format(text, &m->external);
    json_object_set_new(o, "protocol", json_string(m->protocol));
    json_object_set_new(o, "external", json_string(text));
    put(o, "lease_s", m->until > now ? (m->until - now) / USEC_PER_S : 0);
    return o;
}

static json_t *path_json(const struct path *p)
{
    char text[PATH_TEXT_BYTES];
    if (p->family == 0)
        return json_null();
    path_format(text, p);
    return json_string(text);
}

static json_t *nat_json(const struct dht_reach *r)
{
    static const char *const name[] = {"unknown", "none", "independent", "dependent"};
    json_t *o = json_object();
    json_object_set_new(o, "mapping", json_string(name[r->mapping]));
    if (r->mapping == DHT_MAPPING_UNKNOWN)
        return o;
    json_object_set_new(o, "seen", path_json(&r->seen));
    json_object_set_new(o, "same_address", json_boolean(r->same_ip));
    json_object_set_new(o, "port_preserving", json_boolean(r->port_preserving));
    json_object_set_new(o, "port_step", json_integer(r->port_step));
    put(o, "observers", r->observers);
    return o;
}

static json_t *reach_json(const struct api *a, const struct node_status *s, usec_t now)
{
    static const char *const hairpin[] = {"unknown", "no", "yes"};
    json_t *o = json_object(), *listen = json_array(), *nat = json_object();
    json_t *mapper = json_object();
    json_object_set_new(o, "seen", path_json(&s->dht.seen));
    json_t *v4 = nat_json(&s->reach[0]);
    json_object_set_new(v4, "hairpin", json_string(hairpin[s->hairpin]));
    json_object_set_new(nat, "v4", v4);
    json_object_set_new(nat, "v6", nat_json(&s->reach[1]));
    json_object_set_new(o, "nat", nat);
    json_t *lan = json_object();
    json_object_set_new(lan, "on", json_boolean(a->counters.lan));
    put(lan, "sent", a->counters.lan_sent);
    put(lan, "heard", a->counters.lan_heard);
    put(lan, "dropped", a->counters.lan_dropped);
    json_object_set_new(o, "lan", lan);
    for (size_t i = 0; i < 2; i++)
        if (a->listen[i][0] != 0)
            json_array_append_new(listen, json_string(a->listen[i]));
    json_object_set_new(o, "listen", listen);
    json_object_set_new(o, "mapping", mapping_json(&a->mapping, now));
    put(mapper, "runs", a->mapping.runs);
    put(mapper, "failed", a->mapping.failed);
    put(mapper, "killed", a->mapping.killed);
    put(mapper, "lied", a->mapping.lied);
    json_object_set_new(o, "mapper", mapper);
    return o;
}

static json_t *channel_json(const struct channel_status *c)
{
    json_t *o = json_object();
    put(o, "rtt_us", c->srtt_us);
    put(o, "cwnd_bytes", c->cwnd_bytes);
    put(o, "in_flight_bytes", c->in_flight_bytes);
    put(o, "packets_in", c->packets_in);
    put(o, "packets_out", c->packets_out);
    put(o, "packets_lost", c->packets_lost);
    put(o, "packets_dropped", c->packets_dropped);
    put(o, "bytes_in", c->bytes_in);
    put(o, "bytes_out", c->bytes_out);
    put(o, "ratchet_step", c->step);
    json_object_set_new(
        o, "cipher", json_string(c->aead == PACKET_AEGIS256 ? "aegis-256" : "chacha20-poly1305"));
    return o;
}

static json_t *encounters_json(const struct node *n)
{
    struct node_encounter_status e[MEET_ENCOUNTERS_MAX];
    size_t count = node_encounters(n, e, MEET_ENCOUNTERS_MAX);
    json_t *all = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *o = json_object(), *topics = json_array();
        put(o, "encounter", e[i].encounter);
        json_object_set_new(o, "state", json_string(e[i].state));
        json_object_set_new(o, "cover", json_string(api_cover_name(e[i].cover)));
        const char *topic;
        size_t len;
        for (size_t t = 0; (topic = node_encounter_topic(n, e[i].encounter, t, &len)) != NULL; t++)
            json_array_append_new(topics, json_stringn(topic, len));
        json_object_set_new(o, "topics", topics);
        if (e[i].alias[0] != 0)
            json_object_set_new(o, "alias", json_string(e[i].alias));
        if (strcmp(e[i].state, "talking") == 0) {
            json_object_set_new(o, "path", json_string(e[i].path));
            json_object_set_new(o, "channel", channel_json(&e[i].channel));
        }
        json_array_append_new(all, o);
    }
    return all;
}

static json_t *dropped_json(const struct api *a, const struct node_status *s)
{
    json_t *o = json_object();
    put(o, "short", s->dropped_short);
    put(o, "long", a->counters.dropped_long);
    put(o, "unknown", s->dropped_unknown);
    put(o, "channel", s->dropped_channel);
    put(o, "dht_format", s->dht.dropped_format);
    put(o, "dht_auth", s->dht.dropped_auth);
    put(o, "dht_replay", s->dht.dropped_replay);
    put(o, "dht_rate", s->dht.dropped_rate);
    put(o, "meet_format", s->meet.dropped_format);
    put(o, "meet_auth", s->meet.dropped_auth);
    put(o, "meet_replay", s->meet.dropped_replay);
    put(o, "meet_rate", s->meet.dropped_rate);
    put(o, "meet_pow", s->meet.dropped_pow);
    put(o, "out_full", a->counters.dropped_full);
    put(o, "out_failed", a->counters.send_failed);
    put(o, "out_refused", a->counters.refused);
    return o;
}

static json_t *traffic_json(const struct node_status *s)
{
    json_t *o = json_object();
    put(o, "datagrams_in", s->datagrams_in);
    put(o, "datagrams_out", s->datagrams_out);
    put(o, "bytes_in", s->bytes_in);
    put(o, "bytes_out", s->bytes_out);
    put(o, "requests_in", s->dht.requests_in);
    put(o, "requests_out", s->dht.requests_out);
    put(o, "answers_in", s->dht.answers_in);
    put(o, "answers_out", s->dht.answers_out);
    put(o, "pushes_in", s->dht.pushes_in);
    put(o, "pushes_out", s->dht.pushes_out);
    return o;
}

static json_t *meet_json(const struct meet_status *m)
{
    json_t *o = json_object();
    put(o, "offers_out", m->offers_out);
    put(o, "offers_in", m->offers_in);
    put(o, "accepted", m->accepted);
    put(o, "refused", m->refused);
    put(o, "declined", m->declined);
    put(o, "retracted", m->retracted);
    put(o, "matched", m->matched);
    put(o, "no_path", m->no_path);
    put(o, "derive_us", m->derive_us);
    return o;
}

// The relays that we use.
static json_t *relays_json(const struct uplink_status *u)
{
    json_t *o = json_object();
    json_object_set_new(o, "open", json_boolean(u->open));
    put(o, "tunnels", u->tunnels);
    put(o, "opening", u->opening);
    put(o, "known", u->known);
    return o;
}

// The relay that we are.
static json_t *relay_json(const struct api *a, const struct node_status *s)
{
    const struct relay_status *r = &s->relay;
    json_t *o = json_object();
    json_object_set_new(o, "sandboxed", json_boolean(a->sandboxed));
    put(o, "clients", r->clients);
    put(o, "clients_max", r->clients_max);
    json_object_set_new(o, "draining", json_boolean(r->draining));
    json_object_set_new(o, "announced", json_boolean(s->announced));
    if (r->volume_left_bytes == UINT64_MAX)
        json_object_set_new(o, "volume_left_bytes", json_null());
    else
        put(o, "volume_left_bytes", r->volume_left_bytes);
    put(o, "opened", r->opened);
    put(o, "refused_full", r->refused_full);
    put(o, "refused_rate", r->refused_rate);
    put(o, "refused_bad", r->refused_bad);
    put(o, "forwarded_out", r->forwarded_out);
    put(o, "forwarded_out_bytes", r->forwarded_out_bytes);
    put(o, "forwarded_in", r->forwarded_in);
    put(o, "forwarded_in_bytes", r->forwarded_in_bytes);
    put(o, "dropped_no_consent", r->dropped_unknown);
    put(o, "dropped_rate", r->dropped_rate);
    put(o, "dropped_queue", r->dropped_queue);
    put(o, "dropped_format", r->dropped_format);
    put(o, "asked_servers", r->asked_servers);
    put(o, "asked_peers", r->asked_peers);
    put(o, "consented_peers", r->consented_peers);
    return o;
}

json_t *api_status(const struct api *a, usec_t now)
{
    struct node_status s;
    node_status(a->node, now, &s);
    json_t *o = json_object(), *memory = json_object();
    json_object_set_new(o, "contact", json_string(a->contact));
    json_object_set_new(o, "network", json_string(s.network));
    json_object_set_new(o, "version", json_string(BAUTA_VERSION));
    put(o, "uptime_s", s.uptime_us / USEC_PER_S);
    json_object_set_new(o, "dht", dht_json(&s.dht));
    json_object_set_new(o, "reach", reach_json(a, &s, now));
    json_object_set_new(o, "privacy", json_string(api_privacy_name(s.privacy)));
    json_object_set_new(o, "relays", relays_json(&s.uplink));
    if (s.relaying)
        json_object_set_new(o, "relay", relay_json(a, &s));
    json_object_set_new(o, "encounters", encounters_json(a->node));
    json_object_set_new(o, "meet", meet_json(&s.meet));
    json_object_set_new(o, "dropped", dropped_json(a, &s));
    json_object_set_new(o, "traffic", traffic_json(&s));
    put(memory, "held_bytes", s.pool_held_bytes);
    put(memory, "used_bytes", s.arena_used_bytes);
    json_object_set_new(o, "memory", memory);
    return o;
}
