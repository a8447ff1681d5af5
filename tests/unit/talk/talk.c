// Two ends of a conversation joined by a pipe of our own, cut wherever a stream could cut.
#include "node/talk/talk.h"

#include "crypto/bytes.h"
#include "node/talk/message.h"
#include "tests/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct end {
    struct arena arena;
    struct talk *talk;
    uint8_t in[65536]; // what the peer sent and talk has not taken
    size_t in_bytes;
    struct talk_event log[1024];
    char text[1024][64];
    size_t events;
};

static struct end ana, ben;

static void open_end(struct end *e, size_t cap_bytes)
{
    memset(e, 0, sizeof *e);
    memory_arena(&e->arena, cap_bytes);
    assert_int_equal(talk_new(&e->talk, &e->arena), 0);
}

static int setup(void **state)
{
    (void)state;
    open_end(&ana, 8u << 20);
    open_end(&ben, 8u << 20);
    return 0;
}

// Everything that was taken from the arena has to be back after talk_free.
static int teardown(void **state)
{
    (void)state;
    struct end *both[2] = {&ana, &ben};
    for (int i = 0; i < 2; i++) {
        talk_free(both[i]->talk);
        if (both[i]->arena.used_bytes != 0)
            return -1;
        arena_end(&both[i]->arena);
    }
    return 0;
}

static void drain(struct end *e)
{
    struct talk_event ev;
    while (talk_event(e->talk, &ev)) {
        assert_true(e->events < 1024);
        if (ev.kind == TALK_TEXT)
            snprintf(e->text[e->events], 64, "%.*s", (int)(ev.len < 63 ? ev.len : 63),
                     (const char *)ev.text);
        e->log[e->events++] = ev;
    }
}

// Moves all of a's output to b in pieces of at most `piece` bytes. Returns b's last result.
static int pump(struct end *a, struct end *b, size_t piece)
{
    const uint8_t *data;
    size_t n;
    int rc = 0;
    while ((n = talk_output(a->talk, &data)) > 0) {
        if (n > piece)
            n = piece;
        memcpy(b->in, data, n);
        talk_taken(a->talk, n);
        for (size_t done = 0; done < n;) {
            rc = talk_input(b->talk, b->in + done, n - done);
            if (rc < 0)
                return rc;
            done += (size_t)rc;
            drain(b);
        }
    }
    return rc;
}

static int say(struct end *e, uint32_t id, const char *text)
{
    return talk_say(e->talk, id, (const uint8_t *)text, strlen(text));
}

static int feed(struct end *e, const struct talk_message *m)
{
    static uint8_t frame[TALK_MAP_BYTES_MAX + 2];
    size_t n = talk_message_encode(frame, sizeof frame, m);
    assert_true(n > 0);
    return talk_input(e->talk, frame, n);
}

static void in_order_at_any_cut(void **state)
{
    (void)state;
    for (size_t piece = 1; piece < 40; piece++) {
        ana.events = ben.events = 0;
        for (uint32_t i = 0; i < 20; i++) {
            char text[32];
            snprintf(text, sizeof text, "line %u", i);
            assert_int_equal(say(&ana, 1000 + 7 * i, text), 0);
        }
        assert_true(pump(&ana, &ben, piece) >= 0);
        assert_int_equal(ben.events, 20);
        for (uint32_t i = 0; i < 20; i++) {
            char text[32];
            snprintf(text, sizeof text, "line %u", i);
            assert_string_equal(ben.text[i], text);
            assert_int_equal(ben.log[i].kind, TALK_TEXT);
        }
        assert_true(pump(&ben, &ana, piece) >= 0);
        assert_int_equal(ana.events, 20);
        for (uint32_t i = 0; i < 20; i++) {
            assert_int_equal(ana.log[i].kind, TALK_DELIVERED);
            assert_int_equal(ana.log[i].id, 1000 + 7 * i);
        }
        assert_int_equal(talk_undelivered(ana.talk), 0);
    }
}

// Input stops while an event waits, and goes on after it.
static void input_waits_for_the_reader(void **state)
{
    (void)state;
    uint8_t two[128];
    struct talk_message m = {
        .kind = TALK_KIND_TEXT, .id = 1, .text = (const uint8_t *)"one", .len = 3};
    size_t first = talk_message_encode(two, sizeof two, &m);
    m.id = 2;
    m.text = (const uint8_t *)"two";
    size_t n = first + talk_message_encode(two + first, sizeof two - first, &m);
    assert_int_equal(talk_input(ben.talk, two, n), (int)first);
    assert_int_equal(talk_input(ben.talk, two + first, n - first), 0);
    struct talk_event e;
    assert_true(talk_event(ben.talk, &e));
    assert_memory_equal(e.text, "one", 3);
    assert_int_equal(talk_input(ben.talk, two + first, n - first), (int)(n - first));
    assert_true(talk_event(ben.talk, &e));
    assert_memory_equal(e.text, "two", 3);
    assert_false(talk_event(ben.talk, &e));
}

// No receipt before the text was handed out; then one for all that came meanwhile.
static void receipts_merge(void **state)
{
    (void)state;
    const uint8_t *data;
    for (uint32_t i = 1; i <= 200; i++) {
        struct talk_message m = {
            .kind = TALK_KIND_TEXT, .id = i, .text = (const uint8_t *)"x", .len = 1};
        assert_true(feed(&ben, &m) > 0);
        if (i == 1)
            assert_int_equal(talk_output(ben.talk, &data), 0);
        drain(&ben);
    }
    assert_int_equal(ben.events, 200);
    size_t n = talk_output(ben.talk, &data);
    struct talk_message got;
    assert_int_equal(talk_message_decode(&got, data + 2, n - 2), 0);
    assert_int_equal(got.kind, TALK_KIND_DELIVERED);
    assert_int_equal(got.id, 200);
    talk_taken(ben.talk, n);
    assert_int_equal(talk_output(ben.talk, &data), 0);
}

static void duplicates_are_dropped_and_acknowledged(void **state)
{
    (void)state;
    const uint8_t *data;
    struct talk_message m = {
        .kind = TALK_KIND_TEXT, .id = 5, .text = (const uint8_t *)"once", .len = 4};
    for (int i = 0; i < 3; i++) {
        assert_true(feed(&ben, &m) > 0);
        drain(&ben);
        size_t n = talk_output(ben.talk, &data);
        assert_true(n > 0);
        struct talk_message got;
        assert_int_equal(talk_message_decode(&got, data + 2, n - 2), 0);
        assert_int_equal(got.kind, TALK_KIND_DELIVERED);
        assert_int_equal(got.id, 5);
        talk_taken(ben.talk, n);
    }
    m.id = 4; // older than what was heard: a repetition too
    assert_true(feed(&ben, &m) > 0);
    drain(&ben);
    assert_int_equal(ben.events, 1);
}

// A receipt for what was never wholly sent breaks the rules, and nothing is read after that.
static void false_receipts(void **state)
{
    (void)state;
    struct talk_message m = {.kind = TALK_KIND_DELIVERED, .id = 1};
    const uint8_t *data;
    assert_int_equal(say(&ana, 9, "half"), 0);
    size_t n = talk_output(ana.talk, &data);
    talk_taken(ana.talk, n - 1);
    assert_int_equal(feed(&ana, &m), BAUTA_EFORMAT);
    m = (struct talk_message){.kind = TALK_KIND_TYPING, .on = true};
    assert_int_equal(feed(&ana, &m), BAUTA_EFORMAT);
    drain(&ana);
    assert_int_equal(ana.events, 0);
    assert_int_equal(talk_undelivered(ana.talk), 9);
    assert_int_equal(talk_undelivered(ana.talk), 0);
    assert_int_equal(talk_output(ana.talk, &data), 0);
}

static void undelivered_are_named_oldest_first(void **state)
{
    (void)state;
    for (uint32_t i = 1; i <= 5; i++)
        assert_int_equal(say(&ana, 10 * i, "text"), 0);
    // Two reach Ben, who answers; the third is under way; two never left.
    const uint8_t *data;
    for (int i = 0; i < 3; i++) {
        size_t n = talk_output(ana.talk, &data);
        if (i < 2)
            assert_int_equal(talk_input(ben.talk, data, n), (int)n);
        talk_taken(ana.talk, n);
        drain(&ben);
    }
    assert_true(pump(&ben, &ana, 3) >= 0);
    assert_int_equal(ana.events, 2);
    assert_int_equal(ana.log[1].id, 20);
    assert_int_equal(talk_undelivered(ana.talk), 30);
    assert_int_equal(talk_undelivered(ana.talk), 40);
    assert_int_equal(talk_undelivered(ana.talk), 50);
    assert_int_equal(talk_undelivered(ana.talk), 0);
}

static void typing_keeps_the_newest(void **state)
{
    (void)state;
    assert_int_equal(talk_typing(ana.talk, true), 0);
    assert_true(pump(&ana, &ben, 100) >= 0);
    assert_int_equal(ben.events, 1);
    assert_true(ben.log[0].kind == TALK_TYPING && ben.log[0].on);
    for (int i = 0; i < 100; i++)
        assert_int_equal(talk_typing(ana.talk, i % 2 == 0), 0);
    assert_int_equal(say(&ana, 1, "done"), 0);
    assert_true(pump(&ana, &ben, 100) >= 0);
    assert_int_equal(ben.events, 3); // the text, then one off
    assert_int_equal(ben.log[1].kind, TALK_TEXT);
    assert_true(ben.log[2].kind == TALK_TYPING && !ben.log[2].on);
    const uint8_t *data;
    assert_int_equal(talk_typing(ana.talk, false), 0);
    assert_int_equal(talk_output(ana.talk, &data), 0);
}

// How it shall run goes before texts that wait, and only the newest word on it.
static void path_is_told_at_once(void **state)
{
    (void)state;
    static const uint8_t at[] = {4, 192, 0, 2, 1, 0x51, 0x23};
    assert_int_equal(say(&ana, 1, "first"), 0);
    assert_int_equal(talk_path(ana.talk, TALK_PATH_DIRECT, NULL, 0), 0);
    assert_int_equal(talk_path(ana.talk, TALK_PATH_RELAYED, at, sizeof at), 0);
    assert_true(pump(&ana, &ben, 100) >= 0);
    assert_int_equal(ben.events, 2);
    assert_int_equal(ben.log[0].kind, TALK_PATH);
    assert_int_equal(ben.log[0].path, TALK_PATH_RELAYED);
    assert_int_equal(ben.log[0].len, sizeof at);
    assert_int_equal(ben.log[1].kind, TALK_TEXT);
    assert_string_equal(ben.text[1], "first");
    assert_int_equal(talk_leave(ana.talk, 0), 0);
    assert_int_equal(talk_path(ana.talk, TALK_PATH_DIRECT, NULL, 0), BAUTA_ESTATE);
}

static void leave_is_the_last_word(void **state)
{
    (void)state;
    assert_int_equal(say(&ana, 1, "bye"), 0);
    assert_int_equal(talk_typing(ana.talk, true), 0);
    assert_int_equal(talk_leave(ana.talk, 3), 0);
    assert_int_equal(talk_leave(ana.talk, 4), BAUTA_ESTATE);
    assert_int_equal(say(&ana, 2, "no"), BAUTA_ESTATE);
    assert_int_equal(talk_typing(ana.talk, false), BAUTA_ESTATE);
    assert_true(pump(&ana, &ben, 5) >= 0);
    assert_int_equal(ben.events, 2);
    assert_string_equal(ben.text[0], "bye");
    assert_int_equal(ben.log[1].kind, TALK_LEFT);
    assert_int_equal(ben.log[1].reason, 3);
    assert_int_equal(say(&ben, 2, "too late"), BAUTA_ESTATE);
    // What comes after it is taken and dropped, however wrong.
    assert_int_equal(talk_input(ben.talk, (const uint8_t *)"\0\0\xff\xff", 4), 4);
    drain(&ben);
    assert_int_equal(ben.events, 2);
}

static void queue_is_bounded(void **state)
{
    (void)state;
    for (uint32_t i = 1; i <= TALK_QUEUE_MESSAGES_MAX; i++)
        assert_int_equal(say(&ana, i, "short"), 0);
    assert_int_equal(say(&ana, 999, "one more"), BAUTA_ELIMIT);
    assert_true(pump(&ana, &ben, 64) >= 0);
    assert_int_equal(say(&ana, 999, "not yet delivered"), BAUTA_ELIMIT);
    assert_true(pump(&ben, &ana, 64) >= 0);
    assert_int_equal(say(&ana, 999, "now"), 0);

    static uint8_t longest[TALK_TEXT_BYTES_MAX];
    memset(longest, 'z', sizeof longest);
    unsigned taken = 0;
    int rc;
    while ((rc = talk_say(ben.talk, taken + 1, longest, sizeof longest)) == 0)
        taken++;
    assert_int_equal(rc, BAUTA_ELIMIT);
    assert_int_equal(taken, TALK_QUEUE_BYTES_MAX / (TALK_TEXT_BYTES_MAX + 15));
}

static void refuses_bad_own_text(void **state)
{
    (void)state;
    const uint8_t *data;
    assert_int_equal(say(&ana, 1, ""), BAUTA_EFORMAT);
    assert_int_equal(say(&ana, 1, "\x1b[31mred"), BAUTA_EFORMAT);
    assert_int_equal(say(&ana, 1, "\xff"), BAUTA_EFORMAT);
    assert_int_equal(say(&ana, 0, "no id"), BAUTA_EFORMAT);
    assert_int_equal(talk_output(ana.talk, &data), 0);
}

static void frames_are_bounded(void **state)
{
    (void)state;
    size_t used = ben.arena.used_bytes;
    struct wr w = wr_init(ben.in, 2);
    wr_le16(&w, TALK_MAP_BYTES_MAX + 1);
    assert_int_equal(talk_input(ben.talk, ben.in, 2), BAUTA_ELIMIT);
    assert_int_equal(talk_input(ben.talk, ben.in, 2), BAUTA_ELIMIT);
    assert_int_equal(ben.arena.used_bytes, used);
    w = wr_init(ana.in, 2);
    wr_le16(&w, 0);
    assert_int_equal(talk_input(ana.talk, ana.in, 2), BAUTA_EFORMAT);
}

// The arena at its cap at every possible point: an error, never a crash, nothing kept.
static void out_of_memory(void **state)
{
    (void)state;
    static uint8_t text[3000];
    memset(text, 'm', sizeof text);
    bool all = false;
    for (size_t cap = 256; !all; cap += 64) {
        struct end tiny = {0};
        memory_arena(&tiny.arena, cap);
        int rc = talk_new(&tiny.talk, &tiny.arena);
        if (rc == 0) {
            rc = talk_say(tiny.talk, 1, text, sizeof text);
            struct talk_message m = {
                .kind = TALK_KIND_TEXT, .id = 1, .text = text, .len = sizeof text};
            int in = feed(&tiny, &m);
            assert_true(in > 0 || in == BAUTA_ESPACE);
            all = rc == 0 && in > 0;
            talk_free(tiny.talk);
        }
        assert_true(rc == 0 || rc == BAUTA_ESPACE);
        assert_int_equal(tiny.arena.used_bytes, 0);
        arena_end(&tiny.arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(in_order_at_any_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(input_waits_for_the_reader, setup, teardown),
        cmocka_unit_test_setup_teardown(receipts_merge, setup, teardown),
        cmocka_unit_test_setup_teardown(duplicates_are_dropped_and_acknowledged, setup, teardown),
        cmocka_unit_test_setup_teardown(false_receipts, setup, teardown),
        cmocka_unit_test_setup_teardown(undelivered_are_named_oldest_first, setup, teardown),
        cmocka_unit_test_setup_teardown(typing_keeps_the_newest, setup, teardown),
        cmocka_unit_test_setup_teardown(path_is_told_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(leave_is_the_last_word, setup, teardown),
        cmocka_unit_test_setup_teardown(queue_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_bad_own_text, setup, teardown),
        cmocka_unit_test_setup_teardown(frames_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(out_of_memory, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
