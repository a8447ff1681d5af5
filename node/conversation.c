#include "node/conversation.h"

#include "crypto/bytes.h"

#include <assert.h>
#include <sodium.h>

#define TEXT_STREAM 0u
#define CLOSE_OK 0u
#define CLOSE_RULES 1u // the other side broke talk's rules
#define LEAVE_REASON 0u

int conversation_new(struct conversation **out, usec_t now, const struct channel_config *cfg,
                     struct arena *arena)
{
    struct conversation *c = arena_take(arena, sizeof *c);
    if (c == NULL)
        return BAUTA_ESPACE;
    c->timer.deadline = USEC_NEVER;
    reunion_init(&c->reunion);
    reroute_init(&c->reroute);
    int rc = talk_new(&c->talk, arena);
    if (rc == BAUTA_OK)
        rc = channel_new(&c->channel, now, cfg, arena);
    if (rc != BAUTA_OK) {
        conversation_free(c, arena);
        return rc;
    }
    *out = c;
    return BAUTA_OK;
}

void conversation_free(struct conversation *c, struct arena *arena)
{
    if (c->channel != NULL)
        channel_free(c->channel);
    if (c->talk != NULL)
        talk_free(c->talk);
    sodium_memzero(&c->consent, sizeof c->consent);
    arena_give(arena, c, sizeof *c);
}

void conversation_flush(struct conversation *c, usec_t now)
{
    const uint8_t *data;
    size_t len;
    while (c->matched && !c->closed && (len = talk_output(c->talk, &data)) > 0) {
        int taken = channel_stream_send(c->channel, now, TEXT_STREAM, data, len);
        if (taken <= 0)
            return;
        talk_taken(c->talk, (size_t)taken);
    }
}

void conversation_leave(struct conversation *c, usec_t now)
{
    if (c->ending)
        return;
    c->ending = true;
    if (c->matched && !c->closed)
        (void)talk_leave(c->talk, LEAVE_REASON);
    conversation_flush(c, now);
    if (!c->closed)
        channel_close(c->channel, now, CLOSE_OK);
}

static const char *reason_word(enum channel_reason r)
{
    switch (r) {
    case CHANNEL_ENDED_LOCAL:
    case CHANNEL_ENDED_PEER:
        return "left";
    case CHANNEL_ENDED_NO_PATH:
    case CHANNEL_ENDED_GONE:
        return "gone";
    case CHANNEL_ENDED_PROTOCOL:
    case CHANNEL_ENDED_MIDDLE:
        break;
    }
    return "error";
}

// Talk's next event as the node's. False: nothing that the person needs to hear of.
static bool from_talk(struct conversation *c, const struct talk_event *t, struct node_event *ev)
{
    ev->encounter = c->encounter;
    ev->id = t->id;
    switch (t->kind) {
    case TALK_DELIVERED:
        ev->kind = NODE_DELIVERED;
        return true;
    case TALK_TEXT:
        ev->kind = NODE_MESSAGE;
        ev->text = (const char *)t->text;
        ev->len = t->len;
        return !c->ending;
    case TALK_TYPING:
        ev->kind = NODE_TYPING;
        ev->on = t->on;
        return !c->ending;
    case TALK_PATH:
        c->path_heard = true;
        c->path_theirs = t->path;
        c->path_at_len = (uint8_t)t->len;
        memcpy(c->path_at, t->text, t->len);
        return false;
    case TALK_LEFT:
        c->peer_left = true;
        return false;
    }
    return false;
}

// Feeds talk from the stream. False when there is nothing more to read.
static bool feed(struct conversation *c, usec_t now)
{
    if (c->read_at == c->read_len) {
        c->read_at = 0;
        c->read_len = 0;
        if (c->channel != NULL)
            c->read_len = (uint16_t)channel_stream_receive(c->channel, now, TEXT_STREAM, c->read,
                                                           sizeof c->read);
        if (c->read_len == 0)
            return false;
    }
    int taken = talk_input(c->talk, c->read + c->read_at, (size_t)(c->read_len - c->read_at));
    if (taken < 0) {
        c->read_at = c->read_len;
        c->reason = CHANNEL_ENDED_PROTOCOL;
        c->peer_left = true;
        if (!c->closed)
            channel_close(c->channel, now, CLOSE_RULES);
        return false;
    }
    c->read_at = (uint16_t)(c->read_at + taken);
    return taken > 0;
}

bool conversation_event(struct conversation *c, usec_t now, struct node_event *ev, bool *over)
{
    struct talk_event t;
    *over = false;
    if (!c->matched && !c->closed)
        return false;
    do {
        while (!c->path_heard && talk_event(c->talk, &t))
            if (from_talk(c, &t, ev))
                return true;
    } while (!c->path_heard && feed(c, now));
    if (c->path_heard) // the caller carries it on first
        return false;
    conversation_flush(c, now);
    if (!c->closed && !c->peer_left)
        return false;

    // Taking an id off the list is telling it: not while a goodbye may still bring its receipt.
    uint32_t id = c->closed || !c->ending ? talk_undelivered(c->talk) : 0;
    if (id != 0) {
        *ev = (struct node_event){.kind = NODE_UNDELIVERED,
                                  .encounter = c->encounter,
                                  .id = id,
                                  .reason = c->peer_left ? "left" : reason_word(c->reason)};
        return true;
    }
    bool tell = c->matched && !c->ending;
    if (tell) {
        bool rules = c->peer_left && c->reason == CHANNEL_ENDED_PROTOCOL;
        *ev = (struct node_event){.kind = NODE_ENDED,
                                  .encounter = c->encounter,
                                  .reason = rules          ? "error"
                                            : c->peer_left ? "left"
                                                           : reason_word(c->reason)};
        conversation_leave(c, now);
    }
    *over = c->closed;
    return tell;
}
