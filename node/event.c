// Events for the person, made on demand from what is due: there is no queue that could overflow.
#include "node/node_internal.h"

static const char *stage_word(enum meet_stage s)
{
    switch (s) {
    case MEET_HASHING:
        return "hashing";
    case MEET_JOINING:
        return "joining";
    case MEET_SEARCHING:
        return "searching";
    case MEET_CONNECTING:
        break;
    }
    return "connecting";
}

static void fill_matched(struct node_event *ev, const struct encounter *e,
                         const struct conversation *c)
{
    ev->kind = NODE_MATCHED;
    ev->encounter = e->id;
    ev->text = c->topic < e->topics ? e->topic_text[c->topic] : "";
    ev->len = c->topic < e->topics ? e->topic_len[c->topic] : 0;
    ev->path = c->far || c->relayed ? "relayed" : "direct";
    memcpy(ev->alias, e->alias, sizeof ev->alias);
    for (size_t i = 0; i < SAS_WORDS; i++)
        ev->words[i] = sas_word(c->words[i]);
}

// What an encounter has to say for itself, before its conversation speaks.
static bool encounter_event(struct node *n, struct encounter *e, struct node_event *ev)
{
    if (e->tell_seeking) {
        e->tell_seeking = false;
        ev->kind = NODE_SEEKING;
    } else if (e->tell_progress) {
        e->tell_progress = false;
        ev->kind = NODE_PROGRESS;
        ev->stage = e->stage;
        ev->text = stage_word(e->stage);
        ev->len = strlen(ev->text);
    } else if (e->tell_ended != NULL) {
        ev->kind = NODE_ENDED;
        ev->reason = e->tell_ended;
        ev->encounter = e->id;
        node_free_encounter(n, e);
        return true;
    } else if (e->talk != NULL && e->talk->tell_matched) {
        e->talk->tell_matched = false;
        fill_matched(ev, e, e->talk);
    } else {
        return false;
    }
    ev->encounter = e->id;
    return true;
}

// What the other end asks for, and how the conversation runs now.
static bool path_event(struct conversation *c, struct node_event *ev)
{
    struct reroute *r = &c->reroute;
    if (c->ending || (!r->tell_wanted && !r->tell_now))
        return false;
    bool relayed = r->tell_wanted ? r->theirs == TALK_PATH_RELAYED : c->far || c->relayed;
    ev->kind = r->tell_wanted ? NODE_PATH_WANTED : NODE_PATH;
    ev->encounter = c->encounter;
    ev->path = relayed ? "relayed" : "direct";
    if (r->tell_wanted)
        r->tell_wanted = false;
    else
        r->tell_now = false;
    return true;
}

static bool talk_event_of(struct node *n, usec_t now, struct conversation *c, struct node_event *ev)
{
    if (!c->news || (c->tell_matched && !c->ending))
        return false; // `matched` is told first
    if (path_event(c, ev))
        return true;
    bool over, got;
    while (!(got = conversation_event(c, now, ev, &over)) && c->path_heard) {
        c->path_heard = false;
        reroute_heard(n, now, c, c->path_theirs, c->path_at, c->path_at_len);
    }
    c->news = got || c->reroute.tell_wanted || c->reroute.tell_now;
    if (!got && !over && path_event(c, ev))
        return true;
    if (c->ending)
        reunion_end(n, now, c);
    struct encounter *e = node_find_encounter(n, c->encounter);
    if (got && ev->kind == NODE_ENDED && e != NULL && e->talk == c) {
        e->state = ENCOUNTER_ENDED;
        e->talk = NULL;
    }
    if (over)
        node_free_conversation(n, now, c);
    else if (!c->closed)
        node_touch(n, c); // credit given back, receipts queued
    return got;
}

bool node_event(struct node *n, usec_t now, struct node_event *ev)
{
    memset(ev, 0, sizeof *ev);
    ev->at_ms = (n->clock_unix_us + (int64_t)(now - n->clock_us)) / 1000;
    if (n->warnings > 0) {
        ev->kind = NODE_WARNING;
        ev->reason = n->busy->warning[0].code;
        ev->text = n->busy->warning[0].text;
        ev->len = strlen(ev->text);
        n->warnings--;
        memmove(n->busy->warning, n->busy->warning + 1, n->warnings * sizeof n->busy->warning[0]);
        return true;
    }
    for (size_t i = 0; n->encounters > 0 && i < MEET_ENCOUNTERS_MAX; i++)
        if (n->busy->encounter[i] != NULL && encounter_event(n, n->busy->encounter[i], ev))
            return true;
    int64_t at_ms = ev->at_ms;
    for (size_t i = 0; n->conversations > 0 && i < NODE_CONVERSATIONS_MAX; i++) {
        struct conversation *c = n->busy->conversation[i];
        if (c != NULL && talk_event_of(n, now, c, ev)) {
            ev->at_ms = at_ms;
            return true;
        }
    }
    node_pump(n, now);
    node_rest(n);
    return false;
}

const char *node_encounter_topic(const struct node *n, uint32_t encounter, size_t i, size_t *len)
{
    const struct encounter *e = node_find_encounter(n, encounter);
    if (e == NULL || i >= e->topics)
        return NULL;
    *len = e->topic_len[i];
    return e->topic_text[i];
}
