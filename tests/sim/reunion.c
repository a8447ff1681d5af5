// Both ends of a conversation move at once, and find each other through their introducers.
#include "tests/sim/help.h"
#include "tools/sim/sim_internal.h"

#define SERVERS 24u
#define PAIRS 40u
#define GAP_US (200 * MS)

// When each person heard something for the first time after everybody moved.
struct watch {
    usec_t moved_us;
    uint32_t before[2 * PAIRS];
    usec_t heard_us[2 * PAIRS];
};

static uint32_t node(struct sim *s, bool server, struct sim_site_config site)
{
    struct sim_node_config n = {
        .server = server, .site = site, .bootstraps = server ? sim_nodes(s) : 4};
    n.bootstraps = n.bootstraps < 4 ? n.bootstraps : 4;
    for (uint32_t i = 0; i < n.bootstraps; i++)
        n.bootstrap[i] = i;
    return sim_node_add(s, 0, &n);
}

static bool look(const struct sim *s, void *ctx)
{
    struct watch *w = ctx;
    bool all = true;
    for (uint32_t i = 0; i < sim_people(s); i++) {
        const struct sim_match *m = sim_last_match(s, i);
        if (m == NULL) {
            all = false;
            continue;
        }
        if (sim_now(s) <= w->moved_us)
            w->before[i] = m->received;
        else if (w->heard_us[i] == 0 && m->received > w->before[i])
            w->heard_us[i] = sim_now(s);
        all = all && sim_person_done(s, i);
    }
    return all;
}

static int by_size(const void *a, const void *b)
{
    usec_t x = *(const usec_t *)a, y = *(const usec_t *)b;
    return x < y ? -1 : x > y;
}

struct trial {
    const char *name;
    uint64_t seed;
    uint32_t loss_percent, pairs;
    enum sim_nat_kind nat[2];
    usec_t notice_us;
    bool server; // one of each pair is a server
    usec_t talk_gap_us;
};

static void run(const struct trial *t)
{
    struct sim *s = help_sim(t->seed, t->loss_percent);
    struct watch w = {.moved_us = 20 * S};
    uint32_t seat[2 * PAIRS];
    usec_t gap = t->talk_gap_us != 0 ? t->talk_gap_us : GAP_US;
    for (uint32_t i = 0; i < SERVERS; i++)
        (void)node(s, true, (struct sim_site_config){0});
    for (uint32_t i = 0; i < 2 * t->pairs; i++)
        seat[i] = node(s, t->server && i % 2 == 0, (struct sim_site_config){.nat = t->nat[i % 2]});
    for (uint32_t i = 0; i < 2 * t->pairs; i++) {
        char topic[32];
        snprintf(topic, sizeof topic, "pair %u", i / 2);
        struct sim_person_config p = {.node = seat[i],
                                      .topic = topic,
                                      .seek_at_us = 5 * S + i % 2 * 2 * S,
                                      .messages = (uint32_t)(40 * S / gap),
                                      .gap_us = gap};
        (void)sim_person_add(s, &p);
    }
    for (uint32_t i = 0; i < 2 * t->pairs; i++) {
        struct sim_site_config site = {.nat = t->nat[i % 2]};
        sim_node_move(s, w.moved_us, seat[i], &site, t->notice_us);
    }
    (void)sim_run(s, 20 * S, look, &w);
    uint32_t talked = 0, kept = 0;
    bool were[2 * PAIRS] = {false};
    for (uint32_t i = 0; i < 2 * t->pairs; i++) {
        were[i] = sim_person(s, i)->state == SIM_TALKING;
        talked += were[i];
    }
    help_must(s, t->seed, talked == 2 * t->pairs, "everybody talks before they move");
    (void)sim_run(s, 90 * S, look, &w);
    usec_t took[2 * PAIRS];
    for (uint32_t i = 0; i < 2 * t->pairs; i++)
        if (sim_person_done(s, i) && w.heard_us[i] > 0)
            took[kept++] = w.heard_us[i] - w.moved_us;
    qsort(took, kept, sizeof *took, by_size);
    printf("%s: %u of %u ends go on, interrupted for %llu ms p50, %llu p95, %llu at most\n",
           t->name, kept, 2 * t->pairs, (unsigned long long)(kept > 0 ? took[kept / 2] / 1000 : 0),
           (unsigned long long)(kept > 0 ? took[kept * 95 / 100] / 1000 : 0),
           (unsigned long long)(kept > 0 ? took[kept - 1] / 1000 : 0));
    help_must(s, t->seed, kept * 100 >= 2 * t->pairs * 99, "99 of 100 conversations go on");
    help_no_failures(s, t->seed);
    sim_free(s);
}

static void behind_nats(void **state)
{
    (void)state;
    run(&(struct trial){.name = "port-restricted, noticed",
                        .seed = 1,
                        .loss_percent = 1,
                        .pairs = PAIRS,
                        .nat = {SIM_NAT_PORT_RESTRICTED, SIM_NAT_PORT_RESTRICTED},
                        .notice_us = S});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(behind_nats),
    };
    return help_main(tests, sizeof tests / sizeof *tests);
}
