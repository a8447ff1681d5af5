// memory: what a joined node takes, and what it does when nothing happens.
#include "tools/bench/bench.h"
#include "tools/bench/network.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SETTLE_S                                                                                   \
    45.0 // the look-ups and fills of joining come to rest, the last after half a minute
#define REST_MS 10000u

static void on_rest(uv_timer_t *t)
{
    (void)t;
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
    unsigned long kb = pid > 0 ? bench_rss_kb(pid) : 0;
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
    struct bench_network w;
    unsigned long before = bench_rss_kb(getpid());
    if (bench_network_open(&w, o->nodes) != 0)
        return 1;
    double start = bench_now_s();
    while (bench_now_s() - start < SETTLE_S)
        uv_run(&w.loop, UV_RUN_ONCE);
    size_t used = 0, held = 0;
    for (unsigned i = 0; i < o->nodes; i++) {
        struct node_status s;
        node_status(host_node_machine(w.server[i]), host_now(w.host), &s);
        used += s.arena_used_bytes;
        held = s.pool_held_bytes; // the same for all
    }
    // The tick of this program would count as the nodes' own: one alarm at the end is enough.
    uv_timer_start(&w.tick, on_rest, REST_MS, 0);
    double cpu = bench_cpu_s();
    start = bench_now_s();
    while (bench_now_s() - start < REST_MS / 1000.0)
        uv_run(&w.loop, UV_RUN_ONCE);
    cpu = (bench_cpu_s() - cpu) / (bench_now_s() - start);
    unsigned long after = bench_rss_kb(getpid());
    printf(
        "{\"mode\": \"memory\", \"nodes\": %u, \"kB_per_node\": %.1f, \"arena_kB_per_node\": %.1f, "
        "\"pool_kB_per_node\": %.1f, "
        "\"idle_cpu_ms_per_s_per_node\": %.4f, \"joined_s\": %.3f, \"rss_kB\": %lu}\n",
        o->nodes, (double)(after - before) / o->nodes, (double)used / 1024 / o->nodes,
        (double)held / 1024 / o->nodes, cpu * 1000 / o->nodes, w.joined_s, idle_process_kb());
    return 0;
}
