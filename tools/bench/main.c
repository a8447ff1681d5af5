// build/bauta-bench MODE [options]: one JSON object a line.
#include "tools/bench/bench.h"

#include <errno.h>
#include <getopt.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    int (*run)(const struct bench_options *);
    struct bench_options defaults;
} modes[] = {
    {"connect", bench_connect, {.nodes = 16, .runs = 30}},
    {"rtt", bench_rtt, {.count = 10000}},
    {"throughput", bench_throughput, {.bytes = 1u << 30}},
    {"mixed", bench_mixed, {.seconds = 5}},
    {"memory", bench_memory, {.nodes = 64}},
    {"handshake", bench_handshake, {.runs = 1}},
    {"link", bench_link, {.seconds = 8}},
    {"dht", bench_dht, {.nodes = 64, .runs = 200}},
    {"many", bench_many, {.channels = 1000, .seconds = 10}},
    {"flood", bench_flood, {.rate = 200000, .seconds = 3}},
    {"relay", bench_relay, {.clients = 1000, .seconds = 5}},
    {"checks", bench_checks, {.runs = 1}},
};

static int usage(const char *what)
{
    fprintf(stderr,
            "bauta-bench: %s; usage: bauta-bench "
            "connect|rtt|throughput|mixed|memory|handshake|link|dht|many|flood|relay|checks "
            "[--nodes N] [--runs N] [--count N] [--bytes N] [--aead NAME] [--at-once] "
            "[--netns FILE,FILE --address IP,IP] [--seconds N] [--skip N] [--series] [--rate N] "
            "[--kind NAME] [--channels N] [--clients N]\n",
            what);
    return 2;
}

static int number(const char *text, unsigned long long max, unsigned long long *value)
{
    char *end;
    errno = 0;
    *value = strtoull(text, &end, 10);
    return errno != 0 || *end != '\0' || end == text || *value == 0 || *value > max || *text == '-';
}

// "X,Y" in two, in place.
static int two(char *text, char *part[2])
{
    part[0] = text;
    part[1] = strchr(text, ',');
    if (part[1] != NULL)
        *part[1]++ = '\0';
    return part[1] == NULL || *part[0] == '\0' || *part[1] == '\0';
}

// NULL, or what is wrong with an option's value.
static const char *take(struct bench_options *o, int opt, char *arg)
{
    unsigned long long v = 0;
    if (strchr("nrcskRmL", opt) != NULL && number(arg, 1000000, &v) != 0)
        return "a number from 1 to 1000000 is needed";
    if (opt == 'b' && number(arg, 1ull << 40, &v) != 0)
        return "a number of bytes is needed";
    if ((opt == 'N' && two(arg, o->netns) != 0) || (opt == 'A' && two(arg, o->address) != 0))
        return "two values with a comma between them are needed";
    switch (opt) {
    case 'n':
        o->nodes = (unsigned)v;
        break;
    case 'r':
        o->runs = (unsigned)v;
        break;
    case 'c':
        o->count = (unsigned)v;
        break;
    case 'b':
        o->bytes = v;
        break;
    case 'a':
        o->aead = arg;
        break;
    case 'o':
        o->at_once = 1;
        break;
    case 'm':
        o->channels = (unsigned)v;
        break;
    case 'L':
        o->clients = (unsigned)v;
        break;
    case 's':
        o->seconds = (unsigned)v;
        break;
    case 'C':
        o->cc = arg;
        break;
    case 'k':
        o->skip = (unsigned)v;
        break;
    case 'S':
        o->series = 1;
        break;
    case 'R':
        o->rate = (unsigned)v;
        break;
    case 'K':
        o->kind = arg;
        break;
    case 'N':
    case 'A':
        break;
    default:
        return "unknown option";
    }
    return NULL;
}

// NULL, or what does not fit together.
static const char *check(const struct bench_options *o)
{
    if (o->cc != NULL && strcmp(o->cc, "bbr") != 0 && strcmp(o->cc, "reno") != 0)
        return "--cc takes bbr or reno";
    if (o->skip > 0 && o->skip >= o->seconds)
        return "--skip has to be less than --seconds";
    if (o->aead != NULL && strcmp(o->aead, "aegis256") != 0 &&
        strcmp(o->aead, "chacha20poly1305") != 0)
        return "--aead takes aegis256 or chacha20poly1305";
    return NULL;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"nodes", required_argument, NULL, 'n'},
                                            {"runs", required_argument, NULL, 'r'},
                                            {"count", required_argument, NULL, 'c'},
                                            {"bytes", required_argument, NULL, 'b'},
                                            {"aead", required_argument, NULL, 'a'},
                                            {"at-once", no_argument, NULL, 'o'},
                                            {"netns", required_argument, NULL, 'N'},
                                            {"address", required_argument, NULL, 'A'},
                                            {"seconds", required_argument, NULL, 's'},
                                            {"skip", required_argument, NULL, 'k'},
                                            {"series", no_argument, NULL, 'S'},
                                            {"rate", required_argument, NULL, 'R'},
                                            {"kind", required_argument, NULL, 'K'},
                                            {"channels", required_argument, NULL, 'm'},
                                            {"cc", required_argument, NULL, 'C'},
                                            {"clients", required_argument, NULL, 'L'},
                                            {NULL, 0, NULL, 0}};
    if (argc < 2)
        return usage("which mode?");
    size_t mode = 0;
    while (mode < sizeof modes / sizeof modes[0] && strcmp(modes[mode].name, argv[1]) != 0)
        mode++;
    if (mode == sizeof modes / sizeof modes[0])
        return usage("unknown mode");
    struct bench_options o = modes[mode].defaults;
    const char *wrong;
    int opt;
    opterr = 0;
    optind = 2;
    while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
        wrong = take(&o, opt, optarg);
        if (wrong != NULL)
            return usage(wrong);
    }
    if (optind != argc)
        return usage("unknown argument");
    wrong = check(&o);
    if (wrong != NULL)
        return usage(wrong);
    if (sodium_init() < 0)
        return 1;
    return modes[mode].run(&o);
}
