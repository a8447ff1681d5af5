// What nodes send when nobody wants anything: over a virtual hour, headers counted.
#include "tests/sim/help.h"

#define NODES 400u
#define HEADERS 28u // IPv4 and UDP
#define SETTLE (20 * 60 * S)
#define HOUR (3600 * S)

struct traffic {
    uint64_t bytes[NODES], datagrams[NODES];
    bool on;
};

static void tap(void *ctx, usec_t now, uint32_t from, const struct path *to, const uint8_t *data,
                size_t len)
{
    struct traffic *t = ctx;
    (void)now;
    (void)to;
    (void)data;
    if (!t->on || from >= NODES)
        return;
    t->bytes[from] += len + HEADERS;
    t->datagrams[from]++;
}

static void an_hour_of_silence(void **state)
{
    (void)state;
    static struct traffic t;
    struct sim_config cfg = {.seed = 1, .loss_ppm = 10000, .jobs = jobs, .modelled = true};
    struct sim *s = sim_new(&cfg);
    memset(&t, 0, sizeof t);
    for (uint32_t i = 0; i < NODES; i++)
        (void)help_node(s, i < 3 ? 0 : i * 10 * S / NODES, i < 3 || i % 2 == 0);
    sim_tap(s, tap, &t);
    (void)sim_run(s, SETTLE, NULL, NULL);
    t.on = true;
    (void)sim_run(s, SETTLE + HOUR, NULL, NULL);
    uint64_t sum[2] = {0, 0}, nodes[2] = {0, 0}, most[2] = {0, 0};
    for (uint32_t i = 0; i < NODES; i++) {
        bool server = i < 3 || i % 2 == 0;
        nodes[server]++;
        sum[server] += t.bytes[i];
        most[server] = t.bytes[i] > most[server] ? t.bytes[i] : most[server];
    }
    for (unsigned k = 0; k < 2; k++)
        print_message("%s: %llu mB/s out on average, %llu at most\n", k ? "servers" : "clients",
                      (unsigned long long)(sum[k] * 1000 / nodes[k] / 3600),
                      (unsigned long long)(most[k] * 1000 / 3600));
    help_must(s, 1, sum[1] / nodes[1] / 3600 < 20, "an idle server sends less than 20 B/s");
    help_must(s, 1, sum[0] / nodes[0] / 3600 < 6, "an idle client sends less than 6 B/s");
    help_must(s, 1, most[1] / 3600 < 50, "no server has much more than the others");
    help_no_failures(s, 1);
    sim_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_hour_of_silence),
    };
    return help_main(tests, sizeof tests / sizeof *tests);
}
