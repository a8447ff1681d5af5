// Records held for others: versions, tombstones, samples, limits, time.
#include "dht/store.h"

#include "crypto/bytes.h"
#include "tests/unit/dht/help.h"

struct fixture {
    struct arena arena;
    uint64_t seed;
    struct rng rng;
    struct store store;
    usec_t now;
};

static void start(struct fixture *f, size_t bytes_max)
{
    memset(f, 0, sizeof *f);
    f->seed = 1;
    f->rng = (struct rng){help_fill, &f->seed};
    f->now = 100 * USEC_PER_S;
    memory_arena(&f->arena, 8u << 20);
    store_init(&f->store, &f->arena, &f->rng, bytes_max);
}

static void end(struct fixture *f)
{
    store_end(&f->store);
    assert_int_equal(f->store.bytes, 0);
    assert_int_equal(f->store.records, 0);
    help_arena_end(&f->arena);
}

static const uint8_t place[32] = {1};

// Announces record `mark` in this version.
static int put(struct fixture *f, const uint8_t *where, uint16_t mark, uint32_t version,
               uint16_t ttl_s, uint64_t source, uint8_t fill)
{
    uint8_t record[RECORD_BYTES];
    memset(record, fill, sizeof record);
    memset(record, 0, RECORD_ID_BYTES);
    memcpy(record, &mark, sizeof mark);
    struct store_announce a = {
        .place = where, .record = record, .source = source, .version = version, .ttl_s = ttl_s};
    return store_announce(&f->store, f->now, &a);
}

static int take_back(struct fixture *f, uint16_t mark, bool bury)
{
    uint8_t id[RECORD_ID_BYTES] = {0};
    memcpy(id, &mark, sizeof mark);
    return store_withdraw(&f->store, f->now, place, id, bury);
}

static struct store_sample sample(struct fixture *f, uint16_t except)
{
    struct store_sample s;
    uint8_t id[RECORD_ID_BYTES] = {0};
    memcpy(id, &except, sizeof except);
    store_sample(&f->store, f->now, place, id, &s);
    return s;
}

static void test_versions(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, 1u << 20);
    assert_int_equal(put(&f, place, 1, 3, 600, 1, 'a'), 0);
    assert_int_equal(put(&f, place, 1, 4, 600, 1, 'b'), 0);
    assert_int_equal(sample(&f, 0).record[0][100], 'b');
    assert_int_equal(put(&f, place, 1, 3, 600, 1, 'c'), 0); // overtaken: changes nothing
    assert_int_equal(sample(&f, 0).record[0][100], 'b');
    assert_int_equal(f.store.records, 1);
    f.now += 500 * USEC_PER_S;
    assert_int_equal(put(&f, place, 1, 4, 600, 1, 'b'), 0); // renewed
    f.now += 500 * USEC_PER_S;
    assert_int_equal(sample(&f, 0).n, 1);
    assert_int_equal(take_back(&f, 1, true), 0);
    assert_int_equal(sample(&f, 0).n, 0);
    assert_int_equal(take_back(&f, 1, true), 0); // again: the same
    end(&f);
}

static void test_tombstones(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, 1u << 20);
    assert_int_equal(put(&f, place, 1, 0, 100, 1, 'a'), 0);
    assert_int_equal(take_back(&f, 1, false), 0);
    assert_int_equal(put(&f, place, 1, 0, 100, 1, 'a'), BAUTA_ESTATE);
    f.now += 99 * USEC_PER_S;
    assert_int_equal(put(&f, place, 1, 0, 100, 1, 'a'), BAUTA_ESTATE);
    f.now += USEC_PER_S; // the time that the record could have had is over
    assert_int_equal(put(&f, place, 1, 0, 100, 1, 'a'), 0);
    // Unknown: buried only if wanted.
    assert_int_equal(take_back(&f, 2, false), BAUTA_EUNKNOWN);
    assert_int_equal(put(&f, place, 2, 0, 100, 1, 'a'), 0);
    assert_int_equal(take_back(&f, 3, true), BAUTA_EUNKNOWN);
    assert_int_equal(put(&f, place, 3, 0, 100, 1, 'a'), BAUTA_ESTATE);
    // Their number is limited.
    for (uint16_t i = 0; i < STORE_PLACE_STONES_MAX + 50; i++)
        (void)take_back(&f, (uint16_t)(1000 + i), true);
    assert_true(f.store.bytes < 20000);
    end(&f);
}

static void test_time(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, 1u << 20);
    assert_int_equal(put(&f, place, 1, 0, 65535, 1, 'a'), 0); // cut to TTL_S_MAX
    assert_int_equal(put(&f, place, 2, 0, 0, 1, 'a'), 0);     // raised to TTL_S_MIN
    f.now += TTL_S_MIN * USEC_PER_S - 1;
    assert_int_equal(sample(&f, 0).n, 2);
    f.now += 1;
    assert_int_equal(sample(&f, 0).n, 1);
    f.now += (TTL_S_MAX - TTL_S_MIN) * USEC_PER_S - 1;
    assert_int_equal(sample(&f, 0).n, 1);
    f.now += 1;
    for (unsigned i = 0; i < 64; i++)
        (void)store_sweep(&f.store, f.now);
    assert_int_equal(f.store.records, 0);
    assert_int_equal(f.store.bytes, 0); // sweeping is enough, nobody has to ask
    assert_false(store_sweep(&f.store, f.now));
    end(&f);
}

static void test_sample(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, 1u << 20);
    for (uint16_t i = 1; i <= 40; i++) // one source with 30 records, ten with one
        assert_int_equal(put(&f, place, i, 0, 600, i <= 30 ? 1 : i, 'a'), 0);
    unsigned handed[41] = {0}, of_one = 0;
    for (unsigned k = 0; k < 100; k++) {
        struct store_sample s = sample(&f, 40);
        assert_int_equal(s.n, 8);
        assert_int_equal(s.live, 40);
        assert_int_equal(s.hint, 0);
        for (unsigned i = 0; i < s.n; i++) {
            uint16_t mark;
            memcpy(&mark, s.record[i], sizeof mark);
            assert_true(mark >= 1 && mark < 40); // never the own one
            for (unsigned j = 0; j < i; j++)
                assert_memory_not_equal(s.record[i], s.record[j], RECORD_ID_BYTES);
            handed[mark]++;
            of_one += mark <= 30;
        }
    }
    // By source first: the crowded one has at most one of eight.
    assert_true(of_one <= 100);
    for (unsigned i = 31; i < 40; i++)
        assert_true(handed[i] >= 50);
    // Fewer than eight: all of them.
    struct fixture g;
    start(&g, 1u << 20);
    for (uint16_t i = 1; i <= 5; i++)
        assert_int_equal(put(&g, place, i, 0, 600, 1, 'a'), 0);
    assert_int_equal(sample(&g, 0).n, 5);
    assert_int_equal(sample(&g, 3).n, 4);
    end(&g);
    end(&f);
}

// Everybody is handed out in turn, so that nobody waits unseen.
static void test_least_handed_first(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, 1u << 20);
    for (uint16_t i = 1; i <= 80; i++)
        assert_int_equal(put(&f, place, i, 0, 600, i, 'a'), 0);
    bool seen[81] = {false};
    for (unsigned k = 0; k < 20; k++) { // 20 samples with 4 of the least each
        struct store_sample s = sample(&f, 0);
        for (unsigned i = 0; i < s.n; i++) {
            uint16_t mark;
            memcpy(&mark, s.record[i], sizeof mark);
            seen[mark] = true;
        }
    }
    for (unsigned i = 1; i <= 80; i++)
        assert_true(seen[i]);
    end(&f);
}

static void test_full_place(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, 1u << 20);
    for (uint16_t i = 1; i <= 200; i++) {
        assert_int_equal(put(&f, place, i, 0, 600, i <= 60 ? 1 : i, 'a'), 0);
        if (i % 30 == 0)
            f.now += USEC_PER_S;
    }
    assert_int_equal(sample(&f, 0).hint, 1); // 200 / 128
    for (uint16_t i = 201; i <= 300; i++)
        assert_int_equal(put(&f, place, i, 0, 600, i, 'a'), 0);
    assert_int_equal(f.store.records, STORE_PLACE_RECORDS_MAX);
    assert_int_equal(sample(&f, 0).hint, 2); // 100 announces in a second / 32
    // 44 had to go, all of the crowded source.
    unsigned of_one = 0;
    const struct store_place *p = NULL;
    for (uint32_t i = 0; i < f.store.places.heads; i++)
        if (f.store.places.head[i] != NULL)
            p = (struct store_place *)f.store.places.head[i];
    assert_non_null(p);
    for (const struct store_record *x = p->records; x != NULL; x = x->next)
        of_one += x->source == 1;
    assert_int_equal(of_one, 16);
    end(&f);
}

// A full store gives up the places that are farthest from its own id.
static void test_full_store(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, 20000);
    unsigned stored = 0;
    for (unsigned i = 200; i > 100; i--) {
        uint8_t where[32] = {(uint8_t)i};
        stored += put(&f, where, 1, 0, 600, 1, 'a') == 0;
        assert_true(f.store.bytes <= 20000);
    }
    assert_int_equal(stored, 100); // each is nearer to zero than the ones before
    uint8_t far[32] = {255};
    assert_int_equal(put(&f, far, 1, 0, 600, 1, 'a'), BAUTA_ELIMIT);
    uint8_t near[32] = {101}, id[RECORD_ID_BYTES] = {9};
    struct store_sample s;
    store_sample(&f.store, f.now, near, id, &s);
    assert_int_equal(s.n, 1);
    end(&f);
}

static void test_arena_at_its_cap(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, 1u << 20);
    f.arena.cap_bytes = 40000;
    unsigned ok = 0;
    for (uint16_t i = 0; i < 200; i++)
        ok += put(&f, place, i, 0, 600, i, 'a') == 0;
    assert_true(ok > 20 && ok < 100);
    assert_int_equal(f.store.records, ok);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_tombstones),
        cmocka_unit_test(test_time),
        cmocka_unit_test(test_sample),
        cmocka_unit_test(test_least_handed_first),
        cmocka_unit_test(test_full_place),
        cmocka_unit_test(test_full_store),
        cmocka_unit_test(test_arena_at_its_cap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
