// connect and memory: real nodes on real sockets on loopback, many in this process on one loop.
#include "dht/path.h"
#include "node/host/host.h"
#include "tools/bench/bench.h"

#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TICK_MS 2u  // how often a condition that no event announces is looked at
#define JOIN_S 30.0 // more than this to join is a failure, not a measurement
#define MEET_S 10.0
#define AT_ONCE_S 2.0     // the target that --at-once counts
#define KNOWN_CONTACTS 8u // enough servers to find a region

struct person {
    struct host_node *node;
    uint32_t encounter, said;
    bool matched, delivered, heard;
};

struct network {
    uv_loop_t loop;
    uv_timer_t tick;
    struct host *host;
    struct host_node **server;
    unsigned servers;
    struct contact first;
};

static void on_tick(uv_timer_t *t)
{
    (void)t;
}

static void on_event(void *ctx, struct host_node *node, const struct node_event *ev)
{
    struct person *p = ctx;
    (void)node;
    if (p == NULL)
        return;
    p->matched = p->matched || ev->kind == NODE_MATCHED;
    p->delivered = p->delivered || (ev->kind == NODE_DELIVERED && ev->id == p->said);
    p->heard = p->heard || ev->kind == NODE_MESSAGE;
}

static struct host_node *start_node(struct network *w, struct person *p, bool server)
{
    static const uint8_t loopback[4] = {127, 0, 0, 1};
    struct host_node_config cfg = {
        .node = {.network = "bauta-bench", .server = server, .lab = true, .privacy = NODE_DIRECT},
        .listens = 1,
        .event = on_event,
        .ctx = p};
    char error[HOST_ERROR_BYTES];
    struct host_node *n;
    cfg.listen[0] = path_v4(loopback, 0);
    randombytes_buf(cfg.node.secret, sizeof cfg.node.secret);
    if (host_node_open(w->host, &cfg, &n, error) != 0) {
        fprintf(stderr, "bauta-bench: %s\n", error);
        return NULL;
    }
    return n;
}

static uint32_t contacts(struct network *w, struct host_node *n)
{
    struct node_status s;
    node_status(host_node_machine(n), host_now(w->host), &s);
    return s.dht.contacts;
}

static bool known(struct network *w, struct host_node *n, unsigned others)
{
    return contacts(w, n) >= (others < KNOWN_CONTACTS ? others : KNOWN_CONTACTS);
}

static int open_network(struct network *w, unsigned servers)
{
    memset(w, 0, sizeof *w);
    w->server = calloc(servers, sizeof *w->server);
    if (w->server == NULL || uv_loop_init(&w->loop) != 0 || host_new(&w->host, &w->loop) != 0)
        return -1;
    uv_timer_init(&w->loop, &w->tick);
    uv_timer_start(&w->tick, on_tick, TICK_MS, TICK_MS);
    for (unsigned i = 0; i < servers; i++) {
        w->server[i] = start_node(w, NULL, true);
        if (w->server[i] == NULL)
            return -1;
        if (i == 0 && !host_node_contact(w->server[0], &w->first))
            return -1;
        if (i > 0)
            (void)host_node_bootstrap(w->server[i], &w->first);
        w->servers++;
    }
    double start = bench_now_s();
    for (unsigned i = 0; i < servers;) {
        if (known(w, w->server[i], servers - 1)) {
            i++;
            continue;
        }
        if (bench_now_s() - start > JOIN_S) {
            fprintf(stderr, "bauta-bench: only %u of %u nodes joined\n", i, servers);
            return -1;
        }
        uv_run(&w->loop, UV_RUN_ONCE);
    }
    return 0;
}

static uint32_t records(struct network *w)
{
    uint32_t sum = 0;
    for (unsigned i = 0; i < w->servers; i++) {
        struct node_status s;
        node_status(host_node_machine(w->server[i]), host_now(w->host), &s);
        sum += s.dht.records_held;
    }
    return sum;
}

static int person_seek(struct network *w, struct person *p, const char *topic)
{
    struct node_topic t = {.text = topic, .len = strlen(topic)};
    struct card card = {0};
    struct wishes wishes = {0};
    int rc = node_seek(host_node_machine(p->node), host_now(w->host), &t, 1, &card, &wishes,
                       &p->encounter);
    host_node_turn(p->node);
    return rc;
}

static void person_say(struct network *w, struct person *p)
{
    static const uint8_t text[] = "hello";
    (void)node_say(host_node_machine(p->node), host_now(w->host), p->encounter, text,
                   sizeof text - 1, &p->said);
    host_node_turn(p->node);
}

// Runs the loop until *flag or the time is over.
static bool run_until(struct network *w, const bool *flag, double seconds)
{
    double start = bench_now_s();
    while (!*flag && bench_now_s() - start < seconds)
        uv_run(&w->loop, UV_RUN_ONCE);
    return *flag;
}

static bool person_start(struct network *w, struct person *p)
{
    memset(p, 0, sizeof *p);
    p->node = start_node(w, p, false);
    if (p->node == NULL)
        return false;
    (void)host_node_bootstrap(p->node, &w->first);
    double start = bench_now_s();
    while (!known(w, p->node, w->servers) && bench_now_s() - start < JOIN_S)
        uv_run(&w->loop, UV_RUN_ONCE);
    return true;
}

struct result {
    double ms, derive_ms;
    bool met;
};

// Ana waits; Ben comes, meets her, and says hello. Or both come at once, and Ben says hello.
static void connect_once(struct network *w, unsigned run, bool at_once, struct result *r)
{
    static struct person ana, ben; // the hosts' events point at them
    char topic[32];
    struct node_status s;
    double start = 0;
    r->met = false;
    if (!person_start(w, &ana) || !person_start(w, &ben))
        return;
    snprintf(topic, sizeof topic, "bench topic %u", run);
    uint32_t before = records(w);
    if (person_seek(w, &ana, topic) != 0)
        return;
    while (!at_once && records(w) < before + (w->servers < 8 ? w->servers : 8))
        uv_run(&w->loop, UV_RUN_ONCE);
    start = bench_now_s();
    if (person_seek(w, &ben, topic) != 0)
        return;
    if (run_until(w, &ben.matched, MEET_S)) {
        person_say(w, &ben);
        r->met = run_until(w, &ben.delivered, MEET_S);
    }
    r->ms = (bench_now_s() - start) * 1000;
    node_status(host_node_machine(ben.node), host_now(w->host), &s);
    r->derive_ms = (double)s.meet.derive_us / 1000;
    (void)node_end(host_node_machine(ana.node), host_now(w->host), ana.encounter);
    host_node_turn(ana.node);
    (void)node_end(host_node_machine(ben.node), host_now(w->host), ben.encounter);
    host_node_turn(ben.node);
    host_node_close(ana.node);
    host_node_close(ben.node);
}

int bench_connect(const struct bench_options *o)
{
    struct network w;
    if (open_network(&w, o->nodes) != 0)
        return 1;
    double *ms = calloc(o->runs, sizeof *ms), *bare = calloc(o->runs, sizeof *bare);
    double *derive = calloc(o->runs, sizeof *derive);
    size_t met = 0, in_time = 0;
    for (unsigned i = 0; ms != NULL && bare != NULL && derive != NULL && i < o->runs; i++) {
        struct result r;
        connect_once(&w, i, o->at_once != 0, &r);
        if (!r.met)
            continue;
        in_time += r.ms <= AT_ONCE_S * 1000;
        ms[met] = r.ms;
        bare[met] = r.ms - r.derive_ms;
        derive[met++] = r.derive_ms;
    }
    bench_sort(ms, met);
    bench_sort(bare, met);
    bench_sort(derive, met);
    printf("{\"mode\": \"connect\", \"nodes\": %u, \"runs\": %u, \"at_once\": %s, \"met\": %zu, "
           "\"met_in_2_s\": %zu, \"ms_min\": %.1f, \"ms_p50\": %.1f, \"ms_max\": %.1f, "
           "\"derive_ms\": %.1f, \"bare_ms_p50\": %.1f, \"bare_ms_max\": %.1f}\n",
           o->nodes, o->runs, o->at_once ? "true" : "false", met, in_time, met > 0 ? ms[0] : 0,
           bench_quantile(ms, met, 0.5), met > 0 ? ms[met - 1] : 0,
           bench_quantile(derive, met, 0.5), bench_quantile(bare, met, 0.5),
           met > 0 ? bare[met - 1] : 0);
    free(ms);
    free(bare);
    free(derive);
    return met == o->runs ? 0 : 1;
}

// ---- memory ---------------------------------------------------------------------------------------

// Resident memory of a process in kB, 0 when it can't be read.
static unsigned long rss_kb(pid_t pid)
{
    static const char label[] = "VmRSS:";
    char name[64], line[128];
    unsigned long kb = 0;
    snprintf(name, sizeof name, "/proc/%d/status", (int)pid);
    FILE *f = fopen(name, "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, label, sizeof label - 1) == 0) {
            kb = strtoul(line + sizeof label - 1, NULL, 10);
            break;
        }
    if (f != NULL)
        fclose(f);
    return kb;
}

// One idle `bauta run` beside this program.
static unsigned long idle_process_kb(void)
{
    char binary[512];
    ssize_t n = readlink("/proc/self/exe", binary, sizeof binary - 8);
    int out[2];
    if (n <= 0 || pipe(out) != 0)
        return 0;
    binary[n] = '\0';
    char *slash = strrchr(binary, '/');
    if (slash == NULL)
        return 0;
    snprintf(slash + 1, 8, "bauta");
    char control[] = "/tmp/bauta-bench-XXXXXX";
    if (mkdtemp(control) == NULL)
        return 0;
    char socket_path[64];
    snprintf(socket_path, sizeof socket_path, "%s/control", control);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(out[1], STDOUT_FILENO);
        execl(binary, binary, "run", "--lab", "--listen", "127.0.0.1:0", "--control", socket_path,
              "--web", "off", (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    char c;
    while (pid > 0 && read(out[0], &c, 1) == 1 && c != '\n') // the line `ready ...`
        ;
    unsigned long kb = pid > 0 ? rss_kb(pid) : 0;
    if (pid > 0) {
        kill(pid, SIGTERM);
        waitpid(pid, NULL, 0);
    }
    close(out[0]);
    rmdir(control);
    return kb;
}

int bench_memory(const struct bench_options *o)
{
    struct network w;
    unsigned long before = rss_kb(getpid());
    if (open_network(&w, o->nodes) != 0)
        return 1;
    double start = bench_now_s();
    while (bench_now_s() - start < 2.0) // let joining come to rest
        uv_run(&w.loop, UV_RUN_ONCE);
    size_t held = 0;
    for (unsigned i = 0; i < o->nodes; i++) {
        struct node_status s;
        node_status(host_node_machine(w.server[i]), host_now(w.host), &s);
        held += s.arena_held_bytes;
    }
    double cpu = bench_cpu_s();
    start = bench_now_s();
    while (bench_now_s() - start < 5.0)
        uv_run(&w.loop, UV_RUN_ONCE);
    cpu = (bench_cpu_s() - cpu) / (bench_now_s() - start);
    unsigned long after = rss_kb(getpid());
    printf(
        "{\"mode\": \"memory\", \"nodes\": %u, \"kB_per_node\": %.1f, \"arena_kB_per_node\": %.1f, "
        "\"idle_cpu_ms_per_s_per_node\": %.4f, \"rss_kB\": %lu}\n",
        o->nodes, (double)(after - before) / o->nodes, (double)held / 1024 / o->nodes,
        cpu * 1000 / o->nodes, idle_process_kb());
    return 0;
}
