// The commands: what a person, the page or a script asks of the node.
#include "node/node_internal.h"

#include <sodium.h>

struct encounter *node_find_encounter(const struct node *n, uint32_t id)
{
    for (size_t i = 0; n->encounters > 0 && i < MEET_ENCOUNTERS_MAX; i++)
        if (n->busy->encounter[i] != NULL && n->busy->encounter[i]->id == id && id != 0)
            return n->busy->encounter[i];
    return NULL;
}

void node_free_encounter(struct node *n, struct encounter *e)
{
    for (size_t i = 0; i < e->topics; i++)
        arena_give(n->cfg.arena, e->topic_text[i], e->topic_len[i] + 1u);
    for (size_t i = 0; i < MEET_ENCOUNTERS_MAX; i++)
        if (n->busy->encounter[i] == e)
            n->busy->encounter[i] = NULL;
    n->encounters--;
    arena_give(n->cfg.arena, e, sizeof *e);
}

// Normalises one topic, and keeps what the person typed of it.
static int take_topic(struct node *n, const struct node_topic *in, struct meet_topic *out,
                      struct encounter *e)
{
    const uint8_t *text = (const uint8_t *)in->text;
    size_t topic_len = in->len, pass_at = 0, pass_len = 0, len;
    const uint8_t *pass = (const uint8_t *)in->pass;
    if (pass == NULL) {
        topic_split(text, in->len, &topic_len, &pass_at, &pass_len);
        pass = text + pass_at;
    } else {
        pass_len = in->pass_len;
    }
    if (topic_normalise(text, topic_len, out->topic, &len) != BAUTA_OK)
        return NODE_ETOPIC;
    out->topic_len = (uint8_t)len;
    if (topic_pass_normalise(pass, pass_len, out->pass, &len) != BAUTA_OK)
        return NODE_ETOPIC;
    out->pass_len = (uint16_t)len;
    char *kept =
        topic_len <= NODE_TOPIC_TEXT_BYTES_MAX ? arena_take(n->cfg.arena, topic_len + 1) : NULL;
    if (kept == NULL)
        return topic_len <= NODE_TOPIC_TEXT_BYTES_MAX ? BAUTA_ESPACE : NODE_ETOPIC;
    memcpy(kept, text, topic_len);
    e->topic_text[e->topics] = kept;
    e->topic_len[e->topics++] = (uint16_t)topic_len;
    return BAUTA_OK;
}

static bool same_topic(const struct meet_topic *a, const struct meet_topic *b)
{
    return a->topic_len == b->topic_len && a->pass_len == b->pass_len &&
           memcmp(a->topic, b->topic, a->topic_len) == 0 &&
           memcmp(a->pass, b->pass, a->pass_len) == 0;
}

static int take_topics(struct node *n, const struct node_topic *topic, size_t topics,
                       struct meet_wish *wish, struct encounter *e)
{
    for (size_t i = 0; i < topics; i++) {
        struct meet_topic *t = &wish->topic[wish->topics];
        int rc = take_topic(n, &topic[i], t, e);
        if (rc != BAUTA_OK)
            return rc;
        bool twice = false; // two spellings of one topic are one topic
        for (size_t j = 0; j < wish->topics; j++)
            twice = twice || same_topic(&wish->topic[j], t);
        if (twice) {
            e->topics--;
            arena_give(n->cfg.arena, e->topic_text[e->topics], e->topic_len[e->topics] + 1u);
            memset(t, 0, sizeof *t);
        } else {
            wish->topics++;
        }
    }
    return BAUTA_OK;
}

int node_seek(struct node *n, usec_t now, const struct node_topic *topic, size_t topics,
              const struct card *card, const struct wishes *wishes, uint32_t *encounter)
{
    if (n->cfg.privacy == NODE_PRIVACY_UNCHOSEN)
        return NODE_EPRIVACY;
    if (topics == 0)
        return NODE_ETOPIC;
    for (size_t i = 0; i < MEET_ENCOUNTERS_MAX && n->encounters == MEET_ENCOUNTERS_MAX; i++)
        if (n->busy->encounter[i]->tell_ended != NULL) // it only waits for somebody to tell it to
            node_free_encounter(n, n->busy->encounter[i]);
    if (topics > MEET_TOPICS_MAX || n->encounters == MEET_ENCOUNTERS_MAX || n->stopping)
        return BAUTA_ELIMIT;
    if (!node_busy(n))
        return BAUTA_ESPACE;
    size_t at = 0;
    while (n->busy->encounter[at] != NULL)
        at++;
    struct encounter *e = arena_take(n->cfg.arena, sizeof *e);
    struct meet_wish *wish = arena_take(n->cfg.arena, sizeof *wish);
    int rc = e == NULL || wish == NULL ? BAUTA_ESPACE : BAUTA_OK;
    if (rc == BAUTA_OK) {
        n->busy->encounter[at] = e;
        n->encounters++;
        e->id = n->last_encounter + 1;
        e->cover = n->cfg.cover;
        wish->card = *card;
        wish->wishes = *wishes;
        rc = take_topics(n, topic, topics, wish, e);
        if (rc == BAUTA_OK)
            rc = meet_seek(n->meet, now, e->id, wish);
        if (rc == BAUTA_OK) {
            e->state = ENCOUNTER_SEEKING;
            e->tell_seeking = true;
            *encounter = ++n->last_encounter;
        } else {
            node_free_encounter(n, e);
        }
    } else {
        arena_give(n->cfg.arena, e, sizeof *e);
    }
    arena_give(n->cfg.arena, wish, sizeof *wish);
    uplink_step(n, now);
    node_pump(n, now);
    return rc;
}

// The conversation that words may go to now.
static int talking(const struct node *n, uint32_t encounter, struct conversation **c)
{
    struct encounter *e = node_find_encounter(n, encounter);
    *c = e != NULL ? e->talk : NULL;
    if (*c != NULL && e->state == ENCOUNTER_TALKING && !(*c)->closed && !(*c)->peer_left)
        return BAUTA_OK;
    return encounter == 0 || encounter > n->last_encounter ? BAUTA_EUNKNOWN : NODE_ENOTREADY;
}

int node_say(struct node *n, usec_t now, uint32_t encounter, const uint8_t *text, size_t len,
             uint32_t *id)
{
    struct conversation *c;
    int rc = talking(n, encounter, &c);
    if (rc != BAUTA_OK)
        return rc;
    if (len > TALK_TEXT_BYTES_MAX)
        return BAUTA_ELIMIT;
    struct encounter *e = node_find_encounter(n, encounter);
    rc = talk_say(c->talk, e->last_message + 1, text, len);
    if (rc != BAUTA_OK)
        return rc;
    *id = ++e->last_message;
    conversation_flush(c, now);
    node_touch(n, c);
    node_pump(n, now);
    return BAUTA_OK;
}

int node_typing(struct node *n, usec_t now, uint32_t encounter, bool on)
{
    struct conversation *c;
    int rc = talking(n, encounter, &c);
    if (rc != BAUTA_OK)
        return rc;
    rc = talk_typing(c->talk, on);
    conversation_flush(c, now);
    node_touch(n, c);
    node_pump(n, now);
    return rc;
}

int node_path(struct node *n, usec_t now, uint32_t encounter, bool direct)
{
    struct conversation *c;
    int rc = talking(n, encounter, &c);
    if (rc == BAUTA_OK)
        rc = reroute_ask(n, now, c, direct ? TALK_PATH_DIRECT : TALK_PATH_RELAYED);
    node_pump(n, now);
    return rc;
}

int node_cover(struct node *n, usec_t now, uint32_t encounter, enum channel_cover level)
{
    struct encounter *e = node_find_encounter(n, encounter);
    if (e == NULL || e->tell_ended != NULL)
        return encounter == 0 || encounter > n->last_encounter ? BAUTA_EUNKNOWN : NODE_ENOTREADY;
    e->cover = level;
    if (e->talk != NULL && !e->talk->closed) {
        channel_cover(e->talk->channel, now, level);
        node_touch(n, e->talk);
        node_pump(n, now);
    }
    return BAUTA_OK;
}

// Says goodbye to the current conversation, if there is one, and lets it linger.
static void part(struct node *n, usec_t now, struct encounter *e)
{
    struct conversation *c = e->talk;
    e->talk = NULL;
    if (c == NULL)
        return;
    conversation_leave(c, now);
    reunion_end(n, now, c);
    if (!c->closed)
        node_touch(n, c);
}

int node_next(struct node *n, usec_t now, uint32_t encounter)
{
    struct encounter *e = node_find_encounter(n, encounter);
    if (e == NULL)
        return encounter == 0 || encounter > n->last_encounter ? BAUTA_EUNKNOWN : NODE_ENOTREADY;
    if (e->tell_ended != NULL)
        return NODE_ENOTREADY;
    if (e->state == ENCOUNTER_SEEKING)
        return BAUTA_OK;
    if (n->cfg.privacy == NODE_PRIVACY_UNCHOSEN)
        return NODE_EPRIVACY;
    part(n, now, e);
    int rc = meet_next(n->meet, now, encounter);
    if (rc == BAUTA_OK) {
        e->state = ENCOUNTER_SEEKING;
        e->tell_seeking = true;
    }
    node_pump(n, now);
    return rc;
}

// `end` and `block` of what has already gone, and of what is going, change nothing.
static int finish(struct node *n, usec_t now, uint32_t encounter, const char *reason)
{
    struct encounter *e = node_find_encounter(n, encounter);
    if (e == NULL)
        return encounter == 0 || encounter > n->last_encounter ? BAUTA_EUNKNOWN : BAUTA_OK;
    if (e->tell_ended != NULL)
        return BAUTA_OK;
    struct path peer = {0};
    bool block = strcmp(reason, "block") == 0, known = e->talk != NULL && e->talk->matched;
    if (known)
        peer = e->talk->path;
    part(n, now, e);
    int rc = block ? meet_block(n->meet, now, encounter, known ? &peer : NULL)
                   : meet_end(n->meet, now, encounter);
    e->state = ENCOUNTER_ENDED;
    e->tell_seeking = e->tell_progress = false;
    e->tell_ended = reason;
    node_pump(n, now);
    return rc;
}

int node_end(struct node *n, usec_t now, uint32_t encounter)
{
    return finish(n, now, encounter, "end");
}

int node_block(struct node *n, usec_t now, uint32_t encounter)
{
    return finish(n, now, encounter, "block");
}

int node_words(const struct node *n, uint32_t encounter, const char *words[static SAS_WORDS])
{
    struct conversation *c;
    int rc = talking(n, encounter, &c);
    for (size_t i = 0; rc == BAUTA_OK && i < SAS_WORDS; i++)
        words[i] = sas_word(c->words[i]);
    return rc;
}

void node_set_privacy(struct node *n, usec_t now, enum node_privacy privacy)
{
    bool other = privacy != n->cfg.privacy;
    n->cfg.privacy = privacy;
    hairpin_restart(&n->hairpin, now);
    if (privacy != NODE_DIRECT)
        node_punch_stop(n, now);
    node_punch_privacy(n);
    for (size_t i = 0; n->encounters > 0 && i < MEET_ENCOUNTERS_MAX && other; i++) {
        struct encounter *e = n->busy->encounter[i];
        if (e != NULL && e->state == ENCOUNTER_SEEKING)
            (void)finish(n, now, e->id, "privacy");
    }
    uplink_step(n, now);
    node_pump(n, now);
}

void node_stop(struct node *n, usec_t now)
{
    n->stopping = true;
    for (size_t i = 0; n->encounters > 0 && i < MEET_ENCOUNTERS_MAX; i++)
        if (n->busy->encounter[i] != NULL)
            (void)node_end(n, now, n->busy->encounter[i]->id);
}

bool node_idle(const struct node *n)
{
    return n->conversations == 0 && n->cfg.out->count == n->cfg.out->taken;
}
