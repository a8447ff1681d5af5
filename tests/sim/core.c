// The simulator's own parts: order of events, draws, network, memory of jobs.
#include "tools/sim/sim_internal.h"

#include "crypto/net.h"
#include "dht/path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#define NODES 1000u

static void queue_keeps_the_order(void **state)
{
    (void)state;
    struct sim_prf prf;
    struct sim_queue q = {0};
    sim_prf_init(&prf, 7);
    for (uint32_t i = 0; i < 20000; i++)
        sim_queue_push(&q, sim_prf_below(&prf, SIM_PRF_PAIR, i, 0, 0, 50),
                       (uint32_t)sim_prf_below(&prf, SIM_PRF_PAIR, i, 1, 0, 5),
                       (enum sim_class)sim_prf_below(&prf, SIM_PRF_PAIR, i, 2, 0, 4),
                       (uint32_t)sim_prf_below(&prf, SIM_PRF_PAIR, i, 3, 0, 5), i, NULL);
    struct sim_event a, b;
    assert_true(sim_queue_pop(&q, &a));
    for (uint32_t i = 1; i < 20000; i++) {
        assert_true(sim_queue_pop(&q, &b));
        uint64_t x[5] = {a.at_us, a.destination, sim_event_class(&a), sim_event_source(&a),
                         a.sequence};
        uint64_t y[5] = {b.at_us, b.destination, sim_event_class(&b), sim_event_source(&b),
                         b.sequence};
        int k = 0;
        while (k < 4 && x[k] == y[k])
            k++;
        assert_true(x[k] < y[k]);
        a = b;
    }
    assert_false(sim_queue_pop(&q, &b));
    assert_null(sim_queue_first(&q));
    sim_queue_free(&q);
}

static bool first_of(const struct sim_event *a, const struct sim_event *b)
{
    if (a->at_us != b->at_us)
        return a->at_us < b->at_us;
    if (a->destination != b->destination)
        return a->destination < b->destination;
    return a->sequence < b->sequence;
}

// Near and far, in any order, some while a bucket is open, some before what was looked at already:
// always the least of all that wait.
static void queue_gives_the_least_of_all(void **state)
{
    (void)state;
    static const usec_t span[] = {1, 900, 3000, 900000, 40 * USEC_PER_S, 7200 * USEC_PER_S};
    static struct sim_event waiting[4000];
    struct sim_prf prf;
    struct sim_queue q = {0};
    sim_prf_init(&prf, 8);
    size_t n = 0;
    usec_t now = 0;
    for (uint32_t i = 0; i < 30000; i++) {
        uint64_t dice = sim_prf_below(&prf, SIM_PRF_PAIR, i, 0, 0, 100);
        if (n == 0 || (n < 4000 && dice < (i < 15000 ? 55u : 45u))) {
            usec_t later = span[sim_prf_below(&prf, SIM_PRF_PAIR, i, 1, 0, 6)];
            struct sim_event e = {
                .at_us = now + sim_prf_below(&prf, SIM_PRF_PAIR, i, 2, 0, (uint32_t)later),
                .destination = (uint32_t)sim_prf_below(&prf, SIM_PRF_PAIR, i, 3, 0, 3),
                .sequence = i,
                .class_source = (uint64_t)SIM_WAKE << 32 | 7};
            sim_queue_push(&q, e.at_us, e.destination, SIM_WAKE, 7, i, NULL);
            waiting[n++] = e;
            continue;
        }
        size_t least = 0;
        for (size_t k = 1; k < n; k++)
            if (first_of(&waiting[k], &waiting[least]))
                least = k;
        const struct sim_event *first = sim_queue_first(&q);
        assert_non_null(first);
        assert_int_equal(first->sequence, waiting[least].sequence);
        if (dice >= 95)
            continue; // looked at only: what is pushed next may be earlier
        struct sim_event e;
        assert_true(sim_queue_pop(&q, &e));
        assert_memory_equal(&e, &waiting[least], sizeof e);
        now = e.at_us;
        waiting[least] = waiting[--n];
    }
    sim_queue_free(&q);
}

static void draws_depend_on_all_inputs(void **state)
{
    (void)state;
    struct sim_prf p, q;
    sim_prf_init(&p, 1);
    sim_prf_init(&q, 2);
    uint64_t v = sim_prf_u64(&p, SIM_PRF_LOSS, 1, 2, 3);
    assert_true(v == sim_prf_u64(&p, SIM_PRF_LOSS, 1, 2, 3));
    assert_true(v != sim_prf_u64(&q, SIM_PRF_LOSS, 1, 2, 3));
    assert_true(v != sim_prf_u64(&p, SIM_PRF_JITTER, 1, 2, 3));
    assert_true(v != sim_prf_u64(&p, SIM_PRF_LOSS, 2, 2, 3));
    assert_true(v != sim_prf_u64(&p, SIM_PRF_LOSS, 1, 1, 3));
    assert_true(v != sim_prf_u64(&p, SIM_PRF_LOSS, 1, 2, 4));
    unsigned seen[10] = {0};
    for (uint64_t i = 0; i < 10000; i++)
        seen[sim_prf_below(&p, SIM_PRF_LOSS, 0, 0, i, 10)]++;
    for (int i = 0; i < 10; i++)
        assert_in_range(seen[i], 850, 1150);
}

// A node's stream is the same in whatever pieces it is taken, and another for another node.
static void streams_are_one_stream(void **state)
{
    (void)state;
    struct sim_prf p;
    struct sim_stream a, b, c;
    uint8_t whole[500], pieces[500], other[500];
    sim_prf_init(&p, 1);
    sim_stream_init(&a, &p, 5);
    sim_stream_init(&b, &p, 5);
    sim_stream_init(&c, &p, 6);
    sim_stream_fill(&a, whole, sizeof whole);
    sim_stream_fill(&c, other, sizeof other);
    for (size_t at = 0, n = 1; at < sizeof pieces; at += n, n = n % 90 + 7) {
        n = n < sizeof pieces - at ? n : sizeof pieces - at;
        sim_stream_fill(&b, pieces + at, n);
    }
    assert_memory_equal(whole, pieces, sizeof whole);
    assert_memory_not_equal(whole, other, sizeof whole);
}

static int compare(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static void latency_is_as_promised(void **state)
{
    (void)state;
    struct sim_prf prf;
    struct sim_network net;
    sim_prf_init(&prf, 3);
    sim_network_init(&net, &prf, 0);
    for (uint32_t i = 0; i < NODES; i++)
        assert_int_equal(sim_network_add(&net, false, NULL), i);
    size_t n = 0;
    uint64_t *rtt = malloc(NODES * sizeof *rtt * 20);
    for (uint32_t i = 0; i < NODES; i++) {
        for (uint32_t k = 0; k < 20; k++) {
            uint32_t j = (uint32_t)sim_prf_below(&prf, SIM_PRF_PAIR, i, k, 0, NODES);
            usec_t there = sim_network_latency(&net, i, j);
            assert_true(there == sim_network_latency(&net, j, i));
            assert_true(there >= SIM_LATENCY_FLOOR_US);
            rtt[n++] = 2 * there;
        }
    }
    qsort(rtt, n, sizeof *rtt, compare);
    assert_in_range(rtt[n / 2], 74000, 86000);
    assert_true(rtt[n * 95 / 100] > 2 * rtt[n / 2]); // the long tail
    assert_true(rtt[n - 1] < 2000000);
    free(rtt);
    sim_network_free(&net);
}

static void addresses_are_spread_and_found(void **state)
{
    (void)state;
    struct sim_prf prf;
    struct sim_network net;
    sim_prf_init(&prf, 3);
    sim_network_init(&net, &prf, 0);
    static uint8_t coarse[65536];
    memset(coarse, 0, sizeof coarse);
    unsigned different = 0;
    for (uint32_t i = 0; i < NODES; i++) {
        (void)sim_network_add(&net, false, NULL);
        const struct path *p = &net.site[i].path;
        assert_true(path_reachable(p, false));
        unsigned slash16 = (unsigned)p->ip[0] << 8 | p->ip[1];
        different += coarse[slash16]++ == 0;
    }
    assert_true(different > NODES * 95 / 100);
    for (uint32_t i = 0; i < NODES; i++)
        assert_int_equal(sim_network_find(&net, &net.site[i].path), i);
    struct path nobody = net.site[0].path;
    nobody.port ^= 1;
    assert_int_equal(sim_network_find(&net, &nobody), SIM_NOBODY);
    nobody = net.site[0].path;
    nobody.via = 1;
    assert_int_equal(sim_network_find(&net, &nobody), SIM_NOBODY);
    sim_network_free(&net);
}

static void loss_is_the_wanted_share(void **state)
{
    (void)state;
    struct sim_prf prf;
    struct sim_network net;
    sim_prf_init(&prf, 4);
    sim_network_init(&net, &prf, 50000);
    (void)sim_network_add(&net, true, NULL);
    (void)sim_network_add(&net, true, NULL);
    unsigned lost = 0;
    usec_t least = USEC_NEVER, most = 0;
    for (uint64_t i = 0; i < 20000; i++) {
        struct sim_way w;
        if (!sim_network_carry(&net, 0, 0, &net.site[1].path, 0, i, 100, &w)) {
            lost++;
            continue;
        }
        assert_int_equal(w.destination, 1);
        usec_t takes = w.takes_us;
        least = takes < least ? takes : least;
        most = takes > most ? takes : most;
    }
    assert_in_range(lost, 850, 1150);
    assert_true(least >= sim_network_latency(&net, 0, 1));
    assert_true(most > least + 5000); // jitter
    sim_network_free(&net);
}

static void jobs_are_remembered_by_input(void **state)
{
    (void)state;
    struct sim_jobs *jobs = sim_jobs_new();
    struct net net;
    struct job job;
    uint8_t one[JOB_RESULT_BYTES_MAX], again[JOB_RESULT_BYTES_MAX], direct[JOB_RESULT_BYTES_MAX];
    uint8_t pk[32] = {9};
    assert_int_equal(net_init(&net, "test"), 0);
    for (uint8_t i = 0; i < 100; i++) {
        pk[1] = i;
        job_node_puzzle(&job, i, &net, pk, 4);
        int len = sim_jobs_run(jobs, &job, one);
        assert_int_equal(len, job_run(&job, direct));
        assert_true(len > 0);
        assert_memory_equal(one, direct, (size_t)len);
        job.id = 77; // not a part of the input
        assert_int_equal(sim_jobs_run(jobs, &job, again), len);
        assert_memory_equal(one, again, sizeof one);
    }
    sim_jobs_free(jobs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queue_keeps_the_order),
        cmocka_unit_test(queue_gives_the_least_of_all),
        cmocka_unit_test(draws_depend_on_all_inputs),
        cmocka_unit_test(streams_are_one_stream),
        cmocka_unit_test(latency_is_as_promised),
        cmocka_unit_test(addresses_are_spread_and_found),
        cmocka_unit_test(loss_is_the_wanted_share),
        cmocka_unit_test(jobs_are_remembered_by_input),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
