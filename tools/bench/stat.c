#include "tools/bench/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

double bench_now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

double bench_cpu_s(void)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
           (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) * 1e-6;
}

unsigned long bench_rss_kb(int pid)
{
    static const char label[] = "VmRSS:";
    char name[64], line[128];
    unsigned long kb = 0;
    snprintf(name, sizeof name, "/proc/%d/status", pid);
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

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

void bench_sort(double *value, size_t n)
{
    qsort(value, n, sizeof *value, ascending);
}

double bench_quantile(const double *sorted, size_t n, double q)
{
    if (n == 0)
        return 0;
    size_t i = (size_t)(q * (double)n);
    return sorted[i < n ? i : n - 1];
}
