// `bauta demo`: a network of 20 nodes in one process on loopback, with built-in strangers. The person's
// own node is one of them and listens on the control socket, so `bauta chat` in another terminal uses it.
#include "node/host/run.h"

#include "crypto/bytes.h"
#include "crypto/topic.h"
#include "node/host/bots.h"
#include "node/host/process.h"
#include "node/host/serve.h"
#include "node/host/signals.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define DEMO_GUESTS 19u // with the person's own node: 20
#define DEMO_WANTS_MAX MEET_ENCOUNTERS_MAX
#define DEMO_STORE_BYTES (1u << 20)
#define DEMO_READ_MS 400u // a stranger reads before it writes
#define DEMO_WRITE_MS_MIN 500u
#define DEMO_WRITE_MS_SPREAD 900u
#define DEMO_GIVE_UP_MS                                                                            \
    5000u // a topic that nobody wants any more: the other end may be about to match
#define DEMO_BOOTSTRAPS 3u

static const char *const suggested[] = {"night trains", "the sea", "cooking", "music"};
#define DEMO_SUGGESTED (sizeof suggested / sizeof *suggested)

struct topic_key { // a topic after normalising, to compare
    uint8_t text[TOPIC_BYTES_MAX];
    size_t len; // 0: none
};

enum guest_does { GUEST_IDLE, GUEST_SEEKS, GUEST_TALKS };
enum guest_next { NEXT_NOTHING, NEXT_HELLO, NEXT_WRITE, NEXT_SAY, NEXT_END, NEXT_GIVE_UP };

struct guest {
    struct demo *demo;
    struct host_node *node;
    uv_timer_t timer;
    enum guest_does does;
    enum guest_next next;
    enum bot_kind kind;
    struct bot bot;
    struct topic_key topic;
    char topic_text[BOT_TOPIC_BYTES];
    uint32_t encounter;
    bool leaves; // after the answer that it is about to say
    const char *words[SAS_WORDS];
    char answer[BOT_TEXT_BYTES];
};

struct want {           // what an encounter of the person's own node seeks
    uint32_t encounter; // 0: free
    struct topic_key topic;
    char topic_text[BOT_TOPIC_BYTES];
};

struct demo {
    uv_loop_t loop;
    struct signals signals;
    uv_timer_t balance;
    struct host *host;
    struct serve *serve;
    struct config config;
    struct guest guest[DEMO_GUESTS];
    struct want want[DEMO_WANTS_MAX];
    size_t turn; // whose turn it is to follow, so that kinds take turns
    bool stopping;
    int status;
};

// ---- topics -----------------------------------------------------------------------------------------

static void key_of(struct topic_key *k, const char *text, size_t len)
{
    if (topic_normalise((const uint8_t *)text, len, k->text, &k->len) != BAUTA_OK)
        k->len = 0;
}

static bool key_equal(const struct topic_key *a, const struct topic_key *b)
{
    return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

static struct guest *seeker_of(struct demo *d, const struct topic_key *k)
{
    for (size_t i = 0; i < DEMO_GUESTS; i++)
        if (d->guest[i].does == GUEST_SEEKS && key_equal(&d->guest[i].topic, k))
            return &d->guest[i];
    return NULL;
}

static bool wanted(const struct demo *d, const struct topic_key *k)
{
    struct topic_key s;
    for (size_t i = 0; i < DEMO_SUGGESTED; i++) {
        key_of(&s, suggested[i], strlen(suggested[i]));
        if (key_equal(&s, k))
            return true;
    }
    for (size_t i = 0; i < DEMO_WANTS_MAX; i++)
        if (d->want[i].encounter != 0 && key_equal(&d->want[i].topic, k))
            return true;
    return false;
}

// ---- guests -----------------------------------------------------------------------------------------

static void guest_seek(struct guest *g, const struct topic_key *k, const char *text)
{
    struct node_topic topic = {text, strlen(text), NULL, 0};
    struct card card = {0};
    struct wishes wishes = {0};
    if (node_seek(host_node_machine(g->node), host_now(g->demo->host), &topic, 1, &card, &wishes,
                  &g->encounter) == BAUTA_OK) {
        g->does = GUEST_SEEKS;
        g->next = NEXT_NOTHING;
        g->topic = *k;
        snprintf(g->topic_text, sizeof g->topic_text, "%s", text);
    }
    host_node_turn(g->node);
}

static void guest_end(struct guest *g)
{
    if (g->does != GUEST_IDLE)
        (void)node_end(host_node_machine(g->node), host_now(g->demo->host), g->encounter);
    g->does = GUEST_IDLE;
    g->next = NEXT_NOTHING;
    g->encounter = 0;
    host_node_turn(g->node);
}

static void guest_later(struct guest *g, enum guest_next next, uint64_t ms);

// One seeker for each topic that somebody may choose or has chosen, and none for others.
static void on_balance(uv_timer_t *timer)
{
    struct demo *d = timer->data;
    struct topic_key k;
    for (size_t i = 0; i < DEMO_GUESTS; i++)
        if (d->guest[i].does == GUEST_SEEKS && d->guest[i].next == NEXT_NOTHING &&
            !wanted(d, &d->guest[i].topic))
            guest_later(&d->guest[i], NEXT_GIVE_UP, DEMO_GIVE_UP_MS);
    for (size_t i = 0; i < DEMO_SUGGESTED + DEMO_WANTS_MAX; i++) {
        const char *text =
            i < DEMO_SUGGESTED ? suggested[i] : d->want[i - DEMO_SUGGESTED].topic_text;
        if (i >= DEMO_SUGGESTED && d->want[i - DEMO_SUGGESTED].encounter == 0)
            continue;
        key_of(&k, text, strlen(text));
        if (k.len == 0 || seeker_of(d, &k) != NULL)
            continue;
        for (size_t tries = 0; tries < DEMO_GUESTS; tries++) {
            struct guest *g = &d->guest[d->turn++ % DEMO_GUESTS];
            if (g->does == GUEST_IDLE) {
                guest_seek(g, &k, text);
                break;
            }
        }
    }
}

static void balance_soon(struct demo *d)
{
    if (!d->stopping)
        uv_timer_start(&d->balance, on_balance, 0, 0);
}

static void on_guest_timer(uv_timer_t *timer)
{
    struct guest *g = timer->data;
    struct node *n = host_node_machine(g->node);
    usec_t now = host_now(g->demo->host);
    enum guest_next next = g->next;
    uint32_t id;
    g->next = NEXT_NOTHING;
    switch (next) {
    case NEXT_HELLO:
    case NEXT_SAY:
        if (next == NEXT_HELLO)
            bot_hello(&g->bot, g->answer);
        (void)node_typing(n, now, g->encounter, false);
        (void)node_say(n, now, g->encounter, (const uint8_t *)g->answer, strlen(g->answer), &id);
        host_node_turn(g->node);
        if (next == NEXT_SAY && g->leaves)
            guest_later(g, NEXT_END, DEMO_WRITE_MS_MIN + DEMO_WRITE_MS_SPREAD);
        break;
    case NEXT_WRITE:
        (void)node_typing(n, now, g->encounter, true);
        host_node_turn(g->node);
        guest_later(g, NEXT_SAY, DEMO_WRITE_MS_MIN + randombytes_uniform(DEMO_WRITE_MS_SPREAD));
        break;
    case NEXT_END:
        guest_end(g);
        balance_soon(g->demo);
        break;
    case NEXT_GIVE_UP:
        if (g->does == GUEST_SEEKS && !wanted(g->demo, &g->topic))
            guest_end(g);
        break;
    case NEXT_NOTHING:
        break;
    }
}

static void guest_later(struct guest *g, enum guest_next next, uint64_t ms)
{
    if (g->demo->stopping)
        return;
    g->next = next;
    uv_timer_start(&g->timer, on_guest_timer, ms, 0);
}

static void guest_matched(struct guest *g, const struct node_event *ev)
{
    struct demo *d = g->demo;
    g->does = GUEST_TALKS;
    g->leaves = false;
    memcpy(g->words, ev->words, sizeof g->words);
    bot_start(&g->bot, g->kind, ev->text, ev->len, randombytes_random());
    for (size_t i = 0; i < DEMO_GUESTS; i++) {
        struct guest *o = &d->guest[i];
        bool same = o != g && o->does == GUEST_TALKS;
        for (size_t w = 0; same && w < SAS_WORDS; w++)
            same = strcmp(o->words[w], g->words[w]) == 0;
        if (same) { // two programs have found each other: nobody would hear them
            guest_later(o, NEXT_END, 0);
            guest_later(g, NEXT_END, 0);
            return;
        }
    }
    guest_later(g, NEXT_HELLO, DEMO_WRITE_MS_MIN);
}

static void on_guest_event(void *ctx, struct host_node *node, const struct node_event *ev)
{
    struct guest *g = ctx;
    (void)node;
    if (ev->encounter != g->encounter || g->does == GUEST_IDLE)
        return;
    switch (ev->kind) {
    case NODE_MATCHED:
        guest_matched(g, ev);
        balance_soon(g->demo);
        break;
    case NODE_MESSAGE:
        if (g->next == NEXT_END || g->leaves)
            break;
        g->leaves = bot_answer(&g->bot, ev->text, ev->len, g->answer);
        guest_later(g, NEXT_WRITE, DEMO_READ_MS);
        break;
    case NODE_ENDED:
        guest_later(g, NEXT_END, 0);
        break;
    default:
        break;
    }
}

// ---- the person's own node ----------------------------------------------------------------------------

static void set_want(struct demo *d, const struct node *n, uint32_t encounter)
{
    size_t len;
    const char *text = node_encounter_topic(n, encounter, 0, &len);
    struct want *w = NULL;
    for (size_t i = 0; i < DEMO_WANTS_MAX; i++)
        if (d->want[i].encounter == encounter || (w == NULL && d->want[i].encounter == 0))
            w = &d->want[i];
    if (w == NULL || text == NULL || len >= sizeof w->topic_text)
        return;
    w->encounter = encounter;
    memcpy(w->topic_text, text, len);
    w->topic_text[len] = 0;
    key_of(&w->topic, text, len);
}

static void on_own_event(void *ctx, struct host_node *node, const struct node_event *ev)
{
    struct demo *d = ctx;
    if (ev->kind == NODE_SEEKING) {
        set_want(d, host_node_machine(node), ev->encounter);
        balance_soon(d);
    } else if (ev->kind == NODE_MATCHED || ev->kind == NODE_ENDED) {
        for (size_t i = 0; i < DEMO_WANTS_MAX; i++)
            if (d->want[i].encounter == ev->encounter)
                memset(&d->want[i], 0, sizeof d->want[i]);
        balance_soon(d);
    }
}

// ---- start and end ------------------------------------------------------------------------------------

static void say_hello(const struct demo *d, const struct serve *s)
{
    char other[HOST_PATH_BYTES + 16] = "";
    if (d->config.control[0] != 0)
        snprintf(other, sizeof other, " --control %s", serve_control_path(s));
    puts("A network of 20 nodes is running on this computer. Nothing of it leaves the computer.");
    puts("The strangers in it are small programs, not people. They come to whatever topic you "
         "choose");
    fputs("(a ##passphrase keeps them out too), for instance: ", stdout);
    for (size_t i = 0; i < DEMO_SUGGESTED; i++)
        printf("%s%s", suggested[i], i + 1 < DEMO_SUGGESTED ? ", " : ".\n");
    printf("Open another terminal and type:  build/bauta chat --plain%s\n", other);
    printf("Another node on this computer joins with:  --lab --network demo --bootstrap %s\n",
           serve_contact(s));
    puts("Ready. Ctrl-C ends it.");
    fflush(stdout);
}

static void demo_close(struct demo *d)
{
    if (d->stopping)
        return;
    d->stopping = true;
    signals_close(&d->signals);
    uv_close((uv_handle_t *)&d->balance, NULL);
    for (size_t i = 0; i < DEMO_GUESTS; i++)
        if (d->guest[i].node != NULL)
            uv_close((uv_handle_t *)&d->guest[i].timer, NULL);
}

static void on_ended(void *ctx)
{
    struct demo *d = ctx;
    demo_close(d);
    for (size_t i = 0; i < DEMO_GUESTS; i++)
        if (d->guest[i].node != NULL)
            guest_end(&d->guest[i]); // says goodbye to whoever came from another process
    host_free(d->host);
}

static void on_ready(void *ctx, struct serve *s, int status, const char *error)
{
    struct demo *d = ctx;
    if (status != EXIT_OK) {
        d->status = process_fail(status, "%s", error);
        return;
    }
    say_hello(d, s);
    balance_soon(d);
}

static void on_end(void *ctx)
{
    struct demo *d = ctx;
    serve_stop(d->serve);
}

static int open_guests(struct demo *d, char *error)
{
    static const uint8_t loopback[4] = {127, 0, 0, 1};
    for (size_t i = 0; i < DEMO_GUESTS; i++) {
        struct guest *g = &d->guest[i];
        struct host_node_config hc = {.listens = 1, .event = on_guest_event, .ctx = g};
        hc.listen[0] = path_v4(loopback, 0);
        hc.node.network = d->config.network;
        hc.node.server = hc.node.listed = hc.node.lab = true;
        hc.node.privacy = NODE_DIRECT;
        hc.node.store_bytes_max = DEMO_STORE_BYTES;
        randombytes_buf(hc.node.secret, sizeof hc.node.secret);
        g->demo = d;
        g->kind = (enum bot_kind)(i % BOT_KINDS);
        int rc = host_node_open(d->host, &hc, &g->node, error);
        sodium_memzero(&hc, sizeof hc);
        if (rc != 0) {
            g->node = NULL;
            return rc;
        }
        uv_timer_init(&d->loop, &g->timer);
        g->timer.data = g;
        for (size_t b = 0; b < d->config.bootstraps; b++)
            (void)host_node_bootstrap(g->node, &d->config.bootstrap[b].contact);
        if (d->config.bootstraps < DEMO_BOOTSTRAPS &&
            host_node_contact(g->node, &d->config.bootstrap[d->config.bootstraps].contact))
            d->config.bootstraps++;
    }
    return 0;
}

static int start(struct demo *d)
{
    char error[HOST_ERROR_BYTES] = "";
    static const uint8_t loopback[4] = {127, 0, 0, 1};
    int rc = host_new(&d->host, &d->loop);
    if (rc != 0)
        return process_fail(EXIT_FAILED, "can't start: %s", uv_strerror(rc));
    snprintf(d->config.network, sizeof d->config.network, "demo");
    d->config.listen[0] = path_v4(loopback, 0);
    d->config.listens = 1;
    d->config.lab = true;
    d->config.no_lan = true; // all of it is on this computer
    d->config.privacy = NODE_DIRECT;
    rc = open_guests(d, error);
    struct serve_config sc = {.config = &d->config,
                              .host = d->host,
                              .ready = on_ready,
                              .ended = on_ended,
                              .event = on_own_event,
                              .ctx = d};
    if (rc == 0)
        rc = serve_start(&d->serve, &d->loop, &sc);
    if (rc == 0)
        return EXIT_OK;
    demo_close(d);
    host_free(d->host);
    return process_fail(EXIT_FAILED, "%s", error[0] != 0 ? error : uv_strerror(rc));
}

int run_demo(const struct config *c)
{
    static struct demo d; // 20 nodes' worth of texts: too much for a stack
    d.config = *c;
    int rc = uv_loop_init(&d.loop);
    if (rc != 0)
        return process_fail(EXIT_FAILED, "can't start: %s", uv_strerror(rc));
    uv_timer_init(&d.loop, &d.balance);
    d.balance.data = &d;
    signals_open(&d.signals, &d.loop, on_end, &d);
    d.status = start(&d);
    uv_run(&d.loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&d.loop);
    return d.status;
}
