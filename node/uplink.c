#include "node/uplink.h"

#include "node/node_internal.h"

#include <assert.h>
#include <sodium.h>

bool uplink_only(const struct node *n)
{
    return n->cfg.privacy == NODE_RELAYED || n->cfg.tcp_only || n->udp_blocked;
}

// By which of both ways relays are asked now.
static bool over_tcp(const struct node *n)
{
    return n->cfg.tcp_only || n->udp_blocked || (n->uplink != NULL && n->uplink->tcp);
}

// Who does not hide, and has waited for an answer by UDP long enough, asks relays over TCP, too.
static bool udp_silent(const struct node *n, usec_t now)
{
    return n->cfg.privacy != NODE_RELAYED && !n->cfg.tcp_only && !n->cfg.listed &&
           n->relaying == NULL && n->udp_at != 0 && n->udp_at <= now && !dht_heard_udp(n->dht);
}

bool uplink_two_hops(const struct node *n)
{
    return uplink_only(n) && n->cfg.hops == 2;
}

enum uplink_slot uplink_talk_slot(const struct node *n)
{
    return uplink_two_hops(n) ? UPLINK_TALK : UPLINK_MAIN;
}

static bool no_v4(const struct node *n)
{
    return n->local_families == RELAY_WISH_V6;
}

bool uplink_is_open(const struct uplink_line *l)
{
    return l->tunnel != NULL && l->tunnel->state == TUNNEL_OPEN;
}

static bool uplink_need(struct node *n)
{
    if (n->uplink != NULL)
        return true;
    struct uplink *u = arena_take(n->cfg.arena, sizeof *u);
    if (u == NULL)
        return false;
    u->warn_at = USEC_NEVER;
    for (unsigned i = 0; i < UPLINK_SLOTS; i++)
        u->line[i].exit_at = USEC_NEVER;
    n->uplink = u;
    return true;
}

static void line_end(struct node *n, struct uplink_line *l)
{
    if (l->tunnel == NULL)
        return;
    cids_drop_owner(&n->cids, (uint16_t)(UPLINK_OWNER + (l - n->uplink->line)));
    for (unsigned f = 0; f < 2; f++)
        if (l->exit_ask[f] != 0)
            dht_ask_close(n->dht, n->clock_us, l->exit_ask[f]);
    tunnel_free(l->tunnel);
    usec_t again_at = l->again_at, step = l->step;
    *l = (struct uplink_line){.again_at = again_at, .step = step, .exit_at = USEC_NEVER};
}

void uplink_free(struct node *n, usec_t now)
{
    struct uplink *u = n->uplink;
    if (u == NULL)
        return;
    for (unsigned i = 0; i < UPLINK_SLOTS; i++)
        line_end(n, &u->line[i]);
    if (u->directory != NULL)
        directory_free(u->directory, now);
    arena_give(n->cfg.arena, u, sizeof *u);
    n->uplink = NULL;
}

void uplink_clock(struct node *n, usec_t now, int64_t unix_us)
{
    if (n->uplink->directory != NULL)
        directory_clock(n->uplink->directory, now, unix_us);
}

void uplink_moved(struct node *n, usec_t now)
{
    if (n->udp_at == 0) // nobody was asked yet
        return;
    n->udp_blocked = false;
    n->udp_at = now + NODE_UDP_PATIENCE_US;
    dht_forget_udp(n->dht);
    if (n->uplink != NULL) {
        n->uplink->tcp = n->uplink->worked = false;
        for (unsigned i = 0; i < UPLINK_SLOTS; i++)
            n->uplink->line[i].again_at = n->uplink->line[i].step = 0;
    }
    uplink_step(n, now);
}

void uplink_told(struct node *n, usec_t now)
{
    if (n->udp_at == 0)
        n->udp_at = now + NODE_UDP_PATIENCE_US;
    if (n->uplink != NULL)
        n->uplink->line[UPLINK_MAIN].again_at = n->uplink->line[UPLINK_FRONT].again_at = 0;
    uplink_step(n, now);
}

struct tunnel *uplink_tunnel(const struct node *n, uint32_t via)
{
    for (unsigned i = 0; n->uplink != NULL && i < UPLINK_SLOTS; i++) {
        struct tunnel *t = n->uplink->line[i].tunnel;
        if (t != NULL && t->cfg.via == via)
            return t;
    }
    return NULL;
}

bool uplink_relay_at(const struct node *n, const struct path *path, uint8_t pk[static 32])
{
    for (unsigned i = 0; n->uplink != NULL && i < UPLINK_SLOTS; i++) {
        const struct tunnel *t = n->uplink->line[i].tunnel;
        if (t == NULL || t->cfg.under != VIA_TCP)
            continue;
        struct path at = t->cfg.relay.path;
        at.via = VIA_TCP;
        if (!path_equal(&at, path))
            continue;
        memcpy(pk, t->cfg.relay.pk, 32);
        return true;
    }
    return false;
}

// ---- opening ----------------------------------------------------------------------------------------

static bool directory_ready(struct node *n, usec_t now, unsigned wanted)
{
    struct uplink *u = n->uplink;
    assert(u != NULL);
    if (u->directory == NULL) {
        struct directory_config d = {.net = n->net,
                                     .rng = n->cfg.rng,
                                     .arena = n->cfg.arena,
                                     .dht = n->dht,
                                     .lab = n->cfg.lab,
                                     .prefix_limits = n->cfg.prefix_limits,
                                     .puzzle_bits = n->cfg.puzzle_bits};
        if (directory_init(&u->directory, &d) != 0)
            return false;
        directory_clock(u->directory, n->clock_us, n->clock_unix_us);
    }
    bool one = wanted == 1;
    struct directory_need need = {.count = wanted, .tcp = over_tcp(n), .any = one};
    if (one) {
        need.families = n->local_families;
        need.both = no_v4(n);
    }
    if (need.count != u->need.count || need.families != u->need.families) {
        u->need = need;
        (void)directory_want(u->directory, now, &need);
    }
    return true;
}

// Does its relay see our address?
static bool is_first(const struct node *n, enum uplink_slot slot)
{
    return uplink_two_hops(n) ? slot == UPLINK_FRONT
                              : slot != UPLINK_SPARE || n->uplink->line[UPLINK_MAIN].lost;
}

// By which way, and how many tunnels that is with this one.
static bool way_of(const struct node *n, enum uplink_slot slot, uint32_t *under, unsigned *tunnels)
{
    *under = over_tcp(n) ? VIA_TCP : VIA_UDP;
    *tunnels = 1;
    if (is_first(n, slot))
        return true;
    const struct uplink_line *front =
        &n->uplink->line[uplink_two_hops(n) ? UPLINK_FRONT : UPLINK_MAIN];
    if (!uplink_is_open(front))
        return false;
    *under = front->tunnel->cfg.via;
    *tunnels = 2;
    return true;
}

static int line_open(struct node *n, usec_t now, enum uplink_slot slot, const struct contact *relay,
                     bool temporary)
{
    struct uplink *u = n->uplink;
    struct uplink_line *l = &u->line[slot];
    uint32_t under;
    unsigned tunnels;
    if (!way_of(n, slot, &under, &tunnels) || !node_cids(n))
        return BAUTA_ESTATE;
    struct tunnel_config c = {.net = n->net,
                              .rng = n->cfg.rng,
                              .arena = n->cfg.arena,
                              .dht = n->dht,
                              .relay = *relay,
                              .under = under,
                              .via = PATH_VIA_TUNNEL(tunnels, ++u->generation & 0xffffffu),
                              .lab = n->cfg.lab,
                              .aes_hardware = n->cfg.aes_hardware,
                              .user = NODE_UPLINK_USER};
    c.relay.path.via = VIA_UDP;
    memcpy(c.local_mask, n->recv_mask, sizeof c.local_mask);
    int rc = tunnel_new(&l->tunnel, now, &c);
    if (rc == 0) {
        l->temporary = temporary;
        l->lost = false;
        l->tunnel->dirty = true;
    }
    return rc;
}

// Relays whose prefixes must not come again: all that are in use.
static unsigned used(const struct node *n,
                     struct path out[static UPLINK_SLOTS * OFFER_CONTACTS_MAX])
{
    unsigned k = 0;
    for (unsigned i = 0; i < UPLINK_SLOTS; i++) {
        const struct uplink_line *l = &n->uplink->line[i];
        for (unsigned a = 0; l->tunnel != NULL && a < l->relays; a++)
            out[k++] = l->relay[a];
        if (l->tunnel != NULL && l->relays == 0) // a bootstrap: the only address that we know
            out[k++] = l->tunnel->cfg.relay.path;
    }
    return k;
}

// Which families we can reach a relay in: as our interfaces have them, or as the exit of the tunnel before it; a spare one in
// both ways.
static uint8_t families(const struct node *n, enum uplink_slot slot)
{
    const struct path *exit = n->uplink->line[uplink_two_hops(n) ? UPLINK_FRONT : UPLINK_MAIN].exit;
    if (is_first(n, slot))
        return n->local_families;
    uint8_t exits = (uint8_t)((exit[0].family != 0 ? RELAY_WISH_V4 : 0) |
                              (exit[1].family != 0 ? RELAY_WISH_V6 : 0));
    uint8_t both = exits & n->local_families;
    return uplink_two_hops(n) ? exits : both != 0 ? both : n->local_families;
}

static bool in_use(const struct node *n, const uint8_t pk[static 32])
{
    for (unsigned i = 0; i < UPLINK_SLOTS; i++)
        if (n->uplink->line[i].tunnel != NULL &&
            memcmp(n->uplink->line[i].tunnel->cfg.relay.pk, pk, 32) == 0)
            return true;
    return false;
}

static bool open_of_directory(struct node *n, usec_t now, enum uplink_slot slot)
{
    struct path all[UPLINK_SLOTS * OFFER_CONTACTS_MAX];
    struct relay_wish wish = {
        .used = all, .used_count = used(n, all), .families = families(n, slot)};
    wish.both = wish.families == RELAY_WISH_V6; // what else is there for those who have IPv4?
    struct relay_choice choice;
    if (n->uplink->directory == NULL ||
        directory_pick(n->uplink->directory, now, &wish, &choice) != 0)
        return false;
    struct contact relay = choice.offer.contact[choice.contact];
    if (in_use(n, relay.pk))
        return false;
    bool tcp = over_tcp(n) && (slot == UPLINK_FRONT || !uplink_two_hops(n));
    if (tcp && !choice.offer.tcp && choice.offer.tcp_port == 0)
        return false;
    struct path straight = relay.path;
    if (tcp && !choice.offer.tcp)
        straight.port = choice.offer.tcp_port;
    if (is_first(n, slot))
        relay.path = straight;
    if (line_open(n, now, slot, &relay, false) != 0)
        return false;
    struct uplink_line *l = &n->uplink->line[slot];
    l->straight = straight;
    for (l->relays = 0; l->relays < choice.offer.contacts; l->relays++)
        l->relay[l->relays] = choice.offer.contact[l->relays].path;
    return true;
}

static bool open_of_entries(struct node *n, usec_t now, enum uplink_slot slot)
{
    struct uplink *u = n->uplink;
    // With two hops the second is one of them, too, at first: else the directory could not be read.
    bool entry = slot == UPLINK_FRONT || slot == UPLINK_MAIN, tcp = over_tcp(n);
    struct contact told[NODE_ENTRIES_MAX];
    size_t k = entry ? dht_told(n->dht, told, NODE_ENTRIES_MAX) : 0;
    // Every second time one of which we were told that it takes TCP, if there is any.
    bool sure = tcp && u->asked++ % 2 == 0;
    for (unsigned pass = sure ? 0 : 1; pass < 2; pass++)
        for (size_t i = 0; i < k; i++) {
            const struct contact *c = &told[u->entry_next++ % k];
            bool over = c->path.via == VIA_TCP;
            if ((over && !tcp) || (pass == 0 && !over)) // it was said that it is asked so
                continue;
            if (!in_use(n, c->pk) && line_open(n, now, slot, c, true) == 0)
                return true;
        }
    return false;
}

// Somebody for this slot, if anybody is known; else again a while later.
static void fill(struct node *n, usec_t now, enum uplink_slot slot)
{
    assert(n->uplink != NULL);
    struct uplink_line *l = &n->uplink->line[slot];
    uint32_t under;
    unsigned tunnels;
    if (l->tunnel != NULL || l->again_at > now || !way_of(n, slot, &under, &tunnels))
        return;
    l->step = l->step == 0 ? NODE_UPLINK_RETRY_MIN_US : 2 * l->step;
    if (l->step > NODE_UPLINK_RETRY_MAX_US)
        l->step = NODE_UPLINK_RETRY_MAX_US;
    l->again_at = now + l->step - rng_below(&n->cfg.rng, l->step / 4);
    if (!open_of_directory(n, now, slot) && (uplink_only(n) || udp_silent(n, now)))
        (void)open_of_entries(n, now, slot);
}

// ---- what is wanted ---------------------------------------------------------------------------------------

static void close_line(usec_t now, struct uplink_line *l)
{
    if (l->tunnel == NULL)
        return;
    tunnel_end(l->tunnel, now);
    l->tunnel->ready = l->tunnel->dirty = true;
}

// Does a conversation go through it, or may one that is being made?
static bool carries(const struct node *n, const struct uplink_line *l)
{
    for (uint32_t i = 0; n->conversations > 0 && i < NODE_CONVERSATIONS_MAX; i++) {
        const struct conversation *c = n->busy->conversation[i];
        if (c != NULL && !c->closed && (!c->matched || c->path.via == l->tunnel->cfg.via))
            return true;
    }
    return false;
}

// Everything that went through `from` goes through `to` from now on.
static void swap(struct node *n, usec_t now, enum uplink_slot from, enum uplink_slot to)
{
    struct uplink_line was = n->uplink->line[from];
    n->uplink->line[from] = n->uplink->line[to];
    n->uplink->line[to] = was;
    cids_swap_owner(&n->cids, (uint16_t)(UPLINK_OWNER + from), (uint16_t)(UPLINK_OWNER + to));
    (void)now;
}

void uplink_tell_meet(struct node *n, usec_t now)
{
    const struct uplink_line *l = &n->uplink->line[uplink_talk_slot(n)];
    bool open = uplink_is_open(l);
    dht_other_way(n->dht, now, open && !uplink_only(n) ? l->tunnel->cfg.via : VIA_NONE,
                  no_v4(n) && l->exit[0].family != 0);
    // With one hop introducers tell, too.
    bool known = open && (l->exit[0].family != 0 || l->exit[1].family != 0);
    meet_exits(n->meet, now, uplink_only(n), uplink_only(n) && uplink_two_hops(n) && !known,
               open ? l->tunnel->cfg.via : VIA_NONE, open ? l->exit : NULL);
}

// Through which the DHT goes.
static void route(struct node *n, usec_t now)
{
    const struct uplink_line *l = &n->uplink->line[UPLINK_MAIN];
    uint32_t via = !uplink_only(n) ? VIA_UDP : uplink_is_open(l) ? l->tunnel->cfg.via : VIA_NONE;
    dht_via(n->dht, now, via);
    uplink_tell_meet(n, now);
}

// Everybody else is reached by hole punching, or by the relay of one for whom this is so: whom others see at another port
// each time, and who has no IPv4, as a server, too.
static bool hard_to_reach(const struct node *n)
{
    struct dht_reach r;
    dht_reach(n->dht, 4, &r);
    return no_v4(n) || (r.mapping == DHT_MAPPING_DEPENDENT && !dht_serves(n->dht));
}

static bool may_be_helped(const struct node *n)
{
    return n->cfg.privacy == NODE_DIRECT && n->relaying == NULL && dht_joined(n->dht);
}

// Both ends of some conversation have agreed on relays.
static bool hides(const struct node *n)
{
    for (uint32_t i = 0; n->conversations > 0 && i < NODE_CONVERSATIONS_MAX; i++)
        if (n->busy->conversation[i] != NULL && reroute_hides(n->busy->conversation[i]))
            return may_be_helped(n);
    return false;
}

// In direct privacy: somebody is sought or spoken to,
static bool helper_wanted(const struct node *n)
{
    return (n->encounters > 0 && may_be_helped(n) && hard_to_reach(n)) || hides(n);
}

// or was until just now.
static bool helper_kept(const struct node *n, usec_t now)
{
    return n->encounters == 0 && n->uplink != NULL && now < n->uplink->helper_until &&
           may_be_helped(n);
}

static void helper_time(const struct node *n, usec_t now)
{
    struct uplink *u = n->uplink;
    if (n->encounters > 0)
        u->helper_until = USEC_NEVER;
    else if (u->helper_until == USEC_NEVER)
        u->helper_until = now + NODE_HELPER_KEEP_US;
    else if (u->helper_until <= now)
        u->helper_until = 0;
}

static void warn_later(struct node *n, usec_t now)
{
    struct uplink *u = n->uplink;
    bool missing = uplink_only(n) && !uplink_is_open(&u->line[uplink_talk_slot(n)]);
    if (!missing)
        u->warn_at = USEC_NEVER;
    else if (u->warn_at == USEC_NEVER && n->encounters > 0)
        u->warn_at = now + NODE_UPLINK_WARN_US;
    if (u->warn_at > now)
        return;
    u->warn_at = now + 6 * NODE_UPLINK_WARN_US;
    node_warn(
        n, "no_relay",
        n->cfg.privacy == NODE_RELAYED
            ? "No relay has answered yet. Until one does nothing is sent, so that nobody sees "
              "your address. Wait, or choose: direct shows it to the stranger."
            : "No relay has answered yet over TCP. Until one does nothing can be sent.");
}

// A spare one is needed at once; one that was being opened through the one that is lost now, straight.
static void spare_in_vain(struct node *n, const struct uplink_line *lost)
{
    struct uplink_line *spare = &n->uplink->line[UPLINK_SPARE];
    if (lost != &n->uplink->line[UPLINK_MAIN] || uplink_is_open(spare) || uplink_two_hops(n))
        return;
    line_end(n, spare);
    spare->again_at = spare->step = 0;
}

// Those that go by relays look for each other through the one that has just opened.
static void conversations_move(struct node *n, usec_t now)
{
    for (uint32_t i = 0; n->conversations > 0 && i < NODE_CONVERSATIONS_MAX; i++)
        if (n->busy->conversation[i] != NULL && n->busy->conversation[i]->relayed)
            uplink_conversation_lost(n, now, n->busy->conversation[i]);
}

void uplink_step(struct node *n, usec_t now)
{
    bool only = uplink_only(n), silent = !only && udp_silent(n, now);
    bool helper = !only && !silent && helper_wanted(n), hidden = only || (helper && hides(n));
    if (n->relaying != NULL || ((only || helper || silent) && !uplink_need(n)))
        return;
    struct uplink *u = n->uplink;
    if (u == NULL) {
        dht_via(n->dht, now, VIA_UDP);
        return;
    }
    helper_time(n, now);
    if (silent) {
        u->tcp = true;
        if (!uplink_is_open(&u->line[UPLINK_MAIN])) {
            fill(n, now, UPLINK_MAIN);
            return;
        }
        n->udp_blocked = only = true;
    }
    if (!only && helper_kept(n, now)) { // what there is will do
        route(n, now);
        return;
    }
    if (!only && !helper) {
        u->tcp = false;
        for (unsigned i = 0; i < UPLINK_SLOTS && n->conversations == 0; i++)
            close_line(now, &u->line[i]);
        if (u->need.count != 0 && n->conversations == 0) {
            u->need = (struct directory_need){.count = 0};
            (void)directory_want(u->directory, now, &u->need);
        }
        route(n, now);
        return;
    }
    // Slots that are looked at before anybody can be asked would only pass by.
    if (dht_joined(n->dht) && !directory_ready(n, now, hidden ? 3 : 1))
        return;
    if (uplink_two_hops(n))
        fill(n, now, UPLINK_FRONT);
    fill(n, now, UPLINK_MAIN);
    struct uplink_line *main = &u->line[UPLINK_MAIN], *spare = &u->line[UPLINK_SPARE];
    if (only && uplink_is_open(main) && uplink_two_hops(n) && n->encounters > 0)
        fill(n, now, UPLINK_TALK);
    if (hidden && uplink_is_open(main) &&
        (main->temporary || (!uplink_two_hops(n) && n->encounters > 0)))
        fill(n, now, UPLINK_SPARE);
    // One that we chose ourselves takes over from a bootstrap, which everybody else asks, too; and the spare one from
    // one that is lost.
    if (uplink_is_open(spare) && !spare->temporary &&
        (main->tunnel == NULL || main->temporary || main->lost || main->tunnel->draining)) {
        swap(n, now, UPLINK_MAIN, UPLINK_SPARE);
        if (!uplink_two_hops(n))
            tunnel_move(main->tunnel, now, &main->straight, over_tcp(n) ? VIA_TCP : VIA_UDP);
        route(n, now);
        conversations_move(n, now);
    }
    if (uplink_is_open(spare) && (spare->temporary || spare->tunnel->draining) &&
        !carries(n, spare))
        close_line(now, spare);
    route(n, now);
    warn_later(n, now);
}

// ---- events of the DHT ----------------------------------------------------------------------------------------

bool uplink_dht_event(struct node *n, usec_t now, const struct dht_event *ev)
{
    struct uplink *u = n->uplink;
    if (u == NULL)
        return false;
    if (ev->user == DIRECTORY_USER && u->directory != NULL) {
        directory_dht_event(u->directory, now, ev);
        return true;
    }
    if (ev->user != NODE_UPLINK_USER)
        return false;
    if (uplink_exit_event(n, now, ev))
        return true;
    for (unsigned i = 0; i < UPLINK_SLOTS; i++)
        if (u->line[i].tunnel != NULL && tunnel_dht_event(u->line[i].tunnel, now, ev)) {
            u->line[i].tunnel->dirty = u->line[i].tunnel->ready = true;
            return true;
        }
    return true; // of one that is gone
}

// ---- tunnels' events ----------------------------------------------------------------------------------------

static struct conversation *conversation_of(const struct node *n, const uint8_t ask[static 8])
{
    for (uint32_t i = 0; n->conversations > 0 && i < NODE_CONVERSATIONS_MAX; i++) {
        struct conversation *c = n->busy->conversation[i];
        if (c != NULL && !c->closed && memcmp(c->consent.ask, ask, 8) == 0)
            return c;
    }
    return NULL;
}

static bool is_tunnelled(uint32_t via)
{
    return via != VIA_NONE && (via & VIA_TUNNEL) != 0;
}

static void closed(struct node *n, struct uplink_line *l, bool refused)
{
    bool first = !is_tunnelled(l->tunnel->cfg.under), never = l->tunnel->open_at == 0;
    const struct tunnel *before = first ? NULL : uplink_tunnel(n, l->tunnel->cfg.under);
    bool cut_off = !first && (before == NULL || n->uplink->line[UPLINK_MAIN].lost);
    if (n->uplink->directory != NULL && (never || refused) && !cut_off)
        directory_failed(n->uplink->directory, n->clock_us, l->tunnel->cfg.relay.pk);
    if (first && never && !n->uplink->worked && !n->cfg.tcp_only && !n->udp_blocked)
        n->uplink->tcp = !n->uplink->tcp; // one of both ways may be closed
    line_end(n, l);
    l->again_at = 0;
}

static void on_tunnel(struct node *n, usec_t now, struct uplink_line *l,
                      const struct tunnel_event *ev)
{
    uint16_t owner = (uint16_t)(UPLINK_OWNER + (l - n->uplink->line));
    struct conversation *c;
    switch (ev->kind) {
    case TUNNEL_CID_ADD:
        if (!cids_add(&n->cids, ev->cid, owner, ev->phase))
            tunnel_end(l->tunnel, now);
        return;
    case TUNNEL_CID_DROP:
        cids_drop(&n->cids, ev->cid);
        return;
    case TUNNEL_READY:
        l->step = 0;
        n->uplink->worked = true;
        l->exit_at = now;
        if (l == &n->uplink->line[uplink_talk_slot(n)])
            conversations_move(n, now);
        if (n->uplink->directory != NULL)
            directory_worked(n->uplink->directory, l->tunnel->cfg.relay.pk);
        return;
    case TUNNEL_LOST:
        l->lost = true;
        spare_in_vain(n, l);
        return;
    case TUNNEL_FOUND:
        l->lost = false;
        return;
    case TUNNEL_CONSENTED:
        c = conversation_of(n, ev->key_id);
        if (c != NULL) {
            channel_candidates(c->channel, now, &ev->path, 1);
            node_touch(n, c);
        }
        return;
    case TUNNEL_SERVER:
        for (unsigned f = 0; f < 2; f++)
            if (l->exit[f].family == 0 && l->tunnel->server[f].path.family != 0)
                l->exit_at = now;
        return;
    case TUNNEL_DRAINING:
    case TUNNEL_CLOSED:
        return;
    }
}

// Nothing is wanted, and nothing is left: back to what an idle node takes.
static void rest(struct node *n, usec_t now)
{
    struct uplink *u = n->uplink;
    if (u == NULL || u->need.count > 0 || uplink_only(n) || n->conversations > 0 ||
        helper_wanted(n) || helper_kept(n, now) || udp_silent(n, now))
        return;
    for (unsigned i = 0; i < UPLINK_SLOTS; i++)
        if (u->line[i].tunnel != NULL)
            return;
    uplink_free(n, now);
    node_rest(n);
}

bool uplink_pump(struct node *n, usec_t now)
{
    struct uplink *u = n->uplink;
    bool any = false;
    for (unsigned i = 0; u != NULL && i < UPLINK_SLOTS; i++) {
        struct uplink_line *l = &u->line[i];
        struct tunnel_event ev;
        if (l->tunnel == NULL || !l->tunnel->dirty)
            continue;
        l->tunnel->dirty = false;
        while (l->tunnel != NULL && tunnel_event(l->tunnel, now, &ev)) {
            any = true;
            if (ev.kind == TUNNEL_CLOSED)
                closed(n, l, ev.refused);
            else
                on_tunnel(n, now, l, &ev);
        }
    }
    // Somebody can be asked now; or what servers see, which was unknown at first, makes a relay wanted. Tried once a turn: there
    // may be no memory for it.
    bool wake = u == NULL ? n->relaying == NULL && helper_wanted(n)
                          : u->need.count == 0 && uplink_only(n) && dht_joined(n->dht);
    enum directory_event d;
    while (u != NULL && u->directory != NULL &&
           (d = directory_event(u->directory)) != DIRECTORY_NOTHING) {
        any = true;
        for (unsigned i = 0; i < UPLINK_SLOTS && d == DIRECTORY_READY; i++)
            u->line[i].again_at = 0;
        if (d == DIRECTORY_NONE && u->warn_at != USEC_NEVER && u->warn_at > now)
            u->warn_at = now; // nobody is known: the person need not wait to hear of it
    }
    if (any || wake)
        uplink_step(n, now);
    rest(n, now);
    return any;
}

// ---- time ---------------------------------------------------------------------------------------------------

void uplink_expire(struct node *n, usec_t now, unsigned budget)
{
    struct uplink *u = n->uplink;
    if (dht_heard_udp(n->dht))
        n->udp_at = USEC_NEVER;
    for (unsigned i = 0; u != NULL && i < UPLINK_SLOTS; i++) {
        struct uplink_line *l = &u->line[i];
        if (l->tunnel == NULL)
            continue;
        if (tunnel_deadline(l->tunnel) <= now) {
            (void)tunnel_expire(l->tunnel, now, budget);
            l->tunnel->ready = l->tunnel->dirty = true;
        }
        if (uplink_is_open(l) && l->exit_at <= now)
            uplink_ask_exit(n, now, l);
    }
    if (u != NULL && u->directory != NULL && directory_deadline(u->directory) <= now)
        directory_expire(u->directory, now);
    if ((u != NULL && (u->need.count > 0 || u->helper_until != 0)) || uplink_only(n) ||
        udp_silent(n, now))
        uplink_step(n, now);
}

static bool slot_wanted(const struct node *n, unsigned i)
{
    const struct uplink *u = n->uplink;
    bool open = uplink_is_open(&u->line[UPLINK_MAIN]);
    switch ((enum uplink_slot)i) {
    case UPLINK_FRONT:
        return uplink_two_hops(n);
    case UPLINK_MAIN:
        return !uplink_two_hops(n) || uplink_is_open(&u->line[UPLINK_FRONT]);
    case UPLINK_TALK:
        return uplink_two_hops(n) && open && n->encounters > 0;
    case UPLINK_SPARE:
        return (uplink_only(n) || hides(n)) && open &&
               (u->line[UPLINK_MAIN].temporary || (!uplink_two_hops(n) && n->encounters > 0));
    case UPLINK_SLOTS:
        break;
    }
    return false;
}

usec_t uplink_deadline(const struct node *n)
{
    const struct uplink *u = n->uplink;
    // Once it has passed, what it brought about has times of its own.
    bool watched = n->udp_at != 0 && !uplink_only(n) && !n->cfg.listed && n->relaying == NULL;
    usec_t udp_at = watched && (u == NULL || !u->tcp) ? n->udp_at : USEC_NEVER;
    if (u == NULL)
        return udp_at;
    usec_t first = u->directory != NULL ? directory_deadline(u->directory) : USEC_NEVER;
    bool silent = u->tcp && !uplink_only(n) && !dht_heard_udp(n->dht) && n->udp_at != 0;
    bool active = uplink_only(n) || helper_wanted(n) || silent;
    first = udp_at < first ? udp_at : first;
    for (unsigned i = 0; i < UPLINK_SLOTS; i++) {
        const struct uplink_line *l = &u->line[i];
        usec_t at = USEC_NEVER;
        if (l->tunnel != NULL) {
            at = tunnel_deadline(l->tunnel);
            if (uplink_is_open(l) && l->exit_at < at)
                at = l->exit_at;
        } else if (active && slot_wanted(n, i)) {
            at = l->again_at;
        }
        first = at < first ? at : first;
    }
    if (u->helper_until != 0 && u->helper_until < first)
        first = u->helper_until;
    return u->warn_at < first ? u->warn_at : first;
}

void uplink_status(const struct node *n, usec_t now, struct uplink_status *s)
{
    struct directory_status d = {0};
    *s = (struct uplink_status){0};
    if (n->uplink == NULL)
        return;
    if (n->uplink->directory != NULL)
        directory_status(n->uplink->directory, now, &d);
    s->known = d.offers;
    s->open = uplink_is_open(&n->uplink->line[uplink_talk_slot(n)]);
    for (unsigned i = 0; i < UPLINK_SLOTS; i++) {
        const struct tunnel *t = n->uplink->line[i].tunnel;
        s->tunnels = (uint8_t)(s->tunnels + (t != NULL && t->state == TUNNEL_OPEN));
        s->opening = (uint8_t)(s->opening + (t != NULL && t->state < TUNNEL_OPEN));
    }
}
