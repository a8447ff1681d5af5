// People and their checker: what they do, what they notice, and whether both ends agree.
#include "tools/sim/sim_internal.h"

#include "crypto/bytes.h"
#include "tools/sim/population.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAY_AGAIN_US 100000u // when the queue is full

uint32_t sim_people(const struct sim *s)
{
    return s->people;
}

const struct sim_person *sim_person(const struct sim *s, uint32_t person)
{
    assert(person < s->people);
    return &s->person[person];
}

const struct sim_match *sim_last_match(const struct sim *s, uint32_t person)
{
    const struct sim_person *p = sim_person(s, person);
    return p->matches > 0 ? &p->match[p->matches - 1] : NULL;
}

// The conversation that a person is in now.
static struct sim_match *current(const struct sim_person *p)
{
    return p->state == SIM_TALKING ? &p->match[p->matches - 1] : NULL;
}

static bool node_of(const struct sim *s, const struct sim_person *p, struct node **n)
{
    *n = s->host[p->config.node]->node;
    return *n != NULL;
}

// Is its node still there for it? One that is being closed takes no more commands.
static bool has_node(const struct sim *s, const struct sim_person *p)
{
    const struct sim_host *h = s->host[p->config.node];
    return h->node != NULL && !h->leaves;
}

static struct sim_group *group_of(const struct sim *s, const struct sim_person *p)
{
    return p->config.group > 0 ? &s->group[p->config.group - 1] : NULL;
}

// ---- groups and seats ---------------------------------------------------------------------------------

uint32_t sim_group_add(struct sim *s, const struct sim_group_config *cfg)
{
    if (s->groups == SIM_GROUPS_MAX)
        return 0;
    s->group = sim_grow(s->group, s->groups + 1, sizeof *s->group);
    struct sim_group *g = &s->group[s->groups++];
    memset(g, 0, sizeof *g);
    g->config = *cfg;
    snprintf(g->name, sizeof g->name, "%s", cfg->name);
    g->config.name = NULL;
    g->zipf = sim_grow(NULL, cfg->topics + 1, sizeof *g->zipf);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < cfg->topics; i++)
        g->zipf[i] = sum += (UINT64_C(1) << 32) / (i + 1);
    return s->groups;
}

static void draw_topic(struct sim *s, uint32_t person)
{
    struct sim_person *p = &s->person[person];
    const struct sim_group *g = group_of(s, p);
    if (g == NULL || g->config.topics == 0)
        return;
    uint64_t sum = g->zipf[g->config.topics - 1];
    uint64_t at = sim_prf_u64(&s->prf, SIM_PRF_TOPIC, person, 0, p->seeks) % sum;
    uint32_t low = 0, high = g->config.topics - 1;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (g->zipf[middle] > at)
            high = middle;
        else
            low = middle + 1;
    }
    char topic[48];
    int len = snprintf(topic, sizeof topic, "%s %u", g->name, low + 1);
    char *copy = sim_grow((char *)(uintptr_t)p->config.topic, (size_t)len + 1, 1);
    memcpy(copy, topic, (size_t)len + 1);
    p->config.topic = copy;
}

static void sit(struct sim *s, uint32_t person, uint32_t node)
{
    struct sim_person *p = &s->person[person];
    p->config.node = node;
    p->next_of_node = s->host[node]->first_person;
    s->host[node]->first_person = person;
}

// Its node is gone, or about to be: somewhere else, a moment later. False: it sits where it sat.
static bool moves(struct sim *s, uint32_t person, sim_run_fn *run)
{
    struct sim_person *p = &s->person[person];
    if (p->config.group == 0 || has_node(s, p))
        return false;
    uint32_t node = sim_seat(s, person ^ p->config.node << 1);
    if (node == SIM_NOBODY)
        return true;
    uint32_t *at = &s->host[p->config.node]->first_person;
    while (*at != person)
        at = &s->person[*at].next_of_node;
    *at = p->next_of_node;
    sit(s, person, node);
    sim_command(s, s->now + SIM_REACTION_US, node, SIM_NOBODY, run, NULL, person);
    return true;
}

bool sim_people_busy(const struct sim *s, uint32_t node)
{
    for (uint32_t i = s->host[node]->first_person; i != SIM_NOBODY; i = s->person[i].next_of_node) {
        const struct sim_person *p = &s->person[i];
        bool to_come = p->seeks == 0 && p->config.seek_at_us + SIM_LEAVE_AGAIN_US > s->now;
        if (p->state == SIM_SEEKING || p->state == SIM_TALKING || to_come)
            return true;
    }
    return false;
}

bool sim_people_gone(const struct sim *s, uint32_t node)
{
    for (uint32_t i = s->host[node]->first_person; i != SIM_NOBODY; i = s->person[i].next_of_node) {
        const struct sim_group *g = group_of(s, &s->person[i]);
        if (s->person[i].state != SIM_ABSENT || s->person[i].seeks == 0 ||
            (g != NULL && g->config.kind == SIM_BROWSING))
            return false;
    }
    return true;
}

// ---- commands -----------------------------------------------------------------------------------------

static void run_seek(struct sim *, void *, uint64_t);
static void run_end(struct sim *, void *, uint64_t);

// Who browses comes again after a pause: half to one and a half of the average.
static void come_again(struct sim *s, uint32_t person)
{
    const struct sim_person *p = &s->person[person];
    const struct sim_group *g = group_of(s, p);
    if (g == NULL || g->config.kind != SIM_BROWSING)
        return;
    uint64_t r = sim_prf_u64(&s->prf, SIM_PRF_SEEK, person, 1, p->seeks);
    usec_t at_us = s->now + g->config.pause_us / 2 + r % (g->config.pause_us + 1);
    if (at_us < g->config.until_us)
        sim_command(s, at_us, p->config.node, p->config.node, run_seek, NULL, person);
}

// Nobody came. arg: person || its seeks so far.
static void give_up(struct sim *s, void *ctx, uint64_t arg)
{
    uint32_t person = (uint32_t)(arg >> 32);
    struct sim_person *p = &s->person[person];
    if (p->state != SIM_SEEKING || p->seeks != (uint32_t)arg)
        return;
    group_of(s, p)->gave_up++;
    run_end(s, ctx, person);
}

static void count_seek(struct sim *s, uint32_t person)
{
    struct sim_person *p = &s->person[person];
    struct sim_group *g = group_of(s, p);
    p->state = SIM_SEEKING;
    p->asked_us = s->now;
    p->seeks++;
    s->seeks++;
    s->waiting++;
    if (g == NULL)
        return;
    if (g->seeks++ == 0)
        g->first_seek_us = s->now;
    g->last_seek_us = s->now;
    if (g->config.patience_us > 0)
        sim_command(s, s->now + g->config.patience_us, p->config.node, p->config.node, give_up,
                    NULL, (uint64_t)person << 32 | p->seeks);
}

static void run_seek(struct sim *s, void *ctx, uint64_t arg)
{
    (void)ctx;
    uint32_t person = (uint32_t)arg;
    struct sim_person *p = &s->person[person];
    struct node *n;
    if (moves(s, person, run_seek) || !has_node(s, p) || !node_of(s, p, &n))
        return;
    draw_topic(s, person);
    struct node_topic topic = {.text = p->config.topic, .len = strlen(p->config.topic)};
    struct card card = {0};
    struct wishes wishes = {0};
    int rc = node_seek(n, s->now, &topic, 1, &card, &wishes, &p->encounter);
    if (rc != 0) {
        sim_fail(s, "person %u: node_seek says %d", person, rc);
        return;
    }
    p->searches++;
    count_seek(s, person);
}

static void end_match(struct sim *s, struct sim_person *p, const char *reason)
{
    struct sim_match *m = current(p);
    if (m == NULL)
        return;
    m->ended_us = s->now;
    snprintf(m->reason, sizeof m->reason, "%s", reason);
}

static void run_next(struct sim *s, void *ctx, uint64_t person)
{
    (void)ctx;
    struct sim_person *p = &s->person[person];
    struct node *n;
    if (!has_node(s, p) || !node_of(s, p, &n) || p->state == SIM_ABSENT)
        return;
    bool seeking = p->state == SIM_SEEKING;
    int rc = node_next(n, s->now, p->encounter);
    if (rc != 0)
        sim_fail(s, "person %u: node_next says %d", (unsigned)person, rc);
    if (seeking)
        return;
    end_match(s, p, "next");
    count_seek(s, (uint32_t)person);
}

static void withdraws(struct sim *s, uint32_t node)
{
    if (s->withdrawals == s->withdrawals_room) {
        s->withdrawals_room = s->withdrawals_room == 0 ? 64 : 2 * s->withdrawals_room;
        s->withdrawal = sim_grow(s->withdrawal, s->withdrawals_room, sizeof *s->withdrawal);
    }
    s->withdrawal[s->withdrawals++] = (struct sim_withdrawal){node, s->now};
}

static bool connecting(struct node *n, uint32_t encounter)
{
    struct node_encounter_status st[MEET_ENCOUNTERS_MAX];
    size_t k = node_encounters(n, st, MEET_ENCOUNTERS_MAX);
    for (size_t i = 0; i < k; i++)
        if (st[i].encounter == encounter)
            return strcmp(st[i].state, "connecting") == 0;
    return false;
}

static void leave_encounter(struct sim *s, uint32_t person,
                            int (*leave)(struct node *, usec_t, uint32_t), const char *how)
{
    struct sim_person *p = &s->person[person];
    struct node *n;
    if (!node_of(s, p, &n) || p->state == SIM_ABSENT)
        return;
    if (p->state == SIM_SEEKING && connecting(n, p->encounter))
        withdraws(s, p->config.node);
    int rc = leave(n, s->now, p->encounter);
    if (rc != 0)
        sim_fail(s, "person %u: %s says %d", person, how, rc);
    end_match(s, p, how);
    if (p->state == SIM_SEEKING)
        s->waiting--;
    p->state = SIM_ABSENT;
    come_again(s, person);
}

static void run_end(struct sim *s, void *ctx, uint64_t person)
{
    (void)ctx;
    leave_encounter(s, (uint32_t)person, node_end, "end");
}

static void run_block(struct sim *s, void *ctx, uint64_t person)
{
    (void)ctx;
    leave_encounter(s, (uint32_t)person, node_block, "block");
}

// It has talked enough. arg: person || its match.
static void run_talked(struct sim *s, void *ctx, uint64_t arg)
{
    uint32_t person = (uint32_t)(arg >> 32);
    struct sim_person *p = &s->person[person];
    if (current(p) == &p->match[(uint32_t)arg])
        run_end(s, ctx, person);
}

// Long enough to see in a datagram if it were not sealed.
static int text_of(char out[static SIM_TEXT_BYTES], uint32_t person, uint32_t match,
                   uint32_t number)
{
    return snprintf(out, SIM_TEXT_BYTES,
                    "%u.%u.%u I wear my mask tonight, and nobody at the ridotto knows my name",
                    person, match, number);
}

// One message; the next one is a command of its own. arg: person || match.
static void run_say(struct sim *s, void *ctx, uint64_t arg)
{
    (void)ctx;
    uint32_t person = (uint32_t)(arg >> 32), match = (uint32_t)arg, id;
    struct sim_person *p = &s->person[person];
    struct sim_match *m = current(p);
    struct node *n;
    if (!node_of(s, p, &n) || m != &p->match[match] || m->said == p->config.messages)
        return;
    char text[SIM_TEXT_BYTES];
    int len = text_of(text, person, match, m->said);
    int rc = node_say(n, s->now, p->encounter, (const uint8_t *)text, (size_t)len, &id);
    usec_t again_us = p->config.gap_us;
    if (rc == 0)
        m->ids[m->said++] = id;
    else if (rc == BAUTA_ELIMIT)
        again_us = SAY_AGAIN_US;
    else if (rc == NODE_ENOTREADY) // it ends in this very moment
        return;
    else
        sim_fail(s, "person %u: node_say says %d", person, rc);
    if (m->said < p->config.messages)
        sim_command(s, s->now + again_us, p->config.node, p->config.node, run_say, NULL, arg);
}

uint32_t sim_person_add(struct sim *s, const struct sim_person_config *cfg)
{
    if (s->people == s->people_room) {
        s->people_room = s->people_room == 0 ? 64 : 2 * s->people_room;
        s->person = sim_grow(s->person, s->people_room, sizeof *s->person);
    }
    uint32_t i = s->people++;
    s->person[i] = (struct sim_person){.config = *cfg};
    sit(s, i, cfg->node);
    s->person[i].config.topic = NULL;
    if (cfg->topic != NULL) {
        size_t len = strlen(cfg->topic) + 1;
        char *topic = sim_grow(NULL, len, 1);
        memcpy(topic, cfg->topic, len);
        s->person[i].config.topic = topic;
    }
    if (cfg->group > 0)
        group_of(s, &s->person[i])->people++;
    sim_person_seek(s, cfg->seek_at_us, i);
    return i;
}

static void command(struct sim *s, usec_t at_us, uint32_t person, sim_run_fn *run)
{
    sim_command(s, at_us, s->person[person].config.node, SIM_NOBODY, run, NULL, person);
}

void sim_person_seek(struct sim *s, usec_t at_us, uint32_t person)
{
    command(s, at_us, person, run_seek);
}

void sim_person_next(struct sim *s, usec_t at_us, uint32_t person)
{
    command(s, at_us, person, run_next);
}

void sim_person_end(struct sim *s, usec_t at_us, uint32_t person)
{
    command(s, at_us, person, run_end);
}

void sim_person_block(struct sim *s, usec_t at_us, uint32_t person)
{
    command(s, at_us, person, run_block);
}

void sim_people_free(struct sim *s)
{
    for (uint32_t i = 0; i < s->people; i++) {
        struct sim_person *p = &s->person[i];
        for (uint32_t m = 0; m < p->matches; m++)
            free(p->match[m].ids);
        free(p->match);
        free((char *)(uintptr_t)p->config.topic);
    }
    free(s->person);
    free(s->withdrawal);
    for (uint32_t i = 0; i < s->groups; i++)
        free(s->group[i].zipf);
    free(s->group);
}

// ---- what they notice -----------------------------------------------------------------------------------

static uint32_t peer_node(const struct sim *s, const struct sim_person *p)
{
    struct node_encounter_status st[MEET_ENCOUNTERS_MAX];
    size_t n = node_encounters(s->host[p->config.node]->node, st, MEET_ENCOUNTERS_MAX);
    for (size_t i = 0; i < n; i++)
        if (st[i].encounter == p->encounter)
            return sim_network_find(&s->net, &st[i].channel.path);
    return SIM_NOBODY;
}

// Both ends are known: how long each waited since both sought.
static void count_match(struct sim *s, const struct sim_person *p, const struct sim_match *m,
                        const struct sim_match *other)
{
    usec_t both_us = other->asked_us > m->asked_us ? other->asked_us : m->asked_us;
    struct sim_group *g = group_of(s, p);
    sim_hist_add(&s->match_us, m->at_us - both_us);
    if (g != NULL)
        sim_hist_add(&g->wait_us, m->at_us - both_us);
}

// Joins a new match with its other end, if that end has matched already.
static void link_match(struct sim *s, uint32_t person)
{
    struct sim_person *p = &s->person[person];
    struct sim_match *m = &p->match[p->matches - 1];
    if (m->peer_node == SIM_NOBODY && !m->relayed) {
        sim_fail(s, "person %u is matched over a path that leads nowhere", person);
        return;
    }
    for (uint32_t q = m->relayed ? 0 : s->host[m->peer_node]->first_person;
         m->relayed ? q < s->people : q != SIM_NOBODY;
         q = m->relayed ? q + 1 : s->person[q].next_of_node) {
        struct sim_person *o = &s->person[q];
        struct sim_match *om = q != person ? current(o) : NULL;
        if (om == NULL || strcmp(om->words, m->words) != 0)
            continue;
        if (om->peer != SIM_NOBODY)
            sim_fail(s, "persons %u and %u are matched with one end of %u", person, om->peer, q);
        if (m->relayed)
            m->peer_node = o->config.node;
        if (om->relayed)
            om->peer_node = p->config.node;
        if (om->peer_node != p->config.node)
            sim_fail(s, "person %u took %u for another node", q, person);
        if (strcmp(o->config.topic, p->config.topic) != 0)
            sim_fail(s, "persons %u and %u meet on different topics", person, q);
        for (uint32_t i = 0; i + 1 < p->matches; i++)
            if (p->match[i].peer == q && p->match[i].search == m->search)
                sim_fail(s, "persons %u and %u meet again in one search", person, q);
        m->peer = q;
        m->peer_match = o->matches - 1;
        om->peer = person;
        om->peer_match = p->matches - 1;
        count_match(s, p, m, om);
        count_match(s, o, om, m);
        return;
    }
}

static void on_matched(struct sim *s, uint32_t person, const struct node_event *e)
{
    struct sim_person *p = &s->person[person];
    if (p->state != SIM_SEEKING)
        sim_fail(s, "person %u is matched while not seeking", person);
    if (e->len != strlen(p->config.topic) || memcmp(e->text, p->config.topic, e->len) != 0)
        sim_fail(s, "person %u is told another topic than it sought", person);
    bool relayed = e->path != NULL && strcmp(e->path, "relayed") == 0;
    if (!relayed && (e->path == NULL || strcmp(e->path, "direct") != 0))
        sim_fail(s, "person %u is told a wrong path", person);
    p->match = sim_grow(p->match, p->matches + 1, sizeof *p->match);
    struct sim_match *m = &p->match[p->matches++];
    *m = (struct sim_match){.search = p->searches,
                            .at_us = s->now,
                            .asked_us = p->asked_us,
                            .ended_us = USEC_NEVER,
                            .relayed = relayed,
                            .peer_node = SIM_NOBODY,
                            .peer = SIM_NOBODY};
    for (size_t i = 0; i < SAS_WORDS; i++) {
        size_t at = strlen(m->words);
        snprintf(m->words + at, sizeof m->words - at, "%s%s", i > 0 ? " " : "", e->words[i]);
    }
    m->ids = sim_grow(NULL, p->config.messages + 1, sizeof *m->ids);
    p->state = SIM_TALKING;
    s->waiting--;
    s->matches++;
    struct sim_group *g = group_of(s, p);
    if (g != NULL) {
        g->matches++;
        g->last_match_us = s->now;
        sim_hist_add(&g->since_ms, (s->now - g->first_seek_us) / USEC_PER_MS);
    }
    if (!relayed)
        m->peer_node = peer_node(s, p);
    link_match(s, person);
    if (p->config.talk_us > 0) {
        uint64_t r = sim_prf_u64(&s->prf, SIM_PRF_TALK, person, p->matches, 0);
        sim_command(s, s->now + p->config.talk_us / 2 + r % (p->config.talk_us + 1), p->config.node,
                    p->config.node, run_talked, NULL, (uint64_t)person << 32 | (p->matches - 1));
    }
    if (p->config.messages > 0)
        sim_command(s, s->now + SIM_REACTION_US, p->config.node, p->config.node, run_say, NULL,
                    (uint64_t)person << 32 | (p->matches - 1));
}

static void on_message(struct sim *s, uint32_t person, const struct node_event *e)
{
    struct sim_match *m = current(&s->person[person]);
    if (m == NULL || m->peer == SIM_NOBODY) {
        sim_fail(s, "person %u gets a message from nobody", person);
        return;
    }
    char want[SIM_TEXT_BYTES];
    int len = text_of(want, m->peer, m->peer_match, m->received);
    if (e->len != (size_t)len || memcmp(e->text, want, e->len) != 0)
        sim_fail(s, "person %u awaits message %u of person %u and gets: %.*s", person, m->received,
                 m->peer, (int)e->len, e->text);
    m->received++;
}

static void on_receipt(struct sim *s, uint32_t person, const struct node_event *e, bool delivered)
{
    struct sim_person *p = &s->person[person];
    // What was never delivered is told at the end of a conversation, which may have just been left.
    struct sim_match *m = p->matches > 0 ? &p->match[p->matches - 1] : NULL;
    uint32_t at = m != NULL ? m->delivered + m->undelivered : 0;
    if (m == NULL || at >= m->said || m->ids[at] != e->id) {
        sim_fail(s, "person %u hears of message %u, which it did not say next", person, e->id);
        return;
    }
    if (delivered && m->peer != SIM_NOBODY &&
        s->person[m->peer].match[m->peer_match].received <= m->delivered)
        sim_fail(s, "person %u is told of a delivery that never was", person);
    if (delivered)
        m->delivered++;
    else
        m->undelivered++;
}

static void on_path(struct sim *s, uint32_t person, const struct node_event *e)
{
    struct sim_match *m = current(&s->person[person]);
    bool relayed = strcmp(e->path, "relayed") == 0;
    if (m == NULL) {
        sim_fail(s, "person %u hears of a path without a conversation", person);
    } else if (e->kind == NODE_PATH_WANTED) {
        m->wanted_direct = m->wanted_direct || !relayed;
        m->wanted_relayed = m->wanted_relayed || relayed;
    } else {
        m->changed++;
        m->now_relayed = relayed;
    }
}

static void on_ended(struct sim *s, uint32_t person, const char *reason)
{
    struct sim_person *p = &s->person[person];
    if (p->state != SIM_TALKING) // the echo of our own end or block
        return;
    end_match(s, p, reason);
    p->state = SIM_ENDED;
    if (p->config.next_when_left)
        sim_command(s, s->now + SIM_REACTION_US, p->config.node, p->config.node, run_next, NULL,
                    person);
    else if (p->config.talk_us > 0) // it does not wait in an ended conversation
        sim_command(s, s->now + SIM_REACTION_US, p->config.node, p->config.node, run_end, NULL,
                    person);
}

void sim_people_event(struct sim *s, uint32_t node, const struct node_event *e)
{
    if (e->kind == NODE_WARNING && e->encounter == 0) {
        for (uint32_t i = s->host[node]->first_person; i != SIM_NOBODY;
             i = s->person[i].next_of_node) {
            s->person[i].warnings++;
            snprintf(s->person[i].warning, sizeof s->person[i].warning, "%s", e->reason);
        }
        return;
    }
    uint32_t person = s->host[node]->first_person;
    while (person != SIM_NOBODY && s->person[person].encounter != e->encounter)
        person = s->person[person].next_of_node;
    if (person == SIM_NOBODY) // of an encounter that its person has left for a new one
        return;
    switch (e->kind) {
    case NODE_MATCHED:
        on_matched(s, person, e);
        break;
    case NODE_MESSAGE:
        on_message(s, person, e);
        break;
    case NODE_DELIVERED:
    case NODE_UNDELIVERED:
        on_receipt(s, person, e, e->kind == NODE_DELIVERED);
        break;
    case NODE_ENDED:
        on_ended(s, person, e->reason);
        break;
    case NODE_PATH_WANTED:
    case NODE_PATH:
        on_path(s, person, e);
        break;
    case NODE_WARNING:
        s->person[person].warnings++;
        snprintf(s->person[person].warning, sizeof s->person[person].warning, "%s", e->reason);
        break;
    default:
        break;
    }
}

void sim_people_node_died(struct sim *s, uint32_t node)
{
    for (uint32_t i = s->host[node]->first_person; i != SIM_NOBODY; i = s->person[i].next_of_node) {
        struct sim_person *p = &s->person[i];
        bool was_there = p->state != SIM_ABSENT;
        end_match(s, p, "died");
        if (p->state == SIM_SEEKING) {
            s->waiting--;
            withdraws(s, node);
        }
        p->state = SIM_ABSENT;
        p->cut_off = p->cut_off || was_there;
        if (was_there)
            come_again(s, i);
    }
}

// ---- what the checker says --------------------------------------------------------------------------------

bool sim_person_done(const struct sim *s, uint32_t person)
{
    const struct sim_person *p = &s->person[person];
    const struct sim_match *m = sim_last_match(s, person);
    return m != NULL && m->peer != SIM_NOBODY && p->state != SIM_SEEKING &&
           m->received == s->person[m->peer].config.messages && m->delivered == p->config.messages;
}

bool sim_people_done(const struct sim *s)
{
    for (uint32_t i = 0; i < s->people; i++)
        if (!sim_person_done(s, i))
            return false;
    return true;
}

// The last words of a first step are one way long: who leaves, or dies, in that moment is never told, though
// the other is.
static bool has_withdrawn(const struct sim *s, const struct sim_match *m)
{
    for (uint32_t i = 0; i < s->withdrawals; i++) {
        const struct sim_withdrawal *w = &s->withdrawal[i];
        if (w->node == m->peer_node && w->at_us + SIM_MATCH_US > m->at_us &&
            w->at_us < m->at_us + SIM_MATCH_US)
            return true;
    }
    return false;
}

void sim_check_people(struct sim *s)
{
    for (uint32_t i = 0; i < s->people; i++) {
        const struct sim_person *p = &s->person[i];
        for (uint32_t k = 0; k < p->matches; k++) {
            const struct sim_match *m = &p->match[k];
            if (m->peer == SIM_NOBODY) {
                bool now = s->now - m->at_us < SIM_MATCH_US; // the other's word is on its way
                if (strcmp(m->reason, "died") != 0 && !has_withdrawn(s, m) && !now)
                    sim_fail(s,
                             "person %u, matched at %llu us and ended with \"%s\", is matched with "
                             "node %u, where nobody has its words",
                             i, (unsigned long long)m->at_us, m->reason, m->peer_node);
                continue;
            }
            const struct sim_match *o = &s->person[m->peer].match[m->peer_match];
            if (o->peer != i || o->peer_match != k || strcmp(o->words, m->words) != 0)
                sim_fail(s, "persons %u and %u do not agree on their match", i, m->peer);
            if (m->received > o->said || m->delivered > o->received)
                sim_fail(s, "person %u has more than %u said", i, m->peer);
        }
    }
}

// Pairs that could be told of by now: both sought long enough ago, at nodes that stayed.
static void pair_figures(const struct sim *s, uint32_t person, struct sim_figures *f)
{
    const struct sim_person *p = &s->person[person];
    if (p->config.partner == 0)
        return;
    const struct sim_person *o = &s->person[p->config.partner - 1];
    usec_t asked_us = p->asked_us > o->asked_us ? p->asked_us : o->asked_us;
    if (p->seeks == 0 || o->seeks == 0 || p->cut_off || o->cut_off ||
        asked_us + SIM_PAIR_WAIT_US > s->now)
        return;
    bool can = s->head->relays || sim_can_meet(s, p->config.node, o->config.node);
    f->pairs++;
    f->pairs_possible += can;
    f->pairs_matched += can && p->matches > 0 && o->matches > 0;
}

void sim_people_figures(const struct sim *s, struct sim_figures *f)
{
    f->seeks = s->seeks;
    f->matched = s->matches;
    f->match_us_p50 = sim_hist_at(&s->match_us, 500);
    f->match_us_p95 = sim_hist_at(&s->match_us, 950);
    for (uint32_t i = 0; i < s->people; i++) {
        const struct sim_person *p = &s->person[i];
        for (uint32_t k = 0; k < p->matches; k++) {
            const struct sim_match *m = &p->match[k];
            f->said += m->said;
            f->delivered += m->delivered;
            f->undelivered += m->undelivered;
            f->received += m->received;
        }
        pair_figures(s, i, f);
    }
}
