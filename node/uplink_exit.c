// How others see what leaves a tunnel: the address that strangers are told.
#include "node/node_internal.h"

// A server of that family that may be asked through the tunnel: one that we know, were told of, or that the relay named, where
// we can't reach that family ourselves. The relay will not do: it does not ask itself.
static bool exit_server(struct node *n, const struct tunnel *t, uint8_t family, struct contact *out)
{
    struct contact all[4 + NODE_ENTRIES_MAX + 1];
    struct path like = t->cfg.relay.path;
    like.family = family; // those of its family come first
    size_t k = dht_servers_apart(n->dht, &like, all, 4);
    k += dht_told(n->dht, all + k, NODE_ENTRIES_MAX);
    all[k++] = t->server[family == 4 ? 0 : 1];
    for (size_t i = 0; i < k; i++)
        if (all[i].path.family == family && all[i].path.via == VIA_UDP &&
            memcmp(all[i].pk, t->cfg.relay.pk, 32) != 0) {
            *out = all[i];
            return true;
        }
    return false;
}

// Such a one tells how the exit is seen.
void uplink_ask_exit(struct node *n, usec_t now, struct uplink_line *l)
{
    bool known = l->exit[0].family != 0 || l->exit[1].family != 0, missing = !known;
    for (unsigned f = 0; f < 2; f++) {
        struct contact c;
        if (l->exit_ask[f] != 0 || !exit_server(n, l->tunnel, f == 0 ? 4 : 6, &c))
            continue;
        missing = missing || l->exit[f].family == 0;
        (void)dht_ping(n->dht, now, &c, l->tunnel->cfg.via, NODE_UPLINK_USER, &l->exit_ask[f]);
    }
    l->exit_at = now + (missing ? NODE_EXIT_RETRY_US : NODE_EXIT_AGAIN_US);
}

bool uplink_exit_event(struct node *n, usec_t now, const struct dht_event *ev)
{
    for (unsigned i = 0; i < UPLINK_SLOTS; i++) {
        struct uplink_line *l = &n->uplink->line[i];
        unsigned f = l->exit_ask[0] == ev->id ? 0 : 1;
        if (l->tunnel == NULL || l->exit_ask[f] == 0 || l->exit_ask[f] != ev->id)
            continue;
        l->exit_ask[f] = 0;
        if (ev->kind == DHT_PONG && path_reachable(&ev->path, n->cfg.lab)) {
            struct path *exit = &l->exit[ev->path.family == 4 ? 0 : 1];
            *exit = ev->path;
            exit->via = VIA_UDP;
            uplink_tell_meet(n, now);
            node_points(n, now);
        } else if (ev->kind == DHT_SILENT && l->exit[f].family == 0) {
            tunnel_renew(l->tunnel, now); // the relay may name another one
        }
        return true;
    }
    return false;
}
