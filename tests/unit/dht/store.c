// Records held for others: versions, tombstones, samples, limits, time.
#include "dht/store.h"

#include "crypto/bytes.h"
#include "tests/unit/dht/help.h"

struct fixture {
    struct arena arena, book_arena;
    struct record_book *book;
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
    memory_arena(&f->book_arena, 64u << 20);
    f->book = record_book_new(&f->book_arena, 200000);
    store_init(&f->store, &f->arena, f->book, &f->rng, bytes_max);
}

static void end(struct fixture *f)
{
    store_end(&f->store);
    assert_int_equal(f->store.records, 0);
    assert_int_equal(record_book_count(f->book), 0);
    record_book_end(f->book);
    help_arena_end(&f->book_arena);
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
    return store_withdraw(&f->store, f->now, place, id, 1, bury);
}

static struct store_sample sample(struct fixture *f, uint16_t except)
{
    struct store_sample s;
    uint8_t id[RECORD_ID_BYTES] = {0};
    memcpy(id, &except, sizeof except);
    store_sample(&f->store, f->now, place, id, 8, &s);
    return s;
}

static struct store_view view(struct fixture *f, const uint8_t *where, uint64_t source)
{
    struct store_view v;
    store_view(&f->store, f->now, where, source, NULL, &v);
    return v;
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
    assert_int_equal(put(&f, place, 1, 0, 900, 1, 'a'), 0);
    assert_int_equal(take_back(&f, 1, false), 0);
    assert_int_equal(put(&f, place, 1, 0, 900, 1, 'a'), BAUTA_ESTATE);
    f.now += (STORE_STONE_S - 1) * USEC_PER_S;
    assert_int_equal(put(&f, place, 1, 0, 900, 1, 'a'), BAUTA_ESTATE);
    f.now += USEC_PER_S; // no token of that time is good any more
    assert_int_equal(put(&f, place, 1, 0, 100, 1, 'a'), 0);
    // Unknown: buried only if wanted.
    assert_int_equal(take_back(&f, 2, false), BAUTA_EUNKNOWN);
    assert_int_equal(put(&f, place, 2, 0, 100, 1, 'a'), 0);
    assert_int_equal(take_back(&f, 3, true), BAUTA_EUNKNOWN);
    assert_int_equal(put(&f, place, 3, 0, 100, 1, 'a'), BAUTA_ESTATE);
    end(&f);
}

// Withdrawing what was never there is no attack on memory: one source has a share, and so have all.
static void test_tombstone_flood(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, 64u << 20);
    uint8_t id[RECORD_ID_BYTES] = {0}, where[32] = {0};
    for (uint32_t i = 0; i < 100000; i++) {
        memcpy(id, &i, sizeof i);
        memcpy(where, &i, 2);
        (void)store_withdraw(&f.store, f.now, where, id, 1, true);
    }
    assert_int_equal(f.store.stones, STORE_SOURCE_STONES_MAX);
    for (uint32_t i = 0; i < 100000; i++) {
        memcpy(id, &i, sizeof i);
        memcpy(where, &i, 4);
        (void)store_withdraw(&f.store, f.now, where, id, i, true);
    }
    assert_int_equal(f.store.stones, STORE_STONES_MAX);
    assert_true(f.arena.used_bytes < 3u << 20);
    // Meanwhile records are stored as ever.
    assert_int_equal(put(&f, place, 2, 0, 900, 7, 'a'), 0);
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
    assert_int_equal(f.arena.used_bytes, 0); // sweeping is enough, nobody has to ask
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
        assert_int_equal(view(&f, place, 1).live, 40);
        assert_int_equal(view(&f, place, 1).hint, 0);
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

// Work is wanted from three quarters on, more and more; at 192 the place is full.
static void test_full_place(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, 1u << 20);
    for (uint16_t i = 1; i <= 256; i++) {
        struct store_view v = view(&f, place, i);
        assert_int_equal(v.live, i - 1);
        assert_int_equal(v.fill, i - 1);
        assert_true(v.hint == (i > STORE_PLACE_FULL ? 1 : 0));
        assert_true(v.effort == (i <= 144 ? 0 : 16u << (i - 145) / 8));
        assert_int_equal(put(&f, place, i, 0, 600, i, 'a'), 0);
    }
    assert_int_equal(view(&f, place, 300).effort, 16u << 14);
    assert_int_equal(put(&f, place, 300, 0, 600, 300, 'a'),
                     BAUTA_ELIMIT);                         // one each: nobody has too much
    assert_int_equal(put(&f, place, 7, 1, 600, 7, 'b'), 0); // renewed all the same
    struct store_sample s;
    uint8_t id[RECORD_ID_BYTES] = {9, 9};
    store_sample(&f.store, f.now, place, id, STORE_SAMPLE_FULL, &s);
    assert_int_equal(s.n, 2);
    end(&f);
}

// Somebody with a few prefixes fills a place for himself, not for others.
static void test_crowded_by_one(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, 1u << 20);
    for (uint16_t i = 1; i <= 200; i++)
        assert_int_equal(put(&f, place, i, 0, 600, i % 2 + 1, 'a'), 0);
    assert_true(view(&f, place, 1).hint > 0);
    assert_true(view(&f, place, 1).effort >= 1024);
    assert_int_equal(view(&f, place, 9).hint, 0);
    assert_int_equal(view(&f, place, 9).effort, 0);
    assert_int_equal(view(&f, place, 9).fill, 2);
    for (uint16_t i = 201; i <= 256; i++)
        assert_int_equal(put(&f, place, i, 0, 600, i % 2 + 1, 'a'), 0);
    // A hundred others come: each gets in, and one of the crowd has to go for it.
    for (uint16_t i = 301; i <= 400; i++)
        assert_int_equal(put(&f, place, i, 0, 600, i, 'a'), 0);
    assert_int_equal(f.store.records, STORE_PLACE_RECORDS_MAX);
    for (uint16_t i = 301; i <= 400; i++)
        assert_int_equal(put(&f, place, i, 1, 600, i, 'b'), 0);
    assert_int_equal(f.store.records, STORE_PLACE_RECORDS_MAX);
    end(&f);
}

// More work than the least that lies there gets in, among equals; a claim is the server's to check.
static void test_effort_evicts(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, 1u << 20);
    for (uint16_t i = 1; i <= 256; i++)
        assert_int_equal(put(&f, place, i, 0, 600, i, 'a'), 0);
    uint8_t record[RECORD_BYTES] = {0xff, 0xff};
    struct store_announce a = {
        .place = place, .record = record, .source = 5000, .effort = 1u << 17, .ttl_s = 600};
    assert_int_equal(store_announce(&f.store, f.now, &a), 0);
    assert_int_equal(f.store.records, 256);
    end(&f);
}

// The more come, the less each is sent.
static void test_busy_samples(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, 1u << 20);
    assert_int_equal(put(&f, place, 1, 0, 600, 1, 'a'), 0);
    for (uint64_t i = 0; i < 12; i++) {
        unsigned want = i <= 4 ? DHT_SAMPLE_RECORDS_MAX : i <= 8 ? 4 : 2;
        assert_int_equal(view(&f, place, 2).sample, want);
        store_arrival(&f.store, f.now, place, i * UINT64_C(0x9e3779b97f4a7c15));
    }
    f.now += 2 * USEC_PER_S;
    assert_int_equal(view(&f, place, 2).sample, DHT_SAMPLE_RECORDS_MAX);
    end(&f);
}

// Announces in a second make a place full too, but not those of one prefix.
// However many one prefix announces in a second, others see as many records.
static void test_one_is_no_crowd(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, 1u << 20);
    assert_int_equal(put(&f, place, 1, 0, 600, 1, 'a'), 0);
    for (unsigned second = 0; second < 3; second++, f.now += USEC_PER_S)
        for (unsigned i = 0; i < 60; i++) {
            store_arrival(&f.store, f.now, place, UINT64_C(0x123456789abcdef0));
            assert_int_equal(view(&f, place, 2).sample, DHT_SAMPLE_RECORDS_MAX);
        }
    end(&f);
}

static void test_arrivals(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, 1u << 20);
    assert_int_equal(put(&f, place, 1, 0, 600, 1, 'a'), 0);
    for (unsigned i = 0; i < 500; i++)
        store_arrival(&f.store, f.now, place, UINT64_C(0x123456789abcdef0));
    assert_int_equal(view(&f, place, 2).hint, 0);
    for (uint64_t i = 0; i < 200; i++)
        store_arrival(&f.store, f.now, place, i * UINT64_C(0x9e3779b97f4a7c15));
    assert_true(view(&f, place, 2).hint >= 3); // about 200 / 32
    assert_true(view(&f, place, 2).hint <= 4);
    f.now += USEC_PER_S; // those of the last second still count
    assert_true(view(&f, place, 2).hint >= 3);
    f.now += USEC_PER_S;
    assert_int_equal(view(&f, place, 2).hint, 0);
    end(&f);
}

static int put_at(struct fixture *f, uint32_t where, uint32_t mark, uint64_t source)
{
    uint8_t spot[32] = {(uint8_t)(where >> 16), (uint8_t)(where >> 8), (uint8_t)where};
    uint8_t record[RECORD_BYTES] = {0};
    memcpy(record, &mark, sizeof mark);
    struct store_announce a = {.place = spot, .record = record, .source = source, .ttl_s = 900};
    return store_announce(&f->store, f->now, &a);
}

// Among equals a full store gives up the places that are farthest from its own id.
static void test_full_store(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, 32 * STORE_RECORD_COST);
    unsigned stored = 0;
    for (uint32_t i = 200; i > 100; i--) {
        stored += put_at(&f, i << 16, i, i) == 0;
        assert_true(store_bytes(&f.store) <= 32 * STORE_RECORD_COST);
    }
    assert_int_equal(stored, 100); // each is nearer to zero than the ones before
    assert_int_equal(put_at(&f, 255u << 16, 999, 999), BAUTA_ELIMIT);
    uint8_t near[32] = {101}, id[RECORD_ID_BYTES] = {9};
    struct store_sample s;
    store_sample(&f.store, f.now, near, id, 8, &s);
    assert_int_equal(s.n, 1);
    end(&f);
}

// One prefix announces at ever nearer places: it can't flush what others have put here.
static void test_flush(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, 800 * STORE_RECORD_COST);
    for (uint32_t i = 0; i < 800; i++) // 100 sources with 8 each, all far
        assert_int_equal(put_at(&f, (0x800000 + i) | 0x400000, i, 10 + i % 100), 0);
    for (uint32_t i = 0; i < 20000; i++)
        (void)put_at(&f, 20000 - i, 100000 + i, 1);
    unsigned of_attacker = 0, left = 0;
    for (uint32_t h = 0; h < f.store.sources.heads; h++)
        for (struct map_node *x = f.store.sources.head[h]; x != NULL; x = x->next) {
            const struct store_source *from = (const struct store_source *)x;
            *(x->hash == 1 ? &of_attacker : &left) += from->records;
        }
    assert_true(of_attacker <= 9);
    assert_true(left >= 790);
    // Half empty, it may have its eighth, and no more.
    struct fixture g;
    start(&g, 800 * STORE_RECORD_COST);
    unsigned taken = 0;
    for (uint32_t i = 0; i < 2000; i++)
        taken += put_at(&g, i, i, 1) == 0;
    assert_int_equal(taken, 800 / STORE_SOURCE_SHARE);
    // Sources are counted from there on, and no longer once most of it is gone.
    assert_true(g.store.counted);
    assert_int_equal(g.store.sources.n, 1);
    g.now += 901 * USEC_PER_S;
    assert_int_equal(put_at(&g, 1, 1, 1), 0);
    for (unsigned i = 0; i < 64; i++)
        (void)store_sweep(&g.store, g.now);
    assert_false(g.store.counted);
    assert_int_equal(g.store.records, 1);
    taken = 1;
    for (uint32_t i = 2; i < 2000; i++)
        taken += put_at(&g, i, i, 1) == 0;
    assert_int_equal(taken, 800 / STORE_SOURCE_SHARE);
    // Ten prefixes fill it; who comes later still gets his.
    for (uint32_t i = 0; i < 5000; i++)
        (void)put_at(&g, i, 10000 + i, i % 10 + 1);
    assert_int_equal(g.store.records, 800);
    for (uint32_t i = 0; i < 50; i++)
        assert_int_equal(put_at(&g, 0xf00000 + i, 50000 + i, 100 + i % 5), 0);
    end(&g);
    end(&f);
}

// What one record costs a node beside its bytes, which stand in the book once.
static void test_memory(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, 1u << 20);
    assert_int_equal(put_at(&f, 1, 1, 1), 0);
    size_t one = f.arena.used_bytes;
    for (uint32_t i = 2; i <= 8; i++)
        assert_int_equal(put_at(&f, i, i, i), 0);
    assert_true(f.arena.used_bytes - one <= 7 * 128);
    // Who comes to a quiet place costs nothing; the heat of the second one is given back.
    size_t quiet = f.arena.used_bytes;
    uint8_t first[32] = {0, 0, 1};
    store_arrival(&f.store, f.now, first, UINT64_C(3) << 40);
    assert_int_equal(f.arena.used_bytes, quiet);
    f.now += USEC_PER_S;
    store_arrival(&f.store, f.now, first, UINT64_C(5) << 40);
    const struct store_place *at = NULL;
    for (uint32_t h = 0; h < f.store.places.heads; h++)
        for (struct map_node *x = f.store.places.head[h]; x != NULL; x = x->next)
            if (memcmp(((struct store_place *)x)->place, first, 32) == 0)
                at = (struct store_place *)x;
    if (at == NULL || at->heat == NULL) { // with the one before it
        fail();
        return;
    }
    assert_int_equal(at->heat->before[3], 1);
    assert_int_equal(at->heat->now[5], 1);
    f.now += 2 * USEC_PER_S;
    (void)view(&f, first, 1);
    assert_int_equal(f.arena.used_bytes, quiet);
    struct store other; // another node that holds the same
    store_init(&other, &f.arena, f.book, &f.rng, 1u << 20);
    uint8_t spot[32] = {0, 0, 1}, record[RECORD_BYTES] = {1};
    struct store_announce a = {.place = spot, .record = record, .source = 3, .ttl_s = 900};
    assert_int_equal(store_announce(&other, f.now, &a), 0);
    assert_int_equal(record_book_count(f.book), 8);
    store_end(&other);
    assert_int_equal(record_book_count(f.book), 8);
    end(&f);
}

static void test_book(void **state)
{
    (void)state;
    struct arena arena;
    memory_arena(&arena, 8u << 20);
    struct record_book *b = record_book_new(&arena, 1000);
    uint8_t record[RECORD_BYTES] = {0};
    record_ref ref[1000];
    for (unsigned round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < 1000; i++) {
            memcpy(record + 200, &i, sizeof i);
            ref[i] = record_book_hold(b, record);
            assert_true(ref[i] != 0);
            assert_int_equal(record_book_hold(b, record), ref[i]); // the same bytes: the same one
        }
        assert_int_equal(record_book_count(b), 1000);
        memset(record + 200, 0xff, 4);
        assert_int_equal(record_book_hold(b, record), 0); // full
        for (uint32_t i = 0; i < 1000; i++) {
            memcpy(record + 200, &i, sizeof i);
            assert_memory_equal(record_book_at(b, ref[i]), record, RECORD_BYTES);
            record_book_drop(b, ref[i]);
            assert_memory_equal(record_book_at(b, ref[i]), record, RECORD_BYTES);
            record_book_drop(b, ref[i]);
        }
        assert_int_equal(record_book_count(b), 0);
    }
    record_book_drop(b, 0);
    record_book_end(b);
    help_arena_end(&arena);
}

static void test_arena_at_its_cap(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, 1u << 20);
    f.arena.cap_bytes = 5000;
    unsigned ok = 0;
    for (uint16_t i = 0; i < 200; i++)
        ok += put(&f, place, i, 0, 600, i, 'a') == 0;
    assert_true(ok > 20 && ok < 150);
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
        cmocka_unit_test(test_crowded_by_one),
        cmocka_unit_test(test_effort_evicts),
        cmocka_unit_test(test_busy_samples),
        cmocka_unit_test(test_one_is_no_crowd),
        cmocka_unit_test(test_arrivals),
        cmocka_unit_test(test_tombstone_flood),
        cmocka_unit_test(test_full_store),
        cmocka_unit_test(test_flush),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_book),
        cmocka_unit_test(test_arena_at_its_cap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
