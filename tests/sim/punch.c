// Two people behind each pair of kinds of NATs: whoever can have a direct path gets one, the others are told nothing.
#include "tests/sim/help.h"
#include "tools/sim/sim_internal.h"

#include "node/node_internal.h"

#define SERVERS 24
#define COUPLES 3 // of each pair of kinds

static uint32_t node(struct sim *s, bool server, enum sim_nat_kind nat)
{
    struct sim_node_config n = {
        .server = server, .site = {.nat = nat}, .bootstraps = server ? sim_nodes(s) : 6};
    n.bootstraps = n.bootstraps < 6 ? n.bootstraps : 6;
    for (uint32_t i = 0; i < n.bootstraps; i++)
        n.bootstrap[i] = i;
    return sim_node_add(s, 0, &n);
}

enum chance {
    NEVER,  // both have another port for each flow that nobody can know
    LIKELY, // a port that is preserved for those who say where we are may not be so for whom we meet
    SURE
};

static enum chance chance(enum sim_nat_kind a, enum sim_nat_kind b)
{
    bool hard_a = a == SIM_NAT_SYMMETRIC || a == SIM_NAT_SYMMETRIC_STEP;
    bool hard_b = b == SIM_NAT_SYMMETRIC || b == SIM_NAT_SYMMETRIC_STEP;
    bool luck = a == SIM_NAT_SYMMETRIC_PRESERVING || b == SIM_NAT_SYMMETRIC_PRESERVING;
    return hard_a && hard_b ? NEVER : luck ? LIKELY : SURE;
}

static bool done(const struct sim *s, uint32_t person)
{
    return sim_person_done(s, person) && sim_person_done(s, person + 1);
}

// The couples of one pair of kinds, from this person on.
static void check(struct sim *s, uint64_t seed, enum sim_nat_kind a, enum sim_nat_kind b,
                  uint32_t person)
{
    unsigned met = 0, none = 0;
    for (uint32_t i = person; i < person + 2 * COUPLES; i += 2) {
        met += done(s, i);
        none += sim_person(s, i)->matches == 0 && sim_person(s, i + 1)->matches == 0;
    }
    static const unsigned least[] = {[NEVER] = 0, [LIKELY] = COUPLES - 1, [SURE] = COUPLES};
    if (met < least[chance(a, b)] || met + none != COUPLES ||
        (chance(a, b) == NEVER && none != COUPLES)) {
        fprintf(stderr, "kinds %d and %d: %u met\n", (int)a, (int)b, met);
        help_must(s, seed, false, "those meet who can, and nobody else");
    }
}

static void all_pairs(uint64_t seed, uint32_t loss_percent)
{
    struct sim *s = help_sim(seed, loss_percent);
    for (int i = 0; i < SERVERS; i++)
        (void)node(s, true, SIM_NAT_NONE);
    for (enum sim_nat_kind i = SIM_NAT_NONE; i < SIM_NAT_KINDS; i++)
        for (enum sim_nat_kind k = i; k < SIM_NAT_KINDS; k++)
            for (unsigned n = 0; n < COUPLES; n++) {
                char topic[32];
                snprintf(topic, sizeof topic, "%d and %d, %u", (int)i, (int)k, n);
                uint32_t a = node(s, false, n % 2 == 0 ? i : k);
                uint32_t b = node(s, false, n % 2 == 0 ? k : i);
                (void)help_person(s, a, topic, 20 * S, 2);
                (void)help_person(s, b, topic, n == 0 ? 20 * S : 25 * S, 2);
            }
    (void)sim_run(s, 75 * S, NULL, NULL);
    uint32_t person = 0;
    for (enum sim_nat_kind i = SIM_NAT_NONE; i < SIM_NAT_KINDS; i++)
        for (enum sim_nat_kind k = i; k < SIM_NAT_KINDS; k++, person += 2 * COUPLES)
            check(s, seed, i, k, person);
    help_no_failures(s, seed);
    sim_free(s);
}

// ---- bounds ---------------------------------------------------------------------------------------------

#define MANY 12 // who wants to talk to one person at the same time

struct watch {
    struct sim *s;
    uint32_t node; // what it sends is counted, for each to whom
    struct row {
        uint32_t probes, most; // without a pause of a second; the longest row of them
        usec_t first, last, begun, ended;
        uint32_t all;
    } row[MANY];
};

static void count(void *ctx, usec_t now, uint32_t from, const struct path *to, const uint8_t *data,
                  size_t len)
{
    struct watch *w = ctx;
    (void)data;
    for (unsigned i = 0; from == w->node && len == CLASS_TINY && i < MANY; i++) {
        struct row *r = &w->row[i];
        if (memcmp(w->s->net.site[w->node + 1 + i].path.ip, to->ip, 4) != 0)
            continue;
        if (now - r->last > S) {
            r->probes = 0;
            r->first = now;
        }
        r->last = now;
        r->all++;
        if (++r->probes > r->most) {
            r->most = r->probes;
            r->begun = r->first;
            r->ended = now;
        }
    }
}

// One person with twelve wishes, each of which leads to somebody whose ports are random: for one at a time a path is
// searched, then for a while for nobody.
static void searches_are_few(void **state)
{
    (void)state;
    struct sim *s = help_sim(33, 0);
    struct watch w = {.s = s};
    for (int i = 0; i < SERVERS; i++)
        (void)node(s, true, SIM_NAT_NONE);
    w.node = node(s, false, SIM_NAT_PORT_RESTRICTED);
    for (uint32_t i = 0; i < MANY; i++) {
        char topic[32];
        snprintf(topic, sizeof topic, "wish %u", i);
        uint32_t other = node(s, false, SIM_NAT_SYMMETRIC);
        (void)help_person(s, w.node, topic, 20 * S, 0);
        (void)help_person(s, other, topic, (20 + 5 * i) * S, 0);
    }
    sim_tap(s, count, &w);
    (void)sim_run(s, 120 * S, NULL, NULL);
    const struct row *search[MANY] = {0};
    unsigned searched = 0;
    for (unsigned i = 0; i < MANY; i++) {
        assert_true(w.row[i].all <= PUNCH_PROBES_MAX * 3 / 2 + 300);
        if (w.row[i].most > 60) // else the ordinary ones, and what a conversation needs
            search[searched++] = &w.row[i];
    }
    help_must(s, 33, searched >= 3 && searched <= 5, "one search goes on at a time");
    for (unsigned i = 0; i < searched; i++)
        for (unsigned k = 0; k < searched; k++)
            help_must(s, 33,
                      search[k]->begun <= search[i]->begun ||
                          search[k]->begun + PUNCH_WAIT_US_MAX + S >
                              search[i]->ended + PUNCH_PAUSE_US,
                      "twenty seconds lie between two");
    sim_free(s);
}

static void every_pair_of_kinds(void **state)
{
    (void)state;
    all_pairs(31, 0);
}

static void every_pair_of_kinds_with_losses(void **state)
{
    (void)state;
    all_pairs(32, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair_of_kinds),
        cmocka_unit_test(every_pair_of_kinds_with_losses),
        cmocka_unit_test(searches_are_few),
    };
    return help_main(tests, sizeof tests / sizeof *tests);
}
