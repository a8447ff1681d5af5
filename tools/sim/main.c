// bauta-sim: one scenario, one JSON object as the last line of output.
#include "tools/sim/scenario.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#define USAGE "usage: bauta-sim SCENARIO.ini [--nodes N] [--seed S] [--out DIR]"

struct options {
    const char *file, *out;
    uint64_t nodes, seed;
    bool has_nodes, has_seed;
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

static int write_summary(const char *folder, const char *text)
{
    char name[4096];
    if ((size_t)snprintf(name, sizeof name, "%s/summary.json", folder) >= sizeof name)
        return fail(folder, "too long a name");
    FILE *f = fopen(name, "w");
    if (f == NULL)
        return fail(name, strerror(errno));
    bool ok = fprintf(f, "%s\n", text) > 0;
    ok = fclose(f) == 0 && ok;
    return ok ? 0 : fail(name, "could not be written");
}

static double seconds(const struct timespec *a, const struct timespec *b)
{
    return (double)(b->tv_sec - a->tv_sec) + (double)(b->tv_nsec - a->tv_nsec) / 1e9;
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
    if (scenario_check(&sc, error, sizeof error) != 0)
        return fail(o.file, error);

    if (o.out != NULL && mkdir(o.out, 0777) != 0 && errno != EEXIST)
        return fail(o.out, strerror(errno)); // rather now than after the run

    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    struct sim *s = scenario_build(&sc);
    (void)sim_run(s, sc.duration_us, NULL, NULL);
    sim_check_people(s);
    clock_gettime(CLOCK_MONOTONIC, &after);
    struct rusage usage_now;
    getrusage(RUSAGE_SELF, &usage_now);
    char *text =
        scenario_summary(s, &sc, seconds(&before, &after), (uint64_t)usage_now.ru_maxrss * 1024);
    bool failed = sim_failures(s) > 0;
    sim_free(s);
    if (o.out != NULL)
        rc = write_summary(o.out, text);
    puts(text);
    free(text);
    return rc != 0 || failed ? 1 : 0;
}
