#include "node/ui/terminal/plain.h"

#include "node/host/client.h"
#include "node/host/control.h"
#include "node/host/process.h"
#include "node/host/serve.h"
#include "node/host/signals.h"
#include "node/ui/terminal/arguments.h"
#include "node/ui/terminal/input.h"
#include "node/ui/terminal/link.h"
#include "node/ui/terminal/text.h"
#include "node/ui/terminal/topics.h"

#include <errno.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PENDING_MAX 64u        // own messages on their way before a script has to wait
#define GOODBYE_MS 1000u       // for the node to say that we leave
#define LAST_WORDS_MS 3000u    // for what was said just before /quit to arrive
#define SCRIPT_WORDS_MS 10000u // for a script: a stranger who is gone is known to be by then
#define ALIAS_BYTES 128u

enum phase {
    PHASE_START,
    PHASE_ASK_PRIVACY,
    PHASE_ASK_TOPIC, // no encounter: what is typed is a topic
    PHASE_SEEKING,
    PHASE_TALKING,
    PHASE_OVER, // the other one is gone, the encounter waits for /next
    PHASE_LEAVING
};
enum call {
    CALL_STATUS = 1,
    CALL_SUBSCRIBE,
    CALL_PRIVACY,
    CALL_SEEK,
    CALL_SAY,
    CALL_NEXT,
    CALL_END,
    CALL_BLOCK,
    CALL_VERIFY,
    CALL_PATH,
    CALL_LAST_END,
    CALL_DROP
};

struct plain {
    uv_loop_t loop;
    struct signals signals;
    uv_timer_t timer; // bounds the goodbye
    const struct config *cfg;
    struct host *host; // with serve: a node of our own
    struct serve *serve;
    struct link *link;
    struct input *input;
    enum phase phase;
    bool busy;     // an answer is due that decides what the next line means
    bool waiting;  // for words to arrive, until the timer says that they will not
    bool quitting; // /quit was typed: leave when the last words have arrived
    bool finished;
    json_int_t encounter; // 0: none
    unsigned pending;
    json_t *topics; // to be sought once privacy is settled
    char alias[ALIAS_BYTES];
    bool hides, hides_next; // the own address from strangers; after the privacy call that is out
    int status;
};

static void pump(struct plain *p);
static void leave(struct plain *p, int status);
static void on_last_words(uv_timer_t *timer);

// ---- lines out --------------------------------------------------------------------------------------

static void say(struct plain *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(struct plain *p, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    if (fflush(stdout) == 0)
        return;
    if (p->phase != PHASE_LEAVING) // nobody reads any more
        leave(p, process_fail(EXIT_FAILED, "can't write: %s", strerror(errno)));
}

static void say_message(struct plain *p, json_t *text)
{
    const char *at = json_string_value(text), *end = at + json_string_length(text);
    while (at <= end && p->phase != PHASE_LEAVING) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline != NULL ? newline : end;
        char *line = text_shown(at, (size_t)(stop - at));
        say(p, "%s: %s", p->alias, line != NULL ? line : "");
        text_free(line);
        at = stop + 1;
    }
}

static void ask_topic(struct plain *p)
{
    p->phase = PHASE_ASK_TOPIC;
    say(p, "What do you want to talk about?");
}

static void ask_privacy(struct plain *p)
{
    p->phase = PHASE_ASK_PRIVACY;
    say(p, "Should the stranger be able to see your internet address?");
    say(p, "Type hide for: no, hide it. What you say takes a way around, through volunteers' "
           "relays.");
    say(p, "Type direct for: yes, connect directly. The stranger could learn your rough location "
           "from it.");
    say(p, "You can change this at any time with /privacy.");
}

static void help(struct plain *p)
{
    say(p, "What you type is said. Lines that begin with / are commands; // says a line that "
           "begins with /.");
    say(p, "/next: leave, and find someone else.");
    say(p, "/end: leave this conversation, or stop looking.");
    say(p, "/block: leave, and never meet them again while the node runs.");
    say(p, "/verify: six words to compare, to be sure that nobody sits in between.");
    say(p,
        "/path direct, or /path hide: ask that this conversation goes so from now on; it does once "
        "the other asks for it, too.");
    say(p, "/seek TOPIC, TOPIC: leave, and talk about something else.");
    say(p, "/privacy direct, or /privacy hide: may strangers see your internet address?");
    say(p, "/quit: leave and stop.");
}

// ---- calls ------------------------------------------------------------------------------------------

static bool ask(struct plain *p, enum call kind, const char *method, json_t *params)
{
    if (p->link != NULL && link_call(p->link, (int)kind, method, params))
        return true;
    say(p, "The node can't be reached.");
    return false;
}

static json_t *encounter_params(const struct plain *p)
{
    return json_pack("{s:I}", "encounter", p->encounter);
}

static void ask_blocking(struct plain *p, enum call kind, const char *method, json_t *params)
{
    p->busy = ask(p, kind, method, params) || p->busy;
}

static void give_words_up(struct plain *p)
{
    if (p->pending > 0)
        say(p, "Not delivered: %u of your lines.", p->pending);
    p->pending = 0;
}

// Takes `topics`. What is sought now ends first.
static void seek(struct plain *p, json_t *topics)
{
    if (p->encounter != 0)
        (void)ask(p, CALL_DROP, "end", encounter_params(p));
    give_words_up(p); // receipts of an encounter that is not ours any more are not heard
    p->encounter = 0;
    json_decref(p->topics);
    p->topics = topics;
    ask_blocking(p, CALL_SEEK, "seek", json_pack("{s:O}", "topics", topics));
}

// NULL, with a line said, when there is none.
static json_t *topics_of(struct plain *p, const char *text, size_t len)
{
    const char *why = NULL;
    json_t *list = topics_listed(text, len, &why);
    if (list == NULL)
        say(p, "%s", why);
    return list;
}

// What the person says for direct or relayed; NULL: neither.
static const char *path_word(const char *text, size_t len)
{
    char word[16] = {0}; // in small letters, without blanks around it
    for (; len > 0 && (text[0] == ' ' || text[0] == '\t'); len--)
        text++;
    while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t'))
        len--;
    for (size_t i = 0; i < len && len < sizeof word; i++)
        word[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] - 'A' + 'a' : text[i]);
    if (strcmp(word, "direct") == 0 || strcmp(word, "yes") == 0)
        return "direct";
    bool hide =
        strcmp(word, "hide") == 0 || strcmp(word, "relayed") == 0 || strcmp(word, "no") == 0;
    return hide ? "relayed" : NULL;
}

static void set_privacy(struct plain *p, const char *text, size_t len)
{
    const char *mode = path_word(text, len);
    if (mode == NULL) {
        say(p, "Type hide or direct.");
        return;
    }
    p->hides_next = strcmp(mode, "relayed") == 0;
    ask_blocking(p, CALL_PRIVACY, "privacy", json_pack("{s:s}", "mode", mode));
}

static void set_path(struct plain *p, const char *text, size_t len)
{
    const char *path = path_word(text, len);
    if (path == NULL)
        say(p, "Type /path direct or /path hide.");
    else if (p->encounter != 0)
        ask_blocking(p, CALL_PATH, "path",
                     json_pack("{s:I,s:s}", "encounter", p->encounter, "path", path));
}

// ---- lines in ---------------------------------------------------------------------------------------

// A stranger who never says that something arrived does not keep us from leaving.
static void wait_for_words(struct plain *p)
{
    if (!p->waiting)
        uv_timer_start(&p->timer, on_last_words,
                       input_terminal(p->input) ? LAST_WORDS_MS : SCRIPT_WORDS_MS, 0);
    p->waiting = true;
}

// A script's messages arrive before the conversation that they belong to is left.
static bool must_wait(struct plain *p)
{
    bool must = p->pending > 0 && !input_terminal(p->input);
    if (must)
        wait_for_words(p);
    return must;
}

static void say_text(struct plain *p, const char *text, size_t len)
{
    if (!text_utf8(text, len)) {
        say(p, "Not sent: that is not UTF-8 text.");
        return;
    }
    if (ask(p, CALL_SAY, "say",
            json_pack("{s:I, s:o}", "encounter", p->encounter, "text", json_stringn(text, len))))
        p->pending++;
}

static void quit(struct plain *p)
{
    if (p->pending == 0) {
        leave(p, EXIT_OK);
        return;
    }
    p->quitting = true;
    p->busy = true;
    wait_for_words(p);
}

// False: not now, ask again when something has happened.
static bool command(struct plain *p, const char *line, size_t len)
{
    bool talks = p->encounter != 0;
    const char *rest = memchr(line, ' ', len);
    size_t rest_len = rest != NULL ? len - (size_t)(rest - line) - 1 : 0;
    rest = rest != NULL ? rest + 1 : line + len;
    if (input_is(line, len, "/help")) {
        help(p);
    } else if (input_is(line, len, "/quit")) {
        if (must_wait(p))
            return false;
        quit(p);
    } else if (input_is(line, len, "/privacy")) {
        set_privacy(p, rest, rest_len);
    } else if (input_is(line, len, "/seek")) {
        if (must_wait(p))
            return false;
        json_t *topics = topics_of(p, rest, rest_len);
        if (topics != NULL)
            seek(p, topics);
    } else if (input_is(line, len, "/next") && talks) {
        if (must_wait(p))
            return false;
        if (p->phase == PHASE_SEEKING)
            say(p, "Still looking.");
        else
            ask_blocking(p, CALL_NEXT, "next", encounter_params(p));
    } else if (input_is(line, len, "/end") && talks) {
        if (must_wait(p))
            return false;
        ask_blocking(p, CALL_END, "end", encounter_params(p));
    } else if (input_is(line, len, "/block") && talks) {
        ask_blocking(p, CALL_BLOCK, "block", encounter_params(p));
    } else if (input_is(line, len, "/verify") && talks) {
        ask_blocking(p, CALL_VERIFY, "verify", encounter_params(p));
    } else if (input_is(line, len, "/path") && talks) {
        set_path(p, rest, rest_len);
    } else if (input_is(line, len, "/next") || input_is(line, len, "/end") ||
               input_is(line, len, "/block") || input_is(line, len, "/verify") ||
               input_is(line, len, "/path")) {
        say(p, "There is no conversation. Type a topic.");
    } else {
        say(p, "There is no such command. /help lists them.");
    }
    return true;
}

// False: it can't be used yet.
static bool on_line(struct plain *p, const char *line, size_t len)
{
    if (text_blank(line, len))
        return true;
    if (line[0] == '/' && (len < 2 || line[1] != '/'))
        return command(p, line, len);
    size_t skip = line[0] == '/' ? 1 : 0;
    json_t *topics;
    switch (p->phase) {
    case PHASE_ASK_PRIVACY:
        set_privacy(p, line, len);
        return true;
    case PHASE_ASK_TOPIC:
        topics = topics_of(p, line, len);
        if (topics != NULL)
            seek(p, topics);
        return true;
    case PHASE_SEEKING:
        if (!input_terminal(p->input))
            return false; // a script's line is for whoever comes
        say(p, "Not sent: nobody is connected yet.");
        return true;
    case PHASE_TALKING:
        if (p->pending >= PENDING_MAX && must_wait(p))
            return false;
        say_text(p, line + skip, len - skip);
        return true;
    case PHASE_OVER:
        say(p, "Not sent: they are gone. /next finds someone else.");
        return true;
    case PHASE_START:
    case PHASE_LEAVING:
        break;
    }
    return false;
}

static void pump(struct plain *p)
{
    while (p->phase != PHASE_LEAVING && p->phase != PHASE_START && !p->busy) {
        const char *line;
        size_t len;
        switch (input_peek(p->input, &line, &len)) {
        case INPUT_NONE:
            return;
        case INPUT_TOO_LONG:
            say(p, "Not sent: a line may have %u bytes here.", input_line_max(p->input));
            break;
        case INPUT_LINE:
            if (!on_line(p, line, len))
                return;
            if (p->phase != PHASE_LEAVING)
                input_take(p->input);
            break;
        case INPUT_END:
            // What was said arrives, or is said not to have.
            if (p->pending == 0)
                leave(p, EXIT_OK);
            else
                wait_for_words(p);
            return;
        }
    }
    if (p->quitting && p->pending == 0)
        leave(p, EXIT_OK);
}

static void on_wake(void *ctx)
{
    pump(ctx);
}

// ---- answers ----------------------------------------------------------------------------------------

static const char *message_of(json_t *error)
{
    const char *m = json_string_value(json_object_get(error, "message"));
    return m != NULL ? m : "The node refused.";
}

static void on_sought(struct plain *p, json_t *result, json_t *error)
{
    json_int_t code = json_integer_value(json_object_get(error, "code"));
    if (result != NULL) {
        p->encounter = json_integer_value(json_object_get(result, "encounter"));
        p->phase = PHASE_SEEKING;
        json_decref(p->topics);
        p->topics = NULL;
    } else if (code == API_PRIVACY) {
        ask_privacy(p);
    } else {
        say(p, "%s", message_of(error));
        ask_topic(p);
    }
}

static void on_privacy(struct plain *p, json_t *error)
{
    if (error != NULL) {
        say(p, "%s", message_of(error));
        return;
    }
    p->hides = p->hides_next;
    if (p->topics != NULL) {
        json_t *topics = p->topics;
        p->topics = NULL;
        seek(p, topics);
    } else if (p->phase == PHASE_ASK_PRIVACY) {
        ask_topic(p);
    } else {
        say(p, "That holds from now on. A conversation that has begun stays as it is.");
    }
}

static void on_words(struct plain *p, json_t *result, json_t *error)
{
    json_t *words = json_object_get(result, "words"), *w;
    char line[256];
    size_t at = 0, i;
    if (error != NULL) {
        say(p, "%s", message_of(error));
        return;
    }
    line[0] = 0;
    json_array_foreach (words, i, w)
        at += (size_t)snprintf(line + at, at < sizeof line ? sizeof line - at : 0, " %s",
                               json_string_value(w));
    say(p,
        "If you want to be sure nobody sits in between, read these six words to each other over "
        "another way. They must be the same:%s",
        line);
}

static void start_topics(struct plain *p)
{
    if (p->cfg->words == 0) {
        ask_topic(p);
        return;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < p->cfg->words; i++)
        json_array_append_new(list, json_string(p->cfg->word[i]));
    seek(p, list);
}

// Options of a node of one's own do nothing to one that runs already: better said than found out.
// False when it is in another network than the one that was asked for.
static bool fits(struct plain *p, json_t *result)
{
    const struct config *c = p->cfg;
    const char *network = json_string_value(json_object_get(result, "network"));
    if (c->network[0] != 0 && network != NULL && strcmp(network, c->network) != 0) {
        leave(p, process_fail(EXIT_FAILED,
                              "the node that is running here is in the network %s, not in %s; "
                              "stop it, or give another --control",
                              network, c->network));
        return false;
    }
    if (arguments_for_node(c))
        say(p, "Note: a node is running here already. It is used as it is: of the options for a "
               "node, only --privacy counts.");
    return true;
}

static void on_status(struct plain *p, json_t *result)
{
    const char *privacy = json_string_value(json_object_get(result, "privacy"));
    if (p->serve == NULL && !fits(p, result))
        return;
    if (p->serve != NULL && arguments_lonely(p->cfg))
        say(p,
            "Note: no --bootstrap was given, so this node knows no other and can find nobody. To "
            "try bauta alone, run: bauta demo");
    p->hides =
        p->cfg->privacy == NODE_RELAYED || (p->cfg->privacy == NODE_PRIVACY_UNCHOSEN &&
                                            privacy != NULL && strcmp(privacy, "relayed") == 0);
    if (p->cfg->privacy != NODE_PRIVACY_UNCHOSEN) {
        (void)ask(p, CALL_DROP, "privacy",
                  json_pack("{s:s}", "mode", api_privacy_name(p->cfg->privacy)));
        start_topics(p);
    } else if (privacy != NULL && strcmp(privacy, "unchosen") == 0) {
        if (p->cfg->words > 0) {
            p->topics = json_array();
            for (size_t i = 0; i < p->cfg->words; i++)
                json_array_append_new(p->topics, json_string(p->cfg->word[i]));
        }
        ask_privacy(p);
    } else {
        start_topics(p);
    }
}

static void on_answer(void *ctx, int kind, json_t *result, json_t *error)
{
    struct plain *p = ctx;
    if (kind == CALL_LAST_END) {
        leave(p, p->status);
        return;
    }
    if (p->phase == PHASE_LEAVING)
        return;
    if (kind != CALL_SAY && kind != CALL_DROP && kind != CALL_SUBSCRIBE && !p->quitting)
        p->busy = false;
    switch ((enum call)kind) {
    case CALL_STATUS:
        on_status(p, result);
        break;
    case CALL_PRIVACY:
        on_privacy(p, error);
        break;
    case CALL_SEEK:
        on_sought(p, result, error);
        break;
    case CALL_SAY:
        if (error != NULL) {
            p->pending -= p->pending > 0;
            say(p, "Not sent: %s", message_of(error));
        }
        break;
    case CALL_NEXT:
        if (error != NULL)
            say(p, "%s", message_of(error));
        else
            p->phase = PHASE_SEEKING;
        break;
    case CALL_END:
    case CALL_BLOCK:
        p->encounter = 0;
        say(p, kind == CALL_END ? "You left. The node has kept nothing of it."
                                : "You left, and will not meet them again while the node runs.");
        give_words_up(p);
        ask_topic(p);
        break;
    case CALL_VERIFY:
        on_words(p, result, error);
        break;
    case CALL_PATH:
        say(p, "%s", error != NULL ? message_of(error) : "Asked. It changes once both want it.");
        break;
    case CALL_SUBSCRIBE:
    case CALL_LAST_END:
    case CALL_DROP:
        break;
    }
    pump(p);
}

// ---- events -----------------------------------------------------------------------------------------

static void on_seeking(struct plain *p, json_t *params)
{
    char *topics = topics_shown(json_object_get(params, "topics"));
    p->phase = PHASE_SEEKING;
    say(p, "Looking for someone who also wants to talk about %s.", topics != NULL ? topics : "it");
    text_free(topics);
}

static void on_progress(struct plain *p, json_t *params)
{
    const char *stage = json_string_value(json_object_get(params, "stage"));
    if (stage != NULL && strcmp(stage, "connecting") == 0)
        say(p, "Found someone. Shaking hands.");
    else if (stage != NULL && strcmp(stage, "joining") == 0)
        say(p, "Waiting for the network: no other computer has answered yet.");
}

static void on_matched(struct plain *p, json_t *params)
{
    json_t *topic = json_object_get(params, "topic");
    const char *alias = json_string_value(json_object_get(params, "alias"));
    const char *path = json_string_value(json_object_get(params, "path"));
    char *about = text_shown(json_string_value(topic), json_string_length(topic));
    bool direct = path == NULL || strcmp(path, "direct") == 0;
    snprintf(p->alias, sizeof p->alias, "%s", alias != NULL ? alias : "Somebody");
    p->phase = PHASE_TALKING;
    say(p, "Connected. Nobody but the two of you can read this.");
    say(p, "You talk with %s about %s. %s", p->alias, about != NULL ? about : "it",
        direct     ? "You can see each other's internet address."
        : p->hides ? "Your internet address is hidden."
                   : "It goes through a relay, but you may see each other's internet address.");
    say(p, "/next finds someone else, /end leaves, /help says more.");
    text_free(about);
}

// How the conversation goes from now on, or how the other would like it to.
static void on_path(struct plain *p, json_t *params, bool wanted)
{
    const char *path = json_string_value(json_object_get(params, "path"));
    bool direct = path != NULL && strcmp(path, "direct") == 0;
    if (wanted && direct)
        say(p,
            "%s would like to connect directly: you would see each other's internet address. "
            "/path direct agrees.",
            p->alias);
    else if (wanted)
        say(p, "%s would like this to go through relays. /path hide agrees.", p->alias);
    else if (direct)
        say(p, "You are connected directly now: you can see each other's internet address.");
    else
        say(p, "This goes through relays now.");
}

static void on_ended(struct plain *p, json_t *params)
{
    const char *reason = json_string_value(json_object_get(params, "reason"));
    if (reason == NULL || strcmp(reason, "end") == 0 || strcmp(reason, "block") == 0)
        return; // we did it, and the answer has said so
    if (strcmp(reason, "privacy") == 0) {
        p->encounter = 0;
        say(p, "You are not looking any more: it would show your internet address.");
        ask_topic(p);
        return;
    }
    p->phase = PHASE_OVER;
    if (strcmp(reason, "left") == 0)
        say(p, "They left. The node has kept nothing of what you both wrote.");
    else if (strcmp(reason, "gone") == 0)
        say(p, "They are gone: nothing comes from them any more. The node has kept nothing.");
    else
        say(p, "The connection broke. The node has kept nothing of what you both wrote.");
    say(p, "/next finds someone else, /end stops looking.");
}

// As long as words arrive, more time is given to the rest.
static void word_done(struct plain *p)
{
    p->pending -= p->pending > 0;
    if (!p->waiting)
        return;
    uv_timer_stop(&p->timer);
    p->waiting = false;
    if (p->quitting && p->pending > 0)
        wait_for_words(p);
}

static void on_event(void *ctx, const char *method, json_t *params)
{
    struct plain *p = ctx;
    if (p->phase == PHASE_LEAVING)
        return;
    if (strcmp(method, "warning") == 0) {
        const char *text = json_string_value(json_object_get(params, "text"));
        say(p, "Note: %s", text != NULL ? text : "something is wrong.");
        return;
    }
    // The node may have other encounters, of the page or of a script.
    if (p->encounter == 0 ||
        json_integer_value(json_object_get(params, "encounter")) != p->encounter)
        return;
    if (strcmp(method, "seeking") == 0) {
        on_seeking(p, params);
    } else if (strcmp(method, "progress") == 0) {
        on_progress(p, params);
    } else if (strcmp(method, "matched") == 0) {
        on_matched(p, params);
    } else if (strcmp(method, "message") == 0) {
        say_message(p, json_object_get(params, "text"));
    } else if (strcmp(method, "typing") == 0) {
        if (json_is_true(json_object_get(params, "on")))
            say(p, "%s is writing.", p->alias);
    } else if (strcmp(method, "path_wanted") == 0 || strcmp(method, "path") == 0) {
        on_path(p, params, strcmp(method, "path") != 0);
    } else if (strcmp(method, "delivered") == 0) {
        word_done(p);
        say(p, "Delivered.");
    } else if (strcmp(method, "undelivered") == 0) {
        word_done(p);
        say(p, "Not delivered: they were gone before it arrived.");
    } else if (strcmp(method, "ended") == 0) {
        on_ended(p, params);
    }
    pump(p);
}

// ---- start and end ------------------------------------------------------------------------------------

static void on_gone(void *ctx)
{
    struct plain *p = ctx;
    if (p->phase == PHASE_LEAVING) {
        leave(p, p->status);
        return;
    }
    link_close(p->link);
    p->link = NULL;
    leave(p, process_fail(EXIT_FAILED, "the node has stopped"));
}

static void finish(struct plain *p)
{
    if (p->finished)
        return;
    p->finished = true;
    link_close(p->link);
    p->link = NULL;
    signals_close(&p->signals);
    uv_close((uv_handle_t *)&p->timer, NULL);
    if (p->serve != NULL)
        serve_stop(p->serve);
    else if (p->host != NULL)
        host_free(p->host);
}

static void on_timer(uv_timer_t *timer)
{
    finish(timer->data);
}

// Says goodbye, then ends. Called again when that is done.
static void leave(struct plain *p, int status)
{
    if (p->phase == PHASE_LEAVING) {
        finish(p);
        return;
    }
    p->phase = PHASE_LEAVING;
    p->status = status;
    input_close(p->input);
    if (p->encounter != 0 && p->link != NULL &&
        link_call(p->link, CALL_LAST_END, "end", encounter_params(p)))
        uv_timer_start(&p->timer, on_timer, GOODBYE_MS, 0);
    else
        finish(p);
}

static void on_last_words(uv_timer_t *timer)
{
    struct plain *p = timer->data;
    p->waiting = false;
    if (p->phase == PHASE_LEAVING)
        return;
    give_words_up(p);
    pump(p);
}

static void on_interrupt(void *ctx)
{
    leave(ctx, EXIT_OK);
}

static void on_linked(struct plain *p, int fd)
{
    struct link_config lc = {.answer = on_answer, .event = on_event, .gone = on_gone, .ctx = p};
    int rc = link_open(&p->link, &p->loop, fd, &lc);
    if (rc != 0) {
        p->link = NULL;
        leave(p, process_fail(EXIT_FAILED, "can't talk to the node: %s", uv_strerror(rc)));
        return;
    }
    (void)ask(p, CALL_SUBSCRIBE, "subscribe", json_object());
    ask_blocking(p, CALL_STATUS, "status", json_object());
}

static void on_ready(void *ctx, struct serve *s, int status, const char *error)
{
    struct plain *p = ctx;
    if (status != EXIT_OK) {
        p->status = process_fail(status, "%s", error);
        return; // on_serve_ended follows
    }
    if (p->phase == PHASE_LEAVING)
        return;
    int fd = control_connect(serve_control_path(s));
    if (fd < 0)
        leave(p, process_fail(EXIT_FAILED, "can't reach the node: %s", strerror(-fd)));
    else
        on_linked(p, fd);
}

static void on_serve_ended(void *ctx)
{
    struct plain *p = ctx;
    p->serve = NULL;
    host_free(p->host);
    p->host = NULL;
    if (p->phase != PHASE_LEAVING)
        leave(p, p->status);
}

static int start(struct plain *p)
{
    char path[HOST_PATH_BYTES], error[HOST_ERROR_BYTES];
    int fd = client_connect(p->cfg, path, error);
    if (fd >= 0) {
        on_linked(p, fd);
        return EXIT_OK;
    }
    if (fd != CLIENT_NO_NODE)
        return process_fail(EXIT_FAILED, "%s", error);
    int rc = host_new(&p->host, &p->loop);
    struct serve_config sc = {
        .config = p->cfg, .host = p->host, .ready = on_ready, .ended = on_serve_ended, .ctx = p};
    if (rc == 0)
        rc = serve_start(&p->serve, &p->loop, &sc);
    return rc == 0 ? EXIT_OK : process_fail(EXIT_FAILED, "can't start: %s", uv_strerror(rc));
}

int plain_chat(const struct config *c)
{
    struct plain p = {.cfg = c, .status = EXIT_OK};
    int rc = arguments_topics(c);
    if (rc != EXIT_OK)
        return rc;
    rc = uv_loop_init(&p.loop);
    if (rc == 0)
        rc = input_open(&p.input, &p.loop, STDIN_FILENO, on_wake, &p);
    if (rc != 0)
        return process_fail(EXIT_FAILED, "can't start: %s", uv_strerror(rc));
    uv_timer_init(&p.loop, &p.timer);
    p.timer.data = &p;
    signals_open(&p.signals, &p.loop, on_interrupt, &p);
    rc = start(&p);
    if (rc != EXIT_OK)
        leave(&p, rc);
    uv_run(&p.loop, UV_RUN_DEFAULT);
    (void)uv_tty_reset_mode();
    (void)uv_loop_close(&p.loop);
    json_decref(p.topics);
    return p.status;
}
