// flood: two people talk; one of their nodes is a server that gets a flood of forged first datagrams. Three
// processes beside this one: the server, the rest of the network with the other person, and who floods.
#include "tools/bench/bench.h"
#include "tools/bench/network.h"
#include "tools/bench/shoot.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SERVERS 4u       // beside the one that is flooded
#define SAY_EVERY_S 0.02 // each of the two
#define ROUND_MESSAGES 4096u
#define ROUNDS (1 + 2 * FORGE_KINDS) // quiet; each kind, and after it
#define QUIET_S 1.0
#define SETTLE_S 5.0 // at most, for what is on its way at the end of a round
#define MEET_S 20.0
#define LOAD_S 1.2 // the flooder makes its datagrams; nobody measures then
#define POLL_US 2000

struct round {
    atomic_uint said, delivered, undelivered, slow; // slow: later than a second
    double ms[2][ROUND_MESSAGES];                   // of each end
    atomic_uint n[2];
};
struct shared {
    atomic_bool stop, ready, matched[2], failed;
    atomic_int round; // -1: nobody speaks
    struct contact victim, first;
    atomic_ullong datagrams, received_bytes, answered, user_us;
    struct round r[ROUNDS];
    struct shot shot[FORGE_KINDS];
};

struct said {
    uint32_t id;
    int round;
    double at;
};
struct end {
    struct bench_network net;
    struct shared *s;
    struct host_node *node;
    unsigned who; // 0: the server that is flooded
    uint32_t encounter;
    double next;
    struct said said[ROUND_MESSAGES];
    uv_timer_t timer;
};

static void outcome(struct end *e, uint32_t id, bool delivered)
{
    struct said *m = &e->said[id % ROUND_MESSAGES];
    if (m->id != id || id == 0)
        return;
    struct round *r = &e->s->r[m->round];
    double ms = (bench_now_s() - m->at) * 1000;
    m->id = 0;
    if (!delivered) {
        r->undelivered++;
        return;
    }
    unsigned i = r->n[e->who]++;
    if (i < ROUND_MESSAGES)
        r->ms[e->who][i] = ms;
    r->slow += ms > 1000;
    r->delivered++;
}

static void on_event(void *ctx, struct host_node *node, const struct node_event *ev)
{
    struct end *e = ctx;
    (void)node;
    if (ev->kind == NODE_MATCHED)
        e->s->matched[e->who] = true;
    else if (ev->kind == NODE_DELIVERED || ev->kind == NODE_UNDELIVERED)
        outcome(e, ev->id, ev->kind == NODE_DELIVERED);
    else if (ev->kind == NODE_ENDED)
        e->s->failed = true;
}

static void speak(struct end *e, int round, double now)
{
    static const uint8_t text[] = "a line that somebody types, of an ordinary length";
    uint32_t id = 0;
    if (node_say(host_node_machine(e->node), host_now(e->net.host), e->encounter, text,
                 sizeof text - 1, &id) != 0)
        return;
    struct said *m = &e->said[id % ROUND_MESSAGES];
    *m = (struct said){id, round, now};
    e->s->r[round].said++;
    host_node_turn(e->node);
}

static void on_tick(uv_timer_t *t)
{
    struct end *e = t->data;
    struct shared *s = e->s;
    double now = bench_now_s();
    int round = s->round;
    if (s->stop)
        uv_stop(&e->net.loop);
    if (e->who == 0) {
        struct node_status st;
        struct rusage ru;
        node_status(host_node_machine(e->node), host_now(e->net.host), &st);
        getrusage(RUSAGE_SELF, &ru);
        s->datagrams = st.datagrams_in;
        s->received_bytes = st.bytes_in;
        s->answered = st.datagrams_out;
        s->user_us = (unsigned long long)ru.ru_utime.tv_sec * 1000000 +
                     (unsigned long long)ru.ru_utime.tv_usec;
    }
    if (round < 0 || now < e->next || e->encounter == 0)
        return;
    e->next = now + SAY_EVERY_S;
    speak(e, round, now);
}

static int seek(struct end *e)
{
    struct node_topic t = {.text = "flood", .len = 5};
    struct card card = {0};
    struct wishes wishes = {0};
    int rc = node_seek(host_node_machine(e->node), host_now(e->net.host), &t, 1, &card, &wishes,
                       &e->encounter);
    host_node_turn(e->node);
    return rc;
}

static int end_run(struct end *e)
{
    e->timer.data = e;
    uv_timer_init(&e->net.loop, &e->timer);
    uv_timer_start(&e->timer, on_tick, 2, 2);
    double start = bench_now_s();
    unsigned want = e->who == 0 ? SERVERS : SERVERS + 1;
    while (!bench_network_knows(&e->net, e->node, want) && bench_now_s() - start < MEET_S)
        uv_run(&e->net.loop, UV_RUN_ONCE);
    if (seek(e) != 0)
        return 1;
    uv_run(&e->net.loop, UV_RUN_DEFAULT);
    return 0;
}

static int victim_run(struct shared *s)
{
    static struct end e;
    e.s = s;
    if (bench_network_open(&e.net, 0) != 0)
        return 1;
    e.node = bench_network_node(&e.net, on_event, &e, true);
    if (e.node == NULL || !host_node_contact(e.node, &s->victim))
        return 1;
    (void)host_node_bootstrap(e.node, &s->first);
    return end_run(&e);
}

static int other_run(struct shared *s)
{
    static struct end e;
    e.s = s;
    e.who = 1;
    if (bench_network_open(&e.net, SERVERS) != 0)
        return 1;
    s->first = e.net.first;
    s->ready = true;
    e.node = bench_network_node(&e.net, on_event, &e, false);
    if (e.node == NULL)
        return 1;
    (void)host_node_bootstrap(e.node, &e.net.first);
    return end_run(&e);
}

static pid_t start(int (*run)(struct shared *), struct shared *s)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(run(s));
    return pid;
}

static bool wait_for(const struct shared *s, const atomic_bool *flag, double seconds)
{
    double from = bench_now_s();
    while (!*flag && !s->failed && bench_now_s() - from < seconds)
        usleep(POLL_US);
    return *flag && !s->failed;
}

static void pass(double seconds)
{
    usleep((useconds_t)(seconds * 1e6));
}

static void speak_for(struct shared *s, int round, double seconds)
{
    s->round = round;
    pass(seconds);
    s->round = -1;
}

static void settle(const struct round *r)
{
    double from = bench_now_s();
    while (r->delivered + r->undelivered < r->said && bench_now_s() - from < SETTLE_S)
        pass(POLL_US * 1e-6);
}

static double cpu_of(pid_t pid)
{
    clockid_t clock;
    struct timespec t;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &t) != 0)
        return 0;
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

// Of both ends together.
static size_t sorted(const struct round *r, double *ms)
{
    size_t n = 0;
    for (unsigned who = 0; who < 2; who++)
        for (unsigned i = 0; i < r->n[who] && i < ROUND_MESSAGES; i++)
            ms[n++] = r->ms[who][i];
    bench_sort(ms, n);
    return n;
}

static void print_ms(const char *what, const struct round *r)
{
    static double ms[2 * ROUND_MESSAGES];
    size_t n = sorted(r, ms);
    printf("\"%smessages\": %u, \"%sms_p50\": %.2f, \"%sms_p99\": %.2f, \"%sms_max\": %.2f, "
           "\"%slost\": %u, \"%slater_than_1_s\": %u",
           what, r->said, what, bench_quantile(ms, n, 0.5), what, bench_quantile(ms, n, 0.99), what,
           n > 0 ? ms[n - 1] : 0, what, r->said - r->delivered, what, r->slow);
}

static bool good(const struct round *r)
{
    return r->said > 0 && r->delivered == r->said && r->slow == 0;
}

// One kind: the flood, then what comes after it.
static bool one_kind(struct shared *s, pid_t victim, enum forge_kind kind,
                     const struct bench_options *o)
{
    struct shot *shot = &s->shot[kind];
    pid_t pid = fork();
    if (pid == 0)
        _exit(shoot(&s->victim, BENCH_NETWORK_NAME, kind, o->rate, o->seconds + LOAD_S, shot) != 0);
    pass(LOAD_S);
    double from = bench_now_s(), cpu = cpu_of(victim);
    unsigned long long in = s->datagrams, bytes = s->received_bytes, user = s->user_us;
    unsigned long rss = bench_rss_kb(victim);
    speak_for(s, 1 + 2 * (int)kind, o->seconds * 0.9);
    double took = bench_now_s() - from;
    cpu = cpu_of(victim) - cpu;
    in = s->datagrams - in;
    bytes = s->received_bytes - bytes;
    user = s->user_us - user;
    int status = 1;
    waitpid(pid, &status, 0);
    const struct round *r = &s->r[1 + 2 * kind];
    settle(r);
    speak_for(s, 2 + 2 * (int)kind, QUIET_S);
    settle(r + 1);
    printf("{\"mode\": \"flood\", \"kind\": \"%s\", \"rate\": %u, \"sent_per_s\": %.0f, "
           "\"received_per_s\": %.0f, \"received_MBps\": %.1f, ",
           forge_name[kind], o->rate, (double)shot->sent / shot->seconds, (double)in / took,
           (double)bytes / took / 1e6);
    print_ms("", r);
    printf(", \"cpu_share\": %.2f, \"user_ns_per_datagram\": %.0f, \"rss_kB_before\": %lu, "
           "\"rss_kB_after\": %lu, \"answers_per_s\": %.0f, \"bytes_out_per_byte_in\": %.3f, ",
           cpu / took, in > 0 ? (double)user * 1000 / (double)in : 0, rss, bench_rss_kb(victim),
           (double)shot->answers / shot->seconds,
           shot->sent_bytes > 0 ? (double)shot->answer_bytes / (double)shot->sent_bytes : 0);
    print_ms("after_", r + 1);
    printf("}\n");
    fflush(stdout);
    return status == 0 && good(r) && good(r + 1);
}

static bool measure(struct shared *s, pid_t victim, const struct bench_options *o)
{
    speak_for(s, 0, QUIET_S);
    settle(&s->r[0]);
    printf("{\"mode\": \"flood\", \"kind\": \"none\", ");
    print_ms("", &s->r[0]);
    printf(", \"rss_kB\": %lu}\n", bench_rss_kb(victim));
    bool all = good(&s->r[0]);
    for (unsigned k = 0; k < FORGE_KINDS; k++)
        if (o->kind == NULL || strcmp(o->kind, forge_name[k]) == 0)
            all = one_kind(s, victim, (enum forge_kind)k, o) && all;
    return all && !s->failed;
}

int bench_flood(const struct bench_options *o)
{
    unsigned k = 0;
    while (o->kind != NULL && k < FORGE_KINDS && strcmp(o->kind, forge_name[k]) != 0)
        k++;
    if (k == FORGE_KINDS) {
        fprintf(stderr, "bauta-bench: --kind takes random, channel, masked, sealed or token\n");
        return 2;
    }
    struct shared *s =
        mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (s == MAP_FAILED)
        return 1;
    s->round = -1;
    bool all = false;
    pid_t other = start(other_run, s), victim = -1;
    if (other > 0 && wait_for(s, &s->ready, MEET_S))
        victim = start(victim_run, s);
    if (victim > 0 && wait_for(s, &s->matched[0], MEET_S) && wait_for(s, &s->matched[1], MEET_S))
        all = measure(s, victim, o);
    else
        fprintf(stderr, "bauta-bench: the two did not meet\n");
    s->stop = true;
    for (unsigned i = 0; i < 2; i++) {
        pid_t pid = i == 0 ? victim : other;
        if (pid <= 0)
            continue;
        kill(pid, SIGTERM);
        waitpid(pid, NULL, 0);
    }
    munmap(s, sizeof *s);
    return all ? 0 : 1;
}
