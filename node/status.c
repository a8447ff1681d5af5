// What the node is, knows and does, in numbers: never an address of a stranger, a place or a topic.
#include "node/node_internal.h"

void node_status(const struct node *n, usec_t now, struct node_status *s)
{
    memset(s, 0, sizeof *s);
    dht_status(n->dht, &s->dht);
    meet_status(n->meet, &s->meet);
    dht_reach(n->dht, 4, &s->reach[0]);
    dht_reach(n->dht, 6, &s->reach[1]);
    s->hairpin = n->hairpin.answer;
    s->privacy = n->cfg.privacy;
    uplink_status(n, now, &s->uplink);
    if (n->relaying != NULL) {
        struct directory_status d;
        relay_status(n->relaying->service, &s->relay);
        directory_status(n->relaying->directory, now, &d);
        s->relaying = true;
        s->announced = d.announced;
    }
    s->uptime_us = now - n->started_us;
    s->datagrams_in = n->datagrams_in;
    s->datagrams_out = n->datagrams_out;
    s->bytes_in = n->bytes_in;
    s->bytes_out = n->bytes_out;
    s->dropped_short = n->dropped_short;
    s->dropped_unknown = n->dropped_unknown;
    s->dropped_channel = n->dropped_channel;
    s->pool_held_bytes = n->cfg.arena->pool->held_bytes;
    s->arena_used_bytes = n->cfg.arena->used_bytes;
    s->network = (const char *)n->net.bytes + 1; // net_init zeroes the rest, so it ends with NUL
}

static const char *state_word(const struct node *n, const struct encounter *e)
{
    struct meet_encounter_status m;
    if (e->talk != NULL && e->talk->matched && (e->talk->closed || e->talk->peer_left))
        return "ended"; // not told yet: nobody listens
    switch (e->state) {
    case ENCOUNTER_TALKING:
        return "talking";
    case ENCOUNTER_ENDED:
        return "ended";
    case ENCOUNTER_NONE:
    case ENCOUNTER_SEEKING:
        break;
    }
    bool connecting =
        meet_encounter_status(n->meet, e->id, &m) == BAUTA_OK && m.stage == MEET_CONNECTING;
    return connecting ? "connecting" : "seeking";
}

size_t node_encounters(const struct node *n, struct node_encounter_status *out, size_t max)
{
    size_t k = 0;
    for (size_t i = 0; n->encounters > 0 && i < MEET_ENCOUNTERS_MAX && k < max; i++) {
        const struct encounter *e = n->busy->encounter[i];
        if (e == NULL)
            continue;
        memset(&out[k], 0, sizeof out[k]);
        out[k].encounter = e->id;
        out[k].state = state_word(n, e);
        out[k].cover = e->cover;
        if (e->state != ENCOUNTER_SEEKING)
            memcpy(out[k].alias, e->alias, sizeof out[k].alias);
        out[k].path = e->talk != NULL && (e->talk->far || e->talk->relayed) ? "relayed" : "direct";
        if (e->talk != NULL)
            channel_status(e->talk->channel, &out[k].channel);
        k++;
    }
    return k;
}
