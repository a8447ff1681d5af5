// What a node takes when it is idle, and that it is small again after it was busy.
#include "tests/sim/help.h"
#include "tools/sim/load.h"

#define SERVERS 100u
#define CLIENTS 20u
// Of an idle node that knows about 60 others. A fresh one holds nothing but itself.
#define FRESH_BYTES_MAX 4608u
#define SERVER_BYTES_MAX 10240u
#define CLIENT_BYTES_MAX 5632u
#define PLACE_BYTES_MAX 1536u // announced, with about 20 holders

static size_t bytes_of(const struct sim *s, uint32_t node)
{
    struct node_status st;
    node_status(sim_node(s, node), sim_now(s), &st);
    return st.arena_used_bytes;
}

static void small(struct sim *s, uint64_t seed, const char *when, size_t limit_server,
                  size_t limit_client)
{
    size_t most[2] = {0, 0}, sum[2] = {0, 0};
    for (uint32_t i = 0; i < sim_nodes(s); i++) {
        bool server = i < SERVERS;
        size_t bytes = bytes_of(s, i);
        sum[server] += bytes;
        most[server] = bytes > most[server] ? bytes : most[server];
    }
    print_message("%s: servers %zu bytes on average, %zu at most; clients %zu, %zu\n", when,
                  sum[true] / SERVERS, most[true], sum[false] / CLIENTS, most[false]);
    char what[96];
    snprintf(what, sizeof what, "a server has at most %zu bytes, a client %zu, %s", limit_server,
             limit_client, when);
    help_must(s, seed, most[true] <= limit_server && most[false] <= limit_client, what);
}

static void who_joined_and_met_is_small_again(void **state)
{
    (void)state;
    uint64_t seed = 1;
    struct sim *s = help_sim(seed, 1);
    for (uint32_t i = 0; i < SERVERS; i++)
        (void)help_node(s, i * 10 * MS, true);
    for (uint32_t i = 0; i < CLIENTS; i++)
        (void)help_node(s, 2 * S, false);
    (void)sim_run(s, 300 * S, NULL, NULL);
    small(s, seed, "after joining", SERVER_BYTES_MAX, CLIENT_BYTES_MAX);
    char topic[16];
    for (uint32_t i = 0; i < CLIENTS; i++) {
        snprintf(topic, sizeof topic, "topic %u", i / 2);
        (void)help_person(s, SERVERS + i, topic, 300 * S, 5);
    }
    bool met = sim_run(s, 330 * S, help_people_done, NULL);
    help_must(s, seed, met, "all meet");
    help_no_failures(s, seed);
    for (uint32_t i = 0; i < CLIENTS; i++)
        sim_person_end(s, sim_now(s), i);
    // Records and handles live for a quarter of an hour.
    (void)sim_run(s, sim_now(s) + 1200 * S, NULL, NULL);
    small(s, seed, "after meeting", SERVER_BYTES_MAX, CLIENT_BYTES_MAX);
    sim_free(s);
}

// A place whose record is held by others costs its holders, and no keys of those long not asked.
static void an_announced_place_is_small(void **state)
{
    (void)state;
    uint64_t seed = 2;
    struct sim *s = help_sim(seed, 0);
    for (uint32_t i = 0; i < SERVERS; i++)
        (void)help_node(s, i * 10 * MS, true);
    for (uint32_t i = 0; i < CLIENTS; i++)
        (void)help_node(s, 2 * S, false);
    struct sim_load_config load = {.from_us = 60 * S, .to_us = 90 * S, .ttl_s = 900};
    sim_load_add(s, &load);
    (void)sim_run(s, 330 * S, NULL, NULL);
    help_must(s, seed, sim_load_figures(s)->stored == SERVERS + CLIENTS, "all places are stored");
    size_t sum = 0;
    for (uint32_t i = 0; i < CLIENTS; i++)
        sum += bytes_of(s, SERVERS + i);
    print_message("with an announced place: clients %zu bytes on average\n", sum / CLIENTS);
    help_must(s, seed, sum / CLIENTS <= CLIENT_BYTES_MAX + PLACE_BYTES_MAX, "a place is small");
    sim_free(s);
}

static void a_fresh_node_is_small(void **state)
{
    (void)state;
    struct sim *s = help_sim(1, 0);
    (void)help_node(s, 0, true);
    (void)help_node(s, 0, false);
    (void)sim_run(s, 1, NULL, NULL);
    for (uint32_t i = 0; i < 2; i++) {
        print_message("fresh %s: %zu bytes\n", i == 0 ? "server" : "client", bytes_of(s, i));
        help_must(s, 1, bytes_of(s, i) <= FRESH_BYTES_MAX, "a fresh node is small");
    }
    sim_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fresh_node_is_small),
        cmocka_unit_test(an_announced_place_is_small),
        cmocka_unit_test(who_joined_and_met_is_small_again),
    };
    return help_main(tests, sizeof tests / sizeof *tests);
}
