// Both ends of a conversation move at once, and find each other through their introducers.
#include "node/node_internal.h"
#include "tests/sim/help.h"
#include "tools/sim/sim_internal.h"

#define PAIRS 40u

// When each person heard something for the first time after everybody moved.
struct watch {
    usec_t moved_us;
    uint32_t before[2 * PAIRS];
    usec_t heard_us[2 * PAIRS];
};

static uint32_t node(struct sim *s, bool server, struct sim_site_config site)
{
    struct sim_node_config n = {
        .server = server, .site = site, .bootstraps = server ? sim_nodes(s) : 4};
    n.bootstraps = n.bootstraps < 4 ? n.bootstraps : 4;
    for (uint32_t i = 0; i < n.bootstraps; i++)
        n.bootstrap[i] = i;
    return sim_node_add(s, 0, &n);
}

static bool look(const struct sim *s, void *ctx)
{
    struct watch *w = ctx;
    bool all = true;
    for (uint32_t i = 0; i < sim_people(s); i++) {
        const struct sim_match *m = sim_last_match(s, i);
        if (m == NULL) {
            all = false;
            continue;
        }
        if (sim_now(s) <= w->moved_us)
            w->before[i] = m->received;
        else if (w->heard_us[i] == 0 && m->received > w->before[i])
            w->heard_us[i] = sim_now(s);
        all = all && sim_person_done(s, i);
    }
    return all;
}

static int by_size(const void *a, const void *b)
{
    usec_t x = *(const usec_t *)a, y = *(const usec_t *)b;
    return x < y ? -1 : x > y;
}

struct trial {
    const char *name;
    uint64_t seed;
    uint32_t loss_percent, servers, pairs;
    enum sim_nat_kind nat[2];
    usec_t notice_us; // after the move; USEC_NEVER: it is not noticed
    usec_t gap_us;    // between two messages
    bool server;      // one of each pair is a server
    bool alone;       // only one of each pair moves
    uint32_t killed;  // of the servers, when everybody moves
    usec_t again_us;  // everybody moves once more, so long after; 0: no
    bool nowhere;     // until then nobody has a network
    bool v6;          // everybody has IPv6 as well
};

static struct sim_site_config site_of(const struct trial *t, uint32_t i)
{
    return (struct sim_site_config){.nat = t->nat[i % 2], .v6 = t->v6};
}

static void settle(struct sim *s, const struct trial *t, uint32_t *seat)
{
    for (uint32_t i = 0; i < t->servers; i++)
        (void)node(s, true, (struct sim_site_config){.v6 = t->v6});
    for (uint32_t i = 0; i < 2 * t->pairs; i++)
        seat[i] = node(s, t->server && i % 2 == 0, site_of(t, i));
    for (uint32_t i = 0; i < 2 * t->pairs; i++) {
        char topic[32];
        snprintf(topic, sizeof topic, "pair %u", i / 2);
        struct sim_person_config p = {.node = seat[i],
                                      .topic = topic,
                                      .seek_at_us = 5 * S + i % 2 * 2 * S,
                                      .messages = (uint32_t)(50 * S / t->gap_us),
                                      .gap_us = t->gap_us};
        (void)sim_person_add(s, &p);
    }
}

static void move_all(struct sim *s, const struct trial *t, const uint32_t *seat, usec_t at_us,
                     bool nowhere)
{
    for (uint32_t i = 0; i < 2 * t->pairs; i++) {
        struct sim_site_config site = site_of(t, i);
        if (nowhere) // nobody else has IPv6 alone
            site = (struct sim_site_config){.v6 = true, .no_v4 = true};
        if (t->alone && i % 2 == 0)
            continue;
        sim_node_move(s, at_us, seat[i], &site, t->notice_us);
    }
}

// Nothing is registered at any introducer.
static void nothing_is_left(struct sim *s, const struct trial *t, const char *when)
{
    for (uint32_t i = 0; i < t->servers; i++) {
        struct node_status st;
        if (!sim_node_alive(s, i))
            continue;
        node_status(sim_node(s, i), sim_now(s), &st);
        if (st.dht.links_held > 0)
            help_must(s, t->seed, false, when);
    }
}

static void run(const struct trial *t)
{
    struct sim *s = help_sim(t->seed, t->loss_percent);
    struct watch w = {.moved_us = 20 * S};
    uint32_t seat[2 * PAIRS], talked = 0, kept = 0;
    usec_t took[2 * PAIRS] = {0};
    settle(s, t, seat);
    move_all(s, t, seat, w.moved_us, t->nowhere);
    if (t->again_us > 0)
        move_all(s, t, seat, w.moved_us + t->again_us, false);
    for (uint32_t i = 0; i < t->killed; i++)
        sim_node_kill(s, w.moved_us, i);
    (void)sim_run(s, w.moved_us, look, &w);
    for (uint32_t i = 0; i < 2 * t->pairs; i++)
        talked += sim_person(s, i)->state == SIM_TALKING;
    help_must(s, t->seed, talked == 2 * t->pairs, "everybody talks before they move");
    if (t->loss_percent <= 5)
        nothing_is_left(s, t, "nobody is asked for while all is well");
    (void)sim_run(s, 120 * S, look, &w);
    for (uint32_t i = 0; i < 2 * t->pairs; i++)
        if (sim_person_done(s, i) && w.heard_us[i] > 0)
            took[kept++] = w.heard_us[i] - w.moved_us;
    qsort(took, kept, sizeof *took, by_size);
    printf("%s: %u of %u ends go on, interrupted for %llu ms p50, %llu p95, %llu at most\n",
           t->name, kept, 2 * t->pairs, (unsigned long long)(kept > 0 ? took[kept / 2] / 1000 : 0),
           (unsigned long long)(kept > 0 ? took[kept * 95 / 100] / 1000 : 0),
           (unsigned long long)(kept > 0 ? took[kept - 1] / 1000 : 0));
    help_must(s, t->seed, kept * 100 >= 2 * t->pairs * 99, "99 of 100 conversations go on");
    (void)sim_run(s, sim_now(s) + 20 * S, NULL, NULL);
    if (t->loss_percent <= 5)
        nothing_is_left(s, t, "nobody is asked for afterwards");
    help_no_failures(s, t->seed);
    sim_free(s);
}

#define CONE SIM_NAT_PORT_RESTRICTED

static void trials(void **state)
{
    (void)state;
    static const struct trial trial[] = {
        {.name = "port-restricted, noticed",
         .seed = 1,
         .loss_percent = 1,
         .servers = 24,
         .pairs = 40,
         .nat = {CONE, CONE},
         .notice_us = S,
         .gap_us = 200 * MS},
        {.name = "port-restricted, not noticed",
         .seed = 2,
         .loss_percent = 1,
         .servers = 24,
         .pairs = 40,
         .nat = {CONE, CONE},
         .notice_us = USEC_NEVER,
         .gap_us = 200 * MS},
        {.name = "noticed at once",
         .seed = 3,
         .loss_percent = 1,
         .servers = 24,
         .pairs = 20,
         .nat = {CONE, CONE},
         .notice_us = 0,
         .gap_us = 200 * MS},
        {.name = "full cone and restricted",
         .seed = 4,
         .loss_percent = 1,
         .servers = 24,
         .pairs = 20,
         .nat = {SIM_NAT_FULL_CONE, SIM_NAT_RESTRICTED},
         .notice_us = S,
         .gap_us = 200 * MS},
        {.name = "symmetric and restricted",
         .seed = 5,
         .loss_percent = 1,
         .servers = 24,
         .pairs = 20,
         .nat = {SIM_NAT_SYMMETRIC, SIM_NAT_RESTRICTED},
         .notice_us = S,
         .gap_us = 200 * MS},
        {.name = "no NAT",
         .seed = 6,
         .loss_percent = 1,
         .servers = 24,
         .pairs = 20,
         .nat = {SIM_NAT_NONE, SIM_NAT_NONE},
         .notice_us = S,
         .gap_us = 200 * MS},
        {.name = "a message every 5 s",
         .seed = 7,
         .loss_percent = 1,
         .servers = 24,
         .pairs = 20,
         .nat = {CONE, CONE},
         .notice_us = S,
         .gap_us = 5 * S},
        {.name = "a message every 5 s, not noticed",
         .seed = 8,
         .loss_percent = 1,
         .servers = 24,
         .pairs = 20,
         .nat = {CONE, CONE},
         .notice_us = USEC_NEVER,
         .gap_us = 5 * S},
        {.name = "5 % loss",
         .seed = 9,
         .loss_percent = 5,
         .servers = 24,
         .pairs = 20,
         .nat = {CONE, CONE},
         .notice_us = S,
         .gap_us = 200 * MS},
        {.name = "20 % loss",
         .seed = 10,
         .loss_percent = 20,
         .servers = 24,
         .pairs = 20,
         .nat = {CONE, CONE},
         .notice_us = S,
         .gap_us = 200 * MS},
        {.name = "one is a server",
         .seed = 11,
         .loss_percent = 1,
         .servers = 40,
         .pairs = 10,
         .nat = {SIM_NAT_NONE, CONE},
         .notice_us = S,
         .gap_us = 200 * MS,
         .server = true},
        {.name = "one server",
         .seed = 12,
         .loss_percent = 1,
         .servers = 1,
         .pairs = 4,
         .nat = {CONE, CONE},
         .notice_us = S,
         .gap_us = 200 * MS},
        {.name = "two servers",
         .seed = 13,
         .loss_percent = 1,
         .servers = 2,
         .pairs = 6,
         .nat = {CONE, CONE},
         .notice_us = S,
         .gap_us = 200 * MS},
        {.name = "three servers",
         .seed = 14,
         .loss_percent = 1,
         .servers = 3,
         .pairs = 10,
         .nat = {CONE, CONE},
         .notice_us = S,
         .gap_us = 200 * MS},
        {.name = "a fifth of the servers die",
         .seed = 15,
         .loss_percent = 1,
         .servers = 24,
         .pairs = 20,
         .nat = {CONE, CONE},
         .notice_us = S,
         .gap_us = 200 * MS,
         .killed = 5},
        {.name = "one moves",
         .seed = 16,
         .loss_percent = 1,
         .servers = 24,
         .pairs = 20,
         .nat = {CONE, CONE},
         .notice_us = S,
         .gap_us = 200 * MS,
         .alone = true},
        {.name = "one moves, not noticed",
         .seed = 17,
         .loss_percent = 1,
         .servers = 24,
         .pairs = 20,
         .nat = {CONE, CONE},
         .notice_us = USEC_NEVER,
         .gap_us = 200 * MS,
         .alone = true},
        {.name = "one moves, a message every 15 s",
         .seed = 18,
         .loss_percent = 1,
         .servers = 24,
         .pairs = 20,
         .nat = {CONE, CONE},
         .notice_us = S,
         .gap_us = 15 * S,
         .alone = true},
        {.name = "twice, 4 s apart",
         .seed = 19,
         .loss_percent = 1,
         .servers = 24,
         .pairs = 20,
         .nat = {CONE, CONE},
         .notice_us = S,
         .gap_us = 200 * MS,
         .again_us = 4 * S},
        {.name = "twice, 1 s apart",
         .seed = 20,
         .loss_percent = 1,
         .servers = 24,
         .pairs = 20,
         .nat = {CONE, CONE},
         .notice_us = 300 * MS,
         .gap_us = 200 * MS,
         .again_us = S},
        {.name = "both families",
         .seed = 21,
         .loss_percent = 1,
         .servers = 24,
         .pairs = 20,
         .nat = {CONE, SIM_NAT_SYMMETRIC},
         .notice_us = S,
         .gap_us = 200 * MS,
         .v6 = true},
        {.name = "8 s without a network",
         .seed = 22,
         .loss_percent = 1,
         .servers = 24,
         .pairs = 20,
         .nat = {CONE, CONE},
         .notice_us = S,
         .gap_us = 200 * MS,
         .again_us = 8 * S,
         .nowhere = true},
        {.name = "20 s without a network",
         .seed = 23,
         .loss_percent = 1,
         .servers = 24,
         .pairs = 20,
         .nat = {CONE, CONE},
         .notice_us = S,
         .gap_us = 200 * MS,
         .again_us = 20 * S,
         .nowhere = true},
        {.name = "one moves, a message every 25 s",
         .seed = 24,
         .loss_percent = 1,
         .servers = 24,
         .pairs = 20,
         .nat = {CONE, CONE},
         .notice_us = S,
         .gap_us = 25 * S,
         .alone = true},
    };
    for (size_t i = 0; i < sizeof trial / sizeof *trial; i++)
        run(&trial[i]);
}

// ---- one pair, looked at closely ----------------------------------------------------------------------

static struct conversation *talk_of(struct sim *s, uint32_t person)
{
    const struct sim_person *p = sim_person(s, person);
    const struct node *n = sim_node(s, p->config.node);
    const struct encounter *e = n != NULL ? node_find_encounter(n, p->encounter) : NULL;
    return e != NULL ? e->talk : NULL;
}

static struct conversation *sure_talk(struct sim *s, uint32_t person)
{
    struct conversation *c = talk_of(s, person);
    if (c == NULL) {
        fail_msg("person %u does not talk at %llu us", person, (unsigned long long)sim_now(s));
        abort();
    }
    return c;
}

// 24 servers, of which the last `others` are the caller's; two who talk from about 8 s on.
static struct sim *pair(uint64_t seed, uint32_t messages, const struct sim_actor *actor,
                        uint32_t others)
{
    struct sim *s = help_sim(seed, 0);
    for (uint32_t i = 0; i < 24; i++) {
        struct sim_node_config n = {.server = true, .bootstraps = i < 4 ? i : 4};
        for (uint32_t k = 0; k < n.bootstraps; k++)
            n.bootstrap[k] = k;
        n.actor = i >= 24 - others ? actor : NULL;
        (void)sim_node_add(s, 0, &n);
    }
    for (uint32_t i = 0; i < 2; i++) {
        struct sim_person_config p = {.node = node(s, false, (struct sim_site_config){.nat = CONE}),
                                      .topic = "masks",
                                      .seek_at_us = 5 * S,
                                      .messages = messages,
                                      .gap_us = 200 * MS};
        (void)sim_person_add(s, &p);
    }
    (void)sim_run(s, 15 * S, NULL, NULL);
    help_must(s, seed, talk_of(s, 0) != NULL && talk_of(s, 1) != NULL, "they talk");
    return s;
}

static void move_both(struct sim *s, usec_t at_us)
{
    struct sim_site_config site = {.nat = CONE};
    for (uint32_t i = 0; i < 2; i++)
        sim_node_move(s, at_us, sim_person(s, i)->config.node, &site, S);
}

static bool same_points(const struct reunion_point *a, const struct reunion_point *b)
{
    for (unsigned i = 0; i < REUNION_POINTS_MAX; i++)
        if (memcmp(a[i].handle, b[i].handle, sizeof a[i].handle) != 0 ||
            memcmp(a[i].contact.pk, b[i].contact.pk, 32) != 0)
            return false;
    return true;
}

// Each end knows the other's points; nobody is registered with them, for as long as the path works.
static void rest_costs_nothing(void **state)
{
    (void)state;
    struct sim *s = pair(30, 0, NULL, 0);
    for (uint32_t round = 0; round < 20; round++) {
        (void)sim_run(s, sim_now(s) + 30 * S, NULL, NULL);
        for (uint32_t i = 0; i < 2; i++) {
            const struct reunion *r = &sure_talk(s, i)->reunion, *o = &sure_talk(s, 1 - i)->reunion;
            help_must(s, 30, r->state == REUNION_NONE && r->key == 0, "nobody seeks");
            help_must(s, 30, r->mine_count == 2 && o->their_count == 2, "both were told");
            help_must(s, 30, same_points(r->mine, o->theirs), "what one told the other knows");
        }
        for (uint32_t i = 0; i < 24; i++) {
            struct node_status st;
            node_status(sim_node(s, i), sim_now(s), &st);
            help_must(s, 30, st.dht.handles_held == 0 && st.dht.links_held == 0,
                      "no introducer knows of them");
        }
    }
    help_no_failures(s, 30);
    sim_free(s);
}

// After a reunion both ends have other handles, and know each other's.
static void handles_are_used_once(void **state)
{
    (void)state;
    struct sim *s = pair(31, 400, NULL, 0);
    struct reunion_point before[2][REUNION_POINTS_MAX];
    for (uint32_t i = 0; i < 2; i++)
        memcpy(before[i], sure_talk(s, i)->reunion.mine, sizeof before[i]);
    move_both(s, 20 * S);
    (void)sim_run(s, 40 * S, NULL, NULL);
    for (uint32_t i = 0; i < 2; i++) {
        help_must(s, 31, talk_of(s, i) != NULL, "they go on");
        const struct reunion *r = &sure_talk(s, i)->reunion, *o = &sure_talk(s, 1 - i)->reunion;
        for (unsigned k = 0; k < REUNION_POINTS_MAX; k++)
            for (unsigned j = 0; j < REUNION_POINTS_MAX; j++)
                help_must(s, 31,
                          memcmp(r->mine[k].handle, before[i][j].handle, DHT_HANDLE_BYTES) != 0,
                          "no handle is used twice");
        help_must(s, 31, same_points(r->mine, o->theirs), "the other knows the new ones");
    }
    help_no_failures(s, 31);
    sim_free(s);
}

// A point whose server is gone is replaced, once the own table knows of it.
static void points_follow_servers(void **state)
{
    (void)state;
    struct sim *s = pair(32, 0, NULL, 0);
    const struct reunion_point gone = sure_talk(s, 0)->reunion.mine[0];
    uint32_t server = sim_network_find(&s->net, &gone.contact.path);
    sim_node_kill(s, 20 * S, server);
    (void)sim_run(s, 5400 * S, NULL, NULL);
    for (uint32_t i = 0; i < 2; i++) {
        help_must(s, 32, talk_of(s, i) != NULL, "they go on");
        const struct reunion *r = &sure_talk(s, i)->reunion, *o = &sure_talk(s, 1 - i)->reunion;
        for (unsigned k = 0; k < REUNION_POINTS_MAX; k++)
            help_must(s, 32, memcmp(r->mine[k].contact.pk, gone.contact.pk, 32) != 0,
                      "nobody names a server that is gone");
        help_must(s, 32, same_points(r->mine, o->theirs), "the other knows the new one");
    }
    help_no_failures(s, 32);
    sim_free(s);
}

// As many conversations as a node may have, all at once, within its budget of addresses.
static void sixteen_of_one_node(void **state)
{
    (void)state;
    struct sim *s = help_sim(33, 1);
    struct sim_site_config site = {.nat = CONE};
    for (uint32_t i = 0; i < 24; i++)
        (void)node(s, true, (struct sim_site_config){0});
    uint32_t one = node(s, false, site);
    for (uint32_t i = 0; i < 2 * MEET_ENCOUNTERS_MAX; i++) {
        char topic[32];
        snprintf(topic, sizeof topic, "pair %u", i / 2);
        struct sim_person_config p = {.node = i % 2 == 0 ? one : node(s, false, site),
                                      .topic = topic,
                                      .seek_at_us = 5 * S,
                                      .messages = 400,
                                      .gap_us = 200 * MS};
        (void)sim_person_add(s, &p);
        if (i % 2 == 1)
            sim_node_move(s, 80 * S, p.node, &site, S);
    }
    sim_node_move(s, 80 * S, one, &site, S);
    (void)sim_run(s, 150 * S, help_people_done, NULL);
    help_must(s, 33, sim_people_done(s), "all conversations of a node go on");
    help_no_failures(s, 33);
    sim_free(s);
}

// ---- hostile ------------------------------------------------------------------------------------------

static bool passes_nothing_on(struct sim *s, void *ctx, uint32_t host, const struct path *from,
                              const uint8_t *data, size_t len)
{
    (void)ctx, (void)host, (void)from, (void)data;
    return sim_now(s) > 18 * S && len == CLASS_MEDIUM; // introductions
}

// Introducers that attend and pass nothing on: a third of all.
static void introducers_that_drop(void **state)
{
    (void)state;
    unsigned kept = 0, tried = 0;
    const struct sim_actor actor = {.receive = passes_nothing_on};
    for (uint64_t seed = 40; seed < 60; seed++) {
        struct sim *s = pair(seed, 150, &actor, 8);
        unsigned bad = 0;
        for (uint32_t i = 0; i < 2; i++)
            for (unsigned k = 0; k < REUNION_POINTS_MAX; k++)
                bad +=
                    sim_network_find(&s->net, &sure_talk(s, i)->reunion.mine[k].contact.path) >= 16;
        move_both(s, 20 * S);
        (void)sim_run(s, 60 * S, help_people_done, NULL);
        if (bad < 4) {
            tried++;
            kept += sim_people_done(s);
        }
        help_no_failures(s, seed);
        sim_free(s);
    }
    printf("a third of the introducers drop everything: %u of %u pairs go on\n", kept, tried);
    assert_true(tried >= 15);
    assert_int_equal(kept, tried); // one honest introducer of four is enough
}

struct victim {
    uint64_t bytes;
};

static bool count_bytes(struct sim *s, void *ctx, uint32_t host, const struct path *from,
                        const uint8_t *data, size_t len)
{
    (void)s, (void)host, (void)from, (void)data;
    ((struct victim *)ctx)->bytes += len + SIM_HEADER_BYTES;
    return true;
}

// The other end names strangers' addresses as its points, and dies.
static void a_victim_as_meeting_point(void **state)
{
    (void)state;
    struct sim *s = pair(61, 400, NULL, 0);
    struct victim victim = {0};
    const struct sim_actor actor = {.ctx = &victim, .receive = count_bytes, .alone = true};
    struct sim_node_config cfg = {.actor = &actor};
    struct reunion_point point[2] = {0};
    uint8_t out[CHANNEL_MEETING_BYTES_MAX];
    for (unsigned i = 0; i < 2; i++) {
        uint32_t host = sim_node_add(s, sim_now(s), &cfg);
        point[i].contact.path = *sim_path(s, host);
        sim_server_key(s, host, point[i].contact.pk, (uint8_t[32]){0});
        point[i].handle[0] = (uint8_t)i;
    }
    size_t len = reunion_put_points(out, point, 2);
    assert_int_equal(channel_meeting(sure_talk(s, 0)->channel, out, len), 0);
    (void)sim_run(s, 20 * S, NULL, NULL);
    assert_true(same_points(sure_talk(s, 1)->reunion.theirs, point));
    assert_int_equal(victim.bytes, 0);
    sim_node_kill(s, 20 * S, sim_person(s, 0)->config.node);
    (void)sim_run(s, 60 * S, NULL, NULL);
    printf("two victims named as introducers got %llu bytes\n", (unsigned long long)victim.bytes);
    assert_in_range(victim.bytes, 1, 2 * 8 * 3 * (CLASS_MEDIUM + SIM_HEADER_BYTES));
    assert_int_equal(sim_person(s, 1)->state, SIM_ENDED);
    // As soon as without: eight seconds after the first word that was not answered.
    assert_in_range(sim_last_match(s, 1)->ended_us, 27500 * MS, 29 * S);
    sim_free(s);
}

// Who has chosen to hide the own address is not found, and asks for nobody.
static void relayed_tells_nothing(void **state)
{
    (void)state;
    struct sim *s = pair(62, 400, NULL, 0);
    node_set_privacy(sim_node(s, sim_person(s, 0)->config.node), sim_now(s), NODE_RELAYED);
    move_both(s, 20 * S);
    for (usec_t at = 20 * S; at < 52 * S; at += 250 * MS) {
        (void)sim_run(s, at, NULL, NULL);
        const struct conversation *c = talk_of(s, 0);
        if (c != NULL)
            help_must(s, 62, c->reunion.state == REUNION_NONE, "who is hidden does not ask");
    }
    (void)sim_run(s, 60 * S, NULL, NULL);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(sim_person(s, i)->state, SIM_ENDED);
        assert_string_equal(sim_last_match(s, i)->reason, "gone");
    }
    sim_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trials),
        cmocka_unit_test(rest_costs_nothing),
        cmocka_unit_test(handles_are_used_once),
        cmocka_unit_test(points_follow_servers),
        cmocka_unit_test(sixteen_of_one_node),
        cmocka_unit_test(introducers_that_drop),
        cmocka_unit_test(a_victim_as_meeting_point),
        cmocka_unit_test(relayed_tells_nothing),
    };
    return help_main(tests, sizeof tests / sizeof *tests);
}
