// Datagrams with a right mask that open to nothing, at all servers of a network in which people meet: a
// key exchange each, were there no budget of them. In the product pairs meet in the midst of it; where
// all sources share one rate, and nothing is kept for those who have proven their address, they do not.
#include "tests/sim/attack_help.h"

#include "dht/limits.h"

#define SERVERS 6u
#define PAIRS 6u
#define FLOOD_US (30 * S)
#define SEEK_US (32 * S) // the second of each pair a second later
#define END_US (38 * S)
#define DH_BUDGET 4000u   // DH_PER_S of the product
#define PER_SERVER 20000u // datagrams a second

struct watch {
    uint64_t before[SERVERS], most; // garbage that cost a key exchange
};
struct outcome {
    uint32_t met;
    usec_t slowest_us;
    uint64_t exchanges; // of one server in a second, at most
    struct attack_figures figures;
};

// From the second second on: a budget may be full at first.
static void count(struct sim *s, void *ctx, uint64_t arg)
{
    struct watch *w = ctx;
    for (uint32_t i = 0; i < SERVERS; i++) {
        struct node_status status;
        node_status(sim_node(s, i), sim_now(s), &status);
        uint64_t now = status.dht.dropped_auth;
        if (arg > 0 && now - w->before[i] > w->most)
            w->most = now - w->before[i];
        w->before[i] = now;
    }
    if (sim_now(s) + S <= END_US)
        sim_at(s, sim_now(s) + S, count, w, arg + 1);
}

static struct outcome flood(uint64_t seed, struct attack_config attack)
{
    struct sim_config cfg = {
        .seed = seed, .jobs = jobs, .modelled = true, .unix_start_s = SIM_UNIX_START_S - 870};
    struct sim *s = sim_new(&cfg);
    struct watch watch = {.most = 0};
    struct outcome out = {0};
    for (uint32_t i = 0; i < SERVERS; i++)
        (void)help_node(s, i * 100 * MS, true);
    for (uint32_t i = 0; i < 2 * PAIRS; i++) {
        char topic[16];
        snprintf(topic, sizeof topic, "pair %u", i / 2);
        uint32_t node = help_node(s, 15 * S, false);
        (void)help_person(s, node, topic, SEEK_US + (i % 2) * S, 1);
    }
    attack.kind = ATTACK_FLOODER;
    attack.start_us = FLOOD_US;
    attack.stop_us = END_US;
    if (attack.number > 0)
        attack.per_s = SERVERS * PER_SERVER / attack.number;
    struct attack *a = attack.number > 0 ? attack_new(s, &attack) : NULL;
    sim_at(s, FLOOD_US + S, count, &watch, 0);
    (void)sim_run(s, END_US, NULL, NULL);
    for (uint32_t i = 0; i < PAIRS; i++) {
        const struct sim_match *m = sim_last_match(s, 2 * i + 1);
        if (m == NULL || m->peer != 2 * i)
            continue;
        out.met++;
        usec_t took = m->at_us - m->asked_us;
        out.slowest_us = took > out.slowest_us ? took : out.slowest_us;
    }
    if (a != NULL)
        attack_figures(a, &out.figures);
    out.exchanges = watch.most;
    print_message("%u of %u met, the slowest in %llu ms; %llu datagrams, %llu tokens; garbage cost "
                  "a server up to %llu key exchanges a second\n",
                  out.met, PAIRS, (unsigned long long)out.slowest_us / MS,
                  (unsigned long long)out.figures.sent, (unsigned long long)out.figures.tokens,
                  (unsigned long long)out.exchanges);
    sim_free(s);
    return out;
}

static void without_it_all_meet(void **state)
{
    (void)state;
    struct outcome o = flood(1, (struct attack_config){.number = 0});
    assert_int_equal(o.met, PAIRS);
    assert_true(o.slowest_us < 3 * S);
}
// For a few seconds of it; the control shows that nothing else keeps people apart in the weak build.
static void judge(const struct outcome *o)
{
    if (WEAK) {
        assert_true(2 * o->met <= PAIRS);
        assert_true(o->exchanges > 2 * DH_BUDGET);
    } else {
        assert_int_equal(o->met, PAIRS);
        assert_true(o->slowest_us < 4 * S);
        assert_true(o->exchanges <= DH_BUDGET * 5 / 4); // a second's edges are not the server's
    }
}

static void from_two_prefixes(void **state)
{
    (void)state;
    struct outcome o = flood(1, (struct attack_config){.number = 16, .prefixes = 2});
    judge(&o);
    if (!WEAK) // what two prefixes may cost, and their parts
        assert_true(o.exchanges <= 3 * RATE_PREFIX_PER_S && o.slowest_us < 2 * S);
}

static void from_many_prefixes(void **state)
{
    (void)state;
    struct outcome o = flood(2, (struct attack_config){.number = 600, .prefixes = 600});
    judge(&o);
}

// Of servers that have too much to do they take tokens, and use up what is kept for those who have one.
static void with_tokens(void **state)
{
    (void)state;
    struct outcome o =
        flood(3, (struct attack_config){.number = 600, .prefixes = 600, .garbage = ATTACK_TOKENS});
    if (!WEAK) // there nobody gets one
        assert_true(o.figures.tokens > 0);
    judge(&o);
}

// The rate of those who seek is used up by others.
static void in_the_name_of_people(void **state)
{
    (void)state;
    struct outcome o = flood(4, (struct attack_config){.number = 1, .garbage = ATTACK_FORGED});
    judge(&o);
}

static void in_the_name_of_one(void **state)
{
    (void)state;
    struct outcome o = flood(
        5,
        (struct attack_config){.number = 1, .garbage = ATTACK_FORGED, .names_victim = SERVERS + 1});
    judge(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_it_all_meet),   cmocka_unit_test(from_two_prefixes),
        cmocka_unit_test(from_many_prefixes),    cmocka_unit_test(with_tokens),
        cmocka_unit_test(in_the_name_of_people), cmocka_unit_test(in_the_name_of_one),
    };
    return help_main(tests, sizeof tests / sizeof *tests);
}
