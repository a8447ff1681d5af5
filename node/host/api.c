#include "node/host/api.h"
#include "node/host/limits.h"

#include "crypto/bytes.h"
#include "node/talk/talk.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_BYTES 200u // of an error, for a person
#define RELAY_TEXT "This node is a relay: it carries what others say, and talks to nobody itself."

struct call {
    struct api *api;
    usec_t now;
    json_t *params; // an object, maybe empty
    json_t *result; // set when it went well
    int code;       // else: which error
    char message[MESSAGE_BYTES];
    bool subscribe;
};

// ---- memory that wipes itself -------------------------------------------------------------------------

union block {
    size_t bytes;
    max_align_t align;
};

static void *wiping_malloc(size_t bytes)
{
    union block *b = bytes <= SIZE_MAX - sizeof *b ? malloc(sizeof *b + bytes) : NULL;
    if (b == NULL)
        return NULL;
    b->bytes = bytes;
    return b + 1;
}

static void wiping_free(void *p)
{
    if (p == NULL)
        return;
    union block *b = (union block *)p - 1;
    sodium_memzero(p, b->bytes);
    free(b);
}

void api_init(void)
{
    json_set_alloc_funcs(wiping_malloc, wiping_free);
}

void api_answer_free(struct api_answer *a)
{
    wiping_free(a->line);
    memset(a, 0, sizeof *a);
}

// ---- errors -----------------------------------------------------------------------------------------

static void fail(struct call *c, int code, const char *message)
{
    if (c->code != 0)
        return; // the first one says what is wrong
    c->code = code;
    snprintf(c->message, sizeof c->message, "%s", message);
}

static void fail_named(struct call *c, int code, const char *format, const char *name)
{
    char text[MESSAGE_BYTES];
    snprintf(text, sizeof text, format, name);
    fail(c, code, text);
}

static void fail_node(struct call *c, int rc)
{
    switch (rc) {
    case NODE_EPRIVACY:
        fail(c, API_PRIVACY,
             "Choose first whether the stranger may see your internet address: call privacy with "
             "{\"mode\":\"direct\"} or {\"mode\":\"relayed\"}, or start with --privacy direct.");
        return;
    case NODE_ENOTREADY:
        fail(c, API_NOT_TALKING, "Nobody is connected: not yet, or not any more.");
        return;
    case NODE_EPATH:
        fail(c, API_LIMIT, "There is no direct way: here everything goes over TCP.");
        return;
    case NODE_ETOPIC:
        fail(c, API_PARAMS, "A topic is empty, too long (128 bytes at most) or not readable text.");
        return;
    case BAUTA_EUNKNOWN:
        fail(c, API_PARAMS, "There is no such encounter.");
        return;
    case BAUTA_EFORMAT:
        fail(c, API_PARAMS, "The text is empty or holds control characters.");
        return;
    case BAUTA_ELIMIT:
        fail(c, API_LIMIT, "Too much at once: wait until something has ended or been delivered.");
        return;
    case BAUTA_ESTATE:
        fail(c, API_NOT_TALKING, "That is not possible at this moment.");
        return;
    default:
        fail(c, API_INTERNAL, "Out of memory.");
        return;
    }
}

// ---- parameters -------------------------------------------------------------------------------------

// Fails on names that are not in the NULL-ended list: a misspelt `pass` must not seek in public.
static void only(struct call *c, json_t *object, const char *const *names)
{
    const char *key;
    json_t *value;
    json_object_foreach (object, key, value) {
        (void)value;
        size_t i = 0;
        while (names[i] != NULL && strcmp(names[i], key) != 0)
            i++;
        if (names[i] == NULL)
            fail_named(c, API_PARAMS, "There is no parameter %.60s here.", key);
    }
}

// An optional parameter: null is as good as none.
static json_t *optional(json_t *object, const char *name)
{
    json_t *v = json_object_get(object, name);
    return json_is_null(v) ? NULL : v;
}

static uint32_t encounter_param(struct call *c)
{
    json_t *v = json_object_get(c->params, "encounter");
    json_int_t i = json_is_integer(v) ? json_integer_value(v) : 0;
    if (i < 1) {
        fail(c, API_PARAMS, "encounter has to be an integer of at least 1.");
        return 0;
    }
    if (i > UINT32_MAX) {
        fail_node(c, BAUTA_EUNKNOWN);
        return 0;
    }
    return (uint32_t)i;
}

static uint32_t encounter_only(struct call *c)
{
    static const char *const names[] = {"encounter", NULL};
    only(c, c->params, names);
    return encounter_param(c);
}

typedef int (*add_fn)(struct card *, const char *);

static void card_list(struct call *c, json_t *card, const char *name, struct card *out, add_fn add)
{
    json_t *list = json_object_get(card, name), *item;
    size_t i;
    if (list == NULL)
        return;
    if (!json_is_array(list)) {
        fail_named(c, API_PARAMS, "%s has to be a list of words.", name);
        return;
    }
    json_array_foreach (list, i, item) {
        const char *word = json_is_string(item) ? json_string_value(item) : "";
        int rc = strlen(word) == json_string_length(item) ? add(out, word) : BAUTA_EUNKNOWN;
        if (rc == BAUTA_ELIMIT)
            fail_named(c, API_PARAMS, "Too many words in %s.", name);
        else if (rc != BAUTA_OK)
            fail_named(c, API_PARAMS, "A word in %s is not one of those it may hold.", name);
    }
}

static void card_param(struct call *c, json_t *card, struct card *out)
{
    static const char *const names[] = {"languages", "purposes", "formats", "avoid", NULL};
    if (card == NULL)
        return;
    if (!json_is_object(card)) {
        fail(c, API_PARAMS, "A card has to be an object.");
        return;
    }
    only(c, card, names);
    card_list(c, card, "languages", out, card_add_language);
    card_list(c, card, "purposes", out, card_add_purpose);
    card_list(c, card, "formats", out, card_add_format);
    card_list(c, card, "avoid", out, card_add_avoid);
}

static void wishes_param(struct call *c, struct wishes *out)
{
    static const char *const names[] = {"must", "rather", NULL};
    json_t *wishes = optional(c->params, "wishes");
    if (wishes == NULL)
        return;
    if (!json_is_object(wishes)) {
        fail(c, API_PARAMS, "wishes has to be an object.");
        return;
    }
    only(c, wishes, names);
    card_param(c, optional(wishes, "must"), &out->must);
    card_param(c, optional(wishes, "rather"), &out->rather);
}

static size_t topics_param(struct call *c, struct node_topic topic[static MEET_TOPICS_MAX])
{
    json_t *topics = json_object_get(c->params, "topics");
    json_t *pass = optional(c->params, "pass");
    size_t n = json_is_array(topics) ? json_array_size(topics) : 0;
    if (n < 1 || n > MEET_TOPICS_MAX) {
        fail(c, API_PARAMS, "topics has to be a list of 1 to 8 texts.");
        return 0;
    }
    if (pass != NULL && !json_is_string(pass)) {
        fail(c, API_PARAMS, "pass has to be a text.");
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        json_t *t = json_array_get(topics, i);
        if (!json_is_string(t)) {
            fail(c, API_PARAMS, "topics has to be a list of 1 to 8 texts.");
            return 0;
        }
        topic[i] = (struct node_topic){json_string_value(t), json_string_length(t), NULL, 0};
        if (pass != NULL) {
            topic[i].pass = json_string_value(pass);
            topic[i].pass_len = json_string_length(pass);
        }
    }
    return n;
}

// ---- methods ----------------------------------------------------------------------------------------

static void done(struct call *c, int rc)
{
    if (rc == BAUTA_OK)
        c->result = json_object();
    else
        fail_node(c, rc);
}

static void call_status(struct call *c)
{
    static const char *const names[] = {NULL};
    only(c, c->params, names);
    if (c->code == 0)
        c->result = api_status(c->api, c->now);
}

static void call_seek(struct call *c)
{
    static const char *const names[] = {"topics", "pass", "card", "wishes", NULL};
    struct node_topic topic[MEET_TOPICS_MAX];
    struct card card = {0};
    struct wishes wishes = {0};
    only(c, c->params, names);
    size_t n = topics_param(c, topic);
    card_param(c, optional(c->params, "card"), &card);
    wishes_param(c, &wishes);
    if (c->api->relay)
        fail(c, API_PRIVACY, RELAY_TEXT);
    if (c->code != 0)
        return;
    uint32_t encounter;
    int rc = node_seek(c->api->node, c->now, topic, n, &card, &wishes, &encounter);
    done(c, rc);
    if (rc == BAUTA_OK)
        json_object_set_new(c->result, "encounter", json_integer(encounter));
}

static void call_say(struct call *c)
{
    static const char *const names[] = {"encounter", "text", NULL};
    only(c, c->params, names);
    uint32_t encounter = encounter_param(c), id;
    json_t *text = json_object_get(c->params, "text");
    if (!json_is_string(text))
        fail(c, API_PARAMS, "text has to be a text.");
    else if (json_string_length(text) > TALK_TEXT_BYTES_MAX)
        fail(c, API_PARAMS, "The text is too long: 16,384 bytes at most.");
    if (c->code != 0)
        return;
    int rc = node_say(c->api->node, c->now, encounter, (const uint8_t *)json_string_value(text),
                      json_string_length(text), &id);
    done(c, rc);
    if (rc == BAUTA_OK)
        json_object_set_new(c->result, "id", json_integer(id));
}

static void call_typing(struct call *c)
{
    static const char *const names[] = {"encounter", "on", NULL};
    only(c, c->params, names);
    uint32_t encounter = encounter_param(c);
    json_t *on = json_object_get(c->params, "on");
    if (!json_is_boolean(on))
        fail(c, API_PARAMS, "on has to be true or false.");
    if (c->code == 0)
        done(c, node_typing(c->api->node, c->now, encounter, json_is_true(on)));
}

static void call_path(struct call *c)
{
    static const char *const names[] = {"encounter", "path", NULL};
    only(c, c->params, names);
    uint32_t encounter = encounter_param(c);
    json_t *path = json_object_get(c->params, "path");
    const char *word = json_is_string(path) ? json_string_value(path) : "";
    bool direct = strcmp(word, "direct") == 0;
    if (!direct && strcmp(word, "relayed") != 0)
        fail(c, API_PARAMS, "path has to be \"direct\" or \"relayed\".");
    if (c->code == 0)
        done(c, node_path(c->api->node, c->now, encounter, direct));
}

static void call_next(struct call *c)
{
    uint32_t encounter = encounter_only(c);
    if (c->code == 0)
        done(c, node_next(c->api->node, c->now, encounter));
}

static void call_end(struct call *c)
{
    uint32_t encounter = encounter_only(c);
    if (c->code == 0)
        done(c, node_end(c->api->node, c->now, encounter));
}

static void call_block(struct call *c)
{
    uint32_t encounter = encounter_only(c);
    if (c->code == 0)
        done(c, node_block(c->api->node, c->now, encounter));
}

static json_t *words_json(const char *const words[static SAS_WORDS])
{
    json_t *list = json_array();
    for (size_t i = 0; i < SAS_WORDS; i++)
        json_array_append_new(list, json_string(words[i] != NULL ? words[i] : ""));
    return list;
}

static void call_verify(struct call *c)
{
    const char *words[SAS_WORDS] = {0};
    uint32_t encounter = encounter_only(c);
    if (c->code != 0)
        return;
    int rc = node_words(c->api->node, encounter, words);
    done(c, rc);
    if (rc == BAUTA_OK)
        json_object_set_new(c->result, "words", words_json(words));
}

static void call_privacy(struct call *c)
{
    static const char *const names[] = {"mode", NULL};
    only(c, c->params, names);
    json_t *mode = json_object_get(c->params, "mode");
    enum node_privacy p;
    if (!json_is_string(mode) || strlen(json_string_value(mode)) != json_string_length(mode) ||
        !api_privacy_of(json_string_value(mode), &p)) {
        fail(c, API_PARAMS, "mode has to be \"direct\" or \"relayed\".");
        return;
    }
    if (c->api->relay)
        fail(c, API_PARAMS, RELAY_TEXT);
    else if (c->api->shown && c->code == 0 && p == NODE_RELAYED)
        fail(c, API_PARAMS,
             "This node was started with --public, which shows its address to everybody: it can't "
             "hide it. Start one without.");
    if (c->code != 0)
        return;
    node_set_privacy(c->api->node, c->now, p);
    c->api->privacy = p;
    c->api->privacy_set = true;
    done(c, BAUTA_OK);
}

static void call_cover(struct call *c)
{
    static const char *const names[] = {"encounter", "level", NULL};
    only(c, c->params, names);
    uint32_t encounter = encounter_param(c);
    json_t *level = json_object_get(c->params, "level");
    enum channel_cover v = CHANNEL_COVER_OFF;
    if (!json_is_string(level) || strlen(json_string_value(level)) != json_string_length(level) ||
        !api_cover_of(json_string_value(level), &v))
        fail(c, API_PARAMS, "level has to be \"off\", \"low\" or \"high\".");
    if (c->code == 0)
        done(c, node_cover(c->api->node, c->now, encounter, v));
}

static void call_contacts(struct call *c)
{
    static const char *const names[] = {NULL};
    struct contact all[CONTACTS_KEPT_MAX];
    char text[CONTACT_TEXT_BYTES];
    only(c, c->params, names);
    if (c->code != 0)
        return;
    size_t n = node_contacts(c->api->node, all, CONTACTS_KEPT_MAX);
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        contact_format(text, &all[i]);
        json_array_append_new(list, json_string(text));
    }
    c->result = json_pack("{s:o}", "contacts", list);
}

static void call_add_contacts(struct call *c)
{
    static const char *const names[] = {"contacts", NULL};
    struct contact all[CONTACTS_KEPT_MAX];
    only(c, c->params, names);
    json_t *list = json_object_get(c->params, "contacts");
    size_t n = json_array_size(list);
    if (!json_is_array(list) || n > CONTACTS_KEPT_MAX)
        fail(c, API_PARAMS, "contacts has to be a list of at most 64 texts ADDRESS:PORT/KEY.");
    for (size_t i = 0; c->code == 0 && i < n; i++) {
        json_t *t = json_array_get(list, i);
        if (!json_is_string(t) ||
            contact_parse(&all[i], json_string_value(t), json_string_length(t)) != BAUTA_OK)
            fail(c, API_PARAMS, "Each contact has to be a text ADDRESS:PORT/KEY.");
    }
    if (c->code != 0)
        return;
    int taken = node_add_contacts(c->api->node, c->now, all, n);
    done(c, taken < 0 ? taken : BAUTA_OK);
    if (taken >= 0)
        json_object_set_new(c->result, "taken", json_integer(taken));
}

static void call_subscribe(struct call *c)
{
    static const char *const names[] = {NULL};
    only(c, c->params, names);
    if (c->code != 0)
        return;
    c->subscribe = true;
    c->result = json_object();
}

static void call_stop(struct call *c)
{
    static const char *const names[] = {NULL};
    only(c, c->params, names);
    if (c->code != 0)
        return;
    c->api->stop = true;
    c->result = json_object();
}

static void call_method(struct call *c, const char *method, size_t len)
{
    static const struct {
        const char *name;
        void (*run)(struct call *);
    } methods[] = {{"status", call_status},
                   {"seek", call_seek},
                   {"say", call_say},
                   {"typing", call_typing},
                   {"path", call_path},
                   {"next", call_next},
                   {"end", call_end},
                   {"block", call_block},
                   {"verify", call_verify},
                   {"privacy", call_privacy},
                   {"cover", call_cover},
                   {"stop", call_stop},
                   {"subscribe", call_subscribe},
                   {"contacts", call_contacts},
                   {"add_contacts", call_add_contacts}};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        if (strlen(methods[i].name) == len && memcmp(methods[i].name, method, len) == 0) {
            methods[i].run(c);
            if (c->code == 0 && c->result == NULL)
                fail(c, API_INTERNAL, "Out of memory.");
            return;
        }
    }
    fail_named(c, API_METHOD, "There is no method %.60s in this version.", method);
}

// ---- lines ------------------------------------------------------------------------------------------

// Takes the reference of `root`.
static bool to_line(json_t *root, struct api_answer *out)
{
    char *text = root != NULL ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    if (text == NULL)
        return false;
    size_t len = strlen(text);
    out->line = wiping_malloc(len + 2);
    if (out->line != NULL) {
        memcpy(out->line, text, len);
        memcpy(out->line + len, "\n", 2);
        out->len = len + 1;
    }
    wiping_free(text);
    return out->line != NULL;
}

static void answer(struct call *c, json_t *id, struct api_answer *out)
{
    json_t *root = json_object();
    json_object_set_new(root, "jsonrpc", json_string("2.0"));
    if (c->code != 0) {
        json_t *error = json_object();
        json_object_set_new(error, "code", json_integer(c->code));
        json_t *message = json_string(c->message);
        if (message == NULL) // a name was cut within a character
            message = json_string("That is not possible.");
        json_object_set_new(error, "message", message);
        json_object_set_new(root, "error", error);
    } else {
        json_object_set(root, "result", c->result);
    }
    if (id != NULL)
        json_object_set(root, "id", id);
    else
        json_object_set_new(root, "id", json_null());
    (void)to_line(root, out);
}

static bool id_valid(const json_t *id)
{
    return json_is_string(id) || json_is_number(id) || json_is_null(id);
}

// Checks the request's shape. Returns its method, or NULL with the error set.
static json_t *request_shape(struct call *c, json_t *root, json_t **id)
{
    *id = NULL;
    if (!json_is_object(root)) {
        fail(c, API_REQUEST,
             json_is_array(root) ? "One request a line: batches are not taken."
                                 : "A request is a JSON object.");
        return NULL;
    }
    json_t *given = json_object_get(root, "id");
    if (given != NULL && !id_valid(given)) {
        fail(c, API_REQUEST, "id has to be a number, a text or null.");
        return NULL;
    }
    *id = given;
    json_t *version = json_object_get(root, "jsonrpc");
    json_t *method = json_object_get(root, "method");
    if (!json_is_string(version) || strcmp(json_string_value(version), "2.0") != 0)
        fail(c, API_REQUEST, "jsonrpc has to be \"2.0\".");
    else if (!json_is_string(method))
        fail(c, API_REQUEST, "method has to be a text.");
    return c->code == 0 ? method : NULL;
}

static void run(struct call *c, json_t *root, json_t *method)
{
    json_t *params = json_object_get(root, "params");
    if (params == NULL) {
        c->params = json_object();
        call_method(c, json_string_value(method), json_string_length(method));
        json_decref(c->params);
    } else if (json_is_object(params)) {
        c->params = params;
        call_method(c, json_string_value(method), json_string_length(method));
    } else {
        fail(c, API_PARAMS, "params has to be an object: parameters go by name.");
    }
}

void api_line(struct api *a, usec_t now, const char *line, size_t len, struct api_answer *out)
{
    struct call c = {.api = a, .now = now};
    json_error_t error;
    memset(out, 0, sizeof *out);
    json_t *root = json_loadb(line, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    json_t *id = NULL;
    if (root == NULL) {
        fail(&c, API_PARSE, "That is not JSON in UTF-8.");
        answer(&c, NULL, out);
        return;
    }
    json_t *method = request_shape(&c, root, &id);
    if (method != NULL)
        run(&c, root, method);
    // A request without an id is a notification: it is done, and not answered.
    if (method == NULL || id != NULL)
        answer(&c, id, out);
    out->subscribe = c.subscribe;
    json_decref(c.result);
    json_decref(root);
}

void api_too_long(struct api_answer *out)
{
    struct call c = {0};
    memset(out, 0, sizeof *out);
    fail(&c, API_REQUEST, "The line is too long: 262,144 bytes at most.");
    answer(&c, NULL, out);
}

// ---- notifications ----------------------------------------------------------------------------------

static json_t *topics_of(const struct api *a, uint32_t encounter)
{
    json_t *list = json_array();
    const char *topic;
    size_t len;
    for (size_t i = 0; (topic = node_encounter_topic(a->node, encounter, i, &len)) != NULL; i++)
        json_array_append_new(list, json_stringn(topic, len));
    return list;
}

static void text_to(json_t *p, const char *key, const char *text, size_t len)
{
    json_object_set_new(p, key, json_stringn(text != NULL ? text : "", text != NULL ? len : 0));
}

static void word_to(json_t *p, const char *key, const char *word)
{
    json_object_set_new(p, key, json_string(word != NULL ? word : ""));
}

static const char *event_params(const struct api *a, const struct node_event *ev, json_t *p)
{
    if (ev->kind != NODE_WARNING)
        json_object_set_new(p, "encounter", json_integer(ev->encounter));
    switch (ev->kind) {
    case NODE_SEEKING:
        json_object_set_new(p, "topics", topics_of(a, ev->encounter));
        return "seeking";
    case NODE_PROGRESS:
        text_to(p, "stage", ev->text, ev->len);
        return "progress";
    case NODE_MATCHED:
        text_to(p, "topic", ev->text, ev->len);
        word_to(p, "alias", ev->alias);
        json_object_set_new(p, "words", words_json(ev->words));
        word_to(p, "path", ev->path);
        return "matched";
    case NODE_MESSAGE:
        json_object_set_new(p, "id", json_integer(ev->id));
        text_to(p, "text", ev->text, ev->len);
        json_object_set_new(p, "at", json_integer(ev->at_ms));
        return "message";
    case NODE_DELIVERED:
        json_object_set_new(p, "id", json_integer(ev->id));
        return "delivered";
    case NODE_UNDELIVERED:
        json_object_set_new(p, "id", json_integer(ev->id));
        word_to(p, "reason", ev->reason);
        return "undelivered";
    case NODE_TYPING:
        json_object_set_new(p, "on", json_boolean(ev->on));
        return "typing";
    case NODE_PATH_WANTED:
        word_to(p, "path", ev->path);
        return "path_wanted";
    case NODE_PATH:
        word_to(p, "path", ev->path);
        return "path";
    case NODE_ENDED:
        word_to(p, "reason", ev->reason);
        return "ended";
    case NODE_WARNING:
        word_to(p, "code", ev->reason);
        text_to(p, "text", ev->text, ev->len);
        return "warning";
    }
    return "warning";
}

bool api_notification(const struct api *a, const struct node_event *ev, struct api_answer *out)
{
    json_t *root = json_object(), *params = json_object();
    memset(out, 0, sizeof *out);
    json_object_set_new(root, "jsonrpc", json_string("2.0"));
    const char *method = event_params(a, ev, params);
    json_object_set_new(root, "method", json_string(method));
    json_object_set_new(root, "params", params);
    return to_line(root, out);
}
