#include "tools/lab/option.h"
#include "tools/lab/model.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct unit {
    const char *name;
    double size;
};

// A decimal number without sign, and what follows it.
static int decimal(const char *text, double *value, const char **rest)
{
    size_t len = strspn(text, "0123456789.");
    char *end;
    if (len == 0)
        return -1;
    *value = strtod(text, &end);
    *rest = text + len;
    return end == *rest ? 0 : -1;
}

static int scaled(const char *text, const struct unit *unit, size_t units, uint64_t max,
                  uint64_t *out)
{
    double value;
    const char *rest;
    if (decimal(text, &value, &rest) != 0)
        return -1;
    for (size_t i = 0; i < units; i++)
        if (strcmp(rest, unit[i].name) == 0) {
            value = value * unit[i].size + 0.5;
            if (value >= (double)max + 1)
                return -1;
            *out = (uint64_t)value;
            return 0;
        }
    return -1;
}

int lab_option_time(const char *text, uint64_t max_ns, uint64_t *ns)
{
    static const struct unit unit[] = {
        {"us", (double)LAB_US}, {"ms", (double)LAB_MS}, {"s", (double)LAB_S}};
    return scaled(text, unit, sizeof unit / sizeof *unit, max_ns, ns);
}

int lab_option_count(const char *text, uint64_t max, uint64_t *n)
{
    static const struct unit unit[] = {{"", 1}, {"k", 1e3}, {"M", 1e6}, {"G", 1e9}};
    return scaled(text, unit, sizeof unit / sizeof *unit, max, n);
}

int lab_option_share(const char *text, uint32_t *ppm)
{
    static const struct unit unit[] = {{"%", (double)LAB_PPM / 100}};
    uint64_t n;
    if (scaled(text, unit, 1, LAB_PPM, &n) != 0)
        return -1;
    *ppm = (uint32_t)n;
    return 0;
}
