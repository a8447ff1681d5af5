// bauta-sim: one scenario, one JSON object as the last line of output.
#include "tools/sim/report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define USAGE "usage: bauta-sim SCENARIO.ini [--nodes N] [--seed S] [--out DIR] [--threads N]"

struct options {
    const char *file, *out;
    uint64_t nodes, seed;
    bool has_nodes, has_seed;
    uint64_t threads; // 0: as many as there are cores, where the scenario allows it
};

static bool number(const char *text, uint64_t max, uint64_t *v)
{
    char *end;
    if (text == NULL || text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    *v = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0' && *v <= max;
}

static int usage(const char *what, const char *value)
{
    fprintf(stderr, "bauta-sim: %s%s; " USAGE "\n", what, value);
    return 2;
}

static int options(struct options *o, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--help") == 0) {
            puts(USAGE);
            exit(0);
        } else if (strcmp(argv[i], "--nodes") == 0) {
            if (!number(value, SIM_NODES_MAX, &o->nodes) || o->nodes == 0)
                return usage("--nodes takes a number from 1 to 4000000", "");
            o->has_nodes = true;
            i++;
        } else if (strcmp(argv[i], "--seed") == 0) {
            if (!number(value, INT64_MAX, &o->seed))
                return usage("--seed takes a number", "");
            o->has_seed = true;
            i++;
        } else if (strcmp(argv[i], "--threads") == 0) {
            if (!number(value, SIM_THREADS_MAX, &o->threads) || o->threads == 0)
                return usage("--threads takes a number from 1 to 16", "");
            i++;
        } else if (strcmp(argv[i], "--out") == 0) {
            if (value == NULL || *value == '\0')
                return usage("--out takes a folder", "");
            o->out = value;
            i++;
        } else if (argv[i][0] == '-') {
            return usage("no such option: ", argv[i]);
        } else if (o->file != NULL) {
            return usage("one scenario at a time, not also ", argv[i]);
        } else {
            o->file = argv[i];
        }
    }
    return o->file != NULL ? 0 : usage("which scenario?", "");
}

static int fail(const char *where, const char *why)
{
    fprintf(stderr, "bauta-sim: %s: %s\n", where, why);
    return 1;
}

// The scenario's name: its file's, without folder and ending.
static void name_of(char name[static 64], const char *file)
{
    const char *slash = strrchr(file, '/');
    snprintf(name, 64, "%.63s", slash != NULL ? slash + 1 : file);
    char *dot = strrchr(name, '.');
    if (dot != NULL && dot != name)
        *dot = '\0';
}

static uint32_t cores(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n < (long)SIM_THREADS_MAX ? (uint32_t)n : SIM_THREADS_MAX;
}

static double wall_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

// One line that is written over once a second: how far it is, how fast, and how long it will take as
// it goes now.
static void show(const struct sim *s, usec_t end_us, double speed, double events_per_s)
{
    double now = (double)sim_now(s) / 1e6, end = (double)end_us / 1e6;
    unsigned left = speed > 0 ? (unsigned)((end - now) / speed) : 0;
    fprintf(stderr, "\r%.1f of %.0f s (%.0f %%), %.0f events/s, %u:%02u left \033[K", now, end,
            100 * now / end, events_per_s, left / 60, left % 60);
    fflush(stderr);
}

// The run in slices of virtual time, so that somebody at a terminal sees how it goes. The wall clock is
// read here alone and changes nothing in the run.
static void run(struct sim *s, usec_t end_us)
{
    bool terminal = isatty(STDERR_FILENO) != 0;
    double shown = wall_s(), speed = 0;
    usec_t then_us = 0;
    uint64_t then_events = 0;
    for (usec_t at = 0; at < end_us;) {
        at = terminal && at + SIM_PROGRESS_US < end_us ? at + SIM_PROGRESS_US : end_us;
        (void)sim_run(s, at, NULL, NULL);
        double wall = terminal ? wall_s() - shown : 0;
        if (wall < 1)
            continue;
        double fresh = (double)(at - then_us) / 1e6 / wall;
        speed = speed > 0 ? 0.8 * speed + 0.2 * fresh : fresh;
        show(s, end_us, speed, (double)(sim_events(s) - then_events) / wall);
        shown += wall;
        then_us = at;
        then_events = sim_events(s);
    }
    if (terminal)
        fputs("\r\033[K", stderr);
}

int main(int argc, char **argv)
{
    struct options o = {0};
    struct scenario sc;
    char error[256];
    int rc = options(&o, argc, argv);
    if (rc != 0)
        return rc;
    if (scenario_read(&sc, o.file, error, sizeof error) != 0)
        return fail(o.file, error);
    if (o.has_nodes)
        sc.nodes = (uint32_t)o.nodes;
    if (o.has_seed)
        sc.seed = o.seed;
    sc.threads = (uint32_t)o.threads;
    if (o.threads == 0 && scenario_is_flat(&sc))
        sc.threads = cores();
    if (scenario_check(&sc, error, sizeof error) != 0)
        return fail(o.file, error);

    if (o.out != NULL && mkdir(o.out, 0777) != 0 && errno != EEXIST)
        return fail(o.out, strerror(errno)); // rather now than after the run

    double before = wall_s();
    struct sim *s = scenario_build(&sc);
    run(s, sc.duration_us);
    sim_check_people(s);
    double took = wall_s() - before;
    struct rusage usage_now;
    getrusage(RUSAGE_SELF, &usage_now);
    char *text = scenario_summary(s, &sc, took, (uint64_t)usage_now.ru_maxrss * 1024);
    bool failed = sim_failures(s) > 0;
    if (o.out != NULL) {
        char name[64];
        name_of(name, o.file);
        rc = report_write(s, &sc, name, text, o.out, error, sizeof error);
        if (rc != 0)
            (void)fail(o.out, error);
    }
    sim_free(s);
    puts(text);
    free(text);
    return rc != 0 || failed ? 1 : 0;
}
