#include "node/talk/talk.h"

#include "crypto/bytes.h"
#include "node/talk/message.h"

#include <assert.h>
#include <sodium.h>
#include <utf8proc.h>

// An own message from talk_say until its receipt. The frame goes as soon as the stream has it.
struct outgoing {
    struct outgoing *next;
    uint8_t *frame; // NULL once taken
    uint32_t frame_bytes;
    uint32_t app_id;
    uint32_t wire_id;
};

struct talk {
    struct arena *arena;

    // Own messages, oldest first: delivered so far < first unsent < newest.
    struct outgoing *first, *last, *unsent;
    uint32_t messages;   // in the list
    size_t unsent_bytes; // of frames not yet taken
    uint32_t wire_last;  // id of the newest own message
    uint32_t wire_sent;  // id of the newest that the stream has wholly
    uint32_t wire_acked; // by the peer

    // What goes out beside texts: the newest state each, so that nothing piles up.
    bool ack_due, typing_now, typing_sent, path_due, leave_due, left_local;
    uint8_t leave_reason;
    enum talk_path path;
    uint8_t at_len, at[TALK_AT_BYTES_MAX];

    // The frame on its way to the stream: a control frame in `control`, or that of `unsent`.
    uint8_t control[TALK_CONTROL_BYTES_MAX];
    size_t out_bytes, out_done; // out_bytes 0: none chosen
    bool out_is_text;

    // The frame that comes in.
    uint8_t head[TALK_FRAME_HEAD_BYTES];
    uint32_t head_have;
    uint8_t *in;
    uint32_t in_bytes, in_have;

    // The event that waits. A text points into `in`, which `drained` gives back at the next call.
    bool waits, drained, left_remote;
    int failed; // the peer broke a rule: nothing more is read
    struct talk_event event;
    uint32_t heard; // newest id of the peer
};

int talk_new(struct talk **out, struct arena *arena)
{
    struct talk *t = arena_take(arena, sizeof *t);
    if (t == NULL)
        return BAUTA_ESPACE;
    t->arena = arena;
    *out = t;
    return 0;
}

static void drop_input(struct talk *t)
{
    arena_give(t->arena, t->in, t->in_bytes);
    t->in = NULL;
    t->in_bytes = t->in_have = t->head_have = 0;
    t->drained = false;
}

static void drop_frame(struct talk *t, struct outgoing *m)
{
    if (m->frame != NULL)
        t->unsent_bytes -= m->frame_bytes;
    arena_give(t->arena, m->frame, m->frame_bytes);
    m->frame = NULL;
}

// Takes the oldest message off the list; returns the application's id.
static uint32_t drop_first(struct talk *t)
{
    struct outgoing *m = t->first;
    uint32_t id = m->app_id;
    t->first = m->next;
    if (t->last == m)
        t->last = NULL;
    if (t->unsent == m) {
        t->unsent = m->next;
        if (t->out_is_text)
            t->out_bytes = t->out_done = 0;
    }
    drop_frame(t, m);
    arena_give(t->arena, m, sizeof *m);
    t->messages--;
    return id;
}

void talk_free(struct talk *t)
{
    if (t == NULL)
        return;
    while (t->first != NULL)
        (void)drop_first(t);
    drop_input(t);
    arena_give(t->arena, t, sizeof *t);
}

int talk_text_check(const uint8_t *text, size_t len)
{
    if (len < 1 || len > TALK_TEXT_BYTES_MAX)
        return BAUTA_EFORMAT;
    struct rd r = rd_init(text, len);
    while (r.left > 0) {
        utf8proc_int32_t c;
        utf8proc_ssize_t n = utf8proc_iterate(r.p, (utf8proc_ssize_t)r.left, &c);
        if (n <= 0)
            return BAUTA_EFORMAT;
        bool control = c < 0x20 || (c >= 0x7f && c < 0xa0);
        if (control && c != '\n' && c != '\t')
            return BAUTA_EFORMAT;
        (void)rd_bytes(&r, (size_t)n);
    }
    return 0;
}

// ---- own messages ---------------------------------------------------------------------------------

int talk_say(struct talk *t, uint32_t id, const uint8_t *text, size_t len)
{
    if (t->left_local || t->left_remote)
        return BAUTA_ESTATE;
    if (id == 0 || talk_text_check(text, len) != 0)
        return BAUTA_EFORMAT;
    uint32_t cap = (uint32_t)(TALK_FRAME_HEAD_BYTES + TALK_TEXT_OVERHEAD_BYTES + len);
    if (t->messages == TALK_QUEUE_MESSAGES_MAX || t->unsent_bytes + cap > TALK_QUEUE_BYTES_MAX ||
        t->wire_last == UINT32_MAX)
        return BAUTA_ELIMIT;

    uint8_t scratch[TALK_FRAME_HEAD_BYTES + TALK_TEXT_OVERHEAD_BYTES + TALK_TEXT_BYTES_MAX];
    struct talk_message wire = {
        .kind = TALK_KIND_TEXT, .id = t->wire_last + 1, .text = text, .len = len};
    size_t bytes = talk_message_encode(scratch, sizeof scratch, &wire);
    assert(bytes > 0 && bytes <= cap);
    struct outgoing *m = arena_take(t->arena, sizeof *m);
    uint8_t *frame = arena_take(t->arena, bytes);
    if (m != NULL && frame != NULL) {
        memcpy(frame, scratch, bytes);
        *m = (struct outgoing){.frame = frame,
                               .frame_bytes = (uint32_t)bytes,
                               .app_id = id,
                               .wire_id = ++t->wire_last};
        if (t->last != NULL)
            t->last->next = m;
        else
            t->first = m;
        t->last = m;
        if (t->unsent == NULL)
            t->unsent = m;
        t->messages++;
        t->unsent_bytes += bytes;
    } else {
        arena_give(t->arena, m, sizeof *m);
        arena_give(t->arena, frame, bytes);
        m = NULL;
    }
    sodium_memzero(scratch, bytes);
    return m != NULL ? 0 : BAUTA_ESPACE;
}

int talk_typing(struct talk *t, bool on)
{
    if (t->left_local || t->left_remote)
        return BAUTA_ESTATE;
    t->typing_now = on;
    return 0;
}

int talk_path(struct talk *t, enum talk_path path, const uint8_t *at, size_t len)
{
    if (t->left_local || t->left_remote)
        return BAUTA_ESTATE;
    assert(len <= sizeof t->at);
    t->path_due = true;
    t->path = path;
    t->at_len = (uint8_t)len;
    if (len > 0)
        memcpy(t->at, at, len);
    return 0;
}

int talk_leave(struct talk *t, uint8_t reason)
{
    if (t->left_local || t->left_remote)
        return BAUTA_ESTATE;
    t->left_local = t->leave_due = true;
    t->leave_reason = reason;
    return 0;
}

// ---- output -----------------------------------------------------------------------------------------

// Chooses the frame that goes next, when none is on its way.
static void choose_frame(struct talk *t)
{
    struct talk_message m = {0};
    t->out_is_text = false;
    if (t->ack_due) {
        t->ack_due = false;
        m.kind = TALK_KIND_DELIVERED;
        m.id = t->heard;
    } else if (t->path_due) {
        t->path_due = false;
        m.kind = TALK_KIND_PATH;
        m.path = t->path;
        m.text = t->at;
        m.len = t->at_len;
    } else if (t->unsent != NULL) {
        t->out_is_text = true;
        t->out_bytes = t->unsent->frame_bytes;
        return;
    } else if (t->typing_now != t->typing_sent && !t->left_local) {
        t->typing_sent = t->typing_now;
        m.kind = TALK_KIND_TYPING;
        m.on = t->typing_now;
    } else if (t->leave_due) {
        t->leave_due = false;
        m.kind = TALK_KIND_LEAVE;
        m.reason = t->leave_reason;
    } else {
        return;
    }
    t->out_bytes = talk_message_encode(t->control, sizeof t->control, &m);
    assert(t->out_bytes > 0);
}

size_t talk_output(struct talk *t, const uint8_t **data)
{
    if (t->out_bytes == 0)
        choose_frame(t);
    if (t->out_bytes == 0)
        return 0;
    *data = (t->out_is_text ? t->unsent->frame : t->control) + t->out_done;
    return t->out_bytes - t->out_done;
}

void talk_taken(struct talk *t, size_t n)
{
    assert(n <= t->out_bytes - t->out_done);
    t->out_done += n;
    if (t->out_bytes == 0 || t->out_done < t->out_bytes)
        return;
    t->out_bytes = t->out_done = 0;
    if (!t->out_is_text)
        return;
    t->out_is_text = false;
    t->wire_sent = t->unsent->wire_id;
    drop_frame(t, t->unsent);
    t->unsent = t->unsent->next;
}

// ---- input ------------------------------------------------------------------------------------------

// Turns a whole map into an event or into nothing. 0 or BAUTA_EFORMAT.
static int take_message(struct talk *t)
{
    struct talk_message m;
    if (talk_message_decode(&m, t->in, t->in_bytes) != 0)
        return BAUTA_EFORMAT;
    switch (m.kind) {
    case TALK_KIND_TEXT:
        if (m.id <= t->heard) { // again: the person has it, the sender seems not to know
            t->ack_due = true;
            break;
        }
        t->event = (struct talk_event){.kind = TALK_TEXT, .id = m.id, .text = m.text, .len = m.len};
        t->waits = true;
        return 0; // the text stays where it is
    case TALK_KIND_DELIVERED:
        if (m.id > t->wire_sent)
            return BAUTA_EFORMAT;
        if (m.id > t->wire_acked)
            t->wire_acked = m.id;
        break;
    case TALK_KIND_TYPING:
        t->event = (struct talk_event){.kind = TALK_TYPING, .on = m.on};
        t->waits = true;
        break;
    case TALK_KIND_PATH:
        t->event =
            (struct talk_event){.kind = TALK_PATH, .path = m.path, .text = m.text, .len = m.len};
        t->waits = true;
        return 0; // the addresses stay where they are
    case TALK_KIND_LEAVE:
        t->event = (struct talk_event){.kind = TALK_LEFT, .reason = m.reason};
        t->waits = t->left_remote = true;
        break;
    default:
        break;
    }
    drop_input(t);
    return 0;
}

static bool event_waits(const struct talk *t)
{
    return t->waits || (t->first != NULL && t->first->wire_id <= t->wire_acked);
}

// Moves bytes into the frame; a whole one becomes a message.
static int take_bytes(struct talk *t, struct rd *r)
{
    while (t->head_have < TALK_FRAME_HEAD_BYTES && r->left > 0)
        t->head[t->head_have++] = rd_u8(r);
    if (t->head_have < TALK_FRAME_HEAD_BYTES)
        return 0;
    if (t->in == NULL) {
        struct rd head = rd_init(t->head, sizeof t->head);
        uint32_t bytes = rd_le16(&head);
        if (bytes == 0)
            return BAUTA_EFORMAT;
        if (bytes > TALK_MAP_BYTES_MAX)
            return BAUTA_ELIMIT;
        t->in = arena_take(t->arena, bytes);
        if (t->in == NULL)
            return BAUTA_ESPACE;
        t->in_bytes = bytes;
    }
    size_t n = t->in_bytes - t->in_have;
    if (n > r->left)
        n = r->left;
    rd_copy(r, t->in + t->in_have, n);
    t->in_have += (uint32_t)n;
    return t->in_have == t->in_bytes ? take_message(t) : 0;
}

int talk_input(struct talk *t, const uint8_t *data, size_t len)
{
    if (t->failed != 0)
        return t->failed;
    if (len > TALK_INPUT_BYTES_MAX)
        len = TALK_INPUT_BYTES_MAX;
    if (t->drained)
        drop_input(t);
    struct rd r = rd_init(data, len);
    while (r.left > 0 && !event_waits(t)) {
        if (t->left_remote)
            return (int)len;
        t->failed = take_bytes(t, &r);
        if (t->failed != 0) {
            drop_input(t);
            return t->failed;
        }
    }
    return (int)(len - r.left);
}

bool talk_event(struct talk *t, struct talk_event *e)
{
    if (t->drained)
        drop_input(t);
    if (t->first != NULL && t->first->wire_id <= t->wire_acked) {
        *e = (struct talk_event){.kind = TALK_DELIVERED, .id = drop_first(t)};
        return true;
    }
    if (!t->waits)
        return false;
    *e = t->event;
    t->waits = false;
    t->event = (struct talk_event){0};
    if (e->kind == TALK_TEXT) {
        t->heard = e->id;
        t->ack_due = true;
    }
    t->drained = e->kind == TALK_TEXT || e->kind == TALK_PATH;
    return true;
}

uint32_t talk_undelivered(struct talk *t)
{
    return t->first != NULL ? drop_first(t) : 0;
}
