// What joining costs, how full the tables are afterwards, and what happens when a third of a network
// starts at once.
#include "dht/internal.h"
#include "tests/sim/help.h"

#define NODES 600u
#define HEADERS 28u
#define FAR_BUCKETS 3u // in the last one live 37 of 300 servers

static uint32_t server_or_client(struct sim *s, usec_t at_us, uint32_t i)
{
    return help_node(s, at_us, i < 3 || i % 2 == 0);
}

static struct sim *network(uint64_t seed, uint32_t nodes, usec_t within_us)
{
    struct sim_config cfg = {.seed = seed, .loss_ppm = 10000, .jobs = jobs, .modelled = true};
    struct sim *s = sim_new(&cfg);
    for (uint32_t i = 0; i < nodes; i++)
        (void)server_or_client(s, i < 3 ? 0 : i * within_us / nodes, i);
    return s;
}

static struct dht *dht_of(struct sim *s, uint32_t node)
{
    return node_dht(sim_node(s, node));
}

static uint64_t requests(struct sim *s, uint32_t node)
{
    struct dht_status st;
    dht_status(dht_of(s, node), &st);
    return st.requests_out;
}

// A hundred come to a network that stands.
static void joining_is_cheap_and_fills_the_table(void **state)
{
    (void)state;
    struct sim *s = network(1, NODES, 20 * S);
    uint64_t first = 0, most = 0;
    uint32_t newcomer[100];
    for (uint32_t i = 0; i < 100; i++)
        newcomer[i] = server_or_client(s, 120 * S + i * 10 * MS, 3 + i);
    (void)sim_run(s, 151 * S, NULL, NULL);
    for (uint32_t i = 0; i < 100; i++) {
        uint64_t n = requests(s, newcomer[i]);
        first += n;
        most = n > most ? n : most;
    }
    (void)sim_run(s, 420 * S, NULL, NULL);
    unsigned buckets = 0, half = 0;
    for (uint32_t i = 0; i < 100; i++) {
        const struct table *t = dht_of(s, newcomer[i])->table[0];
        for (unsigned b = 0; b < FAR_BUCKETS; b++) {
            buckets++;
            half += table_bucket_live(t, b) >= TABLE_K / 2;
        }
    }
    print_message("%llu requests a joiner in its first 30 s, %llu at most; %u of %u far buckets "
                  "have 8 live contacts after five\n",
                  (unsigned long long)(first / 100), (unsigned long long)most, half, buckets);
    help_must(s, 1, first / 100 <= 60, "joining takes 60 requests at most");
    help_must(s, 1, half * 100 >= buckets * 85, "the far buckets are half full");
    help_no_failures(s, 1);
    sim_free(s);
}

struct peak {
    uint64_t bytes[4096]; // by virtual second
};

static void tap(void *ctx, usec_t now, uint32_t from, const struct path *to, const uint8_t *data,
                size_t len)
{
    struct peak *p = ctx;
    (void)from;
    (void)to;
    (void)data;
    if (now / S < 4096)
        p->bytes[now / S] += len + HEADERS;
}

static uint64_t average(const struct peak *p, uint32_t from_s, uint32_t to_s)
{
    uint64_t sum = 0;
    for (uint32_t i = from_s; i < to_s; i++)
        sum += p->bytes[i];
    return sum / (to_s - from_s);
}

// 30 % die and are replaced by as many that start in the same second.
static void a_mass_restart_is_no_storm(void **state)
{
    (void)state;
    static struct peak p;
    memset(&p, 0, sizeof p);
    struct sim *s = network(2, NODES, 20 * S);
    sim_tap(s, tap, &p);
    // What is normal: a fifth of the people is looking for somebody.
    for (uint32_t i = 0; i < NODES / 5; i++) {
        char topic[32];
        snprintf(topic, sizeof topic, "nobody else %u", i);
        (void)help_person(s, 10 + i, topic, 60 * S + i * 100 * MS, 0);
    }
    for (uint32_t i = 0; i < NODES * 3 / 10; i++) {
        sim_node_kill(s, 1200 * S, NODES - 1 - i);
        (void)server_or_client(s, 1201 * S + i * 5 * MS, 4 + i);
    }
    (void)sim_run(s, 1300 * S, NULL, NULL);
    uint64_t normal = average(&p, 1000, 1200), peak = 0;
    for (uint32_t i = 1200; i < 1290; i++) {
        uint64_t ten = average(&p, i, i + 10);
        peak = ten > peak ? ten : peak;
    }
    print_message("normal %llu B/s, peak over ten seconds %llu\n", (unsigned long long)normal,
                  (unsigned long long)peak);
    help_must(s, 2, peak <= 20 * normal, "no storm follows");
    uint32_t joined = 0;
    for (uint32_t i = NODES; i < sim_nodes(s); i++)
        joined += dht_live(dht_of(s, i)) >= 16;
    help_must(s, 2, joined == sim_nodes(s) - NODES, "who restarted knows others again");
    help_no_failures(s, 2);
    sim_free(s);
}

// All of a small network at once, through one bootstrap.
static void a_crowd_starts_at_once(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct sim_config cfg = {.seed = seed, .jobs = jobs, .lab = true, .modelled = true};
        struct sim *s = sim_new(&cfg);
        for (uint32_t i = 0; i < 64; i++)
            (void)sim_node_add(s, 0,
                               &(struct sim_node_config){.server = true, .bootstraps = i > 0});
        (void)sim_run(s, 3 * S, NULL, NULL);
        uint32_t joined = 0;
        for (uint32_t i = 0; i < 64; i++)
            joined += dht_live(dht_of(s, i)) >= 16;
        help_must(s, seed, joined == 64, "all of 64 know 16 others after 3 s");
        sim_free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(joining_is_cheap_and_fills_the_table),
        cmocka_unit_test(a_mass_restart_is_no_storm),
        cmocka_unit_test(a_crowd_starts_at_once),
    };
    return help_main(tests, sizeof tests / sizeof *tests);
}
