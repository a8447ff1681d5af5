// The control API line by line, on a real node without sockets.
#include "tests/unit/host/support.h"

#include "node/host/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
// cmocka wants the three above first
#include <cmocka.h>
#include <sodium.h>

struct fixture {
    struct bench_node b;
    struct contact_book *book;
};

static int setup_with(void **state, enum node_privacy privacy)
{
    struct fixture *f = calloc(1, sizeof *f);
    bench_open(&f->b, &f->book, privacy);
    *state = f;
    return 0;
}

static int setup(void **state)
{
    return setup_with(state, NODE_DIRECT);
}

static int setup_unchosen(void **state)
{
    return setup_with(state, NODE_PRIVACY_UNCHOSEN);
}

static int setup_relayed(void **state)
{
    return setup_with(state, NODE_RELAYED);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    bench_close(&f->b, f->book);
    free(f);
    return 0;
}

// The answer as JSON, NULL when there is none.
static json_t *ask_bytes(struct fixture *f, const char *line, size_t len)
{
    struct api_answer a;
    json_error_t error;
    api_line(&f->b.api, BENCH_NOW, line, len, &a);
    if (a.line == NULL)
        return NULL;
    assert_true(a.len > 1 && a.line[a.len - 1] == '\n');
    assert_null(memchr(a.line, '\n', a.len - 1)); // one line
    json_t *o = json_loadb(a.line, a.len, JSON_ALLOW_NUL, &error);
    assert_non_null(o);
    assert_string_equal(json_string_value(json_object_get(o, "jsonrpc")), "2.0");
    assert_non_null(json_object_get(o, "id"));
    assert_true((json_object_get(o, "result") != NULL) != (json_object_get(o, "error") != NULL));
    api_answer_free(&a);
    return o;
}

static json_t *ask(struct fixture *f, const char *line)
{
    return ask_bytes(f, line, strlen(line));
}

static int code_of(json_t *answer)
{
    json_t *error = json_object_get(answer, "error");
    if (error == NULL)
        return 0;
    const char *message = json_string_value(json_object_get(error, "message"));
    assert_true(message != NULL && strlen(message) > 5);
    return (int)json_integer_value(json_object_get(error, "code"));
}

static const struct {
    const char *line;
    int code;
} wrong_lines[] = {
    {"{", -32700},
    {"}", -32700},
    {"hello", -32700},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"status\"} x", -32700},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\xfe\"}", -32700},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xc0\xaf\"}", -32700},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xed\xa0\x80\"}", -32700},
    {"5", -32600},
    {"null", -32600},
    {"[]", -32600},
    {"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"status\"}]", -32600},
    {"{}", -32600},
    {"{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"status\"}", -32600},
    {"{\"id\":1,\"method\":\"status\"}", -32600},
    {"{\"jsonrpc\":\"2.0\",\"id\":1}", -32600},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":5}", -32600},
    {"{\"jsonrpc\":\"2.0\",\"id\":[1],\"method\":\"status\"}", -32600},
    {"{\"jsonrpc\":\"2.0\",\"id\":true,\"method\":\"status\"}", -32600},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"nothing\"}", -32601},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"keep\"}", -32601},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\"}", -32601},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"status\\u0000\"}", -32601},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"Status\"}", -32601},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"status\",\"params\":[]}", -32602},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"say\",\"params\":[1,\"x\"]}", -32602},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"status\",\"params\":null}", -32602},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"status\",\"params\":{\"x\":1}}", -32602},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"say\"}", -32602},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"say\",\"params\":{\"encounter\":0,\"text\":"
     "\"x\"}}",
     -32602},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"say\",\"params\":{\"encounter\":-1,\"text\":"
     "\"x\"}}",
     -32602},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"say\",\"params\":{\"encounter\":1.5,\"text\":"
     "\"x\"}}",
     -32602},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"say\",\"params\":{\"encounter\":99,\"text\":"
     "\"x\"}}",
     -32602},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"say\",\"params\":{\"encounter\":4294967297,"
     "\"text\":\"x\"}}",
     -32602},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"say\",\"params\":{\"encounter\":1,\"text\":5}"
     "}",
     -32602},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"next\",\"params\":{\"encounter\":9}}", -32602},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"end\",\"params\":{\"encounter\":9}}", -32602},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"block\",\"params\":{\"encounter\":9}}", -32602},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"verify\",\"params\":{\"encounter\":9}}", -32602},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"typing\",\"params\":{\"encounter\":1}}", -32602},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"typing\",\"params\":{\"encounter\":1,\"on\":1}"
     "}",
     -32602},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"path\",\"params\":{\"encounter\":1}}", -32602},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"path\",\"params\":{\"encounter\":9,\"path\":"
     "\"direct\"}}",
     -32602},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"path\",\"params\":{\"encounter\":1,\"path\":"
     "\"any\"}}",
     -32602},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"seek\"}", -32602},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"seek\",\"params\":{\"topics\":\"jazz\"}}", -32602},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"seek\",\"params\":{\"topics\":[]}}", -32602},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"seek\",\"params\":{\"topics\":[\"\"]}}", -32602},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"seek\",\"params\":{\"topics\":[\"  \"]}}", -32602},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"seek\",\"params\":{\"topics\":[\"a\\u0000b\"]}"
     "}",
     -32602},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"seek\",\"params\":{\"topics\":[5]}}", -32602},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"seek\",\"params\":{\"topics\":[\"a\",\"b\","
     "\"c\",\"d\",\"e\","
     "\"f\",\"g\",\"h\",\"i\"]}}",
     -32602},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"seek\",\"params\":{\"topics\":[\"a\"],"
     "\"passs\":\"x\"}}",
     -32602},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"seek\",\"params\":{\"topics\":[\"a\"],"
     "\"pass\":5}}",
     -32602},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"seek\",\"params\":{\"topics\":[\"a\"],"
     "\"card\":[]}}",
     -32602},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"seek\",\"params\":{\"topics\":[\"a\"],"
     "\"card\":{\"purposes\":[\"shouting\"]}}}",
     -32602},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"seek\",\"params\":{\"topics\":[\"a\"],"
     "\"card\":{\"languages\":[\"en\",\"de\",\"fr\",\"it\"]}}}",
     -32602},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"seek\",\"params\":{\"topics\":[\"a\"],"
     "\"wishes\":{\"should\":{}}}}",
     -32602},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"privacy\"}", -32602},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"privacy\",\"params\":{\"mode\":\"some\"}}",
     -32602},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"privacy\",\"params\":{\"mode\":"
     "\"direct\\u0000\"}}",
     -32602},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"cover\",\"params\":{\"encounter\":9,"
     "\"level\":\"low\"}}",
     -32602},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"stop\",\"params\":{\"now\":true}}", -32602},
};

static void test_errors(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof wrong_lines / sizeof *wrong_lines; i++) {
        json_t *o = ask(f, wrong_lines[i].line);
        assert_non_null(o);
        if (code_of(o) != wrong_lines[i].code)
            fail_msg("%s: %d, not %d", wrong_lines[i].line, code_of(o), wrong_lines[i].code);
        json_decref(o);
    }
    assert_false(f->b.api.stop);
    assert_false(f->b.api.privacy_set);
    json_t *o = ask(f, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"status\"}");
    assert_int_equal(code_of(o), 0); // it lives on
    json_decref(o);
}

static void test_ids(void **state)
{
    struct fixture *f = *state;
    json_t *o = ask(f, "{\"jsonrpc\":\"2.0\",\"id\":\"a\\u0000b\",\"method\":\"status\"}");
    assert_int_equal(json_string_length(json_object_get(o, "id")), 3); // not cut at the NUL
    json_decref(o);
    o = ask(f, "{\"jsonrpc\":\"2.0\",\"id\":-17,\"method\":\"nothing\"}");
    assert_int_equal(json_integer_value(json_object_get(o, "id")), -17);
    json_decref(o);
    o = ask(f, "{\"jsonrpc\":\"2.0\",\"id\":2.5,\"method\":\"status\"}");
    assert_true(json_real_value(json_object_get(o, "id")) == 2.5);
    json_decref(o);
    o = ask(f, "{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"status\"}");
    assert_true(json_is_null(json_object_get(o, "id")));
    json_decref(o);
    o = ask(f, "[1,2]");
    assert_true(json_is_null(json_object_get(o, "id")));
    json_decref(o);
}

// Without an id the call is done, and neither result nor error comes back.
static void test_notifications(void **state)
{
    struct fixture *f = *state;
    assert_null(ask(f, "{\"jsonrpc\":\"2.0\",\"method\":\"status\"}"));
    assert_null(ask(f, "{\"jsonrpc\":\"2.0\",\"method\":\"nothing\"}"));
    assert_null(ask(f, "{\"jsonrpc\":\"2.0\",\"method\":\"seek\",\"params\":[1]}"));
    assert_null(ask(f, "{\"jsonrpc\":\"2.0\",\"method\":\"stop\"}"));
    assert_true(f->b.api.stop);
}

static void test_status(void **state)
{
    struct fixture *f = *state;
    json_t *o = ask(f, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"status\",\"params\":{}}");
    json_t *r = json_object_get(o, "result");
    assert_string_equal(json_string_value(json_object_get(r, "privacy")), "direct");
    assert_string_equal(json_string_value(json_object_get(r, "network")), "bauta");
    assert_true(json_is_true(json_object_get(json_object_get(r, "dht"), "server")));
    assert_true(json_is_integer(json_object_get(json_object_get(r, "dht"), "contacts")));
    assert_true(json_is_integer(json_object_get(json_object_get(r, "dht"), "size_estimate")));
    assert_true(json_is_null(json_object_get(json_object_get(r, "reach"), "seen")));
    assert_true(json_is_null(json_object_get(json_object_get(r, "reach"), "mapping")));
    assert_int_equal(json_array_size(json_object_get(r, "encounters")), 0);
    assert_true(json_object_size(json_object_get(r, "dropped")) > 10);
    json_decref(o);
}

static void test_status_mapping(void **state)
{
    struct fixture *f = *state;
    static const uint8_t ip[4] = {80, 1, 2, 3};
    static const struct {
        usec_t until;
        int lease_s;
    } cases[] = {{BENCH_NOW + 90 * USEC_PER_S, 90}, {BENCH_NOW - 1, 0}};
    for (size_t i = 0; i < 2; i++) {
        f->b.api.mapping = (struct api_mapping){
            .protocol = "upnp", .external = path_v4(ip, 7000), .until = cases[i].until};
        json_t *o = ask(f, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"status\"}");
        json_t *m =
            json_object_get(json_object_get(json_object_get(o, "result"), "reach"), "mapping");
        assert_string_equal(json_string_value(json_object_get(m, "protocol")), "upnp");
        assert_string_equal(json_string_value(json_object_get(m, "external")), "80.1.2.3:7000");
        assert_int_equal(json_integer_value(json_object_get(m, "lease_s")), cases[i].lease_s);
        json_decref(o);
    }
}

static void test_encounter(void **state)
{
    struct fixture *f = *state;
    struct node_event ev;
    json_t *o = ask(
        f,
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"seek\",\"params\":{\"topics\":[\"Night  Trains"
        "##secret\",\"jazz\"],\"card\":{\"languages\":[\"en\"],\"purposes\":[\"chat\"]},"
        "\"wishes\":{\"must\":{\"formats\":[\"text\"]},\"rather\":{}}}}");
    assert_int_equal(code_of(o), 0);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(o, "result"), "encounter")),
                     1);
    json_decref(o);

    bool seeking = false;
    while (node_event(f->b.api.node, BENCH_NOW, &ev)) {
        struct api_answer line;
        assert_true(api_notification(&f->b.api, &ev, &line));
        if (ev.kind == NODE_SEEKING) {
            seeking = true;
            assert_string_equal(
                line.line,
                "{\"jsonrpc\":\"2.0\",\"method\":\"seeking\",\"params\":{\"encounter\":1,"
                "\"topics\":[\"Night  Trains\",\"jazz\"]}}\n"); // never the passphrase
        }
        api_answer_free(&line);
    }
    assert_true(seeking);

    static const struct {
        const char *line;
        int code;
    } table[] = {
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"say\",\"params\":{\"encounter\":1,\"text\":"
         "\"x\"}}",
         -32001},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"verify\",\"params\":{\"encounter\":1}}",
         -32001},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"cover\",\"params\":{\"encounter\":1,"
         "\"level\":\"some\"}}",
         -32602},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"cover\",\"params\":{\"encounter\":1}}",
         -32602},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"cover\",\"params\":{\"encounter\":1,"
         "\"level\":\"high\"}}",
         0},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"next\",\"params\":{\"encounter\":1}}", 0},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"end\",\"params\":{\"encounter\":1}}", 0},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"end\",\"params\":{\"encounter\":1}}", 0},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"say\",\"params\":{\"encounter\":1,\"text\":"
         "\"x\"}}",
         -32001},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        o = ask(f, table[i].line);
        assert_int_equal(code_of(o), table[i].code);
        json_decref(o);
        struct node_encounter_status st;
        if (node_encounters(f->b.api.node, &st, 1) == 1)
            assert_int_equal(st.cover, i < 4 ? CHANNEL_COVER_OFF : CHANNEL_COVER_HIGH);
    }
}

static void test_long_text(void **state)
{
    struct fixture *f = *state;
    static const char head[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"say\","
                               "\"params\":{\"encounter\":1,\"text\":\"";
    static const char tail[] = "\"}}";
    enum { HEAD = sizeof head - 1, TEXT = 20480 };
    char *line = malloc(HEAD + TEXT + sizeof tail);
    assert_non_null(line);
    memcpy(line, head, HEAD);
    memset(line + HEAD, 'a', TEXT);
    memcpy(line + HEAD + TEXT, tail, sizeof tail);
    json_t *o = ask(f, line);
    assert_int_equal(code_of(o), -32602);
    assert_non_null(
        strstr(json_string_value(json_object_get(json_object_get(o, "error"), "message")), "long"));
    json_decref(o);
    free(line);
    struct api_answer a;
    api_too_long(&a);
    assert_non_null(strstr(a.line, "-32600"));
    api_answer_free(&a);
}

static void test_privacy_unchosen(void **state)
{
    struct fixture *f = *state;
    static const char seek[] =
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"seek\",\"params\":{\"topics\":[\"a\"]}}";
    json_t *o = ask(f, seek);
    assert_int_equal(code_of(o), -32002);
    assert_non_null(strstr(
        json_string_value(json_object_get(json_object_get(o, "error"), "message")), "privacy"));
    json_decref(o);
    o = ask(
        f,
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"privacy\",\"params\":{\"mode\":\"direct\"}}");
    assert_int_equal(code_of(o), 0);
    assert_true(f->b.api.privacy_set && f->b.api.privacy == NODE_DIRECT);
    json_decref(o);
    o = ask(f, seek);
    assert_int_equal(code_of(o), 0);
    json_decref(o);
}

// What is being sought directly ends when that is no longer wanted, and says why.
static void test_privacy_ends_search(void **state)
{
    static const char seek[] =
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"seek\",\"params\":{\"topics\":[\"a\"]}}";
    static const char direct[] =
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"privacy\",\"params\":{\"mode\":\"direct\"}}";
    static const char relayed[] =
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"privacy\",\"params\":{\"mode\":\"relayed\"}}";
    struct fixture *f = *state;
    struct node_event ev;
    json_decref(ask(f, direct));
    json_decref(ask(f, seek));
    json_decref(ask(f, direct));
    while (node_event(f->b.api.node, BENCH_NOW, &ev))
        assert_int_not_equal(ev.kind, NODE_ENDED);
    json_t *o = ask(f, relayed);
    assert_int_equal(code_of(o), 0);
    json_decref(o);
    assert_true(node_event(f->b.api.node, BENCH_NOW, &ev));
    assert_int_equal(ev.kind, NODE_ENDED);
    assert_int_equal(ev.encounter, 1);
    assert_string_equal(ev.reason, "privacy");
    o = ask(f, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"next\",\"params\":{\"encounter\":1}}");
    assert_int_equal(code_of(o), -32001);
    json_decref(o);
    o = ask(f, seek);
    assert_int_equal(code_of(o), 0);
    json_decref(o);
}

// Who hides seeks through relays, and waits where there is none yet.
static void test_privacy_relayed(void **state)
{
    struct fixture *f = *state;
    json_t *o = ask(
        f, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"seek\",\"params\":{\"topics\":[\"a\"]}}");
    assert_int_equal(code_of(o), 0);
    json_decref(o);
    o = ask(f, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"status\",\"params\":{}}");
    json_t *relays = json_object_get(json_object_get(o, "result"), "relays");
    assert_true(json_is_false(json_object_get(relays, "open")));
    assert_int_equal(json_integer_value(json_object_get(relays, "tunnels")), 0);
    assert_null(json_object_get(json_object_get(o, "result"), "relay"));
    json_decref(o);
}

// A relay talks to nobody; who is public hides no more.
static void test_relay_and_public(void **state)
{
    static const char direct[] =
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"privacy\",\"params\":{\"mode\":\"direct\"}}";
    static const char relayed[] =
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"privacy\",\"params\":{\"mode\":\"relayed\"}}";
    static const char seek[] =
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"seek\",\"params\":{\"topics\":[\"a\"]}}";
    struct fixture *f = *state;
    f->b.api.shown = true;
    json_t *o = ask(f, relayed);
    assert_int_equal(code_of(o), -32602);
    json_decref(o);
    o = ask(f, direct);
    assert_int_equal(code_of(o), 0);
    json_decref(o);
    f->b.api.relay = true;
    o = ask(f, direct);
    assert_int_equal(code_of(o), -32602);
    json_decref(o);
    o = ask(f, seek);
    assert_int_equal(code_of(o), -32002);
    json_decref(o);
}

static void test_subscribe_and_stop(void **state)
{
    struct fixture *f = *state;
    struct api_answer a;
    static const char line[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"subscribe\"}";
    api_line(&f->b.api, BENCH_NOW, line, strlen(line), &a);
    assert_true(a.subscribe);
    assert_string_equal(a.line, "{\"jsonrpc\":\"2.0\",\"result\":{},\"id\":1}\n");
    api_answer_free(&a);
    json_t *o = ask(f, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"stop\"}");
    assert_int_equal(code_of(o), 0);
    assert_true(f->b.api.stop);
    json_decref(o);
}

// Every prefix, and every byte turned: an answer or none, never a crash, and the node lives on.
static void test_torn_lines(void **state)
{
    struct fixture *f = *state;
    static const char line[] =
        "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":\"typing\",\"params\":{\"encounter\":1,"
        "\"on\":true}}";
    char copy[sizeof line];
    for (size_t i = 0; i < sizeof line; i++) {
        json_decref(ask_bytes(f, line, i));
        memcpy(copy, line, sizeof line);
        copy[i] = (char)(copy[i] ^ 0x80);
        json_decref(ask_bytes(f, copy, sizeof line - 1));
    }
}

static void test_events(void **state)
{
    struct fixture *f = *state;
    static const struct {
        struct node_event ev;
        const char *line;
    } table[] = {
        {{.kind = NODE_MESSAGE,
          .encounter = 3,
          .id = 4,
          .text = "a\n\"\x7f\"\0b",
          .len = 7,
          .at_ms = 12345},
         "{\"jsonrpc\":\"2.0\",\"method\":\"message\",\"params\":{\"encounter\":3,\"id\":4,"
         "\"text\":\"a\\n\\\"\x7f\\\"\\u0000b\",\"at\":12345}}\n"},
        {{.kind = NODE_DELIVERED, .encounter = 3, .id = 4},
         "{\"jsonrpc\":\"2.0\",\"method\":\"delivered\",\"params\":{\"encounter\":3,\"id\":4}}\n"},
        {{.kind = NODE_UNDELIVERED, .encounter = 3, .id = 4, .reason = "gone"},
         "{\"jsonrpc\":\"2.0\",\"method\":\"undelivered\",\"params\":{\"encounter\":3,\"id\":4,"
         "\"reason\":\"gone\"}}\n"},
        {{.kind = NODE_TYPING, .encounter = 3, .on = true},
         "{\"jsonrpc\":\"2.0\",\"method\":\"typing\",\"params\":{\"encounter\":3,\"on\":true}}\n"},
        {{.kind = NODE_PATH_WANTED, .encounter = 3, .path = "direct"},
         "{\"jsonrpc\":\"2.0\",\"method\":\"path_wanted\",\"params\":{\"encounter\":3,\"path\":"
         "\"direct\"}}\n"},
        {{.kind = NODE_PATH, .encounter = 3, .path = "relayed"},
         "{\"jsonrpc\":\"2.0\",\"method\":\"path\",\"params\":{\"encounter\":3,\"path\":"
         "\"relayed\"}}\n"},
        {{.kind = NODE_ENDED, .encounter = 3, .reason = "left"},
         "{\"jsonrpc\":\"2.0\",\"method\":\"ended\",\"params\":{\"encounter\":3,\"reason\":"
         "\"left\"}}\n"},
        {{.kind = NODE_PROGRESS,
          .encounter = 3,
          .stage = MEET_CONNECTING,
          .text = "connecting",
          .len = 10},
         "{\"jsonrpc\":\"2.0\",\"method\":\"progress\",\"params\":{\"encounter\":3,\"stage\":"
         "\"connecting\"}}\n"},
        {{.kind = NODE_WARNING, .reason = "clock", .text = "x", .len = 1},
         "{\"jsonrpc\":\"2.0\",\"method\":\"warning\",\"params\":{\"code\":\"clock\",\"text\":"
         "\"x\"}}\n"},
        {{.kind = NODE_MATCHED,
          .encounter = 3,
          .text = "jazz",
          .len = 4,
          .alias = "Amber Heron",
          .words = {"a", "b", "c", "d", "e", "f"},
          .path = "direct"},
         "{\"jsonrpc\":\"2.0\",\"method\":\"matched\",\"params\":{\"encounter\":3,\"topic\":"
         "\"jazz\","
         "\"alias\":\"Amber "
         "Heron\",\"words\":[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\"],\"path\":\"direct\"}}\n"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct api_answer a;
        assert_true(api_notification(&f->b.api, &table[i].ev, &a));
        assert_string_equal(a.line, table[i].line);
        api_answer_free(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ids, setup, teardown),
        cmocka_unit_test_setup_teardown(test_notifications, setup, teardown),
        cmocka_unit_test_setup_teardown(test_status, setup, teardown),
        cmocka_unit_test_setup_teardown(test_status_mapping, setup, teardown),
        cmocka_unit_test_setup_teardown(test_encounter, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long_text, setup, teardown),
        cmocka_unit_test_setup_teardown(test_privacy_unchosen, setup_unchosen, teardown),
        cmocka_unit_test_setup_teardown(test_privacy_ends_search, setup_unchosen, teardown),
        cmocka_unit_test_setup_teardown(test_privacy_relayed, setup_relayed, teardown),
        cmocka_unit_test_setup_teardown(test_relay_and_public, setup, teardown),
        cmocka_unit_test_setup_teardown(test_subscribe_and_stop, setup, teardown),
        cmocka_unit_test_setup_teardown(test_torn_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(test_events, setup, teardown),
    };
    if (sodium_init() < 0)
        return 1;
    api_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
