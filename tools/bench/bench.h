// Benchmarks (README.md has the figures): every mode prints one JSON object a line.
#ifndef BAUTA_TOOLS_BENCH_BENCH_H
#define BAUTA_TOOLS_BENCH_BENCH_H

#include <stddef.h>
#include <stdint.h>

struct bench_options {
    unsigned nodes, runs, count;
    uint64_t bytes;
    const char *aead; // "aegis256" or "chacha20poly1305"; NULL: what the hardware suggests
    int at_once;      // connect: both people come at the same moment
    // link: where the sender and the receiver stand, for how long, and how much of that does not count
    char *netns[2], *address[2];
    unsigned seconds, skip;
    const char *cc;    // "bbr" or "reno"; NULL: the default
    unsigned channels; // many
    unsigned rate;     // flood: datagrams a second,
    const char *kind;  // and of which kind; NULL: each in turn
    unsigned clients;  // relay
    int series;        // ten lines a second of what the controller does
};

// Each returns the process's exit status.
int bench_connect(const struct bench_options *);
int bench_memory(const struct bench_options *);
int bench_rtt(const struct bench_options *);
int bench_throughput(const struct bench_options *);
int bench_handshake(const struct bench_options *);
int bench_mixed(const struct bench_options *);
int bench_link(const struct bench_options *);
int bench_many(const struct bench_options *);
int bench_dht(const struct bench_options *);
int bench_flood(const struct bench_options *);
int bench_relay(const struct bench_options *);
int bench_checks(const struct bench_options *);

double bench_now_s(void);            // monotonic
double bench_cpu_s(void);            // of this process
unsigned long bench_rss_kb(int pid); // resident memory; 0: not known
void bench_sort(double *value, size_t n);
// The q-quantile (0..1) of sorted values, by nearest rank.
double bench_quantile(const double *sorted, size_t n, double q);

#endif
